"""Small programs run by both libraries: hooks, gradients, modes, Functions, copies, Python's protocols.

Each takes the module and gives what it observed, errors included; the observations must be alike.
"""

from __future__ import annotations

import copy
import pickle
import threading
import warnings
import weakref
from typing import NamedTuple

import numpy as np
import pytest

import autodiff as ad

torch = pytest.importorskip(
    "torch", reason="compares with PyTorch, which is not installed: pip install torch"
)

PROGRAMS = []


def program(f):
    PROGRAMS.append(f)
    return f


def leaf(m, *values):
    return m.tensor(list(values), dtype=m.float64, requires_grad=True)


def ones(m, *shape):
    return m.ones(*shape, dtype=m.float64)


class Error(NamedTuple):
    kind: type
    says: bool  # the phrase that was expected


def error(f, phrase=""):
    """The error that f raises; None if it raises none."""
    try:
        f()
    except Exception as e:
        kinds = (RuntimeError, IndexError, TypeError, ValueError, type(e))
        return Error(next(kind for kind in kinds if isinstance(e, kind)), phrase in str(e))
    return None


# ---- hooks -------------------------------------------------------------------------------------------------


@program
def hooks_run_in_order_and_may_replace(m):
    x, seen = leaf(m, 1, 2), []
    y = x * 2
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 3)
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.retain_grad()
    y.sum().backward()
    return seen, x.grad, y.grad


@program
def a_leafs_hook_sees_each_walk(m):
    x = leaf(m, 1, 2)
    x.register_hook(lambda g: g * 10)
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    return x.grad


@program
def hooks_removed_and_added_during_the_walk(m):
    x, seen, handles = leaf(m, 1), [], []
    y = x * 2

    def first(g):
        seen.append("first")
        handles[0].remove()

    handles.append(y.register_hook(lambda g: seen.append("second")))
    y.register_hook(first)
    x.register_hook(lambda g: x.register_hook(lambda g: seen.append("added")) and None)
    z = y.sum()
    for _ in range(3):
        z.backward(retain_graph=True)
    return seen


@program
def wrong_hooks(m):
    def with_hook(hook):
        y = leaf(m, 1, 2) * 2
        y.register_hook(hook)
        y.sum().backward()

    return (
        error(lambda: with_hook(lambda g: g.sum()), "has changed the size of value"),
        error(lambda: with_hook(lambda g: 3), "but hook"),
        error(lambda: with_hook(lambda g: g.float()), "has changed the type of value"),
        error(
            lambda: m.zeros(2).register_hook(print),
            "cannot register a hook on a tensor that doesn't require gradient",
        ),
        error(lambda: m.zeros(2).retain_grad(), "can't retain_grad on Tensor that has requires_grad=False"),
    )


@program
def what_a_hook_is_given(m):
    x, seen = leaf(m, 1), []
    y = (x * x).sum()
    y.register_hook(lambda g: seen.append((m.is_grad_enabled(), g.requires_grad)))
    y.backward(retain_graph=True)
    y.backward(create_graph=True)
    return seen


@program
def hooks_and_retained_gradients_of_what_was_changed_in_place(m):
    x, seen = leaf(m, 1, 2), []
    y = x * 2
    y.register_hook(lambda g: seen.append(("before", g.tolist())))
    y.retain_grad()
    y *= 5
    y.register_hook(lambda g: seen.append(("after", g.tolist())))
    y.sum().backward()
    return seen, y.grad, y.retains_grad, x.retains_grad, x.grad


# ---- backward and autograd.grad ------------------------------------------------------------------------------


@program
def backward_into_inputs(m):
    x, w, v = leaf(m, 1, 2), leaf(m, 3, 4), leaf(m, 5)
    y = x * w
    z = (y * y).sum()
    z.backward(inputs=[x], retain_graph=True)
    first = x.grad.clone(), w.grad
    z.backward(inputs=w, retain_graph=True)
    z.backward(inputs=[y], retain_graph=True)
    z.backward(inputs=[v], retain_graph=True)
    return (
        first,
        w.grad,
        y.grad,
        v.grad,
        error(lambda: z.backward(inputs=[]), "argument to `backward()` cannot be empty"),
    )


