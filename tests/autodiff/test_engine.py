"""The graph, the walks, in-place work, hooks, modes and errors."""

from __future__ import annotations

import asyncio
import copy
import gc
import math
import pickle
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
import nn.functional
from autodiff.graph import Node, backpropagate, mode, reverse_topological_order, switched
from autodiff.primitive import elementwise, general, multilinear, table
from autodiff.provenance import call_site, describe, ours


def leaf(*shape, seed=0):
    return ad.Tensor(np.random.default_rng(seed).standard_normal(shape)).requires_grad_()


# ---- the walk --------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=20))
def test_the_order_is_topological_and_gradients_count_paths(edges):
    """Node k adds two earlier ones; the gradient at the leaf is the number of paths to it."""
    x = ad.tensor(1.0, dtype=ad.float64, requires_grad=True)
    values, paths = [x], [1]
    for a, b in edges:
        a, b = a % len(values), b % len(values)
        values.append(values[a] + values[b])
        paths.append(paths[a] + paths[b])
    order = reverse_topological_order([values[-1].origin])
    place = {origin: k for k, origin in enumerate(order)}
    assert all(place[o] < place[s] for o in order for s in o.sources)
    values[-1].backward()
    assert x.grad.item() == paths[-1]


def test_a_chain_of_100_000_and_a_ladder_of_2_to_the_60_paths():
    x = ad.tensor(1.0, dtype=ad.float64, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y * 1.00001
    y.backward()
    assert x.grad.item() == pytest.approx(1.00001**100_000, rel=1e-9)
    del y
    x.grad = None
    y = x
    for _ in range(60):
        y = y + y
    y.backward()  # by paths it would take centuries
    assert x.grad.item() == 2.0**60


@given(data=st.data())
def test_every_origin_comes_after_all_that_read_it(data):
    known = [leaf(2, seed=k) for k in range(2)]
    for _ in range(data.draw(st.integers(1, 8))):
        a, b = data.draw(st.sampled_from(known)), data.draw(st.sampled_from(known))
        kind = data.draw(st.sampled_from(["sum", "parts"]))
        known += [a + b] if kind == "sum" else list(ad.cat([a, b]).chunk(2))
    roots = data.draw(st.lists(st.sampled_from(known), min_size=1))
    order = reverse_topological_order([root.origin for root in roots])
    place = {origin: k for k, origin in enumerate(order)}
    assert len(place) == len(order) and {root.origin for root in roots} <= set(place)
    for origin in order:
        for source in origin.sources:
            assert place[source] > place[origin]


def test_sums_in_place_write_only_into_what_the_walk_made():
    x, seen = leaf(3), []
    y = x * 1
    y.register_hook(lambda g: seen.append((g.detach(), g.tolist())))
    z = y + y
    z.register_hook(lambda g: seen.append((g.detach(), g.tolist())))
    seed = ad.tensor([1.0, 2.0, 3.0], dtype=ad.float64)
    (z + (z + (z + z))).backward(seed, retain_graph=True)  # every rule passes its cotangent on as it is
    assert seed.tolist() == [1, 2, 3] and x.grad.tolist() == [8, 16, 24]
    assert [then for _, then in seen] == [[4, 8, 12], [8, 16, 24]]
    assert all(g.tolist() == then for g, then in seen)
    parts = ad.cat([x, x]).chunk(2)
    (parts[0] + parts[1] + parts[0] * 2 + parts[1] * 3 + parts[0]).backward(seed)
    assert x.grad.tolist() == [16, 32, 48]


def test_graphs_are_freed_by_reference_counting_alone():
    gc.collect()
    gc.disable()
    try:
        x = leaf(10)
        y = x.exp()
        z = (y * y).sum()
        seen = [weakref.ref(o) for o in reverse_topological_order([z.origin]) if isinstance(o, Node)]
        z.backward()
        del y, z
        assert len(seen) == 3 and all(ref() is None for ref in seen)
    finally:
        gc.enable()


def test_only_what_a_rule_reads_is_kept():
    big = ad.Tensor(np.ones(250_000, np.float32)).requires_grad_()
    tracemalloc.start()
    y = big
    for _ in range(50):
        y = y + 1.0
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1.3e6
    (only,) = (big * ad.ones(1)).origin.saved
    assert only.shape == (1,)


def test_exact_arithmetic_stays_exact():
    a = np.array([[Fraction(1, 3), Fraction(2, 5)], [Fraction(-1, 7), Fraction(3)]], object)
    b = np.array([[Fraction(2), Fraction(1, 2)], [Fraction(5, 3), Fraction(-4)]], object)
    x = ad.Tensor(a).requires_grad_()
    y = ((x @ ad.Tensor(b)) * x / (ad.Tensor(b) * 3)).relu().sum()
    g = backpropagate([y.origin], [np.array(Fraction(1), object)])[x.origin]
    assert all(isinstance(q, (Fraction, int)) for q in g.ravel())


def test_gradients_accumulate_in_memory_of_their_own():
    x, z = leaf(3), leaf(3, seed=1)
    (x + z).sum().backward()
    assert not np.shares_memory(x.grad.array, z.grad.array)
    assert x.grad.array.flags.writeable
    held = x.grad
    (x * 3).sum().backward()
    assert x.grad is held and held.tolist() == [4, 4, 4]
    seed = np.ones(3)
    x.grad = None
    x.backward(ad.Tensor(seed))
    assert not np.shares_memory(x.grad.array, seed)


def test_hooks_retain_grad_and_release():
    x = leaf(3)
    y = x * 2
    seen = []
    handle = y.register_hook(lambda g: seen.append(g.tolist()) or g * 10)
    y.retain_grad()
    z = (y * y).sum()
    z.backward(retain_graph=True)
    np.testing.assert_allclose(y.grad.numpy(), 20 * y.detach().numpy())
    np.testing.assert_allclose(x.grad.numpy(), 40 * y.detach().numpy())
    handle.remove()
    z.backward()
    assert len(seen) == 1
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time") as error:
        z.backward()
    assert "retain_graph=True" in str(error.value) and "test_engine.py" in str(error.value)


def test_a_hook_gets_a_tensor_whose_memory_it_may_use():
    def times_five(g):
        g.mul_(5)

    x, seen = ad.tensor(2.0, requires_grad=True), []
    y = x * 3
    y.register_hook(lambda g: seen.append(g.numpy()))
    y.register_hook(times_five)
    y.sin().backward()
    assert seen[0].shape == () and x.grad.item() == pytest.approx(15 * math.cos(6))
    row = ad.ones(3, requires_grad=True)
    row.register_hook(times_five)  # of a sum: one number, repeated
    row.sum().backward()
    assert row.grad.tolist() == [5, 5, 5]


def test_a_walk_needs_nothing_below_what_is_wanted():
    x = ad.tensor(2.0, requires_grad=True)
    z = x * x
    parts = ad.stack([z, z * z]).unbind()
    w = z * z + parts[0]
    z.backward()  # frees what z saved
    assert [g.item() for g in ad.autograd.grad(w, (z, parts[0]), retain_graph=True)] == [9, 1]
    w.backward(inputs=[z])
    assert z.grad.item() == 9
    with pytest.raises(RuntimeError, match="a second time"):
        ad.autograd.grad(z * z, x)


def test_backward_into_chosen_inputs_only():
    x, w = leaf(3), leaf(3, seed=1)
    y = x * w
    (y * y).sum().backward(inputs=[y])
    assert x.grad is None and w.grad is None
    np.testing.assert_allclose(y.grad.numpy(), 2 * y.detach().numpy())


# ---- in place ----------------------------------------------------------------------------------------


def test_every_name_and_every_view_sees_a_recorded_change():
    x = leaf(3, 2)
    y = x.exp()
    alias, row, column, cut = y, y[1], y.T[0], y.detach()
    row.mul_(5)
    want = np.exp(x.detach().numpy())
    want[1] *= 5
    for found, expected in ((alias, want), (row, want[1]), (column, want[:, 0]), (cut, want)):
        np.testing.assert_allclose(found.detach().numpy(), expected)
    assert row.requires_grad and column.requires_grad and not cut.requires_grad
    (column.sum() + row.sum()).backward()
    scale = np.ones((3, 2))
    scale[1] = 5
    weight = np.zeros((3, 2))
    weight[:, 0] += 1
    weight[1] += 1
    np.testing.assert_allclose(x.grad.numpy(), np.exp(x.detach().numpy()) * scale * weight)


def test_an_untracked_tensor_written_with_a_tracked_value_becomes_tracked():
    x = leaf(3)
    out = ad.zeros(3, dtype=ad.float64)
    view = out[1:]
    out[1] = (x * x).sum()
    assert out.requires_grad and view.requires_grad
    view.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * x.detach().numpy())


