"""Linear SVMs on frozen features, as the FAIR benchmark evaluates VOC07 classification."""

from __future__ import annotations

from dataclasses import dataclass

from avssl.errors import UserError
from avssl.evaluate.choices import SVMChoices
from avssl.experiment.protocols.base import Outcome, Subject
from avssl.experiment.protocols.probes import DATA, ProbeOptions, features_of, probe_outcome
from avssl.options import option

WHAT = f"""Linear SVMs on the frozen features of each stage, as the FAIR benchmark evaluates VOC07 classification: one a
class, squared hinge, positives weighing twice, features L2-normalised, the cost of each class by its average precision
in three folds of the training part. Mean average precision is the area under the monotone curve, not eleven points.

{DATA}"""
EXAMPLE = """avssl evaluate svm --run runs/rotation --data VOCdevkit/VOC2007 --published-costs
avssl evaluate svm --run runs/rotation --data caltech/ --stages conv3"""


@dataclass(frozen=True)
class Options(SVMChoices, ProbeOptions):
    heading = "the protocol"

    published_costs: bool = option(False, "the 26 published costs: six times as long")

    def check(self) -> None:
        super().check()
        if not self.costs:
            raise UserError("--costs takes values above 0, such as 0.1,1,10")


def run(options: Options, subject: Subject, name: str) -> Outcome:
    """Evaluate by linear SVMs."""
    from avssl.evaluate.probes.svm import PUBLISHED_COSTS, SVM

    probed = features_of(options, subject, name)
    probe = SVM(PUBLISHED_COSTS if options.published_costs else options.costs)
    return probe_outcome(name, probe, options, subject, probed)
