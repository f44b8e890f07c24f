"""Tensors made from numbers: PyTorch's constructors."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from . import dtypes, memory
from .errors import quietly
from .graph import tell
from .kernels.alignment import aligned
from .ops.naming import Size, explained, sizes
from .tensor import Tensor, as_array, finished, new_array


def tensor(data: Any, *, dtype=None, device=None, requires_grad: builtins.bool = False) -> Tensor:
    """A new Tensor with a copy of `data`: a number, nested lists, an array. Python floats become
    the default dtype, an array keeps its own."""
    if isinstance(data, Tensor):
        tell("observed", data, "by tensor()")
    return finished(new_array(data, dtype), requires_grad, device)


def as_tensor(data: Any, dtype=None, device=None) -> Tensor:
    """`data` as a Tensor: itself if it is one, and an array's memory shared."""
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)  # in the graph that it is in
    array = as_array(data, dtype)
    if dtype is not None and array.dtype != dtype:
        array = new_array(data, dtype)
    if isinstance(data, np.ndarray):
        memory.note_export(array)
    return finished(array, False, device)


asarray = as_tensor


def from_numpy(array: np.ndarray) -> Tensor:
    """A Tensor on the array's own memory."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    memory.note_export(array)
    return Tensor.wrap(array)


def shaped(name: str, given: tuple, size=None) -> tuple:
    """The shape that a constructor was given."""
    try:
        shape = sizes(given, size)
    except TypeError as error:
        raise TypeError(f"{name}(): argument 'size' must be tuple of ints: {error}") from None
    if any(n < 0 for n in shape):
        wrong = next(n for n in shape if n < 0)
        raise RuntimeError(
            f"{name}(): Trying to create tensor with negative dimension {wrong}: {list(shape)}"
        )
    return shape


def of_ones(shape: tuple, dtype) -> np.ndarray:
    """An array of ones, which begins at a line of the cache if it is large."""
    array = aligned(shape, dtype)
    array.fill(1)
    return array


def filled(make: Callable) -> Callable[..., Tensor]:
    """A constructor of `size` from a function of shape and dtype."""
    name = make.__name__

    def constructor(*shape, size=None, dtype=None, requires_grad=False, device=None) -> Tensor:
        array = make(shaped(name, shape, size), dtype or dtypes.get_default_dtype())
        return finished(array, requires_grad, device)

    constructor.__name__ = constructor.__qualname__ = name
    constructor.__doc__ = make.__doc__
    return constructor


@filled
def zeros(shape, dtype):
    """A Tensor of zeros."""
    return aligned(shape, dtype, np.zeros)


@filled
def ones(shape, dtype):
    """A Tensor of ones."""
    return of_ones(shape, dtype)


@filled
def empty(shape, dtype):
    """A Tensor whose values are whatever was in memory."""
    return aligned(shape, dtype)


def full(size, fill_value, *, dtype=None, requires_grad=False, device=None) -> Tensor:
    """A Tensor of `fill_value` everywhere, of its dtype unless another is given."""
    value = as_array(fill_value, dtype)
    value = value if dtype is None else dtypes.converted(value, dtype)
    return finished(np.full(shaped("full", (size,)), value), requires_grad, device)


@explained
def zeros_like(input, *, dtype=None, requires_grad=False, device=None) -> Tensor:
    """Zeros of input's shape and dtype."""
    return finished(aligned(input.shape, dtype or input.dtype, np.zeros), requires_grad, device)


@explained
def ones_like(input, *, dtype=None, requires_grad=False, device=None) -> Tensor:
    """Ones of input's shape and dtype."""
    return finished(of_ones(input.shape, dtype or input.dtype), requires_grad, device)


@explained
def empty_like(input, *, dtype=None, requires_grad=False, device=None) -> Tensor:
    """A Tensor of input's shape and dtype, its values whatever was in memory."""
    return finished(aligned(input.shape, dtype or input.dtype), requires_grad, device)


@explained
def full_like(input, fill_value, *, dtype=None, requires_grad=False, device=None) -> Tensor:
    """`fill_value` in input's shape and dtype."""
    dtype = dtype or input.dtype
    value = dtypes.converted(as_array(fill_value, dtype), dtype)
    return finished(np.full(input.shape, value), requires_grad, device)


@quietly
def arange(start=0, end=None, step=1, *, dtype=None, requires_grad=False, device=None) -> Tensor:
    """start, start + step, … below end; arange(end) starts at 0."""
    if end is None:
        start, end = 0, start
    start, end, step = (each.item() if isinstance(each, Tensor) else each for each in (start, end, step))
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(
            f"upper bound and lower bound inconsistent with step sign: from {start} to {end} by {step}"
        )
    whole = all(isinstance(each, (int, np.integer)) for each in (start, end, step))
    dtype = dtype or (dtypes.int64 if whole else dtypes.get_default_dtype())
    return finished(np.arange(start, end, step).astype(dtype), requires_grad, device)


