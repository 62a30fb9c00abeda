"""The published fusions: whether a picture and a sound belong together.

Each takes the maps of the two encoders to 128-d embeddings and pairs of embeddings to a logit (> 0: they
belong together). ``embed_vision`` and ``embed_audio`` are separate so that every pair of a batch can be
scored at the price of one pass through the encoders.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from avssl.networks.config import EMBEDDING


def global_max(x: Tensor) -> Tensor:
    """(N, C, h, w) → (N, C): the published towers end in a global max-pool, not an average."""
    return x.amax(dim=(-2, -1))


class Fusion(nn.Module):
    """What they have in common: pairs, all pairs, similarities, heat."""

    name: str

    def __init__(self, vision_channels: int, audio_channels: int) -> None:
        super().__init__()
        self.vision_channels, self.audio_channels = vision_channels, audio_channels

    @abstractmethod
    def embed_vision(self, maps: Tensor) -> Tensor:
        """Vision maps (N, C, h, w) to what the fusion compares: (N, 128), for avol (N, 128, places + 1)."""

    @abstractmethod
    def embed_audio(self, maps: Tensor) -> Tensor:
        """Audio maps (N, C, f, t) to (N, 128)."""

    @abstractmethod
    def all_pairs(self, vision: Tensor, audio: Tensor) -> Tensor:
        """Logit of every pair: (Nv, Na)."""

    @abstractmethod
    def pairs(self, vision: Tensor, audio: Tensor) -> Tensor:
        """Logit of row n with row n: (N,)."""

    @abstractmethod
    def similarities(self, vision: Tensor, audio: Tensor, temperature: float) -> list[Tensor]:
        """Matrices (Nv, Na) of logits for a contrastive term: softmax over a row names its sound."""

    @abstractmethod
    def heat(self, maps: Tensor, audio: Tensor) -> Tensor:
        """Vision maps (N, C, h, w) and audio embeddings (N, 128) to the logit at each place (N, h, w)."""

    def vectors(self, vision: Tensor) -> Tensor:
        """The picture's one 128-d vector, from what ``embed_vision`` returned."""
        return vision

    def describe(self) -> dict[str, Any]:
        """What :func:`avssl.networks.saving.load_module` needs to rebuild this fusion."""
        return {
            "type": "fusion",
            "config": {
                "name": self.name,
                "vision_channels": self.vision_channels,
                "audio_channels": self.audio_channels,
            },
        }


class L3Fusion(Fusion):
    """L3-Net: concatenate, FC 128, ReLU, FC 2 (Arandjelović & Zisserman 2017).

    The published layer on the concatenation [v, a] is W·[v, a] + b = Wv·v + Wa·a + b: each modality's share of
    it is the 128-d embedding here, so the sum of two embeddings is the published hidden layer before its ReLU.
    """

    name = "l3"

    def __init__(self, vision_channels: int, audio_channels: int) -> None:
        super().__init__(vision_channels, audio_channels)
        self.vision = nn.Linear(vision_channels, EMBEDDING)
        self.audio = nn.Linear(audio_channels, EMBEDDING, bias=False)
        self.classifier = nn.Linear(EMBEDDING, 2)

    def embed_vision(self, maps: Tensor) -> Tensor:
        out: Tensor = self.vision(global_max(maps))
        return out

    def embed_audio(self, maps: Tensor) -> Tensor:
        out: Tensor = self.audio(global_max(maps))
        return out

    def _logit(self, hidden: Tensor) -> Tensor:
        # The softmax over two outputs is the logistic function of their difference.
        two: Tensor = self.classifier(hidden.relu())
        return two[..., 1] - two[..., 0]

    def all_pairs(self, vision: Tensor, audio: Tensor) -> Tensor:
        return self._logit(vision[:, None] + audio[None])

    def pairs(self, vision: Tensor, audio: Tensor) -> Tensor:
        return self._logit(vision + audio)

    def similarities(self, vision: Tensor, audio: Tensor, temperature: float) -> list[Tensor]:
        return [unit(vision) @ unit(audio).T / temperature]

    def heat(self, maps: Tensor, audio: Tensor) -> Tensor:
        # Published L3-Net has no map: this is what its layer makes of each place alone.
        places = self.vision(maps.movedim(1, -1))
        return self._logit(places + audio[:, None, None])


def head(channels: int) -> nn.Sequential:
    """FC, ReLU, FC to 128: the head of AVE-Net on each tower."""
    return nn.Sequential(nn.Linear(channels, EMBEDDING), nn.ReLU(), nn.Linear(EMBEDDING, EMBEDDING))


def unit(x: Tensor) -> Tensor:
    """x / |x| along the last dimension."""
    return nn.functional.normalize(x, dim=-1)


