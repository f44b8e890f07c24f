"""The benchmarks' harness: contenders in processes of their own, what is refused and left out, tables and files."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.append(
    str(ROOT / "benchmarks")
)  # programs that import each other, and so do their contenders' processes

import classic  # noqa: E402
import contest  # noqa: E402
import fake_contenders as fakes  # noqa: E402
from report import Results, Table  # noqa: E402


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """What contests change of it is put back; and there is something to change."""
    for variable in contest.THREADS:
        monkeypatch.setenv(variable, os.environ.get(variable, "1"))
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "256")


def table(**more):
    cells = {"small": {"ours": [1.0, 2.0, 4.0], "theirs": [3.0], "others": "RecursionError"}}
    cells["large"] = {"ours": [10.0], "theirs": [40.0], "others": [30.0]}
    return Table("A table", "seconds", cells, **more)


def results(*tables, name="fake"):
    machine = {
        "processor": "a processor",
        "cores": 2,
        "system": "a system",
        "python": "3",
        "versions": {},
        "load": [],
    }
    return Results(name, "of the tests", {"turns": 2}, machine, list(tables))


# ---- contests ------------------------------------------------------------------------------------


def test_contenders_take_turns_and_who_cannot_take_part_is_named(capsys):
    contenders = {"fast": fakes.fast, "slow": fakes.slow, "half": fakes.half, "absent": fakes.missing,
                  "refusing": fakes.refusing, "breaking": fakes.breaking}  # fmt: skip
    found = contest.contest(contenders, [fakes.JOB, fakes.OTHER], threads=2, turns=3)
    times = found.times[fakes.JOB]
    assert {name: len(each) for name, each in times.items()} == {"fast": 3, "slow": 3, "half": 3}
    assert max(times["fast"]) < 1e-3 <= min(times["slow"])
    assert min(times["half"]) >= 2e-3  # scaled up to the whole work
    assert list(found.times[fakes.OTHER]) == ["fast"]  # the only one that has the job
    assert "a_library_that_nobody_has" in found.left_out["absent"]
    assert found.left_out["refusing"] == "it wants a compiler"
    assert found.left_out["breaking"] == "OSError: out of luck"
    assert "breaking failed at a sum" in capsys.readouterr().err


def test_two_that_compute_different_things_are_an_error_that_names_both():
    with pytest.raises(contest.Disagreement, match="a sum: wrong does not compute what fast does"):
        contest.contest({"fast": fakes.fast, "wrong": fakes.wrong}, [fakes.JOB], threads=1, turns=1)


def test_what_would_slow_numpy_down_is_unset_and_the_threads_are_as_asked():
    process = contest.Contender("fast", fakes.fast, threads=2)
    told, threads = process.ask(fakes.OTHER, 0)
    process.end()
    assert (told, threads) == (0, 2)
    blas = [pool for pool in process.pools if pool["user_api"] == "blas"]
    if not blas:
        pytest.skip("threadpoolctl is not installed, or finds no BLAS")
    # OPENBLAS_CORETYPE=Prescott would have made it a Prescott's or one of its elders'.
    assert all(pool["num_threads"] <= 2 for pool in blas)
    assert all(pool.get("architecture") not in ("Prescott", "Katmai") for pool in blas)


def test_one_thing_in_a_process_of_its_own_gives_its_result_or_the_reason_why_not():
    assert contest.fresh(fakes.twice, 21) == 42
    assert contest.fresh(fakes.too_deep, 0) == "RecursionError"
    assert contest.fresh(fakes.sleeping, seconds=0.5) == "more than 0.5 s"
    assert isinstance(contest.fresh(fakes.sleeping, seconds=0.5), contest.Failure)
    if sys.platform != "win32":
        assert contest.fresh(fakes.killed) == "killed by SIGKILL"
    with pytest.raises(contest.Missing, match="a_library_that_nobody_has"):
        contest.fresh(fakes.missing)


# ---- tables --------------------------------------------------------------------------------------


def test_ratios_say_how_many_times_as_fast_ours_is():
    times = table()
    assert (times.ratio("small", "theirs"), times.ratio("small", "others")) == (1.5, None)
    assert (times.least_ratio("small"), times.least_ratio("large")) == (1.5, 3.0)
    assert times.geometric_mean() == pytest.approx((1.5 * 3) ** 0.5)
    assert table(rivals=("theirs",)).least_ratio("large") == 4
    assert table(more_is_better=True).ratio("large", "theirs") == 0.25


def test_an_exponent_is_the_slope_among_the_logarithms():
    cells = {f"{n}": {"ours": [3.0 * n**2], "theirs": [5.0 * n]} for n in (1, 10, 100)}
    found = Table("Growth", "s", cells, axis="size").exponents()
    assert found == {"ours": pytest.approx(2), "theirs": pytest.approx(1)}


def test_a_table_as_markdown_has_medians_ranges_ratios_and_what_came_instead():
    head, rule, *rows = [line for line in table().markdown().splitlines() if line.startswith("|")]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in (head, *rows)]
    assert len({len(line) for line in (head, rule, *rows)}) == 1  # it can be read as it is
    # Three contenders are more than two lines, and so stand below each other.
    assert cells == [
        ["", "small", "large"], ["ours", "2.00 (1.00–4.00)", "10.0"],
        ["theirs", "3.00, 1.50 ×", "40.0, 4.00 ×"], ["others", "RecursionError", "30.0, 3.00 ×"],
    ]  # fmt: skip
    wide = table()
    wide.cells["huge"] = {"ours": [1234.5], "theirs": [1e-5]}
    last = wide.markdown().splitlines()[-1].strip("|").split("|")
    assert [c.strip() for c in last] == ["huge", "1,230", "0.0000100, 0.00000000810 ×", "", "0.00"]


def test_results_are_written_and_read_again():
    found = results(table(notes=["A note."], rivals=("theirs",)))
    openblas = {
        "user_api": "blas",
        "internal_api": "openblas",
        "version": "1",
        "architecture": "Zen",
        "num_threads": 2,
    }
    pools = {"NumPy": [openblas], "PyTorch, eager": [openblas]}
    found.heard(contest.Outcome(left_out={"absent": "not installed"}, pools=pools), 2)
    assert Results.read(found.json()) == found
    text = found.markdown()
    assert "## fake: of the tests" in text and "### A table" in text and "A note." in text
    assert "- Left out: absent (not installed)." in text
    assert "- openblas 1 Zen, 2 threads: in NumPy; PyTorch, eager." in text


def test_a_picture_has_a_panel_for_each_kind_of_table(tmp_path):
    pytest.importorskip("matplotlib")
    from pictures import draw, kind

    curve = Table("Growth", "s", {"1": {"ours": [1.0]}, "10": {"ours": [9.0]}}, axis="size")
    alone = Table("Alone", "s", {"s": {"ours": [1.0, 2.0], "theirs": "RecursionError"}})
    assert [kind(each) for each in (table(), curve, alone)] == ["ratios", "curve", "values"]
    assert draw(results(table(), curve, alone), tmp_path / "fake.png")
    assert (tmp_path / "fake.png").read_bytes().startswith(b"\x89PNG")
    assert not draw(results(), tmp_path / "nothing.png")


# ---- the programs ----------------------------------------------------------------------------------


def test_pytorchs_classic_program_differs_in_its_imports_alone(tmp_path):
    made = classic.programs(tmp_path, 10)
    assert made["ours"] == classic.PROGRAM
    ours, theirs = (made[name].read_text(encoding="utf-8").splitlines() for name in ("ours", "PyTorch"))
    changed = {a: b for a, b in zip(ours, theirs, strict=True) if a != b}
    assert changed == classic.IMPORTS
    assert not any(re.search(r"import.*\b(nn|autodiff)\b", line) and "torch" not in line for line in theirs)
    short = classic.programs(tmp_path, 1)
    assert all("num_epochs = 1\n" in path.read_text(encoding="utf-8") for path in short.values())
    with pytest.raises(ValueError, match="has the line 'import what' 0 times"):
        classic.replaced("import numpy\n", {"import what": "import that"})


def test_the_classic_programs_have_to_print_the_same():
    same = [0.550, 0.4, 91.0]
    classic.compare({"ours": same, "PyTorch": [0.548, 0.41, 92.0]}, 2)
    for other in ([0.6, 0.4, 91.0], [0.55, 0.4, 80.0], [0.55, 91.0]):
        with pytest.raises(contest.Disagreement, match="ours printed .* PyTorch"):
            classic.compare({"ours": same, "PyTorch": other}, 2)


def test_one_command_knows_its_benchmarks_and_gathers_what_they_found(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "compiler"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "there is no compiler" in done.stderr
    whole = runpy.run_path(str(ROOT / "benchmarks" / "__main__.py"))
    assert all((ROOT / "benchmarks" / f"{name}.py").is_file() for name in whole["NAMES"])
    for name in ("gemm", "chains"):
        (tmp_path / f"{name}.json").write_text(results(table(), name=name).json(), encoding="utf-8")
    whole["write"](tmp_path)
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert text.index("a processor") < text.index("## gemm") < text.index("## chains")


def test_an_import_that_is_timed_need_not_compile_our_source(monkeypatch):
    import starts

    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert starts.child("-c", "import sys; print(sys.dont_write_bytecode)") == "False\n"


def test_an_import_of_ours_imports_no_more_than_it_needs():
    import starts

    names = ["numba", "numpy.random", "hashlib", "json", "sysconfig"]
    said = starts.child("-c", f"import sys, autodiff; print([n for n in {names} if n in sys.modules])")
    assert said == "[]\n"
