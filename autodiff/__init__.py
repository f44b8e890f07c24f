"""A small reverse-mode automatic differentiation engine to read, to test with and to train with.

`import autodiff as torch` reads naturally: the names are PyTorch's.
"""

from . import autograd, functional, kernels, random
from ._version import __version__
from .autograd import Function
from .creation import (
    arange, as_tensor, empty, empty_like, eye, from_dlpack, from_numpy, full, full_like, is_tensor,
    linspace, ones, ones_like, tensor, zeros, zeros_like,
)
from .dtypes import (
    bool, double, float, float16, float32, float64, get_default_dtype, half, int, int8, int16,
    int32, int64, long, set_default_dtype, short, uint8,
)
from .functional import grad, hessian, hvp, jacobian, jvp, remat, value_and_grad, vjp
from .graph import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .kernels import get_num_threads, set_num_threads
from .ops import (
    T, abs, absolute, acos, add, addmm, all, allclose, amax, amin, any, arccos, arcsin, arctan,
    argmax, argmin, argsort, asin, atan, atan2, batch_norm, bitwise_and, bitwise_not, bitwise_or,
    bitwise_xor, bmm, broadcast_to, cat, ceil, chunk, clamp, clamp_max, clamp_min, clip, clone,
    concat, concatenate, conv2d, cos, cosh, cross_entropy, cumprod, cumsum, detach, diag, diagonal,
    div, divide, dot, einsum, eq, equal, erf, exp, expand_as, expm1, flatten, flip, floor,
    floor_divide, gather, ge, greater, greater_equal, gt, index_add, index_select, inner, isclose,
    isfinite, isinf, isnan, layer_norm, le, less, less_equal, linear, log, log1p, log2, log10,
    log_sigmoid, log_softmax, logical_and, logical_not, logical_or, logical_xor, logsumexp, lt,
    masked_fill, masked_select, matmul, max, max_pool2d, maximum, mean, meshgrid, min, minimum, mm,
    moveaxis, movedim, mT, mul, multiply, mv, narrow, ne, neg, negative, nonzero, norm, not_equal,
    one_hot, outer, pad, permute, pow, prod, reciprocal, relu, remainder, repeat_interleave,
    reshape, roll, round, rsqrt, scatter, scatter_add, select, sigmoid, sign, sin, sinh, softmax,
    softplus, sort, split, sqrt, square, squeeze, stack, std, sub, subtract, sum, swapaxes, t,
    take, take_along_dim, tan, tanh, tensordot, tile, topk, transpose, tril, triu, unbind,
    unflatten, unsqueeze, var, where,
)
from .ops.shapes import expand, repeat, view
from .random import (
    Generator, bernoulli, default_generator, get_rng_state, initial_seed, manual_seed, multinomial,
    normal, rand, rand_like, randint, randn, randn_like, randperm, seed, set_rng_state,
)
from .scalar import Value
from .tensor import Size, Tensor, device  # fmt: skip
