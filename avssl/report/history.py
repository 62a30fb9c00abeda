"""The log of a training, ``metrics.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# Weight of what came before in the line through the training values (exponential mean, bias corrected).
SMOOTHING = 0.6


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl``; a last line that was cut off while writing is left out."""
    found: list[dict[str, Any]] = []
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(text))
            except ValueError:  # the process was killed while it wrote
                break
    return found


def smoothed(values: Iterable[float], weight: float = SMOOTHING) -> list[float]:
    """Exponential mean, corrected for its start (as Adam's moments are): the first value is itself."""
    mean, total, out = 0.0, 0.0, []
    for value in values:
        mean = weight * mean + (1 - weight) * value
        total = weight * total + (1 - weight)
        out.append(mean / total)
    return out
