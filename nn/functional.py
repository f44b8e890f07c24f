"""Layers and losses as functions; the layers of `nn` are thin wrappers around these."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff import Tensor, ops
from autodiff.errors import ShapeError, explanation
from autodiff.graph import tell
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
from autodiff.ops.fused import all_within
from autodiff.primitive import elementwise
from autodiff.random import draw

__all__ = [
    "batch_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits", "conv2d",
    "cross_entropy", "cross_entropy_composed", "dropout", "gelu", "l1_loss", "layer_norm", "linear",
    "log_softmax", "logsigmoid", "max_pool2d", "mse_loss", "nll_loss", "normalize", "one_hot",
    "pad", "relu", "sigmoid", "softmax", "softplus", "tanh",
]  # fmt: skip

# ---- activations -------------------------------------------------------------------------------


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0); its derivative at 0 counts as 0."""
    return input.relu_() if inplace else ops.relu(input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x·Φ(x), Φ being the normal distribution function; with "tanh", Φ(x) is approximated by
    ½(1 + tanh(√(2/π)·(x + 0.044715 x³))) (Hendrycks and Gimpel 2016)."""
    if approximate == "none":
        return 0.5 * input * (1 + ops.erf(input / math.sqrt(2)))
    if approximate == "tanh":
        inner = input + 0.044715 * input * input * input
        return 0.5 * input * (1 + ops.tanh(math.sqrt(2 / math.pi) * inner))
    raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate!r}")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, each element is 0 with probability p and else times 1/(1 − p), so that its
    expectation stays (Srivastava et al. 2014)."""
    check_probability(p)
    if not training or p == 0:
        return input
    if not input.is_floating_point():
        raise RuntimeError(f"dropout scales its input, which is {input.dtype}: write .float() first")
    kept = Tensor.wrap(draw(None, "random", input.shape, np.float32)) >= p
    mask = kept.to(input.dtype) * (1 / (1 - p) if p < 1 else 0)
    return input.mul_(mask) if inplace else input * mask


def check_probability(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(‖x‖ₚ, eps) along `dim`."""
    return input / ops.clamp_min(ops.norm(input, p, dim, True), eps)


# ---- losses of numbers -------------------------------------------------------------------------


def mse_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """(input − target)². `weight` has a factor for each element, by which the mean is weighted."""
    check_pair(input, target, weight)
    return weighted(ops.square(input - target), weight, None, reduction)


def l1_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """|input − target|, with `weight` as in `mse_loss`."""
    check_pair(input, target, weight)
    return weighted(ops.abs(input - target), weight, None, reduction)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """−t·log p − (1 − t)·log(1 − p) for probabilities p, times `weight`, which broadcasts; no
    logarithm counts as less than −100."""
    check_pair(input, target)
    check_probabilities(input, target)
    if not all_within(input, 0, 1):
        raise RuntimeError(
            explanation(
                "all elements of input should be between 0 and 1",
                why=f"they are from {input.array.min():g} to {input.array.max():g}",
                remedy="apply sigmoid first, or use binary_cross_entropy_with_logits",
            )
        )
    losses = bernoulli_loss(input, target)
    return reduced(losses if weight is None else losses * weight.to(input.dtype), reduction)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """binary_cross_entropy of sigmoid(input), which neither overflows nor loses digits. The first
    term, that of t, is times `pos_weight`, all is times `weight`; both broadcast."""
    check_pair(input, target)
    check_probabilities(input, target)
    positive = target if pos_weight is None else target * pos_weight.to(input.dtype)
    losses = -(positive * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    return reduced(losses if weight is None else losses * weight.to(input.dtype), reduction)


def _bernoulli_loss(p, target):
    """−t·log p − (1 − t)·log(1 − p)."""
    return -(target * bounded_log(p) + (1 - target) * bounded_log(1 - p))


def bounded_log(p):
    """log p, but no less than −100."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(p), -100)


# One primitive, because at p = 0 and 1 the composition's gradient would be 0·∞ = NaN; as in
# PyTorch it is (p − t) / (p(1 − p)), the divisor no less than 1e-12.
bernoulli_loss = elementwise(
    "binary_cross_entropy",
    _bernoulli_loss,
    lambda p, target: (p - target) / ops.maximum(p * (1 - p), 1e-12),
    lambda p: ops.maximum(ops.log(1 - p), -100) - ops.maximum(ops.log(p), -100),
    inputs="p target",
    to_float=True,
)


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """One loss for each element → their "mean", their "sum", or themselves ("none")."""
    if reduction == "mean":
        return ops.mean(losses)
    check_reduction(reduction)
    return ops.sum(losses) if reduction == "sum" else losses


def check_reduction(reduction: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction: it is 'mean', 'sum' or 'none'")


def check_pair(input: Tensor, target: Tensor, weight: Tensor | None = None) -> None:
    """Input and target, and a weight for each element, must be Tensors of one shape: broadcasting
    (n, 1) against (n) would compare everything with everything."""
    check_tensors(input, target)
    if input.shape != target.shape:
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
    for name, x in (("input", input), ("target", target)):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name} must be a Tensor, not {type(x).__name__}: write tensor({name})")
    if input.dtype.kind in "biu":
        raise RuntimeError(
            f"a loss needs floating-point numbers and its input is {input.dtype}: write input.float()"
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


# ---- losses of classes -------------------------------------------------------------------------


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
    losses = ops.cross_entropy(input, labels)
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
    n = input.shape[1]
    if weight.shape != (n,):
        raise ShapeError(
            f"weight tensor should be defined either for all {n} classes or no classes but got "
            f"weight tensor of shape: {list(weight.shape)}"
        )
    return weight.detach().to(input.dtype)


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
