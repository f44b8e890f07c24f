"""Optimisers: their formulas, groups, closures, state and errors."""

from __future__ import annotations

import copy
import math
import warnings
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from beside_torch import libraries, same
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


ALWAYS = {"lr": st.sampled_from([0.0, 0.1]), "maximize": st.booleans()}


def wander(kind, options, seed, x_of):
    """Six steps of an optimiser, and of the formula `x_of(x, gradients)`, which yields x after each."""
    start, *gradients = np.random.default_rng(seed).standard_normal((7, 3))
    p, sign = param(*start), -1 if options["maximize"] else 1
    optimizer, formula = kind([p], **options), x_of(start.copy(), [sign * g for g in gradients])
    for g, x in zip(gradients, formula, strict=True):
        give(p, g)
        optimizer.step()
        np.testing.assert_allclose(p.detach().numpy(), x, rtol=1e-9, atol=1e-12)


@given(
    st.fixed_dictionaries(ALWAYS | {
        "alpha": st.sampled_from([0.99, 0.3]), "momentum": st.sampled_from([0, 0.9]),
        "centered": st.booleans(), "weight_decay": st.sampled_from([0, 0.1]),
    }), seeds,
)  # fmt: skip
def test_rmsprop_by_its_formula(options, seed):
    def formula(x, gradients):
        s, mean, v, alpha = 0, 0, 0, options["alpha"]
        for g in gradients:
            g = g + options["weight_decay"] * x
            s, mean = alpha * s + (1 - alpha) * g * g, alpha * mean + (1 - alpha) * g
            v = options["momentum"] * v + g / (np.sqrt(s - options["centered"] * mean**2) + 1e-8)
            yield (x := x - options["lr"] * v)

    wander(optim.RMSprop, options, seed, formula)


@given(
    st.fixed_dictionaries(ALWAYS | {
        "lr_decay": st.sampled_from([0, 0.5]), "initial_accumulator_value": st.sampled_from([0, 0.2]),
        "weight_decay": st.sampled_from([0, 0.1]),
    }), seeds,
)  # fmt: skip
def test_adagrad_by_its_formula(options, seed):
    def formula(x, gradients):
        s = options["initial_accumulator_value"]
        for t, g in enumerate(gradients, 1):
            g = g + options["weight_decay"] * x
            s = s + g * g
            yield (x := x - options["lr"] / (1 + (t - 1) * options["lr_decay"]) * g / (np.sqrt(s) + 1e-10))

    wander(optim.Adagrad, options, seed, formula)


@given(
    st.fixed_dictionaries(ALWAYS | {
        "rho": st.sampled_from([0.9, 0.0, 1.0]), "weight_decay": st.sampled_from([0, 0.1])
    }), seeds,
)  # fmt: skip
def test_adadelta_by_its_formula(options, seed):
    def formula(x, gradients):
        s, u, rho, eps = 0, 0, options["rho"], 1e-6
        for g in gradients:
            g = g + options["weight_decay"] * x
            s = rho * s + (1 - rho) * g * g
            d = g * np.sqrt(u + eps) / np.sqrt(s + eps)
            u = rho * u + (1 - rho) * d * d
            yield (x := x - options["lr"] * d)

    wander(optim.Adadelta, options, seed, formula)


ADAMS = ALWAYS | {
    "betas": st.sampled_from([(0.9, 0.999), (0.3, 0.8), (0.0, 0.5)]), "weight_decay": st.sampled_from([0, 0.1])
}  # fmt: skip


@given(st.fixed_dictionaries(ADAMS), seeds)
def test_adamax_by_its_formula(options, seed):
    def formula(x, gradients):
        m, u, (b1, b2) = 0, 0, options["betas"]
        for t, g in enumerate(gradients, 1):
            g = g + options["weight_decay"] * x
            m, u = b1 * m + (1 - b1) * g, np.maximum(b2 * u, np.abs(g) + 1e-8)
            yield (x := x - options["lr"] / (1 - b1**t) * m / u)

    wander(optim.Adamax, options, seed, formula)


