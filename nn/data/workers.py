"""Threads that read batches ahead of whoever uses them."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass
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


class Crew:
    """A DataLoader's workers: threads, each with a queue of its own.

    A worker gets a (shallow) copy of the data set if that is an IterableDataset, or if there is a
    `worker_init_fn`, which may prepare it.
    """

    def __init__(self, dataset: Any, size: int, seed: int, worker_init_fn: Callable[[int], None] | None):
        self.size, self.worker_init_fn = size, worker_init_fn
        self.threads = [ThreadPoolExecutor(1, f"DataLoader worker {k}") for k in range(size)]
        self.datasets = [dataset] * size
        if isinstance(dataset, IterableDataset) or worker_init_fn is not None:
            self.datasets = [copy.copy(dataset) for _ in range(size)]
        self.begun = [
            thread.submit(self._begin, WorkerInfo(k, size, (seed + k) % 2**63, self.datasets[k]))
            for k, thread in enumerate(self.threads)
        ]
        self.contexts: list[Context] = []

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
        return self.threads[worker].submit(self._call, worker, function, args)

    def _call(self, worker: int, function: Callable, args: tuple) -> Any:
        """In a worker: the call, in the modes of who sent it."""
        self.begun[worker].result()
        with noting(f"in DataLoader worker {worker}"):
            return self.contexts[worker].run(function, *args)

    def close(self, wait: bool = True) -> None:
        """No more work. Returns when all threads have ended, if it may wait for the sample that each of
        them is reading."""
        for thread in self.threads:
            thread.shutdown(wait=False, cancel_futures=True)
        for thread in self.threads:
            thread.shutdown(wait=wait)


@contextmanager
def noting(where: str) -> Iterator[None]:
    """What is raised inside has a note that says where."""
    try:
        yield
    except Exception as error:
        error.add_note(where)
        raise
