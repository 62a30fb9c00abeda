"""The loggers that ``--log-to`` names: opened before the first step or refused, and never the end of a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.errors import UserError
from avssl.installation import install_hint
from avssl.system.console import log
from avssl.system.files import read_json, write_json
from avssl.trainer.loggers.interface import RunLogger, Start

if TYPE_CHECKING:
    from PIL.Image import Image

# Name → class of the module of that name beside this one; imported when it is asked for.
CLASSES = {"tensorboard": "EventFile", "wandb": "Wandb", "trackio": "Trackio", "mlflow": "Mlflow"}

_KNOWN_RUNS = "loggers.json"
_NOT_MEASURES = {"step", "epoch", "split", "task"}


def chosen(log_to: Sequence[str]) -> list[str]:
    """The names without doubles and without "none".

    Raises:
        UserError: the package of one is not installed.
    """
    names = [name for name in dict.fromkeys(log_to) if name != "none"]
    for name in names:
        found = find_spec(name)
        # A folder of its name, as wandb leaves where it has run, is found as a package without a file.
        if found is None or found.origin is None:
            raise UserError(f"--log-to {name} needs the package {name}: {install_hint(name)}")
    return names


class Loggers:
    """All loggers of a run.

    What fails here, before training, is an error; what fails later is switched off, as a training is worth more
    than its charts: ``metrics.jsonl`` has all of their figures.

    Args:
        log_to: as :class:`~avssl.trainer.options.TrainOptions` has it.
        folder: of the run; ``loggers.json`` there keeps by which name or number each logger knows it.
        tasks: names of the tasks that are trained.
        options: of the run, by dotted key.
        again_from: as :class:`Start` has it.

    Raises:
        UserError: a package is not installed; a logger fails, as without network or login.
    """

    def __init__(
        self,
        log_to: Sequence[str],
        folder: Path,
        tasks: Sequence[str],
        options: Mapping[str, Any],
        again_from: int | None,
    ) -> None:
        found = read_json(folder / _KNOWN_RUNS)
        known: dict[str, Any] = found if isinstance(found, dict) else {}
        self._start = Start(folder, tuple(tasks), again_from=again_from)
        self._open: dict[str, RunLogger] = {}
        for name in chosen(log_to):
            try:
                logger = self._open[name] = open_logger(name, Start(folder, tuple(tasks), known.get(name), again_from))
                logger.config(options)
            except Exception as error:  # a foreign package may raise anything
                self._open.pop(name, None)
                self.close()
                raise UserError(_refusal(name, error, known.get(name), folder)) from error
            if logger.run_id is not None:
                log(f"logging to {name}: {logger.place}")
        runs = {name: logger.run_id for name, logger in self._open.items() if logger.run_id is not None}
        if runs.items() - known.items():
            write_json(folder / _KNOWN_RUNS, known | runs)

    def line(self, line: Mapping[str, Any], **more: float) -> None:
        """Show a line of metrics, and figures that are the loggers' alone."""
        measures = {name: value for name, value in line.items() if name not in _NOT_MEASURES} | more
        tags = {self._start.tag(line["split"], line["task"], name): value for name, value in measures.items()}
        self._each(lambda logger: logger.scalars(line["step"], tags))

    def picture(self, step: int, tag: str, image: Image) -> None:
        """Show a picture."""
        self._each(lambda logger: logger.picture(step, tag, image))

    def close(self) -> None:
        """Close all."""
        self._each(lambda logger: logger.close())
        self._open.clear()

    def _each(self, show: Callable[[RunLogger], None]) -> None:
        for name, logger in list(self._open.items()):
            try:
                show(logger)
            except Exception as error:  # as above
                del self._open[name]
                log(f"{name} is switched off, as it failed: {_one_line(error)}; metrics.jsonl goes on with all figures")


def open_logger(name: str, start: Start) -> RunLogger:
    """Open one; raises whatever its package raises."""
    kind: Callable[[Start], RunLogger] = getattr(import_module(f"avssl.trainer.loggers.{name}"), CLASSES[name])
    return kind(start)


def _refusal(name: str, error: Exception, run_id: str | None, folder: Path) -> str:
    mend = {
        "wandb": "run `wandb login`, or log without network by WANDB_MODE=offline",
        "mlflow": "MLFLOW_TRACKING_URI names the server or database",
    }.get(name)
    ways = [mend] if mend else []
    if run_id is not None:
        ways.append(f"to begin another run there, remove {folder / _KNOWN_RUNS}")
    ways.append(f"leave {name} out of --log-to")
    return f"--log-to {name} failed: {_one_line(error)}; {', or '.join(ways)}"


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:300] or type(error).__name__
