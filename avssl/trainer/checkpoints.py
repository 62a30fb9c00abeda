"""Checkpoints of a run: written whole, read without running code, the newest and the best kept."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from avssl.errors import UserError
from avssl.trainer.files import UNFINISHED, reading, write_whole, writing

FORMAT = 1
KEPT = 2
"""Newest checkpoints that stay: should the newest be damaged, the one before serves."""

_DAMAGED = ".damaged"
"""Suffix given to a checkpoint that could not be read, once an earlier one could."""


class Checkpoints:
    """The folder of a run's checkpoints: one file a step, ``step-00000100.pt``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._best_seen: dict[int, int | None] = {}

    def path(self, step: int) -> Path:
        """Where the checkpoint of this step lies."""
        return self.folder / f"step-{step:08d}.pt"

    def steps(self) -> list[int]:
        """The steps of which there are checkpoints, ascending."""
        found = (re.fullmatch(r"step-(\d+)\.pt", path.name) for path in self.folder.glob("step-*.pt"))
        return sorted(int(match[1]) for match in found if match)

    def save(self, state: dict[str, Any], step: int, best_step: int | None) -> None:
        """Write the checkpoint of ``step``, then remove those that are neither new nor best.

        Args:
            state: tensors and plain values; state["tally"]["best"] is None or has the best's "step".
            best_step: the step of the best checkpoint so far, which stays.

        Raises:
            UserError: it cannot be written (disk full); the earlier checkpoints are untouched.
        """
        buffer = io.BytesIO()
        torch.save({"format": FORMAT, **state}, buffer)
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.path(step), buffer.getbuffer())
        self._best_seen[step] = best_step
        self._prune()

    def newest(self, say: Callable[[str], None]) -> dict[str, Any] | None:
        """The newest checkpoint that can be read, said so where it is not the newest of all; None if there is none.

        Raises:
            UserError: there are checkpoints and none can be read.
        """
        for left_over in self.folder.glob(f"*{UNFINISHED}"):
            left_over.unlink()
        damaged: list[int] = []
        for step in reversed(self.steps()):
            try:
                state = self.load(step)
            except _Damaged as error:
                say(f"{error}; taking the one before")
                damaged.append(step)
                continue
            for later in damaged:
                self.path(later).rename(f"{self.path(later)}{_DAMAGED}")
            best = state["tally"]["best"]
            self._best_seen = {step: best["step"] if best else None}
            return state
        if damaged:
            raise UserError(f"no checkpoint in {self.folder} can be read; remove the run folder to start anew")
        return None

    def load(self, step: int) -> dict[str, Any]:
        """The checkpoint of this step, on the CPU.

        Raises:
            UserError: it cannot be read.
        """
        path = self.path(step)
        with reading(path):
            data = path.read_bytes()
        try:
            state: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except MemoryError:
            raise
        except Exception as error:  # whatever the unpickler stumbles over in bytes that are not what was written
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise _Damaged(f"checkpoint {path} is damaged ({reason})") from None
        if state.get("format") != FORMAT:
            raise UserError(f"checkpoint {path} is of another version of avssl")
        return state

    def _prune(self) -> None:
        """Remove what neither of the newest needs: going back one must not lose that one's best."""
        kept = self.steps()[-KEPT:]
        wanted = {*kept, *(self._best_seen.get(step) for step in kept)}
        for step in self.steps():
            if step not in wanted:
                self.path(step).unlink(missing_ok=True)
                self._best_seen.pop(step, None)


class _Damaged(UserError):
    """A checkpoint that is not what was written."""
