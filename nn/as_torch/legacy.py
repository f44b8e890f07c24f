"""PyTorch's older spellings, which programs of its first years use."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import autodiff
from autodiff import Tensor, dtypes
from autodiff.creation import OfOneDtype

from .. import init, optim


def set_default_tensor_type(t: Any) -> None:
    """Python floats become the dtype of, say, `torch.DoubleTensor`, or of what is called so."""
    types = {f"torch.{name}": dtype for dtype, name in dtypes.TYPES.items()}
    if isinstance(t, str) and t not in types:
        raise TypeError(
            f"type {t} not available: there are torch.FloatTensor, torch.DoubleTensor and torch.HalfTensor"
        )
    if not isinstance(t, (str, OfOneDtype)):
        raise TypeError(f"invalid type object: it is torch.FloatTensor, say, or its name, and not {t!r}")
    autodiff.set_default_dtype(types[t] if isinstance(t, str) else t.dtype)


tensors = SimpleNamespace(set_default_tensor_type=set_default_tensor_type)
autograd = SimpleNamespace(Variable=Tensor)  # which a Tensor has been since PyTorch 0.4
lr_scheduler = SimpleNamespace(_LRScheduler=optim.lr_scheduler.LRScheduler)


def renamed(old: str) -> Callable[..., Tensor]:
    """An initialiser by the name that it had before those that write into a tensor got their underscore."""
    new = getattr(init, f"{old}_")

    def initialiser(*args: Any, **kwargs: Any) -> Tensor:
        text = f"`nn.init.{old}` is now deprecated in favor of `nn.init.{old}_`"
        warnings.warn(text, FutureWarning, stacklevel=2)
        return new(*args, **kwargs)

    initialiser.__name__, initialiser.__doc__ = old, new.__doc__
    return initialiser


initialisers = SimpleNamespace(**{
    name: renamed(name)
    for name in ("constant", "dirac", "eye", "kaiming_normal", "kaiming_uniform", "normal", "orthogonal", "sparse",
                 "uniform", "xavier_normal", "xavier_uniform")
})  # fmt: skip
