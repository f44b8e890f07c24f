"""PyTorch, on the CPU."""
# pyright: reportMissingImports=false

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from .. import blame
from ..operations import OPERATIONS
from .base import Adapter

PLACES = {"torch": torch, "F": F, "torch.Tensor": torch.Tensor}  # where PyTorch keeps its operations
OTHER_PLACES = {  # for those that several places have, called in several ways
    "permute": "torch.Tensor", "tile": "torch.Tensor", "batch_norm": "F", "layer_norm": "F", "conv2d": "F",
    "max_pool1d": "F", "max_pool2d": "F",
}  # fmt: skip
OTHER_NAMES = {"log_sigmoid": "logsigmoid", "getitem": "__getitem__"}


class PyTorch(Adapter):
    """`torch.autograd.backward`, and `torch.func` for forward mode and second order."""

    name, version = "PyTorch", torch.__version__
    abilities = frozenset({"forward mode", "second order", "memory"})
    imports = "import torch\nimport torch.nn.functional as F"

    documented = {
        "scatter": (
            "where an index repeats, the gradient goes to every source of it",
            lambda x, dim, index, source: repeats(index),
        ),
    }

    def __init__(self):
        torch.set_num_threads(1)  # the arrays are small: handing them to threads costs more than it gives
        self.functions = {
            "T": lambda x: x.T,
            "mT": lambda x: x.mT,
            "flip": lambda x, dim: torch.flip(x, (dim,)),
            "cross_entropy": lambda x, target: F.cross_entropy(x, target, reduction="none"),
        }
        self.texts = {name: blame.text_of(f) for name, f in self.functions.items()}
        for name in OPERATIONS:
            called = OTHER_NAMES.get(name, name)
            places = [OTHER_PLACES[name]] if name in OTHER_PLACES else PLACES
            place = next((p for p in places if callable(getattr(PLACES[p], called, None))), None)
            if place and name not in {*self.functions, "put"}:  # put: a part of our rules, of another kind
                self.functions[name] = getattr(PLACES[place], called)
                self.texts[name] = f"{place}.{called}"

    def constant(self, array):
        """In the array's own memory, where PyTorch can look at it."""
        array = np.asarray(array)
        if array.flags.writeable and array.flags.aligned and min(array.strides, default=0) >= 0:
            return torch.from_numpy(array)
        return torch.tensor(array.copy())

    def variable(self, array):
        return self.constant(array).requires_grad_()

    def array(self, value):
        return value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)

    def tracked(self, value):
        return isinstance(value, torch.Tensor) and value.requires_grad

    def backward(self, outputs, cotangents):
        # A gradient may lie in the memory of the cotangent that was given: this one is given away.
        given = [torch.tensor(np.array(g)) for g in cotangents]
        torch.autograd.backward(list(outputs), given)
        for g, seen in zip(cotangents, given, strict=True):
            if g.flags.writeable:
                g[...] = seen.numpy()  # with what a rule has written to it

    def gradient(self, variable):
        grad = getattr(variable, "grad", None)
        return None if grad is None else grad.detach().numpy()

    # ---- forward mode, second order -----------------------------------------------------------------

    def flows(self, result):
        several = result if isinstance(result, (tuple, list)) else (result,)
        return tuple(y for y in several if isinstance(y, torch.Tensor) and y.is_floating_point())

    def jvp(self, f, xs, ts):
        return [t.detach().numpy(force=True) for t in self.tangents(f, self.given(xs), self.given(ts))]

    def given(self, arrays):
        return tuple(torch.tensor(np.array(a)) for a in arrays)

    def tangents(self, f, xs, ts):
        return torch.func.jvp(lambda *x: self.flows(f(*x)), tuple(xs), ts)[1]

    def weighted(self, f, gs):
        return lambda *x: sum((y * g).sum() for y, g in zip(self.flows(f(*x)), self.given(gs), strict=True))

    def grad(self, f, xs):
        return torch.func.grad(f, argnums=tuple(range(len(xs))))(*xs)

    def reverse_over_reverse(self, f, xs, gs, us):
        """By torch.autograd, which takes an autograd.Function in every form; torch.func does not. The
        cotangents want a gradient too: what is marked once_differentiable says so only then."""
        inputs, weights = ([x.requires_grad_() for x in self.given(arrays)] for arrays in (xs, gs))
        rest: Any = {"allow_unused": True, "materialize_grads": True}
        y: Any = sum((y * g).sum() for y, g in zip(self.flows(f(*inputs)), weights, strict=True))
        first = torch.autograd.grad(y, inputs, create_graph=True, **rest)
        slope: Any = sum((h * u).sum() for h, u in zip(first, self.given(us), strict=True))
        if not slope.requires_grad:
            return [np.zeros_like(x) for x in xs]
        return [h.numpy(force=True) for h in torch.autograd.grad(slope, inputs, **rest)]

    def forward_over_reverse(self, f, xs, gs, us):
        found = self.tangents(lambda *x: self.grad(self.weighted(f, gs), x), self.given(xs), self.given(us))
        return [h.detach().numpy(force=True) for h in found]

    def reverse_over_forward(self, f, xs, gs, us):
        def slope(*x):
            moved = self.tangents(f, x, self.given(us))
            return sum((t * g).sum() for t, g in zip(moved, self.given(gs), strict=True))

        return [h.detach().numpy(force=True) for h in self.grad(slope, self.given(xs))]

    # ---- how it is written ------------------------------------------------------------------------

    def spelled(self, name):
        return self.texts[name]

    def spelled_constant(self, array):
        if isinstance(array, str):
            return f"torch.from_numpy({array})"
        dtype = {"i": "torch.int64", "b": "torch.bool"}.get(array.dtype.kind, f"torch.{array.dtype.name}")
        text = f"torch.tensor({array.tolist()!r}, dtype={dtype}"
        return (text if array.size else f"torch.zeros({array.shape!r}, dtype={dtype}") + ")"

    def spelled_variable(self, array):
        return self.spelled_constant(array)[:-1] + ", requires_grad=True)"

    def spelled_walk(self, outputs, gs):
        back = ", ".join(map(self.spelled_constant, gs))
        return [f"{outputs[0]}.backward({back})" if len(gs) == 1 else (
            f"torch.autograd.backward([{', '.join(outputs)}], [{back}])")]  # fmt: skip

    def spelled_gradient(self, x):
        return f"{x}.grad"

    def spelled_array(self, x):
        return f"{x}.detach().numpy()"

    def spelled_gradient_array(self, x):
        return self.spelled_array(self.spelled_gradient(x))

    spelled_grad = "torch.func.grad({f}, ({n},))"
    spelled_jvp = "torch.func.jvp({f}, tuple({xs}), tuple({ts}))[1]"


def repeats(index: np.ndarray) -> bool:
    """May the index name a place more than once?"""
    return index.size > len(np.unique(index))


warnings.filterwarnings("ignore", module="torch")

ENGINE = PyTorch
