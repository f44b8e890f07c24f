"""torch.save and torch.load, in files that run nothing when they are read: nn.checkpoint's format.

`load` reads bare safetensors files, too, such as PyTorch's own `safetensors.torch.save_file` writes.
"""

from __future__ import annotations

import os
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO

from autodiff import Tensor, device
from autodiff.errors import explanation

from .. import checkpoint

File = str | os.PathLike | BinaryIO
# How the files begin that PyTorch writes: a zip archive around a pickle, and a pickle, protocols 2 to 5.
PICKLES = (b"PK\x03\x04", *(bytes([0x80, protocol]) for protocol in range(2, 6)))


def save(
    obj: Any, f: File, pickle_module: Any = None, pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
) -> None:  # fmt: skip
    """Write `obj`, a nest of dicts, lists and tuples of Tensors, arrays, numbers and text (state
    dicts are such), to a path or a file open for writing. No pickle: a module is refused, because its
    class is code. (The last three arguments are for pickles.)"""
    refuse_objects(obj)
    content = checkpoint.encoded(obj)
    if not isinstance(f, (str, os.PathLike)):
        f.write(content)
        return
    if not Path(f).parent.is_dir():
        raise RuntimeError(f"Parent directory {Path(f).parent} does not exist.")
    checkpoint.write_atomically(Path(f), content)


def load(
    f: File, map_location: Any = None, pickle_module: Any = None, *, weights_only: bool | None = None,
    mmap: bool | None = None, **pickle_load_args: Any,
) -> Any:  # fmt: skip
    """What `save` wrote to a path or a file, or the tensors of a bare safetensors file, by name.

    A pickle is refused with an UnpicklingError, whatever `weights_only` says. `map_location` can only
    lead to the CPU. (The other arguments are for pickles.)
    """
    if isinstance(map_location, (str, device)):
        device(map_location)
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            refuse_pickle(file.read(4), checkpoint.described(f))
    else:
        here = f.tell()
        start = f.read(4)
        f.seek(here)
        refuse_pickle(start, checkpoint.described(f))
    arrays, metadata = checkpoint.read(f)
    if metadata.get("format") == checkpoint.FORMAT:
        return checkpoint.decoded(arrays, metadata, checkpoint.described(f))
    return {name: Tensor.wrap(array) for name, array in arrays.items()}


def refuse_objects(obj: Any, path: str = "") -> None:
    """A TypeError for an object with a state of its own, wherever it stands in `obj`."""
    if isinstance(obj, (dict, list, tuple)):
        pairs = obj.items() if isinstance(obj, dict) else enumerate(obj)
        for key, each in pairs:
            refuse_objects(each, f"{path}[{key!r}]")
    elif hasattr(obj, "state_dict"):
        what = f"{path} is a {type(obj).__name__}" if path else f"this is a {type(obj).__name__}"
        raise TypeError(
            explanation(
                f"torch.save keeps no whole objects here, and {what}",
                why="an object is code and state; reading its code back from a file would be a pickle, "
                "which can run anything",
                remedy="torch.save(model.state_dict(), f), and later model.load_state_dict(torch.load(f)) "
                "with a model that the program makes anew",
            )
        )


def refuse_pickle(start: bytes, name: str) -> None:
    """An UnpicklingError if a file that begins so holds a pickle."""
    if start.startswith(PICKLES):
        raise UnpicklingError(
            explanation(
                f"{name} begins as a pickle does, or as the zip archive that PyTorch puts one into, and pickles "
                "are not read here",
                why="a pickle is a program that runs when it is loaded",
                remedy="convert it where PyTorch is installed, in two lines: "
                "import torch, safetensors.torch; safetensors.torch.save_file(torch.load("
                f'"{Path(name).name}", weights_only=True), "{Path(name).stem}.safetensors"). '
                "torch.load reads that file here",
            )
        )
