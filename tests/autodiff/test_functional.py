"""Derivatives of functions beside torch.func: trees of Tensors in and out, what else a function gives, and who
keeps a graph."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from beside_torch import same

import autodiff as ad


def func(lib: Any) -> Any:
    """torch.func, or ours by its names."""
    if not lib.is_ours:
        return lib.torch.func
    return SimpleNamespace(
        grad=ad.grad, vjp=ad.vjp, jvp=ad.jvp, jacrev=ad.jacobian, jacfwd=ad.jacobian, hessian=ad.hessian
    )


PROGRAMS = """
f.grad(lambda d: (d['a'] * d['b'][0]).sum())({'a': x, 'b': [y, x]})
f.grad(lambda d, e: (d['a'] * e).sum(), argnums=(0, 1))({'a': x}, y)
f.grad(lambda d: ((d['a'] ** 3).sum(), {'twice': d['a'] * 2}), has_aux=True)({'a': x})
f.vjp(lambda x: x**2, x)[0]
f.vjp(lambda d: {'s': d['a'] ** 2, 't': (d['a'] * d['b'],)}, {'a': x, 'b': y})[1]({'s': y, 't': (x,)})
f.vjp(lambda x, y: (x * y, x), x, y)[1]((x, y))
f.vjp(lambda x: (x**2, {'more': x * 3}), x, has_aux=True)[2]
f.vjp(lambda x: (x**2, x * 3), x, has_aux=True)[1](y)
f.jvp(lambda d: {'s': d['a'] ** 2}, ({'a': x},), ({'a': y},))
f.jvp(lambda x, y: (x * y, (x, x + y)), (x, y), (y, x))
f.jvp(lambda x: (x**2, {'more': x * 3}), (x,), (y,), has_aux=True)
f.jacrev(lambda x: (x**2, (x * 3).sum()))(x)
f.jacfwd(lambda x: {'s': x**2, 't': x[:1]})(x)
f.jacrev(lambda d, e: d['a'] * e, argnums=(0, 1))({'a': x}, y)
f.jacfwd(lambda d: d['a'] * d['b'].sum())({'a': x, 'b': y})
f.jacrev(lambda x: (x**2, x * 3), has_aux=True)(x)
f.jacfwd(lambda x: (x.repeat(3) ** 2, {'more': x * 3}), has_aux=True)(x)
f.hessian(lambda x, y: (x * x * y).sum(), argnums=(0, 1))(x, y)
""".strip().splitlines()


@pytest.mark.parametrize("program", PROGRAMS)
def test_trees_and_what_else_a_function_gives(program):
    def run(lib):
        x, y = lib.torch.tensor([1.0, 2.0, 3.0]), lib.torch.tensor([0.5, -1.0, 4.0])
        found = eval(program, {"f": func(lib), "x": x, "y": y})
        return found, graphs(found)

    same(run)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_jacobians_of_trees_are_the_same_by_rows_and_by_columns(mode):
    x, y = ad.tensor([1.0, 2.0]), ad.tensor([3.0, 4.0, 5.0])
    f = lambda d, y: {"outer": d["a"].unsqueeze(1) * y, "fixed": ad.ones(2), "sum": d["a"].sum() * y.sum()}
    found = ad.jacobian(f, argnums=(0, 1), mode=mode)({"a": x}, y)
    assert found["fixed"][1].tolist() == [[0] * 3] * 2 and found["sum"][0]["a"].tolist() == [12, 12]
    assert found["outer"][1].shape == (2, 3, 3) and found["outer"][1].sum().item() == 9
    assert found["outer"][0]["a"][1].tolist() == [[0, 3], [0, 4], [0, 5]]


def graphs(found: Any) -> Any:
    """Where there are graphs among what was found."""
    if isinstance(found, dict):
        return {key: graphs(each) for key, each in found.items()}
    if isinstance(found, (list, tuple)):
        return [graphs(each) for each in found]
    return getattr(found, "requires_grad", None)


SEEN = """
f.vjp(lambda x: w * x**2, x)[0]
f.vjp(lambda x: (x**2, (w * x, x)), x, has_aux=True)[2]
f.grad(lambda x: ((x**2).sum(), (w * x, x)), has_aux=True)(x)
f.vjp(lambda x: x**2, w)[0]
f.vjp(lambda x: x**2, w)[1](x)
f.jvp(lambda x: (x * 2, x * w), (x,), (x,), has_aux=True)
""".strip().splitlines()


@pytest.mark.parametrize("program", SEEN)
def test_a_graph_is_kept_where_somebody_can_see_it(program):
    """PyTorch looks at each result by itself; ours keeps no graph that leads nowhere."""

    def run(lib):
        x, w = lib.torch.tensor([1.0, 2.0]), lib.torch.tensor([3.0, 4.0], requires_grad=True)
        return graphs(eval(program, {"f": func(lib), "x": x, "w": w}))

    same(run)


def test_a_function_that_gives_no_tensor_has_no_derivative():
    """All would be 0, without a word."""
    x = ad.ones(2)

    def number(x):
        return (x * x).sum().item()

    for wrong in (
        lambda: ad.grad(number)(x),
        lambda: ad.value_and_grad(lambda x: (number(x), 3), has_aux=True)(x),
        lambda: ad.jacobian(lambda x: {"y": number(x)})(x),
        lambda: ad.hessian(number)(x),
        lambda: ad.vjp(number, x),
        lambda: ad.jvp(number, [x], [x]),
    ):
        with pytest.raises(RuntimeError, match=r"to return a tensor, got type float.* without \.item\(\)"):
            wrong()
    with pytest.raises(RuntimeError, match="got type NoneType.* write return"):
        ad.grad(lambda x: None)(x)


def test_what_is_no_function_is_refused_where_it_is_given():
    y = ad.ones(2, requires_grad=True).sum()
    for derivative in (ad.grad, ad.value_and_grad, ad.jacobian, ad.hessian):
        with pytest.raises(TypeError, match=r"takes a function .* got Tensor.*autograd.grad\(y, x\)"):
            derivative(y)
