"""Schedules: closed formulas, PyTorch beside them, resuming."""

from __future__ import annotations

import math

import numpy as np
import pytest
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
        second = kind(again, **options, last_epoch=first.last_epoch)
    epoch = second.last_epoch
    assert epoch == (3 if by_state else 4)
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
