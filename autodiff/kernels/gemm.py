"""Matrix multiplication as a ladder: one loop nest, written better from rung to rung.

    loops       i-j-k: the definition, an element of the result at a time
    reordered   i-k-j: the inner loop runs along rows, so that memory is read in order, in vectors
    blocked     four rows and four steps of k at once: every vector that is loaded serves four times
    vectorised  a tile of the result stays in registers from its first product to its last
    threaded    the same by several threads, each with a part of the result
    numpy       np.matmul, the twin they must all agree with: BLAS, in several threads

The first three are in this file, in plain Python; the next two in `vectorised.py` and `team.py`. Every
rung has the same signature, `(a, b, out)`, and may be given a bias as well, whose elements are added to the
columns of out. `use(name)` and AUTODIFF_MATMUL choose one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache

import numpy as np

from . import jit

VARIABLE = "AUTODIFF_MATMUL"
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
DTYPES = frozenset((FLOAT32, FLOAT64))

# What serves when nobody chooses, wherever `wins` says so: docs/benchmarks.md has the measurements.
DEFAULT, BY_DEFAULT = "threaded", "the default"

SMALL = 32**3  # multiplications; fewer take microseconds in any rung, and never wait for a compile
BATCHED = 96**3  # the same for each product of a batch, which NumPy calls from C (docs/benchmarks.md)

chosen: ContextVar[str | None] = ContextVar("matmul", default=None)  # by `use`
by_variable = os.environ.get(VARIABLE) or None


# ---- the rungs: plain Python, which Numba compiles ----------------------------------------------
# a may lie in memory in any way; the rows of b and of out are contiguous, for the inner loops' sake.


def loops(a, b, out):
    """The definition: out[i, j] = sum over k of a[i, k] * b[k, j]. Down a column of b each step is
    another line of the cache, and a sum waits for its last addition."""
    m, n = a.shape
    p = b.shape[1]
    for i in range(m):
        for j in range(p):
            total = out.dtype.type(0)
            for k in range(n):
                total += a[i, k] * b[k, j]
            out[i, j] = total


def reordered(a, b, out):
    """A row of out is the sum of the rows of b, each times an element of a. Along a row the
    compiler uses vectors, but it loads and stores out for every multiplication."""
    m, n = a.shape
    p = b.shape[1]
    out[:] = 0
    for i in range(m):
        for k in range(n):
            factor = a[i, k]
            for j in range(p):
                out[i, j] += factor * b[k, j]


def blocked(a, b, out):
    """Four rows of out and four of b at once, sixteen elements of a held in registers: eight
    vectors loaded and four stored for sixteen multiplications, where `reordered` has two and one
    for each. The edges, where four do not fit, are as in `reordered`."""
    m, n = a.shape
    p = b.shape[1]
    rows, depth = m - m % 4, n - n % 4
    out[:] = 0
    for i in range(0, rows, 4):
        for k in range(0, depth, 4):
            a00, a01, a02, a03 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
            a10, a11, a12, a13 = a[i + 1, k], a[i + 1, k + 1], a[i + 1, k + 2], a[i + 1, k + 3]
            a20, a21, a22, a23 = a[i + 2, k], a[i + 2, k + 1], a[i + 2, k + 2], a[i + 2, k + 3]
            a30, a31, a32, a33 = a[i + 3, k], a[i + 3, k + 1], a[i + 3, k + 2], a[i + 3, k + 3]
            for j in range(p):
                b0, b1, b2, b3 = b[k, j], b[k + 1, j], b[k + 2, j], b[k + 3, j]
                out[i, j] += a00 * b0 + a01 * b1 + a02 * b2 + a03 * b3
                out[i + 1, j] += a10 * b0 + a11 * b1 + a12 * b2 + a13 * b3
                out[i + 2, j] += a20 * b0 + a21 * b1 + a22 * b2 + a23 * b3
                out[i + 3, j] += a30 * b0 + a31 * b1 + a32 * b2 + a33 * b3
    for i in range(m):
        for k in range(depth if i < rows else 0, n):
            factor = a[i, k]
            for j in range(p):
                out[i, j] += factor * b[k, j]


LOOPS = {"loops": loops, "reordered": reordered, "blocked": blocked}
RUNGS = ("numpy", *LOOPS, "vectorised", "threaded")


# ---- choosing one -------------------------------------------------------------------------------


class use:
    """`use(name)`: from here on this thread (or async task) multiplies matrices by the rung `name`;
    `with use(name):` only inside. None goes back to the default."""

    def __init__(self, name: str | None):
        self.before = chosen.get()
        chosen.set(None if name is None else known(name))

    def __enter__(self) -> use:
        return self

    def __exit__(self, *exception) -> None:
        chosen.set(self.before)


def known(name: str) -> str:
    """`name`, if a rung is called so."""
    if name not in RUNGS:
        raise ValueError(
            f"no matmul is called {name!r} (asked for by kernels.use or {VARIABLE}). "
            f"Try one of: {', '.join(RUNGS)}"
        )
    return name


def in_use() -> tuple[str, str]:
    """The rung in use, and who chose it."""
    name = chosen.get()
    if name is not None:
        return name, "kernels.use"
    return (known(by_variable), VARIABLE) if by_variable else (DEFAULT, BY_DEFAULT)


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b as np.matmul has it, by the rung in use.

    The compiled rungs take float32 and float64, not too small; all else is NumPy's.
    """
    multiply = serving(a, b)
    if multiply is None:
        return np.matmul(a, b)
    if a.ndim == b.ndim == 2:
        out = np.empty((len(a), b.shape[1]), a.dtype)
        multiply(a, b, out)
        return out
    rows, columns = a.shape[-2:-1], b.shape[-1:] if b.ndim > 1 else ()  # a vector lacks one of them
    left = a if rows else a[None, :]
    right = b if columns else b[:, None]
    if right.ndim == 2:  # a batch times one matrix: all its rows at once
        batch = left.shape[:-2]
        out = np.empty((math.prod(left.shape[:-1]), right.shape[1]), a.dtype)
        multiply(left.reshape(out.shape[0], left.shape[-1]), right, out)
    else:
        batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        out = np.empty((*batch, left.shape[-2], right.shape[-1]), a.dtype)
        left = np.broadcast_to(left, batch + left.shape[-2:])
        right = np.broadcast_to(right, batch + right.shape[-2:])
        for place in np.ndindex(batch):
            multiply(left[place], right[place], out[place])
    return out.reshape(batch + rows + columns)[()]  # of two vectors a number, as np.matmul has it


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """x @ weight.T + bias, with the bits of matmul and addition; a compiled rung adds the bias while the sums are
    still in registers."""
    b = weight.T
    dense = bias.dtype is x.dtype and bias.flags.c_contiguous and bias.flags.aligned
    multiply = serving(x, b) if dense and x.ndim == 2 else None
    if multiply is None:
        y = matmul(x, b)
        y += bias
        return y
    out = np.empty((len(x), len(weight)), x.dtype)
    multiply(x, b, out, bias)
    return out