@given(
    st.fixed_dictionaries(ADAMS | {
        "momentum_decay": st.sampled_from([0, 0.1, 2]), "decoupled_weight_decay": st.booleans()
    }), seeds,
)  # fmt: skip
def test_nadam_by_its_formula(options, seed):
    def formula(x, gradients):
        m, v, product, (b1, b2) = 0, 0, 1, options["betas"]
        mu = lambda t: b1 * (1 - 0.96 ** (t * options["momentum_decay"]) / 2)
        for t, g in enumerate(gradients, 1):
            if options["decoupled_weight_decay"]:
                x = x - options["lr"] * options["weight_decay"] * x
            else:
                g = g + options["weight_decay"] * x
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
            product *= mu(t)
            d = (1 - mu(t)) * g / (1 - product) + mu(t + 1) * m / (1 - product * mu(t + 1))
            yield (x := x - options["lr"] * d / (np.sqrt(v / (1 - b2**t)) + 1e-8))

    with in_double():  # else it keeps the product of μ in float32, as PyTorch does
        wander(optim.NAdam, options, seed, formula)


@contextmanager
def in_double():
    """With float64 as the default dtype."""
    before = ad.get_default_dtype()
    ad.set_default_dtype(ad.float64)
    try:
        yield
    finally:
        ad.set_default_dtype(before)


@given(st.fixed_dictionaries(ADAMS | {"decoupled_weight_decay": st.booleans()}), seeds)
def test_radam_by_its_formula(options, seed):
    def formula(x, gradients):
        m, v, (b1, b2) = 0, 0, options["betas"]
        rho = 2 / (1 - b2) - 1
        for t, g in enumerate(gradients, 1):
            if options["decoupled_weight_decay"]:
                x = x - options["lr"] * options["weight_decay"] * x
            else:
                g = g + options["weight_decay"] * x
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
            d, now = m / (1 - b1**t), rho - 2 * t * b2**t / (1 - b2**t)
            if now > 5:
                r = math.sqrt((now - 4) * (now - 2) * rho / ((rho - 4) * (rho - 2) * now))
                d = d * r * math.sqrt(1 - b2**t) / (np.sqrt(v) + 1e-8)
            yield (x := x - options["lr"] * d)

    wander(optim.RAdam, options, seed, formula)


@given(
    st.fixed_dictionaries(ALWAYS | {
        "etas": st.sampled_from([(0.5, 1.2), (0.1, 3.0)]), "step_sizes": st.sampled_from([(1e-6, 50), (0.05, 0.2)])
    }), seeds,
)  # fmt: skip
def test_rprop_by_its_formula(options, seed):
    def formula(x, gradients):
        size, before, (down, up) = np.full(3, options["lr"]), np.zeros(3), options["etas"]
        for g in gradients:
            g = g.copy()
            for k in range(3):
                turn = np.sign(g[k] * before[k])
                size[k] = np.clip(size[k] * {1: up, -1: down, 0: 1}[turn], *options["step_sizes"])
                if turn < 0:
                    g[k] = 0
            before = g
            yield (x := x - size * np.sign(g))

    wander(optim.Rprop, options, seed, formula)


OPTIMISERS = {
    "sgd": ("SGD", {"lr": 0.1}),
    "heavy": ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.01}),
    "nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    "adam": ("Adam", {"lr": 0.1, "weight_decay": 0.01}),
    "amsgrad": ("Adam", {"lr": 0.1, "amsgrad": True, "betas": (0.5, 0.9)}),
    "adamw": ("AdamW", {"lr": 0.1}),
    "rmsprop": ("RMSprop", {"lr": 0.1, "weight_decay": 0.01}),
    "centered": ("RMSprop", {"lr": 0.1, "centered": True, "momentum": 0.9, "alpha": 0.7, "maximize": True}),
    "adagrad": ("Adagrad", {"lr": 0.1, "lr_decay": 0.3, "initial_accumulator_value": 0.2}),
    "adadelta": ("Adadelta", {"lr": 0.1, "weight_decay": 0.01, "rho": 0.5}),
    "adamax": ("Adamax", {"lr": 0.1, "weight_decay": 0.01}),
    "nadam": ("NAdam", {"lr": 0.1, "momentum_decay": 0.1}),
    "nadamw": ("NAdam", {"lr": 0.1, "weight_decay": 0.01, "decoupled_weight_decay": True}),
    "radam": ("RAdam", {"lr": 0.1, "weight_decay": 0.01}),
    "radamw": (
        "RAdam",
        {"lr": 0.1, "weight_decay": 0.01, "decoupled_weight_decay": True, "betas": (0.3, 0.9)},
    ),
    "rprop": ("Rprop", {"lr": 0.1, "etas": (0.4, 1.5), "step_sizes": (1e-3, 0.3)}),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_beside_pytorch_and_from_one_to_the_other(name):
    """Five steps there, five here from its state_dict, five there from ours."""
    torch = pytest.importorskip("torch")
    kind, options = OPTIMISERS[name]
    # NAdam's product of μ is in float32, but PyTorch loads it in the parameter's float64.
    rtol = 1e-8 if kind == "NAdam" else 1e-12
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
    np.testing.assert_allclose(our_steps(ours, gradients[5:10]), q.detach().numpy(), rtol)
    state = ours.state_dict()
    for values in state["state"].values():
        values.update({k: torch.tensor(v.numpy()) for k, v in values.items() if isinstance(v, ad.Tensor)})
        if "step" in values:
            values["step"] = torch.tensor(float(values["step"]))
    again = getattr(torch.optim, kind)([q], lr=9)
    again.load_state_dict(state)
    our_steps(ours, gradients[10:])
    np.testing.assert_allclose(p.detach().numpy(), their_steps(again, gradients[10:]), rtol)


