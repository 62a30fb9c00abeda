"""Linear probes of all stages of an encoder."""

from __future__ import annotations

from dataclasses import dataclass

from avssl.errors import UserError
from avssl.evaluate.choices import LinearChoices
from avssl.experiment.protocols.base import Outcome, Subject
from avssl.experiment.protocols.probes import DATA, ProbeOptions, features_of, probe_outcome

WHAT = f"""How much of the label can be read off the frozen features of each stage by a linear classifier? Beside the
same network with random weights, the pixels (of sounds: MFCCs), shuffled labels and chance; with the drop from the
best stage to the last. Accuracy where an item has one label, mean average precision where it has several. The L2
penalty and the best stage are chosen on held-out training data.

{DATA}"""
EXAMPLE = """avssl evaluate linear --run runs/rotation --data cifar10/train.tar --test cifar10/test.tar
avssl evaluate linear --run runs/multi --encoder vision-jigsaw --data caltech/ --beside runs/jigsaw
avssl evaluate linear --run runs/av --data esc10.csv --folds fold --source-column freesound_id"""


@dataclass(frozen=True)
class Options(LinearChoices, ProbeOptions):
    def check(self) -> None:
        super().check()
        if not self.penalties:
            raise UserError("--penalties takes values above 0, such as 1e-2,1e-4")


def run(options: Options, subject: Subject, name: str) -> Outcome:
    """Evaluate by linear probes."""
    from avssl.evaluate.probes.linear import Linear

    probed = features_of(options, subject, name)
    probe = Linear(options.penalties, options.iterations, options.torch_device())
    return probe_outcome(name, probe, options, subject, probed)
