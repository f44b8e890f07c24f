"""One engine, judged: every operation it offers, and programs made of them, against every check."""

from __future__ import annotations

import contextlib
import random
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.errors import NoSuchExample

from . import blame
from .adapters.base import Adapter
from .card import Card, Convention, Entry, Miss
from .case import Case, Constant, Fixed
from .checks import CHECKS
from .engine import OURS, is_declined
from .operations import OPERATIONS, direct, listed
from .options import listed as known_names
from .oracles import FiniteDifferences
from .report import CONSEQUENCES, Finding, said
from .strategies import arrays, broadcast_arrays, st

EXAMPLES = 60  # looked at for each row
ALIKE = 1  # examples of the same shapes and options that are looked at
ROUNDS = 4  # times that the drawing begins anew


# ---- programs: what can be wrong though every operation is right ------------------------------------


@dataclass(frozen=True)
class Steps:
    """A straight-line program. A step is (operation, operand …); an operand is the number of an earlier
    value (the inputs come first) or, if it is a float, a constant."""

    steps: tuple[tuple, ...]
    outputs: tuple[int, ...] = (-1,)
    times: int = 1  # how often the last step is repeated, its first operand being the result before

    def run(self, functions: Any, xs: Sequence) -> Any:
        values = list(xs)
        for name, *operands in self.steps:
            values.append(functions[name](*(o if isinstance(o, float) else values[o] for o in operands)))
        name, _, *rest = self.steps[-1]
        for _ in range(self.times - 1):
            values[-1] = functions[name](values[-1], *(values[o] for o in rest))
        results = [values[k] for k in self.outputs]
        return results[0] if len(results) == 1 else results

    def text(self, names: Sequence[str]) -> tuple[list[str], list[str]]:
        """The lines, and the names of the outputs."""
        names, lines = list(names), []
        for name, *operands in self.steps:
            new = f"v{len(names)}"
            written = ", ".join(repr(o) if isinstance(o, float) else names[o] for o in operands)
            lines.append(f"{new} = {name}({written})")
            names.append(new)
        if self.times > 1:
            name, _, *rest = self.steps[-1]
            again = ", ".join([names[-1], *(names[o] for o in rest)])
            lines += [f"for _ in range({self.times - 1}):", f"    {names[-1]} = {name}({again})"]
        return lines, [names[k] for k in self.outputs]


@dataclass(frozen=True)
class Composed:
    """A row of the card that is no operation."""

    name: str
    inputs: Any  # a strategy of (Steps, array, …)
    needs: frozenset[str]
    conventions: tuple = ()
    options: dict = field(default_factory=dict)
    limit: bool = False  # is it there to find out how far the engine goes? Then it is run once

    def of(self, functions: Any) -> Callable:
        def program(steps, *xs):
            return steps.run(functions, xs)

        return program


def fixed(
    name: str, steps: tuple, outputs: tuple = (-1,), n: int = 1, times: int = 1, low=-2.0, high=2.0
) -> Composed:
    """The same steps, at whatever inputs."""
    given = Steps(steps, outputs, times)
    inputs = broadcast_arrays(n, lambda shape: arrays(shape, low, high)).map(lambda xs: (given, *xs))
    options = {"checks": ("value", "vjp")} if times > 1 else {}
    needs = frozenset(step[0] for step in steps)
    return Composed(name, inputs, needs, options=options, limit=times > 1)


LONG = 1500  # operations: more than Python's recursion goes deep
PROGRAMS = [
    fixed("x + x", (("add", 0, 0),)),
    fixed("x * x + x", (("mul", 0, 0), ("add", 1, 0))),
    fixed("a diamond: (ab + a)(ab + b)", (("mul", 0, 1), ("add", 2, 0), ("add", 2, 1), ("mul", 3, 4)), n=2),
    fixed("used near and far: u = ab, v = u + a, v(vu) + u",
          (("mul", 0, 1), ("add", 2, 0), ("mul", 3, 2), ("mul", 3, 4), ("add", 5, 2)), n=2),
    fixed("number + x", (("add", 3.0, 0),)), fixed("number - x", (("sub", 3.0, 0),)),
    fixed("number * x", (("mul", 3.0, 0),)), fixed("number / x", (("div", 3.0, 0),), low=0.25),
    fixed("x + number", (("add", 0, 3.0),)), fixed("x - number", (("sub", 0, 3.0),)),
    fixed("x * number", (("mul", 0, 3.0),)), fixed("x / number", (("div", 0, 4.0),)),
    fixed("two outputs: ab and a + b", (("mul", 0, 1), ("add", 0, 1)), outputs=(2, 3), n=2),
    fixed("an input that is not used", (("mul", 0, 0),), n=2),
    fixed(f"a chain of {LONG} additions", (("add", 0, 0),), times=LONG),
]  # fmt: skip
JOINTS = {"neg": 1, "square": 1, "tanh": 1, "sigmoid": 1, "sin": 1, "relu": 1, "abs": 1, "add": 2, "sub": 2, "mul": 2,
          "maximum": 2}  # fmt: skip  # what random programs are made of, and how many operands it has


def random_programs(trusted: Sequence[str]) -> Composed:
    """Programs of up to six steps, made of operations that were found to be right."""

    @st.composite
    def drawn(draw):
        xs = draw(broadcast_arrays(draw(st.integers(1, 2)), arrays))
        steps = []
        for k in range(draw(st.integers(1, 6))):
            name = draw(st.sampled_from([n for n in JOINTS if n in trusted]))
            steps.append((name, *(draw(st.integers(0, len(xs) + k - 1)) for _ in range(JOINTS[name]))))
        return (Steps(tuple(steps)), *xs)

    return Composed(RANDOM, drawn(), frozenset())


RANDOM = "random programs"
ROWS = (*OPERATIONS, *(program.name for program in PROGRAMS), RANDOM)  # that a card may have


# ---- one example -------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What one example has shown."""

    case: Case | None = None
    declined: str = ""  # what the engine said of arguments that it does not take
    checked: set[str] = field(default_factory=set)
    findings: dict[str, Finding] = field(default_factory=dict)
    not_offered: dict[str, str] = field(default_factory=dict)  # check → what the engine said


def look(engine: Any, row: Any, example: tuple, names: Sequence[str], broken: Sequence[str],
         ones: bool = False) -> Outcome:  # fmt: skip
    """One example, (arguments, seed), of an operation or of a program, by the checks of those names."""
    with quiet():
        arguments, seed = example
        return looked(engine, row, arguments, seed, names, broken, ones)


def looked(engine: Any, row: Any, arguments: tuple, seed: int, names: Sequence[str], broken: Sequence[str],
           ones: bool) -> Outcome:  # fmt: skip
    outcome = Outcome()
    if promised(engine, row, arguments):
        return outcome
    twin = Case(row.of(OURS.functions), arguments, seed=seed, name=row.name)
    if twin.oracle.exact and not twin.oracle.ordered:
        raise AssertionError("the oracle has to give numbers that can be compared")
    f = row.of(engine.functions)
    try:
        plain = Case(
            f, arguments, engine=Untracked(engine), reference=twin.untracked, oracle=twin.oracle, seed=seed
        )
    except Exception as error:
        outcome.declined = said(error)
        return outcome
    rtol = engine.rtol or twin.rtol
    wrong_value = differing(twin.values, plain.values, rtol)
    oracle = FiniteDifferences() if wrong_value else twin.oracle  # then of what it does compute
    reference = plain.untracked if wrong_value else twin.untracked
    outcome.checked.add("value")
    if wrong_value:
        outcome.findings["value"] = wrong_value
    try:
        case = Case(f, arguments, engine=engine, reference=reference, oracle=oracle, seed=seed, rtol=rtol,
                    name=row.name)  # fmt: skip
    except Exception as error:
        outcome.findings["value"] = Finding("value", f"it raises when a gradient is wanted: {said(error)}")
        return outcome
    outcome.case = case
    case.first = int(isinstance(row, Composed))  # its steps come before its inputs
    for place, name in letters(case).items():
        case.names[place] = name
    if len(case.values) != len(twin.values) or any(
        a.shape != b.shape for a, b in zip(case.values, twin.values, strict=False)
    ):
        return outcome
    if "mul" in broken or ones:  # what cotangents are weighed with: ones can be pulled back without it
        case.gs = [np.ones_like(g) for g in case.gs]
    if "sum" in broken and any(g.size != 1 for g in case.gs):
        return outcome
    skip = {*row.options.get("skip", ()), *engine.waived}
    only = row.options.get("checks", CHECKS)
    for check in CHECKS.values():
        if check.name not in names or check.name not in only or check.name in skip:
            continue
        if check.needs - engine.abilities or not case.arrays:
            continue
        if check.name in CONSEQUENCES and "vjp" in outcome.findings:
            continue  # it would say the same again
        try:
            finding = next(iter(check.run(case)), None)
        except Exception as error:
            if is_declined(error):
                outcome.not_offered[check.name] = said(error)
                if check.name == "vjp":
                    break
                continue
            finding = Finding(check.name, f"it raises {said(error)}", rule=last_line(error))
            outcome.findings[check.name] = finding
            outcome.checked.add(check.name)
            break  # for the others it would raise again
        outcome.checked.add(check.name)
        if finding is not None:
            outcome.findings.setdefault(check.name, finding)
    return outcome


