"""``avssl evaluate low-shot``: what a linear SVM learns from few labels."""

from __future__ import annotations

from collections.abc import Sequence

from avssl.cli.options import Option
from avssl.cli.probing import check, command_of, finish, judged
from avssl.errors import UserError
from avssl.system.console import say

NAME = "low-shot"
WHAT = """What a linear SVM on the frozen features of each stage learns from k labelled items a class: the mean of five
samples of the labels and their range, beside the same network with random weights and hand-made features, on the same
samples. The cost is the same for all and fixed beforehand."""
EXAMPLE = (
    """avssl evaluate low-shot --run runs/rotation --data cifar10/train.tar --test cifar10/test.tar --stages conv2"""
)


def run(argv: Sequence[str]) -> None:
    """Evaluate with few labels."""
    options = [
        Option("shots", tuple[int, ...], (1, 2, 4, 8, 16, 32, 64, 96), "positives a class", metavar="K,K,…"),
        Option("samples", int, 5, "independent samples of the labels"),
        Option("cost", float, 0.5, "of the SVMs"),
    ]
    values = command_of(NAME, WHAT, EXAMPLE, options).parse(argv)
    check(values, NAME)
    if not values["shots"] or min(values["shots"]) < 1 or values["samples"] < 1:
        raise UserError("--shots and --samples want numbers of at least 1")
    if values["cost"] <= 0:
        raise UserError(f"--cost ({values['cost']:g}) must be more than 0")
    if values["folds"] is not None:
        raise UserError("avssl evaluate low-shot judges on one part; give --test instead of --folds")
    from avssl.evaluate.core.depth_curve import draw_labels
    from avssl.evaluate.probes.low_shot import LowShot, low_shot

    what = judged(values, NAME, NAME, argv)
    choices = LowShot(values["shots"], values["samples"], values["cost"])
    rows = low_shot(what.encoded, what.data, choices, what.context, stages=values["stages"], tell=say)
    finish(rows, NAME, what.title, values, what.seen, draw=draw_labels)
