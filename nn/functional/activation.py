"""Activations: functions of each element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff import Tensor, ops
from autodiff.errors import ShapeError
from autodiff.ops import activations, softmax
from autodiff.ops.naming import positive
from autodiff.random import draw


def applied(function: Any, input: Tensor, inplace: bool, *args: Any, **options: Any) -> Tensor:
    """The function of `input`, and, if asked for, in its place."""
    return input.changed(function, *args, **options) if inplace else function(input, *args, **options)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0); its derivative at 0 counts as 0."""
    return input.relu_() if inplace else ops.relu(input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6) (Krizhevsky 2010); its derivative at 0 and 6 counts as 0."""
    return hardtanh(input, 0.0, 6.0, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where it is positive, else negative_slope·x (Maas, Hannun and Ng 2013)."""
    return applied(activations.leaky_relu, input, inplace, negative_slope=negative_slope)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where it is positive, else weight·x (He et al. 2015): one weight for all, or one for each
    channel, of which dimension 1 has as many."""
    if weight.ndim > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}"
        )
    if weight.numel() != 1:
        if input.ndim == 0:
            raise RuntimeError("Not allow zero-dim input tensor: it has no channels, so one weight will do")
        channels = input.shape[1] if input.ndim > 1 else 1
        if weight.numel() != channels:
            raise ShapeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{weight.numel()} and channel size = {channels}"
            )
    if weight.dtype != input.dtype:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {input.dtype} and {weight.dtype}")
    shape = [1] * input.ndim
    if input.ndim > 1:
        shape[1] = weight.numel()
    return activations.prelu(input, weight.reshape(shape))


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False,
    inplace: bool = False,
) -> Tensor:  # fmt: skip
    """leaky_relu, in training with a slope for each element that is drawn evenly from [lower, upper],
    else with the one in the middle (Xu et al. 2015)."""
    if lower > upper:
        raise RuntimeError(
            f"Lower bound should be less than or equal to the upper bound, got {lower} and {upper}"
        )
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slopes = Tensor.wrap(draw(None, "random", input.shape, np.float64)) * (upper - lower) + lower
    return applied(activations.prelu, input, inplace, slopes.to(input.dtype))


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where it is positive, else alpha·(exp(x) − 1) (Clevert, Unterthiner and Hochreiter 2016)."""
    return applied(activations.elu, input, inplace, alpha=alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """1.0507·elu(x, 1.6733): the factors with which mean 0 and variance 1 go on from layer to layer
    (Klambauer et al. 2017)."""
    return applied(activations.elu, input, inplace, alpha=1.6732632423543772, scale=1.0507009873554805)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where it is positive, else alpha·(exp(x / alpha) − 1), whose slope goes through 0 smoothly (Barron
    2017)."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return applied(activations.elu, input, inplace, alpha=alpha, input_scale=1 / alpha)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x·Φ(x), Φ being the normal distribution function; with "tanh", Φ(x) is approximated by
    ½(1 + tanh(√(2/π)·(x + 0.044715 x³))) (Hendrycks and Gimpel 2016)."""
    if approximate == "none":
        return 0.5 * input * (1 + ops.erf(input / math.sqrt(2)))
    if approximate == "tanh":
        inner = input + 0.044715 * input * input * input
        return 0.5 * input * (1 + ops.tanh(math.sqrt(2 / math.pi) * inner))
    raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate!r}")


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x·sigmoid(x), also called swish (Hendrycks and Gimpel 2016)."""
    return applied(activations.silu, input, inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x·tanh(softplus(x)) (Misra 2019)."""
    return applied(activations.mish, input, inplace)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """min(max(x, min_val), max_val) (Collobert 2004); its derivative at the bounds counts as 0, where that
    of `clamp` is 1."""
    if input.dtype == bool:
        raise RuntimeError("Bool inputs not supported for hardtanh: write input.float()")
    if min_val > max_val:
        raise ValueError(f"min_val cannot be greater than max_val: {min_val} and {max_val}")
    low, high = of_kind(input, min_val), of_kind(input, max_val)
    return applied(activations.hardtanh, input, inplace, min_val=low, max_val=high)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """relu6(x + 3) / 6 (Courbariaux, Bengio and David 2015)."""
    return applied(activations.hardsigmoid, input, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x·hardsigmoid(x) (Howard et al. 2019)."""
    return applied(activations.hardswish, input, inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where it is above the threshold, else value."""
    if inplace:
        return threshold_(input, threshold, value)
    return activations.threshold(input, threshold=of_kind(input, threshold), value=of_kind(input, value))


def of_kind(input: Tensor, number: float) -> float:
    """`number` as the elements of `input` are: whole, if they are."""
    if input.dtype.kind not in "iu":
        return number
    limits = np.iinfo(input.dtype)
    if not limits.min <= int(number) <= limits.max:
        raise RuntimeError(f"value cannot be converted to type {input.dtype} without overflow: {number}")
    return int(number)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x brought nearer to 0 by lambd, and 0 where |x| ≤ lambd."""
    if not lambd >= 0:
        raise RuntimeError(f"lambda must be in range [0, inf), but found {lambd}")
    return activations.softshrink(input, lambd=lambd)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x, and 0 where |x| ≤ lambd."""
    return activations.hardshrink(input, lambd=lambd)


def tanhshrink(input: Tensor) -> Tensor:
    """x − tanh(x)."""
    return input - ops.tanh(input)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|) (Turian, Bergstra and Bengio 2009)."""
    return input / (ops.abs(input) + 1)


def softmin(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """softmax(−x) along `dim`."""
    return softmax(-input, dim, dtype)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a·sigmoid(b) for the halves a and b of `input` along `dim` (Dauphin et al. 2017)."""
    if input.ndim == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    size = input.shape[positive(dim, input.ndim)]
    if size % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim % input.ndim} is size {size}")
    a, b = ops.split(input, size // 2, dim) if size else (input, input)
    return a * ops.sigmoid(b)


# ---- PyTorch's names of those that write in place -------------------------------------------------


def relu_(input: Tensor) -> Tensor:
    """`relu` in place."""
    return relu(input, inplace=True)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`leaky_relu` in place."""
    return leaky_relu(input, negative_slope, inplace=True)


def rrelu_(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """`rrelu` in place."""
    return rrelu(input, lower, upper, training, inplace=True)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`elu` in place."""
    return elu(input, alpha, inplace=True)


def selu_(input: Tensor) -> Tensor:
    """`selu` in place."""
    return selu(input, inplace=True)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`celu` in place."""
    return celu(input, alpha, inplace=True)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """`hardtanh` in place."""
    return hardtanh(input, min_val, max_val, inplace=True)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """`threshold` in place."""
    options = {"threshold": of_kind(input, threshold), "value": of_kind(input, value)}
    return input.changed(activations.threshold, **options)
