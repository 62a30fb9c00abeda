"""The ground truth of a clip, from its JSON file; read for evaluation, never for training.

A truth is a plain dictionary::

    {"version", "seed", "split", "index", "scene", "motion", "background", "fps", "rate", "size", "frames",
     "kinds_visible": [kind, …], "kinds_sounding": [kind, …],
     "objects":   [{"kind", "color": [r, g, b], "size", "pitch_hz", "sounding": bool,
                    "boxes": [[left, top, right, bottom] | null, … a frame], "heard": [[start, end], …]}, …],
     "offscreen": [{"kind", "pitch_hz", "heard": [[start, end], …]}, …],
     "events":    [{"time_seconds", "object", "kind", "cause", "impulse", "heard": bool}, …],
     "level_db", "noise_db"}

Boxes are in shares of the side, tight around the drawn silhouette. ``heard`` are the segments, in seconds, in which
that object by itself is louder than the room's noise, decaying tails included. ``object`` of an event is the number of
the object, counted on through ``offscreen``; ``cause`` is "impact" or "pluck"; ``impulse`` is 1 for a fall from half
the picture's height.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avssl.errors import UserError

Truth = Mapping[str, Any]
Box = tuple[float, float, float, float]

AUDIBLE_SECONDS = 0.05  # a kind must be heard for this long between two times to count there


def visible_kinds(truth: Truth, time: float) -> set[str]:
    """Kinds of which an object lies in the frame shown at ``time`` seconds."""
    return {kind for kind, _, _ in boxes(truth, time)}


def sounding_kinds(truth: Truth, start: float, end: float) -> set[str]:
    """Kinds heard for at least 50 ms between ``start`` and ``end`` seconds, off-screen ones too."""
    everything = (*truth["objects"], *truth["offscreen"])
    return {str(one["kind"]) for one in everything if _heard_seconds(one, start, end) >= AUDIBLE_SECONDS}


def audible(truth: Truth, start: float, end: float) -> bool:
    """Whether anything but the room's noise is heard between ``start`` and ``end`` seconds."""
    return bool(sounding_kinds(truth, start, end))


def boxes(truth: Truth, time: float) -> list[tuple[str, bool, Box]]:
    """Kind, whether it is of those that sound in this clip, and box of each object in the frame shown at ``time``.

    Objects outside of the picture are left out. Times before the first frame show the first, after the last the last.
    """
    number = frame_number(truth, time)
    found: list[tuple[str, bool, Box]] = []
    for one in truth["objects"]:
        box = one["boxes"][number]
        if box is not None:
            found.append((str(one["kind"]), bool(one["sounding"]), (box[0], box[1], box[2], box[3])))
    return found


def frame_number(truth: Truth, time: float) -> int:
    """Number of the frame shown at ``time`` seconds."""
    # Rounding may put the time of a frame just before it.
    return min(max(int(time * float(truth["fps"]) + 1e-6), 0), int(truth["frames"]) - 1)


def read_truth(path: Path | str) -> dict[str, Any]:
    """The ground truth of a clip, by the path of the clip or its JSON file; raises UserError where there is none."""
    file = Path(path).with_suffix(".json")
    try:
        truth = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{file}: no such file; only clips of the generated world have ground truth") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as the ground truth of a clip ({error}); generate it again") from None
    if not isinstance(truth, dict) or "kinds_sounding" not in truth:
        raise UserError(f"{file}: not the ground truth of a generated clip")
    return truth


def truth_bytes(truth: Truth) -> bytes:
    """A truth as written: sorted keys, no spaces; equal truths have equal bytes."""
    return json.dumps(truth, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _heard_seconds(one: Mapping[str, Any], start: float, end: float) -> float:
    segments: Sequence[Sequence[float]] = one["heard"]
    # Exactly the least time counts, whatever rounding does to its last bit.
    return sum(max(0.0, min(end, segment[1]) - max(start, segment[0])) for segment in segments) + 1e-9
