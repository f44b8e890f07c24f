"""Elementwise operations: the function, then its derivative by each input."""

from __future__ import annotations

import math
from functools import wraps
from typing import Any

import numpy as np

from ..dtypes import DIFFERENTIABLE, FRACTIONAL, NUMBERS, get_default_dtype, in_dtype, result_dtype
from ..kernels import elementwise as kernels
from ..primitive import astype, constant, elementwise, linear_map
from .naming import operands
from .shapes import clone

LN2, LN10 = math.log(2.0), math.log(10.0)


def refusing_zero(function):
    """`function`, a division, which refuses to divide integers by 0: NumPy would answer 0."""

    @wraps(function)
    def divided(a, b):
        y = function(a, b)
        if y.dtype.kind not in FRACTIONAL and y.size and np.any(np.equal(b, 0)):
            raise RuntimeError(
                "ZeroDivisionError: integers have no quotient by 0; of floats it is inf or nan: write "
                ".float() first"
            )
        return y

    division: Any = divided
    division.ufunc = function if isinstance(function, np.ufunc) else None
    return division


def _trunc_divide(a, b):
    """a / b without its fraction."""
    exact = (a if isinstance(a, np.ndarray) else b).dtype.kind in FRACTIONAL
    return np.trunc(a / b) if exact else (a - np.fmod(a, b)) // b


def _power(a, b):
    """a^b. A negative power of an integer keeps what is whole in the fraction: of ±1, else 0."""
    try:
        y = np.power(a, b)
    except ValueError:
        y = np.where((np.less(b, 0)) & (np.abs(a) != 1), 0, np.power(a, np.abs(b)))
    small = getattr(y, "dtype", None) == np.int8  # of 0-d exact numbers y is one, and has no dtype
    return y.astype(bool) if small and np.result_type(a, b) == np.bool_ else y


def _sign(x):
    """−1, 0 or 1."""
    return np.sign(x) if x.dtype != bool else x.copy()


def _round(x, *, decimals=0):
    """The nearest integer, the even one of two; or so many decimals."""
    return np.round(x, decimals) if x.dtype.kind in FRACTIONAL or decimals < 0 else x.copy()


def _xlogy(a, b):
    """a·log b, and 0 where a is 0, whatever b, unless it is NaN."""
    return select(logical_and(equal_to(a, 0), logical_not(isnan(b))), 0, a * log(b))


def _where(condition, a, b):
    """a where the condition holds, else b."""
    return np.where(condition, a, b)


def _rsqrt(x):
    """1 / √x."""
    return 1 / np.sqrt(x)


# fmt: off
# ---- arithmetic --------------------------------------------------------------------------------
add = elementwise("add", np.add,      1, 1)
sub = elementwise("sub", np.subtract, 1, -1)
mul = elementwise("mul", np.multiply, lambda b: b, lambda a: a)
div = elementwise("div", np.true_divide,
                  lambda g, b: g / b, lambda g, y, b: -g * y / b, to_float=True)
neg = elementwise("neg", np.negative, -1)
power = elementwise("pow", _power, lambda a, b: pow_by_base(a, b), lambda y, a, b: pow_by_exponent(y, a, b),
                    ufunc=np.power)
square     = elementwise("square",     np.square,           lambda x: 2 * x)
reciprocal = elementwise("reciprocal", lambda x: 1 / x,     lambda g, y: -g * y * y, to_float=True, ufunc=np.reciprocal)
remainder  = elementwise("remainder",  refusing_zero(np.remainder), 1, lambda a, b: -floor_divide(a, b))
fmod       = elementwise("fmod",       refusing_zero(np.fmod),      1, lambda a, b: -trunc_divide(a, b))
abs = elementwise("abs", np.absolute, lambda x: signum(x))

# ---- constant but for jumps --------------------------------------------------------------------
signum = elementwise("sign", _sign,    0, ufunc=np.sign)
floor = elementwise("floor", np.floor, 0)
ceil  = elementwise("ceil",  np.ceil,  0)
trunc = elementwise("trunc", np.trunc, 0)
round = elementwise("round", _round,   0)
floor_divide = elementwise("floor_divide", refusing_zero(np.floor_divide), 0, 0)
trunc_divide = elementwise("trunc_divide", refusing_zero(_trunc_divide),   0, 0)

