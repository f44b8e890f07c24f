"""Matrix multiplication on a tile of registers: the `vectorised` rung, and what compiled code calls.

The loops of `gemm.py` leave it to the compiler to find vectors, and it finds them along one row of the
result, which is then loaded and stored for every few multiplications. The processor could do two
vectors of multiplications and additions a cycle, but not load and store as many. So here a *tile* of
the result, six rows of two vectors, say, stays in registers from its first product to its last:

                      b[k, j]  ... two vectors of b's row k ...
        a[i, k]         +=  a[i, k] · b[k]     six elements of a, each spread over a vector,
        a[i + 1, k]     +=  a[i + 1, k] · b[k]     by two vectors of b:
          ...                                  8 loads for 12 multiply-adds, and no stores

Numba has no name for a register or a vector. It has `@intrinsic`: a function of ours that writes the
instructions itself, in LLVM's language. `tile` below does that. All around it, how the matrices are cut
into tiles and in which order they are visited, is plain Numba: `gemm`.

**Calling it.** From Python there is `rung("vectorised", dtype)`. Compiled functions call the same machine
code, which can go on with a tile while its numbers are in registers, or in the first cache:

    gemm = vectorised.external(np.float32)      # compiled, or loaded from the cache, here

    @njit(nogil=True)
    def layer(x, weight, bias, y, team, threads):   # y = relu(x @ weight + bias)
        gemm(x.shape[0], weight.shape[1], x.shape[1],
             x.ctypes.data, x.strides[0], x.strides[1],
             weight.ctypes.data, weight.strides[0], weight.strides[1],
             y.ctypes.data, y.strides[0],
             BIAS | RELU, 1.0, bias.ctypes.data, 0, 0, team, threads)

    layer(x, weight, bias, y, 0, 1)             # in this thread
    team.run(layer, x, weight, bias, y)         # with get_num_threads() of them

`gemm` is a name that is linked when `layer` is loaded: nothing is compiled twice. The arguments:

    m, n, k               out is m by n, a sum of k products each
    a, a_row, a_column    an address, and the bytes from one row to the next and from one column to the
    b, b_row, b_column    next: transposed and strided matrices are read where they lie
    out, out_row          the same, but the columns of out lie side by side; apart from a and b
    steps                 which of the steps below are taken, in their order, as a sum of flags
    factor                SCALE       x = factor · x, factor a float64 that is rounded first
                          ACCUMULATE  x = out + x: with factor = −lr, a step of gradient descent
    bias                  BIAS        x = x + bias[column], contiguous
                          RELU        x = 0 where x ≤ 0
    gate, gate_row        GATE        x = 0 where gate[row, column] is 0: the gradient of RELU, whose result that is
    team, threads         what `team.run` adds, or 0, 1

What a step does not need may be 0; sizes may be 0 too. **How an element is rounded** depends on nothing
but its row of a and its column of b, not on layout, tile, width of vectors or number of threads: products
are added in the order of k, by fused multiply-adds where the processor has them, in chains of at most
CHAIN. A longer sum is cut into equal chains, and each is added to out when complete (so SCALE and
ACCUMULATE are done with each chain, the other steps after the last). Short chains also round better.
"""

# An intrinsic's first parameter is Numba's own: callers leave it out, which pyright does not know.
# pyright: reportCallIssue=false

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

import numpy as np
from llvmlite import binding, ir
from numba import from_dtype, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from . import jit
from .team import LAUNCH, ROOM, link

ACCUMULATE, SCALE, BIAS, RELU, GATE = 1, 2, 4, 8, 16  # the steps

# Sizes. Sixteen registers hold 6 · 2 sums, two vectors of b and one of a; AVX-512 has thirty-two, for 6 · 4, four
# and one. Wider is better than higher: what the processor does beside multiplying, it does for each row.
HEIGHT = 6
HEIGHTS = (HEIGHT, 4, 2, 1)  # the tiles that there are instructions for, and
NARROW = 12  # one more, a single vector wide: so high that no sum waits for the one before it
# A strip of b, CHAIN rows by four vectors of 64 bytes, is 40 KiB, which leaves the first cache, 48 KiB where there are
# such vectors, room for six rows of a (by two vectors of 32 it is 10 KiB); a block of a is 211 KiB in the second.
CHAIN = 160
BLOCK_ROWS = 336  # a multiple of HEIGHT
BLOCK_COLUMNS = 512  # so that b's packed strips, 4 MiB where k is 2048, stay in the third
MOST_KEPT = 1 << 26  # bytes of them; where a large k would make more, b is packed anew for each block of a
GROUP_BYTES = 512  # of a row of b are packed at a time: lines of the cache are then used whole
LINE = 64  # bytes of a line of the cache
AHEAD = 8  # so many rows ahead b is fetched into the cache
LAST = 48  # so many products before a tile's last, the lines of out that it will write are fetched
TOGETHER = 2**19  # products from which a second thread gains more than it costs to call

