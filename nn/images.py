"""Many pictures as one, and a picture as a file (torchvision.utils)."""

from __future__ import annotations

import math
import os
from typing import Any, BinaryIO

import numpy as np

from autodiff import Tensor, no_grad, ops

from .transforms.functional import to_pil_image


@no_grad
def make_grid(
    tensor: Tensor | list[Tensor], nrow: int = 8, padding: int = 2, normalize: bool = False,
    value_range: tuple[float, float] | None = None, scale_each: bool = False, pad_value: float = 0.0,
) -> Tensor:  # fmt: skip
    """Pictures (N, C, H, W), or a list of (C, H, W), as one (C, …, …): `nrow` of them in each row, with
    `padding` pixels of `pad_value` around. One channel becomes three.

    With `normalize` what is in `value_range` (low, high), or from the least to the largest number, of all
    of them or of each (`scale_each`), is spread over 0…1.
    """
    if isinstance(tensor, list):
        for each in tensor:
            if not isinstance(each, Tensor):
                raise TypeError(f"tensor or list of tensors expected, got a list containing {type(each)}")
        tensor = ops.stack(tensor, 0)
    if not isinstance(tensor, Tensor):
        raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
    if value_range is not None and not isinstance(value_range, tuple):
        raise TypeError("value_range has to be a tuple (min, max) if specified. min and max are numbers")
    x = tensor.detach().array
    if x.ndim not in (2, 3, 4):
        raise ValueError(f"pictures have the shape (N, C, H, W), (C, H, W) or (H, W), not {x.shape}")
    x = x[None] if x.ndim == 2 else x
    x = x[None] if x.ndim == 3 else x
    x = np.repeat(x, 3, 1) if x.shape[1] == 1 else x
    if normalize:
        x = np.stack([spread(each, value_range) for each in x]) if scale_each else spread(x, value_range)
    if len(x) == 1:
        return Tensor.wrap(x[0].copy())
    n, channels, h, w = x.shape
    columns = min(nrow, n)
    rows = math.ceil(n / columns)
    size = rows * (h + padding) + padding, columns * (w + padding) + padding
    grid = np.full((channels, *size), pad_value, x.dtype)
    for k, each in enumerate(x):
        top, left = (
            (place * (side + padding)) + padding
            for place, side in zip(divmod(k, columns), (h, w), strict=True)
        )
        grid[:, top : top + h, left : left + w] = each
    return Tensor.wrap(grid)


def spread(x: np.ndarray, value_range: tuple[float, float] | None) -> np.ndarray:
    """From the range to 0…1, where it ends."""
    low, high = value_range or (float(x.min()), float(x.max()))
    return (x.clip(low, high) - low) / max(high - low, 1e-5)


def save_image(
    tensor: Tensor | list[Tensor], fp: str | os.PathLike | BinaryIO, format: str | None = None, **kwargs: Any
) -> None:
    """Write a picture, or pictures as `make_grid` puts them together, to a file; 0…1 become bytes. Its name
    says in which format, if `format` does not. (Pillow writes it.)"""
    grid = make_grid(tensor, **kwargs).array
    rounded = (grid * 255 + 0.5).clip(0, 255).astype(np.uint8)
    to_pil_image(rounded.transpose(1, 2, 0)).save(fp, format=format)
