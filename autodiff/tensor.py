"""The Tensor: an array that may stand in a graph. No calculus: that is all in graph and ops."""

from __future__ import annotations

import builtins
import copy
import itertools
import sys
import warnings
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from . import dtypes, memory, ops
from .errors import ShapeError, broadcast_mismatch, explanation, quietly
from .graph import Leaf, Node, Output, Stop, Variable, backpropagate, mode, no_grad, switched, tell
from .ops.naming import Size, positive, sizes
from .ops.updates import assign
from .primitive import Primitive, copy_of
from .printing import PRINTED, shown

blank = object.__new__  # found faster so than through the class


class device:
    """Where a Tensor lives: always the CPU."""

    __slots__ = ("type", "index")

    def __init__(self, type: Any = "cpu", index: int | None = None):
        kind, _, number = str(type).partition(":")
        if kind != "cpu":
            raise RuntimeError(
                f"device '{type}' does not exist here: this engine computes on the CPU only. "
                'Write torch.device("cpu"), or leave the device out'
            )
        self.type, self.index = kind, int(number) if number else index

    def __eq__(self, other):
        return isinstance(other, (device, str)) and str(self) == str(other)

    def __hash__(self):
        return hash("cpu")

    def __str__(self):
        return "cpu"

    def __repr__(self):
        return "device(type='cpu')"


class View(NamedTuple):
    """How a Tensor looks at the memory of another: the steps that lead from there to it."""

    base: Tensor
    steps: tuple  # of (primitive, options, which of its outputs or None)

    def replayed(self, base) -> Any:
        """What the steps make of `base`: a Tensor, or an array."""
        return after(self.steps, base)


class Twin(NamedTuple):
    """Where a detached Tensor came from: it shares that memory, and nothing else."""

    root: Any  # a weak reference to the Tensor
    steps: tuple  # as a View's


def after(steps, base) -> Any:
    """What a View's or a Twin's steps make of `base`."""
    for primitive, options, k in steps:
        base = primitive(base, **options)
        base = base if k is None else base[k]
    return base


def fits_into(a, array: np.ndarray) -> bool:
    """Can what is computed of both be written into `array`: is it of that dtype, and broadcast to that shape?"""
    if isinstance(a, (bool, int, float)) and not isinstance(a, np.generic):
        return True
    if getattr(a, "dtype", None) != array.dtype:
        return False
    pairs = zip(reversed(a.shape), reversed(array.shape), strict=False)
    return a.shape == array.shape or (a.ndim <= array.ndim and all(n in (1, m) for n, m in pairs))


def has_dimensions(other) -> bool:
    """Is it an array or a Tensor? What @ takes: numbers have no matrix product."""
    return hasattr(other, "ndim")


def operator(function, takes=None) -> Any:
    """The two methods of an operator, for a Tensor on its left and on its right. The other operand is what
    `takes` says yes to, or, without that, what is `known`."""

    def left(self, other):
        return function(self, other) if type(other) is Tensor or (takes or known)(other) else NotImplemented

    def right(self, other):
        return function(other, self) if type(other) is Tensor or (takes or known)(other) else NotImplemented

    return left, right


def in_place(function, plain=None):
    """The method that gives its Tensor the value of `function`. Without options it applies the primitive `plain`,
    if there is one, whose result can be written straight into memory."""

    def method(self, *args, **kwargs):
        return self.changed(function if kwargs else plain or function, *args, **kwargs)

    method.__doc__ = f"In place: {function.__doc__}"
    return method


