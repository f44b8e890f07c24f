"""What an exhibit is: a bug that can be switched on, what it hides in, its story, its sources, the fix."""

from __future__ import annotations

import importlib
import inspect
import linecache
import re
import textwrap
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Program:
    """A function that an engine differentiates, and what to call it with.

    text      its source: a lambda, over `ad`, `np` and, for what is of nn, `F`
    inputs    a strategy of its arguments, as the kit draws them
    typical   n ↦ arguments, as a test that was written in passing has them: n(*shape) are normal
              numbers, of one shape, no two of them equal, none of them 0
    without   the kit's checks that are not made, for the sound engine would fail them here, too
    """

    text: str
    inputs: Any
    typical: Callable[[Callable[..., np.ndarray]], tuple]
    without: tuple[str, ...] = ()

    @cached_property
    def function(self) -> Callable:
        """The program, whose source can be looked up as if it stood in a file."""
        file = f"<{self.text}>"
        linecache.cache[file] = (len(self.text), None, [self.text], file)
        return eval(compile(self.text, file, "eval"), self.names())

    def names(self) -> dict[str, Any]:
        names: dict[str, Any] = {"ad": importlib.import_module("autodiff"), "np": np}
        if "F." in self.text:
            names["F"] = functions_of_nn()
        return names

    def typical_arguments(self) -> tuple:
        rng = np.random.default_rng(1)
        return self.typical(lambda *shape: rng.standard_normal(shape))


def functions_of_nn(family: str = "") -> Any:
    """nn.functional, or a file of it. The engine imports nothing of nn; its museum visits it, by name."""
    return importlib.import_module(f"nn.functional.{family}" if family else "nn.functional")


@dataclass(frozen=True, eq=False)
class Exhibit:
    """A bug, and all that there is to know about it."""

    title: str
    mutation: Callable[[], AbstractContextManager]
    program: Program
    sources: tuple[str, ...]  # "owner/name#number", or "owner/name: path, where in it"
    fix: str
    operation: str | None = None  # the row of the table whose conventions it breaks
    scenario: str | None = None  # the scenario that it is about, if it is not about a program

    @property
    def name(self) -> str:
        return self.mutation.__name__

    @property
    def slug(self) -> str:
        """The name of its page."""
        return self.name.replace("_", "-")

    @property
    def room(self) -> str:
        return self.mutation.__module__.rpartition(".")[2]

    @property
    def story(self) -> str:
        return inspect.cleandoc(self.mutation.__doc__ or "")

    @property
    def code(self) -> str:
        """How it is done: what the mutation is made of, and its body."""
        function = inspect.unwrap(self.mutation)
        source = textwrap.dedent(inspect.getsource(function))
        _, _, body = source[source.index("\ndef ") + 1 :].partition('"""')
        body = textwrap.dedent(body.partition('"""')[2].lstrip("\n")).rstrip()
        return "\n\n\n".join([*map(source_of, parts_of(function)), body])

    def links(self) -> Iterator[tuple[str, str]]:
        """(text, address) of every source."""
        for source in self.sources:
            issue = re.fullmatch(r"([\w.-]+/[\w.-]+)#(\d+)", source)
            if issue:
                yield source, f"https://github.com/{issue[1]}/issues/{issue[2]}"
            else:
                repository, _, place = source.partition(": ")
                path = place.partition(",")[0]
                yield source, f"https://github.com/{repository}/blob/HEAD/{path}"


def parts_of(function: Any, known: tuple = ()) -> tuple:
    """The functions and classes of its own room that a function names, each after what it names itself."""
    for name in function.__code__.co_names if inspect.isfunction(function) else ():
        part = vars(inspect.getmodule(function)).get(name)
        if (
            part not in known
            and getattr(part, "__module__", "") == function.__module__
            and name not in EXHIBITS
        ):
            if inspect.isfunction(part) or inspect.isclass(part):
                known = (*parts_of(part, known), part)
    return known


def source_of(part: Any) -> str:
    return inspect.getsource(part).rstrip()


EXHIBITS: dict[str, Exhibit] = {}


def exhibit(
    title: str, program: Program, *, sources: tuple[str, ...] = (), fix: str, **more: Any
) -> Callable:
    """Put the decorated generator, which yields while the bug is in, on show. Its docstring is the
    story."""

    def shown(mutation: Callable[[], Iterator[None]]) -> Callable[[], AbstractContextManager]:
        switch = contextmanager(mutation)
        if mutation.__name__ in EXHIBITS:
            raise TypeError(f"there are two exhibits {mutation.__name__}")
        EXHIBITS[mutation.__name__] = Exhibit(title, switch, program, sources, fix, **more)
        return switch

    return shown
