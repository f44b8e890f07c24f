"""What transforms do, as functions (torchvision.transforms.functional).

A picture is a Tensor (…, C, H, W), a PIL image, or a NumPy array (H, W) or (H, W, C), which is what our
data sets give: it is worked on as the tensor of its planes. The result is of the same kind.
"""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import numpy as np

import autodiff
from autodiff import Tensor

from . import sampling


class InterpolationMode(Enum):
    """How values between pixels are found. The last three are for PIL images alone."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


# Pillow's numbers for them.
PILLOWS = {
    "nearest": 0,
    "lanczos": 1,
    "bilinear": 2,
    "bicubic": 3,
    "box": 4,
    "hamming": 5,
    "nearest-exact": 0,
}
PADDINGS = ("constant", "edge", "reflect", "symmetric")


# ---- kinds of pictures -----------------------------------------------------------------------------


def is_pil(img: Any) -> bool:
    """Is it a PIL image? (An image says what it holds: PIL need not be imported.)"""
    return hasattr(img, "__array_interface__") and hasattr(img, "getbands")


def pillow(module: str) -> Any:
    """A module of Pillow, which is an extra."""
    try:
        return __import__(f"PIL.{module}", fromlist=[module])
    except ImportError as error:
        raise ImportError(
            "PIL images are Pillow's, and that library is not installed. Try: pip install pillow"
        ) from error


def on_planes(img: Any, function: Callable[[np.ndarray], np.ndarray]) -> Any:
    """`function` of the array (…, H, W) of a Tensor or an array; its result as the same kind."""
    if isinstance(img, Tensor):
        if img.requires_grad:
            raise RuntimeError(
                "this transform works on the numbers of a picture and is not recorded, but the picture "
                "requires grad: write .detach()"
            )
        if img.ndim < 2:
            raise TypeError(f"Tensor is not a torch image: its shape is {tuple(img.shape)}, not (…, C, H, W)")
        return Tensor.wrap(function(img.array))
    if not isinstance(img, np.ndarray):
        raise TypeError(f"img should be PIL Image, Tensor or ndarray. Got {type(img)}")
    if img.ndim == 2:
        return function(img)
    if img.ndim != 3:
        raise ValueError(f"img should be 2/3 dimensional. Got {img.ndim} dimensions, shape {img.shape}")
    return np.ascontiguousarray(function(img.transpose(2, 0, 1)).transpose(1, 2, 0))


def on_batch_of_planes(x: Any, function: Callable[[np.ndarray], np.ndarray]) -> Any:
    """`function` of (N, C, H, W), for the Tensor of that shape or an array (N, H, W) or (N, H, W, C)."""
    if isinstance(x, Tensor):
        return on_planes(x, function)
    if x.ndim == 3:
        return function(x[:, None])[:, 0]
    return np.ascontiguousarray(function(x.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1))


def get_dimensions(img: Any) -> list[int]:
    """[channels, height, width]."""
    if is_pil(img):
        return [len(img.getbands()), img.height, img.width]
    if isinstance(img, Tensor):
        return [1 if img.ndim == 2 else img.shape[-3], *img.shape[-2:]]
    if isinstance(img, np.ndarray):
        return [1 if img.ndim == 2 else img.shape[2], *img.shape[:2]]
    raise TypeError(f"Unexpected type {type(img)}")


# ---- from one kind to another ----------------------------------------------------------------------


def from_pil(pic: Any) -> np.ndarray:
    """The numbers of a PIL image."""
    if not is_pil(pic):
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    array = np.asarray(pic)
    return 255 * array.astype(np.uint8) if pic.mode == "1" else array


def to_tensor(pic: Any) -> Tensor:
    """A picture (H, W) or (H, W, C) → a Tensor (C, H, W); bytes 0…255 become the default dtype's 0…1."""
    array = pic if isinstance(pic, np.ndarray) else from_pil(pic)
    if array.ndim not in (2, 3):
        raise ValueError(f"pic should be 2/3 dimensional. Got {array.ndim} dimensions, shape {array.shape}")
    return Tensor.wrap(scaled(array[None] if array.ndim == 2 else array.transpose(2, 0, 1)))


def scaled(planes: np.ndarray) -> np.ndarray:
    """Bytes divided by 255, in new contiguous memory; other numbers as they are."""
    if planes.dtype != np.uint8:
        return np.ascontiguousarray(planes)
    dtype = autodiff.get_default_dtype()
    return np.divide(planes, dtype.type(255), dtype=dtype, order="C")


