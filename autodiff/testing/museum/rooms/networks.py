"""Layers and losses: what is averaged over whom, and when."""

from __future__ import annotations

import math

import numpy as np

from .... import ops
from ....ops import fused
from ....ops.reductions import total
from ....primitive import Primitive, Variable
from ... import strategies as draw
from ..exhibit import Program, exhibit, functions_of_nn
from ..mutants import changed, everywhere, ruled

matrix = draw.shapes(min_dims=2, max_dims=2, min_side=2)


@exhibit(
    "Batch normalisation in eval, differentiated as in training",
    Program(
        "lambda x, mean, var: ad.ops.batch_norm(x, mean, var)",
        matrix.flatmap(lambda s: draw.tuples(draw.distinct(s), draw.arrays(s[1:]), draw.arrays(s[1:], 0.25, 3))),
        lambda n: (n(4, 3), n(3), abs(n(3))),
    ),
    sources=(
        "oreilly-japan/deep-learning-from-scratch-3: dezero/functions.py, `BatchNorm.backward`",
        "pytorch/xla#913", "pytorch/pytorch#586", "apache/mxnet#9580", "torch/nn#768",
    ),
    fix="With fixed statistics it is an affine map, and its gradient is a scale.",
)  # fmt: skip
def batch_norm_in_eval():
    """In training the mean and the variance depend on the input, and two terms of the gradient say so. In
    evaluation they are constants. A backward that does not ask which it was subtracts the two terms all
    the same, or finds that what it wants to read was never saved. Nobody trains in evaluation mode, but
    saliency maps, adversarial examples and style transfer differentiate there."""

    def forward(x, mean, var):
        return (x - mean) / np.sqrt(var + 1e-5)

    def rule(g, x):
        n = x.shape[0]
        centred = x - total(x, dim=0, keepdim=True) / n
        scale = ops.rsqrt(total(centred * centred, dim=0, keepdim=True) / n + 1e-5)
        z = centred * scale
        return scale * (g - total(g, dim=0, keepdim=True) / n - z * total(g * z, dim=0, keepdim=True) / n)

    wrong = Primitive(
        "batch_norm", forward, "x mean var",
        [rule, lambda g, var: -total(g, dim=0) / ops.sqrt(var + 1e-5),
         lambda g, x, mean, var: total(-g * (x - mean), dim=0) / (2 * (var + 1e-5) * ops.sqrt(var + 1e-5))],
        listed=False, to_float=True,
    )  # fmt: skip
    with everywhere(ops.batch_norm, wrong):
        yield


@exhibit(
    "Normalisation, of which one term is missing",
    Program(
        "lambda x, w, b: ad.ops.layer_norm(x, x.shape[-1], w, b)",
        matrix.flatmap(lambda s: draw.tuples(draw.distinct(s), draw.arrays(s[1:]), draw.arrays(s[1:]))),
        lambda n: (n(4, 3), n(3), n(3)),
    ),
    sources=("mlpack/mlpack#1923", "mlpack/mlpack#2474"),
    fix="scale·(g − mean g − z·mean(g·z)): the variance depends on the input, too.",
)
def missing_term():
    """The term that comes through the variance is left out. mlpack's layer had a test by finite differences,
    and passed: it looked at the gradient of the *parameters* of a network in which the layer came first,
    so that what it handed down was never used."""

    def rule(g_z, g_scale, z, scale, dims):
        n = math.prod(z.shape[d] for d in dims)
        return scale * (g_z - total(g_z, dim=dims, keepdim=True) / n)

    with ruled(fused.standardised, 0, rule):
        yield


def labelled(ignored: bool):
    """(logits, labels), some of which are −100, not to count; never all."""

    @draw.st.composite
    def made(drawn):
        n, classes = drawn(draw.st.integers(1, 3)), drawn(draw.st.integers(1, 3))
        labels = drawn(draw.places(classes, (n,)))
        skip = drawn(draw.hnp.arrays(bool, n, elements=draw.st.booleans(), fill=draw.st.nothing()))
        skip[0] = False
        return drawn(draw.arrays((n, classes))), np.where(skip & ignored, -100, labels)

    return made()


@exhibit(
    "A mean that counts the ignored",
    Program("lambda x, labels: F.cross_entropy(x, ad.tensor(labels))", labelled(True), lambda n: (n(4, 3), np.array([0, 2, 1, 1]))),
    sources=("open-mmlab/mmsegmentation#546", "qubvel-org/segmentation_models.pytorch#852", "PaddlePaddle/Paddle#23708", "flagos-ai/FlagGems#73"),
    fix="Divide by how many samples count.",
)  # fmt: skip
def mean_of_the_ignored():
    """Padding of a text and the unlabelled parts of an image carry the label "ignore". Their losses are 0,
    and are averaged all the same: the more there is of them, the smaller the gradient. With no ignored
    labels, as in a test, everything is right."""
    losses = functions_of_nn("class_losses")
    right = losses.weighted

    def weighted(terms, share, kept, reduction):
        if reduction != "mean" or kept is None:
            return right(terms, share, kept, reduction)
        value = right(terms, share, kept, reduction)
        factor = float(np.mean(np.asarray(getattr(kept, "array", kept))))
        return value.detach() + factor * (value - value.detach())

    with changed(losses, weighted=weighted):
        yield


@exhibit(
    "Dropout that draws again",
    Program("lambda x: (ad.manual_seed(0), F.dropout(x, 0.5))[1]", draw.shapes(min_dims=1, min_side=2).flatmap(
        lambda s: draw.tuples(draw.arrays(s))), lambda n: (n(2, 3),)),
    sources=("state-spaces/mamba#1023", "ddbourgin/numpy-ml#94", "kaldi-asr/kaldi#3890"),
    fix="The mask is saved: it is one operand of a product.",
)  # fmt: skip
def second_mask():
    """The backward needs the mask of the forward. It draws a new one, or relies on a generator to give the
    same again, or guesses it from zeros in the output, where a zero of the input looks like a dropped
    one. All of these have been reported. On average, over many steps, even a wrong mask is right."""
    F = functions_of_nn()

    def mask(x):
        from ....random import source

        return (source(None).random(x.shape, np.float32) >= 0.5) * 2

    def rule(g, x):
        again = mask(x)
        return g * (g.wrap(again.astype(g.dtype)) if isinstance(g, Variable) else again)

    dropped = Primitive("dropout", lambda x: x * mask(x), "x", [rule], listed=False)
    with changed(F, dropout=lambda x, p: dropped(x)):
        yield
