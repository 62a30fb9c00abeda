"""Audio-visual correspondence: do this frame and this second of sound belong together?

L3-Net (Arandjelović & Zisserman 2017), AVE-Net and AVOL-Net (2018) by ``--fusion``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.media.facts import Facts, Media
from avssl.networks.audio import AudioConfig
from avssl.networks.config import VisionConfig
from avssl.networks.contrastive import info_nce_terms
from avssl.networks.correspondence import CorrespondenceNetwork, SingleModalityNetwork
from avssl.networks.encoder import waveform_encoder
from avssl.networks.front_end import FrontEndConfig
from avssl.networks.fusion import FUSIONS
from avssl.networks.gather import gather_with_gradient, mean_of_whole_batch
from avssl.networks.mosaics import companions
from avssl.samplers import side_by_side
from avssl.samplers.correspondence import PairRule, draw_pair, unusable
from avssl.samplers.keys import Key, generator, uniform
from avssl.samplers.silence import draw_silence
from avssl.samplers.sound_views import draw_gap
from avssl.samplers.views import cut_or_leave, stored_frames
from avssl.tasks.av_correspondence.puzzle import CorrespondenceOptions, CorrespondencePuzzle
from avssl.tasks.av_correspondence.sheet import draw_sheet
from avssl.tasks.base import Answers, Batch, Losses
from avssl.tasks.images import vision_of
from avssl.tasks.left_to_device import stacked_or_left
from avssl.tasks.pairs import PairTask
from avssl.tasks.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image

# Of a mosaic at least this share of the side is cut: all of the picture's own quarter, and something of the others.
SMALLEST_PART = 0.55


@register
class AVCorrespondence(PairTask):
    """The task. Label 1 is "they belong together"."""

    name: ClassVar[str] = "av-correspondence"
    Options: ClassVar[type[Any]] = CorrespondenceOptions

    options: CorrespondenceOptions

    def unusable(self, facts: Facts) -> str | None:
        return unusable(facts, self.options.seconds)

    def sound_of(self, media: Media, key: Key) -> NDArray[np.float32]:
        return draw_pair(media, key, self._rule()).sound.sound

    def draw(self, media: Media, key: Key) -> CorrespondencePuzzle:
        options = self.options
        pair = draw_pair(media, key, self._rule())
        rng = generator(*key, "augment")
        start, moment = pair.frame.sound_start_seconds, pair.frame
        times = [moment.frame_seconds]
        if options.frames > 1:
            times = [start + (k + 0.5) * options.seconds / options.frames for k in range(options.frames)]
        pictures = stored_frames(media, moment.item, times, self.left_to_device)
        # What is drawn in which order is part of what a seed means: a new draw comes last.
        crop = self.place(rng if self.training else None, pictures[0].height, pictures[0].width)
        gain = brightness = transpose = 0.0
        saturation = 1.0
        masks = (0.0, 0.0, 0.0, 0.0)
        if self.training:
            brightness = uniform(rng, -options.brightness, options.brightness)
            saturation = uniform(rng, 1 - options.saturation, 1 + options.saturation)
            gain = uniform(rng, -options.gain, options.gain)
            masks = (*draw_gap(rng, options.masking), *draw_gap(rng, options.masking))
            transpose = uniform(rng, -options.transpose, options.transpose)
            saturation = 0.0 if rng.random() < options.grey else saturation
        facts, sound = (media.facts(moment.item), media.facts(pair.sound.item)), pair.sound.sound
        frames, views = cut_or_leave(pictures, crop, options.side, self.left_to_device)
        return CorrespondencePuzzle(
            frames=frames,
            waveform=np.multiply(sound, np.float32(1 + gain), out=side_by_side.empty(sound.shape, sound.dtype)),
            label=int(generator(*key, "shuffled").integers(2)) if self.shuffled else pair.label,
            pair=pair,
            names=(facts[0].path, facts[1].path),
            sources=(facts[0].source_or_path, facts[1].source_or_path),
            brightness=brightness,
            saturation=saturation,
            masks=masks,
            transpose=transpose,
            mosaic=self._mosaic(key),
            silence=self._silence(key),
            views=views,
        )

    def collate(self, puzzles: Sequence[CorrespondencePuzzle]) -> Batch:
        silences = [p.silence for p in puzzles if p.silence is not None]
        transposed = any(p.transpose for p in puzzles)
        sources = torch.tensor([[_number(source) for source in p.sources] for p in puzzles])
        return {
            **(self._collated_mosaics(puzzles, sources[:, 0]) if self._mosaics() else {}),
            **({"silence": torch.from_numpy(np.stack(silences))} if silences else {}),
            **({"transpose": torch.tensor([p.transpose for p in puzzles])} if transposed else {}),
            "frames": stacked_or_left([p.frames for p in puzzles], [p.views for p in puzzles], self.options.side),
            "waveform": torch.from_numpy(side_by_side.stacked([p.waveform for p in puzzles])),
            "label": torch.tensor([p.label for p in puzzles]),
            # For negatives of the batch. As numbers: tensors can be gathered over processes, names cannot.
            "sources": sources,
            "brightness": torch.tensor([p.brightness for p in puzzles]),
            "saturation": torch.tensor([p.saturation for p in puzzles]),
            "masks": torch.tensor([p.masks for p in puzzles]),
        }

    @property
    def can_leave(self) -> bool:
        return True

    def finish(self, batch: Batch) -> Batch:
        finished = super().finish(batch)
        return finished | {"frames": finished["frames"].unflatten(0, (-1, self.options.frames))}

    def front_end(self) -> FrontEndConfig:
        options = self.options
        return FrontEndConfig(options.front_end, options.rate, options.bands, options.seconds)

    def vision_config(self) -> VisionConfig:
        return self.options.vision_config()

    def audio_config(self) -> AudioConfig:
        options = self.options
        return AudioConfig(
            self.front_end(),
            options.audio,
            width=options.width,
            convs=options.convs,
            first_stride=options.first_stride,
            norm=options.norm,
        )

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        if self.modality == "vision":
            return SingleModalityNetwork(vision_of(encoders))
        if self.modality == "audio":
            return SingleModalityNetwork(waveform_encoder(encoders["audio"]))
        vision, audio = vision_of(encoders), waveform_encoder(encoders["audio"])
        return CorrespondenceNetwork(vision, audio, FUSIONS[self.options.fusion](vision.channels, audio.channels))

    def saved(self, network: nn.Module) -> dict[str, nn.Module]:
        if not isinstance(network, CorrespondenceNetwork):
            return {}
        return {"vision": network.vision, "audio": network.audio, "fusion": network.fusion}

    def loss(self, network: nn.Module, batch: Batch) -> Losses:
        if not (self._in_batch() and isinstance(network, CorrespondenceNetwork)):
            return super().loss(network, batch)
        vision, audio = network.embed(batch)
        # The sounds of silence, which belong to no picture, come behind the others.
        audio, silent = audio[: len(vision)], audio[len(vision) :]
        vision, audio = gather_with_gradient(vision), gather_with_gradient(audio)
        ignored = _same_source(gather_with_gradient(batch["sources"]))
        if "companions" in batch:
            sounds = gather_with_gradient(batch["sources"])[:, 1]
            beside = gather_with_gradient(batch["companions"])[:, :, None] == sounds
            ignored |= beside.any(1) & ~torch.eye(len(sounds), dtype=torch.bool, device=sounds.device)
        losses = self._all_pairs(network, vision.float(), audio.float(), ignored)
        return self._with_silence(network, losses, vision.float(), silent.float()) if self._noise() else losses

    def _with_silence(self, network: CorrespondenceNetwork, losses: Losses, vision: Tensor, silent: Tensor) -> Losses:
        """The loss with noise that belongs to none of the pictures: all its pairs are negatives.

        The measure is there in a batch without noise, too: pieces and processes log the same ones.
        """
        pairs = network.fusion.all_pairs(vision, silent) if len(silent) else vision.new_zeros(0)
        loss = mean_of_whole_batch(nn.functional.softplus(pairs).sum(), pairs.new_full((), pairs.numel()))
        return Losses(losses.loss + self.options.logistic * loss / 2, {**losses.measures, "silent_loss": loss.detach()})

    def _all_pairs(self, network: CorrespondenceNetwork, vision: Tensor, audio: Tensor, ignore: Tensor) -> Losses:
        """Every frame of the batch with every sound; positives and negatives count alike.

        ``ignore`` (N, N): pairs of one source that are not one puzzle's: neither true nor false.
        """
        if len(vision) < 2:
            raise UserError(
                "--negatives batch takes the other sounds of a batch (with --accumulate: of a piece of it), and there "
                "are none: give a --batch-size of two or more a piece, or --negatives drawn"
            )
        logits = network.fusion.all_pairs(vision, audio)
        positive = logits.diagonal()
        off = ~torch.eye(len(logits), dtype=torch.bool, device=logits.device) & ~ignore
        negative_loss, rejected = (masked_negatives if logits.is_cuda else picked_negatives)(logits, off)
        loss = (nn.functional.softplus(-positive).mean() + negative_loss) / 2
        accuracy = ((positive > 0).float().mean() + rejected) / 2
        measures = {"accuracy": accuracy.detach(), "binary_loss": loss.detach()}
        loss = self.options.logistic * loss  # kept at 0, so that every parameter has a gradient in every process
        if self.options.contrastive:
            found = network.fusion.similarities(vision, audio, self.options.temperature)
            terms = [term for similarity in found for term in info_nce_terms(similarity, ignore)]
            contrastive = torch.stack(terms).mean()
            measures["contrastive_loss"] = contrastive.detach()
            loss = loss + self.options.contrastive * contrastive
        return Losses(loss, measures)

    def features(self, network: nn.Module) -> Mapping[str, nn.Module]:
        """The two 128-d embeddings, before AVE-Net's are scaled to unit length."""
        if not isinstance(network, CorrespondenceNetwork):
            return {}
        heads = dict(network.fusion.named_children())
        return {role: heads[role] for role in ("vision", "audio")}

    def positives(self, network: nn.Module, batch: Batch) -> Tensor | None:
        # L3-Net adds the two embeddings: nothing asks those of a pair to be alike.
        return None if self.options.fusion == "l3" else batch["label"] > 0

    def sheet(self, puzzles: Sequence[CorrespondencePuzzle], answers: Answers | None = None) -> Image:
        return draw_sheet(puzzles, answers, self.front_end())

    def _in_batch(self) -> bool:
        """Whether the batch makes the negatives. Held out, and for the controls, they are drawn as published."""
        # A control on permuted labels needs pairs with labels; one that sees a single modality has no pairs to form.
        return self.options.negatives == "batch" and self.training and self.modality == "both" and not self.shuffled

    def _mosaics(self) -> bool:
        return bool(self.options.mosaic and self._in_batch())

    def _mosaic(self, key: Key) -> tuple[float, float, float]:
        if not self._mosaics():
            return (0.0, 0.0, 0.0)
        rng = generator(*key, "mosaic")
        share, row, column = uniform(rng, SMALLEST_PART, 1), int(rng.integers(2)), int(rng.integers(2))
        return (row, column, share if rng.random() < self.options.mosaic else 0.0)

    def _collated_mosaics(self, puzzles: Sequence[CorrespondencePuzzle], sources: Tensor) -> Batch:
        """Where each picture lies in its mosaic, and the sources of the pictures beside it (N, 3); 0 where none are."""
        places = torch.tensor([p.mosaic for p in puzzles])
        return {"mosaic": places, "companions": sources[companions(len(puzzles))] * (places[:, 2:] > 0)}

    def _noise(self) -> bool:
        """Whether sounds of noise alone are added: the logistic loss of all pairs of a batch is what they are for."""
        return bool(self.options.silent_rows and self.options.logistic and self._in_batch())

    def _rule(self) -> PairRule:
        options = self.options
        return PairRule(
            seconds=options.seconds,
            rate=options.rate,
            alignment=options.alignment,
            hard_negatives=options.hard_negatives,
            min_loudness_db=options.min_loudness_db,
            negative_sounds=options.negative_sounds,
            positives_only=self._in_batch(),
        )

    def _silence(self, key: Key) -> NDArray[np.float32] | None:
        options = self.options
        if not self._noise():
            return None
        rng = generator(*key, "silence")
        if rng.random() >= options.silent_rows:
            return None
        return draw_silence(rng, round(options.seconds * options.rate), options.rate)


def picked_negatives(logits: Tensor, off: Tensor) -> tuple[Tensor, Tensor]:
    """Of the logits (N, N) where ``off`` is true the mean softplus, and the share of those that are not positive."""
    negative = logits[off]
    count = max(negative.numel(), 1)  # a small batch may be of one source by chance
    return nn.functional.softplus(negative).sum() / count, (negative <= 0).float().sum() / count


def masked_negatives(logits: Tensor, off: Tensor) -> tuple[Tensor, Tensor]:
    """The same but for the order of sums: picking by a mask waits for a GPU, to know how many there are."""
    count = off.sum().clamp(min=1)
    loss = nn.functional.softplus(logits.masked_fill(~off, -math.inf)).sum() / count
    return loss, ((logits <= 0) & off).float().sum() / count


@lru_cache(maxsize=1 << 16)
def _number(source: str) -> int:
    """A source's name as an integer that a tensor can hold."""
    return int(generator(source, "source").integers(2**62))


def _same_source(sources: Tensor) -> Tensor:
    """(N, N): frame n and sound m come from one source but are not one puzzle's."""
    same = sources[:, 0, None] == sources[None, :, 1]
    return same & ~torch.eye(len(sources), dtype=torch.bool, device=sources.device)
