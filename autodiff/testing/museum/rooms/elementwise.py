"""Elementwise operations, and the broadcasting around them."""

from __future__ import annotations

import numpy as np

from ....ops import elementwise, reductions
from ....ops.elementwise import as_number, exp, gate, greater, greater_equal, less, tanh
from ....primitive import Primitive, sum_to
from ... import strategies as draw
from ...operations import OPERATIONS
from ..exhibit import Program, exhibit
from ..mutants import changed, edited, ruled

pair = draw.broadcast_arrays(2)
row = OPERATIONS


@exhibit(
    "Broadcasting that is not undone",
    Program("lambda a, b: a * b", pair, lambda n: (n(2, 3), n(3))),
    sources=(
        "pytorch/pytorch#1787",
        "tracel-ai/burn#181",
        "tenstorrent/tt-metal#40008",
        "raskr/rust-autograd#38",
    ),
    fix="`sum_to` adds up along whatever was stretched: in one place, for all operations.",
)
def not_summed_back():
    """A row that is added to every row of a matrix gets a gradient from each of them: the sum is missing,
    and the gradient has the shape of the matrix. PyTorch had it in the week in which broadcasting came,
    and every young framework has it once."""
    with edited(Primitive.fit, "if share.shape != source.shape:", "if False:"):
        yield


def summed_at_the_end(x, *, to):
    """x, summed over its last dimensions where it should be over the first."""
    x, extra = np.asarray(x), x.ndim - len(to)
    if extra:
        x = x.sum(axis=tuple(range(x.ndim - extra, x.ndim)))
    stretched = tuple(i for i, n in enumerate(x.shape) if to[i] == 1 != n)
    return np.asarray(x.sum(axis=stretched, keepdims=True) if stretched else x).reshape(to)


@exhibit(
    "Summed over the wrong axis",
    Program("lambda a, b: a + b", pair, lambda n: (n(3, 3), n(3))),
    sources=("HomericIntelligence/Odyssey#2080",),
    fix="Shapes are aligned at the end, so what was added stands at the front.",
)
def wrong_axis():
    """Broadcasting adds dimensions at the front, and the sum has to run over those. Run over the last
    ones it fails for most shapes, and not at all for square ones: then the gradient is a sum of rows
    where it should be one of columns, and with a cotangent of ones these are the same."""
    with changed(sum_to, forward=summed_at_the_end):
        yield


@exhibit(
    "Division, with its operands exchanged",
    Program("lambda a, b: a / b", row["div"].inputs, lambda n: (n(2, 3), n(2, 3))),
    sources=("apache/singa#484", "tqchen/tinyflow#20"),
    fix="∂(a/b)/∂b = −a/b² = −y/b.",
)
def division():
    """The rule of a product, with one sign turned. A pull request to Singa returned dy·b as the gradient of
    the divisor, and was caught in review for want of a test; tinyflow corrected "obviously a typo" in the
    same place."""
    with ruled(elementwise.div, 1, lambda g, b: g * b):
        yield


@exhibit(
    "0 to a power that varies",
    Program(
        "lambda a, b: a ** b",
        draw.shapes(max_dims=1).flatmap(
            lambda s: draw.tuples(draw.arrays(s, 0, 2), draw.arrays(s, 2, 4))
        ),
        lambda n: (abs(n(3)), abs(n(3))),
    ),
    sources=("pytorch/pytorch#27134", "tensorflow/tfjs#346", "tensorflow/tensorflow#2295"),
    operation="pow",
    fix="Where a is 0 and b is not negative, the derivative is its limit, 0.",
)  # fmt: skip
def power_of_zero():
    """∂(a^b)/∂b = a^b · log a, which at a = 0 is 0 · (−∞) = NaN, though the limit is 0 for every positive b.
    One zero in a mask or an image, and all parameters are NaN after the next step."""
    with edited(
        elementwise.pow_by_exponent,
        "vanishes = logical_and(equal_to(a, 0), greater_equal(b, 0))",
        "return y * log(a)",
    ):
        yield


