"""``avssl evaluate svm``: linear SVMs on frozen features, as the FAIR benchmark judges VOC07 classification."""

from __future__ import annotations

from collections.abc import Sequence

from avssl.cli.options import Option
from avssl.cli.probing import check, command_of, finish, judged
from avssl.errors import UserError
from avssl.system.console import say

NAME = "svm"
WHAT = """Linear SVMs on the frozen features of each stage, as the FAIR benchmark judges VOC07 classification: one a
class, squared hinge, positives weighing twice, features L2-normalised, the cost of each class by its average precision
in three folds of the training part. Mean average precision is the area under the monotone curve, not eleven points."""
EXAMPLE = """avssl evaluate svm --run runs/rotation --data VOCdevkit/VOC2007 --published-costs
avssl evaluate svm --run runs/rotation --data caltech/ --stages conv3"""


def run(argv: Sequence[str]) -> None:
    """Evaluate by linear SVMs."""
    options = [
        Option("costs", tuple[float, ...], (0.01, 0.1, 1.0, 10.0), "costs to choose from"),
        Option("published_costs", bool, False, "the 26 published costs: six times as long"),
    ]
    values = command_of(NAME, WHAT, EXAMPLE, options).parse(argv)
    check(values, NAME)
    if not values["costs"] or min(values["costs"]) <= 0:
        raise UserError("--costs wants numbers above 0, such as 0.1,1,10")
    from avssl.evaluate.core.depth_curve import draw_depth
    from avssl.evaluate.probes.probing import probe_all
    from avssl.evaluate.probes.svm import PUBLISHED_COSTS, SVM

    what = judged(values, NAME, NAME, argv)
    probe = SVM(PUBLISHED_COSTS if values["published_costs"] else values["costs"])
    rows = probe_all(what.encoded, what.data, probe, what.context, stages=values["stages"], tell=say)
    finish(rows, NAME, what.title, values, what.seen, draw=draw_depth)
