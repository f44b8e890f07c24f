"""An epoch of MNIST, 784→512→ReLU→10, cross-entropy, SGD 0.01, batch 64: data loading and training, by each library.

    python benchmarks/epoch.py [--threads 1 2] [--turns 5] [--json epoch.json]

All 60,000 real images in the same drawn order, from the same weights; first it is checked that the losses of the
first batches are the same. Ours is `nn.training.fit`'s loop with its DataLoader, which reads and normalises each
batch anew. PyTorch's DataLoader takes sample by sample, as its tutorials have it. All others index arrays that were
normalised beforehand, which is not timed. Whoever is slow does a part of the epoch, and the time is scaled up: the
table says so.

micrograd and our own `scalar.Value` hold one number each; for them there is a small table of its own: images of 7×7,
49→8→10, squared error.
"""

from __future__ import annotations

from functools import partial

import digits
import networks
from contest import Job, contest, threads_here
from networks import BATCH, LR
from report import Results, Table, run

IMAGES = 60_000
BATCHES = -(-IMAGES // BATCH)  # the last one has 32
QUICK = 47  # batches of a quick epoch
CHECKED = 40  # batches whose losses are compared
JOB = "epoch"
OURS = "ours, compiled"
SLOW = {"HIPS autograd": 235, "tinygrad, TinyJit": 94}  # batches they take


def order(batches):
    """The images' numbers, drawn once for all."""
    import numpy as np

    return np.random.default_rng(0).permutation(IMAGES)[: batches * BATCH]


def jobs(epoch, batches):
    """`epoch()` takes that many batches, and gives their losses."""
    import numpy as np

    share = min(batches * BATCH, IMAGES) / IMAGES
    first = lambda losses: np.array([float(x) for x in losses[:CHECKED]])
    return {JOB: Job(epoch, first, share)}


def indexing(step, own, batches):
    """The plain loop: batches by indexing, with the library's `own` kind of arrays."""
    images, labels = digits.read(True)
    xs, ys, rows = own(digits.normalised(images)), own(labels), own(order(batches))

    def epoch():
        losses = []
        for k in range(0, len(rows), BATCH):
            batch = rows[k : k + BATCH]
            losses.append(step(xs[batch], ys[batch]))
        return losses

    return jobs(epoch, batches)


def ours(compile, batches):
    import autodiff
    import nn
    from nn import transforms
    from nn.data import DataLoader
    from nn.datasets import MNIST
    from nn.training import Callback, Training

    transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((digits.MEAN,), (digits.STD,))]
    )
    data = MNIST(digits.FOLDER, transform=transform)
    loader = DataLoader(data, batch_size=BATCH, sampler=order(batches).tolist())
    model, criterion, optimizer = networks.torch_like(autodiff, nn, nn.optim)
    flat = nn.Sequential(nn.Flatten(), model)
    training = Training(flat, loader, loss=criterion, optimizer=optimizer, epochs=0, compile=compile)
    losses = []

    class Losses(Callback):
        total, seen = 0.0, 0

        def on_batch_end(self, training):
            losses.append((training.loss_sum - self.total) / (training.seen - self.seen))
            self.total, self.seen = training.loss_sum, training.seen

    def epoch():
        losses.clear()
        training.epochs += 1
        training.run([Losses()])
        return losses

    return jobs(epoch, batches)


def torch_indexing(batches):
    torch, *parts = networks.torch_parts()
    return indexing(networks.step_of(*parts), torch.from_numpy, batches)


def torch_compile(batches):
    torch, step = networks.torch_compiled_step()
    return indexing(step, torch.from_numpy, batches)


def torch_loader(batches):
    torch, model, criterion, optimizer = networks.torch_parts()
    from torch.utils.data import DataLoader
    from vision import MNIST, transforms

    transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((digits.MEAN,), (digits.STD,))]
    )
    data = MNIST(digits.FOLDER, transform=transform)
    loader = DataLoader(data, batch_size=BATCH, sampler=order(batches).tolist())
    step = networks.step_of(torch.nn.Sequential(torch.nn.Flatten(), model), criterion, optimizer)
    return jobs(lambda: [step(x, y).item() for x, y in loader], batches)


def numpy_by_hand(batches):
    return indexing(networks.numpy_step(), lambda a: a, batches)


