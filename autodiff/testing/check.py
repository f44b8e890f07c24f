"""check_gradients: everything that a right gradient has to be, in one call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from . import blame
from .adapters import KNOWN, engine_of
from .case import Case, argument
from .checks import CHECKS, Check, unknown
from .engine import OURS, is_declined
from .options import listed
from .oracles import Oracle
from .report import Finding, GradientError, Report, hide, said


def check_gradients(f: Callable, *inputs: Any, **options: Any) -> Report:
    """Raise GradientError, which says what is wrong and where, if a derivative of f at `inputs` is
    not what it should be; otherwise give the report. The options are those of `examine`:

    order      1 for first derivatives only, or 2, as is usual
    modes      "reverse", "forward" or, as is usual, both
    oracle     "exact", "modular", "complex step", "finite differences", "value" (see `oracles`), an
               Oracle, or "auto": the most precise one that f allows
    checks     their names, to run only these (`CHECKS` has them all)
    skip       names of checks not to run
    reference  arrays ↦ list of arrays: what the oracle differentiates, where f itself will not do
    engine     what f is written for: "torch" (or another of `adapters.KNOWN`), or an `engine.Engine`
    seed       of the random cotangents and tangents (0)
    rtol       the relative error to allow, in place of the oracle's own
    strict     is a float that slips into exact arithmetic a mistake? (no)
    name       what to call f in the report
    """
    __tracebackhide__ = hide
    report = examine(f, *inputs, **options)
    if not report.ok:
        error = GradientError(report)
        raise error from error.cause
    return report


@np.errstate(all="ignore")  # what overflows is in the report
def examine(
    f: Callable, *inputs: Any, order: int = 2, modes: str | Iterable[str] = ("reverse", "forward"),
    oracle: str | Oracle = "auto", checks: str | Iterable[str] | None = None, skip: str | Iterable[str] = (),
    reference: Callable | None = None, engine: Any = OURS, seed: int = 0, rtol: float | None = None,
    strict: bool = False, name: str | None = None,
) -> Report:  # fmt: skip
    """What there is to say about the derivatives of f, as a Report; nothing is raised for it. (What
    leaves nothing to say, as options, inputs or values that cannot be checked, is a ValueError.)

    f takes the inputs and gives a value, or several. Inputs that are floating arrays, Tensors, lists
    or numbers are differentiated by: in float64, and where dtypes are checked in float32 too. Arrays
    of integers and booleans get no gradient. All else is passed on as it is.
    """
    wanted, engine = selected(order, modes, checks, skip), engine_of(engine)
    refuse_inputs(name or blame.name_of(f), inputs)
    try:
        case = Case(f, inputs, engine=engine, reference=reference, oracle=oracle, seed=seed, rtol=rtol,
                    strict=strict, name=name)  # fmt: skip
    except Exception as error:
        others = [name for name in KNOWN if name in sys.modules and name != "autodiff"]
        if engine is OURS and others:
            written = " or ".join(f"engine={name!r}" for name in others)
            error.add_note(
                f"f was called with Tensors of autodiff. If it is written for another engine, say {written}"
            )
        raise
    refuse(case)
    report = Report(case.name, notes=case.notes, oracle=case.oracle.name, refusals=case.refusals, seed=seed)
    declined: dict[str, list[str]] = {}  # what the engine says → the checks that it says it of
    for check in wanted:
        missing = check.needs - engine.abilities
        if missing:
            case.notes.append(f"not checked: {check.name} ({engine.name} has no {', '.join(missing)})")
            continue
        try:
            for finding in check.run(case):
                report.findings.append(finding)
        except Exception as error:  # the program, or a rule
            if check.needs and is_declined(error):
                declined.setdefault(said(error), []).append(check.name)
                continue
            what = f"it raises {type(error).__name__}: {error}"
            report.findings.append(Finding(check.name, what, error=error))
            if not check.needs:  # for the others it would raise again
                break
        report.checks.append(check.name)
    for reason, names in declined.items():
        case.notes.append(
            f"not checked, or not in full: {', '.join(names)} ({engine.name} declines: {reason})"
        )
    if not report.ok:
        report.snippet = blame.snippet(case, report.findings[0])
    elif not report.checks:
        raise ValueError(f"{case.name}: nothing was checked. {'; '.join(case.notes)}")
    elif {"vjp", "jvp", "second order"}.intersection(report.checks) and (nowhere := unknown(case)):
        raise ValueError(
            f"{case.name} cannot be checked here: the derivative by {' and '.join(nowhere)} is NaN. Are all "
            "elements in the function's domain?"
        )
    return report


def refuse_inputs(name: str, inputs: Sequence) -> None:
    """ValueError, if there is nothing among them to differentiate by; before f is called with it."""
    if not any(isinstance(argument(a), np.ndarray) for a in inputs):
        given = (
            f"{brief(inputs[0])}: write {as_floats(inputs[0])}"
            if len(inputs) == 1
            else ", ".join(map(brief, inputs))
        )
        raise ValueError(f"there is no floating-point input to differentiate by: {name} was given {given}")


def refuse(case: Case) -> None:
    """ValueError, if these inputs and what f gives for them leave nothing to be checked."""
    for k, x in enumerate(case.arrays):
        if np.isnan(x).any():
            place = [int(i) for i in np.argwhere(np.isnan(x))[0]]
            raise ValueError(f"{case.label(k)} is NaN at {place}: nothing can be compared with that")
    if not case.values:
        raise ValueError(
            f"{case.name} returned {brief(case.returned)}: there is no derivative of that. It has to return a "
            "floating-point value of the engine's, or a tuple of several"
        )
    flows = getattr(case.engine, "flows", None)
    if flows and len(flows(case.returned)) != len(case.values):
        raise ValueError(
            f"{case.name} returned {brief(case.returned)}, which has no graph: no gradient flows back from a "
            "plain number or array"
        )


def brief(value: Any) -> str:
    """A value, as a person would point at it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if isinstance(value, (tuple, list)) and len(value) <= 4:
        text = ", ".join(map(brief, value))
        return f"[{text}]" if isinstance(value, list) else f"({text}{',' * (len(value) == 1)})"
    dtype = getattr(value, "dtype", "")
    return f"a {type(value).__name__}" + (f" of {dtype}" if dtype else "")


def as_floats(value: Any) -> str:
    """What to write instead of whole numbers."""
    try:
        found = np.asarray(getattr(value, "array", value), float)
    except (TypeError, ValueError):
        found = np.zeros(0)
    return str(found.tolist()) if 0 < found.size <= 6 else "[1.0, 2.0]"


def selected(
    order: int = 2, modes: str | Iterable[str] = ("reverse", "forward"),
    checks: str | Iterable[str] | None = None, skip: str | Iterable[str] = (),
) -> list[Check]:  # fmt: skip
    """The checks that these options of `examine` ask for; ValueError where they ask for none."""
    if order not in (1, 2):
        raise ValueError(f"there are derivatives of order 1 and 2 to be checked, and none of order {order!r}")
    modes, skip = listed("mode", modes, ("reverse", "forward")), listed("check", skip, CHECKS)
    named = [CHECKS[name] for name in listed("check", CHECKS if checks is None else checks, CHECKS)]
    found = [c for c in named if c.order <= order and c.mode in modes and c.name not in skip]
    if not found:
        names = ", ".join(check.name for check in named) or "none"
        raise ValueError(
            f"nothing would be checked: the checks are {names}; of these order={order} and modes={modes} leave "
            f"none that skip={skip} does not take away"
        )
    return found
