"""Recording a call: every primitive is computed as ever, and written down."""

from __future__ import annotations

import inspect
import random
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from io import IOBase
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from ..graph import Leaf, Node, Output, Variable, reverse_topological_order, switched
from ..kernels.jit import in_a_hurry
from ..memory import owner
from ..ops.fused import in_range
from ..ops.indexing import ARRAY
from ..primitive import Primitive, Update
from ..provenance import describe
from ..random import Draw
from ..tensor import Tensor
from . import compositions
from .program import Program, Step, Value
from .state import PLAIN, Executed, How, Mentioned, Slot, Snapshot, hooks_of, is_settled, of_library


class Argument(NamedTuple):
    """The k-th Tensor among the arguments of the call."""

    index: int


class Captured(NamedTuple):
    """A Tensor that the function reaches by closure."""

    tensor: Tensor
    path: str


class Gradient(NamedTuple):
    """What `.grad` of an argument or a captured Tensor holds when the call begins."""

    of: Argument | Captured


class Setting(NamedTuple):
    """A learning rate, a Python number that an update reads, from where it is kept."""

    slots: tuple[Slot, ...]


class Random(NamedTuple):
    """The k-th array drawn from a generator."""

    index: int


class Unreplayable(Exception):
    """The call can't be recorded: why, and where."""


class Recording(NamedTuple):
    """A call that was made and written down."""

    result: Any  # what the function gave, with its Tensors
    program: Program
    outputs: list  # (Tensor of the result, its value), in order
    gradients: list  # (Argument or Captured, Value or None): what `.grad` is set to
    needs_no_gradient: list  # those whose .grad must be None when the call begins
    draws: list  # the arguments of each random draw
    snapshot: Snapshot  # what the function could see
    watched: Snapshot  # what of that the code could see that ran
    used: set[int]  # ids of the captured Tensors that matter
    differentiable: bool  # may the caller walk back from the result?
    leaves: list  # what such a walk may arrive at
    same: dict  # id of a Tensor in the result that was there before → where it is found
    leaf_gradients: list  # (value, of what it is the gradient)
    plain_arguments: bool  # is every argument a Tensor by itself?
    found_free: dict  # where arrays that came from no recorded call lie → the lines that met them
    alive: list  # those arrays: as long as they live, no other is at these places
    has_constants: bool  # is any of them more than a number: made by the function, it seems