DECAY, EPS = {"weight_decay": [0, 0.01, 0.3]}, {"eps": [1e-8, 1e-3]}
BETAS = {"betas": [(0.9, 0.999), (0.0, 0.5), (0.5, 0.0)]}
DECOUPLED = {"decoupled_weight_decay": [True, False]}
CHOICES = {
    "SGD": DECAY | {"momentum": [0, 0.5, 0.9], "dampening": [0, 0.2], "nesterov": [False, True]},
    "Adam": DECAY | EPS | BETAS | {"amsgrad": [False, True]},
    "AdamW": DECAY | EPS | BETAS | {"amsgrad": [False, True]},
    "RMSprop": DECAY | EPS | {"alpha": [0.99, 0.3], "momentum": [0, 0.5, 0.9], "centered": [False, True]},
    "Adagrad": DECAY | EPS | {"lr_decay": [0, 0.2], "initial_accumulator_value": [0, 0.5]},
    "Adadelta": DECAY | EPS | {"rho": [0.9, 0.2, 0.0]},
    "Adamax": DECAY | EPS | BETAS,
    "NAdam": DECAY | EPS | BETAS | DECOUPLED | {"momentum_decay": [4e-3, 0.5, 0]},
    "RAdam": DECAY | EPS | BETAS | DECOUPLED,
    "Rprop": {"etas": [(0.5, 1.2), (0.1, 3.0)], "step_sizes": [(1e-6, 50), (0.05, 0.2)]},
}


@st.composite
def groups_of_options(draw):
    """An optimiser, options for three groups, the shapes of six parameters."""
    kind = draw(st.sampled_from(sorted(CHOICES)))

    def options():
        always = {"lr": [0.0, 0.1, 0.5], "maximize": [False, True]}
        more = CHOICES[kind]
        chosen = sorted(draw(st.sets(st.sampled_from(sorted(more)))))
        names = always | {name: more[name] for name in chosen}
        return {name: draw(st.sampled_from(values)) for name, values in names.items()}

    shapes = draw(st.lists(st.sampled_from([(), (1,), (3,), (2, 3), (0,)]), min_size=6, max_size=6))
    return kind, [options() for _ in range(3)], shapes


def in_theirs(state, torch):
    """Our state_dict, in PyTorch's tensors."""

    def theirs(x):
        if isinstance(x, list):
            return [theirs(each) for each in x]
        return torch.tensor(x.numpy()) if isinstance(x, ad.Tensor) else x

    values = {
        number: {name: torch.tensor(float(x)) if name == "step" else theirs(x) for name, x in each.items()}
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
                rtol=(1e-7 if kind == "NAdam" else 1e-9) if exact else 1e-3, atol=1e-12 if exact else 1e-5,
            )  # fmt: skip
    a, b = (each[3].state_dict() for each in run)
    assert a["param_groups"] == b["param_groups"] and a["state"].keys() == b["state"].keys()
    assert all(a["state"][k].keys() == b["state"][k].keys() for k in a["state"])
    assert repr(ours[3]) == repr(theirs[3])


# ---- L-BFGS ------------------------------------------------------------------------------------


def valley(lib, p, q):
    """Rosenbrock's function of p and q, at its least, 0, where all are 1."""
    x = lib.torch.cat([p, q.reshape(-1)])
    return ((1 - x[:-1]) ** 2 + 2 * (x[1:] - x[:-1] ** 2) ** 2).sum()


