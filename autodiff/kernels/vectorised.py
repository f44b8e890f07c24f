"""Matrix multiplication on a tile of registers: SIMD vectors written out, through Numba, in LLVM's language.

    out = a @ b, and what is wanted next, while the tile is still in registers

For Python there is `rung("vectorised", dtype)`. Compiled code calls the same machine code:

    gemm = vectorised.external(np.float32)      # compiles it or loads it, and gives it a name to link to

    @njit
    def layer(x, weight, bias, y):              # y = relu(x @ weight + bias)
        gemm(x.shape[0], weight.shape[1], x.shape[1],
             x.ctypes.data, x.strides[0], x.strides[1],
             weight.ctypes.data, weight.strides[0], weight.strides[1],
             y.ctypes.data, y.strides[0],
             BIAS | RELU, np.float32(1), bias.ctypes.data, 0, 0, 0, 1)

The caller is compiled without the kernel inside it: nothing is compiled twice. The arguments:

    m, n, k                    out is m by n, k terms to a sum
    a, a_row, a_column         an address, and the bytes from one row and from one column to the next:
    b, b_row, b_column         what lies in memory transposed or strided is read where it lies
    out, out_row               the columns of out lie side by side
    steps                      which of the steps below are taken, in this order, as a sum of flags
    factor                     SCALE: x = factor * x
                               ACCUMULATE: x = out + x; with factor = -lr a step of gradient descent
    bias                       BIAS: x = x + bias[column], contiguous
                               RELU: x = 0 where x <= 0
    gate, gate_row             GATE: x = 0 unless gate[row, column] > 0: the gradient of RELU
    part, parts                of `parts` calls, which may be made by as many threads, each computes
                               its own part of out; 0, 1 computes all. They need the same other arguments

What a step does not need may be 0. The element of out at (i, j) is rounded in the same way in any
layout, for any number of parts and in any matrix that has the same row i of a and column j of b: the
terms are added in the order of k, by fused multiply-adds, in chains of at most CHAIN terms, and each
chain is added to out when complete (so with k > CHAIN, SCALE and ACCUMULATE are done to each chain, and
the other steps after the last).
"""

from __future__ import annotations

import os
from functools import cache

import numpy as np
from llvmlite import binding, ir
from numba import from_dtype, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from . import jit

ACCUMULATE, SCALE, BIAS, RELU, GATE = 1, 2, 4, 8, 16  # the steps
CHAIN = 320
BLOCK_ROWS = 120
BLOCK_COLUMNS = 4096
VARIABLE = "AUTODIFF_VECTOR_BYTES"  # 64, 32 or 16 forces a width, for tests

I32, I64 = ir.IntType(32), ir.IntType(64)


def element_of(element) -> ir.Type:
    """LLVM's type of a Numba type."""
    return ir.FloatType() if element == types.float32 else ir.DoubleType()


