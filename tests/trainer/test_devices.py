"""Where to compute and with which numbers."""

from __future__ import annotations

import pytest
import torch
from trainer_toy import toy_plans

from avssl.errors import UserError
from avssl.trainer import devices
from avssl.trainer.devices import choose_device, choose_precision, moved
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("known", "flags", "name"),
    [
        ({"avx2": True, "avx512_bf16": False}, "fma avx2", "fp32"),
        ({"avx512_bf16": True}, "", "bf16"),
        ({"amx_bf16": True}, "", "bf16"),
        ({}, "asimd bf16 i8mm", "bf16"),
    ],
)
def test_bf16_is_chosen_where_the_processor_computes_it(known, flags, name, monkeypatch):
    monkeypatch.setattr(devices, "_cpu_flags", lambda: set(flags.split()))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert choose_precision("auto", CPU).name == name


def test_bf16_trains_in_bf16_and_keeps_weights_in_float32():
    asked = TrainOptions(steps=3, batch_size=8, workers=0, precision="bf16")
    result = fit(toy_plans(), asked)
    assert {weight.dtype for weight in result.networks["toy"].parameters()} == {torch.float32}
    with choose_precision("bf16", CPU).autocast():
        assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.bfloat16


def test_what_this_machine_cannot_do_is_refused():
    with pytest.raises(UserError, match="--precision fp16 needs a CUDA GPU"):
        choose_precision("fp16", CPU)
    with pytest.raises(UserError, match="--device abacus: no such device; use auto, cpu"):
        choose_device("abacus")
    with pytest.raises(UserError, match="--device meta: not supported"):
        choose_device("meta")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA GPU")
def test_cuda_that_is_not_there_is_refused_and_auto_takes_the_cpu():
    with pytest.raises(UserError, match="--device cuda: this torch sees no CUDA device; use --device cpu"):
        choose_device("cuda")
    assert choose_device("auto") == CPU


def test_maps_are_moved_channels_last_and_the_rest_as_it_is():
    batch = {"frames": torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "label": torch.tensor([1]), "paths": ["a", "b"]}
    found = moved(batch, CPU, channels_last=True)
    assert found["frames"].is_contiguous(memory_format=torch.channels_last)
    assert found["paths"] == ["a", "b"] and found["label"] is batch["label"]
    assert moved(batch, CPU, channels_last=False)["frames"].is_contiguous()