class Tensor(Variable):
    """An n-dimensional array of numbers of one dtype that remembers how it was computed."""

    __slots__ = ("array", "seen_from", "twin_of", "held")
    __array_priority__ = 1000
    array: np.ndarray
    seen_from: View | None  # of a view
    twin_of: Twin  # of a detached one, unset else
    held: Tensor | None  # the .grad of one that requires none, unset else
    keeps_dtype = True  # has Tensor(array) the array's dtype? In a program of PyTorch's (nn.as_torch) it has the default
    is_cuda, is_cpu = False, True
    device = device("cpu")

    def __init__(self, data: Any = (), *more: Any, requires_grad: bool = False):
        """A Tensor of `data`: an array keeps its dtype and shares its memory, lists and ranges are of the default dtype;
        of two or more whole numbers, or a Size, a Tensor of that size with whatever was in memory."""
        if len(more) == 1 and isinstance(more[0], builtins.bool):
            more, requires_grad = (), more[0]
        if more or isinstance(data, Size):
            shape = sizes(tuple(data) if isinstance(data, Size) else (data, *more))
            if builtins.any(n < 0 for n in shape):
                raise RuntimeError(f"Trying to create tensor with negative dimension: {list(shape)}")
            array = np.empty(shape, dtypes.get_default_dtype())
        else:
            array = as_array(data)
            elements = (list, tuple, range) if Tensor.keeps_dtype else (list, tuple, range, np.ndarray)
            if isinstance(data, elements) and array.dtype.kind in ("biu" if Tensor.keeps_dtype else "biuf"):
                array = array.astype(dtypes.get_default_dtype(), copy=False)
        self.array, self.origin, self.seen_from = array, None, None
        if requires_grad:
            self.requires_grad_()

    @staticmethod
    def wrap(array: np.ndarray, origin=None) -> Tensor:
        """A Tensor around an array, sharing its memory."""
        t = blank(Tensor)
        t.array, t.origin, t.seen_from = array, origin, None
        return t

    def note_views(self, primitive: Primitive, options: dict, result) -> None:
        """Remember that `result` was made from self by a step that shares memory.

        What is detached is no view in the graph's eyes. It only shares memory with where it came
        from, which it must not keep alive: there hangs a graph.
        """
        base, steps = self.seen_from or (self, ())
        several = primitive.several
        for k, view in enumerate(result if several else (result,)):
            if view.array.base is not None and shares_owner(view.array, base.array):
                path = (*steps, (primitive, options, k if several else None))
                if primitive is ops.shapes.detached:
                    root, before = base.twin or (weakref.ref(base), ())
                    view.twin_of = Twin(root, (*before, *path))
                else:
                    view.seen_from = View(base, path)
                memory.note_view(view)

    @property
    def twin(self) -> Twin | None:
        """Whose memory it shares, detached; None if that Tensor is no more."""
        twin = getattr(self, "twin_of", None)
        return twin if twin is not None and twin.root() is not None else None

    # ---- what it is ---------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The sizes of its dimensions."""
        return Size(self.array.shape)

    @property
    def dtype(self) -> np.dtype:
        """The type of its elements."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """How many dimensions it has."""
        return self.array.ndim

    @property
    def is_leaf(self) -> bool:
        """Was it made by the user, not by a recorded operation?"""
        return self.origin is None or type(self.origin) is Leaf

    @property
    def requires_grad(self) -> bool:
        """Is it tracked: a leaf whose gradient is wanted, or computed from one?"""
        return self.origin is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool):
        if not self.is_leaf:
            raise RuntimeError("you can only change requires_grad flags of leaf variables.")
        self.requires_grad_(wanted)

    @property
    def grad_fn(self) -> Node | None:
        """The recorded operation that made it; None for a leaf."""
        origin = self.origin
        if isinstance(origin, Output):
            return origin.node
        return origin if isinstance(origin, Node) else None

    @property
    def data(self) -> Tensor:
        """The same memory, outside the graph."""
        return self.detach()

    @data.setter
    def data(self, new: Tensor):
        self.array, self.seen_from = as_array(new), None
        note_sharing(self, new)
        if type(self.origin) is Leaf:
            self.origin.shape, self.origin.dtype = self.array.shape, self.array.dtype

    T, mT = property(ops.T), property(ops.mT)
    H = T

    def size(self, dim: int | None = None):
        """The shape, or the size of one dimension."""
        return self.shape if dim is None else self.array.shape[positive(dim, self.array.ndim)]

    def dim(self) -> int:
        """How many dimensions it has."""
        return self.array.ndim

    ndimension = dim

    def numel(self) -> int:
        """How many elements it has."""
        return self.array.size

    nelement = numel

    def element_size(self) -> int:
        """The bytes of an element."""
        return self.array.itemsize

    @property
    def itemsize(self) -> int:
        return self.array.itemsize

    @property
    def nbytes(self) -> int:
        return self.array.nbytes

    def get_device(self) -> int:
        """The number of the GPU it is on: −1, for it is on none."""
        return -1

    def stride(self, dim: int | None = None):
        """How many elements of memory lie between neighbours along each dimension, or along one."""
        steps = tuple(s // self.array.itemsize for s in self.array.strides)
        return steps if dim is None else steps[dim]

    def is_contiguous(self) -> bool:
        """Do its elements lie in memory in row-major order, without gaps?"""
        return self.array.flags.c_contiguous

    def is_floating_point(self) -> bool:
        """Can its elements have a fraction?"""
        return self.array.dtype.kind == "f"

    def data_ptr(self) -> int:
        """The address of its first element."""
        return self.array.ctypes.data

    def item(self):
        """The only element, as a Python number."""
        if self.array.size != 1:
            raise RuntimeError(
                f"a Tensor with {self.array.size} elements cannot be converted to Scalar: write .tolist() for all of "
                "them, or make one of them first, with .mean() or an index"
            )
        tell("observed", self, "as a Python number")
        return self.array.item()

    def tolist(self):
        """Its elements as Python numbers, in nested lists."""
        tell("observed", self, ".tolist()")
        return self.array.tolist()

    def numpy(self, *, force: builtins.bool = False) -> np.ndarray:
        """The same memory as a NumPy array; by `force` also that of a Tensor that requires grad."""
        if self.origin is not None and not force:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
            )
        memory.note_export(self.array)
        tell("observed", self, ".numpy()")
        return self.array

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Make it a leaf whose gradient is wanted, or no longer."""
        if not requires_grad:
            if not self.is_leaf:
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables. If you want to use "
                    "a computed variable in a subgraph that doesn't require differentiation use "
                    "var_no_grad = var.detach()."
                )
            self.held = self.grad
            self.origin = None
        elif self.array.dtype.kind not in dtypes.DIFFERENTIABLE:
            raise RuntimeError(
                "Only Tensors of floating point dtype can require gradients, and this one is "
                f"{self.array.dtype}: write .float() first, or 2.0 instead of 2"
            )
        elif self.origin is None:
            held = self.grad
            self.origin = Leaf(self.array.shape, self.array.dtype)
            self.grad = held
        return self

    # ---- showing it ---------------------------------------------------------------------------

    def __repr__(self):
        tell("observed", self, "to print it")
        array, opening = self.array, "tensor("
        suffixes = [f"size={array.shape}"] if not array.size and array.ndim > 1 else []
        usual = (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool)[: 3 if array.size else 1]
        if self.dtype not in usual:
            suffixes.append(f"dtype={self.dtype}")
        if isinstance(self.origin, Leaf):
            suffixes.append("requires_grad=True")
        elif self.grad_fn is not None:
            suffixes.append(f"grad_fn=<{self.grad_fn.name()}>")
        text = opening + shown(array, len(opening))
        room = PRINTED["linewidth"] - (len(text) - text.rfind("\n") + 1)
        for suffix in suffixes:
            fits = len(suffix) + 2 <= room
            text += f", {suffix}" if fits else ",\n" + " " * len(opening) + suffix
            room = (room - 2 if fits else PRINTED["linewidth"] - len(opening)) - len(suffix)
        return text + ")"

    def __format__(self, spec):
        if self.array.ndim == 0:
            return self.item().__format__(spec)
        return object.__format__(self, spec)

    # ---- as a Python value --------------------------------------------------------------------

    __hash__ = object.__hash__

    def __bool__(self):
        if self.array.size != 1:
            raise RuntimeError(
                "Boolean value of Tensor with "
                f"{'more than one value' if self.array.size else 'no values'} is ambiguous: "
                "write .all() or .any()"
            )
        return builtins.bool(self.item())

    def only(self):
        """The only element, for float() and int()."""
        if self.array.size != 1:
            raise ValueError(
                f"only one element tensors can be converted to Python scalars, and this one has {self.array.size}: "
                "write .tolist() for all of them, or make one of them first, with .mean() or an index"
            )
        tell("observed", self, "as a Python number")
        return self.array.item()

    def __float__(self):
        if self.origin is not None:
            warnings.warn(
                "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior: the number "
                "knows nothing of the graph, and what is computed from it has no gradient. Write operations of "
                "tensors (x.exp() in place of math.exp(x)), or .item() if the number is all you want",
                stacklevel=2,
            )
        return builtins.float(self.only())

    def __int__(self):
        return builtins.int(self.only())

    def __index__(self):
        if self.array.size != 1 or self.array.dtype.kind not in "iub":
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return builtins.int(self.item())

    def __len__(self):
        if self.array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return len(self.array)

    def __iter__(self):
        if self.array.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(ops.unbind(self, 0))

    def __contains__(self, element):
        if not known(element):
            raise RuntimeError(
                f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
            )
        tell("observed", self, "in")
        return builtins.bool((self.array == as_array(element)).any())

    def __array__(self, dtype=None, copy=None):
        if self.origin is not None:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() "
                "instead: NumPy would cut it off from the graph without a word."
            )
        if not copy:
            memory.note_export(self.array)
        tell("observed", self, "as a NumPy array")
        return np.array(self.array, dtype, copy=copy)

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        """The memory as a DLPack capsule, for the `from_dlpack` of another library."""
        if self.origin is not None:
            raise BufferError(
                "Can't export tensors that require gradient, use tensor.detach(): the other library would cut "
                "it off from the graph without a word."
            )
        array = self.array.copy() if copy else self.array
        if any(stride < 0 for stride in array.strides):
            raise BufferError(
                "DLPack cannot export a tensor that runs through memory backwards: some libraries end the "
                "program where they meet one. Write .contiguous() first."
            )
        if not copy:
            memory.note_export(array)
        tell("observed", self, "by DLPack")
        options: Any = {"stream": stream, "max_version": max_version, "dl_device": dl_device}
        return array.__dlpack__(**{name: value for name, value in options.items() if value is not None})

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __copy__(self):
        """Another Tensor on the same memory."""
        kind, parts, state = self.__reduce_ex__(4)
        new = kind(*parts)
        if state:
            vars(new).update(state)
        note_sharing(self, new)
        return new

    def __deepcopy__(self, memo):
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol at the moment: write .detach().clone()"
            )
        tell("observed", self, "by deepcopy")
        memo[id(self)] = new = rebuilt(type(self), memory.copied(self.array, memo), self.requires_grad)
        note_sharing(new)
        if self.grad is not None:
            new.grad = copy.deepcopy(self.grad, memo)
        for name, value in getattr(self, "__dict__", {}).items():
            setattr(new, name, copy.deepcopy(value, memo))
        return new

    def __reduce_ex__(self, protocol):
        if not self.is_leaf:
            raise RuntimeError("only leaves of the graph can be copied or pickled: write .detach() first")
        state = getattr(self, "__dict__", {})
        return rebuilt, (type(self), self.array, self.requires_grad), (dict(state) or None)

    # ---- operators ----------------------------------------------------------------------------
    # fmt: off

    __add__, __radd__ = operator(ops.elementwise.add)
    __sub__, __rsub__ = operator(ops.elementwise.sub)
    __mul__, __rmul__ = operator(ops.mul)
    __truediv__, __rtruediv__ = operator(ops.elementwise.div)
    __floordiv__, __rfloordiv__ = operator(ops.floor_divide)
    __mod__, __rmod__ = operator(ops.remainder)
    __pow__, __rpow__ = operator(ops.pow)
    __matmul__, __rmatmul__ = operator(ops.matmul, has_dimensions)
    __and__, __rand__ = operator(ops.bitwise_and)
    __or__, __ror__ = operator(ops.bitwise_or)
    __xor__, __rxor__ = operator(ops.bitwise_xor)
    __eq__, __ne__ = operator(ops.eq)[0], operator(ops.ne)[0]
    __lt__, __le__ = operator(ops.lt)[0], operator(ops.le)[0]
    __gt__, __ge__ = operator(ops.gt)[0], operator(ops.ge)[0]
    def __neg__(self): return ops.neg(self)
    def __pos__(self): return self
    def __abs__(self): return ops.abs(self)
    def __invert__(self): return ops.bitwise_not(self)
    def __getitem__(self, index): return ops.getitem(self, index)

    def __iadd__(self, other): return self.changed(ops.elementwise.add, other)
    def __isub__(self, other): return self.changed(ops.elementwise.sub, other)
    def __imul__(self, other): return self.changed(ops.mul, other)
    def __itruediv__(self, other): return self.changed(ops.elementwise.div, other)
    def __ifloordiv__(self, other): return self.changed(ops.floor_divide, other)
    def __imod__(self, other): return self.changed(ops.remainder, other)
    def __ipow__(self, other): return self.changed(ops.pow, other)
    def __iand__(self, other): return self.changed(ops.bitwise_and, other)
    def __ior__(self, other): return self.changed(ops.bitwise_or, other)
    def __ixor__(self, other): return self.changed(ops.bitwise_xor, other)

    # ---- methods: the table of operations, with this Tensor as the first argument --------------

    abs = absolute = ops.abs
    add, sub, mul, div, neg, pow = ops.add, ops.sub, ops.mul, ops.div, ops.neg, ops.pow
    subtract, multiply, divide, negative = sub, mul, div, neg
    true_divide, floor_divide, remainder, fmod = ops.div, ops.floor_divide, ops.remainder, ops.fmod
    exp, expm1, log, log1p, log2, log10 = ops.exp, ops.expm1, ops.log, ops.log1p, ops.log2, ops.log10
    sqrt, rsqrt, square, reciprocal, xlogy = ops.sqrt, ops.rsqrt, ops.square, ops.reciprocal, ops.xlogy
    sin, cos, tan, asin, acos, atan, atan2 = ops.sin, ops.cos, ops.tan, ops.asin, ops.acos, ops.atan, ops.atan2
    sinh, cosh, tanh, sigmoid, relu, erf = ops.sinh, ops.cosh, ops.tanh, ops.sigmoid, ops.relu, ops.erf
    sign, floor, ceil, round, trunc = ops.sign, ops.floor, ops.ceil, ops.round, ops.trunc
    clamp = clip = ops.clamp
    clamp_min, clamp_max, maximum, minimum = ops.clamp_min, ops.clamp_max, ops.maximum, ops.minimum
    eq, ne, lt, le, gt, ge = ops.eq, ops.ne, ops.lt, ops.le, ops.gt, ops.ge
    isnan, isinf, isfinite, isclose, allclose, equal = ops.isnan, ops.isinf, ops.isfinite, ops.isclose, ops.allclose, ops.equal
    logical_and, logical_or, logical_xor, logical_not = ops.logical_and, ops.logical_or, ops.logical_xor, ops.logical_not
    bitwise_and, bitwise_or, bitwise_xor, bitwise_not = ops.bitwise_and, ops.bitwise_or, ops.bitwise_xor, ops.bitwise_not

    sum, mean, var, std, prod, norm = ops.sum, ops.mean, ops.var, ops.std, ops.prod, ops.norm
    max, min, amax, amin, argmax, argmin = ops.max, ops.min, ops.amax, ops.amin, ops.argmax, ops.argmin
    all, any, cumsum, cumprod = ops.all, ops.any, ops.cumsum, ops.cumprod
    logsumexp, softmax, log_softmax = ops.logsumexp, ops.softmax, ops.log_softmax
    nansum, nanmean, count_nonzero, aminmax, dist = ops.nansum, ops.nanmean, ops.count_nonzero, ops.aminmax, ops.dist
    median, kthvalue, unique, bincount = ops.median, ops.kthvalue, ops.unique, ops.bincount
    lerp, addcmul, addcdiv, nan_to_num = ops.lerp, ops.addcmul, ops.addcdiv, ops.nan_to_num

    reshape, reshape_as, view, view_as, t = ops.reshape, ops.reshape_as, ops.view, ops.view_as, ops.t
    flatten, ravel, unflatten, squeeze, unsqueeze = ops.flatten, ops.ravel, ops.unflatten, ops.squeeze, ops.unsqueeze
    transpose = swapaxes = ops.transpose
    permute, movedim, flip, roll = ops.permute, ops.movedim, ops.flip, ops.roll
    expand, expand_as, broadcast_to, repeat, tile = ops.expand, ops.expand_as, ops.broadcast_to, ops.repeat, ops.tile
    repeat_interleave, split, chunk, unbind = ops.repeat_interleave, ops.split, ops.chunk, ops.unbind
    fliplr, flipud, rot90, trace, tensor_split = ops.fliplr, ops.flipud, ops.rot90, ops.trace, ops.tensor_split
    moveaxis, swapdims, argwhere = ops.movedim, ops.transpose, ops.argwhere
    index_fill, index_copy = ops.index_fill, ops.index_copy
    greater, greater_equal, less, less_equal, not_equal = ops.gt, ops.ge, ops.lt, ops.le, ops.ne
    arcsin, arccos, arctan = ops.asin, ops.acos, ops.atan
    tril, triu, diagonal, diag = ops.tril, ops.triu, ops.diagonal, ops.diag
    clone, detach, contiguous = ops.clone, ops.detach, ops.contiguous

    select, narrow, take, gather, scatter, scatter_add = ops.select, ops.narrow, ops.take, ops.gather, ops.scatter, ops.scatter_add
    index_select, index_add, masked_fill, masked_select = ops.index_select, ops.index_add, ops.masked_fill, ops.masked_select
    take_along_dim, nonzero, sort, argsort, topk = ops.take_along_dim, ops.nonzero, ops.sort, ops.argsort, ops.topk

    matmul, mm, bmm, mv, dot, outer = ops.matmul, ops.mm, ops.bmm, ops.mv, ops.dot, ops.outer
    addmm, inner = ops.addmm, ops.inner

    add_, sub_ = in_place(ops.add, ops.elementwise.add), in_place(ops.sub, ops.elementwise.sub)
    div_, mul_, pow_ = in_place(ops.div, ops.elementwise.div), in_place(ops.mul), in_place(ops.pow)
    floor_, ceil_, round_, trunc_ = (in_place(f) for f in (ops.floor, ops.ceil, ops.round, ops.trunc))
    neg_, abs_, exp_, log_, sqrt_ = (in_place(f) for f in (ops.neg, ops.abs, ops.exp, ops.log, ops.sqrt))
    relu_, sigmoid_, tanh_, clamp_ = (in_place(f) for f in (ops.relu, ops.sigmoid, ops.tanh, ops.clamp))
    clip_, clamp_min_, clamp_max_ = clamp_, in_place(ops.clamp_min), in_place(ops.clamp_max)
    subtract_, multiply_, divide_, true_divide_, negative_, absolute_ = sub_, mul_, div_, div_, neg_, abs_
    sin_, cos_, tan_, asin_, acos_, atan_ = (in_place(f) for f in (ops.sin, ops.cos, ops.tan, ops.asin, ops.acos, ops.atan))
    sinh_, cosh_, erf_, sign_ = (in_place(f) for f in (ops.sinh, ops.cosh, ops.erf, ops.sign))
    expm1_, log1p_, log2_, log10_ = (in_place(f) for f in (ops.expm1, ops.log1p, ops.log2, ops.log10))
    square_, rsqrt_, reciprocal_ = (in_place(f) for f in (ops.square, ops.rsqrt, ops.reciprocal))
    remainder_, fmod_, floor_divide_ = (in_place(f) for f in (ops.remainder, ops.fmod, ops.floor_divide))
    lerp_, addcmul_, addcdiv_, nan_to_num_ = (in_place(f) for f in (ops.lerp, ops.addcmul, ops.addcdiv, ops.nan_to_num))
    addmm_, cumsum_, tril_, triu_ = (in_place(f) for f in (ops.addmm, ops.cumsum, ops.tril, ops.triu))
    logical_not_, bitwise_not_ = in_place(ops.logical_not), in_place(ops.bitwise_not)
    index_fill_, index_copy_ = in_place(ops.index_fill), in_place(ops.index_copy)
    masked_fill_, index_add_, scatter_, scatter_add_ = (
        in_place(f) for f in (ops.masked_fill, ops.index_add, ops.scatter, ops.scatter_add))
    # fmt: on

    def bernoulli(self, *, generator=None):
        """1 with the probability that it holds, else 0."""
        from .random import bernoulli

        return bernoulli(self, generator=generator)

    def multinomial(self, num_samples: int, replacement: builtins.bool = False, *, generator=None):
        """Indices drawn with the probabilities that its last dimension is proportional to."""
        from .random import multinomial

        return multinomial(self, num_samples, replacement, generator=generator)

    def where(self, condition, other):
        """self where the condition holds, else other."""
        return ops.where(condition, self, other)

    # ---- other dtypes -------------------------------------------------------------------------

    def to(self, *args, dtype: Any = None, device=None, copy: bool = False, **ignored) -> Tensor:
        """The same values in another dtype, given as such or as that of another Tensor. (The only
        device is "cpu"; another is an error.)"""
        for arg in args:
            if isinstance(arg, Tensor):
                dtype = arg.dtype
            elif isinstance(arg, (str, device_class)) and not is_dtype(arg):
                device = arg
            elif not isinstance(arg, bool):
                dtype = arg
        if device is not None:
            device_class(device)
        if dtype is None or np.dtype(dtype) == self.dtype:
            return ops.clone(self) if copy else self
        return ops.elementwise.as_dtype(self, dtype)

    def float(self):
        """Its values as float32."""
        return self.to(dtypes.float32)

    def double(self):
        """Its values as float64."""
        return self.to(dtypes.float64)

    def half(self):
        """Its values as float16."""
        return self.to(dtypes.float16)

    def long(self):
        """Its values as int64."""
        return self.to(dtypes.int64)

    def int(self):
        """Its values as int32."""
        return self.to(dtypes.int32)

    def bool(self):
        """Which of its elements are not 0."""
        return self.to(dtypes.bool)

    def short(self):
        """Its values as int16."""
        return self.to(dtypes.int16)

    def char(self):
        """Its values as int8."""
        return self.to(dtypes.int8)

    def byte(self):
        """Its values as uint8."""
        return self.to(dtypes.uint8)

    def cpu(self, memory_format=None):
        """Itself: it is there already."""
        return self

    def cuda(self, device=None, non_blocking: builtins.bool = False):
        """An error: there is no GPU here."""
        raise AssertionError(
            "Torch not compiled with CUDA enabled: this engine computes on the CPU only. Leave .cuda() out, or "
            "write .to(device)"
        )

    def type_as(self, other):
        """Its values in the dtype of `other`."""
        return self.to(other.dtype)

    def type(self, dtype=None, non_blocking: builtins.bool = False):
        """Its type as PyTorch calls it, "torch.FloatTensor"; or the values in another dtype, which may be called so,
        too."""
        if dtype is None:
            return f"torch.{dtypes.TYPES[self.dtype]}"
        names = {f"torch.{name}": each for each, name in dtypes.TYPES.items()}
        return self.to(names.get(dtype, dtype) if isinstance(dtype, str) else dtype)

    # ---- in place -----------------------------------------------------------------------------

    def changed(self, function, *args, **kwargs) -> Tensor:
        """self ← function(self, …), as an in-place operator means it."""
        recording, interpreters = mode.get()
        primitive = function if isinstance(function, Primitive) else None
        recording = recording and any(map(tracked, (self, *args, *kwargs.values())))
        ufunc = primitive.ufunc if primitive is not None else None
        if ufunc is not None and ufunc.nin == 1 + len(args) and not (kwargs or interpreters or recording):
            return self.written(ufunc, primitive, args)
        old = self
        if recording and (self.seen_from.base if self.seen_from else self).looked_at():
            copy = ops.clone(Tensor.wrap(self.array))  # for the rules, when the memory is written
            old = Tensor.wrap(copy.array, self.origin)
        return self.become(function(old, *args, **kwargs))

    @quietly
    def written(self, ufunc, primitive, args) -> Tensor:
        """The ufunc's result written straight into memory: no temporary."""
        mine, others = self.array, [a.array if isinstance(a, Tensor) else a for a in args]
        if mine.dtype.kind not in dtypes.FRACTIONAL or not all(fits_into(a, mine) for a in others):
            return self.become(primitive(self, *args))
        self.check_writeable()
        ufunc(mine, *others, out=mine)
        memory.note_write(self.array)
        return self

    def become(self, new: Tensor) -> Tensor:
        """self ← new.

        Where nothing is tracked, memory is written. Otherwise the graph must keep the old value:
        the same object gets the new value and the new origin, so every name of it sees the
        change; and so do the Tensor it is a view of and every other view of that.
        """
        self.check_shape(new.array.shape)
        if not dtypes.can_hold(self.dtype, new.dtype):
            raise RuntimeError(
                f"result type {new.dtype} can't be cast to the desired output type {self.dtype}: "
                "write x = x + … instead of x += …"
            )
        if new.dtype != self.dtype:
            new = ops.elementwise.as_dtype(new, self.dtype)
        if new.origin is None and not (mode.get()[0] and self.origin is not None):
            self.check_writeable()
            assign(self, new)
            return self
        base, steps = self.seen_from or (self, ())
        for each in (self, base):
            if type(each.origin) is Leaf:
                raise RuntimeError(
                    f"{'a view of ' if each is not self else ''}a leaf Variable that requires grad "
                    "is being used in an in-place operation. Write under torch.no_grad(), or work "
                    "on a .clone()."
                )
        self.check_apart()
        if not steps:
            self.replace(new)
            return self
        flat = np.arange(base.array.size).reshape(base.array.shape)
        base.replace(ops.indexing.put(base, new, View(base, steps).replayed(flat)))
        return self

    def check_shape(self, result: tuple) -> None:
        """An error for a result of another shape than self's."""
        if result != self.array.shape:
            raise ShapeError(
                f"output with shape {list(self.shape)} doesn't match the broadcast shape {list(result)}: "
                "an in-place operation cannot change the shape"
            )

    def replace(self, new: Tensor) -> None:
        """Take the value and the origin of `new`, and let every live view of self follow, and every
        detached twin. Where others look at the memory as well, it is written; else the old value stays
        as it is, for what the graph has saved of it."""
        sharing = memory.live_views(self.array)
        views = [t for t in sharing if t.seen_from and t.seen_from.base is self]
        twins = [t for t in sharing if t.twin and t.twin.root() is self]
        was_tracked = self.origin is not None
        looked_at = self.looked_at()
        if looked_at:
            self.check_writeable()  # before anything is changed
        if self.origin is not None and self.origin.stop is not None and self.retains_grad:
            self.origin.stop.keeps_grad = False
            if new.origin is not None:
                new.retain_grad()
        self.origin = new.origin
        if looked_at:
            tell("unrepeatable", "memory that others look at, too, is written by a recorded operation")
            self.array[...] = new.array
            memory.note_write(self.array)
            twins = []  # they see it
        elif (
            new.array.base is not None
            or new.array.strides != self.array.strides  # or the steps of a view might make a copy
            or memory.live_views(new.array)
        ):
            tell("unrepeatable", "a recorded operation writes to memory in another order")
            self.array = np.empty_like(self.array)
            self.array[...] = new.array
        else:
            self.array = new.array
        for view in views:
            with switched(recording=view.origin is not None or not was_tracked):
                again = view.seen_from.replayed(self)
            view.array, view.origin = again.array, again.origin
            memory.note_view(view)
        for twin in twins:
            tell("unrepeatable", "a detached Tensor follows a recorded operation")
            twin.array = after(twin.twin.steps, self.array)
            memory.note_view(twin)
            for view in (t for t in sharing if t.seen_from and t.seen_from.base is twin):
                view.array = view.seen_from.replayed(twin.array)
                memory.note_view(view)

    def looked_at(self) -> bool:
        """Does somebody look at this memory who is no view of self, and could not follow a new value: a
        NumPy array, the Tensor that self was detached from, a detached one that is tracked itself?"""
        if self.twin or memory.is_exported(self.array):
            return True
        sharing = memory.live_views(self.array)
        twins = {id(t): t for t in sharing if t.twin and t.twin.root() is self}
        if any(t.origin is not None for t in twins.values()):
            return True
        bases = (t.seen_from.base if t.seen_from else t for t in sharing)
        return any(base is not self and id(base) not in twins for base in bases)

    def check_writeable(self) -> None:
        """An error for memory that cannot be written as if every element had its own."""
        flags = self.array.flags
        if flags.writeable and flags.c_contiguous:
            return
        self.check_apart()
        if not flags.writeable:
            raise unwriteable("the memory that this tensor looks at is read-only")

    def check_apart(self) -> None:
        """An error if two elements are at one place."""
        array = self.array
        if 0 in array.strides and array.size:
            if any(stride == 0 and n > 1 for stride, n in zip(array.strides, array.shape, strict=True)):
                raise unwriteable(
                    "more than one element of the written-to tensor refers to a single memory location"
                )

    def __setitem__(self, index, value):
        value = value if isinstance(value, Tensor) else as_value(value, self.dtype)
        recording = mode.get()[0]
        if isinstance(value, Tensor) and self.array.dtype.kind not in dtypes.DIFFERENTIABLE:
            value = Tensor.wrap(value.array)  # integers have no derivative
        if recording and (self.origin is not None or tracked(value)):
            self.become(ops.indexing.replaced(self, index, value))
        elif mode.get()[1]:
            self.check_writeable()
            if ops.indexing.makes_view(index):
                assign(ops.getitem(self, index), value)
            else:
                with no_grad():
                    assign(self, ops.indexing.replaced(self, index, value))
        else:
            self.check_writeable()
            ops.indexing.write(self.array, index, value.array if isinstance(value, Tensor) else value)
            memory.note_write(self.array)

    def overwritten(self, value) -> Tensor:
        """self ← value, of any shape that broadcasts; recorded, if anything is tracked."""
        self[...] = value
        return self

    def zero_(self):
        """In place: zeros."""
        return self.overwritten(0)

    def fill_(self, value):
        """In place: `value` everywhere."""
        if getattr(value, "ndim", 0):
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions."
            )
        return self.overwritten(value)

    def copy_(self, src, non_blocking: bool = False):
        """In place: the values of `src`, which may broadcast."""
        src = src if isinstance(src, Tensor) else Tensor.wrap(as_value(src, self.dtype))
        mismatch = broadcast_mismatch(self.shape, src.shape)
        if mismatch:
            raise ShapeError(mismatch)
        self.check_shape(np.broadcast_shapes(self.shape, src.shape))
        return self.overwritten(src)

    def normal_(self, mean: float = 0.0, std: float = 1.0, *, generator=None):
        """In place: numbers drawn from the normal distribution N(mean, std²)."""
        if std < 0:
            raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
        drawn = source_of(generator).standard_normal(self.array.shape, dtypes.float64) * std + mean
        return self.overwritten(drawn)

    def uniform_(self, a: float = 0.0, b: float = 1.0, *, generator=None):
        """In place: numbers drawn evenly from [a, b)."""
        if a > b:
            raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={a} > to={b}")
        drawn = as_value(source_of(generator).random(self.array.shape) * (b - a) + a, self.dtype)
        if a < b and self.dtype.kind == "f":  # what was rounded up to b becomes the largest number below
            low, high = np.array([a, b], self.dtype)
            top = high if high < b else np.nextafter(high, -np.inf, dtype=self.dtype)
            drawn = np.minimum(drawn, max(low, top))
        return self.overwritten(drawn)

    def random_(self, low: int = 0, high: int | None = None, *, generator=None):
        """In place: whole numbers drawn evenly from [low, high); of one number, from [0, low); of none, up to the
        largest that its dtype holds exactly."""
        kind = self.dtype.kind
        if high is None:
            if kind == "f":
                most = 2 ** (np.finfo(self.dtype).nmant + 1)
            else:
                most = 2 if kind == "b" else np.iinfo(self.dtype).max
            low, high = 0, low or int(most)
        if low >= high:
            raise RuntimeError(
                f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
            )
        return self.overwritten(source_of(generator).integers(low, high, self.array.shape).astype(self.dtype))

    def exponential_(self, lambd: float = 1.0, *, generator=None):
        """In place: numbers drawn from the exponential distribution, whose mean is 1 / lambd."""
        if not lambd > 0:
            raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
        return self.overwritten(source_of(generator).exponential(1 / lambd, self.array.shape))

    def bernoulli_(self, p: float = 0.5, *, generator=None):
        """In place: 1 with probability p, else 0."""
        if not isinstance(p, Tensor) and not 0 <= p <= 1:
            raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
        return self.overwritten(source_of(generator).random(self.array.shape) < p)

    def fill_diagonal_(self, fill_value: float, wrap: builtins.bool = False):
        """In place: `fill_value` on the diagonal; with `wrap`, on that of each square below it, too."""
        if self.ndim < 2:
            raise RuntimeError("dimensions must larger than 1")
        if self.ndim > 2 and len(set(self.shape)) > 1:
            raise RuntimeError("all dimensions of input must be of equal length")
        mask = np.zeros(self.shape, builtins.bool)
        np.fill_diagonal(mask, True, wrap)
        return self.masked_fill_(Tensor.wrap(mask), fill_value)

    def unsqueeze_(self, dim: int):
        """In place: a new dimension of size 1."""
        return self.turned(ops.unsqueeze(self.array, dim))

    def squeeze_(self, dim=None):
        """In place: without the dimensions of size 1, or without `dim`, if it has that size."""
        return self.turned(ops.squeeze(self.array, dim))

    def t_(self):
        """In place: a matrix transposed."""
        return self.turned(ops.t(self.array))

    def transpose_(self, dim0: int, dim1: int):
        """In place: two dimensions exchanged."""
        return self.turned(ops.transpose(self.array, dim0, dim1))

    def turned(self, view: Any) -> Tensor:
        """self ← a view of its array, in another shape. Only where nobody else would have to follow."""
        others = builtins.any(t is not self for t in memory.live_views(self.array))
        if self.origin is not None or self.seen_from is not None or others:
            what = (
                "a leaf Variable that requires grad"
                if type(self.origin) is Leaf
                else "a Tensor in a graph, or one with views,"
            )
            raise RuntimeError(
                f"{what} is being used in an in-place operation that changes its shape: write x = x.unsqueeze(0), and "
                "so for its kin"
            )
        self.array = view
        return self

    def detach_(self):
        """Cut it off from the graph."""
        self.origin = None
        return self

    def new_zeros(self, *shape, size=None, dtype=None, device=None, requires_grad=False):
        """Zeros of self's dtype."""
        return finished(np.zeros(sizes(shape, size), dtype or self.dtype), requires_grad, device)

    def new_ones(self, *shape, size=None, dtype=None, device=None, requires_grad=False):
        """Ones of self's dtype."""
        return finished(np.ones(sizes(shape, size), dtype or self.dtype), requires_grad, device)

    def new_empty(self, *shape, size=None, dtype=None, device=None, requires_grad=False):
        """A Tensor of self's dtype, its values whatever was in memory."""
        return finished(np.empty(sizes(shape, size), dtype or self.dtype), requires_grad, device)

    def new_full(self, size, fill_value, *, dtype=None, device=None, requires_grad=False):
        """`fill_value` everywhere, in self's dtype."""
        dtype = dtype or self.dtype
        value = dtypes.converted(as_array(fill_value, dtype), dtype)
        return finished(np.full(sizes((size,)), value), requires_grad, device)

    def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False):
        """A Tensor of self's dtype from `data`."""
        return finished(new_array(data, dtype or self.dtype), requires_grad, device)

    # ---- gradients ----------------------------------------------------------------------------

    @property
    def stop(self) -> Stop:
        """What happens where this value's gradient arrives; it lives with the origin."""
        if self.origin.stop is None:
            self.origin.stop = Stop()
        return self.origin.stop

    @property
    def grad(self) -> Tensor | None:
        """What backward() has added up so far; None before."""
        if self.origin is None:
            return getattr(self, "held", None)
        stop = self.origin.stop
        if (stop is None or stop.grad is None) and not (self.is_leaf or self.retains_grad):
            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute "
                f"won't be populated during autograd.backward(): it is the result of {self.grad_fn}, and only leaves "
                "keep their gradient. Write .retain_grad() before backward(); or, if it was meant to be a leaf, change "
                "its values in place, under no_grad(), and not w = w - …",
                stacklevel=2,
            )
        return None if stop is None else stop.grad

    @grad.setter
    def grad(self, value: Tensor | None):
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
                )
            if value.shape != self.shape:
                raise RuntimeError(
                    f"attempting to assign a gradient of size '{list(value.shape)}' to a tensor of size "
                    f"'{list(self.shape)}': a gradient has the shape of its tensor"
                )
            if value.dtype != self.dtype:
                raise RuntimeError(
                    f"attempting to assign a gradient with dtype '{value.dtype}' to a tensor with dtype "
                    f"'{self.dtype}': a gradient has the dtype of its tensor"
                )
        else:
            tell("cleared", self)
        if self.origin is None:
            self.held = value
        elif value is not None or self.origin.stop is not None:
            self.stop.grad = value

    @property
    def retains_grad(self) -> bool:
        """Is it no leaf, and keeps its gradient all the same?"""
        stop = self.origin.stop if self.origin is not None else None
        return stop is not None and stop.keeps_grad and not self.is_leaf

    def retain_grad(self) -> None:
        """Let backward() leave this value's gradient in `.grad`, as it does for a leaf."""
        if self.origin is None:
            raise RuntimeError(
                "can't retain_grad on Tensor that has requires_grad=False: write requires_grad=True where it "
                "is made"
            )
        self.stop.keeps_grad = True

    def register_hook(self, hook):
        """Call `hook(gradient)` when this value's gradient is complete; what it returns, unless
        None, replaces it. Gives a handle with `remove()`."""
        if self.origin is None:
            raise RuntimeError(
                "cannot register a hook on a tensor that doesn't require gradient: write requires_grad=True "
                "where it is made"
            )
        hooks = self.stop.hooks
        handle = Handle(hooks)
        hooks[handle.key] = lambda g: called_with_tensor(hook, g)
        return handle

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None) -> None:
        """Add d(self)/d(leaf), times `gradient`, to the `.grad` of every leaf, or of `inputs`."""
        backward([self], [gradient], retain_graph, create_graph, inputs)

    # ---- NumPy's functions and operators --------------------------------------------------------

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        from .ops import numpy_api

        return numpy_api.apply_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function, types, args, kwargs):
        from .ops import numpy_api

        return numpy_api.apply_function(function, args, kwargs)


