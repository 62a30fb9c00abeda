"""Frame filling on held-out clips: how near fillings come to what was there, by a network and without one.

- ``psnr``: 10 log10(255² / squared error), of what is hidden, mean over clips, in dB.
- ``psnr-moved``: of those of these pixels that change in the clip by more than ``MOVED`` levels in a channel; the
  others are right in any neighbour. Clips in which none does are left out there.
- ``ssim``: of the hidden frame (Wang et al. 2004).
- ``psnr-difference``, paired: by how much the trained network is nearer than each filling.

A hidden frame: ``nearest-frame`` (both neighbours are as near: the earlier), ``mean-of-both``, and ``optical-flow``
(both moved half the way along OpenCV's DIS flow, and averaged) where the extra ``flow`` is installed. Hidden tubes:
``mean-colour`` (of training), ``border-fill`` (harmonic from what is seen of each frame), ``copied`` (the same place in
the nearest frame that shows it; as ``border-fill`` where none does).

What the countermeasures are for is measured on the same items: ``mean-of-both/adjacent`` of frames that follow each
other, drawn anywhere; ``copied/own-patches`` where each frame hides patches of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.core.statistics import mean_of
from avssl.evaluate.data.optical_flow import has_opencv, optical_flow
from avssl.evaluate.pretext.picture_metrics import psnr, ssim
from avssl.evaluate.pretext.predictions import HeldOut, batches
from avssl.installation import install_hint
from avssl.networks.frame_filling import warped
from avssl.samplers.holes import filled_from_rim
from avssl.system.console import counting, log
from avssl.tasks.frame_filling.puzzle import FrameFillingPuzzle
from avssl.tasks.frame_filling.task import FrameFilling

PROTOCOL = "frame-filling"
MOVED = 10  # of 255 levels: more than lossy coding changes
_ADJACENT = 1e-3  # seconds: rounded up to one frame

Frames = NDArray[np.uint8]  # (t, 3, side, side): those that hide something
Fill = Callable[[FrameFilling, FrameFillingPuzzle], Frames]
# Of each clip by metric; NaN where it has none
Values = dict[str, list[float]]


def nearest_frame(task: FrameFilling, puzzle: FrameFillingPuzzle) -> Frames:
    """The earlier neighbour: the later one is as far."""
    return puzzle.frames[:1]


def mean_of_both(task: FrameFilling, puzzle: FrameFillingPuzzle) -> Frames:
    """The mean of both neighbours, rounded."""
    return _levels(puzzle.frames[[0, 2]].astype(np.float64).mean(0))[None]


def along_flow(task: FrameFilling, puzzle: FrameFillingPuzzle) -> Frames:
    """Both neighbours moved half the way along the optical flow, and averaged.

    The flow of the middle frame is put together from both directions, as if it were the same at the same place
    (Jiang et al., Super SloMo, CVPR 2018, equation 4, at half the time).
    """
    before, after = puzzle.frames[0], puzzle.frames[2]
    flow = optical_flow(before, after) - optical_flow(after, before)
    to_after = torch.from_numpy(flow).permute(2, 0, 1)[None] / 4
    ends = torch.from_numpy(np.stack([before, after])).float()
    moved = warped(ends, torch.cat([-to_after, to_after]))
    return _levels(moved.mean(0).numpy())[None]


def mean_colour(task: FrameFilling, puzzle: FrameFillingPuzzle) -> Frames:
    """The mean colour of training in the hidden patches."""
    colour = _levels(np.array(task.mean))[:, None, None]
    return np.where(_hidden(puzzle)[:, None], colour, puzzle.frames)


def border_fill(task: FrameFilling, puzzle: FrameFillingPuzzle) -> Frames:
    """Each frame filled from what is seen of it."""
    return np.stack([filled_from_rim(*one) for one in zip(puzzle.frames, _hidden(puzzle), strict=True)])


def copied(task: FrameFilling, puzzle: FrameFillingPuzzle) -> Frames:
    """The same place in the nearest frame that shows it; where none does, filled from what is seen of the frame."""
    hidden, frames = _hidden(puzzle), puzzle.frames
    found = border_fill(task, puzzle)
    count = len(frames)
    for at in range(count):
        missing = hidden[at].copy()
        for other in sorted(set(range(count)) - {at}, key=lambda one: abs(one - at)):
            shown = missing & ~hidden[other]
            found[at][:, shown] = frames[other][:, shown]
            missing &= hidden[other]
    return found


_BETWEEN: dict[str, Fill] = {"nearest-frame": nearest_frame, "mean-of-both": mean_of_both, "optical-flow": along_flow}
_TUBES: dict[str, Fill] = {"mean-colour": mean_colour, "border-fill": border_fill, "copied": copied}

NOTES = {
    "nearest-frame": "the earlier neighbour as it is",
    "mean-of-both": "the mean of both neighbours",
    "optical-flow": "both neighbours moved along OpenCV's DIS flow, and averaged",
    "mean-colour": "the mean of the training frames",
    "border-fill": "harmonic from what is seen of each frame",
    "copied": "from the nearest frame that shows the place; else as border-fill",
    "mean-of-both/adjacent": "without the countermeasure: frames that follow each other, drawn anywhere",
    "copied/own-patches": "without the countermeasure: each frame hides patches of its own",
}


def evaluate(task: FrameFilling, networks: dict[str, nn.Module], held_out: HeldOut) -> list[ResultRow]:
    """Rows of each network (by name) and of the fillings, on the same held-out clips."""
    task, context = task.held_out(), held_out.context(PROTOCOL)
    between = task.options.hide == "frame"
    fills = dict(_BETWEEN if between else _TUBES)
    if between and not has_opencv():
        log(f"no row optical-flow: it needs OpenCV, {install_hint('flow')}")
        del fills["optical-flow"]
    found, clusters = _values(task, networks, fills, held_out)
    weak = replace(task.options, spacing_min=_ADJACENT, spacing_max=_ADJACENT, motion=False)
    name, own = "mean-of-both/adjacent", {"mean-of-both/adjacent": mean_of_both}
    if not between:
        weak = replace(task.options, same_patches=False)
        name, own = "copied/own-patches", {"copied/own-patches": copied}
    without, _ = _values(task.variant(options=weak), {}, own, held_out)
    found[name] = without[name]

    def row(name: str, metric: str, values: NDArray[np.float64], note: str) -> ResultRow:
        known = ~np.isnan(values)
        columns = np.stack([values[known], np.ones(known.sum())], 1)
        of = [cluster for cluster, is_known in zip(clusters, known, strict=True) if is_known]
        return context.sums_row(name, metric, columns, of, mean_of(0), note=note, listed=len(values))

    rows = [
        row(name, metric, np.array(values), NOTES.get(name, ""))
        for name, each in found.items()
        for metric, values in each.items()
        if not np.isnan(values).all()
    ]
    if "trained" in networks:
        note, own_values = "paired; above 0: the network is nearer to the truth", np.array(found["trained"]["psnr"])
        rows += [
            row(f"trained - {name}", "psnr-difference", own_values - np.array(found[name]["psnr"]), note)
            for name in fills
        ]
    return rows


@torch.no_grad()
def _values(
    task: FrameFilling, networks: Mapping[str, nn.Module], fills: Mapping[str, Fill], held_out: HeldOut
) -> tuple[dict[str, Values], list[str]]:
    """Metrics of each clip by network and by filling, and the source of each clip."""
    found: dict[str, Values] = {name: {} for name in (*networks, *fills)}
    clusters: list[str] = []
    keys = held_out.keys()
    with counting("evaluating", len(keys), "clips") as done:
        for puzzles, batch in batches(task, list(networks.values()), held_out.media, keys, device=held_out.device):
            clusters += [task.clusters(puzzle)[0] for puzzle in puzzles]
            for name, network in networks.items():
                # As 8-bit pictures, which the fillings are, too
                scores = (task.answers(network, batch).scores.float() * 255).round().byte().cpu().numpy()
                for filled, puzzle in zip(scores, puzzles, strict=True):
                    _add(found[name], filled, puzzle)
            for name, fill in fills.items():
                for puzzle in puzzles:
                    _add(found[name], fill(task, puzzle), puzzle)
            done(len(puzzles))
    return found, clusters


def _add(values: Values, filled: Frames, puzzle: FrameFillingPuzzle) -> None:
    """The metrics of one clip."""
    hidden = _hidden(puzzle)
    hides = hidden.any((1, 2))
    truth, asked = puzzle.frames[hides], hidden[hides]
    moved = asked & (np.ptp(puzzle.frames.astype(np.int16), axis=0).max(0) > MOVED)
    # Frames one below the other, as one picture.
    below, truth_below = (np.concatenate(list(frames), axis=1) for frames in (filled, truth))
    values.setdefault("psnr", []).append(psnr(below, truth_below, np.concatenate(list(asked))))
    values.setdefault("psnr-moved", []).append(
        psnr(below, truth_below, np.concatenate(list(moved))) if moved.any() else np.nan
    )
    if len(truth) == 1:
        values.setdefault("ssim", []).append(ssim(filled[0], truth[0]))


def _hidden(puzzle: FrameFillingPuzzle) -> NDArray[np.bool_]:
    """Which pixels of the clip are hidden: bool (k, side, side)."""
    each = puzzle.frames.shape[-1] // puzzle.hidden.shape[-1]
    return puzzle.hidden.repeat(each, 1).repeat(each, 2)


def _levels(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = np.clip(np.round(values), 0, 255).astype(np.uint8)
    return found
