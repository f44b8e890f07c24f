"""Recurrent layers and cells: by their formulas, and beside PyTorch."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
from beside_torch import drawn_alike, same, whole_run
from hypothesis import given
from hypothesis import strategies as st
from support import check_derivatives

import autodiff as ad
import nn
from nn.functional.recurrent import Weights, gru_step, lstm_step, relu_step, tanh_step

KINDS = ["RNN", "RNN relu", "LSTM", "GRU"]
STATES = {"RNN": 1, "RNN relu": 1, "LSTM": 2, "GRU": 1}


def drawn(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def made(lib, kind, *sizes, **options):
    name, _, nonlinearity = kind.partition(" ")
    more = {"nonlinearity": nonlinearity} if nonlinearity else {}
    dtype = options.pop("dtype", "float64")
    return getattr(lib.nn, name)(*sizes, **more, **options, dtype=getattr(lib.torch, dtype))


def given_states(kind, states):
    """The states as the layer takes them."""
    return states[0] if STATES[kind] == 1 else tuple(states)


# ---- by the formulas, without PyTorch ------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step_by_formula(kind, x, states, w_ih, w_hh, b_ih, b_hh):
    """The next states, gate by gate, for one sample."""
    h = states[0]
    from_x, from_h = w_ih @ x + b_ih, w_hh @ h + b_hh
    if kind == "RNN":
        return [np.tanh(from_x + from_h)]
    if kind == "RNN relu":
        return [np.maximum(from_x + from_h, 0)]
    n = len(h)
    if kind == "LSTM":
        i, f, g, o = (from_x + from_h).reshape(4, n)
        c = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(g)
        return [sigmoid(o) * np.tanh(c), c]
    (x_r, x_z, x_n), (h_r, h_z, h_n) = from_x.reshape(3, n), from_h.reshape(3, n)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    return [(1 - z) * np.tanh(x_n + r * h_n) + z * h]


@given(
    kind=st.sampled_from(KINDS), length=st.integers(1, 4), samples=st.integers(1, 3), layers=st.integers(1, 3),
    both=st.booleans(), batch_first=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_layers_by_the_formula_sample_by_sample(kind, length, samples, layers, both, batch_first, seed):
    lib = type("Ours", (), {"nn": nn, "torch": ad, "tensor": staticmethod(ad.from_numpy)})
    layer = made(lib, kind, 2, 3, layers, batch_first=batch_first, bidirectional=both)
    drawn_alike(lib, layer, seed)
    x = drawn(length, samples, 2, seed=seed)
    directions = 2 if both else 1
    start = [drawn(layers * directions, samples, 3, seed=seed + k) for k in range(STATES[kind])]
    given = x.swapaxes(0, 1) if batch_first else x
    y, last = layer(ad.Tensor(given), given_states(kind, [ad.Tensor(s) for s in start]))
    for n in range(samples):
        row = x[:, n]
        for k in range(layers):
            shown = []
            for d, suffix in enumerate(["", "_reverse"][:directions]):
                names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                weights = [getattr(layer, f"{name}_l{k}{suffix}").detach().numpy() for name in names]
                states = [s[k * directions + d, n] for s in start]
                seen = []
                for moment in row[::-1] if d else row:
                    states = step_by_formula(kind, moment, states, *weights)
                    seen.append(states[0])
                shown.append(np.array(seen[::-1] if d else seen))
                found = [last] if STATES[kind] == 1 else last
                for s, f in zip(states, found, strict=True):
                    np.testing.assert_allclose(f.detach().numpy()[k * directions + d, n], s, atol=1e-12)
            row = np.concatenate(shown, 1)
        whole = y.detach().numpy()
        np.testing.assert_allclose(whole[n] if batch_first else whole[:, n], row, atol=1e-12)


@pytest.mark.parametrize(
    "step, gates, states", [(tanh_step, 1, 1), (relu_step, 1, 1), (lstm_step, 4, 2), (gru_step, 3, 1)]
)
def test_steps_have_their_derivatives(step, gates, states):
    x, w, b = drawn(2, 3 * gates), drawn(3 * gates, 3, seed=1), drawn(3 * gates, seed=2)
    state = [drawn(2, 3, seed=3 + k) for k in range(states)]

    def stepped(x, w, b, *state):
        return step(x, state, Weights(w, w, b, b))

    check_derivatives(stepped, x, w, b, *state)


def test_a_projected_state_has_its_derivatives():
    def stepped(x, w, r, h, c):
        return lstm_step(x, (h, c), Weights(w, w, None, None, r))

    check_derivatives(
        stepped, drawn(2, 12), drawn(12, 2), drawn(2, 3), drawn(2, 2, seed=1), drawn(2, 3, seed=2)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_cells_take_the_steps_of_the_layer(kind):
    lib = type("Ours", (), {"nn": nn, "torch": ad, "tensor": staticmethod(ad.from_numpy)})
    layer = drawn_alike(lib, made(lib, kind, 2, 3))
    cell = made(
        lib, kind.replace("RNN", "RNNCell").replace("LSTM", "LSTMCell").replace("GRU", "GRUCell"), 2, 3
    )
    cell.load_state_dict({name.removesuffix("_l0"): p for name, p in layer.state_dict().items()})
    x, state = ad.Tensor(drawn(4, 2, 2)), None
    for moment, expected in zip(x, layer(x)[0], strict=True):
        state = cell(moment, state)
        h = state[0] if kind == "LSTM" else state
        np.testing.assert_allclose(h.detach().numpy(), expected.detach().numpy(), atol=1e-12)


def test_where_parameters_start():
    ad.manual_seed(0)
    for layer in (nn.LSTM(30, 25, 2, bidirectional=True, proj_size=5), nn.GRU(30, 25), nn.RNNCell(30, 25)):
        for p in layer.parameters():
            a = abs(p.detach().numpy())
            assert a.max() <= 1 / math.sqrt(25) and a.mean() == pytest.approx(0.5 / math.sqrt(25), rel=0.25)
    assert len(layer.state_dict()) == 4 and layer.weight_ih.shape == (25, 30)


def test_dropout_falls_between_the_layers():
    ad.manual_seed(0)
    layer, x = nn.LSTM(3, 20, 2, dropout=0.5), ad.randn(4, 5, 3)
    y = layer(x)[0]
    assert not y.equal(layer(x)[0])  # drawn anew
    assert (y != 0).all()  # but not on what comes out
    layer.eval()
    assert layer(x)[0].equal(layer(x)[0])
    assert nn.LSTM(3, 4).all_weights[0][1].shape == (16, 4)
    layer.flatten_parameters()


def test_what_a_network_of_letters_learns():
    """An LSTM learns to say, at the end of a sequence, what stood at its beginning."""
    ad.manual_seed(0)
    lstm, out = nn.LSTM(2, 12), nn.Linear(12, 2)
    optimizer = nn.optim.Adam([*lstm.parameters(), *out.parameters()], lr=0.03)
    for _ in range(40):
        first = ad.randint(0, 2, (32,))
        x = ad.zeros(6, 32, 2)
        x[0] = nn.functional.one_hot(first, 2).float()
        loss = nn.functional.cross_entropy(out(lstm(x)[0][-1]), first)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


# ---- beside PyTorch ------------------------------------------------------------------------------


@given(
    kind=st.sampled_from(KINDS), length=st.integers(1, 4), samples=st.sampled_from([None, 0, 1, 3]),
    layers=st.integers(1, 2), both=st.booleans(), batch_first=st.booleans(), bias=st.booleans(),
    started=st.booleans(), projected=st.booleans(), dtype=st.sampled_from(["float32", "float64"]),
)  # fmt: skip
def test_layers_are_pytorchs(
    kind, length, samples, layers, both, batch_first, bias, started, projected, dtype
):
    options = {"bias": bias, "batch_first": batch_first, "bidirectional": both, "num_layers": layers}
    projected = projected and kind == "LSTM"
    options |= {"proj_size": 2} if projected else {}
    batch = () if samples is None else (samples,)
    x = drawn(*(batch + (length,) if batch_first else (length, *batch)), 2, dtype=dtype)
    rows = layers * (2 if both else 1)
    sizes = [2 if projected else 3, 3][: STATES[kind]]
    states = [drawn(rows, *batch, n, seed=5, dtype=dtype) for n in sizes] if started else []

    def program(lib):
        def call(layer, x, *states):
            return layer(x, given_states(kind, states)) if states else layer(x)

        layer = made(lib, kind, 2, 3, dtype=dtype, **options)
        return [repr(layer), *whole_run(lib, layer, x, *states, call=call)]

    close = 1e-5 if dtype == "float32" else 1e-10
    same(program, close, close)


@given(
    kind=st.sampled_from(KINDS),
    samples=st.sampled_from([None, 0, 1, 3]),
    bias=st.booleans(),
    started=st.booleans(),
)
def test_cells_are_pytorchs(kind, samples, bias, started):
    batch = () if samples is None else (samples,)
    x, states = drawn(*batch, 2), [drawn(*batch, 3, seed=1 + k) for k in range(STATES[kind])]

    def program(lib):
        def call(cell, x, *states):
            return cell(x, given_states(kind, states)) if started else cell(x)

        cell = made(lib, kind.replace("RNN", "RNNCell") if "RNN" in kind else f"{kind}Cell", 2, 3, bias=bias)
        return [repr(cell), *whole_run(lib, cell, x, *(states if started else ()), call=call)]

    same(program, 1e-10, 1e-10)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("number", [0.0, -0.0, 1e30, -1e30, np.inf, -np.inf, np.nan, 1e-30])
def test_far_out_they_are_pytorchs_too(kind, number):
    x = drawn(3, 2, 2)
    x[1, 0, 0] = number
    x = np.asfortranarray(x)  # nor need it lie in order

    def program(lib):
        return whole_run(lib, made(lib, kind, 2, 3), x)

    same(program, 1e-9, 1e-9)


def test_arguments_by_position_are_pytorchs():
    """PyTorch's own signatures are (*args, **kwargs)."""

    def program(lib):
        with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
            single = lib.nn.LSTM(2, 3, 1, True, False, 0.5)
        layers = [
            lib.nn.RNN(2, 3, 2, "relu", False, True, 0.25, True), lib.nn.LSTM(2, 3, 2, False, True, 0.25, True, 2),
            lib.nn.GRU(2, 3, 2, False, True, 0.25, True), single, lib.nn.RNNCell(2, 3, False, "relu"),
            lib.nn.LSTMCell(2, 3, False), lib.nn.GRUCell(2, 3, False), lib.nn.RNNBase("GRU", 2, 3, 2),
        ]  # fmt: skip
        return [repr(layer) for layer in layers], [list(layer.state_dict()) for layer in layers]

    same(program)
    assert list(inspect.signature(nn.LSTM).parameters)[-2:] == ["device", "dtype"]