@exhibit(
    "x⁰ at 0",
    Program(
        "lambda x, n: x ** n",
        draw.shapes(max_dims=1).flatmap(lambda s: draw.tuples(draw.awkward(s), draw.st.integers(0, 3))),
        lambda n: (n(4), 3),
    ),
    sources=("HIPS/autograd#116", "RobotLocomotion/drake#23862"),
    operation="pow",
    fix="Where the exponent is 0 the derivative is 0, whatever the base: a⁰ is constant.",
)
def zeroth_power():
    """The derivative of xⁿ is n·xⁿ⁻¹, and for n = 0 and x = 0 that is 0 · 0⁻¹ = NaN. The constant term of
    every polynomial is such a power; and so is, two derivatives later, its square. autograd gave NaN from
    the third derivative of exp(−x²) at 0 on."""
    with edited(
        elementwise.pow_by_base,
        "return 0 if b == 0 else b * power(a, b - 1)",
        "return b * power(a, b - 1)",
    ):
        yield


@exhibit(
    "where, multiplied instead of selected",
    Program(
        "lambda x: ad.sqrt(ad.where(x > 0, x, 0))",
        draw.shapes(max_dims=1).flatmap(lambda s: draw.tuples(draw.distinct(s))),
        lambda n: (abs(n(4)),),
        without=("jvp", "adjoint", "second order"),  # upwards it is 0 · ∞, whatever where does
    ),
    sources=("pytorch/pytorch#23395", "pytorch/pytorch#18287", "jax-ml/jax#347", "tinygrad/tinygrad#12409"),
    fix="The vjp of where is a where: it selects, and what is not selected is 0, not 0 times it.",
)
def where_multiplies():
    """If a cotangent is infinite, as below a root at 0, a mask does not stop it: 0 · ∞ = NaN. A branch that
    was not taken so spoils the gradient of the one that was. It is the most reported surprise of all, in
    every framework; selecting, this half of it is cured. (The other half is upstream: the branch's own
    rule may already compute 0 · ∞, and needs a second where inside.)"""
    mask = lambda g, condition: g * as_number(condition)
    with ruled(elementwise.select, 1, mask):
        yield


@exhibit(
    "|x| by division",
    Program("lambda x: ad.abs(x)", row["abs"].inputs, lambda n: (n(2, 3),)),
    sources=("HIPS/autograd#100", "BVLC/caffe#1326", "rsokl/MyGrad#379"),
    operation="abs",
    fix="The derivative is sign(x), which is 0 at 0.",
)
def absolute_value():
    """x/|x| is the sign of x, and NaN at 0. Caffe's author of the fix guessed why it had slipped through:
    the gradient checker keeps away from the kink, and random numbers are never 0. Zeros in data are
    exact."""
    with ruled(elementwise.abs, 0, lambda g, x: g * x / elementwise.abs(x)):
        yield


@exhibit(
    "relu′(0) = 1",
    Program("lambda x: ad.relu(x)", row["relu"].inputs, lambda n: (n(2, 3),)),
    sources=("tensorflow/playground#19", "iamtrask/Grokking-Deep-Learning#13"),
    operation="relu",
    fix="`y > 0`, as everybody else has it.",
)
def relu_at_zero():
    """With `x >= 0` for `x > 0` a unit that is switched off at exactly 0 still learns. Calculus does not
    mind, for any number from 0 to 1 is a subgradient, so no comparison with differences can tell; but
    frameworks have agreed on 0, zeros are common (padding, biases at the start, dropout), and a
    port that differs there trains differently."""
    with ruled(elementwise.relu, 0, lambda g, x: gate(g, greater_equal(x, 0))):
        yield


