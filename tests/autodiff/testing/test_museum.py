"""The museum: every mutant is killed, the sound engine is not blamed, and the guide tells the truth."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

import autodiff as ad
from autodiff.testing import GradientError, check_gradients, museum
from autodiff.testing.__main__ import main
from autodiff.testing.museum import EXHIBITS, command, pages, show
from autodiff.testing.museum.exhibit import Exhibit, Program
from autodiff.testing.museum.matrix import matrix
from autodiff.testing.museum.smallest import said_by, shows
from autodiff.testing.museum.weak import WEAK

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs" / "museum"


def test_the_matrix():
    """The kit kills every mutant, and has nothing against the sound engine: the command's status is 0. The common
    checkers, restated, miss most; and the guide shows what is found now. (As a user runs it: in a process of its
    own, where nobody counts the lines that run, which would take it three times as long.)"""
    command = [sys.executable, "-X", "utf8", "-m", "autodiff.testing", "museum", "--jobs", "1"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        len(EXHIBITS) >= 75
        and "none survives" in done.stdout
        and "the sound engine is not blamed" in done.stdout
    )
    scores = dict(re.findall(r"^(\w[\w ]+?) +(\d+) of \d+", done.stdout, re.MULTILINE))
    assert scores.pop("the kit") == str(len(EXHIBITS)) and scores.keys() == WEAK.keys()
    assert all(0 < int(score) < len(EXHIBITS) / 2 for score in scores.values())
    index = (GUIDE / "README.md").read_text(encoding="utf-8")
    assert done.stdout.partition("● says what")[0] in index
    assert all(f"]({exhibit.slug}.md)" in index for exhibit in EXHIBITS.values())


def program_of(text: str) -> tuple[str, str]:
    """(the check, the program) that stand on a page."""
    program = re.search(r"nobody wrote it\.\n\n```python\n(.*?)\n```", text, re.S)
    check = re.search(r"The kit, by its check \*(.*?)\*\.", text)
    if not program or not check:
        raise ValueError("this is no page of an exhibit")
    return check[1], program[1]


@pytest.mark.parametrize("name", EXHIBITS)
def test_the_page_of_each_exhibit(name):
    """Its program fails with the bug in, as the page says, and passes without."""
    exhibit = EXHIBITS[name]
    text = (GUIDE / f"{exhibit.slug}.md").read_text(encoding="utf-8")
    check, program = program_of(text)
    said = said_by(program, name)
    assert said in text, f"make the guide anew: {pages.REMARK}"
    assert f"[{check}]" in said or exhibit.scenario or check == "conventions"
    assert exhibit.story in text and exhibit.code in text and exhibit.fix in text
    for source, address in exhibit.links():
        assert f"[{source}]({address})" in text
    sound = re.sub(r"with museum\.mutant\(.*?\):", "if True:", program)
    assert sound != program
    exec(compile(sound, f"<{name}, sound>", "exec"), {"__name__": name})


def test_the_guide_has_no_other_pages():
    assert {file.stem for file in GUIDE.glob("*.md")} == {"README", *(e.slug for e in EXHIBITS.values())}


def test_a_bug_is_gone_outside():
    with museum.mutant("tanh_of_tanh"), pytest.raises(GradientError):
        check_gradients(ad.tanh, [0.5])
    check_gradients(ad.tanh, [0.5])
    with pytest.raises(KeyError, match="there is no exhibit 'nothing'"):
        museum.mutant("nothing")


def test_a_program_is_found_and_shrunk_anew():
    exhibit = EXHIBITS["last_write_wins"]
    check, program = shows(exhibit, matrix(["last_write_wins"], jobs=1).rows[0])
    assert check == "vjp" and "np.array([0, 0])" in program


# ---- the command ---------------------------------------------------------------------------------


def test_the_command(capsys, tmp_path):
    page, data = tmp_path / "m.html", tmp_path / "m.json"
    arguments = [
        "museum",
        "tanh-of-tanh",
        "division",
        "--jobs",
        "1",
        "--html",
        str(page),
        "--json",
        str(data),
    ]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1].startswith("2 bugs: the kit notices 2, none survives;")
    assert "the sound engine is not blamed" in out
    found = json.loads(data.read_text(encoding="utf-8"))
    assert found["bugs"] == 2 and not found["survivors"]
    html = page.read_text(encoding="utf-8")
    assert "<title>The museum of gradient bugs</title>" in html
    assert (
        'name="viewport"' in html
        and "prefers-color-scheme: dark" in html
        and '<div class="scroll"><table>' in html
    )


def test_the_command_lists_and_refuses(capsys):
    assert main(["museum", "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(EXHIBITS)
    with pytest.raises(SystemExit) as end:
        main(["museum", "no-such-bug"])
    assert end.value.code == 2 and "there is no exhibit 'no_such_bug'" in capsys.readouterr().err


@contextmanager
def harmless():
    """A bug that is none."""
    yield


def exhibited(monkeypatch, program):
    name = "harmless"
    monkeypatch.setitem(EXHIBITS, name, Exhibit("A bug that is none", harmless, program, (), "Nothing."))
    monkeypatch.setitem(show.ROOMS, __name__.rpartition(".")[2], "Elsewhere")
    return name


def test_a_survivor_is_named_and_the_status_is_1(capsys, monkeypatch):
    sound = EXHIBITS["tanh_of_tanh"].program
    assert command.main([exhibited(monkeypatch, sound), "--jobs", "1"]) == 1
    out = capsys.readouterr().out
    assert "1 survive: harmless" in out and "survives" in out


def test_a_sound_engine_that_is_blamed_is_told_and_the_status_is_1(capsys, monkeypatch):
    wrong = ad.primitive.elementwise("wrong_square", lambda x: x * x, lambda x: x, listed=False)
    monkeypatch.setattr(ad, "wrong_square", wrong, raising=False)
    program = EXHIBITS["tanh_of_tanh"].program
    program = Program("lambda x: ad.wrong_square(x)", program.inputs, program.typical)
    assert command.main([exhibited(monkeypatch, program), "--jobs", "1"]) == 1
    out = capsys.readouterr().out
    assert "the SOUND engine is blamed on lambda x: ad.wrong_square(x)" in out and "blamed for 1" in out


def test_a_mutant_whose_place_has_changed_says_so():
    edited = sys.modules["autodiff.testing.museum.mutants"].edited
    with (
        pytest.raises(LookupError, match="does not have 'no such text' exactly once"),
        edited(ad.ops.reductions.norm, "no such text", ""),
    ):
        pass
    assert "no such text" not in inspect.getsource(ad.ops.reductions.norm)