def test_repeated_places_keep_the_last_value_and_its_gradient():
    x, v = leaf(3), leaf(4, seed=1)
    y = x * 1
    y[[0, 2, 0, 2]] = v
    np.testing.assert_allclose(y.detach().numpy()[[0, 2]], v.detach().numpy()[[2, 3]])
    (y * ad.tensor([1.0, 2, 3], dtype=ad.float64)).sum().backward()
    assert v.grad.tolist() == [0, 0, 1, 3] and x.grad.tolist() == [0, 2, 0]


@pytest.mark.parametrize("compiled", [False, True])
def test_integers_come_before_index_arrays_and_dots_may_stand_for_nothing(compiled):
    def indexed(x, rows):
        return x[0, :, rows], x[-1, None, rows], x[..., -1, :, rows], x[rows, ..., 1, rows], x[0, 1, rows]

    x, rows = ad.arange(8.0).reshape(2, 2, 2).requires_grad_(), ad.tensor([1, 0])
    found = (ad.compile(indexed) if compiled else indexed)(x, rows)
    assert [y.tolist() for y in found[:2]] == [[[1, 0], [3, 2]], [[[6, 7], [4, 5]]]]
    assert [y.tolist() for y in found[2:]] == [[[5, 4], [7, 6]], [7, 2], [3, 2]]
    if not compiled:
        (found[0] * ad.tensor([[1.0, 2], [3, 4]])).sum().backward()
        assert x.grad.tolist() == [[[2, 1], [4, 3]], [[0, 0], [0, 0]]]
    y = ad.zeros(2, 3, 4)
    y[0, :, [0, 1]] = ad.arange(6.0).reshape(3, 2)
    assert y[0, :, :2].tolist() == [[0, 1], [2, 3], [4, 5]] and y.sum() == 15
    assert ad.zeros(2, 4, 1)[-3:-2, [0], ..., [-1]].shape == (0, 1)


def test_in_place_where_it_must_not_be():
    x = leaf(3)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        x += 1
    with pytest.raises(RuntimeError, match="a view of a leaf Variable"):
        x[0] += 1
    wide = (x * 1).unsqueeze(0).expand(2, 3)
    with pytest.raises(RuntimeError, match="more than one element"):
        wide.mul_(2)
    with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
        ad.zeros(3).add_(ad.zeros(2, 3))
    with pytest.raises(RuntimeError, match="can't be cast"):
        ad.tensor([1, 2]).add_(0.5)
    with pytest.raises(RuntimeError, match="more than one element"):
        ad.ones(1).expand(3).mul_(2)
    for write in (lambda t: t.add_(1), lambda t: t.zero_(), lambda t: t.__setitem__(0, 2)):
        with pytest.raises(RuntimeError, match="read-only"):
            write(ad.from_numpy(np.broadcast_to(np.ones(1), (1,))))


def test_what_others_look_at_is_written_in_place():
    x = leaf(3)
    y = x * 2
    array = y.detach().numpy()
    y += 1
    np.testing.assert_array_equal(array, x.detach().numpy() * 2 + 1)
    y.sum().backward()
    assert x.grad.tolist() == [2, 2, 2]
    z = x.exp()
    array = z.detach().numpy()
    z += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_a_detached_twin_shares_memory_and_nothing_else():
    x = leaf(3)
    y = x * 2
    twin, second = y.detach(), y[1:].data
    twin[0] = 7.0  # every name of the memory sees it
    assert y[0].item() == 7 and not twin.requires_grad
    y.mul_(2)  # recorded: the twins follow, outside the graph
    assert twin[0].item() == 14 and second.equal(y.detach()[1:]) and not second.requires_grad
    row = twin[1:]
    twin[...] = x * 5  # a tracked value: the twin is in a graph of its own
    assert twin.requires_grad and row.requires_grad and y.equal(twin)
    (twin.sum() + row.sum()).backward()
    assert x.grad.tolist() == [5, 10, 10]
    x.grad = None
    y.sum().backward()
    assert x.grad.tolist() == [4, 4, 4]


def test_a_detached_twin_does_not_keep_the_graph_alive():
    x = leaf(3)
    y = x.exp()
    node = weakref.ref(y.origin)
    kept = [y.detach(), y.data[1:], y.detach().detach()]
    del y
    assert node() is None
    kept[0].add_(1)
    assert kept[1].equal(kept[0][1:]) and kept[2].equal(kept[0])
    kept[0][...] = x * 2
    assert kept[2].equal(kept[0]) and not kept[2].requires_grad


def test_views_and_twins_follow_a_recorded_change_whatever_the_layout_of_the_new_value():
    w = ad.tensor(np.arange(1.0, 7).reshape(2, 3), requires_grad=True)
    y = w.t() * 2  # columns first in memory
    view, twin = y.t().view(6), y.detach().t().view(-1)
    free = ad.zeros(2, 3, dtype=ad.float64).t()
    row = free.t().view(6)
    y[0] = 1.0
    y.mul_(y.detach().clone())
    y.add_(w.t().contiguous() * 0)
    free.add_(y.contiguous())
    for each in (view, twin, row):
        assert each.tolist() == y.t().reshape(-1).tolist()
    (view * view).sum().backward()
    assert w.grad.tolist() == [[0, 256, 864], [0, 4000, 6912]]
    assert y.stride() == (1, 3)


