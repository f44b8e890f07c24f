"""Indexing: take elements, and its adjoint, add them back where they came from.

An index has a fixed part, its `template` (integers, slices, None, Ellipsis), and arrays, which may
differ from call to call and so are inputs: `x[2, rows, :]` has the template (2, ARRAY, :).
"""

from __future__ import annotations

import math
from operator import index as as_int
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import converted
from ..errors import RangeError, ShapeError, broadcast_mismatch, quietly, translated
from ..graph import Variable, tell
from ..kernels.scatter import add_along_rows, add_at
from ..primitive import broadcast_to, constant, general, linear_map, row_major
from .elementwise import add, as_dtype, mul, select, times_number
from .naming import numpy_names, positive
from .shapes import flatten, reshape, reshaped


class ValuesAndIndices(NamedTuple):
    """What sort, topk, and max and min along a dimension give."""

    values: Any
    indices: Any


class Hole:
    """Stands in a template where an index array goes."""

    def __repr__(self):
        return "ARRAY"


ARRAY = Hole()
WHOLE = slice(None)


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
            if array.dtype == np.uint8 and isinstance(entry, Variable):
                looked_at(entry)
                array = array != 0  # PyTorch's masks of old
            if array.ndim == 0 and array.dtype.kind in "iu":
                looked_at(entry)
                template.append(int(array))
            else:
                template.append(ARRAY)
                arrays.append(array)
    return tuple(template), arrays


def in_two(template: tuple, arrays: list, ndim: int) -> tuple[tuple | None, tuple]:
    """The index as one that makes a view of what has `ndim` dimensions, or None, and the template that takes
    elements of that by the arrays.

    Integers first, then arrays: the dimensions of the arrays are the result's first ones if other dimensions
    stand between the arrays. To NumPy an integer beside arrays is an array, too, and "..." parts two arrays
    even where it stands for no dimension.
    """
    sizes = [a.ndim if a.dtype.kind == "b" else 1 for a in arrays]
    if template.count(Ellipsis) == 1:
        used = sum(e is not None and e is not Ellipsis and e is not ARRAY for e in template) + sum(sizes)
        k = template.index(Ellipsis)
        template = (*template[:k], *(slice(None),) * (ndim - used), *template[k + 1 :])
    picked = [k for k, e in enumerate(template) if e is ARRAY or isinstance(e, int)]
    if len(picked) == len(arrays) or picked[-1] - picked[0] < len(picked):  # NumPy puts them there, too
        return None, template
    rest = iter(sizes)
    view = [each for e in template for each in ((slice(None),) * next(rest) if e is ARRAY else (e,))]
    left = [e if e is ARRAY else slice(None) for e in template if not isinstance(e, int)]
    return (*view, Ellipsis), tuple(left)


def as_index(entry) -> np.ndarray:
    """A list, array or Tensor as an index array of integers or booleans."""
    array = entry.array if isinstance(entry, Variable) else np.asarray(entry)
    if array.size == 0 and not isinstance(entry, (Variable, np.ndarray)):
        array = array.astype(np.int64)  # an empty list selects nothing
    if array.dtype.kind in "USO" or isinstance(entry, float):
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
            f"(got {type(entry).__name__})"
        )
    if array.dtype.kind not in "iub":
        raise IndexError(
            "tensors used as indices must be long, int, byte or bool tensors, got "
            f"{array.dtype}: write .long()"
        )
    return array


def looked_at(*values, how: str = "as an index that decides where to write") -> None:
    """Say that the elements of these, where they are Variables, are worked with here and now."""
    for value in values:
        if isinstance(value, Variable):
            tell("observed", value, how)


def as_bound(bound) -> int | None:
    """The end or the step of a slice, as a Python number."""
    return None if bound is None else as_int(bound)


def filled(template: tuple, arrays) -> tuple:
    """The index that `parsed` took apart."""
    rest = iter(arrays)
    return tuple(next(rest) if entry is ARRAY else entry for entry in template)


def _take(x, *index, template):
    """x[index]: with "...", so that a single element is a view too, not a number."""
    if not index:
        return x[template if Ellipsis in template else (*template, Ellipsis)]
    if template[0] is not ARRAY and len(index) == 1 and index[0].dtype.kind != "b" and x.flags.c_contiguous:
        if all(e is ARRAY or e == WHOLE for e in template):
            return np.take(x, index[0], template.index(ARRAY))  # in row-major order at once
    return row_major(x[filled(template, index)])


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
    bounded(index, shape[dim], dim)
    full = list(np.ix_(*(np.arange(k) for k in index.shape)))
    full[dim] = index
    return tuple(full)


