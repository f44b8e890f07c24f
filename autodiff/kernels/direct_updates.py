"""The steps of the optimisers as one loop over the elements, compiled, in parts for several threads: `updates.py`
has the formulas.
"""

# An intrinsic's first parameter is Numba's own: callers leave it out, which pyright does not know.
# pyright: reportCallIssue=false

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import from_dtype, njit, types

from . import jit, jobs, team, vectorised
from .jobs import TOGETHER, at, numbers, words
from .team import LAUNCH, link
from .vectorised import linked, name_of

# ---- the loops ----------------------------------------------------------------------------------------


@njit(error_model="numpy")
def sgd_loop(p, g, velocity, rates, nesterov, maximize, first):
    """`updates.sgd`, element by element. (Without momentum there is no velocity: it is not looked at.)"""
    lr, momentum, undamped, weight_decay = rates[0], rates[1], rates[2], rates[3]
    for i in range(p.size):
        d = -g[i] if maximize else g[i]
        if weight_decay != 0:
            d += weight_decay * p[i]
        if momentum != 0:
            v = d if first else momentum * velocity[i] + undamped * d
            velocity[i] = v
            d = d + momentum * v if nesterov else v
        p[i] -= lr * d


@njit(error_model="numpy")
def adam_loop(p, g, mean, square, largest, rates, from_end, maximize, amsgrad):
    """`updates.adam`, element by element: lr and root are corrected for the step's number."""
    lr, near, far, beta2, unbeta2 = rates[0], rates[1], rates[2], rates[3], rates[4]
    eps, root, weight_decay, decay = rates[5], rates[6], rates[7], rates[8]
    for i in range(p.size):
        d = -g[i] if maximize else g[i]
        p[i] *= decay
        if weight_decay != 0:
            d += weight_decay * p[i]
        change = d - mean[i]
        m = d - far * change if from_end else mean[i] + near * change
        mean[i] = m
        s = square[i] * beta2 + d * unbeta2 * d
        square[i] = s
        if amsgrad:
            s = s if s >= largest[i] or s != s else largest[i]
            largest[i] = s
        p[i] -= m * lr / (np.sqrt(s) / root + eps)


# ---- in parts: a job for a team, and who hands it over ---------------------------------------------------
# As many parts as threads, so that each has the rows that are its own in the products of matrices: its core's cache
# holds their gradient, and will be asked for the new weights.


def sgd_job_for(number: type):
    """One part of a step of SGD, on numbers of one kind; the arguments as `sgd_for` leaves them."""

    def sgd_job(argument, part, parts):
        size, p, g, velocity, rates, nesterov, maximize, first = words(argument, 8)
        i, j = size * part // parts, size * (part + 1) // parts
        sgd_loop(
            numbers(p, i, j, number), numbers(g, i, j, number), numbers(velocity, i, j, number),
            numbers(rates, 0, 4, number), nesterov, maximize, first,
        )  # fmt: skip

    return sgd_job


def sgd_for(job: str):
    """The step of SGD, its parts done by a team as the job of this name."""

    def sgd(p, g, velocity, rates, nesterov, maximize, first, team, size):
        if size == 1:
            sgd_loop(p, g, velocity, rates, nesterov, maximize, first)
            return
        told = np.array([p.size, at(p), at(g), at(velocity), at(rates), nesterov, maximize, first])
        LAUNCH(team, linked(job), told.ctypes.data, size)
        told[0] = 0  # in use until here: Numba frees an array after the last line that names it

    return sgd


def adam_job_for(number: type):
    """One part of a step of Adam, on numbers of one kind; the arguments as `adam_for` leaves them."""

    def adam_job(argument, part, parts):
        size, p, g, mean, square, largest, rates, from_end, maximize, amsgrad = words(argument, 10)
        i, j = size * part // parts, size * (part + 1) // parts
        adam_loop(
            numbers(p, i, j, number), numbers(g, i, j, number), numbers(mean, i, j, number),
            numbers(square, i, j, number), numbers(largest, i, j, number),
            numbers(rates, 0, 9, number), from_end, maximize, amsgrad,
        )  # fmt: skip

    return adam_job


def adam_for(job: str):
    """The step of Adam, its parts done by a team as the job of this name."""

    def adam(p, g, mean, square, largest, rates, from_end, maximize, amsgrad, team, size):
        if size == 1:
            adam_loop(p, g, mean, square, largest, rates, from_end, maximize, amsgrad)
            return
        told = np.array([
            p.size, at(p), at(g), at(mean), at(square), at(largest), at(rates), from_end, maximize, amsgrad
        ])  # fmt: skip
        LAUNCH(team, linked(job), told.ctypes.data, size)
        told[0] = 0  # as above

    return adam


STEPS = {"sgd": (sgd_job_for, sgd_for), "adam": (adam_job_for, adam_for)}


@cache
def compiled(name: str, dtype: np.dtype, count: int) -> Callable:
    """The step called so, of `count` arrays of this dtype: (*arrays, rates, *flags, team, threads)."""
    link()
    job_for, step_for = STEPS[name]
    job = f"autodiff_{name}_job_{dtype}"
    made_from = jobs, vectorised
    name_of(job_for(dtype.type), [types.int64] * 3, job, made_from=made_from)
    number = from_dtype(dtype)
    written, read = types.Array(number, 1, "C"), types.Array(number, 1, "C", readonly=True)
    signature = types.void(written, read, *[written] * (count - 2), read, *[types.int64] * 5)
    title = f"the step of {name} for {dtype}"
    return jit.compiled(step_for(job), signature, title, made_from, error_model="numpy")


def run(name: str, arrays: tuple, rates: tuple, flags: tuple) -> None:
    """The step called so, on arrays of one dtype, dense in memory; None for one that is not looked at."""
    p = arrays[0]
    step = compiled(name, p.dtype, len(arrays))
    flat = [p.reshape(-1) if a is None else a.reshape(-1) for a in arrays]
    if p.size < TOGETHER:
        step(*flat, np.array(rates, p.dtype), *flags, 0, 1)
    else:
        team.run(step, *flat, np.array(rates, p.dtype), *flags)
