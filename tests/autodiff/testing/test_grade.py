"""Report cards: a right engine passes, and a wrong one is blamed at the operation that is wrong,
whatever else it does. The engines are toys, written here."""

from __future__ import annotations

import contextlib
import html.parser
import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import wrong_operations

import autodiff as ad
from autodiff import functional
from autodiff.testing import adapters
from autodiff.testing.__main__ import main
from autodiff.testing.adapters import NotInstalled, Unrecognised, for_autodiff, load
from autodiff.testing.adapters.recorded import Recording
from autodiff.testing.card import Card, Convention, Entry, Miss, class_page
from autodiff.testing.engine import OURS
from autodiff.testing.judge import Judge, Outcome, grade
from autodiff.testing.operations import OPERATIONS
from autodiff.testing.report import Finding

ROOT = Path(__file__).parents[3]
VALUE = """
import math

class Value:
    def __init__(self, data, inputs=(), rule=None):
        self.data, self.grad, self.inputs, self.rule = data, 0.0, inputs, rule

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), lambda g: (g, g))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), lambda g: (g * other.data, g * self.data))

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    __radd__, __rmul__ = __add__, __mul__

    def tanh(self):
        y = math.tanh(self.data)
        return Value(y, (self,), lambda g: (g * (1 - y * y),))

    def exp(self):
        y = math.exp(self.data)
        return Value(y, (self,), lambda g: (g * y,))

    def relu(self):
        return Value(max(self.data, 0.0), (self,), lambda g: (g * (self.data > 0),))

    def backward(self):
        order, seen, stack = [], set(), [(self, False)]
        while stack:
            v, done = stack.pop()
            if done:
                order.append(v)
            elif id(v) not in seen:
                seen.add(id(v))
                stack += [(v, True), *((x, False) for x in v.inputs)]
        grads = {id(v): 0.0 for v in order}
        grads[id(self)] = 1.0
        for v in reversed(order):
            if v.rule is None:
                v.grad += grads[id(v)]
                continue
            for x, g in zip(v.inputs, v.rule(grads[id(v)])):
                grads[id(x)] += g
"""
TENSOR = """
import numpy as np

def fit(g, shape):
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(k for k, n in enumerate(shape) if n == 1), keepdims=True).reshape(shape)

class Tensor:
    def __init__(self, data, requires_grad=False, inputs=(), rule=None):
        self.data, self.grad, self.inputs, self.rule = np.asarray(data), None, inputs, rule
        self.requires_grad = requires_grad or any(x.requires_grad for x in inputs)

    @staticmethod
    def of(x):
        return x if isinstance(x, Tensor) else Tensor(x)

    def __add__(self, other):
        other = Tensor.of(other)
        rule = lambda g: (fit(g, self.data.shape), fit(g, other.data.shape))
        return Tensor(self.data + other.data, inputs=(self, other), rule=rule)

    def __mul__(self, other):
        other = Tensor.of(other)
        rule = lambda g: (fit(g * other.data, self.data.shape), fit(g * self.data, other.data.shape))
        return Tensor(self.data * other.data, inputs=(self, other), rule=rule)

    __radd__, __rmul__ = __add__, __mul__

    def sum(self, axis=None, keepdims=False):
        def rule(g):
            if axis is not None and not keepdims:
                g = np.expand_dims(g, axis)
            return (np.broadcast_to(g, self.data.shape),)
        return Tensor(self.data.sum(axis=axis, keepdims=keepdims), inputs=(self,), rule=rule)

    def tanh(self):
        y = np.tanh(self.data)
        return Tensor(y, inputs=(self,), rule=lambda g: (g * (1 - y * y),))

    def backward(self, gradient=None):
        order, seen, stack = [], set(), [(self, False)]
        while stack:
            v, done = stack.pop()
            if done:
                order.append(v)
            elif id(v) not in seen and v.requires_grad:
                seen.add(id(v))
                stack += [(v, True), *((x, False) for x in v.inputs)]
        grads = {id(self): np.ones(self.data.shape) if gradient is None else np.asarray(gradient)}
        for v in reversed(order):
            g = grads[id(v)]
            if v.rule is None:
                g = np.array(g, v.data.dtype)
                v.grad = g if v.grad is None else v.grad + g
                continue
            for x, h in zip(v.inputs, v.rule(g)):
                grads[id(x)] = grads[id(x)] + h if id(x) in grads else h
"""
WEIGHED = TENSOR.replace("gradient=None", "").replace("np.ones(self.data.shape) if gradient is None else np.asarray(gradient)",
                                                     "np.ones(self.data.shape)")  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for engines; what importing them leaves in Python is taken away."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def card_of(folder: Path, text: str, name: str = "toy", examples: int = 12, **options) -> Card:
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return grade(load(str(path)), examples=examples, **options)


