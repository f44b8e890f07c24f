"""Pictures of one's own: found, cropped, scaled, centred as MNIST's are, and read, whatever their kind."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest

from examples.mnist import networks, picture, predict
from nn import checkpoint
from nn.datasets import MNIST

pytest.importorskip("safetensors")
Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed: pip install pillow")

DIGITS = MNIST(Path(__file__).parents[2] / "examples" / "mnist" / "data", train=False).data.array[:40]
SEVEN = DIGITS[0]
RNG = np.random.default_rng(0)


def enlarged(digit, side=280):
    """Brightness 0…1, light on dark."""
    return np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)) / 255


def on_paper(digit, height=400, width=600, side=280):
    paper = np.zeros((height, width))
    paper[70 : 70 + side, 90 : 90 + side] = enlarged(digit, side)
    return paper


def saved(path, brightness, mode="L", **options):
    Image.fromarray(np.uint8(255 * brightness)).convert(mode).save(path, **options)
    return path


def near(found, digit, most=0.07):
    """Is it that digit, but for resampling? The mean difference of a pixel tells."""
    assert found.shape == (28, 28) and found.dtype == np.uint8
    return np.abs(found.astype(float) - digit).mean() / 255 < most


# ---- from any picture to MNIST's ----------------------------------------------------------------


@pytest.mark.parametrize("k", range(0, 40, 5))
def test_mnists_own_digits_come_back(k):
    for brightness in (DIGITS[k] / 255, enlarged(DIGITS[k]), on_paper(DIGITS[k])):
        assert near(picture.as_mnist(brightness), DIGITS[k])
        np.testing.assert_array_equal(
            picture.as_mnist(brightness),
            picture.as_mnist(1 - brightness),  # ink and paper exchanged
        )


@pytest.mark.parametrize("k", range(1, 40, 8))
def test_the_box_and_the_centre_of_mass(k):
    found = picture.as_mnist(on_paper(DIGITS[k], side=np.random.default_rng(k).integers(40, 300)))
    rows, columns = (np.flatnonzero(found.any(axis)) for axis in (1, 0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20 and found.max() == 255
    for axis in (0, 1):
        assert abs(found.sum(1 - axis) @ np.arange(28) / found.sum() - 14) <= 0.5


def test_light_that_falls_off_noise_and_dust():
    ink = on_paper(SEVEN)
    y, x = np.indices(ink.shape) / 600
    photo = (0.8 - 0.4 * x - 0.2 * y) * (1 - 0.6 * ink) + RNG.normal(0, 0.02, ink.shape)
    assert near(picture.as_mnist(photo), SEVEN)
    dusty = 1 - ink
    dusty[380:388, 560:566] = 0
    np.testing.assert_allclose(picture.as_mnist(dusty), picture.as_mnist(1 - ink), atol=1)


def test_a_fine_pen_is_thickened():
    thin = np.ones((300, 300))
    thin[50:53, 60:200] = thin[50:250, 200:203] = 0  # 3 pixels wide, where 20 would be MNIST's 2
    found = picture.as_mnist(thin)
    assert 1.5 < (found[12:22] > 100).sum() / 10 < 3.5


def test_accents_of_a_digit_are_no_dust():
    five = np.zeros((100, 100))
    five[20:80, 40:48] = five[10:16, 60:85] = 1
    found = picture.as_mnist(five)
    assert np.flatnonzero(found.any(0)).size > 10


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (3, 3), (400, 400)])
@pytest.mark.parametrize("tone", [0, 0.5, 1])
def test_an_even_picture_has_no_digit(shape, tone):
    with pytest.raises(ValueError, match="there is no digit in it"):
        picture.as_mnist(np.full(shape, tone))
    with pytest.raises(ValueError, match="there is no digit in it"):
        picture.as_mnist(np.clip(tone + RNG.normal(0, 0.02, (200, 300)), 0, 1))


@pytest.mark.parametrize(
    "mask",
    [np.zeros((4, 5), bool), np.ones((3, 4), bool), np.eye(9, dtype=bool), RNG.random((60, 70)) < 0.05],
)
def test_pieces_are_what_hangs_together(mask):
    found = picture.labelled(mask)
    assert mask.shape == found.shape and set(np.unique(found)) - {0} == set(range(1, found.max() + 1))
    assert (found[mask] > 0).all()
    for axis in (0, 1):
        a, b = np.split(found, [1], axis)[1], np.split(found, [-1], axis)[0]
        assert ((a == b) | (a == 0) | (b == 0)).all()


def test_a_spiral_is_one_piece():
    spiral = np.zeros((41, 41), bool)
    y, x, dy, dx = 0, 0, 0, 1
    for length in [40, *[n for n in range(40, 4, -4) for _ in (0, 1)]]:
        for _ in range(length):
            spiral[y, x] = True
            y, x = y + dy, x + dx
        dy, dx = dx, -dy
    assert picture.labelled(spiral).max() == 1


# ---- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mode, name",
    [
        ("L", "x.png"), ("RGB", "x.png"), ("RGBA", "x.png"), ("LA", "x.png"), ("P", "x.png"), ("1", "x.png"),
        ("I;16", "x.png"), ("L", "x.jpg"), ("RGB", "x.jpg"), ("CMYK", "x.jpg"), ("RGB", "x.webp"),
        ("P", "x.gif"), ("RGB", "x.bmp"), ("F", "x.tiff"), ("I", "x.tiff"),
    ],
)  # fmt: skip
def test_every_mode(tmp_path, mode, name):
    brightness = 1 - on_paper(SEVEN)
    if mode == "I;16":
        Image.fromarray(np.uint16(40_000 * brightness)).save(tmp_path / name)
    else:
        saved(tmp_path / name, brightness, mode)
    dithered = mode == "1"
    assert near(picture.as_mnist(picture.read(tmp_path / name)), SEVEN, 0.1 if dithered else 0.07)


@pytest.mark.parametrize("tone", [0, 255])
@pytest.mark.parametrize("hidden", [0, 128, 255])
def test_transparent_paper(tmp_path, tone, hidden):
    """Whatever colour the transparent pixels have."""
    alpha = np.uint8(255 * on_paper(SEVEN))
    grey = np.where(alpha > 0, tone, hidden).astype(np.uint8)
    Image.fromarray(np.dstack([grey, grey, grey, alpha])).save(tmp_path / "x.png")
    assert near(picture.as_mnist(picture.read(tmp_path / "x.png")), SEVEN)


@pytest.mark.parametrize("orientation, turned", [(3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90),
                                                 (8, Image.Transpose.ROTATE_270)])  # fmt: skip
def test_cameras_that_turn_pictures(tmp_path, orientation, turned):
    image = Image.fromarray(np.uint8(255 * (1 - on_paper(SEVEN)))).transpose(turned)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "x.jpg", exif=exif)
    assert near(picture.as_mnist(picture.read(tmp_path / "x.jpg")), SEVEN)


def test_large_pictures_are_made_smaller_and_huge_ones_refused(tmp_path, monkeypatch):
    saved(tmp_path / "x.jpg", 1 - on_paper(SEVEN, 3000, 4000, 2000))
    brightness = picture.read(tmp_path / "x.jpg")
    assert max(brightness.shape) <= picture.WORKED_AT and near(picture.as_mnist(brightness), SEVEN)
    header = io.BytesIO()
    Image.new("L", (1, 1)).save(header, "PNG")
    content = bytearray(header.getvalue())
    content[16:24] = (60_000).to_bytes(4, "big") * 2  # the size it claims to have
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(content)
    with pytest.raises(ValueError, match="too large|60000 × 60000"):
        picture.read(tmp_path / "bomb.png")
    monkeypatch.setattr(picture, "MOST", 1000)
    with pytest.raises(ValueError, match="4000 × 3000 pixels.*Try a smaller copy"):
        picture.read(tmp_path / "x.jpg")


# ---- the program ---------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A folder with a run whose network answers 7 to everything."""
    net = networks.built("linear", None)
    with_seven = {"0.weight": net[0].weight.detach() * 0, "0.bias": net[0].bias.detach() * 0}
    with_seven["0.bias"].array[7] = 3
    network = {"model": "linear", "hidden": None, "dataset": "mnist"}
    state = {"model": with_seven, "progress": {"epoch": 1}, "network": network}
    checkpoint.save(tmp_path / "runs" / "one" / networks.STATE, state)
    monkeypatch.chdir(tmp_path)
    return Path("runs/one")


