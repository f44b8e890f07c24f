"""MyGrad."""
# pyright: reportMissingImports=false

from __future__ import annotations

import mygrad as mg
import mygrad.nnet as nnet
import numpy as np

from .base import Adapter
from .numpy_like import numpy_functions


class MyGrad(Adapter):
    """`Tensor.backward(g)`."""

    name, version = "MyGrad", mg.__version__
    abilities = frozenset({"memory"})
    imports = "import numpy\nimport mygrad as np\nimport mygrad.nnet as nnet"
    waived = {"accumulation": "a gradient is cleared, as documented, when its tensor is used again"}

    def __init__(self):
        self.functions = {
            **numpy_functions(mg),
            "relu": lambda x: nnet.activations.relu(x),
            "sigmoid": lambda x: nnet.activations.sigmoid(x),
            "softmax": lambda x, dim: nnet.activations.softmax(x, axis=dim),
            "log_softmax": lambda x, dim: nnet.activations.logsoftmax(x, axis=dim),
        }
        del self.functions["remainder"]  # it is there, and says that it has no derivative

    def variable(self, array):
        return mg.tensor(array, copy=False)

    def constant(self, array):
        if array.dtype.kind != "f":
            return array  # indices and conditions are arrays
        return mg.tensor(array, copy=False, constant=True)

    def array(self, value):
        return value.data if isinstance(value, mg.Tensor) else np.asarray(value)

    def tracked(self, value):
        return isinstance(value, mg.Tensor) and not value.constant

    def backward(self, outputs, cotangents):
        if len(outputs) == 1:
            outputs[0].backward(cotangents[0])
            return
        total = mg.add_sequence(*(mg.sum(y * g) for y, g in zip(outputs, cotangents, strict=True)))
        total.backward()  # one walk for all: it clears the graph

    def gradient(self, variable):
        return getattr(variable, "grad", None)

    def spelled_variable(self, array):
        return f"np.tensor({array.tolist()!r})" if array.size else f"np.zeros({array.shape!r})"

    def spelled_constant(self, array):
        if array.dtype.kind != "f":
            return f"numpy.array({array.tolist()!r})"
        return f"{self.spelled_variable(array)[:-1]}, constant=True)"

    def spelled_walk(self, outputs, gs):
        texts = [g if isinstance(g, str) else repr(g.tolist()) for g in gs]
        pairs = zip(outputs, texts, strict=True)
        return [f"{outputs[0]}.backward({texts[0]})" if len(gs) == 1 else (
            f"({' + '.join(f'np.sum({y} * {g})' for y, g in pairs)}).backward()")]  # fmt: skip

    def spelled_gradient(self, x):
        return f"{x}.grad"

    def spelled_array(self, x):
        return f"numpy.asarray({x})"


ENGINE = MyGrad
