"""Checking derivatives: every mode and order against finite differences, by random directions."""

from __future__ import annotations

import numpy as np

import autodiff as ad

STEP = 1e-3


def slope(f, x, t):
    """The derivative of f at x along t, by a central difference of fourth order: the error is of
    the order of STEP⁴."""
    far, near = f(x + 2 * STEP * t) - f(x - 2 * STEP * t), f(x + STEP * t) - f(x - STEP * t)
    return (8 * near - far) / (12 * STEP)


def close(found, expected, what):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, (what, found.shape, expected.shape)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6, err_msg=what)


def check_derivatives(f, *arrays, seed=0, order=2, rtol=None):
    """f's vjp and jvp for each input, and those of its gradient, with random cotangents."""
    rng = np.random.default_rng(seed)
    arrays = [np.array(a, np.float64) for a in arrays]
    before = [a.copy() for a in arrays]
    plain = f(*map(ad.Tensor, arrays))
    g = rng.standard_normal(plain.shape)
    tangents = [rng.standard_normal(a.shape) for a in arrays]

    def weighted(*xs):
        return (f(*xs) * g).sum()

    inputs = [ad.Tensor(a.copy()).requires_grad_() for a in arrays]
    y = f(*inputs)
    np.testing.assert_array_equal(y.detach().numpy(), plain.numpy(), "recording changed the value")
    assert y.requires_grad
    y.backward(ad.Tensor(g.copy()))
    for k, (x, t) in enumerate(zip(inputs, tangents, strict=True)):

        def along(a, k=k):
            return np.asarray(
                weighted(*[ad.Tensor(a if j == k else b) for j, b in enumerate(arrays)]).numpy()
            )

        expected = slope(along, arrays[k], t)
        assert x.grad is not None and x.grad.shape == x.shape and x.grad.dtype == x.dtype
        close(np.vdot(x.grad.numpy(), t), expected, f"vjp of input {k}")
        close(x.detach().numpy(), before[k], "the input was changed")
    _, moved = ad.jvp(lambda *xs: f(*xs), arrays, tangents)
    close(
        np.vdot(moved.detach().numpy(), g),
        sum(np.vdot(x.grad.numpy(), t) for x, t in zip(inputs, tangents, strict=True)),
        "jvp",
    )
    if order < 2:
        return
    numbers = tuple(range(len(arrays)))
    gradient = ad.grad(weighted, numbers)
    others = [rng.standard_normal(a.shape) for a in arrays]

    def slope_of_gradient(step):
        moved = [a + step * t for a, t in zip(arrays, tangents, strict=True)]
        return sum(np.vdot(d.numpy(), s) for d, s in zip(gradient(*moved), others, strict=True))

    expected = slope(lambda s: np.asarray(slope_of_gradient(float(s))), np.array(0.0), 1.0)

    def contracted(*xs):
        return sum((d * s).sum() for d, s in zip(gradient(*xs), others, strict=True))

    twice = ad.grad(contracted, numbers)(*arrays)
    found = sum(np.vdot(d.detach().numpy(), t) for d, t in zip(twice, tangents, strict=True))
    close(found, expected, "second order, reverse over reverse")
    _, products = ad.jvp(gradient, arrays, tangents)
    found = sum(np.vdot(d.detach().numpy(), s) for d, s in zip(products, others, strict=True))
    close(found, expected, "second order, forward over reverse")
