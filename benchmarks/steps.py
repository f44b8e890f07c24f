"""A training step of the MNIST network, 784→512→ReLU→10, cross-entropy, SGD 0.01, batch 64, by each library.

    python benchmarks/steps.py [--threads 1 2] [--turns 15] [--json steps.json]

All start from the same weights and take the same batches, in turns, each in a process of its own; first it is checked
that they come to the same losses. Printed are microseconds a step, medians with the range, the ratio to our compiled
step, and the bound: the multiply-adds that the step cannot do without, at the peak measured in the same run.
"""

from __future__ import annotations

import networks
from contest import Job, contest
from networks import BATCH, CLASSES, HIDDEN, INPUTS
from report import Results, Table, median, run

STEPS = 20
FLOPS = 2 * BATCH * (2 * INPUTS * HIDDEN + 3 * HIDDEN * CLASSES)  # no gradient by the images is needed
JOB, PEAK = "step", "peak"
OURS, BOUND = "ours, compiled", "the bound"


def batches():
    """Images and labels of some batches."""
    import numpy as np

    rng = np.random.default_rng(1)
    images = rng.standard_normal((STEPS, BATCH, INPUTS), np.float32)
    return images, rng.integers(0, CLASSES, (STEPS, BATCH))


def jobs(all_steps):
    """`all_steps()` takes all the steps once, and gives their losses."""
    import numpy as np

    return {JOB: Job(all_steps, lambda losses: np.array([float(x) for x in losses]))}


def one_by_one(step, xs, ys):
    pairs = list(zip(xs, ys, strict=True))
    return jobs(lambda: [step(x, y) for x, y in pairs])


def ours_eager():
    import peak

    import autodiff

    return one_by_one(networks.our_step(), *map(autodiff.tensor, batches())) | {PEAK: peak.job()}


def ours_compiled():
    import autodiff

    return one_by_one(autodiff.compile(networks.our_step()), *map(autodiff.tensor, batches()))


def ours_many():
    import autodiff

    step = autodiff.compile(networks.our_step())
    xs, ys = map(autodiff.tensor, batches())
    return jobs(lambda: step.many(xs, ys))


def torch_eager():
    torch, *parts = networks.torch_parts()
    return one_by_one(networks.step_of(*parts), *map(torch.tensor, batches()))


def torch_compile():
    torch, step = networks.torch_compiled_step()
    return one_by_one(step, *map(torch.tensor, batches()))


def numpy_by_hand():
    return one_by_one(networks.numpy_step(), *batches())


def jax_jit():
    jax, step, params = networks.jax_parts()
    compiled = jax.jit(step, donate_argnums=0)
    pairs = list(zip(*map(jax.numpy.asarray, batches()), strict=True))
    state = [params]

    def all_steps():
        losses = []
        for batch in pairs:
            state[0], loss = compiled(state[0], batch)
            losses.append(loss)
        jax.block_until_ready(state[0])
        return losses

    return jobs(all_steps)


def jax_scan():
    jax, step, params = networks.jax_parts()
    compiled = jax.jit(lambda params, xs, ys: jax.lax.scan(step, params, (xs, ys)), donate_argnums=0)
    images, labels = map(jax.numpy.asarray, batches())
    state = [params]

    def all_steps():
        state[0], losses = compiled(state[0], images, labels)
        return jax.block_until_ready(losses)

    return jobs(all_steps)


def hips():
    return one_by_one(networks.hips_step(), *batches())


def tinygrad():
    Tensor, step = networks.tinygrad_step()
    images, labels = batches()
    pairs = [(Tensor(x), Tensor(y.astype("int32"))) for x, y in zip(images, labels, strict=True)]
    # What TinyJit returns is overwritten by its next call.
    return jobs(lambda: [step(x, y).item() for x, y in pairs])


CONTENDERS = {
    OURS: ours_compiled, "ours, compiled, many in one call": ours_many, "ours, eager": ours_eager,
    "JAX, jit": jax_jit, "JAX, scan": jax_scan, "NumPy by hand": numpy_by_hand, "PyTorch, eager": torch_eager,
    "torch.compile": torch_compile, "HIPS autograd": hips, "tinygrad, TinyJit": tinygrad,
}  # fmt: skip


def measure(args, results: Results) -> None:
    import peak

    contenders = {n: c for n, c in CONTENDERS.items() if not (args.quick and n in networks.LONG_TO_START)}
    results.left_out |= {n: networks.TOO_LONG for n in CONTENDERS.keys() - contenders}
    for threads in args.threads:
        outcome = contest(contenders, [PEAK, JOB], threads, args.turns, tolerance=2e-3)
        results.heard(outcome, threads)
        rate = peak.FLOPS / min(outcome.times[PEAK]["ours, eager"])
        bound = FLOPS / rate / threads
        times = outcome.times[JOB]
        share = bound / (median(times[OURS]) / STEPS)
        cells = {BOUND: [bound * 1e6]}
        cells |= {name: [t / STEPS * 1e6 for t in each] for name, each in times.items()}
        note = (
            f"The bound: {FLOPS * 1e-6:.1f} MFLOP at {rate * 1e-9:.0f} GFLOP/s a core, the peak measured in this "
            f"run. Ours, compiled, works at {share:.0%} of it."
        )
        title = f"A training step, {threads} thread{'s' * (threads > 1)}"
        unit = "microseconds a step: median (least–most), times ours, compiled"
        results.add(Table(title, unit, {"µs": cells}, ours=OURS, notes=[note]))


if __name__ == "__main__":
    run(measure, __file__, __doc__)
