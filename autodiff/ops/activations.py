"""Activations beyond relu, sigmoid and tanh, each with its derivative beside it. Nearly all are composed of
smaller primitives, of which a compiled program is made.

At a kink they have PyTorch's derivative, which is that of one side; what is NaN stays NaN.
"""

from __future__ import annotations

import numpy as np

from ..primitive import elementwise
from .elementwise import (
    abs,
    clamp_max,
    exp,
    expm1,
    gate,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    select,
    sigmoid,
    tanh,
    unit_softplus,
)


def _leaky_relu(x, *, negative_slope=0.01):
    """x where it is positive, else negative_slope·x."""
    return select(greater(x, 0), x, x * negative_slope)


def _prelu(x, weight):
    """x where it is positive, else weight·x."""
    return select(greater(x, 0), x, x * weight)


def _elu(x, *, alpha=1, scale=1, input_scale=1):
    """scale·x where x is positive, else scale·alpha·(exp(input_scale·x) − 1)."""
    return select(less_equal(x, 0), expm1(clamp_max(x, 0) * input_scale) * (alpha * scale), x * scale)


def elu_slope(x, alpha, scale, input_scale):
    """∂elu/∂x. The exponential is of min(x, 0), so that it never overflows where it is not selected: in the
    second order 0·∞ would be NaN."""
    below = exp(clamp_max(x, 0) * input_scale) * (alpha * scale * input_scale)
    return select(less_equal(x, 0), below, scale)


def _silu(x):
    """x·sigmoid(x)."""
    return x * sigmoid(x)


def silu_slope(x):
    """∂silu/∂x."""
    y = sigmoid(x)
    return y * (1 + x * (1 - y))


def _mish(x):
    """x·tanh(softplus(x))."""
    return x * tanh(unit_softplus(x))


def mish_slope(x):
    """∂mish/∂x."""
    y = tanh(unit_softplus(x))
    return y + x * (1 - y * y) * sigmoid(x)


def _hardtanh(x, *, min_val=-1, max_val=1):
    """x limited to [min_val, max_val]."""
    return np.clip(x, min_val, max_val)


def outside(x, low, high):
    """Where x is not within (low, high); not where it is NaN."""
    return logical_or(less_equal(x, low), greater_equal(x, high))


def _hardsigmoid(x):
    """(x + 3) / 6 limited to [0, 1]."""
    return hardtanh(x + 3, min_val=0, max_val=6) / 6


def _hardswish(x):
    """x·hardsigmoid(x)."""
    return x * hardtanh(x + 3, min_val=0, max_val=6) / 6


def hardswish_slope(x):
    """∂hardswish/∂x."""
    return select(less_equal(x, -3), 0, select(less(x, 3), (2 * x + 3) / 6, 1))


def _softshrink(x, *, lambd=0.5):
    """x, brought nearer to 0 by lambd; 0 where it is nearer already."""
    return select(greater(x, lambd), x - lambd, select(less(x, -lambd), x + lambd, x * 0))


def _hardshrink(x, *, lambd=0.5):
    """x, and 0 where |x| ≤ lambd."""
    return gate(x, beyond(x, lambd))


def beyond(x, lambd):
    """Where |x| > lambd, or x is NaN."""
    return logical_not(less_equal(abs(x), lambd))


def _threshold(x, *, threshold, value):
    """x where it is above the threshold, else value."""
    return select(less_equal(x, threshold), value, x)


# fmt: off
leaky_relu = elementwise("leaky_relu", _leaky_relu, lambda g, x, negative_slope: select(greater(x, 0), g, g * negative_slope),
                         to_float=True)
prelu = elementwise("prelu", _prelu,
                    lambda g, x, weight: select(greater(x, 0), g, g * weight),
                    lambda g, x: select(greater(x, 0), 0, g * x), inputs="x weight", to_float=True)
elu   = elementwise("elu", _elu, elu_slope, to_float=True)
silu  = elementwise("silu", _silu, silu_slope, to_float=True)
mish  = elementwise("mish", _mish, mish_slope, to_float=True)
hardtanh    = elementwise("hardtanh", _hardtanh, lambda g, x, min_val, max_val: gate(g, logical_not(outside(x, min_val, max_val))))
hardsigmoid = elementwise("hardsigmoid", _hardsigmoid, lambda g, x: gate(g, logical_and(greater(x, -3), less(x, 3))) / 6,
                          to_float=True)
hardswish   = elementwise("hardswish", _hardswish, hardswish_slope, to_float=True)
softshrink  = elementwise("softshrink", _softshrink, lambda g, x, lambd: gate(g, beyond(x, lambd)), to_float=True)
hardshrink  = elementwise("hardshrink", _hardshrink, lambda g, x, lambd: gate(g, beyond(x, lambd)), to_float=True)
threshold   = elementwise("threshold", _threshold, lambda g, x, threshold: gate(g, logical_not(less_equal(x, threshold))))
# fmt: on

# What a compiled program takes apart again.
COMPOSED = (leaky_relu, prelu, elu, silu, mish, hardsigmoid, hardswish, softshrink, hardshrink, threshold)
