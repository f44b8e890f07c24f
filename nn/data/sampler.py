"""The order in which samples are read, and how that order is cut into batches."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice, repeat
from typing import Any, Generic, TypeVar

import numpy as np

from autodiff import Tensor
from autodiff.random import Generator, default_generator

Index = TypeVar("Index", covariant=True)


class Sampler(Generic[Index]):
    """Yields the numbers of samples, or of whole batches. Subclasses define `__iter__`."""

    def __iter__(self) -> Iterator[Index]:
        raise NotImplementedError("Subclasses of Sampler should implement __iter__.")


class SequentialSampler(Sampler[int]):
    """0, 1, 2, … always in the same order."""

    def __init__(self, data_source: Sized):
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class EndlessSampler(Sampler[None]):
    """None, for ever: an IterableDataset is asked for the next sample, not for one of a number."""

    def __iter__(self) -> Iterator[None]:
        return repeat(None)


class RandomSampler(Sampler[int]):
    """Every sample once in a random order; or, with replacement, each one drawn from them all.

    Without a `generator` each pass draws one seed from the default generator and its order from
    that, so that what else is drawn during the pass does not change the order.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ):
        check_flag(replacement)
        if num_samples is not None:
            check_count(num_samples)
        self.data_source = data_source
        self.replacement = replacement
        self.generator = generator
        self._num_samples = num_samples

    @property
    def num_samples(self) -> int:
        """How many numbers a pass draws."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        draw, total, wanted = own_stream(self.generator).numpy, len(self.data_source), self.num_samples
        if self.replacement:
            yield from draw.integers(total, size=wanted).tolist()
            return
        if wanted and not total:
            raise ValueError(f"cannot draw {wanted} samples from an empty data set")
        while wanted:
            order = draw.permutation(total)[:wanted].tolist()
            wanted -= len(order)
            yield from order

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given numbers, each once, in a random order."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None):
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for i in own_stream(self.generator).numpy.permutation(len(self.indices)).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """`num_samples` of the numbers 0, 1, 2, …, each drawn with a probability in proportion to its
    weight: with replacement from them all, without from those that are left."""

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ):
        check_count(num_samples)
        check_flag(replacement)
        given = weights.array if isinstance(weights, Tensor) else weights
        self.weights = np.asarray(given, np.float64)
        if self.weights.ndim != 1:
            raise ValueError(
                f"weights should be a 1d sequence but given weights have shape {self.weights.shape}"
            )
        positive = int((self.weights > 0).sum())
        if not (np.isfinite(self.weights).all() and (self.weights >= 0).all() and positive):
            raise ValueError("weights should be numbers from 0 on, and not all 0")
        if not replacement and num_samples > positive:
            raise ValueError(
                f"cannot draw {num_samples} samples without replacement: {positive} have a weight above 0"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        draw, shares = own_stream(self.generator).numpy, self.weights / self.weights.sum()
        yield from draw.choice(len(shares), self.num_samples, self.replacement, shares).tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` numbers in the order of `sampler`; the last may be shorter, or is left
    out with `drop_last`."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool):
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(
                f"batch_size should be a positive integer value, but got batch_size={batch_size}"
            )
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        order = iter(self.sampler)
        while batch := list(islice(order, min(self.batch_size, sys.maxsize))):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        sampler: Any = self.sampler
        whole, rest = divmod(len(sampler), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)


def check_flag(replacement: Any) -> None:
    """PyTorch's error for what is no bool."""
    if not isinstance(replacement, bool):
        raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")


def check_count(num_samples: Any) -> None:
    """PyTorch's error for what is no number of samples."""
    if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
        raise ValueError(f"num_samples should be a positive integer value, but got num_samples={num_samples}")


def own_stream(generator: Generator | None) -> Generator:
    """`generator`, or a new one seeded by the default generator."""
    if generator is not None:
        return generator
    return Generator().manual_seed(int(default_generator.numpy.integers(2**63 - 1)))
