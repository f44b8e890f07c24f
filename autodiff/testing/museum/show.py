"""The kill matrix as text, as HTML, as JSON."""

from __future__ import annotations

import html
import json
import shutil
import sys
from collections.abc import Iterator
from typing import IO, Any

from .exhibit import EXHIBITS
from .matrix import CHECKERS, KIT, Matrix, Row
from .weak import WEAK

SHORT = {
    "values only": "values", "fixed direction": "direction", "whole jacobian": "jacobian",
    "second order": "2nd order", "shape and dtype": "dtype", "memory layouts": "layouts",
    "conventions": "convention", "walked twice": "twice", "deep graph": "depth",
    "no_grad in another thread": "threads", "written after": "stale", "nested derivatives": "nested",
}  # fmt: skip
ROOMS = {
    "walk": "The walk", "memory": "Memory and modes", "elementwise": "Elementwise", "reductions": "Reductions",
    "shapes": "Shapes and indices", "contractions": "Contractions", "orders": "The other mode, the second order",
    "networks": "Layers and losses",
}  # fmt: skip
PLAIN = str.maketrans("●×·…─│", "#!..-|")


def text(matrix: Matrix, width: int = 100, colour: bool = False) -> str:
    """A row for each bug, a column for each checker: ● it says what is wrong, × it does not get that far
    (something raises), · it notices nothing."""
    cell = 2
    room = width - cell * len(CHECKERS) - 4
    longest = max(len(EXHIBITS[row.exhibit].slug) for row in matrix.rows)
    name = min(longest, max(room, 12))
    paint = painter(colour)
    lines = [paint("dim", line) for line in headings(name)]
    last = ""
    for row in matrix.rows:
        exhibit = EXHIBITS[row.exhibit]
        if exhibit.room != last:
            last = exhibit.room
            lines.append(paint("bold", ROOMS[last]))
        marks = {c: mark(row, c) for c in CHECKERS}
        weak = "".join(f"{marks[c]:<{cell}}" for c in WEAK)
        kit = "".join(f"{marks[c]:<{cell}}" for c in KIT)
        alive = "" if row.by_kit else paint("red", "survives")
        lines.append(
            f"{shortened(exhibit.slug, name):<{name}}  {paint('yellow', weak)}│ {paint('green', kit)}{alive}".rstrip()
        )
    lines += [
        "",
        "● says what is wrong   × fails on the way   · notices nothing",
        *totals(matrix, width),
        *blame(matrix),
    ]
    return "\n".join(lines)


def headings(name: int) -> Iterator[str]:
    """The names of the checkers, from top to bottom."""
    short = [SHORT.get(c, c) for c in CHECKERS]
    height = max(map(len, short))
    for k in range(height):
        cells = [f"{word.rjust(height)[k]} " for word in short]
        yield f"{'':{name}}  {''.join(cells[: len(WEAK)])}│ {''.join(cells[len(WEAK) :])}".rstrip()
    yield "─" * (name + 4 + 2 * len(CHECKERS))


def mark(row: Row, checker: str) -> str:
    return {"found": "●", "raised": "×"}.get(row.killed_by.get(checker, ""), "·")


def shortened(word: str, width: int) -> str:
    return word if len(word) <= width else word[: width - 1] + "…"


def totals(matrix: Matrix, width: int) -> Iterator[str]:
    """How many each of the common checkers notices, as bars."""
    n = len(matrix.rows)
    scores = {name: matrix.score(name) for name in WEAK} | {"the kit": n - len(matrix.survivors)}
    longest = max(map(len, scores))
    space = max(10, min(width - longest - 12, 60))
    for name, score in scores.items():
        yield f"{name:<{longest}}  {score:>3} of {n}  {'●' * round(space * score / n)}"


def blame(matrix: Matrix) -> Iterator[str]:
    for row in matrix.blamed:
        what = ", ".join(f"{c} ({said})" for c, said in row.killed_by.items())
        yield f"the SOUND engine is blamed on {EXHIBITS[row.exhibit].program.text}: {what}"


def summary(matrix: Matrix) -> str:
    """One line."""
    n = len(matrix.rows)
    missed = ", ".join(f"{name} misses {n - matrix.score(name)}" for name in WEAK)
    alive = (
        f"{len(matrix.survivors)} survive: {', '.join(matrix.survivors)}"
        if matrix.survivors
        else "none survives"
    )
    blamed = f"blamed for {len(matrix.blamed)}" if matrix.blamed else "not blamed"
    return (
        f"{n} bugs: the kit notices {n - len(matrix.survivors)}, {alive}; {missed}; the sound engine is {blamed} "
        f"({matrix.seconds:.0f} s)"
    )


