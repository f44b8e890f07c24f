"""Contenders for the tests of the benchmarks' harness, in a module that a fresh process can import."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
from contest import SLOWING, Job, Missing, threads_here

JOB, OTHER = "a sum", "where it runs"


def sums(n, share=1.0):
    x = np.arange(n, dtype=np.float64)
    return {JOB: Job(lambda: x.sum(), float, share)}


def fast():
    told = {v for v in SLOWING if v in os.environ}
    where = np.array([len(told), threads_here()])
    return sums(1000) | {OTHER: Job(lambda: where @ np.eye(2), lambda y: y)}  # @ wakes NumPy's BLAS


def slow():
    """The same sum, and a millisecond."""

    def run():
        time.sleep(0.001)
        return 499_500.0

    return {JOB: Job(run, float)}


def half():
    """A contender that does half of the work, and says so."""
    return {JOB: Job(slow()[JOB].run, float, 0.5)}


def wrong():
    return sums(1001)


def missing():
    import a_library_that_nobody_has  # noqa: F401


def refusing():
    raise Missing("it wants a compiler")


def breaking():
    def run():
        raise OSError("out of luck")

    return {JOB: Job(run, float)}


def too_deep(n):
    return too_deep(n + 1)


def sleeping():
    time.sleep(60)


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def twice(x):
    return 2 * x
