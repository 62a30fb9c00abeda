"""From lightness to colours: an encoder, its stages combined, and a head for each target."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from avssl.networks.config import Norm
from avssl.networks.dense import Hypercolumn, convolution, stage_channels
from avssl.networks.encoder import ImageEncoder
from avssl.networks.latent_colours import LatentColours

# An output of 1 of the regression head is this many Lab units of a or b: about their spread in photographs.
AB_SCALE = 20.0


@dataclass(slots=True)
class Colours:
    """Predictions for a batch; None where there is no such head."""

    logits: Tensor | None  # (N, bins, h, w)
    ab: Tensor | None  # (N, 2, h, w), Lab units
    divergence: Tensor | None = None  # (N, latent), nats: of the variable that was inferred from true colours
    others: Tensor | None = None  # (N, 2 k, h, w), Lab units: of k variables that were given


class ColorizationNetwork(nn.Module):
    """Lightness to colours.

    Args:
        vision: fed the lightness on all three channels, so that tasks on coloured pictures can share it.
        side: of the pictures, in pixels; ``map_side`` that of the predictions.
        width: channels of the head; ``depth`` 3×3 convolutions of it.
        bins: colours to choose from; 0 builds no classification head.
        regression: whether there is a regression head.
        latent: dimensions of the latent variable of the regression head; 0: it has none, and one answer.
        dropout: share of the head's channels that is dropped in training.

    Input: L (N, 1, side, side), 0..100. With a latent variable also the true colours (N, 2, h, w), in Lab units, that
    it is inferred from (training and validation), or k variables (k, latent), each of which is tried on all pictures;
    the answer beside these is that of the variable 0, the prior's mean.
    """

    def __init__(
        self,
        vision: ImageEncoder,
        *,
        side: int,
        map_side: int,
        width: int,
        depth: int,
        bins: int,
        regression: bool,
        norm: Norm,
        dropout: float = 0.0,
        latent: int = 0,
    ) -> None:
        super().__init__()
        self.vision = vision
        channels = {name: count for name, (count, _) in stage_channels(vision, side).items()}
        self.gather = Hypercolumn(channels, width, map_side, norm)
        self.head = nn.Sequential(
            *(convolution(width, width, norm) for _ in range(depth)),
            nn.Dropout2d(dropout) if dropout else nn.Identity(),
        )
        self.classify = nn.Conv2d(width, bins, 1) if bins else None
        self.regress = nn.Conv2d(width, 2, 1) if regression and not latent else None
        self.imagine = LatentColours(width, latent) if regression and latent else None

    def forward(self, lightness: Tensor, truth: Tensor | None = None, variables: Tensor | None = None) -> Colours:
        maps = self.vision.stages((lightness / 100).expand(-1, 3, -1, -1))
        features = self.head(self.gather(maps))
        logits = None if self.classify is None else self.classify(features).float()
        if self.imagine is not None:
            return self._imagined(self.imagine, features, logits, truth, variables)
        ab = None if self.regress is None else self.regress(features).float() * AB_SCALE
        return Colours(logits, ab)

    def _imagined(
        self, head: LatentColours, features: Tensor, logits: Tensor | None, truth: Tensor | None, others: Tensor | None
    ) -> Colours:
        if truth is not None:
            variable, divergence = head.inferred(features, truth / AB_SCALE)
            return Colours(logits, head(features, variable).float() * AB_SCALE, divergence)
        ab = head(features, features.new_zeros(len(features), head.size)).float() * AB_SCALE
        tried = [] if others is None else [head(features, one[None].to(features)).float() * AB_SCALE for one in others]
        return Colours(logits, ab, others=torch.cat(tried, dim=1) if tried else None)
