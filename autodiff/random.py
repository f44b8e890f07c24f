"""One seed for everything that is random, and the tensors drawn from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from . import dtypes
from .creation import shaped
from .graph import tell
from .ops.fused import all_within
from .ops.naming import explained
from .primitive import Primitive, astype
from .tensor import Tensor, device_class, finished


class Generator:
    """A stream of random numbers with a state of its own (NumPy's PCG64)."""

    def __init__(self, device: str = "cpu"):
        device_class(device)
        self.seed()

    @property
    def numpy(self) -> np.random.Generator:
        """NumPy's generator, made when the first number is drawn: its module takes long to import."""
        made = vars(self).get("_numpy")
        if made is None:  # of two threads, one's is kept
            new = np.random.Generator(np.random.PCG64(self._entropy))
            made = vars(self).setdefault("_numpy", new)
        return made

    def start(self, entropy: Any) -> None:
        """Start again from what NumPy makes a state of."""
        tell("unrepeatable", "random numbers are started again")
        self._entropy = entropy
        vars(self).pop("_numpy", None)

    def manual_seed(self, seed: int) -> Generator:
        """Start again from `seed`."""
        self._seed = int(seed)
        self.start(self._seed % 2**64)
        return self

    def seed(self) -> int:
        """Start again from a seed that nobody knows, and say which."""
        return self.manual_seed(int.from_bytes(os.urandom(8)) >> 1).initial_seed()

    def initial_seed(self) -> int:
        """The seed it last started from."""
        return self._seed

    def get_state(self) -> Tensor:
        """All it needs to go on from here: a Tensor of bytes."""
        import json

        tell("unrepeatable", "the state of random numbers is asked for")
        state = {"seed": self._seed, "bits": self.numpy.bit_generator.state}
        return Tensor.wrap(np.frombuffer(json.dumps(state).encode(), np.uint8).copy())

    def set_state(self, state: Tensor) -> Generator:
        """Go on from where `get_state` was called."""
        import json

        tell("unrepeatable", "random numbers are started again")
        found = json.loads(bytes(state.array))
        self._seed = found["seed"]
        self.numpy.bit_generator.state = found["bits"]
        return self


class Stream(Generator):
    """A stream that begins with a key."""

    def __init__(self, *key: int):
        self.start(key)

    @property
    def was_used(self) -> bool:
        return "_numpy" in vars(self)


class DefaultGenerator(Generator):
    """The one that draws where none is given. Inside `drawing_aside` that is another stream, so that what
    is drawn there depends neither on the order in which threads run nor on what was drawn before."""

    @property
    def numpy(self) -> np.random.Generator:
        stream = aside.get()
        return super().numpy if stream is None else stream.numpy

    def manual_seed(self, seed: int) -> Generator:
        """Start again from `seed`."""
        stream = aside.get()
        return super().manual_seed(seed) if stream is None else stream.manual_seed(seed)


aside: ContextVar[Stream | None] = ContextVar("aside", default=None)
default_generator = DefaultGenerator()


@contextmanager
def drawing_aside(*key: int) -> Iterator[Stream]:
    """Inside, and in this thread, the default generator is a stream that begins with `key`."""
    stream = Stream(*key)
    token = aside.set(stream)
    try:
        yield stream
    finally:
        aside.reset(token)


def source(generator: Generator | None) -> np.random.Generator:
    """NumPy's generator, for what is not drawn by `draw`."""
    tell("observed", None, "at random numbers")
    return (generator or default_generator).numpy


class Draw(Primitive):
    """Random numbers pass the choke point, too: who replays a program must draw them anew."""


drawing = Draw("draw", lambda generator, *, method, args: getattr(generator.numpy, method)(*args), "generator", [],
               listed=False)  # fmt: skip


def draw(generator: Generator | None, method: str, *args) -> np.ndarray:
    """An array drawn by a method of NumPy's generators."""
    drawn: Any = drawing(generator or default_generator, method=method, args=args)
    return drawn


def manual_seed(seed: int) -> Generator:
    """Seed the default generator: what is drawn from here on is the same every time."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator by chance."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the default generator last started from."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The default generator's state."""
    return default_generator.get_state()


def set_rng_state(state: Tensor) -> None:
    """Set the default generator's state."""
    default_generator.set_state(state)


def made(array, dtype, requires_grad, device=None) -> Tensor:
    """A Tensor of what was drawn, in `dtype`."""
    t = finished(array, False, device)
    dtype = np.dtype(dtype or dtypes.get_default_dtype())
    t = t if t.dtype == dtype else astype(t, dtype=dtype)
    return t.requires_grad_() if requires_grad else t


def real(dtype):
    """The dtype to draw in: NumPy draws float32 and float64."""
    dtype = np.dtype(dtype or dtypes.get_default_dtype())
    if dtype.kind != "f":
        raise NotImplementedError(
            f"these random numbers are fractions, and none is left of them in {dtype}: write randint, or .to({dtype}) "
            "after a multiplication"
        )
    return dtype if dtype in (dtypes.float32, dtypes.float64) else dtypes.float64


def rand(*shape, size=None, dtype=None, requires_grad=False, generator=None, device=None) -> Tensor:
    """Numbers drawn evenly from [0, 1)."""
    drawn = draw(generator, "random", shaped("rand", shape, size), real(dtype))
    if (dtype or dtypes.get_default_dtype()) == dtypes.float16:
        drawn = np.floor(drawn * 2**11) / 2**11  # what float16 holds exactly: rounded, it might be 1
    return made(drawn, dtype, requires_grad, device)


def randn(*shape, size=None, dtype=None, requires_grad=False, generator=None, device=None) -> Tensor:
    """Numbers drawn from the standard normal distribution."""
    drawn = draw(generator, "standard_normal", shaped("randn", shape, size), real(dtype))
    return made(drawn, dtype, requires_grad, device)


def randint(low=0, high=None, size=None, *, dtype=None, requires_grad=False, generator=None, device=None):
    """Integers drawn evenly from [low, high); randint(high, size) starts at 0."""
    if size is None:
        high, size = None, high
    if high is None:
        low, high = 0, low
    if not np.iterable(size):
        raise TypeError(
            f"randint(): argument 'size' must be tuple of ints, not {type(size).__name__}: write "
            "randint(low, high, (n,))"
        )
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    drawn = draw(generator, "integers", low, high, shaped("randint", (size,)))
    return made(drawn, dtype or dtypes.int64, requires_grad, device)


def randperm(n, *, generator=None, dtype=None, device=None) -> Tensor:
    """The integers below n in a random order."""
    return made(draw(generator, "permutation", n), dtype or dtypes.int64, False, device)


@explained
def rand_like(input, *, dtype=None, requires_grad=False, device=None) -> Tensor:
    """Numbers drawn evenly from [0, 1), in input's shape and dtype."""
    return rand(*input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad, device=device)


@explained
def randn_like(input, *, dtype=None, requires_grad=False, device=None) -> Tensor:
    """Numbers drawn from the standard normal distribution, in input's shape and dtype."""
    return randn(*input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad, device=device)


@explained
def randint_like(input, low=0, high=None, *, dtype=None, requires_grad=False) -> Tensor:
    """Integers drawn evenly from [low, high), in input's shape and dtype; of one number, from [0, low)."""
    low, high = (0, low) if high is None else (low, high)
    drawn = randint(low, high, tuple(input.shape), dtype=dtype or input.dtype)
    return drawn.requires_grad_() if requires_grad else drawn


def normal(mean, std=1.0, size=None, *, generator=None) -> Tensor:
    """Numbers drawn from N(mean, std²); numbers with a size, or tensors."""
    if not all_within(std if isinstance(std, Tensor) else np.asarray(std), 0, np.inf):
        least = std.array.min() if isinstance(std, Tensor) else std
        raise RuntimeError(f"normal expects std >= 0.0, but found std {least}")
    shape = size if size is not None else np.broadcast_shapes(np.shape(mean), np.shape(std))
    return randn(*shape, generator=generator) * std + mean


@explained
def bernoulli(input: Tensor, p: float | None = None, *, generator=None) -> Tensor:
    """1 with the probability that `input` holds, or p, else 0."""
    chance = input.detach() if p is None else p
    if not all_within(input if p is None else np.asarray(p), 0, 1):
        raise RuntimeError("Expected p_in >= 0 && p_in <= 1: probabilities lie between 0 and 1")
    return astype(Tensor.wrap(draw(generator, "random", input.shape)) < chance, dtype=input.dtype)


@explained
def multinomial(input: Tensor, num_samples: int, replacement=False, *, generator=None) -> Tensor:
    """Indices drawn with the probabilities that the last dimension of `input` is proportional to."""
    if input.dtype.kind != "f":
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {input.dtype}")
    p = input.array.astype(np.float64)
    if num_samples <= 0:
        raise RuntimeError(f"cannot sample n_sample <= 0 samples: {num_samples}")
    if not replacement and num_samples > p.shape[-1]:
        raise RuntimeError(
            f"cannot sample n_sample > prob_dist.size(-1) samples without replacement: {num_samples} of {p.shape[-1]}"
        )
    if not np.isfinite(p).all() or (p < 0).any():
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if (p.sum(-1) <= 0).any():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    random = source(generator)
    if replacement:
        reached = p.cumsum(-1) / p.sum(-1, keepdims=True)
        places = random.random((*p.shape[:-1], num_samples))
        drawn = (places[..., None] >= reached[..., None, :-1]).sum(-1)
    else:  # of events that occur at the rates p, those that occur first
        with np.errstate(divide="ignore"):
            drawn = np.argsort(random.exponential(size=p.shape) / p, -1, kind="stable")[..., :num_samples]
    return Tensor.wrap(drawn)
