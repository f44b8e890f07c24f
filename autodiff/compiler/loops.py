"""Primitives that have loops of their own: reductions, softmax and its kin, products of matrices, and
what puts elements into a larger array. And those that find an element in a way of their own.

A loop is written in three parts: over what it keeps, over what it takes together, and what it does at
each place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
from typing import Any, NamedTuple

from ..ops.indexing import ARRAY
from .formulas import LETTERS, Index, broadcast, crop, index_for, literal, plus, taken
from .program import Step, Value

SHORT = 8  # NumPy adds up to this many numbers one after the other, more in pairs


class Loop(NamedTuple):
    """How a primitive with loops of its own is written: write(gen, write, step), and which of the step's inputs must
    be in memory for that, not formulas."""

    write: Callable
    in_memory: Callable = lambda step: ()


table: dict[str, Loop] = {}  # by the name of the primitive
places: dict[str, Callable] = {}  # the text of an element: (gen, step, which output, index) → text


def loop(name: str, in_memory: Callable = lambda step: ()):
    """Enter a function in `table`."""

    def enter(write):
        table[name] = Loop(write, in_memory)
        return write

    return enter


def place(name: str):
    """Enter a function in `places`."""

    def enter(text):
        places[name] = text
        return text

    return enter


def reduced(dim: Any, rank: int) -> tuple[int, ...]:
    """The dimensions of a reduction, from the front."""
    if dim is None:
        return tuple(range(rank))
    dims = dim if isinstance(dim, tuple) else (dim,)
    return tuple(sorted({d % rank for d in dims})) if rank else ()


def first_value(step: Step) -> list:
    """The first input: what many loops need in memory, for they read it more than once."""
    return [step.inputs[0]]


# ---- reductions ---------------------------------------------------------------------------------------


class Reduction:
    """The indices of a reduction: of the operand, of the result, which loops it keeps, which it adds up."""

    def __init__(self, step: Step, dims: tuple):
        x, y = step.inputs[0], step.outputs[0]
        self.x, self.y, self.shape = x, y, x.shape
        self.index = index_for(x.shape)
        self.dims = dims
        self.kept = [d for d in range(len(x.shape)) if d not in dims]
        if len(y.shape) == len(x.shape):
            self.result: Index = tuple("0" if d in dims else i for d, i in enumerate(self.index))
        else:
            self.result = tuple(self.index[d] for d in self.kept)

    def over_kept(self, write):
        """Loops over the dimensions that stay."""
        return write.loops([self.index[d] for d in self.kept], [self.shape[d] for d in self.kept])

    def over_reduced(self, write):
        """Loops over the dimensions that are taken together."""
        return write.loops([self.index[d] for d in self.dims], [self.shape[d] for d in self.dims])

    @property
    def inner(self) -> bool:
        """Are the last dimensions, and only they, taken together?"""
        large = [d for d in range(len(self.shape)) if self.shape[d] != 1]
        taken_away = [d for d in large if d in self.dims]
        return not taken_away or taken_away == large[len(large) - len(taken_away) :]

    @property
    def count(self) -> int:
        """How many elements are taken together."""
        return math.prod(self.shape[d] for d in self.dims)


def sum_dims(step: Step) -> tuple:
    """The dimensions that a `sum`, or a `sum_to`, takes together."""
    x = step.inputs[0]
    if step.name == "sum_to":
        to = step.options["to"]
        extra = len(x.shape) - len(to)
        return tuple(d for d in range(len(x.shape)) if d < extra or (to[d - extra] == 1 and x.shape[d] != 1))
    return reduced(step.options["dim"], len(x.shape))


def in_pairs(step: Step) -> bool:
    """Does NumPy add in pairs here? So that the last bits agree, so do we."""
    x = step.inputs[0]
    if not isinstance(x, Value) or step.outputs[0].dtype.kind != "f":
        return False
    r = Reduction(step, sum_dims(step))
    return r.inner and r.count >= SHORT


def sum_operand(step: Step):
    return first_value(step) if in_pairs(step) else ()


def write_sum(gen, write, step):
    x, y = step.inputs[0], step.outputs[0]
    r = Reduction(step, sum_dims(step)) if step.name == "sum" else sum_to(step)
    zero = literal(0, y.dtype)
    if in_pairs(step):
        add = "sum_in_pairs" if r.count > 128 else "sum_in_eights"
        if not r.kept or math.prod(r.shape[d] for d in r.kept) == 1:
            name = gen.array(x) if len(x.shape) == 1 else f"{gen.array(x)}.reshape({x.size})"
            write(f"{gen.at(y, r.result)} = {add}({name})")
            return
        base = gen.array(x)
        rank = len(r.kept)
        with r.over_kept(write):
            part = f"{base}[{', '.join(r.index[:rank])}]" if r.kept == list(range(rank)) else None
            if part is None:  # dimensions of size 1 in between
                part = f"{base}[{', '.join(':' if d in r.dims else i for d, i in enumerate(r.index))}]"
            if len(r.dims) > 1:
                part += f".reshape({r.count})"
            write(f"{gen.at(y, r.result)} = {add}({part})")
        return
    if r.inner or not y.shape:
        with r.over_kept(write):
            write(f"total = {zero}")
            with r.over_reduced(write):
                write(f"total += {gen.element(x, r.index, y.dtype)}")
            write(f"{gen.at(y, r.result)} = total")
        return
    fill(gen, write, y, zero)
    with write.loops(r.index, r.shape):
        write(f"{gen.at(y, r.result)} += {gen.element(x, r.index, y.dtype)}")


def sum_to(step: Step) -> Reduction:
    """The indices of a `sum_to`, which may drop leading dimensions."""
    r = Reduction(step, sum_dims(step))
    extra = len(r.shape) - len(r.y.shape)
    r.result = tuple("0" if n == 1 else r.index[extra + d] for d, n in enumerate(r.y.shape))
    return r


def fill(gen, write, y: Value, text: str) -> None:
    """The same number everywhere."""
    if y.shape:
        write(f"{gen.array(y)}[...] = {text}")
    else:
        write(f"{gen.at(y, ())} = {text}")


table["sum"] = Loop(write_sum, sum_operand)
table["sum_to"] = Loop(write_sum, sum_operand)


def folding(start: Callable, combine: str):
    """A reduction that goes through the elements one by one."""

    def write_fold(gen, write, step):
        x, y = step.inputs[0], step.outputs[0]
        r = Reduction(step, reduced(step.options["dim"], len(x.shape)))
        with r.over_kept(write):
            write(f"total = {start(gen, x, y, r)}")
            with r.over_reduced(write):
                write(f"total = {combine.format(x=gen.element(x, r.index, y.dtype))}")
            write(f"{gen.at(y, r.result)} = total")

    return write_fold


def first_element(gen, x, y, r: Reduction) -> str:
    """The first of the elements that are taken together."""
    return gen.element(x, tuple("0" if d in r.dims else i for d, i in enumerate(r.index)), y.dtype)


table["amax"] = Loop(folding(first_element, "maximum(total, {x})"))
table["amin"] = Loop(folding(first_element, "minimum(total, {x})"))
table["prod"] = Loop(folding(lambda gen, x, y, r: literal(1, y.dtype), "total * {x}"))
table["all"] = Loop(folding(lambda *_: "True", "total and {x}"))
table["any"] = Loop(folding(lambda *_: "False", "total or {x}"))


def write_argument(better: str):
    """The number of the first element that is `better` than all others, or of the first NaN."""

    def write_place(gen, write, step):
        x, y = step.inputs[0], step.outputs[0]
        r = Reduction(step, reduced(step.options["dim"], len(x.shape)))
        number, stride = "", 1
        for d in reversed(r.dims):
            if r.shape[d] != 1:
                term = r.index[d] if stride == 1 else f"{r.index[d]} * {stride}"
                number = f"{term} + {number}" if number else term
            stride *= r.shape[d]
        with r.over_kept(write):
            write(f"best = {first_element(gen, x, x, r)}")
            write("where = 0")
            with r.over_reduced(write):
                write(f"candidate = {gen.element(x, r.index)}")
                with write.block(f"if candidate {better} best or (candidate != candidate and best == best):"):
                    write("best = candidate")
                    write(f"where = {number or '0'}")
            write(f"{gen.at(y, r.result)} = where")

    return write_place


table["argmax"] = Loop(write_argument(">"), first_value)
table["argmin"] = Loop(write_argument("<"), first_value)


@loop("in_range")
def write_in_range(gen, write, step):
    x, y = step.inputs[0], step.outputs[0]
    low, high = (literal(step.options[k], x.dtype) for k in ("low", "high"))
    index = index_for(x.shape)
    write(f"{gen.name[y]} = True")
    with write.loops(index, x.shape):
        text = gen.element(x, index)
        with write.block(f"if not ({low} <= {text} <= {high}):"):
            write(f"{gen.name[y]} = False")


def write_running(start: int, sign: str, exclusive: bool = False):
    """Running sums or products, each with its own element, or `exclusive`, without it."""

    def write_accumulation(gen, write, step):
        x, y = step.inputs[0], step.outputs[0]
        index, d = index_for(x.shape), step.options["dim"] % len(x.shape)
        others = [k for k in range(len(x.shape)) if k != d]
        with write.loops([index[k] for k in others], [x.shape[k] for k in others]):
            write(f"total = {literal(start, y.dtype)}")
            with write.loops([index[d]], [x.shape[d]]):
                if exclusive:
                    write(f"{gen.at(y, index)} = total")
                write(f"total {sign}= {gen.element(x, index, y.dtype)}")
                if not exclusive:
                    write(f"{gen.at(y, index)} = total")

    return write_accumulation


table["cumsum"] = Loop(write_running(0, "+"))
table["cumprod"] = Loop(write_running(1, "*"))
table["exclusive_cumprod"] = Loop(write_running(1, "*", exclusive=True))


# ---- softmax and its kin ----------------------------------------------------------------------------------


def write_top(gen, write, r: Reduction) -> None:
    """The largest element, by which all are shifted, so that no exponential overflows."""
    write(f"top = {literal(-math.inf, r.x.dtype)}")
    with r.over_reduced(write):
        write(f"top = maximum(top, {gen.element(r.x, r.index)})")


def write_total(gen, write, r: Reduction) -> None:
    """Σ exp(x − top)."""
    write(f"total = {literal(0, r.x.dtype)}")
    with r.over_reduced(write):
        write(f"total += exp({gen.element(r.x, r.index)} - top)")


@loop("softmax", first_value)
def write_softmax(gen, write, step):
    r = Reduction(step, reduced(step.options["dim"], len(step.inputs[0].shape)))
    y = gen.at(r.y, r.index)
    with r.over_kept(write):
        write_top(gen, write, r)
        write(f"total = {literal(0, r.x.dtype)}")
        with r.over_reduced(write):
            write(f"power = exp({gen.element(r.x, r.index)} - top)")
            write(f"{y} = power")
            write("total += power")
        with r.over_reduced(write):
            write(f"{y} /= total")


@loop("log_softmax", first_value)
def write_log_softmax(gen, write, step):
    r = Reduction(step, reduced(step.options["dim"], len(step.inputs[0].shape)))
    with r.over_kept(write):
        write_top(gen, write, r)
        write_total(gen, write, r)
        write("total = log(total)")
        with r.over_reduced(write):
            write(f"{gen.at(r.y, r.index)} = {gen.element(r.x, r.index)} - top - total")


@loop("logsumexp", first_value)
def write_logsumexp(gen, write, step):
    r = Reduction(step, reduced(step.options["dim"], len(step.inputs[0].shape)))
    with r.over_kept(write):
        write_top(gen, write, r)
        with write.block("if isinf(top):"):
            write(f"top = {literal(0, r.x.dtype)}")
        write_total(gen, write, r)
        write(f"{gen.at(r.y, r.result)} = log(total) + top")


@loop("cross_entropy", first_value)
def write_cross_entropy(gen, write, step):
    x, target = step.inputs
    y = step.outputs[0]
    r = Reduction(step, (1,))
    rest = r.result = indices_of_rest(r.index)
    with r.over_kept(write):
        write_top(gen, write, r)
        write_total(gen, write, r)
        chosen = (r.index[0], gen.element(target, rest), *r.index[2:])
        write(f"{gen.at(y, r.result)} = log(total) - ({gen.element(x, chosen)} - top)")


def indices_of_rest(index: Index) -> Index:
    """The index without that of the class, in dimension 1."""
    return tuple(i for d, i in enumerate(index) if d != 1)


# ---- products -----------------------------------------------------------------------------------------------


@loop("matmul", lambda step: list(step.inputs))
def write_matmul(gen, write, step):
    a, b = step.inputs
    y = step.outputs[0]
    batch = y.shape[:-2]
    index = index_for(batch)
    with write.loops(index, batch):
        texts = []
        for v in (a, b, y):
            name = gen.array(v)
            if len(v.shape) > 2:
                name += f"[{', '.join(broadcast(index, v.shape[:-2]))}]"
            texts.append(name)
        write(f"matmul({', '.join(texts)}, team, threads)")


@loop("einsum")
def write_einsum(gen, write, step):
    y = step.outputs[0]
    left, output = step.options["equation"].split("->")
    terms = left.split(",")
    size = {
        c: n for term, x in zip(terms, step.inputs, strict=True) for c, n in zip(term, x.shape, strict=True)
    }
    letter = {
        c: LETTERS[k] if size[c] != 1 else "0"
        for k, c in enumerate([*output, *(c for c in size if c not in output)])
    }
    summed = [c for c in size if c not in output]
    with write.loops([letter[c] for c in output], [size[c] for c in output]):
        write(f"total = {literal(0, y.dtype)}")
        with write.loops([letter[c] for c in summed], [size[c] for c in summed]):
            factors = [
                gen.element(x, tuple(letter[c] for c in term), y.dtype)
                for term, x in zip(terms, step.inputs, strict=True)
            ]
            write(f"total += {' * '.join(factors)}")
        write(f"{gen.at(y, tuple(letter[c] for c in output))} = total")


# ---- elements put into a larger array --------------------------------------------------------------------------


def advanced(gen, index: Index, step: Step, shape: tuple) -> Index:
    """Where in an array of this shape the element lies that a `take` by the step's template and index arrays puts at
    `index`. Arrays and integers are broadcast together, and their dimensions stand where NumPy puts them."""
    template, arrays = step.options["template"], step.inputs[1:]
    if not arrays:
        return taken(index, shape, template=template)
    entries = list(template if Ellipsis in template else (*template, Ellipsis))
    used = sum(e is not None and e is not Ellipsis for e in entries)
    k = entries.index(Ellipsis)
    entries[k : k + 1] = [slice(None)] * (len(shape) - used)
    fancy = [p for p, e in enumerate(entries) if e is ARRAY or isinstance(e, int)]
    together = fancy == list(range(fancy[0], fancy[-1] + 1))
    rank = max(len(a.shape) for a in arrays)
    before = sum(not isinstance(e, int) and e is not ARRAY for e in entries[: fancy[0]]) if together else 0
    block = index[before : before + rank]
    rest = (*index[:before], *index[before + rank :])
    texts, simple, d, source = [], [], 0, iter(arrays)
    for e in entries:
        if e is None:
            simple.append(None)
        elif e is ARRAY:
            a = next(source)
            texts.append(f"wrapped({gen.element(a, broadcast(block, a.shape))}, {shape[d]})")
            simple.append(ARRAY)
            d += 1
        elif isinstance(e, int):
            texts.append(str(e % shape[d]))
            simple.append(ARRAY)
            d += 1
        else:
            simple.append(e)
            d += 1
    return taken(rest, shape, template=tuple(simple), arrays=texts)


@loop("add_back")
def write_add_back(gen, write, step):
    x, y = step.inputs[0], step.outputs[0]
    fill(gen, write, y, literal(0, y.dtype))
    index = index_for(x.shape)
    to = advanced(gen, index, step, step.options["to"])
    with write.loops(index, x.shape):
        write(f"{gen.at(y, to)} {'+=' if step.inputs[1:] else '='} {gen.element(x, index)}")


@loop("scatter_sum")
def write_scatter_sum(gen, write, step):
    x, where = step.inputs
    y = step.outputs[0]
    fill(gen, write, y, literal(0, y.dtype))
    index, dim = index_for(where.shape), step.options["dim"]
    to = (*index[:dim], gen.element(where, index), *index[dim + 1 :])
    with write.loops(index, where.shape):
        write(f"{gen.at(y, to)} += {gen.element(x, index)}")


@loop("put", lambda step: [step.inputs[2]])
def write_put(gen, write, step):
    x, v, positions = step.inputs
    y = step.outputs[0]
    index = index_for(y.shape)
    with write.loops(index, y.shape):
        write(f"{gen.at(y, index)} = {gen.element(x, index, y.dtype)}")
    index = index_for(positions.shape)
    with write.loops(index, positions.shape):
        flat = (
            f"{gen.array(y)}.reshape({y.size})[{gen.element(positions, index)}]" if y.shape else gen.at(y, ())
        )
        write(f"{flat} = {gen.element(v, index, y.dtype)}")


def putting(where: Callable):
    """Zeros, with the operand's elements at the places that `where` says."""

    def write_into(gen, write, step):
        x, y = step.inputs[0], step.outputs[0]
        fill(gen, write, y, literal(0, y.dtype))
        index = index_for(x.shape)
        with write.loops(index, x.shape):
            write(f"{gen.at(y, where(index, x.shape, **step.options))} = {gen.element(x, index)}")

    return write_into