device_class = device


class Handle:
    """Removes a hook."""

    __slots__ = ("hooks", "key", "__weakref__")
    numbers = itertools.count()  # an id() would come again when nobody keeps the handle

    def __init__(self, hooks: dict):
        self.hooks, self.key = hooks, next(self.numbers)

    def remove(self) -> None:
        self.hooks.pop(self.key, None)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


def backward(outputs, gradients, retain_graph=None, create_graph=False, inputs=None) -> None:
    """One walk from `outputs`, and the accumulation of what arrives at the leaves."""
    seeds = list(map(seed_for, outputs, gradients))
    origins = [y.origin for y in outputs]
    wanted = None
    if inputs is not None:
        inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
        if not inputs:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
        for x in inputs:
            if x.origin is None:
                raise RuntimeError("One of the differentiated Tensors does not require grad")
        wanted = {x.origin for x in inputs}
    release = not (create_graph if retain_graph is None else retain_graph)
    if not create_graph and not mode.get()[1]:
        accumulated(backpropagate(origins, [s.array for s in seeds], wanted, release=release))
    else:  # on Tensors: they record the walk, and show it to whoever interprets
        with switched(recording=create_graph):
            accumulated(backpropagate(origins, seeds, wanted, release=release))


def seed_for(y: Tensor, gradient) -> Tensor:
    """The cotangent that backward() starts from at y: `gradient`, or 1 for a scalar."""
    if y.origin is None:
        raise RuntimeError(
            explanation(
                "element 0 of tensors does not require grad and does not have a grad_fn",
                why="nothing it was computed from has requires_grad=True, or it was computed "
                "under no_grad(), detached, or turned to numbers by .item() or .numpy()",
                remedy="give a tensor it depends on requires_grad=True",
            )
        )
    if gradient is None:
        if y.array.size != 1:
            raise RuntimeError(
                "grad can be implicitly created only for scalar outputs, and this one has shape "
                f"{list(y.shape)}: call .sum().backward() (or .mean()), or .backward(gradient) "
                "with a gradient of that shape"
            )
        # np.ones would take four times as long
        return Tensor.wrap(np.array(1, y.array.dtype, ndmin=y.array.ndim))
    gradient = gradient if isinstance(gradient, Tensor) else Tensor(gradient)
    if gradient.array.shape != y.array.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[0] has a shape of {gradient.shape} and output[0] has a "
            f"shape of {y.shape}."
        )
    return gradient if gradient.dtype == y.dtype else gradient.to(y.dtype)


