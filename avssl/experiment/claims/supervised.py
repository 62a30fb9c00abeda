"""The baseline of claims that is no pretext task: the same encoder, trained on the same trainer, with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.media.facts import Facts, Media
from avssl.options import option
from avssl.samplers.rotations import shifted
from avssl.tasks.common_options import EncoderOptions, check_crops
from avssl.tasks.one_picture import LabelledPictureTask
from avssl.tasks.registry import register


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


@register
class Supervised(LabelledPictureTask):
    """The task. Its classes are the labels of the training data, in alphabetical order."""

    name: ClassVar[str] = "supervised"
    summary: ClassVar[str] = "what is in this picture? A baseline with labels"
    Options: ClassVar[type[Any]] = SupervisedOptions

    options: SupervisedOptions

    def __init__(self, options: SupervisedOptions) -> None:
        super().__init__(options)
        self._labels: list[str] = []

    @property
    def label_names(self) -> Sequence[str]:
        return self._labels

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

    def changed(
        self, square: NDArray[np.uint8], rng: np.random.Generator, facts: Facts
    ) -> tuple[NDArray[np.uint8], int]:
        if facts.label not in self._labels:
            raise UserError(f"{facts.path} is of class {facts.label!r}, which the training data do not have")
        if self.training and self.options.pad:
            square = shifted(square, *(int(n) for n in rng.integers(-self.options.pad, self.options.pad + 1, size=2)))
        return square, self._labels.index(facts.label)

    def sheet_heading(self) -> tuple[str, str]:
        return "What is in this picture?", "A baseline with labels, no pretext task."