class Recorder:
    """The interpreter that writes down what passes the choke point.

    Arrays are known by the memory they look at, so that a saved array, a detached Tensor and a view
    of everything are the same value as what they were made from. An update makes a new value and lets
    the memory stand for it.
    """

    def __init__(self, function: Callable):
        self.code = code_of(function)
        self.sites: dict[int, Any] = {}  # by the id of a node: the line of its call
        self.values: dict[tuple, Value] = {}  # by the place in memory
        self.initial: dict[tuple, Value] = {}  # the inputs, likewise
        self.places: dict[int, set[tuple]] = {}  # by the id of the owner of the memory
        self.alive: list[Any] = []  # no array's memory may be reused while it is a name here
        self.steps: list[Step] = []
        self.assumptions: list[Value] = []
        self.free: list[tuple[Value, np.ndarray]] = []  # arrays that came from nowhere
        self.found_free: dict[tuple, str] = {}  # where they are in memory → the line that met them
        self.numbers: dict[int, tuple[float, Value]] = {}  # by the id of the Python number
        self.draws: list[tuple] = []
        self.before: list[tuple[np.ndarray, np.ndarray]] = []  # what updates have overwritten
        self.generators: dict[int, tuple] = {}  # and the states of generators
        self.stepped: set[tuple] = set()  # places that an optimiser's step has read
        self.cleared_first: set[int] = set()  # ids of the origins whose gradient was set to None at first
        self.cleared_later: set[int] = set()  # and of those that had got one before
        self.gradients: dict[int, Any] = {}  # by id of the origin: what .grad was at the beginning
        self.walked: set[int] = set()  # ids of the nodes that a walk back has passed
        self.reason = ""

    # ---- values by the memory they are in -------------------------------------------------------

    def enter(self, array: np.ndarray, value: Value) -> None:
        """From here on this memory holds `value`."""
        place = place_of(array)
        self.values[place] = value
        if value.source is not None:
            self.initial.setdefault(place, value)
        root = owner(array)
        self.places.setdefault(id(root), set()).add(place)
        self.alive += (array, root)

    def value_of(self, array: np.ndarray) -> Value:
        """The value that is in this memory now."""
        place = place_of(array)
        value = self.values.get(place)
        if value is None:
            value = self.newcomer(array)
        elif value is STALE:
            raise Unreplayable(
                f"memory is read through one view and written through another at {self.here()}"
            )
        return value

    def newcomer(self, array: np.ndarray) -> Value:
        """An array that no recorded call has made: the same elements in another shape, or a constant."""
        for place in self.places.get(id(owner(array)), ()):
            known = self.values[place]
            if place[0] == address(array) and known is not STALE and known.size == array.size:
                if (
                    array.flags.c_contiguous
                    and known.example.flags.c_contiguous
                    and known.dtype == array.dtype
                ):
                    return self.note("reshape", (known,), {"to": array.shape}, [array])[0]
        if id(owner(array)) in self.places and array.size:
            raise Unreplayable(f"a part of an array is taken in a way that isn't recorded, at {self.here()}")
        value = Value(array)
        self.enter(array, value)
        self.free.append((value, array))
        self.found_free[place_of(array)] = self.here()
        return value

    def operand(self, a: Any) -> Any:
        """What a step remembers of an argument."""
        if isinstance(a, Variable):
            return self.value_of(a.array)
        if isinstance(a, np.ndarray):
            return self.value_of(a)
        if isinstance(a, np.generic):
            return self.value_of(np.asarray(a))
        if a is None or isinstance(a, (bool, int, float)):
            return a
        raise Unreplayable(f"a {type(a).__name__} is given to an operation at {self.here()}")

    # ---- what passes the choke point ------------------------------------------------------------

    def apply(self, primitive: Primitive, args: tuple, options: dict) -> Any:
        """Compute as ever, and write it down as a step, or as the steps that it is composed of."""
        if isinstance(primitive, Draw):
            return self.drawn(primitive, args, options)
        if isinstance(primitive, Update):
            return self.updated(primitive, args, options)
        operands, given = None, []
        if not self.reason:
            try:
                args = self.promoted(primitive, args)
                given = [a.array if isinstance(a, Variable) else a for a in args]
                operands = [self.operand(a) for a in given]
            except Unreplayable as error:
                self.reason = str(error)
        result: Any = primitive(*args, **options)
        if operands is None:
            return result
        if not any(isinstance(a, Variable) for a in args):  # a NumPy scalar would be known by nobody
            result = tuple(map(np.asarray, result)) if primitive.several else np.asarray(result)
        outputs: Any = result if primitive.several else (result,)
        self.remember_site(outputs)
        arrays = [y.array if isinstance(y, Variable) else y for y in outputs]
        self.assume_in_range(primitive.name, given, options)
        divisor = given[1] if primitive.name in WHOLE_DIVISIONS else None
        if isinstance(divisor, np.ndarray) and arrays[0].dtype.kind in "iu":
            self.refuse(f"integers are divided by a Tensor, which may have a 0 in it, at {self.here()}")
        composition = compositions.table.get(primitive.name)
        every = {**primitive.defaults, **options}
        if not primitive.listed:
            self.refuse(f"'{primitive.name}' has a derivative of its own, at {self.here()}")
        elif composition is None:
            self.note(primitive.name, tuple(operands), every, arrays)
        else:
            tensors = [Tensor.wrap(a) if isinstance(a, np.ndarray) else a for a in given]
            with switched(recording=False, interpreters=(self,)):
                made = composition(*tensors, **every)
            for array, other in zip(arrays, made if primitive.several else (made,), strict=True):
                self.enter(array, self.value_of(other.array))
        return result

    def site(self) -> Any:
        """The line that is being executed: the user's, or of the recorded function, whoever wrote it."""
        frame = sys._getframe(1)
        while (
            frame.f_back is not None
            and frame.f_code is not self.code
            and of_library(frame.f_code.co_filename)
        ):
            frame = frame.f_back
        return frame.f_code, frame.f_lasti

    def remember_site(self, outputs: tuple) -> None:
        """Where the node of a call was made, for the walk back through it."""
        origin = getattr(outputs[0], "origin", None) if outputs else None
        node = origin.node if isinstance(origin, Output) else origin
        if isinstance(node, Node):
            self.sites[id(node)] = self.site()
            self.alive.append(node)

    def walked_through(self) -> Any:
        """The line of the call whose derivative is being computed, if a walk back is under way."""
        frame = sys._getframe(1)
        while frame is not None:
            if frame.f_code is Primitive.pull.__code__:
                node = frame.f_locals["node"]
                self.walked.add(id(node))
                return self.sites.get(id(node), node.site)
            frame = frame.f_back
        return None

    def here(self) -> str:
        """The line that is being executed, as text."""
        return describe(self.site())

    def note(self, name: str, operands: tuple, options: dict, arrays: list) -> list[Value]:
        """A step, and the values it makes."""
        known: list[Any] = [self.values.get(place_of(array), STALE) for array in arrays]
        if arrays and STALE not in known:
            return known  # views of what is known, seen in the same way
        step = Step(name, operands, options, self.site(), self.walked_through())
        for array in arrays:
            step.outputs.append(Value(array, step))
        for array, value in zip(arrays, step.outputs, strict=True):
            self.enter(array, value)
        self.steps.append(step)
        return step.outputs

    def assume_in_range(self, name: str, given: list, options: dict) -> None:
        """An index may be another one at the next call: machine code must not follow it anywhere."""
        pairs: list[tuple[np.ndarray, int, int]] = []  # the index, its least value, the size of the dimension
        if name in ("take", "add_back"):
            shape = given[0].shape if name == "take" else options["to"]
            pairs = [
                (a, -n, n) for a, n in zip(given[1:], indexed_sizes(options["template"], shape), strict=True)
            ]
        elif name in ("gather", "scatter_sum"):
            shape = given[0].shape if name == "gather" else options["to"]
            pairs = [(given[1], 0, shape[options["dim"]])]
        elif name == "put":
            pairs = [(given[2], 0, given[0].size)]
        for index, low, n in pairs:
            if index.dtype != np.bool_:
                with switched(recording=False, interpreters=(self,)):
                    self.assumed(in_range(index, low=low, high=n - 1))

    def promoted(self, primitive: Primitive, args: tuple) -> tuple:
        """The arguments, brought to one dtype by steps of their own, as the primitive would do: what it saves
        must be known here."""
        if not primitive.promotes or not any(isinstance(a, Variable) for a in args):
            return args
        arrays = [a.array if isinstance(a, Variable) else a for a in args]
        result = []
        for a, old, new in zip(args, arrays, primitive.promoted(arrays), strict=True):
            if isinstance(old, np.ndarray) and old.dtype != new.dtype:
                new = np.asarray(new)
                self.note("astype", (self.value_of(old),), {"dtype": new.dtype}, [new])
                a = a.wrap(new, a.origin) if isinstance(a, Variable) else new
            result.append(new if not isinstance(a, (Variable, np.ndarray)) else a)
        return tuple(result)

    def updated(self, primitive: Update, args: tuple, options: dict) -> Any:
        """A write to memory: its new contents are a new value, worked out from the old ones."""
        targets = [a.array if isinstance(a, Variable) else a for a in args[: primitive.writes]]
        for target in targets:
            if target is not None:
                self.before.append((target, target.copy()))
                self.keep_examples(target)
        made = None
        if not self.reason:
            try:
                arrays = [self.known_number(a) if isinstance(a, float) else a for a in args]
                arrays = [a.array if isinstance(a, Variable) else a for a in arrays]
                if primitive.name != "assign":
                    for a in arrays:
                        if isinstance(a, np.ndarray):
                            self.value_of(a)
                            self.stepped.add(place_of(a))
                with switched(recording=False, interpreters=(self,)):
                    results = compositions.updates[primitive.name](*arrays, **options)
                made = [None if m is None else self.value_of(m) for m in results]
            except Unreplayable as error:
                self.reason = str(error)
            except KeyError:
                self.refuse(f"the update '{primitive.name}' has no composition")
        result = primitive(*args, **options)
        if made is not None:
            for target, value in zip(targets, made, strict=True):
                if target is not None and value is not None:
                    for place in self.places.get(id(owner(target)), ()):
                        self.values[place] = STALE
                    self.enter(target, value)
        return result

    def keep_examples(self, target: np.ndarray) -> None:
        """Values that are in this memory, which is about to be written, keep what they are."""
        for place in self.places.get(id(owner(target)), ()):
            value = self.values[place]
            if value is not STALE and value.source is None and value.example is not None:
                value.example = value.example.copy()

    def known_number(self, number: float) -> np.ndarray:
        """A Python number that may differ at the next call, as an array, so that it can be a value."""
        if id(number) not in self.numbers:
            array = np.array(number)
            value = Value(array)
            self.numbers[id(number)] = number, value
            self.enter(array, value)
        return self.numbers[id(number)][1].example

    def drawn(self, primitive: Draw, args: tuple, options: dict) -> Any:
        """Random numbers: a compiled program gets them from the same generator, in the same order."""
        generator = args[0]
        if id(generator) not in self.generators:
            self.generators[id(generator)] = generator, generator.numpy.bit_generator.state
        array: Any = primitive(*args, **options)
        value = Value(array, source=Random(len(self.draws)))
        self.draws.append((args, options))
        self.enter(array, value)
        return array

    # ---- what engine and Tensor tell ------------------------------------------------------------

    def observed(self, variable: Variable, how: str) -> None:
        """Python looks at a value, and may go another way when it differs."""
        self.refuse(f"Python looks at a value ({how}) at {self.here()}")

    def assumed(self, condition: Any) -> None:
        """What was computed holds only where this does."""
        if not self.reason and isinstance(condition, (Variable, np.ndarray)):
            self.assumptions.append(self.operand(condition))

    def bounded(self, index: np.ndarray, n: int) -> None:
        """An index lies in [0, n)."""
        with switched(recording=False, interpreters=(self,)):
            self.assumed(in_range(index, low=0, high=n - 1))

    def cleared(self, variable: Variable) -> None:
        """`.grad` is set to None."""
        origin = variable.origin
        if origin is not None and origin.stop.grad is self.gradients.get(id(origin)):
            self.cleared_first.add(id(origin))
        elif origin is not None:
            self.cleared_later.add(id(origin))

    def unrepeatable(self, what: str) -> None:
        """Something is done that a replay would not do."""
        self.refuse(f"{what} at {self.here()}")

    def refuse(self, reason: str) -> None:
        """This call cannot be replayed: the first reason counts."""
        self.reason = self.reason or reason

    # ---- undoing --------------------------------------------------------------------------------

    def undo(self, leaves: list[Leaf]) -> None:
        """Memory, generators and gradients as they were before the call."""
        for array, old in reversed(self.before):
            array[...] = old
        for generator, state in self.generators.values():
            generator.numpy.bit_generator.state = state
        for leaf in leaves:
            leaf.stop.grad = self.gradients.get(id(leaf))


