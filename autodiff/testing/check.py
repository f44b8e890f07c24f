"""check_gradients: everything that a right gradient has to be, one small check each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..tensor import Tensor
from . import blame, layouts
from .engine import OURS
from .oracles import Oracle, Slopes, Unsuitable, as_floats, chosen, is_inexact
from .report import Finding, GradientError, Report

Findings = Iterator[Finding]


# ---- the point at which a function is examined ---------------------------------------------------


class Case:
    """A function at a point, with what the checks share: cotangents, tangents, runs, slopes.

    f            the program under test, over the engine's variables
    reference    arrays ↦ arrays, the same program for the oracle: by default, f on what the engine
                 does not track, so that the forward functions are all that is used
    """

    def __init__(self, f: Callable, inputs: Sequence, *, engine: Any = OURS, reference=None,
                 oracle: str | Oracle = "auto", seed: int = 0, rtol=None, strict=False, name=None):  # fmt: skip
        self.program, self.engine, self.seed, self.strict = f, engine, seed, strict
        self.name = name or blame.name_of(f)
        self.arguments = [argument(a) for a in inputs]
        self.places = [k for k, a in enumerate(self.arguments) if is_differentiable(a)]
        self.names = names_of(f, len(self.arguments))
        self.given = [np.asarray(self.arguments[k]) for k in self.places]
        self.arrays = [a.astype(np.float64) for a in self.given]
        self.reference = reference or self.untracked
        self.rng = np.random.default_rng(seed)
        self.notes: list[str] = []
        self.run_once = self.run(self.arrays, walk=False)
        self.values = self.run_once.values
        self.gs = [self.random(y.shape) for y in self.values]
        self.ts, self.us = ([self.random(x.shape) for x in self.arrays] for _ in range(2))
        self.oracle, refusals = chosen(oracle, self.reference, self.arrays, self.ts)
        self.refusals = refusals
        self.rtol = rtol or max(self.oracle.rtol, 1e-9)
        self.known: dict = {}

    def random(self, shape) -> np.ndarray:
        """Numbers of either sign between 1/4 and 4 in size, of few enough bits to be exact in float32."""
        size = self.rng.integers(256, 4096, shape) / 1024
        return np.asarray(size * self.rng.choice([-1.0, 1.0], shape))

    # ---- running it -----------------------------------------------------------------------------

    def called(self, xs: Iterable) -> Any:
        """The program, with values in the places of the differentiable inputs."""
        new = list(self.arguments)
        for k, a in enumerate(new):
            if isinstance(a, Constant):
                new[k] = self.engine.constant(a.array)
        for k, x in zip(self.places, xs, strict=True):
            new[k] = x
        return self.program(*new)

    def outputs(self, result) -> list:
        """Those of the results that can have a derivative, and are there."""
        several = result if isinstance(result, (tuple, list)) else (result,)
        return [y for y in several if y is not None and self.engine.array(y).dtype.kind in "fcO"]

    def untracked(self, *arrays) -> list[np.ndarray]:
        """Arrays ↦ arrays by the forward functions alone."""
        ys = self.outputs(self.called(map(self.engine.constant, arrays)))
        return [np.asarray(self.engine.array(y)) for y in ys]

    def run(self, arrays=None, gs=None, tracked=None, walk=True) -> Run:
        """One forward and one walk back, from `arrays`, of which those in `tracked` want a gradient."""
        arrays = self.arrays if arrays is None else arrays
        tracked = range(len(arrays)) if tracked is None else tracked
        make = self.engine
        xs = [make.variable(a) if k in tracked else make.constant(a) for k, a in enumerate(arrays)]
        run = Run(self, xs, self.outputs(self.called(xs)))
        if walk:
            run.back(self.gs if gs is None else gs)
        return run

    def called_with(self, *xs) -> Any:
        return self.called(xs)

    # ---- what the oracle says ---------------------------------------------------------------------

    def slopes(self, ts) -> Slopes:
        return self.oracle.slopes(self.reference, self.arrays, ts)

    def alone(self, k: int, t=None) -> list[np.ndarray]:
        """Tangents that move input k only."""
        return [(self.ts[k] if t is None else t) if j == k else np.zeros_like(x)
                for j, x in enumerate(self.arrays)]  # fmt: skip

    def bounds(self, slopes: Slopes) -> Bounds:
        """⟨g, J t⟩: between what and what, and how far off."""
        low, high, error, size = 0, 0, 0.0, 0.0
        for g, r, left, e in zip(self.gs, slopes.right, slopes.left, slopes.error, strict=True):
            g = self.oracle.over(g)
            a, b = np.asarray(g * r), np.asarray(g * left)  # of 0-d exact numbers, a bare number
            low, high = low + np.sum(np.minimum(a, b)), high + np.sum(np.maximum(a, b))
            error += float(np.sum(abs(g * e)))
            size += float(np.sum(abs(a)))
        return Bounds(low, high, error, size, slopes.ties)

    def toward(self, key, ts) -> Bounds:
        if key not in self.known:
            self.known[key] = self.bounds(self.slopes(ts))
        return self.known[key]

    def expected(self, k: int) -> list[tuple[tuple, Bounds]]:
        """(place, bounds) for every element of the gradient by input k; of a large one, for some."""
        places = list(np.ndindex(self.arrays[k].shape))
        if len(places) > LARGE:
            places = [places[i] for i in sorted(self.rng.choice(len(places), LARGE, replace=False))]
        found = []
        for place in places:
            t = np.zeros(self.arrays[k].shape)
            t[place] = 1.0
            found.append((place, self.toward((k, place), self.alone(k, t))))
        return found

    def along(self, g: np.ndarray, k: int) -> Any:
        """⟨g, t⟩ for the gradient by input k and its tangent."""
        t = self.ts[k]
        return np.sum(g * (self.oracle.over(t) if g.dtype == object else t))

    def mistakes(self, run: Run, k: int, rtol: float) -> list[tuple]:
        """(place, bounds) where the gradient by input k is wrong. Looked for along a random direction,
        which is enough to know; if it is, or where there are kinks, element by element."""
        g = run.gradient(k)
        bounds = self.toward(k, self.alone(k))
        right = bounds.admit(self.along(g, k), rtol)
        if g.size == 0 or (right and not bounds.kinked):
            return []
        wrong = [(place, b) for place, b in self.expected(k) if not b.admit(g[place], rtol)]
        return wrong or ([] if right else [(None, bounds)])

    @cached_property
    def once(self) -> Run:
        """The run that most checks look at: all inputs tracked, random cotangents."""
        return self.run()

    @cached_property
    def exactly_once(self) -> Run | None:
        """The same in exact numbers; None where that is not possible."""
        if not (self.oracle.exact and "exact numbers" in self.engine.abilities):
            return None
        return self.run([self.oracle.over(x) for x in self.arrays], [self.oracle.over(g) for g in self.gs])

    def label(self, k: int) -> str:
        """Input k, as a person would point at it."""
        place = self.places[k]
        return f"input {place} ({self.names[place]})" if self.names[place] else f"input {place}"


LARGE = 400  # elements: from there on single ones are sampled


class Run:
    """A forward and, perhaps, a walk back."""

    def __init__(self, case: Case, xs: list, ys: list):
        self.case, self.engine, self.xs, self.ys = case, case.engine, xs, ys
        self.values = [np.asarray(case.engine.array(y)) for y in ys]

    def back(self, gs) -> None:
        self.gs = gs
        pairs = [(y, g) for y, g in zip(self.ys, gs, strict=True) if self.engine.tracked(y)]
        if pairs:
            self.engine.backward(*map(list, zip(*pairs, strict=True)))

    @property
    def gradients(self) -> list[np.ndarray | None]:
        return [self.engine.gradient(x) for x in self.xs]

    def gradient(self, k: int) -> np.ndarray:
        """The gradient by input k; where nothing has arrived, zeros."""
        found = self.engine.gradient(self.xs[k])
        return np.zeros_like(self.case.arrays[k]) if found is None else np.asarray(found)


@dataclass
class Bounds:
    """A number that an oracle gives: from `low` to `high` (apart at a kink only), ± error."""

    low: Any
    high: Any
    error: float
    size: float  # of the terms it is a sum of: rounding is relative to these
    ties: bool = False

    @property
    def kinked(self) -> bool:
        return bool(self.low != self.high)

    @property
    def middle(self) -> Any:
        return self.low if not self.kinked else (self.low + self.high) / 2

    def admit(self, found: Any, rtol: float) -> bool:
        """May `found` be this number?"""
        if not rtol:
            return bool(self.low <= found <= self.high) or (self.ties and not self.kinked)
        found, low, high = float(found), float(self.low), float(self.high)
        if np.isnan(low) or np.isnan(high):
            return bool(np.isnan(found))
        if not np.isfinite(found) or not np.isfinite(low):
            return found == low
        slack = rtol * max(self.size, abs(low), abs(high)) + 10 * self.error + 1e-13
        return low - slack <= found <= high + slack or (self.ties and not self.kinked)


# ---- the checks: each yields what it finds --------------------------------------------------------


def value(case: Case) -> Findings:
    """The value is the same whether or not a gradient is wanted, and every time."""
    plain = case.untracked(*case.arrays)
    again = case.untracked(*case.arrays)
    for k, (y, a, b) in enumerate(zip(case.values, plain, again, strict=True)):
        if not same(a, b):
            yield Finding("value", f"output {k} differs from call to call: give a random function a "
                          "seed, or hold what it draws", a, b)  # fmt: skip
        elif not same(y, a):
            yield Finding("value", f"output {k} has another value when gradients are recorded", a, y)


def vjp(case: Case) -> Findings:
    """The gradient by each input is what the oracle says, for random cotangents."""
    worlds: list[tuple[Run, float]] = [(case.once, case.rtol)]
    exact = in_exact_numbers(case)
    if exact is not None:
        worlds.insert(0, exact)
    for run, rtol in worlds:
        found = [f for k in range(len(case.arrays)) for f in of_input(case, run, k, rtol)]
        found = found or list(jointly(case, run, rtol))
        yield from found
        if found:
            return


def in_exact_numbers(case: Case) -> tuple[Run, float] | None:
    """The run in exact numbers and its tolerance: none, unless a float has slipped in."""
    try:
        run = case.exactly_once
    except Exception as error:  # whatever a rule says of numbers that it was not written for
        case.notes.append(f"the rules do not take exact numbers: {type(error).__name__}: {error}")
        return None
    if run is None:
        return None
    floats = any(is_inexact(x) for k in range(len(case.arrays)) for x in run.gradient(k).flat)
    return run, case.rtol if floats else 0.0


def of_input(case: Case, run: Run, k: int, rtol: float) -> Findings:
    """What is wrong with the gradient by input k."""
    g, shape, who = run.gradient(k), case.arrays[k].shape, case.label(k)
    if g.shape != shape:
        yield Finding("vjp", f"the gradient by {who} has shape {g.shape}, and the input {shape}",
                      cause=blame.of_shapes(shape, g.shape), rule=blame.rule(case, k))  # fmt: skip
        return
    wrong = case.mistakes(run, k, rtol)
    if wrong:
        place, bounds = wrong[0]
        yield Finding("vjp", f"the gradient by {who} is wrong{at(place)}{more(wrong, g)}{kink(bounds)}",
                      bounds.middle, g[place] if place is not None else case.along(g, k),
                      cause=blame.likely(case, run, k), rule=blame.rule(case, k))  # fmt: skip
        return
    ones = np.ones(shape)  # what is tied stays tied: in this direction a tie is no kink
    if g.size and case.toward(k, case.alone(k)).kinked:
        bounds = case.toward((k, "ones"), case.alone(k, ones))
        if not bounds.admit(g.sum(), rtol):
            yield Finding("vjp", f"the gradient by {who} does not add up: when all its elements move alike, ties "
                          "stay ties, and there is no kink", bounds.middle, g.sum(),
                          cause=blame.of_ties(g.sum(), bounds.middle), rule=blame.rule(case, k))  # fmt: skip


def at(place) -> str:
    return "" if not place else f" at [{', '.join(map(str, place))}]"


def more(wrong, g) -> str:
    n = len(wrong) - 1
    return f", and at {n} more of its {g.size} elements" if n else ""


def kink(bounds) -> str:
    return (
        f" (there is a kink, where anything from {bounds.low} to {bounds.high} will do)"
        if bounds.kinked
        else ""
    )


def jointly(case: Case, run: Run, rtol: float) -> Findings:
    """All inputs moving at once: by random tangents, and all alike."""
    if len(case.arrays) < 2:
        return
    for key, ts in (("all", case.ts), ("all alike", [np.ones(x.shape) for x in case.arrays])):
        gradients = [run.gradient(k) for k in range(len(ts))]
        exact = any(g.dtype == object for g in gradients)
        moving = list(map(case.oracle.over, ts)) if exact else ts
        found = sum(np.sum(g * t) for g, t in zip(gradients, moving, strict=True))
        bounds = case.toward(key, ts)
        if not bounds.admit(found, rtol):
            yield Finding("vjp", "the gradients by the inputs are right one by one, but not together "
                          f"({key} moving)", bounds.middle, found,
                          cause=blame.of_ties(found, bounds.middle))  # fmt: skip
            return


def alone(case: Case) -> Findings:
    """The gradient by an input is the same whether or not the others want one."""
    if len(case.arrays) < 2:
        return
    for k in range(len(case.arrays)):
        run = case.run(tracked=[k])
        if not close(run.gradient(k), case.once.gradient(k)):
            yield Finding("alone", f"the gradient by {case.label(k)} is another when no other input wants "
                          "one", case.once.gradient(k), run.gradient(k),
                          cause="a rule reads what is saved only when another input is wanted",
                          rule=blame.rule(case, k))  # fmt: skip
        stray = [j for j, g in enumerate(run.gradients) if j != k and g is not None]
        if stray:
            yield Finding("alone", f"{case.label(stray[0])} did not ask for a gradient, and got one")


def integers(case: Case) -> Findings:
    """Inputs that have no derivative (integers, booleans) get no gradient."""
    constants = [(k, a) for k, a in enumerate(case.arguments) if isinstance(a, Constant)]
    if not constants:
        return
    held = {k: case.engine.constant(a.array) for k, a in constants}
    new = [held.get(k, a) for k, a in enumerate(case.arguments)]
    for k, a in zip(case.places, case.arrays, strict=True):
        new[k] = case.engine.variable(a)
    Run(case, new, case.outputs(case.program(*new))).back(case.gs)
    for k, constant in held.items():
        if case.engine.gradient(constant) is not None:
            yield Finding("integers", f"input {k} holds {case.arguments[k].array.dtype} numbers, which have "
                          "no derivative, and got a gradient", rule="")  # fmt: skip


def shape_and_dtype(case: Case) -> Findings:
    """A gradient has the shape and the dtype of its input, also where the dtypes are mixed."""
    n = len(case.arrays)
    for dtypes in {
        (np.float64,) * n,
        (np.float32,) * n,
        tuple([np.float32, np.float64][k % 2] for k in range(n)),
    }:
        arrays = [a.astype(d) for a, d in zip(case.arrays, dtypes, strict=True)]
        run = case.run(arrays, walk=False)
        run.back([g.astype(y.dtype) for g, y in zip(case.gs, run.values, strict=True)])
        for k, (g, x) in enumerate(zip(run.gradients, arrays, strict=True)):
            if g is not None and (g.dtype != x.dtype or g.shape != x.shape):
                yield Finding("shape and dtype", f"the gradient by {case.label(k)}, of {x.dtype} and shape "
                              f"{x.shape}, has dtype {g.dtype} and shape {g.shape}",
                              cause="a constant of the rule is a float64 array, or nothing casts the "
                              "gradient back" if g.dtype != x.dtype else blame.of_shapes(x.shape, g.shape),
                              rule=blame.rule(case, k))  # fmt: skip
                return


def untouched(case: Case) -> Findings:
    """Neither the forward nor the walk back writes to an input or to a cotangent."""
    arrays, gs = [a.copy() for a in case.arrays], [g.copy() for g in case.gs]
    run = case.run(arrays, walk=False)
    for k, (a, b) in enumerate(zip(arrays, case.arrays, strict=True)):
        if not same(a, b):
            yield Finding("untouched", f"the forward changed {case.label(k)}", b, a,
                          cause="an operation works in place on its input")  # fmt: skip
    values = [y.copy() for y in run.values]
    run.back(gs)
    for k, (a, b) in enumerate(zip(arrays, case.arrays, strict=True)):
        if not same(a, b):
            yield Finding("untouched", f"the walk back changed {case.label(k)}", b, a,
                          rule=blame.rule(case, k))  # fmt: skip
    for k, (a, b) in enumerate(zip(gs, case.gs, strict=True)):
        if not same(a, b):
            yield Finding("untouched", f"the walk back changed the cotangent of output {k}", b, a,
                          cause="a rule, or the accumulation, adds in place into what it was given")  # fmt: skip
    for k, (y, before) in enumerate(zip(run.values, values, strict=True)):
        if not same(y, before):
            yield Finding("untouched", f"the walk back changed the value of output {k}", before, y)


def aliasing(case: Case) -> Findings:
    """A gradient's memory is its own: no input's, cotangent's, value's or other gradient's."""
    gs = [g.copy() for g in case.gs]
    run = case.run(gs=gs)
    gradients = [(k, g) for k, g in enumerate(run.gradients) if g is not None]
    for k, g in gradients:
        if g.size and not g.flags.writeable:
            yield Finding(
                "aliasing", f"the gradient by {case.label(k)} is read-only, a view of something else"
            )
            return
        others = [
            *((f"the gradient by {case.label(j)}", other) for j, other in gradients if j > k),
            *((f"the cotangent of output {j}", other) for j, other in enumerate(gs)),
            *((f"output {j}", other) for j, other in enumerate(run.values)),
            *((case.label(j), case.engine.array(x)) for j, x in enumerate(run.xs)),
        ]
        for what, other in others:
            if np.shares_memory(g, other):
                yield Finding("aliasing", f"the gradient by {case.label(k)} lies in the same memory as {what}",
                              cause="writing to one, as an optimiser or clipping does, changes the other: "
                              "what is kept must be a copy")  # fmt: skip
                return