def bounded(index, n, dim) -> np.ndarray:
    """`index`, if all of it lies in [0, n)."""
    if index.size and (index.min() < 0 or index.max() >= n):
        wrong = int(index[(index < 0) | (index >= n)].flat[0])
        raise RangeError(
            f"index out of range: index {wrong} is out of bounds for dimension {dim} with size {n}"
        )
    tell("bounded", index, n)
    return index


def _gather(x, index, *, dim):
    """y[i, j, …] = x[…, index[i, j, …], …], the index standing at `dim`."""
    return x[_along(index, dim, x.shape)]


def _scatter_sum(x, index, *, dim, to):
    """Zeros of shape `to` with x[i, j, …] added at index[i, j, …] along `dim`."""
    if dim == len(to) - 1 and index.shape[:-1] == tuple(to[:-1]) and x.shape == index.shape and index.size:
        return add_along_rows(to, bounded(index, to[dim], dim), x)
    return add_at(to, x.dtype, _along(index, dim, to), x)


def _scatter_product(x, index, *, dim, to):
    """Ones of shape `to`, each times the x[i, j, …] whose index[i, j, …] along `dim` names it."""
    y = np.ones(to, x.dtype)
    np.multiply.at(y, _along(index, dim, to), x)
    return y


def _argsort(x, *, dim, descending=False):
    """The indices that sort x along `dim`, equal elements in their order."""
    if not descending:
        return np.argsort(x, axis=dim, kind="stable")
    backwards = np.argsort(np.flip(x, dim), axis=dim, kind="stable")
    return np.flip(x.shape[dim] - 1 - backwards, dim).copy()


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
              lambda g, positions: taken(flat(g), positions, template=(ARRAY,)),
              inputs="x v positions", promotes=False, broadcasts=True)
scatter_product = constant("scatter_product", _scatter_product, "x index", promotes=False)
sorting = constant("argsort", _argsort)
found   = constant("nonzero", lambda x: np.argwhere(x))
# fmt: on


def positions(index, shape) -> np.ndarray:
    """The flat position in an array of `shape` of every element that `index` selects."""
    template, arrays = parsed(index)
    looked_at(*(index if isinstance(index, tuple) else (index,)))
    check_rank(template, arrays, len(shape))
    places = np.arange(math.prod(shape)).reshape(shape)
    try:
        places, template = of_arrays(places, template, arrays)
        return places[filled(template, arrays)]
    except IndexError as error:
        raise translated(error, "setitem", [shape, *(a.shape for a in arrays)]) from None


def of_arrays(array, template, arrays) -> tuple[np.ndarray, tuple]:
    """The view of `array`, and the template, by which the index arrays select what the index does."""
    if not len(template) > len(arrays) > 0:
        return array, template
    view, template = in_two(template, arrays, array.ndim)
    return array if view is None else array[view], template


def check_rank(template, arrays, ndim) -> None:
    """An error if the index stands for more dimensions than there are."""
    count = sum(e is not None and e is not Ellipsis and e is not ARRAY for e in template)
    count += sum(a.ndim if a.dtype.kind == "b" else 1 for a in arrays)
    if count > ndim:
        if ndim == 0 and len(template) == 1 and type(template[0]) is int:
            raise IndexError("invalid index of a 0-dim tensor. Use `tensor.item()` to convert it to a number")
        raise IndexError(f"too many indices for tensor of dimension {ndim}")


@quietly
def write(target, index, value) -> None:
    """target[index] = value, both arrays (or value a number)."""
    template, arrays = parsed(index)
    check_rank(template, arrays, target.ndim)
    try:
        target, template = of_arrays(target, template, arrays)
        chosen = target[filled(template, arrays)]
    except IndexError as error:
        raise translated(error, "setitem", [target.shape, *(a.shape for a in arrays)]) from None
    target[filled(template, arrays)] = fitted(value, chosen.shape)


# ---- PyTorch's spellings -----------------------------------------------------------------------


def getitem(x, index):
    """x[index]: a view where the index is made of integers and slices, else a copy."""
    template, arrays = parsed(index)
    check_rank(template, arrays, x.ndim)
    if len(template) > len(arrays) > 0:
        view, template = in_two(template, arrays, x.ndim)
        if view is not None:
            x = taken(x, template=view)
    return taken(x, *arrays, template=template)


