"""`kill -9` at any moment, then --resume: the same final weights as an undisturbed run, to the bit."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nn import checkpoint

pytest.importorskip("safetensors")
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 is for POSIX")

ROOT = Path(__file__).parents[2]


def start(*flags: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "examples.mnist", *flags], cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def finish(*flags: str) -> str:
    process = start(*flags)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def final(folder: Path) -> tuple[bytes, list]:
    """The bits of the weights and of the momentum, and what every epoch came to."""
    state = checkpoint.load(folder / "checkpoint.safetensors")
    tensors = [*state["model"].values()]
    tensors += [each["momentum_buffer"] for each in state["optimizer"]["state"].values()]
    history = [{**row, "seconds": 0} for row in state["progress"]["history"]]
    return b"".join(tensor.array.tobytes() for tensor in tensors), history


def kill_and_compare(folder: Path, kills: int, longest: float, flags: list[str]) -> None:
    flags = [*flags, "--momentum", "0.9", "--checkpoint-seconds", "0.05", "--no-pictures"]
    flags += ["--threads", "1"]  # several tests run at once: more would only wait for each other
    undisturbed = finish(*flags, "--out", str(folder / "undisturbed"))
    killed, places = folder / "killed", []
    for _ in range(kills):
        process = start(*flags, "--resume", str(killed))
        moment = random.uniform(0.3, longest)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()
        output, _ = process.communicate()
        places.append((moment, output.splitlines()[-1:]))
    output = finish(*flags, "--resume", str(killed))
    assert output.splitlines()[-1] == undisturbed.splitlines()[-1], places
    assert final(killed) == final(folder / "undisturbed"), places


def test_two_kills(tmp_path):
    kill_and_compare(tmp_path, 2, 1.6, ["--limit", "8000", "--epochs", "2"])


@pytest.mark.slow
def test_twenty_kills(tmp_path):
    kill_and_compare(tmp_path, 20, 3.0, ["--epochs", "8"])
