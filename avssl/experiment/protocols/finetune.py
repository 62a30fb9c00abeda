"""Fine-tuning the whole encoder, beside the same network from scratch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from avssl.evaluate.choices import FineTuneChoices
from avssl.experiment.protocols.base import Subject, with_random_twin
from avssl.experiment.protocols.probes import LabelledOptions, encoder_and_data, views_of
from avssl.experiment.results import Outcome
from avssl.options import option
from avssl.system.console import log, progress

if TYPE_CHECKING:
    from avssl.evaluate.core.rows import Context, ResultRow
    from avssl.evaluate.data.labelled import Labelled
    from avssl.evaluate.probes.finetune_inputs import ItemViews
    from avssl.networks.encoder import Encoder


@dataclass(frozen=True)
class FineTuning(FineTuneChoices, LabelledOptions):
    about = """What does a pretext task save when there are labels? The whole encoder and a linear classifier learn from
    labels, beside the same network from scratch, with the same items, steps and augmentation; for sounds beside a
    linear classifier on statistics of MFCCs. With several numbers of labels a class the rows are a curve."""
    examples = """
    avssl evaluate finetune --run runs/rotation --data cifar10/train.tar --test cifar10/test.tar --labels 20,0
    avssl evaluate finetune --run runs/shuffle --data UCF-101/ --lists ucfTrainTestlist/ --views 25
    avssl evaluate finetune --run runs/av --data esc10.csv --folds fold"""
    heading = "the protocol"
    needs_values = ("rates", "labels")

    views: int | None = option(
        None, "frames of a video, or windows of a sound, to evaluate on (default: 3 and 10)", low=1, formerly="moments"
    )
    crop_low: float = option(0.6, "smallest crop in training, as a share of the shorter side", above=0, high=1)
    flip: bool = option(True, "mirror half of the pictures in training")

    def evaluate(self, subject: Subject, name: str) -> Outcome:
        from avssl.evaluate.core.result_charts import draw_labels
        from avssl.evaluate.probes.finetune import fine_tune_rows

        device = self.torch_device()
        encoder, data = encoder_and_data(self, subject)
        context = subject.context(name, self.seed, len(data.test))
        starts = with_random_twin(encoder, self.seed)
        data, shown = _shown(encoder, data, self)
        rows = fine_tune_rows(starts, data, shown, self, context, device=device, log=log)
        if encoder.role == "audio":  # classical features, on the same division
            rows.append(_mfcc_row(data, context))
        return self.outcome(name, subject, rows, draw_labels, data)


def _shown(encoder: Encoder, data: Labelled, options: FineTuning) -> tuple[Labelled, ItemViews]:
    from avssl.evaluate.probes.finetune_inputs import Pictures, Sounds
    from avssl.media.in_memory import in_memory
    from avssl.networks.encoder import image_encoder, is_waveform_encoder

    views = views_of(options.views, encoder)
    if is_waveform_encoder(encoder):
        return data, Sounds(data, encoder, views)
    # Read many times, augmented anew each time: small pictures stay in memory.
    data = replace(data, parts=tuple(in_memory(part) for part in data.parts))
    return data, Pictures(data, image_encoder(encoder), views, options.crop_low, options.flip)


def _mfcc_row(data: Labelled, context: Context) -> ResultRow:
    """For sounds, a linear classifier on statistics of MFCCs, with the same division."""
    from avssl.evaluate.core.scores import score_row
    from avssl.evaluate.data.baseline_features import mfcc
    from avssl.evaluate.probes.linear import Linear
    from avssl.evaluate.probes.probing import Encoded, probe_stage

    with progress("MFCCs", "sound") as on_progress:
        parts = [mfcc(part, on_progress) for part in data.parts]
    outcome = probe_stage(Encoded("mfcc", parts), "mfcc", data, Linear(), context)
    note = f"linear classifier on statistics of MFCCs, {outcome.chosen}"
    return score_row("mfcc", outcome.scores, data, data.test, context, note)