def accumulation(case: Case) -> Findings:
    """A second walk adds to the gradients, and what was done to them before does no harm."""
    run = case.run()
    first = [None if g is None else g.copy() for g in run.gradients]
    again = Run(case, run.xs, case.outputs(case.called(run.xs)))
    again.back(case.gs)
    for k, (before, after) in enumerate(zip(first, again.gradients, strict=True)):
        if before is not None and not close(after, 2 * before):
            yield Finding("accumulation", f"after a second walk the gradient by {case.label(k)} is not twice "
                          "what it was after the first", 2 * before, after,
                          cause="the second overwrites the first" if close(after, before) else
                          "something of the first walk was kept, and is added again")  # fmt: skip


def determinism(case: Case) -> Findings:
    """The same walk gives the same gradients, bit for bit."""
    for k, (a, b) in enumerate(zip(case.once.gradients, case.run().gradients, strict=True)):
        if a is not b and (a is None or b is None or not same(a, b)):
            yield Finding("determinism", f"the gradient by {case.label(k)} differs from walk to walk", a, b)


def memory_layouts(case: Case) -> Findings:
    """The same numbers in other memory give the same value and the same gradients."""
    if "memory" not in case.engine.abilities:
        return
    for name, lay in layouts.LAYOUTS.items():
        arrays, gs = [lay(a) for a in case.arrays], [lay(g) for g in case.gs]
        found, here = case.run(arrays, gs), case.once
        if name == "broadcast":  # other numbers: those that repeat
            here = case.run([a.copy() for a in arrays], [g.copy() for g in gs])
        for k, (a, b) in enumerate(zip(found.values, here.values, strict=True)):
            if not close(a, b):
                yield Finding("memory layouts", f"output {k} is another for {name} memory", b, a)
                return
        for k in range(len(arrays)):
            if not close(found.gradient(k), here.gradient(k)):
                yield Finding("memory layouts", f"the gradient by {case.label(k)} is another for {name} "
                              "memory", here.gradient(k), found.gradient(k),
                              rule=blame.rule(case, k))  # fmt: skip
                return


