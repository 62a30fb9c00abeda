"""Probes on frozen features, and what all protocols of labelled data share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.errors import UserError
from avssl.evaluate.choices import FeatureChoices, KNNChoices, LinearChoices, LowShotChoices, SVMChoices
from avssl.experiment.learned import seen_by
from avssl.experiment.places import open_sourced, sourced
from avssl.experiment.protocols.base import (
    BesideOptions,
    ComputeOptions,
    SplitOptions,
    Subject,
    fitting_encoder,
    label_of,
    with_random_twin,
)
from avssl.experiment.results import Beside, Outcome
from avssl.experiment.sources import SourceOptions
from avssl.options import option
from avssl.system.console import counted, log, progress

if TYPE_CHECKING:
    from avssl.evaluate.core.rows import Context, ResultRow
    from avssl.evaluate.data.labelled import Labelled
    from avssl.evaluate.probes.probing import Encoded, Probe
    from avssl.media.facts import Media
    from avssl.networks.encoder import Encoder

# Draws rows into a file under a title; returns whether there was anything to draw.
Draw = Callable[[Sequence["ResultRow"], Path, str], bool]

# Where --views does not say.
SOUND_VIEWS, VIDEO_VIEWS = 10, 3


@dataclass(frozen=True)
class LabelledOptions(ComputeOptions, SourceOptions, SplitOptions):
    """Which labelled data, and how they are divided."""

    needs_data = "--data D, labelled media"
    about_data = """Labels are the names of sub-folders or a column 'label' of a CSV. What is evaluated:
    --test; or each fold of --folds in turn; or the lists of --lists; or the split 'test' of --data; or else a fifth of
    its sources. A folder laid out as Pascal VOC is read with its lists and annotations, several labels a picture."""

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

    def outcome(self, name: str, subject: Subject, rows: Sequence[ResultRow], draw: Draw, data: Labelled) -> Outcome:
        """Rows of labelled items, with the picture that ``draw`` draws of them."""
        # Those of the last part, or of the only one: items are numbered through all parts.
        before = sum(len(part) for part in data.parts[:-1])
        evaluated = _part(data.parts[-1], [int(i) - before for i in sorted(set(data.test.tolist()))])
        return Outcome(
            name=name,
            rows=rows,
            title=f"{subject} on {counted(len(data.test), 'item')} of {self.place}",
            place=self.place,
            seen=seen_by(subject.run, evaluated, self.place),
            beside=[Beside("picture", ".png", lambda outcome, path: draw(outcome.rows, path, outcome.heading))],
        )


@dataclass(frozen=True)
class ProbeOptions(LabelledOptions, FeatureChoices, BesideOptions):
    """Of protocols that learn from frozen features."""

    heading = "features"

    stages: tuple[str, ...] | None = option(None, "only these stages (default: all)", metavar="A,B,…")
    views: int | None = option(
        None, "frames of a video, or windows of a sound (default: 3 and 10)", low=1, formerly="moments"
    )

    @abstractmethod
    def rows(self, encoded: Sequence[Encoded], data: Labelled, context: Context) -> tuple[list[ResultRow], Draw]:
        """The figures of all features, and what draws them."""

    def evaluate(self, subject: Subject, name: str) -> Outcome:
        encoded, data, features = features_of(self, subject)
        context = subject.context(f"{name}, {features}", self.seed, len(data.test))
        return self.outcome(name, subject, *self.rows(encoded, data, context), data)


@dataclass(frozen=True)
class StageProbe(ProbeOptions):
    """Of probes that are fitted to every stage by itself."""

    @abstractmethod
    def probe(self) -> Probe:
        """What is fitted."""

    def rows(self, encoded: Sequence[Encoded], data: Labelled, context: Context) -> tuple[list[ResultRow], Draw]:
        from avssl.evaluate.core.result_charts import draw_depth
        from avssl.evaluate.probes.probing import probe_all

        return probe_all(encoded, data, self.probe(), context, stages=self.stages, log=log), draw_depth


@dataclass(frozen=True)
class LinearProbe(LinearChoices, StageProbe):
    about = """How much of the label can be read off the frozen features of each stage by a linear classifier? Beside
    the same network with random weights, the pixels (of sounds: MFCCs), shuffled labels and chance; with the drop from
    the best stage to the last. Accuracy where an item has one label, mean average precision where it has several. The
    L2 penalty and the best stage are chosen on held-out training data."""
    examples = """avssl evaluate linear --run runs/rotation --data cifar10/train.tar --test cifar10/test.tar
    avssl evaluate linear --run runs/multi --encoder vision-jigsaw --data caltech/ --beside runs/jigsaw
    avssl evaluate linear --run runs/av --data esc10.csv --folds fold --source-column freesound_id"""
    needs_values = ("penalties",)

    def probe(self) -> Probe:
        from avssl.evaluate.probes.linear import Linear

        return Linear(self.penalties, self.iterations, self.torch_device())


@dataclass(frozen=True)
class NearestNeighbours(KNNChoices, StageProbe):
    about = """How well do nearest neighbours in the features of each stage predict the label? Beside the same network
    with random weights, the pixels (of sounds: MFCCs), shuffled labels and chance. Votes are weighted with
    exp(similarity / 0.07); k and the best stage are chosen on held-out training data."""
    examples = """avssl evaluate knn --run runs/rotation --data cifar10/train.tar --test cifar10/test.tar
    avssl evaluate knn --run runs/av --data esc10.csv --folds fold"""
    needs_values = ("k",)

    def probe(self) -> Probe:
        from avssl.evaluate.probes.knn import KNN

        return KNN(self.k, device=self.torch_device())


@dataclass(frozen=True)
class LinearSVM(SVMChoices, StageProbe):
    about = """Linear SVMs on the frozen features of each stage, as the FAIR benchmark evaluates VOC07 classification:
    one a class, squared hinge, positives weighing twice, features L2-normalised, the cost of each class by its average
    precision in three folds of the training part. Mean average precision is the area under the monotone curve, not
    eleven points."""
    examples = """avssl evaluate svm --run runs/rotation --data VOCdevkit/VOC2007 --published-costs
    avssl evaluate svm --run runs/rotation --data caltech/ --stages conv3"""
    heading = "the protocol"
    needs_values = ("costs",)

    published_costs: bool = option(False, "the 26 published costs: six times as long")

    def probe(self) -> Probe:
        from avssl.evaluate.probes.svm import PUBLISHED_COSTS, SVM

        return SVM(PUBLISHED_COSTS if self.published_costs else self.costs)


@dataclass(frozen=True)
class LowShot(LowShotChoices, ProbeOptions):
    about = """What a linear SVM on the frozen features of each stage learns from k labelled items a class: the mean of
    five samples of the labels and their range, beside the same network with random weights and baseline features, on
    the same samples. The cost is the same for all and fixed beforehand."""
    examples = """avssl evaluate low-shot --run runs/rotation --data cifar10/train.tar --test cifar10/test.tar"""
    needs_values = ("shots",)

    def check(self) -> None:
        super().check()
        if self.folds is not None:
            raise UserError("avssl evaluate low-shot has one part to evaluate on; give --test instead of --folds")

    def rows(self, encoded: Sequence[Encoded], data: Labelled, context: Context) -> tuple[list[ResultRow], Draw]:
        from avssl.evaluate.core.result_charts import draw_labels
        from avssl.evaluate.probes.svm import low_shot

        return low_shot(encoded, data, self, context, stages=self.stages, log=log), draw_labels


def features_of(options: ProbeOptions, subject: Subject) -> tuple[list[Encoded], Labelled, str]:
    """The features of the encoder, of its random twin, of what was asked for beside them, and of baselines.

    Returns:
        the features, the data that they are of, and how maps became features, in words.
    """
    from avssl.evaluate.data.baseline_features import mfcc, pixels
    from avssl.evaluate.data.encoders import supervised_encoder
    from avssl.evaluate.data.features import FeatureSpec, stage_features
    from avssl.evaluate.probes.probing import Encoded

    device = options.torch_device()
    encoder, data = encoder_and_data(options, subject)
    spec = FeatureSpec(views_of(options.views, encoder), options.pool, options.max_features)
    # The twin first: what pretraining adds is read off the two rows beside each other.
    encoders = with_random_twin(encoder, options.seed)
    for run in options.beside:
        encoders[label_of(run)], _ = fitting_encoder(run, None, encoder.role)
    if options.supervised is not None:
        encoders["supervised"] = supervised_encoder(options.supervised, options.supervised_network)
    found: list[Encoded] = []
    for label, one in encoders.items():
        with progress(f"features, {label}", "item") as on_progress:
            parts = [stage_features(one, part, spec, device=device, on_progress=on_progress) for part in data.parts]
        if label == "trained":  # before hours of features of the others
            _check_stages(options.stages, parts[0].stages)
        found.append(Encoded(label, parts))
    with progress("baseline features", "item") as on_progress:
        if encoder.role == "audio":
            baseline = [mfcc(part, on_progress) for part in data.parts]
        else:
            baseline = [pixels(part, spec.views, on_progress) for part in data.parts]
    found.append(Encoded(baseline[0].name, baseline))
    return found, data, f"{spec.pool} pooling to {spec.max_features} features"


def views_of(asked: int | None, encoder: Encoder) -> int:
    """How many frames of a video or windows of a sound are taken."""
    return asked or (SOUND_VIEWS if encoder.role == "audio" else VIDEO_VIEWS)


def encoder_and_data(options: LabelledOptions, subject: Subject) -> tuple[Encoder, Labelled]:
    """The encoder that was asked for, or the one that fits the data, and the data as it takes them."""
    from avssl.evaluate.data.features import taken_by

    media, test = _open(options)
    # Videos are judged by their pictures, unless --encoder audio asks for their sound.
    only_sounds = all(media.facts(i).kind == "sound" for i in range(len(media)))
    encoder, name = subject.encoder_of("audio" if only_sounds else "vision", options.encoder)
    parts: list[Media] = []
    for part in [media] if test is None else [media, test]:
        kept = [i for i in range(len(part)) if taken_by(encoder, part.facts(i))]
        if not kept:
            raise UserError(
                f"the encoder {name} can take none of the {counted(len(part), 'item')} in {options.data}; "
                "take another --encoder"
            )
        if len(kept) < len(part):
            log(
                f"left out, without an input for the encoder {name}: "
                f"{len(part) - len(kept)} of {counted(len(part), 'item')}"
            )
        parts.append(_part(part, kept))
    data = _labelled(options, parts)
    divisions = f", {len(data.divisions)} folds" if len(data.divisions) > 1 else ""
    of_run = f" of {subject}" if subject.encoder is None else ""
    log(f"encoder {name}{of_run}; {counted(len(data), 'item')} of {counted(len(data.classes), 'class')}{divisions}")
    _log_shared(data)
    return encoder, data


def _open(options: LabelledOptions) -> tuple[Media, Media | None]:
    from avssl.evaluate.data.split_files import is_voc, voc_list
    from avssl.media.opening import open_media

    assert options.data is not None
    if is_voc(options.data):
        # VOC07 is learned from trainval and evaluated on test; of later years the labels of test are not published.
        lists = (
            voc_list(options.data, "trainval", "train"),
            voc_list(options.test or options.data, "test", "val"),
        )
        learned, asked = (open_media([str(path) for path in listed]) for listed in lists)
        return sourced(learned, asked, options.sources)
    # Sources of both together, so that one that is on both sides is found.
    media, test = open_sourced(options.data, options.test, options.mode)
    if test is None:
        return media, None
    held = [i for i in range(len(test)) if test.facts(i).split == "test"]  # a folder of several splits
    return media, _part(test, held) if held else test


def _labelled(options: LabelledOptions, parts: Sequence[Media]) -> Labelled:
    from avssl.evaluate.data.labelled import labelled
    from avssl.evaluate.data.split_files import action_group, action_lists, column_of, is_voc, splits_of, voc_truths

    assert options.data is not None
    media, test = parts[0], parts[1] if len(parts) > 1 else None
    if is_voc(options.data):
        # From the annotations: objects that are marked difficult are neither positives nor negatives.
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
        raise UserError(
            f"none of the {counted(len(media), 'video')} in {options.data} is in the lists in {options.lists}; "
            "give the lists of the same data set"
        )
    if len(listed) < len(media):
        log(f"{counted(len(media) - len(listed), 'video')} are in neither list of split {options.split}; left out")
    return labelled(
        _part(media, listed),
        splits=[str(splits[i]) for i in listed],
        # UCF101's clips of one group (g01 …) were cut from one video.
        sources=[action_group(paths[i]) for i in listed],
        separator=options.separator,
        seed=options.seed,
    )


def _log_shared(data: Labelled) -> None:
    """Where the data's own division puts a source on both sides."""
    # Published divisions are kept as they are, whatever they share: but it is said.
    for division in data.divisions:
        learned = {data.sources[i] for i in division.train}
        predicted = {data.sources[i] for i in division.test}
        if shared := sorted(learned & predicted):
            log(
                f"{division.name}: {len(shared)} of the {len(predicted)} evaluated sources are also in the training "
                f"part ({Path(shared[0]).name} …): these figures do not show how it does on new sources"
            )


def _part(media: Media, items: Sequence[int]) -> Media:
    import numpy as np

    from avssl.media.selection import Subset

    return Subset(media, np.array(items, np.int64))


def _check_stages(wanted: Sequence[str] | None, there: Sequence[str]) -> None:
    strange = [name for name in wanted or () if name not in there]
    if strange:
        raise UserError(f"the encoder has no stage called {strange[0]!r}; it has: {', '.join(there)}")
