"""What the commands of the probes share: from their options to labelled media and the features of encoders."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.cli.options import Command, Option, Values, source_options
from avssl.errors import UserError
from avssl.experiment.data import open_both, open_sourced, sourced
from avssl.experiment.learned import seen_by
from avssl.experiment.results import places, write_rows
from avssl.system.console import progress, say

if TYPE_CHECKING:
    import torch

    from avssl.evaluate.core.rows import ResultRow
    from avssl.evaluate.core.scores import Context
    from avssl.evaluate.core.training_overlap import Seen
    from avssl.evaluate.data.encoders import Encoder
    from avssl.evaluate.data.labelled import Labelled
    from avssl.evaluate.probes.probing import Encoded
    from avssl.media.facts import Media

DATA = """Labels are the names of sub-folders or a column 'label' of a CSV. What is judged on: --test; or each fold of
--folds in turn; or the lists of --lists; or the split 'test' of --data; or else a fifth of its sources. A folder laid
out as Pascal VOC is read with its lists and annotations, several labels a picture."""

Draw = Callable[[Sequence["ResultRow"], Path, str], bool]

SOUND_MOMENTS, VIDEO_MOMENTS = 10, 3


def data_options() -> list[Option]:
    """Options that say what is judged, and on what."""
    return [
        Option("run", str | None, None, "the folder of a finished run", metavar="RUN"),
        Option("encoder", str | None, None, "which of its encoders: vision, audio, vision-TASK (default: what fits)"),
        Option("data", str | None, None, "labelled media: folder, CSV, tar, VOC folder, torchvision:NAME:FOLDER"),
        Option("test", str | None, None, "labelled media to judge on"),
        Option("folds", str | None, None, "column of the CSV that holds the fold of each item", metavar="COLUMN"),
        Option("lists", str | None, None, "folder with the split lists of UCF101 or HMDB51", metavar="FOLDER"),
        Option("split", int, 1, "which of the three splits of --lists"),
        Option("separator", str | None, None, "what stands between several labels of an item, such as '|'"),
        *source_options(),
        Option("output", str | None, None, "folder for the rows (default: results/ of the run)", "-o", "DIR"),
        Option("seed", int, 0, "of the random network and of what is drawn"),
        Option("device", str, "auto", "auto, cpu, cuda, cuda:1, mps"),
    ]


def feature_options() -> list[Option]:
    """Options that say how features are taken, and what stands beside the run's encoder."""
    return [
        Option("stages", tuple[str, ...] | None, None, "only these stages (default: all)", metavar="A,B,…"),
        Option("moments", int | None, None, "frames of a video, or windows of a sound (default: 3 and 10)"),
        Option("pool", str, "max", "how maps are pooled: max or average"),
        Option("numbers", int, 9600, "the most numbers that a stage is pooled to; published: about 9,000"),
        Option("beside", tuple[str, ...], (), "further runs, rows beside this one's", metavar="RUN,…"),
        Option("supervised", str | None, None, "weights of a torchvision ResNet: the ceiling", metavar="FILE"),
        Option("supervised_network", str, "resnet18", "whose weights: resnet18, resnet34, resnet50, resnet101"),
    ]


@dataclass(frozen=True)
class Judged:
    """What a probe is put to."""

    encoded: Sequence[Encoded]
    data: Labelled
    context: Context
    device: torch.device
    title: str
    seen: Seen


def check(values: Values, name: str) -> None:
    """Refuse what is wrong at sight, before anything heavy is loaded.

    Raises:
        UserError: an option that is missing or does not fit.
    """
    for option, what in (("run", "--run RUN, the folder of a finished run"), ("data", "--data D, labelled media")):
        if values[option] is None:
            raise UserError(f"avssl evaluate {name} wants {what}")
    given = [f"--{option}" for option in ("test", "folds", "lists") if values[option] is not None]
    if len(given) > 1:
        raise UserError(f"give one of {' and '.join(given)}, not both")
    if values.get("moments") is not None and values["moments"] < 1:
        raise UserError(f"--moments ({values['moments']}) must be at least 1")
    if values.get("numbers", 1) < 1:
        raise UserError(f"--numbers ({values['numbers']}) must be at least 1")
    if values.get("pool", "max") not in ("max", "average"):
        raise UserError(f"--pool wants max or average, not {values['pool']!r}")


