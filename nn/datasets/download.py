"""Published files: told from others by their SHA-256, and fetched from the first mirror that has them."""

from __future__ import annotations

import hashlib
import http.client
import os
import secrets
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from .idx import GZIP, content_of

TIMEOUT = 30.0  # seconds without a byte from a mirror


class Published(NamedTuple):
    """A file that is known by its SHA-256: of its content, or of the .gz where only that is known."""

    name: str  # without .gz
    size: int  # bytes, decompressed
    sha256: str
    of_gz: bool = False

    def fault(self, path: Path) -> str:
        """What is wrong with the file at `path`, plain or compressed; nothing if it is this one."""
        now = path.stat()
        return fault(self, path.resolve(), now.st_mtime_ns, now.st_size)


@lru_cache  # training and test data ask for the same files
def fault(file: Published, path: Path, time: int, size: int) -> str:
    """`file.fault(path)`, as long as the one at `path` has this time and size."""
    try:
        with open(path, "rb") as raw:
            compressed = raw.read(len(GZIP)) == GZIP
        with content_of(path) as stream:
            content = stream.read(file.size + 1)  # no more, whatever a small file swells to
    except ValueError as error:
        return str(error)
    if len(content) != file.size:
        found = len(content) if len(content) < file.size else f"more than {file.size}"
        return f"found {found} bytes, expected {file.size}"
    if file.of_gz and not compressed:
        return ""  # as far as can be told
    found = hashlib.sha256(path.read_bytes() if file.of_gz else content).hexdigest()
    return "" if found == file.sha256 else f"found SHA-256 {found}, expected {file.sha256}"


def fetch(file: Published, mirrors: Sequence[str], folder: Path) -> Path:
    """The file, checked, at folder/name.gz, where it is put in one step. RuntimeError that tells
    what each mirror did, if none sent it."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{file.name}.gz"
    part = folder / f".{path.name}.{secrets.token_hex(4)}.part"
    failures = []
    try:
        for mirror in mirrors:
            try:
                # Compressing makes no file longer by more than a thousandth.
                receive(mirror + path.name, part, most=file.size + file.size // 1000 + 1000)
                fault = file.fault(part)
            except (OSError, http.client.HTTPException, ValueError) as error:
                fault = str(error) or type(error).__name__
            if not fault:
                os.replace(part, path)
                return path
            failures.append(f"{mirror}: {fault}")
    finally:
        part.unlink(missing_ok=True)
        for each in made:
            with suppress(OSError):  # it is not empty
                each.rmdir()
    raise RuntimeError("; ".join(failures))


def receive(url: str, path: Path, most: int) -> None:
    """The answer to `url`, written to `path`: as long as it was announced, and at most `most` bytes."""
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, open(path, "wb") as file:
        announced = answer.headers.get("Content-Length")
        if announced and not announced.isdecimal():
            raise ValueError(f"the answer's Content-Length is {announced!r}, expected a number of bytes")
        size, received = int(announced) if announced else None, 0
        with progress(size, url.rpartition("/")[2]) as bar:
            while block := answer.read(1 << 16):
                received += len(block)
                if received > most:
                    raise ValueError(f"found more than {most} bytes, which this file never has")
                file.write(block)
                bar.update(len(block))
        if size is not None and received != size:
            raise ValueError(f"found {received} bytes, expected the {size} that were announced")


class Silent:
    """A progress bar that shows nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, n: int) -> None:
        pass


def progress(size: int | None, name: str) -> Any:
    """A bar on the terminal, if there is one and tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return Silent()
    return tqdm(total=size, desc=name, unit="B", unit_scale=True, disable=None)
