"""Recurrent networks, along whole sequences, and the cells that take one step."""

from __future__ import annotations

import math
import warnings
from typing import Any

import autodiff
from autodiff import Tensor, ops
from autodiff.errors import ShapeError

from .. import functional as F
from .. import init
from ..functional.recurrent import Weights, along, gru_step, lstm_step, relu_step, tanh_step
from ..module import Module, Parameter
from ..utils.rnn import PackedSequence

# How many gates there are, and a step.
MODES = {"RNN_TANH": (1, tanh_step), "RNN_RELU": (1, relu_step), "LSTM": (4, lstm_step), "GRU": (3, gru_step)}


class RNNBase(Module):
    """What RNN, LSTM and GRU share: layers of parameters, in one direction or both, and the walk.

    A sequence is (L, N, input_size), or with `batch_first` (N, L, input_size), or (L, input_size), or packed;
    the output is the same with directions·hidden_size in the last place. States are (num_layers·directions,
    N, hidden_size), both directions of a layer next to each other. `dropout` falls between the layers.

    Parameters are `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, then those of `_l0_reverse`, of
    `_l1` …; all start out evenly spread over ±1/√hidden_size."""

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
        device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"Unrecognized RNN mode: {mode}: choose from {', '.join(MODES)}")
        self.mode, self.num_layers = mode, num_layers
        self.input_size, self.hidden_size = input_size, hidden_size
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self._check_sizes()
        self.dropout = float(dropout)
        gates = MODES[mode][0] * hidden_size
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                width = input_size if layer == 0 else self._shown() * self._directions()
                shapes = {"weight_ih": (gates, width), "weight_hh": (gates, self._shown())}
                if bias:
                    shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in shapes.items():
                    empty = autodiff.empty(*shape, dtype=dtype, device=device)
                    self.register_parameter(f"{name}_{suffix}", Parameter(empty))
        self.reset_parameters()

    def _check_sizes(self) -> None:
        """PyTorch's errors for what cannot be built."""
        for name in ("input_size", "hidden_size"):
            if not isinstance(getattr(self, name), int):
                kind = type(getattr(self, name)).__name__
                raise TypeError(f"{name} should be of type int, got: {kind}")
        for name in ("bias", "batch_first"):
            if not isinstance(getattr(self, name), bool):
                kind = type(getattr(self, name)).__name__
                raise TypeError(f"{name} should be of type bool, got: {kind}")
        for name in ("input_size", "hidden_size", "num_layers"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than zero, got {getattr(self, name)}")
        p = self.dropout
        if not isinstance(p, (int, float)) or isinstance(p, bool) or not 0 <= p <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being "
                f"zeroed, got {p!r}"
            )
        if p > 0 and self.num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={p} and num_layers=1",
                stacklevel=4,
            )
        if self.proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if self.proj_size >= self.hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if self.proj_size and self.mode != "LSTM":
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")

    def reset_parameters(self) -> None:
        """Draw new ones."""
        bound = 1 / math.sqrt(self.hidden_size)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: it is about the memory of GPUs."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        suffixes = [suffix for layer in range(self.num_layers) for suffix in self._suffixes(layer)]
        return [
            [p for name, p in self._parameters.items() if name.endswith(f"_{suffix}")] for suffix in suffixes
        ]

    def _suffixes(self, layer: int) -> list[str]:
        """What the names of a layer's parameters end with, for each direction."""
        return [f"l{layer}", f"l{layer}_reverse"][: self._directions()]

    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _shown(self) -> int:
        """The size of what a layer hands on."""
        return self.proj_size or self.hidden_size

    def _weights(self, suffix: str) -> Weights:
        """The parameters of one layer in one direction."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        return Weights(*[self._parameters.get(f"{name}_{suffix}") for name in names])

    def _state_sizes(self) -> list[int]:
        """The size of h, and of c if there is one."""
        return [self._shown(), self.hidden_size] if self.mode == "LSTM" else [self.hidden_size]

    def forward(self, input: Any, hx: Any = None) -> Any:
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        if input.ndim not in (2, 3):
            kind = type(self).__name__
            raise ValueError(f"{kind}: Expected input to be 2D or 3D, got {input.ndim}D instead")
        is_batched = input.ndim == 3
        self._check_input(input)
        x = input if is_batched else input.unsqueeze(1)
        x = ops.transpose(x, 0, 1) if is_batched and self.batch_first else x
        if x.shape[0] == 0:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        start = self._start(hx, x.shape[1], x.dtype, is_batched)
        y, state = self._walk(x, None, start)
        if not is_batched:
            return y.squeeze(1), self._given([s.squeeze(1) for s in state])
        return (ops.transpose(y, 0, 1) if self.batch_first else y), self._given(state)

    def _packed(self, sequence: PackedSequence, hx: Any) -> Any:
        """The output, packed as the input is, and the last state of each sequence."""
        data, batch_sizes, order, back = sequence
        if data.ndim != 2:
            raise RuntimeError(f"input must have 2 dimensions, got {data.ndim}")
        self._check_input(data)
        sizes = batch_sizes.tolist()
        start = self._start(hx, sizes[0], data.dtype, is_batched=True)
        start = start if order is None else [ops.index_select(s, 1, order) for s in start]
        y, state = self._walk(data, sizes, start)
        state = state if back is None else [ops.index_select(s, 1, back) for s in state]
        return PackedSequence(y, batch_sizes, order, back), self._given(state)

    def _walk(self, x: Tensor, sizes: list[int] | None, start: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Through all layers: x is (L, N, …), or with the `sizes` of each moment those after each other."""
        step, k, last = MODES[self.mode][1], 0, []
        for layer in range(self.num_layers):
            shown = []
            for suffix in self._suffixes(layer):
                weights = self._weights(suffix)
                gates = F.linear(x, weights.w_ih, weights.b_ih)
                moments = ops.unbind(gates, 0) if sizes is None else ops.split(gates, sizes)
                own = tuple(s[k] for s in start)
                ys, state = along(step, moments, own, weights, backwards=suffix.endswith("reverse"))
                shown.append(ops.stack(ys) if sizes is None else ops.cat(ys))
                last.append(state)
                k += 1
            x = ops.cat(shown, -1) if len(shown) > 1 else shown[0]
            if layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        return x, [ops.stack(parts) for parts in zip(*last, strict=True)]

    def _given(self, state: list[Tensor]) -> Any:
        """The last states as forward gives them."""
        return tuple(state) if self.mode == "LSTM" else state[0]

    def _check_input(self, input: Tensor) -> None:
        """PyTorch's errors for an input that does not fit the weights."""
        dtype = next(self.parameters()).dtype
        if input.dtype != dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({dtype}). Convert input: "
                f"input.to(torch.{dtype}), or convert model: model.to(torch.{input.dtype})"
            )
        if input.shape[-1] != self.input_size:
            raise ShapeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}"
            )

    def _start(self, hx: Any, samples: int, dtype: Any, is_batched: bool) -> list[Tensor]:
        """The initial states, (num_layers·directions, N, …) each: those given, or zeros."""
        rows, sizes = self.num_layers * self._directions(), self._state_sizes()
        if hx is None:
            return [autodiff.zeros(rows, samples, size, dtype=dtype) for size in sizes]
        states = [hx] if self.mode != "LSTM" else list(hx)
        names = ["hx"] if self.mode != "LSTM" else ["hidden[0]", "hidden[1]"]
        if any(s.ndim != (3 if is_batched else 2) for s in states):
            known = "batched 3-D" if is_batched else "unbatched 2-D"
            raise RuntimeError(
                f"For {known} input, hx{' and cx' if len(sizes) > 1 else ''} should also be "
                f"{known.split()[1]} but got {', '.join(f'{s.ndim}-D' for s in states)} tensors"
            )
        states = states if is_batched else [s.unsqueeze(1) for s in states]
        for name, s, size in zip(names, states, sizes, strict=True):
            if s.shape != (rows, samples, size):
                shown = "hidden" if name == "hx" else name
                raise ShapeError(f"Expected {shown} size {(rows, samples, size)}, got {list(s.shape)}")
            if s.dtype != dtype:
                raise RuntimeError(f"{name} is {s.dtype} and the input {dtype}: write .to(input.dtype)")
        return states

    def extra_repr(self):
        parts = [f"{self.input_size}, {self.hidden_size}"]
        usual = {
            "proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0,
            "bidirectional": False,
        }  # fmt: skip
        parts += [
            f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value
        ]
        return ", ".join(parts)


