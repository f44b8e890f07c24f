"""Adding elements back to the places an index took them from."""

from __future__ import annotations

import math

import numpy as np

MANY = 2048  # values from which numbering all places costs less than it saves


def add_at(shape: tuple[int, ...], dtype, index: tuple, values: np.ndarray) -> np.ndarray:
    """Zeros of `shape` with `values` added at `index`, any that NumPy takes: y[index] += values, but
    a place that occurs several times receives them all."""
    y = np.zeros(shape, dtype)
    if not any(isinstance(entry, np.ndarray) and entry.ndim and entry.dtype != bool for entry in index):
        y[index] = values  # numbers, slices and masks take no place twice
    elif y.ndim > 1 and values.size >= max(MANY, y.size // 4):
        # np.add.at is several times as fast in one dimension: index the places' numbers instead
        places = np.arange(math.prod(shape)).reshape(shape)[index]
        np.add.at(y.reshape(-1), places.reshape(-1), np.broadcast_to(values, places.shape).reshape(-1))
    else:
        np.add.at(y, index, values)
    return y
