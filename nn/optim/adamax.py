"""Adamax."""

from __future__ import annotations

from typing import Any

import autodiff
from autodiff import Tensor
from autodiff.ops.updates import assign, sgd_step

from .optimizer import Optimizer, check_not_negative
from .parts import average, check_betas, count, gradient, rate, remember


class Adamax(Optimizer):
    """p ← p − lr / (1 − β₁ᵗ) · m / u, where m is a running mean of the gradient and
    u ← max(β₂·u, |g| + eps): Adam with the largest |g| in place of the mean of g² (Kingma and Ba 2015,
    section 7.1). `weight_decay`·p is added to g; `maximize` goes uphill."""

    shaped_as_parameter = ("exp_avg", "exp_inf")

    def __init__(
        self, params, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, foreach: bool | None = None, *, maximize: bool = False,
        differentiable: bool = False, capturable: bool = False,
    ):  # fmt: skip
        options = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, options)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        check_not_negative(group, lr="learning rate", eps="epsilon value")
        check_betas(group)
        check_not_negative(group, weight_decay="weight_decay value")

    def update(self, p: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        remember(state, p, "exp_avg", "exp_inf")
        t, g, (beta1, beta2) = count(state), gradient(p, group), group["betas"]
        mean, largest = state["exp_avg"], state["exp_inf"]
        average(mean, g, beta1)
        assign(largest, autodiff.maximum(largest * beta2, g.abs().add_(group["eps"])))
        sgd_step(p, None, mean / largest, rate(group) / (1 - beta1**t))
