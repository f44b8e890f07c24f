"""Distances of vectors and their bilinear product, and Unflatten: by formula, and beside PyTorch."""

from __future__ import annotations

import math

import numpy as np
from beside_torch import same, whole_run, with_gradients
from hypothesis import given
from hypothesis import strategies as st
from support import check_derivatives

import autodiff as ad
import nn
from nn import functional as F

DTYPES = st.sampled_from(["float32", "float64"])


def drawn(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def test_by_formula_and_derivative():
    a, b, w, bias = drawn(4, 3), drawn(4, 3, seed=1), drawn(2, 3, 3, seed=2), drawn(2)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    A, B = ad.Tensor(a), ad.Tensor(b)
    np.testing.assert_allclose(F.cosine_similarity(A, B).numpy(), (a * b).sum(1) / lengths)
    for p in (1.0, 2.0, 3.0, math.inf):
        expected = np.linalg.norm(a - b + 1e-6, p, axis=1)
        np.testing.assert_allclose(F.pairwise_distance(A, B, p).numpy(), expected)
        check_derivatives(lambda a, b, p=p: F.pairwise_distance(a, b, p), a, b)
    expected = np.einsum("ni,kij,nj->nk", a, w, b) + bias
    np.testing.assert_allclose(F.bilinear(A, B, ad.Tensor(w), ad.Tensor(bias)).numpy(), expected)
    check_derivatives(F.cosine_similarity, a, b)
    check_derivatives(lambda a, b: F.cosine_similarity(a, b, 0), a, b[:1])
    check_derivatives(F.bilinear, a, b, w, bias)
    check_derivatives(lambda a, b: F.cosine_similarity(a, b, eps=50.0), a, b)


def test_where_bilinear_starts():
    ad.manual_seed(0)
    layer = nn.Bilinear(25, 10, 40)
    for p in (layer.weight, layer.bias):
        assert 0.9 / 5 < abs(p.detach().numpy()).max() <= 1 / 5
    assert nn.Bilinear(2, 3, 4, bias=False).bias is None


# ---- beside PyTorch ------------------------------------------------------------------------------

PAIRS = [
    ((2, 3), (2, 3)), ((3,), (2, 3)), ((2, 3), (1, 3)), ((2, 1), (2, 3)), ((3,), (3,)), ((), ()), ((0, 3), (0, 3)),
    ((2, 0), (2, 0)), ((2, 4, 3), (4, 1)), ((2, 3), (2, 2)),
]  # fmt: skip


@given(
    shapes=st.sampled_from(PAIRS),
    dim=st.integers(-2, 2),
    dtype=DTYPES,
    far=st.sampled_from([1, 0, 1e-9, np.inf]),
)
def test_cosine_similarity_is_pytorchs(shapes, dim, dtype, far):
    a, b = drawn(*shapes[0], dtype=dtype) * np.dtype(dtype).type(far), drawn(*shapes[1], seed=1, dtype=dtype)
    close = 1e-5 if dtype == "float32" else 1e-10
    n = 1 if far == 1e-9 else None  # of norms below eps the value: the derivative there is not PyTorch's
    same(lambda lib: with_gradients(lib.nn.CosineSimilarity(dim), lib, a, b)[:n], close, close)


@given(
    shapes=st.sampled_from(PAIRS), p=st.sampled_from([2.0, 1.0, 3.0, np.inf, 0.5]), keepdim=st.booleans(),
    eps=st.sampled_from([1e-6, 0.0]), equal=st.booleans(), dtype=DTYPES,
)  # fmt: skip
def test_distances_are_pytorchs(shapes, p, keepdim, eps, equal, dtype):
    a, b = drawn(*shapes[0], dtype=dtype), drawn(*shapes[1], seed=1, dtype=dtype)
    if equal and a.shape == b.shape and p in (1.0, 2.0):
        b = a.copy()
    close = 1e-4 if dtype == "float32" else 1e-9
    same(lambda lib: with_gradients(lib.nn.PairwiseDistance(p, eps, keepdim), lib, a, b), close, close)


@given(
    batch=st.sampled_from([(), (0,), (3,), (2, 3)]), sizes=st.tuples(*[st.integers(1, 3)] * 3), bias=st.booleans(),
    dtype=DTYPES,
)  # fmt: skip
def test_bilinear_is_pytorchs(batch, sizes, bias, dtype):
    a, b = drawn(*batch, sizes[0], dtype=dtype), drawn(*batch, sizes[1], seed=1, dtype=dtype)

    def program(lib):
        layer = lib.nn.Bilinear(*sizes, bias=bias, dtype=getattr(lib.torch, dtype))
        return [repr(layer), *whole_run(lib, layer, a, b)]

    close = 1e-5 if dtype == "float32" else 1e-10
    same(program, close, close)


def test_unflatten_is_pytorchs():
    x = drawn(2, 6, 2)
    for dim, size in ((1, (2, 3)), (-2, [3, -1]), (0, (1, 2)), (2, (2,)), (1, (4, 2)), (3, (1,))):
        same(lambda lib, d=dim, s=size: with_gradients(lib.nn.Unflatten(d, s), lib, x))
    same(
        lambda lib: [
            repr(lib.nn.Unflatten(1, (2, 3))),
            repr(lib.nn.CosineSimilarity()),
            repr(lib.nn.PairwiseDistance()),
        ]
    )


def test_errors_are_pytorchs():
    programs = [
        lambda lib: lib.nn.Bilinear(0, 2, 3), lambda lib: lib.nn.Unflatten("a", (2, 3))(lib.torch.ones(2, 6)),
        lambda lib: lib.nn.Unflatten(1, 6), lambda lib: lib.nn.Unflatten(1, (2, "a")),
        lambda lib: lib.F.cosine_similarity(lib.torch.tensor([[1]]), lib.torch.tensor([[1]])),
        *(
            lambda lib, shapes=shapes: lib.F.bilinear(*[lib.torch.ones(*s) for s in shapes])
            for shapes in [
                ((5, 2), (1, 3), (4, 2, 3), (4,)), ((5, 3), (5, 2), (4, 2, 3), (4,)), ((5, 2), (5, 3), (4, 2, 3), (3,)),
                ((5, 2), (6, 3), (4, 2, 3), (4,)), ((5, 2), (5, 4, 3), (4, 2, 3), (4,)), ((5, 2), (5, 3), (2, 3), (2,)),
            ]
        ),
    ]  # fmt: skip
    for k, program in enumerate(programs):
        assert isinstance(same(program), Exception), k
