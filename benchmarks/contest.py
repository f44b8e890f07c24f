"""Contenders in turns: each library in a process of its own, with the same threads, so that a machine that speeds
up or slows down does so for all, and no library's waiting threads take the processor from another's.

A contender is a function of no arguments that gives its jobs, by name. It lives in a module that a fresh process
can import, and is left out where it raises ImportError or Missing.
"""

from __future__ import annotations

import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from signal import Signals
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # the packages beside this folder are measured, whatever else is installed
    sys.path.insert(0, str(ROOT))

THREADS = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "AUTODIFF_NUM_THREADS",
)
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # would make NumPy look slower than it is
PAUSE = 0.12  # seconds between turns of several threads: those that wait, spinning, for more work go to sleep
TURN = 0.15  # seconds a turn is to last, at the least: what the others left in the cache is then forgotten


class Job(NamedTuple):
    """What a contender is timed at."""

    run: Callable[[], Any]
    result: Callable[[Any], Any]  # what `run` gave ↦ an array, which is compared with the others'
    share: float = 1.0  # the part of the whole work that `run` does: its times are divided by it


class Missing(Exception):
    """A contender that cannot take part here, and why."""


class Failed(Exception):
    """A contender that broke down."""


class Disagreement(Exception):
    """Two contenders that do not do the same work."""


@dataclass
class Outcome:
    """What came out of a contest."""

    times: dict[str, dict[str, list[float]]] = field(default_factory=dict)  # job ↦ contender ↦ seconds
    left_out: dict[str, str] = field(default_factory=dict)  # contender ↦ why
    pools: dict[str, list[dict]] = field(default_factory=dict)  # contender ↦ its BLAS and its like


# ---- a contender's process ---------------------------------------------------------------------


def serve(connection, make) -> None:
    """Jobs, made once and run when asked."""
    try:
        jobs = make()
    except (ImportError, Missing) as error:
        connection.send(("missing", f"{error}"))
        return
    except Exception:
        connection.send(("failed", traceback.format_exc()))
        return
    connection.send(("ready", pools()))
    while (asked := connection.recv()) is not None:
        try:
            connection.send(("done", answer(jobs, *asked)))
        except Exception:
            connection.send(("failed", traceback.format_exc()))


def answer(jobs: dict[str, Job], name: str, calls: int) -> Any:
    """The result of a job for 0 calls, else seconds a call; None if there is no such job."""
    if name not in jobs:
        return None
    job = jobs[name]
    if calls == 0:
        return job.result(job.run())
    begin = time.perf_counter()
    for _ in range(calls):
        job.run()
    return (time.perf_counter() - begin) / calls / job.share


