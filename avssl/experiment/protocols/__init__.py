"""Protocols: what ``avssl evaluate NAME`` and :func:`avssl.evaluate` do, each a class, see :class:`base.Protocol`."""

from __future__ import annotations

import importlib
import shlex
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from avssl.errors import UserError, did_you_mean
from avssl.experiment.loading import load_torch
from avssl.experiment.places import refuse_missing
from avssl.experiment.protocols.base import GENERATED, Protocol, Subject, of_library, without_weights
from avssl.experiment.results import Outcome, write
from avssl.networks.own_modules import allow
from avssl.options import build, options_of, read_yaml, resolve
from avssl.options.python_names import names_keywords
from avssl.system.hub import fetched_run, is_hub_run
from avssl.trainer.run_config import check_encoder_name, encoder_names, refuse_no_run

if TYPE_CHECKING:
    from avssl.experiment.results import Results
    from avssl.experiment.run import Run
    from avssl.networks.encoder import Encoder

# Protocols of a run's own puzzles, which share a class, with one line of help each.
PRETEXT = {
    "av-correspondence": "held-out accuracy of a run of av-correspondence, by kind of negative",
    "av-instance": "held-out accuracy of a run of av-instance on pairs, by kind of negative",
    "av-sync": "held-out accuracy of a run of av-sync, by kind of negative",
    "colorization": "how near the colours come, how colourful they are, and the accuracy over bins of colour",
    "frame-filling": "how near hidden frames or patches come to what was there, beside copies, means and optical flow",
    "inpainting": "how near the filled hole comes to what was there, beside plain fills",
    "instance-contrast": "how often the other view of a held-out picture is found, beside its colours alone",
    "jigsaw": "held-out accuracy of a run of jigsaw",
    "relative-position": "held-out accuracy of a run of relative-position",
    "rotation": "held-out accuracy of a run of rotation",
    "shuffle-learn": "held-out AUC of a run of shuffle-learn, and how it falls with the spacing of the frames",
    "video-colorization": "how often the copied colour is right, of all cells and of those that moved, beside copies",
}

# All protocols, with one line of help each.
PROTOCOLS = PRETEXT | {
    "localization": "where the sound comes from: maps against boxes, on the generated world and published test sets",
    "leaks": "which clips, videos and near-duplicate frames two lists or folders share",
    "knn": "nearest neighbours on frozen features, by stage",
    "linear": "linear probes of all stages of an encoder, beside random weights",
    "svm": "linear SVMs on frozen features, as VOC07 classification is evaluated",
    "low-shot": "linear SVMs from few labels",
    "finetune": "the whole encoder learns from labels, beside the same network from scratch",
    "keypoints": "joints of people, by a small head: PCK, PCKh and the area under it",
    "neighbors": "what is nearest to frames, patches or sounds, as a picture; in the world, what neighbours share",
    "detection": "objects and their boxes, by Faster R-CNN on an encoder: AP, AP50, AP75, VOC07",
    "normals": "surface normals, by a small decoder on an encoder: angles in degrees",
    "propagation": "masks or key points of a first frame carried through a video: J, F, PCK",
    "synchronization": "a sound shifted against its picture: accuracy by shift, error of the offset found",
    "retrieval": "sounds for pictures and pictures for sounds, with a page to see and hear them",
}

# Module and class, imported when asked for: the list of all must not wait for any of them.
_CLASSES = dict.fromkeys(PRETEXT, ("pretext", "Pretext")) | {
    "localization": ("localization", "Localization"),
    "leaks": ("leaks", "Leaks"),
    "knn": ("probes", "NearestNeighbours"),
    "linear": ("probes", "LinearProbe"),
    "svm": ("probes", "LinearSVM"),
    "low-shot": ("probes", "LowShot"),
    "finetune": ("finetune", "FineTuning"),
    "keypoints": ("keypoints", "Keypoints"),
    "neighbors": ("neighbors", "Neighbours"),
    "detection": ("detection", "Detection"),
    "normals": ("normals", "Normals"),
    "propagation": ("propagation", "Propagation"),
    "synchronization": ("synchronization", "Synchronization"),
    "retrieval": ("retrieval", "Retrieval"),
}

# Options that name files or folders.
PLACES = (
    *("data", "test", "train", "lists", "maps", "annotations", "list", "negatives", "saliency", "supervised"),
    "mask",
)


def get(name: str) -> type[Protocol]:
    """The class of a protocol; :class:`UserError` where there is none of this name."""
    if name not in PROTOCOLS:
        raise UserError(f"no protocol is called {name!r}{did_you_mean(name, PROTOCOLS)}")
    module, kind = _CLASSES[name]
    return cast(type[Protocol], getattr(importlib.import_module(f"avssl.experiment.protocols.{module}"), kind))


def refuse_encoder(name: str) -> None:
    """Raise :class:`UserError` where the protocol takes no encoder, with the reason."""
    kind = get(name)
    if "encoder" not in {one.name for one in options_of(kind)}:
        raise UserError(f"{name} takes no encoder: {kind.no_encoder}")


