"""Linear layers."""

from __future__ import annotations

import math
from typing import Any

import autodiff
from autodiff import Tensor

from .. import functional as F
from .. import init
from ..module import Module, Parameter


class Affine(Module):
    """What linear layers and convolutions share: a weight (out, in, …), and a bias (out) or None."""

    weight: Parameter
    bias: Parameter | None

    def make_parameters(
        self, shape: tuple[int, ...], bias: bool, device: Any, dtype: Any, out: int | None = None
    ) -> None:
        """A weight of this shape and, if asked for, a bias of `out` numbers, which the weight's first
        dimension counts if nothing else is said."""
        self.weight = Parameter(autodiff.empty(*shape, dtype=dtype, device=device))
        self.register_parameter("bias", None)
        if bias:
            self.bias = Parameter(
                autodiff.empty(shape[0] if out is None else out, dtype=dtype, device=device)
            )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new ones, evenly from ±1/√fan_in."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # that slope's gain makes it so
        if self.bias is not None:
            fan_in = math.prod(self.weight.shape[1:])
            bound = 1 / math.sqrt(fan_in) if fan_in else 0
            init.uniform_(self.bias, -bound, bound)


class Linear(Affine):
    """y = x·weightᵀ + bias, for x of shape (…, in_features); weight is (out_features, in_features).

    Both start out evenly spread over ±1/√in_features."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device=None, dtype=None):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.make_parameters((out_features, in_features), bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self):
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
        )


class Bilinear(Module):
    """yₖ = x1ᵀ·weightₖ·x2 + biasₖ, for x1 of shape (…, in1_features) and x2 (…, in2_features); weight is
    (out_features, in1_features, in2_features).

    Both start out evenly spread over ±1/√in1_features."""

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in1_features: int, in2_features: int, out_features: int, bias: bool = True, device=None,
        dtype=None,
    ):  # fmt: skip
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got (in1_features={in1_features})")
        self.in1_features, self.in2_features = in1_features, in2_features
        self.out_features = out_features
        shape = (out_features, in1_features, in2_features)
        self.weight = Parameter(autodiff.empty(*shape, dtype=dtype, device=device))
        self.register_parameter("bias", None)
        if bias:
            self.bias = Parameter(autodiff.empty(out_features, dtype=dtype, device=device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new ones."""
        bound = 1 / math.sqrt(self.in1_features)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self):
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )
