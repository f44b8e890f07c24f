"""Windows that slide over images and sequences: convolution and its transposes, pooling, unfolding.

A sequence (N, C, L) is an image (N, C, 1, L): what is said of two dimensions holds for one.
"""

from __future__ import annotations

import math
from operator import index as as_int
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..kernels import convolution, pooling
from ..primitive import general, linear_map, multilinear, total
from .indexing import gathered, scatter_sum
from .reductions import total as sum_over
from .shapes import pad, reshape, reshaped


def _conv2d_bias(x, w, bias, *, stride, padding, dilation, groups):
    """conv2d(x, w) + bias, one for each output channel."""
    return convolution.conv2d(x, w, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)


def biased_tangent(ts, x, w, stride, padding, dilation, groups):
    """conv2d(ẋ, w) + conv2d(x, ẇ) + ḃ, of what has a tangent."""
    tx, tw, tb = ts
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    terms = [] if tx is None else [convolved(tx, w, **options)]
    terms += [] if tw is None else [convolved(x, tw, **options)]
    return total(terms + ([] if tb is None else [reshaped(tb, to=(*tb.shape, 1, 1))]))


def largest_rule(g_values, indices, x_shape):
    """Each element receives what the windows that chose it receive."""
    planes = (*x_shape[:2], math.prod(x_shape[2:]))
    at = scatter_sum(in_line(g_values), in_line(indices), dim=2, to=planes)
    return reshaped(at, to=x_shape)


def in_line(planes):
    """Each plane's elements in one dimension."""
    return reshaped(planes, to=(*planes.shape[:2], math.prod(planes.shape[2:])))


def largest_tangent(t, indices):
    """The tangent of the element that each window chose."""
    chosen = gathered(in_line(t), in_line(indices), dim=2)
    return (reshaped(chosen, to=indices.shape),)


# fmt: off
# A convolution and the two maps that its derivative needs: each is linear in both of its operands,
# and the derivatives of each are the other two.
convolved = multilinear("conv2d", convolution.conv2d,
    lambda g, w, x_shape, stride, padding, dilation, groups:
        conv_input(g, w, x_shape=x_shape, stride=stride, padding=padding, dilation=dilation, groups=groups),
    lambda g, x, w_shape, stride, padding, dilation, groups:
        conv_weight(g, x, w_shape=w_shape, stride=stride, padding=padding, dilation=dilation, groups=groups),
    inputs="x w")
conv_input = multilinear("conv2d_input_gradient", convolution.conv2d_input_gradient,
    lambda g, w, stride, padding, dilation, groups:
        convolved(g, w, stride=stride, padding=padding, dilation=dilation, groups=groups),
    lambda g, c, w_shape, stride, padding, dilation, groups:
        conv_weight(c, g, w_shape=w_shape, stride=stride, padding=padding, dilation=dilation, groups=groups),
    inputs="c w")
conv_weight = multilinear("conv2d_weight_gradient", convolution.conv2d_weight_gradient,
    lambda g, x, stride, padding, dilation, groups:
        convolved(x, g, stride=stride, padding=padding, dilation=dilation, groups=groups),
    lambda g, c, x_shape, stride, padding, dilation, groups:
        conv_input(c, g, x_shape=x_shape, stride=stride, padding=padding, dilation=dilation, groups=groups),
    inputs="c x")
# The same with a bias, which then needs no pass over the result of its own.
biased = general("conv2d_bias", _conv2d_bias,
    lambda g, w, x_shape, stride, padding, dilation, groups:
        conv_input(g, w, x_shape=x_shape, stride=stride, padding=padding, dilation=dilation, groups=groups),
    lambda g, x, w_shape, stride, padding, dilation, groups:
        conv_weight(g, x, w_shape=w_shape, stride=stride, padding=padding, dilation=dilation, groups=groups),
    lambda g: sum_over(g, dim=(0, 2, 3)), inputs="x w bias", jvp=biased_tangent)

unfolded = linear_map("unfold", convolution.unfold, lambda g, x_shape, kernel_size, stride, padding, dilation:
    folded(g, x_shape=x_shape, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation))
folded = linear_map("fold", convolution.fold, lambda g, kernel_size, stride, padding, dilation:
    unfolded(g, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation), inputs="columns")

largest = general("max_pool2d", pooling.max_pool2d, largest_rule, outputs="values indices", jvp=largest_tangent,
                  promotes=False)