def promised(engine: Any, row: Any, arguments: tuple) -> bool:
    """Do its makers say that its gradient is not the derivative here?"""
    documented = getattr(engine, "documented", {})
    return row.name in documented and documented[row.name][1](*arguments)


class Untracked:
    """The engine, wanting no gradients: what it does not take even so, it does not offer."""

    def __init__(self, engine: Any):
        self.engine, self.variable = engine, engine.constant

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


def differing(expected: list, found: list, rtol: float) -> Finding | None:
    """What is wrong with the values."""
    if len(expected) != len(found):
        return Finding("value", f"it gives {len(found)} arrays of floats, and {len(expected)} are expected")
    for k, (a, b) in enumerate(zip(expected, found, strict=True)):
        which = f"output {k}" if len(found) > 1 else "the value"
        if a.shape != b.shape:
            return Finding("value", f"{which} has shape {b.shape}, and {a.shape} is expected")
        size = np.max(abs(a[np.isfinite(a)]), initial=0)
        if not np.allclose(b, a, rtol=rtol, atol=rtol * size + 1e-12, equal_nan=True):
            return Finding("value", f"{which} is wrong", a, b)
    return None


def last_line(error: BaseException) -> str:
    """Where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}: {frames[-1].line}" if frames else ""


# ---- one row ------------------------------------------------------------------------------------------


def scalars(arguments: tuple) -> tuple:
    """The first number of each array."""
    return tuple(np.array(a.flat[0]) if isinstance(a, np.ndarray) else a for a in arguments)


class Judge:
    """An engine at one row: what drawn examples show, each miss shrunk to its simplest form.

    Of what Hypothesis draws much is alike. Here ALIKE examples of the same shapes and options are
    looked at, and others are passed over, until `examples` of them have been seen, in several rounds.
    """

    def __init__(self, engine: Any, row: Any, *, examples: int = EXAMPLES, seed: int = 0,
                 broken: Sequence[str] = (), patience: float = 30.0):  # fmt: skip
        self.engine, self.row, self.seed, self.broken = engine, row, seed, broken
        self.examples, self.limit = examples, getattr(row, "limit", False)
        self.end = time.monotonic() + patience  # of shrinking
        inputs = row.inputs
        if engine.scalar:
            filled = inputs.filter(lambda t: all(a.size for a in t if isinstance(a, np.ndarray)))
            inputs = filled.map(scalars)
        self.drawn = st.tuples(inputs, st.integers(0, 2**16))
        self.seen: Counter = Counter()
        self.first: dict[
            str, tuple
        ] = {}  # check → (an example that fails it, of which round it is, which draw)
        self.round = self.draws = 0
        self.entry = Entry(row.name, "programs" if isinstance(row, Composed) else "operations")

    def judged(self) -> Entry:
        """The row of the card."""
        start, entry = time.monotonic(), self.entry
        if self.broken:
            entry.note = without(self.broken)
        if self.limit:  # not inside Hypothesis, which lets Python recurse further than it does by itself
            self.note(self.search(lambda example: True, 0))
        else:
            self.search_in_rounds()
        entry.verdict = self.verdict()
        if entry.verdict == "wrong":
            entry.misses = [self.shrunk(name) for name in CHECKS if name in self.first]
        entry.conventions = conventions(self.engine, self.row)
        entry.seconds = time.monotonic() - start
        return entry

    def search_in_rounds(self) -> None:
        for self.round in range(ROUNDS):
            self.draws = 0
            if self.entry.examples < self.examples:
                self.search(self.note, self.round)

    def verdict(self) -> str:
        entry = self.entry
        if entry.examples == entry.declined:
            if entry.section == "programs":  # with numbers among its operands, perhaps, that it does not take
                entry.note = entry.declined_as.removeprefix(f"{entry.name}: ")  # which comes before a remark
                return "declined"
            entry.misses.append(Miss("value", f"it takes nothing of what was tried: {entry.declined_as}"))
            return "fails"
        seen = "vjp" in entry.properties or "vjp" in self.engine.waived
        return "wrong" if self.first else "right" if seen else "declined"

    def search(self, condition: Callable[[tuple], bool], round: int) -> Any:
        """The simplest example for which the condition holds, or None. A round draws the same every time."""
        profile = settings(
            max_examples=self.examples, phases=(Phase.generate, Phase.shrink), deadline=None, database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        )  # fmt: skip
        try:
            with quiet():
                return find(
                    self.drawn, condition, settings=profile, random=random.Random(f"{self.seed} {round}")
                )
        except NoSuchExample:
            return None

    def is_new(self, arguments: tuple) -> bool:
        """Is it worth looking at?"""
        alike = tuple((a.shape, a.dtype.kind) if isinstance(a, np.ndarray) else repr(a) for a in arguments)
        exactly = tuple(a.tobytes() if isinstance(a, np.ndarray) else "" for a in arguments)
        new = not self.seen[alike, exactly] and (self.engine.scalar or self.seen[alike] < ALIKE)
        if new:
            self.seen.update(((alike, exactly), alike))
        return new

    def note(self, example: tuple) -> bool:
        """Look at an example, and write down what it shows. Never the end of the search."""
        entry, arguments = self.entry, example[0]
        self.draws += 1
        if entry.examples == self.examples or not self.is_new(arguments):
            return False
        outcome = look(self.engine, self.row, example, tuple(CHECKS), self.broken)
        entry.examples += 1
        if outcome.declined:
            entry.declined += 1
            entry.declined_as = entry.declined_as or f"{called(self.row, arguments)}: {outcome.declined}"
        for name in outcome.checked:
            entry.properties[name] = entry.properties.get(name, "right")
        for name in outcome.findings:
            entry.properties[name] = "wrong"
            if name not in self.first or has_elements(example) > has_elements(self.first[name][0]):
                self.first[name] = (example, self.round, self.draws)
        for name, text in outcome.not_offered.items():
            entry.not_offered.setdefault(name, text)
        return False

    def shrunk(self, name: str) -> Miss:
        """The miss, at the simplest example that shows it; one of arrays that have elements, if there is one."""
        names = tuple(dict.fromkeys(("vjp", name))) if name in CONSEQUENCES else (name,)
        example, round, draw = self.first[name]
        empty = not has_elements(example)
        found = None
        for of_arrays in (has_elements, lambda example: empty):
            draws = 0

            def fails(given, of_arrays=of_arrays):
                nonlocal draws
                draws += 1  # up to the one that is known to fail, nothing need be tried
                return (draws >= draw and of_arrays(given) and time.monotonic() < self.end
                        and name in look(self.engine, self.row, given, names, self.broken).findings)  # fmt: skip

            if found is None and not self.limit:
                found = self.search(fails, round)
        example = found or example
        # Cotangents of ones are easier to read, if they show it, too.
        outcome = look(self.engine, self.row, example, names, self.broken, ones=True)
        if name not in outcome.findings:
            outcome = look(self.engine, self.row, example, names, self.broken)
        finding = outcome.findings.get(name)
        if finding is None:
            again = "it fails at one time and not at the next: it depends on more than its inputs"
            return Miss(name, f"{again} ({called(self.row, example[0])})")
        message = str(finding).removeprefix("✗ ").replace(f"  [{name}]", "", 1)
        if not has_elements(example):
            message += "\n    (of what was tried, only arrays without elements showed it)"
        return Miss(name, message, snippet(self.engine, self.row, example[0], outcome.case, finding))


def without(broken: Sequence[str]) -> str:
    """How an engine is judged whose own product, or sum, cannot pull back a cotangent."""
    how = {"mul": "a cotangent of ones", "sum": "a single output"}
    only = " and ".join(how[name] for name in broken)
    return f"with {only} only: others are pulled back through the engine's own {' and '.join(broken)}, which is wrong"


def has_elements(example: tuple) -> bool:
    """Is there a number in every array?"""
    return all(a.size for a in example[0] if isinstance(a, np.ndarray))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What engines warn of is not for the reader of the card."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


# ---- as a program ---------------------------------------------------------------------------------------


def called(row: Any, arguments: tuple) -> str:
    """`name(arguments)`, briefly."""
    if isinstance(row, Composed):
        return row.name
    return f"{row.name}({', '.join(brief(a) for a in arguments)})"


def brief(a: Any) -> str:
    """An argument in a few characters: the shape of a large array."""
    if isinstance(a, np.ndarray) and a.size > 4:
        return f"{a.dtype.name}{list(a.shape)}"
    if isinstance(a, np.ndarray):
        return np.array2string(a, separator=", ").replace("\n", "")
    return repr(a.value if isinstance(a, Fixed) else a)


def snippet(engine: Any, row: Any, arguments: tuple, case: Case | None, finding: Finding) -> str:
    """The example as a program in the engine's own words, which shows what was found; "" if there is none."""
    if case is None or not hasattr(engine, "spelled_run"):
        return ""
    lines = [engine.imports] if engine.imports else []
    operations = sorted({s[0] for s in arguments[0].steps}) if isinstance(row, Composed) else [row.name]
    texts = {name: engine.spelled(name) for name in operations}
    lines += ["import operator"] * any("operator." in text for text in texts.values())
    head, lines = lines, [""]
    lines += [f"{name} = {text}" for name, text in texts.items()]
    known = letters(case)
    inputs = [known[place] for place in case.places]
    constants = {k: known[k] for k, a in enumerate(case.arguments) if isinstance(a, Constant)}
    lines += [f"{name} = {engine.spelled_constant(case.arguments[k].array)}" for k, name in constants.items()]
    names = []
    for place, a in enumerate(case.arguments):
        if place in known:
            names.append(known[place])
        elif not isinstance(a, Steps):
            text = blame.literal(a.value if isinstance(a, Fixed) else a)
            names.append(f"float('{text}')" if text in ("inf", "-inf") else text)
    body, outputs = body_of(row, arguments, names, len(case.values), case)
    shown = Shown(engine, case, finding, inputs, constants, body, outputs).lines()
    if not shown:
        return ""
    lines += shown
    lines.append("# " + "\n# ".join(str(finding).removeprefix("✗ ").splitlines()))
    if any("np." in line for line in lines) and " as np" not in "".join(head):
        head.append("import numpy as np")
    return "\n".join(head + lines)


