"""`python -m examples.mnist predict IMAGE…`: what a trained network reads in pictures of one's own."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TextIO

import numpy as np

from examples.mnist import picture
from examples.mnist.look import looked
from examples.mnist.networks import Trained, trained
from examples.mnist.train import Parser, notice, stop

DESCRIPTION = """\
Read the handwritten digit in each of these pictures: PNG, JPEG or whatever else Pillow knows, of any
size, dark on light or light on dark, one digit a picture.

As MNIST was made, the digit is cropped, scaled to fit a box of 20 x 20 pixels, and put into 28 x 28
with its centre of mass in the middle. What the network sees then is shown, and what it makes of it."""

SHADES = " .:-=+*#%@"
BAR = 24  # letters for a probability of 1


def command_line() -> argparse.ArgumentParser:
    """The flags."""
    parser = Parser(
        prog="python -m examples.mnist predict", usage="%(prog)s [--from RUN] IMAGE [IMAGE ...]",
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="a picture of one digit")
    parser.add_argument("--from", dest="where", type=Path, metavar="RUN",
        help="the folder of the run whose network reads (default: the last one under runs/)")  # fmt: skip
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit status: 1 if a picture could not be read, the others are."""
    args = command_line().parse_args(argv)
    try:
        network = trained(args.where)
    except (OSError, ValueError, ImportError) as error:
        stop(str(error))
    failed = 0
    try:
        for path in args.images:
            try:
                pixels = picture.as_mnist(picture.read(path))
            except ImportError as error:
                stop(str(error))
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else error
                notice(f"{path}: {reason}")
                failed += 1
                continue
            print(report(path, pixels, network, sys.stdout), flush=True)
    except BrokenPipeError:  # nobody reads on, as after `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at its end
        return 141
    return 1 if failed else 0


def report(path: Path, pixels: np.ndarray, network: Trained, out: TextIO) -> str:
    """What the network sees, beside its probabilities, in letters that `out` can take."""
    probabilities = looked(network, pixels).probabilities
    best = int(probabilities.argmax())
    rich = can_write(out, "▀█▏→")
    width = max(map(len, network.classes))
    bars = [
        f"{'>' if k == best else ' '} {name:>{width}} {bar(p, rich)} {100 * p:5.1f} %"
        for k, (name, p) in enumerate(zip(network.classes, probabilities.tolist(), strict=True))
    ]
    seen = half_blocks(pixels) if rich and colourful(out) else shades(pixels, rich)
    beside = [*[""] * ((len(seen) - len(bars)) // 2), *bars, *[""] * len(seen)]
    lines = [f"{left}   {right}".rstrip() for left, right in zip(seen, beside, strict=False)]
    name = str(path).encode(out.encoding or "utf-8", "backslashreplace").decode(out.encoding or "utf-8")
    return "\n".join([f"{name}: {network.classes[best]} ({100 * probabilities[best]:.1f} %)", "", *lines, ""])


def half_blocks(pixels: np.ndarray) -> list[str]:
    """Two pixels in each letter, the upper one its colour, the lower one its ground: 256-colour greys."""
    grey = np.where(pixels > 0, 232 + pixels.astype(int) * 23 // 255, 232)
    return [
        "".join(f"\x1b[38;5;{a};48;5;{b}m▀" for a, b in zip(*two, strict=True)) + "\x1b[0m"
        for two in grey.reshape(14, 2, 28)
    ]


def shades(pixels: np.ndarray, rich: bool) -> list[str]:
    """Without colours: two rows of pixels in each line, by their mean."""
    letters = " ░▒▓█" if rich else SHADES
    means = pixels.reshape(14, 2, 28).mean(1)
    at = np.ceil(means * (len(letters) - 1) / 255).astype(int)
    return ["".join(letters[k] for k in row) for row in at]


def bar(share: float, rich: bool) -> str:
    """A bar for a share of 0…1, in eighths of a letter where there are such letters."""
    if not rich:
        return ("#" * round(BAR * share)).ljust(BAR)
    whole, eighths = divmod(round(8 * BAR * share), 8)
    return ("█" * whole + " ▏▎▍▌▋▊▉"[eighths].strip()).ljust(BAR)


def can_write(out: TextIO, letters: str) -> bool:
    """Are these letters in its encoding?"""
    try:
        letters.encode(out.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def colourful(out: TextIO) -> bool:
    """Is it a terminal with colours, and does nobody mind (no-color.org)?"""
    return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") != "dumb"
