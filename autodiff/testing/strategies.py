"""Hypothesis strategies for what gradient bugs live at: shapes, values, indices, axes, geometries.

Everything is drawn piece by piece from small whole or quarter numbers, so that what a failing test
shrinks to is what a person would have written by hand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_lowercase
from typing import Any

import numpy as np

from .options import INSTALL

try:
    from hypothesis import given as given
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp
except ImportError as error:
    raise ImportError(
        f"the strategies and the tests made of them need Hypothesis: {INSTALL.format('test')}, or pip install "
        "hypothesis pytest (check_gradients works without)"
    ) from error

from .layouts import LAYOUTS

Shape = tuple[int, ...]
Arrays = st.SearchStrategy[np.ndarray]

# ---- shapes ---------------------------------------------------------------------------------------


def shapes(min_dims=0, max_dims=3, min_side=0, max_side=3) -> st.SearchStrategy[Shape]:
    """Shapes; those without elements are among them, but not most of them."""
    sides = {min_side, max(min_side, 1)}
    return st.one_of(
        *(
            hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=least, max_side=max_side)
            for least in sorted(sides, reverse=True)
        )
    )


def broadcastable(n=2, max_dims=3, min_side=0, max_side=3) -> st.SearchStrategy[tuple[Shape, ...]]:
    """n shapes that broadcast against each other, in every way there is."""
    return hnp.mutually_broadcastable_shapes(
        num_shapes=n, max_dims=max_dims, min_side=min_side, max_side=max_side
    ).map(lambda found: found.input_shapes)


# ---- values ---------------------------------------------------------------------------------------


def numbers(low: float = -2, high: float = 2) -> st.SearchStrategy[float]:
    """Quarters from low to high, the simplest first."""
    quarters = st.integers(int(np.ceil(4 * low)), int(np.floor(4 * high)))
    return quarters.map(lambda k: k / 4)


def arrays(shape: Any, low: float = -2, high: float = 2) -> Arrays:
    """Arrays of quarters between low and high: ties, zeros and repeats are common in them."""
    return hnp.arrays(np.float64, shape, elements=numbers(low, high), fill=st.nothing())


def distinct(shape: Any, low: float = -2, high: float = 2) -> Arrays:
    """Arrays of numbers no two of which are equal, or equal up to the sign, and none of them 0: no
    kink of a maximum, a sort or an absolute value is at them. Between low and high, in no order."""

    @st.composite
    def spread(draw):
        sides = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
        n = int(np.prod(sides))
        order = np.array(draw(st.permutations(range(n))), int)
        steps = (order + 0.5) / max(n, 1)
        x = low + (high - low) * steps
        return (np.round(64 * x) / 64 + (order % 7 + 1) / 512).reshape(sides)

    return spread()


@st.composite
def awkward(draw, shape: Any, low: float = -2, high: float = 2, zeros: bool = True) -> np.ndarray:
    """Arrays with the values that bugs live at: all alike, ties between neighbours, one zero, two, or
    nothing else, ±0, tiny and huge."""
    x = draw(arrays(shape, low, high))
    if not x.size:
        return x
    kinds = ["as drawn", "all alike", "neighbours alike", "one large"]
    kinds += ["one zero", "two zeros", "zeros", "signed zeros", "tiny"] if zeros and low <= 0 <= high else []
    kind = draw(st.sampled_from(kinds))
    flat = x.reshape(-1).copy()
    if kind == "all alike":
        flat[:] = flat[0]
    elif kind == "neighbours alike":
        flat[1::2] = flat[: 2 * (flat.size // 2) : 2]
    elif kind == "one large":
        flat[0] = high * 2.0**10
    elif kind in ("one zero", "two zeros"):
        flat[: 1 + (kind == "two zeros")] = 0
    elif kind == "zeros":
        flat[:] = 0
    elif kind == "signed zeros":
        flat[:] = np.where(np.arange(flat.size) % 2, -0.0, 0.0)
    elif kind == "tiny":
        flat[:] = flat * 2.0**-40
    return flat.reshape(x.shape)


def cotangents(shape: Any) -> Arrays:
    """What to pull back: numbers of either sign, never 0 and not all alike, as ones would be."""
    each = st.integers(1, 16).flatmap(lambda k: st.sampled_from([k / 4, -k / 4]))
    found = hnp.arrays(np.float64, shape, elements=each, fill=st.nothing())
    return found.filter(lambda g: g.size < 2 or np.unique(g).size > 1)


def dtypes() -> st.SearchStrategy[np.dtype]:
    """The floating dtypes that gradients come in."""
    return st.sampled_from([np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.float16)])


def layouts() -> st.SearchStrategy[Any]:
    """A function that lays an array out in memory in another way: strided, backwards, read-only …"""
    return st.sampled_from([np.array, *(lay for name, lay in LAYOUTS.items() if name != "broadcast")])


# ---- axes and indices -----------------------------------------------------------------------------


def axis(ndim: int) -> st.SearchStrategy[int]:
    """One axis, counted from the front or from the back."""
    return st.integers(0, ndim - 1).flatmap(lambda d: st.sampled_from([d, d - ndim]))


def axes(ndim: int, min_size: int = 1) -> st.SearchStrategy[Any]:
    """What a reduction takes: all (None), one axis, or a tuple of them in any order and sign."""
    if ndim == 0:
        return st.none()
    several = st.lists(st.integers(0, ndim - 1), min_size=min_size, max_size=ndim, unique=True)
    signed = several.flatmap(lambda ds: st.tuples(*(st.sampled_from([d, d - ndim]) for d in ds)))
    return st.one_of(st.none(), axis(ndim), signed)


@st.composite
def index_expressions(draw, shape: Shape) -> Any:
    """Whatever may stand in x[…]: numbers, slices with steps, new axes, "...", masks, and integer
    arrays, in which places repeat; alone and mixed."""
    form = draw(st.sampled_from(["basic", "array", "mask", "mixed", "list"]))
    if form == "basic" or not shape:
        return draw(hnp.basic_indices(shape, allow_newaxis=True))
    if form == "mask":
        covered = draw(st.integers(1, len(shape)))
        return draw(hnp.arrays(np.bool_, shape[:covered], elements=st.booleans(), fill=st.nothing()))
    if 0 in shape:
        return draw(hnp.basic_indices(shape))
    if form == "list":
        places = st.integers(-shape[0], shape[0] - 1)
        return draw(st.lists(places, min_size=1, max_size=4))
    if form == "array":
        covered = draw(st.integers(1, len(shape)))
        result = draw(shapes(min_dims=1, max_dims=2, min_side=1))
        return tuple(draw(places_along(n, result)) for n in shape[:covered])
    result = draw(shapes(min_dims=1, max_dims=1, min_side=1))
    entries = [draw(st.one_of(places_along(n, result), st.slices(n), st.integers(-n, n - 1))) for n in shape]
    return tuple(entries)


def places_along(n: int, shape: Shape) -> Arrays:
    """An array of places along an axis of size n, from either end, some of them more than once."""
    return hnp.arrays(np.int64, shape, elements=st.integers(-n, n - 1), fill=st.nothing())


def places(n: int, shape: Shape) -> Arrays:
    """The same, from the front only, as gather and scatter take them."""
    return hnp.arrays(np.int64, shape, elements=st.integers(0, n - 1), fill=st.nothing())


# ---- contractions ---------------------------------------------------------------------------------


@st.composite
def matmul_operands(draw, of: Any = arrays) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of any ranks that a matrix product takes: vectors, matrices, batches that broadcast."""
    signature = "(m?,n),(n,p?)->(m?,p?)"
    found = draw(hnp.mutually_broadcastable_shapes(signature=signature, max_dims=2, max_side=3, min_side=0))
    a, b = found.input_shapes
    return draw(of(a)), draw(of(b))


