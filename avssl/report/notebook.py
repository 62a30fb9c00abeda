"""Result rows as a table for notebooks, with a bar from 0 to 1 beside each share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from avssl.evaluate.core.rows import ResultRow, is_share
from avssl.report.tables import row_texts
from avssl.system import html
from avssl.system.console import counted

WIDTH, HEIGHT = 160, 14  # pixels of a bar, as high as a line of text

MOST_SHOWN = 20
"""Rows that are seen at once, about a window; further ones are folded below them."""


def rows_html(rows: Sequence[ResultRow], files: Sequence[str] = ()) -> Markup:
    """A row a result: value, interval, chance, N, and a bar from 0 to 1.

    Args:
        rows: the results.
        files: of each row the name of the file that it is from; none where that is said elsewhere.
    """
    named = len(set(files)) > 1
    cells: list[list[Markup | str]] = []
    for row, file in zip(rows, files or [""] * len(rows), strict=True):
        name, metric, *figures = row_texts(row)
        value, *others = map(html.unbroken, figures)
        cells.append([*([file] if named else []), name, metric, value, _bar(row), *others, row.note])
    headers = ["name", "metric", "value", "", "95 % interval", "chance", "N", "", ""]
    headers = ["results", *headers] if named else headers
    shown, folded = cells[:MOST_SHOWN], cells[MOST_SHOWN:]
    below = html.folded(f"{counted(len(folded), 'more row')}", html.table(headers, folded)) if folded else ""
    return html.table(headers, shown) + below


def _bar(row: ResultRow) -> Markup:
    """The value as a bar, its interval as a line across its end, chance as a tick; nothing of what is no share."""
    if not is_share(row.metric) or math.isnan(row.value):
        return Markup("")
    # An interval that is not known is a point.
    low, high = (row.value if math.isnan(end) else end for end in (row.low, row.high))
    middle = HEIGHT / 2
    chance = ""
    if row.chance is not None:
        place = f"{WIDTH * row.chance:.1f}"
        chance = f'<line x1="{place}" x2="{place}" y1="0" y2="{HEIGHT}" stroke="#8a8a8a" stroke-dasharray="2 2"/>'
    return Markup(
        f'<svg width="{WIDTH}" height="{HEIGHT}">'
        f'<rect width="{WIDTH * max(row.value, 0):.1f}" y="2" height="{HEIGHT - 4}" fill="#8fb4d9"/>'
        f'<line x1="{WIDTH * low:.1f}" x2="{WIDTH * high:.1f}" y1="{middle}" y2="{middle}" stroke="#2f6fad"/>'
        f"{chance}</svg>"
    )
