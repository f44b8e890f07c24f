"""Weights go to PyTorch and come from it, in plain safetensors files, under the same names.

`python tests/nn/test_state_exchange.py`, where PyTorch is installed, writes the files in tests/nn/data
that stand for it where it is not: the state of each model, and an input with its output.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import autodiff as ad
import nn
from nn import checkpoint
from nn.as_torch import files

pytest.importorskip("safetensors", reason="safetensors is not installed: pip install safetensors")
DATA = Path(__file__).parent / "data"


def mlp(nn):
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))


def lenet(nn):
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 4, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3),
    )  # fmt: skip


def normalised(nn):
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.LayerNorm(18), nn.Linear(18, 2)
    )


def lstm(nn):
    return nn.LSTM(3, 4, num_layers=2, batch_first=True, bidirectional=True)


def gru(nn):
    return nn.GRU(3, 4)


def transformer_layer(nn):
    return nn.TransformerEncoderLayer(8, 2, dim_feedforward=12, dropout=0.0, batch_first=True)


# each model, and the shape of an input
MODELS = {
    "mlp": (mlp, (2, 4)),
    "lenet": (lenet, (2, 1, 8, 8)),
    "normalised": (normalised, (2, 1, 5, 5)),
    "lstm": (lstm, (2, 5, 3)),
    "gru": (gru, (5, 2, 3)),
    "transformer_layer": (transformer_layer, (2, 5, 8)),
}
every_model = pytest.mark.parametrize("name", MODELS)


def made(name, library):
    """The model, and its output for a given input."""
    make, shape = MODELS[name]
    model = make(library.nn)
    model.eval()

    def output(x):
        y = model(library.torch.tensor(x))
        return (y[0] if isinstance(y, tuple) else y).detach().numpy()

    x = np.sin(np.arange(np.prod(shape))).astype(np.float32).reshape(shape)
    return model, output, x


OURS = SimpleNamespace(torch=ad, nn=nn)


def theirs():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to exchange with")
    torch.set_num_threads(1)
    return SimpleNamespace(torch=torch, nn=torch.nn)


@every_model
def test_from_pytorch(name, tmp_path):
    model, output, x = made(name, OURS)
    their_model, their_output, _ = made(name, theirs())
    from safetensors.torch import save_file

    save_file(their_model.state_dict(), tmp_path / "model.safetensors")
    assert list(model.state_dict()) == list(their_model.state_dict())
    model.load_state_dict(checkpoint.load_tensors(tmp_path / "model.safetensors"))
    np.testing.assert_allclose(output(x), their_output(x), rtol=1e-5, atol=1e-6)
    for tensor, their_tensor in zip(
        model.state_dict().values(), their_model.state_dict().values(), strict=True
    ):
        assert tensor.numpy().tobytes() == their_tensor.numpy().tobytes()


@every_model
def test_to_pytorch(name, tmp_path):
    model, output, x = made(name, OURS)
    their_model, their_output, _ = made(name, theirs())
    from safetensors.torch import load_file

    checkpoint.save_tensors(tmp_path / "model.safetensors", model.state_dict())
    their_model.load_state_dict(load_file(tmp_path / "model.safetensors"))
    np.testing.assert_allclose(output(x), their_output(x), rtol=1e-5, atol=1e-6)
    files.save(model.state_dict(), tmp_path / "model.pt")  # as torch.save is answered
    assert load_file(tmp_path / "model.pt").keys() == model.state_dict().keys()


@every_model
def test_from_what_pytorch_wrote_once(name):
    model, output, _ = made(name, OURS)
    model.load_state_dict(checkpoint.load_tensors(DATA / f"{name}.safetensors"))
    sample = checkpoint.load_tensors(DATA / f"{name}-sample.safetensors")
    np.testing.assert_allclose(
        output(sample["input"].numpy()), sample["output"].numpy(), rtol=1e-5, atol=1e-6
    )


DTYPES = ["bool", "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64"]
tensors = st.dictionaries(
    st.text(max_size=5),
    st.sampled_from(DTYPES).flatmap(
        lambda dtype: arrays(dtype, array_shapes(min_dims=0, min_side=0, max_dims=3, max_side=3))
    ),
    max_size=4,
)


@given(tensors, st.booleans())
def test_any_tensors_go_both_ways(tmp_path_factory, found, transposed):
    torch = theirs().torch
    from safetensors.torch import load_file, save_file

    path = tmp_path_factory.getbasetemp() / "exchange.safetensors"
    given_ = {name: array.T if transposed else array for name, array in found.items()}
    checkpoint.save_tensors(path, {name: ad.from_numpy(array) for name, array in given_.items()})
    there = load_file(path)
    assert there.keys() == given_.keys()
    for name, array in given_.items():
        assert there[name].dtype == torch.from_numpy(array.copy()).dtype
        np.testing.assert_array_equal(there[name].numpy(), array)
    save_file({name: torch.from_numpy(array.copy(order="C")) for name, array in given_.items()}, path)
    back = checkpoint.load_tensors(path)
    assert back.keys() == given_.keys()
    for name, array in given_.items():
        assert isinstance(back[name], ad.Tensor) and back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name].numpy(), array)


def record() -> None:
    """What PyTorch writes, into the files."""
    import torch
    from safetensors.torch import save

    DATA.mkdir(exist_ok=True)
    for name in MODELS:
        torch.manual_seed(0)
        model, output, x = made(name, SimpleNamespace(torch=torch, nn=torch.nn))
        for buffer, value in model.named_buffers():
            value.copy_(
                torch.arange(1, value.numel() + 1).reshape(value.shape) / (2 if "running" in buffer else 1)
            )
        (DATA / f"{name}.safetensors").write_bytes(save(model.state_dict()))
        sample = {"input": torch.from_numpy(x), "output": torch.from_numpy(output(x)).contiguous()}
        (DATA / f"{name}-sample.safetensors").write_bytes(save(sample))


if __name__ == "__main__":
    record()
