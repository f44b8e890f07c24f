"""Contractions: products summed over what they share. Linear in each operand."""

from __future__ import annotations

import math
from string import ascii_letters
from typing import Any

import numpy as np

from .. import kernels
from ..errors import ShapeError, matmul_mismatch
from ..primitive import multilinear, total, variadic
from .naming import operands, positive
from .reductions import sum as summed
from .shapes import diagonal, permuted, reshape, reshaped


def _einsum(*xs, equation):
    """Σ of products, over the letters that are not in the output."""
    large = len(xs) > 1 and sum(math.prod(x.shape) for x in xs) > 4096
    y = np.einsum(equation, *xs, optimize=large)
    return y.copy() if len(xs) == 1 and np.may_share_memory(y, xs[0]) else y  # NumPy gives views


def swapped(x):
    """The last two dimensions exchanged."""
    rank = len(x.shape)
    return permuted(x, dims=(*range(rank - 2), rank - 1, rank - 2))


# fmt: off
product = multilinear("matmul", lambda a, b: kernels.matmul(a, b),
                      lambda g, b: product(g, swapped(b)), lambda g, a: product(swapped(a), g), broadcasts=True)

contracted = variadic("einsum", _einsum, lambda g, i, xs, xs_shape, equation: einsum_rule(g, i, xs, xs_shape, equation),
                      jvp=lambda ts, xs, equation: total([
                          contracted(*xs[:i], t, *xs[i + 1:], equation=equation) for i, t in enumerate(ts) if t is not None]),
                      broadcasts=True)
# fmt: on


def einsum_rule(g, i, xs, xs_shape, equation):
    """einsum is linear in each operand: put g in the place of the i-th, ask for its letters."""
    inputs, output = equation.split("->")
    terms = inputs.split(",")
    others = [x for k, x in enumerate(xs) if k != i]
    named = [output, *(term for k, term in enumerate(terms) if k != i)]
    shapes = [g.shape, *(x.shape for x in others)]
    seen = {
        (c, n) for term, shape in zip(named, shapes, strict=True) for c, n in zip(term, shape, strict=True)
    }
    # letters that the operand was alone with, or the others had with size 1: repeat
    alone = [(c, n) for c, n in zip(terms[i], xs_shape[i], strict=True) if n != 1 and (c, n) not in seen]
    alone += [
        (c, 1) for c, n in zip(terms[i], xs_shape[i], strict=True) if n == 1 and c not in "".join(named)
    ]
    if alone:
        named.append("".join(c for c, _ in alone))
        others.append(np.ones([n for _, n in alone], g.dtype))
    return contracted(g, *others, equation=f"{','.join(named)}->{terms[i]}")


# ---- PyTorch's spellings -----------------------------------------------------------------------


