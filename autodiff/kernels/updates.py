"""The steps of the optimisers, on arrays, in place: PyTorch's arithmetic in PyTorch's order, so that
rounding agrees too: factors are worked out in double precision, then rounded to the dtype of p. The
gradient g is only read.

Each step is there twice: here in NumPy, an operation on whole arrays after the other, and in
`direct_updates.py` as one loop over the elements, which reads and writes every array once. That serves large
arrays, and gives the same bits: neither adds up anything, and the loop's arithmetic is NumPy's, in its order.
"""

from __future__ import annotations

import math

import numpy as np

from . import jit
from .gemm import DTYPES

LARGE = 1 << 15  # elements: from here on the loop wins (docs/benchmarks.md), and is worth compiling


def in_one_loop(p: np.ndarray, *others: np.ndarray | None) -> bool:
    """Is this work for a compiled loop? Large arrays of one floating dtype, dense in memory."""
    return (
        p.size >= LARGE
        and p.dtype in DTYPES
        and p.flags.writeable
        and all(
            a is None
            or (a.dtype == p.dtype and a.shape == p.shape and a.flags.c_contiguous and a.flags.aligned)
            for a in (p, *others)
        )
        and jit.serves()
    )


def sgd(
    p: np.ndarray, g: np.ndarray, velocity: np.ndarray | None, *, lr: float, momentum: float = 0,
    dampening: float = 0, nesterov: bool = False, weight_decay: float = 0, maximize: bool = False,
    first: bool = False,
) -> None:  # fmt: skip
    """p -= lr d, where d is g + weight_decay p. With momentum it is the velocity,
    v = momentum v + (1 - dampening) d (d itself in the first step, whatever v holds then), or by
    Nesterov's rule d + momentum v (Sutskever et al. 2013)."""
    number = p.dtype.type
    if in_one_loop(p, g, velocity):
        from . import direct_updates

        numbers = (lr, momentum, 1 - dampening, weight_decay)
        direct_updates.run("sgd", (p, g, velocity), numbers, (nesterov, maximize, first))
        return
    d = -g if maximize else g
    if weight_decay:
        d = d + number(weight_decay) * p
    if momentum:
        assert velocity is not None
        if first:
            velocity[...] = d
        else:
            velocity *= number(momentum)
            velocity += number(1 - dampening) * d if dampening else d
        d = d + number(momentum) * velocity if nesterov else velocity
    p -= number(lr) * d


def adam(
    p: np.ndarray, g: np.ndarray, mean: np.ndarray, square: np.ndarray,
    largest: np.ndarray | None = None, *, lr: float, beta1: float = 0.9, beta2: float = 0.999,
    eps: float = 1e-8, weight_decay: float = 0, decoupled: bool = False, maximize: bool = False,
    step: int, amsgrad: bool = False,
) -> None:  # fmt: skip
    """m += (1 - b1)(g - m), v = b2 v + (1 - b2) g^2, p -= lr m' / (sqrt(v') + eps), where
    m' = m / (1 - b1^step) and v' = v / (1 - b2^step), steps counted from 1 (Kingma and Ba 2015).

    Weight decay is added to g, or, decoupled, taken from p (Loshchilov and Hutter 2019). With
    amsgrad the largest v so far stands in v's place (Reddi et al. 2018).
    """
    number = p.dtype.type
    if in_one_loop(p, g, mean, square, largest):
        from . import direct_updates

        decay = 1 - lr * weight_decay if decoupled else 1
        corrected, root = lr / (1 - beta1**step), math.sqrt(1 - beta2**step)
        added = 0 if decoupled else weight_decay
        numbers = (corrected, 1 - beta1, beta1, beta2, 1 - beta2, eps, root, added, decay)
        arrays, flags = (p, g, mean, square, largest), (beta1 <= 0.5, maximize, amsgrad)
        direct_updates.run("adam", arrays, numbers, flags)
        return
    d = -g if maximize else g
    if weight_decay and decoupled:
        p *= number(1 - lr * weight_decay)
    elif weight_decay:
        d = d + number(weight_decay) * p
    change = np.subtract(d, mean, out=np.empty_like(mean))  # an array, even if of no dimensions
    if beta1 > 0.5:
        mean += number(1 - beta1) * change
    else:  # from the nearer end, as PyTorch's lerp
        np.subtract(d, number(beta1) * change, out=mean)
    square *= number(beta2)
    term = np.multiply(d, number(1 - beta2), out=change)
    term *= d
    square += term
    if amsgrad:
        assert largest is not None
        square = np.maximum(largest, square, out=largest)
    root = np.sqrt(square, out=np.empty_like(square))
    root /= number(math.sqrt(1 - beta2**step))
    root += number(eps)
    np.multiply(mean, number(lr / (1 - beta1**step)), out=term)
    term /= root
    p -= term
