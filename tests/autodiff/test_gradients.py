"""Every operation's derivatives: one line of the kit for each, and no operation without one."""

from __future__ import annotations

import inspect
import sys

import numpy as np
import pytest
from compiled_support import same
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import ops, primitive
from autodiff.ops.fused import cross_entropy_composed
from autodiff.testing import OURS, Case, check_gradients
from autodiff.testing.operations import CONSTANT, OPERATIONS
from autodiff.testing.properties import check_conventions, gradient_test
from autodiff.testing.strategies import (
    arrays,
    axis,
    distinct,
    einsum_operands,
    index_expressions,
    matmul_operands,
    shapes,
    tuples,
)

PUBLIC = {
    name: f
    for name, f in vars(ops).items()
    if callable(f) and not inspect.ismodule(f) and not name.startswith("_")
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_derivatives(name):
    settings(max_examples=settings.default.max_examples // 2)(gradient_test(name))()


def is_floating(argument):
    return isinstance(argument, np.ndarray) and argument.dtype.kind == "f"


@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=2, phases=[Phase.generate])
@given(data=st.data())
def test_a_tangent_beside_constants_is_that_beside_tangents_of_zero(name, data):
    row = OPERATIONS[name]
    arguments, f = data.draw(row.inputs), row.of(OURS.functions)
    xs = [ad.Tensor(a) for a in arguments if is_floating(a)]

    def called(*moving):
        rest = iter(moving)
        return f(*(next(rest) if is_floating(a) else getattr(a, "value", a) for a in arguments))

    for k, x in enumerate(xs if len(xs) > 1 else ()):
        t = ad.Tensor(np.random.default_rng(k).standard_normal(x.shape))
        _, expected = ad.jvp(
            called, xs, [t if j == k else ad.zeros_like(other) for j, other in enumerate(xs)]
        )
        _, found = ad.jvp(lambda x, k=k: called(*xs[:k], x, *xs[k + 1 :]), [x], [t])
        same(expected, found, name, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [name for name, row in OPERATIONS.items() if row.conventions])
def test_conventions_where_calculus_leaves_a_choice(name):
    check_conventions(name)


def test_every_operation_has_a_row():
    rows = {id(PUBLIC.get(name)) for name in (*OPERATIONS, *CONSTANT)}
    missing = {name for name, f in PUBLIC.items() if id(f) not in rows}  # an alias has its namesake's row
    assert not missing, f"add to autodiff/testing/operations.py a row for {sorted(missing)}"
    assert not CONSTANT & set(OPERATIONS)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name in PUBLIC])
def test_what_shares_memory_is_known_to(name):
    """Else an in-place operator on the result would change the input without a word."""
    row = OPERATIONS[name]

    @settings(max_examples=5, phases=[Phase.generate], database=None, derandomize=True)
    @given(row.inputs)
    def apply(arguments):
        case = Case(row.of(OURS.functions), arguments, oracle="exact")
        xs = [ad.Tensor(a.copy()) for a in case.arrays]
        for y in case.outputs(case.called(xs)):
            sharing = [x for x in xs if y is not x and np.shares_memory(y.array, x.array)]
            assert not sharing or y.seen_from is not None or y.twin is not None

    apply()


def declarations_of(row):
    """The primitives that a row's operation applies to a few of its inputs."""
    met = set()

    @settings(max_examples=5, phases=[Phase.generate], database=None, derandomize=True)
    @given(row.inputs)
    def apply(arguments):
        case = Case(row.of(OURS.functions), arguments, oracle="exact")
        met.update(call[0].name for call in OURS.traced(case.called_with, case.arrays))

    apply()
    return met


def test_every_declaration_is_applied_by_a_row():
    met = set().union(*map(declarations_of, OPERATIONS.values()))
    modules = [m for name, m in sys.modules.items() if name.startswith("autodiff.")]
    declared = {
        id(p) for module in modules for p in vars(module).values() if isinstance(p, primitive.Primitive)
    }
    known = {name for name, p in primitive.table.items() if p.rules and id(p) in declared}
    assert known <= met, f"no row of autodiff/testing/operations.py applies {sorted(known - met)}"


