"""Linear layers."""

from __future__ import annotations

import math

import autodiff

from .. import functional as F
from .. import init
from ..module import Module, Parameter


class Identity(Module):
    """What it gets."""

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, x):
        return x


class Linear(Module):
    """y = x @ weightᵀ + bias: x of shape (…, in_features), weight (out_features, in_features).

    Weights and biases start out evenly spread over ±1/√in_features, as in PyTorch."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device=None, dtype=None):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(autodiff.empty(out_features, in_features, dtype=dtype))
        if bias:
            self.bias = Parameter(autodiff.empty(out_features, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self):
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
        )
