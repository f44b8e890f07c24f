"""Losses beyond the usual five: PyTorch's values, gradients, dtypes, shapes and errors; formulas and derivatives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from beside_torch import same, with_gradients
from hypothesis import given, settings
from hypothesis import strategies as st
from support import check_derivatives

import autodiff as ad
import nn
from nn import functional as F

REDUCTIONS = ("mean", "sum", "none")
pytestmark = pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")  # PyTorch's, of kl_div


class Case:
    """Numbers for one example: a shape, a dtype, and inputs of it; ties and kinks are common."""

    def __init__(self, data):
        self.draw = data.draw
        self.rng = np.random.default_rng(self.pick(*range(200)))
        self.dtype = self.pick("float32", "float64")
        self.shape = self.pick((), (1,), (3,), (0,), (2, 3), (4, 1), (0, 3), (2, 3, 2))
        self.round = self.pick(False, False, True)

    def pick(self, *choices):
        return self.draw(st.sampled_from(choices))

    def x(self, *shape):
        x = self.rng.standard_normal(shape or self.shape)
        return np.asarray((2 * x).round() / 2 if self.round else x).astype(self.dtype)

    def positive(self, *shape):
        return np.asarray(abs(self.x(*shape)) + self.dtype_of(0.1))

    def dtype_of(self, number):
        return np.dtype(self.dtype).type(number)

    def signs(self, *shape):
        """1 and −1, as whole numbers or not; now and then a 0, which is neither."""
        signs = self.rng.choice([1, -1, 1, -1, 1, -1, 0], shape or self.shape)
        return np.asarray(signs).astype(self.pick("int64", self.dtype))

    def vectors(self, n):
        lead, size = self.pick((), (3,), (2, 3), (0,)), self.pick(1, 3)
        return [self.x(*lead, size) for _ in range(n)]


def number_pair(w):
    return w.x(), w.x()


def cosine_inputs(w):
    lead, size = w.pick((), (3,)), w.pick(1, 4)
    zeros = w.pick(1, 1, 1, 0)
    target = np.asarray(w.rng.choice([1, -1, 0], lead))
    return w.x(*lead, size) * w.dtype_of(zeros), w.x(*lead, size), target


def variances(w):
    x, t = number_pair(w)
    shape = w.pick(x.shape, (*x.shape[:-1], 1), x.shape[:-1]) if x.ndim else ()
    var = np.asarray(w.positive(*shape) if shape else abs(w.x(1))[0] + w.dtype_of(0.1))
    return x, t, np.asarray(np.where(w.rng.random(var.shape) < 0.2, 0, var), w.dtype)


def labelled(w):
    n, classes = w.pick(None, 0, 1, 4), w.pick(1, 3)
    x = w.x(*(() if n is None else (n,)), classes)
    return x, np.asarray(w.rng.integers(0, classes, () if n is None else (n,)))


def named_classes(w):
    n, classes = w.pick(None, 1, 4), w.pick(1, 3, 4)
    x = w.x(*(() if n is None else (n,)), classes)
    return x, np.asarray(w.rng.integers(-1, classes, x.shape))


# The module, the function, options in its order, and what draws the inputs.
TABLE = {
    "SmoothL1Loss": ("smooth_l1_loss", {"beta": (1.0, 0.5, 0.0, 2.0)}, number_pair),
    "HuberLoss": ("huber_loss", {"delta": (1.0, 0.5, 2.0)}, number_pair),
    "KLDivLoss": ("kl_div", {"log_target": (False, True)}, lambda w: (w.x(), w.positive())),
    "PoissonNLLLoss": (
        "poisson_nll_loss", {"log_input": (True, False), "full": (False, True), "eps": (1e-8, 0.1)},
        lambda w: (w.positive(), w.positive() * w.dtype_of(2)),
    ),
    "GaussianNLLLoss": ("gaussian_nll_loss", {"full": (False, True), "eps": (1e-6, 0.5)}, variances),
    "HingeEmbeddingLoss": ("hinge_embedding_loss", {"margin": (1.0, 0.5)}, lambda w: (w.x(), w.signs())),
    "SoftMarginLoss": ("soft_margin_loss", {}, lambda w: (w.x(), w.signs().astype(int))),
    "MarginRankingLoss": (
        "margin_ranking_loss", {"margin": (0.0, 0.5)}, lambda w: (w.x(), w.x(), w.signs()),
    ),
    "CosineEmbeddingLoss": ("cosine_embedding_loss", {"margin": (0.0, 0.5)}, cosine_inputs),
    "TripletMarginLoss": (
        "triplet_margin_loss", {"margin": (1.0, 0.1), "p": (2.0, 1.0, 3.0), "eps": (1e-6, 0.01), "swap": (False, True)},
        lambda w: w.vectors(3),
    ),
    "TripletMarginWithDistanceLoss": (
        "triplet_margin_with_distance_loss", {"margin": (1.0, 0.1), "swap": (False, True)}, lambda w: w.vectors(3),
    ),
    "MultiLabelSoftMarginLoss": (
        "multilabel_soft_margin_loss", {"weight": (None, True)},
        lambda w: (x := w.x(), np.asarray(w.rng.integers(0, 2, x.shape)).astype(w.pick("int64", w.dtype))),
    ),
    "MultiMarginLoss": (
        "multi_margin_loss", {"p": (1, 2), "margin": (1.0, 0.5), "weight": (None, True)}, labelled,
    ),
    "MultiLabelMarginLoss": ("multilabel_margin_loss", {}, named_classes),
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLE)
@settings(max_examples=settings.default.max_examples * 2)
@given(data=st.data())
def test_losses_are_pytorchs(kind, data):
    w = Case(data)
    name, choices, drawn = TABLE[kind]
    arrays = drawn(w)
    options = {option: w.pick(*values) for option, values in choices.items()}
    if options.get("weight"):
        options["weight"] = w.positive(arrays[0].shape[-1]) if arrays[0].ndim else None
    reduction = w.pick(*REDUCTIONS, *(["batchmean"] if kind == "KLDivLoss" else []))
    if kind == "MultiMarginLoss" and not arrays[0].size:
        reduction = "none"  # of nothing, PyTorch's mean is what was in memory
    tracked = [a for a in arrays if a.dtype.kind == "f"]

    def program(lib):
        given = {k: lib.tensor(v.copy()) if isinstance(v, np.ndarray) else v for k, v in options.items()}
        fixed = [lib.tensor(a) for a in arrays if a.dtype.kind != "f"]

        def function(*xs):
            return getattr(lib.F, name)(*xs, *fixed, **given, reduction=reduction)

        def module(*xs):
            return getattr(lib.nn, kind)(**given, reduction=reduction)(*xs, *fixed)

        return [module(*map(lib.tensor, tracked)), *with_gradients(function, lib, *tracked)]

    same(program, *((1e-4, 1e-5) if w.dtype == "float32" else (1e-8, 1e-11)))


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def f64(a):
    return ad.Tensor(np.asarray(a, np.float64))


def test_by_formula():
    x, t, u = drawn(3, 4, 3)
    d, labels = abs(x - t), np.array([0, 2, 2, 1])
    signs = np.where(drawn(4, 3, seed=1) > 0, 1, -1)
    norm = np.linalg.norm
    cosine = (x * t).sum(1) / norm(x, axis=1) / norm(t, axis=1)
    away = np.maximum(0, 1 - x[np.arange(4), labels][:, None] + x)
    away[np.arange(4), labels] = 0
    for loss, expected in (
        (F.smooth_l1_loss(f64(x), f64(t), beta=0.5), np.where(d < 0.5, d * d, d - 0.25).mean()),
        (F.huber_loss(f64(x), f64(t), "sum", 0.5), np.where(d < 0.5, d * d / 2, 0.5 * (d - 0.25)).sum()),
        (F.huber_loss(f64(x), f64(t), weight=f64(u * u)), (np.where(d < 1, d * d / 2, d - 0.5) * u * u).sum() / (u * u).sum()),
        (F.kl_div(f64(x), f64(d), reduction="batchmean"), (d * (np.log(d) - x)).sum() / 4),
        (F.kl_div(f64(x), f64(np.log(d)), log_target=True), (d * (np.log(d) - x)).mean()),
        (F.poisson_nll_loss(f64(x), f64(d)), (np.exp(x) - d * x).mean()),
        (F.gaussian_nll_loss(f64(x), f64(t), f64(d), True), (np.log(2 * np.pi * d) + (x - t) ** 2 / d).mean() / 2),
        (F.hinge_embedding_loss(f64(x), ad.Tensor(signs)), np.where(signs > 0, x, np.maximum(0, 1 - x)).mean()),
        (F.soft_margin_loss(f64(x), ad.Tensor(signs)), np.log(1 + np.exp(-signs * x)).mean()),
        (F.margin_ranking_loss(f64(x), f64(t), ad.Tensor(signs), 0.5), np.maximum(0, 0.5 - signs * (x - t)).mean()),
        (F.cosine_embedding_loss(f64(x), f64(t), ad.Tensor(signs[:, 0])),
         np.where(signs[:, 0] > 0, 1 - cosine, np.maximum(0, cosine)).mean()),
        (F.triplet_margin_loss(f64(x), f64(t), f64(u), eps=0.0),
         np.maximum(0, norm(x - t, axis=1) - norm(x - u, axis=1) + 1).mean()),
        (F.multilabel_soft_margin_loss(f64(x), f64(signs > 0)), np.log(1 + np.exp(-signs * x)).mean()),
        (F.multi_margin_loss(f64(x), ad.Tensor(labels), 2), (away**2).sum(1).mean() / 3),
        (F.multilabel_margin_loss(f64([[0.1, 0.2, 0.4, 0.8]]), ad.tensor([[3, 0, -1, 1]])), 0.85),
    ):  # fmt: skip
        np.testing.assert_allclose(loss.item(), expected, rtol=1e-9)


def test_derivatives():
    x, t, u = drawn(3, 4, 3)
    positive, signs, labels = abs(t) + 0.5, ad.Tensor(np.where(u > 0, 1, -1)), ad.tensor([0, 2, 2, 1])
    named = ad.tensor([[0, 1, -1], [2, -1, 0], [-1, 0, 0], [1, 1, 2]])
    for f, *arrays in (
        (lambda x, t: F.smooth_l1_loss(x, t, beta=0.7), x, t),
        (lambda x, t: F.huber_loss(x, t, "none", 0.7, abs(t)), x, t),
        (F.kl_div, x, positive),
        (lambda x, t: F.kl_div(x, t, log_target=True, reduction="batchmean"), x, t),
        (lambda x, t: F.poisson_nll_loss(x, t, full=True), x, positive),
        (lambda x, t: F.poisson_nll_loss(x, t, False), positive, t),
        (lambda x, t, v: F.gaussian_nll_loss(x, t, v, True), x, t, positive),
        (lambda x: F.hinge_embedding_loss(x, signs), x),
        (lambda x: F.soft_margin_loss(x, signs), x),
        (lambda x, t: F.margin_ranking_loss(x, t, signs, 0.3), x, t),
        (lambda x, t: F.cosine_embedding_loss(x, t, signs[:, 0], 0.1), x, t),
        (lambda x, t, u: F.triplet_margin_loss(x, t, u, swap=True), x, t, u),
        (lambda x, t, u: F.triplet_margin_with_distance_loss(x, t, u), x, t, u),
        (lambda x, w: F.multilabel_soft_margin_loss(x, (signs > 0).double(), w), x, positive[0]),
        (lambda x, w: F.multi_margin_loss(x, labels, 2, weight=w), x, positive[0]),
        (lambda x: F.multilabel_margin_loss(x, named), x),
    ):
        check_derivatives(f, *arrays)


def test_where_others_overflow_or_have_no_derivative():
    x = ad.tensor([1e4, -1e4, 0.0], requires_grad=True)
    loss = F.soft_margin_loss(x, ad.tensor([-1, 1, 1]), reduction="none")
    loss.sum().backward()
    assert loss.tolist() == [1e4, 1e4, pytest.approx(math.log(2))] and x.grad.tolist() == [1, -1, -0.5]
    var = ad.tensor([0.0, 1.0], requires_grad=True)  # it counts as eps, and has its derivative
    F.gaussian_nll_loss(ad.zeros(2), ad.ones(2), var, eps=0.5, reduction="sum").backward()
    assert var.grad.tolist() == [-1, 0]
    x = ad.tensor([math.inf, 2.0], requires_grad=True)
    F.huber_loss(x, ad.zeros(2), reduction="sum").backward()
    assert x.grad.tolist() == [1, 1]


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan, 1e30, -1e30])
def test_far_out_they_are_pytorchs(number):
    x, t = np.array([number, 1.0]), np.array([2.0, 1.0])

    def program(lib):
        pair = lib.tensor(x), lib.tensor(t)
        how = {"reduction": "none"}
        return [
            lib.F.smooth_l1_loss(*pair, **how), lib.F.huber_loss(*pair, **how), lib.F.hinge_embedding_loss(*pair, **how),
            lib.F.kl_div(*pair, **how), lib.F.poisson_nll_loss(*pair, **how), lib.F.poisson_nll_loss(*pair[::-1], full=True, **how),
            lib.F.gaussian_nll_loss(*pair, lib.torch.ones(2), **how), lib.F.margin_ranking_loss(*pair, lib.torch.ones(2), **how),
            lib.F.cosine_embedding_loss(*pair, lib.torch.tensor(1), **how),
            lib.F.triplet_margin_loss(pair[0], pair[1], pair[1], **how), lib.F.multilabel_soft_margin_loss(*pair, **how),
        ]  # fmt: skip

    same(program)


def test_nan_does_not_vanish():
    """In PyTorch this loss is 0: NaN is not above 0 there."""
    assert math.isnan(F.multi_margin_loss(ad.tensor([math.nan, 1.0]), ad.tensor(1)).item())


def ones(lib, *shape):
    return lib.torch.ones(*shape)


def whole(lib, numbers):
    return lib.torch.tensor(numbers)


REFUSED = {
    "no positive values for delta": lambda lib: lib.F.huber_loss(ones(lib, 2), ones(lib, 2), delta=0.0),
    "non-positive values for delta": lambda lib: lib.F.huber_loss(ones(lib, 2), ones(lib, 2), delta=-1.0),
    "negative values for beta": lambda lib: lib.F.smooth_l1_loss(ones(lib, 2), ones(lib, 2), beta=-1.0),
    "must have the same size": lambda lib: lib.F.huber_loss(ones(lib, 2), ones(lib, 2), weight=ones(lib, 1)),
    "Integral inputs": lambda lib: lib.F.kl_div(ones(lib, 2), whole(lib, [1, 0])),
    "valid value for reduction": lambda lib: lib.F.kl_div(ones(lib, 2), ones(lib, 2), reduction="avg"),
    "batchmean is not a valid": lambda lib: lib.F.huber_loss(ones(lib, 2), ones(lib, 2), "batchmean"),
    "var is of incorrect size": lambda lib: lib.F.gaussian_nll_loss(*[ones(lib, 2, 3)] * 2, ones(lib, 3)),
    "var has negative": lambda lib: lib.F.gaussian_nll_loss(*[ones(lib, 2, 3)] * 2, -ones(lib, 2)),
    "var has negative entry": lambda lib: lib.F.gaussian_nll_loss(*[ones(lib, 2, 3)] * 2, -1.0),
    "input tensors should have same dimension": lambda lib: lib.F.margin_ranking_loss(
        ones(lib, 2, 3), ones(lib, 2, 3), ones(lib, 3)),
    "0D target tensor expects 1D input": lambda lib: lib.F.cosine_embedding_loss(*[ones(lib, 2, 3)] * 2, whole(lib, 1)),
    "1D target tensor expects 2D input": lambda lib: lib.F.cosine_embedding_loss(*[ones(lib, 3)] * 2, whole(lib, [1])),
    "multi-target not supported": lambda lib: lib.F.cosine_embedding_loss(*[ones(lib, 2, 2, 3)] * 2, ones(lib, 2, 2)),
    "must match the size": lambda lib: lib.F.cosine_embedding_loss(ones(lib, 2, 3), ones(lib, 2, 2), ones(lib, 2)),
    "same number of dimensions": lambda lib: lib.F.triplet_margin_loss(ones(lib, 2, 3), ones(lib, 2, 3), ones(lib, 3)),
    "margin must be greater than 0": lambda lib: lib.F.triplet_margin_loss(*[ones(lib, 2, 3)] * 3, margin=-1.0),
    "expected margin to be greater than 0": lambda lib: lib.nn.TripletMarginLoss(0.0),
    "TripletMarginWithDistanceLoss": lambda lib: lib.nn.TripletMarginWithDistanceLoss(margin=-1.0),
    "only p == 1": lambda lib: lib.nn.MultiMarginLoss(3),
    "only p == 1 and": lambda lib: lib.F.multi_margin_loss(ones(lib, 2, 3), whole(lib, [0, 1]), p=3),
    "expected weight to be None or 1D": lambda lib: lib.nn.MultiMarginLoss(weight=ones(lib, 2, 2)),
    "out of range": lambda lib: lib.F.multi_margin_loss(ones(lib, 2, 3), whole(lib, [0, 3])),
    "is out of range": lambda lib: lib.F.multi_margin_loss(ones(lib, 2, 3), whole(lib, [0, -1])),
    "xpected target size [2]": lambda lib: lib.F.multi_margin_loss(ones(lib, 2, 3), whole(lib, [0, 1, 2])),
    "weight must be one-dimensional": lambda lib: lib.F.multi_margin_loss(
        ones(lib, 2, 3), whole(lib, [0, 1]), weight=ones(lib, 1, 3)),
    "inconsistent weight size": lambda lib: lib.F.multi_margin_loss(ones(lib, 2, 3), whole(lib, [0, 1]), weight=ones(lib, 2)),
    "scalar type Long": lambda lib: lib.F.multi_margin_loss(ones(lib, 2, 3), ones(lib, 2)),
    "non-empty vector or matrix": lambda lib: lib.F.multi_margin_loss(ones(lib, 2, 3, 4), whole(lib, [0, 1])),
    "non-empty vector": lambda lib: lib.F.multi_margin_loss(ones(lib, 2, 0), whole(lib, [0, 1])),
    "target is out of range": lambda lib: lib.F.multilabel_margin_loss(ones(lib, 3), whole(lib, [-1, 3, 2])),
    "inconsistent target size": lambda lib: lib.F.multilabel_margin_loss(ones(lib, 3), whole(lib, [0, 2])),
    "Long": lambda lib: lib.F.multilabel_margin_loss(ones(lib, 3), ones(lib, 3)),
}  # fmt: skip


@pytest.mark.parametrize("phrase", REFUSED)
def test_what_pytorch_refuses_is_refused(phrase):
    error = same(REFUSED[phrase])
    assert isinstance(error, Exception)
    assert phrase in str(error) or phrase.startswith("no positive")


@pytest.mark.parametrize(
    "loss", [F.smooth_l1_loss, F.huber_loss, F.kl_div, F.poisson_nll_loss, F.hinge_embedding_loss, F.soft_margin_loss,
             F.multilabel_soft_margin_loss])  # fmt: skip
def test_shapes_that_only_broadcast_are_refused(loss):
    with pytest.raises(ValueError, match=r"write target.reshape\(3, 1\)"):
        loss(ad.ones(3, 1), ad.ones(3))
    with pytest.raises(RuntimeError, match=r"write input.float\(\)"):
        loss(ad.tensor([1, 2]), ad.ones(2))


def test_distances_of_ones_own():
    a, b, c = map(f64, drawn(3, 4, 3))

    def far(x, y):
        return 1 - F.normalize(x).mul(F.normalize(y)).sum(1)

    expected = (far(a, b) - far(a, c) + 0.3).clamp(min=0).mean()
    loss = nn.TripletMarginWithDistanceLoss(distance_function=far, margin=0.3)
    assert loss(a, b, c).item() == expected.item()


def test_positions_are_pytorchs():
    """What programs give by position means the same."""

    def program(lib):
        x, t = ones(lib, 2, 3) / 2, ones(lib, 2, 3) / 4
        return [
            lib.F.huber_loss(x, t, "sum", 0.1), lib.F.poisson_nll_loss(x, t, False, True), lib.F.hinge_embedding_loss(x, t, 2.0),
            lib.F.gaussian_nll_loss(x, t, x, True, 1.0, "sum"), lib.F.triplet_margin_loss(x, t, x, 2.0, 1.0, 0.1, True),
            lib.F.margin_ranking_loss(x, t, x, 3.0), lib.F.multi_margin_loss(x, whole(lib, [0, 1]), 2, 0.5, t[0]),
            lib.nn.HuberLoss("sum", 0.1)(x, t), lib.nn.TripletMarginLoss(2.0, 1.0, 0.1, True)(x, t, x),
            lib.nn.MultiMarginLoss(2, 0.5, t[0])(x, whole(lib, [0, 1])), lib.nn.PoissonNLLLoss(False, True)(x, t),
            lib.F.binary_cross_entropy(x, t, x, reduction="sum"), lib.F.mse_loss(x, t, reduction="sum"),
            lib.F.nll_loss(x, whole(lib, [0, 1]), t[0], reduction="sum"),
        ]  # fmt: skip

    same(program)


def test_a_distance_is_a_module_of_its_loss():
    text = "TripletMarginWithDistanceLoss(\n  (distance_function): PairwiseDistance()\n)"
    assert repr(nn.TripletMarginWithDistanceLoss()) == text


@pytest.mark.parametrize(
    "call", [lambda x: F.mse_loss(x, x, size_average=False), lambda x: nn.MSELoss(size_average=False)]
)
def test_the_warning_of_an_old_argument_is_at_the_users_line(call):
    with pytest.warns(UserWarning, match="size_average and reduce") as caught:
        call(ad.ones(2))
    assert caught[0].filename == __file__
