"""Where parameters start: PyTorch's names and formulas. Each fills its tensor in place.

A weight has the shape (out, in, …): its fan_in is in·…, how many numbers a unit sums; its fan_out
is out·…, how many units each number goes to.
"""

from __future__ import annotations

import math

import numpy as np

from autodiff import Generator, Tensor, no_grad
from autodiff.random import source

GAINS = {
    "linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0, "conv_transpose3d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3,
    "relu": math.sqrt(2), "selu": 3 / 4,
}  # fmt: skip


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights make up for what a nonlinearity takes from a signal's size."""
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in GAINS:
        raise ValueError(
            f"Unsupported nonlinearity {nonlinearity}: choose from {', '.join(GAINS)}, leaky_relu"
        )
    return GAINS[nonlinearity]


@no_grad
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Evenly from [a, b)."""
    check(tensor, a <= b, f"uniform_ needs a <= b, got a={a}, b={b}")
    return tensor.uniform_(a, b, generator=generator)


@no_grad
def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """From N(mean, std²)."""
    check(tensor, std >= 0, f"normal_ needs std >= 0, got {std}")
    return tensor.normal_(mean, std, generator=generator)


@no_grad
def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """From N(mean, std²), given that the number lies in [a, b].

    By rejection: z is drawn evenly and kept with the probability exp((z₀² − z²) / 2), z₀ being the
    likeliest value there is. Of what is left out beyond `reach` there would be one in 10¹⁷, and
    at least one in fifty is kept, wherever [a, b] lies.
    """
    check(tensor, a <= b and std > 0, f"trunc_normal_ needs a <= b and std > 0, got a={a}, b={b}, std={std}")
    low, high = (a - mean) / std, (b - mean) / std
    likeliest = min(max(low, 0.0), high)
    reach = math.sqrt(likeliest**2 + 80)
    low, high = max(low, -reach), min(high, reach)
    random, z = source(generator), np.empty(tensor.numel())
    missing = np.arange(z.size)
    while missing.size:
        drawn = random.uniform(low, high, missing.size)
        kept = random.random(missing.size) < np.exp((likeliest**2 - drawn * drawn) / 2)
        z[missing[kept]] = drawn[kept]
        missing = missing[~kept]
    return tensor.copy_(Tensor.wrap(np.clip(mean + std * z, a, b).reshape(tensor.shape)))


@no_grad
def constant_(tensor: Tensor, val: float) -> Tensor:
    """`val` everywhere."""
    return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0.0)


@no_grad
def eye_(tensor: Tensor) -> Tensor:
    """The identity, or as much of it as fits."""
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return tensor.copy_(Tensor.wrap(np.eye(*tensor.shape)))


@no_grad
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The kernels (out, in, …) of a convolution that hands on its input, or as many channels of it
    as there are: 1 in the middle of kernel k for channel k, the rest 0; in each of the `groups`."""
    if tensor.ndim not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    out, channels, *sizes = tensor.shape
    if out % groups:
        raise ValueError(f"dim 0 must be divisible by groups: got {out} and {groups}")
    kernels = np.zeros(tensor.shape)
    middle = tuple(n // 2 for n in sizes)
    for k in range(min(out // groups, channels)):
        kernels[k :: out // groups, k][(slice(None), *middle)] = 1
    return tensor.copy_(Tensor.wrap(kernels))


@no_grad
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """From N(0, std²), but in each column that share of the numbers, rounded up and drawn by lot,
    is 0 (Martens 2010)."""
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity is a share, from 0 to 1, and not {sparsity}")
    rows, columns = tensor.shape
    random = source(generator)
    drawn = std * random.standard_normal((rows, columns))
    lots = random.random((rows, columns)).argsort(0)
    return tensor.copy_(Tensor.wrap(np.where(lots < math.ceil(sparsity * rows), 0, drawn)))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Evenly over ±gain·√(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """From N(0, gain²·2 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))), generator)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Evenly over ±gain·√(3 / fan), the gain that of the nonlinearity that follows; `a` is
    leaky_relu's slope (He et al. 2015)."""
    bound = math.sqrt(3) * kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """From N(0, gain² / fan), as in `kaiming_uniform_`."""
    return normal_(tensor, 0.0, kaiming_std(tensor, a, mode, nonlinearity), generator)


@no_grad
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """`gain` times a matrix with orthonormal rows or columns, whichever are fewer; all dimensions
    after the first count as columns (Saxe, McClelland and Ganguli 2014)."""
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    drawn = source(generator).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(drawn)
    q = q * np.where(np.diag(r) < 0, -1, 1)  # QR alone would not draw evenly from all such matrices
    q = q.T if rows < columns else q
    return tensor.copy_(Tensor.wrap(gain * q.reshape(tensor.shape)))


def check(tensor: Tensor, sensible: bool, otherwise: str) -> None:
    """Numbers are drawn only into floating-point tensors, and only from what is a distribution."""
    if not tensor.is_floating_point():
        raise TypeError(f"only floating-point tensors can be filled with drawn numbers, not {tensor.dtype}")
    if not sensible:
        raise ValueError(otherwise)


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out)."""
    if tensor.ndim < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    """gain / √fan."""
    modes = ("fan_in", "fan_out")
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {list(modes)}")
    fan = fans(tensor)[modes.index(mode.lower())]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))
