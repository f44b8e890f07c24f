"""Rows of bytes, gathered and turned into numbers on the way: a batch of pictures out of a data set.

A byte has 256 values, so whatever is done to each alone (divided by 255, less a mean, by a deviation) is a
table of 256 numbers, worked out once; a batch is then one look into the table for each byte.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from . import jit

LARGE = 1 << 15  # bytes of a batch: from here on the loop wins (docs/benchmarks.md), and is worth compiling


def looked_up(data: np.ndarray, rows: np.ndarray, table: np.ndarray) -> np.ndarray:
    """table[data[rows]]: data of bytes, (n, ...), rows of whole numbers in [-n, n), table of 256 numbers."""
    size = rows.size * (data.size // max(1, len(data)))
    if size < LARGE or table.dtype.char not in "fd" or not data.flags.c_contiguous or jit.unusable():
        return np.take(table, data[rows])
    out = np.empty((len(rows), *data.shape[1:]), table.dtype)
    numbers = np.ascontiguousarray(rows, np.int64)
    inside = loop(table.dtype)(data.reshape(len(data), -1), numbers, table, out.reshape(len(rows), -1))
    return out if inside else np.take(table, data[rows])  # NumPy says what is wrong


def look_up(data, rows, table, out):
    """`looked_up`, byte by byte. Returns whether every row is there."""
    n, width = data.shape
    for i in range(len(rows)):
        row = rows[i]
        if not -n <= row < n:
            return False
        if row < 0:
            row += n
        for j in range(width):
            out[i, j] = table[data[row, j]]
    return True


@cache
def loop(dtype: np.dtype):
    """The loop, compiled for tables of this dtype."""
    from numba import boolean, from_dtype, types

    number = from_dtype(dtype)
    data = types.Array(types.uint8, 2, "C", readonly=True)
    rows, table = (types.Array(kind, 1, "C", readonly=True) for kind in (types.int64, number))
    out = types.Array(number, 2, "C")
    return jit.compiled(look_up, boolean(data, rows, table, out), f"the reading of images as {dtype}")
