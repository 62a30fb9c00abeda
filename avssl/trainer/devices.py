"""The device to compute on, and the precision."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler

from avssl.errors import UserError
from avssl.networks.cutting import Views

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_KNOWN = "use auto, cpu, cuda, cuda:1 or mps"


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """The device of this name, made ready; "auto" is a CUDA GPU if there is one, else the CPU.

    Of several processes on one machine each takes the GPU of its own local rank.

    Raises:
        UserError: there is no such device.
    """
    device = named_device(name, local_rank)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        # TF32 in what stays fp32 under autocast: 10 bits of mantissa, as bf16 has 7.
        torch.set_float32_matmul_precision("high")
    return device


def named_device(name: str, local_rank: int = 0) -> torch.device:
    """The device of :func:`choose_device`, untouched."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"--device {name}: no such device; {_KNOWN}") from None
    if device.type == "cuda":
        return _cuda(device, local_rank)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError("--device mps: this machine or this torch has no Metal device; use --device cpu")
    if device.type not in ("cpu", "mps"):
        raise UserError(f"--device {name}: not supported; {_KNOWN}")
    return device


def _cuda(device: torch.device, local_rank: int) -> torch.device:
    if not torch.cuda.is_available():
        raise UserError(f"--device {device}: this torch sees no CUDA device; use --device cpu")
    index = local_rank if device.index is None else device.index
    if index >= torch.cuda.device_count():
        raise UserError(f"--device cuda:{index}: this machine has {torch.cuda.device_count()}; give a number from 0 on")
    return torch.device("cuda", index)


@dataclass(frozen=True, slots=True)
class Precision:
    """The precision of the forward pass; weights and gradients stay float32."""

    name: str
    device: torch.device

    def autocast(self) -> AbstractContextManager[Any]:
        """Within, layers compute in this precision where that is safe."""
        return torch.autocast(self.device.type, dtype=DTYPES[self.name], enabled=self.name != "fp32")

    def scaler(self) -> GradScaler:
        """Scales the loss so that fp16 gradients do not vanish; does nothing in other precisions."""
        return GradScaler(self.device.type, enabled=self.name == "fp16")


def choose_precision(name: str, device: torch.device) -> Precision:
    """The precision of this name; "auto" is bf16 where the device computes it natively, else fp32.

    Raises:
        UserError: the device cannot compute with it.
    """
    if name == "auto":
        return Precision("bf16" if computes_bf16(device) else "fp32", device)
    if name == "fp16" and device.type != "cuda":
        raise UserError(f"--precision fp16 needs a CUDA GPU, not {device.type}; use bf16 or fp32")
    return Precision(name, device)


def computes_bf16(device: torch.device) -> bool:
    """Whether bf16 is computed by the hardware rather than emulated (then it is slower than fp32)."""
    if device.type == "cuda":
        # torch counts emulation as support, too, on cards before Ampere.
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    known: Mapping[str, Any] = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(known.get("amx_bf16") or known.get("avx512_bf16") or "bf16" in _cpu_flags())


def _cpu_flags() -> set[str]:
    """The CPU's flags, where the system lists them: ARM has "bf16" under "Features", which torch does not check."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return set()
    for line in text.splitlines():
        if line.startswith(("flags", "Features")):
            return set(line.split(":", 1)[1].split())
    return set()


def moved(batch: dict[str, Any], device: torch.device, channels_last: bool) -> dict[str, Any]:
    """The batch on the device: tensors only; pictures and maps (4-D, uint8 or float) channels-last if asked."""
    return {name: _moved(value, device, channels_last) for name, value in batch.items()}


def _moved(value: Any, device: torch.device, channels_last: bool) -> Any:
    if isinstance(value, Views):
        return value.to(device)
    if not isinstance(value, Tensor):
        return value
    value = value.to(device, non_blocking=True)
    if channels_last and value.ndim == 4 and (value.is_floating_point() or value.dtype == torch.uint8):
        return value.contiguous(memory_format=torch.channels_last)
    return value
