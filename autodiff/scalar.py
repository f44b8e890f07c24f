"""Value: reverse-mode differentiation of numbers, the whole idea in one sitting.

A Value is a number that remembers the operation it came from. Each operation writes down, beside
its result, the derivative by each operand; `backward` walks the operations in reverse and adds up
the products, which is the chain rule.

    >>> x, y = Value(3.0), Value(2.0)
    >>> z = x * y + x ** 2
    >>> z.backward()
    >>> x.grad, y.grad          # ∂z/∂x = y + 2x,  ∂z/∂y = x
    (8.0, 3.0)
"""

from __future__ import annotations

import math
from numbers import Real

from .graph import Leaf, Node, Variable, backpropagate
from .memory import clock
from .provenance import call_site

Number = int | float


class Step:
    """The primitive of every node here: what a node saves is ∂result/∂operand, a number for each operand."""

    name = "step"

    def pull(self, node, g, sources):
        return [None if s is None else g * d for s, d in zip(sources, node.saved, strict=True)]

    def arrays_saved_by(self, node):
        return ()  # numbers cannot be changed from outside


STEP = Step()


class Value(Variable):
    """A number in a graph."""

    __slots__ = ("data",)

    def __init__(self, data: Number):
        if not isinstance(data, Real):
            raise TypeError(f"a Value is a number, not {type(data).__name__}: for arrays there is Tensor")
        self.data = data
        self.origin = Leaf((), float)

    @classmethod
    def computed(cls, data: Number, operands: tuple[Value, ...], derivatives: tuple) -> Value:
        """The result of an operation, with its derivative by each operand."""
        node = Node()
        node.primitive, node.saved = STEP, derivatives
        node.sources = tuple(operand.origin for operand in operands)
        node.shape, node.dtype, node.stop = (), float, None
        node.site, node.time = call_site(), clock.tick()
        result = cls.__new__(cls)
        result.data, result.origin = data, node
        return result

    @property
    def array(self):  # which functions of Tensors ask for
        raise AttributeError("functions of Tensors take no Value: write x.exp() or x * 2, or make a Tensor")

    # ---- the operations: the result, and its derivative by each operand -------------------------

    def __add__(self, other):
        other = lifted(other)
        return Value.computed(self.data + other.data, (self, other), (1, 1))

    def __mul__(self, other):
        other = lifted(other)
        return Value.computed(self.data * other.data, (self, other), (other.data, self.data))

    def __truediv__(self, other):
        other = lifted(other)
        y = self.data / other.data
        return Value.computed(y, (self, other), (1 / other.data, -y / other.data))

    def __pow__(self, other):
        a, b = self.data, lifted(other).data
        y = a**b
        if isinstance(y, complex):
            raise ValueError(f"({a}) ** {b} is not a real number")
        by_base = b * a ** (b - 1) if b != 0 else 0
        if not isinstance(other, Value):
            return Value.computed(y, (self,), (by_base,))
        by_exponent = y * math.log(a) if a > 0 else 0 if a == 0 and b >= 0 else math.nan
        return Value.computed(y, (self, other), (by_base, by_exponent))

    def relu(self):
        return Value.computed(max(self.data, 0), (self,), (1 if self.data > 0 else 0,))

    def tanh(self):
        y = math.tanh(self.data)
        return Value.computed(y, (self,), (1 - y * y,))

    def exp(self):
        y = math.exp(self.data)
        return Value.computed(y, (self,), (y,))

    def log(self):
        return Value.computed(math.log(self.data), (self,), (1 / self.data,))

    # ---- made of these --------------------------------------------------------------------------

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + -lifted(other)

    def __radd__(self, other):
        return lifted(other) + self

    def __rsub__(self, other):
        return lifted(other) - self

    def __rmul__(self, other):
        return lifted(other) * self

    def __rtruediv__(self, other):
        return lifted(other) / self

    def __rpow__(self, other):
        return lifted(other) ** self

    # ---- the gradient ---------------------------------------------------------------------------

    @property
    def grad(self) -> Number:
        """∂(what backward was called on) / ∂self, added up; 0 before."""
        stop = self.origin.stop
        return 0 if stop is None or stop.grad is None else stop.grad

    @grad.setter
    def grad(self, number: Number):
        if self.origin.stop is not None:
            self.origin.stop.grad = number

    def backward(self) -> None:
        """For each Value that self was made from, add ∂self/∂value to its `grad`. The graph may be walked
        again: what a Value saves is not released."""
        for origin, g in backpropagate([self.origin], [1]).items():
            origin.stop.grad = g if origin.stop.grad is None else origin.stop.grad + g

    def __repr__(self):
        return f"Value(data={self.data}, grad={self.grad})"


def lifted(x: Value | Number) -> Value:
    """x as a Value."""
    return x if isinstance(x, Value) else Value(x)
