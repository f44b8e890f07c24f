"""How much memory a process has held at the most, by the count that Linux keeps: the same for every library, whatever
it allocates with.
"""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

from contest import Missing

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
FORGET_PEAK = "5"  # proc(5): the peak is from now on what is held now


def held(which: str) -> int:
    """VmRSS, what is held now, or VmHWM, the most that was, in bytes."""
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{which}:"):
            return int(line.split()[1]) * 1024
    raise Missing(f"{STATUS} says nothing of {which}")


def begin() -> int:
    """What is held once all that is free has been given back. The peak counts from here."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        CLEAR.write_text(FORGET_PEAK, encoding="ascii")
        return held("VmRSS")
    except (OSError, AttributeError) as error:  # not Linux, or not the GNU C library
        raise Missing(f"memory is measured on Linux with glibc only: {error}") from None


def peak() -> int:
    """The most that was held since `begin`."""
    return held("VmHWM")
