"""Result rows on the screen: a table on a terminal, aligned columns in a pipe."""

from __future__ import annotations

import errno
import io
import math
import re
import sys
import textwrap
from collections.abc import Container, Sequence
from itertools import takewhile
from typing import IO, Any, cast

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from avssl.evaluate.core.rows import ResultRow, is_share
from avssl.system.console import visible
from avssl.system.notebook import in_notebook

NOTEBOOK_WIDTH = 100  # Characters of a cell's output in the usual window
PIPE_WIDTH = 400  # Columns where there is no terminal to ask: lines in a log stay whole

# Characters of a line of a metric that is broken at its hyphens; in less rich breaks all columns as it can.
SHORTEST = 8


class _Console(Console):
    """Leaves a closed pipe to the command line, which ends with status 0; rich would end with status 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, "the reader of the pipe has gone")


class _Stripped:
    """A file that gets lines without the spaces at their ends, with which rich fills the columns of a table."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        # Rich writes all that one call of print shows at once: no line is cut in two here.
        return self._file.write(re.sub(r" +$", "", text, flags=re.MULTILINE))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def console(file: IO[str] | None = None, width: int | None = None) -> Console:
    """Where tables go: coloured on a terminal, wide and plain elsewhere, where no ``width`` is given."""
    file = sys.stdout if file is None else file
    if width is None and not file.isatty():
        width = NOTEBOOK_WIDTH if in_notebook() else PIPE_WIDTH
        file = cast(IO[str], _Stripped(file))
    # In a notebook rich would show what is printed anywhere as an output of the cell, even into a text.
    return _Console(file=file, highlight=False, width=width, soft_wrap=False, force_jupyter=False)


def plain_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], title: str = "", right: Container[int] = ()
) -> Table:
    """A table of texts.

    Args:
        headers: one a column.
        rows: texts; they are shown as they are, markup is not read.
        right: numbers of the columns that are aligned on the right (figures).
    """
    table = Table(
        box=SIMPLE_HEAD,
        title=Text(visible(title), "bold") if title else None,
        title_justify="left",
        pad_edge=False,
        show_header=any(headers),
    )
    for number, header in enumerate(headers):
        table.add_column(Text(header), justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        # Of plain texts rich would read "[0.9, 1.0]" as a style and ":on:" as an emoji.
        table.add_row(*(Text(visible(cell)) for cell in row))
    return table


def fitted_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], screen: Console, right: Container[int] = ()
) -> Table:
    """A table as wide as the screen at most: the widest columns are wrapped, first between words, then behind the
    slashes and hyphens of paths and names; a word breaks within only where it is wider than its column."""
    rows = [[visible(cell) for cell in row] for row in rows]
    columns = [[line for text in column for line in text.split("\n")] for column in zip(headers, *rows, strict=True)]
    widths = [max(map(len, column)) for column in columns]
    excess = sum(widths) + _GAP * (len(widths) - 1) - screen.width
    for pattern in (r"[^ ]+", _PIECE, "."):
        least = [max(len(part) for line in column for part in re.findall(pattern, line) or [""]) for column in columns]
        while excess > 0 and (wide := [k for k, width in enumerate(widths) if width > max(least[k], SHORTEST)]):
            widths[max(wide, key=widths.__getitem__)] -= 1
            excess -= 1
    cells = [[_wrapped(text, width) for text, width in zip(row, widths, strict=True)] for row in (headers, *rows)]
    table = plain_table(cells[0], cells[1:], right=right)
    table.show_edge, table.padding = False, (0, 1, 0, 0)
    return table


# Columns between two of a table that is as close as may be
_GAP = 2

# What a path or a name may be broken into; what no-break spaces hold together stays whole
_PIECE = r"[^ ]*\xa0[^ ]*|[^ /\-,._]+[/\-,._]*|[/\-,._]+"


def figure_words(text: str) -> str:
    """The text with the figures in it kept whole where a line is wrapped: "90.7 %", "88.5 – 92.6 %"."""
    return re.sub(r" (?=%|– |\d)|(?<=–) ", "\xa0", text)


def _wrapped(text: str, width: int) -> str:
    """The text in lines of at most ``width`` characters."""
    lines = []
    for line in text.split("\n"):
        # Not at hyphens, of what is not too wide: "2026-11-27" stays on one line.
        found = textwrap.wrap(line, width, break_on_hyphens=False, break_long_words=False)
        lines += [part for each in found for part in ([each] if len(each) <= width else _broken(each, width))] or [""]
    return "\n".join(lines).replace("\xa0", " ")


