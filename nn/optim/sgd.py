"""Stochastic gradient descent."""

from __future__ import annotations

import autodiff
from autodiff.ops.updates import sgd_step

from .optimizer import Optimizer, not_negative


class SGD(Optimizer):
    """p ← p − lr·g, with momentum, Nesterov's rule and weight decay as in PyTorch."""

    def __init__(
        self, params, lr: float = 1e-3, momentum: float = 0, dampening: float = 0,
        weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False,
    ):  # fmt: skip
        not_negative(learning_rate=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        options = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, options)

    def update(self, p, state, group):
        velocity = state.get("momentum_buffer")
        first = velocity is None
        if group["momentum"] and first:
            velocity = state["momentum_buffer"] = autodiff.zeros_like(p)
        sgd_step(
            p, p.grad, velocity, lr=group["lr"], momentum=group["momentum"],
            dampening=group["dampening"], nesterov=group["nesterov"],
            weight_decay=group["weight_decay"], maximize=group["maximize"], first=first,
        )  # fmt: skip
