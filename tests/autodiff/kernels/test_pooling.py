"""Pooling against its definition, written as loops, and against PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_support import seeds, small_integers

from autodiff.kernels import pooling


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
