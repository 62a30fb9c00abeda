"""The metrics log of a run: lines of JSON, and loggers. Where they differ, the JSON is right."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.system.files import write_whole, writing

if TYPE_CHECKING:
    from PIL.Image import Image

    from avssl.trainer.loggers.chosen import Loggers


class MetricsLog:
    """``metrics.jsonl`` of a run folder, and the loggers once they are started."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "metrics.jsonl"
        self._folder = folder
        self._again_from: int | None = None
        self._loggers: Loggers | None = None

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
        self._again_from = step + 1 if found else None
        return stay

    def start_loggers(self, log_to: Sequence[str], tasks: Sequence[str], options: Mapping[str, Any]) -> None:
        """Open the loggers that are named; raises as :class:`~avssl.trainer.loggers.chosen.Loggers`."""
        from avssl.trainer.loggers.chosen import Loggers

        self._loggers = Loggers(log_to, self._folder, tasks, options, self._again_from)

    def log(self, line: dict[str, Any], **for_loggers: float) -> None:
        """Append a line; loggers show further figures with it. UserError if the disk is full."""
        with writing(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(_text(line))
        if self._loggers is not None:
            self._loggers.line(line, **for_loggers)

    def picture(self, step: int, tag: str, image: Image) -> None:
        """Show a picture in the loggers, if this process trained with them."""
        if self._loggers is not None:
            self._loggers.picture(step, tag, image)

    def close(self) -> None:
        """Close the loggers."""
        if self._loggers is not None:
            self._loggers.close()
            self._loggers = None


def _text(line: dict[str, Any]) -> str:
    return json.dumps(line) + "\n"
