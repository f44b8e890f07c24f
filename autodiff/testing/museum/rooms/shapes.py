"""Shapes and indices: where elements go, and where their gradients have to come back to."""

from __future__ import annotations

import numpy as np

from ....ops import indexing, shapes
from ....ops.indexing import _along, add_back, filled
from ... import strategies as draw
from ...operations import OPERATIONS as row
from ..exhibit import Program, exhibit
from ..mutants import changed, edited, ruled


@exhibit(
    "A permutation in place of its inverse",
    Program("lambda x, dims: ad.permute(x, dims)", row["permute"].inputs, lambda n: (n(2, 3), (1, 0))),
    fix="argsort of the permutation.",
)
def not_inverted():
    """A classic: to undo a permutation is to apply its inverse, and for two dimensions, and for every
    exchange of two, that is the permutation itself. It takes three dimensions going round to see the
    difference, and three different sizes to see it without looking at numbers."""
    with edited(shapes.inverse, "tuple(int(i) for i in np.argsort([d % len(dims) for d in dims]))", "dims"):
        yield


def assigned(shape, dtype, index, values):
    """y[index] = values: where a place occurs twice, the last value stays."""
    y = np.zeros(shape, dtype)
    y[index] = values
    return y


def add_back_by_assignment(x, *index, template, to):
    return assigned(to, x.dtype, filled(template, index), x)


@exhibit(
    "An index that occurs twice",
    Program("lambda x, index: x[index]", row["getitem"].inputs, lambda n: (n(4), np.array([2, 0, 3]))),
    sources=("pytorch/pytorch#1528", "pytorch/pytorch#1631"),
    fix="`np.add.at`: a place that occurs several times receives the sum.",
)
def last_write_wins():
    """x[[0, 0]] reads an element twice, so its gradient is a sum of two. NumPy's `y[index] = g` and even
    `y[index] += g` keep one of them. Every embedding layer is such an index, and every batch of text has
    the word "the" in it more than once. PyTorch lost them in 2017, in indexing and in gather."""
    with changed(add_back, forward=add_back_by_assignment):
        yield


def scatter_by_assignment(x, index, *, dim, to):
    return assigned(to, x.dtype, _along(index, dim, to), x)


@exhibit(
    "Pooling windows that overlap",
    Program(
        "lambda x, kernel, stride, padding, dilation, ceil: ad.max_pool2d(x, kernel, stride, padding, dilation, ceil)",
        row["max_pool2d"].inputs,
        lambda n: (n(1, 1, 4, 4), (2, 2), (2, 2), (0, 0), 1, False),
    ),
    sources=("ahrefs/ocannl#512", "jmschrei/tangermeme#95", "ROCm/composable_kernel#750"),
    fix="An element that is the largest of several windows receives all their gradients.",
)  # fmt: skip
def overlapping_windows():
    """With a stride as large as the window every element is in one window at most, and writing is as good
    as adding. With a smaller stride the same element may win several. Tests have the stride of the
    window, because the defaults have; in tangermeme 93 % of what was to be passed on got lost."""
    with changed(indexing.scatter_sum, forward=scatter_by_assignment):
        yield


@exhibit(
    "A slice's gradient, in the slice's shape",
    Program(
        "lambda x, index: x[index]",
        draw.shapes(min_dims=1, min_side=1).flatmap(
            lambda s: draw.tuples(draw.arrays(s), draw.st.slices(s[0]))
        ),
        lambda n: (n(4), slice(1, 3)),
    ),
    sources=("joelgrus/autograd: autograd/tensor.py, `_slice`",),
    fix="Zeros in the shape of what was sliced.",
)
def shape_of_the_slice():
    """`bigger_grad = np.zeros_like(data)`, where `data` is already the slice. The name says what was meant.
    It was written live, on video, and copied into dozens of repositories. `x[:]` works."""
    with ruled(
        indexing.taken,
        0,
        lambda g, index, template: add_back(g, *index, template=template, to=tuple(g.shape)),
    ):
        yield


@exhibit(
    "Cut off at minus zero",
    Program("lambda x, widths, mode, value: ad.pad(x, widths, mode, value)", row["pad"].inputs, lambda n: (n(2, 3), (1, 1, 1, 1), "constant", 0)),
    sources=("HIPS/autograd#431", "pytorch/pytorch#37256", "keras-team/keras#4860"),
    fix="`slice(before, n - after)`: an end counted from the front.",
)  # fmt: skip
def minus_zero():
    """The gradient of padding cuts the padding off: `x[before:-after]`. Where nothing was padded at the end
    that is `x[before:-0]`, which is empty. autograd's gradient had no elements at all as soon as one
    dimension was left alone."""
    with edited(shapes.cropped, "slice(before, n - after)", "slice(before, -after)"):
        yield


@exhibit(
    "Tiles taken for stretched elements",
    Program("lambda x, counts: ad.tile(x, counts)", row["tile"].inputs, lambda n: (n(2), (2,))),
    fix="Split each dimension in (copies, size), not in (size, copies).",
)
def tiles_for_repeats():
    """A classic: 1 2 3 1 2 3 is a tile, 1 1 2 2 3 3 a repetition, NumPy, PyTorch and TensorFlow do not agree
    on which is called what, and the sum over the copies of the one is not that of the other. Of ones
    both sums are the same."""
    with edited(
        shapes.untiled,
        "pairs = tuple(n for pair in zip(times, shape, strict=True) for n in pair)\n"
        "    kept = tuple(n for pair in zip((1,) * ndim, shape, strict=True) for n in pair)",
        "pairs = tuple(n for pair in zip(shape, times, strict=True) for n in pair)\n"
        "    kept = tuple(n for pair in zip(shape, (1,) * ndim, strict=True) for n in pair)",
    ):
        yield


@exhibit(
    "Credit for what was overwritten",
    Program(
        "lambda x, dim, index, v: ad.scatter(x, dim, index, v)", row["scatter"].inputs,
        lambda n: (n(4), 0, np.array([2, 0]), n(2)),
    ),
    sources=("pytorch/pytorch#473", "pytorch/pytorch#146299", "pytorch/pytorch#57006"),
    fix="Only the value that was written last gets the gradient of its place.",
)  # fmt: skip
def credit_for_the_overwritten():
    """x[[0, 0]] = a, b: what is left is b, and a has no influence. The rule reads the cotangent at each
    index, and gives it to both. PyTorch declares repeated indices undefined here; the last one does win,
    and its gradient says otherwise."""
    with edited(
        indexing.replaced, 'if whole and any(a.dtype.kind != "b" for a in parsed(index)[1]):', "if False:"
    ):
        yield


@exhibit(
    "Parts of equal size, which they are not",
    Program("lambda *xs: ad.cat(list(xs[:-1]), xs[-1])", row["cat"].inputs, lambda n: (n(2, 3), n(2, 3), 0)),
    fix="The bounds are the running sum of the sizes.",
)
def equal_parts():
    """A classic: what was joined is cut again into as many parts, and all parts are taken to be as long as
    the first. Tests join arrays of the same shape."""
    with edited(
        shapes.part,
        "(0, *accumulate(shape[dim] for shape in shapes))",
        "tuple(shapes[0][dim] * k for k in range(len(shapes) + 1))",
    ):
        yield
