"""Writing to memory, which in-place operators and optimisers do: never recorded, always noted."""

from __future__ import annotations

from ..kernels import updates as kernels
from ..primitive import update


def _assign(target, value):
    """target ← value, in target's own memory."""
    target[...] = value


assign = update("assign", _assign, "target value")
sgd_step = update("sgd_step", kernels.sgd, "p g velocity")
adam_step = update("adam_step", kernels.adam, "p g mean square largest")