def test_a_write_that_is_refused_changes_nothing():
    x = leaf(2, 3)
    memory = np.broadcast_to(np.ones((1, 3)), (1, 3))
    wide, closed = ad.zeros(3, dtype=ad.float64).unsqueeze(0).expand(2, 3).detach(), ad.from_numpy(memory)
    base = ad.zeros(3, dtype=ad.float64)
    twin = base.unsqueeze(0).expand(2, 3).detach()
    turned = (leaf(2, 3).t() * 1).t().unsqueeze(0).expand(4, 2, 3).reshape(4, 6)
    for write, reason in (
        (lambda: wide.copy_(x * 2), "more than one element"),
        (lambda: twin.copy_(x * 2), "more than one element"),
        (lambda: turned.add_(ad.cat([x, x, x, x]).reshape(4, 6)), "more than one element"),
        (lambda: closed.mul_(x[:1]), "read-only"),
    ):
        with pytest.raises(RuntimeError, match=reason):
            write()
    assert not (wide.requires_grad or twin.requires_grad or closed.requires_grad or base.requires_grad)
    assert wide.sum() == twin.sum() == 0 and closed.tolist() == [[1, 1, 1]] and turned.shape == (4, 6)


@pytest.mark.parametrize(
    "share",
    [copy.copy, lambda x: x.view(ad.int32), lambda x: setattr(other := ad.ones(1), "data", x) or other],
    ids=["copy", "view as int32", "data"],
)
def test_who_shares_memory_unknown_to_the_graph_sees_a_recorded_change(share):
    x = ad.zeros(3)
    other, row = share(x), x[1:]
    x.add_(ad.ones(3, requires_grad=True))
    assert other.view(ad.float32).tolist() == x.tolist() == [1, 1, 1] and row.tolist() == [1, 1]
    if other.dtype == x.dtype:
        other.mul_(ad.full((3,), 2.0, requires_grad=True))
        assert x.tolist() == [2, 2, 2]


def test_numbers_written_into_float64_keep_their_digits():
    x = ad.zeros(2, dtype=ad.float64)
    x[0] = 0.1
    assert x[0].item() == 0.1 and x.fill_(0.7)[1].item() == 0.7 and (x * 1).copy_(0.3)[0].item() == 0.3


def test_a_stale_save_names_both_places_and_loses_nothing():
    w = leaf(4)
    y = (w * w).exp().sum()
    view = w.detach().reshape(2, 2)
    with ad.no_grad():
        view[0] = 5.0  # the change
    with pytest.raises(RuntimeError, match="modified by an inplace operation") as error:
        y.backward()
    assert "'mul' saved it at" in str(error.value) and "the change" in str(error.value)
    assert w.grad is None and y.origin.saved is not None or y.origin.plan.holds_arrays is False
    y = (w + w).sum()
    with ad.no_grad():
        w += 1
    y.backward()  # addition saved nothing: nothing is stale
    assert w.grad.tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize(
    "change, expected",
    [(lambda t: t.add_(1), [2, 3]), (lambda t: t.sub_(1, alpha=2), [-1, 0]), (lambda t: t.mul_(3), [3, 6]),
     (lambda t: t.div_(2), [0.5, 1]), (lambda t: t.zero_(), [0, 0]), (lambda t: t.fill_(7), [7, 7]),
     (lambda t: t.copy_(ad.tensor([5, 6])), [5, 6]), (lambda t: t.clamp_(max=1.5), [1, 1.5]),
     (lambda t: (t - 1.5).relu_(), [0, 0.5]), (lambda t: t.masked_fill_(t > 1, 9), [1, 9])],
)  # fmt: skip
@pytest.mark.parametrize("recorded", [False, True])
def test_in_place_methods(change, expected, recorded):
    x = ad.tensor([1.0, 2.0], requires_grad=recorded)
    with switched(recording=True):
        y = change(x * 1)
    assert y.tolist() == expected and y.requires_grad == recorded


def test_random_in_place_methods_draw_from_the_one_seed():
    ad.manual_seed(3)
    first = [ad.zeros(4).normal_(), ad.zeros(4).uniform_(2, 3)]
    ad.manual_seed(3)
    again = [ad.zeros(4).normal_(), ad.zeros(4).uniform_(2, 3)]
    assert all(a.equal(b) for a, b in zip(first, again, strict=True))
    assert 2 <= float(first[1].min()) and float(first[1].max()) < 3


@pytest.mark.parametrize(
    "made",
    [lambda x: x[:, ad.tensor([0, 2])], lambda x: x[:, ad.tensor([0, 1]), 1:], lambda x: x[:, ad.tensor([True, False, True])],
     lambda x: x[:, ad.tensor([0, 1]), ad.tensor([0, 1])], lambda x: x[:, :1].expand(4, 3, 5).clone(), lambda x: x.permute(2, 1, 0).sum(0),
     lambda x: x.permute(2, 1, 0).amax(1), lambda x: x.permute(2, 1, 0).cumsum(0), lambda x: x.permute(2, 1, 0).roll(1, 0),
     lambda x: x.permute(2, 1, 0).repeat(1, 1, 1), lambda x: ad.cat([x.transpose(0, 1)] * 2), lambda x: ad.stack([x.transpose(0, 1)] * 2),
     lambda x: nn.functional.pad(x.permute(2, 1, 0), (1, 1)), lambda x: x.transpose(0, 1).softmax(1), lambda x: x.permute(2, 1, 0).logsumexp(1),
     lambda x: x[:1].expand(4, 3, 5).double(), lambda x: x[:1].expand(4, 3, 5).bool(), lambda x: x[:1].expand(4, 3, 5).sigmoid(),
     lambda x: nn.functional.logsigmoid(x[:1].expand(4, 3, 5)),
     lambda x: nn.functional.adaptive_max_pool1d(x, 2), lambda x: nn.functional.adaptive_max_pool2d(x, 2),
     lambda x: nn.functional.conv_transpose2d(x, ad.ones(4, 2, 3, 3), padding=1),
     lambda x: nn.functional.fold(x[:, :, :1].reshape(1, 1, 12), (2, 1), 1, padding=1), lambda x: x[0, 0].argsort(descending=True),
     lambda x: x[0].diag(), lambda x: x.permute(2, 1, 0).tril(), lambda x: x.permute(2, 1, 0).prod(0), lambda x: (x.permute(2, 1, 0) > 0).any(0)],
)  # fmt: skip
def test_new_memory_is_in_row_major_order(made):
    y = made(ad.arange(60.0).reshape(4, 3, 5))
    assert y.is_contiguous()
    y.view(-1).zero_()
    assert not y.any()


@pytest.mark.parametrize(
    "made",
    [lambda x: x.diag(), lambda x: x.round(), lambda x: x.nan_to_num(), lambda x: x.take(ad.tensor(0)),
     lambda x: x[:, 1:].ravel(), lambda x: nn.functional.embedding(ad.tensor(0), x), lambda x: nn.functional.pad(x, (0, 0), mode="replicate"),
     lambda x: nn.functional.adaptive_avg_pool1d(x, 3), lambda x: nn.functional.interpolate(x[None], 3)],
)  # fmt: skip
def test_what_is_no_view_has_memory_of_its_own(made):
    x = ad.arange(6).reshape(2, 3)
    made(x).fill_(7)
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]
    mask = ad.tensor([False, True])
    mask.sign().zero_()
    assert mask.tolist() == [False, True]


def test_a_gradient_is_in_row_major_order():
    x = ad.ones(2, 3, requires_grad=True)
    x.sum(0).backward(ad.ones(3))
    assert x.grad.view(-1).tolist() == [1] * 6


