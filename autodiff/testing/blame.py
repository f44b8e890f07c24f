"""Who is to blame: the rule whose numbers are wrong, and the mistake that looks like them."""

from __future__ import annotations

import ast
import inspect
import linecache
import math
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from ..autograd import UserPrimitive
from ..graph import Node, reverse_topological_order
from ..primitive import Primitive
from ..provenance import ours
from .engine import Autodiff
from .oracles import as_floats

# ---- whose rule -----------------------------------------------------------------------------------


def rule(case, kind: str = "vjp") -> str:
    """The source line of the rule to blame for a wrong derivative: that of the first operation which, taken
    alone at the same numbers, has one."""
    if cls := class_of(case.program):
        return backward_of(cls, kind)
    calls = getattr(case.engine, "traced", lambda *_: [])(case.called_with, case.arrays)
    calls = [call for call in calls if call[0].rules]
    for primitive, arguments, options in calls:
        found = wrong_rule(case, primitive, arguments, options, alone=len(calls) == 1, kind=kind)
        if found:
            return found
    if functions := functions_of(case):
        return "; ".join(backward_of(cls, kind) for cls in functions)
    if len(calls) > 1 and kind == "vjp":
        return (
            f"none of the {len(calls)} operations is wrong by itself: look at what joins them (accumulation, "
            "order, in-place writes, what is saved)"
        )
    return ""


def functions_of(case) -> list[type]:
    """The user's autograd.Functions that the program calls: their backward is a rule, which is not traced."""
    origins = (getattr(y, "origin", None) for y in case.once.ys)
    calls = reverse_topological_order([origin for origin in origins if origin is not None])
    primitives = (call.primitive for call in calls if type(call) is Node)
    return list(dict.fromkeys(p.function for p in primitives if isinstance(p, UserPrimitive)))


def backward_of(cls: type, kind: str) -> str:
    """The backward, or the jvp, of an autograd.Function, and where it stands."""
    method = "jvp" if kind == "jvp" else "backward"
    return f"{cls.__name__}.{method}, {source_line(getattr(cls, method))}"


def class_of(f: Any) -> type | None:
    """MyFunction, of MyFunction.apply: of ours, or of PyTorch."""
    cls = getattr(f, "__self__", None)
    is_function = isinstance(cls, type) and getattr(f, "__name__", "") == "apply" and hasattr(cls, "backward")
    return cls if is_function else None


def wrong_rule(case, primitive, arguments, options, alone, kind) -> str:
    """The rule of this call that is wrong, if one is."""
    if kind != "vjp":
        return line_of(primitive, None, kind) if alone else ""

    def call(*inputs):
        return primitive(*inputs, **options)

    try:
        single = type(case)(call, arguments, engine=case.engine, seed=case.seed, name=primitive.name)
        one_each = primitive.rest is None and not primitive.variadic
        for j, place in enumerate(single.places):
            if one_each and primitive.rules[place : place + 1] == (None,):
                continue  # an input without a derivative
            g = single.once.gradient(j)
            if g.shape != single.arrays[j].shape or single.mistakes(single.once, j, single.rtol):
                return line_of(primitive, place, kind)
    except Exception as error:  # it fails where it is looked at alone: that is worth a line
        return f"{primitive.name} raises {type(error).__name__} by itself: {error}" if alone else ""
    return ""


def line_of(primitive: Primitive, place: int | None, kind: str) -> str:
    """`name, by input: file:line: source`."""
    if kind == "jvp" and primitive.jvp is not None:
        return f"{primitive.name}'s jvp, {source_line(primitive.jvp)}"
    n = 0 if place is None or len(primitive.rules) == 1 else min(place, len(primitive.rules) - 1)
    names = primitive.inputs
    who = f", by {names[min(place, len(names) - 1)]}" if place is not None and len(names) > 1 else ""
    return f"{primitive.name}{who}, {source_line(primitive.rules[n])}"


