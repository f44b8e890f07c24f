"""Names of the dtypes, the default one, and the one promotion table: PyTorch's rules, not NumPy's.

The kind decides first (bool < int < float < complex); within the winning kind only tensors with
dimensions have a say about the width, if there is one. So Python numbers, NumPy scalars and 0-d
tensors never widen: they are weak.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import quietly

bool = np.dtype(np.bool_)
uint8 = np.dtype(np.uint8)
int8 = np.dtype(np.int8)
int16 = short = np.dtype(np.int16)
int32 = int = np.dtype(np.int32)
int64 = long = np.dtype(np.int64)
float16 = half = np.dtype(np.float16)
float32 = float = np.dtype(np.float32)
float64 = double = np.dtype(np.float64)

# What PyTorch calls a Tensor of each.
TYPES = {
    bool: "BoolTensor", uint8: "ByteTensor", int8: "CharTensor", int16: "ShortTensor", int32: "IntTensor",
    int64: "LongTensor", float16: "HalfTensor", float32: "FloatTensor", float64: "DoubleTensor",
}  # fmt: skip

default = float32
KINDS = {builtins.bool: "b", builtins.int: "i", builtins.float: "f", complex: "c"}
RANK = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3, "O": 4}
NUMBERS = frozenset(KINDS)
FRACTIONAL = "fcO"  # the kinds that can hold a quotient; O are exact numbers, for the tests
DIFFERENTIABLE = "fO"  # the kinds of what can have a gradient


def get_default_dtype() -> np.dtype:
    """The dtype that Python floats become: float32 unless `set_default_dtype` said otherwise."""
    return default


def set_default_dtype(dtype) -> None:
    """Make `dtype`, a floating one, what Python floats become."""
    global default
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"only floating-point types are supported as the default type, got {dtype}")
    default = dtype


@quietly
def converted(array: np.ndarray, dtype, finite: builtins.bool = False) -> np.ndarray:
    """`array`, of a user's numbers, in `dtype`. What an integer type cannot hold is an error. What is too large for
    a floating type becomes infinite, or, if the result is to be `finite`, is an error, too."""
    dtype = np.dtype(dtype)
    new = array.astype(dtype)
    lost: Any = False
    if dtype.kind in "iu" and array.dtype.kind in "fiuO":
        whole = np.trunc(array) if array.dtype.kind == "f" else array
        lost = new.astype(array.dtype) != whole
        if dtype.kind == "u":  # negative numbers count from the end, as in PyTorch: -1 is the largest
            lost &= (array > 0) | (array < -np.iinfo(dtype).max) | (array != array)
    elif finite and dtype.kind == "f":
        lost = np.isinf(new) & np.isfinite(array)
    if np.any(lost):
        wrong = array[lost].flat[0] if array.ndim else array
        raise RuntimeError(f"value cannot be converted to type {dtype} without overflow: {wrong}")
    return new


def promote(arrays: Sequence, to_float: builtins.bool = False) -> Sequence:
    """`arrays`, with those of another dtype cast to the common one."""
    dtype, fractions = None, False
    for a in arrays:
        kind = type(a)
        if kind is np.ndarray:
            if dtype is None:
                dtype = a.dtype
            elif a.dtype is not dtype:
                break
        elif kind is builtins.float:
            fractions = True
        elif kind is not builtins.int:
            break
    else:
        if dtype is not None and (
            dtype.kind in FRACTIONAL or not (fractions or to_float or dtype.kind == "b")
        ):
            return arrays  # the usual case: Python numbers are weak in NumPy 2 as well
    dtype = result_dtype(arrays)
    if to_float and dtype.kind not in FRACTIONAL:
        dtype = default
    return [cast(a, dtype) for a in arrays]


def cast(a, dtype: np.dtype):
    """`a` as dtype. Python numbers stay weak, but take the kind."""
    if hasattr(a, "dtype"):
        return in_dtype(a, dtype) if a.dtype != dtype else a
    if type(a) is builtins.bool and dtype.kind in "iuf":
        return builtins.int(a)
    return a


def in_dtype(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A copy of `array` with its elements as `dtype`, in its order in memory; in row-major order if it repeats elements,
    for then it has none."""
    return array.astype(dtype, order="C" if 0 in array.strides else "K")


def result_dtype(arrays: Sequence) -> np.dtype:
    """The dtype in which these are to be combined."""
    rank = max(RANK[kind_of(a)] for a in arrays)
    for has_a_say in (strong, weak_array):
        dtypes = [a.dtype for a in arrays if has_a_say(a) and RANK[a.dtype.kind] == rank]
        if dtypes:
            return np.result_type(*dtypes)
    return (bool, int64, default, np.dtype(np.complex64), np.dtype(object))[rank]


def kind_of(a: Any) -> str:
    """The kind of an array's, a scalar's or a number's dtype, as NumPy letters it."""
    return a.dtype.kind if hasattr(a, "dtype") else KINDS.get(type(a), "O")


def strong(a: Any) -> builtins.bool:
    """Has it dimensions, and so a say about the width?"""
    return getattr(a, "ndim", 0) > 0


def weak_array(a: Any) -> builtins.bool:
    """A 0-d tensor: weaker than one with dimensions, but stronger than a Python number."""
    return isinstance(a, np.ndarray) and a.ndim == 0


def can_hold(target: np.dtype, result: np.dtype) -> builtins.bool:
    """May an in-place operation write `result` into `target`? Its kind must not be higher."""
    return RANK[result.kind] <= RANK[target.kind]
