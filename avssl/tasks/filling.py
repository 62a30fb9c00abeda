"""Shared by the tasks that hide a part and ask for its pixels: what training pictures are like on average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.tasks.images import PictureTask


class FillingTask(PictureTask):
    """A task whose loss is the squared error of what is hidden, as a share of that of a filling without a network."""

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.mean = (127.5, 127.5, 127.5)  # mean colour of the training pictures, 0..255
        self._variance = 1.0

    def state(self) -> dict[str, Any]:
        return {"mean": list(self.mean), "variance": self._variance}

    def load_state(self, state: Mapping[str, Any]) -> None:
        red, green, blue = (float(value) for value in state["mean"])
        self.mean, self._variance = (red, green, blue), float(state["variance"])

    def set_mean(self, colours: Sequence[NDArray[np.floating[Any]]]) -> None:
        """The mean colour, from those of some training pictures: (3,) each, 0..255."""
        red, green, blue = (float(value) for value in np.mean(colours, axis=0))
        self.mean = (red, green, blue)

    def set_variance(self, error: float) -> None:
        """The mean squared error of the filling without a network, on the scale 0..1.

        The loss is a share of it: about 1 for a network that adds nothing, whatever the pictures and what is hidden.
        """
        self._variance = max(error, 1e-6)