VARIABLE = "AUTODIFF_VECTOR_BYTES"  # 64, 32 or 16: in place of what the processor has, for tests
I32, I64 = ir.IntType(32), ir.IntType(64)


def vector_bytes() -> int:
    """The bytes of the processor's widest vectors: AVX-512, AVX, and SSE or NEON."""
    forced = os.environ.get(VARIABLE)
    if forced:
        if forced not in ("64", "32", "16"):
            raise ValueError(f"{VARIABLE}={forced!r} is not the bytes of a vector. Try 64, 32 or 16")
        return int(forced)
    features = binding.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx") else 16


# ---- the words that the instructions are written in ----------------------------------------------


class Writer:
    """Writes LLVM instructions about vectors of `lanes` elements. An address is an integer, in bytes."""

    def __init__(self, builder, element, lanes: int):
        self.builder, self.lanes = builder, lanes
        self.element = {32: ir.FloatType, 64: ir.DoubleType}[element.bitwidth]()
        self.size = element.bitwidth // 8
        self.vector = ir.VectorType(self.element, lanes)
        self.name = f"v{lanes}f{element.bitwidth}"
        self.zero = ir.Constant(self.vector, [0.0] * lanes)

    def call(self, name: str, result, *arguments):
        """One of LLVM's own functions: an instruction, in most cases."""
        kind = ir.FunctionType(result, [x.type for x in arguments])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), arguments)

    def at(self, address, kind=None):
        """An address as a pointer, to a vector unless to another kind."""
        return self.builder.inttoptr(address, (kind or self.vector).as_pointer())

    def plus(self, address, times: int, step):
        """address + times · step."""
        step = self.builder.mul(step, I64(times)) if isinstance(step, ir.Value) else I64(times * step)
        return self.builder.add(address, step)

    def load(self, address, mask=None):
        """A vector; under a mask the other lanes are 0, and their memory is not touched."""
        if mask is None:
            return self.builder.load(self.at(address), align=self.size)
        name = f"llvm.masked.load.{self.name}.p0"
        return self.call(name, self.vector, self.at(address), I32(self.size), mask, self.zero)

    def store(self, x, address, mask=None):
        """The vector x; under a mask the other lanes' memory is not touched."""
        if mask is None:
            self.builder.store(x, self.at(address), align=self.size)
        else:
            name = f"llvm.masked.store.{self.name}.p0"
            self.call(name, ir.VoidType(), x, self.at(address), I32(self.size), mask)

    def spread(self, x):
        """A vector that has x in every lane."""
        kind = ir.VectorType(x.type, self.lanes)
        first = self.builder.insert_element(ir.Constant(kind, ir.Undefined), x, I32(0))
        everywhere = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), everywhere)

    def spread_from(self, address):
        """A vector that has the element at an address in every lane."""
        return self.spread(self.builder.load(self.at(address, self.element), align=self.size))

    def multiply_add(self, x, y, z):
        """x · y + z, rounded once where the processor can."""
        return self.call(f"llvm.fmuladd.{self.name}", self.vector, x, y, z)

    def mask(self, columns):
        """The first `columns` lanes."""
        integer = ir.IntType(8 * self.size)
        columns = self.spread(self.builder.trunc(columns, integer) if self.size < 8 else columns)
        lanes = ir.Constant(ir.VectorType(integer, self.lanes), list(range(self.lanes)))
        return self.builder.icmp_signed("<", lanes, columns)

    def fetch(self, address, to_write: bool = False):
        """Ask for the cache line at an address, which will be read, or written, soon."""
        place = self.at(address, ir.IntType(8))
        self.call("llvm.prefetch.p0", ir.VoidType(), place, I32(int(to_write)), I32(3), I32(1))

    def veiled(self, x):
        """x, of which LLVM forgets how it was made. It would else make every row's address from the
        one before it, and each addition would wait for the last."""
        assembly = ir.InlineAsm(ir.FunctionType(x.type, [x.type]), "", "=r,0")
        return self.builder.call(assembly, [x])

    def has(self, steps, flag: int):
        """Where `steps` has this flag, what is written inside `with` is done."""
        return self.builder.if_then(
            self.builder.icmp_signed("!=", self.builder.and_(steps, I64(flag)), I64(0))
        )


