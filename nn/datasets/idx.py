"""The IDX format of the MNIST files: a magic number, the sizes, the elements.

Two zero bytes, a byte for the type, a byte for the number of dimensions, each size as four bytes,
most significant first, then the elements likewise (Y. LeCun, C. Cortes, C. J. C. Burges).
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
LARGEST = 2**31  # bytes: nothing of this kind is larger, and a broken header may say anything


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file, plain or gzip-compressed. What is wrong with a file is a
    ValueError that names it, what was found and what was expected."""
    path = Path(path)
    content = content_of(path)

    def wrong(found: str, expected: str) -> ValueError:
        return ValueError(f"{path} is not a whole IDX file: found {found}, expected {expected}")

    if len(content) < 4:
        raise wrong(f"{len(content)} bytes", "at least 4")
    zero, kind, rank = content[:2], content[2], content[3]
    if zero != b"\0\0" or kind not in TYPES:
        known = ", ".join(f"{t:#04x}" for t in TYPES)
        raise wrong(f"the magic number {content[:4].hex()}", f"0000, a type of {known}, a rank")
    start = 4 + 4 * rank
    if len(content) < start:
        raise wrong(f"{len(content)} bytes", f"a header of {start}")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", rank, 4))
    dtype = np.dtype(TYPES[kind])
    size = math.prod(shape) * dtype.itemsize
    if len(content) - start != size:
        raise wrong(f"{len(content) - start} bytes of elements", f"{size} for {shape} of {dtype.name}")
    array = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def content_of(path: Path) -> bytes:
    """The bytes of the file, decompressed, no more than LARGEST."""
    raw = path.read_bytes()
    if raw[:2] != b"\x1f\x8b":
        if path.suffix == ".gz":
            raise ValueError(f"{path} is not gzip-compressed: it starts with {raw[:2].hex() or 'nothing'}")
        return raw
    try:
        with gzip.open(path) as file:
            content = file.read(LARGEST + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} is a broken gzip file: {error}") from error
    if len(content) > LARGEST:
        raise ValueError(f"{path} decompresses to more than {LARGEST} bytes: this is no such file")
    return content
