"""A visitor against the network: the same held-out puzzles, two scores with intervals."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from avssl.errors import UserError
from avssl.evaluate.core.statistics import wilson
from avssl.explore.pictures import jpeg, spectrogram
from avssl.media.facts import Media
from avssl.report.embedded import wav
from avssl.samplers.keys import generator
from avssl.system.hub import name_on_hub

if TYPE_CHECKING:  # torch takes longer to import than the page to open
    from torch import Tensor

    from avssl.evaluate.data.load_run import TrainedTask

ROUNDS = 20
_OPTIONS_OF_JIGSAW = 4
_KEY = "game"
"""Of what is drawn here beside the puzzles: another word would draw other ones for the same seed."""


@dataclass(frozen=True)
class Round:
    """One puzzle as a person is asked it.

    Attributes:
        pictures: JPEG or PNG, beside each other.
        choices: what can be answered: texts, or pictures where a text would not say it.
        truth: which choice is right.
        network: which the network takes.
        sound: a WAV file, where there is something to hear.
        heard: its spectrogram as a PNG.
    """

    pictures: list[bytes]
    choices: list[str | bytes]
    truth: int
    network: int
    sound: bytes | None = None
    heard: bytes | None = None


@dataclass
class PuzzlesOfTask:
    """Puzzles of one task of a run, of what it held out.

    Args:
        trained: the task with its network.
        collection: opens what is explored; of it are the puzzles of a run from a hub, whose own data are elsewhere.
    """

    trained: TrainedTask
    collection: Callable[[], Media]
    _media: Media | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def question(self) -> str:
        """What is asked."""
        return _ASKED[self.trained.task.name][0]

    @property
    def held_out(self) -> bool:
        """Whether the network has learned from none of them, as far as is known."""
        return self.trained.config.get("data") is None or name_on_hub(self.trained.path) is None

    def rounds(self, seed: int, count: int = ROUNDS) -> list[Round]:
        """Puzzles; the same for the same seed.

        Raises:
            UserError: the run's data are gone, or nothing in the collection can be used.
        """
        import torch

        from avssl.evaluate.pretext.predictions import distinct, held_out_keys
        from avssl.experiment.data import held_out_of, usable

        with self._lock:  # networks and readers are not made for several threads at once
            if self._media is None:
                trained = self.trained
                own = self.held_out
                self._media = held_out_of(trained) if own else usable(self.collection(), trained.task, "the collection")
            task = self.trained.task.held_out()
            puzzles = distinct(task, [task.draw(self._media, key) for key in held_out_keys(seed, count)])
            with torch.no_grad():
                scores = task.answers(self.trained.network, task.collate(puzzles)).scores
            make = _ASKED[task.name][1]
            return make(task, puzzles, scores, seed)


def playable(tasks: Sequence[str]) -> list[str]:
    """Those of the tasks that a person can play."""
    return [name for name in tasks if name in _ASKED]


def open_puzzles(run: Path, task: str, collection: Callable[[], Media]) -> PuzzlesOfTask:
    """The puzzles of a task of a run.

    Raises:
        UserError: the task cannot be played, or the run is not finished.
    """
    from avssl.evaluate.data.load_run import open_run

    if task not in _ASKED:
        raise UserError(f"{task} cannot be played here; {', '.join(sorted(_ASKED))} can")
    return PuzzlesOfTask(open_run(run, task), collection)


def score(right: Sequence[bool]) -> dict[str, float]:
    """The share that is right, with Wilson's interval of 95 %."""
    low, high = wilson(sum(right), len(right))
    return {"value": sum(right) / len(right), "low": low, "high": high, "n": len(right)}


