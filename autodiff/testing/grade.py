"""python -m autodiff.testing grade: report cards, for one engine or for a class."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .adapters import KNOWN, LIKELY
from .card import Card, class_page, ranking, write
from .checks import CHECKS
from .judge import EXAMPLES, ROWS
from .operations import OPERATIONS
from .options import listed, new_file, number
from .supervision import Limits, supervised

EPILOG = f"""\
MODULE is one of {", ".join(KNOWN)}; or all of these (all); or a Python module; or a file; or the folder of a
package. A folder of anything else is taken for a class: each file and each folder in it is a submission.
exit status: 0 if everything is right, 1 if not, 2 if nothing could be graded
"""


def main(argv: list[str]) -> int:
    options = parsed(argv)
    limits = Limits(options.time, options.row_time, options.memory)
    settings = {"examples": options.examples, "seed": options.seed, "only": options.only}
    settings["without"] = options.without
    targets = [t for module in options.modules for t in targets_of(module)]
    several = len(targets) > 1 or any(is_class(Path(m)) for m in options.modules)

    def graded(target: str) -> Card:
        card = supervised(target, settings, limits)
        card.required = options.require or []
        card.not_offered += [n for n in options.only or () if not card.has(n) and n not in card.not_offered]
        return card

    cards = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for card in pool.map(graded, targets):
            cards.append(card)
            if several:
                print(ranking([card], max(len(Path(t).stem) for t in targets)), flush=True)
    if not cards:
        print(f"there is nothing to grade in {', '.join(options.modules)}", file=sys.stderr)
        return 2
    print_cards(cards, several, options)
    if options.html:
        title = f"Report cards: {', '.join(options.modules)}"
        write(options.html, class_page(cards, title) if several else cards[0].as_html())
    if options.json:
        data = [card.as_json() for card in cards] if several else cards[0].as_json()
        write(options.json, json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    graded_cards = [card for card in cards if card.status != "skipped"]
    if not graded_cards or (not several and cards[0].status != "graded"):
        return 2
    return 0 if all(card.ok for card in graded_cards) else 1


def parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m autodiff.testing grade", description=__doc__, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("modules", nargs="+", metavar="MODULE", help="what to grade")
    add("--html", metavar="FILE", type=new_file, help="write a page")
    add("--json", metavar="FILE", type=new_file, help="write the data; a list, if several engines are graded")
    add(
        "--only",
        metavar="NAMES",
        type=rows,
        help="rows of the card, with commas between; of programs what is before the colon",
    )
    add("--require", metavar="NAMES", type=operations, help="operations that have to be there")
    add("--without", metavar="CHECKS", type=checks, default=[], help=f"not to be asked: {', '.join(CHECKS)}")
    add(
        "--examples",
        metavar="N",
        type=number(int, 1),
        default=EXAMPLES,
        help=f"looked at for each row ({EXAMPLES})",
    )
    add("--seed", metavar="N", type=int, default=0, help="of what is drawn (0)")
    seconds = number(float, 0, above=True)
    add("--time", metavar="S", type=seconds, default=900, help="seconds for an engine, at most (900)")
    add(
        "--row-time",
        metavar="S",
        type=seconds,
        default=60,
        help="seconds without an answer, for one row (60)",
    )
    add("--memory", metavar="GIB", type=number(float, 0), default=8,
        help="memory for an engine, at most; 0: no limit (8; Linux only)")  # fmt: skip
    add("--jobs", metavar="N", type=number(int, 1), default=max(1, (os.cpu_count() or 2) // 2),
        help="engines at the same time")  # fmt: skip
    add("-q", "--quiet", action="store_true", help="print the totals only")
    return parser.parse_args(argv)


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def known(kind: str, given: list[str], there: Iterable[str]) -> list[str]:
    try:
        return listed(kind, given, there)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def checks(text: str) -> list[str]:
    return known("check", names(text), CHECKS)


def operations(text: str) -> list[str]:
    return known("operation", names(text), OPERATIONS)


def rows(text: str) -> list[str]:
    """Names of rows; a program may be called by what stands before its colon."""
    short = {row.partition(":")[0]: row for row in ROWS}
    given = [text] if text in ROWS else names(text)
    return [short.get(name, name) for name in known("row", given, {**short, **dict.fromkeys(ROWS)})]


def print_cards(cards: list[Card], several: bool, options: argparse.Namespace) -> None:
    """The cards of one or a few engines whole; of a class, the table that was printed as it grew."""
    if several:
        ok = sum(card.ok for card in cards)
        print(f"\n{ok} of {len(cards)} with everything right")
        return
    print(cards[0].total if options.quiet else cards[0])


def is_class(path: Path) -> bool:
    """A folder of submissions, and not a submission?"""
    if not path.is_dir() or (path / "__init__.py").exists():
        return False
    return not any((path / f"{name}.py").exists() for name in LIKELY)


def targets_of(module: str) -> list[str]:
    """What there is to grade under a name that was typed."""
    if module == "all":
        return list(KNOWN)
    path = Path(module)
    if not is_class(path):
        return [module]
    return [
        str(p) for p in sorted(path.iterdir())
        if (p.suffix == ".py" or (p.is_dir() and any(p.glob("*.py")))) and not p.name.startswith((".", "_"))
    ]  # fmt: skip
