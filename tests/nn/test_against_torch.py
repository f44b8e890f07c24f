"""The same weights and batches give PyTorch's numbers: a hundred steps of the MNIST MLP beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import autodiff as ad
import nn
from nn import optim
from nn.datasets import MNIST

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")

IMAGES = Path(__file__).parents[2] / "examples" / "mnist" / "data"
STEPS, SIZE = 100, 64

# The name, the options, and how far losses may be apart in float32. Usually that is 1e-6; but of
# three million numbers that enter ReLU one may lie so near 0 that rounding decides its sign, and
# Adam makes that unit's next steps as large as any. In float64 nothing of the kind is to be seen.
RUNS = {
    "sgd": ("SGD", {"lr": 0.01}, 1e-4),
    "momentum": ("SGD", {"lr": 0.01, "momentum": 0.9}, 1e-4),
    "nesterov": ("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}, 1e-4),
    "adam": ("Adam", {"lr": 1e-3}, 2e-2),
    "adamw": ("AdamW", {"lr": 1e-3, "amsgrad": True}, 2e-2),
}


@pytest.fixture(scope="module")
def batches():
    """A hundred batches of MNIST, as the classic program prepares them; of noise, without it."""
    try:
        data = MNIST(IMAGES, train=False)
        images, labels = data.data.numpy(), data.targets.numpy()
    except RuntimeError:
        rng = np.random.default_rng(0)
        images, labels = rng.integers(0, 256, (6400, 28, 28)), rng.integers(0, 10, 6400)
    x = (images.astype(np.float32) / 255 - np.float32(0.1307)) / np.float32(0.3081)
    n = STEPS * SIZE
    return x[:n].reshape(STEPS, SIZE, 784), labels[:n].reshape(STEPS, SIZE)


@pytest.fixture(autouse=True)
def one_thread():
    """Its threads and those of other test processes would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def losses_of(library, model, optimizer, as_tensor, batches):
    """The loss of each step: one program for both libraries."""
    criterion, losses = library.CrossEntropyLoss(), []
    for x, labels in zip(*batches, strict=True):
        optimizer.zero_grad()
        loss = criterion(model(as_tensor(x)), as_tensor(labels))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


USUAL = [*((name, "float64") for name in RUNS), *((name, "float32") for name in ("sgd", "momentum", "adam"))]
MORE = [(name, "float32") for name in ("nesterov", "adamw")]


@pytest.mark.parametrize(
    "name, dtype", [*USUAL, *(pytest.param(*run, marks=pytest.mark.slow) for run in MORE)]
)
def test_a_hundred_steps(batches, name, dtype):
    kind, options, apart = RUNS[name]
    apart = apart if dtype == "float32" else 1e-10
    torch.manual_seed(0)
    units = 512 if dtype == "float32" else 128  # which show as much where there is hardly any rounding
    theirs = torch.nn.Sequential(torch.nn.Linear(784, units), torch.nn.ReLU(), torch.nn.Linear(units, 10))
    theirs.to(getattr(torch, dtype))
    ours = nn.MLP(784, units, 10).to(dtype)
    ours.load_state_dict(theirs.state_dict())
    batches = batches[0].astype(dtype), batches[1]
    optimizer = getattr(optim, kind)(ours.parameters(), **options)
    found = losses_of(nn, ours, optimizer, ad.from_numpy, batches)
    optimizer = getattr(torch.optim, kind)(theirs.parameters(), **options)
    expected = losses_of(torch.nn, theirs, optimizer, torch.from_numpy, batches)
    assert np.mean(found[-10:]) < 0.5 * found[0]  # it did learn
    np.testing.assert_allclose(found, expected, rtol=0, atol=apart)
    assert np.median(np.abs(np.subtract(found, expected))) <= min(apart, 1e-4)
    for (path, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert str(p.dtype) == dtype
        far = np.abs(p.detach().numpy() - q.detach().numpy())
        assert far.mean() <= apart / 100 and far.max() <= apart, path
