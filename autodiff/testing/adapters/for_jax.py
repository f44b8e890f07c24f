"""JAX, in float64."""
# pyright: reportMissingImports=false

from __future__ import annotations

import jax
import jax.numpy as jnp

from .numpy_like import numpy_functions
from .recorded import Recording


class JAX(Recording):
    """`jax.vjp` of what was called; `jax.jvp` and `jax.grad` for the rest."""

    name, version = "JAX", jax.__version__
    abilities = frozenset({"forward mode", "second order"})
    imports = 'import jax\nimport jax.numpy as np\n\njax.config.update("jax_enable_x64", True)'
    spelled_grad, spelled_jvp = "jax.grad({f}, ({n},))", "jax.jvp({f}, tuple({xs}), tuple({ts}))[1]"
    spelled_vjp = "y, back = jax.vjp(program, {xs})\nprint(*back({gs}))"
    waived = {**Recording.waived, "untouched": "its arrays cannot be written"}

    def __init__(self):
        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_disable_jit", True)  # every new shape would be compiled, for minutes
        self.native = {
            **numpy_functions(jnp),
            "relu": lambda x: jax.nn.relu(x),
            "sigmoid": lambda x: jax.nn.sigmoid(x),
            "log_sigmoid": lambda x: jax.nn.log_sigmoid(x),
            "softplus": lambda x: jax.nn.softplus(x),
            "erf": lambda x: jax.scipy.special.erf(x),
            "rsqrt": lambda x: jax.lax.rsqrt(x),
            "softmax": lambda x, dim: jax.nn.softmax(x, axis=dim),
            "log_softmax": lambda x, dim: jax.nn.log_softmax(x, axis=dim),
            "logsumexp": lambda x, dim=None, keepdim=False: jax.nn.logsumexp(x, axis=dim, keepdims=keepdim),
        }

    def own(self, array):
        return jnp.asarray(array)

    def vjp(self, f, xs, gs):
        return jax.vjp(f, *xs)[1](tuple(gs))

    def grad(self, f, xs):
        return jax.grad(f, argnums=tuple(range(len(xs))))(*xs)

    def tangents(self, f, xs, ts):
        return jax.jvp(f, tuple(xs), tuple(ts))[1]


ENGINE = JAX
