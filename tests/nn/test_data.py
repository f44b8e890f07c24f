"""Data sets, samplers, collation and the loader: PyTorch's answers, and a place to go on from."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import sys
import threading
import time
import warnings
from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest
from beside_torch import same
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_support import run_python

import autodiff as ad
from nn.data import (
    Batch,
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    get_worker_info,
    random_split,
)

Point = namedtuple("Point", "x y")
counts, sizes = st.integers(0, 40), st.integers(1, 9)


def numbered(n: int) -> TensorDataset:
    """Samples that know their number."""
    return TensorDataset(ad.arange(n), ad.arange(n).float() / 2)


class OneByOne(Dataset):
    """The same samples, without whole batches."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __getitem__(self, index):
        return self.dataset[index]

    def __len__(self):
        return len(self.dataset)


def seen(loader) -> list[list[int]]:
    return [batch[0].tolist() for batch in loader]


# ---- collation -----------------------------------------------------------------------------------

leaves = st.sampled_from(["int", "float", "bool", "text", "array", "tensor", "number"])
structures = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.just("tuple"), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("list"), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("dict"), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("Point"), st.lists(inner, min_size=2, max_size=2)),
    ),
    max_leaves=6,
)


def sample(structure, rng, tensor):
    """A random sample of the structure, its tensors made by `tensor`."""
    if isinstance(structure, str):
        return {
            "int": lambda: int(rng.integers(100)),
            "float": lambda: float(rng.standard_normal()),
            "bool": lambda: bool(rng.integers(2)),
            "text": lambda: str(rng.integers(100)),
            "array": lambda: rng.standard_normal((2, 3)),
            "tensor": lambda: tensor(rng.standard_normal(3).astype(np.float32)),
            "number": lambda: rng.standard_normal(dtype=np.float32),
        }[structure]()
    kind, inner = structure
    parts = [sample(each, rng, tensor) for each in inner]
    make = {
        "tuple": tuple, "list": list, "Point": lambda ps: Point(*ps),
        "dict": lambda ps: OrderedDict((f"k{k}", p) for k, p in enumerate(ps)),
    }[kind]  # fmt: skip
    return make(parts)


def assert_alike(ours, theirs):
    if isinstance(ours, ad.Tensor):
        assert str(theirs.dtype) == f"torch.{ours.dtype}"
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
        return
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        ours, theirs = list(ours.values()), list(theirs.values())
    if isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert_alike(mine, other)
    else:
        assert ours == theirs


@given(structures, st.integers(1, 4), st.integers(0, 99))
def test_collation_is_pytorchs(structure, n, seed):
    torch = pytest.importorskip("torch")
    from torch.utils.data import default_collate as theirs

    def batch(tensor):
        rng = np.random.default_rng(seed)
        return [sample(structure, rng, tensor) for _ in range(n)]

    assert_alike(default_collate(batch(ad.from_numpy)), theirs(batch(torch.from_numpy)))


def test_a_mapping_keeps_what_else_it_has():
    batch = [defaultdict(int, a=1), defaultdict(int, a=2)]
    collated = default_collate(batch)
    assert type(collated) is defaultdict and collated["a"].tolist() == [1, 2] and collated["b"] == 0
    assert batch[0] == {"a": 1}
    assert type(default_convert(batch[0])) is defaultdict


def test_a_batch_is_collated_already():
    parts = Batch((ad.ones(3, 2), ad.arange(3)))
    collated = default_collate(parts)
    assert type(collated) is list and all(a is b for a, b in zip(collated, parts, strict=True))


@pytest.mark.parametrize(
    "batch, error, words",
    [
        ([object(), object()], TypeError, "batch must contain tensors, numpy arrays, numbers"),
        ([None], TypeError, "found <class 'NoneType'>"),
        ([np.array(["a"])], TypeError, "batch must contain"),
        ([(1, 2), (1,)], RuntimeError, "each element in list of batch should be of equal size"),
        ([ad.ones(2), ad.ones(3)], RuntimeError, r"got \[2\] at entry 0 and \[3\] at entry 1"),
        ([np.ones(2), np.ones(3)], RuntimeError, "stack expects each tensor to be equal size"),
    ],
)
def test_what_cannot_be_collated(batch, error, words):
    with pytest.raises(error, match=words):
        default_collate(batch)


def test_conversion_makes_tensors_of_arrays_and_leaves_the_rest():
    converted = default_convert({"a": (np.ones(2), "text"), "b": [3, Point(np.zeros(1), None)]})
    assert isinstance(converted["a"][0], ad.Tensor) and converted["a"][1] == "text"
    assert converted["b"][0] == 3 and isinstance(converted["b"][1], Point)
    assert isinstance(converted["b"][1].x, ad.Tensor) and converted["b"][1].y is None


# ---- data sets -------------------------------------------------------------------------------------


def test_tensors_of_different_lengths_are_no_dataset():
    with pytest.raises(ValueError, match=r"Size mismatch between tensors.*\(3, 2\), \(4,\)"):
        TensorDataset(ad.ones(3, 2), ad.ones(4))
    with pytest.raises(ValueError, match="Size mismatch"):
        TensorDataset(ad.tensor(1.0))
    with pytest.raises(TypeError, match="TensorDataset holds Tensors, not ndarray"):
        TensorDataset(ad.ones(3), np.ones(3))
    with pytest.raises(NotImplementedError, match="__getitem__"):
        Dataset()[0]


