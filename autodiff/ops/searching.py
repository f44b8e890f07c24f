"""Which elements there are, how often, and which is in the middle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..graph import Variable
from .elementwise import equal_to, logical_or, not_equal, select
from .indexing import at, chosen_along, gathered, in_line, looked_at, masked_select, nonzero, sorting
from .naming import numpy_names, positive
from .reductions import largest, total
from .shapes import reshape

TO_SORT = "to sort its elements out"  # how these look at what they are given


@numpy_names
def kthvalue(input, k, dim=-1, keepdim=False):
    """(values, indices) of the k-th smallest along `dim`, k from 1."""
    line, dim = in_line(input), positive(dim, input.ndim)
    if not 1 <= k <= line.shape[dim]:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}: {k}")
    place = at(sorting(line, dim=dim, descending=False), dim, slice(k - 1, k))
    return chosen_along(line, place, dim, keepdim, input.ndim)


@numpy_names
def median(x, dim=None, keepdim=False):
    """The one in the middle, of two the lower, or NaN if there is one; along `dim`, (values, indices). Without
    `dim`, all elements that equal it share the gradient."""
    if dim is None:
        if not math.prod(x.shape):
            return total(x) + math.nan
        x = reshape(x, -1)
        hit = logical_or(equal_to(x, median(x, 0).values), not_equal(x, x))
        return largest(masked_select(x, hit))
    line, dim = in_line(x), positive(dim, x.ndim)
    n = line.shape[dim]
    if n == 0:
        raise IndexError(f"median(): Expected reduction dim {dim} to have non-zero size.")
    order = sorting(line, dim=dim, descending=False)  # NaN comes last
    middle, last = at(order, dim, slice((n - 1) // 2, (n + 1) // 2)), at(order, dim, slice(n - 1, n))
    highest = gathered(line, last, dim=dim)
    return chosen_along(line, select(not_equal(highest, highest), last, middle), dim, keepdim, x.ndim)


def argwhere(input):
    """The indices of the elements that are not zero, a row each."""
    return nonzero(input)


def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None) -> Any:
    """The elements that there are, each once and in order, NaN as often as it occurs; of slices along `dim`,
    if it is given. Then, if asked for, which of them each element of input is, and how often each occurs. They
    have no derivative."""
    looked_at(input, how=TO_SORT)
    array = values_of(input)
    if dim is not None and 0 in array.shape and (array.shape[dim] or array.shape.count(0) > 1):
        raise RuntimeError(
            "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied: slices of "
            f"shape {list(array.shape)} along dimension {dim} hold no elements"
        )
    found, inverse, counts = np.unique(array, False, True, True, axis=dim, equal_nan=False)
    results = [found, inverse.reshape(array.shape) if dim is None else inverse.reshape(-1), counts]
    wanted = [
        each for each, asked in zip(results, (True, return_inverse, return_counts), strict=True) if asked
    ]
    wanted = [input.wrap(each) if isinstance(input, Variable) else each for each in wanted]
    return tuple(wanted) if len(wanted) > 1 else wanted[0]


def bincount(input, weights=None, minlength=0):
    """How often each of 0, 1, 2 … occurs among whole numbers; or the sums of their weights."""
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0, and it is {minlength}")
    looked_at(input, how=TO_SORT)
    numbers = values_of(input)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iub" or (numbers.size and numbers.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is not None and weights.shape != input.shape:
        raise ShapeError("weights should be 1-d and have the same length as input")
    counts = np.bincount(numbers, None if weights is None else values_of(weights), minlength)
    if weights is not None and weights.dtype == np.float32:
        counts = counts.astype(np.float32)
    return input.wrap(counts) if isinstance(input, Variable) else counts


def isin(elements, test_elements, *, assume_unique=False, invert=False):
    """Is each element one of the test elements?"""
    like = next((x for x in (elements, test_elements) if isinstance(x, Variable)), None)
    looked_at(elements, test_elements, how=TO_SORT)
    answer = np.isin(values_of(elements), values_of(test_elements), assume_unique, invert)
    return like.wrap(answer) if like is not None else answer


def values_of(x) -> np.ndarray:
    """The array of a Variable, or of anything else."""
    return x.array if isinstance(x, Variable) else np.asarray(x)
