"""What every protocol of localization asks of a model: a map for a picture and a sound."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avssl.evaluate.localization.protocols import Picture
from avssl.evaluate.localization.silences import Wave


class MapMaker(Protocol):
    """What gives a map for a picture and a sound: :class:`avssl.localization.localizer.Localizer`."""

    @property
    def seconds(self) -> float: ...

    @property
    def rate(self) -> int: ...

    def maps(self, frames: NDArray[np.uint8], waveforms: Wave, picture: Picture = "whole") -> NDArray[np.float32]: ...