def source_line(function: Any) -> str:
    """`file:line: source` of a rule, as it was declared."""
    function = unwrapped(function)
    code = getattr(function, "__code__", None)
    if code is None:
        return repr(function)
    number = code.co_firstlineno
    while (text := linecache.getline(code.co_filename, number).strip()).startswith("@"):
        number += 1  # of what is decorated, the line that says what it is
    return f"{Path(code.co_filename).name}:{number}" + (f": {text}" if text else "")


def unwrapped(rule: Any) -> Any:
    """A rule as it was declared: `elementwise` wraps it in g · partial."""
    for cell in getattr(rule, "__closure__", None) or ():
        if callable(cell.cell_contents) and hasattr(cell.cell_contents, "__code__"):
            return cell.cell_contents
    return rule


# ---- which mistake --------------------------------------------------------------------------------


def likely(case, run, k: int) -> str:
    """The mistake that the wrong gradient by input k looks like, or ""."""
    got = as_floats(run.gradient(k)).astype(float)
    want = expected_array(case, k, got)
    if want is None:
        return ""
    with np.errstate(all="ignore"):
        reduced = any(y.ndim < got.ndim for y in case.values)
        for guess in (of_nan, of_factor, of_float32, *([of_reduced] if reduced else []), of_places):
            found = guess(got, want)
            if found:
                return found
        return of_others(case, k, got, want) or of_repeats(case, k, got, want) or of_term(case, k, got, want)


def expected_array(case, k, got):
    """What the gradient by input k should be; None if it is too large to have been worked out."""
    found = case.expected(k)
    if len(found) < got.size:
        return None
    want = np.empty(got.shape)
    for place, bounds in found:
        want[place] = got[place] if bounds.low <= got[place] <= bounds.high else float(bounds.middle)
    return want


def like(a, b, rtol=1e-6) -> bool:
    """Are they alike, but for rounding and the error of an oracle?"""
    a, b = np.broadcast_arrays(a, b)
    return bool(np.allclose(a, b, rtol=rtol, atol=1e-9 * np.max(abs(b), initial=0) + 1e-300))


def of_nan(got, want) -> str:
    bad = ~np.isfinite(got) & np.isfinite(want)
    if not bad.any():
        return ""
    return ("NaN or infinity where the derivative is finite: 0·∞ or 0/0, as of a branch that is not taken "
            "(where multiplies by a mask instead of selecting), or of a division by something that is 0 here")  # fmt: skip


def of_factor(got, want) -> str:
    if not got.any() and want.any():
        return "no gradient arrives: a rule gives zeros, or something is detached on the way"
    there = abs(want) > 1e-6 * np.max(abs(want))
    if not there.any() or abs(got[~there]).max(initial=0) > 1e-6 * np.max(abs(got)):
        return ""
    ratio = got[there] / want[there]
    if not like(ratio, ratio[0]):
        return ""
    c = float(ratio[0])
    if abs(c - 1) < 1e-4:
        return ""  # float32, or a tolerance
    if math.isclose(c, -1, rel_tol=1e-6):
        return "the sign"
    large = max(abs(c), 1 / abs(c))
    n, sign = round(large), ", and the sign" if c < 0 else ""
    if n > 1 and math.isclose(large, n, rel_tol=1e-6):
        times = f"{n} times" if abs(c) > 1 else f"1/{n} of"
        sizes = " (is that the size of a dimension: mean for sum, or broadcasting summed twice?)"
        return f"a constant factor: it is {times} what it should be{sizes if n > 2 else ''}{sign}"
    if there.sum() == 1:
        return ""  # any two numbers are in some proportion
    return f"{'a factor' if abs(c) > 1 else 'a constant factor of'} {c:.6g}: everywhere the same{sign}"


def of_float32(got, want) -> str:
    size = np.max(abs(want), initial=0)
    error = np.max(abs(got - want), initial=0) / (size or 1)
    if 1e-12 < error < 3e-6:
        return f"float32 somewhere, or a constant with too few digits: the relative error is {error:.0e}"
    return ""


