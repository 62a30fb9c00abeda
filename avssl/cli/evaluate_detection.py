"""``avssl evaluate detection``: objects and their boxes, by Faster R-CNN on an encoder."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.cli.dense_probing import check_dense, dense_command, vision_of
from avssl.cli.options import Command, Option, Values
from avssl.cli.probing import finish
from avssl.errors import UserError
from avssl.experiment.learned import files_seen_by
from avssl.system.console import progress, say

if TYPE_CHECKING:
    from avssl.evaluate.core.rows import ResultRow
    from avssl.evaluate.transfer.detection.box_sets import BoxSet
    from avssl.evaluate.transfer.detection.protocol import Detect

NAME = "detection"
WHAT = """Does an encoder help to say which objects are where? Faster R-CNN on one stage of the frozen encoder (or, with
--finetune, the encoder with it) learns from pictures with boxes and is judged on others, beside the same encoder with
random weights and boxes that are said without looking. AP, AP50 and AP75 are COCO's, by pycocotools; voc07-map is that
of VOC's eleven points, voc12-map the area under its curve.

--data is a folder laid out as Pascal VOC (JPEGImages, Annotations, ImageSets/Main) or as COCO
(annotations/instances_*.json, pictures in folders of the same name), or such a JSON file. What is judged: --test, or
else its part "test" or "val"."""
EXAMPLE = """avssl evaluate detection --run runs/rotation --data VOCdevkit/VOC2007
avssl evaluate detection --run runs/rotation --data coco/ --steps 5000 --side 480 --anchors 16,32,64,128,256
avssl evaluate detection --run runs/rotation --data VOCdevkit/VOC2007 --finetune --seeds 3"""


def run(argv: Sequence[str]) -> None:
    """Evaluate by detection."""
    values = _command().parse(argv)
    check_dense(values, NAME, "pictures with boxes, laid out as VOC or COCO")
    if not values["anchors"] or min(values["anchors"]) <= 0:
        raise UserError("--anchors wants sides in pixels, such as 16,32,64")
    from avssl.evaluate.core.scores import Context
    from avssl.evaluate.data.encoders import random_twin
    from avssl.evaluate.transfer.detection.box_precision import coco_evaluation
    from avssl.evaluate.transfer.detection.box_sets import open_boxes
    from avssl.evaluate.transfer.detection.picture import draw_detections
    from avssl.evaluate.transfer.detection.protocol import detect
    from avssl.evaluate.transfer.detection.rows import detection_rows, seen_classes
    from avssl.networks.vision import VisionEncoder
    from avssl.trainer.devices import choose_device

    device = choose_device(values["device"])
    train, test = open_boxes(values["data"], values["test"])
    coco_evaluation([], [], 1)  # says what is missing before an hour of training
    _tell(train, "to learn from")
    _tell(test, "to judge on")
    encoder = vision_of(values)
    random = random_twin(encoder, values["seed"])
    assert isinstance(random, VisionEncoder)
    choices = _choices(values)
    with progress("training", "steps") as told:
        starts = {"trained": encoder, "random": random}
        found = detect(starts, train, test, choices, values["seed"], device=device, tell=say, told=told)
    name = f"{NAME}-finetuned" if choices.finetune else NAME
    context = Context(
        f"{name}, {choices.steps} steps of {choices.batch_size}, {choices.side} px",
        values["seed"],
        shlex.join(["avssl", "evaluate", NAME, *argv]),
        test.listed,
        draws=values["draws"],
    )
    rows = detection_rows(found, test, seen_classes(train), context)
    title = f"{values['run']} on {len(test.scenes)} pictures of {values['test'] or values['data']}"

    def draw(_: Sequence[ResultRow], path: Path, title: str) -> bool:
        draw_detections(path, title, test, {start: said[0] for start, said in found.starts.items()}, values["seed"])
        return True

    seen = files_seen_by(values["run"], [scene.picture for scene in test.scenes], values["test"] or values["data"], say)
    finish(rows, name, title, values, seen, draw=draw)


def _command() -> Command:
    options = [
        Option("finetune", bool, False, "the encoder learns too"),
        Option("steps", int, 600, "steps of the optimiser"),
        Option("batch_size", int, 4, "pictures a step"),
        Option("rate", float, 1e-3, "the highest learning rate of AdamW"),
        Option("stage", str | None, None, "stage of the encoder (default: the last with a stride of 16 at most)"),
        Option("side", int, 320, "pixels to which the shorter side of a picture is scaled"),
        Option("anchors", tuple[float, ...], (32.0, 64.0, 128.0, 256.0), "sides of the anchors in those pixels"),
        Option("flip", bool, True, "mirror half of the pictures in training"),
    ]
    data = "pictures with boxes: a folder laid out as VOC or COCO, or COCO's JSON"
    return dense_command(NAME, WHAT, EXAMPLE, data, "the same, to judge on", options)


def _choices(values: Values) -> Detect:
    from avssl.evaluate.transfer.detection.protocol import Detect

    return values.build(Detect)


def _tell(part: BoxSet, purpose: str) -> None:
    boxes = sum(len(truth.boxes) for truth in part.truths)
    say(f"{len(part.scenes)} of {part.listed} pictures {purpose}, {boxes} boxes of {len(part.classes)} classes")
    for line in part.passed_over[:5]:
        say(f"passed over: {line}")
    if len(part.passed_over) > 5:
        say(f"passed over: {len(part.passed_over) - 5} more")
