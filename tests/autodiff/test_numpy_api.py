"""NumPy's functions and operators on Tensors: NumPy's answer, with a gradient, or an error that says what to write."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff as ad
from autodiff.ops import numpy_api

A = np.random.default_rng(0).standard_normal((3, 4))
SQUARE = A[:, :3]
PLACES = np.array([[0], [3], [1]])

CALLS = """
np.sum(x)                                   np.sum(x, axis=(0, 1))                     np.sum(x, 1, keepdims=True)
np.sum(x, dtype=np.float32)                 np.mean(x, axis=-1)                        np.mean(x, dtype=np.float32)
np.prod(x, axis=0)                          np.max(x)                                  np.max(x, axis=1, keepdims=True)
np.amax(x, axis=0)                          np.amin(x)                                 np.min(x, axis=0)
np.var(x, axis=0, ddof=1)                   np.var(x, correction=1)                    np.std(x, axis=(0, 1), keepdims=True)
np.cumsum(x)                                np.cumsum(x, axis=1)                       np.cumprod(x, axis=0)
np.linalg.norm(x)                           np.linalg.norm(x, axis=1)                  np.linalg.norm(x, "fro")
np.linalg.norm(x, np.inf, axis=1)           np.linalg.norm(x, axis=(0, 1))             np.linalg.norm(x[0], 1)
np.clip(x, -0.5, 0.5)                       np.clip(x, a_min=0, a_max=None)            np.clip(x, min=0)
np.where(x > 0, x, 0.0)                     np.round(x, 1)                             np.around(x, 1)
np.reshape(x, (4, 3))                       np.reshape(x, -1)                          np.reshape(x, shape=(4, -1))
np.ravel(x)                                 np.transpose(x)                            np.transpose(x, (1, 0))
np.matrix_transpose(x)                      np.squeeze(x[:1])                          np.squeeze(x[:1], axis=0)
np.expand_dims(x, 1)                        np.expand_dims(x, (0, 2))                  np.expand_dims(x, (-1, 0))
np.swapaxes(x, 0, 1)                        np.moveaxis(x, 0, -1)                      np.broadcast_to(x, (2, 3, 4))
np.tile(x, 2)                               np.tile(x, (2, 1, 1))                      np.repeat(x, 2)
np.repeat(x, [1, 2, 0], axis=0)             np.flip(x)                                 np.flip(x, 1)
np.flip(x, (0, 1))                          np.fliplr(x)                               np.flipud(x)
np.roll(x, 1)                               np.roll(x, (1, 2), axis=(0, 1))            np.concatenate([x, x], axis=1)
np.concatenate([x, A], axis=None)           np.stack([x, x], axis=-1)                  np.vstack([x, x[0]])
np.hstack([x, A])                           np.hstack([x[0], x[1]])                    np.hstack([x[0, 0], x[1]])
np.split(x, 2, axis=1)                      np.split(x, [1, 3], axis=1)                np.split(x, [2, 1, -1, 9], axis=1)
np.meshgrid(x[0], x[1])                     np.meshgrid(x[0], x[1], indexing="ij")     np.tril(x, -1)
np.triu(x)                                  np.diagonal(x, 1)                          np.diag(x)
np.diag(x[0], -1)                           np.trace(x)                                np.trace(x, 1)
np.take(x, [1, 2])                          np.take(x, [1, 2, 2], axis=1)              np.take(x, -1, axis=0)
np.take_along_axis(x, PLACES, 1)            np.sort(x)                                 np.sort(x, axis=0)
np.sort(x, axis=None)                       np.copy(x)                                 np.einsum("ij,kj->ik", x, A)
np.tensordot(x, A, axes=([1], [1]))         np.tensordot(x, A, 0)                      np.dot(x, A.T)
np.dot(x, 2.0)                              np.dot(A.T, x)                             np.dot(x[0], A[0])
np.outer(x, A)                              np.inner(x, A)                             np.vdot(x, A)
np.diff(x)                                  np.diff(x, 2, axis=0)                      np.diff(x, 9)
np.fabs(x)                                  np.positive(x)                             np.float64(2) * x
A * x                                       A @ x.T                                    A - x
np.int64(2) ** x                            np.matmul(A, x.T)                          np.power(np.abs(x), 1.5)
np.rint(x)                                  np.floor(x)                                np.sign(x)
np.maximum(x, A)                            x % 2                                      np.arctan2(x, A)
"""

CONSTANT = """
np.argmax(x)              np.argmax(x, axis=1)         np.argmin(x, axis=0, keepdims=True)   np.all(x > 0)
np.any(x > 0, axis=0)     np.argsort(x)                np.argsort(x, axis=None)              np.nonzero(x > 0)
np.where(x > 0)           np.isclose(x, A)             np.allclose(x, A)                     np.array_equal(x, A + 1)
np.ndim(x)                np.shape(x)                  np.size(x)                            np.size(x, 0)
np.zeros_like(x)          np.zeros_like(x, np.int64)   np.ones_like(x, shape=(2,))           np.full_like(x, 3)
np.isfinite(x)            np.logical_not(x > 0)        x == A                                A < x
"""


def calls(text):
    return [call.strip() for line in text.strip().splitlines() for call in line.split("   ") if call.strip()]


def computed(call, x):
    found = eval(call, {"np": np, "A": A, "PLACES": PLACES, "x": x})
    return list(found) if isinstance(found, (tuple, list)) else [found]


def array(value):
    return value.detach().numpy() if isinstance(value, ad.Tensor) else np.asarray(value)


@pytest.mark.parametrize("call", calls(CALLS))
def test_as_numpy_and_differentiable(call):
    x = ad.tensor(A, requires_grad=True)
    for got, expected in zip(computed(call, x), computed(call, A), strict=True):
        assert isinstance(got, ad.Tensor) and got.requires_grad
        assert tuple(got.shape) == expected.shape
        np.testing.assert_allclose(array(got), expected, rtol=1e-6)


@pytest.mark.parametrize("call", calls(CONSTANT))
def test_as_numpy_without_a_derivative(call):
    x = ad.tensor(A, requires_grad=True)
    for got, expected in zip(computed(call, x), computed(call, A), strict=True):
        assert not getattr(got, "requires_grad", False)
        np.testing.assert_array_equal(array(got), expected)


@pytest.mark.parametrize("function", numpy_api.functions())
def test_an_argument_that_is_not_taken_is_named_with_those_that_are(function):
    with pytest.raises(TypeError, match=rf"np\.{function.__name__}: .*called as np\.{function.__name__}\("):
        numpy_api.apply_function(function, (), {"nonsense": 1})


UFUNCS = sorted({f for f in vars(np).values() if isinstance(f, np.ufunc)}, key=lambda f: f.__name__)


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda f: f.__name__)
def test_every_ufunc_gives_tensors_or_says_what_to_write(ufunc):
    """Of numbers, booleans and integers: never an array, never an array of objects."""
    answered = False
    for kind in (np.float64, np.int64, np.bool_):
        arrays = [(abs(SQUARE) * scale + (kind is np.int64)).astype(kind) for scale in (2, 3, 4)[: ufunc.nin]]
        try:
            with np.errstate(all="ignore"):
                expected = ufunc(*arrays)
        except TypeError:
            continue
        try:
            got = ufunc(*map(ad.Tensor, arrays))
        except (TypeError, RuntimeError) as error:
            assert f"np.{ufunc.__name__}" in str(error) or "bool" in str(error)
            continue
        answered = True
        assert isinstance(got, ad.Tensor)
        if kind is np.float64:  # of integers, PyTorch's dtypes: float32 where NumPy says float64
            np.testing.assert_allclose(array(got), expected, rtol=1e-12)
    assert answered or ufunc not in numpy_api.ufuncs()


NAMESPACES = [np, np.linalg, np.fft]
ALL = sorted(
    {f for space in NAMESPACES for f in vars(space).values() if hasattr(f, "_implementation")},
    key=lambda f: (f.__module__, f.__name__),
)  # what goes through __array_function__


@pytest.mark.parametrize("function", ALL, ids=lambda f: f"{f.__module__}.{f.__name__}")
def test_every_function_has_an_answer_or_an_error_that_names_the_way_out(function):
    if function not in numpy_api.functions():
        with pytest.raises(TypeError, match=rf"{function.__name__} does not take Tensors: .*detach\(\)"):
            numpy_api.apply_function(function, (), {})


WRONG = [
    ("np.asarray(x)", RuntimeError, r"detach\(\)"),
    ("np.array([x[0, 0], x[0, 1]])", RuntimeError, r"detach\(\)"),
    ("np.sum([x[0], x[1]])", RuntimeError, r"detach\(\)"),
    ("A.copy().__setitem__(0, x[0])", RuntimeError, r"detach\(\)"),
    ("A.copy().__iadd__(x)", TypeError, "a = a"),
    ("np.multiply(x, x, out=A.copy())", TypeError, "drop out="),
    ("np.add(x, x, dtype=np.float32)", TypeError, "takes no dtype"),
    ("np.add.reduce(x)", TypeError, r"x\.sum"),
    ("np.add.at(x, 0, 1.0)", TypeError, "does not differentiate"),
    ("np.linalg.norm(x, 1)", TypeError, "norm of a matrix"),
    ("np.linalg.norm(x, 1, axis=(0, 1))", TypeError, "norm of a matrix"),
    ("np.ravel(x, order='F')", TypeError, "order='C' only"),
    ("np.ravel(x.T, 'K')", TypeError, "order='C' only"),
    ("np.squeeze(x, axis=0)", ValueError, "axis 0 of size 3"),
    ("np.split(x, 3, axis=1)", ValueError, "not divisible into 3"),
]


@pytest.mark.parametrize("call, error, phrase", WRONG)
def test_what_cannot_be_is_an_error(call, error, phrase):
    with pytest.raises(error, match=phrase):
        computed(call, ad.tensor(A, requires_grad=True))
