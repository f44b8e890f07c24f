"""The oracles against derivatives known by hand, and against each other."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
from autodiff import Value
from autodiff.testing import (
    ComplexStep,
    Exact,
    FiniteDifferences,
    Modular,
    Unsuitable,
    Values,
    check_gradients,
    error_curve,
)
from autodiff.testing.dual import MODULUS, Dual, Inexact, Residue, exact
from autodiff.testing.oracles import agrees, chosen
from autodiff.testing.strategies import arrays

fractions = st.fractions(-4, 4, max_denominator=8)
coefficients = st.lists(st.integers(-3, 3), min_size=1, max_size=5)


def polynomial(cs, x):
    y = 0 * x
    for c in reversed(cs):
        y = y * x + c
    return y


def derivative(cs):
    return [k * c for k, c in enumerate(cs)][1:] or [0]


@given(coefficients, coefficients, fractions)
def test_dual_numbers_differentiate_rational_functions_exactly(p, q, x):
    if polynomial(q, x) == 0:
        return
    found = polynomial(p, Dual(x, 1)) / polynomial(q, Dual(x, 1))
    n, d = polynomial(p, x), polynomial(q, x)
    dn, dd = polynomial(derivative(p), x), polynomial(derivative(q), x)
    assert found.value == Fraction(n) / d and found.slope == (dn * d - n * dd) / (Fraction(d) * d)


@given(coefficients, fractions, fractions, fractions)
def test_duals_of_duals_are_the_second_derivative(p, x, u, t):
    found = polynomial(p, Dual(Dual(x, u), Dual(t, 0)))
    assert found.slope.slope == polynomial(derivative(derivative(p)), x) * u * t


@given(fractions, fractions, fractions, fractions)
def test_duals_are_ordered_as_a_step_would_order_them(a, s, b, t):
    x, y, step = Dual(a, s), Dual(b, t), Fraction(1, 10**9)
    assert (x < y) == (a + s * step < b + t * step) and (x >= y) == (not x < y)
    assert (x == y) == (a == b and s == t) and bool(x) == (x != 0)
    assert math.floor(x) == math.floor(a + s * step)
    assert abs(x).value == abs(a) and (x % 2 == x - (x // 2) * 2)


@given(st.integers(), st.integers(), st.integers(1, 10**9))
def test_residues_are_a_field(a, b, c):
    x, y, z = Residue(a), Residue(b), Residue(c)
    assert (x + y) * z == x * z + y * z and x - x == 0 and (x / z) * z == x and x**3 == x * x * x
    assert Residue(Fraction(a, c)) == x / z and 1 / z * z == 1 and 2 - x == -(x - 2)
    with pytest.raises(Inexact, match="no order"):
        x < y  # noqa: B015
    assert Residue(MODULUS + 1) == 1


def test_what_is_not_rational_is_refused():
    for wrong in (
        lambda: Dual(2, 1) ** 0.5,
        lambda: 2 ** Dual(2, 1),
        lambda: exact("x"),
        lambda: Dual(2, 1) ** Dual(2, 1),
    ):
        with pytest.raises(TypeError):
            wrong()
    assert exact(0.1) == Fraction(0.1) != Fraction(1, 10)
    with pytest.raises(Unsuitable, match="exp is not rational"):
        Exact().slopes(lambda x: [np.exp(x)], [np.ones(2)], [np.ones(2)])


SMOOTH = {
    "rational": (lambda x: [x * x * x / (x * x + 1)], lambda x: (x**4 + 3 * x * x) / (x * x + 1) ** 2),
    "exp": (lambda x: [np.exp(x) * x], lambda x: np.exp(x) * (x + 1)),
    "tanh": (lambda x: [np.tanh(x)], lambda x: 1 - np.tanh(x) ** 2),
}


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize(
    "oracle, rtol",
    [(Exact(), 1e-15), (ComplexStep(), 1e-14), (FiniteDifferences(), 1e-10), (Values(), 1e-14)],
)
@given(x=arrays((3,), -2, 2))
def test_slopes(name, oracle, rtol, x):
    if name != "rational" and oracle.name in ("exact", "scalar.Value"):
        return
    f, df = SMOOTH[name]
    t = np.array([1.0, -0.5, 2.0])
    found = oracle.slopes(f, [x], [t])
    np.testing.assert_allclose(found.right[0].astype(float), df(x) * t, rtol=rtol, atol=rtol)
    assert not found.kinks
    error = abs(found.right[0].astype(float) - df(x) * t)
    assert (error <= 10 * found.error[0] + 1e-13 * (1 + abs(df(x) * t))).all()  # it knows how far it is off


@pytest.mark.parametrize(
    "oracle, rtol", [(Exact(), 1e-14), (ComplexStep(), 1e-9), (FiniteDifferences(), 1e-6)]
)
@given(x=arrays((2,), -2, 2))
def test_curvatures(oracle, rtol, x):
    f = lambda x: [x * x * x + x[::-1] * x]
    u, t = np.array([1.0, -0.5]), np.array([2.0, 0.25])
    mixed, _ = oracle.curvatures(f, [x], [u], [t])
    want = 6 * x * u * t + u[::-1] * t + u * t[::-1]
    np.testing.assert_allclose(mixed[0].astype(float), want, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("oracle", [Exact(), ComplexStep(), FiniteDifferences()])
def test_kinks_have_two_slopes(oracle):
    relu = lambda x: [np.maximum(x, 0)]
    found = oracle.slopes(relu, [np.array([0.0, 1.0, -1.0])], [np.array([2.0, 2.0, 2.0])])
    assert found.kinked()[0].tolist() == [True, False, False]
    np.testing.assert_allclose(found.right[0].astype(float), [2, 2, 0], atol=1e-9)
    np.testing.assert_allclose(found.left[0].astype(float), [0, 2, 0], atol=1e-9)


def test_what_is_not_analytic_is_given_up_by_the_complex_step():
    f = lambda x: [abs(x) * x]
    x, t = [np.array([1.5, -0.5])], [np.ones(2)]
    assert not agrees(ComplexStep().slopes(f, x, t), FiniteDifferences().slopes(f, x, t))
    root = lambda x: [np.sqrt(x * x + 1) * abs(x)]
    oracle, refusals = chosen("auto", root, x, t)
    assert oracle.name == "finite differences" and any("not analytic" in r for r in refusals)
    with pytest.raises(Unsuitable, match="imaginary"):
        ComplexStep().slopes(lambda x: [np.real(x)], x, t)


def test_modular_arithmetic_knows_no_order():
    with pytest.raises(Unsuitable, match="no order"):
        Modular().slopes(lambda x: [np.maximum(x, 0)], [np.ones(2)], [np.ones(2)])
    steps = lambda x: ad.Tensor.wrap(x)
    long = lambda a, b: [(steps(a) / (steps(b) * steps(b) + 1)).array]
    for _ in range(12):
        long = lambda a, b, inner=long: [inner(a, b)[0] / (b * b + 1) + a]
    found = Modular().slopes(long, [np.full(2, 0.5), np.full(2, 3.0)], [np.ones(2), np.ones(2)])
    want = Exact().slopes(long, [np.full(2, 0.5), np.full(2, 3.0)], [np.ones(2), np.ones(2)])
    assert all(a == Residue(b) for a, b in zip(found.right[0], want.right[0], strict=True))


def test_value_is_an_independent_engine():
    f = lambda a, b: (a * b).tanh() + (a / b).exp() - a**3 + (b * b).log()
    report = check_gradients(f, [0.5, -1.0], [2.0, 1.5], oracle="value", order=1)
    assert report.oracle == "scalar.Value"
    with pytest.raises(Unsuitable, match=r"scalar\.Value"):
        Values().slopes(lambda x: [np.sin(x)], [np.ones(1)], [np.ones(1)])
    assert Value(1.0).data == 1


def test_the_error_curve_shows_what_steps_do(tmp_path):
    curve = error_curve(lambda x: (x.sin() * x.exp()).sum(), [0.5, 1.0])
    best = curve.best
    assert best["forward difference"][0] > 1e-11 and 1e-9 < best["forward difference"][1] < 1e-6
    assert best["central difference"][0] < 1e-9 and 1e-8 < best["central difference"][1] < 1e-3
    late = curve.steps < 1e-8
    assert (curve.errors["complex step"][late] < 1e-14).all()  # the flat line
    assert (curve.errors["forward difference"][curve.steps < 1e-14] > 1e-5).all()
    text = str(curve)
    assert "1e-16" in text and "complex step" in text and max(map(len, text.splitlines())) < 100
    assert set(error_curve(lambda x: ad.erf(x), [0.5]).errors) == {"forward difference", "central difference"}
    pytest.importorskip("matplotlib")
    curve.save(tmp_path / "curve.svg")
    assert (tmp_path / "curve.svg").stat().st_size > 1000
