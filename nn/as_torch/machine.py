"""What PyTorch's modules say about devices and back ends: there is the CPU, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def is_available() -> bool:
    """Is there such a device? No."""
    return False


def device_count() -> int:
    """How many such devices there are: none."""
    return 0


def current_accelerator(check_available: bool = False) -> None:
    """The device faster than the CPU: none."""


def seeded(seed: int) -> None:
    """The seed for devices that are not there."""


def empty_cache() -> None:
    """Give back the memory of a device that is not there."""


cuda = SimpleNamespace(
    is_available=is_available, is_initialized=is_available, device_count=device_count,
    manual_seed=seeded, manual_seed_all=seeded, empty_cache=empty_cache,
)  # fmt: skip
xpu = cuda
mps = SimpleNamespace(
    is_available=is_available, device_count=device_count, manual_seed=seeded, empty_cache=empty_cache
)
accelerator = SimpleNamespace(
    is_available=is_available, device_count=device_count, current_accelerator=current_accelerator
)
back_end = SimpleNamespace(is_available=is_available, is_built=is_available)


def cudnn() -> Any:
    """Settings that programs write to. Nothing reads them."""
    return SimpleNamespace(
        is_available=is_available, enabled=False, benchmark=False, deterministic=True, allow_tf32=False
    )
