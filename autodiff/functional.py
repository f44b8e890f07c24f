"""Derivatives of functions: grad, vjp, jvp, and what is made of them.

Each gives its inputs an origin of their own, so that a derivative is never mixed up with one
outside or inside it, even of the same variable.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from . import ops
from .graph import (
    Leaf,
    backpropagate,
    enable_grad,
    mode,
    push_forward,
    reverse_topological_order,
    switched,
)
from .ops.shapes import identity
from .primitive import Primitive
from .tensor import Tensor

Argnums = int | tuple[int, ...]


def fresh(x: Any) -> Tensor:
    """x at an origin of its own."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    return identity(x) if x.requires_grad else Tensor(x.array).requires_grad_()


def placed(args: tuple, argnums: Argnums) -> tuple[tuple, list[Tensor]]:
    """The arguments, those at `argnums` fresh; and these."""
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    numbers = tuple(n % len(args) for n in numbers)
    new = tuple(fresh(a) if n in numbers else a for n, a in enumerate(args))
    return new, [new[n] for n in numbers]


def seen_outside(ys: list[Tensor], inputs: list[Tensor], *others: Tensor) -> bool:
    """May somebody differentiate what is computed from these? So it is when a leaf that is not one
    of the inputs lies below, when a cotangent or tangent is tracked, or under an interpreter."""
    if mode.get()[1] or any(other.origin is not None for other in others):
        return True
    own = {x.origin for x in inputs}
    order = reverse_topological_order([y.origin for y in ys if y.origin is not None])
    return any(type(origin) is Leaf and origin not in own for origin in order)


def cut_off(x: Tensor) -> Tensor:
    """x's values without its graph, which nobody outside can see."""
    return Tensor.wrap(x.array)


def pulled_back(y: Tensor, cotangent: Tensor, inputs: list[Tensor], record: bool = False) -> list[Tensor]:
    """The vjp of y by the inputs.

    The walk is on plain arrays, unless somebody may differentiate the result.
    """
    found = {}
    if y.origin is not None:
        record = record or seen_outside([y], inputs, cotangent)
        seed = cotangent if record else cotangent.array
        found = backpropagate([y.origin], [seed], {x.origin for x in inputs})
    gradients = [found.get(x.origin) for x in inputs]
    return [
        Tensor.wrap(np.zeros_like(x.array)) if g is None
        else g if isinstance(g, Tensor)
        else Tensor.wrap(np.array(g))
        for x, g in zip(inputs, gradients, strict=True)
    ]  # fmt: skip


def unwrapped(found: list, argnums: Argnums):
    return found[0] if isinstance(argnums, int) else tuple(found)


