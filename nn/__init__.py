"""Neural networks on top of `autodiff`: modules, losses, optimisers, data and training, by
PyTorch's names."""

from . import checkpoint, data, datasets, functional, init, optim, training, transforms, utils
from .layers.activation import GELU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from .layers.convolution import Conv2d, MaxPool2d
from .layers.dropout import Dropout
from .layers.linear import Identity, Linear
from .layers.normalisation import LayerNorm
from .layers.shape import Flatten
from .losses import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, L1Loss, MSELoss, NLLLoss
from .models import MLP
from .module import Module, ModuleDict, ModuleList, Parameter, Sequential

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "Conv2d", "CrossEntropyLoss", "Dropout", "Flatten", "GELU",
    "Identity", "L1Loss", "LayerNorm", "Linear", "LogSoftmax", "MLP", "MSELoss", "MaxPool2d",
    "Module", "ModuleDict", "ModuleList", "NLLLoss", "Parameter", "ReLU", "Sequential", "Sigmoid",
    "Softmax", "Tanh", "checkpoint", "data", "datasets", "functional", "init", "optim", "training",
    "transforms", "utils",
]  # fmt: skip
