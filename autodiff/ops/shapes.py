"""Shapes: linear maps that move elements without changing them, each beside its adjoint."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..graph import Variable
from ..memory import note_view
from ..primitive import broadcast_to as _broadcast_to
from ..primitive import constant, copy_of, general, linear_map, row_major, sum_to, variadic
from .naming import dimensions, numpy_names, positive, sizes, with_dimensions


def _reshape(x, *, to):
    """The elements of x, in order, as an array of shape `to`."""
    return np.reshape(x, to)


def _permute(x, *, dims):
    """The dimensions of x in the order `dims`."""
    return np.transpose(x, dims)


def _flip(x, *, dim):
    """x, back to front along `dim`: in memory of its own, as in PyTorch."""
    return np.flip(x, dim).copy()


def _roll(x, *, shifts, dim):
    """x, with what leaves at one end coming in at the other."""
    return row_major(np.roll(x, shifts, dim))


def _diagonal(x, *, offset=0, dim1=0, dim2=1):
    """The diagonal of the planes (dim1, dim2), as the last dimension."""
    y = np.diagonal(x, offset, dim1, dim2)
    y.flags.writeable = x.flags.writeable  # NumPy does not let one write through it otherwise
    return y


def _from_diagonal(x, *, offset, dim1, dim2, to):
    """Zeros of shape `to` with x on the diagonal: the adjoint of `diagonal`."""
    y = np.zeros(to, x.dtype)
    plane = np.moveaxis(y, (dim1, dim2), (-2, -1))
    rows = np.arange(x.shape[-1]) + max(-offset, 0)
    plane[..., rows, rows + offset] = x
    return y


def _pad(x, *, widths, value=0):
    """x with `value` around it; widths are (before, after) for each dimension."""
    return row_major(np.pad(x, widths, constant_values=value))


def _tile(x, *, repeats):
    """x laid side by side, repeats[k] times along dimension k."""
    return row_major(np.tile(x, repeats))


def _cat(*xs, dim=0):
    """The arrays end to end along `dim`."""
    return row_major(np.concatenate(xs, axis=dim))


def _stack(*xs, dim=0):
    """The arrays as the slices of a new dimension `dim`."""
    return row_major(np.stack(xs, axis=dim))


def _unbind(x, *, dim=0):
    """The slices of x along `dim`."""
    moved = np.moveaxis(x, dim, 0)
    return tuple(moved[k, ...] for k in range(len(moved)))  # with "...", a 0-d array, not a number


def _split(x, *, bounds, dim):
    """The parts of x along `dim` between each two neighbours of `bounds`."""
    head = (slice(None),) * dim
    return tuple(x[(*head, slice(*ends))] for ends in pairwise(bounds))


# fmt: off
# ---- the same elements in another shape --------------------------------------------------------
identity = linear_map("identity", lambda x: x,           lambda g: g)
clone_   = linear_map("clone",    lambda x: copy_of(x), lambda g: g)
in_order = linear_map("contiguous", lambda x: np.array(x, order="C"), lambda g: g)
detached = constant("detach", lambda x: x.view(), views=True)
reshaped = linear_map("reshape", _reshape, lambda g, x_shape: reshaped(g, to=x_shape), views=True)
permuted = linear_map("permute", _permute, lambda g, dims: permuted(g, dims=inverse(dims)), views=True)
flipped  = linear_map("flip",    _flip,    lambda g, dim: flipped(g, dim=dim))
rolled   = linear_map("roll",    _roll,    lambda g, shifts, dim: rolled(g, shifts=opposite(shifts), dim=dim))

# ---- a part of the elements, and its adjoint: zeros elsewhere ----------------------------------
diagonal_ = linear_map("diagonal", _diagonal, lambda g, x_shape, offset, dim1, dim2:
                       from_diagonal(g, offset=offset, dim1=dim1, dim2=dim2, to=x_shape), views=True)
from_diagonal = linear_map("from_diagonal", _from_diagonal, lambda g, offset, dim1, dim2:
                           diagonal_(g, offset=offset, dim1=dim1, dim2=dim2))
lower    = linear_map("tril", lambda x, *, diagonal=0: row_major(np.tril(x, diagonal)), lambda g, diagonal: lower(g, diagonal=diagonal))
upper    = linear_map("triu", lambda x, *, diagonal=0: row_major(np.triu(x, diagonal)), lambda g, diagonal: upper(g, diagonal=diagonal))
zero_pad = linear_map("pad",  lambda x, *, widths: _pad(x, widths=widths), lambda g, widths: crop(g, widths=widths))
crop     = linear_map("crop", lambda x, *, widths: cropped(x, widths),     lambda g, widths: zero_pad(g, widths=widths))

# ---- elements repeated, and its adjoint: their sum ---------------------------------------------
tiled = linear_map("tile", _tile, lambda g, x_shape, repeats: untiled(g, x_shape, repeats))

# ---- several arrays in one, one in several: each other's adjoints ------------------------------
concatenated = variadic("cat", _cat, lambda g, i, xs_shape, dim: part(g, i, xs_shape, dim))
stacked      = variadic("stack", _stack, lambda g, i, dim: unbound(g, dim=dim)[i])
unbound      = general("unbind", _unbind, lambda gs, dim: stacked(*gs, dim=dim), outputs="*ys",
                       jvp=lambda t, dim: unbound(t, dim=dim), promotes=False, views=True)
parts        = general("split", _split, lambda gs, dim: concatenated(*gs, dim=dim), outputs="*ys",
                       jvp=lambda t, bounds, dim: parts(t, bounds=bounds, dim=dim), promotes=False, views=True)
# fmt: on


def inverse(dims):
    """The permutation that undoes `dims`."""
    return tuple(int(i) for i in np.argsort([d % len(dims) for d in dims]))


def opposite(shifts):
    """The shifts that undo these."""
    return tuple(-s for s in shifts) if isinstance(shifts, tuple) else -shifts


def cropped(x, widths):
    """x without (before, after) elements at the ends of each dimension."""
    return x[tuple(slice(before, n - after) for (before, after), n in zip(widths, x.shape, strict=True))]


def untiled(g, x_shape, repeats):
    """Sum the copies: split each dimension in (copies, size), and sum over the copies."""
    ndim = max(len(x_shape), len(repeats))
    shape = (1,) * (ndim - len(x_shape)) + tuple(x_shape)
    times = (1,) * (ndim - len(repeats)) + tuple(repeats)
    pairs = tuple(n for pair in zip(times, shape, strict=True) for n in pair)
    kept = tuple(n for pair in zip((1,) * ndim, shape, strict=True) for n in pair)
    return reshaped(sum_to(reshaped(g, to=pairs), to=kept), to=tuple(x_shape))


def part(g, i, shapes, dim):
    """The i-th of the parts laid end to end along `dim`."""
    dim %= len(g.shape)
    bounds = (0, *accumulate(shape[dim] for shape in shapes))
    return parts(g, bounds=bounds, dim=dim)[i]


# ---- PyTorch's spellings -----------------------------------------------------------------------


def reshape(input, *sizes_, shape=None):
    """input in another shape with as many elements; one size may be −1: what is left."""
    return reshaped(input, to=fitting(sizes(sizes_, shape), input.shape))


def view(x, *shape, size=None):
    """`reshape`, sharing x's memory: an error where that cannot be. A dtype reinterprets."""
    if len(shape) == 1 and isinstance(shape[0], np.dtype):
        if shape[0] == x.dtype:
            return x
        y = type(x).wrap(reinterpreted(x.array, shape[0]))
        for each in (x, y):  # they share memory, which no step of the graph knows of
            note_view(each)
        return y
    y = reshape(x, *shape, shape=size)
    array = x.array if isinstance(x, Variable) else x
    if array.size and not np.shares_memory(array, y.array if isinstance(y, Variable) else y):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return y


