"""Adagrad."""

from __future__ import annotations

from typing import Any

import autodiff
from autodiff import Tensor
from autodiff.ops.updates import sgd_step

from .optimizer import Optimizer, check_not_negative
from .parts import count, gradient, rate


class Adagrad(Optimizer):
    """p ← p − lr / (1 + (t − 1)·lr_decay) · g / (√s + eps) at the t-th step, where s is the sum of all g²
    so far, and of `initial_accumulator_value` (Duchi, Hazan and Singer 2011). `weight_decay`·p is added
    to g; `maximize` goes uphill."""

    shaped_as_parameter = ("sum",)

    def __init__(
        self, params, lr: float = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *,
        maximize: bool = False, differentiable: bool = False, fused: bool | None = None,
    ):  # fmt: skip
        options = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, options)
        for p in self.all_params():  # the state is there before the first step, as in PyTorch
            self.begin(p)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        check_not_negative(group, lr="learning rate", lr_decay="lr_decay value")
        check_not_negative(group, weight_decay="weight_decay value")
        check_not_negative(group, initial_accumulator_value="initial_accumulator_value value")
        check_not_negative(group, eps="epsilon value")

    def begin(self, p: Tensor) -> None:
        """No steps yet, and what the sum starts from: the constructor's number for every group."""
        total = autodiff.full_like(p.detach(), self.defaults["initial_accumulator_value"])
        self.state[p].update(step=Tensor(0), sum=total)

    def update(self, p: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:  # of a group that came later
            self.begin(p)
        t = count(state)
        g, total = gradient(p, group), state["sum"]
        total.add_(g * g)
        lr = rate(group) / (1 + (t - 1) * group["lr_decay"])
        sgd_step(p, None, g / total.sqrt().add_(group["eps"]), lr)
