"""A team of threads that work on one job together, handed over in about a microsecond.

A *job* is compiled code, `job(argument, part, parts)`, and as many parts as there are threads. Whoever
is free takes the next part, the caller too, until none is left; so nobody waits for a thread that the
system has not got round to run. Parts may also wait for each other, at a `barrier`: then each has a
thread to itself, because none takes a second part before its first is done.

The threads are Python's own, inside a compiled function, without the GIL. Between jobs they watch a word
of memory for a millisecond or so, and hand the processor on if anybody else wants it; then they return
to Python and sleep on a queue. Numba's parallel loops are not used: its OpenMP layer needs a library
that is not everywhere, and its own layer aborts the process when two Python threads enter it at once.
Here the second finds the team busy and does all parts of its job itself. A forked child, which has none
of its parent's threads, makes itself a new team.
"""

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

# The team's memory: words of 8 bytes, those that different threads write in lines of their own.
TICKET = 0  # of the current job: its number, how many parts it has, and which is the next to be taken
CODE, ARGUMENT = 64, 72
DONE = 128  # parts of the current job that are done
ARRIVED = 192  # threads that have come to a barrier of the current job
ASLEEP = 256  # threads that wait for a wake-up call
STOP, TO_WAKE = 320, 328  # TO_WAKE: threads that were asleep when the current job was announced
SIZE = 384

NUMBER, PARTS = 1 << 32, 1 << 16  # a ticket is number · NUMBER + parts · PARTS + next part
MOST = PARTS // 4  # threads: so that the next part, which each may raise once too often, stays below PARTS

SPINS = 500  # looks before the processor is offered to others, each time, and
PATIENCE = 200  # such offers before an idle thread goes to sleep

LINE = 64

I64 = ir.IntType(64)
YIELD = types.ExternalFunction("SwitchToThread" if os.name == "nt" else "sched_yield", types.int32())


# ---- words that several threads read and write ---------------------------------------------------


@intrinsic
def read(typing, address):
    """The word at an address; what the thread that wrote it had written before is seen from here on."""

    def write(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], I64.as_pointer())
        return builder.load_atomic(place, "seq_cst", 8)

    return types.int64(types.int64), write