def matmul(input, other):
    """input @ other for every rank: vectors, matrices, batches of them, which broadcast."""
    a, b = operands(input, other)
    if a.ndim >= 2 and b.ndim >= 2:
        return product(a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(
            f"both arguments to matmul need to be at least 1D, but they are {a.ndim}D and {b.ndim}D"
        )
    mismatch = matmul_mismatch(a.shape, b.shape)
    if mismatch:
        raise ShapeError(f"{mismatch}, in matmul({tuple(a.shape)}, {tuple(b.shape)})")
    left = reshape(a, 1, a.shape[0]) if a.ndim == 1 else a
    right = reshape(b, b.shape[0], 1) if b.ndim == 1 else b
    y = product(left, right)
    shape = y.shape[:-2] + (() if a.ndim == 1 else y.shape[-2:-1])
    return reshaped(y, to=shape + (() if b.ndim == 1 else y.shape[-1:]))


def of_rank(name, a, rank_a, b, rank_b):
    """a @ b, whose ranks must be these."""
    if (a.ndim, b.ndim) != (rank_a, rank_b):
        raise ShapeError(
            f"{name}: expected a {rank_a}D and a {rank_b}D tensor, got {a.ndim}D and {b.ndim}D "
            f"(shapes {list(a.shape)} and {list(b.shape)}): matmul takes every rank"
        )
    return matmul(a, b)


def mm(input, mat2):
    """The product of two matrices."""
    return of_rank("mm", input, 2, mat2, 2)


def bmm(input, mat2):
    """The products of two batches of matrices, of the same size."""
    if input.ndim == mat2.ndim == 3 and input.shape[0] != mat2.shape[0]:
        raise ShapeError(f"bmm: expected the same batch size, got {input.shape[0]} and {mat2.shape[0]}")
    return of_rank("bmm", input, 3, mat2, 3)


def mv(input, vec):
    """The product of a matrix and a vector."""
    return of_rank("mv", input, 2, vec, 1)


def dot(input, tensor):
    """Σ a·b of two vectors."""
    if input.ndim != 1 or tensor.ndim != 1:
        raise ShapeError(
            f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors: matmul takes every rank"
        )
    if input.shape != tensor.shape:
        raise ShapeError(
            f"inconsistent tensor size, expected tensor [{input.shape[0]}] and src [{tensor.shape[0]}] to have the same number "
            "of elements"
        )
    return matmul(input, tensor)


def outer(input, vec2):
    """y[i, j] = a[i]·b[j] of two vectors."""
    if input.ndim != 1 or vec2.ndim != 1:
        raise ShapeError(f"outer: Expected 1-D arguments, got {input.ndim}-D and {vec2.ndim}-D")
    return reshape(input, -1, 1) * reshape(vec2, 1, -1)


def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """beta·input + alpha·(mat1 @ mat2)."""
    y = mm(mat1, mat2)
    y = y if alpha == 1 else y * alpha
    return y + (input if beta == 1 else input * beta)


def einsum(equation, *operands):
    """Einstein's convention: "ij,jk->ik" multiplies along the letters and sums over those that
    are not in the output. Without "->", the letters that occur once, in order; "..." stands for
    leading dimensions that broadcast."""
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    terms, output = explicit(equation, [len(x.shape) for x in operands])
    xs, sizes = [], {}
    for k, (term, x) in enumerate(zip(terms, operands, strict=True)):
        terms[k], x = without_repeats(k, term, x)
        xs.append(x)
        for letter, n in zip(terms[k], x.shape, strict=True):
            if sizes.setdefault(letter, n) == 1:
                sizes[letter] = n
            elif n not in (1, sizes[letter]):
                raise ShapeError(
                    f"einsum(): subscript {letter} has size {n} for operand {k} which does not broadcast "
                    f"with previously seen size {sizes[letter]}"
                )
    return contracted(*xs, equation=f"{','.join(terms)}->{output}")


def explicit(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """The letters of each operand and of the output, "..." written out in unused letters."""
    equation = equation.replace(" ", "")
    left, arrow, output = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise ShapeError(f"einsum(): the equation '{equation}' names {len(terms)} operands, got {len(ranks)}")
    unused = [letter for letter in ascii_letters if letter not in equation]
    widths = [rank - len(term.replace("...", "")) for rank, term in zip(ranks, terms, strict=True)]
    for term, rank, width in zip(terms, ranks, widths, strict=True):
        if width < 0 or (width > 0 and "..." not in term):
            raise ShapeError(
                f"einsum(): the subscripts '{term}' do not match an operand of {rank} dimensions"
            )
    widest = max((w for w, term in zip(widths, terms, strict=True) if "..." in term), default=0)
    dots = "".join(unused[:widest])
    terms = [term.replace("...", dots[widest - width :]) for term, width in zip(terms, widths, strict=True)]
    if arrow:
        output = output.replace("...", dots)
    else:
        letters = "".join(terms)
        once = sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots)
        output = dots + "".join(once)
    for letter in output:
        if not any(letter in term for term in terms):
            raise ShapeError(
                f"einsum(): output subscript {letter} does not appear in the equation for any input operand"
            )
    return terms, output


def without_repeats(k: int, term: str, x):
    """ "ii" → "i": an operand's diagonal, where a letter occurs twice in it."""
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            first = term.index(letter)
            second = term.index(letter, first + 1)
            if x.shape[first] != x.shape[second]:
                raise ShapeError(
                    f"einsum(): subscript {letter} is repeated for operand {k} but the sizes don't match, "
                    f"{x.shape[second]} != {x.shape[first]}"
                )
            x = diagonal(x, 0, first, second)
            term = term[:first] + term[first + 1 : second] + term[second + 1 :] + letter
    return term, x


def tensordot(a, b, dims: Any = 2):
    """Σ over pairs of dimensions: the last `dims` of a with the first of b, or ([of a], [of b])."""
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        left, right = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        left, right = ([d] if isinstance(d, int) else list(d) for d in dims)
    if len(left) != len(right):
        raise RuntimeError("both dimension lists should have same length")
    left, right = [positive(d, a.ndim) for d in left], [positive(d, b.ndim) for d in right]
    for i, j in zip(left, right, strict=True):
        if a.shape[i] == 1:  # it broadcasts, so b can be summed first; and the other way round
            b = summed(b, j, True, dtype=b.dtype)
        elif b.shape[j] == 1:
            a = summed(a, i, True, dtype=a.dtype)
        elif a.shape[i] != b.shape[j]:
            raise ShapeError(
                f"contracted dimensions need to match, but first has size {a.shape[i]} in dim {i} "
                f"and second has size {b.shape[j]} in dim {j}"
            )
    rest_a = [d for d in range(a.ndim) if d not in left]
    rest_b = [d for d in range(b.ndim) if d not in right]
    n = math.prod(a.shape[d] for d in left)
    rows, columns = (math.prod(x.shape[d] for d in rest) for x, rest in ((a, rest_a), (b, rest_b)))
    matrix_a = reshaped(permuted(a, dims=(*rest_a, *left)), to=(rows, n))
    matrix_b = reshaped(permuted(b, dims=(*right, *rest_b)), to=(n, columns))
    to = (*(a.shape[d] for d in rest_a), *(b.shape[d] for d in rest_b))
    return reshaped(product(matrix_a, matrix_b), to=to)


def inner(input, other):
    """Σ over the last dimension of both."""
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    return tensordot(input, other, ([-1], [-1]))
