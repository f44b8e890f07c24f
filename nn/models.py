"""Models ready to train."""

from __future__ import annotations

from .layers.activation import ReLU
from .layers.linear import Linear
from .module import Sequential


class MLP(Sequential):
    """Linear layers of these sizes with ReLU between them: MLP(784, 512, 10) is the classic
    MNIST network."""

    def __init__(self, *sizes: int):
        if len(sizes) < 2:
            raise ValueError(f"an MLP needs the sizes of its input and its output, got {sizes}")
        layers = []
        for n, m in zip(sizes, sizes[1:], strict=False):
            layers += [Linear(n, m), ReLU()]
        super().__init__(*layers[:-1])
        self.sizes = sizes

    def forward(self, x):
        return super().forward(x.reshape(-1, self.sizes[0]))
