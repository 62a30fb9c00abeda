"""What every logger of a run can do, and what it is told at the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image

PROJECT = "avssl"  # project of wandb and trackio, experiment of MLflow, where the environment names no other


@dataclass(frozen=True)
class Start:
    """What a logger is opened with.

    Attributes:
        folder: of the run.
        tasks: names of the tasks that are trained.
        run_id: as the logger gave it when this run began; None: it begins now.
        again_from: the first step that is trained again, as what was logged later than the checkpoint is repeated;
            None: nothing was logged before.
    """

    folder: Path
    tasks: tuple[str, ...]
    run_id: str | None = None
    again_from: int | None = None

    def tag(self, split: str, task: str, measure: str) -> str:
        """``train/loss``; of several tasks ``train/TASK/loss``."""
        return f"{split}/{task}/{measure}" if len(self.tasks) > 1 else f"{split}/{measure}"


class RunLogger(Protocol):
    """Shows one run; any method may raise anything, as what is behind it may.

    Attributes:
        run_id: by which the same run is continued; None where its folder is enough.
        place: where to look, in words.
    """

    run_id: str | None
    place: str

    def config(self, options: Mapping[str, Any]) -> None:
        """Show the options of the run by dotted key, when it begins and whenever it is continued."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Show the figures of a step by tag; a step may come more than once, and again after a kill."""

    def picture(self, step: int, tag: str, image: Image) -> None:
        """Show an RGB picture."""

    def close(self) -> None:
        """Send what is not sent yet."""
