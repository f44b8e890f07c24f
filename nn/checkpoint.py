"""Checkpoints: a whole training state in one safetensors file that a kill can't tear.

    checkpoint.save("run.safetensors", model=model, optimizer=optimizer, epoch=3)
    state = checkpoint.load("run.safetensors", model=model, optimizer=optimizer)

The tensors are stored under the path where they stood (`model.0.weight`), so every reader of
safetensors can get at them; the rest is JSON in the file's header. There is no pickle: loading runs
nothing.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from autodiff import Tensor

FORMAT = "autodiff-nn checkpoint 1"


def save(path: str | os.PathLike, state: dict[str, Any] | None = None, /, **parts: Any) -> None:
    """Write `state` and `parts` to `path`, whole or not at all; its folder is made if need be.

    A state is a nest of dicts, lists and tuples of Tensors, arrays, numbers, text, bools and None.
    An object with `state_dict()` (a module, an optimiser, a scheduler, a loader) or `get_state()`
    (a random generator) is asked for its state. Until the new file is safely on the disk, the old
    one stays in its place.
    """
    library = safetensors()
    arrays: dict[str, np.ndarray] = {}
    tree = packed({**(state or {}), **parts}, (), arrays)
    metadata = {"format": FORMAT, "state": json.dumps(tree)}
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, library.numpy.save(arrays, metadata))


def load(path: str | os.PathLike, **into: Any) -> dict[str, Any]:
    """The state that `save` wrote to `path`, to the bit; each object of `into` gets its part.

    Raises FileNotFoundError, or ValueError for a file that is cut short or not a checkpoint.
    """
    path, library = Path(path), safetensors()
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    try:
        with library.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except library.SafetensorError as error:
        raise ValueError(
            f"{path} is cut short or not a safetensors file ({error}). Try an older checkpoint"
        ) from error
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"{path} is a safetensors file but not a checkpoint of nn.checkpoint: its format is "
            f"{metadata.get('format')!r}, not {FORMAT!r}. Bare tensors can be read with "
            "safetensors.numpy.load_file"
        )
    try:
        state = unpacked(json.loads(metadata["state"]), arrays)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: its header is not what save wrote ({error!r})") from error
    missing = [name for name in into if name not in state]
    if missing:
        raise KeyError(f"{path} holds no {', '.join(missing)}: it has {', '.join(state)}")
    for name, thing in into.items():
        (getattr(thing, "load_state_dict", None) or thing.set_state)(state[name])
    return state


def safetensors() -> Any:
    """The library, which is an extra."""
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "nn.checkpoint keeps tensors in safetensors files, and that library is not installed. "
            "Try: pip install safetensors"
        ) from error
    return safetensors


def packed(value: Any, path: tuple[str, ...], arrays: dict[str, np.ndarray]) -> Any:
    """`value` as JSON, its arrays put aside under names that say where they stood."""
    if hasattr(value, "state_dict"):
        value = value.state_dict()
    elif hasattr(value, "get_state"):
        value = value.get_state()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, dict) and all(type(key) in (str, int) for key in value):
        pairs = value.items()
        return {"dict": [[key, packed(each, (*path, str(key)), arrays)] for key, each in pairs]}
    if isinstance(value, (list, tuple)):
        parts = [packed(each, (*path, str(k)), arrays) for k, each in enumerate(value)]
        return {"list" if isinstance(value, list) else "tuple": parts}
    array = value.array if isinstance(value, Tensor) else value
    if isinstance(array, (np.ndarray, np.generic)) and array.dtype.kind in "biufc":
        name = ".".join(path)
        while name in arrays:  # {"a.b": {"c": …}, "a": {"b.c": …}}
            name += "'"
        arrays[name] = np.asarray(array, array.dtype.newbyteorder("="), order="C")
        return {kind_of(value): name}
    raise TypeError(
        f"a checkpoint cannot hold {'.'.join(path)}, a {type(value).__name__}: it holds Tensors, "
        "arrays, numbers, text, bools and None in dicts (with keys of text or int), lists and tuples"
    )


def unpacked(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The value that `packed` made `tree` of."""
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "dict":
        return {key: unpacked(each, arrays) for key, each in content}
    if kind in ("list", "tuple"):
        parts = [unpacked(each, arrays) for each in content]
        return parts if kind == "list" else tuple(parts)
    array = arrays[content]
    return {"tensor": Tensor.wrap, "array": np.asarray, "number": lambda x: x[()]}[kind](array)


def kind_of(value: Any) -> str:
    if isinstance(value, Tensor):
        return "tensor"
    return "array" if isinstance(value, np.ndarray) else "number"


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` at `path`: written beside it, flushed to the disk, moved over it in one step."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the move itself is on the disk when the folder is
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
