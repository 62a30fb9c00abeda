"""Audio front ends: from a waveform to a log-spectrogram, on the device, as modules that travel with the weights."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.networks.config import FrontEndName


@dataclass(frozen=True)
class FrontEndConfig:
    """Which spectrogram.

    "log-mel": ln(mel power + 1e-6), Slaney mel scale and normalisation, window 25 ms, hop 10 ms, no padding
    (one second at 16 kHz: 64 × 98).

    "l3": ln of the linear-frequency magnitude, window 480, hop 240, FFT 512 at 48 kHz, no padding: 257 × 199 for a
    second (Arandjelović & Zisserman 2017). "ave": the same with half a hop of zeros at either end, which makes the
    257 × 200 of their paper of 2018; where its 200th column comes from is not published.

    "openl3-…" (Cramer et al. 2019): window and FFT 2048, hop 242 at 48 kHz, ⌈samples / 242⌉ frames (199 for a second),
    triangles of equal area; 10·log10 of max(x, 1e-10), each clip's maximum at 0, floor −80.
    "openl3-training-…": what its networks were trained with (marl/l3embedding with kapre 0.1.4): x the *square root of
    the mel power*, HTK scale, zeros shared out between both ends.
    "openl3-release-…": what the released package computes (marl/openl3 with kapre ≥ 0.3.5): x the mel *magnitude*,
    Slaney scale, zeros at the end only.
    "openl3-mel256" and "openl3-mel128" are neither: mel magnitude, HTK scale, triangles of equal height, half a window
    of zeros at either end. They are kept for runs that were made with them.
    """

    name: FrontEndName = "log-mel"
    rate: int = 16000
    bands: int = 64
    seconds: float = 1.0


class FrontEnd(nn.Module):
    """Waveform (N, samples) at ``config.rate`` to log-spectrogram (N, 1, bands, frames), float32.

    ``mean`` and ``std`` are scalars fitted on training data (0 and 1 until :meth:`set_statistics`).
    """

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__()
        self.config = config
        rate, name = config.rate, config.name
        if name == "log-mel":
            self.window_length, self.hop, self.fft = rate * 25 // 1000, rate // 100, _power_of_two(rate * 25 // 1000)
        elif name in ("l3", "ave"):
            self.window_length, self.hop = rate // 100, rate // 200
            self.fft = _power_of_two(self.window_length)
        else:
            self.window_length, self.hop, self.fft = 2048, 242, 2048
        self.register_buffer("window", torch.hann_window(self.window_length, periodic=True), persistent=False)
        bank = None if name in ("l3", "ave") else self._mel_bank()
        self.bands = self.fft // 2 + 1 if bank is None else bank.shape[1]
        self.register_buffer("bank", bank, persistent=False)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def _mel_bank(self) -> Tensor:
        config = self.config
        bands = 256 if config.name.endswith("mel256") else 128 if config.name.endswith("mel128") else config.bands
        if config.name.startswith(("openl3-training", "openl3-release")):
            from librosa.filters import mel  # heavy

            htk = config.name.startswith("openl3-training")
            with warnings.catch_warnings(action="ignore"):  # of the lowest bands, which are empty in the original too
                weights = mel(sr=config.rate, n_fft=self.fft, n_mels=bands, htk=htk, norm="slaney")
            return torch.from_numpy(weights.T.copy())
        from torchaudio.functional import melscale_fbanks  # heavy

        slaney = config.name == "log-mel"
        bank: Tensor = melscale_fbanks(
            self.fft // 2 + 1,
            0.0,
            config.rate / 2,
            bands,
            config.rate,
            norm="slaney" if slaney else None,
            mel_scale="slaney" if slaney else "htk",
        )
        return bank

    def padding(self, samples: int) -> tuple[int, int]:
        """Zeros before and after so many samples."""
        name = self.config.name
        if name == "ave":
            return self.hop // 2, self.hop - self.hop // 2
        if name in ("openl3-mel256", "openl3-mel128"):
            return self.fft // 2, self.fft // 2
        if name.startswith("openl3"):
            missing = max((-(-samples // self.hop) - 1) * self.hop + self.fft - samples, 0)
            before = missing // 2 if name.startswith("openl3-training") else 0
            return before, missing - before
        return 0, 0

    def frames(self, samples: int) -> int:
        """Columns of the spectrogram of so many samples."""
        return max((samples + sum(self.padding(samples)) - self.window_length) // self.hop + 1, 0)

    def set_statistics(self, mean: float, std: float) -> None:
        """The training split's mean and standard deviation of :meth:`raw` cells."""
        self.get_buffer("mean").fill_(mean)
        self.get_buffer("std").fill_(max(std, 1e-3))

    def raw(self, waveform: Tensor) -> Tensor:
        """The log-spectrogram before mean and std: (N, bands, frames)."""
        name = self.config.name
        with torch.autocast(waveform.device.type, enabled=False):
            # Single precision cannot resolve 80 dB of amplitude below the loudest; Apple's GPUs have no other.
            exact = name.startswith(("openl3-training", "openl3-release")) and waveform.device.type != "mps"
            kind = torch.float64 if exact else torch.float32
            waveform = nn.functional.pad(waveform.to(kind), self.padding(waveform.shape[-1]))
            window = self.get_buffer("window")
            if exact:  # a window rounded to single precision leaks as much as lies there
                turns = torch.arange(self.window_length, dtype=kind, device=window.device) / self.window_length
                window = 0.5 - 0.5 * torch.cos(2 * math.pi * turns)  # hann_window, in operations that ONNX knows
            frames = waveform.unfold(-1, self.window_length, self.hop) * window
            spectrum = torch.fft.rfft(frames, n=self.fft)
            if name == "log-mel":
                return _log(_power(spectrum) @ self.get_buffer("bank") + 1e-6, 0.0)
            if name in ("l3", "ave"):
                # marl/l3embedding floors at 1e-12, far below what 16-bit sound can hold; 1e-5 of full scale is not.
                return _log(spectrum.abs(), 1e-5)
            bank = self.get_buffer("bank").to(kind)
            if name.startswith("openl3-training"):
                return _decibel((_power(spectrum) @ bank).sqrt())
            return _decibel(spectrum.abs() @ bank)

    def forward(self, waveform: Tensor) -> Tensor:
        spectrogram = self.raw(waveform)
        return ((spectrogram - self.get_buffer("mean")) / self.get_buffer("std")).unsqueeze(1)


