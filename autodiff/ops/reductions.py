"""Reductions: many elements to one, along some dimensions or all."""

from __future__ import annotations

import math
from functools import wraps
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import FRACTIONAL
from ..errors import RangeError, ShapeError
from ..kernels import softmax as kernels
from ..primitive import MANY, added, added_in, broadcast_view, constant, general, linear_map, row_major
from .elementwise import abs as absolute
from .elementwise import (
    as_dtype,
    as_number,
    equal_to,
    exp,
    gate,
    maximum,
    minimum,
    not_equal,
    power,
    select,
    signum,
    sqrt,
    square,
    sub,
)
from .indexing import ValuesAndIndices, chosen_along, in_line, taken
from .naming import dimensions, numpy_names, positive
from .shapes import flipped, inverse, permuted, reshaped, stacked, unsqueeze, zero_pad


def _sum(x, *, dim=None, keepdim=False):
    """Σ x over `dim`; integers and booleans as 64-bit integers."""
    return row_major(added(x, dim, keepdim))


def _mean(x, *, dim=None, keepdim=False):
    """Σ x / n over `dim`."""
    return row_major(added(x, dim, keepdim) / count(x.shape, dim))


def _spread(x, *, dim, keepdim, to):
    """x repeated to the shape `to` along the dimensions that a sum over `dim` took away."""
    return broadcast_view(x if dim is None and x.ndim == 0 else x.reshape(kept(to, dim)), to)


def kept(shape, dim) -> tuple:
    """`shape` with the reduced dimensions kept as 1."""
    if dim is None:
        return (1,) * len(shape)
    dim = {d % len(shape) for d in (dim if isinstance(dim, tuple) else (dim,))} if shape else {0}
    return tuple(1 if k in dim else n for k, n in enumerate(shape))


def kept_dim(y, x_shape, dim):
    """A reduced y with its reduced dimensions kept as 1, so that it broadcasts against x."""
    return reshaped(y, to=kept(x_shape, dim))


def _chosen(name, reduce):
    """`reduce`, which chooses one element of many: of none there is nothing to choose."""

    def forward(x, *, dim=None, keepdim=False):
        if x.size == 0:
            refuse_empty(name, x.shape, dim)
        return row_major(reduce(x, axis=dim, keepdims=keepdim))

    return forward


def refuse_empty(name, shape, dim) -> None:
    """PyTorch's errors for a choice among no elements."""
    if dim is None:
        raise RangeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the "
            "reduction dim with the 'dim' argument."
        )
    for d in dim if isinstance(dim, tuple) else (dim,):
        if shape[positive(d, len(shape))] == 0:
            raise IndexError(f"{name}(): Expected reduction dim {d} to have non-zero size.")


def ties(g, y, x, dim):
    """g, split evenly among the elements of x that equal the extreme y, or are NaN: then so is y."""
    hit = as_number(equal_to(x, kept_dim(y, x.shape, dim))) + as_number(not_itself(x))
    return kept_dim(g, x.shape, dim) * hit / total(hit, dim=dim, keepdim=True)


def not_itself(x):
    """Where x is NaN: of any dtype, exact numbers too, which np.isnan does not take."""
    return x != x


def _logsumexp(x, *, dim, keepdim=False):
    """log Σ exp x over `dim`, computed without overflow."""
    return row_major(kernels.logsumexp(x, dim, keepdim))


def _softmax(x, *, dim):
    """exp x / Σ exp x along `dim`."""
    return row_major(kernels.softmax(x, dim))


def _log_softmax(x, *, dim):
    """x − log Σ exp x along `dim`."""
    return row_major(kernels.log_softmax(x, dim))


def _running(accumulate):
    """`accumulate` along `dim`, in the dtype that `added_in` names; many float32 in float64."""

    def forward(x, *, dim):
        many = x.dtype.char == "f" and x.size >= MANY and x.shape[dim] >= MANY
        dtype = np.float64 if many else added_in(x.dtype)
        y = row_major(accumulate(x, axis=dim, dtype=dtype))
        return y.astype(x.dtype) if x.dtype.kind == "f" and y.dtype != x.dtype else y

    return forward


def _prod(x, *, dim=None, keepdim=False):
    """Π x over `dim`."""
    dtype = added_in(x.dtype)
    y = row_major(np.multiply.reduce(x, axis=dim, keepdims=keepdim, dtype=dtype))
    return y.astype(x.dtype) if dtype is np.float32 else y


