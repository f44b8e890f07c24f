"""nn.functional: activations, dropout, and every loss by its formula, its derivatives, its errors."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import check_derivatives

import autodiff as ad
import nn
from nn import functional as F

seeds = st.integers(0, 2**32 - 1)
REDUCTIONS = ("mean", "sum", "none")


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def f64(a):
    return ad.Tensor(np.asarray(a, np.float64))


def close(ours, expected, rtol=1e-10, atol=1e-12):
    ours = ours.detach().numpy() if isinstance(ours, ad.Tensor) else ours
    np.testing.assert_allclose(ours, expected, rtol=rtol, atol=atol)


# ---- activations and dropout -------------------------------------------------------------------


def test_activations_by_formula_and_derivative():
    x = drawn(3, 4) * 2
    normal = np.vectorize(lambda v: (1 + math.erf(v / math.sqrt(2))) / 2)
    close(F.gelu(f64(x)), x * normal(x))
    close(F.gelu(f64(x), "tanh"), F.gelu(f64(x)), atol=1e-3)
    close(F.relu(f64(x)), np.maximum(x, 0))
    close(F.normalize(f64(x)), x / np.linalg.norm(x, axis=1, keepdims=True))
    close(F.normalize(f64(x * 0)), x * 0)
    for f in (
        F.gelu,
        lambda x: F.gelu(x, "tanh"),
        F.normalize,
        lambda x: F.normalize(x, 3.0, 0),
        F.logsigmoid,
    ):
        check_derivatives(f, x)
    with pytest.raises(RuntimeError, match="must be either none or tanh"):
        F.gelu(f64(x), "fast")
    y = f64(x)
    assert F.relu(y, inplace=True) is y and (y >= 0).all()


def test_every_name_of_the_menu_is_there():
    assert all(callable(getattr(F, name)) for name in F.__all__)


@given(p=st.sampled_from([0.1, 0.5, 0.9]), seed=seeds, dtype=st.sampled_from(["float32", "float64"]))
def test_dropout_keeps_the_expectation(p, seed, dtype):
    ad.manual_seed(seed)
    n = 20_000
    x = ad.ones(n, dtype=dtype, requires_grad=True)
    y = F.dropout(x, p)
    assert y.dtype == x.dtype and set(np.unique(y.detach().numpy())) == {0, np.dtype(dtype).type(1 / (1 - p))}
    share = float((y != 0).sum()) / n
    assert abs(share - (1 - p)) < 6 * math.sqrt(p * (1 - p) / n)
    y.sum().backward()
    assert x.grad.equal(y)  # the same mask
    ad.manual_seed(seed)
    assert F.dropout(x, p).equal(y)


def test_dropout_at_the_ends():
    x = ad.ones(5)
    assert F.dropout(x, 0.5, training=False) is x and F.dropout(x, 0.0) is x
    assert F.dropout(x, 1.0).tolist() == [0] * 5 and F.dropout(ad.tensor(3.0), 1.0).item() == 0
    y = ad.ones(1000)
    assert F.dropout(y, 0.5, inplace=True) is y and 0 < float((y == 0).sum()) < 1000
    for p in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1, but got"):
            F.dropout(x, p)
    with pytest.raises(RuntimeError, match=r"write .float\(\)"):
        F.dropout(ad.tensor([1, 2]))


# ---- losses of numbers -------------------------------------------------------------------------


@given(seed=seeds, reduction=st.sampled_from(REDUCTIONS))
def test_losses_of_numbers_by_formula(seed, reduction):
    x, t = drawn(2, 3, 2, seed=seed)
    p, q = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(-t))
    w = abs(t) + 1
    reduce = {"mean": np.mean, "sum": np.sum, "none": lambda a: a}[reduction]
    close(F.mse_loss(f64(x), f64(t), reduction=reduction), reduce((x - t) ** 2))
    close(F.mse_loss(f64(x), f64(t), weight=f64(w)), (w * (x - t) ** 2).sum() / w.sum())
    close(F.l1_loss(f64(x), f64(t), reduction="sum", weight=f64(w)), (w * abs(x - t)).sum())
    close(F.l1_loss(f64(x), f64(t), reduction=reduction), reduce(abs(x - t)))
    bce = -q * np.log(p) - (1 - q) * np.log(1 - p)
    close(F.binary_cross_entropy(f64(p), f64(q), reduction=reduction), reduce(bce))
    close(F.binary_cross_entropy(f64(p), f64(q), f64(w), reduction=reduction), reduce(w * bce))
    close(F.binary_cross_entropy_with_logits(f64(x), f64(q), f64(w), reduction=reduction), reduce(w * bce))
    positive = -w[0] * q * np.log(p) - (1 - q) * np.log(1 - p)
    close(
        F.binary_cross_entropy_with_logits(f64(x), f64(q), pos_weight=f64(w[0]), reduction=reduction),
        reduce(positive),
    )


def test_losses_of_numbers_have_derivatives():
    x, t = drawn(2, 3, 2)
    p, q = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(-t))
    check_derivatives(F.mse_loss, x, t)
    check_derivatives(lambda x, t: F.l1_loss(x, t, reduction="none"), x, t)
    check_derivatives(F.binary_cross_entropy, p, q)
    check_derivatives(lambda x, t: F.binary_cross_entropy_with_logits(x, t, pos_weight=f64([2, 3])), x, q)


def test_binary_cross_entropy_where_sigmoid_is_saturated():
    """Logarithms of 0 count as -100, and the gradient stays finite: PyTorch's figures."""
    p = ad.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    losses = F.binary_cross_entropy(p, ad.tensor([0.0, 1.0, 1.0, 0.0]), reduction="none")
    assert losses.tolist() == [0, 0, 100, 100]
    losses.sum().backward()
    close(p.grad, [0, 0, -1e12, 1e12], rtol=1e-6)
    x = ad.tensor([-200.0, 200.0], requires_grad=True)
    losses = F.binary_cross_entropy_with_logits(x, ad.tensor([1.0, 0.0]), reduction="none")
    losses.sum().backward()
    assert losses.tolist() == [200, 200] and x.grad.tolist() == [-1, 1]


