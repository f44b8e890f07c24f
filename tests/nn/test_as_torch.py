"""`nn.as_torch`: every spelling of an import, names we lack, files, and a program run as Python runs it."""

from __future__ import annotations

import importlib
import inspect
import io
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import beside_torch
import numpy as np
import pytest
from beside_torch import assert_close, at_least, libraries

import autodiff as ad
import nn
from nn import as_torch, checkpoint, data, datasets, functional, init, models, optim, transforms, utils
from nn.as_torch import answers, extras, files

ROOT = Path(__file__).parents[2]


@pytest.fixture
def torch():
    with as_torch.installed() as module:
        yield module


def run(text):
    """The names that the text of a program defines, under our torch."""
    scope = {"__name__": "program"}
    with as_torch.installed():
        exec(compile(textwrap.dedent(text), "program.py", "exec"), scope)
    return scope


# ---- every spelling ------------------------------------------------------------------------------------

SPELLINGS = {
    "import torch; x = torch.Tensor": ad.Tensor,
    "import torch as t; x = t.nn.functional.relu": functional.relu,
    "import torch.nn as nn; x = nn.Linear": nn.Linear,
    "import torch.nn; x = torch.nn.Linear": nn.Linear,
    "from torch import nn, optim; x = (nn.Linear, optim.SGD)": (nn.Linear, optim.SGD),
    "import torch.nn.functional as F; x = F.cross_entropy": functional.cross_entropy,
    "from torch.nn import functional as F; x = F.cross_entropy": functional.cross_entropy,
    "from torch.nn.functional import relu as x": functional.relu,
    "from torch.nn import Linear as x": nn.Linear,
    "from torch.nn.parameter import Parameter as x": nn.Parameter,
    "from torch.nn.modules import Linear as x": nn.Linear,
    "from torch.nn.modules.loss import MSELoss as x": nn.MSELoss,
    "from torch.nn.utils import clip_grad_norm_ as x": utils.clip_grad_norm_,
    "import torch; x = torch.nn.utils.clip_grad_norm_": utils.clip_grad_norm_,
    "import torch.nn.init as init; x = init.xavier_uniform_": init.xavier_uniform_,
    "import torch; x = torch.nn.init.zeros_": init.zeros_,
    "import torch.optim as optim; x = optim.Adam": optim.Adam,
    "from torch.optim import lr_scheduler; x = lr_scheduler.StepLR": optim.lr_scheduler.StepLR,
    "from torch.optim.lr_scheduler import StepLR as x": optim.lr_scheduler.StepLR,
    "import torch; x = torch.optim.lr_scheduler.StepLR": optim.lr_scheduler.StepLR,
    "from torch.optim.lr_scheduler import _LRScheduler as x": optim.lr_scheduler.LRScheduler,
    "from torch.optim.optimizer import Optimizer as x": optim.Optimizer,
    "from torch.optim.adam import Adam as x": optim.Adam,
    "from torch.utils.data import DataLoader as x": data.DataLoader,
    "import torch; x = torch.utils.data.DataLoader": data.DataLoader,
    "import torch.utils.data as data; x = data.TensorDataset": data.TensorDataset,
    "from torch.utils import data; x = data.random_split": data.random_split,
    "from torch.utils.data.dataset import Dataset as x": data.Dataset,
    "from torch.autograd import Variable as x": ad.Tensor,
    "from torch.autograd import Function as x": ad.Function,
    "from torch.autograd.function import Function as x": ad.Function,
    "import torch; x = torch.autograd.grad": ad.autograd.grad,
    "from torch.func import grad as x": ad.grad,
    "from torchvision import datasets, transforms; x = (datasets.MNIST, transforms.Compose)": (datasets.MNIST, transforms.Compose),
    "from torchvision.datasets import FashionMNIST as x": datasets.FashionMNIST,
    "import torchvision; x = torchvision.models.resnet18": models.resnet18,
    "import torchvision; x = torchvision.transforms.ToTensor": transforms.ToTensor,
    "import torchvision.transforms as T; x = T.Normalize": transforms.Normalize,
    "from torchvision.transforms.transforms import Lambda as x": transforms.Lambda,
    "import torch; x = torch.device('cpu')": ad.device("cpu"),
    "import torch; x = torch.cuda.is_available()": False,
    "import torch; x = torch.backends.mps.is_available()": False,
    "import torch; x = torch.accelerator.is_available()": False,
    "import torch; x = torch.accelerator.current_accelerator()": None,
    "import torch; x = torch.cuda.device_count()": 0,
    "import torch; x = torch.version.cuda": None,
    "import torch; x = torch.float32": ad.float32,
    "import torch; x = torch.numel(torch.ones(2, 3))": 6,
    "import torch; x = torch.is_floating_point(torch.tensor([1]))": False,
    "import torch; x = isinstance(torch.zeros(1).dtype, torch.dtype)": True,
    "import torch; x = int(torch.__version__.split('.')[0]) >= 2": True,
    "import torch; x = torch.random.manual_seed": ad.manual_seed,
    "import torch; torch.backends.cudnn.benchmark = True; x = torch.backends.cudnn.benchmark": True,
    "import torch; x = (torch.set_num_threads, torch.get_num_threads)": (ad.set_num_threads, ad.get_num_threads),
    "import torch; x = torch.no_grad": ad.no_grad,
    "import torch; x = torch.inference_mode": ad.inference_mode,
    "import torch; x = torch.save": files.save,
    "import torch; x = torch.compile": extras.compile,
    "import torch; x = torch.nn is __import__('torch.nn').nn": True,
    "from torch.nn import *; x = Linear": nn.Linear,
    "from torch import *; x = manual_seed": ad.manual_seed,
}  # fmt: skip


