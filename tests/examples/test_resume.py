"""`kill -9` at any moment, then --resume: the same final weights as an undisturbed run, to the bit."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
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
    rows = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    history = [{**json.loads(row), "seconds": 0} for row in rows]
    return b"".join(tensor.array.tobytes() for tensor in tensors), history


def kill_and_compare(folder: Path, kills: int, flags: list[str], batches: int) -> None:
    flags = [*flags, "--momentum", "0.9", "--checkpoint-seconds", "0.05", "--no-pictures"]
    flags += ["--threads", "1"]  # several tests run at once: more would only wait for each other
    undisturbed = finish(*flags, "--out", str(folder / "undisturbed"))
    killed, places = folder / "killed", []
    for _ in range(kills):
        process = start(*flags, "--log-interval", "1", "--resume", str(killed))
        # By batches, not by the clock, so that on any machine the run is not over before the kills
        # are; then by the clock, to be within a batch, a save or a test, and now and then in the start.
        lines = random.randrange(batches // kills * 4 // 5)
        assert process.stdout is not None
        last = [process.stdout.readline() for _ in range(lines)][-1:]
        time.sleep(random.uniform(0, 0.02 if lines else 1))
        process.kill()
        process.communicate()
        places.append((process.returncode, lines, last))
    assert sum(code == -signal.SIGKILL for code, _, _ in places) > kills // 2, places
    output = finish(*flags, "--resume", str(killed))
    assert output.splitlines()[-1] == undisturbed.splitlines()[-1], places
    assert final(killed) == final(folder / "undisturbed"), places


def test_four_kills(tmp_path):
    kill_and_compare(tmp_path, 4, ["--limit", "6400", "--epochs", "4"], batches=4 * 100)


@pytest.mark.slow
def test_twenty_kills(tmp_path):
    kill_and_compare(tmp_path, 20, ["--epochs", "8"], batches=8 * 938)
