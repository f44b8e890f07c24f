"""Checkpoints: a whole training state in one safetensors file that a kill can't tear.

    checkpoint.save("run.safetensors", model=model, optimizer=optimizer, epoch=3)
    state = checkpoint.load("run.safetensors", model=model, optimizer=optimizer)

The tensors are stored under the path where they stood (`model.0.weight`), so every reader of
safetensors can get at them; the rest is JSON in the file's header. There is no pickle: loading runs
nothing.

    checkpoint.save_tensors("model.safetensors", model.state_dict())
    model.load_state_dict(checkpoint.load_tensors("model.safetensors"))

are bare tensors under their names, and nothing else: what PyTorch's `safetensors.torch.save_file`
writes and `load_file` reads.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from autodiff import Tensor

FORMAT = "autodiff-nn checkpoint 1"
METADATA = "__metadata__"  # the one name in a safetensors file that is no tensor's


def save(path: str | os.PathLike, state: dict[str, Any] | None = None, /, **parts: Any) -> None:
    """Write `state` and `parts` to `path`, whole or not at all; its folder is made if need be.

    A state is a nest of dicts, lists and tuples of Tensors, arrays, numbers, text, bools and None.
    An object with `state_dict()` (a module, an optimiser, a scheduler, a loader) or `get_state()`
    (a random generator) is asked for its state. Until the new file is safely on the disk, the old
    one stays in its place.
    """
    write_atomically(Path(path), encoded({**(state or {}), **parts}))


def load(path: str | os.PathLike, **into: Any) -> dict[str, Any]:
    """The state that `save` wrote to `path`, to the bit; each object of `into` gets its part.

    Raises FileNotFoundError, or ValueError for a file that is cut short or not a checkpoint.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    arrays, metadata = read(path)
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"{path} is a safetensors file but not a checkpoint of nn.checkpoint: its format is "
            f"{metadata.get('format')!r}, not {FORMAT!r}. Bare tensors are read by "
            "nn.checkpoint.load_tensors"
        )
    state = decoded(arrays, metadata, path)
    missing = [name for name in into if name not in state]
    if missing:
        raise KeyError(f"{path} holds no {', '.join(missing)}: it has {', '.join(state)}")
    for name, thing in into.items():
        (getattr(thing, "load_state_dict", None) or thing.set_state)(state[name])
    return state


def save_tensors(path: str | os.PathLike, tensors: Mapping[str, Any]) -> None:
    """Write `tensors`, a dict of Tensors or arrays such as a `state_dict`, to `path`, whole or not at
    all, as any reader of safetensors expects them."""
    arrays: dict[str, np.ndarray] = {}
    for name, value in tensors.items():
        if not isinstance(name, str) or name == METADATA:
            raise TypeError(
                f"{name!r} can't be the name of a tensor in a safetensors file: choose other text"
            )
        if not isinstance(value, (Tensor, np.ndarray)):
            raise TypeError(
                f"save_tensors holds Tensors and arrays under names, and {name!r} is a "
                f"{type(value).__name__}: nn.checkpoint.save keeps everything else, too"
            )
        packed(value, (name,), arrays)
    write_atomically(Path(path), safetensors().numpy.save(arrays))


def load_tensors(path: str | os.PathLike) -> dict[str, Tensor]:
    """The tensors in a safetensors file, whoever wrote it, by name.

    Raises FileNotFoundError, or ValueError for a file that is cut short or something else.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file of tensors at {path}")
    return {name: Tensor.wrap(array) for name, array in read(path)[0].items()}


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


def encoded(value: Any) -> bytes:
    """A file that holds `value`."""
    arrays: dict[str, np.ndarray] = {}
    tree = packed(value, (), arrays)
    metadata = {"format": FORMAT, "state": json.dumps(tree)}
    return safetensors().numpy.save(arrays, metadata)


def decoded(arrays: dict[str, np.ndarray], metadata: dict[str, str], where: Any) -> Any:
    """What was `encoded` as these; ValueError, naming `where`, if nothing was."""
    try:
        return unpacked(json.loads(metadata["state"]), arrays)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{where} is damaged: its header is not what save wrote ({error!r})") from error


def read(source: str | os.PathLike | BinaryIO) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the metadata in a safetensors file, at a path or open for reading."""
    library = safetensors()
    try:
        if isinstance(source, (str, os.PathLike)):
            with library.safe_open(source, framework="numpy") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return arrays, file.metadata() or {}
        content = source.read()
        arrays = library.numpy.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return arrays, header.get(METADATA, {})
    except library.SafetensorError as error:
        raise ValueError(
            f"{described(source)} is cut short or not a safetensors file ({error}). Try an older checkpoint"
        ) from error
    except (TypeError, KeyError, AttributeError) as error:  # so NumPy answers for bfloat16 and float8
        raise ValueError(
            f"{described(source)} holds numbers of a dtype that NumPy does not know ({error}). Write them "
            "as float32, in PyTorch with tensor.float()"
        ) from error


def described(source: Any) -> str:
    """A path; or what is known of a stream."""
    if isinstance(source, (str, os.PathLike)):
        return str(source)
    return str(getattr(source, "name", f"the {type(source).__name__}"))


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
    array, of = value.array if isinstance(value, Tensor) else value, ""
    if isinstance(array, (np.ndarray, np.generic)):
        if array.dtype.kind in "biufc" and array.dtype.itemsize <= 8:
            name = ".".join(path) if path else "tensor"
            while name in arrays or name == METADATA:  # {"a.b": {"c": …}, "a": {"b.c": …}}
                name += "'"
            arrays[name] = np.asarray(array, array.dtype.newbyteorder("="), order="C")
            return {kind_of(value): name}
        of = f" of {array.dtype}"
    raise TypeError(
        f"a checkpoint cannot hold {'.'.join(path)}, a {type(value).__name__}{of}: it holds Tensors, "
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
    return KINDS[kind](array)


KINDS = {
    "tensor": Tensor.wrap,
    "leaf": lambda array: Tensor.wrap(array).requires_grad_(),
    "array": np.asarray,
    "number": lambda array: array[()],
}


def kind_of(value: Any) -> str:
    """Which of KINDS makes the value again from its array."""
    if isinstance(value, Tensor):
        return "leaf" if value.requires_grad else "tensor"
    return "array" if isinstance(value, np.ndarray) else "number"


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` at `path`: written beside it, flushed to the disk, moved over it in one step. Its folder
    is made if need be. A link is followed; what is no file, such as /dev/stdout, is not moved over."""
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
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
