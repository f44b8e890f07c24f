"""`make` and the environment that it works in: what it says where Python is old or lacks venv."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def make(tmp_path):
    """Calls make in a folder with nothing but the Makefile, on the way to the environment."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)

    # `make test` runs this too: what it tells its own children is not for these.
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PYTHON"))}

    def call(*words):
        return subprocess.run(["make", *words], cwd=folder, env=outside, capture_output=True, text=True)

    call.folder = folder
    return call


@pytest.fixture
def python(tmp_path):
    """Makes a stand-in for Python that fails where its code names the given word."""

    def stand_in(word):
        path = tmp_path / f"a python without {word}"
        path.write_text(
            f'#!/bin/sh\ncase "$2" in *{word}*) exit 1 ;; esac\nexec "{sys.executable}" "$@"\n',
            encoding="utf-8",
        )
        path.chmod(0o755)
        return f"PYTHON={path}"

    return stand_in


def test_alone_it_lists_the_targets(make):
    done = make()
    assert done.returncode == 0
    assert all(f"make {target} " in done.stdout for target in ("mnist", "test", "clean"))


def test_an_old_or_missing_python_gets_one_sentence(make, python):
    for old in (python("version_info"), "PYTHON=no-such-python"):
        done = make("test", old)
        said, end = done.stderr.splitlines()
        assert done.returncode == 2 and end.startswith("make: ***")
        assert said.startswith("Python 3.11 or newer is needed")
        assert said.endswith("make PYTHON=python3.12 test")
        assert not (make.folder / ".venv").exists()


def test_a_python_without_venv_gets_one_sentence_and_the_next_call_mends_what_is_there(make, python):
    half_made = make.folder / ".venv" / "bin"  # as Debian's venv leaves it: a Python, and no pip
    half_made.mkdir(parents=True)
    (half_made / "python").symlink_to("a Python that is gone")
    done = make(".venv/created", python("ensurepip"))
    said, end = done.stderr.splitlines()
    assert done.returncode == 2 and end.startswith("make: ***")
    assert "has no venv module" in said and "apt install python3-venv" in said

    done = make(".venv/created", f"PYTHON={sys.executable}")
    assert done.returncode == 0, done.stderr
    works = subprocess.run([half_made / "python", "-m", "pip", "--version"], capture_output=True)
    assert works.returncode == 0
    assert make("-q", ".venv/created").returncode == 0  # nothing is left to do


def test_an_environment_made_by_hand_serves(make):
    by_hand = make.folder / ".venv" / "bin"
    by_hand.mkdir(parents=True)
    (by_hand / "python").write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")  # new enough, and has pip
    (by_hand / "python").chmod(0o755)
    assert make(".venv/created", "PYTHON=no-such-python").returncode == 0
    assert {path.name for path in by_hand.iterdir()} == {"python"}
