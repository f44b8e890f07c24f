"""What real functions do beside computing: they share memory, write, count, seed, return. A compiled function gives
and leaves behind what the function itself does, or runs as that."""

from __future__ import annotations

import copy
import itertools
import pickle
import random
import threading
from collections import OrderedDict, defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
from compiled_support import programs_of, same
from hypothesis import given
from hypothesis import strategies as st
from kernel_support import needs_numba

import autodiff as ad
import nn
import nn.functional as F

pytestmark = needs_numba


def both(make, calls):
    """A function that is made twice, once to be compiled, is called with the same: `make()` gives it and the Tensors
    that it may change, `calls` makes the arguments of each call. The compiled one."""
    found = []
    for compile in (lambda f: f, ad.compile):
        f, kept = make()
        compiled = compile(f)
        ad.manual_seed(7)
        seen = []
        for arguments in calls:
            given = arguments()
            result = compiled(*given)
            seen.append([snapshot(result), snapshot(given), snapshot(kept), ad.rand(1)])
        found.append(seen)
    for k, (mine, its) in enumerate(zip(*found, strict=True)):
        same(mine, its, f"call {k}", rtol=1e-6)
    return compiled


def snapshot(tree):
    if isinstance(tree, ad.Tensor):
        grad = tree.grad if tree.is_leaf or tree.retains_grad else None
        return [tree.detach().clone(), None if grad is None else grad.detach().clone()]
    if isinstance(tree, (list, tuple)):
        return [snapshot(each) for each in tree]
    return tree


def ones(*values):
    return lambda: tuple(ad.tensor(v) if isinstance(v, list) else ad.full((3,), float(v)) for v in values)


# ---- arguments that share memory -----------------------------------------------------------------------------------


def pair(x):
    return (x, x)


def parts(x):
    return (x[:3], x[3:])


ALIASED = {
    "nothing is written": lambda x, y: x + 10 * y,
    "gradients": lambda x, y: ad.autograd.grad((x * y * y).sum(), [x])[0] if x.requires_grad else x,
    "both are written": lambda x, y: (x.add_(1), y.mul_(2), x + y)[2],
    "one is written": lambda x, y: (x.add_(y), x * y)[1],
}


@pytest.mark.parametrize("name", ALIASED)
def test_arguments_that_share_memory(name):
    """In whatever order calls come, of Tensors that are one, that overlap, and that are apart."""
    f = ALIASED[name]
    kinds = {
        "one": lambda: pair(ad.arange(3.0)),
        "detached": lambda: (x := ad.arange(3.0), x.detach()),
        "apart": lambda: (ad.arange(3.0), ad.ones(3) * 5),
        "parts of one": lambda: parts(ad.arange(6.0)),
        "overlapping": lambda: (x := ad.arange(5.0), x)[0:0] or (x[:3], x[2:]),
    }
    for first in kinds.values():
        both(lambda: (f, []), [first, *kinds.values(), *kinds.values()])


def test_gradients_of_arguments_that_are_one():
    def f(x, y):
        (x * y * y).sum().backward()
        return x * 1

    def apart():
        return tuple(ad.full((3,), v, requires_grad=True) for v in (2.0, 3.0))

    def one():
        return pair(ad.full((3,), 2.0, requires_grad=True))

    for calls in ([apart, one, apart], [one, apart, one]):
        both(lambda: (f, []), calls)


def test_an_argument_that_is_also_captured():
    w = ad.full((3,), 2.0)
    f = ad.compile(lambda x: x * 10 + w)
    for x in (w, ad.zeros(3), w, w.detach(), ad.ones(3)):
        same(x * 10 + w, f(x))
    assert programs_of(f) and not f.eager
    g, p = ad.compile(lambda x: (w.add_(1), x + w)[1]), ad.ones(3)
    for x in (p, w, p):
        expected = (x if x is not w else w + 1) + w + 1
        same(expected, g(x))


def test_one_batch_as_data_and_target():
    ad.manual_seed(0)
    nets = [nn.Linear(3, 3) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())

    def step_of(net):
        optimizer = nn.optim.SGD(net.parameters(), lr=0.1)

        def step(x, y):
            optimizer.zero_grad()
            loss = F.mse_loss(net(x), y)
            loss.backward()
            optimizer.step()
            return loss

        return step

    eager, compiled = step_of(nets[0]), ad.compile(step_of(nets[1]))
    x = ad.arange(6.0).reshape(2, 3)
    for batch in ((x, x), (x, x * 2), (x[:1], x[1:])):
        same(eager(*batch).detach(), compiled(*batch).detach(), rtol=1e-6)
    assert not compiled.eager


