"""Frame filling: what was shown between these frames, or in a tube of hidden patches?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.media.facts import Facts, Media
from avssl.media.motion import measure_motion
from avssl.networks.frame_filling import BetweenNetwork
from avssl.networks.tubes import TubeNetwork
from avssl.samplers.clips import draw_clip, unusable
from avssl.samplers.keys import Key, generator
from avssl.samplers.tubes import draw_tubes
from avssl.samplers.views import View, cut_or_leave, stored_frames
from avssl.samplers.whole_pictures import enough_for_statistics, item_of, other_item
from avssl.tasks.base import Answers, Batch, Losses, Task
from avssl.tasks.filling import FillingTask
from avssl.tasks.frame_filling.puzzle import FrameFillingOptions, FrameFillingPuzzle
from avssl.tasks.frame_filling.sheet import draw_sheet
from avssl.tasks.images import vision_of
from avssl.tasks.left_to_device import stacked_or_left
from avssl.tasks.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image

_FOR_STATISTICS = 256  # clips


@register
class FrameFilling(FillingTask):
    """The task. Scores are the frames that hide something (N, t, 3, side, side) on 0..1, filled by the network."""

    name: ClassVar[str] = "frame-filling"
    Options: ClassVar[type[Any]] = FrameFillingOptions

    options: FrameFillingOptions

    def __init__(self, options: FrameFillingOptions) -> None:
        super().__init__(options)
        self.earlier_alone = False
        """Whether the network sees the earlier neighbour in the place of the later one, too: a control."""

    def unusable(self, facts: Facts) -> str | None:
        return unusable(facts, self.options.rule)

    def fit_statistics(self, media: Media, seed: int) -> None:
        """Mean colour of the training frames, and the error of the plain filling; the motion of items is measured."""
        if self.options.motion:
            measure_motion(media)
        plain = self.held_out()
        count = enough_for_statistics(media, most=_FOR_STATISTICS)
        # Epoch -1: of no training puzzle.
        puzzles = [plain.draw(media, Key(seed, -1, index)) for index in range(count)]
        self.set_mean([p.frames.mean((0, 2, 3)) for p in puzzles])
        batch = self.held_out().collate(puzzles)  # a copy made before the mean was known would fill without it
        error = (self.held_out().plain(batch) - _unit(self._target(batch))).square()
        asked = self._asked(batch)
        self.set_variance(float((error * asked).sum() / asked.expand_as(error).sum()))

    def draw(self, media: Media, key: Key) -> FrameFillingPuzzle:
        options = self.options
        item = item_of(media, key)
        times, frames, views = self._clip(media, item, *(generator(*key, part) for part in ("clip", "crop")))
        if options.hide == "frame":
            hidden = np.array([False, True, False])[:, None, None]
        else:
            rng = generator(*key, "patches")
            hidden = draw_tubes(options.frames, options.grid, options.hidden_patches, options.same_patches, rng)
        target = frames[:0]
        if self.shuffled:
            rng = generator(*key, "shuffled")
            _, other, other_views = self._clip(media, other_item(media, item, rng, key), rng, rng)
            hides = np.any(hidden, axis=(1, 2))
            target = other[hides]
            views += tuple(view for view, hiding in zip(other_views, hides, strict=False) if hiding)
        facts = media.facts(item)
        seconds = tuple(times.tolist())
        return FrameFillingPuzzle(frames, target, hidden, seconds, facts.path, facts.source_or_path, views)

    def collate(self, puzzles: Sequence[FrameFillingPuzzle]) -> Batch:
        views = [puzzle.views for puzzle in puzzles]
        frames = [np.concatenate([p.frames, p.target]) if len(p.target) else p.frames for p in puzzles]
        return {
            "frames": stacked_or_left(frames, views, self.options.side),
            "hidden": torch.from_numpy(np.stack([p.hidden for p in puzzles])).to(torch.uint8),
        }

    @property
    def can_leave(self) -> bool:
        return True

    def finish(self, batch: Batch) -> Batch:
        finished = super().finish(batch)
        return finished | {"frames": finished["frames"].unflatten(0, (len(batch["hidden"]), -1))}

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        options, vision = self.options, vision_of(encoders)
        if options.hide == "frame":
            return BetweenNetwork(
                vision, side=options.side, width=options.head_width, reach=options.reach, norm=options.norm
            )
        return TubeNetwork(
            vision,
            side=options.side,
            frames=options.frames,
            patch=options.patch,
            width=options.head_width,
            layers=options.layers,
            norm=options.norm,
        )

    def loss(self, network: nn.Module, batch: Batch) -> Losses:
        """Squared error of what is hidden, as a share of that of the plain filling."""
        squared = (self._predicted(network, batch) - _unit(self._target(batch))).square()
        asked = self._asked(batch).expand_as(squared)
        # As much is hidden of each clip, so that the mean over processes is that over clips.
        each = (squared * asked).sum((1, 2, 3, 4)) / asked.sum((1, 2, 3, 4))
        psnr = -10 * each.detach().clamp(min=1e-10).log10()
        return Losses(each.mean() / self._variance, {"psnr": psnr.mean()})

    def answers(self, network: nn.Module, batch: Batch) -> Answers:
        predicted, truth = self._predicted(network, batch).clamp(0, 1), _unit(self._target(batch))
        # What is seen of a frame is not predicted: only what is hidden is.
        return Answers(torch.where(self._asked(batch).bool(), predicted, truth), truth)

    def chance_loss(self) -> float | None:
        """The loss of the plain filling."""
        return 1.0

    def controls(self) -> dict[str, Task]:
        one: dict[str, Task] = {"one-neighbour": self.variant(earlier_alone=True)}
        return super().controls() | (one if self.options.hide == "frame" else {})

    def sheet(self, puzzles: Sequence[FrameFillingPuzzle], answers: Answers | None = None) -> Image:
        return draw_sheet(puzzles, self.plain(self.collate(puzzles)), answers)

    def plain(self, batch: Batch) -> Tensor:
        """The filling that needs no network: the mean of both neighbours, or the mean colour of training.

        Returns:
            the frames that hide something, 0..1: (N, t, 3, side, side).
        """
        seen = _unit(self._seen(batch))
        return seen.mean(1, keepdim=True) if self.options.hide == "frame" else seen

    def _clip(
        self, media: Media, item: int, when: np.random.Generator, where: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.uint8], tuple[View, ...]]:
        """Times and frames of a clip, or the views of its frames."""
        times = draw_clip(media, item, self.options.rule, when)
        pictures = stored_frames(media, item, times.tolist(), self.left_to_device)
        # One crop for all: another for each would hide the motion.
        crop = self._cropping.place(where if self.training else None, pictures[0].height, pictures[0].width)
        return times, *cut_or_leave(pictures, crop, self.options.side, self.left_to_device)

    def _predicted(self, network: nn.Module, batch: Batch) -> Tensor:
        seen = self._seen(batch)
        out: Tensor = network(seen) if self.options.hide == "frame" else network(seen, batch["hidden"])
        return out.float()

    def _seen(self, batch: Batch) -> Tensor:
        """What the network is fed: both neighbours, or the clip with a colour in its hidden patches. uint8."""
        frames: Tensor = batch["frames"]
        if self.options.hide == "frame":
            return frames[:, [0, 0]] if self.earlier_alone else frames[:, [0, 2]]
        colour = torch.tensor(self.mean).round().to(torch.uint8).to(frames.device, non_blocking=True)
        return torch.where(self._asked(batch).bool(), colour.view(3, 1, 1), frames[:, : self.options.frames])

    def _target(self, batch: Batch) -> Tensor:
        """The frames that hide something, or the control's target in their place: uint8."""
        frames: Tensor = batch["frames"]
        count = batch["hidden"].shape[1]
        if frames.shape[1] > count:
            return frames[:, count:]
        return frames[:, 1:2] if self.options.hide == "frame" else frames

    def _asked(self, batch: Batch) -> Tensor:
        """Which pixels of the frames that hide something are hidden: (N, t, 1, side, side), 0 or 1."""
        hidden: Tensor = batch["hidden"]
        hidden = hidden[:, 1:2] if self.options.hide == "frame" else hidden
        each = self.options.side // hidden.shape[-1]
        return hidden.repeat_interleave(each, 2).repeat_interleave(each, 3)[:, :, None]


def _unit(frames: Tensor) -> Tensor:
    """uint8 on the scale 0..1."""
    return frames if frames.is_floating_point() else frames.float() / 255
