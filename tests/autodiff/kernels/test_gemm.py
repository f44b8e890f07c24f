"""Every rung of the matmul ladder against NumPy, and which of them serves when."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_support import LAYOUTS, laid_out, layouts, needs_numba, run_python, seeds, small_integers

from autodiff import kernels
from autodiff.kernels import gemm

RUNGS = [pytest.param(name, marks=[] if name == "numpy" else needs_numba) for name in kernels.RUNGS]
sizes = st.one_of(st.integers(0, 9), st.integers(10, 37))
dtypes = st.sampled_from([np.float32, np.float64])
every_rung = pytest.mark.parametrize("name", RUNGS)


@pytest.fixture
def all_sizes(monkeypatch):
    """The compiled rungs serve the smallest operands too."""
    monkeypatch.setattr(gemm, "SMALL", 0)


@every_rung
@given(sizes, sizes, sizes, dtypes, st.tuples(layouts, layouts, layouts), seeds)
def test_a_rung_is_exact_on_whole_numbers(name, m, n, p, dtype, how, seed):
    a = laid_out(small_integers((m, n), dtype, seed), how[0])
    b = laid_out(small_integers((n, p), dtype, seed + 1), how[1])
    expected = np.matmul(a, b)
    out = laid_out(np.full((m, p), np.nan, dtype), how[2])
    out.flags.writeable = True
    kernels.rung(name, dtype)(a, b, out)
    np.testing.assert_array_equal(out, expected)


@every_rung
@given(sizes, sizes, sizes, dtypes, st.tuples(layouts, layouts, layouts), seeds)
def test_a_bias_is_added_to_every_row(name, m, n, p, dtype, how, seed):
    a = laid_out(small_integers((m, n), dtype, seed), how[0])
    b = laid_out(small_integers((n, p), dtype, seed + 1), how[1])
    bias = small_integers((p,), dtype, seed + 2)
    out = laid_out(np.full((m, p), np.nan, dtype), how[2])
    out.flags.writeable = True
    kernels.rung(name, dtype)(a, b, out, bias)
    np.testing.assert_array_equal(out, np.matmul(a, b) + bias)


def strange(bias):
    """Biases that compiled code does not take as they are."""
    apart = np.repeat(bias, 2)[::2]
    shifted = np.empty(bias.nbytes + 1, np.uint8)[1:].view(bias.dtype)
    shifted[...] = bias
    return [apart, shifted, bias.astype(np.float16)]


@every_rung
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_linear_has_the_bits_of_a_product_and_an_addition(name, dtype, all_sizes):
    rng = np.random.default_rng(0)
    x, weight, bias = (rng.standard_normal(shape).astype(dtype) for shape in ((13, 300), (40, 300), (40,)))
    with kernels.use(name):
        for added in [bias, *strange(bias)]:
            expected = kernels.matmul(x, weight.T) + added
            np.testing.assert_array_equal(kernels.linear(x, weight, added), expected)
        stacked = np.stack([x, x])
        np.testing.assert_array_equal(
            kernels.linear(stacked, weight, bias)[1], kernels.matmul(x, weight.T) + bias
        )


@every_rung
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_rung_rounds_no_worse_than_a_sum_of_so_many_terms(name, dtype):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((13, 301)), rng.standard_normal((301, 22))
    out = np.empty((13, 22), dtype)
    kernels.rung(name, dtype)(a.astype(dtype), b.astype(dtype), out)
    bound = 302 * np.finfo(dtype).eps * (np.abs(a) @ np.abs(b))  # Higham 2002, section 3.5
    assert (np.abs(out - a @ b) <= bound).all()


@every_rung
def test_a_rung_reads_operands_of_stride_zero(name):
    a = np.broadcast_to(np.arange(5, dtype=np.float64), (6, 5))
    b = np.broadcast_to(np.arange(5, dtype=np.float64)[:, None], (5, 7))
    out = np.empty((6, 7))
    kernels.rung(name, np.float64)(a, b, out)
    np.testing.assert_array_equal(out, np.full((6, 7), 30.0))


@every_rung
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@given(st.integers(0, 8), st.integers(0, 8))
def test_nan_and_infinity_pass_through(name, special, row, column):
    a, b = small_integers((9, 9), np.float32, 0), small_integers((9, 9), np.float32, 1)
    a[row, column] = special
    out = np.empty((9, 9), np.float32)
    with np.errstate(invalid="ignore"):
        kernels.rung(name, np.float32)(a, b, out)
        np.testing.assert_array_equal(out, np.array([[sum(x * y) for y in b.T] for x in a]))


@every_rung
@given(
    st.sampled_from(
        [
            ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 5)), ((2, 3, 4), (4,)), ((4,), (2, 4, 5)),
            ((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)), ((2, 1, 3, 4), (6, 4, 5)), ((0, 3, 4), (4, 5)),
            ((2, 3, 0), (0, 5)), ((0,), (0,)), ((1, 1), (1, 1)), ((1, 3, 4), (2, 1, 4, 1)),
        ]
    ),
    dtypes,
    seeds,
)  # fmt: skip
def test_matmul_takes_every_rank(name, shapes, dtype, seed):
    a, b = (small_integers(shape, dtype, seed + k) for k, shape in enumerate(shapes))
    expected = np.matmul(a, b)
    small, gemm.SMALL = gemm.SMALL, 0
    try:
        with kernels.use(name):
            found = kernels.matmul(a, b)
    finally:
        gemm.SMALL = small
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype and found.shape == expected.shape and type(found) is type(expected)


@needs_numba
@pytest.mark.parametrize("how", LAYOUTS)
def test_a_batch_may_lie_in_memory_in_any_way(how, all_sizes):
    a = np.stack([small_integers((8, 6), np.float32, k) for k in range(4)])[::-2]
    b = laid_out(small_integers((6, 10), np.float32, 9), how)
    with kernels.use("blocked"):
        np.testing.assert_array_equal(kernels.matmul(a, b), a @ b)
        np.testing.assert_array_equal(kernels.matmul(a.swapaxes(1, 2), a), a.swapaxes(1, 2) @ a)


def unaligned(x):
    y = np.empty(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    y[...] = x
    assert not y.flags.aligned
    return y


@pytest.mark.parametrize(
    "unusual",
    [
        lambda x: x.astype(np.int64),
        lambda x: x.astype(bool),
        lambda x: x.astype(complex),
        lambda x: x.astype(np.float16),
        lambda x: x.astype(">f4"),
        lambda x: x.astype(object),
        lambda x: x.view(np.matrix),
        unaligned,
    ],
    ids=["int", "bool", "complex", "half", "swapped", "object", "subclass", "unaligned"],
)
def test_what_is_unusual_goes_to_numpy(unusual, all_sizes, monkeypatch):
    monkeypatch.setattr(gemm, "rung", None)  # calling it would be an error
    x = unusual(small_integers((5, 5), np.float32, 3))
    with kernels.use("blocked"):
        found = kernels.matmul(x, x)
    np.testing.assert_array_equal(found, np.matmul(x, x))
    assert found.dtype == np.matmul(x, x).dtype and type(found) is type(np.matmul(x, x))


def test_mixed_dtypes_promote_as_in_numpy(all_sizes):
    a, b = small_integers((3, 3), np.float32, 0), small_integers((3, 3), np.float64, 1)
    with kernels.use("blocked"):
        assert kernels.matmul(a, b).dtype == np.float64


def test_exact_numbers_stay_exact():
    x = np.array([[Fraction(1, 3), Fraction(1, 7)]], object)
    with kernels.use("loops"):
        assert kernels.matmul(x, x.T)[0, 0] == Fraction(1, 9) + Fraction(1, 49)


@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((4,), (3,)), ((2, 3, 4), (3, 4, 5)), ((), (3,))])
def test_what_does_not_fit_is_numpys_error(shapes, all_sizes):
    a, b = (np.zeros(shape) for shape in shapes)
    with kernels.use("blocked"), pytest.raises(ValueError, match=r"matmul|broadcast"):
        kernels.matmul(a, b)


# ---- choosing a rung ----------------------------------------------------------------------------


def rung_in_use():
    return gemm.in_use()[0]


def test_use_as_a_statement_and_as_a_context_nest():
    assert rung_in_use() == gemm.DEFAULT
    with kernels.use("loops"):
        with kernels.use("reordered"):
            kernels.use("blocked")
            assert rung_in_use() == "blocked"
            with kernels.use(None):
                assert rung_in_use() == gemm.DEFAULT
        assert rung_in_use() == "loops"
        with pytest.raises(RuntimeError, match="inside"), kernels.use("numpy"):
            raise RuntimeError("inside")
        assert rung_in_use() == "loops"
    assert rung_in_use() == gemm.DEFAULT


def test_a_thread_and_a_task_choose_for_themselves():
    async def task(name):
        with kernels.use(name):
            await asyncio.sleep(0)
            return rung_in_use()

    async def both():
        return await asyncio.gather(task("loops"), task("reordered"))

    with kernels.use("blocked"):
        elsewhere = []
        thread = threading.Thread(target=lambda: elsewhere.append(rung_in_use()))
        thread.start()
        thread.join()
        assert elsewhere == [gemm.DEFAULT]
        assert asyncio.run(both()) == ["loops", "reordered"]


def test_an_unknown_rung_is_an_error_that_names_the_known():
    with pytest.raises(ValueError, match="no matmul is called 'magic'.*numpy, loops, reordered, blocked"):
        kernels.use("magic")
    assert rung_in_use() == gemm.DEFAULT
    code = (
        "import numpy, autodiff.kernels as k\ntry: k.matmul(numpy.eye(2), numpy.eye(2))\n"
        "except ValueError as error: print(error)"
    )
    assert (
        "'magic' (asked for by kernels.use or AUTODIFF_MATMUL)"
        in run_python(code, AUTODIFF_MATMUL="magic")[0]
    )


@needs_numba
def test_several_threads_may_multiply_at_once():
    a, b = small_integers((65, 130), np.float32, 0), small_integers((130, 70), np.float32, 1)
    multiply, expected = kernels.rung("blocked", np.float32), a @ b

    def work(_):
        out = np.empty_like(expected)
        multiply(a, b, out)
        return (out == expected).all()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(100)))


@needs_numba
def test_info_tells_what_serves_and_why():
    with kernels.use("blocked"):
        kernels.matmul(np.zeros((40, 40)), np.zeros((40, 40)))
        text = kernels.info()
    assert repr(text) == text
    assert "blocked (kernels.use)" in text and "threads" in text
    assert "the 'blocked' matmul for float64 (cache: " in text
    assert "threaded (the default)" in kernels.info()
