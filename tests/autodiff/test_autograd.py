"""PyTorch's spellings: autograd.grad, anomaly mode, Functions with a derivative of their own."""

from __future__ import annotations

import gc
import warnings
import weakref

import numpy as np
import pytest
from beside_torch import same

import autodiff as ad
from autodiff import autograd


def leaf(*values):
    return ad.tensor(list(values), dtype=ad.float64, requires_grad=True)


# ---- autograd.grad ---------------------------------------------------------------------------------------


def test_grad_accumulates_nothing_and_goes_to_any_tensor():
    x, w = leaf(1, 2, 3), leaf(4, 5, 6)
    y = x * x
    z = y.sum()
    (g,) = autograd.grad(z, x, create_graph=True)
    (h,) = autograd.grad(g.sum(), x)
    assert h.tolist() == [2, 2, 2] and x.grad is None
    assert autograd.grad(z, [y, y], retain_graph=True)[1].tolist() == [1, 1, 1]
    with pytest.raises(RuntimeError, match="index 1 appears to not have been used in the graph"):
        autograd.grad(z, [x, w], retain_graph=True)
    assert autograd.grad(z, w, allow_unused=True, retain_graph=True) == (None,)
    assert autograd.grad(z, w, materialize_grads=True)[0].tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="allow_unused"):
        autograd.grad(z, w, materialize_grads=True, allow_unused=False)


def test_several_outputs_in_one_walk():
    x = leaf(1, 2)
    a, b = x * 2, (x * x).sum()
    (g,) = autograd.grad([a, b], x, [ad.tensor([1.0, 10.0]), None])
    assert g.tolist() == [4, 24]


def test_gradients_for_a_batch_of_cotangents_and_for_inputs_only():
    def program(lib):
        x, w = (lib.torch.tensor(values, requires_grad=True) for values in ([1.0, 2.0], [3.0, 4.0]))
        y, z = x**2, x.prod()
        rows = lib.torch.eye(2), lib.torch.tensor([1.0, 10.0])
        grad = lib.torch.autograd.grad
        jacobian = grad([y, z], [x, w], rows, True, is_grads_batched=True, allow_unused=True)
        second = grad(y, x, lib.torch.eye(2), create_graph=True, is_grads_batched=True)[0]
        only = grad(y.sum(), x, retain_graph=True, create_graph=True, only_inputs=True)
        with pytest.warns(FutureWarning, match="only_inputs argument is deprecated and is ignored now"):
            others = grad(y.sum(), x, None, None, False, False)
        return jacobian, second, grad(second.sum(), x), only, others

    same(program)


# ---- anomaly mode ----------------------------------------------------------------------------------------


def loss_with_a_nan(x):
    y = x.sqrt()  # the culprit
    return (y * 0).sum()


def test_anomaly_mode_names_the_operation_and_the_line_of_its_forward():
    x = leaf(0, 4)
    loss_with_a_nan(x).backward()
    assert np.isnan(x.grad.numpy()[0])
    with autograd.detect_anomaly(), pytest.raises(RuntimeError, match="'SqrtBackward' returned nan") as error:
        loss_with_a_nan(x).backward()
    assert "the culprit" in str(error.value) and "0th output" in str(error.value)
    loss_with_a_nan(x).backward()  # as before


def test_anomaly_mode_tells_a_nan_that_comes_from_one_that_is_made():
    with autograd.detect_anomaly():
        with pytest.raises(RuntimeError, match="before its own derivative"):
            (leaf(1) * 2).backward(ad.tensor([np.nan]))
        x = leaf(1)
        with pytest.raises(RuntimeError, match="'MulBackward' is nan before"):
            y = x * 1
            (y * np.inf - y * np.inf).backward(ad.tensor([1.0]))
        (x * np.inf).sum().backward()  # infinite, and a number
        assert x.grad.item() == np.inf


def test_anomaly_mode_is_a_function_and_a_context_manager_and_sees_every_kind_of_walk():
    x = leaf(0)
    autograd.set_detect_anomaly(True)
    with pytest.raises(RuntimeError, match="returned nan"):
        loss_with_a_nan(x).backward()
    with autograd.set_detect_anomaly(False):
        loss_with_a_nan(x).backward()
    with pytest.raises(RuntimeError, match="returned nan"):
        autograd.grad(loss_with_a_nan(x), x, create_graph=True)
    with pytest.raises(RuntimeError, match="returned nan"):
        ad.grad(loss_with_a_nan)(x.detach())
    autograd.set_detect_anomaly(False)
    loss_with_a_nan(x).backward()
    with autograd.detect_anomaly(check_nan=False):
        loss_with_a_nan(x).backward()


