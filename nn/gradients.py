"""What modules and optimisers do to a gradient before the next one."""

from __future__ import annotations

from autodiff import Tensor


def clear_gradient(p: Tensor, set_to_none: bool = True) -> None:
    """Forget p's gradient, or, if asked to, fill it with zeros where it is."""
    if set_to_none:
        p.grad = None
    elif p.grad is not None:
        p.grad.detach_().zero_()
