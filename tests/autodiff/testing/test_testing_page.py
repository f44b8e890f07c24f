"""What docs/testing.md shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from autodiff.testing import CHECKS, ORACLES, strategies
from autodiff.testing.adapters import KNOWN
from autodiff.testing.check import examine
from autodiff.testing.plugin import EXAMPLES

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)


@pytest.mark.parametrize("code", BLOCKS)
def test_every_block_runs_and_prints_what_it_says(code):
    done = subprocess.run([sys.executable, "-X", "utf8", "-c", code], cwd=ROOT, capture_output=True, text=True,
                          encoding="utf-8", check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == re.findall(r"print\(.*\)\s+# (.*)", code)


def test_the_example_of_pytorch_is_right():
    pytest.importorskip("torch")
    (code,) = (block for block in re.findall(r"\n\n((?:    .*\n)+)", PAGE) if "torch" in block)
    exec("from autodiff.testing import check_gradients\n" + code.replace("    ", ""), {})


def test_what_is_named_is_there():
    options = re.findall(r"`(\w+)=", PAGE)
    assert set(options) - {"inputs"} <= set(examine.__annotations__)
    engines = PAGE[PAGE.index("| `engine=") : PAGE.index("[an adapter]")]
    assert set(re.findall(r'"(\w+)"', engines)) <= set(KNOWN)
    table = PAGE[PAGE.index("| `shapes()`") : PAGE.index("`programs()`")]
    assert all(hasattr(strategies, name) for name in re.findall(r"`(\w+)\(", table))
    assert {"vjp", "aliasing"} <= set(CHECKS) and {"exact", "complex step", "finite differences"} <= set(
        ORACLES
    )
    for name, examples in EXAMPLES.items():
        assert re.search(rf"--gradients {name}`[^,.]* {examples}\b", PAGE), name
