"""Colorization on held-out pictures.

Rows of the trained network are named by how its answer is decoded: ``regression``, ``classification-mean``
(temperature 1), ``classification`` (annealed mean); a network with both heads has all three. Beside them ``grey``,
``mean-colour`` (the training pictures' mean a and b everywhere: what a network that sees nothing learns),
``truth``, ``untrained`` and the controls.

- ``ab-rmse``: root of the mean over pixels and over a and b of the squared error, in Lab units, at full size.
- ``colorfulness``: Hasler & Süsstrunk's measure, mean over pictures; ``colorfulness-ratio`` the ratio of two means.
- ``balanced-accuracy``: share of pixels whose most likely bin is the true one, mean over the true bins.

Of a network with a latent variable also those of :mod:`avssl.evaluate.pretext.colourings`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.core.statistics import mean_of
from avssl.evaluate.pretext import colourings
from avssl.evaluate.pretext.picture_metrics import balanced_accuracy, bin_counts, colorfulness, squared_ab_error
from avssl.evaluate.pretext.predictions import HeldOut, batches
from avssl.media.facts import Media
from avssl.networks.colour import lab_to_rgb, rgb_to_lab
from avssl.networks.dense import resized
from avssl.samplers.whole_pictures import any_moves
from avssl.tasks.colorization.task import Colorization

PROTOCOL = "colorization"
# Lab units, and bins in the file that goes with Zhang, Isola & Efros 2016
PUBLISHED_GRID, PUBLISHED_BINS = 10.0, 313

Floats = NDArray[np.float64]

NOTES = {
    "regression": "trained, its regression head",
    "classification-mean": "trained, mean of the bins (temperature 1)",
    "classification": "trained, annealed mean of the bins",
    "grey": "no colour at all",
    "mean-colour": "the training pictures' mean colour everywhere",
    "truth": "the pictures themselves",
    "constant": "the commonest bin everywhere",
}


@dataclass
class _Tally:
    """Of each picture, by decoding: squared error and colourfulness; and the counts by bin."""

    error: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)
    colour: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)
    several: dict[str, list[Floats]] = field(default_factory=dict)  # see colourings.figures
    correct: list[Floats] = field(default_factory=list)
    total: list[Floats] = field(default_factory=list)

    def add(self, name: str, rgb: Tensor, ab: Tensor | None, truth: Tensor) -> None:
        """Note a batch of coloured pictures; ``ab`` None: there is no error to speak of."""
        self.colour.setdefault(name, []).append(colorfulness(rgb.cpu().numpy() * 255))
        if ab is not None:
            self.error.setdefault(name, []).append(squared_ab_error(ab.cpu().numpy(), truth.cpu().numpy()))


def evaluate(task: Colorization, networks: dict[str, nn.Module], held_out: HeldOut) -> list[ResultRow]:
    """Rows of each network (by name) and of what needs none, on the same held-out pictures: of a collection of images
    no more than there are."""
    task = task.held_out()
    tallies, floor, clusters = _painted(task, networks, held_out)
    row = partial(held_out.context(PROTOCOL).sums_row, clusters=clusters)
    rows: list[ResultRow] = []
    if "trained" in networks:
        rows += _decoded_rows(tallies["trained"], floor, row) + _rows_of_several(tallies["trained"], row)
    rows += _floor_rows(floor, row)
    for name, tally in tallies.items():
        rows += _named_rows(name, tally, row, all_figures=name != "trained")
    return [replace(row, note=_of_bins(task, row)) if row.name == "trained" else row for row in rows]


def _of_bins(task: Colorization, row: ResultRow) -> str:
    """Which bins a balanced accuracy is over: the published list is another, longer one than its own rule gives."""
    if row.metric != "balanced-accuracy":
        return row.note
    published = task.options.bins == "grid" and task.options.grid == PUBLISHED_GRID
    list_ = f"; the published list of grid {PUBLISHED_GRID:g} has {PUBLISHED_BINS}" if published else ""
    return f"the network that was trained; over {task.bins} colour bins{list_}"


@torch.no_grad()
def _painted(
    task: Colorization, networks: dict[str, nn.Module], held_out: HeldOut
) -> tuple[dict[str, _Tally], _Tally, list[str]]:
    """What each network paints, what the floors paint, and the source of each picture."""
    tallies, floor, clusters = {name: _Tally() for name in networks}, _Tally(), []
    media, device = held_out.media, held_out.device
    keys = held_out.keys(how_many(media, held_out.puzzles))
    for puzzles, batch in batches(task, list(networks.values()), media, keys, device=device, size=32):
        clusters += [task.clusters(puzzle)[0] for puzzle in puzzles]
        lab = rgb_to_lab(batch["frames"])
        for name, network in networks.items():
            answers = task.answers(network, batch)
            scores = answers.scores.float()
            for decoding, ab in task.decodings(scores).items():
                _paint(tallies[name], decoding, lab, ab)
            for several, drawn in colourings.colourings(task, scores, len(clusters)).items():
                tallies[name].several.setdefault(several, []).append(colourings.figures(drawn, lab[:, 1:]))
            logits = task.parts(scores).logits
            if logits is not None:
                truth = task.bins_of(answers.truth).cpu().numpy()
                correct, total = bin_counts(logits.argmax(1).cpu().numpy(), truth, task.bins)
                tallies[name].correct.append(correct)
                tallies[name].total.append(total)
        mean = torch.tensor(task.mean_colour, device=lab.device).view(1, 2, 1, 1)
        _paint(floor, "grey", lab, torch.zeros_like(mean).expand(len(lab), -1, -1, -1))
        _paint(floor, "mean-colour", lab, mean.expand(len(lab), -1, -1, -1))
        floor.add("truth", batch["frames"].float() / 255, None, lab)
    return tallies, floor, clusters


def _paint(tally: _Tally, name: str, lab: Tensor, ab: Tensor) -> None:
    # Errors are of the picture at full size: the network answers on a coarser grid
    large = resized(ab, (lab.shape[-2], lab.shape[-1]))
    tally.add(name, lab_to_rgb(torch.cat([lab[:, :1], large], dim=1)), large, lab[:, 1:])


def how_many(media: Media, asked: int) -> int:
    """Held-out pictures to evaluate: of images each once, of videos (any frame of them) as many as asked."""
    return asked if any_moves(media) else min(asked, len(media))


# ``Context.sums_row`` of these pictures: name, metric, columns, statistic and note
Row = Callable[..., ResultRow]


def _decoded_rows(trained: _Tally, floor: _Tally, row: Row) -> list[ResultRow]:
    """The trained network's decodings, and how they compare on the same pictures."""
    rows = []
    for name, error in trained.error.items():
        both = _columns(error, floor.error["grey"])
        rows.append(row(name, "ab-rmse", both, statistic=_root(0), note=NOTES[name]))
        rows.append(_paired(row, f"{name} - grey", "ab-rmse-difference", both))
    for name, colour in trained.colour.items():
        rows.append(row(name, "colorfulness", _columns(colour), statistic=mean_of(0), note=NOTES[name]))
    if {"regression", "classification"} <= trained.colour.keys():
        both = _columns(trained.colour["classification"], trained.colour["regression"])
        name, ratio = "classification / regression", mean_of(0, 1)
        rows.append(row(name, "colorfulness-ratio", both, statistic=ratio, note="paired"))
    return rows


