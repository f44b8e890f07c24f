"""Pooling against its definition, written as loops, and against PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_support import needs_numba, seeds, small_integers

from autodiff.kernels import pooling, scatter, threads


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def poolings(draw):
    """(x's shape, options) of a pooling that has a result."""
    kernel, dilation = draw(pairs(1, 3)), draw(pairs(1, 2))
    span = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    room = [draw(st.integers(max(n, 2), 8)) for n in span]
    options = {
        "kernel_size": kernel, "stride": draw(pairs(1, 4)), "padding": padding, "dilation": dilation,
        "ceil_mode": draw(st.booleans()),
    }  # fmt: skip
    return (draw(st.integers(1, 2)), draw(st.integers(1, 2)), *room), options


values = st.sampled_from([-math.inf, -2.0, 0.0, 1.0, 1.0, math.inf, math.nan])


@given(poolings(), st.data())
def test_pooling_is_pytorchs_ties_infinities_and_nan_included(case, data):
    torch = pytest.importorskip("torch")
    shape, options = case
    size = math.prod(shape)
    x = np.array(data.draw(st.lists(values, min_size=size, max_size=size))).reshape(shape)
    found, places = pooling.max_pool2d(x, **options)
    expected = torch.nn.functional.max_pool2d(torch.from_numpy(x), **options, return_indices=True)
    np.testing.assert_array_equal(found, expected[0].numpy())
    np.testing.assert_array_equal(places, expected[1].numpy())


@given(poolings(), st.sampled_from([np.float32, np.int64, np.int8, object]), seeds)
def test_pooling_finds_the_largest_and_its_place(case, dtype, seed):
    shape, options = case
    x = small_integers(shape, dtype, seed)
    found, places = pooling.max_pool2d(x, **options)
    assert found.dtype == dtype and places.dtype == np.int64
    planes = x.reshape(*shape[:2], -1)
    np.testing.assert_array_equal(
        np.take_along_axis(planes, places.reshape(*shape[:2], -1), 2), found.reshape(*shape[:2], -1)
    )
    (h, w), (si, sj), (pi, pj), (di, dj), _ = options.values()
    for n, c, i, j in np.ndindex(*found.shape):
        rows = [r for r in range(i * si - pi, i * si - pi + h * di, di) if 0 <= r < shape[2]]
        columns = [k for k in range(j * sj - pj, j * sj - pj + w * dj, dj) if 0 <= k < shape[3]]
        window = [(x[n, c, r, k], r * shape[3] + k) for r in rows for k in columns]
        largest = max(value for value, _ in window)
        assert (largest, next(place for value, place in window if value == largest)) == (
            found[n, c, i, j],
            places[n, c, i, j],
        )


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"kernel_size": (2, 2), "padding": (2, 0)},
            "pad should be smaller than or equal to half of kernel size",
        ),
        ({"kernel_size": (5, 2)}, r"Calculated output size: \(1x0x2\)\. Output size is too small"),
        ({"kernel_size": (0, 2)}, "should be greater than zero"),
        ({"kernel_size": (2, 2), "dilation": (4, 1), "padding": (1, 0)}, "wholly in the padding"),
    ],
)
def test_windows_that_make_no_sense(options, message):
    with pytest.raises(RuntimeError, match=message):
        pooling.max_pool2d(np.zeros((1, 1, 3, 3)), stride=(1, 1), **options)


@needs_numba
@given(
    poolings(), st.integers(0, 40), st.sampled_from([np.float32, np.float64]), st.data(), st.integers(1, 3)
)
def test_compiled_loops_find_the_same_places(case, wide, dtype, data, count):
    """As those in NumPy, ties, infinities and NaN included, by any number of threads."""
    shape, options = case
    shape = (*shape[:3], shape[3] + wide)
    size = math.prod(shape)
    few = data.draw(st.lists(values, min_size=1, max_size=30))
    x = np.resize(np.array(few, dtype), size).reshape(shape)
    if data.draw(st.booleans()):
        x = x[:, :, ::-1].copy()[:, :, ::-1]
    from autodiff.kernels import jobs

    before = threads.chosen, jobs.TOGETHER, pooling.LARGE
    try:
        pooling.LARGE = size + 1
        expected = pooling.max_pool2d(x, **options)
        threads.chosen, jobs.TOGETHER, pooling.LARGE = count, 0, 0
        found = pooling.max_pool2d(x, **options)
    finally:
        threads.chosen, jobs.TOGETHER, pooling.LARGE = before
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype


@needs_numba
@given(
    st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.sampled_from([np.float32, np.float64]), seeds
)
def test_values_are_added_along_rows_by_a_loop_as_by_numpy(rows, n, k, dtype, seed):
    rng = np.random.default_rng(seed)
    index, numbers = rng.integers(0, n, (1, rows, k)), small_integers((1, rows, k), dtype, seed)
    expected = scatter.add_along_rows((1, rows, n), index, numbers)
    before, scatter.LARGE = scatter.LARGE, 0
    try:
        found = scatter.add_along_rows((1, rows, n), index, numbers[:, :, ::-1].copy()[:, :, ::-1])
    finally:
        scatter.LARGE = before
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == dtype
