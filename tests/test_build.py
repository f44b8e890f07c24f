"""The build: what is in the source archive and in the wheel made from it, and that it works alone."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

import autodiff

pytest.importorskip("build", reason="build is not installed: pip install -e '.[test]'")
pytest.importorskip("hatchling", reason="hatchling is not installed: pip install -e '.[test]'")

ROOT = Path(__file__).parent.parent
WORK = """
import sys
{before}
import autodiff, nn, nn.optim
model = nn.MLP(4, 3, 2)
optimizer = nn.optim.SGD(model.parameters(), lr=0.1)
loss = nn.CrossEntropyLoss()(model(autodiff.ones(5, 4)), autodiff.zeros(5, dtype=autodiff.int64))
loss.backward()
optimizer.step()
with autodiff.kernels.use("loops"):
    assert (autodiff.ones(40, 50) @ autodiff.ones(50, 30)).sum().item() == 60_000
print(autodiff.__version__, autodiff.__file__, nn.__file__, sep="\\n")
"""


def run(*command, **options) -> str:
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path]:
    """The source archive, and the wheel that was made from it."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def test_the_source_archive_is_the_repository_less_the_images(built):
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert built[0].stat().st_size < 1_500_000
    assert {"LICENSE", "Makefile", "pyproject.toml", "tests/test_build.py", "nn/py.typed"} <= names
    assert {"examples/mnist/train.py", "examples/mnist/data/README.md"} <= names
    assert not [name for name in names if re.search(r"ubyte|\.venv|__pycache__|^runs/|\.egg-info", name)]


def test_the_wheel_holds_the_two_packages_and_says_what_it_needs(built):
    with zipfile.ZipFile(built[1]) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        said = message_from_string(archive.read(metadata).decode())
    assert built[1].name == f"autodiff_nn-{autodiff.__version__}-py3-none-any.whl"
    assert all(name.startswith(("autodiff/", "nn/", "autodiff_nn-")) for name in names)
    assert {"autodiff/py.typed", "nn/py.typed"} <= set(names)
    assert any(name.endswith("/LICENSE") for name in names)
    assert said["Requires-Python"] == ">=3.11"
    core = [need for need in said.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert sorted(re.match(r"\w+", need)[0] for need in core) == ["numba", "numpy"]  # type: ignore[index]
    assert {"checkpoint", "viz", "progress", "mnist", "test", "all"} <= set(
        said.get_all("Provides-Extra", [])
    )


@pytest.fixture(scope="module")
def python(built, tmp_path_factory) -> Path:
    """The Python of an environment with the wheel, installed by pip, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    ours = importlib.util.find_spec("pip") is not None  # an environment that uv made has none
    venv.create(folder, with_pip=not ours, symlinks=sys.platform != "win32")
    (python,) = (file for file in folder.glob("[bS]*/*") if file.name in ("python", "python.exe"))
    pip = [sys.executable, "-m", "pip", "--python", python] if ours else [python, "-m", "pip"]
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", built[1], cwd=folder)
    return python


@pytest.mark.parametrize("alone", [True, False])
def test_the_wheel_works_installed(python, alone, tmp_path):
    """Beside NumPy alone, and beside all that the tests have."""
    spec = importlib.util.find_spec("numpy")
    assert spec is not None and spec.origin is not None
    before = f"sys.path.append({str(Path(spec.origin).parents[1])!r})\n"
    if alone:
        for extra in ("numba", "safetensors", "matplotlib", "tqdm", "threadpoolctl"):
            before += f"sys.modules[{extra!r}] = None\n"
    version, *files = run(python, "-I", "-c", WORK.format(before=before), cwd=tmp_path).splitlines()
    assert version == autodiff.__version__
    assert all(Path(file).is_relative_to(python.parents[1]) for file in files), files
