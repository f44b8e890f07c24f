"""Pictures at other places than their pixels: resizing, and affine maps. On arrays (…, H, W)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def resized(planes: np.ndarray, size: tuple[int, int], mode: str, antialias: bool) -> np.ndarray:
    """The picture in `size` = (height, width), by the nearest pixel, linear or cubic weights.

    With `antialias` the weights reach as far as a new pixel does when the picture becomes smaller, as in
    Pillow; without, they are those of the two or four nearest pixels.
    """
    h, w = planes.shape[-2:]
    if mode in ("nearest", "nearest-exact"):
        shift = 0.5 if mode == "nearest-exact" else 0.0
        rows, columns = (
            np.minimum(((np.arange(new) + shift) * (old / new)).astype(int), old - 1)
            for old, new in zip((h, w), size, strict=True)
        )
        return planes[..., rows[:, None], columns]
    if mode not in ("bilinear", "bicubic"):
        raise ValueError(f"Interpolation mode '{mode}' is unsupported with Tensor input")
    x = floating(planes)
    weights = antialiased if antialias else of_nearest
    across = weights(w, size[1], mode == "bicubic").astype(x.dtype)
    down = weights(h, size[0], mode == "bicubic").astype(x.dtype)
    return like(np.matmul(np.matmul(down, x), across.T), planes)


def antialiased(old: int, new: int, cubic: bool) -> np.ndarray:
    """The weights (new, old) of `old` pixels in each of `new` ones that may be larger."""
    width = max(old / new, 1)
    centres = (np.arange(new) + 0.5) * (old / new)
    distance = (np.arange(old) + 0.5 - centres[:, None]) / width
    weights = cubic_weight(distance, -0.5) if cubic else np.maximum(1 - np.abs(distance), 0)
    return weights / weights.sum(1, keepdims=True)


def of_nearest(old: int, new: int, cubic: bool) -> np.ndarray:
    """The weights (new, old) of the two or four nearest pixels; what lies outside is the pixel at the edge."""
    places = (np.arange(new) + 0.5) * (old / new) - 0.5
    if not cubic:
        places = np.clip(places, 0, old - 1)
    first, weights = np.floor(places).astype(int), np.zeros((new, old))
    for k in range(-1, 3) if cubic else (0, 1):
        distance = first + k - places
        share = cubic_weight(distance, -0.75) if cubic else 1 - np.abs(distance)
        np.add.at(weights, (np.arange(new), np.clip(first + k, 0, old - 1)), share)
    return weights


def cubic_weight(x: np.ndarray, a: float) -> np.ndarray:
    """Keys's (1981) kernel of cubic convolution, with the slope `a` at distance 1."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def affine_map(
    planes: np.ndarray, matrices: Any, size: tuple[int, int], mode: str,
    fill: float | Sequence[float] | None,
) -> np.ndarray:  # fmt: skip
    """A picture of `size` whose pixel at p is that of `planes` at M·p + t, a matrix being the rows of (M, t)
    and both seen from their centres. Outside of it there is `fill`, for all channels or one for each.
    There is one matrix for all of planes (…, C, H, W), or one for each (C, H, W) of them."""
    h, w = planes.shape[-2:]
    channels = planes.shape[-3] if planes.ndim > 2 else 1
    flat = floating(planes).reshape(-1, channels, h * w)
    a, b, c, d, e, f = np.asarray(matrices, np.float64).reshape(-1, 6).T[:, :, None, None]
    x = np.arange(size[1]) - (size[1] - 1) / 2
    y = (np.arange(size[0]) - (size[0] - 1) / 2)[:, None]
    x, y = a * x + b * y + (c + (w - 1) / 2), d * x + e * y + (f + (h - 1) / 2)
    outside = np.zeros((), flat.dtype) if fill is None else channelwise(fill, planes).astype(flat.dtype)
    shape = *planes.shape[:-2], *size
    if mode == "nearest":
        pixels, inside = pixels_at(flat, np.rint(x), np.rint(y), (h, w))
        return like(np.where(inside, pixels, outside).reshape(shape), planes)
    if mode != "bilinear":
        raise ValueError(f"Interpolation mode '{mode}' is unsupported with Tensor input")
    left, top = np.floor(x), np.floor(y)
    right, below = (x - left)[:, None], (y - top)[:, None]
    result, cover = np.zeros((len(flat), channels, *size), flat.dtype), np.zeros(right.shape)
    for column, row, share in (
        (left, top, (1 - right) * (1 - below)), (left + 1, top, right * (1 - below)),
        (left, top + 1, (1 - right) * below), (left + 1, top + 1, right * below),
    ):  # fmt: skip
        pixels, inside = pixels_at(flat, column, row, (h, w))
        share = share * inside
        result += pixels * share.astype(flat.dtype)
        cover += share
    if fill is not None:  # torchvision's mixture, in which the edge counts twice
        cover = cover.astype(flat.dtype)
        result = result * cover + (1 - cover) * outside
    return like(result.reshape(shape), planes)


def pixels_at(flat: np.ndarray, x: np.ndarray, y: np.ndarray, size: tuple[int, int]) -> Any:
    """The pixels of flat (N, C, H·W) at whole coordinates (N, …), as (N, C, …), and which of them are
    inside, as (N, 1, …). N is 1 for coordinates that are the same for all."""
    h, w = size
    inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
    places = np.where(inside, y * w + x, 0).astype(np.intp)
    if len(places) == 1:
        pixels = flat[..., places[0]]
    else:
        pixels = flat[np.arange(len(flat))[:, None, None], :, places].transpose(0, 3, 1, 2)
    return pixels, inside[:, None]


def channelwise(values: Any, planes: np.ndarray) -> np.ndarray:
    """One number, or one for each channel, in a shape that broadcasts with (…, C, H, W)."""
    array = np.asarray(values, np.float64)
    channels = planes.shape[-3] if planes.ndim > 2 else 1
    if array.size not in (1, channels):
        raise ValueError(
            f"The number of elements in 'fill' does not match the number of channels of the image "
            f"({array.size} != {channels})"
        )
    return array.reshape(()) if array.size == 1 else array.reshape(-1, 1, 1)


def floating(planes: np.ndarray) -> np.ndarray:
    """Numbers to calculate with."""
    return planes if planes.dtype.kind == "f" else planes.astype(np.float32)


def like(result: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """In the dtype of `planes`: rounded, and kept within its range, if those are whole numbers."""
    if planes.dtype.kind == "f" or planes.dtype == result.dtype:
        return result
    if planes.dtype.kind in "iu":
        limits = np.iinfo(planes.dtype)
        result = np.rint(result).clip(limits.min, limits.max)
    return result.astype(planes.dtype)
