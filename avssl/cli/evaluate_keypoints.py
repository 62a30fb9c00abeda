"""``avssl evaluate keypoints``: where the joints of people are, by a small head on an encoder."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.cli.dense_probing import vision_of
from avssl.cli.options import Command, Option, Values
from avssl.cli.probing import finish
from avssl.errors import UserError
from avssl.experiment.learned import files_seen_by
from avssl.system.console import say

if TYPE_CHECKING:
    from avssl.evaluate.core.rows import ResultRow
    from avssl.evaluate.transfer.keypoints.people import People
    from avssl.evaluate.transfer.keypoints.protocol import Pose

NAME = "keypoints"
WHAT = """Does an encoder help to say where the joints of a person are? A small head on all stages of the frozen encoder
(or, with --finetune, the encoder with it) learns a heatmap a joint on people whose joints are annotated, and is judged
on others, beside the same encoder with random weights and the mean pose, which does not look. PCK is the share of
joints within α torso sizes of the truth (FLIC, LSP, COCO: 0.2), PCKh within α times 0.6 of the head box's diagonal
(MPII: 0.5); with the area under the curve up to α, and each joint.

--data is an annotation file or its folder: FLIC (examples.mat, or train.h5 and valid.h5), MPII (the .mat, or train.json
and valid.json with gt_valid.mat), LSP (joints.mat), COCO (person_keypoints_*.json). What is judged: --test; or the data
set's own test part; or else a quarter of its films, videos or pictures."""
EXAMPLE = """avssl evaluate keypoints --run runs/shuffle --data FLIC/
avssl evaluate keypoints --run runs/shuffle --data mpii/annot/ --pictures mpii/images --finetune
avssl evaluate keypoints --run runs/rotation --data lsp/joints.mat --seeds 3"""


def run(argv: Sequence[str]) -> None:
    """Evaluate by keypoints."""
    values = _command().parse(argv)
    _check(values)
    from avssl.evaluate.core.scores import Context
    from avssl.evaluate.transfer.keypoints.people_scored import choose_unit, judged_people
    from avssl.evaluate.transfer.keypoints.picture import draw_keypoints
    from avssl.evaluate.transfer.keypoints.pose_augmentation import Changes, Looks
    from avssl.evaluate.transfer.keypoints.protocol import judge
    from avssl.trainer.devices import choose_device

    device = choose_device(values["device"])
    encoder = vision_of(values)
    people, train, test, how = _people(values)
    judged = judged_people(people, test, choose_unit(people.part(test), values["unit"], values["alpha"]))
    say(f"{len(people)} people of {people.skeleton.name}: {len(train)} learned from, {len(judged.items)} judged, {how}")
    looks = Looks(people, values["side"] or encoder.config.side, Changes(values["turn"], flip=values["flip"]))
    choices = _choices(values)
    frozen = "fine-tuned" if choices.finetune else "frozen"
    command = shlex.join(["avssl", "evaluate", NAME, *argv])
    context = Context(
        f"{NAME}, {frozen}, {choices.steps} steps, {looks.side} px", values["seed"], command, judged.listed
    )
    outcome = judge(encoder, looks, train, judged, choices, context, seeds=values["seeds"], device=device, tell=say)

    def draw(_: Sequence[ResultRow], path: Path, title: str) -> bool:
        draw_keypoints(path, title, looks, judged, outcome.points, outcome.errors)
        return True

    title = f"{values['run']} on {len(judged.items)} people of {values['test'] or values['data']}"
    pictures = sorted({people.pictures[i] for i in judged.items})
    seen = files_seen_by(values["run"], pictures, values["test"] or values["data"], say)
    finish(outcome.rows, f"{NAME}-finetuned" if choices.finetune else NAME, title, values, seen, draw=draw)


def _command() -> Command:
    command = Command(f"avssl evaluate {NAME}", WHAT, EXAMPLE)
    command.add(
        [
            Option("run", str | None, None, "the folder of a finished run", metavar="RUN"),
            Option("encoder", str | None, None, "which of its encoders: vision, vision-TASK (default: what there is)"),
            Option("data", str | None, None, "annotated people: a file, or the folder that holds it"),
            Option("test", str | None, None, "annotated people to judge on, of the same data set"),
            Option("pictures", str | None, None, "folder of the pictures (default: images/ beside the annotations)"),
            Option("output", str | None, None, "folder for the rows (default: results/ of the run)", "-o", "DIR"),
            Option("seed", int, 0, "of the head, the looks and the random network"),
            Option("seeds", int, 1, "how many times all is repeated; three for a claim"),
            Option("device", str, "auto", "auto, cpu, cuda, cuda:1, mps"),
        ]
    )
    command.add(
        [
            Option("unit", str | None, None, "torso or head (default: head where head boxes are known)"),
            Option("alpha", float | None, None, "threshold in units (default: torso 0.2, head 0.5)"),
            Option("finetune", bool, False, "the encoder learns too"),
            Option("steps", int, 600, "steps of the optimiser"),
            Option("batch_size", int, 32, "people a step"),
            Option("rates", tuple[float, ...], (3e-3, 1e-3), "learning rates; the best on held-out training people"),
            Option("weight_decay", float, 0.01, "of AdamW"),
            Option("width", int, 64, "channels of the head"),
            Option("stages", tuple[str, ...] | None, None, "only these stages (default: all)", metavar="A,B,…"),
            Option("side", int | None, None, "pixels of a person's square (default: what the encoder was trained on)"),
            Option("turn", float, 30.0, "degrees by which people are turned in training, either way"),
            Option("flip", bool, True, "mirror half of the people in training"),
        ],
        "the protocol",
    )
    return command


def _check(values: Values) -> None:
    for option, what in (("run", "--run RUN, the folder of a finished run"), ("data", "--data D, annotated people")):
        if values[option] is None:
            raise UserError(f"avssl evaluate {NAME} wants {what}")
    for name in ("steps", "seeds", "width"):
        if values[name] < 1:
            raise UserError(f"--{name} ({values[name]}) must be at least 1")
    if values["batch_size"] < 2:
        raise UserError(f"--batch-size ({values['batch_size']}) must be at least 2")
    if not values["rates"] or min(values["rates"]) <= 0:
        raise UserError("--rates wants numbers above 0, such as 1e-3")
    if values["unit"] not in (None, "torso", "head"):
        raise UserError(f"--unit wants torso or head, not {values['unit']!r}")
    alpha = values["alpha"]
    if alpha is not None and (alpha < 0.01 or abs(100 * alpha - round(100 * alpha)) > 1e-9):
        raise UserError(f"--alpha ({alpha:g}) must be a multiple of 0.01, such as 0.2")


def _people(values: Values) -> tuple[People, Any, Any, str]:
    """All people, numbers of those learned from and of those judged, and how they were told apart."""
    from avssl.evaluate.transfer.keypoints.people import divide, together
    from avssl.evaluate.transfer.keypoints.people_files import open_people

    people = open_people(values["data"], values["pictures"])
    if values["test"] is not None:
        people = together([people, open_people(values["test"], values["pictures"])], ["train", "test"])
    return people, *divide(people, seed=values["seed"])


def _choices(values: Mapping[str, Any]) -> Pose:
    from avssl.evaluate.transfer.keypoints.protocol import Pose

    return Pose(
        steps=values["steps"],
        batch_size=values["batch_size"],
        rates=values["rates"],
        finetune=values["finetune"],
        weight_decay=values["weight_decay"],
        width=values["width"],
        stages=values["stages"],
    )
