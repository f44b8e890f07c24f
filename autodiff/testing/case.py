"""A function at a point: what is drawn, run and asked of the oracle once, and looked at by the checks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..primitive import Primitive
from ..tensor import Tensor
from . import blame
from .engine import OURS
from .oracles import Oracle, Slopes, chosen, is_inexact, precision

LARGE = 400  # elements: from there on single ones are sampled


class Case:
    """A function at a point, with what the checks share: cotangents, tangents, runs, slopes.

    f            the program under test, over the engine's variables
    reference    arrays ↦ arrays, the same program for the oracle: by default, f on what the engine
                 does not track, so that the forward functions are all that is used
    """

    def __init__(
        self, f: Callable, inputs: Sequence, *, engine: Any = OURS, reference: Callable | None = None,
        oracle: str | Oracle = "auto", seed: int = 0, rtol: float | None = None, strict: bool = False,
        name: str | None = None,
    ):  # fmt: skip
        self.program, self.engine, self.seed, self.strict = f, engine, seed, strict
        self.name = name or blame.name_of(f)
        self.arguments = [argument(a) for a in inputs]
        self.places = [k for k, a in enumerate(self.arguments) if isinstance(a, np.ndarray)]
        self.names = names_of(f, len(self.arguments))
        self.first = 0  # the place from which on a person would count
        self.arrays = [self.arguments[k].astype(np.float64) for k in self.places]
        self.reference = reference or self.untracked
        self.rng = np.random.default_rng(seed)
        self.notes: list[str] = []
        self.returned: Any = None  # by the first call
        self.slots: list[int] | None = None  # which of the results can have a derivative
        self.values = self.run(walk=False).values
        self.gs = [self.random(y.shape) for y in self.values]
        self.ts, self.us = ([self.random(x.shape) for x in self.arrays] for _ in range(2))
        self.oracle, self.refusals = chosen(oracle, self.reference, self.arrays, self.ts)
        rounding = max((precision(y) for y in self.values), default=0.0)  # more than usual: in float32
        self.rtol = rtol or max(self.oracle.rtol, 1e-9, 100 * rounding)
        self.slopes_known: dict[Any, Slopes] = {}
        self.known: dict[Any, Bounds] = {}

    def random(self, shape) -> np.ndarray:
        """Numbers of either sign, from 1/4 to 4 in size, of few enough bits to be exact in float32."""
        size = self.rng.integers(256, 4096, shape) / 1024
        return np.asarray(size * self.rng.choice([-1.0, 1.0], shape))

    # ---- running it -----------------------------------------------------------------------------

    def called(self, xs: Iterable) -> Any:
        """The program, with values in the places of the differentiable inputs."""
        new = self.constants()
        for k, x in zip(self.places, xs, strict=True):
            new[k] = x
        return self.program(*new)

    def constants(self) -> list:
        """The arguments as the program is given them, but for the differentiable ones."""
        make = self.engine.constant
        return [
            make(a.array) if isinstance(a, Constant) else a.value if isinstance(a, Fixed) else a
            for a in self.arguments
        ]

    def called_with(self, *xs) -> Any:
        return self.called(xs)

    def outputs(self, result) -> list:
        """Those of the results that can have a derivative."""
        several = result if isinstance(result, (tuple, list)) else (result,)
        if self.slots is None:
            self.returned = result
            nothing = (type(None), dict, list, tuple)
            kinds = [None if isinstance(y, nothing) else self.engine.array(y).dtype.kind for y in several]
            self.slots = [k for k, kind in enumerate(kinds) if kind == "f"]
        return [several[k] for k in self.slots]

    def untracked(self, *arrays) -> list[np.ndarray]:
        """Arrays ↦ arrays by the forward functions alone."""
        ys = self.outputs(self.called([self.engine.constant(a.copy()) for a in arrays]))
        return [np.asarray(self.engine.array(y)) for y in ys]

    def run(self, arrays=None, gs=None, tracked=None, walk=True) -> Run:
        """One forward and one walk back, from `arrays`, of which those in `tracked` want a gradient."""
        arrays = [a.copy() for a in self.arrays] if arrays is None else arrays  # they may be written to
        tracked = range(len(arrays)) if tracked is None else tracked
        make = self.engine
        xs = [make.variable(a) if k in tracked else make.constant(a) for k, a in enumerate(arrays)]
        run = Run(self, xs, self.outputs(self.called(xs)))
        if walk:
            run.back(gs)
        return run

    @cached_property
    def once(self) -> Run:
        """The run that most checks look at: all inputs tracked, random cotangents, floating point."""
        return self.run()

    @cached_property
    def worlds(self) -> list[World]:
        """The numbers in which the engine is compared with the oracle: exact ones first, if both know
        them, then floating ones."""
        drawn = (self.arrays, self.gs, self.ts, self.us)
        worlds = [World(*drawn, self.rtol)] if self.oracle.ordered else []
        if self.oracle.exact and "exact numbers" in self.engine.abilities:
            over = self.oracle.over
            worlds.insert(0, World(*([over(a) for a in arrays] for arrays in drawn), rtol=0.0))
        return worlds

    def tolerance(self, world: World, found: Iterable[np.ndarray]) -> float:
        """The relative error to allow: none in exact numbers, unless a float has slipped in."""
        if world.rtol or not any(is_inexact(x) for array in found for x in np.asarray(array).flat):
            return world.rtol
        return self.rtol

    # ---- what the oracle says ---------------------------------------------------------------------

    def slopes(self, key, ts) -> Slopes:
        """J·t by the oracle; remembered under `key`."""
        if key not in self.slopes_known:
            self.slopes_known[key] = self.oracle.slopes(self.reference, self.arrays, ts)
        return self.slopes_known[key]

    def alone(self, k: int, t=None) -> list[np.ndarray]:
        """Tangents that move input k only."""
        own = self.ts[k] if t is None else t
        return [own if j == k else np.zeros_like(x) for j, x in enumerate(self.arrays)]

    def toward(self, key, ts) -> Bounds:
        """⟨g, J t⟩ by the oracle; remembered under `key`."""
        if key not in self.known:
            slopes = self.slopes(key, ts)
            low, high, error, size = 0, 0, 0.0, 0.0
            for g, right, left, e in zip(self.gs, slopes.right, slopes.left, slopes.error, strict=True):
                exact = self.oracle.over(g)
                a, b = np.asarray(exact * right), np.asarray(exact * left)  # of 0-d objects, a number
                if slopes.kinks:
                    a, b = np.asarray(np.minimum(a, b)), np.asarray(np.maximum(a, b))
                low, high = low + np.sum(a), high + np.sum(b)
                error += float(np.sum(abs(g * e)))
                size += float(np.sum(abs(a))) if self.oracle.ordered else 0.0
            self.known[key] = Bounds(low, high, error, size, slopes.ties)
        return self.known[key]

    def expected(self, k: int) -> list[tuple[tuple, Bounds]]:
        """(place, bounds) for every element of the gradient by input k; of a large one, for some."""
        places = list(np.ndindex(self.arrays[k].shape))
        if len(places) > LARGE:
            some = np.random.default_rng(self.seed).choice(len(places), LARGE, replace=False)
            places = [places[i] for i in sorted(some)]
        found = []
        for place in places:
            t = np.zeros(self.arrays[k].shape)
            t[place] = 1.0
            found.append((place, self.toward((k, place), self.alone(k, t))))
        return found

    def along(self, g: np.ndarray, k: int) -> Any:
        """⟨g, t⟩ for a gradient by input k and the tangent of that input."""
        t = self.ts[k]
        return np.sum(g * (self.oracle.over(t) if g.dtype == object else t))

    def mistakes(self, run: Run, k: int, rtol: float) -> list[tuple]:
        """(place, bounds) where the gradient by input k is wrong. Looked for along a random direction,
        which is enough to know; if it is, or where there are kinks or infinite slopes, element by
        element."""
        g = run.gradient(k)
        if g.size == 0:
            return []
        bounds = self.toward(k, self.alone(k))
        right = bounds.admit(self.along(g, k), rtol)
        if right and not bounds.kinked and not bounds.infinite:
            return []
        wrong = [(place, b) for place, b in self.expected(k) if not b.admit(g[place], rtol)]
        return wrong or ([] if right else [(None, bounds)])

    def label(self, k: int) -> str:
        """Input k of those that are differentiated by, as a person would point at it."""
        return self.argument_label(self.places[k])

    def argument_label(self, place: int) -> str:
        number = place - self.first
        return f"input {number} ({self.names[place]})" if self.names[place] else f"input {number}"


class Run:
    """A forward and, perhaps, a walk back."""

    def __init__(self, case: Case, xs: list, ys: list):
        self.case, self.engine, self.xs, self.ys = case, case.engine, xs, ys
        self.values = [np.asarray(case.engine.array(y)) for y in ys]

    def back(self, gs=None) -> None:
        """From these cotangents, or from copies of the case's own: a wrong rule may write to them."""
        gs = [g.copy() for g in self.case.gs] if gs is None else gs
        pairs = [(y, g) for y, g in zip(self.ys, gs, strict=True) if self.engine.tracked(y)]
        if pairs:
            self.engine.backward(*map(list, zip(*pairs, strict=True)))

    @property
    def gradients(self) -> list[np.ndarray | None]:
        return [self.engine.gradient(x) for x in self.xs]

    def gradient(self, k: int) -> np.ndarray:
        """The gradient by input k; where nothing has arrived, zeros."""
        found = self.engine.gradient(self.xs[k])
        return np.zeros_like(self.engine.array(self.xs[k])) if found is None else np.asarray(found)


