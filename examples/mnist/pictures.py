"""Pictures of a run: its curves, what it confuses, where it was most wrong, what it looks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

import autodiff as torch

matplotlib.use("Agg")  # no display is needed
import matplotlib.pyplot as plt  # noqa: E402

BLUE, ORANGE, GREY = "#2f6db3", "#e07b28", "#8a8a8a"


def draw(folder: Path, model: Any, test: Any, loader: Any) -> None:
    """All pictures, as PNG files in `folder`."""
    logits = predictions(model, loader)
    labels = test.targets.numpy()
    names = [name.split(" - ")[0] for name in test.classes]
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "font.size": 10})
    curves(folder)
    confusion(folder, logits.argmax(1), labels, names)
    most_wrong(folder, logits, labels, test.data.numpy(), names)
    first_layer(folder, model)


@torch.no_grad()
def predictions(model: Any, loader: Any) -> np.ndarray:
    model.eval()
    return np.concatenate([model(images).numpy() for images, _ in loader])


def curves(folder: Path) -> None:
    """Loss and accuracy, epoch by epoch."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = {row["epoch"]: row for row in map(json.loads, lines)}
    epochs = sorted(rows)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for axis, key, scale, title in (
        (left, "loss", 1, "Loss"),
        (right, "accuracy", 100, "Accuracy, %"),
    ):
        for name, colour in ((key, BLUE), (f"test_{key}", ORANGE)):
            values = [scale * rows[e][name] for e in epochs]
            axis.plot(epochs, values, "o-", color=colour, markersize=3.5)
            label = "test" if name.startswith("test") else "training"
            axis.annotate(
                label, (epochs[-1], values[-1]), color=colour, xytext=(6, 0),
                textcoords="offset points", va="center",
            )  # fmt: skip
        axis.set(title=title, xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.margins(x=0.16)
        axis.grid(axis="y", alpha=0.25)
    figure.savefig(folder / "curves.png", dpi=110)
    plt.close(figure)


def confusion(folder: Path, found: np.ndarray, labels: np.ndarray, names: list[str]) -> None:
    """How many of each class were taken for each."""
    table = np.zeros((10, 10), int)
    np.add.at(table, (labels, found), 1)
    wrong = table * (1 - np.eye(10, dtype=int))
    figure, axis = plt.subplots(figsize=(5.6, 5.2), layout="constrained")
    axis.imshow(wrong, cmap="Oranges")
    for i in range(10):
        for j in range(10):
            colour = GREY if i == j else "white" if wrong[i, j] > wrong.max() / 2 else "black"
            axis.text(j, i, table[i, j] or "", ha="center", va="center", color=colour, fontsize=8)
    axis.set(title="Taken for (columns) instead of (rows)", xticks=range(10), yticks=range(10))
    axis.set_xticklabels(names, rotation=0 if len(names[0]) < 3 else 60)
    axis.set_yticklabels(names)
    figure.savefig(folder / "confusion.png", dpi=110)
    plt.close(figure)


def most_wrong(folder: Path, logits, labels, images, names: list[str]) -> None:
    """The wrong answers given with the greatest confidence."""
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    found = logits.argmax(1)
    order = np.argsort(-(shares.max(1) * (found != labels)))[:15]
    figure, axes = plt.subplots(3, 5, figsize=(7.2, 5.2), layout="constrained")
    for axis, k in zip(axes.flat, order, strict=True):
        axis.axis("off")
        if found[k] == labels[k]:
            continue  # fewer than fifteen mistakes
        axis.imshow(images[k], cmap="gray_r")
        axis.set_title(
            f"{names[found[k]]} ({100 * shares[k].max():.0f} %), is {names[labels[k]]}", fontsize=9
        )
    figure.suptitle("Most confidently wrong")
    figure.savefig(folder / "most_wrong.png", dpi=110)
    plt.close(figure)


def first_layer(folder: Path, model: Any) -> None:
    """What each of the first hidden units looks for: blue for, orange against."""
    weights = next(iter(model.parameters())).detach().numpy()[:40].reshape(-1, 28, 28)
    rows = -(-len(weights) // 8)
    figure, axes = plt.subplots(rows, 8, figsize=(8, rows * 1.05 + 0.4), layout="constrained")
    for axis in np.ravel(axes):
        axis.axis("off")
    for axis, w in zip(np.ravel(axes), weights, strict=False):
        limit = np.abs(w).max()
        axis.imshow(w, cmap="PuOr", vmin=-limit, vmax=limit)
    figure.suptitle("First-layer weights")
    figure.savefig(folder / "first_layer.png", dpi=110)
    plt.close(figure)
