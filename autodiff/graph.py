"""The graph a computation leaves behind, and the walks over it. Knows nothing about numbers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from operator import attrgetter
from typing import Any

from .errors import explanation, quietly
from .memory import clock, written_since
from .provenance import describe

# (are calls recorded?, the interpreters that stand at the choke point, innermost last)
mode: ContextVar[tuple[bool, tuple]] = ContextVar("mode", default=(True, ()))
# anomaly mode: what is called with each node, its cotangent, and the shares that its rules made of that
inspector: ContextVar[Callable | None] = ContextVar("inspector", default=None)


# ---- what a graph is made of -------------------------------------------------------------------


class Origin:
    """What produced a value: a leaf, a recorded call, or one of several outputs of a call.

    Cotangents travel from origin to origin. So do the things that must survive an in-place
    operator, which gives a Variable a new origin: hooks, and the gradient (its `Stop`). An
    origin never points at its Variable: no reference cycles.
    """

    __slots__ = ("shape", "dtype", "stop", "__weakref__")
    shape: Any
    dtype: Any
    stop: Stop | None
    sources: Sequence = ()  # the origins this one was made from; None for an input nobody tracks
    time: float = 0  # when it was recorded: a leaf before everything


class Stop:
    """What is to happen when an origin's complete cotangent arrives. Most origins have none."""

    __slots__ = ("hooks", "grad", "keeps_grad")

    def __init__(self, keeps_grad=False):
        self.hooks: dict[int, Callable] = {}
        self.grad: Any = None
        self.keeps_grad = keeps_grad


class Leaf(Origin):
    """A value that somebody made and wants a gradient for."""

    __slots__ = ()

    def __init__(self, shape, dtype):
        self.shape, self.dtype, self.stop = shape, dtype, Stop(keeps_grad=True)


class Node(Origin):
    """One recorded call: its primitive, the origins of its inputs, what the rules will read.

    Origins are taken when the call is made, so what later happens to a Variable does not reach
    into the past; and an input that no rule reads is not kept alive.
    """

    __slots__ = ("primitive", "plan", "sources", "saved", "options", "site", "time")
    primitive: Any
    plan: Any
    saved: Any
    options: Any
    site: Any
    time: float

    def name(self) -> str:
        """`MulBackward`, as PyTorch would call it."""
        words = self.primitive.name.split("_")
        return "".join(word[:1].upper() + word[1:] for word in words) + "Backward"

    @property
    def next_functions(self) -> tuple:
        """The origins of the inputs, each with the number of the output it stands for."""
        return tuple((s.node, s.index) if type(s) is Output else (s, 0) for s in self.sources)

    def __repr__(self) -> str:
        return f"<{self.name()} at {describe(self.site)}>"


class Output(Origin):
    """One of the several outputs of a call. (A call with one output is its own origin.)"""

    __slots__ = ("node", "index", "time")

    def __init__(self, node, index):
        self.node, self.index = node, index
        self.time = node.time + 0.5  # after the call, before all that read the output
        self.shape, self.dtype, self.stop = node.shape[index], node.dtype[index], None

    @property
    def sources(self):
        return (self.node,)


class Variable:
    """A value that may stand in a graph. Its origin is None when nobody tracks it."""

    __slots__ = ("origin", "__weakref__")
    origin: Any
    array: Any
    shape: Any
    dtype: Any
    wrap: Any


# ---- the order, and the walks ------------------------------------------------------------------

made_at = attrgetter("time")


def reverse_topological_order(roots: Iterable) -> list:
    """Every origin below `roots`, each after all those that read it.

    Why an order at all: a node may pull back only when its cotangent is complete, when every
    reader has added its share. What is read was made before its reader: so newest first will do.
    """
    known = set(roots)
    found = list(dict.fromkeys(roots))
    for origin in found:  # which grows meanwhile
        for source in origin.sources:
            if source is not None and source not in known:
                known.add(source)
                found.append(source)
    found.sort(key=made_at, reverse=True)
    return found


