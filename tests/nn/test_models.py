"""The MLP and LeNet."""

from __future__ import annotations

import numpy as np
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


def test_lenet_is_the_network_of_1998():
    net = nn.LeNet()
    shapes, x = [], ad.randn(2, 1, 28, 28)
    for layer in net:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes[2::3][:2] == [(6, 14, 14), (16, 5, 5)]
    assert shapes[6:] == [(400,), (120,), (120,), (84,), (84,), (10,)]
    assert sum(p.numel() for p in net.parameters()) == 61_706
    assert nn.LeNet(classes=3)(ad.ones(5, 1, 28, 28)).shape == (5, 3)


def test_lenet_beside_pytorch():
    torch = pytest.importorskip("torch")
    net, tnn = nn.LeNet(), torch.nn
    theirs = tnn.Sequential(
        tnn.Conv2d(1, 6, 5, padding=2), tnn.ReLU(), tnn.MaxPool2d(2), tnn.Conv2d(6, 16, 5), tnn.ReLU(),
        tnn.MaxPool2d(2), tnn.Flatten(), tnn.Linear(400, 120), tnn.ReLU(), tnn.Linear(120, 84), tnn.ReLU(),
        tnn.Linear(84, 10),
    )  # fmt: skip
    theirs.load_state_dict({name: torch.tensor(w.numpy()) for name, w in net.state_dict().items()})
    x = ad.randn(3, 1, 28, 28).requires_grad_()
    tx = torch.tensor(x.detach().numpy(), requires_grad=True)
    y, ty = net(x), theirs(tx)
    np.testing.assert_allclose(y.detach().numpy(), ty.detach().numpy(), atol=1e-5)
    g = np.random.default_rng(0).standard_normal(y.shape).astype(np.float32)
    y.backward(ad.tensor(g))
    ty.backward(torch.tensor(g))
    np.testing.assert_allclose(x.grad.numpy(), tx.grad.numpy(), atol=1e-5)
    for ours, its in zip(net.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(ours.grad.numpy(), its.grad.numpy(), atol=1e-4)