def wrong(card: Card) -> dict[str, set[str]]:
    """row → checks that failed."""
    return {e.name: {m.check for m in e.misses} for e in card.entries if e.verdict in ("wrong", "fails")}


def printed_by(program: str) -> str:
    """What a program prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(program, {"__name__": "program"})
    return out.getvalue()


# ---- blame --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [VALUE, TENSOR, WEIGHED], ids=["Value", "Tensor", "Tensor, no cotangent"])
def test_a_right_engine_passes(folder, text):
    card = card_of(folder, text, examples=5)
    assert card.ok, str(card)
    assert {"add", "mul", "tanh", "random programs", "number + x"} <= {e.name for e in card.entries}
    assert all("vjp" in e.properties and e.examples for e in card.entries)


NEAR_AND_FAR = "used near and far: u = ab, v = u + a, v(vu) + u"
MISTAKES = [  # what to write instead, the rows that are to blame for it, the check that sees it
    (VALUE, "1 - y * y", "1 - y", {"tanh"}, "vjp"),
    (VALUE, "(g * y,)", "(y,)", {"exp"}, "vjp"),
    (VALUE, "(g * (self.data > 0),)", "(g * (self.data > -1),)", {"relu"}, "vjp"),
    (VALUE, "-self + other", "self + -other", {"number - x"}, "value"),
    (VALUE, "v.grad += grads", "v.grad = grads", None, "accumulation"),
    (TENSOR, "fit(g, other.data.shape)", "g", {"add"}, "vjp"),
    (TENSOR, "np.expand_dims(g, axis)", "g", {"sum"}, "vjp"),
    (TENSOR, "np.array(g, v.data.dtype)", "np.array(g, np.float64)", None, "shape and dtype"),
    (TENSOR, "g = np.array(g, v.data.dtype)", "pass", None, "aliasing"),
    (WEIGHED, "(g * (1 - y * y),)", "(g * y,)", {"tanh"}, "vjp"),
]


@pytest.mark.parametrize("text, right, instead, rows, check", MISTAKES, ids=[m[2][:24] for m in MISTAKES])
def test_a_wrong_engine_is_blamed_at_the_right_row(folder, text, right, instead, rows, check):
    assert text.count(right) == 1
    card = card_of(folder, text.replace(right, instead), examples=40 if rows == {"sum"} else 12,
                   only=["add", "mul", "tanh", "exp", "relu", "sum", "number - x"])  # fmt: skip
    found = wrong(card)
    assert set(found) == rows if rows else len(found) > 1
    assert check in set.union(*found.values()), str(card)


def test_the_program_of_a_miss_runs_by_itself(folder):
    card = card_of(folder, VALUE.replace("1 - y * y", "1 - y"), only=["tanh"])
    (miss,) = card.entries[0].misses
    assert "autodiff" not in miss.program and "from toy import Value" in miss.program
    gradient = float(printed_by(miss.program))
    x = float(miss.program.split("Value(")[1].split(")")[0])
    assert gradient == pytest.approx(1 - np.tanh(x)) and gradient != pytest.approx(1 - np.tanh(x) ** 2)


SHARED = TENSOR.replace("(fit(g, self.data.shape), fit(g, other.data.shape))", "(g, g)")
WANTS = "elif id(v) not in seen and v.requires_grad:"
SHOWS = [  # engine, what to write instead, row, check, what its program prints
    (TENSOR, "g = np.array(g, v.data.dtype)", "pass", "sum", "aliasing", "False\n"),  # read-only
    (SHARED, "g = np.array(g, v.data.dtype)", "pass", "add", "aliasing", "True\n"),
    (TENSOR, WANTS, "elif id(v) not in seen:", "add", "alone", "1.0 1.0\n"),
    (TENSOR, "np.array(g, v.data.dtype)", "np.array(g, np.float64)", "tanh", "shape and dtype", "float64 ()\n"),
    (TENSOR, "v.grad = g if v.grad is None else v.grad + g", "v.grad = g", "tanh", "accumulation", "1.0\n1.0\n"),
    (TENSOR, "g * (1 - y * y)", "g * (1 - y * y) + (y.ndim and y.fill(9) or 0)", "tanh", "untouched", "[0.] [9.]\n"),
    (TENSOR, "g * (1 - y * y)", "g * (1 - y * y) + 1e-9 * id(g) % 1", "tanh", "determinism", ""),
]  # fmt: skip


@pytest.mark.parametrize("text, right, instead, row, check, prints", SHOWS, ids=[each[4] for each in SHOWS])
def test_the_program_of_a_miss_shows_it(folder, text, right, instead, row, check, prints):
    """Not only the gradients: the memory, the dtype, the second walk, who wanted none."""
    assert text.count(right) == 1
    card = card_of(folder, text.replace(right, instead), only=[row], examples=40)
    (miss,) = (m for m in card.entries[0].misses if m.check == check)
    assert prints in printed_by(miss.program)
    if check == "determinism":
        first, second = printed_by(miss.program).splitlines()
        assert first != second


class OneWrong(for_autodiff.Ours):
    """Our engine, with one operation from tests/wrong_operations.py."""

    def __init__(self, name, wrong):
        self.wrong = wrong
        self.one = {name: getattr(wrong_operations, wrong)}

    imports = for_autodiff.Ours.imports + "\nimport wrong_operations"
    functions = property(lambda self: self.one)  # type: ignore[assignment]

    def spelled(self, name):
        return f"wrong_operations.{self.wrong}"


@pytest.mark.parametrize("name, operation, check", [
    ("square", "held", "second order"), ("sin", "tangent", "jvp"), ("sin", "tangent", "adjoint"),
])  # fmt: skip
def test_the_program_of_a_miss_shows_other_derivatives_too(name, operation, check):
    card = grade(OneWrong(name, operation), examples=12, only=[name])
    (miss,) = (m for m in card.entries[0].misses if m.check == check)
    printed = [float(x) for x in re.findall(r"-?\d+\.\d*", printed_by(miss.program))]
    found = re.search(r"got +(\S+)", miss.message)
    assert found and any(abs(x - float(found[1])) < 1e-3 for x in printed), (miss, printed)


def test_inputs_are_called_as_in_the_program(folder):
    text = TENSOR.replace("fit(g * other.data, self.data.shape)", "g * other.data")
    card = card_of(folder, text, only=["mul", "a diamond: (ab + a)(ab + b)"], examples=30)
    assert len(wrong(card)) == 2
    for entry in card.entries:
        (miss,) = (m for m in entry.misses if m.check == "vjp")
        assert (
            "the gradient by input 0 (a) has shape" in miss.message
            and "print(a.grad, b.grad)" in miss.program
        )


def test_an_example_with_elements_is_preferred():
    empty, filled = ((np.zeros(shape), np.ones(())) for shape in ((0,), (2,)))
    judge = Judge(for_autodiff.ENGINE(), OPERATIONS["add"])
    judge.is_new = lambda arguments: True  # type: ignore[method-assign]

    def found(*_):
        return Outcome(checked={"alone"}, findings={"alone": Finding("alone", "so it is")})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("autodiff.testing.judge.look", found)
        for example in (empty, filled, empty):
            judge.note((example, 0))
    assert judge.first["alone"][0][0] is filled


def test_programs_are_blamed_where_every_operation_is_right(folder):
    breadth_first = (
        VALUE.replace("for v in reversed(order):", "for v in breadth_first(self):")
        + """
