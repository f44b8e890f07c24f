"""Checkpoints: what comes back is what went in, and no kill leaves a torn file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import autodiff as ad
import nn
from nn import checkpoint, optim
from nn.data import DataLoader, TensorDataset

pytest.importorskip("safetensors")

DTYPES = ["bool", "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64"]
tensors = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays(dtype, array_shapes(min_dims=0, min_side=0, max_dims=3, max_side=3))
)
keys = st.one_of(st.text(max_size=3), st.integers(-3, 3))
states = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), tensors,
        tensors.map(ad.from_numpy), st.floats(width=32).map(np.float32),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
    ),
    max_leaves=8,
)  # fmt: skip


def assert_same(found, expected):
    """The same types, and the same bits."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b)
    elif isinstance(expected, (ad.Tensor, np.ndarray, np.generic, float)):
        a, b = (np.asarray(x.array if isinstance(x, ad.Tensor) else x) for x in (found, expected))
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    else:
        assert found == expected


@given(st.dictionaries(st.text(max_size=4), states, max_size=4))
def test_what_comes_back_is_what_went_in(tmp_path_factory, state):
    path = tmp_path_factory.getbasetemp() / "state.safetensors"
    checkpoint.save(path, state)
    assert_same(checkpoint.load(path), state)


def test_names_that_meet_are_kept_apart(tmp_path):
    state = {"a.b": {"c": np.zeros(1)}, "a": {"b.c": np.ones(1), "b": {"c": np.full(1, 2.0)}}}
    checkpoint.save(tmp_path / "x", state)
    assert_same(checkpoint.load(tmp_path / "x"), state)


def test_the_one_name_that_is_no_tensors(tmp_path):
    checkpoint.save(tmp_path / "x", {"__metadata__": ad.ones(2), "a": ad.zeros(1)})
    assert checkpoint.load(tmp_path / "x")["__metadata__"].tolist() == [1.0, 1.0]
    for name in ("__metadata__", 1):
        with pytest.raises(TypeError, match=f"{name!r} can't be the name of a tensor"):
            checkpoint.save_tensors(tmp_path / "y", {name: ad.ones(2)})


def test_layout_and_byte_order_do_not_matter(tmp_path):
    a = np.arange(12, dtype=">f4").reshape(3, 4)
    checkpoint.save(tmp_path / "x", a=a.T, b=ad.from_numpy(np.arange(10)[::3]))
    state = checkpoint.load(tmp_path / "x")
    np.testing.assert_array_equal(state["a"], a.T)
    assert state["b"].tolist() == [0, 3, 6, 9]
    state["b"][0] = 5  # what was loaded can be written to


def parts():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    data = TensorDataset(ad.arange(24).float().reshape(8, 3), ad.arange(8) % 2)
    loader = DataLoader(data, 3, shuffle=True)
    return dict(model=model, optimizer=optimizer, scheduler=scheduler, loader=loader)


def step(model, optimizer, scheduler, loader):
    for x, y in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        yield
    scheduler.step()


def test_objects_give_and_take_their_state(tmp_path):
    path, random = tmp_path / "run.safetensors", ad.default_generator
    first = parts()
    for _ in step(**first):
        pass
    unfinished = step(**first)
    next(unfinished)
    checkpoint.save(path, random=random, **first, epoch=1, note="half way")
    list(unfinished)
    second = parts()
    state = checkpoint.load(path, random=random, **second)
    assert state["epoch"] == 1 and state["note"] == "half way"
    list(step(**second))
    for name in ("model", "optimizer", "scheduler"):
        assert_same(second[name].state_dict(), first[name].state_dict())


def test_other_readers_of_safetensors_find_the_weights_by_name(tmp_path):
    from safetensors.numpy import load_file

    model = nn.Linear(3, 2)
    checkpoint.save(tmp_path / "weights.safetensors", model.state_dict())
    found = load_file(tmp_path / "weights.safetensors")
    assert found.keys() == {"weight", "bias"}
    np.testing.assert_array_equal(found["weight"], model.weight.detach().numpy())


def test_leaves_come_back_as_leaves(tmp_path):
    x = ad.tensor([1.5, 2.0], requires_grad=True)
    checkpoint.save(tmp_path / "x", x=x, y=x * 2, z=x.detach())
    state = checkpoint.load(tmp_path / "x")
    assert [state[name].requires_grad for name in "xyz"] == [True, True, False]
    assert all(each.is_leaf for each in state.values()) and state["y"].tolist() == [3.0, 4.0]


def test_bare_tensors(tmp_path):
    path = tmp_path / "made" / "weights.safetensors"
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    checkpoint.save_tensors(path, {**model.state_dict(), "more": np.arange(3)})
    found = checkpoint.load_tensors(path)
    assert list(found) == sorted([*model.state_dict(), "more"]) and found["more"].tolist() == [0, 1, 2]
    found.pop("more").add_(1)  # what was loaded can be written to
    other = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    other.load_state_dict(found)
    assert_same(other.state_dict(), model.state_dict())
    checkpoint.save(path, model=model)
    assert checkpoint.load_tensors(path).keys() == {f"model.{name}" for name in model.state_dict()}


