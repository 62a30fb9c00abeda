"""The whole encoder learns from labels, beside the same network from scratch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from avssl.errors import UserError
from avssl.evaluate.choices import FineTuneChoices
from avssl.experiment.protocols.base import Outcome, Subject
from avssl.experiment.protocols.probes import (
    DATA,
    LabelledOptions,
    encoder_and_data,
    labelled_outcome,
    moments_of,
)
from avssl.options import option
from avssl.system.console import log, progress

if TYPE_CHECKING:
    from avssl.evaluate.core.rows import Context, ResultRow
    from avssl.evaluate.data.labelled import Labelled
    from avssl.evaluate.probes.finetune_inputs import ItemViews
    from avssl.networks.encoder import Encoder

WHAT = f"""What does a pretext task save when there are labels? The whole encoder and a linear classifier learn from
labels, beside the same network from scratch, with the same items, steps and augmentation; for sounds beside a linear
classifier on statistics of MFCCs. With several numbers of labels a class the rows are a curve.

{DATA}"""
EXAMPLE = """avssl evaluate finetune --run runs/rotation --data cifar10/train.tar --test cifar10/test.tar --labels 20,0
avssl evaluate finetune --run runs/shuffle --data UCF-101/ --lists ucfTrainTestlist/ --views 25
avssl evaluate finetune --run runs/av --data esc10.csv --folds fold"""


@dataclass(frozen=True)
class Options(FineTuneChoices, LabelledOptions):
    heading = "the protocol"

    views: int | None = option(
        None, "frames of a video, or windows of a sound, to evaluate on (default: 3 and 10)", low=1, formerly="moments"
    )
    crop_low: float = option(0.6, "smallest crop in training, as a share of the shorter side", above=0, high=1)
    flip: bool = option(True, "mirror half of the pictures in training")

    def check(self) -> None:
        super().check()
        if not self.rates:
            raise UserError("--rates takes values above 0, such as 1e-3")
        if not self.labels:
            raise UserError("--labels takes counts of items a class, 0 for all")


def run(options: Options, subject: Subject, name: str) -> Outcome:
    """Evaluate by fine-tuning."""
    from avssl.evaluate.core.result_charts import draw_labels
    from avssl.evaluate.data.encoders import random_twin
    from avssl.evaluate.probes.finetune import fine_tune_rows

    device = options.torch_device()
    encoder, data = encoder_and_data(options, subject)
    context = subject.context(name, options.seed, len(data.test))
    starts = {"trained": encoder, "random": random_twin(encoder, options.seed)}
    data, shown = _shown(encoder, data, options)
    rows = fine_tune_rows(starts, data, shown, options, context, device=device, log=log)
    if encoder.role == "audio":
        rows.append(_mfcc_row(data, context))
    return labelled_outcome(name, rows, options, subject, data, draw_labels)


def _shown(encoder: Encoder, data: Labelled, options: Options) -> tuple[Labelled, ItemViews]:
    from avssl.evaluate.probes.finetune_inputs import Pictures, Sounds
    from avssl.media.in_memory import in_memory
    from avssl.networks.encoder import image_encoder, is_waveform_encoder

    moments = moments_of(options, encoder)
    if is_waveform_encoder(encoder):
        return data, Sounds(data, encoder, moments)
    data = replace(data, parts=tuple(in_memory(part) for part in data.parts))
    return data, Pictures(data, image_encoder(encoder), moments, options.crop_low, options.flip)


def _mfcc_row(data: Labelled, context: Context) -> ResultRow:
    """For sounds, a linear classifier on statistics of MFCCs, with the same division."""
    from avssl.evaluate.core.scores import score_row
    from avssl.evaluate.data.baseline_features import mfcc
    from avssl.evaluate.probes.linear import Linear
    from avssl.evaluate.probes.probing import Encoded, probe_stage

    with progress("MFCCs", "sounds") as on_progress:
        parts = [mfcc(part, on_progress) for part in data.parts]
    outcome = probe_stage(Encoded("mfcc", parts), "mfcc", data, Linear(), context)
    note = f"linear classifier on statistics of MFCCs, {outcome.chosen}"
    return score_row("mfcc", outcome.scores, data, data.test, context, note)
