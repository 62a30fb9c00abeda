"""The options of jigsaw."""

from __future__ import annotations

from dataclasses import dataclass

from avssl.errors import UserError
from avssl.networks.config import Normalise
from avssl.options import option
from avssl.samplers.patches import TileRule
from avssl.samplers.permutations import check_count
from avssl.tasks.common_options import EncoderOptions, check_crops


@dataclass(frozen=True)
class JigsawOptions(EncoderOptions):
    """Options of ``avssl train jigsaw``; the defaults run on a small CPU."""

    # "Published" is Noroozi & Favaro 2016; its numbers of pixels are 64 in 75, those of the authors' code 64 in 85.
    permutations: int = option(100, "size of the set that the shuffle is drawn from; published: 1000", low=2)
    set_seed: int = option(0, "seed of the set of permutations")
    tiles: int = option(3, "tiles a side; published: 3. 2 × 2 is a different, easier puzzle")
    cell: int = option(35, "pixels of a tile's cell; the square has tiles × cell a side; published: 75", low=8)
    tile: int = option(28, "against edges that continue: pixels of a tile, anywhere in its cell; published: 64", low=8)
    centred: bool = option(False, "put each tile in the middle of its cell: edges continue at a known distance")
    normalise: Normalise = option(
        "channel",
        "against light and contrast shared by neighbours: channel (mean and contrast of each tile's channels removed), "
        "patch (one contrast for all channels), off; published: channel",
    )
    grey: float = option(0.3, "against chromatic aberration: share of grey puzzles; authors' code: 0.5", low=0, high=1)
    projection: float = option(
        0.0,
        "against chromatic aberration: share of the other puzzles whose green–magenta axis is removed, "
        "instead of --channel-jitter; authors' code: 0.5",
        low=0,
        high=1,
    )
    channel_jitter: int = option(
        1, "against chromatic aberration: largest shift of a tile's channels, in pixels; authors' code: 2", low=0
    )
    puzzles: int = option(1, "permutations that a picture is shown in, in one batch of training; published: 1", low=1)
    crop_low: float = option(0.75, "smallest square, as a share of the shorter side; code: 255/256", low=0.05, high=1)
    crop_high: float = option(1.0, "largest square; held-out pictures are cut so, in the middle", low=0.05, high=1)
    flip: bool = option(True, "mirror half of the pictures before they are cut; published: no")
    features: int = option(128, "features of a tile; published: 1024", low=1)
    hidden: tuple[int, ...] = option((256,), "fully connected layers over all tiles; published: 4096", low=1)
    pool: int = option(2, "average a tile's map to this many places a side", low=1)
    dropout: float = option(0.0, "share of features and hidden units dropped; published: 0.5", low=0, high=0.99)
    smoothing: float = option(0.0, "label smoothing", low=0, high=0.99)

    def check(self) -> None:
        if not 2 <= self.tiles <= 3:
            raise UserError(f"--tiles ({self.tiles}) must be 2 or 3: 4 × 4 have too many permutations to list")
        check_count(self.permutations, self.tiles**2)
        if self.channel_jitter < 0 or self.rule().room < 0:
            # Else channels could not be moved alike in all cells, and their misalignment would give the place away.
            both = f"--tile ({self.tile}) and --channel-jitter ({self.channel_jitter}, at least 0)"
            raise UserError(f"{both} must not be more than --cell ({self.cell}) together")
        check_crops(self.crop_low, self.crop_high)
        self.vision_config(self.tile).check()

    def rule(self) -> TileRule:
        """How pictures are cut."""
        return TileRule(self.tiles, self.cell, self.tile, self.channel_jitter, self.centred)