def reinterpreted(array, dtype) -> np.ndarray:
    """The bytes of `array` as numbers of `dtype`."""
    try:
        return array.view(dtype)
    except ValueError as error:
        what = (
            "self.size(-1) must be divisible by the ratio of the element sizes"
            if array.ndim
            else "self.dim() cannot be 0"
        )
        raise ShapeError(f"{what} to view {array.dtype} as {dtype}: {error}") from None


def fitting(to: tuple, shape: tuple) -> tuple:
    """`to`, with −1 worked out; PyTorch's errors if it cannot hold what `shape` holds."""
    if to.count(-1) > 1:
        raise ShapeError("only one dimension can be inferred")
    size = math.prod(shape)
    if -1 in to:
        known = math.prod(n for n in to if n != -1)
        if known == 0 and size == 0:
            raise ShapeError(
                f"cannot reshape tensor of 0 elements into shape {list(to)} because the "
                "unspecified dimension size -1 can be any value and is ambiguous"
            )
        if known == 0 or size % known:
            raise ShapeError(f"shape '{list(to)}' is invalid for input of size {size}")
        return tuple(size // known if n == -1 else n for n in to)
    if math.prod(to) != size or any(n < 0 for n in to):
        raise ShapeError(f"shape '{list(to)}' is invalid for input of size {size}")
    return to


def view_as(x, other):
    """x in the shape of `other`."""
    return view(x, *other.shape)


def ravel(input):
    """The elements of input in a row; a copy, unless they lie so."""
    return reshape(contiguous(input), -1)


def reshape_as(x, other):
    """x in the shape of `other`."""
    return reshape(x, *other.shape)


def flatten(input, start_dim=0, end_dim=-1):
    """input with the dimensions from start_dim to end_dim made one."""
    if input.ndim == 0:
        for d in (start_dim, end_dim):
            positive(d, 0)
        return reshape(input, 1)
    start, end = positive(start_dim, input.ndim), positive(end_dim, input.ndim)
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    return reshape(
        input, *input.shape[:start], math.prod(input.shape[start : end + 1]), *input.shape[end + 1 :]
    )


def unflatten(input, dim, sizes):
    """input with dimension `dim` split into `sizes`; the inverse of `flatten`."""
    if not sizes:
        raise ShapeError("unflatten: sizes must be non-empty")
    with_dimensions("unflatten", input)
    dim = positive(dim, input.ndim)
    inner = fitting(tuple(sizes), (input.shape[dim],))
    return reshape(input, *input.shape[:dim], *inner, *input.shape[dim + 1 :])


@numpy_names
def squeeze(x, dim=None):
    """x without its dimensions of size 1, or without those of `dim` that have size 1."""
    gone = range(x.ndim) if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
    gone = {positive(d, x.ndim) for d in gone}
    return reshaped(x, to=tuple(n for d, n in enumerate(x.shape) if d not in gone or n != 1))


@numpy_names
def unsqueeze(x, dim):
    """x with a new dimension of size 1 at `dim`."""
    dim = positive(dim, x.ndim + 1)
    return reshaped(x, to=(*x.shape[:dim], 1, *x.shape[dim:]))


@numpy_names
def transpose(input, dim0, dim1):
    """input with two dimensions exchanged."""
    dim0, dim1 = positive(dim0, input.ndim), positive(dim1, input.ndim)
    order = list(range(input.ndim))
    if order:
        order[dim0], order[dim1] = dim1, dim0
    return permuted(input, dims=tuple(order))


def permute(input, *order, dims=None):
    """input with its dimensions in the order given."""
    order = sizes(order, dims)
    if len(order) != input.ndim:
        raise RuntimeError(
            "permute(): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {input.ndim} is not equal to len(dims) = {len(order)}"
        )
    order = tuple(positive(d, input.ndim) for d in order)
    if sorted(order) != list(range(input.ndim)):
        raise RuntimeError(f"permute(): dims {order} are not an ordering of the {input.ndim} dimensions")
    return permuted(input, dims=order)


def t(input):
    """The transpose of a matrix; a vector as it is."""
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return permuted(input, dims=tuple(reversed(range(input.ndim))))


def T(x):
    """x with its dimensions reversed."""
    return permuted(x, dims=tuple(reversed(range(x.ndim))))


def mT(x):
    """x with its last two dimensions exchanged."""
    if x.ndim == 0:
        return x
    if x.ndim == 1:
        raise RuntimeError(
            f"tensor.mT is only supported on matrices or batches of matrices. Got {x.ndim}-D tensor."
        )
    return permuted(x, dims=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def expand(x, *shape, size=None):
    """x repeated, without copying, along its dimensions of size 1 and new leading ones; −1 keeps
    a size."""
    to = sizes(shape, size)
    extra = len(to) - x.ndim
    if extra < 0:
        raise ShapeError(
            f"expand: the number of sizes provided ({len(to)}) must be greater or equal to the "
            f"number of dimensions in the tensor ({x.ndim})"
        )
    full = tuple(x.shape[k - extra] if n == -1 and k >= extra else n for k, n in enumerate(to))
    for k, n in enumerate(x.shape):
        if n not in (1, full[k + extra]):
            raise ShapeError(
                f"The expanded size of the tensor ({full[k + extra]}) must match the existing size "
                f"({n}) at non-singleton dimension {k + extra}"
            )
    if math.prod(full) == math.prod(x.shape):  # nothing is repeated, so it can be written to
        return reshaped(x, to=full)
    return _broadcast_to(x, to=full)


def broadcast_to(input, *shape, size=None):
    """input repeated, without copying, to `shape`."""
    return expand(input, *shape, size=size)


def expand_as(x, other):
    """x repeated to the shape of `other`."""
    return expand(x, *other.shape)


def tile(input, *times, dims=None):
    """input laid side by side times[k] times along each dimension."""
    return tiled(input, repeats=sizes(times, dims))


def repeat(x, *times, repeats=None):
    """`tile`, with a count for each dimension of x at least."""
    counts = sizes(times, repeats)
    if len(counts) < x.ndim:
        raise ShapeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
        )
    return tiled(x, repeats=counts)


@numpy_names
def movedim(x, source, destination):
    """x with the dimensions `source` moved to the places `destination`."""
    single = isinstance(source, int)
    source = (source,) if single else tuple(source)
    destination = (destination,) if single else tuple(destination)
    source, destination = (dimensions(each, x.ndim) or () for each in (source, destination))
    if len(source) != len(destination):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(source)} dims) should contain "
            f"the same number of dims as destination ({list(destination)} dims)"
        )
    order = [d for d in range(x.ndim) if d not in source]
    for to, d in sorted(zip(destination, source, strict=True)):
        order.insert(to, d)
    return permuted(x, dims=tuple(order))


