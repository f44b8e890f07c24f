"""Modules, losses, optimisers, and PyTorch beside them where it is installed."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
from support import check_derivatives

import autodiff as ad
import nn
from nn import functional as F
from nn import init, optim
from nn.optim.lr_scheduler import CosineAnnealingLR, StepLR


def tensor(*shape, seed=0, dtype=np.float32):
    return ad.Tensor.wrap(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 4)
        self.tied = self.fc
        self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Sequential(nn.ReLU(), nn.Dropout(0.5))])
        self.named = nn.ModuleDict({"out": nn.Linear(4, 2, bias=False)})
        self.scale = nn.Parameter(ad.ones(2))
        self.register_buffer("seen", ad.zeros(1))
        self.register_buffer("scratch", ad.zeros(1), persistent=False)

    def forward(self, x):
        for block in self.blocks:
            x = block(self.fc(x)) if block is self.blocks[0] else block(x)
        return self.named["out"](x) * self.scale


def test_registration_and_traversal():
    net = Net()
    names = [name for name, _ in net.named_parameters()]
    assert names == ["scale", "fc.weight", "fc.bias", "blocks.0.weight", "blocks.0.bias", "named.out.weight"]
    assert [n for n, _ in net.named_buffers()] == ["seen", "scratch"]
    assert "seen" in net.state_dict() and "scratch" not in net.state_dict()
    assert "tied.weight" in net.state_dict() and len(list(net.modules())) == 9
    assert net(tensor(5, 3)).shape == (5, 2) and net.get_submodule("blocks.1.0").training
    assert not net.eval().blocks[1][1].training
    assert "Net(\n  (fc): Linear(in_features=3, out_features=4, bias=True)" in repr(net)
    with pytest.raises(AttributeError, match="did you mean fc"):
        net.fcc  # noqa: B018
    with pytest.raises(TypeError, match="cannot assign 'int' as parameter 'scale'"):
        net.scale = 3
    with pytest.raises(NotImplementedError, match="missing the required"):
        nn.Module()(1)


def test_assigning_before_init_is_an_error():
    class Early(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(ad.ones(1))

    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
        Early()


def test_state_goes_round_and_a_wrong_one_changes_nothing():
    a, b = Net(), Net()
    b.load_state_dict(a.state_dict())
    assert all(p.equal(q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    before = b.fc.weight.detach().clone()
    state = {"extra": ad.ones(1), **a.state_dict(), "fc.weight": ad.zeros(1)}
    del state["scale"]
    with pytest.raises(RuntimeError) as error:
        b.load_state_dict(state)
    for phrase in (
        'Missing key(s) in state_dict: "scale"',
        'Unexpected key(s) in state_dict: "extra"',
        "size mismatch for fc.weight",
    ):
        assert phrase in str(error.value)
    assert b.fc.weight.equal(before)
    for same in (copy.deepcopy(a), pickle.loads(pickle.dumps(a))):
        assert same.fc.weight.equal(a.fc.weight) and same.fc.weight is not a.fc.weight
        assert same.tied is same.fc


def test_hooks_and_modes():
    net, calls = nn.Sequential(nn.Linear(2, 2)), []
    handle = net.register_forward_hook(lambda m, args, y: calls.append(y.shape))
    before = net.register_forward_pre_hook(lambda m, args: (args[0] * 0,))
    assert net(tensor(3, 2))[0].equal(net[0].bias.detach())
    handle.remove()
    before.remove()
    net(tensor(3, 2))
    assert calls == [(3, 2)]
    net.requires_grad_(False)
    assert not net(tensor(3, 2)).requires_grad
    assert net.double()[0].weight.dtype == ad.float64


def test_dropout():
    ad.manual_seed(0)
    x = ad.ones(10_000)
    y = F.dropout(x, 0.25)
    assert set(np.unique(y.numpy())) == {0, np.float32(1 / 0.75)} and abs(y.mean().item() - 1) < 0.03
    assert F.dropout(x, 0.25, training=False) is x
    with pytest.raises(ValueError, match="between 0 and 1"):
        nn.Dropout(2)


def test_losses_have_derivatives():
    x, t = np.random.default_rng(0).standard_normal((2, 4, 3))
    target = ad.Tensor(t)
    labels = ad.tensor([0, 2, 1, -100])
    p = ad.Tensor(np.abs(t) / np.abs(t).sum(1, keepdims=True))
    weight = ad.tensor([1.0, 2.0, 0.5], dtype=ad.float64)
    check_derivatives(lambda x: F.mse_loss(x, target), x)
    check_derivatives(lambda x: F.l1_loss(x, target, reduction="sum"), x)
    check_derivatives(lambda x: F.cross_entropy(x, labels, weight, label_smoothing=0.1), x)
    check_derivatives(lambda x: F.cross_entropy(x, labels, weight), x)
    check_derivatives(lambda x: F.cross_entropy(x, p), x)
    check_derivatives(lambda x: F.nll_loss(x.log_softmax(1), labels), x)
    check_derivatives(lambda x: F.binary_cross_entropy(x.sigmoid(), p), x)
    check_derivatives(lambda x: F.binary_cross_entropy_with_logits(x, p, pos_weight=weight), x)
    check_derivatives(F.gelu, x)
    check_derivatives(lambda x: F.gelu(x, "tanh"), x)
    check_derivatives(lambda x: F.normalize(x), x)


def test_errors_of_losses():
    with pytest.raises(ValueError, match=r"target.reshape\(4, 1\)"):
        F.mse_loss(tensor(4, 1), tensor(4))
    with pytest.raises(IndexError, match="Target 10 is out of bounds"):
        F.cross_entropy(tensor(2, 10), ad.tensor([1, 10]))
    with pytest.raises(RuntimeError, match=r"target.long\(\)"):
        F.nll_loss(tensor(2, 3), ad.tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match="to match target batch_size"):
        F.cross_entropy(tensor(2, 3), ad.tensor([1, 2, 0]))
    with pytest.raises(ValueError, match="not a valid value for reduction"):
        nn.MSELoss("avg")


def test_cross_entropy_is_its_composition():
    x, labels = tensor(6, 5, dtype=np.float64), ad.tensor([0, 4, 2, 2, -100, 1])
    for reduction in ("none", "mean", "sum"):
        for weight in (None, ad.tensor([1.0, 2, 3, 4, 5], dtype=ad.float64)):
            a, b = (
                f(x, labels, weight, reduction=reduction) for f in (F.cross_entropy, F.cross_entropy_composed)
            )
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    "fill, mean, std",
    [(lambda t: init.uniform_(t, -1, 3), 1, 4 / math.sqrt(12)), (lambda t: init.normal_(t, 2, 0.5), 2, 0.5),
     (init.xavier_uniform_, 0, math.sqrt(2 / 500)), (init.xavier_normal_, 0, math.sqrt(2 / 500)),
     (lambda t: init.kaiming_normal_(t, nonlinearity="relu"), 0, math.sqrt(2 / 200)),
     (lambda t: init.kaiming_uniform_(t, a=math.sqrt(5)), 0, 1 / math.sqrt(3 * 200)), (init.ones_, 1, 0), (init.zeros_, 0, 0)],
)  # fmt: skip
def test_initialisation_by_its_formula(fill, mean, std):
    ad.manual_seed(1)
    t = fill(ad.empty(300, 200)).numpy()
    assert t.mean() == pytest.approx(mean, abs=0.02) and t.std() == pytest.approx(std, rel=0.02, abs=1e-6)


def test_more_initialisation():
    q = init.orthogonal_(ad.empty(3, 5)).numpy()
    np.testing.assert_allclose(q @ q.T, np.eye(3), atol=1e-6)
    assert abs(init.trunc_normal_(ad.empty(1000)).numpy()).max() <= 2
    assert init.eye_(ad.empty(2, 2)).tolist() == [[1, 0], [0, 1]]
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        init.xavier_normal_(ad.empty(3))


def test_optimiser_errors_and_state():
    w = nn.Parameter(ad.ones(2))
    for wrong, phrase in (
        (lambda: optim.SGD([], lr=0.1), "empty parameter list"),
        (lambda: optim.SGD([w], lr=-1), "Invalid learning rate: -1"),
        (lambda: optim.SGD([w], nesterov=True), "Nesterov momentum requires"),
        (lambda: optim.SGD([{"params": [w]}, {"params": [w]}]), "more than one parameter group"),
        (lambda: optim.Adam([w], betas=(1.0, 0.9)), "Invalid beta parameter at index 0"),
    ):
        with pytest.raises(ValueError, match=phrase):
            wrong()
    optimiser = optim.Adam([w], lr=0.1)

    def closure():
        optimiser.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    first = optimiser.step(closure)
    state = copy.deepcopy(optimiser.state_dict())
    kept = w.detach().clone()
    optimiser.step(closure)
    after = w.detach().clone()
    with ad.no_grad():
        w.copy_(kept)
    other = optim.Adam([w], lr=0.5)
    other.load_state_dict(state)
    optimiser = other
    other.step(closure)
    assert w.equal(after) and first.item() == 2


def test_schedules():
    optimiser = optim.SGD([nn.Parameter(ad.ones(1))], lr=1.0)
    step = StepLR(optimiser, 2, 0.1)
    rates = []
    for _ in range(5):
        rates += step.get_last_lr()
        step.step()
    np.testing.assert_allclose(rates, [1, 1, 0.1, 0.1, 0.01])
    optimiser = optim.SGD([nn.Parameter(ad.ones(1))], lr=1.0)
    cosine, rates = CosineAnnealingLR(optimiser, 4, 0.2), []
    for _ in range(9):
        rates += cosine.get_last_lr()
        cosine.step()
    np.testing.assert_allclose(rates, [0.2 + 0.4 * (1 + math.cos(math.pi * k / 4)) for k in range(9)])


def test_clipping():
    w = nn.Parameter(ad.ones(4))
    (w * 3).sum().backward()
    assert nn.utils.clip_grad_norm_([w], 1.0).item() == pytest.approx(6)
    assert w.grad.norm().item() == pytest.approx(1, rel=1e-5)


# ---- beside PyTorch ----------------------------------------------------------------------------------


def batches(n=100, size=64):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, size, 784), np.float32), rng.integers(0, 10, (n, size))


OPTIMISERS = {
    "sgd": ("SGD", {"lr": 0.05}),
    "momentum": ("SGD", {"lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4}),
    "nesterov": ("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {"lr": 1e-3}),
    "adamw": ("AdamW", {"lr": 1e-3, "amsgrad": True}),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_hundred_steps_beside_pytorch(name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    kind, options = OPTIMISERS[name]
    ours = nn.MLP(784, 64, 10)
    theirs = torch.nn.Sequential(torch.nn.Linear(784, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    theirs.load_state_dict({k: torch.from_numpy(v.numpy().copy()) for k, v in ours.state_dict().items()})
    our_step, their_step = (
        getattr(optim, kind)(ours.parameters(), **options),
        getattr(torch.optim, kind)(theirs.parameters(), **options),
    )
    for x, t in zip(*batches(), strict=True):
        our_step.zero_grad()
        our_loss = F.cross_entropy(ours(ad.Tensor(x)), ad.Tensor(t))
        our_loss.backward()
        our_step.step()
        their_step.zero_grad()
        their_loss = torch.nn.functional.cross_entropy(theirs(torch.from_numpy(x)), torch.from_numpy(t))
        their_loss.backward()
        their_step.step()
        assert our_loss.item() == pytest.approx(their_loss.item(), rel=2e-3, abs=2e-4)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(
            a.detach().numpy(), b.detach().numpy(), atol=2e-3 if "adam" in name else 2e-4
        )
