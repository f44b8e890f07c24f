"""The checks: each a function of a Case that yields what it finds, and a table of them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph import Node, reverse_topological_order
from ..primitive import Elementwise, Linear, Multilinear
from . import blame, layouts
from .case import LARGE, Bounds, Case, Constant, Run
from .engine import is_declined
from .oracles import Unsuitable, as_floats
from .report import Finding

Findings = Iterator[Finding]


def value(case: Case) -> Findings:
    """The value is the same whether or not a gradient is wanted, and every time."""
    plain, again = (case.untracked(*case.arrays) for _ in range(2))
    for k, (y, a, b) in enumerate(zip(case.values, plain, again, strict=True)):
        if not same(a, b):
            yield Finding(
                "value",
                f"output {k} differs from call to call: what draws random numbers has to be given its seed",
                a,
                b,
            )
        elif y.dtype != a.dtype or not close(y, a):  # the decompositions of LAPACK round otherwise
            yield Finding("value", f"output {k} has another value when gradients are recorded", a, y)


# ---- first order, against the oracle -----------------------------------------------------------------


def vjp(case: Case) -> Findings:
    """The gradient by each input is what the oracle says, for random cotangents."""
    for world in case.worlds:
        try:
            run = case.once if world.rtol else case.run(world.xs, world.gs)
        except Exception as error:  # whatever a rule says of numbers that it was not written for
            if world.rtol:
                raise
            yield from not_exact(
                case, f"the rules do not take exact numbers: {type(error).__name__}: {error}"
            )
            continue
        n = range(len(case.arrays))
        rtol = case.tolerance(world, (run.gradient(k) for k in n))
        if rtol != world.rtol:
            yield from not_exact(case, "a float has slipped into exact arithmetic: a rule has a float literal, "
                                 "or an operation forces a floating dtype", blame.rule(case))  # fmt: skip
        found = [finding for k in n for finding in of_input(case, run, k, rtol)]
        found = found or list(together(case, run, rtol))
        yield from found
        if found:
            return


def unknown(case: Case) -> list[str]:
    """The inputs by which no derivative is known here, so that there is nothing to compare with."""
    filled = (k for k, x in enumerate(case.arrays) if x.size)
    return [case.label(k) for k in filled if case.toward(k, case.alone(k)).unknown]


def not_exact(case: Case, what: str, rule: str = "") -> Findings:
    """A mistake where exact arithmetic is demanded, else worth a note."""
    if case.strict:
        yield Finding("vjp", what, rule=rule)
    elif what not in case.notes:
        case.notes.append(what)


def of_input(case: Case, run: Run, k: int, rtol: float) -> Findings:
    """What is wrong with the gradient by input k."""
    g, shape, who = run.gradient(k), case.arrays[k].shape, case.label(k)
    if g.shape != shape:
        yield Finding(
            "vjp",
            f"the gradient by {who} has shape {g.shape}, and the input {shape}",
            cause=blame.of_shapes(shape, g.shape),
            rule=blame.rule(case),
        )
        return
    wrong = case.mistakes(run, k, rtol)
    if wrong and wrong[0][0] is not None:
        yield misplaced(case, run, k, wrong)
        return
    if g.size and case.toward(k, case.alone(k)).kinked:  # ties stay ties if all moves alike: no kink there
        bounds = case.toward((k, "alike"), case.alone(k, np.ones(shape)))
        if not bounds.admit(np.sum(g), rtol):
            yield Finding(
                "vjp",
                f"the gradient by {who} does not add up: when all its elements move alike, ties stay ties",
                bounds.middle,
                np.sum(g),
                cause=blame.of_ties(np.sum(g), bounds.middle),
                rule=blame.rule(case),
            )
            return
    if wrong:
        yield misplaced(case, run, k, wrong)


def misplaced(case: Case, run: Run, k: int, wrong: list) -> Finding:
    """The gradient by input k is wrong, at these places."""
    g = run.gradient(k)
    place, bounds = wrong[0]
    got = case.along(g, k) if place is None else g[place]
    return Finding(
        "vjp",
        f"the gradient by {case.label(k)} is wrong{where(case, k, wrong, g.size)}",
        bounds.middle,
        got,
        cause=blame.likely(case, run, k),
        rule=blame.rule(case),
        detail=blame.detail(case, k, place, bounds, got),
    )


def where(case: Case, k: int, wrong: list, size: int) -> str:
    """` at [0, 2], where it is 0.5, and at 3 more of its 6 elements`."""
    place, bounds = wrong[0]
    text = f" (there is a kink: anything from {bounds.low} to {bounds.high} will do)" if bounds.kinked else ""
    if bounds.unknown:
        text = " (no derivative is known there: is it in the function's domain?)"
    if place is None:
        elements = "single element" if size <= LARGE else f"one of the {LARGE} elements looked at"
        return f" along a random direction, though in no {elements} by more than rounding{text}"
    spot = f" at [{', '.join(map(str, place))}]" if place else ""
    others = f", and at {len(wrong) - 1} more of its {size} elements" if len(wrong) > 1 else ""
    return f"{spot}, where it is {case.arrays[k][place]:.6g}{others}{text}"


def together(case: Case, run: Run, rtol: float) -> Findings:
    """All inputs moving at once: by random tangents, and all alike."""
    if len(case.arrays) < 2:
        return
    alike = [np.ones(x.shape) for x in case.arrays]
    for key, ts in (("all inputs at once", case.ts), ("all inputs alike", alike)):
        gradients = [run.gradient(k) for k in range(len(ts))]
        exact = any(g.dtype == object for g in gradients)
        steps = list(map(case.oracle.over, ts)) if exact else ts
        found = sum(np.sum(g * t) for g, t in zip(gradients, steps, strict=True))
        bounds = case.toward(key, ts)
        if not bounds.admit(found, rtol):
            yield Finding(
                "vjp",
                f"the gradients by the inputs may pass one by one, but not for {key} moving",
                bounds.middle,
                found,
                cause=blame.of_ties(found, bounds.middle),
                rule=blame.rule(case),
            )
            return


def jvp(case: Case) -> Findings:
    """Forward mode gives J·t, element by element, for all inputs moving and for each alone."""
    for world in case.worlds:
        n = len(case.ts)
        moving: list[tuple] = [("all inputs at once", "all inputs", case.ts)]
        moving += [(k, case.label(k), case.alone(k)) for k in range(n) if n > 1]
        for key, who, ts in moving:
            steps = ts if world.rtol else list(map(case.oracle.over, ts))
            try:
                found = case.engine.jvp(case.called_with, world.xs, steps)
            except Exception as error:
                if world.rtol:
                    raise
                yield from not_exact(
                    case, f"the jvps do not take exact numbers: {type(error).__name__}: {error}"
                )
                break
            finding = wrong_tangent(case, who, found, case.slopes(key, ts), case.tolerance(world, found))
            if finding:
                yield finding
                return


def wrong_tangent(case, who, found, slopes, rtol) -> Finding | None:
    """What is wrong with the tangents that were found, with `who` moving."""
    for k, (t, right, left, error) in enumerate(
        zip(found, slopes.right, slopes.left, slopes.error, strict=True)
    ):
        if t.shape != right.shape:
            return Finding(
                "jvp", f"the tangent of output {k} has shape {t.shape}, and the output {right.shape}"
            )
        size = float(np.max(abs(as_floats(right)), initial=0)) if case.oracle.ordered else 0.0
        for place in np.ndindex(t.shape):
            a, b = right[place], left[place]
            low, high = (min(a, b), max(a, b)) if bool(a != b) else (a, a)
            bounds = Bounds(low, high, float(error[place]), size, slopes.ties)
            if not bounds.admit(t[place], rtol):
                spot = f" at [{', '.join(map(str, place))}]" if place else ""
                return Finding(
                    "jvp",
                    f"the tangent of output {k} is wrong{spot}, with {who} moving",
                    bounds.middle,
                    t[place],
                    rule=blame.rule(case, "jvp"),
                )
    return None


def adjoint(case: Case) -> Findings:
    """⟨g, J t⟩ = ⟨Jᵀ g, t⟩: forward and reverse mode are each other's transpose."""
    moved = case.engine.jvp(case.called_with, case.arrays, case.ts)
    left = sum(float(np.sum(g * t)) for g, t in zip(case.gs, moved, strict=True))
    terms = [case.once.gradient(k) * t for k, t in enumerate(case.ts)]
    right = sum(float(np.sum(term)) for term in terms)
    size = sum(float(np.sum(abs(term))) for term in terms)
    if not Bounds(left, left, 0.0, size).admit(right, case.rtol):
        yield Finding("adjoint", "forward and reverse mode disagree: ⟨g, J t⟩ is not ⟨Jᵀ g, t⟩", left, right)
    derived = sorted(jvps_from_vjps(case))
    if derived:
        case.notes.append(
            f"forward mode of {', '.join(derived)} is made from the rules of reverse mode: that the two agree is "
            "no evidence there"
        )


