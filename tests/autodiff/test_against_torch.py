"""Every operation beside PyTorch's: values, dtypes, shapes, gradients, and which calls are errors.

A row is one or several spellings of a call, written with `m` for the module and `F` for its
nn.functional, and with names that say what is drawn for them (see `Drawn`). Both libraries evaluate it
on the same numbers.
"""

from __future__ import annotations

import ast
import copy
import math
import re
import warnings
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import autodiff as ad
import nn.functional

torch = pytest.importorskip(
    "torch", reason="compares with PyTorch, which is not installed: pip install torch"
)
torch.set_num_threads(1)

# fmt: off
UNARY = """abs sign exp expm1 log log1p log2 log10 sqrt rsqrt square reciprocal sin cos tan asin acos atan sinh
cosh tanh sigmoid erf floor ceil round trunc neg isnan isinf isfinite logical_not"""
BINARY = "add mul div atan2 maximum minimum logical_and logical_or logical_xor remainder fmod floor_divide pow eq ne lt le gt ge"
WHOLE = "amax amin all any"  # over one dimension, several, or all
ALONG = "sum mean prod var std amax amin all any argmax argmin max min"

ELEMENTWISE = [f"m.{name}(x); x.{name}()" for name in UNARY.split()] + [
    f"m.{name}(a, b); a.{name}(b)" for name in BINARY.split()] + """
a + b; a * b; a / b
a - b; m.sub(a, b); a.sub(b)
a % b; a // b
a ** b
a == b; a != b; a < b; a <= b; a > b; a >= b
a & b; a | b; a ^ b
~x
-x
abs(x); +x
x + n; n + x; x * n; n * x
x - n; n - x
x / n; n / x
x % n; x // n; n % x; n // x
x.fmod(n); m.fmod(x, n)
x ** n; m.pow(x, n); x.pow(n)
n ** x
x == n; x != n; x > n; n < x; x <= n
m.add(i, j, alpha=k); m.sub(i, j, alpha=k); i.add(j, alpha=2)
m.add(f, g, alpha=number); f.sub(g, alpha=number)
m.div(a, b, rounding_mode='floor'); a.div(b, rounding_mode='trunc')
m.clamp(x, n); x.clamp(max=n); m.clamp(x, min=n)
m.clamp(x, 0, n); x.clamp(min=n, max=1.5); m.clamp(x, None, n)
m.clamp(f, g, h); f.clamp(min=g); f.clamp(max=h)
m.relu(x); x.relu()
F.softplus(f)
m.where(a > 0, b, c)
m.where(mask, x, y); x.where(mask, y)
m.where(mask, x, n); m.where(mask, n, x); x.where(mask, n)
m.where(x > 0, n, number)
m.where(x); m.where(x > 0)
m.isclose(f, g); m.allclose(f, g); m.isclose(f, g, rtol=1.0, atol=abs(number)); f.isclose(f, equal_nan=flag)
m.equal(x, y); x.equal(x)
m.round(f, decimals=k)
m.lerp(f, f, number) if f.dtype == h.dtype else f; m.lerp(f, h.to(f.dtype), 0.25); f.lerp(h.to(f.dtype), h.to(f.dtype))
m.addcmul(f, f, h.to(f.dtype), value=number); h.addcmul(h, h); m.addcdiv(f, f, h.to(f.dtype), value=2); m.addcdiv(i, i, i)
m.nan_to_num(x); f.nan_to_num(1.5); m.nan_to_num(f, nan=number, posinf=2.0, neginf=-2.0)
m.xlogy(f, h); f.xlogy(2.0); m.xlogy(f, n)
x.greater(n); x.less_equal(y); x.not_equal(y); m.is_floating_point(x); m.numel(x); m.is_nonzero(x)
""".strip().splitlines()

REDUCTIONS = [f"m.{name}(x); x.{name}()" for name in ALONG.split()] + [
    f"m.{name}(x, d); x.{name}(d, flag); x.{name}(dim=d, keepdim=flag); m.{name}(x, axis=d)" for name in ALONG.split()] + [
    f"m.{name}(x, ds); x.{name}(dim=ds, keepdim=flag)" for name in ["sum", "mean", "var", "std", "amax", "amin", "all", "any", "logsumexp"]] + """
x.sum(None); x.sum(dim=None, keepdim=flag); x.all(()); x.any(dim=[])
m.sum(x, dtype=dt); m.sum(x, d, dtype=dt); x.sum(d, flag, dtype=dt); x.prod(d, dtype=dt); x.prod(dtype=dt)
m.mean(x, dtype=m.float64); x.mean(d, dtype=m.float32)
m.var(x, unbiased=flag); x.std(flag); m.std(x, d, unbiased=flag); x.var(d, correction=int(flag)); m.std(x, ds, correction=0)
m.norm(f); f.norm(p); f.norm(p, d); m.norm(f, p, d, flag); f.norm(p=p, dim=ds, keepdim=flag); f.norm(dim=d)
m.logsumexp(x, d); x.logsumexp(d, flag)
m.softmax(f, d); f.softmax(dim=d); f.log_softmax(d); m.log_softmax(f, d); m.softmax(x, d, dtype=m.float64)
m.cumsum(x, d); x.cumsum(dim=d); m.cumsum(x, d, dtype=dt)
m.cumprod(x, d); x.cumprod(dim=d)
x.max(d).values; x.min(d, flag).indices; m.max(x, d)[0]
m.max(a, b); m.min(a, b)
x.argmax(dim=None, keepdim=flag)
m.var_mean(f); m.var_mean(f, d, unbiased=flag); m.std_mean(f, d, correction=0, keepdim=flag); m.std_mean(f, flag)
m.nansum(x); x.nansum(d, flag); m.nanmean(f); f.nanmean(d, keepdim=flag); m.nanmean(x)
m.count_nonzero(x); x.count_nonzero(d); m.count_nonzero(x, dim=ds)
m.aminmax(f1); f1.aminmax(dim=d, keepdim=flag); m.aminmax(x, dim=d).max
m.dist(f, h); f.dist(h, p) if p not in ('fro', None) else f; m.dist(f, g, 1.0)
m.cdist(M.double(), N.t().double()); m.cdist(M.double(), M.double() + 1, p=1.0)
m.median(distinct); distinct.median(d); m.median(distinct, dim=d, keepdim=flag).values; m.median(f * math.nan)
m.kthvalue(distinct, k, d); distinct.kthvalue(1); distinct.kthvalue(k, dim=d, keepdim=flag).indices
""".strip().splitlines()

