"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from autodiff import Tensor, ops


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All numbers of all parameters in one row, in the graph."""
    return ops.cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Each parameter ← its share of `vec`, which `parameters_to_vector` made, or could have made. The
    parameters are views of its memory from here on."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {type(vec).__name__}")
    start = 0
    for p in parameters:
        p.data = vec[start : start + p.numel()].view_as(p).data
        start += p.numel()
