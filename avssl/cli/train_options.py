"""Options that every training of the command line has, and the run folder that they are kept in."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.cli.data import DataOptions, absolute_source
from avssl.cli.data_sources import BEFORE
from avssl.cli.options import BUDGET, Command, Option, Values, options_of, plain
from avssl.cli.screen import say
from avssl.errors import UserError
from avssl.trainer.options import TrainOptions

if TYPE_CHECKING:
    from avssl.trainer.run_folder import RunFolder


@dataclass(frozen=True)
class ControlOptions:
    """What comes after training."""

    controls: bool = field(
        default=True, metadata={"help": "train the controls and judge all on held-out puzzles (results/controls.json)"}
    )
    control_steps: int | None = field(
        default=None, metadata={"help": "steps of each control (default: half of the training's)"}
    )
    control_puzzles: int = field(default=1024, metadata={"help": "held-out puzzles that all are judged on"})

    def check(self) -> None:
        """Refuse values that make no sense.

        Raises:
            UserError: names the option.
        """
        if self.control_steps is not None and self.control_steps < 0:
            raise UserError(f"--control-steps ({self.control_steps}) must be 0 or more")
        if self.control_puzzles < 1:
            raise UserError(f"--control-puzzles ({self.control_puzzles}) must be at least 1")


COMMON = (DataOptions, TrainOptions, ControlOptions)
"""Options that every training has."""

DEFAULT_STEPS = 1000
"""Of a training for which no --steps, --epochs or --minutes is given."""


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


def absolute(config: dict[str, Any]) -> dict[str, Any]:
    """A config whose paths hold wherever it is read."""
    for name in ("data", "test", "init"):
        if config.get(name) is not None:
            config[name] = absolute_source(config[name])
    return plain(config)


def defaults_of(*classes: type[Any], section: str = "") -> dict[str, Any]:
    """Defaults of options dataclasses by dotted key, as :func:`open_folder` takes them."""
    before = f"{section}." if section else ""
    return {f"{before}{f.name}": f.default for cls in classes for f in fields(cls) if f.default is not MISSING}


def open_folder(out: Path, config: dict[str, Any], stack: ExitStack, defaults: dict[str, Any]) -> RunFolder:
    """The run folder, open until the stack is left."""
    from avssl.trainer.run_folder import NO_MATTER, RunFolder

    may_differ = (*NO_MATTER, "device", "controls")
    return stack.enter_context(RunFolder(out, config, may_differ=may_differ, defaults=defaults))
