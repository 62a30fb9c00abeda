"""``avssl.load("runs/my-run")``: a trained model, for use from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.networks.encoder import ImageEncoder, WaveformEncoder
from avssl.networks.fusion import Fusion
from avssl.networks.input_checks import check_pairs, checked_frames, checked_waveform
from avssl.networks.saved_names import names_of_task, saved_names
from avssl.networks.saving import describe, load_module

PartT = TypeVar("PartT")
Frames = Tensor | NDArray[Any]
Waveform = Tensor | NDArray[Any]


class Model(nn.Module):
    """The encoders of a run, front ends included, in eval mode.

    Attributes:
        vision: the vision encoder, or None if the run has none; ``vision.stages(frames)`` gives every map.
        audio_encoder: the audio encoder, or None.
        fusion: what joins the two, or None.
    """

    def __init__(self, vision: ImageEncoder | None, audio: WaveformEncoder | None, fusion: Fusion | None) -> None:
        super().__init__()
        self.vision, self.audio_encoder, self.fusion = vision, audio, fusion

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def prepare_frames(self, frames: Frames) -> Tensor:
        """uint8 (N, 3, H, W) of any size to the side the encoder was trained at: the centre square, antialiased.

        Floats of 0..1 will do, too.

        Raises:
            TypeError: neither uint8 nor floats.
            ValueError: another shape, or floats outside 0..1.
        """
        x = checked_frames(frames, self.device)
        side = self._need(self.vision, "vision").side
        height, width = x.shape[-2:]
        short = min(height, width)
        top, left = (height - short) // 2, (width - short) // 2
        x = x[..., top : top + short, left : left + short]
        if short != side:
            x = nn.functional.interpolate(x, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
        return x

    def prepare_waveform(self, waveform: Waveform, rate: int) -> Tensor:
        """Float (N, samples) at any rate to the encoder's rate and length: its middle, zeros around if it is short.

        Raises:
            UserError: a sample is not a number, or infinite.
            TypeError: not floats, or a rate that is not a number.
            ValueError: another shape, samples far outside −1..1, or a rate below 1000.
        """
        x = checked_waveform(waveform, rate, self.device)
        if not bool(x.isfinite().all()):
            number, sample = (~x.isfinite()).nonzero()[0].tolist()
            raise UserError(f"sample {sample} of waveform {number} is not a finite number; mend it, or leave it out")
        encoder = self._need(self.audio_encoder, "audio")
        if rate != encoder.rate:
            import soxr  # heavy

            # soxr takes (samples, channels): all waveforms in one call.
            resampled = soxr.resample(x.cpu().numpy().T, rate, encoder.rate).T
            x = torch.from_numpy(np.ascontiguousarray(resampled)).to(self.device)
        wanted = round(encoder.seconds * encoder.rate)
        missing = wanted - x.shape[1]
        if missing > 0:
            x = nn.functional.pad(x, (missing // 2, missing - missing // 2))
        start = (x.shape[1] - wanted) // 2
        return x[:, start : start + wanted]

    @torch.no_grad()
    def image(self, frames: Frames) -> Tensor:
        """Frames uint8 (N, 3, H, W) to embeddings (N, 128)."""
        fusion = self._need(self.fusion, "fusion")
        vision = fusion.embed_vision(self._need(self.vision, "vision")(self.prepare_frames(frames)))
        return fusion.vectors(vision)

    @torch.no_grad()
    def audio(self, waveform: Waveform, rate: int) -> Tensor:
        """Waveforms float (N, samples) at ``rate`` to embeddings (N, 128)."""
        encoder = self._need(self.audio_encoder, "audio")
        return self._need(self.fusion, "fusion").embed_audio(encoder(self.prepare_waveform(waveform, rate)))

    @torch.no_grad()
    def correspondence(self, frames: Frames, waveform: Waveform, rate: int) -> Tensor:
        """The probability that frame n and sound n belong together: (N,), 0..1."""
        fusion = self._need(self.fusion, "fusion")
        vision = fusion.embed_vision(self._need(self.vision, "vision")(self.prepare_frames(frames)))
        heard = self.audio(waveform, rate)
        check_pairs(len(vision), len(heard))
        return fusion.pairs(vision, heard).sigmoid()

    @torch.no_grad()
    def heat(self, frames: Frames, waveform: Waveform, rate: int) -> Tensor:
        """Where the sound comes from: the logit of correspondence at each place of the map, (N, h, w)."""
        fusion = self._need(self.fusion, "fusion")
        maps = self._need(self.vision, "vision")(self.prepare_frames(frames))
        heard = self.audio(waveform, rate)
        check_pairs(len(maps), len(heard))
        return fusion.heat(maps, heard)

    @staticmethod
    def _need(module: PartT | None, what: str) -> PartT:
        if module is None:
            raise UserError(f"this run has no {what} part; take a run of `avssl train av-correspondence`")
        return module


def load(path: str | Path, task: str | None = None) -> Model:
    """The model of a run folder (or of its ``encoders`` folder), in eval mode on the CPU.

    Args:
        task: of a run of several tasks, the one whose batch statistics are taken. Without it they are those of the
            task that compares picture and sound, if there is one, else of the first task.

    Raises:
        UserError: it is no run, it is not finished, or its files are damaged; one line says which.
    """
    folder, names = saved_names(path)
    _must_be_complete(folder, names)
    parts = {part: load_module(folder / name) for part, name in names_of_task(names, task).items()}
    return Model(parts.get("vision"), parts.get("audio"), parts.get("fusion")).eval()  # type: ignore[arg-type]


def _must_be_complete(folder: Path, names: list[str]) -> None:
    """
    Raises:
        UserError: a module lacks one of its two files, or one that was written with the others is gone.
    """
    wanted = {file.stem for file in folder.glob("*.safetensors")}
    for name in names:
        beside = describe(folder / name).get("beside")
        wanted |= set(beside) if isinstance(beside, list) else set()
    lacking = sorted(wanted - set(names))
    if lacking:
        raise UserError(f"{folder / lacking[0]}.json is not there; copy it again from the run")
