"""Engines that are a class: a `Value` of one number, as in micrograd, or a `Tensor` with PyTorch's names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from .base import OF_NUMBERS, Adapter, text_of_array

OPERATORS = {  # the method that a class has to have → how the operation is written
    "add": ("__add__", "lambda a, b: a + b"), "sub": ("__sub__", "lambda a, b: a - b"),
    "mul": ("__mul__", "lambda a, b: a * b"), "div": ("__truediv__", "lambda a, b: a / b"),
    "neg": ("__neg__", "lambda x: -x"), "pow": ("__pow__", "lambda x, n: x ** n"),
    "abs": ("__abs__", "lambda x: abs(x)"),
}  # fmt: skip
UNARY = {  # name → what methods and functions are called
    name: (name,) for name in (
        "abs", "square", "reciprocal", "exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "rsqrt", "sin",
        "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "relu", "sigmoid", "log_sigmoid", "softplus",
        "erf", "clone")
} | {"sigmoid": ("sigmoid", "logistic"), "square": ("square", "squared")}  # fmt: skip
BINARY = {"maximum": ("maximum",), "minimum": ("minimum",)}
ON_ARRAYS = {  # operator or method → how the operation is written; {dim} and {keepdim} as the class calls them
    "matmul": ("__matmul__", "lambda a, b: a @ b"), "getitem": ("__getitem__", "lambda x, index: x[index]"),
    "flatten": ("flatten", "lambda x: x.flatten()"), "mm": ("mm", "lambda a, b: a.mm(b)"),
    "dot": ("dot", "lambda a, b: a.dot(b)"), "T": ("T", "lambda x: x.T"),
    "reshape": ("reshape", "lambda x, to: x.reshape({to})"), "view": ("view", "lambda x, to: x.view({to})"),
    "transpose": ("transpose", "lambda x, a, b: x.transpose(a, b)"),
    "permute": ("permute", "lambda x, *dims: x.permute(*dims)"),
    "squeeze": ("squeeze", "lambda x, *dim: x.squeeze(*dim)"),
    "unsqueeze": ("unsqueeze", "lambda x, dim: x.unsqueeze(dim)"),
    "broadcast_to": ("broadcast_to", "lambda x, to: x.broadcast_to({to})"),
    "expand": ("expand", "lambda x, to: x.expand(*to)"),
    "clamp": ("clamp", "lambda x, low, high: x.clamp(low, high)"),
}  # fmt: skip
REDUCTIONS = {"sum": ("sum",), "mean": ("mean",), "prod": ("prod",), "amax": ("amax",), "amin": ("amin",),
              "logsumexp": ("logsumexp",)}  # fmt: skip
ALONG = {"softmax": ("softmax",), "log_softmax": ("log_softmax", "logsoftmax"), "cumsum": ("cumsum",),
         "cumprod": ("cumprod",)}  # fmt: skip


class ClassEngine(Adapter):
    """A class whose instances have `backward()` and a gradient. What it is called there is found out
    by looking: `reads` are the names under which the numbers may lie, `grads` those of the gradient."""

    reads = ("data", "value", "val", "_data", "array")
    grads = ("grad", "gradient", "_grad")

    def __init__(self, cls: type, module: ModuleType):
        self.cls, self.module = cls, module
        self.name = module.__name__
        self.version = str(getattr(module, "__version__", ""))
        self.imports = f"from {module.__name__} import {cls.__name__}"
        self.texts = self.offered()
        space = {cls.__name__: cls, "module": module, "np": np}
        # The text that is shown is the text that is run. It is made of the names in the tables above.
        self.functions = {name: eval(text, space) for name, text in self.texts.items()}
        module_functions = [n for n, text in self.texts.items() if "module." in text]
        if module_functions:
            self.imports += f"\nimport {module.__name__} as module"

    def offered(self) -> dict[str, str]:
        """name → text, for everything that the class, or its module, has."""
        found = {n: text for n, (method, text) in OPERATORS.items() if self.has(method)}
        for name, spellings in {**UNARY, **BINARY}.items():
            a = "x" if name in UNARY else "a, b"
            for called in spellings:
                if self.has(called):
                    rest = a.partition(", ")[2]
                    found.setdefault(name, f"lambda {a}: {a[0]}.{called}({rest})")
                elif inspect.isfunction(getattr(self.module, called, None)):
                    found.setdefault(name, f"lambda {a}: module.{called}({a})")
        return found

    def has(self, method: str) -> bool:
        return getattr(self.cls, method, None) is not None

    def read(self, value: Any, names: Sequence[str]) -> Any:
        for name in names:
            if hasattr(value, name):
                return getattr(value, name)
        raise AttributeError(f"a {type(value).__name__} has none of the attributes {', '.join(names)}")

    def spelled(self, name):
        return self.texts[name]

    def spelled_gradient(self, x):
        return f"{x}.{next((n for n in self.grads if hasattr(self.variable(np.ones(())), n)), 'grad')}"

    def tracked(self, value):
        return isinstance(value, self.cls)


class ScalarClass(ClassEngine):
    """A class of single numbers. Arrays of them are NumPy arrays of objects, and only for convenience:
    operations are drawn at single numbers. A cotangent is pulled back through the class's own product,
    as a class with a `backward()` that takes nothing has it."""

    scalar = True
    weighs_with = ("mul",)
    waived = OF_NUMBERS

    def __init__(self, cls, module):
        super().__init__(cls, module)
        self.functions = {name: lifted(function) for name, function in self.functions.items()}

    def variable(self, array):
        values = np.empty(np.shape(array), object)
        for place in np.ndindex(values.shape):
            values[place] = self.cls(float(array[place]))
        return values[()]

    def array(self, value):
        return per_element(lambda v: float(self.read(v, self.reads)) if isinstance(v, self.cls) else v, value)

    def gradient(self, variable):
        return per_element(lambda v: float(self.read(v, self.grads) or 0), variable)

    def tracked(self, value):
        return any(isinstance(v, self.cls) for v in np.asarray(value, object).flat)

    def backward(self, outputs, cotangents):
        total = None
        for ys, gs in zip(outputs, cotangents, strict=True):
            for y, g in zip(np.asarray(ys, object).flat, gs.flat, strict=True):
                term = y if g == 1 else y * self.cls(float(g))
                total = term if total is None else total + term
        total.backward()

    def spelled_variable(self, array):
        return (
            f"{self.cls.__name__}({float(array)!r})" if array.ndim == 0 else super().spelled_variable(array)
        )

    spelled_constant = spelled_variable

    def spelled_walk(self, outputs, gs):
        terms = [
            y if np.all(g == 1) else f"{y} * {self.spelled_constant(g)}"
            for y, g in zip(outputs, gs, strict=True)
        ]
        total = " + ".join(terms)
        return [f"({total}).backward()" if " " in total else f"{total}.backward()"]


def lifted(function: Callable) -> Callable:
    """The function of single values, element by element on arrays of them."""

    def called(*arguments):
        if not any(isinstance(a, np.ndarray) for a in arguments):
            return function(*arguments)
        arrays = [np.asarray(a, object) for a in arguments]
        return np.frompyfunc(function, len(arrays), 1)(*arrays)

    return called


def per_element(f: Callable, value: Any) -> np.ndarray:
    values = np.asarray(value, object)
    return np.array([f(v) for v in values.flat], float).reshape(values.shape)


class TensorClass(ClassEngine):
    """A class of arrays. What differs between such classes (is there a `requires_grad`, does `backward`
    take a cotangent, and of which type, is it `dim` or `axis`) is found out by trying."""

    def __init__(self, cls, module):
        self.wants = "requires_grad" in parameters(cls)
        super().__init__(cls, module)
        self.waived = {} if self.wants else dict.fromkeys(
            ("alone", "integers"), "every tensor of it wants a gradient")  # fmt: skip
        if self.array(self.variable(np.zeros(1, np.float32))).dtype != np.float32:
            self.waived["shape and dtype"] = "it has one dtype only"
        self.rtol = 1e-4 if self.array(self.variable(np.zeros(1))).dtype == np.float32 else None
        self.pull = self.how_to_pull()
        self.weighs_with = ("mul", "sum") if self.pull == "weigh" else ()

    def offered(self):
        found = super().offered()
        if "pow" in found:
            found["pow"] = "lambda x, n: x ** n"
        for name, (method, text) in ON_ARRAYS.items():
            if self.has(method):
                to = "to" if any(n in ("shape", "new_shape", "newshape") for n in parameters(getattr(self.cls, method))) else "*to"  # fmt: skip
                found[name] = text.format(to=to)
        for name, spellings in REDUCTIONS.items():
            for called in filter(self.has, spellings):
                found.setdefault(name, self.reduction(called))
        for name, spellings in ALONG.items():
            for called in filter(self.has, spellings):
                dim = self.axis_of(getattr(self.cls, called))
                found.setdefault(name, f"lambda x, dim: x.{called}({dim}=dim)" if dim else f"lambda x, dim: x.{called}(dim)")  # fmt: skip
        return found

    def reduction(self, called: str) -> str:
        names = parameters(getattr(self.cls, called))
        dim, keep = (
            self.axis_of(getattr(self.cls, called)),
            next((n for n in names if n.startswith("keepdim")), ""),
        )
        if not dim:
            return f"lambda x, dim=None, keepdim=False: x.{called}() if dim is None and not keepdim else x.{called}(dim)"
        if not keep:
            return f"lambda x, dim=None, keepdim=False: x.{called}({dim}=dim) if not keepdim else x.{called}(dim, True)"
        return f"lambda x, dim=None, keepdim=False: x.{called}({dim}=dim, {keep}=keepdim)"

    def axis_of(self, method: Callable) -> str:
        return next((n for n in parameters(method) if n in ("dim", "axis", "axes", "dims")), "")

    def how_to_pull(self) -> str:
        """Does `backward` take a cotangent: an array, or a tensor?"""
        if len(parameters(self.cls.backward)) > 1:
            for way in ("array", "tensor"):
                x, g = self.variable(np.array([1.0, 2.0])), np.array([3.0, 5.0])
                try:
                    (x + x).backward(g if way == "array" else self.constant(g))
                    found = self.gradient(x)
                    if found is not None and np.allclose(found, [6.0, 10.0]):
                        return way
                except Exception:  # then it is not this way: the next is tried
                    continue
        return "weigh"

    def variable(self, array):
        return self.cls(np.array(array), requires_grad=True) if self.wants else self.cls(np.array(array))

    def constant(self, array):
        return self.cls(np.array(array))

    def array(self, value):
        return self.numbers(value) if isinstance(value, self.cls) else np.asarray(value)

    def numbers(self, value: Any) -> np.ndarray:
        found = next((getattr(value, n) for n in self.reads if hasattr(value, n)), None)
        if isinstance(found, (np.ndarray, np.generic, float, int)):
            return np.asarray(found)
        return np.asarray(value.numpy())

    def gradient(self, variable):
        if not isinstance(variable, self.cls):
            return None
        grad = self.read(variable, self.grads)
        return (
            None if grad is None else self.numbers(grad) if isinstance(grad, self.cls) else np.asarray(grad)
        )

    def tracked(self, value):
        return isinstance(value, self.cls) and bool(getattr(value, "requires_grad", True))

    def backward(self, outputs, cotangents):
        if self.pull != "weigh":
            for y, g in zip(outputs, cotangents, strict=True):
                y.backward(np.array(g) if self.pull == "array" else self.constant(g))
            return
        total = None
        for y, g in zip(outputs, cotangents, strict=True):
            term = y if np.all(g == 1) else y * self.constant(g)
            term = term if g.size == 1 else term.sum()
            total = term if total is None else total + term
        total.backward()

    def spelled_constant(self, array):
        return f"{self.cls.__name__}({text_of_array(array)})"

    def spelled_array(self, x):
        return f"{x}.{next((n for n in self.reads if hasattr(self.variable(np.ones(1)), n)), 'numpy()')}"

    def spelled_gradient_array(self, x):
        y = self.variable(np.ones(1))
        self.backward([y], [np.ones(1)])
        kept = self.spelled_gradient(x)
        return self.spelled_array(kept) if isinstance(self.read(y, self.grads), self.cls) else kept

    def spelled_variable(self, array):
        return self.spelled_constant(array)[:-1] + (", requires_grad=True)" if self.wants else ")")

    def spelled_walk(self, outputs, gs):
        if self.pull == "weigh":
            terms = []
            for y, g in zip(outputs, gs, strict=True):
                term = y if np.all(g == 1) else f"({y} * {self.spelled_constant(g)})"
                terms.append(term if np.size(g) == 1 else f"{term}.sum()")
            total = " + ".join(terms)
            return [f"({total}).backward()" if " + " in total else f"{total}.backward()"]
        text = text_of_array if self.pull == "array" else self.spelled_constant
        return [f"{y}.backward({text(g)})" for y, g in zip(outputs, gs, strict=True)]


def parameters(function: Any) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []
