"""What a PyTorch program needs of torchvision to read MNIST, for comparisons where that is not installed: a data
set that gives one sample at a time, and the transforms of one image.

torchvision makes a picture of Pillow's from each image first, and so takes longer than this.
"""

from __future__ import annotations

from types import SimpleNamespace

import digits
import torch
from torch.utils.data import Dataset


class MNIST(Dataset):
    """Samples (image, label): what `transform` makes of (28, 28) bytes, and an int."""

    def __init__(self, root, train=True, download=False, transform=None):
        self.data, self.targets = digits.read(train, root)
        self.transform = transform

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        image = self.data[index]
        if self.transform is not None:
            image = self.transform(image)
        return image, int(self.targets[index])


class Compose:
    """One after the other."""

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, image):
        for transform in self.transforms:
            image = transform(image)
        return image


class ToTensor:
    """Bytes (H, W) ↦ float32 (1, H, W), 0 to 1."""

    def __call__(self, image):
        return torch.tensor(image).unsqueeze(0).to(torch.float32).div_(255)


class Normalize:
    """(x - mean) / std for each channel."""

    def __init__(self, mean, std):
        self.mean, self.std = (torch.tensor(each).view(-1, 1, 1) for each in (mean, std))

    def __call__(self, image):
        return image.sub(self.mean).div_(self.std)


transforms = SimpleNamespace(Compose=Compose, ToTensor=ToTensor, Normalize=Normalize)
