"""A training step compiled, beside the same step run eagerly and PyTorch's.

    python benchmarks/compiled.py [--threads 1] [--turns 15] [--json compiled.json]

Small networks, where the engine's own cost decides, and MNIST's; with SGD and with Adam. First it is checked that all
come to the same losses. Printed are microseconds a step, and how many times as fast as our eager engine each is.
"""

from __future__ import annotations

from functools import partial

from contest import Job, contest, threads_here
from report import Results, Table, run

# name: layers, loss, batch size, steps in a job
CASES = {
    "xor 2-8-1": ((2, 8, 1), "logistic", 4, 100),
    "moons 2-16-16-1": ((2, 16, 16, 1), "logistic", 32, 100),
    "mnist 784-512-10": ((784, 512, 10), "classes", 64, 20),
}
OPTIMISERS = {"sgd": {"lr": 0.1}, "adam": {"lr": 0.01}}
EAGER = "ours, eager"


def step_of(library, nn, optim, layers, loss, optimiser):
    """The step that trains a model of this library."""
    import numpy as np

    modules = []
    for n, m in zip(layers, layers[1:], strict=False):
        modules += [nn.Linear(n, m), nn.ReLU()]
    model = nn.Sequential(*modules[:-1])
    rng = np.random.default_rng(0)
    with library.no_grad():
        for p in model.parameters():
            p.copy_(library.tensor((rng.standard_normal(tuple(p.shape)) * 0.1).astype("float32")))
    chosen = {"sgd": optim.SGD, "adam": optim.Adam}[optimiser]
    optimizer = chosen(model.parameters(), **OPTIMISERS[optimiser])
    f = nn.BCEWithLogitsLoss() if loss == "logistic" else nn.CrossEntropyLoss()

    def step(x, y):
        optimizer.zero_grad()
        value = f(model(x), y)
        value.backward()
        optimizer.step()
        return value

    return step


def batches(layers, loss, size, steps):
    import numpy as np

    rng = np.random.default_rng(1)
    xs = rng.standard_normal((steps, size, layers[0])).astype("float32")
    if loss == "logistic":
        return xs, (xs[..., :1] * xs[..., 1:2] > 0).astype("float32")
    return xs, rng.integers(0, layers[-1], (steps, size))


def jobs_of(library, nn, optim, kind, cases):
    """A job for each case and optimiser: all its steps, which are the work of one many times over."""
    import numpy as np

    found = {}
    for name in cases:
        layers, loss, size, steps = CASES[name]
        for optimiser in OPTIMISERS:
            step = step_of(library, nn, optim, layers, loss, optimiser)
            xs, ys = map(library.tensor, batches(layers, loss, size, steps))
            if kind != "eager":
                step = library.compile(step)
            if kind == "many":
                all_steps = lambda step=step, xs=xs, ys=ys: step.many(xs, ys)
            else:
                pairs = list(zip(xs, ys, strict=True))
                all_steps = lambda step=step, pairs=pairs: [step(x, y) for x, y in pairs]
            losses = lambda values: np.array([float(v.detach()) for v in values])
            found[f"{name}, batch {size}, {optimiser}"] = Job(all_steps, losses, steps)
    return found


def ours(kind, cases):
    import autodiff
    import nn

    return jobs_of(autodiff, nn, nn.optim, kind, cases)


def torch(cases):
    import torch

    torch.set_num_threads(threads_here())
    return jobs_of(torch, torch.nn, torch.optim, "eager", cases)


def measure(args, results: Results) -> None:
    cases = list(CASES)[:1] if args.quick else list(CASES)
    kinds = {EAGER: "eager", "ours, compiled": "compiled", "ours, many in one call": "many"}
    contenders = {name: partial(ours, kind, cases) for name, kind in kinds.items()}
    contenders["PyTorch, eager"] = partial(torch, cases)
    jobs = [f"{name}, batch {CASES[name][2]}, {optimiser}" for name in cases for optimiser in OPTIMISERS]
    for threads in args.threads:
        outcome = contest(contenders, jobs, threads, args.turns, tolerance=2e-3)
        results.heard(outcome, threads)
        cells = {
            job: {name: [t * 1e6 for t in each] for name, each in times.items()}
            for job, times in outcome.times.items()
        }
        unit = "microseconds a step: median (least–most), times ours, eager: below 1 is faster than it"
        table = Table(f"Small steps, {threads} thread{'s' * (threads > 1)}", unit, cells, ours=EAGER)
        table.notes = [faster(table)]
        results.add(table)


def faster(table: Table) -> str:
    """How many times as fast as eager ours compiled is."""
    parts = []
    for line in table.cells:
        one, many = (table.ratio(line, name) for name in ("ours, compiled", "ours, many in one call"))
        if one and many:
            parts.append(f"{line}: {1 / one:.1f} times, many in one call {1 / many:.0f}")
    return f"Compiled, ours is so many times as fast as eager: {'; '.join(parts)}."


if __name__ == "__main__":
    run(measure, __file__, __doc__, threads=(1,))
