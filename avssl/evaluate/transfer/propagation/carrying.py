"""Carrying labels of the first frame through a video by the similarity of features, as pure functions of tensors.

Each cell of a frame's map takes the labels of the cells that are most like it in the first frame and the few frames
before, weighted by exp(similarity / temperature), from a window round its own place (Jabri et al. 2020, CRW; Caron et
al. 2021, DINO). What it took stays soft and is handed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Similarity = Literal["cosine", "distance"]
Cells = Literal["area", "nearest"]

# Cells of a frame times cells they are compared with, held at once: 256 MB of float32
_BLOCK = 64 * 2**20


@dataclass(frozen=True)
class Carrying:
    """How labels are carried.

    Attributes:
        context: frames before, beside the first.
        window: how many cells away a label may come from, in rows and in columns; None from anywhere.
        top: of all cells compared, so many are taken; those that tie with the last of them, too.
        temperature: of the similarity.
        similarity: "cosine", or "distance": minus half the squared Euclidean distance.
        first_anywhere: the window does not hold for the first frame (CRW); else it holds for all (DINO).
    """

    context: int = 7
    window: int | None = None
    top: int = 5
    temperature: float = 0.1
    similarity: Similarity = "cosine"
    first_anywhere: bool = False


def carry(features: Tensor, first: Tensor, how: Carrying) -> Tensor:
    """The labels of all frames, (frames, K, h, w), from those of the first, which come back as they are.

    Args:
        features: (frames, C, h, w), of one video in order.
        first: (K, h, w), soft or not; each cell of the result is a weighted mean of such cells.
    """
    features = features.float()
    if how.similarity == "cosine":
        features = F.normalize(features, dim=1)
    labels = [first]
    for number in range(1, len(features)):
        shown = [0, *range(max(1, number - how.context), number)]
        source = torch.stack([labels[k] for k in shown])
        labels.append(_step(features[number], features[shown], source, how))
    return torch.stack(labels)


def _step(query: Tensor, keys: Tensor, labels: Tensor, how: Carrying) -> Tensor:
    """The labels of one frame: query (C, h, w), keys (m, C, h, w), labels (m, K, h, w) → (K, h, w)."""
    height, width = query.shape[-2:]
    found = []
    for top, bottom in _blocks(len(keys), height, width):
        reach = height if how.window is None else how.window
        rows = slice(max(top - reach, 0), min(bottom + reach, height))
        apart = slice(1 if how.first_anywhere else 0, None)
        near = _allowed(range(top, bottom), range(height)[rows], width, how.window, query.device)
        scores = [_similarity(query[:, top:bottom], keys[apart, :, rows], near, how)]
        values = [_cells(labels[apart, :, rows])]
        if how.first_anywhere:
            scores.append(_similarity(query[:, top:bottom], keys[:1], None, how))
            values.append(_cells(labels[:1]))
        found.append(_mixed(torch.cat(scores, 1), torch.cat(values), how).T.reshape(-1, bottom - top, width))
    return torch.cat(found, 1)


def _blocks(frames: int, height: int, width: int) -> Iterator[tuple[int, int]]:
    """Rows of the map at a time, so that memory does not grow with its square."""
    rows = max(1, min(height, _BLOCK // (frames * height * width * width)))
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def _allowed(rows: range, source: range, width: int, window: int | None, device: torch.device) -> Tensor | None:
    """Whether a cell of these rows may take from a cell of the source's: bool (cells, cells); None where all may."""
    if window is None:
        return None
    ours, theirs, across = (torch.tensor(list(some), device=device) for some in (rows, source, range(width)))
    near_rows = (ours[:, None] - theirs[None]).abs() <= window
    near_columns = (across[:, None] - across[None]).abs() <= window
    near = near_rows[:, None, :, None] & near_columns[None, :, None, :]
    return near.reshape(len(rows) * width, len(source) * width)


def _similarity(query: Tensor, keys: Tensor, allowed: Tensor | None, how: Carrying) -> Tensor:
    """(cells of the query, cells of the keys), −∞ where a cell may not take from the other."""
    ours, theirs = _cells(query[None]), _cells(keys)
    found = ours @ theirs.T
    if how.similarity == "distance":
        found = found - ours.square().sum(1, keepdim=True) / 2 - theirs.square().sum(1) / 2
    if allowed is not None:  # the same for each frame of the keys
        found.view(len(ours), len(keys), allowed.shape[1]).masked_fill_(~allowed[:, None], -torch.inf)
    return found


def _cells(maps: Tensor) -> Tensor:
    """(m, C, h, w) → (m · h · w, C)."""
    return maps.movedim(1, -1).flatten(0, -2)