@quietly
def accumulated(found: dict) -> None:
    """Add each gradient to what its origin has, in an array that no one else holds."""
    while found:
        origin, g = found.popitem()  # now nobody here but `g` holds it
        stop = origin.stop
        if stop is None:
            stop = origin.stop = Stop()
        before = stop.grad
        if isinstance(g, Tensor):
            stop.grad = ops.clone(g) if before is None else before + g
        elif before is None:
            # `g` and getrefcount's argument make two; one more, and it is also another leaf's, a
            # hook's, or something a node saved
            alone = type(g) is np.ndarray and g.base is None and sys.getrefcount(g) <= 2 and g.flags.writeable
            stop.grad = Tensor.wrap(g if alone else copy_of(g))
        elif before.origin is None:
            np.add(before.array, g, out=before.array)
            memory.note_write(before.array)
        else:
            stop.grad = before + Tensor.wrap(g)


def called_with_tensor(hook, g):
    """What `hook` makes of the cotangent g, which is an array, or a Tensor if the walk is recorded."""
    if isinstance(g, Tensor):
        replaced = hook(g)
    else:
        if type(g) is not np.ndarray or not g.flags.writeable:  # a number, or one repeated
            g = copy_of(g)
        with no_grad():
            replaced = hook(Tensor.wrap(g))
    if replaced is None:
        return g
    name = getattr(hook, "__name__", repr(hook))
    if not isinstance(replaced, Tensor):
        raise TypeError(f"expected Tensor, but hook '{name}' returned '{type(replaced).__name__}'")
    if replaced.array.shape != g.shape:
        raise RuntimeError(
            f"hook '{name}' has changed the size of value: from {list(g.shape)} to {list(replaced.shape)}"
        )
    if replaced.dtype != g.dtype:
        raise RuntimeError(f"hook '{name}' has changed the type of value: from {g.dtype} to {replaced.dtype}")
    return replaced if isinstance(g, Tensor) else replaced.array


