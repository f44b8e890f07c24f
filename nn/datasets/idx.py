"""The IDX format of the MNIST files: what the elements are, how many, and the elements.

Two zero bytes, a byte for the type, a byte for the number of dimensions, each size as four bytes,
most significant first, then the elements likewise (Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST
database of handwritten digits").
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"
DENSEST = 1032  # bytes that one compressed byte can stand for: deflate's limit


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """The array in an IDX file, plain or gzip-compressed.

    ValueError for a file that is not one from its first byte to its last: the text names the file,
    what was found and what was expected. Nothing is allocated that the file could not fill.
    """
    path = Path(path)

    def wrong(found: str, expected: str) -> ValueError:
        return ValueError(f"{path} is not a whole IDX file: found {found}, expected {expected}")

    with content_of(path) as content:
        magic = content.read(4)
        if len(magic) < 4:
            raise wrong(f"{len(magic)} bytes", "a magic number of 4")
        if magic[:2] != b"\0\0" or magic[2] not in TYPES:
            types = ", ".join(f"{code:02x}" for code in TYPES)
            raise wrong(f"the magic number {magic.hex()}", f"0000, a type of {types}, and a rank")
        dtype, rank = np.dtype(TYPES[magic[2]]), magic[3]
        sizes = content.read(4 * rank)
        if len(sizes) < 4 * rank:
            raise wrong(f"{len(sizes)} bytes of sizes", f"{4 * rank} for {rank} dimensions")
        shape = tuple(np.frombuffer(sizes, ">u4").tolist())
        promised = math.prod(shape) * dtype.itemsize
        most = path.stat().st_size * (DENSEST if isinstance(content, gzip.GzipFile) else 1)
        if promised > most:
            raise wrong(
                f"a header that promises {promised} bytes, {shape} of {dtype.name}",
                f"{most} at the most in a file of this length",
            )
        try:
            array = np.empty(shape, dtype)
        except ValueError as error:  # more than 64 dimensions, or a product that only a 0 keeps small
            raise wrong(f"the sizes {shape}", f"sizes that an array can have: {error}") from error
        found = content.readinto(array.reshape(-1).view(np.uint8))  # type: ignore[attr-defined]
        if found < array.nbytes:
            raise wrong(f"{found} bytes of elements", f"{array.nbytes} for {shape} of {dtype.name}")
        if content.read(1):  # and a compressed file's checksum is read here
            raise wrong("more bytes behind them", f"{array.nbytes} for {shape} of {dtype.name}")
    return array.astype(dtype.newbyteorder("="), copy=False)


@contextmanager
def content_of(path: Path) -> Iterator[BinaryIO]:
    """The file, decompressed if need be; a compressed one that breaks off or does not add up while
    it is read is a ValueError that names it."""
    with open(path, "rb") as file:
        compressed = file.read(2) == GZIP
        file.seek(0)
        if path.suffix == ".gz" and not compressed:
            raise ValueError(f"{path} is not a gzip file: found {file.read(2).hex() or 'nothing'} at "
                             f"its start, expected {GZIP.hex()}")  # fmt: skip
        try:
            yield gzip.GzipFile(fileobj=file) if compressed else file  # type: ignore[misc]
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"{path} is a broken gzip file: found {error}, expected one that is whole"
            ) from error