@quietly
def linspace(start, end, steps, *, dtype=None, requires_grad=False, device=None) -> Tensor:
    """`steps` numbers evenly from start to end, both included."""
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    start, end = (each.item() if isinstance(each, Tensor) else each for each in (start, end))
    dtype = np.dtype(dtype or dtypes.get_default_dtype())
    array = np.linspace(start, end, steps)
    return finished((array if dtype.kind == "f" else np.trunc(array)).astype(dtype), requires_grad, device)


@quietly
def logspace(start, end, steps, base=10.0, *, dtype=None, requires_grad=False, device=None) -> Tensor:
    """base to the powers of `linspace`."""
    exponents = linspace(start, end, steps, dtype=dtypes.float64, device=device).array
    array = np.power(base, exponents).astype(dtype or dtypes.get_default_dtype())
    return finished(array, requires_grad)


def tril_indices(row, col, offset=0, *, dtype=None, device=None) -> Tensor:
    """Where the lower triangle of a matrix (row, col) is: the rows, and the columns."""
    return finished(np.stack(np.tril_indices(row, offset, col)).astype(dtype or dtypes.int64), False, device)


def triu_indices(row, col, offset=0, *, dtype=None, device=None) -> Tensor:
    """Where the upper triangle of a matrix (row, col) is: the rows, and the columns."""
    return finished(np.stack(np.triu_indices(row, offset, col)).astype(dtype or dtypes.int64), False, device)


def eye(n, m=None, *, dtype=None, requires_grad=False, device=None) -> Tensor:
    """The identity matrix."""
    return finished(np.eye(n, m, dtype=dtype or dtypes.get_default_dtype()), requires_grad, device)


# ---- Tensors of one dtype, by the names that PyTorch had for them first ---------------------------


class OfOneDtype(type):
    """The class of FloatTensor and its kin: isinstance asks a Tensor for its dtype."""

    dtype: np.dtype

    def __call__(cls, *data: Any) -> Any:
        """Of elements, or of sizes."""
        if len(data) == 1 and isinstance(data[0], Size):
            data = data[0]
        if data and all(isinstance(n, int) and not isinstance(n, builtins.bool) for n in data):
            return empty(*data, dtype=cls.dtype)
        if len(data) > 1:
            raise TypeError(f"{cls.__name__} takes the elements, as a sequence, or the sizes")
        return tensor(data[0] if data else [], dtype=cls.dtype)

    def __instancecheck__(cls, x: Any) -> builtins.bool:
        return isinstance(x, Tensor) and x.dtype == cls.dtype

    def __repr__(cls):
        return f"<constructor {cls.__name__}>"


(
    BoolTensor, ByteTensor, CharTensor, ShortTensor, IntTensor, LongTensor, HalfTensor, FloatTensor, DoubleTensor,
) = (OfOneDtype(name, (), {"dtype": dtype}) for dtype, name in dtypes.TYPES.items())  # fmt: skip


# ---- questions ------------------------------------------------------------------------------------


def is_tensor(x) -> builtins.bool:
    """Is it a Tensor?"""
    return isinstance(x, Tensor)


@explained
def is_floating_point(input) -> builtins.bool:
    """Can its elements have a fraction?"""
    return input.is_floating_point()


@explained
def is_nonzero(input) -> builtins.bool:
    """Is its only element not 0?"""
    return builtins.bool(input)


@explained
def numel(input) -> builtins.int:
    """How many elements it has."""
    return input.numel()


def typename(x) -> str:
    """A Tensor's type as PyTorch calls it, or the class's name of anything else."""
    return str(x.type()) if isinstance(x, Tensor) else f"{type(x).__module__}.{type(x).__qualname__}"


def promote_types(type1, type2) -> np.dtype:
    """The dtype in which Tensors of these two are combined."""
    return dtypes.result_dtype([np.empty(1, each) for each in (type1, type2)])


def result_type(tensor1, tensor2) -> np.dtype:
    """The dtype in which these, Tensors or numbers, are combined."""
    return dtypes.result_dtype([x.array if isinstance(x, Tensor) else x for x in (tensor1, tensor2)])


def can_cast(from_, to) -> builtins.bool:
    """May an in-place operation write numbers of the one dtype into the other?"""
    return dtypes.can_hold(np.dtype(to), np.dtype(from_))
