"""Models ready to train."""

from __future__ import annotations

from autodiff import Tensor

from .containers import Sequential
from .layers.activation import ReLU
from .layers.convolution import Conv2d
from .layers.linear import Linear
from .layers.pooling import MaxPool2d
from .layers.shape import Flatten
from .module import Module


class MLP(Sequential):
    """Linear layers of these sizes, ReLU between them. MLP(784, 512, 10) is the classic network
    for MNIST: logits of 10 digits from images, each flattened to 784 numbers. With two sizes it is
    a linear classifier."""

    def __init__(self, *sizes: int):
        if len(sizes) < 2:
            raise ValueError(f"an MLP needs at least the sizes of its input and output, got {sizes}")
        layers: list[Module] = [Linear(sizes[0], sizes[1])]
        for n, m in zip(sizes[1:], sizes[2:], strict=False):
            layers += [ReLU(), Linear(n, m)]
        super().__init__(*layers)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.flatten(1) if input.ndim > 2 else input)


class LeNet(Sequential):
    """Logits of `classes` from images (N, 1, 28, 28): two convolutions and three linear layers.

    The layers and their sizes are those of LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998), with
    what replaced its parts since: ReLU, max-pooling, every feature map connected to every other, and
    cross-entropy of logits. The images of 28 × 28 are padded to the 32 × 32 that it was made for.
    """

    def __init__(self, classes: int = 10):
        super().__init__(
            Conv2d(1, 6, 5, padding=2), ReLU(), MaxPool2d(2),
            Conv2d(6, 16, 5), ReLU(), MaxPool2d(2), Flatten(),
            Linear(400, 120), ReLU(), Linear(120, 84), ReLU(), Linear(84, classes),
        )  # fmt: skip
