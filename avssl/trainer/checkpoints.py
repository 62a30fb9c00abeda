"""Checkpoints of a run: written atomically, read without running code; the newest and the best are kept.

torch loads weights that changed on the disk without complaint. So each file, which is a zip, ends with a comment that
holds its checksum; in those of earlier versions the checksums of the zip's members are compared.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from avssl.errors import UserError, reason_of
from avssl.system.console import log
from avssl.system.files import remove_unfinished, write_whole

FORMAT = 1
# Newest checkpoints that stay: should the newest be damaged, the one before serves.
KEPT = 2

# What the checkpoints of a training hold.
PARTS = ("networks", "stepper", "tasks", "tally")

# Suffix given to a checkpoint that could not be read, once an earlier one could.
_DAMAGED = ".damaged"


class Checkpoints:
    """The folder of a run's checkpoints: one file a step, ``step-00000100.pt``, each with the mappings ``parts``."""

    def __init__(self, folder: Path, parts: Sequence[str] = ("tally",)) -> None:
        self.folder = folder
        self._parts = parts
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
        write_whole(self.path(step), _sealed(buffer))
        self._best_seen[step] = best_step
        self._prune()

    def newest(self) -> dict[str, Any] | None:
        """The newest checkpoint that can be read, logged where it is not the newest of all; None if there is none.

        Raises:
            UserError: there are checkpoints and none can be read.
        """
        remove_unfinished(self.folder)
        damaged: list[int] = []
        for step in reversed(self.steps()):
            try:
                state = self.load(step)
            except _Damaged as error:
                log(f"{error}; using the one before")
                damaged.append(step)
                continue
            for later in damaged:
                self.path(later).replace(f"{self.path(later)}{_DAMAGED}")
            self._best_seen = {step: _best_of(state)}
            return state
        if damaged:
            raise UserError(f"no checkpoint in {self.folder} can be read; remove the run folder to start again")
        return None

    def last(self) -> dict[str, Any] | None:
        """The newest of all, for readers of the run; None if there is none.

        Raises:
            UserError: it cannot be read. (The one before would give other figures than the run has.)
        """
        steps = self.steps()
        try:
            return self.load(steps[-1]) if steps else None
        except _Damaged as error:
            raise UserError(f"{error}; run the training command again to continue from the one before") from None

    def load(self, step: int) -> dict[str, Any]:
        """The checkpoint of this step, on the CPU; UserError if it cannot be read."""
        path = self.path(step)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}") from error
        sealed = _is_whole(data)
        if sealed is False:
            raise _Damaged(f"checkpoint {path} is damaged (its checksum differs)")
        try:
            state: Any = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except MemoryError:
            raise
        except Exception as error:  # damaged bytes can make the unpickler raise anything
            raise _Damaged(f"checkpoint {path} is damaged ({reason_of(error)})") from None
        if not isinstance(state, dict) or "format" not in state:
            raise _Damaged(f"checkpoint {path} is damaged (it holds something else)")
        if state["format"] != FORMAT:
            raise UserError(
                f"checkpoint {path} is of another version of avssl; continue with that one, or choose another --out"
            )
        if "config" in state and not sealed:  # as this version writes it, but not written by it
            raise _Damaged(f"checkpoint {path} is damaged (it has no checksum)")
        lacking = [name for name in self._parts if not isinstance(state.get(name), dict)]
        if lacking or not isinstance(_best_of(state), int | None):
            raise _Damaged(f"checkpoint {path} is damaged (it lacks {' and '.join(lacking) or 'its best step'})")
        if state["tally"].get("step", step) != step:
            raise _Damaged(f"checkpoint {path} is damaged (it is that of step {state['tally']['step']})")
        return state

    def _prune(self) -> None:
        """Remove what neither of the newest needs: going back one must not lose that one's best."""
        kept = self.steps()[-KEPT:]
        wanted = {*kept, *(self._best_seen.get(step) for step in kept)}
        for step in self.steps():
            if step not in wanted:
                self.path(step).unlink(missing_ok=True)
                self._best_seen.pop(step, None)


_SEAL = b"avssl crc32 "
_SEAL_BYTES = len(_SEAL) + 8
# The last record of a zip: 20 bytes, two for the length of the comment, the comment. APPNOTE.TXT, 4.3.16.
_ARCHIVE_END = b"PK\x05\x06"


def _sealed(buffer: io.BytesIO) -> memoryview:
    """The zip in ``buffer`` with its checksum as its comment."""
    data = buffer.getbuffer()
    record = bytes(data[-22:])
    if record[:4] != _ARCHIVE_END or record[20:] != b"\0\0":
        return data  # torch wrote another kind of file: left without a checksum, like those of earlier versions
    crc = zlib.crc32(data[:-2])
    del data
    buffer.seek(-2, io.SEEK_END)
    buffer.write(_SEAL_BYTES.to_bytes(2, "little") + _SEAL + f"{crc:08x}".encode())
    return buffer.getbuffer()


def _is_whole(data: bytes) -> bool | None:
    """Whether a checkpoint is as it was written; None if its zip is whole, but it has no seal."""
    seal = data[-_SEAL_BYTES:]
    if seal.startswith(_SEAL):
        return seal == _SEAL + f"{zlib.crc32(memoryview(data)[: -_SEAL_BYTES - 2]):08x}".encode()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return None if archive.testzip() is None else False
    except (zipfile.BadZipFile, struct.error, zlib.error, OSError, ValueError, EOFError, RuntimeError):
        return False


def _best_of(state: dict[str, Any]) -> Any:
    """The step of the best checkpoint so far, None if there was none; of a damaged state something else."""
    best = state["tally"].get("best") if isinstance(state.get("tally"), dict) else "no tally"
    return best.get("step", "no step") if isinstance(best, dict) else best


class _Damaged(UserError):
    """A checkpoint that is not what was written."""