# ---- writing ---------------------------------------------------------------------------------------------------------


def with_two(f):
    def make():
        a, b = ad.full((3,), 1.0), ad.full((3,), 2.0)
        return (lambda x: f(a, b, x)), [a, b]

    return make


def swapped(a, b, x):
    t = a.clone()
    a.copy_(b)
    b.copy_(t)
    return x


def turned(a, b, x):
    t = a.clone()
    a.copy_(b)
    b.copy_(x)
    x.copy_(t)
    return a + b


def saved(a, b, x):
    before = a.clone()
    a.mul_(2).add_(x)
    return before, a * 1


def filled(a, b, x):
    a[:] = x
    b[0] = a.sum()
    return a * b


def masked(a, b, x):
    a[a > 1] = 0
    a[[0, 2]] = x[0]
    b[ad.tensor([1, 1])] += 1
    return a + b


def emptied(a, b, x):
    a.zero_()
    b.fill_(3)
    return x


WRITERS = [
    swapped, turned, saved, filled, masked, emptied,
    lambda a, b, x: (a.copy_(x), x.sum())[1],
    lambda a, b, x: (a.data.copy_(x), a.data.copy_(b), a * 1)[2],
    lambda a, b, x: (b.copy_(a), a.copy_(x), b + a)[2],
    lambda a, b, x: (x.copy_(a), x.add_(1), x.sum())[2],
]  # fmt: skip


@pytest.mark.parametrize("k", range(len(WRITERS)))
def test_what_is_written(k):
    both(with_two(WRITERS[k]), [ones(5), ones(6), ones(7)])


def test_an_index_where_to_write():
    buffer = ad.zeros(4)

    def f(x, i):
        buffer[i] = x
        return x.sum()

    compiled = ad.compile(f)
    compiled(ad.ones(2), ad.tensor([0, 1]))
    compiled(ad.full((2,), 3.0), ad.tensor([2, 1]))
    same(ad.tensor([1.0, 3.0, 3.0, 0.0]), buffer)

    def g(x):
        y = x * 2
        y[ad.tensor([1, 2])] = 5.0
        return y + 1 if y.sum() > 3 else y

    same(ad.tensor([3.0, 6.0, 6.0]), ad.compile(g)(ad.ones(3)))  # which runs eagerly
    with pytest.raises(RuntimeError, match="more than one element"):
        ad.compile(lambda x: x.expand(3).__setitem__(0, 1.0))(ad.ones(1))


def test_arguments_that_are_written_where_they_do_not_lie_in_order():
    f = lambda x: (x.mul_(2), x.sum())[1]
    both(
        lambda: (f, []),
        [lambda: (ad.arange(6.0).reshape(2, 3).T,), lambda: (ad.arange(6.0).reshape(3, 2),)] * 2,
    )


def test_a_gradient_that_is_there_before_zero_grad():
    def make():
        w = nn.Parameter(ad.ones(1))
        optimizer = nn.optim.SGD([w], lr=1.0)

        def step(x, before):
            if before:
                (w * 5).sum().backward()
            return inner(x)

        def inner(x):
            loss = (w * x).sum()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        return w, step, inner

    ends = []
    for compile in (lambda f: f, ad.compile):
        w, _, inner = make()
        inner = compile(inner)
        for before in (False, False, True, False, True):
            if before:
                (w * 5).sum().backward()
            inner(ad.ones(1))
        ends.append(w.detach())
    same(*ends)


def test_what_an_argument_becomes():
    w = ad.full((3,), 2.0, requires_grad=True)
    for f in (
        lambda x: (x.mul_(w), x.sum())[1],
        lambda x: (setattr(x, "data", x * 2), x.sum())[1],
        lambda x: (x.requires_grad_(), (x * w).sum())[1],
    ):
        for _ in range(2):
            eager, compiled = ad.ones(3), ad.ones(3)
            made = ad.compile(f)
            same(f(eager).detach(), made(compiled).detach())
            same(eager.detach(), compiled.detach())
            assert eager.requires_grad == compiled.requires_grad


