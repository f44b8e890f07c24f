"""The MLP."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
import nn


@given(st.lists(st.integers(1, 5), min_size=2, max_size=6))
def test_any_depth(sizes):
    net = nn.MLP(*sizes)
    assert net(ad.ones(3, sizes[0])).shape == (3, sizes[-1]) and net(ad.ones(sizes[0])).shape == (sizes[-1],)
    layers = [m for m in net if isinstance(m, nn.Linear)]
    assert [m.in_features for m in layers] == sizes[:-1] and len(net) == 2 * len(layers) - 1
    assert all(isinstance(m, nn.ReLU) for m in list(net)[1::2])
    x = ad.randn(2, sizes[0])
    y = x
    for k, layer in enumerate(layers):
        y = layer(y if k == 0 else y.relu())
    assert net(x).equal(y)


def test_images_are_flattened():
    net = nn.MLP(784, 512, 10)
    assert sum(p.numel() for p in net.parameters()) == 407_050
    assert net(ad.ones(2, 1, 28, 28)).equal(net(ad.ones(2, 784)))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        net(ad.ones(8, 98 * 2))  # never taken for a smaller batch
    with pytest.raises(ValueError, match="needs at least the sizes of its input and output"):
        nn.MLP(784)