# The operations that are an error where integers are divided by 0.
WHOLE_DIVISIONS = ("floor_divide", "trunc_divide", "remainder", "fmod")
STALE: Any = object()  # memory that has been written through another view
RATE = "lr"  # under this name optimisers keep a number that may be another at each call


def record(
    function: Callable, args: tuple, kwargs: dict, tensors: list[Tensor], keep_grad: bool = False,
    mentioned: Iterable[str] = (), with_stand_ins: bool = False,
) -> tuple[Any, str, Snapshot]:  # fmt: skip
    """(the Recording of a call, "", what its code could see) if it can be replayed, and everything is as before
    the call; else (the function's result, why not, the same), and the call has been made. `with_stand_ins` for its
    arguments, that is undone, too. A reason that begins with "*" may not hold the next time. `mentioned` are the
    names that the code is known to mention."""
    roots, given = roots_of(function, args, kwargs), structure(args, kwargs)
    before, recorder, executed = Snapshot(roots, mentioned=mentioned), Recorder(function), Executed()
    for k, t in enumerate(tensors):
        recorder.enter(t.array, Value(t.array, source=Argument(k)))
    sources: dict[int, Any] = {id(t): Captured(t, path) for path, t in before.tensors.values()}
    sources |= {id(t): Argument(k) for k, t in reversed(list(enumerate(tensors)))}
    everything = {id(t): t for t in (*tensors, *(t for _, t in before.tensors.values()))}
    origins = {key: t.origin for key, t in everything.items()}
    for key, t in everything.items():
        if isinstance(sources[key], Captured) and place_of(t.array) not in recorder.values:
            recorder.enter(t.array, Value(t.array, source=sources[key]))
        if type(t.origin) is Leaf and t.grad is not None:
            recorder.gradients[id(t.origin)] = t.grad
            if place_of(t.grad.array) not in recorder.values:
                recorder.enter(t.grad.array, Value(t.grad.array, source=Gradient(sources[key])))
    generators = states_of_generators()
    with executed, in_a_hurry(), switched(interpreters=(recorder,)):
        result = function(*args, **kwargs)
    seen_by = Mentioned(executed.codes)
    after = Snapshot(roots, seen_by)
    changed = after.changed_since(before)
    if changed:
        recorder.refuse(f"*{changed} changes during the call")
    if states_of_generators() != generators:
        recorder.refuse("it draws random numbers of Python's or NumPy's own, not autodiff's")
    for slot, value in after.slots.values():
        if hasattr(type(value), "__next__") and not isinstance(value, IOBase):
            recorder.refuse(f"it may take from an iterator, {slot.path}: give it what comes next instead")
    if structure(args, kwargs) != given:
        recorder.refuse("it changes a list or a dict among its arguments")
    for key, t in everything.items():
        if t.origin is not origins[key]:
            recorder.refuse(f"{name_of(sources[key])} gets another place in the graph during the call")
    leaves = [t.origin for t in everything.values() if type(t.origin) is Leaf]
    recording, reason = result, recorder.reason
    if not reason:
        try:
            plain = not kwargs and all(isinstance(a, Tensor) for a in args)
            settle_numbers(recorder, after, seen_by)
            recording = finished(recorder, result, before, after, everything, sources, keep_grad, plain)
        except Unreplayable as error:
            reason = str(error)
    if with_stand_ins or not reason:
        recorder.undo(leaves)
    return recording, reason, after


