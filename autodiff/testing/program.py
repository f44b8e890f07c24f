"""Random programs over the operations: drawn, run, differentiated, and printed as Python.

A program is a list of steps, each on values made before; so values are read again (diamonds), shapes
broadcast, elements are picked and overwritten, and parts are detached, hidden from the graph, or
derivatives themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import creation
from ..graph import no_grad
from ..scalar import Value
from . import blame
from .check import check_gradients
from .engine import OURS
from .report import GradientError
from .strategies import axis, broadcastable, distinct, st

# ---- what a step may be -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A form of step: how it is written, and what it needs."""

    text: (
        str  # Python, over torch's names as `ad`, with {a} and {b} for the operands and {n} for what is drawn
    )
    operands: int = 1
    argument: str = ""  # what is drawn for {n}: "axis", "index", "number", "places"
    least: int = 0  # dimensions of the first operand
    scalar: bool = False  # elementwise, and known to scalar.Value
    smooth: bool = True  # has it no kinks?


KINDS: dict[str, Kind] = {
    "add": Kind("{a} + {b}", 2, scalar=True),
    "sub": Kind("{a} - {b}", 2, scalar=True),
    "mul": Kind("{a} * {b}", 2, scalar=True),
    "divide": Kind("{a} / ({b} * {b} + 1)", 2, scalar=True),
    "square": Kind("{a} ** 2", scalar=True),
    "scale": Kind("{n} * {a}", argument="number", scalar=True),
    "neg": Kind("-{a}", scalar=True),
    "tanh": Kind("{a}.tanh()", scalar=True),
    "exp": Kind("{a}.tanh().exp()", scalar=True),
    "log": Kind("({a} * {a} + 1).log()", scalar=True),
    "sin": Kind("{a}.sin()"),
    "sigmoid": Kind("{a}.sigmoid()"),
    "relu": Kind("{a}.relu()", smooth=False),
    "abs": Kind("{a}.abs()", smooth=False),
    "maximum": Kind("ad.maximum({a}, {b})", 2, smooth=False),
    "where": Kind("ad.where({a} > {b}, {a} * {a}, {b} * {b})", 2, smooth=False),
    "sum": Kind("{a}.sum({n})", argument="axis", least=1),
    "keep": Kind("{a} - {a}.mean({n}, keepdim=True)", argument="axis", least=1),
    "amax": Kind("{a}.amax({n})", argument="axis", least=1, smooth=False),
    "prod": Kind("{a}.prod({n})", argument="axis", least=1),
    "cumsum": Kind("{a}.cumsum({n})", argument="axis", least=1),
    "softmax": Kind("{a}.softmax({n})", argument="axis", least=1),
    "reverse": Kind("{a}.flip({n})", argument="axis", least=1),
    "transpose": Kind("{a}.T", least=2),
    "flatten": Kind("{a}.reshape(-1)"),
    "unsqueeze": Kind("{a}.unsqueeze(0)"),
    "index": Kind("{a}[{n}]", argument="index", least=1),
    "gather": Kind("{a}[{n}]", argument="places", least=1),
    "matmul": Kind("{a} @ {b}.T", 2, least=2),
    "stack": Kind("ad.stack([{a}, {a} * {b}.sum()])", 2),
    "detach": Kind("{a} * held({a})"),
    "no_grad": Kind("{a} + unseen(lambda: {b} * {b})", 2),
    "inner_grad": Kind("ad.grad(lambda v: (v * v * {b}.sum() + v.tanh()).sum())({a})", 2),
    "write": Kind("written({a}, np.s_[{n}], {b}.sum())", 2, argument="index", least=1),
    "add_in_place": Kind("added({a}, np.s_[{n}], {b}.sum())", 2, argument="index", least=1),
}


# ---- a program --------------------------------------------------------------------------------------


