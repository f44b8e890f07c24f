"""RAdam: Adam that waits until it knows the variance."""

from __future__ import annotations

from typing import Any

import autodiff
from autodiff import Tensor
from autodiff.ops.updates import sgd_step

from .optimizer import Optimizer, check_not_negative
from .parts import average, average_square, check_betas, count, decay, gradient, rate, remember


class RAdam(Optimizer):
    """p ← p − lr·m̂·r·√(1 − β₂ᵗ) / (√v + eps), where m̂ = m / (1 − β₁ᵗ), and m and v are running means of g
    and g² with the factors `betas`; while ρₜ ≤ 5, at the first few steps, p ← p − lr·m̂.

        ρ = 2 / (1 − β₂) − 1,  ρₜ = ρ − 2t·β₂ᵗ / (1 − β₂ᵗ),  r² = (ρₜ − 4)(ρₜ − 2)ρ / ((ρ − 4)(ρ − 2)ρₜ)

    (Liu et al. 2020). Weight decay adds weight_decay·p to the gradient, or, decoupled, is AdamW's;
    `maximize` goes uphill."""

    shaped_as_parameter = ("exp_avg", "exp_avg_sq")

    def __init__(
        self, params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        options = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "foreach": foreach, "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, options)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        check_not_negative(group, lr="learning rate", eps="epsilon value")
        check_betas(group)
        check_not_negative(group, weight_decay="weight_decay value")

    def update(self, p: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        remember(state, p, "exp_avg", "exp_avg_sq")
        t, (beta1, beta2) = count(state), group["betas"]
        decay(p, group)
        g, mean, square = gradient(p, group), state["exp_avg"], state["exp_avg_sq"]
        average(mean, g, beta1)
        average_square(square, g, beta2)
        rho, unseen = 2 / (1 - beta2) - 1, 1 - beta2**t
        rho_t = rho - 2 * t * beta2**t / unseen
        r = ((rho_t - 4) * (rho_t - 2) * rho / ((rho - 4) * (rho - 2) * rho_t)).sqrt()
        scale = (r * unseen.sqrt()).to(p.dtype) / square.sqrt().add_(group["eps"])
        d = autodiff.where(rho_t > 5, mean * scale, mean)
        sgd_step(p, None, d, rate(group) / (1 - beta1**t))
