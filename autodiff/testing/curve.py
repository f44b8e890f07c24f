"""error_curve: why finite differences cannot be trusted blindly, seen on a function of your own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .case import Case
from .options import INSTALL
from .oracles import ComplexStep, Unsuitable, moved

METHODS = {"forward difference": "f", "central difference": "c", "complex step": "i"}


@dataclass
class ErrorCurve:
    """Relative errors of ways to differentiate along a direction, for steps from 1 to 10⁻¹⁶.

    They are errors against the engine's own gradient: if all the curves flatten out at the same
    height, it is the engine that is wrong, by that much.
    """

    name: str
    steps: np.ndarray
    errors: dict[str, np.ndarray]

    @property
    def best(self) -> dict[str, tuple[float, float]]:
        """For each way, its least error and the step that has it."""
        found = {}
        for method, errors in self.errors.items():
            k = int(np.nanargmin(errors))
            found[method] = (float(errors[k]), float(self.steps[k]))
        return found

    def __str__(self):
        rows, columns = 17, len(self.steps)
        grid = [[" "] * columns for _ in range(rows)]
        for method, errors in self.errors.items():
            for k, error in enumerate(errors):
                if np.isfinite(error):
                    row = round(-math.log10(min(max(error, 1e-16), 1.0)))
                    here = grid[row][k]
                    grid[row][k] = METHODS[method] if here in (" ", METHODS[method]) else "*"
        lines = [f"{self.name}: the relative error of its derivative, by the step"]
        lines += [f"{f'1e-{r:02d}' if r else '1':>6} |{''.join(row)}" for r, row in enumerate(grid)]
        ends = (f"{self.steps[0]:.0e}", f"{self.steps[-1]:.0e}")
        lines.append(" " * 7 + "+" + "-" * columns)
        lines.append(" " * 8 + ends[0] + ends[1].rjust(columns - len(ends[0])))
        for method, (error, step) in self.best.items():
            lines.append(f"  {METHODS[method]} {method}: {error:.0e} at best, with a step of {step:.0e}")
        return "\n".join((*lines, "  * several of them"))

    __repr__ = __str__

    def plot(self, axes: Any = None) -> Any:
        """The curves on Matplotlib's axes (new ones, unless given), both scales logarithmic."""
        if axes is None:
            try:
                from matplotlib.figure import Figure
            except ImportError as error:
                raise ImportError(f"the picture needs Matplotlib: {INSTALL.format('viz')}") from error
            axes = Figure(figsize=(6, 4), layout="constrained").add_subplot()
        for method, errors in self.errors.items():
            axes.loglog(self.steps, np.maximum(errors, 1e-17), ".-", label=method)
        axes.set_xlabel("step")
        axes.set_ylabel("relative error")
        axes.set_title(self.name)
        axes.invert_xaxis()
        axes.legend()
        return axes

    def save(self, path: Any) -> None:
        """The picture as a file: PNG, SVG or PDF, by its name."""
        self.plot().figure.savefig(path)


def error_curve(f: Callable, *inputs: Any, seed: int = 0) -> ErrorCurve:
    """How far finite differences of f are off along a random direction, by the step: large steps leave
    out the higher derivatives, small ones lose digits to cancellation. The complex step, where f is
    analytic, subtracts nothing: its line falls to rounding and stays there.

    print() it, or .save("curve.png").
    """
    case = Case(f, inputs, seed=seed, oracle="finite differences")
    xs, reference = case.arrays, case.reference
    size = math.sqrt(sum(float(np.sum(t * t)) for t in case.ts)) or 1.0
    ts = [t / size for t in case.ts]
    true = sum(float(np.sum(case.once.gradient(k) * t)) for k, t in enumerate(ts))
    along = lambda ys: sum(float(np.sum(g * y)) for g, y in zip(case.gs, ys, strict=True))
    f0 = along(reference(*xs))
    steps = 10.0 ** -np.arange(0, 16.01, 0.25)
    found: dict[str, list[float]] = {method: [] for method in METHODS}
    with np.errstate(all="ignore"):
        for h in steps:
            ahead, behind = (along(reference(*moved(xs, ts, sign * h))) for sign in (1, -1))
            found["forward difference"].append((ahead - f0) / h)
            found["central difference"].append((ahead - behind) / (2 * h))
            try:
                found["complex step"].append(along(ComplexStep().along(reference, xs, ts, h)[1]))
            except Unsuitable:
                found["complex step"].append(math.nan)
    errors = {m: abs(np.array(d) - true) / (abs(true) or 1.0) for m, d in found.items()}
    known = {m: e for m, e in errors.items() if np.isfinite(e).any()}
    return ErrorCurve(case.name, steps, known)
