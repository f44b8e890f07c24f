"""NumPy's functions and operators, answered by the table when a Tensor is among their arguments.

A ufunc is answered by the primitive that declares it; a function by the one of the same meaning,
with NumPy's arguments and NumPy's defaults. What has no answer is an error that says what to write.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ..graph import Variable
from ..primitive import table
from . import contractions, elementwise, indexing, reductions, shapes


@cache
def ufuncs() -> dict[Any, Any]:
    """ufunc → primitive or function."""
    found = {p.ufunc: p for p in table.values() if p.ufunc is not None}
    return found | {np.matmul: contractions.matmul, np.power: elementwise.pow}


def apply_ufunc(ufunc, method, inputs, options) -> Any:
    """Tensor.__array_ufunc__."""
    name = ufunc.__name__
    if method != "__call__":
        raise TypeError(
            f"np.{name}.{method} does not differentiate: for np.add.reduce write x.sum(dim), for "
            "np.maximum.reduce x.amax(dim), for np.multiply.reduce x.prod(dim)"
        )
    if options.get("out") is not None:
        raise TypeError(
            f"np.{name} cannot write a Tensor's result into an array (an in-place operator on an "
            "ndarray, or out=): write a = a + t instead of a += t, and drop out="
        )
    if any(value is not None for value in options.values()):
        raise TypeError(f"np.{name} takes no {', '.join(options)} on a Tensor: apply them afterwards")
    answer = ufuncs().get(ufunc)
    if answer is None:
        raise TypeError(
            f"np.{name} has no derivative here: write it with the functions of autodiff, or take "
            "x.detach().numpy() if no gradient is wanted"
        )
    if not any(isinstance(x, Variable) for x in inputs):
        return NotImplemented
    return answer(*inputs)


def apply_function(function, args, kwargs) -> Any:
    """Tensor.__array_function__."""
    answer = functions().get(function)
    if answer is None:
        name = f"{function.__module__}.{function.__name__}"
        raise TypeError(
            f"{name} does not take Tensors: write it with the functions of autodiff, or take "
            "x.detach().numpy() if no gradient is wanted"
        )
    return answer(*args, **kwargs)


def _sum(a, axis=None, dtype=None, keepdims=False):
    return reductions.sum(a, axis, keepdims, dtype=dtype)


def _reduction(function):
    def answer(a, axis=None, keepdims=False):
        return function(a, axis, keepdims)

    return answer


def _deviation(function):
    """NumPy's correction is 0, PyTorch's 1."""

    def answer(a, axis=None, ddof=0, keepdims=False):
        return function(a, axis, keepdim=keepdims, correction=ddof)

    return answer


def _flat_or_along(function):
    def answer(a, axis=None):
        return function(shapes.reshape(a, -1), 0) if axis is None else function(a, axis)

    return answer


def _transpose(a, axes=None):
    return shapes.T(a) if axes is None else shapes.permute(a, *axes)


def _expand_dims(a, axis):
    return shapes.unsqueeze(a, axis)


def _swapaxes(a, axis1, axis2):
    return shapes.transpose(a, axis1, axis2)


def _reshape(a, shape, order="C"):
    if order != "C":
        raise TypeError("np.reshape on a Tensor takes order='C' only: transpose first")
    return shapes.reshape(a, shape)


def _concatenate(arrays, axis=0):
    tensors = as_tensors(arrays)
    return shapes.cat([shapes.reshape(t, -1) for t in tensors] if axis is None else tensors, axis or 0)


def _stack(arrays, axis=0):
    return shapes.stack(as_tensors(arrays), axis)


def as_tensors(arrays) -> list:
    """Arrays among Tensors, as Tensors of the same class."""
    like = next(a for a in arrays if isinstance(a, Variable))
    return [a if isinstance(a, Variable) else like.wrap(np.asarray(a)) for a in arrays]


def _flip(m, axis=None):
    axes = range(m.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return shapes.flip(m, *axes)


def _repeat(a, repeats, axis=None):
    return indexing.repeat_interleave(a, repeats, axis)


def _take(a, indices, axis=None):
    if axis is None:
        return indexing.take(a, indices)
    return indexing.at(a, axis, indexing.as_index(indices))


def _sort(a, axis=-1):
    return indexing.sort(a, axis).values


def _norm(x, ord=None, axis=None, keepdims=False):
    if x.ndim == 2 and axis is None and ord not in (None, "fro"):
        raise TypeError("np.linalg.norm of a matrix by an order is not made here: give axis=")
    return reductions.norm(x, 2 if ord is None else ord, axis, keepdims)


def _clip(a, a_min=None, a_max=None, *, min=None, max=None):
    return elementwise.clamp(a, a_min if min is None else min, a_max if max is None else max)


def _dot(a, b):
    if not (hasattr(a, "ndim") and hasattr(b, "ndim") and a.ndim and b.ndim):
        return elementwise.mul(a, b)
    if b.ndim == 1:
        return contractions.matmul(a, b)
    return contractions.tensordot(a, b, ([-1], [-2]))


def _diagonal(a, offset=0, axis1=0, axis2=1):
    return shapes.diagonal(a, offset, axis1, axis2)


def _round(a, decimals=0):
    return elementwise.round(a, decimals=decimals)


def _outer(a, b):
    a, b = as_tensors([a, b])
    return contractions.outer(shapes.reshape(a, -1), shapes.reshape(b, -1))


@cache
def functions() -> dict[Any, Any]:
    """NumPy's function → ours."""
    return {
        np.sum: _sum, np.mean: _reduction(reductions.mean), np.prod: _reduction(reductions.prod),
        np.max: _reduction(reductions.amax), np.min: _reduction(reductions.amin),
        np.all: _reduction(reductions.all), np.any: _reduction(reductions.any),
        np.argmax: _reduction(reductions.argmax), np.argmin: _reduction(reductions.argmin),
        np.var: _deviation(reductions.var), np.std: _deviation(reductions.std),
        np.cumsum: _flat_or_along(reductions.cumsum), np.cumprod: _flat_or_along(reductions.cumprod),
        np.linalg.norm: _norm, np.clip: _clip, np.where: elementwise.where, np.round: _round,
        np.allclose: elementwise.allclose, np.isclose: elementwise.isclose, np.array_equal: elementwise.equal,
        np.reshape: _reshape, np.ravel: lambda a: shapes.reshape(a, -1), np.transpose: _transpose,
        np.squeeze: lambda a, axis=None: shapes.squeeze(a, axis), np.expand_dims: _expand_dims,
        np.swapaxes: _swapaxes, np.moveaxis: shapes.movedim, np.broadcast_to: shapes.broadcast_to,
        np.tile: lambda A, reps: shapes.tile(A, reps), np.repeat: _repeat, np.flip: _flip,
        np.roll: lambda a, shift, axis=None: shapes.roll(a, shift, axis), np.concatenate: _concatenate,
        np.stack: _stack, np.tril: lambda m, k=0: shapes.tril(m, k), np.triu: lambda m, k=0: shapes.triu(m, k),
        np.diagonal: _diagonal, np.diag: lambda v, k=0: shapes.diag(v, k),
        np.take: _take, np.sort: _sort, np.argsort: lambda a, axis=-1: indexing.argsort(a, axis),
        np.nonzero: lambda a: indexing.nonzero(a, as_tuple=True), np.copy: shapes.clone,
        np.einsum: contractions.einsum, np.tensordot: lambda a, b, axes=2: contractions.tensordot(a, b, axes),
        np.dot: _dot, np.outer: _outer, np.inner: contractions.inner,
        np.ndim: lambda a: a.ndim, np.shape: lambda a: tuple(a.shape), np.size: lambda a: a.numel(),
        np.zeros_like: lambda a: a.new_zeros(*a.shape), np.ones_like: lambda a: a.new_ones(*a.shape),
    }  # fmt: skip
