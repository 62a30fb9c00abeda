"""Surface normals, by a small decoder on an encoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.errors import UserError
from avssl.evaluate.choices import BootstrapChoices, NormalsChoices
from avssl.experiment.learned import seen_by
from avssl.experiment.protocols.base import HeadOptions, Subject, log_passed_over, with_random_twin
from avssl.experiment.results import Beside, Outcome
from avssl.options import option
from avssl.system.console import counted, log, progress

if TYPE_CHECKING:
    from avssl.evaluate.transfer.normals.sets import NormalSet


@dataclass(frozen=True)
class Normals(NormalsChoices, BootstrapChoices, HeadOptions):
    about = """Does an encoder help to predict surface normals? A small decoder on all stages of the frozen encoder (or,
    with --finetune, the encoder with it) learns one unit vector a pixel and is evaluated on other pictures, beside the
    same encoder with random weights and two baselines without the picture: one normal for all pixels, and the mean
    normal of each place. Mean, median and root mean square of the angle in degrees, and the shares of pixels within
    11.25, 22.5 and 30 degrees, over all valid pixels of all pictures. By default the decoder regresses; --clusters 40
    classifies pixels to centres, as the benchmark of Goyal et al. 2019 does.

    --data is a folder with NAME_image.jpg, NAME_normal.png and NAME_valid.png, or with folders images/, normals/ and
    valid/, or a file .npz or .mat with arrays images, normals and valid. What is evaluated: --test; or the part "test"
    of sub-folders, of train.txt and test.txt, or of NYUv2's splits.mat."""
    examples = """avssl evaluate normals --run runs/rotation --data nyu/ --steps 5000
    avssl evaluate normals --run runs/rotation --data nyuv2_normals.mat --clusters 40
    avssl evaluate normals --run runs/rotation --data kinect/ --test nyu/ --finetune"""
    heading = "the protocol"
    needs_data = "--data D, pictures with surface normals"

    data: str | None = option(None, "pictures with surface normals: a folder, or a .npz or .mat of arrays")

    def check(self) -> None:
        if self.clusters == 1:
            raise UserError("--clusters (1) must be 0, for regression, or at least 2")

    def evaluate(self, subject: Subject, name: str) -> Outcome:
        from avssl.evaluate.transfer.normals.picture import draw_normals
        from avssl.evaluate.transfer.normals.protocol import evaluate_normals, normal_rows
        from avssl.evaluate.transfer.normals.sets import open_normals

        device = self.torch_device()
        assert self.data is not None  # needs_data
        train, test = open_normals(self.data, self.test)
        _log_part(train, "to learn from")
        _log_part(test, "to evaluate on")
        encoder = subject.image_encoder(self.encoder, learns=self.finetune)
        starts = with_random_twin(encoder, self.seed)
        with progress("training", "step") as on_progress:
            found = evaluate_normals(
                starts, train, test, self, self.seed, device=device, log=log, on_progress=on_progress
            )
        called = f"{name}-finetuned" if self.finetune else name  # so that frozen rows are not written over
        protocol = f"{called}, {self.steps} steps of {self.batch_size}, {self.side} px"
        context = subject.context(protocol, self.seed, test.listed, self.draws)

        def draw(outcome: Outcome, path: Path) -> bool:
            draw_normals(path, outcome.heading, test, found.networks, self.side, self.seed)
            return True

        return Outcome(
            name=called,
            rows=normal_rows(found, test, context),
            title=f"{subject} on {counted(len(test), 'picture')} of {self.place}",
            place=self.place,
            seen=seen_by(subject.run, test.files, self.place),
            beside=[Beside("picture", ".png", draw)],
        )


def _log_part(part: NormalSet, purpose: str) -> None:
    log(f"{len(part)} of {counted(part.listed, 'picture')} with normals {purpose}")
    log_passed_over(part.passed_over)
