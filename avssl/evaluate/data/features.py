"""Features of all stages of an encoder over a collection: computed once, cached, shared by the protocols.

    CACHE/features/DIGEST/features.json    stages with their scale, what was computed from what
    CACHE/features/DIGEST/STAGE.npy        float16 (items, views, features), mapped into memory when read

The digest is of the encoder's weights, of the collection (with the times of its files) and of :class:`FeatureSpec`. The
features are stored divided by a power of two of the stage, so that float16 holds them however large they grow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.evaluate.choices import FeatureChoices, Pool
from avssl.evaluate.data.encoders import weights_digest
from avssl.media.facts import Facts, Media
from avssl.media.selection import digest_of
from avssl.networks.encoder import Encoder, image_encoder, is_waveform_encoder
from avssl.samplers.pictures import centre_crop, cut_all
from avssl.system.console import Progress
from avssl.system.files import cache_folder, read_json, whole_folder, write_json

# Part of the digest: a change of what is stored makes features of before be computed again
FORMAT = 1
# Pictures or windows of sound that go through the encoder together
BATCH = 64

# The most features a stage is pooled to
MOST_FEATURES = FeatureChoices.max_features


@dataclass(frozen=True)
class FeatureSpec:
    """How items are shown to the encoder and what is kept of its maps."""

    views: int = 1  # frames of a video, or windows of a sound, at equal distances; of an image always one
    pool: Pool = FeatureChoices.pool  # how a map is brought to the grid
    max_features: int = MOST_FEATURES  # the most features a stage


class Features:
    """What :func:`stage_features` computed; a stage is read when it is asked for."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder = folder
        self._scales: dict[str, float] = about["scales"]

    @property
    def stages(self) -> tuple[str, ...]:
        """Names, from the first to the last."""
        return tuple(self._scales)

    def stage(self, name: str) -> NDArray[np.float32]:
        """Features of a stage: (items, views, features)."""
        stored: NDArray[np.float16] = np.load(self.folder / f"{name}.npy", mmap_mode="r")
        return stored.astype(np.float32) * np.float32(self._scales[name])


def stage_features(
    encoder: Encoder,
    media: Media,
    spec: FeatureSpec | None = None,
    *,
    device: torch.device | str = "cpu",
    cache: Path | None = None,
    on_progress: Progress | None = None,
) -> Features:
    """The features of all stages of a frozen encoder, from the cache if they are there.

    A picture is the centre square of the frame at the encoder's side; a sound is a window of the encoder's length.
    Memory does not grow with the collection.

    Args:
        encoder: of pictures or of sound; put into eval mode.
        media: what to take; all items must have what the encoder takes (see :func:`taken_by`).
        cache: another place than the user's cache.

    Raises:
        UserError: the encoder gives features that are not finite, or the disk is full.
        MediaError: a file cannot be read.
    """
    spec = spec or FeatureSpec()
    # By the names that the fields had once: with others every cache of before would be computed again.
    stored = {"moments": spec.views, "pool": spec.pool, "numbers": spec.max_features}
    digest = digest_of(
        str(FORMAT),
        weights_digest(encoder),
        media.fingerprint,
        # The times of the files: one that was replaced under its name is read again
        str(getattr(media, "stamp", "")),
        str(sorted(stored.items())),
    )
    folder = (cache or cache_folder() / "features") / digest
    about = read_json(folder / "features.json")
    if about is None:
        with whole_folder(folder) as partial:
            scales = _compute(encoder.to(device).eval(), media, spec, torch.device(device), partial, on_progress)
            write_json(partial / "features.json", {"format": FORMAT, **stored, "scales": scales})
        # The next encoder needs the device's memory
        encoder.to("cpu")
        about = read_json(folder / "features.json")
        assert about is not None
    return Features(folder, about)


def taken_by(encoder: Encoder, facts: Facts) -> bool:
    """Whether an item has what the encoder takes: a picture, or sound."""
    return facts.has_sound if is_waveform_encoder(encoder) else facts.kind != "sound"


