"""Synchronization: are these frames and this sound in step? (Korbar, Tran & Torresani 2018; Owens & Efros 2018)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from avssl.media.facts import Facts, Media
from avssl.networks.audio import AudioConfig
from avssl.networks.config import VisionConfig
from avssl.networks.encoder import image_encoder, waveform_encoder
from avssl.networks.front_end import FrontEndConfig
from avssl.networks.photometry import LUMA
from avssl.networks.synchronization import SingleModalitySync, SyncNetwork
from avssl.samplers.keys import Key, generator, uniform
from avssl.samplers.pictures import cut_all
from avssl.samplers.synchronization import Excerpt, ShiftRule, draw_shifted, frame_times, read_sound, unusable
from avssl.tasks.av_sync.puzzle import SyncOptions, SyncPuzzle
from avssl.tasks.av_sync.sheet import draw_sheet
from avssl.tasks.base import Answers, Batch
from avssl.tasks.pairs import PairTask
from avssl.tasks.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image


@register
class AVSync(PairTask):
    """The task. Label 1 is "in step". Held out each kind of negative is as frequent."""

    name: ClassVar[str] = "av-sync"
    Options: ClassVar[type[Any]] = SyncOptions
    # A role of its own: it takes stacks of three grey frames, not pictures as others do.
    picture_role: ClassVar[str] = "motion"
    negative: ClassVar[str] = "an easy negative"

    options: SyncOptions

    def unusable(self, facts: Facts) -> str | None:
        return unusable(facts, self.options.seconds, self.options.least_shift)

    def sound_of(self, media: Media, key: Key) -> NDArray[np.float32]:
        rule = self.rule(0)
        return read_sound(media, draw_shifted(media, key, rule).sound, rule)

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
        crop = self.place(rng, *frames.shape[-2:])
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

    def front_end(self) -> FrontEndConfig:
        options = self.options
        return FrontEndConfig("log-mel", options.rate, options.bands, options.seconds)

    def vision_config(self) -> VisionConfig:
        return self.options.vision_config(self.options.side)

    def audio_config(self) -> AudioConfig:
        options = self.options
        return AudioConfig(
            self.front_end(),
            options.audio,
            options.audio_width,
            convs=1,
            pools=options.audio_pools,
            norm=options.norm,
        )

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

    def features(self, network: nn.Module) -> Mapping[str, nn.Module]:
        if not isinstance(network, SyncNetwork):
            return {}
        return {"motion": network.motion_track, "audio": network.audio_track}

    def sheet(self, puzzles: Sequence[SyncPuzzle], answers: Answers | None = None) -> Image:
        return draw_sheet(puzzles, answers, self.front_end())
