"""How many threads the kernels may use: what was asked for, else what the machine, the process's
affinity and its container allow."""

from __future__ import annotations

import math
import operator
import os
import sys
from functools import cache

from .jit import warn_once

VARIABLE = "AUTODIFF_NUM_THREADS"
OF_BLAS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
chosen: int | None = None  # by set_num_threads


def get_num_threads() -> int:
    """The number of threads in force."""
    return threads_and_source()[0]


def set_num_threads(n: int) -> None:
    """Use n threads from now on, the kernels here and NumPy's BLAS."""
    global chosen
    try:
        count = operator.index(n)
    except TypeError:
        raise TypeError(f"set_num_threads expects an int, but got {type(n).__name__}") from None
    if count < 1:
        raise ValueError(f"set_num_threads expects a positive integer, but got {count}")
    chosen = count
    limit_blas(count)


def threads_and_source() -> tuple[int, str]:
    """The number of threads in force, and where it comes from."""
    return by_default() if chosen is None else (chosen, "set_num_threads")


@cache
def by_default() -> tuple[int, str]:
    """The number of threads where nobody calls set_num_threads, looked up once, and its source."""
    asked = os.environ.get(VARIABLE, "").strip()
    if asked:
        if not asked.isdecimal() or int(asked) < 1:
            raise ValueError(f"{VARIABLE}={asked!r} is not a number of threads. Try 1, 2, ...")
        return int(asked), VARIABLE
    processors, quota = affinity(), container_quota()
    if quota is not None and math.ceil(quota) < processors:
        return max(1, math.ceil(quota)), f"the container's quota of {quota:g} processors"
    return processors, "the processors this process may run on"


def limit_blas(count: int) -> None:
    """Hold NumPy's BLAS to `count` threads."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        warn_once(
            f"NumPy's BLAS is not held to {count} threads, for want of threadpoolctl. Try: install it, "
            f"or set {OF_BLAS[0]}={count} before Python starts"
        )
    else:
        threadpool_limits(count, user_api="blas")


def limit_blas_at_import() -> None:
    """BLAS knows the process's affinity, but neither our variable nor a container's quota."""
    count, source = threads_and_source()
    told = any(os.environ.get(name) for name in OF_BLAS)
    if source == VARIABLE or (count < affinity() and not told):
        limit_blas(count)


def affinity() -> int:
    """The processors that this process may run on."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def container_quota(
    mounted: str | os.PathLike = "/sys/fs/cgroup", groups: str | os.PathLike = "/proc/self/cgroup"
) -> float | None:
    """Processors' worth of time that Linux's control groups (version 2, or 1) grant this process,
    or None where they set no limit. A group's own limit holds, and those of all it lies in."""
    limits = []
    for line in text(groups).splitlines():
        _, controllers, place = line.split(":", 2)  # version 2 names no controllers
        if controllers and "cpu" not in controllers.split(","):
            continue
        names = place.strip("/").split("/")
        for depth in range(len(names) + 1):  # in a container its own group is the root, however named
            folder = os.path.join(mounted, controllers, *names[:depth])
            if controllers:
                quota = text(os.path.join(folder, "cpu.cfs_quota_us"))
                period = text(os.path.join(folder, "cpu.cfs_period_us"))
            else:
                quota, _, period = text(os.path.join(folder, "cpu.max")).partition(" ")
            if quota.isdecimal() and period.isdecimal():  # no limit is written "max" or "-1"
                limits.append(int(quota) / int(period))
    return min(limits, default=None)


def text(file: str | os.PathLike) -> str:
    """What a file says; nothing, if there is no such file."""
    try:
        with open(file, encoding="utf-8") as stream:
            return stream.read().strip()
    except OSError:
        return ""
