"""What answers for `torch` and `torchvision`: the table, the module objects, and the import finder."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.machinery import ModuleSpec
from inspect import unwrap
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import autodiff
from autodiff import dlpack, random
from autodiff.errors import explanation
from autodiff.primitive import Primitive
from autodiff.provenance import describe, ours
from autodiff.tensor import Handle

from .. import data, datasets, functional, images, init, models, optim, transforms, utils
from . import extras, legacy, machine

ROOTS = ("torch", "torchvision")
FOLDER = str(Path(__file__).parent)
nn = sys.modules[__package__.partition(".")[0]]

hooks = SimpleNamespace(RemovableHandle=Handle)
version = SimpleNamespace(__version__=extras.VERSION, cuda=None, hip=None, git_version=None)
transformed = SimpleNamespace(
    grad=autodiff.grad, hessian=autodiff.hessian, jacfwd=autodiff.jacobian, jacrev=autodiff.jacobian,
    jvp=autodiff.jvp, vjp=autodiff.vjp,
)  # fmt: skip
pictures = SimpleNamespace(ResNet=models.ResNet, resnet18=models.resnet18)

# Each of PyTorch's modules, and where its names are looked for. What these get later, it has.
SOURCES: dict[str, tuple[Any, ...]] = {
    "torch": (extras, autodiff, legacy.tensors),
    "torch.accelerator": (machine.accelerator,),
    "torch.autograd": (autodiff.autograd, legacy.autograd),
    "torch.backends": (),
    "torch.backends.cuda": (machine.back_end,),
    "torch.backends.cudnn": (machine.cudnn(),),
    "torch.backends.mps": (machine.back_end,),
    "torch.cuda": (machine.cuda,),
    "torch.func": (transformed,),
    "torch.mps": (machine.mps,),
    "torch.nn": (nn,),
    "torch.nn.functional": (functional,),
    "torch.nn.init": (init, legacy.initialisers),
    "torch.nn.utils": (utils,),
    "torch.optim": (optim,),
    "torch.optim.lr_scheduler": (optim.lr_scheduler, legacy.lr_scheduler),
    "torch.random": (random,),
    "torch.utils": (),
    "torch.utils.data": (data,),
    "torch.utils.dlpack": (dlpack,),
    "torch.utils.hooks": (hooks,),
    "torch.version": (version,),
    "torch.xpu": (machine.xpu,),
    "torchvision": (version,),
    "torchvision.datasets": (datasets,),
    "torchvision.models": (pictures,),
    "torchvision.transforms": (transforms,),
    "torchvision.utils": (images,),
}
# Modules of PyTorch's whose names are also in the module around them, where they are looked for here.
INSIDE = {
    "torch.autograd": "function grad_mode variable",
    "torch.nn": "modules parameter",
    "torch.nn.modules": "activation batchnorm container conv distance dropout flatten fold linear loss module "
    "normalization padding pixelshuffle pooling rnn sparse transformer upsampling",
    "torchvision.transforms": "transforms",
}
for around, names in INSIDE.items():
    SOURCES.update({f"{around}.{name}": SOURCES[around] for name in names.split()})
# Where the modules that our packages have are not PyTorch's; elsewhere they have the same names.
OWN_WAYS = ("torch", "torch.nn", "torchvision")

# What programs ask for and will not get, and what to do instead.
INSTEAD = {
    "torch.amp": "computing in float32, as the model does without it",
    "torch.autograd.functional": "torch.func.jacrev, hessian, vjp and jvp",
    "torch.bfloat16": "torch.float32",
    "torch.cuda.amp": "computing in float32, as the model does without it",
    "torch.distributed": "one process: the kernels use its threads",
    "torch.jit": "torch.compile, or the model as it is",
    "torch.multiprocessing": "one process: the kernels use its threads",
    "torch.onnx": "nn.checkpoint.save_tensors for the weights",
    "torch.utils.tensorboard": "writing numbers to a file of your own",
}
MISSING = object()


class Answer(ModuleType):
    """A module of PyTorch's: its names are those of our packages, looked up when first asked for."""

    __path__: list[str]

    def __init__(self, name: str, answers: Answers):
        super().__init__(name, f"{name}, answered by autodiff and nn")
        self.__path__ = []  # a package, whose modules are found by the finder alone
        self.__version__ = extras.VERSION
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return names_in(self.__name__)
        if name.startswith("__"):
            raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")
        full = f"{self.__name__}.{name}"
        value = found(self.__name__, name)
        if value is MISSING and sources(full) is not None:
            value = self._answers.module(full)
        if value is not MISSING:
            vars(self)[name] = value
            return value
        # `from torch.nn import Foo` asks so, and would hide an AttributeError behind a text of its own.
        if sys._getframe(1).f_code.co_name == "_handle_fromlist":
            text = missing(full, f"cannot import name '{name}' from '{self.__name__}'")
            raise ImportError(text, name=self.__name__)
        text = missing(full, f"module '{self.__name__}' has no attribute '{name}'")
        raise AttributeError(text, name=full, obj=self)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *names_in(self.__name__), *modules_in(self.__name__)})


