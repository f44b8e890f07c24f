"""Transformers: blocks of attention and a small network for each position, with shortcuts around both."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import autodiff
from autodiff import Tensor

from .. import functional as F
from .. import init
from ..containers import ModuleList
from ..module import Module
from .attention import MultiheadAttention
from .dropout import Dropout
from .linear import Linear
from .normalisation import LayerNorm

Activation = str | Callable[[Tensor], Tensor]


class TransformerEncoderLayer(Module):
    """x ← norm(x + attention(x)), then x ← norm(x + linear2(activation(linear1(x)))) (Vaswani et al. 2017); with
    `norm_first` x ← x + attention(norm(x)) and so on (Xiong et al. 2020).

    x is (S, N, d_model), with `batch_first` (N, S, d_model), or (S, d_model). Masks are those of
    `MultiheadAttention`. `dropout` is of the attention's weights, and of what each part adds."""

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: Activation = F.relu, layer_norm_eps: float = 1e-5, batch_first: bool = False,
        norm_first: bool = False, bias: bool = True, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        place: dict[str, Any] = {"device": device, "dtype": dtype}
        heads: dict[str, Any] = {"dropout": dropout, "bias": bias, "batch_first": batch_first}
        self.self_attn = MultiheadAttention(d_model, nhead, **heads, **place)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **place)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, **place)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, **place)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = function_of(activation)

    def forward(
        self, src: Tensor, src_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        def attended(x):
            return self.dropout1(attention(self.self_attn, x, x, src_mask, src_key_padding_mask, is_causal))

        def spread(x):
            return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))

        x = shortcut(src, attended, self.norm1, self.norm_first)
        return shortcut(x, spread, self.norm2, self.norm_first)


class TransformerDecoderLayer(Module):
    """As the encoder's layer, with attention to the encoder's output `memory` between the two parts (Vaswani
    et al. 2017)."""

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: Activation = F.relu, layer_norm_eps: float = 1e-5, batch_first: bool = False,
        norm_first: bool = False, bias: bool = True, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        place: dict[str, Any] = {"device": device, "dtype": dtype}
        heads: dict[str, Any] = {"dropout": dropout, "bias": bias, "batch_first": batch_first}
        self.self_attn = MultiheadAttention(d_model, nhead, **heads, **place)
        self.multihead_attn = MultiheadAttention(d_model, nhead, **heads, **place)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **place)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, **place)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, **place)
        self.norm3 = LayerNorm(d_model, layer_norm_eps, bias=bias, **place)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)
        self.activation = function_of(activation)

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None, tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None, tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        def attended(x):
            return self.dropout1(
                attention(self.self_attn, x, x, tgt_mask, tgt_key_padding_mask, tgt_is_causal)
            )

        def remembered(x):
            return self.dropout2(
                attention(
                    self.multihead_attn, x, memory, memory_mask, memory_key_padding_mask, memory_is_causal
                )
            )

        def spread(x):
            return self.dropout3(self.linear2(self.dropout(self.activation(self.linear1(x)))))

        x = shortcut(tgt, attended, self.norm1, self.norm_first)
        x = shortcut(x, remembered, self.norm2, self.norm_first)
        return shortcut(x, spread, self.norm3, self.norm_first)


class TransformerEncoder(Module):
    """`num_layers` copies of a layer, one after the other, and at the end `norm`, if there is one.

    (`enable_nested_tensor` and `mask_check` choose between implementations in PyTorch; here there is one,
    and it computes at padded positions, too.)"""

    def __init__(
        self, encoder_layer: Module, num_layers: int, norm: Module | None = None,
        enable_nested_tensor: bool = True, mask_check: bool = True,
    ):  # fmt: skip
        super().__init__()
        self.layers = copies(encoder_layer, num_layers)
        self.num_layers, self.norm = num_layers, norm
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    def forward(
        self, src: Tensor, mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:  # fmt: skip
        x = src
        for layer in self.layers:
            x = layer(x, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal))
        return x if self.norm is None else self.norm(x)


