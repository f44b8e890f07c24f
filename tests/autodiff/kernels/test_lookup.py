"""Rows of bytes looked up in a table: the loop beside NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_support import needs_numba

from autodiff.kernels import lookup

dtypes = st.sampled_from([np.float16, np.float32, np.float64])
large = st.booleans()


def made(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 256, shape).astype(np.uint8)
    data.flags.writeable = False
    return data, rng.standard_normal(256).astype(dtype), rng


@needs_numba
@given(
    st.integers(1, 5),
    st.lists(st.integers(0, 6), max_size=2),
    st.integers(0, 7),
    dtypes,
    large,
    st.integers(0, 9),
)
def test_it_is_a_look_into_the_table_for_every_byte(n, more, count, dtype, is_large, seed):
    data, table, rng = made((n, *more), dtype, seed)
    rows = rng.integers(-n, n, count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "LARGE", 0 if is_large else 1 << 40)
        found = lookup.looked_up(data, rows, table)
    np.testing.assert_array_equal(found, table[data[rows]])
    assert found.dtype == dtype and found.shape == (count, *more) and found.flags.c_contiguous


@needs_numba
@pytest.mark.parametrize("how", [lambda x: x[:, ::-1], lambda x: x[::2], lambda x: x.T.copy().T])
def test_data_that_do_not_lie_densely(how, monkeypatch):
    monkeypatch.setattr(lookup, "LARGE", 0)
    data, table, _ = made((6, 5), np.float32, 0)
    rows = np.array([2, 0, 2])
    np.testing.assert_array_equal(lookup.looked_up(how(data), rows, table), table[how(data)[rows]])


@needs_numba
@pytest.mark.parametrize("row", [3, -4])
def test_a_row_that_is_not_there_is_numpys_error(row, monkeypatch):
    monkeypatch.setattr(lookup, "LARGE", 0)
    data, table, _ = made((3, 4), np.float32, 0)
    with pytest.raises(IndexError, match=f"index {row} is out of bounds for axis 0 with size 3"):
        lookup.looked_up(data, np.array([0, row]), table)


def test_small_batches_never_wait_for_a_compile(monkeypatch):
    monkeypatch.setattr(lookup, "loop", None)  # calling it would be an error
    data, table, _ = made((9, 28, 28), np.float32, 0)
    np.testing.assert_array_equal(lookup.looked_up(data, np.arange(9), table), table[data])
