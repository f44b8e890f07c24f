"""PyTorch programs of every usual kind, unmodified: what they print here is what they print there."""

from __future__ import annotations

import re

import pytest
import running_programs
from running_programs import FOLDER, OUTPUTS, PROGRAMS, assert_prints_alike, printed_here, write_images

pytest.importorskip("safetensors", reason="safetensors is not installed: pip install safetensors")


every_program = pytest.mark.parametrize("name", PROGRAMS)


@pytest.fixture(autouse=True)
def images(tmp_path, monkeypatch):
    write_images(tmp_path)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def printed():
    """What each program printed here: once is enough."""
    return {}


@every_program
def test_beside_what_pytorch_printed_once(name, printed):
    program = PROGRAMS[name]
    printed[name] = printed_here(name, program.args)
    assert_prints_alike(printed[name], (OUTPUTS / f"{name}.txt").read_text(encoding="utf-8"), program.rtol)


@every_program
def test_beside_pytorch(name, printed):
    program = PROGRAMS[name]
    theirs = running_programs.printed_by_pytorch(name, program.args)
    ours = printed.get(name) or printed_here(name, program.args)
    assert_prints_alike(ours, theirs, program.rtol)


@pytest.mark.parametrize(
    "name, args",
    [
        ("vae", "--noise 1 --epochs 1"),
        ("mnist_cnn", "--dropout 0.25 --shuffle --epochs 1"),
    ],
)
def test_with_chance(name, args):
    """Random numbers are others, and so is what is printed: in the same words, and about the same size."""
    ours, theirs = printed_here(name, args), running_programs.printed_by_pytorch(name, args)
    assert_prints_alike(re.sub(r"accuracy .*", "", ours), re.sub(r"accuracy .*", "", theirs), rtol=0.4)


def test_every_program_is_run():
    programs = {path.stem for path in FOLDER.glob("*.py")} - {"same_start"}
    assert programs == set(PROGRAMS) == {path.stem for path in OUTPUTS.glob("*.txt")}


def test_the_comparison_sees_words_and_numbers():
    assert_prints_alike("Size([2, 3]) 1.00001\n\n", "torch.Size([2,  3]) 1.00002 ")
    for other in ("loss 1.0 of 64", "loss 2.0", "Loss 1.0"):
        with pytest.raises(AssertionError):
            assert_prints_alike("loss 1.0", other)