@st.composite
def einsum_operands(draw, of: Any = arrays) -> tuple:
    """(equation, operands …): letters that repeat, that are summed out of one operand alone, that are
    shared by all, "..." and no output."""
    letters = ascii_lowercase[8 : 8 + draw(st.integers(1, 4))]
    size = {letter: draw(st.integers(1, 3)) for letter in letters}
    n = draw(st.integers(1, 3))
    terms = ["".join(draw(st.lists(st.sampled_from(letters), max_size=3))) for _ in range(n)]
    used = sorted({c for term in terms for c in term})
    output = "".join(draw(st.permutations(used))[: draw(st.integers(0, len(used)))])
    dots = draw(st.booleans()) and draw(st.booleans())
    lead = [draw(st.lists(st.just(2), max_size=1)) if dots else [] for _ in terms]
    equation = ",".join(("..." if dots else "") + term for term in terms)
    equation += "->" + ("..." if dots else "") + output
    operands = [draw(of((*front, *(size[c] for c in term)))) for front, term in zip(lead, terms, strict=True)]
    return equation, *operands


@st.composite
def conv2d_operands(draw, of: Any = arrays) -> tuple:
    """(x, weight, bias or None, stride, padding, dilation, groups), with what a stride leaves over at the edge."""
    groups = draw(st.integers(1, 2))
    kernel = draw(st.tuples(st.integers(1, 2), st.integers(1, 3)))
    stride, dilation = (draw(st.tuples(st.integers(1, 2), st.integers(1, 2))) for _ in range(2))
    padding = draw(st.tuples(st.integers(0, 1), st.integers(0, 1)))
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    sides = [draw(st.integers(max(1, s - 2 * p), s + 2)) for s, p in zip(spans, padding, strict=True)]
    x = draw(of((draw(st.integers(1, 2)), groups, *sides)))
    w = draw(of((groups * draw(st.integers(1, 2)), 1, *kernel)))
    bias = draw(st.one_of(st.none(), of(w.shape[:1])))
    return x, w, bias, stride, padding, dilation, groups


