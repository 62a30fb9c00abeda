"""``avssl evaluate linear``: linear probes of all stages of an encoder."""

from __future__ import annotations

from collections.abc import Sequence

from avssl.cli.options import Option
from avssl.cli.probing import check, command_of, finish, judged
from avssl.errors import UserError
from avssl.system.console import say

NAME = "linear"
WHAT = """How much of the label can be read off the frozen features of each stage by a linear classifier? Beside the
same network with random weights, the pixels (of sounds: MFCCs), shuffled labels and chance; with the drop from the
best stage to the last. Accuracy where an item has one label, mean average precision where it has several. The L2
penalty and the best stage are chosen on held-out training data."""
EXAMPLE = """avssl evaluate linear --run runs/rotation --data cifar10/train.tar --test cifar10/test.tar
avssl evaluate linear --run runs/multi --encoder vision-jigsaw --data caltech/ --beside runs/jigsaw
avssl evaluate linear --run runs/av --data esc10.csv --folds fold --source-column freesound_id"""


def run(argv: Sequence[str]) -> None:
    """Evaluate by linear probes."""
    options = [
        Option("penalties", tuple[float, ...], (1e-2, 1e-3, 1e-4, 1e-5), "L2 penalties to choose from"),
        Option("iterations", int, 100, "the most steps of L-BFGS for each penalty"),
    ]
    values = command_of(NAME, WHAT, EXAMPLE, options).parse(argv)
    check(values, NAME)
    if not values["penalties"] or min(values["penalties"]) <= 0:
        raise UserError("--penalties wants numbers above 0, such as 1e-2,1e-4")
    if values["iterations"] < 1:
        raise UserError(f"--iterations ({values['iterations']}) must be at least 1")
    from avssl.evaluate.core.depth_curve import draw_depth
    from avssl.evaluate.probes.linear import Linear
    from avssl.evaluate.probes.probing import probe_all

    what = judged(values, NAME, NAME, argv)
    probe = Linear(values["penalties"], values["iterations"], what.device)
    rows = probe_all(what.encoded, what.data, probe, what.context, stages=values["stages"], tell=say)
    finish(rows, NAME, what.title, values, what.seen, draw=draw_depth)