@dataclass
class World:
    """What is drawn, in the numbers of one kind: inputs, cotangents, tangents, further tangents."""

    xs: list[np.ndarray]
    gs: list[np.ndarray]
    ts: list[np.ndarray]
    us: list[np.ndarray]
    rtol: float  # the relative error to allow; 0 in exact numbers


@dataclass
class Bounds:
    """A number that an oracle gives: from `low` to `high` (apart at a kink only), ± error."""

    low: Any
    high: Any
    error: float = 0.0
    size: float = 0.0  # of the terms it is a sum of: rounding is relative to these
    ties: bool = False  # was there a tie on the way, though no kink remains?

    @property
    def kinked(self) -> bool:
        return bool(self.low != self.high)

    @property
    def unknown(self) -> bool:
        """Is it no number: outside the function's domain?"""
        return isinstance(self.low, (float, np.floating)) and bool(np.isnan(self.low))

    @property
    def infinite(self) -> bool:
        return isinstance(self.low, (float, np.floating)) and bool(np.isinf(self.low))

    @property
    def middle(self) -> Any:
        return (self.low + self.high) / 2 if self.kinked else self.low

    def admit(self, found: Any, rtol: float) -> bool:
        """May `found` be this number? (Where ties on the way cancelled, as in relu(x) − relu(−x) at 0,
        conventions decide what the gradient is, and calculus has no say.)"""
        if self.ties and not self.kinked:
            return True
        if not rtol:
            return bool(self.low <= found <= self.high if self.kinked else found == self.low)
        found, low, high = float(found), float(self.low), float(self.high)
        if not np.isfinite([found, low, high]).all():
            return bool(np.array_equal(found, low, equal_nan=True))
        slack = rtol * max(self.size, abs(low), abs(high)) + 10 * self.error + 1e-13
        return low - slack <= found <= high + slack


