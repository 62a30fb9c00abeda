"""Line charts as numbers that the page's template draws as SVG: places in pixels, texts, what hovering says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

WIDTH, HEIGHT = 470, 270
LEFT, RIGHT, TOP, BOTTOM = 50, 400, 14, 232
"""The frame of the drawing, in pixels of its own; what stands right of it are the last values."""

MOST_POINTS = 240
"""Longer lines are thinned by means of neighbours: a page for people needs no more."""

LABEL_HEIGHT = 13


@dataclass(frozen=True)
class Line:
    """A line to draw.

    Attributes:
        name: for the legend; lines of one name and tone have one entry.
        tone: which colour: a class of the style sheet ("run-a", "train", "val", "random", "other-1").
        points: (x, y), finite, by rising x.
        spans: of each point its interval (low, high); empty where there is none.
        style: "bold", "thin", "pale", or "broken".
        marks: whether each point is a dot.
        ends: whether its last value is written beside it, after ``letter``.
    """

    name: str
    tone: str
    points: Sequence[tuple[float, float]]
    spans: Sequence[tuple[float, float]] = ()
    style: str = "bold"
    marks: bool = False
    ends: bool = False
    letter: str = ""


@dataclass(frozen=True)
class Level:
    """A level line: chance, or a figure that has no stages."""

    name: str
    value: float
    tone: str = "chance"


@dataclass(frozen=True)
class Drawn:
    """A line in pixels."""

    name: str
    tone: str
    style: str
    path: str
    bars: Sequence[tuple[float, float, float]]
    """(x, top, bottom) of each interval."""
    dots: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """All that the template needs."""

    title: str
    x_label: str
    lines: Sequence[Drawn]
    levels: Sequence[tuple[float, str, str, str]]
    """(y, tone, name, its value)."""
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    ends: Sequence[tuple[float, str, str]]
    """(y, tone, text) of the last values, moved apart where they would cover each other."""
    legend: Sequence[tuple[str, str, str]]
    """(name, tone, style) in order."""
    hover: dict[str, Any]
    frame: dict[str, int] = field(
        default_factory=lambda: {
            "width": WIDTH,
            "height": HEIGHT,
            "left": LEFT,
            "right": RIGHT,
            "top": TOP,
            "bottom": BOTTOM,
        }
    )


def line_chart(
    title: str,
    lines: Sequence[Line],
    levels: Sequence[Level] = (),
    *,
    share: bool = False,
    names: Sequence[str] = (),
    x_label: str = "step",
    from_zero: bool = False,
) -> Chart | None:
    """Lay out a chart; None where no line has a point.

    Args:
        title: above it.
        lines: what is drawn.
        levels: dashed lines across.
        share: whether values are shares, written as per cent.
        names: texts of x = 0, 1, 2, …, where x is no number (stages).
        x_label: below it.
        from_zero: whether the y axis begins at 0.
    """
    lines = [line for line in lines if line.points]
    if not lines:
        return None
    heights = [y for line in lines for _, y in line.points] + [level.value for level in levels]
    heights += [end for line in lines for span in line.spans for end in span if math.isfinite(end)]
    ticks = nice_ticks(0.0 if from_zero and min(heights) >= 0 else min(heights), max(heights))
    low, high = ticks[0], ticks[-1]
    across = [x for line in lines for x, _ in line.points]
    first, last = (-0.3, len(names) - 0.7) if names else (min(across), max(across))

    def to_x(x: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * (x - first) / (last - first or 1), 1)

    def to_y(y: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * (min(max(y, low), high) - low) / (high - low or 1), 1)

    def said(value: float) -> str:
        return f"{100 * value:.1f} %" if share else f"{value:.4g}"

    step = ticks[1] - ticks[0]
    drawn, hover, ends = [], [], []
    for line in lines:
        points = thinned(line.points) if not line.spans else list(line.points)
        places = [(to_x(x), to_y(y)) for x, y in points]
        spans = [(place[0], to_y(span[1]), to_y(span[0])) for place, span in zip(places, line.spans, strict=False)]
        path = "M" + "L".join(f"{x:g} {y:g}" for x, y in places)
        drawn.append(Drawn(line.name, line.tone, line.style, path, spans, places if line.marks else ()))
        if line.ends:
            text = f"{line.letter} {said(points[-1][1])}".strip()
            ends.append((places[-1][1], line.tone, text))
        if line.style != "pale":
            told = [
                [*place, names[int(x)] if names else f"{x_label} {x:g}", said(y)]
                for place, (x, y) in zip(places, points, strict=True)
            ]
            hover.append({"name": line.name, "tone": line.tone, "points": told})
    return Chart(
        title=title,
        x_label="" if names else x_label,
        lines=drawn,
        levels=[(to_y(level.value), level.tone, level.name, said(level.value)) for level in levels],
        x_ticks=[(to_x(k), name) for k, name in enumerate(names)]
        or [(to_x(x), f"{x:g}") for x in nice_ticks(first, last, 5) if first <= x <= last],
        y_ticks=[(to_y(y), tick_text(y, step, share)) for y in ticks],
        ends=apart(ends),
        legend=list(
            dict.fromkeys((line.name, line.tone, line.style) for line in lines if line.style != "pale")
            | dict.fromkeys((level.name, level.tone, "level") for level in levels)
        ),
        hover={"lines": hover, "left": LEFT, "right": RIGHT, "width": WIDTH},
    )


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About ``count`` round numbers, 1, 2 or 5 times a power of ten apart, from at or below ``low`` to ``high``."""
    if not high > low:
        low, high = low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5)
    rough = (high - low) / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= rough * 0.999)
    begin, end = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 12) for k in range(begin, end + 1)]


def tick_text(value: float, step: float, share: bool) -> str:
    """A tick with as many digits as its neighbours need to differ from it."""
    value, step = (100 * value, 100 * step) if share else (value, step)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{digits}f}{' %' if share else ''}"


def thinned(points: Sequence[tuple[float, float]], most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """At most ``most`` points: means of neighbours; the last point stays as it is."""
    if len(points) <= most:
        return list(points)
    size = math.ceil((len(points) - 1) / (most - 1))
    body = points[:-1]
    groups = [body[k : k + size] for k in range(0, len(body), size)]
    means = [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]
    return [*means, points[-1]]


def apart(labels: Sequence[tuple[float, str, str]], height: float = LABEL_HEIGHT) -> list[tuple[float, str, str]]:
    """Labels (y, tone, text) with at least ``height`` between them, none below the frame."""
    placed: list[tuple[float, str, str]] = []
    for y, tone, text in sorted(labels):
        placed.append((max(y, placed[-1][0] + height) if placed else y, tone, text))
    bottom = float(BOTTOM)
    for number in reversed(range(len(placed))):
        y, tone, text = placed[number]
        placed[number] = (round(min(y, bottom), 1), tone, text)
        bottom = placed[number][0] - height
    return placed
