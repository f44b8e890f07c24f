"""Names of torch itself that mean something only beside it: versions, dtypes' limits, compile, `out=`."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

import autodiff
from autodiff import Tensor, dtypes, is_grad_enabled, no_grad

from ..module import Module
from .files import load, save

__all__ = [
    "compile", "dtype", "e", "finfo", "get_default_device", "iinfo", "inf", "is_floating_point", "load",
    "nan", "newaxis", "numel", "pi", "save", "set_default_device", "set_float32_matmul_precision",
    "use_deterministic_algorithms",
]  # fmt: skip

# The PyTorch that signatures and texts are compared with, and who really answers.
VERSION = f"2.13.0+autodiff.{autodiff.__version__}"

e, inf, nan, newaxis, pi = math.e, math.inf, math.nan, None, math.pi
dtype = np.dtype


class finfo:
    """The limits of a floating-point dtype, of the default one unless another is given, as Python's numbers."""

    def __init__(self, type: Any = None):
        kind = np.dtype(autodiff.get_default_dtype() if type is None else type)
        if kind.kind != "f":
            raise TypeError(
                f"torch.finfo() requires a floating point input type, and {kind} is none. Use torch.iinfo"
            )
        limits = np.finfo(kind)
        self.resolution, self.min, self.max = 10.0**-limits.precision, float(limits.min), float(limits.max)
        self.eps, self.smallest_normal, self.tiny = map(float, (limits.eps, limits.tiny, limits.tiny))
        self.bits, self.dtype = limits.bits, kind.name

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __repr__(self) -> str:
        limits = [f"{name}={value:g}" for name, value in vars(self).items() if name not in ("bits", "dtype")]
        return f"{type(self).__name__}({', '.join(limits)}, dtype={self.dtype})"


class iinfo(finfo):
    """The limits of an integer dtype."""

    def __init__(self, type: Any):
        kind = np.dtype(type)
        if kind.kind not in "iu":
            raise TypeError(
                f"torch.iinfo() requires an integer input type, and {kind} is none. Use torch.finfo"
            )
        limits = np.iinfo(kind)
        self.min, self.max, self.bits, self.dtype = limits.min, limits.max, limits.bits, kind.name


def is_floating_point(input: Tensor) -> bool:
    """Does it hold floating-point numbers?"""
    return input.is_floating_point()


def numel(input: Tensor) -> int:
    """How many elements it has."""
    return input.numel()


def get_default_device() -> autodiff.device:
    """Where tensors are made: on the CPU."""
    return autodiff.device("cpu")


def set_default_device(device: Any) -> None:
    """Where tensors are made: only "cpu" is no error."""
    autodiff.device("cpu" if device is None else device)


def set_float32_matmul_precision(precision: str) -> None:
    """How much precision may be given up for speed. None is."""
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f"precision must be highest, high or medium, and not {precision!r}")


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """All there is here gives the same bits each time."""


# ---- compile -------------------------------------------------------------------------------------


class CompiledModule(Module):
    """A module whose forward is compiled; all else is the module's own. Like PyTorch's, it holds the
    module as `_orig_mod`, which stands in the names of its state_dict."""

    def __init__(self, module: Module):
        super().__init__()
        self._orig_mod = module
        self.training = module.training
        object.__setattr__(self, "_compiled_call", autodiff.compile(module))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._compiled_call(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "_orig_mod":
            return super().__getattr__(name)
        return getattr(self._orig_mod, name)


def compile(
    model: Any = None, *, fullgraph: bool = False, dynamic: bool | None = None, backend: Any = None,
    mode: str | None = None, options: dict | None = None, disable: bool = False, **others: Any,
) -> Any:  # fmt: skip
    """`autodiff.compile` for a function or a module; what chooses among PyTorch's compilers is
    ignored. A decorator, too."""
    if model is None:
        return lambda f: compile(f, disable=disable)
    if disable:
        return model
    return CompiledModule(model) if isinstance(model, Module) else autodiff.compile(model)


MAKERS = [
    "arange",
    "empty",
    "eye",
    "full",
    "linspace",
    "logspace",
    "ones",
    "rand",
    "randn",
    "randint",
    "randperm",
    "zeros",
]  # these take out=, too


# ---- out= ----------------------------------------------------------------------------------------


def with_out(function: Callable) -> Callable:
    """`function`, an operation, which also takes the tensor(s) that shall hold its result."""

    @wraps(function)
    def operation(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return function(*args, **kwargs)
        several = isinstance(out, (tuple, list))
        targets = out if several else (out,)
        given = (*args, *kwargs.values(), *targets)
        if is_grad_enabled() and any(isinstance(x, Tensor) and x.requires_grad for x in given):
            raise RuntimeError(
                f"{function.__name__}(): functions with out=... arguments don't support automatic "
                "differentiation, but one of the arguments requires grad. Leave out= away: y = f(x)"
            )
        result = function(*args, **kwargs)
        for target, value in zip(targets, result if several else (result,), strict=True):
            write(value, target)
        return out

    return operation


@no_grad
def write(value: Tensor, target: Tensor) -> None:
    """target ← value; an empty target takes its size."""
    if not dtypes.can_hold(target.dtype, value.dtype):
        raise RuntimeError(
            f"result type {value.dtype} can't be cast to the desired output type {target.dtype}"
        )
    if target.numel() == 0:
        target.data = value.to(target.dtype)
    elif target.shape == value.shape:
        target.copy_(value)
    else:
        raise RuntimeError(
            f"out has shape {list(target.shape)} and the result {list(value.shape)}: give it an empty tensor, "
            "or one of that shape"
        )
