"""Rows of pictures under common headings: what is true beside what each network says."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from avssl.media.cache import whole_file
from avssl.tasks.cards import INK, PALE, PAPER, fitted, font

_MARGIN, _GAP, _TITLE, _HEAD, _FOOT = 16, 10, 52, 22, 20

Row = tuple[Sequence[Image.Image], Sequence[str]]
"""Pictures of one size, and a line below each."""


def draw_rows(title: str, note: str, headings: Sequence[str], rows: Sequence[Row], *, across: int = 1) -> Image.Image:
    """The rows under a title and a line of explanation.

    Args:
        headings: of the pictures of a row, from left to right.
        rows: all with as many pictures.
        across: rows beside each other.
    """
    cell = max(p.width for row, _ in rows for p in row), max(p.height for row, _ in rows for p in row)
    across = min(across, len(rows))
    wide = len(headings) * (cell[0] + _GAP)
    step = _GAP + wide, cell[1] + _FOOT + _GAP
    large, middle, small = font(19), font(14), font(11)
    width = max(2 * _MARGIN + across * step[0] - 2 * _GAP, 2 * _MARGIN + round(small.getlength(note)))
    height = _MARGIN + _TITLE + _HEAD + -(-len(rows) // across) * step[1]
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN - 4), fitted(title, large, width - 2 * _MARGIN), INK, large)
    pen.text((_MARGIN, _MARGIN + 22), note, PALE, small)
    for number, (pictures, lines) in enumerate(rows):
        left = _MARGIN + (number % across) * step[0]
        top = _MARGIN + _TITLE + _HEAD + (number // across) * step[1]
        for place, (picture, line) in enumerate(zip(pictures, lines, strict=True)):
            x = left + place * (cell[0] + _GAP)
            if number < across:
                pen.text((x, top - _HEAD), fitted(headings[place], middle, cell[0]), INK, middle)
            sheet.paste(picture, (x, top))
            pen.text((x, top + picture.height + 3), fitted(line, small, cell[0]), PALE, small)
    return sheet


def save_png(picture: Image.Image, path: Path) -> None:
    """Write it whole or not at all.

    Raises:
        UserError: no space, or no right to write.
    """
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    with whole_file(path) as file:
        file.write(buffer.getvalue())
