"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

import autodiff
from autodiff import Tensor
from autodiff.ops.updates import sgd_step

from .optimizer import Optimizer, check_not_negative


class SGD(Optimizer):
    """p ← p − lr·d, where d = g + weight_decay·p; with momentum p ← p − lr·v, where the velocity is
    v ← momentum·v + (1 − dampening)·d, d itself in the first step; with Nesterov's rule
    p ← p − lr·(d + momentum·v) (Sutskever et al. 2013). `maximize` goes uphill: g counts as −g."""

    shaped_as_parameter = ("momentum_buffer",)

    def __init__(
        self, params, lr: float = 1e-3, momentum: float = 0, dampening: float = 0,
        weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False,
        foreach: bool | None = None, differentiable: bool = False, fused: bool | None = None,
    ):  # fmt: skip
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        options = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize, "foreach": foreach,
            "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, options)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        check_not_negative(group, lr="learning rate", momentum="momentum value")
        check_not_negative(group, weight_decay="weight_decay value")

    def update(self, p: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        velocity = state.get("momentum_buffer")
        first = velocity is None
        if first and group["momentum"]:
            velocity = state["momentum_buffer"] = autodiff.zeros_like(p)
        sgd_step(
            p, velocity, p.grad, group["lr"], momentum=group["momentum"],
            dampening=group["dampening"], nesterov=group["nesterov"],
            weight_decay=group["weight_decay"], maximize=group["maximize"], first=first,
        )  # fmt: skip
