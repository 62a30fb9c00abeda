"""The puzzle of cross-modal instance discrimination and its options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avssl.networks.config import Agreement
from avssl.options import option
from avssl.tasks.av_correspondence.puzzle import CorrespondencePuzzle, PairOptions

AgreementOption = Literal["off", Agreement]


@dataclass(frozen=True)
class InstanceOptions(PairOptions):
    """Options of ``avssl train av-instance``; "published" is the code of AVID-CMA, facebookresearch/AVID-CMA."""

    negatives: int = option(512, "items of the bank that each puzzle is compared with; published: 1024", low=1)
    bank_momentum: float = option(0.5, "share of an item's old vector in its new one", low=0, below=1)
    temperature: float = option(0.07, "temperature of the similarities", low=0.001)
    agreement: AgreementOption = option(
        "off",
        "further positives: items alike in both (consensus, as published), in one of them (union), in vision, in audio",
    )
    agreement_epoch: int = option(10, "epoch from which they are looked for; published: after 30 without", low=0)
    agreed: int = option(32, "how many they are for each item", low=1)
    within_negatives: int = option(64, "negatives that they are compared with, of the own modality", low=1)
    within_weight: float = option(1.0, "weight of that loss beside the cross-modal one", above=0)


@dataclass(frozen=True, slots=True)
class InstancePuzzle(CorrespondencePuzzle):
    """A picture and its own sound; in training also which items of the bank they are compared with."""

    # Empty where it is a pair to be evaluated, as of av-correspondence.
    negatives: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    sound_item: int = 0  # the item whose row of the bank the sound has: the own one, but in a control
    epoch: int = 0
