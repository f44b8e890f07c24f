"""What a function can see beside the Tensors that it is given: those, and the settings, that it reaches by
closure or through the objects among its arguments; and a check, made of plain comparisons, that they are what they were."""

from __future__ import annotations

import dis
import math
import sys
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from enum import Enum
from functools import cache, cached_property, partial
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, NamedTuple

import numpy as np

from ..graph import Leaf
from ..memory import owner
from ..primitive import Primitive
from ..provenance import ours
from ..random import Generator
from ..tensor import Tensor

PLAIN = (bool, int, float, complex, str, bytes, type(None))
CLOSED = (np.generic, np.dtype, CodeType, BuiltinFunctionType, Primitive, Generator)
MOST_ENTRIES = 1000  # a container with more of them holds data, not settings
ALL_ATTRIBUTES = ("vars", "__dict__", "attrgetter", "dir", "asdict", "astuple")  # what looks at any of them
CALLED = ("__call__", "forward", "backward")  # methods of a user's class that a library calls


class Wrapper:
    """The base of what stands for a function and has no state of its own."""

    function: Callable


# ---- what may change ---------------------------------------------------------------------------------


class How(Enum):
    """How a slot is read."""

    ENTRY = "holder[key]"
    CELL = "holder.cell_contents"
    ATTRIBUTE = "holder.key"
    CLASS = "holder.__dict__[key]"


class Slot(NamedTuple):
    """A place that holds something: an entry of a dict (an instance's or a module's, too), a list or a tuple,
    the cell of a closure, an attribute that is in no dict, what a class has under a name."""

    holder: Any
    key: Any
    path: str  # what a user would call it
    parent: Slot | None
    by_name: bool = False  # is it seen only by code that mentions the key?
    how: How = How.ENTRY

    def get(self) -> Any:
        match self.how:
            case How.ENTRY:
                return self.holder[self.key]
            case How.CELL:
                return self.holder.cell_contents
            case How.ATTRIBUTE:
                return getattr(self.holder, self.key)
            case How.CLASS:
                return vars(self.holder)[self.key]

    def is_plain(self) -> bool:
        """Does it hold a number, a text, or the like?"""
        try:
            return isinstance(self.get(), PLAIN)
        except (ValueError, AttributeError):  # a cell, or an attribute, that is still empty
            return False


class Measure(NamedTuple):
    """What of a container is compared, beside what its slots hold."""

    text: str
    of: Callable


SIZE = Measure("len({})", len)
ENTRIES = Measure("len({}.__dict__)", lambda kind: len(vars(kind)))  # of a class
MEMBERS = Measure("{}", frozenset)
BYTES = Measure("{}.tobytes()", np.ndarray.tobytes)
CONTENTS = Measure("{}", copy)  # of a bytearray, or an array of Python's


def measure_of(thing: Any) -> Measure | None:
    """What of a container is to be compared; None for what is none, or too large to be settings."""
    if isinstance(thing, (dict, list, deque, MappingProxyType)):
        return SIZE if len(thing) <= MOST_ENTRIES else None
    if isinstance(thing, set):
        return MEMBERS if len(thing) <= MOST_ENTRIES else None
    if isinstance(thing, (bytearray, array)):
        return CONTENTS if len(thing) <= MOST_ENTRIES else None
    if isinstance(thing, np.ndarray):
        return BYTES if thing.size <= MOST_ENTRIES and not thing.dtype.hasobject else None
    return ENTRIES if isinstance(thing, type) else None


# ---- what belongs to whom ----------------------------------------------------------------------------


@cache
def of_library(filename: str) -> bool:
    """Does this file belong to a library: to Python, to what is installed, to these packages? A library's
    modules, classes and functions hold no settings of the user's."""
    return ours[filename] or filename.startswith(installed())


@cache
def installed() -> tuple[str, ...]:
    """How the names of such files begin."""
    import sysconfig

    return "<frozen ", *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def is_closed(thing: Any) -> bool:
    """Is there nothing in it that may change?"""
    if isinstance(thing, type):
        module = sys.modules.get(thing.__module__)
        return module is not None and is_closed(module)
    if isinstance(thing, ModuleType):
        file = getattr(thing, "__file__", None)
        return thing.__name__ in sys.builtin_module_names if file is None else of_library(file)
    return isinstance(thing, (*PLAIN, *CLOSED))


