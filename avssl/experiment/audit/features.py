"""Cheap features of an item, by which a network could recognise it without understanding its content.

Of the picture: its outermost strip (a fixed border, bars), its light and colour, its grain (sharpness, blocks of a
codec).
Of the sound: its loudness, its hum (lines that stay), its noise floor and bandwidth. Of the file: how each was made.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from avssl.errors import MediaError
from avssl.media.containers.demux import Deadline, opened
from avssl.media.facts import Facts, Media
from avssl.media.prepared.read import Prepared
from avssl.media.selection import Concatenated, underlying

Matrix = NDArray[np.float64]

FRAMES = 3  # of a video, at a sixth, a half and five sixths of its length
# Samples a second at which sound is looked at: high enough to see where a source was cut at 8 or 11 kHz.
RATE = 32_000
SOUND_SECONDS = 6.0  # from the middle: beginnings and ends are often faded or silent
HUM_HZ = 1000.0  # Hum is looked for below
HUM_BINS = 128
BANDS = 16  # of the noise floor, from 40 Hz on, equally wide on a logarithmic scale
_WINDOW = 8192  # 3.9 Hz a line at 32 kHz: mains of 50 and 60 Hz, and their harmonics, are apart


@dataclass(frozen=True)
class Encoding:
    """How a file was encoded."""

    container: str = ""
    video_codec: str = ""
    audio_codec: str = ""
    video_bits: int = 0
    audio_bits: int = 0  # Bits a second of each stream; 0 where the container does not say


@dataclass(frozen=True)
class Cues:
    """The features of some items.

    Attributes:
        items: their indices in the media: (n,).
        sources: of each.
        picture, sound: cue → (n, d), each scaled so that the cue as a whole has variance 1; a cue that is the same in
            all items is left out.
        kinds: how each was made, in words; of all that could be read.
        folders: that each lies in.
        readable: all that could be read. Where some have picture and sound, ``items`` are those; else those with a
            picture if there are any; else those with sound.
        unread: how many items could not be read here.
    """

    items: NDArray[np.int64]
    sources: list[str]
    picture: dict[str, Matrix]
    sound: dict[str, Matrix]
    kinds: list[str]
    folders: list[str]
    readable: tuple[int, ...] = ()
    unread: int = 0


def measure(media: Media, items: Sequence[int], done: Callable[[int], None] = lambda count: None) -> Cues:
    """The cues of some items of a collection; ``done`` is called with how many are measured."""
    kept: list[int] = []
    pictures: list[dict[str, list[float]]] = []
    sounds: list[dict[str, list[float]]] = []
    encodings: list[Encoding] = []
    unread = 0
    for count, i in enumerate(items, 1):
        facts = media.facts(i)
        try:
            seen = _picture(media, i, facts) if facts.kind != "sound" else {}
            heard = _sound(media, i, facts) if facts.has_sound and facts.kind != "image" else {}
        except MediaError:
            unread += 1  # its verdict is the index's; here it only cannot be counted
            continue
        finally:
            done(count)
        kept.append(i)
        pictures.append(seen)
        sounds.append(heard)
        encodings.append(Encoding("prepared") if _is_prepared(media, i) else encoding_of(facts))
    kinds = [_in_words(media.facts(i), encoding) for i, encoding in zip(kept, encodings, strict=True)]
    asked = _asked(pictures, sounds)
    everywhere, their_encodings = [media.facts(kept[place]) for place in asked], [encodings[place] for place in asked]
    picture, sound = (_together([each[place] for place in asked]) for each in (pictures, sounds))
    if picture:
        picture["encoding of the picture"] = _picture_encoding(everywhere, their_encodings)
    if sound:
        sound["encoding of the sound"] = _sound_encoding(everywhere, their_encodings)
    return Cues(
        np.array([kept[place] for place in asked], np.int64),
        [facts.source_or_path for facts in everywhere],
        _scaled(picture),
        _scaled(sound),
        kinds,
        [os.path.dirname(facts.path) for facts in everywhere],  # noqa: PTH120 - of members of a tar, too
        tuple(kept),
        unread,
    )


def encoding_of(facts: Facts) -> Encoding:
    """Container, codecs and bit rates of a file; of what is no file of its own (in a tar) its suffix alone."""
    suffix = facts.path.rpartition(".")[2].lower()
    if facts.kind == "image":
        return Encoding(suffix)
    try:
        with opened(facts.path, Deadline(facts.path)) as container:
            streams = {one.type: one for one in container.streams if one.codec_context is not None}
            names = {kind: one.codec_context.name for kind, one in streams.items()}
            bits = {kind: int(one.codec_context.bit_rate or 0) for kind, one in streams.items()}
            return Encoding(
                container.format.name.split(",")[0],
                names.get("video", ""),
                names.get("audio", ""),
                bits.get("video", 0),
                bits.get("audio", 0),
            )
    except (av.FFmpegError, OSError):
        return Encoding(suffix)


def _asked(pictures: Sequence[object], sounds: Sequence[object]) -> list[int]:
    """Which of the items have both picture and sound; if none has, which have a picture; else which have sound."""
    both = [place for place, (seen, heard) in enumerate(zip(pictures, sounds, strict=True)) if seen and heard]
    return both or [place for place, seen in enumerate(pictures) if seen] or list(range(len(sounds)))


def _is_prepared(media: Media, i: int) -> bool:
    """Whether the item was decoded and stored anew, so that its file shows nothing of how it was made."""
    base, i = underlying(media, i)
    while isinstance(base, Concatenated):
        base, i = underlying(*base.origin(i))
    return isinstance(base, Prepared)


def _picture(media: Media, i: int, facts: Facts) -> dict[str, list[float]]:
    times = [facts.duration_seconds * (k + 0.5) / FRAMES for k in range(FRAMES)] if facts.kind == "video" else [0.0]
    found = [_frame(frame) for frame in media.frames(i, times)]
    return {name: list(np.mean([each[name] for each in found], axis=0)) for name in found[0]}


def _frame(frame: NDArray[np.uint8]) -> dict[str, list[float]]:
    picture = frame.astype(np.float64) / 255
    height, width = picture.shape[1:]
    # Two per cent of the side: of a border, and little of the picture.
    down, right = max(1, height // 50), max(1, width // 50)
    strips = [picture[:, :down], picture[:, -down:], picture[:, :, :right], picture[:, :, -right:]]
    grey = picture.mean(0)
    edges = [float(value) for strip in strips for value in strip.mean((1, 2))]
    edges += [float(strip.mean(0).std()) for strip in strips]
    return {
        "border": edges,
        "light and colour": [*picture.mean((1, 2)).tolist(), float(grey.std())],
        "grain": _grain(grey),
    }


def _grain(grey: Matrix) -> list[float]:
    """Fine detail, in dB: from pixel to pixel, over two, and what is more at the seams of 8 × 8 blocks."""
    if min(grey.shape) < 24:  # not three blocks of a codec
        return [0.0, 0.0, 0.0]
    steps = np.abs(np.diff(grey, axis=1))
    seams = steps[:, 7::8].mean() / (steps.mean() + 1e-4)
    fine = grey[1:-1, 1:-1] - (grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]) / 4
    coarse = grey[2:-2, 2:-2] - (grey[:-4, 2:-2] + grey[4:, 2:-2] + grey[2:-2, :-4] + grey[2:-2, 4:]) / 4
    return [
        _db(float(np.sqrt((fine**2).mean()))),
        _db(float(np.sqrt((coarse**2).mean()))),
        10 * math.log10(seams + 0.1),
    ]


def _sound(media: Media, i: int, facts: Facts) -> dict[str, list[float]]:
    length = min(facts.audio_end_seconds - facts.audio_start_seconds, SOUND_SECONDS)
    start = (facts.audio_start_seconds + facts.audio_end_seconds - length) / 2
    wave = media.audio(i, start, max(length, 0.1), RATE).astype(np.float64)
    if not np.isfinite(wave).all():
        raise MediaError(facts.path, "its sound holds a sample that is not a number")
    spectra = _spectra(wave)
    level = _db(float(np.sqrt((wave**2).mean())))
    # What is there in nine of ten segments: the recording's own noise, whatever happens in it.
    floor = np.percentile(spectra, 10, axis=0)
    frequency = np.fft.rfftfreq(_WINDOW, 1 / RATE)
    ends = np.geomspace(40, RATE / 2, BANDS + 1)
    which = np.digitize(frequency, ends) - 1
    bands = [_db(float(np.sqrt(floor[which == b].mean()))) for b in range(BANDS)]
    power = spectra.mean(0)
    total = np.cumsum(power) / max(float(power.sum()), 1e-20)
    reach = [
        math.log2(float(frequency[min(int(np.searchsorted(total, share)), len(frequency) - 1)]) + 40)
        for share in (0.85, 0.99, 0.9999)  # the roll-off of music retrieval, and where a codec or a resampler cut
    ]
    return {
        "hum": _hum(floor, frequency),
        "loudness": [level, _db(float(np.abs(wave).max()))],
        # An octave more of bandwidth counts as much as 4 dB of noise in a band.
        "noise floor": [*bands, *(4 * octave for octave in reach)],
    }


def _spectra(wave: Matrix) -> Matrix:
    """Power spectra of segments that overlap by half: (segments, lines)."""
    if len(wave) < _WINDOW:
        wave = np.pad(wave, (0, _WINDOW - len(wave)))
    starts = range(0, len(wave) - _WINDOW + 1, _WINDOW // 2)
    window = np.hanning(_WINDOW)
    return np.stack([np.abs(np.fft.rfft(wave[s : s + _WINDOW] * window)) ** 2 for s in starts]) / _WINDOW**2


def _hum(floor: NDArray[np.floating[Any]], frequency: NDArray[np.floating[Any]]) -> list[float]:
    """By how many dB steady lines stand out of their surroundings, below 1 kHz: 0 to 30 each."""
    from scipy.ndimage import gaussian_filter1d, median_filter  # slow to import

    below = int(np.searchsorted(frequency, HUM_HZ))
    # 40 lines more than are used, so that the median filter has neighbours at the end.
    decibel = 10 * np.log10(floor[: below + 40] + 1e-14)
    excess = np.clip(decibel - median_filter(decibel, 31), 0, 30)[:below]
    excess[excess < 6] = 0  # noise does as much
    spread = gaussian_filter1d(excess, 1.0)
    places = np.linspace(0, below, HUM_BINS + 1).astype(int)
    return [float(spread[a:b].max()) for a, b in pairwise(places)]


def _db(level: float) -> float:
    return 20 * math.log10(max(level, 1e-6))


def _together(each: Sequence[dict[str, list[float]]]) -> dict[str, Matrix]:
    """The cues that all items have."""
    names = [name for name in (each[0] if each else {}) if all(name in one for one in each)]
    return {name: np.array([one[name] for one in each], np.float64) for name in names}


def _picture_encoding(facts: Sequence[Facts], encodings: Sequence[Encoding]) -> Matrix:
    figures = [
        [math.log2(f.width), math.log2(f.height), f.frame_rate / 10, _log(m.video_bits)]
        for f, m in zip(facts, encodings, strict=True)
    ]
    return np.hstack([np.array(figures), _kinds([(m.container, m.video_codec) for m in encodings])])


def _sound_encoding(facts: Sequence[Facts], encodings: Sequence[Encoding]) -> Matrix:
    figures = [
        [math.log2(f.audio_rate), float(f.audio_channels), 10 * f.audio_start_seconds, _log(m.audio_bits)]
        for f, m in zip(facts, encodings, strict=True)
    ]
    return np.hstack([np.array(figures), _kinds([m.audio_codec for m in encodings])])


def _in_words(facts: Facts, encoding: Encoding) -> str:
    """ "mov, h264 312×176, 15/s, aac 22.05 kHz mono"."""
    words = [encoding.container]
    if facts.kind != "sound":
        words.append(f"{encoding.video_codec} {facts.width}×{facts.height}".strip())
    if facts.kind == "video":
        words.append(f"{facts.frame_rate:.4g}/s")
    if facts.has_sound:
        layout = "mono" if facts.audio_channels == 1 else f"{facts.audio_channels} channels"
        words.append(f"{encoding.audio_codec} {facts.audio_rate / 1000:g} kHz {layout}".strip())
    return ", ".join(words)


def _log(bit_rate: int) -> float:
    return math.log2(max(bit_rate, 1000))  # 0 where the container does not say


def _kinds(names: Sequence[object]) -> Matrix:
    known = sorted(set(map(str, names)))
    return np.array([[float(str(name) == one) for one in known] for name in names])


def _scaled(cues: dict[str, Matrix]) -> dict[str, Matrix]:
    """Centred, clipped where one item is far out, and of variance 1 as a whole; what never varies is left out.

    Spectra keep their own proportions: lines without any signal must not be blown up to noise.
    """
    found = {}
    for name, values in cues.items():
        centred = values - np.median(values, axis=0)
        if values.shape[1] < HUM_BINS:
            # Cues of few values: each on a scale of its own, as loudness and bandwidth have different units.
            spread = centred.std(0)
            centred = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-3)
            centred = centred.clip(-4, 4)
        centred -= centred.mean(0)
        size = math.sqrt(float((centred**2).sum(1).mean())) if len(centred) else 0.0
        if size > 1e-6:  # else it is the same in all items, and can neither match nor name anything
            found[name] = centred / size
    return found
