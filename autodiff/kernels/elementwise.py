"""Functions of each element that NumPy lacks, or has only in a form that overflows.

They take floating arrays and keep their dtype; NaN passes through, and at infinity stands the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from . import jit
from .gemm import DTYPES

LARGE = 1 << 15  # elements: from here on a compiled loop (docs/benchmarks.md) is worth compiling


def relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0)."""
    return np.maximum(x, 0)


BITS = {np.dtype(f"f{n}"): np.dtype(f"i{n}") for n in (2, 4, 8)}  # the integers as wide as each float


def gate(x: np.ndarray, condition: np.ndarray) -> np.ndarray:
    """x where the condition holds, else 0, whatever x is there: np.where(condition, x, 0). The bits of x are kept
    or cleared, all at once, which is ten times as fast as a choice for each element; in one compiled loop,
    where arrays are large, which needs no array of masks."""
    if in_one_loop(x, condition):
        y = np.empty(x.shape, x.dtype)
        loop(x.dtype)(x.reshape(-1), condition.reshape(-1), y.reshape(-1))
        return y
    bits = BITS.get(x.dtype)
    if bits is None or condition.dtype != bool or x.ndim == 0:
        return np.where(condition, x, np.zeros((), x.dtype))
    mask = condition.astype(bits)
    np.negative(mask, out=mask)  # -1 has all its bits set
    return np.bitwise_and(mask, x.view(bits)).view(x.dtype)


def in_one_loop(x: np.ndarray, condition: np.ndarray) -> bool:
    """Is this gate work for a compiled loop? Large arrays, dense in memory."""
    return (
        x.size >= LARGE
        and x.dtype in DTYPES
        and condition.dtype == bool
        and condition.shape == x.shape
        and x.flags.c_contiguous
        and x.flags.aligned
        and condition.flags.c_contiguous
        and jit.serves()
    )


def gate_loop(x, condition, y):
    """y = x where the condition holds, else 0."""
    for i in range(x.size):
        y[i] = x[i] if condition[i] else 0


@cache
def loop(dtype: np.dtype) -> Callable:
    """`gate_loop`, compiled for arrays of this dtype."""
    from numba import boolean, from_dtype, types

    number = from_dtype(dtype)
    read = [types.Array(each, 1, "C", readonly=True) for each in (number, boolean)]
    signature = types.void(*read, types.Array(number, 1, "C"))
    return jit.compiled(gate_loop, signature, f"the gate for {dtype}", error_model="numpy")


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)). Where the exponential overflows, 1 / inf = 0 is the answer."""
    y = np.asarray(np.negative(x))
    with np.errstate(over="ignore"):
        np.exp(y, out=y)
    y += 1
    return np.reciprocal(y, out=y)


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp x), as max(x, 0) + log(1 + exp(-|x|)), which does not overflow."""
    y = _tail(x)
    y += np.maximum(x, 0)
    return y


def log_sigmoid(x: np.ndarray) -> np.ndarray:
    """log sigmoid(x) = -softplus(-x), as min(x, 0) - log(1 + exp(-|x|))."""
    y = _tail(x)
    return np.subtract(np.minimum(x, 0), y, out=y)


def _tail(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(-|x|)): what softplus lies above the larger of x and 0."""
    y = np.asarray(np.negative(x))  # -|x| is chosen, not computed, so that a complex step
    np.minimum(x, y, out=y)  # sees a derivative: the absolute value of a complex number has none
    np.exp(y, out=y)
    return np.log1p(y, out=y)


# Coefficients of W. J. Cody, "Rational Chebyshev Approximations for the Error Function", Mathematics
# of Computation 23 (1969), highest power first. Near zero erf x = x P(x^2) / Q(x^2) ...
NEAR = 0.46875
P = (
    1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
    3.20937758913846947e3,
)  # fmt: skip
Q = (
    1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3,
    2.84423683343917062e3,
)  # fmt: skip
# ... and from there on 1 - erf x = exp(-x^2) R(x) / S(x). Beyond 6 that is less than half an ulp of 1.
FAR = 6.0
R = (
    2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
    2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
    1.23033935479799725e3,
)  # fmt: skip
S = (
    1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
    3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
)  # fmt: skip


def erf(x: np.ndarray) -> np.ndarray:
    """2/√π times the integral of exp(-t^2) from 0 to x, within 5 units in the last place."""
    if x.dtype == np.float16:  # the coefficients need more bits
        return erf(x.astype(np.float32)).astype(np.float16)
    b = np.clip(x, -NEAR, NEAR)
    square = b * b
    near = b * (_polynomial(P, square) / _polynomial(Q, square))
    a = np.minimum(np.abs(x), FAR)
    far = 1 - np.exp(-a * a) * (_polynomial(R, a) / _polynomial(S, a))
    return np.where(a <= NEAR, near, np.copysign(far, x))


def _polynomial(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    """Horner's rule, the highest power's coefficient first."""
    y = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        y *= x
        y += c
    return y
