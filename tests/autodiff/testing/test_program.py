"""Random programs: they are right on this engine, they find what is put wrong in it, and they print."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from autodiff import primitive
from autodiff.testing import GradientError, Program, programs
from autodiff.testing.program import KINDS

SCALAR = [name for name, kind in KINDS.items() if kind.scalar]
SMOOTH = [name for name, kind in KINDS.items() if kind.smooth]
hunt = settings(max_examples=400, database=None, derandomize=True, phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck), deadline=None)  # fmt: skip


@given(programs())
def test_programs_of_all_kinds(program):
    program.check(order=1)


@given(programs(kinds=SMOOTH, max_steps=4))
def test_smooth_programs_to_the_second_order(program):
    program.check()


@given(programs(kinds=SCALAR))
def test_scalar_programs_agree_with_value(program):
    assert program.scalar
    program.check(order=1, checks=["vjp"])


ARGUMENTS = {"": None, "axis": -1, "number": -2, "index": slice(None, 1), "places": [0, -1, 0]}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_step(kind):
    inputs = [np.array([[0.5, -1.25], [1.0, 0.75]]), np.array([[-0.5, 1.5], [0.25, -1.0]])]
    operands = (2, 0)[: KINDS[kind].operands]
    Program(inputs, [("mul", (0, 1), None), (kind, operands, ARGUMENTS[KINDS[kind].argument])]).check()


@given(programs())
def test_the_text_runs_when_pasted_and_prints_the_gradients(program):
    out = StringIO()
    with redirect_stdout(out):
        exec(program.source(), {})
    assert out.getvalue().count("tensor(") + out.getvalue().count("None") == len(program.inputs)


def test_a_wrong_rule_is_found_and_shrunk_to_a_line(monkeypatch):
    tanh = primitive.table["tanh"]
    monkeypatch.setattr(tanh, "rules", (lambda g, y: g * (1 - y),))

    @hunt
    @given(programs(kinds=["mul", "add", "sum", "index", "tanh", "stack"]))
    def test(program):
        program.check(order=1)

    with pytest.raises(GradientError) as error:
        test()
    text = str(error.value)
    assert "rule      tanh" in text and "v0 = x0.tanh()" in text and "v1" not in text


def test_detached_and_unseen_values_are_constants_for_the_oracle():
    x = np.array([0.5, -1.5])
    Program([x], [("detach", (0,), None)]).check()
    Program([x, x + 1], [("no_grad", (0, 1), None), ("inner_grad", (2, 1), None)]).check()
    assert "held = lambda x: x.detach()" in Program([x], [("detach", (0,), None)]).source()


def test_a_program_says_itself():
    program = Program([np.array([1.0, 2.0])], [("mul", (0, 0), None), ("write", (1, 0), slice(None, 1))])
    assert repr(program).splitlines()[-5:] == [
        "x0 = ad.Tensor(np.array([1.0, 2.0])).requires_grad_()",
        "v0 = x0 * x0",
        "v1 = written(v0, np.s_[:1], x0.sum())",
        "(v1.sum()).backward()",
        "print(x0.grad)",
    ]
    program.check()
