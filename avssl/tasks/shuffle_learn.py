"""Shuffle & Learn: are these three frames in temporal order? (Misra, Zitnick & Hebert, ECCV 2016)"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.media.facts import Facts, Media
from avssl.media.motion import measure_motion
from avssl.networks.encoder import image_encoder
from avssl.networks.shuffle_learn import TripletNetwork, blurred
from avssl.networks.tower import Norm
from avssl.samplers.keys import Key, generator
from avssl.samplers.pictures import Crop, centre_crop, cut, random_crop
from avssl.samplers.triplets import Ends, TripletRule, difference, draw_five, draw_triplet, unusable
from avssl.samplers.whole_pictures import item_of
from avssl.tasks.base import Answers, Batch, Losses, Task, option
from avssl.tasks.images import tower_encoder
from avssl.tasks.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image

View = Literal["all", "middle", "ends"]

# Which slots a network sees. The wrong middle frame is in the middle slot whichever way the triplet is turned.
_SEEN: dict[View, tuple[int, int, int]] = {"all": (0, 1, 2), "middle": (1, 1, 1), "ends": (0, 0, 2)}
_TRIES = 8


@dataclass(frozen=True)
class ShuffleLearnOptions:
    """Options of ``avssl train shuffle-learn``; the defaults run on a small CPU."""

    gap_min: float = option(0.08, "least distance of neighbours among b, c and d, in seconds", low=0)
    tau_max: float = option(
        0.12, "greatest distance of neighbours among b, c and d, in seconds; published: 60 frames", low=0
    )
    tau_min: float = option(
        0.08, "least distance of the wrong middle frame from b and d, in seconds; published: 15 frames", low=0
    )
    reach: float = option(0.12, "its greatest distance, in seconds; not published", low=0)
    motion: bool = option(True, "draw where there is motion; without it anywhere")
    window: float = option(
        1.0, "seconds of the stretch that is chosen by its motion; the five frames lie in it", low=0.01
    )
    positives: float = option(
        0.25, "share of triplets in the right order; held-out ones are half and half", low=0, high=1
    )
    ends: Ends = option("fixed", "fixed: wrong triplets change the middle frame alone; shuffled: they are wrong orders")
    reverse: float = option(0.5, "share of triplets turned round, which is no change of the answer", low=0, high=1)
    look_alike: float = option(
        1.0, "draw again where c differs less than this from a or e (RMS, 0..255; 8 tries); 0: never", low=0, high=255
    )
    one_crop: bool = option(True, "one crop, flip and change of colours for all frames of a triplet, or each its own")
    blur: float = option(0.0, "Gaussian blur in pixels, against traces of the codec such as sharper key frames", low=0)
    side: int = option(64, "pixels of the square picture; published: 227, the whole frame squeezed", low=8)
    crop_low: float = option(0.85, "smallest crop, as a share of the shorter side", low=0.05, high=1)
    crop_high: float = option(1.0, "largest crop; held-out pictures are cut so, in the middle", low=0.05, high=1)
    flip: bool = option(True, "mirror half of the triplets")
    brightness: float = option(32 / 255, "largest change of brightness, of 1", low=0, high=1)
    saturation: float = option(0.3, "largest change of saturation, as a share", low=0, high=1)
    vision: str = option("l3", "vision encoder: l3, small, nin, alexnet, resnet18, resnet34, resnet50, resnet101")
    width: int = option(24, "channels of the first block of l3 and small", low=1)
    convs: int = option(1, "convolutions a block of l3 and small", low=1)
    blocks: int = option(4, "blocks of l3, small and nin", low=1, high=8)
    first_stride: int = option(2, "stride of the first convolution of l3 and small", low=1, high=4)
    vision_pools: int = option(3, "blocks of l3 and small followed by pooling", low=0, high=8)
    norm: Norm = option("batch", "batch, group or none")
    grid: int = option(4, "cells of the map's side that pooling leaves: the place of things is what counts", low=1)
    features: int = option(128, "numbers a frame is told by; published: 4096", low=1)
    feature_layers: int = option(1, "fully connected layers of each frame; published: 2", low=0)
    hidden: int = option(
        128, "units that compare the frames; published: 0, a linear layer, which cannot compare", low=0
    )
    differences: bool = option(True, "how much each two frames' features differ stands beside them; published: no")
    dropout: float = option(0.0, "dropout of the fully connected layers; published: 0.5", low=0, high=0.99)


@dataclass(frozen=True, slots=True)
class ShuffleLearnPuzzle:
    """One triplet as the network is fed it.

    Attributes:
        frames: uint8 (3, 3, side, side), in the order in which they are shown.
        label: 1 the order is right (forwards or backwards), 0 it is not. What is taught: at random for a control.
        times: of the three frames, in seconds.
        five: the times of a, b, c, d and e that they were chosen from.
        difference: the lesser of the differences of c from a and from e (RMS, 0..255).
        look_alike: whether that is less than asked for still, after all tries: hardly to be solved.
        brightness, saturation: augmentation still to be done, on the device.
    """

    frames: NDArray[np.uint8]
    label: int
    times: tuple[float, float, float]
    five: tuple[float, ...]
    difference: float
    look_alike: bool
    name: str
    source: str
    brightness: tuple[float, ...]
    saturation: tuple[float, ...]


@register
class ShuffleLearn(Task):
    """The task. Label 1 is "in order": (b, c, d) or (d, c, b)."""

    name: ClassVar[str] = "shuffle-learn"
    summary: ClassVar[str] = "are these three frames in temporal order?"
    Options: ClassVar[type[Any]] = ShuffleLearnOptions
    classes: ClassVar[int | None] = 2
    loss_measure: ClassVar[str] = "balanced_loss"

    options: ShuffleLearnOptions

    def __init__(self, options: ShuffleLearnOptions) -> None:
        super().__init__(options)
        _check(options)
        self.view: View = "all"
        self.shuffled = False

    # --- data -------------------------------------------------------------------------------------------

    def unusable(self, facts: Facts) -> str | None:
        return unusable(facts, self.rule())

    def fit_statistics(self, media: Media, seed: int) -> None:
        """Nothing is learned; the motion of all items is measured now rather than by the first loader worker."""
        if self.options.motion:
            measure_motion(media)

    def rule(self) -> TripletRule:
        """How triplets are drawn: held out, right and wrong ones are as frequent."""
        options = self.options
        return TripletRule(
            gap_min=options.gap_min,
            tau_max=options.tau_max,
            tau_min=options.tau_min,
            reach=options.reach,
            window=options.window,
            by_motion=options.motion,
            positives=options.positives if self.training else 0.5,
            reverse=options.reverse,
            ends=options.ends,
        )

    def draw(self, media: Media, key: Key) -> ShuffleLearnPuzzle:
        options, rule = self.options, self.rule()
        item = item_of(media, key)
        times, pictures, least = self._five(media, item, key, rule)
        triplet = draw_triplet(rule, generator(*key, "order"))
        label = triplet.label
        if self.shuffled:
            label = int(generator(*key, "shuffled").random() < rule.positives)
        rng = generator(*key, "colours")
        each = 3 if self.training and not options.one_crop else 1
        brightness, saturation = np.zeros(each), np.ones(each)
        if self.training:
            brightness = rng.uniform(-options.brightness, options.brightness, each)
            saturation = rng.uniform(1 - options.saturation, 1 + options.saturation, each)
        first, middle, last = triplet.slots
        facts = media.facts(item)
        return ShuffleLearnPuzzle(
            frames=np.stack([pictures[slot] for slot in triplet.slots]),
            label=label,
            times=(float(times[first]), float(times[middle]), float(times[last])),
            five=tuple(times.tolist()),
            difference=least,
            look_alike=least < options.look_alike,
            name=facts.path,
            source=facts.source or facts.path,
            brightness=tuple(np.resize(brightness, 3).tolist()),
            saturation=tuple(np.resize(saturation, 3).tolist()),
        )

    def collate(self, puzzles: Sequence[ShuffleLearnPuzzle]) -> Batch:
        seen = list(_SEEN[self.view])
        return {
            "frames": torch.from_numpy(np.stack([p.frames[seen] for p in puzzles])),
            "label": torch.tensor([p.label for p in puzzles]),
            "brightness": torch.tensor([p.brightness for p in puzzles]),
            "saturation": torch.tensor([p.saturation for p in puzzles]),
        }

    def clusters(self, puzzle: ShuffleLearnPuzzle) -> tuple[str, ...]:
        return (puzzle.source,)

    def held_out(self) -> ShuffleLearn:
        # Judged on true labels: shuffled ones are for training only.
        return self._variant(training=False, shuffled=False)

    # --- learning ---------------------------------------------------------------------------------------

    def encoders(self) -> dict[str, nn.Module]:
        return {"vision": tower_encoder(self.options)}

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        options, vision = self.options, image_encoder(encoders["vision"])
        return TripletNetwork(
            vision,
            grid=options.grid,
            features=options.features,
            layers=options.feature_layers,
            hidden=options.hidden,
            differences=options.differences,
            dropout=options.dropout,
            norm=options.norm,
        )

    def saved(self, network: nn.Module) -> dict[str, nn.Module]:
        assert isinstance(network, TripletNetwork)
        return {"vision": network.vision}

    def loss(self, network: nn.Module, batch: Batch) -> Losses:
        """Cross-entropy over the batch as it is drawn, as published.

        Beside it, comparable between the training's share of right orders and the held-out half: "balanced_loss" and
        "accuracy", with the share's prior taken out of the logits and both classes counting alike.
        """
        logits, label = self._logits(network, batch), batch["label"]
        loss = nn.functional.cross_entropy(logits + self._prior(logits), label)
        with torch.no_grad():
            share = self.rule().positives
            weight = torch.where(label > 0, 0.5 / share, 0.5 / (1 - share))
            each = nn.functional.cross_entropy(logits, label, reduction="none")
            right = (logits.argmax(1) == label).float()
            measures = {
                "accuracy": (right * weight).sum() / weight.sum(),
                "balanced_loss": (each * weight).sum() / weight.sum(),
            }
        return Losses(loss, measures)

    def answers(self, network: nn.Module, batch: Batch) -> Answers:
        return Answers(self._logits(network, batch), batch["label"])

    def chance_loss(self) -> float | None:
        """Of the measure "balanced_loss", and of the loss on held-out puzzles."""
        return math.log(2)

    def controls(self) -> dict[str, Task]:
        return {
            "shuffled-labels": self._variant(shuffled=self.training),
            "single-frame": self._variant(view="middle"),
            "outer-frames": self._variant(view="ends"),
        }

    def spaced(self, seconds: float) -> ShuffleLearn:
        """This task with all neighbours among a, b, c, d and e ``seconds`` apart."""
        task = copy.copy(self)
        task.options = replace(self.options, gap_min=seconds, tau_max=seconds, tau_min=seconds, reach=seconds)
        return task

    # --- people -----------------------------------------------------------------------------------------

    def sheet(self, puzzles: Sequence[ShuffleLearnPuzzle], answers: Answers | None = None) -> Image:
        from avssl.tasks.triplet_sheet import draw_sheet

        return draw_sheet(puzzles, answers)

    # --- how --------------------------------------------------------------------------------------------

    def _variant(
        self, *, training: bool | None = None, view: View | None = None, shuffled: bool | None = None
    ) -> ShuffleLearn:
        task = copy.copy(self)
        task.training = self.training if training is None else training
        task.view = view or self.view
        task.shuffled = self.shuffled if shuffled is None else shuffled
        return task

    def _five(
        self, media: Media, item: int, key: Key, rule: TripletRule
    ) -> tuple[NDArray[np.float64], list[NDArray[np.uint8]], float]:
        """Times and pictures of a to e, and how much c differs from a and e; of some tries the first that differs.

        Where none does (a clip that hardly moves), the try that differs most: the puzzle is poor but not lost.
        """
        options = self.options
        best: tuple[NDArray[np.float64], list[NDArray[np.uint8]], float] | None = None
        for attempt in range(_TRIES if options.look_alike else 1):
            times = draw_five(media, item, rule, generator(*key, "times", attempt))
            frames = media.frames(item, times.tolist())
            crops = self._crops(generator(*key, "crop", attempt), *frames.shape[-2:])
            pictures = [cut(frame, crop, options.side) for frame, crop in zip(frames, crops, strict=True)]
            least = min(difference(pictures[2], pictures[0]), difference(pictures[2], pictures[4]))
            if best is None or least > best[2]:
                best = times, pictures, least
            if least >= options.look_alike:
                break
        assert best is not None
        return best

    def _crops(self, rng: np.random.Generator, height: int, width: int) -> list[Crop]:
        options = self.options
        if not self.training:
            return [centre_crop(height, width, options.crop_high)] * 5
        count = 1 if options.one_crop else 5
        drawn = [
            random_crop(rng, height, width, options.crop_low, options.crop_high, options.flip) for _ in range(count)
        ]
        return drawn * (5 // count)

    def _logits(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N, 2), as if both classes were as frequent."""
        out: Tensor = network({**batch, "frames": blurred(batch["frames"], self.options.blur)})
        return out

    def _prior(self, logits: Tensor) -> Tensor:
        """What the share of right orders adds to the logits: (2,)."""
        share = self.rule().positives
        return torch.tensor([math.log(2 * (1 - share)), math.log(2 * share)], device=logits.device)


def _check(options: ShuffleLearnOptions) -> None:
    for low, high in (("gap_min", "tau_max"), ("tau_min", "reach")):
        if not 0 < getattr(options, low) <= getattr(options, high):
            names = f"--{low.replace('_', '-')} ({getattr(options, low)}) and --{high.replace('_', '-')}"
            raise UserError(f"{names} ({getattr(options, high)}) must be more than 0, the first at most the second")
    if not 0 < options.positives < 1:
        raise UserError(f"--positives ({options.positives}) must lie between 0 and 1")
    if not 0 <= options.reverse <= 1:
        raise UserError(f"--reverse ({options.reverse}) must lie between 0 and 1")
