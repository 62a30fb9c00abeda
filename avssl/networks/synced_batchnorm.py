"""Batch norms over the whole batch of several processes, as one process has them."""

from __future__ import annotations

import sys

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


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

    Each process contributes the count, sum and sum of squares of its rows; one all-reduce forward, one backward.
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
        from torch.distributed.nn.functional import all_reduce

        axes = [0, *range(2, x.ndim)]
        count = x.numel() // x.shape[1]
        own_var, own_mean = torch.var_mean(x.float(), axes, correction=0)
        # In float64: a variance from sums of squares loses the digits that mean² / variance takes.
        mean, var = own_mean.double(), own_var.double()
        sums = torch.cat([mean * count, (var + mean.square()) * count, mean.new_tensor([count])])
        sums = all_reduce(sums, op=dist.ReduceOp.SUM)  # type: ignore[no-untyped-call]
        total = sums[-1].detach()
        mean, second = (sums[:-1] / total).chunk(2)
        var = second - mean.square()
        self._follow(mean.detach(), var.detach(), float(total))
        scale = torch.rsqrt(var + self.eps)
        if self.affine:
            scale = scale * self.weight
        shift = -mean * scale + (self.bias if self.affine else 0)
        shape = [1, -1, *[1] * (x.ndim - 2)]
        return torch.addcmul(shift.float().view(shape), x.float(), scale.float().view(shape)).to(x.dtype)

    def _follow(self, mean: Tensor, var: Tensor, total: float) -> None:
        """Move the running statistics, the variance unbiased, as torch's batch norms do."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.float(), share)
        self.running_var.lerp_((var * total / max(total - 1, 1)).float(), share)
