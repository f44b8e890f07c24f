"""Indexing: take elements, and its adjoint, add them back where they came from.

An index has a fixed part, its `template` (integers, slices, None, Ellipsis), and arrays, which may
differ from call to call and so are inputs: `x[2, rows, :]` has the template (2, ARRAY, :).
"""

from __future__ import annotations

from operator import index as as_int
from typing import Any, NamedTuple

import numpy as np

from ..errors import ShapeError
from ..graph import Variable
from ..kernels.scatter import add_at
from ..primitive import broadcast_to, constant, general, linear_map
from .elementwise import add, mul, select
from .naming import numpy_names, positive
from .shapes import flatten, reshape


class ValuesAndIndices(NamedTuple):
    """What sort, topk, and max and min along a dimension give."""

    values: Any
    indices: Any


class Hole:
    """Stands in a template where an index array goes."""

    def __repr__(self):
        return "ARRAY"


ARRAY = Hole()


def parsed(index) -> tuple[tuple, list]:
    """(template, arrays) of an index expression, in any form that NumPy or PyTorch takes."""
    entries = index if isinstance(index, tuple) else (index,)
    template, arrays = [], []
    for entry in entries:
        if entry is None or entry is Ellipsis:
            template.append(entry)
        elif isinstance(entry, slice):
            template.append(slice(*(as_bound(b) for b in (entry.start, entry.stop, entry.step))))
        elif isinstance(entry, (bool, np.bool_)):
            template.append(ARRAY)
            arrays.append(np.asarray(entry))
        elif isinstance(entry, (int, np.integer)):
            template.append(as_int(entry))
        else:
            array = as_index(entry)
            if array.ndim == 0 and array.dtype.kind in "iu":
                template.append(int(array))
            else:
                template.append(ARRAY)
                arrays.append(array)
    return tuple(template), arrays


def as_index(entry) -> np.ndarray:
    """A list, array or Tensor as an index array of integers or booleans."""
    array = entry.array if isinstance(entry, Variable) else np.asarray(entry)
    if array.size == 0 and not isinstance(entry, (Variable, np.ndarray)):
        array = array.astype(np.int64)  # an empty list selects nothing
    if array.dtype.kind not in "iub":
        raise IndexError(
            "tensors used as indices must be long, int, byte or bool tensors, got "
            f"{array.dtype}: write .long()"
        )
    return array


def as_bound(bound):
    return None if bound is None else as_int(bound)


def filled(template: tuple, arrays) -> tuple:
    """The index that `parsed` took apart."""
    rest = iter(arrays)
    return tuple(next(rest) if entry is ARRAY else entry for entry in template)


def _take(x, *index, template):
    """x[index]: with "...", so that a single element is a view too, not a number."""
    whole = template if index or Ellipsis in template else (*template, Ellipsis)
    return x[filled(whole, index)]


def _add_back(x, *index, template, to):
    """Zeros of shape `to` with x added at the index; a place that occurs twice receives both."""
    return add_at(to, x.dtype, filled(template, index), x)


def _put(x, v, positions):
    """A copy of x whose elements at the flat `positions` are v."""
    y = np.array(x, order="C")  # in this order reshape(-1) is a view, not a copy
    y.reshape(-1)[positions] = v
    return y


def _along(index, dim, shape):
    """The full index that runs along `dim` by `index` and along the others by their own place."""
    n = shape[dim]
    if index.size and (index.min() < 0 or index.max() >= n):
        wrong = int(index[(index < 0) | (index >= n)].flat[0])
        raise IndexError(f"index {wrong} is out of bounds for dimension {dim} with size {n}")
    full = list(np.ix_(*(np.arange(k) for k in index.shape)))
    full[dim] = index
    return tuple(full)


def _gather(x, index, *, dim):
    """y[i, j, …] = x[…, index[i, j, …], …], the index standing at `dim`."""
    return x[_along(index, dim, x.shape)]


def _scatter_sum(x, index, *, dim, to):
    """Zeros of shape `to` with x[i, j, …] added at index[i, j, …] along `dim`."""
    return add_at(to, x.dtype, _along(index, dim, to), x)


def _argsort(x, *, dim, descending=False):
    """The indices that sort x along `dim`, equal elements in their order."""
    if not descending:
        return np.argsort(x, axis=dim, kind="stable")
    backwards = np.argsort(np.flip(x, dim), axis=dim, kind="stable")
    return np.flip(x.shape[dim] - 1 - backwards, dim)


# fmt: off
taken    = linear_map("take", _take, lambda g, index, x_shape, template: add_back(g, *index, template=template, to=x_shape),
                      inputs="x *index", views=True)
add_back = linear_map("add_back", _add_back, lambda g, index, template: taken(g, *index, template=template),
                      inputs="x *index")
gathered = linear_map("gather", _gather, lambda g, index, x_shape, dim: scatter_sum(g, index, dim=dim, to=x_shape),
                      inputs="x index")