# ---- the inputs -------------------------------------------------------------------------------------


class Constant:
    """An array that has no derivative: integers or booleans."""

    def __init__(self, array: np.ndarray):
        self.array = array


@dataclass(frozen=True)
class Fixed:
    """A float that is passed on as it is, and not differentiated by: check_gradients(pow, x, Fixed(0.5))."""

    value: float


def argument(a: Any) -> Any:
    """An input as an array to differentiate by, a Constant, or what is only passed on."""
    if isinstance(a, Tensor):
        array = np.array(a.array)
        return array if array.dtype.kind in "fO" else Constant(array)
    if isinstance(a, (np.ndarray, np.generic)):
        array = np.array(a)
        return array if array.dtype.kind in "fO" else Constant(array)
    if type(a) is float or (isinstance(a, (list, tuple)) and holds_floats(a)):
        return np.array(a, np.float64)
    return a


def holds_floats(a: Sequence) -> bool:
    """A list of numbers, or of such lists, with a float among them?"""
    deeper = [holds_floats(x) for x in a if isinstance(x, (list, tuple))]
    numbers = [type(x) for x in a if not isinstance(x, (list, tuple))]
    return (any(deeper) or float in numbers) and {float, int}.issuperset(numbers)


def names_of(f: Callable, n: int) -> list[str]:
    """What f calls its first n parameters; "" where it does not say."""
    names = list(f.inputs) if isinstance(f, Primitive) else []
    if not names:
        try:
            parameters = inspect.signature(f).parameters.values()
        except (TypeError, ValueError):
            parameters = []
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return (names + [""] * n)[:n]
