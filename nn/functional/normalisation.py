"""Division by a norm, or by a deviation."""

from __future__ import annotations

import math

from autodiff import Tensor, no_grad, ops
from autodiff.errors import ShapeError
from autodiff.ops.fused import check_channels, scaled_by_channel, standardised


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(‖x‖ₚ, eps) along `dim`."""
    return input / ops.clamp_min(ops.norm(input, p, dim, True), eps)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """(x − mean) / √(var + eps)·weight + bias, mean and variance being those of each sample's groups of
    channels: (N, C, …), C in num_groups parts (Wu and He 2018)."""
    if input.ndim < 2:
        raise ShapeError(f"Expected at least 2 dimensions for input tensor but received {input.ndim}")
    n, c = input.shape[:2]
    if num_groups < 1 or c % num_groups:
        raise ShapeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(input.shape)} and num_groups={num_groups}"
        )
    check_channels(input, weight=weight, bias=bias)
    if n * c // num_groups * math.prod(input.shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {list(input.shape)}"
        )
    groups = ops.reshape(input, n, num_groups, c // num_groups * math.prod(input.shape[2:]))
    y = ops.reshape(standardised(groups, dims=(2,), eps=eps)[0], *input.shape)
    return scaled_by_channel(y, weight, bias)


def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
    weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """(x − mean) / √(var + eps)·weight + bias, mean and variance being those of each sample's channels,
    (N, C, …) (Ulyanov, Vedaldi and Lempitsky 2016), which also move the running ones by `momentum`; or
    the running ones, without `use_input_stats`."""
    if use_input_stats and math.prod(input.shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {list(input.shape)}"
        )
    n, c = input.shape[:2]
    check_channels(input, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var)
    if not use_input_stats:
        return ops.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if running_mean is not None and running_var is not None:
        dims = tuple(range(2, input.ndim))
        with no_grad():
            for running, fresh in (
                (running_mean, ops.mean(input, dims)),
                (running_var, ops.var(input, dims)),
            ):
                running.mul_(1 - momentum).add_(ops.mean(fresh, 0), alpha=momentum)
    flat = ops.reshape(input, n, c, math.prod(input.shape[2:]))
    y = ops.reshape(standardised(flat, dims=(2,), eps=eps)[0], *input.shape)
    return scaled_by_channel(y, weight, bias)
