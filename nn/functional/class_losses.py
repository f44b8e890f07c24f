"""Losses that compare scores of classes with labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff import Tensor, ops
from autodiff.errors import ShapeError, explanation
from autodiff.graph import tell
from autodiff.ops import log_softmax
from autodiff.ops.fused import all_within, neg_log_likelihood

from .reduction import check_reduction, check_tensors, reduced, reshaped, takes_size_average, weighted


@takes_size_average
def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """−input[target], the input (N, C, …) being log-probabilities and the target (N, …) class
    labels: negative log likelihood. `weight` has a factor for each class, by which the mean is
    weighted too; samples labelled `ignore_index` don't count."""
    check_tensors(input, target)
    if input.ndim < 2:
        return of_one_sample(nll_loss, input, target, weight, reduction, ignore_index=ignore_index)
    labels, kept = class_labels(input, target, ignore_index)
    return weighted(chosen_loss(input, labels), *shares(input, labels, kept, weight), reduction)


@takes_size_average
def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, ignore_index: int = -100,
    reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """−log softmax(input)[target] for logits (N, C, …) and class labels (N, …), or
    −Σ target·log softmax(input) for probabilities (N, C, …) of the classes.

    `weight` and `ignore_index` are as in `nll_loss`. `label_smoothing` gives that share of the
    target's probability to all classes alike. `cross_entropy_composed` says the same in small
    steps; here labels take one fused step.
    """
    check_tensors(input, target)
    check_reduction(reduction)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if target.is_floating_point() and ignore_index >= 0:
        raise RuntimeError(
            f"ignore_index is not supported for floating point target: {ignore_index} is a class's "
            "number, and this target has probabilities of classes"
        )
    if input.ndim < 2:
        return of_one_sample(
            cross_entropy, input, target, weight, reduction,
            ignore_index=ignore_index, label_smoothing=label_smoothing,
        )  # fmt: skip
    if label_smoothing or target.is_floating_point():
        return cross_entropy_composed(
            input, target, weight, ignore_index=ignore_index, reduction=reduction,
            label_smoothing=label_smoothing,
        )  # fmt: skip
    labels, kept = class_labels(input, target, ignore_index)
    losses = neg_log_likelihood(input, labels.array)
    return weighted(losses, *shares(input, labels, kept, weight), reduction)


def cross_entropy_composed(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, ignore_index: int = -100,
    reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """What `cross_entropy` computes, for (N, C, …): log_softmax, then the target's part of it."""
    log_p, n = log_softmax(input, 1), input.shape[1]
    if weight is None:
        scaled = log_p
    else:
        scaled = log_p * class_weights(input, weight).reshape(n, *[1] * (input.ndim - 2))
    if target.is_floating_point() and target.shape == input.shape:
        smooth = target * (1 - label_smoothing) + label_smoothing / n
        return reduced(-ops.sum(smooth * scaled, 1), reduction)
    labels, kept = class_labels(input, target, ignore_index)
    share, kept = shares(input, labels, kept, weight)
    losses = chosen_loss(log_p, labels)
    if not label_smoothing:
        return weighted(losses, share, kept, reduction)
    losses = losses if share is None else losses * share
    losses = (1 - label_smoothing) * losses - label_smoothing / n * ops.sum(scaled, 1)
    return weighted(losses, share, kept, reduction, is_scaled=True)


def of_one_sample(
    loss: Callable[..., Tensor], input: Tensor, target: Tensor, weight: Tensor | None,
    reduction: str, **options: Any,
) -> Tensor:  # fmt: skip
    """The loss of a single sample: logits (C) and a label () or probabilities (C)."""
    if input.ndim == 0:
        raise ShapeError("Expected 1 or more dimensions (got 0): logits of shape (C), or (N, C, …)")
    if target.shape not in ((), input.shape):
        raise ShapeError(
            explanation(
                f"size mismatch (got input: {list(input.shape)}, target: {list(target.shape)})",
                why=f"an input of shape {list(input.shape)} is one sample, which has one label",
                remedy=reshaped(target, ()),
            )
        )
    losses = loss(input.unsqueeze(0), target.unsqueeze(0), weight, reduction=reduction, **options)
    return losses.squeeze(0) if reduction == "none" else losses


def chosen_loss(log_p: Tensor, labels: Tensor) -> Tensor:
    """−log_p[n, labels[n, …], …]."""
    return -ops.gather(log_p, 1, labels.unsqueeze(1)).squeeze(1)


def class_labels(input: Tensor, target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor | None]:
    """The labels, with 0 for those to be ignored, and which are kept (None: all)."""
    labels, expected = target.array, (*input.shape[:1], *input.shape[2:])
    if labels.dtype.kind not in "iu":
        raise RuntimeError(
            f"expected scalar type Long but found {labels.dtype}: class labels are integers, of shape "
            f"{list(expected)}: write target.long(). (Probabilities would have the input's shape, "
            f"{list(input.shape)}.)"
        )
    if labels.shape != expected:
        n, m = len(input.array), labels.shape[0] if labels.ndim else 1
        raise ShapeError(
            explanation(
                f"Expected input batch_size ({n}) to match target batch_size ({m})"
                if n != m
                else f"Expected target size {list(expected)}, got {list(labels.shape)}",
                why=f"an input of shape {list(input.shape)} is for {input.shape[1]} classes and "
                f"needs one label for each sample: a target of shape {list(expected)}",
                remedy="write target.argmax(1), if it is one-hot"
                if labels.shape == input.shape
                else reshaped(target, expected),
            )
        )
    n = input.shape[1]
    if not 0 <= ignore_index < n and all_within(target, 0, n - 1):
        return target, None  # nothing is ignored: the usual case
    tell("observed", target, "which labels are to be ignored")
    kept = labels != ignore_index
    wrong = labels[kept & ((labels < 0) | (labels >= n))]
    if wrong.size:
        raise IndexError(f"Target {wrong[0]} is out of bounds: the input has {n} classes, 0 to {n - 1}")
    return Tensor.wrap(np.where(kept, labels, 0)), Tensor.wrap(kept)


def shares(
    input: Tensor, labels: Tensor, kept: Tensor | None, weight: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """By what each sample counts: its class's weight, 0 if it is ignored (None: all alike); `kept`."""
    share = None if weight is None else class_weights(input, weight)[labels]
    if kept is not None:
        share = kept.to(input.dtype) if share is None else share * kept
    return share, kept


def class_weights(input: Tensor, weight: Tensor) -> Tensor:
    """The weight of each class, in the input's dtype."""
    n = input.shape[1]
    if weight.shape != (n,):
        raise ShapeError(
            f"weight tensor should be defined either for all {n} classes or no classes but got "
            f"weight tensor of shape: {list(weight.shape)}"
        )
    return weight.detach().to(input.dtype)
