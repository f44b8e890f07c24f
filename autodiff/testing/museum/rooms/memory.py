"""Memory and modes: what is shared, what is written, what is recorded, and by whom."""

from __future__ import annotations

import numpy as np

from .... import graph
from ....ops import contractions, elementwise, indexing, shapes
from ....primitive import Variable
from ....tensor import Tensor, accumulated
from ... import strategies as draw
from ..exhibit import Program, exhibit
from ..mutants import changed, edited, everywhere, ruled
from .walk import one, square

two = draw.shapes(max_dims=2).flatmap(lambda shape: draw.tuples(draw.arrays(shape), draw.arrays(shape)))


@exhibit(
    "detach that lets gradients through",
    square,
    sources=("tensorflow/tensorflow#51473",),
    fix="What detach gives has no origin.",
    scenario="detached",
)
def detach_leaks():
    """What is detached is a constant: targets of a loss, weights of attention that are not to be trained,
    the shift inside softmax. If something still flows through it, nothing fails, and the model learns
    something else. TensorFlow's stop_gradient was reported to be ignored in some compiled functions."""
    with changed(shapes, detached=shapes.identity):
        yield


class OneForAll:
    """A setting that all threads share."""

    def __init__(self, value):
        self.value = value

    def get(self):
        return self.value

    def set(self, value):
        self.value = value


@exhibit(
    "no_grad that silences the other threads",
    square,
    sources=("dotnet/TorchSharp#367",),
    fix="Whether calls are recorded is said in a ContextVar: each thread, and each task, has its own.",
    scenario="no_grad_in_another_thread",
)
def no_grad_for_all():
    """Whether operations are recorded is a variable of the module. While one thread evaluates under
    no_grad, another trains, and loses parts of its graph, now and then. A test of TorchSharp failed
    at times, and the explanation put forward was another test that ran beside it."""
    with everywhere(graph.mode, OneForAll(graph.mode.get())):
        yield


@exhibit(
    "The gradient that zero_grad does not reach",
    square,
    sources=("bshillingford/autobw.torch#7",),
    fix="Clearing a gradient clears the one that the walk adds to.",
    scenario="cleared",
)
def stale_gradient():
    """Clearing a gradient leaves alive what the walk really adds to, a buffer, a cache, a parameter that
    the optimiser no longer knows. The first evaluation is right, and all that follow are not: autobw had
    this in models in which two branches meet, from a cached adjoint. A test that differentiates
    once, as nearly all of them do, sees nothing."""
    with edited(
        Tensor.grad.fset,
        "self.stop.grad = value",
        "self.stop.grad = self.stop.grad if value is None else value",
    ):
        yield


def zeroed_in_place(g, positions):
    """g, with zeros written into it."""
    if isinstance(g, Variable):
        return indexing.put(g, 0, positions)
    g = g if g.flags.writeable else g.copy()
    g.reshape(-1)[positions] = 0
    return g


@exhibit(
    "Zeroed before it was read",
    Program(
        "lambda x, dim, index, v: ad.scatter(x, dim, index, v)",
        draw.shapes(min_dims=1, max_dims=1, min_side=1).flatmap(
            lambda s: draw.st.permutations(range(s[0])).flatmap(
                lambda order: draw.tuples(draw.arrays(s), 0, np.array(order[:1]), draw.arrays((1,)))
            )
        ),
        lambda n: (n(4), 0, np.array([2]), n(1)),
    ),
    sources=("sradc/SmallPebble: smallpebble/smallpebble.py, `setat` of 2021",),
    fix="A rule writes to nothing. Where elements are set, the cotangent of the rest is a copy.",
)
def read_after_write():
    """`y = x; y[i] = v`: where v was written no gradient goes to x, and that of v is read from there.
    SmallPebble's rule for x wrote the zeros into the cotangent itself, and the rule for v, which came
    next, read zeros. Its own check could not see it: in the loop over the gradients it compared the
    *values* once more."""
    with ruled(indexing.put, 0, zeroed_in_place):
        yield


def masked_in_place(g, y):
    """g, with zeros written into it where y is 0."""
    if isinstance(g, Variable) or not g.flags.writeable or g.dtype == object:
        return elementwise.gate(g, elementwise.greater(y, 0))
    g[np.asarray(y) <= 0] = 0
    return g


