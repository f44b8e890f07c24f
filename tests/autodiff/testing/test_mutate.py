"""Mechanical mutation: what is changed, and that the kit notices all that matters."""

from __future__ import annotations

import ast

import pytest

from autodiff.testing import mutate


def changed(source):
    return {
        (kind, ast.unparse(new.body)) for kind, _, new in mutate.changes(ast.parse(source, mode="eval").body)
    }


def test_what_is_changed():
    assert changed("lambda g, a, b: g * a - b") == {
        ("sign", "-(g * a - b)"), ("sign", "g * a + b"), ("operand", "b - g * a"), ("factor", "g - b"), ("factor", "a - b"),
        ("operand", "g * b - b"), ("operand", "g * a - a"),
    }  # fmt: skip
    assert changed("lambda g, dim: f(h(g), dim=dim, keepdim=True)") == {
        ("sign", "-f(h(g), dim=dim, keepdim=True)"), ("factor", "f(g, dim=dim, keepdim=True)"),
        ("axis", "f(h(g), dim=neighbouring(dim), keepdim=True)"), ("axis", "f(h(g), dim=dim, keepdim=not True)"),
    }  # fmt: skip
    assert changed("lambda g: equal_to(g, 0)") == {
        ("sign", "-equal_to(g, 0)")
    }  # either way round it is the same


def test_each_kind_is_tried_on_many_rules():
    found = mutate.mutants()
    assert {m.kind for m in found} == {"sign", "factor", "operand", "axis"} and len(found) > 500
    assert len({m.key for m in found}) == len(found)


def test_only_what_there_is_is_explained():
    assert {m.key for m in mutate.mutants()} >= {*mutate.EQUIVALENT}


def test_a_change_is_in_the_engine_only_inside():
    (one,) = [m for m in mutate.mutants() if m.key == "elementwise.tanh, by x: negated"]
    function = mutate.targets()[one.target]
    before = function.__code__
    with mutate.switched(one):
        assert function(0.5) == -0.75
        assert mutate.noticed_at("tanh", (mutate.np.array([0.5]),), 0) == "vjp"
    assert function.__code__ is before and function(0.5) == 0.75


@pytest.mark.slow
def test_the_kit_notices_every_change_that_is_not_explained():
    found = mutate.score(jobs=1)
    assert not found.unexplained and len(found.tried) > 500
    report = "\n".join(mutate.report(found))
    assert "(100.0 %)" in report and "explained as equivalent, but noticed" not in report
