"""``avssl evaluate``: figures of a finished run."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Sequence
from dataclasses import replace

from avssl.cli.options import Command, Option, Values
from avssl.errors import UserError, did_you_mean
from avssl.experiment import sources as data_sources
from avssl.experiment.data import DataOptions, fast, of_split, open_source, parts_of, usable
from avssl.experiment.learned import seen_by
from avssl.experiment.results import places, write_rows
from avssl.system.console import say

PROTOCOLS = {
    "av-correspondence": "held-out accuracy of a run of av-correspondence, by kind of negative",
    "colorization": "how near the colours come, how colourful they are, and the accuracy over bins of colour",
    "inpainting": "how near the filled hole comes to what was there, beside plain fills",
    "jigsaw": "held-out accuracy of a run of jigsaw",
    "relative-position": "held-out accuracy of a run of relative-position",
    "rotation": "held-out accuracy of a run of rotation",
    "shuffle-learn": "held-out AUC of a run of shuffle-learn, and how it falls with the spacing of the frames",
}
"""Name → one line of help."""

OWN_COMMANDS = {
    "localization": "where the sound comes from: maps against boxes, on the generated world and published test sets",
    "leaks": "which clips, videos and near-duplicate frames two lists or folders share",
    "knn": "nearest neighbours on frozen features, by stage",
    "linear": "linear probes of all stages of an encoder, beside random weights",
    "svm": "linear SVMs on frozen features, as VOC07 classification is judged",
    "low-shot": "linear SVMs from few labels",
    "finetune": "the whole encoder learns from labels, beside the same network from scratch",
    "keypoints": "where the joints of people are, by a small head: PCK, PCKh and the area under it",
    "neighbors": "what is nearest to frames, patches or sounds, as a picture; in the world, what neighbours share",
    "detection": "objects and their boxes, by Faster R-CNN on an encoder: AP, AP50, AP75, VOC07",
    "normals": "which way surfaces face, by a small decoder on an encoder: angles in degrees",
    "retrieval": "from pictures to sounds and back, with a page on which one sees and hears it",
}
"""Protocols with options of their own, each a module ``avssl.cli.evaluate_NAME`` (``_`` for ``-``)."""

WHAT = """Judge a finished run on held-out data: rows with interval, chance and number, beside the untrained network."""
EXAMPLE = """  avssl evaluate av-correspondence --run runs/mine
  avssl evaluate av-correspondence --run runs/mine --data other-videos/ -o results/other"""


def run(argv: Sequence[str]) -> None:
    """Evaluate."""
    words = list(argv)
    if not words or words[0] in ("-h", "--help"):
        listed = "\n".join(f"  {name}   {summary}" for name, summary in (PROTOCOLS | OWN_COMMANDS).items())
        print(f"usage: avssl evaluate PROTOCOL [options]\n\n{WHAT}\n\nprotocols:\n{listed}\n\nexample:\n{EXAMPLE}")
        return
    name = words.pop(0)
    if name in OWN_COMMANDS:
        importlib.import_module(f"avssl.cli.evaluate_{name.replace('-', '_')}").run(words)
        return
    if name not in PROTOCOLS:
        known = PROTOCOLS | OWN_COMMANDS
        raise UserError(f"no protocol is called {name!r}{did_you_mean(name, known)}")
    command = Command(f"avssl evaluate {name}", f"{PROTOCOLS[name]}\n\n{WHAT}", EXAMPLE)
    command.add(
        [
            Option("run", str | None, None, "the folder of the run", metavar="RUN"),
            Option("data", str | None, None, "data to judge on (default: the run's own held-out part)"),
            Option("output", str | None, None, "folder for the rows (default: results/ of the run)", "-o", "DIR"),
            Option("puzzles", int, 1024, "how many held-out puzzles"),
            Option("seed", int | None, None, "another seed, other puzzles (default: the run's)"),
            Option("device", str, "auto", "auto, cpu, cuda, cuda:1, mps"),
        ]
    )
    values = command.parse(words)
    if values["run"] is None:
        raise UserError(f"avssl evaluate {name} wants --run RUN, the folder of a finished run")
    if values["puzzles"] < 1:
        raise UserError(f"--puzzles ({values['puzzles']}) must be at least 1")
    _evaluate(name, values, shlex.join(["avssl", "evaluate", *argv]))


def _evaluate(name: str, values: Values, command: str) -> None:
    from avssl.evaluate.core.training_overlap import marked, seen_in_part
    from avssl.evaluate.data.load_run import from_plain, open_run
    from avssl.evaluate.pretext.controls import run_controls, verdict
    from avssl.report.tables import print_rows
    from avssl.trainer.devices import choose_device

    run = open_run(values["run"], name)
    if not run.finished:
        say(f"{run.path} is not finished: judged as it is after {run.steps} steps")
    if values["data"] is None:
        parts = parts_of(run, say)
        assert parts.test is not None
        test, seen = parts.test, seen_in_part(parts.train, parts.test)
    else:
        data = from_plain(DataOptions, run.config)
        files = open_source(values["data"], say)
        usable(files, run.task, values["data"], lambda line: None)  # before they are prepared
        sources = data_sources.find(files, None, data_sources.DEFAULT, say).data
        media = data_sources.carried(sources, files, fast(files, run.task, data, say))
        media = usable(media, run.task, values["data"], say)
        test = of_split(media, "test") or media
        seen = seen_by(run.path, test, values["data"], say, data_sources.DEFAULT)
    seed = run.options.seed if values["seed"] is None else values["seed"]
    device = choose_device(values["device"])
    options = replace(run.options, seed=seed)
    pairs = values["puzzles"]
    rows = run_controls(
        run.task, run.network, test, test, options, steps=0, pairs=pairs, device=device, command=command, say=say
    )
    rows = marked(rows, seen)
    print_rows(rows, f"{run.path} on {len(test)} {f'items, {seen.words}' if seen else 'held-out items'}")
    if meaning := verdict(rows):
        say(meaning)
    # What a run has learned from is no held-out figure of it: the file of those stays as it is.
    kind = f"{name}-train" if seen.items else name
    for place in write_rows(rows, places(run.path, values["output"], kind, values["data"], own=True), values["data"]):
        say(f"rows in {place}")
