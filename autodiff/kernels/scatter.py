"""Adding elements back to the places an index took them from."""

from __future__ import annotations

import numpy as np


def add_at(shape: tuple, dtype, index, values: np.ndarray) -> np.ndarray:
    """Zeros of `shape` with `values` added at `index`; a place that occurs twice receives both."""
    y = np.zeros(shape, dtype)
    if any(isinstance(entry, np.ndarray) and entry.dtype != bool for entry in index):
        np.add.at(y, index, values)
    else:
        y[index] = values  # integers, slices and masks take no place twice
    return y