class Answers:
    """An import finder, and loader, of the modules in the table; each is made once."""

    def __init__(self) -> None:
        self.made: dict[str, Answer] = {}

    def module(self, name: str) -> Answer:
        """The module of this name."""
        if name not in self.made:
            self.made[name] = Answer(name, self)
        return self.made[name]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] not in ROOTS:
            return None
        if sources(name) is None:
            raise ModuleNotFoundError(missing(name, f"No module named '{name}'"), name=name)
        return ModuleSpec(name, self, origin="autodiff and nn", is_package=True)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> Answer:
        return self.module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """All of it is there."""


def install() -> Answers:
    """Let every import of `torch` and `torchvision` from now on be answered by ours, and `Tensor` make tensors of
    the default dtype, as theirs does."""
    answers = Answers()
    for name in theirs():
        del sys.modules[name]
    sys.meta_path.insert(0, answers)  # type: ignore[arg-type]
    autodiff.Tensor.keeps_dtype = False
    return answers


@contextmanager
def installed() -> Iterator[ModuleType]:
    """Inside, `import torch` gives ours, which it hands out as well; who imported PyTorch before keeps
    that, and afterwards it is back."""
    before, keeps_dtype = {name: sys.modules[name] for name in theirs()}, autodiff.Tensor.keeps_dtype
    answers = install()
    try:
        yield answers.module("torch")
    finally:
        sys.meta_path.remove(answers)  # type: ignore[arg-type]
        autodiff.Tensor.keeps_dtype = keeps_dtype
        for name in theirs():
            del sys.modules[name]
        sys.modules.update(before)


def theirs() -> list[str]:
    """The modules of these names that are imported at present."""
    return [name for name in sys.modules if name.partition(".")[0] in ROOTS]


# ---- names -----------------------------------------------------------------------------------------


def sources(module: str) -> tuple[Any, ...] | None:
    """Where the names of a module of PyTorch's are looked for; None for one that we lack."""
    if module in SOURCES:
        return SOURCES[module]
    around, _, name = module.rpartition(".")
    if not around or around in OWN_WAYS:
        return None
    inner = [getattr(source, name) for source in sources(around) or () if name in inner_modules(source)]
    return tuple(inner) or None


def inner_modules(source: Any) -> list[str]:
    """The modules of one of our packages."""
    return [
        name
        for name, value in vars(source).items()
        if isinstance(value, ModuleType) and value.__name__ == f"{source.__name__}.{name}"
    ]


def listed(source: Any) -> Any:
    """The names that one of our packages, or a few names put together here, has for others."""
    if isinstance(source, SimpleNamespace):
        return vars(source)
    return getattr(source, "__all__", None) or [name for name in vars(source) if not name.startswith("_")]


def found(module: str, name: str) -> Any:
    """What `name` means in PyTorch's `module`; MISSING if none of its sources has it."""
    for source in sources(module) or ():
        value: Any = getattr(source, name, MISSING)
        if name in listed(source) and not isinstance(value, ModuleType):
            return extras.with_out(value) if module == "torch" and is_operation(value) else value
    return MISSING


def is_operation(value: Any) -> bool:
    """Is it a function of numbers, or a maker of tensors, which can be told where to write?"""
    return (
        isinstance(value, Primitive)
        or getattr(value, "__name__", None) in extras.MAKERS
        or (
            callable(value)
            and not isinstance(value, type)
            and getattr(unwrap(value), "__module__", "").startswith("autodiff.ops")
        )
    )


def names_in(module: str) -> list[str]:
    """All that `found` finds in a module."""
    names = {name for source in sources(module) or () for name in listed(source)}
    return sorted(name for name in names if found(module, name) is not MISSING)


def modules_in(module: str) -> list[str]:
    names = {full.rpartition(".")[2] for full in SOURCES if full.rpartition(".")[0] == module}
    if module not in OWN_WAYS:
        names.update(name for source in sources(module) or () for name in inner_modules(source))
    return sorted(names)


def missing(full: str, what: str) -> str:
    """The text of the error for a name that nobody has: `what`, in Python's words, and the rest."""
    module, _, name = full.rpartition(".")
    inside = {f"{each}.{part}" for each, parts in INSIDE.items() for part in parts.split()}
    near = [f"{each}.{name}" for each in SOURCES if each not in inside and found(each, name) is not MISSING]
    if sources(module) is not None:
        known = {*names_in(module), *modules_in(module)} - {each.rpartition(".")[2] for each in inside}
        near += [f"{module}.{each}" for each in get_close_matches(name, sorted(known), 3, cutoff=0.7)]
    remedy = [INSTEAD[full]] if full in INSTEAD else []
    if near:
        remedy.append(f"{' or '.join(near)}, which {'is' if len(near) == 1 else 'are'} near")
    return explanation(
        what,
        where=asked_at(),
        why="`python -m nn.as_torch` answers from autodiff and nn, which have nothing of that name",
        remedy="; ".join(remedy) or "docs/from-pytorch.md says what is answered, and what is refused",
    )


def asked_at() -> str:
    """The line of the program, or of a library it uses, that asked for a name."""
    frame = sys._getframe(2)
    while frame.f_back and is_between(frame.f_code.co_filename):
        frame = frame.f_back
    return describe((frame.f_code, frame.f_lasti))


def is_between(filename: str) -> bool:
    """Does a frame of this file stand between the program and a name: the import system's, or ours?"""
    return filename.startswith(("<frozen importlib", FOLDER)) or ours[filename]