@program
def walks_after_the_graph_was_freed(m):
    x = leaf(m, 1)
    y, z = (x * x).sum(), (x + x).sum()
    y.backward()
    z.backward()
    z.backward()  # it had saved nothing
    return error(y.backward, "Trying to backward through the graph a second time"), x.grad


@program
def gradients_of_gradients(m):
    x = leaf(m, 2)
    (x**3).sum().backward(create_graph=True)
    g, x.grad = x.grad, None
    g.sum().backward()
    return g.detach(), g.requires_grad, x.grad


@program
def grad_and_its_errors(m):
    grad = m.autograd.grad
    x, w = leaf(m, 1, 2), leaf(m, 3, 4)
    y = (x * x).sum()
    return (
        grad(y, [x, x], retain_graph=True),
        grad(y, [x, w], retain_graph=True, allow_unused=True)[1],
        grad(y, [x, w], retain_graph=True, materialize_grads=True),
        grad([x * 2, x * x], x, [ones(m, 2), m.tensor([1.0, 10.0], dtype=m.float64)]),
        grad([(x * 2).sum(), x * x], x, [None, ones(m, 2)]),
        grad(x.sum() * 0 + x[0], x),
        error(
            lambda: grad(y, [x, w], retain_graph=True),
            "at index 1 appears to not have been used in the graph",
        ),
        error(lambda: grad(y, m.zeros(2)), "One of the differentiated Tensors does not require grad"),
        error(
            lambda: grad(m.zeros(1), x),
            "element 0 of tensors does not require grad and does not have a grad_fn",
        ),
        error(lambda: grad(x * 2, x), "grad can be implicitly created only for scalar outputs"),
        error(lambda: grad(y, x, materialize_grads=True, allow_unused=False)),
        error(lambda: (x * 2).backward(ones(m, 3)), "Mismatch in shape: grad_output[0] has a shape of"),
        x.grad,
    )


@program
def several_outputs_of_backward(m):
    x = leaf(m, 1, 2)
    m.autograd.backward([(x * 2).sum(), x * x], [None, ones(m, 2)])
    return x.grad


@program
def recording_is_off(m):
    x = leaf(m, 2)
    y = (x**3).sum()
    with m.no_grad():
        z = x * 2
        (g,) = m.autograd.grad(y, x, create_graph=True)
        made = m.zeros(2, requires_grad=True)
    return z.requires_grad, error(z.backward, "does not require grad"), g, made.requires_grad


@program
def the_grad_attribute(m):
    x, plain = leaf(m, 1, 2), m.ones(2)
    x.grad = ones(m, 2)
    held = x.grad
    (x * 2).sum().backward()
    plain.grad = m.ones(2)
    x.requires_grad_(False)
    seen = x.grad.clone(), held is x.grad, plain.grad
    x.grad.zero_()
    x.requires_grad_(True)
    (x * 5).sum().backward()
    wrong = [ones(m, 3), 3, m.ones(2)]
    phrases = [
        "attempting to assign a gradient of size",
        "assigned grad expected to be a Tensor or None but got",
        "dtype",
    ]
    errors = [error(lambda v=v: setattr(x, "grad", v), p) for v, p in zip(wrong, phrases, strict=True)]
    return seen, x.grad, errors


@program
def what_is_handed_in_stays_ones_own(m):
    x, g = leaf(m, 1, 2), ones(m, 2)
    x.backward(g)
    g.add_(5)
    return x.grad


@program
def flags(m):
    x = leaf(m, 1)
    y = x * 2
    message = "you can only change requires_grad flags of leaf variables"
    return (
        error(lambda: y.requires_grad_(False), message),
        error(lambda: setattr(y, "requires_grad", True), message),
        error(lambda: m.tensor([1]).requires_grad_(), "nly Tensors of floating point"),
        y.requires_grad, y.is_leaf, y.detach().is_leaf, x.is_leaf, x.data.requires_grad, x.grad_fn is None,
        len(y.sum().grad_fn.next_functions), y.detach_().requires_grad, y.is_leaf,
    )  # fmt: skip


