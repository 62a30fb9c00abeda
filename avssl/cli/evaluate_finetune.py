"""``avssl evaluate finetune``: the whole encoder learns from labels, beside the same network from scratch."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from avssl.cli.options import Option, Values
from avssl.cli.probing import (
    SOUND_MOMENTS,
    VIDEO_MOMENTS,
    check,
    command_of,
    encoder_and_data,
    finish,
    judged_media,
    title_of,
)
from avssl.errors import UserError
from avssl.experiment.learned import seen_by
from avssl.system.console import progress, say

if TYPE_CHECKING:
    from avssl.evaluate.core.rows import ResultRow
    from avssl.evaluate.core.scores import Context
    from avssl.evaluate.data.encoders import Encoder
    from avssl.evaluate.data.labelled import Labelled
    from avssl.evaluate.probes.finetune_inputs import Shown

NAME = "finetune"
WHAT = """What does a pretext task save when there are labels? The whole encoder and a linear classifier learn from
labels, beside the same network from scratch, with the same items, steps and looks; for sounds beside a linear
classifier on statistics of MFCCs. With several numbers of labels a class the rows are a curve."""
EXAMPLE = """avssl evaluate finetune --run runs/rotation --data cifar10/train.tar --test cifar10/test.tar --labels 20,0
avssl evaluate finetune --run runs/shuffle --data UCF-101/ --lists ucfTrainTestlist/ --moments 25
avssl evaluate finetune --run runs/av --data esc10.csv --folds fold"""


def run(argv: Sequence[str]) -> None:
    """Evaluate by fine-tuning."""
    values = command_of(NAME, WHAT, EXAMPLE, _options(), features=False).parse(argv)
    check(values, NAME)
    _check(values)
    from avssl.evaluate.core.depth_curve import draw_labels
    from avssl.evaluate.core.scores import Context
    from avssl.evaluate.data.encoders import random_twin
    from avssl.evaluate.probes.finetune import FineTune, fine_tune_rows
    from avssl.trainer.devices import choose_device

    device = choose_device(values["device"])
    encoder, data = encoder_and_data(values)
    choices = FineTune(
        values["steps"],
        values["batch_size"],
        values["rates"],
        values["weight_decay"],
        values["stage"],
        values["labels"],
        values["seeds"],
    )
    context = Context(NAME, values["seed"], shlex.join(["avssl", "evaluate", NAME, *argv]), len(data.test))
    starts: dict[str, Encoder] = {"trained": encoder, "random": random_twin(encoder, values["seed"])}
    data, shown = _shown(encoder, data, values)
    rows = fine_tune_rows(starts, data, shown, choices, context, device=device, tell=say)
    rows += _by_hand(encoder, data, context)
    seen = seen_by(values["run"], judged_media(data), values["test"] or values["data"], say)
    finish(rows, NAME, title_of(values, data), values, seen, draw=draw_labels)


def _options() -> list[Option]:
    return [
        Option("steps", int, 600, "steps of the optimiser, whatever the number of labels"),
        Option("batch_size", int, 64, "items a step"),
        Option("rates", tuple[float, ...], (1e-3,), "learning rates; of several the best on held-out training data"),
        Option("weight_decay", float, 0.05, "of AdamW"),
        Option("stage", str | None, None, "the stage that the classifier sits on (default: the last)"),
        Option("labels", tuple[int, ...], (0,), "labelled items a class, 0 for all: 20,100,0 is a curve"),
        Option("seeds", int, 1, "how many times all is repeated; three for a claim"),
        Option("moments", int | None, None, "judged frames of a video, or windows of a sound (default: 3 and 10)"),
        Option("crop_low", float, 0.6, "smallest crop in training, as a share of the shorter side"),
        Option("flip", bool, True, "mirror half of the pictures in training"),
    ]


def _check(values: Values) -> None:
    for name in ("steps", "seeds"):
        if values[name] < 1:
            raise UserError(f"--{name} ({values[name]}) must be at least 1")
    if values["batch_size"] < 2:
        raise UserError(f"--batch-size ({values['batch_size']}) must be at least 2")
    if not values["rates"] or min(values["rates"]) <= 0:
        raise UserError("--rates wants numbers above 0, such as 1e-3")
    if not values["labels"] or min(values["labels"]) < 0:
        raise UserError("--labels wants numbers of items a class, 0 for all")
    if not 0 < values["crop_low"] <= 1:
        raise UserError(f"--crop-low ({values['crop_low']:g}) must lie between 0 and 1")


def _shown(encoder: Encoder, data: Labelled, values: Values) -> tuple[Labelled, Shown]:
    from dataclasses import replace

    from avssl.evaluate.probes.finetune_inputs import Pictures, Sounds
    from avssl.media.memory import in_memory
    from avssl.networks.encoder import image_encoder, is_waveform_encoder

    if is_waveform_encoder(encoder):
        return data, Sounds(data, encoder, values["moments"] or SOUND_MOMENTS)
    data = replace(data, parts=tuple(in_memory(part) for part in data.parts))
    return data, Pictures(
        data, image_encoder(encoder), values["moments"] or VIDEO_MOMENTS, values["crop_low"], values["flip"]
    )


def _by_hand(encoder: Encoder, data: Labelled, context: Context) -> list[ResultRow]:
    """For sounds, a linear classifier on statistics of MFCCs, with the same division."""
    from avssl.evaluate.core.scores import score_row
    from avssl.evaluate.data.baseline_features import mfcc
    from avssl.evaluate.probes.linear import Linear
    from avssl.evaluate.probes.probing import Encoded, probe_stage
    from avssl.networks.encoder import is_waveform_encoder

    if not is_waveform_encoder(encoder):
        return []
    with progress("MFCCs", "sounds") as told:
        parts = [mfcc(part, told) for part in data.parts]
    outcome = probe_stage(Encoded("mfcc", parts), "mfcc", data, Linear(), context)
    note = f"linear classifier on statistics of MFCCs, {outcome.chosen}"
    return [score_row("mfcc", outcome.scores, data, data.test, context, note)]