def letters(case: Case) -> dict[int, str]:
    """place → what an array among the arguments is called in a program."""
    arrays = [k for k, a in enumerate(case.arguments) if k in case.places or isinstance(a, Constant)]
    return {place: "abcdefgh"[k] if k < 8 else f"x{k}" for k, place in enumerate(arrays)}


@dataclass
class Shown:
    """A program, and what has to be done with it to see a finding."""

    engine: Any
    case: Case
    finding: Finding
    inputs: list[str]
    constants: dict[int, str]  # place → name
    body: list[str]
    outputs: list[str]

    def lines(self) -> list[str]:
        """From the inputs to what is printed; none, if the engine's adapter cannot say it."""
        special = getattr(self, self.finding.check.replace(" ", "_"), None)
        return special() if special else self.given() + self.run()

    # ---- what they are made of ------------------------------------------------------------------

    def given(self, arrays: Sequence | None = None, tracked: Sequence[int] | None = None) -> list[str]:
        """The inputs; those that are not tracked want no gradient."""
        make, constant = self.engine.spelled_variable, self.engine.spelled_constant
        return [
            f"{name} = {(make if tracked is None or k in tracked else constant)(x)}"
            for k, (name, x) in enumerate(zip(self.inputs, arrays or self.case.arrays, strict=True))
        ]

    def run(self, more: Sequence[str] = ()) -> list[str]:
        return self.engine.spelled_run([*self.inputs, *more], self.body, self.outputs, self.case.gs)

    def walk(self, gs: Sequence | None = None) -> list[str]:
        return self.engine.spelled_walk(self.outputs, gs or self.case.gs)

    def printed(self) -> str:
        return f"print({', '.join(map(self.engine.spelled_gradient, self.inputs))})"

    @property
    def walks(self) -> bool:
        """Does the engine walk back from a value? (Others differentiate a function.)"""
        return type(self.engine).spelled_run is Adapter.spelled_run

    # ---- by check: those that a walk, and its gradients printed, do not show ------------------------

    def alone(self) -> list[str]:
        k = self.finding.scene.get("tracked")
        return self.given(tracked=None if k is None else [k]) + self.run()

    def integers(self) -> list[str]:
        place = self.finding.scene.get("constant")
        return self.given() + self.run(
            [self.constants[place]] if place in self.constants and self.walks else []
        )

    def shape_and_dtype(self) -> list[str]:
        dtypes = self.finding.scene.get("dtypes")
        if not dtypes or not self.walks:
            return self.given() + self.run()
        arrays = [x.astype(d) for x, d in zip(self.case.arrays, dtypes, strict=True)]
        values = self.case.run(arrays, walk=False).values
        gs = [g.astype(y.dtype) for g, y in zip(self.case.gs, values, strict=True)]
        found = [self.engine.spelled_gradient_array(x) for x in self.inputs]
        return [*self.given(arrays), *self.body, *self.walk(gs),
                *(f"print({g}.dtype, {g}.shape)" for g in found)]  # fmt: skip

    def accumulation(self) -> list[str]:
        if not self.walks:
            return []
        twice = [f"    {line}" for line in [*self.body, *self.walk(), self.printed()]]
        return [*self.given(), "for walk in range(2):", *twice]

    def determinism(self) -> list[str]:
        return ["for time in range(2):", *(f"    {line}" for line in self.given() + self.run())]

    def untouched(self) -> list[str]:
        (kind, k), *_ = [*self.finding.scene.items(), ("", 0)]
        if not kind or not self.walks:
            return self.given() + self.run()
        cotangent_names = [f"g{k}" for k in range(len(self.case.gs))]
        of = {"input": self.inputs, "output": self.outputs, "cotangent": cotangent_names}
        what = of[kind][k] if kind == "cotangent" else self.engine.spelled_array(of[kind][k])
        kept = [f"before = {what}.copy()"]
        cotangents = [f"{g} = {blame.literal(x)}" for g, x in zip(of["cotangent"], self.case.gs, strict=True)]
        return [*self.given(), *(kept if kind == "input" else []), *self.body, *(kept if kind == "output" else []),
                *(cotangents + kept if kind == "cotangent" else []),
                *self.walk(of["cotangent"] if kind == "cotangent" else None), f"print(before, {what})"]  # fmt: skip

    def aliasing(self) -> list[str]:
        scene = dict(self.finding.scene)
        if not scene or not self.walks:
            return self.given() + self.run()
        gradient = self.engine.spelled_gradient_array(self.inputs[scene.pop("of")])
        if not scene:
            return [*self.given(), *self.body, *self.walk(), f"print({gradient}.flags.writeable)"]
        ((kind, j),) = scene.items()
        cotangents = [f"g{k} = {blame.literal(g)}" for k, g in enumerate(self.case.gs)]
        other = {
            "gradient": lambda: self.engine.spelled_gradient_array(self.inputs[j]),
            "cotangent": lambda: f"g{j}", "output": lambda: self.engine.spelled_array(self.outputs[j]),
            "input": lambda: self.engine.spelled_array(self.inputs[j]),
        }[kind]()  # fmt: skip
        named = [f"g{k}" for k in range(len(cotangents))] if kind == "cotangent" else None
        return [*self.given(), *self.body, *(cotangents if named else []), *self.walk(named),
                f"print(np.shares_memory({gradient}, {other}))"]  # fmt: skip

    def memory_layouts(self) -> list[str]:
        return []  # in a program of literals all memory is alike

    def jvp(self) -> list[str]:
        tangents = self.engine.spelled_jvp.format(f="f", xs="xs", ts="ts")
        return [*self.function(), f"print({tangents})"] if tangents else []

    def adjoint(self) -> list[str]:
        tangents = self.engine.spelled_jvp.format(f="f", xs="xs", ts="ts")
        if not tangents or not self.engine.spelled_grad:
            return []
        return [
            *self.function(), *WEIGHTED, f"gradient = {self.grad('weighted', len(self.inputs))}",
            f"print(sum((g * t).sum() for g, t in zip(gs, {tangents})))",
            "print(sum((h * t).sum() for h, t in zip(gradient(*xs), ts)))",
        ]  # fmt: skip

    def second_order(self) -> list[str]:
        nesting, n = self.finding.scene.get("nesting"), len(self.inputs)
        if not nesting or not self.engine.spelled_grad or not self.engine.spelled_jvp:
            return []
        if nesting == "by_cotangent":
            m = n + len(self.outputs)
            return [
                *self.function(), f"ws = [{', '.join(map(self.engine.spelled_constant, map(np.ones_like, self.case.gs)))}]",
                f"weighted = lambda *x: sum((y * g * w).sum() for y, g, w in zip(f(*x[:{n}]), gs, x[{n}:]))",
                f"gradient = {self.grad('weighted', m)}",
                "slope = lambda *x: sum((h * u).sum() for h, u in zip(gradient(*x), us))",
                f"second = {self.grad('slope', m)}(*xs, *ws)",
                f"print(sum(h.sum() for h in second[{n}:]))",
            ]  # fmt: skip
        slope = "slope = lambda *x: sum((h * u).sum() for h, u in zip({}, {}))"
        second = f"second = {self.grad('slope', n)}(*xs)"
        gradient = [*WEIGHTED, f"gradient = {self.grad('weighted', n)}"]
        steps = {
            "reverse_over_reverse": [*gradient, slope.format("gradient(*x)", "us"), second],
            "forward_over_reverse": [*gradient, f"second = {self.engine.spelled_jvp.format(f='gradient', xs='xs', ts='us')}"],
            "reverse_over_forward": [slope.format(self.engine.spelled_jvp.format(f="f", xs="x", ts="us"), "gs"), second],
        }[nesting]  # fmt: skip
        return [*self.function(), *steps, "print(sum((h * t).sum() for h, t in zip(second, ts)))"]

    def grad(self, f: str, n: int) -> str:
        return self.engine.spelled_grad.format(f=f, n=", ".join(map(str, range(n))))

    def function(self) -> list[str]:
        """The program as a function that gives a tuple; and inputs, cotangents, tangents."""
        lists = {"xs": self.case.arrays, "gs": self.case.gs, "us": self.case.us, "ts": self.case.ts}
        return [
            f"def f({', '.join(self.inputs)}):", *(f"    {line}" for line in self.body),
            f"    return ({', '.join(self.outputs)},)", "",
            *(f"{name} = [{', '.join(map(self.engine.spelled_constant, arrays))}]" for name, arrays in lists.items()),
        ]  # fmt: skip


