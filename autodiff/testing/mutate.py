"""python -m autodiff.testing mutate: every rule of ops/ with one thing changed, against the kit's table.

A rule is changed in its syntax tree, one place at a time, and compiled anew:

    sign       the result negated; a minus left out; + for − and − for +
    factor     one side of a product left out, a divisor, a function that is applied
    operand    the sides of − and / exchanged, the first two arguments of a call, one input for another
    axis       a dimension changed to its neighbour; keepdim turned

Then the operations that use the rule are drawn from the table and checked. A change that no check
notices is a survivor: either it changes nothing (EQUIVALENT says why), or the table is too weak.
"""

from __future__ import annotations

import argparse
import ast
import copy
import dis
import inspect
import os
import sys
import textwrap
import time
import types
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from typing import Any

import numpy as np

from .. import ops
from ..primitive import table
from .blame import unwrapped
from .case import Case
from .checks import CHECKS
from .engine import OURS
from .museum.matrix import drawn, of_conventions, verdict
from .museum.mutants import ruled
from .operations import OPERATIONS

MODULES = (
    ops.elementwise, ops.reductions, ops.shapes, ops.indexing, ops.contractions, ops.convolutions, ops.fused,
)  # fmt: skip
ASKED = ("vjp", "jvp", "adjoint", "second order", "shape and dtype")
DRAWS = 40  # arguments drawn for each row


# ---- which functions: the rules, and what they are made of ------------------------------------------


@dataclass(frozen=True)
class Target:
    """A function that a rule is, or calls: where it is, and whose it is."""

    module: str
    name: str  # of the function, or of the primitive and the input for a lambda
    primitives: tuple[str, ...]  # whose rules reach it


def called_by(function: Any) -> Iterator[Any]:
    """The functions of ops/ that a function names. (A method of the same name is another matter.)"""
    named: dict[Any, None] = {}
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        for instruction in dis.get_instructions(code):
            if instruction.opname == "LOAD_GLOBAL":
                named[function.__globals__.get(instruction.argval)] = None
            if instruction.opname == "IMPORT_FROM":  # imported where it is needed
                named |= dict.fromkeys(vars(module).get(instruction.argval) for module in MODULES)
        codes += [c for c in code.co_consts if isinstance(c, types.CodeType)]
    own = {module.__name__ for module in MODULES}
    for found in named:
        if inspect.isfunction(found) and found.__module__ in own and not hasattr(found, "__wrapped__"):
            yield found


@cache
def targets() -> dict[Target, Any]:
    """Every target, with its function."""
    rules: dict[Any, set[str]] = {}
    named: dict[Any, str] = {}
    for primitive in table.values():
        for k, rule in enumerate((*primitive.rules, primitive.jvp)):
            if rule is None:
                continue
            function = unwrapped(rule)
            if k == len(primitive.rules):
                which = "jvp"
            else:
                which = f"by {primitive.inputs[k] if k < len(primitive.inputs) else 'xs'}"
            named.setdefault(function, f"{primitive.name}, {which}")
            reached, fresh = set(), [function]
            while fresh:
                one = fresh.pop()
                if one not in reached:
                    reached.add(one)
                    fresh += called_by(one)
            for one in reached:
                rules.setdefault(one, set()).add(primitive.name)
    found = {}
    for function, primitives in rules.items():
        module = function.__module__
        if module in {m.__name__ for m in MODULES}:
            name = named[function] if function.__name__ == "<lambda>" else function.__name__
            found[Target(module.rpartition(".")[2], name, tuple(sorted(primitives)))] = function
    return dict(sorted(found.items(), key=lambda item: (item[0].module, item[0].name)))


@cache
def constant_rules() -> list[tuple[str, int]]:
    """(primitive, place) of the rules that were declared as a number, ±1: their sign alone can change.
    (That of a 0 cannot.)"""
    return [
        (primitive.name, k)
        for primitive in table.values()
        for k, rule in enumerate(primitive.rules)
        if rule is not None and unwrapped(rule).__module__ == "autodiff.primitive" and primitive.forward is not None
        and getattr(unwrapped(rule), "__qualname__", "").startswith("times.") and rule(np.ones(1)).any()
    ]  # fmt: skip


