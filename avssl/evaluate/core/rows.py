"""Result rows: the one form of figures, for JSON, the screen and the report; and how they are made.

context = Context("linear", seed=0, command="avssl evaluate …")
context.row("trained", "accuracy", 0.9, wilson(90, 100), n=100, clusters=100, chance=0.5, method="wilson")
context.drawn_row("gain", "accuracy-difference", 0.1, draws, n=100, clusters=100, chance=0.0, bounds=DIFFERENCE)
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avssl.errors import UserError
from avssl.evaluate.core.average_precision import Kind
from avssl.evaluate.core.statistics import (
    DRAWS,
    SHARE,
    Bounds,
    accuracy_interval,
    cluster_bootstrap,
    interval_of_draws,
    sums_interval,
    t_interval,
    widened,
)
from avssl.system.files import whole_file

Draws = NDArray[np.float64]
SHARES = (
    "accuracy",
    "balanced-accuracy",
    "knn_accuracy",
    "success",
    "recall",
    "top",
    "pointing",
    "ciou",
    "iiou",
    "inside",
    "rejected",
    "precision@",
    "false-silence",
    "locacc",
    "pck",
    "ap",
    "voc07",
    "voc12",
    "within",
)
"""How metrics begin that are shares, shown as per cent."""


def is_share(metric: str) -> bool:
    """Whether a metric is a share, shown as per cent."""
    return metric.startswith(SHARES)


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
        seen, sources: sources of the evaluated data that were trained on, and how many those data have; 0 and 0 where
            none was.
        data: the place of the data that were evaluated; empty of a run's own held-out part.
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
        # Without an interval a figure might be anywhere: it is not claimed to differ from chance.
        return math.isnan(self.low) or math.isnan(self.high) or self.low <= self.chance <= self.high


@dataclass(frozen=True)
class Context:
    """What all rows of an evaluation share, and the builder of its rows.

    Attributes:
        protocol: its name, with its choices.
        seed: of what is drawn.
        command: what repeats it.
        listed: how many items there were; 0: as many as are used.
        precision: which average precision, of several labels an item.
        draws: of a bootstrap.
        split: which data.
        unit: what is resampled or counted as independent.
    """

    protocol: str
    seed: int = 0
    command: str = ""
    listed: int = 0
    precision: Kind = "envelope"
    draws: int = DRAWS
    split: str = "test"
    unit: str = "source"

    def row(
        self,
        name: str,
        metric: str,
        value: float,
        interval: tuple[float, float],
        *,
        n: int,
        used: int | None = None,
        listed: int | None = None,
        **other: Any,
    ) -> ResultRow:
        """The row of a figure whose interval is known.

        Args:
            n: items that it is a figure of.
            used: items used; n if None.
            listed: items that there were; the context's, or n, if None.
            other: further fields of :class:`ResultRow`, in place of the context's.
        """
        # A context that does not know how many there were takes all for used
        counts = {"n_listed": (self.listed or n) if listed is None else listed, "n_used": n if used is None else used}
        shared = {"protocol": self.protocol, "seed": self.seed, "split": self.split, "unit": self.unit}
        # A row may be of another protocol, seed or unit than its context: localization has many protocols at once
        own: dict[str, Any] = {"chance": None, "method": "bootstrap", "command": self.command} | shared | counts | other
        return ResultRow(name, metric, value, *interval, n=n, **own)

    def share_row(
        self, name: str, metric: str, correct: ArrayLike, clusters: Sequence[Sequence[object]], **other: Any
    ) -> ResultRow:
        """The row of a share of right answers (n,), each of one or more clusters, see :func:`accuracy_interval`."""
        x = np.asarray(correct, np.float64)
        value, count = float(x.mean()) if len(x) else math.nan, len({one for cluster in clusters for one in cluster})
        own: dict[str, Any] = {"method": "wilson", "n": len(x), "clusters": count} | other
        return self.row(name, metric, value, accuracy_interval(x, clusters), **own)

    def clustered_row(
        self,
        name: str,
        metric: str,
        values: ArrayLike,
        clusters: Sequence[object],
        statistic: Callable[[Draws], float] | None = None,
        *,
        bounds: Bounds | None = SHARE,
        draws: int | None = None,
        **other: Any,
    ) -> ResultRow:
        """The row of a mean over items, or of another statistic of them, see :func:`cluster_bootstrap`.

        Args:
            values: (n,) or (n, k), one row an item.
            clusters: n names; items of one name are not independent.
            draws: the context's if None.
            other: as of :meth:`row`.
        """
        x = np.asarray(values, np.float64)
        value = float(x.mean()) if statistic is None else statistic(x)
        interval = cluster_bootstrap(x, clusters, statistic, draws=draws or self.draws, bounds=bounds)
        return self.row(name, metric, value, interval, n=len(x), clusters=len(set(clusters)), **other)

    def drawn_row(
        self,
        name: str,
        metric: str,
        value: float,
        drawn: ArrayLike,
        *,
        clusters: int,
        bounds: Bounds | None,
        **other: Any,
    ) -> ResultRow:
        """The row of a figure from its draws (draws,) of a bootstrap over clusters, see :func:`interval_of_draws`."""
        interval = interval_of_draws(value, drawn, clusters, bounds)
        return self.row(name, metric, value, interval, clusters=clusters, **other)

    def sums_row(
        self,
        name: str,
        metric: str,
        columns: Draws,
        clusters: Sequence[object],
        statistic: Callable[[Draws], Draws],
        *,
        bounds: Bounds | None = None,
        **other: Any,
    ) -> ResultRow:
        """The row of a statistic of column sums over items, see :func:`sums_interval`.

        Args:
            columns: (n, k), one row an item.
            clusters: n names; items of one name are not independent.
            other: as of :meth:`row`.
        """
        value, *interval = sums_interval(columns, clusters, statistic, bounds=bounds)
        count = len(set(map(str, clusters)))
        return self.row(name, metric, value, (interval[0], interval[1]), n=len(columns), clusters=count, **other)


def over_seeds(rows: Sequence[ResultRow], bounds: Bounds | None = SHARE) -> list[ResultRow]:
    """One row as it is; of several, one of each seed as NAME/seedN, then :func:`mean_of_repeats`."""
    if len(rows) == 1:
        return list(rows)
    # Of one seed the name stays plain: the row in question has one name, however many seeds there are
    each = [replace(row, name=f"{row.name}/seed{row.seed}") for row in rows]
    return [*each, mean_of_repeats(rows, "seeds", bounds)]


def mean_of_repeats(rows: Sequence[ResultRow], what: str, bounds: Bounds | None = SHARE) -> ResultRow:
    """The mean of one figure over repetitions (seeds, samples of the labels) that are evaluated on the same items.

    Its interval is for both reasons to vary: Student's over the repetitions, and over the items as the rows have it
    (their mean reach; repeating does not change the items). Their range is in the note, and is no interval.

    Args:
        rows: the figure of each repetition with its interval over the items.
        what: is repeated, for the note: "seeds".
    """
    values = [row.value for row in rows]
    value = float(np.mean(values))
    # Repetitions are evaluated on the same items: their intervals over items are averaged, not narrowed by their number
    below = float(np.mean([abs(row.value - row.low) for row in rows]))
    above = float(np.mean([abs(row.value - row.high) for row in rows]))
    reasons = [(value, value - below, value + above)]
    if len(rows) > 1:
        reasons.append((value, *t_interval(values)))
    low, high = widened(value, *reasons)
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    spread = f"mean of {len(rows)} {what}, range of {len(rows)} {what}: {min(values):.3g} to {max(values):.3g}"
    note = f"{rows[0].note}; {spread}".removeprefix("; ")
    return replace(rows[0], value=value, low=low, high=high, note=note, method="t" if len(rows) > 1 else rows[0].method)


def write_rows(rows: Sequence[ResultRow], path: Path) -> None:
    """Write rows as a JSON list, by rename after fsync."""
    with whole_file(path) as file:
        file.write(json.dumps([asdict(row) for row in rows], indent=1).encode())


def read_rows(path: Path) -> list[ResultRow]:
    """The rows that :func:`write_rows` wrote; fields of other versions are passed over.

    Raises:
        UserError: the file is missing, or holds something else.
    """
    try:
        entries: Any = json.loads(path.read_text(encoding="utf-8"))
    # A damaged file may nest deeper than Python recurses.
    except (OSError, ValueError, RecursionError):
        entries = None
    rows = [row_of(entry) for entry in entries] if isinstance(entries, list) else [None]
    found = [row for row in rows if row is not None]
    if len(found) < len(rows):
        raise UserError(f"{path} is damaged; remove it and run the command that wrote it again")
    return found


def row_of(entry: Any) -> ResultRow | None:
    """The row that a value of JSON holds; None if it holds none. A figure of null is NaN."""
    if not isinstance(entry, dict):
        return None
    # Rows of older versions lack fields and those of newer ones have more: both are read
    known = {field: entry[field.name] for field in fields(ResultRow) if field.name in entry}
    # "chance" has no default, but null and nothing both say that there is no such level
    if any(field.default is MISSING and field not in known and field.name != "chance" for field in fields(ResultRow)):
        return None
    try:
        values = {field.name: _CONVERTED[str(field.type)](value) for field, value in known.items()}
    except (TypeError, ValueError):
        return None
    return ResultRow(**{"chance": None, **values})


_CONVERTED: dict[str, Callable[[Any], Any]] = {
    "str": lambda value: str(value or ""),
    "int": lambda value: int(value or 0),
    "float": lambda value: math.nan if value is None else float(value),
    "float | None": lambda value: None if value is None else float(value),
}
"""By the type of a field, what makes its value of one of JSON; older versions wrote null for what is not known."""
