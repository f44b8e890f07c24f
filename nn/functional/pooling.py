"""Pooling: one number for each window, or for each part of a plane."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import Tensor, ops
from autodiff.errors import ShapeError
from autodiff.kernels.pooling import spans
from autodiff.ops.convolutions import adaptively_largest, as_given, images


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """The means of `output_size` parts of each sequence (N, C, L), all else as in `adaptive_avg_pool2d`."""
    return means_of_parts(input, output_size, 1)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """The means of parts of each plane (N, C, H, W), of as equal sizes as can be: the i-th of m along n
    elements is [⌊i·n/m⌋, ⌈(i + 1)·n/m⌉). `output_size` says how many, None meaning as many as elements."""
    return means_of_parts(input, output_size, 2)


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of the parts that `adaptive_avg_pool1d` takes, and their places."""
    return largest_of_parts(input, output_size, return_indices, 1)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of the parts that `adaptive_avg_pool2d` takes, and their places in the plane."""
    return largest_of_parts(input, output_size, return_indices, 2)


def largest_of_parts(input: Tensor, output_size: Any, return_indices: bool, n: int) -> Any:
    """adaptive_max_pool1d and 2d, along n dimensions."""
    check_sides(input, n)
    sizes = (1,) * (2 - n) + wanted(input, output_size, n)
    y, places = adaptively_largest(images("adaptive_max_pool", input, n), output_size=sizes)
    y, places = as_given(y, input, n), as_given(places, input, n)
    return (y, places) if return_indices else y


def means_of_parts(input: Tensor, output_size: Any, n: int) -> Tensor:
    check_sides(input, n)
    y = input
    for dim, m in enumerate(wanted(input, output_size, n), input.ndim - n):
        y = averaged_along(y, dim, m)
    return y.clone() if y is input else y


def averaged_along(x: Tensor, dim: int, m: int) -> Tensor:
    """The means of m parts along a dimension."""
    n = x.shape[dim]
    if m == n:
        return x
    if m and n % m == 0:
        return ops.mean(ops.unflatten(x, dim, (m, n // m)), dim + 1)
    parts = spans(n, m)
    longest = parts.places.shape[1]
    windows = ops.index_select(x, dim, parts.places.reshape(-1))
    windows = ops.reshape(windows, *x.shape[:dim], m, longest, *x.shape[dim + 1 :])
    after = (1,) * (x.ndim - dim - 1)
    inside = (np.arange(longest) < parts.lengths[:, None]).reshape(m, longest, *after)
    return ops.sum(ops.where(inside, windows, 0), dim + 1) / parts.lengths.reshape(m, *after)


def wanted(input: Tensor, output_size: Any, n: int) -> tuple[int, ...]:
    """The number of parts along each of the last n dimensions."""
    several = isinstance(output_size, (tuple, list))
    sizes = tuple(output_size) if several else (output_size,) * n
    if len(sizes) != n:
        raise RuntimeError(f"output_size must be {n} numbers, or one for all, but got {list(sizes)}")
    found = zip(sizes, input.shape[-n:], strict=True)
    sizes = tuple(side if size is None else int(size) for size, side in found)
    if min(sizes) < 0:
        raise RuntimeError(f"elements of output_size must be greater than or equal to 0, but got {sizes}")
    return sizes


def check_sides(input: Tensor, n: int) -> None:
    """PyTorch's error if there is nothing to take parts of."""
    if input.ndim not in (n + 1, n + 2):
        raise ShapeError(
            f"adaptive pooling of {n}D: Expected {n + 1}D or {n + 2}D input, but got shape {list(input.shape)}"
        )
    if 0 in input.shape[-n:] or input.shape[-n - 1] == 0:
        raise ShapeError(
            "adaptive pooling: Expected input to have non-zero size for non-batch dimensions, but input has "
            f"sizes {list(input.shape)}"
        )
