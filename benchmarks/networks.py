"""The MNIST network's training step, 784→512→ReLU→10, cross-entropy, SGD 0.01, as the users of each library write
it. All start from the same weights; a step takes a batch of images and labels, and gives the loss.
"""

from __future__ import annotations

from contest import Missing, hold_jax, threads_here

BATCH, INPUTS, HIDDEN, CLASSES, LR = 64, 784, 512, 10, 0.01
LONG_TO_START = ("torch.compile",)  # left out of a quick run
TOO_LONG = "it takes long to start, and this is a quick run"


def weights():
    """W1, b1, W2, b2, as PyTorch lays them out: (out, in)."""
    import numpy as np

    rng = np.random.default_rng(0)
    shapes = {(HIDDEN, INPUTS): INPUTS, (HIDDEN,): INPUTS, (CLASSES, HIDDEN): HIDDEN, (CLASSES,): HIDDEN}
    return [(rng.uniform(-1, 1, shape) / np.sqrt(n)).astype(np.float32) for shape, n in shapes.items()]


def weights_in_out():
    """The same with W1 and W2 laid out (in, out), for those who write `x @ w`."""
    import numpy as np

    return [np.ascontiguousarray(w.T) for w in weights()]


def torch_like(library, nn, optim):
    """Model, loss and optimiser, for a library of PyTorch's names."""
    model = nn.Sequential(nn.Linear(INPUTS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))
    with library.no_grad():
        for p, w in zip(model.parameters(), weights(), strict=True):
            p.copy_(library.tensor(w))
    return model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=LR)


def step_of(model, criterion, optimizer):
    def step(x, y):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def our_step():
    import autodiff
    import nn

    return step_of(*torch_like(autodiff, nn, nn.optim))


def torch_parts():
    """PyTorch, held to the threads of this process, and its parts."""
    import torch

    torch.set_num_threads(threads_here())
    return torch, *torch_like(torch, torch.nn, torch.optim)


def torch_compiled_step():
    """Forward and backward by torch.compile. Missing where that finds no C++ compiler, or does not work."""
    torch, model, criterion, optimizer = torch_parts()
    loss_of = torch.compile(lambda x, y: criterion(model(x), y))
    try:
        loss_of(torch.zeros(BATCH, INPUTS), torch.zeros(BATCH, dtype=torch.int64)).backward()
    except Exception as error:  # the compilers' own kinds, from several places
        reason = f"{error}".strip().splitlines()[0] or type(error).__name__
        raise Missing(f"torch.compile does not work here: {reason}") from error

    def step(x, y):
        optimizer.zero_grad()
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return torch, step


def numpy_step():
    """What one writes who knows the derivatives; weights lie (in, out), as is best for it."""
    import numpy as np

    w1, b1, w2, b2 = weights_in_out()
    lr = np.float32(LR)

    def step(x, y):
        rows = np.arange(len(y))
        h = np.maximum(x @ w1 + b1, 0)
        z = h @ w2 + b2
        z -= z.max(1, keepdims=True)
        p = np.exp(z)
        total = p.sum(1, keepdims=True)
        loss = np.mean(np.log(total[:, 0]) - z[rows, y])
        p /= total
        p[rows, y] -= 1
        p /= len(y)
        g = p @ w2.T
        g *= h > 0
        np.subtract(w2, lr * (h.T @ p), out=w2)
        np.subtract(b2, lr * p.sum(0), out=b2)
        np.subtract(w1, lr * (x.T @ g), out=w1)
        np.subtract(b1, lr * g.sum(0), out=b1)
        return loss

    return step


def jax_parts():
    """JAX, held to the threads of this process, a step from parameters to parameters, and the first of them."""
    hold_jax(threads_here())
    import jax
    import jax.numpy as jnp

    def loss_of(params, x, y):
        w1, b1, w2, b2 = params
        z = jax.nn.relu(x @ w1 + b1) @ w2 + b2
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1))

    def step(params, batch):
        loss, grads = jax.value_and_grad(loss_of)(params, *batch)
        return [p - LR * g for p, g in zip(params, grads, strict=True)], loss

    return jax, step, [jnp.asarray(w) for w in weights_in_out()]


def hips_step():
    import autograd
    import autograd.numpy as anp
    import numpy as np

    params = weights_in_out()

    def loss_of(params, x, y):
        w1, b1, w2, b2 = params
        z = anp.dot(anp.maximum(anp.dot(x, w1) + b1, 0), w2) + b2
        top = anp.max(z, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(z - top), axis=1)) + top[:, 0] - z[np.arange(len(y)), y])

    slope = autograd.value_and_grad(loss_of)

    def step(x, y):
        loss, grads = slope(params, x, y)
        for p, g in zip(params, grads, strict=True):
            p -= np.float32(LR) * g.astype(np.float32)
        return loss

    return step


def tinygrad():
    """tinygrad's Tensor. It compiles with clang, which has to be installed."""
    import shutil

    from tinygrad import Tensor

    if shutil.which("clang") is None:
        raise Missing("it compiles with clang, which is not installed")
    return Tensor


def tinygrad_step():
    """TinyJit, which captures the whole step: for batches of one size."""
    Tensor = tinygrad()
    from tinygrad import TinyJit

    w1, b1, w2, b2 = params = [Tensor(w) for w in weights_in_out()]

    @TinyJit
    def step(x, y):
        loss = ((x @ w1 + b1).relu() @ w2 + b2).sparse_categorical_crossentropy(y)
        updates = zip(params, loss.gradient(*params), strict=True)
        return loss.realize(*[p.assign(p.detach() - LR * g) for p, g in updates])

    return Tensor, step