# fmt: off
total  = linear_map("sum", _sum, lambda g, x_shape, dim, keepdim: spread(g, dim=dim, keepdim=keepdim, to=x_shape))
spread = linear_map("spread", _spread, lambda g, dim, keepdim: total(g, dim=dim, keepdim=keepdim))
average = linear_map("mean", _mean, lambda g, x_shape, dim, keepdim:
                     spread(g / count(x_shape, dim), dim=dim, keepdim=keepdim, to=x_shape))
running_sum = linear_map("cumsum", _running(np.add.accumulate),
                         lambda g, dim: flipped(running_sum(flipped(g, dim=dim), dim=dim), dim=dim))

largest  = general("amax", _chosen("amax", np.maximum.reduce), lambda g, y, x, dim: ties(g, y, x, dim), promotes=False)
smallest = general("amin", _chosen("amin", np.minimum.reduce), lambda g, y, x, dim: ties(g, y, x, dim), promotes=False)
place_of_largest  = constant("argmax", _chosen("argmax", np.argmax))
place_of_smallest = constant("argmin", _chosen("argmin", np.argmin))
every = constant("all", lambda x, *, dim=None, keepdim=False: row_major(np.logical_and.reduce(x, axis=dim, keepdims=keepdim)))
some  = constant("any", lambda x, *, dim=None, keepdim=False: row_major(np.logical_or.reduce(x, axis=dim, keepdims=keepdim)))

logsumexp_ = general("logsumexp", _logsumexp,
                     lambda g, x, dim: kept_dim(g, x.shape, dim) * normalised(x, dim),
                     jvp=lambda t, x, dim, keepdim: total(t * normalised(x, dim), dim=dim, keepdim=keepdim),
                     to_float=True)
softmax_ = general("softmax", _softmax, lambda g, y, dim: (g - total(g * y, dim=dim, keepdim=True)) * y,
                   jvp=lambda t, y, dim: (t - total(t * y, dim=dim, keepdim=True)) * y, to_float=True)
log_softmax_ = general("log_softmax", _log_softmax, lambda g, y, dim: g - total(g, dim=dim, keepdim=True) * exp(y),
                       jvp=lambda t, y, dim: t - total(t * exp(y), dim=dim, keepdim=True), to_float=True)

product = general("prod", _prod,
                  lambda g, x, dim: kept_dim(g, x.shape, dim) * products_of_others(x, dim), promotes=False)
running_product = general("cumprod", _running(np.multiply.accumulate),
                          lambda g, x, dim: cumprod_vjp(g, x, dim), promotes=False)
exclusive = general("exclusive_cumprod", lambda x, *, dim: exclusive_product(x, dim),
                    lambda g, x, dim: exclusive_vjp(g, x, dim), promotes=False)
# fmt: on


# ---- parts of the rules ------------------------------------------------------------------------


def normalised(x, dim):
    """softmax of x over `dim`, which may be several dimensions."""
    if isinstance(dim, int):
        return softmax_(x, dim=dim)
    return exp(x - logsumexp_(x, dim=dim, keepdim=True))


def exclusive_product(x, dim):
    """y_k = x_0 · … · x_{k−1} along `dim`: the running product of what lies before."""
    ones = np.ones_like(np.take(x, [0], dim)) if x.shape[dim] else x
    before = [slice(None)] * x.ndim
    before[dim] = slice(0, -1)
    return np.multiply.accumulate(np.concatenate([ones, x[tuple(before)]], dim), dim)


def products_of_others(x, dim):
    """For each element, the product of all the others reduced with it: exact at any number of
    zeros, for nothing is divided."""
    shape, rank = x.shape, len(x.shape)
    if rank == 0:
        return power(x, 0)
    reduced = range(rank) if dim is None else (dim if isinstance(dim, tuple) else (dim,))
    reduced = [d % rank for d in reduced]
    others = [d for d in range(rank) if d not in reduced]
    order = (*others, *reduced)
    moved = permuted(x, dims=order)
    flat = reshaped(moved, to=(*(shape[d] for d in others), math.prod(shape[d] for d in reduced)))
    if 0 in flat.shape:
        return x
    left = exclusive(flat, dim=-1)
    right = flipped(exclusive(flipped(flat, dim=-1), dim=-1), dim=-1)
    return permuted(reshaped(left * right, to=tuple(shape[d] for d in order)), dims=inverse(order))


