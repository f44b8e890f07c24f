"""Activations: functions of each element."""

from __future__ import annotations

import math

from autodiff import Tensor, ops


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0); its derivative at 0 counts as 0."""
    return input.relu_() if inplace else ops.relu(input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x·Φ(x), Φ being the normal distribution function; with "tanh", Φ(x) is approximated by
    ½(1 + tanh(√(2/π)·(x + 0.044715 x³))) (Hendrycks and Gimpel 2016)."""
    if approximate == "none":
        return 0.5 * input * (1 + ops.erf(input / math.sqrt(2)))
    if approximate == "tanh":
        inner = input + 0.044715 * input * input * input
        return 0.5 * input * (1 + ops.tanh(math.sqrt(2 / math.pi) * inner))
    raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate!r}")