def jvp(case: Case) -> Findings:
    """Forward mode gives J·t, element by element, as the oracle does; by each input alone, too."""
    everything = [("all inputs", case.ts)]
    if len(case.ts) > 1:
        everything += [(case.label(k), case.alone(k)) for k in range(len(case.ts))]
    for who, ts in everything:
        slopes = case.slopes(ts)
        found = case.engine.jvp(case.called_with, case.arrays, ts)
        for k, (y, r, left, e) in enumerate(zip(found, slopes.right, slopes.left, slopes.error, strict=True)):
            if y.shape != r.shape:
                yield Finding(
                    "jvp", f"the tangent of output {k} has shape {y.shape}, and the output {r.shape}"
                )
                return
            size = np.max(abs(as_floats(r)), initial=0)
            for place in np.ndindex(y.shape):
                low, high = sorted((r[place], left[place]))
                bounds = Bounds(low, high, float(e[place]), float(size), slopes.ties)
                if not bounds.admit(y[place], case.rtol):
                    yield Finding("jvp", f"the tangent of output {k}, with {who} moving, is wrong at "
                                  f"{list(place)}", bounds.middle, y[place],
                                  rule=blame.rule(case, None, "jvp"))  # fmt: skip
                    return


def adjoint(case: Case) -> Findings:
    """⟨g, J t⟩ = ⟨Jᵀ g, t⟩: forward and reverse mode are each other's transpose."""
    moved = case.engine.jvp(case.called_with, case.arrays, case.ts)
    left = sum(float(np.sum(g * t)) for g, t in zip(case.gs, moved, strict=True))
    terms = [case.once.gradient(k) * t for k, t in enumerate(case.ts)]
    right, size = sum(float(np.sum(t)) for t in terms), sum(float(np.sum(abs(t))) for t in terms)
    if not Bounds(left, left, 0.0, size + 1e-3).admit(right, 1e-9):
        yield Finding("adjoint", "forward and reverse mode disagree: ⟨g, J t⟩ is not ⟨Jᵀ g, t⟩", left, right)


