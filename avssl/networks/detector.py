"""Faster R-CNN (Ren et al. 2015), torchvision's, on one stage of any vision encoder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.networks.dense import EncoderHead, Standardise, stage_scales
from avssl.networks.encoder import ImageEncoder
from avssl.networks.geometry import Geometry, geometries, padded_to

# The stage taken by default is the last whose cells are at most so many pixels apart, as in the C4 detectors.
DEEPEST_STRIDE = 16

# A proposal is pooled to this many cells a side, as published.
GRID = 7

# Height by width of the anchors, as published.
RATIOS = (0.5, 1.0, 2.0)

# Detections of a lower score are left out; torchvision's 0.05 leaves out whole classes where examples are few.
LEAST_SCORE = 0.01

# ``boxes`` (n, 4) as x0, y0, x1, y1 in pixels of the picture, and ``labels`` (n,) from 1 on.
Target = dict[str, Tensor]


class EncoderBackbone(EncoderHead):
    """One stage of an encoder as torchvision's detectors want it: ``out_channels``, and cell i at pixel i · stride.

    The picture's border is repeated outwards before the encoder sees it, by as much as the stage's receptive fields
    are shifted, so that boxes and cells meet for AlexNet (whose first cell looks at pixel 15) as for a ResNet. The
    channels are standardised by a fixed scale (see :meth:`measure`) and mixed down to ``out_channels``.

    Input: (N, 3, H, W), float 0..1, H and W multiples of the stride. Output: (N, out_channels, H / stride, W / stride).

    Args:
        encoder, frozen: see :class:`EncoderHead`.
        stage: whose map; None: see ``DEEPEST_STRIDE``.
        out_channels: of the map that proposals are made from.

    Raises:
        UserError: no such stage.
    """

    def __init__(
        self, encoder: ImageEncoder, stage: str | None = None, out_channels: int = 128, *, frozen: bool = True
    ) -> None:
        super().__init__(encoder, frozen)
        known = geometries(encoder)
        self.stage = _default_stage(known) if stage is None else stage
        if self.stage not in known:
            raise UserError(f"the encoder has no stage called {stage!r}; it has: {', '.join(known)}")
        self.geometry = known[self.stage]
        channels = self.geometry.channels
        self.norm = Standardise((torch.zeros(channels), torch.ones(channels)))
        self.mix = nn.Sequential(nn.Conv2d(channels, out_channels, 1), nn.ReLU(inplace=True))
        self.out_channels = out_channels

    def measure(self, pictures: Iterable[Tensor]) -> None:
        """Take the scale of the stage from pictures, each (N, 3, H, W), as they will be fed."""
        scale = stage_scales(self.encoder, pictures)[self.stage]
        self.norm = Standardise(scale).to(self.norm.get_buffer("mean").device)

    def forward(self, x: Tensor) -> Tensor:
        stride = self.geometry.stride
        maps = self.stages(padded_to(x, self.geometry))[self.stage]
        maps = maps[:, :, : x.shape[2] // stride, : x.shape[3] // stride]
        out: Tensor = self.mix(self.norm(maps))
        return out


def detector(
    encoder: ImageEncoder,
    classes: int,
    *,
    stage: str | None = None,
    side: int = 320,
    anchors: Sequence[float] = (32, 64, 128, 256),
    frozen: bool = True,
    width: int = 128,
    representation: int = 512,
) -> Any:
    """A ``torchvision.models.detection.FasterRCNN`` on an encoder, which is used as it is.

    In training it takes a list of pictures (3, h, w), float 0..1, and a list of :data:`Target`, and returns its four
    losses by name; in eval mode it takes pictures and returns ``boxes``, ``labels`` and ``scores`` of each. Smaller
    than torchvision's in every part that learns, since it is the encoder that is evaluated.

    Args:
        classes: number of classes, without the background.
        side: pixels to which the shorter side of every picture is scaled.
        anchors: sides of the anchors in pixels of the scaled picture, each in three shapes.
        width: channels of the map that proposals are made from.
        representation: features of a proposal.

    Raises:
        UserError: no such stage.
    """
    from torchvision.models.detection import FasterRCNN  # heavy
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.models.detection.rpn import AnchorGenerator
    from torchvision.ops import MultiScaleRoIAlign

    backbone = EncoderBackbone(encoder, stage, width, frozen=frozen)
    return FasterRCNN(
        backbone,
        rpn_anchor_generator=AnchorGenerator((tuple(anchors),), (RATIOS,)),
        box_roi_pool=MultiScaleRoIAlign(["0"], GRID, sampling_ratio=2),
        box_head=TwoMLPHead(width * GRID**2, representation),
        box_predictor=FastRCNNPredictor(representation, classes + 1),
        min_size=side,
        max_size=2 * side,
        image_mean=[0.0] * 3,  # the encoder brings its own
        image_std=[1.0] * 3,
        size_divisible=max(32, backbone.geometry.stride),
        rpn_pre_nms_top_n_train=500,
        rpn_post_nms_top_n_train=250,
        rpn_pre_nms_top_n_test=500,
        rpn_post_nms_top_n_test=250,
        rpn_batch_size_per_image=128,
        box_batch_size_per_image=96,
        box_score_thresh=LEAST_SCORE,
    )


def _default_stage(known: dict[str, Geometry]) -> str:
    fitting = [name for name, geometry in known.items() if geometry.stride <= DEEPEST_STRIDE]
    return fitting[-1] if fitting else next(iter(known))