# ---- their syntax trees, changed ---------------------------------------------------------------------


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(sys.modules[module]))


def node_of(function: Any) -> Any:
    """The definition of a function in its module: by name, or for a lambda by where its code stands."""
    nodes = [
        n for n in ast.walk(tree_of(function.__module__)) if isinstance(n, (ast.Lambda, ast.FunctionDef))
    ]
    if function.__name__ != "<lambda>":
        (node,) = [n for n in nodes if isinstance(n, ast.FunctionDef) and n.name == function.__name__]
        return node
    spots = [
        (p[0], p[2]) for p in function.__code__.co_positions() if None not in p and (p[2], p[3]) != (0, 0)
    ]
    around = [
        n for n in nodes
        if isinstance(n, ast.Lambda)
        and all((n.body.lineno, n.body.col_offset) <= s <= (n.body.end_lineno, n.body.end_col_offset) for s in spots)
    ]  # fmt: skip
    return min(around, key=lambda n: len(ast.unparse(n)))


def replaced(node: Any, old: Any, new: Any) -> Any:
    """A copy of the tree in which `new` stands for `old`."""

    class Replace(ast.NodeTransformer):
        def visit(self, here):
            return new if here is old else self.generic_visit(here)

    memo: dict = {}
    twin = copy.deepcopy(node, memo)
    old = memo[id(old)]
    return ast.fix_missing_locations(Replace().visit(twin))


def inputs_of(node: Any) -> list[str]:
    """The parameters that hold inputs and outputs of one kind, which can be taken for each other."""
    return [a.arg for a in node.args.args if a.arg in ("a", "b", "x", "y", "w", "c", "z")]


def changes(node: Any) -> Iterator[tuple[str, str, Any]]:
    """(kind, what was changed, the new definition) for all changes of one place."""
    refusals = {id(part) for here in ast.walk(node) if isinstance(here, ast.Raise) for part in ast.walk(here)}
    for here in ast.walk(node):
        if id(here) in refusals:
            continue  # the words of an error are no part of a derivative
        for kind, new in of(here, node):
            what = "negated" if here is node else f"{ast.unparse(here)} → {ast.unparse(new)}"
            yield kind, what, replaced(node, here, new)


def of(here: Any, node: Any) -> Iterator[tuple[str, Any]]:
    """(kind, what to put in its place) for one place in a tree."""
    if here is node and isinstance(node, ast.Lambda):
        yield "sign", ast.Lambda(node.args, minus(node.body))
    if isinstance(here, ast.Return) and here.value is not None:
        yield "sign", ast.Return(minus(here.value))
    if (
        isinstance(here, ast.UnaryOp)
        and isinstance(here.op, ast.USub)
        and not isinstance(here.operand, ast.Constant)
    ):
        yield "sign", here.operand
    if isinstance(here, ast.BinOp):
        yield from of_binary(here)
    if isinstance(here, ast.Call):
        yield from of_call(here)
    if isinstance(here, ast.Name) and isinstance(here.ctx, ast.Load):
        others = inputs_of(node)
        if here.id in others:
            yield from (("operand", ast.Name(other, ast.Load())) for other in others if other != here.id)


def minus(value: Any) -> Any:
    """The tree of −value."""
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
        return value.operand
    return ast.UnaryOp(ast.USub(), value)


def of_binary(here: ast.BinOp) -> Iterator[tuple[str, Any]]:
    if isinstance(here.op, (ast.Add, ast.Sub)):
        other = ast.Sub() if isinstance(here.op, ast.Add) else ast.Add()
        yield "sign", ast.BinOp(here.left, other, here.right)
    if isinstance(here.op, ast.Mult):
        yield "factor", here.left
        yield "factor", here.right
    if isinstance(here.op, ast.Div):
        yield "factor", here.left
    if isinstance(here.op, (ast.Sub, ast.Div)):
        yield "operand", ast.BinOp(here.right, here.op, here.left)