def jvps_from_vjps(case: Case) -> set[str]:
    """The operations whose jvp shares its text with the vjp, in the graph of the case."""
    roots = [y.origin for y in case.once.ys if getattr(y, "origin", None) is not None]
    calls = [origin.primitive for origin in reverse_topological_order(roots) if type(origin) is Node]
    own = (Linear, Multilinear)  # there it is the operation itself, and no rule
    return {p.name for p in calls if isinstance(p, Elementwise) or (p.jvp is None and not isinstance(p, own))}


# ---- second order ---------------------------------------------------------------------------------


def second_order(case: Case) -> Findings:
    """The derivative of the gradient, by all three nestings of the modes, is the oracle's."""
    try:
        mixed, error = case.oracle.curvatures(case.reference, case.arrays, case.us, case.ts)
    except Unsuitable as reason:
        case.notes.append(f"second order was not checked: {reason}")
        return
    want, slack, size = 0, 0.0, 0.0
    for g, m, e in zip(case.gs, mixed, error, strict=True):
        terms = np.asarray(case.oracle.over(g) * m)
        want = want + np.sum(terms)
        size += float(np.sum(abs(terms))) if case.oracle.ordered else 0.0
        slack += float(np.sum(abs(g * e)))
    declined = None
    for world in case.worlds:
        for nesting in NESTINGS:
            try:
                found = getattr(case.engine, nesting)(case.called_with, world.xs, world.gs, world.us)
            except Exception as reason:
                if world.rtol and is_declined(reason):
                    declined = reason  # perhaps not in the other nestings
                    continue
                if world.rtol:
                    raise
                what = f"{spaced(nesting)} does not take exact numbers: {type(reason).__name__}: {reason}"
                yield from not_exact(case, what)
                continue
            terms = [np.asarray(h * t) for h, t in zip(found, world.ts, strict=True)]
            rtol = case.tolerance(world, terms)
            scale = sum(float(np.sum(abs(as_floats(t)))) for t in terms) if rtol else 0.0
            total = sum(map(np.sum, terms))
            if not Bounds(want, want, slack, size + scale).admit(total, rtol and max(rtol, 1e-8)):
                yield Finding(
                    "second order",
                    f"the second derivative, {spaced(nesting)}, is wrong",
                    want,
                    total,
                    cause="a rule takes for constant what depends on the inputs, or computes with something "
                    "that is not recorded",
                    rule=blame.rule(case, "second order"),
                    scene={"nesting": nesting},
                )
                return
    yield from by_cotangent(case)
    if declined:
        raise declined


