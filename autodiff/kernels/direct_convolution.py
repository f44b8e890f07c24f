"""Convolution without unrolling: sums of products over windows, each vector loaded from where it lies.

`convolution.py` copies every window into a column of a matrix, each pixel as many times as there are
windows that see it, and lets a product of matrices do the rest. But the elements that neighbouring windows
have at the same place are neighbours themselves, if the stride is 1: a vector of them can be loaded from
the image. Which pixel of a window it is only changes the address, by an *offset* that depends on nothing
else. So, with one offset for each term k = (c, h, w) of the sum,

    y[o, i, j ...]  +=  w[o, k] · x[i, j ... + offset[k]]

is a product of matrices whose right-hand side exists nowhere. As in `vectorised.py` a tile of the result
stays in registers from its first product to its last: some output channels by two *segments*, a segment
being at most a vector of neighbouring columns in one row.

The gradient by x is the same sum, over g instead of x, with other offsets: one such sum for each residue of
the stride, by which the windows that see a pixel differ. The gradient by w goes over the segments and has
a tile of w's gradient in registers, each element spread over the lanes of a vector, which are added up at
the end:

    w[o, k]  +=  sum over the lanes of  g[o, i, j ...] · x[i, j ... + offset[k]]

What is not as the loops need it is copied first: an image with padding, one after the other into the same
memory, or, where the stride along a row is not 1, all of them, columns sorted by their residue. The zeros
of a border are multiplied, too: an infinite w makes NaN of the gradient by x along the edge, where the
products of matrices have no such term.

**How an element is rounded** does not depend on the number of threads: for y and the gradient by x, products
are added in the order of k; for the gradient by w, images are taken together in runs, as many as their sizes
say, whose sums are added in their order.
"""

# An intrinsic's first parameter is Numba's own: callers leave it out, which pyright does not know.
# pyright: reportCallIssue=false

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from . import jobs, vectorised
from .convolution import Geometry, Pair, geometry
from .jobs import words, work_together
from .vectorised import I32, I64, LINE, Variable, Writer, aligned, copy, size_of, vector_bytes

CHUNKS = 8  # runs of images, at the least, each of which gives a share of the gradient by w
NEAR = 1 << 17  # elements of a run, at the most: it stays in the second cache while tile after tile reads it
WIDEST = 4  # segments of a tile, at the most: where there are thirty-two registers

# ---- the tiles -------------------------------------------------------------------------------------


def write_choice(builder, rows, columns, height: int, width: int, write_tile: Callable) -> None:
    """write_tile(i, j) for every tile of at most `height` by `width`, of which (rows, columns) is chosen when it runs."""
    done = builder.append_basic_block("done")
    choice = builder.switch(builder.add(builder.mul(rows, I64(width + 1)), columns), done)
    for i in range(1, height + 1):
        for j in range(1, width + 1):
            block = builder.append_basic_block(f"tile_{i}x{j}")
            choice.add_case(I64(i * (width + 1) + j), block)
            builder.position_at_end(block)
            write_tile(i, j)
            builder.branch(done)
    builder.position_at_end(done)


@intrinsic(prefer_literal=True)
def add_up(typing, lanes, height, width, rows, segments, terms, offsets, xs, columns, w, w_row, bias, ys, y_channel,
           element):  # fmt: skip
    """A tile of a correlation: `rows` output channels, at most `height`, by `segments` segments, at most
    `width`, which begin at xs in the image, at ys in the result, and have so many columns."""
    signature = types.void(lanes, height, width, *[types.int64] * 4, xs, columns, *[types.int64] * 3, ys, types.int64,
                           element)  # fmt: skip

    def write(context, builder, signature, arguments):
        w = Writer(builder, element, lanes.literal_value)
        rows, segments, *others = arguments[3:-1]
        write_choice(builder, rows, segments, height.literal_value, width.literal_value,
                     lambda i, j: write_sums(w, i, j, *others))  # fmt: skip
        return context.get_dummy_value()

    return signature, write