@pytest.mark.parametrize("text", SPELLINGS)
def test_every_spelling(text):
    x, expected = run(text)["x"], SPELLINGS[text]
    assert x == expected and type(x) is type(expected)


def test_settings_that_change_nothing(torch):
    torch.cuda.manual_seed_all(3)
    torch.cuda.empty_cache()
    torch.use_deterministic_algorithms(True)
    torch.set_float32_matmul_precision("high")
    torch.set_default_device("cpu")
    assert torch.get_default_device() == torch.device("cpu")
    with pytest.raises(RuntimeError, match="device 'cuda' does not exist here"):
        torch.set_default_device("cuda")
    with pytest.raises(RuntimeError, match="highest, high or medium"):
        torch.set_float32_matmul_precision("low")


def test_all_of_ours_is_answered(torch):
    menus = {
        "nn": nn, "nn.functional": functional, "optim": optim, "utils.data": data,
        "autograd": ad.autograd, "optim.lr_scheduler": optim.lr_scheduler,
    }  # fmt: skip
    for path, package in menus.items():
        module = importlib.import_module(f"torch.{path}")
        for name in answers.listed(package):
            value = getattr(package, name)
            if isinstance(value, type) or callable(value):
                assert name.startswith("_") or getattr(module, name) is value
    for name in ("matmul", "cat", "sum", "softmax", "add", "zeros", "Tensor", "manual_seed", "no_grad"):
        answered = getattr(torch, name)
        assert getattr(answered, "__wrapped__", answered) is getattr(ad, name)


def test_what_arrives_later_is_answered(monkeypatch):
    monkeypatch.setattr(nn, "Foo", nn.Linear, raising=False)
    monkeypatch.setattr(nn, "__all__", [*nn.__all__, "Foo"])
    assert run("from torch.nn import Foo as x")["x"] is nn.Linear


@pytest.mark.skipif(not at_least("2.13"), reason="the modules of PyTorch 2.13")
def test_the_modules_are_pytorchs():
    for name in answers.SOURCES:
        if name.startswith("torch.") and name != "torch.func":
            importlib.import_module(name)


def test_menus(torch):
    assert {"nn", "matmul", "Tensor", "cuda"} <= set(dir(torch))
    assert {"Linear", "functional"} <= set(dir(torch.nn)) and "checkpoint" not in dir(torch.nn)
    assert "Linear" in torch.nn.__all__ and "functional" not in torch.nn.__all__


# ---- names we lack -------------------------------------------------------------------------------------