def by_cotangent(case: Case) -> Findings:
    """A gradient is linear in the cotangent, and its derivative by that is J. (An operation that is linear
    itself has no second derivative by its inputs: only here is the rule of its rule asked.)"""
    n = len(case.arrays)

    def weighted(*inputs):
        ys = case.engine.flows(case.called_with(*inputs[:n]))
        return tuple(y * w for y, w in zip(ys, inputs[n:], strict=True))

    for world in case.worlds:
        weights = [np.ones_like(g) for g in world.gs]
        still = [np.zeros_like(g) for g in world.gs]
        try:
            found = case.engine.reverse_over_reverse(
                weighted, [*world.xs, *weights], world.gs, [*world.us, *still]
            )
        except Exception as reason:
            if world.rtol:
                raise
            yield from not_exact(case, f"the rules of the rules do not take exact numbers: {reason}")
            continue
        total = sum(map(np.sum, found[n:]))
        bounds = case.toward("by the cotangent", case.us)
        rtol = case.tolerance(world, found[n:])
        if not bounds.admit(total, rtol and max(rtol, 1e-8)):
            yield Finding(
                "second order",
                "the gradient's derivative by the cotangent, reverse over reverse, is wrong",
                bounds.middle,
                total,
                cause="the rule's own derivative: of an adjoint, the operation itself",
                rule=blame.rule(case, "second order"),
                scene={"nesting": "by_cotangent"},
            )
            return


NESTINGS = ("reverse_over_reverse", "forward_over_reverse", "reverse_over_forward")


def spaced(name: str) -> str:
    return name.replace("_", " ")


# ---- what a gradient is besides its numbers -------------------------------------------------------