def flip(input, *axes, dims=None):
    """input, back to front along `axes`."""
    return flipped(input, dim=dimensions(sizes(axes, dims), input.ndim) or ())


@numpy_names
def roll(x, shifts, dims=None, *, dim=None):
    """x shifted along `dims` (flattened, without it), what falls off coming in at the other end."""
    if isinstance(shifts, (list, tuple)):
        shifts = tuple(shifts)
    along = dim if dims is None else dims
    along = None if along is None or along == () else along
    if along is not None and x.ndim == 0:
        raise IndexError(f"Dimension specified as {along} but tensor has no dimensions")
    if along is not None and len(sizes((shifts,))) != len(sizes((along,))):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {shifts}, dims: {along}")
    return rolled(x, shifts=shifts, dim=tuple(along) if isinstance(along, (tuple, list)) else along)


@numpy_names
def cat(tensors, dim=0):
    """The tensors end to end along `dim`. A tensor of shape (0,) fits any."""
    tensors = several("cat", tensors)
    for k, x in enumerate(tensors):
        if x.ndim == 0:
            raise ShapeError(f"zero-dimensional tensor (at position {k}) cannot be concatenated: write stack")
    like = next((x for x in tensors if x.shape != (0,)), tensors[0])
    dim, shape = positive(dim, like.ndim), like.shape
    for k, x in enumerate(tensors):
        if x.shape == (0,) and like.ndim > 1:
            tensors[k] = reshape(x, *shape[:dim], 0, *shape[dim + 1 :])
        elif x.ndim != like.ndim:
            raise ShapeError(f"Tensors must have same number of dimensions: got {like.ndim} and {x.ndim}")
        else:
            for d, (m, n) in enumerate(zip(shape, x.shape, strict=True)):
                if m != n and d != dim:
                    raise ShapeError(
                        f"Sizes of tensors must match except in dimension {dim}. Expected size {m} "
                        f"but got size {n} for tensor number {k} in the list: their shapes are "
                        f"{list(shape)} and {list(x.shape)}"
                    )
    return concatenated(*tensors, dim=dim)


