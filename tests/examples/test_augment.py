"""Images turned, shifted and scaled at random: where pixels go, and that a stopped run goes on the same."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import autodiff as ad
from examples.mnist import train
from examples.mnist.augment import RandomAffines
from examples.mnist.train import main
from nn import checkpoint
from nn.data import Subset
from nn.training import Progress

images = st.tuples(st.integers(0, 4), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(0, 1, width=32))
)


@given(images, st.integers(0, 99))
def test_one_after_the_other_gives_the_bits_of_a_batch(x, seed):
    transform = RandomAffines(degrees=40, shift=3, scale=0.5)
    ad.manual_seed(seed)
    whole = transform.on_batch(ad.tensor(x.copy())).numpy()
    ad.manual_seed(seed)
    single = [transform(ad.tensor(image)).numpy() for image in x]
    assert whole.dtype == np.float32 and whole.shape == x.shape
    assert whole.tobytes() == b"".join(image.tobytes() for image in single)
    assert (whole >= 0).all() and (whole <= 1).all()


def test_without_ranges_nothing_happens_and_a_shift_moves_the_middle_of_mass():
    dot = ad.zeros(50, 1, 21, 21)
    dot[:, :, 10, 10] = 1
    assert RandomAffines(0, 0, 0).on_batch(dot).equal(dot)
    ad.manual_seed(3)
    found = RandomAffines(0, 3, 0).on_batch(dot).numpy()[:, 0]
    ad.manual_seed(3)
    _, _, down, right = 3 * (2 * ad.rand(50, 4, dtype=ad.float64).numpy().T - 1)
    y, x = np.indices((21, 21)) - 10
    np.testing.assert_allclose((found * y).sum((1, 2)), down, atol=1e-5)
    np.testing.assert_allclose((found * x).sum((1, 2)), right, atol=1e-5)


def test_what_it_draws_stays_within_what_it_was_told():
    dot = np.zeros((500, 1, 41, 41), np.float32)
    dot[:, :, 10, 20] = 1  # ten pixels above the middle
    found = RandomAffines(degrees=10, shift=2, scale=0.1).on_batch(ad.tensor(dot)).numpy()[:, 0]
    y, x = np.indices((41, 41)) - 20
    mass = found.sum((1, 2))
    y, x = (found * y).sum((1, 2)) / mass, (found * x).sum((1, 2)) / mass
    assert -13.2 < y.min() < -12 and -7.8 < y.max() + 0.2 and y.max() < -6.6
    assert abs(x).max() < 2 + 11 * np.sin(np.radians(10)) + 0.2 and x.std() > 0.8


def test_the_same_seed_gives_the_same_and_the_next_batch_another():
    x = ad.rand(3, 1, 8, 8)
    ad.manual_seed(5)
    first, second = (RandomAffines().on_batch(x) for _ in range(2))
    ad.manual_seed(5)
    assert RandomAffines().on_batch(x).equal(first) and not first.equal(second)
    assert repr(RandomAffines()) == "RandomAffines(degrees=10.0, shift=2.0, scale=0.1)"


@pytest.mark.parametrize("model", ["mlp", "lenet"])
def test_a_run_that_was_stopped_ends_with_the_same_bits(model, tmp_path, monkeypatch, capsys):
    pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    load = train.images
    monkeypatch.setattr(train, "images", lambda args, train: Subset(load(args, train), range(192)))
    flags = ["--model", model, "--augment", "--epochs", "2", "--no-pictures"]
    assert main([*flags, "--out", "undisturbed"]) == 0

    def press(self, training):
        if (training.epoch, training.batch) == (1, 2):
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "on_batch_end", press)
        assert main([*flags, "--out", "stopped"]) == 130
    assert main(["--resume", "stopped"]) == 0
    assert "192 training images, varied, 192 test" in capsys.readouterr().err
    weights = [
        checkpoint.load(Path(run) / "checkpoint.safetensors")["model"] for run in ("undisturbed", "stopped")
    ]
    for name, weight in weights[0].items():
        assert weight.array.tobytes() == weights[1][name].array.tobytes()
