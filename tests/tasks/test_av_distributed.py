"""Negatives from the batch are those of the whole batch, however many processes share it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from toy_media import RATE, ToyVideos

from avssl.samplers.keys import Key
from avssl.tasks.av_correspondence import AVCorrespondence, CorrespondenceOptions

BATCH = 8
SMALL = CorrespondenceOptions(side=32, rate=RATE, width=4, bands=16, norm="group")


def gradients(fusion: str, indices: range) -> dict[str, torch.Tensor]:
    task, media = AVCorrespondence(replace(SMALL, fusion=fusion)), ToyVideos()
    torch.manual_seed(0)
    network = task.network(task.encoders())
    task.loss(network, task.collate([task.draw(media, Key(0, 0, i)) for i in indices])).loss.backward()
    return {name: p.grad for name, p in network.named_parameters() if p.grad is not None}


def one_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    half = BATCH // 2
    for fusion in ("l3", "ave", "avol"):
        found = gradients(fusion, range(rank * half, (rank + 1) * half))
        for name in found:
            dist.all_reduce(found[name])
            found[name] /= 2
        if rank == 0:
            torch.save(found, Path(folder) / fusion)
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one(tmp_path: Path):
    mp.spawn(one_of_two, args=(str(tmp_path),), nprocs=2)
    for fusion in ("l3", "ave", "avol"):
        together = torch.load(tmp_path / fusion, weights_only=True)
        alone = gradients(fusion, range(BATCH))
        assert together.keys() == alone.keys()
        for name, gradient in alone.items():
            assert torch.allclose(together[name], gradient, rtol=1e-4, atol=1e-6), name
