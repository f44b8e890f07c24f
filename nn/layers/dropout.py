"""Dropout."""

from __future__ import annotations

from autodiff import Tensor

from .. import functional as F
from ..functional.dropouts import check_probability
from ..module import Module


class Dropout(Module):
    """In training, each element is 0 with probability p and else times 1/(1 − p); in evaluation,
    nothing happens (Srivastava et al. 2014)."""

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        check_probability(p)
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"
