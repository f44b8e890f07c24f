"""Operations with deliberate mistakes, and a small engine that can make some of its own."""

from __future__ import annotations

import numpy as np

from autodiff import ops
from autodiff.graph import Variable
from autodiff.ops.contractions import product, swapped
from autodiff.ops.reductions import kept_dim
from autodiff.ops.shapes import permuted
from autodiff.primitive import elementwise, general, joint, linear_map, multilinear

HIDDEN = {"listed": False}  # not in the table of operations


def raw(x):
    """What is behind x, unrecorded: the mistake that makes a second derivative wrong."""
    return x.array if isinstance(x, Variable) else x


def put_back(g, index, x_shape):
    """The adjoint of indexing with `=` for `+=`."""
    y = np.zeros(x_shape, raw(g).dtype)
    y[index] = raw(g)
    return type(g).wrap(y) if isinstance(g, Variable) else y


def to_all(g, y, x, dim):
    """The whole gradient to every element that equals the maximum."""
    return kept_dim(g, x.shape, dim) * ops.elementwise.as_number(x == kept_dim(y, x.shape, dim))


def doubled_in_place(g):
    array = raw(g)
    if array.flags.writeable:
        array *= 2
    return g


noise = np.random.default_rng(0)

# fmt: off
sign = elementwise("wrong_sign", np.sin, lambda x: -ops.cos(x), to_float=True, **HIDDEN)
factor = elementwise("wrong_factor", np.square, lambda x: x, **HIDDEN)
constant_missing = elementwise("wrong_term", np.expm1, lambda y: y, to_float=True, **HIDDEN)
tanh = elementwise("wrong_tanh", np.tanh, lambda y: 1 - y, to_float=True, **HIDDEN)
no_cotangent = elementwise("wrong_cotangent", np.exp, lambda g, y: y + 0 * g, to_float=True, **HIDDEN)
exchanged = elementwise("wrong_operand", np.multiply, lambda a: a, lambda b: b, **HIDDEN)
float32 = elementwise("wrong_precision", np.sin, lambda x: ops.cos(x.astype(np.float32) if isinstance(x, np.ndarray) else x),
                      to_float=True, **HIDDEN)
nan = elementwise("wrong_branch", lambda x: np.where(x > 0, np.sqrt(np.abs(x)), 0.0), lambda g, x: g * (x > 0) / (2 * ops.sqrt(x)), **HIDDEN)
nothing = elementwise("wrong_zero", np.sin, lambda g: 0 * g, to_float=True, **HIDDEN)
transposed = linear_map("wrong_transpose", lambda x: x.T, lambda g: g, **HIDDEN)
inverse = linear_map("wrong_permutation", lambda x, *, dims: np.transpose(x, dims), lambda g, dims: permuted(g, dims=dims), **HIDDEN)
matmul = multilinear("wrong_matmul", np.matmul, lambda g, b: product(g, b), lambda g, a: product(swapped(a), g), **HIDDEN)
repeated = linear_map("wrong_index", lambda x, index: x[index], lambda g, index, x_shape: put_back(g, index, x_shape), inputs="x index", **HIDDEN)
ties = general("wrong_amax", lambda x, *, dim=None: np.max(x, dim), to_all, promotes=False, **HIDDEN)
tangent = general("wrong_jvp", np.sin, lambda g, x: g * ops.cos(x), jvp=lambda t, x: 2 * t * ops.cos(x), **HIDDEN)
held = elementwise("wrong_second", np.square, lambda g, x: g * (2 * raw(x)), **HIDDEN)
together = joint("wrong_joint", np.multiply, lambda wanted, g, a, b: (g * b * (1 if all(wanted) else 2), g * a), "a b", **HIDDEN)
writes = linear_map("wrong_write", lambda x: 2 * x, doubled_in_place, **HIDDEN)
overwrites = linear_map("wrong_forward", lambda x: np.multiply(x, 2, out=x) if x.flags.writeable else 2 * x, lambda g: 2 * g, **HIDDEN)
random_rule = elementwise("wrong_noise", np.sin, lambda g, x: g * ops.cos(x) * (1 + 1e-12 * noise.random()), to_float=True, **HIDDEN)
memory_order = linear_map("wrong_order", lambda x: x.ravel("K"), lambda g, x_shape: ops.reshape(g, *x_shape), **HIDDEN)
float_literal = elementwise("wrong_literal", np.square, lambda x: 2.0 * x, **HIDDEN)
# fmt: on


class Number(np.ndarray):
    """A value of the small engine: an array with a gradient and a way back."""

    wants, gradient, sources = False, None, ()


class Small:
    """An engine of a few lines: reverse mode for + and ·, arrays of one shape; `mistake` is one of
    overwrites, aliases, keeps, double, integers, wide."""

    name, abilities = "small", frozenset()

    def __init__(self, mistake: str = ""):
        self.mistake = mistake
        self.functions = {"add": self.add, "mul": self.mul}

    def variable(self, array):
        x = array.copy().view(Number)
        x.wants = True
        return x

    def constant(self, array):
        x = np.array(array).view(Number)
        x.wants = self.mistake == "integers"
        return x

    def array(self, value):
        return np.asarray(value)

    def tracked(self, value):
        return value.wants or bool(value.sources)

    def add(self, a, b):
        y = (np.asarray(a) + np.asarray(b)).view(Number)
        y.sources = ((a, lambda g: g), (b, lambda g: g))
        return y

    def mul(self, a, b):
        y = (np.asarray(a) * np.asarray(b)).view(Number)
        pairs = ((a, lambda g: g * np.asarray(b)), (b, lambda g: g * np.asarray(a)))
        y.sources = pairs[: 1 if self.mistake == "double" and a is b else 2]  # a set has no double edge
        return y

    def backward(self, outputs, cotangents):
        for y, g in zip(outputs, cotangents, strict=True):
            self.spread(y, g)

    def spread(self, y, g):
        for x, pull in y.sources:
            self.spread(x, pull(g))
        if y.wants:
            new = g.astype(np.float64 if self.mistake == "wide" else y.dtype, copy=False)
            if y.gradient is None or self.mistake == "overwrites":
                y.gradient = new if self.mistake == "aliases" else np.array(new)
            else:
                y.gradient = y.gradient + new * (2 if self.mistake == "keeps" else 1)

    def gradient(self, variable):
        return variable.gradient
