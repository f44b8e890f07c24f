"""A team of threads that work on one job together, handed over in about a microsecond.

`run(function, *arguments)` calls compiled code with two arguments more, the team's address and its
size, and that code calls `LAUNCH` for each job: another compiled function, `job(argument, part, parts)`,
and as many parts as there are threads. Whoever is free takes the next part, the caller too, until none
is left: nobody waits for a thread that the system has not got round to run.

The threads are Python's own, inside a compiled function, without the GIL. Between jobs they watch a word
of memory for a millisecond or so, offering the processor to others all the time; then they return to
Python and sleep on a queue. Numba's parallel loops are not used: its OpenMP layer needs a library that
is not everywhere, and its own layer aborts the process when two Python threads enter it at once. Here
the second finds the team busy and works alone. A forked child, which has none of its parent's threads,
makes itself a new team. The results are the same in every case: a job's parts are apart.
"""

# An intrinsic's first parameter is Numba's own: callers leave it out, which pyright does not know.
# pyright: reportCallIssue=false

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.extending import intrinsic

from . import jit
from .threads import get_num_threads

# The team's memory, by offsets. What different threads write lies in different lines of the cache.
LINE = 64  # bytes
TICKET = 0  # the current job's number, how many parts it has, and which is the next to be taken
CODE, ARGUMENT, STOP = LINE, LINE + 8, LINE + 16
DONE = 2 * LINE  # parts of the current job that are done
ROOM = 3 * LINE  # for what a job's argument points to
SIZE = 7 * LINE

NUMBER, PARTS = 1 << 32, 1 << 16  # a ticket is number · NUMBER + parts · PARTS + next part
MOST = 1 << 10  # threads
SPINS = 500  # looks at a word between two offers of the processor to others
PATIENCE = 200  # offers before an idle thread goes to sleep

I64 = ir.IntType(64)
YIELD = types.ExternalFunction("SwitchToThread" if os.name == "nt" else "sched_yield", types.int32())


# ---- words that several threads read and write ---------------------------------------------------


@intrinsic
def read(typing, address):
    """The word at an address; what the thread that wrote it had written before is seen from here on."""

    def emit(context, builder, signature, arguments):
        return builder.load_atomic(builder.inttoptr(arguments[0], I64.as_pointer()), "seq_cst", 8)

    return types.int64(types.int64), emit


@intrinsic
def write(typing, address, value):
    """Write a word; who reads it sees all that this thread wrote before."""

    def emit(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], I64.as_pointer())
        builder.store_atomic(arguments[1], place, "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


@intrinsic
def add(typing, address, value):
    """Add to a word in one step, so that no two threads get the same; what it was before."""

    def emit(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], I64.as_pointer())
        return builder.atomic_rmw("add", place, arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), emit


@intrinsic
def breathe(typing):
    """Tell the processor that this is a loop of waiting."""

    def emit(context, builder, signature, arguments):
        machine, hint = binding.get_process_triple(), None
        if machine.startswith(("x86_64", "i686", "i386")):
            hint, values = "llvm.x86.sse2.pause", []
        elif machine.startswith(("aarch64", "arm64")):
            hint, values = "llvm.aarch64.hint", [ir.IntType(32)(1)]
        if hint:
            kind = ir.FunctionType(ir.VoidType(), [x.type for x in values])
            builder.call(builder.module.declare_intrinsic(hint, (), kind), values)
        return context.get_dummy_value()

    return types.void(), emit


@intrinsic
def call(typing, code, argument, part, parts):
    """code(argument, part, parts), by its address."""

    def emit(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.VoidType(), [I64] * 3)
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), emit


# ---- what the threads do --------------------------------------------------------------------------


@njit
def parts_of(ticket):
    """How many parts the job of a ticket has."""
    return ticket // PARTS % (NUMBER // PARTS)


@njit
def left(ticket):
    """Whether a part is left to be taken."""
    return ticket % PARTS < parts_of(ticket)


@njit
def take_parts(team):
    """Take part after part of the current job until none is left. Returns the job's number."""
    while True:
        ticket = read(team + TICKET)
        if left(ticket):
            ticket = add(team + TICKET, 1)
        if not left(ticket):
            return ticket // NUMBER
        call(read(team + CODE), read(team + ARGUMENT), ticket % PARTS, parts_of(ticket))
        add(team + DONE, 1)


@njit
def wait_for_change(address, seen, patience):
    """Until the word is another, or patience is at an end, if it has one. The word, then."""
    looks = 0
    while read(address) == seen:
        breathe()
        looks += 1
        if looks % SPINS == 0:
            YIELD()
            if looks == patience * SPINS:
                break
    return read(address)