MISSING = [
    ("import torch\ntorch.nn.Linaer", AttributeError, "module 'torch.nn' has no attribute 'Linaer'",
     "program.py:2", "torch.nn.Linear, which is near"),
    ("import torch\n\ntorch.cross_entropy_loss", AttributeError, "module 'torch' has no attribute 'cross_entropy_loss'",
     "program.py:3", "torch.cross_entropy"),
    ("import torch\ntorch.SGD", AttributeError, "module 'torch' has no attribute 'SGD'", "program.py:2", "torch.optim.SGD"),
    ("from torch.nn import Linaer", ImportError, "cannot import name 'Linaer' from 'torch.nn'",
     "program.py:1", "torch.nn.Linear, which is near"),
    ("from torch import manual_sed", ImportError, "cannot import name 'manual_sed' from 'torch'",
     "program.py:1", "torch.manual_seed"),
    ("import torch.optimm", ModuleNotFoundError, "No module named 'torch.optimm'", "program.py:1", "torch.optim, which is near"),
    ("from torch.utils.tensorboard import SummaryWriter", ModuleNotFoundError, "No module named 'torch.utils.tensorboard'",
     "program.py:1", "writing numbers to a file of your own"),
    ("import torchvision\ntorchvision.ops", AttributeError, "module 'torchvision' has no attribute 'ops'",
     "program.py:2", "docs/from-pytorch.md"),
    ("import torch\ntorch.qwertyuiop", AttributeError, "module 'torch' has no attribute 'qwertyuiop'",
     "program.py:2", "docs/from-pytorch.md"),
    ("import torch\ntorch.linalg", AttributeError, "module 'torch' has no attribute 'linalg'",
     "program.py:2", "docs/from-pytorch.md"),  # not torch.long or torch.diag
    ("import torch\ndef f(): return torch.distributed\nf()", AttributeError, "no attribute 'distributed'",
     "program.py:2", "one process"),
]  # fmt: skip


@pytest.mark.parametrize("text, kind, what, where, near", MISSING)
def test_names_we_lack(text, kind, what, where, near):
    with pytest.raises(kind) as caught:
        run(text)
    assert type(caught.value) is kind
    for part in (what, f"Where: {where}", "Try: ", near):
        assert part in str(caught.value)


def test_asking_for_a_name_is_no_error(torch):
    assert not hasattr(torch, "xyz") and not hasattr(torch.nn, "checkpoint") and not hasattr(torch, "_C")
    assert getattr(torch.nn, "Xyz", None) is None and not hasattr(torch, "__file__")
    scope = run("""
        try:
            import torch.distributed
        except ImportError:
            distributed = None
        try:
            from torch.amp import autocast
        except ImportError:
            autocast = None
    """)
    assert scope["distributed"] is scope["autocast"] is None


# ---- PyTorch beside it ---------------------------------------------------------------------------------


def test_ours_answers_even_where_pytorch_is_imported_and_goes_again(monkeypatch):
    theirs = type(sys)("torch")
    monkeypatch.setitem(sys.modules, "torch", theirs)
    monkeypatch.setitem(sys.modules, "torch.nn", type(sys)("torch.nn"))
    before, finders = dict(sys.modules), list(sys.meta_path)
    scope = run("import torch, torch.nn.functional, numpy")
    assert scope["torch"].Tensor is ad.Tensor and scope["numpy"] is np
    assert sys.modules == before and sys.meta_path == finders
    # who kept ours goes on with ours
    assert scope["torch"].optim.SGD is optim.SGD and sys.modules["torch"] is theirs


def test_all_is_as_before_after_an_error():
    before, finders = dict(sys.modules), list(sys.meta_path)
    with pytest.raises(ZeroDivisionError):
        run("import torch\n1 / 0")
    assert sys.modules == before and sys.meta_path == finders


def test_a_library_that_looks_for_torch_finds_ours(torch):
    pytest.importorskip("matplotlib")
    from matplotlib import cbook

    importlib.import_module("torch")
    found = cbook._unpack_to_numpy(torch.arange(3))
    assert isinstance(found, np.ndarray) and found.tolist() == [0, 1, 2]


# ---- out= ----------------------------------------------------------------------------------------------


