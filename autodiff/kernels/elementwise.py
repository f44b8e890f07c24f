"""Functions of each element that NumPy lacks, or has only in a form that overflows."""

from __future__ import annotations

import math

import numpy as np


def relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0); NaN stays NaN."""
    return np.maximum(x, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(−x)), by whichever of exp(x) and exp(−x) cannot overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp x) = max(x, 0) + log(1 + exp(−|x|))."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def log_sigmoid(x: np.ndarray) -> np.ndarray:
    """log sigmoid(x) = −softplus(−x)."""
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


_erf = np.frompyfunc(math.erf, 1, 1)


def erf(x: np.ndarray) -> np.ndarray:
    """2/√π ∫₀ˣ exp(−t²) dt, by the C library's function, element by element."""
    return np.asarray(_erf(x)).astype(np.asarray(x).dtype)