def write_sums(writer: Writer, rows: int, segments: int, terms, offsets, xs, columns, w, w_row, bias, ys,
               y_channel):  # fmt: skip
    """The instructions for a tile of so many rows and segments."""
    builder, size = writer.builder, writer.size
    starts, counts, targets = (
        cgutils.unpack_tuple(builder, each, WIDEST)[:segments] for each in (xs, columns, ys)
    )
    masks = [writer.mask(count) for count in counts]
    sums = []
    for i in range(rows):
        first = writer.spread_from(writer.plus(bias, i, size))
        sums.append([Variable(builder, first) for _ in range(segments)])
    w_at, offset_at = Variable(builder, w), Variable(builder, offsets)
    to_row = [writer.veiled(builder.mul(w_row, I64(i))) for i in range(1, rows)]
    with cgutils.for_range(builder, terms):
        weight, place = w_at.get(), offset_at.get()
        offset = builder.load(writer.at(place, I64))
        vectors = [
            writer.load(builder.add(start, offset), mask) for start, mask in zip(starts, masks, strict=True)
        ]
        for i in range(rows):
            factor = writer.spread_from(builder.add(weight, to_row[i - 1]) if i else weight)
            for s in range(segments):
                sums[i][s].set(writer.multiply_add(factor, vectors[s], sums[i][s].get()))
        w_at.set(writer.plus(weight, 1, size))
        offset_at.set(writer.plus(place, 1, 8))
    for i in range(rows):
        for s in range(segments):
            writer.store(sums[i][s].get(), writer.plus(targets[s], i, y_channel), masks[s])


@intrinsic(prefer_literal=True)
def add_up_over_images(typing, lanes, height, width, rows, terms, images, image_rows, columns, x, x_image, x_row,
                       offsets, g, g_image, g_channel, g_row, out, out_row, element):  # fmt: skip
    """A tile of the gradient by w: `rows` output channels, at most `height`, by `terms` terms, at most
    `width`, from all segments of these images."""
    signature = types.void(lanes, height, width, *[types.int64] * 15, element)

    def write(context, builder, signature, arguments):
        w = Writer(builder, element, lanes.literal_value)
        rows, terms, *others = arguments[3:-1]
        write_choice(builder, rows, terms, height.literal_value, width.literal_value,
                     lambda i, j: write_sums_over_images(w, i, j, *others))  # fmt: skip
        return context.get_dummy_value()

    return signature, write


def write_sums_over_images(w: Writer, rows: int, terms: int, images, image_rows, columns, x, x_image, x_row,
                           offsets, g, g_image, g_channel, g_row, out, out_row):  # fmt: skip
    """The instructions for a tile of so many rows and terms."""
    builder, width = w.builder, w.lanes * w.size
    sums = [[Variable(builder, w.zero) for _ in range(terms)] for _ in range(rows)]
    to_channel = [w.veiled(builder.mul(g_channel, I64(i))) for i in range(rows)]
    to_term = [builder.load(w.at(w.plus(offsets, t, 8), I64)) for t in range(terms)]
    segments = builder.sdiv(builder.add(columns, I64(w.lanes - 1)), I64(w.lanes))

    image_x, image_g = Variable(builder, x), Variable(builder, g)
    with cgutils.for_range(builder, images):
        row_x, row_g = Variable(builder, image_x.get()), Variable(builder, image_g.get())
        with cgutils.for_range(builder, image_rows):
            at_x, at_g = Variable(builder, row_x.get()), Variable(builder, row_g.get())
            left = Variable(builder, columns)
            with cgutils.for_range(builder, segments):
                mask = w.mask(left.get())
                gs = [w.load(builder.add(at_g.get(), to), mask) for to in to_channel]
                for t in range(terms):
                    vector = w.load(builder.add(at_x.get(), to_term[t]), mask)
                    for i in range(rows):
                        sums[i][t].set(w.multiply_add(gs[i], vector, sums[i][t].get()))
                at_x.set(w.plus(at_x.get(), 1, width))
                at_g.set(w.plus(at_g.get(), 1, width))
                left.set(builder.sub(left.get(), I64(w.lanes)))
            row_x.set(builder.add(row_x.get(), x_row))
            row_g.set(builder.add(row_g.get(), g_row))
        image_x.set(builder.add(image_x.get(), x_image))
        image_g.set(builder.add(image_g.get(), g_image))
    for i in range(rows):
        for t in range(terms):
            target = w.plus(w.plus(out, i, out_row), t, w.size)
            builder.store(lanes_added_up(w, sums[i][t].get()), w.at(target, w.element), align=w.size)