class Variable:
    """A place for a value that changes. LLVM keeps it in a register, if there is one left."""

    def __init__(self, builder, value):
        self.builder = builder
        self.place = cgutils.alloca_once(builder, value.type)
        self.set(value)

    def get(self):
        return self.builder.load(self.place)

    def set(self, value):
        self.builder.store(value, self.place)


# ---- the tile -------------------------------------------------------------------------------------


def widths(across: int) -> list[int]:
    """The vectors that a tile may be wide, at most `across`: of three there are no tiles, but one of two and one of
    one."""
    return [1, 2, 4][: across.bit_length()]


def which_width(builder, columns, lanes: int):
    """The number, in the list of widths, of that for so many columns: 1 for more than a vector, 2 for more than
    two."""
    more = [builder.icmp_signed(">", columns, I64(v * lanes)) for v in (1, 2)]
    return builder.add(*(builder.zext(each, I64) for each in more))


@intrinsic(prefer_literal=True)
def tile(typing, lanes, across, rows, columns, k, a, a_row, a_column, b, out, out_row, steps, factor):
    """The tile at `out`, of a height and a width that there are instructions for; the last vector may be no whole
    one. b is a packed strip, `across` vectors from row to row. Of the steps SCALE and ACCUMULATE are taken."""
    signature = types.void(lanes, across, *[types.int64] * 10, factor)

    def write(context, builder, signature, arguments):
        w = Writer(builder, factor, lanes.literal_value)
        most = across.literal_value
        rows, columns = arguments[2:4]
        width = which_width(builder, columns, w.lanes)
        done = builder.append_basic_block("done")
        choice = builder.switch(builder.add(builder.mul(rows, I64(3)), width), done)
        for number, vectors in enumerate(widths(most)):
            for count in (NARROW, *HEIGHTS) if vectors == 1 else HEIGHTS:
                block = builder.append_basic_block(f"tile_{count}x{vectors}")
                choice.add_case(I64(3 * count + number), block)
                builder.position_at_end(block)
                write_tile(w, count, vectors, most, *arguments[3:])
                builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, write


@intrinsic(prefer_literal=True)
def packing_tile(typing, lanes, across, k, a, a_row, a_column, b, b_row, packed, out, out_row, steps, factor):
    """A whole tile, whose strip of b is read where it lies, and packed for the tiles after it: the
    processor stores while it multiplies."""
    signature = types.void(lanes, across, *[types.int64] * 10, factor)

    def write(context, builder, signature, arguments):
        k, a, a_row, a_column, b, b_row, packed, out, out_row, steps, factor = arguments[2:]
        w = Writer(builder, signature.args[12], signature.args[0].literal_value)
        vectors = signature.args[1].literal_value
        write_tile(
            w, HEIGHT, vectors, vectors, I64(vectors * w.lanes), k, a, a_row, a_column, packed, out, out_row,
            steps, factor, lying=(b, b_row),
        )  # fmt: skip
        return context.get_dummy_value()

    return signature, write


def write_tile(w: Writer, rows: int, vectors: int, across: int, columns, k, a, a_row, a_column, b, out, out_row,
               steps, factor, lying=None):  # fmt: skip
    """The instructions for a tile of this many rows and vectors, on a strip that is `across` vectors wide."""
    x = write_products(w, rows, vectors, across, k, a, a_row, a_column, b, out, out_row, lying)
    with w.has(steps, SCALE):
        factors = w.spread(factor)
        for register in sum(x, []):
            register.set(w.builder.fmul(factors, register.get()))
    out_rows = [w.plus(out, i, out_row) for i in range(rows)]
    with w.has(steps, ACCUMULATE):
        combine(w, x, columns, out_rows, lambda x, old: w.builder.fadd(old, x))
    store(w, x, columns, out_rows)


