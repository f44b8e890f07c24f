"""How a call is spelled: `dim` or `axis`, `keepdim` or `keepdims`, sizes as one tuple or many."""

from __future__ import annotations

from collections.abc import Iterable
from functools import wraps
from inspect import isfunction, signature, unwrap
from operator import index as as_int
from typing import Any

import numpy as np

from ..errors import NO_ARRAYS, ShapeError, not_a_tensor
from ..graph import Variable

ALIASES = {  # other names of a parameter: NumPy's, PyTorch's of a method, or of another form of the call
    "axis": "dim", "keepdims": "keepdim", "input": "x", "axis0": "dim0", "axis1": "dim1",
    "split_size": "split_size_or_sections", "indices": "indices_or_sections", "sections": "indices_or_sections",
}  # fmt: skip


def numpy_names(function):
    """`function`, whose `dim`, `keepdim` and `x` may be called `axis`, `keepdims` and `input` as well, and so for the
    other `ALIASES`. If it is a function of one Tensor, whatever else stands first is refused in PyTorch's words."""
    code = unwrap(function).__code__
    parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    aliases = {
        alias: name for alias, name in ALIASES.items() if name in parameters and alias not in parameters
    }
    of_one = parameters[0] in ("x", "input", "tensor")

    @wraps(function)
    def named(*args, **kwargs):
        if kwargs:
            for alias, name in aliases.items():
                if alias in kwargs:
                    if name in kwargs:
                        raise TypeError(f"{function.__name__}() got both '{name}' and '{alias}'")
                    kwargs[name] = kwargs.pop(alias)
        if of_one and args and type(args[0]) in NO_ARRAYS:
            raise not_a_tensor(function.__name__, args[0])
        return function(*args, **kwargs)

    return named


def for_tensors(namespace: dict[str, Any], *packages: str) -> None:
    """The functions in `namespace` that come from these packages, so changed that what should have been a Tensor
    is refused in PyTorch's words wherever a function finds out. Only what users call is: inside, it costs nothing."""
    for name, function in list(namespace.items()):
        if isfunction(function) and function.__module__.startswith(packages):
            made = namespace[name] = explained(function)
            made.__module__, made.__qualname__ = namespace["__name__"], name  # for pickle


def explained(function):
    """`function`, whose AttributeError about an argument is the TypeError that PyTorch raises for it."""

    @wraps(function)
    def checked(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except AttributeError as error:
            names = (*signature(function).parameters, *kwargs)
            better = no_tensor(error, function.__name__, names, (*args, *kwargs.values()))
            if better is None:
                raise
            raise better from None

    return checked


def no_tensor(error: AttributeError, function: str, names: Iterable[str], args: tuple) -> TypeError | None:
    """PyTorch's error, if what lacked an attribute of Tensors is one of the arguments, or stands in one."""
    if isinstance(error.obj, Variable):
        return None
    for k, (name, arg) in enumerate(zip(names, args, strict=False)):
        if arg is error.obj:
            return not_a_tensor(function, arg, "input" if name == "x" else name, k + 1)
        for i, each in enumerate(arg if isinstance(arg, (list, tuple)) else ()):
            if each is error.obj:
                kind = type(each).__name__
                return TypeError(
                    f"{function}(): expected Tensor as element {i} in argument {k}, but got {kind}"
                )
    return None


class Size(tuple):
    """The sizes of a Tensor's dimensions: a tuple, as are its slices and sums, that can also say how many elements
    they hold."""

    __slots__ = ()

    def numel(self) -> int:
        return int(np.prod(self, dtype=np.int64))

    def __getitem__(self, index) -> Any:
        found = super().__getitem__(index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other) -> Any:
        return Size((*self, *other)) if isinstance(other, tuple) else NotImplemented

    def __radd__(self, other) -> Any:
        return Size((*other, *self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, times) -> Any:
        return Size(tuple(self) * times) if isinstance(times, (int, np.integer)) else NotImplemented

    __rmul__ = __mul__

    def __repr__(self):
        return f"Size({list(self)})"


def sizes(given: tuple, whole=None) -> tuple:
    """2, 3 or (2, 3) or [2, 3] → (2, 3). `whole` is the tuple where it is given by its name, as size=(2, 3)."""
    given = given if whole is None else (whole,)
    if len(given) == 1 and not isinstance(given[0], (int, np.integer)):
        only = given[0]
        given = tuple(only) if np.iterable(only) else (only,)
    return tuple(as_int(n) for n in given)


def dimensions(dim, ndim) -> Any:
    """A dimension, several, or None for all: as a static option, hashable, of Python's ints."""
    if not isinstance(dim, (tuple, list)):
        return None if dim is None else as_int(dim)
    found = tuple(positive(d, ndim) for d in dim)
    for d in found:
        if found.count(d) > 1:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return (found or None) if ndim else None


def with_dimensions(name, x) -> None:
    """An error for a number, which has no dimension to work along."""
    if x.ndim == 0:
        raise ShapeError(f"{name} expects at least a 1-dimensional tensor, and got one of dimension 0")


def positive(dim: int, ndim: int) -> int:
    """`dim` counted from the front; an IndexError in PyTorch's words if there is none such."""
    dim = as_int(dim)
    size = max(ndim, 1)
    if not -size <= dim < size:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-size}, {size - 1}], but got {dim})"
        )
    return dim % size


def operands(*xs) -> Any:
    """Those given, unless none is a Variable: then NumPy arrays, so that `.shape` is there."""
    if any(isinstance(x, Variable) for x in xs):
        return xs
    return tuple(np.asarray(x) if x is not None else x for x in xs)
