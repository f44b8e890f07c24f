"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from autodiff.testing.plugin import register_profiles

ROOT = Path(__file__).parents[3]
TEST = """
import autodiff as ad, numpy as np
from hypothesis import Phase, settings
from autodiff.primitive import elementwise
from autodiff.testing import gradient_test
from autodiff.testing.strategies import arrays, shapes

wrong = elementwise("wrong", np.square, lambda x: x, listed=False)
test_wrong = settings(phases=[Phase.generate])(gradient_test(wrong, inputs=arrays(shapes())))
test_right = gradient_test(ad.mul, inputs=[arrays((2,)), arrays((2,))])

def test_profile():
    print("examples:", settings.default.max_examples, settings.default.derandomize)
    assert False
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["autodiff.testing.plugin"]\n', encoding="utf-8")
    (tmp_path / "test_it.py").write_text(TEST, encoding="utf-8")

    def run(*arguments):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8",
                              env=environment).stdout  # fmt: skip

    return run


def test_it_prints_how_to_see_a_failure_again_and_sets_the_profile(project):
    text = project("--gradients", "quick", "--gradients-derandomize")
    assert "2 failed, 1 passed" in text and "examples: 20 True" in text
    section = text.partition("to reproduce this gradient failure")[2]
    assert "ad.Tensor(" in section and "numbers: seed=" in section and "--gradients quick" in section
    assert "pytest 'test_it.py::test_wrong'" in section
    assert (
        "raise error" not in text and "check.py" not in text.partition("Explanation:")[0]
    )  # the kit's own frames


def test_the_profiles():
    register_profiles()
    examples = [settings.get_profile(name).max_examples for name in ("quick", "thorough", "nightly")]
    assert examples == sorted(examples) and len(set(examples)) == 3
    assert not settings.get_profile("quick").derandomize and settings.get_profile("nightly").print_blob
