"""Kernels: the loops that do the arithmetic, each beside the NumPy twin it must agree with.

Nothing here knows about Tensors or derivatives. Numba is imported when a compiled kernel is first
asked for, never before; without it the NumPy twins serve.
"""

from __future__ import annotations

from . import convolution, elementwise, pooling, scatter, softmax, updates
from .gemm import RUNGS, linear, matmul, rung, use
from .report import info
from .threads import get_num_threads, limit_blas_at_import, set_num_threads

__all__ = [
    "RUNGS", "convolution", "elementwise", "get_num_threads", "info", "linear", "matmul", "pooling", "rung", "scatter",
    "set_num_threads", "softmax", "updates", "use",
]  # fmt: skip

limit_blas_at_import()
