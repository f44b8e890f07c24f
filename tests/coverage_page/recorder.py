"""What the tests check of each operation, noted while they run.

The gradient tests say it themselves: every call of `check_gradients` gives a report. Elsewhere a profile
function notes which operations return an array, and which of NumPy's functions were answered by them. It counts
what happens while both libraries compute one program and the results agree (`beside_torch.same`, and the tables
of tests/autodiff/test_against_torch.py), and in tests of NumPy's protocol that pass.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from autodiff import autograd
from autodiff.graph import Variable
from autodiff.ops import numpy_api
from autodiff.primitive import Primitive, table
from autodiff.testing import OURS, Case, properties
from autodiff.testing.operations import CONSTANT, OPERATIONS, Operation

RECORD = Path(__file__).parent / "checks.json"
TESTS = Path(__file__).parent.parent
GRADIENTS, TABLES, NUMPY = (
    TESTS / "autodiff" / f"test_{name}.py" for name in ("gradients", "against_torch", "numpy_api")
)
UNCHECKED = "second order was not checked"  # as the kit's notes begin

OPERATION = {name: OURS.functions[name] for name in (*OPERATIONS, *sorted(CONSTANT))}
# A primitive counts as the operation of its name: layers and losses call some without the function around it.
PRIMITIVES = {id(p): name for name, p in [*table.items(), *OPERATION.items()] if name in OPERATION}
FUNCTIONS = {
    inspect.unwrap(f).__code__: name for name, f in OPERATION.items() if not isinstance(f, Primitive)
}
CALL = Primitive.__call__.__code__
PROTOCOL = {numpy_api.apply_ufunc.__code__: "ufunc", numpy_api.apply_function.__code__: "function"}
WATCHED = {CALL, *FUNCTIONS, *PROTOCOL}


def recorded() -> dict[str, Any]:
    """{"versions": …, "operations": {name: {"checks", "pytorch", "numpy", "primitives"}}}"""
    return json.loads(RECORD.read_text(encoding="utf-8"))


def files() -> list[Path]:
    """The tests that have something to tell: those three, and all that compare with PyTorch."""
    beside = [f for f in TESTS.glob("*/**/test_*.py") if "from beside_torch import" in text(f)]
    return [GRADIENTS, TABLES, NUMPY, *sorted({*beside} - {GRADIENTS, TABLES, NUMPY})]


def text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


class Watch:
    """What is seen while it is switched on."""

    def __init__(self) -> None:
        self.dtypes: dict[str, set[str]] = defaultdict(set)  # operation → of what it returned
        self.answers: set[tuple[str, str]] = set()  # (NumPy's function, the operation that it ended with)
        self.asked: list[list] = []  # [NumPy's function, its frame, the last operation, how deep in it]

    @contextmanager
    def on(self) -> Iterator[None]:
        before = sys.getprofile()
        sys.setprofile(self.note)
        try:
            yield
        finally:
            sys.setprofile(before)

    def note(self, frame: FrameType, event: str, result: Any) -> None:
        code = frame.f_code
        if code not in WATCHED or event not in ("call", "return"):
            return
        if code in PROTOCOL:
            if event == "call":
                function = frame.f_locals[PROTOCOL[code]]
                self.asked.append([named_by_numpy(function), frame, None, 0])
            elif self.asked and self.asked[-1][1] is frame:
                function, _, operation, _ = self.asked.pop()
                if operation is not None and [*arrays_in(result)]:
                    self.answers.add((function, operation))
            return
        name = FUNCTIONS.get(code)
        if code is CALL:
            name = PRIMITIVES.get(id(frame.f_locals["self"]))
        if name is None:
            return
        if event == "call":
            if self.asked:
                self.asked[-1][3] += 1
            return
        if self.asked:
            self.asked[-1][3] -= 1
            if self.asked[-1][3] == 0:
                self.asked[-1][2] = name
        for array in arrays_in(result):
            self.dtypes[name].add(array.dtype.name)


def named_by_numpy(function: Any) -> str:
    """np.sum, np.linalg.norm."""
    module = (getattr(function, "__module__", None) or "numpy").replace("numpy", "np", 1)
    return f"{module if module.startswith('np') else 'np'}.{function.__name__}"


def arrays_in(result: Any) -> Iterator[np.ndarray]:
    """The arrays of what an operation returned, inside or outside Tensors, and its numbers."""
    if isinstance(result, Variable):
        yield result.array
    elif isinstance(result, (np.ndarray, np.generic, int, float)):
        yield np.asarray(result)
    elif isinstance(result, (tuple, list)):
        for each in result:
            yield from arrays_in(each)


class Recorder:
    """A pytest plugin that notes what was checked."""

    def __init__(self) -> None:
        self.checks: dict[str, Counter] = defaultdict(Counter)  # operation → check → examples
        self.primitives: dict[str, set[str]] = defaultdict(set)
        self.beside: dict[str, set[str]] = defaultdict(set)
        self.answers: set[tuple[str, str]] = set()
        self.watch: Watch | None = None  # of what is being compared
        self.refused = False  # did the spelling just compared turn out to be an error in both libraries?

    def pytest_configure(self) -> None:
        import beside_torch

        beside_torch.same = self.comparing(self.of_both(beside_torch.same))
        properties.examine = self.reporting(properties.examine)
        autograd.backward = self.seen(autograd.backward)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        for module in {item.module.__name__: item.module for item in items if item.path == TABLES}.values():
            module.check_errors = self.refusing(module.check_errors)
            module.evaluated = self.seen(module.evaluated, only=module.ad)
            module.compare = self.comparing(module.compare)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: Any) -> Iterator[None]:
        if item.path != NUMPY:
            return (yield)
        watch = Watch()
        with watch.on():
            result = yield
        self.answers |= watch.answers
        return result

    def comparing(self, compare: Callable) -> Callable:
        """`compare`, after which what was seen is known to agree with PyTorch, errors aside."""

        @wraps(compare)
        def noted(*args: Any, **options: Any) -> Any:
            self.watch, self.refused = Watch(), False
            try:
                result = compare(*args, **options)
                if not self.refused and not isinstance(result, Exception):
                    for name, dtypes in self.watch.dtypes.items():
                        self.beside[name] |= dtypes
            finally:
                self.watch = None
            return result

        return noted

    def of_both(self, same: Callable) -> Callable:
        """`beside_torch.same`, of whose program our run is seen."""

        @wraps(same)
        def run(program: Callable, *args: Any, **options: Any) -> Any:
            ours = self.seen(program)
            return same(lambda lib: (ours if lib.is_ours else program)(lib), *args, **options)

        return run

    def seen(self, function: Callable, only: Any = None) -> Callable:
        """`function`, watched while something is compared; of two libraries' runs, that of `only`."""

        @wraps(function)
        def watched(*args: Any, **options: Any) -> Any:
            if self.watch is None or only is not None and args[0] is not only:
                return function(*args, **options)
            with self.watch.on():
                return function(*args, **options)

        return watched

    def refusing(self, check: Callable) -> Callable:
        @wraps(check)
        def noted(*args: Any) -> None:
            self.refused = True
            check(*args)

        return noted

    def reporting(self, examine: Callable) -> Callable:
        """`examine`, whose reports are kept, of examples that have elements."""

        @wraps(examine)
        def kept(f: Any, *inputs: Any, **options: Any) -> Any:
            report = examine(f, *inputs, **options)
            row = getattr(f, "operation", None)
            if not isinstance(row, Operation):
                return report
            if any(isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.size for x in inputs):
                unchecked = any(note.startswith(UNCHECKED) for note in report.notes)
                self.checks[row.name].update(
                    check for check in report.checks if not (check == "second order" and unchecked)
                )
                case = Case(f, inputs)
                called = OURS.traced(case.called_with, case.arrays)
                self.primitives[row.name].update(primitive.name for primitive, *_ in called)
            return report

        return kept

    def record(self) -> dict[str, Any]:
        """All that was noted, as it is kept."""
        import torch

        numpys: dict[str, list[str]] = defaultdict(list)
        for function, operation in sorted(self.answers):
            numpys[operation].append(function)
        return {
            "versions": {"PyTorch": torch.__version__.partition("+")[0], "NumPy": np.__version__},
            "operations": {
                name: {
                    "checks": dict(self.checks[name]),
                    "pytorch": sorted(self.beside[name]),
                    "numpy": numpys[name],
                    "primitives": sorted(self.primitives[name]),
                }
                for name in OPERATION
            },
        }


def run(chosen: list[str]) -> dict[str, Any]:
    """Run the tests, and give the record; of a few chosen ones, with what they add to it. Where a test
    fails there is none."""
    recorder = Recorder()
    asked = chosen or [*map(str, files())]
    status = pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", *asked], [recorder])
    if status:
        raise SystemExit("no record was made: a test has failed, so what it checks is not so")
    new = recorder.record()
    return added(recorded(), new) if chosen else new


def added(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The new record, and what the old one has of the same operations."""
    for name, row in new["operations"].items():
        before = old["operations"].get(name, {})
        for part, value in row.items():
            if isinstance(value, dict):
                row[part] = {**before.get(part, {}), **value}
            else:
                row[part] = sorted({*before.get(part, ()), *value})
    return new
