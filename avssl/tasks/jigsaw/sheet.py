"""The sheet of jigsaw: the tiles as they are fed, in their true order, and in the predicted one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from avssl.tasks.base import Answers
from avssl.tasks.cards import INK, NO, PAPER, YES, Card, chosen_class, draw_cards, font, origin, picture_of
from avssl.tasks.patches import PatchPuzzle

_BOARD, _GAP, _BETWEEN = 168, 4, 16


def draw_sheet(
    puzzles: Sequence[PatchPuzzle],
    fed: Sequence[Tensor],
    permutations: NDArray[np.int64],
    answers: Answers | None,
) -> Image.Image:
    """Each puzzle's first permutation: shuffled tiles, solved tiles, and the network's prediction if there is one.

    Args:
        fed: of each puzzle its tiles as the network sees them, (tiles², 3, p, p).
        permutations: the set, (permutations, tiles²).
    """
    cards, place = [], 0
    for puzzle, tiles in zip(puzzles, fed, strict=True):
        label, order = int(puzzle.labels[0]), puzzle.chosen[0]
        boards = [_board(tiles[order.tolist()], [int(tile) + 1 for tile in order]), _board(tiles, None)]
        predicted, right = "", True
        if answers is not None:
            best, probability = chosen_class(answers.scores[place])
            predicted, right = f"predicted {best} ({probability:.0%})", best == label
            boards.append(_solved(tiles, order, permutations[best]))
        place += len(puzzle.labels)
        cards.append(
            Card(_beside(boards), f"permutation {label}", predicted, right, origin(puzzle.name, puzzle.seconds))
        )
    note = (
        f"Left: tiles as the network sees them, with the number of the place each belongs to (one of "
        f"{len(permutations)} permutations). Then: solved{'; as the network predicts' if answers else ''}."
    )
    return draw_cards("Which permutation shuffled the tiles?", note, cards)


def _solved(tiles: Tensor, order: NDArray[np.int64], predicted: NDArray[np.int64]) -> Image.Image:
    """The tiles where the network puts them: what stands in place k is laid at ``predicted[k]``; wrong ones framed."""
    laid = np.empty_like(order)
    laid[predicted] = order
    right = laid == np.arange(len(laid))
    return _board(tiles[laid.tolist()], None, [YES if good else NO for good in right])


def _board(tiles: Tensor, numbers: Sequence[int] | None, frames: Sequence[str] | None = None) -> Image.Image:
    """Tiles (n², 3, p, p) laid in a square of ``_BOARD`` pixels."""
    count = round(len(tiles) ** 0.5)
    side = (_BOARD - (count - 1) * _GAP) // count
    board = Image.new("RGB", (_BOARD, _BOARD), PAPER)
    pen = ImageDraw.Draw(board)
    for place, tile in enumerate(tiles):
        x, y = (place % count) * (side + _GAP), (place // count) * (side + _GAP)
        board.paste(picture_of(tile).resize((side, side), Image.Resampling.BICUBIC), (x, y))
        if frames is not None:
            pen.rectangle((x, y, x + side - 1, y + side - 1), outline=frames[place], width=3)
        if numbers is not None:
            pen.rectangle((x, y, x + 14, y + 15), fill=PAPER)
            pen.text((x + 7, y + 8), str(numbers[place]), INK, font(12), anchor="mm")
    return board


def _beside(boards: Sequence[Image.Image]) -> Image.Image:
    row = Image.new("RGB", (len(boards) * (_BOARD + _BETWEEN) - _BETWEEN, _BOARD), PAPER)
    for number, board in enumerate(boards):
        row.paste(board, (number * (_BOARD + _BETWEEN), 0))
    return row