def on_diagonal(index: Index, shape: tuple, *, offset, dim1, dim2, to) -> Index:
    rank = len(to)
    dim1, dim2, rest = dim1 % rank, dim2 % rank, iter(index[:-1])
    return tuple(
        plus(index[-1], max(-offset, 0))
        if d == dim1
        else plus(index[-1], max(offset, 0))
        if d == dim2
        else next(rest)
        for d in range(rank)
    )


table["pad"] = Loop(putting(crop))  # the same place, from the other side
table["from_diagonal"] = Loop(putting(on_diagonal))


@loop("cat")
def write_cat(gen, write, step):
    y = step.outputs[0]
    dim = step.options["dim"] % len(y.shape)
    for start, x in zip(
        accumulate((x.shape[dim] for x in step.inputs), initial=0), step.inputs, strict=False
    ):
        index = index_for(x.shape)
        to = (*index[:dim], plus(index[dim], start), *index[dim + 1 :])
        with write.loops(index, x.shape):
            write(f"{gen.at(y, to)} = {gen.element(x, index, y.dtype)}")


@loop("stack")
def write_stack(gen, write, step):
    y = step.outputs[0]
    dim = step.options["dim"] % len(y.shape)
    for k, x in enumerate(step.inputs):
        index = index_for(x.shape)
        with write.loops(index, x.shape):
            write(f"{gen.at(y, (*index[:dim], str(k), *index[dim:]))} = {gen.element(x, index, y.dtype)}")