# Mean and deviation of so many spectrograms stay much the same with more.
SOUNDS_FOR_STATISTICS = 128


def cell_statistics(config: FrontEndConfig, sounds: Sequence[NDArray[np.float32]]) -> dict[str, float]:
    """ "mean" and "std" of all cells of the spectrograms of sounds (samples,), for :meth:`FrontEnd.set_statistics`.

    One mean and one deviation for all cells: the loudness of a sound stays, unlike with OpenL3's own maximum.
    """
    cells = FrontEnd(config).raw(torch.from_numpy(np.stack(sounds)))
    return {"mean": float(cells.mean()), "std": float(cells.std())}


def _log(x: Tensor, floor: float) -> Tensor:
    """(N, frames, bands) to ln(max(x, floor)), (N, bands, frames)."""
    return x.clamp_min(floor).log().transpose(1, 2)


def _power(spectrum: Tensor) -> Tensor:
    return spectrum.real.square() + spectrum.imag.square()


def _decibel(x: Tensor) -> Tensor:
    """(N, frames, bands) to 10·log10, the maximum of each clip at 0, no less than −80: (N, bands, frames), float32."""
    decibel = 10 * x.clamp_min(1e-10).log10().transpose(1, 2)
    return (decibel - decibel.amax(dim=(1, 2), keepdim=True)).clamp_min(-80).float()


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()
