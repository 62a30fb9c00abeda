"""``avssl evaluate normals``: which way surfaces face, by a small decoder on an encoder."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.cli.dense_probing import check_dense, dense_command, vision_of
from avssl.cli.options import Command, Option
from avssl.cli.probing import finish
from avssl.errors import UserError
from avssl.experiment.learned import files_seen_by
from avssl.system.console import progress, say

if TYPE_CHECKING:
    from avssl.evaluate.core.rows import ResultRow
    from avssl.evaluate.transfer.normals.sets import NormalSet

NAME = "normals"
WHAT = """Does an encoder help to say which way surfaces face? A small decoder on all stages of the frozen encoder (or,
with --finetune, the encoder with it) learns one unit vector a pixel and is judged on other pictures, beside the same
encoder with random weights and two answers that do not look: one normal for all pixels, and the mean normal of each
place. Mean, median and root mean square of the angle in degrees, and the shares of pixels within 11.25, 22.5 and 30
degrees, over all valid pixels of all pictures. By default the decoder regresses; --clusters 40 classifies pixels to
centres, as the benchmark of Goyal et al. 2019 does.

--data is a folder with NAME_image.jpg, NAME_normal.png and NAME_valid.png, or with folders images/, normals/ and
valid/, or a file .npz or .mat with arrays images, normals and valid. What is judged: --test; or the part "test" of
sub-folders, of train.txt and test.txt, or of NYUv2's splits.mat."""
EXAMPLE = """avssl evaluate normals --run runs/rotation --data nyu/ --steps 5000
avssl evaluate normals --run runs/rotation --data nyuv2_normals.mat --clusters 40
avssl evaluate normals --run runs/rotation --data kinect/ --test nyu/ --finetune"""


def run(argv: Sequence[str]) -> None:
    """Evaluate by surface normals."""
    values = _command().parse(argv)
    check_dense(values, NAME, "pictures with surface normals")
    if values["clusters"] < 0 or values["clusters"] == 1:
        raise UserError(f"--clusters ({values['clusters']}) must be 0, for regression, or at least 2")
    if values["width"] < 1:
        raise UserError(f"--width ({values['width']}) must be at least 1")
    from avssl.evaluate.core.scores import Context
    from avssl.evaluate.data.encoders import random_twin
    from avssl.evaluate.transfer.normals.picture import draw_normals
    from avssl.evaluate.transfer.normals.protocol import Normals, judge_normals
    from avssl.evaluate.transfer.normals.rows import normal_rows
    from avssl.evaluate.transfer.normals.sets import open_normals
    from avssl.networks.vision import VisionEncoder
    from avssl.trainer.devices import choose_device

    device = choose_device(values["device"])
    train, test = open_normals(values["data"], values["test"])
    _tell(train, "to learn from")
    _tell(test, "to judge on")
    encoder = vision_of(values)
    random = random_twin(encoder, values["seed"])
    assert isinstance(random, VisionEncoder)
    choices = values.build(Normals)
    starts = {"trained": encoder, "random": random}
    with progress("training", "steps") as told:
        judged = judge_normals(starts, train, test, choices, values["seed"], device=device, tell=say, told=told)
    name = f"{NAME}-finetuned" if choices.finetune else NAME
    context = Context(
        f"{name}, {choices.steps} steps of {choices.batch_size}, {choices.side} px",
        values["seed"],
        shlex.join(["avssl", "evaluate", NAME, *argv]),
        test.listed,
        draws=values["draws"],
    )
    rows = normal_rows(judged, test, context)
    title = f"{values['run']} on {len(test)} pictures of {values['test'] or values['data']}"

    def draw(_: Sequence[ResultRow], path: Path, title: str) -> bool:
        draw_normals(path, title, test, judged.networks, choices.side, values["seed"])
        return True

    seen = files_seen_by(values["run"], test.files, values["test"] or values["data"], say)
    finish(rows, name, title, values, seen, draw=draw)


def _command() -> Command:
    options = [
        Option("finetune", bool, False, "the encoder learns too"),
        Option("clusters", int, 0, "centres that pixels are classified to; 0: unit vectors are regressed"),
        Option("steps", int, 400, "steps of the optimiser"),
        Option("batch_size", int, 4, "pictures a step"),
        Option("rate", float, 2e-3, "the highest learning rate of AdamW"),
        Option("side", int, 240, "pixels to which the shorter side of a picture is scaled"),
        Option("width", int, 64, "channels of the decoder"),
        Option("flip", bool, True, "mirror half of the pictures in training, x of their normals with them"),
    ]
    data = "pictures with surface normals: a folder, or a .npz or .mat of arrays"
    return dense_command(NAME, WHAT, EXAMPLE, data, "the same, to judge on", options)


def _tell(part: NormalSet, purpose: str) -> None:
    say(f"{len(part)} of {part.listed} pictures with normals {purpose}")
    for line in part.passed_over[:5]:
        say(f"passed over: {line}")
    if len(part.passed_over) > 5:
        say(f"passed over: {len(part.passed_over) - 5} more")
