"""One program, run with both libraries: what ours gives must be what PyTorch gives."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import autodiff as ad
import nn
from nn import optim


def libraries() -> tuple[SimpleNamespace, SimpleNamespace]:
    """Ours and PyTorch, the parts under the same names; the test is skipped where it is not installed."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    import torch.utils.data as their_data

    torch.set_num_threads(1)  # its threads and those of other test processes would wait for each other
    ours = SimpleNamespace(
        torch=ad, nn=nn, F=nn.functional, optim=optim, data=nn.data, tensor=ad.from_numpy, is_ours=True
    )
    theirs = SimpleNamespace(
        torch=torch, nn=torch.nn, F=torch.nn.functional, optim=torch.optim, data=their_data,
        tensor=torch.from_numpy, is_ours=False,
    )  # fmt: skip
    return ours, theirs


def at_least(version: str) -> bool:
    """Is PyTorch installed, and no older? Its signatures and texts change in time."""
    try:
        import torch
    except ImportError:
        return False
    numbers = torch.__version__.split("+")[0].split(".")[:2]
    return [int(n) for n in numbers] >= [int(n) for n in version.split(".")]


def plain(value: Any) -> Any:
    """`value` with the traces of its library removed: tensors as their dtype and array."""
    if hasattr(value, "detach"):
        array = value.detach().numpy()
        return (str(value.dtype).removeprefix("torch."), array.shape, array)
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if value is None or isinstance(value, (bool, int, float, str, np.ndarray)):
        return value
    return repr(value).replace("torch.", "")


def assert_close(ours: Any, theirs: Any, rtol: float, atol: float) -> None:
    if isinstance(theirs, np.ndarray):
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)
    elif isinstance(theirs, dict):
        assert isinstance(ours, dict) and list(ours) == list(theirs)
        assert_close(list(ours.values()), list(theirs.values()), rtol, atol)
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs), (ours, theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_close(a, b, rtol, atol)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=rtol, abs=atol, nan_ok=True)
    else:
        assert ours == theirs


def same(program: Callable[[Any], Any], rtol: float = 1e-6, atol: float = 1e-6) -> Any:
    """Run `program(library)` with both: they give the same, or raise the same kind of error. Returns
    what ours gave or raised."""
    results = []
    for library in libraries():
        try:
            results.append(plain(program(library)))
        except Exception as error:
            results.append(error)
    ours, theirs = results
    if isinstance(theirs, Exception):
        assert isinstance(ours, type(theirs)), f"ours: {ours!r}, PyTorch's: {theirs!r}"
    elif isinstance(ours, Exception):
        raise ours
    else:
        assert_close(ours, theirs, rtol, atol)
    return ours


def with_gradients(function: Callable[..., Any], library: Any, *arrays: np.ndarray) -> list[Any]:
    """The function's value, and the gradients of all floating-point arrays for a random cotangent."""
    inputs = [library.tensor(array.copy()) for array in arrays]
    for x in inputs:
        x.requires_grad_(x.is_floating_point())
    y = function(*inputs)
    g = np.random.default_rng(0).standard_normal(tuple(y.shape))
    y.backward(library.tensor(np.asarray(g, arrays[0].dtype)).to(y.dtype))
    return [y, *(x.grad for x in inputs)]


def drawn_alike(library: Any, layer: Any, seed: int = 0) -> Any:
    """The layer with parameters and buffers drawn from a seed, the same numbers in both libraries."""
    rng = np.random.default_rng(seed)
    state = {name: rng.uniform(-1, 1, tuple(p.shape)) for name, p in layer.state_dict().items()}
    dtypes = {name: p.dtype for name, p in layer.state_dict().items()}
    layer.load_state_dict({name: library.tensor(a).to(dtypes[name]) for name, a in state.items()})
    return layer


def whole_run(
    library: Any, layer: Any, *arrays: Any, call: Callable[..., Any] | None = None, seed: int = 0
) -> list[Any]:
    """All that a layer does: its state's names and shapes, its outputs for these arrays (None: no argument),
    and the gradients of what it was given and of its parameters for a random cotangent of each output."""
    layer = drawn_alike(library, layer, seed)
    inputs = [None if a is None else library.tensor(a.copy()) for a in arrays]
    for x in inputs:
        if x is not None and x.is_floating_point():
            x.requires_grad_()
    result = (call or (lambda layer, *inputs: layer(*inputs)))(layer, *inputs)
    outputs = [y for y in flat(result) if y is not None and y.requires_grad]
    rng = np.random.default_rng(seed + 1)
    seeds = [library.tensor(rng.standard_normal(tuple(y.shape))).to(y.dtype) for y in outputs]
    total = sum((y * g).sum() for y, g in zip(outputs, seeds, strict=True))
    if outputs:
        total.backward()
    shapes = [(name, list(p.shape)) for name, p in layer.state_dict().items()]
    return [
        repr(shapes),
        result,
        [None if x is None else x.grad for x in inputs],
        {name: p.grad for name, p in layer.named_parameters()},
    ]


def flat(result: Any) -> list[Any]:
    """The tensors of nested tuples, in their order."""
    if isinstance(result, (list, tuple)):
        return [y for each in result for y in flat(each)]
    return [result]
