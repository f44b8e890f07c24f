"""Convolution against its definition, written as loops, and against PyTorch."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from kernel_support import needs_numba, run_python, seeds, small_integers

from autodiff.kernels import convolution, threads


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def convolutions(draw):
    """(x's shape, w's shape, options) of a convolution that has a result."""
    groups = draw(st.integers(1, 3))
    kernel, dilation, padding = draw(pairs(1, 3)), draw(pairs(1, 3)), draw(pairs(0, 2))
    room = [
        draw(st.integers(max(1, d * (k - 1) + 1 - 2 * p), 9))
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    ]
    per_group = draw(st.integers(1, 2))
    x_shape = (draw(st.integers(0, 3)), groups * per_group, *room)
    w_shape = (groups * draw(st.integers(1, 2)), per_group, *kernel)
    options = {"stride": draw(pairs(1, 3)), "padding": padding, "dilation": dilation, "groups": groups}
    return x_shape, w_shape, options


def terms(x_shape, w_shape, y_shape, stride, padding, dilation, groups):
    """The places (in y, in x, in w) of every product in a convolution's definition."""
    per_group = w_shape[0] // groups
    for n, o, i, j in np.ndindex(*y_shape):
        for c, h, w in np.ndindex(*w_shape[1:]):
            row = i * stride[0] + h * dilation[0] - padding[0]
            column = j * stride[1] + w * dilation[1] - padding[1]
            if 0 <= row < x_shape[2] and 0 <= column < x_shape[3]:
                channel = o // per_group * w_shape[1] + c
                yield (n, o, i, j), (n, channel, row, column), (o, c, h, w)


@given(convolutions(), st.sampled_from([np.float32, np.float64, np.int64]), seeds, st.booleans())
def test_a_convolution_and_its_transposes_are_their_definitions(case, dtype, seed, one_image_at_a_time):
    x_shape, w_shape, options = case
    x, w = small_integers(x_shape, dtype, seed), small_integers(w_shape, dtype, seed + 1)
    before = convolution.UNROLLED
    convolution.UNROLLED = 1 if one_image_at_a_time else before
    try:
        y = convolution.conv2d(x, w, **options)
        g = small_integers(y.shape, dtype, seed + 2)
        x_gradient = convolution.conv2d_input_gradient(g, w, x_shape=x_shape, **options)
        w_gradient = convolution.conv2d_weight_gradient(g, x, w_shape=w_shape, **options)
    finally:
        convolution.UNROLLED = before
    expected = np.zeros_like(y), np.zeros_like(x), np.zeros_like(w)
    for in_y, in_x, in_w in terms(x_shape, w_shape, y.shape, **options):
        expected[0][in_y] += x[in_x] * w[in_w]
        expected[1][in_x] += g[in_y] * w[in_w]
        expected[2][in_w] += g[in_y] * x[in_x]
    for found, right in zip((y, x_gradient, w_gradient), expected, strict=True):
        np.testing.assert_array_equal(found, right)
        assert found.dtype == dtype


@given(convolutions())
def test_fractions_stay_exact(case):
    x_shape, w_shape, options = case
    assume(x_shape[0])

    def fractions(shape, base):
        return np.array([Fraction(k + 1, base) for k in range(math.prod(shape))], object).reshape(shape)

    x, w = fractions(x_shape, 7), fractions(w_shape, 11)
    y = convolution.conv2d(x, w, **options)
    g = fractions(y.shape, 13)
    product = (g * y).sum()  # <g, x * w> = <x, its gradient> = <w, its gradient>
    assert product == (x * convolution.conv2d_input_gradient(g, w, x_shape=x_shape, **options)).sum()
    assert product == (w * convolution.conv2d_weight_gradient(g, x, w_shape=w_shape, **options)).sum()


@given(convolutions(), seeds)
def test_a_convolution_is_pytorchs(case, seed):
    torch = pytest.importorskip("torch")
    x_shape, w_shape, options = case
    assume(x_shape[0])
    x, w = small_integers(x_shape, np.float64, seed), small_integers(w_shape, np.float64, seed + 1)
    found = convolution.conv2d(x[..., ::-1], w.swapaxes(2, 3).copy().swapaxes(2, 3), **options)
    expected = torch.conv2d(torch.from_numpy(x).flip(3), torch.from_numpy(w), **options)
    np.testing.assert_array_equal(found, expected.numpy())


def test_a_kernel_larger_than_the_image():
    with pytest.raises(
        RuntimeError,
        match=r"padded input size per channel: \(4 x 3\)\. Kernel size: \(5 x 3\)\. "
        "Kernel size can't be greater than actual input size",
    ):
        convolution.conv2d(np.zeros((1, 1, 2, 3)), np.zeros((1, 1, 3, 3)), padding=(1, 0), dilation=(2, 1))


@pytest.mark.parametrize("wrong", [{"stride": (0, 1)}, {"dilation": (1, 0)}, {"padding": (-1, 0)}])
def test_strides_and_their_like_are_checked(wrong):
    with pytest.raises(RuntimeError, match="is not supported"):
        convolution.conv2d(np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 2, 2)), **wrong)


# ---- compiled loops beside the products of matrices ---------------------------------------------


LAYOUTS = {
    "in order": lambda a: a,
    "reversed": lambda a: a[:, :, ::-1, ::-1].copy()[:, :, ::-1, ::-1],
    "channels last": lambda a: a.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2),
    "strided": lambda a: np.repeat(np.repeat(a, 2, 2), 3, 3)[:, :, ::2, ::3],
    "in a larger one": lambda a: np.pad(a, ((0, 0), (1, 0), (2, 1), (1, 3)))[:, 1:, 2:-1, 1:-3],
    "repeated": lambda a: np.broadcast_to(a[:1], a.shape),
}


