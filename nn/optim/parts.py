"""What the steps of several optimisers have in common, on Tensors: nothing here looks at a value, so that
a compiled step can do the same."""

from __future__ import annotations

from typing import Any

import numpy as np

import autodiff
from autodiff import Tensor
from autodiff.ops.updates import assign


def number(x: Any) -> float:
    """A loss, or what else is judged by, as a Python number: no gradient of it is wanted."""
    return float(x.detach() if isinstance(x, Tensor) else x)


def remember(state: dict[str, Any], p: Tensor, *names: str) -> None:
    """At the first step: a count of steps, and zeros of p's shape under each name. Later all must be there."""
    if not state:
        state.update(step=Tensor(0), **{name: autodiff.zeros_like(p) for name in names})
    for name in names:
        if name not in state:
            raise KeyError(
                f"{name} is not in the optimiser's state: it is made at the first step, and only if the options ask "
                "for it then. Make a new optimiser with the option that was switched on since, or begin it for every "
                f"parameter p: optimizer.state[p]['{name}'] = zeros_like(p)"
            )


def count(state: dict[str, Any]) -> Tensor:
    """One step more; how many they are now, in double precision, in which factors are worked out."""
    assign(state["step"], state["step"] + 1)
    return state["step"].double()


def gradient(p: Tensor, group: dict[str, Any]) -> Tensor:
    """p's gradient, or with `maximize` its negative; with weight_decay·p, unless that is decoupled."""
    assert p.grad is not None
    g = -p.grad if group["maximize"] else p.grad
    if group.get("weight_decay") and not group.get("decoupled_weight_decay"):
        g = g + group["weight_decay"] * p.detach()
    return g


def decay(p: Tensor, group: dict[str, Any]) -> None:
    """Decoupled weight decay: p ← p − lr·weight_decay·p (Loshchilov and Hutter 2019)."""
    if group.get("weight_decay") and group["decoupled_weight_decay"]:
        p.mul_((1 - rate(group) * group["weight_decay"]).to(p.dtype))


def rate(group: dict[str, Any]) -> Tensor:
    """The learning rate, in double precision. (By an `assign`, since a compiled step looks up anew what
    is written, while it takes a number that is multiplied with for a constant.)"""
    lr = Tensor.wrap(np.zeros(()))
    assign(lr, group["lr"])
    return lr


def average(mean: Tensor, g: Tensor, beta: float) -> None:
    """mean ← beta·mean + (1 − beta)·g, from the nearer end."""
    change = g - mean
    if beta > 0.5:
        mean.add_(change.mul_(1 - beta))
    else:
        assign(mean, g - change.mul_(beta))


def average_square(square: Tensor, g: Tensor, beta: float) -> None:
    """square ← beta·square + (1 − beta)·g²."""
    square.mul_(beta).add_((g * (1 - beta)).mul_(g))


def check_betas(group: dict[str, Any]) -> None:
    """PyTorch's errors for the factors of two running means."""
    if len(group["betas"]) != 2:
        raise ValueError(f"betas are two factors, not {group['betas']}")
    for k, beta in enumerate(group["betas"]):
        if not 0 <= beta < 1:
            raise ValueError(f"Invalid beta parameter at index {k}: {beta}")
