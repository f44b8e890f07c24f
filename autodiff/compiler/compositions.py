"""Fused operations taken apart again: in a compiled program the loops are fused anyway, and better.

Each is the definition of its primitive in terms of others. It is called with Tensors while a recorder
stands at the choke point, so that what it calls is what is written down; those of updates with arrays, which
operators would calculate with unseen.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ops.activations import COMPOSED
from ..ops.contractions import product
from ..ops.elementwise import (
    add,
    clamp_max,
    clamp_min,
    div,
    maximum,
    mul,
    neg,
    power,
    select,
    sqrt,
    sub,
    times_log,
)
from ..ops.elementwise import reciprocal as inverse
from ..ops.fused import each, indicator
from ..ops.reductions import count, softmax_, total
from ..ops.shapes import permuted
from ..primitive import astype, broadcast_to


def linear(x, weight, bias):
    """x @ weightᵀ + bias."""
    return add(product(x, permuted(weight, dims=(1, 0))), bias)


def mean(x, *, dim=None, keepdim=False):
    """Σ x / n over `dim`."""
    return div(total(x, dim=dim, keepdim=keepdim), count(x.shape, dim))


def gate(x, condition):
    """x where the condition holds, else 0."""
    return select(condition, x, 0)


def cross_entropy_gradient(share, x, target):
    """share · (softmax(x) − onehot(target))."""
    hot = indicator(target, classes=x.shape[1], dtype=x.dtype)
    return mul(each(share), sub(softmax_(x, dim=1), hot))


def hardtanh(x, min_val, max_val):
    """x limited to [min_val, max_val]."""
    return clamp_max(clamp_min(x, min_val), max_val)


def standardise(x, dims, eps):
    """(x − mean) / √(var + eps) over `dims`, and 1 / √(var + eps)."""
    n = math.prod(x.shape[d] for d in dims)
    centred = sub(x, div(total(x, dim=dims, keepdim=True), n))
    variance = div(total(mul(centred, centred), dim=dims, keepdim=True), n)
    scale = inverse(sqrt(add(variance, eps)))
    return mul(centred, scale), scale


def assign(target, value):
    """target ← value, which may broadcast."""
    value = np.asarray(value)
    if value.shape != target.shape:
        value = broadcast_to(value, to=target.shape)
    return [value if value.dtype == target.dtype else astype(value, dtype=target.dtype)]


def sgd_step(
    p, velocity, g, lr, *, momentum=0, dampening=0, nesterov=False, weight_decay=0, maximize=False,
    first=False,
):  # fmt: skip
    """The new p and velocity."""
    d = neg(g) if maximize else g
    if weight_decay:
        d = add(d, mul(p, weight_decay))
    if momentum:
        if first:
            velocity = d
        else:
            velocity = add(mul(velocity, momentum), mul(d, 1 - dampening) if dampening else d)
        d = add(d, mul(velocity, momentum)) if nesterov else velocity
    return [sub(p, mul(number(lr, p.dtype), d)), velocity]


def adam_step(
    p, mean, square, largest, step, g, lr, *, beta1, beta2, eps, weight_decay=0, decoupled=False,
    maximize=False, amsgrad=False,
):  # fmt: skip
    """The new p, mean, square, largest and step."""
    step = add(step, 1)
    count = astype(step, dtype=np.dtype(np.float64))
    lr = number(lr, np.dtype(np.float64))
    d = neg(g) if maximize else g
    if weight_decay and decoupled:
        p = mul(p, number(sub(1, mul(lr, weight_decay)), p.dtype))
    elif weight_decay:
        d = add(d, mul(p, weight_decay))
    change = sub(d, mean)
    if beta1 > 0.5:
        mean = add(mean, mul(change, 1 - beta1))
    else:
        mean = sub(d, mul(change, beta1))
    square = add(mul(square, beta2), mul(mul(d, 1 - beta2), d))
    seen = square
    if amsgrad:
        seen = largest = maximum(largest, square)
    root = number(sqrt(sub(1, power(beta2, count))), p.dtype)
    rate = number(div(lr, sub(1, power(beta1, count))), p.dtype)
    below = add(div(sqrt(seen), root), eps)
    return [sub(p, div(mul(mean, rate), below)), mean, square, largest if amsgrad else None, step]


def number(x: Any, dtype: np.dtype):
    """A single number, rounded to `dtype`, as an array of no dimensions."""
    return astype(np.asarray(x), dtype=dtype)


table = {
    "linear": linear,
    "mean": mean,
    "gate": gate,
    "cross_entropy_gradient": cross_entropy_gradient,
    "hardtanh": hardtanh,
    "standardise": standardise,
}
table |= {composed.name: composed.forward for composed in (*COMPOSED, times_log)}
updates = {"assign": assign, "sgd_step": sgd_step, "adam_step": adam_step}