# ---- memory ------------------------------------------------------------------------------------------------


@program
def in_place_through_views(m):
    x = leaf(m, 1, 2, 3)
    y = x * 1
    view = y[1:]
    view.mul_(5)
    y[0] += x[2]
    (y * y).sum().backward()
    return x.grad, view, y


@program
def assignments_by_every_kind_of_index(m):
    x = leaf(m, 1, 2, 3)
    y = m.zeros(2, 3, dtype=m.float64)
    y[0] = x
    y[1, [0, 2]] = x[1:] * 2
    y[:, 1] += x[0]
    y[y > 5] = 0
    (y * y).sum().backward()
    return y, x.grad


@program
def leaves_cannot_be_changed_in_place(m):
    x = leaf(m, 1, 2)
    phrase = "a leaf Variable that requires grad is being used in an in-place operation"
    with m.no_grad():
        x.add_(1)
    twin = x.detach()
    twin[0] = 5
    return (
        error(lambda: x.add_(1), phrase),
        error(lambda: x[0:1].add_(1), phrase),
        error(lambda: x.view(2).mul_(2), phrase),
        x,
    )


@program
def stale_memory(m):
    x = leaf(m, 1, 2)
    y = (x * x).sum()
    x.detach()[0] = 5
    x.data = m.tensor([5.0, 6.0], dtype=m.float64)
    z = (x * 2).sum()
    x.data.add_(1)
    z.backward()
    return error(y.backward, "modified by an inplace operation"), x, x.grad


@program
def arrays_and_tensors_share_memory(m):
    a = np.array([1.0, 2.0])
    t, u, v = m.from_numpy(a), m.as_tensor(a), m.tensor(a)
    a[0], u[1], v[0] = 7, 8, 0
    x = leaf(m, 1)
    phrase = "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
    return (
        t, a.tolist(), error(x.numpy, phrase), error(lambda: np.asarray(x), phrase[:-1]), x.tolist(),
        np.array(m.ones(2), dtype=np.float64).dtype.name, np.asarray(m.ones(2)).tolist(),
    )  # fmt: skip


# ---- modes -------------------------------------------------------------------------------------------------


@program
def modes(m):
    x, seen = leaf(m, 1), []
    note = lambda: seen.append((x * 2).requires_grad)
    for mode in (
        m.no_grad(),
        m.enable_grad(),
        m.inference_mode(),
        m.inference_mode(False),
        m.set_grad_enabled(False),
    ):
        with m.set_grad_enabled(True):
            mode(note)()
            note()
    with m.no_grad():
        note()
        m.enable_grad()(note)()
        with m.set_grad_enabled(True):
            note()
        with m.inference_mode(False):
            note()
        note()
    m.no_grad(note)()
    try:
        with m.no_grad():
            raise KeyError
    except KeyError:
        note()
    m.set_grad_enabled(False)
    note()
    m.set_grad_enabled(True)
    with m.no_grad():
        thread = threading.Thread(target=note)
        thread.start()
        thread.join()
    return seen


@program
def generators(m):
    x, seen = leaf(m, 1), []

    @m.no_grad()
    def steps():
        seen.append((yield (x * 2).requires_grad))
        try:
            yield (x * 2).requires_grad
        except ValueError:
            yield "caught"
        finally:
            seen.append(m.is_grad_enabled())

    g = steps()
    seen += [next(g), m.is_grad_enabled(), g.send("sent"), g.throw(ValueError()), m.is_grad_enabled()]
    g.close()
    return seen, m.is_grad_enabled()


@program
def methods(m):
    class Model:
        @m.no_grad()
        def method(self, x):
            return (x * 2).requires_grad

        @classmethod
        @m.no_grad()
        def of_the_class(cls, x):
            return (x * 2).requires_grad

    x = leaf(m, 1)
    return Model().method(x), Model.of_the_class(x), Model.method.__name__


