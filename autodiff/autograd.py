"""PyTorch's spellings: autograd.grad, autograd.backward, autograd.Function."""

from __future__ import annotations

import inspect
import warnings
from functools import partial, wraps
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import functional, memory, ops
from . import tensor as tensors
from .errors import broadcast_mismatch, explanation
from .graph import Node, backpropagate, enable_grad, inspector, mode, no_grad, set_grad_enabled, switched
from .primitive import Primitive, astype, placed, sum_to
from .provenance import describe
from .tensor import Tensor, seed_for

__all__ = [
    "Function", "backward", "detect_anomaly", "enable_grad", "function", "functional", "grad",
    "no_grad", "once_differentiable", "set_detect_anomaly", "set_grad_enabled",
]  # fmt: skip


def listed(x) -> list:
    """A Tensor, or several, as a list."""
    return [x] if isinstance(x, Tensor) else list(x)


def gradients_for(outputs: list, gradients) -> list:
    """A gradient, or None, for each output."""
    gradients = [None] * len(outputs) if gradients is None else listed(gradients)
    if len(gradients) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(gradients)} gradients")
    return gradients


def backward(tensors_, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None) -> None:
    """Add the gradients of `tensors_` to the `.grad` of the leaves, in one walk."""
    outputs = listed(tensors_)
    gradients = gradients_for(outputs, grad_tensors)
    tensors.backward(outputs, gradients, retain_graph, create_graph, inputs)


def grad(
    outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, only_inputs=True,
    allow_unused=None, is_grads_batched=False, materialize_grads=False,
) -> tuple:  # fmt: skip
    """The gradients of Σ outputs·grad_outputs by the inputs, which need not be leaves; nothing is
    accumulated anywhere. If `is_grads_batched`, those for each of the grad_outputs that are stacked along
    their first dimension."""
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True): write "
            "autograd.backward to accumulate gradients in other leaves",
            FutureWarning,
            stacklevel=2,
        )
    if is_grads_batched:
        batches = list(zip(*listed(grad_outputs), strict=True))
        keep = create_graph if retain_graph is None else retain_graph
        rows = [
            grad(outputs, inputs, row, keep or k + 1 < len(batches), create_graph, True, allow_unused, False,
                 materialize_grads)
            for k, row in enumerate(batches)
        ]  # fmt: skip
        return tuple(None if column[0] is None else ops.stack(column) for column in zip(*rows, strict=True))
    outputs, inputs = listed(outputs), listed(inputs)
    gradients = gradients_for(outputs, grad_outputs)
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    for x in inputs:
        if x.origin is None:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    seeds = list(map(seed_for, outputs, gradients))
    release = not (create_graph if retain_graph is None else retain_graph)
    on_tensors = create_graph or bool(mode.get()[1])
    with switched(recording=create_graph):
        found = backpropagate(
            [y.origin for y in outputs],
            seeds if on_tensors else [s.array for s in seeds],
            {x.origin for x in inputs},
            release=release,
        )
    result = []
    for k, x in enumerate(inputs):
        g = found.get(x.origin)
        if g is None and materialize_grads:
            g = np.zeros_like(x.array)
        if g is None and not allow_unused:
            raise RuntimeError(
                f"The differentiated Tensor at index {k} appears to not have been used in the graph. "
                "Set allow_unused=True if this is the desired behavior."
            )
        result.append(g if g is None or isinstance(g, Tensor) else Tensor.wrap(np.array(g)))
    return tuple(result)


# ---- anomaly mode ------------------------------------------------------------------------------------


class set_detect_anomaly:
    """Let the walk back stop at the first operation whose derivative is NaN, and say where it was
    called; or no longer. As a context manager, only inside. Like recording, it is a matter of one
    thread or task."""

    def __init__(self, mode: bool, check_nan: bool = True):
        self.before = inspector.get()
        inspector.set(refuse_nan if mode and check_nan else None)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc) -> None:
        inspector.set(self.before)


class detect_anomaly(set_detect_anomaly):
    """Inside, the walk back stops at the first operation whose derivative is NaN."""

    def __init__(self, check_nan: bool = True):
        self.check_nan = check_nan

    def __enter__(self) -> None:
        super().__init__(True, self.check_nan)


def refuse_nan(node: Node, g, shares) -> None:
    """An error if the rules of `node` made NaN of its cotangent `g`, or got it."""
    where = f"the forward call was {describe(node.site)}"
    if any(map(has_nan, g.values() if isinstance(g, dict) else [g])):
        raise RuntimeError(
            explanation(
                f"the gradient of the output of '{node.name()}' is nan before its own derivative",
                where=where,
                why="it was given to backward() so, or what its readers sent was inf and -inf, whose sum is nan",
                remedy="look at the gradients of what reads it, with register_hook",
            )
        )
    for k, share in enumerate(shares):
        if share is not None and has_nan(share):
            raise RuntimeError(
                explanation(
                    f"Function '{node.name()}' returned nan values in its {k}th output",
                    where=where,
                    why="its derivative there is 0·inf, inf − inf or 0/0",
                    remedy="keep its input away from that point before the call: torch.where after it does "
                    "not help, for the walk back passes both branches",
                )
            )


def has_nan(g) -> bool:
    """Is NaN among its elements?"""
    array = np.asarray(g.array if isinstance(g, Tensor) else g)
    return array.dtype.kind == "f" and bool(np.isnan(array).any())


# ---- operations of the user's own --------------------------------------------------------------------


class Context:
    """What a Function's forward leaves for its backward and jvp."""

    def __init__(self, needs_input_grad=()):
        self.needs_input_grad = tuple(needs_input_grad)
        self.kept: tuple = ()
        self.kept_for_jvp: tuple = ()
        self.constant: tuple = ()
        self.dirty: tuple = ()
        self.materialize = True

    def save_for_backward(self, *tensors) -> None:
        """Keep these for the backward, where they are `saved_tensors`."""
        self.kept = checked("save_for_backward", tensors)

    def save_for_forward(self, *tensors) -> None:
        """Keep these for the jvp, where they are `saved_tensors`."""
        self.kept_for_jvp = checked("save_for_forward", tensors)

    @property
    def saved_tensors(self) -> tuple:
        """What was saved for the one of backward and jvp that is running."""
        return self.kept

    def mark_non_differentiable(self, *tensors) -> None:
        """These outputs have no gradient."""
        self.constant += tensors

    def mark_dirty(self, *tensors) -> None:
        """These inputs were changed in place, and are outputs."""
        self.dirty = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Should an output that nobody read come to backward as zeros (the default), or None?"""
        self.materialize = value


def checked(name: str, tensors: tuple) -> tuple:
    """The Tensors, or Nones, that are to be saved; an error for anything else."""
    for k, t in enumerate(tensors):
        if t is not None and not isinstance(t, Tensor):
            raise TypeError(
                f"{name} can only save variables, but argument {k} is of type {type(t).__name__}: what is no "
                "tensor can be an attribute of ctx"
            )
    return tensors


class Function:
    """An operation with a derivative of its own: subclass it, with static methods
    `forward(ctx, *inputs)` (or `forward(*inputs)` and `setup_context(ctx, inputs, output)`) and
    `backward(ctx, *gradients)`, which gives a gradient, or None, for each input; call `apply`.
    A static `jvp(ctx, *tangents)` serves forward mode, which without it goes through the backward."""

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("a Function needs a static method forward(ctx, *inputs)")

    @staticmethod
    def setup_context(ctx: Context, inputs: tuple, output: Any) -> None:
        """Where forward takes no ctx: keep what the backward needs."""

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError(
            "You must implement the static method backward(ctx, *gradients) for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        raise NotImplementedError("a Function's jvp(ctx, *tangents) gives a tangent for each output")

    @classmethod
    def apply(cls, *args, **kwargs):
        """The value for these inputs, recorded."""
        separate = cls.setup_context is not Function.setup_context
        if kwargs:
            context = () if separate else (None,)
            bound = inspect.signature(cls.forward).bind(*context, *args, **kwargs)
            bound.apply_defaults()
            args = bound.args[len(context) :]
        ctx = Context(isinstance(a, Tensor) and a.requires_grad for a in args)
        with no_grad():
            result = cls.forward(*args) if separate else cls.forward(ctx, *args)
            if separate:
                cls.setup_context(ctx, args, result)
        given = result if isinstance(result, tuple) else (result,)
        outputs = [y for y in given if isinstance(y, Tensor)]
        inputs = [a for a in args if isinstance(a, Tensor)]
        if not inputs or not outputs:
            return result
        refuse_dirty(ctx, outputs)
        ys = UserPrimitive(cls, ctx, args, given).applied(inputs, outputs)
        remaining = iter(ys)
        made = tuple(next(remaining) if isinstance(y, Tensor) else y for y in given)
        return made if isinstance(result, tuple) else made[0]


def refuse_dirty(ctx: Context, outputs: list) -> None:
    """Errors for inputs that were changed in place where that cannot be recorded."""
    for t in ctx.dirty:
        if not any(t is y for y in outputs):
            raise RuntimeError("a tensor that was given to mark_dirty() must be an output of forward()")
        if t.requires_grad and t.is_leaf:
            raise RuntimeError(
                "a leaf Variable that requires grad is being used in an in-place operation: it was given to "
                "mark_dirty(). Work on a .clone()."
            )
        if t.seen_from is not None or memory.live_views(t.array):
            raise RuntimeError(
                "mark_dirty() was given a view, or a tensor that has views: what they should be afterwards "
                "is not known. Work on a .clone()."
            )


class UserPrimitive(Primitive):
    """One call of a user's Function as a primitive: of the tensors among the arguments, to the tensors
    among the results."""

    promotes = False
    listed = False

    def __init__(self, function, ctx, args, given):
        self.function, self.ctx, self.n_args, self.n_outputs = function, ctx, len(args), len(given)
        self.places = [k for k, a in enumerate(args) if isinstance(a, Tensor)]
        self.output_places = [k for k, y in enumerate(given) if isinstance(y, Tensor)]
        arrays = tuple(y.array for y in given if isinstance(y, Tensor))
        super().__init__(
            function.__name__, lambda *xs: arrays, "*xs", [lambda wanted, gs: None], outputs="*ys", joint=True
        )

    def applied(self, inputs, outputs) -> list:
        """The outputs, with a node that holds what forward has kept for backward."""
        ctx = self.ctx
        kept, kept_for_jvp = ctx.kept, ctx.kept_for_jvp
        ys = list(self(*inputs))
        node = next((y.origin.node for y in ys if y.origin is not None), None)
        if node is not None:
            saved = [*kept, *kept_for_jvp]
            node.plan = Kept([place_of(t, inputs, outputs) for t in saved], len(kept))
            node.saved = tuple(None if t is None else t.array for t in saved)
        for k, made in enumerate(outputs):
            if any(made is t for t in ctx.constant):
                ys[k].origin = None
            if any(made is t for t in ctx.dirty):
                made.origin = ys[k].origin
                ys[k] = made
        # The node must not keep the outputs alive, neither by what ctx holds nor by the function that gave them.
        ctx.kept, ctx.kept_for_jvp, ctx.constant, ctx.dirty = (), (), (), ()
        self.forward = partial(computed_already, self.name)
        return ys

    def recall(self, node, like, for_jvp=False) -> None:
        """Set ctx.saved_tensors: at their places in the graph, if the walk is recorded."""
        split = node.plan.for_backward
        pairs = list(zip(node.saved, node.plan.places, strict=True))
        pairs = (pairs[split:] or pairs[:split]) if for_jvp else pairs[:split]
        self.ctx.kept = tuple(
            None if a is None else placed(like, a, p, node) if isinstance(like, Tensor) and p is not None else Tensor.wrap(a)
            for a, p in pairs
        )  # fmt: skip

    def pull(self, node, g, sources) -> list:
        """The inputs' cotangents, by the user's backward."""
        function, ctx = self.function, self.ctx
        like = next(iter(g.values()))
        on_arrays = not isinstance(like, Tensor)
        gs: list[Tensor | None] = [None] * self.n_outputs
        for k, place in enumerate(self.output_places):
            if k in g:
                gs[place] = Tensor.wrap(g[k]) if on_arrays else g[k]
            elif ctx.materialize:
                gs[place] = Tensor.wrap(np.zeros(node.shape[k], node.dtype[k]))
        self.recall(node, like)
        try:
            with switched(recording=not on_arrays and mode.get()[0]):
                found = function.backward(ctx, *gs)
        finally:
            ctx.kept = ()
        found = found if isinstance(found, tuple) else (found,)
        if len(found) < self.n_args or any(share is not None for share in found[self.n_args :]):
            raise RuntimeError(
                f"function {self.name}Backward returned an incorrect number of gradients "
                f"(expected {self.n_args}, got {len(found)})"
            )
        return [
            None if source is None or found[k] is None else self.fitted(k, found[k], source, on_arrays)
            for k, source in zip(self.places, sources, strict=True)
        ]

    def fitted(self, k, share, source, on_arrays):
        """The k-th gradient that backward gave, in its input's shape and dtype."""
        if not isinstance(share, Tensor):
            raise TypeError(
                f"function {self.name}Backward returned a {type(share).__name__} at index {k}: expected a Tensor or None"
            )
        if share.shape != source.shape:
            if broadcast_mismatch(share.shape, source.shape) or len(share.shape) < len(source.shape) or any(
                n < m for n, m in zip(reversed(share.shape), reversed(source.shape), strict=False)
            ):  # fmt: skip
                raise RuntimeError(
                    f"Function {self.name}Backward returned an invalid gradient at index {k} - got "
                    f"{list(share.shape)} but expected shape compatible with {list(source.shape)}"
                )
            share = sum_to(share, to=source.shape)
        share = share if share.dtype == source.dtype else astype(share, dtype=source.dtype)
        return share.array if on_arrays else share

    def push(self, node, tangents):
        """The outputs' tangents, by the user's jvp, or by the backward of the backward."""
        if self.function.jvp is Function.jvp:
            return self.transposed_twice(node, tangents)
        ts: list[Tensor | None] = [None] * self.n_args
        for k, t in zip(self.places, tangents, strict=True):
            ts[k] = t
        self.recall(node, next(t for t in tangents if t is not None), for_jvp=True)
        try:
            found = self.function.jvp(self.ctx, *ts)
        finally:
            self.ctx.kept = ()
        found = found if isinstance(found, tuple) else (found,)
        return {k: found[place] for k, place in enumerate(self.output_places)}


