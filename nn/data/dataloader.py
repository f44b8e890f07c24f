"""The loader: from a data set and an order to batches, and back to the same place after a stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from autodiff import Tensor
from autodiff.random import Generator, default_generator

from .collate import Batch, default_collate, default_convert
from .sampler import BatchSampler, RandomSampler, SequentialSampler


@dataclass
class Position:
    """Where a pass over the data stands."""

    batch: int = 0  # batches handed out
    start: list[Tensor] | None = None  # the random sources' states before the first one
    loaded: bool = False  # from a state_dict: the next pass goes on from here


class DataLoader:
    """Batches of a data set, in order or shuffled. PyTorch's, in the process that uses it.

    `seed=n` is short for `generator=Generator().manual_seed(n)`. A data set with `__getitems__`
    is asked for whole batches. Worker processes and pinned memory make nothing faster here:
    `num_workers`, `pin_memory`, `timeout`, `prefetch_factor` and their like are accepted and change
    nothing.

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
        if sampler is None:
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
        self.prefetch_factor = prefetch_factor
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        if collate_fn is None:
            collate_fn = default_convert if batch_sampler is None else default_collate
        self.collate_fn = collate_fn
        self._position = Position()

    def __setattr__(self, name: str, value: Any) -> None:
        fixed = ("dataset", "batch_size", "sampler", "batch_sampler", "drop_last")
        if name in fixed and hasattr(self, "_position"):
            raise ValueError(
                f"{name} attribute should not be set after DataLoader is initialized: make another DataLoader"
            )
        super().__setattr__(name, value)

    def __len__(self) -> int:
        order: Any = self.sampler if self.batch_sampler is None else self.batch_sampler
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
        order = iter(self.sampler if self.batch_sampler is None else self.batch_sampler)
        if position.batch:
            for _ in range(position.batch):
                next(order, None)
            restore(sources, before)
        for indices in order:
            batch = self._fetch(indices)
            position.batch += 1
            yield batch
        position.batch, position.start = 0, None

    def _fetch(self, indices: Any) -> Any:
        dataset = self.dataset
        if self.batch_sampler is None:
            return self.collate_fn(dataset[indices])
        if callable(getattr(dataset, "__getitems__", None)):
            samples = dataset.__getitems__(indices)
            if not isinstance(samples, Batch) or self.collate_fn is default_collate:
                return self.collate_fn(samples)
        return self.collate_fn([dataset[index] for index in indices])

    # ---- the place within a pass --------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The place of the latest pass: batches handed out, and the random states behind it."""
        return {
            "batch": self._position.batch,
            "start": self._position.start if self._position.batch else None,
            "generators": states(self._sources()[1:]),
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
        batch, start = state["batch"], state["start"]
        self._position = Position(batch, start, loaded=batch > 0)

    def _sources(self) -> list[Generator]:
        """What the order may be drawn from: the default generator, then those of our own."""
        samplers: list[Any] = [self.sampler, self.batch_sampler]
        samplers += [getattr(each, "sampler", None) for each in samplers]
        found: list[Generator] = [default_generator]
        for generator in (self.generator, *(getattr(each, "generator", None) for each in samplers)):
            if isinstance(generator, Generator) and all(generator is not each for each in found):
                found.append(generator)
        return found


def states(sources: list[Generator]) -> list[Tensor]:
    return [source.get_state() for source in sources]


def restore(sources: list[Generator], saved: list[Tensor] | None) -> None:
    for source, state in zip(sources, saved or (), strict=False):
        source.set_state(state)


def count(dataset: Any) -> int | None:
    return len(dataset) if hasattr(dataset, "__len__") else None
