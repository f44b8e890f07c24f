"""Names, order and defaults of arguments are PyTorch's: a program written for it means the same here."""

from __future__ import annotations

import inspect

import pytest
from beside_torch import at_least, libraries

pytestmark = pytest.mark.skipif(not at_least("2.13"), reason="the signatures of PyTorch 2.13")

# PyTorch has given these up itself, or they choose between implementations of its own.
LEFT_OUT = {"size_average", "reduce", "out", "_stacklevel", "epoch", "min_value", "max_value"}
MORE_HERE = {"seed"}  # DataLoader(…, seed=n)
LAYERS = [
    "Linear", "Flatten", "ReLU", "GELU", "Softmax", "LogSoftmax", "Dropout", "Conv2d", "MaxPool2d",
    "LayerNorm", "CELU", "ELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "Mish",
    "PReLU", "ReLU6", "RReLU", "SELU", "SiLU", "Softmin", "Softplus", "Softshrink", "Threshold",
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AvgPool1d",
    "AvgPool2d", "BatchNorm1d", "BatchNorm2d", "Conv1d", "ConvTranspose1d", "ConvTranspose2d",
    "Dropout1d", "Dropout2d", "Fold", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "MaxPool1d",
    "PixelShuffle", "PixelUnshuffle", "Unfold", "Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d",
    *(f"{kind}Pad{n}d" for kind in ("Circular", "Constant", "Reflection", "Replication", "Zero") for n in (1, 2)),
]  # fmt: skip
SEQUENCES = [
    "Bilinear", "CosineSimilarity", "Embedding", "GRUCell", "LSTMCell", "MultiheadAttention", "PairwiseDistance",
    "RNNBase", "RNNCell", "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder",
    "TransformerEncoderLayer", "Unflatten",
]  # fmt: skip
RECURRENT = ["RNN", "LSTM", "GRU"]  # made by (*args, **kwargs) in PyTorch
LOSSES = ["MSELoss", "L1Loss", "CrossEntropyLoss", "NLLLoss", "BCELoss", "BCEWithLogitsLoss",
    "CosineEmbeddingLoss", "GaussianNLLLoss", "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss", "MarginRankingLoss",
    "MultiLabelMarginLoss", "MultiLabelSoftMarginLoss", "MultiMarginLoss", "PoissonNLLLoss", "SmoothL1Loss",
    "SoftMarginLoss", "TripletMarginLoss", "TripletMarginWithDistanceLoss",
]  # fmt: skip
METHODS = [
    "add_module", "apply", "buffers", "children", "double", "eval", "extra_repr", "float",
    "get_buffer", "get_parameter", "get_submodule", "half", "load_state_dict", "modules",
    "named_buffers", "named_children", "named_modules", "named_parameters", "parameters",
    "register_buffer", "register_forward_hook", "register_forward_pre_hook",
    "register_full_backward_hook", "register_full_backward_pre_hook", "register_module", "register_parameter",
    "requires_grad_", "train", "zero_grad",
]  # fmt: skip
FUNCTIONS = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "dropout", "embedding",
    "multi_head_attention_forward",
    "adaptive_avg_pool2d", "dropout1d", "dropout2d", "fold", "group_norm", "instance_norm", "interpolate",
    "unfold", "upsample",
    "l1_loss", "mse_loss", "nll_loss", "normalize", "relu", "celu", "cosine_embedding_loss", "elu", "gaussian_nll_loss",
    "glu", "hardsigmoid", "hardswish", "hardtanh", "hinge_embedding_loss", "huber_loss", "kl_div", "leaky_relu",
    "margin_ranking_loss", "mish", "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss",
    "poisson_nll_loss", "relu6", "rrelu", "selu", "silu", "smooth_l1_loss", "soft_margin_loss", "softmin", "softsign",
    "tanhshrink", "threshold", "triplet_margin_loss", "triplet_margin_with_distance_loss",
]  # fmt: skip
PADDING = [
    "pack_padded_sequence", "pack_sequence", "pad_packed_sequence", "pad_sequence", "unpack_sequence",
    "unpad_sequence",
]  # fmt: skip
INITIALISERS = [
    "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_",
    "ones_", "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_",
    "xavier_uniform_", "zeros_",
]  # fmt: skip
OPTIMISERS = [
    "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "LBFGS", "NAdam", "Optimizer", "RAdam", "RMSprop",
    "Rprop", "SGD",
]  # fmt: skip
OPTIMISERS_METHODS = [
    "add_param_group", "load_state_dict", "register_step_post_hook", "register_step_pre_hook", "step",
    "zero_grad",
]  # fmt: skip
SCHEDULES = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR",
    "ExponentialLR", "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "OneCycleLR",
    "PolynomialLR", "ReduceLROnPlateau", "SequentialLR", "StepLR",
]  # fmt: skip
DATA = [
    "BatchSampler", "ChainDataset", "ConcatDataset", "DataLoader", "IterableDataset", "RandomSampler",
    "SequentialSampler", "StackDataset", "Subset", "SubsetRandomSampler", "TensorDataset",
    "WeightedRandomSampler", "default_collate", "default_convert", "get_worker_info",
]  # fmt: skip
UTILITIES = [
    "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm", "parameters_to_vector",
    "remove_weight_norm", "vector_to_parameters", "weight_norm",
]  # fmt: skip
NAMES = [
    *(f"nn.{name}" for name in LAYERS + LOSSES),
    *(f"nn.{name}.forward" for name in LAYERS + LOSSES + ["Identity", "Tanh", "Sigmoid", "Sequential", "LogSigmoid", "Softmax2d", "Softsign", "Tanhshrink"]),
    *(f"nn.{name}" for name in SEQUENCES),
    *(f"nn.{name}.forward" for name in SEQUENCES + RECURRENT if name != "RNNBase"),
    *(f"nn.utils.rnn.{name}" for name in PADDING),
    "nn.Embedding.from_pretrained", "nn.Transformer.generate_square_subsequent_mask",
    "nn.ParameterList", "nn.ParameterDict",
    *(f"nn.ParameterDict.{name}" for name in ("copy", "fromkeys", "get", "pop", "popitem", "setdefault", "update")),
    *(f"nn.ParameterList.{name}" for name in ("append", "extend")),
    *(f"nn.Module.{name}" for name in METHODS),
    *(f"nn.ModuleDict.{name}" for name in ("pop", "update", "keys", "values", "items", "clear")),
    *(f"nn.ModuleList.{name}" for name in ("append", "extend", "insert")),
    "nn.ModuleDict", "nn.ModuleList",
    *(f"nn.functional.{name}" for name in FUNCTIONS),
    *(f"nn.init.{name}" for name in INITIALISERS),
    *(f"nn.utils.{name}" for name in UTILITIES),
    *(f"optim.{name}" for name in OPTIMISERS),
    *(f"optim.Optimizer.{name}" for name in OPTIMISERS_METHODS),
    *(f"optim.lr_scheduler.{name}" for name in SCHEDULES),
    *(f"data.{name}" for name in DATA),
]  # fmt: skip


