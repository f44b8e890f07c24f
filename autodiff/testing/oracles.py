"""Derivatives from the function alone: no rule of the engine has a part in them.

Each oracle gives the slope of every output along a direction, from the right and from the left: at
a kink (relu at 0, a tie of max) they differ, and any gradient between the two is right.

oracle               error      it sees                                   it cannot see
Exact                none       + − × ÷, whole powers, |x|, floor,        exp, sin … ; the compiled
                                comparisons, selections, reductions,      kernels (it runs their
                                shapes, indexing, products, convolution   NumPy twins)
Modular              none       + − × ÷, shapes, indexing, products       comparisons; a small chance
                                                                          (2⁻⁶¹) of agreement by accident
ComplexStep          rounding   analytic functions: what is made of       |x|, atan2, erf and what casts
                                + − × ÷ exp log sin … and selections      to real numbers: it is compared
                                                                          with differences, and given up
FiniteDifferences    it tells   everything that can be evaluated          errors below its own estimate;
                                                                          kinks closer than its least step
Values               rounding   + − × ÷ ** exp log tanh, reductions,      comparisons, relu
                                products: `scalar.Value`, another engine
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ..scalar import Value
from .dual import Dual, Residue, duals, numbers, split
from .options import listed

Arrays = Sequence[np.ndarray]
Function = Callable[..., list[np.ndarray]]  # arrays ↦ the arrays of the differentiable outputs


class Unsuitable(Exception):
    """This oracle cannot differentiate this function here; the text says why."""


@dataclass
class Slopes:
    """What an oracle says of J·t, for each output."""

    values: list[np.ndarray]
    right: list[np.ndarray]
    left: list[np.ndarray]
    error: list[np.ndarray]  # how far off the slopes may be, at each element
    ties: bool = False  # did a comparison of equal numbers decide? (known to the exact oracle alone)

    @property
    def kinks(self) -> bool:
        """Do the slopes from the right and from the left differ anywhere?"""
        return any(map(np.any, self.kinked()))

    def kinked(self) -> list[np.ndarray]:
        return [r != left for r, left in zip(self.right, self.left, strict=True)]


class Oracle:
    """Gives slopes; from these, curvatures."""

    name = "oracle"
    exact = False  # are the slopes exact numbers?
    ordered = True  # can they be compared, and with floating ones?
    rtol = 1e-9  # what rounding may do to it, relative to the terms of a sum

    def over(self, array: np.ndarray) -> np.ndarray:
        """An array in the numbers that this oracle computes with."""
        return array

    def slopes(self, f: Function, xs: Arrays, ts: Arrays) -> Slopes:
        """The derivative of f at xs along ts."""
        raise NotImplementedError

    def curvatures(self, f: Function, xs: Arrays, us: Arrays, ts: Arrays) -> tuple[list, list]:
        """D²f(x)[u, t] for each output, and how far off it may be: the slope along t, differentiated
        numerically along u."""

        noise = [0.0]

        def slope(step):
            found = self.slopes(f, moved(xs, us, float(step)), ts)
            noise.extend(np.max(e, initial=0) for e in found.error)
            return [np.where(r == le, r, np.nan) for r, le in zip(found.right, found.left, strict=True)]

        outer = FiniteDifferences(levels=6, step=0.04)
        line = [np.zeros(())], [np.ones(())]
        found = outer.from_step(outer.first_step(*line), slope, *line)
        if found.kinks or not all(np.isfinite(r).all() for r in found.right):
            raise Unsuitable("there is a kink close by")
        if any(np.any(e > 1e-3 * abs(r) + 1e-6) for e, r in zip(found.error, found.right, strict=True)):
            raise Unsuitable("the slope changes too fast for finite differences")
        return found.right, [e + max(noise) / outer.least for e in found.error]


class Exact(Oracle):
    """The same program over dual numbers of Fractions: forward mode with exact arithmetic."""

    name = "exact"
    exact = True

    def over(self, array):
        return numbers(array)

    def slopes(self, f, xs, ts):
        ties_before, jumps_before = Dual.ties, Dual.jumps
        values, right = self.along(f, xs, ts)
        ties = Dual.ties > ties_before
        left = right
        if ties or Dual.jumps > jumps_before:
            left = [np.negative(s) for s in self.along(f, xs, [np.negative(t) for t in ts])[1]]
        left = [np.asarray(s, object) for s in left]
        return Slopes(values, right, left, [np.zeros(v.shape) for v in values], ties)

    def along(self, f, xs, ts):
        inputs = [duals(self.over(x), self.over(t)) for x, t in zip(xs, ts, strict=True)]
        found = [split(y) for y in self.run(f, inputs)]
        return [v for v, _ in found], [s for _, s in found]

    def curvatures(self, f, xs, us, ts):
        inputs = []
        for x, u, t in zip(xs, us, ts, strict=True):
            x, u, t = self.over(x), self.over(u), self.over(t)
            inputs.append(duals(duals(x, u), duals(t, self.over(np.zeros(x.shape, int)))))
        before = Dual.ties
        mixed = [split(split(y)[1])[1] for y in self.run(f, inputs)]
        if Dual.ties > before:
            raise Unsuitable("a tie decides: conventions say what the slope of a slope is there")
        return mixed, [np.zeros(m.shape) for m in mixed]

    def run(self, f, inputs):
        try:
            return f(*inputs)
        except Exception as error:  # whatever a program says of numbers that are no floats
            irrational = re.search(r"no callable (\w+) method", str(error))  # NumPy's words
            why = f"{irrational[1]} is not rational" if irrational else f"not in exact numbers: {error}"
            raise Unsuitable(why) from error


class Modular(Exact):
    """Like Exact, but modulo a large prime: numbers stay small, however long the program."""

    name = "modular"
    ordered = False

    def over(self, array):
        return numbers(array, Residue)

    def slopes(self, f, xs, ts):
        values, right = self.along(f, xs, ts)  # without comparisons there are no kinks
        return Slopes(values, right, right, [np.zeros(v.shape) for v in values])


class ComplexStep(Oracle):
    """Im f(x + iht) / h with h = 2⁻²⁰⁰: nothing is subtracted, so nothing cancels (Squire and Trapp
    1998). Comparisons order complex numbers by their real part, then by the imaginary one, so that
    ±h give the slopes from the right and from the left."""

    name = "complex step"
    step = 2.0**-200

    def slopes(self, f, xs, ts):
        values, right = self.along(f, xs, ts, self.step)
        _, left = self.along(f, xs, ts, -self.step)
        _, closer = self.along(f, xs, ts, self.step * 2.0**-40)
        grows = [abs(c) > 2 * abs(r) for c, r in zip(closer, right, strict=True)]  # as of sqrt at 0
        right, left = ([np.where(g, np.copysign(np.inf, s), s) for g, s in zip(grows, side, strict=True)]
                       for side in (right, left))  # fmt: skip
        with np.errstate(invalid="ignore"):  # inf - inf: they differ, as they should
            left = [np.where(abs(r - le) <= 1e-12 * (abs(r) + abs(le)), r, le)
                    for r, le in zip(right, left, strict=True)]  # fmt: skip
        return Slopes(values, right, left, [np.zeros(v.shape) for v in values])

    def along(self, f, xs, ts, h):
        inputs = [np.asarray(x + 1j * (h * t)) for x, t in zip(xs, ts, strict=True)]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error")  # of a cast that drops the imaginary part
            try:
                ys = [np.asarray(y) for y in f(*inputs)]
            except Exception as error:  # whatever a program says of complex numbers
                raise Unsuitable(f"not for complex numbers: {error}") from error
        if not any(y.dtype.kind == "c" for y in ys):
            raise Unsuitable("it drops the imaginary part")
        return [np.real(y) for y in ys], [np.imag(y) / h for y in ys]


class FiniteDifferences(Oracle):
    """Differences over steps that halve, extrapolated to the step 0 (Richardson 1911), with the
    estimate of the error that goes with them (Ridders 1982).

    The largest step is `step`, relative to the size of x; of the table of extrapolations each
    output takes the entry whose neighbours agree best. If the slopes from the right and from the
    left differ by more than their errors allow, that is a kink.
    """

    name = "finite differences"
    rtol = 1e-8

    def __init__(self, levels: int = 9, step: float = 0.05):
        self.levels, self.step = levels, step

    @property
    def least(self) -> float:
        """The smallest step."""
        return self.step / 2**self.levels

    def slopes(self, f, xs, ts):
        h0 = self.first_step(xs, ts)
        found = self.from_step(h0, f, xs, ts)
        sizes = (np.maximum(abs(r), abs(le)) for r, le in zip(found.right, found.left, strict=True))
        if any(np.any(e > 1e-6 * s + 1e-12) for e, s in zip(found.error, sizes, strict=True)):
            closer = self.from_step(h0 / 2**self.levels, f, xs, ts)  # is it fast, or a kink near by?
            for k, (e, finer) in enumerate(zip(found.error, closer.error, strict=True)):
                for name in ("right", "left", "error"):
                    of = getattr(found, name)
                    of[k] = np.where(finer < e, getattr(closer, name)[k], of[k])
        return found

    def from_step(self, h0: float, f, xs, ts) -> Slopes:
        """By steps from h0 down."""
        at = f(*xs)
        ahead, behind = [], []
        with np.errstate(all="ignore"):
            for k in range(self.levels):
                h = h0 / 2**k
                ahead.append((h, f(*moved(xs, ts, h))))
                behind.append((h, f(*moved(xs, ts, -h))))
            found = [self.of_output(k, y, ahead, behind) for k, y in enumerate(at)]
        right, left, error = ([part[k] for part in found] for k in range(3))
        return Slopes([np.asarray(y, np.float64) for y in at], right, left, error)

    def first_step(self, xs, ts) -> float:
        """A power of 2 near `step`, relative to the size of what moves if that is not small."""
        size = max((np.max(abs(x[t != 0]), initial=0) for x, t in zip(xs, ts, strict=True)), default=0)
        speed = max((np.max(abs(t), initial=0) for t in ts), default=0) or 1.0
        exponent = np.round(np.log2(self.step * min(max(size, 0.5), 1e3) / speed))
        return float(2.0**exponent)

    def of_output(self, k, y, ahead, behind):
        epsilon = precision(y)
        y = np.asarray(y, np.float64)
        plus = [(np.asarray(ys[k]) - y) / h for h, ys in ahead]
        minus = [(y - np.asarray(ys[k])) / h for h, ys in behind]
        three = [np.stack([(p + m) / 2, p, m]) for p, m in zip(plus, minus, strict=True)]
        noise = epsilon * (abs(y) + 1e-300) / ahead[-1][0]
        limits, errors = extrapolated(three, np.reshape([4, 2, 2], (3,) + (1,) * y.ndim))
        (central, right, left), (error, error_right, error_left) = limits, errors
        bent = abs(right - left) > 10 * (error_right + error_left + noise)
        unclear = ~np.isfinite(central)
        right = np.where(bent | unclear, right, central)
        left = np.where(bent | unclear, left, central)
        error = np.where(bent, error_right + error_left, error) + epsilon * abs(y) / ahead[0][0]
        return right, left, error


class Values(Oracle):
    """The same program over numbers of the scalar engine, `Value`, whose rules were written apart."""

    name = "scalar.Value"

    def slopes(self, f, xs, ts):
        inputs = [numbers(x, lambda v: Value(float(v))) for x in xs]
        try:
            ys = [np.asarray(y) for y in f(*inputs)]
        except Exception as error:
            raise Unsuitable(f"not for scalar.Value: {error}") from error
        values = [np.empty(y.shape) for y in ys]
        slopes = [np.zeros(y.shape) for y in ys]
        for y, value, slope in zip(ys, values, slopes, strict=True):
            for place in np.ndindex(y.shape):
                number = y[place]
                if not isinstance(number, Value):
                    value[place] = number
                    continue
                for x in inputs:
                    for v in x.flat:
                        v.grad = 0
                number.backward()
                value[place] = number.data
                slope[place] = sum(
                    v.grad * w for x, t in zip(inputs, ts, strict=True)
                    for v, w in zip(x.flat, t.flat, strict=True)
                )  # fmt: skip
        return Slopes(values, slopes, slopes, [np.zeros(v.shape) for v in values])


def precision(y: np.ndarray) -> float:
    """The relative rounding error of its numbers."""
    dtype = np.asarray(y).dtype
    return float(np.finfo(dtype if dtype.kind == "f" else float).eps)


def moved(xs: Arrays, ts: Arrays, h: float) -> list[np.ndarray]:
    """x + h·t."""
    return [np.asarray(x + h * t) for x, t in zip(xs, ts, strict=True)]  # 0-d arrays, not numbers


def extrapolated(differences: list[np.ndarray], factor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(limits, errors) of difference quotients whose steps halve. The terms of their errors shrink by
    factor, factor², factor³ … (4 where only even powers of the step occur, else 2), so each column of
    the table leaves out one term more; the entry whose neighbours agree best is taken."""
    best = np.full(np.shape(differences[0]), np.nan)
    least = np.full(best.shape, np.inf)
    before: list[np.ndarray] = []
    for quotient in differences:
        row = [quotient]
        for j, corner in enumerate(before, start=1):
            weight = factor**j
            row.append((weight * row[-1] - corner) / (weight - 1))
            error = np.maximum(abs(row[-1] - row[-2]), abs(row[-1] - corner))
            if j < len(before):  # a third neighbour: two may agree by accident
                error = np.maximum(error, abs(row[-1] - before[j]) / 4)
            better = error < least
            best = np.where(better, row[-1], best)
            least = np.where(better, error, least)
        before = row
    return best, least


