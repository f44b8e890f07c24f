"""L-BFGS, a quasi-Newton method, and its line search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import autodiff
from autodiff import Tensor, enable_grad, no_grad
from autodiff.errors import quietly

from .optimizer import Optimizer, check_not_negative
from .parts import number

DECREASE, CURVATURE = 1e-4, 0.9  # the constants of Wolfe's two conditions


class LBFGS(Optimizer):
    """p ← p − lr·H·g, where H is made, as if it were the inverse of the Hessian, of the last
    `history_size` changes of p and of the gradient (Liu and Nocedal 1989), repeated up to `max_iter`
    times in one step. With line_search_fn="strong_wolfe" lr is where a search for the length of each
    step begins.

    `step(closure)` needs the closure, and calls it up to `max_eval` times (5/4 of max_iter, if not
    given). It ends early where no element of the gradient exceeds `tolerance_grad`, or where neither
    p nor the loss changes by more than `tolerance_change`. There is one group of parameters.
    """

    def __init__(
        self, params, lr: float = 1, max_iter: int = 20, max_eval: int | None = None,
        tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
        line_search_fn: str | None = None,
    ):  # fmt: skip
        options = {
            "lr": lr, "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, options)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if self.param_groups:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        super().add_param_group(param_group)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        check_not_negative(group, lr="learning rate")

    @no_grad
    def step(self, closure: Callable[[], Any]) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Up to `max_iter` moves. `closure` computes the loss and the gradients; the loss of the
        first call is returned."""
        group, closure = self.param_groups[0], enable_grad(closure)
        state = self.state[group["params"][0]]  # of all parameters together, with the first
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        result = closure()
        loss, g, calls = number(result), self._gradient(), 1
        state["func_evals"] += 1
        if g.abs().max() <= group["tolerance_grad"]:
            return result
        lr, last = float(group["lr"]), group["tolerance_change"]
        for k in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            d = self._direction(state, g, group["history_size"])
            t = min(1.0, 1 / float(g.abs().sum())) * lr if state["n_iter"] == 1 else lr
            before = loss
            state.update(d=d, t=t, prev_flat_grad=g, prev_loss=before)
            slope = float(g.dot(d))
            if slope > -last:
                break
            if group["line_search_fn"] is None:
                self._move(t, d)
                used = k < group["max_iter"]  # nobody reads the last move's
                if used:
                    loss, g = number(closure()), self._gradient()
            elif group["line_search_fn"] == "strong_wolfe":
                start = Point(0.0, loss, g, slope)
                found, used = self._search(closure, start, t, d, group["max_eval"] - calls, last)
                t, loss, g = found.t, found.loss, found.gradient
                state["t"] = t
                self._move(t, d)
            else:
                raise RuntimeError("only 'strong_wolfe' is supported")
            calls += used
            state["func_evals"] += used
            if (
                calls >= group["max_eval"]
                or g.abs().max() <= group["tolerance_grad"]
                or (d * t).abs().max() <= last
                or abs(loss - before) < last
            ):
                break
        return result

    def _gradient(self) -> Tensor:
        """The gradients of all parameters in a row; zeros where there is none."""
        params = self.param_groups[0]["params"]
        parts = [autodiff.zeros_like(p) if p.grad is None else p.grad for p in params]
        return autodiff.cat([part.reshape(-1) for part in parts])

    def _move(self, t: float, d: Tensor) -> None:
        """All parameters by t·d."""
        start = 0
        for p in self.param_groups[0]["params"]:
            p.add_(t * d[start : start + p.numel()].reshape(p.shape))
            start += p.numel()

    def _direction(self, state: dict[str, Any], g: Tensor, most: int) -> Tensor:
        """−H·g, by the two loops over the remembered changes s of p and y of the gradient."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return -g
        ys, ss, ro = state["old_dirs"], state["old_stps"], state["ro"]
        y, s = g - state["prev_flat_grad"], state["d"] * state["t"]
        curvature = y.dot(s)
        if curvature > 1e-10:
            if len(ys) == most:
                for remembered in (ys, ss, ro):
                    del remembered[0]
            ys.append(y)
            ss.append(s)
            ro.append(1 / curvature)
            state["H_diag"] = curvature / y.dot(y)
        shares = state.setdefault("al", [None] * most)
        q = -g
        for k in reversed(range(len(ys))):
            shares[k] = ss[k].dot(q) * ro[k]
            q.sub_(shares[k] * ys[k])
        q.mul_(state["H_diag"])
        for k in range(len(ys)):
            q.add_((shares[k] - ys[k].dot(q) * ro[k]) * ss[k])
        return q

    def _search(self, closure, start: Point, t: float, d: Tensor, most: int, smallest: float):
        """`strong_wolfe` along d, from where the parameters are, and will be again."""
        params = self.param_groups[0]["params"]
        here = [p.detach().clone() for p in params]

        def at(t: float) -> Point:
            self._move(t, d)
            loss, g = number(closure()), self._gradient()
            for p, old in zip(params, here, strict=True):
                p.copy_(old)
            return Point(t, loss, g, float(g.dot(d)))

        return strong_wolfe(at, start, t, most, smallest / float(d.abs().max()))


class Point(NamedTuple):
    """A place on the line of a search: how far, the loss there, the gradient, and along the line."""

    t: float
    loss: float
    gradient: Tensor
    slope: float


def strong_wolfe(
    at: Callable[[float], Point], start: Point, t: float, most: int, smallest: float
) -> tuple[Point, int]:
    """A place where the loss has come down enough and its slope is flat enough (Wolfe 1969): outwards
    from t until two places have one between them, then inwards (Nocedal and Wright 2006, algorithms
    3.5 and 3.6). Returns it, or the best so far after `most` trials or between places that are
    `smallest` apart, and how often the loss was computed."""
    before, here, trials = start, at(t), 0
    while trials < most:
        if too_high(here, start) or (trials > 1 and here.loss >= before.loss):
            ends = [before, here]
            break
        if flat(here, start):
            return here, trials + 1
        if here.slope >= 0:
            ends = [before, here]
            break
        nearest, farthest = here.t + 0.01 * (here.t - before.t), 10 * here.t
        before, here = here, at(cubic_minimum(before, here, nearest, farthest))
        trials += 1
    else:
        ends = [start, here]
    low, slow = int(not ends[0].loss <= ends[1].loss), False
    while trials < most:
        (a, b), (left, right) = ends, sorted(end.t for end in ends)
        if right - left < smallest:
            break
        t = cubic_minimum(a, b, left, right)
        margin = 0.1 * (right - left)
        near = min(right - t, t - left) < margin
        if near and (slow or not left < t < right):  # the second time in a row, or at the very end
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            near = False
        slow = near
        here = at(t)
        trials += 1
        if too_high(here, start) or here.loss >= ends[low].loss:
            ends[1 - low] = here
            low = int(not ends[0].loss <= ends[1].loss)
            continue
        if flat(here, start):
            return here, trials + 1
        if here.slope * (ends[1 - low].t - ends[low].t) >= 0:
            ends[1 - low] = ends[low]
        ends[low] = here
    return ends[low], trials + 1


def too_high(here: Point, start: Point) -> bool:
    """Wolfe's first condition, the sufficient decrease, does not hold."""
    return here.loss > start.loss + DECREASE * here.t * start.slope


def flat(here: Point, start: Point) -> bool:
    """Wolfe's second condition, in its strong form, holds."""
    return abs(here.slope) <= -CURVATURE * start.slope


@quietly
def cubic_minimum(a: Point, b: Point, low: float, high: float) -> float:
    """Where the cubic polynomial through the losses and slopes at a and b has its minimum, within
    [low, high]; the middle, if it has none."""
    if a.t > b.t:
        a, b = b, a
    width = np.float64(b.t - a.t)
    bend = a.slope + b.slope - 3 * (b.loss - a.loss) / width
    square = bend**2 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    root = np.sqrt(square)
    place = b.t - width * ((b.slope + root - bend) / (b.slope - a.slope + 2 * root))
    return float(min(max(place, low), high))