def alone(case: Case) -> Findings:
    """The gradient by an input is the same whether or not the others want one."""
    if len(case.arrays) < 2:
        return
    for k in range(len(case.arrays)):
        run = case.run(tracked=[k])
        if not close(run.gradient(k), case.once.gradient(k)):
            yield Finding(
                "alone",
                f"the gradient by {case.label(k)} is another when no other input wants one",
                case.once.gradient(k),
                run.gradient(k),
                cause="a rule reads what is saved, or worked out, only when another input is wanted",
                rule=blame.rule(case),
                scene={"tracked": k},
            )
        stray = [j for j, g in enumerate(run.gradients) if j != k and g is not None]
        if stray:
            what = f"{case.label(stray[0])} did not ask for a gradient, and got one"
            yield Finding("alone", what, scene={"tracked": k})


def integers(case: Case) -> Findings:
    """Inputs that have no derivative (integers, booleans) get no gradient."""
    constants = {k: a for k, a in enumerate(case.arguments) if isinstance(a, Constant)}
    if not constants:
        return
    new = case.constants()
    for k, a in zip(case.places, case.arrays, strict=True):
        new[k] = case.engine.variable(a)
    Run(case, new, case.outputs(case.program(*new))).back()
    for k, constant in constants.items():
        if case.engine.gradient(new[k]) is not None:
            yield Finding(
                "integers",
                f"{case.argument_label(k)} holds {constant.array.dtype} numbers, which have no derivative, and got a gradient",
                scene={"constant": k},
            )


def forward(case: Case, arrays: list[np.ndarray], how: str) -> Run | None:
    """A run without its walk back; None, and a note, if the program does not take such arrays (to decline
    an input is not to differentiate it wrongly)."""
    try:
        return case.run(arrays, walk=False)
    except Exception as error:  # whatever it says of them
        text = str(error).strip().partition("\n")[0]
        case.notes.append(f"not checked {how}: f does not take it ({type(error).__name__}: {text})")
        return None


def shape_and_dtype(case: Case) -> Findings:
    """A gradient has the shape and the dtype of its input, also where the dtypes are mixed."""
    n = len(case.arrays)
    mixed = tuple((np.float32, np.float64)[k % 2] for k in range(n))
    for dtypes in dict.fromkeys([(np.float64,) * n, (np.float32,) * n, mixed]):
        arrays = [a.astype(d) for a, d in zip(case.arrays, dtypes, strict=True)]
        run = forward(case, arrays, f"with {', '.join(np.dtype(d).name for d in dtypes)}")
        if run is None:
            continue
        run.back([g.astype(y.dtype) for g, y in zip(case.gs, run.values, strict=True)])
        for k, (g, x) in enumerate(zip(run.gradients, arrays, strict=True)):
            if g is not None and (g.dtype != x.dtype or g.shape != x.shape):
                yield Finding(
                    "shape and dtype",
                    f"the gradient by {case.label(k)}, of {x.dtype} and shape {x.shape}, has dtype {g.dtype} "
                    f"and shape {g.shape}",
                    cause="a constant of the rule is a float64 array, and nothing casts the gradient back"
                    if g.shape == x.shape
                    else blame.of_shapes(x.shape, g.shape),
                    rule=blame.rule(case),
                    scene={"dtypes": dtypes},
                )
                return


def untouched(case: Case) -> Findings:
    """Neither the forward nor the walk back writes to an input, a cotangent or a value."""
    arrays, gs = [a.copy() for a in case.arrays], [g.copy() for g in case.gs]
    run = case.run(arrays, walk=False)
    for k, (a, b) in enumerate(zip(arrays, case.arrays, strict=True)):
        if not same(a, b):
            cause = "an operation works in place on what it was given"
            yield Finding(
                "untouched", f"the forward changed {case.label(k)}", b, a, cause, scene={"input": k}
            )
            return
    values = [y.copy() for y in run.values]
    run.back(gs)
    for k, (a, b) in enumerate(zip(arrays, case.arrays, strict=True)):
        if not same(a, b):
            yield Finding(
                "untouched",
                f"the walk back changed {case.label(k)}",
                b,
                a,
                rule=blame.rule(case),
                scene={"input": k},
            )
    for k, (a, b) in enumerate(zip(gs, case.gs, strict=True)):
        if not same(a, b):
            cause = "a rule, or the accumulation, adds in place into what it was given"
            what = f"the walk back changed the cotangent of output {k}"
            yield Finding("untouched", what, b, a, cause, scene={"cotangent": k})
    for k, (y, before) in enumerate(zip(run.values, values, strict=True)):
        if not same(y, before):
            what = f"the walk back changed the value of output {k}"
            yield Finding("untouched", what, before, y, scene={"output": k})