class RNN(RNNBase):
    """h′ = tanh(W·x + b + W′·h + b′), or max(…, 0) with the `nonlinearity` "relu" (Elman 1990).

    Gives (output, the last h)."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh",
        bias: bool = True, batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        device=None, dtype=None,
    ):  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(
            f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias, batch_first, dropout,
            bidirectional, 0, device, dtype,
        )  # fmt: skip
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """c′ = f⊙c + i⊙g and h′ = o⊙tanh c′, the gates i, f, o being sigmoids, and g a tanh, of
    W·x + b + W′·h + b′ (Hochreiter and Schmidhuber 1997); with `proj_size`, h′ is then multiplied by
    `weight_hr_l0`, (proj_size, hidden_size) (Sak, Senior and Beaufays 2014).

    Takes and gives the states h and c: (output, (the last h, the last c))."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
        device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size,
            device, dtype,
        )  # fmt: skip


class GRU(RNNBase):
    """h′ = (1 − z)⊙n + z⊙h, with sigmoids r and z of W·x + b + W′·h + b′, and
    n = tanh(W·x + b + r⊙(W′·h + b′)) (Cho et al. 2014).

    Gives (output, the last h)."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device,
            dtype,
        )  # fmt: skip


# ---- one step ----------------------------------------------------------------------------------


class RNNCellBase(Module):
    """What the cells share: parameters `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`, which start out
    evenly spread over ±1/√hidden_size."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device=None, dtype=None
    ):
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = num_chunks * hidden_size
        shapes = {"weight_ih": (rows, input_size), "weight_hh": (rows, hidden_size)}
        for name, shape in (shapes | {"bias_ih": (rows,), "bias_hh": (rows,)}).items():
            left_out = name not in shapes and not bias
            self.register_parameter(
                name, None if left_out else Parameter(autodiff.empty(*shape, dtype=dtype, device=device))
            )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new ones."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size else 0
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def _step(self, mode: str, input: Tensor, states: list[Tensor] | None) -> list[Tensor]:
        """The next states; zeros stand where none are given."""
        kind = type(self).__name__
        if input.ndim not in (1, 2):
            raise ValueError(f"{kind}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        for k, s in enumerate(states or ()):
            if s.ndim not in (1, 2):
                name = "hidden" if mode != "LSTM" else f"hx[{k}]"
                raise ValueError(f"{kind}: Expected {name} to be 1D or 2D, got {s.ndim}D instead")
        is_batched = input.ndim == 2
        x = input if is_batched else input.unsqueeze(0)
        if states is None:
            zeros = autodiff.zeros(x.shape[0], self.hidden_size, dtype=x.dtype)
            states = [zeros] * (2 if mode == "LSTM" else 1)
        elif not is_batched:
            states = [s.unsqueeze(0) for s in states]
        self._check_sizes(x, states)
        gates = F.linear(x, self.weight_ih, self.bias_ih)
        weights = Weights(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        after = MODES[mode][1](gates, tuple(states), weights)
        return [s if is_batched else s.squeeze(0) for s in after]

    def _check_sizes(self, x: Tensor, states: list[Tensor]) -> None:
        """PyTorch's errors for an input or states that do not fit."""
        if x.shape[1] != self.input_size:
            raise ShapeError(
                f"input has inconsistent input_size: got {x.shape[1]} expected {self.input_size}"
            )
        for k, s in enumerate(states):
            if s.ndim != 2 or s.shape[0] != x.shape[0]:
                raise ShapeError(
                    f"Input batch size {x.shape[0]} doesn't match hidden{k} batch size {s.shape[0]}"
                )
            if s.shape[1] != self.hidden_size:
                raise ShapeError(
                    f"hidden{k} has inconsistent hidden_size: got {s.shape[1]}, expected {self.hidden_size}"
                )
        for name, dtype in (("input", x.dtype), *(("hidden state", s.dtype) for s in states)):
            if dtype != self.weight_ih.dtype:
                raise RuntimeError(
                    f"expected m1 and m2 to have the same dtype, but got: {dtype} != {self.weight_ih.dtype}: "
                    f"the {name} has another dtype than the weights"
                )

    def extra_repr(self):
        parts = [f"{self.input_size}, {self.hidden_size}"]
        if not self.bias:
            parts.append(f"bias={self.bias}")
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            parts.append(f"nonlinearity={self.nonlinearity}")
        return ", ".join(parts)


class RNNCell(RNNCellBase):
    """One step of an RNN: h′ from x of shape (N, input_size) and h (N, hidden_size), or without N."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device=None,
        dtype=None,
    ):  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}: it is 'tanh' or 'relu'")
        return self._step(f"RNN_{self.nonlinearity.upper()}", input, None if hx is None else [hx])[0]


class LSTMCell(RNNCellBase):
    """One step of an LSTM: (h′, c′) from x of shape (N, input_size) and (h, c), (N, hidden_size) each, or
    without N."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        if isinstance(hx, Tensor):
            raise TypeError(
                "lstm_cell(): argument 'hx' (position 2) must be tuple of Tensors, (h, c), not Tensor"
            )
        h, c = self._step("LSTM", input, None if hx is None else list(hx))
        return h, c


class GRUCell(RNNCellBase):
    """One step of a GRU: h′ from x of shape (N, input_size) and h (N, hidden_size), or without N."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step("GRU", input, None if hx is None else [hx])[0]
