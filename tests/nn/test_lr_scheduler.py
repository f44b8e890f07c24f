"""Schedules: closed formulas, PyTorch beside them, resuming."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from beside_torch import same
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
import nn
from nn import optim
from nn.optim.lr_scheduler import (
    ChainedScheduler,
    CosineAnnealingLR,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)


def optimizer(*lrs):
    return optim.SGD([{"params": [nn.Parameter(ad.ones(1))], "lr": lr} for lr in lrs])


def rates(scheduler, n):
    found = []
    for _ in range(n):
        found.append(scheduler.get_last_lr())
        scheduler.optimizer.step()
        scheduler.step()
    return np.array(found)


@given(st.integers(1, 5), st.floats(0.1, 1))
def test_step(size, gamma):
    found = rates(StepLR(optimizer(1.0, 0.5), size, gamma), 12)
    expected = gamma ** (np.arange(12) // size)
    np.testing.assert_allclose(found, np.outer(expected, [1.0, 0.5]), rtol=1e-9)


@given(st.integers(1, 7), st.floats(0, 0.4))
def test_cosine(n, low):
    found = rates(CosineAnnealingLR(optimizer(1.0, 0.5), n, low), 3 * n)
    wave = (1 + np.cos(np.pi * np.arange(3 * n) / n)) / 2
    np.testing.assert_allclose(found, low + np.outer(wave, [1 - low, 0.5 - low]), atol=1e-9)


@pytest.mark.parametrize(
    "name, options",
    [("StepLR", {"step_size": 3, "gamma": 0.5}), ("CosineAnnealingLR", {"T_max": 4, "eta_min": 0.01})],
)
def test_beside_pytorch(name, options):
    torch = pytest.importorskip("torch")
    ours = getattr(optim.lr_scheduler, name)(optimizer(0.1), **options)
    theirs = getattr(torch.optim.lr_scheduler, name)(torch.optim.SGD([torch.ones(1)], lr=0.1), **options)
    for epoch in range(12):
        assert ours.get_last_lr() == pytest.approx(theirs.get_last_lr(), rel=1e-14, abs=1e-17)
        if epoch == 5:  # a rate changed from outside stays changed
            ours.optimizer.param_groups[0]["lr"] = theirs.optimizer.param_groups[0]["lr"] = 0.05
        theirs.optimizer.step()
        ours.step()
        theirs.step()
    state = ours.state_dict()
    assert "optimizer" not in state and set(state) <= set(theirs.state_dict())
    assert all(theirs.state_dict()[key] == pytest.approx(value) for key, value in state.items())


def some(**choices):
    return st.fixed_dictionaries({name: st.sampled_from(values) for name, values in choices.items()})


# Each kind's arguments; functions of the epoch by name.
CHOICES = {
    "StepLR": some(step_size=[1, 3, 30], gamma=[0.1, 0.5, 1.0]),
    "MultiStepLR": some(milestones=[[], [3], [2, 2, 5], [9, 1]], gamma=[0.1, 0.5]),
    "ExponentialLR": some(gamma=[0.9, 0.1, 1.5]),
    "ConstantLR": some(factor=[1 / 3, 1.0, 0.25], total_iters=[0, 1, 5]),
    "LinearLR": some(start_factor=[1 / 3, 1.0], end_factor=[1.0, 0.0, 0.4], total_iters=[1, 5, 40]),
    "PolynomialLR": some(total_iters=[1, 5, 40], power=[1.0, 2.0, 0.5]),
    "CosineAnnealingLR": some(T_max=[1, 4, 7, 30], eta_min=[0, 0.01, 0.2]),
    "CosineAnnealingWarmRestarts": some(T_0=[1, 4, 30], T_mult=[1, 2, 3], eta_min=[0, 0.01]),
    "LambdaLR": some(lr_lambda=["half", "wave"]),
    "MultiplicativeLR": some(lr_lambda=["half", "wave"]),
    "CyclicLR": some(
        base_lr=[0.01, 0.1], max_lr=[0.3, 1], step_size_up=[1, 4, 7], step_size_down=[None, 3], gamma=[0.9],
        mode=["triangular", "triangular2", "exp_range"], scale_fn=[None, None, "half"],
        scale_mode=["cycle", "iterations"], cycle_momentum=[True, False], base_momentum=[0.8, 0.1],
    ),
    "OneCycleLR": some(
        max_lr=[0.3, 1], total_steps=[60, 51], pct_start=[0.3, 0.51], anneal_strategy=["cos", "linear"],
        cycle_momentum=[True, False], three_phase=[True, False], final_div_factor=[1e4, 10.0],
    ),
}  # fmt: skip
FUNCTIONS = {"half": lambda k: 0.5 ** (k / 3), "wave": lambda k: 1 + math.sin(k)}
drawn = st.sampled_from(sorted(CHOICES)).flatmap(lambda kind: st.tuples(st.just(kind), CHOICES[kind]))
some_lrs = st.lists(st.sampled_from([0.1, 1.0, 0.03]), min_size=1, max_size=3)


def groups(lib, lrs, kind="SGD", tensors=False):
    rate = (lambda lr: lib.torch.tensor(lr, dtype=lib.torch.float64)) if tensors else float
    params = [{"params": [lib.nn.Parameter(lib.torch.ones(1))], "lr": rate(lr)} for lr in lrs]
    options = {"foreach": False} if tensors else {"momentum": 0.9} if kind == "SGD" else {}
    return getattr(lib.optim, kind)(params, **options)


def made(lib, optimizer, kind, options, **more):
    named = {k: FUNCTIONS.get(v, v) if isinstance(v, str) else v for k, v in options.items()}
    return getattr(lib.optim.lr_scheduler, kind)(optimizer, **named, **more)


@given(
    case=drawn, lrs=some_lrs, stop=st.integers(0, 45), changed=st.integers(0, 49),
    how=st.sampled_from(["state_dict", "last_epoch", "no stop"]), optimizer=st.sampled_from(["SGD", "Adam"]),
    tensors=st.booleans(),
)  # fmt: skip
def test_fifty_epochs_and_a_stop_are_pytorchs(case, lrs, stop, how, changed, optimizer, tensors):
    kind, options = case
    tensors = tensors and kind not in ("CyclicLR", "OneCycleLR")  # PyTorch keeps views of their ends

    def program(lib):
        first = groups(lib, lrs, optimizer, tensors)
        scheduler, found = made(lib, first, kind, options), []
        for epoch in range(50):
            found.append([float(lr) for lr in scheduler.get_last_lr()])
            found.append([group.get("momentum", group.get("betas")) for group in first.param_groups])
            if epoch == changed and not tensors:
                first.param_groups[0]["lr"] = 0.07
            first.step()
            scheduler.step()
            if epoch == stop and how != "no stop":
                again = groups(lib, lrs, optimizer, tensors)
                if how == "state_dict":
                    second = made(lib, again, kind, options)
                    second.load_state_dict(dict(scheduler.state_dict()))
                    again.load_state_dict(first.state_dict())
                else:
                    again.load_state_dict(first.state_dict())
                    # Some are named the epoch of the rate that is there, others the one before.
                    last = scheduler.last_epoch - (kind not in ("StepLR", "MultiStepLR", "ConstantLR"))
                    second = made(lib, again, kind, options, last_epoch=last)
                first, scheduler = again, second
        return found

    same(program, 1e-13, 1e-17)


@given(case=drawn, lrs=some_lrs, epochs=st.lists(st.integers(0, 40), min_size=1, max_size=5))
def test_a_jump_to_an_epoch_is_pytorchs(case, lrs, epochs):
    def program(lib):
        optimizer = groups(lib, lrs)
        scheduler, found = made(lib, optimizer, *case), []
        optimizer.step()
        for epoch in epochs:
            scheduler.step(epoch)
            found.append(scheduler.get_last_lr())
            scheduler.step()
            found.append(scheduler.get_last_lr())
        return found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(program, 1e-13, 1e-17)


@given(t_0=st.integers(1, 5), t_mult=st.integers(1, 3), at=st.lists(st.floats(0, 30), min_size=1, max_size=6))
def test_warm_restarts_between_epochs_are_pytorchs(t_0, t_mult, at):
    def program(lib):
        scheduler = lib.optim.lr_scheduler.CosineAnnealingWarmRestarts(groups(lib, [1.0]), t_0, t_mult)
        found = []
        for epoch in at:
            scheduler.step(epoch)
            found.append([scheduler.get_last_lr(), scheduler.last_epoch, scheduler.T_i])
        return found

    same(program, 1e-9, 1e-12)


@given(
    parts=st.lists(drawn.filter(lambda case: case[0] not in ("CyclicLR", "OneCycleLR")), min_size=1, max_size=3),
    lrs=some_lrs, chained=st.booleans(), milestones=st.lists(st.integers(0, 12), min_size=2, max_size=2).map(sorted),
    stop=st.integers(0, 25), nested=st.booleans(),
)  # fmt: skip
def test_schedules_of_schedules_are_pytorchs(parts, lrs, chained, milestones, stop, nested):
    def program(lib):
        def build(optimizer):
            held = [made(lib, optimizer, *part) for part in parts]
            if nested:
                held[0] = lib.optim.lr_scheduler.ChainedScheduler([held[0]])
            if chained:
                return lib.optim.lr_scheduler.ChainedScheduler(held)
            return lib.optim.lr_scheduler.SequentialLR(optimizer, held, milestones[: len(held) - 1])

        optimizer = groups(lib, lrs)
        scheduler, found = build(optimizer), []
        for epoch in range(25):
            found += [scheduler.get_last_lr(), [group["lr"] for group in optimizer.param_groups]]
            optimizer.step()
            scheduler.step()
            if epoch == stop:
                again = groups(lib, lrs)
                second = build(again)
                second.load_state_dict(scheduler.state_dict())
                again.load_state_dict(optimizer.state_dict())
                optimizer, scheduler = again, second
        return found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(program, 1e-13, 1e-17)


@given(
    options=some(
        mode=["min", "max"], factor=[0.1, 0.5], patience=[0, 1, 3], threshold=[1e-4, 0.3],
        threshold_mode=["rel", "abs"], cooldown=[0, 2], min_lr=[0, 0.01, [0.02, 0.001]], eps=[1e-8, 0.02],
    ),
    metrics=st.lists(st.sampled_from([1.0, 0.5, 0.45, 0.1, -1.0, 2.0, math.nan, math.inf]), max_size=25),
    stop=st.integers(0, 25),
)  # fmt: skip
def test_reduction_on_a_plateau_is_pytorchs(options, metrics, stop):
    def program(lib):
        optimizer = groups(lib, [0.1, 1.0])
        scheduler, found = lib.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options), []
        for epoch, metric in enumerate(metrics):
            scheduler.step(lib.torch.tensor(metric))
            found.append([scheduler.get_last_lr(), scheduler.num_bad_epochs, scheduler.in_cooldown])
            if epoch == stop:
                again = groups(lib, [0.1, 1.0])
                again.load_state_dict(optimizer.state_dict())
                second = lib.optim.lr_scheduler.ReduceLROnPlateau(again)
                second.load_state_dict(scheduler.state_dict())
                optimizer, scheduler = again, second
        return [*found, sorted(scheduler.state_dict())]

    same(program, 1e-13, 1e-17)


def test_a_group_that_comes_later_gets_a_least_rate():
    for least, fits in ((0.04, True), ([0.04], False)):
        o = optimizer(1.0)
        scheduler = ReduceLROnPlateau(o, patience=0, min_lr=least)
        o.add_param_group({"params": [nn.Parameter(ad.ones(1))], "lr": 0.1})
        scheduler.step(1.0)
        if fits:
            scheduler.step(1.0)
            assert [group["lr"] for group in o.param_groups] == [0.1, 0.04]
        else:
            with pytest.raises(
                RuntimeError, match="The number of param groups in the `optimizer` \\(2\\) differs"
            ):
                scheduler.step(1.0)


# ---- by their formulas, without PyTorch --------------------------------------------------------------


EPOCHS = np.arange(30)
CLOSED = {
    "MultiStepLR": ({"milestones": [4, 4, 9], "gamma": 0.5}, 0.5 ** (2.0 * (EPOCHS >= 4) + (EPOCHS >= 9))),
    "ExponentialLR": ({"gamma": 0.8}, 0.8**EPOCHS),
    "ConstantLR": ({"factor": 0.25, "total_iters": 6}, np.where(EPOCHS < 6, 0.25, 1)),
    "LinearLR": ({"start_factor": 0.5, "end_factor": 0.1, "total_iters": 8}, 0.5 - 0.4 * np.minimum(EPOCHS, 8) / 8),
    "PolynomialLR": ({"total_iters": 12, "power": 2.0}, (1 - np.minimum(EPOCHS, 12) / 12) ** 2),
    "LambdaLR": ({"lr_lambda": lambda k: 1 / (1 + k)}, 1 / (1 + EPOCHS)),
    "MultiplicativeLR": ({"lr_lambda": lambda k: k / (1 + k)}, 1 / (1 + EPOCHS)),
    "CosineAnnealingWarmRestarts": ({"T_0": 10}, (1 + np.cos(np.pi * (EPOCHS % 10) / 10)) / 2),
    "CyclicLR": (
        {"base_lr": 0.0, "max_lr": 0.5, "step_size_up": 5, "cycle_momentum": False},
        0.5 - 0.1 * np.abs(EPOCHS % 10 - 5),
    ),
    "OneCycleLR": (
        {"max_lr": 1.0, "total_steps": 30, "anneal_strategy": "linear", "cycle_momentum": False},
        np.interp(EPOCHS, [0, 8, 29], [0.04, 1, 4e-6]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CLOSED)
def test_closed_formulas(name):
    options, expected = CLOSED[name]
    found = rates(getattr(optim.lr_scheduler, name)(optimizer(1.0), **options), 30)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-9, atol=1e-12)


def test_warm_up_and_then_down():
    o = optimizer(1.0)
    up, down = LinearLR(o, 0.25, total_iters=3), ExponentialLR(o, 0.5)
    found = rates(SequentialLR(o, [up, down], [4]), 8)
    np.testing.assert_allclose(found[:, 0], [0.25, 0.5, 0.75, 1, 1, 0.5, 0.25, 0.125])
    o = optimizer(1.0)
    found = rates(ChainedScheduler([StepLR(o, 2, 0.5), ExponentialLR(o, 0.9)]), 4)
    np.testing.assert_allclose(found[:, 0], [1, 0.9, 0.405, 0.3645])


def test_a_plateau():
    o = optimizer(1.0)
    scheduler, found = ReduceLROnPlateau(o, patience=1, factor=0.5, cooldown=1), []
    for loss in (3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0):
        scheduler.step(loss)
        found += scheduler.get_last_lr()
    assert found == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_the_state_of_an_object_that_is_called_is_saved_and_a_functions_not():
    class Slower:
        def __init__(self, by):
            self.by = by

        def __call__(self, k):
            return self.by**k

    for make in (
        lambda by: LambdaLR(optimizer(1.0, 1.0), [Slower(by), math.cos]),
        lambda by: LambdaLR(optimizer(1.0, 1.0), [Slower(by), lambda k: 1.0]),
        lambda by: CyclicLR(optimizer(1.0), 0.1, 1.0, 2, scale_fn=Slower(by), cycle_momentum=False),
    )[1:]:
        first, second = make(0.5), make(0.9)
        rates(first, 5)
        state = first.state_dict()
        second.load_state_dict(state)
        assert second.last_epoch == 5 and first.state_dict() == state
        np.testing.assert_allclose(rates(first, 4)[1:], rates(second, 4)[1:])


def test_a_checkpoint_holds_every_schedules_state(tmp_path):
    pytest.importorskip("safetensors")
    every = {**{name: options for name, (options, _) in CLOSED.items()}, "ReduceLROnPlateau": {}}
    for name, options in every.items():
        first, second = (getattr(optim.lr_scheduler, name)(optimizer(1.0), **options) for _ in range(2))
        for _ in range(3):
            first.step(*[1.0] * (name == "ReduceLROnPlateau"))
        nn.checkpoint.save(tmp_path / "state", schedule=first)
        nn.checkpoint.load(tmp_path / "state", schedule=second)
        assert second.last_epoch == 3 and second.get_last_lr() == first.get_last_lr()


@pytest.mark.parametrize("kind, options", [(StepLR, {"step_size": 2}), (CosineAnnealingLR, {"T_max": 5})])
@pytest.mark.parametrize("by_state", [True, False])
def test_going_on(kind, options, by_state):
    whole = rates(kind(optimizer(1.0), **options), 8)
    first = kind(optimizer(1.0), **options)
    rates(first, 3)
    again = optimizer(9.0)
    again.load_state_dict(first.optimizer.state_dict())
    if by_state:
        second = kind(again, **options)
        second.load_state_dict(first.state_dict())
        again.load_state_dict(first.optimizer.state_dict())  # making it has set the rate anew
    else:
        # The schedule by steps goes on from the rate of `last_epoch`, the other one finds the next.
        second = kind(again, **options, last_epoch=first.last_epoch - (kind is CosineAnnealingLR))
    epoch = second.last_epoch
    assert epoch == (3 if by_state or kind is CosineAnnealingLR else 4)
    np.testing.assert_allclose(rates(second, 8 - epoch), whole[epoch:], rtol=1e-12)


def test_the_first_rate_is_kept_in_the_group():
    o = optimizer(0.5)
    s = StepLR(o, 1)
    assert o.param_groups[0]["initial_lr"] == 0.5 and s.base_lrs == [0.5] and s.last_epoch == 0
    s.step()
    assert s.get_last_lr() == [o.param_groups[0]["lr"]] == [0.05]
    assert StepLR(o, 1).base_lrs == [0.5]


def test_ones_own_schedule():
    class Warmup(LRScheduler):
        def get_lr(self):
            return [base * min(1, (self.last_epoch + 1) / 4) for base in self.base_lrs]

    assert rates(Warmup(optimizer(1.0)), 5).tolist() == [[0.25], [0.5], [0.75], [1], [1]]


@pytest.mark.parametrize(
    "make, error, phrase",
    [
        (lambda o: StepLR(0.1, 3), TypeError, "float is not an Optimizer"),
        (lambda o: CyclicLR(0.1, 0.1, 1), TypeError, "float is not an Optimizer"),
        (lambda o: OneCycleLR(0.1, 0.1), TypeError, "float is not an Optimizer"),
        (lambda o: ReduceLROnPlateau(0.1), TypeError, "float is not an Optimizer"),
        (lambda o: CosineAnnealingLR(o, 3, last_epoch=4), KeyError, "param 'initial_lr' is not specified in param_groups"),
        (lambda o: LRScheduler(o), NotImplementedError, "LRScheduler needs a method get_lr"),
        (lambda o: LambdaLR(o, [abs, abs]), ValueError, "Expected 1 lr_lambdas, but got 2"),
        (lambda o: optim.lr_scheduler.MultiplicativeLR(o, 0.5), TypeError, "lr_lambda should be a function, but got float"),
        (lambda o: optim.lr_scheduler.ConstantLR(o, 1.5), ValueError, "factor expected to be between 0 and 1"),
        (lambda o: LinearLR(o, 0), ValueError, "Starting multiplicative factor expected to be greater than 0"),
        (lambda o: LinearLR(o, 1, 2), ValueError, "Ending multiplicative factor expected to be between 0 and 1"),
        (lambda o: optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 0), ValueError, "Expected positive integer T_0, but got 0"),
        (lambda o: optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 1, 0), ValueError, "Expected integer T_mult >= 1, but got 0"),
        (lambda o: optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 1, eta_min="0"), ValueError, "Expected float or int eta_min"),
        (lambda o: optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 1).step(-1), ValueError, "Expected non-negative epoch, but got -1"),
        (lambda o: CyclicLR(o, [0.1, 0.2], 1), ValueError, "base_lr must have the same length as optimizer.param_groups"),
        (lambda o: CyclicLR(o, 0.1, 1, mode="square"), ValueError, "mode is invalid and scale_fn is None"),
        (lambda o: CyclicLR(optim.Adagrad([nn.Parameter(ad.ones(1))]), 0.1, 1), ValueError, "optimizer must support momentum or beta1"),
        (lambda o: OneCycleLR(o, 1), ValueError, "You must define either total_steps OR"),
        (lambda o: OneCycleLR(o, 1, 0), ValueError, "Expected positive integer total_steps, but got 0"),
        (lambda o: OneCycleLR(o, 1, epochs=2, steps_per_epoch=1.5), ValueError, "Expected positive integer steps_per_epoch, but got 1.5"),
        (lambda o: OneCycleLR(o, 1, 9, pct_start=1), ValueError, "Expected float between 0 and 1 pct_start, but got 1"),
        (lambda o: OneCycleLR(o, 1, 9, anneal_strategy="exp"), ValueError, "anneal_strategy must be one of 'cos' or 'linear'"),
        (lambda o: rates(OneCycleLR(o, 1, 3), 5), ValueError, "Tried to step 4 times. The specified number of total steps is 3"),
        (lambda o: SequentialLR(o, [], []), ValueError, "expects at least one scheduler"),
        (lambda o: SequentialLR(o, [StepLR(o, 1)], [2]), ValueError, "number of schedulers provided to be one more"),
        (lambda o: ChainedScheduler([StepLR(o, 1), 3]), TypeError, "at index 1 should have `optimizer` as its attribute"),
        (lambda o: ChainedScheduler([ReduceLROnPlateau(o)]), ValueError, "does not support `ReduceLROnPlateau`"),
        (lambda o: ChainedScheduler([StepLR(o, 1), StepLR(optimizer(1.0), 1)]), ValueError, "expects all schedulers to belong to the same optimizer"),
        (lambda o: ReduceLROnPlateau(o, factor=1.0), ValueError, "Factor should be < 1.0"),
        (lambda o: ReduceLROnPlateau(o, "best"), ValueError, "mode best is unknown!"),
        (lambda o: ReduceLROnPlateau(o, threshold_mode="best"), ValueError, "threshold mode best is unknown!"),
        (lambda o: ReduceLROnPlateau(o, min_lr=[0, 0]), ValueError, "expected 1 min_lrs, got 2"),
    ],
)  # fmt: skip
def test_errors(make, error, phrase):
    with pytest.raises(error, match=phrase):
        make(optimizer(1.0))


def test_a_single_epoch_down():
    assert math.isclose(CosineAnnealingLR(optimizer(1.0), 1).get_last_lr()[0], 1)
