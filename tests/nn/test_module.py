"""Module: registration, traversal, modes, dtypes, hooks, state, and what goes wrong."""

from __future__ import annotations

import copy
import io
import pickle
import re
from collections import OrderedDict

import numpy as np
import pytest
from beside_torch import libraries, same
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
import nn


class Block(nn.Module):
    def __init__(self, size=3):
        super().__init__()
        self.fc = nn.Linear(size, size)
        self.scale = nn.Parameter(ad.ones(size))
        self.register_buffer("count", ad.zeros(1))
        self.register_buffer("scratch", ad.zeros(2), persistent=False)

    def forward(self, x, shift=0.0):
        return self.fc(x) * self.scale + shift


class Net(nn.Module):
    """A parameter, two blocks that are one, and something with a None in it."""

    def __init__(self):
        super().__init__()
        self.first = Block()
        self.again = self.first
        self.head = nn.Linear(3, 2, bias=False)

    def forward(self, x):
        return self.head(self.again(self.first(x)))


def ones(*shape):
    return ad.ones(*shape)


def values(module):
    return {name: t.numpy().copy() for name, t in module.state_dict().items()}


# ---- registration ------------------------------------------------------------------------------


def test_names_in_order_and_shared_ones_once():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == [
        "first.scale", "first.fc.weight", "first.fc.bias", "head.weight",
    ]  # fmt: skip
    assert len(list(net.parameters())) == 4
    assert len(list(net.named_parameters(remove_duplicate=False))) == 7
    assert [n for n, _ in net.named_parameters("net", recurse=False)] == []
    assert [n for n, _ in net.first.named_parameters("b", recurse=False)] == ["b.scale"]
    assert [n for n, _ in net.named_buffers()] == ["first.count", "first.scratch"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "first.fc", "head"]
    assert [n for n, _ in net.named_modules(remove_duplicate=False)] == [
        "", "first", "first.fc", "again", "again.fc", "head",
    ]  # fmt: skip
    assert [n for n, _ in net.named_children()] == ["first", "head"]
    assert list(net.children()) == [net.first, net.head]
    assert list(net.modules())[0] is net and len(list(net.buffers())) == 2


