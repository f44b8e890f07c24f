"""Embedding: rows of a table, looked up by number."""

from __future__ import annotations

import autodiff
from autodiff import Tensor, no_grad, ops
from autodiff.errors import RangeError, explanation
from autodiff.ops.fused import all_within


def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """weight[input]: of integers (…) and a table (rows, columns), (…, columns).

    The row `padding_idx` gets no gradient. With `max_norm`, the rows that are looked up are first
    scaled in place, so that their norm of order `norm_type` is no larger. With `scale_grad_by_freq`,
    a row's gradient is divided by how often it is looked up."""
    refuse_sparse(sparse)
    if not isinstance(input, Tensor) or not isinstance(weight, Tensor):
        raise TypeError("embedding(): input and weight must be Tensors: write tensor(input)")
    if str(input.dtype) not in ("int64", "int32"):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; "
            f"but got {input.dtype} instead: write input.long()"
        )
    if weight.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D, and it is of shape {list(weight.shape)}")
    rows = weight.shape[0]
    padding_idx = row_of(padding_idx, rows)
    if not all_within(input, 0, rows - 1):
        outside = input[(input < 0) | (input >= rows)][0].item()
        raise RangeError(
            f"index out of range in self: there are {rows} rows, and one asked for row {outside}"
        )
    if max_norm is not None:
        shorten(weight, input, max_norm, norm_type)
    found = weight[input] if input.ndim else weight[input].clone()  # one row would be a view
    if scale_grad_by_freq and found.requires_grad:
        share = 1 / frequencies(input, rows).to(weight.dtype)
        found.register_hook(lambda g: g * share)
    if padding_idx is not None:
        found = ops.where(ops.unsqueeze(input == padding_idx, -1), found.detach(), found)
    return found


def row_of(padding_idx: int | None, rows: int) -> int | None:
    """The number of the padding row, counted from the first."""
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < max(rows, 1):
        raise AssertionError(f"Padding_idx must be within num_embeddings: got {padding_idx} of {rows}")
    return padding_idx + rows if padding_idx < 0 else padding_idx


@no_grad
def shorten(weight: Tensor, input: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale the rows that `input` names and that are longer than `max_norm` to that length."""
    rows = sorted(set(input.reshape(-1).tolist()))
    chosen = weight.detach()[rows]
    norms = ops.norm(chosen, norm_type, 1, True)
    weight[rows] = ops.where(norms > max_norm, chosen * (max_norm / (norms + 1e-7)), chosen)


def frequencies(input: Tensor, rows: int) -> Tensor:
    """How often each element of `input` occurs in it, in a last dimension of 1 more."""
    places = input.reshape(-1)
    counts = autodiff.zeros(rows, dtype=input.dtype).index_add(0, places, autodiff.ones_like(places))
    return counts[input].unsqueeze(-1)


def refuse_sparse(sparse: bool) -> None:
    """Gradients here are arrays, all their rows in memory."""
    if sparse:
        raise NotImplementedError(
            explanation(
                "sparse=True is not supported",
                why="a gradient here is an array of its tensor's shape, and there are no sparse ones; all that "
                "sparse=True changes is how it is stored",
                remedy="leave it out: the values are the same",
            )
        )
