"""Borders around sequences and images."""

from __future__ import annotations

from autodiff import Tensor

from .. import functional as F
from ..module import Module

Two = int | tuple[int, int]
Four = int | tuple[int, int, int, int]


class Border(Module):
    """What all borders share: `padding` before and after the last dimension, then the one before it; one
    number for all of them."""

    sides: int
    mode: str

    def __init__(self, padding: Two | Four):
        super().__init__()
        self.padding = (padding,) * 2 * self.sides if isinstance(padding, int) else tuple(padding)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self):
        return f"{self.padding}"


class ConstantBorder(Border):
    """What the borders of one value share."""

    def __init__(self, padding: Two | Four, value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self):
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(ConstantBorder):
    """Sequences (…, L) with a border of `value`."""

    sides = 1


class ZeroPad1d(ConstantPad1d):
    """Sequences (…, L) with a border of zeros."""

    def __init__(self, padding: Two):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        return f"{self.padding}"


class ReflectionPad1d(Border):
    """Sequences (…, L) with a border that is their mirror image, the edge itself left out."""

    sides, mode = 1, "reflect"


class ReplicationPad1d(Border):
    """Sequences (…, L) with a border that repeats their edge."""

    sides, mode = 1, "replicate"


class CircularPad1d(Border):
    """Sequences (…, L) with a border that is what stands at the opposite end."""

    sides, mode = 1, "circular"


class ConstantPad2d(ConstantBorder):
    """Planes (…, H, W) with a border of `value`."""

    sides = 2


class ZeroPad2d(ConstantPad2d):
    """Planes (…, H, W) with a border of zeros."""

    def __init__(self, padding: Four):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        return f"{self.padding}"


class ReflectionPad2d(Border):
    """Planes (…, H, W) with a border that is their mirror image, the edge itself left out."""

    sides, mode = 2, "reflect"


class ReplicationPad2d(Border):
    """Planes (…, H, W) with a border that repeats their edge."""

    sides, mode = 2, "replicate"


class CircularPad2d(Border):
    """Planes (…, H, W) with a border that is what stands at the opposite end."""

    sides, mode = 2, "circular"
