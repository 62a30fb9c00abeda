"""Line charts by matplotlib: as a PNG, and as SVG for a page whose style sheet gives the colours.

One description of a chart, one way of drawing it, so that the picture beside a run and the page show the same.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.system.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, EDGE, FAINT = "#1d2129", "#5b6472", "#dfe3e8", "#eef1f4"
_OTHERS = ("#3f8a4a", "#7a5aa6", "#94742a", "#5a5f66")
_RUNS = ("#2566a8", "#c4501b", "#2f8752", "#7a4fa8", "#8f6d1d", "#b23c77", "#23808a", "#5a5f66")
# Colours by what they stand for; on a page its style sheet has a variable of each name, light and dark
TONES = {
    "train": "#2f6fad",
    "val": "#c4501b",
    "random": "#c4501b",
    "chance": "#7c8592",
    **{f"other-{k}": colour for k, colour in enumerate(_OTHERS)},
    **{f"run-{k}": colour for k, colour in enumerate(_RUNS)},
}

# Longer lines are thinned by means of neighbours: a chart of 400 pixels needs no more
MOST_POINTS = 240


@dataclass(frozen=True)
class Line:
    """A line to draw."""

    name: str  # for the legend; lines of one name and tone have one entry
    tone: str  # a key of :data:`TONES`
    points: Sequence[tuple[float, float]]  # (x, y), finite, by rising x
    spans: Sequence[tuple[float, float]] = ()  # of each point its interval (low, high); empty where there is none
    style: str = "bold"  # "bold", "thin", "pale" (not in the legend), or "broken"
    marks: bool = False  # whether each point is a dot
    ends: bool = False  # whether its last value is written beside it, after ``letter``
    letter: str = ""


@dataclass(frozen=True)
class Level:
    """A dashed level line: chance, or a figure that has no stages."""

    name: str
    value: float
    tone: str = "chance"


@dataclass(frozen=True)
class Chart:
    """What is drawn."""

    title: str
    lines: Sequence[Line]
    levels: Sequence[Level] = ()
    share: bool = False  # whether values are shares, written as per cent
    names: Sequence[str] = ()  # texts of x = 0, 1, 2, …, where x stands for names (stages)
    x_label: str = "step"
    from_zero: bool = False  # whether the y axis begins at 0

    @property
    def legend(self) -> list[tuple[str, str, str]]:
        """(name, tone, style) of each entry, in order."""
        lines = [(line.name, line.tone, line.style) for line in self.lines if line.style != "pale"]
        levels = [(f"{level.name} {self.text(level.value)}", level.tone, "level") for level in self.levels]
        return list(dict.fromkeys(lines + levels))

    def text(self, value: float) -> str:
        """A value in words."""
        return f"{100 * value:.1f} %" if self.share else f"{value:.4g}"


def write_charts(charts: Sequence[Sequence[Chart | None]], path: Path, title: str = "") -> None:
    """Write charts in rows as one PNG, written atomically; None leaves an empty place with a note."""
    figure, axes = _figure(len(charts), len(charts[0]), 110, (5.6, 3.9))
    if title:
        readable = title.encode("utf-8", "replace").decode()  # a name need not be UTF-8, what is drawn must
        # A name may hold dollars.
        figure.suptitle(readable, parse_math=False, x=0.01, ha="left", fontsize=11, color=INK)
    for row, places in zip(charts, axes, strict=True):
        for chart, place in zip(row, places, strict=True):
            if chart is None:
                # An empty place, so that the charts of all runs stand where they stand in others
                place.set_axis_off()
                place.text(0.5, 0.5, "nothing logged", transform=place.transAxes, ha="center", color=SOFT)
                continue
            _draw(place, chart, _PNG)
            place.set_title(chart.title, loc="left", fontsize=10, color=INK)
            place.legend(*_handles(chart), edgecolor="none", framealpha=0.9, fontsize=8.5, labelcolor=INK, loc="best")
    figure.canvas.draw()
    # After drawing: texts are kept apart in pixels, which the layout alone knows.
    _write_ends(axes, charts, _PNG)
    save_figure(figure, path)


def blank_figure(width: float, height: float, dpi: int = 110) -> Figure:
    """A figure of so many inches that no window and no state of pyplot knows of."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure of matplotlib as PNG, whole or not at all."""
    with whole_file(path) as file:
        figure.savefig(file, format="png", facecolor="white")


