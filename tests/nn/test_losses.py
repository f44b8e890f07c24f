"""Losses as modules: what they hand on to nn.functional, whose own tests have the formulas."""

from __future__ import annotations

import re

import numpy as np
import pytest
from beside_torch import same, with_gradients
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
import nn
from nn import functional as F

PAIR = (ad.tensor([0.25, 0.75, 0.5]), ad.tensor([0.0, 1.0, 1.0]))
LOGITS, LABELS = ad.tensor([[1.0, 2.0], [3.0, 0.5], [0.1, 0.2]]), ad.tensor([0, 1, 0])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_options_reach_the_function(reduction):
    w, c = ad.tensor([1.0, 2.0, 3.0]), ad.tensor([1.0, 4.0])
    how = {"reduction": reduction}
    for module, function, inputs, options in (
        (nn.MSELoss, F.mse_loss, PAIR, {}),
        (nn.L1Loss, F.l1_loss, PAIR, {}),
        (nn.BCELoss, F.binary_cross_entropy, PAIR, {"weight": w}),
        (nn.BCEWithLogitsLoss, F.binary_cross_entropy_with_logits, PAIR, {"weight": w, "pos_weight": w}),
        (nn.NLLLoss, F.nll_loss, (LOGITS, LABELS), {"weight": c, "ignore_index": 1}),
        (
            nn.CrossEntropyLoss,
            F.cross_entropy,
            (LOGITS, LABELS),
            {"weight": c, "ignore_index": 1, "label_smoothing": 0.1},
        ),
    ):
        assert module(**options, **how)(*inputs).equal(function(*inputs, **options, **how))
        assert module(**how)(*inputs).equal(function(*inputs, **how))
        assert not module(**options, **how)(*inputs).equal(function(*inputs, **how)) or not options
        assert module()(*inputs).equal(function(*inputs))


def test_weights_are_buffers():
    loss = nn.CrossEntropyLoss(ad.tensor([1.0, 2.0]))
    assert list(loss.state_dict()) == ["weight"] and not list(loss.parameters())
    assert loss.double().weight.dtype == ad.float64
    assert not nn.CrossEntropyLoss().state_dict()
    assert list(nn.BCEWithLogitsLoss(pos_weight=ad.ones(2)).state_dict()) == ["pos_weight"]


@pytest.mark.parametrize(
    "loss",
    [nn.MSELoss, nn.L1Loss, nn.NLLLoss, nn.CrossEntropyLoss, nn.BCELoss, nn.BCEWithLogitsLoss],
)
def test_a_wrong_reduction_is_found_at_once(loss):
    with pytest.raises(
        ValueError, match="avg is not a valid value for reduction: it is 'mean', 'sum' or 'none'"
    ):
        loss(reduction="avg")


def test_the_reduction_is_named():
    with pytest.raises(TypeError):
        nn.MSELoss("sum")  # in PyTorch that place is another argument's


# ---- beside PyTorch, on drawn inputs -------------------------------------------------------------

LOSSES_OF_NUMBERS = ["MSELoss", "L1Loss", "BCELoss", "BCEWithLogitsLoss"]
reductions = st.sampled_from(["mean", "sum", "none"])
dtypes = st.sampled_from(["float32", "float64"])
seeds = st.integers(0, 2**32 - 1)


def weight_of(lib, weight):
    return None if weight is None else lib.tensor(weight)


