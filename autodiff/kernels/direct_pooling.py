"""The largest element of each window, by vectors: neighbouring windows side by side in the lanes of one.

The loops go over the places (i, j) of a window, and at each place over a *segment* of windows, at most a
vector of neighbours in one row: what is larger than the largest so far takes its place, in all lanes at
once, and where it stands is kept in a second vector. The elements that neighbouring windows have at a place
are a stride apart: with a stride of 1 they are a vector in memory, with 2, the usual one, they are every
second element of two, else they are gathered one by one.
"""

# An intrinsic's first parameter is Numba's own: callers leave it out, which pyright does not know.
# pyright: reportCallIssue=false

from __future__ import annotations

import math
from functools import cache

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from . import jobs, vectorised
from .jobs import words, work_together
from .vectorised import I32, I64, Variable, Writer, size_of, vector_bytes


@intrinsic(prefer_literal=True)
def find_largest(typing, lanes, windows, x, step, height, width, down, right, firsts, place, place_step, place_down,
                 place_right, values, indices, element):  # fmt: skip
    """The largest elements of so many windows, at most `lanes`, and their places. The first window's corner is
    at x, the next are `step` elements apart; they have height by width elements, `down` and `right` bytes
    apart. The places begin at `place` and differ by the steps of that name; where nothing is larger than
    minus infinity they are those at `firsts`."""
    signature = types.void(lanes, *[types.int64] * 14, element)

    def write(context, builder, signature, arguments):
        w = Writer(builder, element, lanes.literal_value)
        (windows, x, step, height, width, down, right, firsts, place, place_step, place_down, place_right,
         values, indices) = arguments[1:-1]  # fmt: skip
        whole = ir.VectorType(ir.IntType(8 * w.size), w.lanes)  # integers as wide as the elements
        mask = w.mask(windows)

        def integer(number):
            return w.spread(builder.trunc(number, whole.element) if w.size < 8 else number)

        def every_second(address):
            """The elements at even places of two vectors."""
            pair = []
            for half in (0, 1):  # 2 · windows − 1 elements, of which this vector has those that are left
                left = builder.sub(builder.mul(windows, I64(2)), I64(half * w.lanes + 1))
                pair.append(w.load(w.plus(address, half, w.lanes * w.size), w.mask(left)))
            order = ir.Constant(ir.VectorType(I32, w.lanes), [2 * k for k in range(w.lanes)])
            return builder.shuffle_vector(*pair, order)

        def one_by_one(address):
            """The elements that are `step` apart, the last one in the lanes that are left over."""
            vector, last = w.zero, builder.sub(windows, I64(1))
            for k in range(w.lanes):
                lane = builder.select(builder.icmp_signed("<", I64(k), last), I64(k), last)
                to = builder.mul(builder.mul(lane, step), I64(w.size))
                number = builder.load(w.at(builder.add(address, to), w.element), align=w.size)
                vector = builder.insert_element(vector, number, I32(k))
            return vector

        lowest = ir.Constant(w.vector, [-math.inf] * w.lanes)
        best = Variable(builder, lowest)
        name = f"llvm.masked.load.v{w.lanes}i{8 * w.size}.p0"
        zeros = ir.Constant(whole, [0] * w.lanes)
        where = Variable(builder, w.call(name, whole, w.at(firsts, whole), I32(w.size), mask, zeros))
        numbers = ir.Constant(whole, list(range(w.lanes)))
        steps = builder.mul(numbers, integer(place_step))

        def look(elements):
            """Through all places of the windows."""
            row, row_place = Variable(builder, x), Variable(builder, place)
            with cgutils.for_range(builder, height):
                at, at_place = Variable(builder, row.get()), Variable(builder, row_place.get())
                with cgutils.for_range(builder, width):
                    x_here, place_here = elements(at.get()), builder.add(integer(at_place.get()), steps)
                    larger = builder.fcmp_ordered(">", x_here, best.get())
                    better = builder.or_(larger, builder.fcmp_unordered("uno", x_here, x_here))
                    best.set(builder.select(better, x_here, best.get()))
                    where.set(builder.select(better, place_here, where.get()))
                    at.set(builder.add(at.get(), right))
                    at_place.set(builder.add(at_place.get(), place_right))
                row.set(builder.add(row.get(), down))
                row_place.set(builder.add(row_place.get(), place_down))

        dense = builder.icmp_signed("==", step, I64(1))
        with builder.if_else(dense) as (then, otherwise):
            with then:
                look(lambda address: w.load(address, mask))
            with otherwise:
                by_two = builder.icmp_signed("==", step, I64(2))
                with builder.if_else(by_two) as (then, otherwise):
                    with then:
                        look(every_second)
                    with otherwise:
                        look(one_by_one)
        w.store(best.get(), values, mask)
        places = where.get()
        wide = ir.VectorType(I64, w.lanes)
        places = builder.sext(places, wide) if w.size < 8 else places
        name = f"llvm.masked.store.v{w.lanes}i64.p0"
        w.call(name, ir.VoidType(), places, w.at(indices, wide), I32(8), mask)
        return context.get_dummy_value()

    return signature, write


def pooling_for(number: type, lanes: int):
    """The job for one dtype and vectors of so many lanes."""

    def pooling(argument, part, parts):
        """The largest elements of planes. What is where is at `argument`: see `max_pool2d`."""
        (planes, rows, columns, x, x_plane, x_row, step, height, width, down, right, firsts, place, place_row,
         place_step, place_down, place_right, values, indices) = words(argument, 19)  # fmt: skip
        element = number(0)
        size = size_of(element)
        for plane in range(planes * part // parts, planes * (part + 1) // parts):
            for i in range(rows):
                for j in range(0, columns, lanes):
                    target = (plane * rows + i) * columns + j
                    find_largest(
                        lanes, min(lanes, columns - j), x + plane * x_plane + i * x_row + j * step * size, step,
                        height, width, down, right, firsts + (i * columns + j) * size,
                        place + i * place_row + j * place_step, place_step, place_down, place_right,
                        values + target * size, indices + target * 8, element,
                    )  # fmt: skip

    return pooling


@cache
def compiled(dtype: np.dtype) -> int:
    """The address of the job for this dtype."""
    job = pooling_for(dtype.type, vector_bytes() // dtype.itemsize)
    return jobs.ready(job, f"the pooling of maxima for {dtype}", (vectorised, jobs))


def max_pool2d(
    wide: np.ndarray, firsts: np.ndarray, corner: int, width: int, area
) -> tuple[np.ndarray, np.ndarray]:
    """`pooling.max_pool2d` of images `wide`, padded already: rows of `width` elements without that, the
    first window's corner at place `corner`; `firsts` has the first place inside of each window."""
    (kh, kw), (si, sj), _, (di, dj), (rows, columns) = area
    planes, size = math.prod(wide.shape[:2]), wide.itemsize
    values = np.empty((*wide.shape[:2], rows, columns), wide.dtype)
    indices = np.empty(values.shape, np.int64)
    inside = np.ascontiguousarray(firsts, f"i{size}")
    row = wide.shape[3] * size
    work_together(
        compiled(wide.dtype), values.size * kh * kw,
        planes, rows, columns, wide.ctypes.data, wide.shape[2] * row, si * row, sj, kh, kw, di * row, dj * size,
        inside.ctypes.data, corner, si * width, sj, di * width, dj, values.ctypes.data, indices.ctypes.data,
    )  # fmt: skip
    return values, indices
