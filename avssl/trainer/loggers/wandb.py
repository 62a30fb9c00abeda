"""Weights & Biases: online, or with ``WANDB_MODE=offline`` into ``RUN/wandb`` for ``wandb sync``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.trainer.loggers.interface import PROJECT, Start

if TYPE_CHECKING:
    from PIL.Image import Image


class Wandb:
    """One run of wandb; ``WANDB_PROJECT``, ``WANDB_ENTITY`` and its other variables count."""

    def __init__(self, start: Start) -> None:
        self._wandb: Any = import_module("wandb")
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=os.environ.get("WANDB_NAME", start.folder.resolve().name),
            id=start.run_id,
            resume="allow",
            dir=os.environ.get("WANDB_DIR", str(start.folder)),
            # Its copy of the terminal would take our progress bar apart.
            settings=self._wandb.Settings(console="off", silent=True),
        )
        self.run_id: str | None = self._run.id
        self.place = str(Path(self._run.dir).parent) if self._run.offline else str(self._run.url)
        # An axis of our own: wandb drops what is logged at a step lower than its last, as after a kill.
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="step")

    def config(self, options: Mapping[str, Any]) -> None:
        """The run's config."""
        self._run.config.update(dict(options), allow_val_change=True)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """The figures of a step."""
        self._run.log({**values, "step": step})

    def picture(self, step: int, tag: str, image: Image) -> None:
        """A picture among the media."""
        self._run.log({tag: self._wandb.Image(image), "step": step})

    def close(self) -> None:
        """Wait until wandb has sent or written everything."""
        self._run.finish()