def finished(recorder, result, snapshot, watched, everything, sources, keep_grad, plain) -> Recording:
    """The Recording, from what the recorder has seen."""
    check_result(result)
    outputs, differentiable, same, walked = [], False, {}, False
    seen = {id(owner(t.array)) for t in everything.values()}
    for t in tensors_in(result):
        if id(t) in everything:
            same[id(t)] = sources[id(t)]
            continue  # the caller gets the same object back
        if id(owner(t.array)) in seen:
            raise Unreplayable("the result shares memory with what the function was given or has captured")
        outputs.append((t, recorder.value_of(t.array)))
        differentiable |= t.origin is not None and can_walk_back(t.origin)
    gradients, untouched, leaf_gradients = [], [], []
    for key, t in everything.items():
        if type(t.origin) is not Leaf:
            continue
        old, new, origin = recorder.gradients.get(id(t.origin)), t.grad, id(t.origin)
        if new is old:
            if old is None and origin in recorder.cleared_later - recorder.cleared_first:
                untouched.append(sources[key])  # what is there would be added to
            continue
        if new is not None:
            walked = True
            leaf_gradients.append((recorder.value_of(new.array), sources[key]))
        if new is None:
            gradients.append((sources[key], None))
        elif not keep_grad and origin in recorder.cleared_first and place_of(new.array) in recorder.stepped:
            gradients.append((sources[key], None))  # an optimiser has used it up
        else:
            gradients.append((sources[key], recorder.value_of(new.array)))
            if old is None and origin not in recorder.cleared_first:
                untouched.append(sources[key])
    writes = []
    originals = [(t.array, sources[key]) for key, t in everything.items()]
    originals += [
        (recorder.gradients[id(t.origin)].array, Gradient(sources[key]))
        for key, t in everything.items()
        if type(t.origin) is Leaf and id(t.origin) in recorder.gradients
    ]
    done = set()
    for array, source in originals:
        place = place_of(array)
        value = recorder.values.get(place)
        if value is STALE:
            raise Unreplayable(f"{name_of(source)} is written through a view of a part of it")
        if place in done or value is None or value is recorder.initial.get(place):
            continue
        if place not in recorder.initial:
            raise Unreplayable(f"{name_of(source)} gets another array during the call")
        done.add(place)
        writes.append((recorder.initial[place], value))
    if walked and any(t.origin is not None and not was_walked(recorder, t.origin) for t, _ in outputs):
        raise Unreplayable("it walks back, and has a result that can be walked back from by itself")
    program = Program(
        recorder.steps,
        [v for _, v in outputs] + [v for _, v in gradients if v is not None],
        writes,
        recorder.assumptions,
    ).simplified()
    check_inputs(program)
    used = {id(v.source.tensor) for v in program.inputs if isinstance(v.source, Captured)}
    used |= {id(source.tensor) for source, _ in gradients if isinstance(source, Captured)}
    places = {place_of(everything[key].array) for key in used}
    used |= {
        key
        for key, t in everything.items()
        if isinstance(sources[key], Captured) and place_of(t.array) in places
    }
    arguments = {key for key, source in sources.items() if isinstance(source, Argument)}
    for key in used:
        if not is_settled(everything[key]):
            raise Unreplayable(f"{sources[key].path} is the result of a recorded call outside the function")
    differentiable &= not walked  # the function has done so itself
    leaves = [
        sources[key] for key, t in everything.items() if t.origin is not None and key in used | arguments
    ]
    return Recording(
        result, program, outputs, gradients, untouched, recorder.draws, snapshot, watched, used,
        differentiable, leaves, same, leaf_gradients, plain, recorder.found_free,
        [array for _, array in recorder.free],
        any(v.size != 1 for v, _ in recorder.free),
    )  # fmt: skip


