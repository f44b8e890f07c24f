"""Matrix multiplication as a ladder: one loop nest, written better from rung to rung.

    loops      i-j-k: the definition, an element of the result at a time
    reordered  i-k-j: the innermost loop runs along rows, so that memory is read in order
    blocked    four rows and eight steps of k at once: what is loaded is used many times
    numpy      NumPy's BLAS, their twin

Each compiled rung has one signature a dtype, `(a, b, out)`, strided operands included. The default
goes by a fixed table; `use(name)` and AUTODIFF_MATMUL choose one for teaching and for tests.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import numpy as np

from .threads import get_num_threads

RUNGS = ("numpy", "loops", "reordered", "blocked")
VARIABLE = "AUTODIFF_MATMUL"
SMALL = 32 * 32 * 32  # multiplications below which nobody waits for a compile

rung: ContextVar[str | None] = ContextVar("rung", default=None)


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b, by the rung in use.

    The table, measured on 2-core x86 with OpenBLAS: NumPy everywhere. A loop nest in plain Numba
    reaches 70 to 80 per cent of BLAS on one thread and has one thread only.
    """
    name = rung.get() or os.environ.get(VARIABLE) or "numpy"
    if name == "numpy" or not fits(a, b):
        return np.matmul(a, b)
    kernel = compiled(checked(name))
    if kernel is None:
        return np.matmul(a, b)
    if a.ndim == b.ndim == 2:
        return one(kernel, a, b)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    out = np.empty((*batch, a.shape[-2], b.shape[-1]), a.dtype)
    a, b = np.broadcast_to(a, (*batch, *a.shape[-2:])), np.broadcast_to(b, (*batch, *b.shape[-2:]))
    for place in np.ndindex(batch):
        kernel(a[place], b[place], out[place])
    return out


def one(kernel: Callable, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    out = np.empty((a.shape[0], b.shape[1]), a.dtype)
    kernel(a, b, out)
    return out


def fits(a: np.ndarray, b: np.ndarray) -> bool:
    """Is it work for a compiled rung: matrices of one floating dtype, and not too small?"""
    return (
        a.dtype == b.dtype
        and a.dtype.char in "fd"
        and a.ndim >= 2
        and b.ndim >= 2
        and a.shape[-1] == b.shape[-2]
        and a.shape[-2] * a.shape[-1] * b.shape[-1] >= SMALL
    )


def checked(name: str) -> str:
    if name not in RUNGS:
        raise ValueError(f"no matmul is called {name!r}: choose one of {', '.join(RUNGS)}")
    return name


class use:
    """Multiply matrices by this rung from here on; as a context manager, only inside."""

    def __init__(self, name: str | None):
        self.before = rung.get()
        rung.set(None if name is None else checked(name))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        rung.set(self.before)


def info() -> str:
    """What serves, and why: a few lines to read."""
    why = numba_missing()
    return "\n".join(
        (
            f"matmul   {rung.get() or os.environ.get(VARIABLE) or 'numpy (the default)'}",
            f"numba    {'not used: ' + why if why else 'available'}",
            f"threads  {get_num_threads()}",
        )
    )


@cache
def numba_missing() -> str:
    """Why Numba can't be used, or ''."""
    try:
        import numba  # noqa: F401
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


@cache
def compiled(name: str) -> Callable | None:
    """The rung's machine code, or None, with one line of warning, where Numba can't be used."""
    why = numba_missing()
    if why:
        warnings.warn(f"Numba can't be used ({why}): NumPy multiplies instead", stacklevel=4)
        return None
    import numba

    print(f"autodiff: preparing the '{name}' matmul (compiled once, then cached) ...", file=sys.stderr)
    source = {"loops": loops, "reordered": reordered, "blocked": blocked}[name]
    signatures = []
    for element in (numba.float32, numba.float64):
        operand = numba.types.Array(element, 2, "A", readonly=True)
        result = numba.types.Array(element, 2, "C")
        signatures.append(numba.void(operand, operand, result))
    with storable():
        try:
            kernel = numba.njit(signatures, cache=True, nogil=True, fastmath={"contract", "reassoc"})(source)
        except (RuntimeError, OSError) as error:  # no place where a cache could be kept
            warnings.warn(f"compiled kernels are not cached: {error}", stacklevel=4)
            kernel = numba.njit(signatures, nogil=True, fastmath={"contract", "reassoc"})(source)
    return lambda a, b, out: kernel(readonly(a), readonly(b), out)


def readonly(x: np.ndarray) -> np.ndarray:
    """x as the one type the kernels are compiled for: any strides, not written."""
    view = x.view()
    view.flags.writeable = False
    return view


@contextmanager
def storable():
    """Numba warns about a cache it cannot write to; it works all the same, so once is enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("once")
        yield


# ---- the rungs: plain Python that Numba compiles --------------------------------------------------


def loops(a, b, out):
    """An element of the result at a time."""
    m, n = a.shape
    p = b.shape[1]
    for i in range(m):
        for j in range(p):
            total = a.dtype.type(0)
            for k in range(n):
                total += a[i, k] * b[k, j]
            out[i, j] = total


def reordered(a, b, out):
    """A row of the result is the sum of rows of b, each times an element of a."""
    m, n = a.shape
    p = b.shape[1]
    out[:, :] = 0
    for i in range(m):
        for k in range(n):
            factor = a[i, k]
            for j in range(p):
                out[i, j] += factor * b[k, j]


def blocked(a, b, out):
    """Four rows of the result and eight steps of k at once: each element of b that is loaded
    serves four rows, and each of the result is stored once in eight steps."""
    m, n = a.shape
    p = b.shape[1]
    out[:, :] = 0
    whole = n - n % 8
    for i in range(0, m - m % 4, 4):
        for k in range(0, whole, 8):
            for j in range(p):
                s0, s1, s2, s3 = out[i, j], out[i + 1, j], out[i + 2, j], out[i + 3, j]
                for d in range(8):
                    e = b[k + d, j]
                    s0 += a[i, k + d] * e
                    s1 += a[i + 1, k + d] * e
                    s2 += a[i + 2, k + d] * e
                    s3 += a[i + 3, k + d] * e
                out[i, j], out[i + 1, j], out[i + 2, j], out[i + 3, j] = s0, s1, s2, s3
        for k in range(whole, n):
            for r in range(4):
                factor = a[i + r, k]
                for j in range(p):
                    out[i + r, j] += factor * b[k, j]
    for i in range(m - m % 4, m):
        for k in range(n):
            factor = a[i, k]
            for j in range(p):
                out[i, j] += factor * b[k, j]
