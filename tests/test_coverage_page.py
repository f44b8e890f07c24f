"""docs/coverage.md tells of what is there today: its names, its reasons, and the record of what is checked."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import beside_torch
import numpy as np
import pytest
from beside_torch import at_least
from coverage_page import names, page, reasons, recorder

import autodiff as ad
from autodiff import primitive
from autodiff.testing import CHECKS, properties
from autodiff.testing.operations import CONSTANT, OPERATIONS

LISTED = names.recorded()
DIVIDED = names.divided(LISTED["names"])
RECORD = recorder.recorded()["operations"]
AGAIN = "python -m tests.coverage_page"


def test_the_page_is_what_would_be_written_today():
    assert page.PAGE.read_text(encoding="utf-8") == page.text(), f"write it again: {AGAIN}"


# ---- names -------------------------------------------------------------------------------------------


def test_every_missing_name_has_a_reason_and_every_reason_a_missing_name():
    _, unexplained, idle = reasons.sorted_out({space: missing for space, (_, missing) in DIVIDED.items()})
    assert not unexplained, "give these a reason, in tests/coverage_page/reasons.py"
    assert not idle, "these patterns, in tests/coverage_page/reasons.py, have no missing name"


def test_what_is_said_to_be_in_functional_is_there():
    found, *_ = reasons.sorted_out({space: missing for space, (_, missing) in DIVIDED.items()})
    for each in found["Here in torch.nn.functional"].values():
        plain = [name.rstrip("_") for name in each]
        assert not [name for name in plain if not names.is_here("torch.nn.functional", name)]


def test_a_name_without_a_reason_is_noticed_and_a_reason_without_a_name():
    missing = {"torch": ["vdot", "no_such_name"]}
    found, unexplained, idle = reasons.sorted_out(missing)
    assert unexplained == ["torch.no_such_name"]
    assert found["Products and sums of products"] == {"torch": ["vdot"]}
    assert "addbmm* (Products and sums of products)" in idle


def test_names_are_asked_for_as_a_program_asks():
    assert names.is_here("torch", "relu") and names.is_here("torch.Tensor", "backward")
    assert names.is_here("torch, its modules", "nn") and names.is_here("torchvision.transforms", "ToTensor")
    assert not names.is_here("torch", "fft") and not names.is_here("torch.Tensor", "no_such_name")


@pytest.mark.skipif(not at_least("2.13"), reason="the names of PyTorch 2.13")
def test_the_record_has_the_names_of_the_pytorch_that_is_installed():
    pytest.importorskip("torch")
    # in a fresh process: what other tests have imported adds names to PyTorch's modules
    asked = "import json, sys; from coverage_page import names; json.dump(names.from_pytorch(), sys.stdout)"
    here = Path(__file__).resolve().parent
    surroundings = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (here, here.parent)))}
    found = json.loads(
        subprocess.check_output([sys.executable, "-c", asked], cwd=here, env=surroundings, text=True)
    )
    if found["version"] != LISTED["version"]:
        pytest.skip(f"PyTorch {found['version']} is installed, and the record is of {LISTED['version']}")
    assert found == LISTED, f"list them again: {AGAIN} --names"


# ---- operations --------------------------------------------------------------------------------------


def test_the_record_has_the_operations_of_today():
    assert [*RECORD] == [*OPERATIONS, *sorted(CONSTANT)], f"record what is checked of them: {AGAIN} --checks"


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_record_has_every_check_of_the_kit(name):
    """And none that the kit has no more, or that the row leaves out."""
    asked = [check for check in CHECKS if check not in OPERATIONS[name].options.get("skip", ())]
    assert sorted(RECORD[name]["checks"]) == sorted(asked), f"record them again: {AGAIN} --checks"


def test_what_a_test_checks_is_noted(monkeypatch):
    for module, name in ((beside_torch, "same"), (properties, "examine"), (ad.autograd, "backward")):
        monkeypatch.setattr(module, name, getattr(module, name))  # which the recorder replaces
    noting = recorder.Recorder()
    noting.pytest_configure()
    properties.gradient_test("mean")()
    assert noting.checks["mean"]["vjp"] and noting.primitives == {"mean": {"mean"}}


def test_every_primitive_is_in_the_record():
    met = {primitive for name in OPERATIONS for primitive in RECORD[name]["primitives"]}
    assert not [name for name in page.declared() if name not in met]


def test_numpys_functions_in_the_record_are_answered_today():
    reached = {function for row in RECORD.values() for function in row["numpy"]}
    assert reached <= page.answered(), f"record them again: {AGAIN} --checks"


# ---- the recorder ------------------------------------------------------------------------------------


def test_the_functions_of_operations_are_told_apart():
    """Two operations made by one function of the same code could not be."""
    functions = [f for f in recorder.OPERATION.values() if not isinstance(f, recorder.Primitive)]
    assert len({inspect.unwrap(f).__code__ for f in functions}) == len(functions)


def test_it_sees_operations_their_dtypes_and_numpys_functions():
    watch, before = recorder.Watch(), sys.getprofile()
    x = ad.tensor([[1.0, 2.0]], requires_grad=True)
    with watch.on():
        ad.softmax(x, 1).tanh()
        np.trace(np.exp(x))
    assert sys.getprofile() is before
    assert watch.dtypes["softmax"] == watch.dtypes["tanh"] == {"float32"}
    assert watch.answers == {("np.exp", "exp"), ("np.trace", "sum")} and not watch.asked
    assert "cos" not in watch.dtypes


def test_a_primitive_counts_as_the_operation_of_its_name():
    watch = recorder.Watch()
    with watch.on():
        np.add(ad.tensor([1.0]), 1)
        primitive.table["cross_entropy"](ad.zeros(2, 3), np.array([0, 1]))
    assert watch.dtypes == {"add": {"float32"}, "cross_entropy": {"float32"}}
    assert watch.answers == {("np.add", "add")}


def test_what_raises_is_not_seen():
    watch = recorder.Watch()
    with watch.on():
        for wrong in (
            lambda: ad.softmax(ad.ones(2), 5),
            lambda: np.add.reduce(ad.ones(2)),
            lambda: np.erf(1),
        ):
            with pytest.raises((IndexError, TypeError, AttributeError)):
                wrong()
    assert not watch.dtypes and not watch.answers and not watch.asked


def test_only_what_agrees_is_noted():
    notes = recorder.Recorder()
    x = ad.tensor([1.0])
    notes.comparing(notes.seen(lambda: ad.tanh(x)))()
    assert notes.beside == {"tanh": {"float32"}}

    def both_raise():
        ad.sin(x)
        return ValueError("as in PyTorch")

    def neither_takes_it():
        ad.sin(x)
        notes.refusing(lambda: None)()

    def differs():
        ad.sin(x)
        raise AssertionError("another result")

    notes.comparing(notes.seen(both_raise))()
    notes.comparing(notes.seen(neither_takes_it))()
    with pytest.raises(AssertionError, match="another"):
        notes.comparing(notes.seen(differs))()
    notes.seen(both_raise)()  # outside of any comparison
    notes.comparing(notes.seen(lambda library: ad.sin(x), only="ours"))("theirs")
    assert "sin" not in notes.beside


def test_of_two_libraries_runs_ours_is_seen():
    notes = recorder.Recorder()
    libraries = [SimpleNamespace(is_ours=True, f=ad.tanh), SimpleNamespace(is_ours=False, f=ad.sin)]
    same = notes.comparing(notes.of_both(lambda program: [program(lib) for lib in libraries]))
    same(lambda lib: lib.f(ad.tensor([1.0])))
    assert notes.beside == {"tanh": {"float32"}}


def test_a_check_is_noted_where_it_ran_on_elements():
    notes = recorder.Recorder()
    reported = SimpleNamespace(
        checks=["vjp", "second order"], notes=["second order was not checked: of this"]
    )
    check = notes.reporting(lambda *_, **__: reported)
    tanh = OPERATIONS["tanh"].of(recorder.OURS.functions)
    check(tanh, np.zeros((0, 2)))
    assert not notes.checks["tanh"]
    check(tanh, np.ones(2))
    assert notes.checks["tanh"] == {"vjp": 1} and notes.primitives["tanh"] == {"tanh"}


def test_a_record_of_a_few_tests_is_added():
    row = {"checks": {"vjp": 3}, "pytorch": ["float32"], "numpy": [], "primitives": ["tanh"]}
    old = {"operations": {"tanh": row, "gone": row}}
    new = {
        "operations": {
            "tanh": {"checks": {"jvp": 2}, "pytorch": ["float64"], "numpy": ["np.tanh"], "primitives": []}
        }
    }
    assert recorder.added(old, new)["operations"] == {
        "tanh": {
            "checks": {"vjp": 3, "jvp": 2}, "pytorch": ["float32", "float64"], "numpy": ["np.tanh"],
            "primitives": ["tanh"],
        }
    }  # fmt: skip
