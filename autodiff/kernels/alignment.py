"""Arrays that begin where a line of the cache begins.

A vector of AVX-512 is as wide as a line. NumPy's arrays begin at multiples of 16 bytes, and in three of four
all such vectors lie across two lines: each load and each store is then two. Products that add to an array
as they go, a step of SGD by weights of 512×784 say, take a tenth longer (docs/benchmarks.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

LINE = 64  # bytes of a line of the cache
WORTH = 1 << 12  # bytes: in smaller arrays there is nothing to gain


def aligned(shape: tuple, dtype, make: Callable = np.empty) -> np.ndarray:
    """What make(shape, dtype), np.empty or np.zeros, gives, at a line's beginning if it is large."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < WORTH or dtype.hasobject:
        return make(shape, dtype)
    whole = make(size + LINE, np.uint8)
    start = -whole.ctypes.data % LINE
    return whole[start : start + size].view(dtype).reshape(shape)
