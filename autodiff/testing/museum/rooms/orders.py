"""The other mode, and the second order: what is right the first time, in reverse."""

from __future__ import annotations

import numpy as np

from .... import primitive
from ....ops import elementwise
from ....primitive import Linear, Multilinear, Variable
from ... import strategies as draw
from ...operations import OPERATIONS as row
from ..exhibit import Program, exhibit
from ..mutants import changed, edited, ruled
from .walk import one


@exhibit(
    "Half of the product rule",
    Program("lambda a, b: a @ b", row["mm"].inputs, lambda n: (n(2, 3), n(3, 4))),
    sources=("pytorch/pytorch#198017",),
    fix="ȧ b + a ḃ: a term for each operand that moves.",
)
def half_the_product_rule():
    """The tangent of a product when both factors move. With one of them constant, as in a test that moves
    one input at a time, the missing term is 0. Reverse mode, which has a rule for each operand, knows
    nothing of it."""
    with edited(Multilinear.push, "return total(terms)", "return terms[0]"):
        yield


@exhibit(
    "A tangent that stops",
    Program("lambda x: ad.flip(x, 0)", draw.shapes(min_dims=1, min_side=1).flatmap(lambda s: draw.tuples(draw.arrays(s))),
            lambda n: (n(3),)),
    sources=("raven-ml/raven#153",),
    fix="The tangent of a linear map is the map of the tangent.",
)  # fmt: skip
def tangent_stops():
    """Forward mode of the operations that only move elements: zero. In raven the result was passed on
    before its tangent had been stored, for two dozen of them; the reporter asked for a test that
    compares the two modes, ⟨g, J t⟩ with ⟨Jᵀ g, t⟩."""

    def push(self, node, tangents):
        return tangents[0].wrap(np.zeros(node.shape, node.dtype))

    with changed(Linear, push=push):
        yield


@exhibit(
    "Second order, with what was saved held constant",
    Program("lambda x: x * x * x", one, lambda n: (n(2, 3),)),
    sources=("pytorch/pytorch#76185", "pytorch/pytorch#18619"),
    fix="In a walk that is recorded, what a rule reads stands at its place in the graph.",
)
def saved_as_constant():
    """The gradient is right. Differentiated once more it is a function of the cotangent alone, for what the
    rule had saved came back without its history: of 3x² nothing is left. PyTorch's custom functions do so
    with anything that is kept on the side, silently, and an issue to make it an error is open."""
    with edited(primitive.placed, "return like.wrap(value, node.sources[place])", "return like.wrap(value)"):
        yield


def cosine_of_the_array(g, x):
    """The right numbers, by NumPy, whom nobody records."""
    x = x.array if isinstance(x, Variable) else x
    return g * np.cos(x)


@exhibit(
    "A rule that nobody records",
    Program("lambda x: ad.sin(x)", row["sin"].inputs, lambda n: (n(2, 3),)),
    sources=("dmlc/minpy#155", "pytorch/pytorch#1712"),
    fix="A rule calls primitives: on arrays they are NumPy, on Variables they record.",
)
def rule_in_numpy():
    """A rule that works on bare arrays is as good as any, until its result is to be differentiated: then it
    is a constant. After a change for speed MinPy's second derivative of x² was 0.0, a single number."""
    with ruled(elementwise.sin, 0, cosine_of_the_array):
        yield
