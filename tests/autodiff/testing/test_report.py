"""What a failure says: the mistake, the element, the rule's line, and lines that show it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
import wrong_operations as wrong
from hypothesis import Phase, settings

import autodiff as ad
from autodiff.primitive import elementwise, general
from autodiff.testing import GradientError, examine, gradient_test
from autodiff.testing.blame import name_of
from autodiff.testing.strategies import arrays, shapes

A, B = np.array([[0.5, -1.25], [2.0, 0.75]]), np.array([[1.5, 0.25], [-0.5, 3.0]])
softmax_diagonal = general(
    "wrong_softmax", lambda x: np.exp(x) / np.exp(x).sum(), lambda g, y: g * (y - y * y), listed=False
)
spread = general("wrong_spread", lambda x: x.sum(1), lambda g, x: g + 0 * x, listed=False)
logcosh = elementwise("logcosh", lambda x: np.log(np.cosh(x)), lambda x: -ad.tanh(x), listed=False)
half = elementwise("wrong_half", np.square, lambda x: 4 * x, listed=False)
third = elementwise("wrong_mean", np.exp, lambda y: y / 3, listed=False)
root = elementwise("wrong_root", np.exp, lambda x: ad.exp(x / 2), to_float=True, listed=False)
squared = elementwise("wrong_twice", np.exp, lambda g, y: g * g * y, to_float=True, listed=False)
more = elementwise("wrong_more", np.square, lambda x: 2 * x * x, listed=False)

CAUSES = [
    (wrong.sign, [A], "the sign"),
    (half, [A], "2 times what it should be"),
    (wrong.factor, [A], "1/2 of what it should be"),
    (third, [A], "the size of a dimension"),
    (wrong.constant_missing, [A], "off by -1 everywhere"),
    (wrong.tanh, [A], "the derivative used here is 1 − y, and the right one 1 − y²"),
    (wrong.no_cotangent, [A], "the cotangent is not multiplied in"),
    (squared, [A], "the cotangent is multiplied in twice"),
    (more, [A], "a factor x too much"),
    (root, [A], "the root of the right one"),
    (wrong.exchanged, [A, B], "the operands are exchanged"),
    (wrong.float32, [A], "float32 somewhere"),
    (wrong.nan, [A], "a branch that is not taken"),
    (wrong.nothing, [A], "no gradient arrives"),
    (wrong.transposed, [A], "transposed: rows for columns"),
    (wrong.repeated, [A[0], np.array([0, 0, 1])], "the last write wins over repeated indices"),
    (wrong.ties, [[1.0, 2.0, 2.0]], "a tie is counted 2 times"),
    (lambda x: wrong.inverse(x, dims=(1, 2, 0)), [np.arange(8.0).reshape(2, 2, 2)], "wrong places"),
    (softmax_diagonal, [np.zeros(2)], "the derivative used here is y − y²"),
    (softmax_diagonal, [np.array([0.0, 0.0, 1.0])], "the derivative used here is y − y²"),
    (spread, [A], "the cotangent is spread along axis 0, and axis 1 was reduced"),
    (wrong.held, [A], "takes for constant what depends on the inputs"),
]


@pytest.mark.parametrize("f, inputs, cause", CAUSES)
def test_the_likely_cause_is_named(f, inputs, cause):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = str(examine(f, *inputs))
    assert cause in text, text


def test_the_rule_to_blame_is_found_in_a_longer_program():
    text = str(examine(lambda x, w: ad.sigmoid(wrong.tanh(x @ w).exp()) * x, A, B))
    assert "wrong_operations.py" in text and "lambda y: 1 - y" in text and "rule      wrong_tanh" in text
    assert "elementwise.py" not in text


def test_of_several_lambdas_on_a_line_the_right_one_is_shown():
    factor = 2
    several = [lambda x: x * 2, lambda x: x * 3, lambda x: (x, None), lambda x: x * factor]
    texts = ["lambda x: x * 2", "lambda x: x * 3", "lambda x: (x, None)", "lambda x: x * factor"]
    assert list(map(name_of, several)) == texts


class MySig(ad.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = 1 / (1 + (-x).exp())
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


@pytest.mark.parametrize("f", [MySig.apply, lambda x: MySig.apply(x.exp()) * 2])
def test_a_function_is_called_by_its_class_and_its_backward_is_the_rule(f):
    report = examine(f, A)
    line = MySig.backward.__code__.co_firstlineno + 1
    assert f"rule      MySig.backward, test_report.py:{line}: def backward(ctx, g):" in str(report)
    if f is not MySig.apply:
        return
    assert str(report).startswith("MySig: the derivatives are wrong")
    out = StringIO()
    with redirect_stdout(out):
        exec(report.snippet, {"MySig": MySig})
    assert "tensor(" in out.getvalue()


def test_a_wrong_operation_is_the_rule_though_a_function_is_called_too():
    assert "lambda y: 1 - y" in str(examine(lambda x: wrong.tanh(MySig.apply(x)), A))


def test_input_and_element_are_named():
    only_there = elementwise("once", np.multiply, lambda b: b, lambda a: a + (a == 2.0), listed=False)
    text = str(examine(only_there, A, B))
    assert "input 1 (b) is wrong at [1, 0], where it is -0.5" in text
    assert "more of its" not in text


@pytest.mark.parametrize("f, inputs", [(ad.mul, [A, B]), (ad.softmax, [A, 1]), (lambda x: x * x.exp(), [A])])
def test_the_snippet_runs_when_pasted(f, inputs, monkeypatch):
    """Made to fail by an engine that doubles; the snippet then shows the engine's true gradient."""

    class Doubles(ad.testing.Autodiff):
        def gradient(self, variable):
            found = super().gradient(variable)
            return None if found is None else 2 * found

    report = examine(f, *inputs, engine=Doubles(), checks="vjp")
    assert not report.ok
    out = StringIO()
    with redirect_stdout(out):
        exec(report.snippet, {})
    assert "tensor(" in out.getvalue()
    shown = float(report.snippet.rpartition("should be ")[2])
    assert f"{shown:.4f}" in out.getvalue()