# Python's functions, which compute no derivative.
PYTHONS = {"len", "range", "tuple", "set", "list", "isinstance", "zip", "enumerate", "reversed", "type", "min", "max",
           "int"}  # fmt: skip
SYMMETRIC = {"equal_to", "not_equal", "logical_and", "logical_or", "maximum", "minimum"}  # f(a, b) = f(b, a)


def of_call(here: ast.Call) -> Iterator[tuple[str, Any]]:
    plain = [a for a in here.args if not isinstance(a, ast.Starred)]
    name = here.func.id if isinstance(here.func, ast.Name) else ""
    if name in PYTHONS:
        return
    if len(here.args) == 1 and plain and not here.keywords:
        yield "factor", here.args[0]
    symmetric = name in SYMMETRIC or len(plain) > 1 and ast.dump(plain[0]) == ast.dump(plain[1])
    if len(plain) == len(here.args) >= 2 and not symmetric:
        yield "operand", ast.Call(here.func, [here.args[1], here.args[0], *here.args[2:]], here.keywords)
    for k, keyword in enumerate(here.keywords):
        new = axis_changed(keyword)
        if new is not None:
            keywords = [*here.keywords[:k], ast.keyword(keyword.arg, new), *here.keywords[k + 1 :]]
            yield "axis", ast.Call(here.func, here.args, keywords)


def axis_changed(keyword: ast.keyword) -> Any:
    if keyword.arg in ("dim", "dims"):
        return ast.Call(ast.Name("neighbouring", ast.Load()), [keyword.value], [])
    if keyword.arg == "keepdim":
        return ast.UnaryOp(ast.Not(), keyword.value)
    return None


def neighbouring(dim: Any) -> Any:
    """Another axis, or other ones: each its neighbour, the first the last; of a permutation, another one."""
    if dim is None:
        return 0
    if not isinstance(dim, tuple):
        return dim - 1
    is_permutation = sorted(dim) == list(range(len(dim))) and len(dim) > 1
    return dim[1:] + dim[:1] if is_permutation else tuple(d - 1 for d in dim)


@dataclass(frozen=True)
class Mutant:
    """One change of one function."""

    target: Target
    kind: str
    what: str
    number: int  # among the changes of the function

    @property
    def key(self) -> str:
        return f"{self.target.module}.{self.target.name}: {self.what}"


def code_of(function: Any, definition: Any) -> types.CodeType:
    """The code of a changed definition."""
    env = function.__globals__ | {"neighbouring": neighbouring}
    if isinstance(definition, ast.Lambda):
        return eval(compile(ast.Expression(definition), "(mutant)", "eval"), env).__code__
    definition.decorator_list = []
    made: dict[str, Any] = {}
    exec(compile(ast.Module([definition], []), "(mutant)", "exec"), env, made)
    return made[function.__name__].__code__


@contextmanager
def switched(mutant: Mutant) -> Iterator[None]:
    """The engine with this change in it."""
    function = targets()[mutant.target]
    changed = list(changes(node_of(function)))[mutant.number][2]
    new, old = code_of(function, changed), function.__code__
    missing = "neighbouring" not in function.__globals__
    function.__globals__["neighbouring"] = neighbouring
    function.__code__ = new
    try:
        yield
    finally:
        function.__code__ = old
        if missing:
            del function.__globals__["neighbouring"]


def mutants() -> list[Mutant]:
    found = []
    for target, function in targets().items():
        seen = set()
        for number, (kind, what, _) in enumerate(changes(node_of(function))):
            what = " ".join(what.split())
            if (kind, what) not in seen:  # the same text twice: told apart by its number
                seen.add((kind, what))
            else:
                what += f" ({number})"
            found.append(Mutant(target, kind, what, number))
    return found


# ---- the kit's table, asked ---------------------------------------------------------------------------


