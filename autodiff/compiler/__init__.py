"""`compile(function)`: one call recorded, and from then on one compiled function in its place.

    @autodiff.compile
    def step(images, labels):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    record    the call is made, and what passes the choke point is written down: forward, walk back, update
    program   what is constant, done twice or read by nobody is taken out
    generate  loops that may run together become one; the rest is written as plain Python
    kernels   Numba makes it one function of machine code

`step.source()` shows it. See `Compiled` for what holds then, and docs/architecture.md for how it works.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from functools import update_wrapper
from types import MethodType
from typing import Any

import numpy as np

from .. import ops
from ..dtypes import get_default_dtype
from ..graph import Leaf, Origin, inspector, mode
from ..provenance import describe_function
from ..tensor import Tensor
from .state import PLAIN, Wrapper, own_entries

VARIABLE = "AUTODIFF_COMPILE"  # 0: every compiled function runs eagerly
# When a kind of call is given up, and runs eagerly:
MOST_PROGRAMS = 8  # after so many different programs in a row, none of which ran for LONG
MOST_RECORDINGS = 32  # after so many recordings since a program ran for LONG
MOST_UNSETTLED = 4  # after so many recordings, none of which gave a program
LONG = 10  # calls: then a program was worth its compiling
# Of the kinds of calls that differ in nothing but shapes, numbers, texts and objects:
FEW_KINDS = 3  # so many are compiled at once, further ones when they come again
MOST_KINDS = 16  # beyond so many, none is recorded
LONGEST = 1500  # lines of source, which Numba compiles in a minute or two


def compile(
    function: Callable | None = None, *, keep_grad: bool = False, longest: int | None = LONGEST
) -> Any:
    """`function`, a function of Tensors (a loss, an inference, a whole training step), compiled when it is
    first called. A decorator, too. See `Compiled`."""
    if function is None:
        return lambda f: compile(f, keep_grad=keep_grad, longest=longest)
    if not callable(function):
        raise TypeError(f"compile() takes a function of Tensors, not {type(function).__name__}")
    return Compiled(function, keep_grad, longest)


class Compiled(Wrapper):
    """A function whose calls are recorded once, and then made by machine code.

    It gives what the function gives, and leaves behind what the function leaves: parameters, buffers and
    the optimiser's state are written where they are. It is recorded anew for other shapes and dtypes, other
    arguments that are no Tensors, and when something that it reads has changed: a setting such as
    `model.training` or a momentum, a parameter that was replaced, a hook, whether a gradient is wanted. A
    learning rate that an optimiser reads may change at every call, unless the function mentions it, too. It
    looks for settings in closures, in globals, modules, classes and functions that are the user's, and in
    every object that these lead to.

    Python runs only when the function is recorded, so what it does beside computing (printing, writing to a
    file) is not done again. A function that looks at values (`if loss > 3`, `.item()`), or does what can't
    be compiled, runs as if it had not been compiled, and says so once on stderr, with the line.

    `.grad`: after a call in which an optimiser has used a gradient that the function itself clears (with
    zero_grad), it is None; with `keep_grad` it is there as usual, which costs its writing. All other
    gradients are as usual.

    A loop of Python's is written out: a recurrent network makes a program as long as its sequences, and
    what has more than `longest` lines would be compiled for minutes. It runs eagerly, unless that is None.
    """

    def __init__(self, function: Callable, keep_grad: bool = False, longest: int | None = LONGEST):
        self.function, self.keep_grad, self.longest = function, keep_grad, longest
        self.programs: dict[tuple, list] = {}  # by the kind of call: what was made, the latest first
        self.kinds: Counter[Any] = Counter()  # by what these have in common: how many kinds of calls
        self.tries: dict[tuple, int] = {}  # recordings since the last program that ran long
        self.texts: dict[tuple, set] = {}  # and the sources that they gave
        self.eager: dict[tuple, str] = {}  # the kinds of call that can't be compiled, and why
        self.retries: dict[tuple, Callable] = {}  # of these: gives None when a setting has changed
        self.told: set[str] = set()
        self.lock = threading.RLock()
        update_wrapper(self, function, updated=())

    def __call__(self, *args, **kwargs):
        recording, interpreters = mode.get()
        if interpreters or inspector.get() is not None:  # part of another recording, or to be looked at
            return self.function(*args, **kwargs)
        tensors: list[Tensor] = []
        kind = kind_of(args, tensors)
        key = (recording, get_default_dtype(), kind, kind_of(kwargs, tensors) if kwargs else ())
        for program in self.programs.get(key, ()):
            numbers = program.check()
            if numbers is not None and program.suits(tensors):
                if program.clashes(tensors):
                    return self.function(*args, **kwargs)
                if not program.confirmed:
                    return self.second_call(key, program, args, kwargs, tensors, numbers)
                return program.run(args, kwargs, tensors, numbers)
        if not self.usable() or (key in self.eager and self.retries.get(key, always)() is not None):
            return self.function(*args, **kwargs)
        with self.lock:
            return self.first_call(key, args, kwargs, tensors)

    def many(self, *batches: Tensor) -> Any:
        """The calls for batch after batch, in one call of machine code: the k-th call is given the k-th part
        of each argument, `step(xs[0], ys[0])`, `step(xs[1], ys[1])` … What they give is stacked, along a
        new first dimension. A learning rate stays the same for all of them."""
        if not batches or not all(isinstance(b, Tensor) and b.ndim for b in batches):
            raise TypeError("many() takes Tensors whose first dimension counts the batches")
        count = len(batches[0])
        if any(len(b) != count for b in batches):
            lengths = ", ".join(str(len(b)) for b in batches)
            raise ValueError(f"many() needs as many batches of each argument, got {lengths}")
        if count == 0:
            raise ValueError("many() needs at least one batch")
        pieces: list[Any] = []
        start = 0
        while start < count:
            tensors: list[Tensor] = []
            first = tuple(b.detach()[start] for b in batches)
            key = (mode.get()[0], get_default_dtype(), kind_of(first, tensors), ())
            done = 0
            if not mode.get()[1] and inspector.get() is None:
                for program in self.programs.get(key, ()):
                    numbers = program.check()
                    if (
                        numbers is not None
                        and program.may_repeat
                        and program.confirmed
                        and program.suits(tensors)
                        and not program.clashes(tensors)
                    ):
                        done, results = program.run_many(batches, numbers, start, count - start)
                        if done:
                            given = [Tensor.wrap(b.array[start : start + done]) for b in batches]
                            pieces.append(program.rebuilt_of_many(results, given, done))
                        break
            start += done
            if start < count:
                pieces.append(stacked([self(*(b.detach()[start] for b in batches))]))
                start += 1
        return joined(pieces)

    def __get__(self, instance, kind=None):
        """In a class body it is a method; each instance's is compiled for itself."""
        if instance is None:
            return self
        entries = own_entries(instance)
        if entries is None:  # a class, or an instance without a dict: an argument like others
            return MethodType(self, instance)
        own = entries.get("_compiled")
        if own is None or own.instance() is not instance:  # it has none, or those of what it was copied from
            own = entries["_compiled"] = Methods(instance)
        if self not in own:
            own[self] = Compiled(self.function.__get__(instance, kind), self.keep_grad, self.longest)
        return own[self]

    def __getattr__(self, name: str) -> Any:
        """What the function has beside being called: of a compiled Module, its parameters, `train()` …"""
        if name == "function":  # this object is still to be made
            raise AttributeError(name)
        return getattr(self.function, name)

    def __reduce__(self) -> tuple:
        """A copy is of the function; what was compiled stays with this one."""
        return Compiled, (self.function, self.keep_grad, self.longest)

    def first_call(self, key: tuple, args: tuple, kwargs: dict, tensors: list):
        """Record the call, compile the program, and run that."""
        from .build import build

        if key not in self.programs:
            common = outline(key)
            if self.kinds[common] == MOST_KINDS:  # it will not come again: nothing is kept
                self.tell(
                    "it is called with ever new shapes, numbers or objects: give it Tensors of few shapes, and the "
                    "same objects"
                )
                return self.function(*args, **kwargs)
            self.kinds[common] += 1
            self.programs[key] = []
            if self.kinds[common] > FEW_KINDS:  # it will be compiled when it has come again
                return self.function(*args, **kwargs)
        programs = self.programs[key]
        if key not in self.tries or (programs and programs[0].runs >= LONG):
            self.tries[key], self.texts[key] = 0, set()
        self.tries[key] += 1
        if len(self.texts[key]) >= MOST_PROGRAMS or self.tries[key] > MOST_RECORDINGS:
            reason = f"what it reads changes too often: {self.last_change(key)}"
            return self.give_up(key, reason, args, kwargs)
        self.eager.pop(key, None)
        program, result, reason, retry = build(self, args, kwargs, tensors)
        if program is None:
            if not reason.startswith("*"):
                self.eager[key] = reason
                self.retries[key] = retry or always
                self.tell(reason)
            elif self.tries[key] >= MOST_UNSETTLED and not programs:
                self.eager[key] = reason[1:]
                self.tell(reason[1:])
            return result
        programs.insert(0, program)
        del programs[MOST_PROGRAMS:]
        self.texts[key].add(program.text)
        numbers = program.check()
        assert numbers is not None, "a program does not suit the call it was recorded from"
        if program.clashes(tensors):
            return self.function(*args, **kwargs)
        return program.run(args, kwargs, tensors, numbers)

    def second_call(self, key, program, args, kwargs, tensors, numbers):
        """A program that uses arrays which came from no recorded call is believed when a second call, with
        other arguments, has used the same."""
        from .build import doubt

        with self.lock:
            reason = doubt(program, self, args, kwargs, tensors)
            if reason:
                self.programs[key].remove(program)
                return self.give_up(key, reason, args, kwargs)
            program.confirmed = True
        return program.run(args, kwargs, tensors, numbers)

    def give_up(self, key: tuple, reason: str, args: tuple, kwargs: dict):
        """From now on this kind of call is made eagerly; and this call is made."""
        self.eager[key] = reason
        self.tell(reason)
        return self.function(*args, **kwargs)

    def last_change(self, key: tuple) -> str:
        """What made the latest program unfit."""
        programs = self.programs.get(key, [])
        return next((what for p in programs if (what := p.misfit())), "its state")

    def usable(self) -> bool:
        """May anything be compiled at all?"""
        from ..kernels import generated, jit

        if os.environ.get(VARIABLE) == "0":
            return False
        if generated.MODE == "numba" and jit.unusable():
            self.tell(f"Numba can't be used ({jit.unusable()})")
            return False
        return True

    def tell(self, reason: str) -> None:
        """A line on stderr, once for each reason."""
        if reason not in self.told:
            self.told.add(reason)
            print(f"autodiff: {describe_function(self.function)} runs eagerly: {reason}", file=sys.stderr)

    # ---- what a reader may ask ----------------------------------------------------------------------

    def source(self) -> str:
        """The source of the function in use, the latest if there are several; or why there is none."""
        for programs in self.programs.values():
            for program in programs:
                return program.text
        reasons = [*self.eager.values()]
        return f"# runs eagerly: {reasons[0]}" if reasons else "# not called yet"

    def __repr__(self):
        return f"<compiled {describe_function(self.function)}>"


