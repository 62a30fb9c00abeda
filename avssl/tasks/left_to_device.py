"""Batches whose pictures are cropped on the device: what the host collects of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from avssl.networks.cutting import Jpegs, Views
from avssl.samplers.scaling import packed_pixels
from avssl.samplers.side_by_side import stacked
from avssl.samplers.views import Stored, View


def stacked_or_left(
    pictures: Sequence[NDArray[np.uint8]], views: Sequence[Sequence[View]], side: int
) -> torch.Tensor | Views:
    """Pictures of puzzles in one tensor, or, where these are left to the device, all of their views."""
    left = [view for each in views for view in each]
    return collect(left, side) if left else torch.from_numpy(stacked(pictures))


def collect(views: Sequence[View], side: int) -> Views:
    """Views as tensors. Of pictures that are decoded only what squares are made of is taken along."""
    pictures: dict[int, list[int]] = {}
    for number, view in enumerate(views):
        pictures.setdefault(id(view.picture), []).append(number)
    places = np.array(
        [(v.top, v.left, v.down, v.right, v.flip, v.coarse, v.picture.height, v.picture.width) for v in views],
        np.float64,
    )
    owner = np.empty(len(views), np.int64)
    for number, group in enumerate(pictures.values()):
        owner[group] = number
    stored = [views[group[0]].picture for group in pictures.values()]
    coarsens = any(view.coarse for view in views)
    found: torch.Tensor | Jpegs
    if stored[0].is_jpeg:
        lengths = [len(picture.data) for picture in stored]
        found = Jpegs(torch.from_numpy(np.concatenate([p.data for p in stored])), torch.tensor(lengths))
    else:
        found = torch.from_numpy(_pixels(stored, list(pictures.values()), places, side))
    return Views(found, torch.from_numpy(owner), torch.from_numpy(places.astype(np.float32)), side, coarsens)


def _pixels(
    stored: Sequence[Stored], groups: Sequence[Sequence[int]], places: NDArray[np.float64], side: int
) -> NDArray[np.uint8]:
    """Of each picture the rectangle that its squares depend on, (P, h, w, 3 or 4); ``places`` are put right for it."""
    rectangles = []
    for picture, group in zip(stored, groups, strict=True):
        mine = places[group]
        begin, step, length = mine[:, 0:2], mine[:, 2:4], np.array([picture.height, picture.width])
        beyond = np.maximum(step, 1)  # a pixel takes of others up to so far from its centre
        first = np.floor((begin + step / 2 - beyond).min(0)).clip(0).astype(int)
        end = np.ceil((begin + step * (side - 0.5) + beyond).max(0)).clip(None, length).astype(int)
        places[group, 0:2] -= first
        places[group, 6:8] = end - first
        rectangles.append(_colours_last(picture.data)[first[0] : end[0], first[1] : end[1]])
    height, width = (max(one.shape[axis] for one in rectangles) for axis in (0, 1))
    channels = min(one.shape[2] for one in rectangles)
    pixels = np.empty((len(rectangles), height, width, channels), np.uint8)
    for place, one in zip(pixels, rectangles, strict=True):  # what lies beside them has no weight
        place[: one.shape[0], : one.shape[1]] = one[..., :channels]
    return pixels


def _colours_last(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame (3, h, w) as (h, w, 4), the last without meaning, where it lies so in memory (then it is copied in a
    fraction of the time), else (h, w, 3)."""
    four = packed_pixels(frame[None])
    return frame.transpose(1, 2, 0) if four is None else four[0].view(np.uint8).reshape(*four.shape[1:], 4)
