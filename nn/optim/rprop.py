"""Rprop."""

from __future__ import annotations

from typing import Any

import autodiff
from autodiff import Tensor
from autodiff.ops.updates import assign

from .optimizer import Optimizer, check_not_negative
from .parts import count, gradient, remember


class Rprop(Optimizer):
    """p ← p − Δ·sign(g): every element has a step of its own, which is lr at first, grows by the second of
    `etas` where g keeps its sign, shrinks by the first where it turns, and stays within `step_sizes`;
    where it turns, that element rests (Riedmiller and Braun 1993). `maximize` goes uphill."""

    shaped_as_parameter = ("prev", "step_size")

    def __init__(
        self, params, lr: float = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False,
        foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        options = {
            "lr": lr, "etas": tuple(etas), "step_sizes": tuple(step_sizes), "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, options)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        check_not_negative(group, lr="learning rate")
        if not 0 < group["etas"][0] < 1 < group["etas"][1]:
            raise ValueError(f"Invalid eta values: {group['etas'][0]}, {group['etas'][1]}")

    def update(self, p: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            remember(state, p, "prev")
            state["step_size"] = autodiff.full_like(p.detach(), float(group["lr"]))
        count(state)
        (down, up), size = group["etas"], state["step_size"]
        g = gradient(p, group)
        turn = (g * state["prev"]).sign()
        factor = autodiff.where(turn > 0, up, autodiff.where(turn < 0, down, 1 - turn))  # NaN stays
        size.mul_(factor).clamp_(*group["step_sizes"])
        g = autodiff.where(turn < 0, 0, g)
        p.sub_(g.sign().mul_(size))
        assign(state["prev"], g)
