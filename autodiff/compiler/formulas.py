"""Elementwise primitives as formulas of one element each; and the ways by which a primitive that only
moves elements finds the one that it wants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ops.indexing import ARRAY

# {a}, {b}, {c}: the operands' elements, in the dtype of the result (of the operands, where that is
# boolean); {one} and {zero}: numbers of that dtype.
FORMULAS = {
    "add": "({a} + {b})", "sub": "({a} - {b})", "mul": "({a} * {b})", "div": "({a} / {b})", "neg": "(-{a})",
    "pow": "({a} ** {b})", "square": "({a} * {a})", "reciprocal": "({one} / {a})", "abs": "abs({a})",
    "sign": "sign({a})", "floor": "floor({a})", "ceil": "ceil({a})",
    "round": "rint({a})", "floor_divide": "({a} // {b})", "remainder": "({a} % {b})", "fmod": "fmod({a}, {b})",
    "trunc": "trunc({a})", "trunc_divide": "trunc({a} / {b})",
    "exp": "exp({a})", "expm1": "expm1({a})", "log": "log({a})", "log1p": "log1p({a})", "log2": "log2({a})",
    "log10": "log10({a})", "sqrt": "sqrt({a})", "rsqrt": "({one} / sqrt({a}))",
    "sin": "sin({a})", "cos": "cos({a})", "tan": "tan({a})", "asin": "arcsin({a})", "acos": "arccos({a})",
    "atan": "arctan({a})", "atan2": "arctan2({a}, {b})", "sinh": "sinh({a})", "cosh": "cosh({a})",
    "tanh": "tanh({a})",
    "relu": "maximum({a}, {zero})", "sigmoid": "({one} / (exp(-{a}) + {one}))",
    "softplus": "(log1p(exp(-abs({a}))) + maximum({a}, {zero}))",
    "log_sigmoid": "(minimum({a}, {zero}) - log1p(exp(-abs({a}))))", "erf": "erf({a})",
    "maximum": "maximum({a}, {b})", "minimum": "minimum({a}, {b})",
    "clamp_min": "maximum({a}, {b})", "clamp_max": "minimum({a}, {b})",
    "eq": "({a} == {b})", "ne": "({a} != {b})", "lt": "({a} < {b})", "le": "({a} <= {b})",
    "gt": "({a} > {b})", "ge": "({a} >= {b})",
    "where": "({b} if {a} else {c})",
    "logical_and": "(({a} != {zero}) & ({b} != {zero}))", "logical_or": "(({a} != {zero}) | ({b} != {zero}))",
    "logical_xor": "(({a} != {zero}) ^ ({b} != {zero}))", "logical_not": "({a} == {zero})",
    "bitwise_and": "({a} & {b})", "bitwise_or": "({a} | {b})", "bitwise_xor": "({a} ^ {b})",
    "isnan": "({a} != {a})", "isinf": "isinf({a})", "isfinite": "isfinite({a})",
    "binary_cross_entropy":
        "(-({b} * maximum(log({a}), -{hundred}) + ({one} - {b}) * maximum(log({one} - {a}), -{hundred})))",
}  # fmt: skip
BOOLEAN = {"eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor", "logical_not",
           "isnan", "isinf", "isfinite"}  # fmt: skip
ON_BOOLEANS = {"bitwise_and", "bitwise_or", "bitwise_xor", "where"}  # others that may give booleans
# Formulas that are right for floating-point numbers only.
FLOATING = {"pow", "reciprocal", "sign", "floor", "ceil", "round", "trunc", "trunc_divide"}
# So cheap that a value may be computed wherever it is read.
FREE = {"neg", "eq", "ne", "lt", "le", "gt", "ge", "logical_not", "isnan", "astype", "as_whole"}
# So dear that a value is kept in memory where several elements of a larger one read it.
DEAR = {"exp", "expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "atan2",
        "sinh", "cosh", "tanh", "sigmoid", "softplus", "log_sigmoid", "erf", "pow", "div", "sqrt", "rsqrt",
        "reciprocal", "binary_cross_entropy"}  # fmt: skip

# The text of an index for each dimension: a number, a variable, or something in parentheses or brackets, so that any
# operator may stand beside it.
Index = tuple[str, ...]


LETTERS = "ijklmnop"  # of the variables that count places, by dimension; "k" also counts batches


def index_for(shape: tuple) -> Index:
    """The index of any element: a variable for each dimension, 0 where there is but one place."""
    return tuple("0" if n == 1 else LETTERS[d] for d, n in enumerate(shape))


def plus(index: str, n: int) -> str:
    """The text of index + n."""
    if index.isdecimal():
        return str(int(index) + n)
    return index if n == 0 else f"({index} {'+' if n > 0 else '-'} {abs(n)})"


def times(index: str, n: int) -> str:
    """The text of index · n."""
    if index.isdecimal():
        return str(int(index) * n)
    return index if n == 1 else f"({index} * {n})"


def stripped(text: str) -> str:
    """The text without parentheses around all of it."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for k, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0 and k < len(text) - 1:
            return text
    return text[1:-1]


# ---- moves: (index of the result, shape of the operand, shape of the result, options) → the index of
# ---- the operand's element. A formula that also needs to know where it stands is not among them.


def broadcast(index: Index, shape: tuple, to: tuple = (), **_) -> Index:
    """The operand's element where it is stretched to a larger shape."""
    if not shape:
        return ()
    last = index[len(index) - len(shape) :]
    return tuple("0" if n == 1 else i for i, n in zip(last, shape, strict=True))