def within(thing: Any) -> list[tuple[Any, str]]:
    """What belongs to an object for good, so that no slot needs to be watched, and its name."""
    match thing:
        case Wrapper():
            return [(thing.function, "")]
        case MethodType():
            return [(thing.__func__, ""), (thing.__self__, "self")]
        case partial():
            return [(thing.func, ""), (thing.args, "args"), (thing.keywords, "")]
        case property():
            return [(thing.fget, ""), (thing.fset, "")]
        case staticmethod() | classmethod():
            return [(thing.__func__, "")]
        case cached_property():
            return [(thing.func, "")]
        case FunctionType():
            cells = [(cell.cell_contents, name) for name, cell in closure_of(thing) if is_full(cell)]
            if not of_library(thing.__code__.co_filename):
                return [(kind, "") for kind, name in cells if name == "__class__"]
            defaults = [(default, "") for default in thing.__defaults__ or ()]
            return cells + defaults + [(v, name) for name, v in (thing.__kwdefaults__ or {}).items()]
        case Tensor():
            return [(hook, "") for hook in hooks_of(thing)]
        case set() | frozenset():
            return [(member, "") for member in thing]
        case type():
            return [(kind, "") for kind in (*thing.__mro__[1:], type(thing))]
    return [(type(thing), "")]


def hooks_of(t: Tensor) -> list[Callable]:
    """What a walk back that ends at a leaf calls."""
    return list(t.origin.stop.hooks.values()) if type(t.origin) is Leaf else []


def slots_of(thing: Any, path: str, parent: Slot | None) -> Iterator[Slot]:
    """The slots of one object, under the names by which a user would speak of them."""
    dotted = f"{path}." if path else ""
    match thing:
        case Wrapper() | MethodType() | partial() | property() | Tensor():
            return
        case FunctionType():
            if of_library(thing.__code__.co_filename):
                return
            for name, cell in closure_of(thing):
                if name != "__class__":
                    yield Slot(cell, name, name, parent, True, How.CELL)
            for name in sorted(names_in(thing.__code__) & thing.__globals__.keys()):
                yield Slot(thing.__globals__, name, name, parent, True)
            for name in ("__defaults__", "__kwdefaults__"):
                if getattr(thing, name):
                    yield Slot(thing, name, f"{dotted}{name}", parent, how=How.ATTRIBUTE)
        case dict() | MappingProxyType():
            for key in list(thing) if len(thing) <= MOST_ENTRIES else ():
                name = key if isinstance(key, str) else str(key) if isinstance(key, int) else "…"
                yield Slot(thing, key, f"{dotted}{name}", parent)
        case list() | tuple() | deque():
            for k in range(len(thing)) if len(thing) <= MOST_ENTRIES else ():
                yield Slot(thing, k, f"{path}[{k}]", parent)
        case type():
            for key in list(vars(thing)):
                yield Slot(thing, key, f"{dotted}{key}", parent, True, How.CLASS)
            return
    own = own_entries(thing)
    for key in list(own or ()):
        inner = key in ("_modules", "_parameters", "_buffers")  # their entries read as attributes
        if key != "_compiled":  # methods, compiled: each is watched by itself
            yield Slot(own, key, path if inner else f"{dotted}{key}", parent, True)
    for key in attributes_in_no_dict(type(thing)):
        yield Slot(thing, key, f"{dotted}{key}", parent, True, How.ATTRIBUTE)


def own_entries(thing: Any) -> dict | None:
    """The dict of an instance's, a function's or a module's attributes, if it has one."""
    own = getattr(thing, "__dict__", None)
    return own if isinstance(own, dict) else None


@cache
def attributes_in_no_dict(kind: type) -> tuple[str, ...]:
    """The names in the `__slots__` of a class of the user's, and of those that it is made from."""
    return tuple(
        name
        for each in kind.__mro__
        if not is_closed(each)
        for name, entry in vars(each).items()
        if isinstance(entry, MemberDescriptorType)
    )


def closure_of(function: FunctionType) -> list[tuple[str, CellType]]:
    """The names that a function has from outside, and the cells that hold their values."""
    return list(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))


def is_full(cell: CellType) -> bool:
    """Has the cell been given a value, other than itself?"""
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


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


