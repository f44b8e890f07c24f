"""MNIST and its kin: found, checked, fetched from mirrors that lie and break, and read in batches."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from idx_files import idx_bytes, written

import autodiff as ad
from nn import transforms
from nn.data import Batch, DataLoader, Subset
from nn.datasets import MNIST, FashionMNIST, download
from nn.datasets.download import Published

ROOT = Path(__file__).parents[2]
REPOSITORY = ROOT / "examples" / "mnist" / "data"
NAMES = [file.name for file in MNIST.files]
RNG = np.random.default_rng(0)
ARRAYS = [
    RNG.integers(0, 256, (9, 28, 28), np.uint8), RNG.integers(0, 10, 9, np.uint8),
    RNG.integers(0, 256, (4, 28, 28), np.uint8), RNG.integers(0, 10, 4, np.uint8),
]  # fmt: skip
CONTENTS = dict(zip(NAMES, map(idx_bytes, ARRAYS), strict=True))
BATCHED = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
SINGLE = transforms.Compose([transforms.Lambda(lambda image: image), *BATCHED.transforms])


class Tiny(MNIST):
    """A data set of MNIST's kind, small enough to test with."""

    mirrors = ()
    files = tuple(Published(n, len(c), hashlib.sha256(c).hexdigest()) for n, c in CONTENTS.items())


class TinyGz(Tiny):
    """One that is known by its compressed files."""

    files = tuple(
        Published(n, len(c), hashlib.sha256(gzip.compress(c, mtime=0)).hexdigest(), of_gz=True)
        for n, c in CONTENTS.items()
    )


def fill(folder, suffix=".gz", names=NAMES):
    for name in names:
        written(folder / f"{name}{suffix}", CONTENTS[name])
    return folder


def same(dataset, images, labels):
    np.testing.assert_array_equal(dataset.data.array, images, strict=True)
    np.testing.assert_array_equal(dataset.targets.array, labels.astype(np.int64), strict=True)


# ---- files that are there ------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("folder", [".", "Tiny/raw"])
@pytest.mark.parametrize("ask", [False, True])
def test_files_are_found_and_read(tmp_path, folder, suffix, ask):
    fill(tmp_path / folder, suffix)
    same(Tiny(tmp_path, download=ask), *ARRAYS[:2])
    same(Tiny(str(tmp_path), train=False, download=ask), *ARRAYS[2:])