def second_order(case: Case) -> Findings:
    """The derivative of the gradient, by all three nestings of the modes, is the oracle's."""
    try:
        mixed, error = case.oracle.curvatures(case.reference, case.arrays, case.us, case.ts)
    except Unsuitable as reason:
        case.notes.append(f"second order was not checked: {reason}")
        return
    low, slack, size = 0, 0.0, 0.0
    for g, m, e in zip(case.gs, mixed, error, strict=True):
        terms = np.asarray((case.oracle.over(g)) * m)
        low, size = low + np.sum(terms), size + float(np.sum(abs(terms)))
        slack += float(np.sum(abs(g * e)))
    bounds = Bounds(low, low, slack, size)
    for name in NESTINGS:
        worlds: list[tuple] = [(case.arrays, case.gs, case.us, case.ts, max(case.rtol, 1e-8))]
        if case.oracle.exact and "exact numbers" in case.engine.abilities:
            over = case.oracle.over
            worlds.insert(0, (*([over(a) for a in arrays] for arrays in worlds[0][:4]), 0.0))
        for xs, gs, us, ts, rtol in worlds:
            try:
                found = getattr(case.engine, name)(case.called_with, xs, gs, us)
            except Exception as reason:
                if rtol:
                    raise
                case.notes.append(f"{name} does not take exact numbers: {type(reason).__name__}: {reason}")
                continue
            terms = [np.asarray(h * t) for h, t in zip(found, ts, strict=True)]
            if any(is_inexact(x) for term in terms for x in term.flat):
                rtol = max(case.rtol, 1e-8)
            wide = Bounds(low, low, slack, size + sum(float(np.sum(abs(as_floats(t)))) for t in terms))
            if not (wide if rtol else bounds).admit(sum(map(np.sum, terms)), rtol):
                yield Finding("second order", f"the second derivative, {name.replace('_', ' ')}, is wrong",
                              low, sum(map(np.sum, terms)),
                              cause="a rule takes for constant what depends on the inputs, or is not made of "
                              "differentiable operations", rule=blame.rule(case, None, "second order"))  # fmt: skip
                return


