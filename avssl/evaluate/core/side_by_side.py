"""Rows of pictures under common headings: ground truth beside each network's predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from avssl.system.files import whole_file
from avssl.tasks.cards import INK, PALE, PAPER, fitted, font

_MARGIN, _GAP, _TITLE, _HEAD, _FOOT = 16, 10, 52, 22, 20

# Pictures of one size, and a line below each
Row = tuple[Sequence[Image.Image], Sequence[str]]


def draw_rows(title: str, note: str, headings: Sequence[str], rows: Sequence[Row], *, across: int = 1) -> Image.Image:
    """Rows of as many pictures each, under a title, a line of explanation and the headings; ``across`` rows side by
    side."""
    cell = max(picture.width for pictures, _ in rows for picture in pictures)
    across = min(across, len(rows))
    step = _GAP + len(headings) * (cell + _GAP)
    bands = [rows[k : k + across] for k in range(0, len(rows), across)]
    heights = [max(picture.height for pictures, _ in band for picture in pictures) + _FOOT + _GAP for band in bands]
    large, middle, small = font(19), font(14), font(11)
    width = max(2 * _MARGIN + across * step - 2 * _GAP, 2 * _MARGIN + round(small.getlength(note)))
    top = _MARGIN + _TITLE + _HEAD
    sheet = Image.new("RGB", (width, top + sum(heights)), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN - 4), fitted(title, large, width - 2 * _MARGIN), INK, large)
    pen.text((_MARGIN, _MARGIN + 22), note, PALE, small)
    for k in range(across):
        for place, heading in enumerate(headings):
            pen.text(
                (_MARGIN + k * step + place * (cell + _GAP), top - _HEAD), fitted(heading, middle, cell), INK, middle
            )
    for band, height in zip(bands, heights, strict=True):
        for k, (pictures, lines) in enumerate(band):
            for place, (picture, line) in enumerate(zip(pictures, lines, strict=True)):
                x = _MARGIN + k * step + place * (cell + _GAP)
                sheet.paste(picture, (x, top))
                pen.text((x, top + picture.height + 3), fitted(line, small, cell), PALE, small)
        top += height
    return sheet


def save_png(picture: Image.Image, path: Path) -> None:
    """Write it whole or not at all."""
    with whole_file(path) as file:
        picture.save(file, format="PNG")