def makes_view(index) -> bool:
    """Is x[index] a view of x, and not a copy?"""
    return not parsed(index)[1]


def replaced(x, index, value):
    """x with x[index] = value, as a new value: what `x[index] = value` records."""
    if index is False:
        return x  # nothing is chosen, and nothing recorded
    places = positions(index, x.shape)
    whole = hasattr(value, "shape")  # a number is the same at every place
    if whole and any(a.dtype.kind != "b" for a in parsed(index)[1]):  # a repeated place keeps the last value
        size = math.prod(x.shape)
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
    extra = len(value.shape) - len(shape)
    fits = extra <= 0 or all(n == 1 for n in value.shape[:extra])
    if fits and extra > 0:
        value = reshape(value, *value.shape[extra:])
    for k, (n, m) in enumerate(zip(reversed(value.shape), reversed(shape), strict=False), 1):
        if fits and n not in (1, m):
            fits = False
            raise ShapeError(
                f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to indexing "
                f"result of shape {list(shape)}: The expanded size of the tensor ({m}) must match the "
                f"existing size ({n}) at non-singleton dimension {len(shape) - k}"
            )
    if not fits:
        raise ShapeError(
            f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to indexing "
            f"result of shape {list(shape)}: it has {extra} dimensions too many"
        )
    return value if tuple(value.shape) == tuple(shape) else broadcast_to(value, to=tuple(shape))


def at(x, dim: int, entry):
    """x indexed by `entry` along `dim`, everything along the others."""
    return getitem(x, (slice(None),) * positive(dim, x.ndim) + (entry,))


@numpy_names
def select_(x, dim, index):
    """The slice of x at `index` along `dim`, without that dimension."""
    if x.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    n = x.shape[positive(dim, x.ndim)]
    if not -n <= index < n:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(x.shape)} at dimension {dim}"
        )
    return at(x, dim, as_int(index))


@numpy_names
def narrow(x, dim, start, length):
    """The part of x from `start`, `length` long, along `dim`."""
    if x.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    n = x.shape[positive(dim, x.ndim)]
    start = as_int(start)
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    start += n if start < 0 else 0
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return at(x, dim, slice(start, start + length))


def take(input, index):
    """The elements of input, taken as flat, at `index`."""
    index, n = as_index(index), math.prod(input.shape)
    if index.size and not -n <= index.min() <= index.max() < n:
        wrong = int(index[(index < -n) | (index >= n)].flat[0])
        raise RangeError(f"out of range: tried to access index {wrong} on a tensor of {n} elements.")
    y = getitem(reshape(input, -1), (index.reshape(-1),))
    return reshape(y, *index.shape)


def flat(x):
    """All elements of x in one dimension."""
    return reshaped(x, to=(math.prod(x.shape),))


def in_line(x):
    """x; a number as a vector of one element, as PyTorch takes it where there is a `dim`."""
    return reshape(x, 1) if x.ndim == 0 else x


def chosen_along(line, indices, dim, keepdim, ndim) -> ValuesAndIndices:
    """(values, indices) where one element was chosen along `dim` of `line`, which is `in_line` of what has `ndim`
    dimensions. That dimension, of size 1 in `indices`, goes unless it is kept."""
    values = gathered(line, indices, dim=dim)
    if ndim == 0 or not keepdim:
        to = () if ndim == 0 else (*line.shape[:dim], *line.shape[dim + 1 :])
        values, indices = reshaped(values, to=to), reshaped(indices, to=to)
    return ValuesAndIndices(values, indices)


@numpy_names
def index_select(x, dim, index):
    """The slices of x along `dim` at `index`, a vector."""
    index, place = as_index(index), positive(dim, x.ndim)
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if x.ndim == 0 and index.size != 1:
        raise RangeError(f"index_select(): Index to scalar can have only 1 value, got {index.size} value(s)")
    line = in_line(x)
    y = at(line, dim, bounded(index.reshape(-1), line.shape[place], place))
    return y if x.ndim else reshape(y)


@numpy_names
def gather(x, dim, index):
    """y[i, j, …] = x[…, index[i, j, …], …], the index standing at `dim`; index has as many
    dimensions as x."""
    index, dim = as_index(index), positive(dim, x.ndim)
    places = aligned("gather", x, dim, index)
    y = gathered(in_line(x), places, dim=dim)
    return y if index.ndim else reshape(y)