def test_a_gradient_test_tells_the_mistake_and_not_what_follows_from_it():
    """At 0, the simplest input, -tanh is as right as tanh."""
    test = settings(phases=[Phase.generate, Phase.shrink])(
        gradient_test(logcosh, inputs=arrays(shapes(max_dims=1)))
    )
    with pytest.raises(GradientError) as error:
        test()
    text = str(error.value)
    assert "[vjp]" in text and "likely    the sign" in text and "shows in this only: second order" in text


def test_the_last_line_of_a_snippet_names_the_whole_place():
    assert "# the gradient by input 0 is wrong at [0, 1]: " in examine(spread, A).snippet.replace(" (x)", "")


def test_a_first_time_user_who_gets_tanh_wrong(tmp_path):
    """Somebody's first script: no test framework, no Hypothesis; and the message names the mistake."""
    script = tmp_path / "first.py"
    script.write_text(
        textwrap.dedent("""
        import numpy as np
        import autodiff as ad
        from autodiff.primitive import elementwise
        from autodiff.testing import check_gradients

        my_tanh = elementwise("my_tanh", np.tanh, lambda y: 1 - y, to_float=True)

        x = ad.tensor([0.5, -1.0, 2.0])
        print(my_tanh(x))
        check_gradients(my_tanh, x)
        """),
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, encoding="utf-8",
                          env=clean_environment())  # fmt: skip
    assert done.returncode == 1
    message = done.stderr.partition("GradientError: ")[2]
    assert message.startswith("my_tanh: the derivatives are wrong")
    assert "the gradient by input 0 (x) is wrong at [0], where it is 0.5" in message
    assert "the derivative used here is 1 − y, and the right one 1 − y²" in message
    assert 'first.py:7: my_tanh = elementwise("my_tanh", np.tanh, lambda y: 1 - y' in message
    assert "x = ad.Tensor(np.array([0.5, -1.0, 2.0])).requires_grad_()" in message


def clean_environment():
    import os
    from pathlib import Path

    root = str(Path(ad.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1"}