def test_several_pictures_one_of_them_bad(run, capsys):
    good = [str(saved(Path(f"{k}.png"), on_paper(DIGITS[k]))) for k in (0, 1)]
    saved(Path("blank.png"), np.ones((9, 9)))
    Path("text.png").write_text("hello", encoding="utf-8")
    saved(Path("cut.jpg"), on_paper(SEVEN))
    Path("cut.jpg").write_bytes(Path("cut.jpg").read_bytes()[:2000])
    Path("empty.png").touch()
    bad = ["blank.png", "text.png", "cut.jpg", "missing.png", ".", "empty.png"]
    assert predict.main([good[0], *bad, good[1]]) == 1
    out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if line.endswith("%)")] == [
        "0.png: 7 (69.1 %)",
        "1.png: 7 (69.1 %)",
    ]
    said = err.splitlines()
    assert len(said) == len(bad)
    for name, line, words in zip(
        bad, said, ("no digit", "not a picture", "damaged", "No such file", "", "not a picture"), strict=True
    ):
        assert line.startswith(f"{name}: ") and words in line
    assert predict.main(good) == 0


class Terminal(io.StringIO):
    def __init__(self, encoding, terminal):
        super().__init__()
        self.kind, self.terminal = encoding, terminal

    @property
    def encoding(self):
        return self.kind

    def isatty(self):
        return self.terminal


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "gbk", "cp437"])
@pytest.mark.parametrize("terminal", [True, False])
def test_what_the_network_sees(run, encoding, terminal, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    network = networks.trained(run)
    out = Terminal(encoding, terminal)
    text = predict.report(Path("a ｄ七.png"), SEVEN, network, out)
    text.encode(encoding)
    assert ("\x1b[" in text) == (terminal and encoding == "utf-8")
    lines = text.splitlines()
    assert len(lines) == 16 and max(map(len, lines[2:] if "\x1b" not in text else [""])) < 70
    assert sum("%" in line for line in lines[2:]) >= 10 and "> 7 " in text
    if terminal:
        monkeypatch.setenv("NO_COLOR", "1")
        assert "\x1b[" not in predict.report(Path("x"), SEVEN, network, out)


def test_pixels_in_letters():
    pixels = np.zeros((28, 28), np.uint8)
    pixels[0, 3], pixels[1, 3], pixels[27, 27] = 255, 100, 255
    (first, *_, last) = predict.half_blocks(pixels)
    assert first.count("▀") == 28 and "\x1b[38;5;255;48;5;241m▀" in first
    assert last.endswith("\x1b[38;5;232;48;5;255m▀\x1b[0m")
    assert predict.shades(pixels, False)[0][3] not in " @" and predict.shades(pixels, True)[0][:4] == "   ▓"
    assert predict.bar(1, True) == "█" * 24 and predict.bar(0, True) == " " * 24
    assert predict.bar(0.5, False) == "#" * 12 + " " * 12 and len(predict.bar(0.013, True)) == 24


def test_which_network_reads(run, tmp_path, monkeypatch, capsys):
    image = str(saved(tmp_path / "x.png", on_paper(SEVEN)))
    for flags in ([], ["--from", "runs/one"], ["--from", f"runs/one/{networks.STATE}"]):
        assert predict.main([*flags, image]) == 0
    capsys.readouterr()
    (tmp_path / "elsewhere").mkdir()
    checkpoint.save("old/checkpoint.safetensors", {"model": {}, "progress": {"epoch": 1}})
    for flags, words in (
        (["--from", "old"], "an older version of it"),
        (["--from", "nowhere"], "train one by\n  python -m examples.mnist --out nowhere"),
        (["--from", image], "not a safetensors file"),
    ):
        with pytest.raises(SystemExit) as stopped:
            predict.main([*flags, image])
        assert stopped.value.code == 2 and words in capsys.readouterr().err
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(SystemExit):
        predict.main([image])
    assert (
        "no trained network under" in (said := capsys.readouterr().err) and "python -m examples.mnist" in said
    )
