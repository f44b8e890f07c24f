"""What the checks ask of an engine, and this one's answers.

The first six are enough for most checks; those that need more say so, and are left out (and named
in the report) for an engine without that ability.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from .. import autograd, dtypes, functional, ops
from ..graph import Variable, mode, no_grad, switched
from ..primitive import table, total
from ..tensor import Tensor

Arrays = Sequence[np.ndarray]


class Engine(Protocol):
    """An engine to be tested: how to make a variable, walk back, and read the gradient."""

    name: str
    functions: Mapping[str, Callable]  # operations by name: "add", "softmax", "getitem" …
    abilities: frozenset[str]  # of "forward mode", "second order", "exact numbers", "memory"

    def variable(self, array: np.ndarray) -> Any:
        """A value that holds `array` and wants a gradient."""
        ...

    def constant(self, array: np.ndarray) -> Any:
        """A value that holds `array` and wants none."""
        ...

    def array(self, value: Any) -> np.ndarray:
        """The numbers of a value."""
        ...

    def tracked(self, value: Any) -> bool:
        """Does a gradient flow through this value?"""
        ...

    def backward(self, outputs: Sequence, cotangents: Arrays) -> None:
        """One walk from the tracked `outputs`; adds to the gradients of the variables below."""
        ...

    def gradient(self, variable: Any) -> np.ndarray | None:
        """What backward has added up for a variable; None if nothing has arrived."""
        ...


class Autodiff:
    """This engine. It has every ability:

    forward mode   `jvp`
    second order   `reverse_over_reverse`, `forward_over_reverse`, `reverse_over_forward`
    exact numbers  object arrays of Fraction and the like go through its functions and its rules
    memory         a variable lies in the memory of the array that it was made of
    """

    name = "autodiff"
    abilities = frozenset({"forward mode", "second order", "exact numbers", "memory"})

    @property
    def functions(self) -> dict[str, Callable]:
        named = {name: f for name, f in vars(ops).items() if callable(f) and name[0] != "_"}
        return {**table, **named}

    def variable(self, array):
        return Tensor.wrap(array).requires_grad_()

    def constant(self, array):
        return Tensor.wrap(array)

    def array(self, value):
        return value.array if isinstance(value, Variable) else np.asarray(value)

    def tracked(self, value):
        return isinstance(value, Variable) and value.origin is not None

    def backward(self, outputs, cotangents):
        exact = any(g.dtype == object for g in cotangents)  # on Tensors: see `gradients`
        autograd.backward(list(outputs), [Tensor.wrap(g) for g in cotangents], create_graph=exact)

    def gradient(self, variable):
        return None if variable.grad is None else variable.grad.array

    # ---- more than the protocol asks ------------------------------------------------------------

    def jvp(self, f: Callable, xs: Arrays, ts: Arrays) -> list[np.ndarray]:
        """J·t for each differentiable output of f at xs."""
        moved: list = []

        def listed(*inputs):
            moved.extend(flows(f(*inputs)))
            return moved

        _, tangents = functional.jvp(listed, list(map(Tensor.wrap, xs)), list(map(Tensor.wrap, ts)))
        return [t.array for t in tangents]

    def flows(self, result) -> list[Any]:
        """The differentiable outputs."""
        return flows(result)

    def weighted(self, f: Callable, gs: Arrays) -> Callable:
        """Σ ⟨g, y⟩ over the differentiable outputs y of f: a scalar."""

        def scalar(*xs):
            return inner(gs, flows(f(*xs)))

        return scalar

    def reverse_over_reverse(self, f, xs, gs, us) -> list[np.ndarray]:
        """H·u, H the Hessian of Σ ⟨g, f⟩, as the gradient of ⟨u, gradient⟩."""

        def slope(*inputs):
            return inner(us, gradients(self.weighted(f, gs)(*inputs), inputs))

        return self.gradients_of(slope, xs)

    def forward_over_reverse(self, f, xs, gs, us) -> list[np.ndarray]:
        """H·u as the tangent of the gradient along u."""
        gradient = functional.grad(self.weighted(f, gs), tuple(range(len(xs))))
        _, moved = functional.jvp(gradient, list(map(Tensor.wrap, xs)), list(map(Tensor.wrap, us)))
        return [t.array for t in moved]

    def reverse_over_forward(self, f, xs, gs, us) -> list[np.ndarray]:
        """H·u as the gradient of ⟨g, J·u⟩."""

        def slope(*inputs):
            _, moved = functional.jvp(lambda *x: flows(f(*x)), inputs, list(map(Tensor.wrap, us)))
            return inner(gs, list(moved))

        return self.gradients_of(slope, xs)

    def gradients_of(self, f, xs) -> list[np.ndarray]:
        inputs = [Tensor.wrap(x).requires_grad_() for x in xs]
        return [g.array for g in gradients(f(*inputs), inputs)]

    def traced(self, f: Callable, xs: Arrays) -> list[tuple]:
        """(primitive, arguments as arrays, options) for every call that f makes at xs."""
        tracer = Tracer()
        with no_grad(), switched(interpreters=(*mode.get()[1], tracer)):
            f(*map(Tensor.wrap, xs))
        return tracer.calls


class Tracer:
    """An interpreter that notes what is applied to what, and lets it happen."""

    def __init__(self):
        self.calls: list[tuple] = []

    def apply(self, primitive, args, options):
        arrays = [np.array(a.array) if isinstance(a, Variable) else a for a in args]
        self.calls.append((primitive, arrays, options))
        return primitive(*args, **options)


# What engines say, in an exception, of a derivative that they do not have: the last two PyTorch, of an
# autograd.Function in its plain form (without torch.func), or declared to have a first derivative only.
DECLINING = ("not implemented", "setup_context", "once_differentiable")


def is_declined(error: Exception) -> bool:
    """Does the engine say that it has no such derivative?"""
    text = str(error).lower()
    return isinstance(error, NotImplementedError) or any(words in text for words in DECLINING)


def flows(result) -> list[Any]:
    """The outputs of a function that can have a derivative, in order."""
    several = result if isinstance(result, (tuple, list)) else (result,)
    return [y for y in several if isinstance(y, Variable) and y.dtype.kind in dtypes.DIFFERENTIABLE]


def inner(gs: Arrays, ys: Sequence[Tensor]) -> Tensor:
    """Σ ⟨g, y⟩."""
    terms = [(y * Tensor.wrap(g)).sum() for g, y in zip(gs, ys, strict=True)]
    return total(terms)


def gradients(y: Tensor, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    """The gradient of y by each input, recorded; zeros where y does not depend on it. (The walk is on
    Tensors: on plain arrays the 0-d result of exact arithmetic would be a number without a shape.)"""
    if y.origin is None:
        return [Tensor.wrap(np.zeros_like(x.array)) for x in inputs]
    return autograd.grad(y, inputs, create_graph=True, allow_unused=True, materialize_grads=True)


OURS = Autodiff()
