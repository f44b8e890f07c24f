"""The layers for sequences in a compiled step: the numbers of the same step run eagerly."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_support import needs_numba

import autodiff as ad
import nn

pytestmark = needs_numba

LAYERS = {
    "embedding": lambda: nn.Embedding(5, 4, padding_idx=1, scale_grad_by_freq=True),
    "lstm": lambda: nn.Sequential(nn.Embedding(5, 4), First(nn.LSTM(4, 3, 2, bidirectional=True))),
    "gru": lambda: nn.Sequential(nn.Embedding(5, 4), First(nn.GRU(4, 3, batch_first=True))),
    "rnn": lambda: nn.Sequential(nn.Embedding(5, 4), First(nn.RNN(4, 3, nonlinearity="relu"))),
    "transformer": lambda: nn.Sequential(nn.Embedding(5, 4), nn.TransformerEncoderLayer(4, 2, 6, 0.0)),
    "masked": lambda: nn.Sequential(nn.Embedding(5, 4), Masked(4, 2)),
}


class First(nn.Module):
    """What a recurrent layer shows, without its last state."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, input):
        return self.layer(input)[0]


class Masked(nn.Module):
    """Attention with a mask."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = nn.MultiheadAttention(width, heads)

    def forward(self, input):
        mask = nn.Transformer.generate_square_subsequent_mask(input.shape[0])
        return self.heads(input, input, input, attn_mask=mask, need_weights=False)[0]


@pytest.fixture(autouse=True)
def run_by_python(monkeypatch, tmp_path):
    monkeypatch.setenv("AUTODIFF_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("AUTODIFF_COMPILE", "1")
    monkeypatch.setattr("autodiff.kernels.generated.MODE", "python")


@pytest.mark.parametrize("name", LAYERS)
def test_compiled_steps_are_the_eager_ones(name):
    batches = [ad.tensor(np.random.default_rng(k).integers(0, 5, (3, 2))) for k in range(3)]
    found = []
    for compiled in (False, True):
        ad.manual_seed(0)
        layer = LAYERS[name]()
        optimizer = nn.optim.SGD(layer.parameters(), lr=0.1)

        def step(x, layer=layer, optimizer=optimizer):
            optimizer.zero_grad()
            loss = layer(x).square().sum()
            loss.backward()
            optimizer.step()
            return loss

        run = ad.compile(step) if compiled else step
        losses = [run(x).item() for x in batches]
        found.append(losses + [p.detach().numpy() for p in layer.parameters()])
        assert not compiled or run.programs  # it was not run eagerly after all
    for ours, expected in zip(found[1], found[0], strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)