def of_places(got, want) -> str:
    """The right numbers in wrong places."""
    if got.ndim >= 2 and got.shape[-1] == got.shape[-2] and like(got, np.swapaxes(want, -1, -2)):
        return "transposed: rows for columns"
    for axis in range(got.ndim):
        if like(got, np.flip(want, axis)):
            return f"reversed along axis {axis}"
    for shift in (1, -1):
        for axis in range(got.ndim):
            if got.shape[axis] > 1 and like(got, np.roll(want, shift, axis)):
                return f"shifted by one along axis {axis}"
    if got.size > 1 and like(np.sort(got, None), np.sort(want, None)):
        return "the right numbers in the wrong places: an index, a permutation or its inverse"
    return ""


def of_reduced(got, want) -> str:
    """For what has fewer dimensions than its input: the cotangent spread along another axis."""
    for axis in range(got.ndim):
        for other in range(got.ndim):
            may_be_taken = axis != other and got.shape[axis] == got.shape[other] > 1
            if may_be_taken and alike_along(want, axis) and like(got, np.swapaxes(want, axis, other)):
                return (f"the cotangent is spread along axis {other}, and axis {axis} was reduced: it lacks that axis "
                        "(expand its dimension there, as keepdim would have kept it)")  # fmt: skip
    return ""


def alike_along(array, axis) -> bool:
    """Does it repeat itself along that axis?"""
    return like(array, np.take(array, [0], axis))


def of_others(case, k, got, want) -> str:
    """The numbers of another input, or of another cotangent."""
    for j in range(len(case.arrays)):
        if j != k and case.arrays[j].shape == got.shape:
            other = expected_array(case, j, np.full(got.shape, np.nan))
            if other is not None and like(got, other):
                return f"this is the gradient by {case.label(j)}: the operands are exchanged"
    return ""


def of_repeats(case, k, got, want) -> str:
    """Elements that are equal, or that are read more than once."""
    wrong = ~np.isclose(got, want, rtol=1e-6)
    cotangents = np.concatenate([g.ravel() for g in case.gs]) if case.gs else np.zeros(0)
    single = np.isin(np.round(got[wrong], 9), np.round(cotangents, 9))
    if single.all() and not np.isin(np.round(want[wrong], 9), np.round(cotangents, 9)).any():
        return ("one cotangent arrives where several should be added up: the last write wins over repeated "
                "indices, or `=` stands for `+=`")  # fmt: skip
    values = case.arrays[k][wrong]
    tied = any(bounds.kinked or bounds.ties for _, bounds in case.expected(k))
    if tied and values.size > 1 and len(np.unique(values)) < values.size:
        return "the elements that are wrong are equal to one another: a tie is counted more than once, or only once"
    return ""


def of_term(case, k, got, want) -> str:
    """For what is elementwise: how the derivative that was used differs from the right one."""
    if len(case.gs) != 1 or case.gs[0].shape != got.shape:
        return ""
    g, y, x = case.gs[0], as_floats(case.values[0]), case.arrays[k]
    used, right = got / g, want / g
    if like(got, want / g):
        return "the cotangent is not multiplied in"
    if like(got, want * g):
        return "the cotangent is multiplied in twice"
    named = {"x": x, "y": y, "1/x": 1 / x, "1/y": 1 / y, "x²": x * x, "y²": y * y}
    for name, factor in named.items():
        if like(used, right * factor):
            return f"a factor {name} too much"
    difference = used - right
    if got.size > 1 and like(difference, difference.flat[0]):
        return f"a term is missing or too much: the derivative is off by {difference.flat[0]:.6g} everywhere"
    for name, term in named.items():
        ratio = difference / term
        if got.size > 1 and np.isfinite(ratio).all() and ratio.all() and like(ratio, ratio.flat[0]):
            return f"a term is missing or too much: the derivative is off by {ratio.flat[0]:.6g}·{name}"
    shapes = {"1": 1 + 0 * x, "1 − y": 1 - y, "1 − y²": 1 - y * y, "1 + y": 1 + y, "1 + y²": 1 + y * y,
              "y − y²": y - y * y, "1 − x": 1 - x, "1 − x²": 1 - x * x, "1 + x²": 1 + x * x, **named}  # fmt: skip
    known = [next((name for name, d in shapes.items() if like(each, d)), "") for each in (used, right)]
    if known[0]:
        return f"the derivative used here is {known[0]}" + (
            f", and the right one {known[1]}" if known[1] else ""
        )
    for name, exponent in (("the square", 2), ("the reciprocal", -1), ("the root", 0.5)):
        if like(abs(used), abs(right) ** exponent):
            return f"the derivative used here is {name} of the right one"
    return ""