WEIGHTED = ["weighted = lambda *x: sum((y * g).sum() for y, g in zip(f(*x), gs))"]


def body_of(row: Any, arguments: tuple, names: list[str], n: int, case: Case) -> tuple[list[str], list[str]]:
    """The lines of the program, and the names of its outputs."""
    if isinstance(row, Composed):
        return arguments[0].text(names)
    if row.call is direct:
        call = f"{row.name}({', '.join(names)})"
    elif row.call is listed:
        call = f"{row.name}([{', '.join(names[:-1])}], {names[-1]})"
    else:
        text = blame.text_of(row.call)
        call = f"({text or row.call.__name__})({', '.join([row.name, *names])})"
    result = case.called(map(case.engine.constant, case.arrays))
    whole = not isinstance(result, (tuple, list))
    return [f"y = {call}"], ["y"] if whole else [f"y[{k}]" for k in case.slots or range(n)]


# ---- conventions ------------------------------------------------------------------------------------------


def conventions(engine: Any, row: Any) -> list[Convention]:
    """What the engine says where calculus leaves a choice, beside what ours says."""
    found = []
    for arguments, ours in row.conventions:
        floats = [isinstance(a, list) and any(isinstance(x, float) for x in a) for a in arguments]
        try:
            with quiet():
                new = [
                    engine.variable(np.array(a)) if f else a for a, f in zip(arguments, floats, strict=True)
                ]
                y = row.of(engine.functions)(*new)
                y = y[0] if isinstance(y, (tuple, list)) else y
                engine.backward([y], [np.ones_like(engine.array(y))])
                got = [engine.gradient(x) for x, f in zip(new, floats, strict=True) if f]
        except Exception:  # it does not take these arguments; or it does, and `vjp` says so
            continue
        texts = as_text(got), as_text(ours)
        found.append(
            Convention(f"{row.name}({', '.join(map(repr, arguments))})", *texts, texts[0] == texts[1])
        )
    return found


