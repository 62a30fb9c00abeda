"""The sheet of Shuffle & Learn: three frames as they are shown, then their times and the label."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw

from avssl.tasks.base import Answers
from avssl.tasks.cards import INK, NO, PALE, PAPER, YES, fitted, font, origin, picture_of
from avssl.tasks.shuffle_learn.puzzle import ShuffleLearnPuzzle

_CELL, _GAP, _MARGIN, _TITLE, _LINE, _ACROSS = 128, 4, 16, 72, 44, 3


def draw_sheet(puzzles: Sequence[ShuffleLearnPuzzle], answers: Answers | None) -> Image.Image:
    """Each triplet in a row, with the times of its frames, its label, and the network's prediction."""
    across = max(1, min(_ACROSS, len(puzzles)))
    width, height = 3 * (_CELL + _GAP), _CELL + _LINE
    lines = -(-len(puzzles) // across)
    sheet = Image.new("RGB", (across * (width + _MARGIN) + _MARGIN, _TITLE + lines * height + _MARGIN), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, 10), "Are these three frames in temporal order?", INK, font(18))
    question = "Forwards or backwards does not matter: is the middle frame between the outer ones?"
    pen.text((_MARGIN, 34), question, PALE, font(12))
    alike = sum(puzzle.look_alike for puzzle in puzzles)
    if alike:
        note = (
            f"{alike} of {len(puzzles)} are look-alikes: no try gave a wrong frame that differs enough (--look-alike)"
        )
        pen.text((_MARGIN, 50), note, NO, font(12))
    for number, puzzle in enumerate(puzzles):
        left = _MARGIN + (number % across) * (width + _MARGIN)
        top = _TITLE + (number // across) * height
        for frame in puzzle.frames:
            sheet.paste(picture_of(frame).resize((_CELL, _CELL), Image.Resampling.BICUBIC), (left, top))
            left += _CELL + _GAP
        left -= width
        probability = None if answers is None else float(torch.softmax(answers.scores[number].detach().float(), 0)[1])
        _caption(pen, (left, top + _CELL + 3), puzzle, probability)
    return sheet


def _caption(
    pen: ImageDraw.ImageDraw, at: tuple[int, int], puzzle: ShuffleLearnPuzzle, probability: float | None
) -> None:
    """Times and file in one line, the label in the next, where a reader who does the puzzle does not see it first."""
    left, top = at
    times = ", ".join(f"{seconds:.2f}" for seconds in puzzle.times)
    small = font(12)
    alike = "   look-alike" if puzzle.look_alike else ""
    before, after = f"{times} s   ", alike
    room = 3 * (_CELL + _GAP) - small.getlength(before + after)
    pen.text((left, top), f"{before}{fitted(origin(puzzle.name), small, room)}{after}", PALE, small)
    right = bool(puzzle.label)
    pen.text((left, top + 17), "in order" if right else "not in order", YES if right else NO, small)
    if probability is not None:
        predicted = probability > 0.5
        sure = probability if predicted else 1 - probability
        text = f"predicted {'in order' if predicted else 'not in order'} ({sure:.0%})"
        pen.text((left + 110, top + 17), text, YES if predicted == right else NO, small)
