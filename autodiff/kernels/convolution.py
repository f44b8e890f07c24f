"""Convolution of planes: sums over a sliding window.

conv2d is linear in the images x (N, C, H, W) and in the weights w (O, C/groups, h, w), and
`conv2d_input_gradient` and `conv2d_weight_gradient` are its transposes in each. All three unroll
the windows into the columns of a matrix, a few images at a time, so that the sums become a product
of matrices (Chellapilla, Puri and Simard 2006). `unfold` and `fold` are that unrolling by itself, and
its transpose. Arrays of any dtype, exact numbers included.

Sizes, as in PyTorch: a window of k elements, `dilation` apart, spans d(k - 1) + 1 of the n + 2p
that padding leaves, and steps by s: there are floor((n + 2p - d(k - 1) - 1) / s) + 1 of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from . import jit
from .gemm import DTYPES

Pair = tuple[int, int]
UNROLLED = 1 << 18  # elements unrolled at a time: they stay in the cache between writing and reading

# The compiled loops serve where they were measured to win, and are worth compiling (docs/benchmarks.md): not for
FEW = 1 << 18  # products, or fewer,
SHORT = 8  # nor for rows of fewer columns, nor, for the gradient by w, for
MANY = 1024  # terms of a sum, or more.


class Geometry(NamedTuple):
    """The windows of a convolution: how large, how far apart, how many."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    counts: Pair

    @property
    def as_lines(self) -> bool:
        """Are windows single elements, all of them? Then a plane may as well be one long row."""
        return self.kernel == self.stride == (1, 1) and self.padding == (0, 0)

    def columns(self, plane: Any) -> int:
        """How long the rows of such a plane are."""
        return math.prod(plane) if self.as_lines else plane[1]

    def padded(self, x: np.ndarray) -> np.ndarray:
        """x between `padding` rows and columns of zeros."""
        if self.padding == (0, 0):
            return x
        y = np.zeros(self.padded_shape(x.shape), x.dtype)
        self.inside(y)[...] = x
        return y

    def padded_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of `padded`."""
        n, c, height, width = x_shape
        return (n, c, height + 2 * self.padding[0], width + 2 * self.padding[1])

    def seen(self, i: int, j: int) -> tuple[slice, slice]:
        """The rows and columns of the padded plane that stand at (i, j) of their windows."""
        (di, dj), (si, sj), (m, n) = self.dilation, self.stride, self.counts
        top, left = i * di, j * dj
        return (
            slice(top, top + (m - 1) * si + 1, si),
            slice(left, left + (n - 1) * sj + 1, sj),
        )

    def windows(self, x: np.ndarray) -> np.ndarray:
        """A view (N, C, h, w, H', W') of the windows of a padded x."""
        (sn, sc, sh, sw), (si, sj), (di, dj) = x.strides, self.stride, self.dilation
        shape = (*x.shape[:2], *self.kernel, *self.counts)
        strides = (sn, sc, sh * di, sw * dj, sh * si, sw * sj)
        return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)

    def overlapped(self, windows: np.ndarray, x: np.ndarray) -> None:
        """Windows (N, C, h, w, H', W') added to a padded x where they came from: the transpose of
        `windows`."""
        for i, j in np.ndindex(*self.kernel):
            x[:, :, *self.seen(i, j)] += windows[:, :, i, j]

    def inside(self, x: np.ndarray) -> np.ndarray:
        """A padded x without its padding."""
        (top, left), (height, width) = self.padding, x.shape[2:]
        return x[:, :, top : height - top, left : width - left]

    def batches(self, n: int, channels: int) -> Iterator[slice]:
        """The n images in runs whose windows, unrolled, stay in the cache."""
        step = max(1, UNROLLED // max(1, channels * math.prod(self.kernel) * math.prod(self.counts)))
        return (slice(start, min(n, start + step)) for start in range(0, n, step))


def geometry(x_shape: tuple[int, ...], kernel: Any, stride: Pair, padding: Pair, dilation: Pair) -> Geometry:
    """The windows of a convolution over x. Raises RuntimeError if not one fits."""
    if min(stride) < 1 or min(dilation) < 1 or min(padding) < 0:
        raise RuntimeError(
            "non-positive stride or dilation, or negative padding, is not supported: got "
            f"stride={stride}, padding={padding}, dilation={dilation}"
        )
    (height, width), (h, w) = x_shape[2:], kernel
    room = height + 2 * padding[0], width + 2 * padding[1]
    span = dilation[0] * (h - 1) + 1, dilation[1] * (w - 1) + 1
    if room[0] < span[0] or room[1] < span[1]:
        raise RuntimeError(
            f"Calculated padded input size per channel: ({room[0]} x {room[1]}). Kernel size: "
            f"({span[0]} x {span[1]}). Kernel size can't be greater than actual input size. "
            "Try: more padding, or a smaller kernel"
        )
    counts = tuple((n - k) // s + 1 for n, k, s in zip(room, span, stride, strict=True))
    pairs: Any = (tuple(kernel), tuple(stride), tuple(padding), tuple(dilation), counts)
    return Geometry(*pairs)


def conv2d(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray | None = None, *, stride: Pair = (1, 1),
    padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1,
) -> np.ndarray:  # fmt: skip
    """y[n, o, i, j] = sum over c, h, w of x[n, c, i s + h d - p, j s + w d - p] w[o, c, h, w]: the
    cross-correlation that networks call convolution, plus bias[o]. Output channel o sees its group's c
    only."""
    area = geometry(x.shape, w.shape[2:], stride, padding, dilation)
    products, columns = x.shape[0] * math.prod(area.counts) * w.size, area.columns(area.counts)
    options: Any = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if direct_wins(products, columns, x, w, x if bias is None else bias):
        return direct().conv2d(x, w, bias, **options)
    return conv2d_by_products(x, w, bias, **options)


def conv2d_weight_gradient(
    g: np.ndarray, x: np.ndarray, *, w_shape: tuple[int, ...], stride: Pair = (1, 1),
    padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1,
) -> np.ndarray:  # fmt: skip
    """The transpose of conv2d in w: each weight receives what it multiplied, times g, summed."""
    area = geometry(x.shape, w_shape[2:], stride, padding, dilation)
    products, few = x.shape[0] * math.prod(area.counts) * math.prod(w_shape), math.prod(w_shape[1:]) <= MANY
    options: Any = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if few and not area.as_lines and direct_wins(products, area.counts[1], g, x):
        return direct().conv2d_weight_gradient(g, x, w_shape=w_shape, **options)
    return conv2d_weight_gradient_by_products(g, x, w_shape=w_shape, **options)


def conv2d_input_gradient(
    g: np.ndarray, w: np.ndarray, *, x_shape: tuple[int, ...], stride: Pair = (1, 1),
    padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1,
) -> np.ndarray:  # fmt: skip
    """The transpose of conv2d in x: g spread back over the windows that each of its elements saw,
    and what overlaps added up."""
    area = geometry(x_shape, w.shape[2:], stride, padding, dilation)
    products, columns = x_shape[0] * math.prod(area.counts) * w.size, area.columns(x_shape[2:])
    options: Any = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if direct_wins(products, columns // stride[1], g, w):
        return direct().conv2d_input_gradient(g, w, x_shape=x_shape, **options)
    return conv2d_input_gradient_by_products(g, w, x_shape=x_shape, **options)


# ---- by compiled loops, where they win ---------------------------------------------------------------


def direct_wins(products: int, columns: int, *arrays: np.ndarray) -> bool:
    """Is this work for compiled loops? So many products of floats of one dtype, in rows so long that they
    fill the better part of a vector."""
    dtype = arrays[0].dtype
    return (
        products >= FEW
        and columns >= SHORT
        and dtype in DTYPES
        and all(a.dtype == dtype for a in arrays)
        and not jit.unusable()
    )


def direct():
    """The compiled loops: importing them imports Numba."""
    from . import direct_convolution

    return direct_convolution


# ---- by products of matrices, in NumPy ---------------------------------------------------------------


def conv2d_by_products(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray | None = None, *, stride: Pair = (1, 1),
    padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1,
) -> np.ndarray:  # fmt: skip
    """`conv2d`, of any dtype."""
    area = geometry(x.shape, w.shape[2:], stride, padding, dilation)
    (n, c), o = x.shape[:2], w.shape[0]
    windows = area.windows(area.padded(x))
    matrix = w.reshape(groups, o // groups, math.prod(w.shape[1:]))
    y = np.empty((n, groups, o // groups, math.prod(area.counts)), np.result_type(x, w))
    for some in area.batches(n, c):
        np.matmul(matrix, unrolled(windows[some], groups), out=y[some])
    y = y.reshape(n, o, *area.counts)
    if bias is not None:
        y += bias[:, None, None]
    return y


def conv2d_weight_gradient_by_products(
    g: np.ndarray, x: np.ndarray, *, w_shape: tuple[int, ...], stride: Pair = (1, 1),
    padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1,
) -> np.ndarray:  # fmt: skip
    """`conv2d_weight_gradient`, of any dtype."""
    area = geometry(x.shape, w_shape[2:], stride, padding, dilation)
    (n, c), o = x.shape[:2], w_shape[0]
    windows = area.windows(area.padded(x))
    g = g.reshape(n, groups, o // groups, math.prod(area.counts))
    w = np.zeros((groups, o // groups, math.prod(w_shape[1:])), np.result_type(g, x))
    for some in area.batches(n, c):
        w += np.matmul(g[some], unrolled(windows[some], groups).swapaxes(-1, -2)).sum(0)
    return w.reshape(w_shape)


def conv2d_input_gradient_by_products(
    g: np.ndarray, w: np.ndarray, *, x_shape: tuple[int, ...], stride: Pair = (1, 1),
    padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1,
) -> np.ndarray:  # fmt: skip
    """`conv2d_input_gradient`, of any dtype."""
    area = geometry(x_shape, w.shape[2:], stride, padding, dilation)
    (n, c), o = x_shape[:2], w.shape[0]
    g = g.reshape(n, groups, o // groups, math.prod(area.counts))
    matrix = w.reshape(groups, o // groups, math.prod(w.shape[1:])).swapaxes(-1, -2)
    x = np.zeros(area.padded_shape(x_shape), np.result_type(g, w))
    for some in area.batches(n, c):
        spread = np.matmul(matrix, g[some]).reshape(-1, c, *area.kernel, *area.counts)
        area.overlapped(spread, x[some])
    return np.ascontiguousarray(area.inside(x))


# ---- windows as columns ------------------------------------------------------------------------------


def unfold(
    x: np.ndarray, *, kernel_size: Pair, stride: Pair = (1, 1), padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> np.ndarray:  # fmt: skip
    """The windows of x (N, C, H, W) as the columns of matrices (N, C h w, H' W'): a copy, always."""
    area = geometry(x.shape, kernel_size, stride, padding, dilation)
    y = unrolled(area.windows(area.padded(x)), 1)[:, 0]
    return y.copy() if np.may_share_memory(y, x) else y


def fold(
    columns: np.ndarray, *, x_shape: tuple[int, ...], kernel_size: Pair, stride: Pair = (1, 1),
    padding: Pair = (0, 0), dilation: Pair = (1, 1),
) -> np.ndarray:  # fmt: skip
    """The transpose of `unfold`: columns put back to where they came from, and what overlaps added up."""
    area = geometry(x_shape, kernel_size, stride, padding, dilation)
    x = np.zeros(area.padded_shape(x_shape), columns.dtype)
    area.overlapped(columns.reshape(*x_shape[:2], *kernel_size, *area.counts), x)
    return np.ascontiguousarray(area.inside(x))


def unrolled(windows: np.ndarray, groups: int) -> np.ndarray:
    """Windows (N, C, h, w, H', W') as matrices (N, groups, C/groups h w, H' W'): a copy."""
    n, c, h, w, rows, columns = windows.shape
    return windows.reshape(n, groups, c // groups * h * w, rows * columns)
