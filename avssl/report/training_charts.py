"""Curves of a training: loss, accuracy and other measures, training and validation, beside chance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from avssl.evaluate.core.charts import Chart, Level, Line, write_charts
from avssl.evaluate.core.result_charts import run_tone
from avssl.evaluate.core.rows import is_share
from avssl.report.run_parts import RunParts, TaskLevels

Logged = Mapping[str, Any]  # One line of ``metrics.jsonl``

# Weight of what came before in the line through the training values (exponential mean, bias corrected).
SMOOTHING = 0.6

# Keys of a line that say which line it is, or belong to another's value.
NO_CURVE = ("step", "epoch", "split", "task", "seconds", "data_wait", "n", "low", "high", "passed_over")

# Measures of features: of several features each has a measure of its own, which ends with the feature's name.
RANK, NEIGHBOURS, NEIGHBOURS_CHANCE = "effective_rank", "knn_accuracy", "knn_chance"


def training_charts(runs: Sequence[RunParts]) -> list[tuple[str, list[Chart], list[Chart]]]:
    """By task: its name, the charts of its loss and accuracy, and those of every other measure that was logged."""
    tasks = list(dict.fromkeys(str(line["task"]) for run in runs for line in run.metrics))
    found = []
    for task in tasks:
        lines = {run.letter: [line for line in run.metrics if line["task"] == task] for run in runs}
        levels = [run.levels.get(task, TaskLevels()) for run in runs if lines[run.letter]]
        main = list(dict.fromkeys([*(level.loss for level in levels), "accuracy"]))
        chance = [level.chance for level in levels]
        letters = lines if len(runs) > 1 else {"": next(iter(lines.values()))}
        first, rest = (
            [chart for measure in some if (chart := training_chart(letters, measure, chance))]
            for some in (main, _other_measures(lines.values(), main))
        )
        found.append((task, first, rest))
    return found


def draw_curves(
    lines: Sequence[Logged],
    path: Path,
    *,
    chance: Mapping[str, float] | None = None,
    title: str = "",
    loss: str = "loss",
) -> None:
    """Write ``curves.png``: a row of charts a task, loss first, the rank of the features last.

    Args:
        lines: of ``metrics.jsonl``.
        chance: the level of knowing nothing by measure ("loss", "accuracy"); drawn as a dashed line.
        loss: the measure of the first chart.
    """
    tasks = list(dict.fromkeys(str(line["task"]) for line in lines)) or [""]
    charts = []
    for task in tasks:
        of_task = [line for line in lines if line["task"] == task]
        charts.append([training_chart({"": of_task}, measure, [chance or {}]) for measure in (loss, "accuracy")])
        if any(name.startswith(RANK) for line in lines for name in line):
            charts[-1].append(_rank_chart(of_task))
    write_charts(charts, path, title)


def training_chart(
    runs: Mapping[str, Sequence[Logged]], measure: str, chance: Sequence[Mapping[str, float]]
) -> Chart | None:
    """A measure over the steps; None where it was never logged.

    Args:
        runs: lines of one task by the letter of the run; of one run alone the letter is empty.
        chance: levels of knowing nothing by measure, of each run.
    """
    drawn: list[Line] = []
    for letter, lines in runs.items():
        points = {split: _points(lines, measure, split) for split in ("train", "val")}
        name = f"{letter} {{}}".lstrip()
        train, val = (run_tone(letter), run_tone(letter)) if letter else ("train", "val")
        if len(points["train"]) >= 20:  # below that a smoothed line shows nothing that the points do not
            if not letter:
                drawn.append(Line("training", train, points["train"], style="pale"))
            mean = smoothed(y for _, y in points["train"])
            points["train"] = [(x, y) for (x, _), y in zip(points["train"], mean, strict=True)]
        # Of several runs validation stands out, and each line's letter is at its end.
        thin, alone = ("thin" if letter else "bold"), not points["val"]
        drawn.append(Line(name.format("training"), train, points["train"], style=thin, ends=alone, letter=letter))
        drawn.append(Line(name.format("validation"), val, points["val"], marks=True, ends=True, letter=letter))
    drawn = [line for line in drawn if line.points]
    if not drawn:
        return None
    if measure.startswith(NEIGHBOURS):  # its chance is a share of the labels, logged beside it
        logged = measure.replace(NEIGHBOURS, NEIGHBOURS_CHANCE)
        chance = [{measure: line[logged]} for lines in runs.values() for line in lines if logged in line]
    # Runs of one task may differ in their chance (classes, batch): each level once.
    levels = sorted({round(level[measure], 9) for level in chance if measure in level})
    title = measure.replace("_", " ")
    return Chart(title, drawn, [Level("chance", value) for value in levels], share=is_share(measure))


def _rank_chart(lines: Sequence[Logged]) -> Chart | None:
    """The effective rank of each of a task's features, in one chart; None where it was never logged."""
    measures = list(dict.fromkeys(name for line in lines for name in line if name.startswith(RANK)))
    if not measures:
        return None
    drawn = [
        Line(
            name.removeprefix(RANK).strip("_") or "validation",
            tone,
            _points(lines, name, "val"),
            marks=True,
            ends=True,
        )
        for name, tone in zip(measures, ("val", "train", "other-0", "other-1"), strict=False)
    ]
    return Chart("effective rank of the features", drawn, from_zero=True)


def smoothed(values: Iterable[float], weight: float = SMOOTHING) -> list[float]:
    """Exponential mean, corrected for its start (as Adam's moments are): the first value is itself."""
    mean, total, out = 0.0, 0.0, []
    for value in values:
        mean = weight * mean + (1 - weight) * value
        total = weight * total + (1 - weight)
        out.append(mean / total)
    return out


def _other_measures(runs: Iterable[Sequence[Logged]], main: Sequence[str]) -> list[str]:
    """Logged measures but the main ones, in order of appearance; one that repeats another throughout is left out."""
    values: dict[str, list[Any]] = {name: [] for name in main}
    for line in (line for lines in runs for line in lines):
        for name, value in line.items():
            if name not in NO_CURVE and not name.startswith(NEIGHBOURS_CHANCE) and _is_number(value):
                values.setdefault(name, []).append(value)
    # The loss of a task with one term may be logged by both names.
    return [name for k, name in enumerate(values) if k >= len(main) and values[name] not in list(values.values())[:k]]


def _points(lines: Sequence[Logged], measure: str, split: str) -> list[tuple[float, float]]:
    found = [line for line in lines if line["split"] == split and _is_number(line.get(measure))]
    return [(float(line["step"]), float(line[measure])) for line in found]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
