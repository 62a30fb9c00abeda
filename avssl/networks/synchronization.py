"""The networks of synchronization: what moves and what is heard, step by step of time; and one alone as a control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from avssl.networks.config import Norm
from avssl.networks.encoder import ImageEncoder, WaveformEncoder

Batch = Mapping[str, Any]

# Neighbouring frames differ by little: as much as their contrast when multiplied so.
_CHANGE = 2.0


def moving_pictures(frames: Tensor, brightness: Tensor) -> Tensor:
    """Grey frames uint8 (N, steps + 2, H, W) to (N · steps, 3, H, W): each with the change to it and the one after it.

    A stack of three frames as the channels of one picture: an encoder of pictures then sees what moves, and whether it
    turns back, which no single frame shows.
    """
    grey = (frames.float() / 255 + brightness.view(-1, 1, 1, 1)).clamp(0, 1)
    before, here, after = grey[:, :-2], grey[:, 1:-1], grey[:, 2:]
    stack = torch.stack([0.5 + _CHANGE * (here - before), here, 0.5 + _CHANGE * (after - here)], 2)
    return stack.flatten(0, 1)


class Track(nn.Module):
    """Features over time (N, channels, t) to features of each step (N, features, steps)."""

    def __init__(self, channels: int, features: int, steps: int, norm: Norm) -> None:
        super().__init__()
        # Before the first convolution: both modalities then speak of the same steps.
        self.pool = nn.AdaptiveAvgPool1d(steps)
        self.layers = nn.Sequential(
            nn.Conv1d(channels, features, 3, padding=1), nn.ReLU(), nn.Conv1d(features, features, 3, padding=1)
        )
        # Without it all tracks are alike at first, and their cosine says nothing.
        norms: dict[Norm, nn.Module] = {
            "batch": nn.BatchNorm1d(features, affine=False),
            "group": nn.GroupNorm(1, features, affine=False),
            "none": nn.Identity(),
        }
        self.norm = norms[norm]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.layers(self.pool(x)))
        return out


class SyncNetwork(nn.Module):
    """Two tracks of features and their cosine over all steps: a track that is shifted no longer fits.

    Args:
        motion: of stacks of three frames, see :func:`moving_pictures`.
        steps: of a clip.
        features: of a step.
    """

    def __init__(self, motion: ImageEncoder, audio: WaveformEncoder, steps: int, features: int, norm: Norm) -> None:
        super().__init__()
        self.motion, self.audio, self.steps = motion, audio, steps
        self.motion_track = Track(motion.channels, features, steps, norm)
        self.audio_track = Track(audio.channels, features, steps, norm)
        # Cosines of unrelated tracks are near 0; these make of 0 "rather not", of 1 "sure".
        self.slope, self.bias = nn.Parameter(torch.tensor(8.0)), nn.Parameter(torch.tensor(-1.0))

    def see(self, frames: Tensor, brightness: Tensor) -> Tensor:
        """Clips, as of :func:`moving_pictures`, to unit vectors (N, features · steps)."""
        return _unit(self.motion_track(seen(self.motion, frames, brightness)))

    def hear(self, waveform: Tensor) -> Tensor:
        """Sounds (N, samples) to unit vectors (N, features · steps)."""
        return _unit(self.audio_track(heard(self.audio, waveform)))

    def logits(self, picture: Tensor, sound: Tensor) -> Tensor:
        """Whether clip n and sound n are in step: above 0, they are. (N,)"""
        return self.slope * (picture * sound).sum(-1) + self.bias

    def forward(self, batch: Batch) -> Tensor:
        """The logit of each puzzle: (N,)."""
        return self.logits(self.see(batch["frames"], batch["brightness"]), self.hear(batch["waveform"]))


class SingleModalitySync(nn.Module):
    """The control that sees the clip alone, or hears the sound alone."""

    def __init__(self, encoder: nn.Module, channels: int, steps: int, features: int, norm: Norm, hears: bool) -> None:
        super().__init__()
        self.encoder, self.hears = encoder, hears
        self.track = Track(channels, features, steps, norm)
        self.head = nn.Linear(features * steps, 1)

    def forward(self, batch: Batch) -> Tensor:
        """The logit of each puzzle: (N,)."""
        if self.hears:
            x = heard(self.encoder, batch["waveform"])
        else:
            x = seen(self.encoder, batch["frames"], batch["brightness"])
        logits: Tensor = self.head(self.track(x).flatten(1))
        return logits.squeeze(1).float()


def seen(encoder: nn.Module, frames: Tensor, brightness: Tensor) -> Tensor:
    """What moves at each step, wherever in the picture: (N, channels, steps)."""
    maps: Tensor = encoder(moving_pictures(frames, brightness))
    largest: Tensor = maps.amax((-2, -1)).unflatten(0, (len(frames), -1))
    return largest.transpose(1, 2)


def heard(encoder: nn.Module, waveform: Tensor) -> Tensor:
    """What is heard at each time, at whatever frequency: (N, channels, t)."""
    maps: Tensor = encoder(waveform)
    return maps.amax(-2)


def _unit(track: Tensor) -> Tensor:
    return nn.functional.normalize(track.flatten(1).float(), dim=1)
