"""MNIST and Fashion-MNIST: 60,000 and 10,000 images of 28 × 28 bytes, in ten classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from autodiff import Tensor

from ..data.collate import Batch
from ..data.dataset import Dataset
from ..transforms import supports_batch
from . import download as files
from .idx import read_idx

NAMES = (
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
)  # fmt: skip


class MNIST(Dataset):
    """Handwritten digits (LeCun, Cortes and Burges). `root` is a folder that holds the four files,
    plain or .gz, itself or in MNIST/raw; with `download=True` what is missing is fetched.

    A sample is (image, label): the image a (28, 28) array of bytes, or what `transform` makes of
    it; the label an int, or what `target_transform` makes of it. `data` and `targets` hold all."""

    folder = "MNIST"
    mirrors: tuple[str, ...] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    digests: tuple[str, ...] = (
        "sha256:ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "sha256:65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "sha256:0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "sha256:ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    )
    classes = [
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six",
        "7 - seven", "8 - eight", "9 - nine",
    ]  # fmt: skip

    def __init__(
        self, root: str | Path, train: bool = True, transform: Callable | None = None,
        target_transform: Callable | None = None, download: bool = False,
    ):  # fmt: skip
        self.root, self.train = Path(root), train
        self.transform, self.target_transform = transform, target_transform
        images, labels = (read_idx(self.located(k, download)) for k in ((0, 1) if train else (2, 3)))
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
            raise ValueError(
                f"the images {images.shape} and labels {labels.shape} under {self.root} do not belong "
                "together: one label for each image was expected"
            )
        self.data = Tensor.wrap(images)
        self.targets = Tensor.wrap(labels.astype(np.int64))

    def located(self, k: int, download: bool) -> Path:
        """The k-th of the four files, checked."""
        name, digest = NAMES[k], self.digests[k]
        path = files.find(self.root, self.folder, name)
        if path is None and not download:
            raise RuntimeError(
                f"Dataset not found. You can use download=True to download it. {self.needed()}"
            )
        if path is None:
            try:
                path = files.fetch(name, digest, self.mirrors, self.root / self.folder / "raw")
            except RuntimeError as error:
                raise RuntimeError(f"{name}.gz could not be downloaded ({error}). {self.needed()}") from error
        elif download:
            files.verify(path, digest)
        return path

    def needed(self) -> str:
        """Which files go where."""
        listed = ", ".join(f"{name}.gz" for name in NAMES)
        return f"{self.folder} is four files: {listed}. Put them into {self.root.absolute()}"

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = self.data.array[index], int(self.targets.array[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    def __getitems__(self, indices) -> Batch | list:
        if not supports_batch(self.transform) or self.target_transform is not None:
            return [self[k] for k in indices]
        rows = np.asarray(indices)
        images = self.transform.on_batch(self.data.array[rows])  # type: ignore[union-attr]
        return Batch((images, Tensor.wrap(self.targets.array[rows])))

    def __repr__(self):
        split = "Train" if self.train else "Test"
        return f"Dataset {type(self).__name__}\n    Number of datapoints: {len(self)}\n    Root location: {self.root}\n    Split: {split}"


class FashionMNIST(MNIST):
    """Articles of clothing, in MNIST's format (Xiao, Rasul and Vollgraf 2017)."""

    folder = "FashionMNIST"
    mirrors = ("https://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
    digests = (  # of the .gz files, as their authors publish them
        "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d", "md5:25c81989df183df01b3e8a0aad5dffbe",
        "md5:bef4ecab320f06d8554ea6380940ec79", "md5:bb300cfdad3c16e7a12a480ee83cd310",
    )  # fmt: skip
    classes = [
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    ]  # fmt: skip
