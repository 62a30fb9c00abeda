"""A summary of a collection for people: counts, hours, flagged files, rejected files and reasons."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from avssl.media.facts import Facts, Media, Rejected
from avssl.media.indexing.reasons import grouped
from avssl.media.selection import column_of, facts_of
from avssl.system.console import counted

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
SHOWN = 8  # labels or splits that are named


class Verdict(NamedTuple):
    """One line of the list of all files."""

    path: str
    usable: bool
    words: str  # a description, or why it cannot be used


@dataclass(slots=True)
class Summary:
    """A collection in figures. Paths are relative to the folder that holds them all."""

    root: str
    usable: int = 0
    kinds: Counter[str] = field(default_factory=Counter)  # usable items by kind: "video", "image", "sound"
    video_hours: float = 0.0
    sound_hours: float = 0.0
    without_sound: int = 0  # videos that have no sound at all; tasks that need it pass them over
    flags: Counter[str] = field(default_factory=Counter)  # usable items by flag, as in Facts
    labels: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    # Different sources; fewer than items if a table names them or items are segments of one file.
    sources: int = 0
    odd: list[Verdict] = field(default_factory=list)  # usable items with a flag, and videos without sound
    rejected: list[Rejected] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)  # rejected files by kind of reason

    def lines(self) -> list[str]:
        kinds = ", ".join(counted(count, kind) for kind, count in self.kinds.most_common())
        lines = [f"{self.root}: {kinds or 'nothing'} usable, {len(self.rejected)} rejected"]
        if self.video_hours or self.sound_hours:
            lines.append(f"{_hours(self.video_hours)} of video, {_hours(self.sound_hours)} of sound")
        notes = [f"{count} {flag}" for flag, count in self.flags.most_common()]
        if self.without_sound:
            notes.append(f"{self.without_sound} without sound")
        if notes:
            lines.append("flagged: " + ", ".join(notes))
        for name, counts in (("splits", self.splits), ("labels", self.labels)):
            if counts:
                lines.append(f"{len(counts)} {name}: " + _listed(counts))
        if self.reasons:
            lines.append("rejected: " + ", ".join(f"{count} {reason}" for reason, count in self.reasons.most_common()))
        return lines

    def as_json(self) -> dict[str, Any]:
        figures = {name: getattr(self, name) for name in self.__slots__}
        figures["odd"] = [line._asdict() for line in self.odd]
        figures["rejected"] = [line._asdict() for line in self.rejected]
        return figures


def summarize(media: Media) -> Summary:
    sources = set()
    summary = Summary(root=common_root(media))
    for facts in facts_of(media):
        sources.add(facts.source)
        _count(summary, facts)
    summary.sources = len(sources)
    for path, reason in media.rejected:
        summary.rejected.append(Rejected(relative(path, summary.root), reason))
    summary.reasons = grouped(reason for _, reason in media.rejected)
    return summary


def verdicts(media: Media) -> Iterator[Verdict]:
    """A line about every file, usable or not, in the order of their paths."""
    root = common_root(media)
    lines = [Verdict(relative(path, root), False, reason) for path, reason in media.rejected]
    for facts in facts_of(media):
        lines.append(Verdict(relative(facts.path, root), True, in_words(facts)))
    yield from sorted(lines)


def in_words(facts: Facts) -> str:
    """One item: "video 320×240, 3.00 s, 25 fps, sound 44.1 kHz stereo, short"."""
    words = [facts.kind if facts.kind == "sound" else f"{facts.kind} {facts.width}×{facts.height}"]
    if facts.kind != "image":
        words.append(f"{facts.duration_seconds:.2f} s")
    if facts.kind == "video":
        words.append(f"{round(facts.frame_rate, 2):g} fps" if facts.frame_rate else f"{facts.frame_count} frame")
        words.append(_sound_in_words(facts))
    elif facts.kind == "sound":
        words[0] = _sound_in_words(facts)
    return ", ".join([*words, *(flag for flag in facts.flags if facts.has_sound or flag != "silent")])


def common_root(media: Media) -> str:
    """The folder that holds all files of a collection, the rejected ones too."""
    root = getattr(getattr(media, "base", media), "root", None)
    if root is not None:
        return str(root)
    folders = {str(Path(path).parent) for path in dict.fromkeys(column_of(media, "path"))}
    return os.path.commonpath(folders) if folders else ""


def relative(path: str, root: str) -> str:
    """The path of a file relative to ``root`` if it lies in there."""
    return os.path.relpath(path, root) if root and Path(path).is_relative_to(root) else path


def _count(summary: Summary, facts: Facts) -> None:
    summary.usable += 1
    summary.kinds[facts.kind] += 1
    summary.flags.update(facts.flags)
    if facts.kind == "video":
        summary.video_hours += facts.duration_seconds / 3600
        summary.without_sound += not facts.has_sound
    if facts.has_sound:
        summary.sound_hours += (facts.audio_end_seconds - facts.audio_start_seconds) / 3600
    if facts.label is not None:
        summary.labels[facts.label] += 1
    if facts.split is not None:
        summary.splits[facts.split] += 1
    if facts.flags or (facts.kind == "video" and not facts.has_sound):
        summary.odd.append(Verdict(relative(facts.path, summary.root), True, in_words(facts)))


def _sound_in_words(facts: Facts) -> str:
    if not facts.has_sound:
        return "no sound"
    layout = LAYOUTS.get(facts.audio_channels, f"{facts.audio_channels} channels")
    words = f"sound {facts.audio_rate / 1000:g} kHz {layout}"
    if facts.kind == "video" and facts.audio_start_seconds > 0.1:
        words += f" from {facts.audio_start_seconds:.2f} s"
    if facts.kind == "video" and facts.audio_end_seconds < facts.duration_seconds - 0.2:
        words += f" to {facts.audio_end_seconds:.2f} s"
    return words


def _hours(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.1f} hours"
    return f"{hours * 60:.1f} minutes" if hours >= 1 / 60 else f"{hours * 3600:.1f} seconds"


def _listed(counts: Counter[str]) -> str:
    shown = [f"{name} ({count})" for name, count in counts.most_common(SHOWN)]
    return ", ".join(shown + ["…"] * (len(counts) > SHOWN))
