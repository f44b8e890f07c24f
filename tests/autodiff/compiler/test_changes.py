"""What a compiled function reads may change between two calls, wherever it is kept: the next call must see it."""

from __future__ import annotations

import collections
import dataclasses
import functools
import types

import numpy as np
import pytest
from compiled_support import programs_of, same
from kernel_support import needs_numba

import autodiff as ad
import nn
import nn.functional as F

pytestmark = needs_numba

CHANGES = {}  # name ↦ a function that gives (a function to compile, what changes something that it reads)


def change(make):
    CHANGES[make.__name__] = make
    return make


# ---- settings in Python's own containers and objects ------------------------------------------------------


@change
def an_entry_deep_inside():
    settings = {"a": ({"b": [1.0, 2.0]},)}
    return lambda x: x * settings["a"][0]["b"][1], lambda: settings["a"][0]["b"].__setitem__(1, 9.0)


@change
def the_first_entry_of_a_list():
    more: list = []
    return lambda x: sum((x * k for k in more), x), lambda: more.append(3.0)


@change
def the_first_entry_of_a_dict():
    more: dict = {}
    return lambda x: x * more.get("k", 1.0), lambda: more.update(k=3.0)


@change
def a_member_of_a_set():
    members = {"a"}
    return lambda x: x * (2.0 if "b" in members else 1.0), lambda: members.add("b")


@change
def a_deque():
    queue = collections.deque([1.0, 2.0])
    return lambda x: x * queue[0], queue.rotate


@change
def a_default_dict():
    settings = collections.defaultdict(lambda: 1.0, k=2.0)
    return lambda x: x * settings["k"], settings.clear


@change
def one_and_true():
    settings = {"k": 1}
    return lambda x: x * (5.0 if settings["k"] is True else 1.0), lambda: settings.update(k=True)


@change
def the_sign_of_zero():
    settings = {"k": 0.0}
    return lambda x: 1 / (x * settings["k"]), lambda: settings.update(k=-0.0)


@change
def an_attribute():
    settings = types.SimpleNamespace(k=2.0)
    return lambda x: x * settings.k, lambda: setattr(settings, "k", 5.0)


@change
def an_attribute_that_was_not_there():
    settings = types.SimpleNamespace()
    return lambda x: x * getattr(settings, "k", 1.0), lambda: setattr(settings, "k", 5.0)


class Slotted:
    __slots__ = ("__dict__", "hidden", "k")

    def __init__(self):
        self.k = 2.0


@change
def an_attribute_in_a_slot():
    settings = Slotted()
    return lambda x: x * settings.k, lambda: setattr(settings, "k", 5.0)


class WithProperty:
    def __init__(self):
        self.inner = 2.0

    @property
    def k(self):
        return self.inner


@change
def behind_a_property():
    settings = WithProperty()
    return lambda x: x * settings.k, lambda: setattr(settings, "inner", 5.0)


@change
def under_a_name_that_is_worked_out():
    settings = types.SimpleNamespace(k0=2.0, k1=3.0)
    return lambda x: x * getattr(settings, f"k{x.ndim - 1}"), lambda: setattr(settings, "k1", 5.0)


@change
def among_all_attributes():
    settings = types.SimpleNamespace(k=2.0)
    return lambda x: sum((x * k for k in vars(settings).values()), x), lambda: setattr(settings, "k", 5.0)


@change
def of_a_member_of_a_set():
    member = Slotted()
    members = {member}
    return lambda x: x * max(each.k for each in members), lambda: setattr(member, "k", 5.0)


@change
def behind_a_proxy():
    settings = {"k": 2.0}
    proxy = types.MappingProxyType(settings)
    return lambda x: x * proxy["k"], lambda: settings.update(k=5.0)


@change
def a_bytearray():
    numbers = bytearray([2])
    return lambda x: x * numbers[0], lambda: numbers.__setitem__(0, 3)


@change
def of_the_class():
    class Settings:
        k = 2.0

    settings = Settings()
    return lambda x: x * settings.k, lambda: setattr(Settings, "k", 5.0)


@change
def of_a_class_above():
    class Settings:
        k = 2.0

    class Own(Settings):
        pass

    return lambda x: x * Own.k, lambda: setattr(Settings, "k", 5.0)


@change
def over_that_of_a_class_above():
    class Settings:
        k = 2.0

    class Own(Settings):
        pass

    return lambda x: x * Own.k, lambda: setattr(Own, "k", 5.0)