def lanes_added_up(w: Writer, vector):
    """The sum of a vector's lanes: each half of them added to the other, until one is left."""
    builder, n = w.builder, w.lanes
    nothing = ir.Constant(w.vector, ir.Undefined)
    while n > 1:
        n //= 2
        order = ir.Constant(ir.VectorType(I32, w.lanes), [k + n if k < n else k for k in range(w.lanes)])
        moved = builder.shuffle_vector(vector, nothing, order)
        vector = builder.fadd(vector, moved)
    return builder.extract_element(vector, I32(0))


# ---- the loops around them: jobs, which a team's threads have parts of -------------------------------


@njit
def following(row, column, columns, lanes):
    """The segment after the one that begins at this column of this row."""
    return (row, column + lanes) if column + lanes < columns else (row + 1, 0)


def correlation_for(number: type, lanes: int, height: int, width: int):
    """The job for one dtype, vectors of so many lanes, tiles of so many rows and segments. (These are
    constants to Numba, and its cache tells functions apart by them.)"""

    def correlation(argument, part, parts):
        """Sums over windows. What is where is at `argument`: see `correlate`."""
        (images, groups, channels, terms, rows, columns, x, x_image, x_group, x_row, offsets, w, bias,
         y, y_image, y_channel, y_row,
         room, top, left, x_channels, height_of_x, width_of_x, given_channel, given_row, wide_channel, wide_row,
        ) = words(argument, 27)  # fmt: skip
        element = number(0)
        size = size_of(element)
        per_row = -(-columns // lanes)
        tiles = -(-rows * per_row // width)  # for an image
        blocks = -(-channels // height)
        most = -(-channels // blocks)  # of their rows
        first, last = images * tiles * part // parts, images * tiles * (part + 1) // parts
        image, tile = first // tiles, first % tiles
        memory = np.zeros(room + LINE, np.uint8)  # for an image with its border
        scratch = aligned(memory.ctypes.data)
        inside = scratch + top * wide_row + left * size
        for unit in range(first, last):
            if room and (unit == first or tile == 0):
                for channel in range(x_channels):
                    for i in range(height_of_x):
                        copy(
                            inside + channel * wide_channel + i * wide_row,
                            x + image * x_image + channel * given_channel + i * given_row, width_of_x * size,
                        )  # fmt: skip
            row0, column0 = tile * width // per_row, tile * width % per_row * lanes
            row1, column1 = following(row0, column0, columns, lanes)
            row2, column2 = following(row1, column1, columns, lanes)
            row3, column3 = following(row2, column2, columns, lanes)
            segments = min(width, rows * per_row - tile * width)
            counts = (min(lanes, columns - column0), min(lanes, columns - column1),
                      min(lanes, columns - column2), min(lanes, columns - column3))  # fmt: skip
            for group in range(groups):
                x_at = (scratch if room else x + image * x_image) + group * x_group
                xs = (x_at + row0 * x_row + column0 * size, x_at + row1 * x_row + column1 * size,
                      x_at + row2 * x_row + column2 * size, x_at + row3 * x_row + column3 * size)  # fmt: skip
                for begin in range(0, channels, most):
                    channel = group * channels + begin
                    y_at = y + image * y_image + channel * y_channel
                    ys = (y_at + row0 * y_row + column0 * size, y_at + row1 * y_row + column1 * size,
                          y_at + row2 * y_row + column2 * size, y_at + row3 * y_row + column3 * size)  # fmt: skip
                    add_up(
                        lanes, height, width, min(most, channels - begin), segments, terms, offsets, xs, counts,
                        w + channel * terms * size, terms * size, bias + channel * size, ys, y_channel, element,
                    )  # fmt: skip
            tile += 1
            if tile == tiles:
                image, tile = image + 1, 0
        memory[0] = 0  # in use until here: Numba frees an array after the last line that names it

    return correlation


def weights_for(number: type, lanes: int, height: int, width: int):
    """The job for one dtype, vectors of so many lanes, tiles of so many rows and terms."""

    def weights(argument, part, parts):
        """Sums over images. What is where is at `argument`: see `conv2d_weight_gradient`."""
        (images, chunks, groups, channels, terms, rows, columns, x, x_image, x_group, x_row, offsets,
         g, g_image, g_channel, g_row, out) = words(argument, 17)  # fmt: skip
        element = number(0)
        size = size_of(element)
        down, across = -(-channels // height), -(-terms // width)
        units = chunks * groups * down * across
        for unit in range(units * part // parts, units * (part + 1) // parts):
            t, rest = unit % across, unit // across
            block, rest = rest % down, rest // down
            group, chunk = rest % groups, rest // groups
            first, last = chunk * images // chunks, (chunk + 1) * images // chunks
            top, bottom = block * channels // down, (block + 1) * channels // down
            left, right = t * terms // across, (t + 1) * terms // across
            channel = group * channels + top
            add_up_over_images(
                lanes, height, width, bottom - top, right - left, last - first, rows, columns,
                x + first * x_image + group * x_group, x_image, x_row, offsets + left * 8,
                g + first * g_image + channel * g_channel, g_image, g_channel, g_row,
                out + (chunk * groups * channels * terms + channel * terms + left) * size, terms * size, element,
            )  # fmt: skip

    return weights


@cache
def compiled(kind: Callable, dtype: np.dtype) -> int:
    """The address of a job for this dtype."""
    size = vector_bytes()
    many = size == 64  # AVX-512 has thirty-two registers, the others sixteen
    if kind is correlation_for:
        job = correlation_for(dtype.type, size // dtype.itemsize, 6, WIDEST if many else 2)
        title = f"convolution for {dtype}"
    else:
        job = weights_for(dtype.type, size // dtype.itemsize, 4 if many else 3, 5 if many else 4)
        title = f"the gradient of convolution by its weights for {dtype}"
    return jobs.ready(job, title, (vectorised, jobs))


# ---- what is where, for NumPy's arrays -------------------------------------------------------------------


class Source(NamedTuple):
    """Images to be summed over: the array, the bytes from one channel, and from one row of windows, to the
    next, and the offset in bytes of each term, for the channels of a group. With a border these are those
    of an image between `top` and `left` zeros and as many as the shape of `wide` leaves, into which the loops
    copy one at a time: it stays in the cache."""

    array: np.ndarray
    channel: int
    row: int
    offsets: np.ndarray
    top: int = 0
    left: int = 0
    wide: Pair | None = None


def offsets(channels: int, channel: int, rows: list[int], columns: list[int]) -> np.ndarray:
    """The offsets of all terms, in the order of w: those of the channels, rows and columns added."""
    of_channels = np.arange(channels, dtype=np.int64) * channel
    places = of_channels[:, None, None] + np.array(rows)[:, None] + np.array(columns)
    return np.ascontiguousarray(places.reshape(-1))


def source(x: np.ndarray, area: Geometry, channels: int, one_by_one: bool = False) -> Source:
    """x (N, C, H, W) as the loops need it: with its padding, which they may make `one_by_one`, columns a stride
    apart beside each other."""
    (n, c, height, width), size = x.shape, x.itemsize
    (kh, kw), (si, sj), (top, left), (di, dj) = area.kernel, area.stride, area.padding, area.dilation
    if sj == 1 and one_by_one and area.padding != (0, 0):
        wide = height + 2 * top, width + 2 * left
        return with_border(
            x, si, [a * di for a in range(kh)], [b * dj for b in range(kw)], channels, top, left, wide
        )
    if sj == 1 and area.padding == (0, 0) and dense(x):
        array, row, residue = x, x.strides[2], 0
    else:
        run = -(-(width + 2 * left) // sj)  # columns of one residue
        array = np.zeros((n, c, height + 2 * top, sj, run), x.dtype)
        for r in range(sj):
            first = (r - left) % sj
            some = x[:, :, :, first::sj]
            q = (first + left) // sj
            array[:, :, top : top + height, r, q : q + some.shape[3]] = some
        row, residue = array.strides[2], array.strides[3]
    columns = [b * dj % sj * residue + b * dj // sj * size for b in range(kw)]
    places = offsets(channels, array.strides[1], [a * di * row for a in range(kh)], columns)
    return Source(array, array.strides[1], si * row, places)


def with_border(
    x: np.ndarray, step: int, rows: list[int], columns: list[int], channels: int, top: int, left: int, wide: Pair
) -> Source:  # fmt: skip
    """x in the midst of zeros, `wide` in all; the terms are at these rows and columns of that, and windows
    `step` rows apart."""
    x = x if dense(x) else np.ascontiguousarray(x)
    row = wide[1] * x.itemsize
    channel = wide[0] * row
    places = offsets(channels, channel, [i * row for i in rows], [j * x.itemsize for j in columns])
    return Source(x, channel, step * row, places, top, left, wide)


def dense(x: np.ndarray) -> bool:
    """Do the elements of a row lie side by side?"""
    return (x.strides[3] == x.itemsize or x.shape[3] == 1) and x.flags.aligned


def where(x: np.ndarray) -> int:
    """The address of its first element."""
    return x.ctypes.data


def as_line(area: Geometry, *arrays: np.ndarray) -> tuple:
    """Planes as single rows, if windows are of one element: then rows are of no account, and vectors full."""
    if area.as_lines:
        area = area._replace(counts=(1, math.prod(area.counts)))
        arrays = tuple(a.reshape(*a.shape[:2], 1, math.prod(a.shape[2:])) for a in arrays)
    return area, *arrays


def correlate(x: Source, w: np.ndarray, bias: np.ndarray, groups: int, y: np.ndarray) -> None:
    """y[o] = bias[o] + sums over x, by w (O, terms), whose channels o are those of the groups in order. The
    columns of y lie side by side."""
    n, o, rows, columns = y.shape
    if y.size == 0:
        return
    channels, terms, array = o // groups, w.shape[1], x.array
    room = x.channel * array.shape[1] if x.wide else 0
    work_together(
        compiled(correlation_for, y.dtype), y.size * terms,
        n, groups, channels, terms, rows, columns, where(array), array.strides[0],
        x.channel * (array.shape[1] // groups), x.row, where(x.offsets), where(w), where(bias),
        where(y), *y.strides[:3],
        room, x.top, x.left, *array.shape[1:], *array.strides[1:3], x.channel, x.wide[1] * y.itemsize if x.wide else 0,
    )  # fmt: skip


def conv2d(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray | None = None, *, stride: Pair = (1, 1),
    padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1,
) -> np.ndarray:  # fmt: skip
    """`convolution.conv2d`, for arrays of one dtype, float32 or float64."""
    area = geometry(x.shape, w.shape[2:], stride, padding, dilation)
    n, o = x.shape[0], w.shape[0]
    line, x = as_line(area, x)
    y = np.empty((n, o, *line.counts), x.dtype)
    matrix = np.ascontiguousarray(w).reshape(o, math.prod(w.shape[1:]))
    added = np.zeros(o, x.dtype) if bias is None else np.ascontiguousarray(bias)
    correlate(source(x, line, w.shape[1], one_by_one=True), matrix, added, groups, y)
    return y.reshape(n, o, *area.counts)


def conv2d_input_gradient(
    g: np.ndarray, w: np.ndarray, *, x_shape: tuple[int, ...], stride: Pair = (1, 1),
    padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1,
) -> np.ndarray:  # fmt: skip
    """`convolution.conv2d_input_gradient`, for arrays of one dtype, float32 or float64."""
    area = geometry(x_shape, w.shape[2:], stride, padding, dilation)
    o, c = w.shape[0] // groups, w.shape[1]
    if area.as_lines:  # of one element each: a convolution with the transposed w
        w = w.reshape(groups, o, c).swapaxes(1, 2).reshape(groups * c, o, 1, 1)
        return conv2d(g, w, groups=groups)
    sides = zip(x_shape[2:], *area, strict=True)
    phases, borders = zip(*(phases_along(*side) for side in sides), strict=True)
    (top, bottom), (left, right) = borders
    wide = top + g.shape[2] + bottom, left + g.shape[3] + right
    parts = w.reshape(groups, o, c, *area.kernel).swapaxes(1, 2)
    x = np.empty(x_shape, g.dtype)
    none = np.zeros(c * groups, g.dtype)
    for down in phases[0]:
        for along in phases[1]:
            target = x[:, :, down.first :: stride[0], along.first :: stride[1]]
            if not down.taps or not along.taps:
                target[...] = 0
                continue
            y = target if stride[1] == 1 else np.empty(target.shape, g.dtype)
            matrix = parts[:, :, :, down.taps][..., along.taps].reshape(c * groups, -1)
            spread = with_border(g, 1, down.places, along.places, o, top, left, wide)
            correlate(spread, np.ascontiguousarray(matrix), none, groups, y)
            if y is not target:
                target[...] = y
    return x


class Phase(NamedTuple):
    """Pixels along one dimension that stand alike to the windows: every stride-th from `first` on, the taps
    of the windows that see them, and where the first pixel's g is found for each tap."""

    first: int
    taps: list[int]
    places: list[int]


def phases_along(
    n: int, k: int, stride: int, padding: int, dilation: int, count: int
) -> tuple[list[Phase], Pair]:
    """The phases along n pixels, and how much of a border g then needs, before and after."""
    phases, before, after = [], 0, 0
    for first in range(min(stride, n)):
        taps = [a for a in range(k) if (first + padding - a * dilation) % stride == 0]
        places = [(first + padding - a * dilation) // stride for a in taps]
        last = -(-(n - first) // stride) - 1
        before = max([before, *(-place for place in places)])
        after = max([after, *(last + place - (count - 1) for place in places)])
        phases.append(Phase(first, taps, places))
    moved = [phase._replace(places=[before + place for place in phase.places]) for phase in phases]
    return moved, (before, after)


def conv2d_weight_gradient(
    g: np.ndarray, x: np.ndarray, *, w_shape: tuple[int, ...], stride: Pair = (1, 1),
    padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1,
) -> np.ndarray:  # fmt: skip
    """`convolution.conv2d_weight_gradient`, for arrays of one dtype, float32 or float64."""
    area = geometry(x.shape, w_shape[2:], stride, padding, dilation)
    line, x, g = as_line(area, x, g)
    g = g if dense(g) else np.ascontiguousarray(g)
    n, o, terms = x.shape[0], w_shape[0], math.prod(w_shape[1:])
    if g.size == 0 or terms == 0:
        return np.zeros(w_shape, x.dtype)
    chunks = min(n, max(CHUNKS, -(-(x.size + g.size) // NEAR)))
    shares = np.empty((chunks, o, terms), x.dtype)
    windows = source(x, line, w_shape[1])
    work_together(
        compiled(weights_for, x.dtype), g.size * terms,
        n, chunks, groups, o // groups, terms, *line.counts, where(windows.array), windows.array.strides[0],
        windows.channel * w_shape[1], windows.row, where(windows.offsets), where(g), *g.strides[:3],
        where(shares),
    )  # fmt: skip
    return shares.sum(0).reshape(w_shape)
