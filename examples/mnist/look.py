"""What a trained network makes of a picture, and why: probabilities, hidden units, gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import autodiff as torch
import nn
from examples.mnist.networks import Trained


class Look(NamedTuple):
    """What a network makes of a picture."""

    probabilities: np.ndarray  # of the classes
    hidden: list[np.ndarray]  # what comes out of each ReLU: (units,) or (maps, height, width)
    of: int  # the class that the gradient is of
    saliency: np.ndarray  # (28, 28): ∂ logit[of] / ∂ pixel, pixels being 0…1


def looked(network: Trained, pixels: np.ndarray, of: int | None = None) -> Look:
    """The network's view of a picture of 28 × 28 bytes, 255 being ink. `of` is the class to explain,
    the likeliest if None.

    The gradient of a class's logit by the pixels shows which of them it depends on (Simonyan, Vedaldi
    and Zisserman 2013, "Deep inside convolutional networks").
    """
    hidden: list[np.ndarray] = []
    hooks = [
        module.register_forward_hook(lambda _, __, y: hidden.append(y.detach().numpy()[0]))
        for module in network.model.modules()
        if isinstance(module, nn.ReLU)
    ]
    image: Any = torch.tensor(pixels.reshape(1, 1, 28, 28) / 255, dtype=torch.float32, requires_grad=True)
    try:
        (logits,) = network.model(network.normalised(image))
    finally:
        for hook in hooks:
            hook.remove()
    of = int(logits.argmax()) if of is None else of
    (saliency,) = torch.autograd.grad(logits[of], [image])
    probabilities = torch.softmax(logits.detach(), 0).numpy()
    return Look(probabilities, hidden, of, saliency.numpy()[0, 0])
