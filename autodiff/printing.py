"""An array as text, laid out as PyTorch does it: what a Tensor shows of its elements."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

# As `set_printoptions` has it.
PRINTED: dict[str, Any] = dict(precision=4, threshold=1000, edgeitems=3, linewidth=80, sci_mode=None)
PROFILES: dict[str, dict[str, Any]] = {
    "default": dict(PRINTED), "short": {**PRINTED, "precision": 2, "edgeitems": 2},
    "full": {**PRINTED, "threshold": sys.maxsize},
}  # fmt: skip


def set_printoptions(
    precision: int | None = None, threshold: int | None = None, edgeitems: int | None = None,
    linewidth: int | None = None, profile: str | None = None, sci_mode: bool | None = None,
) -> None:  # fmt: skip
    """How Tensors are printed from here on: so many decimals, everything if there are no more than `threshold`
    elements and else so many at each edge, in lines so long, as powers of ten or not; or all as the profile
    "default", "short" or "full" has it."""
    if profile is not None:
        if profile not in PROFILES:
            raise ValueError(f"profile must be one of {', '.join(PROFILES)}, and not {profile!r}")
        PRINTED.update(PROFILES[profile])
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    PRINTED.update({name: value for name, value in given.items() if value is not None}, sci_mode=sci_mode)


def shown(array: np.ndarray, indent: int) -> str:
    """The elements as PyTorch shows them, with room for `indent` characters before each line."""
    if not array.size:
        return "[]"
    edge = PRINTED["edgeitems"] if array.size > PRINTED["threshold"] else array.size
    return in_brackets(array, indent, edge, *number_format(at_edges(array, edge)))


def at_edges(array: np.ndarray, edge: int) -> np.ndarray:
    """The elements that are shown: no more than `edge` from either end of a dimension."""
    for axis, n in enumerate(array.shape):
        if n > 2 * edge:
            array = array.take([*range(edge), *range(n - edge, n)], axis)
    return array


def number_format(array: np.ndarray) -> tuple[Callable[[Any], str], int]:
    """How each of these elements is written, and how wide: with four decimals unless all are whole; as powers of
    ten if they are very large, very small, or far apart."""
    spec, point = "", ""
    if array.dtype.kind == "f":
        array = array[np.isfinite(array) & (array != 0)].astype(np.float64)
        whole = bool((array == np.ceil(array)).all())
        powers = bool(array.size) and PRINTED["sci_mode"]
        if powers is None:
            least, most = np.abs(array).min(), np.abs(array).max()
            powers = most > 1000 * least or most > 1e8 or least < 1e-4
        digits = PRINTED["precision"]
        spec = f".{digits}e" if powers else ".0f" if whole else f".{digits}f"
        point = "." if whole and not powers else ""

    def text(x) -> str:
        written = format(x, spec)
        return written + point if point and np.isfinite(x) else written

    return text, max((len(text(x)) for x in array.reshape(-1).tolist()), default=1)


def in_brackets(array: np.ndarray, indent: int, edge: int, text: Callable[[Any], str], width: int) -> str:
    """The elements, no more than `edge` from either end of a dimension, in nested brackets."""
    if array.ndim == 0:
        return text(array.item())
    n = len(array)
    some = range(n) if n <= 2 * edge else [*range(edge), None, *range(n - edge, n)]
    if array.ndim > 1:
        parts = ["..." if k is None else in_brackets(array[k], indent + 1, edge, text, width) for k in some]
        return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"
    numbers = array.tolist()
    parts = [" ..." if k is None else text(numbers[k]).rjust(width) for k in some]
    per_line = max(1, (PRINTED["linewidth"] - indent) // (width + 2))
    lines = [", ".join(parts[k : k + per_line]) for k in range(0, len(parts), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