def test_walks_that_go_on_through_an_argument():
    def f(x):
        loss = (x * x).sum()
        loss.backward()
        return loss.detach()

    compiled = ad.compile(f)
    for inner in (False, True, False, True):
        w = ad.full((3,), 2.0, requires_grad=True)
        same(ad.tensor(48.0 if inner else 12.0), compiled(w * 2 if inner else w))
        same(ad.full((3,), 16.0 if inner else 4.0), w.grad)


# ---- programs that train ---------------------------------------------------------------------------------------------


class Relu(nn.Module):
    """Its `forward` alone mentions F and `calls`; the class and the module count its calls."""

    made = 0

    def __init__(self, counts):
        super().__init__()
        self.layer, self.counts = nn.Linear(3, 2), counts

    def forward(self, x):
        global calls
        if self.counts == "in the class":
            Relu.made += 1
        elif self.counts == "in the module":
            calls += 1
        return F.relu(self.layer(x))


calls = 0


@pytest.mark.parametrize("counts", ["", "in the class", "in the module"])
def test_what_only_forward_mentions(counts):
    global calls
    model = Relu(counts)
    optimizer = nn.optim.SGD(model.parameters(), lr=0.1)

    def step(x):
        optimizer.zero_grad()
        loss = ad.sum(model(x))
        loss.backward()
        optimizer.step()
        return loss

    compiled = ad.compile(step)
    Relu.made = calls = 0
    for k in range(1, 7):
        compiled(ad.ones(1, 3))
        assert Relu.made == k * (counts == "in the class") and calls == k * (counts == "in the module")
    assert bool(programs_of(compiled)) == (not counts)


def halved(loss, rate):
    return loss * 0.5 if rate < 0.05 else loss


RATES = {  # what a step makes of the loss, a parameter's gradient, and the learning rate
    "in the result": lambda loss, w, rate: (loss, rate()),
    "in a condition": lambda loss, w, rate: halved(loss, rate()),
    "by hand": lambda loss, w, rate: (w.data.mul_(1 - rate() * 0.5), loss)[1],
}