def test_random_numbers_stay_below_their_bound(monkeypatch):
    closest = np.nextafter(1, 0)  # what a generator gives at most, as seldom as it does

    class Generator:
        def random(self, shape, dtype=np.float64):
            return np.full(
                shape, closest if dtype == np.float64 else np.nextafter(np.float32(1), np.float32(0))
            )

    monkeypatch.setattr(type(ad.random.default_generator), "numpy", Generator())
    for dtype in (ad.float16, ad.float32, ad.float64):
        assert ad.rand(3, dtype=dtype).max().item() < 1
        for a, b in ((0, 1), (-0.1, 0.1), (2, 3), (-3, -2), (0, 2049)):
            drawn = ad.zeros(3, dtype=dtype).uniform_(a, b)
            assert drawn.dtype == dtype and a <= drawn.min().item() <= drawn.max().item() < b
    assert ad.zeros(2).uniform_(0.1, 0.1).equal(ad.full((2,), 0.1))


# ---- modes and interpreters -----------------------------------------------------------------------------


def test_modes_as_context_managers_decorators_and_functions():
    x = leaf(2)

    @ad.no_grad()
    def quiet():
        return x * 2

    @ad.no_grad
    def bare():
        yield x * 2

    assert not quiet().requires_grad and not next(bare()).requires_grad and ad.is_grad_enabled()
    with ad.no_grad(), ad.enable_grad():
        assert (x * 2).requires_grad
    with ad.inference_mode(), ad.set_grad_enabled(False):
        assert not (x * 2).requires_grad
    ad.set_grad_enabled(False)
    assert not ad.is_grad_enabled()
    ad.set_grad_enabled(True)
    assert ad.is_grad_enabled()


def test_modes_belong_to_a_thread_and_to_a_task():
    x = leaf(2)
    with ad.no_grad(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: (x * x).requires_grad).result()

    async def silent():
        with ad.no_grad():
            await asyncio.sleep(0)
            return (x * x).requires_grad

    async def loud():
        await asyncio.sleep(0)
        return (x * x).requires_grad

    async def both():
        return await asyncio.gather(silent(), loud())

    assert asyncio.run(both()) == [False, True]


class Tracer:
    def __init__(self):
        self.calls = []

    def apply(self, primitive, args, options):
        result = primitive(*args, **options)
        self.calls.append((primitive.name, describe(call_site())))
        return result


def test_an_interpreter_sees_forward_backward_and_update():
    x = leaf(3)
    tracer = Tracer()
    with switched(interpreters=(*mode.get()[1], tracer)):
        y = (x.exp() * 2).sum()  # the traced line
        y.backward()
        with ad.no_grad():
            x -= x.grad
    names = [name for name, _ in tracer.calls]
    assert names[:3] == ["exp", "mul", "sum"] and names[-1] == "assign" and names.count("mul") >= 3
    assert "the traced line" in tracer.calls[1][1]


def test_files_beside_the_packages_are_the_users():
    """A program is not ours because its name, or its folder's, begins as ours do."""
    root = Path(ad.__file__).parents[1]
    for name in ("nn_tutorial.py", "autodiff_demo/main.py", "nn.py"):
        scope = {"call_site": call_site}
        program = "def a(): return b()\ndef b(): return c()\ndef c(): return call_site()\nsite = a()"
        exec(compile(program, str(root / name), "exec"), scope)
        assert describe(scope["site"]) == f"{Path(name).name}:1"
    assert ours[str(root / "nn" / "module.py")] and ours[str(root / "autodiff" / "ops" / "shapes.py")]


@pytest.mark.parametrize(
    "make",
    [
        lambda d: ad.tensor(1.0, device=d), lambda d: ad.zeros(2, device=d), lambda d: ad.zeros_like(ad.ones(2), device=d),
        lambda d: ad.ones_like(ad.ones(2), device=d), lambda d: ad.empty_like(ad.ones(2), device=d),
        lambda d: ad.full_like(ad.ones(2), 1, device=d), lambda d: ad.rand(2, device=d), lambda d: ad.randn(2, device=d),
        lambda d: ad.randint(3, (2,), device=d), lambda d: ad.randperm(3, device=d), lambda d: ad.rand_like(ad.ones(2), device=d),
        lambda d: ad.randn_like(ad.ones(2), device=d), lambda d: ad.ones(2).new_zeros(2, device=d),
        lambda d: ad.ones(2).new_ones(2, device=d), lambda d: ad.ones(2).new_empty(2, device=d),
        lambda d: ad.ones(2).new_full((2,), 1, device=d), lambda d: ad.ones(2).new_tensor([1], device=d),
        lambda d: ad.Generator(device=d), lambda d: ad.arange(3, device=d), lambda d: ad.ones(2).to(d),
    ],
)  # fmt: skip
def test_only_the_cpu_is_a_device(make):
    make("cpu")
    make(ad.device("cpu"))
    with pytest.raises(RuntimeError, match="device 'cuda:0' does not exist here"):
        make("cuda:0")


# ---- derivatives of functions -------------------------------------------------------------------------------


def test_nested_derivatives_are_not_mixed_up():
    grad = ad.grad
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(3.0).item() == 1
    assert grad(lambda x: x * grad(lambda y: x * y)(1.0))(3.0).item() == 6
    x = ad.tensor(3.0, requires_grad=True)
    inner = grad(lambda y: x * y)(x)
    assert inner.item() == 3 and inner.requires_grad
    g = ad.sin
    for _ in range(5):
        g = grad(g)
    assert g(0.3).item() == pytest.approx(np.cos(0.3), rel=1e-6) and not g(0.3).requires_grad


def test_jacobian_hessian_hvp_vjp():
    a = np.random.default_rng(0).standard_normal((3, 2))
    f = lambda x: (ad.Tensor(a) @ x).sin()
    x = np.array([0.3, -0.4])
    expected = np.cos(a @ x)[:, None] * a
    for mode_ in ("auto", "reverse", "forward"):
        np.testing.assert_allclose(ad.jacobian(f, mode=mode_)(ad.Tensor(x)).detach().numpy(), expected)
    y, pull = ad.vjp(f, x)
    np.testing.assert_allclose(y.detach().numpy(), np.sin(a @ x))
    np.testing.assert_allclose(pull(np.ones(3))[0].detach().numpy(), expected.sum(0))
    h = ad.hessian(lambda x: f(x).sum())(ad.Tensor(x)).detach().numpy()
    np.testing.assert_allclose(h, -(a.T * np.sin(a @ x)) @ a)
    g, hv = ad.hvp(lambda x: f(x).sum(), x, np.array([1.0, 2.0]))
    np.testing.assert_allclose(g.detach().numpy(), expected.sum(0))
    np.testing.assert_allclose(hv.detach().numpy(), h @ [1, 2])
    value, gradient = ad.value_and_grad(lambda x, s: (x * s).sum(), argnums=(0, 1))(x, 2.0)
    assert value.item() == pytest.approx(2 * x.sum())
    assert gradient[1].item() == pytest.approx(x.sum())


@pytest.mark.parametrize(
    "layer",
    [lambda b: nn.functional.linear(ad.ones(4, 3), ad.ones(2, 3), b), lambda b: nn.functional.conv1d(ad.ones(4, 3, 5), ad.ones(2, 3, 1), b),
     lambda b: nn.functional.conv2d(ad.ones(4, 3, 5, 5), ad.ones(2, 3, 1, 1), b)],
)  # fmt: skip
def test_a_tangent_has_its_values_shape(layer):
    b = ad.zeros(2)
    y, t = ad.jvp(layer, [b], [ad.ones(2)])
    assert t.shape == y.shape and (t == 1).all()


