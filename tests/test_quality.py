"""Style, types and the order of imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*command, **options):
    done = subprocess.run(command, cwd=options.pop("cwd", ROOT), capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def tool(name):
    return pytest.importorskip(name, reason=f"{name} is not installed: pip install -e '.[test]'")


def test_style():
    tool("ruff")
    run(sys.executable, "-m", "ruff", "check", "--no-cache", ".")
    run(sys.executable, "-m", "ruff", "format", "--no-cache", "--check", ".")


def test_types():
    tool("pyright")
    run(sys.executable, "-m", "pyright", "--pythonpath", sys.executable)


def test_imports_go_one_way():
    tool("importlinter")
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    run(sys.executable, "-c", code)
