"""Every differentiable operation: both modes, second order, drawn shapes, random cotangents."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support import check_derivatives

import autodiff as ad
from autodiff import primitive

shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
filled_shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3)
seeds = st.integers(0, 2**32 - 1)


def values(shape, seed, low=-2.0, high=2.0):
    """Numbers evenly from [low, high), no two closer than their share: no kink is near."""
    rng = np.random.default_rng(seed)
    n = int(np.prod(shape))
    steps = (rng.permutation(n) + rng.uniform(0.25, 0.75, n)) / max(n, 1)
    return (low + (high - low) * steps).reshape(shape)


REAL, POSITIVE, UNIT, SMALL = (-2, 2), (0.3, 3), (-0.8, 0.8), (0.2, 0.4)
UNARY = {
    "abs": POSITIVE, "acos": UNIT, "asin": UNIT, "atan": REAL, "ceil": SMALL, "cos": REAL, "cosh": REAL, "erf": REAL,
    "exp": REAL, "expm1": REAL, "floor": SMALL, "log": POSITIVE, "log1p": POSITIVE, "log2": POSITIVE,
    "log10": POSITIVE, "log_sigmoid": REAL, "neg": REAL, "reciprocal": POSITIVE, "relu": POSITIVE,
    "round": SMALL, "rsqrt": POSITIVE, "sigmoid": REAL, "sign": REAL, "sin": REAL, "sinh": REAL, "softplus": REAL,
    "sqrt": POSITIVE, "square": REAL, "tan": UNIT, "tanh": REAL, "trunc": SMALL,
}  # fmt: skip
BINARY = {
    "add": REAL, "sub": REAL, "mul": REAL, "div": POSITIVE, "pow": POSITIVE, "atan2": POSITIVE,
    "maximum": REAL, "minimum": REAL, "clamp_min": REAL, "clamp_max": REAL,
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
@given(shape=shapes, seed=seeds)
def test_of_one_input(name, shape, seed):
    x = values(shape, seed, *UNARY[name])
    if name in ("abs", "relu"):
        x = np.where(np.arange(x.size).reshape(shape) % 2 == 0, x, -x)
    check_derivatives(getattr(ad, name), x, seed=seed)


@pytest.mark.parametrize("name", BINARY)
@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), seed=seeds)
def test_of_two_inputs(name, shapes, seed):
    a, b = shapes.input_shapes
    low, high = BINARY[name]
    joint = values((int(np.prod(a)) + int(np.prod(b)),), seed, low, high)
    n = int(np.prod(a))
    check_derivatives(getattr(ad, name), joint[:n].reshape(a), joint[n:].reshape(b), seed=seed)


@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3), seed=seeds)
def test_where(shapes, seed):
    c, a, b = shapes.input_shapes
    condition = ad.Tensor(values(c, seed) > 0)
    check_derivatives(lambda a, b: ad.where(condition, a, b), values(a, seed), values(b, seed + 1))


REDUCTIONS = {
    "sum": ad.sum, "mean": ad.mean, "var": ad.var, "std": ad.std, "prod": ad.prod, "amax": ad.amax,
    "amin": ad.amin, "norm": ad.norm, "logsumexp": ad.logsumexp,
    "norm1": lambda x, **k: ad.norm(x, 1, **k), "norm3": lambda x, **k: ad.norm(x, 3, **k),
    "norminf": lambda x, **k: ad.norm(x, np.inf, **k),
    "var0": lambda x, **k: ad.var(x, correction=0, **k),
}  # fmt: skip


@pytest.mark.parametrize("name", REDUCTIONS)
@given(data=st.data(), shape=filled_shapes, seed=seeds, keepdim=st.booleans())
def test_reductions(name, data, shape, seed, keepdim):
    axes = data.draw(hnp.valid_tuple_axes(len(shape), min_size=1))
    dim = data.draw(st.sampled_from([None, axes, axes[0]]))
    if name in ("var", "std"):  # of a single value they are not numbers
        chosen = range(len(shape)) if dim is None else np.atleast_1d(dim)
        if np.prod([shape[d] for d in chosen]) < 2:
            return
    x = values(shape, seed, 0.3, 2)
    check_derivatives(lambda x: REDUCTIONS[name](x, dim=dim, keepdim=keepdim), x, seed=seed)


ALONG = {
    "softmax": ad.softmax, "log_softmax": ad.log_softmax, "cumsum": ad.cumsum, "cumprod": ad.cumprod,
    "max": lambda x, d: ad.max(x, d).values, "min": lambda x, d: ad.min(x, d)[0],
    "sort": lambda x, d: ad.sort(x, d).values, "topk": lambda x, d: ad.topk(x, 1, d).values,
    "flip": lambda x, d: ad.flip(x, d), "roll": lambda x, d: ad.roll(x, 1, d),
    "unsqueeze": ad.unsqueeze, "narrow": lambda x, d: ad.narrow(x, d, 0, 1),
    "select": lambda x, d: ad.select(x, d, -1), "unbind": lambda x, d: ad.unbind(x, d)[-1],
    "chunk": lambda x, d: ad.chunk(x, 2, d)[0] * 2, "split": lambda x, d: ad.split(x, 2, d)[-1],
    "cat": lambda x, d: ad.cat([x, x * x], d), "stack": lambda x, d: ad.stack([x, x * x, x], d),
    "movedim": lambda x, d: ad.movedim(x, d, 0), "repeat_interleave": lambda x, d: ad.repeat_interleave(x, 2, d),
    "index_select": lambda x, d: ad.index_select(x, d, [0, x.shape[d] - 1, 0]),
    "gather": lambda x, d: ad.gather(x, d, ad.argsort(x, d)),
    "index_add": lambda x, d: ad.index_add(x * x, d, [0] * x.shape[d], x),
    "scatter_add": lambda x, d: ad.scatter_add(x * x, d, ad.argsort(x, d) * 0, x),
    "scatter": lambda x, d: ad.scatter(x * x, d, ad.argsort(x, d), x),
    "take_along_dim": lambda x, d: ad.take_along_dim(x, ad.argsort(x, d), d),
}  # fmt: skip


@pytest.mark.parametrize("name", ALONG)
@given(data=st.data(), shape=filled_shapes, seed=seeds)
def test_along_a_dimension(name, data, shape, seed):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    check_derivatives(lambda x: ALONG[name](x, dim), values(shape, seed), seed=seed)


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
@pytest.mark.parametrize("f", [lambda x: ad.prod(x), lambda x: ad.cumprod(x, 0), lambda x: ad.prod(x, 0)])
def test_products_are_exact_at_any_number_of_zeros(f, zeros):
    x = values((4,), 1)
    x[:zeros] = 0
    check_derivatives(f, x)


SHAPED = {
    "reshape": lambda x: x.reshape(-1), "flatten": lambda x: x.flatten(), "T": lambda x: x.T,
    "permute": lambda x: x.permute(*reversed(range(x.ndim))), "squeeze": lambda x: x.squeeze(),
    "expand": lambda x: x.unsqueeze(0).expand(3, *x.shape), "repeat": lambda x: x.repeat(2, *[3] * x.ndim),
    "tile": lambda x: x.tile(2), "clone": lambda x: x.clone() * x, "mean": lambda x: x.mean(),
    "pad": lambda x: ad.pad(x, (1, 2)), "padded with 3": lambda x: ad.pad(x, (1, -1), value=3.0),
    "replicate": lambda x: ad.pad(x, (1, 2), mode="replicate"),
    "masked_fill": lambda x: x.masked_fill(x > 0, 3.0), "masked_select": lambda x: x.masked_select(x > 0),
    "take": lambda x: x.take(ad.tensor([0, 0, x.numel() - 1])), "atleast": lambda x: x[None, ..., :],
    "layer_norm": lambda x: ad.layer_norm(x * 1.5, x.shape[-1:]) if x.shape[-1] > 2 else x * x,
    "remat": ad.remat(lambda x: (x.sin() * x).exp()),
    "x**2": lambda x: x**2, "x**3": lambda x: x**3, "x**-2": lambda x: (x + 4) ** -2, "2**x": lambda x: 2**x,
    "1/x": lambda x: 1 / (x + 4), "2-x": lambda x: 2 - x, "x%7": lambda x: (x - 2.5) % 7,
    "fmod": lambda x: ad.fmod(x - 2.5, x * x + 7), "remainder": lambda x: ad.remainder(x - 2.5, x * x + 7),
    "floor_divide": lambda x: (x + 2.5) // (x * x + 9), "contiguous": lambda x: x.T.contiguous(),
    "trunc_divide": lambda x: ad.div(x, x + 5, rounding_mode="trunc"),
    "clamp": lambda x: x.clamp(-1.001, 1.001),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPED)
@given(shape=filled_shapes, seed=seeds)
def test_shapes_and_others(name, shape, seed):
    check_derivatives(SHAPED[name], values(shape, seed), seed=seed)


@pytest.mark.parametrize(
    "f", [ad.tril, ad.triu, ad.diagonal, lambda x: x.mT, lambda x: ad.diag(x[0]), lambda x: x.transpose(0, 1)]
)
@given(rows=st.integers(1, 3), columns=st.integers(1, 3), seed=seeds)
def test_of_matrices(f, rows, columns, seed):
    check_derivatives(f, values((rows, columns), seed))


@given(data=st.data(), shape=filled_shapes, seed=seeds)
def test_indexing(data, shape, seed):
    index = data.draw(
        st.one_of(
            hnp.basic_indices(shape, allow_newaxis=True),
            hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3)),
            hnp.arrays(bool, shape),
        )
    )
    x = values(shape, seed)
    np.testing.assert_array_equal(ad.Tensor(x)[index].numpy(), x[index])
    check_derivatives(lambda x: x[index] * 1, x)


@given(data=st.data(), seed=seeds)
def test_matmul_of_every_rank(data, seed):
    signature = "(m?,n),(n,p?)->(m?,p?)"
    found = data.draw(
        hnp.mutually_broadcastable_shapes(signature=signature, max_dims=2, max_side=3, min_side=0)
    )
    a, b = (values(s, seed + k) for k, s in enumerate(found.input_shapes))
    np.testing.assert_allclose((ad.Tensor(a) @ ad.Tensor(b)).numpy(), a @ b, atol=1e-12)
    check_derivatives(ad.matmul, a, b)


@pytest.mark.parametrize(
    "equation, shapes",
    [("ij,jk->ik", [(2, 3), (3, 2)]), ("ij,jk", [(2, 3), (3, 2)]), ("ii->i", [(3, 3)]), ("ii", [(3, 3)]),
     ("i,j->", [(2,), (3,)]), ("...i,i...->...", [(2, 3), (3, 2)]), ("ijk,k,ij->j", [(2, 3, 2), (2,), (2, 3)]),
     ("ij->", [(2, 3)]), ("bij,bjk->bik", [(2, 2, 3), (2, 3, 1)])],
)  # fmt: skip
def test_einsum(equation, shapes):
    xs = [values(s, k) for k, s in enumerate(shapes)]
    np.testing.assert_allclose(ad.einsum(equation, *map(ad.Tensor, xs)).numpy(), np.einsum(equation, *xs))
    check_derivatives(lambda *xs: ad.einsum(equation, *xs), *xs)


def test_other_contractions():
    a, b, v = values((2, 3), 1), values((3, 2), 2), values((3,), 3)
    check_derivatives(ad.mm, a, b)
    check_derivatives(ad.mv, a, v)
    check_derivatives(ad.dot, v, v + 1)
    check_derivatives(ad.outer, v, v)
    check_derivatives(lambda i, a, b: ad.addmm(i, a, b, beta=2, alpha=3), values((2, 2), 4), a, b)
    check_derivatives(lambda a, b: ad.tensordot(a, b, ([0, 1], [1, 0])), a, b)
    check_derivatives(ad.bmm, values((2, 2, 3), 1), values((2, 3, 2), 2))
    check_derivatives(
        lambda x, w, b: ad.linear(x, w, b), values((2, 2, 3), 5), values((4, 3), 6), values((4,), 7)
    )
    check_derivatives(lambda x, w: ad.linear(x, w), values((2, 3), 5), values((4, 3), 6))


@given(
    stride=st.integers(1, 2),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2]),
)
def test_conv2d(stride, padding, dilation, groups):
    x, w = values((2, 2, 5, 4), 1), values((4, 2 // groups, 2, 2), 2)
    check_derivatives(
        lambda x, w, b: ad.conv2d(x, w, b, stride, padding, dilation, groups), x, w, values((4,), 3)
    )


def test_max_pool2d():
    check_derivatives(lambda x: ad.max_pool2d(x, 2), values((2, 1, 4, 5), 1))
    check_derivatives(lambda x: ad.max_pool2d(x, 3, 2, 1, ceil_mode=True), values((1, 2, 4, 5), 1))


def test_cross_entropy_and_its_composition():
    x, target = values((4, 3), 1), np.array([0, 2, 2, 1])
    from autodiff.ops.fused import cross_entropy_composed

    check_derivatives(lambda x: ad.cross_entropy(x, target), x)
    composed = cross_entropy_composed(ad.Tensor(x), ad.Tensor(target))
    np.testing.assert_allclose(ad.cross_entropy(ad.Tensor(x), target).numpy(), composed.numpy(), rtol=1e-12)


def test_batch_norm():
    check_derivatives(
        lambda x, w, b: ad.batch_norm(x, None, None, w, b, True),
        values((3, 2, 2), 1),
        values((2,), 2),
        values((2,), 3),
    )


def test_in_place_programs():
    def through_views(x):
        y = x * 1
        y[1:].mul_(5)
        y[0] += x[1] * x[0]
        y.T[0] *= y[:, 1]
        return y * y

    def filled_row_by_row(x):
        out = ad.zeros(*x.shape, dtype=ad.float64)
        for k in range(len(x)):
            out[k] = x[k] * x[0]
        return out

    for f in (through_views, filled_row_by_row):
        check_derivatives(f, values((3, 2), 1))


TESTED_BY_OTHERS = {
    "binary_cross_entropy",  # the adjoints and parts that the rules above are made of
    "add_back", "astype", "broadcast_to", "conv2d_input_gradient", "conv2d_weight_gradient", "crop",
    "exclusive_cumprod", "from_diagonal", "gate", "identity", "put", "scatter_sum", "spread",
    "standardise", "sum_to", "tile", "remainder", "where", "matmul", "linear", "cross_entropy",
    "einsum", "conv2d", "max_pool2d_indices", "clone", "argmax", "argmin", "take", "tril", "triu",
    "diagonal", "pad", "permute", "reshape", "unbind", "split",
}  # fmt: skip


def test_every_differentiable_operation_is_in_a_table_here():
    tested = {*UNARY, *BINARY, *REDUCTIONS, *ALONG, *SHAPED, *TESTED_BY_OTHERS}
    known = {name for name, p in primitive.table.items() if p.rules}
    assert known <= tested, known - tested
