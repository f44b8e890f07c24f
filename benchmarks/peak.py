"""The processor's peak: fused multiply-adds in registers, and nothing else.

Sixteen vectors, each a chain of its own, so that none waits for another; as wide as our kernels' (AVX-512: 16 floats).
"""

# An intrinsic's first parameter is Numba's own: callers leave it out, which pyright does not know.
# pyright: reportCallIssue=false

from __future__ import annotations

import time

from contest import Job
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from autodiff.kernels.vectorised import vector_bytes

CHAINS, COUNT = 16, 200_000
LANES = vector_bytes() // 4
FLOPS = 2 * LANES * CHAINS * COUNT


@intrinsic
def multiply_adds(typing, count, x):
    """`count` rounds of v = v·x + x for each chain; the sum of them all, so that none is left out."""

    def emit(context, builder, signature, arguments):
        count, x = arguments
        kind = ir.VectorType(ir.FloatType(), LANES)
        one = builder.insert_element(ir.Constant(kind, ir.Undefined), x, ir.IntType(32)(0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        x = builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), mask)
        name, signature = f"llvm.fmuladd.v{LANES}f32", ir.FunctionType(kind, [kind] * 3)
        fma = cgutils.get_or_insert_function(builder.module, signature, name)
        start = builder.block
        loop, after = builder.append_basic_block("rounds"), builder.append_basic_block("sum")
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(count.type)
        k.add_incoming(count.type(0), start)
        chains = [builder.phi(kind) for _ in range(CHAINS)]
        following = []
        for c, chain in enumerate(chains):
            chain.add_incoming(ir.Constant(kind, [float(c)] * LANES), start)
            following.append(builder.call(fma, [chain, x, x]))
        for chain, v in zip(chains, following, strict=True):
            chain.add_incoming(v, loop)
        rest = builder.add(k, count.type(1))
        k.add_incoming(rest, loop)
        builder.cbranch(builder.icmp_signed("<", rest, count), loop, after)
        builder.position_at_end(after)
        total = following[0]
        for v in following[1:]:
            total = builder.fadd(total, v)
        return builder.extract_element(total, ir.IntType(32)(0))

    return types.float32(types.int64, types.float32), emit


@njit("float32(int64, float32)", nogil=True)
def rounds(count, x):
    return multiply_adds(count, x)


def job() -> Job:
    """`FLOPS` operations, to be timed in a contest."""
    return Job(lambda: rounds(COUNT, 0.5), lambda y: 0.0)


def gflops(turns: int = 20) -> float:
    """GFLOP/s of one core: the best of some turns of a few milliseconds."""
    best = float("inf")
    for _ in range(turns):
        begin = time.perf_counter()
        rounds(COUNT, 0.5)
        best = min(best, time.perf_counter() - begin)
    return FLOPS / best * 1e-9


if __name__ == "__main__":
    print(f"{gflops():.1f} GFLOP/s, one core, vectors of {LANES} floats")
