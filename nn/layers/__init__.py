"""The layers, a file for each family."""

from .activation import GELU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from .convolution import Conv2d, MaxPool2d
from .dropout import Dropout
from .linear import Linear
from .normalisation import LayerNorm
from .shape import Flatten, Identity

__all__ = [
    "Conv2d", "Dropout", "Flatten", "GELU", "Identity", "LayerNorm", "Linear", "LogSoftmax",
    "MaxPool2d", "ReLU", "Sigmoid", "Softmax", "Tanh",
]  # fmt: skip
