"""PyTorch's spellings: autograd.grad, autograd.backward, autograd.Function."""

from __future__ import annotations

from functools import wraps
from typing import Any

import numpy as np

from . import functional
from . import tensor as tensors
from .graph import backpropagate, enable_grad, mode, no_grad, set_grad_enabled, switched
from .primitive import Primitive
from .tensor import Tensor, seed_for

__all__ = ["Function", "backward", "enable_grad", "functional", "grad", "no_grad", "set_grad_enabled"]


def listed(x) -> list:
    return [x] if isinstance(x, Tensor) else list(x)


def gradients_for(outputs: list, gradients) -> list:
    """A gradient, or None, for each output."""
    gradients = [None] * len(outputs) if gradients is None else listed(gradients)
    if len(gradients) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(gradients)} gradients")
    return gradients


def backward(tensors_, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None) -> None:
    """Add the gradients of `tensors_` to the `.grad` of the leaves, in one walk."""
    outputs = listed(tensors_)
    gradients = gradients_for(outputs, grad_tensors)
    tensors.backward(outputs, gradients, retain_graph, create_graph, inputs)


def grad(
    outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, allow_unused=None,
    materialize_grads=False,
) -> tuple:  # fmt: skip
    """The gradients of Σ outputs·grad_outputs by the inputs, which need not be leaves; nothing is
    accumulated anywhere."""
    outputs, inputs = listed(outputs), listed(inputs)
    gradients = gradients_for(outputs, grad_outputs)
    for x in inputs:
        if x.origin is None:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    seeds = list(map(seed_for, outputs, gradients))
    release = not (create_graph if retain_graph is None else retain_graph)
    on_tensors = create_graph or bool(mode.get()[1])
    with switched(recording=create_graph):
        found = backpropagate(
            [y.origin for y in outputs],
            seeds if on_tensors else [s.array for s in seeds],
            {x.origin for x in inputs},
            release=release,
        )
    result = []
    for x in inputs:
        g = found.get(x.origin)
        if g is None and materialize_grads:
            g = np.zeros_like(x.array)
        if g is None and not allow_unused:
            raise RuntimeError(
                "One of the differentiated Tensors appears to not have been used in the graph. "
                "Set allow_unused=True if this is the desired behavior."
            )
        result.append(g if g is None or isinstance(g, Tensor) else Tensor.wrap(np.array(g)))
    return tuple(result)


class Context:
    """What a Function's forward leaves for its backward."""

    def __init__(self, needs_input_grad=()):
        self.needs_input_grad = tuple(needs_input_grad)
        self.kept: tuple = ()
        self.constant: set[int] = set()
        self.materialize = True

    def save_for_backward(self, *tensors) -> None:
        """Keep these for the backward, where they are `saved_tensors`."""
        self.kept = tensors

    @property
    def saved_tensors(self) -> tuple:
        return self.kept

    def mark_non_differentiable(self, *tensors) -> None:
        """These outputs have no gradient."""
        self.constant |= {id(t) for t in tensors}

    def mark_dirty(self, *tensors) -> None:
        """These inputs were changed in place: not supported."""
        raise RuntimeError(
            "mark_dirty is not supported: let forward give a new tensor instead of changing its input"
        )

    def set_materialize_grads(self, value: bool) -> None:
        """Should an output that nobody read come to backward as zeros (the default), or None?"""
        self.materialize = value


class Function:
    """An operation with a derivative of its own: subclass it, with static methods
    `forward(ctx, *inputs)` (or `forward(*inputs)` and `setup_context(ctx, inputs, output)`) and
    `backward(ctx, *gradients)`, which gives a gradient, or None, for each input; call `apply`.
    A static `jvp(ctx, *tangents)` serves forward mode."""

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("a Function needs a static method forward(ctx, *inputs)")

    @staticmethod
    def setup_context(ctx: Context, inputs: tuple, output: Any) -> None:
        """Where forward takes no ctx: keep what the backward needs."""

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError(
            "You must implement the static method backward(ctx, *gradients) for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    @classmethod
    def apply(cls, *args):
        """The value for these inputs, recorded."""
        places = [k for k, a in enumerate(args) if isinstance(a, Tensor)]
        ctx = Context(isinstance(a, Tensor) and a.requires_grad for a in args)
        separate = cls.setup_context is not Function.setup_context
        with no_grad():
            result = cls.forward(*args) if separate else cls.forward(ctx, *args)
            if separate:
                cls.setup_context(ctx, args, result)
        several = isinstance(result, tuple)
        outputs = result if several else (result,)
        if not places:
            return result

        def forward(*arrays):
            return tuple(
                y.array.view() if id(y) in ctx.constant or y.dtype.kind not in "fO" else y.array
                for y in outputs
            )

        def rule(wanted, gs):
            return cls.pulled(ctx, outputs, gs, places, wanted)

        primitive = Primitive(
            cls.__name__, forward, "*xs", [rule], outputs="*ys", joint=True, promotes=False,
            listed=False,
        )  # fmt: skip
        ys = primitive(*(args[k] for k in places))
        for y, made in zip(ys, outputs, strict=True):
            if id(made) in ctx.constant:
                y.origin = None
        return ys if several else ys[0]

    @classmethod
    def pulled(cls, ctx, outputs, gs, places, wanted):
        on_arrays = not isinstance(gs[0], Tensor)
        gs = [Tensor.wrap(g) if on_arrays else g for g in gs]
        with switched(recording=not on_arrays and mode.get()[0]):
            found = cls.backward(ctx, *gs)
        found = found if isinstance(found, tuple) else (found,)
        n = len(ctx.needs_input_grad)
        if len(found) < n or any(g is not None for g in found[n:]):
            raise RuntimeError(
                f"function {cls.__name__}Backward returned an incorrect number of gradients "
                f"(expected {n}, got {len(found)})"
            )
        shares = [found[k] for k in places]
        return [g.array if on_arrays and isinstance(g, Tensor) else g for g in shares]


def once_differentiable(function):
    """For a backward that cannot itself be differentiated."""

    @wraps(function)
    def once(*args):
        with no_grad():
            return function(*args)

    return once
