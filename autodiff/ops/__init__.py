"""The table of mathematics: every operation, declared with its derivative.

What is exported here is what users call, in PyTorch's spelling; `primitive.table` holds every
primitive by name.
"""

from . import activations, contractions, elementwise, fused, indexing, reductions, shapes, updates
from .contractions import (
    addmm,
    bmm,
    conv2d,
    dot,
    einsum,
    inner,
    matmul,
    max_pool2d,
    mm,
    mv,
    outer,
    tensordot,
)
from .elementwise import (
    abs,
    acos,
    allclose,
    asin,
    atan,
    atan2,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    ceil,
    clamp,
    clamp_max,
    clamp_min,
    cos,
    cosh,
    equal,
    erf,
    exp,
    expm1,
    floor,
    floor_divide,
    fmod,
    isclose,
    isfinite,
    isinf,
    isnan,
    log,
    log1p,
    log2,
    log10,
    log_sigmoid,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    reciprocal,
    relu,
    remainder,
    round,
    rsqrt,
    sigmoid,
    sign,
    sin,
    sinh,
    softplus,
    sqrt,
    tan,
    tanh,
    trunc,
    where,
    xlogy,
)
from .elementwise import divide as div
from .elementwise import equal_to as eq
from .elementwise import greater as gt
from .elementwise import greater_equal as ge
from .elementwise import less as lt
from .elementwise import less_equal as le
from .elementwise import minus as sub
from .elementwise import not_equal as ne
from .elementwise import plus as add
from .elementwise import squared as square
from .fused import batch_norm, cross_entropy, layer_norm, linear
from .indexing import (
    argsort,
    gather,
    getitem,
    index_add,
    index_select,
    masked_fill,
    masked_select,
    narrow,
    nonzero,
    one_hot,
    repeat_interleave,
    scatter,
    scatter_add,
    sort,
    take,
    take_along_dim,
    topk,
)
from .indexing import select_ as select
from .reductions import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    cumprod,
    cumsum,
    log_softmax,
    logsumexp,
    max,
    mean,
    min,
    norm,
    prod,
    softmax,
    std,
    sum,
    var,
)
from .shapes import (
    T,
    broadcast_to,
    cat,
    chunk,
    clone,
    concat,
    concatenate,
    contiguous,
    detach,
    diag,
    diagonal,
    expand,
    expand_as,
    flatten,
    flip,
    meshgrid,
    movedim,
    mT,
    pad,
    permute,
    ravel,
    repeat,
    reshape,
    reshape_as,
    roll,
    split,
    squeeze,
    stack,
    t,
    tile,
    transpose,
    tril,
    triu,
    unbind,
    unflatten,
    unsqueeze,
    view,
    view_as,
)  # fmt: skip

absolute, arccos, arcsin, arctan, clip = abs, acos, asin, atan, clamp
divide = true_divide = div
multiply, negative, subtract = mul, neg, sub
greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
swapaxes, moveaxis = transpose, movedim
