"""Optimizer: groups of parameters, their options, and what is remembered of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from autodiff import Tensor, enable_grad, no_grad
from autodiff.tensor import Handle

from ..gradients import clear_gradient


class Optimizer:
    """The base of all optimisers. A subclass defines `update(p, state, group)`, the step of one
    parameter, which may keep what it needs in the dict `state`; or a `step` of its own.

    `params` are Tensors, or (name, Tensor) pairs, or dicts: groups of them with options of their own.

    Options of PyTorch's that choose between implementations of one step (`foreach`, `fused`,
    `capturable`) are accepted and kept: here there is one.
    """

    shaped_as_parameter: tuple[str, ...] = ()  # what is remembered of p in an array of its shape
    of_own_dtype: tuple[str, ...] = ()  # and what does not take p's dtype

    def __init__(self, params: Iterable, defaults: dict[str, Any]):
        self.defaults = defaults
        self._step_pre_hooks: dict[int, Callable] = {}
        self._step_post_hooks: dict[int, Callable] = {}
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = defaultdict(dict)
        if isinstance(params, (Tensor, Mapping)) or not isinstance(params, Iterable):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got {type(params).__name__}: write "
                f"{'[tensor]' if isinstance(params, Tensor) else 'model.parameters()'}"
            )
        check_ordered(params)
        groups = list(params)
        if not groups:
            raise ValueError(
                "optimizer got an empty parameter list: either the model knows of no layers (keep them in an "
                "nn.ModuleList, not in a list), or model.parameters(), a generator, was used up before"
            )
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """More parameters, under "params", with options of their own."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        check_ordered(params)
        params = [params] if isinstance(params, Tensor) else list(params)
        names = {}
        if params and all(isinstance(p, tuple) and len(p) == 2 for p in params):
            names = {"param_names": [name for name, _ in params]}
            params = [p for _, p in params]
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}"
                )
            if not p.is_leaf:
                raise ValueError(
                    f"can't optimize a non-leaf Tensor: this one is the result of {p.grad_fn}. Give the leaves that "
                    "it is computed from, or write .detach().requires_grad_() behind it"
                )
        if len({id(p) for p in params}) < len(params):
            raise ValueError("optimizer contains a parameter group with duplicate parameters")
        if not {id(p) for p in self.all_params()}.isdisjoint(map(id, params)):
            raise ValueError("some parameters appear in more than one parameter group")
        group = {**self.defaults, **param_group, **names, "params": params}
        self.check(group)
        self.param_groups.append(group)

    def check(self, group: dict[str, Any]) -> None:
        """Raise a ValueError if the options of a group make no sense."""
        if group.get("differentiable"):
            raise ValueError(
                "differentiable=True: an optimiser's step writes to memory and is never recorded. Write "
                "the step with operations instead: p = p - lr * autograd.grad(loss, p, create_graph=True)[0]"
            )

    def all_params(self) -> list[Tensor]:
        """The parameters of all groups, in order."""
        return [p for group in self.param_groups for p in group["params"]]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                clear_gradient(p, set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient. `closure`, if there is one, computes the loss
        and the gradients first; its result is returned."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        self.update(p, self.state[p], group)
        return loss

    def update(self, p: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """The step of one parameter."""
        raise NotImplementedError(f"{type(self).__name__} needs a method update(p, state, group)")

    # ---- hooks --------------------------------------------------------------------------------

    def register_step_pre_hook(self, hook: Callable) -> Handle:
        """Before every step, call hook(optimizer, args, kwargs), where args are what `step` is given, the
        optimiser first; what it returns, unless None, replaces (args, kwargs). The handle's remove() takes
        it away."""
        return self._hooked(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable) -> Handle:
        """After every step, call hook(optimizer, args, kwargs)."""
        return self._hooked(self._step_post_hooks, hook)

    def _hooked(self, hooks: dict[int, Callable], hook: Callable) -> Handle:
        """Enter a hook; the handle takes it away."""
        vars(self)["step"] = self._step_with_hooks  # over the class's own; without hooks nothing is looked up
        handle = Handle(hooks)
        hooks[handle.key] = hook
        return handle

    def _step_with_hooks(self, *args, **kwargs) -> Any:
        """`step`, between the hooks."""
        given: Any = (self, *args)
        for hook in list(self._step_pre_hooks.values()):
            replaced = hook(self, given, kwargs)
            if replaced is None:
                continue
            if not isinstance(replaced, tuple) or len(replaced) != 2:
                raise RuntimeError(
                    f"{hook} must return None or a tuple of (new_args, new_kwargs), but got {replaced}."
                )
            given, kwargs = replaced
        result = type(self).step(*given, **kwargs)
        for hook in list(self._step_post_hooks.values()):
            hook(self, given, kwargs)
        return result

    # ---- state --------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """PyTorch's structure: {"state": {0: {…}, …}, "param_groups": [{…, "params": [0, …]}, …]},
        parameters by number, Tensors not copied."""
        numbers = {id(p): k for k, p in enumerate(self.all_params())}
        return {
            "state": {numbers[id(p)]: dict(state) for p, state in self.state.items() if state},
            "param_groups": [
                {**group, "params": [numbers[id(p)] for p in group["params"]]} for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from where `state_dict()` was called, in PyTorch's optimiser if need be. What does
        not fit is an error, and changes nothing."""
        if not {"state", "param_groups"} <= set(state_dict):
            raise KeyError(f"this is no optimiser's state_dict: it has {', '.join(map(str, state_dict))}")
        groups = state_dict["param_groups"]
        if len(groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        for own, loaded in zip(self.param_groups, groups, strict=True):
            if len(own["params"]) != len(loaded["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of "
                    "optimizer's group"
                )
        numbers = [number for group in groups for number in group["params"]]
        state = {
            p: {name: self._restored(value, p, name) for name, value in state_dict["state"][number].items()}
            for number, p in zip(numbers, self.all_params(), strict=True)
            if number in state_dict["state"]
        }
        for own, loaded in zip(self.param_groups, groups, strict=True):
            own.update({name: deepcopy(value) for name, value in loaded.items() if name != "params"})
        self.state = defaultdict(dict, state)

    def _restored(self, value: Any, p: Tensor, name: str) -> Any:
        """A copy of what was remembered of p, its arrays in p's dtype; the count of steps, which is a
        floating-point number in PyTorch, as a whole one."""
        if name == "step":
            return Tensor(int(value))
        if isinstance(value, (list, tuple)):
            return type(value)(self._restored(each, p, name) for each in value)
        if not hasattr(value, "__array__") or isinstance(value, np.generic):
            return deepcopy(value)
        array = value.array if isinstance(value, Tensor) else np.asarray(value)
        if name in self.shaped_as_parameter and array.shape != p.array.shape:
            raise ValueError(
                f"size mismatch for the optimizer's '{name}': the loaded one has shape "
                f"{list(array.shape)}, the parameter {list(p.shape)}"
            )
        takes_ps = array.dtype.kind == "f" and name not in self.of_own_dtype
        return Tensor.wrap(np.array(array, p.dtype if takes_ps else None))

    def __repr__(self):
        text = f"{type(self).__name__} ("
        for n, group in enumerate(self.param_groups):
            lines = [f"    {name}: {group[name]}\n" for name in sorted(group) if name != "params"]
            text += f"\nParameter Group {n}\n{''.join(lines)}"
        return text + ")"


def check_ordered(params: Any) -> None:
    """PyTorch's error for parameters in a set, whose order is not the same in every run."""
    if isinstance(params, (set, frozenset)):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but the ordering of "
            "tensors in sets will change between runs. Please use a list instead."
        )


def check_not_negative(group: dict[str, Any], **options: str) -> None:
    """PyTorch's errors for options that must not be negative, by what they are called there."""
    for name, title in options.items():
        if isinstance(group[name], str) or not group[name] >= 0:
            raise ValueError(f"Invalid {title}: {group[name]!r}")