def computed_already(name: str, *arrays: Any) -> Any:
    """In the place of a Function's forward, once it has given its outputs."""
    raise RuntimeError(f"a call of the Function {name} cannot be computed again from its graph")


class Kept:
    """What a node of a user's Function holds: where in the graph each array stands, the first
    `for_backward` of them for the backward."""

    def __init__(self, places, for_backward):
        self.places, self.for_backward = places, for_backward
        self.holds_arrays = bool(places)


def place_of(t, inputs, outputs) -> int | None:
    """Which input t is, or which output (as a negative number); None for what is neither."""
    for k, x in enumerate(inputs):
        if t is x:
            return k
    return next((~k for k, y in enumerate(outputs) if t is y), None)


def once_differentiable(function):
    """For a backward that cannot itself be differentiated: an error where somebody does."""

    @wraps(function)
    def once(ctx, *gs):
        with no_grad():
            found = function(ctx, *gs)
        tracked = [t for t in (*gs, *ctx.saved_tensors) if t is not None and t.requires_grad]
        if not tracked or not mode.get()[0]:
            return found
        shares = found if isinstance(found, tuple) else (found,)
        return tuple(final(t.detach(), *tracked) if isinstance(t, Tensor) else t for t in shares)

    return once


def refuse_twice(wanted, g):
    """The rule of `final`: an error."""
    raise RuntimeError(
        "trying to differentiate twice a function that was marked with @once_differentiable: write its backward "
        "in operations of Tensors and leave the mark out (or, for forward mode, give it a jvp)"
    )


# x, as a value that depends on the others in a way that nobody knows
final = Primitive("once_differentiable", lambda x, *others: x, "*xs", [refuse_twice], joint=True, promotes=False,
                  listed=False)  # fmt: skip


function = SimpleNamespace(Function=Function, FunctionCtx=Context, once_differentiable=once_differentiable)
