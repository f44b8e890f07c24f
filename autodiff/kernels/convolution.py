"""Convolution and pooling of planes: sums over a sliding window, read where it lies.

conv2d is linear in the images x and in the weights w; `conv2d_input_gradient` and
`conv2d_weight_gradient` are its transposes in each. Arrays of any dtype, exact numbers included.
"""

from __future__ import annotations

import math

import numpy as np


def size_of_output(n, k, stride, padding, dilation, ceil_mode=False) -> int:
    """How many windows of k elements, `dilation` apart, fit in n elements and their padding."""
    span = n + 2 * padding - dilation * (k - 1) - 1
    count = (-(-span // stride) if ceil_mode else span // stride) + 1
    if ceil_mode and (count - 1) * stride >= n + padding:
        count -= 1  # a window must start inside the image or its left padding
    return count


def padded(x, padding, value=0):
    if not any(padding):
        return x
    (ph, pw) = padding
    return np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=value)


def windows(x, kernel, stride, dilation, counts):
    """A view (N, C, H', W', h, w) of the windows of x (N, C, H, W)."""
    (sn, sc, sh, sw), (h, w) = x.strides, kernel
    shape = (*x.shape[:2], *counts, h, w)
    strides = (sn, sc, sh * stride[0], sw * stride[1], sh * dilation[0], sw * dilation[1])
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


def counts_of(shape, kernel, stride, padding, dilation, ceil_mode=False) -> tuple:
    counts = tuple(
        size_of_output(n, k, s, p, d, ceil_mode)
        for n, k, s, p, d in zip(shape[2:], kernel, stride, padding, dilation, strict=True)
    )
    if min(counts) <= 0:
        raise ValueError(
            f"Calculated padded input size per channel: {[n + 2 * p for n, p in zip(shape[2:], padding, strict=True)]}. "
            f"Kernel size: {list(kernel)}. Kernel size can't be greater than actual input size"
        )
    return counts


def conv2d(x, w, *, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    """y[n, o, i, j] = Σ_{c, h, w} x[n, c, i·s + h·d − p, j·s + w·d − p] · w[o, c, h, w]."""
    counts = counts_of(x.shape, w.shape[2:], stride, padding, dilation)
    patches = windows(padded(x, padding), w.shape[2:], stride, dilation, counts)
    n, c = x.shape[:2]
    o = w.shape[0]
    y = np.empty((n, o, *counts), np.result_type(x, w))
    for group in range(groups):
        channels = slice(group * c // groups, (group + 1) * c // groups)
        outputs = slice(group * o // groups, (group + 1) * o // groups)
        part = np.tensordot(patches[:, channels], w[outputs], ((1, 4, 5), (1, 2, 3)))
        y[:, outputs] = np.moveaxis(part, -1, 1)
    return y


def conv2d_input_gradient(g, w, *, x_shape, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    """The transpose of conv2d in x: g (N, O, H', W') spread back over the windows it came from."""
    n, c, height, width = x_shape
    o, _, kh, kw = w.shape
    rows, columns = g.shape[2:]
    x = np.zeros((n, c, height + 2 * padding[0], width + 2 * padding[1]), np.result_type(g, w))
    for group in range(groups):
        channels = slice(group * c // groups, (group + 1) * c // groups)
        outputs = slice(group * o // groups, (group + 1) * o // groups)
        spread = np.tensordot(g[:, outputs], w[outputs], ((1,), (0,)))  # N H' W' C h w
        for i in range(kh):
            for j in range(kw):
                top, left = i * dilation[0], j * dilation[1]
                target = x[
                    :, channels,
                    top : top + rows * stride[0] : stride[0],
                    left : left + columns * stride[1] : stride[1],
                ]  # fmt: skip
                target += np.moveaxis(spread[..., i, j], -1, 1)
    return x[:, :, padding[0] : padding[0] + height, padding[1] : padding[1] + width]


def conv2d_weight_gradient(g, x, *, w_shape, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    """The transpose of conv2d in w: each weight's windows, weighted by g and summed."""
    patches = windows(padded(x, padding), w_shape[2:], stride, dilation, g.shape[2:])
    c, o = x.shape[1], w_shape[0]
    w = np.empty(w_shape, np.result_type(g, x))
    for group in range(groups):
        channels = slice(group * c // groups, (group + 1) * c // groups)
        outputs = slice(group * o // groups, (group + 1) * o // groups)
        w[outputs] = np.tensordot(g[:, outputs], patches[:, channels], ((0, 2, 3), (0, 2, 3)))
    return w


def max_pool2d(x, *, kernel_size, stride, padding=(0, 0), dilation=(1, 1), ceil_mode=False):
    """(values, indices): the largest element of each window, and its place in the H·W plane."""
    if any(2 * p > k for p, k in zip(padding, kernel_size, strict=True)):
        raise RuntimeError("pad should be at most half of effective kernel size")
    n, c, height, width = x.shape
    counts = counts_of(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    least = -np.inf if x.dtype.kind in "fO" else np.iinfo(x.dtype).min
    needed = [
        (m - 1) * s + d * (k - 1) + 1
        for m, s, d, k in zip(counts, stride, dilation, kernel_size, strict=True)
    ]
    after = [max(0, need - size - p) for need, size, p in zip(needed, (height, width), padding, strict=True)]
    border = ((0, 0), (0, 0), (padding[0], after[0]), (padding[1], after[1]))
    wide = np.pad(x, border, constant_values=least) if any(map(any, border)) else x
    seen = windows(wide, kernel_size, stride, dilation, counts)
    flat = seen.reshape(n, c, *counts, math.prod(kernel_size))
    best = flat.argmax(-1)
    h, w = np.divmod(best, kernel_size[1])
    rows = np.arange(counts[0])[:, None] * stride[0] + h * dilation[0] - padding[0]
    columns = np.arange(counts[1]) * stride[1] + w * dilation[1] - padding[1]
    values = np.take_along_axis(flat, best[..., None], -1)[..., 0]
    return values, rows * width + columns
