"""Layers and losses as functions, a file for each family; the layers of `nn` are thin wrappers
around these."""

from __future__ import annotations

from autodiff.ops import (
    batch_norm,
    conv2d,
    layer_norm,
    linear,
    log_softmax,
    max_pool2d,
    one_hot,
    pad,
    sigmoid,
    softmax,
    softplus,
    tanh,
)
from autodiff.ops import log_sigmoid as logsigmoid

from .activation import gelu, relu
from .class_losses import cross_entropy, cross_entropy_composed, nll_loss
from .dropouts import dropout
from .losses import binary_cross_entropy, binary_cross_entropy_with_logits, l1_loss, mse_loss
from .normalisation import normalize

__all__ = [
    "batch_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits", "conv2d",
    "cross_entropy", "cross_entropy_composed", "dropout", "gelu", "l1_loss", "layer_norm", "linear",
    "log_softmax", "logsigmoid", "max_pool2d", "mse_loss", "nll_loss", "normalize", "one_hot",
    "pad", "relu", "sigmoid", "softmax", "softplus", "tanh",
]  # fmt: skip