@cache
def users() -> dict[str, list[str]]:
    """primitive → the rows that apply it; first its own, then those with the fewest others."""
    found: dict[str, list[tuple]] = {}
    for name, row in OPERATIONS.items():
        used: set[str] = set()
        for arguments in drawn(row.inputs, 24):
            case = Case(row.of(OURS.functions), arguments)
            used |= {call[0].name for call in OURS.traced(case.called_with, case.arrays)}
        for primitive in used:
            found.setdefault(primitive, []).append((primitive != name, len(used), name))
    return {primitive: [name for *_, name in sorted(rows)] for primitive, rows in found.items()}


def rows_for(target: Target) -> list[str]:
    """The rows to ask: for each primitive whose rules reach the function, two."""
    by_primitive = [users().get(name, [])[:2] for name in target.primitives]
    return list(dict.fromkeys(row for k in range(2) for rows in by_primitive for row in rows[k : k + 1]))[:8]


@cache
def arguments_for(row: str, n: int) -> list[tuple]:
    return drawn(OPERATIONS[row].inputs, n)


def killer(rows: list[str], draws: int) -> str:
    """The row and the check that notice something; "" if none does."""
    for row in rows:
        operation = OPERATIONS[row]
        if operation.conventions and verdict(partial(of_conventions, row)):
            return f"{row}: conventions"
    for k in range(draws):
        for row in rows:
            arguments = arguments_for(row, draws)
            if k < len(arguments):
                check = noticed_at(row, arguments[k], k)
                if check:
                    return f"{row}: {check}"
    return ""


def noticed_at(row: str, arguments: tuple, seed: int) -> str:
    operation = OPERATIONS[row]
    try:
        with np.errstate(all="ignore"):
            case = Case(operation.of(OURS.functions), arguments, seed=seed, name=row)
    except Exception:
        return ""
    for name in ASKED:
        if name not in operation.options.get("skip", ()) and verdict(partial(CHECKS[name].run, case)):
            return name
    return ""


def tried(mutant: Mutant, rows: list[str], draws: int) -> tuple[Mutant, str, float]:
    """(mutant, who notices it, seconds)."""
    begin = time.perf_counter()
    with switched(mutant):
        by = killer(rows, draws)
    return mutant, by, time.perf_counter() - begin


def negated(primitive: str, place: int, draws: int) -> tuple[str, str]:
    """A rule that is a number, with its sign turned."""
    p = table[primitive]
    rule = p.rules[place]

    def turned(*read):
        return -rule(*read)

    turned.reads = p.reads[place]  # type: ignore[attr-defined]
    with ruled(p, place, turned):
        by = killer(users().get(primitive, [])[:2], draws)
    return f"elementwise.{primitive}, by {p.inputs[place]}: the sign", by


# ---- the report ------------------------------------------------------------------------------------


@dataclass
class Score:
    tried: list[tuple[str, str, str]]  # (kind, key, by whom noticed)
    seconds: float = 0.0

    @property
    def survivors(self) -> list[str]:
        return [key for _, key, by in self.tried if not by]

    @property
    def unexplained(self) -> list[str]:
        return [key for key in self.survivors if key not in EQUIVALENT]


def score(draws: int = DRAWS, jobs: int | None = None, only: str = "") -> Score:
    """All mutants (of functions whose key has `only` in it) against the table."""
    begin = time.perf_counter()
    chosen = [m for m in mutants() if only in m.key]
    rows = [rows_for(m.target) for m in chosen]
    signs = [(name, place) for name, place in constant_rules() if only in f"elementwise.{name}, by"]
    jobs = jobs or os.cpu_count() or 1
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(tried, chosen, rows, [draws] * len(chosen), chunksize=8))
        turned = list(pool.map(negated, *zip(*signs, strict=True), [draws] * len(signs))) if signs else []
    results = [(m.kind, m.key, by) for m, by, _ in found] + [("sign", key, by) for key, by in turned]
    return Score(results, time.perf_counter() - begin)


