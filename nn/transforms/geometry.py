"""Other sizes, parts, mirror images and positions of a picture, many of them at random.

What is drawn comes from autodiff's seed, by each class's `get_params`.
"""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from autodiff import Tensor, tensor
from autodiff.random import source

from . import functional as F
from .functional import InterpolationMode
from .sampling import affine_map

NEAREST, BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR


class Resize:
    """The picture in size (height, width), or with `size` as its shorter edge: see `functional.resize`."""

    def __init__(
        self, size: int | Sequence[int], interpolation: InterpolationMode = BILINEAR,
        max_size: int | None = None, antialias: bool | None = True,
    ):  # fmt: skip
        if not isinstance(size, (int, Sequence)):
            raise TypeError(f"Size should be int or sequence. Got {type(size)}")
        if isinstance(size, Sequence) and len(size) not in (1, 2):
            raise ValueError("If size is a sequence, it should have 1 or 2 values")
        self.size, self.interpolation = size, InterpolationMode(F.mode_of(interpolation))
        self.max_size, self.antialias = max_size, antialias

    def __call__(self, img: Any) -> Any:
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)

    def __repr__(self):
        return (
            f"Resize(size={self.size}, interpolation={self.interpolation.value}, max_size={self.max_size}, "
            f"antialias={self.antialias})"
        )


class CenterCrop:
    """The middle of the picture, of size (height, width) or a square."""

    def __init__(self, size: int | Sequence[int]):
        self.size = F.pair(size)

    def __call__(self, img: Any) -> Any:
        return F.center_crop(img, self.size)

    def __repr__(self):
        return f"CenterCrop(size={self.size})"


class Pad:
    """More at the edges: see `functional.pad`."""

    def __init__(
        self, padding: int | Sequence[int], fill: float | Sequence[float] = 0, padding_mode: str = "constant"
    ):
        if not isinstance(padding, (numbers.Number, tuple, list)):
            raise TypeError("Got inappropriate padding arg")
        if not isinstance(fill, (numbers.Number, tuple, list)):
            raise TypeError("Got inappropriate fill arg")
        if padding_mode not in F.PADDINGS:
            raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
        F.edges(padding)
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def __call__(self, img: Any) -> Any:
        return F.pad(img, self.padding, self.fill, self.padding_mode)

    def __repr__(self):
        return f"Pad(padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode})"


