"""Dual numbers over exact ones: a value, and how it moves when the inputs move.

value + slope·ε, where ε² = 0 and ε is positive, yet smaller than every number. Arithmetic on these
is forward-mode differentiation that shares nothing with the rules of the engine. Because ε has a
sign, comparisons and selections have a derivative too: it is the one-sided one, in the direction
in which the inputs move.

A Dual may be made of Duals: that is the second derivative.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

MODULUS = 2**61 - 1  # a prime


class Dual:
    """value + slope·ε. In NumPy's object arrays it is a number like any other."""

    __slots__ = ("value", "slope")
    ties = 0  # how often equal numbers were compared that move apart: there the function has a kink
    jumps = 0  # how often a whole number that moves was rounded down: there the function jumps

    def __init__(self, value: Any, slope: Any = 0):
        self.value, self.slope = value, slope

    def __add__(self, other):
        v, s = parts(other)
        return Dual(self.value + v, self.slope + s)

    def __sub__(self, other):
        v, s = parts(other)
        return Dual(self.value - v, self.slope - s)

    def __mul__(self, other):
        v, s = parts(other)
        return Dual(self.value * v, self.slope * v + self.value * s)

    def __truediv__(self, other):
        v, s = parts(other)
        quotient = self.value / v
        return Dual(quotient, (self.slope - quotient * s) / v)

    def __pow__(self, exponent):
        """By a whole exponent only: any other power is no longer rational."""
        n = whole(exponent)
        if n < 0:
            return 1 / self**-n
        result = Dual(one_like(self.value), 0 * self.slope)
        for _ in range(n):
            result = result * self
        return result

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other):
        return Dual(*parts(other)) - self

    def __rtruediv__(self, other):
        v, s = parts(other)
        return Dual(exact(v), s) / self

    def __neg__(self):
        return Dual(-self.value, -self.slope)

    def __pos__(self):
        return self

    def __abs__(self):
        return -self if self < 0 else self

    # ---- order: by value, and between equal values by where they move ---------------------------

    def tied(self, v, s) -> bool:
        """Is the value v, so that the slopes decide?"""
        if self.value != v:
            return False
        Dual.ties += self.slope != s
        return True

    def __eq__(self, other):
        v, s = parts(other)
        return self.tied(v, s) and bool(self.slope == s)

    def __ne__(self, other):
        return not self == other

    def __lt__(self, other):
        v, s = parts(other)
        return bool(self.slope < s if self.tied(v, s) else self.value < v)

    def __gt__(self, other):
        v, s = parts(other)
        return bool(self.slope > s if self.tied(v, s) else self.value > v)

    def __le__(self, other):
        return not self > other

    def __ge__(self, other):
        return not self < other

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self):
        return self != 0

    def __floor__(self):
        n = math.floor(self.value)
        if self.value != n:
            return n
        Dual.jumps += self.slope != 0
        return n - 1 if self.slope < 0 else n

    def __ceil__(self):
        return -math.floor(-self)

    def __trunc__(self):
        return math.floor(self) if self >= 0 else math.ceil(self)

    def __floordiv__(self, other):
        return math.floor(self / other)

    def __rfloordiv__(self, other):
        return math.floor(other / self)

    def __mod__(self, other):
        return self - math.floor(self / other) * other

    def __rmod__(self, other):
        return other - math.floor(other / self) * self

    def conjugate(self):
        return self

    def __repr__(self):
        return f"{self.value} + {self.slope}ε"


class Residue:
    """An integer modulo the prime 2⁶¹ − 1: a field, so + − × ÷ have their laws, and numbers never
    grow. There is no order in it: what compares, selects or rounds is an error."""

    __slots__ = ("n",)

    def __init__(self, n: Any):
        self.n = residue(n)

    def __add__(self, other):
        return Residue(self.n + residue(other))

    def __sub__(self, other):
        return Residue(self.n - residue(other))

    def __mul__(self, other):
        return Residue(self.n * residue(other))

    def __truediv__(self, other):
        return Residue(self.n * pow(residue(other), -1, MODULUS))

    def __pow__(self, exponent):
        return Residue(pow(self.n, whole(exponent), MODULUS))

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other):
        return Residue(residue(other) - self.n)

    def __rtruediv__(self, other):
        return Residue(residue(other) * pow(self.n, -1, MODULUS))

    def __neg__(self):
        return Residue(-self.n)

    def __pos__(self):
        return self

    def __eq__(self, other):
        return self.n == residue(other)

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, other):
        raise Inexact("numbers modulo a prime have no order: use the oracle 'exact'")

    __gt__ = __le__ = __ge__ = __abs__ = __floor__ = __ceil__ = __lt__  # type: ignore[assignment]

    def __bool__(self):
        return self.n != 0

    def conjugate(self):
        return self

    def __repr__(self):
        return f"{self.n} (mod 2**61 - 1)"


class Inexact(TypeError):
    """The operation leads out of the exact numbers."""


def residue(x: Any) -> int:
    if isinstance(x, Residue):
        return x.n
    if isinstance(x, (Fraction, float, np.floating)):
        p, q = x.as_integer_ratio()
        return p * pow(q, -1, MODULUS) % MODULUS
    return int(x) % MODULUS


def parts(x: Any) -> tuple:
    """(value, slope) of a Dual, or of a number, which does not move."""
    if isinstance(x, Dual):
        return x.value, x.slope
    return (x if isinstance(x, (int, Fraction, Residue)) else exact(x)), 0


def exact(x: Any) -> Any:
    """A number as a Fraction: for a float, the one that it is, digit for digit."""
    if isinstance(x, (Dual, Fraction, Residue)):
        return x
    if isinstance(x, (float, np.floating)):
        return Fraction(float(x)) if math.isfinite(x) else float(x)
    if isinstance(x, (int, np.integer, np.bool_)):
        return Fraction(int(x))
    raise Inexact(f"{type(x).__name__} is no exact number")


def whole(exponent: Any) -> int:
    """An exponent as an int."""
    if isinstance(exponent, Dual):
        if exponent.slope != 0:
            raise Inexact("a power whose exponent moves is not rational")
        exponent = exponent.value
    if exponent != int(exponent):
        raise Inexact(f"a power by {exponent} is not rational")
    return int(exponent)


def one_like(x: Any) -> Any:
    return Dual(one_like(x.value), 0 * x.slope) if isinstance(x, Dual) else type(x)(1)


def numbers(array: np.ndarray, kind: Any = exact) -> np.ndarray:
    """An array as an object array of exact numbers."""
    result = np.empty(array.shape, object)
    for place in np.ndindex(array.shape):
        result[place] = kind(array[place])
    return result


def duals(values: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """An object array of Duals from two of numbers."""
    result = np.empty(values.shape, object)
    for place in np.ndindex(values.shape):
        result[place] = Dual(values[place], slopes[place])
    return result


def split(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values and the slopes of an array of Duals (of numbers that do not move, among them)."""
    array = np.asarray(array)
    values, slopes = np.empty(array.shape, object), np.empty(array.shape, object)
    for place in np.ndindex(array.shape):
        values[place], slopes[place] = parts(array[place])
    return values, slopes
