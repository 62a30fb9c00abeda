"""What the probes share: labelled data, and the features of the encoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.errors import UserError
from avssl.evaluate.choices import FeatureChoices
from avssl.experiment.data import open_both, open_sourced, sourced
from avssl.experiment.learned import seen_by
from avssl.experiment.protocols.base import (
    Beside,
    BesideOptions,
    ComputeOptions,
    Outcome,
    SplitOptions,
    Subject,
    fitting_encoder,
    label_of,
)
from avssl.experiment.sources import SourceOptions
from avssl.options import option
from avssl.system.console import log, progress

if TYPE_CHECKING:
    from avssl.evaluate.core.rows import Context, ResultRow
    from avssl.evaluate.data.labelled import Labelled
    from avssl.evaluate.probes.probing import Encoded, Probe
    from avssl.media.facts import Media
    from avssl.networks.encoder import Encoder

DATA = """Labels are the names of sub-folders or a column 'label' of a CSV. What is evaluated: --test; or each fold of
--folds in turn; or the lists of --lists; or the split 'test' of --data; or else a fifth of its sources. A folder laid
out as Pascal VOC is read with its lists and annotations, several labels a picture."""

Draw = Callable[[Sequence["ResultRow"], Path, str], bool]
"""Draws rows into a file under a title; returns whether there was anything to draw."""

SOUND_MOMENTS, VIDEO_MOMENTS = 10, 3
"""Windows of a sound and frames of a video that are taken where --views does not say."""


@dataclass(frozen=True)
class LabelledOptions(ComputeOptions, SourceOptions, SplitOptions):
    """Which labelled data, and how they are divided."""

    needs_data = "--data D, labelled media"

    data: str | None = option(None, "labelled media: folder, CSV, tar, VOC folder, torchvision:NAME:FOLDER")
    test: str | None = option(None, "labelled media to evaluate on")
    folds: str | None = option(None, "column of the CSV that holds the fold of each item", metavar="COLUMN")
    lists: str | None = option(None, "folder with the split lists of UCF101 or HMDB51", metavar="FOLDER")
    split: int = option(1, "which of the three splits of --lists")
    separator: str | None = option(None, "separator of several labels of an item, such as '|'")

    def check(self) -> None:
        given = [f"--{name}" for name in ("test", "folds", "lists") if getattr(self, name) is not None]
        if len(given) > 1:
            raise UserError(f"give one of {' and '.join(given)}, not both")


@dataclass(frozen=True)
class ProbeOptions(LabelledOptions, FeatureChoices, BesideOptions):
    """Of protocols that learn from frozen features."""

    heading = "features"

    stages: tuple[str, ...] | None = option(None, "only these stages (default: all)", metavar="A,B,…")
    views: int | None = option(
        None, "frames of a video, or windows of a sound (default: 3 and 10)", low=1, formerly="moments"
    )


@dataclass(frozen=True)
class Probed:
    """What a probe learns from: data, the features of each encoder, and what all rows share."""

    encoded: Sequence[Encoded]
    data: Labelled
    context: Context


def features_of(options: ProbeOptions, subject: Subject, protocol: str) -> Probed:
    """The features of the encoder, of a random one, and of what was asked for beside them."""
    from avssl.evaluate.data.baseline_features import mfcc, pixels
    from avssl.evaluate.data.encoders import random_twin, supervised_encoder
    from avssl.evaluate.data.features import FeatureSpec, stage_features
    from avssl.evaluate.probes.probing import Encoded

    device = options.torch_device()
    encoder, data = encoder_and_data(options, subject)
    spec = FeatureSpec(moments_of(options, encoder), options.pool, options.max_features)
    encoders = {"trained": encoder, "random": random_twin(encoder, options.seed)}
    for run in options.beside:
        encoders[label_of(run)], _ = fitting_encoder(run, None, encoder.role)
    if options.supervised is not None:
        encoders["supervised"] = supervised_encoder(options.supervised, options.supervised_network)
    found: list[Encoded] = []
    for label, one in encoders.items():
        with progress(f"features, {label}", "items") as on_progress:
            parts = [stage_features(one, part, spec, device=device, on_progress=on_progress) for part in data.parts]
        if label == "trained":
            _check_stages(options.stages, parts[0].stages)
        found.append(Encoded(label, parts))
    with progress("baseline features", "items") as on_progress:
        if encoder.role == "audio":
            baseline = [mfcc(part, on_progress) for part in data.parts]
        else:
            baseline = [pixels(part, spec.views, on_progress) for part in data.parts]
    found.append(Encoded(baseline[0].name, baseline))
    pooling = f"{spec.pool} pooling to {spec.max_features} features"
    return Probed(found, data, subject.context(f"{protocol}, {pooling}", options.seed, len(data.test)))


def probe_outcome(name: str, probe: Probe, options: ProbeOptions, subject: Subject, probed: Probed) -> Outcome:
    """Put a probe to every stage of every encoder."""
    from avssl.evaluate.core.result_charts import draw_depth
    from avssl.evaluate.probes.probing import probe_all

    rows = probe_all(probed.encoded, probed.data, probe, probed.context, stages=options.stages, log=log)
    return labelled_outcome(name, rows, options, subject, probed.data, draw_depth)


def labelled_outcome(
    name: str, rows: Sequence[ResultRow], options: LabelledOptions, subject: Subject, data: Labelled, draw: Draw
) -> Outcome:
    """Rows of labelled items, with the picture that ``draw`` draws of them."""
    return Outcome(
        name=name,
        rows=rows,
        title=f"{subject} on {len(data.test)} items of {options.place}",
        place=options.place,
        seen=seen_by(subject.run, _evaluated_media(data), options.place),
        beside=[Beside("picture", ".png", lambda outcome, path: draw(outcome.rows, path, outcome.heading))],
    )


def moments_of(options: LabelledOptions, encoder: Encoder) -> int:
    """How many frames of a video or windows of a sound are taken."""
    asked: int | None = getattr(options, "views", None)
    return asked or (SOUND_MOMENTS if encoder.role == "audio" else VIDEO_MOMENTS)


def encoder_and_data(options: LabelledOptions, subject: Subject) -> tuple[Encoder, Labelled]:
    """The encoder that was asked for, or the one that fits the data, and the data as it takes them."""
    from avssl.evaluate.data.features import taken_by

    media, test = _open(options)
    only_sounds = all(media.facts(i).kind == "sound" for i in range(len(media)))
    encoder, name = subject.encoder_of("audio" if only_sounds else "vision", options.encoder)
    parts: list[Media] = []
    for part in [media] if test is None else [media, test]:
        kept = [i for i in range(len(part)) if taken_by(encoder, part.facts(i))]
        if not kept:
            raise UserError(f"the encoder {name} can take none of the {len(part)} items in {options.data}")
        if len(kept) < len(part):
            log(f"{len(part) - len(kept)} of {len(part)} items have no input for the encoder {name}; left out")
        parts.append(_part(part, kept))
    data = _labelled(options, parts)
    divisions = f", {len(data.divisions)} folds" if len(data.divisions) > 1 else ""
    of_run = f" of {subject}" if subject.encoder is None else ""
    log(f"encoder {name}{of_run}; {len(data)} items of {len(data.classes)} classes{divisions}")
    _log_shared(data)
    return encoder, data


def _open(options: LabelledOptions) -> tuple[Media, Media | None]:
    from avssl.evaluate.data.split_files import is_voc, voc_list
    from avssl.media import open_media

    assert options.data is not None
    if is_voc(options.data):
        learned, asked = (
            open_media([str(path) for path in listed])
            for listed in (
                voc_list(options.data, "trainval", "train"),
                voc_list(options.test or options.data, "test", "val"),
            )
        )
        return sourced(learned, asked, options.sources)
    if options.test is None:
        return open_sourced(options.data, options.sources, options.source_column), None
    media, test = open_both(options.data, options.test, options.sources, options.source_column)
    held = [i for i in range(len(test)) if test.facts(i).split == "test"]  # a folder of several splits
    return media, _part(test, held) if held else test


def _labelled(options: LabelledOptions, parts: Sequence[Media]) -> Labelled:
    from avssl.evaluate.data.labelled import labelled
    from avssl.evaluate.data.split_files import action_group, action_lists, column_of, is_voc, splits_of, voc_truths

    assert options.data is not None
    media, test = parts[0], parts[1] if len(parts) > 1 else None
    if is_voc(options.data):
        truths: dict[str, dict[str, int]] = {}
        for part, place in zip(parts, (options.data, options.test or options.data), strict=True):
            truths |= voc_truths(place, [Path(part.facts(i).path) for i in range(len(part))])
        return labelled(media, test, truths=truths, seed=options.seed)
    if options.lists is None:
        folds = None if options.folds is None else column_of(options.data, media, options.folds)
        return labelled(media, test, folds=folds, separator=options.separator, seed=options.seed)
    paths = [media.facts(i).path for i in range(len(media))]
    splits = splits_of(action_lists(options.lists, options.split), paths, options.lists)
    listed = [i for i, split in enumerate(splits) if split is not None]
    if not listed:
        raise UserError(f"none of the {len(media)} videos in {options.data} is in the lists in {options.lists}")
    if len(listed) < len(media):
        log(f"{len(media) - len(listed)} videos are in neither list of split {options.split}; left out")
    return labelled(
        _part(media, listed),
        splits=[str(splits[i]) for i in listed],
        sources=[action_group(paths[i]) for i in listed],
        separator=options.separator,
        seed=options.seed,
    )


def _log_shared(data: Labelled) -> None:
    """Where the data's own division puts a source on both sides."""
    for division in data.divisions:
        learned = {data.sources[i] for i in division.train}
        predicted = {data.sources[i] for i in division.test}
        if shared := sorted(learned & predicted):
            log(
                f"{division.name}: {len(shared)} of the {len(predicted)} evaluated sources are also in the training "
                f"part ({Path(shared[0]).name} …): these figures do not show how it does on new sources"
            )


def _evaluated_media(data: Labelled) -> Media:
    """The items that are evaluated on, as a collection: of the last part, or of the only one."""
    before = sum(len(part) for part in data.parts[:-1])
    return _part(data.parts[-1], [int(i) - before for i in sorted(set(data.test.tolist()))])


def _part(media: Media, items: Sequence[int]) -> Media:
    import numpy as np

    from avssl.media.selection import Subset

    return Subset(media, np.array(items, np.int64))


def _check_stages(wanted: Sequence[str] | None, there: Sequence[str]) -> None:
    strange = [name for name in wanted or () if name not in there]
    if strange:
        raise UserError(f"the encoder has no stage called {strange[0]!r}; it has: {', '.join(there)}")
