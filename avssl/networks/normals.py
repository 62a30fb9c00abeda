"""A small decoder that says of every pixel which way the surface there faces, on all stages of a vision encoder."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avssl.networks.dense import convolution, resized
from avssl.networks.encoder import ImageEncoder, freeze
from avssl.networks.scales import Scale, Standardise

FINEST = 2
"""Pixels of the picture to a cell of the answer before it is enlarged."""


class NormalsNetwork(nn.Module):
    """Pictures to one unit vector a pixel.

    Every stage is standardised by a fixed scale, mixed down to ``width`` channels, brought to the size of the answer
    and added (a hypercolumn, Hariharan et al. 2015); the mean of the deepest map is added everywhere. Two 3×3
    convolutions see the neighbourhood.

    With ``centres`` the answer is which of these unit vectors a pixel is nearest to, and what is said the mean of the
    centres weighed by their probabilities, as in the benchmark of Goyal et al. 2019; without, the vector itself.

    Args:
        encoder: is used as it is, not copied.
        scales: of its stages, see :func:`avssl.networks.scales.stage_scales`.
        width: channels.
        centres: (K, 3), unit vectors; None: regression.
        frozen: the encoder learns nothing and stays in eval mode.
    """

    centres: Tensor | None

    def __init__(
        self,
        encoder: ImageEncoder,
        scales: Mapping[str, Scale],
        width: int = 64,
        centres: Tensor | None = None,
        *,
        frozen: bool = True,
    ) -> None:
        super().__init__()
        self.encoder, self.frozen = freeze(encoder, frozen), frozen
        channels = {name: len(mean) for name, (mean, _) in scales.items()}
        self.norms = nn.ModuleDict({name: Standardise(scale) for name, scale in scales.items()})
        self.mix = nn.ModuleDict({name: nn.Conv2d(count, width, 1, bias=False) for name, count in channels.items()})
        self.last = list(scales)[-1]
        self.whole = nn.Linear(channels[self.last], width)
        near = [convolution(width, width, "none") for _ in range(2)]
        answer = nn.Conv2d(width, 3 if centres is None else len(centres), 1)
        self.body = nn.Sequential(nn.ReLU(inplace=True), *near, answer)
        for one in (*self.mix.modules(), *(layer for layers in near for layer in layers)):
            if isinstance(one, nn.Conv2d):
                nn.init.kaiming_normal_(one.weight, nonlinearity="relu")  # there is no norm to mend the scale
        self.register_buffer("centres", centres)

    def train(self, mode: bool = True) -> NormalsNetwork:
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, frames: Tensor) -> Tensor:
        """The raw answer (N, 3 or K, H / 2, W / 2) to frames (N, 3, H, W), uint8 or float 0..1."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            maps = dict(self.encoder.stages(frames))
        size = (frames.shape[2] // FINEST, frames.shape[3] // FINEST)
        out: Tensor | int = 0
        for name, mix in self.mix.items():
            maps[name] = self.norms[name](maps[name])
            grows = maps[name].shape[-1] < size[1]  # the cheaper order: what grows is mixed while it is small
            out = out + (resized(mix(maps[name]), size) if grows else mix(resized(maps[name], size)))
        done: Tensor = self.body(out + self.whole(maps[self.last].mean((2, 3)))[:, :, None, None])
        return done

    def normals(self, raw: Tensor, size: tuple[int, int]) -> Tensor:
        """Unit vectors (N, 3, *size) of a raw answer, renormalised after resizing."""
        if self.centres is None:
            vectors = F.normalize(raw, dim=1)
        else:
            vectors = F.normalize(torch.einsum("nkhw,kc->nchw", raw.softmax(1), self.centres), dim=1)
        return F.normalize(F.interpolate(vectors, size, mode="bilinear", align_corners=False), dim=1)

    def loss(self, raw: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        """Mean over valid pixels of 1 − cosine, or of the cross-entropy of the nearest centre.

        Args:
            truth: unit vectors (N, 3, h, w) at the size of ``raw``.
            valid: bool (N, h, w).
        """
        said, true = raw.movedim(1, -1)[valid], truth.movedim(1, -1)[valid]
        if self.centres is None:
            return (1 - (F.normalize(said, dim=1) * true).sum(1)).mean()
        return F.cross_entropy(said, (true @ self.centres.T).argmax(1))
