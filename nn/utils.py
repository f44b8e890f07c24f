"""Small tools around training."""

from __future__ import annotations

import math
from collections.abc import Iterable

from autodiff import Tensor, no_grad, tensor


@no_grad
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:  # fmt: skip
    """Scale all gradients by one factor so that their norm, taken together, is at most max_norm;
    the norm before is returned."""
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    gradients = [p.grad for p in parameters if p.grad is not None]
    norms = [float(g.norm(norm_type)) for g in gradients]
    if norm_type == math.inf:
        total = max(norms, default=0.0)
    else:
        total = sum(n**norm_type for n in norms) ** (1 / norm_type)
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, "
            "so it cannot be clipped."
        )
    factor = max_norm / (total + 1e-6)
    if factor < 1:
        for g in gradients:
            g.mul_(factor)
    return tensor(total)