# ---- small parts ---------------------------------------------------------------------------------


def note_sharing(*tensors) -> None:
    """Remember that these look at memory at which others look, too, whose steps are not known."""
    for t in tensors:
        if isinstance(t, Tensor):
            memory.note_view(t)


def unwriteable(what: str) -> RuntimeError:
    """PyTorch's error for memory that cannot be written."""
    return RuntimeError(
        f"unsupported operation: {what}. Please clone() the tensor before performing the operation."
    )


def finished(array: np.ndarray, requires_grad: builtins.bool, device=None) -> Tensor:
    """A new Tensor around `array`, a leaf that requires grad if that is asked; a device must be the CPU."""
    if device is not None:
        device_class(device)
    t = Tensor.wrap(array)
    return t.requires_grad_() if requires_grad else t


NUMERIC = (Tensor, bool, int, float, np.ndarray, np.generic)


def known(other) -> bool:
    """Can it stand beside a Tensor in an operator?"""
    return isinstance(other, NUMERIC) or is_exact(other)


def is_exact(other) -> bool:
    """Is it a whole number or a Fraction?"""
    return hasattr(other, "numerator") and hasattr(other, "denominator")


def tracked(value) -> bool:
    """Is it a Tensor that requires grad?"""
    return isinstance(value, Tensor) and value.origin is not None