SHAPES = """
x.reshape(s); m.reshape(x, s); x.reshape(shape=s)
x.view(s); x.view(size=s)
x.t().view(s); x.mT.contiguous().view(s); x.permute(ds).contiguous().view(-1)
x.view_as(y); x.reshape_as(y)
m.flatten(x); x.flatten(d, d2); m.flatten(x, start_dim=d); x.ravel()
x1.unflatten(d, s); m.unflatten(x1, d, (1, -1))
x.squeeze(); x.squeeze(d); m.squeeze(x, ds); x.squeeze(dim=d)
x.unsqueeze(d); m.unsqueeze(x, dim=-1)
x.transpose(d, d2); m.transpose(x, d, d2); x.swapaxes(d, d2)
x.permute(ds); m.permute(x, ds); x.permute(dims=ds)
x.permute(2, 0, 1)
x.T if x.ndim == 2 else x; x.mT; x.t(); m.t(x)
x.expand(e); m.broadcast_to(x, e); x.expand(size=e); x.broadcast_to(e)
x.expand(2, *x.shape); x.expand_as(y)
x.repeat(reps); x.repeat(repeats=reps)
x.tile(reps); m.tile(x, reps); x.tile(dims=reps)
x.repeat_interleave(k); m.repeat_interleave(x1, k, d); x1.repeat_interleave(k, dim=d)
m.repeat_interleave(x1, counts, dim=d)
m.movedim(x, d, d2); x.movedim(ds, ds)
m.flip(x, ds); x.flip(dims=ds); x.flip(d)
m.roll(x1, k); x1.roll(k, d); x1.roll(shifts=k, dims=d); x1.roll((k, 1), (d, d2)); m.roll(x1, (k,), ()); x1.roll((1,), ds)
m.cat([x, y], d); m.cat((x, y, x), dim=d); m.concat([x, y])
m.cat([m.zeros(0), x], d)
m.stack([x, y], d); m.stack((x, y, y), dim=-1)
m.split(x, 2, d); x.split(k, dim=d); x.split([1, 2], d)
m.chunk(x, 2, d); x.chunk(k, dim=d); x.chunk(3)
m.unbind(x, d); x.unbind()
m.meshgrid(w, w, indexing='ij'); m.meshgrid([w, w], indexing='xy'); m.meshgrid(w, w, w, indexing='xy')
m.tril(x); x.triu(offset); m.tril(x, diagonal=offset)
m.diagonal(x); x.diagonal(offset); m.diagonal(x, offset, d, d2); x.diagonal(dim1=d, dim2=d2)
m.diag(x); x.diag(offset)
F.pad(x, pads); F.pad(x, (1, 2), value=3); F.pad(x, (1, 2), 'constant', n)
F.pad(f1, (k, k), mode='reflect'); F.pad(f1, (k, 1), mode='replicate'); F.pad(f1, (k, 2), mode='circular')
F.pad(f1, (1, 1, 0, k), mode='reflect'); F.pad(f1, (1, 1, 0, k), mode='circular')
F.pad(m.stack([f1, f1 + 1, f1 + 2], -1), (-1, 2), mode='circular') if f1.ndim == 1 else f1
x.clone(); x.detach(); x.contiguous(); x.data
m.hstack([x, y]); m.vstack((x, y)); m.dstack([x, y]); m.column_stack([x, y, x])
m.atleast_1d(x); m.atleast_2d(x, y); m.atleast_3d(x); m.atleast_3d([x, y])
m.broadcast_tensors(a, b); m.broadcast_tensors(a, b, c)
x.fliplr(); m.flipud(x); m.rot90(x); x.rot90(offset); m.rot90(x, k, (d, d2))
m.tensor_split(x, k, d); x.tensor_split((1, 2), dim=d); m.tensor_split(x, [k, offset, 5])
m.cartesian_prod(w, w); m.cartesian_prod(w); m.trace(M); m.trace(x); x.moveaxis(d, d2); m.swapdims(x, d, d2)
""".strip().splitlines()