@st.composite
def large_and_small(draw):
    """`convolutions`, and some whose rows take several vectors, or whose windows are single elements."""
    x_shape, w_shape, options = draw(convolutions())
    wide = draw(st.integers(0, 40))
    if draw(st.booleans()):
        w_shape = (*w_shape[:2], 1, 1)
        options = {**options, "stride": (1, 1), "padding": (0, 0)}
    return (*x_shape[:3], x_shape[3] + wide), (w_shape[0] * draw(st.integers(1, 5)), *w_shape[1:]), options


def by_both(name, *operands, **options):
    """What the compiled loops give, and what the products of matrices do."""
    twin = getattr(convolution, f"{name}_by_products")
    return getattr(convolution.direct(), name)(*operands, **options), twin(*operands, **options)


@needs_numba
@given(
    large_and_small(), st.sampled_from([np.float32, np.float64]), seeds, st.booleans(),
    st.tuples(*[st.sampled_from(list(LAYOUTS))] * 3), st.integers(1, 3),
)  # fmt: skip
def test_compiled_loops_give_what_products_of_matrices_do(case, dtype, seed, with_nan, layouts, count):
    """Of whole numbers, to the last bit, by any number of threads."""
    x_shape, w_shape, options = case
    x, w = small_integers(x_shape, dtype, seed), small_integers(w_shape, dtype, seed + 1)
    g_shape = convolution.conv2d_by_products(x, w, **options).shape
    g, bias = small_integers(g_shape, dtype, seed + 2), small_integers(w_shape[:1], dtype, seed + 3)
    if with_nan:
        for array, value in ((x, np.nan), (g, np.inf)):
            array.reshape(-1)[seed % 7 :: 11] = value
    x, w, g = (LAYOUTS[name](a) if a.size else a for name, a in zip(layouts, (x, w, g), strict=True))
    from autodiff.kernels import jobs

    before = threads.chosen, jobs.TOGETHER
    threads.chosen, jobs.TOGETHER = count, 0
    try:
        with np.errstate(invalid="ignore"):
            pairs = [
                by_both("conv2d", x, w, bias, **options),
                by_both("conv2d_input_gradient", g, w, x_shape=x_shape, **options),
                by_both("conv2d_weight_gradient", g, x, w_shape=w_shape, **options),
            ]
    finally:
        threads.chosen, jobs.TOGETHER = before
    for found, expected in pairs:
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == dtype


@needs_numba
def test_the_number_of_threads_changes_no_bit():
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((9, 4, 20, 21), (14, 4, 3, 5)))
    g = rng.standard_normal((9, 14, 18, 17)).astype(np.float32)
    direct, before = convolution.direct(), threads.chosen
    found = []
    try:
        for threads.chosen in (1, 2, 3):
            found.append(
                [
                    direct.conv2d(x, w),
                    direct.conv2d_input_gradient(g, w, x_shape=x.shape),
                    direct.conv2d_weight_gradient(g, x, w_shape=w.shape),
                ]
            )
    finally:
        threads.chosen = before
    for other in found[1:]:
        assert all(a.tobytes() == b.tobytes() for a, b in zip(found[0], other, strict=True))
    np.testing.assert_allclose(found[0][0], convolution.conv2d_by_products(x, w), rtol=1e-4, atol=1e-4)


@needs_numba
@pytest.mark.parametrize("bytes_of_a_vector", ["32", pytest.param("16", marks=pytest.mark.slow)])
def test_narrower_vectors(bytes_of_a_vector):
    code = (
        "import numpy as np\n"
        "from autodiff.kernels import convolution\n"
        "rng = np.random.default_rng(0)\n"
        "x, w = rng.integers(-4, 5, (2, 3, 9, 21)) * 1.0, rng.integers(-4, 5, (7, 3, 3, 2)) * 1.0\n"
        "options = {'stride': (2, 1), 'padding': (1, 1)}\n"
        "y = convolution.conv2d_by_products(x, w, **options)\n"
        "direct = convolution.direct()\n"
        "assert (direct.conv2d(x, w, **options) == y).all()\n"
        "g = direct.conv2d_weight_gradient(y, x, w_shape=w.shape, **options)\n"
        "assert (g == convolution.conv2d_weight_gradient_by_products(y, x, w_shape=w.shape, **options)).all()\n"
    )
    run_python(code, AUTODIFF_VECTOR_BYTES=bytes_of_a_vector)


def test_numbers_in_the_other_order_of_bytes():
    rng = np.random.default_rng(0)
    x, w = rng.integers(-4, 5, (8, 4, 20, 20)) * 1.0, rng.integers(-4, 5, (8, 4, 3, 3)) * 1.0
    expected = convolution.conv2d_by_products(x, w)
    other = (a.astype(a.dtype.newbyteorder()) for a in (x, w))
    np.testing.assert_array_equal(convolution.conv2d(*other), expected)


def test_small_convolutions_compile_nothing():
    code = (
        "import sys, numpy as np\n"
        "from autodiff.kernels import convolution, pooling\n"
        "x, w = np.ones((1, 1, 28, 28), np.float32), np.ones((6, 1, 5, 5), np.float32)\n"
        "y = convolution.conv2d(x, w)\n"
        "convolution.conv2d_weight_gradient(y, x, w_shape=w.shape)\n"
        "convolution.conv2d_input_gradient(y, w, x_shape=x.shape)\n"
        "pooling.max_pool2d(y, kernel_size=(2, 2), stride=(2, 2))\n"
        "print('numba' in sys.modules)\n"
    )
    assert run_python(code) == ("False", "")
