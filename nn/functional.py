"""The layers and losses as functions."""

from __future__ import annotations

import math
from typing import Any

import autodiff
from autodiff import Tensor, ops
from autodiff.errors import ShapeError
from autodiff.ops import (
    batch_norm,
    conv2d,
    layer_norm,
    linear,
    log_softmax,
    max_pool2d,
    one_hot,
    pad,
    sigmoid,
    softmax,
    softplus,
    tanh,
)
from autodiff.ops import log_sigmoid as logsigmoid
from autodiff.random import source  # fmt: skip

__all__ = [
    "batch_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits", "conv2d",
    "cross_entropy", "cross_entropy_composed", "dropout", "gelu", "l1_loss", "layer_norm", "linear",
    "log_softmax", "logsigmoid", "max_pool2d", "mse_loss", "nll_loss", "normalize", "one_hot",
    "pad", "relu", "sigmoid", "softmax", "softplus", "tanh",
]  # fmt: skip


def relu(x: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0), whose derivative at 0 counts as 0."""
    return x.relu_() if inplace else ops.relu(x)


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """x·Φ(x); with "tanh", Φ is approximated by ½(1 + tanh(√(2/π)(x + 0.044715 x³)))."""
    if approximate == "tanh":
        return 0.5 * x * (1 + ops.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    if approximate != "none":
        raise RuntimeError("approximate argument must be either none or tanh.")
    return 0.5 * x * (1 + ops.erf(x / math.sqrt(2)))


def dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, each element is 0 with probability p, the others are scaled by 1/(1 − p)."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return x
    kept = source(None).random(x.shape, "float32") >= p
    mask = Tensor.wrap(kept.astype(x.dtype) / (1 - p if p < 1 else 1))
    mask = mask.to(x.dtype)
    return x.mul_(mask) if inplace else x * mask


def normalize(x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(‖x‖ₚ, eps) along `dim`."""
    return x / ops.clamp_min(ops.norm(x, p, dim, True), eps)


# ---- losses --------------------------------------------------------------------------------------


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """One loss for each element → their "mean", their "sum", or themselves ("none")."""
    if reduction == "mean":
        return ops.mean(losses)
    if reduction == "sum":
        return ops.sum(losses)
    if reduction != "none":
        raise ValueError(f"{reduction} is not a valid value for reduction: none, mean or sum")
    return losses


def same_shape(input: Tensor, target: Tensor) -> None:
    """Broadcasting (n, 1) against (n) would compare everything with everything: refused."""
    if input.shape != target.shape:
        raise ShapeError(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}) would broadcast them into a loss nobody means. Try "
            f"target.reshape{tuple(input.shape)}, or input.squeeze(-1)"
        )


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """(input − target)²."""
    same_shape(input, target)
    return reduced(ops.square(input - target), reduction)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """|input − target|."""
    same_shape(input, target)
    return reduced(ops.abs(input - target), reduction)