INDEXING = """
x[index]; put(x, index, n); put(x, index, o)
put(x, index, x[index] * 2)
x[..., 0]; x[None]; x[:, None]; x[-1:]; x[1:3, ::2]
x1[offset]; put(x1, offset, n)
x[mask]; x[x > 0]; put(x, mask, n); put(x, x > 0, y)
x1[v0]; x1[v0, None]; x1[None, v0]; put(x1, v0, 2)
put(x, slice(0, 2), y)
put(x, ..., n); put(x, None, y)
x.select(d, offset); m.select(x, d, 0)
m.narrow(x, d, offset, k); x.narrow(dim=d, start=0, length=k)
m.take(x, flat); x.take(flat)
m.gather(x, d, at); x.gather(dim=d, index=at)
m.scatter(x, d, place, src); x.scatter(dim=d, index=place, src=src)
x.scatter(d, at, n); x.scatter(d, at, value=1)
m.scatter(x, d, at, n, reduce='multiply'); x.scatter(d, at, src, reduce='add'); x.scatter(d, at, 1, reduce='add')
x.detach().scatter(d, at, src.detach(), reduce='multiply'); x.byte().scatter(d, at, src.byte(), reduce='multiply')
m.scatter_add(x, d, at, src); x.scatter_add(dim=d, index=at, src=src)
m.index_select(x1, d, v); x1.index_select(dim=d, index=v)
m.index_add(x1, d, v, rows); x1.index_add(d, v, rows, alpha=2) if x1.dtype != m.bool else x1
m.masked_fill(x, mask, n); x.masked_fill(mask, 1.5); x.masked_fill(mask, o)
m.masked_select(x, mask); x.masked_select(mask)
m.take_along_dim(f, at, d); m.take_along_dim(x1, m.argsort(x1, d), d)
F.one_hot(classes); F.one_hot(classes, 4); F.one_hot(classes, num_classes=2)
m.nonzero(x); x.nonzero(as_tuple=True); m.argwhere(x); x.argwhere()
x1.index_fill(d, v, n); m.index_fill(x1, d, v, 2); x1.index_copy(d, v[:1], rows[(slice(None),) * (d % x1.ndim) + (slice(0, 1),)])
m.unique(x.detach()); x.detach().unique(return_inverse=True, return_counts=True); m.unique(i, return_counts=True); m.unique(i, dim=d) if i.ndim and len(i) else i
m.bincount(classes); m.bincount(classes.reshape(-1), minlength=k); m.bincount(v, m.ones(k).double()); m.bincount(i)
m.isin(i, j); m.isin(i, 2); m.isin(i, w, invert=flag)
m.sort(x, dim=d, descending=flag, stable=True); x.sort(d).values; x.sort(descending=flag)[0]
m.argsort(x, dim=d, stable=True); x.argsort(dim=d, descending=flag, stable=True)
m.topk(x1, k, d)[0]; x1.topk(1)[0]; x1.topk(k, dim=d, largest=flag).values; m.topk(f1, 1, sorted=True).values
""".strip().splitlines()

CONTRACTIONS = """
A @ B; m.matmul(A, B); A.matmul(B)
m.mm(M, N); M.mm(N)
m.bmm(M[None], N[None]); M[None].bmm(N[None])
m.mv(M, N[:, 0]); M.mv(N[:, 0])
m.dot(w, w); w.dot(w)
m.outer(w, w); w.outer(w)
m.inner(w, w); m.inner(w[:1].int(), w[:1].int()); m.tensordot(i, i[..., None], 0)
m.addmm(M @ N, M, N); m.addmm(m.ones(1, dtype=M.dtype), M, N, beta=2, alpha=3)
m.einsum('ij,jk->ik', M, N); m.einsum('ij,jk', M, N); m.einsum('i j , j k -> i k', [M, N]); m.einsum('Ab,bC->AC', M, N)
m.einsum('ij->ji', M); m.einsum('ij', M); m.einsum('ij->', M); m.einsum('ij->j', M); m.einsum('ijk', M)
m.einsum('i,j->ij', w, w); m.einsum('i,i', w, w); m.einsum('i,i->i', w, w)
m.einsum('...i,...i->...', f, f); m.einsum('...->...', f); m.einsum('...ij->...ji', f)
m.einsum('ii', M); m.einsum('ii->i', M); m.einsum('ij,ij->i', M, M)
m.einsum('ij,jk,jk->i', M, N, N); m.einsum('ij,jk->iz', M, N)
m.einsum('ij,jk->ik', M, M[:1]); m.einsum('ij,ij->j', M[:, :1], M)
m.tensordot(M, N, 1); m.tensordot(M, N, dims=([1], [0])); m.tensordot(f, f, 0)
m.tensordot(M, M, ([0, 1], [0, 1])); m.tensordot(M, M, dims=([0], [1]))
x @ 2
F.linear(M, N.T); F.linear(M, N.T, N.sum(0))
""".strip().splitlines()

