"""The classic MNIST program, unmodified and from end to end: ours against the same text under PyTorch.

    python benchmarks/classic.py [--threads 2] [--turns 3] [--epochs 10] [--json classic.json]

examples/mnist/tutorial.py as a process of its own, from Python's start to the accuracy it prints: imports, reading
the files, training, testing. For PyTorch nothing but its import lines is exchanged; the data set and the transforms
come from benchmarks/vision.py, which takes less time than torchvision. Whole runs take turns. Neither is told a seed:
that both do the same is checked by what they print, the first epoch's loss to 3 %, the accuracy to 2 points.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import digits
from contest import ROOT, Disagreement, settle
from report import Results, Table, median, run

HERE = Path(__file__).resolve().parent
PROGRAM = ROOT / "examples" / "mnist" / "tutorial.py"
EPOCHS = "num_epochs = 10"
IMPORTS = {  # ours ↦ PyTorch's
    "import autodiff as torch": "import torch",
    "import nn": "import torch.nn as nn",
    "import nn.optim as optim": "import torch.optim as optim",
    "from nn.datasets import MNIST": "from vision import MNIST",
    "from nn import transforms": "from vision import transforms",
    "from nn.data import DataLoader": "from torch.utils.data import DataLoader",
}
OURS, THEIRS = "ours", "PyTorch"


def replaced(text: str, lines: dict[str, str]) -> str:
    """The text with whole lines exchanged, each of which must be there."""
    for old, new in lines.items():
        text, found = re.subn(rf"^{re.escape(old)}$", new, text, flags=re.MULTILINE)
        if found != 1:
            raise ValueError(
                f"{PROGRAM} has the line {old!r} {found} times, not once: mend benchmarks/classic.py"
            )
    return text


def programs(folder: Path, epochs: int) -> dict[str, Path]:
    """The two programs. Ours is the file itself, if it is to run as many epochs as that says."""
    text = PROGRAM.read_text(encoding="utf-8")
    ours = replaced(text, {EPOCHS: f"num_epochs = {epochs}"})
    texts = {OURS: ours, THEIRS: replaced(ours, IMPORTS)}
    paths = {name: folder / f"{name}.py" for name in texts}
    for name, path in paths.items():
        path.write_text(texts[name], encoding="utf-8")
    return paths | ({OURS: PROGRAM} if ours == text else {})


def seconds_of(program: Path) -> tuple[float, list[float]]:
    """Wall time of a run, and the numbers it printed: a loss for each epoch, and the accuracy."""
    begin = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, HERE)))}
    done = subprocess.run(
        [sys.executable, program], cwd=digits.FOLDER.parent, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )  # fmt: skip
    return time.perf_counter() - begin, [float(x) for x in re.findall(r": (\d+(?:\.\d+)?)", done.stdout)]


def compare(said: dict[str, list[float]], epochs: int) -> None:
    """Raises Disagreement unless both print as many losses, and nearly the same ones."""
    ours, theirs = said[OURS], said[THEIRS]
    alike = len(ours) == len(theirs) == epochs + 1
    if not alike or abs(ours[0] / theirs[0] - 1) > 0.03 or abs(ours[-1] - theirs[-1]) > 2:
        raise Disagreement(f"the classic program: {OURS} printed {ours}, {THEIRS} {theirs}")


def measure(args, results: Results) -> None:
    epochs = 1 if args.quick else args.epochs
    with tempfile.TemporaryDirectory() as folder:
        warm = programs(Path(folder), 1)
        try:
            import torch  # noqa: F401
        except ImportError as error:
            results.left_out[THEIRS] = f"{error}"
            warm.pop(THEIRS)
        for threads in args.threads:
            settle(threads)
            for path in warm.values():
                seconds_of(path)  # compiled, and the files in memory
            chosen = {n: p for n, p in programs(Path(folder), epochs).items() if n in warm}
            times: dict[str, list[float]] = {name: [] for name in chosen}
            for turn in range(args.turns):
                said = {}
                for name in list(chosen)[:: 1 if turn % 2 == 0 else -1]:
                    seconds, said[name] = seconds_of(chosen[name])
                    times[name].append(seconds)
                if len(said) == 2:
                    compare(said, epochs)
            text = f"{epochs} epoch{'s' * (epochs > 1)}, {threads} thread{'s' * (threads > 1)}"
            unit = "seconds from start to end: median (least–most), times ours"
            table = Table(f"The classic program, {text}", unit, {"s": times})
            table.notes = [f"Ours took {median(times[OURS]) / epochs:.2f} s an epoch, all included."]
            results.add(table)


if __name__ == "__main__":
    epochs = {"type": int, "default": 10, "metavar": "N", "help": "in both alike (10; 1 where it is --quick)"}
    run(measure, __file__, __doc__, turns=3, threads=(2,), flags={"--epochs": epochs})
