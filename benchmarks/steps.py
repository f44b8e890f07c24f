"""A training step of the MNIST network, 784→512→ReLU→10, cross-entropy, SGD 0.01, batch 64, by each library.

    python benchmarks/steps.py [--threads 1 2] [--turns 15] [--json steps.json]

All start from the same weights and take the same batches, in turns, each in a process of its own; first it is checked
that they come to the same losses. Printed are microseconds a step, medians with the range, the ratio to our compiled
step, and the bound: the multiply-adds that the step cannot do without, at the peak measured in the same run.
"""

from __future__ import annotations

import os

import peak
from contest import arguments, contest, machine, median, save

BATCH, INPUTS, HIDDEN, CLASSES, LR, STEPS = 64, 784, 512, 10, 0.01, 20
FLOPS = 2 * BATCH * (2 * INPUTS * HIDDEN + 3 * HIDDEN * CLASSES)  # no gradient by the images is needed
JOB, PEAK = "step", "peak"


def start():
    """Weights as PyTorch lays them out, images and labels of some batches."""
    import numpy as np

    rng = np.random.default_rng(0)
    weights = [
        rng.uniform(-1, 1, shape).astype(np.float32) / np.sqrt(n)
        for shape, n in [
            ((HIDDEN, INPUTS), INPUTS),
            (HIDDEN, INPUTS),
            ((CLASSES, HIDDEN), HIDDEN),
            (CLASSES, HIDDEN),
        ]
    ]
    images = rng.standard_normal((STEPS, BATCH, INPUTS), np.float32)
    return [w.astype(np.float32) for w in weights], images, rng.integers(0, CLASSES, (STEPS, BATCH))


def jobs(run, **more):
    """`run()` takes all the steps once, and gives their losses."""
    import numpy as np

    return {JOB: (run, lambda losses: np.array([float(x) for x in losses])), **more}


def torch_like(library, nn, optim):
    """The step as PyTorch's users write it, for a library of its names."""
    weights, images, labels = start()
    model = nn.Sequential(nn.Linear(INPUTS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))
    with library.no_grad():
        for p, w in zip(model.parameters(), weights, strict=True):
            p.copy_(library.tensor(w))
    criterion, optimizer = nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=LR)

    def step(x, y):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, library.tensor(images), library.tensor(labels)


def one_by_one(step, xs, ys):
    batches = list(zip(xs, ys, strict=True))
    return jobs(lambda: [step(x, y) for x, y in batches])


def ours(kind):
    import autodiff
    import nn

    step, xs, ys = torch_like(autodiff, nn, nn.optim)
    if kind == "eager":
        return one_by_one(step, xs, ys) | {PEAK: (lambda: peak.rounds(peak.COUNT, 0.5), lambda y: 0.0)}
    step = autodiff.compile(step)
    return one_by_one(step, xs, ys) if kind == "compiled" else jobs(lambda: step.many(xs, ys))


def ours_eager():
    return ours("eager")


def ours_compiled():
    return ours("compiled")


def ours_many():
    return ours("many")


def torch_eager():
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    return one_by_one(*torch_like(torch, torch.nn, torch.optim))


def numpy_by_hand():
    """What one writes who knows the derivatives; weights lie (in, out), as is best for it."""
    import numpy as np

    (w1, b1, w2, b2), images, labels = start()
    w1, w2 = np.ascontiguousarray(w1.T), np.ascontiguousarray(w2.T)
    rows, lr = np.arange(BATCH), np.float32(LR)

    def step(x, y):
        h = np.maximum(x @ w1 + b1, 0)
        z = h @ w2 + b2
        z -= z.max(1, keepdims=True)
        p = np.exp(z)
        total = p.sum(1, keepdims=True)
        loss = np.mean(np.log(total[:, 0]) - z[rows, y])
        p /= total
        p[rows, y] -= 1
        p /= BATCH
        g = p @ w2.T
        g *= h > 0
        np.subtract(w2, lr * (h.T @ p), out=w2)
        np.subtract(b2, lr * p.sum(0), out=b2)
        np.subtract(w1, lr * (x.T @ g), out=w1)
        np.subtract(b1, lr * g.sum(0), out=b1)
        return loss

    return one_by_one(step, images, labels)