WRONG = {
    "4-D": lambda t: ((2, 3), (1, 1, 1, 2), None),
    "1-D": lambda t: ((2, 3), (2,), None),
    "features": lambda t: ((2, 3), (4, 1, 3), None),
    "no moments": lambda t: ((2, 3), (0, 1, 2), None),
    "state's rank": lambda t: ((2, 3), (4, 1, 2), (1, 3)),
    "state's rank, unbatched": lambda t: ((2, 3), (4, 2), (1, 1, 3)),
    "state's size": lambda t: ((2, 3), (4, 1, 2), (1, 1, 4)),
    "state's batch": lambda t: ((2, 3), (4, 1, 2), (1, 2, 3)),
    "state's layers": lambda t: ((2, 3), (4, 1, 2), (2, 1, 3)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", WRONG)
def test_errors_of_layers_are_pytorchs(kind, wrong):
    sizes, shape, state = WRONG[wrong](None)

    def program(lib):
        states = None
        if state is not None:
            states = given_states(kind, [lib.torch.zeros(*state, dtype=lib.torch.float64)] * STATES[kind])
        return made(lib, kind, *sizes)(lib.torch.zeros(*shape, dtype=lib.torch.float64), states)[0]

    assert isinstance(same(program), Exception)


def test_more_errors_are_pytorchs():
    programs = [
        lambda lib: lib.nn.LSTM(2, 3)(lib.torch.zeros(4, 1, 2, dtype=lib.torch.float64)),
        lambda lib: lib.nn.RNN(2, 3, nonlinearity="sigmoid"),
        lambda lib: lib.nn.RNNCell(2, 3, nonlinearity="sigmoid")(lib.torch.zeros(1, 2)),
        lambda lib: lib.nn.LSTM(0, 3), lambda lib: lib.nn.LSTM(2, 0), lambda lib: lib.nn.LSTM(2, 3, 0),
        lambda lib: lib.nn.LSTM(2.0, 3), lambda lib: lib.nn.LSTM(2, 3.0), lambda lib: lib.nn.LSTM(2, 3, bias=1),
        lambda lib: lib.nn.LSTM(2, 3, batch_first=0), lambda lib: lib.nn.LSTM(2, 3, dropout=1.5),
        lambda lib: lib.nn.LSTM(2, 3, dropout=True), lambda lib: lib.nn.LSTM(2, 3, proj_size=-1),
        lambda lib: lib.nn.LSTM(2, 3, proj_size=3), lambda lib: lib.nn.RNNBase("ELMAN", 2, 3),
        lambda lib: lib.nn.LSTMCell(2, 3)(lib.torch.zeros(1, 1, 2)),
        lambda lib: lib.nn.GRUCell(2, 3)(lib.torch.zeros(2, 3)),
        lambda lib: lib.nn.GRUCell(2, 3)(lib.torch.zeros(2, 2), lib.torch.zeros(1, 3)),
        lambda lib: lib.nn.GRUCell(2, 3)(lib.torch.zeros(2, 2), lib.torch.zeros(2, 2)),
        lambda lib: lib.nn.GRUCell(2, 3)(lib.torch.zeros(2, 2), lib.torch.zeros(1, 2, 3)),
        lambda lib: lib.nn.RNNCell(2, 3)(lib.torch.zeros(2, 2, dtype=lib.torch.float64)),
    ]  # fmt: skip
    for k, program in enumerate(programs):
        assert isinstance(same(program), Exception), k


# ---- sequences of different lengths ----------------------------------------------------------------


@st.composite
def ragged(draw):
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    return lengths, draw(st.booleans()), draw(st.booleans())


@given(ragged(), st.sampled_from(KINDS), st.booleans(), st.booleans())
def test_packed_sequences_are_each_sequence_alone(given, kind, both, started):
    lengths, batch_first, _ = given
    lib = type("Ours", (), {"nn": nn, "torch": ad, "tensor": staticmethod(ad.from_numpy)})
    layer = drawn_alike(lib, made(lib, kind, 2, 3, 2, bidirectional=both, batch_first=batch_first))
    rows = [ad.Tensor(drawn(n, 2, seed=k)) for k, n in enumerate(lengths)]
    rnn = nn.utils.rnn
    padded = rnn.pad_sequence(rows, batch_first, padding_value=7.0)
    packed = rnn.pack_padded_sequence(padded, lengths, batch_first, enforce_sorted=False)
    start = [ad.Tensor(drawn(4 if both else 2, len(rows), 3, seed=9 + k)) for k in range(STATES[kind])]
    y, last = layer(packed, given_states(kind, start) if started else None)
    assert type(y) is rnn.PackedSequence
    outputs, found = rnn.pad_packed_sequence(y, batch_first, padding_value=-1.0)
    assert found.tolist() == lengths
    for k, (row, n) in enumerate(zip(rows, lengths, strict=True)):
        alone, state = layer(row, given_states(kind, [s[:, k] for s in start]) if started else None)
        whole = outputs[k] if batch_first else outputs[:, k]
        np.testing.assert_allclose(whole[:n].detach().numpy(), alone.detach().numpy(), atol=1e-12)
        assert (whole[n:] == -1).all()
        ends = zip([last], [state], strict=True) if STATES[kind] == 1 else zip(last, state, strict=True)
        for a, b in ends:
            np.testing.assert_allclose(a[:, k].detach().numpy(), b.detach().numpy(), atol=1e-12)


@given(ragged(), st.sampled_from(KINDS), st.booleans())
def test_packed_sequences_are_pytorchs(given, kind, both):
    lengths, batch_first, ordered = given
    lengths = sorted(lengths, reverse=True) if ordered else lengths
    x = drawn(*((len(lengths), 4) if batch_first else (4, len(lengths))), 2)

    def program(lib):
        rnn = lib.nn.utils.rnn

        def call(layer, x):
            packed = rnn.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=ordered)
            y, last = layer(packed)
            more = rnn.pad_packed_sequence(y, batch_first, total_length=5)
            return [*packed, *y, *more, last, type(y).__name__]

        layer = made(lib, kind, 2, 3, 2, bidirectional=both, batch_first=batch_first)
        return whole_run(
            lib, layer, x, call=lambda layer, x: [r for r in call(layer, x) if not isinstance(r, str)]
        )

    same(program, 1e-10, 1e-10)


@given(
    st.lists(st.integers(0, 4), max_size=4), st.booleans(), st.sampled_from(["left", "right"]),
    st.sampled_from([(), (2,), (2, 1)]),
)  # fmt: skip
def test_padding_is_pytorchs(lengths, batch_first, side, rest):
    def program(lib):
        rnn = lib.nn.utils.rnn
        rows = [lib.tensor(drawn(n, *rest, seed=k)).requires_grad_() for k, n in enumerate(lengths)]
        y = rnn.pad_sequence(rows, batch_first, 3.0, side)
        (y * lib.tensor(drawn(*y.shape, seed=9))).sum().backward()
        return [y, [row.grad for row in rows]]

    same(program)


def test_sequences_packed_and_unpacked_again():
    def program(lib):
        rnn = lib.nn.utils.rnn
        rows = [lib.torch.tensor(row) for row in ([1.0, 2.0], [3.0], [4.0, 5.0, 6.0])]
        packed = rnn.pack_sequence(rows, enforce_sorted=False)
        labels = rnn.pack_sequence([lib.torch.tensor([1, 2]), lib.torch.tensor([3])])
        padded = rnn.pad_sequence(rows, batch_first=True)
        return [
            list(packed), list(packed.double()), rnn.unpack_sequence(packed), list(labels), packed.data,
            rnn.unpad_sequence(padded, lib.torch.tensor([2, 1, 3]), batch_first=True),
            rnn.pad_packed_sequence(labels), repr(labels),
        ]  # fmt: skip

    same(program)


def test_errors_of_packing_are_pytorchs():
    def rnn(lib):
        return lib.nn.utils.rnn

    programs = [
        lambda lib: rnn(lib).pack_padded_sequence(lib.torch.ones(3, 2, 1), [1, 2]),
        lambda lib: rnn(lib).pack_padded_sequence(lib.torch.ones(3, 2, 1), [2, 0]),
        lambda lib: rnn(lib).pack_padded_sequence(lib.torch.ones(3, 2, 1), [2, 1, 1]),
        lambda lib: rnn(lib).pad_packed_sequence(
            rnn(lib).pack_padded_sequence(lib.torch.ones(3, 2, 1), [3, 2]), total_length=2
        ),
        lambda lib: rnn(lib).pad_sequence([]),
        lambda lib: rnn(lib).pad_sequence(3),
        lambda lib: rnn(lib).pad_sequence([lib.torch.ones(2)], padding_side="top"),
        lambda lib: rnn(lib).pad_sequence([lib.torch.ones(2, 1), lib.torch.ones(2, 2)]),
        lambda lib: lib.nn.GRU(3, 2)(rnn(lib).pack_sequence([lib.torch.ones(2, 2)])),
        lambda lib: lib.nn.GRU(3, 2)(rnn(lib).pack_sequence([lib.torch.ones(2)])),
    ]
    for k, program in enumerate(programs):
        assert isinstance(same(program), Exception), k
    with pytest.raises(RuntimeError, match="lengths says 4 elements, and the padded sequences have 3"):
        nn.utils.rnn.pack_padded_sequence(ad.ones(3, 2, 1), [4, 2])  # PyTorch packs nonsense


def test_an_lstm_cell_takes_both_its_states():
    with pytest.raises(TypeError, match="argument 'hx' .* must be tuple of Tensors, .* not Tensor"):
        nn.LSTMCell(2, 3)(ad.ones(1, 2), ad.ones(1, 3))
