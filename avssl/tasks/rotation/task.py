"""Rotation: by how many quarters was this picture turned? RotNet (Gidaris, Singh & Komodakis 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from avssl.media.facts import Media
from avssl.networks.puzzles import PictureNetwork
from avssl.samplers.keys import Key, generator
from avssl.samplers.pictures import Cropping, relit
from avssl.samplers.rotations import QUARTERS, boxed, rotated, rotated_by_interpolation, shifted
from avssl.samplers.stills import Still, draw_still
from avssl.tasks.base import Answers, Batch
from avssl.tasks.cards import class_card, draw_cards, enlarged, origin, picture_of
from avssl.tasks.images import ClassTask, vision_of
from avssl.tasks.registry import register
from avssl.tasks.rotation.puzzle import RotationOptions, RotationPuzzle

if TYPE_CHECKING:
    from PIL.Image import Image


@register
class Rotation(ClassTask):
    """The task. Class k: turned by k · 90 degrees, counter-clockwise."""

    name: ClassVar[str] = "rotation"
    Options: ClassVar[type[Any]] = RotationOptions
    classes: ClassVar[int | None] = QUARTERS

    options: RotationOptions

    def __init__(self, options: RotationOptions) -> None:
        super().__init__(options)
        self._cropping = Cropping(options.side, options.crop_low, options.crop_high, options.flip == "before")

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
        return RotationPuzzle(views, labels, facts.path, facts.source_or_path, still.seconds)

    def collate(self, puzzles: Sequence[RotationPuzzle]) -> Batch:
        return {
            "frames": torch.from_numpy(np.concatenate([p.views for p in puzzles])),
            "label": torch.tensor([label for p in puzzles for label in p.labels]),
        }

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        return PictureNetwork(vision_of(encoders), QUARTERS, self.options.hidden, self.options.pool)

    def sheet(self, puzzles: Sequence[RotationPuzzle], answers: Answers | None = None) -> Image:
        cards, place = [], 0
        for puzzle in puzzles:
            scores = None if answers is None else answers.scores[place]
            place += len(puzzle.labels)  # every view has a row of scores; the first is shown
            picture, caption = enlarged(picture_of(puzzle.views[0]), 168), origin(puzzle.name, puzzle.seconds)
            cards.append(class_card(picture, puzzle.labels[0], scores, lambda quarters: f"{90 * quarters}°", caption))
        note = "Above each picture: by how much it was turned, counter-clockwise; 0° is upright."
        return draw_cards("By how much was this picture turned?", note, cards)

    def _square(self, still: Still, rng: np.random.Generator) -> NDArray[np.uint8]:
        """The picture before it is turned: square, and mirrored where that is to be done before."""
        options = self.options
        picture = still.pixels if options.square else boxed(still.pixels)
        if not self.training:
            return self._cropping.cut(picture, None)
        square = self._cropping.cut(picture, rng)
        if options.brightness or options.contrast:
            square = relit(square, rng.uniform(-1, 1) * options.brightness, 1 + rng.uniform(-1, 1) * options.contrast)
        if options.pad:
            down, right = rng.integers(-options.pad, options.pad + 1, size=2)
            square = shifted(square, int(down), int(right))
        return square

    @staticmethod
    def _turn_of(key: Key, items: int, item: int) -> int:
        """Of a puzzle with one view: drawn for the item, one quarter on with each round through the items."""
        return int(generator(key.seed, key.epoch, item, "turn").integers(QUARTERS) + key.index // items) % QUARTERS
