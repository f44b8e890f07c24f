"""From pictures to tensors, and as many other pictures of the same as one likes (torchvision.transforms).

A transform is any function of one sample. One that can also do a whole batch in a few array
operations says so with `supports_batch` and does it in `on_batch(x)`, where x has the samples along
its first dimension and is its to overwrite. Both roads give the same bits. (Of several transforms that
draw at random in a row the first draws for all samples before the second does, so there the samples get
other numbers.)
"""

from . import functional
from .composing import Compose, Lambda, RandomApply, RandomChoice, RandomOrder, supports_batch
from .conversions import (
    ConvertImageDtype,
    Grayscale,
    Normalize,
    PILToTensor,
    RandomGrayscale,
    ToPILImage,
    ToTensor,
)
from .functional import InterpolationMode
from .geometry import (
    CenterCrop,
    Pad,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
)

__all__ = [
    "CenterCrop", "Compose", "ConvertImageDtype", "Grayscale", "InterpolationMode", "Lambda", "Normalize",
    "PILToTensor", "Pad", "RandomAffine", "RandomApply", "RandomChoice", "RandomCrop", "RandomErasing",
    "RandomGrayscale", "RandomHorizontalFlip", "RandomOrder", "RandomResizedCrop", "RandomRotation",
    "RandomVerticalFlip", "Resize", "ToPILImage", "ToTensor", "functional", "supports_batch",
]  # fmt: skip
