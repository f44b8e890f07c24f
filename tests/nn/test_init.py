"""Initialisation: PyTorch's formulas, checked on what was drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from beside_torch import same
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
import nn
from nn import init

IN, OUT = 200, 300
GAIN = math.sqrt(2 / (1 + 5))


@pytest.mark.parametrize(
    "fill, mean, std, bound",
    [
        (lambda t: init.uniform_(t, -1, 3), 1, 4 / math.sqrt(12), None),
        (init.uniform_, 0.5, 1 / math.sqrt(12), None),
        (lambda t: init.normal_(t, 2, 0.5), 2, 0.5, None),
        (lambda t: init.constant_(t, 0.3), 0.3, 0, None),
        (init.ones_, 1, 0, None),
        (init.zeros_, 0, 0, 0),
        (init.xavier_uniform_, 0, math.sqrt(2 / (IN + OUT)), math.sqrt(6 / (IN + OUT))),
        (lambda t: init.xavier_normal_(t, 2.0), 0, 2 * math.sqrt(2 / (IN + OUT)), None),
        (lambda t: init.kaiming_uniform_(t, a=math.sqrt(5)), 0, GAIN / math.sqrt(IN), 1 / math.sqrt(IN)),
        (lambda t: init.kaiming_normal_(t, nonlinearity="relu"), 0, math.sqrt(2 / IN), None),
        (lambda t: init.kaiming_normal_(t, mode="fan_out"), 0, math.sqrt(2 / OUT), None),
        (lambda t: init.kaiming_uniform_(t, nonlinearity="tanh"), 0, 5 / 3 / math.sqrt(IN), 5 * math.sqrt(3 / IN) / 3),
        (lambda t: init.trunc_normal_(t, 1.0, 0.5, -9, 11), 1, 0.5, None),
    ],
)  # fmt: skip
def test_by_formula(fill, mean, std, bound):
    ad.manual_seed(1)
    p = nn.Parameter(ad.empty(OUT, IN))
    assert fill(p) is p and p.is_leaf and p.requires_grad
    a = p.detach().numpy().astype(np.float64)
    assert a.mean() == pytest.approx(mean, abs=5 * std / math.sqrt(a.size) + 1e-7)
    assert a.std() == pytest.approx(std, rel=0.02, abs=1e-6)
    if bound is not None:
        assert abs(a).max() <= bound * (1 + 1e-6) and abs(a).max() >= 0.99 * bound


def test_fans_of_convolutions():
    weight = ad.empty(8, 4, 3, 5)
    assert init.fans(weight) == (60, 120)
    ad.manual_seed(0)
    init.kaiming_uniform_(weight, mode="fan_out")
    assert abs(weight.numpy()).max() <= math.sqrt(2 * 3 / 120)
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        init.xavier_normal_(ad.empty(3))
    init.kaiming_normal_(weight, mode="FAN_OUT")
    with pytest.raises(ValueError, match="Mode both not supported, please use one of"):
        init.kaiming_normal_(weight, mode="both")


@given(
    mean=st.floats(-3, 3), std=st.floats(0.1, 3), low=st.floats(-8, 8), width=st.floats(0.01, 20),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_truncated_normal_wherever_the_interval_lies(mean, std, low, width, seed):
    """The mean of what is drawn is that of the truncated distribution, by numerical integration."""
    n, a, b = 4000, low, low + width
    t = init.trunc_normal_(ad.empty(n, dtype=ad.float64), mean, std, a, b, ad.Generator().manual_seed(seed))
    assert t.min() >= a and t.max() <= b
    x = np.linspace(a, b, 200_001)
    log_density = -(((x - mean) / std) ** 2) / 2
    density = np.exp(log_density - log_density.max())
    expected = (x * density).sum() / density.sum()
    spread = math.sqrt((((x - expected) ** 2) * density).sum() / density.sum())
    assert abs(t.mean().item() - expected) <= 6 * spread / math.sqrt(n) + width * 1e-4


def test_truncated_normal_refuses():
    for wrong in ({"a": 1.0, "b": 0.0}, {"std": 0.0}, {"std": -1.0}):
        with pytest.raises(ValueError, match="needs a <= b and std > 0"):
            init.trunc_normal_(ad.empty(3), **wrong)
    assert init.trunc_normal_(ad.empty(3), a=1.0, b=1.0).tolist() == [1, 1, 1]
    assert math.isfinite(init.trunc_normal_(ad.empty(3), a=3.0, b=math.inf).sum().item())


@given(st.integers(1, 6), st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_orthogonal(rows, columns, seed):
    t = ad.empty(rows, *columns, dtype=ad.float64)
    init.orthogonal_(t, 2.0, ad.Generator().manual_seed(seed))
    q = t.numpy().reshape(rows, -1)
    product = q @ q.T if rows <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


def test_eye_and_what_is_refused():
    assert init.eye_(ad.empty(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    with pytest.raises(ValueError, match="Only tensors with 2 dimensions"):
        init.eye_(ad.empty(2, 2, 2))
    with pytest.raises(ValueError, match="Only tensors with 2 or more dimensions"):
        init.orthogonal_(ad.empty(2))


@given(
    out=st.integers(1, 3), channels=st.integers(1, 4), groups=st.integers(1, 3),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3),
)  # fmt: skip
def test_dirac_is_pytorchs(out, channels, groups, sizes):
    same(lambda lib: lib.nn.init.dirac_(lib.torch.empty(out * groups, channels, *sizes), groups))


def test_dirac_hands_on_the_image():
    kernels, x = init.dirac_(ad.empty(2, 2, 3, 3)), ad.randn(1, 2, 4, 5)
    assert nn.functional.conv2d(x, kernels, padding=1).equal(x)


@given(st.integers(1, 9), st.integers(1, 5), st.floats(0, 1))
def test_sparse(rows, columns, sparsity):
    t = init.sparse_(ad.empty(rows, columns), sparsity, 2.0, ad.Generator().manual_seed(1)).numpy()
    assert ((t == 0).sum(0) == math.ceil(sparsity * rows)).all()
    big = init.sparse_(ad.empty(1000, 50), 0.5, 2.0, ad.Generator().manual_seed(1)).numpy()
    assert (
        big[big != 0].std() == pytest.approx(2, rel=0.02)
        and (big[:, 0] == 0).tolist() != (big[:, 1] == 0).tolist()
    )


@pytest.mark.parametrize(
    "name", ["dirac_", "eye_", "orthogonal_", "sparse_", "xavier_normal_", "kaiming_uniform_", "zeros_"]
)
@pytest.mark.parametrize("shape", [(3,), (2, 3), (0, 3), (4, 2, 3), (4, 3, 2, 2), (2, 1, 2, 2, 2), (1,) * 6])
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_shapes_are_taken_and_refused_as_in_pytorch(name, shape):
    more = (0.3,) if name == "sparse_" else ()
    same(lambda lib: tuple(getattr(lib.nn.init, name)(lib.torch.empty(*shape), *more).shape))


def test_what_is_no_distribution_is_refused():
    for fill in (
        lambda t: init.uniform_(t, 2, 1), lambda t: init.normal_(t, 0, -1),
        lambda t: init.sparse_(t, 1.5), lambda t: init.dirac_(t.reshape(3, 1, 1), 2),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="needs|sparsity is a share|divisible by groups"):
            fill(ad.empty(3, 1))
    for fill in (init.uniform_, init.normal_, init.trunc_normal_):
        with pytest.raises(TypeError, match="only floating-point tensors can be filled with drawn numbers"):
            fill(ad.zeros(3).long())


def test_generators_and_seeds():
    a, b = (init.normal_(ad.empty(5), generator=ad.Generator().manual_seed(3)) for _ in range(2))
    assert a.equal(b)
    ad.manual_seed(3)
    assert init.normal_(ad.empty(5)).equal(a)


def test_gains():
    torch = pytest.importorskip("torch")
    for name in (*init.GAINS, "leaky_relu"):
        assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(
        torch.nn.init.calculate_gain("leaky_relu", 0.3)
    )
    with pytest.raises(ValueError, match="Unsupported nonlinearity swish"):
        init.calculate_gain("swish")
