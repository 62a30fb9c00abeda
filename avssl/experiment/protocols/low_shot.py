"""What a linear SVM learns from few labels."""

from __future__ import annotations

from dataclasses import dataclass

from avssl.errors import UserError
from avssl.evaluate.choices import LowShotChoices
from avssl.experiment.protocols.base import Outcome, Subject
from avssl.experiment.protocols.probes import DATA, ProbeOptions, features_of, labelled_outcome
from avssl.system.console import log

WHAT = f"""What a linear SVM on the frozen features of each stage learns from k labelled items a class: the mean of five
samples of the labels and their range, beside the same network with random weights and baseline features, on the same
samples. The cost is the same for all and fixed beforehand.

{DATA}"""
EXAMPLE = (
    """avssl evaluate low-shot --run runs/rotation --data cifar10/train.tar --test cifar10/test.tar --stages conv2"""
)


@dataclass(frozen=True)
class Options(LowShotChoices, ProbeOptions):
    def check(self) -> None:
        super().check()
        if not self.shots:
            raise UserError("--shots takes integers of at least 1, such as 1,4,16")
        if self.folds is not None:
            raise UserError("avssl evaluate low-shot has one part to evaluate on; give --test instead of --folds")


def run(options: Options, subject: Subject, name: str) -> Outcome:
    """Evaluate with few labels."""
    from avssl.evaluate.core.result_charts import draw_labels
    from avssl.evaluate.probes.low_shot import low_shot

    probed = features_of(options, subject, name)
    rows = low_shot(probed.encoded, probed.data, options, probed.context, stages=options.stages, log=log)
    return labelled_outcome(name, rows, options, subject, probed.data, draw_labels)