@dataclass(repr=False)
class Program:
    """Steps over some inputs; the value is that of the last step and of all that nobody reads."""

    inputs: list[np.ndarray]
    steps: list[tuple[str, tuple[int, ...], Any]] = field(default_factory=list)  # kind, operands, argument

    def text_of(self, k: int) -> str:
        """The right-hand side of step k."""
        kind, operands, argument = self.steps[k]
        names = dict(zip("ab", map(self.name, operands), strict=False))
        return KINDS[kind].text.format(**names, n=written_as(argument))

    def name(self, k: int) -> str:
        n = len(self.inputs)
        return f"x{k}" if k < n else f"v{k - n}"

    @property
    def unread(self) -> list[int]:
        """The steps whose value no other step reads; all of them are the program's value."""
        n = len(self.inputs)
        read = {k for _, operands, _ in self.steps for k in operands}
        return [k for k in range(n, n + len(self.steps)) if k not in read] or [n + len(self.steps) - 1]

    def __call__(self, *xs: Any, held: Callable | None = None, unseen: Callable | None = None) -> Any:
        """All the values that are not read again: one, or a tuple of them."""
        scope = names_used() | ({"held": held, "unseen": unseen} if held else {})
        scope |= {self.name(k): x for k, x in enumerate(xs)}
        for k, code in enumerate(self.compiled()):
            scope[self.name(len(xs) + k)] = eval(code, scope)
        values = [scope[self.name(k)] for k in self.unread]
        return tuple(values) if len(values) > 1 else values[0]

    def compiled(self) -> list:
        if not hasattr(self, "code"):
            self.code = [compile(self.text_of(k), f"<step {k}>", "eval") for k in range(len(self.steps))]
        return self.code

    def reference(self) -> Callable:
        """The same on arrays, for the oracle: what the program detaches or computes unseen is held at
        its value at the inputs, as the gradient takes it to be."""
        kept: list = []
        keep = lambda x: kept.append(np.array(as_array(x))) or x
        self(*map(OURS.constant, self.inputs), held=keep, unseen=lambda f: keep(f()))

        def f(*arrays):
            again = iter(kept)
            frozen = lambda *_: OURS.constant(in_kind(next(again), arrays[0]))
            ys = self(*map(OURS.constant, arrays), held=frozen, unseen=frozen)
            return [y.array for y in (ys if isinstance(ys, tuple) else (ys,))]

        return f

    def source(self) -> str:
        """Python that runs when pasted: it prints the gradients of the sum of all values."""
        lines = ["import numpy as np", "import autodiff as ad"]
        needed = [
            name for name in HELPERS if any(name + "(" in self.text_of(k) for k in range(len(self.steps)))
        ]
        lines += [HELPERS[name] for name in needed]
        lines.append("")
        lines += [f"x{k} = ad.Tensor({blame.literal(x)}).requires_grad_()" for k, x in enumerate(self.inputs)]
        n = len(self.inputs)
        lines += [f"{self.name(n + k)} = {self.text_of(k)}" for k in range(len(self.steps))]
        total = " + ".join(f"{self.name(k)}.sum()" for k in self.unread)
        lines += [f"({total}).backward()", f"print({', '.join(f'x{k}.grad' for k in range(n))})"]
        return "\n".join(lines)

    __repr__ = source  # what Hypothesis shows when it has shrunk one

    @property
    def scalar(self) -> bool:
        """Is it elementwise, of what scalar.Value knows?"""
        return all(KINDS[kind].scalar for kind, *_ in self.steps)

    def check(self, engine: Any = OURS, **options: Any) -> None:
        """All that check_gradients checks of it; and where `Value` can run it, the two agree."""
        reference = self.reference()
        try:
            check_gradients(self, *self.inputs, reference=reference, engine=engine, name="program", **options)
            if self.scalar:
                check_gradients(self, *self.inputs, oracle="value", order=1, checks=["vjp"], engine=engine,
                                name="program against scalar.Value", reference=self.on_values)  # fmt: skip
        except GradientError as error:
            error.report.snippet = self.source()
            raise GradientError(error.report) from None

    def on_values(self, *arrays: np.ndarray) -> list:
        """The program over object arrays of Value, without anything of Tensor."""
        scope = {self.name(k): x for k, x in enumerate(map(Elements, arrays))}
        for k, code in enumerate(self.compiled()):
            scope[self.name(len(arrays) + k)] = eval(code, scope)
        return [scope[self.name(k)].array for k in self.unread]


