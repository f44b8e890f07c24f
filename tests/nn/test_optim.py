"""Optimisers: their formulas, groups, closures, state and errors."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from beside_torch import libraries
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
import nn
from nn import optim

seeds = st.integers(0, 2**32 - 1)


def param(*values, dtype=np.float64):
    return nn.Parameter(ad.Tensor(np.array(values, dtype)))


def give(p, gradient):
    p.grad = ad.Tensor(np.asarray(gradient, p.dtype))


def run(optimizer, p, gradients):
    for g in gradients:
        give(p, g)
        optimizer.step()
    return p.detach().numpy().copy()


# ---- formulas ----------------------------------------------------------------------------------


@given(
    seed=seeds, lr=st.sampled_from([0.0, 0.1]), momentum=st.sampled_from([0, 0.9]),
    dampening=st.sampled_from([0, 0.3]), decay=st.sampled_from([0, 0.1]), nesterov=st.booleans(),
    maximize=st.booleans(),
)  # fmt: skip
def test_sgd_by_its_formula(seed, lr, momentum, dampening, decay, nesterov, maximize):
    nesterov = nesterov and momentum > 0 and dampening == 0
    start, *gradients = np.random.default_rng(seed).standard_normal((5, 3))
    p = param(*start)
    optimizer = optim.SGD([p], lr, momentum, dampening, decay, nesterov, maximize=maximize)
    found = run(optimizer, p, gradients)
    x, v = start.copy(), None
    for g in gradients:
        d = (-g if maximize else g) + decay * x
        if momentum:
            v = d if v is None else momentum * v + (1 - dampening) * d
            d = d + momentum * v if nesterov else v
        x = x - lr * d
    np.testing.assert_allclose(found, x, rtol=1e-12, atol=1e-14)


@given(
    seed=seeds, betas=st.sampled_from([(0.9, 0.999), (0.0, 0.5)]), decay=st.sampled_from([0, 0.1]),
    amsgrad=st.booleans(), decoupled=st.booleans(), maximize=st.booleans(),
)  # fmt: skip
def test_adam_by_its_formula(seed, betas, decay, amsgrad, decoupled, maximize):
    start, *gradients = np.random.default_rng(seed).standard_normal((6, 3))
    p, lr, eps = param(*start), 0.1, 1e-3
    kind = optim.AdamW if decoupled else optim.Adam
    found = run(kind([p], lr, betas, eps, decay, amsgrad, maximize=maximize), p, gradients)
    x, m, v, top = start.copy(), 0, 0, 0
    for t, g in enumerate(gradients, 1):
        g = -g if maximize else g
        if decoupled:
            x = x - lr * decay * x
        else:
            g = g + decay * x
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        top = np.maximum(top, v) if amsgrad else v
        m_hat, v_hat = m / (1 - betas[0] ** t), top / (1 - betas[1] ** t)
        x = x - lr * m_hat / (np.sqrt(v_hat) + eps)
    np.testing.assert_allclose(found, x, rtol=1e-10, atol=1e-12)


OPTIMISERS = {
    "sgd": ("SGD", {"lr": 0.1}),
    "heavy": ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.01}),
    "nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    "adam": ("Adam", {"lr": 0.1, "weight_decay": 0.01}),
    "amsgrad": ("Adam", {"lr": 0.1, "amsgrad": True, "betas": (0.5, 0.9)}),
    "adamw": ("AdamW", {"lr": 0.1}),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_beside_pytorch_and_from_one_to_the_other(name):
    """Five steps there, five here from its state_dict, five there from ours."""
    torch = pytest.importorskip("torch")
    kind, options = OPTIMISERS[name]
    start, *gradients = np.random.default_rng(0).standard_normal((16, 3))
    q = torch.nn.Parameter(torch.tensor(start))
    theirs = getattr(torch.optim, kind)([q], **options)

    def their_steps(optimizer, gradients):
        for g in gradients:
            q.grad = torch.tensor(g)
            optimizer.step()
        return q.detach().numpy()

    def our_steps(optimizer, gradients):
        return run(optimizer, p, gradients)

    p = param(*start)
    np.testing.assert_allclose(
        our_steps(getattr(optim, kind)([p], **options), gradients[:5]),
        their_steps(theirs, gradients[:5]),
        rtol=1e-12,
    )
    ours = getattr(optim, kind)([p], lr=9)
    ours.load_state_dict(theirs.state_dict())
    their_steps(theirs, gradients[5:10])
    np.testing.assert_allclose(our_steps(ours, gradients[5:10]), q.detach().numpy(), rtol=1e-12)
    state = ours.state_dict()
    for values in state["state"].values():
        values.update({k: torch.tensor(v.numpy()) for k, v in values.items() if isinstance(v, ad.Tensor)})
        if "step" in values:
            values["step"] = torch.tensor(float(values["step"]))
    again = getattr(torch.optim, kind)([q], lr=9)
    again.load_state_dict(state)
    our_steps(ours, gradients[10:])
    np.testing.assert_allclose(p.detach().numpy(), their_steps(again, gradients[10:]), rtol=1e-12)


@st.composite
def groups_of_options(draw):
    """An optimiser, options for three groups, the shapes of six parameters."""
    kind = draw(st.sampled_from(["SGD", "Adam", "AdamW"]))

    def options():
        some = {
            "lr": draw(st.sampled_from([0.0, 0.1, 0.5])), "maximize": draw(st.booleans()),
            "weight_decay": draw(st.sampled_from([0, 0.01, 0.3])),
        }  # fmt: skip
        if kind == "SGD":
            more = {
                "momentum": draw(st.sampled_from([0, 0.5, 0.9])), "dampening": draw(st.sampled_from([0, 0.2])),
                "nesterov": draw(st.booleans()),
            }  # fmt: skip
        else:
            more = {
                "betas": draw(st.sampled_from([(0.9, 0.999), (0.0, 0.5), (0.5, 0.0)])),
                "amsgrad": draw(st.booleans()), "eps": draw(st.sampled_from([1e-8, 1e-3])),
            }  # fmt: skip
        chosen = draw(st.sets(st.sampled_from(sorted(more))))
        return some | {name: more[name] for name in chosen}

    shapes = draw(st.lists(st.sampled_from([(), (1,), (3,), (2, 3), (0,)]), min_size=6, max_size=6))
    return kind, [options() for _ in range(3)], shapes


def in_theirs(state, torch):
    """Our state_dict, in PyTorch's tensors."""
    values = {
        number: {
            name: torch.tensor(float(x)) if name == "step" else torch.tensor(x.numpy())
            for name, x in each.items()
        }
        for number, each in state["state"].items()
    }
    return {**state, "state": values}


