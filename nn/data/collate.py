"""From a list of samples to a batch: numbers become tensors, tensors are stacked."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

import autodiff
from autodiff import Tensor


class Batch(tuple):
    """The parts of a whole batch, each already stacked, in the order of a sample's parts.

    A data set whose `__getitems__` can read many samples at once returns one instead of a list of
    samples, and there is nothing left to collate.
    """

    __slots__ = ()


def default_collate(batch: Any) -> Any:
    """Samples of one structure → one structure of batches.

    Tensors and arrays are stacked, Python and NumPy numbers become a tensor (float64, int64,
    bool), text is kept in a list; mappings, tuples, named tuples and sequences are taken apart and
    put together again. Raises TypeError for anything else, RuntimeError for shapes that differ.
    """
    if isinstance(batch, Batch):
        return list(batch)
    first = batch[0]
    if isinstance(first, Tensor):
        same_shape([each.shape for each in batch])
        return autodiff.stack(batch)
    if is_numeric(first):
        same_shape([np.shape(each) for each in batch])
        return Tensor.wrap(np.stack(batch))
    if isinstance(first, int):
        return autodiff.tensor(batch)
    if isinstance(first, float):
        return autodiff.tensor(batch, dtype=autodiff.float64)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        parts = {key: default_collate([each[key] for each in batch]) for key in first}
        return rebuilt(first, parts)
    if isinstance(first, Sequence):
        sizes = {len(each) for each in batch}
        if len(sizes) > 1:
            raise RuntimeError(
                "each element in list of batch should be of equal size, but the sizes are "
                f"{sorted(sizes)}. Pad the samples, or pass a collate_fn"
            )
        return rebuilt(first, [default_collate(part) for part in zip(*batch, strict=True)])
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
        f"found {type(first)}. Add a transform that makes a tensor (such as ToTensor()), or pass "
        "a collate_fn"
    )


def default_convert(data: Any) -> Any:
    """Arrays anywhere in `data` as tensors, everything else as it is: for batch_size=None."""
    if isinstance(data, Batch):
        return list(data)
    if is_numeric(data):
        return autodiff.as_tensor(data)
    if isinstance(data, Mapping):
        return rebuilt(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return rebuilt(data, [default_convert(value) for value in data])
    return data


def is_numeric(x: Any) -> bool:
    """Is it a NumPy array or number that a Tensor can hold?"""
    return isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "biufc"


def rebuilt(example: Any, parts: Any) -> Any:
    """`parts` in a container like `example`; for a plain tuple that is a list, as in PyTorch, and
    a plain container where the class can't be built from its parts alone."""
    kind = type(example)
    if isinstance(example, MutableMapping):  # a copy keeps what else it has, such as a default
        example = copy.copy(example)
        example.update(parts)
        return example
    if hasattr(example, "_fields"):
        return kind(*parts)
    if kind is tuple:
        return parts
    try:
        return kind(parts)
    except TypeError:
        return parts


def same_shape(shapes: list[tuple[int, ...]]) -> None:
    """PyTorch's error if the shapes are not all the same."""
    for k, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shapes[0])} at entry 0 "
                f"and {list(shape)} at entry {k}. Make the samples of one size, or pass a "
                "collate_fn"
            )
