"""The optimisers' steps: by exact arithmetic on their formulas, and beside PyTorch's in float32."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodiff.kernels import jit, threads, updates

rates = st.sampled_from([0, 0.1, 0.5])
flags = st.booleans()


def exact(*numbers):
    return np.array([Fraction(n, 4) for n in numbers], object)


@given(rates, rates, flags, rates, flags)
def test_sgd_is_its_formula_exactly(momentum, dampening, nesterov, decay, maximize):
    momentum, dampening, decay = (Fraction(n).limit_denominator(10) for n in (momentum, dampening, decay))
    lr = Fraction(1, 10)
    p, velocity = exact(1, -2, 3), exact(99, 99, 99)  # what the velocity holds at first must not matter
    q, v = [Fraction(n, 4) for n in (1, -2, 3)], None
    for step in range(3):
        g = exact(step, 2, -step - 1)
        updates.sgd(
            p, g, velocity, lr=lr, momentum=momentum, dampening=dampening, nesterov=nesterov,
            weight_decay=decay, maximize=maximize, first=step == 0,
        )  # fmt: skip
        d = [(-x if maximize else x) + decay * y for x, y in zip(g, q, strict=True)]
        if momentum:
            v = d if v is None else [momentum * a + (1 - dampening) * b for a, b in zip(v, d, strict=True)]
            d = [a + momentum * b for a, b in zip(d, v, strict=True)] if nesterov else v
        q = [a - lr * b for a, b in zip(q, d, strict=True)]
    assert p.tolist() == q
    assert not momentum or velocity.tolist() == v


@given(rates, flags, flags, flags, st.sampled_from([0.0, 0.3, 0.9]))
def test_adam_is_its_formula(decay, decoupled, maximize, amsgrad, beta1):
    lr, beta2, eps = 0.1, 0.95, 1e-3
    rng = np.random.default_rng(0)
    p = rng.standard_normal(5)
    mean, square, largest = np.zeros(5), np.zeros(5), np.zeros(5)
    q, m, v, top = p.copy(), np.zeros(5), np.zeros(5), np.zeros(5)
    for step in range(1, 5):
        g = rng.standard_normal(5) / step
        updates.adam(
            p, g, mean, square, largest if amsgrad else None, lr=lr, beta1=beta1, beta2=beta2, eps=eps,
            weight_decay=decay, decoupled=decoupled, maximize=maximize, step=step, amsgrad=amsgrad,
        )  # fmt: skip
        d = -g if maximize else g
        if decoupled:
            q = q - lr * decay * q
        else:
            d = d + decay * q
        m, v = beta1 * m + (1 - beta1) * d, beta2 * v + (1 - beta2) * d**2
        top = np.maximum(top, v)
        q = q - lr * (m / (1 - beta1**step)) / (np.sqrt((top if amsgrad else v) / (1 - beta2**step)) + eps)
        np.testing.assert_allclose(p, q, rtol=1e-12)
    np.testing.assert_allclose(mean, m, rtol=1e-12)
    np.testing.assert_allclose(square, v, rtol=1e-12)


SGD = [
    {}, {"momentum": 0.9}, {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01},
    {"momentum": 0.9, "nesterov": True, "maximize": True}, {"weight_decay": 0.1},
]  # fmt: skip
ADAM = [{}, {"weight_decay": 0.01, "amsgrad": True}, {"maximize": True}, {"betas": (0.3, 0.99)}]
few_ulps = {"rtol": 2e-6, "atol": 2e-6}


@pytest.mark.parametrize("options", SGD, ids=str)
def test_sgd_in_single_precision_is_pytorchs(options):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    p = rng.standard_normal((30, 20), dtype=np.float32)
    theirs = torch.nn.Parameter(torch.from_numpy(p.copy()))
    optimizer = torch.optim.SGD([theirs], lr=0.1, **options)
    velocity = np.zeros_like(p)
    for step in range(20):
        g = rng.standard_normal(p.shape, dtype=np.float32)
        theirs.grad = torch.from_numpy(g)
        optimizer.step()
        updates.sgd(p, g, velocity, lr=0.1, first=step == 0, **options)
    np.testing.assert_allclose(p, theirs.detach().numpy(), **few_ulps)


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("options", ADAM, ids=str)
def test_adam_in_single_precision_is_pytorchs(options, decoupled):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    p = rng.standard_normal((30, 20), dtype=np.float32)
    theirs = torch.nn.Parameter(torch.from_numpy(p.copy()))
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    optimizer = kind([theirs], lr=0.01, **{"weight_decay": 0, **options})
    options = dict(options)
    beta1, beta2 = options.pop("betas", (0.9, 0.999))
    mean, square, largest = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for step in range(1, 21):
        g = rng.standard_normal(p.shape, dtype=np.float32)
        theirs.grad = torch.from_numpy(g)
        optimizer.step()
        updates.adam(
            p, g, mean, square, largest, lr=0.01, beta1=beta1, beta2=beta2, decoupled=decoupled, step=step,
            **options,
        )  # fmt: skip
    np.testing.assert_allclose(p, theirs.detach().numpy(), **few_ulps)


@pytest.mark.parametrize("scalar", [float, np.float64, np.asarray], ids=["float", "numpy", "array"])
def test_a_learning_rate_of_any_kind_gives_the_same_bits(scalar):
    results = []
    for kind in (float, scalar):
        p, g = np.linspace(0, 1, 7, dtype=np.float32), np.linspace(1, 2, 7, dtype=np.float32)
        v, m = np.zeros_like(p), np.zeros_like(p)
        updates.sgd(p, g, v, lr=kind(0.1), momentum=0.9, first=True)
        updates.adam(p, g, m, v, lr=kind(0.1), step=kind(1))
        results.append(p)
    np.testing.assert_array_equal(*results)


def test_the_gradient_is_only_read_and_views_are_written_through():
    g = np.ones((3, 2))
    g.flags.writeable = False
    whole = np.zeros((2, 6))
    p = whole.T[::2]  # neither contiguous nor in order
    v, m = np.zeros_like(p), np.zeros_like(p)
    updates.sgd(p, g, v, lr=0.5, momentum=0.9, weight_decay=0.1, first=True)
    updates.adam(p, g, m, v, lr=0.5, step=1)
    assert (whole.T[::2] < -0.5).all() and (whole.T[1::2] == 0).all()


# ---- the compiled loops ------------------------------------------------------------------------------------


def all_ways(monkeypatch, step, dtype, arrays):
    """What a step leaves in the arrays, by NumPy, by the compiled loop, and by three threads, each with its part
    of it."""
    found = []
    ways = [(1 << 60, 1), (1, 1)]
    if not jit.unusable():
        from autodiff.kernels import direct_updates

        monkeypatch.setattr(direct_updates, "TOGETHER", 0)
        ways.append((1, 3))
    for least, count in ways:
        monkeypatch.setattr(updates, "LARGE", least)
        monkeypatch.setattr(threads, "chosen", count)
        mine = [np.array(a, dtype) for a in arrays]
        step(*mine)
        found.append(mine)
    return found


def numbers(n):
    """Numbers of all sizes, and what is none."""
    rng = np.random.default_rng(n)
    found = [rng.standard_normal(40) * 10.0 ** rng.integers(-6, 6, 40) for _ in range(n)]
    for k, a in enumerate(found):
        a[k::7] = [0.0, -0.0, np.inf, np.nan, -np.inf, 1e-45][: len(a[k::7])]
    return found


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(rates, rates, flags, rates, flags, flags)
def test_the_loop_of_sgd_gives_the_same_bits(dtype, momentum, dampening, nesterov, decay, maximize, first):
    def step(p, g, velocity):
        updates.sgd(
            p, g, velocity if momentum else None, lr=0.1, momentum=momentum, dampening=dampening, nesterov=nesterov,
            weight_decay=decay, maximize=maximize, first=first,
        )  # fmt: skip

    with pytest.MonkeyPatch.context() as patch:
        first_way, *others = all_ways(patch, step, dtype, numbers(3))
    for other in others:
        np.testing.assert_array_equal(other, first_way)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(rates, flags, flags, flags, st.sampled_from([0.0, 0.3, 0.9]), st.integers(1, 100))
def test_the_loop_of_adam_gives_the_same_bits(dtype, decay, decoupled, maximize, amsgrad, beta1, count):
    def step(p, g, mean, square, largest):
        updates.adam(
            p, g, mean, square, largest if amsgrad else None, lr=0.1, beta1=beta1, weight_decay=decay,
            decoupled=decoupled, maximize=maximize, step=count, amsgrad=amsgrad,
        )  # fmt: skip

    arrays = numbers(5)
    arrays[3], arrays[4] = abs(arrays[3]), abs(arrays[4])
    with pytest.MonkeyPatch.context() as patch:
        first_way, *others = all_ways(patch, step, dtype, arrays)
    for other in others:
        np.testing.assert_array_equal(other, first_way)


def test_the_loop_takes_only_what_it_can():
    p = np.zeros((256, 256), np.float32)
    assert updates.in_one_loop(p, p.copy(), None)
    read_only = p.copy()
    read_only.flags.writeable = False
    assert updates.in_one_loop(p, read_only)
    updates.sgd(p, read_only, None, lr=0.1)
    unaligned = np.zeros(p.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(p.shape)
    for other in (p.T, p.astype(np.float64), p[:1], unaligned):
        assert not updates.in_one_loop(p, other)
    assert not updates.in_one_loop(p[:2, :2].copy()) and not updates.in_one_loop(p.astype(np.float16))
    swapped = p.astype(p.dtype.newbyteorder())
    updates.sgd(swapped, swapped.copy() + 1, None, lr=0.5)
    assert (swapped == -0.5).all()
    with pytest.raises(ValueError, match="read-only"):
        updates.sgd(read_only, p, None, lr=0.1)
