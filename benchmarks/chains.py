"""Deep graphs: a chain of 10,000 and of 1,000,000 operations, forward and backward, and the memory that it takes.

    python benchmarks/chains.py [--turns 5] [--json chains.json]

y ← y·½ + x, again and again, on one number; the gradient by x is 2. Each run is a process of its own, in turns, one
thread. What an engine cannot do is a result: the kind of its error, the signal that ended it, or that it took longer
than LIMIT. Memory is how much the peak lies above what was held before the chain. (JAX has no such graph: it
differentiates functions, which it traces.)
"""

from __future__ import annotations

import time

import networks
import residence
from contest import Disagreement, Failure, Missing, fresh
from report import Results, Table, run

LENGTHS, QUICK = (10_000, 1_000_000), (10_000,)
LIMIT = 120.0  # seconds for a run, the import included


def chain(x, length):
    y = x
    for _ in range(length // 2):
        y = y * 0.5 + x
    return y


def backward(x, y):
    """PyTorch's way, which is ours and micrograd's."""
    y.backward()
    return x.grad


def ours():
    import autodiff

    return autodiff.tensor(1.0, requires_grad=True), backward


def values():
    from autodiff.scalar import Value

    return Value(1.0), backward


def torch():
    import torch

    torch.set_num_threads(1)
    return torch.tensor(1.0, requires_grad=True), backward


def mygrad():
    import mygrad
    import numpy as np

    return mygrad.tensor(np.float32(1.0)), backward


def micrograd():
    from micrograd.engine import Value

    return Value(1.0), backward


def hips():
    import numpy as np
    from autograd.core import VJPNode, backward_pass
    from autograd.tracer import new_box

    x = new_box(np.float32(1.0), 0, VJPNode.new_root())
    return x, lambda x, y: backward_pass(np.float32(1.0), y._node)


def tinygrad():
    Tensor = networks.tinygrad()
    return Tensor([1.0]).realize(), lambda x, y: y.sum().gradient(x)[0].item()


CONTENDERS = {
    "ours": ours, "ours, scalar.Value": values, "PyTorch": torch, "HIPS autograd": hips, "MyGrad": mygrad,
    "tinygrad": tinygrad, "micrograd": micrograd,
}  # fmt: skip


def measured(make, length):
    """Seconds forward, seconds backward, bytes, the gradient."""
    x, walk = make()
    walk(x, chain(x, 2))  # what is loaded or compiled at first use
    x, walk = make()
    before = residence.begin()
    start = time.perf_counter()
    y = chain(x, length)
    middle = time.perf_counter()
    gradient = walk(x, y)
    end = time.perf_counter()
    return middle - start, end - middle, residence.peak() - before, float(gradient)


def measure(args, results: Results) -> None:
    for length in QUICK if args.quick else LENGTHS:
        parts = {f"{what} {length:,}": {} for what in ("forward, s,", "backward, s,", "memory, MB,")}
        failed = {}
        for _ in range(args.turns):
            for name, make in CONTENDERS.items():
                if name in failed or name in results.left_out:
                    continue
                try:
                    found = fresh(measured, make, length, seconds=LIMIT)
                except Missing as missing:
                    results.left_out[name] = f"{missing}"
                    continue
                if isinstance(found, Failure):
                    failed[name] = found
                    continue
                *found, gradient = found
                if abs(gradient - 2) > 1e-5:
                    raise Disagreement(f"a chain of {length}: the gradient is 2, and {name} finds {gradient}")
                for part, value, scale in zip(parts.values(), found, (1, 1, 1e-6), strict=True):
                    part.setdefault(name, []).append(value * scale)
        for name, reason in failed.items():
            for part in parts.values():
                part[name] = str(reason)
        order = [name for name in CONTENDERS if any(name in part for part in parts.values())]
        cells = {what: {name: part[name] for name in order} for what, part in parts.items()}
        unit = "median (least–most), times ours; the gradients' agreement is checked"
        results.add(Table(f"A chain of {length:,} operations, one thread", unit, cells))


if __name__ == "__main__":
    run(measure, __file__, __doc__, turns=5, threads=(1,))
