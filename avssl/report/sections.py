"""The sections of the report about results: chart, table, pictures and links of each, and what is missing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from avssl.evaluate.core.charts import Chart
from avssl.evaluate.core.result_charts import depth_chart, labels_chart
from avssl.evaluate.pretext.controls import verdict
from avssl.report.bars import BarTable, bar_table
from avssl.report.option_tables import flattened, value_text
from avssl.report.pictures import Picture, inlined
from avssl.report.protocols import PROTOCOLS, in_order, kind_of, protocol_of
from avssl.report.run_parts import RunParts


@dataclass(frozen=True)
class CaptionedPicture:
    """A picture of a run, and its caption."""

    letter: str
    picture: Picture
    text: str
    link: str = ""
    link_text: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        key: its address within the page.
        verdicts: (letter, sentence): what the figures mean.
        facts: (letter, table of names and values) of JSON files that hold no result rows.
        links: (letter, address, text) of pages that lie beside the run.
        missing: (letter, line) of each run that lacks this part.
    """

    key: str
    title: str
    about: str
    charts: Sequence[Chart] = ()
    table: BarTable | None = None
    facts: Sequence[tuple[str, Sequence[tuple[str, str]]]] = ()
    pictures: Sequence[CaptionedPicture] = ()
    links: Sequence[tuple[str, str, str]] = ()
    verdicts: Sequence[tuple[str, str]] = ()
    missing: Sequence[tuple[str, str]] = ()


class Pictures:
    """Makes pictures of the page; one that cannot be read becomes a line."""

    def __init__(self, several: bool) -> None:
        self._several = several
        self.faults: dict[str, list[str]] = {}

    def show(self, run: RunParts, path: Path, text: str, link: str = "", link_text: str = "") -> list[CaptionedPicture]:
        """The picture, or nothing and a line in :attr:`faults`."""
        try:
            picture = inlined(path)
        except OSError as error:
            reason = error.strerror or str(error)
            self.faults.setdefault(run.letter, []).append(f"{path.relative_to(run.path)} cannot be shown: {reason}")
            return []
        return [CaptionedPicture(run.letter if self._several else "", picture, text, link, link_text)]


def result_sections(runs: Sequence[RunParts], pictures: Pictures, page: Path) -> list[Section]:
    """A section for each kind of result that some run has; pictures that belong to none come last.

    Args:
        page: where the page will lie, so that links lead from there.
    """
    names = {name for run in runs for name in (*run.rows, *run.facts)}
    owners = {path: _owner(path, run, names) for run in runs for path in run.pictures}
    names |= set(owners.values())
    return [_section(runs, name, owners, pictures, page) for name in in_order(names)]


def missing_parts(runs: Sequence[RunParts]) -> list[str]:
    """A line for each part that no run has, with the command that makes it."""
    lines = []
    if not any(run.metrics for run in runs):
        lines.append("No curves: nothing has been logged yet.")
    if not any((run.path / "sheet.png").exists() for run in runs):
        lines.append("No sheet: sheet.png is drawn when a training ends.")
    # Of protocols that few runs ask for, such as svm and normals, none is called missing.
    for name, protocol in PROTOCOLS.items():
        there = name in {
            kind_of(found) for run in runs for found in (*run.rows, *run.facts, *(path.stem for path in run.pictures))
        }
        asked = [run for run in runs if run.hears or not protocol.hears]
        if protocol.expected and asked and not there:
            lines.append(f"No {protocol.title[0].lower()}{protocol.title[1:]}: {_way(name, asked[0])}.")
    if not any(run.demos for run in runs) and (hearing := [run for run in runs if run.hears]):
        run = hearing[0].reference
        lines.append(f"No strip of moments: avssl localize VIDEO --run {run} -o {run}/localized.mp4 makes one.")
    return lines


def _way(name: str, run: RunParts) -> str:
    command = PROTOCOLS[name].command
    if command:
        return f"{command.replace('RUN', run.reference)} makes them"
    return f"results/{name}.json is written when a training ends (not with --no-{name})"


def _owner(path: Path, run: RunParts, names: set[str]) -> str:
    """The result that a picture belongs to: the longest of which its name is, or begins with; else its own name."""
    if path in run.demos:
        return "localization"
    # "linear-cifar10.png" belongs to linear-cifar10 where there are such rows, else to linear.
    known = names | PROTOCOLS.keys()
    fitting = [name for name in known if path.stem == name or path.stem.startswith((f"{name}-", f"{name}_"))]
    return max(fitting, key=len, default=path.stem)


def _section(
    runs: Sequence[RunParts], name: str, owners: Mapping[Path, str], pictures: Pictures, page: Path
) -> Section:
    protocol = protocol_of(name)
    several = len(runs) > 1
    letters = {run.path: run.letter if several else "" for run in runs}
    draw = {"depth": depth_chart, "labels": labels_chart}.get(protocol.chart)
    chart = draw({letters[run.path]: run.rows.get(name, ()) for run in runs}) if draw else None
    shown: list[CaptionedPicture] = []
    links: list[tuple[str, str, str]] = []
    missing: list[tuple[str, str]] = []
    for run in runs:
        mine = [path for path in run.pictures if owners[path] == name]
        for path in mine:
            if path in run.demos:
                demo = run.demos[path]
                text = f"{Path(str(demo.get('file', path))).name}: {demo['verdict']}"
                film = path.with_suffix(".mp4")
                link = (_address(film, page), film.name) if film.exists() else ("", "")
                shown += pictures.show(run, path, text, *link)
            elif chart is None or path.stem != name:  # a chart shows what the picture of this name does, and more
                shown += pictures.show(run, path, path.stem)
        beside = run.path / "results" / f"{name}.html"
        if beside.exists():
            text = f"to be seen and heard: results/{name}.html of {run.name}"
            links.append((letters[run.path], _address(beside, page), text))
        there = name in run.rows or name in run.facts or mine
        if not there and several and (run.hears or not protocol.hears):
            way = f": {protocol.command.replace('RUN', run.reference)}" if protocol.command else ""
            missing.append((run.letter, f"{run.name} has none{way}"))
    found = [(letters[run.path], run.rows[name]) for run in runs if name in run.rows]
    return Section(
        key=name,
        title=protocol.title,
        about=protocol.about,
        charts=[chart] if chart else [],
        table=bar_table(found) if found else None,
        facts=[(letters[run.path], _facts(run.facts[name])) for run in runs if name in run.facts],
        pictures=shown,
        links=links,
        verdicts=_verdicts(runs) if name == "controls" else [],
        missing=missing,
    )


def _verdicts(runs: Sequence[RunParts]) -> list[tuple[str, str]]:
    """What the controls of each run show; of several tasks one sentence a task."""
    found = []
    for run in runs:
        rows = run.rows.get("controls", [])
        tasks = list(dict.fromkeys(row.name.split("/", 1)[1] for row in rows if "/" in row.name))
        for task in tasks or [""]:
            end = f"/{task}" if task else ""
            own = [replace(row, name=row.name.removesuffix(end)) for row in rows if row.name.endswith(end)]
            if sentence := verdict(own):
                found.append((run.letter if len(runs) > 1 else "", f"{task}: {sentence}" if task else sentence))
    return found


def _address(file: Path, page: Path) -> str:
    # Relative, so that a folder can be moved with its page.
    return quote(Path(os.path.relpath(file.resolve(), page.resolve().parent)).as_posix())


def _facts(value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [(name, value_text(each)) for name, each in flattened(value)]
    return [("", value_text(value))]