def aliasing(case: Case) -> Findings:
    """A gradient's memory is its own: no input's, cotangent's, value's or other gradient's."""
    gs = [g.copy() for g in case.gs]
    run = case.run(gs=gs)
    gradients = [(k, g) for k, g in enumerate(run.gradients) if g is not None]
    for k, g in gradients:
        others = [
            *(("gradient", j, f"the gradient by {case.label(j)}", other) for j, other in gradients if j > k),
            *(("cotangent", j, f"the cotangent of output {j}", other) for j, other in enumerate(gs)),
            *(("output", j, f"output {j}", other) for j, other in enumerate(run.values)),
            *(("input", j, case.label(j), case.engine.array(x)) for j, x in enumerate(run.xs)),
        ]
        for kind, j, what, other in others:
            if np.shares_memory(g, other):
                yield Finding(
                    "aliasing",
                    f"the gradient by {case.label(k)} lies in the same memory as {what}",
                    cause="to write to one, as an optimiser or clipping does, is to change the other: what is "
                    "kept has to be a copy",
                    scene={"of": k, kind: j},
                )
                return
        if g.size and not g.flags.writeable:
            yield Finding(
                "aliasing",
                f"the gradient by {case.label(k)} is read-only: a view of something else",
                scene={"of": k},
            )
            return


def accumulation(case: Case) -> Findings:
    """A second walk, over a graph of its own, adds to the gradients of the first."""
    run = case.run()
    first = [None if g is None else g.copy() for g in run.gradients]
    again = Run(case, run.xs, case.outputs(case.called(run.xs)))
    again.back()
    for k, (before, after) in enumerate(zip(first, again.gradients, strict=True)):
        if before is not None and not close(after, 2 * before):
            overwritten = close(after, before)
            yield Finding(
                "accumulation",
                f"after a second walk the gradient by {case.label(k)} is not twice what it was after one",
                2 * before,
                after,
                cause="the second overwrites the first: `=` stands for `+=`"
                if overwritten
                else "something of the first walk was kept, and is added again",
            )


def determinism(case: Case) -> Findings:
    """The same walk gives the same gradients, bit for bit."""
    for k, (a, b) in enumerate(zip(case.once.gradients, case.run().gradients, strict=True)):
        if a is not b and (a is None or b is None or not same(a, b)):
            yield Finding("determinism", f"the gradient by {case.label(k)} differs from walk to walk", a, b)


def memory_layouts(case: Case) -> Findings:
    """The same numbers in other memory give the same value and the same gradients."""
    for name, lay in layouts.LAYOUTS.items():
        arrays, gs = [lay(a) for a in case.arrays], [lay(g) for g in case.gs]
        found, usual = forward(case, arrays, f"in {name} memory"), case.once
        if found is None:
            continue
        found.back(gs)
        if name == "broadcast":  # other numbers: those that repeat
            usual = case.run([a.copy() for a in arrays], [g.copy() for g in gs])
        for k, (a, b) in enumerate(zip(found.values, usual.values, strict=True)):
            if not close(a, b):
                yield Finding("memory layouts", f"output {k} is another for {name} memory", b, a)
                return
        for k in range(len(arrays)):
            if not close(found.gradient(k), usual.gradient(k)):
                yield Finding(
                    "memory layouts",
                    f"the gradient by {case.label(k)} is another for {name} memory",
                    usual.gradient(k),
                    found.gradient(k),
                    rule=blame.rule(case),
                )
                return


# ---- the table ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """A check, and what it needs of the engine."""

    run: Callable[[Case], Findings]
    needs: frozenset[str] = frozenset()
    order: int = 1
    mode: str = "reverse"

    @property
    def name(self) -> str:
        return spaced(self.run.__name__)

    @property
    def about(self) -> str:
        return self.run.__doc__ or ""


FORWARD, SECOND, MEMORY = (frozenset({n}) for n in ("forward mode", "second order", "memory"))
CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        Check(value), Check(vjp), Check(jvp, FORWARD, mode="forward"), Check(adjoint, FORWARD, mode="forward"),
        Check(second_order, SECOND, order=2), Check(alone), Check(integers), Check(shape_and_dtype),
        Check(untouched), Check(aliasing), Check(accumulation), Check(determinism), Check(memory_layouts, MEMORY),
    )
}  # fmt: skip


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Bit for bit, NaN included?"""
    return (
        a.shape == b.shape
        and a.dtype == b.dtype
        and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
    )


def close(a: Any, b: Any) -> bool:
    """The same but for rounding, as another order of summation may have it?"""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    size = np.max(abs(b[np.isfinite(b)]), initial=0)
    return bool(np.allclose(a, b, rtol=1e-10, atol=1e-12 * size + 1e-300, equal_nan=True))
