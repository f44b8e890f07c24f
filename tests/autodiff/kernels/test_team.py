"""The team of threads: same results in whatever number, several callers, sleep, forks, and nowhere to run."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from kernel_support import needs_numba, run_python, small_integers

from autodiff import kernels
from autodiff.kernels import threads

pytestmark = needs_numba


@pytest.fixture
def of_size(monkeypatch):
    """Ask for a number of threads without asking BLAS for it."""

    def ask(count):
        monkeypatch.setattr(threads, "chosen", count)

    return ask


def product(name="threaded", m=70, n=120, k=130):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((m, k), (k, n)))
    out = np.empty((m, n), np.float32)
    kernels.rung(name, np.float32)(a, b, out)
    return out


def test_any_number_of_threads_gives_the_same(of_size):
    from autodiff.kernels import team

    expected = product("vectorised")
    for count in (1, 2, 3, 4, 7, 2):
        of_size(count)
        for _ in range(50):
            np.testing.assert_array_equal(product(), expected)
        if count > 1:
            assert team.current.size == count and len(team.current.threads) == count - 1


def test_two_python_threads_at_once(of_size):
    """The second works alone meanwhile."""
    of_size(3)
    a, b = small_integers((65, 130), np.float32, 0), small_integers((130, 70), np.float32, 1)
    multiply, expected = kernels.rung("threaded", np.float32), a @ b

    def work(_):
        out = np.empty_like(expected)
        multiply(a, b, out)
        return (out == expected).all()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(400)))


def test_the_team_changes_size_while_others_use_it(of_size):
    expected = product("vectorised")

    def work():
        for _ in range(200):
            results.append((product() == expected).all())

    results: list = []
    of_size(2)
    others = [threading.Thread(target=work) for _ in range(2)]
    for thread in others:
        thread.start()
    for count in (3, 1, 4, 2) * 5:
        of_size(count)
        assert (product() == expected).all()
    for thread in others:
        thread.join()
    assert len(results) == 400 and all(results)


def test_threads_go_to_sleep_and_are_woken(of_size):
    from autodiff.kernels import team

    of_size(3)
    expected = product("vectorised")
    for _ in range(5):
        np.testing.assert_array_equal(product(), expected)
        deadline = time.monotonic() + 60
        while len(team.current.sleepers) < 2:
            assert time.monotonic() < deadline, "nobody went to sleep"
            time.sleep(0.001)
        assert team.current.wake_up_calls.empty()


def test_every_part_is_done_once(of_size):
    """A job that counts: as many parts as threads, each number once."""
    from numba import cfunc, types

    from autodiff.kernels import team

    @cfunc(types.void(types.int64, types.int64, types.int64))
    def count(argument, part, parts):
        team.add(argument + 8 * part, 1)
        team.add(argument + 8 * 7, parts)

    of_size(4)
    tally = np.zeros(8, np.int64)

    def start(address, size):
        team.compiled(team.launch)(address, count.address, tally.ctypes.data, size)

    for _ in range(1000):
        team.run(start)
    assert tally[:4].tolist() == [1000] * 4 and tally[7] == 4 * 4 * 1000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_makes_its_own_team():
    code = """
import os, sys, warnings
warnings.simplefilter("ignore")  # Python 3.12 warns of any fork where there are threads
import numpy as np
from autodiff import kernels
from autodiff.kernels import team
a = np.ones((100, 100), "f")
kernels.matmul(a, a)
child = os.fork()
if child == 0:
    assert team.current is None
    for _ in range(20):
        assert (kernels.matmul(a, a) == 100).all()
    assert team.current.size == 2 and all(thread.is_alive() for thread in team.current.threads)
    sys.exit(0)
_, status = os.waitpid(child, 0)
assert (kernels.matmul(a, a) == 100).all()
print("child", status)
"""
    assert run_python(code, AUTODIFF_NUM_THREADS="2")[0] == "child 0"


def test_where_no_thread_can_be_started_one_does_the_work(of_size, monkeypatch):
    from autodiff.kernels import team

    def fail(self):
        raise RuntimeError("can't start new thread")

    expected = product("vectorised")
    monkeypatch.setattr(team, "why_alone", "")
    monkeypatch.setattr(threading.Thread, "start", fail)
    of_size(5)
    np.testing.assert_array_equal(product(), expected)
    assert "one works alone: can't start new thread" in kernels.info()


def test_python_ends_while_threads_wait_or_sleep():
    code = (
        "import numpy as np, time; from autodiff import kernels; a = np.ones((99, 99)); kernels.matmul(a, a)"
    )
    for pause in ("", "; time.sleep(0.3)"):
        _, said = run_python(code + pause, AUTODIFF_NUM_THREADS="3")
        assert all(line.startswith("autodiff: compiling") for line in said.splitlines())