def settle_numbers(recorder: Recorder, watched: Snapshot, mentioned: Mentioned) -> None:
    """Where each learning rate comes from that an update was given: the slots of that name that hold that very
    object, where the code that ran may have looked. All other numbers are constants; and so is a learning rate if
    code of the user's mentions that name, which may have read it for something else, too."""
    for number, value in recorder.numbers.values():
        slots = tuple(
            slot
            for slot, held in watched.slots.values()
            if held is number and slot.key == RATE and is_mentioned(slot, mentioned.names)
        )
        if slots and RATE not in mentioned.by_user:
            value.source = Setting(slots)


def is_mentioned(slot: Slot | None, names: set[str]) -> bool:
    """Do all the names that lead to it occur in the code that ran?"""
    while slot is not None:
        of_function = slot.how is How.ATTRIBUTE and isinstance(slot.holder, FunctionType)
        if isinstance(slot.key, str) and slot.key not in names and not of_function:
            return False
        slot = slot.parent
    return True


def check_inputs(program: Program) -> None:
    """Memory that is written must not be seen by two inputs."""
    written = {id(owner(target.example)): target for target, _ in program.writes}
    for value in program.inputs:
        if value.source is None or value.example is None:
            continue
        target = written.get(id(owner(value.example)))
        if target is not None and place_of(target.example) != place_of(value.example):
            raise Unreplayable(
                f"{name_of(target.source)} is written, and {name_of(value.source)} looks at the same memory"
            )


