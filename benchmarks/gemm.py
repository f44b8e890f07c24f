"""Matrix products: our rungs beside NumPy (OpenBLAS), PyTorch (MKL or oneDNN) and JAX, in GFLOP/s.

    python benchmarks/gemm.py [--threads 1 2] [--turns 15] [--json gemm.json]

The shapes are those of the MNIST network and its gradients, batch 64, and squares; float32. Printed are medians,
our ratio to the fastest of the others, and for one thread the share of the peak, which a loop of fused
multiply-adds in registers reaches in the same run.
"""

from __future__ import annotations

import math

import peak
from contest import arguments, contest, machine, median, save

SHAPES = {  # name: (m, k, n), which operand is seen transposed
    "x @ W1ᵀ        64×784×512": ((64, 784, 512), "b"),
    "gᵀ @ x         512×64×784": ((512, 64, 784), "a"),
    "h @ W2ᵀ        64×512×10": ((64, 512, 10), "b"),
    "g @ W2         64×10×512": ((64, 10, 512), ""),
    "gᵀ @ h         10×64×512": ((10, 64, 512), "a"),
    "g @ W1         64×512×784": ((64, 512, 784), ""),
    **{f"{n}²": ((n, n, n), "") for n in (128, 256, 512, 1024, 2048)},
}
PEAK = "peak"


def operands(shape, transposed):
    import numpy as np

    m, k, n = shape
    rng = np.random.default_rng(0)
    a = rng.standard_normal((k, m) if transposed == "a" else (m, k), np.float32)
    b = rng.standard_normal((n, k) if transposed == "b" else (k, n), np.float32)
    return (a.T if transposed == "a" else a), (b.T if transposed == "b" else b)


def jobs_of(own, multiply, result=lambda y: y):
    """The jobs of a library: `own` makes its arrays."""
    found = {}
    for name, (shape, transposed) in SHAPES.items():
        a, b = map(own, operands(shape, transposed))
        scale = 1 / math.sqrt(shape[1])
        found[name] = (lambda a=a, b=b: multiply(a, b), lambda y, s=scale: result(y) * s)
    return found


def ours():
    from autodiff.kernels import matmul

    return jobs_of(lambda a: a, matmul) | {PEAK: (lambda: peak.rounds(peak.COUNT, 0.5), lambda y: 0.0)}


def numpy():
    import numpy as np

    return jobs_of(lambda a: a, np.matmul)


def torch():
    import os

    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    return jobs_of(torch.from_numpy, torch.mm, lambda y: y.numpy())


def jax():
    import os

    n = os.environ["OMP_NUM_THREADS"]
    os.environ["XLA_FLAGS"] = (
        f"--xla_cpu_multi_thread_eigen={'true' if n != '1' else 'false'} intra_op_parallelism_threads={n}"
    )
    if hasattr(os, "sched_setaffinity"):  # its threads go by the cores that there are
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(n)])
    import jax
    import numpy as np

    multiply = jax.jit(jax.numpy.matmul)
    layout = {True: jax.jit(lambda a, b: a.T @ b), False: multiply}
    found = {}
    for name, (shape, transposed) in SHAPES.items():
        a, b = operands(shape, transposed)
        if transposed == "a":
            f, x, y = layout[True], jax.device_put(np.ascontiguousarray(a.T)), jax.device_put(b)
        elif transposed == "b":
            f, x, y = (
                jax.jit(lambda a, b: a @ b.T),
                jax.device_put(a),
                jax.device_put(np.ascontiguousarray(b.T)),
            )
        else:
            f, x, y = multiply, jax.device_put(a), jax.device_put(b)
        scale = 1 / math.sqrt(shape[1])
        found[name] = (
            lambda f=f, x=x, y=y: f(x, y).block_until_ready(),
            lambda z, s=scale: np.asarray(z) * s,
        )
    return found


CONTENDERS = {"ours": ours, "NumPy": numpy, "PyTorch": torch, "JAX": jax}


def main():
    args = arguments(__doc__.splitlines()[0])
    print(machine())
    everything = {}
    for threads in args.threads:
        print(f"\n{threads} thread{'s' * (threads > 1)}, GFLOP/s, medians of {args.turns} turns")
        print(f"{'':26}" + "".join(f"{name:>9}" for name in CONTENDERS) + "    ratio   of peak")
        ratios, best = [], [0.0]

        def line(job, times, ratios=ratios, best=best, threads=threads):
            if job == PEAK:
                best[0] = peak.FLOPS / min(times["ours"]) * 1e-9
                print(f"{'peak of one core':26}{best[0]:9.1f}")
                return
            (m, k, n), _ = SHAPES[job]
            rates = {name: 2e-9 * m * k * n / median(each) for name, each in times.items()}
            others = [rate for name, rate in rates.items() if name in ("NumPy", "PyTorch")]
            ratios.append(rates["ours"] / max(others))
            cells = "".join(f"{rates[name]:9.1f}" if name in rates else f"{'':9}" for name in CONTENDERS)
            share = rates["ours"] / best[0] / threads
            print(f"{job:26}{cells}  {ratios[-1]:7.2f}   {share:6.0%}", flush=True)

        found = contest(CONTENDERS, [PEAK, *SHAPES], threads, args.turns, per_job=line)
        mean = math.prod(ratios) ** (1 / len(ratios))
        print(f"geometric mean of the ratios to the faster of NumPy and PyTorch: {mean:.2f}")
        everything[f"{threads} threads"] = found
    save(args.json, everything)


if __name__ == "__main__":
    main()
