"""Models ready to train."""

from __future__ import annotations

from autodiff import Tensor

from .containers import Sequential
from .layers.activation import ReLU
from .layers.linear import Linear
from .module import Module


class MLP(Sequential):
    """Linear layers of these sizes, ReLU between them. MLP(784, 512, 10) is the classic network
    for MNIST: logits of 10 digits from images, each flattened to 784 numbers."""

    def __init__(self, *sizes: int):
        if len(sizes) < 2:
            raise ValueError(f"an MLP needs at least the sizes of its input and output, got {sizes}")
        layers: list[Module] = [Linear(sizes[0], sizes[1])]
        for n, m in zip(sizes[1:], sizes[2:], strict=False):
            layers += [ReLU(), Linear(n, m)]
        super().__init__(*layers)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.flatten(1) if input.ndim > 2 else input)
