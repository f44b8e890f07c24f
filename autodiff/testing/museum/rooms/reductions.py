"""Reductions: zeros in products, ties of maxima, axes, and what a sum is divided by."""

from __future__ import annotations

import math

import numpy as np

from .... import ops
from ....ops import elementwise, reductions
from ....ops.elementwise import as_number, equal_to, exp, gate, select
from ....ops.naming import dimensions
from ....ops.reductions import kept_dim, spread, total
from ....ops.shapes import flipped
from ....primitive import Primitive, Variable
from ... import strategies as draw
from ...operations import OPERATIONS as row
from ..exhibit import Program, exhibit
from ..mutants import edited, everywhere, pushed, ruled

along = row["softmax"].inputs
softmax = Program("lambda x, dim: ad.softmax(x, dim)", along, lambda n: (n(2, 3), 1))
prod = Program(
    "lambda x, dim, keepdim: ad.prod(x, dim, keepdim)", row["prod"].inputs, lambda n: (n(2, 3), 1, False)
)


def quotients(g, y, x, dim):
    """The product, divided by each element."""
    with np.errstate(all="ignore"):
        return kept_dim(g, x.shape, dim) * kept_dim(y, x.shape, dim) / x


@exhibit(
    "A product that contains a 0",
    prod,
    sources=("HIPS/autograd#93", "HIPS/autograd#378", "pytorch/pytorch#773", "tinygrad/tinygrad#17404", "pytorch/pytorch#194699"),
    fix="The product of the others, from the left and from the right: nothing is divided.",
)  # fmt: skip
def product_at_zero():
    """∂(Π x)/∂xᵢ is the product of the others, which looks like Π x / xᵢ, and is 0/0 where xᵢ is 0. Ten
    years, six frameworks: autograd since 2016, PyTorch in 2017 and, for function transforms, again in
    2026, tinygrad, where a formal proof in Lean would not go through. The reporter of 2018 recommended
    property-based tests."""
    with ruled(reductions.product, 0, quotients):
        yield


def quotients_of_nonzeros(g, x, dim):
    """The product of what is not 0, divided by each element that is not 0."""
    zero = equal_to(x, 0)
    others = select(zero, 1, x)
    y = reductions.product(others, dim=dim, keepdim=True)
    single = equal_to(total(as_number(zero), dim=dim, keepdim=True), 0)
    return kept_dim(g, x.shape, dim) * gate(y / others, elementwise.logical_or(zero, single))


@exhibit(
    "A product that contains two 0s",
    prod,
    sources=("tinygrad/tinygrad#17404",),
    fix="With two zeros every product of the others still contains one, and is 0.",
)
def product_at_two_zeros():
    """The first repair of the product at 0: leave the zeros out, and give each of them the product of the
    rest. With one zero that is right. With two each is given a slope, though the product stays 0
    whichever of them moves. The reviewer of tinygrad's repair asked for just that case."""
    with ruled(reductions.product, 0, quotients_of_nonzeros):
        yield


def constant_at_two_zeros(g, x, dim):
    """The right gradient; but with two zeros a constant 0, of which nothing is recorded."""
    zeros = np.sum(np.asarray(getattr(x, "array", x)) == 0, axis=dim, keepdims=True)
    right = kept_dim(g, x.shape, dim) * reductions.products_of_others(x, dim)
    return right if not isinstance(x, Variable) else gate(right, zeros < 2)


@exhibit(
    "A product with two 0s, differentiated twice",
    prod,
    sources=("pytorch/pytorch#106789", "pytorch/pytorch#196701", "tensorflow/tensorflow#44556"),
    fix="The rule is made of operations that are themselves recorded, at every point alike.",
)
def product_twice():
    """With two zeros the gradient of a product is 0, so PyTorch returned zeros and was done. Its value is
    right. But the gradient of x·y·z at (0, 0, z) *changes* when x moves, and the second derivative, by
    the two zeros, is z. No test of first derivatives can see it, nor one of second derivatives at
    random numbers."""
    with ruled(reductions.product, 0, constant_at_two_zeros):
        yield


