"""PyTorch's names: a record of them, and which an unmodified program finds here."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from nn.as_torch import answers

RECORD = Path(__file__).parent / "names.json"
METHODS = "torch.Tensor"  # the one namespace that is a class
READ = [
    "torch", METHODS, "torch.autograd", "torch.func", "torch.nn", "torch.nn.functional", "torch.nn.init",
    "torch.nn.utils", "torch.nn.utils.rnn", "torch.optim", "torch.optim.lr_scheduler", "torch.utils.data",
    "torch.linalg", "torch.special", "torch.fft",
]  # fmt: skip
# torchvision is not needed to make the record: its public names, by hand (of the models a class for each family, and the ResNets).
BY_HAND = {
    "torchvision.transforms": """AugMix AutoAugment AutoAugmentPolicy CenterCrop ColorJitter Compose
        ConvertImageDtype ElasticTransform FiveCrop GaussianBlur Grayscale InterpolationMode Lambda
        LinearTransformation Normalize PILToTensor Pad RandAugment RandomAdjustSharpness RandomAffine RandomApply
        RandomAutocontrast RandomChoice RandomCrop RandomEqualize RandomErasing RandomGrayscale
        RandomHorizontalFlip RandomInvert RandomOrder RandomPerspective RandomPosterize RandomResizedCrop
        RandomRotation RandomSolarize RandomVerticalFlip Resize TenCrop ToPILImage ToTensor TrivialAugmentWide""",
    "torchvision.transforms.functional": """adjust_brightness adjust_contrast adjust_gamma adjust_hue
        adjust_saturation adjust_sharpness affine autocontrast center_crop convert_image_dtype crop
        elastic_transform equalize erase five_crop gaussian_blur get_dimensions get_image_num_channels
        get_image_size hflip invert normalize pad perspective pil_to_tensor posterize resize resized_crop
        rgb_to_grayscale rotate solarize ten_crop to_grayscale to_pil_image to_tensor vflip""",
    "torchvision.models": """AlexNet ConvNeXt DenseNet EfficientNet GoogLeNet Inception3 MNASNet MaxVit MobileNetV2
        MobileNetV3 RegNet ResNet ShuffleNetV2 SqueezeNet SwinTransformer VGG VisionTransformer resnet18 resnet34
        resnet50 resnet101 resnet152""",
    "torchvision.utils": """draw_bounding_boxes draw_keypoints draw_segmentation_masks flow_to_image make_grid
        save_image""",
    "torchvision.datasets": """CIFAR10 CIFAR100 Caltech101 Caltech256 CelebA Cityscapes CocoCaptions CocoDetection
        DatasetFolder EMNIST FakeData FashionMNIST Flickr8k Flickr30k ImageFolder ImageNet KMNIST MNIST
        Omniglot QMNIST SEMEION STL10 SVHN USPS VOCDetection VOCSegmentation VisionDataset""",
}


def recorded() -> dict[str, Any]:
    """{"version": PyTorch's, "names": {namespace: its names}}"""
    return json.loads(RECORD.read_text(encoding="utf-8"))


def from_pytorch() -> dict[str, Any]:
    """The same from the PyTorch that is installed, and torchvision's by hand."""
    import torch

    names = {space: sorted(public(space)) for space in READ}
    names["torch, its modules"] = sorted(modules(torch))
    names |= {space: text.split() for space, text in BY_HAND.items()}
    return {"version": torch.__version__.partition("+")[0], "names": names}


def public(space: str) -> Iterator[str]:
    """What a namespace offers to programs. It has more, which is undocumented or merely imported there."""
    around, _, last = space.rpartition(".")
    thing = getattr(importlib.import_module(around), last) if around else importlib.import_module(space)
    listed = getattr(thing, "__all__", None)
    for name in listed if listed and space != "torch" else dir(thing):
        value = getattr(thing, name)
        if name.startswith("_") or isinstance(value, ModuleType):
            continue
        if space == METHODS and not callable(value):  # an attribute
            yield name
        elif not callable(value):
            if type(value).__module__ == "torch" or isinstance(value, (float, type(None))):
                yield name  # a dtype, a layout, a number
        elif is_pytorchs(value) and (value.__doc__ or (space == "torch" and has_a_namesake(name))):
            yield name


def is_pytorchs(value: Any) -> bool:
    """Not one of the typing module's, say, nor a class of the implementation."""
    home = getattr(value, "__module__", None) or "torch"
    return home.startswith("torch") and not (isinstance(value, type) and home.startswith("torch._C"))


def has_a_namesake(name: str) -> bool:
    """Is it documented elsewhere? `torch.relu` has no text of its own."""
    from torch.nn import functional

    return bool(getattr(functional, name, None).__doc__) and name[-1] != "_"


def modules(torch: Any) -> Iterator[str]:
    """The modules that programs reach as torch.name."""
    for name, value in vars(torch).items():
        if isinstance(value, ModuleType) and value.__name__ == f"torch.{name}" and name[0] != "_":
            yield name


def is_here(space: str, name: str) -> bool:
    """Does an unmodified program find it?"""
    if space == METHODS:
        return hasattr(answers.found("torch", "Tensor"), name)
    if space == "torch, its modules":
        return answers.sources(f"torch.{name}") is not None
    return answers.found(space, name) is not answers.MISSING or answers.sources(f"{space}.{name}") is not None


def divided(names: dict[str, list[str]]) -> dict[str, tuple[list[str], list[str]]]:
    """namespace → (the names that are here, those that are not)"""
    return {
        space: ([n for n in all_ if is_here(space, n)], [n for n in all_ if not is_here(space, n)])
        for space, all_ in names.items()
    }
