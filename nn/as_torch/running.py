"""A program run as `python PROGRAM.py` runs it, but with our torch."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from .answers import FOLDER, install, installed

BETWEEN = (FOLDER, "<frozen importlib", "<frozen runpy")  # files whose frames are none of the program's


def run(program: str | os.PathLike, args: Sequence[str] = ()) -> dict[str, Any]:
    """Run a program here, as `__main__` and with our torch, and give its global names. What it raises,
    SystemExit too, is raised. Afterwards everything is as before: what it imported from its own folder
    is forgotten, too."""
    argv, path, main, known = sys.argv, sys.path[:], sys.modules["__main__"], set(sys.modules)
    folder = Path(program).resolve().parent
    try:
        with installed():
            return execute(program, args)
    finally:
        sys.argv, sys.path[:], sys.modules["__main__"] = argv, path, main
        for name in set(sys.modules) - known:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(folder):
                del sys.modules[name]


def execute(program: str | os.PathLike, args: Sequence[str]) -> dict[str, Any]:
    """Run the program as `__main__`, and leave everything as it does."""
    path = os.path.abspath(program)
    module = ModuleType("__main__")
    vars(module).update(__file__=path, __builtins__=__builtins__, __cached__=None)
    sys.argv = [os.fspath(program), *args]
    sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    sys.modules["__main__"] = module
    with io.open_code(path) as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    exec(code, vars(module))
    return vars(module)


def main(program: str, args: Sequence[str]) -> None:
    """Run the program in this process, which is for nothing else."""
    if not sys.flags.safe_path:
        del sys.path[0]  # where `python -m` was called: `python PROGRAM.py` has the program's folder there
    sys.excepthook = partial(show_plainly, sys.excepthook)
    install()
    execute(program, args)


def show_plainly(hook: Any, kind: type, error: BaseException, frames: TracebackType | None) -> None:
    """Show an error that nobody caught as if the program had been run by itself."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        each.__traceback__ = plain(each.__traceback__)
        each = each.__cause__ or each.__context__
    hook(kind, error, plain(frames))


def plain(frames: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames that stand between Python and the program."""
    kept = []
    while frames is not None:
        if not frames.tb_frame.f_code.co_filename.startswith(BETWEEN):
            kept.append(frames)
        frames = frames.tb_next
    rest = None
    for each in reversed(kept):
        rest = TracebackType(rest, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return rest
