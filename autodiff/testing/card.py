"""The report card of an engine: what it says, as text, as JSON and as a page."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .checks import CHECKS

FORMAT = 1  # of the JSON; a reader may rely on the names of a format
MARKS = {"right": "✓", "wrong": "✗", "fails": "✗", "declined": "·", "": "·"}
SHORT = {"second order": "2nd order", "shape and dtype": "shape, dtype", "memory layouts": "layouts",
         "accumulation": "accumulate", "determinism": "determin."}  # fmt: skip


@dataclass
class Miss:
    """A property that an operation does not have, and a program that shows it."""

    check: str
    message: str
    program: str = ""


@dataclass
class Convention:
    """What an engine says where calculus leaves a choice; nothing that could be right or wrong."""

    at: str
    got: str
    ours: str
    same: bool


@dataclass
class Entry:
    """A row of the card: an operation, or a program made of several."""

    name: str
    section: str  # "operations" or "programs"
    verdict: str = ""  # "right"; "wrong"; "fails": it raised for everything, crashed or did not end;
    #                      "declined": the engine says that there is no gradient of it
    examples: int = 0
    properties: dict[str, str] = field(default_factory=dict)  # check → "right" or "wrong"
    misses: list[Miss] = field(default_factory=list)
    declined: int = 0  # examples that the engine does not take, gradient or no gradient
    declined_as: str = ""  # one of them
    not_offered: dict[str, str] = field(default_factory=dict)  # check → why the engine says it cannot
    conventions: list[Convention] = field(default_factory=list)
    note: str = ""
    seconds: float = 0.0

    @classmethod
    def of(cls, found: dict) -> Entry:
        """An entry from what its JSON holds."""
        entry = cls(**found)
        entry.misses = [Miss(**m) for m in found["misses"]]
        entry.conventions = [Convention(**c) for c in found["conventions"]]
        return entry


@dataclass
class Card:
    """All that there is to say about an engine."""

    name: str
    version: str = ""
    status: str = "graded"  # or "skipped" (not installed), "unrecognised", "broken" (it cannot be loaded)
    message: str = ""
    entries: list[Entry] = field(default_factory=list)
    waived: dict[str, str] = field(default_factory=dict)  # check → why it says nothing about this engine
    documented: dict[str, str] = field(
        default_factory=dict
    )  # operation → what its makers say of its gradient
    not_offered: list[str] = field(default_factory=list)
    required: list[str] = field(default_factory=list)  # operations that are asked for
    seconds: float = 0.0

    @property
    def right(self) -> int:
        return sum(entry.verdict == "right" for entry in self.entries)

    def has(self, name: str) -> bool:
        """Is there a row of that name?"""
        return any(entry.name == name for entry in self.entries)

    @property
    def lacking(self) -> list[str]:
        """Required operations that are not there."""
        return [name for name in self.required if not self.has(name)]

    @property
    def rows(self) -> int:
        return sum(entry.verdict != "declined" for entry in self.entries) + len(self.lacking)

    @property
    def ok(self) -> bool:
        return self.status == "graded" and self.right == self.rows > 0

    @property
    def checks(self) -> tuple[int, int]:
        """(passed, asked) over all rows and properties."""
        found = [
            v for entry in self.entries for v in entry.properties.values() if entry.verdict != "declined"
        ]
        failed = sum(entry.verdict == "fails" and not entry.properties for entry in self.entries)
        return found.count("right"), len(found) + failed + len(self.lacking)

    @property
    def total(self) -> str:
        if self.status != "graded":
            return f"{self.status}: {self.message.splitlines()[0] if self.message else ''}"
        passed, asked = self.checks
        return f"{self.right} of {self.rows} rows right, {passed} of {asked} checks passed"

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}".strip()

    def columns(self) -> list[str]:
        """The checks that were asked of any row."""
        asked = {name for entry in self.entries for name in entry.properties}
        return [name for name in CHECKS if name in asked]

    # ---- as data -----------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        passed, asked = self.checks
        total = {"rows": self.rows, "right": self.right, "checks": asked, "passed": passed, "ok": self.ok}
        return {"format": FORMAT, "total": total, **asdict(self)}

    # ---- as text -----------------------------------------------------------------------------------

    def __str__(self):
        if self.status != "graded":
            return f"{self.title}: {self.status}\n{self.message}"
        lines = [self.title, "─" * len(self.title), ""]
        for section in ("operations", "programs"):
            lines += self.table([e for e in self.entries if e.section == section], section)
        for name in self.lacking:
            lines.append(f"✗ {name}: asked for, and not offered")
        misses = [(entry, miss) for entry in self.entries for miss in entry.misses]
        for entry, miss in misses:
            lines += [
                "",
                f"✗ {entry.name}: {miss.check}",
                *indented(miss.message),
                *indented(miss.program, "    | "),
            ]
        lines += ["", *self.remarks(), "", self.total]
        return "\n".join(line.rstrip() for line in lines)

    def table(self, entries: Sequence[Entry], section: str) -> list[str]:
        if not entries:
            return []
        columns = self.columns()
        width = max(len("operations") - 2, *(len(entry.name) for entry in self.entries))
        heads = [SHORT.get(name, name) for name in columns]
        lines = ["  ".join([section.ljust(width + 2), *heads])]
        for entry in entries:
            marks = [
                MARKS[entry.properties.get(c, "")].center(len(h)) for c, h in zip(columns, heads, strict=True)
            ]
            line = "  ".join([f"{MARKS[entry.verdict]} {entry.name}".ljust(width + 2), *marks])
            declined = f"  (declined {entry.declined} of {entry.examples})" if entry.declined else ""
            lines.append(line + declined)
        return [*lines, ""]

    def remarks(self) -> list[str]:
        """What is neither right nor wrong."""
        lines = [f"· not asked: {name} ({why})" for name, why in self.waived.items()]
        lines += [f"· as documented, and not asked: {name}, {why}" for name, why in self.documented.items()]
        if self.not_offered:
            lines.append(f"· not offered, or unknown to the adapter: {', '.join(self.not_offered)}")
        unsaid: dict[str, list[str]] = {}
        notes: dict[str, list[str]] = {}
        for entry in self.entries:
            for check in entry.not_offered:
                unsaid.setdefault(check, []).append(entry.name)
            if entry.note:
                notes.setdefault(entry.note, []).append(entry.name)
        lines += [f"· {', '.join(names)}: {note}" for note, names in notes.items()]
        lines += [f"· {check} is not implemented, for all or some arguments, in: {', '.join(names)}"
                  for check, names in unsaid.items()]  # fmt: skip
        chosen = [c for entry in self.entries for c in entry.conventions]
        other = [c for c in chosen if not c.same]
        if chosen:
            lines.append(f"· conventions, where calculus leaves a choice: {len(chosen) - len(other)} of {len(chosen)} as ours"
                         + (", and" if other else ""))  # fmt: skip
        lines += [f"    {c.at}: {c.got} (ours: {c.ours})" for c in other]
        return lines

    # ---- as a page ---------------------------------------------------------------------------------

    def as_html(self) -> str:
        return page(f"Report card: {self.title}", [self.section()])

    def section(self, level: int = 1) -> str:
        """The card as a part of a page."""
        e = html.escape
        state = "ok" if self.ok else "bad"
        head = f'<h{level}>{e(self.title)}</h{level}>\n<p class="total {state}">{e(self.total)}</p>'
        if self.status != "graded":
            return f"{head}\n<pre>{e(self.message)}</pre>"
        tables = [
            self.html_table([x for x in self.entries if x.section == s], s)
            for s in ("operations", "programs")
        ]
        lacking = "".join(
            f'<li><span class="wrong">✗</span> {e(n)}: asked for, and not offered</li>' for n in self.lacking
        )
        misses = "\n".join(
            f'<article id="{e(anchor(self, x.name))}"><h{level + 1}>{e(x.name)}</h{level + 1}>' + "".join(
                f'<h{level + 2}>{e(m.check)}</h{level + 2}><p class="message">{e(m.message)}</p>'
                + (f"<pre>{e(m.program)}</pre>" if m.program else "") for m in x.misses) + "</article>"
            for x in self.entries if x.misses)  # fmt: skip
        remarks = "".join(
            f"<li>{e(line.strip('· '))}</li>" for line in self.remarks() if line.startswith("·")
        )
        return "\n".join([head, *tables, f"<ul>{lacking}</ul>" if lacking else "", misses, self.html_conventions(level),
                          f"<h{level + 1}>Remarks</h{level + 1}><ul>{remarks}</ul>" if remarks else ""])  # fmt: skip

    def html_table(self, entries: Sequence[Entry], section: str) -> str:
        if not entries:
            return ""
        e, columns = html.escape, self.columns()
        heads = "".join(f'<th scope="col">{e(SHORT.get(c, c))}</th>' for c in columns)
        body = []
        for x in entries:
            name = f'<a href="#{e(anchor(self, x.name))}">{e(x.name)}</a>' if x.misses else e(x.name)
            cells = "".join(cell(x.properties.get(c, ""), c) for c in columns)
            declined = (
                f'<small title="{e(x.declined_as)}">declined {x.declined} of {x.examples}</small>'
                if x.declined
                else ""
            )
            body.append(f'<tr><th scope="row">{mark(x.verdict)}&nbsp;{name} {declined}</th>{cells}</tr>')
        return (f'<div class="scroll"><table><thead><tr><th scope="col">{section}</th>{heads}</tr></thead>'
                f"<tbody>{''.join(body)}</tbody></table></div>")  # fmt: skip

    def html_conventions(self, level: int) -> str:
        e = html.escape
        found = [c for x in self.entries for c in x.conventions]
        if not found:
            return ""
        lines = "".join(f'<tr class="{"" if c.same else "other"}"><th scope="row"><code>{e(c.at)}</code></th><td>{e(c.got)}</td>'
                        f"<td>{e(c.ours)}</td></tr>" for c in found)  # fmt: skip
        return (f"<h{level + 1}>Conventions</h{level + 1}><p>Where calculus leaves a choice: no right and no wrong.</p>"
                '<div class="scroll"><table class="text"><thead><tr><th scope="col">gradient at</th><th scope="col">'
                f"this engine</th><th scope=\"col\">autodiff</th></tr></thead><tbody>{lines}</tbody></table></div>")  # fmt: skip


def indented(text: str, by: str = "    ") -> list[str]:
    return [by + line for line in text.splitlines()]


def anchor(card: Card, name: str) -> str:
    return f"{card.name}-{name}".replace(" ", "-")


def mark(verdict: str) -> str:
    names = {"right": "right", "wrong": "wrong", "fails": "wrong"}
    spoken = {"right": "right", "wrong": "wrong", "fails": "fails", "declined": "not implemented"}
    return f'<span class="{names.get(verdict, "none")}" role="img" aria-label="{spoken.get(verdict, "not asked")}">{MARKS[verdict]}</span>'


def cell(verdict: str, check: str) -> str:
    return f'<td title="{html.escape(check)}">{mark(verdict)}</td>'


# ---- several cards ------------------------------------------------------------------------------------


def ranking(cards: Sequence[Card], width: int = 0) -> str:
    """A table of submissions, as text; titles take at least `width` characters."""
    width = max(width, *(len(card.title) for card in cards))
    lines = [f"{'✓' if card.ok else '✗' if card.status != 'skipped' else '·'} {card.title.ljust(width)}  {card.total}"
             for card in cards]  # fmt: skip
    return "\n".join(lines)


def class_page(cards: Sequence[Card], title: str) -> str:
    """The table, and every card below it."""
    e = html.escape
    lines = []
    for k, card in enumerate(cards):
        passed, asked = card.checks
        wrong = [x.name for x in card.entries if x.verdict not in ("right", "declined")] + card.lacking
        text = ", ".join(wrong) if card.status == "graded" else card.total
        lines.append(f'<tr><th scope="row"><a href="#card-{k}">{e(card.title)}</a></th>'
                     f"<td>{card.right} / {card.rows}</td><td>{passed} / {asked}</td><td class=\"wide\">{e(text)}</td></tr>")  # fmt: skip
    heads = "".join(f'<th scope="col">{h}</th>' for h in ("", "rows right", "checks", "not right"))
    table = f'<div class="scroll"><table class="text ranking"><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
    sections = [f'<details id="card-{k}"><summary>{e(card.title)}: {e(card.total)}</summary>{card.section(2)}</details>'
                for k, card in enumerate(cards)]  # fmt: skip
    return page(title, [f"<h1>{e(title)}</h1>", table, *sections, OPENED])


OPENED = """<script>
function show() {  // what a link leads to may be closed, or inside of what is
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  const card = target.closest("details");
  if (card) card.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", show);
document.addEventListener("click", event => { if (event.target.closest("a")) setTimeout(show); });
show();
</script>"""


STYLE = """
:root { color-scheme: light dark; --ink: #1d2330; --paper: #fff; --line: #d5d9e0; --soft: #f4f5f8; --good: #16703c; --bad: #b3261e; --link: #1a56b0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ee; --paper: #14171d; --line: #39404d; --soft: #1e232c; --good: #6cd694; --bad: #ff8f87; --link: #8ab8ff; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 72rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; } h3, h4 { font-size: 1rem; margin: 1rem 0 .25rem; }
a { color: var(--link); } .total { font-size: 1.1rem; font-weight: 600; } .ok, .right { color: var(--good); } .bad, .wrong { color: var(--bad); } .none { opacity: .45; }
.scroll { overflow-x: auto; margin: 1rem 0; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; } th, td { padding: .3rem .5rem; border-top: 1px solid var(--line); text-align: center; white-space: nowrap; }
thead th { border-top: 0; background: var(--soft); font-weight: 600; } tbody th { text-align: left; font-weight: 400; position: sticky; left: 0; background: var(--paper); }
thead th:first-child { text-align: left; position: sticky; left: 0; } small { opacity: .75; } table.text td { text-align: left; } td.wide { white-space: normal; min-width: 14rem; }
tr.other td:nth-child(2) { font-weight: 600; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .75rem; overflow-x: auto; font-size: .85rem; overflow-wrap: normal; } .message { white-space: pre-wrap; margin: .25rem 0; }
summary { cursor: pointer; padding: .5rem 0; font-weight: 600; border-top: 1px solid var(--line); }
@media (max-width: 40rem) {
  tbody th { min-width: 8rem; max-width: 9.5rem; white-space: normal; }
  .ranking thead { display: none; } .ranking tr { display: grid; grid-template-columns: auto 1fr; border-top: 1px solid var(--line); padding: .4rem 0; }
  .ranking th, .ranking td { border: 0; padding: .1rem .5rem; } .ranking th, .ranking td.wide { grid-column: 1 / -1; max-width: none; min-width: 0; }
  .ranking th { font-weight: 600; } .ranking td:nth-child(2)::after { content: " rows right"; } .ranking td:nth-child(3)::after { content: " checks"; }
  .ranking td.wide:not(:empty)::before { content: "✗ "; color: var(--bad); }
}
"""


def page(title: str, parts: Iterable[str]) -> str:
    return (f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, '
            f'initial-scale=1">\n<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n'
            + "\n".join(filter(None, parts)) + "\n</main>\n</body>\n</html>\n")  # fmt: skip


def write(path: str | Path, text: str) -> None:
    Path(path).write_text(text, encoding="utf-8")
