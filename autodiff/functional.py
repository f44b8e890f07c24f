"""Derivatives of functions: grad, vjp, jvp, and what is made of them.

Each gives its inputs an origin of their own, so that a derivative is never mixed up with one
outside or inside it, even of the same variable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy as np

from . import ops
from .errors import explanation
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


# ---- trees: Tensors in tuples, lists and dicts ---------------------------------------------------


def is_tree(x: Any) -> bool:
    """Is it a dict, or a tuple or list with a Tensor somewhere in it? (One of numbers is an array's data.)"""
    return isinstance(x, dict) or (
        isinstance(x, (tuple, list)) and any(isinstance(each, Tensor) or is_tree(each) for each in x)
    )


def leaves(tree: Any) -> list:
    """What is in a tree, in order; of anything else, itself."""
    if not is_tree(tree):
        return [tree]
    return [leaf for each in (tree.values() if isinstance(tree, dict) else tree) for leaf in leaves(each)]


def mapped(f: Callable, *trees: Any) -> Any:
    """The tree of f(leaf of each), for trees that are built alike."""
    first = trees[0]
    if not is_tree(first):
        return f(*trees)
    if isinstance(first, dict):
        return {key: mapped(f, *(tree[key] for tree in trees)) for key in first}
    made = [mapped(f, *each) for each in zip(*trees, strict=True)]
    return type(first)(*made) if hasattr(first, "_fields") else type(first)(made)


def rebuilt(tree: Any, values: Iterator) -> Any:
    """The tree with the next of `values` in place of each leaf."""
    return mapped(lambda leaf: next(values), tree)


# ---- parts of all that follows --------------------------------------------------------------------


def as_tensor(x: Any) -> Tensor:
    """x, made a Tensor if it is none."""
    return x if isinstance(x, Tensor) else Tensor(x)


def given_tensor(y: Any) -> Tensor:
    """What a function gave: an error if it is a number, of which nobody knows how it was computed."""
    if not isinstance(y, Tensor):
        raise RuntimeError(
            explanation(
                f"Expected the function to return a tensor, got type {type(y).__name__}",
                why="only a tensor knows what it was computed from: all derivatives would be 0",
                remedy="return the tensor itself, and compute without .item(), .numpy() and float()"
                if y is not None
                else "write return before what it computes",
            )
        )
    return y


def check_function(name: str, f: Any) -> None:
    """An error if the f that was given to the derivative `name` is no function."""
    if not callable(f):
        raise TypeError(
            f"{name}() takes a function and gives one that computes its derivative; got {type(f).__name__}. For the "
            "gradient of a tensor y that is already computed, write y.backward() and look at x.grad, or write "
            "autograd.grad(y, x)"
        )


def fresh(x: Any) -> Tensor:
    """x at an origin of its own."""
    x = as_tensor(x)
    return identity(x) if x.requires_grad else Tensor.wrap(x.array).requires_grad_()


def with_fresh(args: tuple, argnums: Argnums) -> tuple[tuple, tuple]:
    """The arguments, those at `argnums` with fresh Tensors in them; and these by themselves."""
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    numbers = tuple(n % len(args) for n in numbers)
    new = tuple(mapped(fresh, a) if n in numbers else a for n, a in enumerate(args))
    return new, tuple(new[n] for n in numbers)


def seen_outside(ys: list[Tensor], inputs: list[Tensor], *others: Tensor) -> bool:
    """May somebody differentiate what is computed from these? Yes, if a leaf that is none of the inputs
    lies below, if a cotangent or tangent (`others`) is tracked, or under an interpreter."""
    if mode.get()[1] or any(other.origin is not None for other in others):
        return True
    own = {x.origin for x in inputs}
    order = reverse_topological_order([y.origin for y in ys if y.origin is not None])
    return any(type(origin) is Leaf and origin not in own for origin in order)


def cut_off(x: Tensor) -> Tensor:
    """x's values without its graph, which nobody outside can see."""
    return Tensor.wrap(x.array)


def given_back(tree: Any, inputs: list[Tensor]) -> Any:
    """What f gave, the Tensors in it without their graphs where nobody outside can see those."""

    def alone(y: Any) -> Any:
        hidden = isinstance(y, Tensor) and y.origin is not None and not seen_outside([y], inputs)
        return cut_off(y) if hidden else y

    return mapped(alone, tree)


def pulled_back(
    ys: list[Tensor], cotangents: list[Tensor], inputs: list[Tensor], record: bool = False
) -> list[Tensor]:
    """The vjp of the ys by the inputs.

    The walk is on plain arrays, unless somebody may differentiate the result.
    """
    found = {}
    pairs = [(y, g) for y, g in zip(ys, cotangents, strict=True) if y.origin is not None]
    if pairs:
        record = record or seen_outside(ys, inputs, *cotangents)
        seeds = [g if record else g.array for _, g in pairs]
        found = backpropagate([y.origin for y, _ in pairs], seeds, {x.origin for x in inputs})
    gradients = [found.get(x.origin) for x in inputs]
    return [
        Tensor.wrap(np.zeros_like(x.array)) if g is None
        else g if isinstance(g, Tensor)
        else Tensor.wrap(np.array(g))
        for x, g in zip(inputs, gradients, strict=True)
    ]  # fmt: skip


def unwrapped(found: Any, argnums: Argnums):
    """What was found for each of `argnums`: by itself, if that is one number."""
    return found[0] if isinstance(argnums, int) else tuple(found)


# ---- reverse and forward -------------------------------------------------------------------------


def value_and_grad(f: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """A function that gives f's value, a scalar, and its gradient by the arguments `argnums`, each a Tensor
    or a tree of Tensors. With `has_aux`, f gives (value, anything else), and so does this function."""

    check_function("grad", f)

    @wraps(f)
    def both(*args, **kwargs):
        with enable_grad():
            args, chosen = with_fresh(args, argnums)
            inputs = leaves(chosen)
            y = f(*args, **kwargs)
            y, aux = y if has_aux else (y, None)
            y = given_tensor(y)
            if y.array.size != 1:
                raise RuntimeError(
                    "grad can be implicitly created only for scalar outputs, and the function "
                    f"gave one of shape {list(y.shape)}: end it with .sum(), or use jacobian or vjp"
                )
            found = pulled_back([y], [Tensor.wrap(np.ones_like(y.array))], inputs)
            y, aux = given_back(y, inputs), given_back(aux, inputs)
        gradient = unwrapped(rebuilt(chosen, iter(found)), argnums)
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


def vjp(f: Callable, *primals, has_aux: bool = False) -> Any:
    """f at `primals`, and the function cotangent ↦ (Jᵀ·cotangent for each primal). With `has_aux`, f gives
    (value, anything else), and that is the third."""
    with enable_grad():
        chosen = tuple(mapped(fresh, x) for x in primals)
        inputs = leaves(chosen)
        y = f(*chosen)
        y, aux = y if has_aux else (y, None)
        y = mapped(given_tensor, y)

    def pullback(cotangent):
        with enable_grad():
            found = pulled_back(leaves(y), leaves(mapped(lambda _, g: as_tensor(g), y, cotangent)), inputs)
        return rebuilt(chosen, iter(found))

    value = given_back(y, inputs)
    return (value, pullback, given_back(aux, inputs)) if has_aux else (value, pullback)


def jvp(f: Callable, primals, tangents, has_aux: bool = False) -> Any:
    """f at `primals`, and its directional derivative J·tangents: forward mode. With `has_aux`, f gives
    (value, anything else), and that is the third."""
    with enable_grad():
        chosen = tuple(mapped(fresh, x) for x in primals)
        inputs = leaves(chosen)
        ts = leaves(mapped(lambda _, t: as_tensor(t), chosen, tuple(tangents)))
        for x, t in zip(inputs, ts, strict=True):
            if x.shape != t.shape:
                raise RuntimeError(
                    f"a tangent has the shape of its primal: got {list(t.shape)} for {list(x.shape)}"
                )
        y = f(*chosen)
        y, aux = y if has_aux else (y, None)
        y = mapped(given_tensor, y)
        ys = leaves(y)
        ts = [t if t.dtype == x.dtype else t.to(x.dtype) for x, t in zip(inputs, ts, strict=True)]
        moved = pushed(inputs, ts, ys)
    if not seen_outside(ys, inputs, *ts):
        moved = list(map(cut_off, moved))
    result = given_back(y, inputs), rebuilt(y, iter(moved))
    return (*result, given_back(aux, inputs)) if has_aux else result


def pushed(inputs: list[Tensor], tangents: list[Tensor], ys: list[Tensor]) -> list[Tensor]:
    """The tangent of each y."""
    reached = [y.origin for y in ys if y.origin is not None]
    found = iter(push_forward([x.origin for x in inputs], tangents, reached))
    moved = [None if y.origin is None else next(found) for y in ys]
    return [Tensor.wrap(np.zeros_like(y.array)) if t is None else t for y, t in zip(ys, moved, strict=True)]


def unit(shape, dtype, k: int) -> Tensor:
    """The k-th vector of the standard basis, in `shape`."""
    e = np.zeros(shape, dtype)
    e.reshape(-1)[k] = 1
    return Tensor.wrap(e)


def jacobian(f: Callable, argnums: Argnums = 0, mode: str = "auto", has_aux: bool = False) -> Callable:
    """A function that gives ∂f/∂x, of shape (*y.shape, *x.shape): by rows, a walk back for each
    element of y ("reverse"), by columns, a walk up for each element of x ("forward"), or by
    whichever are fewer ("auto"). Where f gives a tree of ys, or takes trees of xs, that is a tree of such trees.
    With `has_aux`, f gives (value, anything else), and so does this function."""
    if mode not in ("auto", "reverse", "forward"):
        raise ValueError(f"mode is 'auto', 'reverse' or 'forward', not {mode!r}")

    check_function("jacobian", f)

    @wraps(f)
    def matrix(*args, **kwargs):
        with enable_grad():
            args, chosen = with_fresh(args, argnums)
            inputs = leaves(chosen)
            y = f(*args, **kwargs)
            y, aux = y if has_aux else (y, None)
            y = mapped(given_tensor, y)
            ys = leaves(y)
            few = sum(x.numel() for x in inputs) < sum(each.numel() for each in ys)
            blocks = by_columns if mode == "forward" or (mode == "auto" and few) else by_rows
            rows = [
                unwrapped(rebuilt(chosen, iter(row)), argnums)
                for row in zip(*blocks(ys, inputs), strict=True)
            ]
        found = rebuilt(y, iter(rows))
        return (found, given_back(aux, inputs)) if has_aux else found

    return matrix


def by_columns(ys: list[Tensor], inputs: list[Tensor]) -> list[list[Tensor]]:
    """For each input, ∂y/∂input for each y, by a walk up for each element of the input."""
    outside = seen_outside(ys, inputs)
    result = []
    for x in inputs:
        columns = [pushed([x], [unit(x.shape, x.dtype, k)], ys) for k in range(x.numel())]
        if not outside:
            columns = [list(map(cut_off, column)) for column in columns]
        result.append([block(y, x, [c[i] for c in columns], -1) for i, y in enumerate(ys)])
    return result


def by_rows(ys: list[Tensor], inputs: list[Tensor]) -> list[list[Tensor]]:
    """For each input, ∂y/∂input for each y, by a walk back for each element of the y."""
    rows = [
        [pulled_back([y], [unit(y.shape, y.dtype, k)], inputs) for k in range(y.numel())] for y in ys
    ]  # of y, of its element, of the input
    return [
        [block(y, x, [row[i] for row in of_y], 0) for y, of_y in zip(ys, rows, strict=True)]
        for i, x in enumerate(inputs)
    ]


def block(y: Tensor, x: Tensor, parts: list[Tensor], dim: int) -> Tensor:
    """∂y/∂x from its rows or columns."""
    shape = (*y.shape, *x.shape)
    if y.origin is None or 0 in shape:
        return Tensor.wrap(np.zeros(shape, y.dtype))
    return ops.reshape(ops.stack(parts, dim), *shape)


def hessian(f: Callable, argnums: Argnums = 0) -> Callable:
    """A function that gives ∂²f/∂x², of shape (*x.shape, *x.shape), of a scalar f: a walk up
    through the gradient for each element of x."""
    return jacobian(grad(f, argnums), argnums, "forward")


def hvp(f: Callable, primals, tangents):
    """The gradient of a scalar f at `primals`, and the product H·tangents of its Hessian with `tangents`:
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
            xs = list(map(as_tensor, xs))
            seed = g if isinstance(g, Tensor) else Tensor.wrap(g)
            with enable_grad():
                inputs = [fresh(x) for x in xs]
                y = f(*inserted(args, tracked, inputs))
                share = pulled_back([y], [seed], [inputs[i]], isinstance(g, Tensor))[0]
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
