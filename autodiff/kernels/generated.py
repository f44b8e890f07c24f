"""Source that a program has written → a function, by Numba, and kept on disk for the next process.

A generated function is a module in a cache folder, named after its contents and those of the kernels that
it calls: so Numba, which keys its own cache on a file, can cache it like any other.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from . import jit

VARIABLE = "AUTODIFF_CACHE_DIR"
MODE = "numba"  # or "python": the same source run by Python itself, slowly, for the tests

# What generated source may mention, and where it comes from.
NAMES = {
    "math": ("erf",),
    "numpy": (
        "abs", "arccos", "arcsin", "arctan", "arctan2", "bool_", "ceil", "cos", "cosh", "exp", "expm1",
        "float32", "float64", "floor", "fmod", "inf", "int8", "int16", "int32", "int64", "isfinite", "isinf",
        "log", "log1p", "log2", "log10", "nan", "rint", "sign", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
        "uint8",
    ),
    "autodiff.kernels.parts": (
        "matmul", "matmul_bias", "matmul_bias_relu", "matmul_descend", "matmul_gate", "maximum", "minimum",
        "sum_in_eights", "sum_in_pairs", "wrapped",
    ),
}  # fmt: skip


def whole_module(title: str, source: str) -> str:
    """The text of a module: what it is, what it imports, the functions."""
    words = set(re.findall(r"\w+", source))
    imports = [
        f"from {place} import {', '.join(used)}"
        for place, names in NAMES.items()
        if (used := [name for name in names if name in words])
    ]
    head = [f'"""{title}', "", f"Written by autodiff.compile; {stamp()}.", '"""', ""]
    return "\n".join([*head, *imports, "", "", source])


class Kind(NamedTuple):
    """The type of one parameter: an array of `dtype` with `ndim` dimensions, in order ("C"), the first index
    fastest ("F"), or in any way ("A"); or, without ndim, a number."""

    dtype: str
    ndim: int | None = None
    layout: str = "C"
    writable: bool = True


def folders() -> Iterator[Path]:
    """Where generated source may be kept, the first choice first: in AUTODIFF_CACHE_DIR; or beside the kernels, or in
    the user's folder for caches, if there is one."""
    asked = os.environ.get(VARIABLE)
    if asked:
        yield Path(asked) / "compiled"
        return
    yield Path(__file__).parent / "__pycache__" / "compiled"
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if os.path.isabs(home):  # "~" stays where nobody's home is known
        yield Path(home) / "autodiff" / "compiled"


@cache
def stamp() -> str:
    """What the kernels that generated code calls are made from."""
    import numba

    from .vectorised import vector_bytes

    digest = hashlib.sha256(f"{numba.__version__} {np.__version__} {vector_bytes()}".encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return f"kernels {digest.hexdigest()[:12]}"


def module(title: str, source: str) -> ModuleType:
    """The source as a module."""
    text = whole_module(title, source)
    name = f"program_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    made = ModuleType(name)
    sys.modules[name] = made
    exec(compile(text, kept(f"{name}.py", text.encode()) or f"<{name}>", "exec"), vars(made))
    return made


def kept(name: str, text: bytes) -> str | None:
    """The path of a file of this name, which has this text: written, where it is not there or is another. None if
    nothing can be written anywhere."""
    for folder in folders():
        path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not (path.is_file() and path.read_bytes() == text):
                write(path, text)
            return str(path)
        except OSError:  # there may be no such folder, no right to write to it, or no room
            continue
    return None


def write(path: Path, text: bytes) -> None:
    """Write a file, of which nobody ever sees a part."""
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


functions: dict[tuple, Callable] = {}  # made in this process, by source and types


def function(title: str, source: str, name: str, kinds: tuple[Kind, ...], returns: str) -> Callable:
    """The function `name` of the source, compiled for parameters of these kinds."""
    key = (source, name, kinds, MODE)
    if key not in functions:
        made = module(title, source)
        plain = getattr(made, name)
        if MODE == "python":
            functions[key] = silent(plain)
        else:
            if "matmul" in source:
                from . import parts

                parts.ready({k.dtype for k in kinds if k.ndim} & {"float32", "float64"})
            functions[key] = machine_code(made, plain, title, kinds, returns)
    return functions[key]


def machine_code(made: ModuleType, plain: Callable, title: str, kinds: tuple, returns: str) -> Callable:
    """The function `plain` of the module `made`, compiled by Numba."""
    import numba

    def numba_type(kind: Kind) -> Any:
        dtype = numba.from_dtype(np.dtype(kind.dtype))
        if kind.ndim is None:
            return dtype
        return numba.types.Array(dtype, kind.ndim, kind.layout, readonly=not kind.writable)

    for each in list(vars(made).values()):  # what it calls of its own module
        own = getattr(each, "__module__", None) == made.__name__ and each is not plain
        if own and not hasattr(each, "py_func"):
            setattr(made, each.__name__, numba.njit(error_model="numpy", nogil=True)(each))
    signature = numba.from_dtype(np.dtype(returns))(*map(numba_type, kinds))
    return jit.compiled(plain, signature, title, error_model="numpy")


def silent(plain: Callable) -> Callable:
    """Infinity and NaN are answers, in Python as in machine code."""

    def call(*args):
        with np.errstate(all="ignore"):
            return plain(*args)

    return call