def exclusive_vjp(g, x, dim):
    """The vjp of `exclusive`: with y_k = Π_{j<k} x_j, x̄_i = Σ_{k>i} g_k Π_{j<k, j≠i} x_j. The sum
    obeys s_i = g_{i+1} + x_{i+1} s_{i+1} from the end, so that x̄_i = y_i · s_i."""
    return exclusive(x, dim=dim) * suffix_sums(shifted(g, dim), x, dim)


def cumprod_vjp(g, x, dim):
    """The vjp of `cumprod`: y_k = Π_{j≤k} x_j; x̄_i = (Π_{j<i} x_j) · s_i, s_i = g_i + x_{i+1} s_{i+1}."""
    return exclusive(x, dim=dim) * suffix_sums(g, x, dim)


def shifted(g, dim):
    """g moved one place towards the front along `dim`, a zero coming in at the end."""
    dim %= len(g.shape)
    template = (slice(None),) * dim + (slice(1, None),)
    widths = tuple((0, 1 if d == dim else 0) for d in range(len(g.shape)))
    return zero_pad(taken(g, template=template), widths=widths) if g.shape[dim] else g


def suffix_sums(g, x, dim):
    """s_i = g_i + x_{i+1}·s_{i+1} along `dim`, from the end."""
    dim %= len(g.shape)
    n = g.shape[dim]
    if n == 0:
        return g
    pick = lambda a, k: taken(a, template=(slice(None),) * dim + (k,))
    s = [pick(g, n - 1)]
    for k in range(n - 2, -1, -1):
        s.append(pick(g, k) + pick(x, k + 1) * s[-1])
    return stacked(*reversed(s), dim=dim)


# ---- PyTorch's spellings -----------------------------------------------------------------------


def rounded_once(function):
    """`function`, of float16 computed in float32: else each of its steps would round, and sums overflow soon."""

    @wraps(function)
    def computed(x, *args, **kwargs):
        if x.dtype.char != "e":
            return function(x, *args, **kwargs)
        return as_dtype(function(as_dtype(x, np.float32), *args, **kwargs), np.float16)

    return computed


@numpy_names
def sum(x, dim=None, keepdim=False, *, dtype=None):
    """Σ x over `dim`, or over everything."""
    if dtype is not None:
        return as_dtype(sum(as_dtype(x, dtype), dim, keepdim), dtype)
    if dim is None and not keepdim:
        return total(x)
    return total(x, dim=dimensions(dim, x.ndim), keepdim=keepdim)


@numpy_names
def mean(x, dim=None, keepdim=False, *, dtype=None):
    """Σ x / n over `dim`, or over everything."""
    x = as_dtype(x, dtype)
    if x.dtype.char == "e":
        return as_dtype(mean(x, dim, keepdim, dtype=np.float32), np.float16)
    if x.dtype.kind not in FRACTIONAL:
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point "
            f"or complex dtype. Got: {x.dtype}: write x.float().mean()"
        )
    return average(x, dim=dimensions(dim, x.ndim), keepdim=keepdim)


def count(shape, dim) -> int:
    """How many elements a reduction over `dim` takes together."""
    if dim is None:
        return math.prod(shape)
    each = dim if isinstance(dim, tuple) else (dim,)
    return math.prod(shape[positive(d, len(shape))] if shape else 1 for d in each)


