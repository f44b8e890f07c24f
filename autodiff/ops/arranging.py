"""Tensors put together, turned and parted: PyTorch's further spellings of what `shapes` does."""

from __future__ import annotations

from itertools import accumulate, combinations, pairwise
from operator import index as as_int
from typing import Any

import numpy as np

from ..errors import ShapeError, broadcast_mismatch
from ..primitive import broadcast_to
from .indexing import getitem
from .naming import Size, numpy_names, positive
from .reductions import total
from .shapes import cat, clone, diagonal, flip, meshgrid, reshape, several, stack, transpose


def atleast_1d(*tensors) -> Any:
    """A number as a vector of one element; what has dimensions as it is. Of several tensors, all."""
    return each_of(tensors, lambda x: reshape(x, 1) if x.ndim == 0 else x)


def atleast_2d(*tensors) -> Any:
    """Numbers and vectors as a matrix of one row."""
    return each_of(tensors, lambda x: reshape(x, 1, -1) if x.ndim < 2 else x)


def atleast_3d(*tensors) -> Any:
    """Numbers, vectors (1, n, 1) and matrices (m, n, 1) with three dimensions."""
    return each_of(
        tensors, lambda x: reshape(x, *((1, -1, 1) if x.ndim < 2 else (*x.shape, 1))) if x.ndim < 3 else x
    )


def each_of(tensors, function) -> Any:
    """The function of the only tensor, or of each of several."""
    if len(tensors) == 1 and not isinstance(tensors[0], (list, tuple)):
        return function(tensors[0])
    return tuple(map(function, tensors[0] if len(tensors) == 1 else tensors))


def hstack(tensors):
    """The tensors side by side: along dimension 1, vectors along their only one."""
    tensors = list(map(atleast_1d, several("hstack", tensors)))
    return cat(tensors, 0 if tensors[0].ndim == 1 else 1)


def vstack(tensors):
    """The tensors one below the other, vectors as rows."""
    return cat(list(map(atleast_2d, several("vstack", tensors))), 0)


def dstack(tensors):
    """The tensors behind each other, along dimension 2."""
    return cat(list(map(atleast_3d, several("dstack", tensors))), 2)


def column_stack(tensors):
    """The tensors side by side, vectors as columns."""
    tensors = several("column_stack", tensors)
    return hstack([reshape(x, -1, 1) if x.ndim < 2 else x for x in tensors])


def broadcast_tensors(*tensors):
    """All tensors in the shape to which they broadcast."""
    tensors = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    shape = broadcast_shapes(*(x.shape for x in tensors))
    return tuple(broadcast_to(x, to=shape) for x in tensors)


def broadcast_shapes(*shapes) -> Size:
    """The shape to which all these broadcast."""
    shapes = tuple((n,) if isinstance(n, int) else tuple(n) for n in shapes)
    for a, b in combinations(shapes, 2):
        if mismatch := broadcast_mismatch(a, b):
            raise ShapeError(mismatch)
    return Size(np.broadcast_shapes(*shapes))


def fliplr(input):
    """input, left to right: dimension 1 turned round."""
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, 1)


def flipud(input):
    """input, upside down: dimension 0 turned round."""
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, 0)


def rot90(input, k=1, dims=(0, 1)):
    """input turned k times by 90 degrees in the plane of `dims`, from the first to the second."""
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    first, second = (positive(d, input.ndim) for d in dims)
    if first == second:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    if k % 4 == 0:
        return clone(input)
    if k % 4 == 2:
        return flip(input, (first, second))
    return (
        transpose(flip(input, second), first, second)
        if k % 4 == 1
        else flip(transpose(input, first, second), second)
    )


def trace(input):
    """The sum of a matrix's diagonal."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    return total(diagonal(input))


@numpy_names
def tensor_split(x, indices_or_sections, dim=0):
    """x in so many parts along `dim`, the first ones larger by one where it does not come out even; or
    parted before each of the indices listed."""
    if x.ndim == 0:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    dim = positive(dim, x.ndim)
    n, where = x.shape[dim], indices_or_sections
    if isinstance(where, int):
        if where <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {where}")
        counts = [n // where + (k < n % where) for k in range(where)]
        where = list(accumulate(counts))[:-1]
    places = [0, *(as_int(k) for k in where), n]
    starts = [slice(a, b).indices(n) for a, b in pairwise(places)]
    return tuple(getitem(x, (slice(None),) * dim + (slice(a, max(a, b)),)) for a, b, _ in starts)


def cartesian_prod(*tensors):
    """All combinations of the elements of these vectors, a row each."""
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(x, -1) for x in meshgrid(*tensors)], 1)