@change
def a_method():
    class Doubling:
        def of(self, x):
            return x * 2

    doubling = Doubling()
    return lambda x: doubling.of(x), lambda: setattr(Doubling, "of", lambda self, x: x * 3)


SCALE = [2.0]


@change
def a_global():
    return lambda x: x * SCALE[0], lambda: SCALE.__setitem__(0, SCALE[0] + 1)


@change
def of_a_module():
    module = types.ModuleType("settings_of_the_user")
    vars(module)["k"] = 2.0
    return lambda x: x * module.k, lambda: vars(module).update(k=5.0)


@change
def a_variable_of_the_function_around():
    k = 2.0

    def more():
        nonlocal k
        k = 5.0

    return lambda x: x * k, more


@change
def a_default():
    def f(x, k=2.0, *, shift=1.0):
        return x * k + shift

    return f, lambda: setattr(f, "__defaults__", (5.0,))


@change
def a_default_by_name():
    def f(x, *, k=2.0):
        return x * k

    return f, lambda: f.__kwdefaults__.update(k=5.0)


@change
def an_attribute_of_the_function():
    def f(x):
        return x * f.k

    f.k = 2.0
    return f, lambda: setattr(f, "k", 5.0)


@change
def in_a_partial():
    def f(x, settings):
        return x * settings["k"]

    settings = {"k": 2.0}
    return functools.partial(f, settings=settings), lambda: settings.update(k=5.0)


@change
def within_a_decorated_function():
    settings = {"k": 2.0}

    @ad.no_grad()
    def f(x):
        return x * settings["k"]

    return f, lambda: settings.update(k=5.0)


@change
def a_number_of_numpy():
    numbers = np.ones(3)
    return lambda x: x * float(numbers[1]), lambda: numbers.fill(3)


@change
def the_elements_of_a_tensor():
    weight = ad.ones(4)
    return lambda x: x * weight, lambda: weight.fill_(3)


@change
def one_tensor_more():
    weights = [ad.ones(4)]
    return lambda x: sum((x * w for w in weights), x), lambda: weights.append(ad.ones(4))


# ---- models ------------------------------------------------------------------------------------------------


def small():
    ad.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))


@change
def a_forward_hook():
    model = small()
    return lambda x: model(x), lambda: model[1].register_forward_hook(lambda module, given, y: y * 2)


@change
def a_forward_hook_taken_away():
    model = small()
    handle = model[1].register_forward_hook(lambda module, given, y: y * 2)
    return lambda x: model(x), handle.remove


@change
def one_forward_hook_for_another():
    model = small()
    handle = model.register_forward_hook(lambda module, given, y: y * 2)

    def exchange():
        handle.remove()
        model.register_forward_hook(lambda module, given, y: y * 3)

    return lambda x: model(x), exchange


@change
def a_forward_pre_hook():
    model = small()
    return lambda x: model(x), lambda: model.register_forward_pre_hook(lambda module, given: (given[0] * 2,))


@change
def the_first_layer_of_an_empty_model():
    model = nn.Sequential()
    return lambda x: model(x), lambda: model.append(nn.Tanh())


@change
def one_layer_more():
    model = small()
    return lambda x: model(x), lambda: model.append(nn.Tanh())


@change
def another_layer():
    model = small()
    return lambda x: model(x), lambda: model.__setitem__(1, nn.Sigmoid())


@change
def another_forward():
    model = small()
    return lambda x: model(x), lambda: setattr(model[1], "forward", lambda x: x * 3)


@change
def another_weight():
    model = small()
    return lambda x: model(x), lambda: setattr(model[0], "weight", nn.Parameter(ad.ones(3, 4)))


@change
def no_bias():
    model = small()
    return lambda x: model(x), lambda: setattr(model[0], "bias", None)


@change
def no_more_training():
    layer = nn.Dropout(0.5)
    return lambda x: layer(x), layer.eval


@change
def what_a_hook_of_a_parameter_reads():
    w, settings = ad.ones(4, requires_grad=True), {"k": 2.0}
    w.register_hook(lambda g: g * settings["k"])

    def gradient(x):
        w.grad = None
        (x * w).sum().backward()
        return w.grad * 1

    return gradient, lambda: settings.update(k=3.0)


@change
def a_number_that_is_called_like_a_method_elsewhere():
    class Kept:
        sum = 2.0

    kept = Kept()
    return lambda x: x * kept.sum + x.sum(), lambda: setattr(kept, "sum", 3.0)


FACTOR = 2.0


@change
def a_global_that_an_operator_of_a_class_reads():
    class Factor:
        def __mul__(self, x):
            return x * FACTOR

    factor = Factor()
    return lambda x: factor * x, lambda: globals().update(FACTOR=FACTOR + 1)


