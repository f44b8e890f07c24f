"""Somebody else's `nn` in the place of ours: the import says so, and how to mend it."""

from __future__ import annotations

import shutil

import pytest
from kernel_support import ROOT, run_python

import autodiff

TRY = "file of your own by that name", "pip uninstall nn"


def said(folder, code: str, **environment: str) -> str:
    """What a program in this folder, which is first on the path, has on stderr."""
    path = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]\n"
    return run_python(path + code, at=folder, **environment)[1]


@pytest.fixture(params=["nn.py", "nn/__init__.py"])
def foreign(tmp_path, request):
    """A folder with an nn that is not ours."""
    file = tmp_path / request.param
    file.parent.mkdir(exist_ok=True)
    file.write_text("THEIRS = True\n", encoding="utf-8")
    return file


@pytest.mark.parametrize("code", ["import autodiff\nimport nn", "import nn\nimport autodiff"])
def test_anothers_nn_gets_one_warning_at_the_users_line(tmp_path, foreign, code):
    program = tmp_path / "main.py"
    program.write_text(code + "\nassert nn.THEIRS\nimport nn\n", encoding="utf-8")
    text = said(tmp_path, "import runpy; runpy.run_path('main.py')")
    assert text.count("RuntimeWarning") == 1
    assert text.startswith("main.py:2: RuntimeWarning: `import nn` finds " + str(foreign))
    assert str(ROOT / "nn" / "__init__.py") in text and all(words in text for words in TRY)


def test_a_file_that_another_distribution_put_over_ours_is_noticed(tmp_path):
    for package in ("autodiff", "nn"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    code = "import autodiff, nn"
    assert said(tmp_path, code) == ""
    (tmp_path / "nn" / "__init__.py").write_text("THEIRS = True\n", encoding="utf-8")
    assert "is not autodiff's nn" in said(tmp_path, code)


def test_ours_gets_none(tmp_path):
    for code in ("import autodiff, nn", "import nn, autodiff", "import nn.optim", "import autodiff"):
        assert said(tmp_path, code) == ""


@pytest.mark.parametrize(
    "name, remedy", [("nn", "import nn"), ("optim", "import nn.optim as optim"), ("utils", "from nn.data")]
)
def test_who_looks_for_it_inside_autodiff_is_told_where_it_is(tmp_path, name, remedy):
    code = f"""
import importlib, autodiff
for look in (lambda: getattr(autodiff, {name!r}), lambda: importlib.import_module('autodiff.{name}')):
    try:
        look()
    except (AttributeError, ModuleNotFoundError) as error:
        print(error, file=sys.stderr)
"""
    lines = said(tmp_path, code).splitlines()
    assert len(lines) == 2 and all(f"here, write `{remedy}" in line for line in lines)


def test_other_names_are_missing_as_ever():
    with pytest.raises(AttributeError, match=r"module 'autodiff' has no attribute 'matmull'$") as error:
        autodiff.matmull  # noqa: B018
    assert error.value.name == "matmull" and error.value.obj is autodiff and not hasattr(autodiff, "nn")