def write_products(
    w: Writer, rows: int, vectors: int, across: int, k, a, a_row, a_column, b, out, out_row, lying
):
    """The sums of products of a tile, in registers. `lying` is (address, bytes from row to row) of a strip
    of b that is not packed yet: it is read there, and packed by the way."""
    builder = w.builder
    width = w.lanes * w.size
    x = [[Variable(builder, w.zero) for _ in range(vectors)] for _ in range(rows)]
    a_at, b_at = Variable(builder, a), Variable(builder, b)
    source = Variable(builder, lying[0]) if lying else b_at
    to_row = [w.veiled(builder.mul(a_row, I64(i))) for i in range(1, rows)]

    def add_products():
        """x[i] += a[i, k] · b[k], and on to the next k."""
        place, row = a_at.get(), source.get()
        b_vectors = [w.load(w.plus(row, v, width)) for v in range(vectors)]
        if lying:
            for v in range(vectors):
                w.store(b_vectors[v], w.plus(b_at.get(), v, width))
                w.fetch(w.plus(w.plus(row, AHEAD, lying[1]), v, width))
            source.set(builder.add(row, lying[1]))
        for i in range(rows):
            element = w.spread_from(builder.add(place, to_row[i - 1]) if i else place)
            for v in range(vectors):
                x[i][v].set(w.multiply_add(element, b_vectors[v], x[i][v].get()))
        a_at.set(builder.add(place, a_column))
        b_at.set(w.plus(b_at.get(), across, width))

    # Before the last of many we ask for what will be written, which is far away, perhaps; sooner, and the
    # cache would have dropped it again.
    many = builder.icmp_signed(">", k, I64(LAST))
    early = builder.select(many, builder.sub(k, I64(LAST)), I64(0))
    for count in (early, builder.sub(k, early)):
        with cgutils.for_range(builder, count):
            add_products()
        if count is early:
            with builder.if_then(many):
                for i in range(rows):
                    address = w.plus(out, i, out_row)
                    for at in range(0, vectors * width, LINE):
                        w.fetch(builder.add(address, I64(at)), to_write=True)
                    w.fetch(builder.add(address, I64(vectors * width - 1)), to_write=True)
    return x


def everywhere(w: Writer, x, columns, do) -> None:
    """do(i, v, mask) for every vector of rows x, which are `columns` wide, with the mask that it needs: only the
    last of a row can have lanes that lie outside."""
    last = len(x[0]) - 1
    full = w.builder.icmp_signed("==", columns, I64((last + 1) * w.lanes))
    inside = w.mask(w.builder.sub(columns, I64(last * w.lanes)))

    def do_all(mask):
        for i in range(len(x)):
            for v in range(last + 1):
                do(i, v, mask if v == last else None)

    if w.lanes * w.size == 64:  # the masks of AVX-512 cost nothing, and half the instructions compile faster
        do_all(inside)
        return
    with w.builder.if_else(full) as (whole, cut):
        with whole:
            do_all(None)
        with cut:
            do_all(inside)


def combine(w: Writer, x, columns, other_rows, f) -> None:
    """x = f(x, the vectors that lie in memory at these addresses of rows)."""
    width = w.lanes * w.size

    def one(i, v, mask):
        x[i][v].set(f(x[i][v].get(), w.load(w.plus(other_rows[i], v, width), mask)))

    everywhere(w, x, columns, one)


def store(w: Writer, x, columns, rows) -> None:
    """x to memory, at these addresses of rows."""
    width = w.lanes * w.size
    everywhere(w, x, columns, lambda i, v, mask: w.store(x[i][v].get(), w.plus(rows[i], v, width), mask))


@intrinsic(prefer_literal=True)
def settle(typing, lanes, across, source, columns, out, steps, bias, gate, element):
    """One row of a complete tile, from `source` to `out`, which may be the same, by the steps BIAS, RELU and GATE.
    It lies in the first cache yet; done in registers, they would be compiled for each kind of tile."""
    signature = types.void(lanes, across, *[types.int64] * 6, element)

    def write(context, builder, signature, arguments):
        source, columns, out, steps, bias, gate, _ = arguments[2:]
        w = Writer(builder, element, signature.args[0].literal_value)
        done = builder.append_basic_block("settled")
        choice = builder.switch(which_width(builder, columns, w.lanes), done)
        for number, vectors in enumerate(widths(signature.args[1].literal_value)):
            block = builder.append_basic_block(f"settle_{vectors}")
            choice.add_case(I64(number), block)
            builder.position_at_end(block)
            write_last_steps(w, vectors, source, columns, out, steps, bias, gate)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, write


def write_last_steps(w: Writer, vectors: int, source, columns, out, steps, bias, gate) -> None:
    """The instructions for a row of this many vectors."""
    builder = w.builder
    x = [[Variable(builder, w.zero) for _ in range(vectors)]]
    combine(w, x, columns, [source], lambda x, sums: sums)

    def zero_where(condition, value):
        return builder.select(condition, w.zero, value)

    with w.has(steps, BIAS):
        combine(w, x, columns, [bias], lambda x, bias: builder.fadd(x, bias))
    with w.has(steps, RELU):  # ordered: NaN is not <= 0, and stays
        for register in x[0]:
            value = register.get()
            register.set(zero_where(builder.fcmp_ordered("<=", value, w.zero), value))
    with w.has(steps, GATE):  # ordered: NaN is not 0, and opens the gate
        combine(
            w, x, columns, [gate], lambda x, gate: zero_where(builder.fcmp_ordered("==", gate, w.zero), x)
        )
    store(w, x, columns, [out])


