"""MNIST and Fashion-MNIST: 60,000 and 10,000 images of 28 × 28 bytes, in ten classes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autodiff import Tensor
from autodiff.kernels.lookup import looked_up

from ..data.collate import Batch
from ..data.dataset import Dataset, numbers_of
from ..transforms import Compose, supports_batch
from ..transforms.tables import table_of
from .download import Published, fetch
from .idx import read_idx


class MNIST(Dataset):
    """Handwritten digits (LeCun, Cortes and Burges).

    A sample is (image, label): the image a (28, 28) array of bytes, the caller's own, or what
    `transform` makes of it; the label an int, or what `target_transform` makes of it. `data` and
    `targets` hold all.

    `root` is a folder that holds the four files, .gz or decompressed, in MNIST/raw or itself. With
    `download=True` their SHA-256 is checked, and those that are not there are fetched.

    Raises RuntimeError if files are missing, ValueError for files that are not what they should be.
    """

    mirrors: Sequence[str] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    files: Sequence[Published] = (
        Published(
            "train-images-idx3-ubyte", 47_040_016,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        Published(
            "train-labels-idx1-ubyte", 60_008,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        Published(
            "t10k-images-idx3-ubyte", 7_840_016,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        Published(
            "t10k-labels-idx1-ubyte", 10_008,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    )  # fmt: skip
    classes: Sequence[str] = [
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six",
        "7 - seven", "8 - eight", "9 - nine",
    ]  # fmt: skip

    def __init__(
        self,
        root: str | os.PathLike,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ):
        self.root, self.train = os.path.expanduser(root), train
        self.transform, self.target_transform = transform, target_transform
        wanted = self.files[:2] if train else self.files[2:]
        # All four are fetched, so that the other half needs no `download=True`.
        paths = {file: self._locate(file, download) for file in (self.files if download else wanted)}
        images, labels = (read_idx(paths[file]) for file in wanted)
        if images.shape[1:] != (28, 28) or images.dtype != np.uint8 or labels.shape != images.shape[:1]:
            raise ValueError(
                f"{paths[wanted[0]]} and {paths[wanted[1]]} do not belong together: found images "
                f"{images.shape} of {images.dtype} and labels {labels.shape}, expected (N, 28, 28) of "
                "uint8 and (N,)"
            )
        self.data = Tensor.wrap(images)
        self.targets = Tensor.wrap(labels.astype(np.int64))

    @property
    def raw_folder(self) -> Path:
        """The data set's own folder under `root`, where downloads go."""
        return Path(self.root) / type(self).__name__ / "raw"

    def _locate(self, file: Published, download: bool) -> Path:
        """Where the file is, in the end.

        Every data set of this kind calls its files so: what lies in `root` itself counts only if it
        is told to be this one. In the folder with the data set's name it is trusted, as torchvision
        does, or checked if the call is one that could fetch it.
        """
        notes = []
        for path in (self.raw_folder / f"{file.name}.gz", self.raw_folder / file.name):
            if path.is_file():
                fault = file.fault(path) if download else ""
                if fault:
                    raise ValueError(
                        f"{path} is not the file of that name: {fault}. Move it away to have it fetched "
                        "again, or leave out download=True to use it as it is"
                    )
                return path
        for path in (Path(self.root) / f"{file.name}.gz", Path(self.root) / file.name):
            if path.is_file():
                unknown = file.of_gz and path.suffix != ".gz"
                fault = "only the .gz can be told from others" if unknown else file.fault(path)
                if not fault:
                    return path
                notes.append(f"{path} is not taken for it: {fault}")
        if download:
            try:
                return fetch(file, self.mirrors, self.raw_folder)
            except RuntimeError as error:
                missing, cause = f"{file.name}.gz could not be fetched ({error})", error
        else:
            missing, cause = "Dataset not found. You can use download=True to download it", None
        names = ", ".join(f"{each.name}.gz" for each in self.files)
        raise RuntimeError(
            f"{missing}. {type(self).__name__} is four files: {names}. Put them, compressed or not, into "
            f"{self.raw_folder} or {self.root}" + "".join(f". {note}" for note in notes)
        ) from cause

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = self.data.array[index].copy(), int(self.targets.array[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    def __getitems__(self, indices: Sequence[int]) -> Batch | list[tuple[Any, Any]]:
        """The samples of these numbers: at once, where nothing is asked for that goes one by one."""
        transform: Any = Compose([]) if self.transform is None else self.transform
        whole = type(self).__getitem__ is MNIST.__getitem__  # else a subclass has its own samples
        if not whole or not supports_batch(transform) or self.target_transform is not None:
            return [self[index] for index in indices]
        rows = numbers_of(indices)
        data = self.data.array
        table = table_of(transform) if data.dtype == np.uint8 and data.ndim == 3 else None
        images = transform.on_batch(data[rows]) if table is None else looked_up(data, rows, table)[:, None]
        parts = images, self.targets.array[rows]
        return Batch(part if isinstance(part, Tensor) else Tensor.wrap(part) for part in parts)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class."""
        return {name: label for label, name in enumerate(self.classes)}

    def __repr__(self) -> str:
        lines = [
            f"Dataset {type(self).__name__}",
            f"Number of datapoints: {len(self)}",
            f"Root location: {self.root}",
            f"Split: {'Train' if self.train else 'Test'}",
        ]
        for name in ("transform", "target_transform"):
            if (transform := getattr(self, name)) is not None:
                lines += f"{name.replace('_', ' ').capitalize()}: {transform}".split("\n")
        return "\n    ".join(lines)


class FashionMNIST(MNIST):
    """Articles of clothing, in MNIST's format (Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747)."""

    mirrors = (
        # An S3 website answers http alone. What comes is checked.
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    )
    files = (  # SHA-256 of the .gz, as TensorFlow Datasets' url_checksums/fashion_mnist.txt lists them
        Published(
            "train-images-idx3-ubyte", 47_040_016,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", of_gz=True,
        ),
        Published(
            "train-labels-idx1-ubyte", 60_008,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", of_gz=True,
        ),
        Published(
            "t10k-images-idx3-ubyte", 7_840_016,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", of_gz=True,
        ),
        Published(
            "t10k-labels-idx1-ubyte", 10_008,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", of_gz=True,
        ),
    )  # fmt: skip
    classes = [
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    ]  # fmt: skip
