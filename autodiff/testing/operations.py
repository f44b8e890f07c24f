"""The table of operations: for each, what to test it on.

A row names an operation by the name that any engine may map to its own, gives a strategy for its
arguments (in PyTorch's order; arrays are differentiated by), and, where calculus leaves a choice,
the gradient that this engine promises. An operation without a row fails the tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..ops.indexing import ARRAY
from . import strategies as draw
from .case import Fixed
from .strategies import arrays, awkward, broadcast_arrays, distinct, hnp, shapes, st, tuples


def direct(operation: Callable, *arguments: Any) -> Any:
    return operation(*arguments)


@dataclass(frozen=True)
class Operation:
    """A row of the table."""

    name: str
    inputs: st.SearchStrategy[tuple]
    call: Callable = direct  # (operation, *arguments) ↦ result: how the arguments are handed over
    conventions: tuple = ()  # (arguments, the gradients for a cotangent of ones) where there is a choice
    exact: bool = False  # may no float slip in, when the numbers are exact?
    options: dict = field(default_factory=dict)  # for check_gradients

    def of(self, functions: Any) -> Callable:
        """The operation of an engine whose `functions` are these, called as this row says."""
        operation = functions[self.name]

        def called(*arguments):
            return self.call(operation, *arguments)

        called.__name__, called.operation = self.name, self  # for the report
        return called


# ---- what the rows are made of --------------------------------------------------------------------

filled = shapes(min_dims=1, min_side=1)


def one(low=-2.0, high=2.0, of=arrays) -> st.SearchStrategy[tuple]:
    """A single array of any shape."""
    return shapes().flatmap(lambda shape: st.tuples(of(shape, low, high)))


def two(low=-2.0, high=2.0, of=arrays) -> st.SearchStrategy[tuple]:
    """Two that broadcast."""
    return broadcast_arrays(2, lambda shape: of(shape, low, high))


def apart() -> st.SearchStrategy[tuple]:
    """Two that broadcast, no element of the one equal to any of the other."""

    def pair(given):
        n = [math.prod(shape) for shape in given]
        joint = distinct((sum(n),))
        return joint.map(lambda x: (x[: n[0]].reshape(given[0]), x[n[0] :].reshape(given[1])))

    return draw.broadcastable(2).flatmap(pair)


def with_option(option: st.SearchStrategy, of=awkward) -> st.SearchStrategy[tuple]:
    """(array, what the call gives by name)."""
    return shapes().flatmap(lambda shape: tuples(of(shape), option))


def along(*more: Any, of=arrays, filled=filled) -> st.SearchStrategy[tuple]:
    """(array, dim, …)."""
    return filled.flatmap(lambda shape: tuples(of(shape), draw.axis(len(shape)), *more))


def reduced(of=arrays, least: int = 1) -> st.SearchStrategy[tuple]:
    """(array, dim or dims or None, keepdim), with at least so many elements to be taken together."""

    def enough(arguments):
        x, dim, _ = arguments
        chosen = range(x.ndim) if dim is None else np.atleast_1d(dim)
        return math.prod(x.shape[d] for d in chosen) >= least

    found = shapes(min_side=1).flatmap(lambda shape: tuples(of(shape), draw.axes(len(shape)), st.booleans()))
    return found.filter(enough) if least > 1 else found


@st.composite
def indexed(draw_, *, of=arrays, source=False, everywhere=False) -> tuple:
    """(array, dim, index, …): an index of as many dimensions, its places within the array's."""
    shape = draw_(shapes(min_dims=1, min_side=1))
    dim = draw_(draw.axis(len(shape)))
    sides = [n if everywhere else draw_(st.integers(1, n)) for n in shape]
    sides[dim] = draw_(st.integers(1, 4))
    index = draw_(draw.places(shape[dim], tuple(sides)))
    x = draw_(of(shape))
    return (x, dim, index, draw_(of(tuple(sides)))) if source else (x, dim, index)


@st.composite
def matrices(draw_, *more: Any, least=0) -> tuple:
    shape = draw_(shapes(min_dims=2, min_side=least))
    return (draw_(arrays(shape)), *(draw_(m) for m in more))


def matrix_pair(batch=0):
    def made(sizes):
        b, m, n, p = sizes
        lead = (b,) * batch
        return st.tuples(arrays((*lead, m, n)), arrays((*lead, n, p)))

    return st.tuples(*(st.integers(1, 3) for _ in range(4))).flatmap(made)


