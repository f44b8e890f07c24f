"""Attention: a mixture of values, weighted by how well their keys answer a query."""

from __future__ import annotations

import math

import autodiff
from autodiff import Tensor, ops
from autodiff.errors import ShapeError

from .dropouts import dropout


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, *, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """softmax(scale·Q·Kᵀ + mask)·V, the scale being 1/√E: of queries (…, L, E), keys (…, S, E) and values
    (…, S, V), (…, L, V) (Vaswani et al. 2017).

    `attn_mask`, which broadcasts to (…, L, S), is boolean, True where a query may look, or numbers to be
    added. With `is_causal` query i sees the keys up to i. A query that sees no key gives zeros. With
    `enable_gqa` several heads of queries, the third dimension from the end, share one of keys and values."""
    check_attention(query, key, value, attn_mask, is_causal)
    if enable_gqa:
        key, value = (shared(query, x, name) for name, x in (("key", key), ("value", value)))
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = ops.matmul(query * scale, ops.mT(key))
    if is_causal:
        attn_mask = autodiff.ones(*scores.shape[-2:], dtype=autodiff.bool).tril()
    weights = softmax_of_seen(masked(scores, attn_mask), can_be_blind=attn_mask is not None and not is_causal)
    return ops.matmul(dropout(weights, dropout_p), value)


def check_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, is_causal: bool
) -> None:
    """PyTorch's errors for what attention cannot be made of."""
    for name, x in (("query", query), ("key", key), ("value", value)):
        if x.ndim < 2:
            raise RuntimeError(
                f"Expected query, key, and value to all be at least 2 dimensional, but got {name} with "
                f"{x.ndim}"
            )
    if not query.dtype == key.dtype == value.dtype:
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{query.dtype}, key.dtype: {key.dtype}, and value.dtype: {value.dtype} instead."
        )
    if attn_mask is not None:
        if is_causal:
            raise RuntimeError(
                "Explicit attn_mask should not be set when is_causal=True: fold it into the mask with .tril()"
            )
        if attn_mask.dtype not in (autodiff.bool, query.dtype):
            raise RuntimeError(
                "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
                f"{attn_mask.dtype} and query.dtype: {query.dtype} instead."
            )


def shared(query: Tensor, x: Tensor, name: str) -> Tensor:
    """x with its heads, the third dimension from the end, repeated until there are as many as of queries."""
    heads = [t.shape[-3] if t.ndim > 2 else 1 for t in (query, x)]
    if heads[1] == 0 or heads[0] % heads[1]:
        raise RuntimeError(
            f"Number of heads in {name} must divide the number of heads in query: got {heads[1]} and {heads[0]}"
        )
    times = heads[0] // heads[1]
    return x if times == 1 else ops.repeat_interleave(x, times, -3)


def masked(scores: Tensor, mask: Tensor | None) -> Tensor:
    """The scores, −∞ where a boolean mask is False, or plus a mask of numbers."""
    if mask is None:
        return scores
    return ops.where(mask, scores, -math.inf) if mask.dtype == autodiff.bool else scores + mask


def softmax_of_seen(scores: Tensor, can_be_blind: bool = True) -> Tensor:
    """softmax along the last dimension, and zeros where all scores are −∞."""
    if not can_be_blind:
        return ops.softmax(scores, -1)
    is_blind = ops.all(scores == -math.inf, -1, True)
    return ops.where(is_blind, 0, ops.softmax(ops.where(is_blind, 0, scores), -1))


