"""PyTorch's older spellings, which programs of its first years use."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import autodiff
from autodiff import Tensor

from .. import optim


def set_default_tensor_type(t: Any) -> None:
    """Python floats become the dtype of, say, `torch.DoubleTensor`."""
    autodiff.set_default_dtype(t.dtype)


tensors = SimpleNamespace(set_default_tensor_type=set_default_tensor_type)
autograd = SimpleNamespace(Variable=Tensor)  # which a Tensor has been since PyTorch 0.4
lr_scheduler = SimpleNamespace(_LRScheduler=optim.lr_scheduler.LRScheduler)
