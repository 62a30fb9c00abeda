"""Shared by the tasks on pictures: one encoder, classes, permuted labels as their control."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from avssl.media.facts import Facts
from avssl.networks.encoder import ImageEncoder, image_encoder
from avssl.networks.vision import VisionEncoder
from avssl.samplers.whole_pictures import unusable
from avssl.tasks.base import Answers, Batch, Losses, Task
from avssl.tasks.common_options import EncoderOptions as EncoderOptions  # noqa: PLC0414  tasks of one's own take it from here


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
        return {"vision": VisionEncoder(self.options.vision_config(self.input_side))}

    def saved(self, network: nn.Module) -> dict[str, nn.Module]:
        return {"vision": network.get_submodule("vision")}

    def features(self, network: nn.Module) -> Mapping[str, nn.Module]:
        return {name: module for name, module in network.named_children() if name == "vision"}

    def controls(self) -> dict[str, Task]:
        # For training only: a control is evaluated on true labels, or it could not show a leak.
        return {"shuffled-labels": self.variant(shuffled=self.training)}


class ClassTask(PictureTask):
    """A task on pictures whose answer is a class."""

    loss_measure: ClassVar[str] = "class_loss"

    def logits(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N, classes) of a batch: what the network gives for its frames, unless a task says otherwise."""
        scores: Tensor = network(batch["frames"])
        return scores

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
