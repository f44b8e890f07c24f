"""A user's own picture of a digit, made into what MNIST would have made of it.

MNIST's digits were scaled, keeping their proportions, to fit a box of 20 × 20 pixels, and put into
28 × 28 so that their centre of mass is in the middle (LeCun, Cortes and Burges, "The MNIST database of
handwritten digits"). Before that the digit has to be found: which way round ink and paper are, where
light falls off, what is dust. All that is arithmetic on arrays; Pillow reads and scales.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

SIDE, BOX, MIDDLE = 28, 20, 14  # pixels; the centre of mass is at pixel (14, 14)
WORKED_AT = 400  # pixels for the longer side: more would show nothing new
FINE = 6  # the digit is handled at so many times the size of its box
STROKE = 2.0  # pixels: strokes thinner than that, in the box, are thickened
FAINT = 0.08  # what differs less from the paper, on a scale from black to white, is paper
MOST = 100_000_000  # pixels of a picture


def read(path: Path) -> np.ndarray:
    """The picture in the file: an array (H, W) of brightness 0…1, upright, no larger than is of use.

    OSError for what cannot be read, ValueError for what is no picture or is too large; both say what
    is wrong with it. ImportError if Pillow is missing.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as error:
        raise ImportError(
            "pictures are read by Pillow, which is not installed. Try: pip install pillow"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened: Any = Image.open(path)
        with opened as image:
            width, height = image.size
            if width * height > MOST:
                raise ValueError(
                    f"it has {width} × {height} pixels, and {MOST:,} are the limit. Try a smaller copy"
                )
            image.draft("L", (2 * WORKED_AT, 2 * WORKED_AT))  # a JPEG can be decoded at a smaller size
            image.load()
            return brightness(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise ValueError("it is not a picture in a format that Pillow knows") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"it is too large: {error}") from error
    except (OSError, SyntaxError, EOFError) as error:
        if isinstance(error, OSError) and error.filename:
            raise  # there is no such file, or no permission
        raise ValueError(f"it is damaged: {error}") from error


def brightness(image: Any) -> np.ndarray:
    """0 for black … 1 for white. Where the picture is transparent there is paper: white under dark
    ink, black under light ink."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):  # 16 bits, or a range of their own
        grey = np.asarray(image.convert("F"), np.float64)
        low, high = grey.min(), grey.max()
        if low == high:
            raise ValueError("there is no digit in it: it is of one even tone")
        return scaled((grey - low) / (high - low))
    if image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert("RGBA")
    image.thumbnail((2 * WORKED_AT, 2 * WORKED_AT), reducing_gap=2)
    *_, alpha = np.moveaxis(np.asarray(image.convert("RGBA"), np.float64) / 255, -1, 0)
    grey = np.asarray(image.convert("RGB").convert("L"), np.float64) / 255
    if alpha.min() < 1:
        ink = (grey * alpha).sum() / max(alpha.sum(), 1e-9)
        grey = alpha * grey + (1 - alpha) * (1.0 if ink < 0.5 else 0.0)
    return scaled(grey)


def scaled(grey: np.ndarray) -> np.ndarray:
    """With a longer side of WORKED_AT at most."""
    height, width = grey.shape
    ratio = WORKED_AT / max(height, width)
    return grey if ratio >= 1 else resized(grey, max(1, round(height * ratio)), max(1, round(width * ratio)))


def resized(grey: np.ndarray, height: int, width: int) -> np.ndarray:
    """Averages over the new pixels, or interpolation between the old."""
    from PIL import Image

    image = Image.fromarray(grey.astype(np.float32))
    smaller = height <= grey.shape[0] and width <= grey.shape[1]
    how = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    return np.asarray(image.resize((width, height), how), np.float64)


# ---- from brightness to a digit --------------------------------------------------------------------


def as_mnist(grey: np.ndarray) -> np.ndarray:
    """The digit in a picture (H, W) of brightness 0…1 as MNIST has it: (28, 28) bytes, 255 for ink.
    ValueError if there is none."""
    ink = without_dust(ink_of(grey))
    rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    ratio = FINE * BOX / max(ink.shape)
    height, width = (max(1, round(ratio * n)) for n in ink.shape)
    fine = thickened(resized(ink, height, width))
    ratio = BOX / max(fine.shape)
    height, width = (max(1, round(ratio * n)) for n in fine.shape)
    digit = resized(fine, height, width)
    return centred(np.clip(digit / digit.max(), 0, 1))


def ink_of(grey: np.ndarray) -> np.ndarray:
    """How much ink is at each pixel, 0…1: what differs from the paper, whichever is the darker."""
    paper = paper_of(grey)
    difference = grey - paper
    dark, light = np.clip(-difference, 0, None), np.clip(difference, 0, None)
    ink = dark if (dark**2).sum() >= (light**2).sum() else light
    level = threshold(ink)
    contrast = ink[ink >= level].mean() if level else 0
    noise = deviation(difference)
    if contrast < max(FAINT, 5 * noise):
        raise ValueError("there is no digit in it: nothing stands out from the background")
    return np.clip((ink - level / 2) / (contrast - level / 2), 0, 1) * (ink > level / 2)


def paper_of(grey: np.ndarray) -> np.ndarray:
    """The brightness of the paper at each pixel, as the light falls on it: a quadratic surface, fitted
    to the picture's border and then to all that lies near it."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in grey.shape), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1)
    some = (slice(None, None, max(1, max(grey.shape) // 100)),) * 2  # pixels, enough to fit to
    values, at = grey[some].reshape(-1), terms[some].reshape(-1, 6)
    border = np.maximum(abs(x), abs(y))[some].reshape(-1) >= 0.9
    surface = np.array([np.median(values[border]), 0, 0, 0, 0, 0])
    for _ in range(4):
        away = abs(values - at @ surface)
        near = away <= max(2.5 * deviation(away[border]), 0.02)
        if near.sum() < 0.3 * len(values):  # too little to tell how the light falls
            break
        surface = np.linalg.lstsq(at[near], values[near], rcond=None)[0]
    return terms @ surface


def deviation(difference: np.ndarray) -> float:
    """The standard deviation of what is around 0 in most places, and anything in others: normally
    distributed numbers are nearer than 0.3186 of it a quarter of the time."""
    return float(np.quantile(np.abs(difference), 0.25)) / 0.3186


def threshold(ink: np.ndarray) -> float:
    """Between paper and ink, where the two groups' means lie furthest apart, weighted by their sizes
    (Otsu 1979)."""
    counts, edges = np.histogram(ink, 128)
    middles = (edges[1:] + edges[:-1]) / 2
    below, mass = np.cumsum(counts), np.cumsum(counts * middles)
    above = below[-1] - below
    means = mass / np.maximum(below, 1), (mass[-1] - mass) / np.maximum(above, 1)
    return float(edges[1:][np.argmax(below * above * (means[0] - means[1]) ** 2)])


def without_dust(ink: np.ndarray) -> np.ndarray:
    """Only what hangs together with at least a tenth as much ink as the largest piece."""
    pieces = labelled(ink > 0)
    mass = np.bincount(pieces.reshape(-1), ink.reshape(-1))
    return ink * (mass >= mass[1:].max() / 10)[pieces] * (pieces > 0)


def labelled(mask: np.ndarray) -> np.ndarray:
    """A number from 1 on for each connected piece, and 0 outside; a gap of two pixels connects, too."""
    windows: Any = np.lib.stride_tricks.sliding_window_view(np.pad(mask, 1), (3, 3))
    mask = windows.any((2, 3))
    pieces = np.arange(1, mask.size + 1).reshape(mask.shape) * mask
    while True:
        before = pieces
        for turns in range(4):  # the largest number spreads along each row, then each column, both ways
            here, there = np.rot90(mask, turns), np.rot90(pieces, turns)
            row = np.cumsum(~here, 1) * (mask.size + 1)  # larger behind every gap: nothing spreads over it
            pieces = np.rot90(np.maximum.accumulate(row + there, 1) - row, -turns)
        if (pieces == before).all():
            return np.unique(np.append(0, pieces), return_inverse=True)[1][1:].reshape(mask.shape)


def thickened(ink: np.ndarray) -> np.ndarray:
    """At FINE times the box: strokes of a fine pen become as wide as MNIST's thin ones."""
    from PIL import Image, ImageFilter

    mask = np.pad(ink > 0.5, 1)
    edges = sum((mask & ~np.roll(mask, step, axis)).sum() for axis in (0, 1) for step in (-1, 1))
    width = 2 * mask.sum() / max(edges * np.pi / 4, 1)  # an area by half its outline
    lacking = round((STROKE * FINE - width) / 2)
    if lacking <= 0:
        return ink
    image = Image.fromarray(np.uint8(255 * np.pad(ink, lacking)))
    return np.asarray(image.filter(ImageFilter.MaxFilter(2 * lacking + 1)), np.float64) / 255


def centred(digit: np.ndarray) -> np.ndarray:
    """In the middle of 28 × 28 by its centre of mass; what would stand out is cut off, as in MNIST."""
    mass = digit.sum()
    field = np.zeros((3 * SIDE, 3 * SIDE))
    place = [
        SIDE + MIDDLE - round(float((digit.sum(1 - axis) * np.arange(digit.shape[axis])).sum() / mass))
        for axis in (0, 1)
    ]
    field[place[0] : place[0] + digit.shape[0], place[1] : place[1] + digit.shape[1]] = digit
    return np.round(255 * field[SIDE : 2 * SIDE, SIDE : 2 * SIDE]).astype(np.uint8)