def serving(a: np.ndarray, b: np.ndarray) -> Callable[..., object] | None:
    """The compiled rung that multiplies these; None if it is NumPy's work."""
    name, who = in_use()
    dtype = a.dtype
    if name == "numpy" or type(a) is not np.ndarray or type(b) is not np.ndarray or dtype is not b.dtype:
        return None
    if dtype is not FLOAT32 and dtype is not FLOAT64:  # each is one object, in the machine's byte order
        return None
    if a.ndim == b.ndim == 2:
        (m, k), (depth, n) = a.shape, b.shape
        least = SMALL
    elif a.ndim and b.ndim:
        k, depth = a.shape[-1], b.shape[max(b.ndim - 2, 0)]
        m, n = a.shape[-2] if a.ndim > 1 else 1, b.shape[-1] if b.ndim > 1 else 1
        # In a batch of small products it is the calls that cost, and NumPy makes them from C.
        least = BATCHED if b.ndim > 2 and who is BY_DEFAULT else SMALL
    else:
        return None
    if k != depth or m * k * n < least or not (a.flags.aligned and b.flags.aligned):
        return None  # what is wrong, if something is, np.matmul says best
    if who is BY_DEFAULT and (m == 1 or n == 1):
        return None  # vectors are read once; tiles are no help
    return rung(name, dtype.char)


@cache
def rung(name: str, dtype) -> Callable[..., object]:
    """The function (a, b, out, bias=None) that writes a @ b into out, or a @ b + bias, for matrices of this
    dtype that lie in memory in any way, out apart from a and b, and a dense bias. NumPy's, with a warning,
    where Numba can't be used."""
    if known(name) != "numpy" and jit.unusable():
        jit.warn_once(f"Numba can't be used ({jit.unusable()}): NumPy multiplies, not {name!r}")
        name = "numpy"
    if name == "numpy":
        return by_numpy
    make = by_loops if name in LOOPS else by_tiles
    return make(name, np.dtype(dtype))


def by_numpy(a, b, out, bias=None):
    """The rung `numpy`."""
    np.matmul(a, b, out=out)
    if bias is not None:
        out += bias


def by_loops(name: str, dtype: np.dtype) -> Callable[..., object]:
    """A rung of this file."""
    import numba

    # One signature takes every layout of a. "contract" lets a product and a sum be one instruction;
    # NaN and infinity stay what they are.
    element = numba.from_dtype(dtype)
    operand = numba.types.Array(element, 2, "A", readonly=True)
    rows = numba.types.Array(element, 2, "C", readonly=True)
    target = numba.types.Array(element, 2, "C")
    signature = numba.void(operand, rows, target)
    title = f"the {name!r} matmul for {dtype}"
    kernel = jit.compiled(LOOPS[name], signature, title, fastmath={"contract"})

    def multiply(a, b, out, bias=None):
        result = out
        # a b is also (b.T a.T).T: of the two, the one that needs less copied
        if copied(b, out) > copied(a.T, out.T):
            a, b, out = b.T, a.T, out.T
        target = out if out.flags.c_contiguous else np.empty(out.shape, out.dtype)
        kernel(a, np.ascontiguousarray(b), target)
        if target is not out:
            out[...] = target
        if bias is not None:
            result += bias

    return multiply


def by_tiles(name: str, dtype: np.dtype) -> Callable[..., object]:
    """The rungs of `vectorised.py`, alone or with a team."""
    from . import team, vectorised

    kernel = vectorised.multiply(dtype, vectorised.vector_bytes())
    together = vectorised.TOGETHER if name == "threaded" else math.inf

    none = np.empty(0, dtype)

    def multiply(a, b, out, bias=None):
        if not out.flags.c_contiguous and out.strides[1] != out.itemsize and out.shape[1] != 1:
            if bias is not None or (out.strides[0] != out.itemsize and out.shape[0] != 1 and out.size):
                target = np.empty(out.shape, out.dtype)  # neither its rows nor its columns are dense
                multiply(a, b, target, bias)
                out[...] = target
                return
            a, b, out = b.T, a.T, out.T
        extra = none if bias is None else bias
        if len(a) * b.size >= together:
            team.run(kernel, a, b, extra, out)
        else:
            kernel(a, b, extra, out, 0, 1)

    return multiply


def copied(*arrays: np.ndarray) -> int:
    """How many elements must move for these to have contiguous rows."""
    return sum(0 if x.flags.c_contiguous else x.size for x in arrays)
