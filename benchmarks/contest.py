"""Contenders in turns: each library in a process of its own, with the same threads, so that a machine that speeds
up or slows down does so for all, and no library's waiting threads take the processor from another's.

A contender is a function of no arguments that gives its jobs: name ↦ (a function to time, what it gives as an
array, to be compared with the others'). It lives in a module that a fresh process can import.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import time
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path

THREADS = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "AUTODIFF_NUM_THREADS",
)
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # would make NumPy look slower than it is
PAUSE = 0.02  # seconds between turns: threads that spin go to sleep
TURN = 0.03  # seconds a turn is to last


class Missing(Exception):
    """A contender that is not installed."""


def serve(connection, make) -> None:
    """A contender's process: its jobs, timed when asked."""
    try:
        jobs = make()
    except ImportError as error:
        connection.send(f"{error}")
        return
    connection.send(None)
    while True:
        asked = connection.recv()
        if asked is None:
            return
        name, calls = asked
        if name not in jobs:
            connection.send(None)
            continue
        job, result = jobs[name]
        if calls == 0:
            connection.send(result(job()))
            continue
        begin = time.perf_counter()
        for _ in range(calls):
            job()
        connection.send((time.perf_counter() - begin) / calls)


class Contender:
    """The parent's end of such a process."""

    def __init__(self, name, make, threads):
        for variable in SLOWING:
            os.environ.pop(variable, None)
        os.environ.update(dict.fromkeys(THREADS, str(threads)))
        context = get_context("spawn")
        self.name = name
        self.connection, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, make), daemon=True)
        self.process.start()
        reason = self.connection.recv()
        if reason:
            raise Missing(f"{name} is left out: {reason}")

    def ask(self, job, calls):
        self.connection.send((job, calls))
        return self.connection.recv()

    def end(self):
        self.connection.send(None)
        self.process.join()


def contest(contenders, jobs, threads, turns, *, per_job=None, tolerance=1e-3):
    """{job: {contender: seconds of each turn}}: all that are installed, in turns, once they agree on the results."""
    present = []
    for name, make in contenders.items():
        try:
            present.append(Contender(name, make, threads))
        except Missing as missing:
            print(missing)
    found = {}
    for job in jobs:
        results = {c: c.ask(job, 0) for c in present}
        able = [c for c, result in results.items() if result is not None]
        for c in able[1:]:
            check(job, able[0].name, results[able[0]], c.name, results[c], tolerance)
        for c in able:
            c.ask(job, 3)  # compiled, loaded, awake
        calls = {c: max(1, math.ceil(TURN / c.ask(job, 3))) for c in able}
        times = {c.name: [] for c in able}
        for turn in range(turns):
            for c in able[turn % len(able) :] + able[: turn % len(able)]:
                time.sleep(PAUSE)
                c.ask(job, 1)  # awake again
                times[c.name].append(c.ask(job, calls[c]))
        found[job] = times
        if per_job:
            per_job(job, times)
    for c in present:
        c.end()
    return found


def check(job, first, expected, second, got, tolerance) -> None:
    """An error if two contenders do not do the same work."""
    import numpy as np

    np.testing.assert_allclose(
        got, expected, rtol=tolerance, atol=tolerance, err_msg=f"{job}: {second} and {first}"
    )


def median(times) -> float:
    return statistics.median(times)


def arguments(description, turns=15) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[1, 2], metavar="N", help="threads (1 and then 2)"
    )
    parser.add_argument(
        "--turns", type=int, default=turns, metavar="N", help=f"turns of each contender ({turns})"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all times, too")
    return parser.parse_args()


def machine() -> str:
    """The processor, and the versions of what takes part."""
    found = []
    for package in ("numpy", "numba", "torch", "jax", "autograd", "mygrad", "tinygrad"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return f"{processor()}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores; Python {platform.python_version()}, {', '.join(found)}"


def processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        return next(line.partition(": ")[2] for line in text.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def save(path, found) -> None:
    if path:
        path.write_text(json.dumps({"machine": machine(), "seconds": found}, indent=1))
