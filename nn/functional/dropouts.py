"""Dropout: noise in training, nothing in evaluation."""

from __future__ import annotations

import numpy as np

from autodiff import Tensor
from autodiff.errors import ShapeError
from autodiff.random import draw


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, each element is 0 with probability p and else times 1/(1 − p), so that its
    expectation stays (Srivastava et al. 2014)."""
    check_probability(p)
    if not training or p == 0:
        return input
    return dropped(input, input.shape, p, inplace)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of (N, C, L) or (C, L): neighbours along a sequence say much the same
    (Tompson et al. 2015)."""
    check_probability(p)
    if input.ndim not in (2, 3):
        raise ShapeError(f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input.")
    return of_channels(input, p, training, inplace, input.ndim - 1)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of (N, C, H, W), or of (N, C, L)."""
    check_probability(p)
    return of_channels(input, p, training, inplace, 2)


def of_channels(input: Tensor, p: float, training: bool, inplace: bool, leading: int) -> Tensor:
    """Dropout in which all that the first `leading` dimensions have in common stays or goes."""
    if not training or p == 0:
        return input
    if input.ndim < 2:
        raise ShapeError("Feature dropout requires at least 2 dimensions in the input")
    shape = tuple(n if d < leading else 1 for d, n in enumerate(input.shape))
    return dropped(input, shape, p, inplace)


def dropped(input: Tensor, shape: tuple[int, ...], p: float, inplace: bool) -> Tensor:
    """The input times a mask of this shape."""
    if not input.is_floating_point():
        raise RuntimeError(f"dropout scales its input, which is {input.dtype}: write .float() first")
    kept = Tensor.wrap(draw(None, "random", shape, np.float32)) >= p
    mask = kept.to(input.dtype) * (1 / (1 - p) if p < 1 else 0)
    return input.mul_(mask) if inplace else input * mask


def check_probability(p: float) -> None:
    """PyTorch's error for what is no probability."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
