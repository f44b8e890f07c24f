"""Every kind of index, repeated places above all, against one addition at a time."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_support import seeds, small_integers

from autodiff.kernels import scatter

SHAPE = (4, 5, 3)
rng = np.random.default_rng(0)
INDICES = {
    "number": (2,),
    "slices": (slice(None, None, -2), slice(1, 4)),
    "ellipsis and a new dimension": (..., None, 1),
    "mask": (rng.random(SHAPE) < 0.5,),
    "mask of rows": (np.array([True, False, True, True]), slice(None), 1),
    "a number in an array": (np.array(3), slice(1, None)),
    "repeats": (np.array([1, 1, -1, 1, 0]),),
    "pairs": (np.array([0, 0, 3]), np.array([4, 4, -1])),
    "pairs apart": (np.array([0, 0, 3]), slice(None), np.array([2, 2, 0])),
    "grid": (np.array([[0], [0]]), np.array([1, 1, 2]), slice(0, 2)),
    "with a slice": (slice(None), np.array([[0, 0], [4, 0]])),
    "with a mask": (np.array([True, True, False, False]), np.array([2, 2])),
    "with a new dimension": (None, np.array([1, 1]), ..., 0),
    "none": (np.array([], int),),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, object])
@pytest.mark.parametrize("many", [0, 10**9], ids=["numbered", "direct"])
def test_a_place_receives_all_that_was_taken_from_it(index, dtype, many, monkeypatch):
    monkeypatch.setattr(scatter, "MANY", many)
    places = np.arange(np.prod(SHAPE)).reshape(SHAPE)[index]
    values = small_integers(places.shape, dtype, 1)
    expected = np.zeros(SHAPE, dtype)
    for place, value in zip(places.flat, values.flat, strict=True):
        expected.flat[place] += value
    found = scatter.add_at(SHAPE, dtype, index, values)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == dtype and found.shape == SHAPE and found.flags.writeable


@given(st.integers(1, 40), st.integers(1, 200), st.integers(1, 30), seeds)
def test_rows_of_a_table(n, rows, width, seed):
    index = np.random.default_rng(seed).integers(0, n, rows)
    values = small_integers((rows, width), np.float32, seed)
    onehot = (index == np.arange(n)[:, None]).astype(np.float32)
    np.testing.assert_array_equal(scatter.add_at((n, width), np.float32, (index,), values), onehot @ values)


def test_fractions_stay_exact():
    thirds = np.array([Fraction(1, 3)] * 3, object)
    assert scatter.add_at((2,), object, (np.array([1, 1, 1]),), thirds).tolist() == [0, 1]


def test_an_index_out_of_range_is_an_error():
    for index in ((np.array([0, 7]),), (7,)):
        with pytest.raises(IndexError, match="out of bounds"):
            scatter.add_at((4, 2), float, index, np.ones((2, 2)))
