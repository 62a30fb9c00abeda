"""Weighted nearest neighbours on frozen features, by stage."""

from __future__ import annotations

from dataclasses import dataclass

from avssl.errors import UserError
from avssl.evaluate.choices import KNNChoices
from avssl.experiment.protocols.base import Outcome, Subject
from avssl.experiment.protocols.probes import DATA, ProbeOptions, features_of, probe_outcome

WHAT = f"""How well do nearest neighbours in the features of each stage predict the label? Beside the same network with
random weights, the pixels (of sounds: MFCCs), shuffled labels and chance. Votes are weighted with
exp(similarity / 0.07); k and the best stage are chosen on held-out training data.

{DATA}"""
EXAMPLE = """avssl evaluate knn --run runs/rotation --data cifar10/train.tar --test cifar10/test.tar
avssl evaluate knn --run runs/av --data esc10.csv --folds fold"""


@dataclass(frozen=True)
class Options(KNNChoices, ProbeOptions):
    def check(self) -> None:
        super().check()
        if not self.k:
            raise UserError("--k takes integers of at least 1, such as 10,20,100,200")


def run(options: Options, subject: Subject, name: str) -> Outcome:
    """Evaluate by nearest neighbours."""
    from avssl.evaluate.probes.knn import KNN

    probed = features_of(options, subject, name)
    return probe_outcome(name, KNN(options.k, device=options.torch_device()), options, subject, probed)
