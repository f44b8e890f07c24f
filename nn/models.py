"""Models ready to train."""

from __future__ import annotations

from typing import Any

from autodiff import Tensor

from . import init
from .containers import Sequential
from .layers import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU
from .module import Module

__all__ = ["LeNet", "MLP", "ResNet", "resnet18"]


class MLP(Sequential):
    """Linear layers of these sizes, ReLU between them. MLP(784, 512, 10) is the classic network
    for MNIST: logits of 10 digits from images, each flattened to 784 numbers. With two sizes it is
    a linear classifier."""

    def __init__(self, *sizes: int):
        if len(sizes) < 2:
            raise ValueError(f"an MLP needs at least the sizes of its input and output, got {sizes}")
        layers: list[Module] = [Linear(sizes[0], sizes[1])]
        for n, m in zip(sizes[1:], sizes[2:], strict=False):
            layers += [ReLU(), Linear(n, m)]
        super().__init__(*layers)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.flatten(1) if input.ndim > 2 else input)


class LeNet(Sequential):
    """Logits of `classes` from images (N, 1, 28, 28): two convolutions and three linear layers.

    The layers and their sizes are those of LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998), with
    what replaced its parts since: ReLU, max-pooling, every feature map connected to every other, and
    cross-entropy of logits. The images of 28 × 28 are padded to the 32 × 32 that it was made for.
    """

    def __init__(self, classes: int = 10):
        super().__init__(
            Conv2d(1, 6, 5, padding=2), ReLU(), MaxPool2d(2),
            Conv2d(6, 16, 5), ReLU(), MaxPool2d(2), Flatten(),
            Linear(400, 120), ReLU(), Linear(120, 84), ReLU(), Linear(84, classes),
        )  # fmt: skip


class ResNet(Module):
    """A residual network of the smaller kind (He, Zhang, Ren and Sun 2016): images (N, 3, H, W) to the logits
    of `num_classes`. In each of four stages there are as many blocks of two convolutions as `layers` says,
    and each block adds its input to what it made of it; from stage to stage the channels double and the
    sides halve.

    Its parts have torchvision's names, and so have the weights in its state_dict.
    """

    def __init__(self, layers: tuple[int, int, int, int], num_classes: int = 1000):
        super().__init__()
        self.conv1 = Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = BatchNorm2d(64)
        self.relu = ReLU(inplace=True)
        self.maxpool = MaxPool2d(3, stride=2, padding=1)
        channels = 64
        for k, blocks in enumerate(layers):
            wider = 64 << k
            stage = [
                ResidualBlock(channels if j == 0 else wider, wider, 2 if k and j == 0 else 1)
                for j in range(blocks)
            ]
            self.register_module(f"layer{k + 1}", Sequential(*stage))
            channels = wider
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.fc = Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


class ResidualBlock(Module):
    """relu(x + f(x)), f being two 3 × 3 convolutions, each normalised, with a ReLU between them. Where f
    changes the shape, a 1 × 1 convolution of x takes the place of x."""

    def __init__(self, channels: int, wider: int, stride: int):
        super().__init__()
        self.conv1 = Conv2d(channels, wider, 3, stride, 1, bias=False)
        self.bn1 = BatchNorm2d(wider)
        self.relu = ReLU(inplace=True)
        self.conv2 = Conv2d(wider, wider, 3, 1, 1, bias=False)
        self.bn2 = BatchNorm2d(wider)
        self.downsample = None
        if stride != 1 or channels != wider:
            self.downsample = Sequential(Conv2d(channels, wider, 1, stride, bias=False), BatchNorm2d(wider))

    def forward(self, x: Tensor) -> Tensor:
        passed = x if self.downsample is None else self.downsample(x)
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + passed)


def resnet18(
    *, weights: Any = None, progress: bool = True, pretrained: bool = False, **kwargs: Any
) -> ResNet:
    """The ResNet of 18 layers, untrained. (torchvision's trained weights are pickles that it downloads:
    written to a safetensors file there, they load here under the same names. `pretrained` is what older
    programs say for `weights`.)"""
    weights = "DEFAULT" if pretrained and weights is None else weights
    if weights is not None:
        raise ValueError(
            f"resnet18 has no trained weights here, and was asked for {weights!r}. Where torchvision is installed, "
            'write them with safetensors.torch.save_file(model.state_dict(), "resnet18.safetensors"), and here '
            'load_state_dict(nn.checkpoint.load_tensors("resnet18.safetensors"))'
        )
    return ResNet((2, 2, 2, 2), **kwargs)
