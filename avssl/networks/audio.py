"""Audio subnetworks: from a waveform to a map over frequency and time, spectrogram included."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn

from avssl.errors import UserError, did_you_mean
from avssl.networks.config import RESNETS, Norm
from avssl.networks.encoder import WaveformEncoder
from avssl.networks.front_end import FrontEnd, FrontEndConfig
from avssl.networks.trunks import ResNetTrunk, Tower


@dataclass(frozen=True)
class AudioConfig:
    """What rebuilds an audio encoder. ``architecture`` is "l3" or one of torchvision's ResNets (one input channel)."""

    front_end: FrontEndConfig = field(default_factory=FrontEndConfig)
    architecture: str = "l3"
    width: int = 64
    convs: int = 2
    first_stride: int = 2
    pools: int = 3
    norm: Norm = "batch"


class AudioEncoder(WaveformEncoder):
    """Waveforms to a map of features.

    Input: (N, samples) float at ``config.front_end.rate``. Output: (N, ``channels``, frequency, time).
    """

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.config = config
        self.rate, self.seconds = config.front_end.rate, config.front_end.seconds
        self.front_end: FrontEnd = FrontEnd(config.front_end)
        self.trunk: nn.Module
        if config.architecture == "l3":
            _check_size(config, self.front_end)
            self.trunk = Tower(
                1,
                config.width,
                convs=config.convs,
                first_stride=config.first_stride,
                pools=config.pools,
                norm=config.norm,
            )
        elif config.architecture in RESNETS:
            self.trunk = ResNetTrunk(config.architecture, config.norm)
            old = self.trunk.stem[0]  # torchvision's takes three colours, a spectrogram has one channel
            assert isinstance(old, nn.Conv2d)
            self.trunk.stem[0] = nn.Conv2d(1, old.out_channels, 7, 2, padding=3, bias=False)
        else:
            name = config.architecture
            raise UserError(f"no audio encoder is called {name!r}{did_you_mean(name, ['l3', *RESNETS])}")
        self.channels: int = self.trunk.channels

    def trunk_map(self, spectrogram: Tensor) -> Tensor:
        """From the front end's output (N, 1, bands, frames) to the map; for augmentation in between."""
        out: Tensor = self.trunk(spectrogram)
        return out

    def stages(self, waveform: Tensor) -> OrderedDict[str, Tensor]:
        maps: OrderedDict[str, Tensor] = self.trunk.stages(self.front_end(waveform))  # type: ignore[operator]
        return maps

    def forward(self, waveform: Tensor) -> Tensor:
        return self.trunk_map(self.front_end(waveform))

    def describe(self) -> dict[str, Any]:
        return {"type": "audio", "config": asdict(self.config)}


def _check_size(config: AudioConfig, front_end: FrontEnd) -> None:
    """Refuse a spectrogram of which the tower leaves nothing."""
    # A stride leaves the ceiling of what it divides, each pooling the floor.
    least = config.first_stride * (2**config.pools - 1) + 1
    frames = front_end.frames(round(config.front_end.seconds * config.front_end.rate))
    if min(frames, front_end.bands) < least:
        raise UserError(
            f"the audio encoder needs a spectrogram of {least} bands and frames at least, not {front_end.bands} × "
            f"{frames}; give more --bands or --seconds, or a smaller --first-stride"
        )
