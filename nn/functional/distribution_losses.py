"""Losses that are −log of a density, or compare two distributions."""

from __future__ import annotations

import math

from autodiff import Tensor, ops
from autodiff.errors import ShapeError
from autodiff.graph import tell
from autodiff.ops.fused import all_within

from .reduction import check_pair, check_reduction, reduced, takes_size_average


@takes_size_average
def kl_div(input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """target·(log target − input) for log-probabilities `input`: the Kullback-Leibler divergence (1951) of
    the input from the target. With `log_target` the target is log-probabilities, too.

    "batchmean" divides the sum by the size of the batch: that is the divergence; "mean", which divides
    by the number of elements, is not.
    """
    check_reduction(reduction, "batchmean")
    check_pair(input, target)
    if log_target:
        losses = ops.exp(target) * (target - input)
    elif target.is_floating_point():
        losses = ops.xlogy(target, target) - target * input
    else:
        raise RuntimeError("kl_div: Integral inputs not supported: write target.float()")
    if reduction != "batchmean":
        return reduced(losses, reduction)
    return ops.sum(losses) / (input.shape[0] if input.ndim else 1)


@takes_size_average
def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, *, eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """λ − target·log λ: −log of the Poisson distribution, without log target!. `input` is log λ, or λ
    itself with log_input=False, to which `eps` is added in the logarithm. `full` adds Stirling's
    approximation of log target! where the target is above 1."""
    check_pair(input, target)
    if log_input:
        losses = ops.exp(input) - target * input
    else:
        losses = input - target * ops.log(input + eps)
    if full:
        n = ops.where(target <= 1, 1, target)
        stirling = n * ops.log(n) - n + 0.5 * ops.log(2 * math.pi * n)
        losses = losses + ops.where(target <= 1, 0, stirling)
    return reduced(losses, reduction)


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """½(log var + (input − target)²/var): −log of the normal distribution, without ½log 2π, which `full`
    adds (Nix and Weigend 1994). `var` has the input's shape, or that with 1 for the last dimension, or
    without it; it counts as no less than `eps`, and has its derivative nevertheless."""
    check_pair(input, target)
    v = var if isinstance(var, Tensor) else input.new_full(input.shape, var)
    if v.shape == input.shape[:-1] and input.ndim:
        v = v.unsqueeze(-1)
    elif v.shape != input.shape and v.shape != (*input.shape[:-1], 1):
        raise ShapeError(
            f"var is of incorrect size: {list(v.shape)}, for an input of size {list(input.shape)}: it has "
            "that size, or 1 for the last dimension, or not that dimension"
        )
    if not all_within(v, 0, math.inf):
        tell("observed", v, "whether a variance is negative")
        if (v.array < 0).any():
            raise ValueError(f"var has negative entry/entries: the least is {v.array.min():g}")
    v = ops.where(v < eps, v - v.detach() + eps, v)
    losses = 0.5 * (ops.log(v) + ops.square(input - target) / v)
    return reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)