IN_PLACE = """
copied(x).zero_(); copied(x).fill_(n); copied(x).fill_(i.sum())
copied(a).add_(b); copied(a).mul_(b); copied(a).copy_(b)
copied(a).div_(b); copied(f).sub_(g)
copied(x).add_(n); copied(x).mul_(n); copied(x).div_(n)
copied(f).add_(g, alpha=2); copied(f).sub_(number, alpha=0.5)
copied(x).clamp_(n); copied(f).clamp_(min=0, max=1)
copied(f).relu_(); copied(f).exp_(); copied(f).sigmoid_(); copied(f).neg_(); copied(f).tanh_(); copied(f).floor_()
copied(x).masked_fill_(mask, n); copied(x).pow_(2)
copied(x1).index_add_(d, v, rows); copied(x).scatter_(d, place, src); copied(x).scatter_add_(d, at, src)
f.add_(1); f.detach().add_(1); f.zero_()
copied(f).sin_(); copied(f).square_(); copied(f).reciprocal_(); copied(f).log1p_(); copied(f).rsqrt_(); copied(f).erf_()
copied(f).clamp_min_(0.5); copied(f).clamp_max_(0.5); copied(f).clip_(-1, 1); copied(f).sign_(); copied(f).absolute_()
copied(f).lerp_(f, 0.25); copied(f).addcmul_(f, f, value=0.5); copied(f).addcdiv_(f, f, value=2); copied(f).nan_to_num_()
copied(x1).index_fill_(d, v, 2); copied(f).remainder_(0.75); copied(i).floor_divide_(2); (x.clone() > 0).logical_not_()
f.clone().detach().unsqueeze_(d); x.detach().clone().squeeze_(); x.detach().clone().squeeze_(d); x.detach().clone().t_()
x.detach().clone().transpose_(d, d2)
m.zeros(2, 3).fill_diagonal_(n); m.zeros(5, 2).fill_diagonal_(2, wrap=flag); m.zeros(3).fill_diagonal_(1); m.zeros(3, 3, 3).fill_diagonal_(1.0)
m.zeros(3, requires_grad=True).unsqueeze_(0); m.zeros(2).random_(5, 5); m.zeros(2).exponential_(-1.0); m.zeros(2).exponential_(2.0).shape
copied(x).requires_grad_(); copied(x).detach().requires_grad_(False); (x * 1).requires_grad_(False)
""".strip().splitlines()

AS_VALUES = """
x.shape; x.size(); x.size(d); x.numel(); x.dim(); x.ndim; x.is_contiguous(); x.is_floating_point(); x.stride()
x.to(dt); x.to(dtype=dt); x.to(y); x.type_as(y); x.to('cpu'); x.to('cpu', dt); x.to(dt, copy=True)
x.type(); x.type(dt); x.type('torch.LongTensor'); x.type(m.FloatTensor); isinstance(x, m.LongTensor); m.typename(x); m.typename(3.0).rpartition('.')[2]
x.cuda(); x.short(); x.char(); x.is_cpu; x.get_device(); x.itemsize; x.nbytes; x.is_cuda; x.nelement(); x.ndimension(); x.element_size()
x.bernoulli().shape; f.sigmoid().nan_to_num().bernoulli().dtype
x.float(); x.double(); x.long(); x.bool(); x.int(); x.half(); x.cpu()
x.item(); x.tolist(); x.is_leaf; x.requires_grad; x.grad
len(x); bool(x); float(x); int(x); [0, 1, 2, 3][x]; list(x); n in x; f'{o:.2f}'
repr(shown); str(shown); f'{shown}'
x.new_zeros(2, 3); x.new_ones((2,)); x.new_tensor([1, 2]); x.new_full((2,), 3)
f.new_zeros(2, device='cpu', requires_grad=True); x.new_tensor([1, 2], dtype=dt, device='cpu'); x.new_empty(2, 3).shape
copy.deepcopy(x); copy.copy(x)
x.numpy().tolist()
""".strip().splitlines()

