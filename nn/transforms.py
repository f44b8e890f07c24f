"""From pictures to tensors: torchvision's transforms, for one sample or for a whole batch.

A transform is any function of one sample. One that can also do a whole batch in a few array
operations says so with `supports_batch` and does it in `on_batch(x)`, where x has the samples along
its first dimension and is its to overwrite. Both roads give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import autodiff
from autodiff import Tensor


def supports_batch(transform: Any) -> bool:
    """Can it do a whole batch at once?"""
    return getattr(transform, "supports_batch", False)


class Compose:
    """The given transforms, one after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]):
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    @property
    def supports_batch(self) -> bool:
        return all(map(supports_batch, self.transforms))

    def on_batch(self, x: Any) -> Any:
        """The same, of all samples at once."""
        transforms: Any = self.transforms
        for transform in transforms:
            x = transform.on_batch(x)
        return x

    def __repr__(self):
        inside = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"Compose({inside}\n)"


class ToTensor:
    """A picture (H, W) or (H, W, C) → a Tensor (C, H, W); bytes 0…255 become the default dtype's
    0…1.

    Takes a NumPy array or a PIL image. Arrays that do not hold bytes keep their numbers and dtype.
    """

    supports_batch = True

    def __call__(self, pic: Any) -> Tensor:
        array = pic if isinstance(pic, np.ndarray) else from_pil(pic)
        if array.ndim not in (2, 3):
            raise ValueError(
                f"pic should be 2/3 dimensional. Got {array.ndim} dimensions, shape {array.shape}"
            )
        return Tensor.wrap(scaled(array[None] if array.ndim == 2 else array.transpose(2, 0, 1)))

    def on_batch(self, x: np.ndarray) -> Tensor:
        """(N, H, W) or (N, H, W, C) → (N, C, H, W)."""
        return Tensor.wrap(scaled(x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)))

    def __repr__(self):
        return "ToTensor()"


class Normalize:
    """(x − mean) / std, with a mean and a standard deviation for each channel of (…, C, H, W)."""

    supports_batch = True

    def __init__(self, mean: Any, std: Any, inplace: bool = False):
        self.mean, self.std, self.inplace = mean, std, inplace

    def __call__(self, tensor: Tensor) -> Tensor:
        mean, std = self.numbers_for(tensor)
        return tensor.sub_(mean).div_(std) if self.inplace else (tensor - mean) / std

    def on_batch(self, x: Tensor) -> Tensor:
        """The same of (N, C, H, W), in place."""
        mean, std = self.numbers_for(x)
        return x.sub_(mean).div_(std)

    def numbers_for(self, tensor: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation as the tensor needs them, checked against it."""
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"img should be Tensor Image. Got {type(tensor)}. Put ToTensor() before Normalize"
            )
        if not tensor.is_floating_point():
            raise TypeError(
                f"Input tensor should be a float tensor. Got {tensor.dtype}. Write .float() first"
            )
        if tensor.ndim < 3:
            raise ValueError(
                "Expected tensor to be a tensor image of size (..., C, H, W). "
                f"Got tensor.size() = {tensor.size()}"
            )
        mean, std = per_channel(self.mean, tensor), per_channel(self.std, tensor)
        if not std.all():
            raise ValueError(
                f"std evaluated to zero after conversion to {tensor.dtype}, leading to division "
                f"by zero: {self.std}"
            )
        return Tensor.wrap(mean), Tensor.wrap(std)

    def __repr__(self):
        return f"Normalize(mean={self.mean}, std={self.std})"


class Lambda:
    """Any function of one sample, as a transform."""

    def __init__(self, lambd: Callable[[Any], Any]):
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)

    def __repr__(self):
        return "Lambda()"


def from_pil(pic: Any) -> np.ndarray:
    """The numbers of a PIL image. (An image says what it holds: PIL need not be imported.)"""
    if not hasattr(pic, "__array_interface__") or not hasattr(pic, "getbands"):
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    array = np.asarray(pic)
    return 255 * array.astype(np.uint8) if pic.mode == "1" else array


def scaled(planes: np.ndarray) -> np.ndarray:
    """Bytes divided by 255, in new contiguous memory; other numbers as they are."""
    if planes.dtype != np.uint8:
        return np.ascontiguousarray(planes)
    dtype = autodiff.get_default_dtype()
    return np.divide(planes, dtype.type(255), dtype=dtype, order="C")


def per_channel(values: Any, like: Tensor) -> np.ndarray:
    """One number, or one for each channel, in the shape (C, 1, 1) and the dtype of `like`."""
    given = values.array if isinstance(values, Tensor) else values
    array = np.asarray(given, like.dtype).reshape(-1, 1, 1)
    channels = like.array.shape[-3]
    if len(array) not in (1, channels):
        raise ValueError(
            f"Normalize has numbers for {len(array)} channels, but the image has {channels}: "
            f"shape {tuple(like.shape)}"
        )
    return array