concat = concatenate = cat


@numpy_names
def stack(tensors, dim=0):
    """The tensors as the slices of a new dimension `dim`."""
    tensors = several("stack", tensors)
    for other in tensors:
        if other.shape != tensors[0].shape:
            raise ShapeError(
                f"stack expects each tensor to be equal size, but got {list(tensors[0].shape)} "
                f"and {list(other.shape)}"
            )
    return stacked(*tensors, dim=positive(dim, tensors[0].ndim + 1))


def several(name, tensors) -> list:
    """A sequence of tensors, none of them missing."""
    if isinstance(tensors, Variable):
        raise TypeError(
            f"{name}(): argument 'tensors' must be tuple of Tensors, not Tensor: write {name}([a, b])"
        )
    if not isinstance(tensors, Iterable):
        raise TypeError(
            f"{name}(): argument 'tensors' must be tuple of Tensors, not {type(tensors).__name__}: write {name}([a, b])"
        )
    tensors = list(tensors)
    if not tensors:
        raise ShapeError(f"{name}(): expected a non-empty list of Tensors")
    for k, x in enumerate(tensors):
        if not hasattr(x, "ndim"):
            raise TypeError(
                f"expected Tensor as element {k} in argument 0, but got {type(x).__name__}: write tensor()"
            )
    return tensors


