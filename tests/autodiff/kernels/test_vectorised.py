"""The tile of registers: steps, edges, widths of vectors, and that rounding depends on none of them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kernel_support import laid_out, layouts, needs_numba, run_python, seeds, small_integers

pytestmark = needs_numba

WIDTHS = (16, 32, 64)  # bytes; LLVM makes two of one where the processor has not got them
sizes = st.one_of(st.integers(0, 18), st.integers(19, 70))
dtypes = st.sampled_from([np.float32, np.float64])
steps = st.integers(0, 31)


@pytest.fixture(scope="module")
def gemm():
    """The kernel for any width, called with arrays."""
    numba = pytest.importorskip("numba")
    from autodiff.kernels import team, vectorised

    compiled: dict = {}

    def entry(dtype, width):
        if (dtype, width) not in compiled:
            name = vectorised.kernel(np.dtype(dtype), width)
            kernel = numba.types.ExternalFunction(name, numba.types.void(*vectorised.INPUTS))

            @numba.njit(numba.types.void(*vectorised.INPUTS), nogil=True)
            def call(
                m, n, k, a, ar, ac, b, br, bc, out, out_row, steps, factor, bias, gate, gate_row, t, size
            ):
                kernel(
                    m, n, k, a, ar, ac, b, br, bc, out, out_row, steps, factor, bias, gate, gate_row, t, size
                )

            compiled[dtype, width] = call
        return compiled[dtype, width]

    def call(a, b, out, steps=0, factor=1.0, bias=None, gate=None, width=None, together=False):
        function = entry(out.dtype.type, width or vectorised.vector_bytes())
        arguments = (
            *out.shape, a.shape[1], a.ctypes.data, *a.strides, b.ctypes.data, *b.strides,
            out.ctypes.data, out.strides[0], steps, factor, 0 if bias is None else bias.ctypes.data,
            *((0, 0) if gate is None else (gate.ctypes.data, gate.strides[0])),
        )  # fmt: skip
        if together:
            team.run(function, *arguments)
        else:
            function(*arguments, 0, 1)

    return call


def by_numpy(a, b, out, steps, factor, bias, gate):
    from autodiff.kernels import vectorised as v

    x = a @ b
    if steps & v.SCALE:
        x = x.dtype.type(factor) * x
    if steps & v.ACCUMULATE:
        x = out + x
    if steps & v.BIAS:
        x = x + bias
    if steps & v.RELU:
        x = np.maximum(x, 0)
    if steps & v.GATE:
        x = np.where(gate != 0, x, 0)
    return x.astype(out.dtype)


@pytest.mark.parametrize("width", WIDTHS)
@given(sizes, sizes, sizes, dtypes, st.tuples(layouts, layouts), steps, seeds)
@example(64, 10, 32, np.float32, ("rows", "rows"), 0, 0)
@example(6, 32, 300, np.float32, ("rows", "columns"), 31, 0)  # two chains
@example(380, 17, 40, np.float32, ("columns", "columns"), 31, 0)  # two blocks of rows
@example(400, 300, 300, np.float64, ("rows", "columns"), 31, 1)
@example(400, 300, 170, np.float32, ("rows", "rows"), 31, 1)  # a strip of three vectors, which is two strips
@example(
    20, 200, 600, np.float32, ("rows", "columns"), 28, 0
)  # the transpose of out: chains and blocks of it
@example(37, 520, 300, np.float64, ("columns", "columns"), 28, 0)
@example(350, 600, 530, np.float32, ("rows", "rows"), 31, 0)  # blocks of rows, of columns and of k
def test_every_step_on_every_edge(gemm, width, m, n, k, dtype, how, steps, seed):
    a = laid_out(small_integers((m, k), dtype, seed), how[0])
    b = laid_out(small_integers((k, n), dtype, seed + 1), how[1])
    bias, gate = small_integers(n, dtype, seed + 2), small_integers((m, n), dtype, seed + 3)
    around = small_integers((m + 2, n + 5), dtype, seed + 4)
    out = around.copy()[1:-1, 2:-3]
    expected = around.copy()
    expected[1:-1, 2:-3] = by_numpy(a, b, out, steps, -3, bias, gate)
    gemm(a, b, out, steps, -3.0, bias, gate, width)
    np.testing.assert_array_equal(out.base, expected)  # and nothing beside it is touched


def test_every_height_and_every_number_of_columns(gemm):
    for width in WIDTHS:
        for m in range(1, 20):
            for n in range(1, 68):
                a, b = small_integers((m, 3), np.float32, m), small_integers((3, n), np.float32, n)
                out = np.full((m, n), np.nan, np.float32)
                gemm(a, b, out, width=width)
                np.testing.assert_array_equal(out, a @ b)


@given(sizes, sizes, st.one_of(sizes, st.integers(250, 600)), dtypes, st.tuples(layouts, layouts), seeds)
@example(400, 200, 520, np.float32, ("strided", "reversed"), 0)
@example(150, 200, 40, np.float32, ("columns", "rows"), 0)
@example(40, 300, 600, np.float32, ("rows", "columns"), 0)
def test_rounding_depends_on_the_row_and_the_column_alone(gemm, m, n, k, dtype, how, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    out = np.empty((m, n), dtype)
    gemm(a, b, out)
    for width in WIDTHS:
        for together in (False, True):
            other = np.full_like(out, np.nan)
            gemm(laid_out(a, how[0]), laid_out(b, how[1]), other, width=width, together=together)
            np.testing.assert_array_equal(other, out)
    part = np.empty((m // 2, n // 2), dtype)  # of a product, or the product of parts
    gemm(a[m - m // 2 :], b[:, n - n // 2 :], part)
    np.testing.assert_array_equal(part, out[m - m // 2 :, n - n // 2 :])


def test_relu_and_gate_meet_nan_as_numpy_does(gemm):
    from autodiff.kernels.vectorised import GATE, RELU

    special = np.array([[np.nan, np.inf, -np.inf, -0.0, 0.0, 1.0, -1.0]], np.float32)
    one = np.ones((1, 1), np.float32)
    out = np.empty_like(special)
    gemm(one, special, out, RELU)
    np.testing.assert_array_equal(out, np.maximum(special, 0))
    gemm(one, np.full_like(special, 5), out, GATE, gate=special)
    np.testing.assert_array_equal(out, np.where(special != 0, np.float32(5), np.float32(0)))
    gemm(one, np.full_like(special, np.nan), out, GATE, gate=special)
    np.testing.assert_array_equal(out, np.where(special != 0, np.float32(np.nan), np.float32(0)))


def test_what_is_packed_is_not_freed_while_it_is_in_use():
    """Numba frees an array after the last line that names it; the kernel uses addresses. The system here takes
    back at once what is freed, which makes a later read of it a crash."""
    code = (
        "import numpy as np\n"
        "from autodiff.kernels import rung\n"
        "for m, n, k in ((64, 40, 40), (40, 512, 784), (400, 600, 300)):\n"
        "    a, b, out = np.ones((m, k), 'f'), np.ones((n, k), 'f').T, np.empty((m, n), 'f')\n"
        "    rung('vectorised', a.dtype)(a, b, out)\n"
        "    assert (out == k).all()"
    )
    run_python(code, MALLOC_MMAP_THRESHOLD_="4096")  # glibc's variable; elsewhere this tests less


@pytest.mark.skipif(sys.platform != "linux", reason="no other system holds a process to its limit")
def test_a_long_sum_does_not_take_as_much_memory_as_its_operands_would():
    """Packed, all of b would be 200 MB here. (It is one row, again and again.)"""
    code = (
        "import resource, numpy as np\n"
        "from autodiff.kernels import rung\n"
        "k, row = 400_000, np.arange(64, dtype='f') % 5\n"
        "a, b = np.ones((1, k), 'f'), np.broadcast_to(row, (k, 64))\n"
        "a, out = np.broadcast_to(a, (340, k)), np.empty((340, 64), 'f')\n"
        "multiply = rung('vectorised', a.dtype)\n"
        "pages = int(open('/proc/self/statm').read().split()[0])\n"
        "most = pages * resource.getpagesize() + 120_000_000\n"
        "resource.setrlimit(resource.RLIMIT_AS, (most, most))\n"
        "multiply(a, b, out)\n"
        "assert (out == k * row).all()"
    )
    run_python(code)


def test_a_step_of_gradient_descent_rounds_as_numpy_does(gemm):
    from autodiff.kernels.vectorised import ACCUMULATE, SCALE

    rng = np.random.default_rng(0)
    x, g, p = (rng.standard_normal(shape).astype(np.float32) for shape in ((64, 40), (64, 50), (40, 50)))
    gradient, found = np.empty_like(p), p.copy()
    gemm(x.T, g, gradient)
    gemm(x.T, g, found, SCALE | ACCUMULATE, factor=-0.1)
    np.testing.assert_array_equal(found, p - np.float32(0.1) * gradient)


@pytest.mark.parametrize(
    "features, expected", [({"avx512f": True, "avx": True}, 64), ({"avx": True}, 32), ({}, 16)]
)
def test_vectors_are_as_wide_as_the_processor_has_them(monkeypatch, features, expected):
    from autodiff.kernels import vectorised

    monkeypatch.delenv(vectorised.VARIABLE, raising=False)
    monkeypatch.setattr(vectorised.binding, "get_host_cpu_features", lambda: features)
    assert vectorised.vector_bytes() == expected
    monkeypatch.setenv(vectorised.VARIABLE, "16")
    assert vectorised.vector_bytes() == 16


def test_a_width_that_does_not_exist_is_an_error(monkeypatch):
    from autodiff.kernels import vectorised

    monkeypatch.setenv(vectorised.VARIABLE, "24")
    with pytest.raises(ValueError, match="AUTODIFF_VECTOR_BYTES='24'.*Try 64, 32 or 16"):
        vectorised.vector_bytes()


def test_compiled_code_that_calls_it_is_linked_anew_in_every_process(tmp_path):
    """The caller's machine code is cached without the kernel inside."""
    (tmp_path / "caller.py").write_text(
        "import numpy as np\n"
        "from numba import njit\n"
        "from autodiff.kernels import vectorised\n"
        "from autodiff.kernels.vectorised import BIAS, RELU\n"
        "gemm = vectorised.external(np.float32)\n"
        "@njit(cache=True)\n"
        "def layer(x, weight, bias, y):\n"
        "    gemm(x.shape[0], weight.shape[1], x.shape[1], x.ctypes.data, x.strides[0], x.strides[1],\n"
        "         weight.ctypes.data, weight.strides[0], weight.strides[1], y.ctypes.data, y.strides[0],\n"
        "         BIAS | RELU, 1.0, bias.ctypes.data, 0, 0, 0, 1)\n",
        encoding="utf-8",
    )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import numpy as np\n"
        "from caller import layer\n"
        "y = np.empty((3, 5), 'f')\n"
        "layer(np.ones((3, 4), 'f'), np.ones((4, 5), 'f'), np.full(5, -3, 'f'), y)\n"
        "print(y.sum(), sum(layer.stats.cache_hits.values()))"
    )
    assert run_python(code)[0] == "15.0 0"
    assert run_python(code)[0] == "15.0 1"


@given(
    st.integers(0, 300), st.integers(0, 300), st.sampled_from([(6, 64), (6, 16), (6, 8)]), st.integers(1, 9)
)
def test_the_parts_are_the_whole(m, n, tile, parts):
    """Each element belongs to one thread, and no thread has many more tiles than it must."""
    from autodiff.kernels.vectorised import share

    seen = np.zeros((m, n), int)
    for part in range(parts):
        top, bottom, left, right = share.py_func(m, n, *tile, part, parts)
        seen[top:bottom, left:right] += 1
    assert (seen == 1).all()


def test_what_each_thread_reads_of_the_first_layer_it_wrote_the_step_before():
    """Forward, the weights are the left operand and their gradient's place is the result; both are cut along
    the units: cut across, each core would fetch half the weights from the other's cache."""
    from autodiff.kernels.vectorised import share

    forward = [share.py_func(512, 64, 6, 64, part, 2)[:2] for part in (0, 1)]
    backward = [share.py_func(512, 784, 6, 64, part, 2)[:2] for part in (0, 1)]
    assert forward == backward == [(0, 258), (258, 512)]
