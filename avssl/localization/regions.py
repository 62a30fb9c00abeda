"""From logits to regions of a map.

A network that answers by the maximum over places needs one place to be sure: its logits peak on the parts that tell a
kind best, and below the peak their order says little of where the rest of the thing lies. As probabilities all places
that say no are alike, and spread by a cell the places that say yes become a region.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom
from scipy.special import expit

from avssl.evaluate.localization.metrics import peak
from avssl.evaluate.localization.protocols import Picture
from avssl.localization.localizer import Frames, Localizer, Maps, Waves

# How many times finer the grid of a region is than that of its map
FINER = 4
# Standard deviation of the spreading, in cells of the map. Chosen on validation clips of the generated world.
CELLS = 1.0


def spread(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Logits (N, h, w) to the probability that the sound comes from near each place: (N, 4 h, 4 w), 0..1."""
    likely = expit(np.asarray(logits, np.float32))
    fine = zoom(likely, (1, FINER, FINER), order=1, mode="nearest", grid_mode=True)
    # Beyond the border the last value goes on: a region there ends with the picture and does not fade
    out: NDArray[np.float32] = gaussian_filter(fine, (0, FINER * CELLS, FINER * CELLS), mode="nearest")
    return out


def peak_of(region: NDArray[np.floating]) -> tuple[float, float]:
    """Where a region (h, w) is likeliest: (x, y) in shares of the picture."""
    row, column = peak(region)
    return (column + 0.5) / region.shape[1], (row + 0.5) / region.shape[0]


class Regions:
    """A localizer whose maps are regions, for protocols that compare areas."""

    def __init__(self, localizer: Localizer) -> None:
        self._localizer = localizer
        self.seconds, self.rate = localizer.seconds, localizer.rate

    def maps(self, frames: Frames, waveforms: Waves, picture: Picture = "whole") -> Maps:
        """(N, 4 h, 4 w), 0..1; arguments as those of :meth:`Localizer.maps`."""
        return spread(self._localizer.maps(frames, waveforms, picture))


class PeakDiscs(Regions):
    """Nearness to the peak and nothing else: a baseline, as one point is worth much where objects are compact."""

    def maps(self, frames: Frames, waveforms: Waves, picture: Picture = "whole") -> Maps:
        """(N, 4 h, 4 w): minus the distance to the middle of the largest cell, in shares of the longer side."""
        logits = self._localizer.maps(frames, waveforms, picture)
        n, height, width = logits.shape
        rows, columns = np.divmod(logits.reshape(n, -1).argmax(1), width)
        y = (np.arange(FINER * height) + 0.5) / FINER
        x = (np.arange(FINER * width) + 0.5) / FINER
        down = y[None, :, None] - (rows + 0.5)[:, None, None]
        right = x[None, None, :] - (columns + 0.5)[:, None, None]
        return np.asarray(-np.hypot(down, right) / max(height, width), np.float32)
