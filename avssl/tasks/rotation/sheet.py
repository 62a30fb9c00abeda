"""The sheet of rotation: turned pictures, and by how much."""

from __future__ import annotations

from collections.abc import Sequence

from PIL.Image import Image

from avssl.tasks.base import Answers
from avssl.tasks.cards import Card, chosen_class, draw_cards, enlarged, origin, picture_of
from avssl.tasks.rotation.puzzle import RotationPuzzle

_SIDE = 168


def draw_sheet(puzzles: Sequence[RotationPuzzle], answers: Answers | None) -> Image:
    """Each puzzle's first view, its rotation, and the network's prediction if there is one."""
    cards, place = [], 0
    for puzzle in puzzles:
        label = puzzle.labels[0]
        predicted, right = "", True
        if answers is not None:
            best, probability = chosen_class(answers.scores[place])
            predicted, right = f"predicted {90 * best}° ({probability:.0%})", best == label
        place += len(puzzle.labels)
        picture = enlarged(picture_of(puzzle.views[0]), _SIDE)
        cards.append(Card(picture, f"{90 * label}°", predicted, right, origin(puzzle.name, puzzle.seconds)))
    note = "Above each picture: by how much it was turned, counter-clockwise; 0° is upright."
    return draw_cards("By how much was this picture turned?", note, cards)
