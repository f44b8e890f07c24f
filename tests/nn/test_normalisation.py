"""Batch, group and instance normalisation, and dropout of channels: beside PyTorch, and by themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from beside_torch import same, with_gradients
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
import nn
from autodiff.testing import check_gradients
from nn import functional as F


def drawn(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def several_batches(kind, shapes, dtype, options, modes=(True, True, False)):
    """The layer of both libraries, fed with batches, in training (True) or evaluation."""

    def program(lib):
        layer = getattr(lib.nn, kind)(*options[0], **options[1]).to(getattr(lib.torch, dtype))
        found = [repr(layer), list(layer.state_dict())]
        with lib.torch.no_grad():
            for k, p in enumerate(layer.parameters()):
                p.copy_(lib.tensor(drawn(*p.shape, seed=k + 1, dtype=dtype)))
        for k, mode in enumerate(modes):
            layer.train(mode)
            x = 3 * drawn(*shapes[k % len(shapes)], seed=k, dtype=dtype) + 1
            found += with_gradients(layer, lib, x.astype(dtype))
            found += [p.grad for p in layer.parameters()]
            found += list(layer.state_dict().values())
        return found

    return same(program, 1e-4 if dtype == "float32" else 1e-8, 1e-4 if dtype == "float32" else 1e-8)


dtypes = st.sampled_from(["float32", "float64"])
common = {
    "eps": st.sampled_from([1e-5, 0.1]), "affine": st.booleans(), "bias": st.booleans(),
    "track_running_stats": st.booleans(),
}  # fmt: skip


@pytest.mark.parametrize("n", [1, 2])
@given(data=st.data(), dtype=dtypes)
def test_batch_norm_is_pytorchs(n, data, dtype):
    options = data.draw(st.fixed_dictionaries(common | {"momentum": st.sampled_from([0.1, 0.7, None])}))
    c, sides = data.draw(st.integers(1, 3)), st.integers(1, 3)
    more = data.draw(st.sampled_from([0, 1])) if n == 1 else 2
    shapes = [(data.draw(st.integers(1, 4)), c, *[data.draw(sides) for _ in range(more)]) for _ in range(2)]
    several_batches(f"BatchNorm{n}d", shapes, dtype, ((c,), options))


@pytest.mark.parametrize("n", [1, 2])
@given(data=st.data(), dtype=dtypes)
def test_instance_norm_is_pytorchs(n, data, dtype):
    options = data.draw(st.fixed_dictionaries(common | {"momentum": st.sampled_from([0.1, 0.7])}))
    c, sides = data.draw(st.integers(1, 3)), st.integers(1, 3)
    batch = data.draw(st.sampled_from([(), (1,), (3,)]))
    shape = (*batch, c, *[data.draw(sides) for _ in range(n)])
    several_batches(f"InstanceNorm{n}d", [shape], dtype, ((c,), options))


@given(data=st.data(), dtype=dtypes)
def test_group_norm_is_pytorchs(data, dtype):
    groups, per = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2))
    options = {name: data.draw(common[name]) for name in ("eps", "affine", "bias")}
    more = data.draw(st.lists(st.integers(1, 3), max_size=3))
    shape = (data.draw(st.integers(0, 3)), groups * per, *more)
    several_batches("GroupNorm", [shape], dtype, ((groups, groups * per), options), modes=(True, False))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda lib: lib.nn.BatchNorm1d(3)(lib.torch.ones(2, 3, 1, 1)),
        lambda lib: lib.nn.BatchNorm2d(3)(lib.torch.ones(2, 3)),
        lambda lib: lib.nn.BatchNorm2d(3)(lib.torch.ones(2, 2, 4, 4)),
        lambda lib: lib.nn.BatchNorm1d(3)(lib.torch.ones(1, 3)),
        lambda lib: lib.nn.BatchNorm1d(3).eval()(lib.torch.ones(1, 3)),
        lambda lib: lib.nn.BatchNorm1d(3).eval()(lib.torch.ones(4, 2)),
        lambda lib: lib.F.batch_norm(lib.torch.ones(4, 2), None, None),
        lambda lib: lib.F.batch_norm(lib.torch.ones(4, 2), None, None, lib.torch.ones(3), training=True),
        lambda lib: lib.nn.GroupNorm(2, 3),
        lambda lib: lib.nn.GroupNorm(2, 4)(lib.torch.ones(1, 2, 3)),
        lambda lib: lib.nn.GroupNorm(2, 4)(lib.torch.ones(4)),
        lambda lib: lib.F.group_norm(lib.torch.ones(2, 4), 3),
        lambda lib: lib.nn.InstanceNorm2d(3)(lib.torch.ones(2, 3)),
        lambda lib: lib.nn.InstanceNorm2d(3, affine=True)(lib.torch.ones(2, 2, 4, 4)),
        lambda lib: lib.nn.InstanceNorm1d(3)(lib.torch.ones(2, 3, 1)),
        lambda lib: lib.F.dropout1d(lib.torch.ones(2, 3, 1, 1)),
        lambda lib: lib.F.dropout2d(lib.torch.ones(2)),
        lambda lib: lib.nn.Dropout2d(1.5),
    ],
)
def test_what_is_refused(wrong):
    same(wrong)


def test_batch_norm_by_its_formula():
    layer, x = nn.BatchNorm2d(3, momentum=None, dtype=ad.float64), drawn(4, 3, 2, 5)
    y = layer(ad.Tensor(x)).detach().numpy()
    mean, var = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5), atol=1e-12)
    other = drawn(4, 3, 2, 5, seed=1)
    layer(ad.Tensor(other))
    means = (mean.ravel() + other.mean((0, 2, 3))) / 2
    np.testing.assert_allclose(layer.running_mean.numpy(), means, atol=1e-12)
    assert layer.num_batches_tracked.item() == 2 and layer.num_batches_tracked.dtype == ad.int64
    layer.eval()
    assert layer(ad.Tensor(x)).equal(layer(ad.Tensor(x))) and layer.num_batches_tracked.item() == 2
    layer.reset_parameters()
    assert layer.running_mean.equal(ad.zeros(3).double()) and layer.num_batches_tracked.item() == 0


def test_gradients():
    x, w, b = drawn(3, 4, 2, 2), drawn(4), drawn(4, seed=1)
    check_gradients(lambda x, w, b: F.group_norm(x, 2, w, b), x, w, b)
    check_gradients(lambda x, w, b: F.instance_norm(x, None, None, w, b), x, w, b)
    mean, var = ad.Tensor(drawn(4)), ad.Tensor(drawn(4) ** 2)
    check_gradients(lambda x, w, b: F.batch_norm(x, mean, var, w, b), x, w, b)


# ---- dropout of whole channels ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, shape", [("Dropout2d", (40, 5, 3, 2)), ("Dropout1d", (40, 5, 6)), ("Dropout1d", (200, 6))]
)
def test_channels_stay_or_go(kind, shape):
    ad.manual_seed(0)
    layer, x = getattr(nn, kind)(0.25), ad.ones(*shape).requires_grad_()
    y = layer(x)
    y.sum().backward()
    channels = y.detach().numpy().reshape(200, 6)
    assert set(np.unique(channels)) <= {0, np.float32(1 / 0.75)} and (channels.std(1) == 0).all()
    assert 0.15 < (channels[:, 0] == 0).mean() < 0.35
    assert x.grad.equal(y.detach())
    assert layer.eval()(x) is x and repr(layer) == f"{kind}(p=0.25, inplace=False)"


@pytest.mark.parametrize("name", ["dropout", "dropout1d", "dropout2d"])
def test_nothing_and_everything_dropped(name):
    for p in (0.0, 1.0):
        same(lambda lib, p=p: with_gradients(lambda x: getattr(lib.F, name)(x, p), lib, drawn(2, 3, 4)))
    x = ad.ones(2, 3, 4)
    assert getattr(F, name)(x, 0.5, True, True) is x and math.isclose(x.amax().item(), 2)
