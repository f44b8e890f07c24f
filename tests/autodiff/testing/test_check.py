"""check_gradients: silent about what is right, and each check seen to fail on what is wrong."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import wrong_operations as wrong
from wrong_operations import Small

import autodiff as ad
from autodiff.testing import CHECKS, Autodiff, Fixed, GradientError, check_gradients, examine, gradient_test
from autodiff.testing.adapters import Unrecognised
from autodiff.testing.strategies import arrays

A, B = np.array([[0.5, -1.25], [2.0, 0.75]]), np.array([[1.5, 0.25], [-0.5, 3.0]])
counter = itertools.count()


class GivesToIntegers(Autodiff):
    def gradient(self, variable):
        found = super().gradient(variable)
        return np.zeros(variable.shape) if found is None else found


class Aliases(Autodiff):
    """Leaves the cotangent itself as the gradient, where they are equal."""

    def backward(self, outputs, cotangents):
        super().backward(outputs, cotangents)
        self.last = cotangents[0]

    def gradient(self, variable):
        g = super().gradient(variable)
        return self.last if g is not None and np.array_equal(g, self.last) else g


class Wide(Autodiff):
    def gradient(self, variable):
        g = super().gradient(variable)
        return None if g is None else g.astype(np.float64)


class Stale(Autodiff):
    """The second walk overwrites what the first has left."""

    def backward(self, outputs, cotangents):
        for y in outputs:
            for origin in ad.graph.reverse_topological_order([y.origin]):
                if origin.stop is not None:
                    origin.stop.grad = None
        super().backward(outputs, cotangents)


# check → (function, inputs, options) that only this check, or it first of all, has to object to
WRONG = {
    "value": [
        (lambda x: x * next(counter), [A], {}),
        (lambda x: x * 2 if x.requires_grad else x * 2 + 1, [A], {}),
    ],
    "vjp": [
        (wrong.sign, [A], {}), (wrong.factor, [A], {}), (wrong.constant_missing, [A], {}), (wrong.tanh, [A], {}),
        (wrong.no_cotangent, [A], {}), (wrong.exchanged, [A, B], {}), (wrong.float32, [A], {}), (wrong.nan, [A], {}),
        (wrong.nothing, [A], {}), (wrong.transposed, [A], {}), (wrong.matmul, [A, B], {}),
        (wrong.repeated, [A[0], np.array([0, 0, 1])], {}), (wrong.ties, [[1.0, 2.0, 2.0]], {}),
        (lambda x: wrong.inverse(x, dims=(1, 2, 0)), [np.arange(8.0).reshape(2, 2, 2)], {}),
        (wrong.float_literal, [A], {"strict": True}),
        (lambda x: wrong.tanh(x).exp() * x, [A], {}),
    ],
    "jvp": [(wrong.tangent, [A], {})],
    "adjoint": [(wrong.tangent, [A], {})],
    "second order": [(wrong.held, [A], {})],
    "alone": [(wrong.together, [A, B], {})],
    "integers": [(ad.gather, [A, 1, np.array([[0, 1], [1, 1]])], {"engine": GivesToIntegers()})],
    "shape and dtype": [(ad.mul, [A, B], {"engine": Wide()}), (Small().mul, [A, B], {"engine": Small("wide")})],
    "untouched": [(wrong.writes, [A], {}), (wrong.overwrites, [A], {})],
    "aliasing": [(ad.clone, [A], {"engine": Aliases()}), (Small().add, [A, B], {"engine": Small("aliases")})],
    "accumulation": [
        (ad.mul, [A, B], {"engine": Stale()}),
        (Small().mul, [A, B], {"engine": Small("overwrites")}), (Small().mul, [A, B], {"engine": Small("keeps")}),
    ],
    "determinism": [(wrong.random_rule, [A], {})],
    "memory layouts": [(wrong.memory_order, [A], {})],
}  # fmt: skip


def test_every_check_is_seen_to_fail():
    assert WRONG.keys() == CHECKS.keys()


@pytest.mark.parametrize(
    "check, f, inputs, options", [(check, *each) for check, several in WRONG.items() for each in several]
)
def test_what_is_wrong_is_found_by_its_check(check, f, inputs, options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = examine(f, *inputs, checks=check, **options)
        assert not report.ok and {finding.check for finding in report.findings} == {check}
        assert report.findings[0].what in str(report)
        with pytest.raises(GradientError):
            check_gradients(f, *inputs, **options)


@pytest.mark.parametrize(
    "oracle", ["auto", "exact", "modular", "complex step", "finite differences", "value"]
)
def test_all_oracles_pass_what_is_right_and_fail_what_is_not(oracle):
    f = lambda a, b: (a * b - a) * a / (b * b + 1)
    check_gradients(f, A, B, oracle=oracle)
    exchanged = lambda a, b: wrong.exchanged(a, b) * a
    assert not examine(exchanged, A, B, oracle=oracle, checks="vjp").ok or oracle in ("value",)


def test_a_small_engine_is_driven_by_the_protocol_alone():
    right = Small()
    for f in (right.mul, right.add, lambda a, b: right.add(right.mul(a, a), b)):
        report = check_gradients(f, A, B, engine=right)
        assert "vjp" in report.checks and any("not checked: jvp" in note for note in report.notes)
    doubles = Small("double")
    assert not examine(lambda a: doubles.mul(a, a), A, engine=doubles).ok


def test_inputs_in_every_form():
    check_gradients(ad.softmax, [[0.5, 1], [2, 3]], 1)
    check_gradients(ad.pow, ad.tensor([0.5, 2.0]), Fixed(0.5))
    check_gradients(lambda x: x * x, 3.0)
    check_gradients(ad.sum, np.ones((2, 3), np.float32), 0)
    check_gradients(ad.gather, A, 1, ad.tensor([[0, 1], [1, 1]]))
    check_gradients(lambda x: (x * 2, ad.argmax(x), x.sum()), A)
    check_gradients(ad.add, np.zeros((0, 3)), np.ones(3))
    with pytest.raises(ValueError, match="no oracle 'magic'"):
        check_gradients(ad.add, A, B, oracle="magic")


def test_only_what_is_asked_for_is_checked():
    first = check_gradients(ad.tanh, A, order=1)
    assert "second order" not in first.checks and "jvp" in first.checks
    assert "jvp" not in check_gradients(ad.tanh, A, modes="reverse").checks
    assert check_gradients(ad.tanh, A, checks=["vjp", "aliasing"]).checks == ["vjp", "aliasing"]
    assert "value" not in check_gradients(ad.tanh, A, skip=["value"]).checks


@pytest.mark.parametrize("option, says", [
    ({"modes": "revers"}, "no mode 'revers' (do you mean 'reverse'?)"),
    ({"modes": ["revrse"]}, "no mode 'revrse'"),
    ({"modes": []}, "nothing would be checked"),
    ({"checks": "vpj"}, "no check 'vpj' (do you mean 'vjp' or 'jvp'?)"),
    ({"skip": "vpj"}, "no check 'vpj'"),
    ({"skip": list(CHECKS)}, "nothing would be checked"),
    ({"checks": "second order", "order": 1}, "nothing would be checked"),
    ({"order": 0}, "none of order 0"),
    ({"order": 3}, "none of order 3"),
    ({"checks": "jvp", "engine": Small()}, "small has no forward mode"),
])  # fmt: skip
def test_a_typo_in_an_option_lets_nothing_pass(option, says):
    with pytest.raises(ValueError) as error:
        check_gradients(Small().mul if "engine" in option else wrong.tanh, *([A] * (1 + ("engine" in option))), **option)  # fmt: skip
    assert says in str(error.value)


def test_an_engine_may_be_named():
    assert check_gradients(ad.tanh, A, engine="autodiff").ok
    gradient_test(ad.tanh, inputs=arrays((2,)), engine="autodiff")()
    with pytest.raises(Unrecognised, match="no engine 'torhc' .do you mean 'torch'"):
        check_gradients(ad.tanh, A, engine="torhc")


def test_functions_of_pytorch_are_told_from_ours():
    torch = pytest.importorskip("torch")
    assert check_gradients(torch.matmul, A, B, engine=torch).ok
    with pytest.raises(TypeError) as error:
        check_gradients(torch.tanh, A)
    assert "engine='torch'" in error.value.__notes__[0]


@pytest.mark.parametrize("arguments, options, says", [
    (["sofmax"], {}, "there is no operation 'sofmax' (do you mean 'softmax'"),
    ([ad.tanh], {}, "was given None: write inputs=arrays(shapes())"),
    ([ad.tanh], {"inputs": [0.5]}, 'was given 0.5'),
    (["tanh"], {"modes": "revrse"}, "there is no mode 'revrse'"),
    (["tanh"], {"order": 0}, "none of order 0"),
])  # fmt: skip
def test_gradient_test_says_at_once_what_is_missing(arguments, options, says):
    with pytest.raises((TypeError, ValueError)) as error:
        gradient_test(*arguments, **options)
    assert says in str(error.value)


def test_skip_is_one_name_or_several():
    assert "value" not in check_gradients(ad.tanh, A, skip="value").checks


def test_where_no_derivative_is_known_nothing_is_right():
    with pytest.raises(ValueError, match=r"input 0 \(x\) is NaN at \[1\]"):
        check_gradients(ad.tanh, [0.5, np.nan])
    with pytest.raises(
        ValueError, match=r"sqrt cannot be checked here: the derivative by input 0 \(x\) is NaN"
    ):
        check_gradients(ad.sqrt, [-1.0])
    wrong_at_1 = ad.primitive.elementwise(
        "at_1", np.sqrt, lambda x: (1 + (x == 1)) / (2 * x.sqrt()), listed=False
    )
    assert not examine(wrong_at_1, [np.inf, 1.0], checks="vjp").ok


@pytest.mark.parametrize("f, x, says", [
    (ad.tanh, 2, "there is no floating-point input to differentiate by: tanh was given 2: write 2.0"),
    (ad.tanh, [1, 2], "given [1, 2]: write [1.0, 2.0]"),
    (ad.tanh, [], "given []: write [1.0, 2.0]"),
    (ad.tanh, np.array([1, 2]), "given a ndarray of int64: write [1.0, 2.0]"),
    (lambda x: None, [0.5], "lambda x: None returned None: there is no derivative of that"),
    (ad.argmax, [0.5], "argmax returned a Tensor of int64"),
    (lambda x: {"a": x}, [0.5], "returned a dict"),
    (lambda x: [[x, x], [x]], [0.5], "returned [[a Tensor"),
    (lambda x: 3.0, [0.5], "lambda x: 3.0 returned 3.0, which has no graph"),
    (lambda x: (x.item(), x), [0.5], "returned (0.5, a Tensor of float64), which has no graph"),
])  # fmt: skip
def test_what_has_no_derivative_is_said_to_have_none(f, x, says):
    with pytest.raises(ValueError) as error:
        check_gradients(f, x)
    assert says in str(error.value)


def test_to_decline_other_dtypes_or_memory_is_not_wrong():
    def strict(a, b):
        if a.dtype != b.dtype or not a.array.flags.c_contiguous:
            raise RuntimeError("expected a and b to have the same dtype, and rows first")
        return a * b

    notes = "\n".join(check_gradients(strict, A, B).notes)
    assert "not checked with float32, float64: f does not take it (RuntimeError: expected a" in notes
    assert "not checked in Fortran-ordered memory" in notes

    back = ad.primitive.elementwise("back", np.sin, lambda x: x.nonsense() if x.dtype == np.float32 else ad.cos(x),
                                    listed=False)  # fmt: skip
    assert "shape and dtype" in {finding.check for finding in examine(back, A).findings}


def plain_function(backward):
    """An autograd.Function of PyTorch in the form that torch.func does not take: x³, with this backward."""
    torch = pytest.importorskip("torch")

    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    methods = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type("Cube", (torch.autograd.Function,), methods).apply


def test_a_function_of_pytorch_need_not_be_for_torch_func():
    report = check_gradients(
        plain_function(lambda ctx, g: 3 * g * ctx.saved_tensors[0] ** 2), A, engine="torch"
    )
    assert "jvp" not in report.checks
    assert "not in full: jvp, adjoint, second order (PyTorch declines: RuntimeError" in str(report)


def overwriting(ctx, g):
    return g.mul_(3) * ctx.saved_tensors[0] ** 2


@pytest.mark.parametrize(
    "backward, check",
    [
        (lambda ctx, g: 3 * g * ctx.saved_tensors[0].detach() ** 2, "second order"),
        (overwriting, "untouched"),
    ],
)
def test_what_is_wrong_with_a_function_of_pytorch_is_found_all_the_same(backward, check):
    assert check in [
        finding.check for finding in examine(plain_function(backward), A, engine="torch").findings
    ]


def test_rounding_is_no_other_value():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(3, 3))  # with a gradient LAPACK finds the vectors too
    assert check_gradients(lambda x: torch.linalg.eigvalsh(x + x.T), x, engine="torch").ok


def test_an_error_of_forward_mode_does_not_hide_the_cause():
    class Overwrites(ad.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, g):
            return g.mul_(2)

    findings = {finding.check: finding for finding in examine(Overwrites.apply, A).findings}
    untouched = findings["untouched"]
    assert np.array_equal(untouched.got, 2 * untouched.expected)  # and no later check has changed these


def test_it_says_which_oracle_it_took_and_why():
    assert check_gradients(ad.mul, A, B).oracle == "exact"
    report = check_gradients(ad.tanh, A)
    assert report.oracle == "complex step" and "tanh" in str(report)
    assert check_gradients(ad.erf, A).oracle == "finite differences"


def test_kinks_are_recognised_and_conventions_left_alone():
    for f in (ad.relu, ad.abs, lambda x: ad.maximum(x, -x), lambda x: x.clamp(0, 1)):
        assert check_gradients(f, [0.0, 1.0, -1.0]).oracle == "exact"
        check_gradients(f, [0.0, 1.0, -1.0], oracle="finite differences")
    check_gradients(lambda x: x.relu() - (-x).relu(), [0.0, 1.0])  # 1 by calculus; by convention 0 at 0
    check_gradients(ad.norm, [0.0, 0.0])
    outside = ad.primitive.elementwise(
        "outside", np.absolute, lambda x: 3 * ad.sign(x + (x == 0)), listed=False
    )
    assert "kink" in str(examine(outside, [0.0]))


@pytest.mark.parametrize("x", [0.5, -0.5, 5.0, -11.25, 20.0, -20.0, 40.0, -40.0, 700.0, -700.0])
@pytest.mark.parametrize("name", ["log_sigmoid", "softplus", "sigmoid", "tanh", "expm1", "erf"])
def test_far_out_the_sound_engine_is_not_blamed(name, x):
    check_gradients(getattr(ad, name), [x])


@pytest.mark.parametrize(
    "f, x",
    [
        (lambda x: ad.sin(10000 * x), [2.0, 0.1875, -0.625]),  # fast
        (lambda x: x.to(ad.float32).sin(), [-1.043, 0.268, 0.358]),  # rounded to seven digits
        (ad.sqrt, [0.0, 1.0]),  # the slope at 0 is infinite
        (lambda x: ad.floor(x) * x, [1.0, 2.0]),  # a jump
        (lambda x: abs(x) * x, [0.0, 1.0]),  # the slope has a kink
        (lambda x: (ad.relu(x) - ad.relu(-x)) ** 2, [0.0, 1.0]),  # ties cancel
    ],
)
def test_awkward_places_are_held_against_no_one(f, x):
    assert check_gradients(f, x).ok


def test_of_a_large_array_it_does_not_say_what_it_has_not_looked_at():
    def off_in_one(g, x):
        factor = np.ones(np.shape(x))
        factor.flat[777] = 1.001
        return 2 * g * x * factor

    wrong_in_one = ad.primitive.general("wrong_in_one", lambda x: x * x, off_in_one)
    report = examine(wrong_in_one, np.arange(1.0, 2501), checks="vjp")  # too many for fractions
    assert "in no one of the 400 elements looked at" in report.findings[0].what


def test_a_complex_step_through_an_absolute_value_is_found_out():
    """|z| has no derivative: what a complex step says of log(1 + exp(-|x|)) is 0, which is wrong by 4e-6 only."""

    def tail(x):
        return np.log1p(np.exp(-np.abs(x, out=np.empty_like(x))))

    sound = ad.primitive.elementwise(
        "tail", tail, lambda x: -ad.sign(x) * ad.sigmoid(-ad.abs(x)), listed=False
    )
    report = check_gradients(sound, [12.5])
    assert report.oracle == "finite differences" and "not analytic" in str(report)


def test_outside_the_domain_it_says_so():
    with pytest.raises(GradientError, match="no derivative is known there: is it in the function's domain?"):
        check_gradients(ad.log, [-1.0])


def test_an_error_in_a_rule_is_reported_as_such():
    crash = ad.primitive.elementwise("crash", np.sin, lambda x: x.nonsense(), listed=False)
    with pytest.raises(GradientError, match="raises AttributeError") as error:
        check_gradients(crash, A)
    assert isinstance(error.value.__cause__, AttributeError)


def test_evidence_is_named_where_it_is_none():
    notes = "\n".join(check_gradients(ad.prod, A).notes)
    assert "prod" in notes and "no evidence" in notes
    assert not any("no evidence" in note for note in check_gradients(ad.matmul, A, B).notes)
