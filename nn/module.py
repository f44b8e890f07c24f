"""Module: parameters, buffers and other modules under names, and a forward that uses them."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np

from autodiff import Tensor, no_grad
from autodiff.ops.naming import no_tensor
from autodiff.provenance import ours
from autodiff.tensor import Handle

from .gradients import clear_gradient
from .hooks import WatchedCall


class Parameter(Tensor):
    """A Tensor that a module learns: a leaf whose gradient is wanted."""

    def __init__(self, data: Any = (), requires_grad: bool = True):
        super().__init__(data, requires_grad)

    def __repr__(self):
        return f"Parameter containing:\n{super().__repr__()}"


class LoadedKeys(NamedTuple):
    """What `load_state_dict(strict=False)` had to leave alone."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self):
        if not any(self):
            return "<All keys matched successfully>"
        return f"LoadedKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


# The tables of a module, and what stands in each.
TABLES = {"_parameters": "parameter", "_buffers": "buffer", "_modules": "module"}
EXPECTED = {
    "_parameters": "parameter '{}' (nn.Parameter or None expected, or change its values under no_grad())",
    "_buffers": "buffer '{}' (Tensor or None expected)",
    "_modules": "child module '{}' (nn.Module or None expected)",
}


class Module:
    """The base of all networks. A subclass calls `super().__init__()`, assigns its parameters and
    inner modules as attributes, and defines `forward`; calling the module runs that.

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.hidden = nn.Linear(784, 512)
                self.out = nn.Linear(512, 10)

            def forward(self, x):
                return self.out(self.hidden(x).relu())
    """

    training: bool

    def __init__(self):
        vars(self).update(
            training=True,
            _parameters={},
            _buffers={},
            _modules={},
            _non_persistent_buffers_set=set(),
            _forward_hooks={},
            _forward_pre_hooks={},
            _backward_hooks={},
            _backward_pre_hooks={},
        )

    def forward(self, *args, **kwargs):
        """What the module computes."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args, **kwargs):
        try:
            if (
                self._forward_hooks
                or self._forward_pre_hooks
                or self._backward_hooks
                or self._backward_pre_hooks
            ):
                return self._called_with_hooks(args, kwargs)
            return self.forward(*args, **kwargs)
        except AttributeError as error:
            self._refuse_what_is_no_tensor(args, error)
            raise

    def _refuse_what_is_no_tensor(self, args: tuple, error: AttributeError) -> None:
        """Another error if it was an argument that one of our layers asked for what a Tensor has."""
        if not type(self).__module__.startswith(f"{__package__}."):
            return
        frames = error.__traceback__
        while frames is not None and frames.tb_next is not None:
            frames = frames.tb_next
        if frames is None or not ours[frames.tb_frame.f_code.co_filename]:
            return
        better = no_tensor(error, type(self).__name__, inspect.signature(self.forward).parameters, args)
        if better is not None:
            raise better from None

    # ---- names --------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any):
        table = self._table_of(name)
        if isinstance(value, Parameter):
            self._enter("_parameters", name, value)
        elif isinstance(value, Module) and table != "_parameters":
            self._enter("_modules", name, value)
        elif table is None:
            object.__setattr__(self, name, value)
        elif value is None or (table == "_buffers" and isinstance(value, Tensor)):
            vars(self)[table][name] = value
        else:
            wanted = EXPECTED[table].format(name)
            raise TypeError(f"cannot assign '{type(value).__name__}' as {wanted}")

    def __getattr__(self, name: str) -> Any:  # called for what is no ordinary attribute
        own = vars(self)
        for table in TABLES:
            if table in own and name in own[table]:
                return own[table][name]
        message = f"'{type(self).__name__}' object has no attribute '{name}'"
        if not name.startswith("__"):  # copy, pickle and the like ask for many such names
            if "_modules" not in own:
                message += ": its __init__ has not called super().__init__()"
            elif near := get_close_matches(name, self._names_like(name), 3):
                message += f"; did you mean {' or '.join(near)}?"
            elif hasattr(Tensor, name):
                message += f": that is a Tensor's. Call the module first, module(…).{name}"
        raise AttributeError(message, obj=self)  # without its name, for which Python would guess again

    def __delattr__(self, name: str):
        table = self._table_of(name)
        if table is None:
            object.__delattr__(self, name)
        else:
            del vars(self)[table][name]
            self._non_persistent_buffers_set.discard(name)

    def __dir__(self):
        return [*super().__dir__(), *self._parameters, *self._buffers, *self._modules]

    def _names_like(self, name: str) -> list[str]:
        """All its names, private ones only if `name` is one."""
        return [each for each in dir(self) if name.startswith("_") or not each.startswith("_")]

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """A parameter under this name; None keeps the name for one."""
        self._check_entry("_parameters", name, param, Parameter)
        self._enter("_parameters", name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """A Tensor that belongs to the module but is not learnt, such as a running mean; if
        `persistent`, a part of the state_dict."""
        self._check_entry("_buffers", name, tensor, Tensor)
        self._enter("_buffers", name, tensor)
        if not persistent:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """A module under this name."""
        self._check_entry("_modules", name, module, Module)
        self._enter("_modules", name, module)

    register_module = add_module

    def _table_of(self, name: str) -> str | None:
        """The table in which the name stands."""
        own = vars(self)
        return next((table for table in TABLES if table in own and name in own[table]), None)

    def _enter(self, table: str, name: str, value: Any) -> None:
        """From here on the name stands for `value` and nothing else. It keeps its place, if it
        already stood in this table: the order of parameters is the order of an optimiser's."""
        own = vars(self)
        if table not in own:
            raise AttributeError(
                f"cannot assign {TABLES[table]}{'s' * (table == '_parameters')} before "
                "Module.__init__() call: write super().__init__() first"
            )
        own.pop(name, None)
        for other in TABLES:
            if other != table:
                own[other].pop(name, None)
        self._non_persistent_buffers_set.discard(name)
        own[table][name] = value

    def _check_entry(self, table: str, name: str, value: Any, kind: type) -> None:
        """What the register functions refuse."""
        what, own = TABLES[table], vars(self)
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {type(name).__name__}")
        if "." in name or not name:
            trouble = 'can\'t contain "."' if name else 'can\'t be empty string ""'
            raise KeyError(f"{what} name {trouble}, got: {name!r}")
        if table in own and name not in own[table]:
            if name in own or hasattr(type(self), name) or self._table_of(name):
                raise KeyError(f"attribute '{name}' already exists")
        if value is not None and not isinstance(value, kind):
            raise TypeError(
                f"cannot assign '{type(value).__name__}' object to {what} '{name}' "
                f"({kind.__name__} or None required){instead_of(value) if kind is Module else ''}"
            )

    # ---- what it holds ------------------------------------------------------------------------

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Itself and all modules inside, with dotted names; a shared one once."""
        memo = set() if memo is None else memo
        if id(self) in memo:
            return
        if remove_duplicate:
            memo.add(id(self))
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, joined(prefix, name), remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """Itself and all modules inside, each once."""
        return (module for _, module in self.named_modules(None, "", remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside, each once."""
        return once((name, m) for name, m in self._modules.items() if m is not None)

    def children(self) -> Iterator[Module]:
        """The modules directly inside, each once."""
        return (module for _, module in self.named_children())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters here and, with `recurse`, in the modules inside; a shared one once."""
        return self._named_tensors("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, as `named_parameters` gives them."""
        return (tensor for _, tensor in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers, as `named_parameters` gives the parameters."""
        return self._named_tensors("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, as `named_buffers` gives them."""
        return (tensor for _, tensor in self.named_buffers(recurse=recurse))

    def _named_tensors(self, table: str, prefix: str, recurse: bool, unique: bool) -> Iterator:
        """(name, tensor) for what stands in a table, here and, if asked for, inside."""
        modules = self.named_modules(None, prefix, unique) if recurse else [(prefix, self)]
        found = (
            (joined(path, name), tensor)
            for path, module in modules
            for name, tensor in getattr(module, table).items()
            if tensor is not None
        )
        return once(found) if unique else found

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted name; "" is this one."""
        module = self
        for name in target.split(".") if target else ():
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted name."""
        return self._get("_parameters", target)

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted name."""
        return self._get("_buffers", target)

    def _get(self, table: str, target: str) -> Any:
        """What stands in this table at a dotted name."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        value = getattr(module, name)
        if name not in vars(module)[table]:
            raise AttributeError(f"`{name}` is not a {TABLES[table]}")
        return value

    # ---- what is done to all of it ------------------------------------------------------------

    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """Call `fn` on every module inside, then on this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Module:
        """Training mode, in which dropout drops and batch norm looks at the batch."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Module:
        """Evaluation mode: `train(False)`."""
        return self.train(False)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters."""
        for p in self.parameters():
            clear_gradient(p, set_to_none)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Whether the parameters' gradients are wanted: False freezes them."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def to(self, *args, **kwargs) -> Module:
        """All floating-point parameters and buffers, and gradients, in another dtype. The only
        device is "cpu"; another is an error."""
        dtype = Tensor.wrap(np.empty(0, np.float32)).to(*args, **kwargs).dtype  # checks them, too
        if dtype.kind != "f":
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}")
        return self._apply(lambda x: x.to(*args, **kwargs) if x.is_floating_point() else x)

    def type(self, dst_type: Any) -> Module:
        """All parameters and buffers, and gradients, in another dtype, integers too."""
        return self._apply(lambda x: x.type(dst_type))

    def _apply(self, fn: Callable[[Tensor], Any]) -> Module:
        """fn(x) in place of all parameters and buffers x, and gradients."""
        for tensor in (*self.parameters(), *self.buffers()):
            grad = tensor.grad if tensor.is_leaf else None
            tensor.data = fn(tensor.detach())
            if grad is not None:
                tensor.grad = fn(grad.detach())
        return self

    def half(self) -> Module:
        """In float16."""
        return self.to(np.dtype("float16"))

    def float(self) -> Module:
        """In float32."""
        return self.to(np.dtype("float32"))

    def double(self) -> Module:
        """In float64."""
        return self.to(np.dtype("float64"))

    def cpu(self) -> Module:
        """Itself: there is no other device."""
        return self

    def cuda(self, device: Any = None) -> Module:
        """An error, which says what to write instead."""
        Tensor().cuda(device)
        return self

    # ---- hooks --------------------------------------------------------------------------------

    def register_forward_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False,
        always_call: bool = False,
    ) -> Handle:  # fmt: skip
        """After forward, call hook(module, args, output), or hook(module, args, kwargs, output);
        what it returns, unless None, replaces the output. With `always_call` it is called after an
        error too, with what output there is. The handle's remove() takes it away."""
        return hooked(self._forward_hooks, (hook, with_kwargs, always_call), prepend)

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> Handle:
        """Before forward, call hook(module, args), or hook(module, args, kwargs); what it returns,
        unless None, replaces args, or (args, kwargs)."""
        return hooked(self._forward_pre_hooks, (hook, with_kwargs), prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """When the gradients by what the module was given are there, call hook(module, grad_input,
        grad_output), with a gradient, or None, for each argument by place and for each output; what it
        returns, unless None, replaces grad_input. Where no argument wants a gradient it is called when those
        of the outputs are there. The output must be a Tensor or a tuple."""
        return hooked(self._backward_hooks, hook, prepend)

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """When the gradients by what the module gave are there, before they go on, call hook(module,
        grad_output); what it returns, unless None, replaces them."""
        return hooked(self._backward_pre_hooks, hook, prepend)

    def _called_with_hooks(self, args: tuple, kwargs: dict) -> Any:
        """forward, between the hooks."""
        for hook, with_kwargs in list(self._forward_pre_hooks.values()):
            replaced = hook(self, args, kwargs) if with_kwargs else hook(self, args)
            if replaced is None:
                continue
            if not with_kwargs:
                args = replaced if isinstance(replaced, tuple) else (replaced,)
            elif isinstance(replaced, tuple) and len(replaced) == 2:
                args, kwargs = replaced
            else:
                raise RuntimeError(
                    "forward pre-hook must return None or a tuple of (new_args, new_kwargs), "
                    f"but got {replaced}."
                )
        watched = None
        if self._backward_hooks or self._backward_pre_hooks:
            watched = WatchedCall(self, self._backward_hooks.values(), self._backward_pre_hooks.values())
            args = watched.entered(args)
        result, hooks = None, iter(list(self._forward_hooks.values()))
        try:
            result = self.forward(*args, **kwargs)
            for hook, with_kwargs, _ in hooks:
                replaced = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
                result = result if replaced is None else replaced
            result = result if watched is None else watched.left(result)
        finally:  # hooks are left only after an error
            for hook, with_kwargs, always_call in hooks:
                if always_call:
                    hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
        return result

    # ---- state --------------------------------------------------------------------------------

    def _state(self, prefix: str) -> Iterator[tuple[str, Tensor]]:
        """Every parameter and persistent buffer, under each name it has."""
        for name, tensor in (*self._parameters.items(), *self._buffers.items()):
            if tensor is not None and name not in self._non_persistent_buffers_set:
                yield prefix + name, tensor
        for name, module in self._modules.items():
            if module is not None:
                yield from module._state(f"{prefix}{name}.")

    def state_dict(
        self, *, destination: dict | None = None, prefix: str = "", keep_vars: bool = False
    ) -> Any:
        """name → Tensor for all parameters and persistent buffers: detached (but with `keep_vars`
        themselves), on the module's own memory."""
        state = OrderedDict() if destination is None else destination
        for name, tensor in self._state(prefix):
            state[name] = tensor if keep_vars else tensor.detach()
        return state

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> LoadedKeys:
        """Copy in the values of a state_dict; PyTorch's Tensors and NumPy's arrays will do. With
        `assign` their memory and dtype are taken over instead.

        Everything that is wrong with it (not `strict`: except missing and unexpected names) is
        listed in one RuntimeError, and then nothing has been changed.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        own = dict(self._state(""))
        keys = LoadedKeys(
            [name for name in own if name not in state_dict],
            [name for name in state_dict if name not in own],
        )
        wrong, arrays = [], {}
        if strict and keys.missing_keys:
            wrong.append(f"Missing key(s) in state_dict: {quoted(keys.missing_keys)}. ")
        if strict and keys.unexpected_keys:
            wrong.append(f"Unexpected key(s) in state_dict: {quoted(keys.unexpected_keys)}. ")
        for name, tensor in own.items():
            if name not in state_dict:
                continue
            array = arrays[name] = as_numbers(state_dict[name])
            if array is None:
                wrong.append(
                    f'While copying the parameter named "{name}", expected a Tensor or an array, '
                    f"but got {type(state_dict[name]).__name__}."
                )
            elif array.shape != tensor.array.shape:
                wrong.append(
                    f"size mismatch for {name}: copying a param with shape {list(array.shape)} "
                    f"from checkpoint, the shape in current model is {list(tensor.shape)}."
                )
        if wrong:
            lines = "\n\t".join(wrong)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{lines}")
        with no_grad():
            for name, array in arrays.items():
                if assign:
                    own[name].data = Tensor.wrap(array)
                else:
                    own[name].copy_(array)
        return keys

    # ---- showing it ---------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands in the parentheses after the class's name."""
        return ""

    def _child_lines(self) -> list[str]:
        """The lines that show the modules inside."""
        return [f"({name}): {indented(repr(m))}" for name, m in self._modules.items()]

    def __repr__(self):
        extra, inner = self.extra_repr(), self._child_lines()
        if inner or "\n" in extra:
            extra = "\n  " + "\n  ".join([*filter(None, extra.split("\n")), *inner]) + "\n"
        return f"{self._get_name()}({extra})"

    def _get_name(self) -> str:
        """What it is called where it is shown."""
        return type(self).__name__


def once(pairs: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The (name, thing) pairs without those whose thing came before."""
    seen = set()
    for name, thing in pairs:
        if id(thing) not in seen:
            seen.add(id(thing))
            yield name, thing


def joined(prefix: str, name: str) -> str:
    """A dotted name."""
    return f"{prefix}.{name}" if prefix else name


def hooked(hooks: dict, entry: Any, prepend: bool) -> Handle:
    """Enter a hook, as the last or the first one; the handle takes it away."""
    handle = Handle(hooks)
    others = dict(hooks)
    if prepend:
        hooks.clear()
    hooks[handle.key] = entry
    hooks.update(others)
    return handle


def as_numbers(value: Any) -> np.ndarray | None:
    """The array of a Tensor, of anybody's, or None if `value` holds no real numbers."""
    if isinstance(value, Tensor):
        array = value.array
    else:  # PyTorch's parameters refuse np.asarray, until they are detached
        value = value.detach() if hasattr(value, "detach") else value
        array = np.asarray(value) if hasattr(value, "__array__") else None
    return array if array is not None and array.dtype.kind in "biuf" else None


def instead_of(value: Any) -> str:
    """What to write in place of something that is no module."""
    if isinstance(value, type) and issubclass(value, Module):
        return f": write {value.__name__}()"
    if isinstance(value, (list, tuple)):
        return ": give its elements, as in Sequential(*layers)"
    return (
        ": call functions in forward, or take their modules, nn.ReLU() for F.relu" if callable(value) else ""
    )


def quoted(names: Iterable[str]) -> str:
    """Names in a sentence."""
    return ", ".join(f'"{name}"' for name in names)


def indented(text: str) -> str:
    """The lines after the first, two spaces further in."""
    return text.replace("\n", "\n  ")
