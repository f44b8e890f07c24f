"""The base of all schedules, and how a rate is kept in an optimiser's groups."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from autodiff import Tensor

from ..optimizer import Optimizer


class LRScheduler:
    """The base of all schedules. A subclass defines `get_lr`, the rates for `last_epoch`, which it
    may work out from those in force (`group["lr"]`) and the first ones (`base_lrs`); and, if the rates
    can be told from the epoch alone, `_get_closed_form_lr`, which serves where an epoch is jumped to.

    `last_epoch` is -1 for a new start, else the epoch after which training goes on, with the rates
    that the optimiser's own state brought along.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1):
        check_optimizer(optimizer)
        for k, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{k}] when resuming an "
                    "optimizer: load its state_dict first"
                )
        self.optimizer, self.last_epoch = optimizer, last_epoch
        self.base_lrs = [copied(group["initial_lr"]) for group in optimizer.param_groups]
        self._begin()

    def _begin(self) -> None:
        """The first step, at which rates that are there already stay."""
        self._step_count, self._is_initial = 0, True
        self.step()
        self._is_initial = False

    def get_lr(self) -> list[Any]:
        """The rate of each group."""
        raise NotImplementedError(f"{type(self).__name__} needs a method get_lr()")

    def get_last_lr(self) -> list[Any]:
        """The rates that the last step set."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """On to the next epoch, or to the given one. (That is deprecated in PyTorch.)"""
        self._step_count += 1
        self._go_to(epoch)

    def _go_to(self, epoch: int | None) -> None:
        """Set the rates of the next epoch, or of this one."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        jump = epoch is not None and hasattr(self, "_get_closed_form_lr")
        self._set(self._get_closed_form_lr() if jump else self.get_lr())  # pyright: ignore[reportAttributeAccessIssue]

    def _set(self, lrs: list[Any]) -> None:
        """Set these rates."""
        for group, lr in zip(self.optimizer.param_groups, lrs, strict=True):
            set_rate(group, lr)
        self._last_lr = self.current_lrs()

    def current_lrs(self) -> list[Any]:
        """The rates in force."""
        return [copied(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """All it knows, without the optimiser."""
        return {name: value for name, value in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from where `state_dict()` was called; the optimiser's own state has the rates."""
        vars(self).update(state_dict)


def check_optimizer(optimizer: Any) -> None:
    """PyTorch's error for what is no optimiser."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def copied(rate: Any) -> Any:
    """A rate that is a Tensor changes in place: a copy of it stays."""
    return rate.clone() if isinstance(rate, Tensor) else rate


def set_rate(group: dict[str, Any], lr: Any) -> None:
    """The group's rate; one that is a Tensor stays that Tensor."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(lr)
    else:
        group["lr"] = lr


def for_each_group(name: str, optimizer: Optimizer, given: Any) -> list[Any]:
    """A list with something for each group, or the one thing for all of them."""
    groups = len(optimizer.param_groups)
    if not isinstance(given, (list, tuple)):
        return [copied(given) for _ in range(groups)]
    if len(given) != groups:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(given)} "
            f"values, param_groups has {groups}."
        )
    return [copied(each) for each in given]


def state_of(function: Any) -> dict[str, Any] | None:
    """What a callable object of the user's knows; None for a function, which is given anew."""
    return None if function is None or isinstance(function, FunctionType) else dict(vars(function))


def restore(function: Any, state: dict[str, Any] | None) -> None:
    if state is not None:
        vars(function).update(state)
