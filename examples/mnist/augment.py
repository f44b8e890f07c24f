"""More images than there are: each one turned, shifted and scaled a little, anew every epoch."""

from __future__ import annotations

import numpy as np

import autodiff as torch
from autodiff import Tensor
from nn.transforms.sampling import affine_map


class RandomAffines:
    """A transform of images (…, C, H, W), whole batches at once: each image is turned by up to
    `degrees`, shifted by up to `shift` pixels each way and scaled by up to `scale` (0.1: from 0.9 to
    1.1), about its middle. What comes in from outside is 0; pixels between pixels are interpolated
    bilinearly.

    What is drawn comes from the project's one seed, four numbers for each image, so that one image
    after the other gives the same bits as a batch.
    """

    supports_batch = True

    def __init__(self, degrees: float = 10.0, shift: float = 2.0, scale: float = 0.1):
        self.degrees, self.shift, self.scale = degrees, shift, scale

    def __call__(self, image: Tensor) -> Tensor:
        return self.on_batch(image[None])[0]

    def on_batch(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same."""
        turn, size, down, right = (2 * torch.rand(len(x), 4, dtype=torch.float64).array - 1).T
        angle, size = np.radians(self.degrees * turn), 1 + self.scale * size
        cos, sin = np.cos(angle) / size, np.sin(angle) / size
        dx, dy = self.shift * right, self.shift * down
        # From where in the old image the new one's pixels come: the inverse of scaling, turning, shifting.
        matrices = np.stack([cos, -sin, sin * dy - cos * dx, sin, cos, -sin * dx - cos * dy], axis=-1)
        return Tensor.wrap(affine_map(x.array, matrices, x.array.shape[-2:], "bilinear", 0))

    def __repr__(self):
        return f"RandomAffines(degrees={self.degrees}, shift={self.shift}, scale={self.scale})"
