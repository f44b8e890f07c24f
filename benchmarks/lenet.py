"""LeNet on MNIST (LeCun et al. 1998, with ReLU and maxima): training steps of 64 images, cross-entropy, SGD 0.05.

    python benchmarks/lenet.py [--threads 1 2] [--turns 15] [--json lenet.json]

Both start from the same weights and take the same batches, in turns, each in a process of its own; first it is checked
that they come to the same losses. Printed are the milliseconds of a step, medians with the range, and the ratio to
ours. An epoch is 938 steps. (autodiff.compile does not take convolutions: a compiled contender is missing.)
"""

from __future__ import annotations

import digits
from contest import Job, contest, threads_here
from report import Results, Table, median, run

BATCH, LR, STEPS = 64, 0.05, 20
JOB = "step"
EPOCH = 938  # steps: 60,000 images


def batches():
    """Images and labels of the first steps, as the classic program prepares them."""
    images, labels = digits.read(False)
    n = STEPS * BATCH
    x = digits.normalised(images[:n])
    return x.reshape(STEPS, BATCH, 1, 28, 28), labels[:n].reshape(STEPS, BATCH)


def lenet(nn):
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def training(library, nn, optim):
    """The steps as PyTorch's users write them, for a library of its names."""
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

    def all_steps():
        losses = []
        for x, y in steps:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return losses

    return {JOB: Job(all_steps, lambda losses: np.array([float(loss) for loss in losses]), STEPS)}


def ours():
    import autodiff
    import nn

    return training(autodiff, nn, nn.optim)


def torch_eager():
    import torch

    torch.set_num_threads(threads_here())
    return training(torch, torch.nn, torch.optim)


OURS = "ours, eager"
CONTENDERS = {OURS: ours, "PyTorch, eager": torch_eager}


def measure(args, results: Results) -> None:
    for threads in args.threads:
        outcome = contest(CONTENDERS, [JOB], threads, args.turns, tolerance=2e-3)
        results.heard(outcome, threads)
        times = {name: [t * 1e3 for t in each] for name, each in outcome.times[JOB].items()}
        title = f"A training step of LeNet, {threads} thread{'s' * (threads > 1)}"
        table = Table(title, "milliseconds a step: median (least–most), times ours", {"ms": times}, ours=OURS)
        epochs = [f"{name} {median(each) * EPOCH * 1e-3:.1f} s" for name, each in times.items()]
        table.notes = [f"An epoch of {EPOCH} steps: {'; '.join(epochs)}."]
        results.add(table)


if __name__ == "__main__":
    run(measure, __file__, __doc__)