# ---- operations of the user's own -------------------------------------------------------------------------


class Cube(autograd.Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(x)
        ctx.scale = scale
        return x * x * x * scale

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x * x * ctx.scale, None


class Exp(autograd.Function):
    """Keeps its output, which depends on the input."""

    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y, None)
        return y

    @staticmethod
    def backward(ctx, g):
        y, nothing = ctx.saved_tensors
        assert nothing is None
        return g * y


def derivatives(f, x, order):
    """f and its derivatives at x, by recorded walks."""
    y = f(x).sum()
    found = [y.item()]
    for _ in range(order):
        (g,) = autograd.grad(y, x, create_graph=True)
        y = g.sum()
        found.append(y.item())
    return found


def test_a_function_has_every_higher_derivative():
    assert derivatives(lambda x: Cube.apply(x, 2.0), leaf(3), 3) == [54, 54, 36, 12]
    assert derivatives(Exp.apply, leaf(0.5), 3) == pytest.approx([np.exp(0.5)] * 4)
    _, t = ad.jvp(lambda x: Cube.apply(x, 2.0), [np.array([3.0])], [np.array([1.0])])
    assert t.tolist() == [54]
    assert ad.hessian(lambda x: Exp.apply(x).sum())(ad.tensor([0.5])).item() == pytest.approx(np.exp(0.5))


def test_what_is_saved_is_what_it_was_and_is_freed_with_the_walk():
    x = leaf(2)
    b = x * 1
    y = Cube.apply(b, 1.0)
    assert not y.is_leaf
    b.mul_(5)  # b has a new value; the graph keeps the old
    y.sum().backward(retain_graph=True)
    assert x.grad.item() == 12
    y.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()
    y = Cube.apply(x, 1.0).sum()
    with ad.no_grad():
        x.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()
    with pytest.raises(TypeError, match="can only save variables, but argument 0 is of type int"):
        autograd.function.FunctionCtx().save_for_backward(3)


def test_a_call_of_a_function_is_freed_by_reference_counting_alone():
    gc.disable()
    try:
        for walk in (lambda y: y.sum().backward(), lambda y: None):
            y = Cube.apply(leaf(2), 1.0)
            primitive = weakref.ref(y.grad_fn.primitive)
            walk(y)
            del y
            assert primitive() is None
    finally:
        gc.enable()


