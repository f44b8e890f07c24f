"""Two batches of vectors: how alike they are, how far apart, and their product."""

from __future__ import annotations

import numpy as np

from autodiff import Tensor, ops
from autodiff.errors import ShapeError, broadcast_mismatch


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Σ x1·x2 / (max(‖x1‖, eps)·max(‖x2‖, eps)) along `dim` of the shape to which both broadcast.

    Where a norm is below eps, eps is a constant, and so it is in the derivative (PyTorch's goes on to
    differentiate the norm there)."""
    mismatch = broadcast_mismatch(x1.shape, x2.shape)
    if mismatch:
        raise ShapeError(f"{mismatch}, in cosine_similarity({tuple(x1.shape)}, {tuple(x2.shape)})")
    if np.result_type(x1.dtype, x2.dtype).kind != "f":
        raise RuntimeError(
            f"expected common dtype to be floating point, yet common dtype is {x1.dtype}: write .float()"
        )
    shape = np.broadcast_shapes(x1.shape, x2.shape)
    directions = []
    for x in (x1, x2):
        x = ops.broadcast_to(x, shape)
        directions.append(x / ops.clamp_min(ops.norm(x, 2.0, dim, True), eps))
    return ops.sum(directions[0] * directions[1], dim)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """‖x1 − x2 + eps‖ₚ along the last dimension of the shape to which both broadcast."""
    return ops.norm(x1 - x2 + eps, p, -1, keepdim)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """yₖ = x1ᵀ·weightₖ·x2 + biasₖ: of (…, in1) and (…, in2), with weight (out, in1, in2), (…, out)."""
    check_bilinear(input1, input2, weight, bias)
    rows1, rows2 = input1.reshape(-1, input1.shape[-1]), input2.reshape(-1, input2.shape[-1])
    y = ops.einsum("ni,kij,nj->nk", rows1, weight, rows2)
    y = y if bias is None else y + bias
    return y.reshape(*input1.shape[:-1], weight.shape[0])


def check_bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """PyTorch's errors for sizes that do not fit."""
    if input1.ndim != input2.ndim:
        raise ShapeError(f"bilinear(): input dimensions do not match: got {input1.ndim} and {input2.ndim}")
    if weight.ndim != 3:
        raise ShapeError(f"bilinear(): weight must be (out, in1, in2), got shape {list(weight.shape)}")
    for d, (m, n) in enumerate(zip(input1.shape[:-1], input2.shape[:-1], strict=True)):
        if m != n:
            raise ShapeError(f"bilinear(): input batch dimensions do not match at dim {d}: got {m} and {n}")
    for name, x, n in (("input1", input1, weight.shape[1]), ("input2", input2, weight.shape[2])):
        if x.shape[-1] != n:
            raise ShapeError(
                f"bilinear(): {name} size does not match weight size: got {x.shape[-1]} but expected {n}"
            )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ShapeError(
            f"bilinear(): bias size does not match weight size: got {list(bias.shape)} but expected "
            f"{weight.shape[0]}"
        )
