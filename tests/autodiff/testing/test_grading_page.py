"""What docs/grading.md shows is what happens."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from autodiff.testing.card import SHORT
from autodiff.testing.checks import CHECKS
from autodiff.testing.grade import parsed

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "grading.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(python|console)\n(.*?)```", PAGE, re.S)
FILES = {text.split("\n")[0].removeprefix("# "): text for kind, text in BLOCKS if text.startswith("# ")}
SHOWN = [
    text for kind, text in BLOCKS if kind == "console" and text.count("\n") > 1 and "pip install" not in text
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of the page, and a class like the one on it."""
    folder = tmp_path_factory.mktemp("page")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    right = FILES["scalar.py"].replace("(1 - y)", "(1 - y * y)")
    recursive = right[right.index("        def visit") : right.index("        grads = ")]
    iterative = """\
        stack = [(self, False)]
        while stack:
            v, done = stack.pop()
            if done:
                order.append(v)
            elif v not in seen:
                seen.add(v)
                stack += [(v, True), *((x, False) for x in v.inputs)]
"""
    submissions = {
        "ada": right.replace(recursive, iterative), "blaise": "x = 1\n", "carl": "x = 1\ny = (\n",
        "dorothy": "import time\ntime.sleep(300)\n",
    }  # fmt: skip
    (folder / "submissions").mkdir()
    for name, text in submissions.items():
        (folder / "submissions" / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


HERE = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("block", SHOWN, ids=[text.split("grade ")[1].split()[0] for text in SHOWN])
def test_what_is_printed(folder, block):
    command, *lines = block.splitlines()
    asked = [*command.split()[5:], "--examples", "15", "--row-time", "15", "--jobs", "4"]
    done = subprocess.run([sys.executable, "-m", "autodiff.testing", "grade", *asked], cwd=folder, text=True,
                          capture_output=True, encoding="utf-8", check=False, env=HERE)  # fmt: skip
    assert done.returncode == 1, done.stderr
    found = [
        words(line).replace("no answer in 15 s", "no answer in 60 s") for line in done.stdout.splitlines()
    ]
    assert [words(line) for line in lines if words(line) not in found] == [], done.stdout


def test_from_python(folder):
    (code,) = (text for kind, text in BLOCKS if kind == "python" and not text.startswith("# "))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_options_and_columns_are_there():
    """Nothing is told of that is not there, and every check has a line."""
    known = set(re.findall(r"--[a-z-]+", help_text()))
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= known
    table = PAGE[PAGE.index("| column") : PAGE.index("A dot means")]
    assert all(SHORT.get(name, name).rstrip(".") in table for name in CHECKS)


def help_text() -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        parsed(["--help"])
    return out.getvalue()
