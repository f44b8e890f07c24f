"""Transforms: torchvision's arithmetic, the same bits for one picture and for a whole batch."""

from __future__ import annotations

import inspect
import io
import itertools
import math
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import autodiff as ad
from nn import images, transforms
from nn.data import DataLoader, Subset
from nn.datasets import MNIST
from nn.transforms import Compose, InterpolationMode, Lambda, Normalize, ToTensor, functional, supports_batch
from nn.transforms.tables import table_of

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
        (
            lambda: ToTensor().on_batch(ad.ones(2, 1, 4, 4)),
            TypeError,
            "pic should be PIL Image or ndarray. Got",
        ),
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


# ---- beside torchvision ------------------------------------------------------------------------------


def torchvision():
    """It, or the test is skipped. (Where it does not fit to the PyTorch that is there it raises RuntimeError.)"""
    try:
        import torchvision
        import torchvision.transforms.functional  # noqa: F401
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision can't be imported: nothing to compare with ({type(error).__name__})")
    return torchvision


KINDS = ["uint8", "float32", "float64", "L", "RGB", "RGBA", "F"]


def picture(kind, channels, h, w, seed):
    """Ours and theirs: the same picture, as tensors or as one PIL image."""
    import torch

    rng = np.random.default_rng(seed)
    if kind in ("uint8", "float32", "float64"):
        x = rng.integers(0, 256, (channels, h, w)).astype(np.uint8)
        x = x if kind == "uint8" else rng.standard_normal((channels, h, w)).astype(kind)
        return ad.from_numpy(x.copy()), torch.from_numpy(x)
    if kind == "F":
        img = pillow().fromarray(rng.standard_normal((h, w)).astype(np.float32))
    else:
        bands = {"L": 1, "RGB": 3, "RGBA": 4}[kind]
        img = pillow().fromarray(
            rng.integers(0, 256, (h, w, bands)).astype(np.uint8).squeeze(2 if bands == 1 else ())
        )
    return img, img.copy()


def pillow():
    return pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def numbers_of(img):
    return img.numpy() if hasattr(img, "numpy") else np.asarray(img)


def assert_same_picture(ours, theirs, apart=0.0, few=0.0):
    """Of one kind and size; numbers may be `apart`, and a share of `few` of them farther."""
    a, b = numbers_of(ours), numbers_of(theirs)
    assert a.shape == b.shape and a.dtype == b.dtype
    assert hasattr(ours, "numpy") or ours.mode == theirs.mode
    far = np.abs(a.astype(float) - b.astype(float)) > apart + (1e-5 if a.dtype.kind == "f" else 0)
    assert far.sum() <= few * far.size + (few > 0), (a, b)


def choice(*values):
    return st.sampled_from(values)