def always() -> tuple:
    """The retry of a kind of call that cannot be compiled, whatever changes."""
    return ()


class Methods(dict):
    """The compiled methods of one instance. Its copies begin without any."""

    def __init__(self, instance: Any):
        super().__init__()
        self.instance: Callable[[], Any] = weakref.ref(instance)

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return Methods, (Methods,)  # of no instance, so that the copy's own are made when first asked for


def stacked(results: list) -> Any:
    """Results of the same structure with their Tensors stacked."""
    return together(results, lambda ts: ops.stack([t.detach() for t in ts], 0))


def joined(pieces: list) -> Any:
    """Stacked results, end to end."""
    if len(pieces) == 1:
        return pieces[0]
    return together(pieces, lambda ts: ops.cat([t.detach() for t in ts], 0))


def together(trees: list, of_tensors: Callable) -> Any:
    """One tree of several that are built alike, their Tensors put together by `of_tensors`."""
    first = trees[0]
    if isinstance(first, Tensor):
        return of_tensors(trees)
    if isinstance(first, dict):
        return {name: together([tree[name] for tree in trees], of_tensors) for name in first}
    if isinstance(first, (list, tuple)):
        items = [together(list(each), of_tensors) for each in zip(*trees, strict=True)]
        return type(first)(*items) if hasattr(first, "_fields") else type(first)(items)
    return first


