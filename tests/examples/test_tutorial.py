"""The classic program, run as it stands: on fewer images, and (slowly) on all of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "mnist"
ON_FEWER_IMAGES = """
import runpy
import nn.datasets

class Fewer(nn.datasets.MNIST):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.data, self.targets = self.data[:2000], self.targets[:2000]

nn.datasets.MNIST = Fewer
runpy.run_path("tutorial.py", run_name="__main__")
"""


def output(*program: str) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AUTODIFF_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, *program], cwd=FOLDER, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def losses(lines: list[str]) -> list[float]:
    assert len(lines) == 11
    return [
        float(re.fullmatch(rf"Epoch {k + 1} loss: (\d+\.\d+)", line)[1])  # type: ignore[index]
        for k, line in enumerate(lines[:10])
    ]


def test_its_eleven_lines():
    lines = output("-c", ON_FEWER_IMAGES)
    found = losses(lines)
    assert found == sorted(found, reverse=True) and found[-1] < 0.5
    accuracy = re.fullmatch(r"Accuracy on test set: (\d+)%", lines[-1])
    assert accuracy and int(accuracy[1]) > 75


@pytest.mark.slow
def test_on_all_images_it_ends_where_pytorch_does():
    lines = output("tutorial.py")
    found = losses(lines)
    assert 0.53 < found[0] < 0.57 and 0.10 < found[-1] < 0.125
    assert lines[-1] == "Accuracy on test set: 96%"


def test_nothing_but_its_imports_differs_from_pytorchs():
    text = (FOLDER / "tutorial.py").read_text(encoding="utf-8")
    imports = [line for line in text.splitlines() if re.match("(import|from) ", line)]
    assert imports == [
        "import autodiff as torch",
        "import nn",
        "import nn.optim as optim",
        "from nn.datasets import MNIST",
        "from nn import transforms",
        "from nn.data import DataLoader",
    ]
    assert "autodiff" not in text.replace(imports[0], "")
