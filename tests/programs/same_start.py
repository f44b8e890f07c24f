"""The same weights, whichever generator of random numbers there is."""

import torch


def same_start(model):
    """Fill the parameters with a wave, as widely spread as a fresh layer's weights."""
    with torch.no_grad():
        for k, p in enumerate(model.parameters()):
            fan_in = p.numel() // len(p) if p.dim() > 1 else 100
            wave = torch.sin(torch.arange(p.numel(), dtype=torch.float64) * 12.9898 + k)
            p.copy_((wave / fan_in**0.5).reshape(p.shape).to(p.dtype))
    return model