# ---- exponentials and logarithms ---------------------------------------------------------------
exp   = elementwise("exp",   np.exp,   lambda y: y,                 to_float=True)
expm1 = elementwise("expm1", np.expm1, lambda y: y + 1,             to_float=True)
log   = elementwise("log",   np.log,   lambda g, x: g / x,          to_float=True)
log1p = elementwise("log1p", np.log1p, lambda g, x: g / (1 + x),    to_float=True)
log2  = elementwise("log2",  np.log2,  lambda g, x: g / (x * LN2),  to_float=True)
log10 = elementwise("log10", np.log10, lambda g, x: g / (x * LN10), to_float=True)
times_log = elementwise("xlogy", _xlogy,
                    lambda g, a, b: g * select(logical_and(equal_to(a, 0), less_equal(b, 0)), 0, log(b)),
                    lambda g, a, b: g * a / b, to_float=True)
sqrt  = elementwise("sqrt",  np.sqrt,  lambda g, y: g / (2 * y),    to_float=True)
rsqrt = elementwise("rsqrt", _rsqrt,   lambda g, y: -g * y * y * y / 2, to_float=True)

# ---- trigonometry ------------------------------------------------------------------------------
sin   = elementwise("sin",   np.sin,  lambda x: cos(x),               to_float=True)
cos   = elementwise("cos",   np.cos,  lambda x: -sin(x),              to_float=True)
tan   = elementwise("tan",   np.tan,  lambda y: 1 + y * y,            to_float=True)
asin  = elementwise("asin",  np.arcsin, lambda x: rsqrt(1 - x * x),  to_float=True)
acos  = elementwise("acos",  np.arccos, lambda x: -rsqrt(1 - x * x), to_float=True)
atan  = elementwise("atan",  np.arctan, lambda g, x: g / (1 + x * x), to_float=True)
atan2 = elementwise("atan2", np.arctan2,
                    lambda g, a, b: g * over_norm(b, a, b), lambda g, a, b: -g * over_norm(a, a, b),
                    to_float=True)
sinh  = elementwise("sinh",  np.sinh, lambda x: cosh(x),              to_float=True)
cosh  = elementwise("cosh",  np.cosh, lambda x: sinh(x),              to_float=True)
tanh  = elementwise("tanh",  np.tanh, lambda y: 1 - y * y,            to_float=True)

# ---- activations -------------------------------------------------------------------------------
relu    = elementwise("relu",    kernels.relu,    lambda g, y: gate(g, not_equal(y, 0)))  # NaN passes g
sigmoid = elementwise("sigmoid", kernels.sigmoid, lambda y: y * (1 - y), to_float=True)
log_sigmoid = elementwise("log_sigmoid", kernels.log_sigmoid, lambda x: sigmoid(-x), to_float=True)
unit_softplus = elementwise("softplus", kernels.softplus, lambda x: sigmoid(x), to_float=True)
erf     = elementwise("erf",     kernels.erf, lambda x: 2 / math.sqrt(math.pi) * exp(-(x * x)),
                      to_float=True)

# ---- choices -----------------------------------------------------------------------------------
equal_to      = constant("eq", np.equal,         "a b")
not_equal     = constant("ne", np.not_equal,     "a b")
less          = constant("lt", np.less,          "a b")
less_equal    = constant("le", np.less_equal,    "a b")
greater       = constant("gt", np.greater,       "a b")
greater_equal = constant("ge", np.greater_equal, "a b")
select  = elementwise("where", _where, None,  # the vjp selects, never multiplies: 0·∞ is NaN
                      lambda g, condition: select(condition, g, 0),
                      lambda g, condition: select(condition, 0, g), inputs="condition a b", apart=1)
gate    = linear_map("gate", kernels.gate,
                     lambda g, condition: gate(g, condition), inputs="x condition", broadcasts=True)
maximum = elementwise("maximum", np.maximum,
                      lambda g, a, b: g * halves(a, b) / 2, lambda g, a, b: g * halves(b, a) / 2)
minimum = elementwise("minimum", np.minimum,
                      lambda g, a, b: g * halves(b, a) / 2, lambda g, a, b: g * halves(a, b) / 2)
clamp_min = elementwise("clamp_min", lambda x, low: np.maximum(x, low),  # 1 at the bound too: a closed interval
                        lambda g, a, b: gate(g, greater_equal(a, b)),
                        lambda g, a, b: gate(g, less(a, b)))