def test_out(torch):
    x = torch.arange(6.0).reshape(2, 3)
    y, product = torch.empty(2, 2), torch.empty(2, 2)
    assert torch.matmul(x, x.T, out=y) is y and torch.equal(y, x @ x.T)
    view = product[:]
    torch.mul(y, 2, out=product)
    assert torch.equal(view, y * 2)  # it was written where it is
    values, indices = torch.empty(2), torch.empty(2, dtype=torch.int64)
    torch.max(x, 1, out=(values, indices))
    assert values.tolist() == [2, 5] and indices.tolist() == [2, 2]
    empty = torch.empty(0)
    assert torch.add(x, 1, out=empty) is empty and torch.equal(empty, x + 1)
    assert torch.add(torch.ones(2, dtype=torch.float64), 1, out=torch.empty(2)).dtype == torch.float32


def test_out_of_what_makes_tensors(torch):
    x = torch.empty(2)
    assert torch.ones(2, out=x) is x and x.tolist() == [1, 1]
    assert torch.arange(2.0, out=x) is x and x.tolist() == [0, 1]
    assert torch.rand(2, out=None).shape == torch.zeros(2, out=None).shape == (2,)


def test_out_that_does_not_fit(torch):
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        torch.mul(x, 2, out=torch.empty(2))
    with torch.no_grad():
        torch.mul(x, 2, out=torch.empty(2))
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type int64"):
        torch.mul(x.detach(), 2, out=torch.empty(2, dtype=torch.int64))
    with pytest.raises(RuntimeError, match=r"out has shape \[3\] and the result \[2\]"):
        torch.mul(x.detach(), 2, out=torch.empty(3))


# ---- older spellings ------------------------------------------------------------------------------------

OLDER = """
m.FloatTensor([1, 2]); m.FloatTensor([[1, 2], [3, 4]]); m.LongTensor([1, 2]); m.DoubleTensor([1.5]); m.ByteTensor([1, 0])
m.BoolTensor([True, False]); m.IntTensor([1]); m.ShortTensor([1]); m.CharTensor([1]); m.HalfTensor([1.5])
m.FloatTensor(2, 3).shape; m.FloatTensor(m.ones(2, 3).size()).shape; m.FloatTensor(); m.LongTensor(0)
m.FloatTensor((2, 3)); m.LongTensor(2).shape; m.FloatTensor(m.ones(2)); m.FloatTensor(m.ones(2).numpy())
m.ones(2).type(m.LongTensor); m.ones(2).type(m.DoubleTensor); m.tensor([1, 2]).type(m.FloatTensor)
isinstance(m.ones(2), m.FloatTensor); isinstance(m.ones(2), m.LongTensor); isinstance(3, m.FloatTensor)
"""


@pytest.mark.parametrize(
    "expression", [each.strip() for each in OLDER.replace("\n", ";").split(";") if each.strip()]
)
def test_older_spellings(expression):
    with as_torch.installed() as torch:
        ours = eval(expression, {"m": torch})
    theirs = eval(expression, {"m": libraries()[1].torch})
    assert_close(beside_torch.plain(ours), beside_torch.plain(theirs), rtol=0, atol=0)


@pytest.mark.parametrize("name", [False, True])
def test_the_older_default(torch, name):
    torch.set_default_tensor_type("torch.DoubleTensor" if name else torch.DoubleTensor)
    try:
        assert isinstance(torch.tensor([1.5]), torch.DoubleTensor)
        assert torch.finfo().dtype == "float64" and torch.Tensor([1]).dtype == torch.float64
    finally:
        torch.set_default_tensor_type("torch.FloatTensor" if name else torch.FloatTensor)
    assert torch.get_default_dtype() == torch.float32
    for wrong in ("torch.LongTensor", "torch.cuda.FloatTensor", torch.float64):
        with pytest.raises(TypeError, match="only floating-point|not available|invalid type object"):
            torch.set_default_tensor_type(wrong)


CONSTRUCTED = """m.Tensor(np.array([1.0, 2.0])); m.Tensor(np.array([[1, 2]])); m.Tensor(np.array([True])); m.Tensor(range(3))
m.Tensor([np.float64(3)]); m.Tensor(np.array([1, 2], np.float16)); m.Tensor(m.tensor([1, 2])); m.Tensor(m.ones(2).double())
m.Tensor((1, 2)); m.autograd.Variable(m.Tensor(np.array([1.0])))"""


