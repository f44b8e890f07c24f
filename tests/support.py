"""What tests of several parts share."""

from __future__ import annotations

from autodiff.testing import check_gradients


def check_derivatives(f, *arrays, seed=0, order=2):
    """Everything that the kit checks of f's derivatives at these arrays, in double precision."""
    check_gradients(f, *arrays, seed=seed, order=order)