def test_a_tangent_has_its_values_dtype():
    x, wide = ad.tensor([1.0, 2.0]), ad.tensor([3.0, 4.0], dtype=ad.float64)
    for f in (lambda x: x + wide, lambda x: x * wide, lambda x: ad.where(x > 1, x, wide), lambda x: wide**x):
        y, t = ad.jvp(f, (x,), (ad.ones(2),))
        assert y.dtype == t.dtype == ad.float64


def test_autograd_grad():
    x, w = leaf(3), leaf(3, seed=1)
    y = (x * x).sum()
    (g,) = ad.autograd.grad(y, x, create_graph=True)
    (h,) = ad.autograd.grad(g.sum(), x)
    assert h.tolist() == [2, 2, 2] and x.grad is None
    with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
        ad.autograd.grad(y, w, retain_graph=True)
    assert ad.autograd.grad(y, w, allow_unused=True, retain_graph=True) == (None,)


# ---- the Tensor as a Python value -----------------------------------------------------------------------------


def test_as_a_python_value():
    t = ad.tensor([[1.0, 2.5], [3.0, 4.0]])
    assert repr(t) == "tensor([[1.0000, 2.5000],\n        [3.0000, 4.0000]])"
    assert repr(ad.tensor([1, 2])) == "tensor([1, 2])" and repr(ad.tensor(2.0)) == "tensor(2.)"
    assert repr(ad.tensor([1.0], requires_grad=True)) == "tensor([1.], requires_grad=True)"
    assert "grad_fn=<MulBackward>" in repr(ad.tensor([1.0], requires_grad=True) * 2)
    assert f"{ad.tensor(3.14159):.2f}" == "3.14"
    assert len(t) == 2 and [row.tolist() for row in t] == [[1, 2.5], [3, 4]] and 2.5 in t and 7 not in t
    assert (
        float(t[0, 0]) == 1 and int(t[1, 1]) == 4 and [10, 20][ad.tensor(1)] == 20 and bool(ad.tensor(True))
    )
    assert t.shape == (2, 2) and t.size() == (2, 2) and t.size(0) == 2 and t.numel() == 4 and t.dim() == 2
    assert {t: 1}[t] == 1 and (t == t).all() and (t != None) is True  # noqa: E711
    for error, wrong in ((RuntimeError, lambda: bool(t)), (TypeError, lambda: len(t[0, 0])), (TypeError, lambda: [1][t]),
                         (RuntimeError, lambda: t.item()), (TypeError, lambda: list(t[0, 0]))):  # fmt: skip
        with pytest.raises(error):
            wrong()


def test_copies_and_pickles_of_leaves():
    x = ad.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    for y in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert y.equal(x) and y.requires_grad and y is not x and not np.shares_memory(y.array, x.array)
    assert copy.deepcopy(x).grad.tolist() == [2, 4]
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(x * 2)
    frozen = copy.deepcopy(x.requires_grad_(False))
    assert frozen.grad.tolist() == [2, 4] and not frozen.requires_grad


@pytest.mark.parametrize("shape", [(4, 3), (400, 30)])  # a large one begins at a line of the cache
def test_what_shares_memory_shares_it_in_a_deep_copy(shape):
    x = ad.ones(*shape)
    new = copy.deepcopy({"all": x, "turned": x.t(), "rows": x[1:], "again": x, "other": ad.ones(*shape)})
    new["rows"].fill_(2.0)
    new["turned"].add_(ad.ones(*shape[::-1], requires_grad=True))
    assert new["all"] is new["again"] and new["all"][:2, 0].tolist() == [2, 3]
    assert new["rows"].equal(new["all"][1:]) and new["all"].is_contiguous()
    assert x.equal(ad.ones(*shape)) and new["other"].equal(x)


def test_float16_is_added_up_in_float32_and_rounded_once():
    ones = ad.ones(4096, 2, dtype=ad.float16)
    bias = ad.zeros(2, dtype=ad.float16, requires_grad=True)
    (ones + bias).sum(dtype=ad.float32).backward()
    found = [ones.sum(0)[0], ones.cumsum(0)[-1, 0], bias.grad[0]]
    assert [y.item() for y in found] == [4096] * 3
    many = ad.ones(100_000, dtype=ad.float16)
    large = [(many.mean(), 1), (many.nanmean(), 1), ((many * 2).var(), 0), ((many * 2).std(), 0), ((many[:100] * 300).norm(), 3000),
             (many.softmax(0).sum(), 1), (many.logsumexp(0), 1 + math.log(100_000)), (many.log_softmax(0)[0], -math.log(100_000))]  # fmt: skip
    for y, expected in large:
        assert y.dtype == ad.float16 and y.item() == pytest.approx(expected, rel=2e-3)
    assert many.mean(dtype=ad.float32).dtype == many.softmax(0, dtype=ad.float32).dtype == ad.float32


def test_a_mean_is_one_step_of_the_graph():
    x = ad.tensor([[1.0, 3.0]], requires_grad=True)
    y = x.mean(1)
    assert y.grad_fn.name() == "MeanBackward" and y.grad_fn.next_functions == ((x.origin, 0),)


def test_many_float32_are_added_up_without_losing_digits():
    n = 1 << 20
    rows = ad.full((n, 2), 0.1)
    bias = ad.zeros(2, requires_grad=True)
    ((rows + bias) * rows).sum().backward()
    wide = rows.reshape(1 << 10, 1 << 10, 2)
    found = [
        rows.sum(0),
        rows.mean(0) * n,
        rows.cumsum(0)[-1],
        bias.grad,
        wide.sum((0, 1)),
        wide.sum((0, 1), True)[0, 0],
    ]
    for y in found:
        np.testing.assert_allclose(y.numpy(), n * 0.1, rtol=1e-5)
    mixed = rows + ad.arange(2.0 * n).reshape(n, 2) % 2
    assert mixed.sum().item() == pytest.approx(mixed.double().sum().item(), rel=1e-6)
    np.testing.assert_allclose(
        (rows * ad.arange(n).reshape(n, 1)).sum(0).numpy(), 0.1 * n * (n - 1) / 2, rtol=1e-5
    )
    assert rows[: 2**16 + 5].t().sum(1).shape == (2,) and rows.sum((0, 1)).shape == ()


