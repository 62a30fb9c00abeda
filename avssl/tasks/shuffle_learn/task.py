"""Shuffle & Learn: are these three frames in temporal order? (Misra, Zitnick & Hebert, ECCV 2016)"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.media.facts import Facts, Media
from avssl.media.motion import measure_motion
from avssl.networks.gather import mean_of_whole_batch
from avssl.networks.shuffle_learn import TripletNetwork, blurred
from avssl.samplers.keys import Key, generator
from avssl.samplers.pictures import Crop, cut
from avssl.samplers.triplets import Triplet, TripletRule, difference, draw_five, draw_triplet, unusable
from avssl.samplers.views import View, crop_view, stored_frames
from avssl.samplers.whole_pictures import item_of
from avssl.tasks.base import Answers, Batch, Losses, Task
from avssl.tasks.images import PictureTask, vision_of
from avssl.tasks.left_to_device import stacked_or_left
from avssl.tasks.registry import register
from avssl.tasks.shuffle_learn.puzzle import ShuffleLearnOptions, ShuffleLearnPuzzle
from avssl.tasks.shuffle_learn.sheet import draw_sheet

if TYPE_CHECKING:
    from PIL.Image import Image

Slots = Literal["all", "middle", "ends"]

# Which slots a network sees. The wrong middle frame is in the middle slot whichever way the triplet is turned.
_SEEN: dict[Slots, tuple[int, int, int]] = {"all": (0, 1, 2), "middle": (1, 1, 1), "ends": (0, 0, 2)}
_TRIES = 8


@register
class ShuffleLearn(PictureTask):
    """The task. Label 1 is "in order": (b, c, d) or (d, c, b)."""

    name: ClassVar[str] = "shuffle-learn"
    Options: ClassVar[type[Any]] = ShuffleLearnOptions
    classes: ClassVar[int | None] = 2
    loss_measure: ClassVar[str] = "balanced_loss"

    options: ShuffleLearnOptions

    def __init__(self, options: ShuffleLearnOptions) -> None:
        super().__init__(options)
        self.view: Slots = "all"

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
        triplet = draw_triplet(rule, generator(*key, "order"))
        views: tuple[View, ...] = ()
        if self.left_to_device == "nothing":
            times, pictures, least = self._five(media, item, key, rule)
            frames = np.stack([pictures[slot] for slot in triplet.slots])
        else:
            times, views = self._views(media, item, key, rule, triplet)
            frames, least = np.empty((3, 0), np.uint8), math.nan
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
            frames=frames,
            label=label,
            times=(float(times[first]), float(times[middle]), float(times[last])),
            five=tuple(times.tolist()),
            difference=least,
            look_alike=least < options.look_alike,
            name=facts.path,
            source=facts.source_or_path,
            brightness=tuple(np.resize(brightness, 3).tolist()),
            saturation=tuple(np.resize(saturation, 3).tolist()),
            views=views,
        )

    def collate(self, puzzles: Sequence[ShuffleLearnPuzzle]) -> Batch:
        seen = list(_SEEN[self.view])
        views = [[p.views[slot] for slot in seen] if p.views else () for p in puzzles]
        return {
            "frames": stacked_or_left([p.frames[seen] for p in puzzles], views, self.options.side),
            "label": torch.tensor([p.label for p in puzzles]),
            "brightness": torch.tensor([p.brightness for p in puzzles]),
            "saturation": torch.tensor([p.saturation for p in puzzles]),
        }

    @property
    def can_leave(self) -> bool:
        """Not where frames are compared, which their draw depends on."""
        return not self.options.look_alike

    def finish(self, batch: Batch) -> Batch:
        finished = super().finish(batch)
        return finished | {"frames": finished["frames"].unflatten(0, (-1, 3))}

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        options, vision = self.options, vision_of(encoders)
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

    def loss(self, network: nn.Module, batch: Batch) -> Losses:
        """Cross-entropy over the batch as it is drawn, as published.

        Beside it, comparable between the training's share of right orders and the held-out half: "balanced_loss" and
        "accuracy", with the share's prior taken out of the logits and both classes counting alike.
        """
        logits, label = self._logits(network, batch), batch["label"]
        # The prior of the classes is added, not learned: the network's own logits then fit an even share as they are.
        loss = nn.functional.cross_entropy(logits + self._prior(logits), label)
        with torch.no_grad():
            share = self.rule().positives
            weight = torch.where(label > 0, 0.5 / share, 0.5 / (1 - share))
            each = nn.functional.cross_entropy(logits, label, reduction="none")
            right = (logits.argmax(1) == label).float()
        of_both = {"accuracy": right, "balanced_loss": each}
        measures = {
            name: mean_of_whole_batch((value * weight).sum(), weight.sum(), least=0) for name, value in of_both.items()
        }
        return Losses(loss, measures)

    def answers(self, network: nn.Module, batch: Batch) -> Answers:
        return Answers(self._logits(network, batch), batch["label"])

    def chance_loss(self) -> float | None:
        """Of the measure "balanced_loss", and of the loss on held-out puzzles."""
        return math.log(2)

    def controls(self) -> dict[str, Task]:
        return {
            "shuffled-labels": self.variant(shuffled=self.training),
            "single-frame": self.variant(view="middle"),
            "outer-frames": self.variant(view="ends"),
        }

    def spaced(self, seconds: float) -> ShuffleLearn:
        """This task with all neighbours among a, b, c, d and e ``seconds`` apart."""
        options = replace(self.options, gap_min=seconds, tau_max=seconds, tau_min=seconds, reach=seconds)
        return self.variant(options=options)

    def sheet(self, puzzles: Sequence[ShuffleLearnPuzzle], answers: Answers | None = None) -> Image:
        return draw_sheet(puzzles, answers)

    def _five(
        self, media: Media, item: int, key: Key, rule: TripletRule
    ) -> tuple[NDArray[np.float64], list[NDArray[np.uint8]], float]:
        """Times and pictures of a to e, and how much c differs from a and e; of some tries the first that differs.

        Where none does (a clip that hardly moves), the try that differs most: the puzzle is poor but not lost.
        """
        options = self.options
        best: tuple[NDArray[np.float64], list[NDArray[np.uint8]], float] | None = None
        # Each attempt has draws of its own, so that one more try does not change the others.
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

    def _views(
        self, media: Media, item: int, key: Key, rule: TripletRule, triplet: Triplet
    ) -> tuple[NDArray[np.float64], tuple[View, ...]]:
        """Times of a to e, and the views of those that are shown: of the first try, as nothing compares them."""
        times = draw_five(media, item, rule, generator(*key, "times", 0))
        pictures = stored_frames(media, item, [float(times[slot]) for slot in triplet.slots], self.left_to_device)
        crops = self._crops(generator(*key, "crop", 0), pictures[0].height, pictures[0].width)
        shown = zip(pictures, triplet.slots, strict=True)
        return times, tuple(crop_view(picture, crops[slot], self.options.side) for picture, slot in shown)

    def _crops(self, rng: np.random.Generator, height: int, width: int) -> list[Crop]:
        count = 1 if self.options.one_crop else 5
        drawn = [self._cropping.place(rng if self.training else None, height, width) for _ in range(count)]
        return drawn * (5 // count)

    def _logits(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N, 2), as if both classes were as frequent."""
        out: Tensor = network({**batch, "frames": blurred(batch["frames"], self.options.blur)})
        return out

    def _prior(self, logits: Tensor) -> Tensor:
        """What the share of right orders adds to the logits: (2,)."""
        share = self.rule().positives
        return torch.tensor([math.log(2 * (1 - share)), math.log(2 * share)], device=logits.device)
