"""The images of MNIST as bytes, without any library but NumPy."""

from __future__ import annotations

import gzip
from pathlib import Path

from contest import ROOT

FOLDER = ROOT / "examples" / "mnist" / "data"
MEAN, STD = 0.1307, 0.3081  # of the training images' pixels, as everybody writes them


def read(train: bool, folder: Path | str = FOLDER):
    """Images (N, 28, 28) of uint8, labels (N,) of int64."""
    import numpy as np

    part = "train" if train else "t10k"

    def numbers(kind: str, header: int):
        with gzip.open(Path(folder) / f"{part}-{kind}-ubyte.gz") as file:
            return np.frombuffer(file.read(), np.uint8, offset=header)

    return numbers("images-idx3", 16).reshape(-1, 28, 28), numbers("labels-idx1", 8).astype(np.int64)


def normalised(images):
    """(N, 28, 28) of bytes ↦ (N, 784) of float32."""
    import numpy as np

    return ((images.reshape(len(images), -1).astype(np.float32) / 255 - MEAN) / STD).astype(np.float32)
