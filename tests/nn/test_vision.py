"""Interpolation, pixel shuffling and borders: beside PyTorch, and by gradients."""

from __future__ import annotations

import numpy as np
import pytest
from beside_torch import same, with_gradients
from hypothesis import assume, given
from hypothesis import strategies as st

import autodiff as ad
import nn
from autodiff.testing import check_gradients
from nn import functional as F


def drawn(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


RANKS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
MODES = ["nearest", "nearest-exact", "area", *RANKS]


@pytest.mark.parametrize("mode", MODES)
@given(data=st.data())
def test_interpolation_is_pytorchs(mode, data):
    n = RANKS.get(mode) or data.draw(st.integers(1, 2 if mode == "area" else 3))
    shape = (data.draw(st.integers(1, 2)), 2, *[data.draw(st.integers(1, 5)) for _ in range(n)])
    options = {"mode": mode}
    if data.draw(st.booleans()):
        size = st.integers(1, 9)
        options["size"] = data.draw(st.one_of(size, st.tuples(*[size] * n)))
    else:
        factor = st.sampled_from([0.5, 1, 1.3, 2, 3])
        options["scale_factor"] = data.draw(st.one_of(factor, st.tuples(*[factor] * n)))
        options["recompute_scale_factor"] = data.draw(st.sampled_from([None, False, True]))
        if mode in ("nearest-exact", "bicubic") or (
            mode == "nearest" and n != 2
        ):  # where PyTorch's backward is not that of its forward
            factors = np.broadcast_to(options["scale_factor"], n)
            assume(
                all(f == 1 or int(s * f) not in (s, 2 * s) for s, f in zip(shape[2:], factors, strict=True))
            )
    if mode in RANKS:
        options["align_corners"] = data.draw(st.sampled_from([None, False, True]))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))

    def program(lib):
        layer = lib.nn.Upsample(**options)
        return [repr(layer), *with_gradients(layer, lib, drawn(*shape, dtype=dtype))]

    same(program, 1e-4, 1e-5)


@given(st.integers(1, 3), st.sampled_from([(), (2,), (2, 1)]), st.tuples(*[st.integers(1, 3)] * 3))
def test_pixels_and_channels_are_pytorchs(r, batch, sides):
    c, h, w = sides

    def program(lib):
        up, down = lib.nn.PixelShuffle(r), lib.nn.PixelUnshuffle(r)
        return [
            repr(up), repr(down), with_gradients(up, lib, drawn(*batch, c * r * r, h, w)),
            with_gradients(down, lib, drawn(*batch, c, h * r, w * r)),
        ]  # fmt: skip

    same(program)
    x = ad.Tensor(drawn(2, c * r * r, h, w))
    assert F.pixel_unshuffle(F.pixel_shuffle(x, r), r).equal(x)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("kind", ["Constant", "Zero", "Reflection", "Replication", "Circular"])
@given(data=st.data())
def test_borders_are_pytorchs(n, kind, data):
    width = st.integers(0 if kind in ("Reflection", "Circular") else -1, 3)
    padding = data.draw(st.one_of(width, st.tuples(*[width] * 2 * n)))
    more = (1.5,) if kind == "Constant" else ()
    batch = data.draw(st.sampled_from([(), (2,)]))
    shape = (*batch, 2, *[data.draw(st.integers(2, 4)) for _ in range(n)])

    def program(lib):
        layer = getattr(lib.nn, f"{kind}Pad{n}d")(padding, *more)
        return [repr(layer), *with_gradients(layer, lib, drawn(*shape))]

    same(program)


def test_gradients():
    x = drawn(1, 2, 3, 2)
    check_gradients(lambda x: F.interpolate(x, (4, 5), mode="bilinear"), x)
    check_gradients(lambda x: F.interpolate(x, scale_factor=1.5, mode="bicubic", align_corners=True), x)
    check_gradients(lambda x: F.interpolate(x, 5), x)
    check_gradients(lambda x: F.pixel_unshuffle(nn.ReflectionPad2d((1, 0, 1, 1))(x)[..., :2, :2], 2), x)


def test_interpolation_in_small():
    x = ad.tensor([[[0.0, 1.0, 4.0]]])
    assert F.interpolate(x, scale_factor=2).tolist() == [[[0, 0, 1, 1, 4, 4]]]
    assert F.interpolate(x, 5, mode="linear", align_corners=True).tolist() == [[[0, 0.5, 1, 2.5, 4]]]
    assert F.upsample(x, 6, mode="linear").tolist() == [[[0, 0.25, 0.75, 1.75, 3.25, 4]]]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda lib, x: lib.F.interpolate(x),
        lambda lib, x: lib.F.interpolate(x, 3, 2.0),
        lambda lib, x: lib.F.interpolate(x, 3, mode="bilinear"),
        lambda lib, x: lib.F.interpolate(x, 3, mode="cubist"),
        lambda lib, x: lib.F.interpolate(x, 3, align_corners=True),
        lambda lib, x: lib.F.interpolate(x, (3, 3)),
        lambda lib, x: lib.F.interpolate(x, scale_factor=(3, 3)),
        lambda lib, x: lib.F.interpolate(x, 0),
        lambda lib, x: lib.F.interpolate(x, 3, recompute_scale_factor=True),
        lambda lib, x: lib.F.interpolate(x[0], 3),
        lambda lib, x: lib.F.pixel_shuffle(x, 2),
        lambda lib, x: lib.F.pixel_shuffle(x, 0),
        lambda lib, x: lib.F.pixel_unshuffle(x, 2),
        lambda lib, x: lib.F.pixel_shuffle(x[0, 0], 2),
        lambda lib, x: lib.nn.ReflectionPad1d(3)(x),
        lambda lib, x: lib.nn.CircularPad1d(4)(x),
    ],
)
def test_what_is_refused(wrong):
    assert isinstance(same(lambda lib: wrong(lib, lib.torch.ones(1, 3, 3))), Exception)
