"""Gradients, tested: check_gradients for one function at one point, strategies and whole tests for
Hypothesis, random programs.

    >>> from autodiff.testing import check_gradients
    >>> check_gradients(ad.tanh, [0.5, -1.0])          # an error that says what is wrong, or a report
"""

from .case import Case, Fixed
from .check import check_gradients, examine
from .checks import CHECKS, Check
from .engine import OURS, Autodiff, Engine
from .oracles import (
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
