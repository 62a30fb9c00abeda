"""Figures as pictures: over the depth of the stage, or over the number of labels; chance dashed."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

from avssl.evaluate.core.rows import ResultRow
from avssl.system.files import whole_file

INK, PALE = "#222222", "#8a8a8a"
COLOURS = {"trained": "#2f6fad", "random": "#c4501b"}
OTHERS = ("#4d8f4d", "#7a5aa6", "#9a7b2f", "#5a5a5a")


def draw_depth(rows: Sequence[ResultRow], path: Path, title: str = "") -> bool:
    """Write the curve; returns whether there was one to draw.

    Args:
        rows: those named ENCODER/STAGE become points with their interval, in the order in which they come; of the
            others, figures of the same metric whose name has no line of its own are drawn as level lines.
        path: the PNG; it appears whole.
        title: a line above.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    points = [row for row in rows if "/" in row.name]
    points = [row for row in points if row.metric == points[0].metric]
    if not points:
        return False
    lines: dict[str, list[ResultRow]] = {}
    for row in points:
        lines.setdefault(row.name.split("/")[0], []).append(row)
    stages = list(dict.fromkeys(row.name.split("/", 1)[1] for row in points))
    figure = Figure(figsize=(7, 4.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    spare = iter(OTHERS)
    for name, some in lines.items():
        colour = COLOURS.get(name) or next(spare, PALE)
        places = [stages.index(row.name.split("/", 1)[1]) for row in some]
        reach = [[row.value - row.low for row in some], [row.high - row.value for row in some]]
        axes.errorbar(
            places,
            [row.value for row in some],
            yerr=[[max(0.0, one) for one in side] for side in reach],
            color=colour,
            marker="o",
            markersize=4,
            linewidth=1.8,
            elinewidth=1.0,
            capsize=3,
            label=name,
        )
    metric = points[0].metric
    for row in rows:
        if "/" not in row.name and row.metric == metric and row.name not in lines and row.name not in _COMPANY:
            axes.axhline(row.value, color=next(spare, PALE), linewidth=1.4, label=row.name)
    if points[0].chance is not None:
        axes.axhline(points[0].chance, color=PALE, linewidth=1.2, linestyle=(0, (5, 4)), label="chance")
    _dress(axes, stages, metric, title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    with whole_file(path) as file:
        file.write(buffer.getvalue())
    return True


_COMPANY = ("majority", "shuffled-labels")  # at chance: lines for them would hide it


def _dress(axes: object, stages: Sequence[str], metric: str, title: str) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    axes.set_xticks(range(len(stages)), stages)
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_ylabel(metric, fontsize=9, color=INK)
    if metric.startswith("accuracy"):
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.set_ylim(bottom=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color="#e8e8e8", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5, colors=INK)
    axes.legend(edgecolor="none", framealpha=0.9, fontsize=9, labelcolor=INK)


def draw_labels(rows: Sequence[ResultRow], path: Path, title: str = "") -> bool:
    """Write the figure over the number of labels a class; returns whether there were several numbers.

    Args:
        rows: those with the metric "METRIC-K-a-class" become points, "METRIC" alone is the point of all labels.
        path: the PNG; it appears whole.
        title: a line above.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    points = [
        (row, int(found[1]))
        for row in rows
        if (found := re.fullmatch(r"(?:accuracy|map-\w+)-(\d+)-a-class", row.metric))
    ]
    numbers = sorted({number for _, number in points})
    if not points:
        return False
    metric = points[0][0].metric.removesuffix(f"-{points[0][1]}-a-class")
    names = list(dict.fromkeys(row.name for row, _ in points))
    whole = [(row, 0) for row in rows if row.metric == metric and row.name in names]
    places = {number: k for k, number in enumerate([*numbers, 0] if whole else numbers)}
    if len(places) < 2:
        return False
    figure = Figure(figsize=(7, 4.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    spare = iter(OTHERS)
    for name in names:
        some = sorted(
            ((places[number], row) for row, number in points + whole if row.name == name), key=lambda pair: pair[0]
        )
        colour = COLOURS.get(name) or next(spare, PALE)
        values = [row.value for _, row in some]
        reach = [
            [max(0.0, row.value - row.low) for _, row in some],
            [max(0.0, row.high - row.value) for _, row in some],
        ]
        axes.errorbar(
            [k for k, _ in some], values, yerr=reach, color=colour, marker="o", markersize=4, capsize=3, label=name
        )
    chance = points[0][0].chance
    if chance is not None:
        axes.axhline(chance, color=PALE, linewidth=1.2, linestyle=(0, (5, 4)), label="chance")
    _dress(axes, [str(number) if number else "all" for number in places], metric, title)
    axes.set_xlabel("labelled items a class", fontsize=9, color=INK)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    with whole_file(path) as file:
        file.write(buffer.getvalue())
    return True
