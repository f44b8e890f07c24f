"""Matrix products: our rungs beside NumPy (OpenBLAS), PyTorch (MKL or oneDNN) and JAX, in GFLOP/s.

    python benchmarks/gemm.py [--threads 1 2] [--turns 15] [--large] [--json gemm.json]

The shapes are those of the MNIST network and its gradients, batch 64, squares, tall and wide ones, and many small
products at once; float32. `--large` adds the square of 4096. Printed are medians, our ratio to the faster of NumPy and
PyTorch, and our share of the peak, which a loop of fused multiply-adds in registers reaches in the same run.
"""

from __future__ import annotations

import math

from contest import Job, contest, hold_jax, threads_here
from report import Results, Table, median, run

SHAPES = {  # name: (m, k, n) or (batch, m, k, n), and which operand is seen transposed
    "x @ W1ᵀ, 64×784×512": ((64, 784, 512), "b"),
    "gᵀ @ x, 512×64×784": ((512, 64, 784), "a"),
    "h @ W2ᵀ, 64×512×10": ((64, 512, 10), "b"),
    "g @ W2, 64×10×512": ((64, 10, 512), ""),
    "gᵀ @ h, 10×64×512": ((10, 64, 512), "a"),
    "g @ W1, 64×512×784": ((64, 512, 784), ""),
    **{f"{n}²": ((n, n, n), "") for n in (128, 256, 512, 1024, 2048, 4096)},
    "tall, 4096×64×64": ((4096, 64, 64), ""),
    "wide, 64×64×4096": ((64, 64, 4096), ""),
    "deep, 64×4096×64": ((64, 4096, 64), ""),
    "64 of 64×64×64": ((64, 64, 64, 64), ""),
    "1024 of 16×16×16": ((1024, 16, 16, 16), ""),
}
LARGE = ("4096²",)
LONG = ("1024²", "2048²")  # left out of a quick run
BARRED = tuple(list(SHAPES)[:11])  # the network's six and the squares to 2048: their mean is given, too
PEAK = "peak"
RIVALS = ("NumPy", "PyTorch")


def operands(shape, transposed):
    import numpy as np

    *batch, m, k, n = shape
    rng = np.random.default_rng(0)
    a = rng.standard_normal((*batch, *((k, m) if transposed == "a" else (m, k))), np.float32)
    b = rng.standard_normal((*batch, *((n, k) if transposed == "b" else (k, n))), np.float32)
    return (a.swapaxes(-1, -2) if transposed == "a" else a), (b.swapaxes(-1, -2) if transposed == "b" else b)


def flops(shape):
    return 2 * math.prod(shape)


def jobs_of(own, multiply, result=lambda y: y):
    """The jobs of a library: `own` makes its arrays."""
    found = {}
    for name, (shape, transposed) in SHAPES.items():
        make = lambda shape=shape, transposed=transposed: tuple(map(own, operands(shape, transposed)))
        found[name] = lazy(make, multiply, result, 1 / math.sqrt(shape[-2]))
    return found


def lazy(make, multiply, result, scale):
    """A job whose operands are made when it first runs: not all shapes at once, in every process."""
    held = []

    def product():
        if not held:
            held.extend(make())
        return multiply(*held)

    return Job(product, lambda y: result(y) * scale)


def ours():
    import peak

    from autodiff.kernels import matmul

    return jobs_of(lambda a: a, matmul) | {PEAK: peak.job()}


def numpy():
    import numpy as np

    return jobs_of(lambda a: a, np.matmul)


def torch():
    import torch

    torch.set_num_threads(threads_here())
    return jobs_of(torch.from_numpy, torch.matmul, lambda y: y.numpy())


def jax():
    hold_jax(threads_here())
    import jax
    import numpy as np

    multiply = {
        "": jax.jit(lambda a, b: a @ b), "a": jax.jit(lambda a, b: a.T @ b), "b": jax.jit(lambda a, b: a @ b.T),
    }  # fmt: skip
    found = {}
    for name, (shape, transposed) in SHAPES.items():

        def make(shape=shape, transposed=transposed):  # laid out as the others' are
            a, b = operands(shape, transposed)
            return jax.device_put(a.T if transposed == "a" else a), jax.device_put(
                b.T if transposed == "b" else b
            )

        f = multiply[transposed]
        found[name] = lazy(
            make, lambda a, b, f=f: f(a, b).block_until_ready(), np.asarray, 1 / math.sqrt(shape[-2])
        )
    return found


CONTENDERS = {"ours": ours, "NumPy": numpy, "PyTorch": torch, "JAX": jax}


def measure(args, results: Results) -> None:
    import peak

    without = (*(() if args.large else LARGE), *(LONG if args.quick else ()))
    shapes = [name for name in SHAPES if name not in without]
    for threads in args.threads:
        outcome = contest(CONTENDERS, [PEAK, *shapes], threads, args.turns)
        results.heard(outcome, threads)
        best = peak.FLOPS / min(outcome.times[PEAK]["ours"]) * 1e-9
        cells = {}
        for job in shapes:
            work = flops(SHAPES[job][0]) * 1e-9
            rates = {name: [work / t for t in times] for name, times in outcome.times[job].items()}
            share = median(rates["ours"]) / best / threads
            cells[job] = rates | {"ours, of peak": f"{share:.0%}"}
        title = f"Matrix products, {threads} thread{'s' * (threads > 1)}"
        unit = "GFLOP/s: median (least–most), ours times theirs"
        table = Table(title, unit, cells, more_is_better=True, rivals=RIVALS)
        table.notes = [f"The peak of one core, measured in this run: {best:.1f} GFLOP/s.", *means(table)]
        results.add(table)


def means(table: Table) -> list[str]:
    """Geometric means of the ratios to the faster of NumPy and PyTorch."""
    barred = Table(**vars(table) | {"cells": {k: v for k, v in table.cells.items() if k in BARRED}})
    found = {
        "of all": table.geometric_mean(),
        "of the network's six and the squares": barred.geometric_mean(),
    }
    return [
        f"Geometric mean {which} ratios to the faster of NumPy and PyTorch: {mean:.2f}."
        for which, mean in found.items()
        if mean
    ]


if __name__ == "__main__":
    large = {"action": "store_true", "help": "the square of 4096, too, which takes a minute"}
    run(measure, __file__, __doc__, flags={"--large": large})