def test_a_name_keeps_its_place_when_it_gets_a_new_value():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    net[0] = nn.Linear(2, 3)
    block = Block()
    block.scale = nn.Parameter(ad.zeros(3))
    block.count = ones(1)
    assert [n for n, _ in net.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert list(dict(block.named_parameters())) == ["scale", "fc.weight", "fc.bias"]
    assert block.count.item() == 1 and "count" in block.state_dict()


def test_a_name_stands_for_one_thing():
    m = nn.Module()
    m.x = 5
    m.x = nn.Linear(1, 1)
    assert "x" not in vars(m) and dict(m.named_children())
    m.x = nn.Parameter(ones(1))
    with pytest.raises(TypeError, match="cannot assign 'Linear' as parameter 'x'"):
        m.x = nn.Linear(1, 1)
    assert not dict(m.named_children()) and [n for n, _ in m.named_parameters()] == ["x"]
    m.x = None
    assert m.x is None and not list(m.parameters())
    m.x = nn.Parameter(ones(1))
    del m.x
    assert not hasattr(m, "x")
    m.register_buffer("b", None)
    m.b = ones(2)
    assert m.b.shape == (2,) and "b" in m.state_dict()
    m.register_buffer("b", ones(3), persistent=False)
    assert "b" not in m.state_dict()
    m.plain = ones(2)  # a Tensor that is no Parameter is an ordinary attribute
    assert "plain" not in m.state_dict() and "plain" in vars(m)


@pytest.mark.parametrize(
    "name, value, phrase",
    [
        ("fc", 3, r"cannot assign 'int' as child module 'fc' \(nn.Module or None expected"),
        ("scale", ad.ones(3), r"cannot assign 'Tensor' as parameter 'scale' \(nn.Parameter or None expected"),
        ("count", [1], r"cannot assign 'list' as buffer 'count' \(Tensor or None expected"),
    ],
)
def test_a_name_refuses_what_is_no_such_thing(name, value, phrase):
    block = Block()
    with pytest.raises(TypeError, match=phrase):
        setattr(block, name, value)
    assert block(ones(1, 3)).shape == (1, 3)


def test_registering():
    m = nn.Module()
    m.register_parameter("p", None)
    m.register_module("inner", None)
    m.add_module("fc", nn.Linear(1, 1))
    assert m.p is None and m.inner is None and list(m.children()) == [m.fc]
    for register, kind in (
        (m.register_parameter, "parameter"),
        (m.register_buffer, "buffer"),
        (m.add_module, "module"),
    ):
        for name, phrase in (("a.b", "contain"), ("", "be empty"), ("forward", "already exists")):
            with pytest.raises(KeyError, match=phrase):
                register(name, None)
        with pytest.raises(TypeError, match=f"{kind} name should be a string"):
            register(3, None)
        with pytest.raises(TypeError, match="cannot assign 'str' object"):
            register("x", "y")
    with pytest.raises(KeyError, match="attribute 'fc' already exists"):
        m.register_buffer("fc", ones(1))
    m.plain = 1
    with pytest.raises(KeyError, match="attribute 'plain' already exists"):
        m.register_parameter("plain", None)


@pytest.mark.parametrize("value, kind", [(nn.Parameter(ad.ones(1)), "parameters"), (nn.ReLU(), "module")])
def test_assigning_before_init(value, kind):
    class Early(nn.Module):
        def __init__(self):
            self.size = 3  # that may be
            self.x = value
            super().__init__()

    with pytest.raises(AttributeError, match=rf"cannot assign {kind} before Module.__init__\(\) call"):
        Early()


def test_forgetting_init_is_said():
    class Forgetful(nn.Module):
        def __init__(self):
            pass

        def forward(self, x):
            return x

    for use in (
        lambda m: m(1), lambda m: list(m.parameters()), lambda m: m.zero_grad(), lambda m: m.train(),
        nn.Module.state_dict, repr, dir,
    ):  # fmt: skip
        with pytest.raises(AttributeError, match=r"has not called super\(\).__init__\(\)"):
            use(Forgetful())
    with pytest.raises(AttributeError, match=r"cannot assign buffer before Module.__init__\(\) call"):
        Forgetful().register_buffer("b", None)


def test_a_missing_name_tells_the_near_ones():
    with pytest.raises(AttributeError, match="'Block' object has no attribute 'scael'; did you mean scale"):
        Block().scael  # noqa: B018
    assert not hasattr(Block(), "nothing_like_it") and "fc" in dir(Block())
    with pytest.raises(AttributeError) as error:
        nn.ModuleDict().get  # noqa: B018
    assert "_get" not in str(error.value)  # what is private is not proposed
    with pytest.raises(
        AttributeError, match=r"no attribute 'backward': that is a Tensor's. Call the module first"
    ) as error:
        nn.MSELoss().backward()
    assert error.value.name is None  # or Python would add a guess of its own
    with pytest.raises(AssertionError, match=r"Leave \.cuda\(\) out"):
        Block().cuda()


def test_getting_by_dotted_name():
    net = Net()
    assert net.get_submodule("") is net and net.get_submodule("first.fc") is net.first.fc
    assert net.get_parameter("first.fc.bias") is net.first.fc.bias
    assert net.get_buffer("first.count") is net.first.count
    with pytest.raises(AttributeError, match="no attribute 'second'"):
        net.get_submodule("second.fc")
    with pytest.raises(AttributeError, match="`scale` is not an nn.Module"):
        net.get_submodule("first.scale")
    with pytest.raises(AttributeError, match="`count` is not a parameter"):
        net.get_parameter("first.count")


def test_forward_has_to_be_written():
    with pytest.raises(NotImplementedError, match=r'Module \[Bare\] is missing the required "forward"'):
        type("Bare", (nn.Module,), {})()(1)


# ---- Parameter ---------------------------------------------------------------------------------


def test_parameter():
    data = ad.zeros(2)
    p = nn.Parameter(data)
    assert isinstance(p, ad.Tensor) and p.requires_grad and p.is_leaf and p.array is data.array
    assert repr(p) == "Parameter containing:\ntensor([0., 0.], requires_grad=True)"
    assert not nn.Parameter(data, requires_grad=False).requires_grad
    assert type(p * 2) is ad.Tensor and type(p.detach()) is ad.Tensor
    with pytest.raises(RuntimeError, match="Only Tensors of floating point dtype"):
        nn.Parameter(ad.tensor([1, 2]))
    (p * 3).sum().backward()
    for q in (copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert type(q) is nn.Parameter and q.requires_grad and q.equal(p) and q.array is not p.array
    assert copy.deepcopy(p).grad.tolist() == [3, 3]


# ---- what is done to all of it -----------------------------------------------------------------


def test_modes_apply_and_gradients():
    net, seen = Net(), []
    assert net.training and net.eval() is net and not net.first.fc.training
    assert net.train().first.fc.training
    with pytest.raises(ValueError, match="training mode is expected to be boolean"):
        net.train("yes")
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "Block", "Linear", "Net"]
    net(ones(4, 3)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.head.weight.grad.fill_(float("nan"))
    kept = net.head.weight.grad
    net.zero_grad(set_to_none=False)
    assert net.head.weight.grad is kept and all((p.grad == 0).all() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    assert not net.requires_grad_(False)(ones(1, 3)).requires_grad
    assert net.requires_grad_()(ones(1, 3)).requires_grad


def test_zero_grad_of_a_gradient_that_has_a_graph():
    fc = nn.Linear(2, 1)
    (fc(ones(1, 2)) ** 3).sum().backward(create_graph=True)
    assert fc.weight.grad.requires_grad
    fc.zero_grad(set_to_none=False)
    assert not fc.weight.grad.requires_grad and fc.weight.grad.tolist() == [[0, 0]]


def test_dtypes():
    net = Net()
    net.first.register_buffer("labels", ad.tensor([1, 2]))
    net(ones(1, 3)).sum().backward()
    same = net.head.weight
    assert net.double() is net and net.head.weight is same
    for t in (*net.parameters(), net.first.count, net.head.weight.grad):
        assert t.dtype == ad.float64
    assert net.first.labels.dtype == ad.int64
    out = net(ad.ones(1, 3, dtype=ad.float64))
    out.sum().backward()
    assert out.dtype == net.head.weight.grad.dtype == ad.float64
    assert net.to("cpu").to(ad.float32).head.weight.dtype == ad.float32
    assert net.half().head.weight.dtype == ad.float16 and net.float().cpu().head.weight.dtype == ad.float32
    with pytest.raises(TypeError, match="only accepts floating point dtypes"):
        net.to(ad.int64)
    for module in (net, nn.ReLU()):
        with pytest.raises(RuntimeError, match="CPU only"):
            module.to("cuda")


# ---- hooks -------------------------------------------------------------------------------------


def test_hooks_see_and_replace():
    block, seen = Block(), []
    plain = block(ones(2, 3))
    before = block.register_forward_pre_hook(lambda m, args: seen.append(args) or (args[0] * 2,))
    single = block.register_forward_pre_hook(lambda m, args: args[0] / 2)
    after = block.register_forward_hook(lambda m, args, y: y + 1)
    np.testing.assert_allclose((block(ones(2, 3)) - plain).detach(), 1, atol=1e-6)
    assert seen[0][0].tolist() == [[1, 1, 1]] * 2
    for handle in (before, single, after):
        handle.remove()
        handle.remove()  # once is enough
    assert block(ones(2, 3)).equal(plain)


def test_hooks_with_kwargs():
    block, seen = Block(), []
    block.register_forward_pre_hook(lambda m, args, kwargs: (args, {"shift": 5.0}), with_kwargs=True)
    block.register_forward_hook(lambda m, args, kwargs, y: seen.append(kwargs), with_kwargs=True)
    block.scale.detach().zero_()
    assert (block(ones(1, 3), shift=1.0) == 5).all() and seen == [{"shift": 5.0}]
    block.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="forward pre-hook must return None or a tuple"):
        block(ones(1, 3))


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_all_hooks_are_called_in_order_though_nobody_keeps_their_handles(prepended):
    module, called, expected = nn.Identity(), [], []
    for k, first in enumerate(prepended):
        module.register_forward_hook(lambda m, args, y, k=k: called.append(k), prepend=first)
        expected.insert(0 if first else len(expected), k)
    module(1)
    assert called == expected


def test_hooks_that_are_called_though_something_went_wrong():
    block, seen = Block(), []
    block.register_forward_hook(lambda m, args, y: seen.append("never"))
    block.register_forward_hook(lambda m, args, y: seen.append(y), always_call=True)
    block.register_forward_hook(
        lambda m, args, kwargs, y: seen.append(kwargs), always_call=True, with_kwargs=True
    )
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        block(ones(1, 9), shift=2.0)
    assert seen == [None, {"shift": 2.0}]
    seen.clear()
    y = block(ones(1, 3))
    assert seen[0] == "never" and seen[1] is y and seen[2] == {}
    seen.clear()

    def broken(module, args, output):
        raise ValueError("of the hook's own")

    block.register_forward_hook(broken, prepend=True)
    with pytest.raises(ValueError, match="of the hook's own"):
        block(ones(1, 3))
    assert len(seen) == 2 and seen[0].equal(y)


def test_a_handle_as_context():
    module, calls = nn.Identity(), []
    with module.register_forward_hook(lambda *seen: calls.append(1)):
        module(1)
    module(1)
    assert calls == [1]


# ---- state -------------------------------------------------------------------------------------


def test_state_dict_is_the_modules_own_memory():
    net = Net()
    state = net.state_dict()
    assert type(state) is OrderedDict and list(state) == [
        "first.scale", "first.count", "first.fc.weight", "first.fc.bias",
        "again.scale", "again.count", "again.fc.weight", "again.fc.bias", "head.weight",
    ]  # fmt: skip
    assert not any(t.requires_grad or isinstance(t, nn.Parameter) for t in state.values())
    state["head.weight"].fill_(7)
    assert (net.head.weight == 7).all()
    assert net.state_dict(keep_vars=True)["head.weight"] is net.head.weight
    assert list(net.head.state_dict(prefix="x.")) == ["x.weight"]
    assert net.head.state_dict(destination=state, prefix="more.") is state and "more.weight" in state


def test_state_goes_round():
    a, b = Net(), Net()
    b(ones(1, 3)).sum().backward()
    old, keys = b.head.weight, b.load_state_dict(a.state_dict())
    assert repr(keys) == "<All keys matched successfully>" and keys == ([], [])
    assert b.head.weight is old and old.requires_grad and old.is_leaf and old.grad is not None
    assert a(ones(2, 3)).equal(b(ones(2, 3)))
    arrays = {name: t.numpy().astype(np.float64) for name, t in a.state_dict().items()}
    assert b.load_state_dict(arrays) == ([], []) and b.head.weight.dtype == ad.float32


def test_what_was_left_alone_is_said():
    keys = nn.Linear(1, 1).load_state_dict({"more": ones(1)}, strict=False)
    assert repr(keys) == "LoadedKeys(missing_keys=['weight', 'bias'], unexpected_keys=['more'])"


def test_a_state_that_is_taken_over():
    a, b = Net().double(), Net()
    old = b.head.weight
    b.load_state_dict(a.state_dict(), assign=True)
    assert b.head.weight is old and old.dtype == ad.float64 and old.requires_grad and old.is_leaf
    a.head.weight.detach().fill_(3)
    assert (b.head.weight == 3).all()  # one memory
    with pytest.raises(RuntimeError, match="size mismatch"):
        nn.Linear(1, 1).load_state_dict({"weight": ones(2, 2), "bias": ones(1)}, assign=True)


@given(
    missing=st.sets(st.sampled_from(sorted(Net().state_dict()))),
    misshapen=st.sets(st.sampled_from(sorted(Net().state_dict()))),
    unexpected=st.booleans(),
    strict=st.booleans(),
)
def test_a_wrong_state_lists_all_that_is_wrong_and_changes_nothing(missing, misshapen, unexpected, strict):
    net = Net()
    state = {name: t * 0 + 5 for name, t in net.state_dict().items() if name not in missing}
    misshapen -= missing
    state.update({name: ones(9) for name in misshapen}, **({"extra": ones(1)} if unexpected else {}))
    before = values(net)
    if misshapen or (strict and (missing or unexpected)):
        with pytest.raises(RuntimeError) as caught:
            net.load_state_dict(state, strict)
        text = str(caught.value)
        assert text.startswith("Error(s) in loading state_dict for Net:\n\t")
        for name in misshapen:
            assert f"size mismatch for {name}: copying a param with shape [9] from checkpoint" in text
        assert ("Missing key(s) in state_dict: " in text) == (strict and bool(missing))
        assert all((f'"{name}"' in text) == strict for name in missing)
        assert ('Unexpected key(s) in state_dict: "extra"' in text) == (strict and unexpected)
        assert all((after == before[name]).all() for name, after in values(net).items())
    else:
        keys = net.load_state_dict(state, strict)
        assert sorted(keys.missing_keys) == sorted(missing) and keys.unexpected_keys == ["extra"] * unexpected
        assert all((values(net)[name] == 5).all() for name in state if name != "extra")


@pytest.mark.parametrize("value", ["text", 3, None, np.array(["a", "b"]), np.ones(3, complex)])
def test_a_state_that_is_no_numbers(value):
    net = Net()
    before = values(net)
    state = {**{n: ones(*t.shape) for n, t in net.state_dict().items()}, "head.weight": value}
    with pytest.raises(RuntimeError, match='parameter named "head.weight", expected a Tensor or an array'):
        net.load_state_dict(state)
    assert all((after == before[name]).all() for name, after in values(net).items())
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like"):
        net.load_state_dict([1])


def test_pytorchs_state_loads_and_ours_loads_there():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    ours = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    x = np.random.default_rng(0).standard_normal((5, 3), np.float32)
    for state in (theirs.state_dict(), dict(theirs.named_parameters())):
        nn.init.zeros_(ours[0].weight)
        ours.load_state_dict(state)
        np.testing.assert_allclose(
            ours(ad.tensor(x)).detach(), theirs(torch.tensor(x)).detach(), rtol=1e-6, atol=1e-6
        )
    ours = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    theirs.load_state_dict({n: torch.from_numpy(t.numpy()) for n, t in ours.state_dict().items()})
    assert np.array_equal(theirs[2].bias.detach().numpy(), ours[2].bias.detach().numpy())


# ---- beside PyTorch ----------------------------------------------------------------------------


def block_of(lib):
    class Block(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = lib.nn.Linear(2, 2)
            self.scale = lib.nn.Parameter(lib.torch.ones(2))
            self.register_buffer("count", lib.torch.zeros(1))
            self.register_buffer("scratch", lib.torch.zeros(2), persistent=False)
            self.register_buffer("none", None)
            self.register_parameter("nothing", None)

        def forward(self, x, shift=0.0):
            return self.fc(x) * self.scale + shift

    return Block()


def holdings(m):
    """All that a module holds, under which names."""
    return {
        "parameters": [n for n, _ in m.named_parameters()],
        "buffers": [n for n, _ in m.named_buffers()],
        "modules": [n for n, _ in m.named_modules()],
        "state": list(m.state_dict()),
    }


def assigned(name, make):
    def program(lib):
        block = block_of(lib)
        setattr(block, name, make(lib))
        return holdings(block)

    return program


def registered(how, name, make):
    def program(lib):
        block = block_of(lib)
        getattr(block, how)(name, make(lib))
        return holdings(block)

    return program


VALUES = {
    "None": lambda lib: None, "number": lambda lib: 3, "tensor": lambda lib: lib.torch.ones(2),
    "parameter": lambda lib: lib.nn.Parameter(lib.torch.ones(2)),
    "module": lambda lib: lib.nn.Linear(1, 1),
}  # fmt: skip


@pytest.mark.parametrize("kind", VALUES)
def test_assigning_is_pytorchs(kind):
    for name in ("fc", "scale", "count", "scratch", "none", "nothing", "new"):
        same(assigned(name, VALUES[kind]))


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("how", ["register_parameter", "register_buffer", "add_module"])
def test_registering_is_pytorchs(how, kind):
    names = ["fc", "new"]
    if how != "add_module" or kind in ("None", "module"):  # else two things are wrong at once
        names += ["scale", "count", "scratch", "nothing", "a.b", "", "training"]
    for name in names:
        same(registered(how, name, VALUES[kind]))


@pytest.mark.parametrize("name", ["fc", "scale", "count", "scratch", "none", "nothing", "missing"])
def test_deleting_is_pytorchs(name):
    def program(lib):
        block = block_of(lib)
        delattr(block, name)
        again = holdings(block)
        setattr(block, name, None)
        if name == "scratch":
            delattr(block, name)
            block.register_buffer(name, lib.torch.ones(1))  # persistent now
        return again, holdings(block), hasattr(block, name)

    same(program)


def test_shared_and_circular_modules_are_pytorchs():
    def program(lib):
        inner = block_of(lib)
        net = lib.nn.Sequential(inner, lib.nn.ModuleList([inner, lib.nn.ModuleDict({"x": inner})]))
        net[1].up = inner
        tied = lib.nn.Linear(2, 2)
        tied.bias = inner.scale
        net.append(tied)
        names = [n for n, _ in net.named_parameters("p", remove_duplicate=False)]
        return holdings(net), names, [n for n, _ in net.named_modules(remove_duplicate=False)]

    same(program)

    def circle(lib):
        block = block_of(lib)
        block.me = block
        return [n for n, _ in block.named_modules()], [n for n, _ in block.named_parameters()]

    same(circle)


@pytest.mark.parametrize(
    "state",
    [
        {}, {"weight": (2, 2)}, {"weight": (2, 2), "bias": (2,), "x": (1,), "y.z": (1,)},
        {"weight": (3, 2), "bias": (2,)}, {"weight": (3,), "more": ()}, {"weight": (2, 2), "bias": (1,)},
    ],
)  # fmt: skip
@pytest.mark.parametrize("strict", [True, False])
def test_loading_is_pytorchs_to_the_text(state, strict):
    def program(lib):
        given = {
            name: lib.torch.ones(*shape) if shape else lib.torch.tensor(1.0) for name, shape in state.items()
        }
        keys = lib.nn.Linear(2, 2).load_state_dict(given, strict)
        return list(keys.missing_keys), list(keys.unexpected_keys)

    texts = []
    for lib in libraries():
        try:
            texts.append(str(program(lib)))
        except RuntimeError as error:
            texts.append(re.sub(r"torch\.Size\((\[.*?\])\)", r"\1", str(error)))
    assert texts[0] == texts[1]


# ---- copies and pictures -----------------------------------------------------------------------


def doubled(module, args, output):
    return output * 2


def test_deepcopy_and_pickle():
    net = Net()
    net.register_forward_hook(doubled)
    net.eval()
    x = ones(2, 3)
    for copied in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert copied.again is copied.first and not copied.training and copied(x).equal(net(x))
        assert copied.head.weight is not net.head.weight and copied.head.weight.requires_grad
        nn.init.zeros_(copied.head.weight)
        assert (net.head.weight != 0).any()
        assert "first.scratch" not in copied.state_dict()
    file = io.BytesIO()
    pickle.dump(net.state_dict(), file)
    file.seek(0)
    assert Net().load_state_dict(pickle.load(file)) == ([], [])


def test_repr_is_a_tree():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(2, 3), nn.GELU())
            self.off = None
            self.register_module("nothing", None)

        def extra_repr(self):
            return "two\nlines"

    assert repr(Pair()) == (
        "Pair(\n  two\n  lines\n  (inner): Sequential(\n"
        "    (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "    (1): GELU(approximate='none')\n  )\n  (nothing): None\n)"
    )
    assert repr(nn.Module()) == "Module()"
    assert repr(nn.Dropout(0.25)) == "Dropout(p=0.25, inplace=False)"