def jax_parts(batches):
    """JAX, the step that draws its batch from all images, and the rows of the whole batches and of the last one."""
    jax, step, params = networks.jax_parts()
    images, labels = digits.read(True)
    xs, ys = jax.numpy.asarray(digits.normalised(images)), jax.numpy.asarray(labels)
    rows = order(batches)
    whole = len(rows) // BATCH * BATCH
    stacked = jax.numpy.asarray(rows[:whole].reshape(-1, BATCH))
    last = [jax.numpy.asarray(rows[whole:])] if whole < len(rows) else []
    return jax, lambda params, rows: step(params, (xs[rows], ys[rows])), params, stacked, last


def jax_jit(batches):
    jax, step, params, stacked, last = jax_parts(batches)
    compiled = jax.jit(step, donate_argnums=0)
    every, state = [*stacked, *last], [params]

    def epoch():
        losses = []
        for rows in every:
            state[0], loss = compiled(state[0], rows)
            losses.append(loss)
        jax.block_until_ready(state[0])
        return losses

    return jobs(epoch, batches)


def jax_scan(batches):
    jax, step, params, stacked, last = jax_parts(batches)
    several = jax.jit(lambda params, rows: jax.lax.scan(step, params, rows), donate_argnums=0)
    one, state = jax.jit(step, donate_argnums=0), [params]

    def epoch():
        state[0], losses = several(state[0], stacked)
        for rows in last:
            state[0], _ = one(state[0], rows)
        jax.block_until_ready(state[0])
        return losses

    return jobs(epoch, batches)


def hips(batches):
    return indexing(networks.hips_step(), lambda a: a, batches)


def tinygrad(batches):
    Tensor, step = networks.tinygrad_step()
    make = lambda a: Tensor(a if a.dtype.kind == "f" else a.astype("int32")).realize()
    images, labels = digits.read(True)
    xs, ys, rows = digits.normalised(images), labels, order(batches).reshape(-1, BATCH)
    return jobs(lambda: [step(make(xs[batch]), make(ys[batch])).item() for batch in rows], batches)


CONTENDERS = {
    OURS: partial(ours, True), "ours, eager": partial(ours, False), "PyTorch, indexing": torch_indexing,
    "PyTorch, Dataset + DataLoader": torch_loader, "torch.compile": torch_compile, "JAX, jit": jax_jit,
    "JAX, scan": jax_scan, "NumPy by hand": numpy_by_hand, "HIPS autograd": hips, "tinygrad, TinyJit": tinygrad,
}  # fmt: skip


# ---- a network small enough for engines of single numbers --------------------------------------------

SMALL, UNITS, CLASSES, SMALL_BATCH, SMALL_STEPS = 49, 8, 10, 4, 5
SMALL_JOB = "small step"
MNIST_WORK = BATCH * (2 * networks.INPUTS * networks.HIDDEN + 3 * networks.HIDDEN * networks.CLASSES)
SMALL_WORK = SMALL_BATCH * (2 * SMALL * UNITS + 3 * UNITS * CLASSES)  # multiply-adds a step


def small_problem():
    """Weights (in, out) and biases; images of 7×7, each pixel the mean of 4×4; classes as rows of 0 and 1."""
    import numpy as np

    rng = np.random.default_rng(0)
    shapes = {(SMALL, UNITS): SMALL, (UNITS,): SMALL, (UNITS, CLASSES): UNITS, (CLASSES,): UNITS}
    weights = [(rng.uniform(-1, 1, shape) / np.sqrt(n)).astype(np.float32) for shape, n in shapes.items()]
    images, labels = digits.read(True)
    n = SMALL_BATCH * SMALL_STEPS
    pixels = images[:n].reshape(n, 7, 4, 7, 4).mean((2, 4)) / 255
    xs = pixels.reshape(SMALL_STEPS, SMALL_BATCH, SMALL).astype(np.float32)
    return weights, xs, np.eye(CLASSES, dtype=np.float32)[labels[:n]].reshape(SMALL_STEPS, SMALL_BATCH, -1)


def small_jobs(step, xs, ys):
    import numpy as np

    pairs = list(zip(xs, ys, strict=True))
    run = lambda: [step(x, y) for x, y in pairs]
    return {SMALL_JOB: Job(run, lambda losses: np.array([float(x) for x in losses]), SMALL_STEPS)}


