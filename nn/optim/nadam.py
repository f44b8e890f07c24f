"""NAdam: Adam with Nesterov's momentum."""

from __future__ import annotations

from typing import Any

from autodiff import Tensor
from autodiff.ops.updates import sgd_step

from .optimizer import Optimizer, check_not_negative
from .parts import average, average_square, check_betas, count, decay, gradient, rate, remember


class NAdam(Optimizer):
    """p ← p − lr·((1 − μₜ)·g / (1 − μ₁…μₜ) + μₜ₊₁·m / (1 − μ₁…μₜ₊₁)) / (√v̂ + eps), with
    μₜ = β₁·(1 − 0.96^(t·momentum_decay) / 2), m and v running means of g and g² with the factors
    `betas`, and v̂ = v / (1 − β₂ᵗ) (Dozat 2016). Weight decay adds weight_decay·p to the gradient, or,
    decoupled, is AdamW's; `maximize` goes uphill."""

    shaped_as_parameter = ("exp_avg", "exp_avg_sq")
    of_own_dtype = ("mu_product",)

    def __init__(
        self, params, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
        differentiable: bool = False,
    ):  # fmt: skip
        options = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, options)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        check_not_negative(group, lr="learning rate", eps="epsilon value")
        check_betas(group)
        check_not_negative(group, weight_decay="weight_decay value", momentum_decay="momentum_decay value")

    def update(self, p: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            remember(state, p, "exp_avg", "exp_avg_sq")
            state["mu_product"] = Tensor(1.0)
        t, (beta1, beta2) = count(state), group["betas"]
        decay(p, group)
        g, mean, square, product = (
            gradient(p, group),
            state["exp_avg"],
            state["exp_avg_sq"],
            state["mu_product"],
        )
        mu, following = (beta1 * (1 - 0.5 * 0.96 ** (k * group["momentum_decay"])) for k in (t, t + 1))
        product.mul_(mu.to(product.dtype))
        average(mean, g, beta1)
        average_square(square, g, beta2)
        of_g = (1 - mu) / (1 - product.double())
        of_mean = following / (1 - product.double() * following)
        d = (g * of_g.to(p.dtype)).add_(mean * of_mean.to(p.dtype))
        below = (square / (1 - beta2**t).to(p.dtype)).sqrt_().add_(group["eps"])
        sgd_step(p, None, d.div_(below), rate(group))
