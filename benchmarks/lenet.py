"""LeNet on MNIST (LeCun et al. 1998, with ReLU and maxima): training steps of 64 images, cross-entropy, SGD 0.05.

    python benchmarks/lenet.py [--threads 1 2] [--turns 15] [--json lenet.json]

Both start from the same weights and take the same batches, in turns, each in a process of its own; first it is checked
that they come to the same losses. Printed are the milliseconds of a step, medians with the range, and the ratio to
ours. An epoch is 938 steps. (autodiff.compile does not take convolutions: a compiled contender is missing.)
"""

from __future__ import annotations

import os
from pathlib import Path

from contest import arguments, contest, machine, median, save

BATCH, LR, STEPS = 64, 0.05, 20
IMAGES = Path(__file__).parents[1] / "examples" / "mnist" / "data"
JOB = "step"
EPOCH = 938  # steps: 60,000 images


def batches():
    """Images and labels of the first steps, as the classic program prepares them."""
    import numpy as np

    from nn.datasets import MNIST

    data = MNIST(IMAGES, train=False)
    n = STEPS * BATCH
    x = (data.data.numpy()[:n].astype(np.float32) / 255 - np.float32(0.1307)) / np.float32(0.3081)
    return x.reshape(STEPS, BATCH, 1, 28, 28), data.targets.numpy()[:n].reshape(STEPS, BATCH)


def lenet(nn):
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def training(library, nn, optim):
    """The steps as PyTorch's users write them, for a library of its names; `losses()` are those of the first pass."""
    import numpy as np

    rng = np.random.default_rng(0)
    model = lenet(nn)
    with library.no_grad():
        for p in model.parameters():
            bound = 1 / np.sqrt(np.prod(p.shape[1:]) if len(p.shape) > 1 else p.shape[0])
            p.copy_(library.tensor(rng.uniform(-bound, bound, tuple(p.shape)).astype(np.float32)))
    criterion, optimizer = nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=LR)
    images, labels = batches()
    steps = [(library.tensor(x), library.tensor(y)) for x, y in zip(images, labels, strict=True)]

    def run():
        losses = []
        for x, y in steps:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return losses

    return {JOB: (run, lambda losses: np.array([float(loss) for loss in losses]))}


def ours():
    import autodiff
    import nn

    return training(autodiff, nn, nn.optim)


def torch_eager():
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    return training(torch, torch.nn, torch.optim)


CONTENDERS = {"ours, eager": ours, "PyTorch, eager": torch_eager}


def main():
    args = arguments(__doc__.splitlines()[0])
    print(machine())
    everything = {}
    for threads in args.threads:
        found = contest(CONTENDERS, [JOB], threads, args.turns, tolerance=2e-3)
        print(f"\n{threads} thread{'s' * (threads > 1)}, milliseconds a step, medians of {args.turns} turns")
        first = median(found[JOB]["ours, eager"])
        for name, times in found[JOB].items():
            steps = [t / STEPS * 1e3 for t in times]
            spread = f"({min(steps):.2f} to {max(steps):.2f})"
            print(
                f"{median(steps):9.2f}  {spread:20}{median(times) / first:5.2f}  {name}: "
                f"{median(steps) * EPOCH * 1e-3:.1f} s an epoch"
            )
        everything[f"{threads} threads"] = found
    save(args.json, everything)


if __name__ == "__main__":
    main()
