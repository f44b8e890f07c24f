"""Losses that ask for a margin: between scores, or between distances."""

from __future__ import annotations

from collections.abc import Callable

from autodiff import Tensor, ops, zeros_like
from autodiff.errors import RangeError, ShapeError
from autodiff.ops.elementwise import unit_softplus
from autodiff.ops.fused import all_within

from .distances import pairwise_distance
from .reduction import check_pair, check_tensors, reduced, takes_size_average


@takes_size_average
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, *, reduction: str = "mean"
) -> Tensor:
    """The input, a distance, where the target is 1, and max(0, margin − input) where it is −1."""
    check_pair(input, target)
    near = ops.where(target == -1, 0, input)
    far = ops.where(target == 1, 0, ops.clamp_min(margin - input, 0))
    return reduced(near + far, reduction)


@takes_size_average
def soft_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """log(1 + exp(−target·input)), for targets 1 and −1; it does not overflow."""
    check_pair(input, target)
    return reduced(unit_softplus(-target * input), reduction)


@takes_size_average
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, *, reduction: str = "mean"
) -> Tensor:
    """max(0, margin − target·(input1 − input2)): where the target is 1, input1 should be the larger, and
    where it is −1, input2."""
    if not input1.ndim == input2.ndim == target.ndim:
        raise ShapeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
            f"{list(input1.shape)}, input2: {list(input2.shape)}, target: {list(target.shape)}"
        )
    return reduced(ops.clamp_min(margin - target * (input1 - input2), 0), reduction)


@takes_size_average
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, *, reduction: str = "mean"
) -> Tensor:
    """1 − cos where the target is 1, max(0, cos − margin) where it is −1, for the cosine of the angle between
    the vectors of input1 and input2: (N, D) with targets (N), or (D) with a target ()."""
    if target.ndim > 1:
        raise ShapeError(
            f"0D or 1D target tensor expected, multi-target not supported: got shape {list(target.shape)}"
        )
    if not input1.ndim == input2.ndim == target.ndim + 1:
        raise ShapeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found inputs with "
            f"sizes {list(input1.shape)} and {list(input2.shape)}."
        )
    tiny = 1e-12  # so that a vector of zeros has a cosine: 0
    squares = (ops.sum(input1 * input1, -1) + tiny) * (ops.sum(input2 * input2, -1) + tiny)
    cosine = ops.sum(input1 * input2, -1) / ops.sqrt(squares)
    alike = ops.where(target == 1, 1 - cosine, 0)
    unlike = ops.where(target == -1, ops.clamp_min(cosine - margin, 0), 0)
    return reduced(alike + unlike, reduction)


@takes_size_average
def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2,
    eps: float = 1e-6, swap: bool = False, *, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, d(anchor, positive) − d(anchor, negative) + margin), where d(a, b) = ‖a − b + eps‖ₚ along the
    last dimension (Balntas et al. 2016). With `swap`, d(positive, negative) stands in for the second
    distance where it is smaller."""
    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=lambda a, b: pairwise_distance(a, b, p, eps), margin=margin,
        swap=swap, reduction=reduction,
    )  # fmt: skip


def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None, margin: float = 1.0,
    swap: bool = False, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """`triplet_margin_loss` with a distance of one's own, which makes (N) of two (N, D), in place of
    `pairwise_distance`."""
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ShapeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, "
            f"but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    between = distance_function or pairwise_distance
    near, far = between(anchor, positive), between(anchor, negative)
    if swap:
        far = ops.minimum(far, between(positive, negative))
    return reduced(ops.clamp_min(margin + near - far, 0), reduction)


@takes_size_average
def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """The mean over the classes, the last dimension, of −t·log σ(x) − (1 − t)·log σ(−x), for scores x and
    targets t of 0 and 1; `weight` has a factor for each class."""
    check_pair(input, target)
    if input.ndim == 0:
        raise IndexError(
            "Dimension specified as -1 but tensor has no dimensions: scores have the shape (…, C)"
        )
    losses = -(target * ops.log_sigmoid(input) + (1 - target) * ops.log_sigmoid(-input))
    losses = losses if weight is None else losses * weight
    return reduced(ops.mean(losses, -1), reduction)


@takes_size_average
def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, *,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Σ max(0, margin − x[target] + x[j])ᵖ / C over the classes j other than the target: scores x (N, C) and
    labels (N), or (C) and () (Crammer and Singer 2001). p is 1 or 2; `weight` has a factor for each class,
    that of the target counts."""
    if p not in (1, 2):
        raise ValueError(f"only p == 1 and p == 2 supported, not {p}")
    check_tensors(input, target)
    check_classes("multi_margin_loss", input)
    if input.ndim == 1:
        losses = multi_margin_loss(
            input.unsqueeze(0), target.reshape(-1), p, margin, weight, reduction="none"
        )
        return reduced(losses.squeeze(0) if target.ndim == 0 else losses, reduction)
    n = input.shape[1]
    check_labels("multi_margin_loss", input, target, (input.shape[0],), 0)
    losses = ops.relu(margin - ops.gather(input, 1, target.unsqueeze(1)) + input)
    losses = losses if p == 1 else ops.square(losses)
    if weight is not None:
        if weight.ndim != 1:
            raise ValueError(f"weight must be one-dimensional, and it has shape {list(weight.shape)}")
        if weight.shape != (n,):
            raise ShapeError(f"inconsistent weight size, expected {n} but got {list(weight.shape)}")
        losses = losses * weight[target].unsqueeze(1)
    others = ops.where(ops.one_hot(target, n) == 1, 0, losses)
    return reduced(ops.sum(others, 1) / n, reduction)


@takes_size_average
def multilabel_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """ΣΣ max(0, 1 − x[i] + x[j]) / C over the classes i that the target names and all j that it does not. The
    target has the shape of the scores, (N, C) or (C), and names classes up to the first −1."""
    check_tensors(input, target)
    check_classes("multilabel_margin_loss", input)
    check_labels("multilabel_margin_loss", input, target, tuple(input.shape), -1)
    if input.ndim == 1:
        losses = multilabel_margin_loss(input.unsqueeze(0), target.unsqueeze(0), reduction="none")
        return reduced(losses.squeeze(0), reduction)
    named = ops.cumprod((target >= 0).long(), 1)
    labels = ops.where(named == 1, target, 0)
    is_named = ops.scatter_add(zeros_like(named), 1, labels, named) > 0
    losses = ops.relu(1 - ops.gather(input, 1, labels).unsqueeze(2) + input.unsqueeze(1))
    counts = (named == 1).unsqueeze(2) & ~is_named.unsqueeze(1)
    return reduced(ops.sum(ops.where(counts, losses, 0), (1, 2)) / input.shape[1], reduction)


def check_classes(name: str, input: Tensor) -> None:
    """Scores are (N, C) or (C), and there are classes."""
    if input.ndim not in (1, 2) or input.shape[-1] == 0:
        raise ShapeError(
            f"{name}: Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(input.shape)}: scores have the shape (N, C) or (C)"
        )


def check_labels(name: str, input: Tensor, target: Tensor, shape: tuple[int, ...], least: int) -> None:
    """Labels are integers, of this shape, from `least` to the last class."""
    if target.dtype.kind not in "iu":
        raise RuntimeError(f"expected scalar type Long but found {target.dtype}: write target.long()")
    if target.shape != shape:
        raise ShapeError(
            f"{name}: inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}. "
            f"Expected target size {list(shape)}"
        )
    if not all_within(target, least, input.shape[-1] - 1):
        raise RangeError(f"{name}: target is out of range: labels go from {least} to {input.shape[-1] - 1}")
