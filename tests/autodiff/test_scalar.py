"""Value, by itself and against Tensor: each is an independent witness of the other."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
from autodiff import Value

STEPS = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b,
    "div": lambda a, b: a / (b * b + 1), "pow": lambda a, b: a**2, "cube": lambda a, b: b**3, "neg": lambda a, b: -a,
    "relu": lambda a, b: a.relu(), "tanh": lambda a, b: b.tanh(), "exp": lambda a, b: (a.tanh()).exp(),
    "log": lambda a, b: (a * a + 1).log(), "radd": lambda a, b: 2 + a, "rsub": lambda a, b: 3 - b,
    "rmul": lambda a, b: 2 * a, "rdiv": lambda a, b: 1 / (b * b + 2), "rpow": lambda a, b: 2 ** b.tanh(),
    "power": lambda a, b: (a * a + 1) ** b.tanh(),
}  # fmt: skip
numbers = st.floats(-2, 2).filter(lambda x: abs(x) > 1e-3)
programs = st.lists(
    st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=8
)


@given(programs, numbers, numbers)
def test_agrees_with_tensor_on_every_program(program, x, y):
    values = [Value(x), Value(y)]
    tensors = [ad.tensor(v, dtype=ad.float64, requires_grad=True) for v in (x, y)]
    for name, i, j in program:
        values.append(STEPS[name](values[i % len(values)], values[j % len(values)]).tanh())
        tensors.append(STEPS[name](tensors[i % len(tensors)], tensors[j % len(tensors)]).tanh())
    values[-1].backward()
    tensors[-1].backward()
    assert values[-1].data == pytest.approx(tensors[-1].item(), rel=1e-12, abs=1e-12)
    for v, t in zip(values[:2], tensors[:2], strict=True):
        assert v.grad == pytest.approx(0 if t.grad is None else t.grad.item(), rel=1e-9, abs=1e-12)


def test_gradients_add_up_and_a_graph_may_be_walked_again():
    x = Value(3.0)
    y = x * x
    y.backward()
    y.backward()
    assert x.grad == 12 and repr(x) == "Value(data=3.0, grad=12.0)"
    x.grad = 0
    (x + x).backward()
    assert x.grad == 2


def test_edges():
    x = Value(0.0)
    (x**0).backward()
    assert x.grad == 0
    with pytest.raises(ValueError):
        Value(-1.0).log()
    y = Value(2.0)
    (y.exp().log()).backward()
    assert y.grad == pytest.approx(1) and math.isclose((y.exp()).data, math.e**2)


@pytest.mark.parametrize("wrong", ["a", None, [1.0], ad.tensor(1.0)])
def test_a_value_is_a_number(wrong):
    name = type(wrong).__name__
    for make in (
        lambda: Value(wrong),
        lambda: Value(1.0) + wrong,
        lambda: wrong * Value(1.0),
        lambda: Value(1.0) / wrong,
    ):
        with pytest.raises(
            TypeError, match=f"a Value is a number, not {name}|unsupported operand|can't multiply"
        ):
            make()
    assert Value(np.float32(2)).data == 2 and Value(Fraction(1, 2)).data == Fraction(1, 2)


def test_divisions_by_zero_say_so():
    for divide in (lambda: Value(2.0) / 0, lambda: 1 / Value(0.0), lambda: Value(2) / Value(0)):
        with pytest.raises(ZeroDivisionError, match="division by zero"):
            divide()


def test_quotients_are_pythons():
    x, y = Value(1.0), Value(49.0)
    z = x / y
    z.backward()
    assert z.data == 1.0 / 49.0 and x.grad == 1 / 49 and y.grad == pytest.approx(-1 / 49**2)


def test_a_node_says_where_it_was_made():
    y = -Value(2.0)  # a product, inside
    line = test_a_node_says_where_it_was_made.__code__.co_firstlineno + 1
    assert repr(y.origin) == f"<StepBackward at test_scalar.py:{line}: y = -Value(2.0)  # a product, inside>"


def test_a_root_that_is_no_real_number_is_refused():
    for root in (
        lambda: Value(-8.0) ** 0.5,
        lambda: Value(-8.0) ** Value(1 / 3),
        lambda: (-8.0) ** Value(0.5),
    ):
        with pytest.raises(ValueError, match=r"\(-8.0\) \*\* 0.\d+ is not a real number"):
            root()
    assert (Value(-8.0) ** 3).data == -512