@pytest.mark.parametrize("name", RATES)
def test_a_learning_rate_that_is_also_read(name):
    seen = []
    for compile in (lambda f: f, ad.compile):
        w = ad.tensor([1.0, 2.0], requires_grad=True)
        optimizer = nn.optim.SGD([w], lr=0.4)

        def step(x, w=w, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (w * x).square().sum() * 0.01
            loss.backward()
            optimizer.step()
            return RATES[name](loss.detach(), w, lambda: optimizer.param_groups[0]["lr"])

        compiled, results = compile(step), []
        for _ in range(6):
            result = compiled(ad.ones(2))
            results.append((copy.deepcopy(result), w.detach().clone()))
            optimizer.param_groups[0]["lr"] *= 0.5
        seen.append(results)
    same(*seen, rtol=1e-6)


def test_a_learning_rate_that_is_the_same_object_as_another_setting():
    seen = []
    for compile in (lambda f: f, ad.compile):
        number = 0.25
        w = ad.tensor([1.0, 2.0], requires_grad=True)
        optimizer = nn.optim.SGD([w], lr=number, weight_decay=number)

        def step(w=w, optimizer=optimizer):
            optimizer.zero_grad()
            w.sum().backward()
            optimizer.step()

        compiled = compile(step)
        for number in (0.25, 0.5, 0.125):
            optimizer.param_groups[0].update(lr=number, weight_decay=number)
            compiled()
        seen.append(w.detach())
    same(*seen)


def drawn_by_python():
    return random.random() < 0.5


def drawn_by_numpy():
    return np.random.rand() < 0.5


def taken_from_an_iterator(it=itertools.cycle([True, True, False, False, False])):  # noqa: B008
    return next(it)


@pytest.mark.parametrize("choose", [drawn_by_python, drawn_by_numpy, taken_from_an_iterator])
def test_choices_are_made_at_each_call_and_once(choose):
    random.seed(3)
    np.random.seed(3)
    expected = [choose() for _ in range(10)]
    random.seed(3)
    np.random.seed(3)
    compiled = ad.compile(lambda x: x * 2 if choose() else x)
    assert [compiled(ad.ones(1)).item() == 2 for _ in range(10)] == expected


def test_conditions_between_two_updates():
    """As in the step of a GAN: probabilities are checked when one of its networks has been updated already."""

    def make():
        a, b = (ad.full((3,), 0.5, requires_grad=True) for _ in range(2))
        of_a, of_b = (nn.optim.SGD([w], lr=0.1) for w in (a, b))

        def step(x):
            of_a.zero_grad()
            F.binary_cross_entropy(a * b.detach(), x).backward()
            of_a.step()
            of_b.zero_grad()
            loss = F.binary_cross_entropy(a.detach() * b * x, x)
            loss.backward()
            of_b.step()
            return loss.detach()

        return step, [a.detach(), b.detach()]

    compiled = both(make, [ones(0.5)] * 4)
    assert len(programs_of(compiled)) == 1 and not compiled.eager
    step, kept = make()
    beyond, (other, its) = ad.compile(step), make()
    for f, x in itertools.product((step, other), (0.5, 0.75)):
        (beyond if f is step else f)(ad.full((3,), x))
    for f in (beyond, other):
        with pytest.raises(RuntimeError, match="between 0 and 1"):
            f(ad.full((3,), 9.0))
    same(its, kept, rtol=1e-6)  # as far as it came


# ---- walking back later ----------------------------------------------------------------------------------------------


def test_what_changed_before_the_walk_back_is_an_error():
    w = ad.full((3,), 2.0, requires_grad=True)
    settings = {"k": 2.0}
    f = ad.compile(lambda x: (w**2 * x * settings["k"]).sum())
    x = ad.ones(3)
    for _ in range(2):
        f(x).backward()
        same(ad.full((3,), 8.0), w.grad)
        w.grad = None
    y = f(x)
    with ad.no_grad():
        w.mul_(1)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation.*w\.mul_\(1\)"):
        y.backward()
    y = f(x)
    settings["k"] = 3.0
    with pytest.raises(RuntimeError, match="has changed since the call: settings.k"):
        y.backward()
    f(x).backward()
    same(ad.full((3,), 12.0), w.grad)


def test_a_second_walk_back_is_an_error():
    w = ad.ones(3, requires_grad=True)
    f = ad.compile(lambda x: (w * x).sin().sum())
    for _ in range(2):
        y = f(ad.ones(3))
        y.backward(retain_graph=True)
        y.backward()
        with pytest.raises(RuntimeError, match="backward through the graph a second time"):
            y.backward()
    assert programs_of(f)


def test_a_result_that_is_not_walked_back_from_keeps_its_graph():
    """As in the steps of a GAN, one of whose losses is walked back from outside."""
    ad.manual_seed(0)
    judge, maker = nn.Linear(2, 1), nn.Linear(2, 2)

    def step(x):
        made = maker(x)
        judge(made.detach()).pow(2).sum().backward()
        return judge(made).pow(2).sum()

    seen = []
    for f in (step, ad.compile(step)):
        for p in (*judge.parameters(), *maker.parameters()):
            p.grad = None
        for _ in range(2):
            f(ad.ones(1, 2)).backward()
        seen.append([p.grad for p in (*judge.parameters(), *maker.parameters())])
    same(*seen, rtol=1e-6)


# ---- results -----------------------------------------------------------------------------------------------------------


def generated(x):
    yield x * 2


def appended(x):
    found = defaultdict(list)
    found["a"].append(x * 2)
    return found


RESULTS = [
    lambda x: SimpleNamespace(y=x * 2),
    lambda x: {"a": [x * 2, (x + 1, None)], "b": x.sum(), "c": 1.5},
    lambda x: OrderedDict(a=x * 2),
    lambda x: (x, x * 2, x.shape, x.dtype),
    lambda x: {float(len(x)): x + 1},
    generated,
    appended,
    lambda x: np.arange(3),
    lambda x: ({1, 2}, x * 2),
]


@pytest.mark.parametrize("k", range(len(RESULTS)))
def test_results_are_made_anew(k):
    compiled = ad.compile(RESULTS[k])
    for n in range(3):
        x = ad.full((3,), float(n))
        expected, found = RESULTS[k](x), compiled(x)
        assert type(expected) is type(found)
        if isinstance(found, SimpleNamespace):
            expected, found = vars(expected), vars(found)
        if RESULTS[k] is generated:
            expected, found = list(expected), list(found)
        if isinstance(found, np.ndarray):
            found += 1
        elif isinstance(found, dict):
            same(dict(expected), dict(found))
        elif not isinstance(found[0], set):
            same(expected, found)


def test_many_where_a_result_was_there_before():
    w = ad.arange(2.0)
    f = ad.compile(lambda x: (x, x * 2, w))
    xs = ad.arange(6.0).reshape(3, 2)
    for _ in range(2):
        a, b, c = f.many(xs)
        same([xs, xs * 2, ad.stack([w] * 3)], [a, b, c])


# ---- random numbers, containers, checks ----------------------------------------------------------------------------------


RANDOM = [
    lambda x: x + ad.randn(3, generator=ad.Generator().manual_seed(0)),
    lambda x: (ad.manual_seed(5), x + ad.rand(3))[1],
    lambda x: (s := ad.get_rng_state(), a := ad.rand(3), ad.set_rng_state(s), x + a)[3],
    lambda x: x + ad.rand(3),
]


@pytest.mark.parametrize("k", range(len(RANDOM)))
def test_random_numbers_are_the_same(k):
    both(lambda: (RANDOM[k], []), [ones(1)] * 3)


def test_containers_among_the_arguments_may_be_changed():
    def enter(d):
        d["y"] = d["x"] * 2
        return d

    for f, make in (
        (enter, lambda: {"x": ad.ones(2)}),
        (lambda found: found.pop() * 2, lambda: [ad.ones(2), ad.ones(2) * 3]),
        (lambda found: (found.append(found[0]), found[0] + 1)[1], lambda: [ad.ones(2)]),
    ):
        compiled = ad.compile(f)
        for _ in range(3):
            eager, own = make(), make()
            result = compiled(own)
            same(f(eager), result)
            same(eager, own)
            assert (result is own) == (f is enter)


CHECKED = {
    "integers by 0": (lambda x, i: x[:2].to(ad.int64) // i, [1, 2], [0, 2], RuntimeError),
    "a remainder by 0": (lambda x, i: x[:2].to(ad.int64) % i, [1, 2], [0, 2], RuntimeError),
    "index_select": (lambda x, i: x.index_select(0, i) * 1, [1, 2], [-1, 0], IndexError),
    "index_add": (lambda x, i: x.index_add(0, i, ad.ones(2)), [1, 2], [-1, 0], IndexError),
    "normal": (lambda x, i: ad.normal(0.0, i.to(ad.float32)), [1, 2], [-1, 0], RuntimeError),
    "take": (lambda x, i: x[i] * 1, [1, -1], [0, 3], IndexError),
}


@pytest.mark.parametrize("name", CHECKED)
def test_values_that_are_an_error(name):
    f, right, wrong, error = CHECKED[name]
    compiled = ad.compile(f)
    for _ in range(2):
        ad.manual_seed(0)
        expected = f(ad.arange(3.0), ad.tensor(right))
        ad.manual_seed(0)
        same(expected, compiled(ad.arange(3.0), ad.tensor(right)))
        for g in (f, compiled):
            with pytest.raises(error):
                g(ad.arange(3.0), ad.tensor(wrong))


@pytest.mark.parametrize("exponent", [0.5, -0.5, 2, 2.0, 1.5, -1, 0.0])
def test_powers_of_special_values(exponent):
    x = ad.tensor([-np.inf, -0.0, 4.0, np.nan, -1.0, np.inf, 0.0])
    f = lambda x: x**exponent
    eager, compiled = f(x).numpy(), ad.compile(f)(x).numpy()
    np.testing.assert_array_equal(np.signbit(eager), np.signbit(compiled))
    np.testing.assert_array_equal(eager, compiled)


class Doubling(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.scale = 2.0
        self.lock: threading.Lock | None = None

    @ad.compile
    def forward(self, x):
        return self.layer(x) * self.scale


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy])
def test_copies_of_modules_with_compiled_methods(copied):
    module, x = Doubling(), ad.ones(1, 3)
    first = module(x).detach()
    twin = copied(module)
    twin.scale = 3.0
    for _ in range(2):
        same(first * 1.5, twin(x).detach(), rtol=1e-6)
        same(first, module(x).detach())
    same(first, copy.deepcopy({"f": ad.compile(module.layer)})["f"](x).detach() * 2)


def test_methods_of_classes_and_of_instances_without_a_dict():
    class Scaled:
        __slots__ = ("k",)
        factor = 2.0

        @ad.compile
        def times(self, x):
            return x * self.k

        @classmethod
        @ad.compile
        def of_the_class(cls, x):
            return x * cls.factor

    one, other = Scaled(), Scaled()
    for one.k, other.k, Scaled.factor in ((2.0, 5.0, 3.0), (2.0, 7.0, 3.0), (4.0, 5.0, 6.0)):
        for _ in range(2):
            same(ad.full((3,), one.k), one.times(ad.ones(3)))
            same(ad.full((3,), other.k), other.times(ad.ones(3)))
            same(ad.full((3,), Scaled.factor), Scaled.of_the_class(ad.ones(3)))


def test_a_compiled_module_has_what_the_module_has():
    layer = nn.Dropout(0.5)
    module = nn.Sequential(nn.Linear(3, 2), layer)
    compiled = ad.compile(module)
    assert [*compiled.parameters()] == [
        *module.parameters()
    ] and compiled.state_dict().keys() == module.state_dict().keys()
    compiled.eval()
    assert not layer.training
    for f in (compiled, copy.copy(compiled), pickle.loads(pickle.dumps(compiled))):
        same(module(ad.ones(1, 3)).detach(), f(ad.ones(1, 3)).detach(), rtol=1e-6)
    with pytest.raises(AttributeError, match="weights"):
        compiled.weights  # noqa: B018


# ---- drawn programs ----------------------------------------------------------------------------------------------------

STEPS = {  # of two Tensors of one shape, (3, 4); what gives None writes to the first
    "sum of both": lambda x, y: x + y,
    "product": lambda x, y: x * y * 0.5,
    "the larger": ad.maximum,
    "where": lambda x, y: ad.where(x > y, x, y * 2),
    "less the mean": lambda x, y: x - y.mean(0, keepdim=True),
    "softmax": lambda x, y: x.softmax(-1) + y,
    "running sum": lambda x, y: x.cumsum(0) - y,
    "turned": lambda x, y: x.flip(0) + y.T.reshape(3, 4),
    "matmul": lambda x, y: x @ (y.T @ y) * 0.1,
    "view": lambda x, y: x.reshape(4, 3).T.reshape(3, 4),
    "detached": lambda x, y: x.detach(),
    "noise": lambda x, y: x + ad.rand(3, 4),
    "add": lambda x, y: (x.add_(y * 0.5), None)[1],
    "scale": lambda x, y: (x.mul_(0.5), None)[1],
    "copy": lambda x, y: (x.copy_(y), None)[1],
    "assign": lambda x, y: x.__setitem__(..., y * 2),
    "assign a row": lambda x, y: x.__setitem__(0, y[1]),
    "assign rows": lambda x, y: x.__setitem__(ad.tensor([0, 2]), y[:2]),
    "write a view": lambda x, y: (x[1].mul_(2), None)[1],
}


@given(
    st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 9), st.integers(0, 9)), max_size=8),
    st.lists(st.booleans(), min_size=2, max_size=2),
    st.booleans(),
)
def test_drawn_programs(program, graded, walks):
    """Of two arguments and two captured Tensors, some of which want gradients: what four calls give and leave
    behind, errors too."""

    def run(compile):
        ad.manual_seed(0)
        kept = [ad.randn(3, 4).requires_grad_(wanted) for wanted in graded]

        def f(a, b):
            values = [a, b, *kept]
            for name, i, j in program:
                made = STEPS[name](values[i % len(values)], values[j % len(values)])
                values += [] if made is None else [made]
            result = values[-1] * 1
            if walks and result.requires_grad:
                (result * result).sum().backward()
                return result.detach()
            return result

        compiled, seen = compile(f), []
        for _ in range(4):
            a, b = ad.randn(3, 4), ad.randn(3, 4)
            try:
                seen.append(snapshot(compiled(a, b)))
            except RuntimeError as error:
                seen.append(type(error).__name__)
            seen.append(snapshot([a, b, *kept]))
        return [*seen, ad.rand(1)]

    for k, (mine, its) in enumerate(zip(run(lambda f: f), run(ad.compile), strict=True)):
        same(mine, its, f"after {k} steps", rtol=1e-4, atol=1e-5)
