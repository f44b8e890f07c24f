"""What can be learnt from: samples that have a number, and parts of such a collection."""

from __future__ import annotations

import math
import operator
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
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

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[Sample]):
    """Samples in a row, such as lines of a file or what a socket brings. Subclasses define `__iter__()`.

    In a DataLoader with workers each of them goes through the whole row, so `__iter__` divides it: see
    `get_worker_info`.
    """

    def __iter__(self) -> Iterator[Sample]:
        raise NotImplementedError("Subclasses of IterableDataset should implement __iter__.")

    def __add__(self, other: Any) -> ChainDataset:  # pyright: ignore[reportIncompatibleMethodOverride]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors that agree in their first dimension; sample i is (tensor[i] for each of them)."""

    def __init__(self, *tensors: Tensor):
        for each in tensors:
            if not isinstance(each, Tensor):
                raise TypeError(f"TensorDataset holds Tensors, not {type(each).__name__}: write tensor(…)")
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
        return Batch(self[numbers_of(indices)])

    def __len__(self) -> int:
        return len(self.tensors[0])


def numbers_of(indices: Iterable[Any]) -> np.ndarray:
    """The numbers of samples in an array. What is no whole number is an error, as for one sample."""
    return np.fromiter(map(operator.index, indices), np.int64)


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


class ConcatDataset(Dataset[Sample]):
    """Data sets one after the other, as one. `a + b` is short for ConcatDataset([a, b])."""

    def __init__(self, datasets: Iterable[Any]):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("datasets should not be an empty iterable")
        if any(isinstance(each, IterableDataset) for each in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset: write ChainDataset")
        self.cumulative_sizes = list(accumulate(map(len, self.datasets)))  # where each of them ends

    def __getitem__(self, index: Any) -> Sample:
        if index < 0:
            if -index > len(self):
                raise ValueError("absolute value of index should not exceed dataset length")
            index += len(self)
        if index >= len(self):
            raise IndexError(f"index {index} is out of range: there are {len(self)} samples")
        k = bisect_right(self.cumulative_sizes, index)
        return self.datasets[k][index - (self.cumulative_sizes[k - 1] if k else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[Sample]):
    """Rows of samples, one after the other. `a + b` is short for ChainDataset([a, b])."""

    def __init__(self, datasets: Iterable[Any]):
        self.datasets = datasets

    def __iter__(self) -> Iterator[Sample]:
        for each in self.datasets:
            self.check(each)
            yield from each

    def __len__(self) -> int:
        for each in self.datasets:
            self.check(each)
        return sum(len(each) for each in self.datasets)

    def check(self, dataset: Any) -> None:
        if not isinstance(dataset, IterableDataset):
            raise AssertionError(
                f"ChainDataset only supports IterableDataset, but got {type(dataset).__name__}: write ConcatDataset"
            )


class StackDataset(Dataset[Any]):
    """Data sets side by side: sample i is (dataset[i] for each of them), or a dict if they have names."""

    def __init__(self, *args: Any, **kwargs: Any):
        if args and kwargs:
            raise ValueError(
                "StackDataset takes data sets by position, for tuples, or by name, for dicts, but both "
                "types are given"
            )
        if not args and not kwargs:
            raise ValueError("At least one dataset should be passed")
        self.datasets: Any = args or kwargs
        sizes = [len(each) for each in self.parts()]
        if len(set(sizes)) > 1:
            raise ValueError(f"Size mismatch between datasets: {', '.join(map(str, sizes))} samples")

    def parts(self) -> list[Any]:
        """The data sets, without their names."""
        return list(self.datasets.values() if isinstance(self.datasets, dict) else self.datasets)

    def joined(self, samples: Sequence[Any]) -> Any:
        """One sample, of those of all data sets."""
        if isinstance(self.datasets, dict):
            return dict(zip(self.datasets, samples, strict=True))
        return tuple(samples)

    def __getitem__(self, index: Any) -> Any:
        return self.joined([each[index] for each in self.parts()])

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        columns = []
        for each in self.parts():
            samples = each.__getitems__(indices) if callable(getattr(each, "__getitems__", None)) else None
            if samples is None or isinstance(samples, Batch):
                samples = [each[index] for index in indices]
            elif len(samples) != len(indices):
                raise ValueError(
                    f"Nested dataset's output size mismatch. Expected {len(indices)}, got {len(samples)}"
                )
            columns.append(samples)
        return [self.joined(row) for row in zip(*columns, strict=True)]

    def __len__(self) -> int:
        return len(self.parts()[0])


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """The samples dealt out by chance into parts of the given lengths, or fractions that sum to 1.

    Fractions are rounded down, and what is left over goes to the parts in turn. Raises ValueError
    for lengths that are no such thing.
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
        if sum(lengths) != total or any(
            n < 0 or n != length for n, length in zip(sizes, lengths, strict=True)
        ):
            raise ValueError(
                "Sum of input lengths does not equal the length of the input dataset! Expected whole "
                f"numbers that sum to {total}, or fractions that sum to 1, and got {list(lengths)}"
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
