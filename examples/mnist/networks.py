"""The networks that the tool trains, the data they learn from, and where trained ones are found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import nn
from autodiff import Tensor
from nn import checkpoint
from nn.datasets import MNIST, FashionMNIST

DATASETS = {  # class, and the mean and standard deviation of its training pixels
    "mnist": (MNIST, 0.1307, 0.3081),
    "fashion-mnist": (FashionMNIST, 0.2860, 0.3530),
}
MODELS = ("mlp", "linear", "lenet")
STATE = "checkpoint.safetensors"  # of a run, in its folder
TO_TRAIN = "python -m examples.mnist"


def built(model: str, hidden: Sequence[int] | None) -> nn.Sequential:
    """A network that has learnt nothing yet: 10 logits from images (N, 1, 28, 28)."""
    return nn.LeNet() if model == "lenet" else nn.MLP(784, *(hidden or ()), 10)


def shape_of(model: str, hidden: Sequence[int] | None) -> str:
    """The numbers that pass through it, layer after layer."""
    if model == "lenet":
        return "LeNet: 784 -> 6 maps -> 16 maps -> 120 -> 84 -> 10"
    return " -> ".join(map(str, (784, *(hidden or ()), 10)))


class Trained(NamedTuple):
    """A network from a checkpoint, and what it was trained on."""

    model: nn.Sequential
    name: str  # one of MODELS
    shape: str
    dataset: str  # one of DATASETS
    path: Path
    epochs: int

    @property
    def classes(self) -> list[str]:
        """The names of what it tells apart."""
        return [name.split(" - ")[0] for name in DATASETS[self.dataset][0].classes]

    def normalised(self, pixels: Tensor) -> Tensor:
        """Pixels 0…1 as it was trained with them."""
        _, mean, std = DATASETS[self.dataset]
        return (pixels - mean) / std


def trained(where: Path | None) -> Trained:
    """The network of the run in this folder (or of this checkpoint); of the last run under runs/ if
    none is given. FileNotFoundError says how to train one; ValueError what is wrong with a file, or with the
    weights in it."""
    path = latest() if where is None else where / STATE if where.is_dir() else where
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no trained network at {path}: name a run's folder with --from, or train one by\n"
            f"  {TO_TRAIN} --out {where if where and not where.suffix else 'a-new-folder'}"
        )
    state: Any = checkpoint.load(path)
    try:
        network, weights, epochs = state["network"], state["model"], state["progress"]["epoch"]
        model = built(network["model"], network["hidden"])
        model.load_state_dict(weights)
        kept = Trained(
            model, network["model"], shape_of(network["model"], network["hidden"]),
            network["dataset"], path, epochs,
        )  # fmt: skip
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(
            f"{path} is not the checkpoint of a run of this tool, or of an older version of it "
            f"({type(error).__name__}: {error}). Train another by  {TO_TRAIN}"
        ) from error
    if not all(np.isfinite(p.detach().numpy()).all() for p in model.parameters()):
        raise ValueError(
            f"the network of {path} has weights that are not finite numbers: while it was trained, the loss became NaN "
            f"or infinite, for the steps were too long. Name another run with --from, or train one by  {TO_TRAIN}  "
            "with a smaller --lr"
        )
    model.eval()
    return kept


def latest() -> Path:
    """The checkpoint under runs/ that was written last."""
    found = sorted(Path("runs").glob(f"*/{STATE}"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise FileNotFoundError(
            f"there is no trained network under {Path('runs').resolve()}: train one (half a minute) by\n"
            f"  {TO_TRAIN}\nor name a run's folder with --from"
        )
    return found[-1]
