"""Compiled functions beside the same functions run eagerly. The last tests compile machine code."""

from __future__ import annotations

import copy
import gc
import itertools
import math
import random
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest
from compiled_support import programs_of, same
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_support import needs_numba, run_python

import autodiff as ad
import nn
import nn.functional as F
from autodiff import kernels, primitive
from autodiff.errors import ShapeError

pytestmark = needs_numba


# ---- every primitive, and its derivative -------------------------------------------------------------------


def real(*shape):
    return np.random.default_rng(sum(shape) + 1).standard_normal(shape)


def positive(*shape):
    return np.random.default_rng(sum(shape) + 2).uniform(0.3, 0.9, shape)


def whole(*numbers):
    return np.array(numbers)


def assigned(a, b):
    c = a * 2
    c[1] = b
    c[0] *= 3
    return c * a


ONE_INPUT = "abs exp expm1 sin cos tan sinh cosh tanh sigmoid relu log_sigmoid softplus erf neg square sign floor ceil round atan"
POSITIVE_INPUT = "log log1p log2 log10 sqrt rsqrt reciprocal asin acos"
TWO_INPUTS = "add sub mul div maximum minimum atan2 clamp_min clamp_max remainder fmod floor_divide pow"
COMPARISONS = "eq ne lt le gt ge logical_and logical_or logical_xor"
ACTIVATIONS = [
    F.leaky_relu, F.elu, F.celu, F.selu, F.silu, F.mish, F.hardtanh, F.hardsigmoid, F.hardswish, F.softshrink,
    F.hardshrink,
]  # fmt: skip
FUNCTIONS = {
    **{n: (getattr(ad, n), real(3, 4)) for n in ONE_INPUT.split()},
    **{n: (getattr(ad, n), positive(3, 4)) for n in POSITIVE_INPUT.split()},
    **{n: (getattr(ad.Tensor, n), positive(3, 4) * 3, positive(4)) for n in TWO_INPUTS.split()},
    **{n: (lambda a, b, n=n: getattr(ad, n)(a, b) * a, real(3, 4), real(4)) for n in COMPARISONS.split()},
    "activations": (lambda a: ad.stack([f(a) for f in ACTIVATIONS]), real(3, 4)),
    "activations of one number": (lambda a: ad.stack([f(a) for f in ACTIVATIONS]), real(1)),
    "prelu": (lambda a, b: F.prelu(a, b) + F.threshold(a, 0.1, 2.0), real(2, 4), positive(4)),
    "xlogy": (ad.xlogy, real(3, 4), positive(4)),
    "logical_not": (lambda a: ad.logical_not(a > 0) * a, real(3)),
    "bitwise": (lambda a: ((a > 0) & ~(a > 1) | (a < -1) ^ (a > 2)) * a, real(9)),
    "is": (lambda a: (ad.isnan(a) | ad.isinf(a) | ~ad.isfinite(a)) + a, real(3)),
    "number ** x": (lambda a: 2**a, real(3)),
    "x ** number": (lambda a: a**3 + a**0.0, positive(3)),
    "trunc": (lambda a: ad.trunc(a * 3) + ad.div(a, 0.3, rounding_mode="trunc") + a.contiguous(), real(3, 4)),
    "where": (lambda a, b: ad.where(a > b, a, b * 2), real(3, 4), real(4)),
    "clamp": (lambda a: a.clamp(-0.5, 0.5), real(3, 4)),
    "sum of rows": (lambda a: a.sum(1), real(3, 40)),
    "sum of short rows": (lambda a: a.sum(1), real(40, 3)),
    "sum of columns": (lambda a: a.sum(0), real(30, 4)),
    "sum of all": (lambda a: a.sum(), real(30, 40)),
    "sum of the middle": (lambda a: a.sum(1), real(3, 4, 5)),
    "sum kept": (lambda a: a.sum((1, 2), keepdim=True), real(3, 4, 5)),
    "mean": (lambda a: a.mean(1), real(3, 14)),
    "var": (lambda a: a.var(1) + a.std(), real(3, 14)),
    "amax": (lambda a: a.amax(1) + a.amin(1) + a.max(1)[0], real(4, 4)),
    "argmax": (lambda a: a[ad.argmax(a, 1)] + a[ad.argmin(a, 1)] + a.argmax(), real(4, 4)),
    "all and any": (lambda a: ad.where((a > 0).all() | (a > 0).any(), a, -a), real(3)),
    "prod": (lambda a: a.prod(1), real(3, 4)),
    "cumsum": (lambda a: a.cumsum(1), real(3, 4)),
    "cumprod": (lambda a: a.cumprod(0), real(3, 4)),
    "logsumexp": (lambda a: ad.logsumexp(a, 1), real(3, 4)),
    "logsumexp of all": (lambda a: ad.logsumexp(a, (0, 1)), real(3, 4)),
    "softmax": (lambda a: a.softmax(1) + a.softmax(0), real(3, 9)),
    "log_softmax": (lambda a: a.log_softmax(-1), real(3, 4)),
    "reshape": (lambda a: (a * 2).reshape(4, 3) * a.reshape(4, 3), real(3, 4)),
    "reshape of a transpose": (lambda a: (a.T * 2).reshape(2, 6), real(3, 4)),
    "permute": (lambda a: a.permute(2, 0, 1) * 2, real(2, 3, 4)),
    "flip": (lambda a: a.flip(1) * 2, real(3, 4)),
    "roll": (lambda a: a.roll(2, 1) * 2, real(3, 4)),
    "roll of nothing": (lambda a: a.roll(2, 1) * 2, real(3, 0)),
    "diagonal": (lambda a: a.diagonal() * 2, real(3, 3)),
    "diag": (lambda a: ad.diag(a, 1), real(3)),
    "triangles": (lambda a: a.tril() + a.triu(1) * 2, real(3, 3)),
    "pad": (lambda a: ad.pad(a, (1, 2)), real(3, 3)),
    "crop": (lambda a: ad.pad(a, (-1, 1)), real(3, 3)),
    "tile": (lambda a: a.tile(2, 3), real(3, 3)),
    "cat": (lambda a, b: ad.cat([a, b * 2], 1), real(3, 3), real(3, 2)),
    "stack": (lambda a, b: ad.stack([a, b], 1), real(3, 3), real(3, 3)),
    "unbind": (lambda a: a.unbind(0)[1] * a.unbind(0)[2], real(3, 3)),
    "split": (lambda a: a.split(2, 1)[1] * 2, real(3, 4)),
    "slices": (lambda a: a[1:, ::2] * a[None, 0, ..., ::2], real(3, 4)),
    "rows": (lambda a, i: a[i], real(5, 4), whole(0, 2, 2)),
    "columns": (lambda a, i: a[:, i], real(5, 4), whole(0, -1, 2)),
    "elements": (lambda a, i, j: a[i, j], real(5, 4), whole(0, 2, 2), whole(1, 1, 1)),
    "elements apart": (lambda a, i, j: a[i, :, j], real(5, 4, 3), whole(0, 2, 2), whole(1, 1, 1)),
    "a number and rows": (lambda a, i: a[1, :, i], real(3, 4, 5), whole(0, 2)),
    "gather": (lambda a, i: a.gather(1, i), real(3, 4), np.array([[0, 1], [3, 3], [2, 0]])),
    "index_add": (lambda a, b: a.index_add(0, ad.tensor([0, 1, 1]), b), real(3, 4), real(3, 4)),
    "assignment": (assigned, real(3, 4), real(4)),
    "assignment of a number": (lambda a, b: (a * 2).copy_(b).exp() + a, real(), positive()),
    "matmul": (lambda a, b: a @ b, real(3, 4), real(4, 5)),
    "matrix and vector": (lambda a, b: a @ b, real(3, 4), real(4)),
    "batches": (lambda a, b: a @ b.mT, real(2, 3, 4), real(2, 5, 4)),
    "broadcast batches": (lambda a, b: a @ b, real(2, 1, 3, 4), real(3, 4, 2)),
    "linear": (lambda a, w, b: F.linear(a, w, b).relu(), real(3, 4), real(5, 4), real(5)),
    "linear of 3-d": (lambda a, w, b: F.linear(a, w, b), real(2, 3, 4), real(5, 4), real(5)),
    "einsum": (lambda a, b: ad.einsum("ij,kj->ik", a, b), real(3, 4), real(5, 4)),
    "cross_entropy": (F.cross_entropy, real(6, 4), whole(0, 1, 2, 3, 1, 1)),
    "cross_entropy of images": (F.cross_entropy, real(2, 4, 3), np.array([[0, 1, 2], [3, 1, 1]])),
    "smoothed cross_entropy": (
        lambda a, t: F.cross_entropy(a, t, label_smoothing=0.1), real(6, 4), whole(0, 1, 2, 3, 1, 1)),
    "weighted cross_entropy": (
        lambda a, t: F.cross_entropy(a, t, weight=ad.arange(4.0)), real(6, 4), whole(0, 1, 2, 3, 1, 1)),
    "nll": (lambda a, t: F.nll_loss(a.log_softmax(1), t), real(6, 4), whole(0, 1, 2, 3, 1, 1)),
    "mse": (F.mse_loss, real(3, 4), positive(3, 4)),
    "bce": (lambda a, b: F.binary_cross_entropy(a.sigmoid(), b), real(3, 4), positive(3, 4)),
    "bce of logits": (F.binary_cross_entropy_with_logits, real(3, 4), positive(3, 4)),
    "layer_norm": (lambda a, w, b: F.layer_norm(a, (9,), w, b), real(3, 9), real(9), real(9)),
    "batch_norm": (lambda a: F.batch_norm(a, training=True), real(8, 3)),
    "gelu": (lambda a: F.gelu(a) + F.gelu(a, "tanh"), real(3, 4)),
    "attention": (
        lambda q, k, v: (q @ k.mT).masked_fill(ad.tensor(np.triu(np.ones((3, 3), bool), 1)), -1e9).softmax(-1) @ v,
        real(2, 3, 4), real(2, 3, 4), real(2, 3, 4)),
    "dtypes": (lambda a, i: a.float() * a + i.to(a.dtype) // 2 * a, real(3), whole(1, 2, 3)),
    "read again": (lambda a: (a.tanh() + a.tanh() * a.exp()) * (a.tanh() - 1), real(3, 4)),
    "second order": (lambda a: ad.grad(lambda z: (z**3).sum())(a) * a, real(3)),
    "hessian": (lambda a: ad.hessian(lambda z: (z**3).sum() * z[0])(a), real(3)),
    "numbers": (lambda a: a.sum() * a.mean() + a.max(), real(3)),
    "one element": (lambda a, b: a * b + 1, real(1), real(1, 1)),
    "outer": (lambda a, b: (a[:, None, :] - b[None]).square().sum(-1), real(3, 2), real(4, 2)),
    "clone": (lambda a: a.clone(), real(3)),
    "products with one number all over": (
        lambda a: ad.zeros(2, 3, dtype=a.dtype) @ a + (ad.ones(5, 3, dtype=a.dtype) @ a).sum(0), real(3, 4)),
}  # fmt: skip


def with_gradients(f, numbers):
    """The value, and its gradients when weighted."""

    def both(*xs):
        def scalar(*xs):
            y = f(*xs)
            weights = ad.Tensor(np.linspace(1, 2, y.numel()).reshape(y.shape).astype(y.dtype))
            return (y * weights).sum(), y

        (_, y), gradients = ad.value_and_grad(scalar, numbers, has_aux=True)(*xs)
        return y, gradients

    return both


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_of_each_primitive(name, dtype):
    f, *arrays = FUNCTIONS[name]
    xs = [ad.Tensor(a.astype(dtype) if a.dtype.kind == "f" else a) for a in arrays]
    both = with_gradients(f, tuple(k for k, x in enumerate(xs) if x.is_floating_point()))
    compiled = ad.compile(both)
    found = compiled(*xs)
    eps = float(np.finfo(dtype).eps)
    same(both(*xs), found, name, rtol=16 * eps, atol=16 * eps)
    same(found, compiled(*xs), "called again")
    others = [x * 0.5 + 0.1 if x.is_floating_point() else x for x in xs]
    same(both(*others), compiled(*others), "of other numbers", rtol=16 * eps, atol=16 * eps)
    assert programs_of(compiled), compiled.source()


UNCOMPILED = {
    "adaptive_max_pool2d", "argsort", "conv2d", "conv2d_bias", "conv2d_input_gradient", "conv2d_weight_gradient",
    "fold", "isclose", "max_pool2d", "nonzero", "scatter_product", "unfold",
}  # fmt: skip


def test_what_can_be_compiled():
    from autodiff.compiler import compositions, formulas, loops

    known = {*formulas.FORMULAS, *formulas.MOVES, *formulas.SAME, *loops.table, *loops.places}
    known |= {*compositions.table, *compositions.updates, "astype", "as_whole", "bitwise_not"}
    assert set(primitive.table) - known == UNCOMPILED


# ---- drawn programs ----------------------------------------------------------------------------------------


MAPS = [
    lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a - 2 * b, lambda a, b: a / (1 + b * b),
    lambda a, b: a.tanh(), lambda a, b: a.relu(), lambda a, b: a.sigmoid() * b, lambda a, b: ad.maximum(a, b),
    lambda a, b: a @ b, lambda a, b: a.T @ b, lambda a, b: a.T, lambda a, b: a.flip(0) + b,
    lambda a, b: a.sum(0) + b, lambda a, b: a.mean(1, keepdim=True) * b, lambda a, b: a.softmax(1),
    lambda a, b: ad.where(a > b, a, 0), lambda a, b: a[[2, 0, 2]], lambda a, b: ad.cat([a[:1], b[:-1]]),
    lambda a, b: a.reshape(-1)[:3] + b, lambda a, b: a.cumsum(1), lambda a, b: a.detach() * b,
    lambda a, b: (a.exp() + 1).log(), lambda a, b: a * a.amax(1, keepdim=True),
]  # fmt: skip


@settings(max_examples=40)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, len(MAPS) - 1), st.integers(0, 9), st.integers(0, 9)),
        min_size=1,
        max_size=12,
    ),
    seed=st.integers(0, 2**16),
    momentum=st.sampled_from([0, 0.9]),
)
def test_drawn_training_steps(steps, seed, momentum):
    """Three steps of descent on a drawn function: same losses and same parameters."""

    def run(compile):
        rng = np.random.default_rng(seed)
        w = ad.Tensor(rng.standard_normal((3, 3))).requires_grad_()
        optimizer = nn.optim.SGD([w], lr=1e-3, momentum=momentum)

        def step(x):
            optimizer.zero_grad()
            values = [x * w, w]
            for k, i, j in steps:
                values.append(MAPS[k](values[i % len(values)], values[j % len(values)]))
            loss = (values[-1] * values[-1]).mean() + w.mean()
            loss.backward()
            optimizer.step()
            return {"loss": loss, "last": values[-1]}

        made = compile(step)
        results = [made(ad.Tensor(rng.standard_normal((3, 3)))) for _ in range(4)]
        return made, [results, w.detach()]

    made, found = run(ad.compile)
    assert programs_of(made) or "shares memory" in made.source(), made.source()
    _, expected = run(lambda f: f)
    same(expected, found, rtol=1e-12, atol=1e-12)


