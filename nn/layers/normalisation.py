"""Normalisation of activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import autodiff
from autodiff import Tensor, no_grad

from .. import functional as F
from ..module import Module, Parameter


class LayerNorm(Module):
    """(x − mean) / √(var + eps)·weight + bias, mean and variance being those of the last
    dimensions, of `normalized_shape` (Ba, Kiros and Hinton 2016)."""

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True,
        bias: bool = True, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)
        if elementwise_affine:
            self.weight = Parameter(autodiff.ones(*shape, dtype=dtype, device=device))
            if bias:
                self.bias = Parameter(autodiff.zeros(*shape, dtype=dtype, device=device))

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class FeatureNorm(Module):
    """What batch and instance normalisation share: a mean and a variance for each channel, a weight and a
    bias if `affine`, and running statistics if asked for."""

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    shapes: str  # the dimensions that the input may have, as the errors say them

    def __init__(
        self, num_features: int, eps: float, momentum: float | None, affine: bool,
        track_running_stats: bool, device: Any, dtype: Any, bias: bool,
    ):  # fmt: skip
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        make = {"dtype": dtype, "device": device}
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)
        if affine:
            self.weight = Parameter(autodiff.ones(num_features, **make))
            if bias:
                self.bias = Parameter(autodiff.zeros(num_features, **make))
        tracked = track_running_stats
        self.register_buffer("running_mean", autodiff.zeros(num_features, **make) if tracked else None)
        self.register_buffer("running_var", autodiff.ones(num_features, **make) if tracked else None)
        self.register_buffer("num_batches_tracked", autodiff.tensor(0) if tracked else None)

    def reset_running_stats(self) -> None:
        """Mean 0 and variance 1 of no batches."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, and `reset_running_stats`."""
        self.reset_running_stats()
        with no_grad():
            for parameter, value in ((self.weight, 1), (self.bias, 0)):
                if parameter is not None:
                    parameter.fill_(value)

    def check_dimensions(self, input: Tensor) -> None:
        """PyTorch's error for an input of another number of dimensions."""
        if f"{input.ndim}D" not in self.shapes:
            raise ValueError(f"expected {self.shapes} input (got {input.ndim}D input)")

    def extra_repr(self):
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm(FeatureNorm):
    """What the batch normalisations share."""

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device=None, dtype=None, *, bias: bool = True,
    ):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self.check_dimensions(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        tracking = self.training and self.track_running_stats
        if tracking and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # then all batches count alike
                momentum = 1 / float(self.num_batches_tracked)
        used = tracking or not self.training
        return F.batch_norm(
            input, self.running_mean if used else None, self.running_var if used else None, self.weight,
            self.bias, self.training or self.running_mean is None, momentum, self.eps,
        )  # fmt: skip


class BatchNorm1d(BatchNorm):
    """`BatchNorm2d` of (N, C) or (N, C, L)."""

    shapes = "2D or 3D"


class BatchNorm2d(BatchNorm):
    """(x − mean) / √(var + eps)·weight + bias for each channel of (N, C, H, W): mean and variance are
    the batch's in training, which also moves the running ones by `momentum` (None: they become the means
    over all batches), and the running ones in evaluation (Ioffe and Szegedy 2015)."""

    shapes = "4D"


class InstanceNorm(FeatureNorm):
    """What the instance normalisations share."""

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
        track_running_stats: bool = False, device=None, dtype=None, *, bias: bool = True,
    ):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self.check_dimensions(input)
        single = f"{input.ndim}D" == self.shapes[:2]  # the first that errors name: no batch
        if input.shape[0 if single else 1] != self.num_features and self.affine:
            raise ValueError(
                f"expected input's size at dim={int(not single)} to match num_features "
                f"({self.num_features}), but got: {input.shape[0 if single else 1]}."
            )
        y = F.instance_norm(
            input.unsqueeze(0) if single else input, self.running_mean, self.running_var, self.weight,
            self.bias, self.training or not self.track_running_stats, self.momentum or 0.0, self.eps,
        )  # fmt: skip
        return y.squeeze(0) if single else y


class InstanceNorm1d(InstanceNorm):
    """`InstanceNorm2d` of (N, C, L) or (C, L)."""

    shapes = "2D or 3D"


class InstanceNorm2d(InstanceNorm):
    """(x − mean) / √(var + eps)·weight + bias for each channel of each sample of (N, C, H, W), or of
    (C, H, W); in evaluation by the running statistics, if there are any (Ulyanov, Vedaldi and Lempitsky
    2016)."""

    shapes = "3D or 4D"


class GroupNorm(Module):
    """(x − mean) / √(var + eps)·weight + bias, mean and variance being those of each sample's groups of
    channels: (N, num_channels, …), in num_groups parts (Wu and He 2018)."""

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, device=None,
        dtype=None, *, bias: bool = True,
    ):  # fmt: skip
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)
        if affine:
            self.weight = Parameter(autodiff.ones(num_channels, dtype=dtype, device=device))
            if bias:
                self.bias = Parameter(autodiff.zeros(num_channels, dtype=dtype, device=device))

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )
