"""The steps of the optimisers, on arrays, in place: PyTorch's arithmetic in PyTorch's order, so that
rounding agrees too: factors are worked out in double precision, then rounded to the dtype of p. The
gradient g is only read."""

from __future__ import annotations

import math

import numpy as np


def sgd(
    p: np.ndarray, g: np.ndarray, velocity: np.ndarray | None, *, lr: float, momentum: float = 0,
    dampening: float = 0, nesterov: bool = False, weight_decay: float = 0, maximize: bool = False,
    first: bool = False,
) -> None:  # fmt: skip
    """p -= lr d, where d is g + weight_decay p. With momentum it is the velocity,
    v = momentum v + (1 - dampening) d (d itself in the first step, whatever v holds then), or by
    Nesterov's rule d + momentum v (Sutskever et al. 2013)."""
    number = p.dtype.type
    d = -g if maximize else g
    if weight_decay:
        d = d + number(weight_decay) * p
    if momentum:
        assert velocity is not None
        if first:
            velocity[...] = d
        else:
            velocity *= number(momentum)
            velocity += number(1 - dampening) * d if dampening else d
        d = d + number(momentum) * velocity if nesterov else velocity
    p -= number(lr) * d


def adam(
    p: np.ndarray, g: np.ndarray, mean: np.ndarray, square: np.ndarray,
    largest: np.ndarray | None = None, *, lr: float, beta1: float = 0.9, beta2: float = 0.999,
    eps: float = 1e-8, weight_decay: float = 0, decoupled: bool = False, maximize: bool = False,
    step: int, amsgrad: bool = False,
) -> None:  # fmt: skip
    """m += (1 - b1)(g - m), v = b2 v + (1 - b2) g^2, p -= lr m' / (sqrt(v') + eps), where
    m' = m / (1 - b1^step) and v' = v / (1 - b2^step), steps counted from 1 (Kingma and Ba 2015).

    Weight decay is added to g, or, decoupled, taken from p (Loshchilov and Hutter 2019). With
    amsgrad the largest v so far stands in v's place (Reddi et al. 2018).
    """
    number = p.dtype.type
    d = -g if maximize else g
    if weight_decay and decoupled:
        p *= number(1 - lr * weight_decay)
    elif weight_decay:
        d = d + number(weight_decay) * p
    change = np.subtract(d, mean, out=np.empty_like(mean))  # an array, even if of no dimensions
    if beta1 > 0.5:
        mean += number(1 - beta1) * change
    else:  # from the nearer end, as PyTorch's lerp
        np.subtract(d, number(beta1) * change, out=mean)
    square *= number(beta2)
    term = np.multiply(d, number(1 - beta2), out=change)
    term *= d
    square += term
    if amsgrad:
        assert largest is not None
        square = np.maximum(largest, square, out=largest)
    root = np.sqrt(square, out=np.empty_like(square))
    root /= number(math.sqrt(1 - beta2**step))
    root += number(eps)
    np.multiply(mean, number(lr / (1 - beta1**step)), out=term)
    term /= root
    p -= term