# ---- training ------------------------------------------------------------------------------------------------


OPTIMISERS = {
    "sgd": lambda ps: nn.optim.SGD(ps, lr=0.1),
    "momentum": lambda ps: nn.optim.SGD(ps, lr=0.1, momentum=0.9, dampening=0.1, weight_decay=1e-3),
    "nesterov": lambda ps: nn.optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True, maximize=True),
    "adam": lambda ps: nn.optim.Adam(ps, lr=0.01),
    "amsgrad": lambda ps: nn.optim.Adam(ps, lr=0.01, amsgrad=True, betas=(0.4, 0.99), weight_decay=0.01),
    "adamw": lambda ps: nn.optim.AdamW(ps, lr=0.01),
    "rmsprop": lambda ps: nn.optim.RMSprop(ps, lr=0.01, momentum=0.9, centered=True, weight_decay=0.01),
    "adagrad": lambda ps: nn.optim.Adagrad(ps, lr=0.1, lr_decay=0.1),
    "adadelta": lambda ps: nn.optim.Adadelta(ps, lr=1.0, maximize=True),
    "adamax": lambda ps: nn.optim.Adamax(ps, lr=0.01),
    "nadam": lambda ps: nn.optim.NAdam(ps, lr=0.01, weight_decay=0.01, decoupled_weight_decay=True),
    "radam": lambda ps: nn.optim.RAdam(ps, lr=0.01, betas=(0.4, 0.99), weight_decay=0.01),
    "rprop": lambda ps: nn.optim.Rprop(ps, lr=0.01),
}


