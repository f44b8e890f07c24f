"""Errors that explain: what happened, where in the user's own code, why, and what to try."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar, copy_context
from functools import wraps
from itertools import combinations
from typing import Any

import numpy as np


class ShapeError(RuntimeError, ValueError):
    """Shapes that do not fit. PyTorch raises RuntimeError for these and NumPy ValueError, so both
    kinds of `except` catch it."""


class RangeError(IndexError, RuntimeError):
    """An index that names no element. PyTorch raises IndexError for some of these, RuntimeError for
    the others."""


class NumpyState:
    """In the place of that variable (see `silence`), should NumPy keep its treatment of overflow, 1/0 and
    their like in none."""

    def set(self, state: Any) -> Any:
        return np.seterr(**state)

    def reset(self, state: Any) -> None:
        np.seterr(**state)


def silence() -> tuple[Any, Any]:
    """The context variable in which NumPy keeps what to do about overflow, 1/0 and their like, and the
    value of it that means "ignore". Setting it is what np.errstate does, at a third of the cost. It is
    found by its effect, so that no private name of NumPy's is used."""

    def changed() -> dict[ContextVar, Any]:
        np.seterr(all="warn")
        before = dict(copy_context())
        np.seterr(all="ignore")
        return {v: value for v, value in copy_context().items() if before.get(v) is not value}

    found = copy_context().run(changed)
    return next(iter(found.items())) if len(found) == 1 else (NumpyState(), {"all": "ignore"})


floating_point, SILENT = silence()


def quietly(function):
    """`function`, in which overflow and 1/0 are answers, not warnings: inf, as the mathematics says."""

    @wraps(function)
    def quiet(*args, **kwargs):
        loud = floating_point.set(SILENT)
        try:
            return function(*args, **kwargs)
        finally:
            floating_point.reset(loud)

    return quiet


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


NO_ARRAYS = frozenset((tuple, list, dict, str, type(None)))  # what NumPy would make an array of, or choke on


def not_a_tensor(function: str, value: Any, name: str = "input", place: int = 1) -> TypeError:
    """PyTorch's error for an argument that should have been a Tensor."""
    if value is None:
        remedy = "look at what made it: a function without return gives None"
    elif isinstance(value, (tuple, list)) and any(hasattr(each, "ndim") for each in value):
        remedy = (
            "pass one of its elements (a recurrent layer gives its output and its state, attention its output and "
            "its weights), or make one Tensor of them with cat or stack"
        )
    else:
        remedy = "make a Tensor of it with tensor()" if isinstance(value, (tuple, list, np.ndarray)) else ""
    what = f"{function}(): argument '{name}' (position {place}) must be Tensor, not {type(value).__name__}"
    return TypeError(explanation(what, remedy=remedy))


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
    if isinstance(error, IndexError) and "is out of bounds for axis" in str(error):
        return RangeError(f"{str(error).replace('axis', 'dimension')}, in {call}")
    if isinstance(error, IndexError) and "boolean index did not match" in str(error):
        axis = str(error).partition(" along axis ")[2].partition(";")[0]
        return IndexError(
            f"The shape of the mask {list(shapes[1])} at index {axis} does not match the shape of the "
            f"indexed tensor {list(shapes[0])} at index {axis}, in {call}"
        )
    if isinstance(error, TypeError) and name.startswith("bitwise_"):
        power = "; a power is **, not ^" if name == "bitwise_xor" else ""
        kind = TypeError if name == "bitwise_not" else NotImplementedError  # as in PyTorch
        return kind(
            f'"{name}_cpu" not implemented for floating-point tensors: &, |, ^ and ~ work on bits, so on integers and '
            f"masks. Write .bool(), or compare first, as in (x > 0) & (y > 0){power}; in {call}"
        )
    if isinstance(error, OverflowError) and "out of bounds for" in str(error):
        dtype = str(error).rpartition(" ")[2]
        return RuntimeError(
            f"value cannot be converted to type {dtype} without overflow: {error}, in {call}: write .int() first"
        )
    if isinstance(error, TypeError) and "boolean" in str(error):
        what = "Negation" if name == "neg" else "Subtraction"
        return RuntimeError(
            f"{what}, the `-` operator, with a bool tensor is not supported. If you are trying to "
            "invert a mask, use the `~` or `logical_not()` operator instead."
        )
    if isinstance(error, ValueError) and not isinstance(error, ShapeError):
        for a, b in combinations(shapes, 2):
            if name in ("matmul", "linear"):
                sentence = broadcast_mismatch(a[:-2], b[:-2]) or matmul_mismatch(a, b)
            else:
                sentence = broadcast_mismatch(a, b)
            if sentence is not None:
                return ShapeError(f"{sentence}, in {call}")
    error.add_note(f"in {call}")
    return error
