"""The code in the READMEs runs, and both languages show the same."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCKS = {
    name: re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.S)
    for name in ("README.md", "README.zh-CN.md")
}


@pytest.mark.parametrize("code", BLOCKS["README.md"])
def test_every_block_runs(code):
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code], cwd=ROOT, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    for line, comment in zip(
        done.stdout.splitlines(), re.findall(r"print\(.*\)\s+# (.*)", code), strict=True
    ):
        assert comment.startswith(line)


def test_both_languages_show_the_same_code():
    assert BLOCKS["README.md"] and BLOCKS["README.md"] == BLOCKS["README.zh-CN.md"]


def test_links_lead_somewhere():
    for name in BLOCKS:
        for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / name).read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), target