# ---- elements found in a way of their own ---------------------------------------------------------------------------


@place("take")
def element_taken(gen, step, x, index):
    base = step.inputs[0]
    return gen.element(base, advanced(gen, index, step, base.shape))


@place("gather")
def element_gathered(gen, step, x, index):
    base, where = step.inputs
    dim = step.options["dim"]
    return gen.element(base, (*index[:dim], gen.element(where, index), *index[dim + 1 :]))


@place("unbind")
def element_unbound(gen, step, x, index):
    base = step.inputs[0]
    dim = step.options["dim"] % len(base.shape)
    return gen.element(base, (*index[:dim], str(step.outputs.index(x)), *index[dim:]))


@place("split")
def element_of_part(gen, step, x, index):
    dim = step.options["dim"]
    start = step.options["bounds"][step.outputs.index(x)]
    return gen.element(step.inputs[0], (*index[:dim], plus(index[dim], start), *index[dim + 1 :]))


@place("indicator")
def element_of_indicator(gen, step, x, index):
    target = gen.element(step.inputs[0], indices_of_rest(index))
    return f"({literal(1, x.dtype)} if {target} == {index[1]} else {literal(0, x.dtype)})"


def triangle(sign: str):
    """The element where column `sign` row + diagonal holds, else 0."""

    def element_of_triangle(gen, step, x, index):
        row = plus(index[-2], step.options["diagonal"])
        return (
            f"({gen.element(step.inputs[0], index)} if {index[-1]} {sign} {row} else {literal(0, x.dtype)})"
        )

    return element_of_triangle


places["tril"] = triangle("<=")
places["triu"] = triangle(">=")
