"""What is nearest to frames, patches or sounds, as a picture; in the world, what neighbours share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from avssl.errors import UserError
from avssl.evaluate.choices import PoolChoices
from avssl.experiment.data import of_split
from avssl.experiment.learned import seen_by
from avssl.experiment.places import open_sourced
from avssl.experiment.protocols.base import (
    BesideOptions,
    ComputeOptions,
    EncoderOptions,
    Subject,
    fitting_encoder,
    label_of,
)
from avssl.experiment.results import Beside, Outcome
from avssl.experiment.sources import SourceOptions
from avssl.options import option
from avssl.system.console import counted, log, progress

if TYPE_CHECKING:
    from avssl.evaluate.core.rows import ResultRow
    from avssl.evaluate.neighbors.protocol import Neighbors
    from avssl.evaluate.neighbors.query_items import QueryItems
    from avssl.networks.encoder import Encoder


@dataclass(frozen=True)
class Neighbours(ComputeOptions, SourceOptions, PoolChoices, BesideOptions, EncoderOptions):
    about = """What is nearest to a frame, a patch or a second of sound in the features of a stage? As a picture:
    queries with their neighbours, of the trained encoder beside the same network with random weights, beside other
    runs (--beside) and beside supervised weights. Neighbours are never from the query's own source, and each is from
    another one. As figures, where items have labels: the share of neighbours with the query's label (precision@k).

    In the generated world, on clips with one object: how far neighbours share kind, place, size, pose, colour,
    background, motion and velocity (of sounds: kind, pitch, loudness, hits, motion), 0 as random items do, 1 where they
    are equal; with a chart. Rows trained/kind, random/kind, RUN/kind, …, and gain/kind: trained minus random."""
    examples = """avssl evaluate neighbors --run runs/shuffle-learn --beside runs/av --data world/
    avssl evaluate neighbors --run runs/rotation --data photos/ --stage conv3 --supervised resnet18.pth
    avssl evaluate neighbors --run runs/av --data esc10.csv --what sounds --source-column freesound_id
    avssl evaluate neighbors --run runs/relative-position --data photos/ --what patches"""
    heading = "the protocol"
    needs_data = "--data D, media"

    data: str | None = option(None, "media (of a folder with splits: its test part)")
    what: Literal["frames", "patches", "sounds"] | None = option(
        None, "what is compared (default: frames; of files of sound, sounds)"
    )
    stage: str | None = option(None, "stage whose features are compared (default: the last)")
    k: int = option(5, "how many neighbours", low=1, formerly="neighbours")
    queries: int = option(8, "how many are drawn; figures are of all items", low=1)
    each: int = option(3, "frames of a video, patches of a picture, or windows of a sound", low=1)
    patch: float = option(0.25, "side of a patch, as a share of the picture's shorter side", above=0, high=1)
    places: bool = option(False, "compare where in the map things are, too, instead of one feature a channel")

    def check(self) -> None:
        if self.supervised is not None and self.what == "sounds":
            raise UserError("--supervised is a network of pictures; leave it out, or take --what frames")

    def evaluate(self, subject: Subject, name: str) -> Outcome:
        from avssl.evaluate.localization.synthetic import is_world
        from avssl.evaluate.neighbors.protocol import precision_rows, shared_rows
        from avssl.evaluate.neighbors.query_items import find_query_items
        from avssl.evaluate.neighbors.synthetic import known_items

        assert self.data is not None
        media, _ = open_sourced(self.data, None, self.mode)
        media = of_split(media, "test") or media
        only_sounds = all(media.facts(i).kind == "sound" for i in range(len(media)))
        what = self.what or ("sounds" if only_sounds else "frames")
        encoders = _encoders(self, subject, "audio" if what == "sounds" else "vision")
        seconds = _window(encoders)
        query_items = find_query_items(media, what, self.each, seconds=seconds, patch=self.patch, seed=self.seed)
        known, labels = None, _labels(query_items)
        if is_world(media) and what != "patches":
            known = known_items(query_items, what, seconds)
            query_items, labels = known.query_items, list(known.kinds)
        sources = query_items.sources()
        log(f"{len(query_items)} {what} of {counted(len(set(sources)), 'source')}")
        found = _found(encoders, query_items, sources, self)
        pooling = f"{self.pool} pooling {'to 9,600 features' if self.places else 'over the map'}"
        context = subject.context(f"{name} of {what}, {pooling}", self.seed, len(query_items))
        notes = {label: one.note for label, one in encoders.items()}
        rows = [] if labels is None else precision_rows(found, labels, sources, context, notes)
        if known is not None:
            rows += [_with_note(row, notes) for row in shared_rows(found, known.attributes, sources, context)]
        return Outcome(
            name=name if what == "frames" else f"{name}-{what}",
            rows=rows,
            title=f"{subject}: neighbours of {len(query_items)} {what} of {self.data}",
            place=self.data,
            seen=seen_by(subject.run, media, self.data),
            notes=[] if rows else ["no labels and no truth beside the files: a picture, and no figures"],
            beside=_pictures(self, encoders, found, query_items, labels, _ONE[what]),
        )


@dataclass(frozen=True)
class Compared:
    """An encoder with the stage that is looked at, and what a chart calls it."""

    encoder: Encoder
    stage: str | None
    words: str
    note: str = ""


_ONE = {"frames": "frame", "patches": "patch", "sounds": "sound"}


def _encoders(options: Neighbours, subject: Subject, role: str) -> dict[str, Compared]:
    """By the name of their rows; a random twin follows each architecture that has none yet."""
    from avssl.evaluate.data.encoders import random_twin, supervised_encoder

    # A multi-task run has several encoders of a role; another role than is asked for is a slip.
    encoder, called = subject.encoder_of(role, options.encoder)
    if encoder.role != role:
        raise UserError(
            f"the encoder {called} of {subject} takes no {'sound' if role == 'audio' else 'pictures'}; take another"
        )
    first = str(subject) if subject.run is None else Path(subject.run).resolve().name
    made = {
        "trained": Compared(encoder, options.stage, f"trained: {first}"),
        "random": Compared(random_twin(encoder, options.seed), options.stage, f"random weights: {first}"),
    }
    # A random twin is the same for every run of one architecture: it is shown once.
    twins = [encoder.describe()]
    for place in options.beside:
        other, _ = fitting_encoder(place, None, role)
        label = _unused(label_of(place), made)
        made[label] = Compared(other, None, f"trained: {label}")
        if other.describe() not in twins:
            twins.append(other.describe())
            made[f"{label}-random"] = Compared(random_twin(other, options.seed), None, f"random weights: {label}")
    if options.supervised is not None:
        ceiling = supervised_encoder(options.supervised, options.supervised_network)
        made["supervised"] = Compared(ceiling, None, f"supervised: {options.supervised_network}")
    return made


def _unused(name: str, taken: Mapping[str, object]) -> str:
    number, label = 2, name
    while label in taken:
        label, number = f"{name}-{number}", number + 1
    return label


def _window(encoders: Mapping[str, Compared]) -> float:
    """Seconds of the longest window of sound that one of the encoders hears; 1 of pictures."""
    from avssl.networks.encoder import is_waveform_encoder

    heard = [one.encoder.seconds for one in encoders.values() if is_waveform_encoder(one.encoder)]
    return max(heard, default=1.0)  # windows of all encoders must lie within the sound


def _labels(query_items: QueryItems) -> list[str] | None:
    """The label of each item; None where not all have one, or all the same."""
    labels = [label for i in range(len(query_items)) if (label := query_items.facts(i).label) is not None]
    return labels if len(labels) == len(query_items) and len(set(labels)) > 1 else None


def _found(
    encoders: dict[str, Compared], query_items: QueryItems, sources: Sequence[str], options: Neighbours
) -> dict[str, Neighbors]:
    """The neighbours in the features of each encoder; notes which stage it was."""
    from avssl.evaluate.data.features import MOST_FEATURES, FeatureSpec, stage_features
    from avssl.evaluate.neighbors.protocol import nearest
    from avssl.evaluate.probes.knn import vectors

    device = options.torch_device()
    # One feature a channel, unless places are to be compared: neighbours then share content rather than layout.
    spec = FeatureSpec(1, options.pool, MOST_FEATURES if options.places else 1)
    found: dict[str, Neighbors] = {}
    for label, one in encoders.items():
        with progress(f"features, {label}", "item") as on_progress:
            features = stage_features(one.encoder, query_items, spec, device=device, on_progress=on_progress)
        if one.stage is not None and one.stage not in features.stages:
            there = ", ".join(features.stages)
            raise UserError(f"the encoder has no stage called {one.stage!r}; it has: {there}")
        # Other architectures name their stages otherwise: of those the last stands beside it.
        stage = one.stage or (options.stage if options.stage in features.stages else features.stages[-1])
        assert stage is not None
        encoders[label] = replace(one, note=f"stage {stage}", words=f"{one.words}, {stage}")
        found[label] = nearest(vectors(features.stage(stage)), sources, options.k, device)
    return found


def _with_note(row: ResultRow, notes: Mapping[str, str]) -> ResultRow:
    stage = notes.get(row.name.rsplit("/", 1)[0])
    return replace(row, note=f"{row.note}; {stage}") if stage else row


def _pictures(
    options: Neighbours,
    encoders: Mapping[str, Compared],
    found: Mapping[str, Neighbors],
    query_items: QueryItems,
    labels: Sequence[str] | None,
    one: str,
) -> list[Beside]:
    """Queries with their neighbours, and a chart of what they share."""
    from avssl.evaluate.neighbors.picture import choose_queries, draw_grid, draw_shared, thumbnails

    words = {label: compared.words for label, compared in encoders.items()}

    def draw_neighbours(outcome: Outcome, path: Path) -> bool:
        # The same for every encoder, so that rows of the picture can be compared.
        queries = choose_queries(query_items.sources(), labels, options.queries, options.seed)
        shown = sorted({*queries, *(int(i) for each in found.values() for q in queries for i in each.indices[q])})
        pictures = thumbnails(query_items, shown, encoders["trained"].encoder)
        by_words = {words[label]: each for label, each in found.items()}
        draw_grid(queries, by_words, pictures.__getitem__, labels, path, outcome.title)
        return True

    def draw_chart(outcome: Outcome, path: Path) -> bool:
        title = f"What a {one} shares with its {options.k} nearest"
        return draw_shared(outcome.rows, path, title, words)

    return [Beside("neighbours", ".png", draw_neighbours), Beside("what they share", "-shared.png", draw_chart)]
