"""DLPack: memory shared with NumPy, PyTorch, JAX and others, without copying (`torch.utils.dlpack`'s names)."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import memory
from .errors import explanation
from .tensor import Tensor, device_class

# The kinds of memory that the CPU can read: its own, and what the drivers of GPUs share with it (CUDA's host memory,
# ROCm's, CUDA's managed memory).
ON_CPU = {1, 3, 11, 13}


class Capsule:
    """A bare DLPack capsule, as what it was taken from would offer it."""

    def __init__(self, capsule: Any):
        self.capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A Tensor on the memory of another library's array, or of a DLPack capsule; with `copy`, on memory of its
    own. What one library writes the other sees. JAX's arrays are read-only, and so is what looks at them.

    The other way there is nothing to call: torch.from_dlpack(t), jax.dlpack.from_dlpack(t), np.from_dlpack(t).
    (JAX copies what does not begin at a multiple of 64 bytes, as most of NumPy's memory does not.)"""
    if device is not None:
        device_class(device)
    is_capsule = type(ext_tensor).__name__ == "PyCapsule"
    source = Capsule(ext_tensor) if is_capsule else ext_tensor
    if not hasattr(source, "__dlpack__"):
        raise RuntimeError(
            explanation(
                f"from_dlpack received an invalid capsule: {type(ext_tensor).__name__} has no __dlpack__",
                remedy="tensor(), which copies numbers, lists and arrays",
            )
        )
    if source.__dlpack_device__()[0] not in ON_CPU:
        raise RuntimeError(
            explanation(
                "from_dlpack: the array is in the memory of another device",
                why="this engine computes on the CPU only",
                remedy=".cpu() in PyTorch, jax.device_put(x, jax.devices('cpu')[0]) in JAX",
            )
        )
    array = shared(source, is_capsule)
    if copy:
        return Tensor.wrap(array.copy())
    memory.note_export(array)
    return Tensor.wrap(array)


def shared(source: Any, is_capsule: bool) -> np.ndarray:
    """NumPy's view of what a library offers."""
    try:
        return np.from_dlpack(source)
    except RuntimeError as error:
        if "dtype" in str(error):
            kind = getattr(source, "dtype", "this dtype")
            remedy = "convert it before: .float() in PyTorch, .astype('float32') in JAX"
            raise RuntimeError(
                explanation(f"from_dlpack: there is no {kind} here", why=str(error), remedy=remedy)
            ) from error
        raise
    except ValueError as error:
        if is_capsule:
            raise RuntimeError(
                "from_dlpack received an invalid capsule: a capsule can be used once only, and this one may have "
                "been"
            ) from error
        raise


def to_dlpack(tensor: Tensor) -> Any:
    """The memory of a Tensor as a DLPack capsule, to be used once."""
    return tensor.__dlpack__()