@pytest.mark.parametrize(
    "loss", [F.mse_loss, F.l1_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits]
)
def test_errors_of_losses_of_numbers(loss):
    column, row = ad.full((3, 1), 0.5), ad.full((3,), 0.5)
    with pytest.raises(
        ValueError, match=r"Using a target size \(\[3\]\) that is different .*write target.reshape\(3, 1\)"
    ):
        loss(column, row)
    with pytest.raises(RuntimeError, match=r"write target.reshape\(3\)"):
        loss(row, column)
    with pytest.raises(ValueError, match="give both one shape"):
        loss(column, ad.ones(4))
    with pytest.raises(TypeError, match="argument 'target' .* must be Tensor, not ndarray"):
        loss(row, np.ones(3))
    with pytest.raises(TypeError, match="argument 'input' .* must be Tensor, not float"):
        loss(0.5, row)
    with pytest.raises(RuntimeError, match=r"write input.float\(\)"):
        loss(ad.tensor([1, 0, 1]), row)
    with pytest.raises(ValueError, match="avg is not a valid value for reduction"):
        loss(row, row, reduction="avg")


def test_errors_of_binary_cross_entropy():
    labels = ad.tensor([1, 0, 1])
    for loss in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits):
        with pytest.raises(
            RuntimeError, match=r"Found dtype int64 but expected float32.*write target.float\(\)"
        ):
            loss(ad.full((3,), 0.5), labels)
    for bad in (-0.1, 1.5, math.nan):
        with pytest.raises(
            RuntimeError, match="all elements of input should be between 0 and 1.*apply sigmoid"
        ):
            F.binary_cross_entropy(ad.tensor([0.5, 0.2, bad]), labels.float())
    assert F.mse_loss(ad.tensor([0.5, 0.5, 0.5]), labels).item() == 0.25  # integers as numbers are fine


# ---- losses of classes -------------------------------------------------------------------------


def log_softmax(x):
    y = x - x.max(1, keepdims=True)
    return y - np.log(np.exp(y).sum(1, keepdims=True))


def expected_loss(log_p, target, weight, ignored, reduction, smoothing=0.0):
    """The definition, sample by sample."""
    n = log_p.shape[1]
    w = np.ones(n) if weight is None else weight
    losses, total = np.zeros(target.shape), 0.0
    for place in np.ndindex(target.shape):
        label, row = target[place], log_p[(place[0], slice(None), *place[1:])]
        if label != ignored:
            losses[place] = -(1 - smoothing) * w[label] * row[label] - smoothing / n * (w * row).sum()
            total += w[label]
    return losses if reduction == "none" else losses.sum() / (total if reduction == "mean" else 1)


