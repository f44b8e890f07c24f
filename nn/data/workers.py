"""Threads that read batches ahead of whoever uses them."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from .dataset import IterableDataset


@dataclass
class WorkerInfo:
    """What a worker of a DataLoader can know of itself: its number, of how many, a seed of its own, and
    the data set that it reads."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


current = threading.local()


def get_worker_info() -> WorkerInfo | None:
    """In a worker of a DataLoader what it knows of itself, elsewhere None.

    An IterableDataset's `__iter__` uses it to give each worker a part of the row:
    `itertools.islice(row, info.id, None, info.num_workers)`.
    """
    return getattr(current, "info", None)


class Worker:
    """A thread that makes one call after the other. (Python's pools of threads would do, but a program does
    not end before theirs have: one that reads from where nothing comes would hold it up for ever.)"""

    def __init__(self, name: str):
        self.calls: SimpleQueue = SimpleQueue()
        self.thread = threading.Thread(target=make_calls, args=(self.calls,), name=name, daemon=True)
        self.thread.start()

    def submit(self, function: Callable, *args: Any) -> Future:
        """The future result of a call."""
        future: Future = Future()
        self.calls.put((future, function, args))
        return future

    def end(self) -> None:
        """Make no more calls than it has been asked for."""
        self.calls.put(None)

    __del__ = end


def make_calls(calls: SimpleQueue) -> None:
    """What a worker does all its life."""
    while (call := calls.get()) is not None:
        future, function, args = call
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(function(*args))
            except BaseException as error:
                future.set_exception(error)
        del call, future, function, args  # who waits keeps nothing alive


class Crew:
    """A DataLoader's workers.

    Each gets a (shallow) copy of the data set if that is an IterableDataset, or if there is a
    `worker_init_fn`, which may prepare it.
    """

    def __init__(self, dataset: Any, size: int, seed: int, worker_init_fn: Callable[[int], None] | None):
        self.size, self.worker_init_fn = size, worker_init_fn
        self.workers = [Worker(f"DataLoader worker {k}") for k in range(size)]
        self.datasets = [dataset] * size
        if isinstance(dataset, IterableDataset) or worker_init_fn is not None:
            self.datasets = [copy.copy(dataset) for _ in range(size)]
        self.begun = [
            worker.submit(self._begin, WorkerInfo(k, size, (seed + k) % 2**63, self.datasets[k]))
            for k, worker in enumerate(self.workers)
        ]
        self.contexts: list[Context] = []

    @property
    def is_alive(self) -> bool:
        """Threads stay behind when a process forks."""
        return all(worker.thread.is_alive() for worker in self.workers)

    def take_context(self) -> None:
        """Work from now on in the modes, such as no_grad, of who calls this."""
        self.contexts = [copy_context() for _ in range(self.size)]

    def _begin(self, info: WorkerInfo) -> None:
        """In a worker, before all else: it learns who it is."""
        current.info, current.crew = info, id(self)  # (a reference would keep the threads alive)
        if self.worker_init_fn is not None:
            with noting(f"in worker_init_fn({info.id})"):
                self.worker_init_fn(info.id)

    def is_here(self) -> bool:
        """Is this thread one of them? Python may collect an abandoned iterator in any thread."""
        return getattr(current, "crew", None) == id(self)

    def submit(self, worker: int, function: Callable, *args: Any) -> Future:
        """The future result of a call in that worker. What is raised there has a note of it."""
        return self.workers[worker].submit(self._call, worker, function, args)

    def _call(self, worker: int, function: Callable, args: tuple) -> Any:
        """In a worker: the call, in the modes of who sent it."""
        self.begun[worker].result()
        with noting(f"in DataLoader worker {worker}"):
            return self.contexts[worker].run(function, *args)

    def close(self, wait: bool = True) -> None:
        """No more work. Returns when all threads have ended, if it may wait for the sample that each of
        them is reading."""
        for worker in self.workers:
            worker.end()
        for worker in self.workers if wait else ():
            worker.thread.join()


@contextmanager
def noting(where: str) -> Iterator[None]:
    """What is raised inside has a note that says where."""
    try:
        yield
    except Exception as error:
        error.add_note(where)
        raise