@pytest.mark.parametrize("expression", [each.strip() for each in CONSTRUCTED.replace("\n", ";").split(";")])
def test_tensor_makes_the_default_dtype_of_arrays(expression):
    with as_torch.installed() as torch:
        ours = eval(expression, {"m": torch, "np": np})
    theirs = eval(expression, {"m": libraries()[1].torch, "np": np})
    assert_close(beside_torch.plain(ours), beside_torch.plain(theirs), rtol=0, atol=0)
    assert ad.Tensor(np.array([1.0, 2.0])).dtype == ad.float64  # as ever


def test_an_optimisers_step_is_a_whole_number_as_ever():
    """It is made by Tensor, too."""
    steps = []
    for text in (
        "import torch; from torch import nn, optim",
        "import autodiff as torch, nn; from nn import optim",
    ):
        scope = run(
            text
            + "\nw = nn.Linear(2, 1); o = optim.Adam(w.parameters()); w(torch.ones(1, 2)).sum().backward(); o.step()"
        )
        steps.append([state["step"].dtype for state in scope["o"].state.values()])
    assert steps[0] == steps[1]


LIMITS = """m.finfo(m.float32).eps; m.finfo(m.float32).max; m.finfo().min; m.finfo(m.float16).resolution; m.finfo(m.float64).tiny
m.finfo(m.float32).bits; m.finfo(m.float64).dtype; m.iinfo(m.int8).min; m.iinfo(m.int64).max; m.iinfo(m.uint8).bits
m.iinfo(m.int16).dtype; m.finfo(m.float32); m.iinfo(m.int64); m.finfo(m.float64).smallest_normal; m.finfo(m.float32) == m.finfo()"""


@pytest.mark.parametrize("expression", [each.strip() for each in LIMITS.replace("\n", ";").split(";")])
def test_limits_are_pythons_numbers(expression):
    with as_torch.installed() as torch:
        ours = eval(expression, {"m": torch})
    theirs = eval(expression, {"m": libraries()[1].torch})
    assert type(ours).__name__ == type(theirs).__name__
    assert repr(ours) == repr(theirs)


def test_limits_of_the_other_kind(torch):
    with pytest.raises(TypeError, match="requires a floating point input type"):
        torch.finfo(torch.int64)
    with pytest.raises(TypeError, match="requires an integer input type"):
        torch.iinfo(torch.float32)


def test_initialisers_before_their_underscore(torch):
    weight = torch.empty(3, 4)
    with pytest.warns(FutureWarning, match="in favor of `nn.init.xavier_uniform_`"):
        assert torch.nn.init.xavier_uniform(weight, gain=2) is weight
    assert 0 < abs(weight).max() <= 2 * (6 / 7) ** 0.5


# ---- compile -------------------------------------------------------------------------------------------


def test_compile(torch):
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
    compiled = torch.compile(model, mode="reduce-overhead", fullgraph=True)
    x = torch.arange(6.0).reshape(2, 3)
    assert isinstance(compiled, torch.nn.Module) and compiled.training
    compiled.eval()
    assert not model.training and not model[1].training
    assert torch.equal(compiled(x), model(x))
    compiled(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    assert list(compiled.parameters()) == list(model.parameters())
    assert list(compiled.state_dict()) == [f"_orig_mod.{name}" for name in model.state_dict()]
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = compiled.nothing


def test_compile_of_functions(torch):
    @torch.compile
    def f(x):
        return x * 2

    @torch.compile(dynamic=True)
    def g(x):
        return x + 1

    h = lambda x: x
    assert f(torch.ones(2)).tolist() == g(torch.ones(2)).tolist() == [2, 2]
    assert isinstance(f, type(ad.compile(h))) and torch.compile(h, disable=True) is h


# ---- files ---------------------------------------------------------------------------------------------

safetensors = pytest.mark.skipif(
    not importlib.util.find_spec("safetensors"), reason="safetensors is not installed"
)


def contents():
    """What programs save."""
    model = nn.Linear(2, 3)
    optimizer = optim.Adam(model.parameters())
    model(ad.ones(1, 2)).sum().backward()
    optimizer.step()
    return {
        "model": dict(model.state_dict()), "optimizer": optimizer.state_dict(), "epoch": 3,
        "best": (0.5, None, "x"), "list": [ad.arange(3), True], "leaf": ad.ones(2, requires_grad=True),
    }  # fmt: skip


def plain(value):
    if isinstance(value, ad.Tensor):
        return str(value.dtype), value.tolist(), value.requires_grad
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.skipif(not at_least("2.13"), reason="the signatures of PyTorch 2.13")
def test_arguments_are_pytorchs():
    import torch

    for name in ("save", "load"):
        ours, theirs = (
            [(p.name, p.kind) for p in inspect.signature(function).parameters.values()]
            for function in (getattr(files, name), getattr(torch, name))
        )
        assert ours == [(name, kind) for name, kind in theirs if name != "_disable_byteorder_record"]


@safetensors
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "make", [contents, lambda: ad.arange(4.0), lambda: [1, ad.ones(2)], lambda: 2.5, lambda: {}]
)
def test_what_is_saved_is_loaded(tmp_path, stream, make):
    value = make()
    f = io.BytesIO() if stream else tmp_path / "x.pt"
    files.save(value, f)
    if stream:
        f.seek(0)
    assert plain(files.load(f, weights_only=True)) == plain(value)


