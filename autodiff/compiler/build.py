"""A recorded call → a program that can be run in its place."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np

from ..errors import explanation
from ..functional import fresh
from ..graph import Leaf, Origin, backpropagate, enable_grad, mode, switched
from ..kernels import generated
from ..kernels.alignment import aligned
from ..memory import clock, note_writes, owner, watch, written_since
from ..ops import stack
from ..primitive import Primitive
from ..provenance import call_site, describe, describe_function
from ..random import drawing
from ..tensor import Tensor
from .generate import RESERVED, Generator, Unsupported
from .record import (
    Argument,
    Captured,
    Gradient,
    Random,
    Recording,
    Setting,
    has_array,
    record,
    roots_of,
    tensors_in,
)
from .state import Snapshot, checker, owners_of


def build(compiled, args, kwargs, tensors) -> tuple[Any, Any, str, Callable | None]:
    """(a Replay, None, "", None) for this kind of call, and nothing has happened yet; or (None, the result of the
    call, why there is no program, a function that gives None when what it reads has changed).

    The call is recorded twice: what is not the same then comes from a clock, a counter or another library's
    random numbers, and can't be replayed.
    """
    function = compiled.function
    if has_array((args, kwargs)):
        reason = "a NumPy array is among its arguments: it should be a Tensor"
        return None, function(*args, **kwargs), reason, None
    taken = owners_of(Snapshot(roots_of(function, args, kwargs)))
    args_, kwargs_, stand_ins = with_stand_ins(args, kwargs, tensors, taken)
    replaced = stand_ins is not tensors
    written, mentioned = [], set()
    for _ in range(2):
        recording, reason, seen = record(
            function, args_, kwargs_, stand_ins, compiled.keep_grad, mentioned, replaced
        )
        again = replaced or not reason  # the caller wants the call itself, if there is no program
        if not reason and any(inside(tensors, source) for source, _ in recording.gradients):
            reason = "its walk back goes on through an argument"
        if not reason:
            mentioned = recording.watched.seen_by.everything
            try:
                written.append(Written(function, recording, stand_ins, compiled.longest))
            except Unsupported as error:
                reason = str(error)
        if reason:
            result = function(*args, **kwargs) if again else recording
            return None, result, reason, checker(seen, seen, set(), [])
        if len(written) == 1:  # its text and its constants are what will be compared
            recording.program.forget_examples()
    first, second = written
    difference = first.difference(second)
    first.forget()
    if difference:
        second.forget()
        return None, function(*args, **kwargs), difference, None
    return Replay(second), None, "", None


def doubt(replay: Replay, compiled, args, kwargs, tensors) -> str:
    """Whether a later call computes with other constants than the one that was recorded: why, or ""."""
    taken = owners_of(Snapshot(roots_of(compiled.function, args, kwargs)))
    args, kwargs, stand_ins = with_stand_ins(args, kwargs, tensors, taken)
    recording, reason, _ = record(
        compiled.function, args, kwargs, stand_ins, compiled.keep_grad, with_stand_ins=True
    )
    if reason:
        return reason
    return replay.written.difference(Written(compiled.function, recording, stand_ins))


def with_stand_ins(args, kwargs, tensors, taken: set[int]):
    """The arguments, with leaves in the place of Tensors that stand in a graph, for the program does not reach
    into that; and copies in the place of those that share memory with each other or with what the function has
    captured (its owners are `taken`): the program must know one from the other."""
    stand_ins, known = [], set(taken)
    for t in tensors:
        root, inner = id(owner(t.array)), t.origin is not None and type(t.origin) is not Leaf
        if root not in known and not inner:
            stand_ins.append(t)
        else:
            array = t.array.copy() if root in known else t.array
            stand_ins.append(Tensor.wrap(array, None if t.origin is None else twin(t.origin)))
        known.add(root)
    if all(a is b for a, b in zip(stand_ins, tensors, strict=True)):
        return args, kwargs, tensors
    rest = iter(stand_ins)
    return (*mapped((args, kwargs), lambda t: next(rest)), stand_ins)


def inside(tensors: list[Tensor], source: Any) -> bool:
    """Is it an argument that stands in a graph?"""
    origin = tensors[source.index].origin if isinstance(source, Argument) else None
    return origin is not None and type(origin) is not Leaf


def twin(origin: Origin) -> Leaf:
    """A leaf with the hooks and the gradient of another; of what is no leaf, only the shape."""
    leaf = Leaf(origin.shape, origin.dtype)
    if type(origin) is Leaf:
        leaf.stop.hooks, leaf.stop.grad = dict(origin.stop.hooks), origin.stop.grad
    return leaf


class Written:
    """A recording, and the source that was generated from it."""

    def __init__(
        self, function: Callable, recording: Recording, tensors: list[Tensor], longest: int | None = None
    ):
        if recording.differentiable and (recording.program.writes or recording.draws):
            raise Unsupported(
                "its result may be walked back from, and it writes to memory or draws random numbers"
            )
        self.function, self.found_free = function, recording.found_free
        self.recording: Any = recording
        self.name = identifier(function)
        self.title = f"{describe_function(function)}, compiled"
        names = names_of(function, recording, tensors)
        self.generator: Any = Generator(recording.program, self.title, names)
        self.text = self.generator.source(self.name)
        lines = self.text.count("\n")
        if longest is not None and lines > longest:
            raise Unsupported(
                f"its program has {lines} lines, which would take minutes to compile: compile(…, longest=None) "
                "does so all the same"
            )
        self.constants = [v for v in recording.program.inputs if v.source is None]
        self.plain_results = repr(mapped(recording.result, lambda t: None))

    def difference(self, other: Written) -> str:
        """What is not the same in two recordings of one call."""
        hidden = self.found_free.keys() & other.found_free.keys()
        if hidden:  # what is made anew in each call can't be at the same place while the first is alive
            return (
                f"it uses an array that can't be found from the function, at {self.found_free[hidden.pop()]}"
            )
        lines, others = self.text.splitlines(), other.text.splitlines()
        if lines != others:
            k = next((k for k, (a, b) in enumerate(zip(lines, others, strict=False)) if a != b), -1)
            comment = next((line.strip(" #") for line in lines[k::-1] if line.strip().startswith("#")), "")
            return f"in another call it does something else, near {comment}"
        if self.plain_results != other.plain_results:
            return "in another call it gives another number or text beside its Tensors"
        for mine, its in zip(self.constants, other.constants, strict=True):
            if mine.example.tobytes() != its.example.tobytes():
                return f"in another call it computes with another constant array, of shape {mine.shape}"
        return ""

    def forget(self) -> None:
        """Let go of all arrays of the recording but its constants, now: values and the steps that made them
        point to each other, and would wait for Python's collector."""
        self.recording.program.forget_examples()
        self.recording.alive.clear()
        self.recording = self.generator = None
        self.found_free = {}


