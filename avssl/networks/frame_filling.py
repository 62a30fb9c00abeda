"""The frame between two others: how things move from one to the other, then both moved half the way and blended."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avssl.networks.config import Norm
from avssl.networks.dense import convolution, resized, stage_channels
from avssl.networks.encoder import ImageEncoder

_PIXELS = 8.0  # a motion that is fed as 1, so that it is as large as features are


class BetweenNetwork(nn.Module):
    """Two frames to the frame in the middle of them.

    The motion of each pixel of the middle frame is estimated from the coarsest stage of the encoder to the finest:
    the maps of both neighbours are sampled where the pixel was and where it will be, by what is known of its motion
    so far, and compared around there. It is taken as even from one neighbour to the other, so that one field serves
    both (Park et al., BMBC, ECCV 2020, call the comparison a bilateral cost volume). Each neighbour's pixels are
    then fetched along it, and a map of weights says which of the two is seen, since what moves hides and uncovers
    what is behind it (Liu et al., Deep Voxel Flow, ICCV 2017). What neither neighbour shows is added.

    Args:
        vision: shared by the two frames.
        side: of the frames, in pixels.
        width: channels of each stage's part.
        reach: cells of a stage's map by which a motion is corrected there, at the most, each way.
        norm: of these parts.

    Input: seen (N, 2, 3, side, side), uint8 or 0..1. Output: (N, 1, 3, side, side), on the scale 0..1 but not cut off
    there.
    """

    def __init__(self, vision: ImageEncoder, *, side: int, width: int, reach: int, norm: Norm) -> None:
        super().__init__()
        self.vision = vision
        stages = stage_channels(vision, side)
        # Of stages of one size the deepest: the others know less of the same places.
        by_size = {size: name for name, (_, size) in stages.items()}
        self.names = [by_size[size] for size in sorted(by_size)]
        self.side, finest = side, max(by_size)
        self.factor = side // finest if side % finest == 0 else 1
        self.steps = nn.ModuleList()
        for number, name in enumerate(self.names):
            channels, size = stages[name]
            self.steps.append(_Step(channels, width, reach, side / size, norm, first=number == 0))
        # Of the finest map's cells each predicts the pixels in it: weight of the later frame, and what is added.
        self.pixels = nn.Conv2d(width + 6, 4 * self.factor**2, 3, padding=1)
        with torch.no_grad():  # it begins with the mean of both neighbours
            self.pixels.weight.mul_(0.1)
            nn.init.zeros_(self.pixels.bias)  # type: ignore[arg-type]

    def forward(self, seen: Tensor) -> Tensor:
        frames = seen if seen.is_floating_point() else seen.float() / 255
        before, after = frames.unbind(1)
        motion, known = self.motion(frames)
        motion = resized(motion, (self.side, self.side))
        moved = warped(before, -motion), warped(after, motion)
        fed = torch.cat([known, *(resized(one - 0.5, (known.shape[-2], known.shape[-1])) for one in moved)], dim=1)
        fine = resized(F.pixel_shuffle(self.pixels(fed).float(), self.factor), (self.side, self.side))
        weight = fine[:, :1].sigmoid()
        out: Tensor = (1 - weight) * moved[0] + weight * moved[1] + fine[:, 1:]
        return out[:, None]

    def motion(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """From the middle frame to the later one, in pixels of the picture, right and down: (N, 2, h, w) at the size
        of the finest stage; and what else is known there, (N, width, h, w)."""
        maps = self.vision.stages(frames.flatten(0, 1))
        motion = known = None
        for name, step in zip(self.names, self.steps, strict=True):
            motion, known = step(maps[name][0::2], maps[name][1::2], motion, known)  # of each clip the earlier first
        assert motion is not None and known is not None
        return motion, known


class _Step(nn.Module):
    """Corrects a motion by the maps of one stage."""

    def __init__(self, channels: int, width: int, reach: int, cell: float, norm: Norm, *, first: bool) -> None:
        super().__init__()
        self.reach, self.cell = reach, cell  # pixels of the picture that a cell of the map is wide
        places = (2 * reach + 1) ** 2
        fed = places + 2 * channels + 2 + (0 if first else width)
        self.compare = nn.Sequential(convolution(fed, width, norm), convolution(width, width, norm))
        self.correct = nn.Conv2d(width, 2, 3, padding=1)
        with torch.no_grad():  # from motions of about no cell
            self.correct.weight.mul_(0.1)
            nn.init.zeros_(self.correct.bias)  # type: ignore[arg-type]

    def forward(
        self, before: Tensor, after: Tensor, motion: Tensor | None, known: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        size = before.shape[-2], before.shape[-1]
        if motion is None:
            motion = before.new_zeros(len(before), 2, *size, dtype=torch.float32)
        else:
            motion = resized(motion, size)
            before, after = warped(before, -motion / self.cell), warped(after, motion / self.cell)
        parts = [agreement(before, after, self.reach), before, after, motion / _PIXELS]
        if known is not None:
            parts.append(resized(known, size))
        known = self.compare(torch.cat(parts, dim=1))
        return motion + self.correct(known).float() * self.cell, known


def warped(maps: Tensor, motion: Tensor) -> Tensor:
    """Maps (N, C, h, w) sampled at each place plus ``motion`` (N, 2, h, w), right and down in cells: bilinear; beyond
    the border what is at it."""
    # In bfloat16 a place among 64 would be known to half a cell.
    maps, motion = maps.float(), motion.float()
    height, width = maps.shape[-2:]
    down, right = torch.meshgrid(
        torch.arange(height, device=maps.device), torch.arange(width, device=maps.device), indexing="ij"
    )
    x = (right + motion[:, 0] + 0.5) * (2 / width) - 1
    y = (down + motion[:, 1] + 0.5) * (2 / height) - 1
    return F.grid_sample(maps, torch.stack([x, y], dim=-1), mode="bilinear", padding_mode="border", align_corners=False)


def agreement(before: Tensor, after: Tensor, reach: int) -> Tensor:
    """Cosine of what the earlier map has d cells back and the later one d cells on, for each d of a window.

    Args:
        before, after: (N, C, h, w).
        reach: cells of the window each way.

    Returns:
        (N, (2 reach + 1)², h, w), row by row; places beyond the border are as those at it.
    """
    height, width = before.shape[-2:]
    padded = [F.pad(F.normalize(one, dim=1), (reach,) * 4, mode="replicate") for one in (before, after)]
    found = []
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            back = padded[0][..., reach - down : reach - down + height, reach - right : reach - right + width]
            on = padded[1][..., reach + down : reach + down + height, reach + right : reach + right + width]
            found.append((back * on).sum(1))
    return torch.stack(found, dim=1)