def breadth_first(v):
    found = [v]
    for v in found:
        for x in v.inputs:
            if x not in found:
                found.append(x)
    return found
"""
    )
    card = card_of(
        folder, breadth_first, only=["add", "mul", "tanh", "x + x", NEAR_AND_FAR, "random programs"]
    )
    assert NEAR_AND_FAR in wrong(card) and not wrong(card).keys() & {"add", "mul", "tanh", "x + x"}


def test_a_wrong_product_leaves_the_others_to_be_judged(folder):
    text = VALUE.replace("(g * other.data, g * self.data)", "(2 * g * other.data, g * self.data)")
    card = card_of(folder, text, only=["mul", "tanh", "exp"])
    assert set(wrong(card)) == {"mul"}
    assert any("cotangent of ones" in line for line in card.remarks())
    worse = text.replace("1 - y * y", "1 - y")
    assert set(wrong(card_of(folder, worse, "worse", only=["mul", "tanh", "exp"]))) == {"mul", "tanh"}


def test_what_is_refused_is_not_wrong(folder):
    text = TENSOR.replace("def sum(self, axis=None, keepdims=False):", "def sum(self):").replace(
        "self.data.sum(axis=axis, keepdims=keepdims)", "self.data.sum()").replace("axis is not None and not keepdims", "False")  # fmt: skip
    card = card_of(folder, text, only=["sum", "add"], examples=25)
    (entry,) = (e for e in card.entries if e.name == "sum")
    assert card.ok and 0 < entry.declined < entry.examples and "TypeError" in entry.declined_as


# ---- forms of engines ------------------------------------------------------------------------------------


ADAPTER = """
import numpy as np
from thing import Tensor as Thing