@st.composite
def max_pool2d_operands(draw, of: Any = distinct) -> tuple:
    """(x, kernel, stride, padding, dilation, ceil_mode)."""
    kernel = draw(st.tuples(st.integers(1, 2), st.integers(1, 3)))
    stride = draw(st.tuples(st.integers(1, 2), st.integers(1, 3)))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    sides = [draw(st.integers(k, k + 2)) for k in kernel]
    x = draw(of((1, draw(st.integers(1, 2)), *sides)))
    return x, kernel, stride, padding, 1, draw(st.booleans())


@st.composite
def conv_transpose2d_operands(draw, of: Any = arrays) -> tuple:
    """(x, weight, bias, stride, padding, output_padding, groups, dilation)."""
    groups = draw(st.integers(1, 2))
    kernel = draw(st.tuples(st.integers(1, 2), st.integers(1, 3)))
    stride, dilation = (draw(st.tuples(st.integers(1, 2), st.integers(1, 2))) for _ in range(2))
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    padding = tuple(draw(st.integers(0, (span - 1) // 2)) for span in spans)
    more = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    x = draw(of((draw(st.integers(1, 2)), groups, draw(st.integers(1, 2)), draw(st.integers(1, 3)))))
    w = draw(of((groups, draw(st.integers(1, 2)), *kernel)))
    return x, w, draw(of((w.shape[1] * groups,))), stride, padding, more, groups, dilation


@st.composite
def avg_pool2d_operands(draw, of: Any = arrays) -> tuple:
    """(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)."""
    x, kernel, stride, padding, _, ceil_mode = draw(max_pool2d_operands(of))
    return x, kernel, stride, padding, ceil_mode, draw(st.booleans()), draw(st.sampled_from([None, 3]))


@st.composite
def fold_operands(draw, of: Any = arrays) -> tuple:
    """(columns, output_size, kernel, dilation, padding, stride)."""
    x, w, _, stride, padding, dilation, _ = draw(conv2d_operands())
    sides = zip(x.shape[2:], w.shape[2:], stride, padding, dilation, strict=True)
    count = math.prod((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sides)
    columns = draw(of((x.shape[0], x.shape[1] * math.prod(w.shape[2:]), count)))
    return columns, x.shape[2:], w.shape[2:], dilation, padding, stride


def tuples(*parts: Any) -> st.SearchStrategy[tuple]:
    """A strategy of tuples; what is no strategy stands for itself."""
    return st.tuples(*(p if isinstance(p, st.SearchStrategy) else st.just(p) for p in parts))


def broadcast_arrays(n: int, of: Any = arrays) -> st.SearchStrategy[tuple]:
    """n arrays that broadcast against each other; `of` makes each, from its shape."""

    def made(given: Sequence[Shape]):
        return st.tuples(*(of(shape) for shape in given))

    return broadcastable(n).flatmap(made)
