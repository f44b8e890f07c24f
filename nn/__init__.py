"""Neural networks on top of `autodiff`: modules, losses, optimisers, data and training, by
PyTorch's names."""

from . import checkpoint, data, datasets, functional, init, optim, training, transforms, utils
from .containers import ModuleDict, ModuleList, Sequential
from .layers import (
    GELU,
    Conv2d,
    Dropout,
    Flatten,
    Identity,
    LayerNorm,
    Linear,
    LogSoftmax,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from .losses import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, L1Loss, MSELoss, NLLLoss
from .models import MLP
from .module import Module, Parameter

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "Conv2d", "CrossEntropyLoss", "Dropout", "Flatten", "GELU",
    "Identity", "L1Loss", "LayerNorm", "Linear", "LogSoftmax", "MLP", "MSELoss", "MaxPool2d",
    "Module", "ModuleDict", "ModuleList", "NLLLoss", "Parameter", "ReLU", "Sequential", "Sigmoid",
    "Softmax", "Tanh", "checkpoint", "data", "datasets", "functional", "init", "optim", "training",
    "transforms", "utils",
]  # fmt: skip
