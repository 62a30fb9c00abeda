"""Localization on the generated world, where it is known which object sounds when and where.

Segments are drawn from held-out clips in which exactly one kind is heard and is in the picture. "trained" and
"untrained" rows are of clips with two or three objects of which one sounds. Further rows:

    swap        another object of the same picture is given the sound of its kind, from another clip: the truth moves
    swap/other  the sound of a kind that is not in the picture, evaluated on the old truth: must fall to the blind rows
    silence     noise floor, mains hum and room noise instead of the sound; "rejected" is the share of which the map
                says that nothing is heard
    off-screen  on-screen sound against the sound of a kind that is not in the picture: area under the ROC curve
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.evaluate.core.rows import Context, ResultRow
from avssl.evaluate.core.statistics import auc
from avssl.evaluate.localization import protocols
from avssl.evaluate.localization.annotations import Item
from avssl.evaluate.localization.blind import blind_rows
from avssl.evaluate.localization.map_maker import MapMaker
from avssl.evaluate.localization.metrics import Box, Map
from avssl.evaluate.localization.scoring import mean_row, rows_of, score_maps
from avssl.evaluate.localization.silences import SILENCES, Silence, Wave, silence
from avssl.evaluate.localization.threshold import fit_threshold, write_threshold
from avssl.media.facts import Media
from avssl.samplers.keys import generator
from avssl.samplers.silence import draw_silence
from avssl.world.truth import boxes, sounding_kinds

BATCH = 32


NOTES = {
    "trained/logits": "the logits themselves, not spread to regions",
    "trained/peak-disc": "nearness to the peak alone: what one point and the rule's area are worth",
    "untrained": "random weights",
}


@dataclass(frozen=True)
class Segment:
    """A frame of a clip and the sound around it: what is seen, and the one kind that is heard, which is seen, too."""

    clip: int
    path: str
    scene: str
    seconds: float
    kind: str
    boxes: Mapping[str, Box]

    @property
    def name(self) -> str:
        return f"{self.path}@{self.seconds:.2f}"

    def item(self, kind: str | None = None) -> Item:
        """The segment with the truth of this kind (the sounding one)."""
        return Item(self.name, (self.boxes[kind or self.kind],), 1.0, self.name, self.name, self.path, label=self.kind)


def is_world(media: Media) -> bool:
    """Whether the truth of the generated world lies beside the clips."""
    truth = media.annotation(0) if len(media) else None
    return truth is not None and "kinds_sounding" in truth and "objects" in truth


def draw_segments(media: Media, seconds: float, seed: int, per_clip: int) -> list[Segment]:
    """At most so many segments of each clip, each from a part of its own, with so many seconds of sound, in which
    exactly one kind is heard, and is in the picture."""
    found: list[Segment] = []
    for clip in range(len(media)):
        truth = media.annotation(clip)
        if truth is None or truth.get("scene") not in ("single", "several"):
            continue
        facts = media.facts(clip)
        rng = generator(seed, clip, "localization")
        space = facts.duration_seconds - seconds
        for part in range(per_clip):
            # Tries: segments at which one kind alone is heard may be few.
            for _ in range(8):
                at = seconds / 2 + max(space, 0.0) * (part + float(rng.random())) / per_clip
                here = {kind: box for kind, _, box in boxes(truth, at)}
                heard = sounding_kinds(truth, at - seconds / 2, at + seconds / 2)
                if len(heard) == 1 and heard <= here.keys():
                    found.append(Segment(clip, facts.path, truth["scene"], at, heard.pop(), here))
                    break
    return found


class World:
    """The segments of a world's held-out clips, and the maps of any model on them."""

    def __init__(self, media: Media, model: MapMaker, seed: int, per_clip: int = 2) -> None:
        self.media, self.seed = media, seed
        self.seconds, self.rate = model.seconds, model.rate
        self.segments = draw_segments(media, model.seconds, seed, per_clip)
        self.several = [segment for segment in self.segments if segment.scene == "several"]
        self._frames = [media.frames(m.clip, [m.seconds])[0] for m in self.segments]
        self._sounds = [
            media.audio(m.clip, m.seconds - self.seconds / 2, self.seconds, self.rate) for m in self.segments
        ]
        self._place = {m.name: i for i, m in enumerate(self.segments)}
        self._by_kind: dict[str, list[int]] = {}
        for i, segment in enumerate(self.segments):
            self._by_kind.setdefault(segment.kind, []).append(i)

    def maps(self, model: MapMaker, segments: Sequence[Segment], sounds: Sequence[Wave]) -> list[Map]:
        """A map for each segment with the sound given."""
        found: list[Map] = []
        for first in range(0, len(segments), BATCH):
            frames = np.stack([self._frames[self._place[m.name]] for m in segments[first : first + BATCH]])
            found += list(model.maps(frames, np.stack(sounds[first : first + BATCH])).astype(np.float64))
        return found

    def own(self, segments: Sequence[Segment]) -> list[Wave]:
        """The sound of each segment."""
        return [self._sounds[self._place[m.name]] for m in segments]

    def of_kind(self, segment: Segment, kind: str) -> Wave | None:
        """The sound of a kind, from a segment of another clip."""
        others = [i for i in self._by_kind.get(kind, []) if self.segments[i].clip != segment.clip]
        if not others:
            return None
        return self._sounds[others[int(generator(self.seed, segment.name, kind, "swap").integers(len(others)))]]

    def absent(self, segment: Segment) -> Wave | None:
        """The sound of a kind that is not in the segment's picture."""
        kinds = sorted(self._by_kind.keys() - segment.boxes.keys())
        if not kinds:
            return None
        return self.of_kind(segment, kinds[int(generator(self.seed, segment.name, "absent").integers(len(kinds)))])

    def silences(self, segments: Sequence[Segment], what: Silence) -> list[Wave]:
        """Silence as long as each segment."""
        count = round(self.seconds * self.rate)
        return [silence(what, generator(self.seed, m.name, what), count, self.rate) for m in segments]


