"""Recurrent networks: one step of each kind, and the walk along a sequence.

A state is a tuple: (h,), or (h, c) of an LSTM. A step gets what its input contributes to the gates,
which is computed for the whole sequence in one product, and gives the next state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from autodiff import Tensor, ops

State = tuple[Tensor, ...]


class Weights(NamedTuple):
    """The parameters of one layer in one direction, those of all gates stacked along dimension 0."""

    w_ih: Tensor  # (gates·hidden, in)
    w_hh: Tensor  # (gates·hidden, state)
    b_ih: Tensor | None = None
    b_hh: Tensor | None = None
    w_hr: Tensor | None = None  # (projection, hidden), of an LSTM that hands on less than it keeps


Step = Callable[[Tensor, State, Weights], State]


def tanh_step(x: Tensor, state: State, weights: Weights) -> State:
    """h′ = tanh(x + W·h + b) (Elman 1990)."""
    return (ops.tanh(x + ops.linear(state[0], weights.w_hh, weights.b_hh)),)


def relu_step(x: Tensor, state: State, weights: Weights) -> State:
    """h′ = max(x + W·h + b, 0)."""
    return (ops.relu(x + ops.linear(state[0], weights.w_hh, weights.b_hh)),)


def lstm_step(x: Tensor, state: State, weights: Weights) -> State:
    """c′ = f⊙c + i⊙g and h′ = o⊙tanh c′, the gates i, f, o being sigmoids, and g a tanh, of x + W·h + b
    (Hochreiter and Schmidhuber 1997; f: Gers, Schmidhuber and Cummins 2000)."""
    h, c = state
    i, f, g, o = ops.chunk(x + ops.linear(h, weights.w_hh, weights.b_hh), 4, -1)
    c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
    h = ops.sigmoid(o) * ops.tanh(c)
    return (h if weights.w_hr is None else ops.linear(h, weights.w_hr), c)


def gru_step(x: Tensor, state: State, weights: Weights) -> State:
    """h′ = (1 − z)⊙n + z⊙h, with r and z the sigmoids of x + W·h + b, and n = tanh(x + r⊙(W·h + b))
    (Cho et al. 2014; r after the product, as the libraries for GPUs have it)."""
    (h,) = state
    x_r, x_z, x_n = ops.chunk(x, 3, -1)
    h_r, h_z, h_n = ops.chunk(ops.linear(h, weights.w_hh, weights.b_hh), 3, -1)
    r, z = ops.sigmoid(x_r + h_r), ops.sigmoid(x_z + h_z)
    n = ops.tanh(x_n + r * h_n)
    return (n + z * (h - n),)


def along(
    step: Step, inputs: Sequence[Tensor], start: State, weights: Weights, backwards: bool = False
) -> tuple[list[Tensor], State]:
    """What the network shows at each moment, and the state that each sample ends with.

    `inputs` has the samples of each moment, the longest sequences first: their number may fall from
    one moment to the next, as sequences end; and `backwards`, it grows.
    """
    size = inputs[-1 if backwards else 0].shape[0] if inputs else start[0].shape[0]
    state = tuple(s[:size] for s in start)
    shown, ended = [], []
    for x in reversed(inputs) if backwards else inputs:
        n = x.shape[0]
        if n < size:
            ended.append(tuple(s[n:] for s in state))
            state = tuple(s[:n] for s in state)
        elif n > size:
            state = tuple(ops.cat([s, first[size:n]]) for s, first in zip(state, start, strict=True))
        state, size = step(x, state, weights), n
        shown.append(state[0])
    if ended:
        state = tuple(ops.cat(parts) for parts in zip(state, *reversed(ended), strict=True))
    return shown[::-1] if backwards else shown, state