CREATION = """
m.tensor([1, 2]); m.tensor(2.5); m.tensor([True, False]); m.tensor([[1, 2.5], [3, 4]]); m.tensor([1, True]); m.tensor([])
m.tensor([[], []]); m.tensor(True); m.tensor((1, 2)); m.tensor(range(3)); m.tensor(2**40); m.tensor(1e20)
m.tensor([m.tensor(1.0), m.tensor(2.0)]); m.tensor([m.tensor(1), 2.5]); m.tensor(np.array([1.0, 2.0]))
m.tensor(np.float64(2)); m.tensor(np.float32(2)); m.tensor([np.float64(2), np.float32(3)])
m.tensor([np.array([1., 2.]), np.array([3., 4.])]); m.tensor(np.array([1, 2], np.int32))
m.tensor([1, 2], dtype=dt); m.tensor([1.7, -2.5], dtype=m.int64); m.tensor([1.5], requires_grad=True)
m.tensor([1], requires_grad=True); m.tensor([1, None]); m.tensor('abc'); m.tensor([[1, 2], [3]]); m.tensor({'a': 1})
m.as_tensor([1.5, 2]); m.as_tensor(x); m.as_tensor(x, dtype=dt); m.as_tensor(np.array([1, 2])); m.as_tensor(3)
m.from_numpy(np.array([1.0])); m.from_numpy([1.0])
m.zeros(2, 3); m.zeros((2, 3)); m.zeros([2]); m.zeros(()); m.zeros(2, dtype=dt); m.zeros(size=(2, 3)); m.zeros(-1); m.zeros(2.0)
m.ones(2, 3, requires_grad=True); m.ones((2,), dtype=m.int64); m.ones(m.tensor(2), 3); m.empty(2, 3).shape
m.full((2, 3), 1.5); m.full((2,), 3); m.full((), True); m.full((2,), 3, dtype=dt); m.full([2], fill_value=2.0)
m.full(size=(2,), fill_value=1); m.full((2,), m.tensor(2.5)); m.full((2,), math.inf)
m.arange(5); m.arange(5.0); m.arange(1, 4); m.arange(1, 4, 2); m.arange(0, 1, 0.25); m.arange(5, 0, -2); m.arange(3, dtype=dt)
m.arange(start=1, end=3); m.arange(end=3); m.arange(0, 5, 0); m.arange(5, 0); m.arange(1, 5, -1); m.arange(0.5, 3)
m.arange(m.tensor(3)); m.arange(3, requires_grad=True); m.arange(3.0, requires_grad=True); m.arange(0, 1, 0.1)
m.linspace(0, 1, 5); m.linspace(0, 1, 1); m.linspace(0, 1, 0); m.linspace(start=-1, end=1, steps=4); m.linspace(0, 1, -1)
m.linspace(0, 10, 3, dtype=m.int64); m.linspace(3, -2, 7, dtype=m.int64); m.linspace(0, 1, 3, dtype=m.float64)
m.eye(3); m.eye(2, 3); m.eye(3, dtype=dt); m.eye(0)
m.zeros_like(x); m.ones_like(x, dtype=dt); m.full_like(x, 2); m.full_like(x, n); m.zeros_like(f, requires_grad=True)
m.rand(2, 3).shape; m.rand((2,)).dtype; m.randn(2, 3, dtype=m.float64).dtype; m.randn(2, requires_grad=True).requires_grad
m.randint(3, (2, 2)).dtype; m.randint(0, 1, (2, 2)); m.randint(low=0, high=3, size=(2,)).shape; m.randint(5, 5, (2,))
m.randint(high=3, size=(2,)).shape; m.randint(3, (2,), dtype=m.float32).dtype
m.randperm(5).sort()[0]; m.randperm(0); m.randperm(4, dtype=m.int32).dtype; m.rand_like(f).dtype; m.randn_like(f).shape
m.logspace(0, 2, 3); m.logspace(0, 3, 4, base=2); m.logspace(0, 1, 0, dtype=m.float64); m.asarray([1, 2]); m.asarray([1.5], dtype=m.float64)
m.tril_indices(2, 3); m.triu_indices(3, 3, 1); m.triu_indices(3, 2, offset=-1); m.tril_indices(2, 2, dtype=m.int32)
m.Tensor([1, 2]); m.Tensor([[1, 2], [3, 4]]); m.Tensor(2, 3).shape; m.Tensor(2, 3).dtype; m.Tensor(x.size()).shape; m.Tensor([True]); m.Tensor()
m.Tensor(-1, 2); m.FloatTensor([1, 2]); m.LongTensor([1.5, 2]); m.LongTensor(2, 3).shape; m.DoubleTensor([[1], [2]]); m.BoolTensor([0, 2])
m.FloatTensor(2).shape; m.ByteTensor([1, 255]); m.IntTensor([]); m.FloatTensor(); m.ShortTensor((1, 2)); m.CharTensor([-1]); m.HalfTensor([0.5])
m.promote_types(m.int32, m.float16); m.promote_types(m.uint8, m.int8); m.promote_types(m.bool, m.int64); m.result_type(x, n); m.result_type(x, y); m.result_type(2, 2.5)
m.can_cast(m.float64, m.float32); m.can_cast(m.float32, m.int64); m.can_cast(m.bool, m.uint8); m.broadcast_shapes((2, 1), (3,)) == (2, 3)
m.broadcast_shapes((2,), (3,)); m.randint_like(f, 5).dtype; m.randint_like(i, 2, 4).shape; m.randint_like(f, 5, 5)
m.normal(0.0, -1.0, (2,)); m.normal(f, 2.0).shape; m.normal(f, abs(f)).shape; m.normal(2.0, 3.0, size=(2,)).shape; m.normal(f).dtype
m.bernoulli(m.tensor([0.0, 1.0])); m.bernoulli(m.tensor([2.0])); m.bernoulli(f, 0.5).shape; m.bernoulli(f.detach(), p=1.0)
m.multinomial(m.tensor([0.0, 1.0]), 1); m.multinomial(m.tensor([[0.0, 0.0, 3.0]]), 4, replacement=True); m.multinomial(m.tensor([1.0, 0.0]), 2)
m.multinomial(m.tensor([0.0, 0.0]), 1); m.multinomial(m.tensor([-1.0, 2.0]), 1); m.multinomial(m.tensor([1.0, 2.0]), 3); m.multinomial(m.tensor([1, 2]), 1)
m.multinomial(m.ones(2, 3), 3).sort(1)[0]; m.multinomial(m.tensor([1.0]), 0); m.multinomial(m.tensor([math.inf, 1.0]), 1)
m.zeros_like(x, device='cpu'); m.full_like(x, 2, device='cpu'); m.rand_like(f, device='cpu').shape; m.empty_like(x, device='cpu').shape
m.ones_like(x, device='cpu'); m.randn_like(f, device='cpu').dtype; m.rand(2, device='cpu').shape; m.randperm(0, device='cpu')
m.get_default_dtype(); m.zeros(2).dtype; m.float32; m.zeros(2).device.type; m.is_tensor(3)
seeded(m, lambda: m.rand(2)); seeded(m, lambda: m.randperm(9)); seeded(m, lambda: m.randint(9, (3,)))
""".strip().splitlines()
# fmt: on

DTYPES = ("float32", "float64", "int64", "bool")
SPECIAL = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-30, 0.5])


# ---- what is drawn for each name -----------------------------------------------------------------------


