"""The baseline of claims that is no pretext task: the same encoder, trained on the same trainer, with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from avssl.errors import UserError
from avssl.media.facts import Facts, Media
from avssl.networks.puzzles import PictureNetwork
from avssl.options import option
from avssl.samplers.keys import Key, generator
from avssl.samplers.pictures import Cropping
from avssl.samplers.rotations import shifted
from avssl.samplers.side_by_side import stacked
from avssl.samplers.stills import draw_still
from avssl.tasks.base import Answers, Batch
from avssl.tasks.cards import class_card, draw_cards, enlarged, origin, picture_of
from avssl.tasks.common_options import EncoderOptions, check_crops
from avssl.tasks.images import ClassTask, vision_of
from avssl.tasks.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class SupervisedOptions(EncoderOptions):
    """How pictures are augmented: as for rotation, so that the two can be compared."""

    side: int = option(32, "pixels of the square picture", low=8)
    pad: int = option(4, "moved by so many pixels at most, black coming in", low=0)
    crop_low: float = option(1.0, "smallest crop, as a share of the shorter side", low=0.05, high=1)
    crop_high: float = option(1.0, "largest crop; held-out pictures are cut so, in the middle", low=0.05, high=1)
    flip: bool = option(True, "mirror half of the pictures in training")
    pool: int = option(1, "average the encoder's map to this many places a side before the classes", low=1)

    def check(self) -> None:
        check_crops(self.crop_low, self.crop_high)
        self.vision_config(self.side).check()


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """A picture and its class."""

    frame: NDArray[np.uint8]
    label: int
    name: str
    source: str
    seconds: float


@register
class Supervised(ClassTask):
    """The task. Its classes are the labels of the training data, in alphabetical order."""

    name: ClassVar[str] = "supervised"
    summary: ClassVar[str] = "what is in this picture? A baseline with labels"
    Options: ClassVar[type[Any]] = SupervisedOptions

    options: SupervisedOptions

    def __init__(self, options: SupervisedOptions) -> None:
        super().__init__(options)
        self._cropping = Cropping(options.side, options.crop_low, options.crop_high, options.flip)
        self._labels: list[str] = []

    def unusable(self, facts: Facts) -> str | None:
        return super().unusable(facts) or (None if facts.label else "no label")

    def fit_statistics(self, media: Media, seed: int) -> None:
        self._labels = sorted({label for i in range(len(media)) if (label := media.facts(i).label)})
        if len(self._labels) < 2:
            raise UserError("a supervised baseline needs pictures of two classes at least")

    def state(self) -> dict[str, Any]:
        return {"labels": self._labels}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._labels = list(state["labels"])

    def chance_loss(self) -> float | None:
        return float(np.log(len(self._labels))) if self._labels else None

    def draw(self, media: Media, key: Key) -> LabelledPicture:
        still, rng = draw_still(media, key), generator(*key, self.name)
        square = self._cropping.cut(still.pixels, rng if self.training else None)
        if self.training and self.options.pad:
            square = shifted(square, *(int(n) for n in rng.integers(-self.options.pad, self.options.pad + 1, size=2)))
        facts = media.facts(still.item)
        if facts.label not in self._labels:
            raise UserError(f"{facts.path} is of class {facts.label!r}, which the training data do not have")
        label = self._labels.index(facts.label)
        if self.shuffled:
            label = int(generator(*key, "shuffled").integers(len(self._labels)))
        return LabelledPicture(square, label, facts.path, facts.source_or_path, still.seconds)

    def collate(self, puzzles: Sequence[LabelledPicture]) -> Batch:
        frames = torch.from_numpy(stacked([puzzle.frame for puzzle in puzzles]))
        return {"frames": frames, "label": torch.tensor([puzzle.label for puzzle in puzzles])}

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        return PictureNetwork(vision_of(encoders), len(self._labels), pool=self.options.pool)

    def sheet(self, puzzles: Sequence[LabelledPicture], answers: Answers | None = None) -> Image:
        rows = [None] * len(puzzles) if answers is None else answers.scores
        cards = [
            class_card(
                enlarged(picture_of(puzzle.frame), 168),
                puzzle.label,
                scores,
                lambda k: self._labels[k],
                origin(puzzle.name, puzzle.seconds),
            )
            for puzzle, scores in zip(puzzles, rows, strict=False)
        ]
        return draw_cards("What is in this picture?", "A baseline with labels, no pretext task.", cards)
