"""Engines that the kit can drive, and how it finds its way into one that it has not seen before."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..options import unknown
from .base import OF_NUMBERS, Adapter, text_of_array

KNOWN = {  # what one types, which is the end of the adapter's name → what to install
    "autodiff": "autodiff-nn", "torch": "torch", "jax": "jax", "autograd": "autograd", "mygrad": "mygrad",
    "micrograd": "micrograd", "dezero": "dezero", "tinygrad": "tinygrad",
}  # fmt: skip
# Files that are looked at first, in this order.
LIKELY = ("adapter", "engine", "tensor", "value", "autograd", "autodiff", "main", "solution")
EXPECTED = """\
An engine is recognised by one of these, in the file, or in a module of the package:
  an adapter:      functions = {"add": lambda a, b: a + b, "tanh": lambda x: x.tanh(), ...}
                   def variable(array): ...       a value that holds the array and wants a gradient
                   def backward(y, g): ...        one walk back from y, with the cotangent g, an array
                   def gradient(x): ...           what has been added up for a variable
  a class Value:   of one number, as in micrograd: Value(2.0), + * ..., .backward(), .data, .grad
  a class Tensor:  of an array, with PyTorch's names: Tensor(array, requires_grad=True), + * ...,
                   .sum(), .backward(), .data or .numpy(), .grad"""


class NotInstalled(Exception):
    """The engine is known, and is not here."""


class Unrecognised(Exception):
    """There is no engine in it that the kit would know how to drive; the text says what was looked for."""


class ModuleAdapter(Adapter):
    """A module with `functions`, `variable`, `backward(y, g)` and `gradient`; what else of an Adapter
    it defines (`constant`, `array`, `tracked`, `abilities`, `scalar` …) counts too."""

    def __init__(self, module: ModuleType):
        self.module, self.name = module, module.__name__
        self.version = str(getattr(module, "__version__", ""))
        self.imports = f"from {self.name} import *"
        if getattr(module, "scalar", False):
            self.waived = OF_NUMBERS
        elif not hasattr(module, "constant"):
            self.waived = {name: OF_NUMBERS[name] for name in ("alone", "integers")}
        for name in ("functions", "variable", "constant", "array", "tracked", "name", "abilities",
                     "scalar", "weighs_with", "rtol", "waived", "imports"):  # fmt: skip
            if hasattr(module, name):
                setattr(self, name, getattr(module, name))

    def array(self, value):
        for name in ("data", "value"):
            if isinstance(getattr(value, name, None), (np.ndarray, np.generic, float, int)):
                return np.asarray(getattr(value, name))
        return np.asarray(value)

    def gradient(self, variable):
        found = self.module.gradient(variable)
        return None if found is None else np.asarray(found)

    def backward(self, outputs, cotangents):
        for y, g in zip(outputs, cotangents, strict=True):
            self.module.backward(y, g)

    def spelled_walk(self, outputs, gs):
        return [f"backward({y}, {text_of_array(g)})" for y, g in zip(outputs, gs, strict=True)]

    def spelled_array(self, x):
        return f"array({x})" if hasattr(self.module, "array") else f"np.asarray({x}.data)"

    def spelled_constant(self, array):
        if hasattr(self.module, "constant"):
            return super().spelled_constant(array)
        return self.spelled_variable(array)


known = cache(lambda name: load(name))


def engine_of(named: Any) -> Any:
    """What was given as engine=: an engine, or the name of one, or its module."""
    if isinstance(named, ModuleType) and not hasattr(named, "variable"):
        named = named.__name__
    if not isinstance(named, str):
        return named
    return known(named) if named in KNOWN else load(named)


def load(target: str) -> Adapter:
    """The engine of that name (a known one, a module) or at that path (a file, a package, a folder)."""
    if target in KNOWN:
        try:
            return importlib.import_module(f"{__name__}.for_{target}").ENGINE()
        except ModuleNotFoundError as error:
            raise NotInstalled(f"{target} is not installed ({error}): pip install {KNOWN[target]}") from error
    path = Path(target)
    if path.exists():
        return found_in([module_of(path)] if path.is_file() else modules_of(path), target)
    try:
        module = importlib.import_module(target)
    except ModuleNotFoundError as error:
        if target.split(".")[0] != error.name:
            raise
        raise Unrecognised(f"{unknown('engine', target, KNOWN)}; or a module, or a file") from error
    return found_in([module, *submodules(module)], target)


def module_of(path: Path) -> ModuleType:
    """A file, imported, with its neighbours in reach. It may have the name of a module that is already
    in use: that one is left alone."""
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


def modules_of(folder: Path) -> list[ModuleType]:
    """Of a package: itself and what is in it. Of another folder: its files, the likely ones first."""
    if (folder / "__init__.py").exists():
        sys.path.insert(0, str(folder.resolve().parent))
        package = importlib.import_module(folder.resolve().name)
        return [package, *submodules(package)]
    files = sorted(folder.glob("*.py"), key=lambda f: (likelihood(f.stem), f.name))
    for file in files:  # the first that holds an engine; the others may be its tests
        module = module_of(file)
        if any(form(module) for form in FORMS):
            return [module]
    raise Unrecognised(f"there is no engine in {folder} ({len(files)} Python files).\n{EXPECTED}")


def submodules(package: ModuleType) -> list[ModuleType]:
    found = [m.name for m in pkgutil.iter_modules(getattr(package, "__path__", ())) if m.name != "__main__"]
    found.sort(key=lambda name: (likelihood(name), name))
    return [
        importlib.import_module(f"{package.__name__}.{name}") for name in found if not name.startswith("test")
    ]


def likelihood(name: str) -> int:
    return LIKELY.index(name) if name in LIKELY else len(LIKELY)


# ---- what an engine looks like ----------------------------------------------------------------------


def given(module: ModuleType) -> Any:
    """ENGINE, an object with the protocol's functions (or its class)."""
    engine = getattr(module, "ENGINE", None)
    return engine() if isinstance(engine, type) else engine


