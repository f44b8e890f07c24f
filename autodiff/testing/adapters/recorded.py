"""For engines that differentiate functions (JAX, autograd): what the kit calls step by step is noted
down, and handed to them as one function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

from .. import blame
from .base import Adapter

clock = count()


class Recorded:
    """A value, and the call that made it; a variable was made by none."""

    def __init__(self, value: Any, call: Call | None = None, place: int | None = None):
        self.value, self.call, self.place = value, call, place
        self.gradient: np.ndarray | None = None

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)


class Call:
    """A function and its arguments, some of them Recorded."""

    def __init__(self, function: Callable, arguments: tuple):
        self.function, self.arguments, self.time = function, arguments, next(clock)

    def operands(self) -> list[Recorded]:
        """The recorded ones, those inside lists too."""
        flat = [x for a in self.arguments for x in (a if isinstance(a, (list, tuple)) else (a,))]
        return [x for x in flat if isinstance(x, Recorded)]

    def run(self, look: Callable[[Recorded], Any]) -> Any:
        """The function, of its arguments as `look` finds them."""

        def filled(a):
            if isinstance(a, (list, tuple)):
                return type(a)(map(filled, a))
            return look(a) if isinstance(a, Recorded) else a

        return self.function(*map(filled, self.arguments))


def recorder(function: Callable) -> Callable:
    """The function, noting down what it is given that is Recorded."""

    def called(*arguments):
        call = Call(function, arguments)
        if not call.operands():
            return function(*arguments)
        result = call.run(lambda x: x.value)
        if isinstance(result, (list, tuple)):
            return [Recorded(r, call, k) for k, r in enumerate(result)]
        return Recorded(result, call)

    return called


class Recording(Adapter):
    """An engine with `vjp` and, if it can, `jvp`, `grad`: functions of a function."""

    native: dict[str, Callable] = {}  # operations by name, on the engine's own arrays
    waived = {
        "aliasing": "it returns gradients, and keeps none",
        "accumulation": "it returns gradients, and adds up none",
    }

    @property
    def functions(self) -> dict[str, Callable]:
        return {name: recorder(function) for name, function in self.native.items()}

    def own(self, array: np.ndarray) -> Any:
        """The array as the engine takes it."""
        return array

    def vjp(self, f: Callable, xs: list, gs: list) -> Sequence:
        """The gradients, by xs, of ⟨g, f(*xs)⟩; f gives a tuple."""
        raise NotImplementedError

    # ---- the protocol -----------------------------------------------------------------------------

    def variable(self, array):
        return Recorded(self.own(array))

    def constant(self, array):
        return self.own(array)

    def array(self, value):
        return np.asarray(value.value) if isinstance(value, Recorded) else np.asarray(value)

    def tracked(self, value):
        return isinstance(value, Recorded)

    def gradient(self, variable):
        return variable.gradient if isinstance(variable, Recorded) else None

    def backward(self, outputs, cotangents):
        calls, leaves = below(outputs)

        def program(*values):
            known: dict = dict(zip(leaves, values, strict=True))

            def look(x):
                found = known[x if x.call is None else x.call]
                return found if x.place is None else found[x.place]

            for call in calls:
                known[call] = call.run(look)
            return tuple(map(look, outputs))

        found = self.vjp(program, [x.value for x in leaves], list(map(self.own, cotangents)))
        for x, g in zip(leaves, found, strict=True):
            g = np.array(g)
            x.gradient = g if x.gradient is None else x.gradient + g

    # ---- forward mode, second order -----------------------------------------------------------------

    def grad(self, f: Callable, xs: Sequence) -> Sequence:
        """The gradients of a scalar function, to be differentiated again."""
        raise NotImplementedError

    def tangents(self, f: Callable, xs: Sequence, ts: Sequence) -> Sequence:
        """J·t for a function that gives a tuple, to be differentiated again."""
        raise NotImplementedError

    def inner(self, gs: Sequence, ys: Sequence) -> Any:
        """Σ ⟨g, y⟩ in the engine's own operations."""
        terms = [self.native["sum"](self.native["mul"](self.own(g), y)) for g, y in zip(gs, ys, strict=True)]
        total = terms[0]
        for term in terms[1:]:
            total = self.native["add"](total, term)
        return total

    def flows(self, result: Any) -> tuple:
        several = result if isinstance(result, (tuple, list)) else (result,)
        return tuple(y for y in several if np.dtype(getattr(y, "dtype", float)).kind == "f")

    def jvp(self, f, xs, ts):
        own = [list(map(self.own, arrays)) for arrays in (xs, ts)]
        return [np.asarray(t) for t in self.tangents(lambda *x: self.flows(f(*x)), *own)]

    def reverse_over_reverse(self, f, xs, gs, us):
        def weighted(*x):
            return self.inner(gs, self.flows(f(*x)))

        def slope(*x):
            return self.inner(us, self.grad(weighted, x))

        return list(map(np.asarray, self.grad(slope, list(map(self.own, xs)))))

    def forward_over_reverse(self, f, xs, gs, us):
        def weighted(*x):
            return self.inner(gs, self.flows(f(*x)))

        own = [list(map(self.own, arrays)) for arrays in (xs, us)]
        return [np.asarray(h) for h in self.tangents(lambda *x: tuple(self.grad(weighted, x)), *own)]

    def reverse_over_forward(self, f, xs, gs, us):
        def slope(*x):
            return self.inner(gs, self.tangents(lambda *z: self.flows(f(*z)), x, list(map(self.own, us))))

        return list(map(np.asarray, self.grad(slope, list(map(self.own, xs)))))

    # ---- how it is written ------------------------------------------------------------------------

    def spelled(self, name):
        return blame.text_of(self.native[name]) or f"native[{name!r}]"

    def spelled_variable(self, array):
        return f"np.array({array.tolist()!r})" if array.size else f"np.zeros({array.shape!r})"

    spelled_constant = spelled_variable

    spelled_vjp = ""  # with {f}, {xs} and {gs}

    def spelled_run(self, inputs, body, outputs, gs):
        result = outputs[0] if len(outputs) == 1 else f"({', '.join(outputs)})"
        lines = [
            f"def program({', '.join(inputs)}):",
            *(f"    {line}" for line in body),
            f"    return {result}",
        ]
        cotangents = ", ".join(map(self.spelled_variable, gs))
        cotangents = cotangents if len(gs) == 1 else f"({cotangents})"
        return [*lines, "", *self.spelled_vjp.format(xs=", ".join(inputs), gs=cotangents,
                                                     n=", ".join(map(str, range(len(inputs))))).splitlines()]  # fmt: skip


def below(outputs: Sequence[Recorded]) -> tuple[list[Call], list[Recorded]]:
    """The calls that the outputs depend on, in the order in which they were made, and the variables."""
    calls, leaves, stack = {}, {}, list(outputs)
    while stack:
        x = stack.pop()
        if x.call is None:
            leaves[x] = None
        elif x.call not in calls:
            calls[x.call] = None
            stack += x.call.operands()
    return sorted(calls, key=lambda call: call.time), list(leaves)
