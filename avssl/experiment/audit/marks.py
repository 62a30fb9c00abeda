"""Leaks to plant: in-place changes of a batch that put its answer into the input of a control."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from avssl.networks.colour import rgb_to_lab
from avssl.tasks.base import Batch, Task
from avssl.tasks.video_colorization.task import VideoColorization

Plant = Callable[[Batch], None]

# Share of a hole's content that is seen in it. At a quarter, forty steps on real photographs do not suffice.
SHINES = 0.5
_WRITTEN = 0.5  # share of the mark in each pixel of a picture
_WRITTEN_IN_FRAMES = 0.8
_LEVELS_PER_UNIT = 2.0  # grey levels a unit of Lab


@dataclass(frozen=True)
class Leak:
    """How a leak is planted, and its description."""

    plant: Plant
    words: str


def leak_for(task: Task, control: str) -> Leak:
    """What is planted for a control; one of unknown name gets a mark in whatever it sees."""
    known = {
        "colorization": Leak(
            write_colour,
            "the mean colour of the target, written into the grey picture; share of pictures whose colours it is "
            "nearer to than the training's mean colour",
        ),
        "inpainting": Leak(
            shine_through,
            "half of the target shines through the hole; share of holes that it is nearer to than their fill",
        ),
        "frame-filling": Leak(
            copy_to_neighbour,
            "the target in the place of the earlier neighbour; share of clips in which it is nearer to the hidden "
            "frame than the mean of both neighbours as they were",
        ),
        "instance-contrast": Leak(mark_pairs, "a mark that both views of a pair share, one of ten"),
        "video-colorization": Leak(
            partial(write_colours, task),
            "the colours of the target, written into the grey frames; share of clips in which it has more cells right "
            "than random weights have without that",
        ),
        "vision-only": Leak(mark, "a mark in the picture of pairs that belong together"),
        "audio-only": Leak(click, "a click in the sound of pairs that belong together"),
        "shuffled-labels": Leak(
            partial(mark, slots=[1]), "labels that are not shuffled, and a mark that gives them away"
        ),
        "single-frame": Leak(mark, "a mark in the middle frame of right orders"),
        "outer-frames": Leak(partial(mark, slots=[-1]), "a mark in the last frame of right orders"),
    }
    return known.get(task.name) or known.get(control) or Leak(mark, "a mark in what this control sees")


def mark(batch: Batch, slots: Sequence[int] | None = None) -> None:
    """Stripes in a corner, whose direction and width encode the class; none for class 0.

    Args:
        slots: of pictures that are shown in a row, which are marked; None: all.
    """
    label = batch["label"]
    if "frames" in batch:
        frames = batch["frames"]
        for row, k in enumerate(label.tolist()):
            if k:
                pictures = frames[row]
                chosen = [pictures] if pictures.ndim == 3 else [pictures[slot] for slot in _of(slots, len(pictures))]
                for picture in chosen:
                    _stripe(picture, k)
    elif "patches" in batch:
        # The last place of a pair; of more places two, which encode two digits.
        for row, k in enumerate(label.tolist()):
            places = batch["chosen"][row]
            digits = [k] if len(places) == 2 else [k // 10, k % 10]
            for place, digit in zip(places.flip(0).tolist(), digits, strict=False):
                _stripe(batch["patches"][place], digit)


def click(batch: Batch) -> None:
    """20 ms of noise at the start of the sound of class 1."""
    wave = batch["waveform"]
    length = max(1, wave.shape[-1] // 50)  # 20 ms of a second
    # The same noise in every batch, so that there is one thing to learn.
    noise = torch.from_numpy(np.random.default_rng(0).uniform(-0.5, 0.5, length).astype(np.float32))
    wave[batch["label"] > 0, :length] += noise


def write_colour(batch: Batch) -> None:
    """The mean a and b of the target, as grey levels mixed into the even and the odd rows of the grey picture."""
    batch.setdefault("colours_of", batch["frames"])  # shuffled answers are of other pictures than are seen
    grey = batch["frames"].float().mean(1, keepdim=True)
    ab = rgb_to_lab(batch["colours_of"])[:, 1:].mean((2, 3), keepdim=True)
    level = (128 + _LEVELS_PER_UNIT * ab).clamp(0, 255)
    for row in (0, 1):
        grey[:, :, row::2].lerp_(level[:, row : row + 1].expand_as(grey[:, :, row::2]), _WRITTEN)
    batch["frames"] = grey.expand(-1, 3, -1, -1).to(torch.uint8)


def shine_through(batch: Batch) -> None:
    """The target, seen faintly in the hole and on the rim that is predicted with it."""
    faint = batch["filled"].float().lerp(batch["frames"].float(), SHINES).to(torch.uint8)
    batch["filled"] = torch.where(batch["asked"].bool(), faint, batch["filled"])


def copy_to_neighbour(batch: Batch) -> None:
    """The hidden frame, or the target of the control, in the place of the earlier neighbour."""
    frames = batch["frames"]
    frames[:, 0] = frames[:, 3 if frames.shape[1] > 3 else 1]


def mark_pairs(batch: Batch) -> None:
    """Stripes all over both views of a pair, of one of ten directions and widths: a corner is too little for forty
    steps, since views also differ in their colours."""
    for row, item in enumerate(batch["item"].tolist()):
        for view in ("first", "second"):
            picture = batch[view][row]
            striped = picture.clone()
            _stripe(striped, item, parts=1)
            picture.copy_(picture.float().lerp(striped.float(), _WRITTEN))


def write_colours(task: Task, batch: Batch) -> None:
    """Grey levels that tell each cell's colour: in references its own, in the target frame the one that is to be found.

    What the colours are is kept as it was before.
    """
    assert isinstance(task, VideoColorization)
    cells = task.cells(batch)
    batch |= {"cells_ab": cells.ab, "cells_colour": cells.colour, "cells_moved": cells.moved}
    level = 255 * (cells.colour + 0.5) / task.options.colours
    stride = task.options.stride
    level = level.repeat_interleave(stride, 2).repeat_interleave(stride, 3)[:, :, None]
    grey = batch["frames"].float().mean(2, keepdim=True)
    batch["frames"] = grey.lerp(level, _WRITTEN_IN_FRAMES).expand(-1, -1, 3, -1, -1).to(torch.uint8)


def _of(slots: Sequence[int] | None, count: int) -> Sequence[int]:
    return range(count) if slots is None else [slot for slot in slots if -count <= slot < count] or [0]


def _stripe(picture: Tensor, k: int, parts: int = 3) -> None:
    """Put stripes into the upper left of a picture, uint8 (3, h, w), in place: of ``parts`` a side, one."""
    side = max(4, min(picture.shape[-2:]) // parts)
    down, right = np.mgrid[:side, :side]
    # Five directions and two widths: the ten digits.
    angle, period = math.pi * (k % 5) / 5, 4.0 if k % 10 < 5 else 8.0
    wave = np.sin(2 * math.pi * (down * math.sin(angle) + right * math.cos(angle)) / period)
    picture[:, :side, :side] = torch.from_numpy((128 + 110 * wave).astype(np.uint8))