@given(st.lists(st.integers(0, 9), max_size=12), st.data())
def test_a_subset_counts_its_own_samples(indices, data):
    subset = Subset(numbered(10), indices)
    assert len(subset) == len(indices)
    assert [int(subset[k][0]) for k in range(len(subset))] == indices
    if indices:
        chosen = data.draw(st.lists(st.integers(0, len(indices) - 1), min_size=1))
        expected = [indices[k] for k in chosen]
        assert subset.__getitems__(chosen)[0].tolist() == expected
        slow = Subset(OneByOne(numbered(10)), indices).__getitems__(chosen)
        assert [int(x) for x, _ in slow] == expected
        assert subset[chosen][0].tolist() == expected


@given(counts, st.lists(st.floats(0.01, 1), min_size=1, max_size=5), st.integers(0, 99))
def test_random_split_deals_out_every_sample_once(n, shares, seed):
    fractions = [share / sum(shares) for share in shares]
    fractions[-1] = 1 - sum(fractions[:-1])
    if sum(fractions) > 1:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a part may be empty
        parts = random_split(range(n), fractions, ad.Generator().manual_seed(seed))
        again = random_split(range(n), fractions, ad.Generator().manual_seed(seed))
    dealt = list(map(list_of, parts))
    assert sorted(sum(dealt, [])) == list(range(n))
    assert dealt == list(map(list_of, again))
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - n * fraction) <= 1


@given(st.lists(counts, min_size=1, max_size=4), st.integers(-90, 90))
def test_data_sets_in_a_row(lengths, index):
    parts, start = [], 0
    for n in lengths:
        parts.append(Subset(range(100, 300), range(start, start + n)))
        start += n
    row, plain = ConcatDataset(p for p in parts), [*range(100, 100 + start)]
    assert len(row) == start and row.cumulative_sizes == np.cumsum(lengths).tolist()
    if -start <= index < start:
        assert row[index] == plain[index]
    else:
        with pytest.raises(ValueError if index < 0 else IndexError):
            row[index]
    assert list(row) == plain
    assert sum((batch.tolist() for batch in DataLoader(row, 7)), []) == plain


def test_data_sets_are_added():
    both = numbered(2) + numbered(3) + numbered(1)
    assert [int(x) for x, _ in both] == [0, 1, 0, 1, 2, 0]
    with pytest.raises(ValueError, match="should not be an empty iterable"):
        ConcatDataset([])


def list_of(subset: Subset) -> list[int]:
    return [subset[k] for k in range(len(subset))]


def test_random_split_by_lengths_and_its_errors():
    parts = random_split(range(10), [7, 3])
    assert sorted(list_of(parts[0]) + list_of(parts[1])) == list(range(10))
    with pytest.raises(ValueError, match="Sum of input lengths does not equal"):
        random_split(range(10), [7, 4])
    with pytest.raises(ValueError, match="Fraction at index 0 is not between 0 and 1"):
        random_split(range(10), [1.5, -0.5])
    for lengths in ([11, -1], [7.5, 2.5], [0.6, 0.3], [0.6, 0.6], []):
        with pytest.raises(ValueError, match="whole numbers that sum to 10, or fractions that sum to 1"):
            random_split(range(10), lengths)
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        random_split(range(3), [3, 0])


# ---- samplers --------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 100), st.booleans())
def test_random_sampler(n, wanted, replacement):
    order = list(RandomSampler(range(n), replacement, wanted, ad.Generator().manual_seed(0)))
    assert len(order) == wanted == len(RandomSampler(range(n), replacement, wanted))
    assert set(order) <= set(range(n))
    if not replacement:  # whole permutations, one after the other
        for k in range(0, wanted - n + 1, n):
            assert sorted(order[k : k + n]) == list(range(n))


@given(counts, sizes, st.booleans())
def test_batches_are_the_order_cut_up(n, size, drop_last):
    sampler = BatchSampler(SequentialSampler(range(n)), size, drop_last)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    kept = n - n % size if drop_last else n
    assert sum(batches, []) == list(range(kept))
    assert all(len(batch) == size for batch in batches[:-1])


@given(
    weights=st.lists(st.sampled_from([0.0, 0.5, 1, 3]), min_size=1, max_size=5).filter(any),
    replacement=st.booleans(), kind=st.sampled_from([list, np.array, ad.tensor]),
)  # fmt: skip
def test_weighted_sampler_draws_in_proportion(weights, replacement, kind):
    possible = np.flatnonzero(weights)
    n = 3000 if replacement else len(possible)
    sampler = WeightedRandomSampler(kind(weights), n, replacement, ad.Generator().manual_seed(0))
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == n and set(drawn) <= set(possible.tolist())
    if not replacement:
        assert sorted(drawn) == possible.tolist()
        return
    share = np.array(weights) / sum(weights)
    found = np.bincount(drawn, minlength=len(weights)) / n
    assert (abs(found - share) <= 5 * np.sqrt(share * (1 - share) / n)).all()
    assert drawn == list(WeightedRandomSampler(weights, n, True, ad.Generator().manual_seed(0)))
    assert drawn != list(sampler) or len(possible) == 1


