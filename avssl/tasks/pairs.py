"""Shared by the tasks on a picture and a sound: an encoder of each, label 1 "they belong together", chance a half."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.media.facts import Media
from avssl.media.selection import facts_of
from avssl.networks.audio import AudioConfig, AudioEncoder
from avssl.networks.config import VisionConfig
from avssl.networks.front_end import SOUNDS_FOR_STATISTICS, FrontEndConfig, cell_statistics
from avssl.networks.vision import VisionEncoder
from avssl.samplers.keys import Key
from avssl.samplers.pictures import Crop, centre_crop
from avssl.tasks.base import Answers, Batch, Losses, Task


class PairTask(Task):
    """A task whose network gives one logit for a picture (or a clip) and a sound; each control leaves out one of both.

    Its puzzles have ``sources``, of the picture and of the sound; its batches "label".
    """

    classes: ClassVar[int | None] = 2
    loss_measure: ClassVar[str] = "binary_loss"
    picture_role: ClassVar[str] = "vision"
    """The role of the picture's encoder."""
    negative: ClassVar[str] = "a negative"
    """What takes its sound from another source, as a message calls it."""

    options: Any

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.modality: Literal["both", "vision", "audio"] = "both"
        self._statistics: dict[str, float] = {}

    @abstractmethod
    def sound_of(self, media: Media, key: Key) -> NDArray[np.float32]:
        """The sound of a puzzle, as it is recorded: (samples,)."""

    @abstractmethod
    def front_end(self) -> FrontEndConfig:
        """The spectrogram that the audio encoder sees."""

    @abstractmethod
    def vision_config(self) -> VisionConfig:
        """The picture's encoder."""

    @abstractmethod
    def audio_config(self) -> AudioConfig:
        """The sound's encoder."""

    def fit_statistics(self, media: Media, seed: int) -> None:
        """Mean and deviation of the spectrograms of training sounds."""
        if len({facts.source_or_path for facts in facts_of(media)}) < 2:
            raise UserError(f"{self.negative} is the sound of another source: give videos of two sources at least")
        # Epoch -1: of no training puzzle.
        keys = [Key(seed, -1, i) for i in range(min(SOUNDS_FOR_STATISTICS, len(media)))]
        self._statistics = cell_statistics(self.front_end(), [self.sound_of(media, key) for key in keys])

    def state(self) -> dict[str, Any]:
        return dict(self._statistics)

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._statistics = {name: float(value) for name, value in state.items()}

    def clusters(self, puzzle: Any) -> tuple[str, ...]:
        sources: tuple[str, ...] = puzzle.sources
        return sources

    def encoders(self) -> dict[str, nn.Module]:
        made: dict[str, nn.Module] = {}
        # The picture's first: which weights are drawn in which order is part of what a seed means.
        if self.modality != "audio":
            made[self.picture_role] = VisionEncoder(self.vision_config())
        if self.modality != "vision":
            audio = AudioEncoder(self.audio_config())
            if self._statistics:
                audio.front_end.set_statistics(self._statistics["mean"], self._statistics["std"])
            made["audio"] = audio
        return made

    def loss(self, network: nn.Module, batch: Batch) -> Losses:
        logits, label = self.logits(network, batch), batch["label"]
        loss = nn.functional.binary_cross_entropy_with_logits(logits, label.float())
        accuracy = ((logits > 0) == (label > 0)).float().mean()
        return Losses(loss, {"accuracy": accuracy.detach(), "binary_loss": loss.detach()})

    def answers(self, network: nn.Module, batch: Batch) -> Answers:
        logits = self.logits(network, batch)
        # The softmax of (0, x) is the logistic function of x.
        return Answers(torch.stack([torch.zeros_like(logits), logits], dim=1), batch["label"])

    def positives(self, network: nn.Module, batch: Batch) -> Tensor | None:
        found: Tensor = batch["label"] > 0
        return found

    def chance_loss(self) -> float | None:
        return math.log(2)

    def controls(self) -> dict[str, Task]:
        return {
            "vision-only": self.variant(modality="vision"),
            "audio-only": self.variant(modality="audio"),
            # Evaluated on true labels: shuffled ones are for training only.
            "shuffled-labels": self.variant(shuffled=self.training),
        }

    def logits(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,), above 0 where the two seem to belong together; float32 whatever the precision of training."""
        out: Tensor = network(batch)
        return out.float()

    def place(self, rng: np.random.Generator | None, height: int, width: int) -> Crop:
        """A crop drawn from ``rng``; without it the one that held-out pictures have."""
        options = self.options
        # In the middle of the range, so that things are as large as they mostly were in training.
        middle = (options.crop_low + options.crop_high) / 2
        return centre_crop(height, width, middle) if rng is None else self._cropping.place(rng, height, width)