@pytest.mark.filterwarnings("error")
def test_what_is_too_large_becomes_infinite_without_a_warning():
    x, large = ad.zeros(1), ad.tensor([1e300], dtype=ad.float64)
    x.copy_(large)
    made = [ad.tensor(1e300), ad.tensor(1e300, dtype=ad.float32), ad.tensor(large.numpy(), dtype=ad.float32),
            ad.as_tensor([1e300], dtype=ad.float32), ad.full((1,), 1e300), ad.full((1,), 1e300, dtype=ad.float32), ad.full_like(x, 1e300),
            x.new_tensor(1e300), x.new_full((1,), 1e300), ad.logspace(0, 400, 3)[1], ad.arange(1e300, 3e300, 2e300), x]  # fmt: skip
    assert all(y.item() == math.inf and y.dtype == ad.float32 for y in made)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "make",
    [lambda: ad.tensor(math.nan, dtype=ad.int64), lambda: ad.tensor([1, math.inf], dtype=ad.int32), lambda: ad.tensor(1e30, dtype=ad.int64),
     lambda: ad.tensor(300, dtype=ad.uint8), lambda: ad.full((1,), math.nan, dtype=ad.int64), lambda: ad.zeros(1).long().new_tensor(math.nan),
     lambda: ad.full_like(ad.tensor([1]), math.nan), lambda: ad.as_tensor([2**40], dtype=ad.int32),
     lambda: ad.zeros(2).half().masked_fill(ad.tensor([True, False]), -1e9), lambda: ad.tensor(2**63), lambda: ad.tensor([0, -(2**70)]),
     lambda: ad.full((1,), 2**70), lambda: ad.zeros(2).byte().fill_(300), lambda: ad.zeros(2).long().__setitem__(0, math.nan),
     lambda: ad.zeros(2).fill_(1e40)],
)  # fmt: skip
def test_numbers_that_a_dtype_cannot_hold(make):
    with pytest.raises((RuntimeError, ValueError), match="without overflow|Overflow when unpacking"):
        make()


def test_numbers_at_the_edge_of_a_dtype():
    assert ad.tensor([2**63 - 1, -(2**63)]).tolist() == [2**63 - 1, -(2**63)]
    assert ad.tensor([-1, 255, 2.9], dtype=ad.uint8).tolist() == [255, 255, 2]
    assert ad.tensor(2**70, dtype=ad.float32) == 2**70
    assert ad.tensor(np.array([300]), dtype=ad.uint8).tolist() == [44]
    double = ad.zeros(1, dtype=ad.float64)  # in which a number keeps all its digits
    assert (
        ad.full_like(double, 0.1).item()
        == double.new_full((1,), 0.1).item()
        == double.new_tensor(0.1).item()
        == 0.1
    )


PROMOTION = [
    (ad.float32, 2.0, ad.float32), (ad.float32, np.float64(2), ad.float32), (ad.int64, 2.5, ad.float32),
    (ad.int64, 2, ad.int64), (ad.uint8, 2, ad.uint8), (ad.bool, 1, ad.int64), (ad.int64, True, ad.int64),
    (ad.float16, 2, ad.float16), (ad.float64, 2.0, ad.float64),
]  # fmt: skip


@pytest.mark.parametrize("dtype, number, expected", PROMOTION)
def test_numbers_are_weak(dtype, number, expected):
    t = ad.ones(3, dtype=dtype)
    assert (t * number).dtype == expected and (number * t).dtype == expected


def test_promotion_and_the_gradient_keeps_its_inputs_dtype():
    f, i, d = (
        ad.ones(3, requires_grad=True),
        ad.ones(3, dtype=ad.int64),
        ad.ones(3, dtype=ad.float64, requires_grad=True),
    )
    assert (f * i).dtype == ad.float32 and (i / i).dtype == ad.float32 and i.exp().dtype == ad.float32
    assert (f * ad.tensor(2.0, dtype=ad.float64)).dtype == ad.float32
    (f * d).sum().backward()
    assert f.grad.dtype == ad.float32 and d.grad.dtype == ad.float64


def test_numpy_functions_differentiate():
    t = leaf(2, 3)
    a = np.random.default_rng(2).standard_normal((2, 3))
    y = np.sum(np.sin(t) * a + a * t + np.float64(2) * t, axis=0)
    y.sum().backward()
    np.testing.assert_allclose(t.grad.numpy(), np.cos(t.detach().numpy()) * a + a + 2)
    assert np.std(t).item() == pytest.approx(t.detach().numpy().std())
    assert np.concatenate([t, a], axis=1).shape == (2, 6) and isinstance(np.max(t, axis=0), ad.Tensor)
    with pytest.raises(RuntimeError, match=r"detach\(\)"):
        np.asarray(t)
    for wrong, hint in (
        (lambda: np.add.reduce(t), "sum"),
        (lambda: np.gcd(t, t), "detach"),
        (lambda: np.fft.fft(t), "detach"),
    ):
        with pytest.raises(TypeError, match=hint):
            wrong()
    with pytest.raises(TypeError, match="a = a"):
        a += t


A = object()  # stands for a second operand

