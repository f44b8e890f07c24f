"""NumPy's functions and operators, answered by the table when a Tensor is among their arguments.

A ufunc is answered by the primitive that declares it; a function by the one of the same meaning,
with NumPy's arguments and NumPy's defaults. What has no answer is an error that says what to write.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import numpy as np

from ..graph import Variable
from ..primitive import table
from . import arranging, contractions, elementwise, indexing, reductions, shapes
from .naming import positive


@cache
def ufuncs() -> dict[Any, Any]:
    """ufunc → primitive or function."""
    found = {p.ufunc: p for p in table.values() if p.ufunc is not None}
    return found | {
        np.matmul: contractions.matmul, np.power: elementwise.pow, np.fabs: elementwise.abs,
        np.positive: shapes.clone, np.rint: elementwise.round,
    }  # fmt: skip


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
    signature = inspect.signature(answer)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(
            f"np.{function.__name__}: {error}. On a Tensor it is called as "
            f"np.{function.__name__}{signature}: write the rest with the functions of autodiff"
        ) from None
    return answer(*args, **kwargs)


def _sum(a, axis=None, dtype=None, keepdims=False):
    return reductions.sum(a, axis, keepdims, dtype=dtype)


def _mean(a, axis=None, dtype=None, keepdims=False):
    return reductions.mean(a, axis, keepdims, dtype=dtype)


def _prod(a, axis=None, dtype=None, keepdims=False):
    return reductions.prod(a, axis, keepdims, dtype=dtype)


def _reduction(function):
    def answer(a, axis=None, keepdims=False):
        return function(a, axis, keepdims)

    return answer


def _deviation(function):
    """NumPy's correction is 0, PyTorch's 1."""

    def answer(a, axis=None, ddof=0, keepdims=False, *, correction=None):
        return function(a, axis, keepdim=keepdims, correction=ddof if correction is None else correction)

    return answer


def _flat_or_along(function):
    def answer(a, axis=None):
        return function(shapes.reshape(a, -1), 0) if axis is None else function(a, axis)

    return answer


def _transpose(a, axes=None):
    return shapes.T(a) if axes is None else shapes.permute(a, *axes)


def _squeeze(a, axis=None):
    axes = () if axis is None else axis if isinstance(axis, tuple) else (axis,)
    for one in axes:  # PyTorch leaves it as it is, without a word
        if a.shape[one] != 1:
            raise ValueError(f"cannot squeeze axis {one} of size {a.shape[one]}: only one of size 1")
    return shapes.squeeze(a, axis)


def _expand_dims(a, axis):
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    ndim = a.ndim + len(axes)
    for place in sorted(positive(place, ndim) for place in axes):
        a = shapes.unsqueeze(a, place)
    return a


def _swapaxes(a, axis1, axis2):
    return shapes.transpose(a, axis1, axis2)


def _reshape(a, shape, order="C"):
    if order != "C":
        raise TypeError(f"on a Tensor, order='C' only, and not {order!r}: transpose first")
    return shapes.reshape(a, shape)


def _ravel(a, order="C"):
    return _reshape(a, -1, order)


def _concatenate(arrays, axis=0):
    tensors = as_tensors(arrays)
    return shapes.cat([shapes.reshape(t, -1) for t in tensors] if axis is None else tensors, axis or 0)


def _stack(arrays, axis=0):
    return shapes.stack(as_tensors(arrays), axis)


def _vstack(tup):
    return arranging.vstack(as_tensors(tup))


def _hstack(tup):
    return arranging.hstack(as_tensors(tup))


def _split(ary, indices_or_sections, axis=0):
    size = ary.shape[axis]
    if np.iterable(indices_or_sections):  # where to cut; NumPy's own slices say where that is
        cuts = [0, *(slice(None, cut).indices(size)[1] for cut in indices_or_sections), size]
        parts = zip(cuts[:-1], cuts[1:], strict=True)
        return [indexing.narrow(ary, axis, start, max(stop - start, 0)) for start, stop in parts]
    if size % indices_or_sections:
        raise ValueError(f"{size} along axis {axis} is not divisible into {indices_or_sections} equal parts")
    return list(shapes.split(ary, max(size // indices_or_sections, 1), axis))


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
    return indexing.sort(shapes.reshape(a, -1) if axis is None else a, -1 if axis is None else axis).values


def _argsort(a, axis=-1):
    return indexing.argsort(shapes.reshape(a, -1) if axis is None else a, -1 if axis is None else axis)


def _take_along_axis(arr, indices, axis=-1):
    return indexing.take_along_dim(arr, indices, axis)


def _trace(a, offset=0, axis1=0, axis2=1):
    return reductions.sum(shapes.diagonal(a, offset, axis1, axis2), -1)


def _vdot(a, b):
    a, b = as_tensors([a, b])
    return contractions.matmul(shapes.reshape(a, -1), shapes.reshape(b, -1))


def _diff(a, n=1, axis=-1):
    for _ in range(n):
        size = a.shape[axis]
        later, earlier = min(size, 1), max(size - 1, 0)
        a = indexing.narrow(a, axis, later, earlier) - indexing.narrow(a, axis, 0, earlier)
    return a


def _meshgrid(*xi, indexing="xy"):
    return list(shapes.meshgrid(*as_tensors(xi), indexing=indexing))


def _size(a, axis=None):
    return a.numel() if axis is None else a.shape[axis]


def _filled(method):
    """zeros_like and its like: a tensor of `a`'s shape and dtype, or of those given."""

    def answer(a, dtype=None, *, shape=None):
        return getattr(a, method)(tuple(a.shape) if shape is None else shape, dtype=dtype)

    return answer


