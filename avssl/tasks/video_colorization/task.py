"""Video colorization: from which place of the frames before does each pixel take its colour? (Vondrick et al. 2018)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from avssl.errors import UserError
from avssl.media.facts import Facts, Media
from avssl.networks.colour import rgb_to_lab
from avssl.networks.copying import EmbeddingEncoder, attention
from avssl.networks.gather import mean_of_whole_batch
from avssl.networks.photometry import luma
from avssl.samplers.clips import ClipRule, draw_clip, unusable
from avssl.samplers.keys import Key, generator
from avssl.samplers.views import View, cut_or_leave, stored_frames
from avssl.samplers.whole_pictures import item_of, other_item
from avssl.tasks.base import Answers, Batch, Losses
from avssl.tasks.colorization.colour_bins import nearest
from avssl.tasks.images import PictureTask, vision_of
from avssl.tasks.left_to_device import stacked_or_left
from avssl.tasks.registry import register
from avssl.tasks.video_colorization.puzzle import VideoColorizationOptions, VideoColorizationPuzzle
from avssl.tasks.video_colorization.sheet import draw_sheet

if TYPE_CHECKING:
    from PIL.Image import Image

# Root of the mean squared difference in Lab over a cell's pixels, against the nearest reference, from which the cell
# has moved. A difference of 2.3 is just noticeable (Mahy, Van Eycken & Oosterlinck 1994), and coding makes some, too.
MOVED_LAB = 6.0

# Share of a uniform distribution that copied colours are mixed with: a colour that no reference has costs
# ln(K / share), not infinity.
_UNKNOWN = 1e-3

# Clips that colours are fitted on, and cells of them that k-means is fitted on.
_CLIPS, _CELLS = 64, 50_000


@dataclass(slots=True)
class Cells:
    """A batch on the map of places."""

    ab: Tensor  # (N, references + 1, 2, h, w): the mean colour of each cell; the target's are those to be found
    colour: Tensor  # (N, references + 1, h, w): the cluster that it is nearest to
    moved: Tensor  # bool (N, h, w): whether the target's cell differs from the nearest reference's


@register
class VideoColorization(PictureTask):
    """The task. Scores are log-probabilities of the colours (N, colours, h, w); the truth is clusters (N, h, w)."""

    name: ClassVar[str] = "video-colorization"
    Options: ClassVar[type[Any]] = VideoColorizationOptions

    options: VideoColorizationOptions

    def __init__(self, options: VideoColorizationOptions) -> None:
        super().__init__(options)
        self._statistics: dict[str, Any] = {}
        self.window: int | None = None
        """How far colours may be copied from, in places of the map; None: from all places, as in training."""

    @property
    def rule(self) -> ClipRule:
        """How clips are drawn."""
        options = self.options
        return ClipRule(options.references + 1, options.interval, options.interval, options.motion)

    def unusable(self, facts: Facts) -> str | None:
        return unusable(facts, self.rule)

    def fit_statistics(self, media: Media, seed: int) -> None:
        """Clusters of a and b (k-means), how frequent each is, and what copying from everywhere alike costs.

        Raises:
            UserError: the frames have fewer colours than there are to be clusters.
        """
        from sklearn.cluster import KMeans  # slow to import

        plain = self.held_out()
        clips = [plain.draw(media, Key(seed, -1, index)) for index in range(_CLIPS)]  # epoch -1: of no training puzzle
        ab = torch.stack([self._cells_ab(torch.from_numpy(clip.frames)) for clip in clips])
        cells = ab.movedim(2, -1).reshape(-1, 2).numpy()
        chosen = generator(seed, "colours").permutation(len(cells))[:_CELLS]
        sample = cells[np.sort(chosen)].astype(np.float64)
        different = len(np.unique(sample.round(1), axis=0))
        if different < self.options.colours:
            raise UserError(
                f"--colours {self.options.colours}: the frames have only {different} different colours; give fewer"
            )
        fitted = KMeans(self.options.colours, n_init=1, random_state=seed % 2**32).fit(sample)
        self._statistics = {"centres": np.asarray(fitted.cluster_centers_).tolist()}
        colour = self._by_clip(self._nearest(ab.flatten(0, 1)))
        shares = torch.bincount(colour.flatten(), minlength=self.options.colours).double() / colour.numel()
        self._statistics |= {"shares": shares.tolist(), "copying_from_anywhere": float(self._loss_of_mix(colour))}

    def state(self) -> dict[str, Any]:
        return dict(self._statistics)

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._statistics = dict(state)

    def draw(self, media: Media, key: Key) -> VideoColorizationPuzzle:
        options = self.options
        item = item_of(media, key)
        times, frames, views = self._clip(media, item, generator(*key, "clip"))
        colours_of: NDArray[np.uint8] | None = None
        views_of_colours: tuple[View, ...] = ()
        if self.shuffled:
            theirs = generator(*key, "shuffled")
            another = other_item(media, item, theirs, key)
            _, other, other_views = self._clip(media, another, theirs)
            colours_of, views_of_colours = other[-1:], other_views[-1:]
        rng = generator(*key, "light")
        change = options.light if self.training else 0.0
        contrast, brightness = (rng.uniform(-change, change, len(times)) for _ in range(2))
        facts = media.facts(item)
        return VideoColorizationPuzzle(
            frames=frames,
            colours_of=colours_of,
            times=tuple(times.tolist()),
            contrast=tuple((1 + contrast).tolist()),
            brightness=tuple(brightness.tolist()),
            name=facts.path,
            source=facts.source_or_path,
            views=views,
            views_of_colours=views_of_colours,
        )

    def collate(self, puzzles: Sequence[VideoColorizationPuzzle]) -> Batch:
        side = self.options.side
        batch: Batch = {
            "frames": stacked_or_left([p.frames for p in puzzles], [p.views for p in puzzles], side),
            "contrast": torch.tensor([p.contrast for p in puzzles]),
            "brightness": torch.tensor([p.brightness for p in puzzles]),
        }
        other = [p.colours_of[0] for p in puzzles if p.colours_of is not None]
        if other:
            batch["colours_of"] = stacked_or_left(other, [p.views_of_colours for p in puzzles], side)
        return batch

    @property
    def can_leave(self) -> bool:
        return True

    def finish(self, batch: Batch) -> Batch:
        finished = super().finish(batch)
        return finished | {"frames": self._by_clip(finished["frames"])}

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        options = self.options
        return EmbeddingEncoder(
            vision_of(encoders),
            side=options.side,
            stride=options.stride,
            width=options.head_width,
            dimensions=options.dimensions,
            norm=options.norm,
        )

    def saved(self, network: nn.Module) -> dict[str, nn.Module]:
        return super().saved(network) | {"vision-embedding": network}

    def features(self, network: nn.Module) -> Mapping[str, nn.Module]:
        """None: places are told apart, not pictures, and the mean over a map may be the same for all of them."""
        return {}

    def loss(self, network: nn.Module, batch: Batch) -> Losses:
        """Cross-entropy of the copied colours. Measures: the share of cells whose likeliest colour is right, of all
        and of those that have moved."""
        cells = self.cells(batch)
        scores, truth = self._scores(network, batch, cells), cells.colour[:, -1]
        loss = _cross_entropy(scores, truth)
        with torch.no_grad():
            right = (scores.argmax(1) == truth).float()
            moved = cells.moved.float()
            measures = {
                "accuracy": right.mean(),
                "accuracy_moved": mean_of_whole_batch((right * moved).sum(), moved.sum()),
            }
        return Losses(loss, measures)

    def answers(self, network: nn.Module, batch: Batch) -> Answers:
        cells = self.cells(batch)
        return Answers(self._scores(network, batch, cells), cells.colour[:, -1])

    def chance_loss(self) -> float | None:
        """That of copying from all places of the references alike."""
        found = self._statistics.get("copying_from_anywhere")
        return None if found is None else float(found)

    def cells(self, batch: Batch) -> Cells:
        """The colours of a batch on the map of places."""
        lab = self._by_clip(rgb_to_lab(batch["frames"].flatten(0, 1)))
        stride = self.options.stride
        difference = F.avg_pool2d((lab[:, -1] - lab[:, self.nearest_reference]).square().sum(1, keepdim=True), stride)
        ab = self._by_clip(F.avg_pool2d(lab[:, :, 1:].flatten(0, 1), stride))
        if "colours_of" in batch:
            ab = torch.cat([ab[:, :-1], self._cells_ab(batch["colours_of"])[:, None]], dim=1)
        colour = self._by_clip(self._nearest(ab.flatten(0, 1)))
        return Cells(ab, colour, difference[:, 0].sqrt() > MOVED_LAB)

    @property
    def nearest_reference(self) -> int:
        """Which reference is nearest to the target in time: the last."""
        return self.options.references - 1

    def fed(self, batch: Batch) -> Tensor:
        """What is fed: the luma of all frames (N, references + 1, 1, side, side), its light changed in training."""
        grey = self._by_clip(luma(batch["frames"].flatten(0, 1)))
        if not self.training:
            return grey
        contrast, brightness = (batch[name][:, :, None, None, None] for name in ("contrast", "brightness"))
        middle = grey.mean((2, 3, 4), keepdim=True)
        changed: Tensor = (middle + (grey - middle) * contrast + brightness).clamp(0, 1)
        return changed

    @property
    def centres(self) -> Tensor:
        """a and b of each colour, float32 (colours, 2)."""
        return torch.tensor(self._statistics["centres"], dtype=torch.float32)

    @property
    def shares(self) -> NDArray[np.float64]:
        """How frequent each colour is in training frames (colours,)."""
        return np.array(self._statistics["shares"])

    def sheet(self, puzzles: Sequence[VideoColorizationPuzzle], answers: Answers | None = None) -> Image:
        probabilities = None if answers is None else answers.scores.float().cpu().exp()
        copied = None if probabilities is None else torch.einsum("nkhw,kc->nchw", probabilities, self.centres)
        cells = self.cells(self.collate(puzzles))
        return draw_sheet(puzzles, cells.ab[:, self.nearest_reference], copied)

    def _clip(
        self, media: Media, item: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.uint8], tuple[View, ...]]:
        """Times of a clip's frames, references first, and the same crop of each."""
        # Times, direction, crop: the order is part of what a key means.
        times = draw_clip(media, item, self.rule, rng)
        if rng.random() < self.options.reverse and self.training:
            times = times[::-1]
        pictures = stored_frames(media, item, times.tolist(), self.left_to_device)
        crop = self._cropping.place(rng if self.training else None, pictures[0].height, pictures[0].width)
        frames, views = cut_or_leave(pictures, crop, self.options.side, self.left_to_device)
        return times, frames, views

    def _scores(self, network: nn.Module, batch: Batch, cells: Cells) -> Tensor:
        """Log-probability of each colour in each cell of the target: (N, colours, h, w)."""
        options, grey = self.options, self.fed(batch)
        embedded = self._by_clip(network(grey.flatten(0, 1).expand(-1, 3, -1, -1)))
        weights = attention(
            embedded[:, -1],
            embedded[:, :-1],
            unit=options.unit,
            temperature=options.temperature,
            window=self.window,
        )
        copied = (weights @ self._one_hot(cells.colour[:, :-1])).float()  # whatever the precision of products
        return self._log(copied, cells.colour.shape[-2:])

    def _by_clip(self, maps: Tensor) -> Tensor:
        """What is known of each frame (clips · frames, …) as (clips, frames, …)."""
        return maps.reshape(-1, self.options.references + 1, *maps.shape[1:])

    def _one_hot(self, colour: Tensor) -> Tensor:
        """The colours of references (N, R, h, w) as distributions: (N, R·h·w, colours)."""
        return F.one_hot(colour.flatten(1), self.options.colours).float()

    def _log(self, copied: Tensor, size: Sequence[int]) -> Tensor:
        """Log-probabilities (N, colours, h, w) of copied distributions (N, h·w, colours)."""
        known = copied * (1 - _UNKNOWN) + _UNKNOWN / self.options.colours
        return known.log().transpose(1, 2).reshape(len(copied), -1, *size)

    def _loss_of_mix(self, colour: Tensor) -> Tensor:
        """The loss of copying from all places of the references alike; colours (N, references + 1, h, w)."""
        mix = self._one_hot(colour[:, :-1]).mean(1, keepdim=True)
        truth = colour[:, -1]
        return _cross_entropy(self._log(mix, (1, 1)).expand(-1, -1, *truth.shape[-2:]), truth)

    def _cells_ab(self, frames: Tensor) -> Tensor:
        """Mean a and b of each cell of frames (N, 3, side, side): (N, 2, h, w)."""
        return F.avg_pool2d(rgb_to_lab(frames)[:, 1:], self.options.stride)

    def _nearest(self, ab: Tensor) -> Tensor:
        """The cluster that each cell's colour (N, 2, h, w) is nearest to: (N, h, w)."""
        return nearest(ab, self.centres.to(ab.device, non_blocking=True), 1)[0][:, 0]


def _cross_entropy(scores: Tensor, truth: Tensor) -> Tensor:
    """Mean over all cells, of log-probabilities (N, colours, h, w) and clusters (N, h, w)."""
    # Not torch's own, whose gradient on the CPU needs scores that lie contiguously in memory.
    return -scores.gather(1, truth[:, None]).mean()
