"""From model, frames and sound to maps: the raw logits and the grid they lie on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.evaluate.localization.protocols import Picture
from avssl.evaluate.localization.threshold import read_threshold
from avssl.localization.pointing import not_made_to_point
from avssl.networks.encoder import ImageEncoder, WaveformEncoder
from avssl.networks.fusion import Fusion
from avssl.networks.model import Model, load
from avssl.system.console import log

Frames = NDArray[np.uint8]
Waves = NDArray[np.float32]
Maps = NDArray[np.float32]

# Largest aspect ratio that is given to the network; longer pictures are squeezed
WIDEST = 4

# Sound quieter than this (RMS, dB of full scale) is digital silence: nothing is heard, whatever a network predicts
SILENT_DB = -90.0


class Localizer:
    """A model's maps. The encoder sees the whole frame, however wide, and the map is as wide as the frame.

    Args:
        model: with vision, audio and fusion, as ``avssl.load`` gives it.
        threshold: the logit from which something counts as heard in the picture.

    Raises:
        UserError: the model compares no picture with a sound.
    """

    def __init__(self, model: Model, threshold: float = 0.0) -> None:
        vision, audio, fusion = model.vision, model.audio_encoder, model.fusion
        if vision is None or audio is None or fusion is None:
            raise UserError(
                "this run compares no picture with a sound; take a run of: avssl train av-correspondence --fusion avol"
            )
        self.model, self.threshold = model.eval(), threshold
        self._vision: ImageEncoder = vision
        self._audio: WaveformEncoder = audio
        self._fusion: Fusion = fusion

    @property
    def seconds(self) -> float:
        """Length of the network's input sound."""
        return self._audio.seconds

    @property
    def rate(self) -> int:
        """Samples a second that the network takes."""
        return self._audio.rate

    @torch.no_grad()
    def maps(self, frames: Frames, waveforms: Waves, picture: Picture = "whole") -> Maps:
        """Where the sound comes from.

        Args:
            frames: uint8 (N, 3, H, W).
            waveforms: (N, samples) at ``rate``; if longer than ``seconds``, windows that overlap by half are averaged.
            picture: the whole frame with its aspect, squashed to a square, or the centre square of it.

        Returns:
            the logit at each place, (N, h, w).
        """
        seen = self.seen(frames, picture)
        heard = self.heard(waveforms)
        heat = torch.stack([self._fusion.heat(seen, heard[:, k]) for k in range(heard.shape[1])])
        return np.asarray(heat.mean(0).float().cpu().numpy(), np.float32)

    @torch.no_grad()
    def seen(self, frames: Frames, picture: Picture = "whole") -> Tensor:
        """The vision encoder's maps of frames uint8 (N, 3, H, W): (N, C, h, w)."""
        x = torch.from_numpy(np.ascontiguousarray(frames)).to(self.model.device).float() / 255
        height, width = x.shape[-2:]
        side = self._vision.side
        if picture == "centre-crop":
            short = min(height, width)
            top, left = (height - short) // 2, (width - short) // 2
            x, size = x[..., top : top + short, left : left + short], (side, side)
        elif picture == "squash":
            size = (side, side)
        else:
            # A ViT takes multiples of its patch alone
            size = _size(height, width, side, math.lcm(8, getattr(self._vision, "multiple", 1)))
        if x.shape[-2:] != size:
            x = nn.functional.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)
        out: Tensor = self._vision(x)
        return out

    @torch.no_grad()
    def heard(self, waveforms: Waves) -> Tensor:
        """Embeddings of (N, samples): (N, windows, 128)."""
        wanted = round(self.seconds * self.rate)
        x = np.asarray(waveforms, np.float32)
        missing = wanted - x.shape[1]
        if missing > 0:
            # A short sound lies in the middle, as the frame does.
            x = np.pad(x, ((0, 0), (missing // 2, missing - missing // 2)))
        starts = _starts(x.shape[1], wanted)
        windows = np.stack([x[:, s : s + wanted] for s in starts], axis=1)
        flat = torch.from_numpy(np.ascontiguousarray(windows.reshape(-1, wanted))).to(self.model.device)
        embedded: Tensor = self._fusion.embed_audio(self._audio(flat))
        return embedded.reshape(len(x), len(starts), -1)

    @torch.no_grad()
    def heat(self, seen: Tensor, heard: Tensor) -> Maps:
        """Maps (N, C, h, w) and embeddings (N, 128), as the two above give them, to logits (N, h, w)."""
        return np.asarray(self._fusion.heat(seen, heard).float().cpu().numpy(), np.float32)


def open_localizer(run: str | Path, device: str | torch.device = "cpu") -> Localizer:
    """The localizer of a run folder, with the threshold that was fitted for it (else a logit of 0).

    Raises:
        UserError: there is no run, or it cannot localize.
    """
    model = load(run).to(device)
    # Its maps are made nevertheless: papers compare them, too.
    if model.fusion is not None and (doubt := not_made_to_point(model.fusion.name)):
        log(f"{run}: {doubt}")
    return Localizer(model, read_threshold(Path(run)))


def is_silent(waveform: NDArray[np.float32]) -> bool:
    """Whether a sound (samples,) is digital silence."""
    power = float(np.mean(np.square(waveform, dtype=np.float64))) if waveform.size else 0.0
    return power <= 10 ** (SILENT_DB / 10)


def _size(height: int, width: int, side: int, multiple: int = 8) -> tuple[int, int]:
    """(height, width) with the shorter side at ``side`` and the aspect kept, to multiples of so many pixels."""
    short = min(height, width)
    longest = WIDEST * side
    tall, wide = (min(round(v * side / short / multiple) * multiple, longest) for v in (height, width))
    return (side if height == short else tall, side if width == short else wide)


def _starts(samples: int, wanted: int) -> Sequence[int]:
    # Windows overlap by half, and the last ends with the sound.
    count = max(-(-2 * (samples - wanted) // wanted) + 1, 1)
    return [round(k * (samples - wanted) / max(count - 1, 1)) for k in range(count)]
