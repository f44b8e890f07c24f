"""python -m autodiff.testing museum: every mutant against every checker."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ..options import new_file, number, unknown
from . import pages, show
from .exhibit import EXHIBITS
from .matrix import DRAWS, THOROUGH, matrix


def file_or_output(text: str) -> Path:
    return Path(text) if text == "-" else new_file(text)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m autodiff.testing museum",
        description="Run every gradient bug of the museum against every checker, and print who notices what. "
        "Exit status 1 if a bug survives the kit, or if the sound engine is blamed.",
    )
    parser.add_argument("names", nargs="*", metavar="EXHIBIT", help="only these (all)")
    parser.add_argument("--list", action="store_true", help="list the exhibits, and end")
    parser.add_argument(
        "--thorough", action="store_true", help=f"{THOROUGH} arguments for each program, not {DRAWS}"
    )
    parser.add_argument("--jobs", type=number(int, 1), help="processes (as many as there are cores)")
    parser.add_argument("--html", type=new_file, metavar="FILE", help="write the matrix as a page, too")
    parser.add_argument(
        "--json", type=file_or_output, metavar="FILE", help="write the matrix as JSON, too; - for the output"
    )
    parser.add_argument(
        "--pages", type=Path, metavar="FOLDER", help="write the guide: find and shrink every program anew"
    )
    options = parser.parse_args(argv)
    names = [name.replace("-", "_") for name in options.names] or None
    wrong = [name for name in names or () if name not in EXHIBITS]
    if wrong:
        parser.error(f"{unknown('exhibit', wrong[0], EXHIBITS)}; --list shows them")
    if options.list:
        for exhibit in EXHIBITS.values():
            show.written(f"{exhibit.slug:<28}{exhibit.title}")
        return 0
    found = matrix(names, THOROUGH if options.thorough else DRAWS, options.jobs)
    if options.json and str(options.json) == "-":
        print(show.as_json(found))
        return 0 if found.ok else 1
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    show.written(show.text(found, show.terminal_width(), colour))
    if options.json:
        options.json.write_text(show.as_json(found), encoding="utf-8")
    if options.html:
        options.html.write_text(show.as_html(found), encoding="utf-8")
    if options.pages:
        pages.write(found, options.pages, options.jobs)
    show.written(f"\n{show.summary(found)}")
    return 0 if found.ok else 1