@st.composite
def classified(draw):
    """Logits, labels some of which are -100 or another class to be ignored, weights."""
    n, classes = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    more = draw(st.sampled_from([(), (2,), (2, 3)]))
    rng = np.random.default_rng(draw(seeds))
    ignored = draw(st.sampled_from([-100, 0, classes]))
    labels = rng.integers(0, classes, (n, *more))
    labels[rng.random(labels.shape) < draw(st.sampled_from([0, 0.3]))] = ignored
    labels.flat[0] = labels.flat[0] if labels.flat[0] != ignored else (classes - 1 if ignored == 0 else 0)
    weight = draw(st.sampled_from([None, rng.uniform(0.5, 2, classes)]))
    return rng.standard_normal((n, classes, *more)) * 3, labels, weight, ignored


@given(classified(), st.sampled_from(REDUCTIONS), st.sampled_from([0.0, 0.1, 1.0]))
def test_cross_entropy_is_its_definition(case, reduction, smoothing):
    x, labels, weight, ignored = case
    if ignored == 0 and (labels == 0).all():
        return  # one class only, and it is ignored: 0 / 0, tested below
    options = {
        "weight": None if weight is None else f64(weight), "ignore_index": ignored, "reduction": reduction,
    }  # fmt: skip
    logits, target = ad.Tensor(x, requires_grad=True), ad.Tensor(labels)
    ours = F.cross_entropy(logits, target, label_smoothing=smoothing, **options)
    close(ours, expected_loss(log_softmax(x), labels, weight, ignored, reduction, smoothing), 1e-9)
    twin = ad.Tensor(x, requires_grad=True)
    composed = F.cross_entropy_composed(twin, target, label_smoothing=smoothing, **options)
    close(ours, composed.detach().numpy())
    ours.sum().backward()
    composed.sum().backward()
    close(logits.grad, twin.grad.numpy())
    if not smoothing:
        close(F.nll_loss(f64(x).log_softmax(1), target, **options), ours.detach().numpy())


@given(seeds, st.sampled_from(REDUCTIONS), st.booleans(), st.sampled_from([(), (2,)]))
def test_probabilities_as_targets(seed, reduction, weighted, more):
    rng = np.random.default_rng(seed)
    x, p = rng.standard_normal((2, 3, 4, *more))
    p = abs(p) / abs(p).sum(1, keepdims=True)
    w = rng.uniform(0.5, 2, 4) if weighted else np.ones(4)
    smooth = p * 0.9 + 0.1 / 4
    by_class = w.reshape(4, *[1] * len(more))
    losses = -(smooth * by_class * log_softmax(x)).sum(1)
    ours = F.cross_entropy(
        f64(x), f64(p), f64(w) if weighted else None, reduction=reduction, label_smoothing=0.1
    )
    close(ours, {"mean": losses.mean(), "sum": losses.sum(), "none": losses}[reduction])


def test_a_hot_target_is_its_label():
    x, labels = f64(drawn(4, 3)), ad.tensor([0, 2, 1, 1])
    close(F.cross_entropy(x, F.one_hot(labels, 3).double()), F.cross_entropy(x, labels).numpy())


def test_losses_of_classes_have_derivatives():
    x, labels, w = drawn(4, 3, 2), ad.tensor([[0, 2], [1, -100], [2, 2], [1, 0]]), f64([1, 2, 0.5])
    p = abs(drawn(4, 3, 2, seed=1))
    check_derivatives(lambda x: F.cross_entropy(x, labels), x)
    check_derivatives(lambda x: F.cross_entropy(x, labels, w, label_smoothing=0.1), x)
    check_derivatives(lambda x: F.nll_loss(x, labels, w, reduction="none"), x)
    check_derivatives(F.cross_entropy, x, p / p.sum(1, keepdims=True))


def test_one_sample_without_a_batch():
    x, label = f64(drawn(5)), ad.tensor(3)
    for loss in (F.cross_entropy, F.nll_loss):
        for reduction in REDUCTIONS:
            y = loss(x, label, reduction=reduction)
            assert y.shape == () and y.equal(loss(x.reshape(1, 5), ad.tensor([3])))


def test_ignored_samples_leave_no_trace():
    x, alone = ad.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True), ad.tensor([[1.0, 2.0]])
    loss, expected = F.cross_entropy(x, ad.tensor([1, -100])), F.cross_entropy(alone, ad.tensor([1]))
    loss.backward()
    assert loss.item() == expected.item() and x.grad[1].tolist() == [0, 0] and x.grad[0].abs().sum() > 0
    x = ad.tensor([[1.0, 2.0], [math.nan, math.inf]])
    assert F.cross_entropy(x, ad.tensor([1, -100])).item() == expected.item()
    nothing = F.cross_entropy(ad.ones(2, 3), ad.tensor([-100, -100]))
    assert math.isnan(nothing.item())  # 0 / 0, as in PyTorch
    assert F.cross_entropy(ad.ones(2, 3), ad.tensor([-100, -100]), reduction="sum").item() == 0


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_labels_of_any_integers(dtype):
    x = ad.ones(2, 4)
    assert F.cross_entropy(x, ad.tensor([3, 0]).to(dtype)).item() == pytest.approx(math.log(4))


