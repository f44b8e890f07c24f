"""Errors that explain: what happened, where in the user's own code, why, and what to try."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class ShapeError(RuntimeError, ValueError):
    """Shapes that do not fit. PyTorch raises RuntimeError for these and NumPy ValueError, so both
    kinds of `except` catch it."""


def explanation(what: str, *, where: str = "", why: str = "", remedy: str = "") -> str:
    """The text of an error: a sentence for each part that is known."""
    parts = [what.rstrip(".") + "."]
    if where:
        parts.append(f"Where: {where.rstrip('.')}.")
    if why:
        parts.append(f"Why: {why.rstrip('.')}.")
    if remedy:
        parts.append(f"Try: {remedy.rstrip('.')}.")
    return " ".join(parts)


def broadcast_mismatch(a: Sequence[int], b: Sequence[int]) -> str | None:
    """PyTorch's sentence for two shapes that do not broadcast, or None if they do."""
    ndim = max(len(a), len(b))
    for back in range(1, ndim + 1):
        m = a[-back] if back <= len(a) else 1
        n = b[-back] if back <= len(b) else 1
        if m != n and 1 not in (m, n):
            return (
                f"The size of tensor a ({m}) must match the size of tensor b ({n}) "
                f"at non-singleton dimension {ndim - back}"
            )
    return None


def matmul_mismatch(a: Sequence[int], b: Sequence[int]) -> str | None:
    """PyTorch's sentence for two shapes whose matrix product is undefined, or None."""
    if not a or not b:
        return "both arguments to matmul need to be at least 1D, but they are 0D"
    rows = b[-2] if len(b) > 1 else b[0]
    if a[-1] == rows:
        return None
    by = ["x".join(map(str, s[-2:])) for s in (a, b)]
    return f"mat1 and mat2 shapes cannot be multiplied ({by[0]} and {by[1]})"


def translated(error: Exception, name: str, shapes: list[tuple[int, ...]]) -> Exception:
    """NumPy's `error`, raised by the operation `name`, in the words a PyTorch user searches for.

    What has no translation is given back as it is, with a note of the call.
    """
    call = f"{name}({', '.join(map(str, shapes))})"
    if isinstance(error, np.exceptions.AxisError) and shapes:
        ndim = max(len(shapes[0]), 1)
        return IndexError(
            f"Dimension out of range (expected to be in range of [{-ndim}, {ndim - 1}], but got "
            f"{error.axis}) in {call}"
        )
    if isinstance(error, ValueError) and not isinstance(error, ShapeError):
        mismatch = matmul_mismatch if name in ("matmul", "linear") else broadcast_mismatch
        sentence = mismatch(*shapes[:2]) if len(shapes) >= 2 else None
        if sentence is not None:
            return ShapeError(f"{sentence}, in {call}")
    error.add_note(f"in {call}")
    return error
