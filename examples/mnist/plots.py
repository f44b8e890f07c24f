"""Pictures of a run: how it learnt, what it confuses, its worst mistakes, what it looks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure  # drawn off screen: no display is needed, no pyplot state kept

import autodiff as torch
from autodiff import Tensor
from nn.training import Training

INK, SOFT, TRAIN, TEST = "#222222", "#8a8f98", "#3b6fb6", "#d9622b"
STYLE: dict[Any, Any] = {
    "font.size": 10, "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": SOFT,
    "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.grid": False, "grid.color": "#e6e8eb", "figure.facecolor": "white",
    "figure.constrained_layout.use": True, "savefig.dpi": 110,
}  # fmt: skip


def draw(folder: Path, training: Training, test: Any) -> None:
    """All pictures of the run, as PNG files in `folder`."""
    images, labels = test.data.numpy(), test.targets.numpy()
    names = [name.split(" - ")[0] for name in test.classes]
    guesses = probabilities(training)
    pictures = {
        "curves": lambda: curves(training.history),
        "confusion": lambda: confusion(guesses.argmax(1), labels, names),
        "mistakes": lambda: mistakes(guesses, images, labels, names),
        "weights": lambda: weights(training.model, test, names),
    }
    with matplotlib.rc_context(STYLE):
        for name, picture in pictures.items():
            picture().savefig(folder / f"{name}.png")


def probabilities(training: Training) -> np.ndarray:
    """For each test image, the network's probability of each class."""
    training.model.eval()
    with torch.no_grad():
        found = [torch.softmax(training.model(x), 1).numpy() for x, _ in training.test_loader]
    return np.concatenate(found)


def curves(history: list[dict[str, Any]]) -> Figure:
    """Loss and accuracy of each epoch."""
    figure = Figure(figsize=(9, 3.6))
    epochs = [row["epoch"] for row in history]
    for axes, key, scale, title in zip(
        figure.subplots(1, 2), ("loss", "accuracy"), (1, 100), ("Loss", "Accuracy, %"), strict=True
    ):
        lines = [("training", key, TRAIN), ("test", f"test_{key}", TEST)]
        ends = [scale * history[-1][column] for _, column, _ in lines] if history else []
        for (label, column, colour), end in zip(lines, ends, strict=False):
            values = [scale * row[column] for row in history]
            style = "o-" if len(epochs) <= 40 else "-"
            axes.plot(epochs, values, style, color=colour, linewidth=1.8, markersize=3.5)
            if not np.isfinite(end):
                continue
            above = end == max(ends)
            axes.annotate(
                f"{label} {end:.{3 if scale == 1 else 2}f}", (epochs[-1], end), color=colour,
                xytext=(7, 6 if above else -6), textcoords="offset points", va="center",
            )  # fmt: skip
        axes.set(title=title, xlabel="epoch")
        ended = [row["epoch"] for row in history if not all(np.isfinite(row[c]) for _, c, _ in lines)]
        if ended:
            text = f"not a finite number\nfrom epoch {ended[0]} on"
            axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=SOFT)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlim(0.5, len(epochs) * 1.32 + 0.5)
        axes.set_xticks([tick for tick in axes.get_xticks() if 1 <= tick <= len(epochs)])
        axes.spines.bottom.set_bounds(1, max(len(epochs), 1.01))
        axes.margins(y=0.1)
        axes.grid(axis="y")
    return figure