def value_and_grad(f: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """A function that gives f's value, a scalar, and its gradient by the arguments `argnums`."""

    @wraps(f)
    def both(*args, **kwargs):
        with enable_grad():
            args, inputs = placed(args, argnums)
            y = f(*args, **kwargs)
            y, aux = y if has_aux else (y, None)
            if not isinstance(y, Tensor):
                y = Tensor(y)
            if y.array.size != 1:
                raise RuntimeError(
                    "grad can be implicitly created only for scalar outputs, and the function "
                    f"gave one of shape {list(y.shape)}: end it with .sum(), or use jacobian or vjp"
                )
            found = pulled_back(y, Tensor.wrap(np.ones_like(y.array)), inputs)
            y = y if seen_outside([y], inputs) else cut_off(y)
        gradient = unwrapped(found, argnums)
        return ((y, aux), gradient) if has_aux else (y, gradient)

    return both


def grad(f: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """A function that gives the gradient of f, whose value is a scalar."""
    both = value_and_grad(f, argnums, has_aux)

    @wraps(f)
    def gradient(*args, **kwargs):
        y, g = both(*args, **kwargs)
        return (g, y[1]) if has_aux else g

    return gradient


def vjp(f: Callable, *primals):
    """f at `primals`, and the function cotangent ↦ (Jᵀ·cotangent for each primal)."""
    with enable_grad():
        inputs = [fresh(x) for x in primals]
        y = f(*inputs)

    def pullback(cotangent):
        cotangent = cotangent if isinstance(cotangent, Tensor) else Tensor(cotangent)
        with enable_grad():
            return tuple(pulled_back(y, cotangent, inputs))

    return y, pullback


def jvp(f: Callable, primals, tangents):
    """f at `primals`, and its directional derivative J·tangents: forward mode."""
    with enable_grad():
        inputs = [fresh(x) for x in primals]
        ts = [t if isinstance(t, Tensor) else Tensor(t) for t in tangents]
        for x, t in zip(inputs, ts, strict=True):
            if x.shape != t.shape:
                raise RuntimeError(
                    f"a tangent has the shape of its primal: got {list(t.shape)} for {list(x.shape)}"
                )
        y = f(*inputs)
        several = isinstance(y, (tuple, list))
        ys = list(y) if several else [y]
        ts = [t if t.dtype == x.dtype else t.to(x.dtype) for x, t in zip(inputs, ts, strict=True)]
        reached = [each.origin for each in ys if each.origin is not None]
        found = iter(push_forward([x.origin for x in inputs], ts, reached))
        moved = [None if each.origin is None else next(found) for each in ys]
    moved = [
        Tensor.wrap(np.zeros_like(each.array)) if t is None else t for each, t in zip(ys, moved, strict=True)
    ]
    if not seen_outside(ys, inputs, *ts):
        ys, moved = list(map(cut_off, ys)), list(map(cut_off, moved))
    return (tuple(ys), tuple(moved)) if several else (ys[0], moved[0])


def unit(shape, dtype, k: int) -> Tensor:
    """The k-th vector of the standard basis, in `shape`."""
    e = np.zeros(shape, dtype)
    e.reshape(-1)[k] = 1
    return Tensor.wrap(e)


def jacobian(f: Callable, argnums: int = 0, mode: str = "auto") -> Callable:
    """A function that gives ∂f/∂x, of shape (*y.shape, *x.shape): by rows, a walk back for each
    element of y ("reverse"), by columns, a walk up for each element of x ("forward"), or by
    whichever are fewer ("auto")."""
    if mode not in ("auto", "reverse", "forward"):
        raise ValueError(f"mode is 'auto', 'reverse' or 'forward', not {mode!r}")

    @wraps(f)
    def matrix(*args, **kwargs):
        with enable_grad():
            args, (x,) = placed(args, argnums)
            y = f(*args, **kwargs)
            shape = (*y.shape, *x.shape)
            if y.origin is None or 0 in shape:
                return Tensor.wrap(np.zeros(shape, y.dtype))
            outside = seen_outside([y], [x])
            by_columns = mode == "forward" or (mode == "auto" and x.numel() < y.numel())
            if by_columns:
                columns = []
                for k in range(x.numel()):
                    (t,) = push_forward([x.origin], [unit(x.shape, x.dtype, k)], [y.origin])
                    t = Tensor.wrap(np.zeros_like(y.array)) if t is None else t
                    columns.append(t if outside else cut_off(t))
                return ops.reshape(ops.stack(columns, -1), *shape)
            rows = [pulled_back(y, unit(y.shape, y.dtype, k), [x])[0] for k in range(y.numel())]
            return ops.reshape(ops.stack(rows, 0), *shape)

    return matrix


def hessian(f: Callable, argnums: int = 0) -> Callable:
    """A function that gives ∂²f/∂x², of shape (*x.shape, *x.shape), of a scalar f: a walk up
    through the gradient for each element of x."""
    return jacobian(grad(f, argnums), argnums, "forward")


def hvp(f: Callable, primals, tangents):
    """The gradient of a scalar f at `primals`, and the product of its Hessian with `tangents`:
    forward over reverse. One primal and tangent may be given without a list."""
    single = not isinstance(primals, (tuple, list))
    if single:
        primals, tangents = (primals,), (tangents,)
    everything = grad(f, tuple(range(len(primals))))
    gradients, products = jvp(everything, primals, tangents)
    return (gradients[0], products[0]) if single else (gradients, products)


def remat(f: Callable) -> Callable:
    """f, whose inner values are not saved for the walk back but computed again there: memory for
    time. f must give one Tensor, and the same one each time."""

    @wraps(f)
    def again(*args):
        tracked = [k for k, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
        if not tracked or not mode.get()[0]:
            return f(*args)

        def forward(*arrays):
            with switched(recording=False):
                return f(*inserted(args, tracked, map(Tensor.wrap, arrays))).array

        def rule(g, i, xs):
            xs = [x if isinstance(x, Tensor) else Tensor(x) for x in xs]
            seed = g if isinstance(g, Tensor) else Tensor.wrap(g)
            with enable_grad():
                inputs = [fresh(x) for x in xs]
                y = f(*inserted(args, tracked, inputs))
                share = pulled_back(y, seed, [inputs[i]], isinstance(g, Tensor))[0]
            return share if isinstance(g, Tensor) else share.array

        name = getattr(f, "__name__", "function")
        primitive = Primitive(f"remat_{name}", forward, "*xs", [rule], promotes=False, listed=False)
        return primitive(*(args[k] for k in tracked))

    return again


def inserted(args: tuple, places: list[int], values) -> list:
    """The arguments, with `values` at `places`."""
    new = list(args)
    for k, value in zip(places, values, strict=True):
        new[k] = value
    return new
