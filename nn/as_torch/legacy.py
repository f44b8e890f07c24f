"""PyTorch's older spellings, which programs of its first years use: FloatTensor and its kin, Variable."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

import autodiff
from autodiff import Size, Tensor

from .. import optim


class TypedTensor:
    """`torch.FloatTensor` and its kin: an empty tensor of some sizes, or one made from data, of the
    dtype that the name says; `isinstance` asks for that dtype, and `x.type(…)` converts to it."""

    def __init__(self, name: str, dtype: np.dtype):
        self.__name__, self.dtype = name, dtype

    def __call__(self, *args: Any) -> Tensor:
        if len(args) == 1 and not isinstance(args[0], (Size, int)):
            return autodiff.as_tensor(args[0], self.dtype)
        return autodiff.empty(*args or (0,), dtype=self.dtype)

    def __instancecheck__(self, thing: Any) -> bool:
        return isinstance(thing, Tensor) and thing.dtype == self.dtype

    def __repr__(self):
        return f"<constructor torch.{self.__name__}>"


DTYPES = {
    "BoolTensor": autodiff.bool, "ByteTensor": autodiff.uint8, "CharTensor": autodiff.int8,
    "DoubleTensor": autodiff.float64, "FloatTensor": autodiff.float32, "HalfTensor": autodiff.float16,
    "IntTensor": autodiff.int32, "LongTensor": autodiff.int64, "ShortTensor": autodiff.int16,
}  # fmt: skip


def set_default_tensor_type(t: TypedTensor) -> None:
    """Python floats become the dtype of, say, `torch.DoubleTensor`."""
    autodiff.set_default_dtype(t.dtype)


tensors = SimpleNamespace(
    **{name: TypedTensor(name, dtype) for name, dtype in DTYPES.items()},
    set_default_tensor_type=set_default_tensor_type,
)
autograd = SimpleNamespace(Variable=Tensor)  # which a Tensor has been since PyTorch 0.4
lr_scheduler = SimpleNamespace(_LRScheduler=optim.lr_scheduler.LRScheduler)
