"""trackio: into the user's cache for ``trackio show``, or where ``TRACKIO_SPACE_ID`` or ``TRACKIO_SERVER_URL`` says."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from contextlib import redirect_stdout
from importlib import import_module
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from avssl.trainer.loggers.interface import PROJECT, Start

if TYPE_CHECKING:
    from PIL.Image import Image


class Trackio:
    """One run of trackio, known by its name."""

    def __init__(self, start: Start) -> None:
        self._trackio: Any = import_module("trackio")
        # Runs of different folders may have one name; only this one is to be continued.
        self.run_id: str | None = start.run_id or f"{start.folder.resolve().name}-{uuid4().hex[:8]}"
        self._project = os.environ.get("TRACKIO_PROJECT", PROJECT)
        self._run: Any = None
        self.place = f"trackio show --project {self._project}"

    def config(self, options: Mapping[str, Any]) -> None:
        """Begins the run: trackio takes the config there."""
        with redirect_stdout(io.StringIO()):  # where to look is in our own line
            self._run = self._trackio.init(
                project=self._project, name=self.run_id, resume="allow", config=dict(options), embed=False
            )

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """The figures of a step."""
        self._run.log(dict(values), step=step)

    def picture(self, step: int, tag: str, image: Image) -> None:
        """A picture among the media."""
        self._run.log({tag: self._trackio.Image(image)}, step=step)

    def close(self) -> None:
        """Wait until trackio has written everything."""
        with redirect_stdout(io.StringIO()):
            self._run.finish()
