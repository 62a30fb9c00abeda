"""``avssl evaluate localization``: maps against boxes, beside what scores without looking or listening."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.cli.options import Command, Option, Values
from avssl.errors import UserError
from avssl.experiment.learned import seen_by
from avssl.experiment.results import places, write_rows
from avssl.system.console import say
from avssl.system.files import whole_file

if TYPE_CHECKING:
    from avssl.evaluate.core.rows import ResultRow
    from avssl.evaluate.localization.annotations import Annotations, Item
    from avssl.evaluate.localization.protocols import Protocol
    from avssl.evaluate.localization.scoring import Company
    from avssl.evaluate.localization.synthetic import MapMaker

WHAT = """Where does the sound come from? Maps against boxes, with intervals over videos, beside blind rows.

  --run R                                   on the generated world: held-out clips, audio swaps, silence
  --run R --data D --annotations F          on VGG-SS, Flickr-SoundNet, IS3 (videos, or frames and sounds, by name)
  --maps M --annotations F                  anybody's maps: an .npz or a folder of .npy, an array a name
  --annotations F                           the blind rows alone

Annotations: vggss.json, synthetic3240_bbox.json (IS3; VPO and AVSBench boxes alike), a folder of Flickr-SoundNet's XML.
Protocols: ours cut ties by a rule; published ones reproduce their evaluators: {names}."""
EXAMPLE = """avssl evaluate localization --run runs/localization
avssl evaluate localization --maps maps.npz --annotations vggss.json --protocol all
avssl evaluate localization --run runs/mine --data VGG-SS/ --annotations vggss.json --list vggss_heard_test.csv"""

NAME = "localization"


def run(argv: Sequence[str]) -> None:
    """Evaluate localization."""
    values = _command().parse(argv)
    if values["draws"] < 1 or values["moments"] < 1:
        raise UserError("--draws and --moments must be at least 1")
    from avssl.evaluate.localization.protocols import DEFAULT, PROTOCOLS, protocol

    names = DEFAULT if values["protocol"] is None else values["protocol"]
    names = tuple(PROTOCOLS) if names == ("all",) else names
    chosen = [protocol(name) for name in names]
    if values["annotations"] is None:
        if values["maps"] is not None:
            raise UserError("--maps wants --annotations F, the boxes that the maps are compared with")
        if values["run"] is None:
            raise UserError("avssl evaluate localization wants --run RUN, or --maps M, and --annotations F")
        chosen = [p for p in chosen if p.name != "negatives" and not p.extended]  # the world has rejections of its own
        rows, title = _world(values, chosen, _company(values, argv))
        _finish(rows, title, [], values)
    else:
        _finish(*_annotated(values, chosen, _company(values, argv)), values)


def _command() -> Command:
    from avssl.evaluate.localization.protocols import PROTOCOLS

    command = Command("avssl evaluate localization", WHAT.format(names=", ".join(PROTOCOLS)), EXAMPLE)
    command.add(
        [
            Option("run", str | None, None, "the folder of a run of av-correspondence", metavar="RUN"),
            Option("data", str | None, None, "the media: a world with its truth, or a test set's (default: the run's)"),
            Option("maps", str | None, None, "maps instead of a run: .npz, or a folder of NAME.npy", metavar="M"),
            Option("annotations", str | None, None, "the boxes", metavar="F"),
            Option("list", str | None, None, "only the names in this list", metavar="CSV"),
            Option("negatives", str | None, None, "video,audio,label without a source in sight", metavar="CSV"),
            Option(
                "saliency", str | None, None, "weights of a torchvision ResNet: rows of a visual prior", metavar="FILE"
            ),
            Option("saliency_network", str, "resnet18", "whose weights: resnet18, resnet34, resnet50"),
            Option("train_annotations", str | None, None, "training boxes, for the blind mean map", metavar="F"),
            Option(
                "protocol",
                tuple[str, ...] | None,
                None,
                "which protocols; all for every one (default: ours)",
                metavar="A,B,…",
            ),
            Option("output", str | None, None, "folder for the rows (default: results/ of the run)", "-o", "DIR"),
            Option("set_threshold", bool, False, "fit the run's threshold again (avssl localize uses it)"),
            Option("moments", int, 2, "moments of each clip of the world"),
            Option("draws", int, 2000, "draws of the bootstrap"),
            Option("seed", int, 0, "of what is drawn: moments, swaps, noise"),
            Option("device", str, "auto", "auto, cpu, cuda, cuda:1, mps"),
        ]
    )
    return command


def _company(values: Values, argv: Sequence[str]) -> Company:
    from avssl.evaluate.localization.scoring import Company

    command = shlex.join(["avssl", "evaluate", "localization", *argv])
    return Company(seed=values["seed"], command=command, draws=values["draws"])


# --- the generated world --------------------------------------------------------------------------------------


def _world(values: Values, chosen: Sequence[Protocol], company: Company) -> tuple[list[ResultRow], str]:
    from avssl.evaluate.core.training_overlap import marked
    from avssl.evaluate.localization.synthetic import evaluate_world, is_world, threshold_of
    from avssl.evaluate.localization.threshold import fitted_on, write_threshold
    from avssl.localization.localizer import Localizer, open_localizer
    from avssl.localization.spreading import PeakDiscs, Regions
    from avssl.localization.untrained import untrained
    from avssl.media import open_media
    from avssl.trainer.devices import choose_device

    localizer = open_localizer(values["run"], choose_device(values["device"]))
    place = _world_folder(values)
    test, validation = open_media(place, split="test"), open_media(place, split="validation")
    if not is_world(test):
        raise UserError(f"{place} holds no truth of a generated world; give --annotations F with the boxes of {place}")
    threshold, fitted = localizer.threshold, fitted_on(Path(values["run"]))
    if fitted is None or values["set_threshold"]:
        fitted = f"{len(validation)} validation clips of {place}"
        threshold = threshold_of(validation, localizer, values["seed"])
        write_threshold(Path(values["run"]), threshold, fitted)
        say(f"threshold {threshold:.2f}, fitted on {fitted}: avssl localize now uses it")
    else:
        say(f"threshold {threshold:.2f}, fitted on {fitted}: kept (--set-threshold fits it on those of {place})")
    fresh = Localizer(untrained(localizer.model, values["seed"]))
    models: dict[str, MapMaker] = {
        "trained": Regions(localizer),
        "trained/logits": localizer,
        "trained/peak-disc": PeakDiscs(localizer),
        "untrained": Regions(fresh),
    }
    rows = evaluate_world(test, models, chosen, company, threshold, values["moments"], sure=localizer)
    seen = seen_by(values["run"], test, str(place), say)
    what = f"clips of {place}, {seen.words}" if seen else f"held-out clips of {place}"
    return marked(rows, seen), f"{values['run']} on {len(test)} {what}"


def _world_folder(values: Values) -> Path:
    """The world that is judged on: named, the one the run learned from, or one generated for it."""
    from avssl.experiment.default_localizer import localization_world

    if values["data"] not in (None, "world"):
        return Path(values["data"])
    from avssl.evaluate.data.load_run import read_config

    config = read_config(Path(values["run"]))
    learned = config.get("data")
    if learned is not None and (Path(learned) / "world.json").is_file() and values["data"] is None:
        return Path(learned)
    return localization_world(say)


# --- annotated media and maps -----------------------------------------------------------------------------------


Missing = list[tuple[str, str]]
"""Names of items that were left out, and why."""
Judged = tuple["list[ResultRow]", "tuple[Item, ...]", Missing]
"""Rows, the items that they stand on, and those that are missing."""


def _annotated(values: Values, chosen: Sequence[Protocol], company: Company) -> tuple[list[ResultRow], str, Missing]:
    from avssl.evaluate.localization.annotations import read_annotations
    from avssl.evaluate.localization.blind import blind_rows

    told = read_annotations(values["annotations"], wanted=values["list"], negatives=values["negatives"])
    say(f"{values['annotations']}: {len(told.positives)} items, {len(told.negatives)} negatives; {told.defects()}")
    if told.not_annotated:
        say(f"{len(told.not_annotated)} names of {values['list']} have no boxes, such as {told.not_annotated[0]}")
    train = None if values["train_annotations"] is None else read_annotations(values["train_annotations"]).positives
    chosen = [p for p in chosen if not p.extended or told.negatives]
    if values["run"] is None:  # sounds that belong to nothing need a model to hear them
        chosen = [p for p in chosen if p.name != "negatives"]
    judged: Judged = ([], told.items, [])
    if values["maps"] is not None:
        judged = _map_rows(values, told, chosen, company)
    elif values["run"] is not None:
        judged = _run_rows(values, told, chosen, company)
    rows, items, missing = judged
    say("blind rows: what scores without looking or listening")
    unscored = [name for name, _ in missing]
    rows += blind_rows(items, [p for p in chosen if p.name != "negatives"], company, train, unscored)
    title = f"{values['maps'] or values['run'] or 'nothing'} on {len(items)} of {len(told.items)} items"
    return rows, title, missing


def _map_rows(values: Values, told: Annotations, chosen: Sequence[Protocol], company: Company) -> Judged:
    from avssl.evaluate.localization.maps import MapFile
    from avssl.evaluate.localization.scoring import rows_of, score_maps

    maps = MapFile(values["maps"])
    scores = score_maps(told.items, maps, chosen)
    if not scores.items:
        raise UserError(
            f"none of the {len(maps)} maps in {values['maps']} is named after an item of {values['annotations']}"
        )
    unknown = maps.unknown(told.items)
    if unknown:
        say(f"{len(unknown)} maps belong to no item, such as {unknown[0]}")
    _say_missing(scores.missing, "without a map, left out")
    if scores.constant:
        say(
            f"{scores.constant} maps are constant; they score 0 in our protocols; in published ones all of the picture "
            "is predicted where the rule is ≥, nothing where it is >"
        )
    rows = rows_of("maps", scores, chosen, company, f"{len(scores.items)} of {len(told.items)} items have a map")
    return rows, tuple(scores.items), [(name, "no map") for name in scores.missing]


def _run_rows(values: Values, told: Annotations, chosen: Sequence[Protocol], company: Company) -> Judged:
    import numpy as np

    from avssl.evaluate.core.training_overlap import marked
    from avssl.evaluate.localization.datasets import ModelMaps, Sound, TestMedia
    from avssl.evaluate.localization.negatives import negative_rows
    from avssl.evaluate.localization.scoring import rows_of, score_maps
    from avssl.evaluate.localization.threshold import fitted_on
    from avssl.experiment.data import open_source
    from avssl.localization.localizer import Localizer, open_localizer
    from avssl.localization.saliency import Mixture, Saliency
    from avssl.localization.spreading import Regions
    from avssl.localization.untrained import untrained
    from avssl.media.selection import Subset
    from avssl.trainer.devices import choose_device

    if values["data"] is None:
        raise UserError("--run with --annotations wants --data D, the folder of the annotated media")
    localizer = open_localizer(values["run"], choose_device(values["device"]))
    test = TestMedia(open_source(values["data"], say), told.items, values["seed"])
    _say_missing([f"{name} ({why})" for name, why in test.missing], f"not in {values['data']}, left out")
    if not test.items:
        raise UserError(
            f"none of the {len(told.items)} annotated items is in {values['data']} (media are found by name)"
        )
    fresh = Localizer(untrained(localizer.model, values["seed"]))
    regions = Regions(localizer)
    sources: list[tuple[str, MapMaker, Sound, str]] = [
        ("trained", regions, "own", ""),
        ("trained/logits", localizer, "own", "the logits themselves, not spread to regions"),
        ("untrained", Regions(fresh), "own", "random weights"),
        ("swap", regions, "swap", "another clip's sound on the old truth: must fall to the blind rows"),
        ("silence", regions, "silence", "digital silence"),
        ("noise", regions, "noise", "N(0, 1) noise"),
    ]
    if values["saliency"] is not None:
        prior = Saliency(values["saliency"], values["saliency_network"], localizer)
        sources.append(("saliency", prior, "own", "what a supervised network finds remarkable; hears nothing"))
        sources.append(("trained+saliency", Mixture(localizer, prior), "own", "0.4 · map + 0.6 · saliency"))
    rows: list[ResultRow] = []
    missing, judged = list(test.missing), test.items
    if any(p.name == "negatives" for p in chosen):
        fitted = fitted_on(Path(values["run"]))
        rows += negative_rows(test, localizer, localizer.threshold, company, fitted)
    chosen = [p for p in chosen if p.name != "negatives"]
    for name, model, sound, said in sources:
        maps = ModelMaps(model, test, sound)
        scores = score_maps(judged, maps, chosen)
        scores.missing += [gone for gone, _ in missing]
        if name == "trained":  # all rows stand on what it could be asked
            judged = tuple(scores.items)
            missing += list(maps.broken.items())
            _say_missing(list(maps.broken.values()), "cannot be read, left out")
            if not judged:
                raise UserError(f"none of the {len(test.items)} annotated items in {values['data']} can be read")
        note = said
        if maps.alone:
            note += f"; {len(maps.alone)} items left out: no sound of another class"
            say(f"{name}: {len(maps.alone)} items left out, no sound of another class is there")
        rows += rows_of(name, scores, chosen, company, note)
    found = {place for item in judged for place in (test.places[item.name].picture, test.places[item.name].sound)}
    seen = seen_by(values["run"], Subset(test.media, np.array(sorted(found))), values["data"], say)
    return marked(rows, seen), judged, missing


def _say_missing(names: Sequence[str], what: str) -> None:
    if names:
        listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        say(f"{len(names)} items {what}: {listed}")


def _finish(rows: list[ResultRow], title: str, missing: Missing, values: Values) -> None:
    from avssl.report.tables import print_rows

    print_rows(rows, title)
    run_folder = None if values["run"] is None else Path(values["run"])
    told = None if values["output"] is None else Path(values["output"])
    if told is None and run_folder is None:
        if missing:
            say("-o DIR keeps the rows and the names of all items that were left out")
        return
    judged = values["annotations"] or (None if values["data"] == "world" else values["data"])
    stems = places(run_folder, values["output"], NAME, judged)
    for stem, place in zip(stems, write_rows(rows, stems, judged), strict=True):
        say(f"rows in {place}")
        names = stem.with_name(f"{stem.name}-missing.txt")
        if missing:
            with whole_file(names, "w") as file:
                file.writelines(f"{name}\t{why}\n" for name, why in missing)
            say(f"the {len(missing)} items that were left out in {names}")
        else:
            names.unlink(missing_ok=True)