@given(
    case=groups_of_options(), seed=seeds, dtype=st.sampled_from(["float32", "float64"]),
    handed_over=st.sampled_from(["theirs", "ours", None]),
)  # fmt: skip
def test_groups_gaps_and_exchanged_states_are_pytorchs(case, seed, dtype, handed_over):
    """Twelve steps in which gradients are missing now and then, a group comes late, and the state
    goes from one library to the other."""
    kind, options, shapes = case
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(rng.standard_normal(shape), dtype) for shape in shapes]
    run = []
    for lib in libraries():
        params = [lib.nn.Parameter(lib.tensor(a.copy())) for a in arrays]

        def build(lib=lib, params=params, late=False):
            first, rest = params[0], params[1:4]
            groups = [{"params": first, **options[0]}, {"params": (p for p in rest)}]
            optimizer = getattr(lib.optim, kind)(groups, **options[1])
            if late:
                optimizer.add_param_group({"params": params[4:], **options[2]})
            return optimizer

        try:
            run.append([lib, params, build, build()])
        except ValueError as error:  # Nesterov without momentum
            run.append(error)
    ours, theirs = run
    if isinstance(theirs, ValueError):
        assert str(ours) == str(theirs)
        return
    for step in range(12):
        if step == 4:
            for _, params, _, optimizer in run:
                optimizer.add_param_group({"params": params[4:], **options[2]})
        if step == 8 and handed_over == "theirs":
            state = theirs[3].state_dict()
            ours[3] = ours[2](late=True)
            ours[3].load_state_dict(state)
        elif step == 8 and handed_over == "ours":
            state = in_theirs(ours[3].state_dict(), theirs[0].torch)
            theirs[3] = theirs[2](late=True)
            theirs[3].load_state_dict(state)
        for k, a in enumerate(arrays):
            g = np.asarray(rng.standard_normal(a.shape), dtype) if rng.random() < 0.75 else None
            for lib, params, _, _ in run:
                params[k].grad = None if g is None else lib.tensor(g.copy())
        for each in run:
            each[3].step()
        for p, q in zip(ours[1], theirs[1], strict=True):
            exact = dtype == "float64"
            np.testing.assert_allclose(
                p.detach().numpy(), q.detach().numpy(),
                rtol=1e-9 if exact else 1e-3, atol=1e-12 if exact else 1e-5,
            )  # fmt: skip
    a, b = (each[3].state_dict() for each in run)
    assert a["param_groups"] == b["param_groups"] and a["state"].keys() == b["state"].keys()
    assert all(a["state"][k].keys() == b["state"][k].keys() for k in a["state"])
    assert repr(ours[3]) == repr(theirs[3])