def as_text(gradients: Sequence) -> str:
    """Gradients in a line."""
    return "; ".join(
        "none" if g is None else " ".join(f"{float(v) + 0:g}" for v in np.ravel(g)) for g in gradients
    )


# ---- the whole engine ----------------------------------------------------------------------------------------


def rows(engine: Any) -> list[Any]:
    """Everything to be judged but the random programs: what backward itself uses comes first."""
    offered = [row for name, row in OPERATIONS.items() if name in engine.functions]
    offered.sort(key=lambda row: row.name not in engine.weighs_with)
    return [*offered, *(p for p in PROGRAMS if p.needs <= set(engine.functions))]


def not_offered(engine: Any) -> list[str]:
    """Operations of the table that this engine has no name for (and that somebody may look for)."""
    import autodiff

    known = [n for n in OPERATIONS if hasattr(autodiff, n) or hasattr(autodiff.Tensor, n)]
    return [] if engine.scalar else [n for n in known if n not in engine.functions]


def entries(engine: Any, *, only: Sequence[str] | None = None, done: Sequence[Entry] = (),
            begin: Callable[[str], None] = lambda name: None, **options: Any) -> Iterator[Entry]:  # fmt: skip
    """The rows of the card, one after the other; those in `done` are known already."""
    known_names("row", only or (), ROWS)
    verdicts = {entry.name: entry.verdict for entry in done}
    broken = unable(engine)
    for row in rows(engine):
        if row.name in verdicts or (only and row.name not in only):
            continue
        begin(row.name)
        entry = Judge(engine, row, broken=broken, **options).judged()
        verdicts[row.name] = entry.verdict
        yield entry
    trusted = [name for name in JOINTS if verdicts.get(name) == "right"]
    row = random_programs(trusted)
    if trusted and row.name not in verdicts and (not only or row.name in only):
        begin(row.name)
        yield Judge(engine, row, broken=broken, **options).judged()


def unable(engine: Any) -> list[str]:
    """What is wrong among the operations of its own with which the engine pulls a cotangent back, as far
    as that goes: products and sums of values of the same shape. Their own rows say more."""

    def pulls(g: np.ndarray) -> bool:
        try:
            x = engine.variable(np.ones(g.shape))
            engine.backward([x], [g])
            found = engine.gradient(x)
        except Exception:  # whatever it raises, it does not
            return False
        return found is not None and found.shape == g.shape and np.allclose(found, g)

    broken = []
    if "sum" in engine.weighs_with and not pulls(np.ones((2, 3))):
        broken.append("sum")
    if "mul" in engine.weighs_with and not pulls(np.array(3.0)):
        broken.append("mul")
    return broken


def blank(engine: Any) -> Card:
    """The card of an engine, without its rows."""
    documented = {
        name: why for name, (why, _) in getattr(engine, "documented", {}).items() if name in engine.functions
    }
    return Card(engine.name, engine.version, waived=dict(engine.waived), documented=documented,
                not_offered=not_offered(engine))  # fmt: skip


def grade(engine: Any, **options: Any) -> Card:
    """The report card of an engine, in this process."""
    card = blank(engine)
    card.entries = list(entries(engine, **options))
    return card