@exhibit(
    "A running product that contains a 0",
    Program("lambda x, dim: ad.cumprod(x, dim)", row["cumprod"].inputs, lambda n: (n(2, 3), 1)),
    sources=("Theano/Theano#5317", "pytorch/pytorch#196701"),
    fix="A recurrence from the end, s = g + x·s, and no division.",
)
def running_product():
    """The gradient of a running product: reverse, multiply, sum up, reverse, and divide by x. It is the
    formula in the pull request that brought cumprod to Theano, and right until an element is 0."""

    def rule(g, y, x, dim):
        with np.errstate(all="ignore"):
            sums = flipped(reductions.running_sum(flipped(g * y, dim=dim), dim=dim), dim=dim)
            return sums / x

    with ruled(reductions.running_product, 0, rule):
        yield


@exhibit(
    "The maximum's ties, each given everything",
    Program("lambda x, dim, keepdim: ad.amax(x, dim, keepdim)", row["amax"].inputs, lambda n: (n(2, 3), 1, False)),
    sources=(
        "oreilly-japan/deep-learning-from-scratch-3: dezero/functions.py, `Max.backward`",
        "tensorflow/tensorflow#51681",
        "sahandsafizadeh/qeep#101",
    ),
    operation="amax",
    fix="What is tied shares: divide by how many there are.",
)  # fmt: skip
def ties_of_maximum():
    """A mask of where x equals its maximum, times the cotangent. With k elements tied the gradient is k
    times too large; it is no subgradient. After relu, or of whole numbers, ties are the rule. DeZero has
    it, from a widely read book; so had CNTK, to the surprise of somebody who compared it with
    TensorFlow."""
    with edited(
        reductions.ties,
        "return kept_dim(g, x.shape, dim) * hit / total(hit, dim=dim, keepdim=True)",
        "return kept_dim(g, x.shape, dim) * hit",
    ):
        yield


@exhibit(
    "The norm of nothing",
    Program(
        "lambda x, dim: ad.norm(x, 2, dim)",
        draw.shapes(min_dims=1, min_side=1).flatmap(lambda s: draw.tuples(draw.awkward(s), draw.axes(len(s)))),
        lambda n: (n(2, 3), 1),
    ),
    sources=("HIPS/autograd#151", "HIPS/autograd#617", "pytorch/pytorch#2421", "jax-ml/jax#3058", "rsokl/MyGrad#378"),
    operation="norm",
    fix="At 0 the subgradient 0 is taken, without dividing.",
)  # fmt: skip
def norm_at_zero():
    """x/‖x‖ is 0/0 at the origin. A residual that is solved exactly, a difference of two equal points, a
    padded row: NaN. autograd's issue has been open since 2016, with the remark that the author had been
    surprised by it himself. JAX decided for NaN, on the ground that there is no derivative."""
    with edited(
        reductions.norm,
        "return root(total(square(x), dim=dim, keepdim=keepdim))",
        "return sqrt(total(square(x), dim=dim, keepdim=keepdim))",
    ):
        yield


@exhibit(
    "The deviation of one, or of equals",
    Program(
        "lambda x, dim: ad.std(x, dim, unbiased=False)",
        draw.shapes(min_dims=1, min_side=1, max_dims=2).flatmap(lambda s: draw.tuples(draw.awkward(s), draw.axes(len(s)))),
        lambda n: (n(2, 3), 1),
    ),
    sources=("pytorch/pytorch#4320", "tensorflow/tensorflow#56830", "jax-ml/jax#11716", "keras-team/keras#2960"),
    operation="std",
    fix="At 0 the root's derivative counts as 0 (`reductions.root`).",
)  # fmt: skip
def deviation_of_equals():
    """The deviation of a single number is 0, constantly, and so is its derivative. Through the root of
    the variance it is ∞ · 0 = NaN. Batches of one occur at the end of every epoch; a feature that is
    constant in a batch is enough, too."""
    with edited(reductions.root, "zero = equal_to(x, 0)", "return sqrt(x)"):
        yield