class UnitFusion(Fusion):
    """Unit vectors of the globally pooled maps: all that a logit depends on is their cosine."""

    def __init__(self, vision_channels: int, audio_channels: int) -> None:
        super().__init__(vision_channels, audio_channels)
        self.vision, self.audio = head(vision_channels), head(audio_channels)

    @abstractmethod
    def _logit(self, cosine: Tensor) -> Tensor: ...

    def embed_vision(self, maps: Tensor) -> Tensor:
        return unit(self.vision(global_max(maps)))

    def embed_audio(self, maps: Tensor) -> Tensor:
        return unit(self.audio(global_max(maps)))

    def all_pairs(self, vision: Tensor, audio: Tensor) -> Tensor:
        return self._logit(vision @ audio.T)

    def pairs(self, vision: Tensor, audio: Tensor) -> Tensor:
        return self._logit((vision * audio).sum(-1))

    def similarities(self, vision: Tensor, audio: Tensor, temperature: float) -> list[Tensor]:
        return [vision @ audio.T / temperature]

    def heat(self, maps: Tensor, audio: Tensor) -> Tensor:
        places = unit(self.vision(maps.movedim(1, -1)))
        return self._logit(torch.einsum("nhwd,nd->nhw", places, audio))


class AVEFusion(UnitFusion):
    """AVE-Net: Euclidean distance of unit vectors, one number, through a tiny FC (Arandjelović & Zisserman 2018).

    The logit is ``slope · (threshold − distance)``; both are learned. It starts with the right sign (nothing
    forbids "far = same", and a network that starts there may not recover) and with its threshold below √2, the
    distance of unrelated unit vectors in 128 dimensions.
    """

    name = "ave"

    def __init__(self, vision_channels: int, audio_channels: int) -> None:
        super().__init__(vision_channels, audio_channels)
        # Unrelated unit vectors lie √2 ≈ 1.41 apart, where these two give a logit of −1.
        self.slope = nn.Parameter(torch.tensor(5.0))
        self.threshold = nn.Parameter(torch.tensor(1.2))

    def _logit(self, cosine: Tensor) -> Tensor:
        # |v − a|² = 2 − 2 v·a for unit vectors; ε because the gradient of √0 is infinite.
        distance = (2 - 2 * cosine).clamp_min(0).add(1e-6).sqrt()
        return self.slope * (self.threshold - distance)


class InstanceFusion(UnitFusion):
    """Cosine over a temperature, less the constant of noise-contrastive estimation (AVID, Morgado et al. 2021).

    With as many negatives as positives the estimated probability of "own" is exp(s) / (exp(s) + Z), see
    :class:`avssl.networks.memory_bank.NoiseContrast`: the logit is s − log Z. Neither number is learned.
    """

    name = "instance"

    def __init__(self, vision_channels: int, audio_channels: int, temperature: float = 0.07) -> None:
        super().__init__(vision_channels, audio_channels)
        self.register_buffer("temperature", torch.tensor(temperature))
        # Log Z of unrelated unit vectors in so many dimensions: s is nearly normal with variance 1 / (d τ²).
        self.register_buffer("offset", torch.tensor(1 / (2 * EMBEDDING * temperature**2)))

    def _logit(self, cosine: Tensor) -> Tensor:
        return cosine / self.get_buffer("temperature") - self.get_buffer("offset")


class AVOLFusion(Fusion):
    """AVOL-Net: scalar product at each place, one scale and one bias, maximum over places (2018).

    The vision head is applied at each place (1×1 convolutions), nothing is L2-normalised, and the loss sees the
    largest place only: multiple-instance learning. ``similarities`` holds a second matrix, of the globally pooled
    map through the same head: a gradient to all places, which frees the maximum from its start at chance.
    """

    name = "avol"

    def __init__(self, vision_channels: int, audio_channels: int) -> None:
        super().__init__(vision_channels, audio_channels)
        self.vision, self.audio = head(vision_channels), head(audio_channels)
        # A sum of 128 products grows as √128: so scaled, the first logits are of the order of one product.
        self.scale = nn.Parameter(torch.tensor(1 / math.sqrt(EMBEDDING)))
        self.bias = nn.Parameter(torch.tensor(0.0))

    def embed_vision(self, maps: Tensor) -> Tensor:
        # The last column is the head of the globally pooled map: (N, 128, places + 1).
        places = self.vision(maps.flatten(2).transpose(1, 2))
        pooled = self.vision(global_max(maps))
        return torch.cat([places, pooled[:, None]], dim=1).transpose(1, 2)

    def embed_audio(self, maps: Tensor) -> Tensor:
        out: Tensor = self.audio(global_max(maps))
        return out

    def all_pairs(self, vision: Tensor, audio: Tensor) -> Tensor:
        products = torch.einsum("vdp,ad->vap", vision[..., :-1], audio)
        return self.scale * products.amax(-1) + self.bias

    def pairs(self, vision: Tensor, audio: Tensor) -> Tensor:
        products = torch.einsum("ndp,nd->np", vision[..., :-1], audio)
        return self.scale * products.amax(-1) + self.bias

    def similarities(self, vision: Tensor, audio: Tensor, temperature: float) -> list[Tensor]:
        # Scalar products of unnormalised vectors: the learned scale takes the place of the temperature.
        maxima = self.all_pairs(vision, audio) - self.bias
        pooled = self.scale * (vision[..., -1] @ audio.T)
        return [maxima, pooled]

    def heat(self, maps: Tensor, audio: Tensor) -> Tensor:
        places = self.vision(maps.movedim(1, -1))
        return self.scale * torch.einsum("nhwd,nd->nhw", places, audio) + self.bias

    def vectors(self, vision: Tensor) -> Tensor:
        return vision[..., -1]


FUSIONS: dict[str, type[Fusion]] = {"l3": L3Fusion, "ave": AVEFusion, "avol": AVOLFusion, "instance": InstanceFusion}