class World:
    """Shapes, dtypes and numbers for one example. Now and then the arguments do not fit, so that errors
    are compared too."""

    def __init__(self, data, special):
        self.draw = draw = data.draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.kind = draw(st.sampled_from(["plain", "plain", "whole", "positive"] + ["special"] * special))
        self.unfit = draw(st.integers(0, 7)) == 7
        self.shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
        self.filled = tuple(max(n, 1) for n in self.shape) or (2,)
        self.ndim = max(len(self.shape), 1)
        self.found = {}

    def __getitem__(self, name):
        if name not in self.found:
            self.found[name] = ARGUMENTS[name](self)
        return self.found[name]

    def pick(self, *choices):
        return self.draw(st.sampled_from(choices))

    def other(self, shape):
        """`shape`, or sometimes another."""
        return self.draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=3)) if self.unfit else shape

    def array(self, shape, *dtypes):
        dtype = np.dtype(self.pick(*(dtypes or DTYPES)))
        if dtype.kind == "b":
            return np.asarray(self.rng.random(shape) < 0.5)
        if dtype.kind in "iu" or self.kind == "whole":
            return np.asarray(self.rng.integers(-2, 4, shape)).astype(dtype)
        x = self.rng.choice(SPECIAL, shape) if self.kind == "special" else self.rng.standard_normal(shape)
        return np.asarray(abs(x) + 0.1 if self.kind == "positive" else x).astype(dtype)

    def indices(self, low, high, shape):
        """Integers in [low, high), and a few that lie outside."""
        if self.unfit:
            low, high = low - 1, high + 1
        shape = shape if high > low else (0,) * len(shape)
        return np.asarray(self.rng.integers(low, max(high, low + 1), shape))

    def dim(self):
        return self.draw(st.integers(-self.ndim - self.unfit, self.ndim - 1 + self.unfit))

    def size(self, name):
        """The size of x or x1 along d; 1 where there is no such dimension."""
        shape = self.shape if name == "x" else self.filled
        return shape[self["d"]] if -len(shape) <= self["d"] < len(shape) else 1

    def part(self, shape):
        """A shape that fits into `shape`, not empty if that is not."""
        return tuple(self.draw(st.integers(min(n, 1), n)) for n in shape)


def broadcastable(w):
    if w.unfit:
        return [w.other(w.shape) for _ in "abc"]
    sides = dict(max_dims=3, max_side=3, min_side=0)
    return w.draw(hnp.mutually_broadcastable_shapes(num_shapes=3, **sides)).input_shapes


def multipliable(w):
    if w.unfit:
        return [w.other(w.shape) for _ in "AB"]
    found = hnp.mutually_broadcastable_shapes(
        signature="(m?,n),(n,p?)->(m?,p?)", max_dims=2, max_side=3, min_side=0
    )
    return w.draw(found).input_shapes


def unique_places(w):
    """An index along d in which no place occurs twice: which of several writes stays is not said."""
    shape = w["at"].shape
    if not shape or w.unfit:
        return w["at"]
    lines = w.rng.random((*shape[: w["d"] % len(shape)], w.size("x"), *shape[w["d"] % len(shape) + 1 :]))
    order = np.argsort(lines, w["d"])
    return order[tuple(slice(n) for n in shape)]


def any_index(w):
    shape = w.shape
    if not shape:
        return w.pick((), None, ..., (None, ...), 0)
    kinds = [
        hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True),
        hnp.arrays(bool, shape),
        hnp.arrays(bool, shape[:1]),
        st.sampled_from([None, ..., [0], [0, -1], (slice(None), 0), (..., [0]), True, False, ([0], slice(None), [0]),
                         (slice(None, None, 2),), ([[0], [-1]], 0)]),
    ]  # fmt: skip
    if 0 not in shape:
        kinds.append(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3)))
        kinds += [mixed_index(shape)] * 2
    return w.draw(st.one_of(kinds))


@st.composite
def mixed_index(draw, shape):
    """Numbers, slices and arrays for some of the dimensions, with None and "..." between them."""
    entries = [0, -1, slice(None), slice(-1, None), [0, -1], [-1], np.array([[0], [-1]]), np.array(-1)]
    index: list = draw(st.lists(st.sampled_from(entries), max_size=len(shape)))
    for new in draw(st.lists(st.sampled_from([None, True]), max_size=2)) + draw(
        st.lists(st.just(...), max_size=1)
    ):
        index.insert(draw(st.integers(0, len(index))), new)
    return tuple(index)


