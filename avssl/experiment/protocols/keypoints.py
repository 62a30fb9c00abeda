"""Where the joints of people are, by a small head on an encoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from avssl.errors import UserError
from avssl.evaluate.choices import KeypointChoices
from avssl.experiment.learned import seen_by
from avssl.experiment.protocols.base import HeadOptions, Subject
from avssl.experiment.results import Beside, Outcome
from avssl.options import option
from avssl.system.console import counted, log

if TYPE_CHECKING:
    from avssl.evaluate.transfer.keypoints.people import People


@dataclass(frozen=True)
class Keypoints(KeypointChoices, HeadOptions):
    about = """Does an encoder help to find the joints of a person? A small head on all stages of the frozen encoder
    (or, with --finetune, the encoder with it) learns a heatmap a joint on people whose joints are annotated, and is
    evaluated on others, beside the same encoder with random weights and the mean pose, which ignores the picture. PCK
    is the share of joints within α torso sizes of the truth (FLIC, LSP, COCO: 0.2), PCKh within α times 0.6 of the
    head box's diagonal (MPII: 0.5); with the area under the curve up to α, and each joint.

    --data is an annotation file or its folder: FLIC (examples.mat, or train.h5 and valid.h5), MPII (the .mat, or
    train.json and valid.json with gt_valid.mat), LSP (joints.mat), COCO (person_keypoints_*.json). What is evaluated:
    --test; or the data set's own test part; or else a quarter of its films, videos or pictures."""
    examples = """avssl evaluate keypoints --run runs/shuffle --data FLIC/
    avssl evaluate keypoints --run runs/shuffle --data mpii/annot/ --pictures mpii/images --finetune
    avssl evaluate keypoints --run runs/rotation --data lsp/joints.mat --seeds 3"""
    heading = "the protocol"
    needs_values = ("rates",)
    needs_data = "--data D, annotated people"

    data: str | None = option(None, "annotated people: a file, or the folder that holds it")
    test: str | None = option(None, "annotated people to evaluate on, of the same data set")
    pictures: str | None = option(None, "folder of the pictures (default: images/ beside the annotations)")
    unit: Literal["torso", "head"] | None = option(None, "unit of errors (default: head where head boxes are known)")
    alpha: float | None = option(None, "threshold in units (default: torso 0.2, head 0.5)", low=0.01)
    side: int | None = option(None, "pixels of a person's square (default: what the encoder was trained on)")
    turn: float = option(30.0, "degrees by which people are turned in training, either way")
    flip: bool = option(True, "mirror half of the people in training")

    def check(self) -> None:
        # The area under the curve of PCK is added up in steps of 0.01.
        if self.alpha is not None and abs(100 * self.alpha - round(100 * self.alpha)) > 1e-9:
            raise UserError(f"--alpha ({self.alpha:g}) must be a multiple of 0.01, such as 0.2")

    def evaluate(self, subject: Subject, name: str) -> Outcome:
        from avssl.evaluate.transfer.keypoints.people_scored import choose_unit, evaluated_people
        from avssl.evaluate.transfer.keypoints.picture import draw_keypoints
        from avssl.evaluate.transfer.keypoints.pose_augmentation import PoseAugmentation, PoseInputs
        from avssl.evaluate.transfer.keypoints.protocol import evaluate_keypoints

        device = self.torch_device()
        encoder = subject.image_encoder(self.encoder, learns=self.finetune)
        people, train, test, how = _people(self)
        # Without the length that errors are measured in, nobody can be evaluated.
        chosen = evaluated_people(people, test, choose_unit(people.part(test), self.unit, self.alpha))
        division = f"{len(train)} for training, {len(chosen.items)} evaluated, {how}"
        log(f"{counted(len(people), 'person')} of {people.skeleton.name}: {division}")
        looks = PoseInputs(people, self.side or encoder.side, PoseAugmentation(self.turn, flip=self.flip))
        how = "fine-tuned" if self.finetune else "frozen"
        protocol = f"{name}, {how}, {self.steps} steps, {looks.side} px"
        context = subject.context(protocol, self.seed, chosen.listed)
        found = evaluate_keypoints(
            encoder, looks, train, chosen, self, context, seeds=self.seeds, device=device, log=log
        )

        def draw(outcome: Outcome, path: Path) -> bool:
            draw_keypoints(path, outcome.heading, looks, chosen, found.points, found.errors)
            return True

        return Outcome(
            name=f"{name}-finetuned" if self.finetune else name,
            rows=found.rows,
            title=f"{subject} on {counted(len(chosen.items), 'person')} of {self.place}",
            place=self.place,
            seen=seen_by(subject.run, sorted({people.pictures[i] for i in chosen.items}), self.place),
            beside=[Beside("picture", ".png", draw)],
        )


def _people(options: Keypoints) -> tuple[People, Any, Any, str]:
    """All people, the indices of those learned from and evaluated on, and how they were divided."""
    from avssl.evaluate.transfer.keypoints.people import divide, together
    from avssl.evaluate.transfer.keypoints.people_files import open_people

    assert options.data is not None
    people = open_people(options.data, options.pictures)
    # As one set: it then has one skeleton and one division, and neither can be mixed up.
    if options.test is not None:
        people = together([people, open_people(options.test, options.pictures)], ["train", "test"])
    return people, *divide(people, seed=options.seed)
