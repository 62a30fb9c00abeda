"""Several colourings of one picture: whether one of them is right, and how they differ.

Rows of the trained network on held-out pictures, beside each other:

- ``latent``: colourings of the latent variable, drawn from the prior.
- ``latent-ignored``: the same with a variable that is ignored: the answer of the prior's mean, each time.
- ``latent-noise``: that answer, moved as a whole by colours drawn as widely as the colourings of ``latent`` are spread
  on that picture: what any spread gains.
- ``bin-samples``: drawn from the distribution over bins, where there is a classification head.

Metrics: ``ab-rmse-best-of-5``: root of the mean over pictures of the least squared error among five colourings,
expected over the choice of five among twenty; ``ab-distance``: root of the mean squared distance between two colourings
of a picture. Both in Lab units.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avssl.evaluate.pretext.picture_metrics import squared_ab_error
from avssl.networks.dense import resized
from avssl.samplers.keys import generator
from avssl.tasks.colorization.task import IMAGINED, Colorization

BEST_OF = (1, 5, 20)
NOTES = {
    "latent": "colourings of the latent variable",
    "latent-ignored": "the prior's mean each time",
    "latent-noise": "the prior's mean, moved as a whole as widely as the colourings of the latent variable",
    "bin-samples": "drawn from the distribution over bins",
}

Floats = NDArray[np.float64]


def colourings(task: Colorization, scores: Tensor, key: int) -> dict[str, list[Tensor]]:
    """As many colourings of each picture by name, ab (N, 2, h, w) each; none of a network without a latent variable.

    Args:
        scores: of ``task.answers``.
        key: of the noise: another for each batch.
    """
    imagined = task.imagined(scores)
    if not imagined:
        return {}
    mean = task.decodings(scores)["regression"]
    spread = np.stack([one.double().cpu().numpy() for one in imagined]).std(0).mean((2, 3), keepdims=True)
    moves = generator(0, "noise", key).normal(size=(IMAGINED, *spread.shape)) * spread
    found = {
        "latent": imagined,
        "latent-ignored": [mean] * IMAGINED,
        "latent-noise": [mean + mean.new_tensor(move) for move in moves],
    }
    return found if task.options.target == "regression" else found | {"bin-samples": task.samples(scores, IMAGINED)}


def figures(drawn: Sequence[Tensor], truth: Tensor) -> Floats:
    """Of each picture the squared errors of the best of 1, 5 and 20 colourings, and their squared distance: (N, 4).

    Args:
        drawn: ab (N, 2, h, w) each.
        truth: ab of the pictures at full size (N, 2, H, W).
    """
    size = (truth.shape[-2], truth.shape[-1])
    errors = np.stack([squared_ab_error(resized(ab, size).cpu().numpy(), truth.cpu().numpy()) for ab in drawn])
    values = np.stack([ab.double().cpu().numpy() for ab in drawn])
    # Of two among n the mean squared distance is twice the variance, n - 1 for n.
    distance = 2 * values.var(0, ddof=1).mean((1, 2, 3))
    return np.stack([*(best_of(errors, count) for count in BEST_OF), distance], axis=1)


def best_of(errors: Floats, count: int) -> Floats:
    """The least of ``count`` errors, expected over the choice of them: (N,) of (n, N)."""
    total = len(errors)
    # The i-th smallest is the least of a choice if the others are among the larger ones.
    weights = np.array([comb(total - 1 - i, count - 1) for i in range(total)], np.float64) / comb(total, count)
    found: Floats = weights @ np.sort(errors, axis=0)
    return found
