"""What a first lesson on tensors shows: making them, looking at them, computing, sharing memory with NumPy."""

import numpy as np
import torch

data = [[1, 2], [3, 4]]
x_data = torch.tensor(data)
np_array = np.array(data)
x_np = torch.from_numpy(np_array)
x_ones = torch.ones_like(x_data)
x_rand = torch.rand_like(x_data, dtype=torch.float)
print(f"ones:\n{x_ones}\n")
print(x_rand.shape == x_data.shape, x_rand.dtype, bool((x_rand >= 0).all() and (x_rand < 1).all()))

shape = (2, 3)
print(torch.ones(shape), torch.zeros(shape), torch.rand(shape).size(), sep="\n")

tensor = torch.arange(12.0).reshape(3, 4)
print(f"shape: {tensor.shape}, datatype: {tensor.dtype}, stored on: {tensor.device}")
if torch.accelerator.is_available():
    tensor = tensor.to(torch.accelerator.current_accelerator())
print(f"first row: {tensor[0]}, first column: {tensor[:, 0]}, last column: {tensor[..., -1]}")
tensor[:, 1] = 0
print(tensor)
print(torch.cat([tensor, tensor, tensor], dim=1).shape, torch.stack([tensor, tensor]).shape)

y1 = tensor @ tensor.T
y2 = tensor.matmul(tensor.T)
y3 = torch.rand_like(y1)
torch.matmul(tensor, tensor.T, out=y3)
print(torch.equal(y1, y2), torch.allclose(y1, y3), y3)
z1 = tensor * tensor
z2 = tensor.mul(tensor)
z3 = torch.rand_like(tensor)
torch.mul(tensor, tensor, out=z3)
print((z1 == z2).all().item(), (z1 == z3).all().item(), z3.sum().item())

agg = tensor.sum()
agg_item = agg.item()
print(agg_item, type(agg_item))
tensor.add_(5)
print(tensor, tensor.mean(dim=0), tensor.std(dim=1, keepdim=True), sep="\n")

t = torch.ones(5)
n = t.numpy()
t.add_(1)
print(f"t: {t}, n: {n}")
n = np.ones(5)
t = torch.from_numpy(n)
np.add(n, 1, out=n)
print(f"t: {t}, n: {n}")

a = torch.arange(6).view(2, 3)
print(a.permute(1, 0), a.flatten().tolist(), a.unsqueeze(0).squeeze(0).shape, *a.max(dim=1), sep="\n")
print(a[a > 2], a.float().norm(), torch.where(a > 2, a, -a), a.to(torch.float64).dtype, a.long().dtype)
print(torch.linspace(0, 1, 5), torch.eye(2), torch.full((2,), 7), torch.randperm(4).sort().values)
print(torch.einsum("ij,kj->ik", a.float(), a.float()), a.sum(0), a.cumsum(1), a.argmax(), torch.pi)
print(
    isinstance(a, torch.Tensor), torch.is_tensor(a), a.numel(), a.ndim, a.is_contiguous(), a.T.is_contiguous()
)
print(f"{torch.finfo(torch.float32).eps:.3g}", torch.iinfo(torch.int32).max, torch.float32 == a.float().dtype)
