"""Synchronization: are these frames and this sound in step? (Korbar, Tran & Torresani 2018; Owens & Efros 2018)"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.media.facts import Facts, Media
from avssl.media.selection import facts_of
from avssl.networks.audio import AudioConfig, AudioEncoder
from avssl.networks.encoder import image_encoder, waveform_encoder
from avssl.networks.front_end import SOUNDS_FOR_STATISTICS, FrontEndConfig, cell_statistics
from avssl.networks.photometry import LUMA
from avssl.networks.synchronization import SingleModalitySync, SyncNetwork
from avssl.networks.vision import VisionEncoder
from avssl.samplers.keys import Key, generator, uniform
from avssl.samplers.pictures import Crop, Cropping, centre_crop, cut_all
from avssl.samplers.synchronization import Excerpt, ShiftRule, draw_shifted, frame_times, read_sound, unusable
from avssl.tasks.av_sync.puzzle import SyncOptions, SyncPuzzle
from avssl.tasks.av_sync.sheet import draw_sheet
from avssl.tasks.base import Answers, Batch, Losses, Task
from avssl.tasks.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image


@register
class AVSync(Task):
    """The task. Label 1 is "in step". Held out each kind of negative is as frequent."""

    name: ClassVar[str] = "av-sync"
    Options: ClassVar[type[Any]] = SyncOptions
    classes: ClassVar[int | None] = 2
    loss_measure: ClassVar[str] = "binary_loss"

    options: SyncOptions

    def __init__(self, options: SyncOptions) -> None:
        super().__init__(options)
        self.modality: Literal["both", "vision", "audio"] = "both"
        self._cropping = Cropping(options.side, options.crop_low, options.crop_high, options.flip)
        self._statistics: dict[str, float] = {}

    def unusable(self, facts: Facts) -> str | None:
        return unusable(facts, self.options.seconds, self.options.least_shift)

    def fit_statistics(self, media: Media, seed: int) -> None:
        if len({facts.source_or_path for facts in facts_of(media)}) < 2:
            raise UserError("an easy negative is the sound of another source: give videos of two sources at least")
        rule = self.rule(0)
        # Epoch -1: of no training puzzle.
        keys = [Key(seed, -1, i) for i in range(min(SOUNDS_FOR_STATISTICS, len(media)))]
        sounds = [read_sound(media, draw_shifted(media, key, rule).sound, rule) for key in keys]
        self._statistics = cell_statistics(self._front_end(), sounds)

    def state(self) -> dict[str, Any]:
        return dict(self._statistics)

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._statistics = {name: float(value) for name, value in state.items()}

    def rule(self, epoch: int) -> ShiftRule:
        """How clips and sounds of an epoch are drawn: easy negatives first, then harder ones, too."""
        options = self.options
        hard, super_hard = options.hard, options.super_hard
        if not self.training:
            hard = super_hard = 1 / 3
        elif epoch < options.easy_epochs:
            hard = super_hard = 0.0
        return ShiftRule(
            seconds=options.seconds,
            rate=options.rate,
            hard=hard,
            super_hard=super_hard,
            least_shift=options.least_shift,
            min_loudness_db=options.min_loudness_db,
            negative_sounds=options.negative_sounds,
        )

    def draw(self, media: Media, key: Key) -> SyncPuzzle:
        options, rule = self.options, self.rule(key.epoch)
        shifted = draw_shifted(media, key, rule)
        rng = generator(*key, "augment")
        gain = uniform(rng, -options.gain, options.gain) if self.training else 0.0
        brightness = uniform(rng, -options.brightness, options.brightness) if self.training else 0.0
        facts = media.facts(shifted.picture.item), media.facts(shifted.sound.item)
        return SyncPuzzle(
            frames=self.clip(media, shifted.picture, rng if self.training else None),
            waveform=read_sound(media, shifted.sound, rule) * np.float32(1 + gain),
            label=int(generator(*key, "shuffled").integers(2)) if self.shuffled else shifted.label,
            shifted=shifted,
            names=(facts[0].path, facts[1].path),
            sources=(facts[0].source_or_path, facts[1].source_or_path),
            brightness=brightness,
        )

    def clip(self, media: Media, excerpt: Excerpt, rng: np.random.Generator | None = None) -> NDArray[np.uint8]:
        """Grey frames of a clip and one at either end, cropped by ``rng``, if any: uint8 (steps + 2, side, side)."""
        options = self.options
        times = frame_times(excerpt.centre_seconds, options.seconds, options.steps_a_clip)
        frames = media.frames(excerpt.item, times)
        # One crop for all: what moves in a clip is what moves in the picture.
        crop = self._crop(rng, *frames.shape[-2:])
        squares = cut_all(frames, crop, options.side).astype(np.float32)
        grey: NDArray[np.uint8] = np.rint(np.tensordot(np.array(LUMA, np.float32), squares, (0, 1))).astype(np.uint8)
        return grey

    def collate(self, puzzles: Sequence[SyncPuzzle]) -> Batch:
        return {
            "frames": torch.from_numpy(np.stack([p.frames for p in puzzles])),
            "waveform": torch.from_numpy(np.stack([p.waveform for p in puzzles])),
            "label": torch.tensor([p.label for p in puzzles]),
            "brightness": torch.tensor([p.brightness for p in puzzles], dtype=torch.float32),
        }

    def clusters(self, puzzle: SyncPuzzle) -> tuple[str, ...]:
        return puzzle.sources

    def encoders(self) -> dict[str, nn.Module]:
        options = self.options
        made: dict[str, nn.Module] = {}
        if self.modality != "audio":
            # A role of its own: it takes stacks of three grey frames, not pictures as others do.
            made["motion"] = VisionEncoder(options.vision_config(options.side))
        if self.modality != "vision":
            pools = options.audio_pools
            config = AudioConfig(
                self._front_end(), options.audio, options.audio_width, convs=1, pools=pools, norm=options.norm
            )
            audio = AudioEncoder(config)
            if self._statistics:
                audio.front_end.set_statistics(self._statistics["mean"], self._statistics["std"])
            made["audio"] = audio
        return made

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        options = self.options
        about = options.steps_a_clip, options.features, options.norm
        if self.modality == "vision":
            motion = image_encoder(encoders["motion"])
            return SingleModalitySync(motion, motion.channels, *about, hears=False)
        audio = waveform_encoder(encoders["audio"])
        if self.modality == "audio":
            return SingleModalitySync(audio, audio.channels, *about, hears=True)
        return SyncNetwork(image_encoder(encoders["motion"]), audio, *about)

    def saved(self, network: nn.Module) -> dict[str, nn.Module]:
        if not isinstance(network, SyncNetwork):
            return {}
        return {"motion": network.motion, "audio": network.audio}

    def loss(self, network: nn.Module, batch: Batch) -> Losses:
        logits, label = self._logits(network, batch), batch["label"]
        loss = nn.functional.binary_cross_entropy_with_logits(logits, label.float())
        accuracy = ((logits > 0) == (label > 0)).float().mean()
        return Losses(loss, {"accuracy": accuracy.detach(), "binary_loss": loss.detach()})

    def answers(self, network: nn.Module, batch: Batch) -> Answers:
        logits = self._logits(network, batch)
        # The softmax of (0, x) is the logistic function of x.
        return Answers(torch.stack([torch.zeros_like(logits), logits], dim=1), batch["label"])

    def features(self, network: nn.Module) -> Mapping[str, nn.Module]:
        if not isinstance(network, SyncNetwork):
            return {}
        return {"motion": network.motion_track, "audio": network.audio_track}

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

    def sheet(self, puzzles: Sequence[SyncPuzzle], answers: Answers | None = None) -> Image:
        return draw_sheet(puzzles, answers, self._front_end())

    def _crop(self, rng: np.random.Generator | None, height: int, width: int) -> Crop:
        options = self.options
        # Held out the crop in the middle of the range: things are then as large as they mostly were in training.
        middle = (options.crop_low + options.crop_high) / 2
        return centre_crop(height, width, middle) if rng is None else self._cropping.place(rng, height, width)

    def _front_end(self) -> FrontEndConfig:
        options = self.options
        return FrontEndConfig("log-mel", options.rate, options.bands, options.seconds)

    def _logits(self, network: nn.Module, batch: Batch) -> Tensor:
        out: Tensor = network(batch)
        return out.float()
