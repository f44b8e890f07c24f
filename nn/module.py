"""Module: parameters, buffers and other modules under names, and a forward that uses them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from itertools import islice
from typing import Any

import numpy as np

from autodiff import Tensor, no_grad
from autodiff.tensor import Handle


class Parameter(Tensor):
    """A Tensor that a module learns: a leaf that wants its gradient."""

    def __init__(self, data: Any = (), requires_grad: bool = True):
        super().__init__(data, requires_grad)

    def __repr__(self):
        return f"Parameter containing:\n{super().__repr__()}"


class Module:
    """The base of all networks. A subclass calls super().__init__(), assigns its parameters and
    modules as attributes, and defines forward()."""

    training: bool

    def __init__(self):
        put = object.__setattr__
        put(self, "_parameters", {})
        put(self, "_buffers", {})
        put(self, "_modules", {})
        put(self, "_transient", set())
        put(self, "_hooks", {})
        put(self, "_pre_hooks", {})
        put(self, "training", True)

    def forward(self, *args, **kwargs):
        """What the module computes."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args, **kwargs):
        if not (self._hooks or self._pre_hooks):
            return self.forward(*args, **kwargs)
        for hook in list(self._pre_hooks.values()):
            replaced = hook(self, args)
            if replaced is not None:
                args = replaced if isinstance(replaced, tuple) else (replaced,)
        result = self.forward(*args, **kwargs)
        for hook in list(self._hooks.values()):
            replaced = hook(self, args, result)
            result = result if replaced is None else replaced
        return result

    # ---- attributes ---------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any):
        tables = self.__dict__.get("_parameters"), self.__dict__.get("_modules")
        if isinstance(value, (Parameter, Module)) and tables[0] is None:
            kind = "parameters" if isinstance(value, Parameter) else "module"
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if isinstance(value, Parameter):
            self.forget(name)
            self._parameters[name] = value
        elif isinstance(value, Module):
            self.forget(name)
            self._modules[name] = value
        elif tables[0] is not None and name in self._parameters:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{type(value).__name__}' as parameter '{name}' (nn.Parameter "
                    "or None expected)"
                )
            self._parameters[name] = None
        elif tables[0] is not None and name in self._buffers and isinstance(value, (Tensor, type(None))):
            self._buffers[name] = value
        else:
            if tables[1] is not None:
                self._modules.pop(name, None)
            object.__setattr__(self, name, value)

    def forget(self, name: str) -> None:
        """Let go of whatever has this name."""
        self.__dict__.pop(name, None)
        for table in (self._parameters, self._buffers, self._modules):
            table.pop(name, None)

    def __getattr__(self, name: str) -> Any:
        for kind in ("_parameters", "_buffers", "_modules"):
            table = self.__dict__.get(kind)
            if table is not None and name in table:
                return table[name]
        near = get_close_matches(name, dir(self), 3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'{hint}")

    def __delattr__(self, name: str):
        if any(name in table for table in (self._parameters, self._buffers, self._modules)):
            self.forget(name)
        else:
            object.__delattr__(self, name)

    def __dir__(self):
        tables = (self.__dict__.get(kind, ()) for kind in ("_parameters", "_buffers", "_modules"))
        return [*super().__dir__(), *(name for table in tables for name in table)]

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """A Tensor that belongs to the module's state but is not learnt."""
        self.check_name(name)
        self.forget(name)
        self._buffers[name] = tensor
        (self._transient.discard if persistent else self._transient.add)(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """A parameter under this name; None keeps the name free."""
        self.check_name(name)
        self.forget(name)
        self._parameters[name] = param

    def add_module(self, name: str, module: Module | None) -> None:
        """A module under this name."""
        self.check_name(name)
        self.forget(name)
        self._modules[name] = module

    register_module = add_module

    @staticmethod
    def check_name(name: str) -> None:
        if "." in name or not name:
            raise KeyError(f"a name cannot be empty or contain '.', got: {name!r}")

    # ---- what it holds ------------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        return (module for _, module in self.named_children())

    def named_modules(self, memo: set | None = None, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Itself and all modules inside, each once, with dotted names."""
        memo = set() if memo is None else memo
        if id(self) in memo:
            return
        memo.add(id(self))
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Module]:
        return (module for _, module in self.named_modules())

    def named_held(self, table: str, recurse: bool, prefix: str) -> Iterator[tuple[str, Tensor]]:
        seen = set()
        for path, module in self.named_modules(prefix=prefix) if recurse else [(prefix, self)]:
            for name, tensor in getattr(module, table).items():
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield f"{path}.{name}" if path else name, tensor

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Any]]:
        """The parameters here and, with `recurse`, in the modules inside; a shared one once."""
        return self.named_held("_parameters", recurse, prefix)

    def parameters(self, recurse: bool = True) -> Iterator[Any]:
        return (tensor for _, tensor in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """The buffers, as named_parameters."""
        return self.named_held("_buffers", recurse, prefix)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        return (tensor for _, tensor in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted name."""
        module = self
        for name in filter(None, target.split(".")):
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted name."""
        path, _, name = target.rpartition(".")
        return getattr(self.get_submodule(path), name)

    # ---- what is done to all of it --------------------------------------------------------------

    def apply(self, function: Callable[[Module], Any]) -> Module:
        """Call `function` on every module inside, then on this one."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def train(self, mode: bool = True) -> Module:
        """Training mode, in which dropout drops and batch norm looks at the batch."""
        for module in self.modules():
            object.__setattr__(module, "training", mode)
        return self

    def eval(self) -> Module:
        """Evaluation mode."""
        return self.train(False)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for p in self.parameters():
            if p.grad is not None:
                p.grad = None if set_to_none else p.grad.detach().mul(0)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Should gradients of the parameters be recorded?"""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def to(self, *args, **kwargs) -> Module:
        """All floating parameters and buffers in another dtype. (The only device is "cpu".)"""
        seen = set()
        for module in self.modules():
            for tensor in (*module._parameters.values(), *module._buffers.values()):
                if tensor is not None and id(tensor) not in seen and tensor.is_floating_point():
                    seen.add(id(tensor))
                    tensor.data = tensor.detach().to(*args, **kwargs)
        return self

    def float(self) -> Module:
        return self.to(np.dtype("float32"))

    def double(self) -> Module:
        return self.to(np.dtype("float64"))

    def cpu(self) -> Module:
        return self

    # ---- hooks --------------------------------------------------------------------------------

    def register_forward_hook(self, hook: Callable) -> Handle:
        """Call hook(module, args, output) after forward; what it returns replaces the output."""
        return hooked(self._hooks, hook)

    def register_forward_pre_hook(self, hook: Callable) -> Handle:
        """Call hook(module, args) before forward; what it returns replaces the arguments."""
        return hooked(self._pre_hooks, hook)

    # ---- state --------------------------------------------------------------------------------

    def named_state(self) -> Iterator[tuple[str, Tensor]]:
        """Every parameter and persistent buffer under every name it has."""
        yield from paths_of_state(self, "")

    def state_dict(self) -> OrderedDict[str, Tensor]:
        """name → Tensor, detached, on the module's own memory."""
        return OrderedDict((name, tensor.detach()) for name, tensor in self.named_state())

    def load_state_dict(self, state_dict: dict, strict: bool = True) -> tuple:
        """Copy the values in. Everything wrong is listed in one error, before anything is changed."""
        own = dict(self.named_state())
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        wrong = [
            f"size mismatch for {name}: copying a param with shape {list(state_dict[name].shape)} "
            f"from checkpoint, the shape in current model is {list(tensor.shape)}."
            for name, tensor in own.items()
            if name in state_dict and tuple(state_dict[name].shape) != tuple(tensor.shape)
        ]
        if strict and unexpected:
            wrong.insert(0, f"Unexpected key(s) in state_dict: {quoted(unexpected)}.")
        if strict and missing:
            wrong.insert(0, f"Missing key(s) in state_dict: {quoted(missing)}.")
        if wrong:
            lines = "\n\t".join(wrong)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{lines}")
        with no_grad():
            for name, tensor in own.items():
                if name in state_dict:
                    tensor.copy_(state_dict[name])
        return missing, unexpected

    # ---- showing it ---------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands in the parentheses of its line."""
        return ""

    def __repr__(self):
        inner = [f"({name}): {indented(repr(m))}" for name, m in self._modules.items()]
        extra = self.extra_repr()
        name = type(self).__name__
        if not inner:
            return f"{name}({extra})"
        lines = [extra] if extra else []
        return f"{name}(\n  " + "\n  ".join([*lines, *inner]) + "\n)"


def hooked(table: dict, hook: Callable) -> Handle:
    handle = Handle(table)
    table[id(handle)] = hook
    return handle


def paths_of_state(module: Module, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in (*module._parameters.items(), *module._buffers.items()):
        if tensor is not None and name not in module._transient:
            yield prefix + name, tensor
    for name, child in module._modules.items():
        if child is not None:
            yield from paths_of_state(child, f"{prefix}{name}.")


def quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def indented(text: str) -> str:
    return text.replace("\n", "\n  ")


# ---- modules that hold modules -------------------------------------------------------------------


class Sequential(Module):
    """Modules in a row: each gets what the one before gives."""

    def __init__(self, *modules):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], dict):
            named = modules[0].items()
        else:
            named = ((str(k), m) for k, m in enumerate(modules))
        for name, module in named:
            self.add_module(name, module)

    def forward(self, x):
        for module in self._modules.values():
            x = module(x)
        return x

    def append(self, module: Module) -> Sequential:
        """One more at the end."""
        self.add_module(str(len(self)), module)
        return self

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return nth(self._modules, index)


def nth(modules: dict, index: int) -> Module:
    n = len(modules)
    if not -n <= index < n:
        raise IndexError(f"index {index} is out of range: there are {n} modules")
    return next(islice(modules.values(), index % n, None))


class ModuleList(Module):
    """A list of modules."""

    def __init__(self, modules: Iterable[Module] = ()):
        super().__init__()
        self.extend(modules)

    def append(self, module: Module) -> ModuleList:
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        for module in modules:
            self.append(module)
        return self

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __getitem__(self, index):
        if isinstance(index, slice):
            return ModuleList(list(self)[index])
        return nth(self._modules, index)

    def __setitem__(self, index: int, module: Module):
        self.add_module(list(self._modules)[index], module)


class ModuleDict(Module):
    """Modules under names of your own."""

    def __init__(self, modules: dict[str, Module] | None = None):
        super().__init__()
        self.update(modules or {})

    def update(self, modules: dict[str, Module]) -> None:
        for name, module in modules.items():
            self.add_module(name, module)

    def __getitem__(self, name: str) -> Module:
        return self._modules[name]

    def __setitem__(self, name: str, module: Module):
        self.add_module(name, module)

    def __delitem__(self, name: str):
        del self._modules[name]

    def __contains__(self, name: str) -> bool:
        return name in self._modules

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def keys(self):
        return self._modules.keys()

    def values(self):
        return self._modules.values()

    def items(self):
        return self._modules.items()
