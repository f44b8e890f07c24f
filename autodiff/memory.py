"""Who wrote to which memory, and when; and which Tensors look at it.

NumPy already knows which arrays share memory: every view's `base` leads to the array that owns
it. So a version need not be carried by each Tensor and handed from view to view: writes, which
are rare, are noted by owner, on one clock. A node remembers the time it was recorded, and what
it saved is stale if its owner was written later.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .kernels.alignment import LINE
from .provenance import Site, call_site


class Write(NamedTuple):
    """The last write to some memory."""

    time: int
    site: Site


class Clock:
    """One time for all: a number for each recorded call and each write, greater than any before."""

    __slots__ = ("tick", "last_write")

    def __init__(self):
        self.tick: Callable[[], int] = itertools.count(1).__next__  # of two threads, never the same
        self.last_write = 0


clock = Clock()
lock = threading.Lock()  # two threads may write at once; the last write must be the later
sweeping = threading.Lock()  # held by the one thread that sweeps dead references out of `viewers`
writes: dict[int, Write] = {}  # id of the owner → its last Write
viewers: dict[int, list] = {}  # id of the owner → weak references to the Tensors that view it
exported: dict[int, bool] = {}  # id of the owner → was an ndarray of it handed to the user?
watched: dict[int, Any] = {}  # id of the owner → the weak reference that clears its entries


def owner(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory `array` looks at."""
    base = array.base
    while base is not None:
        if isinstance(base, np.ndarray):
            array = base
        base = getattr(base, "base", None)
    return array


def note_write(array: np.ndarray) -> None:
    """Say that `array`'s memory has just been changed."""
    site = call_site()
    key = watch(owner(array))
    with lock:
        clock.last_write = time = clock.tick()
        writes[key] = Write(time, site)


def note_writes(keys, site: Site) -> None:
    """Say that the memory of all of these has been changed by one call, made at `site`. They are keys,
    from `watch(owner(array))`, of memory that is alive."""
    with lock:
        clock.last_write = time = clock.tick()
        write = Write(time, site)
        for key in keys:
            writes[key] = write


def written_since(time: float, array: np.ndarray) -> Write | None:
    """The last write to the array's memory, if it is later than `time`."""
    write = writes.get(id(owner(array)))
    return write if write is not None and write.time > time else None


def note_view(tensor) -> None:
    """Remember, without keeping it alive, that `tensor` is a view."""
    refs = viewers.setdefault(watch(owner(tensor.array)), [])
    # The dead are swept as they pile up, so that a long loop stays linear; by one thread at a time, which
    # leaves alone what others add meanwhile.
    if (n := len(refs)) > 32 and sweeping.acquire(blocking=False):
        try:
            refs[:n] = [ref for ref in refs[:n] if ref() is not None]
        finally:
            sweeping.release()
    refs.append(weakref.ref(tensor))


def live_views(array: np.ndarray) -> list:
    """The Tensors that are still views of `array`'s memory."""
    base = owner(array)
    views = [ref() for ref in viewers.get(id(base), ())]
    return [view for view in views if view is not None and owner(view.array) is base]


def copied(array: np.ndarray, memo: dict) -> np.ndarray:
    """A copy of `array`. What shares memory with it, and is copied with the same `memo`, shares the copy's."""
    whole = owner(array)
    last = sum((n - 1) * stride for n, stride in zip(whole.shape, whole.strides, strict=True))
    dense = min(whole.strides, default=0) >= 0 and last + whole.itemsize == whole.nbytes
    if not dense or whole.dtype.hasobject:
        return array.copy()
    key, start = ("memory", id(whole)), whole.ctypes.data
    new = memo.get(key)
    if new is None:
        new = np.empty(whole.nbytes + LINE, np.uint8)
        new = memo[key] = new[(start - new.ctypes.data) % LINE :]  # placed as `whole` is in its cache line
        np.ndarray(whole.shape, whole.dtype, new, 0, whole.strides)[...] = whole
    return np.ndarray(array.shape, array.dtype, new, array.ctypes.data - start, array.strides)


def note_export(array: np.ndarray) -> None:
    """Say that the user holds a NumPy array of this memory."""
    exported[watch(owner(array))] = True


def is_exported(array: np.ndarray) -> bool:
    """Does the user hold a NumPy array of this memory?"""
    return id(owner(array)) in exported


def watch(array: np.ndarray) -> int:
    """The array's key in the tables above; its entries go when it dies, before its id is reused."""
    key = id(array)
    if key not in watched:
        watched[key] = weakref.ref(array, lambda _: forget(key))
    return key


def forget(key: int) -> None:
    """Drop what the tables say of an array that has died."""
    for table in (writes, viewers, exported, watched):
        table.pop(key, None)
