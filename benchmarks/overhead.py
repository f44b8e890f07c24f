"""The engines' own cost: recording and walking back small operations, where the numbers themselves cost nothing.

    python benchmarks/overhead.py [--turns 11] [--json overhead.json]

`a*b`, and `(a*b+c).sum().backward()` for three gradients, float32, 1 and 64 elements, one thread. An engine that
records nothing before its result is asked for has no `a*b`; micrograd holds one number each, and so does the work of
64. NumPy's `a*b` is what any of them cannot do without.
"""

from __future__ import annotations

import networks
from contest import Job, contest
from report import Results, Table, run

SIZES = (1, 64)
RECORD, WHOLE = "a*b", "(a*b+c).sum().backward()"
JOBS = [f"{job}, {size}" for job in (RECORD, WHOLE) for size in SIZES]


def arrays(size):
    import numpy as np

    rng = np.random.default_rng(0)
    return [rng.uniform(1, 2, size).astype(np.float32) for _ in range(3)]


def jobs_of(make, gradients, record=True):
    """The jobs: `make(size)` gives a, b, c; `gradients` computes those of the sum, as arrays or the like."""
    import numpy as np

    found = {}
    for size in SIZES:
        a, b, c = make(size)
        if record:
            found[f"{RECORD}, {size}"] = Job(lambda a=a, b=b: a * b, lambda y: 0.0)
        found[f"{WHOLE}, {size}"] = Job(
            lambda a=a, b=b, c=c: gradients(a, b, c),
            lambda gs: np.stack([np.asarray(g).reshape(-1) for g in gs]),
        )
    return found


def torch_like(tensor):
    def gradients(a, b, c):
        a.grad = b.grad = c.grad = None
        (a * b + c).sum().backward()
        return a.grad, b.grad, c.grad

    return jobs_of(lambda size: [tensor(x, requires_grad=True) for x in arrays(size)], gradients)


def ours():
    import autodiff

    return torch_like(autodiff.tensor)


def torch():
    import torch

    torch.set_num_threads(1)
    return torch_like(torch.tensor)


def numpy():
    return {k: v for k, v in jobs_of(arrays, lambda a, b, c: ()).items() if k.startswith(f"{RECORD},")}


def hips():
    import autograd
    import autograd.numpy as anp
    from autograd.core import VJPNode
    from autograd.tracer import new_box

    slope = autograd.grad(lambda a, b, c: anp.sum(a * b + c), (0, 1, 2))
    recorded = jobs_of(lambda size: [new_box(x, 0, VJPNode.new_root()) for x in arrays(size)], slope)
    whole = jobs_of(arrays, slope, record=False)
    return recorded | whole


def mygrad():
    import mygrad

    def gradients(a, b, c):
        (a * b + c).sum().backward()  # it replaces the gradients of a graph before
        return a.grad, b.grad, c.grad

    return jobs_of(lambda size: list(map(mygrad.tensor, arrays(size))), gradients)


def tinygrad():
    Tensor = networks.tinygrad()

    def gradients(a, b, c):
        found = (a * b + c).sum().gradient(a, b, c)
        return [g.numpy() for g in found]

    return jobs_of(lambda size: [Tensor(x).realize() for x in arrays(size)], gradients, record=False)


def micrograd():
    import numpy as np
    from micrograd.engine import Value

    class Numbers(list):
        """As many Values."""

        def __mul__(self, other):
            return Numbers(x * y for x, y in zip(self, other, strict=True))

    def gradients(a, b, c):
        for each in (a, b, c):
            for x in each:
                x.grad = 0.0
        sum((x + y for x, y in zip(a * b, c, strict=True)), Value(0.0)).backward()
        return [np.array([x.grad for x in each]) for each in (a, b, c)]

    return jobs_of(lambda size: [Numbers(map(Value, x.tolist())) for x in arrays(size)], gradients)


CONTENDERS = {
    "ours": ours, "NumPy": numpy, "PyTorch": torch, "HIPS autograd": hips, "MyGrad": mygrad, "tinygrad": tinygrad,
    "micrograd": micrograd,
}  # fmt: skip


def measure(args, results: Results) -> None:
    outcome = contest(CONTENDERS, JOBS, 1, args.turns)
    results.heard(outcome, 1)
    cells = {
        job: {name: [t * 1e6 for t in each] for name, each in times.items()}
        for job, times in outcome.times.items()
    }
    unit = "microseconds: median (least–most), times ours; elements after the comma"
    results.add(Table("Small operations, one thread", unit, cells, axis=""))


if __name__ == "__main__":
    run(measure, __file__, __doc__, turns=11, threads=(1,))
