"""ParameterList and ParameterDict: the parameters of a module, to be used like a list and a dict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import index
from typing import Any

from autodiff import Tensor

from .module import Module, Parameter


class Shelf(Module):
    """What both share: Tensors become parameters under their names, and whatever else is put there is kept
    beside them."""

    def __init__(self):
        super().__init__()
        self._entries: dict[str, Any] = {}  # of each name what is no parameter; None of one that is

    def _place(self, name: str, value: Any) -> None:
        """Put something under a name."""
        if isinstance(value, Tensor) and not isinstance(value, Parameter):
            value = Parameter(value)
        is_parameter = isinstance(value, Parameter)
        if is_parameter:
            self._parameters[name] = value
        else:
            self._parameters.pop(name, None)
        self._entries[name] = None if is_parameter else value

    def _entry(self, name: str) -> Any:
        """What is under a name."""
        own = self._parameters.get(name)
        return self._entries[name] if own is None else own

    def _remove(self, name: str) -> None:
        """Take away what is under a name."""
        del self._entries[name]
        self._parameters.pop(name, None)

    def __len__(self):
        return len(self._entries)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"{type(self).__name__} should not be called: it only holds parameters")

    def extra_repr(self):
        return "\n".join(f"  ({name}): {described(self._entry(name))}" for name in self._entries)


class ParameterList(Shelf):
    """A list of parameters. Tensors that are put into it become parameters; anything else stays as it
    is, and is not learnt."""

    def __init__(self, values: Iterable[Any] | None = None):
        super().__init__()
        self.extend(() if values is None else values)

    def __getitem__(self, key: int | slice) -> Any:
        if isinstance(key, slice):
            return ParameterList(list(self)[key])
        return self._entry(self._name(key))

    def __setitem__(self, key: int, value: Any):
        self._place(self._name(key), value)

    def __iter__(self) -> Iterator[Any]:
        return (self._entry(name) for name in self._entries)

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def append(self, value: Any) -> ParameterList:
        """One more at the end."""
        self._place(str(len(self)), value)
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """More at the end."""
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(
                "ParameterList.extend should be called with an iterable, but got "
                f"{type(values).__name__}: put it into a list"
            )
        for value in list(values):
            self.append(value)
        return self

    def _name(self, key: int) -> str:
        """The name under which the entry at this place stands."""
        n, k = len(self), index(key)
        if not -n <= k < n:
            raise IndexError(f"index {k} is out of range: there are {n} entries")
        return str(k % n)


class ParameterDict(Shelf):
    """Parameters under names of your own. Tensors that are put into it become parameters; anything else
    stays as it is, and is not learnt."""

    def __init__(self, parameters: Any = None):
        super().__init__()
        self.update({} if parameters is None else parameters)

    def __getitem__(self, key: str) -> Any:
        return self._entry(key)

    def __setitem__(self, key: str, value: Any):
        if not isinstance(key, str):
            raise TypeError(
                f"Index given to ParameterDict cannot be used as a key as it is not a string (type is "
                f"'{type(key).__name__}')"
            )
        self._place(key, value)

    def __delitem__(self, key: str):
        self._remove(key)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._entries)

    def __or__(self, other: Mapping[str, Any] | ParameterDict) -> ParameterDict:
        joined = self.copy()
        joined.update(other)
        return joined

    def __ior__(self, other: Mapping[str, Any] | ParameterDict) -> ParameterDict:
        self.update(other)
        return self

    def update(self, parameters: Any) -> None:
        """Add these, or put them in the place of what has their names: a mapping, or pairs. Those of a plain
        dict come in the order of their names, as in PyTorch."""
        if not isinstance(parameters, Iterable):
            raise TypeError(
                "ParameterDict.update should be called with an iterable of key/value pairs, but got "
                f"{type(parameters).__name__}"
            )
        pairs = parameters.items() if isinstance(parameters, (Mapping, ParameterDict)) else parameters
        for key, value in sorted(pairs) if type(parameters) is dict else list(pairs):
            self[key] = value

    def copy(self) -> ParameterDict:
        """Another of the same entries."""
        return ParameterDict(list(self.items()))

    def keys(self):
        """The names."""
        return self._entries.keys()

    def values(self) -> Iterator[Any]:
        """The entries."""
        return (self._entry(name) for name in self._entries)

    def items(self) -> Iterator[tuple[str, Any]]:
        """(name, entry) pairs."""
        return ((name, self._entry(name)) for name in self._entries)

    def get(self, key: str, default: Any = None) -> Any:
        """The entry, or `default`."""
        return self._entry(key) if key in self else default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The entry, which is `default` if there was none."""
        if key not in self:
            self[key] = default
        return self[key]

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A new one, with `default` under each of these names."""
        return ParameterDict([(key, default) for key in keys])

    def pop(self, key: str) -> Any:
        """Take one out."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Take the newest out, with its name."""
        if not self._entries:
            raise KeyError("popitem(): the ParameterDict is empty")
        key = next(reversed(self._entries))
        return key, self.pop(key)

    def clear(self) -> None:
        """Take all out."""
        for key in list(self._entries):
            del self[key]


def described(value: Any) -> str:
    """A line for what is held."""
    if not isinstance(value, Tensor):
        return f"Object of type: {type(value).__name__}"
    size = "x".join(map(str, value.shape))
    return f"Parameter containing: [{value.dtype} of size {size}]"
