"""A batch has the same loss however many processes share it: negatives, weights and batch norms are the whole's."""

from __future__ import annotations

import gc
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from toy_media import RATE, ToyVideos
from toy_pictures import ToyPictures, noise

from avssl.networks.batchnorm import share_batch_statistics
from avssl.samplers.keys import Key
from avssl.tasks.av_correspondence.puzzle import CorrespondenceOptions
from avssl.tasks.av_correspondence.task import AVCorrespondence
from avssl.tasks.colorization.puzzle import ColorizationOptions
from avssl.tasks.colorization.task import Colorization
from avssl.tasks.frame_filling.puzzle import FrameFillingOptions
from avssl.tasks.frame_filling.task import FrameFilling
from avssl.tasks.inpainting.puzzle import InpaintingOptions
from avssl.tasks.inpainting.task import Inpainting
from avssl.tasks.instance_contrast.puzzle import InstanceContrastOptions
from avssl.tasks.instance_contrast.task import InstanceContrast
from avssl.tasks.video_colorization.puzzle import VideoColorizationOptions
from avssl.tasks.video_colorization.task import VideoColorization

pytestmark = pytest.mark.slow

BATCH = 8
PAIRS = CorrespondenceOptions(side=32, rate=RATE, width=4, bands=16, norm="group")
PICTURES = ToyPictures(BATCH, lambda i: noise(i) if i % 3 else np.full((3, 40, 40), 30 * i, np.uint8))
"""Three of eight are grey, two of them in the first half."""
COLOURS = ColorizationOptions(side=32, width=4, head_width=16, norm="group")
HOLES = InpaintingOptions(side=32, width=4, norm="group", hole="region")
VIEWS = InstanceContrastOptions(side=16, width=4, blocks=2, dimensions=16, norm="group", queue=24, cell=8, tile=6)
CASES = {
    **{fusion: (AVCorrespondence(replace(PAIRS, fusion=fusion)), ToyVideos()) for fusion in ("l3", "ave", "avol")},
    "uneven rows of noise": (AVCorrespondence(replace(PAIRS, silent_rows=0.4, norm="batch")), ToyVideos()),
    "grey pictures": (Colorization(COLOURS), PICTURES),
    "views of the whole batch": (InstanceContrast(replace(VIEWS, norm="batch")), ToyPictures(BATCH, noise)),
    "keys for the queue": (InstanceContrast(replace(VIEWS, method="moco")), ToyPictures(BATCH, noise)),
    "rows of the bank": (InstanceContrast(replace(VIEWS, method="pirl")), ToyPictures(BATCH, noise)),
    "colours of clips": (
        VideoColorization(VideoColorizationOptions(side=32, width=4, head_width=8, colours=4, norm="group")),
        ToyVideos(),
    ),
    "hidden frames": (
        FrameFilling(FrameFillingOptions(side=32, width=4, head_width=8, norm="group", motion=False)),
        ToyVideos(),
    ),
    "uneven holes": (Inpainting(HOLES), ToyPictures(BATCH, noise)),
}


def gradients(case: str, indices: range, *, shared: bool) -> dict[str, torch.Tensor]:
    """Of the loss over puzzles ``indices``; under "loss" the loss itself."""
    task, media = CASES[case]
    task.fit_statistics(media, 0)
    torch.manual_seed(0)
    network = task.network(task.encoders())
    if shared:
        share_batch_statistics(network, torch.device("cpu"))
    loss = task.loss(network, task.collate([task.draw(media, Key(0, 0, i)) for i in indices])).loss
    loss.backward()
    task.after_step(network)  # moves what is kept beside the weights
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return found | {"loss": loss.detach()} | {name: b.float() for name, b in network.named_buffers()}


def one_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    half = BATCH // 2
    for case in CASES:
        found = gradients(case, range(rank * half, (rank + 1) * half), shared=True)
        for name in found:
            dist.all_reduce(found[name])
            found[name] /= 2
        if rank == 0:
            torch.save(found, Path(folder) / case)
    dist.destroy_process_group()
    gc.collect()  # threads of a group that is still referred to may abort the exit


@pytest.mark.slow
def test_two_processes_have_loss_gradients_and_batch_statistics_of_one(tmp_path: Path) -> None:
    mp.spawn(one_of_two, args=(str(tmp_path),), nprocs=2)
    for case in CASES:
        together = torch.load(tmp_path / case, weights_only=True)
        alone = gradients(case, range(BATCH), shared=False)
        assert together.keys() == alone.keys()
        assert math.isfinite(float(alone["loss"]))
        for name, value in alone.items():
            assert torch.allclose(together[name], value, rtol=1e-4, atol=2e-6), (case, name)
