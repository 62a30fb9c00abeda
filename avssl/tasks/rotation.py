"""Rotation: by how many quarters was this picture turned? RotNet (Gidaris, Singh & Komodakis 2018)."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from avssl.media.facts import Facts, Media
from avssl.networks.encoder import image_encoder
from avssl.networks.puzzles import PictureNetwork
from avssl.samplers.keys import Key, generator
from avssl.samplers.pictures import centre_crop, cut, random_crop
from avssl.samplers.rotations import QUARTERS, boxed, rotated, rotated_by_interpolation, shifted
from avssl.samplers.stills import Still, draw_still
from avssl.samplers.whole_pictures import unusable
from avssl.tasks.base import Answers, Batch, Losses, Task, option
from avssl.tasks.images import EncoderOptions, class_losses, encoder
from avssl.tasks.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class RotationOptions(EncoderOptions):
    """Options of ``avssl train rotation``; the defaults run on a small CPU."""

    side: int = option(32, "pixels of the square picture; published: 32 for CIFAR, 224 for ImageNet", low=8)
    views: Literal["four", "one"] = option(
        "four", "of a picture in training: all four rotations in the batch, as published; or one, drawn at random"
    )
    pad: int = option(4, "crop of CIFAR: this many black pixels around, then a square anywhere; published: 4", low=0)
    crop_low: float = option(1.0, "smallest crop, as a share of the shorter side", low=0.05, high=1)
    crop_high: float = option(1.0, "largest crop; held-out pictures are cut so, in the middle", low=0.05, high=1)
    brightness: float = option(0.0, "largest change of brightness, of 1", low=0, high=1)
    contrast: float = option(0.0, "largest change of contrast, as a share", low=0, high=1)
    flip: Literal["before", "after", "off"] = option(
        "before",
        "mirror half of the pictures before turning; after makes 90 and 270 the same puzzle (at most 75 % right)",
    )
    square: bool = option(
        True, "against black bars: cut a square, then turn; --no-square turns the whole picture in a black frame"
    )
    turn: Literal["exact", "interpolated"] = option(
        "exact",
        "against borders and blur that tell the angle: transpose and flip; interpolated shows what happens otherwise",
    )
    hidden: tuple[int, ...] = option(
        (), "fully connected layers before the classes; published for AlexNet: 4096,4096", low=1
    )
    pool: int = option(1, "average the encoder's map to this many places a side before the classes", low=1)
    smoothing: float = option(0.0, "label smoothing", low=0, high=0.99)


@dataclass(frozen=True, slots=True)
class RotationPuzzle:
    """A picture, turned.

    Attributes:
        views: uint8 (V, 3, side, side): one, or all four.
        labels: (V,) quarters that each was turned by, counter-clockwise.
    """

    views: NDArray[np.uint8]
    labels: tuple[int, ...]
    name: str
    source: str
    seconds: float


@register
class Rotation(Task):
    """The task. Class k: turned by k · 90 degrees, counter-clockwise."""

    name: ClassVar[str] = "rotation"
    summary: ClassVar[str] = "by how many quarters was this picture turned?"
    Options: ClassVar[type[Any]] = RotationOptions
    classes: ClassVar[int | None] = QUARTERS
    loss_measure: ClassVar[str] = "class_loss"

    options: RotationOptions

    def __init__(self, options: RotationOptions) -> None:
        super().__init__(options)
        self.shuffled = False

    # --- data -------------------------------------------------------------------------------------------

    def unusable(self, facts: Facts) -> str | None:
        return unusable(facts)

    def draw(self, media: Media, key: Key) -> RotationPuzzle:
        still = draw_still(media, key)
        rng = generator(*key, "rotation")
        square = self._square(still, rng)
        if self.options.views == "four" and self.training:
            turns: tuple[int, ...] = tuple(range(QUARTERS))
        else:
            turns = (self._turn_of(key, len(media), still.item),)
        turn = rotated if self.options.turn == "exact" else rotated_by_interpolation
        views = np.stack([turn(square, quarters) for quarters in turns])
        if self.options.flip == "after" and bool(rng.integers(2)):
            views = np.ascontiguousarray(views[..., ::-1])
        labels = turns
        if self.shuffled:
            labels = tuple(int(label) for label in generator(*key, "shuffled").integers(QUARTERS, size=len(turns)))
        facts = media.facts(still.item)
        return RotationPuzzle(views, labels, facts.path, facts.source or facts.path, still.seconds)

    def collate(self, puzzles: Sequence[RotationPuzzle]) -> Batch:
        return {
            "frames": torch.from_numpy(np.concatenate([p.views for p in puzzles])),
            "label": torch.tensor([label for p in puzzles for label in p.labels]),
        }

    def clusters(self, puzzle: RotationPuzzle) -> tuple[str, ...]:
        return (puzzle.source,)

    def held_out(self) -> Rotation:
        """One view a puzzle; a picture that is asked about four times is seen in all four rotations."""
        task = copy.copy(self)
        task.training, task.shuffled = False, False  # judged on true labels
        return task

    # --- learning ---------------------------------------------------------------------------------------

    def encoders(self) -> dict[str, nn.Module]:
        return {"vision": encoder(self.options, self.options.side)}

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        vision = image_encoder(encoders["vision"])
        return PictureNetwork(vision, QUARTERS, self.options.hidden, self.options.pool)

    def saved(self, network: nn.Module) -> dict[str, nn.Module]:
        assert isinstance(network, PictureNetwork)
        return {"vision": network.vision}

    def loss(self, network: nn.Module, batch: Batch) -> Losses:
        return class_losses(network(batch["frames"]), batch["label"], self.options.smoothing)

    def answers(self, network: nn.Module, batch: Batch) -> Answers:
        return Answers(network(batch["frames"]).float(), batch["label"])

    def chance_loss(self) -> float | None:
        return math.log(QUARTERS)

    def controls(self) -> dict[str, Task]:
        task = copy.copy(self)
        task.shuffled = True
        return {"shuffled-labels": task}

    def sheet(self, puzzles: Sequence[RotationPuzzle], answers: Answers | None = None) -> Image:
        from avssl.tasks.rotation_sheet import draw_sheet

        return draw_sheet(puzzles, answers)

    # --- how --------------------------------------------------------------------------------------------

    def _square(self, still: Still, rng: np.random.Generator) -> NDArray[np.uint8]:
        """The picture before it is turned: square, and mirrored where that is to be done before."""
        options = self.options
        picture = still.pixels if options.square else boxed(still.pixels)
        height, width = picture.shape[-2:]
        if not self.training:
            return cut(picture, centre_crop(height, width, options.crop_high), options.side)
        crop = random_crop(rng, height, width, options.crop_low, options.crop_high, options.flip == "before")
        square = cut(picture, crop, options.side)
        if options.brightness or options.contrast:
            square = _relit(square, rng.uniform(-1, 1) * options.brightness, 1 + rng.uniform(-1, 1) * options.contrast)
        if options.pad:
            down, right = rng.integers(-options.pad, options.pad + 1, size=2)
            square = shifted(square, int(down), int(right))
        return square

    @staticmethod
    def _turn_of(key: Key, items: int, item: int) -> int:
        """Of a puzzle with one view: drawn for the item, one quarter on with each round through the items."""
        return int(generator(key.seed, key.epoch, item, "turn").integers(QUARTERS) + key.index // items) % QUARTERS


def _relit(square: NDArray[np.uint8], brightness: float, contrast: float) -> NDArray[np.uint8]:
    middle = float(square.mean())
    lit = (square.astype(np.float32) - middle) * contrast + (middle + 255 * brightness)
    relit: NDArray[np.uint8] = np.rint(lit.clip(0, 255)).astype(np.uint8)
    return relit
