"""Instance discrimination of sounds: which is another window of the same recording?

As COLA (Saeed, Grangier & Zeghidour 2021) two windows of a recording are a pair; against its background noise and its
microphone as the answer each is mixed with another recording (BYOL for Audio, Niizumi et al. 2021), made louder or
softer, shifted along the bands, and loses a band and a span of time (SpecAugment, Park et al. 2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.media.facts import Facts, Media
from avssl.networks.audio import AudioConfig, AudioEncoder
from avssl.networks.contrast import SoundPairNetwork
from avssl.networks.encoder import waveform_encoder
from avssl.networks.front_end import SOUNDS_FOR_STATISTICS, FrontEnd, FrontEndConfig, cell_statistics
from avssl.samplers.keys import Key, generator, uniform
from avssl.samplers.sound_views import SoundRule, draw_gap, draw_window, mixed, unusable
from avssl.samplers.whole_pictures import item_of, other_item
from avssl.tasks.base import Answers, Batch
from avssl.tasks.instance_contrast.puzzle import InstanceContrastOptions, SoundPuzzle
from avssl.tasks.instance_contrast.sheet import draw_sheet, spectrogram_pictures
from avssl.tasks.instance_contrast.task import InstanceContrast

if TYPE_CHECKING:
    from PIL.Image import Image


class SoundContrast(InstanceContrast):
    """The task with ``--of sounds``: what :class:`InstanceContrast` makes with that option."""

    def __init__(self, options: InstanceContrastOptions) -> None:
        super().__init__(options)
        self._rule = SoundRule(options.seconds, options.rate, options.min_loudness_db)
        self._statistics: dict[str, float] = {}

    def unusable(self, facts: Facts) -> str | None:
        return unusable(facts)

    def sound_rate(self) -> int | None:
        return self.options.rate

    def stored_side(self) -> int | None:
        return 8  # no picture is looked at: as small as they are prepared

    def fit_statistics(self, media: Media, seed: int) -> None:
        """Mean and deviation of the spectrograms' cells."""
        if len(media) < 2:
            raise UserError("another sound is the negative: give two sounds at least")
        keys = [Key(seed, -1, i) for i in range(min(SOUNDS_FOR_STATISTICS, len(media)))]  # of no training puzzle
        windows = [draw_window(media, item_of(media, k), self._rule, generator(*k, "statistics"))[1] for k in keys]
        self._statistics = cell_statistics(self._front_end(), windows)

    def needs_statistics(self) -> bool:
        return not self._statistics

    def state(self) -> dict[str, Any]:
        return dict(self._statistics)

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._statistics = {name: float(value) for name, value in state.items()}

    def draw(self, media: Media, key: Key) -> SoundPuzzle:  # type: ignore[override]  # another kind of puzzle
        options, rng = self.options, generator(*key, "views")
        item = other = item_of(media, key)
        if self.shuffled:
            other = other_item(media, item, generator(*key, "shuffled"), key)
        starts, views, masks, shifts = [], [], [], []
        for mine in (item, other):
            start, sound = draw_window(media, mine, self._rule, rng)
            if options.mixing:
                _, theirs = draw_window(media, other_item(media, mine, rng, key), self._rule, rng)
                sound = mixed(sound, theirs, uniform(rng, 0, options.mixing))
            starts.append(start)
            views.append(sound * np.float32(1 + uniform(rng, -options.gain, options.gain)))
            masks.append([*draw_gap(rng, options.masking), *draw_gap(rng, options.masking)])
            shifts.append(uniform(rng, -options.transpose, options.transpose))
        facts = media.facts(item)
        drawn = np.stack(views), np.array(masks, np.float32), np.array(shifts, np.float32)
        return SoundPuzzle(*drawn, item, facts.path, facts.source_or_path, starts[0])

    def collate(self, puzzles: Sequence[SoundPuzzle]) -> Batch:  # type: ignore[override]
        return {
            "waveform": torch.from_numpy(np.stack([p.views for p in puzzles])),
            "masks": torch.from_numpy(np.stack([p.masks for p in puzzles])),
            "transpose": torch.from_numpy(np.stack([p.transpose for p in puzzles])),
            "item": torch.tensor([p.item for p in puzzles]),
        }

    @property
    def can_leave(self) -> bool:
        return False

    def views(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:  # type: ignore[override]
        """The two views of each sound: waveforms (N, samples), and what is done to their spectrograms."""
        names = ("waveform", "masks", "transpose")
        first, second = ({name: batch[name][:, place] for name in names} for place in (0, 1))
        return first, second

    def mean_spectra(self, batch: Batch) -> Tensor:
        """The mean over time of both log-mel spectrograms, less its own mean: (N, 2, bands)."""
        front_end = FrontEnd(self._front_end())
        spectra = torch.stack([front_end.raw(view["waveform"]).mean(2) for view in self.views(batch)], 1)
        return spectra - spectra.mean(2, keepdim=True)

    def encoders(self) -> dict[str, nn.Module]:
        options = self.options
        audio = AudioEncoder(
            AudioConfig(
                self._front_end(),
                width=options.width,
                convs=options.convs,
                first_stride=options.first_stride,
                norm=options.norm,
            )
        )
        if self._statistics:
            audio.front_end.set_statistics(self._statistics["mean"], self._statistics["std"])
        return {"audio": audio}

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        options, audio = self.options, waveform_encoder(encoders["audio"])
        hidden = options.hidden or audio.channels
        return SoundPairNetwork(audio, hidden, options.dimensions, norm=options.norm == "batch")

    def saved(self, network: nn.Module) -> dict[str, nn.Module]:
        return {"audio": network.get_submodule("audio")}

    def after_step(self, network: nn.Module) -> None:
        """Nothing is kept beside the weights."""

    def sheet(self, puzzles: Sequence[SoundPuzzle], answers: Answers | None = None) -> Image:  # type: ignore[override]
        front_end, views = FrontEnd(self._front_end()), self.views(self.collate(puzzles))
        first, second = (spectrogram_pictures(front_end.raw(view["waveform"])) for view in views)
        return draw_sheet(puzzles, first, second, answers, "sound")

    def _front_end(self) -> FrontEndConfig:
        return FrontEndConfig("log-mel", self.options.rate, self.options.bands, self.options.seconds)