@exhibit(
    "clip, strict at its bounds",
    Program("lambda x: ad.clamp(x, -1, 1)", draw.shapes().flatmap(lambda s: draw.tuples(draw.awkward(s))), lambda n: (n(2, 3),)),
    sources=("pytorch/pytorch#7049", "pytorch/pytorch#184574"),
    operation="clamp",
    fix="1 on the closed interval (our convention, and PyTorch's for many years).",
)  # fmt: skip
def clip_at_bounds():
    """A parameter that has been clipped to its bound sits exactly on it. If the derivative there is 0 it
    never leaves again; that is why PyTorch once changed it to 1. Eight years later it was called
    inconsistent with relu6, and changed back. Both are subgradients: what counts is to say which."""
    with (
        ruled(elementwise.clamp_min, 0, lambda g, a, b: gate(g, greater(a, b))),
        ruled(elementwise.clamp_max, 0, lambda g, a, b: gate(g, less(a, b))),
    ):
        yield


@exhibit(
    "A tie of two, all to one side",
    Program("lambda a, b: ad.maximum(a, b)", row["maximum"].inputs, lambda n: (n(2, 3), n(2, 3))),
    sources=("pytorch/pytorch#56734", "microsoft/onnxruntime#11388"),
    operation="maximum",
    fix="Half to each.",
)
def tie_to_one_side():
    """max(a, b) where a = b: the one that is compared first gets everything. It is a subgradient, but one
    that depends on the order of the arguments, so that max(a, b) and max(b, a) train differently.
    PyTorch and ONNX Runtime have both moved to halves."""
    with (
        ruled(elementwise.maximum, 0, lambda g, a, b: g * as_number(greater_equal(a, b))),
        ruled(elementwise.maximum, 1, lambda g, a, b: g * as_number(greater(b, a))),
    ):
        yield


@exhibit(
    "A tie of two, counted twice",
    Program("lambda a, b: ad.maximum(a, b)", row["maximum"].inputs, lambda n: (n(2, 3), n(2, 3))),
    sources=("microsoft/onnxruntime#7217",),
    operation="maximum",
    fix="Half to each: when both move alike, so does the maximum, and no faster.",
)
def tie_to_both():
    """max(a, b) where a = b, and both get the whole gradient. That is no subgradient: if both move by one,
    the maximum moves by one and the gradient promises two. In ONNX Runtime some weights of a network in
    half precision, where ties are common, drifted away step by step."""
    with (
        ruled(elementwise.maximum, 0, lambda g, a, b: g * as_number(greater_equal(a, b))),
        ruled(elementwise.maximum, 1, lambda g, a, b: g * as_number(greater_equal(b, a))),
    ):
        yield


@exhibit(
    "tanh′, of the output, given the output once more",
    Program("lambda x: ad.tanh(x)", row["tanh"].inputs, lambda n: (n(2, 3),)),
    sources=("davidrmiller/neural2d#40", "scutan90/DeepLearning-500-questions#466"),
    fix="1 − y², y being the output.",
)
def tanh_of_tanh():
    """1 − tanh²(·) is right for the input, 1 − (·)² for the output, and the two are easily mixed: neural2d
    kept the output and called the derivative that takes an input. Near 0, where most tests are, they
    agree to many digits, and networks train with it."""
    with ruled(elementwise.tanh, 0, lambda g, y: g * (1 - tanh(y) * tanh(y))):
        yield


@exhibit(
    "The cotangent, forgotten",
    Program("lambda x: ad.prod(x)", draw.shapes(min_side=1).flatmap(lambda s: draw.tuples(draw.arrays(s))), lambda n: (n(4),)),
    sources=("pytorch/pytorch#995", "chainer/chainer#1175", "pytorch/pytorch#11750", "k2-fsa/k2#341"),
    fix="A vjp multiplies by the cotangent.",
)  # fmt: skip
def cotangent_forgotten():
    """The rule gives the derivative, and not its product with what comes from above. As the last step
    before `backward()` that is the same, for the cotangent there is 1, and so is a test that ends there.
    −prod(x) had the gradient of prod(x); Chainer's Huber loss pushed with full force when it was
    multiplied by 0; k2 moved in the wrong direction."""
    with ruled(
        reductions.product,
        0,
        lambda x, dim: reductions.products_of_others(x, dim),
    ):
        yield


