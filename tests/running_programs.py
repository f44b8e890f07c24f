"""The programs of tests/programs, run by PyTorch and here, and what they print compared.

`python tests/running_programs.py`, where PyTorch is installed, writes what they print there into
tests/programs/outputs, for the tests that run where it is not.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from idx_files import idx_bytes, written

FOLDER = Path(__file__).parent / "programs"
OUTPUTS = FOLDER / "outputs"


class Program(NamedTuple):
    """How a program is run, and how far what it prints may differ."""

    args: str = ""
    rtol: float = 1e-3


PROGRAMS = {
    "autograd_function": Program(),
    "mlp": Program(),
    "mnist_cnn": Program("--save-model"),
    "mnist_rnn": Program(),
    "nn_from_scratch": Program(),
    "own_dataset": Program(),
    "polynomial": Program(),
    "quickstart": Program(),
    "regression": Program(),
    "saving": Program(),
    "siamese": Program(),
    "tensors": Program(),
    "vae": Program(),
}


def write_images(folder: Path) -> None:
    """Data sets in the format, and under the names, of MNIST and FashionMNIST: ten pictures, each many
    times with noise, so that little training goes a long way."""
    random = np.random.Generator(np.random.PCG64(0))
    for name in ("MNIST", "FashionMNIST"):
        ten = random.integers(0, 256, (10, 7, 7)).repeat(4, 1).repeat(4, 2)
        for part, count in (("train", 640), ("t10k", 128)):
            labels = random.integers(0, 10, count).astype(np.uint8)
            noise = random.integers(-60, 60, (count, 28, 28))
            images = np.clip(ten[labels] + noise, 0, 255).astype(np.uint8)
            raw = folder / "data" / name / "raw"
            written(raw / f"{part}-images-idx3-ubyte", idx_bytes(images))
            written(raw / f"{part}-labels-idx1-ubyte", idx_bytes(labels))


def printed_here(name: str, args: str) -> str:
    """What a program prints when our packages answer its imports."""
    from nn.as_torch import run

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        run(FOLDER / f"{name}.py", args.split())
    return text.getvalue()


def printed_by_pytorch(name: str, args: str) -> str:
    """What it prints under PyTorch, with a stand-in for torchvision if there is none."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    torch.set_num_threads(1)
    text = io.StringIO()
    with beside_it(), contextlib.redirect_stdout(text):
        sys.argv = [f"{name}.py", *args.split()]
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    return text.getvalue()


@contextlib.contextmanager
def beside_it() -> Iterator[None]:
    """The programs' folder, and the stand-in, on Python's path; everything as before afterwards."""
    argv, path = sys.argv, sys.path[:]
    stand_in = find_spec("torchvision") is None
    sys.path[:0] = [str(FOLDER), *([str(FOLDER / "stand_in")] if stand_in else [])]
    try:
        yield
    finally:
        sys.argv, sys.path[:] = argv, path
        for name in list(sys.modules):
            if name == "same_start" or (stand_in and name.partition(".")[0] == "torchvision"):
                del sys.modules[name]


NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")


def text_and_numbers(printed: str) -> tuple[str, list[float]]:
    """What was printed, with # for each number, one space for each gap, and without what is known to
    differ: PyTorch's first name before dtypes and sizes, and what it calls its nodes. And the numbers."""
    printed = re.sub(r"grad_fn=<\w+>", "grad_fn", printed.replace("torch.", ""))
    numbers = [float(found) for found in NUMBER.findall(printed)]
    return re.sub(r"\s+", " ", NUMBER.sub("#", printed)), numbers


def assert_prints_alike(ours: str, theirs: str, rtol: float = 1e-3, atol: float = 1e-4) -> None:
    """The same words, and numbers that are close."""
    our_text, our_numbers = text_and_numbers(ours)
    their_text, their_numbers = text_and_numbers(theirs)
    assert our_text == their_text
    np.testing.assert_allclose(our_numbers, their_numbers, rtol=rtol, atol=atol)


def record() -> None:
    """What PyTorch prints, into the files."""
    OUTPUTS.mkdir(exist_ok=True)
    for name, program in PROGRAMS.items():
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            write_images(Path(folder))
            printed = printed_by_pytorch(name, program.args)
        (OUTPUTS / f"{name}.txt").write_text(printed, encoding="utf-8")


if __name__ == "__main__":
    record()