def spread(index: Index, shape: tuple, *, dim, keepdim, to) -> Index:
    if dim is None:
        return ("0",) * len(shape)
    dims = {d % len(to) for d in (dim if isinstance(dim, tuple) else (dim,))}
    if len(shape) == len(to):
        return tuple("0" if d in dims else i for d, i in enumerate(index))
    return tuple(i for d, i in enumerate(index) if d not in dims)


def reshape(index: Index, shape: tuple, to: tuple) -> Index:
    """Groups of dimensions that hold equally many elements are worked out by themselves."""
    if 0 in shape:  # nobody will ask
        return ("0",) * len(shape)
    result: list[str] = []
    a = b = 0  # the group's first dimensions, in `to` and in `shape`
    while a < len(to) or b < len(shape):
        if a < len(to) and to[a] == 1:
            a += 1
            continue
        if b < len(shape) and shape[b] == 1:
            result.append("0")
            b += 1
            continue
        c, d, size, other = a + 1, b + 1, to[a], shape[b]
        while size != other:
            if size < other:
                size, c = size * to[c], c + 1
            else:
                other, d = other * shape[d], d + 1
        terms, stride = [], 1
        for k in range(c - 1, a - 1, -1):
            if to[k] != 1:
                terms.insert(0, stripped(times(index[k], stride)))
            stride *= to[k]
        flat = " + ".join(terms)
        flat = flat if flat.isalnum() else f"({flat})"
        if d == b + 1:
            result.append(flat)
        else:
            stride = other
            for k in range(b, d):
                stride //= shape[k]
                part = f"{flat} // {stride}" if stride > 1 else flat
                part = part if k == b else f"{part} % {shape[k]}"
                result.append(part if part == flat else f"({part})")
        a, b = c, d
    return tuple(result)


def permute(index: Index, shape: tuple, *, dims) -> Index:
    result = [""] * len(shape)
    for place, d in enumerate(dims if dims is not None else reversed(range(len(shape)))):
        result[d % len(shape)] = index[place]
    return tuple(result)


def flip(index: Index, shape: tuple, *, dim) -> Index:
    dims = range(len(shape)) if dim is None else dim if isinstance(dim, tuple) else (dim,)
    dims = {d % len(shape) for d in dims}
    return tuple(f"({shape[d] - 1} - {i})" if d in dims else i for d, i in enumerate(index))


def roll(index: Index, shape: tuple, *, shifts, dim) -> Index:
    shifts = shifts if isinstance(shifts, tuple) else (shifts,)
    dims = dim if isinstance(dim, tuple) else (dim,)
    result = list(index)
    for s, d in zip(shifts, dims, strict=True):
        d %= len(shape)
        if shape[d] and s % shape[d]:
            result[d] = f"({plus(result[d], shape[d] - s % shape[d])} % {shape[d]})"
    return tuple(result)


def diagonal(index: Index, shape: tuple, *, offset, dim1, dim2) -> Index:
    dim1, dim2 = dim1 % len(shape), dim2 % len(shape)
    rest = iter(index[:-1])
    k, result = index[-1], []
    for d in range(len(shape)):
        if d == dim1:
            result.append(plus(k, max(-offset, 0)))
        elif d == dim2:
            result.append(plus(k, max(offset, 0)))
        else:
            result.append(next(rest))
    return tuple(result)


def crop(index: Index, shape: tuple, *, widths) -> Index:
    return tuple(plus(i, before) for i, (before, _) in zip(index, widths, strict=True))


def tile(index: Index, shape: tuple, *, repeats) -> Index:
    last = index[len(index) - len(shape) :]
    return tuple("0" if n == 1 else f"({i} % {n})" for i, n in zip(last, shape, strict=True))


def taken(index: Index, shape: tuple, *, template, arrays=()) -> Index:
    """x[template] with the texts of the index arrays' elements filled in, in NumPy's order."""
    places = iter(index)
    used = sum(e is not None and e is not Ellipsis for e in template)
    entries: list[Any] = []
    for e in template if Ellipsis in template else (*template, Ellipsis):
        entries += [slice(None)] * (len(shape) - used) if e is Ellipsis else [e]
    result, d = [], 0
    texts = iter(arrays)
    for e in entries:
        if e is None:
            next(places)
        elif e is ARRAY:
            result.append(next(texts))
            d += 1
        elif isinstance(e, slice):
            start, _, step = e.indices(shape[d])
            i = next(places)
            result.append(plus(times(i, step), start))
            d += 1
        else:
            result.append(str(e % shape[d]))
            d += 1
    return tuple(result)


MOVES = {
    "broadcast_to": broadcast, "spread": spread, "reshape": reshape, "permute": permute, "flip": flip,
    "roll": roll, "diagonal": diagonal, "crop": crop, "tile": tile,
}  # fmt: skip
SAME = {"identity", "clone", "detach", "contiguous"}  # the very same elements, in the same shape


def literal(value: Any, dtype: np.dtype) -> str:
    """A number as the generated source writes it, so that it has this dtype there."""
    if dtype == np.bool_:
        return str(bool(value))
    if dtype.kind in "iu":
        return str(int(value)) if dtype == np.int64 else f"{dtype}({int(value)})"
    value = float(value)
    text = repr(value)
    if dtype == np.float32:  # the shortest text that gives the same single-precision number
        value32 = np.float32(value)
        text = str(value32) if np.isfinite(value32) else repr(float(value32))
    if math.isinf(value) or math.isnan(value) or text in ("inf", "-inf", "nan"):
        text = "nan" if math.isnan(value) else "-inf" if text.startswith("-") else "inf"
    if text.endswith(".0") and dtype == np.float32 and text != "-0.0":  # the whole number 0 has no sign
        text = text[:-2]
    return text if dtype == np.float64 else f"{dtype}({text})"
