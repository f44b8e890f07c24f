"""What the tests of compiled functions share."""

from __future__ import annotations

import numpy as np

import autodiff as ad


def programs_of(compiled) -> list:
    return [program for programs in compiled.programs.values() for program in programs]


def same(a, b, what="", rtol=0.0, atol=0.0):
    """Equal Tensors, in nested tuples, lists and dicts."""
    assert type(a) is type(b), what
    if isinstance(a, ad.Tensor):
        assert a.shape == b.shape and a.dtype == b.dtype, what
        np.testing.assert_allclose(b.detach().numpy(), a.detach().numpy(), rtol, atol, err_msg=what)
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), what
        for key in a:
            same(a[key], b[key], f"{what}[{key!r}]", rtol, atol)
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b), what
        for k, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{what}[{k}]", rtol, atol)
    else:
        assert a == b, what
