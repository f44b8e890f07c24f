"""Numba comes late or not at all, a compile is announced, and its cache may fail in any way."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time

import numpy as np
import pytest
from kernel_support import ROOT, needs_numba, run_python

from autodiff.kernels import elementwise, jit, updates

MULTIPLY = """
import sys, warnings
import numpy as np
from autodiff import kernels
a, b = np.full((40, 50), 2, "f"), np.full((50, 30), 3, "f")
with kernels.use("loops"):
    for _ in range(3):
        assert (kernels.matmul(a, b) == 300).all()
"""


@pytest.fixture
def copy(tmp_path):
    """The package alone, in a folder where nothing is cached and nothing else can be."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "autodiff", tmp_path / "autodiff", ignore=ignored)
    nowhere = tmp_path / "a file, not a folder"
    nowhere.touch()

    def run(code=MULTIPLY):
        home = str(nowhere)
        return run_python(code, at=tmp_path, HOME=home, XDG_CACHE_HOME=home, LOCALAPPDATA=home)[1]

    run.kernels = tmp_path / "autodiff" / "kernels"
    return run


@needs_numba
def test_a_compile_is_announced_in_one_line_and_cached_until_the_source_changes(copy):
    announced = "autodiff: compiling the 'loops' matmul for float32 (once; cached) ..."
    assert copy() == announced
    assert copy() == ""
    with open(copy.kernels / "gemm.py", "a", encoding="utf-8") as source:
        source.write("# another line\n")
    assert copy() == announced


POOL = """
import numpy as np
from autodiff.kernels import pooling
pooling.LARGE = 0
pooling.max_pool2d(np.ones((1, 1, 4, 4), "f"), kernel_size=(2, 2), stride=(2, 2))
"""


@needs_numba
def test_what_is_made_from_several_files_is_compiled_anew_when_one_of_them_changes(copy):
    announced = "autodiff: compiling the pooling of maxima for float32 (once; cached) ..."
    assert copy(POOL) == announced
    assert copy(POOL) == ""
    with open(copy.kernels / "vectorised.py", "a", encoding="utf-8") as source:
        source.write("# another line\n")
    assert copy(POOL) == announced


@needs_numba
def test_two_processes_may_store_what_they_compiled_at_once(tmp_path, monkeypatch):
    """Neither has seen what the other stores; the one that is last with the index is first with the code."""
    from numba import float64
    from numba.core import caching, config

    def times(factor):
        return jit.compiled(lambda x: factor * x, float64(float64))

    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    file, codes = caching.IndexDataCacheFile, []
    with monkeypatch.context() as processes:
        processes.setattr(file, "_load_index", lambda self: {})
        processes.setattr(file, "_save_data", lambda *code: codes.append(code))
        times(2.0), times(3.0)
    for code in reversed(codes):
        file._save_data(*code)
    assert (times(2.0)(1.0), times(3.0)(1.0)) == (2, 3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning"
)  # Python 3.12 warns of any fork where there are threads
def test_a_fork_waits_for_a_compile_in_another_thread():
    """It would never end in the child, and whoever waits for it there would wait forever."""
    compiling = threading.Event()

    def compile_():
        with jit.lock:
            compiling.set()
            time.sleep(0.05)

    thread = threading.Thread(target=compile_)
    thread.start()
    compiling.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if jit.lock.acquire(timeout=1) else 1)
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


@needs_numba
def test_a_cache_that_cannot_be_written_costs_one_warning(copy):
    (copy.kernels / "__pycache__").touch()  # no folder can be made in its place
    said = copy()
    assert "compiling the 'loops' matmul for float32 (for this process only)" in said
    assert said.count("RuntimeWarning") == 1 and said.count("can't be cached") == 1
    assert "set NUMBA_CACHE_DIR" in said and "Traceback" not in said


