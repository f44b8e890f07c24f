"""Softmax and its kin, shifted by the largest element so that no exponential overflows.

Where a maximum is infinite the answers are PyTorch's: inf - inf makes a row of NaN, except in
logsumexp, whose sum is known to be that infinity. Whether NumPy warns of such steps is up to the caller,
as with NumPy's own functions: the engine keeps it quiet.
"""

from __future__ import annotations

import numpy as np

Dims = int | tuple[int, ...] | None


def softmax(x: np.ndarray, dim: int) -> np.ndarray:
    """exp x / sum of exp x along `dim`."""
    y = _shifted(x, dim)
    np.exp(y, out=y)
    y /= np.add.reduce(y, axis=dim, keepdims=True)
    return y


def log_softmax(x: np.ndarray, dim: int) -> np.ndarray:
    """x - log(sum of exp x) along `dim`."""
    y = _shifted(x, dim)
    if y.size:
        y -= np.log(np.add.reduce(np.exp(y), axis=dim, keepdims=True))
    return y


def logsumexp(x: np.ndarray, dim: Dims, keepdims: bool = False) -> np.ndarray:
    """log(sum of exp x) over `dim`: -inf for a sum of nothing, or of rows of -inf."""
    if x.size == 0:
        return np.log(np.exp(x).sum(axis=dim, keepdims=keepdims))
    top = x.max(axis=dim, keepdims=True)
    top = np.where(np.isinf(top), 0, top)  # an infinity is not to be taken from itself
    y = np.log(np.exp(x - top).sum(axis=dim, keepdims=True)) + top
    return y if keepdims else y.squeeze(dim)


def cross_entropy(x: np.ndarray, target: np.ndarray) -> np.ndarray:
    """-log softmax(x)[n, target[n]] for each sample n: x of shape (N, C, ...), target (N, ...), of
    integers in [0, C)."""
    y = _shifted(x, 1)
    chosen = y[_at(target)]
    np.exp(y, out=y)
    y = np.add.reduce(y, axis=1)
    np.log(y, out=y)
    y -= chosen
    return y


def cross_entropy_gradient(share: np.ndarray, x: np.ndarray, target: np.ndarray) -> np.ndarray:
    """share (softmax(x) - onehot(target)): the gradient by x of the loss of each sample, times its share."""
    y = softmax(x, 1)
    y[_at(target)] -= 1
    y *= share[:, None]
    return y


def _shifted(x: np.ndarray, dim: int) -> np.ndarray:
    """x less its largest element along `dim`."""
    if x.size == 0:
        return x.copy()
    return np.subtract(x, np.maximum.reduce(x, axis=dim, keepdims=True), out=np.empty_like(x))


def _at(target: np.ndarray) -> tuple[np.ndarray, ...]:
    """The index of each sample's target in an array whose dimension 1 is the class."""
    if target.ndim == 1:
        return np.arange(len(target)), target
    places = list(np.indices(target.shape, sparse=True))
    return places[0], target, *places[1:]