ORACLES: dict[str, Callable[[], Oracle]] = {
    "exact": Exact, "modular": Modular, "complex step": ComplexStep,
    "finite differences": FiniteDifferences, "value": Values,
}  # fmt: skip


def chosen(name: str | Oracle, f: Function, xs: Arrays, ts: Arrays) -> tuple[Oracle, list[str]]:
    """The oracle of that name; for "auto" the most precise one that this function allows, and why
    it is not a better one."""
    if isinstance(name, Oracle):
        return name, []
    if name != "auto":
        listed("oracle", name, ["auto", *ORACLES])
        return ORACLES[name](), []
    refusals = []
    if sum(x.size for x in xs) <= 2000:
        try:
            oracle = Exact()
            oracle.along(f, xs, ts)
            return oracle, refusals
        except Unsuitable as error:
            refusals.append(str(error))
    try:
        oracle = ComplexStep()
        if agrees(oracle.slopes(f, xs, ts), FiniteDifferences().slopes(f, xs, ts)):
            return oracle, refusals
        refusals.append("not analytic: complex step and finite differences disagree")
    except Unsuitable as error:
        refusals.append(str(error))
    return FiniteDifferences(), refusals


def agrees(found: Slopes, rough: Slopes) -> bool:
    """Do two oracles agree, as far as the second is sure of itself?"""
    for a, b, r, s, e in zip(found.values, rough.values, found.right, rough.right, rough.error, strict=True):
        if not np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True):
            return False
        sure = np.isfinite(s) & np.isfinite(e)
        if np.any(abs(r - s)[sure] > (100 * e + 1e-9 * (1 + abs(s)))[sure]):
            return False
    return True


def as_floats(array: np.ndarray) -> np.ndarray:
    """Exact numbers, rounded."""
    return array.astype(np.float64) if array.dtype == object else array


def is_inexact(x: Any) -> bool:
    return isinstance(x, (float, np.floating)) and not isinstance(x, Fraction)
