"""The report: one self-contained HTML page of a run, or of several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from avssl.evaluate.core.charts import svg_of
from avssl.evaluate.core.result_charts import run_tone
from avssl.report.option_tables import option_table
from avssl.report.run_parts import RunParts
from avssl.report.sections import Pictures, Section, missing_parts, result_sections
from avssl.report.tables import figure_text
from avssl.report.training_charts import training_charts
from avssl.system.console import counted
from avssl.version import __version__


def report_page(runs: Sequence[RunParts], page: Path) -> str:
    """The page as HTML.

    Args:
        runs: one or several, see :func:`avssl.report.run_parts.read_runs`.
        page: where it will lie: links to what lies beside a run (a film, a page that plays sounds) lead from there.
    """
    pictures = Pictures(len(runs) > 1)
    drawn = [(run, run.path / "sheet.png") for run in runs if (run.path / "sheet.png").exists()]
    sheets = [one for run, path in drawn for one in pictures.show(run, path, f"sheet of {run.name}")]
    sections = result_sections(runs, pictures, page)
    curves, absent = training_charts(runs), missing_parts(runs)
    several = len(runs) > 1
    template = environment().get_template("report.html")
    return template.render(
        contents=_contents(bool(curves), bool(sheets), sections, bool(absent)),
        tones={run.letter: run_tone(run.letter) for run in runs} | {"": ""},
        title=" · ".join(run.name for run in runs),
        several=several,
        runs=[_card(run, several) for run in runs],
        faults=[
            (run.letter if several else "", fault)
            for run in runs
            for fault in (*run.faults, *pictures.faults.get(run.letter, ()))
        ],
        curves=curves,
        no_curves=[(run.letter, f"{run.name} has logged nothing") for run in runs if curves and not run.metrics],
        sheets=sheets,
        no_sheets=[
            (run.letter, f"{run.name} has no sheet.png; it is drawn when a training ends")
            for run in runs
            if sheets and not (run.path / "sheet.png").exists()
        ],
        sections=sections,
        absent=absent,
        config=option_table([run.config for run in runs]),
        environment=option_table([_facts(run.environment) for run in runs]),
        version=__version__,
    )


@cache  # templates are compiled once, of as many pages as are made
def environment() -> Environment:
    """The templates of pages; what they are given is escaped."""
    found = Environment(
        loader=PackageLoader("avssl.report", "html"),
        autoescape=True,
        # A misspelt name in a template is an error, not an empty place.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["svg"] = lambda chart: Markup(svg_of(chart))
    return found


def _contents(curves: bool, sheets: bool, sections: Sequence[Section], absent: bool) -> list[tuple[str, str]]:
    """(address, text) of each part, in the order in which the page shows them."""
    # Controls before sheets: whether the puzzle gives its answer away is the first question.
    there = [("curves", "Curves")] if curves else []
    there += [(one.key, one.title) for one in sections if one.key == "controls"]
    there += [("sheet", "Sheet")] if sheets else []
    there += [(one.key, one.title) for one in sections if one.key != "controls"]
    there += [("absent", "Not here")] if absent else []
    return [*there, ("config", "Options"), ("environment", "Environment")]


def _card(run: RunParts, several: bool) -> dict[str, Any]:
    """The head of the page of a run."""
    config = run.config
    tasks = config.get("tasks") if config["task"] == "multi-task" else None
    facts = [("task", " + ".join(map(str, tasks)) if isinstance(tasks, list) else str(config["task"]))]
    if run.metrics:
        facts.append(("training", _training(run)))
    facts += [(f"held out{task}", text) for task, text in _figures(run)]
    if run.environment:
        machine = run.environment.get("machine")
        gpus = machine.get("gpus") if isinstance(machine, Mapping) else None
        device = ", ".join(map(str, gpus)) if isinstance(gpus, list) and gpus else "CPU"
        facts.append(("began", f"{str(run.environment.get('time', '?'))[:16].replace('T', ' ')}, {device}"))
    facts.append(("seed", str(config.get("seed", "?"))))
    return {
        "name": run.name,
        "letter": run.letter,
        "tone": run_tone(run.letter) if several else "train",
        "facts": facts,
    }


def _training(run: RunParts) -> str:
    # The furthest step, whatever the order of the lines.
    last = max(run.metrics, key=lambda line: float(line["step"]))
    planned = run.config.get("steps")
    text = f"{last['step']} of {counted(planned, 'step')}" if planned else counted(last["step"], "step")
    seconds = last.get("seconds")
    return f"{text} in {_duration(float(seconds))}" if isinstance(seconds, int | float) else text


def _figures(run: RunParts) -> list[tuple[str, str]]:
    """The trained network's first figure on held-out puzzles, one a task."""
    found: dict[str, str] = {}
    for row in run.rows.get("controls", ()):
        name, _, task = row.name.partition("/")
        if name == "trained" and task not in found:
            low, high = (figure_text(end, row.metric) for end in (row.low, row.high))
            chance = f"; chance {figure_text(row.chance, row.metric)}" if row.chance is not None else ""
            found[task] = f"{row.metric} {figure_text(row.value, row.metric)} ({low} – {high}{chance})"
    return [(f", {task}" if task else "", text) for task, text in found.items()]


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _facts(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of an environment; of later starts only when they were."""
    later = environment.get("continued")
    times = [each.get("time") for each in later if isinstance(each, dict)] if isinstance(later, list) else None
    # The whole of an environment for each start would fill the page.
    return {**environment, **({"continued": times} if times else {})}