def judged(values: Values, name: str, protocol: str, argv: Sequence[str]) -> Judged:
    """Labelled media, and the features of the run's encoder, of a random one, and of what was asked for beside them."""
    from avssl.evaluate.core.scores import Context
    from avssl.evaluate.data.baseline_features import mfcc, pixels
    from avssl.evaluate.data.encoders import random_twin, supervised_encoder
    from avssl.evaluate.data.features import Taking, stage_features
    from avssl.evaluate.probes.probing import Encoded
    from avssl.networks.encoder import is_waveform_encoder
    from avssl.trainer.devices import choose_device

    device = choose_device(values["device"])
    encoder, data = encoder_and_data(values)
    hears = is_waveform_encoder(encoder)
    taking = Taking(values["moments"] or (SOUND_MOMENTS if hears else VIDEO_MOMENTS), values["pool"], values["numbers"])
    encoders: dict[str, Encoder] = {"trained": encoder, "random": random_twin(encoder, values["seed"])}
    for run in values["beside"]:
        other, _ = fitting_encoder(run, None, hears)
        encoders[Path(run).name] = other
    if values["supervised"] is not None:
        encoders["supervised"] = supervised_encoder(values["supervised"], values["supervised_network"])
    found: list[Encoded] = []
    for label, one in encoders.items():
        with progress(f"features, {label}", "items") as told:
            parts = [stage_features(one, part, taking, device=device, told=told) for part in data.parts]
        _check_stages(values["stages"], parts[0].stages, label)
        found.append(Encoded(label, parts))
    with progress("hand-made features", "items") as told:
        hand = [mfcc(part, told) if hears else pixels(part, taking.moments, told) for part in data.parts]
    found.append(Encoded(hand[0].name, hand))
    command = shlex.join(["avssl", "evaluate", name, *argv])
    pooling = f"{taking.pool} pooling to {taking.numbers} numbers"
    context = Context(f"{protocol}, {pooling}", values["seed"], command, len(data.test))
    seen = seen_by(values["run"], judged_media(data), values["test"] or values["data"], say)
    return Judged(found, data, context, device, title_of(values, data), seen)


def encoder_and_data(values: Values) -> tuple[Encoder, Labelled]:
    """The encoder that was asked for, or the one that fits the data, and the data as it takes them."""
    from avssl.evaluate.data.features import taken_by

    media, test = _open(values)
    only_sounds = all(media.facts(i).kind == "sound" for i in range(len(media)))
    encoder, name = fitting_encoder(values["run"], values["encoder"], only_sounds)
    parts: list[Media] = []
    for part in [media] if test is None else [media, test]:
        kept = [i for i in range(len(part)) if taken_by(encoder, part.facts(i))]
        if not kept:
            raise UserError(f"the encoder {name} can take none of the {len(part)} items in {values['data']}")
        if len(kept) < len(part):
            say(f"{len(part) - len(kept)} of {len(part)} items have nothing for the encoder {name}; passed over")
        parts.append(_part(part, kept))
    data = _labelled(values, parts)
    divisions = f", {len(data.divisions)} folds" if len(data.divisions) > 1 else ""
    say(f"encoder {name} of {values['run']}; {len(data)} items of {len(data.classes)} classes{divisions}")
    _say_shared(data)
    return encoder, data


def finish(
    rows: Sequence[ResultRow], name: str, title: str, values: Values, seen: Seen, *, draw: Draw | None = None
) -> None:
    """Print the rows and write them, with a picture, to -o and to the run's results.

    Args:
        title: says which data were judged.
        seen: what of them the run learned from; the rows say so.
        draw: writes a picture of them; returns whether there was one to draw.
    """
    from avssl.evaluate.core.training_overlap import marked
    from avssl.report.tables import print_rows

    rows, title = marked(rows, seen), f"{title}, {seen.words}" if seen else title
    print_rows(rows, title)
    judged = values["test"] or values["data"]
    stems = places(values["run"], values["output"], name, judged)
    for stem, file in zip(stems, write_rows(rows, stems, judged), strict=True):
        say(f"rows in {file}")
        picture = stem.with_name(f"{stem.name}.png")
        if draw is not None and draw(rows, picture, f"{name}: {title}"):
            say(f"picture in {picture}")


def judged_media(data: Labelled) -> Media:
    """The items that are judged on, as a collection: of the last part, or of the only one."""
    before = sum(len(part) for part in data.parts[:-1])
    return _part(data.parts[-1], [int(i) - before for i in sorted(set(data.test.tolist()))])