adaptively_largest = general("adaptive_max_pool2d", pooling.adaptive_max_pool2d, largest_rule,
                             outputs="values indices", jvp=largest_tangent, promotes=False)
# fmt: on


# ---- arguments -----------------------------------------------------------------------------------


def per_side(value, n: int, name: str = "kernel_size") -> tuple[int, ...]:
    """3 → (3, 3), for n dimensions; a sequence of that many, or of one for all, as it is."""
    if not isinstance(value, (tuple, list)):
        return (as_int(value),) * n
    if len(value) not in (1, n):
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {n} values, one for each "
            f"dimension that the windows slide along, but got {name}={list(value)}"
        )
    return tuple(as_int(v) for v in value) * (n // len(value))


def pair(value) -> Any:
    """3 → (3, 3)."""
    return per_side(value, 2)


def as_pairs(n: int, stride: Any, padding: Any, dilation: Any) -> dict[str, Any]:
    """The windows' options for an image, made of those for n dimensions."""
    options = {"stride": (stride, 1), "padding": (padding, 0), "dilation": (dilation, 1)}
    return {name: (none,) * (2 - n) + per_side(value, n, name) for name, (value, none) in options.items()}


def images(name: str, x, n: int):
    """x as a batch of images: (N, C, L), (C, L), (C, H, W) → (N, C, H, W), 1 for what is missing."""
    if x.ndim not in (n + 1, n + 2):
        raise ShapeError(
            f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {name}, but got input of size: "
            f"{list(x.shape)}"
        )
    if x.ndim == 4 and n == 2:
        return x
    batch = tuple(x.shape) if x.ndim == n + 2 else (1, *x.shape)
    return reshaped(x, to=(*batch[:2], *(1,) * (2 - n), *batch[2:]))


def as_given(y, x, n: int):
    """Images y in the form that x was given in, from which they are made."""
    if x.ndim == 4 and n == 2:
        return y
    batch = (*y.shape[:2], *y.shape[4 - n :])
    return reshaped(y, to=batch if x.ndim == n + 2 else batch[1:])


# ---- convolution, in PyTorch's spelling ------------------------------------------------------------


def conv1d(input, weight, bias=None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups=1):
    """The cross-correlation of (N, C, L) sequences with (O, C/groups, l) kernels; all else as in
    `conv2d`."""
    return correlation("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input, weight, bias=None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups=1):
    """The cross-correlation of (N, C, H, W) images with (O, C/groups, h, w) kernels, plus a bias
    for each of the O output channels. `padding` is a number of zeros, "valid" or "same"."""
    return correlation("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def correlation(name, n, input, weight, bias, stride, padding, dilation, groups):
    """conv1d and conv2d, for windows that slide along n dimensions."""
    x = images(name, input, n)
    check_weight(name, n, weight, bias, groups, weight.shape[:1])
    if input.shape[-n - 1] != weight.shape[1] * groups:
        raise ShapeError(
            f"Given groups={groups}, weight of size {list(weight.shape)}, expected input"
            f"{list(input.shape)} to have {weight.shape[1] * groups} channels, but got "
            f"{input.shape[-n - 1]} channels instead"
        )
    after = ()
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"padding is a number of zeros, 'same' or 'valid', but got {padding!r}")
        strides, dilations = per_side(stride, n, "stride"), per_side(dilation, n, "dilation")
        border = [d * (k - 1) for d, k in zip(dilations, weight.shape[2:], strict=True)]
        if padding == "valid":
            border = [0] * n
        elif set(strides) != {1}:
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        padding, after = tuple(b // 2 for b in border), tuple(b % 2 for b in border)
    if any(after):  # one more than before
        x = pad(x, tuple(k for extra in reversed(after) for k in (0, extra)))
    options = as_pairs(n, stride, padding, dilation)
    kernel = reshaped(weight, to=(*weight.shape[:2], 1, weight.shape[2])) if n == 1 else weight
    if bias is None:
        y = convolved(x, kernel, **options, groups=groups)
    else:
        y = biased(x, kernel, bias, **options, groups=groups)
    return as_given(y, input, n)


def conv_transpose1d(
    input, weight, bias=None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups=1,
    dilation: Any = 1,
):  # fmt: skip
    """The transpose of `conv1d` in its input; all else as in `conv_transpose2d`."""
    return transposed(
        "conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose2d(
    input, weight, bias=None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups=1,
    dilation: Any = 1,
):  # fmt: skip
    """The transpose of `conv2d` in its input, of weight (C, O/groups, h, w), plus a bias: the elements of
    (N, C, H, W) spread over the windows of a larger image (N, O, H', W'), and what overlaps added up
    (Zeiler et al. 2010). H' = (H − 1)·stride − 2·padding + dilation·(h − 1) + output_padding + 1."""
    return transposed(
        "conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def transposed(name, n, input, weight, bias, stride, padding, output_padding, groups, dilation):
    """conv_transpose1d and 2d, for windows that slide along n dimensions."""
    x = images(name, input, n)
    check_weight(name, n, weight, bias, groups, (weight.shape[1] * groups,))
    if input.shape[-n - 1] != weight.shape[0]:
        raise ShapeError(
            f"Given transposed=1, weight of size {list(weight.shape)}, expected input"
            f"{list(input.shape)} to have {weight.shape[0]} channels, but got "
            f"{input.shape[-n - 1]} channels instead"
        )
    options = as_pairs(n, stride, padding, dilation)
    extra = (0,) * (2 - n) + per_side(output_padding, n, "output_padding")
    kernel = reshaped(weight, to=(*weight.shape[:2], 1, weight.shape[2])) if n == 1 else weight
    sides = []
    for m, k, more, s, p, d in zip(x.shape[2:], kernel.shape[2:], extra, *options.values(), strict=True):
        if not 0 <= more < max(s, d):
            raise RuntimeError(
                "output padding must be smaller than either stride or dilation, and not negative, but got "
                f"output_padding={more}, stride={s}, dilation={d}"
            )
        sides.append((m - 1) * s - 2 * p + d * (k - 1) + more + 1)
    if min(sides) < 1:
        raise RuntimeError(
            f"Given input size per channel: {size_text(x.shape[2:], n)}. Calculated output size per channel: "
            f"{size_text(sides, n)}. Output size is too small"
        )
    reached = zip(sides, kernel.shape[2:], *options.values(), strict=True)
    counts = [(m + 2 * p - d * (k - 1) - 1) // s + 1 for m, k, s, p, d in reached]
    missing = [count - m for count, m in zip(counts, x.shape[2:], strict=True)]
    if any(missing):  # more output_padding than a stride
        x = pad(x, (0, missing[1], 0, missing[0]))
    shape = (x.shape[0], weight.shape[1] * groups, *sides)
    y = conv_input(x, kernel, x_shape=shape, **options, groups=groups)
    if bias is not None:
        y = y + reshape(bias, -1, 1, 1)
    return as_given(y, input, n)


def size_text(sides, n: int) -> str:
    """(H x W), or (L) of sequences, as PyTorch's errors have it."""
    return f"({' x '.join(map(str, sides[2 - n :]))})"


def check_weight(name, n, weight, bias, groups, channels) -> None:
    """What convolutions refuse about their parameters."""
    if weight.ndim != n + 2:
        raise ShapeError(
            f"Expected a weight of {n + 2} dimensions for {name}, but got weight of size: {list(weight.shape)}"
        )
    if groups < 1:
        raise RuntimeError(f"non-positive groups is not supported: got groups={groups}")
    if weight.shape[0] % groups or weight.shape[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0 and divisible by "
            f"it, but got weight of size {list(weight.shape)} instead"
        )
    if bias is not None and tuple(bias.shape) != tuple(channels):
        raise ShapeError(
            f"Given weight of size {list(weight.shape)}, expected bias to be 1-dimensional with "
            f"{channels[0]} elements, but got bias of size {list(bias.shape)} instead"
        )


# ---- pooling ---------------------------------------------------------------------------------------


def max_pool1d(
    input, kernel_size, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode=False,
    return_indices=False,
):  # fmt: skip
    """The largest element of each window of (…, L) sequences; all else as in `max_pool2d`."""
    return largest_of_windows(
        "max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def max_pool2d(
    input, kernel_size, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode=False,
    return_indices=False,
):  # fmt: skip
    """The largest element of each window of (…, H, W) planes; the windows step by the kernel's
    size unless `stride` says otherwise. Of equal elements the first has the gradient."""
    return largest_of_windows(
        "max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def largest_of_windows(name, n, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    """max_pool1d and 2d, for windows that slide along n dimensions."""
    x, kernel, options = pooling_arguments(name, n, input, kernel_size, stride, padding, dilation)
    y, places = largest(x, kernel_size=kernel, **options, ceil_mode=bool(ceil_mode))
    y, places = as_given(y, input, n), as_given(places, input, n)
    return (y, places) if return_indices else y


def pooling_arguments(name, n, input, kernel_size, stride, padding, dilation):
    """The images, the windows' sizes and their options."""
    if input.ndim not in (n + 1, n + 2):
        raise ShapeError(f"{name}: Expected {n + 1}D or {n + 2}D input, but got shape {list(input.shape)}")
    kernel = (1,) * (2 - n) + per_side(kernel_size, n, "kernel_size")
    stride = kernel_size if stride is None or stride == [] else stride
    return images(name, input, n), kernel, as_pairs(n, stride, padding, dilation)


def avg_pool1d(
    input, kernel_size, stride: Any = None, padding: Any = 0, ceil_mode=False, count_include_pad=True
):
    """The mean of each window of (…, L) sequences; all else as in `avg_pool2d`."""
    return mean_of_windows(
        "avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None
    )


def avg_pool2d(
    input, kernel_size, stride: Any = None, padding: Any = 0, ceil_mode=False, count_include_pad=True,
    divisor_override=None,
):  # fmt: skip
    """The mean of each window of (…, H, W) planes: a convolution with equal weights. The zeros of the
    padding count unless `count_include_pad` is False; `divisor_override` is divided by instead of the
    number of elements."""
    return mean_of_windows(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def mean_of_windows(
    name, n, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
):
    """avg_pool1d and 2d, for windows that slide along n dimensions."""
    x, kernel, options = pooling_arguments(name, n, input, kernel_size, stride, padding, 1)
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    counts, beyond = [], []
    for m, k, s, p, d in zip(x.shape[2:], kernel, *options.values(), strict=True):
        starts, _ = pooling.pooled(m, k, s, p, d, bool(ceil_mode))
        ends = np.minimum(starts + k, m + p)
        inside = np.minimum(ends, m) - np.maximum(starts, 0)
        counts.append(ends - starts if count_include_pad else inside)
        beyond.append(max(0, int(starts.max(initial=-p)) + k - m - p))
    pooling.refuse_no_windows(x.shape, (len(counts[0]), len(counts[1])))
    if any(beyond):  # ceil_mode's windows end there
        x = pad(x, (0, beyond[1], 0, beyond[0]))
    shape = (x.shape[0] * x.shape[1], 1, *x.shape[2:])
    sums = convolved(reshaped(x, to=shape), np.ones((1, 1, *kernel), x.dtype), **options, groups=1)
    sums = reshaped(sums, to=(*x.shape[:2], len(counts[0]), len(counts[1])))
    y = sums / (np.outer(*counts) if divisor_override is None else divisor_override)
    return as_given(y, input, n)


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """The windows of images (N, C, H, W) as columns (N, C·h·w, L), L being how many they are."""
    x = images("unfold", input, 2)
    y = unfolded(x, kernel_size=pair(kernel_size), **as_pairs(2, stride, padding, dilation))
    return y if input.ndim == 4 else reshaped(y, to=y.shape[1:])


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Columns (N, C·h·w, L) put back as the windows of images (N, C, *output_size), and what overlaps added
    up: the transpose of `unfold`."""
    if input.ndim not in (2, 3):
        raise ShapeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero "
            f"dimensions for input, but got: {list(input.shape)}"
        )
    kernel, options = pair(kernel_size), as_pairs(2, stride, padding, dilation)
    columns = input if input.ndim == 3 else reshaped(input, to=(1, *input.shape))
    area = math.prod(kernel)
    if area < 1 or columns.shape[1] % area:
        raise ShapeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={columns.shape[1]} and kernel_size={kernel}"
        )
    shape = (columns.shape[0], columns.shape[1] // area, *per_side(output_size, 2, "output_size"))
    fits = math.prod(convolution.geometry(shape, kernel, **options).counts)
    if columns.shape[2] != fits:
        raise ShapeError(
            f"Given output_size={shape[2:]}, kernel_size={kernel}, dilation={options['dilation']}, "
            f"padding={options['padding']}, stride={options['stride']}, expected input's size of dimension 2 "
            f"to be the {fits} windows that there are, but got input.size(2)={columns.shape[2]}"
        )
    y = folded(columns, x_shape=shape, kernel_size=kernel, **options)
    return y if input.ndim == 3 else reshaped(y, to=y.shape[1:])