def svg_of(chart: Chart) -> str:
    """The chart as an SVG element for a page: text in the page's letters, colours as ``var(--TONE)``.

    The attribute ``data-hover`` holds, as JSON, where the points are and the text of each: "left", "right" and
    "width" in the SVG's own pixels; "lines" with "name", "tone" and "points" [x, y, place, value].
    """
    import matplotlib as mpl

    # Letters stay letters, and the same chart is the same text.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": chart.title}):
        figure, axes = _figure(1, 1, 72, (470 / 72, 270 / 72))
        place = axes[0][0]
        _draw(place, chart, _SVG)
        figure.canvas.draw()
        _write_ends(axes, [[chart]], _SVG)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_page(buffer.getvalue(), chart, place)


def thinned(points: Sequence[tuple[float, float]], most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """At most ``most`` points: means of neighbours; the last point stays as it is."""
    if len(points) <= most:
        return list(points)
    size = math.ceil((len(points) - 1) / (most - 1))
    body = points[:-1]
    groups = [body[k : k + size] for k in range(0, len(body), size)]
    means = [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]
    # The last point is no mean: its value is written beside the line
    return [*means, points[-1]]


def apart(heights: Sequence[float], lowest: float, distance: float) -> list[float]:
    """The heights moved as little as need be to stand ``distance`` apart, none below ``lowest``; in their order."""
    order = sorted(range(len(heights)), key=lambda k: heights[k])
    placed = list(heights)
    for before, k in zip([None, *order], order, strict=False):
        placed[k] = max(heights[k], lowest if before is None else placed[before] + distance)
    return placed


# Points of the letters; an SVG of 470 pixels is drawn at 72 dots an inch
_PNG, _SVG = 8.5, 11.0

_STYLES: dict[str, dict[str, object]] = {
    "bold": {"linewidth": 1.9},
    "thin": {"linewidth": 1.2, "alpha": 0.75},
    "pale": {"linewidth": 1.0, "alpha": 0.35},
    "broken": {"linewidth": 1.5, "linestyle": (0, (1.5, 2.5))},
    "level": {"linewidth": 1.3, "linestyle": (0, (4, 3))},
}


def _figure(rows: int, columns: int, dpi: int, size: tuple[float, float]) -> tuple[Figure, Sequence[Sequence[Axes]]]:
    figure = blank_figure(size[0] * columns, size[1] * rows, dpi)
    return figure, figure.subplots(rows, columns, squeeze=False).tolist()


def dress(axes: Axes, letters: float = 8.5) -> None:
    """Give axes the look of all charts: no frame, pale lines across, quiet letters of so many points."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(EDGE)
    axes.grid(axis="y", color=FAINT, linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=letters, labelcolor=SOFT, length=0)


def _draw(axes: Axes, chart: Chart, letters: float) -> None:
    from matplotlib.ticker import MaxNLocator

    for line in chart.lines:
        # What has intervals has few points, each of them drawn.
        points = thinned(line.points) if not line.spans else list(line.points)
        x, y = ([point[k] for point in points] for k in (0, 1))
        colour, style = TONES[line.tone], _STYLES[line.style]
        axes.plot(x, y, color=colour, **style)  # type: ignore[arg-type]
        if line.marks:  # not cut in half at the frame
            axes.plot(x, y, "o", color=colour, markersize=0.5 * letters, markeredgewidth=0, clip_on=False)
        lows, highs = ([span[k] for span in line.spans] for k in (0, 1))
        axes.vlines(x[: len(lows)], lows, highs, color=colour, linewidth=1.1, alpha=0.6)
    for level in chart.levels:
        axes.axhline(level.value, color=TONES[level.tone], **_STYLES["level"])  # type: ignore[arg-type]
    if chart.names:
        axes.set_xticks(range(len(chart.names)), chart.names)
        axes.set_xlim(-0.3, len(chart.names) - 0.7)
    else:
        axes.set_xlabel(chart.x_label, fontsize=letters, color=SOFT, loc="right")
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.margins(x=0)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    low, high = axes.get_ylim()
    if chart.share:
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g} %")
        # Margins would show shares below 0 and above 1.
        low, high = max(low, min(0.0, *_heights(chart))), min(high, max(1.0, *_heights(chart)))
    # From zero on heights can be compared; values below it need room of their own
    axes.set_ylim(0.0 if chart.from_zero and min(_heights(chart)) >= 0 else low, high)
    dress(axes, letters)
    if any(line.ends for line in chart.lines):  # room for the last values, which are written there
        longest = max(len(_end_text(chart, line)) for line in chart.lines if line.ends)
        axes.text(1.02, 0.5, "0" * longest, transform=axes.transAxes, fontsize=letters, alpha=0)


def _heights(chart: Chart) -> list[float]:
    values = [y for line in chart.lines for _, y in line.points] + [level.value for level in chart.levels]
    return values + [end for line in chart.lines for span in line.spans for end in span if math.isfinite(end)]


def _end_text(chart: Chart, line: Line) -> str:
    return f"{line.letter} {chart.text(line.points[-1][1])}".strip()


def _write_ends(axes: Iterable[Iterable[Axes]], charts: Iterable[Iterable[Chart | None]], letters: float) -> None:
    """The last values beside the frame, moved apart where they would cover each other; after the layout is known."""
    for places, row in zip(axes, charts, strict=True):
        for place, chart in zip(places, row, strict=True):
            ending = [line for line in chart.lines if line.ends] if chart else []
            if chart is None or not ending:
                continue
            pixels = [float(place.transData.transform((0, line.points[-1][1]))[1]) for line in ending]
            lowest = float(place.transAxes.transform((0, 0))[1])
            # One line of text in pixels: letters are measured in points, of which an inch has 72
            distance = 1.2 * letters * place.figure.dpi / 72
            for line, pixel in zip(ending, apart(pixels, lowest, distance), strict=True):
                height = float(place.transAxes.inverted().transform((0, pixel))[1])
                text = _end_text(chart, line)
                place.text(
                    1.02, height, text, transform=place.transAxes, fontsize=letters, weight="bold", va="center",
                    color=TONES[line.tone],
                )  # fmt: skip


def _handles(chart: Chart) -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=TONES[tone], **_STYLES[style]) for _, tone, style in chart.legend]  # type: ignore[arg-type]
    return handles, [name for name, _, _ in chart.legend]


_NAMES = {INK: "ink", SOFT: "soft", EDGE: "line", FAINT: "faint"}


def _for_page(svg: str, chart: Chart, axes: Axes) -> str:
    """Only the element, without what would reach the rest of the page: its style for everything, and names."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<defs>\s*<style.*?</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Ids such as "patch_2" would be there twice on a page of two charts; ids of clip paths, which are referred to, stay
    svg = re.sub(r' id="[\w.]+_\d+"', "", svg)
    # Of matplotlib's letters only the size is kept: the page has its own
    svg = re.sub(r"font: [^;\"]*?([\d.]+)px[^;\"]*", r"font-size: \1px", svg)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    # Of tones of one colour (val, random, run-1) the first of the legend gives the name, so from the end on
    names = _NAMES | {TONES[tone]: tone for _, tone, _ in reversed(chart.legend)}
    # The page gives the colours, so that one picture suits light and dark.
    for colour, name in names.items():
        svg = svg.replace(colour, f"var(--{name})")
    height = axes.figure.bbox.height
    (left, low), (right, high) = (axes.transAxes.transform(corner) for corner in ((0, 0), (1, 1)))
    hover = {"lines": _hover(chart, axes), "left": round(left, 1), "right": round(right, 1), "width": 470}
    head = (
        f'<svg viewBox="0 0 470 {height:g}" role="img" aria-label="{escape(chart.title)}" '
        f'data-hover="{escape(json.dumps(hover))}">'
    )
    # Moved by the page's script to the point that the pointer is near
    cursor = f'<line class="cursor" y1="{height - high:.1f}" y2="{height - low:.1f}"/>'
    return head + svg[svg.index(">") + 1 :].replace("</svg>", f"{cursor}</svg>")


def _hover(chart: Chart, axes: Axes) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    height = axes.figure.bbox.height
    for line in chart.lines:
        if line.style == "pale":
            continue
        places = []
        for x, y in thinned(line.points) if not line.spans else line.points:
            at = axes.transData.transform((x, y))
            name = chart.names[int(x)] if chart.names else f"{chart.x_label} {x:g}"
            places.append([round(float(at[0]), 1), round(height - float(at[1]), 1), name, chart.text(y)])
        found.append({"name": line.name, "tone": line.tone, "points": places})
    return found
