"""Modules that hold modules: Sequential, ModuleList and ModuleDict, to be used like lists and dicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import index
from typing import Any

from .module import Module, indented


class Row(Module):
    """What Sequential and ModuleList share: modules in a row, to be used like a list."""

    def __init__(self, modules: Iterable[Module] | None = None):
        super().__init__()
        self.extend(modules or ())

    def __len__(self):
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __getitem__(self, key: int | slice) -> Any:
        if isinstance(key, slice):
            return self._of(list(self)[key])
        return self._modules[self._name(key)]

    def __setitem__(self, key: int, module: Module):
        setattr(self, self._name(key), module)

    def __delitem__(self, key: int | slice):
        modules = list(self)
        del modules[key]
        self._renumber(modules)

    def __add__(self, other: Iterable[Module]) -> Any:
        return self._of([*self, *other])

    def __iadd__(self, other: Iterable[Module]) -> Any:
        return self.extend(other)

    def append(self, module: Module) -> Any:
        """One more at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """More at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """One more before the one at `index`."""
        self._check_entry("_modules", "0", module, Module)
        modules = list(self)
        modules.insert(index, module)
        return self._renumber(modules)

    def pop(self, key: int | slice = -1) -> Any:
        """Take one out, or several."""
        module = self[key]
        del self[key]
        return module

    def _of(self, modules: Iterable[Module]) -> Any:
        """A row of the same kind."""
        return Row(modules)

    def _name(self, key: int) -> str:
        """The name under which the module at this place stands."""
        n, k = len(self), index(key)
        if not -n <= k < n:
            raise IndexError(f"index {k} is out of range: there are {n} modules")
        return list(self._modules)[k]

    def _renumber(self, modules: list[Module]) -> Any:
        """These modules, under the names 0, 1, 2 …"""
        self._modules = {str(k): module for k, module in enumerate(modules)}
        return self


class Sequential(Row):
    """Modules in a row, each given what the one before gives; also from a dict of named ones."""

    def __init__(self, *modules: Any):
        if len(modules) == 1 and isinstance(modules[0], dict):
            super().__init__()
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            super().__init__(modules)

    def forward(self, input):
        for module in self._modules.values():
            input = module(input)
        return input

    def __getitem__(self, key: int | slice) -> Any:
        if isinstance(key, slice):  # the names stay
            return Sequential(dict(list(self._modules.items())[key]))
        return super().__getitem__(key)

    def __mul__(self, times: int) -> Sequential:
        return Sequential(*list(self) * positive(times))

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Sequential:
        return self.extend(list(self) * (positive(times) - 1))

    def _of(self, modules: Iterable[Module]) -> Sequential:
        return Sequential(*modules)


class ModuleList(Row):
    """A list of modules; what is done with them, forward says."""

    def _of(self, modules: Iterable[Module]) -> ModuleList:
        return ModuleList(modules)

    def _child_lines(self) -> list[str]:
        """Neighbours that look the same share a line."""
        runs: list[tuple[str, list[str]]] = []
        for name, module in self._modules.items():
            if runs and runs[-1][0] == repr(module):
                runs[-1][1].append(name)
            else:
                runs.append((repr(module), [name]))
        return [
            f"({names[0]}-{names[-1]}): {len(names)} x {indented(text)}"
            if len(names) > 1
            else f"({names[0]}): {indented(text)}"
            for text, names in runs
        ]


class ModuleDict(Module):
    """Modules under names of your own, to be used like a dict."""

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None):
        super().__init__()
        self.update(modules or {})

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add these, or put them in the place of what has their names."""
        for name, module in dict(modules).items():
            self.add_module(name, module)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module):
        self.add_module(key, module)

    def __delitem__(self, key: str):
        del self._modules[key]

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def __len__(self):
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def keys(self):
        """The names."""
        return self._modules.keys()

    def values(self):
        """The modules."""
        return self._modules.values()

    def items(self):
        """(name, module) pairs."""
        return self._modules.items()

    def pop(self, key: str) -> Any:
        """Take one out."""
        return self._modules.pop(key)

    def clear(self) -> None:
        """Take all out."""
        self._modules.clear()


def positive(times: int) -> int:
    """How often a Sequential is repeated."""
    if index(times) <= 0:
        raise ValueError(f"Non-positive multiplication factor {times} for a Sequential")
    return times
