"""``avssl evaluate knn``: weighted nearest neighbours on frozen features, by stage."""

from __future__ import annotations

from collections.abc import Sequence

from avssl.cli.options import Option
from avssl.cli.probing import check, command_of, finish, judged
from avssl.errors import UserError
from avssl.system.console import say

NAME = "knn"
WHAT = """How well do nearest neighbours in the features of each stage tell the label? Beside the same network with
random weights, the pixels (of sounds: MFCCs), shuffled labels and chance. Votes are weighted with
exp(similarity / 0.07); k and the best stage are chosen on held-out training data."""
EXAMPLE = """avssl evaluate knn --run runs/rotation --data cifar10/train.tar --test cifar10/test.tar
avssl evaluate knn --run runs/av --data esc10.csv --folds fold"""


def run(argv: Sequence[str]) -> None:
    """Evaluate by nearest neighbours."""
    option = Option("neighbours", tuple[int, ...], (10, 20, 100, 200), "numbers of neighbours to choose from")
    values = command_of(NAME, WHAT, EXAMPLE, [option]).parse(argv)
    check(values, NAME)
    if not values["neighbours"] or min(values["neighbours"]) < 1:
        raise UserError("--neighbours wants numbers of at least 1, such as 10,20,100,200")
    from avssl.evaluate.core.depth_curve import draw_depth
    from avssl.evaluate.probes.knn import KNN
    from avssl.evaluate.probes.probing import probe_all

    what = judged(values, NAME, NAME, argv)
    probe = KNN(values["neighbours"], device=what.device)
    rows = probe_all(what.encoded, what.data, probe, what.context, stages=values["stages"], tell=say)
    finish(rows, NAME, what.title, values, what.seen, draw=draw_depth)