def test_shifted_logits_do_not_overflow():
    x = ad.tensor([[1000.0, 0.0], [-1000.0, 0.0]])
    assert F.cross_entropy(x, ad.tensor([0, 1])).item() == 0
    assert F.cross_entropy(x, ad.tensor([1, 0])).item() == 1000


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss, F.cross_entropy_composed])
def test_errors_of_losses_of_classes(loss):
    x = ad.ones(2, 10)
    for label in (10, -1, 255):
        with pytest.raises(
            IndexError, match=rf"Target {label} is out of bounds: the input has 10 classes, 0 to 9"
        ):
            loss(x, ad.tensor([1, label]))
    with pytest.raises(
        RuntimeError, match=r"expected scalar type Long but found float32.*write target.long\(\)"
    ):
        loss(x, ad.tensor([1.0, 2.0]))
    with pytest.raises(RuntimeError, match="expected scalar type Long but found bool"):
        loss(x, ad.tensor([True, False]))
    with pytest.raises(ValueError, match=r"Expected input batch_size \(2\) to match target batch_size \(3\)"):
        loss(x, ad.tensor([1, 2, 3]))
    with pytest.raises(ValueError, match=r"needs one label for each sample.*write target.reshape\(2\)"):
        loss(x, ad.tensor([[1], [2]]))
    with pytest.raises(ValueError, match=r"Expected target size \[2, 3\], got \[2, 4\]"):
        loss(ad.ones(2, 5, 3), ad.ones(2, 4).long())
    with pytest.raises(ValueError, match="defined either for all 10 classes or no classes"):
        loss(x, ad.tensor([1, 2]), ad.ones(3))
    with pytest.raises(ValueError, match="not a valid value for reduction"):
        loss(x, ad.tensor([1, 2]), reduction="avg")


def test_errors_of_cross_entropy():
    with pytest.raises(TypeError, match="argument 'target' .* must be Tensor, not list"):
        F.cross_entropy(ad.ones(2, 3), [0, 1])
    with pytest.raises(RuntimeError, match="label_smoothing must be between 0.0 and 1.0"):
        F.cross_entropy(ad.ones(2, 3), ad.tensor([0, 1]), label_smoothing=1.5)


# ---- beside PyTorch ----------------------------------------------------------------------------


def test_losses_beside_pytorch():
    """Every combination of options that PyTorch takes; gradients too."""
    torch = pytest.importorskip("torch")
    x, labels, w = drawn(4, 3, 2), np.array([[0, 2], [1, 1], [2, 2], [1, 0]]), np.array([1, 2, 0.5])
    p = abs(drawn(4, 3, 2, seed=1))
    p /= p.sum(1, keepdims=True)
    for target, weight, ignored, smoothing, reduction in itertools.product(
        (labels, p), (None, w), (-100, 1), (0.0, 0.3), REDUCTIONS
    ):
        if target is p and ignored == 1:
            continue  # PyTorch has an error there
        options = {"ignore_index": ignored, "label_smoothing": smoothing, "reduction": reduction}
        ours, theirs = ad.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        a = nn.CrossEntropyLoss(None if weight is None else ad.tensor(weight), **options)(
            ours, ad.tensor(target)
        )
        b = torch.nn.CrossEntropyLoss(None if weight is None else torch.tensor(weight), **options)(
            theirs, torch.tensor(target)
        )
        close(a, b.detach().numpy())
        a.sum().backward()
        b.sum().backward()
        close(ours.grad, theirs.grad.numpy())


@pytest.mark.parametrize("name", ["gelu", "softmax", "log_softmax", "logsigmoid", "softplus", "normalize"])
def test_activations_beside_pytorch(name):
    torch = pytest.importorskip("torch")
    x, g = drawn(2, 3, 5) * 4
    options = {"dim": 1} if "softmax" in name else {}
    ours, theirs = ad.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    a, b = getattr(F, name)(ours, **options), getattr(torch.nn.functional, name)(theirs, **options)
    close(a, b.detach().numpy(), atol=1e-8)
    a.backward(ad.tensor(g))
    b.backward(torch.tensor(g))
    close(ours.grad, theirs.grad.numpy(), atol=1e-8)