def _full_like(a, fill_value, dtype=None, *, shape=None):
    return a.new_full(tuple(a.shape) if shape is None else shape, fill_value, dtype=dtype)


def _norm(x, ord=None, axis=None, keepdims=False):
    matrix = x.ndim == 2 if axis is None else isinstance(axis, tuple) and len(axis) == 2
    if matrix and ord not in (None, "fro"):
        raise TypeError("np.linalg.norm of a matrix by an order is not made here: give one axis, or no ord")
    if matrix:
        ord = None
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
        np.sum: _sum, np.mean: _mean, np.prod: _prod,
        np.max: _reduction(reductions.amax), np.min: _reduction(reductions.amin),
        np.amax: _reduction(reductions.amax), np.amin: _reduction(reductions.amin),
        np.all: _reduction(reductions.all), np.any: _reduction(reductions.any),
        np.argmax: _reduction(reductions.argmax), np.argmin: _reduction(reductions.argmin),
        np.var: _deviation(reductions.var), np.std: _deviation(reductions.std),
        np.cumsum: _flat_or_along(reductions.cumsum), np.cumprod: _flat_or_along(reductions.cumprod),
        np.linalg.norm: _norm, np.clip: _clip, np.where: elementwise.where, np.round: _round, np.around: _round,
        np.allclose: elementwise.allclose, np.isclose: elementwise.isclose, np.array_equal: elementwise.equal,
        np.reshape: _reshape, np.ravel: _ravel, np.transpose: _transpose, np.matrix_transpose: lambda x: x.mT,
        np.squeeze: _squeeze, np.expand_dims: _expand_dims,
        np.swapaxes: _swapaxes, np.moveaxis: shapes.movedim, np.broadcast_to: shapes.broadcast_to,
        np.tile: lambda A, reps: shapes.tile(A, reps), np.repeat: _repeat, np.flip: _flip,
        np.fliplr: lambda m: shapes.flip(m, 1), np.flipud: lambda m: shapes.flip(m, 0),
        np.roll: lambda a, shift, axis=None: shapes.roll(a, shift, axis), np.concatenate: _concatenate,
        np.stack: _stack, np.vstack: _vstack, np.hstack: _hstack, np.split: _split, np.meshgrid: _meshgrid,
        np.tril: lambda m, k=0: shapes.tril(m, k), np.triu: lambda m, k=0: shapes.triu(m, k),
        np.diagonal: _diagonal, np.diag: lambda v, k=0: shapes.diag(v, k), np.trace: _trace,
        np.take: _take, np.take_along_axis: _take_along_axis, np.sort: _sort, np.argsort: _argsort,
        np.nonzero: lambda a: indexing.nonzero(a, as_tuple=True), np.copy: lambda a: shapes.clone(a),
        np.einsum: contractions.einsum, np.tensordot: lambda a, b, axes=2: contractions.tensordot(a, b, axes),
        np.dot: _dot, np.outer: _outer, np.inner: contractions.inner, np.vdot: _vdot, np.diff: _diff,
        np.ndim: lambda a: a.ndim, np.shape: lambda a: tuple(a.shape), np.size: _size,
        np.zeros_like: _filled("new_zeros"), np.ones_like: _filled("new_ones"), np.empty_like: _filled("new_zeros"),
        np.full_like: _full_like,
    }  # fmt: skip
