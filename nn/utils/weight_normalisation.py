"""Weights as a direction and a length (Salimans and Kingma 2016)."""

from __future__ import annotations

from typing import Any

from autodiff import Tensor, ops
from autodiff.ops.naming import positive

from ..module import Module, Parameter


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Let the parameter `name` be g·v / ‖v‖, computed before every call, where g and v are the parameters
    `name`_g and `name`_v in its place. The norm is of each slice along `dim`, so each output unit has a
    length of its own; of the whole weight, if `dim` is None."""
    known = vars(module).setdefault("_weight_norms", {})
    if name in known:
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    weight = getattr(module, name)
    delattr(module, name)
    module.register_parameter(f"{name}_g", Parameter(length(weight, dim).detach()))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))

    def compute(module: Module, inputs: Any = None) -> None:
        g, v = getattr(module, f"{name}_g"), getattr(module, f"{name}_v")
        setattr(module, name, v * (g / length(v, dim)))

    compute(module)
    known[name] = compute, module.register_forward_pre_hook(compute)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make `name` a parameter again, of the value that it has now."""
    known = vars(module).get("_weight_norms", {})
    if name not in known:
        raise ValueError(f"weight_norm of '{name}' not found in {module}")
    compute, handle = known.pop(name)
    compute(module)
    handle.remove()
    weight = getattr(module, name)
    for each in (name, f"{name}_g", f"{name}_v"):
        delattr(module, each)
    module.register_parameter(name, Parameter(weight.detach()))
    return module


def length(weight: Tensor, dim: int | None) -> Tensor:
    """The norm of each slice along `dim`, in dimensions of size 1; of all, if it is None, or −1."""
    if dim is None or dim == -1:
        return ops.norm(weight)
    others = tuple(d for d in range(weight.ndim) if d != positive(dim, weight.ndim))
    return ops.norm(weight, 2.0, others, True) if others else ops.abs(weight)