def _mixed(scores: Tensor, values: Tensor, how: Carrying) -> Tensor:
    """Of each cell (rows of ``scores``) the mean of the values (keys, K) that are taken, by weight: (cells, K)."""
    count = scores.shape[1]
    # One more than is taken: if it is as good as the last, there are ties.
    best, places = scores.topk(min(how.top + 1, count), dim=1)
    taken = min(how.top, count)
    weights = (best[:, :taken] / how.temperature).softmax(1)
    mixed = (weights[..., None] * values[places[:, :taken]]).sum(1)
    if count > taken:
        # Published: those below the k-th value are dropped, so that all that tie with it stay.
        tied = (best[:, taken] == best[:, taken - 1]) & best[:, taken].isfinite()
        some, least = scores[tied], best[tied, taken - 1 : taken]
        mixed[tied] = (some.masked_fill(some < least, -torch.inf) / how.temperature).softmax(1) @ values
    return mixed


def labels_of_mask(mask: Tensor, objects: int, size: tuple[int, int], cells: Cells = "area") -> Tensor:
    """Labels of a first mask at the map's size: (objects + 1, h, w), of each cell the shares of background and objects.

    Args:
        mask: integers (H, W): 0 background, 1 … ``objects``; others count as background.
        cells: "area": soft, the share of the cell's pixels; "nearest": the pixel in its middle, as published.
    """
    known = torch.where((mask > 0) & (mask <= objects), mask, torch.zeros_like(mask)).long()
    planes = F.one_hot(known, objects + 1).movedim(-1, 0).float()[None]
    return F.interpolate(planes, size, mode="area" if cells == "area" else "nearest-exact")[0]


def mask_of_labels(labels: Tensor, shown: tuple[int, int], size: tuple[int, int], normalise: bool = True) -> Tensor:
    """Masks of soft labels (frames, K, h, w): uint8 (frames, H, W), the number of the strongest label.

    Bilinear to the picture as the network was shown it, then each label stretched to 0..1 over that picture where it
    occurs (``normalise``), the strongest taken, and nearest to ``size``.
    """
    found = []
    for one in labels:  # a frame at a time: many objects at the size of the picture are large
        fine = F.interpolate(one[None], shown, mode="bilinear", align_corners=False)[0]
        if normalise:
            low, high = fine.amin((1, 2), keepdim=True), fine.amax((1, 2), keepdim=True)
            fine = torch.where(high > low, (fine - low) / (high - low).clamp_min(1e-12), fine)
        strongest = fine.argmax(0)[None, None].float()
        found.append(F.interpolate(strongest, size, mode="nearest-exact")[0, 0].to(torch.uint8))
    return torch.stack(found)


def labels_of_points(points: Tensor, map_size: tuple[int, int], size: tuple[int, int], sigma: float = 0.5) -> Tensor:
    """Labels of first key points at the map's size: (points + 1, h, w), the first for where none is.

    Each point is a Gaussian with its maximum 1 and a deviation of ``sigma`` cells, cut off at three of them.

    Args:
        points: (points, 2) x, y in pixels of a picture of ``size`` (height, width); NaN gives an empty map.
    """
    (height, width), (rows, columns) = map_size, size
    x, y = (points[:, 0] + 0.5) * width / columns - 0.5, (points[:, 1] + 0.5) * height / rows - 0.5
    across = (torch.arange(width)[None] - x[:, None]) / sigma
    down = (torch.arange(height)[None] - y[:, None]) / sigma
    squared = down.square()[:, :, None] + across.square()[:, None, :]
    marked = torch.where(squared <= 3.0**2, (-squared / 2).exp(), 0.0).float()
    return torch.cat([(marked.sum(0, keepdim=True) == 0).float(), marked])


def points_of_labels(labels: Tensor, size: tuple[int, int], top: int = 3) -> Tensor:
    """Where the points of soft labels (frames, points + 1, h, w) are: (frames, points, 2) x, y in pixels of ``size``.

    The mean of the ``top`` strongest cells, weighted; NaN where a label has vanished from the frame.
    """
    height, width = labels.shape[-2:]
    flat = labels[:, 1:].flatten(2).double()
    weights, places = flat.topk(min(top, height * width), dim=2)
    weights = weights / weights.sum(2, keepdim=True)  # 0 / 0 is the NaN of a lost point
    x, y = ((places % width) * weights).sum(2), ((places // width) * weights).sum(2)
    return torch.stack([(x + 0.5) * size[1] / width - 0.5, (y + 0.5) * size[0] / height - 0.5], -1)