FLOATS = ("float32", "float64")
ARGUMENTS = {
    # tensors of any dtype: y has x's shape, a, b and c broadcast, x1 has elements
    "x": lambda w: w.array(w.shape),
    "y": lambda w: w.array(w.other(w.shape)),
    "x1": lambda w: w.array(w.filled),
    "shapes": broadcastable,
    "a": lambda w: w.array(w["shapes"][0]),
    "b": lambda w: w.array(w["shapes"][1]),
    "c": lambda w: w.array(w["shapes"][2]),
    "o": lambda w: w.array((), w["x"].dtype),
    "shown": lambda w: w.array(w.filled, "float32", "int64", "bool"),
    # floating ones of x's shape, integer ones, vectors, matrices that can be multiplied
    "f": lambda w: w.array(w.shape, *FLOATS),
    "f1": lambda w: w.array(w.filled, *FLOATS),
    "g": lambda w: w.array(w.other(w.shape), *FLOATS),
    "h": lambda w: w.array(w.shape, *FLOATS),
    "i": lambda w: w.array(w.shape, "int64"),
    "j": lambda w: w.array(w.other(w.shape), "int64"),
    "distinct": lambda w: np.asarray(w.rng.permutation(math.prod(w.filled)).reshape(w.filled)).astype(w.pick(*FLOATS, "int64")),
    "w": lambda w: w.array(w.filled[:1], *FLOATS, "int64"),
    "product": lambda w: (multipliable(w), w.pick(*FLOATS, "int64")),
    "A": lambda w: w.array(w["product"][0][0], w["product"][1]),
    "B": lambda w: w.array(w["product"][0][1], w["product"][1]),
    "M": lambda w: w.array((w.draw(st.integers(0, 3)), w.draw(st.integers(0, 3))), *FLOATS, "int64"),
    "N": lambda w: w.array((w["M"].shape[1] + w.unfit, w.draw(st.integers(0, 3))), w["M"].dtype),
    # numbers and options
    "n": lambda w: w.pick(2, 0, -1, 3, 1.5, -0.5, 0.0, 2.0, True, False, 1, 0.5),
    "number": lambda w: w.pick(1.5, -0.5, 0.0, 2.0, 1.0),
    "k": lambda w: w.draw(st.integers(0, 3)),
    "offset": lambda w: w.draw(st.integers(-3, 3)),
    "p": lambda w: w.pick(0, 1, 2, 3, math.inf, -math.inf, 0.5, "fro", 2.0, -1, None, 1.5),
    "flag": lambda w: w.draw(st.booleans()),
    "dt": lambda w: w.pick(*DTYPES, "int32", "uint8", "float16"),
    # dimensions and shapes
    "d": World.dim,
    "d2": World.dim,
    "ds": lambda w: w.pick(tuple, list)(w.draw(hnp.valid_tuple_axes(w.ndim, min_size=1))),
    "s": lambda w: w.pick((-1,), (math.prod(w.shape),), (1, -1), (2, -1), (-1, 3), (0, -1), (), (-1, -1), (2, 2), (-2, 3)),
    "e": lambda w: (*w.pick((), (2,), (0,), (1, 2)), *(w.pick(n, -1, n, 2 if n == 1 or w.unfit else n) for n in w.shape)),
    "reps": lambda w: tuple(w.draw(st.integers(0, 2)) for _ in range(len(w.shape) + w.pick(0, 1) - w.unfit)),
    "counts": lambda w: w.rng.integers(0, 3, w.size("x1")),
    "pads": lambda w: tuple(w.draw(st.lists(st.integers(-1, 2), max_size=6))),
    # indices
    "index": any_index,
    "mask": lambda w: np.asarray(w.rng.random(w.other(w.shape)) < 0.5),
    "v": lambda w: w.indices(0, w.size("x1"), (w["k"],)),
    "v0": lambda w: w.indices(-w.filled[0], w.filled[0], (w["k"],)),
    "rows": lambda w: w.array([len(w["v"]) if k == w["d"] % w.ndim else n for k, n in enumerate(w.filled)], w["x1"].dtype),
    "at": lambda w: w.indices(0, w.size("x"), w.other(w.part(w.shape))),
    "place": unique_places,
    "src": lambda w: w.array(w.other(w["at"].shape), w["x"].dtype),
    "flat": lambda w: w.indices(-math.prod(w.shape), math.prod(w.shape), w.shape),
    "classes": lambda w: np.asarray(w.rng.integers(0, 3, w.shape)),
}  # fmt: skip


# ---- one spelling in both libraries ----------------------------------------------------------------------


def put(x, index, value):
    y = x.clone()
    y[index] = value
    return y


def copied(x):
    """x with memory of its own, in the graph where x is."""
    return x * 1 if x.is_floating_point() else x.clone()


def seeded(m, draw):
    m.manual_seed(3)
    first = draw()
    m.manual_seed(3)
    return first.equal(draw())


HELPERS = {"np": np, "math": math, "copy": copy, "put": put, "copied": copied, "seeded": seeded}


@cache
def compiled(spelling):
    names = {node.id for node in ast.walk(ast.parse(spelling)) if isinstance(node, ast.Name)}
    return compile(spelling, spelling, "eval"), sorted(names & ARGUMENTS.keys())


def argument(m, name, value, tracked):
    """What is drawn, for the library `m`."""
    if name == "dt":
        return getattr(m, value)
    if isinstance(value, np.ndarray):
        t = m.tensor(value.copy())
        return t.requires_grad_() if tracked and value.dtype.kind == "f" else t
    if isinstance(value, tuple) and m is torch:
        return tuple(torch.tensor(e) if isinstance(e, np.ndarray) else e for e in value)
    return value


def evaluated(m, functions, code, values, tracked):
    """(result, error, leaves)."""
    arguments = {name: argument(m, name, v, name in tracked) for name, v in values.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if m is torch else "error")
        warnings.filterwarnings("ignore", "Converting a tensor with requires_grad=True")  # PyTorch's, too
        try:
            result = eval(code, {"m": m, "F": functions, **HELPERS, **arguments})
        except (Warning, NameError):  # a mistake of the row, or of ours
            raise
        except Exception as error:
            return None, error, {}
    leaves = {n: t for n, t in arguments.items() if getattr(t, "requires_grad", False) is True}
    return result, None, leaves