clamp_max = elementwise("clamp_max", lambda x, high: np.minimum(x, high),
                        lambda g, a, b: gate(g, less_equal(a, b)),
                        lambda g, a, b: gate(g, greater(a, b)))

# ---- logic -------------------------------------------------------------------------------------
logical_and = constant("logical_and", np.logical_and, "a b", promotes=False)
logical_or  = constant("logical_or",  np.logical_or,  "a b", promotes=False)
logical_xor = constant("logical_xor", np.logical_xor, "a b", promotes=False)
logical_not = constant("logical_not", np.logical_not)
bitwise_and = constant("bitwise_and", np.bitwise_and, "a b")
bitwise_or  = constant("bitwise_or",  np.bitwise_or,  "a b")
bitwise_xor = constant("bitwise_xor", np.bitwise_xor, "a b")
bitwise_not = constant("bitwise_not", np.bitwise_not)
isnan    = constant("isnan",    np.isnan)
isinf    = constant("isinf",    np.isinf)
isfinite = constant("isfinite", np.isfinite)
near     = constant("isclose",  lambda a, b, *, rtol, atol, equal_nan: np.isclose(a, b, rtol, atol, equal_nan), "a b")
as_whole = constant("as_whole", lambda x, *, dtype: in_dtype(x, dtype))  # integers, booleans: no derivative
# fmt: on


# ---- parts of the rules ------------------------------------------------------------------------


def pow_by_base(a, b):
    """b·a^(b−1), and 0 where b is 0, whatever a: a⁰ is constant. (There it is written b/a·a^b, which is 0 too,
    and whose own derivative by b is right: 1/a.)"""
    if type(b) in NUMBERS:
        return 0 if b == 0 else b * power(a, b - 1)
    constant_there = equal_to(b, 0)
    return select(
        constant_there,
        b / select(greater(a, 0), a, 1) * power(a, b),
        b * power(a, select(constant_there, 1, b) - 1),
    )


def pow_by_exponent(y, a, b):
    """a^b·log a, and its limit 0 where a is 0 and b is not negative."""
    if type(a) in NUMBERS and a > 0:  # as a float it is weak; as an array it would be of the default dtype
        return y * math.log(a)
    vanishes = logical_and(equal_to(a, 0), greater_equal(b, 0))
    return y * log(select(vanishes, 1, a))


def over_norm(x, a, b):
    """x / (a² + b²), and 0 at the origin, where the angle has no derivative."""
    norm = a * a + b * b
    origin = equal_to(norm, 0)
    return select(origin, 0, x / select(origin, 1, norm))


def halves(a, b):
    """Twice what max(a, b) passes to a: 2 where it is larger, 1 at a tie; and 2 where one is NaN."""
    return 2 - as_number(less(a, b)) - as_number(less_equal(a, b))


def as_number(condition):
    """A boolean as an integer, so that exact arithmetic stays exact."""
    return astype(condition, dtype=np.int64)


# ---- PyTorch's spellings -----------------------------------------------------------------------


def as_dtype(x, dtype):
    """x as `dtype`: itself if it is, and without a derivative if that is not a floating one."""
    if dtype is None or x.dtype == dtype:
        return x
    dtype = np.dtype(dtype)
    return (astype if dtype.kind in DIFFERENTIABLE else as_whole)(x, dtype=dtype)


def plus(input, other, *, alpha=1):
    """input + alpha·other."""
    return add(input, other if alpha == 1 else times_number(input, other, alpha))


def minus(input, other, *, alpha=1):
    """input − alpha·other."""
    return sub(input, other if alpha == 1 else times_number(input, other, alpha))


def times_number(x, other, alpha):
    """alpha·other, to be added to x. A fraction of integers would make both another dtype."""
    if type(alpha) is float and not any(
        getattr(each, "dtype", None) and each.dtype.kind in FRACTIONAL or type(each) is float
        for each in (x, other)
    ):
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    return mul(other, alpha)


def divide(input, other, *, rounding_mode=None):
    """input / other, or its floor, or its integer part ("trunc")."""
    if rounding_mode is None:
        return div(input, other)
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode != "trunc":
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        )
    return trunc_divide(input, other)


