"""Answers without classes: whether each is nearer to the truth than one that knows nothing of what was planted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avssl.evaluate.pretext.controls import untrained
from avssl.evaluate.pretext.predictions import Predictions
from avssl.tasks.base import Task
from avssl.tasks.colorization.task import Colorization
from avssl.tasks.frame_filling.task import FrameFilling
from avssl.tasks.inpainting.task import Inpainting
from avssl.tasks.video_colorization.task import VideoColorization


def is_known(task: Task) -> bool:
    """Whether it is known what knows nothing of a planted leak; of hidden tubes it is not, nor how to plant one."""
    return type(task) in _NEARER and getattr(task.options, "hide", "frame") == "frame"


def nearer(control: Task, found: Predictions, seed: int) -> Tensor:
    """Of each puzzle whether the answer is nearer to the truth: bool (n,).

    Args:
        control: held out, without the leak.
        found: what it answers with the leak; ``kept``: the puzzles.
        seed: of random weights, where those are what knows nothing.
    """
    compare = next(compare for kind, compare in _NEARER.items() if isinstance(control, kind))
    return compare(control, found.answers.scores, found.answers.truth, found.kept, seed)


def _colours(task: Any, scores: Tensor, truth: Tensor, puzzles: Sequence[Any], seed: int) -> Tensor:
    """Than the mean colour."""
    predicted = next(iter(task.decodings(scores).values()))
    return _error(predicted, truth) < _error(torch.tensor(task.mean_colour).view(1, 2, 1, 1), truth)


def _holes(task: Any, scores: Tensor, truth: Tensor, puzzles: Sequence[Any], seed: int) -> Tensor:
    """In the hole, than the fill."""
    filled = torch.from_numpy(np.stack([puzzle.filled for puzzle in puzzles])) / 255
    hole = torch.from_numpy(np.stack([puzzle.hole for puzzle in puzzles]))[:, None].float()
    return _error(scores * hole, truth * hole) < _error(filled * hole, truth * hole)


def _frames(task: Any, scores: Tensor, truth: Tensor, puzzles: Sequence[Any], seed: int) -> Tensor:
    """Than the mean of both neighbours as they were."""
    return _error(scores, truth) < _error(task.plain(task.collate(puzzles)), truth)


def _copies(task: Any, scores: Tensor, truth: Tensor, puzzles: Sequence[Any], seed: int) -> Tensor:
    """More cells right than random weights have, which copy from what looks alike, of grey frames as they were."""
    with torch.no_grad():
        blind = untrained(task, seed).eval()
        without = torch.cat([task.answers(blind, task.collate([puzzle])).scores for puzzle in puzzles])
    ours, theirs = ((each.argmax(1) == truth).float().mean((1, 2)) for each in (scores, without))
    return ours > theirs


def _error(answer: Tensor, truth: Tensor) -> Tensor:
    """Squared, of each puzzle: (n,)."""
    return (answer - truth).square().flatten(1).sum(1)


_NEARER: dict[type[Task], Callable[[Any, Tensor, Tensor, Sequence[Any], int], Tensor]] = {
    Colorization: _colours,
    Inpainting: _holes,
    FrameFilling: _frames,
    VideoColorization: _copies,
}