def kind_of(tree: Any, tensors: list) -> Any:
    """What a call is recorded for: shapes, dtypes, whether gradients are wanted and who looks at them, of the
    Tensors in it, which are added to the list; the rest as it is."""
    if isinstance(tree, Tensor):
        tensors.append(tree)
        array = tree.array
        return array.shape, array.dtype, tree.origin is None or watchers_of(tree.origin)
    if isinstance(tree, (list, tuple)):
        return (type(tree), *[kind_of(each, tensors) for each in tree])
    if isinstance(tree, dict):
        return (dict, *[(name, kind_of(each, tensors)) for name, each in tree.items()])
    if isinstance(tree, np.ndarray):
        return np.ndarray
    if isinstance(tree, float):
        return type(tree), repr(tree)  # 0.0 is not -0.0, and NaN is NaN
    if tree is None or isinstance(tree, (bool, int, str, bytes)):
        return type(tree), tree
    return Same(tree)


def outline(kind: Any) -> Any:
    """What a kind of call has in common with those that differ in nothing but shapes, values and objects."""
    if isinstance(kind, Same):
        return type(kind.thing)
    if not isinstance(kind, tuple):
        return kind
    if len(kind) == 3 and isinstance(kind[1], np.dtype):
        shape, dtype, watchers = kind
        return len(shape), dtype, watchers
    is_value = len(kind) == 2 and isinstance(kind[0], type) and issubclass(kind[0], PLAIN)
    return kind[0] if is_value else tuple(map(outline, kind))


def watchers_of(origin: Origin) -> tuple | None:
    """The hooks of a leaf; None of what stands in a graph, whose hooks the program has nothing to do with."""
    return tuple(map(Same, origin.stop.hooks.values())) if type(origin) is Leaf else None


class Same:
    """An argument that is no value: the call is for this very object."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any):
        self.thing = thing

    def __eq__(self, other):
        return type(other) is Same and other.thing is self.thing

    def __hash__(self):
        return id(self.thing)


__all__ = ["Compiled", "compile"]