@cache
def only_called_in(code: CodeType) -> set[str]:
    """The names that occur in a function's own code as x.name(…) only."""
    called, others = set(), set(code.co_freevars)
    for instruction in dis.get_instructions(code):
        is_method = instruction.opname == "LOAD_METHOD" or "NULL|self" in instruction.argrepr
        if isinstance(instruction.argval, str):
            (called if is_method else others).add(instruction.argval)
    inner = [names_in(c) if isinstance(c, CodeType) else c for c in code.co_consts]
    return called.difference(others, *(c for c in inner if isinstance(c, (set, tuple))))


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


class Mentioned:
    """What the code that ran mentions, and so may look at.

    The user's code reads the attributes of anything. A library's reads those that it knows of: of a user's object
    those of the classes that this is made from, and code that does so stands in their files.
    """

    def __init__(self, codes: set[CodeType]):
        self.names: set[str] = set()
        self.in_file: defaultdict[str, set[str]] = defaultdict(set)
        self.by_user: set[str] = set()
        self.read_by_user: set[str] = set()  # those that stand there in another way than x.name(…)
        self.ran: set[str] = set()  # what functions of the user's are called that ran, whoever called them
        self.computes_names = False  # did code of the user's look at attributes by names that it worked out?
        for code in codes:
            names = names_in(code)
            self.names |= names
            self.in_file[code.co_filename] |= names
            if not of_library(code.co_filename):
                self.by_user |= names
                self.read_by_user |= names - only_called_in(code)
                self.ran.add(code.co_name)
                self.computes_names |= computes_names(code)
        self.everything = self.names | self.ran

    def may_see(self, slot: Slot, thing: Any) -> bool:
        """May the code have looked at this slot of this thing?"""
        if not slot.by_name or slot.key in self.read_by_user:
            return True
        if slot.key in self.by_user and not slot.is_plain():  # a number is not what x.name(…) can have called
            return True
        if isinstance(thing, (FunctionType, ModuleType)):
            return False
        kind = thing if isinstance(thing, type) else type(thing)
        if is_closed(kind):
            return slot.key in self.names
        bases = filter(is_closed, kind.__mro__)
        return (thing is kind and slot.key in self.ran) or any(
            slot.key in self.in_file[file] for base in bases for file in files_of(base)
        )


@cache
def files_of(kind: type) -> set[str]:
    """The files in which the methods of a class are written."""
    return {each.__code__.co_filename for each in vars(kind).values() if isinstance(each, FunctionType)}


@cache
def computes_names(code: CodeType) -> bool:
    """Does it take attributes by names that are written nowhere in it, as getattr(x, f"k{i}") and vars(x) do?"""
    if any(computes_names(inner) for inner in code.co_consts if isinstance(inner, CodeType)):
        return True
    if not {*ALL_ATTRIBUTES, "getattr"}.isdisjoint(code.co_names):
        instructions = list(dis.get_instructions(code))
        for k, instruction in enumerate(instructions):
            if instruction.argval in ALL_ATTRIBUTES:
                return True
            if instruction.argval == "getattr" and not has_plain_name(instructions[k + 1 :]):
                return True
    return False


def has_plain_name(after: list[dis.Instruction]) -> bool:
    """Is a call of getattr, by the instructions after its loading, given a name as it stands?"""
    call = next((k for k, each in enumerate(after) if each.opname.startswith(("PRECALL", "CALL"))), 0)
    given = after[:call]
    worked_out = ("BUILD", "FORMAT", "BINARY", "CONVERT")
    return any(
        each.opname == "LOAD_CONST" and isinstance(each.argval, str) and each.argval.isidentifier()
        for each in given
    ) and not any(each.opname.startswith(worked_out) for each in given)


# ---- all of it at one moment --------------------------------------------------------------------------


