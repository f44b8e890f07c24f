"""Random programs of views and in-place operations, run by both libraries: every live tensor's values and
the leaves' gradients are the same. Where PyTorch refuses (it overwrites what a derivative needs, or does not
write through several views made at once), ours must either refuse too or give the true gradient.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import autodiff as ad

torch = pytest.importorskip(
    "torch", reason="compares with PyTorch, which is not installed: pip install torch"
)

# what makes a new name for memory that others look at too, and when it can be
VIEWS = {
    "[...]": (lambda t: True, lambda t: t[...]),
    "unsqueeze": (lambda t: True, lambda t: t.unsqueeze(0)),
    "detach": (lambda t: True, lambda t: t.detach()),
    "view": (lambda t: t.is_contiguous(), lambda t: t.view(-1)),
    "[1:]": (lambda t: t.ndim, lambda t: t[1:]),
    "[::2]": (lambda t: t.ndim, lambda t: t[::2]),
    "[-1]": (lambda t: t.ndim and t.shape[0], lambda t: t[-1]),
    "split": (lambda t: t.ndim and t.shape[0], lambda t: t.split(1)[0]),
    "expand": (lambda t: t.ndim and t.shape[0] == 1, lambda t: t.expand(2, *t.shape[1:])),
    "transpose": (lambda t: t.ndim > 1, lambda t: t.transpose(0, 1)),
    "diagonal": (lambda t: t.ndim > 1, lambda t: t.diagonal()),
    "[:, 0]": (lambda t: t.ndim > 1 and t.shape[1], lambda t: t[:, 0]),
    "unbind": (lambda t: t.ndim > 1 and t.shape[1], lambda t: t.unbind(1)[-1]),
}
COPIES = {
    "* 2": lambda t: t * 2,
    "turned * 2": lambda t: (t.transpose(0, -1) if t.ndim else t) * 2,  # another order in memory
    "clone": lambda t: t.clone(),
    "exp": lambda t: (t * 0.1).exp(),
    "square": lambda t: t * t * 0.1,
}


def put(index, value):
    def change(t):
        t[index] = value(t)

    return change


def multiplied(t):
    t *= 0.5


CHANGES = {
    "add_": lambda t: t.add_(1.5),
    "*=": multiplied,
    "fill_": lambda t: t.fill_(0.3),
    "zero_": lambda t: t.zero_(),
    "clamp_": lambda t: t.clamp_(-1, 1),
    "relu_": lambda t: t.relu_(),
    "exp_": lambda t: t.exp_(),
    "neg_": lambda t: t.neg_(),
    "masked_fill_": lambda t: t.masked_fill_(t < 0, -0.2),
    "[...] =": put(..., lambda t: 0.25),
    "[mask] =": lambda t: put(t > 0, lambda t: 0.1)(t),
}
OF_ROWS = {
    "[0] =": put(0, lambda t: 0.7),
    "[0] = [-1]": put(0, lambda t: t[-1] * 2),
    "[[0, -1]] =": put([0, -1], lambda t: t[[0, -1]] * 0.5),
}
BY_ANOTHER = {
    "add_": lambda t, other: t.add_(other, alpha=0.3),
    "mul_": lambda t, other: t.mul_(other),
    "copy_": lambda t, other: t.copy_(other),
    "copy_ twice": lambda t, other: t.copy_(other * 2),
    "[...] =": lambda t, other: put(..., lambda _: other)(t),
}

steps = st.lists(
    st.tuples(
        st.sampled_from(["view", "view", "view", "copy", "loss", "change", "change", "by another", "by another", "silent"]),
        st.integers(0, 9),
        st.integers(0, 99),
        st.integers(0, 9),
    ),
    min_size=2,
    max_size=9,
)  # fmt: skip


def array_of(t):
    return t.array if isinstance(t, ad.Tensor) else t.detach().numpy()


def pick(number, choices):
    return list(choices)[number % len(choices)]


class Overlap(Exception):
    """An operand that shares some of its memory with the target: PyTorch does not say what comes out."""


def run(m, program, seed, moved=None):
    """(the leaves, every live tensor, the loss, does something go past the graph?) of a program."""
    rng = np.random.default_rng(seed)
    start = rng.standard_normal((2, 3))
    x = m.tensor(start if moved is None else start + moved, requires_grad=True)
    w = m.tensor(rng.standard_normal(3), requires_grad=True)
    live = [x * 2, w * 3, m.tensor(rng.standard_normal((2, 3)))]
    losses, hidden = [], False
    for kind, which, what, another in program:
        t, other = live[which % len(live)], live[another % len(live)]
        if kind == "view":
            name = pick(what, [name for name, (can, _) in VIEWS.items() if can(t)])
            live.append(VIEWS[name][1](t))
            hidden |= name == "detach"
        elif kind == "copy":
            live.append(pick(what, COPIES.values())(t))
        elif kind == "loss":
            losses.append((t * t).sum())
        elif kind == "by another" and fits(t, other):
            pick(what, BY_ANOTHER.values())(t, other)
        else:
            hidden |= kind == "silent"
            rows = t.ndim and t.shape[0] > 1
            change = pick(what, [*CHANGES.values(), *(OF_ROWS.values() if rows else [])])
            with m.set_grad_enabled(kind != "silent"):
                change(t)
    return (x, w), live, sum((t * (k + 1) * 0.3).sum() for k, t in enumerate(live)) + sum(losses), hidden


def fits(t, other) -> bool:
    mine, its = array_of(t), array_of(other)
    if other is not t and np.shares_memory(mine, its):
        raise Overlap
    try:
        return np.broadcast_shapes(mine.shape, its.shape) == mine.shape
    except ValueError:
        return False


def outcome(m, program, seed):
    """(at which stage it ended, the live values, the gradients)."""
    try:
        leaves, live, loss, _ = run(m, program, seed)
    except RuntimeError:
        return "forward", None, None
    values = [(array_of(t).copy(), t.requires_grad) for t in live]
    try:
        loss.backward()
    except RuntimeError:
        return "backward", values, None
    return (
        "done",
        values,
        [np.zeros(leaf.shape) if leaf.grad is None else array_of(leaf.grad) for leaf in leaves],
    )


@settings(max_examples=settings.default.max_examples * 5)
@given(program=steps, seed=st.integers(0, 99))
def test_random_programs(program, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            their_stage, their_values, their_gradients = outcome(torch, program, seed)
            our_stage, our_values, our_gradients = outcome(ad, program, seed)
        except Overlap:
            assume(False)
    if their_values is not None and our_values is not None:
        for (ours, tracked), (theirs, expected) in zip(our_values, their_values, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9)
            assert tracked == expected
    if their_stage == "done":
        assert our_stage == "done"
        for ours, theirs in zip(our_gradients, their_gradients, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9)
    elif our_stage == "done":
        check_true_gradient(program, seed, our_gradients[0])


def check_true_gradient(program, seed, gradient):
    """The gradient by x against a difference, where nothing hides from it what the derivative does not see."""
    step = 1e-5 * np.random.default_rng(seed + 1).standard_normal((2, 3))
    (*_, ahead, hidden), (*_, behind, _) = (run(ad, program, seed, moved) for moved in (step, -step))
    ahead, behind = ahead.item(), behind.item()
    if not hidden and abs(ahead) < 1e5:  # else the difference has no digits left
        np.testing.assert_allclose(
            (ahead - behind) / 2, (gradient * step).sum(), rtol=1e-3, atol=1e-9 * max(1, abs(ahead))
        )
