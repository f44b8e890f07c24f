"""What follows a product of matrices, done by the kernel while the numbers are still in registers: a bias,
relu, its gradient, a step of the optimiser."""

from __future__ import annotations

from typing import Any

import numpy as np

from .program import Number, Value


def join(gen, nest, finals: dict) -> None:
    """If a nest only goes on with a product that nobody else reads, let the product's kernel do it."""
    if nest.block or len(nest.values) != 1 or len(nest.shape) != 2 or nest not in gen.nests:
        return
    (v,) = nest.values
    k = gen.nests.index(nest)
    for before in range(k - 1, -1, -1):
        block = gen.nests[before]
        y = block.values[0]
        if block.block and y in nest.reads and y.step.name == "matmul" and len(y.shape) == 2:
            break
    else:
        return
    between = gen.nests[before + 1 : k + 1]
    kept = {*gen.program.outputs, *gen.program.assumptions, *(value for _, value in gen.program.writes)}
    if y in kept or any(y in other.reads for other in gen.nests if other is not nest and other is not block):
        return
    if any(finals.get(value) in block.reads for other in between for value in other.values):
        return  # an operand is overwritten meanwhile
    if str(y.dtype) not in ("float32", "float64"):
        return
    found = with_bias(gen, v, y) or with_gate(gen, v, y) or descent(gen, v, y, finals, k)
    if found is None:
        return
    name, operand, turned = found
    a, b = y.step.inputs

    def write(gen, write):
        left, right = gen.array(a), gen.array(b)
        if turned:
            left, right = f"{right}.T", f"{left}.T"
        extra = gen.element(operand, ()) if name == "matmul_descend" else gen.array(operand)
        extra = f"{extra}, " if operand is not None else ""
        write(f"{name}({left}, {right}, {extra}{gen.array_of(v)}, team, threads)")

    nest.block, nest.write, nest.reads = True, write, {}
    gen.reading = nest.reads
    write(gen, lambda text: None)
    nest.reads.pop(v, None)
    gen.reading = None
    gen.nests.remove(block)
    gen.named.discard(y)


def with_bias(gen, v: Value, y: Value) -> tuple | None:
    """y + bias, or relu of it."""
    name, step = "matmul_bias", v.step
    if step.name == "relu":
        name, inner = "matmul_bias_relu", step.inputs[0]
        if not is_formula(gen, inner, "add"):
            return None
        step = inner.step
    if step.name != "add" or y not in step.inputs:
        return None
    bias = step.inputs[1] if step.inputs[0] is y else step.inputs[0]
    if not isinstance(bias, Value) or bias.shape != y.shape[1:] or bias.dtype != y.dtype:
        return None
    return (name, bias, False) if in_order(gen, bias) else None


def with_gate(gen, v: Value, y: Value) -> tuple | None:
    """y where h is not 0, else 0."""
    if v.step.name != "where":
        return None
    condition, kept, other = v.step.inputs
    if kept is not y or not is_zero(other):
        return None
    if not is_formula(gen, condition, "ne") or not is_zero(condition.step.inputs[1]):
        return None
    h = condition.step.inputs[0]
    if not isinstance(h, Value) or h.shape != y.shape or h.dtype != y.dtype:
        return None
    return ("matmul_gate", h, False) if in_order(gen, h) else None


def descent(gen, v: Value, y: Value, finals: dict, k: int) -> tuple | None:
    """p - rate * y, which is written where p is."""
    target = finals.get(v)
    if v.step.name != "sub" or target is None or v.step.inputs[0] is not target:
        return None
    change = v.step.inputs[1]
    if not is_formula(gen, change, "mul"):
        return None
    rate, d = change.step.inputs
    turned = d is not y and is_formula(gen, d, "permute")
    if turned:
        d = d.step.inputs[0]
    if d is not y or not isinstance(rate, (Value, Number)) or rate.shape != ():
        return None
    if not in_order(gen, target) or target in y.step.inputs:
        return None
    if any(target in nest.reads for nest in gen.nests[k + 1 :]) or target in gen.program.outputs:
        return None
    if any(target in gen.reads_of(value) for _, value in gen.program.writes if value not in gen.named):
        return None
    gen.aliases[v] = target
    return "matmul_descend", rate, turned


def is_formula(gen, x: Any, name: str) -> bool:
    """Is it made by a step of this name, and written out where it is read?"""
    return isinstance(x, Value) and x not in gen.named and x.step is not None and x.step.name == name


def in_order(gen, x: Value) -> bool:
    """Is it in memory, row by row?"""
    if x.step is not None:
        return x in gen.named
    return x.example is None or x.example.flags.c_contiguous


def is_zero(x: Any) -> bool:
    """Is it a 0, of any dtype?"""
    number = x.value if isinstance(x, Number) else x
    return isinstance(number, (int, float, np.number)) and not isinstance(number, bool) and number == 0