@numpy_names
def take_along_dim(x, indices, dim=None):
    """`gather` after broadcasting x and the indices against each other, except along `dim`."""
    looked_at(indices)
    indices = as_index(indices)
    if dim is None:
        return gather(reshape(x, -1), 0, indices.reshape(-1))
    if indices.ndim != x.ndim:
        raise ShapeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but "
            f"got {x.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    if x.ndim == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    dim = positive(dim, x.ndim)
    of_x, of_indices = (
        tuple(1 if d == dim else n for d, n in enumerate(s)) for s in (x.shape, indices.shape)
    )
    mismatch = broadcast_mismatch(of_x, of_indices)
    if mismatch:
        raise ShapeError(f"{mismatch}, in take_along_dim({tuple(x.shape)}, {indices.shape}, {dim})")
    rest = np.broadcast_shapes(of_x, of_indices)
    n = x.shape[dim]
    whole = broadcast_to(x, to=(*rest[:dim], n, *rest[dim + 1 :]))
    indices = np.broadcast_to(indices, (*rest[:dim], indices.shape[dim], *rest[dim + 1 :]))
    return gathered(whole, np.where(indices < 0, indices + n, indices), dim=dim)


@numpy_names
def scatter(x, dim, index, src=None, value=None, *, reduce=None):
    """x with src[i, j, …] (or a number, everywhere) written at index[i, j, …] along `dim`; or added
    to what is there (reduce="add"), or multiplied with it ("multiply")."""
    looked_at(index)
    src = value if src is None else src
    if reduce == "add":
        return scatter_add(x, dim, index, filled_like(index, src, x))
    dim, index = positive(dim, x.ndim), as_index(index)
    places, source = aligned("scatter", x, dim, index, src), source_for(index, src)
    line = in_line(x)
    if reduce is None:
        y = replaced(line, _along(places, dim, line.shape), source)
    elif reduce == "multiply":
        if isinstance(source, Variable) and source.origin is not None:
            raise RuntimeError("the derivative for scatter(reduce='multiply') by src is not implemented")
        source = filled_like(places, source, x)
        y = mul(line, scatter_product(source, places, dim=dim, to=tuple(line.shape)))
    else:
        raise RuntimeError("reduce argument must be either add or multiply.")
    return y if x.ndim else reshape(y)


@numpy_names
def scatter_add(x, dim, index, src):
    """x with src[i, j, …] added at index[i, j, …] along `dim`; repeated places receive all."""
    dim, index = positive(dim, x.ndim), as_index(index)
    places, source = aligned("scatter_add", x, dim, index, src), source_for(index, src)
    line = in_line(x)
    y = add(line, scatter_sum(source, places, dim=dim, to=tuple(line.shape)))
    return y if x.ndim else reshape(y)


def filled_like(index, value, x):
    """A number as an array of x's dtype and the shape of `index`; a tensor as it is."""
    return value if hasattr(value, "shape") else np.full(as_index(index).shape, value, x.dtype)


def aligned(name, x, dim, index, src=None) -> np.ndarray:
    """`index`, which must have as many dimensions as x and src, and cover no more than they do, except
    along `dim` for x."""
    others = [("input", x)] if not hasattr(src, "shape") else [("input", x), ("src", src)]
    for what, other in others:
        if max(index.ndim, 1) != max(len(other.shape), 1):
            raise ShapeError(
                f"{name}(): Index tensor must have the same number of dimensions as {what} tensor, "
                f"got {index.ndim} and {len(other.shape)}"
            )
    for what, other in others:
        for d, (m, n) in enumerate(zip(index.shape, other.shape, strict=False)):
            if m > n and index.size and (d != dim or what == "src"):
                raise ShapeError(
                    f"Size does not match at dimension {d} expected index {list(index.shape)} to be no "
                    f"larger than {what} {list(other.shape)} apart from dimension {dim}"
                )
    return index.reshape(1) if index.ndim == 0 else index


def source_for(index, src):
    """The part of `src` that `index` covers."""
    if not hasattr(src, "shape"):
        return src
    if src.ndim == 0 or tuple(src.shape) == index.shape:
        return in_line(src)
    return getitem(src, tuple(slice(n) for n in index.shape))


@numpy_names
def index_add(x, dim, index, source, *, alpha=1):
    """x with alpha·source added to its slices at `index` along `dim`; repeated ones receive all."""
    place, line = positive(dim, x.ndim), in_line(x)
    template = (slice(None),) * place + (ARRAY,)
    index = bounded(as_index(index).reshape(-1), line.shape[place], place)
    source = in_line(source if alpha == 1 else times_number(x, source, alpha))
    y = add(line, add_back(source, index, template=template, to=tuple(line.shape)))
    return y if x.ndim else reshape(y)


