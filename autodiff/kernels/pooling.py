"""Pooling of planes: the largest element of each window, and its place."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from . import jit
from .convolution import Geometry, Pair
from .gemm import DTYPES

LARGE = 1 << 15  # elements: from here on compiled loops (docs/benchmarks.md) are worth compiling


def max_pool2d(
    x: np.ndarray, *, kernel_size: Pair, stride: Pair, padding: Pair = (0, 0),
    dilation: Pair = (1, 1), ceil_mode: bool = False,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(values, indices): the largest element of each window of x (N, C, H, W), and where it stands
    in its plane, row * W + column. Of equal elements the first; of NaN, which wins, the last.

    Padding is minus infinity. `ceil_mode` lets the last windows reach beyond the lower and right
    edge, if they begin before it.
    """
    (height, width), (top, left) = x.shape[2:], padding
    options = zip((height, width), kernel_size, stride, padding, dilation, strict=True)
    (tops, first_rows), (lefts, first_columns) = (
        pooled(n, k, s, p, d, ceil_mode) for n, k, s, p, d in options
    )
    counts = (len(tops), len(lefts))
    refuse_no_windows(x.shape, counts)
    area = Geometry(kernel_size, stride, padding, dilation, counts)
    firsts = first_rows[:, None] * width + first_columns
    if x.size >= LARGE and x.dtype in DTYPES and not jit.unusable():
        from . import direct_pooling

        return direct_pooling.max_pool2d(bordered(x, area), firsts, -top * width - left, width, area)
    return largest(x, firsts, area)


def bordered(x: np.ndarray, area: Geometry) -> np.ndarray:
    """x with all that its windows reach: what is not there is the least there is. In order in memory."""
    (n, c, height, width), (top, left) = x.shape, area.padding
    below, right = (s.stop for s in area.seen(area.kernel[0] - 1, area.kernel[1] - 1))
    shape = (n, c, max(below, top + height), max(right, left + width))
    if shape == x.shape:
        return np.ascontiguousarray(x)
    wide = np.full(shape, least(x.dtype), x.dtype)
    wide[:, :, top : top + height, left : left + width] = x
    return wide


def least(dtype: np.dtype):
    """The least number of a dtype: minus infinity, if it has that."""
    return -math.inf if dtype.kind in "fO" else np.iinfo(dtype).min


def largest(x: np.ndarray, firsts: np.ndarray, area: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """`max_pool2d` in NumPy, for arrays of any dtype; `firsts` has the first place inside of each window."""
    (n, c, _, width), (top, left) = x.shape, area.padding
    wide = bordered(x, area)
    values = np.full((n, c, *area.counts), least(x.dtype), x.dtype)
    indices = np.empty((n, c, *area.counts), np.int64)
    indices[...] = firsts
    rows, columns = (np.arange(m) * s for m, s in zip(area.counts, area.stride, strict=True))
    for i, j in np.ndindex(*area.kernel):
        candidate = wide[:, :, *area.seen(i, j)]
        row, column = rows - top + i * area.dilation[0], columns - left + j * area.dilation[1]
        better = (candidate > values) | (candidate != candidate)
        np.copyto(values, candidate, where=better)
        np.copyto(indices, row[:, None] * width + column, where=better)
    return values, indices


def pooled(
    n: int, k: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Where each window begins along a dimension of n elements, and its first element inside."""
    if k < 1 or stride < 1 or dilation < 1:
        raise RuntimeError(
            "kernel size, stride and dilation should be greater than zero, but got "
            f"{k}, {stride} and {dilation}"
        )
    span = dilation * (k - 1) + 1
    if not 0 <= padding <= k // 2:
        raise RuntimeError(
            "pad should be smaller than or equal to half of kernel size, and not negative, but got "
            f"pad = {padding}, kernel size = {k}"
        )
    room = n + 2 * padding - span
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    if (count - 1) * stride >= n + padding:
        count -= 1  # with ceil_mode: it would begin beyond the edge
    start = np.arange(max(count, 0)) * stride - padding
    first = start + np.maximum(-(start // dilation), 0) * dilation
    if (first >= np.minimum(n, start + span)).any():
        raise RuntimeError(
            f"a window of {k} elements, {dilation} apart, lies wholly in the padding of an input of "
            f"size {n}. Try: less padding or dilation"
        )
    return start, first


def refuse_no_windows(shape: tuple[int, ...], counts: Pair) -> None:
    """PyTorch's error where not one window fits."""
    if min(counts) == 0:
        c, height, width = shape[1:]
        raise RuntimeError(
            f"Given input size: ({c}x{height}x{width}). Calculated output size: "
            f"({c}x{counts[0]}x{counts[1]}). Output size is too small"
        )


def adaptive_max_pool2d(x: np.ndarray, *, output_size: Pair) -> tuple[np.ndarray, np.ndarray]:
    """(values, indices) as of `max_pool2d`, for so many windows of as equal sizes as can be: the i-th of
    m along a dimension of n elements is [floor(i n / m), ceil((i + 1) n / m))."""
    height, width = x.shape[2:]
    rows, columns = (spans(size, m) for size, m in zip((height, width), output_size, strict=True))
    values = np.ascontiguousarray(x[:, :, rows.places[:, :1], columns.places[:, 0]])
    indices = np.broadcast_to(rows.places[:, :1] * width + columns.places[:, 0], values.shape).copy()
    for i, j in np.ndindex(rows.places.shape[1], columns.places.shape[1]):
        row, column = rows.places[:, i, None], columns.places[:, j]  # beyond a window's end: its last again
        candidate = x[:, :, row, column]
        better = (candidate > values) | (candidate != candidate)
        np.copyto(values, candidate, where=better)
        np.copyto(indices, row * width + column, where=better)
    return values, indices


class Spans(NamedTuple):
    """Windows along a dimension: the places of each, the last repeated up to the longest, and how many
    they are."""

    places: np.ndarray
    lengths: np.ndarray


def spans(n: int, m: int) -> Spans:
    """The m windows, of as equal sizes as can be, along n elements."""
    starts, ends = np.arange(m) * n // m, -(-np.arange(1, m + 1) * n // m)
    lengths = ends - starts
    places = starts[:, None] + np.arange(lengths.max(initial=1))
    return Spans(np.minimum(places, ends[:, None] - 1), lengths)