scatter_sum = linear_map("scatter_sum", _scatter_sum, lambda g, index, dim: gathered(g, index, dim=dim),
                         inputs="x index")
put = general("put", _put, lambda g, positions: put(g, 0, positions),
              lambda g, positions: taken(reshape(g, -1), positions, template=(ARRAY,)),
              inputs="x v positions", promotes=False, broadcasts=True)
sorting = constant("argsort", _argsort)
found   = constant("nonzero", lambda x: np.argwhere(x))
# fmt: on


def positions(index, shape) -> np.ndarray:
    """The flat position in an array of `shape` of every element that `index` selects."""
    template, arrays = parsed(index)
    places = np.arange(int(np.prod(shape))).reshape(shape)
    return places[filled(template, arrays)]


# ---- PyTorch's spellings -----------------------------------------------------------------------


def getitem(x, index):
    """x[index]: a view where the index is made of integers and slices, else a copy."""
    template, arrays = parsed(index)
    count = sum(e is not None and e is not Ellipsis and e is not ARRAY for e in template)
    count += sum(a.ndim if a.dtype.kind == "b" else 1 for a in arrays)
    if count > x.ndim:
        if x.ndim == 0:
            raise IndexError("invalid index of a 0-dim tensor. Use `tensor.item()` to convert it to a number")
        raise IndexError(f"too many indices for tensor of dimension {x.ndim}")
    return taken(x, *arrays, template=template)


def replaced(x, index, value):
    """x with x[index] = value, as a new value: what `x[index] = value` records."""
    places = positions(index, x.shape)
    if any(a.dtype.kind != "b" for a in parsed(index)[1]):  # a repeated place keeps the last value
        size = int(np.prod(x.shape))
        last = np.full(size, -1)
        last[places.reshape(-1)] = np.arange(places.size)
        winners = last[places.reshape(-1)] == np.arange(places.size)
        if not winners.all():
            value = fitted(value, places.shape)
            value = taken(flatten(value), winners, template=(ARRAY,))
            return put(x, value, places.reshape(-1)[winners])
    return put(x, fitted(value, places.shape), places)


def fitted(value, shape):
    """`value` broadcast to `shape`; leading dimensions of size 1 too many are dropped."""
    if not hasattr(value, "shape"):
        return value
    if len(value.shape) > len(shape):
        extra = len(value.shape) - len(shape)
        if any(n != 1 for n in value.shape[:extra]):
            raise ShapeError(
                f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast "
                f"to indexing result of shape {list(shape)}"
            )
        value = reshape(value, *value.shape[extra:])
    try:
        return value if tuple(value.shape) == tuple(shape) else broadcast_to(value, to=tuple(shape))
    except ValueError as error:
        raise ShapeError(
            f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast "
            f"to indexing result of shape {list(shape)}"
        ) from error


def at(x, dim: int, entry):
    """x indexed by `entry` along `dim`, everything along the others."""
    return getitem(x, (slice(None),) * positive(dim, x.ndim) + (entry,))


@numpy_names
def select_(x, dim, index):
    """The slice of x at `index` along `dim`, without that dimension."""
    n = x.shape[positive(dim, x.ndim)]
    if not -n <= index < n:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(x.shape)} at dimension {dim}"
        )
    return at(x, dim, as_int(index))


@numpy_names
def narrow(x, dim, start, length):
    """The part of x from `start`, `length` long, along `dim`."""
    n = x.shape[positive(dim, x.ndim)]
    start = as_int(start)
    if start < 0:
        start += n
    if length < 0 or not 0 <= start <= n or start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return at(x, dim, slice(start, start + length))


def take(x, index):
    """The elements of x, taken as flat, at `index`."""
    return getitem(reshape(x, -1), (as_index(index),))


@numpy_names
def index_select(x, dim, index):
    """The slices of x along `dim` at `index`, a vector."""
    index = as_index(index)
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    return at(x, dim, index.reshape(-1))


@numpy_names
def gather(x, dim, index):
    """y[i, j, …] = x[…, index[i, j, …], …], the index standing at `dim`; index has as many
    dimensions as x."""
    return gathered(x, same_rank("gather", x, index), dim=positive(dim, x.ndim))


@numpy_names
def take_along_dim(x, indices, dim=None):
    """`gather` after broadcasting x and the indices against each other, except along `dim`."""
    indices = as_index(indices)
    if dim is None:
        return gather(reshape(x, -1), 0, indices.reshape(-1))
    dim = positive(dim, x.ndim)
    rest = np.broadcast_shapes(
        (*x.shape[:dim], 1, *x.shape[dim + 1 :]),
        (*indices.shape[:dim], 1, *indices.shape[dim + 1 :]),
    )
    whole = broadcast_to(x, to=(*rest[:dim], x.shape[dim], *rest[dim + 1 :]))
    indices = np.broadcast_to(indices, (*rest[:dim], indices.shape[dim], *rest[dim + 1 :]))
    n = x.shape[dim]
    return gathered(whole, np.where(indices < 0, indices + n, indices), dim=dim)


