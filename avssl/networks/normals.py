"""Surface normals of every pixel, by a small decoder on all stages of a vision encoder."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avssl.networks.dense import EncoderHead, Hypercolumn, Scale, Standardise, convolution
from avssl.networks.encoder import ImageEncoder

# Pixels of the picture per cell of the predictions, before these are enlarged.
FINEST = 2


class NormalsNetwork(EncoderHead):
    """Pictures to one unit vector a pixel.

    Every stage is standardised by a fixed scale and gathered into a hypercolumn of ``width`` channels; two 3×3
    convolutions see the neighbourhood.

    With ``centres`` a pixel is classified to the nearest of these unit vectors, and the prediction is the mean of the
    centres weighed by their probabilities, as in the benchmark of Goyal et al. 2019; without, the vector itself.

    Args:
        encoder, frozen: see :class:`EncoderHead`.
        scales: of its stages, see :func:`avssl.networks.dense.stage_scales`.
        width: channels.
        centres: (K, 3), unit vectors; None: regression.
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
        super().__init__(encoder, frozen)
        channels = {name: len(mean) for name, (mean, _) in scales.items()}
        self.norms = nn.ModuleDict({name: Standardise(scale) for name, scale in scales.items()})
        self.gather = Hypercolumn(channels, width, 0, "none")
        near = [convolution(width, width, "none") for _ in range(2)]
        self.head = nn.Sequential(*near, nn.Conv2d(width, 3 if centres is None else len(centres), 1))
        for one in (*self.gather.project.modules(), *(layer for layers in near for layer in layers)):
            if isinstance(one, nn.Conv2d):
                nn.init.kaiming_normal_(one.weight, nonlinearity="relu")  # there is no norm to mend the scale
        self.register_buffer("centres", centres)

    def forward(self, frames: Tensor) -> Tensor:
        """Raw predictions (N, 3 or K, H / 2, W / 2) for frames (N, 3, H, W), uint8 or float 0..1."""
        maps = self.stages(frames)
        size = (frames.shape[2] // FINEST, frames.shape[3] // FINEST)
        raw: Tensor = self.head(self.gather({name: norm(maps[name]) for name, norm in self.norms.items()}, size))
        return raw

    def normals(self, raw: Tensor, size: tuple[int, int]) -> Tensor:
        """Unit vectors (N, 3, *size) of raw predictions, renormalised after resizing."""
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
        predicted, true = raw.movedim(1, -1)[valid], truth.movedim(1, -1)[valid]
        if self.centres is None:
            return (1 - (F.normalize(predicted, dim=1) * true).sum(1)).mean()
        return F.cross_entropy(predicted, (true @ self.centres.T).argmax(1))
