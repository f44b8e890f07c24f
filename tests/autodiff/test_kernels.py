"""The kernels: every rung of the matmul ladder against NumPy, and what holds when Numba is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff import kernels
from autodiff.kernels import convolution, elementwise, scatter, softmax, threads

sizes = st.integers(0, 40)


def laid_out(x, layout):
    if layout == "fortran":
        return np.asfortranarray(x)
    if layout == "reversed":
        return np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]
    if layout == "strided":
        wide = np.zeros((x.shape[0] * 2, x.shape[1] * 3), x.dtype)
        wide[::2, ::3] = x
        return wide[::2, ::3]
    x = x.copy()
    x.flags.writeable = layout != "read-only"
    return x


@pytest.mark.parametrize("rung", [r for r in kernels.RUNGS if r != "numpy"])
@settings(max_examples=15)
@given(
    m=sizes, n=sizes, p=sizes, dtype=st.sampled_from([np.float32, np.float64]), seed=st.integers(0, 9),
    layouts=st.tuples(*[st.sampled_from(["plain", "fortran", "reversed", "strided", "read-only"])] * 2),
)  # fmt: skip
def test_every_rung_multiplies(rung, m, n, p, dtype, seed, layouts):
    pytest.importorskip("numba", reason="Numba is not installed: there are no compiled rungs")
    rng = np.random.default_rng(seed)
    a, b = (
        rng.standard_normal((m + 30, n + 30)).astype(dtype),
        rng.standard_normal((n + 30, p + 40)).astype(dtype),
    )
    with kernels.use(rung):
        found = kernels.matmul(laid_out(a, layouts[0]), laid_out(b, layouts[1]))
    np.testing.assert_allclose(
        found, a @ b, rtol=1e-4 if dtype == np.float32 else 1e-11, atol=1e-4 if dtype == np.float32 else 1e-11
    )


@pytest.mark.parametrize("rung", kernels.RUNGS)
def test_batches_nan_and_small_operands(rung):
    if rung != "numpy":
        pytest.importorskip("numba", reason="Numba is not installed: there are no compiled rungs")
    a, b = (
        np.random.default_rng(0).standard_normal((2, 1, 40, 30)),
        np.random.default_rng(1).standard_normal((3, 30, 50)),
    )
    a[0, 0, 3, 2] = np.nan
    with kernels.use(rung):
        np.testing.assert_allclose(kernels.matmul(a, b), a @ b, rtol=1e-11, atol=1e-11)
        exact = np.array([[Fraction(1, 3)]], object)
        assert kernels.matmul(exact, exact)[0, 0] == Fraction(1, 9)


def test_use_is_checked_and_undone():
    with pytest.raises(ValueError, match="Try one of"):
        kernels.use("magic")
    with kernels.use("loops"):
        assert "loops" in str(kernels.info())
    assert "default" in str(kernels.info())


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=True,
    )


def test_without_numba_everything_works_with_one_line_of_warning():
    done = run(
        "import sys; sys.modules['numba'] = None\n"
        "import autodiff as ad\n"
        "x = ad.ones(64, 64, requires_grad=True)\n"
        "(x @ x).sum().backward(); (x @ x).sum().backward()\n"
        "print(x.grad[0, 0].item())",
        AUTODIFF_MATMUL="blocked",
    )
    assert done.stdout.strip() == "256.0" and done.stderr.count("Numba can't be used") == 1


def test_importing_autodiff_does_not_import_numba():
    assert run("import sys, autodiff, nn; print('numba' in sys.modules)").stdout.strip() == "False"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_threads_respect_affinity_and_the_variable():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); import autodiff; print(autodiff.get_num_threads())"
    assert run(code).stdout.strip() == "1"
    assert (
        run("import autodiff; print(autodiff.get_num_threads())", AUTODIFF_NUM_THREADS="7").stdout.strip()
        == "7"
    )


def test_threads_respect_a_containers_quota(tmp_path):
    (tmp_path / "cpu.max").write_text("150000 100000\n", encoding="utf-8")
    assert threads.container_quota(tmp_path) == 1.5
    (tmp_path / "cpu.max").write_text("max 100000\n", encoding="utf-8")
    assert threads.container_quota(tmp_path) is None


@given(st.floats(allow_nan=True, width=64))
def test_elementwise_never_overflow(x):
    with np.errstate(over="raise", invalid="ignore"):
        s = elementwise.sigmoid(np.array([x]))[0]
        assert np.isnan(x) or 0 <= s <= 1
        assert np.isnan(x) or elementwise.softplus(np.array([x]))[0] >= max(x, 0)


def test_softmax_at_infinity():
    x = np.array([[-np.inf, -np.inf], [1000.0, 1000.0], [-np.inf, 0.0]])
    assert softmax.logsumexp(x, 1).tolist() == [-np.inf, 1000 + np.log(2), 0]
    assert (
        softmax.softmax(x, 1)[1:].tolist() == [[0.5, 0.5], [0, 1]]
        and np.isnan(softmax.softmax(x, 1)[0]).all()
    )


def test_repeated_places_receive_all():
    assert scatter.add_at((3,), float, (np.array([1, 1, 0]),), np.array([1.0, 2.0, 4.0])).tolist() == [
        4,
        3,
        0,
    ]


def naive_convolution(x, w, s, p, d, groups):
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    h = (x.shape[2] - d * (w.shape[2] - 1) - 1) // s + 1
    v = (x.shape[3] - d * (w.shape[3] - 1) - 1) // s + 1
    y = np.zeros((x.shape[0], w.shape[0], h, v))
    per = w.shape[0] // groups
    for n, o, i, j in np.ndindex(*y.shape):
        for c, a, b in np.ndindex(*w.shape[1:]):
            y[n, o, i, j] += x[n, o // per * w.shape[1] + c, i * s + a * d, j * s + b * d] * w[o, c, a, b]
    return y


@pytest.mark.parametrize("s, p, d, groups", [(1, 0, 1, 1), (2, 1, 1, 2), (1, 2, 2, 1)])
def test_convolution_is_its_definition(s, p, d, groups):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 2, 6, 5)), rng.standard_normal((4, 2 // groups, 3, 2))
    found = convolution.conv2d(x, w, stride=(s, s), padding=(p, p), dilation=(d, d), groups=groups)
    np.testing.assert_allclose(found, naive_convolution(x, w, s, p, d, groups), atol=1e-12)