NESTINGS = ("reverse_over_reverse", "forward_over_reverse", "reverse_over_forward")


@dataclass(frozen=True)
class Check:
    """A check, and what it needs of the engine."""

    run: Callable[[Case], Findings]
    needs: frozenset[str] = frozenset()
    order: int = 1
    mode: str = "reverse"

    @property
    def name(self) -> str:
        return self.run.__name__.replace("_", " ")


CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        Check(value), Check(vjp), Check(alone), Check(integers), Check(shape_and_dtype),
        Check(untouched), Check(aliasing), Check(accumulation), Check(determinism),
        Check(memory_layouts, frozenset({"memory"})),
        Check(jvp, frozenset({"forward mode"}), mode="forward"),
        Check(adjoint, frozenset({"forward mode"}), mode="forward"),
        Check(second_order, frozenset({"second order"}), order=2),
    )
}  # fmt: skip


# ---- small parts -----------------------------------------------------------------------------------


class Constant:
    """An array that has no derivative: integers or booleans."""

    def __init__(self, array: np.ndarray):
        self.array = array

    def __repr__(self):
        return repr(self.array)


def argument(a: Any) -> Any:
    """An input as an array to differentiate by, a Constant, or what is only passed on."""
    if isinstance(a, Tensor):
        array = np.array(a.array)
        return array if array.dtype.kind in "fO" else Constant(array)
    if isinstance(a, (np.ndarray, np.generic)):
        array = np.asarray(a)
        return array if array.dtype.kind in "fO" else array if array.dtype.kind in "OUS" else Constant(array)
    if isinstance(a, float) or (isinstance(a, (list, tuple)) and holds_floats(a)):
        return np.array(a, np.float64)
    return a


