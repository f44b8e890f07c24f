"""What a user may write, and what to say where it is something else."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path

INSTALL = "pip install -e '.[{}]', in the folder of this repository"


def unknown(kind: str, name: object, names: Iterable[str]) -> str:
    """`there is no check 'vpj' (do you mean 'vjp'?): write one of …`"""
    names = list(names)
    near = get_close_matches(str(name), names, 3, 0.5)
    meant = f" (do you mean {' or '.join(map(repr, near))}?)" if near else ""
    if len(names) > 20:
        return f"there is no {kind} {name!r}" + (
            meant or f": there are {', '.join(names[:20])} … ({len(names)} in all)"
        )
    return f"there is no {kind} {name!r}{meant}: write {'one of ' * (len(names) > 1)}{', '.join(names)}"


def listed(kind: str, given: str | Iterable[str], names: Iterable[str]) -> list[str]:
    """A name, or several, as a list; ValueError if one of them is none of `names`."""
    given, names = [given] if isinstance(given, str) else list(given), list(names)
    for name in given:
        if name not in names:
            raise ValueError(unknown(kind, name, names))
    return given


# ---- of the command line ----------------------------------------------------------------------------


def number(of: Callable[[str], float], least: float, above: bool = False) -> Callable[[str], float]:
    """A type for argparse: a number of at least so much, or above it."""

    def read(text: str) -> float:
        value = of(text)
        if not math.isfinite(value) or value < least or (above and value == least):
            raise argparse.ArgumentTypeError(f"{text} is not {'above' if above else 'at least'} {least}")
        return value

    read.__name__ = of.__name__  # in what argparse says of a text that is no number
    return read


def new_file(text: str) -> Path:
    """A type for argparse: a file that can be written, in a folder that is made where it is missing."""
    path = Path(text)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"the folder of {text} cannot be made: {error}") from error
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text} cannot be written")
    return path