def is_dtype(name) -> bool:
    """Does it name a dtype, as "float32" does?"""
    try:
        np.dtype(name)
    except TypeError:
        return False
    return True


def shares_owner(a: np.ndarray, b: np.ndarray) -> bool:
    """Are both in the memory of one array?"""
    return memory.owner(a) is memory.owner(b)


def source_of(generator) -> np.random.Generator:
    """NumPy's generator, for the methods that draw. (`random` makes Tensors, and so is imported later.)"""
    from .random import source

    return source(generator)


def rebuilt(kind, array, requires_grad):
    """A pickled or copied leaf."""
    t = kind.__new__(kind)
    t.array, t.origin, t.seen_from = array, None, None
    return t.requires_grad_() if requires_grad else t


def new_array(data: Any, dtype=None) -> np.ndarray:
    """A copy of `data` in memory of its own, of `dtype` if one is given."""
    array = as_array(data, dtype)
    if dtype is None:
        return np.array(array)
    if isinstance(data, (Tensor, np.ndarray)):
        return quietly(np.array)(array, dtype)
    return dtypes.converted(array, dtype)


@quietly
def as_value(value, dtype) -> np.ndarray:
    """What is written into a Tensor of `dtype`, which must be able to hold a number."""
    array = as_array(value, dtype)
    if array.dtype == dtype:
        return array
    return (
        dtypes.converted(array, dtype, finite=True) if type(value) in dtypes.NUMBERS else array.astype(dtype)
    )


