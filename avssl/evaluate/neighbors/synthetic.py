"""Ground truth of frames and sounds of the generated world, to measure what neighbours share.

Only of clips with one object, where there is no question whose kind and place are meant.

    of frames                                           of sounds
    kind        of the object                           kind        of what is heard
    place       middle of its box; place-x, place-y     pitch       of the strike note, in octaves
    size        root of the box's area, in octaves      loudness    of the window, in dB
    pose        box's width to height, in octaves,      hits        how many of them lie in the window
                beside what is usual for the kind       motion      bounce, swing, struck, …
    colour      of its body, in CIE Lab                 background  inaudible: must be at chance
    background  theme of the place
    motion      bounce, swing, struck, …: how things move in this clip
    velocity    of the middle of the box, in sides a second
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.evaluate.neighbors.protocol import Attribute
from avssl.evaluate.neighbors.query_items import QueryItems, What
from avssl.networks.colour import rgb_to_lab
from avssl.world.truth import boxes, frame_number, sounding_kinds

Truth = Mapping[str, Any]

# Frames before and after over which velocity is taken: 0.16 s at 25 frames a second
REACH = 2

LOUDNESS_RATE = 16000


@dataclass(frozen=True)
class KnownItems:
    """Items of which everything is known."""

    query_items: QueryItems
    attributes: Sequence[Attribute]
    kinds: Sequence[str]  # the kind of the object of each, as its label


def known_items(query_items: QueryItems, what: What, seconds: float = 1.0) -> KnownItems:
    """The frames or sounds of a world's clips that are of one object alone, and what is known of them.

    Raises:
        UserError: of too few clips something is known.
    """
    of: Callable[[QueryItems, int], dict[str, Any] | None]
    of = _frame if what == "frames" else lambda items, i: _sound(items, i, seconds)
    known_facts = {i: facts for i in range(len(query_items)) if (facts := of(query_items, i)) is not None}
    known = query_items.only(list(known_facts))
    if len(set(known.sources())) < 2:
        raise UserError("the clips of this world with one object are too few; see avssl world --help, --preset single")
    rows = list(known_facts.values())
    attributes = _frame_attributes(rows) if what == "frames" else _sound_attributes(rows)
    return KnownItems(known, attributes, [str(row["kind"]) for row in rows])


def _frame(query_items: QueryItems, i: int) -> dict[str, Any] | None:
    """What is known of one frame; None if it does not show exactly one object."""
    truth, entry = query_items.annotation(i), query_items.entries[i]
    if truth is None or len(truth["objects"]) != 1:
        return None
    shown = boxes(truth, entry.seconds)
    velocity = _velocity(truth, frame_number(truth, entry.seconds))
    if not shown or velocity is None:
        return None
    kind, _, (left, top, right, bottom) = shown[0]
    return {
        "kind": kind,
        "place": ((left + right) / 2, (top + bottom) / 2),
        "size": math.log2((right - left) * (bottom - top)) / 2,
        "aspect": math.log2((right - left) / (bottom - top)),
        "colour": truth["objects"][0]["color"],
        "background": truth["background"],
        "motion": truth["motion"],
        "velocity": velocity,
    }


def _velocity(truth: Truth, number: int) -> tuple[float, float] | None:
    """Of the middle of the box about a frame, in sides a second; None if it is not in the picture there."""
    track = truth["objects"][0]["boxes"]
    before, after = max(number - REACH, 0), min(number + REACH, len(track) - 1)
    if before == after or track[before] is None or track[after] is None:
        return None
    seconds = (after - before) / float(truth["fps"])
    ends = [((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for box in (track[before], track[after])]
    return (ends[1][0] - ends[0][0]) / seconds, (ends[1][1] - ends[0][1]) / seconds


def _frame_attributes(rows: Sequence[Mapping[str, Any]]) -> list[Attribute]:
    place = np.array([row["place"] for row in rows])
    colour = torch.tensor([row["colour"] for row in rows], dtype=torch.uint8)[..., None, None]
    lab = rgb_to_lab(colour)[:, :, 0, 0].double().numpy()
    return [
        _category("kind", rows),
        Attribute("place", place, unit="sides"),
        Attribute("place-x", place[:, :1], unit="sides"),
        Attribute("place-y", place[:, 1:], unit="sides"),
        Attribute("size", _column("size", rows), unit="octaves"),
        Attribute("pose", _beside_kind(_column("aspect", rows), rows), unit="octaves of width to height"),
        Attribute("colour", lab, unit="of Lab"),
        _category("background", rows),
        _category("motion", rows),
        Attribute("velocity", np.array([row["velocity"] for row in rows]), unit="sides a second"),
    ]


def _sound(query_items: QueryItems, i: int, seconds: float) -> dict[str, Any] | None:
    """What is known of one window of sound; None unless the clip's only object is heard in it, and nothing else."""
    truth, entry = query_items.annotation(i), query_items.entries[i]
    if truth is None or len(truth["objects"]) != 1 or truth["offscreen"]:
        return None
    start, end = entry.seconds - seconds / 2, entry.seconds + seconds / 2
    one = truth["objects"][0]
    if sounding_kinds(truth, start, end) != {one["kind"]}:
        return None
    wave = query_items.audio(i, start, seconds, LOUDNESS_RATE).astype(np.float64)
    return {
        "kind": one["kind"],
        "pitch": math.log2(one["pitch_hz"]),
        # Digital silence is −120 dB instead of −∞
        "loudness": 10 * math.log10(float(np.mean(wave**2)) + 1e-12),
        "hits": float(sum(bool(hit["heard"]) and start <= hit["time_seconds"] < end for hit in truth["events"])),
        "motion": truth["motion"],
        "background": truth["background"],
    }


def _sound_attributes(rows: Sequence[Mapping[str, Any]]) -> list[Attribute]:
    return [
        _category("kind", rows),
        Attribute("pitch", _column("pitch", rows), unit="octaves"),
        Attribute("loudness", _column("loudness", rows), unit="dB"),
        Attribute("hits", _column("hits", rows), unit="hits"),
        _category("motion", rows),
        _category("background", rows),
    ]


def _category(name: str, rows: Sequence[Mapping[str, Any]]) -> Attribute:
    names = [str(row[name]) for row in rows]
    return Attribute(name, np.unique(names, return_inverse=True)[1].astype(np.float64)[:, None], category=True)


def _column(name: str, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    return np.array([[float(row[name])] for row in rows])


def _beside_kind(values: NDArray[np.float64], rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """Values less the median of their kind, so that equal kinds are not equal in it by that alone."""
    kinds = np.array([row["kind"] for row in rows])
    found = values.copy()
    for kind in np.unique(kinds):
        found[kinds == kind] -= np.median(values[kinds == kind], axis=0)
    return found
