"""What the losses share: what they refuse, and how they are reduced to one number."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from autodiff import Tensor, ops
from autodiff.errors import ShapeError, explanation, not_a_tensor

Function = TypeVar("Function", bound=Callable)


def takes_size_average(function: Function) -> Function:
    """`function`, whose reduction may be said by size_average and reduce, as in PyTorch's first years."""

    @wraps(function)
    def named(*args, size_average=None, reduce=None, **kwargs):
        if size_average is not None or reduce is not None:
            summed = "mean" if size_average in (None, True) else "sum"
            kwargs["reduction"] = summed if reduce in (None, True) else "none"
            text = f"size_average and reduce args will be deprecated, please use reduction='{kwargs['reduction']}' instead."
            within = function.__name__ != "__init__"  # for_tensors' frame, around what users call
            warnings.warn(text, stacklevel=2 + within)
        return function(*args, **kwargs)

    return named  # type: ignore[return-value]


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """One loss for each element → their "mean", their "sum", or themselves ("none")."""
    if reduction == "mean":
        return ops.mean(losses)
    check_reduction(reduction)
    return ops.sum(losses) if reduction == "sum" else losses


def check_reduction(reduction: str, more: str = "") -> None:
    """An error if it is none of the usual three, and not the one that a loss has besides."""
    if reduction not in ("mean", "sum", "none", more or "none"):
        usual = "'mean', 'sum' or 'none'"
        raise ValueError(
            f"{reduction} is not a valid value for reduction: it is {more and repr(more) + ', '}{usual}"
        )


def check_pair(
    input: Tensor, target: Tensor, weight: Tensor | None = None, one_for_all: bool = False
) -> None:
    """Input and target, and a weight for each element, must be Tensors of one shape: broadcasting
    (n, 1) against (n) would compare everything with everything. A target may be `one_for_all`, if it is a
    single number."""
    check_tensors(input, target)
    one = one_for_all and target.numel() == 1 and target.ndim <= input.ndim
    if input.shape != target.shape and not one:
        raise ShapeError(
            explanation(
                f"Using a target size ({list(target.shape)}) that is different to the input size "
                f"({list(input.shape)})",
                why="broadcasting them would compare elements that do not belong together",
                remedy=reshaped(target, input.shape) or "give both one shape",
            )
        )
    if weight is not None and weight.shape != input.shape:
        raise ShapeError(
            f"Weights and input must have the same size: {list(weight.shape)} and {list(input.shape)}"
        )


def check_probabilities(input: Tensor, target: Tensor) -> None:
    """PyTorch's error if the target is not of floating-point numbers."""
    if target.dtype.kind in "biu":
        raise RuntimeError(
            f"Found dtype {target.dtype} but expected {input.dtype} for the target, which is a "
            "probability: write target.float()"
        )


def check_tensors(input: Tensor, target: Tensor) -> None:
    """Errors for what is no Tensor, and for an input of whole numbers."""
    for k, (name, x) in enumerate((("input", input), ("target", target))):
        if not isinstance(x, Tensor):
            raise not_a_tensor("loss", x, name, k + 1)
    if input.dtype.kind in "biu":
        raise RuntimeError(
            f"a loss needs floating-point numbers and its input is {input.dtype}: write input.float()"
            + (", or loss(input, target) if the two were swapped" if target.dtype.kind == "f" else "")
        )


def reshaped(target: Tensor, shape: tuple[int, ...]) -> str:
    """What to write so that `target` gets this shape; nothing if that would mix up its elements."""
    is_flat = target.ndim == 1 or len(shape) == 1
    if target.numel() != math.prod(shape) or not (is_flat or long_sides(target.shape) == long_sides(shape)):
        return ""
    return f"write target.reshape({', '.join(map(str, shape)) if shape else '()'})"


def long_sides(shape: tuple[int, ...]) -> list[int]:
    """The sizes other than 1."""
    return [n for n in shape if n != 1]


def weighted(
    losses: Tensor, share: Tensor | None, kept: Tensor | None, reduction: str, is_scaled: bool = False
) -> Tensor:
    """The losses times their share, 0 where they don't count, even if NaN; reduced, the mean being
    by the sum of the shares."""
    if share is None:
        return reduced(losses, reduction)
    losses = losses if is_scaled else losses * share
    losses = losses if kept is None else ops.where(kept, losses, 0)
    if reduction != "mean":
        return reduced(losses, reduction)
    return ops.sum(losses) / ops.sum(share)