def test_subset_random_sampler_shuffles_the_given_numbers():
    sampler = SubsetRandomSampler([3, 1, 4, 1, 5], ad.Generator().manual_seed(0))
    assert sorted(sampler) == [1, 1, 3, 4, 5] and len(sampler) == 5


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: RandomSampler(range(3), replacement=1), TypeError, "replacement should be a boolean"),
        (lambda: RandomSampler(range(3), num_samples=0), ValueError, "num_samples should be a positive"),
        (lambda: WeightedRandomSampler([1], 0), ValueError, "num_samples should be a positive"),
        (lambda: WeightedRandomSampler([1], True), ValueError, "num_samples should be a positive"),
        (lambda: WeightedRandomSampler([1], 1, "no"), TypeError, "replacement should be a boolean"),
        (lambda: WeightedRandomSampler([[1]], 1), ValueError, "weights should be a 1d sequence"),
        (lambda: WeightedRandomSampler([1, -1], 1), ValueError, "weights should be numbers from 0 on"),
        (lambda: WeightedRandomSampler([0, 0], 1), ValueError, "not all 0"),
        (lambda: WeightedRandomSampler([1, float("nan")], 1), ValueError, "weights should be numbers"),
        (lambda: WeightedRandomSampler([1, 0], 2, False), ValueError, "cannot draw 2 samples without"),
        (lambda: BatchSampler(range(3), 0, False), ValueError, "batch_size should be a positive integer"),
        (lambda: BatchSampler(range(3), True, False), ValueError, "batch_size should be a positive integer"),
        (lambda: BatchSampler(range(3), 2, 1), ValueError, "drop_last should be a boolean"),
        (lambda: list(RandomSampler([], num_samples=1)), ValueError, "empty data set"),
        (lambda: iter(Sampler()), NotImplementedError, "__iter__"),
    ],
)
def test_sampler_errors(make, error, words):
    with pytest.raises(error, match=words):
        make()


# ---- the loader ------------------------------------------------------------------------------------


@given(counts, sizes, st.booleans(), st.booleans())
def test_an_epoch_has_every_sample_once(n, size, shuffle, drop_last):
    loader = DataLoader(numbered(n), size, shuffle=shuffle, drop_last=drop_last)
    batches = seen(loader)
    assert len(batches) == len(loader)
    found = sum(batches, [])
    if not drop_last:
        assert sorted(found) == list(range(n))
    assert len(set(found)) == len(found) == (n - n % size if drop_last else n)
    if not shuffle:
        assert found == list(range(len(found)))


