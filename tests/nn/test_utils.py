"""Clipping of gradients; parameters as a vector; weights normalised."""

from __future__ import annotations

import math

import numpy as np
import pytest
from beside_torch import same
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
import nn
from nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
    parameters_to_vector,
    remove_weight_norm,
    vector_to_parameters,
    weight_norm,
)


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


@given(st.lists(numbers, min_size=1, max_size=3), st.floats(0, 100))
def test_each_number_is_limited(gradients, bound):
    params = [*with_gradients(*gradients), nn.Parameter(ad.ones(1))]
    before = [p.grad for p in params]
    assert clip_grad_value_(iter(params), bound) is None
    for p, g, numbers_of_it in zip(params[:-1], before, gradients, strict=False):
        assert p.grad is g and g.tolist() == np.clip(numbers_of_it, -bound, bound).tolist()
    (p,) = with_gradients([-3.0, math.nan])
    clip_grad_value_(p, 2)
    np.testing.assert_array_equal(p.grad.numpy(), [-2, math.nan])


def test_the_norm_and_the_scaling_apart():
    params = with_gradients([3.0], [4.0])
    total = get_total_norm([p.grad for p in params])
    assert total.item() == 5 and total.dtype == ad.float64
    clip_grads_with_norm_(params, 1, total)
    assert [p.grad.item() for p in params] == pytest.approx([0.6, 0.8], rel=1e-6)
    clip_grads_with_norm_(params, 10, total)
    assert [p.grad.item() for p in params] == pytest.approx([0.6, 0.8], rel=1e-6)

    def program(lib):
        ones = lib.torch.ones(2)
        n = lib.nn.utils
        return [
            n.get_total_norm([]),
            n.get_total_norm(ones),
            n.get_total_norm([ones, ones.double()], math.inf),
        ]

    same(program)
    same(lambda lib: lib.nn.utils.get_total_norm(lib.torch.tensor(math.nan), error_if_nonfinite=True))


# ---- as a vector ---------------------------------------------------------------------------------


def test_parameters_as_a_vector_and_back():
    def program(lib):
        layer = lib.nn.Linear(3, 2).double()
        with lib.torch.no_grad():
            layer.weight.copy_(lib.tensor(np.arange(6.0).reshape(2, 3)))
            layer.bias.copy_(lib.tensor(np.array([7.0, 8.0])))
        vector = lib.nn.utils.parameters_to_vector(layer.parameters())
        (vector * vector).sum().backward()
        found = [vector, layer.weight.grad, layer.bias.grad]
        new = lib.torch.arange(8.0)
        lib.nn.utils.vector_to_parameters(new, layer.parameters())
        found += [layer.weight, layer.bias, layer.weight.requires_grad, layer.weight.is_leaf]
        new[0] = 9.0  # their memory, from here on
        return [*found, layer.weight]

    same(program)


def test_what_is_no_vector_of_these():
    p = [nn.Parameter(ad.ones(2)), nn.Parameter(ad.ones(2, 2))]
    with pytest.raises(TypeError, match=r"expected torch.Tensor, but got: list"):
        vector_to_parameters([1.0], p)
    with pytest.raises(RuntimeError, match="is invalid for input of size 3"):
        vector_to_parameters(ad.ones(5), p)
    with pytest.raises(ValueError, match="expected a non-empty list of Tensors"):
        parameters_to_vector([])


# ---- weights normalised ---------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.torch.nn.utils.weight_norm. is deprecated")
@pytest.mark.parametrize("dim", [0, 1, -1, -2, None])
@pytest.mark.parametrize("kind", ["Linear", "Conv2d"])
def test_normalised_weights_are_pytorchs(kind, dim):
    rng = np.random.default_rng(0)
    weight, x = (
        rng.standard_normal((3, 2, 2, 2)[: 2 if kind == "Linear" else 4]),
        rng.standard_normal((1, 2, 4, 2)),
    )

    def program(lib):
        layer = lib.nn.Linear(2, 3).double() if kind == "Linear" else lib.nn.Conv2d(2, 3, 2).double()
        state = {"weight": lib.tensor(weight), "bias": lib.torch.zeros(3).double()}
        layer.load_state_dict(state)
        plain = layer(lib.tensor(x))
        assert lib.nn.utils.weight_norm(layer, dim=dim) is layer
        names = sorted(layer.state_dict())
        y = layer(lib.tensor(x))
        y.square().sum().backward()
        found = [names, y - plain, layer.weight_g, layer.weight_v, layer.weight_g.grad, layer.weight_v.grad]
        with lib.torch.no_grad():
            layer.weight_g.mul_(2)
        found.append(layer(lib.tensor(x)))
        assert lib.nn.utils.remove_weight_norm(layer) is layer
        return [*found, sorted(layer.state_dict()), layer.weight, layer.weight.is_leaf, layer(lib.tensor(x))]

    same(program)


@pytest.mark.filterwarnings("ignore:.torch.nn.utils.weight_norm. is deprecated")
def test_normalised_weights_by_formula_and_errors():
    layer = weight_norm(nn.Linear(3, 2))
    v = layer.weight_v.detach().numpy()
    with ad.no_grad():
        layer.weight_g.copy_(ad.tensor([[2.0], [3.0]]))
    layer(ad.ones(1, 3))
    expected = v / np.linalg.norm(v, axis=1, keepdims=True) * [[2], [3]]
    np.testing.assert_allclose(layer.weight.detach().numpy(), expected, rtol=1e-6)
    with pytest.raises(
        RuntimeError, match="Cannot register two weight_norm hooks on the same parameter weight"
    ):
        weight_norm(layer)
    remove_weight_norm(layer)
    np.testing.assert_allclose(layer.weight.detach().numpy(), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="weight_norm of 'weight' not found in Linear"):
        remove_weight_norm(layer)
    for wrong in (lambda lib: lib.nn.utils.weight_norm(lib.nn.Linear(2, 3), "foo"),
                  lambda lib: lib.nn.utils.weight_norm(lib.nn.Linear(2, 3), dim=5)):  # fmt: skip
        assert isinstance(same(wrong), Exception)
    layer = weight_norm(nn.Linear(3, 2), "bias")
    assert sorted(layer.state_dict()) == ["bias_g", "bias_v", "weight"]
