"""The smallest index there is: a few clips, and a run whose encoders have learned nothing."""

from __future__ import annotations

from pathlib import Path

import torch
from probe_media import audio_encoder, vision_encoder
from small_runs import write_clip

from avssl.networks.fusion import FUSIONS
from avssl.networks.saving import save_module
from avssl.search.building import Changes, update_index


def save_run(folder: Path, seed: int = 0) -> Path:
    """What an index needs of a run: its encoders, and what joins them."""
    torch.manual_seed(seed)
    vision, audio = vision_encoder(seed), audio_encoder(seed)
    (folder / "encoders").mkdir(parents=True)
    for name, module in {
        "vision": vision,
        "audio": audio,
        "fusion": FUSIONS["ave"](vision.channels, audio.channels),
    }.items():
        save_module(module, folder / "encoders" / name)
    return folder


def write_clips(folder: Path, count: int = 3) -> Path:
    """Clips of two seconds: 000.mp4 to …; the last has no sound."""
    for number in range(count):
        write_clip(folder / f"{number:03d}.mp4", number, sound=number < count - 1)
    return folder


def update(index: Path, data: Path, run: Path, every: float | None = None) -> Changes:
    """Make or update an index in this process."""
    return update_index(index, str(data), run, every, workers=0, shown=False)
