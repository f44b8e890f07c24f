"""The MLP, LeNet and the residual network."""

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


# ---- ResNet ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def resnet():
    net = nn.models.resnet18(num_classes=10)
    random = np.random.default_rng(0)
    for name, buffer in net.named_buffers():  # as if it had been trained
        if "running" in name:
            buffer.copy_(ad.from_numpy(random.uniform(0.5, 1.5, buffer.shape).astype(np.float32)))
    return net.eval()


def test_its_names_and_sizes_are_torchvisions(resnet):
    assert sum(p.numel() for p in nn.models.resnet18().parameters()) == 11_689_512
    state = resnet.state_dict()
    assert len(state) == 122
    block = [f"{part}.{name}" for part, names in (
        ("conv1", ["weight"]), ("bn1", NORM), ("conv2", ["weight"]), ("bn2", NORM)) for name in names]  # fmt: skip
    assert [name for name in state if name.startswith("layer1.0.")] == [f"layer1.0.{each}" for each in block]
    assert [name for name in state if "downsample" in name] == [
        f"layer{k}.0.downsample.{name}" for k in (2, 3, 4) for name in ("0.weight", *(f"1.{n}" for n in NORM))
    ]
    assert state["layer4.0.conv1.weight"].shape == (512, 256, 3, 3) and state["fc.weight"].shape == (10, 512)
    assert [name for name, _ in resnet.named_children()] == [
        "conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc",
    ]  # fmt: skip


NORM = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]


def test_it_computes_what_its_weights_say(resnet):
    """With PyTorch's functions, from the state_dict alone."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    F = torch.nn.functional
    state = {name: torch.from_numpy(t.numpy()) for name, t in resnet.state_dict().items()}

    def conv(x, name, stride=1, padding=1):
        return F.conv2d(x, state[f"{name}.weight"], None, stride, padding)

    def norm(x, name):
        return F.batch_norm(
            x, *(state[f"{name}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        )

    x = np.sin(np.arange(2 * 3 * 40 * 40)).astype(np.float32).reshape(2, 3, 40, 40)
    y = F.max_pool2d(norm(conv(torch.from_numpy(x), "conv1", 2, 3), "bn1").relu(), 3, 2, 1)
    for stage in (1, 2, 3, 4):
        for k in (0, 1):
            name, stride = f"layer{stage}.{k}", 2 if stage > 1 and k == 0 else 1
            z = norm(conv(y, f"{name}.conv1", stride), f"{name}.bn1").relu()
            z = norm(conv(z, f"{name}.conv2"), f"{name}.bn2")
            if f"{name}.downsample.0.weight" in state:
                y = norm(conv(y, f"{name}.downsample.0", stride, 0), f"{name}.downsample.1")
            y = (y + z).relu()
    expected = F.linear(y.mean((2, 3)), state["fc.weight"], state["fc.bias"])
    with ad.no_grad():
        np.testing.assert_allclose(resnet(ad.from_numpy(x)).numpy(), expected.numpy(), rtol=2e-4, atol=2e-4)


def test_weights_that_were_trained_elsewhere_are_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"asked for 'DEFAULT'.* safetensors.torch.save_file"):
        nn.models.resnet18(weights="DEFAULT")