def detail(case, k: int, place, bounds, got) -> str:
    """The same in terms of the derivative, where f is elementwise: without the cotangent."""
    if place is None or len(case.gs) != 1 or case.gs[0].shape != case.arrays[k].shape:
        return ""
    g = float(case.gs[0][place])
    right, used = float(bounds.middle) / g, float(got) / g
    return f"for a cotangent of 1 (here it is {g:.6g}): expected {right:.10g}, got {used:.10g}"


def of_shapes(want: tuple, got: tuple) -> str:
    if got == tuple(reversed(want)):
        return "transposed"
    if len(got) > len(want) or any(n == 1 != m for n, m in zip(want, got, strict=False)):
        return "the sum over the axes that were broadcast is missing"
    return ""


def of_ties(found, expected) -> str:
    found, expected = float(found), float(expected)
    if (
        expected
        and found / expected > 1.5
        and math.isclose(found / expected, round(found / expected), rel_tol=1e-6)
    ):
        return f"a tie is counted {round(found / expected)} times: what is tied has to share the gradient"
    return ""


# ---- to reproduce it ------------------------------------------------------------------------------


def name_of(f: Callable) -> str:
    """What to call f: its name, or for a lambda its text."""
    if isinstance(f, Primitive):
        return f.name
    cls = class_of(f)
    name = cls.__name__ if cls else getattr(f, "__name__", type(f).__name__)
    return text_of(f) or "the function" if name == "<lambda>" else name


def text_of(f: Callable) -> str:
    """The source of a lambda, on one line; "" if it cannot be told."""
    try:
        source = textwrap.dedent(inspect.getsource(f)).strip()
    except (OSError, TypeError):
        return ""
    found: list[ast.Expression] = []
    for start in range(len(source)):
        if source.startswith("lambda", start):
            for end in range(len(source), start, -1):
                try:
                    tree = ast.parse(source[start:end].strip(), mode="eval")
                except SyntaxError:
                    continue
                if isinstance(tree.body, ast.Lambda):
                    if len(tree.body.args.args) == f.__code__.co_argcount:
                        found.append(tree)
                    break
    # there may be several on the line: the one whose code is the same, or reads the same names
    found.sort(key=lambda tree: likeness(tree, f.__code__), reverse=True)
    return ast.unparse(found[0].body) if found else ""


def likeness(tree: ast.Expression, code: CodeType) -> tuple[bool, bool]:
    """How much of `code` is that of a lambda's text: (its instructions, its names and constants)."""
    compiled = compile(tree, code.co_filename, "eval")
    text = next(c for c in compiled.co_consts if isinstance(c, CodeType))
    read = [{*c.co_names, *c.co_freevars, *c.co_varnames, *c.co_cellvars} for c in (text, code)]
    alike = read[0] == read[1] and constants(text) == constants(code)
    return alike and text.co_code == code.co_code, alike


def constants(code: CodeType) -> list:
    """Its constants, and those of the functions in it."""
    return [constants(c) if isinstance(c, CodeType) else c for c in code.co_consts]