class TransformerDecoder(Module):
    """`num_layers` copies of a layer, one after the other, all of which look at `memory`; and at the end
    `norm`, if there is one."""

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None):
        super().__init__()
        self.layers = copies(decoder_layer, num_layers)
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None, tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None, tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        x = tgt
        for layer in self.layers:
            x = layer(
                x, memory, tgt_mask=tgt_mask, memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=bool(tgt_is_causal),
                memory_is_causal=memory_is_causal,
            )  # fmt: skip
        return x if self.norm is None else self.norm(x)


class Transformer(Module):
    """An encoder of `src` (S, N, d_model) and a decoder of `tgt` (T, N, d_model), which looks at what the
    encoder made: (T, N, d_model); with `batch_first` N comes first, and there may be none (Vaswani et al.
    2017). Matrices start out by Xavier's rule."""

    def __init__(
        self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6, num_decoder_layers: int = 6,
        dim_feedforward: int = 2048, dropout: float = 0.1, activation: Activation = F.relu,
        custom_encoder: Any | None = None, custom_decoder: Any | None = None, layer_norm_eps: float = 1e-5,
        batch_first: bool = False, norm_first: bool = False, bias: bool = True, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        place: dict[str, Any] = {"device": device, "dtype": dtype}
        layer = (
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias,
        )  # fmt: skip
        if custom_encoder is None:
            norm = LayerNorm(d_model, layer_norm_eps, bias=bias, **place)
            encoder_layer = TransformerEncoderLayer(*layer, **place)
            custom_encoder = TransformerEncoder(encoder_layer, num_encoder_layers, norm)
        self.encoder = custom_encoder
        if custom_decoder is None:
            norm = LayerNorm(d_model, layer_norm_eps, bias=bias, **place)
            decoder_layer = TransformerDecoderLayer(*layer, **place)
            custom_decoder = TransformerDecoder(decoder_layer, num_decoder_layers, norm)
        self.decoder = custom_decoder
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Draw new matrices."""
        for p in self.parameters():
            if p.ndim > 1:
                init.xavier_uniform_(p)

    def forward(
        self, src: Tensor, tgt: Tensor, src_mask: Tensor | None = None, tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None, tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        batch_dim = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[batch_dim] != tgt.shape[batch_dim]:
            raise RuntimeError(
                f"the batch number of src and tgt must be equal: got {src.shape[batch_dim]} and "
                f"{tgt.shape[batch_dim]}"
            )
        if not src.shape[-1] == tgt.shape[-1] == self.d_model:
            raise RuntimeError(
                f"the feature number of src and tgt must be equal to d_model: got {src.shape[-1]}, "
                f"{tgt.shape[-1]} and {self.d_model}"
            )
        memory = self.encoder(
            src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal
        )
        return self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask, memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal, memory_is_causal=memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device=None, dtype=None) -> Tensor:
        """The mask (sz, sz) with which each position sees itself and what is before it: −∞ above the diagonal,
        else 0."""
        unseen = autodiff.full(
            (sz, sz), -math.inf, dtype=dtype or autodiff.get_default_dtype(), device=device
        )
        return unseen.triu(1)


def attention(
    layer: MultiheadAttention, x: Tensor, source: Tensor, mask: Tensor | None, padding: Tensor | None,
    is_causal: bool,
) -> Tensor:  # fmt: skip
    """What the positions of x see in the source."""
    return layer(
        x, source, source, key_padding_mask=padding, need_weights=False, attn_mask=mask, is_causal=is_causal
    )[0]


def shortcut(x: Tensor, part: Callable[[Tensor], Tensor], norm: Module, norm_first: bool) -> Tensor:
    """norm(x + part(x)), or x + part(norm(x))."""
    return x + part(norm(x)) if norm_first else norm(x + part(x))


def copies(layer: Module, n: int) -> ModuleList:
    """The layer n times, each with parameters of its own that start out the same."""
    return ModuleList([copy.deepcopy(layer) for _ in range(n)])


def function_of(activation: Activation) -> Callable[[Tensor], Tensor]:
    """The function that is meant by "relu" or "gelu"; any other as it is."""
    if not isinstance(activation, str):
        return activation
    known = {"relu": F.relu, "gelu": F.gelu}
    if activation not in known:
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    return known[activation]
