"""The walk: in which order, how often, and what is added to what."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from .... import functional, graph
from ....graph import Node
from ....tensor import accumulated
from ... import strategies as draw
from ..exhibit import Program, exhibit
from ..mutants import edited, rewritten

one = draw.shapes(max_dims=2).flatmap(lambda shape: draw.tuples(draw.arrays(shape)))
square = Program("lambda x: x * x", one, lambda n: (n(2, 3),))
twice = Program("lambda x: x + x * x", one, lambda n: (n(2, 3),))
diamond = Program("lambda x: (lambda b: b + b * x)(x * x)", one, lambda n: (n(2, 3),))


@exhibit(
    "= where += belongs",
    Program("lambda x: x * x + 3 * x", one, lambda n: (n(2, 3),)),
    sources=("karpathy/micrograd#2", "PaddlePaddle/Paddle#3689"),
    fix="Shares of a cotangent are added up (`accumulate`).",
)
def overwritten():
    """A value that is read by two operations gets two shares of gradient, and the second replaces the
    first. Every engine that anybody ever wrote in an evening has had this bug; in micrograd's first week
    values that were used again went wrong, and Paddle's designers discussed at length whether gradient
    operators should write or add."""
    with edited(
        graph.backpropagate,
        "accumulate(totals, made, source, share)",
        "totals[source] = share",
    ):
        yield


@exhibit(
    "A second walk overwrites what the first has left",
    square,
    sources=("apache/mxnet#17989",),
    fix="`.grad` accumulates from walk to walk; only the user clears it.",
)
def leaf_overwritten():
    """Gradients are meant to add up over several walks, so that a large batch can be done in parts. Here
    each walk replaces what stands in `.grad`. MXNet has a switch for it (`grad_req='add'`), which went
    wrong silently as soon as a parameter was used more than a certain number of times; it took a model of
    24 layers to see it, for 12 were fine."""
    with edited(
        accumulated,
        "np.add(before.array, g, out=before.array)",
        "np.copyto(before.array, g)",
    ):
        yield


@exhibit(
    "Intermediate gradients kept from walk to walk",
    square,
    sources=("karpathy/micrograd#25", "karpathy/micrograd#53", "karpathy/micrograd#102"),
    fix="Cotangents of intermediate values live in a dictionary of the walk, and go with it.",
    scenario="walked_twice",
)
def intermediates_kept():
    """Every value of micrograd keeps its gradient, and `zero_grad` clears only the parameters'. A second
    `backward()` through the same expression so starts from what the first has left in between, and
    the result is not twice the gradient but something larger. It has been reported, and asked about,
    again and again."""
    kept: WeakKeyDictionary = WeakKeyDictionary()

    def with_what_was_kept(origin, g):
        if g is not None and type(origin) is Node:
            g = kept[origin] = g + kept[origin] if origin in kept else g
        return g

    with edited(
        graph.backpropagate,
        "g = totals.pop(origin, None)",
        "g = with_what_was_kept(origin, totals.pop(origin, None))",
        with_what_was_kept=with_what_was_kept,
    ):
        yield


def depth_first(roots):
    """Each origin where it is met first."""
    order, stack = [], list(dict.fromkeys(roots))
    seen = set()
    while stack:
        origin = stack.pop()
        if origin not in seen:
            seen.add(origin)
            order.append(origin)
            stack += [source for source in reversed(origin.sources) if source is not None]
    return order


@exhibit(
    "Depth first, which is no topological order",
    diamond,
    sources=(
        "karpathy/micrograd#64",
        "karpathy/micrograd#21",
        "karpathy/micrograd#23",
        "karpathy/micrograd#68",
    ),
    fix="Newest first: what a value is read by was made after it, and has pulled back before it.",
)
def depth_first_order():
    """Why sort at all, when one can simply walk down from the result? It is the question most often asked
    about micrograd, and several pull requests have removed the sort. A value pulls back as soon as it is
    met; what its other readers have to add comes too late, and is lost. On a tree nothing goes wrong, and
    most examples are trees."""
    with rewritten(graph.reverse_topological_order, depth_first):
        yield


def every_path(roots):
    """Each origin as often as there are paths to it."""
    order, stack = [], list(dict.fromkeys(roots))
    while stack:
        origin = stack.pop()
        order.append(origin)
        stack += [source for source in reversed(origin.sources) if source is not None]
    return order


@exhibit(
    "Passed on at every visit",
    diamond,
    sources=("sebgao/cTensor#5",),
    fix="A value pulls back once, when its cotangent is complete.",
)
def every_visit():
    """Recursion from the result down its operands, where each visit adds to a value's gradient and then
    passes on *all* that has arrived so far: what came first is passed on twice. In cTensor 2x³ + x² ended
    with a slope of 7 where 6 was right. And with every diamond the number of visits doubles."""
    with (
        rewritten(graph.reverse_topological_order, every_path),
        edited(graph.backpropagate, "g = totals.pop(origin, None)", "g, release = totals.get(origin), False"),
    ):
        yield


@exhibit(
    "The two edges of a·a are one in a set",
    square,
    sources=(
        "karpathy/micrograd: micrograd/engine.py, `self._prev = set(_children)`",
        "PaddlePaddle/Paddle#11977",
        "ictxiangxin/paradox#3",
    ),
    fix="An operation's operands are a sequence, with a place for each time one of them is used.",
)
def edges_in_a_set():
    """micrograd keeps an operation's operands in a set, in which `a*a` has one operand; there only the
    drawing is wrong. Where the walk itself goes by such a set, the derivative of a² is a. Paddle's
    product of a matrix with itself had half its gradient; in paradox `a - a` had the slope 2."""
    with edited(
        graph.backpropagate,
        "zip(sources, shares)",
        "dict(zip(sources, shares)).items()",
    ):
        yield


def sorted_by_recursion(roots):
    """The order, found by a function that calls itself for every step down."""
    order, seen = [], set()

    def visit(origin):
        if origin not in seen:
            seen.add(origin)
            for source in origin.sources:
                if source is not None:
                    visit(source)
            order.append(origin)

    for root in roots:
        visit(root)
    return order[::-1]


@exhibit(
    "Recursion that ends at a thousand",
    twice,
    sources=("karpathy/micrograd#90",),
    fix="Walk with a list of what is still to be seen, not with the call stack.",
    scenario="deep_graph",
)
def recursion():
    """The shortest topological sort calls itself for every operand, and Python allows a thousand calls
    within each other. A sum in a loop over a data set, or a recurrent network over a long text, is deeper
    than that: RecursionError, in programs that were fine with less data."""
    with rewritten(graph.reverse_topological_order, sorted_by_recursion):
        yield


@exhibit(
    "Derivatives within derivatives, confused",
    square,
    sources=("denizyuret/AutoGrad.jl#75", "JuliaDiff/ForwardDiff.jl#83", "JuliaDiff/ReverseDiff.jl#45"),
    fix="Each derivative gives its inputs an origin of their own (`functional.fresh`).",
    scenario="nested_derivatives",
)
def perturbation_confusion():
    """d/dx of x · d/dy (x + y), taken at y = x, is 1. An engine that does not tell the x of the outer
    derivative from the y of the inner one says 2: the inner one counts both. Siskind and Pearlmutter
    described it in 2005 as perturbation confusion; several Julia packages have had it, in both
    modes."""
    with edited(
        functional.fresh,
        "return identity(x) if x.requires_grad else",
        "return x if x.requires_grad else",
    ):
        yield