def confusion(found: np.ndarray, labels: np.ndarray, names: list[str]) -> Figure:
    """How often each class was taken for each other; the right answers stand in grey."""
    n = len(names)
    table = np.bincount(labels * n + found, minlength=n * n).reshape(n, n)
    wrong = np.where(np.eye(n, dtype=bool), 0, table)
    figure = Figure(figsize=(6.4, 6.1))
    axes = figure.subplots()
    axes.imshow(wrong, cmap="Oranges", vmin=0, vmax=max(wrong.max(), 1) * 1.15)
    for i, j in np.ndindex(n, n):
        if table[i, j]:
            bold = wrong[i, j] > 0.6 * wrong.max() > 0
            axes.text(
                j, i, str(table[i, j]), ha="center", va="center", fontsize=9,
                color=SOFT if i == j else "white" if bold else INK,
            )  # fmt: skip
    long = max(map(len, names)) > 2
    axes.set_xticks(range(n), names, rotation=45 if long else 0, ha="right" if long else "center")
    axes.set_yticks(range(n), names)
    axes.set(xlabel="taken for", ylabel="is", title=f"{wrong.sum():,} of {len(labels):,} wrong")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def mistakes(guesses: np.ndarray, images: np.ndarray, labels: np.ndarray, names: list[str]) -> Figure:
    """The wrong answers that were given with the greatest confidence."""
    found, sure = guesses.argmax(1), guesses.max(1)
    answered = np.isfinite(sure)
    wrong = np.flatnonzero((found != labels) & answered)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:24]
    figure = Figure(figsize=(9, 5.6))
    for axes, k in zip(figure.subplots(4, 6).flat, [*worst, *[None] * 24], strict=False):
        axes.axis("off")
        if k is not None:
            axes.imshow(images[k], cmap="gray_r")
            axes.set_title(
                f"{names[found[k]]} ({100 * sure[k]:.1f} %)\nis {names[labels[k]]}",
                fontsize=8.5, fontweight="normal", loc="center",
            )  # fmt: skip
    figure.suptitle(
        "Most confidently wrong: the answer (and how sure of it the network was), and the truth"
        if answered.any()
        else "The network gives no answers: its probabilities are NaN, for its weights are not finite numbers",
        x=0.01, ha="left", fontweight="bold", fontsize=11,
    )  # fmt: skip
    return figure


def weights(model: Any, test: Any, names: list[str]) -> Figure:
    """What the first layer looks for."""
    first, *others = [p.detach().numpy() for p in model.parameters() if p.ndim > 1]
    if first.ndim == 4:
        return filters(model, torch.stack([test[k][0] for k in range(6)]))
    if not others:
        return templates(first, 2, "What speaks for (red) and against (blue) each class, smoothed", names)
    loud = np.argsort(-np.linalg.norm(others[0], axis=0), kind="stable")[:40]
    title = "What the first layer looks for: ink for (red) and against (blue) each unit, smoothed"
    return templates(first[loud], 5, title)


def templates(units: np.ndarray, rows: int, title: str, names: list[str] | None = None) -> Figure:
    """Weights (units, 784) as pictures; of an MLP's first layer those that the next listens to most."""
    columns = 8 if rows == 5 else 5
    figure = Figure(figsize=(9, 6 if rows == 5 else 4.3))
    for k, axes in enumerate(figure.subplots(rows, columns).flat):
        axes.axis("off")
        if k < len(units):
            unit = smoothed(units[k].reshape(28, 28))
            limit = np.abs(unit).max()
            axes.imshow(unit, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="bicubic")
            if names:
                axes.set_title(names[k], loc="center", fontweight="normal")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    return figure


def filters(model: Any, images: Tensor) -> Figure:
    """The first convolution's kernels, and what each of them finds in the images (N, 1, 28, 28)."""
    convolution, relu, *_ = model
    with torch.no_grad():
        found = relu(convolution(images)).numpy()
    kernels = convolution.weight.detach().numpy()[:, 0]
    figure = Figure(figsize=(9, 9.4))
    grid: Any = figure.subplots(1 + len(images), 1 + len(kernels))
    for axes in grid.flat:
        axes.axis("off")
    for k, kernel in enumerate(kernels):
        limit = np.abs(kernel).max()
        grid[0, k + 1].imshow(kernel, cmap="RdBu_r", vmin=-limit, vmax=limit)
    for n, image in enumerate(images.numpy()[:, 0]):
        grid[n + 1, 0].imshow(image, cmap="gray_r")
        for k in range(len(kernels)):
            grid[n + 1, k + 1].imshow(found[n, k], cmap="gray_r", vmin=0, vmax=found[:, k].max())
    figure.suptitle(
        "What the first layer looks for: ink for (red) and against (blue) each map, and what it finds",
        x=0.01, ha="left", fontweight="bold", fontsize=11,
    )  # fmt: skip
    return figure


def smoothed(picture: np.ndarray) -> np.ndarray:
    """Each pixel averaged with its neighbours, 1 : 2 : 1 both ways, so that the strokes which were
    learnt stand out from the random numbers that training began with."""
    for _ in range(2):
        p = np.pad(picture, ((1, 1), (0, 0)), mode="edge")
        picture = ((p[:-2] + 2 * p[1:-1] + p[2:]) / 4).T
    return picture
