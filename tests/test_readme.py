"""The documents: their code runs, both languages show the same, what is named is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    file.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md")
    for file in ROOT.glob(pattern)
)
TEXTS = {str(name): (ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS}
ENGLISH, CHINESE = TEXTS["README.md"], TEXTS["README.zh-CN.md"]
MNIST = ROOT / "examples" / "mnist"
TUTORIAL = (MNIST / "tutorial.py").read_text(encoding="utf-8")


def blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", text)


def anchors(text: str) -> set[str]:
    """The names that a forge gives to the headings."""
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("code", [*blocks(ENGLISH), *blocks(TEXTS["docs/backward.md"])])
def test_every_block_runs(code):
    """And prints what the comment behind each `print` says."""
    if code in TUTORIAL:
        return  # tests/examples/test_tutorial.py runs it, on images
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code], cwd=ROOT, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    comments = re.findall(r"print\(.*\)\s+# (.*)", code)
    assert len(comments) == code.count("print(")
    for line, comment in zip(done.stdout.splitlines(), comments, strict=True):
        assert line == comment.partition(": ")[0]  # behind a colon, why it is so


def test_it_shows_the_classic_program():
    assert sum(code in TUTORIAL for code in blocks(ENGLISH)) == 2


def test_value_is_as_short_as_it_says():
    lines = len((ROOT / "autodiff" / "scalar.py").read_text(encoding="utf-8").splitlines())
    said = [
        int(n) for text in (ENGLISH, CHINESE) for n in re.findall(r"(?:It is|只有) (\d+) (?:lines|行)", text)
    ]
    assert said == [round(lines, -1)] * 2


def test_both_languages_are_equal():
    assert blocks(ENGLISH) and blocks(ENGLISH) == blocks(CHINESE)
    for same in (
        "^(#+) ",  # the headings' depths
        "^    (.*?)(?:  +#.*)?$",  # the commands, and what they print
        r"`([^`\n]+)`",  # code in the text
    ):
        assert re.findall(same, ENGLISH, re.MULTILINE) == re.findall(same, CHINESE, re.MULTILINE)
    assert [links(ENGLISH)[0], links(CHINESE)[0]] == ["README.zh-CN.md", "README.md"]
    assert links(ENGLISH)[1:] == links(CHINESE)[1:]


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name):
    for link in links(TEXTS[name]):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        file = (ROOT / name).parent / target if target else ROOT / name
        assert file.exists(), link
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("name", TEXTS)
def test_files_that_are_named_exist(name):
    """In backquotes, with a folder or an ending: from where a reader would look for it."""
    for path in re.findall(r"`((?:[\w.]+/)+[\w.]*|\w+\.py)`", TEXTS[name]):
        known = [ROOT, (ROOT / name).parent, ROOT / "autodiff", MNIST]
        made_by_the_reader = path in ("runs/", "adapter.py", "engine.py", "value.py")
        assert made_by_the_reader or any((folder / path).exists() for folder in known), path
    for program in re.findall(r"python ([\w./]+\.py)", TEXTS[name]):
        assert (ROOT / program).exists() or (MNIST / program).exists(), program
