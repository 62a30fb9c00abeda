"""Sheets for people: cards (a picture, its label, the network's prediction), or pictures in rows under headings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

INK, PALE, PAPER, LINE = "#222222", "#777777", "#ffffff", "#d8d8d8"
YES, NO, FIRST = "#1a7f4b", "#b3432b", "#1f5fa8"
# Of cards, in pixels: a sheet is about as wide as a page in a browser.
_WIDTH, _MARGIN, _GAP, _HEAD, _FOOT, _TITLE = 1200, 16, 18, 26, 18, 52

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Card:
    """One puzzle."""

    picture: Image.Image  # what is seen
    truth: str  # the label, as text
    predicted: str = ""  # the network's prediction, as text; empty for none
    right: bool = True  # whether it is right
    caption: str = ""  # where the puzzle comes from


def draw_cards(title: str, note: str, cards: Sequence[Card]) -> Image.Image:
    """The cards in rows, under a title and a line of explanation."""
    across = max(1, min(len(cards), (_WIDTH - 2 * _MARGIN + _GAP) // (cards[0].picture.width + _GAP)))
    cell = max(card.picture.width for card in cards), max(card.picture.height for card in cards)
    rows = -(-len(cards) // across)
    step = cell[0] + _GAP, _HEAD + cell[1] + _FOOT + _GAP
    large, middle, small = font(19), font(15), font(11)
    wide = 2 * _MARGIN + across * step[0] - _GAP
    wide = max(wide, 2 * _MARGIN + round(max(large.getlength(title), small.getlength(note))))
    sheet = Image.new("RGB", (wide, _MARGIN + _TITLE + rows * step[1]), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN - 4), title, INK, large)
    pen.text((_MARGIN, _MARGIN + 22), note, PALE, small)
    for number, card in enumerate(cards):
        left = _MARGIN + (number % across) * step[0]
        top = _MARGIN + _TITLE + (number // across) * step[1]
        pen.text((left, top), card.truth, INK, middle)
        if card.predicted:
            after = left + middle.getlength(card.truth + "  ")
            pen.text((after, top), card.predicted, YES if card.right else NO, middle)
        sheet.paste(card.picture, (left, top + _HEAD))
        caption = fitted(card.caption, small, cell[0])
        pen.text((left, top + _HEAD + card.picture.height + 3), caption, PALE, small)
    return sheet


# Of tables: gap between pictures, margin, and heights of the title, the headings and the captions, in pixels.
_TABLE_GAP, _TABLE_MARGIN, _TABLE_TITLE, _HEADING, _CAPTION = 4, 14, 44, 22, 17


@dataclass(frozen=True)
class Row:
    """Pictures that belong together: uint8 (h, w, 3) each, as many as there are headings; a line under them."""

    pictures: Sequence[NDArray[np.uint8]]
    caption: str = ""


def draw_table(title: str, headings: Sequence[str], rows: Sequence[Row], *, cell: int, across: int = 1) -> Image.Image:
    """One row below the other, ``across`` of them beside each other, each picture ``cell`` pixels wide."""
    width = len(headings) * (cell + _TABLE_GAP) - _TABLE_GAP
    across = max(1, min(across, len(rows)))
    lines = -(-len(rows) // across)
    height = cell + _CAPTION + _TABLE_GAP
    large, small, tiny = font(18), font(13), font(11)
    wide = max(2 * _TABLE_MARGIN * across + across * width, 2 * _TABLE_MARGIN + round(large.getlength(title)))
    sheet = Image.new("RGB", (wide, _TABLE_TITLE + _HEADING + lines * height + _TABLE_MARGIN), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_TABLE_MARGIN, 12), title, INK, large)
    for column in range(across):
        for number, heading in enumerate(headings):
            left = _TABLE_MARGIN + column * (width + 2 * _TABLE_MARGIN) + number * (cell + _TABLE_GAP)
            pen.text((left, _TABLE_TITLE), fitted(heading, small, cell), INK, small)
    for number, row in enumerate(rows):
        top = _TABLE_TITLE + _HEADING + (number // across) * height
        left = _TABLE_MARGIN + (number % across) * (width + 2 * _TABLE_MARGIN)
        for column, picture in enumerate(row.pictures):
            image = Image.fromarray(np.ascontiguousarray(picture))
            place = (left + column * (cell + _TABLE_GAP), top)
            sheet.paste(image.resize((cell, cell), Image.Resampling.BICUBIC), place)
        pen.text((left, top + cell + 2), fitted(row.caption, tiny, width), PALE, tiny)
    return sheet


def font(points: int) -> Font:
    """The font of all sheets."""
    return ImageFont.load_default(points)


def fitted(text: str, font: Font, width: float) -> str:
    """The text, cut so that it is no wider than ``width`` pixels."""
    # Letter by letter: widths differ, and captions are short.
    while len(text) > 1 and font.getlength(text) > width:
        text = text[:-2].rstrip() + "…"
    return text


def origin(name: str, seconds: float = 0.0) -> str:
    """Where a puzzle comes from, for a caption: folder, file and time; what is no UTF-8 as question marks."""
    path = Path(name)
    time = f"  {seconds:.2f} s" if seconds else ""
    return f"{path.parent.name}/{path.name}{time}".encode("utf-8", "replace").decode()


def picture_of(pixels: NDArray[np.uint8] | Tensor) -> Image.Image:
    """A picture (3, h, w), uint8 or float 0..1 (what lies outside is clipped)."""
    if isinstance(pixels, Tensor):
        pixels = (pixels.detach().cpu().float().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def enlarged(picture: Image.Image, side: int) -> Image.Image:
    """A picture whose longer side is ``side`` pixels."""
    scale = side / max(picture.size)
    size = max(round(picture.width * scale), 1), max(round(picture.height * scale), 1)
    return picture.resize(size, Image.Resampling.BICUBIC)


def framed(picture: Image.Image, colour: str, width: int = 3) -> Image.Image:
    """The picture with a frame drawn over its border."""
    copy = picture.copy()
    ImageDraw.Draw(copy).rectangle((0, 0, copy.width - 1, copy.height - 1), outline=colour, width=width)
    return copy


def chosen_class(scores: Tensor) -> tuple[int, float]:
    """The class with the highest of one row of scores, and its probability."""
    probabilities = torch.softmax(scores.float(), 0)
    best = int(probabilities.argmax())
    return best, float(probabilities[best])


def class_card(
    picture: Image.Image, label: int, scores: Tensor | None, name: Callable[[int], str], caption: str
) -> Card:
    """The card of a puzzle with classes, called by ``name``; with one row of scores also the predicted class."""
    if scores is None:
        return Card(picture, name(label), caption=caption)
    best, probability = chosen_class(scores)
    return Card(picture, name(label), f"predicted {name(best)} ({probability:.0%})", best == label, caption)
