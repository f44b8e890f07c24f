"""What a test of one function cannot see: the life of a graph. Each scenario is a small program with
states and turns (walks repeated, gradients cleared, memory written, threads), and what has to come out.

A scenario takes arrays, which Hypothesis may draw and shrink, and yields what it finds wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import functional
from ..graph import no_grad
from ..tensor import Tensor
from .report import Finding, GradientError, Report

Findings = Iterator[Finding]


def leaf(x: np.ndarray) -> Tensor:
    return Tensor.wrap(np.array(x, np.float64)).requires_grad_()


def compared(scenario: str, what: str, found: Any, expected: np.ndarray, cause: str) -> Findings:
    """A Finding, if these differ by more than rounding."""
    found = np.zeros_like(expected) if found is None else np.asarray(getattr(found, "array", found))
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=1e-12, atol=1e-12):
        yield Finding(scenario, what, expected, found, cause)


def deep_graph(x: np.ndarray, steps: int) -> Findings:
    """A chain of `steps` operations, one after the other, has a gradient."""
    start = y = leaf(x)
    for _ in range(steps):
        y = y + 1
    try:
        y.backward(Tensor.wrap(np.ones_like(x)))
    except RecursionError as error:
        cause = "the graph is walked by recursion: walk it with a list of what is still to be seen"
        yield Finding("deep graph", f"{steps} operations in a row: RecursionError: {error}", cause=cause)
        return
    yield from compared(
        "deep graph", "the gradient through a long chain is wrong", start.grad, np.ones_like(x), ""
    )


def walked_twice(x: np.ndarray) -> Findings:
    """Two walks over one graph add twice the gradient to the leaves."""
    a = leaf(x)
    y = (a * a) * 3
    y.backward(Tensor.wrap(np.ones_like(x)), retain_graph=True)
    y.backward(Tensor.wrap(np.ones_like(x)), retain_graph=True)
    cause = "the first walk has left something in the graph that the second adds to"
    yield from compared("walked twice", "after two walks over one graph the gradient is not twice that of one",
                        a.grad, 12 * x, cause)  # fmt: skip


def cleared(x: np.ndarray) -> Findings:
    """After its gradient was cleared, a variable gets that of the next walk alone."""
    a = leaf(x)
    for _ in range(2):
        a.grad = None
        (a * a).backward(Tensor.wrap(np.ones_like(x)))
    cause = "what was cleared is not what the walk adds to"
    yield from compared(
        "cleared", "a gradient that was cleared comes back with the next walk", a.grad, 2 * x, cause
    )


def detached(x: np.ndarray) -> Findings:
    """What is detached is a constant."""
    a = leaf(x)
    (a * a.detach()).backward(Tensor.wrap(np.ones_like(x)))
    yield from compared("detached", "a gradient flows through detach()", a.grad, np.array(x, np.float64),
                        "what detach gives still has its origin")  # fmt: skip


def no_grad_in_another_thread(x: np.ndarray) -> Findings:
    """no_grad in one thread does not keep another from recording."""
    inside, done = threading.Event(), threading.Event()

    def evaluate():
        with no_grad():
            inside.set()
            done.wait(10)

    other = threading.Thread(target=evaluate)
    other.start()
    try:
        inside.wait(10)
        a = leaf(x)
        y = a * a
        if y.origin is None:
            yield Finding(
                "no_grad in another thread",
                "no_grad() in another thread keeps this one from recording: the result has no graph",
                cause="whether calls are recorded is said in one variable for all threads",
            )
    finally:
        done.set()
        other.join()


def written_after(x: np.ndarray) -> Findings:
    """A walk over what was written after it was saved raises, or gives the gradient of what was computed."""
    a, b = leaf(x), Tensor.wrap(np.array(x, np.float64))
    y = a * b
    with no_grad():
        b += 1
    try:
        y.backward(Tensor.wrap(np.ones_like(x)))
    except RuntimeError as error:
        if "modified by an inplace operation" in " ".join(str(error).split()):
            return
        raise
    yield from compared("written after", "an operand was changed after the call, and the gradient is that of the new "
                        "value, without a word", a.grad, np.array(x, np.float64),
                        "what a node has saved is not checked against later writes")  # fmt: skip


def nested_derivatives(x: np.ndarray) -> Findings:
    """d/dx (x · d/dy (x + y) at y = x) is 1: the derivatives keep their variables apart."""
    outer = functional.grad(lambda x: (x * functional.grad(lambda y: (x + y).sum())(x)).sum())
    cause = "the inner derivative takes the variable of the outer one for its own"
    yield from compared("nested derivatives", "a derivative inside a derivative counts the outer variable as its own",
                        outer(Tensor.wrap(np.array(x, np.float64))), np.ones_like(x), cause)  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """A scenario, and how to draw what it starts from."""

    run: Callable[..., Findings]
    inputs: Callable[[Any], Any]  # strategies ↦ a strategy of its arguments

    @property
    def name(self) -> str:
        return self.run.__name__.replace("_", " ").replace("no grad", "no_grad")

    @property
    def about(self) -> str:
        return self.run.__doc__ or ""


def an_array(draw: Any) -> Any:
    return draw.tuples(draw.arrays(draw.shapes(max_dims=1, min_side=1)))


def a_number_of_steps(draw: Any) -> Any:
    return draw.tuples(draw.arrays(()), draw.st.sampled_from([1, 10, 100, 1000, 10_000]))


SCENARIOS: dict[str, Scenario] = {
    scenario.run.__name__: scenario
    for scenario in (
        Scenario(deep_graph, a_number_of_steps),
        *(
            Scenario(run, an_array)
            for run in (
                walked_twice, cleared, detached, no_grad_in_another_thread, written_after, nested_derivatives,
            )
        ),
    )
}  # fmt: skip


def check_scenario(name: str, *arguments: Any) -> None:
    """Raise GradientError, which says what is wrong, if the engine fails in a scenario."""
    findings = list(SCENARIOS[name].run(*arguments))
    if findings:
        raise GradientError(Report(SCENARIOS[name].name, findings))
