"""HIPS autograd."""
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false

from __future__ import annotations

from importlib.metadata import version

import autograd
import autograd.numpy as anp
import autograd.scipy.special as special
from autograd.builtins import tuple as traced_tuple

from .numpy_like import numpy_functions
from .recorded import Recording


class Autograd(Recording):
    """`autograd.make_vjp` of what was called; `make_jvp` and `grad` for the rest."""

    name, version = "autograd", version("autograd")
    abilities = frozenset({"forward mode", "second order", "memory"})
    imports = "import autograd\nimport autograd.numpy as np\nimport autograd.scipy.special as special"
    spelled_vjp = "back, y = autograd.make_vjp(program, argnum=({n},))({xs})\nprint(back({gs}))"

    def __init__(self):
        self.native = {
            **numpy_functions(anp),
            "erf": lambda x: special.erf(x),
            "sigmoid": lambda x: special.expit(x),
            "logsumexp": lambda x, dim=None, keepdim=False: special.logsumexp(x, axis=dim, keepdims=keepdim),
        }

    def vjp(self, f, xs, gs):
        back, _ = autograd.make_vjp(lambda *x: traced_tuple(f(*x)), tuple(range(len(xs))))(*xs)
        return back(tuple(gs))

    def grad(self, f, xs):
        return autograd.grad(f, tuple(range(len(xs))))(*xs)

    def tangents(self, f, xs, ts):
        return autograd.make_jvp(lambda *x: traced_tuple(f(*x)), tuple(range(len(xs))))(*xs)(tuple(ts))[1]


ENGINE = Autograd
