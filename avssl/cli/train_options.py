"""Options of every training as flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from avssl.cli.options import BUDGET, Command, Option, Values, options_of
from avssl.experiment.data import DataOptions
from avssl.experiment.options import DEFAULT_STEPS, ControlOptions
from avssl.experiment.sources import BEFORE
from avssl.system.console import say
from avssl.trainer.options import TrainOptions


def add_common(command: Command, out: str) -> None:
    """The options that every training has; ``out`` is where a run goes that is told nothing else."""
    told = [
        Option("out", str | None, None, f"folder of the run (default: {out})", metavar="RUN"),
        Option("config", str | None, None, "YAML file of options; flags override it", metavar="YAML"),
        Option("init", str | None, None, "start from the encoders of this run instead of random ones", metavar="RUN"),
    ]
    command.add([*options_of(DataOptions), *told], "data and results")
    command.add(options_of(TrainOptions), "training")
    command.add(options_of(ControlOptions), "controls")


def settled(values: Values) -> tuple[TrainOptions, ControlOptions]:
    """How to train, and what comes after; a budget is chosen where none is given.

    Raises:
        UserError: a value that makes no sense.
    """
    if all(values[name] is None for name in BUDGET):
        say(f"none of --steps, --epochs and --minutes is given: {DEFAULT_STEPS} steps")
        values["steps"] = DEFAULT_STEPS
    options, control = values.build(TrainOptions), values.build(ControlOptions)
    options.check()
    control.check()
    return options, control


def settle_sources(values: Values, out: Path, defaults: dict[str, Any]) -> None:
    """A run from before sources were found goes on, and is repeated by its config, as it was divided.

    Args:
        values: changed where nothing is asked.
        out: folder of the run.
        defaults: as :func:`open_folder` takes them; changed for such a run.
    """
    import yaml

    own = out / "config.yaml"
    for path in (own, Path(values["config"] or "")):
        try:
            config = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue  # whoever needs it says what is wrong
        # The config of a run has every option there was; one that people write has a few.
        if not isinstance(config, dict) or not (
            path == own or config.keys() >= {"task", "source_column", "prepare_gb"}
        ):
            continue
        if "sources" not in config:
            if path == own:
                defaults["sources"] = BEFORE
            if "sources" not in values.given:
                values["sources"] = BEFORE
        return