def binary_cross_entropy(input, target, weight=None, reduction: str = "mean") -> Tensor:
    """−t log p − (1 − t) log(1 − p), the logarithms no lower than −100."""
    same_shape(input, target)
    values = input.array
    if values.size and not ((values >= 0) & (values <= 1)).all():
        raise RuntimeError(
            "all elements of input should be between 0 and 1: apply sigmoid, or use "
            "binary_cross_entropy_with_logits"
        )
    log_p, log_q = ops.clamp_min(ops.log(input), -100), ops.clamp_min(ops.log1p(-input), -100)
    losses = -(target * log_p + (1 - target) * log_q)
    return reduced(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(
    input, target, weight=None, reduction: str = "mean", pos_weight=None
) -> Tensor:
    """binary_cross_entropy of sigmoid(input), computed without overflow."""
    same_shape(input, target)
    positive = target if pos_weight is None else target * pos_weight
    losses = -(positive * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    return reduced(losses if weight is None else losses * weight, reduction)


def check_classes(input: Tensor, target: Tensor, ignore_index: int) -> None:
    """Labels must be integers, one for each sample, below the number of classes."""
    if target.dtype.kind not in "iu":
        raise RuntimeError(
            f"expected scalar type Long but found {target.dtype}: class labels are integers; "
            "write target.long()"
        )
    expected = (input.shape[0], *input.shape[2:]) if input.ndim > 1 else ()
    if tuple(target.shape) != expected:
        raise ValueError(
            f"Expected input batch_size ({input.shape[0] if input.ndim else 1}) to match target "
            f"batch_size ({target.shape[0] if target.ndim else 1}): input {list(input.shape)} needs "
            f"a target of shape {list(expected)}, got {list(target.shape)}"
        )
    classes = input.shape[1] if input.ndim > 1 else input.shape[0]
    labels = target.array
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        wrong = labels[((labels < 0) | (labels >= classes)) & (labels != ignore_index)]
        if wrong.size:
            raise IndexError(
                f"Target {wrong.flat[0]} is out of bounds: the input has {classes} classes, "
                f"0 to {classes - 1}"
            )


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """−weight[t]·input[t], input being log-probabilities (N, C, …); the mean is weighted."""
    check_classes(input, target, ignore_index)
    if input.ndim == 1:
        losses = nll_loss(input.unsqueeze(0), target.unsqueeze(0), weight, ignore_index, "none")
        return reduced(losses.squeeze(0), reduction)
    kept, labels = counted(target, ignore_index)
    losses = -ops.gather(input, 1, labels.unsqueeze(1)).squeeze(1)
    return weighted(losses, labels, kept, weight, reduction)


def counted(target: Tensor, ignore_index: int) -> Any:
    """(which samples count, or None for all; labels with 0 where they don't)."""
    kept = target.array != ignore_index
    if kept.all():
        return None, target
    return Tensor.wrap(kept), ops.where(Tensor.wrap(kept), target, 0)


def weighted(losses, labels, kept, weight, reduction) -> Tensor:
    """The losses times the weight of their class, 0 where they don't count; the mean is by the sum
    of the weights."""
    if weight is None and kept is None:
        return reduced(losses, reduction)
    share = autodiff.ones_like(losses) if weight is None else weight.detach()[labels]
    if kept is not None:
        share = ops.where(kept, share, 0)
        losses = ops.where(kept, losses, 0)
    total = losses * share
    if reduction == "mean":
        return ops.sum(total) / ops.sum(share)
    return reduced(total, reduction)


def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100,
    reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """−log softmax(input)[target] for logits (N, C, …) and class labels (N, …), or
    −Σ target·log softmax(input) for probabilities (N, C, …)."""
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if input.ndim == 1:
        one = cross_entropy(
            input.unsqueeze(0), target.unsqueeze(0), weight, ignore_index, reduction, label_smoothing
        )
        return one.squeeze(0) if reduction == "none" else one
    if target.is_floating_point() or label_smoothing:
        return cross_entropy_composed(input, target, weight, ignore_index, reduction, label_smoothing)
    check_classes(input, target, ignore_index)
    kept, labels = counted(target, ignore_index)
    return weighted(ops.cross_entropy(input, labels), labels, kept, weight, reduction)


def cross_entropy_composed(
    input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100,
    reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """What `cross_entropy` computes, from smaller steps: log_softmax, then the labels' share."""
    log_p = log_softmax(input, 1)
    classes = input.shape[1]
    by_class = (1, classes) + (1,) * (input.ndim - 2)
    scale = None if weight is None else weight.detach().reshape(by_class)
    if target.is_floating_point():
        same_shape(input, target)
        p = target * (1 - label_smoothing) + label_smoothing / classes
        terms = p * log_p if scale is None else p * log_p * scale
        losses = -ops.sum(terms, 1)
        if reduction == "mean":
            return ops.sum(losses) / (losses.numel())
        return reduced(losses, reduction)
    check_classes(input, target, ignore_index)
    hard = nll_loss(log_p, target, weight, ignore_index, reduction)
    if not label_smoothing:
        return hard
    kept, labels = counted(target, ignore_index)
    smooth = -ops.sum(log_p if scale is None else log_p * scale, 1)
    smooth = smooth if kept is None else ops.where(kept, smooth, 0)
    if reduction == "mean":
        if weight is None:
            count = labels.numel() if kept is None else int(kept.sum())
        else:
            share = weight.detach()[labels]
            count = ops.sum(share if kept is None else ops.where(kept, share, 0))
        smooth = ops.sum(smooth) / count
    else:
        smooth = reduced(smooth, reduction)
    return (1 - label_smoothing) * hard + label_smoothing / classes * smooth
