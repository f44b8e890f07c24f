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


IMPORTS = {
    "import autodiff as torch": "import torch",
    "import nn": "import torch.nn as nn",
    "import nn.optim as optim": "import torch.optim as optim",
    "from nn.datasets import MNIST": "from torchvision.datasets import MNIST",
    "from nn import transforms": "from torchvision import transforms",
    "from nn.data import DataLoader": "from torch.utils.data import DataLoader",
}
TORCHVISION = """
import gzip, sys, types
from pathlib import Path
import numpy, torch

def idx(root, name, offset):
    return numpy.frombuffer(gzip.open(Path(root, name)).read(), numpy.uint8, offset=offset).copy()

class MNIST(torch.utils.data.Dataset):
    def __init__(self, root, train, download, transform):
        part = "train" if train else "t10k"
        self.images = idx(root, part + "-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)[:2000]
        self.labels = idx(root, part + "-labels-idx1-ubyte.gz", 8)[:2000].tolist()
        self.transform = transform
    def __len__(self):
        return len(self.images)
    def __getitem__(self, i):
        return self.transform(self.images[i]), self.labels[i]

def compose(steps):
    def all_of_them(x):
        for step in steps:
            x = step(x)
        return x
    return all_of_them

transforms = types.SimpleNamespace(
    Compose=compose,
    ToTensor=lambda: lambda image: torch.from_numpy(image)[None].float() / 255,
    Normalize=lambda mean, std: lambda x: (x - torch.tensor(mean)) / torch.tensor(std),
)
sys.modules["torchvision.datasets"] = types.SimpleNamespace(MNIST=MNIST)
"""


def output(*program: str, path: Path = ROOT) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(path), "AUTODIFF_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
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


def test_only_its_first_six_lines_are_ours():
    text = (FOLDER / "tutorial.py").read_text(encoding="utf-8")
    assert text.splitlines()[:6] == list(IMPORTS)
    assert not re.search("import|autodiff", "".join(text.splitlines()[6:]))


def test_under_pytorchs_imports_it_is_a_pytorch_program(tmp_path):
    """With a stand-in for torchvision, which has 2,000 images, and PyTorch itself for the rest."""
    pytest.importorskip("torch")
    text = (FOLDER / "tutorial.py").read_text(encoding="utf-8")
    program = tmp_path / "tutorial.py"
    program.write_text("\n".join([*IMPORTS.values(), *text.splitlines()[6:]]), encoding="utf-8")
    (tmp_path / "torchvision.py").write_text(TORCHVISION, encoding="utf-8")
    theirs, ours = output(str(program), path=tmp_path), output("-c", ON_FEWER_IMAGES)
    assert losses(theirs) == pytest.approx(losses(ours), rel=0.15)
    assert re.fullmatch(r"Accuracy on test set: \d+%", theirs[-1])