class RandomCrop:
    """A part of size (height, width), or a square, from anywhere in the picture, after `padding` it; with
    `pad_if_needed` one that is too small is padded on both sides until it is not."""

    def __init__(
        self, size: int | Sequence[int], padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False, fill: float | Sequence[float] = 0, padding_mode: str = "constant",
    ):  # fmt: skip
        self.size, self.padding, self.pad_if_needed = F.pair(size), padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode

    @staticmethod
    def get_params(img: Any, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Top, left, height, width."""
        height, width = F.get_dimensions(img)[1:]
        h, w = output_size
        if height < h or width < w:
            raise ValueError(f"Required crop size {(h, w)} is larger than input image size {(height, width)}")
        return *place_for(h, w, height, width), h, w

    def __call__(self, img: Any) -> Any:
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        height, width = F.get_dimensions(img)[1:]
        if self.pad_if_needed and width < self.size[1]:
            img = F.pad(img, [self.size[1] - width, 0], self.fill, self.padding_mode)
        if self.pad_if_needed and height < self.size[0]:
            img = F.pad(img, [0, self.size[0] - height], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))

    def __repr__(self):
        return f"RandomCrop(size={self.size}, padding={self.padding})"


class RandomResizedCrop:
    """A part of the picture, in `size`: a share of its area between the two of `scale`, its width to its
    height between the two of `ratio`."""

    def __init__(
        self, size: int | Sequence[int], scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0), interpolation: InterpolationMode = BILINEAR,
        antialias: bool | None = True,
    ):  # fmt: skip
        check_ranges(scale, ratio)
        self.size, self.scale, self.ratio = F.pair(size), scale, ratio
        self.interpolation, self.antialias = InterpolationMode(F.mode_of(interpolation)), antialias

    @staticmethod
    def get_params(img: Any, scale: Sequence[float], ratio: Sequence[float]) -> tuple[int, int, int, int]:
        """Top, left, height, width: the middle of the picture, if ten tries have given none that fits."""
        height, width = F.get_dimensions(img)[1:]
        for _ in range(10):
            area, proportion = draw_part(height * width, scale, ratio)
            w, h = round(math.sqrt(area * proportion)), round(math.sqrt(area / proportion))
            if 0 < w <= width and 0 < h <= height:
                return *place_for(h, w, height, width), h, w
        w = min(width, round(height * max(ratio)))
        h = min(height, round(width / min(ratio)))
        return (height - h) // 2, (width - w) // 2, h, w

    def __call__(self, img: Any) -> Any:
        part = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *part, self.size, self.interpolation, self.antialias)

    def __repr__(self):
        scale, ratio = (tuple(round(x, 4) for x in ends) for ends in (self.scale, self.ratio))
        return (
            f"RandomResizedCrop(size={self.size}, scale={scale}, ratio={ratio}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


class RandomHorizontalFlip:
    """With probability p left and right exchanged."""

    def __init__(self, p: float = 0.5):
        self.p = p

    def __call__(self, img: Any) -> Any:
        return F.hflip(img) if source(None).random() < self.p else img

    def __repr__(self):
        return f"RandomHorizontalFlip(p={self.p})"


class RandomVerticalFlip:
    """With probability p above and below exchanged."""

    def __init__(self, p: float = 0.5):
        self.p = p

    def __call__(self, img: Any) -> Any:
        return F.vflip(img) if source(None).random() < self.p else img

    def __repr__(self):
        return f"RandomVerticalFlip(p={self.p})"


class RandomRotation:
    """Turned by an angle between the two of `degrees`, or between −degrees and degrees: see
    `functional.rotate`."""

    def __init__(
        self, degrees: float | Sequence[float], interpolation: InterpolationMode = NEAREST,
        expand: bool = False, center: Sequence[float] | None = None, fill: float | Sequence[float] = 0,
    ):  # fmt: skip
        self.degrees = angles("degrees", degrees, (2,))
        if center is not None:
            check_sequence("center", center, (2,))
        self.interpolation, self.fill = InterpolationMode(F.mode_of(interpolation)), checked_fill(fill)
        self.expand, self.center = expand, center

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        """The angle."""
        return uniform(*degrees)

    def __call__(self, img: Any) -> Any:
        angle = self.get_params(self.degrees)
        return F.rotate(img, angle, self.interpolation, self.expand, self.center, self.fill)

    @property
    def supports_batch(self) -> bool:
        """Can a whole batch be turned at once?"""
        return not self.expand  # or they would be of different sizes

    def on_batch(self, x: Any) -> Any:
        """The same, of all samples at once, each by an angle of its own."""

        def turned(planes: np.ndarray) -> np.ndarray:
            size = planes.shape[-2:]
            middle = F.from_middle(self.center, *size)
            drawn = [self.get_params(self.degrees) for _ in planes]
            matrices = [F.inverse_affine(middle, -angle, (0, 0), 1, (0, 0)) for angle in drawn]
            return affine_map(planes, matrices, size, self.interpolation.value, self.fill)

        return F.on_batch_of_planes(x, turned)

    def __repr__(self):
        center = f", center={self.center}" if self.center is not None else ""
        return (
            f"RandomRotation(degrees={self.degrees}, interpolation={self.interpolation.value}, "
            f"expand={self.expand}{center}, fill={self.fill})"
        )


class RandomAffine:
    """Turned by an angle as in RandomRotation, moved by up to the shares `translate` of its width and
    height, `scale` times as large (between two numbers), sheared by degrees: between −shear and shear or
    between two numbers, horizontally; or between two and two more, vertically. See `functional.affine`."""

    def __init__(
        self, degrees: float | Sequence[float], translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None, shear: float | Sequence[float] | None = None,
        interpolation: InterpolationMode = NEAREST, fill: float | Sequence[float] = 0,
        center: Sequence[float] | None = None,
    ):  # fmt: skip
        self.degrees = angles("degrees", degrees, (2,))
        if translate is not None:
            check_sequence("translate", translate, (2,))
            if not all(0 <= share <= 1 for share in translate):
                raise ValueError("translation values should be between 0 and 1")
        if scale is not None:
            check_sequence("scale", scale, (2,))
            if not all(factor > 0 for factor in scale):
                raise ValueError("scale values should be positive")
        if center is not None:
            check_sequence("center", center, (2,))
        self.translate, self.scale, self.center = translate, scale, center
        self.shear = None if shear is None else angles("shear", shear, (2, 4))
        self.interpolation, self.fill = InterpolationMode(F.mode_of(interpolation)), checked_fill(fill)

    @staticmethod
    def get_params(
        degrees: Sequence[float], translate: Sequence[float] | None, scale_ranges: Sequence[float] | None,
        shears: Sequence[float] | None, img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:  # fmt: skip
        """Angle, translation, scale, shear; img_size is (width, height)."""
        angle, moved = uniform(*degrees), (0, 0)
        if translate is not None:
            most_x, most_y = translate[0] * img_size[0], translate[1] * img_size[1]
            moved = round(uniform(-most_x, most_x)), round(uniform(-most_y, most_y))
        scale = 1.0 if scale_ranges is None else uniform(*scale_ranges)
        shear_x = 0.0 if shears is None else uniform(*shears[:2])
        shear_y = uniform(*shears[2:]) if shears is not None and len(shears) == 4 else 0.0
        return angle, moved, scale, (shear_x, shear_y)

    def __call__(self, img: Any) -> Any:
        height, width = F.get_dimensions(img)[1:]
        drawn = self.get_params(self.degrees, self.translate, self.scale, self.shear, (width, height))
        return F.affine(img, *drawn, self.interpolation, self.fill, self.center)

    supports_batch = True

    def on_batch(self, x: Any) -> Any:
        """The same, of all samples at once, each by numbers of its own."""

        def mapped(planes: np.ndarray) -> np.ndarray:
            height, width = size = planes.shape[-2:]
            middle, ranges = F.from_middle(self.center, *size), (self.translate, self.scale, self.shear)
            drawn = [self.get_params(self.degrees, *ranges, (width, height)) for _ in planes]
            matrices = [F.inverse_affine(middle, *each) for each in drawn]
            return affine_map(planes, matrices, size, self.interpolation.value, self.fill)

        return F.on_batch_of_planes(x, mapped)

    def __repr__(self):
        parts = [f"degrees={self.degrees}"]
        for name, usual in (("translate", None), ("scale", None), ("shear", None)):
            if (value := getattr(self, name)) != usual:
                parts.append(f"{name}={value}")
        if self.interpolation != NEAREST:
            parts.append(f"interpolation={self.interpolation.value}")
        if self.fill != 0:
            parts.append(f"fill={self.fill}")
        if self.center is not None:
            parts.append(f"center={self.center}")
        return f"RandomAffine({', '.join(parts)})"


class RandomErasing:
    """With probability p, `value` in a rectangle of a Tensor (…, C, H, W): one number, one for each channel,
    or normal noise ("random"). Its share of the area is between the two of `scale`, its height to its
    width between the two of `ratio` (Zhong et al. 2020)."""

    def __init__(
        self, p: float = 0.5, scale: Sequence[float] = (0.02, 0.33), ratio: Sequence[float] = (0.3, 3.3),
        value: float | Sequence[float] | str = 0, inplace: bool = False,
    ):  # fmt: skip
        if not isinstance(value, (numbers.Number, str, tuple, list)):
            raise TypeError("Argument value should be either a number or str or a sequence")
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        check_ranges(scale, ratio)
        if scale[0] < 0 or scale[1] > 1:
            raise ValueError("Scale should be between 0 and 1")
        if not 0 <= p <= 1:
            raise ValueError("Random erasing probability should be between 0 and 1")
        self.p, self.scale, self.ratio, self.value, self.inplace = p, scale, ratio, value, inplace

    @staticmethod
    def get_params(
        img: Tensor, scale: Sequence[float], ratio: Sequence[float], value: Sequence[float] | None = None
    ) -> tuple[int, int, int, int, Tensor]:
        """Top, left, height, width and what goes there: the picture itself, all of it, if ten tries have
        given no rectangle that fits."""
        channels, height, width = img.shape[-3:]
        for _ in range(10):
            area, proportion = draw_part(height * width, scale, ratio)
            h, w = round(math.sqrt(area * proportion)), round(math.sqrt(area / proportion))
            if h < height and w < width:
                if value is None:
                    v = Tensor.wrap(source(None).standard_normal((channels, h, w), "float32"))
                else:
                    v = tensor(list(value)).reshape(-1, 1, 1)
                return *place_for(h, w, height, width), h, w, v
        return 0, 0, height, width, img

    def __call__(self, img: Tensor) -> Tensor:
        if source(None).random() >= self.p:
            return img
        if not isinstance(img, Tensor):
            raise TypeError(
                f"img should be Tensor Image. Got {type(img)}. Put ToTensor() before RandomErasing"
            )
        value: Any = None if self.value == "random" else self.value
        if value is not None:
            value = [float(v) for v in value] if isinstance(value, (list, tuple)) else [float(value)]
            if len(value) not in (1, img.shape[-3]):
                raise ValueError(
                    "If value is a sequence, it should have either a single value or "
                    f"{img.shape[-3]} (number of input channels)"
                )
        return F.erase(img, *self.get_params(img, self.scale, self.ratio, value), self.inplace)

    def __repr__(self):
        return (
            f"RandomErasing(p={self.p}, scale={self.scale}, ratio={self.ratio}, value={self.value}, "
            f"inplace={self.inplace})"
        )


def uniform(low: float, high: float) -> float:
    """A number drawn evenly from [low, high)."""
    return float(source(None).uniform(low, high))


def draw_part(area: float, scale: Sequence[float], ratio: Sequence[float]) -> tuple[float, float]:
    """The area of a rectangle, and the proportion of its sides, drawn evenly on a logarithmic scale."""
    return area * uniform(*scale), math.exp(uniform(math.log(ratio[0]), math.log(ratio[1])))


def place_for(h: int, w: int, height: int, width: int) -> tuple[int, int]:
    """Top and left of a rectangle anywhere in a larger one; nothing is drawn where it fits exactly."""
    if (h, w) == (height, width):
        return 0, 0
    draw = source(None).integers
    return int(draw(height - h + 1)), int(draw(width - w + 1))


def angles(name: str, given: Any, sizes: tuple[int, ...]) -> list[float]:
    """The ends of ranges, of which one number stands for both."""
    if isinstance(given, numbers.Number):
        if given < 0:  # pyright: ignore[reportOperatorIssue]
            raise ValueError(f"If {name} is a single number, it must be positive.")
        return [float(-given), float(given)]  # pyright: ignore[reportArgumentType, reportOperatorIssue]
    check_sequence(name, given, sizes)
    return [float(degrees) for degrees in given]


def check_sequence(name: str, given: Any, sizes: tuple[int, ...]) -> None:
    """torchvision's errors for what is no sequence of such a length."""
    wanted = f"{name} should be a sequence of length {' or '.join(map(str, sizes))}."
    if not isinstance(given, Sequence):
        raise TypeError(wanted)
    if len(given) not in sizes:
        raise ValueError(wanted)


def check_ranges(scale: Any, ratio: Any) -> None:
    """torchvision's errors for ranges."""
    if not isinstance(scale, Sequence):
        raise TypeError("Scale should be a sequence")
    if not isinstance(ratio, Sequence):
        raise TypeError("Ratio should be a sequence")
    if scale[0] > scale[1] or ratio[0] > ratio[1]:
        warnings.warn("Scale and ratio should be of kind (min, max)", stacklevel=3)


def checked_fill(fill: Any) -> Any:
    """What fills new pixels: 0 for None."""
    if not isinstance(fill, (Sequence, numbers.Number, type(None))):
        raise TypeError("Fill should be either a sequence or a number.")
    return 0 if fill is None else fill
