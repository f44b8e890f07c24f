"""From pictures to tensors and back; other numbers for the same picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import Tensor
from autodiff.random import source

from . import functional as F


class ToTensor:
    """A picture (H, W) or (H, W, C) → a Tensor (C, H, W); bytes 0…255 become the default dtype's
    0…1.

    Takes a NumPy array or a PIL image. Arrays that do not hold bytes keep their numbers and dtype.
    """

    supports_batch = True

    def __call__(self, pic: Any) -> Tensor:
        return F.to_tensor(pic)

    def on_batch(self, x: np.ndarray) -> Tensor:
        """(N, H, W) or (N, H, W, C) → (N, C, H, W)."""
        if not isinstance(x, np.ndarray):
            raise TypeError(f"pic should be PIL Image or ndarray. Got {type(x)}")
        return Tensor.wrap(F.scaled(x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)))

    def __repr__(self):
        return "ToTensor()"


class PILToTensor:
    """A PIL image → a Tensor (C, H, W) of the same numbers, not scaled."""

    def __call__(self, pic: Any) -> Tensor:
        return F.pil_to_tensor(pic)

    def __repr__(self):
        return "PILToTensor()"


class ToPILImage:
    """A Tensor (C, H, W), or an array (H, W) or (H, W, C) → a PIL image. Fractions 0…1 become bytes; `mode`
    says what the channels mean, if not the usual."""

    def __init__(self, mode: str | None = None):
        self.mode = mode

    def __call__(self, pic: Any) -> Any:
        return F.to_pil_image(pic, self.mode)

    def __repr__(self):
        return f"ToPILImage({f'mode={self.mode}' if self.mode is not None else ''})"


class ConvertImageDtype:
    """The picture in another dtype, and its numbers in that dtype's range: see `convert_image_dtype`."""

    def __init__(self, dtype: Any):
        self.dtype = dtype

    def __call__(self, image: Tensor) -> Tensor:
        return F.convert_image_dtype(image, self.dtype)

    def __repr__(self):
        return "ConvertImageDtype()"


class Normalize:
    """(x − mean) / std, with a mean and a standard deviation for each channel of (…, C, H, W)."""

    supports_batch = True

    def __init__(self, mean: Any, std: Any, inplace: bool = False):
        self.mean, self.std, self.inplace = mean, std, inplace

    def __call__(self, tensor: Tensor) -> Tensor:
        return F.normalize(tensor, self.mean, self.std, self.inplace)

    def on_batch(self, x: Tensor) -> Tensor:
        """The same of (N, C, H, W), in place."""
        return F.normalize(x, self.mean, self.std, inplace=True)

    def __repr__(self):
        return f"Normalize(mean={self.mean}, std={self.std})"


class Grayscale:
    """The picture without colours, in one channel or three alike."""

    def __init__(self, num_output_channels: int = 1):
        self.num_output_channels = num_output_channels

    def __call__(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, self.num_output_channels)

    def __repr__(self):
        return f"Grayscale(num_output_channels={self.num_output_channels})"


class RandomGrayscale:
    """With probability p the picture without colours, in as many channels as before."""

    def __init__(self, p: float = 0.1):
        self.p = p

    def __call__(self, img: Any) -> Any:
        channels = F.get_dimensions(img)[0]
        return F.rgb_to_grayscale(img, channels) if source(None).random() < self.p else img

    def __repr__(self):
        return f"RandomGrayscale(p={self.p})"
