"""What the tasks on pictures share: their encoder's options, their answers, their labels drawn at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from avssl.networks.tower import Norm
from avssl.networks.vision import VisionConfig, VisionEncoder
from avssl.tasks.base import Losses, option


@dataclass(frozen=True)
class EncoderOptions:
    """The image encoder."""

    vision: str = option(
        "small", "small, l3, nin, alexnet, alexnet-stride2, resnet18, resnet34, resnet50, resnet101: the image encoder"
    )
    width: int = option(32, "channels of the first block of small and l3", low=1)
    blocks: int = option(3, "blocks of small, l3 and nin", low=1, high=8)
    convs: int = option(2, "convolutions a block of small and l3", low=1)
    first_stride: int = option(1, "stride of the first convolution of small and l3", low=1, high=4)
    norm: Norm = option("batch", "batch, group or none")


def encoder(options: EncoderOptions, side: int) -> VisionEncoder:
    """A fresh encoder for pictures of ``side`` pixels."""
    return VisionEncoder(
        VisionConfig(
            options.vision,
            options.width,
            options.convs,
            options.first_stride,
            norm=options.norm,
            side=side,
            blocks=options.blocks,
        )
    )


class Tower(Protocol):
    """Options of a task whose encoder's poolings can be left out, so that its map is finer."""

    @property
    def vision(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def convs(self) -> int: ...
    @property
    def blocks(self) -> int: ...
    @property
    def first_stride(self) -> int: ...
    @property
    def vision_pools(self) -> int: ...
    @property
    def norm(self) -> Norm: ...
    @property
    def side(self) -> int: ...


def tower_encoder(options: Tower) -> VisionEncoder:
    """A fresh encoder for pictures of ``options.side`` pixels."""
    return VisionEncoder(
        VisionConfig(
            options.vision,
            options.width,
            options.convs,
            options.first_stride,
            options.vision_pools,
            options.norm,
            options.side,
            options.blocks,
        )
    )


def class_losses(logits: Tensor, label: Tensor, smoothing: float = 0.0) -> Losses:
    """Cross-entropy and accuracy of logits (N, classes) against class numbers (N,).

    The logged ``class_loss`` is without smoothing, so that it compares with the loss at chance.
    """
    loss = nn.functional.cross_entropy(logits.float(), label, label_smoothing=smoothing)
    with torch.no_grad():
        accuracy = (logits.argmax(1) == label).float().mean()
        plain = nn.functional.cross_entropy(logits.float(), label) if smoothing else loss.detach()
    return Losses(loss, {"accuracy": accuracy, "class_loss": plain})
