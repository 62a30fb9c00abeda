"""The networks of audio-visual correspondence: both modalities, and one alone as a control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from avssl.networks.config import EMBEDDING
from avssl.networks.encoder import ImageEncoder, WaveformEncoder, is_image_encoder, waveform_encoder
from avssl.networks.fusion import Fusion, global_max
from avssl.networks.mosaics import mosaics
from avssl.networks.photometry import jitter_colours, mask_spectrogram, transpose_spectrogram

Batch = Mapping[str, Any]


def vision_maps(encoder: ImageEncoder, batch: Batch) -> Tensor:
    """Frames (N, K, 3, H, W) uint8 to maps (N, C, h, w): the maximum over a puzzle's K frames."""
    frames: Tensor = batch["frames"]
    n, k = frames.shape[:2]
    flat = frames.flatten(0, 1).float() / 255
    # All frames of a puzzle alike: one moment is one light.
    flat = jitter_colours(flat, batch["brightness"].repeat_interleave(k), batch["saturation"].repeat_interleave(k))
    if "mosaic" in batch:
        flat = mosaics(flat.reshape(frames.shape), batch["mosaic"]).flatten(0, 1)
    maps: Tensor = encoder(flat)
    return maps if k == 1 else maps.reshape(n, k, *maps.shape[1:]).amax(1)


def audio_maps(encoder: WaveformEncoder, batch: Batch) -> Tensor:
    """Waveforms (N, samples) to maps (N, C, f, t); the batch's "silence", if it has any, comes after them.

    In the same pass: rows of noise in one of their own would spoil the statistics of batch normalisation. Of an encoder
    without a front end there is no spectrogram to transpose and to mask.
    """
    if encoder.front_end is None:
        maps: Tensor = encoder(torch.cat([batch[name] for name in ("waveform", "silence") if name in batch]))
        return maps
    spectrogram = encoder.front_end(batch["waveform"])
    if "transpose" in batch:
        spectrogram = transpose_spectrogram(spectrogram, batch["transpose"])
    spectrogram = mask_spectrogram(spectrogram, batch["masks"])
    if "silence" in batch:
        spectrogram = torch.cat([spectrogram, encoder.front_end(batch["silence"])])
    return encoder.trunk_map(spectrogram)


class CorrespondenceNetwork(nn.Module):
    """Vision encoder, audio encoder and what joins them."""

    def __init__(self, vision: ImageEncoder, audio: WaveformEncoder, fusion: Fusion) -> None:
        super().__init__()
        self.vision, self.audio, self.fusion = vision, audio, fusion

    def embed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the fusion compares, of each picture and of each sound (those of "silence" last)."""
        vision = self.fusion.embed_vision(vision_maps(self.vision, batch))
        audio = self.fusion.embed_audio(audio_maps(self.audio, batch))
        return vision, audio

    def forward(self, batch: Batch) -> Tensor:
        """The logit of each puzzle: (N,)."""
        vision, audio = self.embed(batch)
        # Out of autocast's 16 bits: the distance of near vectors is a difference that these round away.
        return self.fusion.pairs(vision.float(), audio.float())


class SingleModalityNetwork(nn.Module):
    """The control that sees the picture alone, or hears the sound alone."""

    def __init__(self, encoder: ImageEncoder | WaveformEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(nn.Linear(encoder.channels, EMBEDDING), nn.ReLU(), nn.Linear(EMBEDDING, 1))

    def forward(self, batch: Batch) -> Tensor:
        """The logit of each puzzle: (N,)."""
        if is_image_encoder(self.encoder):
            maps = vision_maps(self.encoder, batch)
        else:
            maps = audio_maps(waveform_encoder(self.encoder), batch)
        logits: Tensor = self.head(global_max(maps))
        return logits.squeeze(1).float()
