"""Dropout."""

from __future__ import annotations

from autodiff import Tensor

from .. import functional as F
from ..functional.dropouts import check_probability
from ..module import Module


class Dropping(Module):
    """What all dropouts share."""

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        check_probability(p)
        self.p, self.inplace = p, inplace

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(Dropping):
    """In training, each element is 0 with probability p and else times 1/(1 − p); in evaluation,
    nothing happens (Srivastava et al. 2014)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(Dropping):
    """`Dropout` of whole channels of (N, C, L) or (C, L) (Tompson et al. 2015)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(Dropping):
    """`Dropout` of whole channels of (N, C, H, W): neighbouring pixels say much the same (Tompson et al.
    2015)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace)