def grid(channels: int, height: int, width: int, max_features: int = MOST_FEATURES) -> tuple[int, int]:
    """Rows and columns that a map is pooled to, with its aspect, so that it has at most ``max_features``."""
    places = max(1, max_features // channels)
    scale = min(1.0, math.sqrt(places / (height * width)))
    rows = max(1, math.floor(height * scale + 1e-9))  # a root may fall short of a whole number by rounding
    columns = max(1, math.floor(width * scale + 1e-9))
    if rows * columns > places:  # a map far longer than wide
        rows, columns = min(rows, places), min(columns, max(1, places // rows))
    return rows, columns


def pooled(maps: Tensor, pool: Pool = "max", max_features: int = MOST_FEATURES) -> Tensor:
    """Maps (N, C, h, w) to vectors (N, at most ``max_features``), see :func:`grid`."""
    size = grid(maps.shape[1], maps.shape[2], maps.shape[3], max_features)
    if size != tuple(maps.shape[2:]):
        adaptive = nn.functional.adaptive_max_pool2d if pool == "max" else nn.functional.adaptive_avg_pool2d
        maps = adaptive(maps, size)
    return maps.flatten(1)


def inputs(encoder: Encoder, media: Media, item: int, views: int) -> NDArray[Any]:
    """What the encoder is shown of an item: uint8 (views, 3, side, side), or float32 (views, samples)."""
    facts = media.facts(item)
    if is_waveform_encoder(encoder):
        starts = window_starts(facts, encoder.seconds, views)
        return np.stack([media.audio(item, start, encoder.seconds, encoder.rate) for start in starts])
    frames = media.frames(item, even_times(facts, views))
    crop = centre_crop(frames.shape[2], frames.shape[3], 1.0)
    side = image_encoder(encoder).side
    return cut_all(frames, crop, side)


def even_times(facts: Facts, views: int) -> list[float]:
    """Seconds of so many frames at equal distances, each in the middle of its share of the video."""
    return [(k + 0.5) / views * facts.duration_seconds for k in range(views)]


def window_starts(facts: Facts, seconds: float, views: int) -> list[float]:
    """Where so many windows begin, from the start of the sound to its end; of a sound too short all at its middle."""
    first, last = facts.audio_start_seconds, facts.audio_end_seconds - seconds
    if views == 1 or last <= first:
        return [(first + last) / 2] * views
    return [first + (last - first) * k / (views - 1) for k in range(views)]


def views_of(media: Media, views: int) -> int:
    """How many views an item of the collection has: one where all are images."""
    return 1 if all(media.facts(i).kind == "image" for i in range(len(media))) else views


@torch.no_grad()
def _compute(
    encoder: Encoder,
    media: Media,
    spec: FeatureSpec,
    device: torch.device,
    folder: Path,
    on_progress: Progress | None,
) -> dict[str, float]:
    """Write the features of each stage into the folder; returns the scale of each."""
    count, views = len(media), views_of(media, spec.views)
    files: dict[str, NDArray[np.float16]] = {}
    scales: dict[str, float] = {}
    done = 0
    size = max(1, BATCH // views)
    for chunk in (range(first, min(count, first + size)) for first in range(0, count, size)):
        batch = torch.from_numpy(np.concatenate([inputs(encoder, media, i, views) for i in chunk])).to(device)
        for name, maps in encoder.stages(batch).items():
            rows = pooled(maps.float(), spec.pool, spec.max_features).cpu().numpy()
            if not np.isfinite(rows).all():
                raise UserError(
                    f"stage {name} of the encoder has features that are not finite; train at a lower --learning-rate"
                )
            if name not in files:
                scales[name] = _scale(float(np.abs(rows).max()))
                # Written as it comes, so that memory does not grow with the collection.
                files[name] = np.lib.format.open_memmap(
                    folder / f"{name}.npy", mode="w+", dtype=np.float16, shape=(count, views, rows.shape[1])
                )
            # A later batch may hold larger ones than the first, which float16 would make infinite.
            small = np.clip(rows / scales[name], -_LARGEST, _LARGEST)
            files[name][done : done + len(chunk)] = small.reshape(len(chunk), views, -1)
        done += len(chunk)
        if on_progress is not None:
            on_progress(done, count)
    for file in files.values():
        file.flush()  # type: ignore[attr-defined]
    return scales


_LARGEST = 65000.0  # just below the largest float16


def _scale(largest: float) -> float:
    """The power of two that brings the largest number of the first batch to at most 64: room for larger ones."""
    return 2.0 ** math.ceil(math.log2(largest / 64)) if largest > 0 else 1.0