# ---- several heads -----------------------------------------------------------------------------


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int,
    in_proj_weight: Tensor | None, in_proj_bias: Tensor | None, bias_k: Tensor | None,
    bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float, out_proj_weight: Tensor,
    out_proj_bias: Tensor | None, training: bool = True, key_padding_mask: Tensor | None = None,
    need_weights: bool = True, attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None, static_k: Tensor | None = None, static_v: Tensor | None = None,
    average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Attention by `num_heads` heads, each with projections of its own, put side by side and projected
    once more (Vaswani et al. 2017): of queries (L, N, E), keys and values (S, N, …), or all without N,
    (output (L, N, E), weights (N, L, S), or None if not needed).

    Unlike those of `scaled_dot_product_attention`, boolean masks are True where nobody may look:
    `key_padding_mask` (N, S), `attn_mask` (L, S) or (N·num_heads, L, S). `nn.MultiheadAttention` says
    what the rest is."""
    is_batched = check_heads(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not is_batched:
        query, key, value = (x.unsqueeze(1) for x in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    (length, samples, width), sources = query.shape, key.shape[0]
    expect(
        width == embed_dim_to_check,
        f"was expecting embedding dimension of {embed_dim_to_check}, but got {width}",
    )
    expect(width % num_heads == 0, f"embed_dim {width} not divisible by num_heads {num_heads}")
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint: nn.Transformer.generate_square_subsequent_mask "
            "makes one"
        )
    projections = separate(q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    q, k, v = projected(query, key, value, in_proj_weight, in_proj_bias, projections)
    mask = added_mask(attn_mask, "attn_mask", query.dtype)
    if mask is not None:
        mask = of_heads(mask, length, sources, samples, num_heads)
    padding = added_mask(key_padding_mask, "key_padding_mask", query.dtype)
    if bias_k is not None and bias_v is not None:
        expect(static_k is None and static_v is None, "a bias cannot be added to static keys and values")
        k, v = (ops.cat([x, ops.tile(b, (1, samples, 1))]) for x, b in ((k, bias_k), (v, bias_v)))
    expect((bias_k is None) == (bias_v is None), "bias_k and bias_v come together, and one of them is None")
    heads = samples * num_heads
    q, k, v = (x.reshape(x.shape[0], heads, width // num_heads).transpose(0, 1) for x in (q, k, v))
    k, v = k if static_k is None else static_k, v if static_v is None else static_v
    if add_zero_attn:
        k, v = (ops.pad(x, (0, 0, 0, 1)) for x in (k, v))
    extra = k.shape[1] - sources  # keys that no mask knows of: everybody sees them
    if mask is not None:
        mask = ops.pad(mask, (0, extra))
    if padding is not None:
        expect(
            padding.shape == (samples, sources),
            f"key_padding_mask must be {(samples, sources)}, and is {tuple(padding.shape)}",
        )
        padding = ops.repeat_interleave(ops.pad(padding, (0, extra)), num_heads, 0).unsqueeze(1)
        mask = padding if mask is None else mask + padding
    weights = ops.matmul(q * (1 / math.sqrt(width // num_heads)), ops.mT(k))
    weights = weights if mask is None else weights + mask
    # As in PyTorch: who sees no key gets NaN where the weights are shown, zeros where they are not.
    weights = softmax_of_seen(weights, can_be_blind=mask is not None and not need_weights)
    weights = dropout(weights, dropout_p, training)
    y = ops.matmul(weights, v).transpose(0, 1).reshape(length, samples, width)
    y = ops.linear(y, out_proj_weight, out_proj_bias)
    shown = None
    if need_weights:
        shown = weights.reshape(samples, num_heads, length, k.shape[1])
        shown = ops.mean(shown, 1) if average_attn_weights else shown
        shown = shown if is_batched else shown.squeeze(0)
    return (y if is_batched else y.squeeze(1)), shown


def expect(holds: bool, otherwise: str) -> None:
    """PyTorch's kind of error where it has assertions."""
    if not holds:
        raise AssertionError(otherwise)


def separate(*weights: Tensor | None) -> tuple[Tensor, ...]:
    """The three weights, none of which may be missing."""
    found = tuple(w for w in weights if w is not None)
    expect(len(found) == 3, "use_separate_proj_weight is True but one of the three weights is None")
    return found


def projected(
    query: Tensor, key: Tensor, value: Tensor, weight: Tensor | None, bias: Tensor | None,
    weights: tuple[Tensor, ...] | None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Queries, keys and values, each by its part of the stacked weight, or by its own; what comes from
    one tensor, in one product."""
    biases = (None, None, None) if bias is None else ops.chunk(bias, 3)
    if weights is not None:
        expect(
            key.shape[:2] == value.shape[:2],
            f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}",
        )
    else:
        expect(key.shape == value.shape, f"key shape {key.shape} does not match value shape {value.shape}")
        if weight is None:
            raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
        if query is key is value:
            q, k, v = ops.chunk(ops.linear(query, weight, bias), 3, -1)
            return q, k, v
        weights = tuple(ops.chunk(weight, 3))
    q, k, v = (ops.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
    return q, k, v


def check_heads(
    query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None, attn_mask: Tensor | None,
    num_heads: int,
) -> bool:  # fmt: skip
    """Is there a batch dimension? And PyTorch's errors for numbers of dimensions that do not fit."""
    expect(
        query.ndim in (2, 3),
        f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor",
    )
    is_batched = query.ndim == 3
    known = "batched (3-D)" if is_batched else "unbatched (2-D)"
    expect(
        key.ndim == value.ndim == query.ndim,
        f"For {known} `query`, expected `key` and `value` to be {query.ndim}-D but found {key.ndim}-D and "
        f"{value.ndim}-D tensors respectively",
    )
    if key_padding_mask is not None:
        expect(
            key_padding_mask.ndim == query.ndim - 1,
            f"For {known} `query`, expected `key_padding_mask` to be `None` or {query.ndim - 1}-D but found "
            f"{key_padding_mask.ndim}-D tensor instead",
        )
    if attn_mask is not None:
        expect(
            attn_mask.ndim in (2, 3),
            f"For {known} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found {attn_mask.ndim}-D "
            "tensor instead",
        )
        if not is_batched and attn_mask.ndim == 3:
            shape = (num_heads, query.shape[0], key.shape[0])
            expect(
                attn_mask.shape == shape,
                f"Expected `attn_mask` shape to be {shape} but got {tuple(attn_mask.shape)}",
            )
    return is_batched


def added_mask(mask: Tensor | None, name: str, dtype) -> Tensor | None:
    """A mask as numbers to be added: −∞ where a boolean one is True."""
    if mask is None or mask.is_floating_point():
        return mask
    expect(mask.dtype == autodiff.bool, f"only bool and floating types of {name} are supported")
    return autodiff.zeros(*mask.shape, dtype=dtype).masked_fill(mask, -math.inf)


def of_heads(mask: Tensor, length: int, sources: int, samples: int, num_heads: int) -> Tensor:
    """A mask (L, S) for all heads, or (N·num_heads, L, S)."""
    shape = (length, sources) if mask.ndim == 2 else (samples * num_heads, length, sources)
    if mask.shape != shape:
        raise ShapeError(
            f"The shape of the {mask.ndim}D attn_mask is {tuple(mask.shape)}, but should be {shape}."
        )
    return mask if mask.ndim == 3 else mask.unsqueeze(0)
