"""Runs side by side: options, figures and environments in which they differ. Does not import torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from avssl.evaluate.core.rows import ResultRow, is_share
from avssl.report.option_tables import OptionTable, option_table
from avssl.report.protocols import in_order, kind_of, protocol_of
from avssl.report.run_list import summary
from avssl.report.run_parts import RunParts
from avssl.report.tables import figure_text, figure_words, fitted_table, interval_text
from avssl.system.console import visible, visible_name
from avssl.system.files import read_json

HOW = """Apart: the 95 % intervals of the two figures, each over its own unit (mostly sources), do not overlap.
That is stricter than a test of the difference: figures whose intervals overlap may still differ. A test of pairs would
need the predictions for the same puzzles, which runs do not keep; none is assumed."""

# Of the environment: what differs between any two runs and says nothing
_EVERY_RUN = ("time", "command", "continued", "workers_reason")


@dataclass(frozen=True)
class Figure:
    """A figure of several runs.

    Attributes:
        result: the result that it belongs to: "controls", "linear".
        protocol: with its choices.
        name: what was measured: "trained".
        metric: which figure.
        data: what it is of; empty of a run's own held-out part.
        rows: one a run; None where a run has none.
        notes: of each run beside the first: why its figure is not compared with the first's, or what is found.
        differences: of each run beside the first; None where they are not compared.
        apart: whether the intervals are; None where they are not compared, or there is none.
    """

    result: str
    protocol: str
    name: str
    metric: str
    data: str
    rows: Sequence[ResultRow | None]
    notes: Sequence[str]
    differences: Sequence[float | None]
    apart: Sequence[bool | None]

    @property
    def group(self) -> tuple[str, str, str]:
        """Result, protocol and data: figures that stand in one table."""
        return self.result, self.protocol, self.data

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        rows = [None if row is None else _plain(asdict(row)) for row in self.rows]
        return asdict(self) | {"rows": rows, "differences": [_finite(one) for one in self.differences]}


@dataclass(frozen=True)
class Comparison:
    """Runs side by side; what each run has is in the order of the runs."""

    runs: Sequence[RunParts]
    options: OptionTable
    environment: OptionTable
    figures: Sequence[Figure]

    def sentences(self) -> list[str]:
        """What the first figure of the trained network of each result says of each run beside the first run."""
        found: dict[tuple[tuple[str, ...], str, int], str] = {}
        for figure in self.figures:
            if figure.name.split("/")[0] != "trained":
                continue
            for number, sentence in enumerate(self._of(figure), 1):
                found.setdefault((figure.group, figure.name, number), sentence)
        return [sentence for sentence in found.values() if sentence]

    def _of(self, figure: Figure) -> list[str]:
        where = figure.name.removeprefix("trained").lstrip("/")
        what = f"{figure.metric} ({', '.join(filter(None, (figure.result, where, Path(figure.data).name)))})"
        first, found = self.runs[0].letter, []
        beside = zip(self.runs[1:], figure.rows[1:], figure.notes, figure.differences, strict=True)
        for run, row, note, difference in beside:
            if row is None or figure.rows[0] is None:
                found.append("")
            elif difference is None:
                found.append(f"{run.letter}'s {what} is not compared with {first}'s: {note}.")
            elif difference == 0:
                found.append(f"{run.letter}'s {what} is equal to {first}'s.")
            else:
                more = "higher" if difference > 0 else "lower"
                by = difference_text(abs(difference), figure.metric).lstrip("+")
                found.append(f"{run.letter}'s {what} is {by} {more} than {first}'s; {_SENTENCES[note]}.")
        return found

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "runs": [{"letter": run.letter, "path": str(run.path), "faults": list(run.faults)} for run in self.runs],
            "options": asdict(self.options),
            "environment": asdict(self.environment),
            "figures": [figure.as_json() for figure in self.figures],
            "sentences": self.sentences(),
            "how": " ".join(HOW.split()),
        }


_APART, _OVERLAP, _NO_INTERVAL = "apart", "overlap", "no interval"
_SENTENCES = {
    _APART: "the intervals are apart",
    _OVERLAP: "the intervals overlap, so this does not show that they differ",
    _NO_INTERVAL: "there is no interval to judge it by",
}


def compare(runs: Sequence[RunParts]) -> Comparison:
    """What distinguishes these runs, of which the first is what the others are compared with."""
    environments = [{name: value for name, value in run.environment.items() if name not in _EVERY_RUN} for run in runs]
    return Comparison(runs, option_table([run.config for run in runs]), option_table(environments), _figures(runs))


def _figures(runs: Sequence[RunParts]) -> list[Figure]:
    there = [dict(_rows_of(run)) for run in runs]
    keys = list(dict.fromkeys(key for rows in there for key in rows))
    order = {name: place for place, name in enumerate(in_order({key[0] for key in keys}))}
    parts = [read_json(run.path / "data.json") or {} for run in runs]
    found = []
    for key in sorted(keys, key=lambda key: order[key[0]]):
        rows = [own.get(key) for own in there]
        beside = [_beside(rows[0], row, parts[0], other) for row, other in zip(rows[1:], parts[1:], strict=True)]
        notes, differences, apart = zip(*beside, strict=True) if beside else ((), (), ())
        found.append(Figure(*key, rows, notes, differences, apart))
    return found


Key = tuple[str, str, str, str, str]


def _rows_of(run: RunParts) -> list[tuple[Key, ResultRow]]:
    """Rows by result, protocol, name, metric and data: what makes two figures the same one of two runs."""
    found = []
    for file, rows in run.rows.items():
        for row in rows:
            # A run of several tasks has "trained/rotation" where one of rotation has "trained".
            alone = row.name.removesuffix(f"/{row.protocol}") if file == "controls" else row.name
            found.append(((kind_of(file) or file, row.protocol, alone, row.metric, row.data), row))
    return found


def _beside(
    first: ResultRow | None, row: ResultRow | None, first_parts: Mapping[str, Any], parts: Mapping[str, Any]
) -> tuple[str, float | None, bool | None]:
    """What is to be said of a figure beside the first run's, the difference, and whether the intervals are apart."""
    if first is None or row is None:
        return "", None, None
    if why := _not_comparable(first, row, first_parts, parts):
        return why, None, None
    difference = row.value - first.value
    if not (_has_interval(first) and _has_interval(row)):
        return _NO_INTERVAL, difference, None
    apart = row.low > first.high or row.high < first.low
    return (_APART if apart else _OVERLAP), difference, apart


