"""One item of a collection, and how collections and items look in a notebook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from avssl.errors import MediaError
from avssl.media.facts import Facts, Media
from avssl.system import html
from avssl.system.console import counted

SHOWN = 8  # rows of the table that a collection is drawn as
# Of a longer sound only the beginning is drawn; its outline looks the same at any higher rate.
HEARD_SECONDS, HEARD_RATE = 30.0, 8000


@dataclass(frozen=True)
class Item:
    """One item of a collection: what ``media[i]`` returns.

    Attributes:
        media: the collection.
        index: the item's number in it.
    """

    media: Media
    index: int

    @property
    def facts(self) -> Facts:
        """What is known of it before it is read."""
        return self.media.facts(self.index)

    @property
    def frame_times(self) -> NDArray[np.float64]:
        """The time at which each frame is first shown, seconds, the first 0.0. (n,)"""
        return self.media.frame_times(self.index)

    def frames(self, times: Sequence[float] = (0.0,)) -> NDArray[np.uint8]:
        """The frames shown at ``times``: uint8 RGB (len(times), 3, height, width).

        Raises:
            MediaError: the file cannot be read there.
        """
        return self.media.frames(self.index, times)

    def audio(
        self, start_seconds: float | None = None, duration_seconds: float | None = None, rate: int | None = None
    ) -> NDArray[np.float32]:
        """Sound, mono: float32 (samples,), full scale ±1. By default all of it, at its own rate.

        Raises:
            MediaError: the file cannot be read there or has no sound.
        """
        facts = self.facts
        start = facts.audio_start_seconds if start_seconds is None else start_seconds
        duration = max(facts.audio_end_seconds - start, 0.0) if duration_seconds is None else duration_seconds
        return self.media.audio(self.index, start, duration, rate or facts.audio_rate or HEARD_RATE)

    def _repr_html_(self) -> str:
        facts, parts = self.facts, []
        try:
            if facts.kind != "sound":
                times = np.linspace(0, facts.duration_seconds, 5)[1:-1] if facts.has_video else [0.0]
                parts.append(Markup(" ").join(html.thumbnail(frame, 120) for frame in self.frames([*times])))
            if facts.has_sound:
                seconds = min(facts.audio_end_seconds - facts.audio_start_seconds, HEARD_SECONDS)
                parts.append(html.waveform(self.audio(None, seconds, HEARD_RATE)))
        except MediaError as error:
            parts.append(Markup("<i>{}</i>").format(error))
        return html.section(Path(facts.path).name, *parts, html.facts_table(_all_facts(facts)))


def collection_html(media: Media) -> str:
    """The first items of a collection with a picture each, and the first files that cannot be used."""
    count, rejected = len(media), media.rejected
    shown = [_row(media, i) for i in range(min(SHOWN, count))]
    headers = ["", "file", "label", "split", "seconds", "pixels", "sound", ""]
    more = f"… and {count - len(shown)} more" if count > len(shown) else ""
    unusable = html.table(["not usable", "reason"], [(Path(path).name, why) for path, why in rejected[:SHOWN]])
    title = f"{counted(count, 'item')} ({_kinds(media)})" + (
        f"; {counted(len(rejected), 'file')} not usable" if rejected else ""
    )
    return html.section(title, html.table(headers, shown), more, unusable if rejected else "")


def _row(media: Media, i: int) -> tuple[object, ...]:
    facts, picture = media.facts(i), Markup("")
    try:
        if facts.kind != "sound":
            picture = html.thumbnail(media.frames(i, [facts.duration_seconds / 2])[0], 48)
    except MediaError as error:
        picture = Markup("<i>{}</i>").format(error.reason)
    seconds = f"{facts.duration_seconds:.2f}" if facts.kind != "image" else ""
    size = f"{facts.width} × {facts.height}" if facts.kind != "sound" else ""
    sound = f"{facts.audio_rate} Hz" if facts.has_sound else ""
    name = Path(facts.path).name
    return picture, name, facts.label or "", facts.split or "", seconds, size, sound, ", ".join(facts.flags)


def _kinds(media: Media) -> str:
    """ "12 videos, 3 sounds"."""
    asked = range(min(len(media), 10_000))  # a notebook must not wait for millions of rows
    counts = Counter(media.facts(i).kind for i in asked)
    words = ", ".join(counted(count, kind) for kind, count in counts.most_common())
    return words if len(asked) == len(media) else f"of the first {len(asked)}: {words}"


def _all_facts(facts: Facts) -> dict[str, object]:
    sound = f"{facts.audio_rate} Hz, {facts.audio_channels} channels" if facts.has_sound else "none"
    spans = f", {facts.audio_start_seconds:.3f} to {facts.audio_end_seconds:.3f} s" if facts.has_sound else ""
    moving = facts.has_video
    return {
        "path": facts.path,
        "kind": facts.kind,
        "duration": f"{facts.duration_seconds:.3f} s" if facts.kind != "image" else None,
        "size": f"{facts.width} × {facts.height} pixels" if facts.kind != "sound" else None,
        "frames": f"{facts.frame_count}, {facts.frame_rate:.3g} a second" if moving else None,
        "sound": sound + spans if facts.kind != "image" else None,
        "label": facts.label,
        "split": facts.split,
        "source": facts.source,
        "flags": ", ".join(facts.flags),
    }