@safetensors
def test_an_open_file(tmp_path):
    with open(tmp_path / "x.pt", "wb") as f:
        files.save(ad.arange(3), f)
    with open(tmp_path / "x.pt", "rb") as f:
        assert files.load(f).tolist() == [0, 1, 2]


@safetensors
@pytest.mark.parametrize(
    "location", [None, "cpu", ad.device("cpu"), {"cuda:0": "cpu"}, lambda storage, where: storage]
)
def test_map_location(tmp_path, location):
    files.save(ad.arange(3), tmp_path / "x")
    assert files.load(tmp_path / "x", location).tolist() == [0, 1, 2]
    with pytest.raises(RuntimeError, match="device 'cuda' does not exist here"):
        files.load(tmp_path / "x", "cuda")


@safetensors
def test_bare_safetensors_are_loaded(tmp_path):
    checkpoint.save_tensors(tmp_path / "x.safetensors", {"a.b": ad.arange(3), "c": ad.ones(())})
    found = files.load(tmp_path / "x.safetensors")
    assert plain(found) == plain({"a.b": ad.arange(3), "c": ad.ones(())})
    assert plain(files.load(io.BytesIO((tmp_path / "x.safetensors").read_bytes()))) == plain(found)


@pytest.mark.parametrize(
    "make", [lambda: nn.Linear(2, 2), lambda: {"a": [nn.Linear(2, 2)]}, lambda: optim.SGD([ad.ones(1)])]
)
def test_whole_objects_are_refused(tmp_path, make):
    with pytest.raises(TypeError, match=r"no whole objects .* Try: torch.save\(model.state_dict\(\), f\)"):
        files.save(make(), tmp_path / "x")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("stream", [False, True])
