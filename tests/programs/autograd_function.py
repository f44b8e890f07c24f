"""Automatic differentiation, and a function with a derivative of its own."""

import math

import torch
from torch.autograd import Function, Variable

x = torch.ones(5)
y = torch.zeros(3)
w = (torch.arange(15.0).reshape(5, 3) / 10).requires_grad_()
b = torch.tensor([0.1, -0.2, 0.3], requires_grad=True)
z = torch.matmul(x, w) + b
loss = torch.nn.functional.binary_cross_entropy_with_logits(z, y)
print(loss.grad_fn is not None, z.requires_grad, w.is_leaf)
loss.backward()
print(w.grad, b.grad, sep="\n")
with torch.no_grad():
    print((torch.matmul(x, w) + b).requires_grad, z.detach().requires_grad)

inp = torch.eye(4, 5, requires_grad=True)
out = (inp + 1).pow(2).t()
out.backward(torch.ones_like(out), retain_graph=True)
print(f"first call\n{inp.grad}")
out.backward(torch.ones_like(out), retain_graph=True)
inp.grad.zero_()
out.backward(torch.ones_like(out), retain_graph=True)
print(f"after zeroing the gradients\n{inp.grad}")


class Chebyshev3(Function):
    """T₃(x) = 4x³ − 3x."""

    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return 4 * input**3 - 3 * input

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        return grad_output * (12 * input**2 - 3)


dtype = torch.float
device = torch.device("cpu")
x = torch.linspace(-math.pi, math.pi, 500, device=device, dtype=dtype)
y = torch.sin(x)
a = torch.full((), 0.0, device=device, dtype=dtype, requires_grad=True)
b = torch.full((), -1.0, device=device, dtype=dtype, requires_grad=True)
c = torch.full((), 0.3, device=device, dtype=dtype, requires_grad=True)
learning_rate = 2e-5
for t in range(400):
    y_pred = a + b * Chebyshev3.apply(c * x)
    loss = (y_pred - y).pow(2).sum()
    if t % 100 == 99:
        print(t, round(loss.item(), 3))
    loss.backward()
    with torch.no_grad():
        a -= learning_rate * a.grad
        b -= learning_rate * b.grad
        c -= learning_rate * c.grad
        a.grad = None
        b.grad = None
        c.grad = None
print(f"y = {a.item():.4f} + {b.item():.4f} * T3({c.item():.4f} x)")

v = Variable(torch.tensor([2.0, 3.0], dtype=torch.double), requires_grad=True)
(g,) = torch.autograd.grad((v**3).sum(), v, create_graph=True)
print(g, torch.autograd.grad(g.sum(), v)[0], isinstance(v, Variable))
hook = v.register_hook(lambda grad: grad * 2)
(v * v).sum().backward()
hook.remove()
print(v.grad, torch.is_grad_enabled())
try:
    (v * v).backward()
except RuntimeError as error:
    print(str(error)[:52])