@change
def a_global_that_an_operator_of_a_metaclass_reads():
    class Kinds(type):
        def __getitem__(cls, k):
            return FACTOR

    class Kind(metaclass=Kinds):
        pass

    return lambda x: x * Kind["k"], lambda: globals().update(FACTOR=FACTOR + 1)


@change
def a_field_that_is_given_by_astuple():
    @dataclasses.dataclass
    class Settings:
        width: float = 2.0

    settings = Settings()
    return lambda x: x * dataclasses.astuple(settings)[0], lambda: setattr(settings, "width", 3.0)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen(name):
    f, make_the_change = CHANGES[name]()
    compiled = ad.compile(f)
    x = ad.linspace(0.25, 1.0, 8).reshape(2, 4)
    for _ in range(3):
        ad.manual_seed(0)
        before = compiled(x)
    make_the_change()
    ad.manual_seed(0)
    expected = f(x)
    ad.manual_seed(0)
    same(expected.detach(), compiled(x).detach(), rtol=1e-6)
    assert not np.array_equal(before.detach().numpy(), expected.detach().numpy()), "nothing has changed"
    assert programs_of(compiled) and not compiled.eager


# ---- training ----------------------------------------------------------------------------------------------


class Training:
    """Two copies of a small training step, one of them compiled, which must stay equal."""

    def __init__(self):
        self.models = [small(), small()]
        self.steps = [self.step_of(model) for model in self.models]
        self.compiled = self.steps[1] = ad.compile(self.steps[1])
        self.history: list[float] = []  # of no interest to the step

    @staticmethod
    def step_of(model):
        optimizer = nn.optim.SGD(model.parameters(), lr=0.1)

        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        return step

    def go(self, times=3):
        x, y = ad.linspace(-1, 1, 20).reshape(5, 4), ad.tensor([0, 1, 0, 1, 1])
        for _ in range(times):
            a, b = (step(x, y) for step in self.steps)
            same(a.detach(), b.detach(), rtol=1e-6)
            self.history.append(a.item())
        states = [model.state_dict() for model in self.models]
        same(*states, rtol=1e-5, atol=1e-7)


def test_hooks_of_parameters_are_seen():
    training = Training()
    training.go()
    handles = [model[0].weight.register_hook(lambda g: g * 0) for model in training.models]
    frozen = training.models[1][0].weight.detach().clone()
    training.go()
    same(frozen, training.models[1][0].weight.detach())
    for handle in handles:
        handle.remove()
    training.go()
    assert not np.array_equal(frozen.numpy(), training.models[1][0].weight.detach().numpy())
    assert not training.compiled.eager


def test_backward_hooks_of_modules_are_seen():  # which can't be compiled
    training = Training()
    training.go()
    for model in training.models:
        model[2].register_full_backward_hook(lambda module, by_inputs, by_outputs: (by_inputs[0] * 0,))
    frozen = training.models[1][0].weight.detach().clone()
    training.go()
    same(frozen, training.models[1][0].weight.detach())


def test_hooks_of_an_argument_are_seen():
    w = ad.ones(3, requires_grad=True)

    @ad.compile
    def f(x):
        w.grad = x.grad = None
        (x * w).sum().backward()
        return x.grad * 1

    hooked = ad.ones(3, requires_grad=True)
    hooked.register_hook(lambda g: g * 5)
    for _ in range(2):
        same(ad.ones(3), f(ad.ones(3, requires_grad=True)))
        same(ad.full((3,), 5.0), f(hooked))
    assert not f.eager


def test_what_a_hook_of_an_argument_reads_is_seen():
    settings = {"k": 2.0}

    @ad.compile
    def f(x):
        x.grad = None
        (x * 3).sum().backward()
        return x.grad * 1

    hooked = ad.ones(3, requires_grad=True)
    hooked.register_hook(lambda g: g * settings["k"])
    for k in (2.0, 2.0, 5.0):
        settings["k"] = k
        same(ad.full((3,), 3 * k), f(hooked))
    assert not f.eager


def test_anomaly_mode_looks_into_a_compiled_function():
    x = ad.zeros(3, requires_grad=True)

    @ad.compile
    def f(k):
        x.grad = None
        (ad.sqrt(x) * k).sum().backward()

    f(ad.zeros(3))
    f(ad.zeros(3))
    with ad.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="SqrtBackward"):
        f(ad.zeros(3))


# ---- arguments ---------------------------------------------------------------------------------------------