def with_index(of=arrays):
    return shapes().flatmap(lambda shape: st.tuples(of(shape), draw.index_expressions(shape)))


def reshapings():
    """(array, another shape for its elements), −1 for one of the sizes at times."""

    @st.composite
    def made(draw_):
        x = draw_(arrays(shapes(min_side=1)))
        to = draw_(
            st.sampled_from([(-1,), (x.size,), (1, x.size), (x.size, 1), x.shape[::-1], (*x.shape, 1)])
        )
        return x, to

    return made()


def permutations():
    return shapes().flatmap(lambda s: st.tuples(arrays(s), st.permutations(range(len(s))).map(tuple)))


def several_arrays(same=False):
    """(arrays …, dim): for cat, all sizes but that of dim alike; for stack, all."""

    @st.composite
    def made(draw_):
        shape = draw_(shapes(min_dims=0 if same else 1, min_side=0 if not same else 1))
        dim = draw_(draw.axis(len(shape) + same))
        xs = []
        for _ in range(draw_(st.integers(1, 3))):
            sides = list(shape)
            if not same:
                sides[dim] = draw_(st.integers(0, 3))
            xs.append(draw_(arrays(tuple(sides))))
        return (*xs, dim)

    return made()


def listed(operation, *arguments):
    """The arrays as a list, as cat and stack take them."""
    return operation(list(arguments[:-1]), arguments[-1])


@st.composite
def repeats(draw_):
    shape = draw_(shapes(max_dims=2))
    counts = draw_(st.lists(st.integers(0, 2), min_size=len(shape), max_size=3))
    return draw_(arrays(shape)), tuple(counts)


@st.composite
def tiles(draw_):
    """Fewer counts than dimensions, as many, or more."""
    shape = draw_(shapes(max_dims=2))
    counts = draw_(st.lists(st.integers(0, 2), min_size=1, max_size=3))
    return draw_(arrays(shape)), tuple(counts)


@st.composite
def rolls(draw_):
    """One shift, along one dimension or all in line, or several."""
    shape = draw_(shapes(min_dims=1))
    some = draw_(draw.axes(len(shape)))
    shift = st.integers(-2, 4)
    if not isinstance(some, tuple):
        return draw_(arrays(shape)), draw_(shift), some
    return draw_(arrays(shape)), tuple(draw_(shift) for _ in some), some