def batches(n, size=8, features=12, classes=5, seed=0):
    rng = np.random.default_rng(seed)
    xs = rng.standard_normal((n, size, features)).astype(np.float32)
    return ad.Tensor(xs), ad.Tensor(rng.integers(0, classes, (n, size)))


class Net:
    """A model, its optimiser, and a step of training."""

    def __init__(self, optimiser="sgd", layers=None):
        ad.manual_seed(0)
        self.model = nn.Sequential(*layers()) if layers else nn.MLP(12, 16, 5)
        self.optimizer = OPTIMISERS[optimiser](self.model.parameters())

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def state(self):
        state = {k: dict(v) for k, v in self.optimizer.state_dict()["state"].items()}
        return [dict(self.model.state_dict()), {k: v for k, v in state.items() if v}]


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_training_is_the_same_to_the_last_bit(optimiser):
    """With a schedule, which costs no new program."""
    xs, ys = batches(12)
    ends = []
    for compile in (lambda f: f, ad.compile):
        net = Net(optimiser)
        schedule = nn.optim.lr_scheduler.StepLR(net.optimizer, 4, 0.5)
        step, losses = compile(net.step), []
        for x, y in zip(xs, ys, strict=True):
            losses.append(step(x, y).detach())
            schedule.step()
        ends.append([losses, net.state()])
    same(*ends)
    assert len({program.text for program in programs_of(step)}) == 1


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_a_run_that_goes_on_ends_with_the_same_bits(tmp_path, optimiser):
    """Through `fit`, whose last batch has another size, stopped after each epoch but the last."""
    from nn.training import Checkpoint, fit

    (x,), (y,) = batches(1, size=20)
    data = nn.data.TensorDataset(x, y)

    def run(epochs, path):
        ad.manual_seed(1)
        model = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 5))
        optimizer = OPTIMISERS[optimiser](model.parameters())
        training = fit(
            model, nn.data.DataLoader(data, batch_size=8, shuffle=True), loss=nn.CrossEntropyLoss(), optimizer=optimizer,
            scheduler=nn.optim.lr_scheduler.StepLR(optimizer, 2), epochs=epochs, callbacks=[Checkpoint(path)],
            resume=path if path.exists() else None,
        )  # fmt: skip
        assert programs_of(training.step)
        return [dict(model.state_dict()), [row["loss"] for row in training.history]]

    expected = run(4, tmp_path / "whole")
    for epochs in (1, 2, 4):
        found = run(epochs, tmp_path / "parts")
    same(expected, found)


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_many_batches_in_one_call(optimiser):
    xs, ys = batches(6)
    one, many = Net(optimiser), Net(optimiser)
    step = ad.compile(one.step)
    losses = [step(x, y) for x, y in zip(xs, ys, strict=True)]
    compiled = ad.compile(many.step)
    first = compiled.many(xs[:2], ys[:2])
    rest = compiled.many(xs[2:], ys[2:])
    same(ad.stack(losses), ad.cat([first, rest]))
    same(one.state(), many.state())
    with pytest.raises(ValueError, match="as many batches"):
        compiled.many(xs, ys[:2])