@intrinsic
def write(typing, address, value):
    """Write a word; who reads it sees all that this thread wrote before."""

    def emit(context, builder, signature, arguments):
        place = builder.inttoptr(arguments[0], I64.as_pointer())
        builder.store_atomic(arguments[1], place, "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


def changing(operation: str):
    """An intrinsic (address, value) that changes a word in one step and returns what it was."""

    @intrinsic
    def change(typing, address, value):
        def emit(context, builder, signature, arguments):
            place = builder.inttoptr(arguments[0], I64.as_pointer())
            return builder.atomic_rmw(operation, place, arguments[1], "seq_cst")

        return types.int64(types.int64, types.int64), emit

    return change


add, exchange = changing("add"), changing("xchg")


@intrinsic
def breathe(typing):
    """Tell the processor that this is a loop of waiting."""

    def emit(context, builder, signature, arguments):
        machine = binding.get_process_triple()
        name, values = None, []
        if machine.startswith(("x86_64", "i686", "i386")):
            name = "llvm.x86.sse2.pause"
        elif machine.startswith(("aarch64", "arm64")):
            name, values = "llvm.aarch64.hint", [ir.IntType(32)(1)]
        if name:
            kind = ir.FunctionType(ir.VoidType(), [x.type for x in values])
            builder.call(builder.module.declare_intrinsic(name, (), kind), values)
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
def wait_for_change(address, seen, patience):
    """Until the word is another, or patience is at an end; it has none if negative. The word, then."""
    looks = 0
    while read(address) == seen:
        breathe()
        looks += 1
        if looks % SPINS == 0:
            YIELD()
            if looks == patience * SPINS:
                break
    return read(address)


@njit
def barrier(team, parts):
    """Wait here until all `parts` parts of the job have come here. `team` is an address."""
    turn = add(team + ARRIVED, 1) // parts  # how often all had been here
    while True:
        arrived = read(team + ARRIVED)
        if arrived >= (turn + 1) * parts:
            return
        wait_for_change(team + ARRIVED, arrived, -1)


@njit
def parts_of(ticket):
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
def wait_until_done(team, parts):
    while True:
        done = read(team + DONE)
        if done >= parts:
            return
        wait_for_change(team + DONE, done, -1)


@njit
def publish(team, code, argument, parts):
    """Announce a job, and count the threads that are asleep."""
    write(team + CODE, code)
    write(team + ARGUMENT, argument)
    write(team + DONE, 0)
    write(team + ARRIVED, 0)
    write(team + TICKET, (read(team + TICKET) // NUMBER + 1) % (NUMBER // 2) * NUMBER + parts * PARTS)
    write(team + TO_WAKE, exchange(team + ASLEEP, 0))


def finish(team):
    """Work on the current job until all its parts are done."""
    take_parts(team)
    wait_until_done(team, parts_of(read(team + TICKET)))


def launch(team, code, argument, parts):
    """Do a job; or only announce it, where TO_WAKE says that threads have to be woken first."""
    publish(team, code, argument, parts)
    if read(team + TO_WAKE) == 0:
        take_parts(team)
        wait_until_done(team, parts)


def serve(team):
    """A thread's life between two sleeps. Returns whether it is to sleep now, or else to end."""
    while read(team + STOP) == 0:
        number = take_parts(team)
        while True:
            ticket = read(team + TICKET)
            if ticket // NUMBER != number:
                break  # there is a new job
            if wait_for_change(team + TICKET, ticket, PATIENCE) == ticket:
                add(team + ASLEEP, 1)
                if read(team + TICKET) // NUMBER == number and read(team + STOP) == 0:
                    return True  # whoever publishes from now on sees that we sleep
                break
    return False


# ---- a team, seen from Python ---------------------------------------------------------------------


@cache
def compiled(function: Callable):
    """`launch`, `finish` or `serve` as machine code."""
    inputs = {launch: 4, finish: 1, serve: 1}[function]
    result = types.boolean if function is serve else types.void
    return jit.compiled(function, result(*[types.int64] * inputs), no_cfunc_wrapper=False)


class Team:
    """`size` threads, the caller among them."""

    def __init__(self, size: int):
        self.size = size
        memory = np.zeros((SIZE + LINE) // 8, np.int64)
        self.memory = memory[-memory.ctypes.data % LINE // 8 :]
        self.address = self.memory.ctypes.data
        self.busy = threading.Lock()
        self.wake_up_calls: SimpleQueue = SimpleQueue()
        self.launch, self.finish, serve_ = compiled(launch), compiled(finish), compiled(serve)
        self.launch_address = jit.address(self.launch)

        self.closed = False

        def live():
            while serve_(self.address):
                self.wake_up_calls.get()

        self.threads = []
        try:
            for _ in range(size - 1):
                thread = threading.Thread(target=live, name="autodiff", daemon=True)
                thread.start()
                self.threads.append(thread)
        except RuntimeError:
            self.close()
            raise

    def run(self, start: Callable, *arguments) -> bool:
        """start(*arguments), which is `launch` or compiled code that calls it: all parts of a job are
        done. False, and nothing done, where another Python thread has the team, or it is closed."""
        if not self.busy.acquire(blocking=False):
            return False
        try:
            if self.closed:
                return False
            start(*arguments)
            asleep = int(self.memory[TO_WAKE // 8])
            if asleep:
                for _ in range(asleep):
                    self.wake_up_calls.put(None)
                self.finish(self.address)
        except BaseException:  # an interrupt: nobody may still be at work when the caller goes on
            self.finish(self.address)
            raise
        finally:
            self.busy.release()
        return True

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
why_alone = ""
change = threading.Lock()


def of(size: int) -> Team | None:
    """The team of so many threads, which is made if there is none, or one of another size. None where
    one thread is to work, or only one can: `why_alone` then says why."""
    global current, why_alone
    size = min(size, MOST)
    team = current
    if team is not None and team.size == size:
        return team
    if size == 1 or why_alone:
        return None
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
