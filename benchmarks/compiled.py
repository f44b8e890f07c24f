"""A training step compiled, beside the same step run eagerly and PyTorch's, in one run.

    python benchmarks/compiled.py [--threads 1]

The contenders take turns, so that a machine that speeds up or slows down does so for all; medians of the turns
are printed, and how many times as fast as our eager engine each is. First it is checked that all of them come to
the same losses. Without PyTorch only ours are measured.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time

parser = argparse.ArgumentParser(description="A training step, compiled and not")
parser.add_argument("--threads", type=int, default=1, metavar="N", help="processor cores to use (default 1)")
parser.add_argument("--turns", type=int, default=15, metavar="N", help="turns of each contender (default 15)")
args = parser.parse_args()
for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "AUTODIFF_NUM_THREADS"):
    os.environ[variable] = str(args.threads)

import numpy as np  # noqa: E402

import autodiff  # noqa: E402
import nn  # noqa: E402

try:
    import torch
except ImportError:
    torch = None

# name: layers, loss, batch size, steps in a turn
CASES = {
    "xor 2-8-1": ((2, 8, 1), "logistic", 4, 400),
    "moons 2-16-16-1": ((2, 16, 16, 1), "logistic", 32, 300),
    "mnist 784-512-10": ((784, 512, 10), "classes", 64, 20),
}
OPTIMISERS = {"sgd": {"lr": 0.1}, "adam": {"lr": 0.01}}


def step_of(library, layers, loss, optimiser):
    """A model of `library`, and the step that trains it."""
    modules = []
    for n, m in zip(layers, layers[1:], strict=False):
        modules += [library.nn.Linear(n, m), library.nn.ReLU()]
    model = library.nn.Sequential(*modules[:-1])
    rng = np.random.default_rng(0)
    with library.no_grad():
        for p in model.parameters():
            p.copy_(library.tensor((rng.standard_normal(tuple(p.shape)) * 0.1).astype("float32")))
    chosen = {"sgd": library.optim.SGD, "adam": library.optim.Adam}[optimiser]
    optimizer = chosen(model.parameters(), **OPTIMISERS[optimiser])
    f = library.nn.BCEWithLogitsLoss() if loss == "logistic" else library.nn.CrossEntropyLoss()

    def step(x, y):
        optimizer.zero_grad()
        value = f(model(x), y)
        value.backward()
        optimizer.step()
        return value

    return step


class Ours:
    """Our packages under the names by which PyTorch's are one."""

    nn, optim = nn, nn.optim
    no_grad, tensor = autodiff.no_grad, autodiff.tensor


def one_by_one(step, xs, ys):
    return lambda: [step(x, y) for x, y in zip(xs, ys, strict=True)]


def contenders(layers, loss, size, steps, optimiser):
    """name → (a job of `steps` steps, which gives their losses; what kind it is)."""
    rng = np.random.default_rng(1)
    xs = rng.standard_normal((steps, size, layers[0])).astype("float32")
    if loss == "logistic":
        ys = (xs[..., :1] * xs[..., 1:2] > 0).astype("float32")
    else:
        ys = rng.integers(0, layers[-1], (steps, size))
    make = lambda library: step_of(library, layers, loss, optimiser)
    tx, ty = autodiff.tensor(xs), autodiff.tensor(ys)
    px, py = list(tx), list(ty)
    many = autodiff.compile(make(Ours))
    found = {
        "ours, eager": one_by_one(make(Ours), px, py),
        "ours, compiled": one_by_one(autodiff.compile(make(Ours)), px, py),
        "ours, many in one call": lambda: many.many(tx, ty),
    }
    if torch is not None:
        torch.set_num_threads(args.threads)
        qx, qy = list(torch.tensor(xs)), list(torch.tensor(ys))
        found["PyTorch, eager"] = one_by_one(make(torch), qx, qy)
    return found


def main():
    version = f", PyTorch {torch.__version__}" if torch is not None else ", PyTorch not installed"
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}{version}"
    )
    print(
        f"{args.threads} thread{'s' * (args.threads > 1)}, microseconds a step: median (least to most) of {args.turns} turns\n"
    )
    for name, (layers, loss, size, steps) in CASES.items():
        for optimiser in OPTIMISERS:
            jobs = contenders(layers, loss, size, steps, optimiser)
            losses = {k: np.array([float(v) for v in job()]) for k, job in jobs.items()}  # compiles, too
            expected = losses["ours, eager"]
            for contender, values in losses.items():
                np.testing.assert_allclose(values, expected, rtol=2e-3, atol=2e-4, err_msg=contender)
            times = {k: [] for k in jobs}
            for _ in range(args.turns):
                for k, job in jobs.items():
                    started = time.perf_counter()
                    job()
                    times[k].append((time.perf_counter() - started) / steps * 1e6)
            print(f"{name}, batch {size}, {optimiser}")
            ratios = [e / np.array(times["ours, eager"]) for e in map(np.array, times.values())]
            for (k, each), ratio in zip(times.items(), ratios, strict=True):
                spread = f"({min(each):.1f} to {max(each):.1f})"
                print(f"  {statistics.median(each):9.1f}  {spread:24}  {1 / np.median(ratio):7.1f} x  {k}")
            print()


if __name__ == "__main__":
    main()
