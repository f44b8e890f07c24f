"""The memory of a training step at its peak: ours, eager and compiled, against PyTorch's.

    python benchmarks/memory.py [--turns 3] [--json memory.json]

The MNIST network, SGD, at several batch sizes; each a process of its own. By Linux's count of what a process holds
(resident set), for all alike: first everything is done once, so that libraries, threads and compiled code are there;
that model is dropped, and what is free is given back. Counted is how far the peak of making a model and training it
for STEPS steps then lies above that: weights, gradients, activations and temporaries. Memory that a library keeps for
itself for good (packed operands, buffers of threads) is there before, and is not in it, but is in the second table:
the peak of the whole process, its libraries included. One thread.
"""

from __future__ import annotations

from functools import partial

import networks
import residence
from contest import Failure, Missing, check, fresh
from report import Results, Table, run

BATCHES, QUICK = (64, 512, 4096), (512,)
STEPS = 5
ABOVE, WHOLE = "above what was held before", "of the whole process"


def trained(make, batch):
    """Bytes of the peak, above what was held before and in all."""
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.standard_normal((batch, networks.INPUTS), np.float32)
    labels = rng.integers(0, networks.CLASSES, batch)

    def train():
        step, own = make()
        x, y = own(images), own(labels)
        return [float(step(x, y)) for _ in range(STEPS)]

    losses = train()
    before = residence.begin()
    if not np.allclose(train(), losses, rtol=1e-3):
        raise ValueError(f"trained again from the same weights, the losses are no longer {losses}")
    peak = residence.peak()
    return peak - before, peak, losses


def ours(compiled):
    import autodiff

    step = networks.our_step()
    return autodiff.compile(step) if compiled else step, autodiff.tensor


def torch():
    torch, *parts = networks.torch_parts()
    return networks.step_of(*parts), torch.tensor


CONTENDERS = {"ours, eager": partial(ours, False), "ours, compiled": partial(ours, True), "PyTorch": torch}


def measure(args, results: Results) -> None:
    tables = {what: {} for what in (ABOVE, WHOLE)}
    for batch in QUICK if args.quick else BATCHES:
        agreed = {}
        for turn in range(args.turns + 1):  # the first one may compile, and is not counted
            for name, make in CONTENDERS.items():
                if name in results.left_out:
                    continue
                try:
                    found = fresh(trained, make, batch)
                except Missing as missing:
                    results.left_out[name] = f"{missing}"
                    continue
                if isinstance(found, Failure):
                    results.left_out[name] = f"{found}"
                    continue
                *numbers, agreed[name] = found
                for cells, number in zip(tables.values(), numbers, strict=True):
                    if turn:
                        line = cells.setdefault(f"{batch}", {})
                        line.setdefault(name, []).append(number * 1e-6)
        (first, expected), *others = agreed.items()
        for name, losses in others:
            check(f"batch {batch}", first, expected, name, losses, 2e-3)
    for what, cells in tables.items():
        title, unit = f"Peak memory {what}, by batch", "megabytes: median (least–most), times ours, eager"
        results.add(Table(title, unit, cells, ours="ours, eager"))


if __name__ == "__main__":
    run(measure, __file__, __doc__, turns=3, threads=(1,))