@given(
    kind=st.sampled_from(LOSSES_OF_NUMBERS), reduction=reductions, dtype=dtypes, seed=seeds,
    shape=st.sampled_from([(), (0,), (3,), (2, 3), (2, 1, 3)]), weighted=st.sampled_from([None, "()", "(3)", "full"]),
    weight_dtype=dtypes,
)  # fmt: skip
def test_losses_of_numbers_are_pytorchs(kind, reduction, dtype, seed, shape, weighted, weight_dtype):
    rng = np.random.default_rng(seed)
    x, t = (np.asarray(rng.standard_normal(shape)) for _ in range(2))
    if kind.startswith("BCE"):
        t = 1 / (1 + np.exp(-t))
        x = 1 / (1 + np.exp(-x)) if kind == "BCELoss" else 3 * x
    of_shape = {"()": (), "(3)": (3,) if shape[-1:] == (3,) else (), "full": shape}
    weight = None
    if weighted and (kind.startswith("BCE") or weighted == "full"):
        weight = np.asarray(rng.uniform(0.5, 2, of_shape[weighted]), weight_dtype)
    x, t = np.asarray(x, dtype), np.asarray(t, dtype)

    def program(lib):
        options = {"reduction": reduction}
        w = weight_of(lib, weight)
        if kind.startswith("BCE"):
            loss = getattr(lib.nn, kind)(w, **options)
            if kind == "BCEWithLogitsLoss" and w is not None:
                loss.pos_weight = w * 2
        elif weight is None:
            loss = getattr(lib.nn, kind)(**options)
        else:  # these two have weights as functions only
            name = {"MSELoss": "mse_loss", "L1Loss": "l1_loss"}[kind]
            return with_gradients(lambda x, t: getattr(lib.F, name)(x, t, weight=w, **options), lib, x, t)
        return with_gradients(loss, lib, x, t)

    same(program, *((1e-4, 1e-5) if dtype == "float32" else (1e-9, 1e-12)))


@st.composite
def classified(draw):
    """Logits, labels or probabilities, options: all that PyTorch takes."""
    rng = np.random.default_rng(draw(seeds))
    shape = draw(st.sampled_from([(3,), (1, 1), (0, 3), (4, 3), (2, 3, 4), (2, 3, 0), (2, 3, 2, 2)]))
    dtype = draw(dtypes)
    classes, places = (shape[0], ()) if len(shape) == 1 else (shape[1], (shape[0], *shape[2:]))
    kind = draw(st.sampled_from(["NLLLoss", "CrossEntropyLoss", "probabilities"]))
    options = {"reduction": draw(reductions)}
    if kind == "probabilities":
        target = abs(rng.standard_normal(shape)).astype(dtype)
    else:
        ignored = options["ignore_index"] = draw(st.sampled_from([-100, 0, 2, 7]))
        target = np.asarray(rng.integers(0, classes, places))
        if ignored < 0 or ignored >= classes or draw(st.booleans()):
            share = draw(st.sampled_from([0, 0.4, 1]))
            target = np.asarray(np.where(rng.random(places) < share, ignored, target))
        if 0 <= ignored < classes and draw(st.booleans()):
            target = np.full(places, ignored)
    if kind != "NLLLoss":
        options["label_smoothing"] = draw(st.sampled_from([0.0, 0.1, 1.0]))
    weight = rng.uniform(0.5, 2, classes).astype(dtype) if draw(st.booleans()) else None
    x = 3 * rng.standard_normal(shape)
    return "NLLLoss" if kind == "NLLLoss" else "CrossEntropyLoss", x.astype(dtype), target, weight, options


@settings(max_examples=150)
@given(classified())
def test_losses_of_classes_are_pytorchs(case):
    kind, x, target, weight, options = case
    tolerance = (1e-4, 1e-5) if x.dtype == np.float32 else (1e-9, 1e-12)
    same(
        lambda lib: with_gradients(getattr(lib.nn, kind)(weight_of(lib, weight), **options), lib, x, target),
        *tolerance,
    )


