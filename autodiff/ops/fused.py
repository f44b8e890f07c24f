"""Fused operations: what training spends its time in, in fewer steps than the composed versions.

Each stands beside the composition that explains it, and the tests hold the two together. Their
rules are compositions of other primitives, so that second order is right.
"""

from __future__ import annotations

import math

import numpy as np

from .. import kernels
from ..errors import NO_ARRAYS, ShapeError, not_a_tensor
from ..graph import no_grad, tell
from ..kernels import softmax as softmax_kernels
from ..primitive import constant, general, total
from .contractions import product, swapped
from .indexing import gathered
from .reductions import log_softmax_, mean, softmax_, var
from .reductions import total as sum_over
from .shapes import expand, permuted, reshaped, squeeze, unsqueeze


def _linear(x, weight, bias):
    """x @ weightᵀ + bias."""
    return kernels.linear(x, weight, bias)


def linear_tangent(ts, x, weight):
    """ẋ @ weightᵀ + x @ ẇᵀ + ḃ, of what has a tangent."""
    tx, tw, tb = ts
    terms = [] if tx is None else [product(tx, swapped(weight))]
    terms += [] if tw is None else [product(x, swapped(tw))]
    return total(terms + ([] if tb is None else [tb]))


def cross_entropy_rule(g, x, target):
    """g · (softmax(x) − onehot(target))."""
    return nll_gradient(g, x, target)


def nll_gradient_by_share(g, x, target):
    """Σ g · (softmax(x) − onehot(target)), over the classes."""
    hot = indicator(target, classes=x.shape[1], dtype=x.dtype)
    return sum_over(g * (softmax_(x, dim=1) - hot), dim=1)


def nll_gradient_by_x(g, share, x):
    """g · share pulled back through the softmax."""
    y, g = softmax_(x, dim=1), g * each(share)
    return y * (g - sum_over(g * y, dim=1, keepdim=True))


def nll_gradient_tangent(ts, share, x, target):
    """The product rule: the tangent of the share, and that of x through the softmax."""
    t_share, tx = ts[:2]
    y, terms = softmax_(x, dim=1), []
    if t_share is not None:
        terms.append(each(t_share) * (y - indicator(target, classes=x.shape[1], dtype=x.dtype)))
    if tx is not None:
        terms.append(each(share) * y * (tx - sum_over(tx * y, dim=1, keepdim=True)))
    return total(terms)


def each(share):
    """A number for each sample as one for each of its classes."""
    return reshaped(share, to=(share.shape[0], 1, *share.shape[1:]))


def cross_entropy_tangent(ts, x, target):
    """Σ ẋ · (softmax(x) − onehot(target)), over the classes."""
    t = ts[0]
    hot = indicator(target, classes=x.shape[1], dtype=x.dtype)
    return sum_over(t * (softmax_(x, dim=1) - hot), dim=1)


def _indicator(target, *, classes, dtype):
    """1 at [n, target[n, …], …], else 0."""
    return np.moveaxis(target[..., None] == np.arange(classes), -1, 1).astype(dtype)


# fmt: off
indicator = constant("indicator", _indicator, "target")
in_range  = constant("in_range", lambda x, *, low, high: x.size == 0 or bool(low <= x.min() and x.max() <= high))
affine = general("linear", _linear, lambda g, weight: product(g, weight), lambda g, x: product(swapped(g), x),
                 lambda g: sum_over(g, dim=0), inputs="x weight bias", jvp=linear_tangent)
neg_log_likelihood = general("cross_entropy", softmax_kernels.cross_entropy, cross_entropy_rule, inputs="x target",
                             jvp=cross_entropy_tangent, promotes=False)
nll_gradient = general("cross_entropy_gradient", softmax_kernels.cross_entropy_gradient, nll_gradient_by_share,
                       nll_gradient_by_x, inputs="share x target", jvp=nll_gradient_tangent, promotes=False)
# fmt: on


def all_within(x, low, high) -> bool:
    """Is low ≤ x ≤ high everywhere? A compiled program that was recorded where this was so asks again
    at every call."""
    answer = in_range(x, low=low, high=high)
    tell("assumed", answer)
    return bool(getattr(answer, "array", answer))


def linear(input, weight, bias=None):
    """input @ weightᵀ + bias: input of shape (…, in), weight (out, in), bias (out). In one step, so that
    the bias needs no array of its own; `matmul(input, weight.T) + bias` says the same. Without `out`, as in
    input (…, in), weight (in), bias (), the result has the shape (…)."""
    if type(input) in NO_ARRAYS:
        raise not_a_tensor("linear", input)
    if input.ndim == 0 or weight.ndim not in (1, 2) or input.shape[-1] != weight.shape[-1]:
        rows = math.prod(input.shape[:-1])
        transposed = "x".join(map(str, reversed(weight.shape)))
        is_image = input.ndim > 2 and math.prod(input.shape[1:]) == weight.shape[-1]
        raise ShapeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{input.shape[-1] if input.ndim else 0} and "
            f"{transposed}), in linear(input {tuple(input.shape)}, weight {tuple(weight.shape)}): the last "
            f"dimension of x must be {weight.shape[-1]}{'. Try x.flatten(1)' if is_image else ''}"
        )
    if bias is not None and bias.shape != weight.shape[:-1]:
        y = linear(input, weight)
        return y + expand(bias, y.shape)  # or it says why not
    if weight.ndim == 1:
        y = linear(input, unsqueeze(weight, 0), None if bias is None else unsqueeze(bias, 0))
        return squeeze(y, -1)
    rows = input if input.ndim == 2 else reshaped(input, to=(math.prod(input.shape[:-1]), input.shape[-1]))
    if bias is None:
        y = product(rows, permuted(weight, dims=(1, 0)))
    else:
        y = affine(rows, weight, bias)
    return y if input.ndim == 2 else reshaped(y, to=(*input.shape[:-1], weight.shape[0]))