# ---- steps -------------------------------------------------------------------------------------


def test_parameters_without_gradient_are_skipped():
    a, b = param(1.0), param(1.0)
    for optimizer in (optim.SGD([a, b], 0.1, momentum=0.9), optim.Adam([a, b], weight_decay=1)):
        give(a, [1.0])
        optimizer.step()
        assert b.item() == 1 and list(optimizer.state_dict()["state"]) == [0]


def test_the_same_memory_is_written_and_old_graphs_know():
    w = param(1.0, 2.0)
    memory, loss = w.array, (w * w).sum()
    loss.backward(retain_graph=True)
    optim.SGD([w], 0.1).step()
    assert w.array is memory and w.detach().numpy().tolist() == [0.8, 1.6] and w.requires_grad and w.is_leaf
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_what_an_optimiser_remembers_is_noted_as_written():
    w = param(1.0)
    optimizer = optim.SGD([w], 0.1, momentum=0.9)
    give(w, [1.0])
    optimizer.step()
    velocity = optimizer.state[w]["momentum_buffer"]
    y = (w * velocity).sum()
    give(w, [1.0])
    with ad.no_grad():
        kept = w.clone()
    optimizer.step()
    with ad.no_grad():
        w.copy_(kept)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_single_number_is_a_parameter_too(name):
    kind, options = OPTIMISERS[name]
    p, q = nn.Parameter(ad.tensor(2.0, dtype=ad.float64)), param(2.0)
    for each in (p, q):
        optimizer = getattr(optim, kind)([each], **options)
        for g in (1.0, -3.0, 0.5):
            each.grad = ad.zeros_like(each) + g
            optimizer.step()
    assert p.shape == () and p.item() == q.item() != 2


def test_a_group_without_momentum_beside_nesterovs():
    a, b = param(1.0), param(1.0)
    optimizer = optim.SGD([{"params": a}, {"params": b, "momentum": 0}], 0.1, momentum=0.9, nesterov=True)
    for _ in range(2):
        give(a, [1.0])
        give(b, [1.0])
        optimizer.step()
    assert b.item() == pytest.approx(0.8) and a.item() == pytest.approx(1 - 0.1 * (1.9 + 2.71))


def test_a_closure():
    w = param(2.0)
    optimizer = optim.SGD([w], 0.25)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with ad.no_grad():
        assert optimizer.step(closure).item() == 4
    assert w.item() == 1


def test_zero_grad():
    w = param(1.0, 2.0)
    optimizer = optim.SGD([w], 0.1)
    give(w, [1.0, math.nan])
    kept = w.grad
    optimizer.zero_grad(set_to_none=False)
    assert w.grad is kept and kept.tolist() == [0, 0]
    optimizer.zero_grad()
    assert w.grad is None
    optimizer.zero_grad(set_to_none=False)
    assert w.grad is None


@pytest.mark.parametrize("lr", [np.float64(0.1), ad.tensor(0.1), np.array(0.1)])
def test_rates_of_other_kinds_keep_the_dtype(lr):
    w = param(1.0, dtype=np.float32)
    for optimizer in (optim.SGD([w], lr), optim.Adam([w], lr)):
        give(w, [1.0])
        optimizer.step()
    assert w.dtype == ad.float32 and w.item() == pytest.approx(0.8, abs=1e-5)


def test_ones_own_optimiser():
    class Sign(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def update(self, p, state, group):
            state["count"] = state.get("count", 0) + 1
            p.sub_(p.grad.sign() * group["lr"])

    w = param(1.0, 1.0)
    optimizer = Sign([w], 0.5)
    run(optimizer, w, [[2.0, -3.0]] * 2)
    assert w.tolist() == [0, 2] and optimizer.state[w] == {"count": 2}
    with pytest.raises(NotImplementedError, match="Optimizer needs a method update"):
        run(optim.Optimizer([w], {}), w, [[1.0, 1.0]])


# ---- groups ------------------------------------------------------------------------------------


def test_groups_have_options_of_their_own():
    a, b, c = param(1.0), param(1.0), param(1.0)
    optimizer = optim.SGD([{"params": a}, {"params": [b], "lr": 0.5}], lr=0.1)
    optimizer.add_param_group({"params": (p for p in [c]), "lr": 0.2, "note": "mine"})
    for p in (a, b, c):
        give(p, [1.0])
    optimizer.param_groups[0]["lr"] = 0.3
    optimizer.step()
    np.testing.assert_allclose([a.item(), b.item(), c.item()], [0.7, 0.5, 0.8])
    assert optimizer.param_groups[2]["note"] == "mine" and optimizer.param_groups[1]["params"] == [b]
    assert repr(optim.SGD([a], 0.1)).startswith("SGD (\nParameter Group 0\n    dampening: 0\n")


def test_parameters_with_names():
    net = nn.Linear(2, 1)
    optimizer = optim.SGD(net.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["params"] == [net.weight, net.bias]
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    again = optim.SGD([{"params": net.named_parameters()}], lr=0.2)
    again.load_state_dict(optimizer.state_dict())
    assert again.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW])
