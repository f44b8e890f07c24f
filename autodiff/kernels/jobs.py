"""Jobs: loops in parts, which the threads of a team do together.

A job is a function (argument, part, parts) that does one of so many parts of its work. All that it has to know
lies at the address `argument`: words of 64 bits, sizes and addresses. `work_together` puts them there.
"""

# An intrinsic's first parameter is Numba's own: callers leave it out, which pyright does not know.
# pyright: reportCallIssue=false

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numba.np.numpy_support import carray

from . import jit, team
from .team import LAUNCH
from .vectorised import call

PIECES = 4  # parts for each thread, so that nobody waits long for one that the system has suspended
TOGETHER = 2**18  # steps from which a second thread gains more than it costs to call


# ---- inside a job --------------------------------------------------------------------------------------


@intrinsic(prefer_literal=True)
def words(typing, address, count):
    """So many integers from an address on, as a tuple."""

    def write(context, builder, signature, arguments):
        kind = context.get_value_type(signature.return_type)
        return builder.load(builder.inttoptr(arguments[0], kind.as_pointer()))

    return types.UniTuple(types.int64, count.literal_value)(address, count), write


@njit
def at(array):
    """An array's address, as a word: to Numba it is unsigned, and would make a float of its neighbours."""
    return np.int64(array.ctypes.data)


@intrinsic
def pointer(typing, address):
    """An address as what `carray` makes an array of."""

    def write(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(address), write


@njit
def numbers(address, start, stop, kind):
    """The numbers from `start` to `stop` of those of a kind, np.float32 say, that lie side by side at an address."""
    return carray(pointer(address), (stop,), kind)[start:]


# ---- outside -------------------------------------------------------------------------------------------


def ready(job: Callable, title: str, made_from: tuple[ModuleType, ...]) -> int:
    """The address of a job, compiled; `made_from` are the modules, beside its own, whose functions it calls."""
    signature = types.void(*[types.int64] * 3)
    return jit.address(
        jit.compiled(job, signature, title, made_from, error_model="numpy", no_cfunc_wrapper=False)
    )


def work(job, argument, team, size):
    """A job done by a team, or, where that is 0, by the caller alone."""
    if size == 1:
        call(job, (argument, 0, 1))
    else:
        LAUNCH(team, job, argument, size * PIECES)


@cache
def worker() -> Callable:
    """`work`, compiled."""
    team.link()
    return jit.compiled(work, types.void(*[types.int64] * 4), error_model="numpy")


def work_together(job: int, steps: int, *arguments: Any) -> None:
    """A job of so many steps, by all threads if it is worth their while."""
    told = np.array(arguments, np.int64)
    if steps < TOGETHER:
        worker()(job, told.ctypes.data, 0, 1)
    else:
        team.run(worker(), job, told.ctypes.data)