class Replay:
    """A program, and how to call it: where each of its parameters is found, and what is made of what it
    gives."""

    def __init__(self, written: Written):
        recording: Any = written.recording  # not yet let go of
        generator: Any = written.generator
        self.written = written
        self.runs = 0  # calls, about: threads may count as one
        self.confirmed = not recording.has_constants  # else the next call is recorded, too
        program = recording.program
        self.function, self.text = written.function, written.text
        self.name, self.title = written.name, written.title
        self.differentiable, self.draws = recording.differentiable, recording.draws
        self.text_of_many = generator.source_of_many(self.name, f"{self.name}_many")
        self.machine_for_many: Callable | None = None
        self.buffers = generator.buffers
        self.working = [(generator.buffer[v], v.shape) for v in generator.in_memory]
        self.workers = generator.workers
        self.spare: list[list] = []  # memory to work in, for whoever takes it first: threads don't meet
        self.parameters = list(program.inputs)
        self.settle_inputs(recording)
        self.settle_outputs(recording)
        self.kinds = self.kinds_of_parameters(program)
        self.machine = generated.function(self.title, self.text, self.name, self.kinds, "bool")
        self.check: Callable = checker(recording.watched, recording.snapshot, recording.used, self.numbers)
        self.watched = recording.watched
        self.assumes = bool(program.assumptions)
        written.forget()

    # ---- before the call ------------------------------------------------------------------------------

    def settle_inputs(self, recording: Recording) -> None:
        """Where each call finds the parameters of the machine code: some are the same in every call, and stand in
        `template`; the places of the others are noted, by kind."""
        self.template: list[Any] = []
        self.arguments: list[tuple[int, int, bool]] = []  # (place, which Tensor, is it written?)
        self.settings: list[tuple[int, int]] = []  # (place, which number)
        self.numbers: list[list] = []
        self.random: list[tuple[int, int]] = []
        self.gradients_read: list[tuple[int, Any, np.ndarray]] = []
        written = {id(target) for target, _ in recording.program.writes}
        self.overwritten: list[np.ndarray] = []
        for place, value in enumerate(self.parameters):
            source = value.source
            self.template.append(None)
            if isinstance(source, Captured):
                self.template[place] = source.tensor.array
                if id(value) in written:
                    self.overwritten.append(source.tensor.array)
            elif isinstance(source, Argument):
                self.arguments.append((place, source.index, id(value) in written))
            elif isinstance(source, Gradient):
                self.gradients_read.append((place, source.of, value.example))
            elif isinstance(source, Setting):
                self.settings.append((place, len(self.numbers)))
                self.numbers.append(list(source.slots))
            elif isinstance(source, Random):
                self.random.append((place, source.index))
            else:
                self.template[place] = value.example
        self.written_keys = [watch(owner(array)) for array in self.overwritten]
        self.owners = set(self.written_keys)
        self.writes_arguments = any(is_written for _, _, is_written in self.arguments)
        used = [value.source.tensor for value in self.parameters if isinstance(value.source, Captured)]
        self.arrays_used = [t.array for t in used]
        self.captured = {id(owner(array)) for array in self.arrays_used}
        set_ = [source for source, _ in recording.gradients] + [of for _, of, _ in self.gradients_read]
        self.graded = any(isinstance(source, Argument) for source in set_)  # are gradients of arguments set?
        self.leaf_origins = {id(source.tensor.origin) for source in set_ if isinstance(source, Captured)}
        self.ungraded = recording.needs_no_gradient

    def settle_outputs(self, recording: Recording) -> None:
        """What becomes of the outputs of the machine code: results, and gradients."""
        self.shapes = [(v.shape, v.dtype) for v in recording.program.outputs]
        self.number_of_results = len(recording.outputs)
        numbers = {id(t): k for k, (t, _) in enumerate(recording.outputs)}
        # By the id of a Tensor in `self.result`: the number of an output, or where what was there before is found.
        self.spots: dict[int, Any] = {}

        def spot(t):
            token = Tensor.wrap(np.empty(0))
            self.spots[id(token)] = numbers[id(t)] if id(t) in numbers else recording.same[id(t)]
            return token

        self.result = mapped(recording.result, spot)
        self.tracked = {k for k, (t, _) in enumerate(recording.outputs) if t.origin is not None}
        k = self.number_of_results
        self.gradients: list[tuple[Any, int | None]] = []
        self.used_up: list[Any] = []  # where the gradients of captured Tensors are that end as None
        for source, value in recording.gradients:
            if value is None and isinstance(source, Captured):
                self.used_up.append(source.tensor.origin.stop)
                continue
            self.gradients.append((source, None if value is None else k))
            k += value is not None
        self.leaves = [each.tensor for each in recording.leaves if isinstance(each, Captured)]

    def kinds_of_parameters(self, program) -> tuple:
        """The types for which the function is compiled. A single number that differs from call to call comes in an
        array of one element."""
        written = {id(target) for target, _ in program.writes}
        kinds = []
        for value in self.parameters:
            if isinstance(value.source, Setting):
                kinds.append(generated.Kind("float64"))
                continue
            per_call = isinstance(value.source, (Argument, Random))
            flags = value.example.flags
            layout = "C" if per_call or flags.c_contiguous else "F" if flags.f_contiguous else "A"
            ndim = max(value.example.ndim, 1) if per_call else value.example.ndim
            kinds.append(generated.Kind(str(value.dtype), ndim, layout, id(value) in written))
        kinds += [generated.Kind(str(dtype), max(len(shape), 1)) for shape, dtype in self.shapes]
        kinds += [generated.Kind(str(self.buffers[n][1]), len(shape)) for n, shape in self.working]
        kinds += [generated.Kind("int64")] * len(self.workers)
        return tuple(kinds)

    def working_memory(self) -> list[np.ndarray]:
        """The arrays for intermediate values; several share a buffer."""
        buffers = [aligned((size,), dtype) for size, dtype in self.buffers]
        return [buffers[n][: math.prod(shape)].reshape(shape) for n, shape in self.working]

    def suits(self, tensors: list[Tensor]) -> bool:
        """Do the gradients that are there fit the program? (Shapes and dtypes of the arguments do.)"""
        for _, of, example in self.gradients_read:
            grad = found(of, tensors).grad
            if grad is None or grad.array.shape != example.shape or not grad.array.flags.c_contiguous:
                return False
        return not self.ungraded or all(found(of, tensors).grad is None for of in self.ungraded)

    def clashes(self, tensors: list[Tensor]) -> bool:
        """Does an argument share memory that is written, or a gradient that is set, with something else? Then
        the function itself is called: a program knows one from the other."""
        roots = []
        for _, k, is_written in self.arguments:
            array = tensors[k].array
            if is_written and not (array.flags.c_contiguous and array.flags.writeable):
                return True
            roots.append(id(owner(array)))
        if self.owners and not self.owners.isdisjoint(roots):
            return True
        if self.writes_arguments:
            written = [
                root for root, (_, _, is_written) in zip(roots, self.arguments, strict=True) if is_written
            ]
            if any(roots.count(root) > 1 or root in self.captured for root in written):
                return True
        if self.graded:
            origins = [id(t.origin) for t in tensors if t.origin is not None]
            return any(origins.count(o) > 1 or o in self.leaf_origins for o in origins)
        return False

    def misfit(self) -> str:
        """What has changed since it was recorded."""
        now = Snapshot(self.watched.roots, self.watched.seen_by)
        return now.changed_since(self.watched, but=chain(*self.numbers))

    # ---- the call ---------------------------------------------------------------------------------------

    def run(self, args, kwargs, tensors, numbers):
        """The call, by machine code; `numbers` are the settings, as `check` has found them."""
        self.runs += 1
        values = self.template.copy()
        for place, k, _ in self.arguments:
            array = tensors[k].array
            if not array.flags.c_contiguous:
                array = np.ascontiguousarray(array)
            values[place] = array if array.ndim else array.reshape(1)
        for place, k in self.settings:
            values[place] = numbers[k]
        for place, of, _ in self.gradients_read:
            values[place] = found(of, tensors).grad.array
        states = None
        if self.draws:
            if self.assumes:
                states = {id(a[0]): (a[0], a[0].numpy.bit_generator.state) for a, _ in self.draws}
            drawn = [np.asarray(drawing.forward(*a, **options)) for a, options in self.draws]
            for place, k in self.random:
                values[place] = drawn[k] if drawn[k].ndim else drawn[k].reshape(1)
        outputs = [np.empty(shape, dtype) for shape, dtype in self.shapes]
        values += [y if y.ndim else y.reshape(1) for y in outputs]
        memory = self.spare.pop() if self.spare else self.working_memory()
        done = self.by_all(self.machine, *values, *memory)
        self.spare.append(memory)
        if not done:  # what it assumes does not hold: the function itself knows what to do
            for generator, state in (states or {}).values():
                generator.numpy.bit_generator.state = state
            return self.function(*args, **kwargs)
        return self.delivered(outputs, args, kwargs, tensors)

    def by_all(self, machine: Callable, *arguments):
        """Call machine code: with the team of threads, if there are matrices to multiply."""
        if not self.workers:
            return machine(*arguments)
        from ..kernels import team

        return team.run(machine, *arguments)

    # ---- many calls at once -------------------------------------------------------------------------------

    @property
    def may_repeat(self) -> bool:
        """May calls follow each other without Python between them?"""
        written = any(is_written for _, _, is_written in self.arguments)
        return not (written or self.gradients_read or self.ungraded or self.differentiable)

    def run_many(self, tensors, numbers, start: int, count: int) -> tuple[int, list[np.ndarray]]:
        """(how many of the calls from `start` on were made, the results of each): all, unless something that
        the program assumes does not hold for one."""
        self.runs += count
        if self.machine_for_many is None:
            self.machine_for_many = generated.function(
                f"{self.title}, for many batches", f"{self.text}\n\n{self.text_of_many}", f"{self.name}_many",
                self.kinds_for_many(), "int64",
            )  # fmt: skip
        values = self.template.copy()
        for place, k, _ in self.arguments:
            values[place] = np.ascontiguousarray(tensors[k].array[start : start + count])
        for place, k in self.settings:
            values[place] = numbers[k]
        drawn, states = [[] for _ in self.draws], []
        for _ in range(count if self.draws else 0):
            if self.assumes:
                states.append([(a[0], a[0].numpy.bit_generator.state) for a, _ in self.draws])
            for each, (a, options) in zip(drawn, self.draws, strict=True):
                each.append(drawing.forward(*a, **options))
        for place, k in self.random:
            values[place] = np.stack(drawn[k])
        outputs = [np.empty((count, *shape), dtype) for shape, dtype in self.shapes]
        memory = self.spare.pop() if self.spare else self.working_memory()
        done = self.by_all(self.machine_for_many, count, *values, *outputs, *memory)
        self.spare.append(memory)
        if done < count and states:
            for generator, state in reversed(states[done]):
                generator.numpy.bit_generator.state = state
        if done:
            if self.written_keys:
                note_writes(self.written_keys, call_site())
            self.set_gradients([y[done - 1] for y in outputs], tensors)
        return done, [y[:done] for y in outputs[: self.number_of_results]]

    def set_gradients(self, outputs, tensors: list[Tensor]) -> None:
        """`.grad` as the function leaves it."""
        for stop in self.used_up:
            stop.grad = None
        for of, k in self.gradients:
            found(of, tensors).origin.stop.grad = None if k is None else Tensor.wrap(outputs[k])

    def kinds_for_many(self) -> tuple:
        """The types for which `source_of_many` is compiled: with the number of batches, and a dimension more."""
        kinds = [generated.Kind("int64")]
        for value, kind in zip(self.parameters, self.kinds, strict=False):
            if isinstance(value.source, (Argument, Random)):
                kind = kind._replace(ndim=len(value.shape) + 1)
            kinds.append(kind)
        kinds += [generated.Kind(str(dtype), len(shape) + 1) for shape, dtype in self.shapes]
        return (*kinds, *self.kinds[len(kinds) - 1 :])

    def rebuilt(self, results: list, tensors: list[Tensor]) -> Any:
        """What the function gives, with these results in it."""

        def made(token):
            spot = self.spots[id(token)]
            return results[spot] if isinstance(spot, int) else found(spot, tensors)

        return mapped(self.result, made)

    def rebuilt_of_many(self, results: list[np.ndarray], given: list[Tensor], count: int) -> Any:
        """The same of `count` calls, whose arguments and results are stacked: what was captured is repeated."""

        def made(token):
            spot = self.spots[id(token)]
            if isinstance(spot, int):
                return Tensor.wrap(results[spot])
            t = found(spot, given)
            return stack([t.detach()] * count) if isinstance(spot, Captured) else t

        return mapped(self.result, made)

    def delivered(self, outputs, args, kwargs, tensors):
        """What the function leaves behind, and what it gives."""
        arrays = [tensors[k].array for _, k, is_written in self.arguments if is_written]
        written = (
            self.written_keys + [watch(owner(array)) for array in arrays] if arrays else self.written_keys
        )
        if written:
            note_writes(written, call_site())
        self.set_gradients(outputs, tensors)
        results = list(map(Tensor.wrap, outputs[: self.number_of_results]))
        if self.differentiable:
            results = self.connected(results, args, kwargs, tensors)
        if type(self.result) is Tensor and results:
            return results[0]
        return self.rebuilt(results, tensors)

    # ---- its derivative -------------------------------------------------------------------------------------

    def connected(self, results, args, kwargs, tensors):
        """The results with an origin: the walk back from them computes the function again, and its own walk
        back, in a program of its own."""
        sources = [t for t in (*tensors, *self.leaves) if t.origin is not None]
        if not mode.get()[0] or not sources:
            return results
        pull, time = self.pull(), clock.tick()
        arrays = [t.array for t in sources] + self.arrays_used

        def forward(*arrays):
            return tuple(t.array for t in results)

        def rule(wanted, gs, xs):  # it reads xs only so that a second walk finds them let go of, as elsewhere
            self.check_unchanged(time, arrays)
            on_arrays = not isinstance(gs[0], Tensor)
            given = [Tensor.wrap(g) if on_arrays else g for g in gs]
            if on_arrays:
                with switched(recording=True):
                    shares = pull(detached(args), detached(kwargs), given, False)
                return [None if s is None else s.array for s in shares]
            return pull.function(args, kwargs, given, mode.get()[0])

        primitive = Primitive(
            self.name, forward, "*xs", [rule], outputs="*ys", joint=True, promotes=False, listed=False
        )
        made = primitive(*sources)
        return [y if k in self.tracked else t for k, (y, t) in enumerate(zip(made, results, strict=True))]

    def check_unchanged(self, time: int, arrays: list[np.ndarray]) -> None:
        """An error if the walk back, which computes the function again, would compute something else."""
        what = f"what the compiled '{self.name}' computes from"
        remedy = "walk back before the change, or call the function without autodiff.compile"
        for array in arrays:
            write = written_since(time, array)
            if write is not None:
                raise RuntimeError(
                    explanation(
                        f"{what} has been modified by an inplace operation",
                        where=describe(write.site),
                        why="the walk back computes the function again",
                        remedy=remedy,
                    )
                )
        if self.check() is None:
            raise RuntimeError(
                explanation(
                    f"{what} has changed since the call: {self.misfit() or 'its state'}",
                    why="the walk back computes the function again",
                    remedy=remedy,
                )
            )

    def pull(self):
        """A compiled function: cotangents of the results → cotangents of arguments and captured leaves."""
        if getattr(self, "pulling", None) is None:
            from . import Compiled

            function, leaves, tracked = self.function, self.leaves, self.tracked

            def pull(args, kwargs, gs, record):
                with enable_grad():
                    args, kwargs = mapped((args, kwargs), lambda t: fresh(t) if t.origin is not None else t)
                    inputs = [t for t in tensors_in((args, kwargs)) if t.origin is not None] + leaves
                    ys = tensors_in(function(*args, **kwargs))
                    pairs = [
                        (y.origin, g) for k, (y, g) in enumerate(zip(ys, gs, strict=True)) if k in tracked
                    ]
                with switched(recording=record):
                    shares = backpropagate(
                        [y for y, _ in pairs], [g for _, g in pairs], {x.origin for x in inputs}
                    )
                return [shares.get(x.origin) for x in inputs]

            pull.__qualname__ = f"pullback of {describe_function(function)}"
            self.pulling = Compiled(pull)
        return self.pulling


