"""Kernels: the loops that do the arithmetic, each beside the NumPy twin it must agree with.

Nothing here knows about Tensors or derivatives. Numba is imported when a compiled kernel is first
asked for, never before; without it the NumPy twins serve.
"""

from __future__ import annotations

from . import convolution, elementwise, scatter, softmax, updates
from .matmul import RUNGS, info, matmul, use
from .threads import get_num_threads, set_num_threads

__all__ = [
    "RUNGS", "convolution", "elementwise", "get_num_threads", "info", "matmul", "scatter",
    "set_num_threads", "softmax", "updates", "use",
]  # fmt: skip
