"""What is done to each byte of a picture alone, as a table: a byte has 256 values.

A batch out of a data set is then read, and turned into numbers, in one look for each byte
(autodiff/kernels/lookup.py), with the same bits, since the table is made by the transforms themselves.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

import autodiff

from .composing import Compose
from .conversions import Normalize, ToTensor

Key = tuple[Any, ...]


def table_of(transform: Any) -> np.ndarray | None:
    """What `transform` makes of the bytes 0…255 of a picture of one channel; None if that is not all it does."""
    key = key_of(transform)
    if not key or key[0] != ("ToTensor",):
        return None
    return made(key, autodiff.get_default_dtype())


def key_of(transform: Any) -> Key | None:
    """The steps of a transform, each of which looks at a byte alone; None if one does more, or may."""
    if type(transform) is ToTensor:
        return (("ToTensor",),)
    if type(transform) is Normalize:
        numbers = [np.ravel(getattr(each, "array", each)) for each in (transform.mean, transform.std)]
        if any(len(each) != 1 for each in numbers):
            return None
        return (("Normalize", *(each.item() for each in numbers)),)
    if type(transform) is Compose:
        steps: Key = ()
        for each in transform.transforms:
            key = key_of(each)
            if key is None:
                return None
            steps += key
        return steps
    return None


@lru_cache(maxsize=16)
def made(key: Key, dtype: np.dtype) -> np.ndarray:
    """The table of these steps. (`dtype` is the default one, in which they compute: it is here for the cache.)"""
    steps = [ToTensor() if name == "ToTensor" else Normalize(*numbers) for name, *numbers in key]
    table = Compose(steps).on_batch(np.arange(256, dtype=np.uint8).reshape(256, 1, 1)).array.reshape(256)
    table.flags.writeable = False
    return table
