"""What generated programs call: a few small functions that are Python to Python and machine code to
machine code. Importing this imports Numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload, register_jitable
from numba.np.numpy_support import as_dtype

from . import vectorised
from .vectorised import ACCUMULATE, BIAS, GATE, RELU, SCALE


@register_jitable
def maximum(a, b):
    """The larger; NaN if either is."""
    return a if a >= b or a != a else b


@register_jitable
def minimum(a, b):
    """The smaller; NaN if either is."""
    return a if a <= b or a != a else b


@register_jitable
def wrapped(k, n):
    """An index counted from the end if it is negative, as Python has it."""
    return k + n if k < 0 else k


@register_jitable
def sum_in_pairs(a):
    """The sum of a vector as NumPy adds it up: in pieces of at most 128 numbers, whose sums are added in
    pairs. The error grows with the logarithm of the length."""
    # The pieces are the leaves of a tree. Of each node above the piece at hand, by its depth: where its right half
    # begins and ends, whether that is still to be added up, and the sum of the left half, once it is known.
    rights, lefts = np.empty((64, 3), np.int64), np.empty(64, a.dtype)
    start, end, depth = 0, len(a), 0
    while True:
        while end - start > 128:
            half = (end - start) // 2
            half -= half % 8
            rights[depth, 0], rights[depth, 1], rights[depth, 2] = start + half, end, 1
            depth += 1
            end = start + half
        total = sum_in_eights(a[start:end])
        while depth > 0 and rights[depth - 1, 2] == 0:
            depth -= 1
            total = lefts[depth] + total
        if depth == 0:
            return total
        lefts[depth - 1], rights[depth - 1, 2] = total, 0
        start, end = rights[depth - 1, 0], rights[depth - 1, 1]


@register_jitable
def sum_in_eights(a):
    """The sum of at most 128 numbers: of eight sums, each of every eighth number. (NumPy's inner loop.)"""
    n = len(a)
    whole = n - n % 8
    total = a.dtype.type(0)
    if whole:
        r0, r1, r2, r3, r4, r5, r6, r7 = a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
        for k in range(8, whole, 8):
            r0 += a[k]
            r1 += a[k + 1]
            r2 += a[k + 2]
            r3 += a[k + 3]
            r4 += a[k + 4]
            r5 += a[k + 5]
            r6 += a[k + 6]
            r7 += a[k + 7]
        total = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
    for k in range(whole, n):
        total += a[k]
    return total


# ---- products of matrices, with what is wanted next while the numbers are still in registers -------------------
# `team` and `threads` say who works: an address and a number, or 0, 1 for the caller alone. Python ignores them.


def matmul(a, b, out, team, threads):
    """out = a @ b, for matrices that lie in memory in any way."""
    np.matmul(a, b, out=out)


def matmul_bias(a, b, bias, out, team, threads):
    """out = a @ b + bias."""
    np.add(a @ b, bias, out=out)


def matmul_bias_relu(a, b, bias, out, team, threads):
    """out = max(a @ b + bias, 0)."""
    np.maximum(a @ b + bias, 0, out=out)


def matmul_gate(a, b, gate, out, team, threads):
    """out = a @ b where gate is not 0, else 0: the gradient of relu, whose result that is."""
    out[...] = np.where(gate != 0, a @ b, out.dtype.type(0))


def matmul_descend(a, b, rate, out, team, threads):
    """out = out - rate * (a @ b): a step down the gradient."""
    out -= rate * (a @ b)


def ready(dtypes) -> None:
    """See to it that machine code which multiplies matrices of these dtypes can be loaded."""
    for dtype in dtypes:
        vectorised.external(np.dtype(dtype))


def kernel_for(a, b, out) -> Any:
    """The kernel to link to; None for what it can't take."""
    alike = a.dtype == b.dtype == out.dtype
    if not alike or out.layout != "C" or out.dtype not in (types.float32, types.float64):
        return None
    return vectorised.external(as_dtype(out.dtype))


@overload(matmul)
def _matmul(a, b, out, team, threads):
    gemm = kernel_for(a, b, out)
    if gemm is None:
        return by_definition

    def multiply(a, b, out, team, threads):
        gemm(a.shape[0], b.shape[1], a.shape[1], a.ctypes.data, a.strides[0], a.strides[1],
             b.ctypes.data, b.strides[0], b.strides[1], out.ctypes.data, out.strides[0],
             0, 1.0, 0, 0, 0, team, threads)  # fmt: skip

    return multiply


def with_bias(steps: int):
    """The machine code of a product with a bias, and what else the steps say."""

    def typed(a, b, bias, out, team, threads):
        gemm = kernel_for(a, b, out)

        def multiply(a, b, bias, out, team, threads):
            gemm(a.shape[0], b.shape[1], a.shape[1], a.ctypes.data, a.strides[0], a.strides[1],
                 b.ctypes.data, b.strides[0], b.strides[1], out.ctypes.data, out.strides[0],
                 steps, 1.0, bias.ctypes.data, 0, 0, team, threads)  # fmt: skip

        return multiply

    return typed


overload(matmul_bias)(with_bias(BIAS))
overload(matmul_bias_relu)(with_bias(BIAS | RELU))


@overload(matmul_gate)
def _matmul_gate(a, b, gate, out, team, threads):
    gemm = kernel_for(a, b, out)

    def multiply(a, b, gate, out, team, threads):
        gemm(a.shape[0], b.shape[1], a.shape[1], a.ctypes.data, a.strides[0], a.strides[1],
             b.ctypes.data, b.strides[0], b.strides[1], out.ctypes.data, out.strides[0],
             GATE, 1.0, 0, gate.ctypes.data, gate.strides[0], team, threads)  # fmt: skip

    return multiply


@overload(matmul_descend)
def _matmul_descend(a, b, rate, out, team, threads):
    gemm = kernel_for(a, b, out)

    def multiply(a, b, rate, out, team, threads):
        gemm(a.shape[0], b.shape[1], a.shape[1], a.ctypes.data, a.strides[0], a.strides[1],
             b.ctypes.data, b.strides[0], b.strides[1], out.ctypes.data, out.strides[0],
             SCALE | ACCUMULATE, -float(rate), 0, 0, 0, team, threads)  # fmt: skip

    return multiply


def by_definition(a, b, out, team, threads):
    """`matmul` of what no kernel takes: integers, say."""
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            total = out.dtype.type(0)
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            out[i, j] = total