class Scale:
    def __init__(self, k):
        self.k = k


def test_objects_among_the_arguments_are_watched():
    f = ad.compile(lambda x, scale, scales=(): x * scale.k + sum(each.k for each in scales))
    x, scale, others = ad.ones(3), Scale(2.0), [Scale(1.0), Scale(2.0)]
    for _ in range(2):
        same(ad.full((3,), 2.0), f(x, scale))
        same(ad.full((3,), 5.0), f(x, scale, scales=others))
    scale.k, others[1].k = 5.0, 7.0
    same(ad.full((3,), 5.0), f(x, scale))
    same(ad.full((3,), 13.0), f(x, scale, scales=others))
    same(ad.full((3,), 4.0), f(x, Scale(4.0)))
    assert not f.eager


def test_models_and_optimisers_may_be_arguments():
    def step(model, optimizer, x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    compiled = ad.compile(step)
    x, y = ad.linspace(-1, 1, 20).reshape(5, 4), ad.tensor([0, 1, 0, 1, 1])
    models = [small() for _ in range(4)]
    for model in models[1::2]:  # of the same kind, and other weights
        model[0].weight.data.mul_(2)
    optimizers = [nn.optim.SGD(model.parameters(), lr=0.1) for model in models]
    for k in range(6):
        for n in range(2):
            a = step(models[n], optimizers[n], x, y)
            b = compiled(models[n + 2], optimizers[n + 2], x, y)
            same(a.detach(), b.detach(), rtol=1e-6)
        if k == 2:
            for model in models[::2]:
                model[1].register_forward_hook(lambda module, given, y: y * 2)
            optimizers[0].param_groups[0]["momentum"] = optimizers[2].param_groups[0]["momentum"] = 0.9
    assert not compiled.eager
    assert "model.0.weight" in [
        getattr(value.source, "path", "") for value in programs_of(compiled)[0].parameters
    ]


def test_a_set_among_the_arguments():
    f = ad.compile(lambda x, names: x * len(names))
    names = {"a"}
    same(ad.ones(3), f(ad.ones(3), names))
    names.add("b")
    same(ad.full((3,), 2.0), f(ad.ones(3), names))


def test_arrays_of_numpy_among_the_arguments_run_eagerly(capsys):
    f = ad.compile(lambda x, a: x * float(a[0]) + ad.tensor(a))
    for k in range(5):
        same(ad.full((3,), 2.0 * k), f(ad.ones(3), np.full(3, k, np.float32)))
        same(ad.full((3,), 2.0 * k), f(ad.ones(3), a=np.full(3, k, np.float32)))
    lines = [line for line in capsys.readouterr().err.splitlines() if "runs eagerly" in line]
    assert len(lines) == 1 and "a NumPy array is among its arguments" in lines[0] and len(f.eager) == 2


@pytest.mark.parametrize("new", [float, Scale, str], ids=lambda kind: kind.__name__)
def test_ever_new_arguments_run_eagerly(new, capsys):
    f = ad.compile(lambda x, a: x * float(getattr(a, "k", a)))
    for _ in range(2):
        for k in range(40):
            same(ad.full((3,), float(k)), f(ad.ones(3), new(float(k))))
            same(ad.full((2,), float(k)), f(ad.ones(2), new(float(k))))
    assert capsys.readouterr().err.count("ever new shapes, numbers or objects") == 1
    again = new is not Scale  # a number or a text comes again, an object that is let go of does not
    assert len(f.programs) == 16 and len(programs_of(f)) == (16 if again else 3) and not f.eager


def test_what_may_not_come_again_is_not_compiled_at_once():
    f = ad.compile(lambda x, k: x * k)
    for times, expected in ((1, 3), (2, 10), (3, 10)):
        for k in range(10):
            same(ad.full((k % 2 + 1,), float(k)), f(ad.ones(k % 2 + 1), float(k)))
        assert len(programs_of(f)) == expected, times
    assert f(ad.ones(3), 0.0).shape == (3,) and not f.eager


def test_signs_of_zero_and_nan_among_the_arguments():
    f = ad.compile(lambda x, k: x / k)
    with np.errstate(divide="ignore"):
        for _ in range(2):
            same(ad.full((3,), np.inf), f(ad.ones(3), 0.0))
            same(ad.full((3,), -np.inf), f(ad.ones(3), -0.0))
            same(ad.full((3,), np.nan), f(ad.ones(3), float("nan")))
    assert len(programs_of(f)) == 3


def test_what_could_not_be_compiled_is_tried_again_when_a_setting_changes(capsys):
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    f, x = ad.compile(lambda x: model(x)), ad.linspace(-1, 1, 8).reshape(2, 4)
    for _ in range(3):
        f(x)
    assert not programs_of(f) and capsys.readouterr().err.count("runs eagerly") == 1
    model.eval()
    for _ in range(3):
        same(model(x).detach(), f(x).detach(), rtol=1e-6)
    assert len(programs_of(f)) == 1 and not f.eager
    model.train()
    running = model[1].running_mean.clone()
    f(x)
    assert not np.array_equal(running.numpy(), model[1].running_mean.numpy())


# ---- what is not read ----------------------------------------------------------------------------------------


def test_what_the_code_does_not_mention_may_change():
    class Trainer:
        def __init__(self):
            self.scale, self.losses, self.settings, self.names = 2.0, [], {}, set()

        def step(self, x):
            return x * self.scale

    trainer = Trainer()
    compiled = ad.compile(trainer.step)
    for k in range(5):
        same(ad.full((3,), 2.0), compiled(ad.ones(3)))
        trainer.losses.append(float(k))
        trainer.settings[k] = {}
        trainer.names.add(k)
    assert len(programs_of(compiled)) == 1


@pytest.mark.parametrize("base", [object, nn.Module])
def test_what_only_other_code_mentions_may_change(base):
    """A library's code mentions `total`, `data` and `count` of its own, an optimiser has a method `step`, and a
    model one that is called as the one that counts."""
    losses, calls = [], 0

    class Trainer(base):
        def __init__(self):
            super().__init__()
            self.model = nn.Linear(3, 1)
            self.optimizer = nn.optim.SGD(self.model.parameters(), lr=0.1)
            self.step, self.total, self.count, self.data = 0, 0.0, 0, iter(range(100))

        def train(self, mode=True):
            nonlocal calls
            calls += 1
            losses.append(self.compiled(ad.full((2, 3), float(next(self.data)))).item())
            self.step, self.total, self.count = calls, sum(losses), calls

        def work(self, x):
            self.model.train()
            self.optimizer.zero_grad()
            loss = self.model(x).square().mean()
            loss.backward()
            self.optimizer.step()
            return loss

    trainer = Trainer()
    trainer.compiled = ad.compile(trainer.work)
    for _ in range(5):
        trainer.train()
    assert len(programs_of(trainer.compiled)) == 1 and not trainer.compiled.eager
    assert programs_of(trainer.compiled)[0].runs >= 3


def test_compiled_methods_do_not_disturb_each_other():
    class Both:
        k = 2.0

        @ad.compile
        def times(self, x):
            return x * self.k

        @ad.compile
        def plus(self, x):
            return x + self.k

    both = Both()
    for _ in range(3):
        same(ad.full((3,), 2.0), both.times(ad.ones(3)))
        same(ad.full((3,), 3.0), both.plus(ad.ones(3)))
    assert len(programs_of(both.times)) == len(programs_of(both.plus)) == 1


class Untouchable:
    """What somebody keeps in a module, and no code here mentions."""

    @property
    def __dict__(self):
        raise AssertionError("looked at")


def test_of_modules_and_classes_only_what_is_mentioned_is_looked_at():
    settings, others = types.ModuleType("settings_of_the_user"), types.ModuleType("others")
    vars(settings).update(k=2.0, other=Untouchable(), others=others)
    vars(others).update(other=Untouchable(), j=3.0)

    class Kept:
        other, j = Untouchable(), 4.0

    f = ad.compile(lambda x: x * settings.k + settings.others.j * Kept.j)
    same(ad.full((3,), 14.0), f(ad.ones(3)))
    vars(others).update(j=5.0)
    same(ad.full((3,), 22.0), f(ad.ones(3)))
    Kept.j = 1.0
    same(ad.full((3,), 7.0), f(ad.ones(3)))


def test_long_containers_are_data():
    table = [float(k) for k in range(5000)]

    @ad.compile
    def f(x):
        return x * table[7]

    for k in range(3):
        same(ad.full((3,), 7.0), f(ad.ones(3)))
        table.append(float(k))
    assert len(programs_of(f)) == 1


def test_a_check_puts_nothing_into_a_default_dict():
    settings = collections.defaultdict(lambda: 1.0, k=2.0)
    f = ad.compile(lambda x: x * settings["k"])
    f(ad.ones(3))
    settings.clear()
    settings["other"] = 3.0
    same(ad.ones(3), f(ad.ones(3)))
    assert list(settings) == ["other", "k"]  # by the function itself
