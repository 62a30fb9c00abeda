"""Objects and their boxes, by Faster R-CNN on an encoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.evaluate.choices import BootstrapChoices, DetectionChoices
from avssl.experiment.learned import seen_by
from avssl.experiment.protocols.base import HeadOptions, Subject, log_passed_over, with_random_twin
from avssl.experiment.results import Beside, Outcome
from avssl.options import option
from avssl.system.console import counted, log, progress

if TYPE_CHECKING:
    from avssl.evaluate.transfer.detection.box_sets import BoxSet


@dataclass(frozen=True)
class Detection(DetectionChoices, BootstrapChoices, HeadOptions):
    about = """Does an encoder help to detect objects? Faster R-CNN on one stage of the frozen encoder (or, with
    --finetune, the encoder with it) learns from pictures with boxes and is evaluated on others, beside the same encoder
    with random weights and boxes predicted without the picture. AP, AP50 and AP75 are COCO's, by pycocotools; voc07-map
    is that of VOC's eleven points, voc12-map the area under its curve.

    --data is a folder laid out as Pascal VOC (JPEGImages, Annotations, ImageSets/Main) or as COCO
    (annotations/instances_*.json, pictures in folders of the same name), or such a JSON file. What is evaluated:
    --test, or else its part "test" or "val"."""
    examples = """avssl evaluate detection --run runs/rotation --data VOCdevkit/VOC2007
    avssl evaluate detection --run runs/rotation --data coco/ --steps 5000 --side 480 --anchors 16,32,64,128,256
    avssl evaluate detection --run runs/rotation --data VOCdevkit/VOC2007 --finetune --seeds 3"""
    heading = "the protocol"
    needs_values = ("anchors",)
    needs_data = "--data D, pictures with boxes, laid out as VOC or COCO"

    data: str | None = option(None, "pictures with boxes: a folder laid out as VOC or COCO, or COCO's JSON")

    def evaluate(self, subject: Subject, name: str) -> Outcome:
        from avssl.evaluate.transfer.detection.box_precision import coco_evaluation
        from avssl.evaluate.transfer.detection.box_sets import open_boxes
        from avssl.evaluate.transfer.detection.picture import draw_detections
        from avssl.evaluate.transfer.detection.protocol import detect, detection_rows, seen_classes

        device = self.torch_device()
        assert self.data is not None  # needs_data
        train, test = open_boxes(self.data, self.test)
        coco_evaluation([], [], 1)  # says what is missing before an hour of training
        _log_part(train, "to learn from")
        _log_part(test, "to evaluate on")
        encoder = subject.image_encoder(self.encoder, learns=self.finetune)
        starts = with_random_twin(encoder, self.seed)
        with progress("training", "step") as on_progress:
            found = detect(starts, train, test, self, self.seed, device=device, log=log, on_progress=on_progress)
        called = f"{name}-finetuned" if self.finetune else name  # so that frozen rows are not written over
        protocol = f"{called}, {self.steps} steps of {self.batch_size}, {self.side} px"
        context = subject.context(protocol, self.seed, test.listed, self.draws)

        def draw(outcome: Outcome, path: Path) -> bool:
            # Of several seeds the first.
            first = {start: predicted[0] for start, predicted in found.starts.items()}
            draw_detections(path, outcome.heading, test, first, self.seed)
            return True

        return Outcome(
            name=called,
            rows=detection_rows(found, test, seen_classes(train), context),
            title=f"{subject} on {counted(len(test.scenes), 'picture')} of {self.place}",
            place=self.place,
            seen=seen_by(subject.run, [scene.picture for scene in test.scenes], self.place),
            beside=[Beside("picture", ".png", draw)],
        )


def _log_part(part: BoxSet, purpose: str) -> None:
    boxes = sum(len(truth.boxes) for truth in part.truths)
    log(
        f"{len(part.scenes)} of {counted(part.listed, 'picture')} {purpose}, "
        f"{counted(boxes, 'box')} of {counted(len(part.classes), 'class')}"
    )
    log_passed_over(part.passed_over)
