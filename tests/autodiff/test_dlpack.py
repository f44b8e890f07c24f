"""DLPack: the same memory in two libraries, and what cannot be shared."""

from __future__ import annotations

import importlib
import importlib.util

import numpy as np
import pytest

import autodiff as ad

DTYPES = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"]
ALIGNED = 64  # JAX shares what begins at a multiple of it


def installed(name):
    return pytest.importorskip(name, reason=f"{name} is not installed: nobody to share with")


def aligned(a):
    """A copy that begins where JAX wants it to."""
    memory = np.empty(a.nbytes + ALIGNED, np.uint8)
    start = -memory.ctypes.data % ALIGNED
    copied = memory[start : start + a.nbytes].view(a.dtype).reshape(a.shape)
    copied[...] = a
    return copied


def taken_by(library, t):
    """(what the other library makes of t, its address, its numbers)."""
    if library == "numpy":
        other = np.from_dlpack(t)
        return other, other.ctypes.data, other
    if library == "torch":
        other = installed("torch").from_dlpack(t)
        return other, other.data_ptr(), other.numpy()
    other = installed("jax").dlpack.from_dlpack(t)
    return other, other.unsafe_buffer_pointer(), np.asarray(other)


@pytest.fixture
def wide_numbers():
    """Let JAX have 64 bits, for the time of a test."""
    jax = importlib.import_module("jax") if importlib.util.find_spec("jax") else None
    before = jax and jax.config.jax_enable_x64
    if jax:
        jax.config.update("jax_enable_x64", True)
    yield
    if jax:
        jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_there_and_back_in_one_memory(library, dtype, wide_numbers):
    t = ad.from_numpy(aligned(np.arange(6).reshape(2, 3).astype(dtype)))
    other, address, numbers = taken_by(library, t)
    assert address == t.data_ptr() and str(other.dtype).removeprefix("torch.") == dtype
    np.testing.assert_array_equal(numbers, t.numpy())
    back = ad.from_dlpack(other)
    assert type(back) is ad.Tensor and back.data_ptr() == address and back.dtype == t.dtype
    assert back.equal(t) and not back.requires_grad and back.shape == (2, 3)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize(
    "part", [lambda t: t.T, lambda t: t[:, ::2], lambda t: t[1:], lambda t: t[0, 0], lambda t: t[:0], lambda t: t[:1].expand(3, 4)]
)  # fmt: skip
def test_parts_of_a_tensor(library, part):
    t = part(ad.randn(3, 4))
    _, address, numbers = taken_by(library, t)
    assert address == t.data_ptr() or not t.numel()
    np.testing.assert_array_equal(numbers, t.numpy())


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_what_one_writes_the_other_sees(library):
    t = ad.zeros(3)
    other, _, _ = taken_by(library, t)
    other[0] = 5
    assert t.tolist() == [5, 0, 0]
    t.add_(1)
    assert other.tolist() == [6, 1, 1]
    mine = ad.from_dlpack(other)
    mine.mul_(2)
    assert t.tolist() == other.tolist() == [12, 2, 2]


def test_memory_lives_as_long_as_anybody_looks_at_it():
    torch = installed("torch")
    t = ad.from_dlpack(torch.full((1000,), 7.0))
    other = np.from_dlpack(ad.full((1000,), 3.0))
    assert (t == 7).all() and (other == 3).all()


def test_gradients_of_what_is_shared():
    t = ad.from_dlpack(np.array([1.0, 2.0])).requires_grad_()
    (t * t).sum().backward()
    assert t.grad.tolist() == [2, 4]
    with pytest.raises(
        BufferError, match=r"Can't export tensors that require gradient, use tensor.detach\(\)"
    ):
        np.from_dlpack(t)
    assert np.from_dlpack(t.detach()).tolist() == [1, 2]


def test_a_recorded_change_of_exported_memory_is_seen_there():
    w, t = ad.ones(2, requires_grad=True), ad.zeros(2)
    other = np.from_dlpack(t)
    t.add_(w)
    assert other.tolist() == [1, 1]


def test_copies():
    t = ad.zeros(3)
    assert ad.from_dlpack(t).data_ptr() == t.data_ptr()
    assert ad.from_dlpack(t, copy=True).data_ptr() != t.data_ptr()
    assert ad.from_dlpack(t, device="cpu", copy=False).data_ptr() == t.data_ptr()
    np.from_dlpack(t, copy=True)[0] = 1
    assert t.tolist() == [0, 0, 0] and t.__dlpack_device__() == (1, 0)


def test_capsules():
    t = ad.zeros(3)
    assert ad.from_dlpack(ad.to_dlpack(t)).data_ptr() == t.data_ptr()
    capsule = ad.to_dlpack(t)
    ad.from_dlpack(capsule)
    with pytest.raises(RuntimeError, match="invalid capsule.*once only"):
        ad.from_dlpack(capsule)
    torch = installed("torch")
    theirs = torch.ones(2)
    assert ad.from_dlpack(torch.utils.dlpack.to_dlpack(theirs)).data_ptr() == theirs.data_ptr()
    assert torch.from_dlpack(ad.to_dlpack(t)).data_ptr() == t.data_ptr()


def test_jax_arrays_are_read_only():
    jax = installed("jax")
    t = ad.from_dlpack(jax.numpy.arange(3.0))
    with pytest.raises(RuntimeError, match=r"read-only. Please clone\(\)"):
        t.add_(1)
    assert (t + 1).tolist() == [1, 2, 3]
    assert ad.from_dlpack(jax.numpy.arange(3.0), copy=True).add_(1).tolist() == [1, 2, 3]


# ---- what cannot be shared -------------------------------------------------------------------------


def test_backwards_memory_is_refused_for_pytorch_would_end_the_program():
    t = ad.from_numpy(np.arange(3.0)[::-1])
    with pytest.raises(BufferError, match=r"runs through memory backwards.*\.contiguous\(\)"):
        np.from_dlpack(t)
    assert np.from_dlpack(t.contiguous()).tolist() == [2, 1, 0]
    assert np.from_dlpack(ad.arange(3.0).flip(0)).tolist() == [2, 1, 0]  # which is in order in memory


class Elsewhere:
    """An array on a GPU."""

    def __dlpack__(self, **options):
        raise AssertionError("nobody asks for it")

    def __dlpack_device__(self):
        return (2, 0)


def test_what_is_refused_says_why():
    with pytest.raises(RuntimeError, match=r"memory of another device.*CPU only.*Try: .cpu\(\)"):
        ad.from_dlpack(Elsewhere())
    for nothing in ([1, 2], 3, None):
        with pytest.raises(RuntimeError, match=r"invalid capsule: \w+ has no __dlpack__.*Try: tensor\(\)"):
            ad.from_dlpack(nothing)
    with pytest.raises(RuntimeError, match="CPU only"):
        ad.from_dlpack(ad.ones(1), device="cuda")
    torch = installed("torch")
    with pytest.raises(
        RuntimeError, match=r"there is no torch.bfloat16 here.*Try: convert it before: .float\(\)"
    ):
        ad.from_dlpack(torch.ones(2, dtype=torch.bfloat16))
    with pytest.raises(BufferError, match="require gradient"):
        ad.from_dlpack(torch.ones(2, requires_grad=True))
