"""The same numbers lying in memory in other ways."""

from __future__ import annotations

import numpy as np


def strided(a: np.ndarray) -> np.ndarray:
    """Every second element of a larger array; NaN lies between, and is to be left alone."""
    large = np.full(tuple(2 * n for n in a.shape), np.nan if a.dtype.kind == "f" else 0, a.dtype)
    view = large[(slice(None, None, 2),) * a.ndim + (...,)]
    view[...] = a
    return view


def fortran(a: np.ndarray) -> np.ndarray:
    """Columns first."""
    return np.array(a, order="F")


def backwards(a: np.ndarray) -> np.ndarray:
    """Negative strides along every dimension."""
    back = (slice(None, None, -1),) * a.ndim + (...,)
    return np.array(a[back])[back]


def broadcast(a: np.ndarray) -> np.ndarray:
    """One row, seen as many (stride 0): other numbers, unless all rows are alike."""
    return np.broadcast_to(a[:1], a.shape) if a.ndim else a


def read_only(a: np.ndarray) -> np.ndarray:
    """Not to be written."""
    a = np.array(a)
    a.setflags(write=False)
    return a


def unaligned(a: np.ndarray) -> np.ndarray:
    """At an address that is no multiple of the element's size."""
    memory = np.zeros(a.nbytes + 1, np.uint8)
    view = memory[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


LAYOUTS = {
    "strided": strided, "Fortran-ordered": fortran, "negative-stride": backwards, "broadcast": broadcast,
    "read-only": read_only, "unaligned": unaligned,
}  # fmt: skip