def adapter(module: ModuleType) -> Any:
    has = isinstance(getattr(module, "functions", None), Mapping)
    return ModuleAdapter(module) if has and not missing(module) else None


def missing(module: ModuleType) -> list[str]:
    return [n for n in ("variable", "backward", "gradient") if not callable(getattr(module, n, None))]


def class_engine(module: ModuleType) -> Any:
    """A class that can walk back, and can be multiplied."""
    from .classes import ScalarClass, TensorClass

    classes = [c for c in vars(module).values() if inspect.isclass(c) and hasattr(c, "backward")]
    classes = [c for c in classes if hasattr(c, "__mul__") and hasattr(c, "__add__")]
    classes.sort(key=lambda c: ("tensor", "value").index(c.__name__.lower()) if c.__name__.lower() in (
        "tensor", "value") else 2)  # fmt: skip
    if not classes:
        return None
    array = classes[0].__name__ == "Tensor" or any(
        hasattr(classes[0], m) for m in ("__matmul__", "sum", "shape", "reshape"))  # fmt: skip
    return (TensorClass if array else ScalarClass)(classes[0], module)


FORMS = (given, adapter, class_engine)


def found_in(modules: list[ModuleType], target: str) -> Any:
    """The engine of the first of the modules that has one."""
    for form in FORMS:
        for module in modules:
            engine = form(module)
            if engine is not None:
                return engine
    raise Unrecognised(f"there is no engine in {target}{hint(modules)}.\n{EXPECTED}")


def hint(modules: list[ModuleType]) -> str:
    """What came close."""
    for module in modules:
        if isinstance(getattr(module, "functions", None), Mapping) and missing(module):
            return f": it has `functions`, and no {', no '.join(missing(module))}"
        for c in vars(module).values():
            if inspect.isclass(c) and c.__module__ == module.__name__ and hasattr(c, "__mul__"):
                return f": its class {c.__name__} has no backward()"
            if inspect.isclass(c) and c.__module__ == module.__name__ and hasattr(c, "backward"):
                return f": its class {c.__name__} has no + and *"
    return ""