@quietly
def backpropagate(outputs, cotangents, wanted=None, *, release=False) -> dict:
    """dict: origin → cotangent, for the `wanted` origins; without those, for all that keep their
    gradient, as leaves do.

    Cotangents that are Variables make the walk itself a recorded computation: that is all that
    higher order needs. With `release`, what the nodes saved is let go as the walk passes.
    """
    totals: dict = {}
    made: set = set()  # whose total is a sum that this walk made, and may write into
    for output, cotangent in zip(outputs, cotangents, strict=True):
        accumulate(totals, made, output, cotangent)
    order = reverse_topological_order(totals)
    useful = None if wanted is None else leading_to(wanted, order)
    check(order, useful)
    inspect_shares = inspector.get()
    found = {}
    for origin in order:
        g = totals.pop(origin, None)
        if g is None:
            continue
        stop = origin.stop
        if stop is not None:
            if stop.hooks:
                g = hooked(stop, g)
            if wanted is None and stop.keeps_grad:
                found[origin] = g
        if wanted is not None and origin in wanted:
            found[origin] = g
        if type(origin) is Node:
            if useful is None:
                sources = origin.sources
            elif not any(sources := only(useful, origin.sources)):
                continue  # it is wanted itself, and nothing below it
            shares = origin.primitive.pull(origin, g, sources)
            if inspect_shares is not None:
                inspect_shares(origin, g, shares)
            if release and origin.plan.holds_arrays:
                origin.saved = None
            for source, share in zip(sources, shares):  # noqa: B905  as many; checking costs
                if share is not None:
                    if source in totals:
                        accumulate(totals, made, source, share)
                    else:
                        totals[source] = share
        elif type(origin) is Output:
            if useful is None or origin.node in useful:
                parts, k = totals.setdefault(origin.node, {}), origin.index
                parts[k] = parts[k] + g if k in parts else g
    return found


@quietly
def push_forward(inputs, tangents, outputs) -> list:
    """The tangent of each output, or None where there is none: the same graph, walked from the
    inputs up. Tangents are Variables, so the walk may be differentiated again."""
    known = dict(zip(inputs, tangents, strict=True))
    order = reverse_topological_order(outputs)
    check(order, None)
    for origin in reversed(order):
        if origin in known:
            continue
        if type(origin) is Output:
            known[origin] = (known.get(origin.node) or {}).get(origin.index)
        elif type(origin) is Node:
            incoming = [known.get(source) for source in origin.sources]
            if any(t is not None for t in incoming):
                known[origin] = origin.primitive.push(origin, incoming)
    return [known.get(output) for output in outputs]


def accumulate(totals: dict, made: set, key, share) -> None:
    """Add `share` to a total: into the array of an earlier sum, which nobody else has seen. A
    Variable's sum is always a new one, which can be recorded."""
    before = totals.get(key)
    if before is None:
        totals[key] = share
    elif key in made:
        before += share
        totals[key] = before
    else:
        totals[key] = before + share
        if not isinstance(share, Variable):
            made.add(key)


def hooked(stop: Stop, g):
    """A complete cotangent has arrived: hooks see it, and may replace it."""
    for hook in list(stop.hooks.values()):
        replaced = hook(g)
        g = g if replaced is None else replaced
    return g


def leading_to(wanted, order: list) -> set:
    """Those of `order` from which a wanted origin can be reached."""
    useful = set(wanted)
    for origin in reversed(order):
        if any(source in useful for source in origin.sources):
            useful.add(origin)
    return useful


def only(useful: set, sources) -> list:
    """The sources, with None for those that lead to nothing wanted."""
    return [source if source in useful else None for source in sources]


def check(order, useful=None) -> None:
    """Everything that can be wrong is found here, before anything is freed or written."""
    last_write = clock.last_write
    for origin in order:
        if type(origin) is Node and (useful is None or any(only(useful, origin.sources))):
            if origin.saved is None:
                raise RuntimeError(
                    explanation(
                        "Trying to backward through the graph a second time",
                        where=describe(origin.site),
                        why=f"what '{origin.primitive.name}' saved was freed by the first walk",
                        remedy="give the first walk retain_graph=True, or compute the value again",
                    )
                )
            if origin.time < last_write:  # something has been written since it was recorded
                check_fresh(origin)


