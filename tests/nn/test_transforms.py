"""Transforms: torchvision's arithmetic, the same bits for one picture and for a whole batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import autodiff as ad
from nn.data import DataLoader, Subset
from nn.datasets import MNIST
from nn.transforms import Compose, Lambda, Normalize, ToTensor, supports_batch

DIGITS = Path(__file__).parents[2] / "examples" / "mnist" / "data"
side = st.integers(1, 5)
pictures = st.one_of(
    st.tuples(st.integers(1, 4), side, side), st.tuples(st.integers(1, 4), side, side, st.integers(1, 4))
).flatmap(lambda shape: arrays(np.uint8, shape))
positive = st.floats(0.05, 2)


def channels(x: np.ndarray) -> int:
    return 1 if x.ndim == 3 else x.shape[3]


@given(pictures, st.data())
def test_whole_batches_and_single_pictures_give_the_same_bits(x, data):
    c = channels(x)
    mean, std = (data.draw(st.lists(positive, min_size=c, max_size=c)) for _ in range(2))
    both = Compose([ToTensor(), Normalize(mean, std)])
    before = x.copy()
    single = np.stack([both(picture).numpy() for picture in x])
    whole = both.on_batch(x)
    assert whole.dtype == np.float32 and whole.shape == (len(x), c, *x.shape[1:3])
    assert whole.numpy().tobytes() == single.tobytes()
    np.testing.assert_array_equal(x, before)


@given(pictures, positive, positive)
def test_the_arithmetic_is_pytorchs(x, mean, std):
    torch = pytest.importorskip("torch")
    planes = x[0] if x.ndim == 4 else x[0][:, :, None]
    theirs = torch.from_numpy(planes).permute(2, 0, 1).contiguous().float().div(255)
    ours = ToTensor()(x[0])
    assert ours.numpy().tobytes() == theirs.numpy().tobytes()
    theirs = theirs.sub(torch.tensor([mean]).view(-1, 1, 1)).div(torch.tensor([std]).view(-1, 1, 1))
    assert Normalize((mean,), (std,))(ours).numpy().tobytes() == theirs.numpy().tobytes()


def test_numbers_that_are_not_bytes_are_kept():
    for dtype in (np.float32, np.float64, np.int32):
        picture = np.arange(12, dtype=dtype).reshape(2, 3, 2)
        tensor = ToTensor()(picture)
        assert tensor.dtype == dtype and tensor.shape == (2, 2, 3)
        np.testing.assert_array_equal(tensor.numpy(), picture.transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1", "I", "F"])
def test_pil_images(mode):
    image = pytest.importorskip("PIL.Image")
    rgb = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    picture = image.fromarray(rgb).convert(mode)
    tensor = ToTensor()(picture)
    assert tensor.shape == (len(picture.getbands()), 5, 4)
    expected = np.asarray(picture, np.float32)
    if mode not in ("1", "I", "F"):
        expected = expected / 255
    expected = expected[None] if expected.ndim == 2 else expected.transpose(2, 0, 1)
    np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-6)


def test_normalize_in_place_and_not():
    x = ad.rand(2, 3, 3)
    before = x.clone()
    y = Normalize((0.5, 0.1), (2.0, 4.0))(x)
    assert ad.equal(x, before)
    assert Normalize((0.5, 0.1), (2.0, 4.0), inplace=True)(x) is x and ad.equal(x, y)


def test_normalize_takes_tensors_and_passes_gradients():
    x = ad.rand(2, 3, 4, 4, dtype=ad.float64).requires_grad_()
    y = Normalize(ad.tensor([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 4.0]))(x)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy()[1, :, 0, 0], [1, 1 / 2, 1 / 4])


@pytest.mark.parametrize(
    "apply, error, words",
    [
        (lambda: ToTensor()([[1]]), TypeError, "pic should be PIL Image or ndarray. Got <class 'list'>"),
        (lambda: ToTensor()(np.zeros(3)), ValueError, "pic should be 2/3 dimensional. Got 1 dim"),
        (lambda: Normalize(0, 1)(np.zeros((1, 2, 2))), TypeError, "Put ToTensor"),
        (lambda: Normalize(0, 1)(ad.ones(1, 2, 2).long()), TypeError, "should be a float tensor"),
        (lambda: Normalize(0, 1)(ad.ones(2, 2)), ValueError, r"tensor image of size \(..., C, H, W"),
        (lambda: Normalize(0, 0)(ad.ones(1, 2, 2)), ValueError, "std evaluated to zero"),
        (lambda: Normalize((0, 0), 1)(ad.ones(3, 2, 2)), ValueError, "2 channels, but the image has 3"),
        (lambda: Lambda(3), TypeError, "Argument lambd should be callable, got int"),
    ],
)
def test_errors(apply, error, words):
    with pytest.raises(error, match=words):
        apply()


def test_a_transform_it_does_not_know_is_applied_to_single_pictures():
    known = Compose([ToTensor(), Normalize((0.1307,), (0.3081,))])
    unknown = Compose([ToTensor(), Lambda(lambda x: x), Normalize((0.1307,), (0.3081,))])
    assert supports_batch(known) and not supports_batch(unknown) and not supports_batch(len)
    batches = []
    for transform in (known, unknown):
        digits = Subset(MNIST(DIGITS, train=False, transform=transform), range(300))
        batches.append(list(DataLoader(digits, 64, shuffle=True, seed=1)))
    for (x, y), (x1, y1) in zip(*batches, strict=True):
        assert x.shape[1:] == (1, 28, 28) and x.numpy().tobytes() == x1.numpy().tobytes()
        assert y.dtype == y1.dtype == np.int64 and ad.equal(y, y1)


def test_they_say_what_they_are():
    text = repr(Compose([ToTensor(), Normalize((0.5,), (0.25,)), Lambda(len)]))
    assert text == "Compose(\n    ToTensor()\n    Normalize(mean=(0.5,), std=(0.25,))\n    Lambda()\n)"
