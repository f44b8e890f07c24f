"""Images made larger and smaller, and channels made into pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff import Tensor, ops
from autodiff.errors import ShapeError

from .pooling import adaptive_avg_pool1d, adaptive_avg_pool2d

# What each way of interpolating is for: how many dimensions the input has.
LINEAR = {"linear": 3, "bilinear": 4, "trilinear": 5}
ALIGNED = (*LINEAR, "bicubic")
MODES = ("nearest", "nearest-exact", "area", *ALIGNED)
SHARPNESS = -0.75  # of the cubic


def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:  # fmt: skip
    """(N, C, …) with its last dimensions brought to `size`, or `scale_factor` times as large.

    Where a pixel stands is the centre of a square; with `align_corners` the corner pixels' centres stay
    where they are. Between pixels lies the nearest's value ("nearest", which rounds down, and
    "nearest-exact"), or a polynomial of degree 1 in each dimension ("linear", "bilinear", "trilinear") or
    of degree 3 ("bicubic", Keys 1981); "area" takes means of parts. The scale is the one given, unless it
    is to be computed again from the size that it gives.
    """
    sides = input.ndim - 2
    if mode not in MODES:
        raise NotImplementedError(f"mode {mode!r} is not one of {', '.join(MODES)}")
    if align_corners is not None and mode not in ALIGNED:
        raise ValueError(
            f"align_corners option can only be set with the interpolating modes: {' | '.join(ALIGNED)}"
        )
    if antialias:
        raise NotImplementedError("antialias is not there yet. Try: mode='area', which takes means")
    if input.ndim not in (3, 4, 5) or input.ndim != LINEAR.get(mode, 4 if mode == "bicubic" else input.ndim):
        raise NotImplementedError(
            f"Got {input.ndim}D input, but {mode} mode needs "
            f"{LINEAR.get(mode, '4' if mode == 'bicubic' else '3, 4 or 5')}D input"
        )
    sizes, scales = target(input, sides, size, scale_factor, recompute_scale_factor)
    if mode == "area":
        if sides == 3:
            raise NotImplementedError("mode='area' is for 3D and 4D input")
        return adaptive_avg_pool1d(input, sizes) if sides == 1 else adaptive_avg_pool2d(input, sizes)
    y = input
    for d, (m, scale) in enumerate(zip(sizes, scales, strict=True), start=2):
        y = along(y, d, m, scale, mode, bool(align_corners))
    return y.clone() if y is input else y


def target(
    input: Tensor, sides: int, size: Any, scale_factor: Any, recompute: bool | None
) -> tuple[list[int], list[float | None]]:
    """The sizes to come to, and the scales, None where they are as the sizes say."""
    if (size is None) == (scale_factor is None):
        only = "only one of size or" if size is not None else "either size or"
        raise ValueError(f"{only} scale_factor should be defined")
    given = size if scale_factor is None else scale_factor
    values = list(given) if isinstance(given, (tuple, list)) else [given] * sides
    if len(values) != sides:
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input with "
            f"spatial dimensions of {list(input.shape[2:])} and {values} to come to. Give one value for "
            f"each of the {sides}, or one for all"
        )
    scales: list[float | None] = [None] * sides
    if scale_factor is None:
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        sizes = [int(v) for v in values]
    else:
        sizes = [math.floor(n * float(v)) for n, v in zip(input.shape[2:], values, strict=True)]
        scales = scales if recompute else [float(v) for v in values]
    if min(sizes) < 1 or min(input.shape[2:]) < 1:
        raise RuntimeError(
            "Input and output sizes should be greater than 0, but got input "
            f"{list(input.shape[2:])} and output {sizes}"
        )
    return sizes, scales


def along(x: Tensor, dim: int, m: int, scale: float | None, mode: str, aligned: bool) -> Tensor:
    """Interpolated along one dimension, to m pixels."""
    n = x.shape[dim]
    place = np.arange(m)
    if mode.startswith("nearest"):  # in single precision, in which PyTorch rounds
        step = np.float32(n / m if scale is None else 1 / scale)
        shift = np.float32(0.5 if mode == "nearest-exact" else 0)
        if x.ndim == 4 and mode == "nearest" and m in (n, 2 * n):  # in images, whatever the scale
            return x if m == n else ops.repeat_interleave(x, 2, dim)
        place = np.floor((place.astype(np.float32) + shift) * step).astype(np.int64)
        return ops.index_select(x, dim, np.minimum(place, n - 1))
    if m == n and mode in LINEAR:
        return x
    if aligned:
        source = place * ((n - 1) / (m - 1) if m > 1 else 0)
    else:
        source = (place + 0.5) * (n / m if scale is None else 1 / scale) - 0.5
    source = source if mode == "bicubic" else np.maximum(source, 0)
    below = np.floor(source).astype(np.int64)
    t = source - below
    taps = cubic(t) if mode == "bicubic" else {0: 1 - t, 1: t}
    shape = (m,) + (1,) * (x.ndim - dim - 1)
    y: Any = None
    for shift, weight in taps.items():
        chosen = ops.index_select(x, dim, np.clip(below + shift, 0, n - 1))
        term = chosen * weight.reshape(shape).astype(x.dtype)
        y = term if y is None else y + term
    return y


def cubic(t: np.ndarray) -> dict[int, np.ndarray]:
    """The weights of the four pixels around a place, which lies t beyond the second (Keys 1981)."""
    a = SHARPNESS

    def near(d):
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d):
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return {-1: far(t + 1), 0: near(t), 1: near(1 - t), 2: far(2 - t)}


def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:  # fmt: skip
    """`interpolate`, by its older name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(…, C·r², H, W) → (…, C, H·r, W·r): of each r² channels the pixels of an r by r square (Shi et al.
    2016)."""
    r = upscale_factor
    *batch, c, h, w = three_or_more("pixel_shuffle", input)
    if r < 1:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    if c % (r * r):
        raise ShapeError(
            f"pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of "
            f"upscale_factor, but input.size(-3)={c} is not divisible by {r * r}"
        )
    x = ops.reshape(input, *batch, c // (r * r), r, r, h, w)
    x = ops.permute(x, *range(len(batch)), *(len(batch) + k for k in (0, 3, 1, 4, 2)))
    return ops.reshape(x, *batch, c // (r * r), h * r, w * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(…, C, H·r, W·r) → (…, C·r², H, W): the inverse of `pixel_shuffle`."""
    r = downscale_factor
    *batch, c, h, w = three_or_more("pixel_unshuffle", input)
    if r < 1:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    if h % r or w % r:
        raise ShapeError(
            f"pixel_unshuffle expects height and width to be divisible by downscale_factor, but {h} and {w} "
            f"are not both divisible by {r}"
        )
    x = ops.reshape(input, *batch, c, h // r, r, w // r, r)
    x = ops.permute(x, *range(len(batch)), *(len(batch) + k for k in (0, 2, 4, 1, 3)))
    return ops.reshape(x, *batch, c * r * r, h // r, w // r)


def three_or_more(name: str, input: Tensor) -> tuple[int, ...]:
    """The shape, which must have three dimensions at least."""
    if input.ndim < 3:
        raise ShapeError(f"{name} expects input to have at least 3 dimensions, but got {input.ndim}")
    return tuple(input.shape)