@numpy_names
def index_fill(x, dim, index, value):
    """x with `value` in its slices at `index` along `dim`."""
    place, line = positive(dim, x.ndim), in_line(x)
    index = bounded(as_index(index).reshape(-1), line.shape[place], place)
    y = replaced(line, (slice(None),) * place + (index,), value)
    return y if x.ndim else reshape(y)


@numpy_names
def index_copy(x, dim, index, source):
    """x with the slices of `source` in the place of its own at `index` along `dim`."""
    place, line = positive(dim, x.ndim), in_line(x)
    index = bounded(as_index(index).reshape(-1), line.shape[place], place)
    y = replaced(line, (slice(None),) * place + (index,), in_line(source))
    return y if x.ndim else reshape(y)


def masked_fill(input, mask, value):
    """input, with `value` where the mask holds. The result keeps input's dtype."""
    if getattr(value, "ndim", 0) > 0:
        raise RuntimeError(
            "masked_fill only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    if not isinstance(value, Variable):
        value = converted(np.asarray(value), input.dtype, finite=True)
    return select(mask, as_dtype(value, input.dtype), input)


def masked_select(input, mask):
    """The elements of input where the mask holds, as a vector."""
    looked_at(mask)
    mask = as_index(mask)
    shape = np.broadcast_shapes(input.shape, mask.shape)
    return getitem(broadcast_to(input, to=shape), (np.broadcast_to(mask, shape),))


def one_hot(x, num_classes=-1):
    """Integers → vectors of 0 with a 1 at their place, along a new last dimension."""
    looked_at(x)
    classes = x.array if isinstance(x, Variable) else np.asarray(x)
    if classes.dtype.kind not in "iu":
        raise RuntimeError(
            f"one_hot is only applicable to index tensor of type LongTensor, and this one is {classes.dtype}: "
            "write .long()"
        )
    if num_classes == -1 and not classes.size:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    if classes.size and classes.min() < 0:
        raise RuntimeError(f"Class values must be non-negative: found {int(classes.min())}")
    n = int(classes.max()) + 1 if num_classes == -1 else num_classes
    if classes.size and classes.max() >= n:
        raise RuntimeError(
            f"Class values must be smaller than num_classes: found {int(classes.max())} for num_classes={n}"
        )
    hot = (classes[..., None] == np.arange(n)).astype(np.int64)
    return x.wrap(hot) if isinstance(x, Variable) else hot


def nonzero(input, *, as_tuple=False):
    """The indices of the elements that are not zero: a row each, or an array a dimension."""
    rows = found(input)
    if not as_tuple:
        return rows
    return tuple(rows[:, k] for k in range(rows.shape[1])) if input.ndim else (found(in_line(input))[:, 0],)


@numpy_names
def argsort(x, dim=-1, descending=False, stable=False):
    """The indices that sort x along `dim`; always stable."""
    indices = sorting(in_line(x), dim=positive(dim, x.ndim), descending=descending)
    return indices if x.ndim else reshape(indices)


@numpy_names
def sort(x, dim=-1, descending=False, stable=False):
    """(values, indices) of x sorted along `dim`; always stable."""
    indices = argsort(x, dim, descending)
    return ValuesAndIndices(gather(x, dim, indices), indices)


@numpy_names
def topk(x, k, dim=-1, largest=True, sorted=True):
    """(values, indices) of the k largest (or smallest) along `dim`, in order."""
    line, dim = in_line(x), positive(dim, x.ndim)
    if not 0 <= k <= line.shape[dim]:
        raise RuntimeError(f"selected index k out of range: {k} of {line.shape[dim]}")
    indices = at(sorting(line, dim=dim, descending=largest), dim, slice(k))
    values = gathered(line, indices, dim=dim)
    if x.ndim == 0 and k == 1:
        values, indices = reshape(values), reshape(indices)
    return ValuesAndIndices(values, indices)


@numpy_names
def repeat_interleave(x, repeats, dim=None):
    """Each element of x along `dim` (of x as flat, without it) repeated, all alike or each its own
    number of times."""
    if dim is None:
        x, dim = reshape(x, -1), 0
    elif x.ndim == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    looked_at(repeats)
    counts = repeats if isinstance(repeats, int) else as_index(repeats)
    places = np.repeat(np.arange(x.shape[positive(dim, x.ndim)]), counts)
    return index_select(x, dim, places)