def pools() -> list[dict]:
    """The BLAS and the thread pools that this process has loaded, as threadpoolctl finds them."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    wanted = ("user_api", "internal_api", "version", "architecture", "num_threads")
    return [{k: pool[k] for k in wanted if k in pool} for pool in threadpool_info()]


def hold_jax(threads: int) -> None:
    """JAX to so many threads, before it is imported: it goes by the cores that there are."""
    several = "true" if threads > 1 else "false"
    os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={several} intra_op_parallelism_threads={threads}"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def threads_here() -> int:
    """What this contender is to use."""
    return int(os.environ[THREADS[0]])


# ---- the parent's end ----------------------------------------------------------------------------


def settle(threads: int) -> None:
    """The environment that contenders inherit."""
    for variable in SLOWING:
        os.environ.pop(variable, None)
    os.environ.update(dict.fromkeys(THREADS, str(threads)))


class Contender:
    """A process that serves."""

    def __init__(self, name: str, make: Callable, threads: int):
        settle(threads)
        context = get_context("spawn")
        self.name = name
        self.connection, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, make), daemon=True)
        self.process.start()
        other.close()  # so that the end of the process is the end of the pipe
        self.pools = self.receive("its preparation")

    def receive(self, what: str) -> Any:
        try:
            kind, value = self.connection.recv()
        except EOFError:
            self.process.join()
            raise Failed(f"{self.name} ended during {what}: {cause_of_death(self.process)}") from None
        if kind == "missing":
            raise Missing(value)
        if kind == "failed":
            raise Failed(f"{self.name} failed at {what}:\n{value}")
        return value

    def ask(self, job: str, calls: int) -> Any:
        self.connection.send((job, calls))
        return self.receive(job)

    def end(self) -> None:
        if self.process.is_alive():
            self.connection.send(None)
        self.process.join()


def contest(
    contenders: dict[str, Callable[[], dict[str, Job]]], jobs: Iterable[str], threads: int, turns: int, *,
    tolerance: float = 1e-3, once: bool = False, after: Callable[[str, dict], None] | None = None,
) -> Outcome:  # fmt: skip
    """All contenders that are installed, in turns, once they agree on a job's result; `after` each job.

    Jobs that take seconds run `once` a turn, and are warm after the run that gave their result.
    """
    outcome, present = Outcome(), []
    try:
        for name, make in contenders.items():
            try:
                present.append(Contender(name, make, threads))
            except Missing as missing:
                outcome.left_out[name] = f"{missing}"
            except Failed as failed:
                leave_out(outcome, name, failed)
        outcome.pools = {c.name: c.pools for c in present}
        for job in jobs:
            able = agreeing(present, job, tolerance, outcome)
            calls = {c: 1 if once else warmed(c, job) for c in able}
            times: dict[str, list[float]] = {c.name: [] for c in able}
            for turn in range(turns):
                first = turn % len(able)
                for c in able[first:] + able[:first]:
                    if threads > 1:
                        time.sleep(PAUSE)
                    if not once:
                        c.ask(job, 1)  # awake again
                    times[c.name].append(c.ask(job, calls[c]))
            outcome.times[job] = times
            if after:
                after(job, times)
    finally:
        for c in present:
            c.end()
    return outcome


def agreeing(present: list[Contender], job: str, tolerance: float, outcome: Outcome) -> list[Contender]:
    """Those that have the job; an error that names both if two of them do not do the same work. Who breaks down is
    left out."""
    results = {}
    for c in list(present):
        try:
            results[c] = c.ask(job, 0)
        except Failed as failed:
            present.remove(c)
            leave_out(outcome, c.name, failed)
            c.end()
    able = [c for c, result in results.items() if result is not None]
    if not able:
        raise Missing(f"nobody can do {job}")
    for c in able[1:]:
        check(job, able[0].name, results[able[0]], c.name, results[c], tolerance)
    return able


def leave_out(outcome: Outcome, name: str, failed: Failed) -> None:
    """Say so at once, in full, and keep the last line of it."""
    print(failed, file=sys.stderr)
    outcome.left_out[name] = f"{failed}".strip().splitlines()[-1]


def warmed(contender: Contender, job: str) -> int:
    """How many calls make a turn, found when the code is compiled, loaded and awake."""
    contender.ask(job, 3)
    return max(1, math.ceil(TURN / contender.ask(job, 3)))


def check(job: str, first: str, expected: Any, second: str, got: Any, tolerance: float) -> None:
    """Raises Disagreement unless both results are the same, to `tolerance` of 1 or of their size."""
    import numpy as np

    try:
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
    except AssertionError as error:
        raise Disagreement(f"{job}: {second} does not compute what {first} does. {error}") from None


# ---- one thing, in a process of its own ------------------------------------------------------------


class Failure(str):
    """Why there is no result: the kind of an exception, a signal, too long a time."""


def fresh(function: Callable, *arguments: Any, threads: int = 1, seconds: float = 300) -> Any:
    """What `function(*arguments)` gives in a process of its own, or a `Failure`. Raises Missing where it does,
    and where it cannot import what it needs."""
    settle(threads)
    context = get_context("spawn")
    connection, other = context.Pipe()
    process = context.Process(target=report_to, args=(other, function, arguments), daemon=True)
    process.start()
    other.close()
    try:
        if not connection.poll(seconds):
            return Failure(f"more than {seconds:g} s")
        kind, value = connection.recv()
    except EOFError:
        process.join()
        return Failure(cause_of_death(process))
    finally:
        process.kill()
        process.join()
    if kind == "missing":
        raise Missing(value)
    return Failure(value) if kind == "failed" else value


def report_to(connection, function, arguments) -> None:
    try:
        connection.send(("done", function(*arguments)))
    except (ImportError, Missing) as error:
        connection.send(("missing", f"{error}"))
    except Exception as error:
        if not isinstance(error, (RecursionError, MemoryError)):  # these are results
            traceback.print_exc()
        connection.send(("failed", type(error).__name__))


def cause_of_death(process) -> str:
    code = process.exitcode
    return f"killed by {Signals(-code).name}" if code and code < 0 else f"exit status {code}"
