"""check_gradients: everything that a right gradient has to be, in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from . import blame
from .case import Case
from .checks import CHECKS
from .engine import OURS
from .oracles import Oracle
from .report import Finding, GradientError, Report


def check_gradients(f: Callable, *inputs: Any, **options: Any) -> Report:
    """Raise GradientError, which says what is wrong and where, if a derivative of f at `inputs` is
    not what it should be; otherwise give the report. The options are those of `examine`:

    order      1 for first derivatives only (2)
    modes      "reverse", "forward" or, as is usual, both
    oracle     "exact", "modular", "complex step", "finite differences", "value" (see `oracles`), an
               Oracle, or "auto": the most precise one that f allows
    checks     their names, to run only these (`CHECKS` has them all)
    skip       the names of checks not to run
    reference  arrays ↦ list of arrays: what the oracle differentiates, where f itself will not do
    engine     what f is written for (`engine.Engine`)
    seed       of the random cotangents and tangents (0)
    rtol       the relative error to allow, in place of the oracle's own
    strict     is a float that slips into exact arithmetic a mistake? (no)
    name       what to call f in the report
    """
    report = examine(f, *inputs, **options)
    if not report.ok:
        raise GradientError(report) from next((f.error for f in report.findings if f.error), None)
    return report


@np.errstate(all="ignore")  # what overflows is in the report
def examine(
    f: Callable, *inputs: Any, order: int = 2, modes: str | Sequence[str] = ("reverse", "forward"),
    oracle: str | Oracle = "auto", checks: str | Iterable[str] | None = None, skip: Sequence[str] = (),
    reference: Callable | None = None, engine: Any = OURS, seed: int = 0, rtol: float | None = None,
    strict: bool = False, name: str | None = None,
) -> Report:  # fmt: skip
    """What there is to say about the derivatives of f, as a Report; nothing is raised for it.

    f takes the inputs and gives a value, or several. Inputs that are floating arrays, Tensors, lists
    or numbers are differentiated by: in float64, and where dtypes are checked in float32 too. Arrays
    of integers and booleans get no gradient. All else is passed on as it is.
    """
    case = Case(f, inputs, engine=engine, reference=reference, oracle=oracle, seed=seed, rtol=rtol,
                strict=strict, name=name)  # fmt: skip
    report = Report(case.name, notes=case.notes, oracle=case.oracle.name, refusals=case.refusals, seed=seed)
    names = CHECKS if checks is None else [checks] if isinstance(checks, str) else checks
    for check in (CHECKS[n] for n in names):
        if check.order > order or check.mode not in modes or check.name in skip:
            continue
        missing = check.needs - engine.abilities
        if missing:
            case.notes.append(f"not checked: {check.name} ({engine.name} has no {', '.join(missing)})")
            continue
        report.checks.append(check.name)
        try:
            report.findings += check.run(case)
        except Exception as error:  # the program, or a rule: it is the one thing to tell
            what = f"it raises {type(error).__name__}: {error}"
            report.findings.append(Finding(check.name, what, error=error))
            break
    if not report.ok:
        report.snippet = blame.snippet(case, report.findings[0])
    return report