def outcome_of(name: str, protocol: Protocol, command: str = "", encoder: Encoder | None = None) -> Outcome:
    """Evaluate; only lines of the log are printed, and nothing is written.

    Args:
        name: of the protocol.
        protocol: its options.
        command: what repeats it; by default the command line with these options.
        encoder: what is evaluated instead of a run's encoder.

    Raises:
        UserError: an option is missing or does not fit, or what the protocol finds wrong.
    """
    run, named = (getattr(protocol, option, None) for option in ("run", "encoder"))
    if of_library(named) and (run or encoder):
        raise UserError(f"--encoder {named} belongs to no run; leave out one of the two")
    for what, given in (
        (protocol.needs_run, run or encoder or of_library(named)),
        (protocol.needs_data, getattr(protocol, "data", None)),
    ):
        if what and not given:
            raise UserError(f"avssl evaluate {name} needs {what}")
    # In the order of their cost: options, values, files, and only then a library that takes seconds to load.
    protocol.check()
    _refuse_empty(protocol)
    command = command or command_of(name, protocol)  # names a run on a hub as it was named
    if is_hub_run(run):
        run = fetched_run(run)
        protocol = replace(cast(Any, protocol), run=run)  # one that takes a run, as it was given one
    _refuse_missing(protocol)
    load_torch()
    if of_library(named):
        from avssl.networks.opening import encoder as open_encoder

        encoder = open_encoder(str(named))
    subject = Subject(run, encoder, command)
    outcome = protocol.evaluate(subject, name).marked()
    return outcome.of_random_weights() if without_weights(named) else outcome


def _refuse_empty(protocol: Protocol) -> None:
    for one in options_of(type(protocol)):
        if one.name in protocol.needs_values and not getattr(protocol, one.name):
            such = ",".join(f"{value:g}" for value in one.default)
            raise UserError(f"{one.flag} needs one value at least, such as {such}")


def _refuse_missing(protocol: Protocol) -> None:
    """Refuse a run, an encoder of it, or a file that is not there, before torch is loaded."""
    given: dict[str, Any] = {one.name: getattr(protocol, one.name) for one in options_of(type(protocol))}
    refuse_missing(*(given.get(name) for name in PLACES if given.get(name) != GENERATED))
    run, encoder = given.get("run"), given.get("encoder")
    if run is not None:
        refuse_no_run(Path(run))
        if encoder is not None and not of_library(encoder):
            check_encoder_name(run, encoder, encoder_names(Path(run)))


@names_keywords
def evaluate(
    protocol: str,
    run_or_encoder: str | Path | Run | Encoder | None = None,
    data: str | Path | None = None,
    *,
    config: str | Path | None = None,
    **options: Any,
) -> Results:
    """Evaluate a run, or any encoder beside the same network with random weights, as ``avssl evaluate`` does.

    Rows and pictures of a run are written into its ``results/``; with ``output`` also, and of an encoder only,
    into that folder. What goes on is logged by the logger "avssl".

    Args:
        protocol: its name, see :data:`PROTOCOLS`.
        run_or_encoder: the folder of a run, an :class:`avssl.Run`, or an encoder: "timm:NAME:WEIGHTS", or what
            :func:`avssl.encoder` gives. None: of protocols that need neither, such as "leaks".
        data: the name of the data.
        config: a YAML file of options; those given here override it.
        options: every option of the command, with underscores: ``test="cifar10/test.tar"``, ``stages=["conv3"]``.

    Returns:
        the rows that the command prints.

    Raises:
        UserError: an option that is not there or makes no sense; no such run or data.
        MediaError: a file cannot be read.
    """
    from avssl.experiment.results import Results

    asked = dict(options) if data is None else options | {"data": data}
    allow((run_or_encoder, options))
    encoder = None
    if isinstance(run_or_encoder, str | Path):
        named = "encoder" if of_library(str(run_or_encoder)) else "run"
        if named == "encoder":
            refuse_encoder(protocol)
        asked[named] = run_or_encoder
    elif isinstance(place := getattr(run_or_encoder, "path", None), Path):
        asked["run"] = place
    elif run_or_encoder is not None:
        refuse_encoder(protocol)
        encoder = _encoder(run_or_encoder)
    if config is not None:
        found = resolve(options_of(get(protocol)), {}, section=(Path(config), read_yaml(Path(config))))
        asked = {name: found[name] for name in found.given} | asked
    made = build(get(protocol), asked, f"avssl.evaluate({protocol!r}, …): ")
    run, output = getattr(made, "run", None), getattr(made, "output", None)
    if encoder is not None and run:
        raise UserError("give a run or an encoder, not both")
    with _mode_kept(encoder):
        outcome = outcome_of(protocol, made, encoder=encoder)
    # Rows of a run are repeated by their command.
    if encoder is not None:  # no command line can name an object
        outcome = replace(outcome, rows=[replace(row, command="") for row in outcome.rows])
    write(outcome, run, output)
    return Results(outcome.rows, [outcome.name] * len(outcome.rows))


def _mode_kept(encoder: Encoder | None) -> Any:
    """A context after which an encoder is in the mode that it had: it may be in training."""
    if encoder is None:
        return nullcontext()
    from avssl.networks.encoder import in_eval_mode

    return in_eval_mode(encoder)


def _encoder(module: object) -> Encoder:
    from avssl.networks.encoder import check_encoder, is_image_encoder, is_waveform_encoder

    if isinstance(module, type) or not (is_image_encoder(module) or is_waveform_encoder(module)):
        raise UserError(
            f"{type(module).__name__} is neither a run nor an encoder; avssl.encoder(module, side=224) makes one of it"
        )
    check_encoder(module)
    return module


def command_of(name: str, protocol: Protocol) -> str:
    """The command line of an evaluation with these options."""
    words = ["avssl", "evaluate", name]
    for one in options_of(type(protocol)):
        value = getattr(protocol, one.name)
        if one.positional:
            words.append(str(value))
        elif isinstance(value, bool):
            words += [] if value == one.default else [one.flag if value else f"--no-{one.flag[2:]}"]
        elif value != one.default:
            words += [one.flag, ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    return shlex.join(words)
