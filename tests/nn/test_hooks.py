"""Backward hooks of modules: what they see and change, and beside PyTorch."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from beside_torch import same

import autodiff as ad
import nn

pytestmark = pytest.mark.filterwarnings(
    "ignore:Full backward hook is firing"
)  # PyTorch's, of what is meant here


def two_by_two(lib, with_list=False):
    """A module of two inputs and two outputs, one each for the other."""

    class Pair(lib.nn.Module):
        def forward(self, a, b, word=None, more=None):
            y, z = a * 2 + (0 if more is None else more), b * 3
            return [y, z] if with_list else (y, z)

    return Pair()


def inputs(lib, wanted=(True, True)):
    return [lib.torch.tensor([1.0, 2.0], requires_grad=w) for w in wanted]


def test_hooks_see_and_change_gradients():
    seen = []
    net = nn.Sequential(nn.Tanh(), nn.Identity())
    net[0].register_full_backward_hook(lambda m, gi, go: seen.append((gi[0].tolist(), go[0].tolist())))
    net[1].register_full_backward_pre_hook(lambda m, go: (go[0] * 10,))
    net[1].register_full_backward_hook(lambda m, gi, go: (gi[0] + 1,))
    x = ad.zeros(2, requires_grad=True)
    net(x).backward(ad.tensor([1.0, 2.0]))
    assert seen == [([11, 21], [11, 21])] and x.grad.tolist() == [11, 21]  # tanh' is 1 there


def test_hooks_of_the_first_layer_are_called_too():
    seen, layer = [], nn.Linear(2, 1)
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].tolist())))
    layer(ad.ones(1, 2)).sum().backward()
    assert seen == [((None,), [[1]])] and layer.weight.grad.tolist() == [[1, 1]]
    layer.register_full_backward_hook(lambda m, gi, go: (ad.ones(1, 2),))
    with pytest.raises(RuntimeError, match="where no input requires gradient should always return None"):
        layer(ad.ones(1, 2)).sum().backward()
    layer = nn.Linear(2, 1)
    layer.register_full_backward_pre_hook(lambda m, go: (*go, None))
    with pytest.raises(
        RuntimeError, match="Backward pre hook returned an invalid number of grad_output, got 2"
    ):
        layer(ad.ones(1, 2)).sum().backward()


def test_what_hooks_see_is_pytorchs():
    def program(lib):
        seen = []
        module = two_by_two(lib)
        module.register_full_backward_hook(lambda m, gi, go: seen.append(["hook", m is module, gi, go]))
        module.register_full_backward_pre_hook(lambda m, go: seen.append(["pre", m is module, go]))
        a, b = inputs(lib)
        y, z = module(a, b)
        y.sum().backward(retain_graph=True)
        z.sum().backward()  # a second walk: once more
        seen.append([a.grad, b.grad])
        y, z = module(a, lib.torch.ones(2), "word", more=b)  # what is given by name is not looked at
        (y + z).sum().backward()
        y, z = module(a, lib.torch.tensor([1, 2]))
        (y + z).sum().backward()
        y, z = module(*inputs(lib, (False, False)), more=b)  # nothing given wants a gradient
        y.sum().backward()
        with lib.torch.no_grad():
            module(a, b)
        return seen

    same(program)


def test_what_hooks_give_is_pytorchs():
    def program(lib):
        found = []
        for hook in [
            lambda m, gi, go: (gi[0] * 10, None), lambda m, gi, go: (gi[0] * 10, go[1]), lambda m, gi, go: (None, None),
            lambda m, gi, go: None,
        ]:  # fmt: skip
            module, (a, b) = two_by_two(lib), inputs(lib)
            module.register_full_backward_hook(hook)
            module.register_full_backward_hook(lambda m, gi, go: found.append(gi))  # sees what the first gave
            y, z = module(a, b)
            (y * z).sum().backward()
            found.append([a.grad, b.grad])
        module, (a, b) = two_by_two(lib), inputs(lib)
        module.register_full_backward_pre_hook(lambda m, go: (go[0] * 10, go[1]))
        module.register_full_backward_hook(lambda m, gi, go: found.append(go))
        y, z = module(a, b)
        (y * z).sum().backward()
        found.append([a.grad, b.grad])
        linear = lib.nn.Linear(2, 1, bias=False)
        linear.register_full_backward_pre_hook(lambda m, go: (go[0] * 10,))
        linear(lib.torch.ones(3, 2)).sum().backward()
        return [*found, linear.weight.grad]

    same(program)


def test_order_and_removal_are_pytorchs():
    def program(lib):
        called, module, x = [], lib.nn.Tanh(), lib.torch.ones(1, requires_grad=True)
        handles = []
        for k in range(4):
            first = k % 2 == 1
            handles.append(
                module.register_full_backward_hook(lambda *seen, k=k: called.append(k), prepend=first)
            )
            handles.append(
                module.register_full_backward_pre_hook(lambda *seen, k=k: called.append(-k), prepend=first)
            )
        module(x).backward()
        for handle in handles[::3]:
            handle.remove()
        module(x).backward()
        with module.register_full_backward_hook(lambda *seen: called.append(9)):
            module(x).backward()
        module(x).backward()
        return called

    same(program)


def test_with_forward_hooks_and_a_chain_of_modules():
    def program(lib):
        seen = []
        net = lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.Tanh(), lib.nn.Linear(3, 1)).to(lib.torch.float64)
        for k, p in enumerate(net.parameters()):
            p.detach().copy_(lib.tensor(np.random.default_rng(k).standard_normal(tuple(p.shape))))
        for name, module in net.named_modules():
            module.register_full_backward_hook(lambda m, gi, go, name=name: seen.append([name, gi, go]))
        net[1].register_forward_pre_hook(lambda m, args: (args[0] * 2,))
        net[1].register_forward_hook(lambda m, args, y: y * 3)
        x = lib.torch.ones(4, 2, dtype=lib.torch.float64, requires_grad=True)
        net(x).sum().backward()
        return [*seen, x.grad, [p.grad for p in net.parameters()]]

    same(program)


def test_second_derivatives_go_through():
    def program(lib):
        seen, module = [], lib.nn.Tanh()
        module.register_full_backward_hook(lambda m, gi, go: seen.append([g.detach() for g in (*gi, *go)]))
        x = lib.torch.tensor([0.5], requires_grad=True)
        (g,) = lib.torch.autograd.grad(module(x), x, create_graph=True)
        g.backward()
        return [*seen, g.detach(), x.grad]

    same(program)


def test_errors_are_pytorchs():
    def program(hook, pre=False, wanted=(True, True)):
        def run(lib):
            module = two_by_two(lib)
            register = module.register_full_backward_pre_hook if pre else module.register_full_backward_hook
            register(hook)
            y, z = module(*inputs(lib, wanted), more=lib.torch.ones(2, requires_grad=True))
            (y + z).sum().backward()

        return run

    wrong = [
        program(lambda m, gi, go: (gi[0],)), program(lambda m, go: (*go, None), pre=True),
        program(lambda m, gi, go: (gi[0][:1].repeat(3), None)),
        program(lambda m, gi, go: (go[0], None), wanted=(False, False)),
    ]  # fmt: skip
    for k, run in enumerate(wrong):
        assert isinstance(same(run), RuntimeError), k


def test_what_is_no_tensor_is_not_watched():
    module = two_by_two(type("Ours", (), {"nn": nn, "torch": ad}), with_list=True)
    module.register_full_backward_hook(lambda m, gi, go: pytest.fail("it cannot be called"))
    with pytest.warns(UserWarning, match="module output should be a Tensor or a tuple of Tensors"):
        y, _ = module(*inputs(type("Ours", (), {"torch": ad})))
    y.sum().backward()


def test_a_tensor_stands_for_the_only_gradient():
    module, x = nn.Tanh(), ad.ones(3, requires_grad=True)
    module.register_full_backward_hook(lambda m, gi, go: gi[0] * 0 + 7)
    module(x).sum().backward()
    assert x.grad.tolist() == [7, 7, 7]


def test_a_copy_has_hooks_of_its_own():
    seen, module = [], nn.Tanh()
    module.register_full_backward_hook(lambda *each: seen.append(1))
    other = copy.deepcopy(module)
    other.register_full_backward_hook(lambda *each: seen.append(2))
    x = ad.ones(1, requires_grad=True)
    module(x).backward()
    assert seen == [1]
    other(x).backward()
    assert seen == [1, 1, 2]


def test_forward_mode_passes_the_gates():
    module = nn.Tanh()
    module.register_full_backward_hook(lambda m, gi, go: pytest.fail("nothing goes back"))
    y, t = ad.jvp(module, (ad.tensor([0.5]),), (ad.tensor([1.0]),))
    np.testing.assert_allclose(t.numpy(), 1 - y.numpy() ** 2, rtol=1e-6)


def test_a_network_with_hooks_costs_no_memory_cycle():
    import gc
    import weakref

    module, x = nn.Linear(2, 2), ad.ones(1, 2, requires_grad=True)
    module.register_full_backward_hook(lambda *each: None)
    gc.disable()
    try:
        y = module(x)
        gone = weakref.ref(y)
        del y
        assert gone() is None
    finally:
        gc.enable()
