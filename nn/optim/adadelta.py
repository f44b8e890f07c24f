"""Adadelta."""

from __future__ import annotations

from typing import Any

from autodiff import Tensor
from autodiff.ops.updates import sgd_step

from .optimizer import Optimizer, check_not_negative
from .parts import average_square, count, gradient, remember


class Adadelta(Optimizer):
    """p ← p − lr·d, where d = g·√(u + eps) / √(s + eps), and s and u are running means of g² and of d²
    with the factor `rho` (Zeiler 2012). `weight_decay`·p is added to g; `maximize` goes uphill."""

    shaped_as_parameter = ("square_avg", "acc_delta")

    def __init__(
        self, params, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
        foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False,
        differentiable: bool = False,
    ):  # fmt: skip
        options = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, options)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        check_not_negative(group, lr="learning rate")
        if not 0 <= group["rho"] <= 1:
            raise ValueError(f"Invalid rho value: {group['rho']}")
        check_not_negative(group, eps="epsilon value", weight_decay="weight_decay value")

    def update(self, p: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        remember(state, p, "square_avg", "acc_delta")
        count(state)
        g, rho, eps = gradient(p, group), group["rho"], group["eps"]
        average_square(state["square_avg"], g, rho)
        d = (state["acc_delta"] + eps).sqrt_().div_((state["square_avg"] + eps).sqrt_()).mul_(g)
        average_square(state["acc_delta"], d, rho)
        sgd_step(p, None, d, group["lr"])
