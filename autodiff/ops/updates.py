"""Writing to memory, which in-place operators and optimisers do: never recorded, always noted.

What changes from call to call, such as a learning rate, is an input; the rest are options.
"""

from __future__ import annotations

from ..kernels import updates as kernels
from ..primitive import update


def _assign(target, value):
    """target ← value, in target's own memory."""
    target[...] = value


def _sgd_step(p, velocity, g, lr, **options):
    """A step of stochastic gradient descent; velocity is None without momentum."""
    kernels.sgd(p, g, velocity, lr=float(lr), **options)


def _adam_step(p, mean, square, largest, step, g, lr, **options):
    """A step of Adam; `step` counts them, and largest is None without amsgrad."""
    step += 1
    kernels.adam(p, g, mean, square, largest, lr=float(lr), step=int(step), **options)


assign = update("assign", _assign, "target value")
sgd_step = update("sgd_step", _sgd_step, "p velocity g lr", writes=2)
adam_step = update("adam_step", _adam_step, "p mean square largest step g lr", writes=5)