def test_a_temporary_that_is_marked_takes_no_output_with_it():
    class Twice(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_non_differentiable(x > 0)  # is gone, and the next tensor may stand in its place
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    assert Twice.apply(leaf(1, 2)).requires_grad


def test_outputs_that_are_marked_do_not_outlive_their_graph():
    class Marked(autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            fixed = x > 0
            ctx.mark_non_differentiable(fixed)
            ctx.mark_dirty(y)
            return fixed, y.add_(x)

        @staticmethod
        def backward(ctx, _, g):
            return g, g

    gc.disable()
    try:
        fixed, y = Marked.apply(leaf(1), leaf(2) * 1)
        alive = [weakref.ref(each) for each in (fixed, y)]
        del fixed, y
        assert [each() for each in alive] == [None, None]
    finally:
        gc.enable()


def test_several_outputs_some_constant_some_no_tensors():
    seen = []

    class Sorted(autograd.Function):
        @staticmethod
        def forward(ctx, x, materialize):
            ctx.set_materialize_grads(materialize)
            order = x.argsort()
            ctx.save_for_backward(order)
            fixed = x * 7
            ctx.mark_non_differentiable(fixed)
            return x[order], "text", order, fixed, x.sum()

        @staticmethod
        def backward(ctx, *gs):
            seen.append([None if g is None else g.tolist() for g in gs])
            (order,) = ctx.saved_tensors
            return ad.zeros(2, dtype=ad.float64).index_add(0, order, gs[0]), None

    x = leaf(3, 1)
    for materialize in (True, False):
        values, text, order, fixed, total = Sorted.apply(x, materialize)
        assert text == "text" and not order.requires_grad and not fixed.requires_grad and total.requires_grad
        (values * ad.tensor([1.0, 10.0])).sum().backward()
    assert x.grad.tolist() == [20, 2]
    assert seen == [[[1, 10], None, [0, 0], [0, 0], 0], [[1, 10], None, None, None, None]]


def test_needs_input_grad_keywords_and_setup_context():
    class Times(autograd.Function):
        @staticmethod
        def forward(a, b, scale=1.0):
            return a * b * scale

        @staticmethod
        def setup_context(ctx, inputs, output):
            a, b, ctx.scale = inputs
            ctx.save_for_backward(a, b)

        @staticmethod
        def backward(ctx, g):
            assert ctx.needs_input_grad == (False, True, False)
            a, _ = ctx.saved_tensors
            return None, g * a * ctx.scale, None

    b = leaf(2)
    Times.apply(ad.tensor([3.0], dtype=ad.float64), b, scale=10.0).sum().backward()
    assert b.grad.tolist() == [30]


def test_a_jvp_of_its_own_serves_forward_mode():
    class Square(autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_forward(x, y)
            return x * x, y * 1

        @staticmethod
        def jvp(ctx, tx, ty):
            x, _ = ctx.saved_tensors
            return 2 * x * tx, ty

    x, y = np.array([3.0]), np.array([1.0])
    _, (t, s) = ad.jvp(Square.apply, [x, y], [np.array([10.0]), np.array([5.0])])
    assert t.tolist() == [60] and s.tolist() == [5]
    second = ad.jvp(
        lambda x: ad.jvp(lambda x: Square.apply(x, x)[0], [x], [ad.ones_like(x)])[1], [x], [x * 0 + 1]
    )
    assert second[1].tolist() == [2]


def test_inputs_changed_in_place():
    class Double(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            with ad.no_grad():
                x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = leaf(3)
    b = x * 1
    y = Double.apply(b)
    assert y is b and b.tolist() == [6]
    (b * b).sum().backward()
    assert x.grad.tolist() == [24]
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        Double.apply(leaf(1))
    base = leaf(1, 2) * 1
    with pytest.raises(RuntimeError, match="a view"):
        Double.apply(base[:1])


def gives(share):
    class Gives(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return share(g)

    return Gives


@pytest.mark.parametrize(
    "share, error, phrase",
    [(lambda g: (g, g), RuntimeError, r"incorrect number of gradients \(expected 1, got 2\)"),
     (lambda g: (), RuntimeError, r"incorrect number of gradients \(expected 1, got 0\)"),
     (lambda g: ad.ones(3), RuntimeError, r"invalid gradient at index 0 - got \[3\] but expected shape compatible with \[2\]"),
     (lambda g: g[0], RuntimeError, r"invalid gradient at index 0 - got \[\]"),
     (lambda g: 3.0, TypeError, "returned a float at index 0")],
)  # fmt: skip
def test_a_backward_that_is_wrong(share, error, phrase):
    with pytest.raises(error, match=phrase):
        gives(share).apply(leaf(1, 2)).sum().backward()


def test_a_gradient_too_large_is_summed_and_none_is_none():
    x = leaf(1, 2)
    gives(lambda g: g.expand(3, 2)).apply(x).sum().backward()
    assert x.grad.tolist() == [3, 3]
    x.grad = None
    gives(lambda g: (None, None)).apply(x).sum().backward()
    assert x.grad is None


def test_once_differentiable_and_missing_parts():
    class Once(Cube):
        @staticmethod
        @autograd.once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * x * x, None

    x = leaf(2)
    (g,) = autograd.grad(Once.apply(x, 1.0).sum(), x, create_graph=True)
    assert g.tolist() == [12]
    for twice in (lambda: g.sum().backward(), lambda: ad.jvp(lambda x: Once.apply(x, 1.0), (x,), (x,))):
        with pytest.raises(RuntimeError, match="twice a function that was marked with @once_differentiable"):
            twice()

    class Forward(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

    with pytest.raises(NotImplementedError, match="implement the static method backward"):
        Forward.apply(x).sum().backward()
    with pytest.raises(NotImplementedError, match="forward"):
        autograd.Function.apply(x)
    assert Forward.apply(ad.ones(1)).requires_grad is False
    with ad.no_grad():
        assert Cube.apply(x, 1.0).requires_grad is False


def test_no_walk_warns_where_infinity_is_the_answer():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = leaf(0, 4)
        x.sqrt().sum().backward()
        assert x.grad.tolist() == [np.inf, 0.25]
