"""Why a name of PyTorch's is not here: one table, by groups.

A group's names are patterns, as in file names, for a name or for `namespace.name`; a name belongs to the first
group that has it. A missing name that no group has fails the tests, and so does a pattern without a missing name.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Group:
    """Names that are missing for one reason."""

    title: str
    why: str
    names: str

    @property
    def patterns(self) -> list[str]:
        return self.names.split()


# fmt: off
GROUPS = [
    Group("Linear algebra", "Decompositions, inverses and determinants: not yet. `norm` and `matmul` are in `torch` itself.", """
        torch.linalg.* *modules.linalg chain_matmul cholesky* cross det geqrf inverse kron lobpcg logdet lu lu_* matrix_exp
        matrix_power orgqr ormqr pca_lowrank pinverse qr slogdet svd svd_lowrank triangular_solve vander"""),
    Group("Fourier transforms and signals", "Not yet: most need complex numbers.", """
        torch.fft.* *modules.fft *_window istft signal stft"""),
    Group("Special functions", "Of these there are erf, expm1, log1p and xlogy, in `torch` itself; the others, and the second names in "
          "`torch.special`: not yet.", """
        torch.special.* *modules.special digamma digamma_ erfc erfc_ erfinv erfinv_ i0 i0_ igamma* lgamma lgamma_ mvlgamma*
        polygamma* sinc sinc_ logit logit_"""),
    Group("Complex numbers", "There are no complex dtypes: a gradient here is one of real numbers.", """
        adjoint angle cdouble cfloat chalf complex complex* conj conj_* imag is_complex is_conj is_neg isreal mH polar
        real resolve_conj resolve_neg sgn sgn_ view_as_complex view_as_real"""),
    Group("Sparse, nested and masked tensors", "All tensors are dense arrays.", """
        coalesce col_indices crow_indices dense_dim hspmm is_coalesced is_sparse* smm sparse_* sspaddmm
        torch.Tensor.indices torch.Tensor.values to_dense to_sparse* SparseAdam *modules.sparse masked jagged is_nested nested
        to_padded_tensor"""),
    Group("Quantised numbers", "There are no integer kernels for inference; training is what this is for.", """
        ao dequantize fake_quantize_* int_repr is_quantized per_channel_* per_tensor_* q_* qint* qscheme quantization
        quantize_* quantized_* quint*"""),
    Group("Small dtypes", "NumPy does not have them, nor kernels for them.", """
        bfloat16 bit bits* float4_* float8_* int1 int2 int3 int4 int5 int6 int7 scaled_* grouped_mm ScalingType SwizzleType
        uint1 uint2 uint3 uint4 uint5 uint6 uint7"""),
    Group("Accelerators", "There is the CPU. What programs ask first (`torch.cuda.is_available()`) says so.", """
        AcceleratorError Event GradScaler OutOfMemoryError Stream amp autocast cpu get_device_module ipu is_ipu is_maia
        is_meta is_mkldnn is_mps is_mtia is_pinned is_vulkan is_xla is_xpu mtia pin_memory record_stream to_mkldnn
        torch.Tensor.xpu"""),
    Group("Several processes", "One process, whose kernels use its threads.", """
        DataParallel DistributedSampler SyncBatchNorm distributed fork futures get_num_interop_threads is_shared
        multiprocessing set_num_interop_threads share_memory_ wait"""),
    Group("Compilers, graphs of code, plug-ins", "`torch.compile` is `autodiff.compile`; the machinery around PyTorch's own has "
          "nothing to act on.", """
        AVG AggregationType DispatchKey NestedIOFunction SUM Script* Sym* Tag boolean_dispatch classes compiled_with_cxx11_abi
        compiler cond debug_unwrap enforce_grad_layout_policy export functionalize fx *handle_torch_function
        has_torch_function* hash_tensor hub import_ir_module* init_num_threads is_storage jit library
        merge_type_from_type_comment monitor ops overrides package parse_* profiler sym_*
        thread_safe_generator torch_version types unify_type_list unsafe_* while_loop factory_kwargs return_types
        set_multithreading_enabled rearrange"""),
    Group("Copies of views", "What exporters write for a view. A program writes the view, and `.clone()`.", "*_copy"),
    Group("Memory behind a tensor", "A tensor is a NumPy array: `.numpy()` shares it, and its strides are NumPy's affair.", """
        as_strided* as_subclass channels_last* const_data_ptr contiguous_format convert_conv?d_weight_memory_format dim_order
        empty_permuted empty_strided from_file frombuffer is_set_to layout legacy_contiguous_format module_load
        new_empty_strided preserve_format resize_ resize_as_ serialization set_ storage storage_* strided
        untyped_storage"""),
    Group("Three dimensions", "Volumes: not yet. Sequences and images are here.", "*3d *3d_with_indices"),
    Group("Lazy modules", "Sizes are written down: an error about a wrong one comes at once.", "Lazy* Uninitialized*"),
    Group("Spellings that PyTorch has given up", "It calls them deprecated itself; what it names instead is here.", """
        clip_grad_norm ger range upsample_* volatile get_image_size to_grayscale"""),
    Group("Data pipes", "`Dataset` and `IterableDataset` are here.", "IterDataPipe MapDataPipe"),
    Group("Pooling's rarer kinds", "Not yet.", """
        FractionalMaxPool2d LPPool1d LPPool2d MaxUnpool1d MaxUnpool2d *_pool?d_with_indices fractional_max_pool2d lp_pool?d max_unpool?d"""),
    Group("Layers, losses and functions of networks", "Not yet.", """
        AdaptiveLogSoftmaxWithLoss *AlphaDropout *alpha_dropout Buffer CTCLoss ctc_loss *ChannelShuffle *channel_shuffle
        EmbeddingBag embedding_bag LinearCrossEntropy* linear_cross_entropy LocalResponseNorm local_response_norm RMSNorm rms_norm affine_grid
        conv_tbc grid_sample gumbel_softmax pdist fuse_* skip_init *spectral_norm"""),
    Group("Here in torch.nn.functional", "`torch` and its Tensor have no second names for these.", """
        torch.adaptive_* torch.bilinear torch.binary_cross_entropy_with_logits torch.celu torch.celu_ torch.cosine_*
        torch.dropout torch.embedding torch.group_norm hardshrink torch.*_loss torch.instance_norm torch.kl_div
        torch.pairwise_distance torch.pixel_* torch.prelu torch.relu_ torch.rrelu torch.rrelu_ torch.selu torch.selu_
        torch.threshold torch.threshold_"""),
    Group("Function transforms", "Not yet; derivatives by `grad`, `vjp`, `jvp`, `jacrev` and `hessian` are here. Instead of `vmap`, "
          "write the batch's dimension.", """
        functional_call grad_and_value linearize replace_all_batch_norm_modules_ stack_module_state vmap"""),
    Group("Checks for tests", "`autodiff.testing.check_gradients` checks more than theirs, and `numpy.testing` compares.", """
        gradcheck gradgradcheck testing"""),
    Group("Optimisers", "Not yet.", "ASGD Adafactor Muon swap_in_optimizer_params_and_state"),
    Group("Drawing from distributions", "Not yet; normal, uniform, exponential, Bernoulli and multinomial draws are here.", """
        cauchy_ distributions geometric_ log_normal_ poisson quasirandom"""),
    Group("Statistics, sorting and searching", "Not yet.", """
        bucketize corrcoef cov cummax cummin cumulative_trapezoid histc histogram histogramdd logcumsumexp mode
        msort nanmedian nanquantile nonzero_static quantile renorm renorm_ searchsorted trapezoid trapz unique_consecutive
        gradient diff segment_reduce"""),
    Group("Elementwise functions", "Not yet.", """
        acosh* arccosh* arcsinh* arctan2 arctan2_ arctanh* asinh* atanh* bitwise_*_shift* copysign* deg2rad* exp2*
        fix fix_ float_power* fmax fmin frac frac_ frexp gcd gcd_ heaviside* hypot* isneginf isposinf lcm lcm_ ldexp*
        logaddexp logaddexp2 nextafter* positive rad2deg* signbit"""),
    Group("Products and sums of products", "Not yet: `@`, `einsum` and `addmm` say the same.", """
        addbmm* addmv* addr addr_ baddbmm* vdot"""),
    Group("Shapes, places and writing to them", "Not yet; indexing, `gather`, `scatter` and `index_add` are here.", """
        block_diag combinations diag_embed diagflat *_scatter dsplit hsplit index index_put* index_reduce* masked_scatter*
        put put_ row_stack scatter_reduce* swapaxes_ swapdims_ sum_to_size unfold unravel_index vsplit"""),
    Group("In place", "Not yet. `x = x.name(…)` does the same; comparisons in place, besides, would put truth values into floats.", """
        atan2_ arctan_ arccos_ arcsin_ bitwise_and_ bitwise_or_ bitwise_xor_ cumprod_ eq_ ge_ greater_ greater_equal_ gt_ le_
        less_ less_equal_ logical_and_ logical_or_ logical_xor_ lt_ ne_ not_equal_ xlogy_ apply_ map_"""),
    Group("Switches and questions about the engine", "Not yet, or nothing here would change by them.", """
        are_deterministic_algorithms_enabled get_deterministic_debug_mode get_float32_matmul_precision grad_dtype
        inference_mode is_deterministic_algorithms_warn_only_enabled is_inference* is_signed is_warn_always_enabled name output_nr
        register_post_accumulate_grad_hook set_deterministic_debug_mode set_flush_denormal set_warn_always"""),
    Group("Whole numbers without sign", "Of these there is uint8; the others: not yet.", "uint16 uint32 uint64"),
    Group("Colours, and transforms that learn from them", "Pictures here are digits and clothes, in grey: not yet.", """
        AugMix AutoAugment* ColorJitter ElasticTransform FiveCrop GaussianBlur LinearTransformation RandAugment
        RandomAdjustSharpness RandomAutocontrast RandomEqualize RandomInvert RandomPerspective RandomPosterize
        RandomSolarize TenCrop TrivialAugmentWide adjust_* autocontrast elastic_transform equalize five_crop
        gaussian_blur get_image_num_channels invert perspective posterize solarize ten_crop"""),
    Group("Drawing on pictures", "Not yet.", "draw_* flow_to_image"),
    Group("Data sets", "MNIST and Fashion-MNIST are read. For others write a `Dataset` of your own around their files.", """
        torchvision.datasets.*"""),
    Group("Models", "ResNet-18 is here, not trained; the others, and trained weights: not yet.", "torchvision.models.*"),
    Group("The module torch.functional", "What is in it is in `torch`, too.", "*modules.functional"),
]
# fmt: on


def matches(pattern: str, space: str, name: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(f"{space}.{name}", pattern)


def sorted_out(missing: dict[str, list[str]]) -> tuple[dict[str, dict[str, list[str]]], list[str], list[str]]:
    """(title → namespace → names, the names without a reason, the patterns without a name)"""
    found: dict[str, dict[str, list[str]]] = {group.title: {} for group in GROUPS}
    unexplained, used = [], set()
    for space, names in missing.items():
        for name in names:
            hit = next(((g.title, p) for g in GROUPS for p in g.patterns if matches(p, space, name)), None)
            if hit is None:
                unexplained.append(f"{space}.{name}")
            else:
                found[hit[0]].setdefault(space, []).append(name)
                used.add(hit)
    idle = [f"{p} ({g.title})" for g in GROUPS for p in g.patterns if (g.title, p) not in used]
    return found, unexplained, idle
