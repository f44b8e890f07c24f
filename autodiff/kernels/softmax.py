"""Softmax and its kin, shifted by the largest element so that no exponential overflows."""

from __future__ import annotations

import numpy as np


def shifted(x: np.ndarray, dim) -> tuple[np.ndarray, np.ndarray]:
    """(x − max, max) over `dim`; an infinite maximum is not subtracted from itself."""
    if x.size == 0:
        return x, np.zeros_like(x.sum(axis=dim, keepdims=True))
    top = x.max(axis=dim, keepdims=True)
    if not np.isfinite(top).all():
        top = np.where(np.isfinite(top), top, 0)
    return x - top, top


def softmax(x: np.ndarray, dim: int) -> np.ndarray:
    """exp x / Σ exp x along `dim`."""
    e = np.exp(shifted(x, dim)[0])
    with np.errstate(invalid="ignore"):
        e /= e.sum(axis=dim, keepdims=True)
    return e


def log_softmax(x: np.ndarray, dim: int) -> np.ndarray:
    """x − log Σ exp x along `dim`."""
    y, _ = shifted(x, dim)
    with np.errstate(divide="ignore", invalid="ignore"):
        return y - np.log(np.exp(y).sum(axis=dim, keepdims=True))


def logsumexp(x: np.ndarray, dim, keepdims: bool = False) -> np.ndarray:
    """log Σ exp x over `dim`; −inf for the sum of nothing."""
    y, top = shifted(x, dim)
    with np.errstate(divide="ignore", over="ignore"):
        total = np.log(np.exp(y).sum(axis=dim, keepdims=True)) + top
    return total if keepdims else total.squeeze(dim)
