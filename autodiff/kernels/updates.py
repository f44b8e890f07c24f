"""The steps of the optimisers, on arrays, in place: PyTorch's arithmetic in PyTorch's order."""

from __future__ import annotations

import math

import numpy as np


def sgd(p, g, velocity, *, lr, momentum, dampening, nesterov, weight_decay, maximize, first):
    """p ← p − lr·d, where d is g + weight_decay·p, or with momentum the velocity
    v ← momentum·v + (1 − dampening)·d (d itself in the first step), or with Nesterov's rule
    d + momentum·v (Sutskever et al. 2013)."""
    d = -g if maximize else g
    if weight_decay:
        d = d + weight_decay * p
    if momentum:
        if first:
            velocity[...] = d
        else:
            velocity *= momentum
            velocity += d if not dampening else (1 - dampening) * d
        d = d + momentum * velocity if nesterov else velocity
    p -= d.dtype.type(lr) * d


def adam(
    p, g, mean, square, largest, *, lr, beta1, beta2, eps, weight_decay, decoupled, maximize, step,
    amsgrad,
):  # fmt: skip
    """m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², p ← p − lr·m̂ / (√v̂ + ε), where m̂ = m / (1 − β₁ᵗ)
    and v̂ = v / (1 − β₂ᵗ) (Kingma and Ba 2015). Weight decay is added to g, or, decoupled, taken
    from p (Loshchilov and Hutter 2019)."""
    d = -g if maximize else g
    if weight_decay:
        if decoupled:
            p *= 1 - lr * weight_decay
        else:
            d = d + weight_decay * p
    mean += (d - mean) * (1 - beta1)
    square *= beta2
    square += (1 - beta2) * d * d
    v = square
    if amsgrad:
        np.maximum(largest, square, out=largest)
        v = largest
    root = np.sqrt(v)
    root /= math.sqrt(1 - beta2**step)
    root += eps
    p -= (lr / (1 - beta1**step)) * (mean / root)
