"""Functions of each element against definitions with more digits, and at the ends of their range."""

from __future__ import annotations

import math
import warnings
from decimal import Decimal, localcontext
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autodiff.kernels import elementwise as kernels

reals = st.floats(-700, 700)


def one(function, x, dtype=np.float64):
    """function(x) by the kernel; any warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = function(np.array([x], dtype))
    assert y.dtype == dtype and y.shape == (1,)
    return y[0]


def with_digits(function, x) -> float:
    with localcontext(prec=400):
        return float(function(Decimal(x)))


@given(reals)
def test_sigmoid_to_the_last_places(x):
    expected = with_digits(lambda d: 1 / (1 + (-d).exp()), x)
    assert math.isclose(one(kernels.sigmoid, x), expected, rel_tol=4e-16 * max(1, abs(x)))


@given(reals)
def test_softplus_and_log_sigmoid_to_the_last_places(x):
    expected = with_digits(lambda d: (1 + d.exp()).ln(), x)
    assert math.isclose(one(kernels.softplus, x), expected, rel_tol=1e-15)
    expected = with_digits(lambda d: -(1 + (-d).exp()).ln(), x)
    assert math.isclose(one(kernels.log_sigmoid, x), expected, rel_tol=1e-15)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "function, least, largest",
    [
        (kernels.relu, 0, math.inf),
        (kernels.sigmoid, 0, 1),
        (kernels.softplus, 0, math.inf),
        (kernels.log_sigmoid, -math.inf, 0),
        (kernels.erf, -1, 1),
    ],
)
def test_the_ends_of_the_range(function, least, largest, dtype):
    assert one(function, -math.inf, dtype) == least
    assert one(function, math.inf, dtype) == largest
    assert np.isnan(one(function, math.nan, dtype))
    extreme = np.finfo(dtype).max
    assert least <= one(function, -extreme, dtype) <= one(function, extreme, dtype) <= largest
    assert function(np.array(0.5, dtype)).shape == () and function(np.zeros((0, 3), dtype)).shape == (0, 3)


@given(st.one_of(st.floats(-7, 7), st.floats(0.46, 0.51), st.floats(-1e-300, 1e-300)))
def test_erf_within_five_units_in_the_last_place(x):
    assert abs(one(kernels.erf, x) - math.erf(x)) <= 6 * np.spacing(abs(math.erf(x)))
    single = np.float32(x)
    found = one(kernels.erf, single, np.float32)
    assert abs(found - math.erf(single)) <= 6 * np.spacing(np.float32(abs(math.erf(single))))


@given(st.floats(-8, 8))
def test_erf_is_odd_and_bounded(x):
    assert one(kernels.erf, x) == -one(kernels.erf, -x)
    assert abs(one(kernels.erf, x)) <= 1
    assert math.copysign(1, one(kernels.erf, x)) == math.copysign(1, x)


def test_no_argument_is_written():
    for function in (kernels.relu, kernels.sigmoid, kernels.softplus, kernels.log_sigmoid, kernels.erf):
        x = np.linspace(-3, 3, 11)
        x.flags.writeable = False
        function(x)


@given(
    shapes=st.sampled_from(
        [((), ()), ((3, 4), (3, 4)), ((3, 4), (4,)), ((4,), (3, 4)), ((3, 1), (1, 4)), ((0, 3), (3,))]
    ),
    dtype=st.sampled_from(["float16", "float32", "float64", "int64", "object"]),
    turned=st.booleans(),
    compiled=st.booleans() if find_spec("numba") else st.just(False),
    data=st.data(),
)
def test_gate_is_where_to_the_last_bit(shapes, dtype, turned, compiled, data):
    """NaN, infinity and -0 are kept or cleared like any other number; in a compiled loop, too."""
    special = [0.0, -0.0, 1.5, -2.0] + ([] if dtype == "int64" else [math.inf, -math.inf, math.nan])
    drawn = [data.draw(hnp.arrays(np.float64, shape, elements=st.sampled_from(special))) for shape in shapes]
    x, condition = drawn[0].astype(dtype), drawn[1] > 0
    if turned:
        x, condition = np.asfortranarray(x)[::-1] if x.ndim else x, condition
    before, kernels.LARGE = kernels.LARGE, 0 if compiled else kernels.LARGE
    try:
        y = kernels.gate(x, condition)
    finally:
        kernels.LARGE = before
    expected = np.where(condition, x, np.zeros((), x.dtype))
    assert y.dtype == expected.dtype and y.shape == expected.shape
    if dtype == "object":
        assert repr(np.asarray(y).tolist()) == repr(expected.tolist())
    else:
        assert np.asarray(y).tobytes() == expected.tobytes()
    assert not np.shares_memory(np.asarray(y), x)
