"""Large arrays begin at a line of the cache, and are NumPy's arrays otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autodiff
import nn
from autodiff.kernels.alignment import LINE, aligned

MAKERS = [autodiff.empty, autodiff.zeros, autodiff.ones]


def begins_at_a_line(t) -> bool:
    return t.array.ctypes.data % LINE == 0


@given(
    st.lists(st.integers(0, 40), max_size=4).map(tuple),
    st.sampled_from([np.float32, np.float64, np.int8, bool, object]),
    st.sampled_from([np.empty, np.zeros]),
)
def test_it_is_what_numpy_gives(shape, dtype, make):
    a, like = aligned(shape, dtype, make), make(shape, dtype)
    assert (a.shape, a.strides, a.dtype) == (like.shape, like.strides, like.dtype)
    assert a.flags.c_contiguous and a.flags.writeable and a.flags.aligned
    if make is np.zeros:
        np.testing.assert_array_equal(a, like)


@pytest.mark.parametrize("make", MAKERS)
def test_large_tensors_begin_at_a_line(make):
    kept = [make(40 + k, 41) for k in range(20)]
    kept += [getattr(autodiff, f"{make.__name__}_like")(t) for t in kept]
    assert all(map(begins_at_a_line, kept))


def test_a_layers_weights_begin_at_a_line():
    layers = [nn.Linear(70 + k, 50) for k in range(20)]
    assert all(begins_at_a_line(layer.weight) for layer in layers)