def threshold_of(media: Media, model: MapMaker, seed: int, per_clip: int = 3) -> float:
    """The threshold fitted on the segments of validation clips: sounding ones against noise as training draws it."""
    world = World(media, model, seed, per_clip)
    if not world.segments:
        return 0.0
    sounding = largest(world.maps(model, world.segments, world.own(world.segments)))
    samples = round(world.seconds * world.rate)
    noise = [
        draw_silence(generator(seed, segment.name, "threshold"), samples, world.rate) for segment in world.segments
    ]
    return fit_threshold(sounding, largest(world.maps(model, world.segments, noise)))


def fit_run_threshold(run: Path, model: MapMaker, validation: Media, of: str = "", seed: int = 0) -> str:
    """Fit the threshold of a run on validation clips (``of``: " of WORLD") and keep it in the run; what it was fitted
    on."""
    fitted = f"{len(validation)} validation clips{of}"
    write_threshold(run, threshold_of(validation, model, seed), fitted)
    return fitted


def largest(maps: Sequence[Map]) -> list[float]:
    """The largest logit of each map: the confidence that something in the picture is heard."""
    return [float(m.max()) for m in maps]


def evaluate_world(
    media: Media,
    models: Mapping[str, MapMaker],
    chosen: Sequence[protocols.Protocol],
    context: Context,
    threshold: float,
    per_clip: int = 2,
    logits: MapMaker | None = None,
) -> list[ResultRow]:
    """All rows on held-out clips of the world.

    Args:
        media: held-out clips with their truth.
        models: by the name of the row; "trained" first, whose maps are those of the swaps and of silence, too.
        chosen: protocols of the localization rows.
        threshold: of the largest logit of a map, below which nothing in the picture is heard.
        logits: whose maps are these logits; the first model if None.

    Raises:
        UserError: no clip has two or three objects of which one sounds.
    """
    first = next(iter(models.values()))
    world = World(media, first, context.seed, per_clip)
    if not world.several:
        raise UserError(
            "no held-out clip has several objects of which one sounds; avssl world OUT --preset localization makes some"
        )
    rows: list[ResultRow] = []
    items = [segment.item() for segment in world.several]
    for name, model in models.items():
        found = world.maps(model, world.several, world.own(world.several))
        note = "two or three objects, one of them sounds"
        rows += _score(name, items, found, chosen, context, "; ".join(filter(None, [note, NOTES.get(name)])))
    rows += _swaps(world, first, chosen, context)
    rows += _rejections(world, logits or first, context, threshold)
    return rows + blind_rows(items, chosen, context)