@intrinsic
def size_of(typing, like):
    """The bytes of an element."""
    return types.int64(like), lambda context, builder, signature, arguments: I64(like.bitwidth // 8)


@intrinsic
def copy_element(typing, target, source, like):
    """The element at address `source`, to address `target`."""

    def emit(context, builder, signature, arguments):
        pointer = element_of(like).as_pointer()
        value = builder.load(builder.inttoptr(arguments[1], pointer))
        builder.store(value, builder.inttoptr(arguments[0], pointer))
        return context.get_dummy_value()

    return types.void(target, source, like), emit


@intrinsic
def put_zero(typing, target, like):
    """Zero to address `target`."""

    def emit(context, builder, signature, arguments):
        element = element_of(like)
        builder.store(element(0.0), builder.inttoptr(arguments[0], element.as_pointer()))
        return context.get_dummy_value()

    return types.void(target, like), emit


@intrinsic(prefer_literal=True)
def copy_strip(typing, width, target, source, source_row, rows, like):
    """Rows of two vectors, put one after the other."""
    lanes, size = width.literal_value, like.bitwidth // 8

    def emit(context, builder, signature, arguments):
        _, target, source, source_row, rows, _ = arguments
        pointer = ir.VectorType(element_of(like), lanes).as_pointer()
        with cgutils.for_range(builder, rows) as loop:
            come_from = builder.add(source, builder.mul(loop.index, source_row))
            go_to = builder.add(target, builder.mul(loop.index, I64(2 * lanes * size)))
            for offset in (I64(0), I64(lanes * size)):
                vector = builder.load(builder.inttoptr(builder.add(come_from, offset), pointer), align=size)
                builder.store(vector, builder.inttoptr(builder.add(go_to, offset), pointer), align=size)
        return context.get_dummy_value()

    return types.void(width, *[types.int64] * 4, like), emit


@intrinsic(prefer_literal=True)
def transpose_block(typing, width, target, target_row, source, source_row, like):
    """A square of as many rows as a vector has lanes, transposed."""
    lanes, size = width.literal_value, like.bitwidth // 8

    def emit(context, builder, signature, arguments):
        _, target, target_row, source, source_row, _ = arguments
        pointer = ir.VectorType(element_of(like), lanes).as_pointer()
        at = lambda address, row, i: builder.inttoptr(builder.add(address, builder.mul(row, I64(i))), pointer)
        rows = [builder.load(at(source, source_row, i), align=size) for i in range(lanes)]
        half = lanes // 2
        picks = [[base + q // 2 + q % 2 * lanes for q in range(lanes)] for base in (0, half)]
        low, high = (ir.Constant(ir.VectorType(I32, lanes), pick) for pick in picks)
        for _ in range(lanes.bit_length() - 1):
            rows = [
                builder.shuffle_vector(rows[i], rows[i + half], pick)
                for i in range(half)
                for pick in (low, high)
            ]
        for i, row in enumerate(rows):
            builder.store(row, at(target, target_row, i), align=size)
        return context.get_dummy_value()

    return types.void(width, *[types.int64] * 4, like), emit


@intrinsic(prefer_literal=True)
def tile(typing, width, height, rows, columns, depth, a, a_row, a_column, b, b_row, out, out_row,
         steps, factor, bias, gate, gate_row):  # fmt: skip
    """One tile of out, at most `height` rows and two vectors of columns."""
    signature = types.void(width, height, *[types.int64] * 11, factor, *[types.int64] * 3)
    lanes, tallest = width.literal_value, height.literal_value

    def emit(context, builder, signature, arguments):
        emit_tile(builder, lanes, tallest, factor, *arguments[2:])
        return context.get_dummy_value()

    return signature, emit


def emit_tile(bld, W, H, like, rows, columns, depth, a, a_row, a_column, b, b_row, c, c_row, steps, factor,
              bias, gate, gate_row):  # fmt: skip
    element = element_of(like)
    size = like.bitwidth // 8
    V = ir.VectorType(element, W)
    M = ir.VectorType(ir.IntType(1), W)
    VI = ir.VectorType(I64, W)
    name = f"v{W}f{8 * size}"
    declare = lambda name, result, *inputs: cgutils.get_or_insert_function(
        bld.module, ir.FunctionType(result, inputs), name
    )
    fma = declare(f"llvm.fmuladd.{name}", V, V, V, V)
    masked_load = declare(f"llvm.masked.load.{name}.p0", V, V.as_pointer(), I32, M, V)
    masked_store = declare(f"llvm.masked.store.{name}.p0", ir.VoidType(), V, V.as_pointer(), I32, M)
    zero = ir.Constant(V, [0.0] * W)
    und = ir.Constant(V, ir.Undefined)
    zi = ir.Constant(ir.VectorType(I32, W), [0] * W)
    splat = lambda s: bld.shuffle_vector(bld.insert_element(und, s, I32(0)), und, zi)
    at = lambda ad, off=0: bld.inttoptr(bld.add(ad, I64(off)) if off else ad, V.as_pointer())
    vec = lambda ad, off=0: bld.load(at(ad, off), align=size)
    done = bld.append_basic_block("done")
    bad = bld.append_basic_block("none")
    sel = bld.add(bld.mul(rows, I64(2)), bld.zext(bld.icmp_signed(">", columns, I64(W)), I64))
    sw = bld.switch(sel, bad)
    with bld.goto_block(bad):
        bld.unreachable()
    for h in range(1, H + 1):
        for nv in (1, 2):
            blk = bld.append_basic_block(f"tile{h}x{nv}")
            sw.add_case(I64(2 * h + nv - 1), blk)
            bld.position_at_end(blk)
            acc = [[cgutils.alloca_once(bld, V) for v in range(nv)] for r in range(h)]
            each = [(r, v, acc[r][v]) for r in range(h) for v in range(nv)]
            for _, _, x in each:
                bld.store(zero, x)
            arows = [bld.add(a, bld.mul(a_row, I64(r))) for r in range(h)]

            def step(k):
                brow = bld.add(b, bld.mul(k, b_row))
                off = bld.mul(k, a_column)
                bs = [vec(brow, v * W * size) for v in range(nv)]
                for r in range(h):
                    s = splat(
                        bld.load(bld.inttoptr(bld.add(arows[r], off), element.as_pointer()), align=size)
                    )
                    for v in range(nv):
                        bld.store(bld.call(fma, [s, bs[v], bld.load(acc[r][v])]), acc[r][v])

            with cgutils.for_range(bld, bld.ashr(depth, I64(1))) as loop:
                k = bld.shl(loop.index, I64(1))
                step(k)
                step(bld.add(k, I64(1)))
            with bld.if_then(bld.trunc(depth, ir.IntType(1))):
                step(bld.sub(depth, I64(1)))
            crows = [bld.add(c, bld.mul(c_row, I64(r))) for r in range(h)]
            grows = [bld.add(gate, bld.mul(gate_row, I64(r))) for r in range(h)]
            full = bld.icmp_signed("==", columns, I64(nv * W))
            cols = bld.shuffle_vector(
                bld.insert_element(ir.Constant(VI, ir.Undefined), columns, I32(0)),
                ir.Constant(VI, ir.Undefined),
                zi,
            )
            masks = [
                bld.icmp_signed("<", ir.Constant(VI, [v * W + q for q in range(W)]), cols) for v in range(nv)
            ]
            flag = lambda f: bld.if_then(bld.icmp_signed("!=", bld.and_(steps, I64(f)), I64(0)))

            def combine(address, f):
                with bld.if_else(full) as (yes, no):
                    with yes:
                        for r, v, x in each:
                            bld.store(f(bld.load(x), vec(address(r), v * W * size)), x)
                    with no:
                        for r, v, x in each:
                            y = bld.call(
                                masked_load, [at(address(r), v * W * size), I32(size), masks[v], zero]
                            )
                            bld.store(f(bld.load(x), y), x)

            with flag(SCALE):
                al = splat(factor)
                for _, _, x in each:
                    bld.store(bld.fmul(bld.load(x), al), x)
            with flag(ACCUMULATE):
                combine(lambda r: crows[r], lambda x, y: bld.fadd(y, x))
            with flag(BIAS):
                combine(lambda r: bias, lambda x, y: bld.fadd(x, y))
            with flag(RELU):
                for _, _, x in each:
                    value = bld.load(x)
                    bld.store(bld.select(bld.fcmp_ordered("<=", value, zero), zero, value), x)
            with flag(GATE):
                combine(lambda r: grows[r], lambda x, y: bld.select(bld.fcmp_ordered(">", y, zero), x, zero))
            with bld.if_else(full) as (yes, no):
                with yes:
                    for r, v, x in each:
                        bld.store(bld.load(x), at(crows[r], v * W * size), align=size)
                with no:
                    for r, v, x in each:
                        bld.call(masked_store, [bld.load(x), at(crows[r], v * W * size), I32(size), masks[v]])
            bld.branch(done)
    bld.position_at_end(done)


@njit
def pack(target, target_row, rows, columns, padded, source, source_row, source_column, like):
    """A dense copy, whose rows are filled up with zeros to `padded` columns."""
    size = size_of(like)
    for r in range(rows):
        for q in range(columns):
            copy_element(
                target + r * target_row + q * size, source + r * source_row + q * source_column, like
            )
        for q in range(columns, padded):
            put_zero(target + r * target_row + q * size, like)


@njit
def share(m, n, height, strip, part, parts):
    """The rows and columns of out that are this part's: the parts lie as a grid whose largest cell is
    as small as can be."""
    tiles, strips = -(-m // height), -(-n // strip)
    least, across = -1, 1
    for count in range(parts, 0, -1):
        if parts % count == 0:
            cost = -(-strips // count) * -(-tiles // (parts // count))
            if least < 0 or cost < least:
                least, across = cost, count
    down = parts // across
    i, j = part // across, part % across
    return (
        min(m, i * tiles // down * height), min(m, (i + 1) * tiles // down * height),
        min(n, j * strips // across * strip), min(n, (j + 1) * strips // across * strip),
    )  # fmt: skip


def gemm_of(width: int, height: int):
    """The kernel for vectors of `width` lanes and tiles of `height` rows."""

    def gemm(m, n, k, a, a_row, a_column, b, b_row, b_column, out, out_row, steps, factor, bias, gate, gate_row,
             part, parts):  # fmt: skip
        size = size_of(factor)
        strip = 2 * width
        top, bottom, left, right = share(m, n, height, strip, part, parts)
        if bottom <= top or right <= left:
            return
        chains = max(1, -(-k // CHAIN))
        depth = -(-k // chains)
        depth = max(1, depth + depth % 2)
        several = bottom - top > BLOCK_ROWS
        strips = -(-min(BLOCK_COLUMNS, right - left) // strip) if several else 1
        b_bytes, a_bytes = strips * depth * strip * size, BLOCK_ROWS * depth * size if several else 0
        work = np.empty(b_bytes + a_bytes + 128, np.uint8)
        packed_b = (work.ctypes.data + 63) // 64 * 64
        packed_a = (packed_b + b_bytes + 63) // 64 * 64
        for j0 in range(left, right, BLOCK_COLUMNS):
            for k0 in range(0, max(k, 1), depth):
                terms = min(depth, k - k0)
                now = steps
                if k0 > 0:
                    now |= ACCUMULATE
                if k0 + terms < k:
                    now &= ~(BIAS | RELU | GATE)
                for i0 in range(top, bottom, BLOCK_ROWS):
                    rows = min(BLOCK_ROWS, bottom - i0)
                    block, block_row, block_column = a + i0 * a_row + k0 * a_column, a_row, a_column
                    if several and a_column == size:
                        pack(packed_a, terms * size, rows, terms, terms, block, a_row, a_column, factor)
                        block, block_row = packed_a, terms * size
                    elif several:
                        pack(packed_a, rows * size, terms, rows, rows, block, a_column, a_row, factor)
                        block, block_row, block_column = packed_a, size, rows * size
                    for j in range(j0, min(right, j0 + BLOCK_COLUMNS), strip):
                        columns = min(strip, right - j)
                        packed = packed_b + ((j - j0) // strip * depth * strip * size if several else 0)
                        if i0 == top:
                            source = b + k0 * b_row + j * b_column
                            whole = 0
                            if columns == strip and b_column == size:
                                whole = terms
                                copy_strip(width, packed, source, b_row, whole, factor)
                            elif columns == strip and b_row == size:
                                whole = terms // width * width
                                for r in range(0, whole, width):
                                    for q in range(0, strip, width):
                                        transpose_block(
                                            width, packed + (r * strip + q) * size, strip * size,
                                            source + r * size + q * b_column, b_column, factor,
                                        )  # fmt: skip
                            pack(packed + whole * strip * size, strip * size, terms - whole, columns, strip,
                                 source + whole * b_row, b_row, b_column, factor)  # fmt: skip
                        for i in range(0, rows, height):
                            tile(
                                width, height, min(height, rows - i), columns, terms,
                                block + i * block_row, block_row, block_column, packed, strip * size,
                                out + (i0 + i) * out_row + j * size, out_row, now, factor, bias + j * size,
                                gate + (i0 + i) * gate_row + j * size, gate_row,
                            )  # fmt: skip

    return gemm


def vector_bytes() -> int:
    """The bytes of a vector: the widest that this processor has, or what VARIABLE says."""
    forced = os.environ.get(VARIABLE)
    if forced:
        if forced not in ("16", "32", "64"):
            raise ValueError(f"{VARIABLE}={forced!r} is no width of a vector. Try one of: 16, 32, 64")
        return int(forced)
    has = binding.get_host_cpu_features()
    return 64 if has.get("avx512f") else 32 if has.get("avx") else 16


@cache
def compiled(dtype: np.dtype):
    """The kernel as machine code for one dtype."""
    element = from_dtype(dtype)
    size = vector_bytes()
    height = 8 if size == 64 else 6
    signature = types.void(*[types.int64] * 12, element, *[types.int64] * 5)
    return jit.compiled(
        gemm_of(size // dtype.itemsize, height), signature, f"the 'vectorised' matmul for {dtype}",
        error_model="numpy", no_cfunc_wrapper=False,
    )  # fmt: skip


def gemm(dtype):
    """The kernel, to be called from Python with addresses."""
    return compiled(np.dtype(dtype))


@cache
def external(dtype) -> types.ExternalFunction:
    """The kernel, to be called from functions that Numba compiles: a name that is linked when they are
    loaded, so that they need not be compiled again when the kernel changes."""
    kernel = gemm(dtype)
    (signature,) = kernel.signatures
    code = kernel.overloads[signature]
    name = f"autodiff_gemm_{np.dtype(dtype)}"
    binding.add_symbol(name, code.library.get_pointer_to_function(code.fndesc.llvm_cfunc_wrapper_name))
    return types.ExternalFunction(name, types.void(*signature))
