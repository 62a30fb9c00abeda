"""The network of cross-modal instance discrimination: two encoders, and a memory bank for each (AVID-CMA)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from avssl.networks.config import Agreement
from avssl.networks.correspondence import CorrespondenceNetwork
from avssl.networks.encoder import ImageEncoder, WaveformEncoder
from avssl.networks.fusion import InstanceFusion
from avssl.networks.memory_bank import MemoryBank, NoiseContrast

# Rows of the bank whose similarities to all others are held at a time.
_ROWS = 1024


class InBank(NamedTuple):
    """Where the puzzles of a batch are in the banks."""

    pictures: Tensor  # (N,)
    sounds: Tensor  # (N,); the same items, but in a control
    negatives: Tensor  # (N, K)


class InstanceNetwork(CorrespondenceNetwork):
    """Compares each picture with the bank's sounds and each sound with its pictures (Morgado et al. 2021).

    Args:
        items: of the training data.
        agreed: further positives of an item; 0: none are looked for.
    """

    fusion: InstanceFusion
    positives: Tensor
    found_in_epoch: Tensor

    def __init__(
        self,
        vision: ImageEncoder,
        audio: WaveformEncoder,
        fusion: InstanceFusion,
        items: int,
        momentum: float,
        agreed: int = 0,
    ) -> None:
        super().__init__(vision, audio, fusion)
        self.vision_bank, self.audio_bank = MemoryBank(items, momentum=momentum), MemoryBank(items, momentum=momentum)
        self.noise = NoiseContrast()
        # Buffers: a continued training has the positives of the epoch that it was stopped in.
        self.register_buffer("positives", torch.zeros(items, min(agreed, items - 1), dtype=torch.long))
        self.register_buffer("found_in_epoch", torch.tensor(-1))

    def cross_modal_loss(self, vision: Tensor, audio: Tensor, at: InBank, agree: bool) -> Tensor:
        """The own sound of each picture against those of other items, and the reverse; unit vectors (N, 128).

        With ``agree`` the further positives of an item are none of its negatives.
        """
        out = self._is_positive(at) if agree else None
        to_sounds = self._contrast(vision, self.audio_bank, at.sounds, at.negatives, out)
        to_pictures = self._contrast(audio, self.vision_bank, at.pictures, at.negatives, out)
        return (to_sounds + to_pictures) / 2

    def within_loss(self, vision: Tensor, audio: Tensor, at: InBank, count: int) -> Tensor:
        """The further positives of each item against others, picture with pictures and sound with sounds."""
        positives, negatives = self.positives[at.pictures], at.negatives[:, :count]
        out = self._is_positive(at)[:, :count]
        pictures = self._contrast(vision, self.vision_bank, positives, negatives, out)
        sounds = self._contrast(audio, self.audio_bank, positives, negatives, out)
        return (pictures + sounds) / 2

    @torch.no_grad()
    def find_positives(self, kind: Agreement, epoch: int) -> None:
        """Find the further positives of all items in the banks, once an epoch.

        Of consensus an item's are those with the largest of min(similarity of pictures, similarity of sounds).
        """
        if int(self.found_in_epoch) >= epoch:
            return
        pictures, sounds = self.vision_bank.vectors, self.audio_bank.vectors
        for first in range(0, len(pictures), _ROWS):
            rows = torch.arange(first, min(first + _ROWS, len(pictures)), device=pictures.device)
            both = [pictures[rows] @ pictures.T, sounds[rows] @ sounds.T]
            alike = {"vision": both[0], "audio": both[1]}.get(kind)
            if alike is None:
                alike = torch.minimum(*both) if kind == "consensus" else torch.maximum(*both)
            alike[torch.arange(len(rows)), rows] = -math.inf  # an item is none of its own further positives
            self.positives[rows] = alike.topk(self.positives.shape[1], dim=1).indices
        self.found_in_epoch.fill_(epoch)

    @torch.no_grad()
    def remember(self, vision: Tensor, audio: Tensor, at: InBank) -> None:
        """After the loss of a training step: put into the banks what this step made of its items."""
        self.vision_bank.update(at.pictures, vision)
        self.audio_bank.update(at.sounds, audio)
        self.fusion.get_buffer("offset").copy_(self.noise.log_mean)

    def _contrast(
        self, queries: Tensor, bank: MemoryBank, positives: Tensor, negatives: Tensor, out: Tensor | None
    ) -> Tensor:
        temperature = self.fusion.get_buffer("temperature")
        own = (bank(positives).view(len(queries), -1, queries.shape[1]) @ queries[:, :, None]).squeeze(2) / temperature
        others = (bank(negatives) @ queries[:, :, None]).squeeze(2) / temperature
        loss: Tensor = self.noise(own, others if out is None else others.masked_fill(out, -math.inf))
        return loss

    def _is_positive(self, at: InBank) -> Tensor:
        """(N, K): the negatives that are further positives of their puzzle's item."""
        return (at.negatives[:, :, None] == self.positives[at.pictures][:, None]).any(2)