def holds_floats(a: Sequence) -> bool:
    """A list of numbers, or of such lists, with a float among them."""
    each = [holds_floats(x) if isinstance(x, (list, tuple)) else type(x) for x in a]
    return any(x is float or x is True for x in each) and all(x in (float, int, True) for x in each)


def is_differentiable(a: Any) -> bool:
    return isinstance(a, np.ndarray)


def names_of(f: Callable, n: int) -> list[str]:
    """What f calls its first n parameters; "" where it does not say."""
    names = list(getattr(f, "inputs", ()))
    if not names:
        try:
            parameters = inspect.signature(f).parameters.values()
        except (TypeError, ValueError):
            parameters = []
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return (names + [""] * n)[:n]


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Bit for bit, NaN included."""
    return (
        a.shape == b.shape
        and a.dtype == b.dtype
        and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
    )


def close(a: Any, b: Any) -> bool:
    """But for rounding: what another order of summation may change."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    size = np.max(abs(b[np.isfinite(b)]), initial=0)
    return bool(np.allclose(a, b, rtol=1e-10, atol=1e-12 * size + 1e-300, equal_nan=True))


# ---- the whole ------------------------------------------------------------------------------------


def check_gradients(
    f: Callable,
    *inputs: Any,
    order: int = 2,
    modes: Sequence[str] = ("reverse", "forward"),
    oracle: str | Oracle = "auto",
    checks: Iterable[str] | None = None,
    reference: Callable | None = None,
    engine: Any = OURS,
    seed: int = 0,
    rtol: float | None = None,
    strict: bool = False,
    name: str | None = None,
) -> Report:
    """Raise GradientError, which says what is wrong and where, if a derivative of f at `inputs` is
    not what it should be; otherwise give the report.

    f         takes the inputs and gives a value, or several
    inputs    arrays, Tensors, lists or numbers: floating ones are differentiated by (in float64,
              float32 too where dtypes are checked); all else is passed on as it is
    order     1 for first derivatives only
    modes     "reverse", "forward" or both
    oracle    "exact", "modular", "complex step", "finite differences", "value" (see `oracles`), an
              Oracle, or "auto": the most precise one that f allows
    checks    their names, to run only these (the names are in `CHECKS`)
    reference arrays ↦ arrays: the function that the oracle differentiates, where f itself will not do
    engine    what f is written for (see `engine.Engine`)
    seed      of the random cotangents and tangents
    rtol      relative error allowed, in place of the oracle's own
    strict    is a float that slips into exact arithmetic a mistake?
    """
    report = examine(f, *inputs, order=order, modes=modes, oracle=oracle, checks=checks, reference=reference,
                     engine=engine, seed=seed, rtol=rtol, strict=strict, name=name)  # fmt: skip
    if not report.ok:
        raise GradientError(report)
    return report


def examine(
    f: Callable, *inputs: Any, order: int = 2, modes: Sequence[str] = ("reverse", "forward"),
    oracle: str | Oracle = "auto", checks: Iterable[str] | None = None, reference: Callable | None = None,
    engine: Any = OURS, seed: int = 0, rtol: float | None = None, strict: bool = False, name: str | None = None,
) -> Report:  # fmt: skip
    """What check_gradients finds, as a Report, without raising."""
    case = Case(f, inputs, engine=engine, reference=reference, oracle=oracle, seed=seed, rtol=rtol,
                strict=strict, name=name)  # fmt: skip
    report = Report(case.name, notes=case.notes, oracle=case.oracle.name, seed=seed)
    wanted = (
        CHECKS
        if checks is None
        else {n: CHECKS[n] for n in ([checks] if isinstance(checks, str) else checks)}
    )
    for title, check in wanted.items():
        if check.order > order or check.mode not in modes:
            continue
        if not check.needs <= engine.abilities:
            case.notes.append(f"not checked: {title} ({engine.name} has no {', '.join(check.needs)})")
            continue
        report.checks.append(title)
        report.findings += check.run(case)
    if not report.ok:
        report.snippet = blame.snippet(case)
    return report