@needs_numba
@pytest.mark.parametrize("suffix", ["nbc", pytest.param("nbi", marks=pytest.mark.slow)])
def test_a_broken_cache_costs_one_warning(copy, suffix):
    copy()
    broken = list((copy.kernels / "__pycache__").glob(f"*.{suffix}"))
    assert broken
    for file in broken:
        file.write_bytes(file.read_bytes()[:20] if suffix == "nbi" else b"")
    said = copy()
    assert said.count("can't be cached") == 1 and "Traceback" not in said


@pytest.mark.parametrize(
    "missing, why",
    [
        ("sys.modules['numba'] = None", "ModuleNotFoundError"),
        ("import os; os.environ['NUMBA_DISABLE_JIT'] = '1'", "NUMBA_DISABLE_JIT is set"),
    ],
)
def test_without_numba_numpy_serves_with_one_warning(missing, why):
    if "NUMBA" in why:
        pytest.importorskip("numba")
    code = f"import sys\n{missing}\n{MULTIPLY}\nprint(kernels.info())"
    out, err = run_python(code)
    assert err.count("Numba can't be used") == 1 and err.count("RuntimeWarning") == 1
    assert why in err and "NumPy multiplies, not 'loops'" in err
    assert f"numba     can't be used: {why}" in out


def test_numba_is_not_imported_before_a_kernel_needs_it():
    code = """
import sys
from autodiff import kernels
import numpy as np
small = np.ones((8, 8), "f")
kernels.matmul(small, small)  # nobody waits for a compile with these
with kernels.use("blocked"):
    kernels.matmul(small, small)
with kernels.use("numpy"):
    kernels.matmul(np.ones((99, 99)), np.ones((99, 99)))
print("numba" in sys.modules)
"""
    assert run_python(code) == ("False", "")


@needs_numba
def test_threads_that_want_the_same_kernel_compile_it_once(copy):
    code = (
        MULTIPLY
        + """
from concurrent.futures import ThreadPoolExecutor
def work(_):
    with kernels.use("reordered"):
        return kernels.matmul(a, b)
with ThreadPoolExecutor(4) as pool:
    assert all((y == 300).all() for y in pool.map(work, range(8)))
"""
    )
    assert copy(code).count("compiling the 'reordered'") == 1


def test_in_a_hurry_numpy_does_what_has_the_same_bits():
    """Recordings run twice: they don't wait for loops that the program will not call."""
    p, g = np.ones((512, 512), np.float32), np.full((512, 512), 3, np.float32)
    with jit.in_a_hurry():
        assert not updates.in_one_loop(p, g) and not elementwise.in_one_loop(p, p > 0)
    assert updates.in_one_loop(p, g) == elementwise.in_one_loop(p, p > 0) == (not jit.unusable())


@needs_numba
def test_a_function_that_watches_calls_does_not_watch_numba():
    """A compiled function's first call is watched so, and Numba would take as long again."""
    from numba import float64

    seen = []

    def watch(frame, event, arg):
        seen.append(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        double = jit.compiled(lambda x: 2 * x, float64(float64))
        assert sys.getprofile() is watch
    finally:
        sys.setprofile(before)
    assert double(3.0) == 6
    assert 0 < len(seen) < 1000, len(seen)
    assert not any("typeinfer" in name for name in seen)


@needs_numba
def test_a_compiled_step_compiles_no_loop_of_the_optimiser(tmp_path):
    _, said = run_python(
        "import autodiff, nn\n"
        "w = nn.Parameter(autodiff.ones(300, 300))\n"
        "optimizer = nn.optim.SGD([w], lr=0.1)\n"
        "@autodiff.compile\n"
        "def step(x):\n"
        "    optimizer.zero_grad()\n"
        "    loss = (x * w).relu().sum()\n"
        "    loss.backward()\n"
        "    optimizer.step()\n"
        "    return loss\n"
        "step(autodiff.ones(300, 300))\n",
        NUMBA_CACHE_DIR=str(tmp_path / "numba"), AUTODIFF_CACHE_DIR=str(tmp_path / "programs"),
    )  # fmt: skip
    assert "compiling step" in said and "sgd" not in said and "gate" not in said
