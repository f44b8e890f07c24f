"""save_image: the pictures side by side, in rows."""

import torch


def save_image(tensor, fp, nrow=8):
    from PIL import Image

    rows = [torch.cat(list(row[:, 0]), 1) for row in tensor.split(nrow)]
    Image.fromarray((torch.cat(rows) * 255).byte().numpy()).save(fp)
