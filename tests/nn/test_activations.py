"""Activations: formulas, derivatives, and PyTorch's values, gradients, dtypes, shapes and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from beside_torch import libraries, same, with_gradients
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support import check_derivatives

import autodiff as ad
import nn
from autodiff.testing import check_gradients
from nn import functional as F

# The module, its arguments, the function, its arguments after the input.
TABLE = [
    ("ReLU", {}, "relu", ()),
    ("ReLU6", {}, "relu6", ()),
    ("LeakyReLU", {}, "leaky_relu", ()),
    ("LeakyReLU", {"negative_slope": -0.5}, "leaky_relu", (-0.5,)),
    ("ELU", {}, "elu", ()),
    ("ELU", {"alpha": 0.5}, "elu", (0.5,)),
    ("SELU", {}, "selu", ()),
    ("CELU", {}, "celu", ()),
    ("CELU", {"alpha": 0.5}, "celu", (0.5,)),
    ("CELU", {"alpha": -2.0}, "celu", (-2.0,)),
    ("SiLU", {}, "silu", ()),
    ("Mish", {}, "mish", ()),
    ("Hardtanh", {}, "hardtanh", ()),
    ("Hardtanh", {"min_val": -0.5, "max_val": 2.0}, "hardtanh", (-0.5, 2.0)),
    ("Hardsigmoid", {}, "hardsigmoid", ()),
    ("Hardswish", {}, "hardswish", ()),
    ("Softplus", {}, "softplus", ()),
    ("Softplus", {"beta": 2.0, "threshold": 3.0}, "softplus", (2.0, 3.0)),
    ("Softsign", {}, "softsign", ()),
    ("LogSigmoid", {}, "logsigmoid", ()),
    ("Tanhshrink", {}, "tanhshrink", ()),
    ("Softshrink", {}, "softshrink", ()),
    ("Softshrink", {"lambd": 0.0}, "softshrink", (0.0,)),
    ("Hardshrink", {"lambd": 1.0}, "hardshrink", (1.0,)),
    ("Threshold", {"threshold": 0.5, "value": -9.0}, "threshold", (0.5, -9.0)),
    ("RReLU", {"lower": 0.25, "upper": 0.25}, "rrelu", (0.25, 0.25)),
    ("Tanh", {}, "tanh", ()),
    ("Sigmoid", {}, "sigmoid", ()),
]
NAMES = [f"{kind} {' '.join(map(str, options.values()))}".strip() for kind, options, _, _ in TABLE]
WITH_PLACE = [
    "ReLU",
    "ReLU6",
    "LeakyReLU",
    "ELU",
    "SELU",
    "CELU",
    "SiLU",
    "Mish",
    "Hardtanh",
    "Hardsigmoid",
    "Hardswish",
    "Threshold",
    "RReLU",
]
EDGES = np.array([
    0.0, -0.0, 0.5, -0.5, 1, -1, 2, 3, -3, 6, 20, 21, 88, -88, 104, -104, 700, -700, 1e-30, 1e30, -1e30, np.inf, -np.inf,
    np.nan,
])  # fmt: skip

drawn = st.tuples(
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    st.sampled_from(["float32", "float64", "float16", "int64", "uint8", "bool"]),
    st.booleans(), st.sampled_from([0.5, 3, 30]), st.integers(0, 2**32 - 1),
)  # fmt: skip


def numbers(given):
    """Of that shape and dtype, turned (so that they do not lie in order) or not."""
    shape, dtype, turned, scale, seed = given
    x = scale * np.random.default_rng(seed).standard_normal(shape[::-1] if turned else shape)
    x = x.round() if seed % 3 == 0 else x  # kinks are at whole numbers
    return np.asarray(x.T if turned else x).astype(dtype)


def has_kernel(program, *arguments):
    """Where PyTorch has no kernel for a dtype, we may answer."""
    try:
        program(libraries()[1], *arguments)
    except NotImplementedError:
        return False
    except Exception:
        return True
    return True


@pytest.mark.parametrize("row", TABLE, ids=NAMES)
@given(given=drawn)
def test_module_function_and_in_place_are_pytorchs(row, given):
    kind, options, function, arguments = row
    x = numbers(given)

    def program(lib):
        module = getattr(lib.nn, kind)(**options)
        f = getattr(lib.F, function)
        results = [with_gradients(module, lib, x)[:2], f(lib.tensor(x.copy()), *arguments)] if x.dtype.kind == "f" else [
            module(lib.tensor(x.copy()))]  # fmt: skip
        if kind in WITH_PLACE:
            module = getattr(lib.nn, kind)(**options, inplace=True)
            y = lib.tensor(x.copy())
            z = module(y)
            assert z is y
            results.append(y)
            if hasattr(lib.F, f"{function}_"):
                y = lib.tensor(x.copy())
                assert getattr(lib.F, f"{function}_")(y, *arguments) is y
                results.append(y)
            if x.dtype.kind == "f" and "-" not in str(
                options
            ):  # PyTorch has no gradient of a negative slope in place
                results += with_gradients(lambda t: module(t * 1), lib, x)
        return results

    if has_kernel(program) and (function, x.dtype) != ("tanhshrink", bool):
        same(program, *((2e-3, 2e-3) if x.dtype == np.float16 else (1e-5, 1e-6)))


@pytest.mark.parametrize("row", TABLE, ids=NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_out_and_at_the_kinks_they_are_pytorchs(row, dtype):
    kind, options, *_ = row
    for number in EDGES.astype(dtype):  # one by one: of many, PyTorch rounds otherwise
        x = np.array([number])
        same(lambda lib, x=x: with_gradients(getattr(lib.nn, kind)(**options).eval(), lib, x))


@pytest.mark.parametrize("row", TABLE, ids=NAMES)
def test_derivatives_of_both_orders(row):
    kind, options, *_ = row
    x = np.array([[0.3, -0.4, 1.7], [2.6, -2.4, -5.5], [25.0, 0.1, -0.2]])  # no kink among them
    check_derivatives(getattr(nn, kind)(**options), x)


@pytest.mark.parametrize("row", TABLE, ids=NAMES)
def test_the_second_derivative_is_finite_far_out(row):
    kind, options, *_ = row
    if options.get("alpha", 0) < 0:
        return  # where exp does grow
    x = ad.tensor([800.0, -800.0, 1e4, -1e4], dtype=ad.float64, requires_grad=True)
    (g,) = ad.autograd.grad(getattr(nn, kind)(**options)(x).sum(), x, create_graph=True)
    if g.requires_grad:
        (h,) = ad.autograd.grad(g.sum(), x, allow_unused=True)
        assert np.isfinite(g.detach().numpy()).all() and (h is None or np.isfinite(h.numpy()).all())


def test_by_formula():
    x = np.linspace(-7, 7, 57)
    t = ad.Tensor(x)
    sigmoid, softplus = 1 / (1 + np.exp(-x)), np.log1p(np.exp(x))
    for y, expected in (
        (F.relu6(t), np.clip(x, 0, 6)),
        (F.leaky_relu(t, 0.1), np.where(x > 0, x, 0.1 * x)),
        (F.elu(t, 2.0), np.where(x > 0, x, 2 * (np.exp(x) - 1))),
        (F.celu(t, 2.0), np.where(x > 0, x, 2 * (np.exp(x / 2) - 1))),
        (F.selu(t), 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1))),
        (F.silu(t), x * sigmoid),
        (F.mish(t), x * np.tanh(softplus)),
        (F.hardtanh(t), np.clip(x, -1, 1)),
        (F.hardsigmoid(t), np.clip(x / 6 + 0.5, 0, 1)),
        (F.hardswish(t), x * np.clip(x / 6 + 0.5, 0, 1)),
        (F.softplus(t, 2.0), np.log1p(np.exp(2 * x)) / 2),
        (F.softsign(t), x / (1 + abs(x))),
        (F.tanhshrink(t), x - np.tanh(x)),
        (F.softshrink(t, 1.0), np.sign(x) * np.maximum(abs(x) - 1, 0)),
        (F.hardshrink(t, 1.0), np.where(abs(x) > 1, x, 0)),
        (F.threshold(t, 1.0, 20.0), np.where(x > 1, x, 20)),
        (F.softmin(t, 0), np.exp(-x) / np.exp(-x).sum()),
        (F.glu(ad.Tensor(np.stack([x, x[::-1]])), 0), (x * sigmoid[::-1])[None]),
        (F.prelu(t, ad.tensor([0.3], dtype=ad.float64)), np.where(x > 0, x, 0.3 * x)),
    ):
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-9, atol=1e-12)


# ---- those with more than one input, or a dimension, or a random slope ------------------------------------


@given(
    shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3), weights=st.integers(0, 4),
    dtype=st.sampled_from(["float32", "float64"]), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_prelu_is_pytorchs(shape, weights, dtype, seed):
    rng = np.random.default_rng(seed)
    weights = shape[1] if weights == 4 and len(shape) > 1 else weights
    x, w = np.asarray(rng.standard_normal(shape).round(1), dtype), rng.standard_normal(weights).astype(dtype)
    same(lambda lib: with_gradients(lib.F.prelu, lib, x, w), 1e-4, 1e-5)
    same(lambda lib: with_gradients(lambda x, w: lib.F.prelu(x, w.sum()), lib, x, w), 1e-4, 1e-5)


def test_prelu_learns_its_weight():
    layer = nn.PReLU(2, 0.5)
    assert [*layer.state_dict()] == ["weight"] and layer.weight.tolist() == [0.5, 0.5]
    layer(ad.tensor([[-1.0, 2.0], [-3.0, -4.0]])).sum().backward()
    assert layer.weight.grad.tolist() == [-4, -4]
    assert nn.PReLU(dtype=ad.float64).weight.dtype == ad.float64
    x, w = np.array([[0.5, -0.5, 2], [-1, 1, -3]]), np.array([0.1, 0.2, -0.3])
    check_gradients(F.prelu, x, w, skip=("shape and dtype",))  # for dtypes may not be mixed
    for wrong, phrase in (
        ((ad.ones(2, 3), ad.ones(2)), "Found parameter numbers = 2 and channel size = 3"),
        ((ad.ones(2, 3), ad.ones(3, 1)), "to be a scalar or 1D tensor, but got: ndim = 2"),
        ((ad.tensor(1.0), ad.ones(2)), "Not allow zero-dim input"),
        ((ad.ones(2), ad.ones(1).double()), "Type promoting not supported"),
    ):
        with pytest.raises(RuntimeError, match=phrase):
            F.prelu(*wrong)


@given(
    shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4), dim=st.integers(-3, 3),
    dtype=st.sampled_from(["float32", "float64"]),
)  # fmt: skip
def test_halves_and_softmin_are_pytorchs(shape, dim, dtype):
    x = np.asarray(np.random.default_rng(0).standard_normal(shape), dtype)
    same(lambda lib: with_gradients(lib.nn.GLU(dim), lib, x))
    same(lambda lib: with_gradients(lib.nn.Softmin(dim), lib, x))
    same(lambda lib: lib.F.softmin(lib.tensor(x), dim, dtype=lib.torch.float64))
    same(lambda lib: with_gradients(lib.nn.Softmax2d(), lib, x))


def test_halves_have_derivatives():
    check_derivatives(F.glu, np.random.default_rng(0).standard_normal((3, 4)))
    check_derivatives(lambda x: F.softmin(x, 0), np.random.default_rng(0).standard_normal((3, 4)))


def test_slopes_are_drawn_in_training():
    ad.manual_seed(0)
    x = ad.full((20_000,), -1.0, requires_grad=True)
    layer = nn.RReLU(0.25, 0.75)
    y = layer(x)
    y.sum().backward()
    slopes = -y.detach().numpy()
    assert 0.25 <= slopes.min() < 0.26 and 0.74 < slopes.max() <= 0.75
    assert slopes.mean() == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(x.grad.numpy(), slopes)
    assert set(layer.eval()(x).tolist()) == {-0.5}
    y = ad.ones(5)
    assert F.rrelu_(y, training=True) is y and y.tolist() == [1] * 5
    ad.manual_seed(3)
    a = F.rrelu(-ad.ones(3), training=True)
    ad.manual_seed(3)
    assert F.rrelu(-ad.ones(3), training=True).equal(a)


REFUSED = {
    "softshrink": lambda lib: lib.F.softshrink(lib.torch.ones(2), -1.0),
    "celu": lambda lib: lib.F.celu(lib.torch.ones(2), 0.0),
    "hardtanh": lambda lib: lib.F.hardtanh(lib.torch.ones(2), 1.0, -1.0),
    "Hardtanh": lambda lib: lib.nn.Hardtanh(1.0, -1.0),
    "Hardtanh of nothing": lambda lib: lib.nn.Hardtanh(1.0, 1.0),
    "rrelu": lambda lib: lib.F.rrelu(lib.torch.ones(2), 1.0, 0.5),
    "glu": lambda lib: lib.F.glu(lib.torch.ones(3)),
    "glu of a number": lambda lib: lib.F.glu(lib.torch.tensor(1.0)),
    "a leaf": lambda lib: lib.F.silu(lib.torch.ones(3, requires_grad=True), inplace=True),
    "threshold": lambda lib: lib.nn.Threshold(1.0),
    "Softmax2d": lambda lib: lib.nn.Softmax2d()(lib.torch.ones(3, 3)),
}
PHRASES = {
    "softshrink": "lambda must be in range", "celu": "alpha cannot be 0 for CELU", "hardtanh": "min_val cannot be greater",
    "Hardtanh": "must be greater than min_val", "rrelu": "Lower bound should be less than or equal to the upper bound",
    "glu": "Halving dimension must be even, but dimension 0 is size 3", "a leaf": "leaf Variable that requires grad",
    "Softmax2d": "expected input to be 3D or 4D",
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_pytorch_refuses_is_refused(what):
    error = same(REFUSED[what])
    assert isinstance(error, Exception) and PHRASES.get(what, "") in str(error)


def test_reprs_are_pytorchs():
    def program(lib):
        n = lib.nn
        return [repr(m) for m in (
            n.LeakyReLU(), n.LeakyReLU(0.2, True), n.ReLU6(), n.ReLU6(True), n.ELU(), n.ELU(0.5, True), n.SELU(), n.SELU(True),
            n.CELU(), n.CELU(2.0, True), n.SiLU(), n.SiLU(True), n.Mish(True), n.Hardtanh(), n.Hardtanh(-2, 2, True),
            n.Hardsigmoid(), n.Hardswish(), n.Softplus(), n.Softplus(2), n.Softsign(), n.LogSigmoid(), n.Tanhshrink(),
            n.Softshrink(), n.Hardshrink(0.1), n.Threshold(1, 2), n.Threshold(1, 2, True), n.GLU(), n.GLU(1), n.PReLU(),
            n.PReLU(3, 0.1), n.RReLU(), n.RReLU(0.1, 0.2, True), n.Softmin(1), n.Softmax2d(),
        )]  # fmt: skip

    same(program)


def test_nan_passes_the_gradient_of_relu():
    x = ad.tensor([math.nan, -1.0, 0.0, 2.0], requires_grad=True)
    x.relu().backward(ad.tensor([5.0, 6.0, 7.0, 8.0]))
    assert x.grad.tolist() == [5, 0, 0, 8]
