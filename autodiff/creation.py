"""Tensors made from numbers: PyTorch's constructors."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from . import dtypes, memory
from .ops.naming import sizes
from .tensor import Tensor, as_array, device_class


def finished(array: np.ndarray, requires_grad: builtins.bool, device=None) -> Tensor:
    if device is not None:
        device_class(device)
    t = Tensor.wrap(array)
    return t.requires_grad_() if requires_grad else t


def tensor(data: Any, *, dtype=None, device=None, requires_grad: builtins.bool = False) -> Tensor:
    """A new Tensor with a copy of `data`: a number, nested lists, an array. Python floats become
    the default dtype, an array keeps its own."""
    return finished(np.array(as_array(data, dtype), dtype), requires_grad, device)


def as_tensor(data: Any, dtype=None, device=None) -> Tensor:
    """`data` as a Tensor: itself if it is one, and an array's memory shared."""
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    array = as_array(data, dtype)
    if dtype is not None:
        array = array.astype(dtype, copy=False)
    if isinstance(data, np.ndarray):
        memory.note_export(array)
    return finished(array, False, device)


def from_numpy(array: np.ndarray) -> Tensor:
    """A Tensor on the array's own memory."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    memory.note_export(array)
    return Tensor.wrap(array)


def from_dlpack(other) -> Tensor:
    """A Tensor on the memory of another library's array."""
    return from_numpy(np.from_dlpack(other))


def filled(make):
    """A constructor of `size` from NumPy's."""

    def constructor(*size, dtype=None, requires_grad=False, device=None) -> Tensor:
        array = make(sizes(size), dtype or dtypes.get_default_dtype())
        return finished(array, requires_grad, device)

    constructor.__name__, constructor.__doc__ = make.__name__, f"A Tensor of {make.__name__}."
    return constructor


zeros, ones, empty = filled(np.zeros), filled(np.ones), filled(np.empty)


def full(size, fill_value, *, dtype=None, requires_grad=False, device=None) -> Tensor:
    """A Tensor of `fill_value` everywhere, of its dtype unless another is given."""
    dtype = dtype or as_array(fill_value).dtype
    return finished(np.full(sizes((size,)), fill_value, dtype), requires_grad, device)


def zeros_like(x, *, dtype=None, requires_grad=False) -> Tensor:
    """Zeros of x's shape and dtype."""
    return finished(np.zeros(x.shape, dtype or x.dtype), requires_grad)


def ones_like(x, *, dtype=None, requires_grad=False) -> Tensor:
    """Ones of x's shape and dtype."""
    return finished(np.ones(x.shape, dtype or x.dtype), requires_grad)


def empty_like(x, *, dtype=None, requires_grad=False) -> Tensor:
    """A Tensor of x's shape and dtype, its values whatever was in memory."""
    return finished(np.empty(x.shape, dtype or x.dtype), requires_grad)


def full_like(x, fill_value, *, dtype=None, requires_grad=False) -> Tensor:
    """`fill_value` in x's shape and dtype."""
    return finished(np.full(x.shape, fill_value, dtype or x.dtype), requires_grad)


def arange(start, end=None, step=1, *, dtype=None, requires_grad=False, device=None) -> Tensor:
    """start, start + step, … below end; arange(end) starts at 0."""
    if end is None:
        start, end = 0, start
    whole = all(isinstance(each, (int, np.integer)) for each in (start, end, step))
    dtype = dtype or (dtypes.int64 if whole else dtypes.get_default_dtype())
    return finished(np.arange(start, end, step).astype(dtype), requires_grad, device)


def linspace(start, end, steps, *, dtype=None, requires_grad=False, device=None) -> Tensor:
    """`steps` numbers evenly from start to end, both included."""
    array = np.linspace(start, end, steps, dtype=dtype or dtypes.get_default_dtype())
    return finished(array, requires_grad, device)


def eye(n, m=None, *, dtype=None, requires_grad=False, device=None) -> Tensor:
    """The identity matrix."""
    return finished(np.eye(n, m, dtype=dtype or dtypes.get_default_dtype()), requires_grad, device)


def is_tensor(x) -> builtins.bool:
    return isinstance(x, Tensor)