def test_dropout_draws_the_same_numbers():
    layers = lambda: (nn.Linear(12, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 5))
    xs, ys = batches(5)
    ends = []
    for how in ("eager", "compiled", "many"):
        net = Net("sgd", layers)
        step = net.step if how == "eager" else ad.compile(net.step)
        ad.manual_seed(3)
        losses = (
            step.many(xs, ys)
            if how == "many"
            else ad.stack([step(x, y).detach() for x, y in zip(xs, ys, strict=True)])
        )
        ends.append([losses, net.state(), ad.rand(3)])
    same(ends[0], ends[1])
    same(ends[0], ends[2])


def test_running_statistics_are_written_where_they_are():
    running = [ad.zeros(3), ad.ones(3)]
    other = [ad.zeros(3), ad.ones(3)]
    normalise = lambda x, stats: F.batch_norm(x, *stats, training=True)
    compiled = ad.compile(lambda x: normalise(x, running))
    for k in range(3):
        x = ad.Tensor(real(8, 3).astype(np.float32) + k)
        same(normalise(x, other), compiled(x), rtol=1e-5, atol=1e-6)
        same(other, running, rtol=1e-6)
    assert programs_of(compiled)


@pytest.mark.parametrize("size", [8, 16], ids=["", "labels and statistics of one shape"])
def test_a_whole_step_with_batch_norm(size):
    """Labels are looked at before the running statistics are written."""
    layers = lambda: (nn.Linear(12, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 5))
    net, other = Net("momentum", layers), Net("momentum", layers)
    compiled = ad.compile(net.step)
    for x, y in zip(*batches(4, size), strict=True):
        same(other.step(x, y).detach(), compiled(x, y).detach(), rtol=1e-5)
        same(other.state(), net.state(), rtol=1e-4, atol=1e-6)
    assert programs_of(compiled) and not compiled.eager
    before = {name: v.clone() for name, v in net.model.state_dict().items()}
    with pytest.raises(IndexError, match="Target 7 is out of bounds"):
        compiled(x, ad.full((size,), 7))
    same(before["1.weight"], net.model.state_dict()["1.weight"])


@pytest.mark.parametrize("limit", ["norm", "largest", "value"])
def test_gradients_are_clipped(limit):
    def step_of(net):
        def step(x, y):
            net.optimizer.zero_grad()
            loss = F.cross_entropy(net.model(x), y)
            loss.backward()
            if limit == "value":
                nn.utils.clip_grad_value_(net.model.parameters(), 0.01)
            else:
                order = 2.0 if limit == "norm" else math.inf
                nn.utils.clip_grad_norm_(net.model.parameters(), 0.02, order)
            net.optimizer.step()
            return loss

        return step

    net, other = Net(), Net()
    compiled, step = ad.compile(step_of(net)), step_of(other)
    for x, y in zip(*batches(4), strict=True):
        same(step(x, y).detach(), compiled(x, y).detach(), rtol=1e-6)
    same(other.state(), net.state(), rtol=1e-5, atol=1e-7)
    assert programs_of(compiled) and not compiled.eager