def _correspondence(task: Any, puzzles: Sequence[Any], scores: Tensor, seed: int) -> list[Round]:
    rate = task.options.rate
    return [
        Round(
            [jpeg(puzzle.frames[len(puzzle.frames) // 2])],
            ["no, from elsewhere", "yes, one moment"],
            int(puzzle.label),
            int(row.argmax()),
            wav(puzzle.waveform, rate),
            spectrogram(puzzle.waveform, rate),
        )
        for puzzle, row in zip(puzzles, scores, strict=True)
    ]


def _order(task: Any, puzzles: Sequence[Any], scores: Tensor, seed: int) -> list[Round]:
    choices: list[str | bytes] = ["no, the middle one is out of order", "yes, in order (or backwards)"]
    return [
        Round([jpeg(frame) for frame in puzzle.frames], choices, int(puzzle.label), int(row.argmax()))
        for puzzle, row in zip(puzzles, scores, strict=True)
    ]


def _rotation(task: Any, puzzles: Sequence[Any], scores: Tensor, seed: int) -> list[Round]:
    choices: list[str | bytes] = ["not at all", "a quarter to the left", "upside down", "a quarter to the right"]
    found, place = [], 0
    for number, puzzle in enumerate(puzzles):
        # A puzzle may hold all four rotations of its picture; one of them is asked.
        view = int(generator(seed, 0, number, _KEY).integers(len(puzzle.views)))
        network = int(scores[place + view].argmax())
        found.append(Round([jpeg(puzzle.views[view])], choices, int(puzzle.labels[view]), network))
        place += len(puzzle.views)
    return found


def _jigsaw(task: Any, puzzles: Sequence[Any], scores: Tensor, seed: int) -> list[Round]:
    found, place = [], 0
    permutations = task.permutations
    for number, puzzle in enumerate(puzzles):
        tiles = task.fed_each([puzzle])[0]
        label, shown = int(puzzle.labels[0]), puzzle.chosen[0]
        rng = generator(seed, 0, number, _KEY)
        others = rng.permutation([k for k in range(len(permutations)) if k != label])[: _OPTIONS_OF_JIGSAW - 1]
        options = rng.permutation([label, *others.tolist()]).tolist()
        boards: list[str | bytes] = []
        for option in options:
            laid = np.empty_like(shown)
            laid[permutations[option]] = shown
            boards.append(_board(tiles[laid.tolist()]))
        # The network chooses among the same few.
        network = int(scores[place][options].argmax())
        found.append(Round([_board(tiles[shown.tolist()])], boards, options.index(label), network))
        place += len(puzzle.labels)
    return found


def _board(tiles: Tensor) -> bytes:
    """Tiles (n², 3, p, p) as the network sees them, laid in a square, as a JPEG."""
    from avssl.tasks.cards import picture_of

    count, gap = round(len(tiles) ** 0.5), 4
    side = 240 // count
    board = Image.new("RGB", (count * side + (count - 1) * gap,) * 2, "white")
    for place, tile in enumerate(tiles):
        x, y = (place % count) * (side + gap), (place // count) * (side + gap)
        board.paste(picture_of(tile).resize((side, side), Image.Resampling.BICUBIC), (x, y))
    return jpeg(np.asarray(board).transpose(2, 0, 1))


_ASKED: dict[str, tuple[str, Callable[[Any, Sequence[Any], Tensor, int], list[Round]]]] = {
    "av-correspondence": ("Do this frame and this sound belong together?", _correspondence),
    "shuffle-learn": ("Are these three frames in temporal order?", _order),
    "rotation": ("How far was this picture turned?", _rotation),
    "jigsaw": ("Which of these is the picture, put together?", _jigsaw),
}


def plain(one: Round) -> dict[str, Any]:
    """A round for the page, without its answers."""
    return {
        "pictures": [_data(picture) for picture in one.pictures],
        "choices": [choice if isinstance(choice, str) else _data(choice) for choice in one.choices],
        "sound": _data(one.sound) if one.sound else None,
        "heard": _data(one.heard) if one.heard else None,
    }


def _data(content: bytes) -> str:
    kind = {b"\xff\xd8": "image/jpeg", b"\x89P": "image/png", b"RI": "audio/wav"}[content[:2]]
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
