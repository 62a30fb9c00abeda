"""Cues: low-dimensional features of a puzzle that have nothing to do with its content.

Whether an answer can be read off one, :mod:`avssl.evaluate.pretext.shortcuts` tries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from avssl.networks.shuffle_learn import blurred
from avssl.tasks.base import Batch

# From a task and a batch of its puzzles to (N, features), N as there are answers
Cue = Callable[[Any, Batch], Tensor]


def borders(task: Any, batch: Batch) -> Tensor:
    """How much darker each of the four outermost lines is than the one within: black bars and corners."""
    grey = batch["frames"].float().mean(1) / 255
    outer = [grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]]
    inner = [grey[:, 1], grey[:, -2], grey[:, :, 1], grey[:, :, -2]]
    lines = [a.mean(1) - b.mean(1) for a, b in zip(outer, inner, strict=True)]
    black = [(a < 4 / 255).float().mean(1) for a in outer]  # black, after lossy coding
    return torch.stack([*lines, *black], 1)


def seams(task: Any, batch: Batch) -> Tensor:
    """How well the second patch would continue the first at each of its four sides: less is better."""
    first, second = _pairs(task, batch)
    facing = [
        (first[..., 0, :], second[..., -1, :]),  # above
        (first[..., -1, :], second[..., 0, :]),  # below
        (first[..., :, 0], second[..., :, -1]),  # left
        (first[..., :, -1], second[..., :, 0]),  # right
    ]
    costs = torch.stack([_rms(a - b) for a, b in facing], 1)
    corners = [
        (first[..., 0, 0], second[..., -1, -1]),
        (first[..., 0, -1], second[..., -1, 0]),
        (first[..., -1, 0], second[..., 0, -1]),
        (first[..., -1, -1], second[..., 0, 0]),
    ]
    at_corners = torch.stack([(a - b).abs().mean(1) for a, b in corners], 1)
    relative = costs - costs.mean(1, keepdim=True)
    return torch.cat([relative, costs == costs.amin(1, keepdim=True), at_corners], 1)


def aberration(task: Any, batch: Batch) -> Tensor:
    """By how much green is moved against red and blue in each patch: for a lens it depends on the place."""
    first, second = _pairs(task, batch)
    moves = [_movement(patch[:, 1], (patch[:, 0] + patch[:, 2]) / 2) for patch in (first, second)]
    # Where a patch lies goes with where it moves its colours, and the answer with the difference of the two.
    return torch.cat([*moves, moves[1] - moves[0]], 1)


def levels(task: Any, batch: Batch) -> Tensor:
    """Mean of each colour, and contrast, of each patch of a puzzle: light and shade depend on the place."""
    patches = task.fed(batch)
    values = torch.cat([patches.mean((2, 3)), patches.std((1, 2, 3))[:, None]], 1)
    return values[batch["chosen"]].flatten(1)


def gradients(task: Any, batch: Batch) -> Tensor:
    """Mean magnitude of the gradient of each patch of a puzzle: where a lens is sharp, and things are near."""
    patches = task.fed(batch).mean(1)
    down, right = patches[:, 1:, :-1] - patches[:, :-1, :-1], patches[:, :-1, 1:] - patches[:, :-1, :-1]
    values: Tensor = (down.square() + right.square()).sqrt().mean((1, 2))
    return values[batch["chosen"]].clamp_min(1e-6).log()


def lines(reach: int = 0) -> Cue:
    """How well the profiles of two patches, of columns and of rows, agree: long lines go through both.

    One may be moved against the other by ``reach`` pixels; the best agreement counts.
    """

    def cue(task: Any, batch: Batch) -> Tensor:
        first, second = (patch.mean(1) for patch in _pairs(task, batch))
        best = [_agreement(first.mean(axis), second.mean(axis), reach) for axis in (1, 2)]
        agreement = torch.stack(best, 1)
        return torch.cat([agreement, agreement.square()], 1)

    return cue


def tile_seams(task: Any, batch: Batch) -> Tensor:
    """How badly the tiles fit each other in each arrangement of the set: (N, permutations), relative to the best."""
    tiles = task.fed(batch)[batch["chosen"]]  # (N, n², 3, p, p) in the order shown
    side = round(tiles.shape[1] ** 0.5)
    beside = _fit(tiles[..., :, -1], tiles[..., :, 0])  # (N, i, j): j to the right of i
    below = _fit(tiles[..., -1, :], tiles[..., 0, :])
    costs = []
    for order in task.permutations:
        at = torch.empty(len(order), dtype=torch.long)  # where each tile is shown
        at[torch.tensor(order)] = torch.arange(len(order))
        board = at.view(side, side)
        right = beside[:, board[:, :-1].flatten(), board[:, 1:].flatten()].mean(1)
        under = below[:, board[:-1].flatten(), board[1:].flatten()].mean(1)
        costs.append(right + under)
    cost = torch.stack(costs, 1)
    return -(cost - cost.amin(1, keepdim=True))


def tile_aberration(task: Any, batch: Batch) -> Tensor:
    """By how much green is moved against red and blue in each place of the board: (N, n² · 2), down and right."""
    tiles = task.fed(batch)
    moves = _movement(tiles[:, 1], (tiles[:, 0] + tiles[:, 2]) / 2)
    return moves[batch["chosen"]].flatten(1)


def misalignment(task: Any, batch: Batch) -> Tensor:
    """How far each two colours of a tile are out of line, whichever way, in each place of the board: (N, n² · 6)."""
    tiles = task.fed(batch)
    pairs = [_movement(tiles[:, one], tiles[:, other]).abs() for one, other in ((0, 1), (0, 2), (1, 2))]
    return torch.cat(pairs, 1)[batch["chosen"]].flatten(1)


def outer_change(task: Any, batch: Batch) -> Tensor:
    """How much the outer two frames differ, and its square: with the wrong ones shuffled, they are nearer in time."""
    frames = batch["frames"].float() / 255
    change = _rms(frames[:, 0] - frames[:, 2])
    return torch.stack([change, change.square()], 1)


def brightening(task: Any, batch: Batch) -> Tensor:
    """Whether the second and the third frame are brighter than the first: an arrow of time."""
    level = batch["frames"].float().mean((2, 3, 4))
    arrow: Tensor = (level[:, 1:] - level[:, :1]).sign()
    return arrow


def sharpness(task: Any, batch: Batch) -> Tensor:
    """By how much each two frames, as they are fed, differ in sharpness: a codec's traces reveal its place in time."""
    grey = blurred(batch["frames"], task.options.blur).float().mean(2)
    level = (grey[..., 1:] - grey[..., :-1]).abs().mean((2, 3))
    apart = torch.stack([level[:, 1] - level[:, 0], level[:, 1] - level[:, 2], level[:, 0] - level[:, 2]], 1)
    return torch.cat([apart, apart.abs()], 1)