@st.composite
def paddings(draw_):
    shape = draw_(shapes(min_dims=1, min_side=1))
    dims = draw_(st.integers(1, len(shape)))
    mode = draw_(st.sampled_from(["constant", "constant", "replicate", "reflect", "circular"]))
    width = []
    for n in shape[::-1][:dims]:
        most = {"constant": 2, "replicate": 2, "reflect": n - 1, "circular": n}[mode]
        width += [draw_(st.integers(-n // 2 if mode == "constant" else 0, most)) for _ in range(2)]
        if -width[-1] - width[-2] > n:
            width[-2:] = [0, 0]
    value = draw_(st.sampled_from([0, 2])) if mode == "constant" else None
    return draw_(arrays(shape)), tuple(width), mode, value


@st.composite
def choices(draw_, of=arrays):
    c, a, b = draw_(draw.broadcastable(3))
    condition = draw_(hnp.arrays(np.bool_, c, elements=st.booleans(), fill=st.nothing()))
    return condition, draw_(of(a)), draw_(of(b))


@st.composite
def masked(draw_):
    shape = draw_(shapes())
    return draw_(arrays(shape)), draw_(hnp.arrays(np.bool_, shape, elements=st.booleans(), fill=st.nothing()))


@st.composite
def linear_operands(draw_):
    lead, n, m = draw_(shapes(max_dims=2, min_side=1)), draw_(st.integers(1, 3)), draw_(st.integers(1, 3))
    x, w = draw_(arrays((*lead, n))), draw_(arrays((m, n)))
    return (x, w, draw_(arrays((m,)))) if draw_(st.booleans()) else (x, w)


@st.composite
def classified(draw_):
    n, classes, more = (
        draw_(st.integers(1, 3)),
        draw_(st.integers(1, 3)),
        draw_(shapes(max_dims=1, min_side=1)),
    )
    target = draw_(draw.places(classes, (n, *more)))
    return draw_(arrays((n, classes, *more))), target


@st.composite
def normalised(draw_, batch=False):
    shape = draw_(shapes(min_dims=2, min_side=2))
    x = draw_(distinct(shape))
    if batch:
        return x, draw_(arrays(shape[1:2])), draw_(arrays(shape[1:2]))
    k = draw_(st.integers(1, len(shape)))
    return x, shape[-k:], draw_(arrays(shape[-k:])), draw_(arrays(shape[-k:]))


def batch_normalised(operation, x, weight, bias):
    return operation(x, None, None, weight, bias, True)


def reduced_back(arguments):
    """What spreads over the dimensions that a sum over `dim` takes away."""
    x, dim, keepdim = arguments
    return x.sum(axis=dim, keepdims=keepdim), dim, keepdim, x.shape


def convolved_back(conv2d_input_gradient, x, w, bias, stride, padding, dilation, groups):
    """For a cotangent made of what is there: the primitive is linear in it and in w."""
    g = conv2d_shape(x, w, stride, padding, dilation)
    return conv2d_input_gradient(spread_over(x, g), w, x_shape=tuple(x.shape), stride=stride, padding=padding,
                                 dilation=dilation, groups=groups)  # fmt: skip


def weights_back(conv2d_weight_gradient, x, w, bias, stride, padding, dilation, groups):
    g = conv2d_shape(x, w, stride, padding, dilation)
    return conv2d_weight_gradient(spread_over(w, g), x, w_shape=tuple(w.shape), stride=stride, padding=padding,
                                  dilation=dilation, groups=groups)  # fmt: skip


def conv2d_shape(x, w, stride, padding, dilation) -> tuple:
    sides = zip(x.shape[2:], w.shape[2:], stride, padding, dilation, strict=True)
    return (x.shape[0], w.shape[0], *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sides))


def in_a_row(arguments):
    """The arguments of an operation on images, for one on sequences: of images the first row."""
    arrays = (a[:, :, 0] if isinstance(a, np.ndarray) and a.ndim == 4 else a for a in arguments)
    return tuple(a[1] if isinstance(a, tuple) else a for a in arrays)


def spread_over(x, shape):
    """The elements of x, repeated in order to fill `shape`."""
    n = math.prod(shape)
    return x.reshape(-1)[np.arange(n) % max(math.prod(x.shape), 1)].reshape(shape)


@st.composite
def contracted_pairs(draw_):
    """tensordot's: two arrays and the axes that are summed."""
    shared = draw_(st.lists(st.integers(1, 3), max_size=2))
    left, right = (draw_(st.lists(st.integers(1, 3), max_size=1)) for _ in range(2))
    order_a, order_b = (draw_(st.permutations(range(len(rest) + len(shared)))) for rest in (left, right))
    a, b = [*left, *shared], [*right, *shared]
    axes_a = [order_a.index(len(left) + k) for k in range(len(shared))]
    axes_b = [order_b.index(len(right) + k) for k in range(len(shared))]
    shape_a, shape_b = tuple(a[k] for k in order_a), tuple(b[k] for k in order_b)
    return draw_(arrays(shape_a)), draw_(arrays(shape_b)), (axes_a, axes_b)


@st.composite
def powers(draw_):
    """Static exponents of any base they allow, and exponents that vary."""
    form = draw_(st.sampled_from(["whole", "negative", "root", "base", "both", "zeroth"]))
    shape = draw_(shapes())
    if form == "zeroth":
        return draw_(arrays(shape, 0.5, 3)), np.zeros(shape)
    if form == "whole":
        return draw_(awkward(shape)), draw_(st.integers(0, 4))
    if form == "negative":
        return draw_(arrays(shape, 0.5, 3)), -draw_(st.integers(1, 3))
    if form == "root":
        return draw_(arrays(shape, 0.5, 3)), draw_(fixed([0.5, 1.5, -0.5]))
    if form == "base":
        return draw_(fixed([2, 0.5])), draw_(arrays(shape))
    return draw_(two(0.5, 3))


@st.composite
def remainders(draw_):
    """(a, b): no a is a multiple of its b, where the remainder jumps."""
    shape = draw_(shapes())
    b = draw_(arrays(shape[draw_(st.integers(0, len(shape))) :], 0.5, 2))
    quotient, part = draw_(arrays(shape, -2, 2)), draw_(arrays(shape, 0.25, 0.75))
    return (np.floor(quotient) + part) * b, b


def fixed(values):
    return st.sampled_from(list(map(Fixed, values)))


@st.composite
def clamped(draw_):
    low = draw_(st.integers(-2, 1))
    return draw_(awkward(shapes())), low, draw_(st.integers(low, 2))


@st.composite
def diagonals(draw_):
    shape = draw_(shapes(min_dims=2, min_side=1))
    d1, d2 = draw_(st.permutations(range(len(shape))))[:2]
    offset = draw_(st.integers(-1, 1))
    ok = shape[d2] - offset > 0 and shape[d1] + offset > 0
    return draw_(arrays(shape)), offset if ok else 0, d1, d2


# ---- the table ------------------------------------------------------------------------------------

POSITIVE, UNIT = (0.25, 3.0), (-0.75, 0.75)
X = [1.0, 3.0, 3.0]
IN_ORDER = {"skip": ("memory layouts",)}  # they refuse memory in which the elements do not lie in order

# fmt: off
ROWS = [
    # arithmetic
    Operation("add", two(of=awkward), exact=True), Operation("sub", two(of=awkward), exact=True),
    Operation("mul", two(of=awkward), exact=True),
    Operation("div", two(*POSITIVE), exact=True), Operation("neg", one(of=awkward), exact=True),
    Operation("square", one(of=awkward), exact=True), Operation("reciprocal", one(*POSITIVE), exact=True),
    Operation("remainder", remainders(), exact=True), Operation("fmod", remainders()),
    Operation("floor_divide", remainders(), exact=True), Operation("trunc_divide", remainders(), exact=True),
    Operation("floor", one(of=distinct), exact=True), Operation("ceil", one(of=distinct), exact=True),
    Operation("trunc", one(of=distinct), exact=True), Operation("round", one(of=distinct)),
    Operation("sign", one(of=distinct), exact=True),
    Operation("abs", one(of=awkward), exact=True, conventions=((([0.0, -0.0],), [[0, 0]]),)),
    Operation("pow", powers(), conventions=(
        (([0.0, 2.0], 0), [[0, 0]]), ((0, [2.0, 1.0]), [[0, 0]]), (([0.0], 1), [[1]]),
        (([0.0], [0.0]), [[0], [0]]), (([0.0], [2.0]), [[0], [0]]), (([0.0], [1.0]), [[1], [0]]),
        (([0.0], [-1.0]), [[-np.inf], [-np.inf]]))),
    # exponentials, logarithms, trigonometry, activations
    Operation("exp", one()), Operation("expm1", one()),
    Operation("log", one(*POSITIVE)), Operation("log1p", one(-0.75, 3)),
    Operation("log2", one(*POSITIVE)), Operation("log10", one(*POSITIVE)),
    Operation("xlogy", st.tuples(distinct((2, 3)), arrays((3,), *POSITIVE)), conventions=(
        (([0.0], [1.0]), [[0], [0]]), (([0.0], [2.0]), [[math.log(2)], [0]]), (([0.0], [-1.0]), [[0], [0]]))),
    Operation("sqrt", one(*POSITIVE), conventions=((([0.0],), [[math.inf]]),)), Operation("rsqrt", one(*POSITIVE)),
    Operation("sin", one()), Operation("cos", one()), Operation("tan", one(-1.25, 1.25)),
    Operation("asin", one(*UNIT)), Operation("acos", one(*UNIT)), Operation("atan", one()),
    Operation("atan2", apart(), conventions=((([0.0], [0.0]), [[0], [0]]),)),
    Operation("sinh", one()), Operation("cosh", one()), Operation("tanh", one()),
    Operation("relu", one(of=awkward), exact=True, conventions=((([0.0, -0.0],), [[0, 0]]),)),
    Operation("sigmoid", one()), Operation("log_sigmoid", one()), Operation("erf", one()),
    Operation("softplus", st.one_of(one(), one().map(lambda t: (*t, 2)))),
    Operation("leaky_relu", with_option(st.integers(-1, 3)), exact=True, conventions=((([0.0, -0.0], 3), [[3, 3]]),),
              call=lambda leaky_relu, x, slope: leaky_relu(x, negative_slope=slope)),
    Operation("prelu", shapes(min_dims=2).flatmap(lambda s: tuples(distinct(s), arrays((1,)))), exact=True,
              conventions=((([0.0], [3.0]), [[3], [0]]),)),
    Operation("elu", with_option(fixed([1.0, 0.5, -2.0]), of=distinct), conventions=((([0.0], 0.5), [[0.5]]),),
              call=lambda elu, x, alpha: elu(x, alpha=alpha)),
    Operation("silu", one()), Operation("mish", one()),
    Operation("hardtanh", clamped().filter(lambda t: t[1] < t[2]), exact=True, conventions=((([-1.0, 0.0, 1.0], -1, 1), [[0, 1, 0]]),),
              call=lambda hardtanh, x, low, high: hardtanh(x, min_val=low, max_val=high)),
    Operation("hardsigmoid", one(-4, 4, of=awkward), conventions=((([-3.0, 3.0],), [[0, 0]]),)),
    Operation("hardswish", one(-4, 4, of=distinct), exact=True, conventions=((([-3.0, 3.0],), [[0, 1]]),)),
    Operation("softshrink", with_option(st.integers(0, 1)), exact=True, conventions=((([-1.0, 0.0, 1.0], 1), [[0, 0, 0]]),),
              call=lambda softshrink, x, lambd: softshrink(x, lambd=lambd)),
    Operation("hardshrink", with_option(st.just(1), of=distinct), exact=True,
              call=lambda hardshrink, x, lambd: hardshrink(x, lambd=lambd)),
    Operation("threshold", with_option(st.just(1), of=distinct), exact=True,
              call=lambda threshold, x, at: threshold(x, threshold=at, value=3)),
    # choices
    Operation("where", choices(awkward), exact=True),
    Operation("maximum", st.one_of(two(of=awkward), apart()), exact=True, conventions=((([1.0], [1.0]), [[0.5], [0.5]]),)),
    Operation("minimum", st.one_of(two(of=awkward), apart()), exact=True, conventions=((([1.0], [1.0]), [[0.5], [0.5]]),)),
    Operation("clamp", clamped(), exact=True, conventions=((([-1.0, 1.0, 2.0], -1, 1), [[1, 1, 0]]),)),
    Operation("lerp", two().flatmap(lambda t: tuples(*map(st.just, t), arrays(()))), exact=True),
    Operation("addcmul", two().flatmap(lambda t: tuples(st.just(t[0]), *map(st.just, t))), exact=True,
              call=lambda addcmul, *xs: addcmul(*xs, value=3)),
    Operation("addcdiv", two(*POSITIVE).flatmap(lambda t: tuples(st.just(t[0]), *map(st.just, t))), exact=True,
              call=lambda addcdiv, *xs: addcdiv(*xs, value=3)),
    Operation("nan_to_num", one(), conventions=((([math.inf, math.nan, 1.0],), [[0, 0, 1]]),)),
    Operation("clamp_min", two(of=awkward), exact=True, conventions=((([1.0], [1.0]), [[1], [0]]),)),
    Operation("clamp_max", two(of=awkward), exact=True, conventions=((([1.0], [1.0]), [[1], [0]]),)),
    Operation("masked_fill", masked().map(lambda t: (*t, 3)), exact=True),
    Operation("masked_select", masked(), exact=True),
    # reductions
    Operation("sum", reduced(), exact=True), Operation("mean", reduced(), exact=True),
    Operation("prod", reduced(awkward), exact=True),
    Operation("var", st.one_of(
        reduced(least=2).map(lambda t: (t[0], t[1], True, t[2])), reduced().map(lambda t: (t[0], t[1], False, t[2]))), exact=True),
    Operation("std", reduced(distinct, least=2).map(lambda t: (t[0], t[1], True, t[2])),
              conventions=((([1.0, 1.0],), [[0, 0]]),)),
    Operation("norm", st.one_of(
        *(reduced(distinct).map(lambda t, p=p: (t[0], p, *t[1:])) for p in (2, 1, 3, 0, Fixed(math.inf), Fixed(-math.inf)))),
        call=lambda norm, x, p, *rest: norm(x, p, *rest), conventions=((([0.0, 0.0], 2), [[0, 0]]), (([0.0, 0.0], 3), [[0, 0]]))),
    Operation("var_mean", reduced(least=2).map(lambda t: (t[0], t[1], True, t[2])), exact=True),
    Operation("std_mean", reduced(distinct, least=2).map(lambda t: (t[0], t[1], True, t[2]))),
    Operation("nansum", reduced(), exact=True, conventions=((([math.nan, 1.0],), [[0, 1]]),)), Operation("nanmean", reduced()),
    Operation("aminmax", along(of=distinct), exact=True, call=lambda aminmax, x, dim: aminmax(x, dim=dim)),
    Operation("dist", apart()),
    Operation("cdist", st.sampled_from([(2, 2), (1, 3)]).flatmap(lambda s: distinct((5, 2)).map(lambda x: (x[: s[0]], x[s[0] : s[0] + s[1]])))),
    Operation("median", along(st.booleans(), of=distinct), exact=True),
    Operation("kthvalue", along(of=distinct).map(lambda t: (t[0], 1, t[1])), exact=True),
    Operation("trace", matrices().map(lambda t: (t[0].reshape(-1, t[0].shape[-1]),) if t[0].size else (np.ones((2, 3)),)), exact=True),
    Operation("amax", reduced(awkward), exact=True, conventions=(((X,), [[0, 0.5, 0.5]]), (([np.nan, 1.0],), [[1, 0]]))),
    Operation("amin", reduced(awkward), exact=True, conventions=((([1.0, 1.0, 3.0],), [[0.5, 0.5, 0]]), (([np.nan, 1.0],), [[1, 0]]))),
    Operation("max", along(st.booleans(), of=distinct), exact=True, conventions=(((X, 0), [[0, 1, 0]]), ((X,), [[0, 0.5, 0.5]]))),
    Operation("min", along(st.booleans(), of=distinct), exact=True),
    Operation("logsumexp", reduced()), Operation("softmax", along()), Operation("log_softmax", along()),
    Operation("cumsum", along(), exact=True), Operation("cumprod", along(of=awkward), exact=True),
    # shapes
    Operation("reshape", reshapings(), exact=True), Operation("view", reshapings(), exact=True, options=IN_ORDER),
    Operation("flatten", one(), exact=True), Operation("ravel", one(), exact=True),
    Operation("unflatten", along(), call=lambda unflatten, x, d: unflatten(x, d, (1, -1)), exact=True),
    Operation("squeeze", st.one_of(one(), along()), exact=True), Operation("unsqueeze", along(), exact=True),
    Operation("transpose", shapes(min_dims=1).flatmap(lambda s: tuples(arrays(s), draw.axis(len(s)), draw.axis(len(s)))), exact=True),
    Operation("permute", permutations(), exact=True, call=lambda permute, x, dims: permute(x, *dims)),
    Operation("movedim", shapes(min_dims=1).flatmap(lambda s: tuples(arrays(s), draw.axis(len(s)), draw.axis(len(s)))), exact=True),
    Operation("T", one(), exact=True), Operation("t", shapes(max_dims=2).flatmap(lambda s: tuples(arrays(s))), exact=True),
    Operation("mT", matrices(), exact=True),
    Operation("expand", shapes().flatmap(lambda s: tuples(arrays(tuple(1 for _ in s)), (2, *s))), exact=True),
    Operation("broadcast_to", shapes().flatmap(lambda s: tuples(arrays(s), (2, *s))), exact=True),
    Operation("expand_as", shapes().flatmap(lambda s: tuples(arrays(s[1:]), np.zeros(s, int))), exact=True),
    Operation("reshape_as", one().map(lambda t: (*t, np.zeros(t[0].shape[::-1], int))), exact=True),
    Operation("view_as", one().map(lambda t: (*t, np.zeros(t[0].shape[::-1], int))), exact=True, options=IN_ORDER),
    Operation("repeat", repeats(), exact=True, call=lambda repeat, x, counts: repeat(x, *counts)),
    Operation("tile", tiles(), exact=True, call=lambda tile, x, counts: tile(x, *counts)),
    Operation("repeat_interleave", along().map(lambda t: (t[0], 2, t[1])), exact=True),
    Operation("flip", along(), exact=True),
    Operation("roll", rolls(), exact=True),
    Operation("cat", several_arrays(), exact=True, call=listed), Operation("stack", several_arrays(same=True), exact=True, call=listed),
    Operation("split", along(st.integers(1, 3)).map(lambda t: (t[0], t[2], t[1])), exact=True),
    Operation("chunk", along(st.integers(1, 3)).map(lambda t: (t[0], t[2], t[1])), exact=True),
    Operation("unbind", along(), exact=True),
    *(Operation(name, several_arrays(same=True).map(lambda t: t[:-1]), exact=True, call=lambda f, *xs: f(list(xs)))
      for name in ("hstack", "vstack", "dstack", "column_stack")),
    *(Operation(name, one(), exact=True) for name in ("atleast_1d", "atleast_2d", "atleast_3d")),
    *(Operation(name, matrices(), exact=True) for name in ("fliplr", "flipud", "rot90")),
    Operation("broadcast_tensors", two(), exact=True),
    Operation("tensor_split", along(st.integers(1, 3)).map(lambda t: (t[0], t[2], t[1])), exact=True),
    Operation("cartesian_prod", st.tuples(*(shapes(min_dims=1, max_dims=1, min_side=1).flatmap(arrays),) * 2), exact=True),
    Operation("meshgrid", st.tuples(*(shapes(min_dims=1, max_dims=1, min_side=1).flatmap(arrays),) * 2), exact=True),
    Operation("tril", matrices(st.integers(-1, 1)), exact=True), Operation("triu", matrices(st.integers(-1, 1)), exact=True),
    Operation("diagonal", diagonals(), exact=True),
    Operation("diag", st.one_of(shapes(min_dims=1, max_dims=1, min_side=1), shapes(min_dims=2, max_dims=2, min_side=2)).flatmap(
        lambda s: tuples(arrays(s), st.integers(-1, 1))), exact=True),
    Operation("pad", paddings(), exact=True),
    Operation("clone", one(), exact=True), Operation("contiguous", shapes(min_dims=2, min_side=2).flatmap(lambda s: tuples(arrays(s))), exact=True, call=lambda contiguous, x: contiguous(x.T)),
    # indexing
    Operation("getitem", with_index(), exact=True),
    Operation("select", along().map(lambda t: (*t, -1)), exact=True), Operation("narrow", along().map(lambda t: (*t, 0, 1)), exact=True),
    Operation("take", filled.flatmap(lambda s: tuples(arrays(s), draw.places_along(math.prod(s), (4,)))), exact=True),
    Operation("index_select", filled.flatmap(lambda s: tuples(arrays(s), 0, draw.places(s[0], (4,)))), exact=True),
    Operation("gather", indexed(), exact=True),
    Operation("take_along_dim", indexed(everywhere=True).map(lambda t: (t[0], t[2], t[1])), exact=True),
    Operation("scatter", indexed(source=True), exact=True),
    Operation("scatter_add", indexed(source=True), exact=True),
    Operation("index_add", filled.flatmap(lambda s: draw.places(s[0], (3,)).flatmap(
        lambda i: tuples(arrays(s), 0, i, arrays((3, *s[1:]))))), exact=True),
    Operation("index_fill", filled.flatmap(lambda s: tuples(arrays(s), 0, draw.places(s[0], (2,)), 3)), exact=True),
    Operation("index_copy", filled.flatmap(lambda s: tuples(arrays(s), 0, np.array([s[0] - 1]), arrays((1, *s[1:])))), exact=True),
    Operation("sort", along(st.booleans(), of=distinct), exact=True),
    Operation("topk", along(of=distinct).map(lambda t: (t[0], 1, t[1])), exact=True),
    # contractions
    Operation("matmul", draw.matmul_operands(), exact=True), Operation("mm", matrix_pair(), exact=True),
    Operation("bmm", matrix_pair(batch=1), exact=True),
    Operation("mv", matrix_pair().map(lambda t: (t[0], t[1][:, 0])), exact=True),
    Operation("dot", filled.flatmap(lambda s: tuples(arrays(s[:1]), arrays(s[:1]))), exact=True),
    Operation("inner", filled.flatmap(lambda s: tuples(arrays(s), arrays(s[-1:]))), exact=True),
    Operation("outer", st.tuples(*(shapes(min_dims=1, max_dims=1).flatmap(arrays),) * 2), exact=True),
    Operation("addmm", matrix_pair().flatmap(lambda t: tuples(arrays((t[0].shape[0], t[1].shape[1])), *t)), exact=True,
              call=lambda addmm, c, a, b: addmm(c, a, b, beta=2, alpha=3)),
    Operation("tensordot", contracted_pairs(), exact=True),
    Operation("einsum", draw.einsum_operands(), exact=True),
    Operation("conv2d", draw.conv2d_operands(), exact=True),
    Operation("conv1d", draw.conv2d_operands().map(in_a_row), exact=True),
    Operation("conv_transpose2d", draw.conv_transpose2d_operands(), exact=True),
    Operation("conv_transpose1d", draw.conv_transpose2d_operands().map(in_a_row), exact=True),
    Operation("max_pool1d", draw.max_pool2d_operands().map(in_a_row), exact=True),
    Operation("max_pool2d", draw.max_pool2d_operands(), exact=True),
    Operation("avg_pool1d", draw.avg_pool2d_operands().map(lambda t: in_a_row(t)[:-1]), exact=True),
    Operation("avg_pool2d", draw.avg_pool2d_operands(), exact=True),
    Operation("adaptive_max_pool2d", tuples(distinct((1, 2, 3, 4)), st.tuples(st.integers(1, 4), st.integers(1, 5))),
              call=lambda pool, x, size: pool(x, output_size=size)[0], exact=True),
    Operation("unfold", draw.conv2d_operands().map(lambda t: (t[0], t[1].shape[2:], t[5], t[4], t[3])), exact=True),
    Operation("fold", draw.fold_operands(), exact=True),
    Operation("linear", linear_operands(), exact=True),
    # fused
    Operation("cross_entropy", classified()),
    Operation("layer_norm", normalised()),
    Operation("batch_norm", normalised(batch=True), call=batch_normalised),
    # adjoints, and other parts of rules that are nobody's name
    Operation("identity", one(), exact=True), Operation("gate", masked(), exact=True),
    Operation("astype", one(), call=lambda astype, x: astype(x, dtype=x.dtype), exact=True),
    Operation("sum_to", draw.broadcastable(2).flatmap(lambda s: tuples(arrays(np.broadcast_shapes(*s)), s[0])), exact=True,
              call=lambda sum_to, x, to: sum_to(x, to=to)),
    Operation("spread", reduced().map(reduced_back), exact=True,
              call=lambda spread, x, dim, keepdim, to: spread(x, dim=dim, keepdim=keepdim, to=to)),
    Operation("exclusive_cumprod", along(of=awkward), call=lambda f, x, dim: f(x, dim=dim), exact=True),
    Operation("crop", matrices(st.just(((0, 1), (1, 0))), least=1), call=lambda crop, x, widths: crop(
        x, widths=(*((0, 0),) * (x.ndim - 2), *widths)), exact=True),
    Operation("from_diagonal", filled.flatmap(lambda s: tuples(arrays(s), st.integers(-1, 1))), exact=True,
              call=lambda f, x, k: f(x, offset=k, dim1=0, dim2=-1, to=(x.shape[-1] + abs(k), *x.shape[:-1], x.shape[-1] + abs(k)))),
    Operation("add_back", filled.flatmap(lambda s: draw.places(s[0], (3,)).flatmap(
        lambda i: tuples(arrays((3, *s[1:])), i, s))), exact=True, call=lambda f, x, i, to: f(x, i, template=(ARRAY,), to=to)),
    Operation("scatter_sum", indexed(source=True), exact=True,
              call=lambda f, to, dim, i, x: f(x, i, dim=dim % to.ndim, to=tuple(to.shape))),
    Operation("put", filled.flatmap(lambda s: st.permutations(range(math.prod(s))).flatmap(
        lambda order: tuples(arrays(s), arrays((1,)), np.array(order[:1])))), exact=True),
    Operation("conv2d_input_gradient", draw.conv2d_operands(), call=convolved_back, exact=True),
    Operation("cross_entropy_gradient", classified().map(lambda t: (t[0][:, 0], *t))),
    Operation("conv2d_weight_gradient", draw.conv2d_operands(), call=weights_back, exact=True),
]
# fmt: on

OPERATIONS: dict[str, Operation] = {row.name: row for row in ROWS}
CONSTANT = {  # they have no derivative: whatever they are given, nothing flows through them
    "all", "allclose", "any", "argmax", "argwhere", "bincount", "broadcast_shapes", "count_nonzero", "isin", "unique", "argmin", "argsort", "bitwise_and", "bitwise_not", "bitwise_or",
    "bitwise_xor", "detach", "eq", "equal", "ge", "gt", "isclose", "isfinite",
    "isinf", "isnan", "le", "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "ne", "nonzero",
    "one_hot",
}  # fmt: skip