def pow(input, exponent):
    """input^exponent. The derivative of x⁰ is 0 everywhere, and that of 0^y is its limit."""
    if type(exponent) in NUMBERS:
        exact, kind = type(exponent) is int, input.dtype.kind
        if kind in FRACTIONAL or (exact and kind != "b"):  # where the result has x's dtype
            if exponent == 2:
                return square(input)
            if exponent == 1:
                return mul(input, 1)
        if exact and exponent < 0 and kind not in FRACTIONAL:
            raise RuntimeError(
                "Integers to negative integer powers are not allowed: write .float() first, or a float exponent"
            )
    return power(input, exponent)


def squared(input):
    """x²."""
    return pow(input, 2)


def xlogy(input, other):
    """input·log other, and 0 where input is 0, whatever other, unless it is NaN."""
    dtype = result_dtype([x.array if hasattr(x, "array") else x for x in (input, other)])
    dtype = dtype if dtype.kind in FRACTIONAL else get_default_dtype()
    return times_log(*(np.asarray(x, dtype) if type(x) in NUMBERS else x for x in (input, other)))


def sign(input):
    """−1, 0 or 1; of NaN 0."""
    return gate(signum(input), equal_to(input, input)) if input.dtype.kind in FRACTIONAL else signum(input)


def lerp(input, end, weight):
    """input + weight·(end − input), exactly input where the weight is 0, and exactly end where it is 1."""
    way = sub(end, input)
    if type(weight) in NUMBERS:
        near = -0.5 < weight < 0.5
        return add(input, mul(weight, way)) if near else sub(end, mul(1 - weight, way))
    near = less(abs(weight), 0.5)
    return add(select(near, input, end), mul(select(near, weight, sub(weight, 1)), way))


def addcmul(input, tensor1, tensor2, *, value=1):
    """input + value·tensor1·tensor2."""
    return add(input, mul(scaled(tensor1, value), tensor2))


def addcdiv(input, tensor1, tensor2, *, value=1):
    """input + value·tensor1 / tensor2."""
    if all(x.dtype.kind not in FRACTIONAL for x in (tensor1, tensor2)):
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported: write .float(), or input + value * "
            "(tensor1 // tensor2)"
        )
    return add(input, div(scaled(tensor1, value), tensor2))


def scaled(x, value):
    """value·x."""
    return x if value == 1 else mul(x, value)


def nan_to_num(input, nan=0.0, posinf=None, neginf=None):
    """input with `nan` where it is NaN, and `posinf` and `neginf` for the infinities: the largest and the
    smallest number of its dtype, if they are None. The derivative is 0 there."""
    if input.dtype.kind != "f":
        return clone(input)
    limits = np.finfo(input.dtype)
    posinf, neginf = limits.max if posinf is None else posinf, limits.min if neginf is None else neginf
    finite = select(equal_to(input, math.inf), posinf, select(equal_to(input, -math.inf), neginf, input))
    return select(isnan(input), 0.0 if nan is None else nan, finite)


def clamp(input, min=None, max=None):
    """input limited to [min, max]; either may be None. The derivative is 1 on the closed interval."""
    if min is None and max is None:
        raise RuntimeError("At least one of 'min' or 'max' must not be None")
    input = input if min is None else clamp_min(input, min)
    return input if max is None else clamp_max(input, max)


def where(condition, input=None, other=None) -> Any:
    """input where the condition holds, else other; with the condition alone, its indices."""
    if input is None and other is None:
        from .indexing import nonzero  # the one-argument form is a search, not a choice

        return nonzero(condition, as_tuple=True)
    if type(input) in NUMBERS and type(other) in NUMBERS:
        dtype = result_dtype((input, other))
        input, other = np.asarray(input, dtype), np.asarray(other, dtype)
    return select(*operands(condition, input, other))


def softplus(input, beta: float = 1, threshold: float = 20):
    """log(1 + exp(beta·input)) / beta, and input itself where beta·input > threshold."""
    y = unit_softplus(input * beta) / beta if beta != 1 else unit_softplus(input)
    return select(greater(input * beta, threshold), input, y)


def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Is |input − other| ≤ atol + rtol·|other|?"""
    return near(input, other, rtol=rtol, atol=atol, equal_nan=equal_nan)


def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False) -> bool:
    """Is |input − other| ≤ atol + rtol·|other| everywhere?"""
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


def equal(input, other) -> bool:
    """Same shape and same elements?"""
    return tuple(input.shape) == tuple(other.shape) and bool(equal_to(input, other).all())