class Snapshot:
    """What can be reached from some objects, each with what it is called, at one moment; with `seen_by`, by code
    that mentions only this. Without, of classes and modules only what some function mentions that was met, or
    that is `mentioned`: a user's module may lead to all that there is."""

    def __init__(
        self, roots: list[tuple[Any, str]], seen_by: Mentioned | None = None, mentioned: Iterable[str] = ()
    ):
        self.roots, self.seen_by = roots, seen_by
        self.slots: dict[tuple[int, Any], tuple[Slot, Any]] = {}  # each, and what it holds
        # By the id of a container: itself, what of it is compared, what that was, and what it is called.
        self.measured: dict[int, tuple[Any, Measure, Any, str]] = {}
        self.tensors: dict[int, tuple[str, Tensor]] = {}  # by id, each by the shortest path to it
        self.arrays: dict[int, np.ndarray] = {}  # the array that each had, by the id of the Tensor
        self.waiting: list[tuple[Any, str, Slot | None]] = [(thing, path, None) for thing, path in roots]
        self.looked_up: dict[int, set[str]] = {}  # by the id of functions' globals: what they mention
        seen: set[int] = set()
        mentioned = {*CALLED, *mentioned}
        later: dict[Any, list[Slot]] = {}  # slots of classes and modules that none of them has mentioned
        while self.waiting:
            thing, path, parent = self.waiting.pop()
            if id(thing) in seen or is_closed(thing):
                continue
            seen.add(id(thing))
            self.measure(thing, path)
            for slot in slots_of(thing, path, parent):
                shared = isinstance(thing, (type, ModuleType))
                if seen_by is None:
                    if shared and slot.key not in mentioned:
                        later.setdefault(slot.key, []).append(slot)
                    else:
                        self.enter(slot)
                elif seen_by.may_see(slot, thing) or (seen_by.computes_names and not shared):
                    self.enter(slot)
            if isinstance(thing, FunctionType):
                names_here = names_in(thing.__code__)
                self.looked_up.setdefault(id(thing.__globals__), set()).update(names_here)
                mentioned |= names_here
                for name in mentioned & later.keys():
                    for slot in later.pop(name):
                        self.enter(slot)
            self.waiting += [(inner, name or path, parent) for inner, name in within(thing)]
        self.passed_over = {place(slot) for slots in later.values() for slot in slots}
        for slot, value in self.slots.values():  # what an optimiser keeps of a parameter: by its name
            of = slot.parent.key if slot.parent else None
            if isinstance(value, Tensor) and isinstance(of, Tensor) and id(of) in self.tensors:
                self.tensors[id(value)] = f"{self.tensors[id(of)][0]}.{slot.key}", value

    def measure(self, thing: Any, path: str) -> None:
        """Note what of a container, and of an object's dict, is to be compared."""
        named = isinstance(thing, (FunctionType, ModuleType, type))  # all that they hold is found by name
        for each in (thing,) if named else (thing, own_entries(thing)):
            measure = measure_of(each)
            if measure is not None:
                self.measured[id(each)] = each, measure, measure.of(each), path

    def enter(self, slot: Slot) -> None:
        """Note what it holds, which is to be looked at, too."""
        try:
            value = slot.get()
        except (ValueError, AttributeError):  # a cell, or an attribute, that is still empty
            return
        self.slots[place(slot)] = slot, value
        self.waiting.append((value, slot.path, slot))
        if isinstance(value, Tensor):
            self.arrays[id(value)] = value.array
            known = self.tensors.get(id(value))
            if known is None or len(slot.path) < len(known[0]):
                self.tensors[id(value)] = slot.path, value

    def changed_since(self, before: Snapshot, but: Iterable[Slot] = ()) -> str:
        """A slot that holds something else than before (it may be one of some others), a Tensor with another array,
        a container with other entries; "" if there is none."""
        more: Counter[int] = Counter()
        known = before.measured.keys() | before.looked_up.keys() | {holder for holder, _ in before.slots}
        excepted = set(map(place, but))
        for key, (slot, value) in self.slots.items():
            if key in excepted:
                continue
            if key not in before.slots:
                looked_up = before.looked_up.get(id(slot.holder))
                overlooked = key in before.passed_over or looked_up is not None and slot.key not in looked_up
                if overlooked or id(slot.holder) not in known:
                    continue  # nobody looked: the second recording will, and knows what is mentioned
                if not isinstance(value, (dict, list)) or value:
                    return slot.path
                more[id(slot.holder)] += 1  # something may be put there one day
            elif not is_same(before.slots[key][1], value):
                return slot.path
        for key, now in self.arrays.items():
            if before.arrays.get(key, now) is not now:
                return self.tensors[key][0]
        for key, (_, measure, value, path) in self.measured.items():
            if key in before.measured:
                old = before.measured[key][2]
                if value != (old + more[key] if measure is SIZE else old):
                    return path
        return ""


