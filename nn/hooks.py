"""Backward hooks of modules: two gates in the graph, where gradients pass a call's outputs and its inputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from autodiff import Tensor, is_grad_enabled, zeros
from autodiff.autograd import Function


class Gate(Function):
    """The tensors as they are. On the way back `passed` is given all their gradients together, those that
    nobody sends as zeros or as None, and says what goes on."""

    @staticmethod
    def forward(ctx: Any, passed: Callable, as_zeros: bool, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.passed = passed
        ctx.set_materialize_grads(as_zeros)
        return tensors

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple:
        """What `passed` makes of the gradients."""
        return (None, None, *ctx.passed(gradients))

    @staticmethod
    def jvp(ctx: Any, passed: None, as_zeros: None, *tangents: Tensor) -> tuple:
        """The tangents as they are."""
        return tangents


class WatchedCall:
    """One call of a module that has backward hooks: what it is given and what it gives go through gates, and
    the hooks are called when both have seen their gradients."""

    def __init__(self, module: Any, hooks: Iterable[Callable], pre_hooks: Iterable[Callable]):
        self.module, self.hooks, self.pre_hooks = module, list(hooks), list(pre_hooks)
        self.inputs = self.outputs = 0  # how many there are
        self.input_places: list[int] = []  # those of them that want a gradient
        self.output_places: list[int] = []
        self.others: dict[int, tuple] = {}  # the shape and dtype of each Tensor given that wants none
        self.grad_outputs: tuple | None = None  # from when they arrive until the inputs' gradients do

    def entered(self, args: tuple) -> tuple:
        """The arguments, behind the first gate."""
        self.inputs, self.input_places = len(args), tracked_places(args)
        self.others = {
            k: (x.shape, x.dtype)
            for k, x in enumerate(args)
            if isinstance(x, Tensor) and k not in self.input_places
        }
        return gated(args, self.input_places, self.leave, as_zeros=True)

    def left(self, result: Any) -> Any:
        """The result, behind the second gate."""
        if not isinstance(result, (Tensor, tuple)):
            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but "
                f"received {type(result)}",
                stacklevel=4,
            )
            return result
        several = result if isinstance(result, tuple) else (result,)
        self.outputs, self.output_places = len(several), tracked_places(several)
        made = gated(several, self.output_places, self.arrive, as_zeros=False)
        return made if isinstance(result, tuple) else made[0]

    def arrive(self, gradients: tuple) -> tuple:
        """The outputs' gradients are there."""
        found = spread(gradients, self.output_places, self.outputs)
        for hook in self.pre_hooks:
            found = replaced(hook(self.module, found), found, "Backward pre hook", "grad_output")
        if self.input_places:
            self.grad_outputs = found
        else:
            for hook in self.hooks:
                given = hook(self.module, (None,) * self.inputs, found)
                if given is not None and any(g is not None for g in given):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or "
                        "None for all gradients."
                    )
        return tuple(found[k] for k in self.output_places)

    def leave(self, gradients: tuple) -> tuple:
        """The inputs' gradients are there."""
        if self.grad_outputs is None:  # they did not come through the outputs: a second derivative
            return gradients
        row = list(spread(gradients, self.input_places, self.inputs))
        for k, (shape, dtype) in self.others.items():
            row[k] = zeros(*shape, dtype=dtype)
        found = tuple(row)
        for hook in self.hooks:
            given = hook(self.module, found, self.grad_outputs)
            found = replaced(given, found, "Backward hook", "grad_input")
        self.grad_outputs = None
        return tuple(found[k] for k in self.input_places)


def tracked_places(values: tuple) -> list[int]:
    """Where those Tensors are whose gradients are wanted."""
    if not is_grad_enabled():
        return []
    return [k for k, x in enumerate(values) if isinstance(x, Tensor) and x.requires_grad]


def gated(values: tuple, places: list[int], passed: Callable, as_zeros: bool) -> tuple:
    """The values, those at `places` through one gate."""
    if not places:
        return values
    through = list(values)
    for k, x in zip(places, Gate.apply(passed, as_zeros, *[values[k] for k in places]), strict=True):
        through[k] = x
    return type(values)(*through) if hasattr(values, "_fields") else tuple(through)


def spread(gradients: tuple, places: list[int], n: int) -> tuple:
    """n gradients, None for what wants none."""
    row: list = [None] * n
    for k, g in zip(places, gradients, strict=True):
        row[k] = g
    return tuple(row)


def replaced(given: Any, found: tuple, who: str, what: str) -> tuple:
    """What a hook makes of the gradients it has seen: others, as many, or None: the same."""
    if given is None:
        return found
    given = (given,) if isinstance(given, Tensor) else tuple(given)
    if len(given) != len(found):
        raise RuntimeError(
            f"{who} returned an invalid number of {what}, got {len(given)}, but expected {len(found)}"
        )
    return given
