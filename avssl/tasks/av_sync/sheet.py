"""The sheet of synchronization: frames over the spectrogram of the sound on one axis of time, label and prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from avssl.networks.front_end import FrontEnd, FrontEndConfig
from avssl.tasks.av_correspondence.sheet import prediction
from avssl.tasks.av_sync.puzzle import SyncPuzzle
from avssl.tasks.base import Answers
from avssl.tasks.cards import Card, draw_cards, origin

# Of a card, in pixels: width of all frames together, height of the spectrogram, and gap between frames.
_WIDTH, _SPECTROGRAM, _GAP, _FRAMES = 570, 96, 2, 8


def draw_sheet(puzzles: Sequence[SyncPuzzle], answers: Answers | None, config: FrontEndConfig) -> Image.Image:
    """Each puzzle's frames, every other or so, above what is heard at the same time if the two are in step."""
    front_end = FrontEnd(config)
    cards = []
    for number, puzzle in enumerate(puzzles):
        predicted, right = "", True
        if answers is not None:
            probability = float(torch.softmax(answers.scores[number].detach().float(), 0)[1])
            predicted, right = prediction(probability), (probability > 0.5) == bool(puzzle.label)
        cells = front_end.raw(torch.from_numpy(puzzle.waveform)[None])[0].numpy()
        cards.append(Card(_picture(puzzle.frames, cells), _label(puzzle), predicted, right, _caption(puzzle)))
    note = "Time runs to the right, in frames and sound alike; low frequencies are at the bottom."
    return draw_cards("Are these frames and this sound in step?", note, cards)


def _picture(frames: NDArray[np.uint8], cells: NDArray[np.float32]) -> Image.Image:
    shown = frames[1:-1]
    count = min(_FRAMES, len(shown))
    side = (_WIDTH - (count - 1) * _GAP) // count
    card = Image.new("RGB", (_WIDTH, side + _GAP + _SPECTROGRAM), "white")
    # Each in the middle of the stretch of time that it stands above.
    for place in range(count):
        frame = Image.fromarray(shown[int((place + 0.5) * len(shown) / count)])
        card.paste(frame.resize((side, side), Image.Resampling.BICUBIC), (place * (side + _GAP), 0))
    low, high = np.percentile(cells, (5, 99.5))
    level = ((cells[::-1] - low) / max(float(high - low), 1e-6)).clip(0, 1)
    heat = Image.fromarray(np.rint(255 * level).astype(np.uint8)).resize((_WIDTH, _SPECTROGRAM))
    card.paste(heat, (0, side + _GAP))
    pen = ImageDraw.Draw(card)
    for place in range(1, count):
        x = place * (side + _GAP) - 1
        pen.line((x, side, x, side + _GAP + _SPECTROGRAM), "#ffffff")
    return card


def _label(puzzle: SyncPuzzle) -> str:
    return "yes" if puzzle.label else f"no ({puzzle.shifted.kind})"


def _caption(puzzle: SyncPuzzle) -> str:
    picture, sound = puzzle.shifted.picture, puzzle.shifted.sound
    if picture == sound:
        return origin(puzzle.names[0], picture.centre_seconds)
    if picture.item != sound.item:
        return f"{origin(puzzle.names[0], picture.centre_seconds)}; sound of {origin(puzzle.names[1])}"
    shift = sound.centre_seconds - picture.centre_seconds
    return f"{origin(puzzle.names[0], picture.centre_seconds)}; sound shifted by {shift:+.2f} s"
