"""Inpainting on held-out pictures: how near the predicted hole is to the original.

``psnr``: 10 log10(255² / squared error), of the hole alone, mean over pictures, in dB; intervals over the same
pictures. Rows ``trained``, ``untrained`` and the controls, beside ``mean-fill`` (the mean of what is seen of the
picture), ``training-mean`` (the training pictures' mean) and ``border-fill`` (harmonic from the rim); and
``psnr-difference``, paired, of the trained network over each fill.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.core.statistics import mean_of
from avssl.evaluate.pretext.colorization import how_many
from avssl.evaluate.pretext.picture_metrics import psnr
from avssl.evaluate.pretext.predictions import HeldOut, batches
from avssl.samplers.holes import filled_by, filled_from_rim
from avssl.tasks.inpainting.puzzle import InpaintingPuzzle
from avssl.tasks.inpainting.task import Inpainting

PROTOCOL = "inpainting"

NOTES = {
    "mean-fill": "the mean of what is seen of the picture",
    "training-mean": "the mean of the training pictures",
    "border-fill": "harmonic from the rim",
}


def evaluate(task: Inpainting, networks: dict[str, nn.Module], held_out: HeldOut) -> list[ResultRow]:
    """Rows of each network (by name) and of the fills, on the same held-out pictures and holes: of a collection of
    images no more than there are."""
    context = held_out.context(PROTOCOL)
    found, clusters = _psnr_of(task.held_out(), networks, held_out)
    ones = np.ones(len(clusters))

    def row(name: str, metric: str, values: NDArray[np.float64], note: str) -> ResultRow:
        return context.sums_row(name, metric, np.stack([values, ones], 1), clusters, mean_of(0), note=note)

    rows = [row(name, "psnr", each, NOTES.get(name, "")) for name, each in found.items()]
    if "trained" in networks:
        note = "paired; above 0: the network is nearer to the truth"
        rows += [row(f"trained - {name}", "psnr-difference", found["trained"] - found[name], note) for name in NOTES]
    return rows


@torch.no_grad()
def _psnr_of(
    task: Inpainting, networks: dict[str, nn.Module], held_out: HeldOut
) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """The PSNR of each picture by network and by fill, and the source of each picture."""
    found: dict[str, list[float]] = {name: [] for name in (*networks, *NOTES)}
    clusters: list[str] = []
    media, device = held_out.media, held_out.device
    keys = held_out.keys(how_many(media, held_out.puzzles))
    for puzzles, batch in batches(task, list(networks.values()), media, keys, device=device):
        clusters += [task.clusters(puzzle)[0] for puzzle in puzzles]
        for name, network in networks.items():
            # As 8-bit pictures, which the fills are, too
            pictures = (task.answers(network, batch).scores.float() * 255).round().cpu().numpy()
            found[name] += [psnr(picture, p.frame, p.hole) for picture, p in zip(pictures, puzzles, strict=True)]
        for name in NOTES:
            found[name] += [psnr(_fill(name, task, p), p.frame, p.hole) for p in puzzles]
    return {name: np.array(values) for name, values in found.items()}, clusters


def _fill(name: str, task: Inpainting, puzzle: InpaintingPuzzle) -> NDArray[np.uint8]:
    if name == "border-fill":
        return filled_from_rim(puzzle.frame, puzzle.hole)
    seen = puzzle.frame[:, ~puzzle.hole].mean(1)
    return filled_by(puzzle.frame, puzzle.hole, seen if name == "mean-fill" else np.array(task.mean))
