"""What was measured: tables of medians, ranges and ratios, and the machine they hold for; as Markdown, JSON and a
picture.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from contest import Outcome

PACKAGES = (
    "numpy", "numba", "torch", "jax", "autograd", "mygrad", "tinygrad", "micrograd", "threadpoolctl",
)  # fmt: skip


def median(times: list[float]) -> float:
    return statistics.median(times)


@dataclass
class Table:
    """Lines of measurements, one cell for each contender; a text where one has none, such as an error's name."""

    title: str
    unit: str
    cells: dict[str, dict[str, list[float] | str]]
    ours: str = "ours"  # the contender that the others are compared with
    more_is_better: bool = False
    rivals: tuple[str, ...] = ()  # those for which each line's least ratio is given; all the others, if empty
    axis: str = ""  # the lines are numbers along this, and the cost grows with them: an exponent is fitted
    notes: list[str] = field(default_factory=list)

    @property
    def contenders(self) -> list[str]:
        """All that are in a line, in order."""
        return list(dict.fromkeys(name for line in self.cells.values() for name in line))

    def median(self, line: str, contender: str) -> float | None:
        values = self.cells[line].get(contender)
        return None if not values or isinstance(values, str) else median(values)

    def ratio(self, line: str, contender: str) -> float | None:
        """How many times as fast as this contender ours is, or as sparing."""
        ours, other = self.median(line, self.ours), self.median(line, contender)
        if not ours or not other or contender == self.ours:
            return None
        return ours / other if self.more_is_better else other / ours

    def least_ratio(self, line: str) -> float | None:
        """To the best of the rivals."""
        ratios = [self.ratio(line, name) for name in self.rivals or self.contenders]
        return min((r for r in ratios if r is not None), default=None)

    def geometric_mean(self) -> float | None:
        """Of the lines' least ratios."""
        ratios = [r for line in self.cells if (r := self.least_ratio(line)) is not None]
        return math.exp(statistics.fmean(map(math.log, ratios))) if ratios else None

    def exponents(self, last: int | None = None) -> dict[str, float]:
        """For a curve: contender ↦ the e of cost ∝ x**e, by least squares among the logarithms of all points, or of
        the `last` ones."""
        found = {}
        for name in self.contenders:
            points = [(float(x), y) for x in self.cells if (y := self.median(x, name))][-(last or 0) :]
            if len(points) > 1:
                xs, ys = zip(*[(math.log(x), math.log(y)) for x, y in points], strict=True)
                found[name] = statistics.linear_regression(xs, ys).slope
        return found

    # ---- as text ---------------------------------------------------------------------------------

    def cell(self, line: str, contender: str) -> str:
        """Median, (least–most), and the ratio."""
        values = self.cells[line].get(contender, "")
        if isinstance(values, str) or not values:
            return values or ""
        spread = f" ({short(min(values))}–{short(max(values))})" if len(values) > 1 else ""
        ratio = self.ratio(line, contender)
        return f"{short(median(values))}{spread}" + (f", {short(ratio)} ×" if ratio else "")

    def markdown(self) -> str:
        """The table: contenders side by side, or one below the other where they are more than the lines."""
        names, lines = self.contenders, list(self.cells)
        across = len(names) <= len(lines)
        if across:
            rows = [[line, *(self.cell(line, name) for name in names)] for line in lines]
            head = [self.axis, *names]
            ratios = [self.least_ratio(line) for line in lines]
            if len(names) > 2 and any(ratios):
                head.append("ours to the best of " + (" and ".join(self.rivals) or "the others"))
                for row, ratio in zip(rows, ratios, strict=True):
                    row.append(f"{ratio:.2f}" if ratio else "")
        else:
            rows = [[name, *(self.cell(line, name) for line in lines)] for name in names]
            head = ["", *lines]
        if self.axis:
            for which, last in (("grows with the power", None), ("the three largest", 3)):
                powers = self.exponents(last)
                rows.append([which, *(f"{powers[name]:.2f}" if name in powers else "" for name in names)])
        rows = [row + [""] * (len(head) - len(row)) for row in rows]
        text = [
            f"### {self.title}",
            "",
            f"{self.unit[:1].upper()}{self.unit[1:]}.",
            "",
            *aligned([head, *rows]),
        ]
        for note in self.notes:
            text += ["", note]
        return "\n".join(text) + "\n"