ERRORS = [
    (lambda: ad.zeros(3) + ad.zeros(2), RuntimeError, r"The size of tensor a \(3\) must match the size of tensor b \(2\)"),
    (lambda: ad.zeros(2, 3) @ ad.zeros(2, 3), RuntimeError, "mat1 and mat2 shapes cannot be multiplied"),
    (lambda: ad.zeros(2, 3).sum(5), IndexError, "Dimension out of range"),
    (lambda: ad.tensor(1.0).flatten(1), IndexError, "Dimension out of range"),
    (lambda: ad.zeros(2, 3).reshape(4), RuntimeError, "is invalid for input of size 6"),
    (lambda: ad.zeros(3)[5], IndexError, "out of bounds"),
    (lambda: ad.zeros(3)[0, 0], IndexError, "too many indices"),
    (lambda: ad.tensor([1, 2], requires_grad=True), RuntimeError, r"\.float\(\)"),
    (lambda: ad.zeros(3, requires_grad=True).backward(), RuntimeError, "implicitly created only for scalar outputs"),
    (lambda: ad.zeros(()).backward(), RuntimeError, "does not require grad"),
    (lambda: ad.zeros(2, requires_grad=True).numpy(), RuntimeError, "Can't call numpy"),
    (lambda: ad.zeros(3).to("cuda"), RuntimeError, "CPU only"),
    (lambda: ad.zeros(3, 2).T.view(6), RuntimeError, "view size is not compatible"),
    (lambda: ad.tensor([[1, 2], [3]]), ValueError, "same length"),
    (lambda: ad.stack([ad.zeros(2), ad.zeros(3)]), RuntimeError, "equal size"),
    (lambda: ad.gather(ad.zeros(3), 0, ad.tensor([3])), IndexError, "out of bounds"),
    (lambda: ad.one_hot(ad.tensor([3]), 3), RuntimeError, "Class values must be smaller"),
    (lambda: ad.mean(ad.tensor([1, 2])), RuntimeError, "floating point"),
    (lambda: ad.linear(ad.zeros(2, 3), ad.zeros(4, 5)), RuntimeError, r"mat1 and mat2 shapes.* must be 5$"),
    (lambda: ad.linear(ad.zeros(2, 1, 4, 4), ad.zeros(3, 16)), RuntimeError, r"must be 16. Try x.flatten\(1\)$"),
    (lambda: ad.one_hot(ad.tensor([1.0])), RuntimeError, r"one_hot is only applicable to index tensor of type LongTensor.*\.long"),
    (lambda: ad.zeros(3)["a"], IndexError, r"long or byte Variables are valid indices \(got str\)"),
    (lambda: ad.zeros(3)[1.5], IndexError, r"long or byte Variables are valid indices \(got float\)"),
    (lambda: ad.zeros(3)[ad.ones(1)], IndexError, r"tensors used as indices must be long.*\.long\(\)"),
    (lambda: ad.cat([ad.zeros(3), 3]), TypeError, "expected Tensor as element 1 in argument 0, but got int"),
    (lambda: ad.stack([[1.0], ad.zeros(1)]), TypeError, "expected Tensor as element 0 in argument 0, but got list"),
    (lambda: ad.cat(3), TypeError, "argument 'tensors' must be tuple of Tensors, not int"),
    (lambda: ad.tanh([ad.zeros(3), ad.zeros(3)]), TypeError, r"tanh\(\): argument 'input' \(position 1\) must be Tensor, not list.*cat or stack"),
    (lambda: ad.relu(None), TypeError, r"relu\(\): argument 'input' \(position 1\) must be Tensor, not NoneType.*without return"),
    (lambda: ad.sum([ad.zeros(3), ad.zeros(3)]), TypeError, r"sum\(\): argument 'input' \(position 1\) must be Tensor, not list"),
    (lambda: ad.mean([1.0, 2.0]), TypeError, r"mean\(\): argument 'input' .* not list.*tensor\(\)"),
    (lambda: ad.maximum(ad.zeros(3), ad.ones(3), ad.zeros(3)), TypeError, "maximum.. takes 2 inputs, and 3 were given"),
    (lambda: ad.zeros(3).mul_(ad.ones(3), ad.ones(3)), TypeError, "mul.. takes 2 inputs, and 3 were given"),
    (lambda: ad.tensor([1], dtype=ad.uint8) + 300, RuntimeError, r"type uint8 without overflow.*300.*add\(\(1,\)\)"),
    (lambda: ~ad.zeros(3), TypeError, r"not implemented for floating-point tensors.*compare first"),
    (lambda: ad.zeros(3) & ad.zeros(3), NotImplementedError, r"not implemented for floating-point tensors.*compare first"),
    (lambda: ad.rand(3, dtype=ad.int64), NotImplementedError, "none is left of them in int64: write randint"),
    (lambda: ad.randn_like(ad.tensor([1])), NotImplementedError, "none is left of them in int64: write randint"),
    (lambda: ad.zeros(3).normal_(0, -1), RuntimeError, "normal expects std >= 0.0, but found std -1"),
    (lambda: ad.zeros(3).uniform_(2, 1), RuntimeError, "uniform_ expects to return a .* range, but found from=2 > to=1"),
    (lambda: ad.zeros(3).bernoulli_(2), RuntimeError, "bernoulli_ expects p to be in .*, but got p=2"),
    (lambda: ad.add(ad.zeros(3), None), TypeError, r"add\(\): argument 'other' \(position 2\) must be Tensor, not NoneType"),
    (lambda: ad.maximum([1.0], ad.zeros(1)), TypeError, r"maximum\(\): argument 'input' \(position 1\) must be Tensor, not list"),
    (lambda: ad.linear(None, ad.zeros(4, 5)), TypeError, r"linear\(\): argument 'input' \(position 1\) must be Tensor, not NoneType"),
    (lambda: ad.zeros(2).add_(ad.zeros(3)), RuntimeError, r"The size of tensor a \(2\) must match the size of tensor b \(3\)"),
    (lambda: ad.one_hot(ad.tensor([-1])), RuntimeError, "Class values must be non-negative: found -1"),
    (lambda: ad.randn(2, -1), RuntimeError, r"Trying to create tensor with negative dimension -1: \[2, -1\]"),
    (lambda: ad.randint(0, 5), TypeError, r"randint\(\): argument 'size' must be tuple of ints, not int: write .*\(n,\)"),
    (lambda: ad.randint(0, size=(2,)), RuntimeError, "but got from=0 >= to=0"),
    (lambda: ad.randint(5), TypeError, r"randint\(\): argument 'size' must be tuple of ints, not NoneType"),
    (lambda: ad.zeros(2) ^ 2, NotImplementedError, r'"bitwise_xor_cpu" not implemented for .*a power is \*\*'),
    (lambda: ad.zeros(2).item(), RuntimeError, r"with 2 elements cannot be converted to Scalar: write \.tolist\(\)"),
    (lambda: float(ad.zeros(2)), ValueError, r"only one element tensors .* this one has 2: write \.tolist\(\)"),
    (lambda: ad.sin(ad.Value(1.0)), AttributeError, r"functions of Tensors take no Value: write x\.exp\(\)"),
    (lambda: ad.compile(3), TypeError, "takes a function of Tensors, not int"),
    (lambda: ad.compile(keep_grad=True)(3), TypeError, "takes a function of Tensors, not int"),
]  # fmt: skip


@pytest.mark.parametrize("wrong, error, phrase", ERRORS)
def test_errors_say_what_people_search_for(wrong, error, phrase):
    with pytest.raises(error, match=phrase):
        wrong()


def test_a_gradient_that_nobody_keeps_is_asked_for_with_a_warning(recwarn):
    x = ad.ones(2, requires_grad=True)
    for silent in (x, x.detach(), ad.ones(2)):
        assert silent.grad is None
    kept = x * 2
    kept.retain_grad()
    assert kept.grad is None and not recwarn.list
    kept.sum().backward()
    assert kept.grad.tolist() == [1, 1] and not recwarn.list
    y = kept * 3
    with pytest.warns(
        UserWarning, match=r"The .grad attribute of a Tensor that is not a leaf.*test_engine.py:\d+: y = "
    ) as found:
        assert y.grad is None
    assert found[0].filename == __file__


def test_a_number_that_leaves_the_graph_is_made_with_a_warning(recwarn):
    x = ad.tensor(1.0, requires_grad=True)
    assert (
        x.item() == float(x.detach()) == int(x) == 1 and bool(x) and f"{x:.1f}" == "1.0" and not recwarn.list
    )
    with pytest.warns(
        UserWarning, match="Converting a tensor with requires_grad=True to a scalar.*no gradient"
    ) as found:
        assert math.exp(x) == math.e
    assert found[0].filename == __file__


ALONE = [
    "abs",
    "sign",
    "exp",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "sqrt",
    "rsqrt",
    "square",
    "reciprocal",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "sigmoid",
    "relu",
    "erf",
    "floor",
    "ceil",
    "round",
    "isnan",
    "isinf",
    "isfinite",
    "logical_not",
    "neg",
    "sum",
    "mean",
    "var",
    "std",
    "prod",
    "max",
    "min",
    "amax",
    "amin",
    "argmax",
    "argmin",
    "norm",
    "all",
    "any",
    "t",
    "flatten",
    "squeeze",
    "tril",
    "triu",
    "diagonal",
    "diag",
    "nonzero",
    "sort",
    "argsort",
    "zeros_like",
    "ones_like",
    "empty_like",
    "rand_like",
    "randn_like",
    "clone",
]
WITH_MORE = {
    "cumsum": {"dim": 0}, "cumprod": {"dim": 0}, "logsumexp": {"dim": 0}, "softmax": {"dim": 0}, "log_softmax": {"dim": 0},
    "reshape": {"shape": (4, 1)}, "unsqueeze": {"dim": 0}, "transpose": {"dim0": 0, "dim1": 1}, "permute": {"dims": (1, 0)},
    "tile": {"dims": (2,)}, "flip": {"dims": (0,)}, "narrow": {"dim": 0, "start": 0, "length": 1}, "topk": {"k": 1},
    "clamp": {"min": 0}, "pow": {"exponent": 2}, "full_like": {"fill_value": 1}, "broadcast_to": {"size": (2, 2, 2)},
} | {name: {"other": A} for name in (
    ["add", "sub", "mul", "div", "maximum", "minimum", "atan2", "eq", "ne", "lt", "le", "gt", "ge", "allclose", "isclose", "equal", "matmul", "logical_and", "logical_or", "fmod", "remainder"]
)}  # fmt: skip


