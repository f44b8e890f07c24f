"""The loader: from a data set and an order to batches, and back to the same place after a stop."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import wait
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, NamedTuple

from autodiff import Tensor
from autodiff.random import Generator, default_generator, drawing_aside

from .collate import Batch, default_collate, default_convert
from .dataset import IterableDataset
from .sampler import BatchSampler, EndlessSampler, RandomSampler, SequentialSampler
from .workers import Crew, noting


@dataclass
class Position:
    """Where a pass over the data stands."""

    batch: int = 0  # batches handed out
    start: list[Tensor] | None = None  # the random sources' states before the first one
    drew: bool = False  # did reading one of them draw random numbers?
    own: list[Tensor] | None = None  # the own generators' states behind it, where workers have read on
    loaded: bool = False  # from a state_dict: the next pass goes on from here


class Read(NamedTuple):
    """A batch, or END, and whether reading it drew random numbers."""

    batch: Any
    drew: bool


END: Any = object()  # of a row


class DataLoader:
    """Batches of a data set, in order or shuffled.

    `seed=n` is short for `generator=Generator().manual_seed(n)`. A data set with `__getitems__` is asked
    for whole batches. From an IterableDataset the samples are taken as they come.

    `num_workers=n` reads up to `prefetch_factor` batches (2, if not given) ahead in each of n threads;
    they come in order all the same (`in_order=False` changes nothing). What is raised there is raised here,
    with the number of the sample; after `timeout` seconds without a batch that is an error, too. The
    threads end with the pass, however it ends, unless `persistent_workers` keeps them for the next one;
    `worker_init_fn(number)` is called as each begins. Threads share memory, so nothing is pickled; but
    Python runs in one of them at a time, so they help where reading waits for a disk or works in NumPy.
    `pin_memory` and `multiprocessing_context` are accepted and change nothing.

    Random numbers that autodiff's default generator gives while samples are read come, for each batch,
    from a stream of its own, which `manual_seed` decides: any number of workers gives the same batches.

    `state_dict()` and `load_state_dict()` hold the place within a pass: after loading, the next
    `for batch in loader` hands out exactly the batches that were still to come.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
        seed: int | None = None,
    ):
        if num_workers < 0:
            raise ValueError(
                "num_workers option should be non-negative; use num_workers=0 to disable multiprocessing."
            )
        if timeout < 0:
            raise ValueError("timeout option should be non-negative")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError(
                "prefetch_factor option could only be specified in multiprocessing: let num_workers > 0, or "
                "leave it out"
            )
        if prefetch_factor is not None and prefetch_factor < 0:
            raise ValueError("prefetch_factor option should be non-negative")
        if num_workers == 0 and persistent_workers:
            raise ValueError("persistent_workers option needs num_workers > 0")
        in_a_row = isinstance(dataset, IterableDataset)
        unwanted = {"shuffle": shuffle or None, "sampler": sampler, "batch_sampler": batch_sampler}
        for name, given in unwanted.items() if in_a_row else ():
            if given is not None:
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified {name} option, but got "
                    f"{name}={given}: its samples come as they come"
                )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if seed is not None:
            if generator is not None:
                raise ValueError("seed option is mutually exclusive with generator")
            generator = Generator().manual_seed(seed)
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, "
                    "sampler, and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
            )
        if sampler is None and in_a_row:
            sampler = EndlessSampler()
        elif sampler is None:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)

        self.dataset = dataset
        self.batch_size = batch_size
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.drop_last = drop_last
        self.generator = generator
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        if collate_fn is None:
            collate_fn = default_convert if batch_sampler is None else default_collate
        self.collate_fn = collate_fn
        self._crew: Crew | None = None  # of persistent workers, between two passes
        self._position = Position()

    def __setattr__(self, name: str, value: Any) -> None:
        fixed = ("dataset", "batch_size", "sampler", "batch_sampler", "drop_last")
        if name in fixed and hasattr(self, "_position"):
            raise ValueError(
                f"{name} attribute should not be set after DataLoader is initialized: make another DataLoader"
            )
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy gets: no threads, for it has its own."""
        return {**vars(self), "_crew": None}

    def __len__(self) -> int:
        order: Any = self.sampler if self.batch_sampler is None else self.batch_sampler
        if isinstance(self.sampler, EndlessSampler):
            samples, size = len(self.dataset), self.batch_size or 1
            return samples // size if self.drop_last else -(-samples // size)
        return len(order)

    def __iter__(self) -> Iterator[Any]:
        position, sources = self._position, self._sources()
        before = states(sources)
        if position.loaded:
            position.loaded = False
            restore(sources, position.start)
        else:
            self._position = position = Position()
        position.start = states(sources)
        key, done = digest(position.start), position.batch
        in_a_row = isinstance(self.sampler, EndlessSampler)
        order = iter(self.sampler if self.batch_sampler is None else self.batch_sampler)
        if done:
            for _ in range(0 if in_a_row else done):
                next(order, None)
            restore(sources, before)
        first = 0 if in_a_row else done  # a row is read again from its beginning
        read: Any = self._read_ahead if self.num_workers else self._read_here
        with closing(read(order, key, first, position)) as batches:
            for number, (batch, drew) in enumerate(batches, first):
                if number < done:
                    continue
                if drew and not position.drew:  # so that the next pass will draw others
                    default_generator.numpy.random()
                    position.drew = True
                position.batch += 1
                yield batch
        position.batch, position.start, position.drew, position.own = 0, None, False, None

    def _read_here(self, order: Iterator[Any], key: int, first: int, position: Position) -> Iterator[Read]:
        """Batch after batch, read when it is wanted."""
        reader = Reader(self, self.dataset)
        for number, indices in enumerate(order, first):
            read = reader(indices, key, number)
            if read.batch is END:
                return
            yield read

    def _read_ahead(self, order: Iterator[Any], key: int, first: int, position: Position) -> Iterator[Read]:
        """Batch after batch, read by workers in turn as soon as one that was read before has been taken."""
        crew, self._crew = self._crew, None
        if crew is None or not crew.is_alive:
            crew = Crew(self.dataset, self.num_workers, key, self.worker_init_fn)
        crew.take_context()
        readers = [Reader(self, dataset) for dataset in crew.datasets]
        own = self._sources()[1:]
        numbered, turns = enumerate(order, first), cycle(range(crew.size))
        at_work = set(range(crew.size))  # who has not come to the end of a row
        waiting: deque = deque()  # the worker, its future batch, own generators' states behind its indices
        keep, may_wait = self.persistent_workers, True

        def send() -> None:
            if not at_work:
                return
            for number, indices in islice(numbered, 1):
                worker = next(k for k in turns if k in at_work)
                future = crew.submit(worker, readers[worker], indices, key, number)
                waiting.append((worker, future, states(own)))

        try:
            for _ in range(crew.size * max(self.prefetch_factor or 0, 1)):
                send()
            while waiting:
                worker, future, position.own = waiting.popleft()
                if not wait([future], self.timeout or None).done:
                    may_wait = keep = False
                    raise RuntimeError(
                        f"DataLoader timed out after {self.timeout} seconds: worker {worker} is still reading. "
                        "Try a longer timeout, or look for what it waits for"
                    )
                read = future.result()
                if read.batch is END:
                    at_work.discard(worker)
                send()
                if read.batch is not END:
                    yield read
        finally:
            if crew.is_here():  # which can't wait for itself
                may_wait = keep = False
            if waiting and position.own is not None:  # what nobody will take was not drawn
                restore(own, position.own)
            for _, future, _ in waiting:
                future.cancel()
            if keep and self._crew is None:
                wait([future for _, future, _ in waiting])
                self._crew = crew
            else:
                crew.close(may_wait)

    # ---- the place within a pass --------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The place of the latest pass: batches handed out, and the random states behind it."""
        return {
            "batch": self._position.batch,
            "start": self._position.start if self._position.batch else None,
            "drew": self._position.drew,
            "generators": self._position.own or states(self._sources()[1:]),
            "samples": count(self.dataset),
            "batch_size": self.batch_size,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state` at the next pass.

        Orders drawn from the default generator are drawn again and its present state is left as
        it is, so that whoever restores it may do so before or after.
        """
        mine = {"samples": count(self.dataset), "batch_size": self.batch_size}
        theirs = {key: state[key] for key in mine}
        if mine != theirs:
            raise ValueError(
                f"this place was saved by a DataLoader of {theirs}, but this one has {mine}: "
                "the batches still to come would be others. Load it with the same data and batch "
                "size"
            )
        sources = self._sources()
        if len(state["generators"]) != len(sources) - 1:
            raise ValueError(
                f"this place was saved by a DataLoader with {len(state['generators'])} generators "
                f"of its own, but this one has {len(sources) - 1}: give it the same generator or "
                "seed, and the same samplers"
            )
        restore(sources[1:], state["generators"])
        batch, start, drew = state["batch"], state["start"], state.get("drew", False)
        self._position = Position(batch, start, drew, loaded=batch > 0)

    def _sources(self) -> list[Generator]:
        """What the order may be drawn from: the default generator, then those of our own."""
        samplers: list[Any] = [self.sampler, self.batch_sampler]
        samplers += [getattr(each, "sampler", None) for each in samplers]
        found: list[Generator] = [default_generator]
        for generator in (self.generator, *(getattr(each, "generator", None) for each in samplers)):
            if isinstance(generator, Generator) and all(generator is not each for each in found):
                found.append(generator)
        return found


class Reader:
    """Reads the batches of one data set: the samples of the numbers it is given, or the next of a row."""

    def __init__(self, loader: DataLoader, dataset: Any):
        self.dataset, self.collate_fn = dataset, loader.collate_fn
        self.one_by_one, self.drop_last = loader.batch_sampler is None, loader.drop_last
        self.row: Iterator[Any] | None = None  # begun by the worker that goes through it

    def __call__(self, indices: Any, key: int, number: int) -> Read:
        """The batch with that number; what is drawn at random meanwhile is decided by both."""
        with drawing_aside(key, number) as stream:
            if isinstance(self.dataset, IterableDataset):
                batch = self.next_of_row(indices)
            else:
                batch = self.of_numbers(indices)
            return Read(batch, stream.was_used)

    def of_numbers(self, indices: Any) -> Any:
        """The batch of these samples."""
        dataset = self.dataset
        if self.one_by_one:
            return self.collate_fn(self.sample(indices))
        if callable(getattr(dataset, "__getitems__", None)):
            with noting(f"while samples {shortened(indices)} were read"):
                samples = dataset.__getitems__(indices)
            if not isinstance(samples, Batch) or self.collate_fn is default_collate:
                return self.collate_fn(samples)
        return self.collate_fn([self.sample(index) for index in indices])

    def sample(self, index: Any) -> Any:
        """One sample."""
        with noting(f"while sample {index} was read"):
            return self.dataset[index]

    def next_of_row(self, places: Any) -> Any:
        """The batch of the next samples of the row; END after the last."""
        if self.row is None:
            self.row = iter(self.dataset)
        if self.one_by_one:
            sample = next(self.row, END)
            return sample if sample is END else self.collate_fn(sample)
        samples = list(islice(self.row, len(places)))
        if not samples or (self.drop_last and len(samples) < len(places)):
            return END
        return self.collate_fn(samples)


def shortened(indices: Any) -> str:
    """The first few of them."""
    return f"{list(indices)}" if len(indices) <= 8 else f"[{', '.join(map(str, indices[:8]))}, …]"


def digest(states: list[Tensor]) -> int:
    """One number for the states of generators."""
    content = b"".join(state.array.tobytes() for state in states)
    return int.from_bytes(hashlib.blake2b(content, digest_size=16).digest())


def states(sources: list[Generator]) -> list[Tensor]:
    """The states of generators."""
    return [source.get_state() for source in sources]


def restore(sources: list[Generator], saved: list[Tensor] | None) -> None:
    """Set the states of generators."""
    for source, state in zip(sources, saved or (), strict=False):
        source.set_state(state)


def count(dataset: Any) -> int | None:
    """How many samples there are, where the data set knows."""
    return len(dataset) if hasattr(dataset, "__len__") else None
