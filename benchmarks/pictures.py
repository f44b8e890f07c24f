"""Pictures of results: a panel for each table, all in one file."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

from report import Results, Table, median, short

WIDTH, LINE, CURVE, FRAME = 9.0, 0.34, 4.0, 1.4  # inches
OURS, OTHERS = (
    "#c0392b",
    ("#2c6fbb", "#3a923a", "#8e44ad", "#d98a00", "#16a0a0", "#7f7f7f", "#8c564b", "#c85a9e"),
)
MARKS = "sD^vP*Xp"


def draw(results: Results, path: Path) -> bool:
    """Writes the picture; False where matplotlib is missing, or nothing was measured."""
    tables = [table for table in results.tables if table.contenders]
    if not tables or not usable():
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = [height(table) for table in tables]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(tables), 1, squeeze=False, height_ratios=heights)[:, 0]
    for table, panel in zip(tables, panels, strict=True):
        {"curve": curve, "values": values, "ratios": ratios}[kind(table)](table, panel)
        panel.set_title(table.title, loc="left", fontsize=11)
        panel.grid(True, axis="both" if table.axis else "x", alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    return True


@cache
def usable() -> bool:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        print("no pictures: matplotlib is not installed. Try: pip install matplotlib", file=sys.stderr)
        return False
    return True


def kind(table: Table) -> str:
    """Curves along an axis; ratios to ours for several lines, whose units may differ; else the values."""
    if table.axis:
        return "curve"
    compared = any(table.ratio(line, name) for line in table.cells for name in table.contenders)
    return "ratios" if len(table.cells) > 1 and compared else "values"


def height(table: Table) -> float:
    if kind(table) == "curve":
        return CURVE
    lines = len(table.cells) if len(table.cells) > 1 else len(table.contenders)
    return FRAME + LINE * max(lines, 3)


def style(table: Table, name: str) -> dict[str, Any]:
    """Ours is red; each of the others has a colour and a mark."""
    if name == table.ours:
        return {"color": OURS, "marker": "o"}
    k = [n for n in table.contenders if n != table.ours].index(name)
    return {"color": OTHERS[k % len(OTHERS)], "marker": MARKS[k % len(MARKS)]}


def curve(table: Table, panel: Any) -> None:
    for name, exponent in table.exponents().items():
        points = [(float(x), y) for x in table.cells if (y := table.median(x, name))]
        panel.plot(*zip(*points, strict=True), label=f"{name}: power {exponent:.2f}", **style(table, name))
    panel.set(xscale="log", yscale="log", xlabel=table.axis, ylabel=table.unit.partition(":")[0])
    plain(panel.yaxis)
    panel.minorticks_off()
    panel.set_xticks([float(x) for x in table.cells], [f"{int(x):,}" for x in table.cells])
    panel.legend(frameon=False, fontsize=9)


def values(table: Table, panel: Any) -> None:
    """The medians with their ranges, and the numbers beside them."""
    alone = len(table.cells) == 1
    rows = list(table.contenders if alone else table.cells)
    for k, row in enumerate(rows):
        cells = {row: next(iter(table.cells.values())).get(row)} if alone else table.cells[row]
        for name, cell in cells.items():
            if isinstance(cell, str) or not cell:
                continue
            middle, look = median(cell), style(table, name)
            panel.plot([min(cell), max(cell)], [k, k], color=look["color"], alpha=0.5)
            panel.plot(middle, k, linestyle="", label=name if k == 0 else None, **look)
            if alone:
                panel.annotate(short(middle), (max(cell), k), (6, -3), textcoords="offset points", fontsize=8)
    finish(panel, rows, table.unit.partition(":")[0], legend=not alone)


def ratios(table: Table, panel: Any) -> None:
    """How many times as fast as each of the others ours is."""
    rows, named = list(table.cells), set()
    panel.axvline(1, color=OURS, linewidth=1.2)
    for k, row in enumerate(rows):
        for name in table.contenders:
            ratio = table.ratio(row, name)
            if ratio:
                label = None if name in named else name
                named.add(name)
                panel.plot(ratio, k, linestyle="", label=label, **style(table, name))
    for name in table.contenders:
        instead = {str(line.get(name)) for line in table.cells.values()}
        if len(instead) == 1 and name not in named and name != table.ours:  # an error, all along
            panel.plot([], [], linestyle="", label=f"{name}: {instead.pop()}", **style(table, name))
    finish(panel, rows, f"times {table.ours} (the line): it is ahead of what lies to the right", legend=True)


def finish(panel: Any, rows: list[str], label: str, legend: bool) -> None:
    panel.set_yticks(range(len(rows)), rows, fontsize=9)
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.margins(x=0.12)
    panel.set(xscale="log", xlabel=label)
    plain(panel.xaxis)
    if legend:
        panel.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))


def plain(axis: Any) -> None:
    """A logarithmic axis with numbers as they are usually written."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    subs = (1, 1.5, 2, 3, 5, 7) if high < 10 * low else (1, 2, 5) if high < 500 * low else (1,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10g}"))
    axis.set_minor_formatter(NullFormatter())
