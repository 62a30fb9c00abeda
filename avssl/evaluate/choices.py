"""What may be chosen of several protocols; nothing heavy is imported for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from avssl.options import option

Pool = Literal["max", "average"]


@dataclass(frozen=True)
class PoolChoices:
    """How maps are pooled."""

    heading: ClassVar[str] = "features"

    pool: Pool = option("max", "how maps are pooled: the maximum (RotNet, L3-Net) or the mean (DeepCluster)")


@dataclass(frozen=True)
class FeatureChoices(PoolChoices):
    """How the maps of a stage become features."""

    # Square maps of 64, 192, 384, 256, 512, 1024 and 2048 channels become 12, 7, 5, 6, 4, 3 and 2 places wide, as
    # published (RotNet, DeepCluster, and the FAIR benchmark of 2019).
    max_features: int = option(
        9600, "the most features that a stage is pooled to; published: about 9,000", low=1, formerly="numbers"
    )


@dataclass(frozen=True)
class BootstrapChoices:
    """How intervals are drawn."""

    draws: int = option(2000, "draws of the bootstrap, for the intervals", low=1)
