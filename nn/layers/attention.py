"""Attention by several heads."""

from __future__ import annotations

from typing import Any

import autodiff
from autodiff import Tensor, ops

from .. import functional as F
from .. import init
from ..module import Module, Parameter
from .linear import Linear


class MultiheadAttention(Module):
    """softmax(Q·Kᵀ/√d + mask)·V by `num_heads` heads, each of d = embed_dim / num_heads numbers, with learnt
    projections before and after (Vaswani et al. 2017): (output, weights, or None if not needed).

    Queries are (L, N, embed_dim), keys (S, N, kdim), values (S, N, vdim); with `batch_first` N comes
    first, and there may be none. The output has the queries' shape; weights are (N, L, S), the mean of
    all heads, or without `average_attn_weights` (N, num_heads, L, S).

    `key_padding_mask` (N, S) and `attn_mask` (L, S) or (N·num_heads, L, S) are boolean, True where
    nobody may look, or numbers to be added to Q·Kᵀ/√d. `is_causal` says of a mask that it is causal.
    `add_bias_kv` adds a learnt key and value, `add_zero_attn` one of zeros. `dropout` is of the weights.

    Parameters are `in_proj_weight` (3·embed_dim, embed_dim), or with another kdim or vdim `q_proj_weight`,
    `k_proj_weight`, `v_proj_weight`; `in_proj_bias`; and the layer `out_proj`. Weights start out by
    Xavier's rule, biases as zeros."""

    in_proj_weight: Parameter | None
    in_proj_bias: Parameter | None

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True,
        add_bias_kv: bool = False, add_zero_attn: bool = False, kdim: int | None = None,
        vdim: int | None = None, batch_first: bool = False, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and "
                f"num_heads={num_heads} instead"
            )
        if embed_dim % num_heads:
            raise AssertionError(f"embed_dim must be divisible by num_heads: got {embed_dim} and {num_heads}")
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim, self.vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        alike = self.kdim == self.vdim == embed_dim
        shapes = {
            "q_proj_weight": None if alike else (embed_dim, embed_dim),
            "k_proj_weight": None if alike else (embed_dim, self.kdim),
            "v_proj_weight": None if alike else (embed_dim, self.vdim),
            "in_proj_weight": (3 * embed_dim, embed_dim) if alike else None,
            "in_proj_bias": (3 * embed_dim,) if bias else None,
            "bias_k": (1, 1, embed_dim) if add_bias_kv else None,
            "bias_v": (1, 1, embed_dim) if add_bias_kv else None,
        }
        for name, shape in shapes.items():
            empty = None if shape is None else autodiff.empty(*shape, dtype=dtype, device=device)
            self.register_parameter(name, None if empty is None else Parameter(empty))
        self.out_proj = Linear(embed_dim, embed_dim, bias, device, dtype)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Draw new ones, but for `out_proj.weight`."""
        for name, p in self.named_parameters():
            if name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
                init.xavier_uniform_(p)
            elif name in ("bias_k", "bias_v"):
                init.xavier_normal_(p)
            elif name in ("in_proj_bias", "out_proj.bias"):
                init.zeros_(p)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        turned = self.batch_first and query.ndim == 3
        if turned:
            query, key, value = in_time(query, key, value)
        own: dict[str, Any] = self._parameters
        y, weights = F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, own["in_proj_weight"],
            own["in_proj_bias"], own["bias_k"], own["bias_v"], self.add_zero_attn, self.dropout,
            self.out_proj.weight, self.out_proj.bias, self.training, key_padding_mask, need_weights,
            attn_mask, own["in_proj_weight"] is None, own["q_proj_weight"], own["k_proj_weight"],
            own["v_proj_weight"], average_attn_weights=average_attn_weights, is_causal=is_causal,
        )  # fmt: skip
        return (ops.transpose(y, 0, 1) if turned else y), weights


def in_time(*xs: Tensor) -> list[Tensor]:
    """(N, L, E) → (L, N, E), each; those that are one tensor stay one."""
    turned = {id(x): ops.transpose(x, 0, 1) if x.ndim > 1 else x for x in xs}
    return [turned[id(x)] for x in xs]
