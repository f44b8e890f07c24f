"""The layers: what they compute, where their weights start, what they say for themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from beside_torch import same, with_gradients
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
import nn
from nn import functional as F


def drawn(*shape, seed=0, dtype=np.float32):
    return ad.Tensor.wrap(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


@given(
    batch=st.sampled_from([(), (3,), (2, 3)]), n=st.integers(1, 4), m=st.integers(1, 4), bias=st.booleans()
)
def test_linear(batch, n, m, bias):
    layer, x = nn.Linear(n, m, bias=bias, dtype=ad.float64), drawn(*batch, n, dtype=np.float64)
    assert layer.weight.shape == (m, n) and (layer.bias is None) is not bias
    expected = x.numpy() @ layer.weight.detach().numpy().T
    expected = expected + layer.bias.detach().numpy() if bias else expected
    y = layer(x)
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-12, atol=1e-12)
    y.sum().backward()
    np.testing.assert_allclose(
        layer.weight.grad.numpy(), np.ones((m, 1)) * x.numpy().reshape(-1, n).sum(0), atol=1e-12
    )


def test_linear_starts_as_in_pytorch():
    ad.manual_seed(0)
    layer = nn.Linear(400, 300)
    for p in (layer.weight, layer.bias):
        bound = 1 / math.sqrt(400)
        a = p.detach().numpy()
        assert a.dtype == np.float32 and abs(a).max() <= bound and abs(a).max() > 0.95 * bound
        assert a.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)
    kept = layer.weight.detach().clone()
    layer.reset_parameters()
    assert not kept.equal(layer.weight)
    ad.manual_seed(0)
    assert nn.Linear(400, 300).weight.equal(kept)
    assert nn.Linear(0, 3)(ad.ones(2, 0)).tolist() == [[0, 0, 0]] * 2


def test_linear_says_what_shape_it_needs():
    with pytest.raises(RuntimeError, match=r"mat1 and mat2 shapes cannot be multiplied \(64x28 and 784x10\)"):
        nn.Linear(784, 10)(ad.ones(64, 28))
    with pytest.raises(RuntimeError, match="CPU only"):
        nn.Linear(1, 1, device="cuda")


@pytest.mark.parametrize(
    "layer, function",
    [
        (nn.ReLU(), F.relu), (nn.Tanh(), F.tanh), (nn.Sigmoid(), F.sigmoid), (nn.GELU(), F.gelu),
        (nn.GELU("tanh"), lambda x: F.gelu(x, "tanh")), (nn.Softmax(1), lambda x: F.softmax(x, 1)),
        (nn.LogSoftmax(dim=0), lambda x: F.log_softmax(x, 0)), (nn.Identity(3, some="thing"), lambda x: x),
        (nn.Flatten(), lambda x: x.flatten(1)), (nn.Flatten(0), lambda x: x.reshape(-1)),
        (nn.MaxPool2d(2), lambda x: F.max_pool2d(x, 2)),
        (nn.MaxPool2d(2, stride=1), lambda x: F.max_pool2d(x, 2, 1)),
        (nn.LayerNorm((4, 4)), lambda x: F.layer_norm(x, (4, 4))),
    ],
)  # fmt: skip
def test_layers_without_choice(layer, function):
    x = drawn(2, 3, 4, 4)
    assert layer(x).equal(function(x)) and nn.Sequential(layer)(x).shape == function(x).shape


def test_relu_in_place():
    x = drawn(5)
    assert nn.ReLU(inplace=True)(x) is x and (x >= 0).all() and (drawn(5) < 0).any()
    w = nn.Parameter(drawn(5))
    y = nn.ReLU(inplace=True)(w * 1)
    y.sum().backward()
    assert w.grad.equal((w > 0).float())


def test_softmax_needs_its_dim():
    with pytest.raises(TypeError, match="'dim'"):
        nn.Softmax()(ad.ones(2, 3))


def test_dropout_follows_the_mode():
    ad.manual_seed(0)
    layer, x = nn.Dropout(0.5), ad.ones(1000)
    assert 0 < float((layer(x) == 0).sum()) < 1000
    assert layer.eval()(x) is x
    with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1, but got 2"):
        nn.Dropout(2)


def test_layer_norm():
    layer, x = nn.LayerNorm(4), drawn(3, 4)
    y = layer(x).detach().numpy()
    np.testing.assert_allclose(y.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose(y.std(1), 1, atol=1e-3)
    assert [n for n, _ in layer.named_parameters()] == ["weight", "bias"]
    assert [n for n, _ in nn.LayerNorm(4, bias=False).named_parameters()] == ["weight"]
    assert not list(nn.LayerNorm(4, elementwise_affine=False).parameters())
    assert repr(layer) == "LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=True)"


@pytest.mark.parametrize(
    "options",
    [{}, {"padding": 1, "stride": 2}, {"padding": "same", "dilation": (2, 1)}, {"padding": "valid"},
     {"groups": 2, "bias": False}],
)  # fmt: skip
def test_convolution_beside_pytorch(options):
    torch = pytest.importorskip("torch")
    ours, theirs = nn.Conv2d(2, 4, (3, 5), **options), torch.nn.Conv2d(2, 4, (3, 5), **options)
    ours.load_state_dict(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    x = drawn(3, 2, 7, 6)
    y, z = ours(x), theirs(torch.from_numpy(x.numpy()))
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-4, atol=1e-5)
    y.square().sum().backward()
    z.square().sum().backward()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-3, atol=1e-3)
    bound = 1 / math.sqrt(math.prod(ours.weight.shape[1:]))
    ours.reset_parameters()
    assert all(abs(p.detach().numpy()).max() <= bound for p in ours.parameters())


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize(
    "options",
    [
        {"padding": 1},
        {"padding": (2, 1), "stride": 2},
        {"padding": "same", "dilation": (1, 2)},
        {"padding": "valid"},
    ],
)
def test_borders_of_convolutions_beside_pytorch(mode, options):
    x, w, b = drawn(2, 2, 7, 6).numpy(), drawn(4, 2, 3, 2).numpy(), drawn(4).numpy()

    def program(lib):
        layer = lib.nn.Conv2d(2, 4, (3, 2), padding_mode=mode, **options)

        def function(x, w, b):
            layer.load_state_dict({"weight": w.detach(), "bias": b.detach()})
            return layer(x)

        return [repr(layer), *with_gradients(function, lib, x, w, b)[:2]]

    same(program, 1e-4, 1e-5)


def test_convolution_refuses():
    with pytest.raises(ValueError, match="padding_mode must be one of"):
        nn.Conv2d(2, 3, 1, padding_mode="mirror")
    with pytest.raises(ValueError, match="out_channels must be divisible by groups"):
        nn.Conv2d(2, 3, 1, groups=2)
    with pytest.raises(ValueError, match="groups must be a positive integer"):
        nn.Conv2d(2, 3, 1, groups=0)
    assert (
        repr(nn.MaxPool2d(2)) == "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"
    )


def test_places_of_the_largest():
    same(lambda lib: lib.nn.MaxPool2d(2, return_indices=True)(lib.tensor(drawn(1, 2, 5, 4).numpy())))


# ---- beside PyTorch ----------------------------------------------------------------------------

SHAPES = [(), (0,), (3,), (2, 3), (2, 0, 3), (2, 3, 4), (2, 3, 2, 4)]
FAR = np.array([0.0, -0.0, 1e30, -1e30, np.inf, -np.inf, 88, -88, 104, -104, 700, -700, 1e-30, 20, 21])
ACTIVATIONS = {
    "ReLU": {}, "Tanh": {}, "Sigmoid": {}, "GELU": {}, "GELU tanh": {"approximate": "tanh"},
    "Softmax": {"dim": -1}, "LogSoftmax": {"dim": -1}, "Softmax first": {"dim": 0}, "LogSoftmax first": {"dim": 0},
    "Identity": {}, "Flatten": {"start_dim": -2}, "Flatten all": {"start_dim": 0}, "Flatten some": {"end_dim": 2},
    "Dropout": {"p": 0.0}, "Dropout all": {"p": 1.0}, "LayerNorm": {"normalized_shape": 3},
    "LayerNorm bare": {"normalized_shape": (3,), "elementwise_affine": False},
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_gradients_and_errors_are_pytorchs(name, dtype):
    kind, options = name.split()[0], ACTIVATIONS[name]
    for shape in SHAPES:
        x = np.asarray(3 * np.random.default_rng(1).standard_normal(shape), dtype)

        def program(lib, x=x):
            layer = getattr(lib.nn, kind)(**options).to(getattr(lib.torch, dtype))
            return with_gradients(layer, lib, x)

        same(program)


@pytest.mark.parametrize("name", ["ReLU", "Tanh", "Sigmoid", "GELU", "GELU tanh"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_out_they_are_pytorchs_too(name, dtype):
    for number in FAR.astype(dtype):  # alone: of many, PyTorch's GELU of inf is NaN on some processors
        x = np.array([number])
        same(lambda lib, x=x: with_gradients(getattr(lib.nn, name.split()[0])(**ACTIVATIONS[name]), lib, x))


@given(
    batch=st.sampled_from([(), (3,), (2, 3), (0,)]), n=st.integers(0, 4), m=st.integers(0, 4),
    bias=st.sampled_from([None, "(m)", "(1)", "(batch, m)"]), dtype=st.sampled_from(["float32", "float64"]),
)  # fmt: skip
def test_linear_is_pytorchs(batch, n, m, bias, dtype):
    rng = np.random.default_rng(0)
    shapes = {"(m)": (m,), "(1)": (1,), "(batch, m)": (*batch, m)}
    arrays = [rng.standard_normal((*batch, n)), rng.standard_normal((m, n))]
    arrays += [rng.standard_normal(shapes[bias])] if bias else []
    arrays = [a.astype(dtype) for a in arrays]
    same(lambda lib: with_gradients(lib.F.linear, lib, *arrays), 1e-5, 1e-5)


def test_reprs_and_names_are_pytorchs():
    def program(lib):
        layers = [
            lib.nn.Linear(3, 4), lib.nn.Linear(3, 4, bias=False), lib.nn.Flatten(0, 2), lib.nn.Identity(1, x=2),
            lib.nn.ReLU(), lib.nn.ReLU(True), lib.nn.Tanh(), lib.nn.Sigmoid(), lib.nn.GELU(), lib.nn.GELU("tanh"),
            lib.nn.Softmax(), lib.nn.Softmax(1), lib.nn.LogSoftmax(-1), lib.nn.Dropout(), lib.nn.Dropout(0.25, True),
            lib.nn.MSELoss(), lib.nn.L1Loss(reduction="sum"), lib.nn.CrossEntropyLoss(lib.torch.ones(2)),
            lib.nn.NLLLoss(), lib.nn.BCELoss(), lib.nn.BCEWithLogitsLoss(pos_weight=lib.torch.ones(2)),
            lib.nn.LayerNorm((2, 3)), lib.nn.LayerNorm(3, bias=False), lib.nn.LayerNorm(3, elementwise_affine=False),
            lib.nn.MaxPool2d(2, padding=1, ceil_mode=True), lib.nn.Conv2d(2, 4, 3, 2, 1, 2, 2, False),
            lib.nn.Parameter(lib.torch.ones(2)),
        ]  # fmt: skip
        modules = layers[:-1]
        return (
            [repr(m) for m in layers],
            [list(m.state_dict()) for m in modules],
            [list(vars(m)["_buffers"]) for m in modules],
        )

    same(program)


def test_norms_factors_must_fit():
    same(lambda lib: lib.F.layer_norm(lib.torch.ones(3, 4), (4,), lib.torch.ones(3)))
    with pytest.raises(
        RuntimeError,
        match=r"Expected bias to be of same shape as normalized_shape, but got bias of shape \[1\]",
    ):
        F.layer_norm(ad.ones(3, 4), (4,), bias=ad.ones(1))


# ---- what is no tensor -------------------------------------------------------------------------------------

LAYERS = [
    nn.Linear(3, 2), nn.Conv2d(1, 2, 3), nn.BatchNorm1d(3), nn.LayerNorm(3), nn.LSTM(3, 4), nn.GRUCell(3, 4), nn.Dropout(),
    nn.MaxPool2d(2), nn.Flatten(), nn.ReLU(), nn.Softmax(1), nn.Sigmoid(), nn.Sequential(nn.Flatten(), nn.Linear(3, 2)),
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize("wrong", [None, (ad.zeros(2, 3),)])
def test_a_layer_says_that_it_was_given_no_tensor(layer, wrong):
    text = rf"\(\): argument 'input' \(position 1\) must be Tensor, not {type(wrong).__name__}"
    with pytest.raises(TypeError, match=text):
        layer(wrong)


def test_what_a_recurrent_layer_gives_is_no_tensor():
    network = nn.Sequential(nn.LSTM(3, 4), nn.Linear(4, 2))
    with pytest.raises(
        TypeError, match=r"linear\(\): argument 'input' .* must be Tensor, not tuple.*one of its elements"
    ):
        network(ad.ones(2, 1, 3))


def test_an_error_in_the_users_own_forward_is_the_users():
    class Mine(nn.Module):
        def forward(self, x):
            return x.nothing_like_it

    for network in (Mine(), nn.Sequential(Mine())):
        with pytest.raises(AttributeError, match="'tuple' object has no attribute 'nothing_like_it'"):
            network((ad.ones(2),))


def test_arrays_may_go_where_they_went():
    for found in (
        ad.tanh(np.ones(2)),
        ad.sum(np.ones(2)),
        ad.cat([np.ones(1), np.ones(1)]),
        nn.Tanh()(np.ones(2)),
    ):
        assert isinstance(found, (np.ndarray, np.generic))
    assert nn.Linear(2, 1)(np.ones((1, 2), np.float32)).shape == (1, 1)


@pytest.mark.parametrize(
    "x, weight, bias, shape",
    [((2, 3), (3,), None, (2,)), ((2, 3), (3,), (), (2,)), ((3,), (3,), (), ()), ((5, 2, 3), (4, 3), (2, 4), (5, 2, 4))],
)  # fmt: skip
def test_linear_takes_one_output_without_its_dimension(x, weight, bias, shape):
    rng = np.random.default_rng(0)
    x, weight, bias = (
        None if s is None else ad.tensor(rng.standard_normal(s), requires_grad=True)
        for s in (x, weight, bias)
    )
    y = F.linear(x, weight, bias)
    expected = x.detach().numpy() @ weight.detach().numpy().T + (0 if bias is None else bias.detach().numpy())
    assert y.shape == shape
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-12)
    y.sum().backward()
    assert weight.grad.shape == weight.shape and (bias is None or bias.grad.sum().item() == y.numel())


@pytest.mark.parametrize("bias", [(1, 2, 4), (3, 4), (5,)])
def test_a_bias_does_not_enlarge_the_result(bias):
    with pytest.raises(RuntimeError, match="expand"):
        F.linear(ad.ones(1, 3), ad.ones(4, 3), ad.ones(*bias))


@pytest.mark.parametrize(
    "layer",
    [nn.ReflectionPad2d(1), nn.ReflectionPad1d(1), nn.Conv1d(3, 3, 3, padding=1, padding_mode="reflect")],
)
def test_an_empty_batch_is_reflected(layer):
    dims = (4, 5) if isinstance(layer, nn.ReflectionPad2d) else (4,)
    grown = tuple(d + 2 * (not isinstance(layer, nn.Conv1d)) for d in dims)
    assert layer(ad.ones(0, 3, *dims)).shape == (0, 3, *grown)
