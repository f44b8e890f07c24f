"""A recorded computation as data: values, and the steps that make them; and what can be made simpler."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


class Value:
    """An array of the program. Nobody ever writes to it: an update makes a new value, and the program
    says in whose memory it ends up."""

    __slots__ = ("shape", "dtype", "step", "example", "name", "source")

    def __init__(self, example: np.ndarray, step: Step | None = None, source: Any = None):
        self.shape, self.dtype = example.shape, example.dtype
        self.example: Any = example  # what it was when it was recorded
        self.step: Any = step  # what made it; None for an input or a constant
        self.source = source  # of an input: where each call finds it
        self.name = ""

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    def __repr__(self):
        return f"<{self.name or 'value'} {self.dtype}{list(self.shape)}>"


class Step:
    """One primitive applied to values and numbers. `site` is the user's line, `back` the line whose
    derivative it belongs to, in a walk back."""

    __slots__ = ("name", "inputs", "options", "outputs", "site", "back")

    def __init__(self, name: str, inputs: tuple, options: dict, site: Any = None, back: Any = None):
        self.name, self.inputs, self.options, self.site, self.back = name, inputs, options, site, back
        self.outputs: list[Value] = []

    def __repr__(self):
        return f"{self.outputs} = {self.name}{self.inputs}"


class Program:
    """The steps, in the order in which they were recorded, and what is to become of their values."""

    def __init__(self, steps, outputs, writes, assumptions):
        self.steps: list[Step] = steps
        self.outputs: list[Value] = outputs  # in fresh arrays, for the caller
        self.writes: list[tuple[Value, Value]] = writes  # (an input, what its memory holds in the end)
        self.assumptions: list[Value] = assumptions  # booleans that must be true, or nothing is done

    @property
    def inputs(self) -> list[Value]:
        """What the steps read and the writes write, each once, in order of appearance."""
        found: dict[Value, None] = {}
        for value in self.roots():
            if isinstance(value, Value) and value.step is None:
                found[value] = None
        return list(found)

    def roots(self):
        """All values that somebody reads or writes, in order of appearance."""
        for step in self.steps:
            yield from step.inputs
        yield from self.outputs
        yield from self.assumptions
        for target, value in self.writes:
            yield from (target, value)

    def simplified(self) -> Program:
        """The same program without what is constant, done twice, or read by nobody."""
        replaced: dict[Value, Any] = {}
        seen: dict[tuple, Step] = {}
        steps = []

        def current(x):
            return replaced.get(x, x) if isinstance(x, Value) else x

        for value in self.roots():  # constants that are one number all over
            if isinstance(value, Value) and value.step is None and value not in replaced:
                replaced[value] = as_number(value) if value.source is None else value
        for step in self.steps:
            operands = step.inputs
            step.inputs = tuple(map(current, operands))
            if step.name == "matmul":  # its kernel reads arrays, of whatever they are full
                step.inputs = tuple(map(in_memory, operands, step.inputs))
            if is_constant(step):
                for output in step.outputs:
                    output.step = None
                    replaced[output] = as_number(output)
                continue
            same = unchanged(step)
            if same is not None:
                replaced[step.outputs[0]] = same
                continue
            twin = seen.setdefault(identity(step), step)
            if twin is not step:
                for output, other in zip(step.outputs, twin.outputs, strict=True):
                    replaced[output] = other
                continue
            steps.append(step)
        self.outputs = [current(v) for v in self.outputs]
        self.assumptions = [v for v in map(current, self.assumptions) if isinstance(v, Value)]
        self.writes = [(target, current(v)) for target, v in self.writes]
        self.writes = [(target, v) for target, v in self.writes if v is not target]
        self.steps = steps
        self.sweep()
        self.save_what_is_overwritten()
        self.conditions_first()
        return self

    def save_what_is_overwritten(self) -> None:
        """A copy of each input that is to be found elsewhere at the end, and whose memory then holds another
        value."""
        written = {target for target, _ in self.writes}
        copies: dict[Value, Value] = {}

        def kept(x: Any) -> Any:
            if x not in written:
                return x
            if x not in copies:
                step = Step("clone", (x,), {})
                copies[x] = Value(x.example, step)
                step.outputs.append(copies[x])
            return copies[x]

        self.outputs = [kept(v) for v in self.outputs]
        self.writes = [(target, kept(v)) for target, v in self.writes]
        self.steps = [copy.step for copy in copies.values()] + self.steps

    def sweep(self) -> None:
        """Only what somebody reads."""
        self.steps = self.leading_to({*self.outputs, *self.assumptions, *(v for _, v in self.writes)})

    def conditions_first(self) -> None:
        """What is assumed is worked out before all else, so before anything is written."""
        conditions = self.leading_to({*self.assumptions})
        known = set(conditions)
        self.steps = conditions + [step for step in self.steps if step not in known]

    def leading_to(self, wanted: set[Value]) -> list[Step]:
        """The steps that make these values, and what they are made from."""
        kept = []
        for step in reversed(self.steps):
            if any(output in wanted for output in step.outputs):
                kept.append(step)
                wanted.update(x for x in step.inputs if isinstance(x, Value))
        return kept[::-1]

    def forget_examples(self) -> None:
        """Let go of the arrays of the recording, but for those of constants."""
        for step in self.steps:
            for value in (*step.inputs, *step.outputs):
                if isinstance(value, Value) and (value.step is not None or value.source is not None):
                    value.example = None


class Number:
    """A constant that is the same number all over, of one dtype: it fits every shape."""

    __slots__ = ("value", "dtype", "shape")

    def __init__(self, value: Any, dtype: np.dtype, shape: tuple):
        self.value, self.dtype, self.shape = value, dtype, shape

    def __eq__(self, other):
        return isinstance(other, Number) and (repr(self.value), self.dtype) == (
            repr(other.value),
            other.dtype,
        )

    def __hash__(self):
        return hash((repr(self.value), self.dtype))

    def __repr__(self):
        return f"{self.dtype}({self.value})"


def as_number(value: Value):
    """A constant value as a Number, if all its elements are equal; else itself."""
    example = value.example
    assert example is not None
    if example.size == 0:
        return value
    if example.size > 1 and any(example.strides):
        first = example.reshape(-1)[0] if example.flags.c_contiguous else example[(0,) * example.ndim]
        if not (example == first).all() or (not first and not same_sign(example)):
            return value
    return Number(example[(0,) * example.ndim].item(), example.dtype, example.shape)


def same_sign(zeros: np.ndarray) -> bool:
    """0.0 is not -0.0."""
    if zeros.dtype.kind != "f":
        return True
    negative = np.signbit(zeros)
    return bool(negative.all() or not negative.any())


def in_memory(value: Value, now: Any) -> Any:
    """What now stands for a value, if that is in memory; else, of a Number, the constant that it was."""
    if not isinstance(now, Number):
        return now
    value.example = np.ascontiguousarray(value.example)
    return value


def is_constant(step: Step) -> bool:
    """Is it made from nothing that may differ at the next call?"""
    return step.name != "draw" and not any(
        isinstance(x, Value) and (x.step is not None or x.source is not None) for x in step.inputs
    )


def unchanged(step: Step):
    """The input, of a step that only passes it on."""
    first = step.inputs[0] if step.inputs else None
    if not isinstance(first, Value) or len(step.outputs) != 1:
        return None
    output = step.outputs[0]
    if first.shape != output.shape or first.dtype != output.dtype:
        return None
    if step.name in ("identity", "clone", "detach", "astype", "broadcast_to", "sum_to", "reshape", "spread"):
        return first
    if step.name in ("mul", "div"):
        second = step.inputs[1]
        number = second.value if isinstance(second, Number) else second
        if isinstance(number, (int, float)) and number == 1:
            return first
    return None


def identity(step: Step) -> tuple:
    """What two steps have in common that do the same."""
    inputs = tuple(
        id(x) if isinstance(x, Value) else (x, x.shape) if isinstance(x, Number) else (type(x), repr(x))
        for x in step.inputs
    )
    return step.name, inputs, repr(sorted(step.options.items(), key=str))
