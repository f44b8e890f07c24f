"""One seed for everything that is random, and the tensors drawn from it."""

from __future__ import annotations

import json
import secrets
from typing import Any

import numpy as np

from . import dtypes
from .graph import tell
from .ops.naming import sizes
from .primitive import Primitive, astype
from .tensor import Tensor


class Generator:
    """A stream of random numbers with a state of its own (NumPy's PCG64)."""

    def __init__(self, device: str = "cpu"):
        self.manual_seed(secrets.randbits(63))

    def manual_seed(self, seed: int) -> Generator:
        """Start again from `seed`."""
        self._seed = int(seed)
        self.numpy = np.random.Generator(np.random.PCG64(self._seed % 2**64))
        return self

    def seed(self) -> int:
        """Start again from a seed that nobody knows, and say which."""
        return self.manual_seed(secrets.randbits(63)).initial_seed()

    def initial_seed(self) -> int:
        """The seed it last started from."""
        return self._seed

    def get_state(self) -> Tensor:
        """All it needs to go on from here: a Tensor of bytes."""
        state = {"seed": self._seed, "bits": self.numpy.bit_generator.state}
        return Tensor.wrap(np.frombuffer(json.dumps(state).encode(), np.uint8).copy())

    def set_state(self, state: Tensor) -> Generator:
        """Go on from where `get_state` was called."""
        found = json.loads(bytes(state.array))
        self._seed = found["seed"]
        self.numpy.bit_generator.state = found["bits"]
        return self


default_generator = Generator()


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
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The default generator's state."""
    return default_generator.get_state()


def set_rng_state(state: Tensor) -> None:
    """Set the default generator's state."""
    default_generator.set_state(state)


def made(array, dtype, requires_grad) -> Tensor:
    t = Tensor.wrap(array)
    dtype = np.dtype(dtype or dtypes.get_default_dtype())
    t = t if t.dtype == dtype else astype(t, dtype=dtype)
    return t.requires_grad_() if requires_grad else t


def real(dtype):
    """The dtype to draw in: NumPy draws float32 and float64."""
    dtype = np.dtype(dtype or dtypes.get_default_dtype())
    return dtype if dtype in (dtypes.float32, dtypes.float64) else dtypes.float64


def rand(*size, dtype=None, requires_grad=False, generator=None, device=None) -> Tensor:
    """Numbers drawn evenly from [0, 1)."""
    drawn = draw(generator, "random", sizes(size), real(dtype))
    return made(drawn, dtype, requires_grad)


def randn(*size, dtype=None, requires_grad=False, generator=None, device=None) -> Tensor:
    """Numbers drawn from the standard normal distribution."""
    drawn = draw(generator, "standard_normal", sizes(size), real(dtype))
    return made(drawn, dtype, requires_grad)


def randint(low=0, high=None, size=None, *, dtype=None, requires_grad=False, generator=None, device=None):
    """Integers drawn evenly from [low, high); randint(high, size) starts at 0."""
    if size is None:
        low, high, size = 0, low, high
    assert high is not None
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    drawn = draw(generator, "integers", low, high, sizes((size,)))
    return made(drawn, dtype or dtypes.int64, requires_grad)


def randperm(n, *, generator=None, dtype=None, device=None) -> Tensor:
    """The integers below n in a random order."""
    return made(draw(generator, "permutation", n), dtype or dtypes.int64, False)


def rand_like(input, *, dtype=None, requires_grad=False) -> Tensor:
    return rand(*input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def randn_like(input, *, dtype=None, requires_grad=False) -> Tensor:
    return randn(*input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def normal(mean, std, size=None, *, generator=None) -> Tensor:
    """Numbers drawn from N(mean, std²); numbers with a size, or tensors."""
    shape = size if size is not None else np.broadcast_shapes(np.shape(mean), np.shape(std))
    return randn(*shape, generator=generator) * std + mean


def bernoulli(p: Tensor, *, generator=None) -> Tensor:
    """1 with probability p, else 0."""
    return astype(Tensor.wrap(draw(generator, "random", p.shape)) < p.detach(), dtype=p.dtype)


def multinomial(p: Tensor, num_samples: int, replacement=False, *, generator=None) -> Tensor:
    """Indices drawn with the probabilities that the last dimension of p is proportional to."""
    rows = p.array.reshape(-1, p.array.shape[-1]).astype(np.float64)
    drawn = [source(generator).choice(len(row), num_samples, replacement, row / row.sum()) for row in rows]
    return Tensor.wrap(np.array(drawn).reshape(*p.shape[:-1], num_samples))
