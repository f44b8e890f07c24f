"""Schedules: closed formulas, PyTorch beside them, resuming."""

from __future__ import annotations

import math

import numpy as np
import pytest
from beside_torch import same
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
import nn
from nn import optim
from nn.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, StepLR


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


@given(
    kind=st.sampled_from(["StepLR", "CosineAnnealingLR"]), size=st.integers(1, 30),
    gamma=st.sampled_from([0.1, 0.5, 1.0]), low=st.sampled_from([0, 0.01, 0.2]),
    lrs=st.lists(st.sampled_from([0.1, 1.0, 0.03]), min_size=1, max_size=3), stop=st.integers(0, 45),
    how=st.sampled_from(["state_dict", "last_epoch", "no stop"]), changed=st.integers(0, 49),
)  # fmt: skip
def test_fifty_epochs_and_a_stop_are_pytorchs(kind, size, gamma, low, lrs, stop, how, changed):
    options = {"step_size": size, "gamma": gamma} if kind == "StepLR" else {"T_max": size, "eta_min": low}

    def program(lib):
        def fresh():
            groups = [{"params": [lib.nn.Parameter(lib.torch.ones(1))], "lr": lr} for lr in lrs]
            return lib.optim.SGD(groups)

        optimizer = fresh()
        make = getattr(lib.optim.lr_scheduler, kind)
        scheduler, found = make(optimizer, **options), []
        for epoch in range(50):
            found.append(scheduler.get_last_lr())
            if epoch == changed:
                optimizer.param_groups[0]["lr"] = 0.07
            optimizer.step()
            scheduler.step()
            if epoch == stop and how != "no stop":
                again, state = fresh(), scheduler.state_dict()
                if how == "state_dict":
                    second = make(again, **options)
                    second.load_state_dict(state)
                    again.load_state_dict(optimizer.state_dict())
                else:
                    again.load_state_dict(optimizer.state_dict())
                    # The schedule by steps is named the epoch of the rate, the other the one before.
                    last = scheduler.last_epoch - (kind == "CosineAnnealingLR")
                    second = make(again, **options, last_epoch=last)
                optimizer, scheduler = again, second
        return found

    same(program, 1e-12, 1e-15)


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


def test_errors():
    with pytest.raises(TypeError, match="float is not an Optimizer"):
        StepLR(0.1, 3)
    with pytest.raises(KeyError, match="param 'initial_lr' is not specified in param_groups"):
        CosineAnnealingLR(optimizer(1.0), 3, last_epoch=4)
    with pytest.raises(NotImplementedError, match="LRScheduler needs a method get_lr"):
        LRScheduler(optimizer(1.0))
    assert math.isclose(CosineAnnealingLR(optimizer(1.0), 1).get_last_lr()[0], 1)
