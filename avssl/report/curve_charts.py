"""Which charts the report draws: training against chance, figures by stage, figures over the number of labels."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from avssl.evaluate.core.rows import ResultRow
from avssl.report.charts import Chart, Level, Line, line_chart
from avssl.report.curves import smoothed
from avssl.report.run_parts import RunParts, TaskLevels
from avssl.report.tables import is_share

NO_CURVE = ("step", "epoch", "split", "task", "seconds", "data_wait", "n", "low", "high", "passed_over")
COMPANY = ("majority", "shuffled-labels", "gain", "drop")
"""Rows of a probe that are no line of its own in a chart: they lie at chance, or are differences."""


def tone_of(run: RunParts) -> str:
    """The colour of a run among several: there are eight, then they begin again."""
    return f"run-{(ord(run.letter[0]) - ord('A')) % 8}"


# --- training -------------------------------------------------------------------------------------------------


def training_charts(runs: Sequence[RunParts]) -> list[tuple[str, list[Chart], list[Chart]]]:
    """By task: its name, the charts of its loss and accuracy, and those of every other measure that was logged."""
    tasks = list(dict.fromkeys(str(line["task"]) for run in runs for line in run.metrics))
    found = []
    for task in tasks:
        lines = {run.letter: [line for line in run.metrics if line["task"] == task] for run in runs}
        levels = [run.levels.get(task, TaskLevels()) for run in runs if lines[run.letter]]
        main = list(dict.fromkeys([*(level.loss for level in levels), "accuracy"]))
        others = _other_measures(lines.values(), main)
        first, rest = (
            [chart for measure in some if (chart := _training(runs, lines, measure, levels))] for some in (main, others)
        )
        found.append((task, first, rest))
    return found


def _other_measures(runs: Iterable[Sequence[Mapping[str, Any]]], main: Sequence[str]) -> list[str]:
    """Logged measures but the main ones, in order of appearance; one that repeats another throughout is left out."""
    values: dict[str, list[Any]] = {name: [] for name in main}
    for line in (line for lines in runs for line in lines):
        for name, value in line.items():
            if name not in NO_CURVE and _is_number(value):
                values.setdefault(name, []).append(value)
    return [name for k, name in enumerate(values) if k >= len(main) and values[name] not in list(values.values())[:k]]


def _training(
    runs: Sequence[RunParts], lines: Mapping[str, list[Mapping[str, Any]]], measure: str, levels: Sequence[TaskLevels]
) -> Chart | None:
    drawn: list[Line] = []
    several = len(runs) > 1
    for run in runs:
        points = {split: _points(lines[run.letter], measure, split) for split in ("train", "val")}
        letter = run.letter if several else ""
        name = f"{run.letter} {{}}" if several else "{}"
        train, val = (tone_of(run), tone_of(run)) if several else ("train", "val")
        if len(points["train"]) >= 20:  # below that a smoothed line says nothing that the points do not
            if not several:
                drawn.append(Line("training", train, points["train"], style="pale"))
            mean = smoothed(y for _, y in points["train"])
            points["train"] = [(x, y) for (x, _), y in zip(points["train"], mean, strict=True)]
        thin, alone = ("thin" if several else "bold"), not points["val"]
        drawn.append(Line(name.format("training"), train, points["train"], style=thin, ends=alone, letter=letter))
        drawn.append(Line(name.format("validation"), val, points["val"], marks=True, ends=True, letter=letter))
    chance = sorted({round(level.chance[measure], 9) for level in levels if measure in level.chance})
    title = measure.replace("_", " ")
    return line_chart(title, drawn, [Level("chance", value) for value in chance], share=is_share(measure))


def _points(lines: Sequence[Mapping[str, Any]], measure: str, split: str) -> list[tuple[float, float]]:
    found = [line for line in lines if line["split"] == split and _is_number(line.get(measure))]
    return [(float(line["step"]), float(line[measure])) for line in found]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# --- probes ---------------------------------------------------------------------------------------------------


def depth_chart(runs: Sequence[RunParts], protocol: str) -> Chart | None:
    """Figures over the stages of the encoder, with their intervals: every encoder of one run; of several runs the
    trained ones and, broken, those of random weights."""
    stages: list[str] = []
    lines: list[Line] = []
    levels: list[Level] = []
    metric = ""
    for run in runs:
        rows = [row for row in run.rows.get(protocol, ()) if math.isfinite(row.value)]
        points = [row for row in rows if "/" in row.name]
        metric = metric or (points[0].metric if points else "")
        points = [row for row in points if row.metric == metric]
        stages = list(dict.fromkeys([*stages, *(row.name.split("/", 1)[1] for row in points)]))
        encoders = list(dict.fromkeys(row.name.split("/")[0] for row in points))
        for encoder in encoders:
            some = [row for row in points if row.name.split("/")[0] == encoder]
            at = [float(stages.index(row.name.split("/", 1)[1])) for row in some]
            if line := _encoder_line(runs, run, encoder, encoders, list(zip(at, some, strict=True))):
                lines.append(line)
        level_rows = [row for row in rows if row.metric == metric and row.name not in {*encoders, *COMPANY}]
        if len(runs) == 1:
            plain = [row for row in level_rows if "/" not in row.name]
            levels += [Level(row.name, row.value, f"other-{k % 4}") for k, row in enumerate(plain, len(encoders))]
        levels += [Level("chance", row.chance) for row in points[:1] if row.chance is not None]
    levels = [level for k, level in enumerate(levels) if level not in levels[:k]]
    title = f"{metric} by stage"
    return line_chart(title, lines, levels, share=is_share(metric), names=stages, x_label="stage", from_zero=True)


def labels_chart(runs: Sequence[RunParts], protocol: str) -> Chart | None:
    """Figures over the number of labels a class (metrics "METRIC-K-a-class"), of each encoder at the stage that is best
    with most labels; of several runs the trained and the random ones, as by stage."""
    pattern = re.compile(r"((?:accuracy|map-\w+))-(\d+)-a-class")
    found = [
        (run, row, match)
        for run in runs
        for row in run.rows.get(protocol, ())
        if (match := pattern.fullmatch(row.metric)) and math.isfinite(row.value)
    ]
    if not found:
        return None
    metric = found[0][2][1]
    numbers = sorted({int(match[2]) for _, _, match in found})
    whole = [(run, row) for run in runs for row in run.rows.get(protocol, ()) if row.metric == metric]
    names = [str(number) for number in numbers] + (["all"] if whole else [])
    if len(names) < 2:
        return None
    lines: list[Line] = []
    for run in runs:
        mine = [(float(numbers.index(int(match[2]))), row) for one, row, match in found if one is run]
        mine += [(float(len(numbers)), row) for one, row in whole if one is run]
        encoders = _best_stages([row for _, row in mine if row.metric == found[-1][1].metric])
        for encoder in encoders:
            points = sorted(((x, row) for x, row in mine if row.name == encoder), key=lambda pair: pair[0])
            if line := _encoder_line(runs, run, encoder, encoders, points):
                lines.append(line)
    chance = {row.chance for _, row, _ in found if row.chance is not None}
    levels = [Level("chance", value) for value in sorted(chance)]
    title = f"{metric} over labels a class"
    return line_chart(title, lines, levels, share=is_share(metric), names=names, x_label="labels", from_zero=True)


def _best_stages(rows: Sequence[ResultRow]) -> list[str]:
    """Of the names ENCODER/STAGE the best of each encoder; repetitions with another seed are left out."""
    best: dict[str, ResultRow] = {}
    for row in rows:
        encoder, _, stage = row.name.partition("/")
        if not stage.startswith("seed") and (encoder not in best or row.value > best[encoder].value):
            best[encoder] = row
    return [row.name for row in best.values()]


def _encoder_line(
    runs: Sequence[RunParts],
    run: RunParts,
    encoder: str,
    encoders: Sequence[str],
    points: Sequence[tuple[float, ResultRow]],
) -> Line | None:
    """The line of an encoder; None for those that a chart of several runs has no room for."""
    values = [(x, row.value) for x, row in points]
    spans = [(row.low, row.high) for _, row in points]
    kind = encoder.split("/", maxsplit=1)[0]
    if len(runs) == 1:
        tone = {"trained": "train", "random": "random"}.get(kind, f"other-{encoders.index(encoder) % 4}")
        return Line(encoder, tone, values, spans, marks=True, ends=True)
    if kind not in ("trained", "random"):
        return None
    style = "bold" if kind == "trained" else "broken"
    name = f"{run.letter} {encoder}"
    return Line(name, tone_of(run), values, spans, style, marks=True, ends=kind == "trained", letter=run.letter)