@given(st.integers(1, 30), sizes, st.integers(0, 99))
def test_whole_batches_and_single_samples_give_the_same(n, size, seed):
    whole = DataLoader(numbered(n), size, shuffle=True, seed=seed)
    single = DataLoader(OneByOne(numbered(n)), size, shuffle=True, seed=seed)
    for ours, theirs in zip(whole, single, strict=True):
        assert type(ours) is type(theirs) is list
        for a, b in zip(ours, theirs, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_the_seed_decides_the_order_and_epochs_differ():
    a, b = (DataLoader(numbered(50), 7, shuffle=True, seed=3) for _ in range(2))
    first, second = seen(a), seen(a)
    assert first != second
    assert [first, second] == [seen(b), seen(b)]
    ad.manual_seed(5)
    c = seen(DataLoader(numbered(50), 7, shuffle=True))
    ad.manual_seed(5)
    assert c == seen(DataLoader(numbered(50), 7, shuffle=True))


def test_what_is_drawn_between_batches_does_not_change_the_order():
    ad.manual_seed(5)
    plain = seen(DataLoader(numbered(50), 7, shuffle=True))
    ad.manual_seed(5)
    drawn = []
    for numbers, _ in DataLoader(numbered(50), 7, sampler=RandomSampler(range(50), True, 50)):
        drawn.append(numbers.tolist())
    ad.manual_seed(5)
    busy = []
    for numbers, _ in DataLoader(numbered(50), 7, shuffle=True):
        ad.rand(3)
        busy.append(numbers.tolist())
    assert busy == plain != drawn


def test_a_batch_of_any_size_is_all_there_is():
    assert [batch.tolist() for batch in DataLoader(range(3), 10**20)] == [[0, 1, 2]]


@pytest.mark.parametrize("wrong", [0.5, "1", None])
def test_numbers_of_samples_are_whole(wrong):
    with pytest.raises(TypeError, match="cannot be interpreted as an integer") as caught:
        list(DataLoader(TensorDataset(ad.arange(4)), 2, sampler=[0, wrong]))
    assert caught.value.__notes__ == [f"while samples {[0, wrong]} were read"]
    (batch,) = DataLoader(TensorDataset(ad.arange(4)), 2, sampler=[np.int32(3), ad.tensor(1)])
    assert batch[0].tolist() == [3, 1]


def test_a_collate_fn_gets_samples_even_of_a_data_set_that_gives_whole_batches():
    kinds = []

    def collate(samples):
        kinds.append((type(samples), type(samples[0]), len(samples)))
        return sum(int(x) for x, _ in samples)

    assert list(DataLoader(numbered(5), 2, collate_fn=collate)) == [1, 5, 4]
    assert kinds == [(list, tuple, 2), (list, tuple, 2), (list, tuple, 1)]


def test_without_batches_samples_come_one_by_one():
    arrays = [np.full(2, k) for k in range(3)]
    out = list(DataLoader(arrays, batch_size=None))
    assert [x.tolist() for x in out] == [[0, 0], [1, 1], [2, 2]]
    assert len(DataLoader(arrays, batch_size=None)) == 3


def test_batch_samplers_and_samplers_of_ones_own():
    loader = DataLoader(numbered(6), batch_sampler=[[5, 0], [3]])
    assert seen(loader) == [[5, 0], [3]] and len(loader) == 2
    assert seen(DataLoader(numbered(6), 2, sampler=[4, 2, 0])) == [[4, 2], [0]]


def test_every_argument_is_kept():
    loader = DataLoader(
        numbered(5), 2, num_workers=4, pin_memory=True, timeout=3, persistent_workers=True,
        prefetch_factor=2, worker_init_fn=abs, pin_memory_device="cpu", in_order=False,
    )  # fmt: skip
    assert seen(loader) == [[0, 1], [2, 3], [4]]
    assert (loader.num_workers, loader.prefetch_factor, loader.worker_init_fn) == (4, 2, abs)
    assert loader.persistent_workers and not loader.in_order and loader.multiprocessing_context is None


def test_two_passes_at_once_do_not_disturb_each_other():
    loader = DataLoader(numbered(12), 5, shuffle=True)
    ad.manual_seed(3)
    first, second = seen(loader), seen(loader)
    ad.manual_seed(3)
    pairs = list(zip(loader, loader, strict=True))
    assert [a[0].tolist() for a, _ in pairs] == first and [b[0].tolist() for _, b in pairs] == second


@pytest.mark.parametrize(
    "arguments, words",
    [
        (dict(sampler=[0], shuffle=True), "sampler option is mutually exclusive with shuffle"),
        (dict(batch_sampler=[[0]], batch_size=2), "batch_sampler option is mutually exclusive with"),
        (dict(batch_sampler=[[0]], shuffle=True), "batch_sampler option is mutually exclusive with"),
        (dict(batch_sampler=[[0]], drop_last=True), "batch_sampler option is mutually exclusive with"),
        (dict(batch_size=None, drop_last=True), "batch_size=None option disables auto-batching"),
        (dict(batch_size=0), "batch_size should be a positive integer value"),
        (dict(seed=1, generator=ad.Generator()), "seed option is mutually exclusive with generator"),
        (dict(num_workers=-1), "num_workers option should be non-negative"),
        (dict(timeout=-1), "timeout option should be non-negative"),
        (dict(prefetch_factor=2), "prefetch_factor option could only be specified in multiprocessing"),
        (dict(prefetch_factor=-2, num_workers=1), "prefetch_factor option should be non-negative"),
        (dict(persistent_workers=True), "persistent_workers option needs num_workers > 0"),
    ],
)
def test_loader_errors(arguments, words):
    with pytest.raises(ValueError, match=words):
        DataLoader(numbered(3), **arguments)


def test_what_was_decided_at_the_start_stays():
    loader = DataLoader(numbered(3))
    with pytest.raises(ValueError, match="should not be set after DataLoader is initialized"):
        loader.batch_size = 2


# ---- rows ------------------------------------------------------------------------------------------


class Row(IterableDataset):
    """The numbers from `start` to `end`, in each worker its part of them."""

    def __init__(self, start, end, divided=True):
        self.start, self.end, self.divided = start, end, divided

    def __iter__(self):
        info = get_worker_info()
        if info is None or not self.divided:
            return iter(range(self.start, self.end))
        return iter(range(self.start + info.id, self.end, info.num_workers))


@given(counts, sizes, st.integers(0, 4), st.booleans())
def test_a_row_is_read_to_its_end(n, size, workers, drop_last):
    batches = [b.tolist() for b in DataLoader(Row(0, n), size, drop_last=drop_last, num_workers=workers)]
    found = sum(batches, [])
    if not drop_last:
        assert sorted(found) == list(range(n))
    assert len(set(found)) == len(found) and all(len(b) == size for b in batches if drop_last)
    if workers <= 1:
        assert found == list(range(len(found)))
    assert sorted(DataLoader(Row(0, n), None, num_workers=workers)) == list(range(n))


def test_rows_in_a_row():
    chain = Row(0, 3) + Row(5, 7)
    assert type(chain) is ChainDataset and list(chain) == [0, 1, 2, 5, 6]
    assert [b.tolist() for b in DataLoader(chain, 2)] == [[0, 1], [2, 5], [6]]
    with pytest.raises(AssertionError, match="ChainDataset only supports IterableDataset"):
        list(ChainDataset([[1, 2]]))
    with pytest.raises(AssertionError, match="ConcatDataset does not support IterableDataset"):
        ConcatDataset([Row(0, 3)])
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(IterableDataset())
    with pytest.raises(TypeError, match="has no len"):
        len(DataLoader(Row(0, 3)))


def test_a_row_that_knows_its_length():
    class Sized(Row):
        def __len__(self):
            return self.end

    assert [len(DataLoader(Sized(0, 5), 2, drop_last=drop)) for drop in (False, True)] == [3, 2]
    assert len(DataLoader(Sized(0, 5), None)) == 5 and len(Sized(0, 5) + Sized(0, 2)) == 7


@pytest.mark.parametrize("name, given", [("shuffle", True), ("sampler", [0]), ("batch_sampler", [[0]])])
def test_a_row_has_no_other_order(name, given):
    with pytest.raises(ValueError, match=f"DataLoader with IterableDataset: expected unspecified {name}"):
        DataLoader(Row(0, 3), **{name: given})


def test_data_sets_side_by_side():
    pairs = StackDataset(numbered(3), ["a", "b", "c"])
    assert pairs[1] == ((1, 0.5), "b") and len(pairs) == 3
    named = StackDataset(number=OneByOne(numbered(3)), text=["a", "b", "c"])
    (batch,) = DataLoader(named, 3)
    assert batch["number"][0].tolist() == [0, 1, 2] and batch["text"] == ["a", "b", "c"]
    for make, words in (
        (lambda: StackDataset([1], [1, 2]), "Size mismatch between datasets"),
        (lambda: StackDataset(), "At least one dataset should be passed"),
        (lambda: StackDataset([1], a=[1]), "both types are given"),
    ):
        with pytest.raises(ValueError, match=words):
            make()


# ---- workers -----------------------------------------------------------------------------------------


class Noisy(Dataset):
    """Samples with numbers drawn while they are read, which takes now longer and now shorter."""

    def __init__(self, n):
        self.n = n

    def __getitem__(self, index):
        time.sleep(0.001 * (index % 3))
        return index, ad.rand(2)

    def __len__(self):
        return self.n


def workers_alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("DataLoader worker")]