def test_a_choice_of_implementations_is_accepted_and_changes_nothing(kind):
    a, b = param(1.0, 2.0), param(1.0, 2.0)
    chosen = kind([b], lr=0.1, foreach=True, fused=False)
    for p, optimizer in ((a, kind([a], lr=0.1)), (b, chosen)):
        give(p, [1.0, -1.0])
        optimizer.step()
    assert a.equal(b) and chosen.param_groups[0]["foreach"] is True


W = param(1.0)


@pytest.mark.parametrize(
    "make, error, phrase",
    [
        (lambda: optim.SGD([]), ValueError, "optimizer got an empty parameter list"),
        (lambda: optim.SGD(W), TypeError, "should be an iterable of Tensors or dicts, but got Parameter"),
        (lambda: optim.SGD({W}), TypeError, "Please use a list instead"),
        (lambda: optim.SGD([{"params": {W}}]), TypeError, "Please use a list instead"),
        (lambda: optim.SGD([1.0]), TypeError, "can only optimize Tensors, but one of the params is float"),
        (lambda: optim.SGD([W * 2]), ValueError, "can't optimize a non-leaf Tensor"),
        (lambda: optim.SGD([W, W]), ValueError, "parameter group with duplicate parameters"),
        (lambda: optim.SGD([{"params": W}, {"params": [W]}]), ValueError, "some parameters appear in more than one parameter group"),
        (lambda: optim.SGD([{"params": W}, 3]), TypeError, "param_group must be a dict"),
        (lambda: optim.SGD([W], lr=-1), ValueError, "Invalid learning rate: -1"),
        (lambda: optim.SGD([W], lr=math.nan), ValueError, "Invalid learning rate: nan"),
        (lambda: optim.SGD([{"params": W, "lr": -2}]), ValueError, "Invalid learning rate: -2"),
        (lambda: optim.SGD([W], momentum=-0.5), ValueError, "Invalid momentum value: -0.5"),
        (lambda: optim.SGD([W], weight_decay=-1), ValueError, "Invalid weight_decay value: -1"),
        (lambda: optim.SGD([W], nesterov=True), ValueError, "Nesterov momentum requires a momentum and zero dampening"),
        (lambda: optim.SGD([W], momentum=0.9, dampening=0.1, nesterov=True), ValueError, "zero dampening"),
        (lambda: optim.Adam([W], lr=-1), ValueError, "Invalid learning rate: -1"),
        (lambda: optim.Adam([W], eps=-1), ValueError, "Invalid epsilon value: -1"),
        (lambda: optim.Adam([W], betas=(1.0, 0.9)), ValueError, "Invalid beta parameter at index 0: 1.0"),
        (lambda: optim.Adam([W], betas=(0.9, -1)), ValueError, "Invalid beta parameter at index 1: -1"),
        (lambda: optim.Adam([W], betas=(0.9,)), ValueError, "betas are two factors"),
        (lambda: optim.Adam([W], differentiable=True), ValueError, "an optimiser's step writes to memory"),
        (lambda: optim.SGD([W]).load_state_dict({"weight": 1}), KeyError, "no optimiser's state_dict: it has weight"),
        (lambda: optim.AdamW([W], weight_decay=-1), ValueError, "Invalid weight_decay value: -1"),
    ],
)  # fmt: skip
def test_errors(make, error, phrase):
    with pytest.raises(error, match=phrase):
        make()


def test_a_refused_group_leaves_the_optimiser_as_it_was():
    a, b = param(1.0), param(1.0)
    optimizer = optim.SGD([a], 0.1)
    for group in ({"params": [b, a]}, {"params": [b], "lr": -1}, {"params": [b, "x"]}):
        with pytest.raises((ValueError, TypeError)):
            optimizer.add_param_group(group)
    assert len(optimizer.param_groups) == 1 and optimizer.param_groups[0]["params"] == [a]


