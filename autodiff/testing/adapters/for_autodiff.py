"""This engine."""

from __future__ import annotations

from ..._version import __version__
from ..engine import Autodiff
from .base import Adapter, text_of_array


class Ours(Autodiff, Adapter):
    """The kit's own engine, with how it is written."""

    version = __version__
    imports = "import numpy as np\nimport autodiff as ad"

    def spelled(self, name):
        import autodiff

        return f"ad.{name}" if hasattr(autodiff, name) else f'ad.primitive.table["{name}"]'

    def spelled_constant(self, array):
        return f"ad.Tensor({text_of_array(array)})"

    def spelled_variable(self, array):
        return f"{self.spelled_constant(array)}.requires_grad_()"

    def spelled_walk(self, outputs, gs):
        back = ", ".join(map(self.spelled_constant, gs))
        return [f"{outputs[0]}.backward({back})" if len(gs) == 1 else (
            f"ad.autograd.backward([{', '.join(outputs)}], [{back}])")]  # fmt: skip

    def spelled_gradient(self, x):
        return f"{x}.grad"

    def spelled_array(self, x):
        return f"{x}.array"

    def spelled_gradient_array(self, x):
        return self.spelled_array(self.spelled_gradient(x))

    spelled_grad, spelled_jvp = "ad.grad({f}, ({n},))", "ad.jvp({f}, {xs}, {ts})[1]"


ENGINE = Ours