def loudness(task: Any, batch: Batch) -> Tensor:
    """How loud the sound is, and its square, in dB: (N, 2)."""
    level = 10 * batch["waveform"].float().square().mean(-1).clamp_min(1e-12).log10()
    return torch.stack([level, level.square()], 1)


def on_frames(frame_rate: float) -> Cue:
    """Where in a frame's time the sound is loud: sounds cut off the frame grid have another phase. (N, 20)"""

    def cue(task: Any, batch: Batch) -> Tensor:
        period = max(20, round(task.options.rate / frame_rate / 20) * 20)  # samples of a frame, in 20 equal bins
        sound = batch["waveform"].abs()
        whole = sound[:, : sound.shape[1] // period * period].unflatten(1, (-1, 20, period // 20))
        folded = whole.amax(3).mean(1)
        phase: Tensor = folded / folded.mean(1, keepdim=True).clamp_min(1e-6)
        return phase

    return cue


def mean_colour(task: Any, batch: Batch) -> Tensor:
    """The mean colour of each of two views: (N, 2, 3)."""
    return torch.stack([_colours(view).mean(1) for view in task.views(batch)], 1)


def colour_histogram(task: Any, batch: Batch) -> Tensor:
    """The share of each of 64 colours, four levels a channel, in each of two views: (N, 2, 64)."""
    found = []
    for view in task.views(batch):
        level = (_colours(view) * 4).long().clamp(0, 3)
        colour = level[..., 0] * 16 + level[..., 1] * 4 + level[..., 2]
        found.append(nn.functional.one_hot(colour, 64).float().mean(1))
    return torch.stack(found, 1)


def mean_spectrum(task: Any, batch: Batch) -> Tensor:
    """The mean over time of the log-mel spectrogram of each of two views of a sound, whatever its loudness:
    (N, 2, bands)."""
    spectra: Tensor = task.mean_spectra(batch)
    return spectra


def loudness_of_views(task: Any, batch: Batch) -> Tensor:
    """How loud each of two views of a sound is, ln of the RMS: (N, 2, 1)."""
    power: Tensor = batch["waveform"].square().mean(2, keepdim=True)
    return power.clamp_min(1e-12).log() / 2


def _colours(view: Tensor) -> Tensor:
    """The colours of all pixels of pictures (N, 3, h, w) or of tiles (N, n, 3, h, w): (N, pixels, 3)."""
    return view.movedim(-3, -1).flatten(1, -2)


def _pairs(task: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    chosen = task.fed(batch)[batch["chosen"]]
    return chosen[:, 0], chosen[:, 1]


def _agreement(one: Tensor, other: Tensor, reach: int) -> Tensor:
    """The greatest correlation of two rows of values (N, p), moved against each other by ``reach`` at most: (N,)."""
    length = one.shape[1]
    found = []
    for move in range(-reach, reach + 1):
        a = one[:, max(move, 0) : length + min(move, 0)]
        b = other[:, max(-move, 0) : length + min(-move, 0)]
        a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
        found.append(nn.functional.cosine_similarity(a, b))
    return torch.stack(found, 1).amax(1)


def _rms(x: Tensor) -> Tensor:
    return x.square().flatten(1).mean(1).sqrt()


def _fit(ends: Tensor, starts: Tensor) -> Tensor:
    """Root mean square between the last line of each tile and the first of each: (N, n², n²)."""
    return (ends[:, :, None] - starts[:, None]).square().mean((3, 4)).sqrt()


def _movement(fixed: Tensor, moved: Tensor) -> Tensor:
    """The shift between two planes (N, p, p) in pixels, down and right, to first order.

    Least squares on gradients (Lucas & Kanade 1981), after each plane's mean and contrast are gone.
    """
    planes = [plane - plane.mean((1, 2), keepdim=True) for plane in (fixed, moved)]
    a, b = (plane / plane.square().mean((1, 2), keepdim=True).sqrt().clamp_min(1e-6) for plane in planes)
    middle = (a + b) / 2
    down = (middle[:, 2:, 1:-1] - middle[:, :-2, 1:-1]) / 2
    right = (middle[:, 1:-1, 2:] - middle[:, 1:-1, :-2]) / 2
    change = (b - a)[:, 1:-1, 1:-1]
    dd, rr, dr = (x.flatten(1).mean(1) for x in (down * down, right * right, down * right))
    dc, rc = (x.flatten(1).mean(1) for x in (down * change, right * change))
    determinant = (dd * rr - dr * dr).clamp_min(1e-8)
    # To first order nothing is known of shifts by many pixels.
    return -torch.stack([(rr * dc - dr * rc) / determinant, (dd * rc - dr * dc) / determinant], 1).clamp(-4, 4)
