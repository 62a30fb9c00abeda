"""The puzzles of instance discrimination and its options, which each method has published values for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.options import option
from avssl.samplers.patches import TileRule
from avssl.tasks.common_options import EncoderOptions

if TYPE_CHECKING:  # options are read without what reads media
    from avssl.samplers.views import View

Method = Literal["simclr", "moco", "pirl"]
Of = Literal["pictures", "sounds"]
TILES = 3  # a side, of PIRL


class Recipe(NamedTuple):
    """What the three methods set otherwise."""

    area_low: float
    jitter: tuple[float, ...]
    jitter_share: float
    blur: float
    temperature: float


# SimCLR: Chen et al. 2020 and the authors' data_util.py. MoCo v2: the authors' main_moco.py --aug-plus, the temperature
# of Chen et al. 2020b. PIRL: pirl_jigsaw_4node_resnet50.yaml of VISSL.
PUBLISHED: dict[Method, Recipe] = {
    "simclr": Recipe(0.08, (0.8, 0.8, 0.8, 0.2), 0.8, 0.5, 0.1),
    "moco": Recipe(0.2, (0.4, 0.4, 0.4, 0.1), 0.8, 0.5, 0.2),
    "pirl": Recipe(0.08, (0.4, 0.4, 0.4, 0.2), 1.0, 0.0, 0.07),
}


@dataclass(frozen=True)
class SoundViewOptions:
    """How two views of a sound are made; of pictures nothing of it is used."""

    of: Of = option("pictures", "what views are of: pictures, or sounds (with simclr; an l3 encoder of log-mel)")
    rate: int = option(16000, "sounds: samples a second", low=4000, high=192000)
    bands: int = option(64, "sounds: bands of log-mel", low=16, high=512)
    seconds: float = option(1.0, "sounds: length of a view", low=0.2, high=60)
    # BYOL for Audio (Niizumi et al. 2021) draws the share of the other sound's power from 0 to 0.4, too.
    mixing: float = option(0.4, "sounds: largest share of another item's power in a view", low=0, below=1)
    gain: float = option(0.6, "sounds: largest change of loudness, as a share", low=0, below=1)
    masking: float = option(
        0.3, "sounds: widest gap in the spectrogram, in frequency and in time, as a share", low=0, high=1
    )
    transpose: float = option(0.06, "sounds: largest shift of the bands, as a share of them", low=0, high=1)
    min_loudness_db: float | None = option(-60.0, "sounds: redraw views quieter than this (RMS, dBFS)", high=0)


@dataclass(frozen=True)
class InstanceContrastOptions(SoundViewOptions, EncoderOptions):
    """Options of ``avssl train instance-contrast``; those that are null are the method's published ones."""

    method: Method = option(
        "simclr",
        "simclr (negatives: the batch), moco (a queue of keys by a slowly following encoder; MoCo v2) or pirl (a "
        "picture's tiles in any order; negatives: a memory bank)",
    )
    side: int = option(32, "pixels of a view; published: 224", low=8)
    area_low: float | None = option(
        None, "smallest crop, as a share of the area; published: moco 0.2, others 0.08", low=0.01, high=1
    )
    flip: bool = option(True, "mirror half of the views")
    jitter: tuple[float, ...] | None = option(
        None,
        "largest changes of brightness, contrast, saturation and hue, against colours as the answer; published: simclr "
        "0.8,0.8,0.8,0.2, moco 0.4,0.4,0.4,0.1, pirl 0.4,0.4,0.4,0.2",
        low=0,
        high=2,
    )
    jitter_share: float | None = option(
        None, "share of the views with these changes; published: pirl 1, others 0.8", low=0, high=1
    )
    grey: float = option(0.2, "share of grey views; published: 0.2", low=0, high=1)
    blur: float | None = option(
        None, "share of blurred views; published: pirl 0, others 0.5; at 32 pixels better 0", low=0, high=1
    )
    temperature: float | None = option(
        None, "of the similarities; published: simclr 0.1 (on CIFAR 0.5), moco 0.2, pirl 0.07", low=0.001
    )
    hidden: int | None = option(
        None, "width of the head's hidden layer; null: the encoder's, as published (pirl has none)", low=1
    )
    dimensions: int = option(128, "of an embedding; published: 128", low=2)
    queue: int = option(65536, "moco: keys of earlier batches that are negatives; published: 65536", low=1)
    key_momentum: float = option(0.999, "moco: of the weights of the encoder of keys; published: 0.999", low=0, below=1)
    shuffle: int = option(
        8,
        "moco: against batch norms that tell this batch from the queue's: parts of a batch with statistics of their "
        "own, divided otherwise for keys than for queries; published: a part a GPU, of 8; 1: off",
        low=1,
    )
    bank_momentum: float = option(0.5, "pirl: of the rows of the memory bank; published: 0.5", low=0, below=1)
    bank_negatives: int = option(32000, "pirl: rows of the bank that are negatives; published: 32000", low=1)
    tiles_area_low: float = option(
        0.6, "pirl: smallest crop that tiles are cut from, as a share of the area; published: 0.6", low=0.01, high=1
    )
    cell: int = option(14, "pirl: pixels of a tile's cell, nine of them in a square; published: 85", low=4)
    tile: int = option(12, "pirl: pixels of a tile, anywhere in its cell; published: 64", low=4)

    def check(self) -> None:
        if self.jitter is not None and len(self.jitter) != 4:
            raise UserError(
                f"--jitter ({','.join(f'{each:g}' for each in self.jitter)}) must be four numbers: the largest changes "
                "of brightness, contrast, saturation and hue"
            )
        if self.recipe.jitter[3] > 0.5:
            raise UserError(
                f"--jitter: the fourth ({self.recipe.jitter[3]:g}), of the hue, must be at most 0.5, half a turn"
            )
        if self.tile > self.cell:
            raise UserError(f"--tile ({self.tile}) must not be more than --cell ({self.cell})")
        if self.of == "sounds" and self.method != "simclr":
            raise UserError(f"--of sounds is for --method simclr, not {self.method}")
        self.vision_config(self.side).check()

    @property
    def recipe(self) -> Recipe:
        """What was asked for, else what was published for the method."""
        published = PUBLISHED[self.method]
        given = {name: getattr(self, name) for name in Recipe._fields}
        return published._replace(**{name: value for name, value in given.items() if value is not None})

    def rule(self) -> TileRule:
        """How tiles are cut."""
        return TileRule(TILES, self.cell, self.tile, channel_jitter=0)


@dataclass(frozen=True, slots=True)
class ContrastPuzzle:
    """Two views of a picture, before their colours are changed."""

    first: NDArray[np.uint8]  # uint8 (3, side, side)
    second: NDArray[np.uint8]  # the same; of PIRL the square (3, 3 · cell, 3 · cell) that tiles are cut from
    # Float32 (2, 10), of PIRL (10, 10) of the picture and each tile: numbers of a Recolouring.
    colours: NDArray[np.float32]
    # Of PIRL the tiles in their random order, int64 (9, 3): top, left and whether mirrored.
    tiles: NDArray[np.int64] | None
    item: int  # of the collection: the row of the bank
    name: str
    source: str
    seconds: float
    # Where cutting is left to the device the two views, and empty pictures.
    views: tuple[View, ...] = ()


@dataclass(frozen=True, slots=True)
class SoundPuzzle:
    """Two views of a sound; what is done to their spectrograms is still to come."""

    views: NDArray[np.float32]  # (2, samples)
    masks: NDArray[np.float32]  # (2, 4): first and last frequency, first and last time of a gap, as shares
    transpose: NDArray[np.float32]  # (2,): by what share of the bands each is shifted
    item: int
    name: str
    source: str
    seconds: float  # where the first view begins
