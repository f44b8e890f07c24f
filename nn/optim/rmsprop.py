"""RMSprop."""

from __future__ import annotations

from typing import Any

from autodiff import Tensor
from autodiff.ops.updates import sgd_step

from .optimizer import Optimizer, check_not_negative
from .parts import average, average_square, count, gradient, remember


class RMSprop(Optimizer):
    """p ← p − lr·g / (√s + eps), where s is a running mean of g² with the factor `alpha` (Hinton 2012).
    `centered` takes off the square of g's own running mean: the variance (Graves 2013). With momentum
    p ← p − lr·v, v ← momentum·v + g / (√s + eps). `weight_decay`·p is added to g; `maximize` goes
    uphill."""

    shaped_as_parameter = ("square_avg", "momentum_buffer", "grad_avg")

    def __init__(
        self, params, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
        momentum: float = 0, centered: bool = False, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        options = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, options)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        check_not_negative(group, lr="learning rate", eps="epsilon value", momentum="momentum value")
        check_not_negative(group, weight_decay="weight_decay value", alpha="alpha value")

    def update(self, p: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        velocity = ["momentum_buffer"] * (group["momentum"] > 0)
        remember(state, p, "square_avg", *velocity, *["grad_avg"] * group["centered"])
        count(state)
        g, square = gradient(p, group), state["square_avg"]
        average_square(square, g, group["alpha"])
        if group["centered"]:
            average(state["grad_avg"], g, group["alpha"])
            square = square - state["grad_avg"] * state["grad_avg"]
        d = g / square.sqrt().add_(group["eps"])
        if velocity:
            d = state["momentum_buffer"].mul_(group["momentum"]).add_(d)
        sgd_step(p, None, d, group["lr"])
