"""``avssl evaluate neighbors``: what is nearest to frames, patches or sounds, as a picture and as figures."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.cli.options import Command, Option, Values, source_options
from avssl.errors import UserError
from avssl.experiment.data import of_split, open_sourced
from avssl.experiment.learned import seen_by
from avssl.experiment.results import places, write_rows
from avssl.system.console import progress, say

if TYPE_CHECKING:
    import torch

    from avssl.evaluate.core.rows import ResultRow
    from avssl.evaluate.data.encoders import Encoder
    from avssl.evaluate.neighbors.protocol import Found
    from avssl.evaluate.neighbors.query_items import Spots, What
    from avssl.evaluate.neighbors.synthetic import Known

NAME = "neighbors"
WHAT = """What is nearest to a frame, a patch or a second of sound in the features of a stage? As a picture: queries
with their neighbours, of the trained encoder beside the same network with random weights, beside other runs (--beside)
and beside supervised weights. Neighbours are never from the query's own source, and each is from another one.
As figures, where items have labels: the share of neighbours with the query's label (precision@k).

In the generated world, on clips with one object: how far neighbours share kind, place, size, pose, colour, background,
motion and velocity (of sounds: kind, pitch, loudness, hits, motion), 0 as random items do, 1 where they are equal; with
a chart. Rows trained/kind, random/kind, RUN/kind, …, and gain/kind: trained minus random."""
EXAMPLE = """avssl evaluate neighbors --run runs/shuffle-learn --beside runs/av --data world/
avssl evaluate neighbors --run runs/rotation --data photos/ --stage conv3 --supervised resnet18.pth
avssl evaluate neighbors --run runs/av --data esc10.csv --what sounds --source-column freesound_id
avssl evaluate neighbors --run runs/relative-position --data photos/ --what patches"""


def run(argv: Sequence[str]) -> None:
    """Evaluate by nearest neighbours."""
    values = _command().parse(argv)
    _check(values)
    from avssl.evaluate.core.scores import Context
    from avssl.evaluate.core.training_overlap import marked
    from avssl.evaluate.localization.synthetic import is_world
    from avssl.evaluate.neighbors.protocol import precision_rows, shared_rows
    from avssl.evaluate.neighbors.query_items import find_spots
    from avssl.evaluate.neighbors.synthetic import known_spots
    from avssl.report.tables import print_rows
    from avssl.trainer.devices import choose_device

    media = open_sourced(values["data"], say, values["sources"], values["source_column"])
    media = of_split(media, "test") or media
    only_sounds = all(media.facts(i).kind == "sound" for i in range(len(media)))
    what: What = values["what"] or ("sounds" if only_sounds else "frames")
    encoders = _encoders(values, what == "sounds")
    seconds = _window(encoders)
    spots = find_spots(media, what, values["each"], seconds=seconds, patch=values["patch"], seed=values["seed"])
    known: Known | None = None
    labels: Sequence[str] | None = _labels(spots)
    if is_world(media) and what != "patches":
        known = known_spots(spots, what, seconds)
        spots, labels = known.spots, known.kinds
    sources = spots.sources()
    say(f"{len(spots)} {what} of {len(set(sources))} sources")
    found = _found(encoders, spots, sources, values, choose_device(values["device"]))
    command = shlex.join(["avssl", "evaluate", NAME, *argv])
    protocol = (
        f"{NAME} of {what}, {values['pool']} pooling {'to 9,600 numbers' if values['places'] else 'over the map'}"
    )
    context = Context(protocol, values["seed"], command, len(spots))
    notes = {label: one.note for label, one in encoders.items()}
    rows = [] if labels is None else precision_rows(found, labels, sources, context, notes)
    if known is not None:
        rows += [_with_note(row, notes) for row in shared_rows(found, known.attributes, sources, context)]
    title = f"{values['run']}: neighbours of {len(spots)} {what} of {values['data']}"
    seen = seen_by(values["run"], media, values["data"], say)
    rows, title = marked(rows, seen), f"{title}, {seen.words}" if seen else title
    print_rows(rows, title)
    if not rows:
        say("no labels and no truth beside the files: a picture, and no figures")
    _write(values, what, rows, title, encoders, found, spots, labels)


def _command() -> Command:
    command = Command(f"avssl evaluate {NAME}", WHAT, EXAMPLE)
    command.add(
        [
            Option("run", str | None, None, "the folder of a finished run", metavar="RUN"),
            Option("data", str | None, None, "media (of a folder with splits: its test part)"),
            Option("what", str | None, None, "frames, patches or sounds (default: frames; of files of sound, sounds)"),
            Option("encoder", str | None, None, "which of the run's encoders (default: what fits)"),
            Option("stage", str | None, None, "whose features (default: the last)"),
            Option("beside", tuple[str, ...], (), "further runs, beside this one and their own random weights",
                   metavar="RUN,…"),
            Option("supervised", str | None, None, "weights of a torchvision ResNet: the ceiling", metavar="FILE"),
            Option("supervised_network", str, "resnet18", "whose weights: resnet18, resnet34, resnet50, resnet101"),
            Option("neighbours", int, 5, "how many"),
            Option("queries", int, 8, "how many are drawn; figures are of all items"),
            Option("each", int, 3, "frames of a video, patches of a picture, or windows of a sound"),
            Option("patch", float, 0.25, "side of a patch, as a share of the picture's shorter side"),
            Option("pool", str, "max", "how maps are pooled: max or average"),
            Option("places", bool, False, "compare where in the map things are, too, instead of one number a channel"),
            *source_options(),
            Option("output", str | None, None, "folder for rows and pictures (default: results/ of the run)", "-o",
                   "DIR"),
            Option("seed", int, 0, "of the random network, of patches and of queries"),
            Option("device", str, "auto", "auto, cpu, cuda, cuda:1, mps"),
        ]
    )  # fmt: skip
    return command


def _check(values: Values) -> None:
    for option, what in (("run", "--run RUN, the folder of a finished run"), ("data", "--data D, media")):
        if values[option] is None:
            raise UserError(f"avssl evaluate {NAME} wants {what}")
    if values["what"] not in (None, "frames", "patches", "sounds"):
        raise UserError(f"--what wants frames, patches or sounds, not {values['what']!r}")
    if values["pool"] not in ("max", "average"):
        raise UserError(f"--pool wants max or average, not {values['pool']!r}")
    if not 0 < values["patch"] <= 1:
        raise UserError(f"--patch ({values['patch']}) must be more than 0 and at most 1")
    for name in ("neighbours", "queries", "each"):
        if values[name] < 1:
            raise UserError(f"--{name} ({values[name]}) must be at least 1")
    if values["supervised"] is not None and values["what"] == "sounds":
        raise UserError("--supervised is a network of pictures; leave it out, or take --what frames")


@dataclass(frozen=True)
class _One:
    """An encoder with the stage that is looked at, and what a chart calls it."""

    encoder: Encoder
    stage: str | None
    words: str
    note: str = ""


def _encoders(values: Values, hears: bool) -> dict[str, _One]:
    """By the name of their rows; a random twin follows each architecture that has none yet."""
    from avssl.cli.probing import fitting_encoder
    from avssl.evaluate.data.encoders import random_twin, supervised_encoder

    encoder, name = fitting_encoder(values["run"], values["encoder"], hears)
    if hears != (encoder.role == "audio"):
        raise UserError(f"the encoder {name} of {values['run']} takes no {'sound' if hears else 'pictures'}")
    first = Path(values["run"]).resolve().name
    made = {"trained": _One(encoder, values["stage"], f"trained: {first}")}
    twins = [encoder.describe()]
    made["random"] = _One(random_twin(encoder, values["seed"]), values["stage"], f"random weights: {first}")
    for place in values["beside"]:
        other, _ = fitting_encoder(place, None, hears)
        label = _unused(Path(place).resolve().name, made)
        made[label] = _One(other, None, f"trained: {label}")
        if other.describe() not in twins:
            twins.append(other.describe())
            made[f"{label}-random"] = _One(random_twin(other, values["seed"]), None, f"random weights: {label}")
    if values["supervised"] is not None:
        ceiling = supervised_encoder(values["supervised"], values["supervised_network"])
        made["supervised"] = _One(ceiling, None, f"supervised: {values['supervised_network']}")
    return made


def _unused(name: str, taken: Mapping[str, object]) -> str:
    number = 2
    label = name
    while label in taken:
        label, number = f"{name}-{number}", number + 1
    return label


def _window(encoders: Mapping[str, _One]) -> float:
    """Seconds of the longest window of sound that one of the encoders hears; 1 of pictures."""
    from avssl.networks.encoder import is_waveform_encoder

    heard = [one.encoder.seconds for one in encoders.values() if is_waveform_encoder(one.encoder)]
    return max(heard, default=1.0)


def _labels(spots: Spots) -> list[str] | None:
    """The label of each item; None where not all have one, or all the same."""
    told = [spots.facts(i).label for i in range(len(spots))]
    labels = [label for label in told if label is not None]
    return labels if len(labels) == len(told) and len(set(labels)) > 1 else None


def _found(
    encoders: dict[str, _One], spots: Spots, sources: Sequence[str], values: Values, device: torch.device
) -> dict[str, Found]:
    """The neighbours in the features of each encoder; notes which stage it was."""
    from avssl.evaluate.data.features import NUMBERS, Taking, stage_features
    from avssl.evaluate.neighbors.protocol import nearest
    from avssl.evaluate.probes.knn import vectors

    taking = Taking(1, values["pool"], NUMBERS if values["places"] else 1)
    found: dict[str, Found] = {}
    for label, one in encoders.items():
        with progress(f"features, {label}", "items") as told:
            features = stage_features(one.encoder, spots, taking, device=device, told=told)
        if one.stage is not None and one.stage not in features.stages:
            there = ", ".join(features.stages)
            raise UserError(f"the encoder has no stage called {one.stage!r}; it has: {there}")
        stage = one.stage or (values["stage"] if values["stage"] in features.stages else features.stages[-1])
        encoders[label] = replace(one, note=f"stage {stage}", words=f"{one.words}, {stage}")
        found[label] = nearest(vectors(features.stage(stage)), sources, values["neighbours"], device)
    return found


def _with_note(row: ResultRow, notes: Mapping[str, str]) -> ResultRow:
    stage = notes.get(row.name.rsplit("/", 1)[0])
    return replace(row, note=f"{row.note}; {stage}") if stage else row


def _write(
    values: Values,
    what: str,
    rows: Sequence[ResultRow],
    title: str,
    encoders: Mapping[str, _One],
    found: Mapping[str, Found],
    spots: Spots,
    labels: Sequence[str] | None,
) -> None:
    """Rows and pictures to -o and to the run's results; those of patches and sounds have names of their own."""
    from avssl.evaluate.neighbors.picture import choose_queries, draw_grid, draw_shared, thumbnails

    queries = choose_queries(spots.sources(), labels, values["queries"], values["seed"])
    shown = sorted({*queries, *(int(i) for one in found.values() for q in queries for i in one.places[q])})
    pictures = thumbnails(spots, shown, encoders["trained"].encoder)
    words = {label: one.words for label, one in encoders.items()}
    told = {words[label]: one for label, one in found.items()}
    stem = NAME if what == "frames" else f"{NAME}-{what}"
    stems = places(values["run"], values["output"], stem, values["data"])
    for place, file in zip(stems, write_rows(rows, stems, values["data"]), strict=True):
        grid = place.with_name(f"{place.name}.png")
        draw_grid(queries, told, pictures.__getitem__, labels, grid, title)
        say(f"rows in {file}, neighbours in {grid}")
        chart = place.with_name(f"{place.name}-shared.png")
        if draw_shared(rows, chart, f"What a {_ONE[what]} shares with its {values['neighbours']} nearest", words):
            say(f"what they share in {chart}")


_ONE = {"frames": "frame", "patches": "patch", "sounds": "sound"}
