"""A visual prior that hears nothing: the activation of a supervised torchvision network, as published beside maps.

EZ-VSL calls it object-guided localization (OGL): the mean |activation| of a ResNet-18 trained on ImageNet before its
last pooling, mixed with the model's map as 0.4 · map + 0.6 · saliency, both scaled to 0..1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from avssl.errors import UserError
from avssl.localization.localizer import Localizer, Picture
from avssl.networks.vision import MEAN, STD

MAP_WEIGHT = 0.4
"""Weight of the model's map in the mixture (EZ-VSL's script)."""


class Saliency:
    """Maps of what a network trained on labels finds remarkable; the sound is not listened to.

    Args:
        weights: a file of torchvision's weights for the architecture (``torch.save`` of a state dict).
        architecture: resnet18, resnet34 or resnet50.
        like: takes sound as this one does, so that both are given the same.

    Raises:
        UserError: the weights cannot be read, or are of another network.
    """

    def __init__(self, weights: str | Path, architecture: str, like: Localizer) -> None:
        import torchvision

        if architecture not in ("resnet18", "resnet34", "resnet50"):
            raise UserError(f"--saliency-network ({architecture}) must be resnet18, resnet34 or resnet50")
        network = getattr(torchvision.models, architecture)(weights=None)
        try:
            network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        except FileNotFoundError:
            raise UserError(f"{weights}: no such file of weights") from None
        except Exception as error:  # torch.load and load_state_dict raise many kinds for one fault: wrong weights
            first = str(error).splitlines()[0]
            raise UserError(f"{weights} holds no weights of torchvision's {architecture}: {first}") from None
        self._trunk = nn.Sequential(*list(network.children())[:-2]).eval().to(like.model.device)
        self._like = like

    @property
    def seconds(self) -> float:
        return self._like.seconds

    @property
    def rate(self) -> int:
        return self._like.rate

    @torch.no_grad()
    def maps(
        self, frames: NDArray[np.uint8], waveforms: NDArray[np.float32], picture: Picture = "whole"
    ) -> NDArray[np.float32]:
        """Mean |activation| of the last stage at each place, (N, h, w)."""
        device = self._like.model.device
        x = torch.from_numpy(np.ascontiguousarray(frames)).to(device).float() / 255
        x = nn.functional.interpolate(x, size=(224, 224), mode="bilinear", antialias=True, align_corners=False)
        mean, std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (MEAN, STD))
        return np.asarray(self._trunk((x - mean) / std).abs().mean(1).cpu().numpy(), np.float32)


class Mixture:
    """0.4 · the model's map + 0.6 · saliency, each scaled to 0..1 on a common grid."""

    def __init__(self, model: Localizer, saliency: Saliency) -> None:
        self._model, self._saliency = model, saliency
        self.seconds, self.rate = model.seconds, model.rate

    def maps(
        self, frames: NDArray[np.uint8], waveforms: NDArray[np.float32], picture: Picture = "whole"
    ) -> NDArray[np.float32]:
        """(N, 28, 28)."""
        parts = (self._model, MAP_WEIGHT), (self._saliency, 1 - MAP_WEIGHT)
        return np.asarray(sum(w * _scaled(m.maps(frames, waveforms, picture)) for m, w in parts), np.float32)


def _scaled(maps: NDArray[np.float32], side: int = 28) -> NDArray[np.float32]:
    x = torch.from_numpy(maps)[:, None]
    x = nn.functional.interpolate(x, size=(side, side), mode="bilinear", align_corners=True)[:, 0]
    low, high = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
    return np.asarray(((x - low) / (high - low).clamp_min(1e-12)).numpy(), np.float32)
