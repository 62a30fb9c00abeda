"""The contact sheet of audio-visual correspondence: the network's input, drawn for people."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from avssl.networks.front_end import FrontEnd, FrontEndConfig
from avssl.tasks.av_correspondence.puzzle import CorrespondencePuzzle
from avssl.tasks.base import Answers
from avssl.tasks.cards import INK, NO, YES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 4


def draw_sheet(puzzles: Sequence[CorrespondencePuzzle], answers: Answers | None, config: FrontEndConfig) -> Image.Image:
    """Each puzzle's frame beside its spectrogram, its label and times, and the network's prediction if there is one."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(puzzles))
    rows = -(-len(puzzles) // columns)
    figure = Figure(figsize=(4.1 * columns, 2.15 * rows + 0.45), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle(
        "Do this frame and this second of sound belong together?", x=0.012, ha="left", fontsize=13, color=INK
    )
    grid = figure.add_gridspec(
        rows, columns, left=0.012, right=0.972, bottom=0.28 / (2.15 * rows + 0.45), top=1 - 0.75 / (2.15 * rows + 0.45)
    )
    grid.update(wspace=0.16, hspace=0.62)
    front_end = FrontEnd(config)
    for number, puzzle in enumerate(puzzles):
        cell = grid[number // columns, number % columns].subgridspec(1, 2, width_ratios=(1, 1.35), wspace=0.06)
        picture, sound = figure.add_subplot(cell[0]), figure.add_subplot(cell[1])
        _picture(picture, puzzle)
        _spectrogram(sound, puzzle, front_end)
        probability = None
        if answers is not None:
            probability = float(torch.softmax(answers.scores[number], 0)[1])
        _title(picture, puzzle, probability)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    buffer.seek(0)
    return Image.open(buffer).convert("RGB")


def prediction(probability: float) -> str:
    """The predicted class and its probability, of the probability of "yes"."""
    return f"predicted yes ({probability:.0%})" if probability > 0.5 else f"predicted no ({1 - probability:.0%})"


def _picture(axes: Axes, puzzle: CorrespondencePuzzle) -> None:
    middle = puzzle.frames[len(puzzle.frames) // 2]
    axes.imshow(middle.transpose(1, 2, 0))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(
        f"{_name(puzzle.names[0])}  {puzzle.pair.frame.frame_seconds:.2f} s",
        fontsize=6.5,
        color=INK,
        loc="left",
        parse_math=False,  # a name may hold dollars
    )
    for spine in axes.spines.values():
        spine.set(edgecolor=YES if puzzle.label else NO, linewidth=2.5)


def _spectrogram(axes: Axes, puzzle: CorrespondencePuzzle, front_end: FrontEnd) -> None:
    import librosa.display

    cells = front_end.raw(torch.from_numpy(puzzle.waveform)[None])[0].numpy()
    config = front_end.config
    mel = config.name not in ("l3", "ave")
    places: dict[str, Any] = {"y_axis": "mel"} if mel else {"y_axis": "linear"}
    librosa.display.specshow(
        cells,
        sr=config.rate,
        hop_length=front_end.hop,
        x_axis="time",
        ax=axes,
        cmap="magma",
        fmax=config.rate / 2 if mel else None,
        **places,
    )
    start = puzzle.pair.sound.sound_start_seconds
    seconds = len(puzzle.waveform) / config.rate
    times = f"{start:.2f}–{start + seconds:.2f} s"
    axes.set_xlabel(f"{_name(puzzle.names[1])}  {times}", fontsize=6.5, color=INK, loc="left", parse_math=False)
    axes.set_ylabel("")
    axes.set_xticks([])
    axes.tick_params(labelsize=5.5, length=2, pad=1)
    axes.yaxis.tick_right()


def _name(path: str) -> str:
    """The file's name, short, and as fonts can write it: bytes that are no UTF-8 become question marks."""
    return Path(path).name[:22].encode("utf-8", "replace").decode()


def _title(axes: Axes, puzzle: CorrespondencePuzzle, probability: float | None) -> None:
    text = "yes" if puzzle.label else "no"
    axes.set_title(text, loc="left", fontsize=10, fontweight="bold", color=YES if puzzle.label else NO, pad=4)
    if probability is not None:
        right = (probability > 0.5) == bool(puzzle.label)
        text = prediction(probability)
        axes.text(0.32, 1.045, text, transform=axes.transAxes, fontsize=9, color=YES if right else NO, clip_on=False)