def small_tensors(library, optim):
    weights, xs, ys = small_problem()
    w1, b1, w2, b2 = params = [library.tensor(w, requires_grad=True) for w in weights]
    optimizer = optim.SGD(params, lr=LR)

    def step(x, y):
        optimizer.zero_grad()
        loss = (((x @ w1 + b1).relu() @ w2 + b2 - y) ** 2).sum() / SMALL_BATCH
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, library.tensor(xs), library.tensor(ys)


def small_ours(compile):
    import autodiff
    import nn

    step, xs, ys = small_tensors(autodiff, nn.optim)
    return small_jobs(autodiff.compile(step) if compile else step, xs, ys)


def small_torch():
    import torch

    torch.set_num_threads(threads_here())
    return small_jobs(*small_tensors(torch, torch.optim))


def small_numbers(Value):
    """The same, number by number."""
    weights, xs, ys = small_problem()
    w1, b1, w2, b2 = [
        [[Value(v) for v in row] for row in w.reshape(-1, w.shape[-1]).tolist()] for w in weights
    ]
    layers = [(list(zip(*w, strict=True)), b[0]) for w, b in ((w1, b1), (w2, b2))]
    params = [v for w in (w1, b1, w2, b2) for row in w for v in row]

    def layer(x, weights, biases):
        return [
            sum((w * v for w, v in zip(unit, x, strict=True)), b)
            for unit, b in zip(weights, biases, strict=True)
        ]

    def step(x, y):
        loss = Value(0.0)
        for image, wanted in zip(x, y, strict=True):
            hidden = [h.relu() for h in layer(image, *layers[0])]
            for z, t in zip(layer(hidden, *layers[1]), wanted, strict=True):
                loss = loss + (z - t) ** 2
        loss = loss * (1 / SMALL_BATCH)
        for p in params:
            p.grad = 0.0
        loss.backward()
        for p in params:
            p.data -= LR * p.grad
        return loss.data

    return small_jobs(step, xs.tolist(), ys.tolist())


def small_micrograd():
    from micrograd.engine import Value

    return small_numbers(Value)


def small_values():
    from autodiff.scalar import Value

    return small_numbers(Value)


SMALL_CONTENDERS = {
    OURS: partial(small_ours, True), "ours, eager": partial(small_ours, False), "PyTorch, eager": small_torch,
    "ours, scalar.Value": small_values, "micrograd": small_micrograd,
}  # fmt: skip


def measure(args, results: Results) -> None:
    contenders = {n: c for n, c in CONTENDERS.items() if not (args.quick and n in networks.LONG_TO_START)}
    results.left_out |= {n: networks.TOO_LONG for n in CONTENDERS.keys() - contenders}
    batches = QUICK if args.quick else BATCHES
    parts = {name: min(batches, SLOW.get(name, batches)) for name in contenders}
    for threads in args.threads:
        text = f"{threads} thread{'s' * (threads > 1)}"
        made = {name: partial(make, batches=parts[name]) for name, make in contenders.items()}
        outcome = contest(made, [JOB], threads, args.turns, tolerance=2e-3, once=True)
        results.heard(outcome, threads)
        times = outcome.times[JOB]
        unit = "seconds an epoch: median (least–most), times ours, compiled"
        table = Table(f"An epoch of MNIST, {text}", unit, {"s": times}, ours=OURS)
        table.notes = [
            f"{'; '.join(names)}: scaled up from {count} of the {BATCHES} batches."
            for count in sorted(set(parts.values()) - {BATCHES})
            if (names := [n for n in times if parts[n] == count])
        ]
        results.add(table)
    outcome = contest(SMALL_CONTENDERS, [SMALL_JOB], 1, args.turns)
    results.heard(outcome, 1)
    cells = {name: [t * 1e6 for t in each] for name, each in outcome.times[SMALL_JOB].items()}
    title = f"A step of a small network, {SMALL}→{UNITS}→{CLASSES}, batch {SMALL_BATCH}, one thread"
    table = Table(
        title, "microseconds a step: median (least–most), times ours, compiled", {"µs": cells}, ours=OURS
    )
    table.notes = [f"{SMALL_WORK:,} multiply-adds a step; MNIST's network takes {MNIST_WORK:,}."]
    results.add(table)


if __name__ == "__main__":
    run(measure, __file__, __doc__, turns=5)