@given(
    options=st.fixed_dictionaries(
        {
            "lr": st.sampled_from([1, 0.3, 0.05]), "max_iter": st.sampled_from([1, 4, 20]),
            "max_eval": st.sampled_from([None, 3, 7]), "history_size": st.sampled_from([1, 3, 100]),
            "tolerance_grad": st.sampled_from([1e-7, 0.5]), "tolerance_change": st.sampled_from([1e-9, 1e-2]),
            "line_search_fn": st.sampled_from([None, "strong_wolfe", "strong_wolfe", "other"]),
        }
    ), seed=seeds,
)  # fmt: skip
def test_lbfgs_is_pytorchs(options, seed):
    """Three steps: what the loss was, how often it was computed, where they end, what is remembered."""
    rng = np.random.default_rng(seed)
    arrays = rng.standard_normal(2), 0.3 * rng.standard_normal((2, 1))

    def program(lib):
        p, q = (lib.nn.Parameter(lib.tensor(a.copy())) for a in arrays)
        unused = lib.nn.Parameter(lib.torch.ones(2, dtype=lib.torch.float64))
        optimizer, losses, found = lib.optim.LBFGS([p, q, unused], **options), [], []
        closure = closure_of(lib, optimizer, p, q, losses)
        for _ in range(3):
            found += [optimizer.step(closure), len(losses), p.clone(), q.clone(), unused.clone()]
        state = optimizer.state_dict()["state"][0]
        names = ("func_evals", "n_iter", "old_dirs", "old_stps", "ro", "d", "prev_flat_grad")
        return [*found, sorted(state), *(state.get(name) for name in names)]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(program, 1e-4, 1e-6)


def closure_of(lib, optimizer, p, q, losses):
    def closure():
        optimizer.zero_grad()
        loss = valley(lib, p, q)
        loss.backward()
        losses.append(loss.item())
        return loss

    return closure


@pytest.mark.parametrize("theirs_first", [True, False])
@pytest.mark.parametrize("search", ["strong_wolfe", None])
def test_lbfgs_states_go_from_one_to_the_other(theirs_first, search):
    ours, theirs = libraries()
    first, second = (theirs, ours) if theirs_first else (ours, theirs)

    def begin(lib, p, q):
        p, q = (lib.nn.Parameter(lib.tensor(np.array(each))) for each in (p, q))
        optimizer = lib.optim.LBFGS([p, q], lr=0.1, max_iter=4, line_search_fn=search)
        return p, q, optimizer, closure_of(lib, optimizer, p, q, [])

    p, q, optimizer, closure = begin(first, [-1.2, 1.0], [[0.5], [2.0]])
    optimizer.step(closure)
    p2, q2, optimizer2, closure2 = begin(second, p.detach().numpy(), q.detach().numpy())
    state = optimizer.state_dict()
    optimizer2.load_state_dict(state if theirs_first else in_theirs(state, theirs.torch))
    for _ in range(2):
        loss, loss2 = optimizer.step(closure).item(), optimizer2.step(closure2).item()
        assert loss == pytest.approx(loss2, rel=1e-9)
        np.testing.assert_allclose(p.detach().numpy(), p2.detach().numpy(), rtol=1e-6)
        np.testing.assert_allclose(q.detach().numpy(), q2.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    "search, options", [("strong_wolfe", {"max_iter": 60}), (None, {"max_iter": 150, "lr": 0.3})]
)
def test_lbfgs_finds_the_minimum(search, options):
    p, q, lib = param(-1.2, 1.0), param([0.5], [2.0]), SimpleNamespace(torch=ad)
    optimizer, losses = optim.LBFGS([p, q], line_search_fn=search, **options), []
    first = optimizer.step(closure_of(lib, optimizer, p, q, losses))
    assert first.item() == losses[0] and len(losses) == optimizer.state[p]["func_evals"]
    for each in (p, q):
        np.testing.assert_allclose(each.detach().numpy(), 1, atol=1e-4)


def test_lbfgs_in_a_compiled_step_says_why_it_is_not_compiled(capsys, monkeypatch):
    monkeypatch.setenv("AUTODIFF_COMPILE", "1")
    p = param(1.0, 2.0)
    optimizer = optim.LBFGS([p])

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    step = ad.compile(lambda: optimizer.step(closure))
    assert [step().item() for _ in range(2)][0] == 5
    assert "runs eagerly: Python looks at a value" in capsys.readouterr().err


# ---- hooks -------------------------------------------------------------------------------------


