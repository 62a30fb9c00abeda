"""Result rows as a table with interval bars beside chance, for the page's template to draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from avssl.evaluate.core.result_charts import run_tone
from avssl.evaluate.core.rows import ResultRow, is_share
from avssl.report.tables import beside_chance, figure_text, interval_text
from avssl.system.console import counted


@dataclass(frozen=True)
class Bar:
    """Places on the axis of its group, in per cent of its length; None where there is nothing to draw."""

    value: float | None
    low: float | None
    high: float | None
    chance: float | None
    zero: float


@dataclass(frozen=True)
class Cell:
    """One figure of one run, as text and as a bar."""

    name: str
    tone: str
    value: str
    interval: str
    chance: str
    n: str
    mark: str
    note: str
    bar: Bar
    letter: str = ""
    company: str = ""
    first: bool = True  # of its name: those of other runs follow


@dataclass(frozen=True)
class Group:
    """The rows of one metric, on one axis.

    Attributes:
        headline: the figure of its first name, of each run.
    """

    metric: str
    about: str
    headline: str
    begin: str
    end: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class BarTable:
    """All rows of a file of results, those of several runs one below the other."""

    groups: Sequence[Group]
    commands: Sequence[tuple[str, str]]  # (letter, command) of the runs
    about: str
    long: bool


# Of a table with more rows than this, each metric is folded behind its headline.
LONG = 30


def bar_table(found: Sequence[tuple[str, Sequence[ResultRow]]]) -> BarTable:
    """The table of some rows of each run.

    Args:
        found: (letter of the run, its rows); not empty. Of one run alone the letter is empty.
    """
    kinds = list(dict.fromkeys(_kind(row) for _, rows in found for row in rows))
    # Where all rows are of one protocol and split, that is said once, above all groups.
    several = len({(protocol, split) for _, protocol, split in kinds}) > 1
    groups = [_group(found, kind, several) for kind in kinds]
    commands = [
        (letter, command)
        for letter, rows in found
        for command in dict.fromkeys(row.command for row in rows if row.command)
    ]
    seeds = sorted({row.seed for _, rows in found for row in rows})
    words = [] if several else [word for word in kinds[0][1:] if word]
    words.append(f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}")
    count = sum(len(group.cells) for group in groups)
    return BarTable(groups, commands, " · ".join(words), count > LONG)


def _kind(row: ResultRow) -> tuple[str, str, str]:
    return row.metric, row.protocol, row.split


def _group(found: Sequence[tuple[str, Sequence[ResultRow]]], kind: tuple[str, str, str], several: bool) -> Group:
    here = [(letter, row) for letter, rows in found for row in rows if _kind(row) == kind]
    low, high = _axis([row for _, row in here])
    cells = []
    for name in dict.fromkeys(row.name for _, row in here):
        same = [(letter, row) for letter, row in here if row.name == name]
        cells += [_cell(letter, row, (low, high), k == 0) for k, (letter, row) in enumerate(same)]
    metric, protocol, split = kind
    share = is_share(metric)
    about = " · ".join(word for word in (protocol, split) if word) if several else ""
    begin, end = (f"{100 * edge:g} %" if share else f"{edge:g}" for edge in (low, high))
    first = [cell for cell in cells if cell.name == cells[0].name]
    figures = ", ".join(f"{cell.letter} {cell.value}".strip() for cell in first)
    headline = f"{first[0].name}: {figures}"
    return Group(metric, about, headline, begin, end, cells)


def _axis(rows: Sequence[ResultRow]) -> tuple[float, float]:
    """From 0 (or round below, or as far below as above where figures are differences) to a round number above all."""
    ends = [end for row in rows for end in (row.low, row.value, row.high, row.chance) if end is not None]
    finite = [end for end in ends if math.isfinite(end)] or [0.0, 1.0]
    low, high = min(*finite, 0.0), max(*finite, 0.0)
    # Differences lie about 0, which is then the middle of the axis.
    if low < 0:
        edge = max(high, -low)
        return -(top := _round_above(edge)), top
    if is_share(rows[0].metric) and high > 0.5:
        return 0.0, max(1.0, high)
    return 0.0, _round_above(high or 1.0)


def _round_above(value: float) -> float:
    """The end of an axis of about two steps of 1, 2 or 5 times a power of ten that holds a value above 0."""
    # The power of ten of a step, of which the axis has about two.
    power = 10.0 ** math.floor(math.log10(value / 2))
    # 0.999: a hair of rounding above a step is that step.
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= 0.999 * value / 2)
    return round(math.ceil(value / step - 1e-9) * step, 12)


def _cell(letter: str, row: ResultRow, axis: tuple[float, float], first: bool) -> Cell:
    low, high = axis

    def place(value: float | None) -> float | None:
        if value is None or not math.isfinite(value):
            return None
        return round(100 * (value - low) / (high - low), 2)

    def text(value: float) -> str:
        return figure_text(value, row.metric)

    units = counted(row.clusters, row.unit) if row.unit and row.clusters else ""
    chance = "" if row.chance is None else text(row.chance)
    known = math.isfinite(row.low) and math.isfinite(row.high)
    return Cell(
        name=row.name,
        letter=letter,
        # Of several runs each has a colour; of one the trained network stands out from what is beside it.
        tone=run_tone(letter) if letter else "train" if row.name.split("/")[0] == "trained" else "other-3",
        value=text(row.value),
        interval=interval_text(row) if known else "",
        chance=chance,
        n=str(row.n),
        company=", ".join(word for word in (units, row.method if row.method != "none" else "") if word),
        mark=beside_chance(row),
        note=row.note,
        bar=Bar(place(row.value), place(row.low), place(row.high), place(row.chance), place(0.0) or 0.0),
        first=first,
    )