@exhibit(
    "Softmax, taken for elementwise",
    softmax,
    sources=("deeplearning4j/libnd4j#440", "SebLague/Neural-Network-Experiments#5"),
    fix="(g − Σ g·y)·y: every output depends on every input.",
)
def softmax_diagonal():
    """y·(1 − y), as for the sigmoid: only the diagonal of the Jacobian. libnd4j had it, and so has many a
    network written from scratch, where it still trains, which is the trouble."""
    with ruled(reductions.softmax_, 0, lambda g, y: g * y * (1 - y)):
        yield


@exhibit(
    "Softmax, twice what it should be",
    softmax,
    sources=("markroxor/fromscratchtoml#65", "harvard-edge/cs249r_book#2053"),
    fix="Pull back something that is not constant along the dimension.",
)
def softmax_doubled():
    """The outputs of softmax sum to 1, so the gradient of their sum is 0: and twice 0 is 0. A test that ends
    in `.sum()`, as nearly all do, accepts any multiple of the truth, and zero as well. fromscratchtoml's
    was off by a factor of two. Tinytorch's was right, but mutation testing showed that its tests would
    have taken + for −, and × for −."""
    with ruled(reductions.softmax_, 0, lambda g, y, dim: 2 * (g - total(g * y, dim=dim, keepdim=True)) * y):
        yield


@exhibit(
    "log softmax, for one kind of loss only",
    Program("lambda x, dim: ad.log_softmax(x, dim)", along, lambda n: (n(2, 3), 1)),
    sources=("mlpack/mlpack#3469",),
    fix="g − softmax(x)·Σ g.",
)
def log_softmax_for_one():
    """softmax − onehot is what comes out in the end, if a negative log likelihood follows. As a rule of
    log softmax, with the sum of the cotangent taken to be −1, it is right for that loss and wrong for all
    others. mlpack's was corrected, with its test, in 2023."""
    with ruled(reductions.log_softmax_, 0, lambda g, y: g + exp(y)):
        yield


@exhibit(
    "log Σ exp that overflows",
    Program(
        "lambda x, dim, keepdim: ad.logsumexp(x, dim, keepdim)",
        draw.shapes(min_side=1).flatmap(
            lambda s: draw.tuples(draw.st.one_of(draw.arrays(s), draw.arrays(s, -900, 900)), draw.axes(len(s)), draw.st.booleans())
        ),
        lambda n: (n(2, 3), 1, False),
    ),
    sources=("jax-ml/jax#23842", "tensorflow/swift-apis#587", "mlberkeley/scae-pytorch#4"),
    fix="The rule is softmax, and softmax subtracts the maximum first.",
)  # fmt: skip
def unstable_logsumexp():
    """The value is computed with care, the maximum taken out. The rule is eˣ/Σ eˣ as it stands in the book:
    ∞/∞ from 710 on. Values come out fine, and gradients are NaN."""
    with edited(
        reductions.normalised,
        "if isinstance(dim, int):",
        "return exp(x) / total(exp(x), dim=dim, keepdim=True)\n    if False:",
    ):
        yield


def divided(forward, divisor):
    """A function of x, dim, keepdim whose gradient is spread and divided by `divisor(x, dim)`."""

    def function(x, dim=None, keepdim=False):
        dim = dimensions(dim, x.ndim)

        def rule(g, x):
            return spread(g, dim=dim, keepdim=keepdim, to=tuple(x.shape)) / divisor(x, dim)

        one = Primitive("mean", lambda x: forward(x, dim, keepdim), "x", [rule], listed=False, to_float=True)
        return one(x)

    return function


@exhibit(
    "A mean over some axes, divided by all",
    Program("lambda x, dim: ad.mean(x, dim)", draw.shapes(min_dims=1, min_side=1).flatmap(
        lambda s: draw.tuples(draw.arrays(s), draw.axes(len(s)))), lambda n: (n(2, 3), None)),
    sources=("swiftlang/swift#23033", "facebookresearch/shumai#74"),
    fix="The product of the sizes of the axes that were averaged.",
)  # fmt: skip
def mean_by_all():
    """The gradient of a mean is the cotangent over the number of elements, and that is easily taken to be
    the number of *all* elements. For a mean over everything it is. Swift for TensorFlow divided by the
    whole size whatever the axes."""
    wrong = divided(
        lambda x, dim, keepdim: np.mean(x, axis=dim, keepdims=keepdim), lambda x, dim: math.prod(x.shape)
    )
    with everywhere(ops.mean, wrong):
        yield