def _rows_of_several(trained: _Tally, row: Row) -> list[ResultRow]:
    found = {name: np.concatenate(values) for name, values in trained.several.items()}
    rows = []
    for name, values in found.items():
        columns = np.hstack([values, np.ones((len(values), 1))])
        metrics = [*(f"ab-rmse-best-of-{count}" for count in colourings.BEST_OF), "ab-distance"]
        rows += [
            row(name, metric, columns, statistic=_root(column), note=colourings.NOTES[name])
            for column, metric in enumerate(metrics)
        ]
    for name in [name for name in found if name != "latent"]:
        for column, count in enumerate(colourings.BEST_OF):
            both = np.stack([found["latent"][:, column], found[name][:, column], np.ones(len(found[name]))], axis=1)
            rows.append(_paired(row, f"latent - {name}", f"ab-rmse-best-of-{count}-difference", both))
    return rows


def _paired(row: Row, name: str, metric: str, both: Floats) -> ResultRow:
    """How much less the error of the first is than that of the second, on the same pictures."""
    difference = lambda s: _root(0)(s) - _root(1)(s)  # noqa: E731
    other = name.partition(" - ")[2]
    return row(name, metric, both, statistic=difference, note=f"paired; below 0: nearer to the truth than {other}")


def _floor_rows(floor: _Tally, row: Row) -> list[ResultRow]:
    errors = [
        row(name, "ab-rmse", _columns(error), statistic=_root(0), note=NOTES[name])
        for name, error in floor.error.items()
    ]
    return errors + [
        row(name, "colorfulness", _columns(colour), statistic=mean_of(0), note=NOTES[name])
        for name, colour in floor.colour.items()
    ]


def _named_rows(name: str, tally: _Tally, row: Row, *, all_figures: bool) -> list[ResultRow]:
    """Rows under the network's own name: balanced accuracy, and of networks for comparison the other figures."""
    rows = []
    if tally.correct:
        correct, total = np.concatenate(tally.correct), np.concatenate(tally.total)
        occurring, bins = int((total.sum(0) > 0).sum()), correct.shape[1]

        def balanced(name: str, right: Floats, note: str = "") -> ResultRow:
            return row(
                name,
                "balanced-accuracy",
                np.hstack([right, total]),
                statistic=lambda s: balanced_accuracy(s[:, :bins], s[:, bins:], occurring),
                chance=1 / occurring,
                note=note,
            )

        rows.append(balanced(name, correct))
        if name == "trained":
            commonest = np.zeros_like(total)
            most = int(total.sum(0).argmax())
            commonest[:, most] = total[:, most]
            rows.append(balanced("constant", commonest, NOTES["constant"]))
    if all_figures:
        for decoding, error in tally.error.items():
            note = f"decoded as {decoding}"
            alone = name if decoding == next(iter(tally.error)) else f"{name}/{decoding}"
            rows.append(row(alone, "ab-rmse", _columns(error), statistic=_root(0), note=note))
            colour = _columns(tally.colour[decoding])
            rows.append(row(alone, "colorfulness", colour, statistic=mean_of(0), note=note))
    return rows


def _columns(*figures: Sequence[NDArray[np.float64]]) -> Floats:
    """Figures of each picture as columns, and a last column of ones to count them by."""
    columns = [np.concatenate(figure) for figure in figures]
    return np.stack([*columns, np.ones_like(columns[0])], axis=1)


def _root(column: int) -> Callable[[Floats], Floats]:
    return lambda sums: np.sqrt(sums[:, column] / sums[:, -1])
