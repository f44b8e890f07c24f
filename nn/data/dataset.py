"""What can be learnt from: samples that have a number, and parts of such a collection."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from autodiff import Tensor
from autodiff.random import Generator, source

from .collate import Batch

Sample = TypeVar("Sample", covariant=True)


class Dataset(Generic[Sample]):
    """Samples by number. Subclasses define `__getitem__(index)` and, usually, `__len__()`.

    One that can read many samples at once faster than one after the other also defines
    `__getitems__(indices)`, which returns a list of samples or a whole `Batch`.
    """

    def __getitem__(self, index: Any) -> Sample:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors that agree in their first dimension; sample i is (tensor[i] for each of them)."""

    def __init__(self, *tensors: Tensor):
        lengths = {tensor.shape[:1] for tensor in tensors}
        if len(lengths) != 1 or () in lengths:
            raise ValueError(
                "Size mismatch between tensors: the first dimension counts the samples, but the "
                f"shapes are {', '.join(str(tuple(tensor.shape)) for tensor in tensors)}"
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        return Batch(self[np.asarray(indices, np.int64)])

    def __len__(self) -> int:
        return len(self.tensors[0])


class Subset(Dataset[Sample]):
    """The samples of `dataset` whose numbers are in `indices`, in that order."""

    def __init__(self, dataset: Any, indices: Sequence[int]):
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: Any) -> Sample:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: Sequence[int]) -> Any:
        numbers = [self.indices[i] for i in indices]
        if callable(getattr(self.dataset, "__getitems__", None)):
            return self.dataset.__getitems__(numbers)
        return [self.dataset[number] for number in numbers]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """The samples dealt out by chance into parts of the given lengths, or fractions that sum to 1.

    Fractions are rounded down, and what is left over goes to the parts in turn.
    """
    total = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        for k, fraction in enumerate(lengths):
            if not 0 <= fraction <= 1:
                raise ValueError(f"Fraction at index {k} is not between 0 and 1: {fraction}")
        sizes = [math.floor(total * fraction) for fraction in lengths]
        for k in range(total - sum(sizes)):
            sizes[k % len(sizes)] += 1
    else:
        sizes = [int(length) for length in lengths]
    if sum(sizes) != total:
        raise ValueError(
            "Sum of input lengths does not equal the length of the input dataset! "
            f"{' + '.join(map(str, lengths))} is not {total}"
        )
    for k, size in enumerate(sizes):
        if size == 0:
            warnings.warn(
                f"Length of split at index {k} is 0. This might result in an empty dataset.",
                stacklevel=2,
            )
    order = source(generator).permutation(total).tolist()
    ends = np.cumsum(sizes).tolist()
    return [Subset(dataset, order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