def pil_to_tensor(pic: Any) -> Tensor:
    """A PIL image → a Tensor (C, H, W) of the same numbers."""
    if not is_pil(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    array = np.array(pic)
    return Tensor.wrap(np.ascontiguousarray(array.reshape(*array.shape[:2], -1).transpose(2, 0, 1)))


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A Tensor (C, H, W) or (H, W), or an array (H, W) or (H, W, C) → a PIL image. Fractions 0…1 become
    bytes; `mode` says what the channels mean, if not the usual."""
    if isinstance(pic, Tensor):
        array = pic.detach().array
        array = array.transpose(1, 2, 0) if array.ndim == 3 else array
    elif isinstance(pic, np.ndarray):
        array = pic
    else:
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    if array.ndim not in (2, 3):
        raise ValueError(f"pic should be 2/3 dimensional. Got {array.ndim} dimensions.")
    array = array[:, :, None] if array.ndim == 2 else array
    channels = array.shape[2]
    if channels > 4:
        raise ValueError(f"pic should not have > 4 channels. Got {channels} channels.")
    if array.dtype.kind == "f" and mode != "F":
        array = (array * 255).astype(np.uint8)
    if channels == 1:
        sixteen = "I;16" if sys.byteorder == "little" else "I;16B"
        usual = {"uint8": "L", "int16": sixteen, "int32": "I", "float32": "F"}.get(array.dtype.name)
        possible = (usual,)
    else:
        possible = {2: ("LA",), 3: ("RGB", "YCbCr", "HSV"), 4: ("RGBA", "CMYK", "RGBX")}[channels]
        usual = possible[0] if array.dtype == np.uint8 else None
    if mode is not None and mode not in possible:
        raise ValueError(
            f"Incorrect mode ({mode}) supplied for {channels} channels of {array.dtype}. Should be "
            f"{' or '.join(map(str, possible))}"
        )
    mode = mode or usual
    if mode is None:
        raise TypeError(f"Input type {array.dtype} is not supported")
    size = array.shape[1], array.shape[0]
    return pillow("Image").frombytes(mode, size, np.ascontiguousarray(array).tobytes())


def convert_image_dtype(image: Tensor, dtype: Any = autodiff.float32) -> Tensor:
    """The picture in another dtype, in whose range it is as bright: whole numbers from 0 to their
    largest, fractions from 0 to 1."""
    if not isinstance(image, Tensor):
        raise TypeError(f"Input img should be Tensor Image, got {type(image)}")
    old, new = image.dtype, np.dtype(dtype)
    if old == new or old.kind == new.kind == "f":
        return image.to(new)
    if old.kind == "f":
        if new.itemsize >= 4 and old.itemsize <= new.itemsize:
            raise RuntimeError(f"The cast from {old} to {new} cannot be performed safely.")
        return (image * (np.iinfo(new).max + 1 - 1e-3)).to(new)
    most = np.iinfo(old).max if old.kind != "b" else 1
    if new.kind == "f":
        return image.to(new) / most
    newest = np.iinfo(new).max if new.kind != "b" else 1
    if most > newest:
        return (image // ((most + 1) // (newest + 1))).to(new)
    return image.to(new) * ((newest + 1) // (most + 1))


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """0.2989·red + 0.587·green + 0.114·blue, in one channel or three alike."""
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    if is_pil(img):
        gray = img.convert("L")
        return gray if num_output_channels == 1 else pillow("Image").merge("RGB", [gray] * 3)

    def gray_planes(planes: np.ndarray) -> np.ndarray:
        planes = planes[None] if planes.ndim == 2 else planes
        if planes.shape[-3] not in (1, 3):
            raise TypeError(
                f"Input image tensor permitted channel values are [1, 3], but found {planes.shape[-3]}"
            )
        if planes.shape[-3] == 3:
            red, green, blue = np.moveaxis(sampling.floating(planes), -3, 0)
            planes = (0.2989 * red + 0.587 * green + 0.114 * blue).astype(planes.dtype)[..., None, :, :]
        return np.repeat(planes, num_output_channels, -3)

    if isinstance(img, np.ndarray) and img.ndim == 2:
        return img.copy() if num_output_channels == 1 else np.repeat(img[:, :, None], 3, 2)
    return on_planes(img, gray_planes)


def normalize(tensor: Tensor, mean: Any, std: Any, inplace: bool = False) -> Tensor:
    """(x − mean) / std, with a mean and a standard deviation for each channel of (…, C, H, W)."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}. Put ToTensor() before Normalize")
    if not tensor.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}. Write .float() first")
    if tensor.ndim < 3:
        raise ValueError(
            "Expected tensor to be a tensor image of size (..., C, H, W). "
            f"Got tensor.size() = {tensor.size()}"
        )
    means, deviations = per_channel(mean, tensor), per_channel(std, tensor)
    if not deviations.all():
        raise ValueError(
            f"std evaluated to zero after conversion to {tensor.dtype}, leading to division by zero: {std}"
        )
    m, s = Tensor.wrap(means), Tensor.wrap(deviations)
    return tensor.sub_(m).div_(s) if inplace else (tensor - m) / s


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