def test_bare_tensors_are_nothing_else(tmp_path):
    with pytest.raises(TypeError, match="'epoch' is a int: nn.checkpoint.save keeps"):
        checkpoint.save_tensors(tmp_path / "x", {"epoch": 3})
    with pytest.raises(FileNotFoundError, match="no file of tensors at"):
        checkpoint.load_tensors(tmp_path / "x")
    (tmp_path / "x").write_bytes(b"anything else")
    with pytest.raises(ValueError, match="x is cut short or not a safetensors file"):
        checkpoint.load_tensors(tmp_path / "x")


def test_numbers_that_numpy_does_not_know(tmp_path):
    header = b'{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    (tmp_path / "x").write_bytes(len(header).to_bytes(8, "little") + header + b"\x80\x3f" * 2)
    with pytest.raises(ValueError, match=r"x holds numbers of a dtype .*bfloat16.* tensor\.float\(\)"):
        checkpoint.load_tensors(tmp_path / "x")


# ---- files that are wrong ----------------------------------------------------------------------------


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    path = tmp_path / "x"
    checkpoint.save(path, a=np.arange(5), b="text")
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match="cut short or not a safetensors file"):
            checkpoint.load(path)


def test_other_files_are_refused(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "x"
    save_file({"a": np.ones(2)}, path)
    with pytest.raises(ValueError, match="not a checkpoint of nn.checkpoint"):
        checkpoint.load(path)
    path.write_bytes(b"PK\x03\x04 anything else" * 10)
    with pytest.raises(ValueError, match="not a safetensors file"):
        checkpoint.load(path)
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        checkpoint.load(tmp_path / "missing")


def test_a_damaged_header_is_refused_or_holds_something(tmp_path):
    path, rng = tmp_path / "x", np.random.default_rng(0)
    checkpoint.save(path, a=np.arange(5), b={"c": [1, "text"], 3: None})
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    refused = 0
    for k in range(header):
        damaged = bytearray(content)
        damaged[k] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            assert type(checkpoint.load(path)) is dict
        except ValueError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > header / 2


@pytest.mark.skipif(os.name != "posix", reason="links are a privilege on Windows")
def test_a_link_is_followed(tmp_path):
    (tmp_path / "large disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "large disk")
    (tmp_path / "x").symlink_to("run/x")
    for k in range(2):  # the first makes the file
        checkpoint.save(tmp_path / "x", k=k)
        assert (tmp_path / "x").is_symlink()
        assert checkpoint.load(tmp_path / "large disk" / "x") == {"k": k}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such pipes")
def test_what_is_no_file_is_not_moved_over(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    end = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)  # neither end waits for the other
    checkpoint.save(tmp_path / "pipe", k=1)
    (tmp_path / "x").write_bytes(os.read(end, 1 << 16))
    os.close(end)
    assert checkpoint.load(tmp_path / "x") == {"k": 1}
    with pytest.raises(IsADirectoryError, match=f"{tmp_path.name}'$"):
        checkpoint.save(tmp_path, k=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pipe", "x"]


def test_a_folder_that_is_not_there_is_made(tmp_path):
    path = tmp_path / "runs" / "first" / "x"
    checkpoint.save(path, epoch=1)
    assert checkpoint.load(path) == {"epoch": 1}


def test_what_is_asked_for_must_be_there(tmp_path):
    checkpoint.save(tmp_path / "x", epoch=3)
    with pytest.raises(KeyError, match="holds no model: it has epoch"):
        checkpoint.load(tmp_path / "x", model=nn.Linear(2, 2))


@pytest.mark.parametrize(
    "state, where",
    [({"a": {"b": {1, 2}}}, "a.b, a set"), ({"a": [0, np.array(["x"])]}, "a.1, a ndarray"),
     ({"a": np.array([1j])}, "a, a ndarray of complex128"), ({"a": {(1, 2): 3}}, "a, a dict"), ({"a": {True: 3}}, "a, a dict"), ({"a": object()}, "a, a object")],
)  # fmt: skip
def test_what_cannot_be_kept(tmp_path, state, where):
    with pytest.raises(TypeError, match=f"cannot hold {where}"):
        checkpoint.save(tmp_path / "x", state)
    assert not any(tmp_path.iterdir())


def test_without_the_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match="pip install safetensors"):
        checkpoint.save(tmp_path / "x", epoch=1)


# ---- kills ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, broken):
    path = tmp_path / "x"
    checkpoint.save(path, epoch=1)

    def fail(*arguments):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(path, epoch=2)
    assert checkpoint.load(path) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


SAVER = """
import sys, numpy as np
from nn import checkpoint
k = int(sys.argv[2])
while True:
    k += 1
    checkpoint.save(sys.argv[1], k=k, a=np.full(300_000, k), b=np.full(7, k))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 is for POSIX")
@pytest.mark.parametrize("times", [2, pytest.param(40, marks=pytest.mark.slow)])
def test_kill_9_while_saving_leaves_a_whole_file(tmp_path, times):
    path, rng = tmp_path / "x", np.random.default_rng()
    last = 0
    for _ in range(times):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVER, str(path), str(last)], cwd=Path(__file__).parents[2]
        )
        before = path.stat().st_mtime_ns if path.exists() else 0
        while not path.exists() or path.stat().st_mtime_ns == before:
            assert process.poll() is None
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.wait()
        state = checkpoint.load(path)
        assert (state["a"] == state["k"]).all() and (state["b"] == state["k"]).all()
        assert state["k"] > last  # the one before, or the one that was being written
        last = state["k"]
