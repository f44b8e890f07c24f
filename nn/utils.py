"""Small tools around training."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from autodiff import Tensor, no_grad, tensor


@no_grad
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0,
    error_if_nonfinite: bool = False, foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """Scale all gradients by one factor, so that the norm of them all together is at most
    `max_norm` (Pascanu, Mikolov and Bengio 2013). Returns the norm that they had. (`foreach` chooses
    an implementation in PyTorch; here there is one.)"""
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm_type = float(norm_type)
    norms = [float(g.norm(norm_type)) for g in gradients]
    total = float(np.linalg.norm(norms, norm_type)) if norms else 0.0
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, "
            "so it cannot be clipped. To scale them by it anyway, set `error_if_nonfinite=False`"
        )
    factor = max_norm / (total + 1e-6)
    if not factor >= 1:  # NaN, too, goes on into the gradients, where it will be noticed
        for g in gradients:
            g.mul_(factor)
    return tensor(total, dtype=gradients[0].dtype if gradients else None)


def clear_gradient(p: Tensor, set_to_none: bool = True) -> None:
    """Forget p's gradient, or, if asked to, fill it with zeros where it is."""
    if set_to_none:
        p.grad = None
    elif p.grad is not None:
        p.grad.detach_().zero_()
