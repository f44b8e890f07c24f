"""Softmax and its kin: against more digits, at infinity as PyTorch, and the fused cross-entropy."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from kernel_support import seeds

from autodiff.kernels import softmax as kernels

numbers = st.floats(-1e4, 1e4)
matrices = arrays(np.float64, array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=5), elements=numbers)
everything = st.one_of(numbers, st.sampled_from([math.inf, -math.inf, math.nan, -1e308, 1e308]))
extremes = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=4), elements=everything)


@pytest.fixture(autouse=True)
def as_the_engine_calls_them():
    """At infinity NumPy is quiet; any other warning is an error."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@given(matrices, st.sampled_from([0, 1, -1]))
def test_the_three_agree_with_their_definitions(x, dim):
    log_total = kernels.logsumexp(x, dim, keepdims=True)
    expected = np.logaddexp.reduce(x, axis=dim, keepdims=True)
    np.testing.assert_allclose(log_total, expected, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(kernels.log_softmax(x, dim), x - expected, rtol=1e-12, atol=1e-11)
    probabilities = kernels.softmax(x, dim)
    np.testing.assert_allclose(probabilities, np.exp(x - expected), rtol=1e-10, atol=1e-300)
    np.testing.assert_allclose(probabilities.sum(dim), 1, rtol=1e-14)


@given(extremes, st.sampled_from([0, 1, -1]))
def test_infinities_and_nan_are_pytorchs(x, dim):
    torch = pytest.importorskip("torch")
    for ours, theirs in (
        (kernels.softmax, torch.softmax),
        (kernels.log_softmax, torch.log_softmax),
        (kernels.logsumexp, torch.logsumexp),
    ):
        expected = theirs(torch.from_numpy(x), dim).numpy()
        np.testing.assert_allclose(ours(x, dim), expected, rtol=1e-12, atol=1e-12, err_msg=ours.__name__)


def test_rows_that_are_all_infinite():
    x = np.array([[-np.inf, -np.inf], [np.inf, 0.0]])
    assert np.isnan(kernels.softmax(x, 1)[0]).all() and np.isnan(kernels.log_softmax(x, 1)[0]).all()
    assert kernels.logsumexp(x, 1).tolist() == [-np.inf, np.inf]


@given(matrices)
def test_logsumexp_over_several_dimensions(x):
    expected = np.logaddexp.reduce(x.ravel())
    for dims in (None, tuple(range(x.ndim))):
        np.testing.assert_allclose(kernels.logsumexp(x, dims), expected, rtol=1e-14, atol=1e-14)
    assert kernels.logsumexp(x, (0, 1), keepdims=True).shape == (1, 1, *x.shape[2:])


def test_nothing_to_sum():
    empty = np.zeros((3, 0), np.float32)
    assert kernels.softmax(empty, 1).shape == kernels.log_softmax(empty, 1).shape == (3, 0)
    assert kernels.logsumexp(empty, 1).tolist() == [-np.inf] * 3
    assert kernels.logsumexp(empty, 0).shape == (0,)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_dtype_is_kept(dtype):
    x = np.ones((2, 3), dtype)
    for result in (
        kernels.softmax(x, 1), kernels.log_softmax(x, 0), kernels.logsumexp(x, 1),
        kernels.cross_entropy(x, np.array([0, 2])),
        kernels.cross_entropy_gradient(np.ones(2, dtype), x, np.array([0, 2])),
    ):  # fmt: skip
        assert result.dtype == dtype


@given(matrices, seeds)
def test_cross_entropy_is_the_composition(x, seed):
    rng = np.random.default_rng(seed)
    shape = (x.shape[0], *x.shape[2:])
    target = rng.integers(0, x.shape[1], shape)
    loss, probabilities = kernels.cross_entropy(x, target), kernels.softmax(x, 1)
    places = np.expand_dims(target, 1)
    expected = -np.take_along_axis(kernels.log_softmax(x, 1), places, 1).squeeze(1)
    np.testing.assert_allclose(loss, expected, rtol=1e-13, atol=1e-13)
    g = rng.standard_normal(shape)
    onehot = np.zeros_like(x)
    np.put_along_axis(onehot, places, 1.0, 1)
    gradient = kernels.cross_entropy_gradient(g, x, target)
    expected = np.expand_dims(g, 1) * (probabilities - onehot)
    np.testing.assert_allclose(gradient, expected, rtol=1e-13, atol=1e-15)


def test_arguments_are_only_read():
    x, target = np.ones((2, 3)), np.array([0, 2])
    x.flags.writeable = target.flags.writeable = False
    loss = kernels.cross_entropy(x, target)
    kernels.cross_entropy_gradient(np.ones(2), x, target)
    kernels.softmax(x, 1), kernels.log_softmax(x, 1), kernels.logsumexp(x, 1)
    np.testing.assert_allclose(loss, math.log(3))
