"""Items of one source by content: bytes, frames, sound, borders, hums. Weaker evidence is kept separate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import chain, product
from pathlib import Path

import numpy as np

from avssl.errors import MediaError
from avssl.media.facts import Facts, Media
from avssl.media.sources import audio_landmarks as sounds
from avssl.media.sources import image_similarity as pictures
from avssl.media.sources.borders import distinctive
from avssl.media.sources.image_similarity import has_detail, same_frames, same_picture, thumbnail
from avssl.media.sources.names import NameGroups
from avssl.media.sources.traces import Trace, sound_of
from avssl.system.digests import copies

# Least phase correlation of one recording. Of 371 pairs of cuts from one recording, encoded separately, the lowest has
# 0.56; of 33 other pairs with common landmarks, the highest has 0.09.
COHERENT = 0.5
OVERLAP_SECONDS = 1.5  # in shorter overlaps two sounds of one machine can be coherent
# A border or a hum of more than this share of the items is a channel's design, a room or the mains.
LARGEST_SHARE = 0.2
SAME_TONE_HZ = 0.04
SAME_COLOUR = 9.0  # levels of a channel by which coding may change the colour of a border
SAME_WIDTH = 0.02
MAINS_HZ = (50.0, 60.0)  # their harmonics hum everywhere
ALIGNED_MOMENTS = 3
# A picture is searched at its time and around it: copies of another frame rate show it earlier or later.
STRAY_SECONDS = (0.0, -0.1, -0.05, 0.05, 0.1)
LIKELY = "names that may be of parts of one source"
# The fewest groups by names, and the share of their items that must look most like their own group.
LOOKED_AT, LOOKS_AGREE = 5, 0.7


@dataclass(frozen=True)
class Alike:
    """Items that are alike by a rule; only ``sure`` ones are grouped."""

    rule: str
    items: tuple[int, ...]
    words: str
    sure: bool


def by_bytes(facts: Sequence[Facts]) -> list[Alike]:
    """Files that are the same, byte for byte. Only files of equal size are read."""
    items: dict[str, list[int]] = defaultdict(list)
    for i, one in enumerate(facts):
        items[one.path].append(i)
    paths = [path for path in items if Path(path).is_file()]
    return [
        Alike("bytes", tuple(sorted(i for path in group for i in items[path])), "the same bytes", True)
        for group in copies(paths)
    ]


def by_looks_of_names(named: NameGroups, traces: Sequence[Trace]) -> list[Alike]:
    """Videos whose names may be of parts: sure if their pictures agree, for all these names together.

    Cuts of one video resemble each other more than clips of one kind do: the nearest in mean appearance is of the same
    video for 83 % of 103 cuts of 50 web videos, of the same kind for 51 % of 280 clips of 10 kinds.
    """
    found = []
    for groups, kept in ((named.likely, True), (named.bare, False)):
        seen = [group for group in groups if all(len(traces[i].grey) > 1 for i in group)]
        sure = len(seen) >= LOOKED_AT and _nearest_is_own(seen, traces) >= LOOKS_AGREE
        found += [Alike("names", group, "names and looks of parts of one source", True) for group in seen if sure]
        if kept and not sure:
            found += [Alike("names", group, LIKELY, False) for group in groups]
    return found


def by_frames(traces: Sequence[Trace]) -> list[Alike]:
    """Items that show the same pictures."""
    found = []
    for a, b in pictures.candidates([trace.grey for trace in traces]):
        one, other = traces[a], traces[b]
        if same_frames(one.grey, one.colour, other.grey, other.colour):
            found.append(Alike("frames", (a, b), "near-identical pictures", True))
    return found


def by_sound(media: Media, facts: Sequence[Facts], traces: Sequence[Trace]) -> list[Alike]:
    """Items with one recording. In videos the pictures must agree, too, at the same times: music is reused."""
    found = []
    waves = lru_cache(32)(partial(sound_of, media))  # an item may be in many pairs
    for a, b, _, offset in sounds.candidates([t.peaks for t in traces], [t.times for t in traces]):
        try:
            if not _one_recording(waves(a), waves(b), offset):
                continue
            shift = offset * sounds.HOP / sounds.RATE
            sure = _no_pictures(facts[a], facts[b]) or _same_moments(media, facts, a, b, shift)
        except MediaError:
            continue
        words = "the same sound" if _no_pictures(facts[a], facts[b]) else "the same sound and pictures"
        found.append(Alike("sound", (a, b), words if sure else "the same sound under other pictures", sure))
    return found


def by_border(traces: Sequence[Trace]) -> list[Alike]:
    """Videos with a border of one colour and width that few others have."""
    having = [i for i, trace in enumerate(traces) if distinctive(trace.border)]
    groups = _clusters(
        having,
        lambda i: tuple((traces[i].border[:3] // SAME_COLOUR).astype(int).tolist()),
        lambda a, b: _same_border(traces[a], traces[b]),
    )
    colours = [bytes(np.round(trace.border[:3]).astype(np.uint8)).hex() for trace in traces]
    return _few(groups, len(traces), "border", lambda i: f"a border of colour #{colours[i]}")


def by_hum(traces: Sequence[Trace], sounds_alike: Sequence[Alike]) -> list[Alike]:
    """Items with a steady tone of one frequency that few others have.

    Args:
        sounds_alike: the result of :func:`by_sound`: a reused recording brings its tone along.
    """
    again = [set(one.items) for one in sounds_alike if not one.sure]
    having = [i for i, trace in enumerate(traces) if len(trace.tones) and not _mains(float(trace.tones[0]))]
    groups = _clusters(
        having, lambda i: (int(traces[i].tones[0] // SAME_TONE_HZ),), lambda a, b: _same_hum(traces[a], traces[b])
    )
    found = _few(groups, len(traces), "hum", lambda i: f"a steady tone of {float(traces[i].tones[0]):.1f} Hz")
    return [replace(one, sure=one.sure and not any(pair <= set(one.items) for pair in again)) for one in found]


def _nearest_is_own(groups: Sequence[tuple[int, ...]], traces: Sequence[Trace]) -> float:
    """The share of items whose nearest in mean appearance is of their own group; of about 400, if there are more."""
    owner = np.array([k for k, group in enumerate(groups) for _ in group])
    items = [traces[i] for group in groups for i in group]
    grey = np.stack([trace.grey.mean(0).ravel() / 4 for trace in items])
    looks = np.concatenate([grey, np.stack([trace.colour.mean(0).ravel() for trace in items])], axis=1)
    asked = np.arange(0, len(items), max(len(items) // 400, 1))
    own = 0
    for i in asked:
        distance = np.square(looks - looks[i]).sum(1)
        distance[i] = np.inf
        own += int(owner[distance.argmin()] == owner[i])
    return own / len(asked)


def _one_recording(first: np.ndarray, second: np.ndarray, offset: int) -> bool:
    """Whether two sounds agree where they overlap, the second ``offset`` hops later."""
    start = offset * sounds.HOP
    a, b = (first, second[start:]) if start >= 0 else (first[-start:], second)
    length = min(len(a), len(b))
    if length < OVERLAP_SECONDS * sounds.RATE:
        return False
    return sounds.coherence(a[:length], b[:length]) >= COHERENT


def _no_pictures(one: Facts, other: Facts) -> bool:
    return one.kind == "sound" and other.kind == "sound"


def _same_moments(media: Media, facts: Sequence[Facts], a: int, b: int, shift: float) -> bool:
    """Whether two videos show the same pictures while they sound the same, ``shift`` seconds later in the second."""
    if "sound" in (facts[a].kind, facts[b].kind):
        return False
    begin_a, begin_b = (max(facts[i].audio_start_seconds, 0.0) for i in (a, b))
    shift += begin_b - begin_a
    start, end = max(0.0, -shift), min(facts[a].duration_seconds, facts[b].duration_seconds - shift)
    times = [start + (end - start) * (k + 0.5) / ALIGNED_MOMENTS for k in range(ALIGNED_MOMENTS)]
    ours = [thumbnail(frame) for frame in media.frames(a, times)]
    near = [max(time + shift + stray, 0.0) for time in times for stray in STRAY_SECONDS]
    theirs = [thumbnail(frame) for frame in media.frames(b, near)]
    same = 0
    for k, one in enumerate(ours):
        others = theirs[k * len(STRAY_SECONDS) : (k + 1) * len(STRAY_SECONDS)]
        same += has_detail(one[0]) and any(same_picture(*one, *other) for other in others)
    return same >= 2


def _same_border(one: Trace, other: Trace) -> bool:
    colours = np.abs(one.border[:3] - other.border[:3]).max()
    return bool(colours <= SAME_COLOUR and np.abs(one.border[3:] - other.border[3:]).max() <= SAME_WIDTH)


def _same_hum(one: Trace, other: Trace) -> bool:
    if abs(float(one.tones[0] - other.tones[0])) > SAME_TONE_HZ:
        return False
    count = min(len(one.tones), len(other.tones))
    near = np.abs(one.tones[:, None] - other.tones[None]).min(1) <= SAME_TONE_HZ
    return 2 * int(near.sum()) >= count


def _mains(hertz: float) -> bool:
    return any(abs(hertz - round(hertz / base) * base) <= 0.3 for base in MAINS_HZ)


def _clusters(
    items: Sequence[int], cell: Callable[[int], tuple[int, ...]], same: Callable[[int, int], bool]
) -> list[list[int]]:
    """Clusters by leader: each item is compared with the first of each cluster in its own and neighbouring cells."""
    cells: dict[tuple[int, ...], list[list[int]]] = defaultdict(list)
    for i in items:
        own = cell(i)
        near = (tuple(np.add(own, step).tolist()) for step in product((-1, 0, 1), repeat=len(own)))
        for cluster in chain.from_iterable(cells[place] for place in near if place in cells):
            if same(cluster[0], i):
                cluster.append(i)
                break
        else:
            cells[own].append([i])
    return sorted(cluster for clusters in cells.values() for cluster in clusters if len(cluster) > 1)


def _few(groups: Iterable[list[int]], whole: int, rule: str, what: Callable[[int], str]) -> list[Alike]:
    most = max(2, LARGEST_SHARE * whole) if whole >= 10 else 0  # of fewer than ten items no share tells anything
    return [Alike(rule, tuple(group), what(group[0]), len(group) <= most) for group in groups]
