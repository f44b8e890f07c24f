"""Sequences of different lengths in one batch: padded to the longest, or packed moment by moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from autodiff import Tensor, ops


class Packed(NamedTuple):
    """The fields of a PackedSequence."""

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(Packed):
    """A batch of sequences without padding, the longest first: `data` has the elements of all of them at
    the first moment, then at the second …, and `batch_sizes` how many there are at each moment.
    `sorted_indices` says which of the sequences that were packed comes first, second …

    `pack_padded_sequence` and `pack_sequence` make them, and RNN, LSTM and GRU take and give them."""

    __slots__ = ()

    def __new__(
        cls, data: Tensor, batch_sizes: Any = None, sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:  # fmt: skip
        if batch_sizes is None:
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same with its data in another dtype."""
        return PackedSequence(self.data.to(*args, **kwargs), *self[1:])

    def float(self) -> PackedSequence:
        """In float32."""
        return self.to(np.dtype("float32"))

    def double(self) -> PackedSequence:
        """In float64."""
        return self.to(np.dtype("float64"))

    def cpu(self) -> PackedSequence:
        """Itself: there is no other device."""
        return self


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """Where each index stands in `permutation`."""
    return None if permutation is None else ops.argsort(permutation)


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """The first `lengths[n]` elements of each sequence n of a padded batch (T, N, …), or with `batch_first`
    (N, T, …). Unless `enforce_sorted`, the longest need not come first."""
    longest, size = (input.shape[1], input.shape[0]) if batch_first else tuple(input.shape[:2])
    counts = np.array(lengths.tolist() if isinstance(lengths, Tensor) else list(lengths), np.int64)
    if counts.shape != (size,):
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {counts.size} (batch_size={size})"
        )
    if (counts <= 0).any():
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    order = None if enforce_sorted else np.argsort(-counts, kind="stable")
    counts = counts if order is None else counts[order]
    if any(a < b for a, b in pairwise(counts)):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True: write "
            "enforce_sorted=False"
        )
    if counts[0] > longest:
        raise RuntimeError(f"lengths says {counts[0]} elements, and the padded sequences have {longest}")
    sizes = (counts > np.arange(counts[0])[:, None]).sum(1)
    times = np.repeat(np.arange(counts[0]), sizes)
    samples = np.concatenate([np.arange(n) for n in sizes])
    samples = samples if order is None else order[samples]
    data = input[(samples, times) if batch_first else (times, samples)]
    return PackedSequence(data, Tensor.wrap(sizes), None if order is None else Tensor.wrap(order))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(the padded batch, the length of each sequence), in the order in which they were packed. With
    `total_length`, padded to that length."""
    sizes = np.array(sequence.batch_sizes.tolist())
    longest = len(sizes)
    if total_length is not None and total_length < longest:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {longest}"
        )
    samples = np.arange(sizes[0])
    if sequence.unsorted_indices is not None:
        samples = np.array(sequence.unsorted_indices.tolist())
    lengths = (sizes > samples[:, None]).sum(1)
    times = np.arange(longest if total_length is None else total_length)[:, None]
    is_there = times < lengths
    begins = np.cumsum(sizes) - sizes
    places = np.where(is_there, begins[np.minimum(times, longest - 1)] + samples, 0)
    if batch_first:
        places, is_there = places.T, is_there.T
    mask = Tensor.wrap(is_there).reshape(*is_there.shape, *[1] * (sequence.data.ndim - 1))
    filling = in_dtype(padding_value, sequence.data)
    return ops.where(mask, sequence.data[places], filling), Tensor.wrap(lengths)


def pad_sequence(
    sequences: Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:  # fmt: skip
    """Sequences (L, …) of different lengths as one (T, N, …), or with `batch_first` (N, T, …), T being the
    longest; the others are filled up at their end, or ("left") before their beginning."""
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    rows = list(sequences)
    if not rows:
        raise RuntimeError("pad_sequence: received an empty list of sequences")
    longest, padded = max(row.shape[0] for row in rows), []
    for row in rows:
        missing = longest - row.shape[0]
        border = (missing, 0) if padding_side == "left" else (0, missing)
        padded.append(ops.pad(row, [0, 0] * (row.ndim - 1) + [*border], value=in_dtype(padding_value, row)))
    return ops.stack(padded, 0 if batch_first else 1)


def in_dtype(padding_value: float, x: Tensor) -> float:
    """The value as a number that leaves x its dtype."""
    return padding_value if x.is_floating_point() else int(padding_value)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False
) -> list[Tensor]:
    """The sequences of a padded batch, each of its own length."""
    rows = padded_sequences if batch_first else ops.transpose(padded_sequences, 0, 1)
    return [row[: int(n)] for row, n in zip(rows, lengths, strict=True)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """A list of sequences (L, …), packed."""
    lengths = [row.shape[0] for row in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The list of sequences that was packed."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences, batch_first=True), batch_first=True)
