"""Every mutant against every checker: which notice, and which do not."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings

from .. import strategies
from ..case import Case
from ..checks import CHECKS, Check
from ..properties import check_conventions
from ..report import GradientError
from ..scenarios import SCENARIOS
from . import rooms  # noqa: F401 (it fills EXHIBITS)
from .exhibit import EXHIBITS, Exhibit, Program
from .weak import WEAK, Point, passed

KIT = (*CHECKS, "conventions", *(s.name for s in SCENARIOS.values()))
CHECKERS = (*WEAK, *KIT)
DRAWS, THOROUGH = 10, 100  # arguments that the kit draws for each program
PATIENCE = 15  # so many times as many, while no check has found anything


@dataclass
class Row:
    """What the checkers say of one mutant, or of the sound engine on the same program."""

    exhibit: str
    killed_by: dict[str, str]  # checker → "found" something wrong, or "raised"
    seen: int = 0  # at how many of the kit's arguments
    seconds: float = 0.0

    @property
    def by_kit(self) -> list[str]:
        return [name for name in self.killed_by if name not in WEAK]


@dataclass
class Matrix:
    """All rows, and the sound engine's."""

    rows: list[Row]
    sound: list[Row]  # for each program, what is said of the engine as it is: nothing
    seconds: float = 0.0

    @property
    def survivors(self) -> list[str]:
        return [row.exhibit for row in self.rows if not row.by_kit]

    @property
    def blamed(self) -> list[Row]:
        return [row for row in self.sound if row.killed_by]

    @property
    def ok(self) -> bool:
        return not self.survivors and not self.blamed

    def score(self, checker: str) -> int:
        return sum(checker in row.killed_by for row in self.rows)


def drawn(strategy: Any, n: int) -> list:
    """n different draws of a strategy, the same ones each time; nothing is tested yet, nor shrunk."""
    found: dict[str, Any] = {}

    @settings(
        max_examples=3 * n, database=None, derandomize=True, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    @given(strategy)
    def note(value):
        found.setdefault(repr(value), value)

    note()
    several = list(found.values())  # neighbours resemble each other
    return [several[k * len(several) // n] for k in range(n)] if len(several) > n else several


@cache
def arguments_of(program: Program, n: int) -> list[tuple]:
    return drawn(program.inputs, n)


@cache
def starts_of(scenario: str) -> list[tuple]:
    return drawn(SCENARIOS[scenario].inputs(strategies), 3)


def verdict(check: Callable[[], Any]) -> str:
    """ "found", if the check yields or gives something, "raised", or ""."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return "found" if any(True for _ in check()) else ""
    except Exception:
        return "raised"


def of_kit(program: Program, draws: int, most: int) -> tuple[dict[str, str], int]:
    """What the single checks of the kit say at the arguments drawn for a program, the first word of each;
    and at how many arguments they had a look: at `draws`, or, until somebody says something, at `most`."""
    said: dict[str, str] = {}
    left = {name: check for name, check in CHECKS.items() if name not in program.without}
    seen = 0
    for n in dict.fromkeys((draws, most)):
        if n == draws or not said:  # more are drawn only if they are needed
            for arguments in arguments_of(program, n):
                if seen >= draws and said:
                    break
                seen += 1
                said |= first_words(program, arguments, seen, left)
    return said, seen


def first_words(program: Program, arguments: tuple, seed: int, left: dict[str, Check]) -> dict[str, str]:
    """What those checks say of a program at one point; who has said something is no longer `left`."""
    try:
        with np.errstate(all="ignore"):
            case = Case(program.function, arguments, seed=seed, name=program.text)
    except Exception:
        return {}  # the forward refuses these arguments: with or without the bug
    said = {name: verdict(partial(check.run, case)) for name, check in left.items()}
    for name in filter(said.get, said):
        del left[name]
    return {name: word for name, word in said.items() if word}


def of_scenarios() -> dict[str, str]:
    """What the scenarios say."""
    return {
        scenario.name: next(
            filter(None, (verdict(partial(scenario.run, *start)) for start in starts_of(key))), ""
        )
        for key, scenario in SCENARIOS.items()
    }


def of_conventions(operation: str) -> Iterator[str]:
    """The convention that is broken."""
    try:
        check_conventions(operation)
    except GradientError as error:
        yield str(error)


def judged(exhibit: Exhibit, draws: int, most: int, mutated: bool = True) -> Row:
    """What all checkers say, with the bug in or, if it is not `mutated`, of the engine as it is."""
    begin = time.perf_counter()
    program = exhibit.program
    with exhibit.mutation() if mutated else nullcontext():
        point = Point(program.function, program.typical_arguments())
        said = {name: passed(check, point) for name, check in WEAK.items()}
        others = of_scenarios()
        if exhibit.operation:
            others["conventions"] = verdict(partial(of_conventions, exhibit.operation))
        by_checks, seen = of_kit(program, draws, draws if any(others.values()) else most)
        said |= by_checks | others
    killed = {name: said[name] for name in CHECKERS if said.get(name)}
    return Row(exhibit.name, killed, seen, time.perf_counter() - begin)


def of_program(names: Sequence[str], draws: int) -> tuple[list[Row], Row]:
    """The rows of exhibits that share a program, and the sound engine's, at the same arguments."""
    rows = [judged(EXHIBITS[name], draws, PATIENCE * draws) for name in names]
    seen = max(row.seen for row in rows)
    return rows, judged(EXHIBITS[names[0]], draws, max(draws, seen), mutated=False)


def matrix(names: Iterable[str] | None = None, draws: int = DRAWS, jobs: int | None = None) -> Matrix:
    """The exhibits (all, or those named) against all checkers, in `jobs` processes."""
    begin = time.perf_counter()
    chosen = list(EXHIBITS if names is None else names)
    shared: dict[tuple, list[str]] = {}
    for name in chosen:
        shared.setdefault((EXHIBITS[name].program, EXHIBITS[name].operation), []).append(name)
    groups = list(shared.values())
    jobs = min(jobs or os.cpu_count() or 1, len(groups))
    if jobs > 1:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads of BLAS would only wait for each other
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            found = list(pool.map(of_program, groups, [draws] * len(groups)))
    else:
        found = [of_program(group, draws) for group in groups]
    rows = {row.exhibit: row for several, _ in found for row in several}
    return Matrix([rows[name] for name in chosen], [sound for _, sound in found], time.perf_counter() - begin)
