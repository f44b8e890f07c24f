"""This engine."""

from __future__ import annotations

from ..._version import __version__
from .. import blame
from ..engine import Autodiff
from .base import Adapter


class Ours(Autodiff, Adapter):
    """The kit's own engine, with how it is written."""

    version = __version__
    imports = "import numpy as np\nimport autodiff as ad"

    def spelled(self, name):
        import autodiff

        return f"ad.{name}" if hasattr(autodiff, name) else f'ad.primitive.table["{name}"]'

    def spelled_constant(self, array):
        return f"ad.Tensor({blame.literal(array)})"

    def spelled_variable(self, array):
        return f"{self.spelled_constant(array)}.requires_grad_()"

    def spelled_run(self, inputs, body, outputs, gs):
        back = ", ".join(map(self.spelled_constant, gs))
        walk = f"{outputs[0]}.backward({back})" if len(gs) == 1 else (
            f"ad.autograd.backward([{', '.join(outputs)}], [{back}])")  # fmt: skip
        return [*body, walk, f"print({', '.join(f'{x}.grad' for x in inputs)})"]


ENGINE = Ours
