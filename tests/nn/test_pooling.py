"""Pooling, and windows as columns: beside PyTorch, and by gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
from beside_torch import same, with_gradients
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
from autodiff.testing import check_gradients
from nn import functional as F


def drawn(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def for_sides(n, low, high):
    number = st.integers(low, high)
    return st.one_of(number, st.tuples(*[number] * n))


def tensors(n):
    """Shapes of inputs for windows that slide along n dimensions."""
    batch = st.sampled_from([(), (2,), (0,)])
    return st.tuples(batch, st.integers(1, 2), st.tuples(*[st.integers(1, 7)] * n)).map(
        lambda t: (*t[0], t[1], *t[2])
    )


def first(y):
    return y[0] if isinstance(y, tuple) else y


def beside(kind, shape, arguments, options, special=False, dtype="float64"):
    def program(lib):
        layer = getattr(lib.nn, kind)(*arguments, **options)
        x = drawn(*shape, dtype=dtype)
        if special:
            flat = x.reshape(-1)
            flat[::3], flat[1::5], flat[2::7] = 0, math.inf, math.nan
        y = layer(lib.tensor(x))
        places = y[1] if isinstance(y, tuple) else None
        return [repr(layer), places, *with_gradients(lambda x: first(layer(x)), lib, x)]

    return same(program, 1e-5, 1e-6)


@pytest.mark.parametrize("n", [1, 2])
@given(data=st.data())
def test_max_pooling_is_pytorchs(n, data):
    shape, kernel = data.draw(tensors(n)), data.draw(for_sides(n, 1, 3))
    options = {
        "stride": data.draw(st.one_of(st.none(), for_sides(n, 1, 3))),
        "padding": data.draw(for_sides(n, 0, 2)),
        "dilation": data.draw(for_sides(n, 1, 2)),
        "ceil_mode": data.draw(st.booleans()),
        "return_indices": data.draw(st.booleans()),
    }
    special, dtype = data.draw(st.booleans()), data.draw(st.sampled_from(["float32", "float64"]))
    beside(f"MaxPool{n}d", shape, (kernel,), options, special, dtype)


@pytest.mark.parametrize("n", [1, 2])
@given(data=st.data())
def test_mean_pooling_is_pytorchs(n, data):
    shape, kernel = data.draw(tensors(n)), data.draw(for_sides(n, 1, 3))
    options = {
        "stride": data.draw(st.one_of(st.none(), for_sides(n, 1, 3))),
        "padding": data.draw(for_sides(n, 0, 2)),
        "ceil_mode": data.draw(st.booleans()),
        "count_include_pad": data.draw(st.booleans()),
    }
    if n == 2:
        options["divisor_override"] = data.draw(st.sampled_from([None, None, 3, -2]))
    beside(f"AvgPool{n}d", shape, (kernel,), options, data.draw(st.booleans()))


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("kind", ["Avg", "Max"])
@given(data=st.data())
def test_adaptive_pooling_is_pytorchs(n, kind, data):
    size = st.integers(1, 9)
    sizes = size if n == 1 else st.one_of(size, st.tuples(*[st.one_of(size, st.none())] * 2))
    more = {"return_indices": data.draw(st.booleans())} if kind == "Max" else {}
    beside(
        f"Adaptive{kind}Pool{n}d", data.draw(tensors(n)), (data.draw(sizes),), more, data.draw(st.booleans())
    )


@given(data=st.data())
def test_unfold_and_fold_are_pytorchs(data):
    shape, kernel = data.draw(tensors(2)), data.draw(for_sides(2, 1, 3))
    options = {
        "dilation": data.draw(for_sides(2, 1, 2)),
        "padding": data.draw(for_sides(2, 0, 2)),
        "stride": data.draw(for_sides(2, 1, 3)),
    }
    beside("Unfold", shape, (kernel,), options)

    def folded(lib):
        columns = lib.F.unfold(lib.tensor(drawn(*shape)), kernel, **options).detach().numpy()
        layer = lib.nn.Fold(shape[-2:], kernel, **options)
        return [repr(layer), *with_gradients(layer, lib, columns)]

    same(folded)


def test_gradients():
    x = drawn(2, 2, 5, 4)
    check_gradients(lambda x: F.adaptive_avg_pool2d(x, (3, 3)), x)
    check_gradients(lambda x: F.adaptive_max_pool2d(x, (3, None)), x)
    check_gradients(lambda x: F.adaptive_avg_pool1d(x, 2), x[0])
    check_gradients(lambda x: F.adaptive_max_pool1d(x, 3), x[0])
    check_gradients(lambda x: F.fold(F.unfold(x, 2, 1, 1, (2, 1)), (5, 4), 2, 1, 1, (2, 1)), x)


def test_parts_of_equal_sizes():
    x = ad.arange(10.0).reshape(1, 1, 10)
    assert F.adaptive_avg_pool1d(x, 5).tolist() == [[[0.5, 2.5, 4.5, 6.5, 8.5]]]
    assert F.adaptive_avg_pool1d(x, 3).tolist() == [[[1.5, 4.5, 7.5]]]
    assert F.avg_pool1d(x, 3).tolist() == [[[1, 4, 7]]]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda lib: lib.F.max_pool2d(lib.torch.ones(3, 4), 2),
        lambda lib: lib.F.max_pool2d(lib.torch.ones(1, 1, 2, 2), 3),
        lambda lib: lib.F.max_pool2d(lib.torch.ones(1, 1, 4, 4), 2, padding=2),
        lambda lib: lib.F.max_pool2d(lib.torch.ones(1, 1, 4, 4), 2, 0),
        lambda lib: lib.F.max_pool2d(lib.torch.ones(1, 1, 4, 4), [2, 2, 2]),
        lambda lib: lib.F.avg_pool2d(lib.torch.ones(1, 1, 4, 4), 2, padding=2),
        lambda lib: lib.F.avg_pool2d(lib.torch.ones(1, 1, 4, 4), 2, divisor_override=0),
        lambda lib: lib.F.avg_pool2d(lib.torch.ones(1, 1, 2, 2), 3),
        lambda lib: lib.F.avg_pool1d(lib.torch.ones(4), 3),
        lambda lib: lib.F.adaptive_avg_pool2d(lib.torch.ones(4), 3),
        lambda lib: lib.F.adaptive_avg_pool2d(lib.torch.ones(1, 1, 0, 4), 3),
        lambda lib: lib.F.adaptive_avg_pool2d(lib.torch.ones(1, 1, 4, 4), -1),
        lambda lib: lib.F.adaptive_max_pool2d(lib.torch.ones(1, 1, 4, 4), (1, 2, 3)),
        lambda lib: lib.F.unfold(lib.torch.ones(1, 1, 2, 2), 3),
        lambda lib: lib.F.fold(lib.torch.ones(1, 5, 4), (3, 3), 2),
        lambda lib: lib.F.fold(lib.torch.ones(1, 4, 5), (3, 3), 2),
        lambda lib: lib.F.fold(lib.torch.ones(4), (3, 3), 2),
    ],
)
def test_what_is_refused(wrong):
    assert isinstance(same(wrong), Exception)