def snippet(case, finding) -> str:
    """A few lines that show what is wrong without this kit."""
    variables, arguments = [], []
    for k, a in enumerate(case.arguments):
        if k in case.places:
            variables.append(case.names[k] if case.names[k] not in ("", "y", "f", "g", "s") else f"x{k}")
            arguments.append(variables[-1])
        else:
            arguments.append(literal(getattr(a, "array", getattr(a, "value", a))))
    if not isinstance(case.engine, Autodiff):
        lines = [f"{name} = {literal(x)}" for name, x in zip(variables, case.arrays, strict=True)]
        function = f"{case.name}.apply" if class_of(case.program) else case.name
        function = f"({function})" if function.startswith("lambda") else function
        call = f"{function}({', '.join(arguments)})"
        cotangents = ", ".join(map(literal, case.gs))
        said = f"# of {case.engine.name}: {call}, from the cotangent {cotangents}"
        return "\n".join(("import numpy as np", *lines, said))
    function, before = how_to_call(case)
    call = f"{function}({', '.join(arguments)})"
    lines = ["import numpy as np", "import autodiff as ad", "", *before]
    for name, x in zip(variables, case.arrays, strict=True):
        lines.append(f"{name} = ad.Tensor({literal(x)}).requires_grad_()")
    tensors = lambda arrays: ", ".join(f"ad.Tensor({literal(a)})" for a in arrays)
    names = ", ".join(variables)
    if finding.check in ("jvp", "adjoint"):
        lines.append(f"print(ad.jvp(lambda {names}: {call}, [{names}], [{tensors(case.ts)}])[1])")
    elif finding.check == "second order" and len(case.gs) == 1:
        lines.append(f"g = ad.autograd.grad({call}, [{names}], {tensors(case.gs)}, create_graph=True)")
        lines.append(f"s = sum((a * b).sum() for a, b in zip(g, [{tensors(case.us)}]))")
        lines.append(f"print(ad.autograd.grad(s, [{names}]))")
    elif len(case.gs) == 1:
        lines += [f"y = {call}", f"y.backward({tensors(case.gs)})", f"print({gradients_of(variables)})"]
    else:
        lines += [
            f"y = [t for t in {call} if t.requires_grad]",
            f"ad.autograd.backward(y, [{tensors(case.gs)}])",
        ]
        lines.append(f"print({gradients_of(variables)})")
    if finding.check == "vjp" and finding.expected is not None:
        what = finding.what.partition(", where")[0].partition(", and at")[0].partition(" (there")[0]
        lines.append(f"# {what}: {float(finding.got):.10g}, and should be {float(finding.expected):.10g}")
    return "\n".join(lines)


def gradients_of(variables) -> str:
    return ", ".join(f"{name}.grad" for name in variables)


def how_to_call(case) -> tuple[str, list[str]]:
    """What to write for the program, and what to say first."""
    import autodiff

    f = case.program
    if cls := class_of(f):
        return f"{cls.__name__}.apply", []
    row = getattr(f, "operation", None)  # a row of the table of operations
    name = getattr(row or f, "name" if row or isinstance(f, Primitive) else "__name__", "f")
    public = getattr(autodiff, name, None)
    operation = f"ad.{name}" if public is not None else f'ad.primitive.table["{name}"]'
    if row is not None:
        direct = getattr(row.call, "__name__", "") == "direct"
        if direct or not text_of(row.call):
            return operation, []
        return "f", [f"call = {text_of(row.call)}", f"f = lambda *xs: call({operation}, *xs)"]
    if public is f or (isinstance(f, Primitive) and f.listed and is_one_of_ours(f)):
        return operation, []
    text = text_of(f) if name == "<lambda>" else ""
    return ("f", [f"f = {text}"]) if text else (name if name.isidentifier() else "f", [])


def is_one_of_ours(primitive: Primitive) -> bool:
    """Is it declared in these packages, and not by the user?"""
    codes = [getattr(rule, "__code__", None) for rule in map(unwrapped, primitive.rules)]
    return any(ours[code.co_filename] for code in codes if code is not None)


def literal(value: Any) -> str:
    """Python that gives the value again, every digit of it."""
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            number = repr(value.item())
            return f"np.{value.dtype.name}({number})" if value.dtype.kind == "f" else f"np.array({number})"
        text = f"np.array({value.tolist()!r}" if value.size else f"np.zeros({value.shape!r}"
        usual = value.dtype in (np.float64, np.int64, np.bool_)
        return text + (")" if usual else f", np.{value.dtype.name})")
    if type(value) is tuple:
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if type(value) is list:
        return f"[{', '.join(map(literal, value))}]"
    return repr(value)
