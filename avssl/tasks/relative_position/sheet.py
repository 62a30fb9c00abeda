"""The sheet of relative position: the two patches as they are fed, and where they lie in the picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw
from torch import Tensor

from avssl.samplers.patches import NEIGHBOURS
from avssl.tasks.base import Answers
from avssl.tasks.cards import (
    FIRST,
    INK,
    LINE,
    NO,
    PAPER,
    YES,
    Card,
    chosen_class,
    draw_cards,
    enlarged,
    font,
    framed,
    origin,
    picture_of,
)
from avssl.tasks.patches import PatchPuzzle

# Names of the classes: where the second patch lies relative to the first.
NAMES = (
    *("above left", "above", "above right"),
    *("left", "right"),
    *("below left", "below", "below right"),
)

_PATCH, _SMALL, _HEIGHT = 78, 46, 168


def draw_sheet(puzzles: Sequence[PatchPuzzle], fed: Sequence[Tensor], answers: Answers | None) -> Image.Image:
    """Each puzzle's first pair: patches as the network is ``fed`` them (P, 3, p, p), places, picture and prediction."""
    cards, place = [], 0
    for puzzle, patches in zip(puzzles, fed, strict=True):
        label = int(puzzle.labels[0])
        best, predicted = None, ""
        if answers is not None:
            best, probability = chosen_class(answers.scores[place])
            predicted = f"predicted {NAMES[best]} ({probability:.0%})"
        place += len(puzzle.labels)
        picture = _drawn(puzzle, patches, label, best)
        cards.append(Card(picture, NAMES[label], predicted, best == label, origin(puzzle.name, puzzle.seconds)))
    note = (
        "The first patch (blue) and the second as the network sees them; the eight places, the true one filled; "
        "the picture. Above: where the second patch lies."
    )
    return draw_cards("Where does the second patch lie relative to the first?", note, cards)


def _drawn(puzzle: PatchPuzzle, fed: Tensor, label: int, best: int | None) -> Image.Image:
    first, second = (int(number) for number in puzzle.chosen[0])
    patches = [picture_of(fed[number]).resize((_PATCH, _PATCH), Image.Resampling.NEAREST) for number in (first, second)]
    field = 3 * _SMALL + 2 * 8
    whole = _with_places(puzzle, first, second)
    canvas = Image.new("RGB", (_PATCH + 14 + field + 14 + 260, _HEIGHT), PAPER)
    canvas.paste(framed(patches[0], FIRST), (0, 0))
    canvas.paste(framed(patches[1], INK, 1), (0, _HEIGHT - _PATCH))
    small = [patch.resize((_SMALL, _SMALL), Image.Resampling.BICUBIC) for patch in patches]
    _places(canvas, _PATCH + 14, small, label, best)
    canvas.paste(whole, (_PATCH + 14 + field + 14, 0))
    return canvas


def _places(canvas: Image.Image, left: int, patches: Sequence[Image.Image], label: int, best: int | None) -> None:
    """The first patch amid its eight places, numbered; the second in its own; the network's framed."""
    pen = ImageDraw.Draw(canvas)
    step = _SMALL + 8
    canvas.paste(framed(patches[0], FIRST), (left + step, step))
    for number, (down, right) in enumerate(NEIGHBOURS):
        x, y = left + (1 + right) * step, (1 + down) * step
        box = (x, y, x + _SMALL - 1, y + _SMALL - 1)
        if number == label:
            canvas.paste(patches[1], (x, y))
        else:
            pen.text((x + _SMALL // 2, y + _SMALL // 2), str(number + 1), LINE, font(16), anchor="mm")
        pen.rectangle(box, outline=INK if number == label else LINE)
        if number == best:
            pen.rectangle(box, outline=YES if best == label else NO, width=4)


def _with_places(puzzle: PatchPuzzle, first: int, second: int) -> Image.Image:
    """The picture with the two patches outlined, at most 260 pixels wide."""
    picture = picture_of(puzzle.picture)
    scale = min(260 / picture.width, _HEIGHT / picture.height)
    shown = enlarged(picture, round(max(picture.size) * scale))
    pen = ImageDraw.Draw(shown)
    side = puzzle.patches.shape[-1]
    for number, colour in ((first, FIRST), (second, "#ffffff")):
        top, left = (float(corner) for corner in puzzle.corners[number])
        box = (left * scale, top * scale, (left + side) * scale, (top + side) * scale)
        pen.rectangle(box, outline=colour, width=3)
    return shown
