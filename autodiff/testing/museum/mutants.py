"""The tools that put a bug into the engine, and take it out again."""

from __future__ import annotations
import __future__ as features

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ...primitive import Primitive, parameters


@contextmanager
def ruled(primitive: Primitive, place: int, rule: Callable) -> Iterator[None]:
    """The vjp of the input at `place` is `rule`, which names what it reads as any rule does."""
    rules = list(primitive.rules)
    rules[place] = rule
    with changed(primitive, rules=tuple(rules), reads=[parameters(r) for r in rules], plans={}):
        yield


def pushed(primitive: Primitive, jvp: Callable) -> Any:
    """The jvp of the primitive is `jvp`."""
    return changed(primitive, jvp=jvp, jvp_reads=parameters(jvp))


@contextmanager
def changed(owner: Any, **attributes: Any) -> Iterator[None]:
    """The attributes of a module, a class or an instance are these."""
    missing = object()
    before = {name: vars(owner).get(name, missing) for name in attributes}
    for name, value in attributes.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is missing:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


@contextmanager
def everywhere(old: Any, new: Any) -> Iterator[None]:
    """`new` stands wherever a module of the project has `old`, under whichever name, or wrapped for its users."""
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.split(".")[0] in ("autodiff", "nn") and not name.startswith("autodiff.testing."):
                here = {
                    key: new for key, value in vars(module).items()
                    if value is old or getattr(value, "__wrapped__", None) is old
                }  # fmt: skip
                if here:
                    stack.enter_context(changed(module, **here))
        yield


@contextmanager
def edited(function: Any, old: str, new: str, **names: Any) -> Iterator[None]:
    """The function, for all who hold it, with `old` in its source replaced by `new`, which may also
    use `names`."""
    function = bare(function)
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(old) != 1:
        raise LookupError(
            f"the source of {function.__qualname__} does not have {old!r} exactly once: the engine has changed, "
            "and the mutant has to be written anew"
        )
    tree = ast.parse(source.replace(old, new))
    tree.body[0].decorator_list = []  # type: ignore[attr-defined]
    ast.increment_lineno(tree, function.__code__.co_firstlineno - 1)
    file = f"{function.__code__.co_filename} (mutant)"
    code = compile(tree, file, "exec", flags=features.annotations.compiler_flag, dont_inherit=True)
    made: dict[str, Any] = {}
    exec(code, function.__globals__ | names, made)
    with added(function.__globals__, names), rewritten(function, made[function.__name__]):
        yield


@contextmanager
def rewritten(function: Any, other: Any) -> Iterator[None]:
    """The function, for all who hold it, does what `other` does, which uses nothing of its own module."""
    function = bare(function)
    before, function.__code__ = function.__code__, other.__code__
    try:
        yield
    finally:
        function.__code__ = before


def bare(function: Any) -> Any:
    """A function without what decorates it, or a method's."""
    return inspect.unwrap(getattr(function, "__func__", function))


@contextmanager
def added(namespace: dict, names: dict) -> Iterator[None]:
    """A namespace with more names in it."""
    taken = names.keys() & namespace.keys()
    if taken:
        raise LookupError(f"{', '.join(taken)} would be hidden")
    namespace.update(names)
    try:
        yield
    finally:
        for name in names:
            del namespace[name]