functions = {"mul": lambda a, b: a * b, "tanh": lambda x: x.tanh()}

def variable(array):
    return Thing(array, requires_grad=True)

def constant(array):
    return Thing(array)

def backward(y, g):
    y.backward(g)

def gradient(x):
    return x.grad
"""


def test_an_adapter_of_a_few_functions(folder):
    (folder / "thing.py").write_text(TENSOR, encoding="utf-8")
    card = card_of(folder, ADAPTER, "adapter", only=["mul", "tanh"])
    assert card.ok and [e.name for e in card.entries][:2] == ["mul", "tanh"]
    (folder / "thing.py").write_text(TENSOR.replace("1 - y * y", "1 + y * y"), encoding="utf-8")
    del sys.modules["thing"]
    card = card_of(folder, ADAPTER, "adapter", only=["mul", "tanh"])
    assert wrong(card)["tanh"] == {"vjp"}
    (miss,) = card.entries[1].misses
    assert "tanh = lambda x: x.tanh()" in miss.program and float(printed_by(miss.program)) != 0


def test_a_package_and_a_folder_of_files(folder):
    for name, init in (("package", True), ("files", False)):
        (folder / name).mkdir()
        (folder / name / "engine.py").write_text(VALUE, encoding="utf-8")
        (folder / name / "aside.py").write_text("X = 1", encoding="utf-8")
        if init:
            (folder / name / "__init__.py").touch()
        assert grade(load(str(folder / name)), examples=4, only=["mul"]).ok
    assert not any(module in sys.modules for module in ("aside",))


@pytest.mark.parametrize("text, says", [
    ("class Value:\n    def __mul__(self, other): ...", "its class Value has no backward()"),
    ("class Node:\n    def backward(self): ...", "its class Node has no + and *"),
    ("functions = {}\ndef variable(a): ...", "it has `functions`, and no backward, no gradient"),
    ("x = 1", "functions = {"),
])  # fmt: skip
def test_what_is_not_recognised_is_told_what_is_expected(folder, text, says):
    path = folder / "other.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Unrecognised) as error:
        load(str(path))
    assert says in str(error.value) and "a class Value:" in str(error.value)


def test_an_engine_that_is_not_installed_is_said_to_be(monkeypatch):
    monkeypatch.setitem(sys.modules, "micrograd", None)
    monkeypatch.delitem(sys.modules, "autodiff.testing.adapters.for_micrograd", raising=False)
    with pytest.raises(NotInstalled, match="pip install micrograd"):
        load("micrograd")


class Functional(Recording):
    """Our own engine, as one that differentiates functions: for what is recorded and handed over."""

    name, abilities = "functional", frozenset({"forward mode", "second order"})
    native = {n: OURS.functions[n] for n in ("add", "mul", "sum", "tanh", "cat", "max", "square")}

    def own(self, array):
        return ad.Tensor(OURS.array(array))

    def array(self, value):
        return OURS.array(getattr(value, "value", value))

    def vjp(self, f, xs, gs):
        return [OURS.array(g) for g in self.grad(lambda *x: self.inner(gs, f(*x)), xs)]

    def grad(self, f, xs):
        return functional.grad(f, tuple(range(len(xs))))(*xs)

    def tangents(self, f, xs, ts):
        return functional.jvp(f, list(xs), list(ts))[1]


def test_an_engine_that_differentiates_functions():
    card = grade(
        Functional(), examples=6, only=["add", "cat", "max", "sum", "tanh", NEAR_AND_FAR, "random programs"]
    )
    assert card.ok, str(card)
    assert card.entries[0].properties["second order"] == card.entries[0].properties["jvp"] == "right"
    assert "accumulation" in card.waived and "accumulation" not in card.entries[0].properties


@pytest.mark.parametrize("name", ["autodiff", "torch", "jax", "autograd", "mygrad", "micrograd"])
def test_engines_that_are_installed(name):
    try:
        engine = load(name)
    except NotInstalled as error:
        pytest.skip(str(error))
    card = grade(engine, examples=3, only=["mul", "neg", "sum", "number - x"])
    assert card.ok, str(card)
    assert engine.version in card.title


def test_conventions_are_told_and_not_judged(folder):
    card = card_of(folder, VALUE.replace("self.data > 0", "self.data >= 0"), only=["relu"])
    (convention,) = card.entries[0].conventions
    assert card.ok and not convention.same and (convention.got, convention.ours) == ("1 1", "0 0")
    assert "relu([0.0, -0.0]): 1 1 (ours: 0 0)" in str(card)


# ---- the card -----------------------------------------------------------------------------------------------


def a_card() -> Card:
    return Card("toy", "1.0", entries=[
        Entry("add", "operations", "right", 5, {"value": "right", "vjp": "right"}),
        Entry("mul <&>", "operations", "wrong", 5, {"value": "right", "vjp": "wrong"},
              [Miss("vjp", "2 < 3 & so on", "print('<b>')")], conventions=[Convention("mul(0)", "1", "0", False)]),
        Entry("cumprod", "operations", "declined", 5, {"value": "right"}),
    ])  # fmt: skip


def test_totals():
    card = a_card()
    assert card.total == "1 of 2 rows right, 3 of 4 checks passed" and not card.ok
    card.required = ["add", "exp"]
    assert card.lacking == ["exp"] and card.total == "1 of 3 rows right, 3 of 5 checks passed"
    assert "exp: asked for, and not offered" in str(card)


def test_the_table_is_in_line_though_names_are_short():
    card = Card("toy", entries=[Entry("add", "operations", "right", 5, {"value": "right", "vjp": "wrong"})])
    head, row = str(card).splitlines()[3:5]
    assert row.index("✓", 2) == head.index("value") + 2 and row.index("✗") == head.index("vjp") + 1


def test_a_remark_names_its_row_once(folder):
    text = VALUE.replace("__radd__, __rmul__ = __add__, __mul__", "").replace(
        "isinstance(other, Value)", "other.rule or True"
    )
    remarks = card_of(folder, text, only=["mul", "number * x"]).remarks()
    assert sum("number * x" in line for line in remarks) == 1
    assert "number * x: number" not in "".join(remarks) and "· number * x: TypeError" in "".join(remarks)


def test_json_has_all_of_it():
    data = json.loads(json.dumps(a_card().as_json()))
    assert data["format"] == 1
    assert data["total"] == {"rows": 2, "right": 1, "checks": 4, "passed": 3, "ok": False}
    types = {"name": str, "version": str, "status": str, "message": str, "entries": list, "waived": dict,
             "documented": dict, "not_offered": list, "required": list, "seconds": float}  # fmt: skip
    assert {key: type(data[key]) for key in types} == types
    assert [Entry.of(found) for found in data["entries"]] == a_card().entries


class Page(html.parser.HTMLParser):
    """Are all elements closed, and what is said?"""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.ids, self.links = [], "", [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"][1:]] if tag == "a" else []
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_is_whole_and_escaped():
    page = Page(a_card().as_html())
    assert not page.open and "print('<b>')" in page.text and "2 < 3 & so on" in page.text
    assert len(set(page.ids)) == len(page.ids) and set(page.links) <= set(page.ids)


def test_the_page_of_a_class_lists_what_is_wrong_and_opens_what_is_linked_to():
    page = Page(class_page([a_card()], "A class"))
    assert not page.open and set(page.links) <= set(page.ids) and "card-0" in page.ids
    text = class_page([a_card()], "A class")
    assert (
        '<td class="wide">mul &lt;&amp;&gt;</td>' in text
    )  # cumprod, which is declined, is not held against it
    assert 'closest("details")' in text and "addEventListener" in text


# ---- the command -------------------------------------------------------------------------------------------


def command(*arguments: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "autodiff.testing", "grade", *map(str, arguments)],
                          capture_output=True, text=True, timeout=120, check=False, **options)  # fmt: skip


def test_exit_status_says_whether_all_is_right(folder):
    (folder / "right.py").write_text(VALUE, encoding="utf-8")
    (folder / "wrong.py").write_text(VALUE.replace("1 - y * y", "1 - y"), encoding="utf-8")
    (folder / "nothing.py").write_text("x = 1", encoding="utf-8")
    quick = ("--examples", 4, "--only", "tanh,add")
    for name, status, says in (
        ("right", 0, "2 of 2 rows right"),
        ("wrong", 1, "✗ tanh: vjp"),
        ("nothing", 2, "a class Value:"),
    ):
        done = command(folder / f"{name}.py", *quick)
        assert done.returncode == status and says in done.stdout, done.stdout + done.stderr
    assert command("no_such_module", *quick).returncode == 2


def test_a_class_of_engines(folder):
    """Whatever a submission does, the others are graded, and it is blamed where it went wrong."""
    loops = "import time; time.sleep(300)"
    shop = {
        "right": VALUE,
        "wrong": VALUE.replace("1 - y * y", "1 - y"),
        "loops": VALUE.replace("y = math.tanh(self.data)", loops),
        "crashes": VALUE.replace("y = math.tanh(self.data)", "import os; os._exit(7)"),
        "eats": VALUE.replace("y = math.tanh(self.data)", "y = bytearray(2**40)"),
        "prints": "import os, sys, subprocess\n"
                  "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
                  f"open({str(folder / 'pid')!r}, 'w').write(str(child.pid))\n"
                  "import time\nwhile True: time.sleep(0.001), print('garbage' * 1000)",
        "exits": "import sys; sys.exit(0)",
        "unfinished": "def f(:",
        "empty": "",
    }  # fmt: skip
    submissions = folder / "class"
    submissions.mkdir()
    for name, text in shop.items():
        (submissions / f"{name}.py").write_text(text, encoding="utf-8")
    done = command(submissions, "--examples", 3, "--only", "add,tanh,exp", "--row-time", 8, "--jobs", 4,
                   "--json", folder / "all.json", "--html", folder / "all.html")  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "garbage" not in done.stdout
    cards = {data["name"]: data for data in json.loads((folder / "all.json").read_text(encoding="utf-8"))}
    assert set(cards) == set(shop)
    verdicts = {name: {e["name"]: e["verdict"] for e in data["entries"]} for name, data in cards.items()}
    fine = dict.fromkeys(("add", "tanh", "exp"), "right")
    assert verdicts["right"] == fine
    assert verdicts["wrong"] == verdicts["eats"] | {"tanh": "wrong"} == fine | {"tanh": "wrong"}
    assert verdicts["loops"] == verdicts["crashes"] == fine | {"tanh": "fails"}
    message = {
        name: entry["misses"][0]["message"]
        for name, data in cards.items()
        for entry in data["entries"]
        if entry["verdict"] == "fails"
    }
    assert "no answer in 8 s" in message["loops"] and "exit status 7" in message["crashes"]
    assert {cards[name]["status"] for name in ("prints", "exits", "unfinished")} == {"broken"}
    assert cards["empty"]["status"] == "unrecognised"
    assert "no answer" in cards["prints"]["message"] and "line 1" in cards["unfinished"]["message"]
    assert not alive(int((folder / "pid").read_text(encoding="utf-8")))
    page = Page((folder / "all.html").read_text(encoding="utf-8"))
    assert not page.open and set(page.links) <= set(page.ids) and "crashes" in page.text


def alive(pid: int) -> bool:
    """Is there such a process still (and not only waiting to be noticed)?"""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
            if "State:\tZ" in Path(f"/proc/{pid}/status").read_text(encoding="utf-8"):
                return False
        except (ProcessLookupError, FileNotFoundError):
            return False
        time.sleep(0.05)
    return True


def test_subcommands_and_options(capsys):
    assert main([]) == 2 and main(["--help"]) == 0
    assert "grade" in capsys.readouterr().out
    assert set(adapters.KNOWN) >= {"torch", "jax", "autograd", "mygrad", "micrograd"}


@pytest.mark.parametrize("options, says", [
    ("--without vpj", "there is no check 'vpj' (do you mean 'vjp' or 'jvp'?): write one of value, vjp"),
    ("--only ad,tanh", "there is no row 'ad' (do you mean "),
    ("--require tnah", "there is no operation 'tnah' (do you mean 'tan"),
    ("--examples 0", "--examples: 0 is not at least 1"), ("--examples -5", "-5 is not at least 1"),
    ("--time 0", "--time: 0 is not above 0"), ("--row-time -3", "-3 is not above 0"),
    ("--memory -1", "--memory: -1 is not at least 0"), ("--jobs 0", "--jobs: 0 is not at least 1"),
    ("--time nan", "nan is not above 0"), ("--examples x", "invalid int value: 'x'"),
    ("--html FILE/x.html", "the folder of"), ("--json FOLDER", "cannot be written"),
])  # fmt: skip
def test_options_are_read_before_anything_is_graded(options, says, tmp_path, capsys):
    file = tmp_path / "file"
    file.touch()
    options = options.replace("FILE", str(file)).replace("FOLDER", str(tmp_path))
    with pytest.raises(SystemExit) as stopped:
        main(["grade", "autodiff", *options.split()])
    assert stopped.value.code == 2 and says in capsys.readouterr().err


def test_only_and_html(tmp_path, capsys):
    (tmp_path / "toy.py").write_text(VALUE, encoding="utf-8")
    page = tmp_path / "new" / "folder" / "x.html"
    options = ["--only", "mul,used near and far,sqrt", "--examples", "4", "--html", str(page)]
    assert main(["grade", str(tmp_path / "toy.py"), *options]) == 0
    shown = capsys.readouterr().out
    assert "2 of 2 rows right" in shown and "not offered, or unknown to the adapter: sqrt" in shown
    assert "2 of 2 rows right" in page.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="there is no row 'ad'"):
        grade(for_autodiff.ENGINE(), only=["ad"])


@pytest.mark.skipif(os.name == "nt", reason="processes are followed by their numbers")
def test_who_is_killed_leaves_nothing_running(tmp_path):
    engine, note = tmp_path / "engine.py", tmp_path / "pid"
    engine.write_text(
        f"import os, pathlib, time\npathlib.Path({str(note)!r}).write_text(str(os.getpid()))\ntime.sleep(300)\n"
    )
    grading = subprocess.Popen(
        [sys.executable, "-m", "autodiff.testing", "grade", str(engine)], stdout=subprocess.DEVNULL, cwd=ROOT
    )
    wait_for(lambda: note.exists() and note.read_text())
    worker = int(note.read_text())
    os.kill(worker, 0)  # it is there
    grading.terminate()
    grading.wait()

    def gone():
        status = Path(f"/proc/{worker}/stat")
        if status.exists() and ") Z " in status.read_text(encoding="utf-8"):
            return True  # dead, and not yet buried by whoever inherited it
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return True
        return False

    wait_for(gone)


def wait_for(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
