"""Clipping of gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
import nn
from nn.utils import clip_grad_norm_


def with_gradients(*gradients):
    params = []
    for g in gradients:
        p = nn.Parameter(ad.zeros(len(g), dtype=ad.float64))
        p.grad = ad.Tensor(np.array(g, np.float64))
        params.append(p)
    return params


numbers = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=4)


@given(st.lists(numbers, min_size=1, max_size=3), st.sampled_from([1, 2, 3.0, math.inf]), st.floats(0.1, 1e4))
def test_clipping(gradients, norm_type, max_norm):
    params = [*with_gradients(*gradients), nn.Parameter(ad.ones(1))]  # the last has no gradient
    together = np.concatenate(gradients)
    expected = np.linalg.norm(together, norm_type)
    before = [p.grad for p in params]
    total = clip_grad_norm_((p for p in params), max_norm, norm_type)
    assert total.item() == pytest.approx(expected, rel=1e-12) and total.dtype == ad.float64
    assert [p.grad is g for p, g in zip(params, before, strict=True)] == [True] * len(params)
    factor = min(1, max_norm / (expected + 1e-6))
    clipped = np.concatenate([p.grad.numpy() for p in params[:-1]])
    np.testing.assert_allclose(clipped, together * factor, rtol=1e-6, atol=1e-12)


def test_one_tensor_and_nothing():
    (p,) = with_gradients([3.0, 4.0])
    assert clip_grad_norm_(p, 1).item() == 5 and p.grad.norm().item() == pytest.approx(1, rel=1e-6)
    assert clip_grad_norm_([], 1).item() == 0 and clip_grad_norm_([nn.Parameter(ad.ones(1))], 1).item() == 0
    (p,) = with_gradients([0.0])
    assert clip_grad_norm_(p, 1).item() == 0 and p.grad.item() == 0


def test_what_is_not_finite():
    for bad in (math.nan, math.inf):
        params = with_gradients([1.0], [bad])
        with pytest.raises(
            RuntimeError, match="The total norm of order 2.0 for gradients from `parameters` is non-finite"
        ):
            clip_grad_norm_(params, 1, error_if_nonfinite=True)
        assert params[0].grad.item() == 1
        assert not math.isfinite(clip_grad_norm_(params, 1).item())
        assert math.isnan(params[1].grad.item())