def owners_of(snapshot: Snapshot) -> set[int]:
    """The ids of the arrays that own the memory of its Tensors and their gradients."""
    tensors = [t for _, t in snapshot.tensors.values()]
    return {id(owner(t.array)) for t in tensors} | {
        id(owner(t.grad.array)) for t in tensors if (t.is_leaf or t.retains_grad) and t.grad is not None
    }


def place(slot: Slot) -> tuple[int, Any]:
    """What tells a slot from another."""
    return id(slot.holder), id(slot.key) if isinstance(slot.key, Tensor) else slot.key


def is_same(a: Any, b: Any) -> bool:
    """The same object, or an equal number or text of the same kind: 1 is not True, and 0.0 not -0.0."""
    if a is b:
        return True
    if type(a) is not type(b) or not isinstance(a, PLAIN) or a != b:
        return False
    return not isinstance(a, float) or math.copysign(1, a) == math.copysign(1, b)


def checker(
    watched: Snapshot, snapshot: Snapshot, used: set[int], numbers: list[list[Slot]]
) -> Callable[[], tuple | None]:
    """A function of no arguments: None if something a call depends on is no longer what it was, else the
    `numbers` as they are now.

    `watched` is what the code that ran could see, `snapshot` everything; `used` are the ids of the Tensors that
    the program reads or writes. A number that several slots held when it was recorded must be the same in all.
    """
    relevant = {key: slot for key, (slot, _) in watched.slots.items()}
    for slot, value in snapshot.slots.values():
        each: Slot | None = slot if id(value) in used else None
        while each is not None and place(each) not in relevant:
            relevant[place(each)] = each
            each = each.parent
    for slots in numbers:
        for slot in slots:
            relevant.pop(place(slot), None)
    scope: dict[str, Any] = {"is_same": is_same}
    known: dict[int, str] = {}

    def constant(thing: Any) -> str:
        if id(thing) not in known:
            known[id(thing)] = f"c{len(known)}"
            scope[known[id(thing)]] = thing
        return known[id(thing)]

    def text(slot: Slot) -> str:
        holder = constant(slot.holder)
        key = repr(slot.key) if type(slot.key) in (str, int) else constant(slot.key)
        match slot.how:
            case How.CELL:
                return f"{holder}.cell_contents"
            case How.ATTRIBUTE:
                return f"{holder}.{slot.key}"
            case How.CLASS:
                return f"{holder}.__dict__[{key}]"
        if hasattr(type(slot.holder), "__missing__"):  # which would put something there
            return f"{holder}.get({key})"
        return f"{holder}[{key}]"

    def unchanged(measure: Measure, thing: Any, value: Any) -> str:
        if measure is SIZE and value == 0:
            return f"not {constant(thing)}"
        expected = value if isinstance(value, int) else constant(value)
        return f"{measure.text.format(constant(thing))} == {expected}"

    tests = [unchanged(measure, thing, value) for thing, measure, value, _ in watched.measured.values()]
    for key, slot in relevant.items():
        if type(slot.holder) is tuple:
            continue
        value = (watched if key in watched.slots else snapshot).slots[key][1]
        test = f"{text(slot)} is {constant(value)}"
        plain = isinstance(value, PLAIN) and not isinstance(value, (bool, type(None)))
        tests.append(f"({test} or is_same({text(slot)}, {constant(value)}))" if plain else test)
    for key in used:
        if key in snapshot.tensors:
            t = snapshot.tensors[key][1]
            tests.append(f"{constant(t)}.array is {constant(t.array)}")
            tests.append(f"{constant(t)}.origin is {constant(t.origin)}")
            if type(t.origin) is Leaf:
                hooks = t.origin.stop.hooks
                tests.append(
                    f"{constant(hooks)} == {constant(dict(hooks))}" if hooks else f"not {constant(hooks)}"
                )
    for slots in numbers:
        tests += [f"{text(slots[0])} == {text(other)}" for other in slots[1:]]
    values = "".join(f"{text(slots[0])}, " for slots in numbers)
    conditions = " and\n            ".join(tests) or "True"
    source = (
        "def check():\n    try:\n"
        f"        if ({conditions}):\n            return ({values})\n"
        "    except (AttributeError, KeyError, IndexError, ValueError):\n        pass\n    return None\n"
    )
    exec(source, scope)
    return scope["check"]


def is_settled(t: Tensor) -> bool:
    """Is it a value by itself, not the result of a recorded call?"""
    return t.origin is None or type(t.origin) is Leaf
