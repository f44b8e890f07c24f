"""Files by name: found under a folder, or fetched from a mirror, and checked either way."""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import urllib.error
import urllib.request
import zlib
from pathlib import Path

LARGEST = 2**28  # bytes: a mirror that sends more does not send these files


def find(root: Path, folder: str, name: str) -> Path | None:
    """The file, plain or .gz, in torchvision's layout (root/MNIST/raw) or in root itself."""
    for place in (root / folder / "raw", root / folder, root):
        for candidate in (place / name, place / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    return None


def verify(path: Path, digest: str) -> None:
    """Is it the file it should be? `digest` is "sha256:…" of the content, decompressed, or "md5:…"
    of the .gz as published."""
    algorithm, _, expected = digest.partition(":")
    if algorithm == "md5" and path.suffix != ".gz":
        return  # only the compressed file's digest is published
    try:
        opened = gzip.open(path) if algorithm == "sha256" and path.suffix == ".gz" else open(path, "rb")
        with opened as file:
            found = hashlib.file_digest(file, algorithm).hexdigest()
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} is a broken file: {error}. Delete it and fetch it again") from error
    if found != expected:
        raise ValueError(
            f"{path} is not the file it should be: found {algorithm} {found}, expected {expected}. "
            "Delete it and fetch it again"
        )


def fetch(name: str, digest: str, mirrors: tuple[str, ...], folder: Path) -> Path:
    """`name`.gz from the first mirror that sends it whole, put in place in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    failures = []
    for mirror in mirrors:
        handle, temporary = tempfile.mkstemp(suffix=".gz", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                receive(f"{mirror}{name}.gz", file)
            verify(Path(temporary), digest)
            os.replace(temporary, folder / f"{name}.gz")
            return folder / f"{name}.gz"
        except (urllib.error.URLError, OSError, ValueError) as error:
            failures.append(f"{mirror}: {error}")
        finally:
            Path(temporary).unlink(missing_ok=True)
    raise RuntimeError("; ".join(failures))


def receive(url: str, file) -> None:
    """The answer to `url`, written to `file`, with a progress bar where tqdm is installed."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        size = int(answer.headers.get("Content-Length") or 0)
        bar = progress(size, url.rpartition("/")[2])
        received = 0
        while block := answer.read(1 << 16):
            received += len(block)
            if received > LARGEST:
                raise ValueError(f"more than {LARGEST} bytes came")
            file.write(block)
            bar(len(block))
        if size and received != size:
            raise ValueError(f"{received} bytes came, {size} were announced")


def progress(size: int, name: str):
    """A function that moves a progress bar on."""
    try:
        from tqdm import tqdm
    except ImportError:
        return lambda n: None
    return tqdm(total=size, desc=name, unit="B", unit_scale=True).update
