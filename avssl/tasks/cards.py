"""Sheets of cards: a picture, its label and the network's prediction, one card a puzzle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

INK, PALE, PAPER, LINE = "#222222", "#777777", "#ffffff", "#d8d8d8"
YES, NO, FIRST = "#1a7f4b", "#b3432b", "#1f5fa8"
_MARGIN, _GAP, _HEAD, _FOOT, _TITLE = 16, 18, 26, 18, 52

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Card:
    """One puzzle.

    Attributes:
        picture: what is seen.
        truth: the label, as text.
        predicted: the network's prediction, as text; empty for none.
        right: whether it is right.
        caption: where the puzzle comes from.
    """

    picture: Image.Image
    truth: str
    predicted: str = ""
    right: bool = True
    caption: str = ""


def draw_cards(title: str, note: str, cards: Sequence[Card], *, width: int = 1200) -> Image.Image:
    """The cards in rows as wide as ``width`` pixels allow, under a title and a line of explanation."""
    across = max(1, min(len(cards), (width - 2 * _MARGIN + _GAP) // (cards[0].picture.width + _GAP)))
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
