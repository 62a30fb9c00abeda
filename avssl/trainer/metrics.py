"""The metrics log of a run: lines of JSON, and TensorBoard. Where the two differ, the JSON is right."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.system.files import write_whole, writing

if TYPE_CHECKING:
    from avssl.trainer.tensorboard_events import EventFile

_NOT_MEASURES = {"step", "epoch", "split", "task"}


class MetricsLog:
    """``metrics.jsonl`` and ``tensorboard/`` of a run folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "metrics.jsonl"
        self._tensorboard = folder / "tensorboard"
        self._purge_step: int | None = None
        self._events: EventFile | None = None

    def lines(self) -> list[dict[str, Any]]:
        """The whole lines that are there; what a killed process or a damaged disk left of others is skipped."""
        try:
            texts = self._path.read_bytes().split(b"\n")
        except (FileNotFoundError, IsADirectoryError):
            return []
        found = []
        for text in texts:
            try:
                line = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if isinstance(line, dict) and isinstance(line.get("step"), int) and {"split", "task"} <= line.keys():
                found.append(line)
        return found

    def continue_after(self, step: int) -> list[dict[str, Any]]:
        """Drop the lines of later steps, which will be trained again; returns those that stay."""
        found = self.lines()
        stay = [line for line in found if line["step"] <= step]
        if self._path.exists():
            write_whole(self._path, "".join(map(_text, stay)).encode())
        self._purge_step = step + 1 if found else None
        return stay

    def log(self, line: dict[str, Any]) -> None:
        """Append a line; UserError if the disk is full."""
        with writing(self._path):
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_text(line))
            self._log_to_tensorboard(line)

    def close(self) -> None:
        """Close what is open."""
        if self._events is not None:
            with suppress(OSError):  # a full disk was reported where it was met first; metrics.jsonl is complete
                self._events.close()
            self._events = None

    def _log_to_tensorboard(self, line: dict[str, Any]) -> None:
        if self._events is None:
            from avssl.trainer.tensorboard_events import EventFile  # TensorBoard takes a second to import

            self._events = EventFile(self._tensorboard, self._purge_step)
        measures = {name: value for name, value in line.items() if name not in _NOT_MEASURES}
        tags = {f"{line['task']}/{name}/{line['split']}": value for name, value in measures.items()}
        self._events.add(line["step"], tags)


def _text(line: dict[str, Any]) -> str:
    return json.dumps(line) + "\n"
