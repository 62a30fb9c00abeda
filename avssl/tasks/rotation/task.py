"""Rotation: by how many quarters was this picture turned? RotNet (Gidaris, Singh & Komodakis 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from avssl.media.facts import Media
from avssl.networks.puzzles import PictureNetwork
from avssl.networks.squares import moved, relit, turned
from avssl.samplers.keys import Key, generator
from avssl.samplers.pictures import Cropping, cut
from avssl.samplers.pictures import relit as relit_one
from avssl.samplers.rotations import QUARTERS, boxed, rotated, rotated_by_interpolation, shifted
from avssl.samplers.stills import Still, draw_still
from avssl.samplers.views import Stored, crop_view
from avssl.tasks.base import Answers, Batch
from avssl.tasks.cards import class_card, draw_cards, enlarged, origin, picture_of
from avssl.tasks.images import ClassTask, vision_of
from avssl.tasks.left_to_device import collect
from avssl.tasks.registry import register
from avssl.tasks.rotation.puzzle import RotationOptions, RotationPuzzle, Unturned

if TYPE_CHECKING:
    from PIL.Image import Image


@register
class Rotation(ClassTask):
    """The task. Class k: turned by k · 90 degrees, counter-clockwise."""

    name: ClassVar[str] = "rotation"
    Options: ClassVar[type[Any]] = RotationOptions
    classes: ClassVar[int | None] = QUARTERS

    options: RotationOptions

    @cached_property
    def _cropping(self) -> Cropping:
        options = self.options
        return Cropping(options.side, options.crop_low, options.crop_high, options.flip == "before")

    @property
    def can_leave(self) -> bool:
        return self.options.square and self.options.turn == "exact"

    def draw(self, media: Media, key: Key) -> RotationPuzzle:
        still = draw_still(media, key, self.left_to_device)
        turns: tuple[int, ...] = (self._turn_of(key, len(media), still.item),)
        # Held out one view a picture: four of one picture are not four independent puzzles.
        if self.options.views == "four" and self.training:
            turns = tuple(range(QUARTERS))
        unturned = self._unturned(still, generator(*key, "rotation"), turns)
        left = self.left_to_device != "nothing"
        views = np.empty((len(turns), 0), np.uint8) if left else self._views(unturned)
        labels = turns
        if self.shuffled:
            labels = tuple(int(label) for label in generator(*key, "shuffled").integers(QUARTERS, size=len(turns)))
        facts = media.facts(still.item)
        source = facts.source_or_path
        return RotationPuzzle(views, labels, facts.path, source, still.seconds, unturned if left else None)

    def collate(self, puzzles: Sequence[RotationPuzzle]) -> Batch:
        label = torch.tensor([label for p in puzzles for label in p.labels])
        left = [p.unturned for p in puzzles if p.unturned is not None]
        if not left:
            return {"frames": torch.from_numpy(np.concatenate([p.views for p in puzzles])), "label": label}
        side = self.options.side
        return {
            "frames": collect([crop_view(u.picture, u.crop, side) for u in left], side),
            "light": torch.tensor([(u.brightness, u.contrast) for u in left]),
            "moves": torch.tensor([(u.down, u.right) for u in left]),
            "turns": torch.tensor([u.turns for u in left]),
            "mirrored": torch.tensor([u.mirrored for u in left]),
            "label": label,
        }

    def finish(self, batch: Batch) -> Batch:
        squares = super().finish(batch)["frames"]
        if self._lights:
            squares = relit(squares, *batch["light"].unbind(1))
        if self.options.pad:
            squares = moved(squares, batch["moves"])
        views = turned(squares, batch["turns"])
        if self.options.flip == "after":
            views = torch.where(batch["mirrored"][:, None, None, None, None], views.flip(-1), views)
        return {"frames": views.flatten(0, 1), "label": batch["label"]}

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

    @property
    def _lights(self) -> bool:
        return self.training and bool(self.options.brightness or self.options.contrast)

    def _unturned(self, still: Still, rng: np.random.Generator, turns: tuple[int, ...]) -> Unturned:
        """What is to be done to the picture; what is drawn in which order is part of what a seed means."""
        options, picture = self.options, still.picture
        if not options.square:
            whole = boxed(still.pixels)
            picture = Stored(whole, *whole.shape[-2:])
        crop = self._cropping.place(rng if self.training else None, picture.height, picture.width)
        brightness, contrast, down, right = 0.0, 1.0, 0, 0
        if self._lights:
            brightness = rng.uniform(-1, 1) * options.brightness
            contrast = 1 + rng.uniform(-1, 1) * options.contrast
        if self.training and options.pad:
            down, right = (int(pixels) for pixels in rng.integers(-options.pad, options.pad + 1, size=2))
        mirrored = options.flip == "after" and bool(rng.integers(2))
        return Unturned(picture, crop, brightness, contrast, down, right, turns, mirrored)

    def _views(self, unturned: Unturned) -> NDArray[np.uint8]:
        """(V, 3, side, side)"""
        square = cut(unturned.picture.data, unturned.crop, self.options.side)
        if self._lights:
            square = relit_one(square, unturned.brightness, unturned.contrast)
        square = shifted(square, unturned.down, unturned.right)
        turn = rotated if self.options.turn == "exact" else rotated_by_interpolation
        views = np.stack([turn(square, quarters) for quarters in unturned.turns])
        return np.ascontiguousarray(views[..., ::-1]) if unturned.mirrored else views

    @staticmethod
    def _turn_of(key: Key, items: int, item: int) -> int:
        """Of a puzzle with one view: drawn for the item, one quarter on with each round through the items."""
        # So an item that comes again in an epoch comes with another turn, and with each as often.
        return int(generator(key.seed, key.epoch, item, "turn").integers(QUARTERS) + key.index // items) % QUARTERS