def name_of(source: Any) -> str:
    """What a user would call it."""
    if isinstance(source, Captured):
        return source.path
    if isinstance(source, Gradient):
        return f"{name_of(source.of)}.grad"
    return f"argument {source.index}" if isinstance(source, Argument) else "a number"


def was_walked(recorder: Recorder, origin: Any) -> bool:
    """Has a walk of the function's own passed here? Of what has saved nothing that cannot be known: then yes."""
    nodes = [each for each in reverse_topological_order([origin]) if type(each) is Node]
    return not any(n.plan.holds_arrays for n in nodes) or any(
        n.saved is None or id(n) in recorder.walked for n in nodes
    )


def can_walk_back(origin: Any) -> bool:
    """Is everything still there that a walk from here would read?"""
    order = reverse_topological_order([origin])
    return all(type(each) is not Node or each.saved is not None for each in order)


def indexed_sizes(template: tuple, shape: tuple) -> list[int]:
    """The sizes of the dimensions that the arrays of an index stand for."""
    entries = list(template if Ellipsis in template else (*template, Ellipsis))
    used = sum(e is not None and e is not Ellipsis for e in entries)
    k = entries.index(Ellipsis)
    entries[k : k + 1] = [slice(None)] * (len(shape) - used)
    sizes = iter(shape)
    return [n for e, n in ((e, next(sizes)) for e in entries if e is not None) if e is ARRAY]


