"""Operations by their NumPy names, for the engines whose functions are called like NumPy's."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from .base import first_offered


def numpy_functions(np: Any) -> dict[str, Callable]:
    """name → function, for each that the module `np` has. Arguments come as PyTorch has them."""
    # fmt: off
    return first_offered(np, {
        "add": lambda a, b: np.add(a, b),
        "sub": lambda a, b: np.subtract(a, b),
        "mul": lambda a, b: np.multiply(a, b),
        "div": lambda a, b: np.divide(a, b),
        "neg": lambda x: np.negative(x),
        "pow": lambda a, b: np.power(a, b),
        "square": lambda x: np.square(x),
        "reciprocal": lambda x: np.reciprocal(x),
        "remainder": lambda a, b: np.remainder(a, b),
        "abs": lambda x: np.abs(x),
        "exp": lambda x: np.exp(x),
        "expm1": lambda x: np.expm1(x),
        "log": lambda x: np.log(x),
        "log1p": lambda x: np.log1p(x),
        "log2": lambda x: np.log2(x),
        "log10": lambda x: np.log10(x),
        "sqrt": lambda x: np.sqrt(x),
        "sin": lambda x: np.sin(x),
        "cos": lambda x: np.cos(x),
        "tan": lambda x: np.tan(x),
        "asin": lambda x: np.arcsin(x),
        "acos": lambda x: np.arccos(x),
        "atan": lambda x: np.arctan(x),
        "atan2": lambda a, b: np.arctan2(a, b),
        "sinh": lambda x: np.sinh(x),
        "cosh": lambda x: np.cosh(x),
        "tanh": lambda x: np.tanh(x),
        "where": lambda c, a, b: np.where(c, a, b),
        "maximum": lambda a, b: np.maximum(a, b),
        "minimum": lambda a, b: np.minimum(a, b),
        "clamp": lambda x, low, high: np.clip(x, low, high),
        "sum": lambda x, dim=None, keepdim=False: np.sum(x, axis=dim, keepdims=keepdim),
        "mean": lambda x, dim=None, keepdim=False: np.mean(x, axis=dim, keepdims=keepdim),
        "prod": lambda x, dim=None, keepdim=False: np.prod(x, axis=dim, keepdims=keepdim),
        "var": lambda x, dim=None, c=1, keepdim=False: np.var(x, axis=dim, ddof=int(c), keepdims=keepdim),
        "std": lambda x, dim=None, c=1, keepdim=False: np.std(x, axis=dim, ddof=int(c), keepdims=keepdim),
        "amax": lambda x, dim=None, keepdim=False: np.max(x, axis=dim, keepdims=keepdim),
        "amin": lambda x, dim=None, keepdim=False: np.min(x, axis=dim, keepdims=keepdim),
        "cumsum": lambda x, dim: np.cumsum(x, axis=dim),
        "cumprod": lambda x, dim: np.cumprod(x, axis=dim),
        "sort": lambda x, dim, d: np.flip(np.sort(x, axis=dim), dim) if d else np.sort(x, axis=dim),
        "reshape": lambda x, to: np.reshape(x, to),
        "flatten": lambda x: np.ravel(x),
        "squeeze": lambda x, dim=None: np.squeeze(x, axis=dim),
        "unsqueeze": lambda x, dim: np.expand_dims(x, dim),
        "transpose": lambda x, a, b: np.swapaxes(x, a, b),
        "permute": lambda x, *dims: np.transpose(x, dims),
        "movedim": lambda x, a, b: np.moveaxis(x, a, b),
        "broadcast_to": lambda x, to: np.broadcast_to(x, to),
        "tile": lambda x, *counts: np.tile(x, counts),
        "repeat_interleave": lambda x, n, dim: np.repeat(x, n, axis=dim),
        "flip": lambda x, dim: np.flip(x, dim),
        "roll": lambda x, n, dim: np.roll(x, n, axis=dim),
        "cat": lambda xs, dim: np.concatenate(xs, axis=dim),
        "stack": lambda xs, dim: np.stack(xs, axis=dim),
        "tril": lambda x, k: np.tril(x, k),
        "triu": lambda x, k: np.triu(x, k),
        "diagonal": lambda x, offset, a, b: np.diagonal(x, offset, a, b),
        "diag": lambda x, k: np.diag(x, k),
        "getitem": lambda x, index: x[index],
        "index_select": lambda x, dim, index: np.take(x, index, axis=dim),
        "take_along_dim": lambda x, index, dim: np.take_along_axis(x, index, axis=dim),
        "matmul": lambda a, b: np.matmul(a, b),
        "dot": lambda a, b: np.dot(a, b),
        "inner": lambda a, b: np.inner(a, b),
        "outer": lambda a, b: np.outer(a, b),
        "tensordot": lambda a, b, axes: np.tensordot(a, b, axes),
        # over one axis, or all: two axes are, in linalg.norm, those of a matrix, whose norm is another
        "norm": lambda x, p, dim=None, keepdim=False: np.linalg.norm(np.ravel(x), p) if dim is None and not keepdim
        else np.linalg.norm(x, p, operator.index(dim), keepdim),  # pyright: ignore[reportArgumentType]
        "einsum": lambda equation, *xs: np.einsum(equation, *xs),
    })
    # fmt: on