def short(x: float) -> str:
    """Three digits that count."""
    if not x or not math.isfinite(x):
        return f"{x:g}"
    digits = 2 - math.floor(math.log10(abs(x)))
    return f"{round(x, digits):,.{max(0, digits)}f}"


def aligned(rows: list[list[str]]) -> list[str]:
    """A Markdown table that can be read as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * max(3, width) for width in widths])
    return [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows
    ]


# ---- a benchmark's results -------------------------------------------------------------------------


@dataclass
class Results:
    """All that one of these programs finds."""

    name: str
    title: str
    settings: dict[str, Any]
    machine: dict[str, Any]
    tables: list[Table] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    pools: dict[str, list[dict]] = field(default_factory=dict)

    def heard(self, outcome: Outcome, threads: int) -> None:
        """Who was missing, and what the others multiply with."""
        self.left_out |= outcome.left_out
        self.pools |= {f"{name}, threads: {threads}": pools for name, pools in outcome.pools.items()}

    def add(self, table: Table) -> None:
        """A table, printed at once."""
        self.tables.append(table)
        print(f"\n{table.markdown()}", end="", flush=True)

    def footnotes(self) -> list[str]:
        lines = [f"Left out: {name} ({reason})." for name, reason in self.left_out.items()]
        found: dict[str, list[str]] = {}
        for name, pools in self.pools.items():
            for pool in pools:
                if pool.get("user_api") == "blas":
                    found.setdefault(described(pool), []).append(name.partition(", threads: ")[0])
        return lines + [f"{what}: in {'; '.join(dict.fromkeys(names))}." for what, names in found.items()]

    def markdown(self) -> str:
        parts = [f"## {self.name}: {self.title}\n", *(t.markdown() for t in self.tables)]
        return "\n".join([*parts, *(f"- {line}" for line in self.footnotes())]) + "\n"

    def json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    @classmethod
    def read(cls, text: str) -> Results:
        found = json.loads(text)
        return cls(
            **found | {"tables": [Table(**t | {"rivals": tuple(t["rivals"])}) for t in found["tables"]]}
        )


def described(pool: dict) -> str:
    """A BLAS: its name, version, the kind of core its code is for, its threads."""
    parts = [pool.get("internal_api"), pool.get("version"), pool.get("architecture")]
    count = pool.get("num_threads")
    return f"{' '.join(map(str, filter(None, parts)))}, {count} thread{'' if count == 1 else 's'}"


def run(
    measure: Callable[[argparse.Namespace, Results], None], file: str, description: str, **more: Any
) -> None:
    """A benchmark's main: its arguments, its measurements, and what is printed and written of them."""
    title = description.strip().splitlines()[0].rstrip(".")
    args = arguments(title, **more)
    settings = {k: v for k, v in vars(args).items() if k != "json"}
    results = Results(Path(file).stem, title, settings, machine())
    print(described_machine(results.machine))
    measure(args, results)
    print("".join(f"\n- {line}" for line in results.footnotes()))
    if args.json:
        args.json.write_text(results.json(), encoding="utf-8")


def arguments(
    description: str,
    *,
    turns: int = 15,
    threads: tuple[int, ...] = (1, 2),
    flags: dict[str, dict] | None = None,
) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    shown = " and then ".join(map(str, threads))
    add("--threads", type=int, nargs="+", metavar="N", help=f"threads ({shown}; 1 where it is --quick)")
    add("--turns", type=int, metavar="N", help=f"turns of each contender ({turns}; 2 where it is --quick)")
    add("--quick", action="store_true", help="less of everything, to see that it runs: not to be quoted")
    add("--json", type=Path, metavar="FILE", help="write all times, too")
    for flag, settings in (flags or {}).items():
        add(flag, **settings)
    args = parser.parse_args()
    args.turns = args.turns or (2 if args.quick else turns)
    args.threads = args.threads or (list(threads)[:1] if args.quick else list(threads))
    return args


# ---- the machine -----------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """The processor, and the versions of what takes part."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "processor": processor(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else [],
    }


def described_machine(found: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    busy = f"; load {found['load'][0]:.1f}" if found["load"] else ""
    return f"{found['processor']}, {found['cores']} cores, {found['system']}; Python {found['python']}, {versions}{busy}"


def processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        return next(line.partition(": ")[2] for line in text.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