@program
def default_dtype(m):
    m.set_default_dtype(m.float64)
    try:
        dtypes = [m.tensor(1.0).dtype, (m.tensor([1]) / 2).dtype, m.zeros(1).dtype]
    finally:
        m.set_default_dtype(m.float32)
    return dtypes, error(lambda: m.set_default_dtype(m.int64), "only floating-point types are supported")


# ---- Functions ---------------------------------------------------------------------------------------------


@program
def function_of_several(m):
    seen = []

    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, a, b, scale=1):
            ctx.save_for_backward(a, b)
            seen.append((m.is_grad_enabled(), a.requires_grad))
            return a + b, a * b, None

        @staticmethod
        def backward(ctx, g, h, nothing):
            a, b = ctx.saved_tensors
            seen.append((g.tolist(), h.tolist(), nothing, ctx.needs_input_grad, m.is_grad_enabled()))
            return g + h * b, (g + h * a if ctx.needs_input_grad[1] else None), None

    a, b = leaf(m, 2), leaf(m, 3)
    total, product, nothing = F.apply(a, b, 7)
    (total.sum() * 10).backward(retain_graph=True)
    product.sum().backward(create_graph=True)
    constant = F.apply(a, b.detach())
    (constant[0] * constant[1]).sum().backward()
    return seen, a.grad.detach(), b.grad.detach(), nothing, total.is_leaf


