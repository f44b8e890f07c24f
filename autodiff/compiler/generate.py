"""From a program to the source of one function: plain loops, with the user's lines beside them.

1. Which values get a name? What takes loops of its own to compute, or is read more than once; the rest is
   written out where it is read.
2. Loops over the same shape that may run together become one.
3. Named values that are read only where they are made are local variables; the others get a part of one
   piece of memory, which is used again when its value is no longer needed; the new contents of a
   parameter are written straight into it, if nobody wants the old ones any more.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from ..kernels import generated
from ..provenance import describe
from . import epilogue, loops
from .formulas import (
    BOOLEAN,
    DEAR,
    FLOATING,
    FORMULAS,
    FREE,
    LETTERS,
    MOVES,
    ON_BOOLEANS,
    SAME,
    Index,
    broadcast,
    index_for,
    literal,
    stripped,
)
from .program import Number, Program, Step, Value
from .record import Argument, Random, Setting

MOST_OPERATIONS = 8  # in one expression: longer ones are cut into lines
# Names that generated source has another use for.
RESERVED = {
    *keyword.kwlist, *LETTERS, *(name for names in generated.NAMES.values() for name in names),
    "range", "top", "total", "power", "best", "where", "candidate", "count", "done", "team", "threads",
}  # fmt: skip
CASTS = ("astype", "as_whole")
DTYPES = ("float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")


class Unsupported(Exception):
    """Something that has no source code."""


class Writer:
    """Lines of source, indented."""

    def __init__(self):
        self.lines: list[str] = []
        self.depth = 1

    def __call__(self, text: str = "") -> None:
        self.lines.append("    " * self.depth + text if text else "")

    @contextmanager
    def loop(self, variable: str, n: int | str):
        """A loop of n rounds."""
        self(f"for {variable} in range({n}):")
        self.depth += 1
        yield
        self.depth -= 1

    @contextmanager
    def block(self, head: str):
        """Whatever is indented under this line."""
        self(head)
        self.depth += 1
        yield
        self.depth -= 1

    @contextmanager
    def loops(self, variables: Iterable[str], shape: Iterable[int]):
        """A loop for each dimension that has more than one place."""
        before = self.depth
        for v, n in zip(variables, shape, strict=True):
            if v != "0":
                self(f"for {v} in range({n}):")
                self.depth += 1
        yield
        self.depth = before


class Nest:
    """Statements that share their loops: the values computed at each place, in order. Or a block: one
    step with loops of its own."""

    def __init__(self, shape: tuple, values: list, block: bool = False):
        self.shape, self.values, self.block = shape, values, block
        self.reads: dict[Value, bool] = {}  # named value or input → only at the place being computed?
        self.write: Any = None  # how a block is written


class Generator:
    """Writes one program as a function."""

    def __init__(self, program: Program, title: str, names: dict[Value, str]):
        self.program, self.title = program, title
        self.parameters: list[Value] = program.inputs
        self.named: set[Value] = set()
        self.nests: list[Nest] = []
        self.local: dict[Value, str] = {}  # in the nest being written: the variable that holds it
        self.aliases: dict[Value, Value] = {}  # a value → the input in whose memory it is
        self.assumed = set(program.assumptions)
        self.reading: dict[Value, bool] | None = None
        self.here: Index = ()
        self.check()
        self.count_uses()
        self.choose_named()
        self.give_names(names)
        self.build()
        self.place()

    # ---- 1. what gets a name ----------------------------------------------------------------------

    def check(self) -> None:
        """Unsupported, for a step that has no source, and for a dtype that programs do not compute in."""
        for value in self.program.outputs:  # which may be a constant, of no step
            if str(value.dtype) not in DTYPES:
                raise Unsupported(f"{value.dtype} is not for compiled programs, and it gives such a Tensor")
        for step in self.program.steps:
            for value in (*step.inputs, *step.outputs):
                if isinstance(value, (Value, Number)) and str(value.dtype) not in DTYPES:
                    raise Unsupported(f"{value.dtype} is not for compiled programs ({self.where(step)})")
            name = step.name
            known = any(name in names for names in (FORMULAS, MOVES, SAME, loops.table, loops.places))
            if not known and name not in (*CASTS, "bitwise_not"):
                raise Unsupported(f"'{name}' can't be compiled yet ({self.where(step)})")
            if name in FORMULAS and step.outputs[0].dtype == np.bool_ and name not in BOOLEAN | ON_BOOLEANS:
                raise Unsupported(f"'{name}' of booleans can't be compiled yet ({self.where(step)})")
            if name in FLOATING and step.outputs[0].dtype.kind != "f":
                raise Unsupported(f"'{name}' of integers can't be compiled yet ({self.where(step)})")
            if name == "roll" and step.options["dim"] is None or name == "round" and step.options["decimals"]:
                raise Unsupported(f"this form of '{name}' can't be compiled yet ({self.where(step)})")
            if name in ("take", "add_back") and any(
                getattr(x, "dtype", None) == np.bool_ for x in step.inputs[1:]
            ):
                raise Unsupported(f"the size of an array depends on values ({self.where(step)})")

    def where(self, step: Step) -> str:
        """The user's line."""
        return describe(step.site)

    def count_uses(self) -> None:
        """How often each value is read, and over how many places at the most. What only moves elements reads its
        input as often as it is read itself."""
        self.uses: dict[Value, int] = {}
        self.largest: dict[Value, int] = {}  # over how many places it is read
        roots = [*self.program.outputs, *self.program.assumptions, *(v for _, v in self.program.writes)]
        for value in roots:
            self.uses[value] = self.uses.get(value, 0) + 1
            self.largest[value] = max(self.largest.get(value, 0), getattr(value, "size", 1))
        for step in reversed(self.program.steps):
            moves = self.moves(step)
            for x in step.inputs:
                if isinstance(x, Value):
                    n = sum(self.uses.get(y, 0) for y in step.outputs) if moves else 1
                    size = max(self.largest.get(y, 0) if moves else y.size for y in step.outputs)
                    if not moves and step.name in loops.table:
                        size = x.size
                    self.uses[x] = self.uses.get(x, 0) + n
                    self.largest[x] = max(self.largest.get(x, 0), size)

    def moves(self, step: Step) -> bool:
        """Does it give elements of its inputs, or a constant, and compute nothing?"""
        return step.name in MOVES or step.name in SAME or step.name in loops.places

    def choose_named(self) -> None:
        """A value gets a name, and is computed once, if its loops are its own, if others need it in memory, if it is
        the end of something, if it is read twice and not cheap, or if its formula would get too long."""
        self.length: dict[Value, int] = {}  # operations in the text of a value without a name
        for step in self.program.steps:
            length = sum(
                self.length.get(x, 0) for x in step.inputs if isinstance(x, Value) and x not in self.named
            )
            if step.name in loops.table:
                self.named.update(step.outputs)
                for x in loops.table[step.name].in_memory(step):
                    self.hold(x)
                continue
            if self.moves(step):
                for y in step.outputs:
                    self.length[y] = length
                continue
            (y,) = step.outputs
            length += step.name not in CASTS
            if length > MOST_OPERATIONS:
                for x in step.inputs:
                    if isinstance(x, Value) and x.step is not None and self.length.get(x, 0) > 1:
                        self.name_it(x)
                length = 1
            self.length[y] = length
            often = self.uses.get(y, 0) > 1 and not (step.name in FREE and length == 1)
            stretched = self.largest.get(y, 0) > y.size and (length > 1 or step.name in DEAR or y.size == 1)
            if often or stretched:
                self.named.add(y)
        for value in (*self.program.outputs, *(v for _, v in self.program.writes), *self.program.assumptions):
            if isinstance(value, Value) and value.step is not None:
                self.named.add(value)

    def name_it(self, x: Value) -> None:
        """Name x, or what it moves the elements of."""
        while (
            self.moves(x.step) and isinstance(x.step.inputs[0], Value) and x.step.inputs[0].step is not None
        ):
            x = x.step.inputs[0]
        if not self.moves(x.step):
            self.named.add(x)

    def hold(self, x: Any) -> None:
        """See to it that `array` can say where x is in memory."""
        if not isinstance(x, Value) or x.step is None or x in self.named:
            return
        step = x.step
        base = step.inputs[0] if step.inputs else None
        if (
            step.name in SAME
            or step.name == "permute"
            or step.name == "reshape"
            and isinstance(base, Value)
            and self.contiguous(base)
        ):
            self.hold(base)
        else:
            self.named.add(x)

    def contiguous(self, x: Value) -> bool:
        """Will it be in memory in order?"""
        if x.step is None:
            return x.example is None or x.example.flags.c_contiguous
        if x in self.named:
            return True
        if x.step.name in SAME or x.step.name == "reshape":
            return isinstance(x.step.inputs[0], Value) and self.contiguous(x.step.inputs[0])
        return x.step.name != "permute"

    # ---- names --------------------------------------------------------------------------------------

    def give_names(self, wanted: dict[Value, str]) -> None:
        """The names themselves: those that are wanted, else after what makes the value, all different."""
        self.taken_names = set(RESERVED)
        self.name: dict[Value, str] = {}
        for k, value in enumerate(self.parameters):
            self.name[value] = self.unique(wanted.get(value) or f"constant_{k}")
        self.results = [
            self.unique(wanted.get(v) or f"result_{k}", "out") for k, v in enumerate(self.program.outputs)
        ]
        counts: dict[str, int] = {}
        for step in self.program.steps:
            for y in step.outputs:
                if y in self.named:
                    stem = ("d_" if step.back is not None else "") + step.name
                    counts[stem] = counts.get(stem, 0) + 1
                    self.name[y] = self.unique(wanted.get(y) or f"{stem}_{counts[stem]}")

    def unique(self, wanted: str, suffix: str = "") -> str:
        """The name, made one of Python's, with a number if it is taken."""
        name = "".join(c if c.isalnum() else "_" for c in wanted).strip("_") or "value"
        name = f"_{name}" if name[0].isdigit() else name
        name = f"{name}_{suffix}" if suffix else name
        candidate, k = name, 2
        while candidate in self.taken_names:
            candidate, k = f"{name}_{k}", k + 1
        self.taken_names.add(candidate)
        return candidate

    # ---- the text of a value ------------------------------------------------------------------------

    def element(self, x: Any, index: Index, dtype: np.dtype | None = None) -> str:
        """The text of one element of x, as `dtype`."""
        if isinstance(x, Number):
            return literal(x.value, dtype or x.dtype)
        if not isinstance(x, Value):
            return literal(x, dtype or np.dtype(np.asarray(x).dtype))
        text = self.element_of(x, broadcast(index, x.shape))
        if dtype is not None and x.dtype != dtype:
            text = self.cast(text, dtype)
        return text

    def cast(self, text: str, dtype: np.dtype) -> str:
        """The text of a number as another dtype."""
        if dtype == np.bool_:
            return f"({text} != 0)"
        return f"{dtype}({stripped(text)})"

    def element_of(self, x: Value, index: Index) -> str:
        """The text of one element: from a variable, from memory, or by the formula of what makes it."""
        if x in self.local and index == broadcast(self.here, x.shape):
            self.note_read(x, True)
            return self.local[x]
        if x.step is None or x in self.named:
            self.note_read(x, index == self.here)
            return self.at(x, index)
        step = x.step
        name = step.name
        if name in SAME:
            return self.element(step.inputs[0], index)
        if name in MOVES:
            (base,) = step.inputs
            if not isinstance(base, Value):
                return self.element(base, ())
            return self.element_of(base, MOVES[name](index, base.shape, **step.options))
        if name in loops.places:
            return loops.places[name](self, step, x, index)
        if name in CASTS:
            base = step.inputs[0]
            return self.cast(self.element(base, index), x.dtype)
        if name == "pow" and getattr(step.inputs[1], "value", step.inputs[1]) == 0.5:
            name = "sqrt"  # as NumPy has it, at -0.0 and -inf too
        dtype = x.dtype
        if name in BOOLEAN:
            dtype = next(v.dtype for v in step.inputs if isinstance(v, (Value, Number)))
        parts = {}
        for letter, operand in zip("abc", step.inputs, strict=False):
            condition = name == "where" and letter == "a"
            parts[letter] = self.element(operand, index, None if condition or "logical" in name else dtype)
        if name == "bitwise_not":
            return f"(not {parts['a']})" if dtype == np.bool_ else f"(~{parts['a']})"
        zero = "0" if "logical" in name else literal(0, dtype)
        text = FORMULAS[name].format(**parts, zero=zero, one=literal(1, dtype), hundred=literal(100, dtype))
        if dtype.kind in "iu" and dtype.itemsize < 8 and name not in BOOLEAN:
            return self.cast(text, dtype)
        return text

    def at(self, x: Value, index: Index) -> str:
        """The text of an element in memory, or of a number in a variable."""
        name = self.name[self.aliases.get(x, x)] if x.step is not None else self.name[x]
        if x.step is not None and not x.shape:
            return self.name[x]
        if x.step is None and not x.shape:
            is_setting = isinstance(x.source, Setting)
            return f"{name}[0]" if self.is_argument(x) else name if is_setting else f"{name}[()]"
        return f"{name}[{', '.join(map(stripped, index))}]"

    def is_argument(self, x: Value) -> bool:
        """Does each call bring an array of its own?"""
        return isinstance(x.source, (Argument, Random))

    def array(self, x: Value) -> str:
        """The text of a value as an array in memory; `hold` has seen to it that it is there."""
        if x.step is None or x in self.named:
            self.note_read(x, False)
            return self.name[self.aliases.get(x, x)]
        base = self.array(x.step.inputs[0])
        if x.step.name in SAME:
            return base
        if x.step.name == "permute":
            dims = x.step.options["dims"]
            rank = len(x.shape)
            dims = tuple(d % rank for d in dims) if dims is not None else tuple(reversed(range(rank)))
            return f"{base}.T" if dims == tuple(reversed(range(rank))) else f"{base}.transpose({dims})"
        return f"{base}.reshape({x.shape})"

    def array_of(self, x: Value) -> str:
        """The name of the memory a value is to be written to."""
        return self.name[self.aliases.get(x, x)]

    def note_read(self, x: Value, same_place: bool) -> None:
        """Note that the nest at hand reads x, and whether only at the place that is being computed."""
        if self.reading is not None:
            self.reading[x] = self.reading.get(x, True) and same_place

    # ---- 2. loops, and which of them run together -----------------------------------------------------

    def build(self) -> None:
        """The nests, in order, each with as many values as may share its loops."""
        finals = self.finals = self.what_may_overwrite()
        for step in self.program.steps:
            if step.name in loops.table:
                nest = Nest(step.outputs[0].shape, list(step.outputs), block=True)
                nest.write = partial(loops.table[step.name].write, step=step)
                self.reading, self.here = nest.reads, ()
                nest.write(self, Writer())
                self.nests.append(nest)
            else:
                for y in step.outputs:
                    if y in self.named:
                        self.fuse(self.nest_of(y), finals)
        for nest in list(self.nests):
            epilogue.join(self, nest, finals)
        self.reading = None

    def what_may_overwrite(self) -> dict[Value, Value]:
        """The values that may be computed where they are to be found in the end, each with the input whose memory
        that is: those that are made when all conditions have been checked."""
        steps = self.program.steps
        conditions = [k for k, step in enumerate(steps) if not self.assumed.isdisjoint(step.outputs)]
        late = {y for step in steps[max(conditions, default=-1) + 1 :] for y in step.outputs}
        return {v: target for target, v in reversed(self.program.writes) if v in late}

    def nest_of(self, y: Value) -> Nest:
        """A nest for this value alone, and what it reads."""
        nest = Nest(y.shape, [y])
        self.reading, self.here = nest.reads, index_for(y.shape)
        self.expression(y)
        return nest

    def expression(self, y: Value) -> str:
        """The text of a named value: that of its step."""
        self.named.discard(y)
        text = self.element_of(y, self.here)
        self.named.add(y)
        return stripped(text)

    def fuse(self, new: Nest, finals: dict) -> None:
        """Add a nest to the last one that it may share loops with; it may pass others on the way, unless
        it needs what they make, or they read what it overwrites. Nothing is overwritten where a condition is
        still to be checked."""
        overwritten = {finals[v] for v in new.values if v in finals}
        for k in range(len(self.nests) - 1, -1, -1):
            old = self.nests[k]
            if overwritten and not self.assumed.isdisjoint(old.values):
                break
            needs = [x for x in new.reads if x in old.values]
            clashes = [t for t in overwritten if t in old.reads]
            if not old.block and old.shape == new.shape:
                if all(new.reads[x] for x in needs) and all(old.reads[t] for t in clashes):
                    old.values += new.values
                    for x, same in new.reads.items():
                        old.reads[x] = old.reads.get(x, True) and same
                    return
            if needs or clashes:
                break
        self.nests.append(new)

    # ---- 3. memory --------------------------------------------------------------------------------------

    def place(self) -> None:
        """Who lives where: in an input's memory, in a result's, in a variable, in shared memory."""
        made = {v: k for k, nest in enumerate(self.nests) for v in nest.values}
        last: dict[Value, int] = {}
        for k, nest in enumerate(self.nests):
            for x in nest.reads:
                last[x] = k
        self.result_of: dict[Value, str] = {}
        self.stores: dict[Value, list[str]] = {}  # where else a value is stored where it is made
        self.copies: list[tuple[str, tuple, Any, np.dtype]] = []  # at the end: (name, shape, what)
        for target, value in sorted(self.program.writes, key=lambda w: w[1] in made):
            k = made.get(value)
            if self.aliases.get(value) is target:
                continue  # already settled
            free = value in self.finals and value not in self.aliases
            if k is not None and free and self.may_overwrite(target, k, last):
                self.aliases[value] = target
            else:
                self.copies.append((self.name[target], target.shape, value, target.dtype))
        for name, value in zip(self.results, self.program.outputs, strict=True):
            if value in made and value not in self.aliases and value not in self.result_of and value.shape:
                self.result_of[value] = name
            else:
                self.copies.append((name, value.shape, value, value.dtype))
        later = {v: self.nests[k] for v, k in made.items()}
        used_at_end = {x for _, _, v, _ in self.copies for x in self.reads_of(v)}
        self.in_memory: list[Value] = []
        for value, k in made.items():
            if value in self.aliases or value in self.result_of or not value.shape:
                continue
            outside = value in used_at_end or any(
                value in nest.reads and nest is not later[value] for nest in self.nests
            )
            inside = self.nests[k].block or not self.nests[k].reads.get(value, True)
            if outside or inside:
                self.in_memory.append(value)
        self.plan(made, last, used_at_end)

    def reads_of(self, value: Any) -> set[Value]:
        """What is read where the value is written out."""
        if not isinstance(value, Value):
            return set()
        self.reading, self.here = {}, index_for(value.shape)
        self.element(value, self.here)
        found, self.reading = set(self.reading), None
        return found

    def may_overwrite(self, target: Value, k: int, last: dict) -> bool:
        """May the k-th nest write into the memory of an input? Not if the old contents are read later, or
        by the nest itself at another place."""
        if last.get(target, -1) > k or target in self.aliases.values():
            return False
        if any(target in self.reads_of(v) for _, _, v, _ in self.copies):
            return False
        nest = self.nests[k]
        return target not in nest.reads or (not nest.block and nest.reads[target])

    def plan(self, made: dict, last: dict, used_at_end: set) -> None:
        """Which values share a buffer: one whose value is no longer needed is used again."""
        self.buffer: dict[Value, int] = {}
        self.buffers: list[tuple[int, np.dtype]] = []  # the size of each, and the dtype
        free: list[int] = []
        end = len(self.nests)
        dies: dict[int, list[Value]] = {}
        for v in self.in_memory:
            dies.setdefault(end if v in used_at_end else last.get(v, made[v]), []).append(v)
        wanted = set(self.in_memory)
        for k, nest in enumerate(self.nests):
            dying = [v for v in dies.get(k, []) if v in self.buffer]
            for v in nest.values:
                if v not in wanted:
                    continue
                heir = next(
                    (
                        u for u in dying
                        if not nest.block and nest.reads.get(u) and u.dtype == v.dtype and u.size == v.size
                    ),
                    None,
                )  # fmt: skip
                fits = [n for n in free if self.buffers[n][1] == v.dtype and self.buffers[n][0] >= v.size]
                if heir is not None:  # written where it is read
                    dying.remove(heir)
                    self.buffer[v] = self.buffer[heir]
                elif fits:
                    self.buffer[v] = min(fits, key=lambda n: self.buffers[n][0])
                    free.remove(self.buffer[v])
                else:
                    self.buffer[v] = len(self.buffers)
                    self.buffers.append((v.size, v.dtype))
            free += [self.buffer[u] for u in dying]
            free += [self.buffer[v] for v in nest.values if v in dies.get(k, [])]

    # ---- the source -----------------------------------------------------------------------------------------

    def source(self, function: str) -> str:
        """The program as a function of this name. It gives False, having written nothing, if something that the
        program assumes does not hold."""
        write = Writer()
        for v, name in self.result_of.items():
            self.name[v] = name
        self.last_comment: list[str] = []
        for nest in self.nests:
            self.comment(write, nest)
            if nest.block:
                self.local, self.here = {}, ()
                nest.write(self, write)
            else:
                self.write_nest(write, nest)
            for v in nest.values:
                if v in self.assumed:
                    write(f"if not {self.name[v]}:")
                    write("    return False")
        for name, shape, value, dtype in self.copies:
            write()
            self.local, self.here = {}, index_for(shape)
            index = self.here
            if not shape:
                scalar = self.element(value, (), dtype)
                target = f"{name}[0]" if name in self.results else f"{name}[()]"
                write(f"{target} = {scalar}")
                continue
            with write.loops(index, shape):
                write(f"{name}[{', '.join(index)}] = {stripped(self.element(value, index, dtype))}")
        write("return True")
        return "\n".join([headed(function, self.all_names()), *self.docstring(), *write.lines, ""])

    def all_names(self) -> list[str]:
        """The parameters of the function: inputs, results, and memory to work in."""
        return [
            *(self.name[v] for v in self.parameters),
            *self.results,
            *(self.name[v] for v in self.in_memory),
            *self.workers,
        ]

    @property
    def workers(self) -> tuple[str, ...]:
        """The parameters that say who multiplies matrices."""
        return ("team", "threads") if any(step.name == "matmul" for step in self.program.steps) else ()

    def source_of_many(self, function: str, many: str) -> str:
        """A function that calls this one for batch after batch, each a part of larger arrays."""
        given = []
        for v in self.parameters:
            part = "[k]" if v.shape else "[k : k + 1]"
            given.append(self.name[v] + (part if self.is_argument(v) else ""))
        for name, v in zip(self.results, self.program.outputs, strict=True):
            given.append(name + ("[k]" if v.shape else "[k : k + 1]"))
        given += [*(self.name[v] for v in self.in_memory), *self.workers]
        write = Writer()
        write(
            f'"""{function} for each of `count` batches, the k-th part of what is given. Gives how many were done."""'
        )
        with write.loop("k", "count"):
            for line in wrapped_call("done", function, given):
                write(line)
            with write.block("if not done:"):
                write("return k")
        write("return count")
        return "\n".join([headed(many, ["count", *self.all_names()]), *write.lines, ""])

    def docstring(self) -> list[str]:
        """What the generated function says of its parameters."""
        lines = [f'    """{self.title}', ""]
        width = max((len(n) for n in (*self.name.values(), *self.results)), default=0)
        for v in self.parameters:
            lines.append(f"    {self.name[v]:{width}}  {shown(v)}")
        for name, v in zip(self.results, self.program.outputs, strict=True):
            lines.append(f"    {name:{width}}  {shown(v)}, written")
        for v in self.in_memory:
            lines.append(f"    {self.name[v]:{width}}  {shown(v)}, in buffer {self.buffer[v]}")
        if self.workers:
            lines.append(f"    {'team, threads':{width}}  who multiplies matrices")
        return [*lines, '    """']

    def comment(self, write: Writer, nest: Nest) -> None:
        """The user's lines that the nest comes from."""
        seen: dict[str, None] = {}
        for v in nest.values:
            for step in self.steps_behind(v):
                if step.site is None:  # a copy that nobody has written
                    continue
                line = describe(step.back or step.site)
                seen[("back through " if step.back is not None else "") + line] = None
        lines = list(seen)[:3]
        if lines != self.last_comment:
            write()
            for line in lines:
                write(f"# {line}")
        self.last_comment = lines

    def steps_behind(self, v: Value) -> Iterable[Step]:
        """The steps that are written out where v is computed."""
        yield v.step
        for x in v.step.inputs:
            if isinstance(x, Value) and x.step is not None and x not in self.named:
                yield from self.steps_behind(x)

    def write_nest(self, write: Writer, nest: Nest) -> None:
        """Its loops. All is computed before anything is stored: a value may be stored where another is read."""
        index = self.here = index_for(nest.shape)
        self.local = {}
        several = len(nest.values) > 1
        stores = []
        with write.loops(index, nest.shape):
            for v in nest.values:
                text = self.expression(v)
                place: Any = self.aliases.get(v, v)
                name = self.name[place]
                if not v.shape:
                    write(f"{self.name[v]} = {text}")
                    self.local[v] = self.name[v]
                    if v in self.aliases:
                        stores.append((f"{name}[()]", self.name[v]))
                    continue
                stored = v in self.aliases or v in self.result_of or v in self.buffer
                if not several:
                    write(f"{name}[{', '.join(index)}] = {text}")
                    continue
                variable = f"{self.name[v]}_{''.join(i for i in index if i != '0') or 'x'}"
                write(f"{variable} = {text}")
                self.local[v] = variable
                if stored:
                    stores.append((f"{name}[{', '.join(index)}]", variable))
            for target, variable in stores:
                write(f"{target} = {variable}")
        self.local = {}


def headed(function: str, parameters: list[str]) -> str:
    """The first lines of a function."""
    line = f"def {function}({', '.join(parameters)}):"
    if len(line) <= 100:
        return line
    return "\n".join([f"def {function}(", *("    " + line for line in filled(parameters)), "):"])


def wrapped_call(result: str, function: str, arguments: list[str]) -> list[str]:
    """The lines of a call."""
    line = f"{result} = {function}({', '.join(arguments)})"
    if len(line) <= 92:
        return [line]
    return [f"{result} = {function}(", *("    " + line for line in filled(arguments)), ")"]


def filled(items: list[str]) -> list[str]:
    """Items and commas in lines that are not too long."""
    lines = [""]
    for item in items:
        if len(lines[-1]) + len(item) > 90:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + item + ","
    return lines


def shown(v: Any) -> str:
    """A value's dtype and shape: `float32 64 x 784`."""
    return f"{v.dtype} {' x '.join(map(str, v.shape)) or 'number'}"