@numpy_names
def unbind(x, dim=0):
    """The slices of x along `dim`."""
    return unbound(x, dim=positive(dim, x.ndim))


@numpy_names
def split(tensor, split_size_or_sections, dim=0):
    """tensor in parts along `dim`: of one size, the last perhaps smaller, or of the sizes listed."""
    with_dimensions("split", tensor)
    dim = positive(dim, tensor.ndim)
    n = tensor.shape[dim]
    size = split_size_or_sections
    if isinstance(size, (list, tuple)):
        if sum(size) != n:
            raise ShapeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size "
                f"at dimension {dim}), but got split_sizes={list(size)}"
            )
        bounds = (0, *accumulate(size))
    elif size < 0 or (size == 0 and n):
        raise ShapeError(f"split expects split_size be positive, but got split_size={size}")
    else:
        bounds = (*range(0, max(n, 1), max(size, 1)), n)
    return parts(tensor, bounds=bounds, dim=dim)


@numpy_names
def chunk(x, chunks, dim=0):
    """x in at most `chunks` parts of equal size along `dim`, the last perhaps smaller."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    with_dimensions("chunk", x)
    n = x.shape[positive(dim, x.ndim)]
    return split(x, -(-n // chunks) if n else [0] * chunks, dim)


def meshgrid(*tensors, indexing="ij"):
    """The coordinates of a grid: the k-th result varies along dimension k only ("ij"), or with
    the first two exchanged ("xy")."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if indexing not in ("ij", "xy"):
        raise ValueError(f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    shape = tuple(x.numel() for x in tensors)
    grid = [
        expand(reshape(x, *((-1 if j == k else 1) for j in range(len(tensors)))), *shape)
        for k, x in enumerate(tensors)
    ]
    if indexing == "xy" and len(tensors) > 1:
        grid = [transpose(x, 0, 1) for x in grid]
    return tuple(grid)


def tril(input, diagonal=0):
    """The lower triangle of the last two dimensions, zeros elsewhere."""
    return lower(of_matrices("tril", input), diagonal=diagonal)


def triu(input, diagonal=0):
    """The upper triangle of the last two dimensions, zeros elsewhere."""
    return upper(of_matrices("triu", input), diagonal=diagonal)


def of_matrices(name, x):
    """x, which must have two dimensions at least."""
    if x.ndim < 2:
        raise ShapeError(f"{name}: input tensor must have at least 2 dimensions")
    return x


def diagonal(input, offset=0, dim1=0, dim2=1):
    """The diagonal of the planes (dim1, dim2), as the last dimension."""
    first, second = positive(dim1, input.ndim), positive(dim2, input.ndim)
    if first == second:
        raise ShapeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return diagonal_(input, offset=offset, dim1=first, dim2=second)


def diag(input, diagonal=0):
    """A vector as the diagonal of a matrix; of a matrix, its diagonal."""
    if input.ndim == 2:
        return clone(diagonal_(input, offset=diagonal, dim1=0, dim2=1))
    if input.ndim != 1:
        raise ShapeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    n = input.shape[0] + (diagonal if diagonal > 0 else -diagonal)
    return from_diagonal(input, offset=diagonal, dim1=0, dim2=1, to=(n, n))


def pad(input, pad, mode="constant", value=None):
    """input with a border: `pad` is (before, after) for the last dimension, then for the one before
    it, and so on. mode is "constant", "reflect", "replicate" or "circular"."""
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise RuntimeError(
            f"Padding length must be divisible by 2 and at most twice the {input.ndim} dimensions of "
            f"the input, got {len(pad)}"
        )
    pairs = [tuple(pad[k : k + 2]) for k in range(0, len(pad), 2)]
    widths = (((0, 0),) * (input.ndim - len(pairs))) + tuple(reversed(pairs))
    if mode in ("constant", "circular"):  # a negative width takes away, before anything is put around
        trimmed = tuple((max(-b, 0), max(-a, 0)) for b, a in widths)
        widths = tuple((max(b, 0), max(a, 0)) for b, a in widths)
        if any(map(any, trimmed)):
            input = crop(input, widths=trimmed)
    if mode == "constant":
        y = zero_pad(input, widths=widths) if input.ndim else clone(input)
        if value:
            inside = _pad(np.ones(input.shape, bool), widths=widths)
            y = y + np.where(inside, 0, value).astype(y.dtype)
        return y
    names: dict[str, Any] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    if mode not in names:
        raise ValueError(f"Unrecognised padding mode {mode}: write one of constant, {', '.join(names)}")
    from .indexing import index_select  # a border that repeats elements is an indexing

    for dim, width in enumerate(widths):
        if mode == "reflect" and max(width) >= max(input.shape[dim], 1):
            raise RuntimeError(
                "Padding size should be less than the corresponding input dimension, but got: padding "
                f"{width} at dimension {dim} of input {list(input.shape)}"
            )
        if mode == "circular" and max(width) > input.shape[dim]:
            raise RuntimeError(
                f"Padding value causes wrapping around more than once: {width} at dimension {dim} of "
                f"input {list(input.shape)}"
            )
        if any(width):
            n, before, after = input.shape[dim], *(max(w, 0) for w in width)
            if n + sum(width) < 1:
                raise RuntimeError(
                    f"input of size {n} at dimension {dim} is too small for padding {width}. Calculated output "
                    f"size: {n + sum(width)}"
                )
            places = np.pad(np.arange(n), (before, after), mode=names[mode])
            first = before - width[0]  # a negative width takes away
            input = index_select(input, dim, places[first : first + n + sum(width)])
    return input if any(map(any, widths)) else clone(input)


def contiguous(x):
    """x, or a copy of it if its elements do not lie in order."""
    return x if getattr(x, "array", x).flags.c_contiguous else in_order(x)


def clone(input):
    """A copy of input, through which gradients flow."""
    return clone_(input)


def detach(input):
    """input's values in the same memory, cut off from the graph."""
    return detached(input)
