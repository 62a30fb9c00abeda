"""How a training went, as a picture: loss and accuracy, training and validation, beside chance."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.system.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Line = Mapping[str, Any]
"""One line of ``metrics.jsonl``."""

TRAIN, VALIDATION, CHANCE, INK = "#8fb4d9", "#c4501b", "#8a8a8a", "#222222"
SMOOTHING = 0.6
"""Weight of what came before in the line through the training figures (exponential mean, bias corrected)."""


def draw_curves(
    lines: Sequence[Line],
    path: Path,
    *,
    chance: Mapping[str, float] | None = None,
    title: str = "",
    loss: str = "loss",
) -> None:
    """Write ``curves.png``: a row of panels a task, loss first.

    Args:
        lines: of ``metrics.jsonl``.
        path: the PNG; it appears whole.
        chance: the level of knowing nothing by measure ("loss", "accuracy"); drawn as a dashed line.
        title: a line above.
        loss: the measure of the first panel.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(line["task"] for line in lines)) or [""]
    figure = Figure(figsize=(10, 3.7 * len(tasks) + (0.4 if title else 0)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=INK)
    axes = figure.subplots(len(tasks), 2, squeeze=False)
    for row, task in zip(axes, tasks, strict=True):
        for panel, measure in zip(row, (loss, "accuracy"), strict=True):
            _panel(panel, [line for line in lines if line["task"] == task], measure, (chance or {}).get(measure))
        if len(tasks) > 1:
            row[0].set_title(f"{task}: loss", loc="left", fontsize=11, color=INK)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    with whole_file(path) as file:
        file.write(buffer.getvalue())


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl``; a last line that was cut off while writing is left out."""
    found: list[dict[str, Any]] = []
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(text))
            except ValueError:
                break
    return found


def smoothed(values: Iterable[float], weight: float = SMOOTHING) -> list[float]:
    """Exponential mean, corrected for its start (as Adam's moments are): the first value is itself."""
    mean, total, out = 0.0, 0.0, []
    for value in values:
        mean = weight * mean + (1 - weight) * value
        total = weight * total + (1 - weight)
        out.append(mean / total)
    return out


def _panel(axes: Axes, lines: Sequence[Line], measure: str, chance: float | None) -> None:
    axes.set_title(measure.replace("_", " "), loc="left", fontsize=11, color=INK)
    axes.set_xlabel("step", fontsize=9, color=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color="#e8e8e8", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5, colors=INK)
    drawn = [_series(axes, lines, measure, split) for split in ("train", "val")]
    if measure == "accuracy":
        lowest = min([line[measure] for line in lines if measure in line], default=0.0)
        axes.set_ylim(max(0.0, min(lowest, 1.0 if chance is None else chance) - 0.1), 1.02)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    if not any(drawn):
        axes.text(0.5, 0.5, "nothing logged", transform=axes.transAxes, ha="center", color=CHANCE)
        return
    if chance is not None:
        axes.axhline(chance, color=CHANCE, linewidth=1.2, linestyle=(0, (5, 4)), label="chance", zorder=1)
    axes.legend(
        facecolor="white",
        edgecolor="none",
        framealpha=0.9,
        fontsize=9,
        labelcolor=INK,
        loc="lower right" if measure == "accuracy" else "upper right",
    )


def _series(axes: Axes, lines: Sequence[Line], measure: str, split: str) -> bool:
    points = [(line["step"], line[measure]) for line in lines if line["split"] == split and measure in line]
    if not points:
        return False
    steps, values = zip(*points, strict=True)
    if split == "train":
        many = len(values) >= 20  # below that a smoothed line says nothing that the points do not
        axes.plot(
            steps, values, color=TRAIN, linewidth=1.0, alpha=0.55 if many else 1, label=None if many else "training"
        )
        if many:
            axes.plot(steps, smoothed(values), color="#2f6fad", linewidth=1.8, label="training")
        return True
    axes.plot(steps, values, color=VALIDATION, linewidth=1.8, marker="o", markersize=4, label="validation")
    last = f"{100 * values[-1]:.1f} %" if measure == "accuracy" else f"{values[-1]:.3g}"
    axes.annotate(
        last,
        (steps[-1], values[-1]),
        xytext=(7, -3),
        textcoords="offset points",
        fontsize=8.5,
        color=VALIDATION,
    )
    return True
