"""Convolutions of one and two dimensions and their transposes: beside PyTorch, and by their definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from beside_torch import same, with_gradients
from hypothesis import assume, given
from hypothesis import strategies as st

import autodiff as ad
import nn
from autodiff.testing import check_gradients
from nn import functional as F

MODES = st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"])


def drawn(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def for_sides(n, low, high):
    """A number for all of n dimensions, or one for each."""
    number = st.integers(low, high)
    return st.one_of(number, st.tuples(*[number] * n))


def spread(value, n):
    return (value,) * n if isinstance(value, int) else value


@st.composite
def layers(draw, n, transposed=False):
    """(the shape of an input, the arguments of a layer for n dimensions)."""
    groups = draw(st.integers(1, 2))
    channels = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel, stride, dilation = (draw(for_sides(n, 1, 3)) for _ in range(3))
    options = {"stride": stride, "dilation": dilation, "groups": groups, "bias": draw(st.booleans())}
    options["padding"] = draw(for_sides(n, 0, 2))
    if transposed:
        options["output_padding"] = draw(for_sides(n, 0, 2))
    else:
        options["padding_mode"] = draw(MODES)
        if draw(st.integers(0, 3)) == 0:
            options["padding"] = draw(st.sampled_from(["same", "valid"]))
    batch = draw(st.sampled_from([(), (1,), (3,), (0,)]))
    sides = [draw(st.integers(1, 7)) for _ in range(n)]
    if transposed:  # of results of no size PyTorch refuses some, as ours, and gives others
        each = (spread(options[k], n) for k in ("stride", "padding", "dilation", "output_padding"))
        for m, k, s, p, d, more in zip(sides, spread(kernel, n), *each, strict=True):
            assume((m - 1) * s - 2 * p + d * (k - 1) + more + 1 > 0 and (0 not in batch or more < max(s, d)))
    return (*batch, channels[0], *sides), (*channels, kernel), options


def beside(kind, shape, arguments, options, dtype, **call):
    """The layer of both libraries, of the same weights: what it says, its value and gradients."""

    def program(lib):
        layer = getattr(lib.nn, kind)(*arguments, **options).to(getattr(lib.torch, dtype))
        rng = np.random.default_rng(1)
        named = [(name, rng.standard_normal(tuple(p.shape))) for name, p in layer.named_parameters()]
        layer.load_state_dict({name: lib.tensor(np.asarray(p, dtype)) for name, p in named})
        x = drawn(*shape, dtype=dtype)
        found = with_gradients(lambda x: layer(x, **call), lib, x)
        return [repr(layer), *found, *(p.grad for p in layer.parameters())]

    return same(program, 1e-4 if dtype == "float32" else 1e-9, 1e-4 if dtype == "float32" else 1e-9)


dtypes = st.sampled_from(["float32", "float64"])


@given(layers(1), dtypes)
def test_conv1d_is_pytorchs(case, dtype):
    beside("Conv1d", *case, dtype)


@given(layers(2), dtypes)
def test_conv2d_is_pytorchs(case, dtype):
    beside("Conv2d", *case, dtype)


@given(layers(1, transposed=True), dtypes)
def test_conv_transpose1d_is_pytorchs(case, dtype):
    beside("ConvTranspose1d", *case, dtype)


@given(layers(2, transposed=True), dtypes)
def test_conv_transpose2d_is_pytorchs(case, dtype):
    beside("ConvTranspose2d", *case, dtype)


@given(st.tuples(*[st.integers(8, 16)] * 2), st.booleans())
def test_the_size_of_the_result_can_be_asked_for(size, whole):
    arguments, options = (2, 3, 3), {"stride": (3, 2), "padding": 1}
    asked = [3, 3, *size] if whole else list(size)
    beside("ConvTranspose2d", (3, 2, 4, 5), arguments, options, "float64", output_size=asked)


@given(layers(2))
def test_a_transpose_is_the_adjoint(case):
    """⟨g, conv x⟩ = ⟨conv_transpose g, x⟩."""
    shape, (c, o, kernel), options = case
    assume(len(shape) == 4 and shape[0] and not isinstance(options["padding"], str))
    del options["bias"], options["padding_mode"]
    x, w = ad.Tensor(drawn(*shape)), ad.Tensor(drawn(o, c // options["groups"], *spread(kernel, 2)))
    try:
        y = F.conv2d(x, w, **options)
    except RuntimeError:
        return
    g = ad.Tensor(drawn(*y.shape, seed=1))
    stride, padding, dilation = (spread(options[k], 2) for k in ("stride", "padding", "dilation"))
    sides = zip(x.shape[2:], y.shape[2:], w.shape[2:], stride, padding, dilation, strict=True)
    extra = tuple(n - ((m - 1) * s - 2 * p + d * (k - 1) + 1) for n, m, k, s, p, d in sides)
    assume(all(e < max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)))
    back = F.conv_transpose2d(g, w, None, output_padding=extra, **options)
    np.testing.assert_allclose((g * y).sum().item(), (back * x).sum().item(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("bias", [False, True])
def test_gradients_of_a_convolution_with_and_without_bias(bias):
    x, w, b = drawn(2, 2, 4, 5), drawn(4, 1, 2, 3), drawn(4)
    if bias:
        check_gradients(lambda x, w, b: F.conv2d(x, w, b, 2, "valid", (1, 2), 2), x, w, b)
    else:
        check_gradients(lambda x, w: F.conv2d(x, w, None, 1, "same", (2, 1), 2), x, w)


def test_a_sequence_is_an_image_of_one_row():
    x, w = ad.Tensor(drawn(2, 3, 9)), ad.Tensor(drawn(4, 3, 2))
    image = F.conv2d(x.unsqueeze(2), w.unsqueeze(2), stride=(1, 2), padding=(0, 1)).squeeze(2)
    assert F.conv1d(x, w, stride=2, padding=1).equal(image)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda lib: lib.F.conv2d(lib.torch.ones(1, 2, 3, 4, 5), lib.torch.ones(1, 2, 2, 2)),
        lambda lib: lib.F.conv2d(lib.torch.ones(3, 4), lib.torch.ones(1, 2, 2, 2)),
        lambda lib: lib.F.conv2d(lib.torch.ones(1, 2, 4, 4), lib.torch.ones(1, 2, 5, 5)),
        lambda lib: lib.F.conv2d(lib.torch.ones(1, 2, 4, 4), lib.torch.ones(3, 1, 2, 2), groups=2),
        lambda lib: lib.F.conv2d(lib.torch.ones(1, 2, 4, 4), lib.torch.ones(3, 2, 2, 2), lib.torch.ones(2)),
        lambda lib: lib.F.conv2d(lib.torch.ones(1, 2, 4, 4), lib.torch.ones(3, 2, 2, 2), stride=0),
        lambda lib: lib.F.conv2d(lib.torch.ones(1, 2, 4, 4), lib.torch.ones(3, 2, 2, 2), stride=[1, 1, 1]),
        lambda lib: lib.F.conv2d(lib.torch.ones(1, 2, 4, 4), lib.torch.ones(3, 2, 2, 2), padding="full"),
        lambda lib: lib.F.conv2d(lib.torch.ones(1, 2, 4, 4), lib.torch.ones(3, 2, 2, 2), None, 2, "same"),
        lambda lib: lib.F.conv2d(lib.torch.ones(1, 2, 4, 4), lib.torch.ones(3, 2, 2, 2), groups=0),
        lambda lib: lib.F.conv_transpose2d(lib.torch.ones(1, 2, 4, 4), lib.torch.ones(3, 2, 2, 2)),
        lambda lib: lib.F.conv_transpose2d(
            lib.torch.ones(1, 3, 4, 4), lib.torch.ones(3, 2, 2, 2), output_padding=1
        ),
        lambda lib: lib.F.conv_transpose2d(lib.torch.ones(1, 3, 1, 1), lib.torch.ones(3, 2, 2, 2), padding=1),
        lambda lib: lib.nn.ConvTranspose2d(2, 3, 2, padding_mode="circular"),
        lambda lib: lib.nn.ConvTranspose2d(2, 3, 2, 2)(lib.torch.ones(1, 2, 4, 4), output_size=(12, 8)),
        lambda lib: lib.nn.ConvTranspose2d(2, 3, 2, 2)(lib.torch.ones(1, 2, 4, 4), output_size=(8,)),
        lambda lib: lib.nn.Conv1d(2, 3, 2, 2, padding="same"),
        lambda lib: lib.nn.Conv1d(2, 3, 2, padding="full"),
        lambda lib: lib.nn.Conv1d(2, 3, 2, groups=2),
    ],
)
def test_what_is_refused(wrong):
    assert isinstance(same(wrong), Exception)


def test_weights_start_as_in_pytorch():
    ad.manual_seed(0)
    for layer in (nn.Conv1d(16, 32, 5), nn.ConvTranspose2d(32, 16, 4), nn.ConvTranspose1d(64, 32, 3)):
        bound = 1 / math.sqrt(math.prod(layer.weight.shape[1:]))
        for p in layer.parameters():
            assert 0.5 * bound < abs(p.detach().numpy()).max() <= bound
        assert layer.bias.shape == (layer.out_channels,)