@quietly
def as_array(data: Any, dtype=None) -> np.ndarray:
    """Python floats take the default dtype, unless one is given; arrays and Tensors keep theirs."""
    if isinstance(data, Tensor):
        return data.array
    if isinstance(data, (np.ndarray, np.generic)):
        return np.asarray(data)
    double = isinstance(data, (list, tuple)) and dtype is None and says_double(data)
    if isinstance(data, (list, tuple)):
        data = plain(data)
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(
            f"the nested lists do not make a rectangle: {error}: every row needs the same length"
        ) from error
    if array.dtype == np.float64 and dtype is None and not double:
        return array.astype(dtypes.get_default_dtype())
    if array.dtype.kind in "uO" and (dtype is None or np.dtype(dtype).kind in "biu"):
        refuse_wide(array)
    if array.dtype.kind in "US":
        raise TypeError(f"a tensor is made of numbers, and this holds text: {str(data)[:50]!r}")
    if array.dtype.kind == "O" and not all(map(is_exact, array.reshape(-1))):
        other = next(each for each in array.reshape(-1) if not is_exact(each))
        raise RuntimeError(
            f"Could not infer dtype of {type(other).__name__}: a tensor is made of numbers, and this holds "
            f"{str(other)[:50]}"
        )
    return array


def refuse_wide(array: np.ndarray) -> None:
    """An error for whole numbers that no integer type holds, which NumPy makes unsigned or objects."""
    if array.size and all(isinstance(n, int) for n in array.reshape(-1).tolist()):
        wrong = max(array.reshape(-1).tolist(), key=builtins.abs)
        if not -(2**63) <= wrong < 2**63:
            raise ValueError(
                f"Overflow when unpacking long long: {wrong} is not within the 64 bits of an integer. Write it as a "
                "float"
            )


def says_double(data) -> bool:
    """Is a NumPy number, an array or a Tensor of float64 among the elements?"""
    return any(
        says_double(x) if isinstance(x, (list, tuple)) else getattr(x, "dtype", None) == np.float64
        for x in data
    )


def plain(data: Sequence):
    """Nested lists, the Tensors in them as lists of numbers."""
    return [
        x.tolist() if isinstance(x, Tensor) else plain(x) if isinstance(x, (list, tuple)) else x for x in data
    ]
