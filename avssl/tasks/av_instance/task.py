"""Cross-modal instance discrimination: which sound of the memory bank is this video's? (AVID, Morgado et al. 2021)

Trained on each video's own picture and sound, against those of other items in a memory bank; with ``--agreement`` also
on items that agree in both modalities (CMA). Evaluated on held-out pairs, as av-correspondence is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.media.facts import Media
from avssl.media.selection import column_of
from avssl.networks.encoder import waveform_encoder
from avssl.networks.fusion import InstanceFusion
from avssl.networks.instance import InBank, InstanceNetwork
from avssl.samplers.correspondence import PairRule
from avssl.samplers.keys import Key, generator
from avssl.samplers.negatives import draw_other_items
from avssl.tasks.av_correspondence.puzzle import CorrespondencePuzzle
from avssl.tasks.av_correspondence.task import AVCorrespondence
from avssl.tasks.av_instance.puzzle import InstanceOptions, InstancePuzzle
from avssl.tasks.base import Batch, Losses
from avssl.tasks.images import vision_of
from avssl.tasks.pairs import PairTask
from avssl.tasks.registry import register


@register
class AVInstance(AVCorrespondence):
    """The task. A held-out puzzle is a pair, label 1 "they belong together"."""

    name: ClassVar[str] = "av-instance"
    Options: ClassVar[type[Any]] = InstanceOptions

    options: InstanceOptions  # type: ignore[assignment]  # what is used of the others' options these have, too

    def __init__(self, options: InstanceOptions) -> None:
        super().__init__(options)
        self._most_items = 0
        self._sources_of: tuple[Media, NDArray[np.int64] | None] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # What is remembered of media stays behind: a task that is sent to a loader process brings none.
        return {**vars(self), "_sources_of": None}

    def fit_statistics(self, media: Media, seed: int) -> None:
        # Before anything is read: where a file turns out to be bad this is called again without it, and the bank must
        # still have a row for each item of the whole.
        self._most_items = max(self._most_items, len(media))
        super().fit_statistics(media, seed)
        self._statistics["items"] = float(self._most_items)

    def draw(self, media: Media, key: Key) -> CorrespondencePuzzle:
        pair = super().draw(media, key)
        if not self._in_batch():
            return pair
        item, items = pair.pair.frame.item, self._items()
        sources = self._sources(media, items)
        rng = generator(*key, "bank")
        # The control: each sound has the row of another item, always the same, so that the pairing means nothing.
        wrong = int(generator(key.seed, "shuffled").integers(1, items)) if self.shuffled else 0
        values = {one.name: getattr(pair, one.name) for one in fields(pair)}
        return InstancePuzzle(
            **values,
            negatives=draw_other_items(rng, item, self.options.negatives, items, sources),
            sound_item=(item + wrong) % items,
            epoch=key.epoch,
        )

    def collate(self, puzzles: Sequence[CorrespondencePuzzle]) -> Batch:
        batch = super().collate(puzzles)
        if not self._in_batch():
            return batch
        own = cast(Sequence[InstancePuzzle], puzzles)
        return batch | {
            "items": torch.tensor([p.pair.frame.item for p in own]),
            "sound_items": torch.tensor([p.sound_item for p in own]),
            "negatives": torch.from_numpy(np.stack([p.negatives for p in own])),
            "epoch": torch.tensor([p.epoch for p in own]),
        }

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        if self.modality != "both":
            return super().network(encoders)
        options = self.options
        vision, audio = vision_of(encoders), waveform_encoder(encoders["audio"])
        fusion = InstanceFusion(vision.channels, audio.channels, options.temperature)
        agreed = 0 if options.agreement == "off" else options.agreed
        return InstanceNetwork(vision, audio, fusion, self._items(), options.bank_momentum, agreed)

    def loss(self, network: nn.Module, batch: Batch) -> Losses:
        if not (self._in_batch() and isinstance(network, InstanceNetwork)):
            return super().loss(network, batch)
        options = self.options
        vision, audio = (each.float() for each in network.embed(batch))
        at = InBank(batch["items"], batch["sound_items"], batch["negatives"])
        agree = False
        if options.agreement != "off":  # only then: asking for the epoch waits for a GPU
            epoch = int(batch["epoch"].max())
            agree = epoch >= options.agreement_epoch
            if agree:
                network.find_positives(options.agreement, epoch)
        loss = network.cross_modal_loss(vision, audio, at, agree)
        measures = {"cross_modal_loss": loss.detach()} | _as_pairs(network, vision.detach(), audio.detach())
        if options.agreement != "off":  # also before they are looked for: the same measures at all steps
            within = network.within_loss(vision, audio, at, options.within_negatives) if agree else 0 * loss
            measures["within_loss"] = within.detach()
            if agree:
                loss = (loss + options.within_weight * within) / (1 + options.within_weight)
        if network.training:
            network.remember(vision.detach(), audio.detach(), at)
        return Losses(loss, measures)

    def positives(self, network: nn.Module, batch: Batch) -> Tensor | None:
        return PairTask.positives(self, network, batch)  # it has no option ``fusion``

    def _in_batch(self) -> bool:
        """Whether puzzles are compared with the bank: it holds training items alone, and both modalities of them."""
        return self.training and self.modality == "both"

    def _rule(self) -> PairRule:
        options = self.options
        return PairRule(
            seconds=options.seconds,
            rate=options.rate,
            alignment=options.alignment,
            min_loudness_db=options.min_loudness_db,
            positives_only=self._in_batch(),
        )

    def _silence(self, key: Key) -> None:
        return None

    def _mosaics(self) -> bool:
        return False

    def _sources(self, media: Media, items: int) -> NDArray[np.int64] | None:
        """A number for each item's source, whose other items are no negatives; None where none is named, or not of all
        items. Looked up once: it is asked for with every puzzle."""
        known = self._sources_of
        if known is None or known[0] is not media:
            names = column_of(media, "source")
            whole = len(names) >= items and bool(names[0])
            known = media, np.unique(names.astype(str), return_inverse=True)[1] if whole else None
            self._sources_of = known
        return known[1]

    def _items(self) -> int:
        if "items" not in self._statistics:
            raise UserError("the memory bank is as large as the training data: call fit_statistics before network")
        return int(self._statistics["items"])


def _as_pairs(network: InstanceNetwork, vision: Tensor, audio: Tensor) -> dict[str, Tensor]:
    """Accuracy and loss of the own pairs and as many of a batch's others: what validation measures of drawn pairs."""
    own, other = network.fusion.pairs(vision, audio), network.fusion.pairs(vision, audio.roll(1, 0))
    loss = (nn.functional.softplus(-own).mean() + nn.functional.softplus(other).mean()) / 2
    accuracy = ((own > 0).float().mean() + (other <= 0).float().mean()) / 2
    return {"accuracy": accuracy, "binary_loss": loss}