class Elements(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of Values whose methods are each element's own."""

    def __init__(self, array: Any):
        self.array = np.asarray(array, object)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        plain = [x.array if isinstance(x, Elements) else x for x in inputs]
        return Elements(getattr(ufunc, method)(*plain, **options))

    def each(self, function: Callable) -> Elements:
        result = np.empty(self.array.shape, object)
        for place in np.ndindex(self.array.shape):
            result[place] = function(self.array[place])
        return Elements(result)

    def tanh(self):
        return self.each(Value.tanh)

    def exp(self):
        return self.each(Value.exp)

    def log(self):
        return self.each(Value.log)


# ---- what the texts of the steps call ---------------------------------------------------------------


def held(x):
    """x, as a constant."""
    return x.detach()


def unseen(f):
    """What f gives, outside the graph."""
    with no_grad():
        return f()


def written(x, index, value):
    """x with one place overwritten."""
    y = x * 1
    y[index] = value
    return y


def added(x, index, value):
    """x with something added to a part, through a view of it."""
    y = x * 1
    y[index] += value
    return y


HELPERS = {
    "held": "held = lambda x: x.detach()",
    "unseen": "unseen = ad.no_grad(lambda f: f())",
    "written": "def written(x, index, value):\n    y = x * 1\n    y[index] = value\n    return y",
    "added": "def added(x, index, value):\n    y = x * 1\n    y[index] += value\n    return y",
}


def names_used() -> dict[str, Any]:
    """What the texts of the steps may mention."""
    import autodiff

    return {"ad": autodiff, "np": np, "held": held, "unseen": unseen, "written": written, "added": added}


def as_array(x: Any) -> np.ndarray:
    return OURS.array(x)


def in_kind(kept: np.ndarray, like: np.ndarray) -> np.ndarray:
    return kept if like.dtype.kind != "c" else kept.astype(like.dtype)


def written_as(argument: Any) -> str:
    """A drawn argument as Python."""
    if isinstance(argument, slice):
        bounds = [argument.start, argument.stop, argument.step]
        text = ":".join("" if b is None else str(b) for b in bounds[:2])
        return text if argument.step is None else f"{text}:{argument.step}"
    return repr(argument)


# ---- drawing one ------------------------------------------------------------------------------------


@st.composite
def programs(draw: Any, max_steps: int = 6, kinds: Sequence[str] | None = None) -> Program:
    """Programs over one, two or three inputs that broadcast, each step on values that fit it."""
    allowed = list(kinds or KINDS)
    given = draw(st.integers(1, 3).flatmap(lambda n: broadcastable(n, max_dims=2, min_side=1)))
    sizes = [math.prod(shape) for shape in given]
    joint = draw(distinct((sum(sizes),), -1.5, 1.5))  # no two elements alike, of any two inputs
    parts = np.split(joint, np.cumsum(sizes)[:-1])
    program = Program([part.reshape(shape) for part, shape in zip(parts, given, strict=True)])
    shapes = [x.shape for x in program.inputs]
    for _ in range(draw(st.integers(1, max_steps))):
        step = draw(steps(allowed, shapes))
        if step is not None:
            program.steps.append(step[:3])
            shapes.append(step[3])
    if not program.steps:
        program.steps.append(("square", (0,), None))
    return program


@st.composite
def steps(draw: Any, allowed: Sequence[str], shapes: list[tuple]) -> tuple | None:
    """(kind, operands, argument, shape of the result) for values of these shapes, or None where what
    was drawn does not fit: the last values are drawn most."""
    name = draw(st.sampled_from(allowed))
    kind = KINDS[name]
    latest = st.integers(0, len(shapes) - 1).map(lambda k: len(shapes) - 1 - k)
    operands = tuple(draw(latest) for _ in range(kind.operands))
    shape = shapes[operands[0]]
    if len(shape) < kind.least or len(shape) > 3:
        return None
    argument = None
    if kind.argument == "axis":
        argument = draw(axis(len(shape)))
    elif kind.argument == "number":
        argument = draw(st.integers(-3, 3))
    elif kind.argument == "index":
        n = shape[0]
        argument = draw(st.one_of(st.integers(-n, n - 1), st.slices(n).filter(lambda s: s.step != 0)))
    elif kind.argument == "places":
        argument = draw(st.lists(st.integers(-shape[0], shape[0] - 1), min_size=1, max_size=3))
    trial = Program(
        [np.full(shapes[k], 0.5) for k in operands], [(name, tuple(range(len(operands))), argument)]
    )
    try:
        with np.errstate(all="ignore"):
            result = trial(*map(creation.as_tensor, trial.inputs))
    except (ValueError, RuntimeError, IndexError):
        return None  # shapes that do not go together
    if 0 in result.shape or result.array.size > 40:
        return None
    return name, operands, argument, tuple(result.shape)
