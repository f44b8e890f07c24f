"""A polynomial is fitted: by a linear layer, and by hand-written steps along the gradient."""

from itertools import count

import torch
import torch.nn.functional as F

POLY_DEGREE = 4
W_target = torch.linspace(-2, 3, POLY_DEGREE).unsqueeze(1)
b_target = torch.tensor([1.5])


def make_features(x):
    """The columns x, x², x³ …"""
    x = x.unsqueeze(1)
    return torch.cat([x**i for i in range(1, POLY_DEGREE + 1)], 1)


def f(x):
    return x.mm(W_target) + b_target.item()


def poly_desc(W, b):
    result = "y = "
    for i, w in enumerate(W):
        result += f"{w:+.2f} x^{i + 1} "
    return result + f"{b[0]:+.2f}"


def get_batch(k, batch_size=32):
    x = make_features(torch.cos(torch.arange(batch_size, dtype=torch.float) * 1.7 + k))
    return x, f(x)


fc = torch.nn.Linear(W_target.size(0), 1)
torch.nn.init.zeros_(fc.weight)
torch.nn.init.zeros_(fc.bias)
for batch_idx in count(1):
    batch_x, batch_y = get_batch(batch_idx)
    fc.zero_grad()
    output = F.smooth_l1_loss(fc(batch_x), batch_y)
    loss = output.item()
    output.backward()
    for param in fc.parameters():
        param.data.add_(-0.1 * param.grad)
    if batch_idx % 50 == 0:
        print(f"{batch_idx}: {loss:.6f}")
    if loss < 1e-2 or batch_idx == 300:
        break

print(f"loss {loss:.6f} after {batch_idx} batches")
print("learned:\t" + poly_desc(fc.weight.view(-1), fc.bias))
print("actual: \t" + poly_desc(W_target.view(-1), b_target))
