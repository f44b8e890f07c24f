"""Normalisation of activations."""

from __future__ import annotations

from collections.abc import Sequence

import autodiff
from autodiff import Tensor

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
