"""Softmax and its kin, shifted by the largest element so that no exponential overflows.

Where a maximum is infinite the answers are PyTorch's: inf - inf makes a row of NaN, except in
logsumexp, whose sum is known to be that infinity.
"""

from __future__ import annotations

import numpy as np

Dims = int | tuple[int, ...] | None


def softmax(x: np.ndarray, dim: int) -> np.ndarray:
    """exp x / sum of exp x along `dim`."""
    y = _shifted(x, dim)
    np.exp(y, out=y)
    y /= y.sum(axis=dim, keepdims=True)
    return y


def log_softmax(x: np.ndarray, dim: int) -> np.ndarray:
    """x - log(sum of exp x) along `dim`."""
    y = _shifted(x, dim)
    if y.size:
        y -= np.log(np.exp(y).sum(axis=dim, keepdims=True))
    return y


def logsumexp(x: np.ndarray, dim: Dims, keepdims: bool = False) -> np.ndarray:
    """log(sum of exp x) over `dim`: -inf for a sum of nothing, or of rows of -inf."""
    if x.size == 0:
        with np.errstate(divide="ignore"):
            return np.log(np.exp(x).sum(axis=dim, keepdims=keepdims))
    top = x.max(axis=dim, keepdims=True)
    top = np.where(np.isinf(top), 0, top)  # an infinity is not to be taken from itself
    with np.errstate(divide="ignore", over="ignore"):
        y = np.log(np.exp(x - top).sum(axis=dim, keepdims=True)) + top
    return y if keepdims else y.squeeze(dim)


def softmax_cross_entropy(x: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(loss, probabilities): -log softmax(x)[n, target[n]] for each sample n, and softmax(x), which
    is most of its gradient. x of shape (N, C, ...), target (N, ...), of integers in [0, C)."""
    y = _shifted(x, 1)
    loss = y[_at(target)]
    np.exp(y, out=y)
    total = y.sum(axis=1, keepdims=True)
    y /= total
    return np.log(total).squeeze(1) - loss, y


def softmax_cross_entropy_gradient(
    g: np.ndarray, probabilities: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """g (softmax(x) - onehot(target)): the gradient by x of the loss of each sample, times g."""
    y = probabilities * np.expand_dims(g, 1)
    y[_at(target)] -= g
    return y


def _shifted(x: np.ndarray, dim: int) -> np.ndarray:
    """x less its largest element along `dim`."""
    if x.size == 0:
        return x.copy()
    with np.errstate(invalid="ignore", over="ignore"):
        return np.subtract(x, x.max(axis=dim, keepdims=True), out=np.empty_like(x))


def _at(target: np.ndarray) -> tuple[np.ndarray, ...]:
    """The index of each sample's target in an array whose dimension 1 is the class."""
    places = list(np.indices(target.shape, sparse=True))
    return places[0], target, *places[1:]
