"""Charts of results: metrics by the stage of the encoder, and over the number of labels per class."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from avssl.evaluate.core.charts import Chart, Level, Line, write_charts
from avssl.evaluate.core.rows import ResultRow, is_share

# Rows of a probe that are no line of their own in a chart: they lie at chance, or are differences
COMPANY = ("majority", "shuffled-labels", "gain", "drop")

# The rows of each run by its letter; of one run alone the letter is empty
Runs = Mapping[str, Sequence[ResultRow]]


def run_tone(letter: str) -> str:
    """The colour of a run among several: there are eight, then they begin again."""
    return f"run-{(ord(letter[0]) - ord('A')) % 8}"


def draw_depth(rows: Sequence[ResultRow], path: Path, title: str = "") -> bool:
    """Write :func:`depth_chart` of one run as PNG; returns whether there was one to draw."""
    return _write(depth_chart({"": rows}), path, title)


def draw_labels(rows: Sequence[ResultRow], path: Path, title: str = "") -> bool:
    """Write :func:`labels_chart` of one run as PNG; returns whether there was a curve to draw."""
    return _write(labels_chart({"": rows}), path, title)


def depth_chart(runs: Runs) -> Chart | None:
    """A metric over the stages of the encoder, with intervals: every encoder of one run; of several runs the trained
    ones and, broken, those of random weights.

    Rows named ENCODER/STAGE become points, in the order in which they come; of one run, others of the same metric
    whose name has no line of its own are level lines.
    """
    stages: list[str] = []
    lines: list[Line] = []
    levels: list[Level] = []
    metric = ""
    for letter, every in runs.items():
        rows = [row for row in every if math.isfinite(row.value)]
        points = [row for row in rows if "/" in row.name]
        # One metric a chart: the first, which is accuracy or mAP; balanced accuracy stands in the table
        metric = metric or (points[0].metric if points else "")
        points = [row for row in points if row.metric == metric]
        stages = list(dict.fromkeys([*stages, *(row.name.split("/", 1)[1] for row in points)]))
        encoders = list(dict.fromkeys(row.name.split("/")[0] for row in points))
        for encoder in encoders:
            some = [row for row in points if row.name.split("/")[0] == encoder]
            at = [float(stages.index(row.name.split("/", 1)[1])) for row in some]
            lines += _encoder_lines(letter, encoder, encoders, list(zip(at, some, strict=True)))
        if not letter:
            # Of one run alone: the baselines of several would hide the runs
            others = [row for row in rows if row.metric == metric and row.name not in {*encoders, *COMPANY}]
            plain = [row for row in others if "/" not in row.name]
            levels += [Level(row.name, row.value, f"other-{k % 4}") for k, row in enumerate(plain, len(encoders))]
        levels += [Level("chance", row.chance) for row in points[:1] if row.chance is not None]
    if not lines:
        return None
    levels = list(dict.fromkeys(levels))
    return Chart(f"{metric} by stage", lines, levels, share=is_share(metric), names=stages, from_zero=True)


def labels_chart(runs: Runs) -> Chart | None:
    """A metric over the number of labels a class (metrics "METRIC-K-a-class"), of each encoder at the stage that is
    best with most labels; of several runs the trained and the random ones, as by stage.

    None where there is one number alone.
    """
    pattern = re.compile(r"((?:accuracy|map-\w+))-(\d+)-a-class")
    found = [
        (letter, row, match)
        for letter, rows in runs.items()
        for row in rows
        if (match := pattern.fullmatch(row.metric)) and math.isfinite(row.value)
    ]
    if not found:
        return None
    metric = found[0][2][1]
    counts = sorted({int(match[2]) for _, _, match in found})
    whole = [(letter, row) for letter, rows in runs.items() for row in rows if row.metric == metric]
    names = [str(count) for count in counts] + (["all"] if whole else [])
    # One number of labels makes no curve
    if len(names) < 2:
        return None
    lines: list[Line] = []
    for letter in runs:
        mine = [(float(counts.index(int(match[2]))), row) for one, row, match in found if one == letter]
        mine += [(float(len(counts)), row) for one, row in whole if one == letter]
        encoders = _best_stages([row for _, row in mine if row.metric == found[-1][1].metric])
        for encoder in encoders:
            points = sorted(((x, row) for x, row in mine if row.name == encoder), key=lambda pair: pair[0])
            lines += _encoder_lines(letter, encoder, encoders, points)
    chance = {row.chance for _, row, _ in found if row.chance is not None}
    levels = [Level("chance", value) for value in sorted(chance)]
    return Chart(f"{metric} over labels a class", lines, levels, share=is_share(metric), names=names, from_zero=True)


def draw_shifts(rows: Sequence[ResultRow], path: Path, title: str = "") -> bool:
    """Write accuracy over the size of a shift (metrics "accuracy-0.08s") of each row's name as PNG; whether there was
    any."""
    pattern = re.compile(r"accuracy-([\d.]+)s")
    found = [(row, float(match[1])) for row in rows if (match := pattern.fullmatch(row.metric))]
    shifts = sorted({seconds for _, seconds in found})
    lines: list[Line] = []
    for name in dict.fromkeys(row.name for row, _ in found):
        mine = [(float(shifts.index(seconds)), row) for row, seconds in found if row.name == name]
        values, spans = [(x, row.value) for x, row in mine], [(row.low, row.high) for _, row in mine]
        lines.append(Line(name, "train" if name == "trained" else "random", values, spans, marks=True, ends=True))
    labels = [f"{seconds:g} s" for seconds in shifts]
    levels = [Level("chance", 0.5)]
    chart = Chart("in step or not, by the shift", lines, levels, share=True, names=labels, from_zero=True)
    return _write(chart if lines else None, path, title)


def _write(chart: Chart | None, path: Path, title: str) -> bool:
    if chart is not None:
        write_charts([[chart]], path, title)
    return chart is not None


def _best_stages(rows: Sequence[ResultRow]) -> list[str]:
    """Of the names ENCODER/STAGE the best of each encoder; repetitions with another seed are left out."""
    best: dict[str, ResultRow] = {}
    for row in rows:
        encoder, _, stage = row.name.partition("/")
        if not stage.startswith("seed") and (encoder not in best or row.value > best[encoder].value):
            best[encoder] = row
    return [row.name for row in best.values()]


def _encoder_lines(
    letter: str, encoder: str, encoders: Sequence[str], points: Sequence[tuple[float, ResultRow]]
) -> list[Line]:
    """The line of an encoder; none for those that a chart of several runs has no room for."""
    values = [(x, row.value) for x, row in points]
    spans = [(row.low, row.high) for _, row in points]
    kind = encoder.split("/", maxsplit=1)[0]
    if not letter:
        tone = {"trained": "train", "untrained": "train", "random": "random"}.get(
            kind, f"other-{encoders.index(encoder) % 4}"
        )
        return [Line(encoder, tone, values, spans, marks=True, ends=True)]
    if kind not in ("trained", "random"):
        return []
    style = "bold" if kind == "trained" else "broken"
    ends = kind == "trained"
    return [Line(f"{letter} {encoder}", run_tone(letter), values, spans, style, marks=True, ends=ends, letter=letter)]
