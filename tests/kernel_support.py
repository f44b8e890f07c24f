"""What the tests of the kernels share: operands to try, and a Python of its own to try things in."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

ROOT = Path(__file__).parents[1]
needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="Numba is not installed")
LAYOUTS = ("rows", "columns", "reversed", "strided", "read-only", "offset")


def laid_out(x: np.ndarray, layout: str) -> np.ndarray:
    """A matrix equal to x that lies in memory in another way."""
    if layout == "columns":
        return np.asfortranarray(x)
    if layout == "reversed":
        return np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]
    if layout == "strided":
        wide = np.full((2 * x.shape[0], 3 * x.shape[1]), 77, x.dtype)
        wide[::2, ::3] = x
        return wide[::2, ::3]
    if layout == "offset":  # contiguous rows within longer ones
        wide = np.full((x.shape[0] + 1, x.shape[1] + 3), 77, x.dtype)
        wide[1:, 2:-1] = x
        return wide[1:, 2:-1]
    x = np.array(x, order="C")
    x.flags.writeable = layout != "read-only"
    return x


def small_integers(shape, dtype, seed: int) -> np.ndarray:
    """Whole numbers, so that sums of products come out exactly, in whatever order they are added."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


layouts = st.sampled_from(LAYOUTS)
seeds = st.integers(0, 2**16)


def run_python(code: str, *, at: Path = ROOT, **environment: str) -> tuple[str, str]:
    """(stdout, stderr) of a program in a Python of its own, for what happens once in a process."""
    settings = {k: v for k, v in os.environ.items() if not k.startswith(("AUTODIFF_", "NUMBA_"))}
    settings |= {"PYTHONPATH": str(at), "PYTHONDONTWRITEBYTECODE": "1"} | environment
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=settings, cwd=at, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr.strip()