def _not_comparable(first: ResultRow, row: ResultRow, first_parts: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """Why two figures of the same metric are not subtracted; empty if they are."""
    # Of a run's own held-out part "data" is empty: what it held is in data.json.
    known = (_fingerprint(first, first_parts), _fingerprint(row, parts))
    reasons = {
        "no figure": math.isnan(first.value) or math.isnan(row.value),
        "other chance": first.chance != row.chance,
        "other part of the data": first.split != row.split,
        "data not known": not row.data and (None in known or _of_named_data(first) or _of_named_data(row)),
        "other held-out data": not row.data and known[0] != known[1],
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _of_named_data(row: ResultRow) -> bool:
    """Whether a row without a place was of data that its command names: older versions kept them nowhere else."""
    words = row.command.split()
    return "evaluate" in words[:2] and any(word.startswith(("--data", "--test")) for word in words)


def _fingerprint(row: ResultRow, parts: Mapping[str, Any]) -> Any:
    """The fingerprint of the part of a run's data that a row is of; None where it is not known."""
    part = parts.get(f"{row.protocol}/{row.split}", parts.get(row.split))
    return part.get("fingerprint") if isinstance(part, dict) else None


def _has_interval(row: ResultRow) -> bool:
    # "range" is the range of repetitions, which older versions wrote in an interval's place.
    return row.method != "range" and not math.isnan(row.low + row.high)


def difference_text(value: float, metric: str) -> str:
    """ "+1.2 points" of shares, which are shown as per cent; else the number with its sign."""
    return f"{100 * value:+.1f} points" if is_share(metric) else f"{value:+.4g}"


def print_comparison(found: Comparison, screen: Console) -> None:
    """What differs, a table each, and the sentences; what is equal is counted."""
    letters = [run.letter for run in found.runs]
    screen.print(fitted_table(["", "run", "trained", "figure, 95 % interval"], list(map(_head, found.runs)), screen))
    for run in found.runs:
        for fault in run.faults:
            screen.print(visible(f"{run.letter}: {fault}"), markup=False, emoji=False)
    _print_options("Options", found.options, letters, screen)
    _print_figures(found, letters, screen)
    _print_options("Versions and machine", found.environment, letters, screen)


def _head(run: RunParts) -> list[str]:
    known = summary(run.path)
    figures = "\n".join(headline.words() for headline in known.headlines)
    return [
        run.letter,
        visible_name(str(run.path)),
        f"{known.progress}\n{known.state}".replace(" ", "\xa0"),
        figure_words(figures),
    ]


def _print_options(what: str, table: OptionTable, letters: Sequence[str], screen: Console) -> None:
    differing = [[name, *values] for name, values in (*table.differing, *table.partial)]
    partial = f"{len(table.partial)} only some have, " if table.partial else ""
    screen.print(f"\n{what}: {len(table.differing)} differ, {partial}{len(table.equal)} are equal", style="bold")
    if differing:
        screen.print()
        screen.print(fitted_table(["", *letters], differing, screen))


def _print_figures(found: Comparison, letters: Sequence[str], screen: Console) -> None:
    first = letters[0]
    others = [text for letter in letters[1:] for text in (f"{letter} − {first}", "intervals")]
    alone: dict[str, list[str]] = {}
    for group in dict.fromkeys(figure.group for figure in found.figures):
        own = [figure for figure in found.figures if figure.group == group]
        title = ": ".join(filter(None, (protocol_of(group[0]).title, ", ".join(filter(None, group[1:])))))
        having = [letter for k, letter in enumerate(letters) if any(figure.rows[k] for figure in own)]
        if len(having) == 1:
            alone.setdefault(having[0], []).append(title)
            continue
        screen.print(f"\n{title}\n", style="bold", markup=False, emoji=False)
        screen.print(fitted_table(["", *letters, *others], [_cells(figure) for figure in own], screen))
    for letter, titles in alone.items():
        screen.print(f"\nOnly {letter} has figures of", style="bold")
        screen.print("\n".join(f"  {title}" for title in titles), markup=False, emoji=False)
    if not found.figures:
        screen.print("\nNo figures: neither controls nor evaluations have been made.", style="bold")
    if sentences := found.sentences():
        screen.print()
        screen.print("\n".join(sentences), markup=False, emoji=False)
    if any(one is not None for figure in found.figures for one in figure.apart):
        screen.print(f"\n{' '.join(HOW.split())}", markup=False, emoji=False)


def _cells(figure: Figure) -> list[str]:
    what = f"{figure.name} {figure.metric}"
    cells = [what]
    for row in figure.rows:
        interval = "" if row is None or math.isnan(row.low + row.high) else f"\n{interval_text(row)}"
        cells.append("–" if row is None else f"{figure_text(row.value, row.metric)}{interval}")
    for note, difference in zip(figure.notes, figure.differences, strict=True):
        cells += ["" if difference is None else difference_text(difference, figure.metric), note]
    return [what, *map(figure_words, cells[1:])]


def _finite(value: Any) -> Any:
    """None for NaN, which JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _finite(value) for name, value in values.items()}
