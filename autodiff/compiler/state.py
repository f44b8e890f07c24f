"""What a function can see beside its arguments: the Tensors and the settings that it reaches by
closure, and a check, made of plain comparisons, that they are what they were."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from ..graph import Leaf
from ..primitive import Primitive
from ..provenance import ours
from ..random import Generator
from ..tensor import Tensor

PLAIN = (bool, int, float, complex, str, bytes, type(None))
CLOSED = (type, ModuleType, np.ndarray, np.generic, np.dtype, CodeType, BuiltinFunctionType, Primitive, Generator,
          np.random.Generator)  # fmt: skip
LONGEST = 1000  # containers with more than so many entries are data, not settings


class Wrapper:
    """The base of what stands for a function and has no state of its own."""

    function: Callable


class Slot(NamedTuple):
    """A place that holds something: an entry of a dict (an instance's, too), a list or a tuple, or the
    cell of a closure."""

    holder: Any
    key: Any
    path: str  # what a user would call it
    parent: Slot | None
    of_instance: bool

    def get(self) -> Any:
        return self.holder.cell_contents if type(self.holder) is CellType else self.holder[self.key]


def names_in(code: CodeType) -> set[str]:
    """Every name, and every short string, that a function's code mentions."""
    found = {*code.co_names, *code.co_freevars}
    for constant in code.co_consts:
        if isinstance(constant, str):
            found.add(constant)
        elif isinstance(constant, tuple):
            found.update(c for c in constant if isinstance(c, str))
        elif isinstance(constant, CodeType):
            found |= names_in(constant)
    return found


class Executed:
    """While it is entered, collects the code of every Python function that runs in this thread. A profiler
    that is at work takes a rest meanwhile: cProfile's is no function, and goes on only when it is told."""

    def __init__(self):
        self.codes: set[CodeType] = set()

    def __enter__(self):
        self.before = sys.getprofile()
        add = self.codes.add
        sys.setprofile(lambda frame, event, arg: add(frame.f_code) if event == "call" else None)
        return self

    def __exit__(self, *exc):
        if self.before is None or callable(self.before):
            sys.setprofile(self.before)
        else:
            sys.setprofile(None)
            self.before.enable()

    def names(self) -> set[str]:
        return set().union(*map(names_in, self.codes))


def reachable(function: Callable) -> Iterator[tuple[Slot, Any]]:
    """Every slot that can be reached from a function, and what it holds."""
    seen: set[int] = set()
    waiting: list[tuple[Any, str, Slot | None]] = [(function, "", None)]
    while waiting:
        thing, path, parent = waiting.pop()
        if id(thing) in seen or isinstance(thing, (*PLAIN, *CLOSED, Tensor)):
            continue
        seen.add(id(thing))
        for slot in slots_of(thing, path, parent):
            try:
                value = slot.get()
            except ValueError:  # a cell that is still empty
                continue
            yield slot, value
            waiting.append((value, slot.path, slot))
        waiting += [(inner, name or path, parent) for inner, name in within(thing)]


def within(thing: Any) -> list[tuple[Any, str]]:
    """What belongs to an object for good, so that no slot needs to be watched, and its name."""
    if isinstance(thing, Wrapper):
        return [(thing.function, "")]
    if isinstance(thing, MethodType):
        return [(thing.__func__, ""), (thing.__self__, "self")]
    if isinstance(thing, partial):
        return [(thing.func, ""), (thing.args, "args"), (thing.keywords, "")]
    if isinstance(thing, FunctionType) or not hasattr(thing, "__dict__"):
        return []
    return [
        (f, "") for kind in type(thing).__mro__ for f in vars(kind).values() if isinstance(f, FunctionType)
    ]


def slots_of(thing: Any, path: str, parent: Slot | None) -> Iterable[Slot]:
    """The slots of one object, under the names by which a user would speak of them."""
    dotted = f"{path}." if path else ""
    if isinstance(thing, (Wrapper, MethodType, partial)):
        return
    if isinstance(thing, FunctionType):
        for name, cell in zip(thing.__code__.co_freevars, thing.__closure__ or (), strict=True):
            yield Slot(cell, None, name, parent, False)
        # a library's modules hold no settings of the user's
        names = set() if ours[thing.__code__.co_filename] else names_in(thing.__code__)
        for name in sorted(names & thing.__globals__.keys()):
            yield Slot(thing.__globals__, name, name, parent, False)
        for k in range(len(thing.__defaults__ or ())):
            yield Slot(thing.__defaults__, k, f"{dotted}default {k}", parent, False)
        for key in thing.__kwdefaults__ or {}:
            yield Slot(thing.__kwdefaults__, key, key, parent, False)
    elif isinstance(thing, dict):
        if len(thing) <= LONGEST:
            for key in thing:
                name = key if isinstance(key, str) else str(key) if isinstance(key, int) else "…"
                yield Slot(thing, key, f"{dotted}{name}", parent, False)
    elif isinstance(thing, (list, tuple)):
        if len(thing) <= LONGEST:
            for k in range(len(thing)):
                yield Slot(thing, k, f"{path}[{k}]", parent, False)
    elif hasattr(thing, "__dict__"):
        own = vars(thing)
        for key in list(own):
            inner = key in ("_modules", "_parameters", "_buffers")  # their entries read as attributes
            yield Slot(own, key, path if inner else f"{dotted}{key}", parent, True)


class Snapshot:
    """What the slots hold at one moment."""

    def __init__(self, function: Callable):
        self.slots: dict[tuple[int, Any], tuple[Slot, Any]] = {}
        self.tensors: dict[int, tuple[str, Tensor]] = {}  # by id, each by the shortest path to it
        self.arrays: dict[int, np.ndarray] = {}  # the array that each had, by the id of the Tensor
        for slot, value in reachable(function):
            self.slots[id(slot.holder), hashable(slot.key)] = slot, value
            if isinstance(value, Tensor):
                self.arrays[id(value)] = value.array
                known = self.tensors.get(id(value))
                if known is None or len(slot.path) < len(known[0]):
                    self.tensors[id(value)] = slot.path, value
        for slot, value in self.slots.values():  # what an optimiser keeps of a parameter: by its name
            owner = slot.parent.key if slot.parent else None
            if isinstance(value, Tensor) and isinstance(owner, Tensor) and id(owner) in self.tensors:
                self.tensors[id(value)] = f"{self.tensors[id(owner)][0]}.{slot.key}", value

    def changed_since(self, before: Snapshot, names: set[str]) -> str:
        """A slot that code with these names may read, and that holds something else than before; or
        a Tensor with another array; "" if there is none."""
        for key, (slot, value) in self.slots.items():
            if slot.of_instance and slot.key not in names:
                continue
            if key not in before.slots:
                if isinstance(value, (dict, list)) and not value:
                    continue  # something may be put there one day
                return slot.path
            old = before.slots[key][1]
            if old is not value and not (
                type(old) is type(value) and isinstance(value, PLAIN) and old == value
            ):
                return slot.path
        for key, array in self.arrays.items():
            if before.arrays.get(key, array) is not array:
                return self.tensors[key][0]
        return ""


def hashable(key: Any) -> Any:
    return id(key) if isinstance(key, Tensor) else key


def checker(snapshot: Snapshot, used: set[int], names: set[str], numbers: list[list[Slot]]) -> Callable:
    """A function of no arguments: None if something a call depends on is no longer as in the snapshot,
    else the `numbers` as they are now.

    `used` are the ids of the Tensors that the program reads or writes. A number that several slots held
    when it was recorded must be the same in all of them.
    """
    relevant: dict[tuple[int, Any], Slot] = {}
    free = {(id(s.holder), hashable(s.key)) for slots in numbers for s in slots}
    for key, (slot, value) in snapshot.slots.items():
        if key in free or (slot.of_instance and slot.key not in names and id(value) not in used):
            continue
        each: Slot | None = slot
        while each is not None and (id(each.holder), hashable(each.key)) not in relevant:
            relevant[id(each.holder), hashable(each.key)] = each
            each = each.parent
    scope: dict[str, Any] = {}
    known: dict[int, str] = {}

    def constant(thing: Any) -> str:
        if id(thing) not in known:
            known[id(thing)] = f"c{len(known)}"
            scope[known[id(thing)]] = thing
        return known[id(thing)]

    def text(slot: Slot) -> str:
        if type(slot.holder) is CellType:
            return f"{constant(slot.holder)}.cell_contents"
        key = repr(slot.key) if type(slot.key) in (str, int) else constant(slot.key)
        return f"{constant(slot.holder)}[{key}]"

    tests, measured = [], set()
    for key, slot in relevant.items():
        value = snapshot.slots[key][1] if key in snapshot.slots else slot.get()
        if type(slot.holder) in (dict, list) and not slot.of_instance and id(slot.holder) not in measured:
            if type(slot.holder) is list or len(slot.holder) <= LONGEST and "__name__" not in slot.holder:
                measured.add(id(slot.holder))
                tests.append(f"len({constant(slot.holder)}) == {len(slot.holder)}")
        if type(slot.holder) is tuple:
            continue
        if value is None or value is True or value is False:
            tests.append(f"{text(slot)} is {value}")
        elif type(value) in (int, float, str, bytes):
            tests.append(f"{text(slot)} == {constant(value)}")
        else:
            tests.append(f"{text(slot)} is {constant(value)}")
    for key in used:
        if key in snapshot.tensors:
            t = snapshot.tensors[key][1]
            tests.append(f"{constant(t)}.array is {constant(t.array)}")
            tests.append(f"{constant(t)}.origin is {constant(t.origin)}")
    for slots in numbers:
        tests += [f"{text(slots[0])} == {text(other)}" for other in slots[1:]]
    values = "".join(f"{text(slots[0])}, " for slots in numbers)
    conditions = " and\n            ".join(tests) or "True"
    source = (
        "def check():\n    try:\n"
        f"        if ({conditions}):\n            return ({values})\n"
        "    except (KeyError, IndexError, ValueError):\n        pass\n    return None\n"
    )
    exec(source, scope)
    return scope["check"]


def is_settled(t: Tensor) -> bool:
    """Is it a value by itself, not the result of a recorded call?"""
    return t.origin is None or type(t.origin) is Leaf
