"""Compiling loops with Numba: imported late, announced, cached on disk, done without where it fails."""

from __future__ import annotations

import os
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

lock = threading.RLock()  # two threads that want the same kernel compile it once
made: dict[str, str] = {}  # what is compiled, by its title, and the folder of its cache
hurried: ContextVar[bool] = ContextVar("hurried", default=False)  # see `in_a_hurry`

if hasattr(os, "register_at_fork"):  # a compile is waited for: in the child, nobody would be left to end it
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


@cache
def unusable() -> str:
    """Why Numba can't be used here, or "" where it can. Imports Numba."""
    try:
        from numba.core import config
    except Exception as error:  # no wheel, a NumPy it does not know, a broken library: it can be any
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return "NUMBA_DISABLE_JIT is set" if getattr(config, "DISABLE_JIT", False) else ""


@contextmanager
def in_a_hurry() -> Iterator[None]:
    """Inside, nothing is compiled for which NumPy gives the same bits: for calls that are made once, and never again."""
    before = hurried.set(True)
    try:
        yield
    finally:
        hurried.reset(before)


def serves() -> bool:
    """May a loop be compiled here that has the bits of its NumPy twin?"""
    return not hurried.get() and not unusable()


@contextmanager
def unwatched() -> Iterator[None]:
    """Inside, a Python function that watches every call (sys.setprofile) does not: it would take as long again as
    Numba, which makes millions."""
    watcher = sys.getprofile()
    if not callable(watcher):
        yield
        return
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.setprofile(watcher)


@cache
def warn_once(text: str) -> None:
    """One line of warning, the first time only."""
    warnings.warn(text, RuntimeWarning, stacklevel=3)


def compiled(function: Callable, signature, title: str = "", made_from: tuple = (), **flags) -> Callable:
    """`function` as machine code for one signature, which lets other Python threads run meanwhile.

    It is loaded from Numba's cache on disk, or else compiled and stored there. A compile takes a second or
    so, and is announced on stderr by its title; what has no title is compiled along with something that has one.

    Numba keys its cache on the function's bytecode, its file and the CPU. So what a kernel is made from
    (constants, flags) belongs in one file with it, or in those of the modules `made_from`. A cache that cannot
    be read or written costs a warning and a compile, nothing more.
    """
    import numba
    from numba.core import event

    function = with_own_name(function, signature, made_from)

    class Announcement(event.Listener):
        """Numba tells of a compile, and not of a load from the cache."""

        stored = True

        def on_start(self, event):
            if event.data["dispatcher"].py_func is function and title:
                how = "once; cached" if self.stored else "for this process only"
                print(f"autodiff: compiling {title} ({how}) ...", file=sys.stderr)

        def on_end(self, event):
            pass

    announcement = Announcement()

    def compile_(cached: bool) -> Callable:
        announcement.stored = cached
        kernel = numba.njit([signature], cache=cached, nogil=True, **flags)(function)
        if title:
            made[title] = kernel.stats.cache_path or "not cached"
        return kernel

    with lock, unwatched(), event.install_listener("numba:compile", announcement):
        try:
            return compile_(cached=True)
        except Exception as error:  # pickle's errors, the system's, Numba's: a cache breaks in many ways
            kernel = compile_(cached=False)  # raises too if it is not the cache that is at fault
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            warn_once(
                f"compiled kernels can't be cached ({reason}), so every process compiles them anew. Try: "
                "delete the .nbi and .nbc files in __pycache__ beside the kernels, or set "
                "NUMBA_CACHE_DIR and AUTODIFF_CACHE_DIR to a folder that can be written to"
            )
            return kernel


def with_own_name(function: Callable, signature, made_from: tuple) -> Callable:
    """The function by a name that no other machine code is cached under. Numba has one file for a name's index, and
    numbers the machine codes: of two processes that store two of them at once, either may get the other's."""
    import hashlib

    from numba.core.registry import cpu_target

    constants = [cell.cell_contents for cell in function.__closure__ or ()]
    target: Any = cpu_target.target_context
    processor = target.codegen().magic_tuple()
    digest = hashlib.sha256(repr((signature, constants, processor)).encode())
    for module in made_from:
        digest.update(Path(module.__file__).read_bytes())
    named = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, None, function.__closure__
    )
    named.__qualname__ = f"{function.__qualname__}.{digest.hexdigest()[:12]}"
    return named


def address(kernel) -> int:
    """Where the machine code of `compiled` begins, which other code may call as a C function. It must
    have been compiled with no_cfunc_wrapper=False."""
    (code,) = kernel.overloads.values()
    return code.library.get_pointer_to_function(code.fndesc.llvm_cfunc_wrapper_name)
