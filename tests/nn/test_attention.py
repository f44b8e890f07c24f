"""Attention and transformers: by their formulas, and beside PyTorch."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from beside_torch import same, whole_run, with_gradients
from hypothesis import given
from hypothesis import strategies as st
from support import check_derivatives

import autodiff as ad
import nn
from nn import functional as F

# What PyTorch has to say about its own fast paths.
pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor", "ignore:Support for mismatched")

DTYPES = st.sampled_from(["float32", "float64"])
MASKS = st.sampled_from([None, "bool", "float", "blind", "heads"])


def drawn(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def close(dtype):
    return (1e-5, 1e-5) if dtype == "float32" else (1e-10, 1e-10)


# ---- by the formulas, without PyTorch ------------------------------------------------------------


def attention(q, k, v, seen, added, scale):
    """Query by query."""
    out = np.zeros((len(q), v.shape[1]))
    for i, query in enumerate(q):
        e = [math.exp(scale * query @ k[j] + added[i, j]) if seen[i, j] else 0.0 for j in range(len(k))]
        if sum(e):
            out[i] = np.array(e) @ v / sum(e)
    return out


@given(
    length=st.integers(1, 4), sources=st.integers(1, 4), seed=st.integers(0, 99), scale=st.sampled_from([None, 0.3]),
    mask=st.sampled_from([None, "bool", "float", "causal"]),
)  # fmt: skip
def test_attention_query_by_query(length, sources, seed, scale, mask):
    q, k, v = drawn(2, length, 3, seed=seed), drawn(2, sources, 3, seed=seed), drawn(2, sources, 2, seed=seed)
    rng = np.random.default_rng(seed)
    seen, added = np.ones((length, sources), bool), np.zeros((length, sources))
    if mask == "bool":
        seen = rng.random((length, sources)) < 0.5
    elif mask == "float":
        added = rng.standard_normal((length, sources))
    elif mask == "causal":
        seen = np.tri(length, sources, dtype=bool)
    given = {"bool": seen, "float": added}.get(mask)
    y = F.scaled_dot_product_attention(
        *map(ad.Tensor, (q, k, v)),
        None if given is None else ad.tensor(given),
        is_causal=mask == "causal",
        scale=scale,
    )
    factor = 1 / math.sqrt(3) if scale is None else scale
    for n in range(2):
        expected = attention(q[n], k[n], v[n], seen, added, factor)
        np.testing.assert_allclose(y.numpy()[n], expected, atol=1e-12)


def test_attention_has_derivatives():
    q, k, v = drawn(2, 3, 4), drawn(2, 3, 4, seed=1), drawn(2, 3, 2, seed=2)
    blind = ad.tensor([[True, False, True], [False] * 3, [True] * 3])

    def f(q, k, v, mask=None, **options):
        mask = mask if mask is None or mask.dtype == ad.bool else mask.to(q.dtype)
        return F.scaled_dot_product_attention(q, k.to(q.dtype), v.to(q.dtype), mask, **options)

    check_derivatives(f, q, k, v)
    check_derivatives(lambda q, k, v: f(q, k, v, is_causal=True), q, k, v)
    check_derivatives(lambda q, k, v: f(q, k, v, blind), q, k, v)
    check_derivatives(lambda q, k, v, mask: f(q, k, v, mask), q, k, v, drawn(3, 3))


def test_who_sees_nothing_gets_zeros_and_sends_none_back():
    q, k, v = (ad.Tensor(drawn(2, 3), requires_grad=True) for _ in range(3))
    y = F.scaled_dot_product_attention(q, k, v, ad.tensor([[False, False], [True, True]]))
    y.backward(ad.ones(2, 3, dtype=ad.float64))
    assert (y[0] == 0).all() and (q.grad[0] == 0).all() and not (q.grad[1] == 0).all()
    assert all(bool(x.grad.isfinite().all()) for x in (q, k, v))


def test_dropout_of_weights_keeps_the_expectation():
    ad.manual_seed(0)
    q = k = ad.zeros(1, 2000, 2)
    y = F.scaled_dot_product_attention(q, k, ad.ones(1, 2000, 1), dropout_p=0.5)
    assert abs(float(y.mean()) - 1) < 0.01 and float(y.std()) > 0.005
    layer = nn.MultiheadAttention(4, 2, dropout=0.5)
    x = ad.randn(3, 2, 4)
    assert not layer(x, x, x)[0].equal(layer(x, x, x)[0])
    layer.eval()
    assert layer(x, x, x)[0].equal(layer(x, x, x)[0])


def test_heads_are_attention_of_projections_side_by_side():
    layer = nn.MultiheadAttention(6, 3, dtype=ad.float64)
    nn.init.normal_(layer.in_proj_bias)
    q, k, v = drawn(4, 2, 6), drawn(5, 2, 6, seed=1), drawn(5, 2, 6, seed=2)
    y, weights = layer(*map(ad.Tensor, (q, k, v)))
    w, b = layer.in_proj_weight.detach().numpy(), layer.in_proj_bias.detach().numpy()
    parts = [x @ w[6 * i : 6 * i + 6].T + b[6 * i : 6 * i + 6] for i, x in enumerate((q, k, v))]
    for n in range(2):
        heads = []
        for h in range(0, 6, 2):
            one = [p[:, n, h : h + 2] for p in parts]
            ones = np.ones((4, 5))
            heads.append(attention(*one, ones > 0, ones * 0, 1 / math.sqrt(2)))
        expected = np.concatenate(heads, 1) @ layer.out_proj.weight.detach().numpy().T
        np.testing.assert_allclose(y.detach().numpy()[:, n], expected, atol=1e-12)
    np.testing.assert_allclose(weights.detach().numpy().sum(-1), 1)
    assert layer(*map(ad.Tensor, (q, k, v)), need_weights=False)[1] is None


def test_keys_that_are_padding_are_as_good_as_not_there():
    layer, x = nn.MultiheadAttention(4, 2, batch_first=True), ad.randn(2, 3, 4)
    hidden = ad.tensor([[False, False, True], [False, False, False]])
    y, weights = layer(x, x, x, key_padding_mask=hidden)
    alone = layer(x[0], x[0, :2], x[0, :2])[0]
    np.testing.assert_allclose(y[0].detach().numpy(), alone.detach().numpy(), atol=1e-6)
    assert (weights[0, :, 2] == 0).all() and (weights[1] > 0).all()
    added = ad.zeros(2, 3).masked_fill(hidden, -math.inf)
    assert layer(x, x, x, key_padding_mask=added)[0].equal(y)


def test_masks_of_all_kinds_mean_the_same():
    layer, x = nn.MultiheadAttention(4, 2), ad.randn(3, 2, 4)
    added = nn.Transformer.generate_square_subsequent_mask(3)
    y = layer(x, x, x, attn_mask=added)[0]
    for mask in (added == -math.inf, added.expand(4, 3, 3)):
        np.testing.assert_allclose(layer(x, x, x, attn_mask=mask)[0].detach(), y.detach(), atol=1e-6)
    hinted = layer(x, x, x, attn_mask=added, is_causal=True, need_weights=False)[0]
    np.testing.assert_allclose(hinted.detach(), y.detach(), atol=1e-6)
    for options in ({"add_zero_attn": True}, {"add_bias_kv": True}):  # a hint takes away no added key
        layer = nn.MultiheadAttention(4, 2, **options)
        y, weights = layer(x, x, x, attn_mask=added, is_causal=True)
        assert weights.shape == (2, 3, 4) and (weights[:, :, 3] > 0).all()
        hinted = layer(x, x, x, attn_mask=added, is_causal=True, need_weights=False)[0]
        np.testing.assert_allclose(hinted.detach(), y.detach(), atol=1e-6)


@pytest.mark.parametrize("norm_first", [False, True])
def test_layers_are_made_of_their_parts(norm_first):
    encoder = nn.TransformerEncoderLayer(4, 2, 6, 0.0, norm_first=norm_first)
    decoder = nn.TransformerDecoderLayer(4, 2, 6, 0.0, norm_first=norm_first)
    x, memory = ad.randn(3, 2, 4), ad.randn(5, 2, 4)

    def by_parts(x, parts):
        for part, norm in parts:
            x = x + part(norm(x)) if norm_first else norm(x + part(x))
        return x

    def network(layer):
        return lambda x: layer.linear2(layer.linear1(x).relu())

    def looks(heads, at=None):
        return lambda x: heads(x, x if at is None else at, x if at is None else at)[0]

    expected = by_parts(x, [(looks(encoder.self_attn), encoder.norm1), (network(encoder), encoder.norm2)])
    np.testing.assert_allclose(encoder(x).detach(), expected.detach(), atol=1e-6)
    expected = by_parts(
        x,
        [(looks(decoder.self_attn), decoder.norm1), (looks(decoder.multihead_attn, memory), decoder.norm2),
         (network(decoder), decoder.norm3)],
    )  # fmt: skip
    np.testing.assert_allclose(decoder(x, memory).detach(), expected.detach(), atol=1e-6)


def test_where_parameters_start():
    ad.manual_seed(0)
    layer = nn.MultiheadAttention(40, 4, kdim=20, vdim=30, add_bias_kv=True)
    assert layer.in_proj_weight is None and layer.k_proj_weight.shape == (40, 20)
    for p in (layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight):
        bound = math.sqrt(6 / sum(p.shape))
        assert 0.95 * bound < abs(p.detach().numpy()).max() <= bound
    assert (layer.in_proj_bias == 0).all() and (layer.out_proj.bias == 0).all()
    assert (nn.MultiheadAttention(4, 2).in_proj_weight != 0).all()
    model = nn.Transformer(8, 2, 1, 1, 16)
    bound = math.sqrt(6 / (8 + 16))
    assert abs(model.encoder.layers[0].linear1.weight.detach().numpy()).max() <= bound


def test_copies_start_alike_and_part():
    layer = nn.TransformerEncoderLayer(4, 2, 8)
    model = nn.TransformerEncoder(layer, 2, nn.LayerNorm(4))
    first, second = model.layers
    assert (
        first.linear1.weight.equal(second.linear1.weight) and first.linear1.weight is not layer.linear1.weight
    )
    assert copy.deepcopy(model).norm is not model.norm
    nn.init.zeros_(first.linear1.weight)
    assert (second.linear1.weight != 0).any()


def test_a_causal_model_does_not_look_ahead():
    ad.manual_seed(0)
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True), 2)
    x = ad.randn(1, 5, 4, requires_grad=True)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    assert mask.tolist()[1] == [0, 0, -math.inf, -math.inf, -math.inf]
    model(x, mask)[0, 2].sum().backward()
    assert (x.grad[0, 3:] == 0).all() and (x.grad[0, :3] != 0).all()


def test_a_transformer_learns_to_turn_a_sequence_round():
    ad.manual_seed(1)
    embed, out = nn.Embedding(4, 16), nn.Linear(16, 4)
    places = nn.Parameter(ad.randn(3, 1, 16))
    model = nn.TransformerEncoderLayer(16, 2, 32, 0.0)
    optimizer = nn.optim.Adam([p for m in (embed, out, model) for p in m.parameters()] + [places], lr=0.01)
    for _ in range(80):
        letters = ad.randint(0, 4, (3, 32))
        y = out(model(embed(letters) + places))
        loss = F.cross_entropy(y.reshape(-1, 4), letters.flip(0).reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2


# ---- beside PyTorch ------------------------------------------------------------------------------


def mask_for(lib, kind, length, sources, dtype, seed=3, turned=False):
    """A mask of the kind for scaled_dot_product_attention; `turned`, for MultiheadAttention, where True
    means the opposite."""
    rng = np.random.default_rng(seed)
    if kind in ("float", "heads"):
        shape = (length, sources) if kind == "float" else (4, length, sources)
        return lib.tensor(rng.standard_normal(shape).astype(dtype))
    if kind is None:
        return None
    seen = rng.random((length, sources)) < 0.7
    seen[:, :1] = True
    if kind == "blind":
        seen[0] = False
    return lib.tensor(~seen if turned else seen)


@given(
    batch=st.sampled_from([(), (2,), (2, 3), (0,)]), length=st.integers(1, 3), sources=st.integers(1, 3),
    mask=st.sampled_from([None, "bool", "float", "blind"]), causal=st.booleans(), scale=st.sampled_from([None, 0.5]),
    dtype=DTYPES,
)  # fmt: skip
def test_attention_is_pytorchs(batch, length, sources, mask, causal, scale, dtype):
    causal = causal and (mask is None or 0 not in batch)  # of nothing, PyTorch lets both pass
    arrays = [
        drawn(*batch, length, 4, dtype=dtype), drawn(*batch, sources, 4, seed=1, dtype=dtype),
        drawn(*batch, sources, 2, seed=2, dtype=dtype),
    ]  # fmt: skip

    def program(lib):
        made = mask_for(lib, mask, length, sources, dtype)
        return with_gradients(
            lambda q, k, v: lib.F.scaled_dot_product_attention(q, k, v, made, 0.0, causal, scale=scale),
            lib,
            *arrays,
        )

    same(program, *close(dtype))


@pytest.mark.parametrize("length, sources", [(0, 2), (2, 0), (0, 0)])
@pytest.mark.parametrize("mask", [None, "bool", "float"])
def test_attention_of_nothing_is_pytorchs(length, sources, mask):
    q, k, v = drawn(2, length, 4), drawn(2, sources, 4), drawn(2, sources, 3)

    def program(lib):
        made = {
            None: None, "bool": lib.torch.ones(length, sources) > 0,
            "float": lib.torch.ones(length, sources, dtype=lib.torch.float64),
        }[mask]  # fmt: skip
        return with_gradients(lambda q, k, v: lib.F.scaled_dot_product_attention(q, k, v, made), lib, q, k, v)

    same(program)


@pytest.mark.parametrize("number", [0.0, 1e4, -1e4, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("place", ["query", "key", "value", "mask"])
def test_far_out_it_is_pytorchs_too(number, place):
    arrays = {
        "query": drawn(2, 3),
        "key": drawn(2, 3, seed=1),
        "value": drawn(2, 3, seed=2),
        "mask": drawn(2, 2),
    }
    arrays[place][0, 0] = number
    arrays["key"][1] = arrays["key"][0]  # a tie
    swapped = [np.asfortranarray(a) for a in arrays.values()]
    same(lambda lib: with_gradients(lib.F.scaled_dot_product_attention, lib, *swapped), 1e-9, 1e-9)


@given(heads=st.sampled_from([(4, 2), (4, 1), (4, 4), (3, 2)]))
def test_shared_heads_are_pytorchs(heads):
    q, k = drawn(2, heads[0], 3, 4), drawn(2, heads[1], 3, 4, seed=1)
    v = drawn(2, heads[1], 3, 2, seed=2)
    same(
        lambda lib: with_gradients(
            lambda q, k, v: lib.F.scaled_dot_product_attention(q, k, v, enable_gqa=True), lib, q, k, v
        ),
        1e-10, 1e-10,
    )  # fmt: skip


@given(
    samples=st.sampled_from([None, 2]), batch_first=st.booleans(), bias=st.booleans(), kv=st.booleans(),
    zero=st.booleans(), widths=st.sampled_from([(None, None), (3, None), (3, 5)]), mask=MASKS,
    padding=st.sampled_from([None, "bool", "float"]), need=st.sampled_from([None, "mean", "each"]),
    alone=st.booleans(), causal=st.booleans(), dtype=DTYPES,
)  # fmt: skip
def test_heads_are_pytorchs(
    samples, batch_first, bias, kv, zero, widths, mask, padding, need, alone, causal, dtype
):
    kdim, vdim = widths
    length, sources = (3, 3) if alone or causal else (2, 3)
    alone = alone and widths == (None, None)
    batch = () if samples is None else (samples,)
    if mask == "heads" and samples is None:
        mask = "bool"
    causal = causal and mask is not None and not kv and not zero  # where PyTorch loses the added keys

    def shape(n, width):
        return (*batch, n, width) if batch_first else (n, *batch, width)

    x = drawn(*shape(length, 4), dtype=dtype)
    more = [drawn(*shape(sources, w or 4), seed=1 + k, dtype=dtype) for k, w in enumerate(widths)]

    def program(lib):
        layer = lib.nn.MultiheadAttention(
            4, 2, bias=bias, add_bias_kv=kv, add_zero_attn=zero, kdim=kdim, vdim=vdim, batch_first=batch_first,
            dtype=getattr(lib.torch, dtype),
        )  # fmt: skip
        given = mask_for(lib, mask, length, sources, dtype, turned=True)
        if causal:
            given = lib.nn.Transformer.generate_square_subsequent_mask(3, dtype=getattr(lib.torch, dtype))
        hidden = None
        if padding:
            hidden = np.arange(sources) >= np.array([3, 2])[: samples or 1, None]
            hidden = hidden if samples else hidden[0]
            hidden = lib.tensor(hidden if padding == "bool" else -hidden.astype(dtype))

        def call(layer, *inputs):
            inputs = inputs * 3 if alone else inputs
            return layer(
                *inputs, key_padding_mask=hidden, need_weights=need is not None, attn_mask=given,
                average_attn_weights=need != "each", is_causal=causal,
            )  # fmt: skip

        return whole_run(lib, layer, *([x] if alone else [x, *more]), call=call)

    same(program, *close(dtype))


ACTIVATIONS = ["relu", "gelu", "tanh", "module"]


@given(
    samples=st.sampled_from([None, 2]), batch_first=st.booleans(), norm_first=st.booleans(), bias=st.booleans(),
    activation=st.sampled_from(ACTIVATIONS), mask=st.booleans(), padding=st.booleans(), layers=st.integers(0, 2),
    dtype=DTYPES,
)  # fmt: skip
def test_encoders_are_pytorchs(
    samples, batch_first, norm_first, bias, activation, mask, padding, layers, dtype
):
    batch = () if samples is None else (samples,)
    x = drawn(*((*batch, 3, 4) if batch_first else (3, *batch, 4)), dtype=dtype)

    def program(lib):
        chosen = {"tanh": lib.torch.tanh, "module": lib.nn.Sigmoid()}.get(activation, activation)
        kind = getattr(lib.torch, dtype)
        layer = lib.nn.TransformerEncoderLayer(
            4, 2, 6, 0.0, chosen, 1e-3, batch_first, norm_first, bias, dtype=kind
        )
        if layers:
            norm = lib.nn.LayerNorm(4, dtype=kind) if norm_first else None
            layer = lib.nn.TransformerEncoder(layer, layers, norm, enable_nested_tensor=False)
        seen = lib.nn.Transformer.generate_square_subsequent_mask(3, dtype=kind) if mask else None
        hidden = None
        if padding:
            hidden = np.arange(3) >= np.array([3, 2])[: samples or 1, None]
            hidden = lib.tensor(hidden if samples else hidden[0])
            hidden = lib.torch.zeros(*hidden.shape, dtype=kind).masked_fill(hidden, -math.inf)
        return whole_run(
            lib, layer, x, call=lambda layer, x: layer(x, seen, src_key_padding_mask=hidden, is_causal=mask)
        )

    same(program, *close(dtype))


@given(
    samples=st.sampled_from([None, 2]), batch_first=st.booleans(), norm_first=st.booleans(), bias=st.booleans(),
    whole=st.booleans(), masks=st.booleans(),
)  # fmt: skip
def test_decoders_and_whole_transformers_are_pytorchs(samples, batch_first, norm_first, bias, whole, masks):
    batch = () if samples is None else (samples,)
    x, memory = (drawn(*((*batch, n, 4) if batch_first else (n, *batch, 4)), seed=n) for n in (3, 2))

    def program(lib):
        kind = lib.torch.float64
        options = {"batch_first": batch_first, "norm_first": norm_first, "bias": bias, "dtype": kind}
        seen = lib.nn.Transformer.generate_square_subsequent_mask(3, dtype=kind) if masks else None
        look = lib.tensor(drawn(3, 2, seed=9)) if masks else None
        if whole:
            layer = lib.nn.Transformer(4, 2, 1, 2, 6, 0.0, **options)
            return whole_run(
                lib, layer, memory, x,
                call=lambda layer, src, tgt: layer(src, tgt, tgt_mask=seen, memory_mask=look, tgt_is_causal=masks),
            )  # fmt: skip
        layer = lib.nn.TransformerDecoderLayer(4, 2, 6, 0.0, **options)
        layer = lib.nn.TransformerDecoder(layer, 2, lib.nn.LayerNorm(4, dtype=kind))
        return whole_run(lib, layer, x, memory, call=lambda layer, x, memory: layer(x, memory, seen, look))

    same(program, 1e-9, 1e-9)


def test_the_order_of_parts_is_pytorchs():
    def program(lib):
        layers = [
            lib.nn.TransformerEncoderLayer(4, 2, 6), lib.nn.TransformerDecoderLayer(4, 2, 6),
            lib.nn.Transformer(4, 2, 1, 1, 6, activation=lib.nn.ReLU()),
        ]  # fmt: skip
        shown = [repr(layer).replace("NonDynamicallyQuantizable", "") for layer in layers]
        return shown, [list(layer.state_dict()) for layer in layers]

    same(program)


def test_errors_are_pytorchs():
    def heads(lib, *shapes, width=4, **options):
        return lib.nn.MultiheadAttention(width, 2)(*[lib.torch.ones(*s) for s in shapes], **options)

    def attended(lib, *shapes, **options):
        return lib.F.scaled_dot_product_attention(*[lib.torch.ones(*s) for s in shapes], **options)

    x = (3, 2, 4)
    programs = [
        lambda lib: lib.nn.MultiheadAttention(5, 2), lambda lib: lib.nn.MultiheadAttention(0, 2),
        lambda lib: lib.nn.MultiheadAttention(4, 0),
        lambda lib: heads(lib, x, x, (3, 2, 4, 1)), lambda lib: heads(lib, (4,), (4,), (4,)),
        lambda lib: heads(lib, (3, 2, 6), x, x), lambda lib: heads(lib, x, x, (2, 2, 4)),
        lambda lib: heads(lib, x, x, x, is_causal=True),
        lambda lib: heads(lib, x, x, x, attn_mask=lib.torch.ones(3)),
        lambda lib: heads(lib, x, x, x, attn_mask=lib.torch.ones(2, 3)),
        lambda lib: heads(lib, x, x, x, attn_mask=lib.torch.ones(2, 3, 3)),
        lambda lib: heads(lib, x, x, x, attn_mask=lib.torch.ones(3, 3, dtype=lib.torch.int64)),
        lambda lib: heads(lib, x, x, x, key_padding_mask=lib.torch.ones(3)),
        lambda lib: heads(lib, x, x, x, key_padding_mask=lib.torch.ones(3, 3)),
        lambda lib: heads(lib, (3, 4), (3, 4), (3, 4), key_padding_mask=lib.torch.ones(1, 3)),
        lambda lib: heads(lib, (3, 4), (3, 4), (3, 4), attn_mask=lib.torch.ones(3, 3, 3)),
        lambda lib: attended(lib, (4,), (4,), (4,)), lambda lib: attended(lib, (3, 4), (3, 5), (3, 4)),
        lambda lib: attended(lib, (3, 4), (3, 4), (2, 4)),
        lambda lib: attended(lib, (3, 4), (3, 4), (3, 4), attn_mask=lib.torch.ones(3, 3), is_causal=True),
        lambda lib: attended(
            lib, (3, 4), (3, 4), (3, 4), attn_mask=lib.torch.ones(3, 3, dtype=lib.torch.float64)
        ),
        lambda lib: attended(lib, (3, 4), (3, 4), (3, 4), attn_mask=lib.torch.ones(2, 2)),
        lambda lib: lib.F.scaled_dot_product_attention(
            lib.torch.ones(3, 4), lib.torch.ones(3, 4, dtype=lib.torch.float64), lib.torch.ones(3, 4)
        ),
        lambda lib: attended(lib, (2, 3, 3, 4), (2, 2, 3, 4), (2, 2, 3, 4), enable_gqa=True),
        lambda lib: lib.nn.TransformerEncoderLayer(4, 2, activation="swish"),
        lambda lib: lib.nn.TransformerEncoderLayer(4, 2, dropout=2.0),
        lambda lib: lib.nn.TransformerEncoderLayer(4, 2)(lib.torch.ones(*x), is_causal=True),
        lambda lib: lib.nn.Transformer(4, 2, 1, 1, 6)(lib.torch.ones(3, 2, 4), lib.torch.ones(3, 1, 4)),
        lambda lib: lib.nn.Transformer(4, 2, 1, 1, 6)(lib.torch.ones(3, 2, 4), lib.torch.ones(3, 2, 6)),
    ]  # fmt: skip
    for k, program in enumerate(programs):
        assert isinstance(same(program), Exception), k