@exhibit(
    "A cotangent changed in place",
    Program("lambda x: ad.relu(x)", draw.shapes(min_dims=1, min_side=1).flatmap(lambda s: draw.tuples(draw.arrays(s))),
            lambda n: (n(2, 3),)),
    sources=("apache/mxnet#615", "pytorch/pytorch#46168"),
    fix="`gate(g, y > 0)` makes a new array.",
)  # fmt: skip
def cotangent_in_place():
    """relu's rule in one line: put zeros into the cotangent where the output is not positive. But the
    cotangent belongs to somebody: to whoever called backward with it, or to another operand of the sum it
    came through, for x and y of `x + y` are handed the same array. Which of them suffers depends on the
    order."""
    with ruled(elementwise.relu, 0, masked_in_place):
        yield


@exhibit(
    "Two leaves, one array",
    Program("lambda a, b: a + b", two, lambda n: (n(2, 3), n(2, 3))),
    sources=("pytorch/pytorch#46168", "ooples/AiDotNet.Tensors#935"),
    fix="A leaf owns the array of its gradient: what is also held elsewhere is copied.",
)
def shared_gradient():
    """The cotangent of `a + b` is that of a and that of b, and nothing speaks against handing both the
    same array, until one of them is written to: by an optimiser that works in place, by clipping, or by
    the next walk, which adds to the gradient of a and so to that of b."""
    with edited(accumulated, "Tensor.wrap(g if alone else copy_of(g))", "Tensor.wrap(g)"):
        yield


@exhibit(
    "Saved, then changed, and nobody noticed",
    square,
    sources=("pytorch/pytorch#197887", "Oneflow-Inc/oneflow#6200"),
    fix="Writes are noted with their time, and a walk refuses what was written after it was saved.",
    scenario="written_after",
)
def stale_saved_array():
    """The rule of a product reads its operands at the time of the walk. If one of them has been changed
    meanwhile, the gradient is that of another program. PyTorch counts the versions of each tensor and
    refuses; its compiler lost the count for views, and OneFlow had none for some operators that work in
    place: wrong numbers, and no error."""
    with edited(graph.check_fresh, "if write is not None:", "if False:"):
        yield


def square_in_place(x):
    """x², written over x."""
    return np.square(x, out=x) if x.flags.writeable and x.dtype != object else np.square(x)


@exhibit(
    "A forward that writes over its input",
    Program("lambda x: ad.square(ad.exp(x))", one, lambda n: (n(2, 3),)),
    sources=("linkedin/Liger-Kernel#272",),
    fix="A forward writes into an array of its own.",
)
def forward_in_place():
    """To save memory an operation puts its result, or already its gradient, where its input was. But the
    operation before it has saved that array for its own rule. Liger's fused loss did so: after exp, whose
    rule reads its output, the gradient was wrong, and nothing was there to notice, since the kernel
    writes behind the engine's back."""
    with changed(elementwise.square, forward=square_in_place):
        yield


def in_order(b):
    """b's elements in the order of memory, taken for rows and columns."""
    return b if isinstance(b, Variable) else np.ravel(b, "K").reshape(b.shape)


@exhibit(
    "Strides ignored",
    Program(
        "lambda a, b: a @ b",
        draw.st.tuples(*(draw.st.integers(1, 3),) * 3).flatmap(
            lambda s: draw.tuples(draw.arrays(s[:2]), draw.arrays(s[1:]))
        ),
        lambda n: (n(2, 3), n(3, 4)),
    ),
    sources=("huggingface/candle#3735", "pytorch/pytorch#112006", "torch/nn#345"),
    fix="What reads raw memory reads it by its strides, or asks for a contiguous copy.",
)
def strides_ignored():
    """A kernel of the backward pass reads its operand as if its rows lay one after the other. For a
    transposed or sliced one they do not. In candle the gradient of a convolution was wrong for a
    transposed kernel; PyTorch's gelu gave memory that had never been written, for a permuted
    cotangent."""
    with ruled(
        contractions.product,
        0,
        lambda g, b: contractions.product(g, contractions.swapped(in_order(b))),
    ):
        yield
