"""The museum of gradient bugs: the tests of the tests.

Each exhibit is a bug that really happened in some engine, or is a classic, as a mutant of this one: it
can be switched on and off.

    >>> from autodiff.testing import check_gradients, museum
    >>> with museum.mutant("softmax_diagonal"):
    ...     check_gradients(lambda x: ad.softmax(x, 0), [0.0, 1.0])      # says what is wrong

`python -m autodiff.testing museum` runs every mutant against every checker.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from . import rooms
from .exhibit import EXHIBITS, Exhibit, Program


def mutant(name: str) -> AbstractContextManager:
    """The engine with this bug in it, inside. (For all threads: it is one engine.)"""
    if name not in EXHIBITS:
        raise KeyError(f"there is no exhibit {name!r}: the exhibits are {', '.join(EXHIBITS)}")
    return EXHIBITS[name].mutation()
