"""Linear layers."""

from __future__ import annotations

import math

import autodiff
from autodiff import Tensor

from .. import functional as F
from .. import init
from ..module import Module, Parameter


class Linear(Module):
    """y = x·weightᵀ + bias, for x of shape (…, in_features); weight is (out_features, in_features).

    Both start out evenly spread over ±1/√in_features."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device=None, dtype=None):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(autodiff.empty(out_features, in_features, dtype=dtype, device=device))
        if bias:
            self.bias = Parameter(autodiff.empty(out_features, dtype=dtype, device=device))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # that gain makes it ±1/√fan_in
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self):
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
        )