@program
def functions_that_keep_their_output(m):
    class Exp(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return g * y

    x, found = leaf(m, 2), []
    y = Exp.apply(x).sum()
    for _ in range(3):
        (g,) = m.autograd.grad(y, x, create_graph=True)
        found.append(g.detach())
        y = g.sum()
    z = Exp.apply(x).sum()
    z.backward()
    return found, error(z.backward, "a second time")


@program
def functions_with_setup_context_and_constants(m):
    class F(m.autograd.Function):
        @staticmethod
        def forward(a, k):
            return a * k, a.argsort(), a * 3

        @staticmethod
        def setup_context(ctx, inputs, output):
            _, ctx.k = inputs
            ctx.set_materialize_grads(False)
            ctx.mark_non_differentiable(output[1], output[2])
            ctx.save_for_backward(output[0])

        @staticmethod
        def backward(ctx, g, h, i):
            return g * ctx.k * ctx.saved_tensors[0], None

    a = leaf(m, 2, 1)
    y, order, fixed = F.apply(a, 3.0)
    y.sum().backward()
    return a.grad, order, fixed.requires_grad


@program
def functions_that_give_their_input_or_a_view(m):
    class Same(m.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a

        @staticmethod
        def backward(ctx, g):
            return -g

    class View(m.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a.view(2, 1)

        @staticmethod
        def backward(ctx, g):
            return g.view(2)

    a = leaf(m, 2, 1)
    same = Same.apply(a)
    (same * 2 + View.apply(a).sum()).sum().backward()
    return same is a, a.grad


@program
def wrong_functions(m):
    def giving(share):
        class F(m.autograd.Function):
            @staticmethod
            def forward(ctx, a):
                return a * 2

            @staticmethod
            def backward(ctx, g):
                return share(g)

        x = leaf(m, 1, 2)
        F.apply(x).sum().backward()
        return x.grad

    class Unfinished(m.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a * 1

    return (
        giving(lambda g: None), giving(lambda g: g.expand(3, 2)), giving(lambda g: (g, None)),
        error(lambda: giving(lambda g: (g, g)), "returned an incorrect number of gradients (expected 1, got 2)"),
        error(lambda: giving(lambda g: ones(m, 3)), "returned an invalid gradient at index 0 - got [3] but expected shape compatible with [2]"),
        error(lambda: Unfinished.apply(leaf(m, 1)).sum().backward(), "You must implement"),
        Unfinished.apply(m.ones(1)).requires_grad,
    )  # fmt: skip


# ---- Python's protocols --------------------------------------------------------------------------------------


@program
def copies_and_pickles(m):
    x = leaf(m, 1, 2)
    (x * x).sum().backward()
    deep, shallow, pickled = copy.deepcopy(x), copy.copy(x), pickle.loads(pickle.dumps(x))
    both = copy.deepcopy({"a": x, "b": x})
    with m.no_grad():
        shallow[0] = 7
    return (
        deep, deep.grad, shallow is x, shallow.requires_grad, x, pickled, pickled.requires_grad, both["a"] is both["b"],
        error(lambda: copy.deepcopy(x * 2), "Only Tensors created explicitly by the user"),
    )  # fmt: skip


@program
def hashes_and_weak_references(m):
    x, y = leaf(m, 1), leaf(m, 1)
    reference = weakref.ref(y)
    seen = len({x, y}), x in {x}, x in [y], {x: 1}[x], hash(x) == hash(x), reference() is y
    del y
    return seen, reference() is None


@program
def comparisons(m):
    t = m.tensor([1.0, 2.0])
    return (
        t == None, t != "a", t == "a", error(lambda: t + None), error(lambda: t < "a"), error(lambda: t + [1, 2]),  # noqa: E711
        1.0 in t, 3 in t, m.tensor(2.0) in t, True in t, error(lambda: "a" in t, "__contains__ only supports Tensor or scalar"),
        error(lambda: None in t, "__contains__ only supports Tensor or scalar"),
    )  # fmt: skip


@program
def iteration(m):
    t = m.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    rows = list(t)
    (rows[0].sum() + rows[1][0] * 3).backward()
    a, _ = m.tensor([1, 2])
    return (
        t.grad,
        a,
        list(reversed(m.tensor([1, 2, 3]))),
        max(m.tensor([1, 3, 2])),
        sum(m.tensor([1, 2])),
        error(lambda: iter(a)),
    )


@program
def numbers_and_indices(m):
    t, integers = m.tensor(2.7), m.tensor([1])
    message = "only integer tensors of a single element can be converted to an index"
    return (
        int(t), round(float(t), 3), bool(t), 3.0**t, divmod(7, 2), hex(m.tensor(255)), list(range(m.tensor(3))), [1, 2][integers],
        error(lambda: [1, 2, 3][t], message), error(lambda: [1, 2][m.tensor([1, 2])], message),
        error(lambda: bool(m.tensor([1, 2])), "Boolean value of Tensor with more than one value is ambiguous"),
        error(lambda: bool(m.tensor([])), "Boolean value of Tensor with no values is ambiguous"),
        error(lambda: m.tensor([1, 2]).item(), "a Tensor with 2 elements cannot be converted to Scalar"),
        error(lambda: float(m.tensor([1, 2])), "only one element tensors can be converted to Python scalars"),
        error(lambda: len(t), "len() of a 0-d tensor"), error(lambda: round(t)),
    )  # fmt: skip


@program
def sizes(m):
    s = m.ones(2, 3).shape
    return (
        s == (2, 3),
        s[0],
        s.numel(),
        tuple(s),
        isinstance(s, tuple),
        list(s),
        s[:1] == (2,),
        len(s),
        s + (1,) == (2, 3, 1),
    )


@program
def numpy_numbers(m):
    t = m.tensor([1.0, 2.0])
    return (
        np.float64(2) * t,
        t * np.float32(2),
        t * np.int64(2),
        m.tensor([1, 2]) * np.float64(2),
        t + np.array([1.0, 2.0], np.float32),
    )


# ---- the comparison ------------------------------------------------------------------------------------------


def check_alike(ours, theirs):
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, ad.Tensor) and ours.requires_grad == theirs.requires_grad
        assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-6)
    elif isinstance(theirs, Error):
        assert theirs.says and ours == theirs, (ours, theirs)
    elif isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs), (ours, theirs)
        for a, b in zip(ours, theirs, strict=True):
            check_alike(a, b)
    elif isinstance(theirs, torch.dtype):
        assert str(ours) == str(theirs).removeprefix("torch.")
    else:
        assert ours == theirs, (ours, theirs)


@pytest.mark.parametrize("run", PROGRAMS, ids=lambda run: run.__name__)
def test_both_observe_the_same(run):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = run(torch)
    check_alike(run(ad), theirs)