# ---- state -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMISERS)
def test_state_goes_round(name):
    kind, options = OPTIMISERS[name]
    start, *gradients = np.random.default_rng(1).standard_normal((9, 3))
    p, q = param(*start), param(*start)
    whole = run(getattr(optim, kind)([p], **options), p, gradients)
    first = getattr(optim, kind)([q], **options)
    run(first, q, gradients[:4])
    state = copy.deepcopy(first.state_dict())
    second = getattr(optim, kind)([q], lr=5.0)
    second.load_state_dict(state)
    assert np.array_equal(run(second, q, gradients[4:]), whole)  # bit for bit
    third = getattr(optim, kind)([param(*start)], lr=5.0)
    third.load_state_dict(state)  # what was loaded was copied: the steps did not change it
    assert state["param_groups"][0]["lr"] == third.param_groups[0]["lr"] == 0.1


def test_state_has_pytorchs_structure():
    torch = pytest.importorskip("torch")

    def build(lib, optimizers, ones):
        a, b, c = (lib.nn.Parameter(ones(2)) for _ in range(3))
        optimizer = optimizers.Adam([{"params": [a, b]}, {"params": [c], "lr": 0.5}], amsgrad=True)
        for p in (a, c):
            p.grad = ones(2)
        optimizer.step()
        return optimizer.state_dict()

    class ours:
        pass

    ours.nn = nn
    found, expected = build(ours, optim, ad.ones), build(torch, torch.optim, torch.ones)
    assert list(found["state"]) == list(expected["state"]) == [0, 2]
    assert set(found["state"][0]) == set(expected["state"][0])
    assert found["param_groups"] == expected["param_groups"]


def test_a_state_that_does_not_fit_changes_nothing():
    a, b = param(1.0), param(1.0, 2.0)
    optimizer = optim.SGD([a], 0.1, momentum=0.9)
    run(optimizer, a, [[1.0]])
    before = copy.deepcopy(optimizer.state_dict())
    two_groups = optim.SGD([{"params": [a]}, {"params": [b]}], 0.2)
    two_params = optim.SGD([a, b], 0.2)
    wider = optim.SGD([b], 0.2, momentum=0.9)
    run(wider, b, [[1.0, 1.0]])
    for other, phrase in (
        (two_groups, "different number of parameter groups"),
        (two_params, "doesn't match the size of optimizer's group"),
        (wider, r"size mismatch for the optimizer's 'momentum_buffer': .* shape \[2\], the parameter \[1\]"),
    ):
        with pytest.raises(ValueError, match=phrase):
            optimizer.load_state_dict(other.state_dict())
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert after["state"][0]["momentum_buffer"].equal(before["state"][0]["momentum_buffer"])


def test_what_is_loaded_takes_the_parameters_dtype():
    a, b = param(1.0), param(1.0, dtype=np.float32)
    first, second = optim.Adam([a]), optim.Adam([b])
    run(first, a, [[1.0]])
    second.load_state_dict(first.state_dict())
    assert second.state[b]["exp_avg"].dtype == ad.float32 and second.state[b]["step"] == 1


def test_an_optimiser_of_ones_own_remembers_what_it_likes():
    class Own(optim.Optimizer):
        def update(self, p, state, group):
            state["history"] = ad.ones(4, 2) if "history" not in state else state["history"] + 1
            state["step"] = state.get("step", 0) + 1
            state["order"], state["scale"], state["note"] = ad.tensor([2, 1]), np.float32(0.5), ["text"]

    a = param(1.0)
    first, second = Own([a], {}), Own([a], {})
    run(first, a, [[1.0], [1.0]])
    second.load_state_dict(first.state_dict())
    found = second.state[a]
    assert found["history"].shape == (4, 2) and found["history"].dtype == a.dtype and found["step"] == 2
    assert found["order"].tolist() == [2, 1] and found["order"].dtype == ad.int64
    assert found["scale"] == 0.5 and found["note"] == ["text"]
    run(second, a, [[1.0]])
    assert (first.state[a]["history"] == 2).all() and (found["history"] == 3).all()  # a copy


def test_copies_and_pickles():
    import pickle

    a = param(1.0, 2.0)
    first = optim.Adam([a], 0.1)
    run(first, a, [[1.0, 1.0]])
    for second in (copy.deepcopy(first), pickle.loads(pickle.dumps(first))):
        (b,) = second.param_groups[0]["params"]
        assert b is not a and second.state[b]["exp_avg"].equal(first.state[a]["exp_avg"])
        give(b, [1.0, 2.0])
        second.step()
        assert not b.equal(a)