@exhibit(
    "float64 creeps in",
    Program("lambda x: ad.sqrt(x)", row["sqrt"].inputs, lambda n: (abs(n(2, 3)),)),
    sources=("dlsyscourse/hw1#20",),
    fix="A gradient is brought to the dtype of its input, in one place (`Primitive.fit`).",
)
def float64_creeps_in():
    """A constant in a rule is an array of float64, and NumPy makes float64 of everything it touches. The
    numbers are right. Memory doubles, kernels for float32 are no longer found, and in the course whose
    tests did not look at dtypes, complaints came one homework later, where nothing was wrong."""
    with (
        edited(
            Primitive.fit, "return share if share.dtype == source.dtype else", "return share if True else"
        ),
        ruled(elementwise.sqrt, 0, lambda g, y: g / (np.array(2.0) * y)),
    ):
        yield


@exhibit(
    "A constant with four digits",
    Program("lambda x: ad.log10(x)", row["log10"].inputs, lambda n: (abs(n(2, 3)),)),
    fix="`math.log(10)`.",
)
def four_digits():
    """A classic: ln 10 = 2.303, √(2/π) = 0.798, the numbers of a table of coefficients, typed in as far as
    the page had them. Every tolerance that is wide enough for finite differences in single precision is
    wide enough for it."""
    with ruled(elementwise.log10, 0, lambda g, x: g / (x * 2.303)):
        yield


@exhibit(
    "The sign, of one operand",
    Program("lambda a, b: a - b", pair, lambda n: (n(2, 3), n(2, 3))),
    sources=("owlbarn/owl#533",),
    fix="∂(a − b)/∂b = −1.",
)
def sign_of_subtraction():
    """The commonest of all slips, and one that every checker finds, if the operand that it looks at is the
    right one. Owl, whose reverse mode was tested, had it in the forward mode of subtraction."""
    with ruled(elementwise.sub, 1, lambda g: g):
        yield


@exhibit(
    "log σ(x), as it is written",
    Program(
        "lambda x: ad.log_sigmoid(x)",
        draw.shapes(max_dims=1).flatmap(lambda s: draw.tuples(draw.st.one_of(draw.arrays(s), draw.arrays(s, -900, 900)))),
        lambda n: (n(4),),
    ),
    sources=("borgwang/tinynn#7",),
    fix="The derivative is σ(−x), computed so that neither branch overflows.",
)  # fmt: skip
def sigmoid_overflows():
    """e⁻ˣ/(1 + e⁻ˣ) is right, and ∞/∞ from x = −710 on. Logits of that size are rare in a test and common in
    a model that diverges a little; after that it is NaN for good. tinynn had the logarithm itself this
    way, and its training broke off."""
    with ruled(elementwise.log_sigmoid, 0, lambda g, x: g * exp(-x) / (1 + exp(-x))):
        yield


@exhibit(
    "The logarithm's derivative, protected by an epsilon",
    Program("lambda x: ad.log(x)", row["log"].inputs, lambda n: (abs(n(2, 3)) + 1,)),
    sources=("tensorflow/tensorflow#2295",),
    fix="g / x, and infinity where x is 0: that is the derivative.",
)
def epsilon():
    """1/(x + ε) never divides by 0, and is off by ε/x everywhere: at x = 1 by a millionth, at x = 10⁻⁶ by
    half. It was proposed, among better ideas, for TensorFlow's pow. A check with a relative tolerance of
    a thousandth at numbers around 1 has nothing against it."""
    with ruled(elementwise.log, 0, lambda g, x: g / (x + 1e-6)):
        yield
