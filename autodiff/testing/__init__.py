"""Gradients, tested: one function at one point, an operation over all that its inputs may be, whole
random programs.

    >>> from autodiff.testing import check_gradients
    >>> check_gradients(ad.tanh, [0.5, -1.0])    # a report; an error that says what is wrong, if it is

What is below the line needs Hypothesis, and is imported when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .case import Case, Fixed
from .check import check_gradients, examine
from .checks import CHECKS, Check
from .curve import ErrorCurve, error_curve
from .engine import OURS, Autodiff, Engine
from .oracles import (
    ORACLES,
    ComplexStep,
    Exact,
    FiniteDifferences,
    Modular,
    Oracle,
    Slopes,
    Unsuitable,
    Values,
)
from .report import Finding, GradientError, Report

# ---- needs Hypothesis -------------------------------------------------------------------------------

if TYPE_CHECKING:
    from . import strategies
    from .operations import OPERATIONS, Operation
    from .program import Program, programs
    from .properties import check_conventions, gradient_test

LATER = {
    "strategies": "strategies", "OPERATIONS": "operations", "Operation": "operations", "Program": "program",
    "programs": "program", "check_conventions": "properties", "gradient_test": "properties",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f".{LATER[name]}", __name__)
    found = module if name == "strategies" else getattr(module, name)
    globals()[name] = found
    return found