LOGITS_FAR_OUT = [
    [1000.0, 0, 0], [-1000.0, 0, 0], [1e4, -1e4, 3], [np.inf, 0, 1], [-np.inf, 0, 1], [-np.inf] * 3,
    [np.nan, 0, 1], [6e4, -6e4, 0], [3e38, -3e38, 0],
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_out_losses_are_pytorchs(dtype):
    for row in LOGITS_FAR_OUT:
        x = np.array([row], dtype)
        for target in (np.array([0]), np.array([1]), np.eye(3, dtype=dtype)[[1]]):
            for smoothing in (0.0, 0.1):
                same(
                    lambda lib, x=x, t=target, s=smoothing: with_gradients(
                        lib.nn.CrossEntropyLoss(label_smoothing=s), lib, x, t
                    )
                )
    x = np.array([0.0, 50, -50, 1e4, -1e4, 1e30, -1e30], dtype)
    for value in (0.0, 1.0, 0.3):
        for positive in (None, np.full(7, 2.0, dtype)):
            same(
                lambda lib, v=value, w=positive: with_gradients(
                    lib.nn.BCEWithLogitsLoss(reduction="none", pos_weight=weight_of(lib, w)),
                    lib, x, np.full(7, v, dtype),
                )[:2],
                1e-5,
            )  # fmt: skip


def numbers(*shape):
    return np.random.default_rng(0).uniform(0.1, 0.9, shape)


# What both refuse: the loss, input, target, and what our error says besides.
REFUSED = {
    "labels that are not integers": ("CrossEntropyLoss", numbers(2, 3), np.array([0.0, 1.0]), r"write target.long\(\)"),
    "probabilities of another shape": ("CrossEntropyLoss", numbers(2, 3), numbers(2, 2), r"the input's shape, \[2, 3\]"),
    "classes last": ("CrossEntropyLoss", numbers(2, 3, 4), numbers(2, 4, 3), r"the input's shape, \[2, 3, 4\]"),
    "one-hot integers": ("CrossEntropyLoss", numbers(2, 3), np.eye(3, dtype=int)[:2], r"write target.argmax\(1\)"),
    "a column of labels": ("CrossEntropyLoss", numbers(2, 3), np.array([[0], [1]]), r"write target.reshape\(2\)"),
    "more labels than samples": ("CrossEntropyLoss", numbers(2, 3), np.array([0, 1, 2]), r"input batch_size \(2\) to match"),
    "turned images": ("CrossEntropyLoss", numbers(2, 3, 4, 5), np.zeros((2, 5, 4), int), r"target of shape \[2, 4, 5\]\.$"),
    "no class at all": ("CrossEntropyLoss", np.array(1.0), np.array(0), "Expected 1 or more dimensions"),
    "a list of one label": ("CrossEntropyLoss", numbers(3), np.array([0]), r"write target.reshape\(\(\)\)"),
    "two labels for one sample": ("NLLLoss", numbers(3), np.array([0, 1]), r"one sample, which has one label\.$"),
    "a label beyond": ("NLLLoss", numbers(2, 3), np.array([0, 3]), "Target 3 is out of bounds: the input has 3 classes"),
    "a label below": ("CrossEntropyLoss", numbers(2, 3), np.array([0, -1]), "Target -1 is out of bounds"),
    "a column": ("BCELoss", numbers(3, 1), numbers(3), r"write target.reshape\(3, 1\)"),
    "a row": ("BCEWithLogitsLoss", numbers(3), numbers(1, 3), r"write target.reshape\(3\)"),
    "turned": ("BCELoss", numbers(2, 3), numbers(3, 2), "give both one shape"),
    "flattened": ("BCELoss", numbers(2, 3), numbers(6), r"write target.reshape\(2, 3\)"),
    "labels as probabilities": ("BCELoss", numbers(3), np.array([0, 1, 1]), r"write target.float\(\)"),
    "beyond a probability": ("BCELoss", numbers(2) + 1, numbers(2), "apply sigmoid first"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_pytorch_refuses_is_refused_with_a_remedy(what):
    kind, x, target, phrase = REFUSED[what]
    error = same(lambda lib: with_gradients(getattr(lib.nn, kind)(), lib, x, target))
    assert isinstance(error, Exception) and re.search(phrase, str(error)), error


def test_mistakes_in_the_call_are_refused_with_a_remedy():
    x, labels = ad.tensor(numbers(2, 3)), ad.tensor([0, 1])
    for wrong, phrase in (
        (lambda: nn.CrossEntropyLoss(x, labels), r"write CrossEntropyLoss\(\)\(input, target\)"),
        (lambda: nn.MSELoss(x, x), r"write MSELoss\(\)\(input, target\)"),
        (
            lambda: nn.CrossEntropyLoss()(labels, x),
            r"write input.float\(\), or loss\(input, target\) if the two were swapped",
        ),
        (lambda: nn.CrossEntropyLoss()(labels, labels), r"write input.float\(\)$"),
        (
            lambda: nn.CrossEntropyLoss()(None, labels),
            r"argument 'input' \(position 1\) must be Tensor, not NoneType.*return",
        ),
        (
            lambda: nn.MSELoss()(x, numbers(2, 3)),
            r"argument 'target' \(position 2\) must be Tensor, not ndarray.*tensor\(\)",
        ),
    ):
        with pytest.raises((TypeError, RuntimeError), match=phrase):
            wrong()


def test_options_that_pytorch_refuses():
    x, labels, p = numbers(2, 3), np.array([0, 1]), numbers(2, 3)
    for target, options, phrase in (
        (labels, {"weight": np.ones(2)}, "all 3 classes or no classes"),
        (labels, {"weight": np.ones((1, 3))}, "all 3 classes or no classes"),
        (p, {"weight": np.ones(2)}, "all 3 classes or no classes"),
        (p, {"ignore_index": 1}, "ignore_index is not supported for floating point target"),
        (labels, {"label_smoothing": 1.5}, "label_smoothing must be between 0.0 and 1.0"),
    ):

        def program(lib, target=target, options=options):
            options = {**options, "weight": weight_of(lib, options.get("weight"))}
            return lib.nn.CrossEntropyLoss(**options)(lib.tensor(x), lib.tensor(target))

        assert phrase in str(same(program))
    error = same(lambda lib: lib.F.mse_loss(lib.tensor(x), lib.tensor(p), weight=lib.torch.ones(2)))
    assert "Weights and input must have the same size" in str(error)


# ---- one target for all --------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss"])
@pytest.mark.parametrize("target", [0.5, [0.5]])
@pytest.mark.parametrize("shape", [(3,), (3, 2), (3, 1)])
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_single_number_is_the_target_of_all(loss, target, shape):
    def program(lib):
        x = lib.torch.ones(shape, requires_grad=True)
        found = []
        for reduction in ("mean", "sum", "none"):
            value = getattr(lib.nn, loss)(reduction=reduction)(x * 2, lib.torch.tensor(target))
            found += [value, lib.torch.autograd.grad(value.sum(), x)]
        return found

    same(program)


@pytest.mark.parametrize("loss", ["MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss"])
@pytest.mark.parametrize(
    "shapes", [((3, 1), (3,)), ((3,), (3, 1)), ((3,), (1, 1)), ((), (3,)), ((2, 3), (3,))]
)
def test_other_shapes_do_not_broadcast(loss, shapes):
    with pytest.raises(RuntimeError, match="different to the input size"):
        getattr(nn, loss)()(ad.ones(shapes[0]), ad.ones(shapes[1]))


# ---- PyTorch's older name for the reduction -------------------------------------------------------------------

OLDER = [
    "F.mse_loss(x, y, size_average=False)", "F.mse_loss(x, y, reduce=False)", "F.l1_loss(x, y, size_average=True, reduce=True)",
    "F.nll_loss(x, k, size_average=False)", "F.cross_entropy(x, k, w, size_average=False, reduce=True)",
    "F.binary_cross_entropy(y, y, reduce=False)", "nn.MSELoss(size_average=False)(x, y)", "nn.MSELoss(reduce=False)(x, y)",
    "nn.NLLLoss(size_average=False)(x, k)", "nn.CrossEntropyLoss(w, size_average=False)(x, k)", "nn.KLDivLoss(size_average=False)(x, y)",
    "nn.BCEWithLogitsLoss(reduce=False)(x, y)", "nn.SmoothL1Loss(size_average=False)(x, y)", "F.kl_div(x, y, size_average=False)",
]  # fmt: skip


@pytest.mark.parametrize("expression", OLDER)
def test_size_average_and_reduce(expression):
    def program(lib):
        x, y = (
            lib.torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.1, 0.9]]),
            lib.torch.tensor([[0.0, 1, 0], [1, 0, 1]]),
        )
        names = {
            "F": lib.F,
            "nn": lib.nn,
            "x": x,
            "y": y,
            "k": lib.torch.tensor([1, 2]),
            "w": lib.torch.tensor([1.0, 2, 3]),
        }
        with pytest.warns(
            UserWarning,
            match="size_average and reduce args will be deprecated, please use reduction='(mean|sum|none)'",
        ):
            return eval(expression, names)

    same(program)