def test_repr_is_pytorchs():
    torch = pytest.importorskip("torch")

    def build(lib):
        return lib.Sequential(
            OrderedDict(
                fc=lib.Linear(3, 4, bias=False), act=lib.ReLU(), drop=lib.Dropout(0.1), flat=lib.Flatten(),
                more=lib.ModuleList([lib.Tanh(), lib.Tanh(), lib.Sequential(lib.Sigmoid()), lib.Identity()]),
                named=lib.ModuleDict({"soft": lib.Softmax(dim=1), "log": lib.LogSoftmax(dim=-1)}),
                loss=lib.CrossEntropyLoss(), gelu=lib.GELU("tanh"), inplace=lib.ReLU(inplace=True),
                empty=lib.ModuleList(), nested=lib.ModuleList([lib.Sequential(lib.ReLU())] * 2),
            )
        )  # fmt: skip

    assert repr(build(nn)) == repr(build(torch.nn))


def test_a_call_without_hooks_costs_nearly_nothing():
    """One Python call more than forward itself, and no loop."""
    import dis

    code = nn.Module.__call__.__code__
    assert not any(i.opname.startswith(("FOR_ITER", "GET_ITER")) for i in dis.get_instructions(code))


def test_all_in_another_dtype():
    def program(lib):
        class Mine(lib.nn.Linear):
            def _get_name(self):
                return "Renamed"

        net = lib.nn.Sequential(Mine(2, 1), lib.nn.BatchNorm1d(1))
        with lib.torch.no_grad():
            for p in net.parameters():
                p.fill_(0.5)
        net(lib.torch.tensor([[1.0, 2.0], [3.0, 5.0]])).sum().backward()
        assert net.type("torch.DoubleTensor") is net
        state = dict(net.state_dict())
        halves = net[1].type(lib.torch.float16).num_batches_tracked
        return (
            state,
            net[0].weight.grad,
            halves,
            repr(net).startswith("Sequential(\n  (0): Renamed(in_features"),
        )

    same(program, atol=1e-5)
