"""The strategies: what they promise of what they draw, that they reach where bugs live, how they shrink."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from autodiff.testing import GradientError, gradient_test, strategies
from autodiff.testing.operations import OPERATIONS
from autodiff.testing.strategies import (
    arrays,
    awkward,
    axes,
    broadcastable,
    conv2d_operands,
    cotangents,
    distinct,
    einsum_operands,
    index_expressions,
    layouts,
    matmul_operands,
    shapes,
)

SEARCH = settings(max_examples=3000, database=None, derandomize=True, phases=[Phase.generate])


@given(distinct(shapes()))
def test_distinct_numbers_are_apart_even_without_their_signs(x):
    flat = np.sort(abs(x.ravel()))
    assert x.size == 0 or (flat[0] > 0 and (np.diff(flat) > 0).all() and flat[-1] <= 2.1)


@given(broadcastable(3))
def test_shapes_broadcast(given):
    np.broadcast_shapes(*given)


@given(shapes().flatmap(lambda s: st.tuples(arrays(s), index_expressions(s))))
def test_every_index_is_one(drawn):
    x, index = drawn
    x[index]


@given(shapes(min_dims=1, min_side=1).flatmap(lambda s: st.tuples(arrays(s), axes(len(s)))))
def test_axes_are_those_of_a_reduction(drawn):
    x, dim = drawn
    x.sum(axis=dim)


@given(einsum_operands(), matmul_operands(), conv2d_operands())
def test_operands_go_together(einsum, matmul, conv):
    np.einsum(einsum[0], *einsum[1:])
    np.matmul(*matmul)
    x, w, bias, stride, padding, dilation, groups = conv
    assert x.shape[1] == w.shape[1] * groups and w.shape[0] % groups == 0
    assert bias is None or bias.shape == w.shape[:1]
    room = [
        n + 2 * p - d * (k - 1)
        for n, p, d, k in zip(x.shape[2:], padding, dilation, w.shape[2:], strict=True)
    ]
    assert min(room) >= 1


@given(arrays(shapes()), layouts())
def test_layouts_keep_the_numbers(x, lay):
    np.testing.assert_array_equal(lay(x), x)


@given(cotangents(shapes()))
def test_cotangents_are_not_ones(g):
    assert (g != 0).all() and (g.size < 2 or len(np.unique(g)) > 1)


REACHED = {
    "a tie": (awkward((3,)), lambda x: len(np.unique(x)) < 3),
    "one zero": (awkward((3,)), lambda x: (x == 0).sum() == 1),
    "two zeros": (awkward((3,)), lambda x: (x == 0).sum() == 2),
    "all zeros": (awkward((3,)), lambda x: not x.any()),
    "a negative zero": (awkward((3,)), lambda x: np.signbit(x[x == 0]).any()),
    "something tiny": (awkward((3,)), lambda x: 0 < abs(x).max() < 1e-9),
    "something huge": (awkward((3,)), lambda x: abs(x).max() > 1000),
    "no elements": (shapes(), lambda s: 0 in s),
    "a scalar": (shapes(), lambda s: s == ()),
    "a repeated place": (index_expressions((3,)), lambda i: isinstance(i, list) and len(set(i)) < len(i)),
    "a mask": (index_expressions((2, 2)), lambda i: getattr(i, "dtype", None) == np.bool_),
    "a new axis": (index_expressions((2, 2)), lambda i: isinstance(i, tuple) and any(e is None for e in i)),
    "a negative step": (index_expressions((3,)), lambda i: isinstance(i, slice) and (i.step or 1) < 0),
    "arrays and slices": (index_expressions((2, 2)), lambda i: isinstance(i, tuple)
                          and {slice, np.ndarray} <= set(map(type, i))),
    "a letter twice": (einsum_operands(), lambda o: any(len(set(t)) < len(t.replace(".", "")) for t in
                                                        o[0].split("->")[0].split(",") if "." not in t)),
    "a letter summed out alone": (einsum_operands(), lambda o: len(o) > 2 and any(
        o[0].count(c) == 1 for c in o[0] if c.isalpha())),
    "vectors": (matmul_operands(), lambda o: o[0].ndim == o[1].ndim == 1),
    "batches that broadcast": (matmul_operands(), lambda o: o[0].ndim > 2 and o[1].ndim > 2
                               and o[0].shape[:-2] != o[1].shape[:-2]),
    "a stride that leaves a remainder": (conv2d_operands(), lambda o: any(
        (n + 2 * p - d * (k - 1) - 1) % s for n, p, d, k, s in
        zip(o[0].shape[2:], o[4], o[5], o[1].shape[2:], o[3], strict=True))),
    "several axes, one from the back": (axes(3), lambda a: isinstance(a, tuple) and len(a) > 1 and min(a) < 0 <= max(a)),
}  # fmt: skip


@pytest.mark.parametrize("what", REACHED)
def test_where_bugs_live_is_reached(what):
    strategy, there = REACHED[what]
    find(strategy, there, settings=SEARCH)


def test_what_fails_shrinks_to_what_a_person_would_write():
    x = find(arrays(shapes()), lambda x: x.size > 1 and abs(x).max() >= 1, settings=settings(database=None))
    assert x.shape == (2,) and sorted(x.tolist()) == [0.0, 1.0]
    index = find(index_expressions((3,)), lambda i: isinstance(i, list) and len(set(i)) < len(i),
                 settings=settings(database=None))  # fmt: skip
    assert index == [0, 0]


def test_a_whole_test_in_one_line():
    import wrong_operations as wrong

    right = gradient_test("softmax")
    assert right.__name__ == "test_softmax"
    settings(max_examples=5)(right)()
    quick = settings(max_examples=30, database=None, derandomize=True, phases=[Phase.generate, Phase.shrink])
    for operation, inputs in (
        (wrong.tanh, arrays(shapes())),
        (wrong.exchanged, [arrays((2,)), arrays((2,))]),
        (wrong.ties, awkward(shapes(min_dims=1, min_side=1))),
    ):
        with pytest.raises(GradientError, match="the derivatives are wrong"):
            quick(gradient_test(operation, inputs=inputs))()
    assert gradient_test(OPERATIONS["add"]).__name__ == "test_add" and strategies.st is st
