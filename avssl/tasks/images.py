"""What the tasks on pictures share: options of encoder and crop, classes, labels drawn at random."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.media.facts import Facts
from avssl.networks.encoder import ImageEncoder, image_encoder
from avssl.networks.tower import Norm
from avssl.networks.vision import VisionConfig, VisionEncoder
from avssl.options import option
from avssl.samplers.pictures import Cropping
from avssl.samplers.whole_pictures import unusable
from avssl.tasks.base import Answers, Batch, Losses, Task


@dataclass(frozen=True)
class EncoderOptions:
    """The image encoder."""

    vision: str = option(
        "small",
        "small, l3, nin, alexnet, alexnet-stride2, resnet18, resnet34, resnet50, resnet101, timm:NAME, "
        "torchvision:NAME: the image encoder",
    )
    width: int = option(32, "channels of the first block of small and l3", low=1)
    blocks: int = option(3, "blocks of small, l3 and nin", low=1, high=8)
    convs: int = option(2, "convolutions a block of small and l3", low=1)
    first_stride: int = option(1, "stride of the first convolution of small and l3", low=1, high=4)
    norm: Norm = option("batch", "batch, group or none")

    def vision_config(self, side: int) -> VisionConfig:
        """The encoder for pictures of ``side`` pixels."""
        return VisionConfig(
            self.vision, self.width, self.convs, self.first_stride, norm=self.norm, side=side, blocks=self.blocks
        )


@dataclass(frozen=True)
class MapEncoderOptions(EncoderOptions):
    """The image encoder of tasks whose answers have a place: its poolings can be left out, so that its map is finer."""

    vision: str = option(
        "l3", "vision encoder: l3, small, nin, alexnet, resnet18 to resnet101, timm:NAME, torchvision:NAME"
    )
    convs: int = option(1, "convolutions a block of l3 and small", low=1)
    blocks: int = option(4, "blocks of l3, small and nin", low=1, high=8)
    first_stride: int = option(2, "stride of the first convolution of l3 and small", low=1, high=4)
    vision_pools: int = option(3, "blocks of l3 and small followed by pooling", low=0, high=8)

    def vision_config(self, side: int) -> VisionConfig:
        return VisionConfig(
            self.vision, self.width, self.convs, self.first_stride, self.vision_pools, self.norm, side, self.blocks
        )


def encoder(options: EncoderOptions, side: int) -> VisionEncoder:
    """A fresh encoder for pictures of ``side`` pixels."""
    return VisionEncoder(options.vision_config(side))


class CropOptions(Protocol):
    """Options of a task that cuts squares out of pictures."""

    @property
    def crop_low(self) -> float: ...
    @property
    def crop_high(self) -> float: ...


def cropping(side: int, options: CropOptions, flip: bool) -> Cropping:
    """The crops that options ask for, scaled to ``side`` pixels.

    Raises:
        UserError: the smallest is larger than the largest.
    """
    low, high = options.crop_low, options.crop_high
    if low > high:
        raise UserError(f"--crop-low ({low:g}) must be at most --crop-high ({high:g})")
    return Cropping(side, low, high, flip)


class PictureTask(Task):
    """A task on pictures with one vision encoder, and permuted labels as its control."""

    options: Any

    @property
    def input_side(self) -> int:
        """Pixels of the square that the encoder is fed: the option ``side``, unless a task says otherwise."""
        return int(self.options.side)

    def unusable(self, facts: Facts) -> str | None:
        return unusable(facts)

    def encoders(self) -> dict[str, nn.Module]:
        return {"vision": encoder(self.options, self.input_side)}

    def saved(self, network: nn.Module) -> dict[str, nn.Module]:
        return {"vision": network.get_submodule("vision")}

    def controls(self) -> dict[str, Task]:
        return {"shuffled-labels": self.variant(shuffled=self.training)}


class ClassTask(PictureTask):
    """A task on pictures whose answer is a class."""

    loss_measure: ClassVar[str] = "class_loss"

    @abstractmethod
    def logits(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N, classes) of a batch."""

    @property
    def smoothing(self) -> float:
        """Label smoothing of the loss: the option of that name, if the task has it."""
        return float(getattr(self.options, "smoothing", 0.0))

    def loss(self, network: nn.Module, batch: Batch) -> Losses:
        return class_losses(self.logits(network, batch), batch["label"], self.smoothing)

    def answers(self, network: nn.Module, batch: Batch) -> Answers:
        return Answers(self.logits(network, batch).float(), batch["label"])

    def chance_loss(self) -> float | None:
        assert self.classes is not None
        return math.log(self.classes)


def vision_of(encoders: Mapping[str, nn.Module]) -> ImageEncoder:
    """The vision encoder among encoders by role."""
    return image_encoder(encoders["vision"])


def class_losses(logits: Tensor, label: Tensor, smoothing: float = 0.0) -> Losses:
    """Cross-entropy and accuracy of logits (N, classes) against class indices (N,).

    The logged ``class_loss`` is without smoothing, so that it can be compared with the loss at chance.
    """
    loss = nn.functional.cross_entropy(logits.float(), label, label_smoothing=smoothing)
    with torch.no_grad():
        accuracy = (logits.argmax(1) == label).float().mean()
        plain = nn.functional.cross_entropy(logits.float(), label) if smoothing else loss.detach()
    return Losses(loss, {"accuracy": accuracy, "class_loss": plain})
