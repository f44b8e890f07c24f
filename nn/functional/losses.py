"""Losses that compare numbers with numbers."""

from __future__ import annotations

import numpy as np

from autodiff import Tensor, ops
from autodiff.errors import explanation
from autodiff.ops import log_sigmoid as logsigmoid
from autodiff.ops.fused import all_within
from autodiff.primitive import elementwise

from .reduction import check_pair, check_probabilities, reduced, takes_size_average, weighted


@takes_size_average
def mse_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """(input − target)², the target being of the input's shape or a single number. `weight` has a factor for each
    element, by which the mean is weighted."""
    check_pair(input, target, weight, one_for_all=True)
    return weighted(ops.square(input - target), weight, None, reduction)


@takes_size_average
def l1_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """|input − target|, with `weight` as in `mse_loss`."""
    check_pair(input, target, weight, one_for_all=True)
    return weighted(ops.abs(input - target), weight, None, reduction)


@takes_size_average
def smooth_l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """d²/(2·beta) where d = |input − target| is at most beta, else d − beta/2 (Girshick 2015)."""
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, and it is {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    check_pair(input, target, one_for_all=True)
    return reduced(quadratic_then_linear(input - target, beta) / beta, reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """d²/2 where d = |input − target| is at most delta, else delta·(d − delta/2) (Huber 1964); `weight` as
    in `mse_loss`."""
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta, and it is {delta}")
    check_pair(input, target, weight, one_for_all=True)
    return weighted(quadratic_then_linear(input - target, delta), weight, None, reduction)


def quadratic_then_linear(difference: Tensor, bound: float) -> Tensor:
    """d²/2 up to the bound, and from there on the tangent: z·(d − z/2), where z = min(d, bound)."""
    size = ops.abs(difference)
    quadratic = ops.clamp_max(size, bound)
    return quadratic * (size - quadratic / 2)


@takes_size_average
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


@takes_size_average
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
