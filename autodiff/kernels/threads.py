"""How many threads the kernels may use: what the machine, its affinity and its container allow."""

from __future__ import annotations

import math
import os
from pathlib import Path

VARIABLE = "AUTODIFF_NUM_THREADS"
chosen: int | None = None  # by set_num_threads


def available() -> int:
    """The processors this process may use: by affinity, and by the container's quota."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = container_quota(Path("/sys/fs/cgroup"))
    return max(1, count if quota is None else min(count, math.ceil(quota)))


def container_quota(root: Path) -> float | None:
    """The processors that a cgroup (version 2 or 1) allows, or None if it does not say."""
    try:
        if (root / "cpu.max").exists():
            quota, period = (root / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota = (root / "cpu" / "cpu.cfs_quota_us").read_text(encoding="utf-8")
            period = (root / "cpu" / "cpu.cfs_period_us").read_text(encoding="utf-8")
        return None if quota.strip() in ("max", "-1") else float(quota) / float(period)
    except (OSError, ValueError):
        return None  # no such limit here


def get_num_threads() -> int:
    """The number of threads in force: set_num_threads', the variable's, or what is available."""
    if chosen is not None:
        return chosen
    asked = os.environ.get(VARIABLE, "")
    if asked:
        if not asked.isdigit() or int(asked) < 1:
            raise ValueError(f"{VARIABLE}={asked!r} is not a number of threads: write 1, 2, …")
        return int(asked)
    return available()


def set_num_threads(n: int) -> None:
    """Use n threads from now on; NumPy's BLAS follows where threadpoolctl is installed."""
    global chosen
    if n < 1:
        raise ValueError(f"set_num_threads expects a positive integer, got {n}")
    chosen = int(n)
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return  # BLAS keeps the number it started with: OPENBLAS_NUM_THREADS sets it
    threadpool_limits(chosen, user_api="blas")