def detached(tree):
    """The tree, with fresh leaves in the places of tracked Tensors."""
    return mapped(tree, lambda t: t.detach().requires_grad_() if t.origin is not None else t)


def found(of: Any, tensors: list[Tensor]) -> Tensor:
    """The Tensor that an Argument or a Captured stands for in a call with these Tensors."""
    return of.tensor if isinstance(of, Captured) else tensors[of.index]


def mapped(tree: Any, of_tensor: Callable) -> Any:
    """Nested tuples, lists and dicts with each Tensor replaced."""
    if isinstance(tree, Tensor):
        return of_tensor(tree)
    if isinstance(tree, dict):
        made = {name: mapped(each, of_tensor) for name, each in tree.items()}
        return made if type(tree) is dict else type(tree)(made)
    if isinstance(tree, (list, tuple)):
        items = [mapped(each, of_tensor) for each in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return tree


def identifier(function: Callable) -> str:
    """What the generated function is called: as the user's, if that can be a name there."""
    name = getattr(function, "__name__", type(function).__name__)
    name = "".join(c if c.isalnum() else "_" for c in name).strip("_") or "function"
    if "lambda" in name:
        name = "function"
    name += "_" * (name in RESERVED)
    return name if not name[0].isdigit() else f"_{name}"


def names_of(function: Callable, recording: Recording, tensors: list[Tensor]) -> dict:
    """What the generated source calls its parameters and its results."""
    names = {}
    try:
        signature = [
            p.name for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_POSITIONAL
        ]
    except (TypeError, ValueError):
        signature = []
    for value in recording.program.inputs:
        source, suffix = value.source, ""
        if isinstance(source, Gradient):
            source, suffix = source.of, "_grad"
        if isinstance(source, Captured):
            names[value] = source.path + suffix
        elif isinstance(source, Argument):
            plain = recording.plain_arguments and source.index < len(signature)
            names[value] = (signature[source.index] if plain else f"argument_{source.index}") + suffix
        elif isinstance(source, Setting):
            names[value] = source.slots[0].path.rpartition(".")[2]
        elif isinstance(source, Random):
            names[value] = f"random_{source.index}"
    for value, of in recording.leaf_gradients:
        name = of.path if isinstance(of, Captured) else f"argument_{of.index}"
        names.setdefault(value, f"{name}_grad")
    return names
