"""Dropout: noise in training, nothing in evaluation."""

from __future__ import annotations

import numpy as np

from autodiff import Tensor
from autodiff.random import draw


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, each element is 0 with probability p and else times 1/(1 − p), so that its
    expectation stays (Srivastava et al. 2014)."""
    check_probability(p)
    if not training or p == 0:
        return input
    if not input.is_floating_point():
        raise RuntimeError(f"dropout scales its input, which is {input.dtype}: write .float() first")
    kept = Tensor.wrap(draw(None, "random", input.shape, np.float32)) >= p
    mask = kept.to(input.dtype) * (1 / (1 - p) if p < 1 else 0)
    return input.mul_(mask) if inplace else input * mask


def check_probability(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