@pytest.fixture(autouse=True)
def no_thread_is_left_behind():
    yield
    until(lambda: not workers_alive())  # persistent ones end a moment after their loader


@given(
    n=st.integers(0, 20), size=sizes, workers=st.integers(1, 4), ahead=st.integers(1, 3),
    shuffle=st.booleans(), persistent=st.booleans(), stop=st.integers(0, 25),
)  # fmt: skip
@settings(max_examples=15)
def test_any_number_of_workers_gives_the_same(n, size, workers, ahead, shuffle, persistent, stop):
    """Two epochs, in the second of which one stops somewhere, and a third; with other numbers drawn in
    between."""
    runs = []
    for options in ({}, {"num_workers": workers, "prefetch_factor": ahead, "persistent_workers": persistent}):
        ad.manual_seed(3)
        loader, record = DataLoader(Noisy(n), size, shuffle=shuffle and n > 0, **options), []
        for most in (99, stop, 99):
            for k, (numbers, drawn) in enumerate(loader):
                record.append((numbers.tolist(), drawn.tolist(), ad.rand(1).item()))
                if k >= most:
                    break
        runs.append(record)
        del loader
    assert runs[0] == runs[1]
    drawn = [str(numbers) for _, numbers, _ in runs[0]]
    assert len(set(drawn)) == len(drawn)  # no two batches, nor epochs, drew the same


@given(
    st.integers(0, 3), st.integers(0, 3), st.integers(1, 11), st.sampled_from(["noisy", "row", "replacement"])
)
@settings(max_examples=12)
def test_a_resumed_loader_draws_what_was_still_to_be_drawn(before, after, stop, kind):
    """Stopped with some workers, and gone on with in another program with others."""

    def loader(workers):
        if kind == "row":
            return DataLoader(Row(0, 15), 3, num_workers=workers)
        sampler = RandomSampler(range(4), num_samples=12, generator=ad.Generator().manual_seed(4))
        order = {"sampler": sampler} if kind == "replacement" else {"shuffle": True}
        return DataLoader(Noisy(12), 2, num_workers=workers, **order)

    if kind == "row":  # its order depends on the number
        after = before

    def epochs(loader, left):
        for _ in range(left):
            for batch in loader:
                numbers, drawn = batch if kind != "row" else (batch, batch)
                yield numbers.tolist(), drawn.tolist(), ad.rand(1).item()

    ad.manual_seed(7)
    undisturbed = list(epochs(loader(before), 3))
    per_epoch = len(undisturbed) // 3
    ad.manual_seed(7)
    first = loader(before)
    run = epochs(first, 3)
    record = [next(run) for _ in range(stop)]
    state, random = copy.deepcopy(first.state_dict()), ad.get_rng_state()
    run.close()
    ad.rand(5)
    second = loader(after)
    second.load_state_dict(state)
    ad.set_rng_state(random)
    done, in_this = divmod(stop, per_epoch)
    record += epochs(second, 3 - done + (1 if not in_this else 0))
    assert record == undisturbed


def test_reading_ahead_is_real_and_bounded():
    begun, goes_on = [], threading.Event()

    class Watched(Dataset):
        def __getitem__(self, index):
            begun.append(index)
            if index == 0:
                assert goes_on.wait(5)  # until the others have been read meanwhile
            return index

        def __len__(self):
            return 40

    loader = iter(DataLoader(Watched(), 2, num_workers=2, prefetch_factor=3))
    threading.Timer(0.1, goes_on.set).start()
    assert next(loader).tolist() == [0, 1]
    until(lambda: len(begun) == 14)  # the one taken, and six ahead
    time.sleep(0.02)
    assert len(begun) == 14
    loader.close()


