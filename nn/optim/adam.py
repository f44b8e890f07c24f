"""Adam, and AdamW, whose weight decay is no part of the gradient."""

from __future__ import annotations

from typing import Any

from autodiff import Tensor
from autodiff.ops.updates import adam_step

from .optimizer import Optimizer, check_not_negative
from .parts import check_betas, remember


class Adam(Optimizer):
    """p ← p − lr·m̂ / (√v̂ + eps), where m and v are running means of the gradient and of its square
    with the factors `betas`, and m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ) (Kingma and Ba 2015). With
    `amsgrad`, v̂ comes from the largest v so far (Reddi, Kale and Kumar 2018). Weight decay adds
    weight_decay·p to the gradient, or, decoupled, is AdamW's."""

    shaped_as_parameter = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self, params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
        fused: bool | None = None, decoupled_weight_decay: bool = False,
    ):  # fmt: skip
        options = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay,
            "amsgrad": amsgrad, "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, options)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        check_not_negative(group, lr="learning rate", eps="epsilon value")
        check_betas(group)
        check_not_negative(group, weight_decay="weight_decay value")

    def update(self, p: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        remember(state, p, "exp_avg", "exp_avg_sq", *["max_exp_avg_sq"] * group["amsgrad"])
        beta1, beta2 = group["betas"]
        adam_step(
            p, state["exp_avg"], state["exp_avg_sq"], state.get("max_exp_avg_sq"), state["step"], p.grad,
            group["lr"], beta1=beta1, beta2=beta2, eps=group["eps"],
            weight_decay=group["weight_decay"], decoupled=group["decoupled_weight_decay"],
            maximize=group["maximize"], amsgrad=group["amsgrad"],
        )  # fmt: skip


class AdamW(Adam):
    """Adam, but weight decay takes lr·weight_decay·p from p itself (Loshchilov and Hutter 2019)."""

    def __init__(
        self, params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False,
        foreach: bool | None = None, capturable: bool = False, differentiable: bool = False,
        fused: bool | None = None,
    ):  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, foreach=foreach,
            capturable=capturable, differentiable=differentiable, fused=fused,
            decoupled_weight_decay=True,
        )  # fmt: skip
