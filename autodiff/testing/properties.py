"""One line makes a whole test: of an operation, over everything its inputs may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .adapters import engine_of
from .blame import name_of
from .check import examine, selected
from .engine import OURS
from .operations import OPERATIONS, Operation
from .options import listed
from .report import CONSEQUENCES, Finding, GradientError, Report, hide, shown
from .strategies import given, st


def gradient_test(operation: Any, inputs: Any = None, *, engine: Any = OURS, **options: Any) -> Callable:
    """A test of `operation`'s derivatives, for pytest to find or to be called.

        test_tanh = gradient_test(ad.tanh, inputs=arrays(shapes()))
        test_atan2 = gradient_test(ad.atan2, inputs=[arrays((2, 3)), distinct((3,))])
        test_softmax = gradient_test("softmax")              # a row of the table has its inputs

    inputs is a strategy of an array, or of a tuple of all arguments, or a list of strategies, one for
    each. The other options are those of check_gradients.
    """
    engine, row = engine_of(engine), row_of(operation)
    f = row.of(engine.functions) if isinstance(row, Operation) else row
    if isinstance(row, Operation):
        options = {"strict": row.exact, **row.options, **options}
        inputs = row.inputs if inputs is None else inputs
    name = name_of(f)
    several = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    for each in several:
        if not isinstance(each, st.SearchStrategy):
            of_table = (
                f'; or, of the table of operations, gradient_test("{name}")' if name in OPERATIONS else ""
            )
            raise TypeError(
                f"gradient_test({name}) needs a strategy to draw its inputs from, and was given {each!r}: write "
                f"inputs=arrays(shapes()), with both from autodiff.testing.strategies, or a list of them{of_table}"
            )
    if isinstance(inputs, (list, tuple)):
        inputs = st.tuples(*inputs)
    selected(**{key: options[key] for key in ("order", "modes", "checks", "skip") if key in options})

    @given(inputs, st.integers(0, 2**16))
    def test(arguments, seed):
        arguments = arguments if isinstance(arguments, tuple) else (arguments,)
        __tracebackhide__ = hide
        given = {"engine": engine, "seed": seed, **options}
        report = examine(f, *arguments, **given)
        if not report.ok:
            error = telling(report, f, arguments, given)
            raise error from error.cause

    test.__name__ = test.__qualname__ = f"test_{name}" if name.isidentifier() else "test_gradients"
    test.__doc__ = f"The derivatives of {name}."
    return test


def telling(report: Report, f: Callable, arguments: tuple, options: dict) -> GradientError:
    """The error; or one that says more: the simplest inputs are often 0, where a wrong gradient may be
    right by accident, and only what follows from it is seen. Then it is looked for close by."""
    error = GradientError(report)
    if report.findings[0].check not in CONSEQUENCES or "vjp" not in report.checks:
        return error
    rng = np.random.default_rng(report.seed)
    moved = [a + rng.integers(8, 16, a.shape) / 64 if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a
             for a in arguments]  # fmt: skip
    try:
        close_by = examine(f, *moved, **{**options, "checks": "vjp", "skip": ()})
    except Exception:  # it does not take these
        return error
    finding = next(iter(close_by.findings), None)
    if finding is None or finding.expected is None or not np.isfinite(float(finding.expected)):
        return error
    only = ", ".join(dict.fromkeys(f.check for f in report.findings))
    close_by.notes.append(f"seen a little away from the simplest inputs, where it shows in this only: {only}")
    return GradientError(close_by)


def row_of(operation: Any) -> Any:
    """The row of the table of that name; what is no name, as it is."""
    if not isinstance(operation, str):
        return operation
    listed("operation", operation, OPERATIONS)
    return OPERATIONS[operation]


def check_conventions(operation: str | Operation, engine: Any = OURS) -> None:
    """Raise GradientError where an engine's choice, at a point at which calculus leaves one, is not
    the one in the operation's row."""
    row = row_of(operation)
    f = row.of(engine.functions)
    for arguments, gradients in row.conventions:
        new = [engine.variable(np.array(a)) if is_floating(a) else a for a in arguments]
        y = f(*new)
        y = y[0] if isinstance(y, tuple) else y
        engine.backward([y], [np.ones_like(engine.array(y))])
        variables = [x for x, a in zip(new, arguments, strict=True) if is_floating(a)]
        for x, expected in zip(variables, gradients, strict=True):
            found = engine.gradient(x)
            expected = np.array(expected, np.float64)
            if found is None or not np.array_equal(found, expected):
                what = f"{row.name}{tuple(arguments)}: the gradient is not what is promised there"
                raise GradientError(Report(row.name, [Finding("conventions", what, shown(expected), found)]))


def is_floating(a: Any) -> bool:
    return isinstance(a, list) and any(isinstance(x, float) for x in a)