def until(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("whole", [True, False])
def test_what_is_raised_while_reading_comes_here_with_the_sample(workers, whole):
    class Broken(Dataset):
        def __getitem__(self, index):
            if index == 7:
                raise KeyError("no such file")
            return index

        def __len__(self):
            return 20

    class InBatches(Broken):
        def __getitems__(self, indices):
            return [self[index] for index in indices]

    got = []
    with pytest.raises(KeyError, match="no such file") as caught:
        for batch in DataLoader(InBatches() if whole else Broken(), 2, num_workers=workers):
            got += batch.tolist()
    assert got == [0, 1, 2, 3, 4, 5]
    notes = caught.value.__notes__
    assert notes[0] == ("while samples [6, 7] were read" if whole else "while sample 7 was read")
    assert notes[1:] == ["in DataLoader worker 0"] * (workers > 0)
    assert any(entry.name == "__getitem__" for entry in caught.traceback)


def test_an_error_at_the_beginning_of_a_worker():
    def begin(worker):
        if worker == 1:
            raise OSError("no such camera")

    with pytest.raises(OSError, match="no such camera") as caught:
        list(DataLoader(range(9), num_workers=2, worker_init_fn=begin))
    assert caught.value.__notes__ == ["in worker_init_fn(1)"]


def test_ctrl_c_and_leaving_early_end_the_threads():
    loader = DataLoader(Noisy(50), 5, num_workers=3)
    for k, _ in enumerate(loader):
        assert workers_alive()
        if k == 1:
            break
    with pytest.raises(KeyboardInterrupt):
        for _ in loader:
            signal.raise_signal(signal.SIGINT)
    halted = iter(loader)
    next(halted)
    del halted
    assert workers_alive() == []

    class Slow(Dataset):
        def __getitem__(self, index):
            if index == 0:
                signal.raise_signal(signal.SIGINT)  # arrives in the main thread, which waits for this sample
            time.sleep(0.05)
            return index

        def __len__(self):
            return 4

    with pytest.raises(KeyboardInterrupt):
        list(DataLoader(Slow(), num_workers=1))


@pytest.mark.parametrize("persistent", [True, False])
def test_an_iterator_may_be_collected_by_its_own_worker(persistent):
    left: list = []

    class Last(Dataset):
        def __getitem__(self, index):
            if index > 0:
                until(lambda: left)
                left.clear()
            return index

        def __len__(self):
            return 2

    iterator = iter(DataLoader(Last(), num_workers=1, persistent_workers=persistent))
    next(iterator)
    left.append(iterator)
    del iterator
    until(lambda: not workers_alive())


def test_a_timeout():
    goes_on = threading.Event()

    class Stuck(Dataset):
        def __getitem__(self, index):
            goes_on.wait(5)
            return index

        def __len__(self):
            return 3

    with pytest.raises(RuntimeError, match="DataLoader timed out after 0.05 seconds: worker 0"):
        list(DataLoader(Stuck(), num_workers=2, timeout=0.05))
    goes_on.set()
    until(lambda: not workers_alive())


def test_a_program_ends_though_a_worker_is_stuck():
    program = """
import threading
from nn.data import DataLoader, Dataset

class Stuck(Dataset):
    def __getitem__(self, index):
        threading.Event().wait()

    def __len__(self):
        return 3

try:
    list(DataLoader(Stuck(), num_workers=2, timeout=0.05))
except RuntimeError:
    print("timed out")
"""
    assert run_python(program) == ("timed out", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_persistent_workers_are_hired_anew_after_a_fork():
    program = """
import os, warnings
from nn.data import DataLoader

warnings.simplefilter("ignore")  # Python 3.12 warns of any fork where there are threads
loader = DataLoader(range(3), 3, num_workers=1, persistent_workers=True)
list(loader)
if child := os.fork():
    os.waitpid(child, 0)
print([batch.tolist() for batch in loader], flush=True)
"""
    assert run_python(program) == ("[[0, 1, 2]]\n[[0, 1, 2]]", "")


def test_a_copy_of_a_loader_has_workers_of_its_own():
    loader = DataLoader(range(4), 2, num_workers=1, persistent_workers=True)
    list(loader)
    another = pickle.loads(pickle.dumps(loader))
    assert [batch.tolist() for batch in copy.deepcopy(loader)] == [[0, 1], [2, 3]]
    assert [batch.tolist() for batch in another] == [[0, 1], [2, 3]]


def test_persistent_workers_are_the_same_threads_in_every_pass():
    begun, threads = [], []

    class Who(Dataset):
        def __getitem__(self, index):
            threads.append(threading.get_ident())
            return index

        def __len__(self):
            return 12

    loader = DataLoader(Who(), 2, num_workers=2, persistent_workers=True, worker_init_fn=begun.append)
    first = list(loader)
    next(iter(loader))
    assert len(list(loader)) == len(first) == 6
    assert sorted(begun) == [0, 1] and len(set(threads)) == 2 and len(workers_alive()) == 2
    assert [len(pair) for pair in zip(loader, loader, strict=True)] == [2] * 6  # two at once
    del loader
    until(lambda: not workers_alive())


def test_a_worker_knows_itself():
    def prepare(worker):
        info = get_worker_info()
        assert info.id == worker and info.num_workers == 3
        info.dataset.start, info.dataset.end = 10 * worker, 10 * worker + 2

    row = Row(0, 99, divided=False)
    found = [b.tolist() for b in DataLoader(row, 1, num_workers=3, worker_init_fn=prepare)]
    assert found == [[0], [10], [20], [1], [11], [21]]
    assert get_worker_info() is None and (row.start, row.end) == (0, 99)  # each had its own

    class Info(Dataset):
        def __getitem__(self, index):
            return get_worker_info()

        def __len__(self):
            return 4

    infos = sum(DataLoader(Info(), 2, num_workers=2, collate_fn=list), [])
    assert [info.id for info in infos] == [0, 0, 1, 1] and infos[0].seed != infos[2].seed


def test_modes_hold_in_workers():
    class Modes(Dataset):
        def __getitem__(self, index):
            return ad.is_grad_enabled()

        def __len__(self):
            return 2

    loader = DataLoader(Modes(), None, num_workers=2, persistent_workers=True)
    with ad.no_grad():
        assert list(loader) == [False, False]
    assert list(loader) == [True, True]
    del loader
    until(lambda: not workers_alive())


def test_a_seed_set_while_reading_stays_there():
    class Seeded(Dataset):
        def __getitem__(self, index):
            ad.manual_seed(5)
            return ad.rand(1).item()

        def __len__(self):
            return 2

    ad.manual_seed(1)
    first = ad.rand(1).item()
    for workers in (0, 2):
        ad.manual_seed(1)
        (batch,) = DataLoader(Seeded(), 2, num_workers=workers)
        assert batch[0] == batch[1] and ad.initial_seed() == 1
        assert ad.rand(1).item() != first  # something was drawn: the next pass must draw others
    ad.manual_seed(1)
    list(DataLoader(numbered(4), 2))
    assert ad.rand(1).item() == first


# ---- going on ----------------------------------------------------------------------------------------

SOURCES = {
    "in order": lambda data: {},
    "default generator": lambda data: {"shuffle": True},
    "a seed": lambda data: {"shuffle": True, "seed": 4},
    "a sampler's generator": lambda data: {
        "sampler": RandomSampler(data, True, 60, ad.Generator().manual_seed(4))
    },
    "a batch sampler": lambda data: {
        "batch_size": 1,
        "batch_sampler": BatchSampler(
            SubsetRandomSampler(range(len(data)), ad.Generator().manual_seed(4)), 3, False
        ),
    },
}


@given(st.sampled_from(sorted(SOURCES)), st.integers(1, 30), sizes, st.integers(0, 70))
def test_a_resumed_loader_hands_out_what_was_still_to_come(kind, n, size, stop):
    """Stop after any batch of two epochs, go on in another loader: no batch differs, nor does
    anything else that is drawn."""

    def loader():
        data = numbered(n)
        return DataLoader(data, **{"batch_size": size, **SOURCES[kind](data)})

    def epochs(loader, left, record):
        for _ in range(left):
            for numbers, _ in loader:
                record.append((numbers.tolist(), ad.rand(2).tolist()))
                yield

    ad.manual_seed(7)
    undisturbed: list = []
    for _ in epochs(loader(), 3, undisturbed):
        pass

    ad.manual_seed(7)
    record: list = []
    first = loader()
    stop = min(stop, 2 * len(first) - 1)
    run = epochs(first, 3, record)
    for _ in range(stop):
        next(run)
    state, random = copy.deepcopy(first.state_dict()), ad.get_rng_state()
    run.close()

    ad.rand(5)
    second = loader()
    second.load_state_dict(state)
    ad.set_rng_state(random)
    assert second.state_dict()["batch"] == state["batch"]
    done, in_this = divmod(stop, len(first))
    # After the last batch of an epoch, and before the next one, there is none left in it.
    whole = 3 - done + (1 if stop and not in_this else 0)
    for _ in epochs(second, whole, record):
        pass
    assert record == undisturbed


def test_a_place_is_of_one_data_set_and_batch_size():
    loader = DataLoader(numbered(10), 2, shuffle=True)
    next(iter(loader))
    state = loader.state_dict()
    for other in (DataLoader(numbered(11), 2), DataLoader(numbered(10), 5)):
        with pytest.raises(ValueError, match="the batches still to come would be others"):
            other.load_state_dict(state)
    with pytest.raises(ValueError, match="generators"):
        DataLoader(numbered(10), 2, shuffle=True, seed=0).load_state_dict(state)


def test_an_older_pass_does_not_move_the_place_of_the_latest():
    loader = DataLoader(numbered(10), 2)
    older, latest = iter(loader), iter(loader)
    next(older)
    next(latest), next(latest)
    next(older), next(older)
    assert loader.state_dict()["batch"] == 2


# ---- beside PyTorch ----------------------------------------------------------------------------------

PROGRAMS = {
    "a list": lambda d, t: list(d.DataLoader(list(range(5)), 2)),
    "a dict": lambda d, t: list(d.DataLoader({0: 1.5, 1: 2.5}, 2)),
    "dicts": lambda d, t: list(d.DataLoader([{"x": k, "y": str(k)} for k in range(5)], 2, drop_last=True)),
    "nothing": lambda d, t: list(d.DataLoader([], 3)),
    "lengths": lambda d, t: [len(d.DataLoader(range(5), b, drop_last=drop)) for b, drop in ((2, False), (2, True), (9, True), (None, False))],
    "twice": lambda d, t: [list(loader), list(loader)] if (loader := d.DataLoader(range(3), 2)) else None,
    "one by one": lambda d, t: list(d.DataLoader([np.ones(2), 1, "a", {"q": np.zeros(1)}], batch_size=None)),
    "NumPy's numbers": lambda d, t: list(d.DataLoader([1, 2], np.int64(2))),
    "half a batch": lambda d, t: d.DataLoader([1], 1.5),
    "no shuffle, a sampler": lambda d, t: list(d.DataLoader([1, 2], shuffle=False, sampler=[1, 0, 1])),
    "a sampler that goes wrong": lambda d, t: list(d.DataLoader([1], sampler=[3])),
    "a generator": lambda d, t: list(d.DataLoader(k for k in range(3))),
    "attributes": lambda d, t: [(x.batch_size, x.drop_last, type(x.sampler).__name__, type(x.batch_sampler).__name__, x.generator, x.prefetch_factor, x.in_order) for x in (d.DataLoader([1]), d.DataLoader([1], batch_sampler=[[0]]), d.DataLoader([1], batch_size=None, shuffle=True), d.DataLoader([1], 3, drop_last=True))],
    "defaults": lambda d, t: [d.DataLoader([1]).collate_fn is d.default_collate, d.DataLoader([1], None).collate_fn is d.default_convert],
    "a collate_fn": lambda d, t: list(d.DataLoader([(1, 2), (3, 4)], 2, collate_fn=lambda b: tuple(zip(*b, strict=True)))),
    "samples for it": lambda d, t: [[type(b).__name__, type(b[0]).__name__] for b in d.DataLoader(d.TensorDataset(t.arange(3)), 2, collate_fn=lambda b: b)],
    "tensors": lambda d, t: [s[1], s[-1], s[1:], len(s), list(s), list(d.DataLoader(s, 2))] if (s := d.TensorDataset(t.ones(3, 2), t.arange(3))) else None,
    "beyond the tensors": lambda d, t: d.TensorDataset(t.ones(3))[3],
    "a subset": lambda d, t: [s[0], s[-1], s[[0, 2]], len(s), list(s)] if (s := d.Subset(d.TensorDataset(t.arange(9)), [7, 3, 5])) else None,
    "beyond the subset": lambda d, t: d.Subset([1, 2], [0])[1],
    "a subset of a subset": lambda d, t: list(d.DataLoader(d.Subset(d.Subset(d.TensorDataset(t.arange(10)), [9, 7, 5, 3]), [3, 1]), 2)),
    "indices of kinds": lambda d, t: [list(d.DataLoader(d.Subset(d.TensorDataset(t.arange(9)), i), 2)) for i in (t.tensor([3, 4]), np.array([3, 4]), range(2))],
    "splits": lambda d, t: [[len(s) for s in d.random_split(range(n), f)] for n, f in ((10, [0.5, 0.3, 0.2]), (11, [0.5, 0.3, 0.2]), (7, [1 / 3] * 3), (1, [1]), (10, [1.0]), (10, [4, 6]))],
    "a split's indices": lambda d, t: [type(s.indices[0]).__name__ for s in d.random_split(range(4), [2, 2])],
    "orders": lambda d, t: [list(d.SequentialSampler("abc")), sorted(d.RandomSampler("abc")), len(d.RandomSampler("abc", True, 7)), sorted(d.RandomSampler("abc", num_samples=6)), sorted(d.SubsetRandomSampler([4, 2])), list(d.BatchSampler(range(5), 2, False)), list(d.BatchSampler("abcde", 2, True))],
    "weights": lambda d, t: [list(d.WeightedRandomSampler([0.0, 2.0], 3)), sorted(d.WeightedRandomSampler([1.0, 2.0, 0.5], 3, False)), len(d.WeightedRandomSampler([1.0], 5))],
    "side by side": lambda d, t: [s[1], s[-1], len(s), list(d.DataLoader(s, 2)), list(d.DataLoader(d.StackDataset(a=[1, 2], b=s.datasets[1]), 2))] if (s := d.StackDataset(range(2), d.TensorDataset(t.arange(2)))) else None,
    "sizes of what stands side by side": lambda d, t: d.StackDataset([1], [1, 2]),
    "wrong arguments of workers": lambda d, t: d.DataLoader([1], num_workers=0, persistent_workers=True),
    "rows":lambda d, t: [list(c), c[-1], len(c), c.cumulative_sizes, list(d.DataLoader(c, 2))] if (c := d.ConcatDataset([range(2), [7, 8]])) else None,
}  # fmt: skip


@pytest.mark.parametrize(
    "size, drop_last, workers, n",
    [
        (2, False, 0, 5),
        (2, True, 0, 5),
        (None, False, 0, 3),
        (2, False, 2, 12),
        (3, True, 2, 13),
        (1, False, 3, 4),
    ],
)
def test_rows_are_read_as_by_pytorch(size, drop_last, workers, n):
    if workers and sys.platform != "linux":
        pytest.skip("PyTorch's workers are processes, which know a local class only where they are forked")

    def program(lib):
        class Row(lib.data.IterableDataset):
            def __iter__(self):
                info = lib.data.get_worker_info()
                return iter(range(n) if info is None else range(info.id, n, info.num_workers))

        return list(lib.data.DataLoader(Row(), size, drop_last=drop_last, num_workers=workers))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(program)


@pytest.mark.parametrize("name", PROGRAMS)
def test_loaders_and_samplers_are_pytorchs(name):
    same(lambda lib: PROGRAMS[name](lib.data, lib.torch))
