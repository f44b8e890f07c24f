"""The smallest program that shows a bug: found by drawing arguments, shrunk by Hypothesis, and written
down as Python that fails when it is run."""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import numpy as np
from hypothesis import HealthCheck, find, settings
from hypothesis.errors import NoSuchExample

from .. import strategies
from ..blame import literal
from ..case import Case
from ..checks import CHECKS
from ..scenarios import SCENARIOS
from .exhibit import Exhibit
from .matrix import Row, verdict


def shows(exhibit: Exhibit, row: Row) -> tuple[str, str]:
    """(which check shows the bug, a program in which it does)."""
    if exhibit.scenario:
        return SCENARIOS[exhibit.scenario].name, of_scenario(exhibit)
    noticed = [name for name in row.killed_by if name in CHECKS]
    for name in noticed:
        arguments = smallest(exhibit.program.inputs, partial(fails, exhibit, name))
        if arguments is not None:
            return name, of_program(exhibit, arguments)
    if "conventions" in row.killed_by:
        return "conventions", of_convention(exhibit)
    raise LookupError(f"no check of the kit notices {exhibit.name}")


def smallest(strategy: Any, wrong: Callable[[Any], bool], tries: int = 400) -> Any:
    """The simplest value for which something is wrong; None if there is none among so many."""
    try:
        return find(
            strategy,
            wrong,
            settings=settings(
                max_examples=tries,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
            ),
            random=Random(0),
        )
    except NoSuchExample:
        return None


def fails(exhibit: Exhibit, check: str, arguments: tuple) -> bool:
    """Does this check notice the bug at these arguments (which it accepts from the sound engine)?"""
    function = exhibit.program.function
    with exhibit.mutation(), np.errstate(all="ignore"):
        try:
            case = Case(function, arguments)
        except Exception:
            return False
        return bool(verdict(partial(CHECKS[check].run, case)))


# ---- as Python ------------------------------------------------------------------------------------


def of_program(exhibit: Exhibit, arguments: tuple) -> str:
    program = exhibit.program
    call = ", ".join(["f", *map(literal, arguments)])
    skip = f", skip={program.without!r}" if program.without else ""
    imports = [
        "import numpy as np",
        "import autodiff as ad",
        "from autodiff.testing import check_gradients, museum",
    ]
    imports += ["import nn.functional as F"] if "F." in program.text else []
    return "\n".join(
        [
            *imports,
            "",
            f"f = {program.text}",
            f'with museum.mutant("{exhibit.name}"):',
            f"    check_gradients({call}{skip})",
        ]
    )


def of_convention(exhibit: Exhibit) -> str:
    return "\n".join(
        [
            "from autodiff.testing import museum",
            "from autodiff.testing.properties import check_conventions",
            "",
            f'with museum.mutant("{exhibit.name}"):',
            f'    check_conventions("{exhibit.operation}")',
        ]
    )


def of_scenario(exhibit: Exhibit) -> str:
    name = str(exhibit.scenario)
    scenario = SCENARIOS[name]

    def wrong(start):
        with exhibit.mutation():
            return bool(verdict(partial(scenario.run, *start)))

    start = smallest(scenario.inputs(strategies), wrong)
    if start is None:
        raise LookupError(f"the scenario {name} does not notice {exhibit.name}")
    arguments = ", ".join([f'"{name}"', *map(literal, start)])
    return "\n".join(
        [
            "import numpy as np",
            "from autodiff.testing import museum",
            "from autodiff.testing.scenarios import check_scenario",
            "",
            f'with museum.mutant("{exhibit.name}"):',
            f"    check_scenario({arguments})",
        ]
    )


def said_by(program: str, name: str) -> str:
    """Run a program, which has to fail; the error's text, without the numbers of lines."""
    file = f"<{name}>"
    linecache.cache[file] = (len(program), None, [line + "\n" for line in program.splitlines()], file)
    try:
        exec(compile(program, file, "exec"), {"__name__": name})
    except Exception as error:
        text = str(error) if type(error).__name__ == "GradientError" else f"{type(error).__name__}: {error}"
        return re.sub(r"(\w+\.py)( \(mutant\))?:\d+", r"\1", text)
    raise AssertionError(f"the program of {name} does not fail:\n{program}")
