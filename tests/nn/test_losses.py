"""Losses as modules: what they hand on to nn.functional, whose own tests have the formulas."""

from __future__ import annotations

import pytest

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
