"""What a run logs: lines of JSON, which are the truth, and TensorBoard beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from avssl.trainer.files import write_whole, writing

_NOT_MEASURES = {"step", "epoch", "split", "task"}


class MetricsLog:
    """``metrics.jsonl`` and ``tensorboard/`` of a run folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "metrics.jsonl"
        self._tensorboard_folder = folder / "tensorboard"
        self._purge_step: int | None = None
        self._tensorboard: Any = None

    def lines(self) -> list[dict[str, Any]]:
        """The whole lines that are there; one that a killed process began is left out."""
        if not self._path.exists():
            return []
        found = []
        for text in self._path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(text))
            except ValueError:
                break
        return found

    def continue_after(self, step: int) -> list[dict[str, Any]]:
        """Drop the lines of later steps, which will be trained again; returns those that stay."""
        found = self.lines()
        stay = [line for line in found if line["step"] <= step]
        if self._path.exists():
            write_whole(self._path, "".join(map(_text, stay)).encode())
        self._purge_step = step + 1
        return stay

    def log(self, line: dict[str, Any]) -> None:
        """Append a line.

        Raises:
            UserError: the disk is full.
        """
        with writing(self._path):
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_text(line))
            self._log_to_tensorboard(line)

    def close(self) -> None:
        """Write what TensorBoard still holds."""
        if self._tensorboard is not None:
            self._tensorboard.close()
            self._tensorboard = None

    def _log_to_tensorboard(self, line: dict[str, Any]) -> None:
        if self._tensorboard is None:
            from torch.utils.tensorboard import SummaryWriter  # takes a second to import

            self._tensorboard = SummaryWriter(str(self._tensorboard_folder), purge_step=self._purge_step)
        for name, value in line.items():
            if name not in _NOT_MEASURES:
                self._tensorboard.add_scalar(f"{line['task']}/{name}/{line['split']}", value, line["step"])


def _text(line: dict[str, Any]) -> str:
    return json.dumps(line) + "\n"