@pytest.mark.parametrize("name", [*ALONE, *WITH_MORE])
def test_inputs_go_by_pytorchs_names_too(name):
    function, options = getattr(ad, name), WITH_MORE.get(name, {})
    x = ad.tensor([[0.5, 2.0], [0.25, 1.0]])
    options = {k: x + 1 if v is A else v for k, v in options.items()}
    by_place = [options.pop("other")] if "other" in options else []
    ad.manual_seed(0)
    expected = function(x, *by_place, **options)
    ad.manual_seed(0)
    by_name = {"other": by_place[0]} if by_place else {}
    got = function(input=x, **by_name, **options)
    if name != "empty_like":
        assert str(got) == str(expected)
    if by_name:
        assert str(function(x, **by_name, **options)) == str(expected)


def test_an_input_given_twice_is_an_error():
    with pytest.raises(TypeError, match="'input' is the input number 1, and 1 precede it"):
        ad.exp(ad.zeros(2), input=ad.zeros(2))


CONVENTIONS = [
    (lambda x: x.relu(), 0.0, 0), (lambda x: x.abs(), 0.0, 0), (lambda x: x.sqrt(), 0.0, np.inf),
    (lambda x: ad.maximum(x, ad.tensor(1.0, dtype=ad.float64)), 1.0, 0.5), (lambda x: x.clamp(0, 1), 1.0, 1), (lambda x: x.clamp(0, 1), 0.0, 1),
    (lambda x: x**0, 0.0, 0), (lambda x: x ** ad.tensor(0.0, dtype=ad.float64), 0.0, 0), (lambda x: 0.0**x, 2.0, 0),
    (lambda x: ad.norm(x * ad.ones(2, dtype=ad.float64)), 0.0, 0), (lambda x: ad.std(x * ad.ones(2, dtype=ad.float64)), 1.0, 0),
    (lambda x: ad.atan2(x, ad.tensor(0.0, dtype=ad.float64)), 0.0, 0), (lambda x: ad.where(x > 1, x.log(), x), 0.5, 1),
]  # fmt: skip


@pytest.mark.parametrize("f, at, expected", CONVENTIONS)
def test_conventions_where_frameworks_disagree(f, at, expected):
    assert ad.grad(f)(ad.tensor(at, dtype=ad.float64)).item() == expected


def test_special_values_as_in_pytorch():
    inf, nan = math.inf, math.nan
    x = ad.tensor([inf, nan, 2.0], requires_grad=True)
    (x**0).sum().backward()
    assert x.grad.tolist() == [0, 0, 0]
    far = ad.tensor([1e8])
    for weight in (1.0, ad.tensor(1.0), ad.tensor([1.0])):
        assert ad.lerp(far, ad.ones(1), weight).item() == 1 and ad.lerp(far, ad.ones(1), weight * 0) == far
    assert ad.lerp(ad.ones(2), ad.zeros(2), ad.tensor([0.25, 0.75])).tolist() == [0.75, 0.25]
    assert ad.tensor([0.0, 1.0]).var(correction=2) == inf and ad.tensor([1.0]).var().isnan()
    assert ad.std_mean(ad.tensor([0.0, 1.0]), correction=2)[0] == inf
    assert ad.sign(ad.tensor([nan, -inf, 0.0, 3.0])).tolist() == [0, -1, 0, 1]


def test_ties_share_the_gradient():
    assert ad.grad(ad.amax)(ad.tensor([1.0, 3, 3])).tolist() == [0, 0.5, 0.5]
    assert ad.grad(lambda x: x.max(0).values)(ad.tensor([1.0, 3, 3])).tolist() == [0, 1, 0]
    assert ad.grad(ad.median)(ad.tensor([1.0, 3, 2, 2])).tolist() == [0, 0, 0.5, 0.5]
    assert ad.grad(ad.median)(ad.tensor([[np.nan, 1], [np.nan, 2]])).tolist() == [[0.5, 0], [0.5, 0]]
    assert ad.grad(lambda x: x.median(0).values)(ad.tensor([1.0, 3, 2, 2])).tolist() == [0, 0, 1, 0]


def test_what_nobody_outside_can_see_has_no_graph():
    x, w = leaf(3), ad.tensor([1.0, 2.0, 3.0], dtype=ad.float64)
    f = lambda x: (x * x * w).sum()
    plain = x.detach()
    for found in (
        *ad.value_and_grad(f)(plain),
        *ad.jvp(f, [plain], [plain]),
        ad.hessian(f)(plain),
        ad.jacobian(f)(plain),
    ):
        assert not found.requires_grad
    for found in (*ad.value_and_grad(f)(x), *ad.jvp(f, [x], [plain]), ad.hessian(lambda x: f(x * x))(x)):
        assert found.requires_grad
    f = lambda x: (x.softmax(0) * x).sum()  # a tangent through the vjp of the vjp
    assert not ad.jvp(f, [plain], [plain])[1].requires_grad


# ---- declarations that are wrong -----------------------------------------------------------------------------

DECLARATIONS = [
    (lambda: elementwise("w", lambda x: x**2, lambda z: 2 * z), r"w: a rule reads 'z', and it may read g, x, y, x_shape: .* the inputs x$"),
    (lambda: elementwise("w", lambda x, *, n: x * n, lambda m: m), r"reads 'm', and it may read g, x, y, x_shape, n:"),
    (lambda: elementwise("w", lambda a, b: a * b, lambda b: b), r"w: the function takes 2 inputs, and there is a rule for 1: .*None where"),
    (lambda: elementwise("w", np.multiply, lambda b: b), "takes 2 inputs, and there is a rule for 1"),
    (lambda: elementwise("w", lambda x: x * 2, 2, 3), "takes 1 input, and there is a rule for 2"),
    (lambda: elementwise("w", lambda x: x * 2, 2, 3, inputs="x"), "w: 2 rules for 1 input"),
    (lambda: general("w", lambda x: x, lambda g: g, lambda g: g), "w: 2 rules for 1 input"),
    (lambda: general("w", lambda a, b: a, lambda g: g), r"takes 2 inputs, and the declaration names 1: .*\"a b\"$"),
    (lambda: multilinear("w", lambda a, b: a * b, lambda g, b: g * b, lambda g, c: g * c), "a rule reads 'c'"),
]  # fmt: skip


@pytest.mark.parametrize("declare, phrase", DECLARATIONS)
def test_a_wrong_declaration_is_an_error_that_says_what_is_meant(declare, phrase):
    with pytest.raises(TypeError, match=phrase):
        declare()
    assert "w" not in table


def test_four_inputs_need_no_names():
    f = elementwise(
        "of_four", lambda a, b, c, d: a * b + c * d, lambda b: b, lambda a: a, lambda d: d, lambda c: c
    )
    try:
        gradients = ad.grad(f, argnums=(0, 1, 2, 3))(1.0, 2.0, 3.0, 4.0)
        assert [g.item() for g in gradients] == [2, 1, 4, 3]
    finally:
        del table["of_four"]
