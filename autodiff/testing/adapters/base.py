"""What every adapter has: the protocol's six functions with sensible answers, and how the engine is
written, so that a program that fails can be shown without this kit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import blame

OF_NUMBERS = {  # what need not be asked of an engine of single numbers, as micrograd is
    "alone": "every value of it wants a gradient",
    "integers": "every value of it wants a gradient",
    "shape and dtype": "its numbers are Python's",
    "aliasing": "its numbers are Python's",
    "untouched": "its numbers are Python's",
}


class Adapter:
    """An engine, as the checks drive it. A subclass gives `functions`, `variable`, `backward` and
    `gradient`; the rest has the answers that fit most engines."""

    name = "engine"
    version = ""
    functions: Mapping[str, Callable] = {}
    abilities: frozenset[str] = frozenset()
    scalar = False  # is a variable one number, and not an array?
    weighs_with: tuple[str, ...] = ()  # its own operations by which `backward` pulls back a cotangent
    rtol: float | None = None  # the relative error to allow; None: that of float64
    waived: Mapping[str, str] = {}  # name of a check → why it says nothing about this engine
    # operation → (what its makers say of its gradient, which is not the derivative; for which arguments)
    documented: Mapping[str, tuple[str, Callable[..., bool]]] = {}
    imports = ""  # what a program that uses the engine begins with

    def variable(self, array: np.ndarray) -> Any:
        raise NotImplementedError

    def constant(self, array: np.ndarray) -> Any:
        return self.variable(array)

    def array(self, value: Any) -> np.ndarray:
        return np.asarray(value)

    def tracked(self, value: Any) -> bool:
        return True

    def backward(self, outputs: Sequence, cotangents: Sequence[np.ndarray]) -> None:
        raise NotImplementedError

    def gradient(self, variable: Any) -> np.ndarray | None:
        raise NotImplementedError

    # ---- how it is written ------------------------------------------------------------------------

    def spelled(self, name: str) -> str:
        """The text of an operation: an expression, after `imports`."""
        function = self.functions[name]
        return blame.text_of(function) or f"functions[{name!r}]"

    # an array is itself, or what it is called in the program
    def spelled_variable(self, array: Any) -> str:
        return f"variable({text_of_array(array)})"

    def spelled_constant(self, array: Any) -> str:
        return f"constant({text_of_array(array)})"

    def spelled_walk(self, outputs: Sequence[str], gs: Sequence) -> list[str]:
        """The lines of one walk back; a cotangent is an array, or the name of one."""
        return [f"backward([{', '.join(outputs)}], [{', '.join(map(text_of_array, gs))}])"]

    def spelled_gradient(self, x: str) -> str:
        return f"gradient({x})"

    def spelled_array(self, x: str) -> str:
        """The numbers of a value, as an array in the same memory."""
        return f"array({x})"

    def spelled_gradient_array(self, x: str) -> str:
        """The numbers of the gradient by x, likewise."""
        return f"np.asarray({self.spelled_gradient(x)})"

    # of a function f, if the engine can: "" if it cannot
    spelled_grad = ""  # its gradients, as a function: with {f} and {n}, the inputs' numbers
    spelled_jvp = ""  # its tangents: with {f}, {xs} and {ts}

    def spelled_run(self, inputs: Sequence[str], body: Sequence[str], outputs: Sequence[str],
                    gs: Sequence[np.ndarray]) -> list[str]:  # fmt: skip
        """The lines that compute, by `body`, the outputs from the inputs, walk back, and print the
        gradients by the inputs."""
        shown = ", ".join(map(self.spelled_gradient, inputs))
        return [*body, *self.spelled_walk(outputs, gs), f"print({shown})"]


def text_of_array(g: Any) -> str:
    return g if isinstance(g, str) else blame.literal(g)


def first_offered(module: Any, functions: Mapping[str, Callable]) -> dict[str, Callable]:
    """Those functions whose first attribute (`np.sum` in `lambda x: np.sum(x)`) the module has."""
    return {n: f for n, f in functions.items() if all(hasattr(module, a) for a in f.__code__.co_names[:1])}