def test_constants_keep_the_signs_of_their_zeros():
    zeros = ad.tensor([0.0, -0.0, 0.0])
    for constant in (zeros, -0.0, ad.full((3,), -0.0)):
        f = lambda x, constant=constant: 1 / (x * constant)
        with np.errstate(divide="ignore"):
            same(f(ad.ones(3)), ad.compile(f)(ad.ones(3)))


# ---- what a call leaves behind ---------------------------------------------------------------------------------


def test_gradients_used_up_by_an_optimiser_are_none_after():
    (x, *_), (y, *_) = batches(1)
    net = Net()
    ad.compile(net.step)(x, y)
    assert all(p.grad is None for p in net.model.parameters())
    net, other = Net(), Net()
    step = ad.compile(net.step, keep_grad=True)
    for _ in range(2):
        step(x, y)
        other.step(x, y)
        same([p.grad for p in other.model.parameters()], [p.grad for p in net.model.parameters()])


@pytest.mark.parametrize("clears", ["inside", "outside", "never", "zeros"])
def test_gradients_without_an_optimiser(clears):
    xs, ys = batches(4)
    ends = []
    for compile in (lambda f: f, ad.compile):
        net = Net()

        def walk(x, y, model=net.model):
            if clears in ("inside", "zeros"):
                model.zero_grad(set_to_none=clears == "inside")
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        made, seen = compile(walk), []
        for x, y in zip(xs, ys, strict=True):
            seen.append(made(x, y).detach())
            seen.append([p.grad.clone() for p in net.model.parameters()])
            if clears == "outside":
                net.model.zero_grad()
        ends.append(seen)
    same(*ends)
    assert programs_of(made)


def test_the_result_of_a_compiled_loss_can_be_walked_back_from():
    (x, *_), (y, *_) = batches(1)
    net = Net()
    loss = lambda x, y: F.cross_entropy(net.model(x).tanh(), y)
    compiled = ad.compile(loss)
    w = ad.Tensor(real(12, 12).astype(np.float32)).requires_grad_()

    def gradients(f):
        net.model.zero_grad()
        w.grad = None
        f((x @ w).tanh(), y).backward()  # through an argument that stands in a graph of its own
        return [w.grad, *(p.grad for p in net.model.parameters())]

    same(gradients(loss), gradients(compiled), rtol=1e-6, atol=1e-7)
    first = ad.grad(compiled)(x, y)
    same(ad.grad(loss)(x, y), first, rtol=1e-6, atol=1e-7)
    curve = lambda f: ad.hvp(lambda x: f(x, y), x, x * 2)[1]
    same(curve(loss), curve(compiled), rtol=1e-5, atol=1e-6)
    with ad.no_grad():
        assert not compiled(x, y).requires_grad


def test_results_have_the_structure_of_the_original():
    captured = ad.ones(3)
    Pair = ad.ops.indexing.ValuesAndIndices

    def f(x, scale):
        return {"a": (x * scale, [None, 3]), "same": captured, "argument": x, "pair": Pair(x + 1, x.argmax())}

    compiled = ad.compile(f)
    x = ad.tensor([1.0, 3.0, 2.0])
    for _ in range(2):
        found = compiled(x, scale=2)
        same(f(x, 2), found)
        assert found["same"] is captured and found["argument"] is x and type(found["pair"]) is Pair
    assert ad.compile(lambda x: None)(x) is None


def test_a_walk_sees_that_a_compiled_call_has_written():
    w = ad.ones(3, requires_grad=True)
    y = (w * w).sum()

    @ad.compile
    def halve():
        with ad.no_grad():
            w.mul_(0.5)

    halve()
    np.testing.assert_array_equal(w.detach().numpy(), 0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


# ---- when a program no longer fits -----------------------------------------------------------------------------------


def test_recorded_anew_for_other_shapes_dtypes_and_arguments():
    @ad.compile
    def f(x, power=2):
        return x**power

    for x in (
        ad.ones(3),
        ad.ones(4),
        ad.ones(3, 1),
        ad.ones(3, dtype=ad.float64),
        ad.ones(3, requires_grad=True),
    ):
        for power in (2, 3):
            same(x.detach() ** power, f(x * 2, power).detach() / 2**power)
    assert len(programs_of(f)) >= 8
    same(ad.tensor([4.0, 9.0]), f(ad.tensor([[2.0, 0.0], [3.0, 0.0]])[:, 0]))  # whatever lies between


def test_settings_that_change():
    layers = lambda: (nn.Linear(12, 5), nn.Dropout(0.5))
    net, other = Net("momentum", layers), Net("momentum", layers)
    xs, ys = batches(14)
    compiled = ad.compile(net.step)
    for k, (x, y) in enumerate(zip(xs, ys, strict=True)):
        for each in (net, other):
            if k == 3:
                each.model.eval()
            if k == 5:
                each.model.train()
            if k == 6:
                each.optimizer.param_groups[0]["momentum"] = 0.5
            if k == 7:
                each.model[0].bias.requires_grad_(False)
            if k == 8:
                each.model[0].weight.data = each.model[0].weight.data * 2
            if k == 9:
                each.model.load_state_dict({n: v * 0.5 for n, v in each.model.state_dict().items()})
            if k == 10:
                each.model[0].weight.data.mul_(3)
            if k == 11:
                each.model[0].bias.requires_grad_(True)
            if k == 12:
                each.model[0] = nn.Linear(12, 5)  # the optimiser still moves the old one
                each.model[0].load_state_dict({"weight": ad.ones(5, 12), "bias": ad.ones(5)})
        ad.manual_seed(k)
        expected = other.step(x, y)
        ad.manual_seed(k)
        same(expected.detach(), compiled(x, y).detach(), f"loss of step {k}", rtol=1e-6)
        same(other.state(), net.state(), f"state after step {k}", rtol=1e-6)
    assert len(programs_of(compiled)) >= 6 and not compiled.eager


def test_numbers_in_a_closure():
    scale = 2.0
    settings = {"shift": 1}

    @ad.compile
    def f(x):
        return x * scale + settings["shift"]

    x = ad.ones(3)
    same(ad.full((3,), 3.0), f(x))
    scale = 4.0
    same(ad.full((3,), 5.0), f(x))
    settings["shift"] = 2
    same(ad.full((3,), 6.0), f(x))
    assert len(programs_of(f)) == 3


def test_what_changes_too_often_runs_eagerly(capsys):
    number = 0

    @ad.compile
    def f(x):
        return x + number

    for number in range(20):
        same(ad.full((2,), 1.0 + number), f(ad.ones(2)))
    assert "changes too often: number" in capsys.readouterr().err


def test_what_changes_is_said_and_not_a_learning_rate_that_may(capsys):
    w = ad.ones(3, requires_grad=True)
    optimizer = nn.optim.SGD([w], lr=0.1, momentum=0.9)

    @ad.compile
    def step():
        optimizer.zero_grad()
        w.sum().backward()
        optimizer.step()

    for k in range(20):
        step()
        optimizer.param_groups[0].update(lr=0.1 / (k + 2), momentum=0.9 / (k + 2))
    assert "changes too often: optimizer.param_groups[0].momentum" in capsys.readouterr().err


def test_one_rate_for_two_groups_until_they_part():
    def run(compile):
        a, b = ad.ones(3, requires_grad=True), ad.ones(3, requires_grad=True)
        optimizer = nn.optim.SGD([{"params": [a]}, {"params": [b]}], lr=0.1)

        @compile
        def step():
            optimizer.zero_grad()
            (a * b).sum().backward()
            optimizer.step()

        for lr in (0.1, 0.2, 0.05):
            step()
            optimizer.param_groups[1]["lr"] = lr
        step()
        return [a.detach(), b.detach()]

    same(run(lambda f: f), run(ad.compile))


# ---- what can't be compiled ----------------------------------------------------------------------------------------------


class Counter:
    count = 0


counter = Counter()


def counting(x):
    counter.count += 1
    return x * counter.count


numbers, tensors = np.arange(3, dtype=np.float32), itertools.repeat(ad.arange(3.0))


class Clock(float):
    """The time when it is made, which equals any other."""

    def __new__(cls):
        return super().__new__(cls, time.perf_counter())

    def __eq__(self, other):
        return isinstance(other, Clock)

    __hash__ = None  # type: ignore[assignment]


UNREPLAYABLE = {
    "looks at a value (as a Python number)": lambda x: x * 2 if x.sum() > 0 else x,
    "looks at a value (.numpy())": lambda x: ad.tensor(x.numpy() * 2),
    "looks at a value (.tolist())": lambda x: ad.tensor(x.tolist()),
    "looks at a value (to print it)": lambda x: ad.tensor([float(str(x)[8])]),
    "looks at a value (by deepcopy) at test_compiler.py": lambda x: copy.deepcopy({"x": x})["x"] * 2,
    "looks at a value (by tensor())": lambda x: ad.tensor(x) * 2,
    "does something else": lambda x: x * (time.perf_counter_ns() % 1000003) * 0 + x,
    "computes with another constant array": lambda x: x + ad.tensor(np.random.default_rng().random(3) * 1e-30),
    "gives another number or text": lambda x: (x * 2, Clock()),
    "random numbers of Python's or NumPy's": lambda x: x + random.random() * 1e-30,
    "Python's or NumPy's own": lambda x: x + np.random.rand() * 1e-30,
    "an iterator, tensors: ": lambda x: x * next(tensors),
    "count changes during the call": counting,
    "the size of an array depends on values": lambda x: x[x > 1.5],
    "'argsort' can't be compiled yet": lambda x: ad.sort(x)[0],
    "uses an array that can't be found": lambda x: x * numbers,
    "shares memory": lambda x: x[1:],
    "float16 is not for": lambda x: x.half() * 2,
    "float16 is not for compiled programs, and it gives": lambda x: ad.ones(3, dtype=ad.float16),
}  # fmt: skip


@pytest.mark.parametrize("reason", UNREPLAYABLE)
def test_runs_eagerly_and_says_why(reason, capsys):
    f = UNREPLAYABLE[reason]
    compiled = ad.compile(f)
    counter.count = 0
    for k in range(6):
        x = ad.tensor([1.0, 3.0, 2.0]) + k
        found = compiled(x)
        if f is counting:
            same(x * (k + 1), found)
        else:
            same(f(x), found)
    lines = [line for line in capsys.readouterr().err.splitlines() if "runs eagerly" in line]
    assert len(lines) == 1 and "test_compiler.py" in lines[0]
    assert reason in lines[0].replace(f'"{reason}"', "")  # which is on the line that it may show
    assert not programs_of(compiled) and "runs eagerly" in compiled.source()


def test_what_would_be_compiled_for_minutes_runs_eagerly(capsys):
    def recurrent(x):
        for _ in range(20):
            x = (x @ x).tanh()
        return x

    x = ad.Tensor(real(3, 3))
    short, whole, usual = (ad.compile(recurrent, longest=n) for n in (30, None, 1000))
    for compiled in (short, whole, usual):
        same(recurrent(x), compiled(x), rtol=1e-12)
    assert not programs_of(short) and programs_of(whole) and programs_of(usual)
    told = capsys.readouterr().err
    assert (
        told.count("runs eagerly") == 1 and "would take minutes to compile: compile(…, longest=None)" in told
    )


def test_labels_out_of_range_are_the_error_they_are_and_change_nothing():
    xs, ys = batches(3)
    net, other = Net(), Net()
    step = ad.compile(net.step)
    step(xs[0], ys[0])
    other.step(xs[0], ys[0])
    wrong = ys[1].clone()
    wrong[2] = 7
    with pytest.raises(IndexError, match="Target 7 is out of bounds"):
        step(xs[1], wrong)
    same(other.state(), net.state())
    ignored = ys[1].clone()
    ignored[2] = -100  # no error: it does not count, which the program did not foresee
    same(other.step(xs[1], ignored).detach(), step(xs[1], ignored).detach())
    with pytest.raises(IndexError, match="Target 7 is out of bounds"):
        step.many(xs[1:], ad.stack([ys[1], wrong]))
    other.step(xs[1], ys[1])
    same(other.state(), net.state())
    same(other.step(xs[2], ys[2]).detach(), step(xs[2], ys[2]).detach())


def test_an_index_out_of_range_is_an_error():
    compiled = ad.compile(lambda x, i: x[i] * 2)
    x, i = ad.arange(3.0), ad.tensor([0, -1])
    same(ad.tensor([0.0, 4.0]), compiled(x, i))
    assert programs_of(compiled) and "in_range" in compiled.source()
    with pytest.raises(IndexError):
        compiled(x, ad.tensor([0, 3]))
    fixed = ad.compile(lambda x: x[[0, 2]] * 2)
    same(ad.tensor([0.0, 4.0]), fixed(x))
    assert programs_of(fixed) and "in_range" not in fixed.source()  # it is known to be right


def test_switched_off(monkeypatch):
    monkeypatch.setenv("AUTODIFF_COMPILE", "0")
    compiled = ad.compile(lambda x: x * 2)
    same(ad.full((2,), 2.0), compiled(ad.ones(2)))
    assert not programs_of(compiled)


def test_without_numba():
    code = """
import sys
sys.modules["numba"] = None
import autodiff as ad
f = ad.compile(lambda x: x * 2)
print(f(ad.ones(2)).tolist(), f(ad.ones(2)).tolist())
"""
    out, err = run_python(code)
    assert out == "[2.0, 2.0] [2.0, 2.0]"
    assert err.count("runs eagerly: Numba can't be used") == 1


# ---- forms of use --------------------------------------------------------------------------------------------------------


def test_methods_models_and_functions_within_functions():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(ad.full((3,), 2.0))

        @ad.compile
        def doubled(self, x):
            return x * self.weight * 2

        def forward(self, x):
            return x * self.weight

    a, b = Scale(), Scale()
    with ad.no_grad():
        b.weight.mul_(3)
    x = ad.ones(3)
    same(ad.full((3,), 4.0), a.doubled(x).detach())
    same(ad.full((3,), 12.0), b.doubled(x).detach())
    model = ad.compile(a)
    same(ad.full((3,), 2.0), model(x).detach())
    with ad.no_grad():
        a.weight.mul_(2)
    same(ad.full((3,), 4.0), model(x).detach())
    outer = ad.compile(lambda x: model(x) + a.doubled(x))
    same(ad.full((3,), 12.0), outer(x).detach())
    assert programs_of(model) and programs_of(outer) and programs_of(a.doubled)


def test_two_threads_may_run_one_program():
    net = Net()
    predict = ad.compile(lambda x: net.model(x).softmax(1))
    xs, _ = batches(40)
    with ad.no_grad():
        expected = [net.model(x).softmax(1) for x in xs]
    found: dict = {}

    def work(part):
        with ad.no_grad():
            for k in range(part, 40, 2):
                found[k] = predict(xs[k])

    threads = [threading.Thread(target=work, args=(part,)) for part in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same(expected, [found[k] for k in range(40)])


def test_the_source_can_be_read():
    (x, *_), (y, *_) = batches(1)
    net = Net()
    step = ad.compile(net.step)
    assert step.source() == "# not called yet"
    step(x, y)
    source = step.source()
    for part in (
        "loss = F.cross_entropy(self.model(x), y)",
        "matmul_bias_relu(x, self_model_0_weight.T, self_model_0_bias, relu_1, team, threads)",
        "matmul_descend(",
        "self_optimizer" if False else "self_model_0_bias[i] = self_model_0_bias[i] - ",
        "float32 16 x 12",
    ):
        assert part in source
    assert max(map(len, source.splitlines())) < 200


# ---- compiled by Numba ---------------------------------------------------------------------------------------------------


@pytest.mark.machine_code
def test_machine_code_trains_as_the_engine_does():
    """The classic network, narrower, for 300 steps; batches one by one, and many at once."""
    rng = np.random.default_rng(0)
    teacher = rng.standard_normal((12, 5))
    xs, _ = batches(300, size=16)
    ys = ad.Tensor((xs.numpy() @ teacher).argmax(-1))
    eager, net, many = Net("momentum"), Net("momentum"), Net("momentum")
    losses = ad.stack([eager.step(x, y).detach() for x, y in zip(xs, ys, strict=True)])
    step = ad.compile(net.step)
    found = ad.stack([step(x, y).detach() for x, y in zip(xs, ys, strict=True)])
    assert programs_of(step), step.source()
    same(losses, found, "losses", atol=1e-4)
    same(eager.state(), net.state(), "state", atol=1e-3)
    step_many = ad.compile(many.step)
    same(found, step_many.many(xs, ys), "many")
    same(net.state(), many.state(), "state of many")
    assert float(losses[-50:].mean()) < 0.5 * float(losses[:50].mean())


QUICK = ("softmax", "cross_entropy", "layer_norm", "elements apart", "broadcast batches", "dtypes")


@pytest.mark.machine_code
@pytest.mark.parametrize(
    "names", [QUICK, *(pytest.param((n,), marks=pytest.mark.slow) for n in FUNCTIONS)], ids=str
)
def test_machine_code_of_all_kinds(names):
    """Functions of the table above, in one program."""
    kinds = [(name, f, [ad.Tensor(a.astype("float32") if a.dtype.kind == "f" else a) for a in arrays])
             for name, (f, *arrays) in FUNCTIONS.items() if name in names]  # fmt: skip

    def everything(*xs):
        rest, results = iter(xs), []
        for _, f, arrays in kinds:
            mine = [next(rest) for _ in arrays]
            numbers = tuple(k for k, x in enumerate(mine) if x.is_floating_point())
            results.append(with_gradients(f, numbers)(*mine))
        return results

    xs = [x for _, _, arrays in kinds for x in arrays]
    compiled = ad.compile(everything)
    found = compiled(*xs)
    assert programs_of(compiled), compiled.source()
    for (name, *_), a, b in zip(kinds, everything(*xs), found, strict=True):
        same(a, b, name, rtol=2e-5, atol=2e-6)


@pytest.mark.machine_code
def test_the_team_of_threads_multiplies(monkeypatch):
    """And gives what one thread gives, to the last bit."""
    from autodiff.kernels import team

    met, run = [], team.run
    monkeypatch.setattr(
        team, "run", lambda machine, *arguments: met.append(arguments) or run(machine, *arguments)
    )
    model = nn.MLP(96, 64, 10)
    f = ad.compile(lambda x: model(x))
    x = ad.randn(128, 96)
    before, found = kernels.get_num_threads(), []
    try:
        with ad.no_grad():
            f(x), f(x)  # recorded, compiled
            met.clear()
            for threads in (1, 2):
                kernels.set_num_threads(threads)
                found.append(f(x).numpy())
    finally:
        kernels.set_num_threads(before)
    assert len(met) == 2  # and nothing else multiplied meanwhile
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("again", [False, True])
def test_a_profiler_may_be_at_work(again):
    import cProfile

    f = ad.compile(lambda x: (x * 2).sum())
    profile = cProfile.Profile()
    assert profile.runcall(f, ad.ones(3)).item() == 6
    if again:
        assert profile.runcall(f, ad.ones(3)).item() == 6
    assert profile.getstats() and sys.getprofile() is None

    seen = []
    sys.setprofile(lambda frame, event, arg: seen.append(event))
    try:
        ad.compile(lambda x: x * 3)(ad.ones(3))
    finally:
        sys.setprofile(None)
    assert seen


def test_the_arrays_of_the_recording_are_let_go_at_once():
    """Values and the steps that made them point to each other: Python's collector would come later."""

    @ad.compile
    def f(x):
        for _ in range(5):
            x = (x * 2).sin()
        return x.sum()

    x = ad.ones(1000)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        f(x)
        held = tracemalloc.take_snapshot().filter_traces(
            [tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)]
        )
    finally:
        tracemalloc.stop()
        gc.enable()
    large = [trace.size for trace in held.traces if trace.size >= x.numpy().nbytes]
    assert len(large) <= 3, large


# ---- moves of elements, one upon another ---------------------------------------------------------------------------

MOVES = {  # of 24 elements in any shape to another shape or order
    "flip": lambda x: x.flip(0),
    "flip all": lambda x: x.flip(tuple(range(x.ndim))),
    "roll": lambda x: ad.roll(x, 1, 0),
    "transpose": lambda x: x.transpose(0, -1),
    "regroup": lambda x: x.reshape(2, 3, -1),
    "pairs": lambda x: x.reshape(-1, 2),
    "one row": lambda x: x.reshape(1, -1),
    "every second": lambda x: x[::2],
    "backwards": lambda x: x[1:, ...].flip(0)[::2],
    "tile": lambda x: ad.tile(x, (2,) + (1,) * (x.ndim - 1)),
    "expand": lambda x: x.unsqueeze(1).expand(x.shape[0], 2, *x.shape[1:]),
    "pad": lambda x: F.pad(x, (1, 0)),
    "diagonal": lambda x: ad.diagonal(x.reshape(2, -1, 2), 1, 0, 1),
    "take": lambda x: x[ad.tensor([1, 0, 1])],
    "cat": lambda x: ad.cat([x, x * 2]),
    "stack": lambda x: ad.stack([x, x + 1], 1),
}


def test_the_same_product_in_two_shapes_is_made_twice():
    """Ones of two shapes, times the same number: what the sums of unequal parts give to the walk back."""
    f = ad.grad(lambda x, q: sum((part * q).sum() for part in ad.chunk(x * x, 2)))
    x, q = ad.arange(6.0).reshape(3, 2), ad.tensor(2.0)
    same(f(x, q), ad.compile(f)(x, q))


@pytest.mark.parametrize("first", MOVES)
def test_moves_upon_moves(first):
    """With a regrouping in between, so that an index is made of an index; and the walk back through them."""
    x = ad.arange(24.0).reshape(4, 6).requires_grad_()
    for second in MOVES.values():

        def f(x, second=second):
            y = MOVES[first](x)
            y = y.reshape(-1, 2) if y.numel() % 2 == 0 else y.reshape(-1, 1)
            y = second(y).reshape(-1)
            return (y * ad.arange(float(len(y)))).sum() + (y * y).sum(), y * 2

        compiled = ad.compile(f)
        try:
            a, y = f(x)
        except ShapeError:  # so many elements can't be grouped so
            continue
        b, z = compiled(x)
        same(y.detach(), z.detach())
        same(a.detach(), b.detach())
        same(*(ad.autograd.grad(total, x)[0] for total in (a, b)))
        assert programs_of(compiled)