def tensors_in(tree: Any) -> list[Tensor]:
    """The Tensors of nested tuples, lists and dicts, in order."""
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, (list, tuple)):
        return []
    return [t for each in tree for t in tensors_in(each)]


def states_of_generators() -> tuple:
    """Where the random numbers stand that Python's and NumPy's functions draw."""
    return random.getstate(), repr(np.random.get_state(legacy=False))


def roots_of(function: Callable, args: tuple, kwargs: dict) -> list[tuple[Any, str]]:
    """What a call can reach everything from but the Tensors that it is given."""
    return [(function, ""), *objects_in(function, args, kwargs)]


def structure(*trees: Any) -> tuple:
    """The containers among the arguments, and what is in them."""
    found = []
    for tree in trees:
        if isinstance(tree, dict):
            found.append((id(tree), *tree.keys(), *structure(*tree.values())))
        elif isinstance(tree, (list, tuple)):
            found.append((id(tree), *structure(*tree)))
        else:
            found.append(id(tree))
    return tuple(found)


def check_result(tree: Any) -> None:
    """A result is made anew for each call: it must be of kinds whose making is known."""
    if type(tree) in (dict, OrderedDict):
        tree = list(tree.values())
    if type(tree) is list or isinstance(tree, tuple):
        for each in tree:
            check_result(each)
    elif not isinstance(tree, (Tensor, np.generic, np.dtype, *PLAIN)):
        raise Unreplayable(
            f"its result has a {type(tree).__name__} in it, which can't be made anew for each call"
        )


def objects_in(function: Callable, args: tuple, kwargs: dict) -> Iterator[tuple[Any, str]]:
    """What is given to a function beside Tensors and plain values, and what that is called there."""
    try:
        waiting = [
            (v, name) for name, v in inspect.signature(function).bind(*args, **kwargs).arguments.items()
        ]
    except (TypeError, ValueError):  # some functions tell nothing about themselves
        waiting = [(v, f"argument_{k}") for k, v in enumerate((*args, *kwargs.values()))]
    while waiting:
        thing, path = waiting.pop()
        if isinstance(thing, dict):
            waiting += [(v, f"{path}[{name!r}]") for name, v in thing.items()]
        elif isinstance(thing, (list, tuple)):
            waiting += [(v, f"{path}[{k}]") for k, v in enumerate(thing)]
        elif isinstance(thing, Tensor):
            waiting += [(hook, f"a hook of {path}") for hook in hooks_of(thing)]
        elif not isinstance(thing, PLAIN):
            yield thing, path


def has_array(tree: Any) -> bool:
    """Is a NumPy array in these nested tuples, lists and dicts?"""
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, (list, tuple)):
        return isinstance(tree, np.ndarray)
    return any(map(has_array, tree))


def address(array: np.ndarray) -> int:
    """Where its first element is; faster than `array.ctypes.data`."""
    return array.__array_interface__["data"][0]


def place_of(array: np.ndarray) -> tuple:
    """What tells one array in memory from another, whatever objects stand for it."""
    strides = tuple(s if n > 1 else 0 for s, n in zip(array.strides, array.shape, strict=True))
    return address(array), array.shape, strides, array.dtype.str


def code_of(function: Any) -> Any:
    """The code of a function, whatever is wrapped around it."""
    while not hasattr(function, "__code__"):
        inner = getattr(function, "__func__", None) or getattr(function, "func", None)
        if inner is None:
            return None
        function = inner
    return function.__code__
