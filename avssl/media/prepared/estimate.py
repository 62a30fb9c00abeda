"""An estimate of the disk space and time that a preparation takes, from a trial on a few items."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from avssl.errors import MediaError
from avssl.media.collection import Collection
from avssl.media.decoding.jpeg import encode_jpeg
from avssl.media.facts import Facts, Media
from avssl.media.prepared.shard import Settings
from avssl.media.selection import Subset, facts_of
from avssl.system.process_pool import Lost, each

# Items at most, spread over all; of each its pictures for this long, and this much of its sound.
TRIED_ITEMS, TRIED_SECONDS, TRIED_SOUND_SECONDS = 8, 0.5, 10.0

# JPEG at quality 95, 4:2:0, of pictures scaled to 128–256 pixels; measured on photographs, 0.25–0.6.
BYTES_A_PIXEL = 0.45
BYTES_A_MEMBER = 768  # header and padding of a member of a tar


@dataclass(frozen=True, slots=True)
class Estimate:
    bytes: int
    seconds: float | None  # on this many processes; None where nothing could be tried
    processes: int


class _Trial(NamedTuple):
    """The costs of an item, and how much of it was tried."""

    picture_seconds: float = 0.0
    decoded_pixels: float = 0.0
    stored_pixels: float = 0.0
    stored_bytes: float = 0.0
    sound_seconds: float = 0.0  # of work
    heard_seconds: float = 0.0  # of sound


def estimate(media: Collection | Subset, settings: Settings, processes: int) -> Estimate:
    """Try a few items, and extrapolate to all and to this number of processes (0: in this one)."""
    some = np.unique(np.linspace(0, len(media) - 1, min(TRIED_ITEMS, len(media))).astype(int)).tolist()
    jobs = [(media.subset([i]), settings) for i in some]
    trials = [trial for _, trial in each(_try, jobs, processes, lambda job: 60.0) if not isinstance(trial, Lost)]
    tried = _Trial(*(sum(costs) for costs in zip(*trials, strict=True)))
    all_pixels, all_heard = 0.0, 0.0
    for facts in facts_of(media):
        all_pixels += facts.frame_count * facts.width * facts.height
        all_heard += _sound_seconds(facts)
    seconds = tried.picture_seconds * all_pixels / max(tried.decoded_pixels, 1)
    seconds += tried.sound_seconds * all_heard / max(tried.heard_seconds, 1)
    bytes_a_pixel = tried.stored_bytes / tried.stored_pixels if tried.stored_pixels else BYTES_A_PIXEL
    was_tried = tried.decoded_pixels or tried.heard_seconds
    processes = max(processes, 1)
    needed = estimated_bytes(media, settings, bytes_a_pixel)
    return Estimate(needed, seconds / processes if was_tried else None, processes)


def estimated_bytes(media: Media, settings: Settings, bytes_a_pixel: float = BYTES_A_PIXEL) -> int:
    """About how much disk space a preparation takes."""
    total = 0.0
    for facts in facts_of(media):
        width, height = settings.size(facts.width, facts.height)
        frames = facts.frame_count
        if settings.fps is not None and facts.kind == "video":
            frames = min(frames, round(facts.duration_seconds * settings.fps) + 1)
        total += frames * (width * height * bytes_a_pixel + BYTES_A_MEMBER)
        total += _sound_seconds(facts) * 2 * (settings.rate or facts.audio_rate) + 2 * BYTES_A_MEMBER
    return round(total)


def _sound_seconds(facts: Facts) -> float:
    return (facts.audio_end_seconds - facts.audio_start_seconds) * facts.has_sound


def _try(job: tuple[Subset, Settings]) -> _Trial:
    """Decode and encode the first pictures and the first sound of an item, as the preparation will."""
    (media, settings), began = job, time.monotonic()
    (base, number), facts = media.origin(0), media.facts(0)
    assert isinstance(base, Collection)
    chosen = settings.chosen(media.frame_times(0), facts.duration_seconds).tolist()
    width, height = settings.size(facts.width, facts.height)
    decoded, count, stored = 0, 0, 0
    try:
        for last, picture in base.all_frames(number, chosen, (width, height)) if chosen else ():
            stored += len(encode_jpeg(picture, settings.jpeg_quality, full_colour=facts.kind == "image"))
            decoded, count = last + 1, count + 1
            if time.monotonic() - began > TRIED_SECONDS:
                break
        seen, seconds = time.monotonic(), min(_sound_seconds(facts), TRIED_SOUND_SECONDS)
        if seconds:
            media.audio(0, facts.audio_start_seconds, seconds, settings.rate or facts.audio_rate)
    except MediaError:
        return _Trial()  # the preparation will report it
    heard = time.monotonic() - seen
    return _Trial(seen - began, decoded * facts.width * facts.height, count * width * height, stored, heard, seconds)
