"""Convolution of sequences and images, and its transpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff import Tensor
from autodiff.ops.convolutions import per_side

from .. import functional as F
from .linear import Affine

Pair = int | tuple[int, int]
MODES = ("zeros", "reflect", "replicate", "circular")


class Convolution(Affine):
    """What the convolutions share: their options, checked, one for each of `sides` dimensions."""

    sides: int
    transposed = False

    def make(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any, padding: Any,
        dilation: Any, groups: int, bias: bool, padding_mode: str, device: Any, dtype: Any,
        output_padding: Any = 0,
    ) -> None:  # fmt: skip
        """Check the options, keep them, and make the parameters."""
        n = self.sides
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{name} must be divisible by groups: got {channels} and {groups}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_side(kernel_size, n, "kernel_size")
        self.stride, self.dilation = per_side(stride, n, "stride"), per_side(dilation, n, "dilation")
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of ('valid', 'same')")
            if padding == "same" and set(self.stride) != {1}:
                raise ValueError("padding='same' is not supported for strided convolutions")
        self.padding: Any = padding if isinstance(padding, str) else per_side(padding, n, "padding")
        self.output_padding = per_side(output_padding, n, "output_padding")
        if padding_mode not in MODES:
            raise ValueError(f"padding_mode must be one of {MODES}, but got padding_mode={padding_mode!r}")
        self.padding_mode = padding_mode
        if self.transposed:
            shape = (in_channels, out_channels // groups, *self.kernel_size)
        else:
            shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.make_parameters(shape, bias, device, dtype, out_channels)

    def forward(self, input: Tensor) -> Tensor:
        padding, convolve = self.padding, F.conv1d if self.sides == 1 else F.conv2d
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._border(), self.padding_mode), 0
        return convolve(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _border(self) -> list[int]:
        """The padding before and after the last dimension, then the one before it."""
        if self.padding == "valid":
            return [0] * 2 * self.sides
        if self.padding == "same":
            both = [d * (k - 1) for k, d in zip(self.kernel_size, self.dilation, strict=True)]
            return [n for total in reversed(both) for n in (total // 2, total - total // 2)]
        return [n for n in reversed(self.padding) for _ in range(2)]

    def extra_repr(self):
        none, one = (0,) * self.sides, (1,) * self.sides
        parts = [
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        ]
        if self.padding != none:
            parts.append(f"padding={self.padding}")
        if self.dilation != one:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != none:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class Conv1d(Convolution):
    """The cross-correlation of sequences (N, in_channels, L) with learnt kernels; all else as in `Conv2d`."""

    sides = 1

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int | tuple[int],
        stride: int | tuple[int] = 1, padding: int | tuple[int] | str = 0,
        dilation: int | tuple[int] = 1, groups: int = 1, bias: bool = True,
        padding_mode: str = "zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        self.make(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode,
            device, dtype,
        )  # fmt: skip


class Conv2d(Convolution):
    """The cross-correlation of images (N, in_channels, H, W) with learnt kernels, weight being
    (out_channels, in_channels / groups, *kernel_size); `padding` may be "same" or "valid", of the
    `padding_mode` "zeros", "reflect", "replicate" or "circular".

    Weight and bias start out evenly spread over ±1/√fan_in."""

    sides = 2

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Pair, stride: Pair = 1,
        padding: Pair | str = 0, dilation: Pair = 1, groups: int = 1, bias: bool = True,
        padding_mode: str = "zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        self.make(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode,
            device, dtype,
        )  # fmt: skip


class TransposedConvolution(Convolution):
    """What the transposed convolutions share."""

    transposed = True

    def make(self, *arguments: Any, **more: Any) -> None:
        """The same; borders are of zeros only."""
        super().make(*arguments, **more)
        if self.padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        convolve = F.conv_transpose1d if self.sides == 1 else F.conv_transpose2d
        return convolve(
            input, self.weight, self.bias, self.stride, self.padding, self.extra(input, output_size),
            self.groups, self.dilation,
        )  # fmt: skip

    def extra(self, input: Tensor, output_size: Sequence[int] | None) -> tuple[int, ...]:
        """The output padding that gives this size: a stride leaves a choice of several."""
        if output_size is None:
            return self.output_padding
        n = self.sides
        leading = input.ndim - n
        sizes = [int(m) for m in output_size]
        sizes = sizes[leading:] if len(sizes) == input.ndim else sizes
        if len(sizes) != n:
            raise ValueError(
                f"{type(self).__name__}: for {input.ndim}D input, output_size must have {n} or {input.ndim} "
                f"elements (got {len(output_size)})"
            )
        options = zip(
            input.shape[-n:], self.stride, self.padding, self.dilation, self.kernel_size, strict=True
        )
        least = [(m - 1) * s - 2 * p + d * (k - 1) + 1 for m, s, p, d, k in options]
        for m, low, s in zip(sizes, least, self.stride, strict=True):
            if not low <= m <= low + s - 1:
                most = [low + s - 1 for low, s in zip(least, self.stride, strict=True)]
                raise ValueError(
                    f"requested an output size of {sizes}, but valid sizes range from {least} to {most} "
                    f"(for an input of {list(input.shape[-n:])})"
                )
        return tuple(m - low for m, low in zip(sizes, least, strict=True))


class ConvTranspose1d(TransposedConvolution):
    """The transpose of a `Conv1d`; all else as in `ConvTranspose2d`."""

    sides = 1

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int | tuple[int],
        stride: int | tuple[int] = 1, padding: int | tuple[int] = 0,
        output_padding: int | tuple[int] = 0, groups: int = 1, bias: bool = True,
        dilation: int | tuple[int] = 1, padding_mode: str = "zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        self.make(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode,
            device, dtype, output_padding,
        )  # fmt: skip


class ConvTranspose2d(TransposedConvolution):
    """The transpose of a `Conv2d` from out_channels to in_channels: it spreads the elements of (N,
    in_channels, H, W) over the windows of a larger image, and adds up what overlaps; weight being
    (in_channels, out_channels / groups, *kernel_size) (Zeiler et al. 2010). `output_padding` is added to
    the lower and right side; `output_size`, given to the call, says what the size is to be.

    Weight and bias start out evenly spread over ±1/√(weight[0].numel())."""

    sides = 2

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Pair, stride: Pair = 1,
        padding: Pair = 0, output_padding: Pair = 0, groups: int = 1, bias: bool = True,
        dilation: Pair = 1, padding_mode: str = "zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        self.make(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode,
            device, dtype, output_padding,
        )  # fmt: skip
