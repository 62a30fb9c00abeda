"""Result rows: the one shape in which figures travel, to JSON, to the screen and to the report."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from avssl.errors import UserError


@dataclass(frozen=True)
class ResultRow:
    """A figure with its company.

    Attributes:
        name: what was measured ("trained", "untrained", "vision-only").
        metric: which figure ("accuracy").
        value, low, high: the figure and its 95 % interval.
        n: how many items it is a figure of.
        chance: what knowing nothing gives; None where there is no such level.
        split: which data ("test").
        seed: of the run.
        note: one line for people.
        command: what repeats it.
        protocol: name of the evaluation, with its choices frozen.
        unit, clusters: what was resampled or counted as independent, and how many of it.
        method: "wilson", "bootstrap", "jackknife" (of pairs, over both ends), "t" (Student's, over networks or
            repetitions) or "none"; in older runs "range", where low and high are the range of repetitions and no
            interval. Below 30 clusters an interval is the wider of that and Student's t.
        n_listed, n_used: how many items there were, and how many the figure uses.
        empty_truth: items without a truth; where they are used they count as failures.
        ties: mean share of values that tie where a threshold cuts.
        seen, sources: sources of the judged data that were trained on, and how many those data have; 0 and 0 where
            none was.
        data: the place of the data that were judged; empty of a run's own held-out part.
    """

    name: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    chance: float | None
    split: str
    seed: int
    note: str = ""
    command: str = ""
    protocol: str = ""
    unit: str = ""
    clusters: int = 0
    method: str = "none"
    n_listed: int = 0
    n_used: int = 0
    empty_truth: int = 0
    ties: float = 0.0
    seen: int = 0
    sources: int = 0
    data: str = ""

    @property
    def holds_chance(self) -> bool:
        """Whether the interval holds the level of knowing nothing; where there is no interval, nothing is known."""
        if self.chance is None:
            return False
        return math.isnan(self.low) or math.isnan(self.high) or self.low <= self.chance <= self.high


def write_rows(rows: Sequence[ResultRow], path: Path) -> None:
    """Write rows as a JSON list, by rename after fsync."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump([asdict(row) for row in rows], file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_rows(path: Path) -> list[ResultRow]:
    """The rows that :func:`write_rows` wrote; fields of other versions are passed over.

    Raises:
        UserError: the file is missing, or holds something else.
    """
    try:
        entries: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        entries = None
    rows = [_row(entry) for entry in entries] if isinstance(entries, list) else [None]
    found = [row for row in rows if row is not None]
    if len(found) < len(rows):
        raise UserError(f"{path} is damaged; remove it and run the command that wrote it again")
    return found


_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "float | None": (int, float, type(None)),
}


def _row(entry: Any) -> ResultRow | None:
    """The row that a JSON object says; None if it says none."""
    if not isinstance(entry, dict):
        return None
    told = {field: entry[field.name] for field in fields(ResultRow) if field.name in entry}
    right = all(isinstance(value, _TYPES.get(str(field.type), (object,))) for field, value in told.items())
    lacking = any(field.default is MISSING for field in fields(ResultRow) if field not in told)
    return None if lacking or not right else ResultRow(**{field.name: value for field, value in told.items()})