fills = choice(0, 7, [3], [1, 2, 3])
modes = choice("NEAREST", "BILINEAR")
all_modes = choice("NEAREST", "BILINEAR", "BICUBIC", "NEAREST_EXACT")
lengths, sides = st.integers(1, 12), st.integers(2, 12)
FUNCTIONS = {
    "hflip": st.fixed_dictionaries({}),
    "vflip": st.fixed_dictionaries({}),
    "crop": st.fixed_dictionaries({"top": st.integers(-4, 8), "left": st.integers(-4, 8), "height": lengths, "width": lengths}),
    "center_crop": st.fixed_dictionaries({"output_size": st.one_of(lengths, st.tuples(lengths, lengths).map(list))}),
    "pad": st.fixed_dictionaries(
        {"padding": choice(0, 1, [2], [1, 2], [0, 1, 2, 0], [-1, 0, 1, -1]), "fill": choice(0, 9, 1.5)},
        optional={"padding_mode": choice("edge", "reflect", "symmetric", "wrong")},
    ),
    "resize": st.fixed_dictionaries(
        # (to a width of 1 PyTorch 2.13 repeats the first row)
        {"size": st.one_of(sides, st.tuples(sides, sides).map(list), sides.map(lambda n: [n]))},
        optional={"interpolation": all_modes, "max_size": choice(3, 5, 14), "antialias": st.booleans()},
    ),
    "rotate": st.fixed_dictionaries(
        {"angle": st.one_of(st.floats(-400, 400), choice(0, 90, 180.0))},
        optional={"interpolation": modes, "expand": st.booleans(), "center": choice([0, 0], [3, 1.5]), "fill": fills},
    ),
    "affine": st.fixed_dictionaries(
        {
            "angle": st.floats(-180, 180), "translate": choice([0, 0], [1, -2], (3, 0)), "scale": st.floats(0.4, 2.5),
            "shear": choice(0, 10.0, [5.0, -20.0], [7]),
        }, optional={"interpolation": modes, "center": choice([0, 0], [3, 1.5]), "fill": fills},
    ),
    "rgb_to_grayscale": st.fixed_dictionaries({}, optional={"num_output_channels": choice(1, 3, 2)}),
    "get_dimensions": st.fixed_dictionaries({}),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
@given(
    data=st.data(),
    kind=choice(*KINDS),
    channels=choice(1, 3),
    h=st.integers(3, 9),
    w=st.integers(3, 9),
    seed=st.integers(0, 99),
)
def test_functions_are_torchvisions(name, data, kind, channels, h, w, seed):
    theirs = torchvision().transforms
    options, results = data.draw(FUNCTIONS[name]), []
    if name == "crop":  # one that is wholly outside has another shape there
        assume(options["top"] < h and options["left"] < w)
        assume(options["top"] + options["height"] > 0 and options["left"] + options["width"] > 0)
    if name == "rgb_to_grayscale":  # of one channel it gives one, even if asked for three
        channels = 3
    for library, img in zip((transforms, theirs), picture(kind, channels, h, w, seed), strict=True):
        given = dict(options)
        if "interpolation" in given:
            given["interpolation"] = getattr(library.InterpolationMode, given["interpolation"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                results.append(getattr(library.functional, name)(img, **given))
            except Exception as error:
                results.append(error)
    ours, expected = results
    if isinstance(expected, Exception):
        assert isinstance(ours, type(expected)), (ours, expected)
    elif name == "get_dimensions":
        assert ours == expected
    else:
        if isinstance(ours, Exception):
            raise ours
        whole = kind == "uint8"  # rounding decides at one half; at an edge between two pixels, too
        apart = whole * (name in ("resize", "rotate", "affine")) + 2e-5 * (kind == "float32")
        assert_same_picture(ours, expected, apart, 0.1 if name in ("rotate", "affine") else 0.02 * whole)


@given(
    st.sampled_from(["uint8", "int16", "int32", "int64", "float32", "float64", "bool"]),
    st.sampled_from(["uint8", "int16", "int32", "int64", "float32", "float64"]),
)
def test_other_dtypes_are_torchvisions(old, new):
    library = torchvision().transforms.functional
    import torch

    x = np.array([[[0, 1, 100, 127]]]).astype(old) if old[0] != "f" else np.array([[[0, 0.2, 0.99, 1]]], old)
    try:
        expected = library.convert_image_dtype(torch.from_numpy(x.copy()), getattr(torch, new))
    except RuntimeError:
        with pytest.raises(RuntimeError, match="cannot be performed safely"):
            functional.convert_image_dtype(ad.from_numpy(x), getattr(ad, new))
        return
    assert_same_picture(functional.convert_image_dtype(ad.from_numpy(x), getattr(ad, new)), expected)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64", "int64"])
def test_pil_images_of_arrays_are_torchvisions(dtype):
    library = torchvision().transforms.functional
    import torch

    for channels, mode in itertools.product(
        [None, 1, 2, 3, 4, 5], [None, "L", "F", "RGB", "HSV", "CMYK", "LA"]
    ):
        x = np.random.default_rng(0).random((3, 5, *[channels] * (channels is not None)))
        x = x.astype(dtype) if dtype[0] == "f" else (200 * x).astype(dtype)
        planes = np.moveaxis(x, -1, 0).copy() if channels else x
        for one, other in ((x, x), (ad.from_numpy(planes), torch.from_numpy(planes))):
            try:
                expected = library.to_pil_image(other, mode)
            except Exception as error:
                with pytest.raises(type(error)):
                    functional.to_pil_image(one, mode)
                continue
            ours = functional.to_pil_image(one, mode)
            assert ours.mode == expected.mode and ours.tobytes() == expected.tobytes()


CLASSES = {
    "Resize": [dict(size=5), dict(size=[4, 7], interpolation=3, antialias=False), dict(size=(4,), max_size=6)],
    "CenterCrop": [dict(size=4), dict(size=(3, 6)), dict(size=[4])],
    "Pad": [dict(padding=2), dict(padding=(1, 2), fill=3), dict(padding=(1, 0, 2, 1), padding_mode="edge")],
    "RandomCrop": [dict(size=4), dict(size=(4, 5), padding=1, fill=2), dict(size=12, pad_if_needed=True)],
    "RandomResizedCrop": [dict(size=5), dict(size=(4, 6), scale=(0.5, 1.0), interpolation=0)],
    "RandomRotation": [dict(degrees=30), dict(degrees=(10, 20), interpolation=2, expand=True, center=(1, 2), fill=3)],
    "RandomAffine": [
        dict(degrees=20), dict(degrees=0, translate=(0.1, 0.2), scale=(0.5, 2.0), shear=10),
        dict(degrees=(1, 2), shear=(1, 2, 3, 4), interpolation=2, fill=2, center=(0, 0)),
    ],
    "RandomErasing": [dict(p=1.0), dict(p=1.0, value=(1, 2, 3)), dict(p=1, value=0.5, scale=(0.2, 0.4), ratio=(0.5, 1))],
    "RandomHorizontalFlip": [dict(p=1.0), dict(p=0.0)],
    "RandomVerticalFlip": [dict(p=1.0), dict(p=0.0)],
    "Grayscale": [dict(), dict(num_output_channels=3)],
    "RandomGrayscale": [dict(p=1.0), dict(p=0.0)],
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_classes_do_what_torchvisions_do_with_what_was_drawn(name, monkeypatch):
    theirs = torchvision().transforms
    for options, kind in itertools.product(CLASSES[name], ["uint8", "float32", "RGB"]):
        one, other = (getattr(library, name)(**options) for library in (transforms, theirs))
        check_class(name, one, other, kind, monkeypatch)


def check_class(name, one, other, kind, monkeypatch):
    assert repr(one) == repr(other)
    x, y = picture(kind, 3, 9, 10, 1)
    if name == "RandomErasing" and kind == "RGB":
        with pytest.raises(TypeError, match="img should be Tensor Image"):
            one(x)
        return
    if hasattr(one, "get_params"):
        drawn = []
        draw = type(one).get_params

        def ours(*args, **kwargs):
            drawn.append(draw(*args, **kwargs))
            return drawn[-1]

        def as_theirs(value):
            import torch

            return torch.from_numpy(value.numpy()) if isinstance(value, ad.Tensor) else value

        def given(*args, **kwargs):
            last = drawn[-1]
            return tuple(map(as_theirs, last)) if isinstance(last, tuple) else last

        monkeypatch.setattr(one, "get_params", ours)
        monkeypatch.setattr(other, "get_params", given)
    assert_same_picture(one(x), other(y), kind == "uint8", 0.05)


NAMES = [
    *CLASSES, "Compose", "ToTensor", "Normalize", "Lambda", "ToPILImage", "PILToTensor", "ConvertImageDtype",
    "RandomApply", "RandomChoice", "RandomOrder",
    *(f"{name}.get_params" for name in ("RandomCrop", "RandomResizedCrop", "RandomRotation", "RandomAffine", "RandomErasing")),
    *(f"functional.{name}" for name in (*FUNCTIONS, "convert_image_dtype", "erase", "normalize", "pil_to_tensor", "resized_crop", "to_pil_image", "to_tensor")),
]  # fmt: skip


def test_arguments_are_torchvisions():
    def arguments(thing, path):
        for part in path.split("."):
            thing = getattr(thing, part)
        parameters = inspect.signature(
            thing.__init__ if isinstance(thing, type) else thing
        ).parameters.values()
        plain = {
            p.name: getattr(p.default, "value", str(p.default).removeprefix("torch.")) for p in parameters
        }
        return [(name, default) for name, default in plain.items() if name not in ("args", "kwargs")]

    library = torchvision().transforms
    for path in NAMES:
        assert arguments(transforms, path) == arguments(library, path), path


def test_grids_are_torchvisions(tmp_path):
    library = torchvision().utils
    import torch

    rng = np.random.default_rng(0)
    for shape in ((5, 1, 3, 4), (4, 3, 2, 2), (1, 3, 2, 2), (2, 5), (1, 3, 4), (3, 3, 4), (6, 2, 3, 3)):
        x = rng.standard_normal(shape).astype(np.float32)
        for options in (
            {}, {"nrow": 2, "padding": 0}, {"nrow": 3, "padding": 1, "pad_value": 0.5}, {"normalize": True},
            {"normalize": True, "scale_each": True}, {"normalize": True, "value_range": (-1, 0.5)},
        ):  # fmt: skip
            ours = images.make_grid(ad.from_numpy(x.copy()), **options)
            assert_same_picture(ours, library.make_grid(torch.from_numpy(x.copy()), **options))
        if len(shape) > 2 and shape[-3] != 2:
            images.save_image(ad.from_numpy(x.copy()), tmp_path / "ours.png", nrow=2)
            library.save_image(torch.from_numpy(x.copy()), tmp_path / "theirs.png", nrow=2)
            assert_same_picture(*(pillow().open(tmp_path / f"{whose}.png") for whose in ("ours", "theirs")))


# ---- without it --------------------------------------------------------------------------------------


def test_a_turn_by_a_right_angle_and_back():
    x = ad.arange(2 * 4 * 6).reshape(2, 4, 6).float()
    turned = functional.rotate(x, 90, expand=True)
    assert ad.equal(turned, ad.from_numpy(np.rot90(x.numpy(), axes=(1, 2)).copy()))
    assert ad.equal(functional.rotate(turned, -90, expand=True), x)
    for mode in (InterpolationMode.NEAREST, InterpolationMode.BILINEAR):
        assert ad.allclose(functional.rotate(x, 180, mode), functional.hflip(functional.vflip(x)))
        moved = functional.affine(x, 0, [1, -2], 1, 0, mode)
        assert ad.equal(moved, functional.crop(x, 2, -1, 4, 6))


@given(
    st.floats(-180, 180),
    st.floats(0.5, 2),
    st.floats(-30, 30),
    st.tuples(st.integers(-2, 2), st.integers(-2, 2)),
)
def test_an_affine_map_takes_a_line_to_where_its_formula_says(angle, scale, shear, moved):
    """Of a picture of its own coordinates, linear weights give the coordinates of any place inside."""
    y, x = np.mgrid[:21, :21] - 10.0
    picture = ad.Tensor(np.stack([x, y]))
    found = functional.affine(picture, angle, moved, scale, shear, InterpolationMode.BILINEAR).numpy()
    turn, lean = math.radians(angle), math.tan(math.radians(shear))
    matrix = (
        scale
        * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        @ [[1, -lean], [0, 1]]
    )
    back = np.linalg.inv(matrix) @ (np.stack([x, y]).reshape(2, -1) - np.reshape(moved, (2, 1)))
    inside = (np.abs(back) <= 10).all(0).reshape(21, 21)
    np.testing.assert_allclose(found[:, inside], back.reshape(2, 21, 21)[:, inside], atol=1e-9)
    assert (found[:, (np.abs(back) >= 11).any(0).reshape(21, 21)] == 0).all()


@given(arrays(np.uint8, st.tuples(side, side)), lengths, lengths, st.booleans())
def test_resizing_keeps_what_is_even_and_its_range(x, h, w, antialias):
    for mode in (InterpolationMode.NEAREST, InterpolationMode.BILINEAR):
        y = functional.resize(ad.from_numpy(x[None].copy()), [h, w], mode, antialias=antialias)
        assert y.shape == (1, h, w) and y.dtype == ad.uint8
        assert x.min() <= y.numpy().min() and y.numpy().max() <= x.max()
    even = functional.resize(
        ad.full((1, *x.shape), 7.5), [h, w], InterpolationMode.BICUBIC, antialias=antialias
    )
    np.testing.assert_allclose(even.numpy(), 7.5, rtol=1e-6)


RANDOM = {
    "RandomCrop": dict(size=5, padding=2), "RandomRotation": dict(degrees=40), "RandomErasing": dict(p=1, value="random"),
    "RandomAffine": dict(degrees=20, translate=(0.2, 0.2), scale=(0.8, 1.2), shear=10),
    "RandomResizedCrop": dict(size=6), "RandomHorizontalFlip": {}, "RandomVerticalFlip": {},
}  # fmt: skip


@pytest.mark.parametrize("name", RANDOM)
def test_the_seed_decides(name):
    transform, x = getattr(transforms, name)(**RANDOM[name]), ad.rand(3, 8, 8)
    runs = []
    for seed in (1, 1, 2):
        ad.manual_seed(seed)
        runs.append([transform(x).tolist() for _ in range(8)])
    assert runs[0] == runs[1] != runs[2]
    assert len({str(each) for each in runs[0]}) > 1


@pytest.mark.parametrize("name", [*RANDOM, "Resize", "CenterCrop", "Pad", "Grayscale"])
@pytest.mark.parametrize("coloured", [False, True])
def test_an_array_is_the_tensor_of_its_planes(name, coloured):
    """What the data sets give, bytes (H, W), before ToTensor."""
    if name == "RandomErasing":
        return
    more = {
        "Resize": dict(size=5),
        "CenterCrop": dict(size=6),
        "Pad": dict(padding=1, fill=3),
        "Grayscale": {},
    }
    transform = getattr(transforms, name)(**{**RANDOM, **more}[name])
    x = np.random.default_rng(0).integers(0, 256, (8, 9, *[3] * coloured)).astype(np.uint8)
    planes = np.moveaxis(x, -1, 0) if coloured else x[None]
    ad.manual_seed(0)
    found = transform(x)
    ad.manual_seed(0)
    expected = transform(ad.from_numpy(planes.copy())).numpy()
    assert type(found) is np.ndarray and found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.moveaxis(expected, 0, -1) if coloured else expected[0])


@pytest.mark.parametrize(
    "transform",
    [
        transforms.RandomAffine(30, (0.2, 0.1), (0.8, 1.3), 10), transforms.RandomRotation(50, center=(1, 2), fill=7),
        transforms.RandomAffine((5, 9), interpolation=InterpolationMode.BILINEAR, fill=9, center=(2, 3)),
        transforms.RandomRotation(20, InterpolationMode.BILINEAR),
    ],
)  # fmt: skip
@given(x=pictures, seed=st.integers(0, 99), stage=st.sampled_from(["before", "after"]))
def test_whole_batches_are_turned_to_the_same_bits(transform, x, seed, stage):
    assert supports_batch(transform) and not supports_batch(transforms.RandomRotation(3, expand=True))
    chain = Compose([transform, ToTensor()] if stage == "before" else [ToTensor(), transform])
    ad.manual_seed(seed)
    single = np.stack([chain(picture).numpy() for picture in x])
    ad.manual_seed(seed)
    whole = chain.on_batch(x.copy())
    assert whole.shape == single.shape and whole.numpy().tobytes() == single.tobytes()


def test_augmented_digits_through_workers():
    transform = Compose([transforms.RandomAffine(10, (0.1, 0.1)), ToTensor(), transforms.RandomErasing()])
    digits = Subset(MNIST(DIGITS, train=False, transform=transform), range(40))
    runs = []
    for workers in (0, 2):
        ad.manual_seed(0)
        loader = DataLoader(digits, 10, shuffle=True, num_workers=workers)
        runs.append([x.numpy().tobytes() for _ in range(2) for x, _ in loader])
    assert runs[0] == runs[1] and len(set(runs[0])) == 8


def test_one_of_many_and_all_in_some_order():
    ad.manual_seed(0)
    plus, times = Lambda(lambda x: x + 1), Lambda(lambda x: x * 10)
    assert {transforms.RandomChoice([plus, times])(3) for _ in range(40)} == {4, 30}
    assert {transforms.RandomChoice([plus, times], p=[0, 2])(3) for _ in range(20)} == {30}
    assert {transforms.RandomOrder([plus, times])(3) for _ in range(40)} == {31, 40}
    assert {transforms.RandomApply([plus, times], 0.5)(3) for _ in range(40)} == {3, 40}
    share = sum(transforms.RandomApply([plus], 0.2)(0) for _ in range(2000)) / 2000
    assert abs(share - 0.2) < 0.05
    assert repr(transforms.RandomApply([plus], 0.2)) == "RandomApply(\n    p=0.2\n    Lambda()\n)"


def test_from_a_pil_image_to_a_tensor_and_back():
    image = pillow().fromarray(np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8))
    for there in (transforms.PILToTensor(), ToTensor()):
        assert transforms.ToPILImage()(there(image)).tobytes() == image.tobytes()
    assert transforms.PILToTensor()(image).dtype == ad.uint8
    assert transforms.ConvertImageDtype(ad.float32)(transforms.PILToTensor()(image)).equal(ToTensor()(image))


def test_a_grid_and_its_file():
    x = ad.arange(3 * 4).reshape(3, 1, 2, 2).float() / 11
    grid = images.make_grid(x, nrow=2, padding=1, pad_value=1)
    assert grid.shape == (3, 7, 7) and grid[0, 1, 1:3].tolist() == x[0, 0, 0].tolist()
    assert (grid[:, 4:, 4:] == 1).all() and grid[2, 4, 1] == x[2, 0, 0, 0]
    pillow()
    images.save_image(list(x), file := io.BytesIO(), format="PNG", padding=0)
    saved = np.asarray(pillow().open(file))
    np.testing.assert_array_equal(saved[:, :, 0], np.rint(255 * np.concatenate(list(x.numpy()[:, 0]), 1)))


def test_without_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        images.save_image(ad.ones(1, 2, 2), io.BytesIO(), "PNG")


@pytest.mark.parametrize(
    "apply, error, words",
    [
        (lambda: transforms.Resize(5.0), TypeError, "Size should be int or sequence. Got <class 'float'>"),
        (lambda: transforms.Resize([1, 2, 3]), ValueError, "it should have 1 or 2 values"),
        (lambda: transforms.Resize(3, "bilinear"), TypeError, "should be a InterpolationMode or a corresponding Pillow"),
        (lambda: transforms.Resize(3, InterpolationMode.BOX)(ad.ones(1, 5, 5)), ValueError, "'box' is unsupported with Tensor"),
        (lambda: transforms.CenterCrop((1, 2, 3)), ValueError, "Please provide only two dimensions"),
        (lambda: transforms.Pad("1"), TypeError, "Got inappropriate padding arg"),
        (lambda: transforms.Pad((1, 2, 3)), ValueError, "a 1, 2, or 4 element tuple, not a 3 element tuple"),
        (lambda: transforms.Pad(1, padding_mode="wrap"), ValueError, "either constant, edge, reflect or symmetric"),
        (lambda: transforms.RandomCrop(9)(ad.ones(1, 5, 5)), ValueError, r"Required crop size \(9, 9\) is larger than input image size \(5, 5\)"),
        (lambda: transforms.RandomRotation(-1), ValueError, "If degrees is a single number, it must be positive"),
        (lambda: transforms.RandomRotation((1, 2, 3)), ValueError, "degrees should be a sequence of length 2"),
        (lambda: transforms.RandomRotation(1, fill={}), TypeError, "Fill should be either a sequence or a number"),
        (lambda: transforms.RandomAffine(1, translate=(0.5, 2)), ValueError, "translation values should be between 0 and 1"),
        (lambda: transforms.RandomAffine(1, scale=(0, 1)), ValueError, "scale values should be positive"),
        (lambda: transforms.RandomAffine(1, shear=(1, 2, 3)), ValueError, "shear should be a sequence of length 2 or 4"),
        (lambda: transforms.RandomAffine(1, center=3), TypeError, "center should be a sequence of length 2"),
        (lambda: transforms.RandomErasing(value="black"), ValueError, "it should be 'random'"),
        (lambda: transforms.RandomErasing(p=2), ValueError, "probability should be between 0 and 1"),
        (lambda: transforms.RandomErasing(p=1, value=(1, 2))(ad.ones(3, 5, 5)), ValueError, "a single value or 3"),
        (lambda: transforms.RandomErasing(p=1)(np.ones((5, 5))), TypeError, "Put ToTensor"),
        (lambda: transforms.RandomResizedCrop(3, scale=1), TypeError, "Scale should be a sequence"),
        (lambda: transforms.RandomChoice([len], p=0.5), TypeError, "Argument p should be a sequence"),
        (lambda: transforms.Grayscale(2)(ad.ones(3, 2, 2)), ValueError, "should be either 1 or 3"),
        (lambda: transforms.Grayscale()(ad.ones(2, 2, 2)), TypeError, r"permitted channel values are \[1, 3\], but found 2"),
        (lambda: functional.hflip([1]), TypeError, "img should be PIL Image, Tensor or ndarray"),
        (lambda: functional.hflip(ad.ones(3, 2, 2).requires_grad_()), RuntimeError, r"write \.detach\(\)"),
        (lambda: functional.affine(ad.ones(1, 2, 2), 0, [1], 1, 0), ValueError, "translate should be a sequence of length 2"),
        (lambda: images.make_grid(3), TypeError, "tensor or list of tensors expected, got <class 'int'>"),
        (lambda: images.make_grid([3]), TypeError, "got a list containing <class 'int'>"),
    ],
)  # fmt: skip
def test_errors_of_pictures(apply, error, words):
    with pytest.raises(error, match=words):
        apply()


def test_they_say_what_they_are():
    text = repr(Compose([ToTensor(), Normalize((0.5,), (0.25,)), Lambda(len)]))
    assert text == "Compose(\n    ToTensor()\n    Normalize(mean=(0.5,), std=(0.25,))\n    Lambda()\n)"


# ---- bytes by a table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
@pytest.mark.parametrize(
    "steps",
    [
        [transforms.ToTensor()],
        [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))],
        [
            transforms.ToTensor(),
            transforms.Normalize(0.5, ad.tensor([0.25])),
            transforms.Compose([transforms.Normalize([0.1], [3])]),
        ],
    ],
)
def test_what_is_done_to_each_byte_alone_is_a_table_of_the_same_bits(steps, dtype):
    images = np.random.default_rng(0).integers(0, 256, (9, 5, 4)).astype(np.uint8)
    ad.set_default_dtype(dtype)
    try:
        table = table_of(transforms.Compose(steps))
        expected = transforms.Compose(steps).on_batch(images.copy())
    finally:
        ad.set_default_dtype(ad.float32)
    assert table is not None and table.dtype == dtype
    np.testing.assert_array_equal(table[images][:, None], expected.array)


@pytest.mark.parametrize(
    "transform",
    [
        transforms.Lambda(lambda x: x), transforms.Compose([]), transforms.Normalize(0.1, 0.2), transforms.Compose([transforms.ToTensor(), transforms.RandomErasing()]),
        transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1, 0.2, 0.3), (1, 1, 1))]), type("Own", (transforms.ToTensor,), {})(), abs,
    ],
)  # fmt: skip
def test_what_may_look_at_more_than_a_byte_has_no_table(transform):
    assert table_of(transform) is None


def test_a_normalisation_that_is_changed_changes_what_comes():
    normalize = transforms.Normalize((0.5,), (0.5,))
    before = table_of(transforms.Compose([transforms.ToTensor(), normalize]))
    normalize.mean = (0.25,)
    after = table_of(transforms.Compose([transforms.ToTensor(), normalize]))
    assert before is not None and after is not None
    np.testing.assert_allclose(after, before + 0.5, atol=1e-6)
