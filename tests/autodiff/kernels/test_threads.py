"""How many threads: what was asked for, else affinity and the container's quota."""

from __future__ import annotations

import os

import pytest
from kernel_support import run_python

import autodiff
from autodiff.kernels import threads


@pytest.fixture
def unasked(monkeypatch):
    """Nobody has asked for a number; afterwards BLAS has the one it had."""
    pytest.importorskip("threadpoolctl")
    import threadpoolctl

    monkeypatch.setattr(threads, "chosen", None)
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    threads.by_default.cache_clear()
    with threadpoolctl.threadpool_limits(user_api="blas"):
        yield
    threads.by_default.cache_clear()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_the_default_respects_affinity():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import autodiff; print(autodiff.get_num_threads())"
    )
    assert run_python(code)[0] == "1"


def files(root, **texts):
    for name, text in texts.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    "membership, limits, expected",
    [
        ("0::/", {"cpu_DOT_max": "150000 100000"}, 1.5),
        ("0::/", {"cpu_DOT_max": "max 100000"}, None),
        ("0::/", {}, None),
        # the tightest of a group's own and its parents'
        ("0::/a/b", {"a__cpu_DOT_max": "50000 100000", "a__b__cpu_DOT_max": "300000 100000"}, 0.5),
        ("0::/a/b", {"a__cpu_DOT_max": "max 100000", "a__b__cpu_DOT_max": "300000 100000"}, 3.0),
        # in a container: the group's name from outside, its files at the root
        ("0::/system/box", {"cpu_DOT_max": "200000 100000"}, 2.0),
        # version 1
        ("3:cpuset:/\n2:cpu:/", {"cpu__cpu.cfs_quota_us": "25000", "cpu__cpu.cfs_period_us": "100000"}, 0.25),
        ("2:cpu:/", {"cpu__cpu.cfs_quota_us": "-1", "cpu__cpu.cfs_period_us": "100000"}, None),
        (
            "4:cpu,cpuacct:/docker/box",
            {"cpu,cpuacct__cpu.cfs_quota_us": "400000", "cpu,cpuacct__cpu.cfs_period_us": "100000"},
            4.0,
        ),
        ("", {"cpu_DOT_max": "150000 100000"}, None),
    ],
)
def test_a_containers_quota(tmp_path, membership, limits, expected):
    files(tmp_path, **limits, groups=membership)
    assert threads.container_quota(tmp_path, tmp_path / "groups") == expected


def test_a_system_without_control_groups(tmp_path):
    assert threads.container_quota(tmp_path, tmp_path / "none") is None


@pytest.mark.parametrize("quota, count", [(0.25, 1), (1.5, 2), (3.0, 3), (16.0, 4), (None, 4)])
def test_the_default_is_the_lesser_of_affinity_and_quota(monkeypatch, unasked, quota, count):
    monkeypatch.setattr(threads, "affinity", lambda: 4)
    monkeypatch.setattr(threads, "container_quota", lambda: quota)
    found, source = threads.threads_and_source()
    assert found == count == autodiff.get_num_threads()
    assert ("quota" in source) == (count < 4)


def test_set_num_threads_wins_and_checks(monkeypatch, unasked):
    import threadpoolctl

    monkeypatch.setenv(threads.VARIABLE, "5")
    assert autodiff.get_num_threads() == 5
    autodiff.set_num_threads(3)
    assert threads.threads_and_source() == (3, "set_num_threads")
    blas = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    assert all(pool["num_threads"] == 3 for pool in blas)
    with pytest.raises(ValueError, match="expects a positive integer, but got 0"):
        autodiff.set_num_threads(0)
    with pytest.raises(TypeError, match="expects an int, but got float"):
        autodiff.set_num_threads(2.0)  # type: ignore[arg-type]
    assert autodiff.get_num_threads() == 3


@pytest.mark.parametrize("asked", ["0", "-1", "many", "1.5"])
def test_a_variable_that_is_no_number_of_threads(monkeypatch, unasked, asked):
    monkeypatch.setenv(threads.VARIABLE, asked)
    with pytest.raises(ValueError, match=f"AUTODIFF_NUM_THREADS='{asked}' is not a number of threads"):
        autodiff.get_num_threads()


BLAS = """
import threadpoolctl, autodiff
pools = [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
print(autodiff.get_num_threads(), pools)
"""


def test_blas_is_held_to_the_variable_from_the_start():
    pytest.importorskip("threadpoolctl")
    count, pools = run_python(BLAS, AUTODIFF_NUM_THREADS="3", OPENBLAS_NUM_THREADS="")[0].split(" ", 1)
    assert count == "3" and set(pools.strip("[]").split(", ")) <= {"3", ""}


def test_without_threadpoolctl_one_warning_says_what_to_do():
    code = "import sys; sys.modules['threadpoolctl'] = None\nimport autodiff\nautodiff.set_num_threads(1)"
    err = run_python(code)[1]
    assert err.count("RuntimeWarning") == 1 and "set OPENBLAS_NUM_THREADS=1 before Python starts" in err
