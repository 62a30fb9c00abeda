"""What a preparation will take of disk and of time, from a few items that are tried before it begins."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from avssl.errors import MediaError
from avssl.media.collection import Collection
from avssl.media.decoding.jpeg import encode_jpeg
from avssl.media.facts import Facts, Media
from avssl.media.prepared.shard import Settings
from avssl.media.selection import Subset, facts_of
from avssl.system.process_pool import Lost, each

# So many items at most, spread over the whole, of each its pictures for so long and so many seconds of its sound.
TRIED_ITEMS, TRIED_SECONDS, TRIED_SOUND_SECONDS = 8, 0.5, 10.0

# Of JPEG at quality 95, 4:2:0, on pictures scaled to 128–256 pixels; measured on photographs, 0.25–0.6.
BYTES_A_PIXEL = 0.45
BYTES_A_MEMBER = 768  # header and padding of a member of a tar


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is to be expected: bytes on disk, and seconds on so many processes; None where nothing could be tried."""

    bytes: int
    seconds: float | None
    processes: int


@dataclass(frozen=True, slots=True)
class _Tried:
    """What an item took, and how much of it was tried."""

    picture_seconds: float = 0.0
    decoded_pixels: int = 0
    stored_pixels: int = 0
    stored_bytes: int = 0
    sound_seconds: float = 0.0
    heard_seconds: float = 0.0


def estimate(media: Collection | Subset, settings: Settings, processes: int) -> Estimate:
    """Try a few items, in processes of their own as a decoder may crash, and reckon what all of them take.

    Args:
        processes: of the preparation; 0 tries them in this one.
    """
    some = np.unique(np.linspace(0, len(media) - 1, min(TRIED_ITEMS, len(media))).astype(int)).tolist()
    jobs = [(media.subset([i]), settings) for i in some]
    answers = [tried for _, tried in each(_try, jobs, processes, _patience) if not isinstance(tried, Lost)]

    def whole(name: str) -> float:
        return float(sum(getattr(tried, name) for tried in answers))

    pixels, stored, heard = whole("decoded_pixels"), whole("stored_pixels"), whole("heard_seconds")
    all_pixels, all_heard = 0.0, 0.0
    for facts in facts_of(media):
        all_pixels += facts.frame_count * facts.width * facts.height
        all_heard += _heard(facts)
    seconds = whole("picture_seconds") * all_pixels / max(pixels, 1) + whole("sound_seconds") * all_heard / max(
        heard, 1
    )
    bytes_a_pixel = whole("stored_bytes") / stored if stored else BYTES_A_PIXEL
    needed = estimated_bytes(media, settings, bytes_a_pixel)
    return Estimate(needed, seconds / max(processes, 1) if pixels or heard else None, max(processes, 1))


def estimated_bytes(media: Media, settings: Settings, bytes_a_pixel: float = BYTES_A_PIXEL) -> int:
    """About how much disk a preparation takes, if JPEGs of its pictures take so many bytes a pixel."""
    total = 0.0
    for facts in facts_of(media):
        width, height = settings.size(facts.width, facts.height)
        frames = facts.frame_count
        if settings.fps is not None and facts.kind == "video":
            frames = min(frames, round(facts.duration_seconds * settings.fps) + 1)
        total += frames * (width * height * bytes_a_pixel + BYTES_A_MEMBER)
        total += _heard(facts) * 2 * (settings.rate or facts.audio_rate) + 2 * BYTES_A_MEMBER
    return round(total)


def _heard(facts: Facts) -> float:
    return (facts.audio_end_seconds - facts.audio_start_seconds) * facts.has_sound


def _try(job: tuple[Subset, Settings]) -> _Tried:
    """The first pictures and the first sound of an item, decoded and encoded as they will be."""
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
        seen, seconds = time.monotonic(), min(_heard(facts), TRIED_SOUND_SECONDS)
        media.audio(0, facts.audio_start_seconds, seconds, settings.rate or facts.audio_rate) if seconds else None
    except MediaError:
        return _Tried()  # the preparation will say so
    heard = time.monotonic() - seen
    return _Tried(seen - began, decoded * facts.width * facts.height, count * width * height, stored, heard, seconds)


def _patience(job: tuple[Subset, Settings]) -> float:
    return 60.0