# ---- packing: parts of a and b, moved to where they lie densely -----------------------------------


@intrinsic
def size_of(typing, element):
    """The bytes of a number of this kind."""
    return types.int64(element), lambda context, builder, signature, _: I64(element.bitwidth // 8)


@intrinsic
def copy(typing, target, source, count):
    """`count` bytes from one address to another."""

    def write(context, builder, signature, arguments):
        target, source = (builder.inttoptr(x, ir.IntType(8).as_pointer()) for x in arguments[:2])
        cgutils.raw_memcpy(builder, target, source, arguments[2], 1)
        return context.get_dummy_value()

    return types.void(target, source, count), write


@intrinsic(prefer_literal=True)
def copy_strips(
    typing, lanes, across, count, target, strip_bytes, source, source_row, rows, columns, element
):
    """`count` neighbouring strips of `across` vectors, `rows` rows of them, each strip to a place of its own.
    Of a single strip only the first `columns` columns, and zeros beside them."""
    signature = types.void(lanes, across, count, *[types.int64] * 6, element)

    def write(context, builder, signature, arguments):
        target, strip_bytes, source, source_row, rows, columns, _ = arguments[3:]
        w = Writer(builder, element, lanes.literal_value)
        width, strips, vectors = w.lanes * w.size, count.literal_value, across.literal_value
        masks: list = [None] * vectors
        if strips == 1:
            masks = [w.mask(builder.sub(columns, I64(v * w.lanes))) for v in range(vectors)]
        from_row, to_row = Variable(builder, source), Variable(builder, target)
        with cgutils.for_range(builder, rows):
            row, place = from_row.get(), to_row.get()
            for line in range(0, vectors * strips * width, LINE):
                w.fetch(builder.add(w.plus(row, AHEAD, source_row), I64(line)))
            for s in range(strips):
                for v in range(vectors):
                    vector = w.load(w.plus(row, vectors * s + v, width), masks[v])
                    w.store(vector, w.plus(w.plus(place, s, strip_bytes), v, width))
            from_row.set(builder.add(row, source_row))
            to_row.set(w.plus(place, vectors, width))
        return context.get_dummy_value()

    return signature, write


@intrinsic(prefer_literal=True)
def transpose(typing, lanes, target, target_row, source, source_row, rows, element):
    """A square, as many rows as a vector has lanes, transposed: `rows` of them and then the last again.

    Row i is shuffled with row i + lanes/2, as cards are: the elements of one and of the other by turns.
    That turns the bits of an element's number, (row, lane), by one place; when they have been turned
    by as many places as a lane has bits, the row has become the lane and the lane the row."""
    signature = types.void(lanes, *[types.int64] * 5, element)

    def write(context, builder, signature, arguments):
        _, target, target_row, source, source_row, rows, _ = arguments
        w = Writer(builder, element, lanes.literal_value)
        last = builder.sub(rows, I64(1))
        vectors = []
        for i in range(w.lanes):
            inside = builder.icmp_signed("<", I64(i), last)
            row = builder.select(inside, I64(i), last)
            vectors.append(w.load(builder.add(source, builder.mul(row, source_row))))
        half = w.lanes // 2
        orders = [[q // 2 + q % 2 * w.lanes + start for q in range(w.lanes)] for start in (0, half)]
        orders = [ir.Constant(ir.VectorType(I32, w.lanes), order) for order in orders]
        for _ in range(w.lanes.bit_length() - 1):
            pairs = [(vectors[i], vectors[i + half]) for i in range(half)]
            vectors = [builder.shuffle_vector(x, y, order) for x, y in pairs for order in orders]
        for i, vector in enumerate(vectors):
            w.store(vector, w.plus(target, i, target_row))
        return context.get_dummy_value()

    return signature, write


@njit
def aligned(address):
    """The next address at which a line of the cache begins."""
    return (address + LINE - 1) // LINE * LINE


@njit
def odd_lines(count):
    """`count` bytes or a little more: an odd number of cache lines, so that rows so far apart do not
    compete for the same places in the cache, as they do when a power of two apart."""
    lines = (count + LINE - 1) // LINE
    return (lines + 1 - lines % 2) * LINE


# ---- the matrices, cut into tiles -----------------------------------------------------------------


@njit
def share(m, n, height, strip, part, parts):
    """The rows and columns of out that are this part's. The parts lie as a grid, whose largest cell has
    as few tiles as can be; of such grids, the one whose cells read the least of a and b."""
    tiles, strips = -(-m // height), -(-n // strip)
    least, fewest, across = -1, -1, 1
    for count in range(parts, 0, -1):
        if parts % count == 0:
            rows, columns = -(-tiles // (parts // count)), -(-strips // count)
            cost, lines = rows * columns, rows * height + columns * strip
            if least < 0 or cost < least or (cost == least and lines < fewest):
                least, fewest, across = cost, lines, count
    down = parts // across
    i, j = part // across, part % across
    top, bottom = i * tiles // down * height, (i + 1) * tiles // down * height
    left, right = j * strips // across * strip, (j + 1) * strips // across * strip
    return min(m, top), min(m, bottom), min(n, left), min(n, right)


@njit
def width_for(left, lanes, across):
    """How many columns the next tile has where so many are left."""
    if left >= across * lanes:
        return across * lanes
    return 2 * lanes if 2 * lanes < left <= 3 * lanes else left


@njit
def height_for(left, narrow):
    """How many rows the next tile has where so many are left."""
    if narrow and left >= NARROW:
        return NARROW
    for height in HEIGHTS:
        if height <= left:
            return height
    return 0


def gemm_for(number: type, lanes: int, across: int, group: int):
    """The kernel for matrices of float32 or float64, vectors of so many lanes, tiles and strips so many vectors
    wide, and so many strips packed at a time. These are constants to Numba, and its cache tells kernels apart
    by them."""

    def gemm(m, n, k, a, a_row, a_column, b, b_row, b_column, out, out_row,
             steps, factor, bias, gate, gate_row, part, parts):  # fmt: skip
        scale = number(factor)
        size = size_of(scale)
        strip = across * lanes
        # Where b would have to be transposed to be packed, and a is much smaller, a is, and we make the
        # transpose of out, which is small too, and turn that.
        turned = (
            b_column != size
            and b_row == size
            and 2 * m > lanes
            and n * k > m * (k + 2 * n)
            and steps & (ACCUMULATE | SCALE) == 0
        )
        if turned:
            m, n, a, a_row, a_column, b, b_row, b_column = n, m, b, b_column, b_row, a, a_column, a_row
        top, bottom, left, right = share(m, n, HEIGHT, strip, part, parts)
        if top >= bottom or left >= right:
            return
        chains = max(1, -(-k // CHAIN))
        depth = max(1, -(-k // chains))
        blocks = -(-(bottom - top) // BLOCK_ROWS)
        block_rows = -(-(bottom - top) // (blocks * HEIGHT)) * HEIGHT

        # Strips of b are always packed. Only if other rows will need them are all kept, unless they are too many.
        row_bytes = strip * size
        strip_bytes = depth * row_bytes
        strips = -(-min(right - left, BLOCK_COLUMNS) // strip) + 1  # one may be cut in two
        keep = blocks > 1 and strips * chains * strip_bytes <= MOST_KEPT
        kept = strips * chains if keep else 1
        # Blocks of a are packed as they lie, by rows or by columns, where they will be read several times.
        by_rows = a_column == size
        pack_a = (blocks > 1 or a_row == size) and (by_rows or a_row == size) and right - left >= 16 * lanes
        line_bytes = odd_lines((depth if by_rows else block_rows) * size)
        a_bytes = (block_rows if by_rows else depth) * line_bytes if pack_a else 0
        across_bytes = odd_lines(-(-(right - left) // strip) * row_bytes)
        turned_bytes = lanes * row_bytes + (bottom - top) * across_bytes if turned else 0
        memory = np.empty(kept * strip_bytes + a_bytes + turned_bytes + 3 * LINE, np.uint8)
        packed_b = aligned(memory.ctypes.data)
        packed_a = aligned(packed_b + kept * strip_bytes)
        square = aligned(packed_a + a_bytes)
        target, target_row = out, out_row
        if turned:
            target, target_row = square + lanes * row_bytes, across_bytes
            target -= top * target_row + left * size

        for j0 in range(left, right, BLOCK_COLUMNS):
            j1 = min(j0 + BLOCK_COLUMNS, right)
            for i0 in range(top, bottom, block_rows):
                i1 = min(i0 + block_rows, bottom)
                for k0 in range(0, max(k, 1), depth):
                    terms = min(depth, k - k0)
                    now = steps & (ACCUMULATE | SCALE) if k0 == 0 else steps & SCALE | ACCUMULATE
                    last = steps & (BIAS | RELU | GATE) if k0 + terms >= k and not turned else 0
                    first_strip = k0 // depth * strips

                    a_block, a_down, a_right = a + i0 * a_row + k0 * a_column, a_row, a_column
                    if pack_a and by_rows:
                        for i in range(i1 - i0):
                            copy(packed_a + i * line_bytes, a_block + i * a_row, terms * size)
                        a_block, a_down = packed_a, line_bytes
                    elif pack_a:
                        for p in range(terms):
                            copy(packed_a + p * line_bytes, a_block + p * a_column, (i1 - i0) * size)
                        a_block, a_right = packed_a, line_bytes

                    j, number_of_strip = j0, 0
                    while j < j1:
                        columns = width_for(j1 - j, lanes, across)
                        place = first_strip + number_of_strip if keep else 0
                        packed = packed_b + place * strip_bytes
                        packing = False  # by the first tile
                        b_strip = b + k0 * b_row + j * b_column
                        if i0 == top or not keep:
                            if b_column == size:
                                in_group = (j - j0) // strip % group
                                if keep and j + (group - in_group) * strip <= j1:
                                    if in_group == 0:
                                        copy_strips(
                                            lanes, across, group, packed, strip_bytes, b_strip, b_row, terms, strip, scale
                                        )  # fmt: skip
                                elif columns == strip and i1 - i0 >= HEIGHT:
                                    packing = True
                                else:
                                    copy_strips(
                                        lanes, across, 1, packed, strip_bytes, b_strip, b_row, terms, columns, scale
                                    )  # fmt: skip
                            elif b_row == size and terms >= lanes:
                                for p in range(0, terms, lanes):
                                    p = min(p, terms - lanes)
                                    for q in range(0, columns, lanes):
                                        transpose(
                                            lanes, packed + p * row_bytes + q * size, row_bytes,
                                            b_strip + p * size + q * b_column, b_column, columns - q, scale,
                                        )  # fmt: skip
                            else:
                                for p in range(terms):
                                    for q in range(columns):
                                        copy(
                                            packed + p * row_bytes + q * size,
                                            b_strip + p * b_row + q * b_column,
                                            size,
                                        )

                        i = i0
                        while i < i1:
                            rows = height_for(i1 - i, columns <= lanes)
                            a_rows, out_rows = a_block + (i - i0) * a_down, target + i * target_row + j * size
                            if packing and i == i0:
                                packing_tile(
                                    lanes, across, terms, a_rows, a_down, a_right, b_strip, b_row, packed,
                                    out_rows, target_row, now, scale,
                                )  # fmt: skip
                            else:
                                tile(
                                    lanes, across, rows, columns, terms, a_rows, a_down, a_right, packed,
                                    out_rows, target_row, now, scale,
                                )  # fmt: skip
                            if last:
                                for row in range(i, i + rows):
                                    at = target + row * target_row + j * size
                                    settle(
                                        lanes, across, at, columns, at,
                                        last, bias + j * size, gate + row * gate_row + j * size, scale,
                                    )  # fmt: skip
                            i += rows
                        j += columns
                        number_of_strip += 1

        if turned:
            j = top
            while j < bottom:
                columns = width_for(bottom - j, lanes, across)
                for i in range(left, right, lanes):
                    for q in range(0, columns, lanes):
                        transpose(
                            lanes, square + q * size, row_bytes,
                            target + (j + q) * target_row + i * size, target_row, columns - q, scale,
                        )  # fmt: skip
                    for row in range(min(lanes, right - i)):
                        settle(
                            lanes, across, square + row * row_bytes, columns, out + (i + row) * out_row + j * size,
                            steps, bias + j * size, gate + (i + row) * gate_row + j * size, scale,
                        )  # fmt: skip
                j += columns
        memory[0] = 0  # in use until here: Numba frees an array after the last line that names it

    return gemm


# ---- calling it: by name, by a team, for NumPy's arrays ---------------------------------------------


INPUTS = [*[types.int64] * 12, types.float64, *[types.int64] * 5]


@intrinsic(prefer_literal=True)
def linked(typing, name):
    """The address of the function that LLVM is told to know by this name."""

    def write(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.VoidType(), [])
        function = cgutils.get_or_insert_function(builder.module, kind, name.literal_value)
        return builder.ptrtoint(function, I64)

    return types.int64(name), write


@intrinsic
def call(typing, code, arguments):
    """Call the function at an address, which returns nothing."""

    def write(context, builder, signature, values):
        inputs = cgutils.unpack_tuple(builder, values[1])
        kind = ir.FunctionType(ir.VoidType(), [x.type for x in inputs])
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), inputs)
        return context.get_dummy_value()

    return types.void(code, arguments), write


@intrinsic
def leave(typing, address, arguments):
    """Write a tuple of integers and floats to memory."""

    def write(context, builder, signature, values):
        builder.store(values[1], builder.inttoptr(values[0], values[1].type.as_pointer()))
        return context.get_dummy_value()

    return types.void(address, arguments), write


@intrinsic
def find(typing, address, like):
    """The tuple at an address, of the kinds that `like` has."""

    def write(context, builder, signature, values):
        return builder.load(builder.inttoptr(values[0], values[1].type.as_pointer()))

    return like(address, like), write


def job(argument, part, parts):
    """One part of a product, whose kernel and shared arguments are at the address `argument`."""
    like = (part, part, part, part, part, part, part, part, part, part, part, part,
            part, 1.0, part, part, part)  # fmt: skip
    (kernel, m, n, k, a, a_row, a_column, b, b_row, b_column, out, out_row,
     steps, factor, bias, gate, gate_row) = find(argument, like)  # fmt: skip
    call(
        kernel,
        (m, n, k, a, a_row, a_column, b, b_row, b_column, out, out_row,
         steps, factor, bias, gate, gate_row, part, parts),
    )  # fmt: skip


def together_for(kernel: str):
    """The kernel of this name, its parts done by a team."""

    def together(m, n, k, a, a_row, a_column, b, b_row, b_column, out, out_row,
                 steps, factor, bias, gate, gate_row, team, size):  # fmt: skip
        if size == 1 or m * n * k < TOGETHER:
            call(
                linked(kernel),
                (m, n, k, a, a_row, a_column, b, b_row, b_column, out, out_row,
                 steps, factor, bias, gate, gate_row, 0, 1),
            )  # fmt: skip
        else:
            leave(
                team + ROOM,
                (linked(kernel), m, n, k, a, a_row, a_column, b, b_row, b_column, out, out_row,
                 steps, factor, bias, gate, gate_row),
            )  # fmt: skip
            LAUNCH(team, linked("autodiff_gemm_job"), team + ROOM, size)

    return together


def multiply_for(name: str):
    """out = a @ b for NumPy's arrays, or a @ b + bias unless that has no elements, by the function of this
    name."""

    def multiply(a, b, bias, out, team, size):
        call(
            linked(name),
            (out.shape[0], out.shape[1], a.shape[1], a.ctypes.data, a.strides[0], a.strides[1],
             b.ctypes.data, b.strides[0], b.strides[1], out.ctypes.data, out.strides[0],
             BIAS if bias.size else 0, 1.0, bias.ctypes.data, 0, 0, team, size),
        )  # fmt: skip

    return multiply


# ---- compiled -------------------------------------------------------------------------------------


def name_of(function: Callable, inputs: list, name: str, title: str = "", made_from: tuple = ()) -> str:
    """Compile a function of integers and floats, and let LLVM know it by this name, which is returned."""
    flags = {"error_model": "numpy", "no_cfunc_wrapper": False}
    code = jit.compiled(function, types.void(*inputs), title, made_from, **flags)
    binding.add_symbol(name, jit.address(code))
    return name


@cache
def kernel(dtype: np.dtype, size: int) -> str:
    """The name of the kernel for one dtype and vectors of `size` bytes, for a team or for one thread."""
    across = 4 if size == 64 else 2
    gemm = gemm_for(dtype.type, size // dtype.itemsize, across, GROUP_BYTES // (across * size))
    suffix = f"{dtype}_{size}"
    part = name_of(gemm, INPUTS, f"autodiff_gemm_part_{suffix}", f"the 'vectorised' matmul for {dtype}")
    name_of(job, [types.int64] * 3, "autodiff_gemm_job")
    link()
    return name_of(together_for(part), INPUTS, f"autodiff_gemm_{suffix}")


def external(dtype) -> types.ExternalFunction:
    """`gemm` for functions that Numba compiles: they are linked to it when they are loaded."""
    return types.ExternalFunction(kernel(np.dtype(dtype), vector_bytes()), types.void(*INPUTS))


@cache
def multiply(dtype: np.dtype, size: int) -> Callable[..., None]:
    """(a, b, bias, out, team, threads): out = a @ b + bias by vectors of `size` bytes, for matrices that lie
    in memory in any way: one signature for all of them. Only the columns of out lie side by side, and the
    elements of bias, if it has any."""
    element = from_dtype(dtype)
    operand, out = types.Array(element, 2, "A", readonly=True), types.Array(element, 2, "A")
    bias = types.Array(element, 1, "C", readonly=True)
    signature = types.void(operand, operand, bias, out, types.int64, types.int64)
    return jit.compiled(multiply_for(kernel(dtype, size)), signature)