@pytest.mark.parametrize("name", sorted(CONSTANT))
def test_nothing_flows_through_what_has_no_derivative(name):
    x = ad.Tensor(np.array([[0.5, 1.5], [2.5, -1.0]])).requires_grad_()
    whole = ad.tensor([[1, 2], [3, 0]])
    arguments = {
        "bitwise": (whole, whole), "logical_not": (x,), "logical": (x, x), "one": (whole,), "where": (x,),
        "all": (x,), "any": (x,), "arg": (x,), "is": (x,), "round": (x,), "ceil": (x,), "floor": (x,),
        "floor_divide": (x, x), "sign": (x,), "detach": (x,), "nonzero": (x,), "isclose": (x, x),
        "allclose": (x, x), "bitwise_not": (whole,), "bincount": (whole[0],), "broadcast_shapes": ((2, 1), (3,)),
        "count": (x,), "unique": (x,), "isin": (x, x), "isinf": (x,),
    }  # fmt: skip
    prefix = max((p for p in arguments if name.startswith(p)), key=len, default=None)
    y = PUBLIC[name](*(arguments[prefix] if prefix else (x, x)))
    for each in y if isinstance(y, tuple) else (y,):
        assert not OURS.tracked(each)


# ---- programs of several operations ----------------------------------------------------------------


def through_views(x):
    y = x * 1
    y[1:].mul_(5)
    y[0] += x[1] * x[0]
    y.T[0] *= y[:, 1]
    return y * y


def assigned(x, v):
    y = x * x
    y[:, [0, 1, 0]] = v
    return y


def operators(x):
    return (2 - x) / (1 + x * x) - 1 / (x + 4) + x**-2 + 2**x + (x % 7) - (-x)


def filled_row_by_row(x):
    out = ad.zeros(*x.shape, dtype=x.dtype)
    for k in range(len(x)):
        out[k] = x[k] * x[0]
    return out


some = settings(max_examples=settings.default.max_examples // 3)
test_in_place_through_views = some(gradient_test(through_views, inputs=arrays((3, 2))))
test_in_place_row_by_row = some(gradient_test(filled_row_by_row, inputs=arrays((3, 2))))
test_assignment = some(gradient_test(assigned, inputs=[arrays((2, 2)), arrays((3,))]))
test_remat = some(gradient_test(ad.remat(lambda x: (x.sin() * x).exp()), inputs=arrays(shapes())))
test_softmax_of_itself = some(gradient_test(lambda x: (x.softmax(0) * x).sum(0), inputs=arrays((2, 2))))
test_operators = some(gradient_test(operators, inputs=arrays(shapes(max_dims=1), 0.5, 3)))


@given(tuples(distinct((3, 4)), axis(2)))
def test_several_outputs_of_which_only_some_are_read(arguments):
    x, dim = arguments
    check_gradients(lambda x: ad.sort(x, dim).values * ad.unbind(x, dim)[0].sum(), x)
    check_gradients(lambda x: (ad.split(x, 2, dim)[-1], ad.chunk(x, 2, dim)[0] * 2), x)


def test_cross_entropy_and_its_composition():
    x, target = np.random.default_rng(0).standard_normal((4, 3)), np.array([0, 2, 2, 1])
    composed = cross_entropy_composed(ad.Tensor(x), ad.Tensor(target))
    np.testing.assert_allclose(ad.cross_entropy(ad.Tensor(x), target).numpy(), composed.numpy(), rtol=1e-12)
    check_gradients(lambda x: cross_entropy_composed(x, ad.Tensor(target)), x)


@given(data=st.data())
def test_values_are_numpys(data):
    """Where NumPy has the operation, its value is the same."""
    x = data.draw(arrays(shapes(min_dims=1, min_side=1)))
    index = data.draw(index_expressions(x.shape))
    np.testing.assert_array_equal(ad.Tensor(x)[index].numpy(), x[index])
    a, b = data.draw(matmul_operands())
    np.testing.assert_allclose((ad.Tensor(a) @ ad.Tensor(b)).numpy(), a @ b, atol=1e-12)
    equation, *xs = data.draw(einsum_operands())
    np.testing.assert_allclose(
        ad.einsum(equation, *map(ad.Tensor, xs)).numpy(), np.einsum(equation, *xs), atol=1e-12
    )
