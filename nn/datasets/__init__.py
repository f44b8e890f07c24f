"""Datasets of images, by the names of torchvision.datasets."""

from .idx import read_idx
from .mnist import MNIST, FashionMNIST

__all__ = ["FashionMNIST", "MNIST", "read_idx"]