def report(found: Score) -> Iterator[str]:
    kinds = dict.fromkeys(kind for kind, *_ in found.tried)
    yield f"{'':10}{'mutants':>8}{'noticed':>9}{'equal':>7}{'alive':>7}"
    for kind in (*kinds, "all"):
        mine = [(key, by) for k, key, by in found.tried if kind in (k, "all")]
        dead = sum(bool(by) for _, by in mine)
        same = sum(not by and key in EQUIVALENT for key, by in mine)
        yield f"{kind:10}{len(mine):>8}{dead:>9}{same:>7}{len(mine) - dead - same:>7}"
    explained = [key for key in found.survivors if key in EQUIVALENT]
    if explained:
        yield "\nunnoticed, and why that is right:"
        for key in explained:
            yield textwrap.fill(
                f"{key}: {EQUIVALENT[key]}", 98, initial_indent="  ", subsequent_indent="      "
            )
    if found.unexplained:
        yield "\nALIVE:"
        yield from (f"  {key}" for key in found.unexplained)
    stale = [key for key in EQUIVALENT if key in {k for _, k, by in found.tried if by}]
    yield from (f"explained as equivalent, but noticed: {key}" for key in stale)
    n = len(found.tried) - len(explained)
    dead = n - len(found.unexplained)
    yield f"\n{dead} of {n} changes of rules noticed ({100 * dead / max(n, 1):.1f} %), {len(explained)} more are explained ({found.seconds:.0f} s)"


BOOLEAN = "a boolean counts as 0 or 1 in a sum with integers; the conversion says so"
EMPTY = "of an empty array only the shape is left, and that has no sign"
THIRD = "this shows from the third order on, and the kit asks for two"
EQUIVALENT: dict[str, str] = {
    "reductions.count: math.prod((shape[positive(d, len(shape))] if shape else 1 for d in each)) → (shape[positive(d, len(shape))] if shape else 1 for d in each)":
        "the mean itself raises then, and there is nothing to differentiate",
    "reductions.count: positive(d, len(shape)) → positive(len(shape), d)":
        "the mean itself raises then, and there is nothing to differentiate",
    "reductions.ties: as_number(equal_to(x, kept_dim(y, x.shape, dim))) + as_number(not_itself(x)) → "
    "as_number(equal_to(x, kept_dim(y, x.shape, dim))) - as_number(not_itself(x))":
        "where one is NaN none is equal to y, and a minus in every count cancels in the share",
    "reductions.ties: as_number(equal_to(x, kept_dim(y, x.shape, dim))) → equal_to(x, kept_dim(y, x.shape, dim))": BOOLEAN,
    "contractions.einsum_rule: ''.join(named) → named": "a letter of size 1 is multiplied by 1 once more",
    "elementwise.halves: as_number(less_equal(a, b)) → less_equal(a, b)": BOOLEAN,
    "elementwise.halves: as_number(less(a, b)) → less(a, b)": BOOLEAN,
    "reductions.ties: as_number(not_itself(x)) → not_itself(x)": BOOLEAN,
    "elementwise.over_norm: select(origin, 0, x / select(origin, 1, norm)) → select(0, origin, x / select(origin, 1, norm))": "at the origin x itself is 0; and the second derivative, which the choice stops, does not exist there",
    "elementwise.pow_by_base: b / select(greater(a, 0), a, 1) * power(a, b) → b / select(greater(a, 0), a, 1)": THIRD,
    "elementwise.pow_by_base: a → b": THIRD,
    "elementwise.pow_by_base: b → a (8)": "an exponent that is a number is treated apart for speed only",
    "reductions.products_of_others: return x → return -x": EMPTY,
    "reductions.suffix_sums: return g → return -g": EMPTY,
}  # fmt: skip


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m autodiff.testing mutate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("only", nargs="?", default="", help="only functions whose name has this in it")
    parser.add_argument(
        "--draws", type=int, default=DRAWS, help=f"arguments to draw for each operation ({DRAWS})"
    )
    parser.add_argument("--jobs", type=int, help="processes (as many as there are cores)")
    options = parser.parse_args(argv)
    found = score(options.draws, options.jobs, options.only)
    from .museum.show import written

    for line in report(found):
        written(line)
    return 1 if found.unexplained else 0
