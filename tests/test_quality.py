"""Style, types and the order of imports, and the build."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import venv
import zipfile
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
    run(sys.executable, "-m", "ruff", "check", ".")
    run(sys.executable, "-m", "ruff", "format", "--check", ".")


def test_types():
    tool("pyright")
    run(sys.executable, "-m", "pyright", "--pythonpath", sys.executable)


def test_imports_go_one_way():
    tool("importlinter")
    run(sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())")


def test_the_wheel_works_alone(tmp_path):
    tool("hatchling")
    run(sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path))
    (wheel,), (sdist,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"autodiff/py.typed", "nn/py.typed"} <= set(names) and any("LICENSE" in n for n in names)
    assert all(n.startswith(("autodiff/", "nn/", "autodiff_nn-")) for n in names)
    assert sdist.stat().st_size < 1_000_000
    venv.create(tmp_path / "env", with_pip=False)
    python = next((tmp_path / "env").glob("[bS]*/python*"))
    numpy = Path(importlib.util.find_spec("numpy").origin).parent
    code = (
        f"import sys; sys.path[:0] = [{str(wheel)!r}]\n"
        "import importlib.util as u, types, os\n"
        f"sys.path.append({str(numpy.parent)!r})\n"
        "import autodiff, nn\n"
        f"assert {str(wheel)!r} in autodiff.__file__ and {str(wheel)!r} in nn.__file__\n"
        "m = nn.MLP(4, 3, 2); m(autodiff.ones(1, 4)).sum().backward(); print(autodiff.__version__)"
    )
    assert run(python, "-c", code, cwd=tmp_path).strip() == "0.1.0"