def _score(
    name: str,
    items: Sequence[Item],
    maps: Sequence[Map],
    chosen: Sequence[protocols.Protocol],
    context: Context,
    note: str,
) -> list[ResultRow]:
    by_name = {item.name: m for item, m in zip(items, maps, strict=True)}
    return rows_of(name, score_maps(items, lambda item, _: by_name[item.name], chosen), chosen, context, note)


def _swaps(world: World, model: MapMaker, chosen: Sequence[protocols.Protocol], context: Context) -> list[ResultRow]:
    moved, sounds = [], []
    for segment in world.several:
        # Sorted, since sets have no order of their own.
        others = sorted(segment.boxes.keys() - {segment.kind})
        if not others:
            continue
        kind = others[int(generator(world.seed, segment.name, "other").integers(len(others)))]
        wave = world.of_kind(segment, kind)
        if wave is not None:
            moved.append((segment, segment.item(kind)))
            sounds.append(wave)
    rows: list[ResultRow] = []
    if moved:
        found = world.maps(model, [segment for segment, _ in moved], sounds)
        note = "another present kind's sound; the truth is that object"
        rows += _score("swap", [item for _, item in moved], found, chosen, context, note)
    foreign = [(segment, wave) for segment in world.several if (wave := world.absent(segment)) is not None]
    if foreign:
        found = world.maps(model, [segment for segment, _ in foreign], [wave for _, wave in foreign])
        note = "the sound of a kind that is not in the picture, on the old truth"
        rows += _score("swap/other", [segment.item() for segment, _ in foreign], found, chosen, context, note)
    found = world.maps(model, world.several, world.silences(world.several, "zeros"))
    note = "digital silence: the map depends on the picture alone"
    rows += _score("silence", [segment.item() for segment in world.several], found, chosen, context, note)
    return rows


def _rejections(world: World, model: MapMaker, context: Context, threshold: float) -> list[ResultRow]:
    """Whether the map knows when nothing in the picture is heard."""
    segments = world.segments
    clips = [segment.path for segment in segments]
    on = np.asarray(largest(world.maps(model, segments, world.own(segments))))
    rule = f"largest logit below {threshold:.2f}: nothing in the picture is heard"
    note = f"sounding clips; {rule}"
    rows = [mean_row("trained", "false-silence", (on < threshold).astype(float), clips, context, note=note)]
    together: list[float] = []
    for what in SILENCES:
        scores = np.asarray(largest(world.maps(model, segments, world.silences(segments, what))))
        rejected = (scores < threshold).astype(float)
        together += list(rejected)
        rows.append(mean_row(f"silence/{what}", "rejected", rejected, clips, context, note=rule))
    rows.append(mean_row("silence", "rejected", together, clips * len(SILENCES), context, note=", ".join(SILENCES)))
    foreign = [(segment, wave) for segment in segments if (wave := world.absent(segment)) is not None]
    if foreign:
        off = np.asarray(largest(world.maps(model, [m for m, _ in foreign], [wave for _, wave in foreign])))
        rows.append(_roc_row(on, clips, off, [m.path for m, _ in foreign], context))
        note = f"the sound of a kind that is not in the picture; {rule}"
        paths = [m.path for m, _ in foreign]
        rows.append(mean_row("off-screen", "rejected", (off < threshold).astype(float), paths, context, note=note))
    return rows


def _roc_row(
    on: NDArray[np.float64],
    on_clips: Sequence[str],
    off: NDArray[np.float64],
    off_clips: Sequence[str],
    context: Context,
) -> ResultRow:
    table = np.stack([np.concatenate([on, off]), np.arange(len(on) + len(off)) < len(on)], axis=1)
    clips = [*on_clips, *off_clips]

    def area(drawn: NDArray[np.float64]) -> float:
        return auc(drawn[:, 0], drawn[:, 1])

    note = "on-screen sound against a kind out of the picture"
    draws = min(context.draws, 500)  # each draw ranks all clips
    return context.clustered_row("off-screen", "auc-roc", table, clips, area, draws=draws, chance=0.5, note=note)
