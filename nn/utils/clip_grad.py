"""Gradients limited in size before a step."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from autodiff import Tensor, no_grad, stack, tensor


@no_grad
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0,
    error_if_nonfinite: bool = False, foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """Scale all gradients by one factor, so that the norm of them all together is at most
    `max_norm` (Pascanu, Mikolov and Bengio 2013). Returns the norm that they had. (`foreach` chooses
    an implementation in PyTorch; here there is one.)"""
    parameters = listed(parameters)
    total = get_total_norm(gradients_of(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


@no_grad
def get_total_norm(
    tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """The norm, of order `norm_type`, of all numbers in all the tensors together; 0 of none."""
    tensors, norm_type = listed(tensors), float(norm_type)
    if not tensors:
        return tensor(0.0)
    dtype = np.result_type(*(t.dtype for t in tensors))
    total = stack([t.norm(norm_type).to(dtype) for t in tensors]).norm(norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, "
            "so it cannot be clipped. To scale them by it anyway, set `error_if_nonfinite=False`"
        )
    return total


@no_grad
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """What `clip_grad_norm_` does once the norm is known: scale all gradients by max_norm / total_norm, if
    that is less than 1."""
    factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)  # NaN goes on into the gradients
    for g in gradients_of(listed(parameters)):
        g.mul_(factor.to(g.dtype))


@no_grad
def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Limit each number in the gradients to [−clip_value, clip_value]."""
    for g in gradients_of(listed(parameters)):
        g.clamp_(-float(clip_value), float(clip_value))


def listed(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """A Tensor, or several, as a list."""
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def gradients_of(parameters: list[Tensor]) -> list[Tensor]:
    """The gradients that there are."""
    return [p.grad for p in parameters if p.grad is not None]
