"""Division by a norm, or by a deviation."""

from __future__ import annotations

from autodiff import Tensor, ops


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(‖x‖ₚ, eps) along `dim`."""
    return input / ops.clamp_min(ops.norm(input, p, dim, True), eps)
