"""Where the user called: a pair that costs next to nothing to keep, a line of text when asked."""

from __future__ import annotations

import linecache
import os
import sys
from pathlib import Path
from types import CodeType

PACKAGES = tuple(os.path.join(Path(__file__).parents[1], name, "") for name in ("autodiff", "nn"))

Site = tuple[CodeType, int]


class Ours(dict):
    """File name → does it belong to these packages? Worked out when first asked."""

    def __missing__(self, filename: str) -> bool:
        self[filename] = found = filename.startswith(PACKAGES)
        return found


ours = Ours()


def call_site() -> Site:
    """(code, instruction) of the innermost caller outside these packages.

    Code and instruction, not the frame: a frame would keep every local of the user's alive. The
    search starts above this function, its caller, and its caller's: they are all ours.
    """
    frame = sys._getframe(3)
    while ours[frame.f_code.co_filename]:
        outer = frame.f_back  # looked at only where needed: each frame looked at is an object made
        if outer is None:
            break
        frame = outer
    return frame.f_code, frame.f_lasti


def describe(site: Site) -> str:
    """`file.py:12: the source line` for a call site."""
    code, instruction = site
    line = next((n for start, end, n in code.co_lines() if start <= instruction < end), None)
    text = linecache.getline(code.co_filename, line or 0).strip()
    return f"{Path(code.co_filename).name}:{line}" + (f": {text}" if text else "")


def describe_function(function) -> str:
    """`name (file.py:12)` for a function, as far as is known."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    name = getattr(function, "__qualname__", type(function).__name__).rpartition("<locals>.")[2]
    return f"{name} ({Path(code.co_filename).name}:{code.co_firstlineno})" if code else name
