"""The museum's guide: a page for each exhibit, and an index with the matrix."""

from __future__ import annotations

import os
import textwrap
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from ..scenarios import SCENARIOS
from . import show
from .exhibit import EXHIBITS, Exhibit
from .matrix import Matrix, Row
from .smallest import said_by, shows
from .weak import WEAK

REMARK = "<!-- made by `python -m autodiff.testing museum --pages docs/museum`: change the exhibit, not this page -->"


def page(exhibit: Exhibit, row: Row, check: str, program: str) -> str:
    """The page of an exhibit, with the program that shows it."""
    seen = [name for name in WEAK if row.killed_by.get(name)]
    blind = [name for name in WEAK if name not in seen]
    parts = [
        f"# {exhibit.title}", REMARK,
        f"*{show.ROOMS[exhibit.room]}* · `museum.mutant(\"{exhibit.name}\")` · [all exhibits](README.md)",
        exhibit.story,
        "## The bug, put into this engine", block(exhibit.code),
        "## The smallest program that shows it",
        "Found by drawing, and shrunk by Hypothesis; nobody wrote it.", block(program),
    ]  # fmt: skip
    if exhibit.scenario:
        parts.append(f"The scenario: {SCENARIOS[exhibit.scenario].about}")
    parts += [
        "## What the kit says", block(said_by(program, exhibit.name), "text"),
        "## Who notices", f"The kit, by its check *{check}*. " + of_weak(seen, blind),
        "## The fix", exhibit.fix,
        "## Where it happened",
        "\n".join(f"- [{text}]({address})" for text, address in exhibit.links())
        or "A classic mistake: no issue is cited, for it is made, and mended, before anything is published.",
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def of_weak(seen: list[str], blind: list[str]) -> str:
    if not seen:
        return "None of the common checkers does."
    if not blind:
        return "So do all of the common checkers."
    return f"Of the common checkers {listed(seen)} {'do' if len(seen) > 1 else 'does'}; {listed(blind)} {'do' if len(blind) > 1 else 'does'} not."


def listed(names: list[str]) -> str:
    names = [f"*{name}*" for name in names]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def block(code: str, language: str = "python") -> str:
    return f"```{language}\n{code}\n```"


def index(matrix: Matrix, checks: dict[str, str]) -> str:
    """All exhibits, by room, and who notices what."""
    n = len(matrix.rows)
    rows = {row.exhibit: row for row in matrix.rows}
    weak = "\n".join(
        f"- *{name}*: {' '.join((check.__doc__ or '').split())} It misses {n - matrix.score(name)} of {n}."
        for name, check in WEAK.items()
    )
    parts = [
        "# The museum of gradient bugs", REMARK,
        textwrap.dedent(f"""\
            Tests of gradients are seldom tested themselves. These are {n} bugs, nearly all of which happened in some
            public engine, and some that are classics; each is here as a mutant of this engine, which can be switched
            on and off. Every one of them is run against the checkers that are common, restated, and against this
            project's kit, check by check:"""),
        block("python -m autodiff.testing museum", "sh"),
        f"The kit notices all {n}, and has nothing against the engine as it is; both are tests.",
        "The common checkers, on the arguments that a test written in passing has:\n\n" + weak,
        "## The matrix", block(show.text(matrix, 100), "text"),
    ]  # fmt: skip
    for room, title in show.ROOMS.items():
        head = "| exhibit | the kit, by | " + " | ".join(WEAK) + " |\n|---|---|" + ":-:|" * len(WEAK)
        body = "\n".join(
            f"| [{exhibit.title}]({exhibit.slug}.md) | {checks[name]} | "
            + " | ".join("●" if rows[name].killed_by.get(w) else "" for w in WEAK) + " |"
            for name, exhibit in EXHIBITS.items() if exhibit.room == room
        )  # fmt: skip
        parts += [f"## {title}", f"{head}\n{body}"]
    return "\n\n".join(parts) + "\n"


def shown(row: Row) -> tuple[str, str]:
    return shows(EXHIBITS[row.exhibit], row)


def write(matrix: Matrix, folder: Path, jobs: int | None = None) -> None:
    """Write all pages anew: every program is found and shrunk again."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [row.exhibit for row in matrix.rows]
    with ProcessPoolExecutor(jobs or os.cpu_count(), mp_context=get_context("spawn")) as pool:
        found = dict(zip(names, pool.map(shown, matrix.rows), strict=True))
    for row in matrix.rows:
        exhibit = EXHIBITS[row.exhibit]
        (folder / f"{exhibit.slug}.md").write_text(page(exhibit, row, *found[row.exhibit]), encoding="utf-8")
    if len(names) == len(EXHIBITS):
        checks = {name: check for name, (check, _) in found.items()}
        (folder / "README.md").write_text(index(matrix, checks), encoding="utf-8")
        for stray in (
            {*folder.glob("*.md")}
            - {folder / f"{e.slug}.md" for e in EXHIBITS.values()}
            - {folder / "README.md"}
        ):
            stray.unlink()