def launch(team, code, argument, parts):
    """Do a job. Only the thread that holds the team may launch. The first part is its own, always, so that
    in job after job the same matrix's rows are found in the same core's cache."""
    write(team + CODE, code)
    write(team + ARGUMENT, argument)
    write(team + DONE, 0)
    number = (read(team + TICKET) // NUMBER + 1) % (NUMBER // 2)
    write(team + TICKET, number * NUMBER + parts * PARTS + 1)
    call(code, argument, 0, parts)
    add(team + DONE, 1)
    take_parts(team)
    while True:
        done = read(team + DONE)
        if done == parts:
            return
        wait_for_change(team + DONE, done, -1)


def serve(team):
    """A thread's life between two sleeps. Returns whether it is to sleep now, or to end."""
    while read(team + STOP) == 0:
        number = take_parts(team)
        while True:
            ticket = read(team + TICKET)
            if ticket // NUMBER != number:
                break  # there is a new job
            if wait_for_change(team + TICKET, ticket, PATIENCE) == ticket:
                return True
    return False


# ---- a team, seen from Python ---------------------------------------------------------------------

LAUNCH = types.ExternalFunction("autodiff_launch", types.void(*[types.int64] * 4))


@cache
def compiled(function: Callable):
    """`launch` or `serve` as machine code."""
    signature = types.boolean(types.int64) if function is serve else LAUNCH.sig
    return jit.compiled(function, signature, no_cfunc_wrapper=False)


@cache
def link() -> None:
    """See to it that code which calls LAUNCH can be loaded."""
    binding.add_symbol(LAUNCH.symbol, jit.address(compiled(launch)))


class Team:
    """`size` threads, the caller among them."""

    def __init__(self, size: int):
        link()
        self.size = size
        memory = np.zeros((SIZE + LINE) // 8, np.int64)
        self.memory = memory[-memory.ctypes.data % LINE // 8 :]
        self.address = self.memory.ctypes.data
        self.busy = threading.Lock()
        self.closed = False
        self.sleepers: list[None] = []  # one for each thread that is to be woken
        self.wake_up_calls: SimpleQueue[None] = SimpleQueue()
        self.threads: list[threading.Thread] = []
        try:
            for _ in range(size - 1):
                thread = threading.Thread(target=self.live, name="autodiff", daemon=True)
                thread.start()
                self.threads.append(thread)
        except RuntimeError:
            self.close()
            raise

    def live(self):
        """What each thread does until the team is closed."""
        work = compiled(serve)
        while work(self.address):
            self.sleepers.append(None)
            self.wake_up_calls.get()

    def wake(self):
        """Whoever sleeps gets up. The job does not wait for them."""
        while self.sleepers:
            self.wake_up_calls.put(self.sleepers.pop())

    def close(self):
        """Send the threads home, when the current job is done."""
        with self.busy:
            self.closed = True
            self.memory[STOP // 8] = 1
            for _ in self.threads:
                self.wake_up_calls.put(None)
            for thread in self.threads:
                thread.join()


current: Team | None = None
why_alone = ""  # one thread works although more are asked for
change = threading.Lock()


def run(function: Callable, *arguments):
    """What function(*arguments, team, size) gives: with the team of get_num_threads() threads, or, where there is
    none or another Python thread has it, with 0, 1."""
    size = get_num_threads()
    team = current if current is not None and current.size == size else of(size)
    if team is None or not team.busy.acquire(blocking=False):
        return function(*arguments, 0, 1)
    try:
        if team.closed:
            return function(*arguments, 0, 1)
        if team.sleepers:
            team.wake()
        return function(*arguments, team.address, team.size)
    finally:
        team.busy.release()


def of(size: int) -> Team | None:
    """The team of so many threads, which is made if there is none, or one of another size."""
    global current, why_alone
    if size == 1 or why_alone:
        return None
    size = min(size, MOST)
    with change:
        if current is None or current.size != size:
            old, current = current, None
            if old is not None:
                old.close()
            try:
                current = Team(size)
            except RuntimeError as error:  # the system, or the browser, has no thread for us
                why_alone = str(error)
        return current


@atexit.register
def dissolve():
    """No thread may be left in compiled code when Python unloads it."""
    global current
    with change:
        team, current = current, None
    if team is not None:
        team.close()


def forget():
    """In a forked child there are no threads but the one that forked."""
    global current, change
    current, change = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)
