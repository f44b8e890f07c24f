"""What programs for beginners call: every name is there, Tensors print as asked, draws follow their distributions."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest
from beside_torch import libraries, same

import autodiff as ad
import nn
from nn import functional as F

# The names that PyTorch's own first tutorials use: tensors, autograd, nn from scratch, optimisation, saving.
FUNCTIONS = """BoolTensor ByteTensor DoubleTensor FloatTensor IntTensor LongTensor Size Tensor abs add addmm allclose amax amin
arange argmax argmin as_tensor asarray atleast_1d bernoulli bmm bool broadcast_tensors cat chunk clamp clone cos cumsum device diag
dot double dstack einsum empty empty_like enable_grad eq equal exp eye flatten flip float float16 float32 float64 from_numpy full
full_like gather get_default_dtype half hstack index_select inference_mode initial_seed int int16 int32 int64 int8 is_floating_point
is_grad_enabled is_nonzero is_tensor isclose isfinite isin isinf isnan lerp linspace log logspace logsumexp long manual_seed
masked_select matmul max maximum mean median meshgrid min mm movedim mul multinomial mv nan_to_num narrow no_grad nonzero norm normal
numel ones ones_like outer permute pow prod rand rand_like randint randint_like randn randn_like randperm relu reshape result_type
roll round seed set_default_dtype set_grad_enabled set_num_threads set_printoptions short sigmoid sign sin softmax sort split sqrt
square squeeze stack std sub sum swapaxes t take tanh tensor tensor_split tensordot tile topk transpose tril triu trunc typename
uint8 unbind unique unsqueeze var var_mean vstack where zeros zeros_like"""
METHODS = """T abs add add_ addcdiv_ addcmul_ addmm all any argmax backward bernoulli_ bool byte chunk clamp clamp_ clone
contiguous copy_ cpu cuda cumsum data detach detach_ device dim dot double dtype element_size eq expand expand_as exp exp_ fill_
flatten float gather grad grad_fn half index_add_ int is_cuda is_leaf item itemsize lerp_ log long masked_fill_ matmul max mean median
min mm mul mul_ multinomial nbytes ndim ndimension nelement new_full new_ones new_tensor new_zeros norm normal_ numel numpy permute pow
prod random_ ravel register_hook repeat requires_grad requires_grad_ reshape retain_grad round scatter_ scatter_add_ shape short
sigmoid size softmax sort split sqrt squeeze squeeze_ std stride sub sub_ sum t t_ to tolist topk transpose type type_as unbind
uniform_ unique unsqueeze unsqueeze_ var view view_as where zero_"""


@pytest.mark.parametrize("what", ["functions", "methods"])
def test_every_name_is_there(what):
    names = (FUNCTIONS if what == "functions" else METHODS).split()
    for library in libraries():
        place = library.torch if what == "functions" else library.torch.ones(2)
        assert not [name for name in names if not hasattr(place, name)]


@pytest.mark.parametrize(
    "options",
    [
        {"precision": 2}, {"precision": 8}, {"sci_mode": True}, {"sci_mode": False}, {"sci_mode": True, "precision": 1},
        {"threshold": 5, "edgeitems": 1}, {"edgeitems": 2, "threshold": 10}, {"linewidth": 40}, {"linewidth": 120},
        {"profile": "short"}, {"profile": "full"}, {"profile": "default"},
    ],
)  # fmt: skip
def test_tensors_print_as_asked(options):
    shown = [
        np.array([1.23456, 2.0, -30.5]), np.arange(60), np.arange(60.0).reshape(12, 5), np.array([1.5, 2e-6]),
        np.array([True, False]), np.linspace(0, 1, 30).reshape(10, 3),
    ]  # fmt: skip

    def program(lib):
        lib.torch.set_printoptions(**options)
        try:
            return [
                repr(lib.tensor(x).to(lib.torch.float32) if x.dtype.kind == "f" else lib.tensor(x))
                for x in shown
            ]
        finally:
            lib.torch.set_printoptions(profile="default")

    same(program)


@pytest.mark.parametrize(
    "values",
    [
        [[0, -np.inf, -np.inf], [1, 2, 3]], [np.nan, 1], [np.inf, 2, 100], [np.nan, np.inf], [1.5, np.nan, -np.inf], [-0.0, 1],
        np.arange(2000.0).reshape(100, 20), np.linspace(0, 1, 1500).reshape(3, 500), np.ones(1001) / 2, np.zeros((2, 0)),
        [1e6, 2e6], [1e5, 3], [1e10, 1], [1e-5, 1], 1e9, 0.1, np.ones((3, 20)), np.arange(16.0).reshape(2, 2, 2, 2) / 7,
        np.linspace(0.1, 0.8, 8),
    ],
)  # fmt: skip
def test_tensors_print_as_pytorchs(values):
    def program(lib):
        x = lib.torch.tensor(np.asarray(values, np.float64), dtype=lib.torch.float32)
        double = repr(lib.torch.ones(2, dtype=lib.torch.float64) * x.sum()).replace("torch.", "")
        return [str(x), repr(x.requires_grad_()), double]

    same(program)


def test_numbers_in_texts():
    def program(lib):
        x = lib.torch.tensor(2.5, requires_grad=True)
        return [f"{x}", f"{x:.3f}", "{}".format(x * 2), f"{lib.torch.tensor(3)}", f"{lib.torch.ones(2)}"]  # noqa: UP032

    same(program)


SIZES = """s[1:]; s[::2]; s[:-1] + (5,); (5,) + s; s + s; s * 2; 2 * s; s[0]; s[1:].numel(); m.Size([3])
m.broadcast_shapes((2, 1), (3,)); m.broadcast_shapes(); m.zeros(s[1:] + (1,)); x.view(s[:1] + (-1,)); m.Tensor(s[1:]).shape
s + [5]; [5] + s; s + 1; s * 1.5; s == (2, 3, 4); hash(s) == hash((2, 3, 4)); s + m.ones(3)"""


@pytest.mark.parametrize("expression", [each.strip() for each in SIZES.replace("\n", ";").split(";")])
def test_what_is_made_of_sizes(expression):
    def program(lib):
        x = lib.torch.zeros(2, 3, 4)
        found = eval(expression, {"m": lib.torch, "x": x, "s": x.shape})
        return [type(found).__name__, found]

    same(program)


def test_no_such_profile():
    with pytest.raises(ValueError, match="profile must be one of default, short, full"):
        ad.set_printoptions(profile="long")


def test_draws_follow_their_distributions():
    ad.manual_seed(0)
    n = 40_000
    p = ad.tensor([1.0, 0.0, 3.0])
    found = ad.multinomial(p, n, replacement=True).bincount(minlength=3).double() / n
    np.testing.assert_allclose(found.numpy(), [0.25, 0, 0.75], atol=0.02)
    first = ad.multinomial(p.expand(n, 3), 2)
    assert (first != 1).all() and abs((first[:, 0] == 2).double().mean().item() - 0.75) < 0.02
    assert sorted(ad.multinomial(p, 3).tolist()) == [0, 1, 2]
    x = ad.zeros(n).exponential_(2.0)
    assert abs(x.mean().item() - 0.5) < 0.02 and x.min() >= 0
    x = ad.zeros(n, dtype=ad.int64).random_(2, 5)
    assert set(x.tolist()) == {2, 3, 4} and set(ad.zeros(n).bool().random_().tolist()) == {True, False}
    assert set(ad.zeros(n).random_(3).tolist()) == {0, 1, 2}
    assert ad.randint_like(ad.ones(n), 2).double().mean().item() == pytest.approx(0.5, abs=0.02)
    assert ad.bernoulli(ad.zeros(n), 0.25).mean().item() == pytest.approx(0.25, abs=0.02)
    assert ad.full((n,), 0.25).bernoulli().mean().item() == pytest.approx(0.25, abs=0.02)
    assert ad.full((2,), 0.5).multinomial(1).shape == (1,)


def test_shapes_change_in_place_only_where_nobody_has_to_follow():
    x = ad.arange(6.0).reshape(2, 3).clone()
    assert x.t_() is x and x.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert (
        x.unsqueeze_(0).shape == (1, 3, 2)
        and x.squeeze_().shape == (3, 2)
        and x.transpose_(0, 1).shape == (2, 3)
    )
    view = x[0]
    with pytest.raises(RuntimeError, match="one with views"):
        x.unsqueeze_(0)
    with pytest.raises(RuntimeError, match="one with views"):
        view.unsqueeze_(0)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        ad.ones(2, requires_grad=True).unsqueeze_(0)


def test_tensors_of_one_dtype():
    assert isinstance(ad.ones(2), ad.FloatTensor) and not isinstance(ad.ones(2), ad.LongTensor)
    assert not isinstance(3.0, ad.FloatTensor)
    with pytest.raises(TypeError, match="FloatTensor takes the elements"):
        ad.FloatTensor([1.0], [2.0])
    with pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
        ad.ones(2).cuda()


KEYWORDS = """m.randn(size=(2,)).shape; m.rand(size=(2, 3)).shape; m.split(tensor=x, split_size_or_sections=2); m.split(x, [1, 4])
x.split(split_size=2); x.tensor_split(indices=(1, 2)); x.tensor_split(sections=2, dim=0)
m.clamp_min(x, min=2); x.clamp_max(max=2.5); x.clamp_min_(min=x + 1); m.max(x, other=4 - x); x.min(other=x * 0 + 2)
x.mul_(other=2); x.floor_divide_(other=2); x.remainder_(other=x + 1); m.isclose(x, x + 0.1, 0.5); x.isclose(x + 0.1, 0, 1)
x[None].swapaxes(axis0=0, axis1=1); m.swapaxes(x[None], axis0=0, axis1=1); x.kthvalue(k=2, axis=0, keepdims=True)
x.new_zeros(size=(2,)); x.new_ones(size=(2, 1)); m.ravel(input=x); m.detach(input=x); m.linspace(x.min(), x.max(), 3)
m.logspace(x[0], end=x[1], steps=3); m.ones(2, requires_grad=True).numpy(force=True); x.numpy(force=False); m.device(type="cpu").type; m.device(type="cpu", index=None).type"""


@pytest.mark.parametrize("expression", [each.strip() for each in KEYWORDS.replace("\n", ";").split(";")])
def test_keywords_are_pytorchs(expression):
    same(lambda lib: eval(expression, {"m": lib.torch, "x": lib.torch.arange(5.0)}))


def test_recording_may_be_set_by_keyword():
    with ad.set_grad_enabled(mode=False):
        assert not ad.is_grad_enabled()
    assert ad.is_grad_enabled()
    ad.set_grad_enabled(mode=False)
    assert not ad.is_grad_enabled()
    ad.set_grad_enabled(mode=True)
    assert ad.is_grad_enabled()


@pytest.mark.parametrize(
    "call, phrase",
    [
        (lambda: ad.flatten([[1]]), r"flatten\(\): argument 'input' \(position 1\) must be Tensor, not list.*tensor\(\)"),
        (lambda: ad.zeros_like(3), r"zeros_like\(\): argument 'input' \(position 1\) must be Tensor, not int"),
        (lambda: ad.max(3), r"max\(\): argument 'input' .* must be Tensor, not int"),
        (lambda: ad.bmm(ad.ones(1, 2, 2), mat2=3.0), r"bmm\(\): argument 'mat2' .* must be Tensor, not float"),
        (lambda: ad.atleast_1d([1.0]), r"atleast_1d\(\): expected Tensor as element 0 in argument 0, but got float"),
        (lambda: F.glu([1.0, 2.0]), r"glu\(\): argument 'input' \(position 1\) must be Tensor, not list"),
        (lambda: F.linear(ad.ones(1, 2), 3.0), r"linear\(\): argument 'weight' \(position 2\) must be Tensor, not float"),
        (lambda: nn.GRU(2, 3)(2.0), r"GRU\(\): argument 'input' \(position 1\) must be Tensor, not float"),
    ],
)  # fmt: skip
def test_what_is_no_tensor_is_refused_as_in_pytorch(call, phrase):
    with pytest.raises(TypeError, match=phrase):
        call()


def test_an_attribute_that_a_tensor_lacks_is_no_matter_of_its_type():
    def distance(a, b):
        return a.far_from(b)

    x = ad.ones(1, 2)
    with pytest.raises(AttributeError, match="far_from"):
        F.triplet_margin_with_distance_loss(x, x, x, distance_function=distance)


@pytest.mark.parametrize("module", [ad, F])
def test_functions_can_be_pickled(module):
    for function in vars(module).values():
        if inspect.isfunction(function):
            assert pickle.loads(pickle.dumps(function)) is function
