"""The shortest puzzle of your own: a square picture is changed, and the class is which change it was."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from avssl.media.facts import Facts, Media
from avssl.networks.puzzles import PictureNetwork
from avssl.samplers.keys import Key, generator
from avssl.samplers.pictures import Cropping
from avssl.samplers.side_by_side import stacked
from avssl.samplers.stills import draw_still
from avssl.tasks.base import Answers, Batch, option
from avssl.tasks.cards import class_card, draw_cards, enlarged, origin, picture_of
from avssl.tasks.common_options import EncoderOptions
from avssl.tasks.images import ClassTask, vision_of

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class OnePictureOptions(EncoderOptions):
    """How the square is cut. A subclass may have more options."""

    side: int = option(64, "pixels of the square picture", low=16)
    crop_low: float = option(0.7, "smallest crop in training, as a share of the shorter side", low=0.1, high=1)
    crop_high: float = option(1.0, "largest crop in training, and the crop of held-out pictures", low=0.1, high=1)
    pool: int = option(4, "the head sees the map pooled to this many places a side", low=1)


@dataclass(frozen=True, slots=True)
class OnePicturePuzzle:
    """A picture, what was done to it, and where it comes from."""

    frame: NDArray[np.uint8]
    label: int
    name: str
    source: str
    seconds: float


class LabelledPictureTask(ClassTask):
    """A task whose puzzle is one square picture with a label."""

    options: Any

    @property
    @abstractmethod
    def label_names(self) -> Sequence[str]:
        """Names of the classes."""

    @abstractmethod
    def changed(
        self, square: NDArray[np.uint8], rng: np.random.Generator, facts: Facts
    ) -> tuple[NDArray[np.uint8], int]:
        """The picture as it is shown, and its label.

        Args:
            square: uint8 RGB (3, side, side).
            rng: the only source of randomness; it is the same for the same puzzle.
            facts: of the item that the picture is from.
        """

    def draw(self, media: Media, key: Key) -> OnePicturePuzzle:
        # By the task's name: two tasks on one picture of one key draw independently of each other.
        still, rng = draw_still(media, key), generator(*key, self.name)
        square = self._cropping.cut(still.pixels, rng if self.training else None)
        facts = media.facts(still.item)
        frame, label = self.changed(square, rng, facts)
        if self.shuffled:  # by a generator of its own: frame and crop stay those of the true puzzle
            label = int(generator(*key, "shuffled").integers(len(self.label_names)))
        return OnePicturePuzzle(
            np.ascontiguousarray(frame), int(label), facts.path, facts.source_or_path, still.seconds
        )

    def collate(self, puzzles: Sequence[OnePicturePuzzle]) -> Batch:
        frames = torch.from_numpy(stacked([puzzle.frame for puzzle in puzzles]))
        return {"frames": frames, "label": torch.tensor([puzzle.label for puzzle in puzzles])}

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        return PictureNetwork(vision_of(encoders), len(self.label_names), pool=self.options.pool)

    def sheet(self, puzzles: Sequence[OnePicturePuzzle], answers: Answers | None = None) -> Image:
        rows = [None] * len(puzzles) if answers is None else answers.scores
        cards = [
            class_card(
                enlarged(picture_of(puzzle.frame), 168),
                puzzle.label,
                scores,
                lambda k: self.label_names[k],
                origin(puzzle.name, puzzle.seconds),
            )
            for puzzle, scores in zip(puzzles, rows, strict=False)
        ]
        return draw_cards(*self.sheet_heading(), cards)

    def sheet_heading(self) -> tuple[str, str]:
        """The title of the sheet, and the line below it."""
        return self.summary, ""


class OnePictureTask(LabelledPictureTask):
    """A task whose puzzle is one square picture. A subclass gives ``name``, ``labels`` and :meth:`puzzle`."""

    labels: ClassVar[tuple[str, ...]]  # names of the classes
    Options: ClassVar[type[Any]] = OnePictureOptions

    options: OnePictureOptions

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.classes = len(cls.labels)
        if "summary" not in vars(cls):
            cls.summary = (cls.__doc__ or cls.name).strip().partition("\n")[0]

    def __init__(self, options: OnePictureOptions | None = None) -> None:
        super().__init__(self.Options() if options is None else options)

    @cached_property
    def _cropping(self) -> Cropping:
        # Never mirrored: whatever the puzzle is, a mirror may change its answer.
        return Cropping(self.options.side, self.options.crop_low, self.options.crop_high)

    @property
    def label_names(self) -> Sequence[str]:
        return self.labels

    @abstractmethod
    def puzzle(self, square: NDArray[np.uint8], rng: np.random.Generator) -> tuple[NDArray[np.uint8], int]:
        """The changed picture, and the index of its label.

        Args:
            square: uint8 RGB (3, side, side).
            rng: the only source of randomness; it is the same for the same puzzle.
        """

    def changed(
        self, square: NDArray[np.uint8], rng: np.random.Generator, facts: Facts
    ) -> tuple[NDArray[np.uint8], int]:
        return self.puzzle(square, rng)
