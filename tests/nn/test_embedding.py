"""Embedding: by its definition, and beside PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from beside_torch import same, whole_run
from hypothesis import given
from hypothesis import strategies as st
from support import check_derivatives

import autodiff as ad
import nn
from nn import functional as F


def drawn(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def numbers(shape, rows, seed=0, dtype=np.int64):
    return np.random.default_rng(seed).integers(0, rows, shape).astype(dtype)


@given(st.sampled_from([(), (0,), (4,), (2, 3), (2, 1, 3)]), st.integers(0, 99))
def test_rows_are_looked_up_and_have_derivatives(shape, seed):
    table, places = drawn(5, 3, seed=seed), numbers(shape, 5, seed)
    assert np.array_equal(F.embedding(ad.tensor(places), ad.Tensor(table)).numpy(), table[places])
    check_derivatives(lambda table: F.embedding(ad.tensor(places), table), table)


def test_the_padding_gets_no_gradient_and_starts_as_zeros():
    ad.manual_seed(0)
    layer = nn.Embedding(4, 3, padding_idx=-3)
    assert layer.padding_idx == 1 and (layer.weight[1] == 0).all() and (layer.weight[0] != 0).all()
    layer(ad.tensor([[1, 2], [1, 0]])).sum().backward()
    assert layer.weight.grad.tolist() == [[1] * 3, [0] * 3, [1] * 3, [0] * 3]
    y = layer(ad.tensor([1, 2]))
    y.backward(ad.full((2, 3), np.inf))  # chosen, not multiplied: 0·inf is NaN
    assert layer.weight.grad[1].tolist() == [0] * 3


def test_gradients_by_frequency_have_derivatives_of_their_own():
    """The gradient is linear in the cotangent, and its derivative is the same division."""
    places = ad.tensor([0, 2, 2, 2])
    w = ad.tensor(drawn(3, 2), requires_grad=True)
    g = ad.tensor(drawn(4, 2, seed=1), requires_grad=True)
    y = F.embedding(places, w, scale_grad_by_freq=True)
    (found,) = ad.autograd.grad(y, w, g, create_graph=True)
    np.testing.assert_allclose(found[2].detach().numpy(), g[1:].detach().numpy().mean(0))
    found.sum().backward()
    np.testing.assert_allclose(g.grad.numpy()[:, 0], [1, 1 / 3, 1 / 3, 1 / 3])


def test_long_rows_are_shortened_where_they_are():
    layer = nn.Embedding(3, 2, max_norm=1.0)
    with ad.no_grad():
        layer.weight.copy_(ad.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]]))
    y = layer(ad.tensor([0, 1, 0]))
    np.testing.assert_allclose(y.detach().numpy(), [[0.6, 0.8], [0.3, 0.4], [0.6, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(layer.weight.detach().numpy(), [[0.6, 0.8], [0.3, 0.4], [6, 8]], rtol=1e-6)
    y.sum().backward()
    assert layer.weight.grad.tolist() == [[2, 2], [1, 1], [0, 0]]


def test_a_table_that_is_there_already():
    table = ad.tensor([[1.0, 2.0], [3.0, 4.0]])
    frozen, learnt = nn.Embedding.from_pretrained(table), nn.Embedding.from_pretrained(table, freeze=False)
    assert not frozen.weight.requires_grad and learnt.weight.requires_grad
    assert frozen.weight.data_ptr() == table.data_ptr()
    assert frozen(ad.tensor(1)).tolist() == [3, 4]


def test_sparse_gradients_are_refused_with_the_reason():
    with pytest.raises(NotImplementedError, match="sparse=True is not supported.*Try: leave it out"):
        nn.Embedding(2, 3, sparse=True)
    with pytest.raises(NotImplementedError, match="sparse=True is not supported"):
        F.embedding(ad.tensor([0]), ad.ones(2, 3), sparse=True)
    with pytest.raises(TypeError, match="must be Tensors"):
        F.embedding([0], ad.ones(2, 3))


def test_where_the_table_starts():
    ad.manual_seed(0)
    weight = nn.Embedding(200, 100).weight.detach().numpy()
    assert abs(weight.mean()) < 0.03 and weight.std() == pytest.approx(1, rel=0.03)


# ---- beside PyTorch ------------------------------------------------------------------------------


@given(
    shape=st.sampled_from([(), (0,), (4,), (2, 3)]), padding_idx=st.sampled_from([None, 0, 2, -1]),
    max_norm=st.sampled_from([None, 0.5, 1.0]), norm_type=st.sampled_from([1.0, 2.0, 3.0, np.inf]),
    by_frequency=st.booleans(), frozen=st.booleans(), kind=st.sampled_from(["int64", "int32"]),
    dtype=st.sampled_from(["float32", "float64"]),
)  # fmt: skip
def test_embedding_is_pytorchs(shape, padding_idx, max_norm, norm_type, by_frequency, frozen, kind, dtype):
    places = numbers(shape, 5, dtype=kind)

    def program(lib):
        layer = lib.nn.Embedding(
            5,
            3,
            padding_idx,
            max_norm,
            norm_type,
            by_frequency,
            _freeze=frozen,
            dtype=getattr(lib.torch, dtype),
        )
        run = whole_run(lib, layer, places)
        return [repr(layer), *run, layer.weight]

    close = 1e-5 if dtype == "float32" else 1e-9
    same(program, close, close)


def test_errors_are_pytorchs():
    def places(lib, *numbers, dtype="int64"):
        return lib.torch.tensor(numbers, dtype=getattr(lib.torch, dtype))

    programs = [
        lambda lib: lib.nn.Embedding(3, 2, padding_idx=3), lambda lib: lib.nn.Embedding(3, 2, padding_idx=-4),
        lambda lib: lib.nn.Embedding(3, 2, _weight=lib.torch.ones(2, 3)),
        lambda lib: lib.nn.Embedding.from_pretrained(lib.torch.ones(3)),
        lambda lib: lib.nn.Embedding(3, 2)(places(lib, 0, 3)), lambda lib: lib.nn.Embedding(3, 2)(places(lib, -1)),
        lambda lib: lib.nn.Embedding(3, 2)(lib.torch.ones(2)),
        lambda lib: lib.nn.Embedding(3, 2)(places(lib, 1, dtype="uint8")),
        lambda lib: lib.F.embedding(places(lib, 0), lib.torch.ones(3)),
        lambda lib: lib.F.embedding(places(lib, 0), lib.torch.ones(3, 2), padding_idx=3),
        lambda lib: lib.nn.Embedding(0, 2)(places(lib, 0)),
    ]  # fmt: skip
    for k, program in enumerate(programs):
        assert isinstance(same(program), Exception), k
    assert not isinstance(same(lambda lib: lib.nn.Embedding(0, 2).weight), Exception)