# where PyTorch has no kernel or refuses to mix dtypes, we may answer
GIVES_MORE = "not implemented|ot support|did not match|same dtype|Boolean alpha|expected scalar type|one of|dtypes match"
WELL_KNOWN = [
    r"Dimension out of range", r"shape '.*' is invalid for input of size \d+", r"out of bounds", r"out of range",
    r"The size of tensor a \(\d+\) must match the size of tensor b \(\d+\) at non-singleton dimension \d+",
    r"mat1 and mat2 shapes cannot be multiplied \(.*\)", r"The expanded size of the tensor", r"cannot be concatenated",
    r"doesn't match the broadcast shape", r"can't be cast to the desired output type", r"does not require grad",
    r"only one dimension can be inferred", r"too many indices", r"appears multiple times", r"Expected reduction dim",
    r"leaf Variable that requires grad", r"Integers to negative integer powers", r"could not infer output dtype",
    r"is ambiguous", r"cannot be converted to Scalar", r"view size is not compatible", r"shape mismatch",
    r"must be greater or equal to the number of dimensions", r"Only Tensors of floating point", r"ZeroDivisionError",
    r"Sizes of tensors must match except in dimension", r"must have same number of dimensions", r"non-empty",
    r"sum exactly", r"Could not infer dtype", r"at least 2 dimensions", r"invalid index of a 0-dim tensor",
    r"The shape of the mask .* does not match the shape of the indexed tensor", r"cannot be identical",
    r"Trying to backward", r"exceeds dimension size", r"equal size", r"contracted dimensions need to match",
    r"does not broadcast with previously seen size", r"only one element tensors can be converted",
]  # fmt: skip


def check_errors(ours, theirs):
    if theirs is None:
        raise AssertionError(f"PyTorch takes it, and we raise {ours!r}") from ours
    if isinstance(theirs, NotImplementedError) or re.search(GIVES_MORE, str(theirs)):
        return
    assert ours is not None, f"PyTorch raises {theirs!r}, and we do not"
    if not isinstance(ours, type(theirs)):
        raise AssertionError(f"PyTorch raises {theirs!r}, and we {ours!r}") from ours
    for phrase in WELL_KNOWN:
        if re.search(phrase, str(theirs)):
            assert re.search(phrase, str(ours)), f"PyTorch says {str(theirs)!r}, and we {str(ours)!r}"


def check_same(ours, theirs, eps, what="the result"):
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, ad.Tensor), (what, type(ours))
        assert tuple(ours.shape) == tuple(theirs.shape), (what, ours.shape, theirs.shape)
        assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch."), (what, ours.dtype, theirs.dtype)
        assert ours.requires_grad == theirs.requires_grad, (what, "requires_grad", theirs.requires_grad)
        check_numbers(ours.detach().numpy(), theirs.detach().numpy(), eps, what)
    elif isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs), (what, len(ours), len(theirs))
        for a, b in zip(ours, theirs, strict=True):
            check_same(a, b, eps, what)
    elif isinstance(theirs, float):
        assert type(ours) is float
        check_numbers(ours, theirs, eps, what)
    elif isinstance(theirs, torch.dtype):
        assert str(ours) == str(theirs).removeprefix("torch.")
    else:
        assert type(ours) is type(theirs) and ours == theirs, (what, ours, theirs)


def check_numbers(ours, theirs, eps, what):
    np.testing.assert_allclose(ours, theirs, rtol=eps, atol=eps, err_msg=what)


def tensors_in(result, kind):
    if isinstance(result, kind):
        yield result
    elif isinstance(result, (tuple, list)):
        for each in result:
            yield from tensors_in(each, kind)


PRECISION = {"float16": 2e-2, "float32": 1e-4, "float64": 1e-9}


def compare(w, spelling):
    code, names = compiled(spelling)
    values = {name: w[name] for name in names}
    tracked = [name for name in names if w.draw(st.booleans())]
    theirs, their_error, their_leaves = evaluated(torch, torch.nn.functional, code, values, tracked)
    ours, our_error, our_leaves = evaluated(ad, nn.functional, code, values, tracked)
    if our_error is not None or their_error is not None:
        check_errors(our_error, their_error)
        return
    results = [*tensors_in(theirs, torch.Tensor)]
    dtypes = [str(t.dtype).removeprefix("torch.") for t in [*results, *their_leaves.values()]]
    eps = max([PRECISION.get(dtype, 0) for dtype in dtypes], default=0) or 1e-4
    check_same(ours, theirs, eps)

    pairs = [(a, b) for a, b in zip(tensors_in(ours, ad.Tensor), results, strict=True) if b.requires_grad]
    if not pairs:
        return
    cotangents = [np.asarray(w.rng.standard_normal(a.shape)).astype(a.dtype) for a, _ in pairs]
    try:
        torch.autograd.backward([b for _, b in pairs], [torch.tensor(g) for g in cotangents])
    except RuntimeError:
        return  # PyTorch has no derivative here
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ad.autograd.backward([a for a, _ in pairs], [ad.Tensor(g) for g in cotangents])
    for name, leaf in their_leaves.items():
        g, expected = our_leaves[name].grad, leaf.grad
        if expected is None:
            assert g is None or not g.array.any(), f"the gradient of {name}"
        else:
            check_same(g, expected, eps, f"the gradient of {name}")


def table(rows, special=False):
    """A test of each row."""

    def decorator(_):
        @pytest.mark.parametrize("row", rows)
        @settings(max_examples=max(10, settings.default.max_examples // 3))
        @given(data=st.data())
        def test(row, data):
            w = World(data, special)
            for spelling in row.split("; "):
                compare(w, spelling)

        return test

    return decorator


test_elementwise = table(ELEMENTWISE, special=True)(None)
test_reductions = table(REDUCTIONS)(None)
test_shapes = table(SHAPES)(None)
test_indexing = table(INDEXING)(None)
test_contractions = table(CONTRACTIONS)(None)
test_in_place = table(IN_PLACE)(None)
test_as_python_values = table(AS_VALUES)(None)
test_creation = table(CREATION)(None)