def test_hooks_around_a_step():
    def program(lib):
        w = lib.nn.Parameter(lib.torch.ones(1))
        optimizer, seen = lib.optim.SGD([w], lr=0.5), []
        w.grad = lib.torch.ones(1)
        before = optimizer.register_step_pre_hook(
            lambda o, args, kwargs: seen.append(("pre", o is optimizer, len(args), kwargs, w.item()))
        )
        optimizer.register_step_pre_hook(lambda o, args, kwargs: ((args[0], lambda: 7), kwargs))
        after = optimizer.register_step_post_hook(
            lambda o, args, kwargs: seen.append(("post", len(args), w.item()))
        )
        results = [optimizer.step()]
        before.remove()
        results.append(optimizer.step(None))
        after.remove()
        results.append(optimizer.step())
        return results, seen, w.item()

    same(program)


def test_a_hook_that_gives_something_else():
    def program(lib):
        optimizer = lib.optim.SGD([lib.nn.Parameter(lib.torch.ones(1))])
        optimizer.register_step_pre_hook(lambda *_: 3)
        optimizer.step()

    assert "must return None or a tuple of (new_args, new_kwargs)" in str(same(program))


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


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW, optim.Adagrad])
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
        (lambda: optim.SGD(iter(())), ValueError, r"empty parameter list: .*nn\.ModuleList.* used up before"),
        (lambda: optim.SGD(nn.Linear(1, 1)), TypeError, r"but got Linear: write model\.parameters\(\)"),
        (lambda: optim.SGD(nn.Linear(1, 1).parameters), TypeError, r"but got method: write model\.parameters\(\)"),
        (lambda: optim.SGD(nn.Linear(1, 1).state_dict()), TypeError, r"but got OrderedDict: write model\.parameters\(\)"),
        (lambda: optim.SGD([W], lr="0.1"), ValueError, "Invalid learning rate: '0.1'"),
        (lambda: optim.SGD([1.0]), TypeError, "can only optimize Tensors, but one of the params is float"),
        (lambda: optim.SGD([W * 2]), ValueError, "can't optimize a non-leaf Tensor: .*<MulBackward at test_optim.py.*"),
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
        (lambda: optim.RMSprop([W], alpha=-1), ValueError, "Invalid alpha value: -1"),
        (lambda: optim.RMSprop([W], momentum=-1), ValueError, "Invalid momentum value: -1"),
        (lambda: optim.Adagrad([W], lr_decay=-1), ValueError, "Invalid lr_decay value: -1"),
        (lambda: optim.Adagrad([W], initial_accumulator_value=-1), ValueError, "Invalid initial_accumulator_value value: -1"),
        (lambda: optim.Adadelta([W], rho=1.5), ValueError, "Invalid rho value: 1.5"),
        (lambda: optim.Adamax([W], eps=-1), ValueError, "Invalid epsilon value: -1"),
        (lambda: optim.NAdam([W], momentum_decay=-1), ValueError, "Invalid momentum_decay value: -1"),
        (lambda: optim.RAdam([W], betas=(1.0, 0.9)), ValueError, "Invalid beta parameter at index 0: 1.0"),
        (lambda: optim.Rprop([W], etas=(1.5, 2)), ValueError, "Invalid eta values: 1.5, 2"),
        (lambda: optim.Rprop([W], differentiable=True), ValueError, "an optimiser's step writes to memory"),
        (lambda: optim.LBFGS([{"params": [W]}, {"params": [param(1.0)]}]), ValueError, "doesn't support per-parameter options"),
        (lambda: optim.LBFGS([W], lr=-1), ValueError, "Invalid learning rate: -1"),
        (lambda: optim.LBFGS([W]).step(), TypeError, "closure"),
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


@pytest.mark.parametrize(
    "kind, option, missing",
    [
        ("Adam", {"amsgrad": True}, "max_exp_avg_sq"), ("AdamW", {"amsgrad": True}, "max_exp_avg_sq"),
        ("RMSprop", {"momentum": 0.9}, "momentum_buffer"), ("RMSprop", {"centered": True}, "grad_avg"),
    ],
)  # fmt: skip
def test_what_the_first_step_has_not_begun_is_missed_by_name(kind, option, missing):
    p = param(1.0)
    optimizer = getattr(optim, kind)([p])
    give(p, [2.0])
    optimizer.step()
    optimizer.param_groups[0].update(option)
    with pytest.raises(
        KeyError, match=rf"{missing} is not in the optimiser's state: .*\['{missing}'\] = zeros_like"
    ):
        optimizer.step()
    optimizer.state[p][missing] = ad.zeros_like(p)
    optimizer.step()
    assert p.item() < 1 and optimizer.state[p][missing].item() != 0
