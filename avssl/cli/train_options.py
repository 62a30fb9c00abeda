"""Options of every training as flags."""

from __future__ import annotations

from dataclasses import replace

from avssl.cli.options import Command, options_of
from avssl.experiment.data import DataOptions
from avssl.experiment.options import ControlOptions
from avssl.experiment.settle import OF_A_RUN
from avssl.trainer.options import TrainOptions


def add_common(command: Command, out: str) -> None:
    """The options that every training has; ``out`` is where a run goes that is told nothing else."""
    own = [replace(o, help=f"{o.help} (default: {out})") if o.name == "out" else o for o in OF_A_RUN]
    command.add([*options_of(DataOptions), *own], "data and results")
    command.add(options_of(TrainOptions), "training")
    command.add(options_of(ControlOptions), "controls")