@numpy_names
def scatter(x, dim, index, src=None, value=None):
    """x with src[i, j, …] written at index[i, j, …] along `dim`."""
    dim, index = positive(dim, x.ndim), same_rank("scatter", x, index)
    where = _along(index, dim, x.shape)
    if src is None:
        src = value
    return replaced(x, where, source_for(index, src))


@numpy_names
def scatter_add(x, dim, index, src):
    """x with src[i, j, …] added at index[i, j, …] along `dim`; repeated places receive all."""
    dim, index = positive(dim, x.ndim), same_rank("scatter_add", x, index)
    return add(x, scatter_sum(source_for(index, src), index, dim=dim, to=tuple(x.shape)))


def same_rank(name, x, index) -> np.ndarray:
    index = as_index(index)
    if index.ndim != x.ndim:
        raise RuntimeError(
            f"{name}(): Index tensor must have the same number of dimensions as input tensor, "
            f"got {index.ndim} and {x.ndim}"
        )
    return index


def source_for(index, src):
    """The part of `src` that `index` covers."""
    if not hasattr(src, "shape") or tuple(src.shape) == index.shape:
        return src
    return getitem(src, tuple(slice(n) for n in index.shape))


@numpy_names
def index_add(x, dim, index, source, *, alpha=1):
    """x with alpha·source added to its slices at `index` along `dim`; repeated ones receive all."""
    template = (slice(None),) * positive(dim, x.ndim) + (ARRAY,)
    source = source if alpha == 1 else mul(source, alpha)
    return add(x, add_back(source, as_index(index), template=template, to=tuple(x.shape)))


def masked_fill(x, mask, value):
    """x, with `value` where the mask holds. The result keeps x's dtype."""
    if getattr(value, "ndim", 0) > 0:
        raise RuntimeError(
            "masked_fill only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    return select(mask, value, x)


def masked_select(x, mask):
    """The elements of x where the mask holds, as a vector."""
    mask = as_index(mask)
    shape = np.broadcast_shapes(x.shape, mask.shape)
    return getitem(broadcast_to(x, to=shape), (np.broadcast_to(mask, shape),))


def one_hot(x, num_classes=-1):
    """Integers → vectors of 0 with a 1 at their place, along a new last dimension."""
    classes = as_index(x)
    n = (int(classes.max()) + 1 if classes.size else 0) if num_classes == -1 else num_classes
    if classes.size and (classes.min() < 0 or classes.max() >= n):
        raise RuntimeError(
            f"Class values must be smaller than num_classes and not negative: found "
            f"{int(classes.min())} to {int(classes.max())} for num_classes={n}"
        )
    hot = (classes[..., None] == np.arange(n)).astype(np.int64)
    return x.wrap(hot) if isinstance(x, Variable) else hot


def nonzero(x, *, as_tuple=False):
    """The indices of the elements that are not zero: a row each, or an array a dimension."""
    rows = found(x)
    if not as_tuple:
        return rows
    return tuple(rows[:, k] for k in range(rows.shape[1]))


@numpy_names
def argsort(x, dim=-1, descending=False, stable=False):
    """The indices that sort x along `dim`; always stable."""
    return sorting(x, dim=positive(dim, x.ndim), descending=descending)


@numpy_names
def sort(x, dim=-1, descending=False, stable=False):
    """(values, indices) of x sorted along `dim`; always stable."""
    if x.ndim == 0:
        return ValuesAndIndices(reshape(x), sorting(reshape(x, 1), dim=0).reshape(()))
    dim = positive(dim, x.ndim)
    indices = sorting(x, dim=dim, descending=descending)
    return ValuesAndIndices(gathered(x, indices, dim=dim), indices)


@numpy_names
def topk(x, k, dim=-1, largest=True, sorted=True):
    """(values, indices) of the k largest (or smallest) along `dim`, in order."""
    dim = positive(dim, x.ndim)
    if not 0 <= k <= x.shape[dim]:
        raise RuntimeError(f"selected index k out of range: {k} of {x.shape[dim]}")
    indices = at(sorting(x, dim=dim, descending=largest), dim, slice(k))
    return ValuesAndIndices(gathered(x, indices, dim=dim), indices)


@numpy_names
def repeat_interleave(x, repeats, dim=None):
    """Each element of x along `dim` (of x as flat, without it) repeated, all alike or each its own
    number of times."""
    if dim is None:
        x, dim = reshape(x, -1), 0
    counts = repeats if isinstance(repeats, int) else as_index(repeats)
    places = np.repeat(np.arange(x.shape[positive(dim, x.ndim)]), counts)
    return index_select(x, dim, places)