def jax_parts():
    n = os.environ["OMP_NUM_THREADS"]
    os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={'true' if n != '1' else 'false'}"
    if hasattr(os, "sched_setaffinity"):  # its threads go by the cores that there are
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(n)])
    import jax
    import jax.numpy as jnp

    weights, images, labels = start()
    params = [jnp.asarray(w.T if w.ndim > 1 else w) for w in weights]

    def loss_of(params, x, y):
        w1, b1, w2, b2 = params
        z = jax.nn.relu(x @ w1 + b1) @ w2 + b2
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1))

    def step(params, batch):
        loss, grads = jax.value_and_grad(loss_of)(params, *batch)
        return [p - LR * g for p, g in zip(params, grads, strict=True)], loss

    return jax, step, params, jnp.asarray(images), jnp.asarray(labels)


def jax_jit():
    jax, step, params, images, labels = jax_parts()
    compiled = jax.jit(step, donate_argnums=0)
    batches = list(zip(images, labels, strict=True))
    state = [params]

    def run():
        losses = []
        for batch in batches:
            state[0], loss = compiled(state[0], batch)
            losses.append(loss)
        jax.block_until_ready(state[0])
        return losses

    return jobs(run)


def jax_scan():
    jax, step, params, images, labels = jax_parts()
    compiled = jax.jit(
        lambda params, images, labels: jax.lax.scan(step, params, (images, labels)), donate_argnums=0
    )
    state = [params]

    def run():
        state[0], losses = compiled(state[0], images, labels)
        return jax.block_until_ready(losses)

    return jobs(run)


def hips():
    import autograd
    import autograd.numpy as anp
    import numpy as np

    weights, images, labels = start()
    params = [np.ascontiguousarray(w.T) if w.ndim > 1 else w for w in weights]
    rows = np.arange(BATCH)

    def loss_of(params, x, y):
        w1, b1, w2, b2 = params
        z = anp.dot(anp.maximum(anp.dot(x, w1) + b1, 0), w2) + b2
        top = anp.max(z, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(z - top), axis=1)) + top[:, 0] - z[rows, y])

    slope = autograd.value_and_grad(loss_of)

    def step(x, y):
        loss, grads = slope(params, x, y)
        for p, g in zip(params, grads, strict=True):
            p -= np.float32(LR) * g.astype(np.float32)
        return loss

    return one_by_one(step, images, labels)


CONTENDERS = {
    "ours, compiled": ours_compiled, "ours, compiled, many in one call": ours_many, "ours, eager": ours_eager,
    "JAX, jit": jax_jit, "JAX, scan": jax_scan, "NumPy by hand": numpy_by_hand, "PyTorch, eager": torch_eager,
    "HIPS autograd": hips,
}  # fmt: skip


def main():
    args = arguments(__doc__.splitlines()[0])
    print(machine())
    everything = {}
    for threads in args.threads:
        found = contest(CONTENDERS, [PEAK, JOB], threads, args.turns, tolerance=2e-3)
        rate = peak.FLOPS / min(found[PEAK]["ours, eager"])
        bound = FLOPS / rate / threads * 1e6
        print(f"\n{threads} thread{'s' * (threads > 1)}, microseconds a step, medians of {args.turns} turns")
        print(f"{bound:9.0f}{'':25}the bound: {FLOPS * 1e-6:.1f} MFLOP at {rate * 1e-9:.0f} GFLOP/s a core")
        first = median(found[JOB]["ours, compiled"])
        for name, times in found[JOB].items():
            times = [t / STEPS * 1e6 for t in times]
            spread = f"({min(times):.0f} to {max(times):.0f})"
            ratio = median(times) / (first / STEPS * 1e6)
            print(f"{median(times):9.0f}  {spread:18}{ratio:5.2f}  {name}")
        everything[f"{threads} threads"] = found
    save(args.json, everything)


if __name__ == "__main__":
    main()
