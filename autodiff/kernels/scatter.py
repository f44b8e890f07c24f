"""Adding elements back to the places an index took them from."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from . import jit
from .gemm import DTYPES

MANY = 2048  # values from which numbering all places costs less than it saves
LARGE = 1 << 13  # values from which a compiled loop (docs/benchmarks.md) is worth compiling


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


def add_along_rows(shape: tuple[int, ...], index: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Zeros of `shape` with values[..., k] added at [..., index[..., k]], all in range: what `add_at` does
    along the last dimension. As one compiled loop, where that wins."""
    rows = math.prod(shape[:-1])
    flat = values.reshape(rows, -1), index.reshape(rows, -1)
    suits = values.dtype in DTYPES and index.dtype == np.int64 and values.size >= LARGE
    if suits and not jit.unusable():
        y = np.zeros((rows, shape[-1]), values.dtype)
        loop(values.dtype)(*map(np.ascontiguousarray, flat), y)
        return y.reshape(shape)
    y = add_at((rows, shape[-1]), values.dtype, (np.arange(rows)[:, None], flat[1]), flat[0])
    return y.reshape(shape)


def add_in_rows(values, index, y):
    """y[i, index[i, k]] += values[i, k]."""
    for i in range(values.shape[0]):
        for k in range(values.shape[1]):
            y[i, index[i, k]] += values[i, k]


@cache
def loop(dtype: np.dtype) -> Callable:
    """`add_in_rows`, compiled for values of this dtype."""
    from numba import from_dtype, types

    number = from_dtype(dtype)
    read = [types.Array(each, 2, "C", readonly=True) for each in (number, types.int64)]
    signature = types.void(*read, types.Array(number, 2, "C"))
    return jit.compiled(add_in_rows, signature, f"the sum of values by their places for {dtype}")