def check_fresh(node: Node) -> None:
    """An error if what the node saved has been written to since."""
    for array in node.primitive.arrays_saved_by(node):
        write = written_since(node.time, array)
        if write is not None:
            raise RuntimeError(
                explanation(
                    "one of the variables needed for gradient computation has been modified by "
                    "an inplace operation",
                    where=f"'{node.primitive.name}' saved it at {describe(node.site)}; it was "
                    f"changed at {describe(write.site)}",
                    remedy="work on a .clone(), or make the change after backward()",
                )
            )


# ---- modes: are calls recorded, and by whom are they interpreted? ------------------------------


def tell(event: str, *details) -> None:
    """Tell the interpreters of something that is no call of a primitive; those that have a method of that
    name listen. The events: "observed" (Python looks at a value), "assumed" (what follows holds only under
    a condition), "bounded" (such a condition: every index lies in [0, size)), "cleared" (a gradient is set
    to None), "unrepeatable" (what is done leaves no trace in the graph)."""
    for interpreter in mode.get()[1]:
        listener = getattr(interpreter, event, None)
        if listener is not None:
            listener(*details)


@contextmanager
def switched(recording: bool | None = None, interpreters: tuple | None = None):
    """Inside, calls are recorded or not, and interpreted by these."""
    before = mode.get()
    now = (
        before[0] if recording is None else recording,
        before[1] if interpreters is None else interpreters,
    )
    mode.set(now)
    try:
        yield
    finally:
        mode.set(before)


class set_grad_enabled(ContextDecorator):
    """Record calls from here on, or not; as a context manager or a decorator, only inside."""

    def __init__(self, mode: bool):
        self.before, self.enabled = is_grad_enabled(), mode
        self.__enter__()

    def __enter__(self):
        mode.set((self.enabled, mode.get()[1]))

    def __exit__(self, *exc):
        mode.set((self.before, mode.get()[1]))

    def __call__(self, function):
        mode.set((self.before, mode.get()[1]))  # a decorator changes nothing where it stands
        return recorded_as(function, self.enabled)


class no_grad(ContextDecorator):
    """Record nothing inside. A context manager, and a decorator with or without parentheses."""

    recording = False

    def __new__(cls, function=None) -> Any:
        if function is not None:
            return recorded_as(function, cls.recording)
        return super().__new__(cls)

    def __init__(self, function=None):
        self.before: list[bool] = []

    def __enter__(self):
        recording, interpreters = mode.get()
        self.before.append(recording)
        mode.set((self.recording, interpreters))

    def __exit__(self, *exc):
        mode.set((self.before.pop(), mode.get()[1]))

    def __call__(self, function):
        return recorded_as(function, self.recording)


class enable_grad(no_grad):
    """Record calls inside, whatever is said outside."""

    recording = True


class inference_mode(set_grad_enabled):
    """PyTorch's name for no_grad() where results will never be differentiated."""

    def __new__(cls, mode=True) -> Any:
        return recorded_as(mode, False) if callable(mode) else super().__new__(cls)

    def __init__(self, mode: bool = True):
        self.before, self.enabled = is_grad_enabled(), not mode


def is_grad_enabled() -> bool:
    """Are calls being recorded in this thread or task?"""
    return mode.get()[0]


def recorded_as(function, recording: bool):
    """`function`, with recording switched for the time of its calls: of each step, if it is a
    generator (what happens between two steps is the caller's), and until it ends, if it is a coroutine
    (what others do meanwhile is in tasks of their own)."""
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def stepping(*args, **kwargs):
            steps = function(*args, **kwargs)
            resume = partial(next, steps)
            while True:
                with switched(recording):
                    try:
                        value = resume()
                    except StopIteration as stop:
                        return stop.value
                try:
                    resume = partial(steps.send, (yield value))
                except BaseException as error:  # thrown in, or GeneratorExit: let the function see it
                    resume = partial(steps.throw, error)

        return stepping

    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def awaiting(*args, **kwargs):
            with switched(recording):
                return await function(*args, **kwargs)

        return awaiting

    @wraps(function)
    def switching(*args, **kwargs):
        with switched(recording):
            return function(*args, **kwargs)

    return switching
