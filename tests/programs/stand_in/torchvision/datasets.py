"""MNIST and FashionMNIST from the decompressed files in ROOT/NAME/raw."""

import os

import numpy as np
import torch

CLOTHES = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
]  # fmt: skip


class MNIST(torch.utils.data.Dataset):
    classes = [str(k) for k in range(10)]

    def __init__(self, root, train=True, transform=None, target_transform=None, download=False):
        part = os.path.join(root, type(self).__name__, "raw", "train" if train else "t10k")
        images = np.fromfile(f"{part}-images-idx3-ubyte", np.uint8, offset=16)
        labels = np.fromfile(f"{part}-labels-idx1-ubyte", np.uint8, offset=8)
        self.data = torch.from_numpy(images.reshape(-1, 28, 28))
        self.targets = torch.from_numpy(labels.astype(np.int64))
        self.transform, self.target_transform = transform, target_transform

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        image, label = self.data[index].numpy(), int(self.targets[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label


class FashionMNIST(MNIST):
    classes = CLOTHES
