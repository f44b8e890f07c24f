"""The page, written from the two records and from what is here today."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from autodiff.ops import numpy_api
from autodiff.primitive import Primitive, table
from autodiff.testing.checks import CHECKS
from autodiff.testing.operations import CONSTANT, OPERATIONS

from . import names, reasons, recorder

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"
MODULES = "torch, its modules"
OTHERS = [name for name in CHECKS if name not in ("vjp", "jvp", "adjoint", "second order", "shape and dtype")]


def text() -> str:
    """The whole page."""
    listed, checks = names.recorded(), recorder.recorded()
    parts = [*introduction(listed, checks), *names_part(listed["names"]), *checks_part(checks["operations"])]
    return "\n\n".join(parts) + "\n"


def introduction(listed: dict[str, Any], checks: dict[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{library} {version}" for library, version in checks["versions"].items())
    yield "# Coverage"
    yield "<!-- made by `python -m tests.coverage_page`: change what it tells of, not this page -->"
    yield (
        f"Which names of PyTorch {listed['version']} an unmodified program finds here, and what the tests check of each operation. "
        "Nobody wrote this page: the names are looked up as "
        "[`python -m nn.as_torch`](from-pytorch.md) looks them up, and what is checked was noted while the tests ran "
        f"(with {versions}). [`tests/coverage_page`](../tests/coverage_page) makes it, and a test fails when it has "
        "fallen behind."
    )


# ---- names -------------------------------------------------------------------------------------------


def names_part(listed: dict[str, list[str]]) -> Iterator[str]:
    divided = names.divided(listed)
    here, missing = (sum(len(both[k]) for both in divided.values()) for k in (0, 1))
    yield "## Names"
    yield (
        f"{here} of {here + missing}. Counted is what PyTorch documents: what its modules only import, and classes "
        "of its implementation, are left out. That a name is here does not say that it takes every argument; "
        "[what is refused](from-pytorch.md#what-is-refused) is an error that says so."
    )
    rows = [
        (code(space) if space != MODULES else "modules in `torch`", len(a) + len(b), len(a), len(b))
        for space, (a, b) in divided.items()
    ]
    yield tabulated(("namespace", "in PyTorch", "here", "not here"), rows)
    yield folded(
        "The names that are here",
        [f"**{space}** {code(' '.join(a))}" for space, (a, _) in divided.items() if a],
    )
    yield "### What is not here, and why"
    found, _, _ = reasons.sorted_out({space: b for space, (_, b) in divided.items()})
    for group in reasons.GROUPS:
        spaces = found[group.title]
        count = sum(map(len, spaces.values()))
        lines = [f"{space}: {code(' '.join(each))}" for space, each in spaces.items()]
        yield folded(f"<b>{group.title}</b> ({count}). {html(group.why)}", lines)


# ---- operations --------------------------------------------------------------------------------------


def checks_part(record: dict[str, dict]) -> Iterator[str]:
    rows = {name: record[name] for name in OPERATIONS}
    marks = {name: marks_of(row) for name, row in rows.items()}
    yield "## Operations"
    yield (
        f"The table of operations, `autodiff/testing/operations.py`, has {len(rows)} rows; an operation without one fails "
        "the tests. Inputs of each are drawn, and the gradient kit (`autodiff.testing.check_gradients`) compares with an oracle "
        "that knows only the forward functions: exact fractions where the operation allows it, else complex steps or finite "
        "differences. A mark says that the check ran for that operation, on inputs with elements, and found nothing wrong; *alone* of one input, say, finds nothing to look at."
    )
    yield tabulated(("what is checked", "operations", "but for"), summary(marks, rows))
    yield from gaps(rows)
    yield folded("Operation by operation", [tabulated((*COLUMNS, "reached from NumPy by"), [
        (code(name), *("✓" if mark else "–" for mark in marks[name].values()), spelt(rows[name]["numpy"]))
        for name in rows
    ])])  # fmt: skip
    yield "### Operations without a derivative"
    compared = [name for name in sorted(CONSTANT) if record[name]["pytorch"]]
    others = [name for name in sorted(CONSTANT) if name not in compared]
    yield (
        f"Nothing flows through these {len(CONSTANT)}, which a test of its own asks of each. Their values are compared with PyTorch's: "
        f"{code(' '.join(compared))}." + (f" Not so: {code(' '.join(others))}." if others else "")
    )
    yield "### NumPy's functions"
    yield from numpys_part(record)


COLUMNS = ("operation", "value", "vjp", "jvp", "second order", "32, 64")


def marks_of(row: dict) -> dict[str, bool]:
    """column → was it checked?"""
    ran, floats = row["checks"], {"float32", "float64"}
    return {
        "value": bool(row["pytorch"]),
        "vjp": bool(ran.get("vjp")),
        "jvp": bool(ran.get("jvp") and ran.get("adjoint")),
        "second order": bool(ran.get("second order")),
        "32, 64": bool(ran.get("shape and dtype") and floats <= {*row["pytorch"]}),
    }


SAID = {
    "value": "**value**: computed beside PyTorch, alone or within a layer, a loss or a rule, and the results, "
    "gradients included, agree",
    "vjp": "**vjp**: the gradient by each input, for random cotangents, is the oracle's",
    "jvp": "**jvp**: the tangent is the oracle's, and both modes are each other's transpose",
    "second order": "**second order**: reverse over reverse, forward over reverse and reverse over forward are the "
    "oracle's",
    "32, 64": "**32, 64**: in float32, float64 and both mixed a gradient has its input's dtype, and both are among "
    "the values compared with PyTorch",
}


def summary(marks: dict[str, dict], rows: dict[str, dict]) -> Iterator[tuple]:
    for column, said in SAID.items():
        lacking = [name for name in marks if not marks[name][column]]
        yield said, len(marks) - len(lacking), spelt(lacking)
    for check in OTHERS:
        lacking = [name for name, row in rows.items() if not row["checks"].get(check)]
        about = CHECKS[check].about.split("\n\n")[0].replace("\n   ", "").rstrip(".")
        yield f"the kit's *{check}*: {about[0].lower()}{about[1:]}", len(rows) - len(lacking), spelt(lacking)
    reached = [name for name, row in rows.items() if row["numpy"]]
    yield "**NumPy**: reached by a NumPy function on a Tensor, with a gradient", len(reached), "the others"


def gaps(rows: dict[str, dict]) -> Iterator[str]:
    """What the rows come down to."""
    ruled = declared()
    by = {name: [row for row in rows if name in rows[row]["primitives"]] for name in ruled}
    own = [name for name in ruled if name not in rows]
    yield (
        f"Each of the {len(ruled)} primitives that have rules is applied by at least one row. Most have a row of their own name; "
        + "; ".join(f"{code(name)} is applied by {spelt(by[name])}" for name in own)
        + "."
    )


def numpys_part(record: dict[str, dict]) -> Iterator[str]:
    reached = {function for row in record.values() for function in row["numpy"]}
    without = sorted(answered() - reached)
    yield (
        f"A Tensor answers {len(answered())} functions and ufuncs of NumPy's. The table above has those that end with "
        "an operation that has a derivative, in tests that compare the answer with NumPy's own. With one that has none end "
        f"{spelt(sorted({f for name in CONSTANT for f in record[name]['numpy']}))}; with no operation of the table, {spelt(without)}. "
        "Any other function is an error that says what to write."
    )


def answered() -> set[str]:
    """What a Tensor answers of NumPy's, by name."""
    return {recorder.named_by_numpy(f) for f in (*numpy_api.functions(), *numpy_api.ufuncs())}


def declared() -> list[str]:
    """The primitives with rules that the package declares (tests declare some of their own)."""
    modules = [module for name, module in sys.modules.items() if name.startswith("autodiff.")]
    found = {id(p) for module in modules for p in vars(module).values() if isinstance(p, Primitive)}
    return [name for name, p in table.items() if p.rules and id(p) in found]


# ---- Markdown ----------------------------------------------------------------------------------------


def code(words: str) -> str:
    return f"`{words}`"


def spelt(words: Iterable[str]) -> str:
    return ", ".join(map(code, words))


def html(words: str) -> str:
    """Code in the line that a folded part shows, where Markdown is not read."""
    first, *rest = words.split("`")
    return first + "".join(("<code>", "</code>")[k % 2] + part for k, part in enumerate(rest))


def tabulated(head: tuple, rows: Iterable[tuple]) -> str:
    lines = [
        head,
        tuple("---:" if name in ("in PyTorch", "here", "not here", "operations") else "---" for name in head),
        *rows,
    ]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def folded(title: str, lines: list[str]) -> str:
    return "\n\n".join([f"<details><summary>{title}</summary>", *lines, "</details>"])