# ---- parts and mirror images -----------------------------------------------------------------------


def hflip(img: Any) -> Any:
    """Left and right exchanged."""
    return img.transpose(0) if is_pil(img) else on_planes(img, lambda planes: planes[..., ::-1].copy())


def vflip(img: Any) -> Any:
    """Above and below exchanged."""
    return img.transpose(1) if is_pil(img) else on_planes(img, lambda planes: planes[..., ::-1, :].copy())


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """A part of the picture; where that goes beyond it, 0."""
    if is_pil(img):
        return img.crop((left, top, left + width, top + height))

    def part(planes: np.ndarray) -> np.ndarray:
        h, w = planes.shape[-2:]
        result = np.zeros((*planes.shape[:-2], height, width), planes.dtype)
        rows = slice(max(top, 0), max(min(top + height, h), 0))
        columns = slice(max(left, 0), max(min(left + width, w), 0))
        found = planes[..., rows, columns]
        y, x = max(-top, 0), max(-left, 0)
        result[..., y : y + found.shape[-2], x : x + found.shape[-1]] = found
        return result

    return on_planes(img, part)


def center_crop(img: Any, output_size: int | Sequence[int]) -> Any:
    """The middle of the picture; with 0 around it, if it is smaller."""
    size = pair(output_size)
    height, width = get_dimensions(img)[1:]
    if size[0] > height or size[1] > width:
        y, x = max(size[0] - height, 0), max(size[1] - width, 0)
        img = pad(img, [x // 2, y // 2, (x + 1) // 2, (y + 1) // 2])
        height, width = get_dimensions(img)[1:]
    return crop(img, round((height - size[0]) / 2), round((width - size[1]) / 2), *size)


def pad(
    img: Any, padding: int | Sequence[int], fill: float | Sequence[float] = 0, padding_mode: str = "constant"
) -> Any:
    """More at the edges: `padding` is for all of them, for (left and right, above and below), or for
    (left, above, right, below); less, where it is negative. In the new pixels is `fill`, the pixel at the
    edge ("edge"), or the mirror image, without that pixel or with it ("reflect", "symmetric")."""
    if not isinstance(padding, (numbers.Number, list, tuple)):
        raise TypeError("Got inappropriate padding arg")
    if fill is not None and not isinstance(fill, (numbers.Number, list, tuple)):
        raise TypeError("Got inappropriate fill arg")
    if padding_mode not in PADDINGS:
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
    left, top, right, bottom = edges(padding)
    if min(left, top, right, bottom) < 0:
        height, width = get_dimensions(img)[1:]
        y, x = max(-top, 0), max(-left, 0)
        img = crop(img, y, x, height - y + min(bottom, 0), width - x + min(right, 0))
        left, top, right, bottom = (max(n, 0) for n in (left, top, right, bottom))
    if is_pil(img):
        return pad_pil(img, (left, top, right, bottom), fill, padding_mode)
    if not isinstance(fill, (numbers.Number, type(None))) and len(fill) > 1:
        raise TypeError("Got inappropriate fill arg: for a tensor it is one number")
    constant = {"constant_values": np.ravel(fill or 0)[0]} if padding_mode == "constant" else {}
    around = (top, bottom), (left, right)
    mode: Any = padding_mode
    return on_planes(
        img, lambda planes: np.pad(planes, [(0, 0)] * (planes.ndim - 2) + [*around], mode, **constant)
    )


def pad_pil(img: Any, padding: tuple[int, int, int, int], fill: Any, padding_mode: str) -> Any:
    """`pad` of a PIL image; `padding` is (left, above, right, below)."""
    palette = img.getpalette() if img.mode == "P" else None
    if padding_mode == "constant":
        padded = pillow("ImageOps").expand(img, padding, pil_fill(fill, img))
    else:
        left, top, right, bottom = padding
        array, mode = np.asarray(img), padding_mode
        around = [(top, bottom), (left, right)] + [(0, 0)] * (array.ndim - 2)
        padded = pillow("Image").fromarray(np.pad(array, around, mode))  # pyright: ignore[reportCallIssue, reportArgumentType]
    if palette:
        padded.putpalette(palette)
    return padded


def edges(padding: Any) -> tuple[int, int, int, int]:
    """(left, above, right, below)."""
    if isinstance(padding, numbers.Number):
        n = int(padding)  # pyright: ignore[reportArgumentType]
        return n, n, n, n
    if len(padding) not in (1, 2, 4):
        raise ValueError(
            f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(padding)} element tuple"
        )
    left, top, right, bottom = [*padding] * (4 // len(padding))
    return left, top, right, bottom


def pil_fill(fill: Any, img: Any) -> Any:
    """The colour of new pixels, as Pillow takes it."""
    channels = len(img.getbands())
    values = list(fill) if isinstance(fill, (list, tuple)) else [0 if fill is None else fill]
    if len(values) not in (1, channels):
        raise ValueError(
            "The number of elements in 'fill' does not match the number of channels of the image "
            f"({len(values)} != {channels})"
        )
    values = values * (channels // len(values))
    values = values if img.mode == "F" else [int(value) for value in values]
    return values[0] if channels == 1 else tuple(values)


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Tensor, inplace: bool = False) -> Tensor:
    """`v` in the h × w pixels from row i and column j."""
    if not isinstance(img, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(img)}")
    img = img if inplace else img.clone()
    img[..., i : i + h, j : j + w] = v
    return img


# ---- other sizes and places ------------------------------------------------------------------------


def resize(
    img: Any, size: int | Sequence[int], interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    max_size: int | None = None, antialias: bool | None = True,
) -> Any:  # fmt: skip
    """The picture in size (height, width), or with `size` as its shorter edge and the longer one in
    proportion, but at most `max_size`. PIL images are always antialiased."""
    mode = mode_of(interpolation)
    height, width = get_dimensions(img)[1:]
    new = resized_size(height, width, size, max_size)
    if new == (height, width):
        return img
    if is_pil(img):
        return img.resize(new[::-1], PILLOWS[mode])
    smooth = bool(antialias) and mode in ("bilinear", "bicubic")
    return on_planes(img, lambda planes: sampling.resized(planes, new, mode, smooth))


def resized_size(height: int, width: int, size: Any, max_size: int | None) -> tuple[int, int]:
    """The (height, width) that `size` means: both, or the shorter edge, the longer one at most `max_size`."""
    sizes = [size] if isinstance(size, int) else list(size)
    if len(sizes) not in (1, 2):
        raise ValueError(
            f"Size must be an int or a 1 or 2 element tuple/list, not a {len(sizes)} element tuple/list"
        )
    if len(sizes) == 2:
        if max_size is not None:
            raise ValueError(
                "max_size should only be passed if size specifies the length of the smaller edge"
            )
        return sizes[0], sizes[1]
    short, long = sizes[0], int(sizes[0] * max(height, width) / min(height, width))
    if max_size is not None:
        if max_size <= short:
            raise ValueError(
                f"max_size = {max_size} must be strictly greater than the requested size for the smaller "
                f"edge size = {size}"
            )
        if long > max_size:
            short, long = int(max_size * short / long), max_size
    return (long, short) if width <= height else (short, long)


def resized_crop(
    img: Any, top: int, left: int, height: int, width: int, size: Sequence[int],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR, antialias: bool | None = True,
) -> Any:  # fmt: skip
    """A part of the picture, in another size."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def rotate(
    img: Any, angle: float, interpolation: InterpolationMode = InterpolationMode.NEAREST,
    expand: bool = False, center: Sequence[float] | None = None,
    fill: float | Sequence[float] | None = None,
) -> Any:  # fmt: skip
    """The picture turned by `angle` degrees counterclockwise, about its middle or the given centre (x, y);
    with `expand` as large as it needs to be to hold it all."""
    mode = mode_of(interpolation)
    check_place(angle, center)
    if is_pil(img):
        return img.rotate(angle, PILLOWS[mode], expand, center, fillcolor=pil_fill(fill, img))
    height, width = get_dimensions(img)[1:]
    matrix = inverse_affine(from_middle(center, height, width), -angle, (0, 0), 1, (0, 0))
    size = expanded(matrix, height, width) if expand else (height, width)
    return on_planes(img, lambda planes: sampling.affine_map(planes, matrix, size, mode, fill))


def affine(
    img: Any, angle: float, translate: Sequence[float], scale: float, shear: float | Sequence[float],
    interpolation: InterpolationMode = InterpolationMode.NEAREST,
    fill: float | Sequence[float] | None = None, center: Sequence[float] | None = None,
) -> Any:  # fmt: skip
    """The picture turned by `angle` degrees clockwise and sheared by degrees (x, y), `scale` times as large,
    about its middle or the given centre (x, y), and then moved by `translate` pixels (x, y)."""
    mode = mode_of(interpolation)
    check_place(angle, center)
    if not isinstance(translate, (list, tuple)):
        raise TypeError("Argument translate should be a sequence")
    if len(translate) != 2:
        raise ValueError("Argument translate should be a sequence of length 2")
    if scale <= 0:
        raise ValueError("Argument scale should be positive")
    if isinstance(shear, numbers.Number):
        shear = (shear, 0.0)  # pyright: ignore[reportAssignmentType]
    elif not isinstance(shear, (list, tuple)):
        raise TypeError("Shear should be either a single value or a sequence of two values")
    elif len(shear) == 1:
        shear = (shear[0], shear[0])
    if len(shear) != 2:  # pyright: ignore[reportArgumentType]
        raise ValueError(f"Shear should be a sequence containing two values. Got {shear}")
    height, width = get_dimensions(img)[1:]
    if is_pil(img):
        middle = (width / 2, height / 2) if center is None else center
        matrix = inverse_affine(middle, angle, translate, scale, shear)
        return img.transform(img.size, 0, matrix, PILLOWS[mode], fillcolor=pil_fill(fill, img))
    matrix = inverse_affine(from_middle(center, height, width), angle, translate, scale, shear)
    return on_planes(img, lambda planes: sampling.affine_map(planes, matrix, (height, width), mode, fill))


def from_middle(center: Sequence[float] | None, height: int, width: int) -> tuple[float, float]:
    """A place (x, y), seen from the middle of the picture, which it is if not given."""
    return (0.0, 0.0) if center is None else (center[0] - width / 2, center[1] - height / 2)


def inverse_affine(center: Any, angle: float, translate: Any, scale: float, shear: Any) -> list[float]:
    """The rows of the matrix that leads from a place in the result back to the one in the picture: the
    inverse of  T · C · R(angle) · shear y · shear x · scale · C⁻¹  (T and C move by translate and center)."""
    turn, shear_x, shear_y = (math.radians(degrees) for degrees in (angle, *shear))
    a = math.cos(turn - shear_y) / math.cos(shear_y)
    b = -a * math.tan(shear_x) - math.sin(turn)
    c = math.sin(turn - shear_y) / math.cos(shear_y)
    d = -c * math.tan(shear_x) + math.cos(turn)
    rows = (d / scale, -b / scale), (-c / scale, a / scale)  # its determinant is scale²
    moved = -center[0] - translate[0], -center[1] - translate[1]
    return [
        value
        for (p, q), middle in zip(rows, center, strict=True)
        for value in (p, q, p * moved[0] + q * moved[1] + middle)
    ]


def expanded(matrix: list[float], height: int, width: int) -> tuple[int, int]:
    """The size that holds all of a turned picture."""
    corners = np.array([[x * width / 2, y * height / 2, 1] for x in (-1, 1) for y in (-1, 1)])
    places = corners @ np.reshape(matrix, (2, 3)).T + [width / 2, height / 2]
    low, high = (np.trunc(ends / 1e-4) * 1e-4 for ends in (places.min(0), places.max(0)))  # 3.00000001 is 3
    w, h = (np.ceil(high) - np.floor(low)).astype(int).tolist()
    return h, w


def check_place(angle: Any, center: Any) -> None:
    """torchvision's errors for an angle and a centre."""
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")


def mode_of(interpolation: Any) -> str:
    """The name of an InterpolationMode, or of one of Pillow's numbers."""
    if isinstance(interpolation, InterpolationMode):
        return interpolation.value
    if isinstance(interpolation, int) and interpolation in PILLOWS.values():
        return next(name for name, number in PILLOWS.items() if number == interpolation)
    raise TypeError(
        "Argument interpolation should be a InterpolationMode or a corresponding Pillow integer constant"
    )


def pair(size: Any) -> tuple[int, int]:
    """(height, width), of one number for both or two."""
    if isinstance(size, numbers.Number):
        return int(size), int(size)  # pyright: ignore[reportArgumentType]
    if len(size) not in (1, 2):
        raise ValueError("Please provide only two dimensions (h, w) for size.")
    return size[0], size[-1]
