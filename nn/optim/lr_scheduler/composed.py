"""Schedules made of schedules."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from ..optimizer import Optimizer
from .plateau import ReduceLROnPlateau
from .scheduler import LRScheduler, set_rate


class Composed(LRScheduler):
    """The base of schedules that hold others, of one and the same optimiser."""

    _schedulers: Sequence[LRScheduler]

    def _hold(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None) -> None:
        """Keep these schedulers, which must be of one optimiser."""
        name = type(self).__name__
        if not schedulers:
            raise ValueError(f"{name} expects at least one scheduler, but got no scheduler.")
        optimizer = optimizer or schedulers[0].optimizer
        for k, each in enumerate(schedulers):
            if not hasattr(each, "optimizer"):
                raise TypeError(f"{name} at index {k} should have `optimizer` as its attribute.")
            if isinstance(each, ReduceLROnPlateau):
                raise ValueError(
                    f"{name} does not support `ReduceLROnPlateau` scheduler, whose step needs a metric, but "
                    f"got one at index {k}: step that one by itself"
                )
            if each.optimizer is not optimizer:
                raise ValueError(
                    f"{name} expects all schedulers to belong to the same optimizer, but got scheduler "
                    f"{type(each).__name__} at index {k} with another"
                )
        self.optimizer, self._schedulers = optimizer, schedulers

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "_schedulers": [each.state_dict() for each in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        schedulers = self._schedulers
        super().load_state_dict(state_dict)
        self._schedulers = schedulers
        for each, state in zip(schedulers, state_dict["_schedulers"], strict=True):
            each.load_state_dict(state)


class ChainedScheduler(Composed):
    """All of `schedulers` at every step: their factors multiply."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None):
        self._hold(schedulers, optimizer)
        self._last_lr = self.current_lrs()

    def step(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """All of them on to the next epoch."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self.current_lrs()


class SequentialLR(Composed):
    """One of `schedulers` after the other: the next one takes over, as if it were its epoch 0, at each
    epoch of `milestones`."""

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1
    ):
        self._hold(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "Sequential Schedulers expects number of schedulers provided to be one more than the number "
                f"of milestone points, but got number of schedulers {len(schedulers)} and the number of "
                f"milestones to be equal to {len(milestones)}"
            )
        self._milestones, self.last_epoch = milestones, last_epoch + 1
        for group in optimizer.param_groups:  # what each of them did when it was made is undone
            set_rate(group, group["initial_lr"])
        undo_first_step(self)
        now = schedulers[bisect_right(milestones, 0)]
        now._begin()
        self._last_lr = now.get_last_lr()

    def step(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The one whose turn it is on to its next epoch."""
        self.last_epoch += 1
        k = bisect_right(self._milestones, self.last_epoch)
        now = self._schedulers[k]
        if k > 0 and self._milestones[k - 1] == self.last_epoch:
            now._go_to(0)
        else:
            now.step()
        self._last_lr = now.get_last_lr()


def undo_first_step(scheduler: LRScheduler) -> None:
    """Let a schedule stand before its first step again."""
    if isinstance(scheduler, Composed):
        for each in scheduler._schedulers:
            undo_first_step(each)
    else:
        scheduler.last_epoch -= 1