def test_the_root_may_be_in_ones_home(tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    fill(tmp_path / "data")
    same(Tiny("~/data"), *ARRAYS[:2])


def test_only_half_of_the_files_is_needed_for_half_of_the_data(tmp_path):
    fill(tmp_path, names=NAMES[2:])
    same(Tiny(tmp_path, train=False), *ARRAYS[2:])
    with pytest.raises(RuntimeError, match="Dataset not found"):
        Tiny(tmp_path)


def test_nothing_there_names_the_files_and_where_they_go(tmp_path):
    with pytest.raises(RuntimeError) as error:
        Tiny(tmp_path)
    text = str(error.value)
    assert "Dataset not found. You can use download=True to download it" in text
    assert all(f"{name}.gz" in text for name in NAMES)
    assert str(tmp_path / "Tiny" / "raw") in text and str(tmp_path) in text


def test_another_data_sets_files_of_the_same_name_are_not_taken(tmp_path):
    fill(tmp_path)
    other = idx_bytes(ARRAYS[0] // 2)
    written(tmp_path / f"{NAMES[0]}.gz", other)
    with pytest.raises(RuntimeError) as error:
        Tiny(tmp_path)
    text = str(error.value)
    assert str(tmp_path / f"{NAMES[0]}.gz") in text and hashlib.sha256(other).hexdigest() in text
    fill(tmp_path / "Tiny" / "raw")  # what is in its own folder comes first
    same(Tiny(tmp_path), *ARRAYS[:2])


@pytest.mark.parametrize(
    "content",
    [idx_bytes(ARRAYS[0] // 2), idx_bytes(ARRAYS[0][:-1]), CONTENTS[NAMES[0]] + b"!", bytes(2**24)],
)
def test_its_own_folders_files_are_checked_when_they_could_be_fetched(tmp_path, content):
    path = written(fill(tmp_path / "Tiny" / "raw") / f"{NAMES[0]}.gz", content)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="found .* expected") as error:
        Tiny(tmp_path, download=True)
    assert str(path) in str(error.value) and "leave out download=True" in str(error.value)
    assert path.read_bytes() == before


def test_and_are_taken_as_they_are_otherwise(tmp_path):
    raw = tmp_path / "Tiny" / "raw"
    written(raw / NAMES[0], idx_bytes(ARRAYS[0][:3]))
    written(raw / NAMES[1], idx_bytes(ARRAYS[1][:3]))
    same(Tiny(tmp_path), ARRAYS[0][:3], ARRAYS[1][:3])


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (ARRAYS[0], ARRAYS[1][:-1]),
        (ARRAYS[0][:, :27], ARRAYS[1]),
        (ARRAYS[0].astype("i2"), ARRAYS[1]),
        (ARRAYS[1], ARRAYS[1]),
    ],
)
def test_files_that_do_not_belong_together_are_refused(tmp_path, images, labels):
    raw = tmp_path / "Tiny" / "raw"
    written(raw / NAMES[0], idx_bytes(images))
    written(raw / NAMES[1], idx_bytes(labels))
    with pytest.raises(ValueError, match="do not belong together") as error:
        Tiny(tmp_path)
    assert str(images.shape) in str(error.value) and str(labels.shape) in str(error.value)


def test_a_data_set_known_by_its_compressed_files(tmp_path):
    fill(tmp_path, "")
    with pytest.raises(RuntimeError, match=r"only the \.gz can be told from others"):
        TinyGz(tmp_path)
    fill(tmp_path)
    same(TinyGz(tmp_path), *ARRAYS[:2])
    (tmp_path / f"{NAMES[0]}.gz").write_bytes(gzip.compress(CONTENTS[NAMES[0]], 1, mtime=0))
    with pytest.raises(RuntimeError, match="found SHA-256"):
        TinyGz(tmp_path)
    same(TinyGz(fill(tmp_path / "TinyGz" / "raw", "").parents[1], download=True), *ARRAYS[:2])


def test_a_file_that_changed_is_checked_again(tmp_path):
    path = written(tmp_path / "x", CONTENTS[NAMES[1]])
    assert Tiny.files[1].fault(path) == ""
    written(path, CONTENTS[NAMES[1]][:-1])
    assert "found 16 bytes, expected 17" in Tiny.files[1].fault(path)


# ---- files that are fetched ----------------------------------------------------------------------


class Mirror(http.server.BaseHTTPRequestHandler):
    """Answers /WAY/NAME.gz with that file, in a way that a mirror may fail."""

    def do_GET(self):
        _, way, name = self.path.split("/")
        self.server.asked.append(f"{way}/{name}")
        content = gzip.compress(CONTENTS[name.removesuffix(".gz")], mtime=0)
        length = len(content)
        if way == "together" and NAMES[0] in name:
            self.server.both_have_asked.wait()
        if way == "silent":  # takes the call, and says nothing
            self.close_connection = True
            return self.wait_for_the_other_side()
        if way in ("absent", "broken"):
            return self.send_error({"absent": 404, "broken": 500}[way])
        if way in ("moved", "lost", "circle", "to-a-file"):
            target = {"moved": "/good", "lost": "/absent", "circle": "/circle", "to-a-file": "file:///etc"}[
                way
            ]
            self.send_response(302)
            self.send_header("Location", f"{target}/{name}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if way == "cut":
            content = content[: length // 2]
        elif way == "cut-silently":
            length = len(content := content[: length // 2])
        elif way == "other":
            length = len(content := gzip.compress(b"<html>buy this domain</html>"))
        elif way == "page":
            length = len(content := b"<html>buy this domain</html>")
        elif way == "swelling":
            length = len(content := gzip.compress(bytes(2**24)))
        elif way == "corrupt":  # as long as it should be, a bit of the pixels is another
            where = length // 2
            content = content[:where] + bytes([content[where] ^ 1]) + content[where + 1 :]
        elif way == "forged":  # a whole file of the right size, of other pixels
            other = bytearray(CONTENTS[name.removesuffix(".gz")])
            other[-1] ^= 1
            length = len(content := gzip.compress(other, mtime=0))
        elif way == "empty":
            content, length = b"", 0
        elif way == "bomb":  # as short as the file may be; it swells to a thousand times that
            length = len(content := gzip.compress(bytes(2**22), mtime=0))
        elif way == "misnumbered":
            length = "many"
        elif way == "endless":
            content, length = bytes(2**24), 2**24
        elif way == "stalled":
            content = content[:5]
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        try:
            self.wfile.write(content)
            if way == "stalled":
                self.wait_for_the_other_side()
        except OSError:
            self.close_connection = True  # the other side has had enough

    def wait_for_the_other_side(self):
        """The connection stays open until it has had enough."""
        self.connection.settimeout(20)
        self.connection.recv(1)

    def log_message(self, *_):
        pass


FAILURES = {
    "absent": "404", "broken": "500", "lost": "404", "circle": "infinite loop", "stalled": "timed out", "cut": "announced", "cut-silently": "broken gzip", "other": "found 28 bytes",
    "silent": "timed out", "corrupt": "broken gzip", "forged": "found SHA-256", "empty": "found 0 bytes", "bomb": "found more than 7072 bytes",
    "misnumbered": "Content-Length", "to-a-file": "not allowed", "page": "found 28 bytes", "swelling": "more than", "endless": "never has",
}  # fmt: skip


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def mirrors(server, monkeypatch):
    """Sets the ways of Tiny's mirrors; returns what they were asked."""

    def these(*ways):
        urls = [f"http://127.0.0.1:{server.server_port}/{way}/" for way in ways]
        monkeypatch.setattr(Tiny, "mirrors", urls)
        server.asked.clear()
        return server.asked

    monkeypatch.setenv("no_proxy", "*")
    receive = download.receive

    def impatient(url, *arguments, **options):  # with that one mirror alone, so that no test is a race
        monkeypatch.setattr(download, "TIMEOUT", 0.2 if "/stalled/" in url or "/silent/" in url else 60)
        receive(url, *arguments, **options)

    monkeypatch.setattr(download, "receive", impatient)
    return these


def files_under(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_what_is_missing_is_fetched_once(tmp_path, mirrors):
    asked = mirrors("good")
    fill(tmp_path, names=NAMES[:1])
    same(Tiny(tmp_path, download=True), *ARRAYS[:2])
    assert asked == [f"good/{name}.gz" for name in NAMES[1:]]
    assert files_under(tmp_path / "Tiny" / "raw") == sorted(f"{name}.gz" for name in NAMES[1:])
    same(Tiny(tmp_path, train=False), *ARRAYS[2:])
    same(Tiny(tmp_path, train=False, download=True), *ARRAYS[2:])
    assert len(asked) == 3


def test_it_is_fetched_beside_another_data_set_in_a_flat_folder(tmp_path, mirrors):
    mirrors("good")
    for name in NAMES:
        written(tmp_path / f"{name}.gz", b"not this one")
    same(Tiny(tmp_path, download=True), *ARRAYS[:2])
    assert (tmp_path / f"{NAMES[0]}.gz").read_bytes() == gzip.compress(b"not this one", mtime=0)


@pytest.mark.parametrize("way", FAILURES)
def test_the_next_mirror_is_tried(tmp_path, mirrors, way):
    asked = mirrors(way, "good")
    same(Tiny(tmp_path, download=True), *ARRAYS[:2])
    assert asked[0] == f"{way}/{NAMES[0]}.gz" and f"good/{NAMES[0]}.gz" in asked
    assert files_under(tmp_path) == sorted(f"{name}.gz" for name in NAMES)


def test_a_mirror_may_have_moved(tmp_path, mirrors):
    asked = mirrors("moved")
    same(Tiny(tmp_path, download=True), *ARRAYS[:2])
    assert asked[:2] == [f"moved/{NAMES[0]}.gz", f"good/{NAMES[0]}.gz"]


FETCHER = """
import json, sys
from nn.datasets import MNIST
from nn.datasets.download import Published

class Tiny(MNIST):
    mirrors = [sys.argv[2]]
    files = tuple(Published(*file) for file in json.loads(sys.argv[3]))

print(len(Tiny(sys.argv[1], download=True)))
"""


def test_two_processes_may_fetch_the_same_at_once(tmp_path, mirrors, server):
    asked = mirrors("together")
    server.both_have_asked = threading.Barrier(2, timeout=60)
    command = [sys.executable, "-c", FETCHER, str(tmp_path), Tiny.mirrors[0], json.dumps(Tiny.files)]
    two = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in two:
        out, err = process.communicate(timeout=120)
        assert out == "9\n", err
    assert asked.count(f"together/{NAMES[0]}.gz") == 2
    assert files_under(tmp_path) == sorted(f"{name}.gz" for name in NAMES)
    same(Tiny(tmp_path, download=True), *ARRAYS[:2])


def test_a_killed_download_leaves_no_half_file(tmp_path, mirrors):
    mirrors("stalled")
    command = [sys.executable, "-c", FETCHER, str(tmp_path), Tiny.mirrors[0], json.dumps(Tiny.files)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (left := files_under(tmp_path)) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() != 0 and all(name.endswith(".part") for name in left)
    mirrors("good")
    same(Tiny(tmp_path, download=True), *ARRAYS[:2])


@pytest.mark.parametrize("way", FAILURES)
def test_without_a_good_mirror_one_error_says_all_and_nothing_is_left(tmp_path, mirrors, way):
    mirrors(way)
    with pytest.raises(RuntimeError) as error:
        Tiny(tmp_path, download=True)
    text = str(error.value)
    assert Tiny.mirrors[0] in text and FAILURES[way] in text
    assert all(f"{name}.gz" in text for name in NAMES) and str(tmp_path / "Tiny" / "raw") in text
    assert files_under(tmp_path) == []


def test_without_a_network_too(tmp_path, monkeypatch):
    monkeypatch.setattr(Tiny, "mirrors", ["http://127.0.0.1:1/", "no-such-scheme:/"])
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(RuntimeError, match="could not be fetched") as error:
        Tiny(tmp_path / "mistyped", download=True)
    assert all(url in str(error.value) for url in Tiny.mirrors)
    assert not any(tmp_path.iterdir())  # no empty folders either


def test_an_interrupted_download_leaves_nothing(tmp_path, mirrors, monkeypatch):
    class Interrupted(download.Silent):
        def update(self, n):
            raise KeyboardInterrupt

    mirrors("good")
    monkeypatch.setattr(download, "progress", lambda *_: Interrupted())
    with pytest.raises(KeyboardInterrupt):
        Tiny(tmp_path, download=True)
    assert files_under(tmp_path) == []


@pytest.mark.parametrize("installed", [True, False])
def test_the_bar_is_tqdm_where_it_is_installed(tmp_path, mirrors, monkeypatch, capsys, installed):
    mirrors("good")
    if installed:
        pytest.importorskip("tqdm")
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    Tiny(tmp_path, download=True)
    out, err = capsys.readouterr()
    assert out == "" and (f"{NAMES[0]}.gz: 100%" in err) == installed


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path, mirrors):
    mirrors("good")
    (tmp_path / "Tiny").write_text("in the way", encoding="utf-8")
    with pytest.raises(OSError, match="Tiny"):
        Tiny(tmp_path, download=True)


# ---- samples -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("tiny"))


def test_a_sample_is_an_image_and_a_number(tiny):
    image, label = Tiny(tiny)[3]
    assert isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.shape == (28, 28)
    assert type(label) is int and label == ARRAYS[1][3]
    dataset = Tiny(tiny, transform=lambda image: image.sum(), target_transform=lambda label: -label)
    assert dataset[-1] == (ARRAYS[0][8].sum(), -int(ARRAYS[1][8]))
    assert len(dataset) == 9 and len(list(zip(dataset, range(99), strict=False))) == 9
    with pytest.raises(IndexError):
        dataset[9]


def test_what_is_done_to_a_sample_is_not_done_to_the_data(tiny):
    dataset = Tiny(tiny)
    image, _ = dataset[0]
    image += 1
    same(dataset, *ARRAYS[:2])

    def inverted(image):
        np.subtract(255, image, out=image)
        return image

    dataset = Tiny(tiny, transform=inverted)
    for _ in range(2):
        np.testing.assert_array_equal(dataset[2][0], 255 - ARRAYS[0][2])


@pytest.mark.parametrize("transform", [None, transforms.Compose([]), lambda image: image])
def test_without_a_transform_batches_are_of_bytes(tiny, transform):
    for (images, labels), first in zip(
        DataLoader(Tiny(tiny, transform=transform), 4), (0, 4, 8), strict=True
    ):
        assert isinstance(images, ad.Tensor) and isinstance(labels, ad.Tensor)
        np.testing.assert_array_equal(images.array, ARRAYS[0][first : first + 4], strict=True)


def test_it_says_what_it_is(tiny):
    dataset = Tiny(tiny, train=False, transform=BATCHED, target_transform=abs)
    assert repr(dataset) == (
        f"Dataset Tiny\n    Number of datapoints: 4\n    Root location: {tiny}\n    Split: Test\n"
        "    Transform: Compose(\n        ToTensor()\n        Normalize(mean=(0.1307,), std=(0.3081,))\n"
        "    )\n    Target transform: <built-in function abs>"
    )


@given(indices=st.lists(st.integers(-9, 8), max_size=12))
def test_a_whole_batch_is_its_samples(tiny, indices):
    batch = Tiny(tiny, transform=BATCHED).__getitems__(indices)
    samples = Tiny(tiny, transform=SINGLE).__getitems__(indices)
    assert isinstance(batch, Batch) and isinstance(samples, list)
    images, labels = batch
    assert images.shape == (len(indices), 1, 28, 28) and labels.dtype == np.int64
    for k, (image, label) in enumerate(samples):
        np.testing.assert_array_equal(images.array[k], image.array, strict=True)
        assert labels.array[k] == label
    same(Tiny(tiny), *ARRAYS[:2])  # the images themselves were not normalised


@pytest.mark.parametrize("transform", [BATCHED, SINGLE])
def test_a_loader_hands_out_batches_either_way(tiny, transform):
    dataset = Subset(Tiny(tiny, transform=transform), [1, 3, 5, 7, 8])
    (images, labels), (_, last) = DataLoader(dataset, batch_size=3)
    assert images.shape == (3, 1, 28, 28) and images.dtype == np.float32
    assert labels.tolist() == ARRAYS[1][[1, 3, 5]].tolist() and last.tolist() == ARRAYS[1][[7, 8]].tolist()


def test_labels_that_are_transformed_and_samples_of_a_subclass_go_one_by_one(tiny):
    class Weighted(Tiny):
        def __getitem__(self, index):
            return *super().__getitem__(index), 0.5

    (_, labels), *_ = DataLoader(Tiny(tiny, transform=BATCHED, target_transform=lambda k: k + 1), 9)
    assert labels.tolist() == (ARRAYS[1].astype(int) + 1).tolist()
    (_, _, weights), *_ = DataLoader(Weighted(tiny, transform=BATCHED), 9)
    assert weights.tolist() == [0.5] * 9


# ---- the real ones -------------------------------------------------------------------------------


def test_mnist_is_mnist(monkeypatch):
    monkeypatch.setattr(MNIST, "mirrors", ())  # all is in the repository, flat
    train, test = (MNIST(REPOSITORY, train=train, download=True) for train in (True, False))
    assert train.data.shape == (60000, 28, 28) and test.data.shape == (10000, 28, 28)
    assert train.data.dtype == np.uint8 and test.targets.dtype == np.int64
    assert train.targets[:5].tolist() == [5, 0, 4, 1, 9] and test.targets[:5].tolist() == [7, 2, 1, 0, 4]
    pixels = train.data.array
    count = np.bincount(pixels.reshape(-1), minlength=256) / pixels.size
    values = np.arange(256) / 255
    mean = count @ values
    assert round(mean, 4) == 0.1307 and round(np.sqrt(count @ (values - mean) ** 2), 4) == 0.3081
    assert train.classes[train.targets[0].item()] == "5 - five" and train.class_to_idx["7 - seven"] == 7
    assert repr(test).splitlines() == [
        "Dataset MNIST", "    Number of datapoints: 10000", f"    Root location: {REPOSITORY}",
        "    Split: Test",
    ]  # fmt: skip


def test_digits_are_not_taken_for_clothes():
    with pytest.raises(RuntimeError, match="Dataset not found") as error:
        FashionMNIST(REPOSITORY)
    assert FashionMNIST.files[0].sha256 in str(error.value)


def test_the_licence_note_names_the_files_as_they_are():
    note = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert "Share Alike 3.0" in note
    for file in MNIST.files:
        assert file.fault(REPOSITORY / f"{file.name}.gz") == ""
        assert file.name in note and file.sha256 in note
