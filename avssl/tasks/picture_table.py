"""Pictures in rows under headings: the sheet of tasks whose answers are pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from avssl.tasks.cards import INK, PALE, PAPER, fitted, font

_GAP, _MARGIN, _TITLE, _HEADING, _CAPTION = 4, 14, 44, 22, 17


@dataclass(frozen=True)
class Row:
    """Pictures that belong together: uint8 (h, w, 3) each, as many as there are headings; a line under them."""

    pictures: Sequence[NDArray[np.uint8]]
    caption: str = ""


def draw_table(title: str, headings: Sequence[str], rows: Sequence[Row], *, cell: int, across: int = 1) -> Image.Image:
    """One row below the other, ``across`` of them beside each other, each picture ``cell`` pixels wide."""
    width = len(headings) * (cell + _GAP) - _GAP
    across = max(1, min(across, len(rows)))
    lines = -(-len(rows) // across)
    height = cell + _CAPTION + _GAP
    large, small, tiny = font(18), font(13), font(11)
    wide = max(2 * _MARGIN * across + across * width, 2 * _MARGIN + round(large.getlength(title)))
    sheet = Image.new("RGB", (wide, _TITLE + _HEADING + lines * height + _MARGIN), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, 12), title, INK, large)
    for column in range(across):
        for number, heading in enumerate(headings):
            left = _MARGIN + column * (width + 2 * _MARGIN) + number * (cell + _GAP)
            pen.text((left, _TITLE), fitted(heading, small, cell), INK, small)
    for number, row in enumerate(rows):
        top = _TITLE + _HEADING + (number // across) * height
        left = _MARGIN + (number % across) * (width + 2 * _MARGIN)
        for column, picture in enumerate(row.pictures):
            image = Image.fromarray(np.ascontiguousarray(picture))
            place = (left + column * (cell + _GAP), top)
            sheet.paste(image.resize((cell, cell), Image.Resampling.BICUBIC), place)
        pen.text((left, top + cell + 2), fitted(row.caption, tiny, width), PALE, tiny)
    return sheet