def cross_entropy(input, target):
    """−log softmax(input)[target] for each sample: input of shape (N, C, …), integer target (N, …), which
    must lie in [0, C). The composition is −log_softmax(input, 1).gather(1, target)."""
    n_classes = input.shape[1]
    labels = target.array if hasattr(target, "array") else np.asarray(target)
    if labels.shape != (input.shape[0], *input.shape[2:]):
        raise ShapeError(
            f"Expected target size {[input.shape[0], *input.shape[2:]]}, got {list(labels.shape)}"
        )
    if not all_within(target, 0, n_classes - 1):
        wrong = labels[(labels < 0) | (labels >= n_classes)].flat[0]
        raise IndexError(f"Target {wrong} is out of bounds: there are {n_classes} classes")
    return neg_log_likelihood(input, labels)


def cross_entropy_composed(x, target):
    """What `cross_entropy` computes, from smaller steps."""
    target = reshaped(target, to=(target.shape[0], 1, *target.shape[1:]))
    chosen = gathered(log_softmax_(x, dim=1), target, dim=1)
    return -reshaped(chosen, to=(chosen.shape[0], *chosen.shape[2:]))


# ---- normalisation -----------------------------------------------------------------------------


def _standardise(x, *, dims, eps):
    """(x − mean) / √(var + eps) over `dims`, and 1 / √(var + eps), dimensions kept."""
    centred = x - x.mean(axis=dims, keepdims=True)
    scale = 1 / np.sqrt((centred * centred).mean(axis=dims, keepdims=True) + eps)
    return centred * scale, scale


def standardise_rule(g_z, g_scale, z, scale, dims):
    """z̄ pulled back: scale·(z̄ − mean z̄ − z·mean(z̄ z)); s̄: −s̄·scale²·z / n for the mean."""
    n = math.prod(z.shape[d] for d in dims)
    mean_g = sum_over(g_z, dim=dims, keepdim=True) / n
    mean_gz = sum_over(g_z * z, dim=dims, keepdim=True) / n
    return scale * (g_z - mean_g - z * mean_gz) - g_scale * scale * scale * z / n


standardised = general("standardise", _standardise, standardise_rule, outputs="z scale", to_float=True)


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """(input − mean) / √(var + eps) · weight + bias, over the last dimensions, of `normalized_shape`
    (Ba, Kiros and Hinton 2016). The variance is the biased one."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if tuple(input.shape[input.ndim - len(shape) :]) != shape:
        raise ShapeError(
            f"Given normalized_shape={list(shape)}, expected input with shape "
            f"[*, {', '.join(map(str, shape))}], but got input of size {list(input.shape)}"
        )
    for name, factor in (("weight", weight), ("bias", bias)):
        if factor is not None and tuple(factor.shape) != shape:
            raise ShapeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{list(factor.shape)} and normalized_shape = {list(shape)}"
            )
    y = standardised(input, dims=tuple(range(input.ndim - len(shape), input.ndim)), eps=eps)[0]
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def check_channels(input, **factors) -> None:
    """An error for what has not one number for each channel of the input, which is dimension 1."""
    if input.ndim < 2:
        raise ShapeError(f"Expected at least 2 dimensions for input tensor but received {input.ndim}")
    channels = input.shape[1]
    for name, factor in factors.items():
        if factor is not None and tuple(factor.shape) != (channels,):
            raise ShapeError(
                f"{name} should contain {channels} elements not {math.prod(factor.shape)}: one for each "
                f"channel of an input of shape {list(input.shape)}"
            )


def batch_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, training=False,
    momentum=0.1, eps=1e-5,
):  # fmt: skip
    """(x − mean) / √(var + eps) · weight + bias for each channel (dimension 1): of the batch when
    training, which also moves the running statistics by `momentum`, else of those (Ioffe and
    Szegedy 2015). The running variance is the unbiased one."""
    check_channels(input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    dims = (0, *range(2, input.ndim))
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError("running_mean and running_var must be defined in evaluation mode")
    if training:
        n = math.prod(input.shape[d] for d in dims)
        if n == 1:
            raise ValueError(
                f"Expected more than 1 value per channel when training, got input size {list(input.shape)}"
            )
        y = standardised(input, dims=dims, eps=eps)[0]
        if running_mean is not None and n:
            with no_grad():
                for running, fresh in (
                    (running_mean, mean(input, dims)),
                    (running_var, var(input, dims)),
                ):
                    running.mul_(1 - momentum).add_(fresh, alpha=momentum)
    else:
        shape = (input.shape[1], *(1,) * (input.ndim - 2))
        centre, spread = reshaped(running_mean, to=shape), reshaped(running_var, to=shape)
        y = (input - centre) / (spread + eps).sqrt()
    return scaled_by_channel(y, weight, bias)


def scaled_by_channel(y, weight, bias):
    """y·weight + bias, each a number for each channel, which is dimension 1, or None."""
    shape = (y.shape[1], *(1,) * (y.ndim - 2))
    y = y if weight is None else y * reshaped(weight, to=shape)
    return y if bias is None else y + reshaped(bias, to=shape)
