"""The few parts of torchvision that the programs use, for a PyTorch without it."""

from . import datasets, transforms, utils