def title_of(values: Values, data: Labelled) -> str:
    """Which run is judged on how many items of which data."""
    return f"{values['run']} on {len(data.test)} items of {values['test'] or values['data']}"


def command_of(name: str, summary: str, example: str, options: Sequence[Option], *, features: bool = True) -> Command:
    """The command line of a probe."""
    command = Command(f"avssl evaluate {name}", f"{summary}\n\n{DATA}", example)
    command.add(data_options())
    if features:
        command.add(feature_options(), "features")
    if options:
        command.add(options, "the protocol")
    return command


def _open(values: Values) -> tuple[Media, Media | None]:
    from avssl.evaluate.data.split_files import is_voc, voc_list
    from avssl.media import open_media

    if is_voc(values["data"]):
        place = values["test"] or values["data"]
        learned, asked = (
            open_media([str(path) for path in listed])
            for listed in (voc_list(values["data"], "trainval", "train"), voc_list(place, "test", "val"))
        )
        return sourced(learned, asked, say, values["sources"])
    if values["test"] is None:
        return open_sourced(values["data"], say, values["sources"], values["source_column"]), None
    media, test = open_both(values["data"], values["test"], say, values["sources"], values["source_column"])
    held = [i for i in range(len(test)) if test.facts(i).split == "test"]  # a folder of several splits
    return media, _part(test, held) if held else test


def _labelled(values: Values, parts: Sequence[Media]) -> Labelled:
    from avssl.evaluate.data.labelled import labelled
    from avssl.evaluate.data.split_files import action_group, action_lists, column_of, is_voc, splits_of, voc_truths

    media, test = parts[0], parts[1] if len(parts) > 1 else None
    common = {"separator": values["separator"], "seed": values["seed"]}
    if is_voc(values["data"]):
        truths: dict[str, dict[str, int]] = {}
        for part, place in zip(parts, (values["data"], values["test"] or values["data"]), strict=True):
            truths |= voc_truths(place, [Path(part.facts(i).path) for i in range(len(part))])
        return labelled(media, test, truths=truths, seed=values["seed"])
    if values["lists"] is not None:
        marks = action_lists(values["lists"], values["split"])
        paths = [media.facts(i).path for i in range(len(media))]
        splits = splits_of(marks, paths, values["lists"])
        listed = [i for i, split in enumerate(splits) if split is not None]
        if not listed:
            raise UserError(f"none of the {len(media)} videos in {values['data']} is in the lists in {values['lists']}")
        if len(listed) < len(media):
            say(f"{len(media) - len(listed)} videos are in neither list of split {values['split']}; passed over")
        return labelled(
            _part(media, listed),
            splits=[str(splits[i]) for i in listed],
            sources=[action_group(paths[i]) for i in listed],
            **common,
        )
    folds = None if values["folds"] is None else column_of(values["data"], media, values["folds"])
    return labelled(media, test, folds=folds, **common)


def _say_shared(data: Labelled) -> None:
    """Say it where the data's own division puts a source on both sides."""
    for division in data.divisions:
        learned = {data.sources[i] for i in division.train}
        judged = {data.sources[i] for i in division.test}
        if shared := sorted(learned & judged):
            say(
                f"{division.name}: {len(shared)} of the {len(judged)} judged sources are also in the training part "
                f"({Path(shared[0]).name} …): these figures say nothing about new sources"
            )


def fitting_encoder(run: str, name: str | None, hears: bool) -> tuple[Encoder, str]:
    """The encoder of a run with this name, or the one that fits, and its name.

    Raises:
        UserError: there is none.
    """
    from avssl.evaluate.data.encoders import encoder_names, open_encoder

    if name is None:
        role = "audio" if hears else "vision"
        fitting = [one for one in encoder_names(Path(run)) if one.split("-")[0] == role]
        if not fitting:
            what = "sound" if hears else "pictures"
            raise UserError(f"{run} has no encoder of {what}, and the data are {what}; take another run or other data")
        name = role if role in fitting else fitting[0]
    return open_encoder(run, name), name


def _part(media: Media, items: Sequence[int]) -> Media:
    import numpy as np

    from avssl.media.selection import Subset

    return Subset(media, np.array(items, np.int64))


def _check_stages(wanted: Sequence[str] | None, there: Sequence[str], label: str) -> None:
    strange = [name for name in wanted or () if name not in there]
    if strange and label == "trained":
        raise UserError(f"the encoder has no stage called {strange[0]!r}; it has: {', '.join(there)}")