@numpy_names
@rounded_once
def var(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """Σ (x − mean)² / (n − correction) over `dim`; the correction is 1 unless said otherwise."""
    if isinstance(dim, bool):  # var(unbiased)
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    dim = dimensions(dim, x.ndim)
    centred = sub(x, mean(x, dim, True))
    degrees = count(x.shape, dim) - correction
    squares = total(square(centred), dim=dim, keepdim=keepdim)
    if degrees > 0:
        return squares / degrees
    return squares / 0.0 if count(x.shape, dim) else squares * math.nan


@numpy_names
@rounded_once
def std(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """√var. Its derivative where all values are equal is 0."""
    return root(var(x, dim, unbiased, keepdim, correction=correction))


@numpy_names
def var_mean(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """(var, mean) over `dim`."""
    dim, unbiased = (None, dim) if isinstance(dim, bool) else (dim, unbiased)
    return var(x, dim, unbiased, keepdim, correction=correction), mean(x, dim, keepdim)


@numpy_names
def std_mean(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """(std, mean) over `dim`."""
    dim, unbiased = (None, dim) if isinstance(dim, bool) else (dim, unbiased)
    return std(x, dim, unbiased, keepdim, correction=correction), mean(x, dim, keepdim)


@numpy_names
def nansum(x, dim=None, keepdim=False, *, dtype=None):
    """Σ x over `dim`, where NaN counts as 0."""
    return sum(select(not_itself(x), 0, x), dim, keepdim, dtype=dtype)


@numpy_names
def nanmean(x, dim=None, keepdim=False, *, dtype=None):
    """The mean over `dim` of what is not NaN."""
    if x.dtype.kind not in FRACTIONAL:
        raise RuntimeError(
            f"nanmean(): expected input to have floating point or complex dtype but got {x.dtype}: write .float()"
        )
    x = as_dtype(x, dtype)
    if x.dtype.char == "e":
        return as_dtype(nanmean(x, dim, keepdim, dtype=np.float32), np.float16)
    return nansum(x, dim, keepdim) / sum(equal_to(x, x), dim, keepdim)


@numpy_names
def count_nonzero(x, dim=None):
    """How many elements are not 0, over `dim`."""
    return sum(not_equal(x, 0), dim)


def root(x):
    """√x, whose derivative at 0 counts as 0: for norms and deviations, which have a kink there."""
    zero = equal_to(x, 0)
    return select(zero, gate(x, zero == False), sqrt(select(zero, 1, x)))  # noqa: E712


@numpy_names
def prod(x, dim=None, keepdim=False, *, dtype=None):
    """Π x over `dim`, or over everything. Its gradient is exact at any number of zeros."""
    return as_dtype(product(as_dtype(x, dtype), dim=dimensions(dim, x.ndim), keepdim=keepdim), dtype)


@numpy_names
def aminmax(x, *, dim=None, keepdim=False):
    """(min, max) over `dim`, or over everything."""
    return LeastAndLargest(amin(x, dim, keepdim), amax(x, dim, keepdim))


class LeastAndLargest(NamedTuple):
    """What aminmax gives."""

    min: Any
    max: Any


def extreme(x, dim, keepdim, whole, place, pairwise):
    """max or min in its three forms: of all elements, along `dim`, and of two tensors, the second as `dim`."""
    if dim is None:
        return whole(x, dim=None, keepdim=keepdim)
    if hasattr(dim, "shape"):
        return pairwise(x, dim)
    dim = positive(dim, x.ndim)
    if x.ndim == 0:
        return ValuesAndIndices(whole(x), place(x))
    return chosen_along(x, place(x, dim=dim, keepdim=True), dim, keepdim, x.ndim)


@numpy_names
def max(x, dim=None, keepdim=False, *, other=None):
    """The largest element; along `dim`, (values, indices); of two tensors, `maximum`."""
    return extreme(x, dim if other is None else other, keepdim, largest, place_of_largest, maximum)


@numpy_names
def min(x, dim=None, keepdim=False, *, other=None):
    """The smallest element; along `dim`, (values, indices); of two tensors, `minimum`."""
    return extreme(x, dim if other is None else other, keepdim, smallest, place_of_smallest, minimum)


@numpy_names
def amax(x, dim=None, keepdim=False):
    """The largest element over `dim`; its gradient is split evenly among ties."""
    return largest(x, dim=dimensions(dim, x.ndim), keepdim=keepdim)


@numpy_names
def amin(x, dim=None, keepdim=False):
    """The smallest element over `dim`; its gradient is split evenly among ties."""
    return smallest(x, dim=dimensions(dim, x.ndim), keepdim=keepdim)


@numpy_names
def argmax(x, dim=None, keepdim=False):
    """The index of the largest element along `dim`; in x taken as flat, without it."""
    return place_of_largest(x, dim=dimensions(dim, x.ndim), keepdim=keepdim)


@numpy_names
def argmin(x, dim=None, keepdim=False):
    """The index of the smallest element along `dim`; in x taken as flat, without it."""
    return place_of_smallest(x, dim=dimensions(dim, x.ndim), keepdim=keepdim)


@numpy_names
def all(x, dim=None, keepdim=False):
    """Are all elements true (not zero)?"""
    return whether(every, x, dim, keepdim)


@numpy_names
def any(x, dim=None, keepdim=False):
    """Is some element true (not zero)?"""
    return whether(some, x, dim, keepdim)


def whether(test, x, dim, keepdim):
    """`all` and `any`, by the primitive that tests."""
    if isinstance(dim, (tuple, list)) and not dim:  # over no dimension, not over all
        return not_equal(x, 0)
    return test(x, dim=dimensions(dim, x.ndim), keepdim=keepdim)


@numpy_names
@rounded_once
def norm(x, p: Any = 2, dim=None, keepdim=False):
    """(Σ |x|^p)^(1/p) over `dim`; p may be inf, −inf or 0. Where the norm is 0, so is the gradient."""
    dim = dimensions(dim, x.ndim)
    if p in ("fro", None):
        p = 2
    if x.dtype.kind not in FRACTIONAL:
        raise RuntimeError(f"norm(): input dtype should be floating point, got {x.dtype}")
    if p == 2:
        return root(total(square(x), dim=dim, keepdim=keepdim))
    size = absolute(x)
    if p == 1:
        return total(size, dim=dim, keepdim=keepdim)
    if p == 0:
        return total(signum(select(not_itself(size), 1, size)), dim=dim, keepdim=keepdim)
    if (p < 0 or p == math.inf) and count(x.shape, dim) == 0:
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {p} norm on an empty tensor because the operation "
            "does not have an identity"
        )
    if p in (math.inf, -math.inf):
        return (largest if p > 0 else smallest)(size, dim=dim, keepdim=keepdim)
    at_zero = 0 if p > 0 else math.inf  # what |x|^p is at 0, where its derivative is left out
    zero = equal_to(size, 0)
    powers = total(select(zero, at_zero, power(select(zero, 1, size), p)), dim=dim, keepdim=keepdim)
    nothing = equal_to(powers, at_zero)
    return select(nothing, 0, power(select(nothing, 1, powers), 1 / p))


def dist(input, other, p: Any = 2):
    """‖input − other‖ₚ of all elements."""
    return norm(sub(input, other), p)


def cdist(x1, x2, p: Any = 2.0):
    """‖x1[i] − x2[j]‖ₚ for all rows i and j of (…, n, d) and (…, m, d)."""
    for name, x in (("X1", x1), ("X2", x2)):
        if x.dtype.kind not in FRACTIONAL:
            raise RuntimeError(f"cdist only supports floating-point dtypes, {name} got: {x.dtype}")
        if x.ndim < 2:
            raise ShapeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}"
        )
    return norm(sub(unsqueeze(x1, -2), unsqueeze(x2, -3)), p, -1)


@numpy_names
@rounded_once
def logsumexp(x, dim=None, keepdim=False):
    """log Σ exp x over `dim`, computed without overflow."""
    return logsumexp_(x, dim=dimensions(dim, x.ndim), keepdim=keepdim)


@numpy_names
def softmax(x, dim=None, dtype=None):
    """exp x / Σ exp x along `dim`."""
    return along(as_dtype(x, dtype), softmax_, the_only(dim, x, "softmax"))


@numpy_names
def log_softmax(x, dim=None, dtype=None):
    """x − log Σ exp x along `dim`."""
    return along(as_dtype(x, dtype), log_softmax_, the_only(dim, x, "log_softmax"))


@rounded_once
def along(x, primitive, dim):
    """softmax or log_softmax, by its primitive."""
    return primitive(x, dim=positive(dim, x.ndim))


def the_only(dim, x, name) -> int:
    """`dim`; without it, PyTorch guesses and warns, and a vector leaves nothing to guess."""
    if dim is None and x.ndim > 1:
        raise TypeError(
            f"{name}() missing 1 required argument: 'dim'. Say along which of the {x.ndim} "
            "dimensions the result sums to one: dim=1 for (batch, classes)"
        )
    return 0 if dim is None else dim


@numpy_names
def cumsum(x, dim, *, dtype=None):
    """The running sum along `dim`."""
    return accumulated(running_sum, x, dim, dtype)


@numpy_names
def cumprod(x, dim, *, dtype=None):
    """The running product along `dim`. Its gradient is exact at any number of zeros."""
    return accumulated(running_product, x, dim, dtype)


def accumulated(running, x, dim, dtype):
    """cumsum or cumprod, by its primitive."""
    dim, line = positive(dim, x.ndim), in_line(as_dtype(x, dtype))
    y = as_dtype(running(line, dim=dim), dtype)
    return y if x.ndim else reshaped(y, to=())
