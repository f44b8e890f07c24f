"""How the cost of a training step grows with width, batch, depth and the length of the graph: ours beside PyTorch's.

    python benchmarks/growth.py [--threads 1] [--turns 7] [--json growth.json]

A network of one hidden layer by its width (batch 64) and by its batch (width 256); a network 64 wide by its number of
hidden layers; a chain of operations on one number by its length; both engines eager. To each goes the exponent e of
cost ∝ sizeᵉ, by least squares among the logarithms: where a fixed cost dominates it lies below that of the arithmetic,
which the three largest sizes show best.
"""

from __future__ import annotations

from chains import chain
from contest import Job, contest, threads_here
from report import Results, Table, run

INPUTS, CLASSES, LR = 256, 10, 0.01
SIZES = {
    "width": (32, 64, 128, 256, 512, 1024, 2048),
    "batch": (1, 4, 16, 64, 256, 1024, 4096),
    "depth": (1, 2, 4, 8, 16, 32, 64),
    "length": (10, 100, 1_000, 10_000, 100_000),
}
QUICK = 3  # sizes of each in a quick run


def network(library, nn, optim, width, batch, depth):
    """A step of a network, as a job."""
    import numpy as np

    rng = np.random.default_rng(0)
    sizes = [INPUTS, *[width] * depth, CLASSES]
    modules = []
    for n, m in zip(sizes, sizes[1:], strict=False):
        modules += [nn.Linear(n, m), nn.ReLU()]
    model = nn.Sequential(*modules[:-1])
    with library.no_grad():
        for p in model.parameters():
            drawn = rng.standard_normal(tuple(p.shape)) / p.shape[-1] ** 0.5
            p.copy_(library.tensor(drawn.astype(np.float32)))
    criterion, optimizer = nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=LR)
    x = library.tensor(rng.standard_normal((batch, INPUTS), np.float32))
    y = library.tensor(rng.integers(0, CLASSES, batch))

    def step():
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def deep(library, length):
    x = library.tensor(1.0, requires_grad=True)

    def walk():
        x.grad = None
        chain(x, length).backward()
        return x.grad

    return walk


def jobs_of(library, nn, optim):
    found = {}
    make = {
        "width": lambda n: network(library, nn, optim, n, 64, 1),
        "batch": lambda n: network(library, nn, optim, 256, n, 1),
        "depth": lambda n: network(library, nn, optim, 64, 64, n),
        "length": lambda n: deep(library, n),
    }
    for kind, sizes in SIZES.items():
        for n in sizes:
            found[f"{kind} {n}"] = later(make[kind], n)
    return found


def later(make, n):
    """A job that is prepared when it first runs: all of them at once would hold much memory."""
    held = []

    def run():
        if not held:
            held.append(make(n))
        return held[0]()

    return Job(run, lambda y: float(y.detach()))


def ours():
    import autodiff
    import nn

    return jobs_of(autodiff, nn, nn.optim)


def torch():
    import torch

    torch.set_num_threads(threads_here())
    return jobs_of(torch, torch.nn, torch.optim)


CONTENDERS = {"ours": ours, "PyTorch": torch}


def measure(args, results: Results) -> None:
    for threads in args.threads:
        for kind, sizes in SIZES.items():
            sizes = sizes[:QUICK] if args.quick else sizes
            outcome = contest(CONTENDERS, [f"{kind} {n}" for n in sizes], threads, args.turns, tolerance=2e-3)
            results.heard(outcome, threads)
            cells = {
                job.split()[1]: {name: [t * 1e6 for t in each] for name, each in times.items()}
                for job, times in outcome.times.items()
            }
            title = f"Cost against {kind}, {threads} thread{'s' * (threads > 1)}"
            results.add(Table(title, "microseconds: median (least–most), times ours", cells, axis=kind))


if __name__ == "__main__":
    run(measure, __file__, __doc__, turns=7, threads=(1,))
