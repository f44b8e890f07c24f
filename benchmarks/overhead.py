"""The cost of recording and walking back small operations, ours beside PyTorch's, in one run.

    python benchmarks/overhead.py

Both run in turns on one thread, so that a machine that speeds up or slows down does so for both;
medians of the turns are printed, in microseconds. Without PyTorch only ours are measured.
"""

from __future__ import annotations

import platform
import statistics
import time

import numpy as np

import autodiff

SIZE, CALLS, TURNS = 64, 30, 1000


def jobs(library, name):
    a, b, c = (library.ones(SIZE, requires_grad=True) for _ in range(3))

    def whole():
        a.grad = b.grad = c.grad = None
        (a * b + c).sum().backward()

    return {f"{name}: a*b": lambda: a * b, f"{name}: (a*b+c).sum().backward()": whole}


def main():
    x = np.ones(SIZE, np.float32)
    work = {"numpy: a*b": lambda: np.multiply(x, x), **jobs(autodiff, "autodiff")}
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: only ours is measured")
    else:
        torch.set_num_threads(1)
        work |= jobs(torch, f"torch {torch.__version__}")
    found = {name: [] for name in work}
    for _ in range(TURNS):
        for name, job in work.items():
            started = time.perf_counter()
            for _ in range(CALLS):
                job()
            found[name].append((time.perf_counter() - started) / CALLS * 1e6)
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}"
    )
    for name, times in found.items():
        print(f"{statistics.median(times):8.2f} µs  {name}")


if __name__ == "__main__":
    main()
