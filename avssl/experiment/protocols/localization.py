"""Where the sound comes from: maps against boxes, on the generated world and published test sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.errors import UserError
from avssl.evaluate.choices import BootstrapChoices
from avssl.evaluate.localization.protocols import DEFAULT, PROTOCOLS, Protocol, protocol
from avssl.experiment.data import SPLITS
from avssl.experiment.learned import seen_by
from avssl.experiment.protocols.base import GENERATED, Architecture, ComputeOptions, RunOptions, Subject
from avssl.experiment.results import Beside, Outcome
from avssl.options import option
from avssl.system.console import counted, log
from avssl.system.files import whole_file
from avssl.system.hub import name_on_hub

if TYPE_CHECKING:
    from avssl.evaluate.core.rows import Context, ResultRow
    from avssl.evaluate.core.training_overlap import Seen
    from avssl.evaluate.localization.annotations import Annotations, Item
    from avssl.evaluate.localization.datasets import Sound
    from avssl.evaluate.localization.map_maker import MapMaker
    from avssl.localization.localizer import Localizer
    from avssl.media.facts import Media


@dataclass(frozen=True)
class Localization(BootstrapChoices, ComputeOptions, RunOptions):
    about = f"""Where does the sound come from? Maps against boxes, with intervals over videos, beside blind rows.

      --run R                                   on the generated world: held-out clips, audio swaps, silence
      --run R --data D --annotations F          on VGG-SS, Flickr-SoundNet, IS3 (videos, or frames and sounds, by name)
      --maps M --annotations F                  maps of any model: an .npz or a folder of .npy, an array a name
      --annotations F                           the blind rows alone

    Annotations: vggss.json, synthetic3240_bbox.json (IS3; VPO and AVSBench boxes alike), a folder of Flickr-SoundNet's
    XML. Protocols: ours cut ties by a rule; published ones reproduce their evaluators: {", ".join(PROTOCOLS)}."""
    examples = """avssl evaluate localization --run runs/localization
    avssl evaluate localization --maps maps.npz --annotations vggss.json --protocol all
    avssl evaluate localization --run runs/mine --data VGG-SS/ --annotations vggss.json --list vggss_heard_test.csv"""
    needs_run = ""
    no_encoder = "it needs both encoders of a run; the maps of any other model are given with --maps"

    run: str | None = option(None, "the folder of a run of av-correspondence", metavar="RUN")
    data: str | None = option(None, "the media: a world with its truth, or a test set's (default: the run's)")
    maps: str | None = option(None, "maps instead of a run: .npz, or a folder of NAME.npy", metavar="M")
    annotations: str | None = option(None, "file or folder of the true boxes", metavar="F")
    list: str | None = option(None, "only the names in this list", metavar="CSV")
    negatives: str | None = option(None, "pairs without a source in sight: video,audio,label", metavar="CSV")
    saliency: str | None = option(None, "weights of a torchvision ResNet: rows of a visual prior", metavar="FILE")
    saliency_network: Architecture = option("resnet18", "the ResNet of --saliency")
    train_annotations: str | None = option(None, "training boxes, for the blind mean map", metavar="F")
    protocol: tuple[str, ...] | None = option(
        None, "which protocols; all for every one (default: ours)", metavar="A,B,…"
    )
    set_threshold: bool = option(False, "fit the run's threshold again (avssl localize uses it)")
    frames: int = option(
        2, "frames of each clip of the world, each with the second of sound around it", low=1, formerly="moments"
    )

    def check(self) -> None:
        for name in self.protocol or ():
            if name != "all":
                protocol(name)
        if self.annotations is None and self.maps is not None:
            raise UserError("--maps needs --annotations F, the boxes that the maps are compared with")
        if self.annotations is None and self.run is None:
            raise UserError("avssl evaluate localization needs --run RUN, or --maps M, and --annotations F")
        if self.annotations is not None and self.run is not None and self.maps is None and self.data is None:
            raise UserError("--run with --annotations needs --data D, the folder of the annotated media")

    @property
    def place(self) -> str | None:
        return self.annotations or (None if self.data == GENERATED else self.data)

    def evaluate(self, subject: Subject, name: str) -> Outcome:
        from avssl.evaluate.localization.scoring import localization_context

        names = self.protocol or DEFAULT
        chosen = [protocol(one) for one in (tuple(PROTOCOLS) if names == ("all",) else names)]
        context = localization_context(self.seed, subject.command, self.draws)
        if self.annotations is None:  # the world has rejections of its own
            chosen = [one for one in chosen if one.name != "negatives" and not one.extended]
            outcome = _on_world(self, subject, chosen, context)
        else:
            outcome = _on_annotations(self, subject, chosen, context)
        return replace(outcome, name=name, place=self.place)


def _on_world(options: Localization, subject: Subject, chosen: Sequence[Protocol], context: Context) -> Outcome:
    from avssl.evaluate.localization.synthetic import evaluate_world, is_world
    from avssl.localization.localizer import open_localizer
    from avssl.media.opening import open_media

    assert options.run is not None
    localizer = open_localizer(options.run, options.torch_device())
    place = _world_folder(options)
    if place.name in SPLITS and is_finished_world(place.parent):  # a part of a world is named
        test, validation = open_media(place), open_media(place.parent, split="validation")
    else:
        test, validation = open_media(place, split="test"), open_media(place, split="validation")
    if not is_world(test):
        raise UserError(f"{place} holds no truth of a generated world; give --annotations F with the boxes of {place}")
    # On validation clips: one fitted to the test clips would flatter the rejection of silence.
    threshold = _threshold(options, localizer, validation, place)
    models = _models(localizer, options.seed, discs=True)
    rows = evaluate_world(test, models, chosen, context, threshold, options.frames, logits=localizer)
    seen = seen_by(subject.run, test, str(place))
    clips = "clips" if seen else "held-out clips"
    return Outcome("", rows, f"{options.run} on {len(test)} {clips} of {place}", seen=seen)


def is_finished_world(folder: Path) -> bool:
    """Whether a whole generated world is there."""
    return (folder / "world.json").is_file()


def _threshold(options: Localization, localizer: Localizer, validation: Media, place: Path) -> float:
    """The threshold of the run, fitted where it has none or that is asked for."""
    from avssl.evaluate.localization.synthetic import fit_run_threshold
    from avssl.evaluate.localization.threshold import fitted_on, read_threshold

    run = Path(str(options.run))
    fitted = fitted_on(run)
    if name_on_hub(run) and (fitted is None or options.set_threshold):
        if options.set_threshold:
            raise UserError("what was fetched from a hub stays as it is; leave out --set-threshold")
        log(f"threshold {localizer.threshold:.2f}: none was pushed with the run, and what was fetched stays as it is")
        return localizer.threshold
    if fitted is not None and not options.set_threshold:
        kept = f"threshold {localizer.threshold:.2f}, fitted on {fitted}: kept"
        log(f"{kept} (--set-threshold fits it on those of {place})")
        return localizer.threshold
    fitted = fit_run_threshold(run, localizer, validation, f" of {place}", options.seed)
    threshold = read_threshold(run)
    log(f"threshold {threshold:.2f}, fitted on {fitted}: avssl localize now uses it")
    return threshold


def _world_folder(options: Localization) -> Path:
    """The world that is evaluated on: named, the one the run learned from, or one generated for it."""
    from avssl.experiment.generated import localization_world
    from avssl.trainer.run_config import read_config

    # Of a run from elsewhere the world that it learned from may be gone, or be another under the same name.
    if options.data not in (None, GENERATED):
        return Path(str(options.data))
    learned = read_config(Path(str(options.run))).get("data")
    if learned is not None and is_finished_world(Path(learned)) and options.data is None:
        return Path(learned)
    return localization_world()


@dataclass(frozen=True)
class Scored:
    """Rows of maps, the items that they stand on, those that are missing, and what of the data was learned from."""

    items: tuple[Item, ...]
    rows: Sequence[ResultRow] = ()
    missing: Sequence[tuple[str, str]] = ()
    seen: Seen | None = None


def _on_annotations(options: Localization, subject: Subject, chosen: Sequence[Protocol], context: Context) -> Outcome:
    from avssl.evaluate.core.training_overlap import marked
    from avssl.evaluate.localization.annotations import read_annotations
    from avssl.evaluate.localization.blind import blind_rows

    truth = read_annotations(str(options.annotations), wanted=options.list, negatives=options.negatives)
    log(
        f"{options.annotations}: {counted(len(truth.positives), 'item')}, "
        f"{counted(len(truth.negatives), 'negative')}; {truth.defects()}"
    )
    if truth.not_annotated:
        log(f"{len(truth.not_annotated)} names of {options.list} have no boxes, such as {truth.not_annotated[0]}")
    train = None if options.train_annotations is None else read_annotations(options.train_annotations).positives
    # Protocols that count false alarms need pairs in which nothing is to be found.
    chosen = [one for one in chosen if truth.negatives or not one.extended]
    plain = [one for one in chosen if one.name != "negatives"]
    if options.maps is not None:
        # Sounds that belong to nothing need a model to hear them.
        scored = _score_file(options, truth, plain if options.run is None else chosen, context)
    elif options.run is not None:
        scored = _score_run(options, subject, truth, chosen, context)
    else:
        scored = Scored(truth.items)
    rows = list(scored.rows) if scored.seen is None else marked(scored.rows, scored.seen)
    log("blind rows: baselines without picture or sound")
    # On the items that were scored, with those that are missing counted alike.
    rows += blind_rows(scored.items, plain, context, train, [name for name, _ in scored.missing])
    source = options.maps or options.run or "nothing"
    # Names of a thousand missing items are for a file, not for the screen.
    kept = options.output is not None or options.run is not None
    return Outcome(
        name="",
        rows=rows,
        title=f"{source} on {len(scored.items)} of {counted(len(truth.items), 'item')}",
        notes=[] if kept or not scored.missing else [_KEEP],
        beside=[_missing_file(scored.missing)],
    )


_KEEP = "-o DIR keeps the rows and the names of all items that were left out"


def _missing_file(missing: Sequence[tuple[str, str]]) -> Beside:
    def write(outcome: Outcome, path: Path) -> bool:
        if not missing:
            path.unlink(missing_ok=True)
            return False
        with whole_file(path, "w") as file:
            file.writelines(f"{name}\t{why}\n" for name, why in missing)
        return True

    return Beside(f"the {counted(len(missing), 'item')} that were left out", "-missing.txt", write)


def _score_file(options: Localization, truth: Annotations, chosen: Sequence[Protocol], context: Context) -> Scored:
    from avssl.evaluate.localization.datasets import MapFile
    from avssl.evaluate.localization.scoring import rows_of, score_maps

    maps = MapFile(str(options.maps))
    scores = score_maps(truth.items, maps, chosen)
    if not scores.items:
        raise UserError(
            f"none of the {len(maps)} maps in {options.maps} is named after an item of {options.annotations}"
        )
    unknown = maps.unknown(truth.items)
    if unknown:
        log(f"{len(unknown)} maps belong to no item, such as {unknown[0]}")
    _log_missing(scores.missing, "without a map, left out")
    if scores.constant:
        log(
            f"{scores.constant} maps are constant; they score 0 in our protocols; in published ones all of the picture "
            "is predicted where the rule is ≥, nothing where it is >"
        )
    rows = rows_of(
        "maps", scores, chosen, context, f"{len(scores.items)} of {counted(len(truth.items), 'item')} have a map"
    )
    return Scored(tuple(scores.items), rows, [(name, "no map") for name in scores.missing])


def _score_run(
    options: Localization, subject: Subject, truth: Annotations, chosen: Sequence[Protocol], context: Context
) -> Scored:
    import numpy as np

    from avssl.evaluate.localization.datasets import ModelMaps, TestMedia
    from avssl.evaluate.localization.negatives import negative_rows
    from avssl.evaluate.localization.scoring import rows_of, score_maps
    from avssl.evaluate.localization.threshold import fitted_on
    from avssl.experiment.places import open_source
    from avssl.localization.localizer import open_localizer
    from avssl.media.selection import Subset

    localizer = open_localizer(str(options.run), options.torch_device())
    test = TestMedia(open_source(options.data), truth.items, options.seed)
    _log_missing([f"{name} ({why})" for name, why in test.missing], f"not in {options.data}, left out")
    if not test.items:
        raise UserError(
            f"none of the {len(truth.items)} annotated items is in {options.data} (media are found by name)"
        )
    sources = _map_sources(options, localizer)
    rows: list[ResultRow] = []
    missing, items = list(test.missing), test.items
    if any(one.name == "negatives" for one in chosen):
        rows += negative_rows(test, localizer, localizer.threshold, context, fitted_on(Path(str(options.run))))
    chosen = [one for one in chosen if one.name != "negatives"]
    for name, model, sound, what in sources:
        maps = ModelMaps(model, test, sound)
        scores = score_maps(items, maps, chosen)
        scores.missing += [gone for gone, _ in missing]
        if name == "trained":  # all rows stand on what it could be asked
            items = tuple(scores.items)
            missing += list(maps.broken.items())
            _log_missing(list(maps.broken.values()), "cannot be read, left out")
            if not items:
                raise UserError(
                    f"none of the {len(test.items)} annotated items in {options.data} can be read; avssl index says why"
                )
        note = what
        if maps.alone:
            note += f"; {counted(len(maps.alone), 'item')} left out: no sound of another class"
            log(f"{name}: {counted(len(maps.alone), 'item')} left out, no sound of another class is there")
        rows += rows_of(name, scores, chosen, context, note)
    # Picture and sound may be files of their own.
    found = {place for item in items for place in (test.places[item.name].picture, test.places[item.name].sound)}
    seen = seen_by(subject.run, Subset(test.media, np.array(sorted(found))), options.data)
    return Scored(items, rows, missing, seen)


def _map_sources(options: Localization, localizer: Localizer) -> list[tuple[str, MapMaker, Sound, str]]:
    """What gives maps: the name of its rows, the model, the sound that it hears, and a note."""
    from avssl.evaluate.localization.synthetic import NOTES
    from avssl.localization.saliency import Mixture, Saliency

    models = _models(localizer, options.seed)
    found: list[tuple[str, MapMaker, Sound, str]] = [
        *((name, model, "own", NOTES.get(name, "")) for name, model in models.items()),
        ("swap", models["trained"], "swap", "another clip's sound on the old truth: must fall to the blind rows"),
        ("silence", models["trained"], "silence", "digital silence"),
        ("noise", models["trained"], "noise", "N(0, 1) noise"),
    ]
    if options.saliency is not None:
        prior = Saliency(options.saliency, options.saliency_network, localizer)
        found.append(("saliency", prior, "own", "what a supervised network finds remarkable; hears nothing"))
        found.append(("trained+saliency", Mixture(localizer, prior), "own", "0.4 · map + 0.6 · saliency"))
    return found


def _models(localizer: Localizer, seed: int, discs: bool = False) -> dict[str, MapMaker]:
    """The trained model's maps, and those of random weights, by the name of their rows."""
    from avssl.evaluate.data.encoders import untrained
    from avssl.localization.localizer import Localizer
    from avssl.localization.regions import PeakDiscs, Regions

    trained: dict[str, MapMaker] = {"trained": Regions(localizer), "trained/logits": localizer}
    if discs:
        trained["trained/peak-disc"] = PeakDiscs(localizer)
    return {**trained, "untrained": Regions(Localizer(untrained(localizer.model, seed)))}


def _log_missing(names: Sequence[str], what: str) -> None:
    if names:
        listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        log(f"{counted(len(names), 'item')} {what}: {listed}")