def test_pickles_are_refused_and_never_run(tmp_path, protocol, stream):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    content = pickle.dumps(Trap(), protocol)
    (tmp_path / "model.pt").write_bytes(content)
    f = io.BytesIO(content) if stream else tmp_path / "model.pt"
    with pytest.raises(
        pickle.UnpicklingError, match=r"is a program that runs .* safetensors.torch.save_file\("
    ):
        files.load(f, weights_only=False)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_pytorchs_own_files_are_refused_with_the_way_out(tmp_path, zipped, monkeypatch):
    """And the way out, followed to the letter, leads to a file that is read."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    torch.save({"w": torch.arange(3.0)}, "model.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(pickle.UnpicklingError) as refused:
        files.load("model.pt")
    lines = str(refused.value).split("two lines: ")[1].split(". torch.load")[0]
    exec(lines, {})
    assert files.load("model.safetensors")["w"].tolist() == [0, 1, 2]


@safetensors
def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.load(tmp_path / "x")
    with pytest.raises(RuntimeError, match="Parent directory .* does not exist"):
        files.save({}, tmp_path / "folder" / "x")
    (tmp_path / "x").write_bytes(b"anything else")
    with pytest.raises(ValueError, match="cut short or not a safetensors file"):
        files.load(tmp_path / "x")
    with pytest.raises(ValueError, match="the BytesIO is cut short or not a safetensors file"):
        files.load(io.BytesIO(b"anything else"))


# ---- running -------------------------------------------------------------------------------------------


def written(path, text):
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def test_run_gives_the_programs_names_and_leaves_no_trace(tmp_path):
    written(tmp_path / "beside_the_program.py", "import torch\nTensor = torch.Tensor")
    program = written(tmp_path / "program.py", """
        import sys, torch
        from beside_the_program import Tensor
        name, main, argv, path = __name__, sys.modules["__main__"], sys.argv, sys.path[0]
        def annotated(x: Tensor): pass
    """)  # fmt: skip
    before = sys.argv, sys.path[:], sys.modules["__main__"]
    found = as_torch.run(program, ["--epochs", "3"])
    assert found["name"] == "__main__" and vars(found["main"]) is found
    assert found["argv"] == [str(program), "--epochs", "3"] and found["path"] == str(tmp_path)
    assert found["Tensor"] is ad.Tensor and found["annotated"].__annotations__ == {"x": ad.Tensor}
    assert (sys.argv, sys.path, sys.modules["__main__"]) == before and "beside_the_program" not in sys.modules
    with pytest.raises(SystemExit) as stopped:
        as_torch.run(written(program, "import sys; sys.exit(3)"))
    assert stopped.value.code == 3 and sys.argv == before[0]


def python(*args, cwd=ROOT):
    done = subprocess.run([sys.executable, *map(str, args)], cwd=cwd, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


ALIKE = {
    "what it sees": """
        import sys
        unlike = {"__loader__", "__annotations__"}  # only some versions have the latter
        print(__name__, __file__, __package__, __spec__, __doc__, sys.argv, sys.path, sorted(globals().keys() - unlike))
        class A: pass
        import pickle; print(A.__module__, type(pickle.loads(pickle.dumps(A()))) is A)
        print("a line on stderr", file=sys.stderr)
    """,
    "an exit code": "import sys; print(1); sys.exit(7)",
    "an exit with a text": "raise SystemExit('enough')",
    "an error": """
        def f(x):
            return 1 / x
        try:
            f(0)
        except ZeroDivisionError as error:
            raise ValueError("no") from error
    """,
    "an error in its syntax": "print(1)\nx = = 2",
    "an interrupt": "raise KeyboardInterrupt",
}


@pytest.mark.parametrize("name", ALIKE)
def test_a_program_is_run_as_python_runs_it(tmp_path, name):
    program = written(tmp_path / "program.py", ALIKE[name])
    expected = python(program, "--a", "-b", "c")
    found = python("-m", "nn.as_torch", program, "--a", "-b", "c")
    assert found == expected
    if name == "an interrupt" and os.name == "posix":
        assert found[0] == -signal.SIGINT


def test_a_traceback_may_be_long(tmp_path):
    program = written(tmp_path / "program.py", "def f():\n    f()\nf()")
    code, _, text = python("-m", "nn.as_torch", program)
    assert code == 1 and "more times]" in text and "as_torch" not in text
    assert text.splitlines()[-1].startswith("RecursionError")


def test_a_missing_name_ends_in_the_programs_own_line(tmp_path):
    program = written(tmp_path / "program.py", """
        import torch.nn as nn

        def build():
            return nn.Linaer(3, 4)

        build()
    """)  # fmt: skip
    code, _, text = python("-m", "nn.as_torch", program)
    assert code == 1 and text.count("File ") == 2
    assert text.splitlines()[-1].startswith(
        "AttributeError: module 'torch.nn' has no attribute 'Linaer'. Where: program.py:5"
    )
    assert not text.rstrip().endswith("?")  # Python's own guess would come a second time
    written(program, "\nfrom torch.nn import Linaer")
    code, _, text = python("-m", "nn.as_torch", program)
    assert code == 1 and text.count("File ") == 1
    assert text.splitlines()[-1].startswith(
        "ImportError: cannot import name 'Linaer' from 'torch.nn'. Where: program.py:2"
    )


def test_the_command_line():
    code, _, text = python("-m", "nn.as_torch", "no_such_program.py")
    assert code == 2 and "there is no file no_such_program.py" in text
    code, _, text = python("-m", "nn.as_torch")
    assert code == 2 and "required: PROGRAM.py" in text
    code, text, _ = python("-m", "nn.as_torch", "--help")
    assert code == 0 and "unmodified" in text