def painter(colour: bool) -> Any:
    codes = {"dim": "2", "bold": "1", "yellow": "33", "green": "32", "red": "31"}
    return lambda style, words: f"\x1b[{codes[style]}m{words}\x1b[0m" if colour and words.strip() else words


def written(words: str, stream: IO[str] | None = None) -> None:
    """Print, in ASCII where the terminal knows no better."""
    stream = stream or sys.stdout
    try:
        words.encode(getattr(stream, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        words = words.translate(PLAIN).encode("ascii", "replace").decode()
    print(words, file=stream)


def terminal_width() -> int:
    return max(60, min(shutil.get_terminal_size((100, 24)).columns, 140))


# ---- for other programs ---------------------------------------------------------------------------


def as_json(matrix: Matrix) -> str:
    rows = [
        {
            "exhibit": row.exhibit, "title": EXHIBITS[row.exhibit].title, "room": EXHIBITS[row.exhibit].room,
            "sources": [address for _, address in EXHIBITS[row.exhibit].links()],
            "noticed_by": row.killed_by, "killed_by_kit": bool(row.by_kit), "arguments": row.seen,
        }
        for row in matrix.rows
    ]  # fmt: skip
    found = {
        "bugs": len(matrix.rows), "survivors": matrix.survivors, "sound_engine_blamed": len(matrix.blamed),
        "scores": {name: matrix.score(name) for name in CHECKERS}, "seconds": round(matrix.seconds, 1), "rows": rows,
    }  # fmt: skip
    return json.dumps(found, indent=1, ensure_ascii=False)


def as_html(matrix: Matrix) -> str:
    """A page of its own."""
    head = "".join(f"<th><span>{html.escape(c)}</span></th>" for c in CHECKERS)
    body, last = [], ""
    for row in matrix.rows:
        exhibit = EXHIBITS[row.exhibit]
        if exhibit.room != last:
            last = exhibit.room
            body.append(
                f'<tr><th class="room" colspan="{len(CHECKERS) + 1}">{html.escape(ROOMS[last])}</th></tr>'
            )
        story = html.escape(" ".join(exhibit.story.split()), quote=True)
        cells = "".join(
            f'<td class="{"weak" if c in WEAK else "kit"} {row.killed_by.get(c, "")}">{mark(row, c)}</td>'
            for c in CHECKERS
        )
        body.append(f'<tr><th title="{story}">{html.escape(exhibit.title)}</th>{cells}</tr>')
    return PAGE.format(head=head, body="\n".join(body), summary=html.escape(summary(matrix)))


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>The museum of gradient bugs</title>
<style>
:root {{ color-scheme: light dark; --ink: #222; --paper: #fff; --line: #eee; --faint: #bbb; --weak: #9a5b00; --on-weak: #fff4e0; --kit: #14702d; --on-kit: #e6f5ea }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e4e7ee; --paper: #14171d; --line: #2a303a; --faint: #565e6b; --weak: #ffc46b; --on-weak: #3a2c12; --kit: #6cd694; --on-kit: #14301f }} }}
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; padding: 0 1em; max-width: 75em; color: var(--ink); background: var(--paper) }}
.scroll {{ overflow-x: auto }}
table {{ border-collapse: collapse }}
th {{ text-align: left; font-weight: 400; padding: 1px 10px 1px 0; white-space: nowrap; background: var(--paper) }}
tbody th:first-child, thead th:first-child {{ position: sticky; left: 0 }}
th.room {{ font-weight: 600; padding-top: .8em }}
thead th {{ height: 10.5em; vertical-align: bottom; padding: 0; width: 1.5em }}
thead span {{ writing-mode: vertical-rl; transform: rotate(180deg) }}
td {{ text-align: center; width: 1.5em; min-width: 1.4em; color: var(--faint); border-left: 1px solid var(--line); border-bottom: 1px solid var(--line) }}
td.weak.found, td.weak.raised {{ color: var(--weak); background: var(--on-weak) }}
td.kit.found, td.kit.raised {{ color: var(--kit); background: var(--on-kit) }}
@media (max-width: 40rem) {{ tbody th:not(.room) {{ white-space: normal; min-width: 9rem; max-width: 9rem }} }}
</style></head>
<body>
<h1>The museum of gradient bugs</h1>
<p>{summary}</p>
<p>● says what is wrong, × fails on the way, · notices nothing. Amber: the checkers that are common; green: the kit.</p>
<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead>
<tbody>
{body}
</tbody></table></div>
</body></html>
"""