@exhibit(
    "The variance that forgets its correction",
    Program("lambda x: ad.var(x)", draw.shapes(min_side=2, max_side=3, min_dims=1).flatmap(lambda s: draw.tuples(draw.arrays(s))),
            lambda n: (n(5),)),
    fix="Divide by n − correction in the rule, as in the forward.",
)  # fmt: skip
def variance_by_n():
    """A classic: the value divides by n − 1, the rule by n. For a batch of 256 that is a difference of
    0.4 %, and no test with a tolerance of a per cent on large arrays will ever see it."""

    def forward(x):
        return np.var(x, ddof=1)

    def rule(g, x):
        return g * 2 * (x - total(x) / math.prod(x.shape)) / math.prod(x.shape)

    wrong = Primitive("var", forward, "x", [rule], listed=False, to_float=True)
    with everywhere(ops.var, wrong):
        yield


@exhibit(
    "A negative axis",
    Program(
        "lambda x, dim, keepdim: ad.sum(x, dim, keepdim)", row["sum"].inputs, lambda n: (n(2, 3), 1, False)
    ),
    sources=("tensorflow/tensorflow#10835", "Theano/Theano#1430"),
    fix="`d % rank`, before axes are compared.",
)
def negative_axis():
    """axis=−1 is the last one, and everybody writes it. The forward hands it to NumPy, which knows; the
    rule compares it with 0, 1, 2 and finds nothing. TensorFlow's gradient of a product crashed, Theano's
    sum with keepdims."""
    with edited(
        reductions.kept,
        "dim = {d % len(shape) for d in (dim if isinstance(dim, tuple) else (dim,))} if shape else {0}",
        "dim = set(dim if isinstance(dim, tuple) else (dim,))",
    ):
        yield


@exhibit(
    "keepdim, forgotten in the rule",
    Program(
        "lambda x, dim, keepdim: ad.logsumexp(x, dim, keepdim)",
        draw.shapes(min_dims=2, min_side=1).flatmap(
            lambda s: draw.tuples(draw.arrays(s), draw.axis(len(s)), draw.st.booleans())
        ),
        lambda n: (n(3, 3), 1, False),
    ),
    sources=("harvard-edge/cs249r_book#1867", "pytorch/pytorch#1813"),
    fix="Put the reduced dimensions back before anything is multiplied.",
)
def keepdim_forgotten():
    """A sum over the columns of a matrix is a vector of rows, and broadcasts against the matrix as if it
    were a vector of columns. If the matrix is square nothing fails, and each row gets the cotangents of
    all. With a cotangent of ones the two are the same."""
    with edited(reductions.kept_dim, "return reshaped(y, to=kept(x_shape, dim))", "return y"):
        yield


@exhibit(
    "A running sum, not reversed",
    Program("lambda x, dim: ad.cumsum(x, dim)", row["cumsum"].inputs, lambda n: (n(2, 3), 1)),
    sources=("PaddlePaddle/Paddle#50997",),
    fix="What is summed forwards is pulled back backwards.",
)
def running_sum():
    """The transpose of a lower triangle is an upper one. x₀ is part of every sum, and gets the whole
    cotangent; not reversed, it gets the first element and the last gets everything."""
    with ruled(reductions.running_sum, 0, lambda g, dim: reductions.running_sum(g, dim=dim)):
        yield


@exhibit(
    "Forward mode of softmax, without the mean",
    softmax,
    sources=("raven-ml/raven#153", "pytorch/pytorch#198017"),
    fix="ẏ = (t − Σ t·y)·y.",
)
def softmax_tangent():
    """A rule for each mode, each written by hand, and only one of them tested. PyTorch collects such cases
    in an issue of its own: forward-mode and higher derivatives that are wrong where the gradient is
    right."""
    with pushed(reductions.softmax_, lambda t, y: t * y):
        yield
