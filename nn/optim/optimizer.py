"""Optimizer: groups of parameters, their options, and what is remembered of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from autodiff import Tensor, enable_grad, no_grad


class Optimizer:
    """The base: a subclass defines `update(p, state, group)`, the step of one parameter."""

    def __init__(self, params: Iterable, defaults: dict[str, Any]):
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = defaultdict(dict)
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                "but got a Tensor: write [tensor]"
            )
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, group: dict[str, Any]) -> None:
        """More parameters, with options of their own."""
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p)}")
            if not p.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
        known = {id(p) for other in self.param_groups for p in other["params"]}
        if len({id(p) for p in params}) < len(params):
            raise ValueError("optimizer contains a parameter group with duplicate parameters")
        if any(id(p) in known for p in params):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append({**self.defaults, **group, "params": params})

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad.zero_()

    def step(self, closure: Callable | None = None):
        """Move every parameter that has a gradient. The closure, if any, computes the loss anew."""
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

    def state_dict(self) -> dict[str, Any]:
        """Options and memory, the parameters by number: PyTorch's structure."""
        numbers = {p: k for k, p in enumerate(self.numbered())}
        groups = [
            {**{k: v for k, v in group.items() if k != "params"},
             "params": [numbers[p] for p in group["params"]]}
            for group in self.param_groups
        ]  # fmt: skip
        state = {numbers[p]: dict(s) for p, s in self.state.items() if s}
        return {"state": state, "param_groups": groups}

    def numbered(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from where `state_dict` was called."""
        groups = state_dict["param_groups"]
        if len(groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        for own, loaded in zip(self.param_groups, groups, strict=True):
            if len(own["params"]) != len(loaded["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of "
                    "optimizer's group"
                )
        for own, loaded in zip(self.param_groups, groups, strict=True):
            own.update({k: deepcopy(v) for k, v in loaded.items() if k != "params"})
        numbers = [k for group in groups for k in group["params"]]
        self.state = defaultdict(dict)
        for number, p in zip(numbers, self.numbered(), strict=True):
            if number in state_dict["state"]:
                self.state[p] = {
                    k: v.detach().clone() if isinstance(v, Tensor) else v
                    for k, v in state_dict["state"][number].items()
                }

    def __repr__(self):
        lines = [f"{type(self).__name__} ("]
        for n, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {n}")
            lines += [f"    {k}: {v}" for k, v in sorted(group.items()) if k != "params"]
        return "\n".join([*lines, ")"])


def not_negative(**values: float) -> None:
    """PyTorch's errors for options that must not be negative."""
    for name, value in values.items():
        if not value >= 0:
            raise ValueError(
                f"Invalid {name.replace('_', ' ')}{' value' * (name != 'learning_rate')}: {value}"
            )
