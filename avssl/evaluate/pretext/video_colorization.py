"""Video colorization on held-out clips: the share of cells of the target whose likeliest colour is the true one.

``accuracy-moved`` is of the cells that moved since the last reference, ``accuracy`` of all; intervals over sources.
Rows ``trained``, ``untrained`` and the controls copy from all places, NAME/window from those near by. Beside them, on
the same cells:

- ``same-place``: the colour of the same place in the last reference, the shortcut.
- ``nearest-in-window``: of the places near by in all references that whose grey pixels are most alike.
- ``references-mix``: the commonest colour of the references, which attention to nothing in particular copies: chance.
- ``commonest-colour``: the commonest of the training frames, everywhere.
- ``seen-colour``: of the place whose colour is nearest to the target's own: what colour in the input would give away.
- ``ceiling``: 1 wherever the true colour occurs in the references at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.core.statistics import DIFFERENCE, SHARE, mean_of
from avssl.evaluate.pretext.controls import untrained
from avssl.evaluate.pretext.predictions import HeldOut, batches
from avssl.networks.copying import within
from avssl.tasks.base import Batch
from avssl.tasks.video_colorization.task import Cells, VideoColorization

PROTOCOL = "video-colorization"

# How far "near by" is, as a share of the map's side
WINDOW_SHARE = 1 / 8

NOTES = {
    "same-place": "copies from the same place of the last reference",
    "nearest-in-window": "copies from the place near by whose grey pixels are most alike",
    "references-mix": "the commonest colour of the references",
    "commonest-colour": "the commonest colour of the training frames",
    "seen-colour": "copies by the colour itself, which the input must not show",
    "ceiling": "wherever the references have the colour",
}
CHANCE = "references-mix"

# Knowing nothing gives this at best: attention that is spread over other places than all gives less.
CHANCE_IS_HIGHEST = True

# What the trained network is compared with, on the same cells
_BESIDE = ("untrained", "same-place", "nearest-in-window")

# Counts of a puzzle: cells that are right, and cells; of all cells or of those that moved
Counts = NDArray[np.float64]


def evaluate(task: VideoColorization, networks: dict[str, nn.Module], held_out: HeldOut) -> list[ResultRow]:
    """Rows of each network (by name), from all places and within a window, and of what needs no network.

    Chance of a network is the references' mix; of a control what random weights give, which copy from what looks alike
    without having learned it.
    """
    controlled = not {"trained", "untrained"} & networks.keys()
    beside = {"untrained": untrained(task, held_out.seed)} if controlled else {}
    found, clusters = _counted(task.held_out(), networks | beside, held_out)
    build = partial(held_out.context(PROTOCOL).sums_row, clusters=clusters)
    rows: list[ResultRow] = []
    for metric, counts in found.items():
        row = partial(build, metric=metric, statistic=mean_of(0), bounds=SHARE)
        base = "untrained" if controlled else CHANCE
        chance = row(base, columns=counts[base]).value
        for name, each in counts.items():
            # A baseline may well be above chance: only networks are compared with it.
            compared = chance if name in networks else None
            note = NOTES.get(name, f"within {_window(task)} places" if "/" in name else "")
            rows.append(row(name, columns=each, chance=compared, note=note))
        if "trained" in networks:
            rows += [_difference(build, metric, counts, other) for other in _BESIDE if other in counts]
    return rows


def _difference(build: partial[ResultRow], metric: str, counts: dict[str, Counts], other: str) -> ResultRow:
    ours, theirs = counts["trained"], counts[other]
    columns = np.stack([ours[:, 0] - theirs[:, 0], ours[:, 1]], axis=1)
    return build(
        f"trained - {other}",
        f"{metric}-difference",
        columns,
        statistic=mean_of(0),
        bounds=DIFFERENCE,
        note="paired; above 0: the network is right more often",
    )


def _window(task: VideoColorization) -> int:
    return max(1, round(WINDOW_SHARE * task.options.side / task.options.stride))


@torch.no_grad()
def _counted(
    task: VideoColorization, networks: dict[str, nn.Module], held_out: HeldOut
) -> tuple[dict[str, dict[str, Counts]], list[str]]:
    """Counts of each puzzle by metric and by row, and the source of each puzzle."""
    counts: dict[str, dict[str, list[Tensor]]] = {"accuracy-moved": {}, "accuracy": {}}
    clusters: list[str] = []
    media, device = held_out.media, held_out.device
    for puzzles, batch in batches(task, list(networks.values()), media, held_out.keys(), device=device, size=16):
        clusters += [task.clusters(puzzle)[0] for puzzle in puzzles]
        cells = task.cells(batch)
        chosen = {"accuracy-moved": cells.moved, "accuracy": torch.ones_like(cells.moved)}
        for name, right in _right(task, networks, batch, cells):
            for metric, some in chosen.items():
                both = torch.stack([(right & some).sum((1, 2)), some.sum((1, 2))], 1).double().cpu()
                counts[metric].setdefault(name, []).append(both)
    return {
        metric: {name: torch.cat(parts).numpy() for name, parts in named.items()} for metric, named in counts.items()
    }, clusters


def _right(
    task: VideoColorization, networks: dict[str, nn.Module], batch: Batch, cells: Cells
) -> Iterator[tuple[str, Tensor]]:
    """By name of the row, which cells of the targets are right: bool (N, h, w)."""
    truth, known = cells.colour[:, -1], cells.colour[:, :-1]
    for suffix, window in (("", None), ("/window", _window(task))):
        for name, network in networks.items():
            answers = task.variant(window=window).answers(network, batch)
            yield name + suffix, answers.scores.argmax(1) == truth
    yield "same-place", known[:, task.nearest_reference] == truth
    yield "nearest-in-window", nearest_in_window(task, batch, cells) == truth
    ours, theirs = (cells.ab[:, some].movedim(2, -1).flatten(1, 3) for some in (slice(-1, None), slice(-1)))
    apart = torch.cdist(ours, theirs)
    yield "seen-colour", known.flatten(1).gather(1, apart.argmin(2)).view_as(truth) == truth
    counted = F.one_hot(known.flatten(1), task.options.colours).sum(1)
    yield CHANCE, counted.argmax(1)[:, None, None] == truth
    yield "commonest-colour", truth == int(task.shares.argmax())
    yield "ceiling", counted.gather(1, truth.flatten(1)).view_as(truth) > 0


def nearest_in_window(task: VideoColorization, batch: Batch, cells: Cells) -> Tensor:
    """The colour of the place near by whose grey pixels, and half a cell around, are most alike: (N, h, w)."""
    stride, grey = task.options.stride, task.fed(batch)
    count, frames, (height, width) = len(grey), grey.shape[1], cells.colour.shape[-2:]
    rim = stride // 2
    around = F.pad(grey.flatten(0, 1), (rim, rim, rim, rim), mode="replicate")
    patches = (
        F.unfold(around, stride + 2 * rim, stride=stride).transpose(1, 2).reshape(count, frames, height * width, -1)
    )
    near = within(height, width, _window(task), grey.device).repeat(1, frames - 1)
    apart = torch.cdist(patches[:, -1], patches[:, :-1].flatten(1, 2)).masked_fill(~near, torch.inf)
    return cells.colour[:, :-1].flatten(1).gather(1, apart.argmin(2)).view(count, height, width)