def arguments(library, path):
    thing = library
    for name in path.split("."):
        thing = getattr(thing, name)
    thing = thing.__init__ if isinstance(thing, type) else thing
    return [
        (p.name, p.kind, getattr(p.default, "__name__", p.default))  # a function's own name will do
        for p in inspect.signature(thing).parameters.values()
        if p.name not in LEFT_OUT | MORE_HERE
    ]


@pytest.mark.parametrize("path", NAMES)
def test_arguments_are_pytorchs(path):
    ours, theirs = (arguments(library, path) for library in libraries())
    if any(name in path for name in ("Loss", "loss", "cross_entropy", "kl_div")):
        # What stood before `reduction` is left out there, so that its place means another argument:
        # here those behind are given by name.
        assert [(name, default) for name, _, default in ours] == [(n, d) for n, _, d in theirs]
    else:
        assert ours == theirs


BUILTIN = ["bilinear", "cosine_similarity", "pairwise_distance", "scaled_dot_product_attention"]


@pytest.mark.parametrize("name", BUILTIN)
def test_arguments_of_what_is_built_in_are_as_documented(name):
    """Where PyTorch's function has no signature, its documentation begins with one."""
    ours, theirs = (getattr(library.F, name) for library in libraries())
    line = theirs.__doc__.strip().partition(" -> ")[0]
    scope: dict = {}
    exec(f"def {line}: pass", scope)
    expected = inspect.signature(scope[name]).parameters.values()
    found = inspect.signature(ours).parameters.values()
    assert [(p.name, p.default) for p in found] == [(p.name, p.default) for p in expected]
