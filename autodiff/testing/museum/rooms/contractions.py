"""Products, sums of products, convolutions."""

from __future__ import annotations

import math

import numpy as np

from .... import ops
from ....kernels import convolution
from ....ops import contractions, convolutions
from ....ops.contractions import product
from ....primitive import Primitive
from ... import strategies as draw
from ...operations import OPERATIONS as row
from ..exhibit import Program, exhibit
from ..mutants import changed, edited, everywhere, ruled

matmul = Program("lambda a, b: ad.matmul(a, b)", row["matmul"].inputs, lambda n: (n(2, 3), n(3, 4)))
conv2d = Program(
    "lambda x, w, b, stride, padding, dilation, groups: ad.conv2d(x, w, b, stride, padding, dilation, groups)",
    row["conv2d"].inputs,
    lambda n: (n(1, 1, 5, 5), n(2, 1, 3, 3), n(2), (2, 2), (1, 1), (1, 1), 1),
)  # fmt: skip


def vector_rule(g, b):
    """g @ b, a single number where a matrix was wanted."""
    return np.broadcast_to(np.asarray(np.sum(g * b)), (*g.shape, *b.shape))


@exhibit(
    "A matrix times a vector",
    Program("lambda a, b: ad.matmul(a, b)", row["mv"].inputs, lambda n: (n(3, 3), n(3))),
    sources=("harvard-edge/cs249r_book#1781", "facebookresearch/CrypTen#140", "google/tangent#59"),
    fix="∂(A b)/∂A is the outer product of the cotangent and b.",
)
def matrix_times_vector():
    """The rule for two matrices, `g @ b.T`, applied to a vector: its transpose is itself, and `g @ b` is an
    inner product. If the matrix is not square that fails; if it is, one number is handed to every
    element."""
    wrong = Primitive(
        "matmul",
        np.matmul,
        "a b",
        [vector_rule, lambda g, a: np.asarray(g @ a)],
        listed=False,
        broadcasts=True,
    )
    with everywhere(ops.matmul, wrong):
        yield


@exhibit(
    "The transposes, forgotten",
    Program("lambda a, b: ad.matmul(a, b)", row["mm"].inputs, lambda n: (n(3, 3), n(3, 3))),
    fix="Ā = Ȳ Bᵀ and B̄ = Aᵀ Ȳ: the only product that has the right shape, if sizes differ.",
)
def transposes_forgotten():
    """A classic of the first lesson, which different sizes forbid and square matrices allow."""
    with (
        ruled(product, 0, lambda g, b: product(g, b)),
        ruled(product, 1, lambda g, a: product(a, g)),
    ):
        yield


@exhibit(
    "A batch, multiplied by one matrix",
    matmul,
    sources=("flashlight/flashlight#760", "tensorflow/tfjs#8721"),
    fix="The leading dimensions broadcast, and are summed back like all others.",
)
def batch_not_summed():
    """A batch of matrices times a single one is a broadcast, as hidden as the one of a bias. The gradient of
    the single matrix comes in a batch. flashlight added it to the parameter all the same."""
    with changed(product, fit=lambda share, source, node: share):
        yield


@exhibit(
    "A letter twice in one operand",
    Program("lambda x: ad.einsum('ii->', x)", draw.st.integers(1, 3).flatmap(lambda n: draw.tuples(draw.arrays((n, n)))),
            lambda n: (n(3, 3),)),
    sources=("HIPS/autograd#115", "HIPS/autograd#510", "tinygrad/tinygrad#18229"),
    fix="A repeated letter takes a diagonal first; the rest has each letter once.",
)  # fmt: skip
def repeated_letter():
    """A trace, "ii->": its adjoint would be "->ii", which einsum does not know, as it does not know how to
    fill a diagonal. autograd's issue of 2016 is open. (In tinygrad the letter that was left had the
    wrong place, and the result was transposed.)"""
    with edited(contractions.einsum, "terms[k], x = without_repeats(k, term, x)", "terms[k] = term"):
        yield


@exhibit(
    "A letter summed out of one operand alone",
    Program("lambda equation, *xs: ad.einsum(equation, *xs)", row["einsum"].inputs, lambda n: ("ij,jk->ik", n(2, 3), n(3, 4))),
    sources=("LinjianMa/AutoHOOT#69", "HIPS/autograd#242", "HIPS/autograd#376"),
    fix="Such a letter is neither in the cotangent nor in the other operands: its size has to be supplied.",
)  # fmt: skip
def summed_out_letter():
    """In "ij->i" the letter j is gone. The gradient is the cotangent repeated along j, but no operand that
    is left knows how long j is. Rules that only exchange the terms of the equation have nothing to say
    here, or say it in the wrong shape."""
    with edited(contractions.einsum_rule, "if alone:", "if False:"):
        yield


def fitted_to_the_output(g, w, *, x_shape, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    """The input's gradient as large as the output can tell, set against the lower right edge."""
    span = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:], strict=True)]
    sides = [(n - 1) * s + k - 2 * p for n, s, k, p in zip(g.shape[2:], stride, span, padding, strict=True)]
    x = np.zeros(x_shape, np.result_type(g, w))
    told = convolution.conv2d_input_gradient(
        g, w, x_shape=(*x_shape[:2], *sides), stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    x[:, :, x_shape[2] - sides[0] :, x_shape[3] - sides[1] :] = told
    return x


@exhibit(
    "What a stride leaves over",
    conv2d,
    sources=(
        "torch/DEPRECEATED-torch7-distro#20",
        "f-dangel/backpack#30",
        "flagos-ai/FlagGems#1576",
        "PKUFlyingPig/CMU10-714#6",
    ),
    fix="The gradient has the size of the input, and the last rows, which no window reached, get 0.",
)
def stride_remainder():
    """With a stride of 2 over 6 columns a window of 3 starts twice, and the last column is in none. From the
    output alone it looks as if there were 5, so the gradient is too small, or is moved by one. Torch
    had it in 2012 (and its authors discussed whether it was a feature), BackPACK in 2020, FlagGems in
    2026."""
    with changed(convolutions.conv_input, forward=fitted_to_the_output):
        yield


def averaged(g, x, **options):
    """The gradient by the weights, divided by how many places it is summed over."""
    return convolution.conv2d_weight_gradient(g, x, **options) / math.prod((g.shape[0], *g.shape[2:]))


@exhibit(
    "A kernel's gradient, averaged",
    conv2d,
    sources=("sebgao/cTensor#3",),
    fix="The sum: whether to average is for the loss to say.",
)
def averaged_kernel():
    """A weight of a convolution is used at every place, and its gradient is a sum over all of them. Divided
    by their number it looks reasonable, trains, and makes the learning rate a function of the size of
    the image. It was found by somebody who read the code and asked."""
    with changed(convolutions.conv_weight, forward=averaged):
        yield
