"""The checkers that most engines are tested by, restated: each does what it does well, and no more.

All look at one set of typical inputs, and all but the first compare with central differences. What they
leave out is what the museum shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...autograd import backward
from ...graph import Variable
from ...tensor import Tensor

STEP = 1e-6


class Point:
    """A program at typical arguments, those of them that are arrays of floats to be differentiated by."""

    def __init__(self, function: Callable, arguments: Sequence):
        self.function, self.arguments = function, list(arguments)
        self.places = [
            k for k, a in enumerate(arguments) if isinstance(a, np.ndarray) and a.dtype.kind == "f"
        ]
        self.arrays = [np.array(self.arguments[k]) for k in self.places]

    def call(self, tensors: Sequence) -> list[Any]:
        """The outputs that can be differentiated."""
        new = list(self.arguments)
        for k, x in zip(self.places, tensors, strict=True):
            new[k] = x
        y = self.function(*new)
        several = y if isinstance(y, (tuple, list)) else [y]
        return [each for each in several if isinstance(each, Variable) and each.array.dtype.kind == "f"]

    def values(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [y.array for y in self.call([Tensor.wrap(np.array(a)) for a in arrays])]

    def gradients(self, cotangents: Callable[[int, np.ndarray], np.ndarray]) -> list[np.ndarray]:
        """What one walk back gives, from cotangents(number, value) for each output."""
        xs = [Tensor.wrap(a.copy()).requires_grad_() for a in self.arrays]
        ys = self.call(xs)
        pairs = [(y, Tensor.wrap(cotangents(k, y.array))) for k, y in enumerate(ys) if y.requires_grad]
        if pairs:
            backward([y for y, _ in pairs], [g for _, g in pairs])
        return [np.zeros_like(x.array) if x.grad is None else x.grad.array for x in xs]

    def moved(self, which: int, place: tuple, by: float) -> list[np.ndarray]:
        arrays = [a.copy() for a in self.arrays]
        arrays[which][place] += by
        return arrays

    def slope(self, which: int, place: tuple) -> list[np.ndarray]:
        """Central differences of each output by one element of one input."""
        up, down = (self.values(self.moved(which, place, by)) for by in (STEP, -STEP))
        return [(a - b) / (2 * STEP) for a, b in zip(up, down, strict=True)]


def like(found, expected, rtol: float, atol: float) -> bool:
    return bool(np.allclose(found, expected, rtol=rtol, atol=atol))


def values_only(point: Point) -> bool:
    """Differentiates, and then compares the values (as SmallPebble's check did: the loop over the gradients
    looks at the error of the forward)."""
    point.gradients(lambda k, y: np.ones_like(y))
    again = point.values(point.arrays)
    once = [y.array for y in point.call([Tensor.wrap(a.copy()).requires_grad_() for a in point.arrays])]
    return all(like(a, b, 1e-6, 1e-6) for a, b in zip(once, again, strict=True))


def one_index(point: Point) -> bool:
    """The sum of the output, by one element of each input that is chosen at random; 1 % off will do (as in
    minitorch)."""
    rng = np.random.default_rng(10)
    found = point.gradients(lambda k, y: np.ones_like(y))
    for which, x in enumerate(point.arrays):
        place = tuple(int(rng.integers(n)) for n in x.shape)
        expected = sum(np.sum(s) for s in point.slope(which, place))
        if not like(found[which][place], expected, 1e-2, 1e-2):
            return False
    return True


def all_ones(point: Point) -> bool:
    """The sum of the output, by every element (as in DeZero, in needle's homework, in tinygrad's tests)."""
    found = point.gradients(lambda k, y: np.ones_like(y))
    for which, x in enumerate(point.arrays):
        for place in np.ndindex(x.shape):
            expected = sum(np.sum(s) for s in point.slope(which, place))
            if not like(found[which][place], expected, 1e-4, 1e-4):
                return False
    return True


def fixed_direction(point: Point) -> bool:
    """A random cotangent and a random tangent of all inputs, the same ones at each run: a single number (as
    in JAX, for one order and one mode)."""
    rng = np.random.default_rng(0)
    ts = [rng.standard_normal(x.shape) for x in point.arrays]
    up, down = (
        point.values([x + sign * STEP * t for x, t in zip(point.arrays, ts, strict=True)]) for sign in (1, -1)
    )
    gs = [rng.standard_normal(y.shape) for y in up]
    expected = sum(np.sum(g * (a - b)) / (2 * STEP) for g, a, b in zip(gs, up, down, strict=True))
    found = sum(np.sum(g * t) for g, t in zip(point.gradients(lambda k, y: gs[k]), ts, strict=True))
    return like(found, expected, 1e-4, 1e-4)


def whole_jacobian(point: Point) -> bool:
    """Every output by every input (as in PyTorch's gradcheck): first order, in reverse, at random numbers."""
    shapes = [y.shape for y in point.values(point.arrays)]
    columns = {
        (which, place): point.slope(which, place)
        for which, x in enumerate(point.arrays)
        for place in np.ndindex(x.shape)
    }
    for k, shape in enumerate(shapes):
        for row in np.ndindex(shape):
            unit = [np.zeros(s) for s in shapes]
            unit[k][row] = 1
            found = point.gradients(lambda j, y, unit=unit: unit[j])
            for (which, place), slopes in columns.items():
                if not like(found[which][place], slopes[k][row], 1e-3, 1e-5):
                    return False
    return True


WEAK: dict[str, Callable[[Point], bool]] = {
    check.__name__.replace("_", " "): check
    for check in (values_only, one_index, all_ones, fixed_direction, whole_jacobian)
}


def passed(check: Callable[[Point], bool], point: Point) -> str:
    """ "", if the checker lets it pass, else "found" or "raised"."""
    try:
        with np.errstate(all="ignore"):
            return "" if check(point) else "found"
    except Exception:
        return "raised"
