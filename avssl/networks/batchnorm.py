"""Batch norms over the whole batch of several processes, and separate batch norms for each of several tasks."""

from __future__ import annotations

import copy
import sys
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def share_batch_statistics(module: nn.Module, device: torch.device) -> None:
    """Convert the batch norms within ``module``, in place; its weights and the names in its state stay."""
    if device.type == "cpu":
        for layer in module.modules():
            if isinstance(layer, _BatchNorm):
                layer.__class__ = CPUSyncBatchNorm  # its attributes are those of every batch norm
        return
    timm = sys.modules.get("timm.layers")
    # timm's batch norms hold an activation, which torch's conversion would drop.
    convert = nn.SyncBatchNorm.convert_sync_batchnorm if timm is None else timm.convert_sync_batchnorm
    convert(module)


class CPUSyncBatchNorm(_BatchNorm):
    """What torch's SyncBatchNorm is on GPUs: that one, and DistributedDataParallel for it, refuse the CPU.

    Each process contributes the count, sum and sum of squares of its rows; one all-reduce forward, one backward. The
    rest is torch's own kernels, for statistics that are given and for gradients of weights: as fast as its batch norm.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (N, C, …) over the rows of all processes; in eval mode by the running statistics."""
        x = self._over_processes(x) if self.training else super().forward(x)
        for name in ("drop", "act"):  # timm's batch norms end with these
            if hasattr(self, name):
                x = getattr(self, name)(x)
        return x

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions, as torch's SyncBatchNorm takes."""

    def _over_processes(self, x: Tensor) -> Tensor:
        y, mean, var, total = _Normalize.apply(x.float(), self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        self._follow(mean.detach(), var.detach(), total.detach())  # compiled, they would have gradients
        normalized: Tensor = y.to(x.dtype)
        return normalized

    def _follow(self, mean: Tensor, var: Tensor, total: Tensor) -> None:
        """Move the running statistics, the variance unbiased, as torch's batch norms do."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / self.num_batches_tracked.float() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_((var * (total / (total - 1).clamp(min=1))).float(), share)


class _Normalize(torch.autograd.Function):
    """(x - mean) / sqrt(var + eps) * weight + bias by the statistics of all processes, which it returns, too."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        own_mean, own_var = torch.batch_norm_update_stats(x, None, None, 0.0)
        count = x.numel() // x.shape[1]
        # In float64: a variance from sums of squares loses the digits that mean² / variance takes.
        own_mean, own_var = own_mean.double(), own_var.double()
        sums = torch.cat([own_mean * count, (own_var + own_mean.square()) * count, own_mean.new_tensor([count])])
        dist.all_reduce(sums)
        total = sums[-1]
        mean, squares = (sums[:-1] / total).chunk(2)
        mean, var = mean.float(), (squares - mean.square()).clamp(min=0).float()
        ctx.save_for_backward(x, weight, mean, var)
        ctx.eps, ctx.total = eps, float(total)
        ctx.mark_non_differentiable(mean, var, total)
        return functional.batch_norm(x, mean, var, weight, bias, False, 0.0, eps), mean, var, total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, var = ctx.saved_tensors
        dy, scale = gradients[0], torch.rsqrt(var + ctx.eps)
        # Of this process: sum of dy times the normalised x, and sum of dy. They are the gradients of weight and bias.
        _, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            dy, x, weight, None, None, mean, scale, True, ctx.eps, [False, True, True]
        )
        means = torch.cat([of_weight, of_bias])
        dist.all_reduce(means)
        along_x, plain = (means / ctx.total).chunk(2)
        if weight is not None:
            scale = scale * weight
        # dx = scale · (dy - mean(dy) - x̂ · mean(dy · x̂)): Ioffe and Szegedy, Batch Normalization, 2015, section 3.
        rest = functional.batch_norm(x, mean, var, -scale * along_x, -scale * plain, False, 0.0, ctx.eps)
        dx = torch.addcmul(rest, dy, scale.view(1, -1, *[1] * (x.ndim - 2)))
        return dx, None if weight is None else of_weight, None if weight is None else of_bias, None


def with_own_statistics(module: ModuleT) -> ModuleT:
    """A module with the very weights of ``module`` (trained together, whoever trains) and buffers of its own.

    The running statistics of batch norms are buffers: where tasks feed one encoder unlike pictures (tiles, grey,
    whole ones), statistics that all of them moved fit none of them in evaluation.
    """
    weights = {id(weight): weight for weight in module.parameters()}
    return copy.deepcopy(module, memo=dict(weights))
