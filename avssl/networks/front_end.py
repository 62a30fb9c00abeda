"""Audio front ends: from a waveform to a log-spectrogram, on the device, as modules that travel with the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

FrontEndName = Literal["log-mel", "l3", "openl3-mel256", "openl3-mel128"]


@dataclass(frozen=True)
class FrontEndConfig:
    """Which spectrogram.

    "log-mel": ln(mel power + 1e-6), Slaney mel scale and normalisation, window 25 ms, hop 10 ms, no padding
    (one second at 16 kHz: 64 × 98). "l3": ln of the linear-frequency magnitude, window 480, hop 240, FFT 512 at
    48 kHz, no padding: 257 × 199 for a second (Arandjelović & Zisserman 2017). "openl3-…": 10·log10 of the mel
    magnitude (HTK scale, FFT 2048, hop 242 at 48 kHz), each clip's maximum at 0, floor −80 (Cramer et al. 2019).
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
        elif name == "l3":
            self.window_length, self.hop = rate // 100, rate // 200
            self.fft = _power_of_two(self.window_length)
        else:
            self.window_length, self.hop, self.fft = 2048, 242, 2048
        self.register_buffer("window", torch.hann_window(self.window_length, periodic=True), persistent=False)
        bank = None if name == "l3" else self._mel_bank()
        self.bands = self.fft // 2 + 1 if bank is None else bank.shape[1]
        self.register_buffer("bank", bank, persistent=False)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def _mel_bank(self) -> Tensor:
        from torchaudio.functional import melscale_fbanks  # heavy

        config = self.config
        bands = {"openl3-mel256": 256, "openl3-mel128": 128}.get(config.name, config.bands)
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

    def set_statistics(self, mean: float, std: float) -> None:
        """The training split's mean and standard deviation of :meth:`raw` cells."""
        self.get_buffer("mean").fill_(mean)
        self.get_buffer("std").fill_(max(std, 1e-3))

    def raw(self, waveform: Tensor) -> Tensor:
        """The log-spectrogram before mean and std: (N, bands, frames)."""
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = waveform.float()
            if self.config.name.startswith("openl3"):
                waveform = nn.functional.pad(waveform, (self.fft // 2, self.fft // 2))
            frames = waveform.unfold(-1, self.window_length, self.hop) * self.get_buffer("window")
            spectrum = torch.fft.rfft(frames, n=self.fft)
            if self.config.name == "log-mel":
                power = spectrum.real.square() + spectrum.imag.square()
                return _log(power @ self.get_buffer("bank") + 1e-6, 0.0)
            magnitude = spectrum.abs()
            if self.config.name == "l3":
                # marl/l3embedding floors at 1e-12, far below what 16-bit sound can hold; 1e-5 of full scale is not.
                return _log(magnitude, 1e-5)
            decibel = 10 * (magnitude @ self.get_buffer("bank")).clamp_min(1e-10).log10().transpose(1, 2)
            relative: Tensor = decibel - decibel.amax(dim=(1, 2), keepdim=True)
            return relative.clamp_min(-80)

    def forward(self, waveform: Tensor) -> Tensor:
        spectrogram = self.raw(waveform)
        return ((spectrogram - self.get_buffer("mean")) / self.get_buffer("std")).unsqueeze(1)


def _log(x: Tensor, floor: float) -> Tensor:
    """(N, frames, bands) to ln(max(x, floor)), (N, bands, frames)."""
    return x.clamp_min(floor).log().transpose(1, 2)


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()