def _broken(word: str, width: int) -> list[str]:
    lines = [""]
    for piece in re.findall(_PIECE, word):
        if len(lines[-1] + piece) > width:
            lines.append("")
        lines[-1] += piece
    return [line[k : k + width] for line in lines if line for k in range(0, len(line), width)]


def rows_text(rows: Sequence[ResultRow], title: str = "") -> str:
    """The table of :func:`print_rows` as text for the log, as wide as the terminal on which it may be shown."""
    text = io.StringIO()
    print_rows(rows, title, text, Console().width if sys.stdout.isatty() else None)
    return text.getvalue().removesuffix("\n")


def print_rows(
    rows: Sequence[ResultRow], title: str = "", file: IO[str] | None = None, width: int | None = None
) -> None:
    """Each row with its interval, chance and N; a mark where the interval includes chance.

    The common beginning of all notes stands once, above; on a narrow terminal the notes stand below the figures.
    """
    if not rows:
        return
    common, notes = _shared_note([row.note for row in rows])
    cells = [row_texts(row) for row in rows]
    headers = ["", "metric", "value", "95 % interval", "chance", "N", ""]
    screen, heading = (
        console(file, width),
        "; ".join(part for part in (title, "" if common in title else common) if part),
    )
    beside = [[*own, note] for own, note in zip(cells, notes, strict=True)]
    # Notes stand beside the figures where all fits; a cell that rich breaks cannot be read.
    wide = plain_table([*headers, ""], beside, heading, right=range(2, 6))
    if table_width(wide, screen) <= screen.width:
        screen.print(wide)
        return
    narrow = _narrow_table(headers, cells, screen)
    screen.print(Text(heading, "bold"), narrow, sep="\n\n", end="\n\n")
    below = [f"{row.name}: {note}" for row, note in zip(rows, notes, strict=True) if note]
    for line in dict.fromkeys(below):  # a network with several metrics has its note once
        screen.print(Padding(Text(line), (0, 0, 0, 2)))


def _narrow_table(headers: Sequence[str], cells: Sequence[Sequence[str]], screen: Console) -> Table:
    """The figures close together; where they still do not fit, metrics break at their hyphens."""

    def table(rows: Sequence[Sequence[str]], gap: int) -> Table:
        made = plain_table(headers, rows, right=range(2, 6))
        made.show_edge, made.padding = False, (0, gap, 0, 0)
        return made

    for gap in (1, 0):
        # First the gaps between columns go, then metrics are broken: names stay whole as long as may be.
        excess = table_width(table(cells, gap), screen) - screen.width
        if excess <= 0:
            return table(cells, gap)
    room = max(len(own[1]) for own in cells) - excess
    if room < SHORTEST:
        return table(cells, 0)
    return table([[own[0], "\n".join(textwrap.wrap(own[1], room)), *own[2:]] for own in cells], 0)


def table_width(table: Table, screen: Console) -> int:
    """Columns that a table takes where nothing in it is broken."""
    return Measurement.get(screen, screen.options.update(width=PIPE_WIDTH), table).maximum


def _shared_note(notes: Sequence[str]) -> tuple[str, list[str]]:
    """What all notes of several rows begin with, to a semicolon or whole, and the notes without it."""
    parts = [note.split("; ") for note in notes]
    # One row alone keeps its note beside it.
    same = takewhile(lambda each: len(set(each)) == 1, zip(*parts, strict=False))
    count = sum(1 for _ in same) if len(notes) > 1 else 0
    return "; ".join(parts[0][:count]), ["; ".join(part[count:]) for part in parts]


def row_texts(row: ResultRow) -> list[str]:
    """Name, metric, value, interval, chance, N, and whether the value lies at chance."""
    figures = (row.value, row.chance)
    value, chance = ("" if figure is None else figure_text(figure, row.metric) for figure in figures)
    return [row.name, row.metric, value, interval_text(row), chance, str(row.n), beside_chance(row)]


def figure_text(value: float, metric: str) -> str:
    """Shares as per cent; other figures as they are; "–" where there is none."""
    if math.isnan(value):
        return "–"
    return f"{100 * value:.1f} %" if is_share(metric) else f"{value:.4g}"


def interval_text(row: ResultRow) -> str:
    """Both ends; ranges of repetitions, which older runs have instead of intervals, are marked as such."""
    ends = f"{figure_text(row.low, row.metric)} – {figure_text(row.high, row.metric)}"
    return f"range {ends}" if row.method == "range" else ends


def beside_chance(row: ResultRow) -> str:
    """ "at chance" where the interval includes chance, else "above" or "below"; empty without chance or interval."""
    if row.chance is None or math.isnan(row.value) or row.method == "range":
        return ""
    if row.holds_chance:
        return "at chance"
    return "above" if row.value > row.chance else "below"
