"""A visual prior without sound: the activation of a supervised torchvision network, as published beside maps.

EZ-VSL calls it object-guided localization (OGL): the mean |activation| of a ResNet-18 trained on ImageNet before its
last pooling, mixed with the model's map as 0.4 · map + 0.6 · saliency, both scaled to 0..1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from avssl.evaluate.data.encoders import supervised_encoder
from avssl.evaluate.localization.protocols import Picture
from avssl.localization.localizer import Frames, Localizer, Maps, Waves
from avssl.networks.encoder import device_of

# Weight of the model's map in the mixture (EZ-VSL's script)
MAP_WEIGHT = 0.4


class Saliency:
    """Activation maps of a torchvision ResNet from a file of its weights; the sound is ignored.

    It takes sound as the localizer ``like`` does, so that both are given the same.

    Raises:
        UserError: the weights cannot be read, or are of another network.
    """

    def __init__(self, weights: str | Path, architecture: str, like: Localizer) -> None:
        self._encoder = supervised_encoder(weights, architecture).to(like.model.device)
        self.seconds, self.rate = like.seconds, like.rate

    @torch.no_grad()
    def maps(self, frames: Frames, waveforms: Waves, picture: Picture = "whole") -> Maps:
        """Mean |activation| of the last stage at each place, (N, h, w)."""
        x = torch.from_numpy(np.ascontiguousarray(frames)).to(device_of(self._encoder)).float() / 255
        # Squashed whatever the protocol, as EZ-VSL shows pictures to this network
        size = (self._encoder.side, self._encoder.side)
        x = nn.functional.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)
        return np.asarray(self._encoder(x).abs().mean(1).cpu().numpy(), np.float32)


class Mixture:
    """0.4 · the model's map + 0.6 · saliency, each scaled to 0..1 on a common grid."""

    def __init__(self, model: Localizer, saliency: Saliency) -> None:
        self._model, self._saliency = model, saliency
        self.seconds, self.rate = model.seconds, model.rate

    def maps(self, frames: Frames, waveforms: Waves, picture: Picture = "whole") -> Maps:
        """(N, 28, 28)."""
        parts = (self._model, MAP_WEIGHT), (self._saliency, 1 - MAP_WEIGHT)
        return np.asarray(sum(w * _scaled(m.maps(frames, waveforms, picture)) for m, w in parts), np.float32)


def _scaled(maps: NDArray[np.float32], side: int = 28) -> NDArray[np.float32]:
    x = torch.from_numpy(maps)[:, None]
    x = nn.functional.interpolate(x, size=(side, side), mode="bilinear", align_corners=True)[:, 0]
    # By each map alone: the two have different units
    low, high = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
    return np.asarray(((x - low) / (high - low).clamp_min(1e-12)).numpy(), np.float32)
